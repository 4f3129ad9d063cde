/* archive_orthanc_internal.h - the parts of the orthanc backend, for its own files only: REST calls, C-FIND, C-MOVE.
 * Owns: nothing beyond struct orthanc.  Never: puts an identifier into a path or an error, or passes on what Orthanc says.
 * Threads: any number at once. */
#ifndef PIXL_ARCHIVE_ARCHIVE_ORTHANC_INTERNAL_H
#define PIXL_ARCHIVE_ARCHIVE_ORTHANC_INTERNAL_H

#include <pthread.h>

#include "archive/archive_backend.h"
#include "base/http_client.h"
#include "base/json_tree.h"

enum {
    ORTHANC_SECOND_US = 1000000,
    ORTHANC_ID_SIZE = 65, /* of a resource, query or job: hexadecimal digits and dashes, a NUL */
    ORTHANC_UID_MAX = 64,
    ORTHANC_JSON_MAX = 256 << 20, /* of an answer */
    ORTHANC_ITEMS_MAX = 1 << 20,  /* in a list */
    ORTHANC_SYS_NOT_LET = 1,      /* pixl_error.sys: the archive answers, and lets raw do nothing */
    ORTHANC_SYS_CERTIFICATE = 2,  /* raw's certificate is not taken */
};

/* A study that somebody brings now. */
struct orthanc_transfer {
    struct str study_uid;
    struct orthanc_transfer *next;
};

struct orthanc {
    struct archive base;
    struct http_client *http;
    char *modality;      /* as it is shown */
    char *modality_path; /* "/modalities/NAME", percent-encoded */
    char *target_aet;    /* NULL: raw's */
    char *temp_dir;
    int64_t query_us, transfer_us;
    int64_t most_transfers;
    uint64_t max_instance_bytes;
    struct archive_brought *brought; /* NULL: nothing is released */
    pthread_mutex_t lock;            /* guards what follows */
    pthread_cond_t changed;
    struct orthanc_transfer *transfers;
    int64_t n_moving;
};

/* Who waits, and how long. */
struct orthanc_wait {
    int64_t deadline_us;
    const atomic_bool *cancel; /* NULL: none */
};
static inline bool orthanc_is_cancelled(const struct orthanc_wait *w)
{
    return w->cancel && atomic_load(w->cancel);
}

/* http_client_do(), where raw's certificate not being taken is an outage: no fault of a study. */
PIXL_MUST_CHECK bool orthanc_do(struct orthanc *o, const struct http_request *r, struct http_answer *out,
                                struct pixl_error *err);
/* One call.  body.n == 0: none.  *root: the answer's JSON in the arena, NULL when the status is not 2xx or nothing came that is
 * JSON.  Any status is an answer but 401 and 403, which fail as UNAVAILABLE. */
PIXL_MUST_CHECK bool orthanc_call(struct orthanc *o, enum http_method method, const char *path, struct str body,
                                  const struct orthanc_wait *w, struct arena *arena, int *status,
                                  const struct json_node **root, struct pixl_error *err);
/* The same, where anything but 2xx with JSON is a failure (UNAVAILABLE; NOT_FOUND of 404). */
PIXL_MUST_CHECK bool orthanc_get(struct orthanc *o, const char *path, const struct orthanc_wait *w, struct arena *arena,
                                 const struct json_node **root, struct pixl_error *err);

/* A member's text without blanks and NULs at its end. */
struct str orthanc_text(const struct json_node *v, const char *name);
/* Copies an id of a resource into out; false when it is none: it becomes part of a path. */
bool orthanc_take_id(struct str id, char out[ORTHANC_ID_SIZE]);
/* "/instances/01234567-..." as Orthanc writes the SHA-1 that is an instance's id there, and rest ("/file"). */
enum { ORTHANC_PATH_SIZE = 80 };
void orthanc_instance_path(const uint8_t id[20], const char *rest, char out[ORTHANC_PATH_SIZE]);
bool orthanc_is_uid(struct str s); /* digits and dots, 1 to 64: no wildcard, no list */

/* --- C-FIND through raw */

struct orthanc_key {
    const char *name;
    struct str value; /* "": to be returned */
};
/* *id: the query in raw, to be ended by orthanc_query_end().  *answers: a list of objects, name to text.
 * Fails: UNAVAILABLE (the message says whether the archive is away, lets nobody ask, or is not known to raw), INVALID (a text that
 * is no UTF-8). */
PIXL_MUST_CHECK bool orthanc_query(struct orthanc *o, const char *level, const struct orthanc_key *keys, size_t n,
                                   const struct orthanc_wait *w, struct arena *arena, char id[ORTHANC_ID_SIZE],
                                   const struct json_node **answers, struct pixl_error *err);
void orthanc_query_end(struct orthanc *o, const char id[ORTHANC_ID_SIZE]);
/* The query, asked and ended. */
PIXL_MUST_CHECK bool orthanc_ask(struct orthanc *o, const char *level, const struct orthanc_key *keys, size_t n,
                                 const struct orthanc_wait *w, struct arena *arena, const struct json_node **answers,
                                 struct pixl_error *err);

/* Why raw could not do what for us: *err becomes UNAVAILABLE, with the AE title that has to be registered when the archive answers
 * C-ECHO.  what: "C-FIND".  Returns false. */
bool orthanc_fail_refused(struct orthanc *o, const char *what, struct pixl_error *err);

/* --- C-MOVE through raw (archive_orthanc_move.c) */

/* Lets the archive send these to raw and waits until it did: level "Series" (uids of series) or "Instance" (of SOP instances, in
 * series_uid).  What the archive does not have, or could not send, does not come, and is no failure; *note tells why, if that is known. */
PIXL_MUST_CHECK bool orthanc_move(struct orthanc *o, const char *level, struct str study_uid, struct str series_uid,
                                  const struct str *uids, size_t n, const struct orthanc_wait *w, char note[128],
                                  struct pixl_error *err);

/* --- slots of the table (archive_orthanc_fetch.c) */
bool orthanc_fetch(struct archive *a, struct phi_text study_uid, struct archive_instance *const *wanted, size_t n,
                   const atomic_bool *cancel, struct archive_fetched *out, struct pixl_error *err);
bool orthanc_release(struct archive *a, struct phi_text study_uid, struct pixl_error *err);
struct orthanc *orthanc_of(struct archive *a);

#endif
