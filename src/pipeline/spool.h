/* spool.h - where de-identified studies wait for their delivery: <state>/spool/<slug>/<pseudo study UID>.zip.
 * Owns: the names in it.  Never: holds an identifier.  Threads: any; spool_sweep() only by who is alone on the state directory. */
#ifndef PIXL_PIPELINE_SPOOL_H
#define PIXL_PIPELINE_SPOOL_H

#include "pipeline/site.h"

/* Path of a study's zip, in the arena; its folder is made. */
PIXL_MUST_CHECK bool spool_path(struct site *s, struct str slug, const char *pseudo_study_uid, struct arena *a, const char **out,
                                struct pixl_error *err);
/* Removes what no row waits for: half zips of a killed run, zips whose delivery was recorded just before it was killed.
 * *zip_bytes: of the studies that wait for delivery. */
PIXL_MUST_CHECK bool spool_sweep(struct site *s, int64_t *zip_bytes, struct pixl_error *err);

/* A delivered zip stays for PIXL_SPOOL_KEEP, as <pseudo study UID>.delivered.zip; spool_expire() removes those that stayed so long. */
PIXL_MUST_CHECK bool spool_keep(const char *path, struct pixl_error *err);
PIXL_MUST_CHECK bool spool_expire(struct site *s, int64_t now_us, struct pixl_error *err);

#endif
