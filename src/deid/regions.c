/* regions.c - which pixels stay, where a project's image operations clean them: the ultrasound regions.
 *
 * Sequence of Ultrasound Regions (0018,6011) gives rectangles in pixels; their bounds belong to them (PS3.3 section
 * C.8.5.5).  What lies in none of them becomes zero in every frame and sample, whatever Burned In
 * Annotation says.  Zero is black in MONOCHROME2 and RGB, and what the palette, YBR_FULL (a dark green) and MONOCHROME1
 * (white) make of it elsewhere: one number, so that whoever reads the pixels finds what was blanked.
 *
 * Only where each byte of the pixels can be said to be in or out: native, of 8 or 16 bits allocated, not subsampled, of
 * just the length that rows, columns, samples and frames ask for.  Everything else is refused, and so is an instance
 * that would pass on other pixels: an icon, a float image. */
#include "deid/profile.h"
#include "study_internal.h"

enum { FRAMES_MAX = INT32_MAX, TEXT_MAX = 64 };

struct pixels {
    uint32_t index; /* of Pixel Data */
    uint32_t rows, columns;
    uint32_t pixel_bytes; /* of one plane: all samples when they are interleaved */
    uint64_t n_planes;    /* frames, or frames x samples */
};

bool deid_holds_pixels(uint32_t tag)
{
    uint16_t group = DICOM_GROUP(tag);
    if (group == 0x7FE0)
        return tag == DICOM_PIXEL_DATA || tag == DICOM_FLOAT_PIXEL_DATA || tag == DICOM_DOUBLE_PIXEL_DATA;
    return group >> 8 == 0x7F || ((group & 0xFF01) == 0x6000 && DICOM_ELEMENT_OF(tag) == 0x3000);
}

/* Always false. */
static bool refuse(struct instance *in, uint32_t at)
{
    (void)instance_refuse(in, STUDY_WHY_PIXELS_NOT_CLEANED, at);
    return false;
}

/* The one number of an element of VR US or UL; what is absent, or something else, refuses the instance at `item`, or at
 * Pixel Data. */
static bool read_number(struct instance *in, uint32_t item, uint32_t tag, uint32_t *out, struct pixl_error *err)
{
    const enum dicom_vr vr = dicom_dict_vr(tag);
    const size_t n = vr == DICOM_VR_US ? 2 : 4;
    int64_t i = dicom_find(in->f, item, tag);
    if (i < 0)
        return refuse(in, item == DICOM_NO_PARENT ? (uint32_t)in->top[TOP_PIXELS] : item);
    const struct dicom_element *e = &in->f->elements[i];
    bool is_big_endian = in->f->syntax->is_big_endian && !(e->flags & DICOM_IS_IMPLICIT);
    bool is_known = e->vr == vr || (e->vr == DICOM_VR_UN && !is_big_endian); /* UN is little endian anywhere */
    struct str s;
    if (!is_known || e->value_bytes != n)
        return refuse(in, (uint32_t)i);
    if (!dicom_value(in->f, (uint32_t)i, &s, err))
        return false;
    uint32_t v = 0;
    for (size_t k = 0; k < n; k++)
        v = v << 8 | (uint8_t)s.p[is_big_endian ? k : n - 1 - k];
    *out = v;
    return true;
}

/* The text of an element of the main data set, trimmed; *found: is it there? */
static bool read_text(struct instance *in, uint32_t tag, struct str *out, bool *found, struct pixl_error *err)
{
    int64_t i = dicom_find(in->f, DICOM_NO_PARENT, tag);
    *found = i >= 0;
    if (i < 0)
        return true;
    if ((in->f->elements[i].flags & DICOM_IS_SEQUENCE) || in->f->elements[i].value_bytes > TEXT_MAX)
        return refuse(in, (uint32_t)i);
    if (!dicom_value(in->f, (uint32_t)i, out, err))
        return false;
    *out = str_trim(dicom_uid_trim(*out));
    return true;
}

/* One sample a pixel, or three that stand in planes or side by side and are not subsampled. */
static bool is_supported(struct str photometric, uint32_t n_samples)
{
    static const struct {
        const char *name;
        uint32_t n_samples;
    } supported[] = {
        { "MONOCHROME1", 1 }, { "MONOCHROME2", 1 }, { "PALETTE COLOR", 1 }, { "RGB", 3 }, { "YBR_FULL", 3 },
    };
    for (size_t i = 0; i < ARRAY_LEN(supported); i++)
        if (str_eq(photometric, str_of(supported[i].name)))
            return n_samples == supported[i].n_samples;
    return false;
}

