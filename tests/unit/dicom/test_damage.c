/* What is no DICOM instance, is damaged or goes beyond a limit is refused with a code. */
#include "samples.h"

#include <string.h>

static void bad_empty(struct dcm *d)
{
    dcm_begin_bare(d, true);
}
static void bad_text(struct dcm *d)
{
    dcm_begin_bare(d, true);
    for (int i = 0; i < 30; i++)
        dcm_raw(d, "This is not an image. ", 22);
}
static void bad_zeros(struct dcm *d)
{
    static const char zeros[1000];
    dcm_begin_bare(d, true);
    dcm_raw(d, zeros, sizeof zeros);
}
static void bad_no_data_set(struct dcm *d)
{
    dcm_begin(d, true);
}
static void bad_only_padding(struct dcm *d)
{
    dcm_begin(d, true);
    dcm_raw(d, "\0\0\0\0\0\0\0\0\0\0", 10);
}
static void bad_vr(struct dcm *d)
{
    dcm_begin(d, true);
    dcm_text(d, DICOM_MODALITY, DICOM_VR_CS, "CT");
    dcm_raw(d, "\x10\0\x10\0ZZ\2\0AB", 10); /* a length of 32 bits is expected */
}
static void bad_vr_null(struct dcm *d)
{
    dcm_begin(d, true);
    dcm_raw(d, "\x10\0\x10\0\0\0\2\0AB", 10);
}
static void bad_vr_undefined(struct dcm *d)
{
    dcm_begin(d, true);
    dcm_raw(d, "\x10\0\x10\0ZZ\0\0\xFF\xFF\xFF\xFF\xFE\xFF\xDD\xE0\0\0\0\0", 20);
}
static void bad_vr_missing(struct dcm *d)
{
    dcm_begin(d, true);
    dcm_text(d, DICOM_MODALITY, DICOM_VR_CS, "CT");
    d->is_explicit = false;
    dcm_text(d, DICOM_PATIENT_ID, DICOM_VR_LO, "4711");
    d->is_explicit = true;
    dcm_text(d, DICOM_STUDY_UID, DICOM_VR_UI, "1.2");
}
static void bad_undefined_text(struct dcm *d)
{
    dcm_begin(d, false);
    dcm_header(d, DICOM_PATIENT_ID, DICOM_VR_LO, DICOM_UNDEFINED_LENGTH);
    dcm_mark(d, DICOM_TAG_SEQUENCE_END, 0);
}
static void bad_undefined_native_pixels(struct dcm *d)
{
    dcm_begin(d, true);
    dcm_pixels_encapsulated(d, 1, 10);
}
static void bad_undefined_implicit_pixels(struct dcm *d)
{
    dcm_begin(d, false);
    dcm_pixels_encapsulated(d, 1, 10);
}
static void begin_jpeg(struct dcm *d)
{
    dcm_begin_syntax(d, DCM_JPEG_BASELINE, DCM_CT_IMAGE_STORAGE, "1.2.3.4");
}
static void bad_pixels_without_end(struct dcm *d)
{
    begin_jpeg(d);
    dcm_header(d, DICOM_PIXEL_DATA, DICOM_VR_OB, DICOM_UNDEFINED_LENGTH);
    dcm_mark(d, DICOM_TAG_ITEM, 0);
}
static void bad_pixels_empty(struct dcm *d)
{
    begin_jpeg(d);
    dcm_header(d, DICOM_PIXEL_DATA, DICOM_VR_OB, DICOM_UNDEFINED_LENGTH);
    dcm_mark(d, DICOM_TAG_SEQUENCE_END, 0);
}
static void bad_pixels_as_un(struct dcm *d)
{
    begin_jpeg(d);
    dcm_header(d, DICOM_PIXEL_DATA, DICOM_VR_UN, DICOM_UNDEFINED_LENGTH);
    dcm_mark(d, DICOM_TAG_ITEM, 0);
    dcm_mark(d, DICOM_TAG_ITEM, 4);
    dcm_raw(d, "abcd", 4);
    dcm_mark(d, DICOM_TAG_SEQUENCE_END, 0);
}
static void bad_pixels_of_defined_length(struct dcm *d)
{
    begin_jpeg(d);
    dcm_pixels_native(d, 8);
}
static void bad_fragment_length(struct dcm *d)
{
    begin_jpeg(d);
    dcm_header(d, DICOM_PIXEL_DATA, DICOM_VR_OB, DICOM_UNDEFINED_LENGTH);
    dcm_mark(d, DICOM_TAG_ITEM, DICOM_UNDEFINED_LENGTH);
    dcm_mark(d, DICOM_TAG_SEQUENCE_END, 0);
}
static void bad_fragment_tag(struct dcm *d)
{
    begin_jpeg(d);
    dcm_header(d, DICOM_PIXEL_DATA, DICOM_VR_OB, DICOM_UNDEFINED_LENGTH);
    dcm_mark(d, DICOM_TAG_ITEM, 0);
    dcm_mark(d, DICOM_PATIENT_ID, 0);
    dcm_mark(d, DICOM_TAG_SEQUENCE_END, 0);
}
static void bad_junk_behind(struct dcm *d)
{
    ok_rich(d);
    dcm_raw(d, "\n", 1);
}
static void bad_zeros_then_junk(struct dcm *d)
{
    ok_rich(d);
    dcm_raw(d, "\0\0\0\0\0\0\0\0\0\0\1", 11);
}
static void bad_too_many_zeros(struct dcm *d)
{
    static const char zeros[65537];
    ok_rich(d);
    dcm_raw(d, zeros, sizeof zeros);
}
static void bad_stray_item(struct dcm *d)
{
    ok_rich_defined(d);
    dcm_mark(d, DICOM_TAG_ITEM, 0);
}
static void bad_stray_item_end(struct dcm *d)
{
    ok_rich_defined(d);
    dcm_mark(d, DICOM_TAG_ITEM_END, 0);
}
static void bad_stray_sequence_end(struct dcm *d)
{
    ok_rich_defined(d);
    dcm_mark(d, DICOM_TAG_SEQUENCE_END, 0);
}
static void bad_group_zero_in_item(struct dcm *d)
{
    dcm_begin(d, false);
    dcm_seq_begin(d, 0x00081140, true);
    dcm_item_begin(d, true);
    dcm_mark(d, 0, 0);
    dcm_item_end(d);
    dcm_seq_end(d);
}
static void bad_delimiter_in_defined(struct dcm *d)
{
    dcm_begin(d, true);
    dcm_seq_begin(d, 0x00081140, false);
    dcm_mark(d, DICOM_TAG_SEQUENCE_END, 0);
    dcm_seq_end(d);
}
static void bad_element_in_sequence(struct dcm *d)
{
    dcm_begin(d, true);
    dcm_seq_begin(d, 0x00081140, true);
    dcm_text(d, 0x00081150, DICOM_VR_UI, "1.2.3");
    dcm_seq_end(d);
}
static void bad_item_beyond_sequence(struct dcm *d)
{
    dcm_begin(d, true);
    dcm_header(d, 0x00081140, DICOM_VR_SQ, 8);
    dcm_mark(d, DICOM_TAG_ITEM, 14);
    dcm_text(d, 0x00081150, DICOM_VR_UI, "1.2.3");
}
static void bad_element_beyond_item(struct dcm *d)
{
    dcm_begin(d, true);
    dcm_header(d, 0x00081140, DICOM_VR_SQ, 8 + 12);
    dcm_mark(d, DICOM_TAG_ITEM, 12);
    dcm_text(d, 0x00081150, DICOM_VR_UI, "1.2.3");
}
static void bad_undefined_item_in_defined_sequence(struct dcm *d)
{
    dcm_begin(d, true);
    dcm_header(d, 0x00081140, DICOM_VR_SQ, 8 + 14);
    dcm_mark(d, DICOM_TAG_ITEM, DICOM_UNDEFINED_LENGTH);
    dcm_text(d, 0x00081150, DICOM_VR_UI, "1.2.3");
    dcm_mark(d, DICOM_TAG_ITEM_END, 0);
}
static void bad_big_endian_called_little(struct dcm *d)
{
    dcm_begin(d, true);
    d->is_big_endian = true;
    build_rich(d, true);
}
static void bad_little_endian_called_big(struct dcm *d)
{
    begin_big_endian(d);
    d->is_big_endian = false;
    build_rich(d, true);
}
/* Implicit big endian is no syntax. */
static void bad_bare_implicit_big_endian(struct dcm *d)
{
    dcm_begin_bare_big_endian(d);
    d->is_explicit = false;
    build_rich(d, true);
}
static void bad_explicit_called_implicit(struct dcm *d)
{
    dcm_begin(d, false);
    d->is_explicit = true;
    build_rich(d, true);
}
static void bad_implicit_called_explicit(struct dcm *d)
{
    dcm_begin(d, true);
    d->is_explicit = false;
    build_rich(d, true);
}
static void bad_meta_sequence(struct dcm *d)
{
    dcm_begin(d, true);
    dcm_seq_begin(d, 0x00020101, true);
    dcm_seq_end(d);
    build_rich(d, true);
}
static void bad_group_length_sequence(struct dcm *d)
{
    dcm_begin(d, true);
    dcm_seq_begin(d, 0x00080000, true);
    dcm_seq_end(d);
}
static void bad_meta_behind(struct dcm *d)
{
    ok_rich_implicit(d);
    dcm_u32(d, DICOM_META_GROUP_LENGTH, 0);
}
static void bad_two_syntaxes(struct dcm *d)
{
    dcm_begin(d, true);
    dcm_text(d, DICOM_META_TRANSFER_SYNTAX, DICOM_VR_UI, DCM_EXPLICIT_BE);
    build_rich(d, true);
}
static void bad_meta_in_item(struct dcm *d)
{
    dcm_begin(d, true);
    dcm_seq_begin(d, 0x00081140, true);
    dcm_item_begin(d, true);
    dcm_text(d, DICOM_META_TRANSFER_SYNTAX, DICOM_VR_UI, DCM_EXPLICIT_BE);
    dcm_item_end(d);
    dcm_seq_end(d);
}
static void bad_syntax_text(struct dcm *d)
{
    dcm_begin_syntax(d, "explicit", "1.2", "1.2.3.4");
    build_rich(d, true);
}

