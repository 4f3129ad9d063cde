#include "samples.h"

#include <string.h>

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
/* Sequences written as values of defined length, within each other too. */
static void add_hidden(struct dcm *d, enum dicom_vr vr, uint32_t tag)
{
    dcm_un_begin(d, tag, vr, false);
    dcm_item_begin(d, false);
    dcm_text(d, 0x00081150, DICOM_VR_UI, "1.2.3");
    dcm_seq_begin(d, 0x0040A730, true);
    dcm_item_begin(d, true);
    dcm_text(d, 0x00080100, DICOM_VR_SH, "121320");
    dcm_item_end(d);
    dcm_seq_end(d);
    dcm_item_end(d);
    dcm_item_begin(d, true);
    dcm_item_end(d);
    dcm_un_end(d);
}
static void add_all_hidden(struct dcm *d)
{
    dcm_text(d, DICOM_MODALITY, DICOM_VR_CS, "CT");
    dcm_text(d, 0x00090010, DICOM_VR_LO, "ACME 1.1");
    add_hidden(d, DICOM_VR_UN, 0x00091010);
    dcm_text(d, DICOM_PATIENT_ID, DICOM_VR_LO, "4711");
}
static void ok_hidden(struct dcm *d)
{
    dcm_begin(d, true);
    add_all_hidden(d);
}
static void ok_hidden_implicit(struct dcm *d)
{
    dcm_begin(d, false);
    add_all_hidden(d);
    add_hidden(d, DICOM_VR_OB, 0x00420011);
}
static void ok_hidden_big_endian(struct dcm *d)
{
    dcm_begin_syntax(d, DCM_EXPLICIT_BE, DCM_CT_IMAGE_STORAGE, "1.2.3.4");
    add_all_hidden(d);
}
/* What looks like a sequence and is none, in one that is: bytes, and what follows them is read. */
static void ok_hidden_bytes(struct dcm *d)
{
    dcm_begin(d, true);
    dcm_text(d, 0x00090010, DICOM_VR_LO, "ACME 1.1");
    dcm_bytes(d, 0x00091001, DICOM_VR_UN, "\xFE\xFF\0\xE0\4\0\0\0abcd", 12);
    dcm_un_begin(d, 0x00091010, DICOM_VR_UN, false);
    dcm_item_begin(d, false);
    dcm_bytes(d, 0x00091001, DICOM_VR_UN, "\xFE\xFF\0\xE0\4\0\0\0abcd", 12);
    dcm_bytes(d, 0x00091002, DICOM_VR_UN, "\xFE\xFF\0\xE0\xFF\xFF\xFF\xFF", 8);
    dcm_item_end(d);
    dcm_un_end(d);
    dcm_bytes(d, 0x00091011, DICOM_VR_OB, "\xFE\xFF\0\xE0\0\0\0\0", 8);
    dcm_text(d, DICOM_PATIENT_ID, DICOM_VR_LO, "4711");
}
/* Two characters that are no VR: (0009,xx01) to (0009,xx04). */
static void ok_strange_vrs(struct dcm *d)
{
    dcm_begin(d, true);
    dcm_text(d, 0x00090010, DICOM_VR_LO, "ACME 1.1");
    dcm_raw(d, "\x09\0\1\x10  \4\0abcd", 12);
    dcm_raw(d, "\x09\0\2\x10??\0\0", 8);
    dcm_raw(d, "\x09\0\3\x10lo\3\0abc", 11);
    dcm_raw(d, "\x09\0\4\x10UK\0\0\4\0\0\0abcd", 16);
    dcm_raw(d, "\x09\0\5\x10ox\0\0\0\0\0\0", 12);
    dcm_text(d, DICOM_PATIENT_ID, DICOM_VR_LO, "4711");
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
    { "hidden sequences", ok_hidden },
    { "hidden sequences in implicit", ok_hidden_implicit },
    { "hidden sequences in big endian", ok_hidden_big_endian },
    { "bytes like hidden sequences", ok_hidden_bytes },
    { "strange VRs", ok_strange_vrs },
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

struct wanted {
    uint32_t tag;
    uint16_t depth;
    uint32_t flags;
};
static void check_elements(const struct dicom_file *f, const struct wanted *want, size_t n)
{
    CHECK_INT(f->n_elements - f->meta_end, n);
    for (uint32_t i = 0; i < n && f->meta_end + i < f->n_elements; i++) {
        const struct dicom_element *e = &f->elements[f->meta_end + i];
        test_row("element %u", (unsigned)i);
        CHECK_INT(e->tag, want[i].tag);
        CHECK_INT(e->depth, want[i].depth);
        CHECK_INT(e->flags, want[i].flags);
    }
}

enum {
    HIDDEN = DICOM_IS_SEQUENCE | DICOM_IS_IMPLICIT | DICOM_IS_HIDDEN,
    INSIDE = DICOM_IS_IMPLICIT,
    ITEM = DICOM_IS_ITEM | DICOM_IS_IMPLICIT
};

static void test_file__hidden_sequences_are_read(void)
{
    static const struct wanted hidden[] = {
        { 0x00080060, 0, 0 },
        { 0x00090010, 0, 0 },
        { 0x00091010, 0, HIDDEN },
        { DICOM_TAG_ITEM, 1, ITEM },
        { 0x00081150, 1, INSIDE },
        { 0x0040A730, 1, DICOM_IS_SEQUENCE | DICOM_IS_IMPLICIT | DICOM_IS_UNDEFINED },
        { DICOM_TAG_ITEM, 2, ITEM | DICOM_IS_UNDEFINED },
        { 0x00080100, 2, INSIDE },
        { DICOM_TAG_ITEM, 1, ITEM | DICOM_IS_UNDEFINED },
        { 0x00100020, 0, 0 },
    };
    static const struct wanted bytes[] = {
        { 0x00090010, 0, 0 },      { 0x00091001, 0, 0 },      { 0x00091010, 0, HIDDEN }, { DICOM_TAG_ITEM, 1, ITEM },
        { 0x00091001, 1, INSIDE }, { 0x00091002, 1, INSIDE }, { 0x00091011, 0, 0 },      { 0x00100020, 0, 0 },
    };
    static const struct {
        void (*build)(struct dcm *d);
        const struct wanted *want;
        size_t n;
    } rows[] = {
        { ok_hidden, hidden, ARRAY_LEN(hidden) },
        { ok_hidden_big_endian, hidden, ARRAY_LEN(hidden) },
        { ok_hidden_bytes, bytes, ARRAY_LEN(bytes) },
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct pixl_error err = { 0 };
        struct arena a;
        struct dcm d;
        struct dicom_file f;
        arena_init(&a, ARENA_MAX);
        rows[i].build(&d);
        REQUIRE_OK(parse(&d, &a, &f, &err), err);
        check_elements(&f, rows[i].want, rows[i].n);
        arena_done(&a);
        dcm_done(&d);
    }
}

static void test_file__strange_vrs_are_read_as_dcmtk_reads_them(void)
{
    static const struct {
        uint32_t tag;
        uint64_t n;
    } want[] = {
        { 0x00091001, 4 }, { 0x00091002, 0 }, { 0x00091003, 3 }, { 0x00091004, 4 }, { 0x00091005, 0 },
    };
    struct pixl_error err = { 0 };
    struct arena a;
    struct dcm d;
    struct dicom_file f;
    arena_init(&a, ARENA_MAX);
    ok_strange_vrs(&d);
    REQUIRE_OK(parse(&d, &a, &f, &err), err);
    for (size_t i = 0; i < ARRAY_LEN(want); i++) {
        const struct dicom_element *e = &f.elements[f.meta_end + 1 + i];
        CHECK_INT(e->tag, want[i].tag);
        CHECK_INT(e->value_bytes, want[i].n);
        CHECK_INT(e->vr, DICOM_VR_UN);
    }
    arena_done(&a);
    dcm_done(&d);
}

/* A value that seems to be a sequence within one, ten thousand times, costs no more than its bytes. */
static void test_file__hidden_sequences_nest_without_cost(void)
{
    enum { DEPTH = 10000 };
    struct pixl_error err = { 0 };
    struct arena a;
    struct dcm d;
    struct dicom_file f;
    arena_init(&a, ARENA_MAX);
    dcm_begin(&d, false);
    for (uint32_t i = 0, left = DEPTH * 16; i < DEPTH; i++, left -= 16) {
        dcm_mark(&d, 0x00091001, left - 8);
        dcm_mark(&d, DICOM_TAG_ITEM, left - 16);
    }
    REQUIRE_OK(parse(&d, &a, &f, &err), err);
    CHECK_STR(str_of(dcm_check_structure(&f)), "");
    CHECK_INT(f.n_elements - f.meta_end, 2 * DICOM_LIMITS_DEFAULT.max_depth + 1);
    arena_done(&a);
    dcm_done(&d);
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
        TEST(test_file__lists_elements_in_order),
        TEST(test_file__finds_tags_and_gives_values),
        TEST(test_file__hidden_sequences_are_read),
        TEST(test_file__strange_vrs_are_read_as_dcmtk_reads_them),
        TEST(test_file__hidden_sequences_nest_without_cost),
        TEST(test_file__what_is_read_is_written_again),
        TEST(test_file__truncation_is_refused),
        TEST(test_file__hostile_bytes_do_no_harm),
        TEST(test_file__finds_among_many),
    };
    return test_main(argc, argv, tests, ARRAY_LEN(tests));
}
