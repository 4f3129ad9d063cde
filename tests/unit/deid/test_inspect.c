/* Instances that others de-identified: what of their study's row is found in them, and what of them is written. */
#include "deid/inspect.h"

#include <string.h>

#include "deid_rig.h"

#define PSEUDO_STUDY   "1.2.826.0.1.3680043.8.498.123"
#define PSEUDO_SERIES  "2.25.7"
#define PSEUDO_SOP     "2.25.8"
#define PSEUDO_PATIENT "f00dbeef"
#define ACCESSION      "ACC-0815-22"

struct looked {
    struct arena in_arena, out_arena;
    struct buf bytes;
    struct dicom_file in, out;
    struct deid_result res;
};

static void looked_init(struct looked *l)
{
    *l = (struct looked){ 0 };
    arena_init(&l->in_arena, 64u << 20);
    arena_init(&l->out_arena, 64u << 20);
    buf_init(&l->bytes, 64u << 20);
}

static void looked_done(struct looked *l)
{
    arena_done(&l->in_arena);
    arena_done(&l->out_arena);
    buf_done(&l->bytes);
}
#define looked_auto PIXL_CLEANUP(looked_done) struct looked

static struct deid_inspection *inspection_of(const char *patient)
{
    static const struct phi_text nothing = { { 0 } };
    const struct phi_text uids[] = { phi_text(STR(RIG_STUDY)), nothing, phi_text(STR("1.2.3.55.1\\" RIG_SERIES)) };
    const struct deid_inspection_args args = { .mrn = phi_text(STR(RIG_MRN)),
                                               .accession_number = phi_text(STR(ACCESSION)),
                                               .original_uids = uids,
                                               .n_original_uids = ARRAY_LEN(uids),
                                               .pseudo_study_uid = STR(PSEUDO_STUDY),
                                               .patient = str_of(patient) };
    struct pixl_error err = { 0 };
    struct deid_inspection *s = NULL;
    REQUIRE_OK(deid_inspection_new(&args, &s, &err), err);
    return s;
}

static enum deid_verdict look(struct looked *l, struct deid_inspection *s, struct str bytes)
{
    struct pixl_error err = { 0 };
    arena_reset(&l->in_arena);
    arena_reset(&l->out_arena);
    buf_clear(&l->bytes);
    const struct dicom_source source = dicom_source_bytes(bytes.p, bytes.n);
    REQUIRE_OK(dicom_parse(&source, &DICOM_LIMITS_DEFAULT, &l->in_arena, &l->in, &err), err);
    REQUIRE_OK(deid_inspect(s, &l->in, &l->in_arena, &l->res, &err), err);
    if (l->res.verdict != DEID_EMIT)
        return l->res.verdict;
    REQUIRE_OK(dcm_plan_collect(&l->res.plan, &l->in.source, &l->bytes, &err), err);
    CHECK_INT(l->bytes.n, l->res.plan.size_bytes);
    const struct dicom_source again = dicom_source_bytes(l->bytes.p, l->bytes.n);
    REQUIRE_OK(dicom_parse(&again, &DICOM_LIMITS_DEFAULT, &l->out_arena, &l->out, &err), err);
    CHECK(dcm_check_structure(&l->out) == NULL);
    return DEID_EMIT;
}

/* What differs from an instance in which nothing is left; NULL: nothing does. */
struct difference {
    const char *study, *series, *sop, *class, *patient, *comment;
    void (*add)(struct dcm *d); /* behind the UIDs: tags above (0020,4000), below (0028,0000) */
    void (*pixels)(struct dcm *d);
};

static void text_unless_empty(struct dcm *d, uint32_t tag, enum dicom_vr vr, const char *text, const char *usual)
{
    text = text != NULL ? text : usual;
    if (text[0] != '\0')
        dcm_text(d, tag, vr, text);
}

