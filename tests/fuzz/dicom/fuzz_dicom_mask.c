/* Any rectangles in any image, zeroed in any pieces: what lies in a rectangle is as it was, all else is zero, and nothing
 * is written before or behind. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "dicom/mask.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct input {
    const uint8_t *p;
    size_t n;
};

/* A number below `below`. */
static uint32_t take(struct input *in, uint32_t below)
{
    uint32_t v = 0;
    for (int i = 0; i < 2 && in->n > 0; i++, in->p++, in->n--)
        v = v << 8 | *in->p;
    return v % below;
}

static bool is_in(const struct dicom_rect *rects, size_t n, uint64_t x, uint64_t y)
{
    for (size_t i = 0; i < n; i++)
        if (x >= rects[i].x0 && x <= rects[i].x1 && y >= rects[i].y0 && y <= rects[i].y1)
            return true;
    return false;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input in = { data, size };
    struct dicom_rect rects[DICOM_MASK_RECTS_MAX];
    const uint32_t rows = 1 + take(&in, 60), columns = 1 + take(&in, 60), pixel_bytes = 1 + take(&in, 6);
    const uint32_t n_planes = 1 + take(&in, 4);
    const size_t n_rects = 1 + take(&in, DICOM_MASK_RECTS_MAX);
    for (size_t i = 0; i < n_rects; i++) {
        rects[i].x0 = take(&in, columns);
        rects[i].y0 = take(&in, rows);
        rects[i].x1 = rects[i].x0 + take(&in, columns - rects[i].x0);
        rects[i].y1 = rects[i].y0 + take(&in, rows - rects[i].y0);
    }
    struct pixl_error err = { 0 };
    struct arena a;
    struct dicom_mask *m;
    arena_init(&a, 1u << 20);
    bool ok = dicom_mask_new(&a, rows, columns, pixel_bytes, rects, n_rects, &m, &err);
    assert(ok);
    const size_t n = (size_t)rows * columns * pixel_bytes * n_planes;
    for (size_t at = 0; at < n;) {
        size_t step = in.n > 0 ? 1 + take(&in, 20000) : n;
        step = step < n - at ? step : n - at;
        uint8_t *bytes = malloc(step); /* just as large, so that the sanitizer sees a byte too many */
        assert(bytes != NULL);
        memset(bytes, 0xA5, step);
        dicom_mask_apply(m, at, bytes, step);
        for (size_t i = 0; i < step; i++) {
            const uint64_t pixel = (at + i) / pixel_bytes % ((uint64_t)rows * columns);
            assert(bytes[i] == (is_in(rects, n_rects, pixel % columns, pixel / columns) ? 0xA5 : 0));
        }
        free(bytes);
        at += step;
    }
    arena_done(&a);
    return 0;
}
