/* archive_index.h - what a directory archive knows of its files between runs: one SQLite table, a cache.
 *
 *   files   id              never used twice, so that a handle cannot come to mean another file
 *           path            relative to the root, bytes as they are
 *           size_bytes, mtime_ns, inode     when it was read; mtime_ns -1: read it again
 *           kind            enum archive_identity_kind
 *           patient_id, accession_number, study_uid, series_uid, sop_uid    '' when not there
 *           frames          of an instance, else 0
 *
 * It holds identifiers: mode 0600, in the state folder.  user_version 3; another one is thrown away and built again.
 * Owns: its connection.
 * Threads: any; one mutex guards the connection, held for one statement or one batch, never while files are read. */
#ifndef PIXL_ARCHIVE_ARCHIVE_INDEX_H
#define PIXL_ARCHIVE_ARCHIVE_INDEX_H

#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/phi.h"
#include "archive/archive.h"
#include "archive/archive_identity.h"

struct archive_index;

struct archive_index_file {
    int64_t id;                          /* 0: not in the index */
    uint64_t size_bytes, inode;
    int64_t mtime_ns;
    struct phi_text path;
    struct archive_identity who;
};

/* Damaged: made anew.  Fails: UNSUPPORTED (network file system), NO_SPACE, DENIED, BUSY, IO, NOMEM. */
PIXL_MUST_CHECK bool archive_index_open(const char *path, struct archive_index **out, struct pixl_error *err);
void archive_index_close(struct archive_index *ix);
PIXL_DEFINE_CLEANUP(archive_index, archive_index_close)
#define archive_index_auto PIXL_CLEANUP(archive_index_freep) struct archive_index

/* How many files it knows, and the highest id given so far. */
PIXL_MUST_CHECK bool archive_index_extent(struct archive_index *ix, int64_t *n_files, int64_t *max_id,
                                          struct pixl_error *err);
/* id, size, times and kind of a path, no texts; id 0 when it is not there. */
PIXL_MUST_CHECK bool archive_index_look(struct archive_index *ix, struct str path, struct archive_index_file *out,
                                        struct pixl_error *err);
/* The whole row, texts in the arena; id 0 when it is not there. */
PIXL_MUST_CHECK bool archive_index_get(struct archive_index *ix, int64_t id, struct arena *arena,
                                       struct archive_index_file *out, struct pixl_error *err);
/* Writes n rows in one transaction, by path; their ids are set. */
PIXL_MUST_CHECK bool archive_index_put(struct archive_index *ix, struct archive_index_file *files, size_t n,
                                       struct pixl_error *err);
/* Its file will be read again by the next refresh, whatever its times say. */
PIXL_MUST_CHECK bool archive_index_doubt(struct archive_index *ix, int64_t id, struct pixl_error *err);
/* Calls fn for each id below a folder (path with a '/' at its end; empty: all). */
PIXL_MUST_CHECK bool archive_index_each_below(struct archive_index *ix, struct str folder,
                                              bool (*fn)(void *ctx, int64_t id, struct pixl_error *err), void *ctx,
                                              struct pixl_error *err);
PIXL_MUST_CHECK bool archive_index_drop(struct archive_index *ix, const int64_t *ids, size_t n, struct pixl_error *err);

PIXL_MUST_CHECK bool archive_index_has_study(struct archive_index *ix, struct phi_text study_uid, bool *found,
                                             struct pixl_error *err);
PIXL_MUST_CHECK bool archive_index_find_studies(struct archive_index *ix, struct phi_text patient_id,
                                                struct phi_text accession_number,
                                        struct arena *arena, struct phi_text **uids, size_t *n, struct pixl_error *err);
PIXL_MUST_CHECK bool archive_index_list_study(struct archive_index *ix, struct phi_text study_uid, struct arena *arena,
                                      struct archive_instance **out, size_t *n, struct pixl_error *err);

#endif
