/* Pixels of ultrasound regions stay, the others become zero, or the instance is refused. */
#include "deid/deid.h"

#include <stdlib.h>
#include <string.h>

#include "deid/report.h"
#include "deid_rig.h"
#include "dicom/mask.h"

#define USUAL                                                                                                \
    RULE(0x0008, 0x0016, KEEP), RULE(0x0008, 0x0018, REPLACE_UID), RULE(0x0008, 0x0060, KEEP),               \
        RULE(0x0010, 0x0010, REPLACE), RULE(0x0010, 0x0020, SECURE_HASH), RULE(0x0020, 0x000D, REPLACE_UID), \
        RULE(0x0020, 0x000E, REPLACE_UID), RULE(0x7FE0, 0x0010, KEEP)

static const struct project_tag_rule usual[] = { USUAL };
static const char *const recipes[] = { "us.yaml" };

/* An instance to be made; what is 0 or NULL is as in `plain`. */
struct image {
    const char *syntax, *photometric, *frames;
    uint16_t rows, columns, bits, samples, planar;
    enum dicom_vr vr; /* of Pixel Data */
    int more;         /* bytes that Pixel Data is longer than it should be */
    size_t n_rects;
    struct dicom_rect rects[4];
    void (*instead_of_regions)(struct dcm *d);
    void (*instead_of_pixels)(struct dcm *d);
    void (*before_pixels)(struct dcm *d);
    uint32_t without; /* an element of group 0028 that is left out */
    const char *burned_in;
};

static uint32_t n_frames_of(const struct image *i)
{
    return i->frames != NULL && i->frames[0] != '-' ? (uint32_t)strtoul(i->frames, NULL, 10) : 1;
}

static size_t n_bytes_of(const struct image *i)
{
    return (size_t)i->rows * i->columns * i->samples * (i->bits / 8u) * n_frames_of(i);
}

/* None is zero, and not even the padding is. */
static char byte_of(size_t i)
{
    return (char)(1 + i * 7 % 255);
}

static bool is_in(const struct image *i, uint32_t x, uint32_t y)
{
    for (size_t k = 0; k < i->n_rects; k++)
        if (x >= i->rects[k].x0 && x <= i->rects[k].x1 && y >= i->rects[k].y0 && y <= i->rects[k].y1)
            return true;
    return false;
}

/* Goes through the pixels as section C.7.6.3.1 tells, sample by sample. */
static struct str expected(const struct image *i, struct buf *out)
{
    size_t at = 0;
    const bool is_planar = i->samples > 1 && i->planar == 1;
    for (uint32_t f = 0; f < n_frames_of(i); f++)
        for (uint32_t plane = 0; plane < (is_planar ? i->samples : 1u); plane++)
            for (uint32_t y = 0; y < i->rows; y++)
                for (uint32_t x = 0; x < i->columns; x++)
                    for (uint32_t b = 0; b < (is_planar ? 1u : i->samples) * i->bits / 8u; b++, at++)
                        REQUIRE(buf_add_char(out, is_in(i, x, y) ? byte_of(at) : '\0'));
    if (at % 2 != 0)
        REQUIRE(buf_add_char(out, '\0'));
    return buf_str(out);
}

static void add_regions(struct dcm *d, const struct image *i)
{
    dcm_seq_begin(d, DICOM_ULTRASOUND_REGIONS, true);
    for (size_t k = 0; k < i->n_rects; k++) {
        dcm_item_begin(d, k % 2 == 0);
        dcm_u16(d, 0x00186012, 1);
        dcm_u32(d, DICOM_REGION_MIN_X0, i->rects[k].x0);
        dcm_u32(d, DICOM_REGION_MIN_Y0, i->rects[k].y0);
        dcm_u32(d, DICOM_REGION_MAX_X1, i->rects[k].x1);
        dcm_u32(d, DICOM_REGION_MAX_Y1, i->rects[k].y1);
        dcm_item_end(d);
    }
    dcm_seq_end(d);
}

static void add_u16(struct dcm *d, const struct image *i, uint32_t tag, uint16_t v)
{
    if (i->without != tag)
        dcm_u16(d, tag, v);
}

