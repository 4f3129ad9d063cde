/* queue_rig.h - short words for tests of queues.  Waits named soon() end by the alarm of the test, not by themselves: a
 * slow machine is no failure. */
#ifndef PIXL_TEST_QUEUE_RIG_H
#define PIXL_TEST_QUEUE_RIG_H

#include <stdio.h>
#include <unistd.h>

#include "queue/queue_backend.h"
#include "test.h"

static struct pixl_error err;

static inline const struct queue_wait *in_ms(int64_t ms)
{
    static struct queue_wait w[2];
    static unsigned next;
    struct queue_wait *one = &w[next++ % ARRAY_LEN(w)];
    *one = queue_wait_ms(ms, NULL);
    return one;
}

static inline const struct queue_wait *soon(void)
{
    return in_ms(60000);
}

static inline bool put(struct queue *q, const char *name, const char *body, unsigned priority, uint64_t tag,
                       const struct queue_wait *w)
{
    const struct queue_message m = { name, phi_text(str_of(body)), priority, tag };
    return queue_publish(q, &m, w, &err);
}

/* Takes all results that are known; how many of them have that fate. */
static inline int results_of(struct queue *q, enum queue_fate fate)
{
    struct queue_result r;
    int n = 0;
    while (queue_confirmed(q, &r))
        n += r.fate == fate;
    return n;
}

/* Publishes bodies "0", "1", ... and takes their results, all of which must be CONFIRMED. */
static inline void fill(struct queue *q, const char *name, int n)
{
    for (int i = 0; i < n; i++) {
        char body[16];
        (void)snprintf(body, sizeof body, "%d", i);
        REQUIRE_OK(put(q, name, body, 1, (uint64_t)i, soon()), err);
    }
    REQUIRE_OK(queue_flush(q, soon(), &err), err);
    CHECK_INT(results_of(q, QUEUE_CONFIRMED), n);
}

static inline struct queue_delivery take_one(struct queue *q)
{
    struct queue_delivery d = { 0 };
    bool got = false;
    REQUIRE_OK(queue_take(q, soon(), &got, &d, &err), err);
    REQUIRE(got);
    return d;
}

static inline void settle(struct queue *q, struct queue_delivery d, enum queue_verdict v)
{
    CHECK_OK(queue_settle(q, d.tag, v, v == QUEUE_DEAD ? "not-json" : NULL, soon(), &err), err);
}

static inline bool nothing_comes(struct queue *q, int64_t ms)
{
    struct queue_delivery d;
    bool got = true;
    CHECK_OK(queue_take(q, in_ms(ms), &got, &d, &err), err);
    return !got;
}

/* The depth settles a moment after what changed it. */
static inline void check_depth(struct queue *q, const char *name, uint64_t want)
{
    uint64_t n = UINT64_MAX;
    for (int i = 0; i < 200 && n != want; i++) {
        REQUIRE_OK(queue_depth(q, name, soon(), &n, &err), err);
        if (n != want)
            (void)usleep(20000);
    }
    CHECK_INT(n, want);
}

#endif
