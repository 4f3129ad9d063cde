#include "dicom/plan.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "dicom_build.h"
#include "dicom_check.h"
#include "test.h"

enum { ARENA_MAX = 64 << 20, SOURCE_BYTES = 300 * 1000 };

static const struct dicom_coding explicit_le = { true, false }, implicit_le = { false, false };
static const struct dicom_coding explicit_be = { true, true };

static void test_plan__codes_elements(void)
{
    const struct {
        const char *name;
        const struct dicom_coding *coding;
        uint32_t tag;
        enum dicom_vr vr;
        struct str value, want;
    } rows[] = {
        { "short header", &explicit_le, 0x00100020, DICOM_VR_LO, STR("ab"), STR("\x10\0\x20\0LO\2\0ab") },
        { "padded with a blank", &explicit_le, 0x00100020, DICOM_VR_LO, STR("abc"), STR("\x10\0\x20\0LO\4\0abc ") },
        { "padded with a NUL", &explicit_le, 0x00080018, DICOM_VR_UI, STR("1.2"), STR("\x08\0\x18\0UI\4\0001.2\0") },
        { "long header", &explicit_le, 0x00420011, DICOM_VR_OB, STR("a"), STR("\x42\0\x11\0OB\0\0\2\0\0\0a\0") },
        { "implicit", &implicit_le, 0x00420011, DICOM_VR_OB, STR("a"), STR("\x42\0\x11\0\2\0\0\0a\0") },
        { "empty", &implicit_le, 0x00100020, DICOM_VR_LO, STR(""), STR("\x10\0\x20\0\0\0\0\0") },
        { "big endian", &explicit_be, 0x00100020, DICOM_VR_LO, STR("ab"), STR("\0\x10\0\x20LO\0\2ab") },
        { "big endian, long", &explicit_be, 0x00420011, DICOM_VR_OB, STR("ab"), STR("\0\x42\0\x11OB\0\0\0\0\0\2ab") },
        { "item", &explicit_le, DICOM_TAG_ITEM, DICOM_VR_NONE, STR(""), STR("\xFE\xFF\0\xE0\0\0\0\0") },
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct pixl_error err = { 0 };
        struct arena a;
        struct dicom_plan p;
        struct dicom_source none = dicom_source_bytes("", 0);
        buf_auto out;
        buf_init(&out, 1000);
        arena_init(&a, ARENA_MAX);
        dicom_plan_init(&p, &a);
        test_row("%s", rows[i].name);
        REQUIRE_OK(dicom_plan_element(&p, *rows[i].coding, rows[i].tag, rows[i].vr, rows[i].value, &err), err);
        REQUIRE_OK(dcm_plan_collect(&p, &none, &out, &err), err);
        CHECK(str_eq(buf_str(&out), rows[i].want));
        CHECK_INT(p.size_bytes, rows[i].want.n);
        CHECK_INT(dicom_header_bytes(*rows[i].coding, rows[i].vr),
                  (long long)(rows[i].want.n - rows[i].value.n - rows[i].value.n % 2));
        arena_done(&a);
    }
}

static void test_plan__lengths_must_fit_their_field(void)
{
    struct pixl_error err = { 0 };
    struct arena a;
    struct dicom_plan p;
    static char text[65536];
    arena_init(&a, ARENA_MAX);
    dicom_plan_init(&p, &a);
    memset(text, 'x', sizeof text);
    struct str most = { text, 65534 }, odd = { text, 65535 }, over = { text, 65536 };
    CHECK_OK(dicom_plan_element(&p, explicit_le, 0x00081030, DICOM_VR_LO, most, &err), err);
    CHECK_FAILS(dicom_plan_element(&p, explicit_le, 0x00081030, DICOM_VR_LO, odd, &err), err, PIXL_E_LIMIT);
    CHECK_FAILS(dicom_plan_element(&p, explicit_le, 0x00081030, DICOM_VR_LO, over, &err), err, PIXL_E_LIMIT);
    CHECK_OK(dicom_plan_element(&p, implicit_le, 0x00081030, DICOM_VR_LO, over, &err), err);
    CHECK_OK(dicom_plan_element(&p, explicit_le, 0x00081030, DICOM_VR_UT, over, &err), err);
    CHECK_FAILS(dicom_plan_header(&p, explicit_le, 1, DICOM_VR_UT, 1ull << 32, &err), err, PIXL_E_LIMIT);
    CHECK_FAILS(dicom_plan_header(&p, explicit_le, 1, DICOM_VR_LO, DICOM_UNDEFINED_LENGTH, &err), err, PIXL_E_LIMIT);
    CHECK_OK(dicom_plan_header(&p, explicit_le, 1, DICOM_VR_SQ, DICOM_UNDEFINED_LENGTH, &err), err);
    arena_done(&a);
}

