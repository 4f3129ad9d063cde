#include "dicom/frames.h"

#include <stdio.h>
#include <string.h>

#include "dicom_build.h"
#include "test.h"

#define CLASS(rest) "1.2.840.10008.5.1.4.1.1." rest
#define ENHANCED_CT CLASS("2.1")

/* Reads of a source are counted by where they begin. */
static struct dicom_source bytes;
static uint64_t read_to;
static enum pixl_code fails_with;

static bool counting_read(const struct dicom_source *s, void *p, size_t n, uint64_t offset, struct pixl_error *err)
{
    (void)s;
    if (fails_with != PIXL_OK)
        return pixl_fail(err, fails_with, 0, "read");
    read_to = offset + n > read_to ? offset + n : read_to;
    return bytes.read(&bytes, p, n, offset, err);
}

/* class, frames: NULL: absent.  Large private data stands between the series UID and the frames. */
static void build(struct dcm *d, const char *class, const char *frames)
{
    dcm_begin(d, true);
    if (class)
        dcm_text(d, DICOM_SOP_CLASS_UID, DICOM_VR_UI, class);
    dcm_text(d, DICOM_SOP_INSTANCE_UID, DICOM_VR_UI, "1.2.3.4");
    dcm_text(d, DICOM_STUDY_UID, DICOM_VR_UI, "1.2.3");
    dcm_text(d, DICOM_SERIES_UID, DICOM_VR_UI, "1.2.3.1");
    dcm_text(d, 0x00210010, DICOM_VR_LO, "ACME");
    for (uint32_t i = 0; i < 40; i++)
        dcm_fill(d, 0x00211001 + i, DICOM_VR_UN, 60000);
    if (frames)
        dcm_text(d, DICOM_NUMBER_OF_FRAMES, DICOM_VR_IS, frames);
    dcm_u16(d, 0x00280010, 8);
    dcm_pixels_native(d, 1 << 20);
}

static bool count_in(struct str data, uint32_t *frames, struct pixl_error *err)
{
    struct arena a;
    struct dicom_file f;
    arena_init(&a, 64 << 20);
    bytes = dicom_source_bytes(data.p, data.n);
    struct dicom_source s = bytes;
    s.read = counting_read;
    s.bytes = NULL;
    s.fd = -1;
    fails_with = PIXL_OK;
    read_to = 0;
    REQUIRE_OK(dicom_parse_until(&s, &DICOM_LIMITS_DEFAULT, DICOM_SERIES_UID, &a, &f, err), *err);
    bool ok = dicom_count_frames(&f, frames, err);
    arena_done(&a);
    return ok;
}

static void test_frames__are_counted_where_the_class_may_have_them(void)
{
    static const struct {
        const char *class, *frames;
        uint32_t want;
    } rows[] = {
        { ENHANCED_CT, "40", 40 },
        { ENHANCED_CT, " 7 ", 7 },
        { ENHANCED_CT, "+7", 7 },
        { ENHANCED_CT, "1", 1 },
        { ENHANCED_CT, NULL, 1 },
        { ENHANCED_CT, "", 1 },
        { ENHANCED_CT, "0", 1 },
        { ENHANCED_CT, "-5", 1 },
        { ENHANCED_CT, "many", 1 },
        { ENHANCED_CT, "4\\5", 1 },
        { ENHANCED_CT, "1e3", 1 },
        { ENHANCED_CT, "999999", 999999 },
        { ENHANCED_CT, "2147483647", DICOM_FRAMES_MAX },
        { ENHANCED_CT, "99999999999999999999999999", 1 },
        { CLASS("4.1"), "3", 3 },
        { CLASS("130"), "3", 3 },
        { CLASS("3.1"), "3", 3 },
        { CLASS("77.1.6"), "3", 3 },
        { CLASS("66.4"), "3", 3 },
        { CLASS("7.4"), "3", 3 },
        { CLASS("12.1"), "3", 3 },
        { CLASS("20"), "3", 3 },
        { CLASS("481.2"), "3", 3 },
        { "1.3.12.2.1107.5.9.1", "3", 3 }, /* a maker's own class */
        { CLASS("2"), "3", 1 },            /* CT: one frame, whatever it says */
        { CLASS("4"), "3", 1 },
        { CLASS("2.11"), "3", 1 },
        { CLASS("88.11"), "3", 1 },
        { "1.2.840.10008.1.3.10", "3", 1 },
        { "", "3", 1 }, /* then the class of the file meta counts: CT */
        { NULL, "3", 1 },
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        test_row("%s %s", rows[i].class ? rows[i].class : "(none)", rows[i].frames ? rows[i].frames : "(none)");
        struct pixl_error err = { 0 };
        struct dcm d;
        uint32_t frames = 0;
        build(&d, rows[i].class, rows[i].frames);
        REQUIRE_OK(count_in(dcm_str(&d), &frames, &err), err);
        CHECK_INT(frames, rows[i].want);
        dcm_done(&d);
    }
}

