/* zip.h - writes a study's zip (APPNOTE 6.3.10) so that every reader takes it, Java's stream reader too.
 *
 * Sizes and checksum stand in each local header (no data descriptors), entries come in the order given, times are fixed
 * (1980-01-01), so that the same study gives the same bytes.  zip64 where a size or the number of entries needs it.
 * The file is under construction until zip_commit(): fsync, rename, fsync of the folder.
 * Owns: the file under construction and its buffers (2 MiB and about twice the largest buffered entry).
 * Threads: one zip belongs to one thread. */
#ifndef PIXL_UPLOAD_ZIP_H
#define PIXL_UPLOAD_ZIP_H

#include <stdint.h>

#include "base/error.h"
#include "dicom/plan.h"

struct zip;

/* level: 0 stores all, 1..12 deflates (libdeflate).  suffix: tells writers of the same name apart.
 * Given: zip_abandon() or zip_commit().  Fails: IO, NO_SPACE, DENIED, NOMEM. */
PIXL_MUST_CHECK bool zip_new(const char *path, const char *suffix, int level, struct zip **out, struct pixl_error *err);
/* Adds the plan's bytes as one entry.  stored: do not deflate (pixels are compressed already).  Entries larger than 16 MiB are
 * passed in blocks (deflated by zlib), never held whole.
 * name: relative, '/'-separated, ASCII, unique.
 * Fails: IO, NO_SPACE, CORRUPT (source shrank or changed), LIMIT, NOMEM, INVALID (name), EXISTS (name).  A failure before
 * the entry's first byte was written leaves the zip as it was; after a later one every call fails, INTERNAL, but zip_abandon(). */
PIXL_MUST_CHECK bool zip_add(struct zip *z, const char *name, const struct dicom_plan *plan, const struct dicom_source *source, bool stored,
                             struct pixl_error *err);
/* Finishes; *size_bytes and digest (SHA-256 of the whole file, taken while writing).  Frees z, also on failure (nothing is left then). */
PIXL_MUST_CHECK bool zip_commit(struct zip *z, uint64_t *size_bytes, uint8_t digest[32], struct pixl_error *err);
void zip_abandon(struct zip *z);             /* NULL is fine */
PIXL_DEFINE_CLEANUP(zip, zip_abandon)
#define zip_auto PIXL_CLEANUP(zip_freep) struct zip

#endif
