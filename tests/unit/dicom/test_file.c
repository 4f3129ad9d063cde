#include "dicom/file.h"

#include <string.h>

#include "dicom_build.h"
#include "dicom_check.h"
#include "test.h"

enum { ARENA_MAX = 256 << 20 };

static bool parse(const struct dcm *d, struct arena *a, struct dicom_file *f, struct pixl_error *err)
{
    struct dicom_source s = dicom_source_bytes(dcm_bytes_of(d), dcm_size(d));
    return dicom_parse(&s, &DICOM_LIMITS_DEFAULT, a, f, err);
}

/* Elements, sequences of both lengths within each other, private elements, pixels. */
static void build_rich(struct dcm *d, bool is_undefined)
{
    dcm_text(d, DICOM_SPECIFIC_CHARACTER_SET, DICOM_VR_CS, "ISO_IR 100");
    dcm_text(d, DICOM_SOP_CLASS_UID, DICOM_VR_UI, DCM_CT_IMAGE_STORAGE);
    dcm_text(d, DICOM_SOP_INSTANCE_UID, DICOM_VR_UI, "1.2.3.4");
    dcm_text(d, DICOM_MODALITY, DICOM_VR_CS, "CT");
    dcm_seq_begin(d, 0x00081140, is_undefined);
    dcm_item_begin(d, is_undefined);
    dcm_text(d, 0x00081150, DICOM_VR_UI, "1.2.3");
    dcm_seq_begin(d, 0x0040A170, !is_undefined);
    dcm_item_begin(d, is_undefined);
    dcm_text(d, 0x00080100, DICOM_VR_SH, "121320");
    dcm_item_end(d);
    dcm_item_begin(d, !is_undefined);
    dcm_item_end(d);
    dcm_seq_end(d);
    dcm_item_end(d);
    dcm_seq_end(d);
    dcm_seq_begin(d, 0x00082112, is_undefined);
    dcm_seq_end(d);
    dcm_text(d, 0x00090010, DICOM_VR_LO, "ACME 1.1");
    dcm_bytes(d, 0x00091001, DICOM_VR_UN, "opaque", 6);
    dcm_text(d, DICOM_PATIENT_NAME, DICOM_VR_PN, "Doe^Jane");
    dcm_u16(d, 0x00280010, 512);
    dcm_pixels_native(d, 64);
}

static void test_file__lists_elements_in_order(void)
{
    static const struct { uint32_t tag; uint16_t depth; uint32_t parent, end; } want[] = {
        { 0x00080005, 0, DICOM_NO_PARENT, 1 }, { 0x00080016, 0, DICOM_NO_PARENT, 2 },
        { 0x00080018, 0, DICOM_NO_PARENT, 3 }, { 0x00080060, 0, DICOM_NO_PARENT, 4 },
        { 0x00081140, 0, DICOM_NO_PARENT, 11 },
        { DICOM_TAG_ITEM, 1, 4, 11 }, { 0x00081150, 1, 5, 7 }, { 0x0040A170, 1, 5, 11 },
        { DICOM_TAG_ITEM, 2, 7, 10 }, { 0x00080100, 2, 8, 10 }, { DICOM_TAG_ITEM, 2, 7, 11 },
        { 0x00082112, 0, DICOM_NO_PARENT, 12 }, { 0x00090010, 0, DICOM_NO_PARENT, 13 },
        { 0x00091001, 0, DICOM_NO_PARENT, 14 }, { 0x00100010, 0, DICOM_NO_PARENT, 15 },
        { 0x00280010, 0, DICOM_NO_PARENT, 16 }, { 0x7FE00010, 0, DICOM_NO_PARENT, 17 },
    };
    for (unsigned kind = 0; kind < 4; kind++) {
        struct pixl_error err = { 0 };
        struct arena a;
        struct dcm d;
        struct dicom_file f;
        test_row("explicit=%u undefined=%u", kind & 1, kind >> 1);
        arena_init(&a, ARENA_MAX);
        dcm_begin(&d, kind & 1);
        build_rich(&d, kind >> 1);
        REQUIRE_OK(parse(&d, &a, &f, &err), err);
        CHECK(f.has_preamble && f.has_meta && f.syntax->is_explicit == ((kind & 1) != 0));
        uint32_t m = f.meta_end;
        CHECK_INT(m, 6);
        REQUIRE(f.n_elements == m + ARRAY_LEN(want));
        for (uint32_t i = 0; i < ARRAY_LEN(want); i++) {
            const struct dicom_element *e = &f.elements[m + i];
            uint32_t parent = want[i].parent == DICOM_NO_PARENT ? DICOM_NO_PARENT : want[i].parent + m;
            CHECK(e->tag == want[i].tag && e->depth == want[i].depth);
            CHECK(e->parent == parent && e->end == want[i].end + m);
        }
        CHECK(dcm_check_structure(&f) == NULL);
        arena_done(&a);
        dcm_done(&d);
    }
}

