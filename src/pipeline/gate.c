#include "gate.h"

#include <assert.h>
#include <time.h>

void gate_init(struct gate *g, int n)
{
    pthread_condattr_t attr;
    int rc = pthread_mutex_init(&g->lock, NULL) | pthread_condattr_init(&attr) |
             pthread_condattr_setclock(&attr, CLOCK_MONOTONIC) | pthread_cond_init(&g->left, &attr);
    assert(rc == 0 && n > 0);
    (void)pthread_condattr_destroy(&attr);
    g->free = n;
}

void gate_done(struct gate *g)
{
    (void)pthread_cond_destroy(&g->left);
    (void)pthread_mutex_destroy(&g->lock);
}

bool gate_enter(struct gate *g, int64_t until_us)
{
    const struct timespec until = { .tv_sec = until_us / 1000000, .tv_nsec = until_us % 1000000 * 1000 };
    int rc = 0;
    pthread_mutex_lock(&g->lock);
    while (g->free == 0 && rc == 0)
        rc = pthread_cond_timedwait(&g->left, &g->lock, &until);
    bool in = g->free > 0;
    g->free -= in;
    pthread_mutex_unlock(&g->lock);
    return in;
}

void gate_leave(struct gate *g)
{
    pthread_mutex_lock(&g->lock);
    g->free++;
    pthread_cond_signal(&g->left);
    pthread_mutex_unlock(&g->lock);
}
