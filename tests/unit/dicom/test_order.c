/* Data sets whose tags do not ascend are sorted as DCMTK sorts them: the first of two counts. */
#include "samples.h"

#include <string.h>

static void add_item(struct dcm *d, uint32_t marker)
{
    dcm_item_begin(d, true);
    dcm_u32(d, 0x00409003, marker + 3);
    dcm_u32(d, 0x00400001, marker + 1);
    dcm_seq_begin(d, 0x00400260, false);
    dcm_item_begin(d, false);
    dcm_u32(d, 0x00180060, marker + 9);
    dcm_u32(d, 0x00180050, marker + 8);
    dcm_item_end(d);
    dcm_seq_end(d);
    dcm_u32(d, 0x00400001, marker + 2);
    dcm_item_end(d);
}

static uint32_t number(struct dicom_file *f, int64_t i)
{
    struct pixl_error err = { 0 };
    struct str v = { "", 0 };
    REQUIRE(i >= 0);
    REQUIRE_OK(dicom_value(f, (uint32_t)i, &v, &err), err);
    REQUIRE(v.n == 4);
    return (uint32_t)(unsigned char)v.p[0];
}

/* Patient, slice thickness, two items without order in a sequence, modality, patient again, group length. */
static void build_unordered(struct dcm *d, bool is_explicit)
{
    dcm_begin(d, is_explicit);
    dcm_text(d, DICOM_PATIENT_ID, DICOM_VR_LO, "first");
    dcm_text(d, 0x00180050, DICOM_VR_DS, "5");
    dcm_seq_begin(d, 0x00081140, true);
    add_item(d, 10);
    dcm_item_begin(d, false);
    dcm_u32(d, 0x00400001, 21);
    dcm_u32(d, 0x00400005, 25);
    dcm_item_end(d);
    dcm_seq_end(d);
    dcm_text(d, DICOM_MODALITY, DICOM_VR_CS, "CT");
    dcm_text(d, DICOM_PATIENT_ID, DICOM_VR_LO, "second");
    dcm_u32(d, 0x00100000, 99);
}

static void test_order__every_level_is_sorted(void)
{
    static const struct {
        uint32_t tag;
        uint16_t depth;
        uint8_t marks;
    } want[] = {
        { 0x00080060, 0, 0 },
        { 0x00081140, 0, 0 },
        { DICOM_TAG_ITEM, 1, DICOM_IS_UNORDERED },
        { 0x00400001, 1, 0 },
        { 0x00400001, 1, DICOM_IS_DUPLICATE },
        { 0x00400260, 1, 0 },
        { DICOM_TAG_ITEM, 2, DICOM_IS_UNORDERED },
        { 0x00180050, 2, 0 },
        { 0x00180060, 2, 0 },
        { 0x00409003, 1, 0 },
        { DICOM_TAG_ITEM, 1, 0 },
        { 0x00400001, 1, 0 },
        { 0x00400005, 1, 0 },
        { 0x00100000, 0, 0 },
        { 0x00100020, 0, 0 },
        { 0x00100020, 0, DICOM_IS_DUPLICATE },
        { 0x00180050, 0, 0 },
    };
    for (int is_explicit = 0; is_explicit < 2; is_explicit++) {
        struct pixl_error err = { 0 };
        struct arena a;
        struct dcm d;
        struct dicom_file f;
        arena_init(&a, ARENA_MAX);
        build_unordered(&d, is_explicit);
        REQUIRE_OK(parse(&d, &a, &f, &err), err);
        CHECK_STR(str_of(dcm_check_structure(&f)), "");
        REQUIRE(f.n_elements - f.meta_end == ARRAY_LEN(want));
        for (uint32_t i = 0; i < ARRAY_LEN(want); i++) {
            const struct dicom_element *e = &f.elements[f.meta_end + i];
            test_row("explicit %d, element %u", is_explicit, (unsigned)i);
            CHECK_INT(e->tag, want[i].tag);
            CHECK_INT(e->depth, want[i].depth);
            CHECK_INT(e->flags & (DICOM_IS_DUPLICATE | DICOM_IS_UNORDERED), want[i].marks);
        }
        struct str v;
        bool found;
        CHECK(CHECK_OK(dicom_text(&f, DICOM_PATIENT_ID, &v, &found, &err), err) && str_eq(v, STR("first")));
        uint32_t item = (uint32_t)dicom_find(&f, DICOM_NO_PARENT, 0x00081140) + 1;
        CHECK_INT(number(&f, dicom_find(&f, item, 0x00400001)), 11);
        CHECK_INT(number(&f, dicom_find(&f, item, 0x00409003)), 13);
        uint32_t inner = (uint32_t)dicom_find(&f, item, 0x00400260) + 1;
        CHECK_INT(number(&f, dicom_find(&f, inner, 0x00180050)), 18);
        CHECK_INT(number(&f, dicom_find(&f, inner, 0x00180060)), 19);
        CHECK_INT(number(&f, dicom_find(&f, f.elements[item].end, 0x00400005)), 25);
        dcm_done(&d);
        arena_done(&a);
    }
}

