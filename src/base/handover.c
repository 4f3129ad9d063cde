#include "handover.h"

#include <assert.h>
#include <pthread.h>
#include <stdlib.h>
#include <time.h>

struct handover {
    pthread_mutex_t lock;        /* guards everything below */
    pthread_cond_t has_room, has_item;          /* both wait on CLOCK_MONOTONIC */
    size_t head, n, slots;       /* items are ring[head .. head + n - 1], modulo slots */
    bool closed;
    void *ring[];
};

static bool cond_init(pthread_cond_t *c)
{
    pthread_condattr_t attr;
    if (pthread_condattr_init(&attr) != 0)
        return false;
    bool ok = pthread_condattr_setclock(&attr, CLOCK_MONOTONIC) == 0 && pthread_cond_init(c, &attr) == 0;
    (void)pthread_condattr_destroy(&attr);
    return ok;
}

bool handover_new(size_t slots, struct handover **out, struct pixl_error *err)
{
    size_t bytes;
    if (slots == 0)
        return pixl_fail(err, PIXL_E_INVALID, 0, "hand-over without slots");
    if (__builtin_mul_overflow(slots, sizeof(void *), &bytes) ||
        __builtin_add_overflow(bytes, sizeof(struct handover), &bytes))
        return pixl_fail(err, PIXL_E_NOMEM, 0, "hand-over of %zu slots", slots);
    struct handover *h = calloc(1, bytes);
    if (h == NULL)
        return pixl_fail(err, PIXL_E_NOMEM, 0, "hand-over of %zu slots", slots);
    h->slots = slots;
    if (pthread_mutex_init(&h->lock, NULL) != 0)
        goto no_lock;
    if (!cond_init(&h->has_room))
        goto no_room;
    if (!cond_init(&h->has_item))
        goto no_item;
    *out = h;
    return true;
no_item:
    (void)pthread_cond_destroy(&h->has_room);
no_room:
    (void)pthread_mutex_destroy(&h->lock);
no_lock:
    free(h);
    return pixl_fail(err, PIXL_E_NOMEM, 0, "hand-over: no lock can be made");
}

static void lock(struct handover *h)
{
    int rc = pthread_mutex_lock(&h->lock);
    assert(rc == 0);
}

static void unlock(struct handover *h)
{
    int rc = pthread_mutex_unlock(&h->lock);
    assert(rc == 0);
}

/* One wait; false when the deadline has passed.  It may wake for nothing: the caller looks again. */
static bool wait_locked(struct handover *h, pthread_cond_t *c, int64_t deadline_us)
{
    if (deadline_us == INT64_MAX)
        return pthread_cond_wait(c, &h->lock) == 0;
    if (deadline_us < 0)
        return false;
    struct timespec t = { .tv_sec = (time_t)(deadline_us / 1000000), .tv_nsec = (long)(deadline_us % 1000000) * 1000 };
    return pthread_cond_timedwait(c, &h->lock, &t) == 0;
}

bool handover_give(struct handover *h, void *item, int64_t deadline_us)
{
    lock(h);
    while (h->n == h->slots && !h->closed && wait_locked(h, &h->has_room, deadline_us))
        ;
    /* Looked at after the wait: a deadline that passed while room came is not too late. */
    bool ok = !h->closed && h->n < h->slots;
    if (ok) {
        h->ring[(h->head + h->n) % h->slots] = item;
        h->n++;
        (void)pthread_cond_signal(&h->has_item);
    }
    unlock(h);
    return ok;
}

bool handover_take(struct handover *h, void **item, int64_t deadline_us)
{
    lock(h);
    while (h->n == 0 && !h->closed && wait_locked(h, &h->has_item, deadline_us))
        ;
    bool ok = h->n > 0;
    if (ok) {
        *item = h->ring[h->head];
        h->head = (h->head + 1) % h->slots;
        h->n--;
        (void)pthread_cond_signal(&h->has_room);
    }
    unlock(h);
    return ok;
}

void handover_close(struct handover *h)
{
    lock(h);
    h->closed = true;
    (void)pthread_cond_broadcast(&h->has_room);
    (void)pthread_cond_broadcast(&h->has_item);
    unlock(h);
}

void handover_free(struct handover *h)
{
    if (h == NULL)
        return;
    (void)pthread_cond_destroy(&h->has_item);
    (void)pthread_cond_destroy(&h->has_room);
    (void)pthread_mutex_destroy(&h->lock);
    free(h);
}
