/* deflate.h - data sets that are deflated as a whole (PS3.5 section A.5); for the reader's and writer's own files.
 *
 * A raw deflate stream (RFC 1951) follows the file meta and is padded with a NUL to even length.  It is inflated into
 * memory, behind a copy of the bytes before it, so that offsets mean what they mean in other files.
 * Owns: nothing; all memory is the caller's arena.  Never: inflates more than it is told to.
 * Threads: any. */
#ifndef PIXL_DICOM_DEFLATE_H
#define PIXL_DICOM_DEFLATE_H

#include "dicom/file.h"
#include "dicom/plan.h"

enum dicom_inflate_end {
    DICOM_INFLATE_MORE,  /* stopped at `want` */
    DICOM_INFLATE_WHOLE, /* the stream ended; what stands behind it is ignored, as others do */
    DICOM_INFLATE_CUT,   /* the source ended before the stream, or the stream is damaged; out holds what came */
};

/* The first data_offset bytes of source as they are, then up to `want` bytes of the data set, as a source of bytes.
 *   max   most bytes of data set; a stream that holds more than that, and is wanted, is LIMIT
 * Fails: LIMIT, NOMEM, CORRUPT (source changed), as source->read. */
PIXL_MUST_CHECK bool dicom_inflate(const struct dicom_source *source, uint64_t data_offset, uint64_t want, uint64_t max,
                                   struct arena *arena, struct dicom_source *out, enum dicom_inflate_end *end,
                                   struct pixl_error *err);

/* Puts in the place of all that the plan holds behind its first `from` bytes the same deflated, padded to even length; masked pixels are behind.
 * Fails: NOMEM, as source->read. */
PIXL_MUST_CHECK bool dicom_plan_deflate(struct dicom_plan *p, uint64_t from, const struct dicom_source *source,
                                        struct pixl_error *err);

#endif
