#include "dead.h"

#include <stdio.h>

enum { ANSWER_MS = 10 * 1000, NEXT_MS = 1000 };
#define ARENA_BYTES ((size_t)8 << 20)

bool dead_connect(const struct hint_route *route, struct queue **out, struct pixl_error *err)
{
    const struct queue_wait w = queue_wait_ms(ANSWER_MS, NULL);
    return queue_open(str_of(route->url), NULL, &w, out, err);
}

/* What is done with a letter.  *gone: it is acknowledged. */
typedef bool on_letter_fn(void *ctx, const char *queue, const struct queue_delivery *d, bool *gone,
                          struct pixl_error *err);

/* Each of the first DEAD_SHOWN_MAX once: those that stay are held until the end, and given back then. */
static bool each_of_queue(struct queue *q, const char *queue, on_letter_fn *on_letter, void *ctx, uint64_t *total,
                          struct pixl_error *err)
{
    char name[QUEUE_NAME_MAX + sizeof ".dead"];
    const struct queue_wait w = queue_wait_ms(ANSWER_MS, NULL);
    uint64_t n = 0;
    (void)snprintf(name, sizeof name, "%s.dead", queue);
    if (!queue_depth(q, name, &w, &n, err)) {
        if (err->code != PIXL_E_NOT_FOUND)
            return false;
        pixl_error_clear(err); /* nothing was ever buried */
        return true;
    }
    *total += n;
    if (n == 0)
        return true;
    if (!queue_consume_start(q, name, DEAD_SHOWN_MAX, &w, err))
        return false;
    for (uint64_t i = 0; i < n && i < DEAD_SHOWN_MAX; i++) {
        struct queue_delivery d;
        bool got = false, gone = false;
        const struct queue_wait next = queue_wait_ms(NEXT_MS, NULL), answer = queue_wait_ms(ANSWER_MS, NULL);
        if (!queue_take(q, &next, &got, &d, err))
            return false;
        if (!got)
            break; /* another looks at them just now */
        if (!on_letter(ctx, queue, &d, &gone, err) || (gone && !queue_settle(q, d.tag, QUEUE_ACK, NULL, &answer, err)))
            return false;
    }
    return queue_consume_stop(q, name, &w, err);
}

static bool each_letter(struct queue *q, const struct hint_route *route, on_letter_fn *on_letter, void *ctx,
                        uint64_t *total, struct pixl_error *err)
{
    *total = 0;
    for (size_t a = 0; a < STORE_ARCHIVES; a++)
        if (!each_of_queue(q, route->queues[a], on_letter, ctx, total, err))
            return false;
    return true;
}

/* --- showing ---------------------------------------------------------------------------------------------------- */

struct showing {
    struct site *site;
    struct arena arena;
    void (*each)(void *ctx, const struct dead_letter *l);
    void *ctx;
};

static bool show_letter(void *ctx, const char *queue, const struct queue_delivery *d, bool *gone,
                        struct pixl_error *err)
{
    struct showing *s = ctx;
    int64_t *images;
    size_t n = 0;
    enum hint_reason ignored;
    arena_reset(&s->arena);
    if (!d->cut && !hint_rows_of(s->site, d->body, false, 1, &s->arena, &images, &n, &ignored, err))
        return false;
    const struct dead_letter l = {
        .queue = queue, .reason = d->reason, .buried_us = d->buried_us, .image = n > 0 ? images[0] : 0
    };
    s->each(s->ctx, &l);
    *gone = false;
    return true;
}

bool dead_each(struct site *s, struct queue *q, const struct hint_route *route,
               void (*each)(void *ctx, const struct dead_letter *l), void *ctx, uint64_t *total, struct pixl_error *err)
{
    struct showing showing = { .site = s, .each = each, .ctx = ctx };
    uint64_t n = 0;
    arena_init(&showing.arena, ARENA_BYTES);
    bool ok = each_letter(q, route, show_letter, &showing, &n, err);
    arena_done(&showing.arena);
    if (ok)
        *total = n;
    return ok;
}

/* --- reading them again ----------------------------------------------------------------------------------------- */

struct retrying {
    struct site *site;
    struct arena arena;
    int64_t again;
};

static bool retry_letter(void *ctx, const char *queue, const struct queue_delivery *d, bool *gone,
                         struct pixl_error *err)
{
    struct retrying *r = ctx;
    const int priority = d->priority >= 1 && d->priority <= QUEUE_PRIORITY_MAX ? (int)d->priority : 1;
    int64_t *images;
    size_t n = 0;
    enum hint_reason reason = HINT_TOO_LONG;
    (void)queue;
    arena_reset(&r->arena);
    if (!d->cut && !hint_rows_of(r->site, d->body, true, priority, &r->arena, &images, &n, &reason, err))
        return false;
    *gone = reason == HINT_GOOD;
    r->again += *gone;
    return true;
}

bool dead_retry(struct site *s, struct queue *q, const struct hint_route *route, struct dead_retried *out,
                struct pixl_error *err)
{
    struct retrying r = { .site = s };
    uint64_t n = 0;
    arena_init(&r.arena, ARENA_BYTES);
    bool ok = each_letter(q, route, retry_letter, &r, &n, err);
    arena_done(&r.arena);
    if (ok)
        *out = (struct dead_retried){ .again = r.again, .left = (int64_t)n - r.again };
    return ok;
}