static void test_file__finds_tags_and_gives_values(void)
{
    struct pixl_error err = { 0 };
    struct arena a;
    struct dcm d;
    struct dicom_file f;
    struct str s;
    bool found;
    arena_init(&a, ARENA_MAX);
    dcm_begin(&d, true);
    build_rich(&d, true);
    REQUIRE_OK(parse(&d, &a, &f, &err), err);
    CHECK(CHECK_OK(dicom_text(&f, DICOM_PATIENT_NAME, &s, &found, &err), err) && found);
    CHECK_STR(s, "Doe^Jane");
    CHECK(CHECK_OK(dicom_text(&f, DICOM_META_SOP_INSTANCE_UID, &s, &found, &err), err) && found);
    CHECK_STR(s, "1.2.3.4");
    CHECK(CHECK_OK(dicom_text(&f, DICOM_PATIENT_ID, &s, &found, &err), err) && !found && s.n == 0);
    int64_t seq = dicom_find(&f, DICOM_NO_PARENT, 0x00081140);
    REQUIRE(seq > 0 && (f.elements[seq].flags & (DICOM_IS_SEQUENCE | DICOM_IS_UNDEFINED)) != 0);
    int64_t uid = dicom_find(&f, (uint32_t)seq + 1, 0x00081150);
    REQUIRE(uid > 0);
    CHECK(CHECK_OK(dicom_value(&f, (uint32_t)uid, &s, &err), err) && s.n == 6 && memcmp(s.p, "1.2.3", 6) == 0);
    CHECK_INT(dicom_find(&f, DICOM_NO_PARENT, 0x00081150), -1);
    CHECK_INT(dicom_find(&f, DICOM_NO_PARENT, 0xFFFFFFFF), -1);
    CHECK_INT(dicom_find(&f, (uint32_t)seq + 1, 0x00080100), -1);
    int64_t private = dicom_find(&f, DICOM_NO_PARENT, 0x00091001);
    REQUIRE(private > 0);
    CHECK_INT(dicom_private_creator(&f, (uint32_t)private), private - 1);
    CHECK_INT(dicom_private_creator(&f, (uint32_t)private - 1), -1);
    CHECK_INT(dicom_private_creator(&f, (uint32_t)seq), -1);
    arena_done(&a);
    dcm_done(&d);
}

static void check_same(const struct dcm *d, struct arena *a, const struct dicom_file *f)
{
    struct pixl_error err = { 0 };
    struct dicom_plan p;
    buf_auto out;
    buf_init(&out, 256 << 20);
    dicom_plan_init(&p, a);
    REQUIRE_OK(dcm_plan_again(f, &p, &err), err);
    REQUIRE_OK(dcm_plan_collect(&p, &f->source, &out, &err), err);
    CHECK(p.size_bytes == dcm_size(d) && str_eq(buf_str(&out), dcm_str(d)));
}

