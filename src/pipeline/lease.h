/* lease.h - until when the claims of this process are its own, whatever happens to the store or to the process.
 *
 * Claims are prolonged together.  When that fails for too long, or the process was stopped meanwhile, others may take what it had in hand:
 * each claim remembers the epoch in which it was made, and an epoch ends when its time runs out, once and for all.
 * Owns: nothing.  Never: reads a clock; times are monotonic.  Threads: any; only one prolongs. */
#ifndef PIXL_PIPELINE_LEASE_H
#define PIXL_PIPELINE_LEASE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct lease {
    _Atomic int64_t until_us;
    atomic_uint epoch;
};
/* asked_us: when the store was asked to prolong, which it has done.  A fifth of the time is left over for clocks and for
 * what cannot be stopped at once. */
void lease_begin(struct lease *l, int64_t asked_us, int64_t lease_us);
void lease_prolonged(struct lease *l, int64_t asked_us, int64_t lease_us);
/* Before prolonging: when the time had run out a new epoch begins, and true is returned. */
bool lease_look(struct lease *l, int64_t now_us);
/* Is a claim of that epoch surely still ours? */
bool lease_holds(const struct lease *l, unsigned epoch, int64_t now_us);

#endif