static void test_frames__of_one_frame_classes_cost_no_reading(void)
{
    struct pixl_error err = { 0 };
    struct dcm d;
    uint32_t frames;
    build(&d, DCM_CT_IMAGE_STORAGE, "3");
    REQUIRE_OK(count_in(dcm_str(&d), &frames, &err), err);
    CHECK(read_to < 1000000);
    dcm_done(&d);
    build(&d, ENHANCED_CT, "3");
    REQUIRE_OK(count_in(dcm_str(&d), &frames, &err), err);
    CHECK(read_to > 2400000 && read_to < dcm_size(&d) - 500000); /* as far as they stand, not the pixels */
    dcm_done(&d);
}

static void test_frames__class_of_the_file_meta_counts_when_there_is_no_other(void)
{
    struct pixl_error err = { 0 };
    struct dcm d;
    uint32_t frames = 0;
    dcm_begin_syntax(&d, DCM_EXPLICIT_LE, ENHANCED_CT, "1.2.3.4");
    dcm_text(&d, DICOM_SERIES_UID, DICOM_VR_UI, "1.2.3.1");
    dcm_text(&d, DICOM_NUMBER_OF_FRAMES, DICOM_VR_IS, "12");
    REQUIRE_OK(count_in(dcm_str(&d), &frames, &err), err);
    CHECK_INT(frames, 12);
    dcm_done(&d);
}

/* What breaks behind the series UID is found when the instance is read; here it has one frame. */
static void test_frames__of_a_deflated_instance_are_counted(void)
{
    struct pixl_error err = { 0 };
    struct dcm d;
    uint32_t frames = 0;
    dcm_begin_syntax(&d, DCM_DEFLATED_LE, ENHANCED_CT, "1.2.3.4");
    dcm_text(&d, DICOM_SOP_CLASS_UID, DICOM_VR_UI, ENHANCED_CT);
    dcm_text(&d, DICOM_SERIES_UID, DICOM_VR_UI, "1.2.3.1");
    dcm_fill(&d, 0x00211001, DICOM_VR_OB, 200000);
    dcm_text(&d, DICOM_NUMBER_OF_FRAMES, DICOM_VR_IS, "12");
    dcm_deflate(&d);
    CHECK(CHECK_OK(count_in(dcm_str(&d), &frames, &err), err));
    CHECK_INT(frames, 12);
    dcm_done(&d);
}

static void test_frames__a_broken_header_has_one(void)
{
    struct pixl_error err = { 0 };
    struct dcm d;
    build(&d, ENHANCED_CT, "12");
    struct str all = dcm_str(&d);
    for (size_t i = 0; i < 4; i++) {
        uint32_t frames = 0;
        struct str cut = { all.p, all.n - (1 << 20) - 12 - 10 * i };
        test_row("%zu", i);
        REQUIRE_OK(count_in(cut, &frames, &err), err);
        CHECK_INT(frames, i < 2 ? 12 : 1);
    }
    dcm_done(&d);
}

static void test_frames__a_disk_error_is_one(void)
{
    struct pixl_error err = { 0 };
    struct dcm d;
    struct arena a;
    struct dicom_file f;
    uint32_t frames = 77;
    build(&d, ENHANCED_CT, "12");
    arena_init(&a, 64 << 20);
    bytes = dicom_source_bytes(dcm_bytes_of(&d), dcm_size(&d));
    struct dicom_source s = bytes;
    s.read = counting_read;
    s.bytes = NULL;
    s.fd = -1;
    REQUIRE_OK(dicom_parse_until(&s, &DICOM_LIMITS_DEFAULT, DICOM_SERIES_UID, &a, &f, &err), err);
    fails_with = PIXL_E_IO;
    CHECK_FAILS(dicom_count_frames(&f, &frames, &err), err, PIXL_E_IO);
    CHECK_INT(frames, 77);
    arena_done(&a);
    dcm_done(&d);
}

int main(int argc, char **argv)
{
    static const struct test_case tests[] = {
        TEST(test_frames__are_counted_where_the_class_may_have_them),
        TEST(test_frames__of_one_frame_classes_cost_no_reading),
        TEST(test_frames__class_of_the_file_meta_counts_when_there_is_no_other),
        TEST(test_frames__of_a_deflated_instance_are_counted),
        TEST(test_frames__a_broken_header_has_one),
        TEST(test_frames__a_disk_error_is_one),
    };
    return test_main(argc, argv, tests, ARRAY_LEN(tests));
}
