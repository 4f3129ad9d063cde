/* What stands behind an image, and texts beside samples, in instances of Zimmermann^Aloysia. */
#include "deid/deid.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "deid_rig.h"

static const struct project_tag_rule rules[] = {
    RULE(0x0008, 0x0016, KEEP),        RULE(0x0008, 0x0018, REPLACE_UID), RULE(0x0008, 0x0060, KEEP),
    RULE(0x0010, 0x0010, REPLACE),     RULE(0x0010, 0x0020, SECURE_HASH), RULE(0x0020, 0x000D, REPLACE_UID),
    RULE(0x0020, 0x000E, REPLACE_UID), RULE(0x0028, 0x2000, KEEP),        RULE(0x0028, 0x3006, KEEP),
    RULE(0x0028, 0x9999, KEEP),        RULE(0x003A, 0x0005, KEEP),        RULE(0x003A, 0x0010, KEEP),
    RULE(0x003A, 0x0200, KEEP),        RULE(0x003A, 0x0203, KEEP),        RULE(0x5000, 0x0022, KEEP),
    RULE(0x5000, 0x2500, KEEP),        RULE(0x5000, 0x3000, KEEP),        RULE(0x5400, 0x0100, KEEP),
    RULE(0x5400, 0x1004, KEEP),        RULE(0x5400, 0x1010, KEEP),        RULE(0x6000, 0x0010, KEEP),
    RULE(0x6000, 0x0011, KEEP),        RULE(0x6000, 0x0022, KEEP),        RULE(0x6000, 0x1500, KEEP),
    RULE(0x6000, 0x3000, KEEP),        RULE(0x6002, 0x0010, KEEP),        RULE(0x6002, 0x0011, KEEP),
    RULE(0x6002, 0x3000, KEEP),        RULE(0x7FE0, 0x0010, KEEP),
};

static void begin(struct rig *r, struct dcm *d)
{
    rig_init(r, rules, ARRAY_LEN(rules));
    rig_start(r);
    rig_begin(d, true);
    rig_patient(d);
    rig_uids(d);
}

static enum deid_verdict end(struct rig *r, struct dcm *d)
{
    enum deid_verdict v = rig_run(r, dcm_str(d));
    dcm_done(d);
    return v;
}

/* An image of a size, and n bytes of pixel data, zeros but for a text. */
struct image {
    const char *name;
    uint16_t rows, columns, samples, bits;
    const char *frames;
    size_t n, text_at;
    const char *text;
    enum deid_verdict verdict;
};
static const struct image images[] = {
    { "exact", 8, 8, 1, 16, NULL, 128, 0, "", DEID_EMIT },
    { "exact, a name in it", 8, 8, 1, 16, NULL, 128, 20, "Zimmermann", DEID_EMIT },
    { "a byte of padding", 3, 3, 1, 8, NULL, 10, 9, "Z", DEID_EMIT },
    { "bits", 3, 3, 1, 1, NULL, 2, 0, "", DEID_EMIT },
    { "shorter", 100, 100, 1, 16, NULL, 128, 20, "by Ottokar", DEID_EMIT },
    { "shorter, a name", 100, 100, 1, 16, NULL, 128, 20, "Zimmermann", DEID_RESIDUE },
    { "frames that are not there, a name", 8, 8, 1, 8, "2", 100, 64, "Zimmermann", DEID_RESIDUE },
    { "more than a file holds, a name", 0xFFFF, 0xFFFF, 0xFFFF, 0xFFFF, "9", 128, 20, "Zimmermann", DEID_RESIDUE },
    { "two numbers of frames", 8, 8, 1, 8, "2\\2", 128, 20, "Zimmermann", DEID_RESIDUE },
    { "far shorter, zeros", 8192, 8192, 1, 16, NULL, (2u << 20), 0, "", DEID_EMIT },
    { "far shorter, a few bytes", 8192, 8192, 1, 16, NULL, (2u << 20), 1 << 20, "x", DEID_EMIT },
    { "zeros behind", 256, 256, 1, 16, NULL, 524288, 0, "", DEID_EMIT },
    { "noise behind", 256, 256, 1, 16, NULL, 524288, 200000, "\1\2\3\4\5\6\7\1", DEID_EMIT },
    { "a name behind zeros", 256, 256, 1, 16, NULL, 524288, 524270, "Zimmermann", DEID_RESIDUE },
    { "a name at once", 8, 8, 1, 16, NULL, 160, 128, "Zimmermann", DEID_RESIDUE },
    { "an id", 8, 8, 1, 16, NULL, 160, 140, "MRN-4711-08", DEID_RESIDUE },
    { "a name behind the second frame", 8, 8, 1, 16, "2", 300, 270, "Zimmermann", DEID_RESIDUE },
    { "a name in the second frame", 8, 8, 1, 16, "2 ", 256, 140, "Zimmermann", DEID_EMIT },
    { "a name in the third sample", 8, 8, 3, 8, NULL, 192, 140, "Zimmermann", DEID_EMIT },
    { "frames that are no number", 8, 8, 1, 16, "many", 128, 20, "Zimmermann", DEID_RESIDUE },
    { "no rows", 0, 8, 1, 16, NULL, 128, 20, "Zimmermann", DEID_RESIDUE },
    { "no rows, zeros", 0, 8, 1, 16, NULL, 128, 0, "", DEID_EMIT },
    { "more zeros than a value may have", 8, 8, 1, 16, NULL, (17u << 20) + 128, 0, "", DEID_EMIT },
    { "more than a value may have", 8, 8, 1, 16, NULL, (17u << 20) + 128, 128, "x", DEID_EMIT },
    { "a name far behind", 8, 8, 1, 16, NULL, (17u << 20) + 128, 17u << 20, "Zimmermann", DEID_RESIDUE },
};

