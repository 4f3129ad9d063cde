/* site.h - what work needs, opened once: settings, store, archive, secrets, the lock on the state, and the projects.
 *
 * A site is one state directory with what it points to.  Of the processes that use it one works (it holds the lock); others look,
 * populate, order retries.
 * Owns: everything it opened; closed in reverse order by site_close().
 * Never: makes a hashing key when pseudonyms may exist already (site_keys_ready).
 * Threads: immutable after opening but for the table of projects, which has its own lock. */
#ifndef PIXL_PIPELINE_SITE_H
#define PIXL_PIPELINE_SITE_H

#include "archive/archive.h"
#include "config/project.h"
#include "config/settings.h"
#include "deid/deid.h"
#include "pipeline/breaker.h"
#include "secrets/secrets.h"
#include "store/store.h"
#include "upload/upload.h"

enum site_flags {
    SITE_WORKS   = 1u << 0,      /* takes the lock on the state directory; BUSY when another process has it */
    SITE_ARCHIVE = 1u << 1,      /* opens the archive, which must be set */
    SITE_SECRETS = 1u << 2,      /* opens the secrets */
    SITE_STORE   = 1u << 3,      /* opens the store (made when it is not there, unless SITE_LOOKS) */
    SITE_LOOKS   = 1u << 4,      /* makes nothing: NOT_FOUND when there is no state yet */
};

/* One project, ready for work.  Immutable but for the breaker. */
struct site_project {
    struct site_project *next;
    struct project *project;
    struct deid_policy *policy;
    struct pseudonyms *pseudonyms;
    struct upload *images, *tables;
    struct breaker breaker;      /* of the images' destination */
};

struct site;
PIXL_MUST_CHECK bool site_open(const struct settings *settings, unsigned flags, struct site **out, struct pixl_error *err);
void site_close(struct site *s);
PIXL_DEFINE_CLEANUP(site, site_close)
#define site_auto PIXL_CLEANUP(site_freep) struct site

const struct settings *site_settings(const struct site *s);
struct store *site_store(struct site *s);            /* NULL when not opened; the same below */
struct archive *site_archive(struct site *s);
struct secrets *site_secrets(struct site *s);
const char *site_owner(const struct site *s);        /* names this process in claims */
bool site_made_key(const struct site *s);            /* a new hashing key was made: tell the user to back it up */

/* Makes sure that the hashing key and the salts of these projects are there and are the ones that this store was used with.
 * The key is made (32 random bytes as hex, durable, 0600) only while the store has no image; a salt only while the project has none.
 * With SITE_STORE not opened (`pixl deid`): made only when there is no store file.
 * Fails: NOT_FOUND (must be restored from backup), EXISTS (not the key that was used before), and what secrets_create() fails with. */
PIXL_MUST_CHECK bool site_keys_ready(struct site *s, const struct str *projects, size_t n, struct pixl_error *err);

/* The project, loaded at its first use: configuration, policy, pseudonyms, destinations.  Borrowed.
 * with_uploads: opens its destinations too.  Fails: as project_load(), deid_policy_new(), upload_open(). */
PIXL_MUST_CHECK bool site_project(struct site *s, struct str slug, bool with_uploads, struct site_project **out, struct pixl_error *err);

/* <state>/spool/<slug>/<pseudo>.zip in the arena; the folder is made.  NULL + error on failure. */
PIXL_MUST_CHECK bool site_spool_path(struct site *s, struct str slug, const char *pseudo_study_uid, struct arena *a, const char **out,
                                     struct pixl_error *err);

#endif