static void test_plan__ranges_and_bytes_that_touch_join(void)
{
    struct pixl_error err = { 0 };
    struct arena a;
    struct dicom_plan p;
    arena_init(&a, ARENA_MAX);
    dicom_plan_init(&p, &a);
    CHECK_OK(dicom_plan_range(&p, 0, 10, &err), err);
    CHECK_OK(dicom_plan_range(&p, 10, 5, &err), err);
    CHECK_OK(dicom_plan_range(&p, 15, 0, &err), err);
    CHECK_INT(p.n_pieces, 1);
    CHECK_OK(dicom_plan_range(&p, 16, 4, &err), err);
    CHECK_OK(dicom_plan_bytes(&p, "ab", 2, &err), err);
    CHECK_OK(dicom_plan_bytes(&p, "", 0, &err), err);
    CHECK_OK(dicom_plan_bytes(&p, "cd", 2, &err), err);
    CHECK_INT(p.n_pieces, 3);
    CHECK_OK(dicom_plan_range(&p, 20, 4, &err), err);
    CHECK_OK(dicom_plan_bytes(&p, "ef", 2, &err), err);
    CHECK_INT(p.n_pieces, 5);
    CHECK_INT(p.size_bytes, 15 + 4 + 4 + 4 + 2);
    CHECK(memcmp(p.pieces[2].bytes, "abcd", 4) == 0 && p.pieces[3].n == 4);
    static const struct dicom_rect rect = { 0, 0, 0, 0 };
    struct dicom_mask *mask;
    REQUIRE_OK(dicom_mask_new(&a, 1, 2, 1, &rect, 1, &mask, &err), err);
    CHECK_OK(dicom_plan_range(&p, 24, 6, &err), err);
    CHECK_OK(dicom_plan_masked(&p, 30, 0, mask, &err), err);
    CHECK_OK(dicom_plan_masked(&p, 30, 10, mask, &err), err);    /* is not what stands before, nor what follows */
    CHECK_OK(dicom_plan_range(&p, 40, 10, &err), err);
    CHECK_INT(p.n_pieces, 8);
    CHECK(p.pieces[5].mask == NULL && p.pieces[6].mask == mask && p.pieces[7].mask == NULL);
    arena_done(&a);
}

static void test_plan__meta_is_read_back(void)
{
    struct pixl_error err = { 0 };
    struct arena a;
    struct dicom_plan p;
    struct dicom_file f;
    struct str v;
    bool found;
    struct dicom_source none = dicom_source_bytes("", 0);
    buf_auto out;
    buf_init(&out, 1000);
    arena_init(&a, ARENA_MAX);
    dicom_plan_init(&p, &a);
    REQUIRE_OK(dicom_plan_meta(&p, STR(DCM_CT_IMAGE_STORAGE), STR("1.2.3"), STR(DCM_EXPLICIT_LE), &err), err);
    REQUIRE_OK(dicom_plan_element(&p, explicit_le, DICOM_MODALITY, DICOM_VR_CS, STR("CT"), &err), err);
    REQUIRE_OK(dcm_plan_collect(&p, &none, &out, &err), err);
    struct dicom_source s = dicom_source_bytes(out.p, out.n);
    REQUIRE_OK(dicom_parse(&s, &DICOM_LIMITS_DEFAULT, &a, &f, &err), err);
    CHECK(f.has_preamble && f.has_meta && f.syntax->is_explicit);
    REQUIRE_OK(dicom_text(&f, DICOM_META_SOP_INSTANCE_UID, &v, &found, &err), err);
    CHECK_STR(v, "1.2.3");
    REQUIRE_OK(dicom_text(&f, DICOM_META_IMPLEMENTATION_UID, &v, &found, &err), err);
    CHECK(dicom_uid_is_plausible(v));
    REQUIRE_OK(dicom_text(&f, DICOM_META_GROUP_LENGTH, &v, &found, &err), err);
    int64_t i = dicom_find(&f, DICOM_NO_PARENT, DICOM_META_GROUP_LENGTH);
    REQUIRE_OK(dicom_value(&f, (uint32_t)i, &v, &err), err);
    uint32_t length = (uint8_t)v.p[0] | (uint32_t)(uint8_t)v.p[1] << 8;
    CHECK_INT(f.elements[i].next_offset + length, f.data_offset);
    static char longest[65];
    memset(longest, '1', sizeof longest);
    CHECK_FAILS(dicom_plan_meta(&p, STR("1"), (struct str){ longest, 65 }, STR("1"), &err), err, PIXL_E_INVALID);
    arena_done(&a);
}

