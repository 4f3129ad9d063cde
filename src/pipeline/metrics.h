/* metrics.h - what this process did and does, counted where it happens, shown in the text format of Prometheus (0.0.4).
 *
 * Counters begin at 0 with the process; the facts of the store (studies by state, tokens) are asked when it is rendered.
 * Labels are slugs of projects, names of archives, and words of our own: never what names a patient or a study.
 * Owns: the numbers, and the slugs of the projects it met.  Never: fails or waits where it counts: out of memory, what
 * belongs to a new project is not counted.
 * Threads: any; numbers are atomic, the list of projects has a lock that nothing slow is done under. */
#ifndef PIXL_PIPELINE_METRICS_H
#define PIXL_PIPELINE_METRICS_H

#include "store/store.h"

/* Parts of the work on one study whose time is measured. */
enum metrics_step {
    METRICS_FIND,                /* asking the archive which study it is */
    METRICS_RETRIEVE,            /* having it listed, or brought near */
    METRICS_DEIDENTIFY,          /* reading and de-identifying its instances */
    METRICS_ZIP,                 /* compressing and writing them */
    METRICS_DELIVER,             /* bringing its zip to the destination */
    METRICS_STEP_COUNT
};
enum metrics_bytes { METRICS_BYTES_READ, METRICS_BYTES_ZIPPED, METRICS_BYTES_DELIVERED, METRICS_BYTES_COUNT };
enum metrics_work { METRICS_RETRIEVING, METRICS_DELIVERING, METRICS_WORK_COUNT };

struct metrics;
PIXL_MUST_CHECK bool metrics_new(struct metrics **out, struct pixl_error *err);
void metrics_free(struct metrics *m);

void metrics_add_time(struct metrics *m, enum metrics_step step, int64_t us);
void metrics_add_bytes(struct metrics *m, enum metrics_bytes what, int64_t n);
void metrics_add_in_flight(struct metrics *m, enum metrics_work what, int n);
/* A study of the project went to this state. */
void metrics_add_move(struct metrics *m, struct str project, enum study_state to);
void metrics_add_instances(struct metrics *m, struct str project, int64_t delivered, int64_t skipped);
/* what: "archive", "spool", "broker", the slug of a project whose destination it is. */
void metrics_set_breaker(struct metrics *m, const char *what, bool is_open);
/* Messages that wait in the broker's queue of that archive; ready < 0: not known (the broker is away).  name: copied. */
void metrics_set_queue(struct metrics *m, int archive, const char *name, int64_t ready);

/* Everything, with the facts of the store, appended to out.  Fails: as the store; NOMEM. */
PIXL_MUST_CHECK bool metrics_render(struct metrics *m, struct store *s, struct buf *out, struct pixl_error *err);

#endif
