/* The project's filters: which instances are left out, in which order, and why. */
#include "deid/deid.h"

#include <string.h>

#include "deid_rig.h"

#define USUAL                                                                                         \
    RULE(0x0008, 0x0016, KEEP), RULE(0x0008, 0x0018, REPLACE_UID), RULE(0x0008, 0x0060, KEEP),        \
        RULE(0x0008, 0x103E, KEEP), RULE(0x0010, 0x0010, REPLACE), RULE(0x0010, 0x0020, SECURE_HASH), \
        RULE(0x0020, 0x000D, REPLACE_UID), RULE(0x0020, 0x000E, REPLACE_UID), RULE(0x7FE0, 0x0010, KEEP)

static const char *place_of(enum study_reason why)
{
    switch (why) {
    case STUDY_WHY_MANUFACTURER:
    case STUDY_WHY_NO_MANUFACTURER: return "(0008,0070)";
    case STUDY_WHY_SERIES_DESCRIPTION: return "(0008,103E)";
    case STUDY_WHY_SERIES_NUMBER: return "(0020,0011)";
    case STUDY_WHY_MODALITY: return "(0008,0060)";
    default: return "";
    }
}

static void test_filters__leave_out_in_the_order_of_the_reference(void)
{
    static const struct project_tag_rule rules[] = { USUAL };
    static const int64_t excluded[] = { 7, 1200 };
    static const char *const filters[] = { "LOCALI", "SCOUT" };
    static const struct {
        const char *name, *manufacturer, *description, *number, *modality, *wanted;
        size_t n_series;
        enum study_reason why;
    } rows[] = {
        { "passes", "ACME", "t2", "3", "CT", "", 5, STUDY_WHY_NONE },
        { "not requested", "Nobody", "scout", "7", "XA", "1.2.3\\1.2.4", 1, STUDY_WHY_SERIES_NOT_REQUESTED },
        { "requested", "ACME", "t2", "3", "CT", "1.2.3\\" RIG_SERIES " ", 2, STUDY_WHY_NONE },
        { "too few", "Nobody", "scout", "7", "XA", "", 1, STUDY_WHY_TOO_FEW_INSTANCES },
        { "manufacturer", "Nobody", "scout", "7", "XA", "", 2, STUDY_WHY_MANUFACTURER },
        { "manufacturer empty", "", "t2", "3", "CT", "", 2, STUDY_WHY_NO_MANUFACTURER },
        { "manufacturer absent", NULL, "t2", "3", "CT", "", 2, STUDY_WHY_NO_MANUFACTURER },
        { "description", "ACME", "3-plane Localizer", "7", "XA", "", 2, STUDY_WHY_SERIES_DESCRIPTION },
        { "description absent", "ACME", NULL, "3", "CT", "", 2, STUDY_WHY_NONE },
        { "number", "acme corp", "t2", "1200", "XA", "", 2, STUDY_WHY_SERIES_NUMBER },
        { "number signed", "acme", "t2", "+7", "CT", "", 2, STUDY_WHY_SERIES_NUMBER },
        { "number absent", "ACME", "t2", NULL, "CT", "", 2, STUDY_WHY_SERIES_NUMBER },
        { "number strange", "ACME", "t2", "7a", "CT", "", 2, STUDY_WHY_SERIES_NUMBER },
        { "number, no exclusions", "BETA", "t2", "7", "CT", "", 2, STUDY_WHY_NONE },
        { "modality", "ACME", "t2", "3", "XA", "", 2, STUDY_WHY_MODALITY },
        { "modality by case", "ACME", "t2", "3", "ct", "", 2, STUDY_WHY_MODALITY },
    };
    struct project_manufacturer makers[] = {
        { .pattern = rig_pattern("^acme"), .exclude_series_numbers = excluded, .n_exclude = ARRAY_LEN(excluded) },
        { .pattern = rig_pattern("^(acme|beta)") },
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        test_row("%s", rows[i].name);
        rig_auto r;
        rig_init(&r, rules, ARRAY_LEN(rules));
        r.project.manufacturers = makers;
        r.project.n_manufacturers = ARRAY_LEN(makers);
        r.project.series_filters = filters;
        r.project.n_series_filters = ARRAY_LEN(filters);
        r.args.series_uids = phi_text(str_of(rows[i].wanted));
        rig_start(&r);
        struct pixl_error err = { 0 };
        REQUIRE_OK(deid_study_expect_series(r.study, phi_text(STR(RIG_SERIES)), rows[i].n_series, &err), err);
        struct dcm d;
        dcm_begin(&d, true);
        dcm_text(&d, DICOM_SOP_CLASS_UID, DICOM_VR_UI, DCM_CT_IMAGE_STORAGE);
        dcm_text(&d, DICOM_SOP_INSTANCE_UID, DICOM_VR_UI, RIG_SOP);
        dcm_text(&d, DICOM_MODALITY, DICOM_VR_CS, rows[i].modality);
        if (rows[i].manufacturer)
            dcm_text(&d, DICOM_MANUFACTURER, DICOM_VR_LO, rows[i].manufacturer);
        if (rows[i].description)
            dcm_text(&d, DICOM_SERIES_DESCRIPTION, DICOM_VR_LO, rows[i].description);
        rig_patient(&d);
        rig_uids(&d);
        if (rows[i].number)
            dcm_text(&d, DICOM_SERIES_NUMBER, DICOM_VR_IS, rows[i].number);
        CHECK_INT(rig_run(&r, dcm_str(&d)), rows[i].why == STUDY_WHY_NONE ? DEID_EMIT : DEID_FILTERED);
        CHECK(r.res.why == rows[i].why && str_eq(str_of(r.res.where), str_of(place_of(rows[i].why))));
        dcm_done(&d);
    }
    for (size_t i = 0; i < ARRAY_LEN(makers); i++)
        pattern_free(makers[i].pattern);
}

