/* archive.h - where identifiable studies come from; backends directory and orthanc behind archive_backend.h.
 *
 * A worker asks four things, in this order: which studies match (find), what a study consists of (list: series and SOP UIDs,
 * before any instance is read), that those it wants be brought near (fetch), and the bytes of one instance (open).
 *
 * orthanc speaks to an Orthanc ("raw") that is a cache before the hospital's archive: it asks the archive by C-FIND, lets itself be
 * sent what is wanted by C-MOVE, and gives it out over HTTP.  What it holds already is not sent again, told by SOP Instance UID.
 * Owns: its connection or index.  What it hands out lives in the caller's arena; descriptors are the caller's.
 * Never: changes a byte of an image; names a patient, UID or path in an error.
 * Threads: any; a backend locks what it must. */
#ifndef PIXL_ARCHIVE_ARCHIVE_H
#define PIXL_ARCHIVE_ARCHIVE_H

#include <stdatomic.h>
#include <stdint.h>
#include <string.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/phi.h"

struct archive;

enum archive_caps {
    ARCHIVE_CAP_LOCAL = 1u << 0,     /* asking costs nobody anything: unlimited unless a rate is set */
};

struct archive_options {
    const char *url; /* "directory:/path", "orthanc+http[s]://[user:password@]host:port[/prefix]" (percent-encoded) */
    const char *state_dir; /* where a backend may keep an index and temporary files (0600) */
    /* The rest is for orthanc. */
    const char *name;                            /* archive_name(): "primary", "secondary"; NULL: primary */
    const char *user, *password;                 /* where the URL has none; NULL: none */
    const char *modality;                        /* the archive's name among raw's DicomModalities */
    const char *target_aet;                      /* AE title to which the archive sends; NULL: what raw calls itself */
    int64_t query_timeout_s, transfer_timeout_s; /* of a C-FIND for studies; of bringing a study (and of listing one) */
    int64_t most_transfers;                      /* at once; others wait for their turn */
    const char *ca_file;                         /* the only CAs to trust; NULL: those of the system */
    uint64_t max_instance_bytes;                 /* a longer one fails with LIMIT when it is opened */
    bool releases;                               /* archive_release() deletes; else it does nothing */
};

/* Connects to nothing.  Given: archive_close().  Fails: INVALID (scheme, not absolute...; no part of a URL is quoted), UNAVAILABLE
 * (cannot be reached now), UNSUPPORTED. */
PIXL_MUST_CHECK bool archive_open(const struct archive_options *o, struct archive **out, struct pixl_error *err);
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
/* Nothing is made or changed, a folder's index neither.  Fails: as archive_open(), archive_refresh(), archive_find(). */
PIXL_MUST_CHECK bool archive_try(const struct archive_options *o, enum archive_trial *out, struct pixl_error *err);
unsigned archive_caps(const struct archive *a);
/* "directory", or the name given to a remote one: for logs, buckets, breakers; no path or password */
const char *archive_name(const struct archive *a);

/* Brings what the backend knows up to date before work begins (directory: the index; orthanc: are raw and the archive there, and do
 * they let us ask?).  say() is called now and then with the number of files looked at; may be NULL.
 * Fails: UNAVAILABLE, CANCELLED when say returns false; INVALID (raw does not know the modality), DENIED (login, certificate, or an AE
 * title that is not registered; the message says which, and where). */
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
    uint64_t size_bytes;                     /* ARCHIVE_SIZE_UNKNOWN before a remote one is fetched */
    int64_t handle;                          /* the backend's */
    uint8_t remote[20];                      /* the backend's; zero before it is fetched */
};
#define ARCHIVE_SIZE_UNKNOWN UINT64_MAX
/* Has a remote one been fetched? */
static inline bool archive_instance_is_near(const struct archive_instance *i)
{
    static const uint8_t nothing[sizeof i->remote];
    return memcmp(i->remote, nothing, sizeof nothing) != 0;
}
/* All instances of a study, in no order; one SOP UID may come twice (two files).  A file that claims this study but cannot be read
 * whole is listed all the same: it fails when opened or parsed, never silently. */
PIXL_MUST_CHECK bool archive_list(struct archive *a, struct phi_text study_uid, struct arena *arena, struct archive_instance **out, size_t *n,
                                  struct pixl_error *err);
struct archive_fetched {
    size_t there;   /* how many of the wanted may be opened */
    char note[128]; /* when it is not all: why, as far as that is known; "" else */
};
/* Brings the wanted of a listed study near, waits until they are there, and notes in each how it is opened; what is not wanted is not
 * transferred.  One transfer of a study at a time: a second call waits for the first, then fetches what is still missing.
 * Fewer there than wanted is no failure: the caller judges.  A backend that holds its instances itself has nothing to do.
 * cancel: looked at every 100 ms; may be NULL.  Fails: UNAVAILABLE (raw or the archive cannot be reached, refuses, or let the transfer
 * wait), IO (not done in time), CANCELLED, NOMEM. */
PIXL_MUST_CHECK bool archive_fetch(struct archive *a, struct phi_text study_uid, struct archive_instance *const *wanted,
                                   size_t n, const atomic_bool *cancel, struct archive_fetched *out,
                                   struct pixl_error *err);
/* *fd given, open for reading at 0, whole.  Fails: NOT_FOUND (gone since), CORRUPT (another one by now), LIMIT (longer than
 * max_instance_bytes), UNAVAILABLE, IO, DENIED.
 * A remote one comes whole into a file without a name in the state folder. */
PIXL_MUST_CHECK bool archive_open_instance(struct archive *a, const struct archive_instance *i, int *fd, struct pixl_error *err);

/* The study is delivered: what was brought by fetch and was not there before may be deleted where it was brought to, if the options
 * say so; what fetches brought that were cancelled or killed, too, when they had the same state folder.  Another attempt that is reading it finds it gone, and fetches again. */
PIXL_MUST_CHECK bool archive_release(struct archive *a, struct phi_text study_uid, struct pixl_error *err);

#endif