/* A source file, and plans over it whose bytes are known. */
static void fill_source(uint8_t *p)
{
    for (uint32_t i = 0, x = 7; i < SOURCE_BYTES; i++)
        p[i] = (uint8_t)((x = x * 1664525u + 1013904223u) >> 24);
}

static void add_range(struct dicom_plan *p, struct buf *want, const uint8_t *source, uint64_t offset, uint64_t n)
{
    struct pixl_error err = { 0 };
    REQUIRE_OK(dicom_plan_range(p, offset, n, &err), err);
    REQUIRE(buf_add(want, source + offset, n));
}

static void add_bytes(struct dicom_plan *p, struct buf *want, const char *bytes)
{
    struct pixl_error err = { 0 };
    REQUIRE_OK(dicom_plan_bytes(p, bytes, strlen(bytes), &err), err);
    REQUIRE(buf_add_cstr(want, bytes));
}

static void plan_whole(struct dicom_plan *p, struct buf *want, const uint8_t *s)
{
    add_range(p, want, s, 0, SOURCE_BYTES);
}
static void plan_empty(struct dicom_plan *p, struct buf *want, const uint8_t *s) { (void)p, (void)want, (void)s; }
static void plan_header_and_pixels(struct dicom_plan *p, struct buf *want, const uint8_t *s)
{
    add_bytes(p, want, "a fresh header");
    for (uint64_t at = 200; at < 4000; at += 40) {
        add_range(p, want, s, at, 16);
        add_bytes(p, want, "changed");
    }
    add_range(p, want, s, 4100, SOURCE_BYTES - 4100);
}
static void plan_many_small(struct dicom_plan *p, struct buf *want, const uint8_t *s)
{
    for (uint64_t at = 0; at + 97 < SOURCE_BYTES; at += 97)
        add_range(p, want, s, at, 1 + at % 96);
}
static void plan_backwards(struct dicom_plan *p, struct buf *want, const uint8_t *s)
{
    for (uint64_t at = SOURCE_BYTES; at >= 7919; at -= 7919)
        add_range(p, want, s, at - 7919, 7000);
}
static void plan_middle_sizes(struct dicom_plan *p, struct buf *want, const uint8_t *s)
{
    add_range(p, want, s, 1, 40000);
    add_range(p, want, s, 40002, 60000);
    add_bytes(p, want, "x");
    add_range(p, want, s, 110000, 65536);
    add_range(p, want, s, SOURCE_BYTES - 1, 1);
}