static const struct {
    const char *name;
    void (*build)(struct dcm *d);
} bad[] = {
    { "empty", bad_empty },
    { "text", bad_text },
    { "zeros", bad_zeros },
    { "no data set", bad_no_data_set },
    { "only padding", bad_only_padding },
    { "unknown VR", bad_vr },
    { "VR of NULs", bad_vr_null },
    { "undefined length of unknown VR", bad_vr_undefined },
    { "element without VR", bad_vr_missing },
    { "text of undefined length", bad_undefined_text },
    { "native pixels of undefined length", bad_undefined_native_pixels },
    { "implicit pixels of undefined length", bad_undefined_implicit_pixels },
    { "fragments without end", bad_pixels_without_end },
    { "no offset table", bad_pixels_empty },
    { "encapsulated pixels of defined length", bad_pixels_of_defined_length },
    { "fragments as UN", bad_pixels_as_un },
    { "fragment of undefined length", bad_fragment_length },
    { "no fragment", bad_fragment_tag },
    { "junk behind", bad_junk_behind },
    { "zeros, then junk", bad_zeros_then_junk },
    { "too many zeros", bad_too_many_zeros },
    { "stray item", bad_stray_item },
    { "stray item end", bad_stray_item_end },
    { "stray sequence end", bad_stray_sequence_end },
    { "group 0000 in item", bad_group_zero_in_item },
    { "delimiter in SQ of defined length", bad_delimiter_in_defined },
    { "element in SQ", bad_element_in_sequence },
    { "item beyond its SQ", bad_item_beyond_sequence },
    { "element beyond its item", bad_element_beyond_item },
    { "undefined item cut by its SQ", bad_undefined_item_in_defined_sequence },
    { "big endian called little", bad_big_endian_called_little },
    { "little endian called big", bad_little_endian_called_big },
    { "bare implicit big endian", bad_bare_implicit_big_endian },
    { "explicit called implicit", bad_explicit_called_implicit },
    { "implicit called explicit", bad_implicit_called_explicit },
    { "SQ in meta", bad_meta_sequence },
    { "meta behind the data set", bad_meta_behind },
    { "meta in an item", bad_meta_in_item },
    { "two syntaxes", bad_two_syntaxes },
    { "group length as SQ", bad_group_length_sequence },
    { "syntax is no UID", bad_syntax_text },
};