static void build(struct dcm *d, const char *syntax, const struct difference *x)
{
    dcm_begin_syntax(d, syntax, DCM_CT_IMAGE_STORAGE, RIG_SOP);
    dcm_u32(d, 0x00080000, 100);
    text_unless_empty(d, DICOM_SOP_CLASS_UID, DICOM_VR_UI, x->class, DCM_CT_IMAGE_STORAGE);
    text_unless_empty(d, DICOM_SOP_INSTANCE_UID, DICOM_VR_UI, x->sop, PSEUDO_SOP);
    dcm_text(d, DICOM_MODALITY, DICOM_VR_CS, "CT");
    dcm_text(d, DICOM_PATIENT_NAME, DICOM_VR_PN, "ANONYMIZED");
    text_unless_empty(d, DICOM_PATIENT_ID, DICOM_VR_LO, x->patient, PSEUDO_PATIENT);
    text_unless_empty(d, DICOM_STUDY_UID, DICOM_VR_UI, x->study, PSEUDO_STUDY);
    text_unless_empty(d, DICOM_SERIES_UID, DICOM_VR_UI, x->series, PSEUDO_SERIES);
    dcm_text(d, 0x00204000, DICOM_VR_LT, x->comment != NULL ? x->comment : "nothing of note");
    if (x->add != NULL)
        x->add(d);
    dcm_u16(d, DICOM_SAMPLES_PER_PIXEL, 1);
    dcm_text(d, DICOM_PHOTOMETRIC_INTERPRETATION, DICOM_VR_CS, "MONOCHROME2");
    dcm_u16(d, DICOM_ROWS, 8);
    dcm_u16(d, DICOM_COLUMNS, 8);
    dcm_u16(d, DICOM_BITS_ALLOCATED, 16);
    if (x->pixels != NULL)
        x->pixels(d);
    else
        dcm_pixels_native(d, 128);
}

static void nested(struct dcm *d)
{
    dcm_seq_begin(d, 0x00209221, true);
    dcm_item_begin(d, true);
    dcm_seq_begin(d, 0x00209222, false);
    dcm_item_begin(d, false);
    dcm_text(d, 0x00209421, DICOM_VR_LO, "of " RIG_MRN);
    dcm_item_end(d);
    dcm_seq_end(d);
    dcm_item_end(d);
    dcm_seq_end(d);
}

static void private_bytes(struct dcm *d)
{
    static const char bytes[] = "\1\2\3\0" ACCESSION "\0\4\5";
    dcm_text(d, 0x00210010, DICOM_VR_LO, "MAKER");
    dcm_bytes(d, 0x00211001, DICOM_VR_OB, bytes, sizeof bytes - 1);
}

static void private_bytes_of_nobody(struct dcm *d)
{
    dcm_text(d, 0x00210010, DICOM_VR_LO, "MAKER");
    dcm_bytes(d, 0x00211001, DICOM_VR_OB, "\1\2\3", 4);
    dcm_seq_begin(d, 0x00211002, false);
    dcm_seq_end(d);
}

/* Without a creator nobody knows what it is; it is searched all the same. */
static void orphan(struct dcm *d)
{
    dcm_text(d, 0x00211001, DICOM_VR_UN, RIG_MRN " ");
}

static void doubled(struct dcm *d)
{
    dcm_text(d, 0x00204000, DICOM_VR_LT, RIG_MRN);
}

static void behind_samples(struct dcm *d)
{
    uint8_t bytes[128 + 24] = { 0 };
    memset(bytes, 0x11, 128);
    memcpy(bytes + 128, RIG_MRN, sizeof RIG_MRN - 1);
    dcm_bytes(d, DICOM_PIXEL_DATA, DICOM_VR_OW, bytes, sizeof bytes);
}

static void hidden(struct dcm *d)
{
    static const uint8_t item[] = { 0xFE, 0xFF, 0x00, 0xE0, 4, 0, 0, 0, 1, 2, 3, 4 };
    dcm_bytes(d, 0x00211001, DICOM_VR_OB, item, sizeof item);
}

static void test_inspect__finds_what_the_row_knows(void)
{
    static const struct {
        const char *what;
        struct difference x;
        const char *where;
    } rows[] = {
        { "MRN in a text", { .comment = "as " RIG_MRN " had" }, "(0020,4000)" },
        { "MRN without its letters", { .comment = "no. 471108" }, "(0020,4000)" },
        { "accession number", { .comment = ACCESSION }, "(0020,4000)" },
        { "study UID", { .comment = RIG_STUDY }, "(0020,4000)" },
        { "series UID as series", { .series = RIG_SERIES }, "(0020,000E)" },
        { "first of the series as instance", { .sop = "1.2.3.55.1" }, "(0008,0018)" },
        { "instance below the study", { .sop = RIG_SOP }, "(0008,0018)" },
        { "in an item of an item", { .add = nested }, "(0020,9221)[0].(0020,9222)[0].(0020,9421)" },
        { "in private bytes", { .add = private_bytes }, "(0021,1001)" },
        { "in private text of nobody", { .add = orphan }, "(0021,1001)" },
        { "in an element that is there twice", { .add = doubled }, "(0020,4000)" },
        { "behind the samples", { .pixels = behind_samples }, "(7FE0,0010)" },
    };
    static const char *const syntaxes[] = { DCM_EXPLICIT_LE, DCM_IMPLICIT_LE, DCM_EXPLICIT_BE };
    looked_auto l;
    looked_init(&l);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        for (size_t k = 0; k < ARRAY_LEN(syntaxes); k++) {
            struct dcm d;
            PIXL_CLEANUP(deid_inspection_freep) struct deid_inspection *s = inspection_of(PSEUDO_PATIENT);
            test_row("%s, %s", rows[i].what, syntaxes[k]);
            build(&d, syntaxes[k], &rows[i].x);
            CHECK_INT(look(&l, s, dcm_str(&d)), DEID_RESIDUE);
            CHECK_INT(l.res.why, STUDY_WHY_RESIDUE);
            CHECK_STR(str_of(l.res.where), rows[i].where);
            dcm_done(&d);
        }
}

