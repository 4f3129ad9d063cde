/* What the reader asks of its source, and when. */
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "dicom/file.h"
#include "dicom_build.h"
#include "dicom_check.h"
#include "test.h"

enum { ARENA_MAX = 64 << 20 };

static unsigned reads;
static uint64_t bytes_read;
static bool (*real_read)(const struct dicom_source *s, void *p, size_t n, uint64_t offset, struct pixl_error *err);

static bool counting_read(const struct dicom_source *s, void *p, size_t n, uint64_t offset, struct pixl_error *err)
{
    reads++;
    bytes_read += n;
    return real_read(s, p, n, offset, err);
}

/* A source on a file that holds what was built, counting. */
static struct dicom_source source_of(const struct dcm *d, int *fd)
{
    struct pixl_error err = { 0 };
    struct dicom_source s;
    dcm_save(d, test_path("x.dcm"));
    *fd = open(test_path("x.dcm"), O_RDWR | O_CLOEXEC);
    REQUIRE(*fd >= 0);
    REQUIRE_OK(dicom_source_fd(*fd, &s, &err), err);
    real_read = s.read;
    s.read = counting_read;
    reads = 0;
    bytes_read = 0;
    return s;
}

static void test_reading__an_ordinary_file_takes_one_read(void)
{
    struct pixl_error err = { 0 };
    struct arena a;
    struct dcm d;
    struct dicom_file f;
    int fd;
    arena_init(&a, ARENA_MAX);
    dcm_begin(&d, true);
    dcm_text(&d, DICOM_MODALITY, DICOM_VR_CS, "CT");
    dcm_fill(&d, 0x00091001, DICOM_VR_OB, 5000);
    dcm_text(&d, DICOM_PATIENT_ID, DICOM_VR_LO, "1");
    dcm_pixels_native(&d, 512 * 1024);
    struct dicom_source s = source_of(&d, &fd);
    REQUIRE_OK(dicom_parse(&s, &DICOM_LIMITS_DEFAULT, &a, &f, &err), err);
    CHECK_INT(reads, 1);
    CHECK(bytes_read <= 64 * 1024);
    struct str v;
    bool found;
    CHECK_OK(dicom_text(&f, DICOM_PATIENT_ID, &v, &found, &err), err);
    CHECK_STR(v, "1");
    CHECK_INT(reads, 1);
    dcm_done(&d);
    arena_done(&a);
    (void)close(fd);
}

static void test_reading__long_values_are_read_when_asked_for(void)
{
    struct pixl_error err = { 0 };
    struct arena a;
    struct dcm d;
    struct dicom_file f;
    int fd;
    arena_init(&a, ARENA_MAX);
    dcm_begin(&d, true);
    dcm_text(&d, 0x00290010, DICOM_VR_LO, "ACME 1.1");
    dcm_fill(&d, 0x00291010, DICOM_VR_OB, 100001);
    dcm_fill(&d, 0x00291020, DICOM_VR_OB, 200000);
    dcm_text(&d, 0x00400254, DICOM_VR_LO, "behind");
    dcm_pixels_native(&d, 512 * 1024);
    struct dicom_source s = source_of(&d, &fd);
    REQUIRE_OK(dicom_parse(&s, &DICOM_LIMITS_DEFAULT, &a, &f, &err), err);
    CHECK_INT(reads, 3);
    CHECK(bytes_read <= 3 * 32 * 1024);
    struct str v, again;
    int64_t i = dicom_find(&f, DICOM_NO_PARENT, 0x00291020);
    REQUIRE(i > 0);
    CHECK_OK(dicom_value(&f, (uint32_t)i, &v, &err), err);
    CHECK(v.n == 200000 && memcmp(v.p, dcm_str(&d).p + f.elements[i].value_offset, v.n) == 0);
    CHECK_INT(reads, 4);
    CHECK_OK(dicom_value(&f, (uint32_t)i, &again, &err), err);
    CHECK(again.p == v.p && reads == 4);
    CHECK_OK(dicom_value(&f, (uint32_t)i - 1, &v, &err), err);
    CHECK(v.n == 100001 && memcmp(v.p, dcm_str(&d).p + f.elements[i - 1].value_offset, v.n) == 0);
    f.limits.max_value_bytes = 1000;
    i = dicom_find(&f, DICOM_NO_PARENT, DICOM_PIXEL_DATA);
    CHECK_FAILS(dicom_value(&f, (uint32_t)i, &v, &err), err, PIXL_E_LIMIT);
    dcm_done(&d);
    arena_done(&a);
    (void)close(fd);
}

