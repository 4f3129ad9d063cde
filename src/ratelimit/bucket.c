#include "bucket.h"

#include <assert.h>
#include <math.h>
#include <stdatomic.h>

/* A clock that goes back by less is taken for two clocks that differ, or for a taker that was slow to come: then the
 * bucket stands still until time has caught up, as following each of them in turn would credit their difference again
 * and again.  A larger step is a clock that was set: the bucket follows it. */
enum { SKEW_US = 1000000 };

static bool check(double rate_per_s, double capacity, struct pixl_error *err)
{
    if (!isfinite(rate_per_s) || rate_per_s < 0)
        return pixl_fail(err, PIXL_E_INVALID, 0, "rate: must be a finite number, 0 or more");
    if (!isfinite(capacity) || capacity < 1)
        return pixl_fail(err, PIXL_E_INVALID, 0, "capacity: must be a finite number, 1 or more");
    return true;
}

bool bucket_init(struct bucket *b, double rate_per_s, double capacity, int64_t now_us, struct pixl_error *err)
{
    if (!check(rate_per_s, capacity, err))
        return false;
    *b = (struct bucket){ .rate_per_s = rate_per_s, .capacity = capacity, .tokens = capacity, .at_us = now_us };
    return true;
}

/* Tokens at now_us, when at_us is not later. */
static double tokens_at(const struct bucket *b, int64_t now_us)
{
    int64_t passed_us;
    if (__builtin_sub_overflow(now_us, b->at_us, &passed_us))
        passed_us = INT64_MAX;
    if (passed_us <= 0)
        return b->tokens;
    double t = b->tokens + b->rate_per_s * ((double)passed_us / 1e6);
    return t < b->capacity ? t : b->capacity;
}

double bucket_level(const struct bucket *b, int64_t now_us)
{
    return tokens_at(b, now_us);
}

static void follow_back(struct bucket *b, int64_t now_us)
{
    int64_t back_us;
    if (now_us < b->at_us && (__builtin_sub_overflow(b->at_us, now_us, &back_us) || back_us > SKEW_US))
        b->at_us = now_us;
}

static void settle(struct bucket *b, int64_t now_us)
{
    follow_back(b, now_us);
    b->tokens = tokens_at(b, now_us);
    if (now_us > b->at_us)
        b->at_us = now_us;
}

/* How long until `missing` tokens have come; INT64_MAX when that is beyond any time. */
static int64_t wait_for(const struct bucket *b, double missing)
{
    double us = ceil(missing / b->rate_per_s * 1e6);
    return us < 9e18 ? (int64_t)us : INT64_MAX;
}

bool bucket_set_rate(struct bucket *b, double rate_per_s, int64_t now_us, struct pixl_error *err)
{
    if (!check(rate_per_s, b->capacity, err))
        return false;
    settle(b, now_us);
    b->rate_per_s = rate_per_s;
    return true;
}

bool bucket_take(struct bucket *b, int64_t now_us, int64_t *wait_us)
{
    if (b->rate_per_s <= 0) {
        *wait_us = INT64_MAX;
        return false;
    }
    follow_back(b, now_us);
    double t = tokens_at(b, now_us);
    if (t >= 1) {
        settle(b, now_us);
        b->tokens -= 1;
        *wait_us = 0;
        return true;
    }
    /* Nothing is settled here: credits smaller than a double can add would be lost one by one to a taker that asks
     * often. Counted from at_us, which may lie ahead of now within the skew. */
    int64_t wait = wait_for(b, 1 - b->tokens), until;
    if (wait == INT64_MAX || __builtin_add_overflow(b->at_us, wait, &until)) {
        *wait_us = INT64_MAX;
        return false;
    }
    for (int i = 0; i < 8 && tokens_at(b, until) < 1; i++)      /* the division above may have rounded down */
        until += 1 + (wait >> 50);
    *wait_us = until - now_us > 0 ? until - now_us : 1;
    return false;
}

bool bucket_reserve(struct bucket *b, int64_t now_us, int64_t *wait_us)
{
    *wait_us = INT64_MAX;
    if (b->rate_per_s <= 0)
        return false;
    settle(b, now_us);
    double left = b->tokens - 1;
    if (left >= 0) {
        b->tokens = left;
        *wait_us = 0;
        return true;
    }
    /* Counted from now also when at_us lies ahead: a wait that was longer by the skew would end up beside those of
     * later reservations, once the bucket has followed the clock. */
    int64_t wait = wait_for(b, -left);
    if (wait == INT64_MAX)
        return false;                           /* so slow that its time never comes: as good as stopped */
    b->tokens = left;
    *wait_us = wait;
    return true;
}

/* A reservation ahead has a moment of its own.  When others wait behind this one their moments do not move, so the
 * token would be used a second time at one of them: it is given back only when nobody else waits.  Safe, and a slot
 * lost at most. */
void bucket_refund(struct bucket *b, int64_t now_us)
{
    settle(b, now_us);
    if (b->tokens >= -1)
        b->tokens = b->tokens + 1 < b->capacity ? b->tokens + 1 : b->capacity;
}

/* The generic cell rate algorithm: one word holds the moment at which the bucket would be full again.  A token moves
 * it on by a step; it may run ahead of now by (capacity - 1) steps.  Steps are whole nanoseconds, rounded up: never
 * faster than the rate.  The ceilings keep every sum of a time until 2128, a burst and a step within 64 bits. */
#define STEP_MAX_NS INT64_C(2000000000000000000)
#define NOW_MAX_US  INT64_C(5000000000000000)

bool bucket_shared_init(struct bucket_shared *b, double rate_per_s, double capacity, int64_t now_us,
                        struct pixl_error *err)
{
    if (!check(rate_per_s, capacity, err))
        return false;
    double step = rate_per_s > 0 ? ceil(1e9 / rate_per_s) : 0;
    if (step > (double)STEP_MAX_NS)
        return pixl_fail(err, PIXL_E_INVALID, 0, "rate: less than one in 60 years");
    double burst = floor((capacity - 1) * step);
    assert(now_us >= 0 && now_us < NOW_MAX_US);
    b->rate_per_s = rate_per_s;
    b->capacity = capacity;
    b->step_ns_ = (int64_t)step;
    b->burst_ns_ = burst < (double)STEP_MAX_NS ? (int64_t)burst : STEP_MAX_NS;
    atomic_init(&b->full_at_ns_, now_us * 1000);
    return true;
}

bool bucket_shared_take(struct bucket_shared *b, int64_t now_us, int64_t *wait_us)
{
    assert(now_us >= 0 && now_us < NOW_MAX_US);
    if (b->step_ns_ == 0) {
        *wait_us = INT64_MAX;
        return false;
    }
    int64_t now_ns = now_us * 1000;
    /* Relaxed: the word is all that is shared, no other memory hangs on it. */
    int64_t full_at = atomic_load_explicit(&b->full_at_ns_, memory_order_relaxed);
    for (;;) {
        int64_t from = full_at > now_ns ? full_at : now_ns;
        if (from - now_ns > b->burst_ns_) {
            *wait_us = (from - now_ns - b->burst_ns_ + 999) / 1000;
            return false;
        }
        if (atomic_compare_exchange_weak_explicit(&b->full_at_ns_, &full_at, from + b->step_ns_, memory_order_relaxed,
                                                  memory_order_relaxed)) {
            *wait_us = 0;
            return true;
        }
    }
}
