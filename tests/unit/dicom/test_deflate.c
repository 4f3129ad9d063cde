#include "dicom/deflate.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

#include "dicom_build.h"
#include "dicom_check.h"
#include "test.h"

enum { ARENA_MAX = 256 << 20 };

static void begin(struct dcm *d)
{
    dcm_begin_syntax(d, DCM_DEFLATED_LE, DCM_CT_IMAGE_STORAGE, "1.2.3.4");
}

static void build(struct dcm *d, size_t pixel_bytes)
{
    begin(d);
    dcm_text(d, DICOM_MODALITY, DICOM_VR_CS, "CT");
    dcm_text(d, DICOM_PATIENT_ID, DICOM_VR_LO, "4711");
    dcm_text(d, DICOM_STUDY_UID, DICOM_VR_UI, "1.2.3");
    dcm_pixels_native(d, pixel_bytes);
    dcm_deflate(d);
}

static bool parse(struct str bytes, struct arena *a, struct dicom_file *f, struct pixl_error *err)
{
    struct dicom_source s = dicom_source_bytes(bytes.p, bytes.n);
    return dicom_parse(&s, &DICOM_LIMITS_DEFAULT, a, f, err);
}

/* Offsets mean the inflated bytes; those before the stream are where they were. */
static void test_deflate__a_deflated_data_set_is_read(void)
{
    static const size_t sizes[] = { 0, 64, 40000, 1 << 20 };
    for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
        struct pixl_error err = { 0 };
        struct arena a;
        struct dcm d;
        struct dicom_file f;
        struct str v;
        bool found;
        test_row("%zu bytes of pixels", sizes[i]);
        arena_init(&a, ARENA_MAX);
        build(&d, sizes[i]);
        REQUIRE_OK(parse(dcm_str(&d), &a, &f, &err), err);
        CHECK_STR(str_of(dcm_check_structure(&f)), "");
        CHECK_INT(memcmp(f.source.bytes, dcm_bytes_of(&d), f.data_offset), 0);
        CHECK(CHECK_OK(dicom_text(&f, DICOM_PATIENT_ID, &v, &found, &err), err) && str_eq(v, STR("4711")));
        CHECK(CHECK_OK(dicom_text(&f, DICOM_META_SOP_INSTANCE_UID, &v, &found, &err), err) &&
              str_eq(v, STR("1.2.3.4")));
        int64_t at = dicom_find(&f, DICOM_NO_PARENT, DICOM_PIXEL_DATA);
        REQUIRE(at > 0);
        CHECK_INT(f.elements[at].value_bytes, sizes[i]);
        dcm_done(&d);
        arena_done(&a);
    }
}

static void test_deflate__what_stands_behind_the_stream_is_ignored(void)
{
    struct pixl_error err = { 0 };
    struct arena a;
    struct dcm d;
    struct dicom_file f;
    arena_init(&a, ARENA_MAX);
    build(&d, 64);
    dcm_raw(&d, "garbage", 7);
    CHECK(CHECK_OK(parse(dcm_str(&d), &a, &f, &err), err));
    CHECK_INT(f.elements[f.n_elements - 1].tag, DICOM_PIXEL_DATA);
    dcm_done(&d);
    arena_done(&a);
}

static void test_deflate__a_damaged_stream_is_refused(void)
{
    struct dcm d;
    build(&d, 64);
    for (size_t n = 132; n + 1 < dcm_size(&d); n++) { /* the last byte may be the padding */
        struct pixl_error err = { 0 };
        struct arena a;
        struct dicom_file f;
        test_row("cut to %zu", n);
        arena_init(&a, ARENA_MAX);
        CHECK_FAILS(parse((struct str){ dcm_bytes_of(&d), n }, &a, &f, &err), err, PIXL_E_CORRUPT);
        arena_done(&a);
    }
    dcm_done(&d);
    struct pixl_error err = { 0 };
    struct arena a;
    struct dicom_file f;
    arena_init(&a, ARENA_MAX);
    begin(&d);
    dcm_text(&d, DICOM_MODALITY, DICOM_VR_CS, "CT"); /* not deflated at all */
    CHECK_FAILS(parse(dcm_str(&d), &a, &f, &err), err, PIXL_E_CORRUPT);
    dcm_done(&d);
    begin(&d);
    dcm_raw(&d, "x", 1);
    dcm_deflate(&d);
    CHECK_FAILS(parse(dcm_str(&d), &a, &f, &err), err, PIXL_E_CORRUPT);
    dcm_done(&d);
    arena_done(&a);
}

