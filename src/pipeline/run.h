/* run.h - a whole extraction in one process: populate, work until done, publish; and again, to go on where it stopped.
 * Owns: nothing between calls.  Threads: one call at a time per site. */
#ifndef PIXL_PIPELINE_RUN_H
#define PIXL_PIPELINE_RUN_H

#include "pipeline/populate.h"
#include "pipeline/publish.h"
#include "pipeline/work.h"

enum run_step { RUN_INDEXING, RUN_POPULATING, RUN_WORKING, RUN_PUBLISHING, RUN_READING_REPORTS };

struct run_options {
    const char *cohort;              /* NULL: go on with what the store holds */
    int priority;                    /* 1..5 */
    double rate_per_s;               /* < 0: not given (a local archive is unlimited then, another gets 5, or keeps what is set) */
    const char *program;             /* see work.h */
    void (*step)(void *ctx, enum run_step step, int64_t done, int64_t of);   /* progress of the other steps; of: 0 unknown; may be NULL */
    void (*refused)(void *ctx, uint64_t line, const char *why);              /* may be NULL, as the next */
    void (*warned)(void *ctx, uint64_t line, const char *what);
    void (*progress)(void *ctx, const struct work_progress *p);              /* may be NULL */
    void *ctx;
};

struct run_summary {
    bool populated;
    struct populate_counts populate;
    struct archive_health archive;   /* what of the archive could not be read */
    enum work_end end;
    struct store_counts counts;      /* of the whole store, at the end */
    struct publish_extract *extracts;
    size_t n_extracts;
    int64_t left;                    /* rows that still wait for work */
    const char *left_alone;          /* projects that could not be loaded, with the reason; NULL: none */
};

/* s: opened with all SITE_ flags but LOOKS.  *out: its texts live in the arena. */
PIXL_MUST_CHECK bool run_cohort(struct site *s, const struct run_options *o, struct arena *a, struct run_summary *out, struct pixl_error *err);

#endif