/* A small image, masked by hand: rows of 10 bytes of which 3..6 stay in all rows but the last of each plane of 4. */
static void add_masked(struct dicom_plan *p, struct buf *want, const uint8_t *s, uint64_t offset, uint64_t n)
{
    static const struct dicom_rect rect = { 3, 0, 6, 2 };
    struct pixl_error err = { 0 };
    struct dicom_mask *mask;
    REQUIRE_OK(dicom_mask_new(p->arena, 4, 10, 1, &rect, 1, &mask, &err), err);
    REQUIRE_OK(dicom_plan_masked(p, offset, n, mask, &err), err);
    for (uint64_t i = 0; i < n; i++) {
        bool is_kept = i % 10 >= 3 && i % 10 <= 6 && i / 10 % 4 != 3;
        REQUIRE(buf_add_char(want, is_kept ? (char)s[offset + i] : 0));
    }
}
static void plan_masked(struct dicom_plan *p, struct buf *want, const uint8_t *s)
{
    add_bytes(p, want, "a fresh header");
    add_range(p, want, s, 10, 20);
    add_masked(p, want, s, 30, 200000);
    add_range(p, want, s, 200030, 20);          /* reads again what lies behind */
    add_range(p, want, s, 12, 30);              /* and before it */
    add_masked(p, want, s, 40, 7);
    add_masked(p, want, s, 47, 70000);          /* begins with a row again */
    add_bytes(p, want, "x");
}

