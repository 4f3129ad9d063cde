/* archive.h - where identifiable studies come from; backends directory (orthanc to come) behind archive_backend.h.
 *
 * A worker asks three things, in this order: which studies match (find), what a study consists of (list: series and SOP UIDs,
 * before any instance is read), and the bytes of one instance (open).
 * Owns: its connection or index.  What it hands out lives in the caller's arena; descriptors are the caller's.
 * Never: changes a byte of an image; names a patient, UID or path in an error.
 * Threads: any; a backend locks what it must. */
#ifndef PIXL_ARCHIVE_ARCHIVE_H
#define PIXL_ARCHIVE_ARCHIVE_H

#include <stdint.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/phi.h"

struct archive;

enum archive_caps {
    ARCHIVE_CAP_LOCAL = 1u << 0,     /* asking costs nobody anything: unlimited unless a rate is set */
};

/* url: "directory:/path".  state_dir: where a backend may keep its index (0600).  Given: archive_close().
 * Fails: INVALID (scheme, not absolute...), UNAVAILABLE (cannot be reached now), UNSUPPORTED. */
PIXL_MUST_CHECK bool archive_open(const char *url, const char *state_dir, struct archive **out, struct pixl_error *err);
void archive_close(struct archive *a);
PIXL_DEFINE_CLEANUP(archive, archive_close)
#define archive_auto PIXL_CLEANUP(archive_freep) struct archive

/* Before work: does it answer?  A folder is looked through until there is a first DICOM file; another archive is asked for a
 * study that cannot exist. */
enum archive_trial {
    ARCHIVE_ANSWERS,
    ARCHIVE_HOLDS_NOTHING,       /* a folder without any DICOM file */
    ARCHIVE_ANSWERS_ALL,         /* it finds what cannot be there: it does not compare what it is asked for */
};
/* A folder's index is neither made nor changed.  Fails: as archive_open(), archive_refresh(), archive_find(). */
PIXL_MUST_CHECK bool archive_try(const char *url, const char *state_dir, enum archive_trial *out,
                                 struct pixl_error *err);
unsigned archive_caps(const struct archive *a);
const char *archive_name(const struct archive *a);       /* "directory": for logs, buckets, breakers; no path or password */

/* Brings what the backend knows up to date before work begins (directory: the index; remote: an echo).
 * say() is called now and then with the number of files looked at; may be NULL.  Fails: UNAVAILABLE, CANCELLED when say returns false. */
PIXL_MUST_CHECK bool archive_refresh(struct archive *a, bool (*say)(void *ctx, uint64_t looked_at, uint64_t dicom), void *ctx, struct pixl_error *err);

/* What the last refresh met and could not use: it may belong to studies that are asked for.  0 where a backend cannot
 * know. */
struct archive_health {
    uint64_t instances;              /* DICOM files that it holds; UINT64_MAX where a backend cannot know */
    uint64_t unreadable;             /* files and folders that the system does not give */
    uint64_t damaged;                /* DICOM files whose header breaks or names no study, series or instance */
    uint64_t other;                  /* files that are no DICOM, or DICOM of no study: passed over */
};
struct archive_health archive_health(struct archive *a);

struct archive_query {
    struct phi_text study_uid, mrn, accession_number;    /* empty: not known */
};
/* Studies by study UID; when that finds none (or is empty), by MRN and accession number, if both are there.  A query with
 * nothing to ask by is INVALID and is never sent.  Every answer repeats what was asked for, else it is not taken.
 * *uids in the arena, distinct, n may be 0.  Fails: UNAVAILABLE, IO, NOMEM, INVALID. */
PIXL_MUST_CHECK bool archive_find(struct archive *a, const struct archive_query *q, struct arena *arena, struct phi_text **uids, size_t *n,
                                  struct pixl_error *err);

struct archive_instance {
    struct phi_text series_uid, sop_uid;     /* empty when the file does not tell */
    uint32_t frames;                         /* as it says of itself: 1 and more */
    uint64_t size_bytes;
    int64_t handle;                          /* the backend's */
};
/* All instances of a study, in no order; one SOP UID may come twice (two files).  A file that claims this study but cannot be read
 * whole is listed all the same: it fails when opened or parsed, never silently. */
PIXL_MUST_CHECK bool archive_list(struct archive *a, struct phi_text study_uid, struct arena *arena, struct archive_instance **out, size_t *n,
                                  struct pixl_error *err);
/* *fd given, open for reading at 0, whole.  Fails: NOT_FOUND (gone since), CORRUPT (another one by now), UNAVAILABLE, IO, DENIED. */
PIXL_MUST_CHECK bool archive_open_instance(struct archive *a, const struct archive_instance *i, int *fd, struct pixl_error *err);

#endif
