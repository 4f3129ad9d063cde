#include "pipeline/deid_report.h"

#include <fcntl.h>
#include <unistd.h>

#include "pipeline/deid_report_internal.h"
#include "site_rig.h"

static struct pixl_error err;

static void test_deid_report__text_comes_out_valid_and_visible(void)
{
    static const struct { const char *name, *in, *want; } rows[] = {
        { "plain", "Head & <b>", "Head & <b>" },
        { "empty", "", "" },
        { "controls", "a\x1b[31m\n\x7f", "a\xE2\x90\x9B[31m\xE2\x90\x8A\xE2\x90\xA1" },
        { "two bytes", "M\xC3\xBCller", "M\xC3\xBCller" },
        { "four bytes", "\xF0\x9F\xA9\xBB", "\xF0\x9F\xA9\xBB" },
        { "no UTF-8", "M\xFCller", "M\xEF\xBF\xBDller" },
        { "control of the second kind", "a\xC2\x9B" "b", "a\xEF\xBF\xBD" "b" },
        { "right to left override", "a\xE2\x80\xAE" "b", "a\xEF\xBF\xBD" "b" },
        { "no character", "a\xEF\xBF\xBF", "a\xEF\xBF\xBD" },
        { "surrogate", "\xED\xA0\x80", "\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD" },
        { "cut between characters", "1234567890\xC3\xBC" "34", "1234567890\xC3\xBC\xE2\x80\xA6" },
        { "just fits", "12345678901", "12345678901" },
    };
    struct arena a;
    arena_init(&a, 65536);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        test_row("%s", rows[i].name);
        const char *got = report_clean(&a, str_of(rows[i].in), 11);
        REQUIRE(got != NULL);
        CHECK_STR(str_of(got), rows[i].want);
        CHECK(str_is_utf8(str_of(got)));
    }
    CHECK_STR(str_of(report_clean(&a, (struct str){ "a\0b", 3 }, 11)), "a\xE2\x90\x80" "b");
    arena_done(&a);
}

static void test_deid_report__wrong_options_are_refused(void)
{
    static const struct { const char *path, *instance; bool ok; } rows[] = {
        { "a.html", NULL, true },  { "a.json", "1", true },  { "x/y.json", "18446744073709551615", true },
        { "a.htm", NULL, false },  { "a", NULL, false },     { ".html", NULL, false },
        { "x/.json", NULL, false },{ "", NULL, false },      { "a.html", "0", false },
        { "a.html", "", false },   { "a.html", "-1", false },{ "a.html", "no-such-file", false },
        { "a.html", ".", false },
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        const struct deid_report_options o = { rows[i].path, rows[i].instance, "0" };
        test_row("%s %s", o.path, o.instance ? o.instance : "-");
        if (rows[i].ok)
            CHECK_OK(deid_report_check(&o, &err), err);
        else
            CHECK_FAILS(deid_report_check(&o, &err), err, PIXL_E_INVALID);
    }
}

static void test_deid_report__what_is_not_finished_leaves_nothing(void)
{
    const struct deid_report_options o = { test_path("r.html"), NULL, "0" };
    const struct deid_report_options nowhere = { test_path("no/r.html"), NULL, "0" };
    struct deid_report *r = NULL;
    size_t hidden;
    REQUIRE_OK(deid_report_open(&o, &r, &err), err);
    CHECK_INT(rig_count(".", &hidden), 0);
    CHECK_INT(hidden, 1);
    deid_report_free(r);
    CHECK_INT(rig_count(".", &hidden), 0);
    CHECK_INT(hidden, 0);
    r = NULL;
    CHECK(!deid_report_open(&nowhere, &r, &err) && r == NULL);
    pixl_error_clear(&err);
    REQUIRE(mkdir(test_path("r.html"), 0700) == 0);
    CHECK_FAILS(deid_report_open(&o, &r, &err), err, PIXL_E_INVALID);
}