static void put_image(struct dcm *d, const struct image *m)
{
    char *bytes = calloc(1, m->n);
    REQUIRE(bytes != NULL && m->text_at + strlen(m->text) <= m->n);
    memcpy(bytes + m->text_at, m->text, strlen(m->text));
    dcm_u16(d, 0x00280002, m->samples);
    if (m->frames)
        dcm_text(d, DICOM_NUMBER_OF_FRAMES, DICOM_VR_IS, m->frames);
    if (m->rows)
        dcm_u16(d, 0x00280010, m->rows);
    dcm_u16(d, 0x00280011, m->columns);
    dcm_u16(d, 0x00280100, m->bits);
    dcm_bytes(d, DICOM_PIXEL_DATA, DICOM_VR_OW, bytes, m->n);
    free(bytes);
}

static void test_excess__of_pixels_is_searched(void)
{
    for (size_t i = 0; i < ARRAY_LEN(images); i++) {
        test_row("%s", images[i].name);
        rig_auto r;
        struct dcm d;
        begin(&r, &d);
        put_image(&d, &images[i]);
        CHECK_INT(end(&r, &d), images[i].verdict);
        if (images[i].verdict == DEID_RESIDUE)
            CHECK_STR(str_of(r.res.where), "(7FE0,0010)");
    }
}

static void test_excess__too_long_is_refused(void)
{
    static const struct {
        const char *name;
        uint16_t side;
        size_t n;
    } rows[] = { { "too much behind", 8, 18u << 20 }, { "too little", 2048, (1u << 20) + 2 } };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        test_row("%s", rows[i].name);
        rig_auto r;
        struct dcm d;
        begin(&r, &d);
        dcm_u16(&d, 0x00280010, rows[i].side);
        dcm_u16(&d, 0x00280011, rows[i].side);
        dcm_u16(&d, 0x00280100, 8);
        dcm_fill(&d, DICOM_PIXEL_DATA, DICOM_VR_OW, rows[i].n);
        CHECK_INT(end(&r, &d), DEID_REFUSED);
        CHECK_INT(r.res.why, STUDY_WHY_UNSUPPORTED_VALUE);
        CHECK_STR(str_of(r.res.where), "(7FE0,0010)");
    }
}

