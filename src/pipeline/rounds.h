/* rounds.h - waits until others have worked off what projects asked for, and takes back to work what failed for a passing reason.
 * Owns: nothing.  Never: works itself.  Threads: one call at a time per site. */
#ifndef PIXL_PIPELINE_ROUNDS_H
#define PIXL_PIPELINE_ROUNDS_H

#include <stdatomic.h>

#include "pipeline/site.h"

struct rounds_progress {
    int round, rounds;              /* 1 .. rounds, then rounds + 1 */
    int64_t open, exported, failed; /* studies of these projects; exported ones and kept ones together */
    int64_t pause_s;                /* until what failed is tried again; -1: it waits for the open ones */
};
struct rounds_options {
    const struct str *projects;
    size_t n_projects;
    int rounds;                                                   /* how often at most */
    int64_t pause_us;                                             /* before each: what passes needs time */
    void (*progress)(void *ctx, const struct rounds_progress *p); /* once a second */
    void *ctx;
    const atomic_bool *cancel;
};
enum rounds_end {
    ROUNDS_DONE,      /* nothing is left that another try could change */
    ROUNDS_UNCHANGED, /* a round changed nothing */
    ROUNDS_USED_UP,
    ROUNDS_STANDS_STILL, /* studies are queued, and every archive's rate is 0 */
    ROUNDS_CANCELLED,
};
/* A passing reason: the archive, the spool or the destination failed, a file changed while it was read, or no archive had
 * the study yet.  *last: as progress told last. */
PIXL_MUST_CHECK bool rounds_wait(struct site *s, const struct rounds_options *o, enum rounds_end *end,
                                 struct rounds_progress *last, struct pixl_error *err);

#endif