static void ok_rich(struct dcm *d) { dcm_begin(d, true); build_rich(d, true); }
static void ok_rich_defined(struct dcm *d) { dcm_begin(d, true); build_rich(d, false); }
static void ok_rich_implicit(struct dcm *d) { dcm_begin(d, false); build_rich(d, true); }
static void ok_rich_implicit_defined(struct dcm *d) { dcm_begin(d, false); build_rich(d, false); }
static void ok_bare(struct dcm *d) { dcm_begin_bare(d, true); build_rich(d, true); }
static void ok_bare_implicit(struct dcm *d) { dcm_begin_bare(d, false); build_rich(d, false); }
static void ok_meta_without_preamble(struct dcm *d)
{
    struct dcm whole;
    dcm_begin(&whole, true);
    build_rich(&whole, true);
    dcm_begin_bare(d, true);
    dcm_raw(d, dcm_str(&whole).p + 132, dcm_size(&whole) - 132);
    dcm_done(&whole);
}
static void ok_meta_without_syntax(struct dcm *d)
{
    char preamble[132] = { 0 };
    memcpy(preamble + 128, "DICM", 4);
    dcm_begin_bare(d, true);
    dcm_raw(d, preamble, sizeof preamble);
    dcm_text(d, DICOM_META_SOP_INSTANCE_UID, DICOM_VR_UI, "1.2.3.4");
    build_rich(d, true);
}
static void ok_encapsulated(struct dcm *d)
{
    dcm_begin_syntax(d, DCM_JPEG_BASELINE, DCM_CT_IMAGE_STORAGE, "1.2.3.4");
    dcm_text(d, DICOM_MODALITY, DICOM_VR_CS, "CT");
    dcm_seq_begin(d, 0x00880200, true);             /* an icon with fragments of its own */
    dcm_item_begin(d, true);
    dcm_pixels_encapsulated(d, 1, 10);
    dcm_item_end(d);
    dcm_item_begin(d, true); /* and one of bare pixels */
    dcm_pixels_native(d, 10);
    dcm_item_end(d);
    dcm_seq_end(d);
    dcm_pixels_encapsulated(d, 3, 100);
}
static void add_un_sequences(struct dcm *d)
{
    dcm_text(d, DICOM_MODALITY, DICOM_VR_CS, "CT");
    dcm_text(d, 0x00090010, DICOM_VR_LO, "ACME 1.1");
    dcm_un_begin(d, 0x00091010, DICOM_VR_UN, true);
    dcm_item_begin(d, true);
    dcm_text(d, 0x00080100, DICOM_VR_SH, "121320");
    dcm_seq_begin(d, 0x00081140, false);
    dcm_item_begin(d, false);
    dcm_text(d, 0x00081150, DICOM_VR_UI, "1.2.3");
    dcm_item_end(d);
    dcm_seq_end(d);
    dcm_item_end(d);
    dcm_un_end(d);
    dcm_text(d, DICOM_PATIENT_NAME, DICOM_VR_PN, "Doe^Jane");
}
static void ok_un_sequence(struct dcm *d)
{
    dcm_begin(d, true);
    add_un_sequences(d);
}
static void begin_big_endian(struct dcm *d)
{
    dcm_begin_syntax(d, DCM_EXPLICIT_BE, DCM_CT_IMAGE_STORAGE, "1.2.3.4");
}
static void ok_big_endian(struct dcm *d)
{
    begin_big_endian(d);
    build_rich(d, true);
}
static void ok_big_endian_defined(struct dcm *d)
{
    begin_big_endian(d);
    build_rich(d, false);
}
static void ok_bare_big_endian(struct dcm *d)
{
    dcm_begin_bare_big_endian(d);
    build_rich(d, true);
}
static void ok_big_endian_un_sequence(struct dcm *d)
{
    begin_big_endian(d);
    add_un_sequences(d);
}
static void ok_odd_lengths(struct dcm *d)
{
    dcm_begin(d, true);
    dcm_header(d, DICOM_MODALITY, DICOM_VR_CS, 3);
    dcm_raw(d, "ABC", 3);
    dcm_header(d, DICOM_PIXEL_DATA, DICOM_VR_OB, 5);
    dcm_raw(d, "12345", 5);
}
static void ok_group_lengths(struct dcm *d)
{
    dcm_begin(d, true);
    dcm_u32(d, 0x00080000, 99);
    dcm_text(d, DICOM_MODALITY, DICOM_VR_CS, "CT");
    dcm_u32(d, 0x00080000, 99);
    dcm_u32(d, 0x00100000, 99);
    dcm_text(d, DICOM_PATIENT_ID, DICOM_VR_LO, "1");
}
static void ok_trailing_padding(struct dcm *d) { ok_rich(d); dcm_fill(d, 0xFFFCFFFC, DICOM_VR_OB, 100); }
static void ok_zeros(struct dcm *d)
{
    static const char zeros[65536];
    ok_rich(d);
    dcm_raw(d, zeros, sizeof zeros);
}
static void ok_one_zero(struct dcm *d) { ok_rich_implicit(d); dcm_raw(d, "", 1); }