/* 64 pixels, and a name that stands at a byte. */
static void test_excess__of_subsampled_pixels_is_searched(void)
{
    static const struct {
        const char *photometric;
        size_t n, name_at;
        enum deid_verdict v;
    } rows[] = {
        { "RGB", 192, 130, DEID_EMIT },
        { "YBR_FULL_422", 128, 100, DEID_EMIT },
        { "YBR_FULL_422", 160, 130, DEID_RESIDUE },
        { "YBR_FULL_422", 192, 130, DEID_EMIT }, /* it is not */
        { "YBR_FULL_422", 220, 200, DEID_RESIDUE },
        { "YBR_FULL_422", 120, 100, DEID_RESIDUE },
        { "YBR_PARTIAL_420", 96, 80, DEID_EMIT },
        { "YBR_PARTIAL_420", 128, 100, DEID_RESIDUE },
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        test_row("%s %zu", rows[i].photometric, rows[i].n);
        rig_auto r;
        struct dcm d;
        char bytes[256] = { 0 };
        memcpy(bytes + rows[i].name_at, "Zimmermann", 10);
        begin(&r, &d);
        dcm_u16(&d, DICOM_SAMPLES_PER_PIXEL, 3);
        dcm_text(&d, DICOM_PHOTOMETRIC_INTERPRETATION, DICOM_VR_CS, rows[i].photometric);
        dcm_u16(&d, DICOM_ROWS, 8);
        dcm_u16(&d, DICOM_COLUMNS, 8);
        dcm_u16(&d, DICOM_BITS_ALLOCATED, 8);
        dcm_bytes(&d, DICOM_PIXEL_DATA, DICOM_VR_OB, bytes, rows[i].n);
        CHECK_INT(end(&r, &d), rows[i].v);
    }
}

/* Rows as anything: 8 x 8 pixels of 8 bits, all of them a name. */
static void test_excess__sizes_that_say_nothing_are_none(void)
{
    static const struct {
        const char *name;
        enum dicom_vr vr;
        const char *rows, *rows_big_endian;
        size_t n;
        enum deid_verdict v, v_big_endian;
    } rows[] = {
        { "a number", DICOM_VR_US, "\10\0", "\0\10", 2, DEID_EMIT, DEID_EMIT },
        { "a number in the other byte order", DICOM_VR_US, "\0\10", "\10\0", 2, DEID_RESIDUE, DEID_RESIDUE },
        { "a long number", DICOM_VR_UL, "\10\0\0\0", "\0\0\0\10", 4, DEID_EMIT, DEID_EMIT },
        { "a number as words", DICOM_VR_OW, "\10\0", "\0\10", 2, DEID_EMIT, DEID_EMIT },
        { "an unknown number", DICOM_VR_UN, "\10\0", "\0\10", 2, DEID_EMIT, DEID_RESIDUE },
        { "two numbers", DICOM_VR_US, "\10\0\11\0", "\0\10\0\11", 4, DEID_RESIDUE, DEID_RESIDUE },
        { "a float", DICOM_VR_FL, "\10\0\0\0", "\0\0\0\10", 4, DEID_RESIDUE, DEID_RESIDUE },
        { "a text", DICOM_VR_IS, "+8", "8 ", 2, DEID_EMIT, DEID_EMIT },
        { "two in a text", DICOM_VR_IS, "8\\9 ", "8\\9 ", 4, DEID_RESIDUE, DEID_RESIDUE },
    };
    for (size_t i = 0; i < 2 * ARRAY_LEN(rows); i++) {
        const size_t k = i / 2;
        const bool is_big_endian = i % 2 != 0;
        test_row("%s%s", rows[k].name, is_big_endian ? ", big endian" : "");
        rig_auto r;
        struct dcm d;
        rig_init(&r, rules, ARRAY_LEN(rules));
        rig_start(&r);
        rig_begin_syntax(&d, is_big_endian ? DCM_EXPLICIT_BE : DCM_EXPLICIT_LE);
        rig_patient(&d);
        rig_uids(&d);
        dcm_bytes(&d, DICOM_ROWS, rows[k].vr, is_big_endian ? rows[k].rows_big_endian : rows[k].rows, rows[k].n);
        dcm_u16(&d, DICOM_COLUMNS, 8);
        dcm_u16(&d, DICOM_BITS_ALLOCATED, 8);
        dcm_bytes(&d, DICOM_PIXEL_DATA, DICOM_VR_OB, "................for Zimmermann, ...............................",
                  64);
        CHECK_INT(end(&r, &d), is_big_endian ? rows[k].v_big_endian : rows[k].v);
    }
}