/* A gigabyte of zeros is 4 MB of stream: no more memory is taken than for the reading of it. */
static void test_deflate__a_bomb_is_beyond_the_limit(void)
{
    static uint8_t zeros[1 << 20], out[1 << 16];
    struct pixl_error err = { 0 };
    struct arena a;
    struct dcm d;
    struct dicom_file f;
    z_stream z = { 0 };
    begin(&d);
    REQUIRE(deflateInit2(&z, 1, Z_DEFLATED, -15, 8, Z_DEFAULT_STRATEGY) == Z_OK);
    for (int i = 0; i <= 1024; i++) {
        z.next_in = zeros;
        z.avail_in = i < 1024 ? sizeof zeros : 0;
        do {
            z.next_out = out;
            z.avail_out = sizeof out;
            REQUIRE(deflate(&z, i < 1024 ? Z_NO_FLUSH : Z_FINISH) >= 0);
            dcm_raw(&d, out, sizeof out - z.avail_out);
        } while (z.avail_out == 0);
    }
    (void)deflateEnd(&z);
    arena_init(&a, 1 << 20);
    CHECK_FAILS(parse(dcm_str(&d), &a, &f, &err), err, PIXL_E_LIMIT);
    arena_done(&a);
    arena_init(&a, ARENA_MAX);
    struct dicom_source s = dicom_source_bytes(dcm_bytes_of(&d), dcm_size(&d));
    CHECK_FAILS(dicom_parse_until(&s, &DICOM_LIMITS_DEFAULT, DICOM_STUDY_UID, &a, &f, &err), err, PIXL_E_LIMIT);
    CHECK(a.used_bytes < 64u << 20);
    dcm_done(&d);
    arena_done(&a);
}

/* The limit holds for what is inflated, to the byte. */
static void test_deflate__the_limit_is_exact(void)
{
    struct pixl_error err = { 0 };
    struct arena a;
    struct dcm d;
    struct dicom_file f;
    arena_init(&a, ARENA_MAX);
    build(&d, 100000);
    struct dicom_limits limits = DICOM_LIMITS_DEFAULT;
    struct dicom_source s = dicom_source_bytes(dcm_bytes_of(&d), dcm_size(&d));
    REQUIRE_OK(dicom_parse(&s, &limits, &a, &f, &err), err);
    limits.max_inflated_bytes = (uint32_t)(f.source.size_bytes - f.data_offset);
    CHECK(CHECK_OK(dicom_parse(&s, &limits, &a, &f, &err), err));
    limits.max_inflated_bytes--;
    CHECK_FAILS(dicom_parse(&s, &limits, &a, &f, &err), err, PIXL_E_LIMIT);
    dcm_done(&d);
    arena_done(&a);
}

static uint64_t bytes_read;
static const uint8_t *behind;
static bool counting_read(const struct dicom_source *s, void *p, size_t n, uint64_t offset, struct pixl_error *err)
{
    (void)s;
    (void)err;
    memcpy(p, behind + offset, n);
    bytes_read += n;
    return true;
}

/* An index reads the first part of a long stream only, and of one with a long header as much as it takes. */
static void test_deflate__until_inflates_what_it_needs(void)
{
    static const struct {
        size_t before, pixels, most_read, most_memory;
    } rows[] = {
        { 0, 20 << 20, 300000, 400000 },
        { 200000, 20 << 20, 1500000, 1 << 20 },
        { 3 << 20, 100, 16 << 20, 16 << 20 },
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct pixl_error err = { 0 };
        struct arena a;
        struct dcm d;
        struct dicom_file f;
        struct str v;
        bool found;
        test_row("%zu bytes before", rows[i].before);
        arena_init(&a, ARENA_MAX);
        begin(&d);
        dcm_text(&d, DICOM_MODALITY, DICOM_VR_CS, "CT");
        dcm_fill(&d, 0x00091001, DICOM_VR_OB, rows[i].before);
        dcm_text(&d, DICOM_STUDY_UID, DICOM_VR_UI, "1.2.3");
        dcm_pixels_native(&d, rows[i].pixels);
        dcm_deflate(&d);
        behind = dcm_bytes_of(&d);
        bytes_read = 0;
        struct dicom_source s = { .read = counting_read, .size_bytes = dcm_size(&d), .fd = -1 };
        REQUIRE_OK(dicom_parse_until(&s, &DICOM_LIMITS_DEFAULT, DICOM_STUDY_UID, &a, &f, &err), err);
        CHECK(CHECK_OK(dicom_text(&f, DICOM_STUDY_UID, &v, &found, &err), err) && str_eq(v, STR("1.2.3")));
        CHECK(bytes_read < rows[i].most_read);
        CHECK(a.used_bytes < rows[i].most_memory);
        CHECK_INT(f.elements[f.n_elements - 1].tag, DICOM_STUDY_UID);
        dcm_done(&d);
        arena_done(&a);
    }
}