static void test_damage__damage_is_refused(void)
{
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct pixl_error err = { 0 };
        struct arena a;
        struct dcm d;
        struct dicom_file f = { .n_elements = 4711 };
        test_row("%s", bad[i].name);
        arena_init(&a, ARENA_MAX);
        bad[i].build(&d);
        CHECK_FAILS(parse(&d, &a, &f, &err), err, PIXL_E_CORRUPT);
        CHECK_INT(f.n_elements, 4711);
        arena_done(&a);
        dcm_done(&d);
    }
}

static void test_damage__unsupported_syntaxes_are_named(void)
{
    static const char *const uids[] = { "1.2.840.10008.1.2.77", "1.2.840.113619.5.2", "1.2.826.0.1.9.4711.1" };
    for (size_t i = 0; i < ARRAY_LEN(uids); i++) {
        struct pixl_error err = { 0 };
        struct arena a;
        struct dcm d;
        struct dicom_file f;
        test_row("%s", uids[i]);
        arena_init(&a, ARENA_MAX);
        dcm_begin_syntax(&d, uids[i], DCM_CT_IMAGE_STORAGE, "1.2.3.4");
        build_rich(&d, true);
        bool ok = parse(&d, &a, &f, &err);
        CHECK_INT(strstr(err.msg, uids[i]) != NULL, i < 2); /* the last could be an instance's */
        CHECK_FAILS(ok, err, PIXL_E_UNSUPPORTED);
        arena_done(&a);
        dcm_done(&d);
    }
}