/* An icon, or the pixels of any other item, are as long as the item says. */
static void test_excess__in_an_item_is_searched(void)
{
    static const struct project_tag_rule both[] = {
        RULE(0x0008, 0x0016, KEEP),        RULE(0x0008, 0x0018, REPLACE_UID), RULE(0x0008, 0x0060, KEEP),
        RULE(0x0008, 0x1140, KEEP),        RULE(0x0010, 0x0010, REPLACE),     RULE(0x0010, 0x0020, SECURE_HASH),
        RULE(0x0020, 0x000D, REPLACE_UID), RULE(0x0020, 0x000E, REPLACE_UID), RULE(0x0088, 0x0200, KEEP),
        RULE(0x7FE0, 0x0010, KEEP),
    };
    static const struct {
        uint32_t tag;
        uint16_t side;
        enum deid_verdict v;
    } rows[] = {
        { 0x00880200, 8, DEID_EMIT }, { 0x00880200, 4, DEID_RESIDUE }, { 0x00880200, 99, DEID_RESIDUE },
        { 0x00081140, 8, DEID_EMIT }, { 0x00081140, 4, DEID_RESIDUE }, { 0x00081140, 99, DEID_RESIDUE },
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        test_row("%08X %u", (unsigned)rows[i].tag, rows[i].side);
        rig_auto r;
        struct dcm d;
        rig_init(&r, both, ARRAY_LEN(both));
        rig_start(&r);
        rig_begin(&d, true);
        rig_patient(&d);
        rig_uids(&d);
        dcm_u16(&d, DICOM_ROWS, 99);
        dcm_u16(&d, DICOM_COLUMNS, 99);
        dcm_u16(&d, DICOM_BITS_ALLOCATED, 8);
        dcm_seq_begin(&d, rows[i].tag, true);
        dcm_item_begin(&d, true);
        dcm_u16(&d, DICOM_ROWS, rows[i].side);
        dcm_u16(&d, DICOM_COLUMNS, rows[i].side);
        dcm_u16(&d, DICOM_BITS_ALLOCATED, 8);
        dcm_bytes(&d, DICOM_PIXEL_DATA, DICOM_VR_OB, "................for Zimmermann, ...............................",
                  64);
        dcm_item_end(&d);
        dcm_seq_end(&d);
        CHECK_INT(end(&r, &d), rows[i].v);
    }
}

/* From a file the excess is read by itself. */
static void test_excess__is_read_from_a_file(void)
{
    static const struct image rows[] = {
        { "nothing", 64, 64, 1, 16, NULL, 200000, 0, "", DEID_EMIT },
        { "a name", 64, 64, 1, 16, NULL, 200000, 199000, "Zimmermann", DEID_RESIDUE },
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct pixl_error err = { 0 };
        rig_auto r;
        struct dcm d;
        begin(&r, &d);
        put_image(&d, &rows[i]);
        dcm_save(&d, test_path("instance.dcm"));
        dcm_done(&d);
        int fd = open(test_path("instance.dcm"), O_RDONLY | O_CLOEXEC);
        struct dicom_source source;
        REQUIRE(fd >= 0);
        REQUIRE_OK(dicom_source_fd(fd, &source, &err), err);
        REQUIRE_OK(dicom_parse(&source, &DICOM_LIMITS_DEFAULT, &r.in_arena, &r.in, &err), err);
        REQUIRE_OK(deid_instance(r.study, &r.in, &r.in_arena, &r.res, &err), err);
        CHECK_INT(r.res.verdict, rows[i].verdict);
        close(fd);
    }
}

static void test_excess__a_later_name_is_found_in_it(void)
{
    static const struct image behind = { "", 8, 8, 1, 16, NULL, 160, 130, "by Ottokar", DEID_EMIT };
    rig_auto r;
    for (int late = 0; late < 2; late++) {
        struct dcm d;
        if (late == 0) {
            begin(&r, &d);
            put_image(&d, &behind);
        } else {
            rig_begin(&d, true);
            dcm_text(&d, 0x00081070, DICOM_VR_PN, "Smith^Ottokar");
            rig_patient(&d);
            rig_uids(&d);
        }
        CHECK_INT(end(&r, &d), late ? DEID_RESIDUE : DEID_EMIT);
    }
    CHECK_STR(str_of(r.res.where), "(7FE0,0010)");
}