static void check_written(const struct dicom_plan *p, const struct dicom_source *s, struct str want)
{
    struct pixl_error err = { 0 };
    buf_auto got;
    buf_init(&got, 4 << 20);
    REQUIRE_OK(dcm_plan_collect(p, s, &got, &err), err);
    CHECK(str_eq(buf_str(&got), want));
    uint8_t *whole = malloc(want.n + 1);
    REQUIRE(whole != NULL);
    REQUIRE_OK(dicom_plan_gather(p, s, whole, &err), err);
    CHECK(memcmp(whole, want.n > 0 ? want.p : "", want.n) == 0);
    free(whole);
    int fd = open(test_path("out"), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    REQUIRE(fd >= 0 && write(fd, "before", 6) == 6);
    REQUIRE_OK(dicom_plan_write_fd(p, s, fd, &err), err);
    static char back[4 << 20];
    ssize_t n = pread(fd, back, sizeof back, 0);
    REQUIRE(n >= 6);
    CHECK(str_eq((struct str){ back + 6, (size_t)n - 6 }, want));
    (void)close(fd);
}

static uint8_t source_bytes[SOURCE_BYTES];

static bool read_source(const struct dicom_source *s, void *p, size_t n, uint64_t offset, struct pixl_error *err)
{
    (void)s, (void)err;
    memcpy(p, source_bytes + offset, n);
    return true;
}

static void test_plan__writes_its_pieces(void)
{
    static const struct {
        const char *name;
        void (*make)(struct dicom_plan *p, struct buf *want, const uint8_t *source);
    } rows[] = {
        { "whole", plan_whole }, { "empty", plan_empty }, { "header and pixels", plan_header_and_pixels },
        { "many small", plan_many_small }, { "backwards", plan_backwards }, { "middle sizes", plan_middle_sizes },
        { "masked", plan_masked },
    };
    uint8_t *bytes = source_bytes;
    struct pixl_error err = { 0 };
    fill_source(bytes);
    int fd = open(test_path("in"), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    REQUIRE(fd >= 0 && write(fd, bytes, SOURCE_BYTES) == SOURCE_BYTES);
    struct dicom_source file, memory = dicom_source_bytes(bytes, SOURCE_BYTES);
    REQUIRE_OK(dicom_source_fd(fd, &file, &err), err);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct arena a;
        struct dicom_plan p;
        buf_auto want;
        buf_init(&want, 4 << 20);
        arena_init(&a, ARENA_MAX);
        dicom_plan_init(&p, &a);
        rows[i].make(&p, &want, bytes);
        CHECK_INT(p.size_bytes, want.n);
        test_row("%s from a file", rows[i].name);
        check_written(&p, &file, buf_str(&want));
        test_row("%s from memory", rows[i].name);
        check_written(&p, &memory, buf_str(&want));
        test_row("%s through read() alone", rows[i].name);
        struct dicom_source reader = { .read = read_source, .size_bytes = SOURCE_BYTES, .fd = -1 };
        check_written(&p, &reader, buf_str(&want));
        arena_done(&a);
    }
    (void)close(fd);
}

static void test_plan__what_reaches_beyond_the_source_is_refused(void)
{
    static const struct {
        const char *name;
        uint64_t offset, n;
        bool is_masked;
    } rows[] = {
        { "end", 0, 11, false },          { "start", 11, 1, false },
        { "wrap", UINT64_MAX, 2, false }, { "wrap to zero", 5, UINT64_MAX - 4, false },
        { "masked end", 0, 11, true },    { "masked wrap to zero", 5, UINT64_MAX - 4, true },
    };
    static const struct dicom_rect rect = { 0, 0, 0, 0 };
    struct dicom_mask *mask;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct pixl_error err = { 0 };
        struct arena a;
        struct dicom_plan p;
        struct dicom_source s = dicom_source_bytes("0123456789", 10);
        buf_auto out;
        buf_init(&out, 1000);
        test_row("%s", rows[i].name);
        arena_init(&a, ARENA_MAX);
        dicom_plan_init(&p, &a);
        REQUIRE_OK(dicom_mask_new(&a, 1, 2, 1, &rect, 1, &mask, &err), err);
        REQUIRE_OK(rows[i].is_masked ? dicom_plan_masked(&p, rows[i].offset, rows[i].n, mask, &err)
                                     : dicom_plan_range(&p, rows[i].offset, rows[i].n, &err),
                   err);
        CHECK_FAILS(dcm_plan_collect(&p, &s, &out, &err), err, PIXL_E_INVALID);
        char nothing[1];
        CHECK_FAILS(dicom_plan_gather(&p, &s, nothing, &err), err, PIXL_E_INVALID);
        int fd = open(test_path("out"), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
        CHECK_FAILS(dicom_plan_write_fd(&p, &s, fd, &err), err, PIXL_E_INVALID);
        (void)close(fd);
        arena_done(&a);
    }
}

static void test_plan__failures_of_source_and_target_are_told(void)
{
    struct pixl_error err = { 0 };
    struct arena a;
    struct dicom_plan p;
    static char block[SOURCE_BYTES];
    static const struct dicom_rect rect = { 0, 0, 0, 0 };
    struct dicom_mask *mask;
    for (int how = 0; how < 3; how++) {
        test_row("%s", how == 0 ? "short" : how == 1 ? "long" : "masked");
        int fd = open(test_path("in"), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
        REQUIRE(fd >= 0 && write(fd, block, sizeof block) == SOURCE_BYTES);
        struct dicom_source s;
        REQUIRE_OK(dicom_source_fd(fd, &s, &err), err);
        arena_init(&a, ARENA_MAX);
        dicom_plan_init(&p, &a);
        REQUIRE_OK(dicom_mask_new(&a, 1, 2, 1, &rect, 1, &mask, &err), err);
        REQUIRE_OK(how == 2 ? dicom_plan_masked(&p, 1000, 200000, mask, &err)
                            : dicom_plan_range(&p, 1000, how == 1 ? 200000 : 1000, &err),
                   err);
        int full = open("/dev/full", O_WRONLY | O_CLOEXEC);
        REQUIRE(full >= 0);
        CHECK_FAILS(dicom_plan_write_fd(&p, &s, full, &err), err, PIXL_E_NO_SPACE);
        (void)close(full);
        int out = open(test_path("out"), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
        REQUIRE(out >= 0 && ftruncate(fd, 500) == 0);
        CHECK_FAILS(dicom_plan_write_fd(&p, &s, out, &err), err, PIXL_E_CORRUPT);
        CHECK_FAILS(dicom_plan_gather(&p, &s, block, &err), err, PIXL_E_CORRUPT);
        (void)close(out);
        (void)close(fd);
        arena_done(&a);
    }
}

int main(int argc, char **argv)
{
    static const struct test_case tests[] = {
        TEST(test_plan__codes_elements), TEST(test_plan__lengths_must_fit_their_field),
        TEST(test_plan__ranges_and_bytes_that_touch_join), TEST(test_plan__meta_is_read_back),
        TEST(test_plan__writes_its_pieces), TEST(test_plan__what_reaches_beyond_the_source_is_refused),
        TEST(test_plan__failures_of_source_and_target_are_told),
    };
    return test_main(argc, argv, tests, ARRAY_LEN(tests));
}