static const struct { const char *name; void (*build)(struct dcm *d);
} good[] = {
    { "explicit, undefined lengths", ok_rich },
    { "explicit, defined lengths", ok_rich_defined },
    { "implicit, undefined lengths", ok_rich_implicit },
    { "implicit, defined lengths", ok_rich_implicit_defined },
    { "bare explicit", ok_bare },
    { "bare implicit", ok_bare_implicit },
    { "meta without preamble", ok_meta_without_preamble },
    { "meta without syntax", ok_meta_without_syntax },
    { "big endian, undefined lengths", ok_big_endian },
    { "big endian, defined lengths", ok_big_endian_defined },
    { "bare big endian", ok_bare_big_endian },
    { "UN of undefined length in big endian", ok_big_endian_un_sequence },
    { "encapsulated", ok_encapsulated },
    { "UN of undefined length", ok_un_sequence },
    { "odd lengths", ok_odd_lengths },
    { "group lengths anywhere", ok_group_lengths },
    { "trailing padding", ok_trailing_padding },
    { "zeros behind", ok_zeros },
    { "one zero behind", ok_one_zero },
};

static void test_file__what_is_read_is_written_again(void)
{
    for (size_t i = 0; i < ARRAY_LEN(good); i++) {
        struct pixl_error err = { 0 };
        struct arena a;
        struct dcm d;
        struct dicom_file f;
        test_row("%s", good[i].name);
        arena_init(&a, ARENA_MAX);
        good[i].build(&d);
        REQUIRE_OK(parse(&d, &a, &f, &err), err);
        const char *wrong = dcm_check_structure(&f);
        CHECK_STR(str_of(wrong), "");
        check_same(&d, &a, &f);
        arena_done(&a);
        dcm_done(&d);
    }
}

/* Do only zeros stand in [from, n)?  They are padding; the first byte of a big-endian group is one. */
static bool is_padding(const char *p, uint64_t from, size_t n)
{
    bool all = from <= n;
    for (uint64_t i = from; all && i < n; i++)
        all = p[i] == 0;
    return all;
}

/* A cut is accepted only where an element of the main data set ends, and then what was cut off is not there. */
static void test_file__truncation_is_refused(void)
{
    size_t accepted = 0;
    for (size_t i = 0; i < ARRAY_LEN(good) - 2; i++) {
        struct pixl_error err = { 0 };
        struct arena a, b;
        struct dcm d;
        struct dicom_file whole, f;
        arena_init(&a, ARENA_MAX);
        arena_init(&b, ARENA_MAX);
        good[i].build(&d);
        REQUIRE_OK(parse(&d, &a, &whole, &err), err);
        for (size_t n = 0; n < dcm_size(&d); n++) {
            test_row("%s cut to %zu", good[i].name, n);
            char *copy = arena_alloc(&b, n);        /* of its own, so that the sanitizer sees a step beyond */
            REQUIRE(copy != NULL);
            memcpy(copy, dcm_str(&d).p, n);
            struct dicom_source s = dicom_source_bytes(copy, n);
            bool is_clean = false;
            for (uint32_t e = whole.meta_end; e < whole.n_elements; e = whole.elements[e].end)
                is_clean = is_clean || is_padding(copy, whole.elements[e].next_offset, n);
            if (is_clean) {
                CHECK_OK(dicom_parse(&s, &DICOM_LIMITS_DEFAULT, &b, &f, &err), err);
                CHECK(f.n_elements < whole.n_elements && dcm_check_structure(&f) == NULL);
                accepted++;
            } else {
                CHECK_FAILS(dicom_parse(&s, &DICOM_LIMITS_DEFAULT, &b, &f, &err), err, PIXL_E_CORRUPT);
            }
            arena_reset(&b);
        }
        arena_done(&a);
        arena_done(&b);
        dcm_done(&d);
    }
    CHECK(accepted > 50);
}

