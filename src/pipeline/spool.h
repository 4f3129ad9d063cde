/* spool.h - where de-identified studies wait for their delivery: <state>/spool/<slug>/<pseudo study UID>.zip.
 * Owns: the names in it.  Never: holds an identifier.  Threads: any; spool_sweep() only before work begins. */
#ifndef PIXL_PIPELINE_SPOOL_H
#define PIXL_PIPELINE_SPOOL_H

#include "pipeline/site.h"

/* Path of a study's zip, in the arena; its folder is made. */
PIXL_MUST_CHECK bool spool_path(struct site *s, struct str slug, const char *pseudo_study_uid, struct arena *a, const char **out,
                                struct pixl_error *err);
/* Removes what no row waits for: half zips of a killed run, zips whose delivery was recorded just before it was killed.
 * *zip_bytes: of the studies that wait for delivery. */
PIXL_MUST_CHECK bool spool_sweep(struct site *s, int64_t *zip_bytes, struct pixl_error *err);

#endif