/* One element in groups of samples, in an item where its tag wants one; numbers in 16 bits come before it. */
static const struct {
    const char *name;
    uint32_t tag;
    enum dicom_vr vr;
    const char *value;
    size_t n;
    enum deid_verdict v;
} beside[] = {
    { "overlay", 0x60003000, DICOM_VR_OW, "Zimmermann......", 16, DEID_EMIT },
    { "overlay, a name behind", 0x60003000, DICOM_VR_OW, "................\0Zimmermann\0", 28, DEID_RESIDUE },
    { "second overlay, a name behind", 0x60023000, DICOM_VR_OB, "................\0Zimmermann\0", 28, DEID_RESIDUE },
    { "overlay description", 0x60000022, DICOM_VR_LO, "for Zimmermann", 14, DEID_RESIDUE },
    { "overlay label", 0x60001500, DICOM_VR_LO, "for Zimmermann", 14, DEID_RESIDUE },
    { "overlay label as unknown", 0x60001500, DICOM_VR_UN, "for Zimmermann", 14, DEID_RESIDUE },
    { "curve description", 0x50000022, DICOM_VR_LO, "for Zimmermann", 14, DEID_RESIDUE },
    { "curve label", 0x50002500, DICOM_VR_LO, "for Zimmermann", 14, DEID_RESIDUE },
    { "curve", 0x50003000, DICOM_VR_OW, "for Zimmermann", 14, DEID_EMIT },
    { "channel label", 0x003A0203, DICOM_VR_SH, "Zimmermann", 10, DEID_RESIDUE },
    { "waveform", 0x54001010, DICOM_VR_OW, "Zimmermann......", 16, DEID_EMIT },
    { "waveform, a name behind", 0x54001010, DICOM_VR_OW, "................\0Zimmermann\0", 28, DEID_RESIDUE },
    { "overlay, shorter", 0x60003000, DICOM_VR_OW, "for Zimmermann", 14, DEID_RESIDUE },
    { "lookup table", 0x00283006, DICOM_VR_OW, "\1\2for Ottokar\3", 14, DEID_EMIT },
    { "lookup table, a name", 0x00283006, DICOM_VR_OW, "for Zimmermann", 14, DEID_RESIDUE },
    { "colour profile", 0x00282000, DICOM_VR_OB, "\1\2\3\4for Zimmermann\5", 20, DEID_RESIDUE },
    { "unknown image attribute", 0x00289999, DICOM_VR_UN, "\1\2\3\4for Zimmermann\5", 20, DEID_RESIDUE },
};

static void test_excess__texts_beside_samples_are_searched(void)
{
    for (size_t i = 0; i < ARRAY_LEN(beside); i++) {
        test_row("%s", beside[i].name);
        const uint32_t tag = beside[i].tag, group = tag & 0xFFFF0000u;
        const bool is_waveform = group == 0x54000000, is_channel = group == 0x003A0000;
        rig_auto r;
        struct dcm d;
        begin(&r, &d);
        if (is_waveform || is_channel) {
            dcm_seq_begin(&d, is_waveform ? 0x54000100 : 0x003A0200, true);
            dcm_item_begin(&d, true);
        }
        if (is_waveform) {
            dcm_u16(&d, 0x003A0005, 2);
            dcm_u32(&d, 0x003A0010, 4);
            dcm_u16(&d, 0x54001004, 16);
        }
        if ((tag & 0xFFFF) == 0x3000 && group >= 0x60000000) {
            dcm_u16(&d, group | 0x0010, 8);
            dcm_u16(&d, group | 0x0011, 16);
        }
        dcm_bytes(&d, tag, beside[i].vr, beside[i].value, beside[i].n);
        if (is_waveform || is_channel) {
            dcm_item_end(&d);
            dcm_seq_end(&d);
        }
        CHECK_INT(end(&r, &d), beside[i].v);
    }
}

int main(int argc, char **argv)
{
    static const struct test_case tests[] = {
        TEST(test_excess__of_pixels_is_searched),
        TEST(test_excess__too_long_is_refused),
        TEST(test_excess__of_subsampled_pixels_is_searched),
        TEST(test_excess__sizes_that_say_nothing_are_none),
        TEST(test_excess__in_an_item_is_searched),
        TEST(test_excess__is_read_from_a_file),
        TEST(test_excess__a_later_name_is_found_in_it),
        TEST(test_excess__texts_beside_samples_are_searched),
    };
    return test_main(argc, argv, tests, ARRAY_LEN(tests));
}