static void add_pixels(struct dcm *d, const struct image *i)
{
    size_t n = (size_t)((long)n_bytes_of(i) + i->more);
    char *p = malloc(n + 1);
    REQUIRE(p != NULL);
    for (size_t k = 0; k < n + 1; k++)
        p[k] = byte_of(k);
    dcm_bytes(d, DICOM_PIXEL_DATA, i->vr, p, n + n % 2);
    free(p);
}

static void make(struct dcm *d, const struct image *i)
{
    dcm_begin_syntax(d, i->syntax, DCM_CT_IMAGE_STORAGE, RIG_SOP);
    dcm_text(d, DICOM_SOP_CLASS_UID, DICOM_VR_UI, DCM_CT_IMAGE_STORAGE);
    dcm_text(d, DICOM_SOP_INSTANCE_UID, DICOM_VR_UI, RIG_SOP);
    dcm_text(d, DICOM_MODALITY, DICOM_VR_CS, "CT");
    dcm_text(d, DICOM_MANUFACTURER, DICOM_VR_LO, "ACME");
    rig_patient(d);
    if (i->instead_of_regions != NULL)
        i->instead_of_regions(d);
    else
        add_regions(d, i);
    rig_uids(d);
    add_u16(d, i, DICOM_SAMPLES_PER_PIXEL, i->samples);
    if (i->without != DICOM_PHOTOMETRIC_INTERPRETATION)
        dcm_text(d, DICOM_PHOTOMETRIC_INTERPRETATION, DICOM_VR_CS, i->photometric);
    if (i->samples > 1)
        add_u16(d, i, DICOM_PLANAR_CONFIGURATION, i->planar);
    if (i->frames != NULL)
        dcm_text(d, DICOM_NUMBER_OF_FRAMES, DICOM_VR_IS, i->frames);
    add_u16(d, i, DICOM_ROWS, i->rows);
    add_u16(d, i, DICOM_COLUMNS, i->columns);
    add_u16(d, i, DICOM_BITS_ALLOCATED, i->bits);
    if (i->burned_in != NULL)
        dcm_text(d, 0x00280301, DICOM_VR_CS, i->burned_in);
    if (i->before_pixels != NULL)
        i->before_pixels(d);
    if (i->instead_of_pixels != NULL)
        i->instead_of_pixels(d);
    else
        add_pixels(d, i);
    if (strcmp(i->syntax, DCM_DEFLATED_LE) == 0)
        dcm_deflate(d);
}

#define PLAIN                                                                                                  \
    .syntax = DCM_EXPLICIT_LE, .photometric = "MONOCHROME2", .rows = 6, .columns = 8, .bits = 8, .samples = 1, \
    .vr = DICOM_VR_OB, .n_rects = 1, .rects = { { 2, 1, 5, 3 } }

static void start(struct rig *r, const struct project_tag_rule *rules, size_t n)
{
    rig_init(r, rules, n);
    r->project.deid_recipes = recipes;
    r->project.n_deid_recipes = 1;
    rig_start(r);
}

static enum deid_verdict run(struct rig *r, const struct image *i)
{
    struct dcm d;
    make(&d, i);
    enum deid_verdict v = rig_run(r, dcm_str(&d));
    dcm_done(&d);
    return v;
}

static void check_cleaned(struct rig *r, const struct image *i)
{
    buf_auto want;
    buf_init(&want, 1 << 20);
    if (!CHECK_INT(run(r, i), DEID_EMIT)) {
        fprintf(stderr, "    %s %s\n", study_reason_name(r->res.why), r->res.where);
        return;
    }
    CHECK(str_eq(VALUE(r, DICOM_PIXEL_DATA), expected(i, &want)));
}

/* --- what is cleaned --- */

