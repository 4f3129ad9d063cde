#include "mask.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

static int by_number(const void *left, const void *right)
{
    const uint32_t *l = left, *r = right;
    return (*l > *r) - (*l < *r);
}

static int by_x(const void *left, const void *right)
{
    const struct dicom_rect *l = left, *r = right;
    return (l->x0 > r->x0) - (l->x0 < r->x0);
}

/* The rows at which another rectangle begins, or one has ended: sorted, some twice, with the end of the plane. */
static size_t list_edges(const struct dicom_rect *rects, size_t n, uint32_t rows, uint32_t *edges)
{
    size_t n_edges = 0;
    for (size_t i = 0; i < n; i++) {
        edges[n_edges++] = rects[i].y0;
        edges[n_edges++] = rects[i].y1 + 1;
    }
    edges[n_edges++] = rows;
    qsort(edges, n_edges, sizeof *edges, by_number);
    return n_edges;
}

/* What stays of a row: rects are sorted by x, so that one that does not touch the span before begins another. */
static uint32_t list_spans(const struct dicom_rect *rects, size_t n, uint32_t row, uint32_t pixel_bytes,
                           struct dicom_mask_span *spans)
{
    uint32_t n_spans = 0;
    for (size_t i = 0; i < n; i++) {
        if (row < rects[i].y0 || row > rects[i].y1)
            continue;
        const struct dicom_mask_span span = { (uint64_t)rects[i].x0 * pixel_bytes,
                                              ((uint64_t)rects[i].x1 + 1) * pixel_bytes };
        if (n_spans == 0 || span.from > spans[n_spans - 1].to)
            spans[n_spans++] = span;
        else if (span.to > spans[n_spans - 1].to)
            spans[n_spans - 1].to = span.to;
    }
    return n_spans;
}

bool dicom_mask_new(struct arena *a, uint32_t rows, uint32_t columns, uint32_t pixel_bytes,
                    const struct dicom_rect *rects, size_t n, struct dicom_mask **out, struct pixl_error *err)
{
    enum { EDGES_MAX = 2 * DICOM_MASK_RECTS_MAX + 1 };
    struct dicom_rect sorted[DICOM_MASK_RECTS_MAX];
    uint32_t edges[EDGES_MAX];
    assert(n > 0 && n <= DICOM_MASK_RECTS_MAX && rows > 0 && rows < UINT32_MAX && columns > 0 && pixel_bytes > 0);
    for (size_t i = 0; i < n; i++)
        assert(rects[i].x0 <= rects[i].x1 && rects[i].x1 < columns && rects[i].y0 <= rects[i].y1 && rects[i].y1 < rows);
    memcpy(sorted, rects, n * sizeof *sorted);
    qsort(sorted, n, sizeof *sorted, by_x);
    size_t n_edges = list_edges(rects, n, rows, edges), n_bands = 0;
    uint32_t n_spans = 0, row = 0;
    struct dicom_mask *m = arena_alloc(a, sizeof *m);
    struct dicom_mask_band *bands = arena_calloc(a, n_edges, sizeof *bands);
    struct dicom_mask_span *spans = arena_calloc(a, n_edges * n, sizeof *spans);
    if (m == NULL || bands == NULL || spans == NULL)
        return pixl_fail(err, PIXL_E_NOMEM, 0, "no memory for a mask of pixels");
    for (size_t i = 0; i < n_edges; i++) {
        if (edges[i] == row)
            continue;
        uint32_t more = list_spans(sorted, n, row, pixel_bytes, spans + n_spans);
        bands[n_bands++] = (struct dicom_mask_band){ edges[i], n_spans, more };
        n_spans += more;
        row = edges[i];
    }
    const uint64_t row_bytes = (uint64_t)columns * pixel_bytes;
    *m = (struct dicom_mask){ row_bytes, row_bytes * rows, bands, spans };
    *out = m;
    return true;
}

/* bytes: [from, to) of one row, of which the spans stay. */
static void blank_gaps(const struct dicom_mask_span *spans, uint32_t n_spans, uint64_t from, uint64_t to,
                       uint8_t *bytes)
{
    uint64_t at = from; /* up to here it is done */
    for (uint32_t i = 0; i < n_spans && at < to; i++) {
        uint64_t gap_end = spans[i].from < to ? spans[i].from : to;
        if (gap_end > at)
            memset(bytes + (at - from), 0, (size_t)(gap_end - at));
        if (spans[i].to > at)
            at = spans[i].to;
    }
    if (at < to)
        memset(bytes + (at - from), 0, (size_t)(to - at));
}

void dicom_mask_apply(const struct dicom_mask *m, uint64_t at, uint8_t *bytes, size_t n)
{
    const struct dicom_mask_band *band = m->bands;
    uint64_t pos = at % m->plane_bytes;
    while (n > 0) {
        while (pos >= band->end_row * m->row_bytes)
            band++;
        const struct dicom_mask_span *spans = m->spans + band->first_span;
        const uint64_t column = pos % m->row_bytes;
        bool is_row_whole = band->n_spans == 1 && spans->from == 0 && spans->to == m->row_bytes;
        bool is_alike = band->n_spans == 0 || is_row_whole;
        uint64_t take = is_alike ? band->end_row * m->row_bytes - pos : m->row_bytes - column;
        if (take > n)
            take = n;
        if (!is_row_whole)
            blank_gaps(spans, band->n_spans, column, column + take, bytes);
        bytes += take;
        n -= (size_t)take;
        pos += take;
        if (pos == m->plane_bytes) {
            pos = 0;
            band = m->bands;
        }
    }
}
