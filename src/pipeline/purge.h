/* purge.h - `pixl stop --purge`: nothing that waits is worked on until a cohort or `pixl retry` names it.
 * Owns: nothing.  Threads: any. */
#ifndef PIXL_PIPELINE_PURGE_H
#define PIXL_PIPELINE_PURGE_H

#include "pipeline/dispatch.h"

struct purged {
    int64_t held;             /* rows */
    uint64_t messages;        /* that were thrown away */
    struct pixl_error broker; /* why they could not be: the code is OK when they were */
};
/* Every queued row becomes held, in one transaction; then what waits in the queues is thrown away.  A message that is
 * left over, as the broker is away, finds held rows and does nothing.
 *   q  a connection (dead_connect(), say); NULL: there is no queue, or no way to it
 * Fails: as store_hold_queued(), and nothing was purged. */
PIXL_MUST_CHECK bool purge_queued(struct store *s, struct queue *q, const struct hint_route *route, struct purged *out,
                                  struct pixl_error *err);

#endif
