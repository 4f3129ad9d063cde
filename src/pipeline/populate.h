/* populate.h - brings a cohort into the store: its rows as requests, its studies as images to be worked off.
 * Owns: nothing.  Never: shows the content of a row.  Threads: one call at a time per site. */
#ifndef PIXL_PIPELINE_POPULATE_H
#define PIXL_PIPELINE_POPULATE_H

#include "pipeline/site.h"

struct populate_counts {
    int64_t rows, refused;           /* refused ones are among the rows */
    int64_t new_studies, new_requests, known, revived, too_late;
    int64_t delivered;               /* rows whose studies are exported or kept: the archive is not asked for them */
    int64_t participant_differs;     /* rows with another participant_id than their study has, which stays */
    int64_t patient_differs; /* rows with another MRN than their procedure came with first, in the same extract */
    int64_t participant_shared; /* rows with another MRN than their participant_id came with first, in the cohort */
};

struct populate_options {
    const char *path;                /* CSV file or OMOP ES folder */
    int priority;                    /* 1..5 */
    bool dry_run;                    /* tells what would happen, changes nothing, makes no key */
    /* A refused row: physical line (row of the join for OMOP) and reason; may be NULL. */
    void (*refused)(void *ctx, uint64_t line, const char *why);
    /* A row that was taken, and that somebody has to look at; may be NULL. */
    void (*warned)(void *ctx, uint64_t line, const char *what);
    /* At the end, for each project of the cohort in the order of its rows; with an empty slug for the rows that were
     * refused before they named one that is there, when there are some.  May be NULL. */
    void (*project)(void *ctx, struct str slug, const struct populate_counts *n);
    /* Now and then: rows read so far; may be NULL. */
    void (*progress)(void *ctx, int64_t rows);
    void *ctx;
};

/* Each project's configuration is loaded and checked first, its keys made ready; rows of a project without a usable one are refused.
 * For an OMOP extract its public files are copied to the export tree (not when dry).
 * Fails: INVALID when the cohort has no row at all (nothing is changed); as cohort_open(), site_keys_ready(),
 * store_populate_*; what was added until then stays and is found again next time. */
PIXL_MUST_CHECK bool populate_cohort(struct site *s, const struct populate_options *o, struct populate_counts *counts, struct pixl_error *err);

#endif
