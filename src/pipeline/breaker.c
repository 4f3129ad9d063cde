#include "breaker.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#define PAUSE_FIRST_US INT64_C(1000000)
#define PAUSE_MAX_US   (INT64_C(300) * 1000000)

void breaker_init(struct breaker *b)
{
    memset(b, 0, sizeof *b);
    int rc = pthread_mutex_init(&b->lock, NULL);
    assert(rc == 0);
}

void breaker_done(struct breaker *b)
{
    (void)pthread_mutex_destroy(&b->lock);
}

bool breaker_allows(struct breaker *b, int64_t now_us, bool *is_probe)
{
    pthread_mutex_lock(&b->lock);
    bool allowed = !b->is_open;
    *is_probe = b->is_open && !b->is_probing && now_us >= b->next_probe_us;
    if (*is_probe)
        allowed = b->is_probing = true;
    pthread_mutex_unlock(&b->lock);
    return allowed;
}

bool breaker_report(struct breaker *b, bool is_probe, bool worked, const struct pixl_error *why, int64_t now_us)
{
    assert(worked || (why != NULL && why->code != PIXL_OK));
    pthread_mutex_lock(&b->lock);
    bool was_open = b->is_open;
    if (worked) {
        b->is_open = false;
        b->pause_us = 0;
    } else {
        /* Workers that were under way when it opened do not lengthen the pause: only a probe does. */
        if (!was_open || is_probe) {
            b->pause_us = b->pause_us == 0 ? PAUSE_FIRST_US : b->pause_us * 2;
            if (b->pause_us > PAUSE_MAX_US)
                b->pause_us = PAUSE_MAX_US;
            b->next_probe_us = now_us + b->pause_us;
        }
        if (!was_open)
            b->opened_us = now_us;
        b->is_open = true;
        b->code = why->code;
        (void)snprintf(b->why, sizeof b->why, "%.*s", (int)sizeof b->why - 1, why->msg);
    }
    if (is_probe || !b->is_open)
        b->is_probing = false;
    bool changed = was_open != b->is_open;
    pthread_mutex_unlock(&b->lock);
    return changed;
}

void breaker_unused(struct breaker *b, bool is_probe)
{
    if (!is_probe)
        return;
    pthread_mutex_lock(&b->lock);
    b->is_probing = false;
    pthread_mutex_unlock(&b->lock);
}

int64_t breaker_pause_us(struct breaker *b)
{
    pthread_mutex_lock(&b->lock);
    int64_t pause = b->is_open ? b->pause_us : 0;
    pthread_mutex_unlock(&b->lock);
    return pause;
}

int64_t breaker_next_us(struct breaker *b)
{
    pthread_mutex_lock(&b->lock);
    int64_t next = !b->is_open ? INT64_MIN : b->is_probing ? INT64_MAX : b->next_probe_us;
    pthread_mutex_unlock(&b->lock);
    return next;
}

bool breaker_why(struct breaker *b, char out[200], enum pixl_code *code)
{
    pthread_mutex_lock(&b->lock);
    bool open = b->is_open;
    if (open) {
        memcpy(out, b->why, sizeof b->why);
        *code = b->code;
    }
    pthread_mutex_unlock(&b->lock);
    return open;
}