/* Absent is known only at the end; a stream that is cut off gives what stands before the cut. */
static void test_deflate__until_looks_to_the_end_for_what_is_not_there(void)
{
    struct pixl_error err = { 0 };
    struct arena a;
    struct dcm d;
    struct dicom_file f;
    arena_init(&a, ARENA_MAX);
    begin(&d);
    dcm_text(&d, DICOM_MODALITY, DICOM_VR_CS, "CT");
    dcm_fill(&d, 0x00091001, DICOM_VR_OB, 200000);
    dcm_deflate(&d);
    struct dicom_source s = dicom_source_bytes(dcm_bytes_of(&d), dcm_size(&d));
    REQUIRE_OK(dicom_parse_until(&s, &DICOM_LIMITS_DEFAULT, DICOM_STUDY_UID, &a, &f, &err), err);
    CHECK_INT(f.elements[f.n_elements - 1].tag, 0x00091001);
    s = dicom_source_bytes(dcm_bytes_of(&d), dcm_size(&d) / 2);
    CHECK(CHECK_OK(dicom_parse_until(&s, &DICOM_LIMITS_DEFAULT, DICOM_MODALITY, &a, &f, &err), err));
    CHECK_FAILS(dicom_parse_until(&s, &DICOM_LIMITS_DEFAULT, DICOM_STUDY_UID, &a, &f, &err), err, PIXL_E_CORRUPT);
    dcm_done(&d);
    arena_done(&a);
}

/* What is cut out of a plan and deflated is, inflated, what it was: whichever side of a piece the cut falls on. */
static void test_deflate__a_plan_is_deflated_from_anywhere(void)
{
    static uint8_t source_bytes[300000];
    for (size_t i = 0; i < sizeof source_bytes; i++)
        source_bytes[i] = (uint8_t)(i * i >> 7);
    const struct dicom_source source = dicom_source_bytes(source_bytes, sizeof source_bytes);
    static const uint64_t cuts[] = { 0, 1, 9, 10, 11, 1000, 200010, 200020, 200021 };
    for (size_t i = 0; i < ARRAY_LEN(cuts); i++) {
        struct pixl_error err = { 0 };
        struct arena a;
        struct dicom_plan p;
        struct dicom_source back;
        enum dicom_inflate_end end;
        buf_auto was, is;
        test_row("from %d", (int)cuts[i]);
        arena_init(&a, ARENA_MAX);
        buf_init(&was, ARENA_MAX);
        buf_init(&is, ARENA_MAX);
        dicom_plan_init(&p, &a);
        REQUIRE_OK(dicom_plan_bytes(&p, "0123456789", 10, &err), err);
        REQUIRE_OK(dicom_plan_range(&p, 50000, 200000, &err), err);
        REQUIRE_OK(dicom_plan_bytes(&p, "abcdefghijk", 11, &err), err);
        REQUIRE_OK(dcm_plan_collect(&p, &source, &was, &err), err);
        REQUIRE_OK(dicom_plan_deflate(&p, cuts[i], &source, &err), err);
        REQUIRE_OK(dcm_plan_collect(&p, &source, &is, &err), err);
        CHECK_INT(is.n, p.size_bytes);
        CHECK_INT((is.n - cuts[i]) % 2, 0);
        struct dicom_source s = dicom_source_bytes(is.p, is.n);
        REQUIRE_OK(dicom_inflate(&s, cuts[i], UINT64_MAX, 1 << 20, &a, &back, &end, &err), err);
        CHECK_INT(end, DICOM_INFLATE_WHOLE);
        CHECK(str_eq((struct str){ (const char *)back.bytes, (size_t)back.size_bytes }, buf_str(&was)));
        arena_done(&a);
    }
}

int main(int argc, char **argv)
{
    static const struct test_case tests[] = {
        TEST(test_deflate__a_deflated_data_set_is_read),
        TEST(test_deflate__what_stands_behind_the_stream_is_ignored),
        TEST(test_deflate__a_damaged_stream_is_refused),
        TEST(test_deflate__a_bomb_is_beyond_the_limit),
        TEST(test_deflate__the_limit_is_exact),
        TEST(test_deflate__until_inflates_what_it_needs),
        TEST(test_deflate__until_looks_to_the_end_for_what_is_not_there),
        TEST(test_deflate__a_plan_is_deflated_from_anywhere),
    };
    return test_main(argc, argv, tests, ARRAY_LEN(tests));
}