/* Values of all sizes around the borders of blocks come out right, and each is read once. */
static void test_reading__values_across_blocks_are_whole(void)
{
    struct pixl_error err = { 0 };
    struct arena a;
    struct dcm d;
    struct dicom_file f;
    int fd;
    arena_init(&a, ARENA_MAX);
    dcm_begin(&d, true);
    dcm_text(&d, 0x00090010, DICOM_VR_LO, "ACME 1.1");
    for (uint32_t i = 0; i < 240; i++)
        dcm_fill(&d, 0x00091000 + i, DICOM_VR_OB, 2 * ((i * 7919) % 4096) + i % 2);
    dcm_seq_begin(&d, 0x00400260, true);
    for (uint32_t i = 0; i < 3000; i++) {
        dcm_item_begin(&d, i % 2);
        dcm_text(&d, 0x00080100, DICOM_VR_SH, "121320");
        dcm_item_end(&d);
    }
    dcm_seq_end(&d);
    dcm_pixels_native(&d, 512 * 1024);
    struct dicom_source s = source_of(&d, &fd);
    REQUIRE_OK(dicom_parse(&s, &DICOM_LIMITS_DEFAULT, &a, &f, &err), err);
    CHECK_STR(str_of(dcm_check_structure(&f)), "");
    unsigned so_far = reads;
    for (uint32_t i = 0; i < f.n_elements; i++) {
        struct str v;
        if (f.elements[i].value_bytes > 8192)
            continue;
        REQUIRE_OK(dicom_value(&f, i, &v, &err), err);
        REQUIRE(v.n == f.elements[i].value_bytes);
        REQUIRE(memcmp(v.p, dcm_str(&d).p + f.elements[i].value_offset, v.n) == 0);
    }
    CHECK(reads <= so_far + 3000 / 500);        /* an item may lie across two blocks, a value may not */
    dcm_done(&d);
    arena_done(&a);
    (void)close(fd);
}

static void test_reading__until_stops_early(void)
{
    struct pixl_error err = { 0 };
    struct arena a;
    struct dcm d;
    struct dicom_file f;
    int fd;
    arena_init(&a, ARENA_MAX);
    dcm_begin(&d, true);
    dcm_text(&d, DICOM_MODALITY, DICOM_VR_CS, "CT");
    dcm_seq_begin(&d, 0x00081140, true);
    dcm_item_begin(&d, true);
    dcm_text(&d, 0x00200013, DICOM_VR_IS, "1");         /* beyond the last tag, but not in the main data set */
    dcm_item_end(&d);
    dcm_seq_end(&d);
    dcm_text(&d, DICOM_PATIENT_ID, DICOM_VR_LO, "1");
    dcm_text(&d, DICOM_STUDY_UID, DICOM_VR_UI, "1.2");
    dcm_fill(&d, 0x00291010, DICOM_VR_OB, 100000);
    dcm_raw(&d, "this is no element", 18);
    static const struct { const char *name; uint32_t until, last; } rows[] = {
        { "there", DICOM_STUDY_UID, DICOM_STUDY_UID }, { "between", 0x00100040, DICOM_PATIENT_ID },
        { "a sequence", 0x00081140, 0x00081140 }, { "before all", 0x00080000, DICOM_META_IMPLEMENTATION_UID },
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        test_row("%s", rows[i].name);
        struct dicom_source s = source_of(&d, &fd);
        REQUIRE_OK(dicom_parse_until(&s, &DICOM_LIMITS_DEFAULT, rows[i].until, &a, &f, &err), err);
        CHECK_INT(reads, 1);
        uint32_t top = f.n_elements - 1;
        while (f.elements[top].depth > 0)
            top--;
        CHECK_INT(f.elements[top].tag, rows[i].last);
        CHECK_STR(str_of(dcm_check_structure(&f)), "");
        (void)close(fd);
    }
    struct dicom_source s = source_of(&d, &fd);
    CHECK_FAILS(dicom_parse_until(&s, &DICOM_LIMITS_DEFAULT, DICOM_PIXEL_DATA, &a, &f, &err), err, PIXL_E_CORRUPT);
    (void)close(fd);
    dcm_done(&d);
    arena_done(&a);
}