static void test_filters__leave_out_what_says_that_it_holds_text(void)
{
    static const struct project_tag_rule rules[] = { USUAL };
    static const struct {
        const char *says;
        bool passes;
        enum study_reason why;
    } rows[] = {
        { NULL, false, STUDY_WHY_NONE },
        { "NO", false, STUDY_WHY_NONE },
        { "", false, STUDY_WHY_NONE },
        { " no", false, STUDY_WHY_NONE },
        { "Y", false, STUDY_WHY_BURNED_IN }, /* in doubt */
        { "YES\\NO", false, STUDY_WHY_BURNED_IN },
        { "YES", true, STUDY_WHY_NONE },
        { "YES", false, STUDY_WHY_BURNED_IN },
        { "yes ", false, STUDY_WHY_BURNED_IN },
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        test_row("%s, %s", rows[i].says ? rows[i].says : "absent", rows[i].passes ? "deliver" : "refuse");
        rig_auto r;
        rig_init(&r, rules, ARRAY_LEN(rules));
        r.project.passes_burned_in = rows[i].passes;
        rig_start(&r);
        struct dcm d;
        dcm_begin(&d, true);
        dcm_text(&d, DICOM_SOP_CLASS_UID, DICOM_VR_UI, DCM_CT_IMAGE_STORAGE);
        dcm_text(&d, DICOM_SOP_INSTANCE_UID, DICOM_VR_UI, RIG_SOP);
        dcm_text(&d, DICOM_MODALITY, DICOM_VR_CS, "CT");
        dcm_text(&d, DICOM_MANUFACTURER, DICOM_VR_LO, "ACME");
        rig_patient(&d);
        rig_uids(&d);
        if (rows[i].says)
            dcm_text(&d, DICOM_BURNED_IN_ANNOTATION, DICOM_VR_CS, rows[i].says);
        CHECK_INT(rig_run(&r, dcm_str(&d)), rows[i].why == STUDY_WHY_NONE ? DEID_EMIT : DEID_FILTERED);
        CHECK_INT(r.res.why, rows[i].why);
        CHECK_STR(str_of(r.res.where), rows[i].why == STUDY_WHY_NONE ? "" : "(0028,0301)");
        dcm_done(&d);
    }
}