static void test_regions__every_layout_is_cleaned(void)
{
    static const struct {
        const char *photometric;
        uint16_t samples;
    } colours[] = {
        { "MONOCHROME1", 1 }, { "MONOCHROME2", 1 }, { "PALETTE COLOR", 1 }, { "RGB", 3 }, { "YBR_FULL", 3 },
    };
    static const char *const frames[] = { NULL, "1", "3", " 2 " };
    static const char *const syntaxes[] = { DCM_EXPLICIT_LE, DCM_IMPLICIT_LE, DCM_EXPLICIT_BE, DCM_DEFLATED_LE };
    rig_auto r;
    start(&r, usual, ARRAY_LEN(usual));
    for (size_t c = 0; c < ARRAY_LEN(colours); c++)
        for (int k = 0; k < 128; k++) {
            struct image i = { PLAIN, .frames = frames[k & 3] };
            i.photometric = colours[c].photometric;
            i.samples = colours[c].samples;
            i.bits = k & 4 ? 16 : 8;
            i.planar = k & 8 ? 1 : 0;
            i.syntax = syntaxes[k >> 5];
            bool is_big_endian = k >> 5 == 2; /* there words of 8-bit pixels are refused */
            i.vr = k & 4 || (k & 16 && !is_big_endian) ? DICOM_VR_OW : DICOM_VR_OB;
            i.rows = k & 16 ? 5 : 6; /* some are odd, and padded */
            i.columns = k & 16 ? 7 : 8;
            test_row("%s, %u bits, planar %u, frames %s, %s", i.photometric, i.bits, i.planar, i.frames, i.syntax);
            check_cleaned(&r, &i);
        }
}

static void test_regions__bounds_are_inclusive_and_clipped(void)
{
    static const struct {
        const char *name;
        size_t n;
        struct dicom_rect rects[4];
    } rows[] = {
        { "one pixel", 1, { { 3, 2, 3, 2 } } },
        { "first row and column", 1, { { 0, 0, 2, 2 } } },
        { "last row and column", 1, { { 5, 4, 7, 5 } } },
        { "all", 1, { { 0, 0, 7, 5 } } },
        { "beyond the right", 1, { { 5, 1, 8, 3 } } },
        { "beyond the bottom", 1, { { 5, 1, 6, 6 } } },
        { "far beyond", 1, { { 5, 1, 70000, 0xFFFFFFFF } } },
        { "two that touch", 2, { { 0, 1, 3, 4 }, { 4, 2, 7, 3 } } },
        { "two that overlap", 2, { { 1, 1, 4, 3 }, { 3, 2, 6, 5 } } },
        { "two apart, one beyond", 2, { { 0, 0, 1, 1 }, { 6, 4, 9, 9 } } },
        { "four", 4, { { 6, 0, 7, 1 }, { 0, 0, 1, 1 }, { 3, 2, 4, 3 }, { 0, 5, 7, 5 } } },
    };
    rig_auto r;
    start(&r, usual, ARRAY_LEN(usual));
    for (size_t k = 0; k < ARRAY_LEN(rows); k++)
        for (uint16_t planar = 0; planar < 2; planar++) {
            struct image i = { PLAIN, .frames = "2", .planar = planar };
            i.samples = 3;
            i.photometric = "RGB";
            i.n_rects = rows[k].n;
            memcpy(i.rects, rows[k].rects, sizeof i.rects);
            test_row("%s, planar %u", rows[k].name, planar);
            check_cleaned(&r, &i);
        }
}

static void test_regions__what_burned_in_annotation_says_exempts_nothing(void)
{
    static const char *const says[] = { "NO", "YES" };
    static const struct project_tag_rule keeps_it[] = { USUAL, RULE(0x0028, 0x0301, KEEP) };
    for (size_t k = 0; k < ARRAY_LEN(says); k++) {
        rig_auto r;
        start(&r, keeps_it, ARRAY_LEN(keeps_it));
        struct image i = { PLAIN, .burned_in = says[k] };
        test_row("%s", says[k]);
        check_cleaned(&r, &i);
        CHECK_STR(TEXT(&r, 0x00280301), says[k]); /* goes by its rule: of what is in regions nothing is known */
        CHECK_STR(VALUE(&r, DICOM_ULTRASOUND_REGIONS), "<none>"); /* used, though no rule keeps it */
    }
}