/* Every length field, and every byte, set to hostile values: refused, or a structure that holds together. */
static void test_file__hostile_bytes_do_no_harm(void)
{
    static const uint8_t values[] = { 0x00, 0x01, 0x7F, 0x80, 0xFE, 0xFF };
    size_t refused = 0, accepted = 0;
    for (size_t i = 0; i < ARRAY_LEN(good) - 2; i++) {
        struct arena a;
        struct dcm d;
        arena_init(&a, ARENA_MAX);
        good[i].build(&d);
        size_t size = dcm_size(&d);
        for (size_t at = 0; at < size; at++)
            for (size_t v = 0; v < ARRAY_LEN(values); v++)
                for (size_t width = 1; width <= 4; width += 3) {
                    struct pixl_error err = { 0 };
                    struct dicom_file f;
                    uint8_t *copy = arena_alloc(&a, size);
                    REQUIRE(copy != NULL);
                    memcpy(copy, dcm_str(&d).p, size);
                    memset(copy + at, values[v], width < size - at ? width : size - at);
                    struct dicom_source s = dicom_source_bytes(copy, size);
                    test_row("%s: %zu bytes at %zu are %02X", good[i].name, width, at, values[v]);
                    if (dicom_parse(&s, &DICOM_LIMITS_DEFAULT, &a, &f, &err)) {
                        CHECK_STR(str_of(dcm_check_structure(&f)), "");
                        accepted++;
                    } else {
                        CHECK(err.code == PIXL_E_CORRUPT || err.code == PIXL_E_UNSUPPORTED);
                        refused++;
                    }
                    arena_reset(&a);
                }
        arena_done(&a);
        dcm_done(&d);
    }
    CHECK(refused > 1000 && accepted > 1000);
}

