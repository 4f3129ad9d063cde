/* upload.h - the research environment's end of the line; backends directory, ftps, dicomweb and none behind
 * upload_backend.h.
 *
 * Delivery is effectively once: what is at the destination under the final name with the same size and digest is done; else the zip goes
 * to a temporary name that holds the writer and the fence, is checked there, and is renamed.
 *   <destination>/<slug>/<pseudo study UID>.zip
 *   <destination>/<slug>/<time-slug>/parquet/omop/public/..., radiology/...
 * To a DICOMweb server go the instances, through Orthanc anon: done is when it lists exactly those of the study, and only those
 * that it does not list are sent.
 * Owns: its connection.  Never: marks anything exported; shows a path that holds more than pseudonyms, slugs and the configured folder.
 * Threads: any; a backend locks what it must. */
#ifndef PIXL_UPLOAD_UPLOAD_H
#define PIXL_UPLOAD_UPLOAD_H

#include <stdatomic.h>
#include <stdint.h>

#include "base/error.h"
#include "base/str.h"
#include "config/project.h"
#include "secrets/secrets.h"

struct upload;
enum upload_caps {
    UPLOAD_CAP_KEEPS = 1u << 0,      /* none: nothing is delivered, a de-identified study ends as kept */
};

struct upload_options {
    struct secrets *secrets;         /* as upload_secrets() says; outlives the destination */
    const char *writer;              /* names the store that delivers, 1 to 32 characters [0-9a-z]: two stores never write into one
                                        temporary file */
    const struct settings *settings; /* Orthanc anon and times; outlives the destination; NULL for what needs none */
};
/* The destination of a project's images (parquet: of its tables).  Connects at the first use only.
 * Given: upload_close().  Fails: INVALID, NOT_FOUND (secret), UNAVAILABLE. */
PIXL_MUST_CHECK bool upload_open(const struct project *p, bool parquet, const struct upload_options *o, struct upload **out,
                                 struct pixl_error *err);
/* The secrets that it needs, as their names behind "<project's prefix>--"; constant, NULL at its end. */
const char *const *upload_secrets(const struct project *p, bool parquet);
void upload_close(struct upload *u);
PIXL_DEFINE_CLEANUP(upload, upload_close)
#define upload_auto PIXL_CLEANUP(upload_freep) struct upload
unsigned upload_caps(const struct upload *u);
const char *upload_place(const struct upload *u);        /* for a person: "directory /safe-haven/my-project" */

/* Can it be written to?  One small file is written and removed.  Fails: UNAVAILABLE, DENIED, NO_SPACE. */
PIXL_MUST_CHECK bool upload_check(struct upload *u, struct pixl_error *err);

/* The check value of the hashing key and salt, left as a marker (.pixl-key) when there is none and nothing was delivered under another key.
 * A DICOMweb server holds no marker and this says yes.  What protects there: the store knows the check values of key and salts since its
 * first use, and refuses others; and studies under another key have other UIDs, so that they never mix with or replace what was delivered.
 * Fails: EXISTS when the marker there differs: pseudonyms would not agree with what was delivered before. */
PIXL_MUST_CHECK bool upload_check_key(struct upload *u, struct str check_value, struct pixl_error *err);

/* Our marker was left there before: where it is not, this is another place (a share that is not mounted, another folder), and all calls that
 * write fail as UNAVAILABLE.  Does nothing where a destination shows no marker. */
void upload_expect_marker(struct upload *u);

/* Compares as upload_check_key() does, and leaves no marker: *is_marked says whether there is one.
 * Fails: EXISTS; UNSUPPORTED where this destination cannot be asked without writing. */
PIXL_MUST_CHECK bool upload_look_at_key(struct upload *u, struct str check_value, bool *is_marked,
                                        struct pixl_error *err);

struct upload_study {
    const char *zip_path;            /* in the spool */
    const char *pseudo_study_uid;
    uint64_t size_bytes;
    uint8_t digest[32];              /* SHA-256 */
    int64_t fence;
    const atomic_bool *cancel; /* what was cut is not gone on with; a transfer under way is not ended.  NULL: never */
};
/* Returns true only when the whole zip is durably there under its final name.
 * Fails: UNAVAILABLE, NO_SPACE, DENIED (the destination's trouble), CORRUPT (the spooled zip is not what it was), EXISTS (a DICOMweb server
 * has other instances of the study), INVALID, LIMIT (an instance is refused), IO, CANCELLED. */
PIXL_MUST_CHECK bool upload_study(struct upload *u, const struct upload_study *z, struct pixl_error *err);
/* One table file; remote as in export.h.  An equal one there is left as it is. */
PIXL_MUST_CHECK bool upload_table(struct upload *u, struct str time_slug, const char *path, const char *remote, struct pixl_error *err);
/* Takes a table away that was delivered before and is no more; one that is not there is fine. */
PIXL_MUST_CHECK bool upload_withdraw_table(struct upload *u, struct str time_slug, const char *remote, struct pixl_error *err);

#endif