static void test_regions__the_method_is_told_where_it_was_used(void)
{
    for (int cleans = 0; cleans < 2; cleans++) {
        rig_auto r;
        rig_init(&r, usual, ARRAY_LEN(usual));
        r.project.deid_recipes = recipes;
        r.project.n_deid_recipes = (size_t)cleans;
        struct pixl_error err = { 0 };
        PIXL_CLEANUP(report_freep) struct report *report = NULL;
        REQUIRE_OK(report_new(&report, &err), err);
        r.args.report = report;
        rig_start(&r);
        struct image i = { PLAIN };
        test_row("cleans %d", cleans);
        REQUIRE(run(&r, &i) == DEID_EMIT);
        bool is_told = memmem(r.bytes.p, r.bytes.n, "113101", 6) != NULL;
        CHECK_INT(is_told, cleans);
        int64_t pixels = dicom_find(&r.in, DICOM_NO_PARENT, DICOM_PIXEL_DATA);
        CHECK_INT(r.res.actions[pixels], cleans ? REPORT_CLEANED : REPORT_KEPT);
        if (cleans)
            CHECK_STR(TEXT(&r, DICOM_DEIDENTIFICATION_METHOD_CODES, 0x00080104), "Clean Pixel Data Option");
        else
            CHECK(memchr(VALUE(&r, DICOM_PIXEL_DATA).p, 0, n_bytes_of(&i)) == NULL);
    }
}

/* --- what is refused --- */

static void no_regions(struct dcm *d)
{
    (void)d;
}
static void no_item(struct dcm *d)
{
    dcm_seq_begin(d, DICOM_ULTRASOUND_REGIONS, false);
    dcm_seq_end(d);
}
static void an_empty_item(struct dcm *d)
{
    dcm_seq_begin(d, DICOM_ULTRASOUND_REGIONS, false);
    dcm_item_begin(d, false);
    dcm_item_end(d);
    dcm_seq_end(d);
}
static void short_numbers(struct dcm *d)
{
    dcm_seq_begin(d, DICOM_ULTRASOUND_REGIONS, false);
    dcm_item_begin(d, false);
    dcm_u16(d, DICOM_REGION_MIN_X0, 2);
    dcm_u16(d, DICOM_REGION_MIN_Y0, 1);
    dcm_u16(d, DICOM_REGION_MAX_X1, 5);
    dcm_u16(d, DICOM_REGION_MAX_Y1, 3);
    dcm_item_end(d);
    dcm_seq_end(d);
}
static void two_numbers(struct dcm *d)
{
    dcm_seq_begin(d, DICOM_ULTRASOUND_REGIONS, false);
    dcm_item_begin(d, false);
    dcm_bytes(d, DICOM_REGION_MIN_X0, DICOM_VR_UL, "\2\0\0\0\2\0\0\0", 8);
    dcm_item_end(d);
    dcm_seq_end(d);
}
static void too_many(struct dcm *d)
{
    dcm_seq_begin(d, DICOM_ULTRASOUND_REGIONS, false);
    for (int i = 0; i < DICOM_MASK_RECTS_MAX + 1; i++) {
        dcm_item_begin(d, false);
        dcm_u32(d, DICOM_REGION_MIN_X0, 0);
        dcm_u32(d, DICOM_REGION_MIN_Y0, 0);
        dcm_u32(d, DICOM_REGION_MAX_X1, 1);
        dcm_u32(d, DICOM_REGION_MAX_Y1, 1);
        dcm_item_end(d);
    }
    dcm_seq_end(d);
}
static void bytes_for_regions(struct dcm *d)
{
    dcm_bytes(d, DICOM_ULTRASOUND_REGIONS, DICOM_VR_OB, "regions!", 8);
}
static void no_pixels(struct dcm *d)
{
    (void)d;
}
static void empty_pixels(struct dcm *d)
{
    dcm_bytes(d, DICOM_PIXEL_DATA, DICOM_VR_OB, "", 0);
}
static void fragments(struct dcm *d)
{
    dcm_pixels_encapsulated(d, 2, 100);
}
static void float_pixels(struct dcm *d)
{
    dcm_fill(d, DICOM_FLOAT_PIXEL_DATA, DICOM_VR_OF, 6 * 8 * 4);
}

#define BUT(...)           \
    {                      \
        PLAIN, __VA_ARGS__ \
    }