/* One instance with these filters; a NULL text: the element is absent.  character_set may be NULL. */
struct filtered {
    const char *character_set, *description, *manufacturer, *number, *modality;
};
static enum study_reason why_filtered(struct rig *r, const struct filtered *f)
{
    struct dcm d;
    dcm_begin(&d, true);
    if (f->character_set)
        dcm_text(&d, DICOM_SPECIFIC_CHARACTER_SET, DICOM_VR_CS, f->character_set);
    dcm_text(&d, DICOM_SOP_CLASS_UID, DICOM_VR_UI, DCM_CT_IMAGE_STORAGE);
    dcm_text(&d, DICOM_SOP_INSTANCE_UID, DICOM_VR_UI, RIG_SOP);
    if (f->modality)
        dcm_text(&d, DICOM_MODALITY, DICOM_VR_CS, f->modality);
    if (f->manufacturer)
        dcm_text(&d, DICOM_MANUFACTURER, DICOM_VR_LO, f->manufacturer);
    if (f->description)
        dcm_text(&d, DICOM_SERIES_DESCRIPTION, DICOM_VR_LO, f->description);
    rig_patient(&d);
    rig_uids(&d);
    if (f->number)
        dcm_text(&d, DICOM_SERIES_NUMBER, DICOM_VR_IS, f->number);
    enum deid_verdict v = rig_run(r, dcm_str(&d));
    CHECK_INT(v, r->res.why == STUDY_WHY_NONE ? DEID_EMIT : DEID_FILTERED);
    dcm_done(&d);
    return r->res.why;
}

static void filters_start(struct rig *r, const char *const *filters, size_t n,
                          const struct project_manufacturer *makers, size_t n_makers)
{
    static const struct project_tag_rule rules[] = { USUAL, RULE(0x0008, 0x0005, KEEP) };
    rig_init(r, rules, ARRAY_LEN(rules));
    r->project.min_instances_per_series = 1;
    r->project.series_filters = filters;
    r->project.n_series_filters = n;
    if (makers != NULL) {
        r->project.manufacturers = makers;
        r->project.n_manufacturers = n_makers;
    }
    rig_start(r);
}

/* DCMD-06, DCMD-18: the rows of test_should_exclude_series for its project, with the reason where one is left out. */
static void test_filters__should_exclude_series__rows_of_the_reference(void)
{
    static const int64_t excluded[] = { 123456789 };
    static const char *const filters[] = { "LOCALIZER", "LOCALISER", "SCOUT", "POSITIONING" };
    static const struct {
        const char *description, *manufacturer, *number;
        enum study_reason why;
    } rows[] = {
        { "", "Company", "1", STUDY_WHY_NONE },
        { "whatever", "Company", "1", STUDY_WHY_NONE },
        { NULL, "Company", "1", STUDY_WHY_NONE },
        { "whatever", "Company", NULL, STUDY_WHY_SERIES_NUMBER },
        { "whatever", "Company", "", STUDY_WHY_SERIES_NUMBER },
        { "positioning", "Company", "1", STUDY_WHY_SERIES_DESCRIPTION },
        { "foo_barpositioning", "Company", "1", STUDY_WHY_SERIES_DESCRIPTION },
        { "positioningla", "Company", "1", STUDY_WHY_SERIES_DESCRIPTION },
        { "scout", "Company", "1", STUDY_WHY_SERIES_DESCRIPTION },
        { "localiser", "Company", "1", STUDY_WHY_SERIES_DESCRIPTION },
        { "localizer", "Company", "1", STUDY_WHY_SERIES_DESCRIPTION },
        { "lOcALIsER", "Company", "1", STUDY_WHY_SERIES_DESCRIPTION },
        { "", "DifferentCompany", "1", STUDY_WHY_MANUFACTURER },
        { "", NULL, "1", STUDY_WHY_NO_MANUFACTURER },
        { "", "", "1", STUDY_WHY_NO_MANUFACTURER },
        { "", "Company", "123456789", STUDY_WHY_SERIES_NUMBER },
        { "", "Company", "12345678", STUDY_WHY_NONE },
        { "", "Philips", "123456789", STUDY_WHY_NONE },
    };
    struct project_manufacturer makers[] = {
        { .pattern = rig_pattern("^carestream") },
        { .pattern = rig_pattern("^company"), .exclude_series_numbers = excluded, .n_exclude = ARRAY_LEN(excluded) },
        { .pattern = rig_pattern("^philips") },
    };
    rig_auto r;
    filters_start(&r, filters, ARRAY_LEN(filters), makers, ARRAY_LEN(makers));
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        test_row("%zu %s", i, rows[i].description ? rows[i].description : "(none)");
        const struct filtered f = { NULL, rows[i].description, rows[i].manufacturer, rows[i].number, "CT" };
        CHECK_INT(why_filtered(&r, &f), rows[i].why);
    }
    for (size_t i = 0; i < ARRAY_LEN(makers); i++)
        pattern_free(makers[i].pattern);
}

