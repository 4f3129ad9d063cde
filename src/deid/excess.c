#include "excess.h"

/* (50xx,eeee) and (60xx,eeee) by their first group. */
static uint32_t first_of_group(uint32_t tag)
{
    bool repeats = (tag & 0xFF010000u) == 0x50000000u || (tag & 0xFF010000u) == 0x60000000u;
    return repeats ? tag & 0xFF00FFFFu : tag;
}

bool excess_is_samples(uint32_t tag)
{
    switch (first_of_group(tag)) {
    case DICOM_PIXEL_DATA:
    case DICOM_FLOAT_PIXEL_DATA:
    case DICOM_DOUBLE_PIXEL_DATA:
    case 0x50003000:
    case 0x5000200C: /* curves, sounds */
    case 0x54001010: /* waveforms */
    case 0x60003000: /* overlays */ return true;
    default: return false;
    }
}

/* The bits of samples are the product of these, which stand before them in the same data set; tags descend. */
struct factor {
    uint32_t tag;
    unsigned otherwise;
}; /* otherwise: when it is absent or empty; 0: then nobody knows */
enum { FACTORS_MAX = 5 };
#define PIXELS(bits)                                                                   \
    {                                                                                  \
        { 0x00280100, bits }, { 0x00280011, 0 }, { 0x00280010, 0 }, { 0x00280008, 1 }, \
        {                                                                              \
            0x00280002, 1                                                              \
        }                                                                              \
    }
static const struct extent {
    uint32_t tag;
    struct factor by[FACTORS_MAX];
} extents[] = {
    { DICOM_PIXEL_DATA, PIXELS(0) },
    { DICOM_FLOAT_PIXEL_DATA, PIXELS(32) },
    { DICOM_DOUBLE_PIXEL_DATA, PIXELS(64) },
    { 0x60003000, { { 0x60000100, 1 }, { 0x60000015, 1 }, { 0x60000011, 0 }, { 0x60000010, 0 } } },
    { 0x54001010, { { 0x54001004, 0 }, { 0x003A0010, 0 }, { 0x003A0005, 0 } } },
};
#undef PIXELS

/* Elements of the factors, or -1.  They stand near: looked for backwards from element i, only then by their tags. */
static void find_factors(const struct dicom_file *f, uint32_t i, const struct extent *x, uint32_t group,
                         int64_t at[FACTORS_MAX])
{
    enum { NEAR = 64 };
    const uint32_t parent = f->elements[i].parent, first = parent == DICOM_NO_PARENT ? f->meta_end : parent + 1;
    uint32_t k = i, n = 0;
    for (size_t j = 0; j < FACTORS_MAX && x->by[j].tag != 0; j++) {
        const uint32_t tag = x->by[j].tag + group;
        while (k > first && n < NEAR &&
               (f->elements[k].parent != parent || f->elements[k].tag > tag ||
                (f->elements[k].flags & DICOM_IS_DUPLICATE))) {
            k--;
            n++;
        }
        const struct dicom_element *e = &f->elements[k];
        at[j] = e->parent == parent && e->tag == tag ? (int64_t)k : n < NEAR ? -1 : dicom_find(f, parent, tag);
    }
}

/* Native samples of which chrominance is there for every second or fourth pixel alone (PS3.3 section C.7.6.3.1.2), in
 * twelfths of three samples a pixel.  Who decompresses often leaves the name behind: a value that has all three is
 * accounted for. */
static bool subsample(struct instance *in, uint32_t i, uint64_t *bytes, struct pixl_error *err)
{
    static const struct {
        const char *name;
        unsigned twelfths;
    } kinds[] = { { "YBR_FULL_422", 8 }, { "YBR_PARTIAL_422", 8 }, { "YBR_PARTIAL_420", 6 } };
    const struct dicom_element *e = &in->f->elements[i];
    const int64_t at = dicom_find(in->f, e->parent, DICOM_PHOTOMETRIC_INTERPRETATION);
    struct str name;
    if (at < 0 || (in->f->elements[at].flags & DICOM_IS_SEQUENCE) || e->value_bytes == *bytes ||
        e->value_bytes == *bytes + 1)
        return true;
    if (!dicom_value(in->f, (uint32_t)at, &name, err))
        return false;
    name = str_trim(dicom_uid_trim(name));
    for (size_t k = 0; k < ARRAY_LEN(kinds); k++)
        if (str_eq(name, str_of(kinds[k].name)))
            *bytes = *bytes / 12 * kinds[k].twelfths + *bytes % 12 * kinds[k].twelfths / 12;
    return true;
}

