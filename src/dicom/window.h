/* window.h - the parts of a source that were read so far; for the reader's own files.
 *
 * Blocks are kept, sorted by where they start, as long as their arena lives, so that a value read once is a pointer
 * ever after.  A source of bytes in memory is one block and nothing is copied.
 * Owns: its blocks, in the arena given.  Never: reads beyond the end of the source.
 * Threads: one window belongs to one thread. */
#ifndef PIXL_DICOM_WINDOW_H
#define PIXL_DICOM_WINDOW_H

#include "dicom/file.h"

struct dicom_block {
    uint64_t offset, n;          /* of bytes, in the source */
    const uint8_t *bytes;
};

struct dicom_window {
    struct dicom_source source;
    struct arena *arena;
    struct dicom_block *blocks;
    size_t n_blocks, cap_blocks;
};

/* In the arena.  Fails: NOMEM. */
PIXL_MUST_CHECK bool dicom_window_new(const struct dicom_source *source, struct arena *arena, struct dicom_window **out,
                                      struct pixl_error *err);
/* The n bytes at offset when one block holds them all; NULL when not. */
const uint8_t *dicom_window_find(const struct dicom_window *w, uint64_t offset, uint64_t n);
/* Reads n bytes at offset into a new block, unless the source lies in memory; offset + n is within the source.
 * Fails: NOMEM, and as the source's read(). */
PIXL_MUST_CHECK bool dicom_window_load(struct dicom_window *w, uint64_t offset, uint64_t n, struct dicom_block *out,
                                       struct pixl_error *err);

#endif
