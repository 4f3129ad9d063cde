/* publish.h - writes the tables of every extract in the store and brings them, with the public files, to the research environment.
 * May be called at any time, also beside a run: of several processes one at a time publishes, the others wait a minute for it.
 * Owns: nothing.  Threads: one call at a time per site. */
#ifndef PIXL_PIPELINE_PUBLISH_H
#define PIXL_PIPELINE_PUBLISH_H

#include "cohort/cohort.h"
#include "export/export.h"
#include "pipeline/site.h"

struct publish_extract {
    struct str project, time_slug;   /* in the arena given */
    const char *dir;                 /* the folder of this extract below the export root */
    const char *place;               /* where its tables went; NULL: the project sends none */
    struct export_counts counts;
    int64_t files;                   /* brought to the destination */
    bool unchanged; /* delivered before, and nothing of it has changed: neither written nor sent, not counted */
    bool delivered;                  /* false: see error; it is tried again by the next run */
    struct pixl_error error;
};
/* projects: n slugs to publish; n == 0: all in the store.  *out in the arena.
 * only_changed: leaves out what is as it was when it was last delivered, to the same place, by this version of pixl; whether
 * it is still there is not asked.
 * What goes wrong with one extract is told there, and the others go on.  Fails: when the store cannot be read. */
PIXL_MUST_CHECK bool publish_extracts(struct site *s, const struct str *projects, size_t n, bool only_changed,
                                      struct arena *a, struct publish_extract **out, size_t *n_out,
                                      struct pixl_error *err);

/* One extract by its project and time ("2023-12-07T14:08:58[+00:00]").
 * Fails: INVALID (no time), NOT_FOUND when nothing was asked for in it. */
PIXL_MUST_CHECK bool publish_extract_at(struct site *s, struct str project, struct str extract_time, struct arena *a,
                                        struct publish_extract *out, struct pixl_error *err);

/* Copies the public files of an OMOP ES extract into the export tree.  Fails: BUSY, as export_copy_public(). */
PIXL_MUST_CHECK bool publish_public_files(struct site *s, const struct cohort *c, struct pixl_error *err);

/* The extract of an OMOP ES folder, whose public files are copied first, should they not be there.
 * project: the slug that it must have; empty: any.  Fails: INVALID (no OMOP ES extract, another project), NOT_FOUND when nothing was
 * asked for in that extract, as cohort_open() and publish_public_files(). */
PIXL_MUST_CHECK bool publish_folder(struct site *s, const char *folder, struct str project, struct arena *a,
                                    struct publish_extract *out, struct pixl_error *err);

#endif