/* Bytes that the attributes account for; 0: they do not say. */
static bool expected_bytes(struct instance *in, uint32_t i, const struct extent *x, uint64_t *out,
                           struct pixl_error *err)
{
    const struct dicom_element *e = &in->f->elements[i];
    const uint32_t group = e->tag - first_of_group(e->tag); /* 0x00020000 for (6002,eeee) */
    int64_t at[FACTORS_MAX];
    uint64_t bits = 1, n = 0;
    find_factors(in->f, i, x, group, at);
    for (size_t k = 0; k < FACTORS_MAX && x->by[k].tag != 0; k++) {
        n = x->by[k].otherwise;
        if (at[k] >= 0 && !instance_number(in, (uint32_t)at[k], n, &n, err))
            return false;
        if (n == INSTANCE_NO_NUMBER)
            n = 0;
        if (__builtin_mul_overflow(bits, n, &bits))
            bits = UINT64_MAX; /* more than a file can hold */
    }
    *out = bits / 8 + (bits % 8 != 0);
    return x->tag != DICOM_PIXEL_DATA || n != 3 || subsample(in, i, out, err); /* n: samples a pixel */
}

/* Finds the first and the last byte from `from` to `to` that are not zero, and the end behind the last; equal: none. */
static bool find_content(struct instance *in, uint64_t *from, uint64_t *to, struct pixl_error *err)
{
    enum { CHUNK = 1 << 16 };
    const struct dicom_source *s = &in->f->source;
    uint64_t first = *to, end = *to;
    bool any = false;
    uint8_t *chunk = arena_alloc(in->arena, CHUNK);
    if (chunk == NULL)
        return pixl_fail(err, PIXL_E_NOMEM, 0, "bytes behind an image");
    for (uint64_t at = *from; at < *to;) {
        const size_t n = *to - at < CHUNK ? (size_t)(*to - at) : CHUNK;
        if (!s->read(s, chunk, n, at, err))
            return false;
        for (size_t k = 0; k < n; k++)
            if (chunk[k] != 0) {
                first = any ? first : at + k;
                end = at + k + 1;
                any = true;
            }
        at += n;
    }
    *from = first;
    *to = end;
    return true;
}

bool excess_of(struct instance *in, uint32_t i, struct str *out, struct pixl_error *err)
{
    enum { SHORT_MAX = 1 << 20 };
    const struct dicom_element *e = &in->f->elements[i];
    const struct extent *x = NULL;
    for (size_t k = 0; k < ARRAY_LEN(extents); k++)
        if (extents[k].tag == first_of_group(e->tag))
            x = &extents[k];
    uint64_t expected = 0;
    *out = (struct str){ 0 };
    if (x == NULL || (e->flags & DICOM_IS_ENCAPSULATED))
        return true;
    if (!expected_bytes(in, i, x, &expected, err))
        return false;
    const bool is_short = e->value_bytes < expected;
    if (!is_short && e->value_bytes - expected <= 1)
        return true;
    uint64_t from = e->value_offset + (is_short ? 0 : expected), to = e->value_offset + e->value_bytes;
    const uint64_t most = is_short ? SHORT_MAX : in->f->limits.max_value_bytes;
    if (!find_content(in, &from, &to, err))
        return false;
    if (to - from > most)
        return instance_refuse(in, STUDY_WHY_UNSUPPORTED_VALUE, i);
    if (to == from)
        return true;
    char *bytes = arena_alloc(in->arena, (size_t)(to - from));
    if (bytes == NULL)
        return pixl_fail(err, PIXL_E_NOMEM, 0, "bytes behind an image");
    if (!in->f->source.read(&in->f->source, bytes, (size_t)(to - from), from, err))
        return false;
    *out = (struct str){ bytes, (size_t)(to - from) };
    return true;
}