static void test_reading__a_file_that_shrinks_is_noticed(void)
{
    struct pixl_error err = { 0 };
    struct arena a;
    struct dcm d;
    struct dicom_file f;
    struct str v;
    int fd;
    arena_init(&a, ARENA_MAX);
    dcm_begin(&d, true);
    dcm_text(&d, DICOM_MODALITY, DICOM_VR_CS, "CT");
    dcm_pixels_native(&d, 512 * 1024);
    struct dicom_source s = source_of(&d, &fd);
    REQUIRE_OK(dicom_parse(&s, &DICOM_LIMITS_DEFAULT, &a, &f, &err), err);
    REQUIRE(ftruncate(fd, 4096) == 0);
    int64_t i = dicom_find(&f, DICOM_NO_PARENT, DICOM_PIXEL_DATA);
    REQUIRE(i > 0);
    CHECK_FAILS(dicom_value(&f, (uint32_t)i, &v, &err), err, PIXL_E_CORRUPT);
    CHECK_FAILS(dicom_parse(&s, &DICOM_LIMITS_DEFAULT, &a, &f, &err), err, PIXL_E_CORRUPT);
    REQUIRE(ftruncate(fd, 0) == 0);
    CHECK_FAILS(dicom_parse(&s, &DICOM_LIMITS_DEFAULT, &a, &f, &err), err, PIXL_E_CORRUPT);
    dcm_done(&d);
    arena_done(&a);
    (void)close(fd);
}

/* A sparse file says it holds 5 GiB: a value of 4 GiB - 2 is stepped over, fragments beyond 4 GiB are walked. */
static void test_reading__sizes_beyond_four_gib(void)
{
    struct pixl_error err = { 0 };
    struct arena a;
    struct dcm d;
    struct dicom_file f;
    int fd;
    arena_init(&a, ARENA_MAX);
    dcm_begin_syntax(&d, DCM_JPEG_BASELINE, DCM_CT_IMAGE_STORAGE, "1.2.3.4");
    dcm_header(&d, 0x00091001, DICOM_VR_OB, 0xFFFFFFFE);
    uint64_t at = dcm_size(&d) + 0xFFFFFFFEull;
    struct dicom_source s = source_of(&d, &fd);
    CHECK_FAILS(dicom_parse(&s, &DICOM_LIMITS_DEFAULT, &a, &f, &err), err, PIXL_E_CORRUPT);
    struct dcm tail;
    dcm_begin_bare(&tail, true);
    dcm_pixels_encapsulated(&tail, 3, 50000);
    REQUIRE(pwrite(fd, dcm_bytes_of(&tail), dcm_size(&tail), (off_t)at) == (ssize_t)dcm_size(&tail));
    REQUIRE_OK(dicom_source_fd(fd, &s, &err), err);
    s.read = counting_read;
    reads = 0;
    REQUIRE_OK(dicom_parse(&s, &DICOM_LIMITS_DEFAULT, &a, &f, &err), err);
    CHECK(reads <= 6);
    const struct dicom_element *e = &f.elements[f.n_elements - 1];
    CHECK((e->flags & DICOM_IS_ENCAPSULATED) != 0 && e->offset == at);
    CHECK_INT(e->value_bytes, 8 + 3 * (8 + 50000));
    CHECK_INT(e->next_offset, s.size_bytes);
    CHECK_STR(str_of(dcm_check_structure(&f)), "");
    struct str v;
    CHECK_FAILS(dicom_value(&f, f.n_elements - 2, &v, &err), err, PIXL_E_LIMIT);
    dcm_done(&d);
    dcm_done(&tail);
    arena_done(&a);
    (void)close(fd);
}

static void test_reading__only_regular_files(void)
{
    struct pixl_error err = { 0 };
    struct dicom_source s;
    int fd = open(test_dir(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    REQUIRE(fd >= 0);
    CHECK_FAILS(dicom_source_fd(fd, &s, &err), err, PIXL_E_IO);
    (void)close(fd);
    CHECK_FAILS(dicom_source_fd(-1, &s, &err), err, PIXL_E_IO);
}

int main(int argc, char **argv)
{
    static const struct test_case tests[] = {
        TEST(test_reading__an_ordinary_file_takes_one_read), TEST(test_reading__long_values_are_read_when_asked_for),
        TEST(test_reading__values_across_blocks_are_whole), TEST(test_reading__until_stops_early),
        TEST(test_reading__a_file_that_shrinks_is_noticed), TEST(test_reading__sizes_beyond_four_gib),
        TEST(test_reading__only_regular_files),
    };
    return test_main(argc, argv, tests, ARRAY_LEN(tests));
}