static void test_damage__depth_has_a_limit_and_no_stack(void)
{
    enum { DEPTH = 9000 };
    for (int undefined = 0; undefined < 2; undefined++) {
        struct pixl_error err = { 0 };
        struct arena a;
        struct dcm d;
        struct dicom_file f;
        test_row("undefined=%d", undefined);
        arena_init(&a, ARENA_MAX);
        dcm_begin(&d, true);
        for (int i = 0; i < DEPTH; i++) {
            dcm_seq_begin(&d, 0x00081140, undefined);
            dcm_item_begin(&d, undefined);
        }
        for (int i = 0; i < DEPTH; i++) {
            dcm_item_end(&d);
            dcm_seq_end(&d);
        }
        CHECK_FAILS(parse(&d, &a, &f, &err), err, PIXL_E_LIMIT);
        struct dicom_limits wide = DICOM_LIMITS_DEFAULT;
        struct dicom_source s = dicom_source_bytes(dcm_bytes_of(&d), dcm_size(&d));
        wide.max_depth = DEPTH;
        REQUIRE_OK(dicom_parse(&s, &wide, &a, &f, &err), err);
        CHECK_STR(str_of(dcm_check_structure(&f)), "");
        CHECK_INT(f.n_elements - f.meta_end, 2 * DEPTH);
        wide.max_depth = DEPTH - 1;
        CHECK_FAILS(dicom_parse(&s, &wide, &a, &f, &err), err, PIXL_E_LIMIT);
        arena_done(&a);
        dcm_done(&d);
    }
}

static void test_damage__elements_have_a_limit(void)
{
    struct pixl_error err = { 0 };
    struct arena a;
    struct dcm d;
    struct dicom_file f;
    arena_init(&a, ARENA_MAX);
    dcm_begin(&d, false);
    dcm_seq_begin(&d, 0x00081140, true);
    for (int i = 0; i < 10000; i++)
        dcm_mark(&d, DICOM_TAG_ITEM, 0);
    dcm_seq_end(&d);
    struct dicom_limits l = DICOM_LIMITS_DEFAULT;
    struct dicom_source s = dicom_source_bytes(dcm_bytes_of(&d), dcm_size(&d));
    l.max_elements = 10007;
    REQUIRE_OK(dicom_parse(&s, &l, &a, &f, &err), err);
    CHECK_INT(f.n_elements, 10007);
    l.max_elements = 10006;
    CHECK_FAILS(dicom_parse(&s, &l, &a, &f, &err), err, PIXL_E_LIMIT);
    arena_done(&a);
    arena_init(&a, 300000);
    CHECK_FAILS(dicom_parse(&s, &DICOM_LIMITS_DEFAULT, &a, &f, &err), err, PIXL_E_NOMEM);
    arena_done(&a);
    dcm_done(&d);
}

int main(int argc, char **argv)
{
    static const struct test_case tests[] = {
        TEST(test_damage__damage_is_refused),
        TEST(test_damage__unsupported_syntaxes_are_named),
        TEST(test_damage__depth_has_a_limit_and_no_stack),
        TEST(test_damage__elements_have_a_limit),
    };
    return test_main(argc, argv, tests, ARRAY_LEN(tests));
}