static void test_deid_report__list_of_left_out_is_bounded(void)
{
    const struct deid_report_options o = { test_path("r.json"), NULL, "0" };
    struct deid_report *r = NULL;
    REQUIRE_OK(deid_report_open(&o, &r, &err), err);
    for (int i = 0; i < LEFT_OUT_MAX + 7; i++)
        deid_report_left_out(r, i == 3 ? STUDY_WHY_RESIDUE : STUDY_WHY_UNSUPPORTED_VALUE, "(0010,0010)");
    CHECK_INT(r->n_left_out, LEFT_OUT_MAX);
    CHECK_INT(r->n_left_out_unlisted, 7);
    CHECK_STR(str_of(r->left_out[2].where), "(0010,0010)");
    CHECK_STR(str_of(r->left_out[3].where), "");               /* where identity was found is not told */
    deid_report_free(r);
    deid_report_left_out(NULL, STUDY_WHY_MODALITY, "");
    deid_report_end_study(NULL, true);
    CHECK(deid_report_counts(NULL) == NULL);
}

/* Rows of a hostile instance are bounded, and its sample goes with a withheld study. */
static void test_deid_report__sample_is_bounded_and_goes_with_its_study(void)
{
    enum { MANY = SAMPLE_ROWS_MAX + 500 };
    const struct deid_report_options o = { test_path("r.json"), NULL, "0" };
    const struct dicom_limits limits = DICOM_LIMITS_DEFAULT;
    static uint8_t actions[MANY + 16];       /* all kept */
    struct deid_report *r = NULL;
    struct dicom_source source;
    struct dicom_file f;
    struct arena arena;
    struct dcm d;
    dcm_begin(&d, true);
    for (uint32_t i = 0; i < MANY; i++)
        dcm_text(&d, 0x00290000 + 0x2000 + i, DICOM_VR_LO, "<script>");
    dcm_save(&d, test_path("f"));
    dcm_done(&d);
    arena_init(&arena, 64 << 20);
    int fd = open(test_path("f"), O_RDONLY);
    REQUIRE_OK(dicom_source_fd(fd, &source, &err) && dicom_parse(&source, &limits, &arena, &f, &err), err);
    REQUIRE_OK(deid_report_open(&o, &r, &err), err);
    REQUIRE_OK(deid_report_instance(r, fd, &f, actions, test_path("f"), &err), err);
    CHECK_INT(r->sample_number, 1);
    CHECK_INT(r->sample.n, SAMPLE_ROWS_MAX);
    CHECK_INT(r->sample.n + r->sample.n_unlisted, f.n_elements);
    deid_report_end_study(r, false);
    CHECK_INT(r->sample_number, 0);
    CHECK_INT(r->sample.n + r->sample.n_unlisted, 0);
    REQUIRE_OK(deid_report_instance(r, fd, &f, actions, test_path("f"), &err), err);
    deid_report_end_study(r, true);
    CHECK_INT(r->sample_number, 1);
    REQUIRE_OK(deid_report_instance(r, fd, &f, actions, test_path("absent"), &err), err);      /* not asked for: not read */
    CHECK_INT(r->sample_number, 1);
    (void)close(fd);
    deid_report_free(r);
    arena_done(&arena);
}

