/* site.h - what work needs, opened once: settings, store, archive, secrets, the lock on the state, and the projects.
 *
 * A site is one state directory with what it points to.  Of the processes that use it one works (it holds the lock); others look,
 * populate, order retries.
 * Owns: everything it opened; closed in reverse order by site_close().
 * Never: makes a hashing key when pseudonyms may exist already (site_keys_ready).
 * Threads: immutable after opening but for the table of projects, which has its own lock. */
#ifndef PIXL_PIPELINE_SITE_H
#define PIXL_PIPELINE_SITE_H

#include <stdatomic.h>

#include "archive/archive.h"
#include "config/project.h"
#include "config/settings.h"
#include "deid/deid.h"
#include "pipeline/breaker.h"
#include "pipeline/metrics.h"
#include "secrets/secrets.h"
#include "store/store.h"
#include "upload/upload.h"

enum site_flags {
    SITE_WORKS = 1u << 0,          /* takes the lock on the state directory; BUSY when another process has it */
    SITE_SERVES = 1u << 6,         /* takes it as well, to share it with other services; BUSY when a run has it */
    SITE_ARCHIVE = 1u << 1,        /* opens the archive, which must be set */
    SITE_SECRETS = 1u << 2,        /* opens the secrets */
    SITE_STORE = 1u << 3,          /* opens the store (made when it is not there, unless SITE_LOOKS) */
    SITE_LOOKS = 1u << 4,          /* makes nothing: NOT_FOUND when there is no state yet */
    SITE_STORE_IF_THERE = 1u << 5, /* opens the store when there is one */
    SITE_CHECKS = 1u << 7,         /* makes and writes nothing: no folder, no key, no check value */
    SITE_TRIES = 1u << 8, /* opens the store as it is, or an empty one in memory where there is none; UNSUPPORTED when
                                    opening it would change its tables.  What is tried there is rolled back by the caller */
};

/* One project, ready for work.  Immutable but for the breaker, and what its lock guards. */
struct site_project {
    struct site_project *next;
    struct project *project;
    struct deid_policy *policy;
    struct pseudonyms *pseudonyms;
    struct upload *images, *tables;      /* opened at their first use, with the lock held */
    struct breaker breaker;      /* of the images' destination */
    atomic_int deliveries;       /* under way */
    pthread_mutex_t lock;        /* held while a destination is opened and its marker looked at, which may take its time */
    bool key_checked;            /* the marker was compared with our keys */
    char check[64];              /* tells this key, salt and local salt from others */
};

struct site;
PIXL_MUST_CHECK bool site_open(const struct settings *settings, unsigned flags, struct site **out, struct pixl_error *err);
void site_close(struct site *s);
PIXL_DEFINE_CLEANUP(site, site_close)
#define site_auto PIXL_CLEANUP(site_freep) struct site

/* An archive as the settings name it, by a URL or by the older variables for an Orthanc; the secondary one only where it
 * is another than the first.  out holds it, and borrows from set.  false: there is none. */
struct site_archive_address {
    struct archive_options options;
    char older_[4200];
};
bool site_archive_address(const struct settings *set, int which, struct site_archive_address *out);

const struct settings *site_settings(const struct site *s);
struct store *site_store(struct site *s);            /* NULL when not opened; the same below */
struct archive *site_archive(struct site *s, int which);     /* 0: the primary one; 1: the secondary one, NULL when there is none */
const char *site_archive_name(int which);            /* "primary", "secondary": of its bucket, in what is told */
/* Says which archive failed: "primary archive: ...".  Always false. */
bool site_wrap_archive(int which, struct pixl_error *err);
struct secrets *site_secrets(struct site *s);
struct metrics *site_metrics(struct site *s);        /* never NULL */
struct breaker *site_view(struct site *s);           /* of Orthanc anon as a place to look at studies */
struct held_list *site_held(struct site *s);         /* what this process has claimed; never NULL */
const char *site_owner(const struct site *s);        /* names this process in claims */
const char *site_owners_here(const struct site *s);  /* how the owners of all processes on this state directory begin */
/* Names the spool of this state directory, as long as that is there; "" to who only looks and finds none. */
const char *site_spool(const struct site *s);
/* Was no other process at work on this state directory when this one took the lock, and is none yet? */
bool site_is_alone(const struct site *s);
/* A service that was alone until now: others may come.  Fails: BUSY when a run came first. */
PIXL_MUST_CHECK bool site_let_others_in(struct site *s, struct pixl_error *err);
bool site_has_lock(const struct site *s);            /* false: the state directory was taken away under us */
bool site_made_key(const struct site *s);            /* a new hashing key was made: tell the user to back it up */

/* Makes sure that the hashing key and the salts of these projects are there and are the ones that this store was used with.
 * The key is made (32 random bytes as hex, durable, 0600) only in a file and while the store has no image; a salt, in a vault too, only while
 * the project has none.
 * With no store opened (`pixl deid` where there is none): made when it is not there.
 * Fails: NOT_FOUND (must be restored from backup), EXISTS (not the key that was used before), and what secrets_create() fails with. */
PIXL_MUST_CHECK bool site_keys_ready(struct site *s, const struct str *projects, size_t n, struct pixl_error *err);

/* Would site_keys_ready() find the hashing key (project empty) or a project's salt?  *is_there false: a first run makes it.
 * Fails: as site_keys_ready(). */
PIXL_MUST_CHECK bool site_look_at_key(struct site *s, struct str project, bool *is_there, struct pixl_error *err);

/* The project, loaded at its first use: configuration, policy, pseudonyms, destinations.  Borrowed.
 * with_uploads: opens its destinations too.  Fails: as project_load(), deid_policy_new(), upload_open(). */
PIXL_MUST_CHECK bool site_project(struct site *s, struct str slug, bool with_uploads, struct site_project **out, struct pixl_error *err);

/* Before anything is delivered: the destination's marker must be of our hashing key and salt, and be there where the store knows that it was left.
 * Asked once per project and process; an outage asks again.  Fails: as upload_check_key(), and as the store does. */
PIXL_MUST_CHECK bool site_destination_ready(struct site *s, struct site_project *p, struct pixl_error *err);

/* Does the store know that our marker was left at this place?  Fails: as the store does. */
PIXL_MUST_CHECK bool site_marker_was_left(struct site *s, const struct upload *u, bool *was, struct pixl_error *err);

#endif