static void bad_empty(struct dcm *d) { dcm_begin_bare(d, true); }
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
static void bad_no_data_set(struct dcm *d) { dcm_begin(d, true); }
static void bad_only_padding(struct dcm *d) { dcm_begin(d, true); dcm_raw(d, "\0\0\0\0\0\0\0\0\0\0", 10); }
static void bad_order(struct dcm *d)
{
    dcm_begin(d, true);
    dcm_text(d, DICOM_PATIENT_ID, DICOM_VR_LO, "1");
    dcm_text(d, DICOM_MODALITY, DICOM_VR_CS, "CT");
}
static void bad_duplicate(struct dcm *d)
{
    dcm_begin(d, true);
    dcm_text(d, DICOM_PATIENT_ID, DICOM_VR_LO, "1");
    dcm_text(d, DICOM_PATIENT_ID, DICOM_VR_LO, "2");
}
static void bad_order_in_item(struct dcm *d)
{
    dcm_begin(d, true);
    dcm_seq_begin(d, 0x00081140, true);
    dcm_item_begin(d, true);
    dcm_text(d, 0x00081155, DICOM_VR_UI, "1.2");
    dcm_text(d, 0x00081150, DICOM_VR_UI, "1.2");
    dcm_item_end(d);
    dcm_seq_end(d);
}
static void bad_order_behind_sequence(struct dcm *d)
{
    dcm_begin(d, true);
    dcm_seq_begin(d, 0x00081140, true);
    dcm_seq_end(d);
    dcm_text(d, DICOM_MODALITY, DICOM_VR_CS, "CT");
}
static void bad_vr(struct dcm *d)
{
    dcm_begin(d, true);
    dcm_text(d, DICOM_MODALITY, DICOM_VR_CS, "CT");
    dcm_raw(d, "\x10\0\x10\0ZZ\2\0AB", 10);
}
static void bad_vr_null(struct dcm *d)
{
    dcm_begin(d, true);
    dcm_raw(d, "\x10\0\x10\0\0\0\2\0AB", 10);
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
static void begin_jpeg(struct dcm *d) { dcm_begin_syntax(d, DCM_JPEG_BASELINE, DCM_CT_IMAGE_STORAGE, "1.2.3.4"); }
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
static void bad_junk_behind(struct dcm *d) { ok_rich(d); dcm_raw(d, "\n", 1); }
static void bad_zeros_then_junk(struct dcm *d) { ok_rich(d); dcm_raw(d, "\0\0\0\0\0\0\0\0\0\0\1", 11); }
static void bad_too_many_zeros(struct dcm *d) { ok_zeros(d); dcm_raw(d, "", 1); }
static void bad_stray_item(struct dcm *d) { ok_rich_defined(d); dcm_mark(d, DICOM_TAG_ITEM, 0); }
static void bad_stray_item_end(struct dcm *d) { ok_rich_defined(d); dcm_mark(d, DICOM_TAG_ITEM_END, 0); }
static void bad_stray_sequence_end(struct dcm *d) { ok_rich_defined(d); dcm_mark(d, DICOM_TAG_SEQUENCE_END, 0); }
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
    dcm_u32(d, DICOM_META_GROUP_LENGTH, 0);         /* group lengths stand where they like, but not this one */
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
static void bad_many_strays(struct dcm *d)
{
    dcm_begin(d, true);
    dcm_text(d, DICOM_MODALITY, DICOM_VR_CS, "CT");
    for (int i = 0; i < 257; i++)
        dcm_u32(d, 0x00080000, 0);
}
static void bad_syntax_text(struct dcm *d) { dcm_begin_syntax(d, "explicit", "1.2", "1.2.3.4"); build_rich(d, true); }

static void test_file__damage_is_refused(void)
{
    static const struct { const char *name; void (*build)(struct dcm *d);
    } bad[] = {
        { "empty", bad_empty },
        { "text", bad_text },
        { "zeros", bad_zeros },
        { "no data set", bad_no_data_set },
        { "only padding", bad_only_padding },
        { "out of order", bad_order },
        { "duplicate", bad_duplicate },
        { "out of order in item", bad_order_in_item },
        { "out of order behind SQ", bad_order_behind_sequence },
        { "unknown VR", bad_vr },
        { "VR of NULs", bad_vr_null },
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
        { "group length as SQ", bad_group_length_sequence },
        { "many group lengths", bad_many_strays },
        { "syntax is no UID", bad_syntax_text },
    };
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

static void test_file__unsupported_syntaxes_are_named(void)
{
    static const char *const uids[] = { "1.2.840.10008.1.2.77", "1.2.840.113619.5.2", "1.2.3" };
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
        CHECK(strstr(err.msg, uids[i]) != NULL);
        CHECK_FAILS(ok, err, PIXL_E_UNSUPPORTED);
        arena_done(&a);
        dcm_done(&d);
    }
}

static void test_file__depth_has_a_limit_and_no_stack(void)
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

static void test_file__elements_have_a_limit(void)
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

/* Children of an item, with sequences and group lengths among them that hold the same tags deeper, are all found. */
static void test_file__finds_among_many(void)
{
    enum { N = 1000 };
    struct pixl_error err = { 0 };
    struct arena a;
    struct dcm d;
    struct dicom_file f;
    arena_init(&a, ARENA_MAX);
    dcm_begin(&d, true);
    dcm_seq_begin(&d, 0x00081140, true);
    dcm_item_begin(&d, true);
    for (uint32_t i = 0; i < N; i++) {
        uint32_t tag = 0x00400001 + 2 * i;
        if (i % 5 == 0)
            dcm_u32(&d, 0x00100000, 0);
        if (i % 7 != 0) {
            dcm_u16(&d, tag, 1);
            continue;
        }
        dcm_seq_begin(&d, tag, i % 2);
        for (uint32_t k = i % 4; k > 0; k--) {
            dcm_item_begin(&d, i % 2);
            dcm_u16(&d, tag - 2, 1);
            dcm_u16(&d, tag + 1, 1);
            dcm_item_end(&d);
        }
        dcm_seq_end(&d);
    }
    dcm_item_end(&d);
    dcm_seq_end(&d);
    for (uint32_t i = 0; i < N; i++)
        dcm_u16(&d, 0x00180001 + 2 * i, 1);
    REQUIRE_OK(parse(&d, &a, &f, &err), err);
    uint32_t item = f.meta_end + 1;
    for (uint32_t i = 0; i < N; i++) {
        test_row("%u", (unsigned)i);
        int64_t inner = dicom_find(&f, item, 0x00400001 + 2 * i);
        int64_t outer = dicom_find(&f, DICOM_NO_PARENT, 0x00180001 + 2 * i);
        CHECK(inner > 0 && f.elements[inner].tag == 0x00400001 + 2 * i && f.elements[inner].parent == item);
        CHECK(outer > 0 && f.elements[outer].tag == 0x00180001 + 2 * i && f.elements[outer].depth == 0);
        CHECK(dicom_find(&f, item, 0x00400002 + 2 * i) == -1);
        CHECK(dicom_find(&f, DICOM_NO_PARENT, 0x00180002 + 2 * i) == -1);
    }
    dcm_done(&d);
    arena_done(&a);
}

int main(int argc, char **argv)
{
    static const struct test_case tests[] = {
        TEST(test_file__lists_elements_in_order), TEST(test_file__finds_tags_and_gives_values),
        TEST(test_file__what_is_read_is_written_again), TEST(test_file__truncation_is_refused),
        TEST(test_file__hostile_bytes_do_no_harm), TEST(test_file__damage_is_refused),
        TEST(test_file__unsupported_syntaxes_are_named), TEST(test_file__depth_has_a_limit_and_no_stack),
        TEST(test_file__elements_have_a_limit), TEST(test_file__finds_among_many),
    };
    return test_main(argc, argv, tests, ARRAY_LEN(tests));
}