/* CORE-CFG-11: {nak, Badg}, none, and the empty filter, which leaves out every series that has a description. */
static void test_filters__series_filtering__rows_of_the_reference(void)
{
    static const char *const animals[] = { "NAK", "BADG" }, *const empty[] = { "" };
    static const struct {
        const char *const *filters;
        size_t n;
        const char *description;
        enum study_reason why;
    } rows[] = {
        { NULL, 0, "Badger", STUDY_WHY_NONE },
        { NULL, 0, "", STUDY_WHY_NONE },
        { animals, 2, "Badger", STUDY_WHY_SERIES_DESCRIPTION },
        { animals, 2, "Snake", STUDY_WHY_SERIES_DESCRIPTION },
        { animals, 2, "Mushroom", STUDY_WHY_NONE },
        { animals, 2, "", STUDY_WHY_NONE },
        { animals, 2, NULL, STUDY_WHY_NONE },
        { empty, 1, "Mushroom", STUDY_WHY_SERIES_DESCRIPTION },
        { empty, 1, "", STUDY_WHY_SERIES_DESCRIPTION },
        { empty, 1, NULL, STUDY_WHY_NONE },
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        test_row("%zu %s", i, rows[i].description ? rows[i].description : "(none)");
        rig_auto r;
        filters_start(&r, rows[i].filters, rows[i].n, NULL, 0);
        const struct filtered f = { NULL, rows[i].description, "ACME", "1", "CT" };
        CHECK_INT(why_filtered(&r, &f), rows[i].why);
    }
}

static void test_filters__case_is_folded_beyond_ascii(void)
{
    static const char *const filters[] = { "R\u00d6NTGEN", "\u0415\u0421\u041a\u0418\u0417", "GROSSE" };
    static const struct {
        const char *set, *description;
        enum study_reason why;
    } rows[] = {
        { "ISO_IR 100", "Thorax r\xf6ntgen ap", STUDY_WHY_SERIES_DESCRIPTION },
        { "ISO_IR 100", "R\xd6NTGEN", STUDY_WHY_SERIES_DESCRIPTION },
        { "ISO_IR 192", "r\u00f6Ntgen", STUDY_WHY_SERIES_DESCRIPTION },
        { "ISO_IR 144", "\xd5\xe1\xda\xd8\xd7 1", STUDY_WHY_SERIES_DESCRIPTION },
        { "ISO_IR 100",
          "gro\xdf"
          "e",
          STUDY_WHY_SERIES_DESCRIPTION },
        { NULL, "r\xf6ntgen", STUDY_WHY_SERIES_DESCRIPTION }, /* Latin-1 that does not say so */
        { "ISO_IR 100", "rontgen", STUDY_WHY_NONE },
        { "ISO_IR 144", "r\xf6ntgen", STUDY_WHY_NONE }, /* a Cyrillic letter there */
        { "ISO_IR 192", "R\u00d6NTGE", STUDY_WHY_NONE },
    };
    rig_auto r;
    filters_start(&r, filters, ARRAY_LEN(filters), NULL, 0);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        test_row("%zu", i);
        const struct filtered f = { rows[i].set, rows[i].description, "ACME", "1", "CT" };
        CHECK_INT(why_filtered(&r, &f), rows[i].why);
    }
}

/* DCMD-16: letter by letter, any of the project's; several values are none of them. */
static void test_filters__drop_unspecified_modalities__exactly(void)
{
    static const char *const modalities[] = { "DX", "CR" };
    static const struct {
        const char *modality;
        enum study_reason why;
    } rows[] = {
        { "DX", STUDY_WHY_NONE },      { "CR", STUDY_WHY_NONE },     { " CR ", STUDY_WHY_NONE },
        { "MR", STUDY_WHY_MODALITY },  { "dx", STUDY_WHY_MODALITY }, { "DX\\CR", STUDY_WHY_MODALITY },
        { "DXX", STUDY_WHY_MODALITY }, { "D", STUDY_WHY_MODALITY },  { "", STUDY_WHY_MODALITY },
        { NULL, STUDY_WHY_MODALITY },
    };
    rig_auto r;
    filters_start(&r, NULL, 0, NULL, 0);
    r.project.modalities = modalities;
    r.project.n_modalities = ARRAY_LEN(modalities);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        test_row("%zu %s", i, rows[i].modality ? rows[i].modality : "(none)");
        const struct filtered f = { NULL, "t2", "ACME", "1", rows[i].modality };
        CHECK_INT(why_filtered(&r, &f), rows[i].why);
    }
}

