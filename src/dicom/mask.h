/* mask.h - which bytes of native pixel data stay when all the others become zero.
 *
 * Native pixels are planes of rows, one plane behind the other: a frame of interleaved samples is one, a frame of
 * planar configuration 1 is one for each sample (PS3.5 section 8.2, PS3.3 section C.7.6.3.1.3).  Every plane is masked
 * alike, so a mask is that of one plane, and its size has nothing to do with rows and frames:
 *
 *   bands    rows that are masked alike    0..19 nothing stays | 20..479 spans | 480..599 nothing stays
 *   spans    bytes of such a row that stay, in order and apart   [60, 600) [720, 1800)
 *
 * Owns: nothing; a mask lives in the arena given.  Never: reads pixels.  Threads: immutable, any thread. */
#ifndef PIXL_DICOM_MASK_H
#define PIXL_DICOM_MASK_H

#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/error.h"

enum { DICOM_MASK_RECTS_MAX = 64 };

/* Pixels that stay, counted from 0; all bounds are inclusive. */
struct dicom_rect { uint32_t x0, y0, x1, y1; };

struct dicom_mask_span { uint64_t from, to; };   /* bytes of a row: from, and the first one behind */
struct dicom_mask_band {
    uint32_t end_row;                            /* the first row behind it */
    uint32_t first_span, n_spans;
};
struct dicom_mask {
    uint64_t row_bytes, plane_bytes;             /* not 0 */
    const struct dicom_mask_band *bands;         /* the last one ends with the plane */
    const struct dicom_mask_span *spans;
};

/* The union of n (1 to DICOM_MASK_RECTS_MAX) rectangles in a plane of rows x columns pixels of pixel_bytes each, within
 * which they lie.  Fails: NOMEM. */
PIXL_MUST_CHECK bool dicom_mask_new(struct arena *a, uint32_t rows, uint32_t columns, uint32_t pixel_bytes,
                                    const struct dicom_rect *rects, size_t n, struct dicom_mask **out,
                                    struct pixl_error *err);
/* Zeroes what does not stay of n bytes that stand at `at` of the pixel data. */
void dicom_mask_apply(const struct dicom_mask *m, uint64_t at, uint8_t *bytes, size_t n);

#endif
