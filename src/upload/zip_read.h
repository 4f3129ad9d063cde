/* zip_read.h - reads a zip by its central directory (APPNOTE 4.3), zip64 too: stored and deflated entries,
 * checksums compared.
 *
 * Independent of the writer on purpose: it judges what the writer made.
 * Owns: the open file and the list of entries.  Threads: one zip belongs to one thread. */
#ifndef PIXL_UPLOAD_ZIP_READ_H
#define PIXL_UPLOAD_ZIP_READ_H

#include "base/error.h"
#include "base/str.h"

struct zip_read;
struct zip_read_entry {
    const char *name;    /* NUL-terminated, lives as long as the zip */
    uint64_t size_bytes; /* inflated */
    uint64_t packed_bytes, header_offset;
    uint32_t crc;
    unsigned method; /* 0 stored, 8 deflated */
};

/* Given: zip_read_close().  Fails: NOT_FOUND, IO, CORRUPT, UNSUPPORTED, LIMIT, NOMEM. */
PIXL_MUST_CHECK bool zip_read_open(const char *path, struct zip_read **out, struct pixl_error *err);
void zip_read_close(struct zip_read *z);
PIXL_DEFINE_CLEANUP(zip_read, zip_read_close)
#define zip_read_auto PIXL_CLEANUP(zip_read_freep) struct zip_read

size_t zip_read_count(const struct zip_read *z);
const struct zip_read_entry *zip_read_entry(const struct zip_read *z, size_t i);
/* The entry of that name, or NULL. */
const struct zip_read_entry *zip_read_find(const struct zip_read *z, const char *name);
/* Its bytes, borrowed until the next call.  Fails: CORRUPT (name or sizes of the local header differ, bytes do not
 * inflate to the size and checksum said), LIMIT, IO, NOMEM. */
PIXL_MUST_CHECK bool zip_read_bytes(struct zip_read *z, const struct zip_read_entry *e, struct str *out,
                                    struct pixl_error *err);
/* The same bytes, written to fd at its place; memory does not grow with them.  Fails: the same, NO_SPACE; what was written then is
 * nothing. */
PIXL_MUST_CHECK bool zip_read_to(struct zip_read *z, const struct zip_read_entry *e, int fd, struct pixl_error *err);

#endif