#define PIXELS  "(7FE0,0010)"
#define REGIONS "(0018,6011)"
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Woverride-init"
static const struct {
    const char *name, *where;
    struct image image;
} refused[] = {
    { "no regions", PIXELS, BUT(.instead_of_regions = no_regions) },
    { "no region", REGIONS, BUT(.instead_of_regions = no_item) },
    { "a region without bounds", REGIONS "[0]", BUT(.instead_of_regions = an_empty_item) },
    { "bounds of 16 bits", REGIONS "[0].(0018,6018)", BUT(.instead_of_regions = short_numbers) },
    { "bounds of two numbers", REGIONS "[0].(0018,6018)", BUT(.instead_of_regions = two_numbers) },
    { "too many regions", REGIONS "[64]", BUT(.instead_of_regions = too_many) },
    { "regions that are no sequence", REGIONS, BUT(.instead_of_regions = bytes_for_regions) },
    { "right before left", REGIONS "[0]", BUT(.rects = { { 5, 1, 2, 3 } }) },
    { "bottom before top", REGIONS "[0]", BUT(.rects = { { 2, 3, 5, 1 } }) },
    { "right of the image", REGIONS "[0]", BUT(.rects = { { 8, 1, 9, 3 } }) },
    { "below the image", REGIONS "[0]", BUT(.rects = { { 2, 6, 5, 8 } }) },
    { "a second one that is inverted", REGIONS "[1]", BUT(.n_rects = 2, .rects = { { 2, 1, 5, 3 }, { 2, 3, 5, 1 } }) },
    { "no pixels", "", BUT(.instead_of_pixels = no_pixels) },
    { "pixels of no bytes", PIXELS, BUT(.instead_of_pixels = empty_pixels) },
    { "float pixels", "", BUT(.instead_of_pixels = float_pixels) },
    { "compressed", PIXELS, BUT(.syntax = DCM_JPEG_BASELINE, .instead_of_pixels = fragments) },
    { "two bytes more", PIXELS, BUT(.more = 2) },
    { "two bytes less", PIXELS, BUT(.more = -2) },
    { "a row less", PIXELS, BUT(.more = -8) },
    { "a frame more", PIXELS, BUT(.more = 48) },
    { "frames that are not there", PIXELS, BUT(.frames = "2", .more = -48) },
    { "no frames", PIXELS, BUT(.frames = "0", .more = 48) },
    { "frames that are no number", PIXELS, BUT(.frames = "1A") },
    { "frames that are less than nothing", PIXELS, BUT(.frames = "-1") },
    { "1 bit", PIXELS, BUT(.bits = 1, .more = 6) },
    { "12 bits", PIXELS, BUT(.bits = 12, .more = 24) },
    { "32 bits", PIXELS, BUT(.bits = 32) },
    { "YBR_FULL_422", PIXELS, BUT(.samples = 3, .photometric = "YBR_FULL_422") },
    { "YBR_FULL_422 as long as it is", PIXELS, BUT(.samples = 3, .photometric = "YBR_FULL_422", .more = -48) },
    { "YBR_PARTIAL_420", PIXELS, BUT(.samples = 3, .photometric = "YBR_PARTIAL_420") },
    { "ARGB", PIXELS, BUT(.samples = 4, .photometric = "ARGB") },
    { "RGB of one sample", PIXELS, BUT(.samples = 1, .photometric = "RGB") },
    { "grey of three samples", PIXELS, BUT(.samples = 3) },
    { "a planar configuration of 2", PIXELS, BUT(.samples = 3, .photometric = "RGB", .planar = 2) },
    { "no rows", PIXELS, BUT(.without = DICOM_ROWS) },
    { "rows of 0", PIXELS, BUT(.rows = 0, .more = 48) },
    { "columns of 0", PIXELS, BUT(.columns = 0, .more = 48) },
    { "no columns", PIXELS, BUT(.without = DICOM_COLUMNS) },
    { "no bits", PIXELS, BUT(.without = DICOM_BITS_ALLOCATED) },
    { "no samples", PIXELS, BUT(.without = DICOM_SAMPLES_PER_PIXEL) },
    { "no photometric interpretation", PIXELS, BUT(.without = DICOM_PHOTOMETRIC_INTERPRETATION) },
    { "no planar configuration", PIXELS,
      BUT(.samples = 3, .photometric = "RGB", .without = DICOM_PLANAR_CONFIGURATION) },
    { "pixels of unknown VR", PIXELS, BUT(.vr = DICOM_VR_UN) },
};
#pragma GCC diagnostic pop

static void test_regions__what_cannot_be_cleaned_is_refused(void)
{
    rig_auto r;
    start(&r, usual, ARRAY_LEN(usual));
    for (size_t k = 0; k < ARRAY_LEN(refused); k++) {
        test_row("%s", refused[k].name);
        CHECK_INT(run(&r, &refused[k].image), DEID_REFUSED);
        CHECK_STR(str_of(study_reason_name(r.res.why)), "pixels-not-cleaned");
        CHECK_STR(str_of(r.res.where), refused[k].where);
    }
}