static void test_filters__series_can_be_left_out_unread(void)
{
    static const struct project_tag_rule rules[] = { USUAL };
    rig_auto r;
    rig_init(&r, rules, ARRAY_LEN(rules));
    r.args.series_uids = phi_text(STR("1.2.3\\1.2.4"));
    rig_start(&r);
    struct pixl_error err = { 0 };
    enum study_reason why;
    REQUIRE_OK(deid_study_expect_series(r.study, phi_text(STR("1.2.3")), 1, &err), err);
    REQUIRE_OK(deid_study_expect_series(r.study, phi_text(STR("1.2.4")), 1, &err), err);
    REQUIRE_OK(deid_study_expect_series(r.study, phi_text(STR("1.2.4")), 2, &err), err);
    deid_study_series_wanted(r.study, phi_text(STR("1.2.3")), &why);
    CHECK_INT(why, STUDY_WHY_TOO_FEW_INSTANCES);
    deid_study_series_wanted(r.study, phi_text(STR("1.2.4 ")), &why);
    CHECK_INT(why, STUDY_WHY_NONE);
    deid_study_series_wanted(r.study, phi_text(STR("1.2.5")), &why);
    CHECK_INT(why, STUDY_WHY_SERIES_NOT_REQUESTED);
}

#define CLASS(last) "1.2.840.10008.5.1.4.1.1." last
struct picture {
    const char *sop_class, *image_type, *conversion, *says;
    enum { REFUSES, PASSES, CLEANS } project;
    bool is_left_out;
};

/* What becomes of it when its Burned In Annotation says that; NULL: it is absent. */
static enum deid_verdict verdict_of_picture(const struct picture *p, const char *says, enum study_reason *why)
{
    static const struct project_tag_rule rules[] = { USUAL };
    static const char *const recipes[] = { "us.yaml" };
    rig_auto r;
    rig_init(&r, rules, ARRAY_LEN(rules));
    r.project.passes_burned_in = p->project == PASSES;
    r.project.deid_recipes = recipes;
    r.project.n_deid_recipes = p->project == CLEANS;
    rig_start(&r);
    struct dcm d;
    dcm_begin(&d, true);
    if (p->image_type)
        dcm_text(&d, DICOM_IMAGE_TYPE, DICOM_VR_CS, p->image_type);
    dcm_text(&d, DICOM_SOP_CLASS_UID, DICOM_VR_UI, p->sop_class);
    dcm_text(&d, DICOM_SOP_INSTANCE_UID, DICOM_VR_UI, RIG_SOP);
    dcm_text(&d, DICOM_MODALITY, DICOM_VR_CS, "CT");
    if (p->conversion)
        dcm_text(&d, DICOM_CONVERSION_TYPE, DICOM_VR_CS, p->conversion);
    dcm_text(&d, DICOM_MANUFACTURER, DICOM_VR_LO, "ACME");
    rig_patient(&d);
    rig_uids(&d);
    if (says)
        dcm_text(&d, DICOM_BURNED_IN_ANNOTATION, DICOM_VR_CS, says);
    const enum deid_verdict verdict = rig_run(&r, dcm_str(&d));
    *why = r.res.why;
    dcm_done(&d);
    return verdict;
}

/* Pictures of screens, films and documents, by SOP class, Image Type or Conversion Type, that do not say that they hold
 * no text, are taken as if they said that they do; here a project that cleans pixels refuses both, as there are none. */