/* PS3.3 section C.7.6.3.1, and C.7.6.6 for the frames. */
static bool read_layout(struct instance *in, struct pixels *px, struct pixl_error *err)
{
    const uint32_t main = DICOM_NO_PARENT, at = px->index;
    uint32_t bits, n_samples, planar = 0;
    uint64_t n_frames = 1;
    struct str photometric, frames;
    bool has_photometric, has_frames;
    if (!read_number(in, main, DICOM_ROWS, &px->rows, err) ||
        !read_number(in, main, DICOM_COLUMNS, &px->columns, err) ||
        !read_number(in, main, DICOM_BITS_ALLOCATED, &bits, err) ||
        !read_number(in, main, DICOM_SAMPLES_PER_PIXEL, &n_samples, err) ||
        !read_text(in, DICOM_PHOTOMETRIC_INTERPRETATION, &photometric, &has_photometric, err) ||
        !read_text(in, DICOM_NUMBER_OF_FRAMES, &frames, &has_frames, err))
        return false;
    if (px->rows == 0 || px->columns == 0 || (bits != 8 && bits != 16) || !has_photometric ||
        !is_supported(photometric, n_samples))
        return refuse(in, at);
    if (n_samples > 1 && !read_number(in, main, DICOM_PLANAR_CONFIGURATION, &planar, err))
        return false;
    if (planar > 1 || (has_frames && (!str_to_u64(frames, &n_frames) || n_frames == 0 || n_frames > FRAMES_MAX)))
        return refuse(in, at);
    px->pixel_bytes = bits / 8 * (planar == 1 ? 1 : n_samples);
    px->n_planes = n_frames * (planar == 1 ? n_samples : 1);
    /* In big endian the two bytes of a word stand the other way round, and each of them is a pixel. */
    bool is_swapped = in->f->syntax->is_big_endian && in->f->elements[at].vr == DICOM_VR_OW && bits == 8;
    return !is_swapped || refuse(in, at);
}

/* Just as long as the layout says, with a byte behind where that is odd. */
static bool check_length(struct instance *in, const struct pixels *px, uint64_t *n)
{
    const struct dicom_element *e = &in->f->elements[px->index];
    const uint64_t plane = (uint64_t)px->rows * px->columns * px->pixel_bytes;
    if (e->value_bytes / plane != px->n_planes)
        return refuse(in, px->index);
    *n = plane * px->n_planes;
    return e->value_bytes == *n + (*n & 1) || refuse(in, px->index);
}

/* One region, clipped to the image.  One that holds no pixel, or ends before it begins, says that the header does not
 * speak of these pixels. */
static bool read_region(struct instance *in, uint32_t item, const struct pixels *px, struct dicom_rect *out,
                        struct pixl_error *err)
{
    struct dicom_rect r;
    if (!read_number(in, item, DICOM_REGION_MIN_X0, &r.x0, err) ||
        !read_number(in, item, DICOM_REGION_MIN_Y0, &r.y0, err) ||
        !read_number(in, item, DICOM_REGION_MAX_X1, &r.x1, err) ||
        !read_number(in, item, DICOM_REGION_MAX_Y1, &r.y1, err))
        return false;
    if (r.x0 > r.x1 || r.y0 > r.y1 || r.x0 >= px->columns || r.y0 >= px->rows)
        return refuse(in, item);
    if (r.x1 >= px->columns)
        r.x1 = px->columns - 1;
    if (r.y1 >= px->rows)
        r.y1 = px->rows - 1;
    *out = r;
    return true;
}

static bool read_regions(struct instance *in, const struct pixels *px, struct dicom_rect *rects, size_t *n,
                         struct pixl_error *err)
{
    const struct dicom_file *f = in->f;
    int64_t sequence = dicom_find(f, DICOM_NO_PARENT, DICOM_ULTRASOUND_REGIONS);
    *n = 0;
    if (sequence < 0 || !(f->elements[sequence].flags & DICOM_IS_SEQUENCE))
        return refuse(in, sequence < 0 ? px->index : (uint32_t)sequence);
    for (uint32_t item = (uint32_t)sequence + 1; item < f->elements[sequence].end; item = f->elements[item].end) {
        if (*n == DICOM_MASK_RECTS_MAX)
            return refuse(in, item);
        if (!read_region(in, item, px, &rects[*n], err))
            return false;
        ++*n;
    }
    return *n > 0 || refuse(in, (uint32_t)sequence);
}

/* Pixel Data of the main data set, native and kept, and no other pixels at any depth. */
static bool find_pixels(struct instance *in, struct pixels *px)
{
    const struct dicom_file *f = in->f;
    if (in->top[TOP_PIXELS] < 0)
        return refuse(in, DICOM_NO_PARENT);
    px->index = (uint32_t)in->top[TOP_PIXELS];
    for (uint32_t i = f->meta_end; i < f->n_elements; i++) {
        bool is_leaf = (f->elements[i].flags & (DICOM_IS_ITEM | DICOM_IS_SEQUENCE)) == 0;
        if (is_leaf && i != px->index && in->decisions[i].what == DECISION_KEEP &&
            deid_holds_pixels(f->elements[i].tag))
            return refuse(in, i);
    }
    const struct dicom_element *e = &f->elements[px->index];
    bool is_native = !f->syntax->is_encapsulated && !(e->flags & (DICOM_IS_ENCAPSULATED | DICOM_IS_SEQUENCE)) &&
                     (e->vr == DICOM_VR_OB || e->vr == DICOM_VR_OW);
    return (is_native && in->decisions[px->index].what == DECISION_KEEP) || refuse(in, px->index);
}

bool deid_regions(struct instance *in, struct pixl_error *err)
{
    struct pixels px;
    struct dicom_rect rects[DICOM_MASK_RECTS_MAX];
    struct dicom_mask *mask;
    size_t n;
    uint64_t n_bytes = 0;
    if (!in->study->policy->cleans_pixels)
        return true;
    if (!find_pixels(in, &px) || !read_layout(in, &px, err) || !check_length(in, &px, &n_bytes) ||
        !read_regions(in, &px, rects, &n, err) ||
        !dicom_mask_new(in->arena, px.rows, px.columns, px.pixel_bytes, rects, n, &mask, err))
        return false;
    in->mask = mask;
    in->masked_bytes = n_bytes;
    in->options |= PROFILE_PIXELS;
    return true;
}
