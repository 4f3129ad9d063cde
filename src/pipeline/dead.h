/* dead.h - dead letters: messages that meant nothing when they came (hints.h says why), and wait for a person.
 * Owns: nothing.  q: a connection of dead_connect(), or a test's.
 * Never: shows a body, or anything out of one but the number of its study.
 * Threads: any. */
#ifndef PIXL_PIPELINE_DEAD_H
#define PIXL_PIPELINE_DEAD_H

#include "pipeline/hints.h"

/* Given: queue_close(). */
PIXL_MUST_CHECK bool dead_connect(const struct hint_route *route, struct queue **out, struct pixl_error *err);

struct dead_letter {
    const char *queue;  /* that it came by */
    const char *reason; /* "": not known */
    int64_t buried_us;  /* wall; 0: not known */
    int64_t image;      /* the study that it asks for, when there is one; 0 */
};
enum { DEAD_SHOWN_MAX = QUEUE_PREFETCH_MAX }; /* of each queue */
/* each() is called for the first DEAD_SHOWN_MAX of each queue; *total: how many there are.  They stay.
 * s (with its store) is looked into.  Fails: UNAVAILABLE, DENIED, NOMEM. */
PIXL_MUST_CHECK bool dead_each(struct site *s, struct queue *q, const struct hint_route *route,
                               void (*each)(void *ctx, const struct dead_letter *l), void *ctx, uint64_t *total,
                               struct pixl_error *err);

struct dead_retried {
    int64_t again; /* mean something now: their rows are there, and they are gone */
    int64_t left;
};
/* Reads each anew, as hints_take() does, but claims nothing: rows are hinted by the dispatcher.  s: with secrets too. */
PIXL_MUST_CHECK bool dead_retry(struct site *s, struct queue *q, const struct hint_route *route,
                                struct dead_retried *out, struct pixl_error *err);

#endif