static void test_filters__leave_out_pictures_of_nobody_knows_what(void)
{
    static const struct picture rows[] = {
        { CLASS("7"), NULL, NULL, NULL, REFUSES, true },
        { CLASS("7.1"), NULL, NULL, "", REFUSES, true },
        { CLASS("7.2"), NULL, NULL, NULL, REFUSES, true },
        { CLASS("7.3"), NULL, NULL, NULL, REFUSES, true },
        { CLASS("7.4"), "ORIGINAL\\PRIMARY", "SYN", NULL, REFUSES, true },
        { CLASS("7"), "DERIVED\\SECONDARY\\SCREEN SAVE", "WSD", NULL, REFUSES, true },
        { CLASS("7"), NULL, NULL, "NO", REFUSES, false },
        { CLASS("7"), NULL, NULL, "YES", REFUSES, true },
        { CLASS("7"), NULL, NULL, NULL, PASSES, false },
        { CLASS("7"), NULL, NULL, NULL, CLEANS, true },
        { CLASS("77.1.6"), NULL, NULL, NULL, REFUSES, false }, /* a slide: of the same beginning */
        { CLASS("2"), "DERIVED\\SECONDARY\\SCREEN SAVE", NULL, NULL, REFUSES, true },
        { CLASS("2"), "DERIVED\\SECONDARY\\AXIAL\\ Screen_Save ", NULL, NULL, REFUSES, true },
        { CLASS("2"), "DERIVED\\SECONDARY\\SCREENSAVE", NULL, NULL, REFUSES, true },
        { CLASS("2"), "DERIVED\\SECONDARY\\\\SCREENSHOT\\X", NULL, "", REFUSES, true },
        { CLASS("2"), "DERIVED\\SECONDARY\\SCREENSHOT", NULL, NULL, PASSES, false },
        { CLASS("2"), "DERIVED\\SECONDARY\\SCREENSHOT", NULL, "no", REFUSES, false },
        { CLASS("2"), "DERIVED\\SECONDARY\\SCREEN", NULL, NULL, REFUSES, false },
        { CLASS("2"), "DERIVED\\SECONDARY\\MPR", NULL, NULL, REFUSES, false },
        { CLASS("2"), "", "", NULL, REFUSES, false },
        { CLASS("2"), NULL, "DV", NULL, REFUSES, true },
        { CLASS("2"), NULL, "DF", NULL, REFUSES, true },
        { CLASS("2"), NULL, "WSD", NULL, REFUSES, true },
        { CLASS("2"), NULL, "SD", NULL, REFUSES, true },
        { CLASS("2"), NULL, " si ", NULL, REFUSES, true },
        { CLASS("2"), NULL, "SYN\\DRW", NULL, REFUSES, true },
        { CLASS("2"), NULL, "DI", NULL, REFUSES, false },
        { CLASS("2"), NULL, "SYN", NULL, REFUSES, false },
        { CLASS("2"), NULL, "WSD", "NO", REFUSES, false },
        { CLASS("2"), NULL, "WSD", NULL, CLEANS, true },
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        test_row("%zu %s, %s, %s", i, rows[i].sop_class, rows[i].image_type ? rows[i].image_type : "no type",
                 rows[i].conversion ? rows[i].conversion : "no conversion");
        enum study_reason why, why_of_yes;
        const enum deid_verdict yes = verdict_of_picture(&rows[i], "YES", &why_of_yes);
        CHECK_INT(verdict_of_picture(&rows[i], rows[i].says, &why), rows[i].is_left_out ? yes : DEID_EMIT);
        CHECK_INT(why, rows[i].is_left_out ? why_of_yes : STUDY_WHY_NONE);
        CHECK(yes != DEID_EMIT || rows[i].project == PASSES);
    }
}

int main(int argc, char **argv)
{
    static const struct test_case tests[] = {
        TEST(test_filters__leave_out_in_the_order_of_the_reference),
        TEST(test_filters__leave_out_what_says_that_it_holds_text),
        TEST(test_filters__should_exclude_series__rows_of_the_reference),
        TEST(test_filters__series_filtering__rows_of_the_reference),
        TEST(test_filters__case_is_folded_beyond_ascii),
        TEST(test_filters__drop_unspecified_modalities__exactly),
        TEST(test_filters__series_can_be_left_out_unread),
        TEST(test_filters__leave_out_pictures_of_nobody_knows_what),
    };
    return test_main(argc, argv, tests, ARRAY_LEN(tests));
}
