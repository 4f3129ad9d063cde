/* bucket.h - a token bucket: how many studies per second an archive is asked for.
 *
 * At most rate * t + capacity tokens leave it in any window of t seconds, whoever takes them; rate 0 means stopped (not
 * unlimited).
 * A taker either asks (bucket_take: now or how long) or reserves (bucket_reserve: its token is gone at once, and
 * it waits exactly once, exactly as long as told).
 * Worked example, rate 5, capacity 5: five reservations at t=0 wait 0; the sixth waits 200 ms, the seventh 400 ms.
 * Owns: nothing; struct bucket is a value that its holder stores and locks.  Never: sleeps, reads a clock.
 * Threads: one at a time per bucket; struct bucket_shared below is safe for any.
 * Source: the behaviour of falconry's token-bucket 0.3.0, without its faults: it lets several threads overdraw it,
 * takes NaN for unlimited and credits idle time at a new rate. */
#ifndef PIXL_RATELIMIT_BUCKET_H
#define PIXL_RATELIMIT_BUCKET_H

#include <stdint.h>

#include "base/error.h"

struct bucket {
    double rate_per_s;           /* >= 0, finite */
    double capacity;             /* >= 1 */
    double tokens;               /* <= capacity; below 0 when reserved ahead */
    int64_t at_us;               /* when tokens was true, wall clock */
};

/* A full bucket.  Fails: INVALID on NaN, infinite, negative rate, capacity < 1. */
PIXL_MUST_CHECK bool bucket_init(struct bucket *b, double rate_per_s, double capacity, int64_t now_us,
                                 struct pixl_error *err);
/* Settles what has passed at the old rate, then changes it.  Fails: INVALID; *b is then as it was. */
PIXL_MUST_CHECK bool bucket_set_rate(struct bucket *b, double rate_per_s, int64_t now_us, struct pixl_error *err);
/* A token if one is there.  *wait_us: 0 when taken, else how long until one is there; INT64_MAX when stopped.
 * now_us is read under the bucket's lock (or is the store's own time).  A clock set back by more than a second is
 * followed, without credit; *b may change also when this returns false. */
bool bucket_take(struct bucket *b, int64_t now_us, int64_t *wait_us);
/* A token now or later: false only when stopped (nothing taken).  *wait_us: how long the caller must wait before it
 * acts. */
bool bucket_reserve(struct bucket *b, int64_t now_us, int64_t *wait_us);
/* What could be taken now; below 0: reserved ahead. */
double bucket_level(const struct bucket *b, int64_t now_us);
/* Gives an unused reservation back (the caller was cancelled before its time came).  Lost while others wait ahead
 * too. */
void bucket_refund(struct bucket *b, int64_t now_us);

/* A bucket shared by threads of one process without a lock: rate and capacity fixed while in use.
 * now_us: clock_mono_us(), which no one can set back; a taker whose time is old gets no credit for it. */
struct bucket_shared { _Atomic int64_t full_at_ns_; double rate_per_s, capacity; int64_t step_ns_, burst_ns_; };
PIXL_MUST_CHECK bool bucket_shared_init(struct bucket_shared *b, double rate_per_s, double capacity, int64_t now_us,
                                        struct pixl_error *err);
bool bucket_shared_take(struct bucket_shared *b, int64_t now_us, int64_t *wait_us);

#endif
