/* anon.h - Orthanc anon, the hospital's store of de-identified studies and its way to DICOMweb servers: instances put into
 * it, sent on by it as a job, taken out again; and studies that others put into it, read.
 *
 * Owns: its connections.  Never: passes on what Orthanc says in words; names the server's address, which is a secret.
 * Threads: any.
 * Source: REST interface of Orthanc 1.10, DICOMweb plugin 1.7.  Servers are registered at run time and forgotten at a restart of Orthanc;
 * a job that fails tells a number and no cause. */
#ifndef PIXL_UPLOAD_ANON_H
#define PIXL_UPLOAD_ANON_H

#include <stdatomic.h>

#include "base/arena.h"
#include "base/http_client.h"
#include "base/json_tree.h"
#include "config/settings.h"

struct anon;

/* Fails: INVALID (ORTHANC_ANON_URL is not set or none), NOMEM. */
PIXL_MUST_CHECK bool anon_open(const struct settings *settings, struct anon **out, struct pixl_error *err);
void anon_close(struct anon *a);
PIXL_DEFINE_CLEANUP(anon, anon_close)
#define anon_auto PIXL_CLEANUP(anon_freep) struct anon

struct anon_server {
    const char *name;            /* under which it is registered: letters, digits, '-' */
    struct str url, user, password;
    int64_t timeout_s;
};
/* Registers the server, or changes what is registered.  Fails: UNAVAILABLE, DENIED (Orthanc refuses our login), INVALID (not UTF-8, too long). */
PIXL_MUST_CHECK bool anon_register(struct anon *a, const struct anon_server *s, int64_t deadline_us, struct pixl_error *err);

/* What a server that is registered answers to a query (PS3.18 10.6) that Orthanc makes for us.  */
struct anon_answer {
    int status;                  /* of the server, as far as Orthanc passes it on; 500 when it did not reach it */
    const struct json_node *json;        /* a list, in the arena; NULL: the answer is none */
};
/* query: JSON of its arguments, "{\"limit\":\"1\"}".  Fails: UNAVAILABLE (Orthanc), LIMIT, NOMEM. */
PIXL_MUST_CHECK bool anon_query(struct anon *a, const char *server, const char *uri, const char *query, struct arena *arena, int64_t deadline_us,
                                struct anon_answer *out, struct pixl_error *err);

enum { ANON_ID_SIZE = 64 };
/* Puts the n bytes of a file in as an instance; one of the same SOP UID that is there is replaced.
 * Fails: UNAVAILABLE, NO_SPACE, INVALID (Orthanc refuses the instance), and as http_client_do(). */
PIXL_MUST_CHECK bool anon_store(struct anon *a, int fd, uint64_t n, int64_t deadline_us, char id[ANON_ID_SIZE], struct pixl_error *err);

/* Sends instances (JSON texts of their ids, with commas between) to a registered server by STOW-RS, and waits for the end of that;
 * past the deadline it is cancelled.  *code: 0 when it has succeeded, else the number that Orthanc gives as its cause.
 * Fails: UNAVAILABLE (deadline, Orthanc gone or restarted meanwhile). */
PIXL_MUST_CHECK bool anon_send(struct anon *a, const char *server, struct str ids, int64_t deadline_us, int *code, struct pixl_error *err);

/* Is it an id of Orthanc, which may become part of a path? */
bool anon_is_id(struct str s);

/* An instance of a study that lies there. */
struct anon_instance {
    char id[ANON_ID_SIZE];
    struct str series_uid, sop_uid; /* in the arena; plausible UIDs */
};
struct anon_study {
    struct str uid;                  /* StudyInstanceUID, in the arena */
    struct anon_instance *instances; /* sorted by series and SOP UID; in the arena */
    size_t n;
    bool is_stable; /* none came for as long as Orthanc's StableAge says, or since it was started */
};
/* The study of that id, one series after the other.  *got false: there is none, or no id of Orthanc.
 * Fails: UNAVAILABLE, CORRUPT (a UID that is none), LIMIT, NOMEM, CANCELLED. */
PIXL_MUST_CHECK bool anon_find(struct anon *a, struct str id, struct arena *arena, const atomic_bool *cancel, bool *got,
                               struct anon_study *out, struct pixl_error *err);
/* Writes the instance's file to fd.  *got false: it is not there any more.
 * Fails: UNAVAILABLE, LIMIT (longer than max), IO, NO_SPACE, CANCELLED. */
PIXL_MUST_CHECK bool anon_fetch(struct anon *a, const char *id, int fd, uint64_t max, int64_t deadline_us,
                                const atomic_bool *cancel, bool *got, struct pixl_error *err);

/* Is it an instance that need not stay there? */
typedef bool anon_knows_fn(const void *ctx, struct str sop_uid);
/* Deletes the study, if it is there, unless it has an instance that is not known: others put more there since, which nobody
 * has delivered.  Fails: UNAVAILABLE, and as anon_find(). */
PIXL_MUST_CHECK bool anon_forget(struct anon *a, const char *study_uid, anon_knows_fn *knows, const void *ctx,
                                 int64_t deadline_us, struct pixl_error *err);

#endif