static void test_inspect__refuses_what_is_anothers_or_cannot_be_judged(void)
{
    static const struct {
        const char *what;
        struct difference x;
        enum deid_verdict verdict;
        enum study_reason why;
        const char *where;
    } rows[] = {
        { "another study", { .study = "2.25.9" }, DEID_MISMATCH, STUDY_WHY_IDENTITY_MISMATCH, "" },
        { "the original study", { .study = RIG_STUDY }, DEID_MISMATCH, STUDY_WHY_IDENTITY_MISMATCH, "" },
        { "another patient", { .patient = "cafe" }, DEID_MISMATCH, STUDY_WHY_IDENTITY_MISMATCH, "" },
        { "no patient", { .patient = "" }, DEID_MISMATCH, STUDY_WHY_IDENTITY_MISMATCH, "" },
        { "no study", { .study = "" }, DEID_REFUSED, STUDY_WHY_MISSING_ATTRIBUTE, "(0020,000D)" },
        { "no series", { .series = "" }, DEID_REFUSED, STUDY_WHY_MISSING_ATTRIBUTE, "(0020,000E)" },
        { "no instance UID", { .sop = "" }, DEID_REFUSED, STUDY_WHY_MISSING_ATTRIBUTE, "(0008,0018)" },
        { "no class", { .class = "" }, DEID_REFUSED, STUDY_WHY_MISSING_ATTRIBUTE, "(0008,0016)" },
        { "a path as series", { .series = "../../etc" }, DEID_REFUSED, STUDY_WHY_UNSUPPORTED_VALUE, "(0020,000E)" },
        { "two series", { .series = "2.25.7\\2.25.8" }, DEID_REFUSED, STUDY_WHY_UNSUPPORTED_VALUE, "(0020,000E)" },
        { "a UID of the standard",
          { .sop = "1.2.840.10008.1.1" },
          DEID_REFUSED,
          STUDY_WHY_UNSUPPORTED_VALUE,
          "(0008,0018)" },
        { "a hidden sequence", { .add = hidden }, DEID_REFUSED, STUDY_WHY_UNSUPPORTED_VALUE, "(0021,1001)" },
    };
    looked_auto l;
    looked_init(&l);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct dcm d;
        PIXL_CLEANUP(deid_inspection_freep) struct deid_inspection *s = inspection_of(PSEUDO_PATIENT);
        test_row("%s", rows[i].what);
        build(&d, DCM_EXPLICIT_LE, &rows[i].x);
        CHECK_INT(look(&l, s, dcm_str(&d)), rows[i].verdict);
        CHECK_INT(l.res.why, rows[i].why);
        CHECK_STR(str_of(l.res.where), rows[i].where);
        dcm_done(&d);
    }
}