static void test_deid_report__values_are_shown_as_their_vr_and_character_set_say(void)
{
    static const struct { uint32_t tag; const char *want; } rows[] = {
        { 0x00100010, "M\xC3\xBCller^A" },               /* ISO_IR 100 */
        { 0x00100020, "" },
        { 0x00081030, "\xCE\xB1" },                      /* of the item: ISO_IR 192 */
        { 0x00180010, "1.5\\-2" }, { 0x00180011, "0.25" }, { 0x00180012, "-3" }, { 0x00180013, "4294967295" },
        { 0x00180014, "-5" }, { 0x00180015, "65535\\1" }, { 0x00180016, NULL }, { 0x00180017, NULL },
        { 0x00180018, "many lines\xE2\x90\x8Athere" },
    };
    const struct deid_report_options o = { test_path("r.json"), NULL, "0" };
    const struct dicom_limits limits = DICOM_LIMITS_DEFAULT;
    static const uint8_t actions[64];        /* all kept */
    struct deid_report *r = NULL;
    struct dicom_source source;
    struct dicom_file f;
    struct arena arena;
    struct dcm d;
    dcm_begin(&d, true);
    dcm_text(&d, DICOM_SPECIFIC_CHARACTER_SET, DICOM_VR_CS, "ISO_IR 100");
    dcm_seq_begin(&d, 0x00081110, true);
    dcm_item_begin(&d, false);
    dcm_text(&d, DICOM_SPECIFIC_CHARACTER_SET, DICOM_VR_CS, "ISO_IR 192");
    dcm_text(&d, 0x00081030, DICOM_VR_LO, "\xCE\xB1");
    dcm_item_end(&d);
    dcm_seq_end(&d);
    dcm_text(&d, 0x00100010, DICOM_VR_PN, "M\xFCller^A");
    dcm_text(&d, 0x00100020, DICOM_VR_LO, "");
    dcm_bytes(&d, 0x00180010, DICOM_VR_FL, (const float[]){ 1.5F, -2.0F }, 8);
    dcm_bytes(&d, 0x00180011, DICOM_VR_FD, (const double[]){ 0.25 }, 8);
    dcm_bytes(&d, 0x00180012, DICOM_VR_SS, (const int16_t[]){ -3 }, 2);
    dcm_u32(&d, 0x00180013, UINT32_MAX);
    dcm_bytes(&d, 0x00180014, DICOM_VR_SL, (const int32_t[]){ -5 }, 4);
    dcm_bytes(&d, 0x00180015, DICOM_VR_US, (const uint16_t[]){ 65535, 1 }, 4);
    dcm_fill(&d, 0x00180016, DICOM_VR_US, 1000);           /* a table */
    dcm_fill(&d, 0x00180017, DICOM_VR_OB, 4);
    dcm_text(&d, 0x00180018, DICOM_VR_LT, "many lines\nthere");
    dcm_save(&d, test_path("f"));
    dcm_done(&d);
    arena_init(&arena, 64 << 20);
    int fd = open(test_path("f"), O_RDONLY);
    REQUIRE_OK(dicom_source_fd(fd, &source, &err) && dicom_parse(&source, &limits, &arena, &f, &err), err);
    REQUIRE_OK(deid_report_open(&o, &r, &err), err);
    REQUIRE_OK(deid_report_instance(r, fd, &f, actions, test_path("f"), &err), err);
    size_t found = 0;
    for (size_t i = 0; i < r->sample.n; i++)
        for (size_t k = 0; k < ARRAY_LEN(rows); k++) {
            const struct sample_row *row = &r->sample.rows[i];
            if (row->tag != rows[k].tag)
                continue;
            test_row("%s", row->path);
            found++;
            CHECK((row->after == NULL) == (rows[k].want == NULL));
            if (row->after != NULL && rows[k].want != NULL)
                CHECK_STR(str_of(row->after), rows[k].want);
        }
    CHECK_INT(found, ARRAY_LEN(rows));
    (void)close(fd);
    deid_report_free(r);
    arena_done(&arena);
}

int main(int argc, char **argv)
{
    static const struct test_case tests[] = {
        TEST(test_deid_report__text_comes_out_valid_and_visible),
        TEST(test_deid_report__wrong_options_are_refused),
        TEST(test_deid_report__what_is_not_finished_leaves_nothing),
        TEST(test_deid_report__list_of_left_out_is_bounded),
        TEST(test_deid_report__sample_is_bounded_and_goes_with_its_study),
        TEST(test_deid_report__values_are_shown_as_their_vr_and_character_set_say),
    };
    return test_main(argc, argv, tests, ARRAY_LEN(tests));
}