/* Thousands of elements in any order, each five times: the first of each is found, and nothing else. */
static void test_order__the_first_of_many_is_found(void)
{
    enum { N = 2000, COPIES = 5, STEP = 769 }; /* coprime: each of N once a round */
    struct pixl_error err = { 0 };
    struct arena a;
    struct dcm d;
    struct dicom_file f;
    arena_init(&a, ARENA_MAX);
    dcm_begin(&d, true);
    for (uint32_t i = 0; i < N * COPIES; i++)
        dcm_u32(&d, 0x00110001 + 2 * (i * STEP % N), 1 + i / N);
    REQUIRE_OK(parse(&d, &a, &f, &err), err);
    CHECK_STR(str_of(dcm_check_structure(&f)), "");
    for (uint32_t i = 0; i < N; i++) {
        test_row("%u", (unsigned)i);
        CHECK_INT(number(&f, dicom_find(&f, DICOM_NO_PARENT, 0x00110001 + 2 * i)), 1);
        CHECK_INT(dicom_find(&f, DICOM_NO_PARENT, 0x00110002 + 2 * i), -1);
    }
    dcm_done(&d);
    arena_done(&a);
}

static void test_order__file_meta_too(void)
{
    struct pixl_error err = { 0 };
    struct arena a;
    struct dcm d;
    struct dicom_file f;
    struct str v;
    bool found;
    arena_init(&a, ARENA_MAX);
    dcm_begin(&d, true);
    dcm_text(&d, DICOM_META_SOP_INSTANCE_UID, DICOM_VR_UI, "1.9.9");
    dcm_text(&d, DICOM_META_TRANSFER_SYNTAX, DICOM_VR_UI, DCM_EXPLICIT_LE);
    dcm_text(&d, DICOM_MODALITY, DICOM_VR_CS, "CT");
    REQUIRE_OK(parse(&d, &a, &f, &err), err);
    CHECK_STR(str_of(dcm_check_structure(&f)), "");
    CHECK(CHECK_OK(dicom_text(&f, DICOM_META_SOP_INSTANCE_UID, &v, &found, &err), err) && str_eq(v, STR("1.2.3.4")));
    CHECK_INT(f.elements[f.meta_end].tag, DICOM_MODALITY);
    dcm_done(&d);
    arena_done(&a);
}

/* An index stops at a tag only while tags ascend. */
static void test_order__until_goes_on_where_there_is_no_order(void)
{
    static const struct {
        const char *name;
        bool is_deflated, is_first_ordered;
        bool has_patient;
    } rows[] = {
        { "without order", false, false, true },
        { "in order so far", false, true, false },
        { "deflated, without order", true, false, true },
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct pixl_error err = { 0 };
        struct arena a;
        struct dcm d;
        struct dicom_file f;
        struct str v;
        bool found;
        test_row("%s", rows[i].name);
        arena_init(&a, ARENA_MAX);
        dcm_begin_syntax(&d, rows[i].is_deflated ? DCM_DEFLATED_LE : DCM_EXPLICIT_LE, DCM_CT_IMAGE_STORAGE, "1.2.3.4");
        dcm_text(&d, DICOM_MODALITY, DICOM_VR_CS, "CT");
        if (!rows[i].is_first_ordered)
            dcm_text(&d, DICOM_SOP_INSTANCE_UID, DICOM_VR_UI, "1.2.3.4");
        dcm_text(&d, DICOM_STUDY_UID, DICOM_VR_UI, "1.2.3");
        dcm_pixels_native(&d, 200000);
        dcm_text(&d, DICOM_PATIENT_ID, DICOM_VR_LO, "4711");
        if (rows[i].is_deflated)
            dcm_deflate(&d);
        struct dicom_source s = dicom_source_bytes(dcm_bytes_of(&d), dcm_size(&d));
        REQUIRE_OK(dicom_parse_until(&s, &DICOM_LIMITS_DEFAULT, DICOM_STUDY_UID, &a, &f, &err), err);
        CHECK_STR(str_of(dcm_check_structure(&f)), "");
        CHECK(CHECK_OK(dicom_text(&f, DICOM_PATIENT_ID, &v, &found, &err), err) && found == rows[i].has_patient);
        dcm_done(&d);
        arena_done(&a);
    }
}

int main(int argc, char **argv)
{
    static const struct test_case tests[] = {
        TEST(test_order__every_level_is_sorted),
        TEST(test_order__the_first_of_many_is_found),
        TEST(test_order__file_meta_too),
        TEST(test_order__until_goes_on_where_there_is_no_order),
    };
    return test_main(argc, argv, tests, ARRAY_LEN(tests));
}