/* Every value passes as it is, private ones too; preamble, file meta and group lengths do not. */
static void test_inspect__writes_the_data_set_and_nothing_around_it(void)
{
    static const struct difference clean = { .add = nested };
    static const char *const syntaxes[] = { DCM_EXPLICIT_LE, DCM_IMPLICIT_LE, DCM_EXPLICIT_BE, DCM_DEFLATED_LE };
    static const struct phi_text no_uids[1] = { { { 0 } } };
    const struct deid_inspection_args args = { .original_uids = no_uids,
                                               .n_original_uids = 1,
                                               .pseudo_study_uid = STR(PSEUDO_STUDY) };
    looked_auto l;
    looked_init(&l);
    for (size_t i = 0; i < ARRAY_LEN(syntaxes); i++) {
        struct pixl_error err = { 0 };
        struct dcm d;
        PIXL_CLEANUP(deid_inspection_freep) struct deid_inspection *s = NULL;
        test_row("%s", syntaxes[i]);
        REQUIRE_OK(deid_inspection_new(&args, &s, &err), err);
        build(&d, syntaxes[i], &clean);
        if (strcmp(syntaxes[i], DCM_DEFLATED_LE) == 0)
            dcm_deflate(&d);
        REQUIRE(look(&l, s, dcm_str(&d)) == DEID_EMIT);
        CHECK_STR(str_of(l.res.series_uid), PSEUDO_SERIES);
        CHECK_STR(str_of(l.res.sop_uid), PSEUDO_SOP);
        CHECK(l.res.pixels_compressed == (strcmp(syntaxes[i], DCM_DEFLATED_LE) == 0));
        CHECK_INT(l.out.n_elements - l.out.meta_end, l.in.n_elements - l.in.meta_end - 1);
        CHECK_INT(dicom_find(&l.out, DICOM_NO_PARENT, 0x00080000), -1);
        for (uint32_t k = l.in.meta_end + 1, o = l.out.meta_end; k < l.in.n_elements; k++, o++) {
            struct str a, b;
            CHECK_INT(l.out.elements[o].tag, l.in.elements[k].tag);
            REQUIRE_OK(dicom_value(&l.in, k, &a, &err), err);
            REQUIRE_OK(dicom_value(&l.out, o, &b, &err), err);
            CHECK(str_eq(a, b));
        }
        for (size_t k = 0; k < 128; k++)
            REQUIRE(l.bytes.p[k] == 0);
        struct str meta;
        const int64_t at = dicom_find(&l.out, DICOM_NO_PARENT, 0x00020003);
        REQUIRE(at >= 0);
        REQUIRE_OK(dicom_value(&l.out, (uint32_t)at, &meta, &err), err);
        CHECK_STR(dicom_uid_trim(meta), PSEUDO_SOP);
        dcm_done(&d);
    }
}

/* One inspection looks at a whole study; a hit is one instance's. */
static void test_inspect__goes_on_after_a_hit(void)
{
    static const struct difference clean = { .comment = NULL }, dirty = { .comment = RIG_MRN };
    PIXL_CLEANUP(deid_inspection_freep) struct deid_inspection *s = inspection_of("");
    looked_auto l;
    looked_init(&l);
    struct dcm a, b;
    build(&a, DCM_EXPLICIT_LE, &clean);
    build(&b, DCM_EXPLICIT_LE, &dirty);
    for (int i = 0; i < 3; i++) {
        CHECK_INT(look(&l, s, dcm_str(&a)), DEID_EMIT);
        CHECK_INT(look(&l, s, dcm_str(&b)), DEID_RESIDUE);
    }
    dcm_done(&a);
    dcm_done(&b);
}

static void test_inspect__writes_zeros_where_bytes_are_reserved(void)
{
    struct deid_inspection *s = inspection_of(PSEUDO_PATIENT);
    looked_auto l;
    looked_init(&l);
    struct dcm d;
    size_t n;
    build(&d, DCM_EXPLICIT_LE, &(struct difference){ .comment = "kept", .add = private_bytes_of_nobody });
    REQUIRE(look(&l, s, dcm_str(&d)) == DEID_EMIT);
    struct buf expected;
    buf_init(&expected, 1u << 20);
    REQUIRE(buf_add(&expected, l.bytes.p, l.bytes.n));
    char *filled = rig_fill_reserved(&d, &n);
    REQUIRE(n >= 3 && look(&l, s, (struct str){ filled, dcm_size(&d) }) == DEID_EMIT);
    CHECK(str_eq(buf_str(&l.bytes), buf_str(&expected)));
    free(filled);
    buf_done(&expected);
    dcm_done(&d);
    deid_inspection_free(s);
}

int main(int argc, char **argv)
{
    static const struct test_case tests[] = {
        TEST(test_inspect__finds_what_the_row_knows),
        TEST(test_inspect__refuses_what_is_anothers_or_cannot_be_judged),
        TEST(test_inspect__writes_the_data_set_and_nothing_around_it),
        TEST(test_inspect__writes_zeros_where_bytes_are_reserved),
        TEST(test_inspect__goes_on_after_a_hit),
    };
    return test_main(argc, argv, tests, ARRAY_LEN(tests));
}