static void icon(struct dcm *d)
{
    dcm_seq_begin(d, 0x00880200, true);
    dcm_item_begin(d, true);
    dcm_fill(d, DICOM_PIXEL_DATA, DICOM_VR_OB, 64);
    dcm_item_end(d);
    dcm_seq_end(d);
}
static void icon_of_floats(struct dcm *d)
{
    dcm_seq_begin(d, 0x00880200, false);
    dcm_item_begin(d, false);
    dcm_fill(d, DICOM_DOUBLE_PIXEL_DATA, DICOM_VR_OD, 64);
    dcm_item_end(d);
    dcm_seq_end(d);
}

static void test_regions__an_icon_that_would_pass_is_refused(void)
{
    static const struct project_tag_rule with_icon[] = { USUAL, RULE(0x0088, 0x0200, KEEP) };
    static const struct project_tag_rule replaced[] = { USUAL, RULE(0x0088, 0x0200, REPLACE) };
    struct image i = { PLAIN, .before_pixels = icon };
    {
        rig_auto r;
        start(&r, usual, ARRAY_LEN(usual));
        check_cleaned(&r, &i); /* no rule names it: it is gone */
        CHECK_STR(VALUE(&r, 0x00880200), "<none>");
    }
    {
        rig_auto r;
        start(&r, with_icon, ARRAY_LEN(with_icon));
        CHECK_INT(run(&r, &i), DEID_REFUSED);
        CHECK_STR(str_of(study_reason_name(r.res.why)), "pixels-not-cleaned");
        CHECK_STR(str_of(r.res.where), "(0088,0200)[0].(7FE0,0010)");
        i.before_pixels = icon_of_floats; /* which no rule names */
        check_cleaned(&r, &i);
        CHECK_STR(VALUE(&r, 0x00880200, DICOM_DOUBLE_PIXEL_DATA), "<none>");
        i.before_pixels = icon;
    }
    {
        rig_auto r;
        start(&r, replaced, ARRAY_LEN(replaced));
        check_cleaned(&r, &i);
        struct str v = VALUE(&r, 0x00880200, DICOM_PIXEL_DATA);
        CHECK(v.n == 64 && v.p[0] == 0 && memcmp(v.p, v.p + 1, 63) == 0);
    }
}

/* A rule for one manufacturer may leave no pixels to clean. */
static void test_regions__pixels_that_an_override_changes_are_refused(void)
{
    static const struct project_tag_rule drops[] = { RULE(0x7FE0, 0x0010, DELETE) },
                                         zeroes[] = { RULE(0x7FE0, 0x0010, REPLACE) };
    const struct project_tag_rule *const rows[] = { drops, zeroes };
    for (size_t k = 0; k < ARRAY_LEN(rows); k++) {
        rig_auto r;
        rig_init(&r, usual, ARRAY_LEN(usual));
        struct project_override o = { .manufacturer = r.everybody.pattern, .rules = rows[k], .n_rules = 1 };
        r.project.overrides = &o;
        r.project.n_overrides = 1;
        r.project.deid_recipes = recipes;
        r.project.n_deid_recipes = 1;
        rig_start(&r);
        struct image i = { PLAIN };
        test_row("%zu", k);
        CHECK_INT(run(&r, &i), DEID_REFUSED);
        CHECK_STR(str_of(study_reason_name(r.res.why)), "pixels-not-cleaned");
    }
}

int main(int argc, char **argv)
{
    static const struct test_case tests[] = {
        TEST(test_regions__every_layout_is_cleaned),
        TEST(test_regions__bounds_are_inclusive_and_clipped),
        TEST(test_regions__what_burned_in_annotation_says_exempts_nothing),
        TEST(test_regions__the_method_is_told_where_it_was_used),
        TEST(test_regions__what_cannot_be_cleaned_is_refused),
        TEST(test_regions__an_icon_that_would_pass_is_refused),
        TEST(test_regions__pixels_that_an_override_changes_are_refused),
    };
    return test_main(argc, argv, tests, ARRAY_LEN(tests));
}
