#include "queue.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "queue_backend.h"

static const struct queue_ops *const backends[] = { &queue_amqp, &queue_amqps, &queue_memory };

enum { WIRE_NAME_SIZE = QUEUE_NAME_MAX + sizeof ".p1" };

struct queue_wait queue_wait_ms(int64_t ms, const atomic_bool *cancel)
{
    return (struct queue_wait){ clock_mono_us() + ms * 1000, cancel };
}

int64_t queue_wait_left(const struct queue_wait *w)
{
    int64_t now = clock_mono_us();
    return w->deadline_us > now ? w->deadline_us - now : 0;
}

bool queue_wait_is_cancelled(const struct queue_wait *w)
{
    return w->cancel != NULL && atomic_load(w->cancel);
}

/* A backend keeps the contract of error.h: true leaves err clean, false sets it. */
static bool kept(bool ok, const struct pixl_error *err)
{
    assert(ok == (err->code == PIXL_OK));
    return ok;
}

static bool check_name(const char *name, struct pixl_error *err)
{
    size_t n = strnlen(name, QUEUE_NAME_MAX + 1);
    bool ok = n > 0 && n <= QUEUE_NAME_MAX && str_is_utf8((struct str){ name, n });
    for (size_t i = 0; ok && i < n; i++)
        ok = (unsigned char)name[i] >= ' ' && name[i] != 0x7F;
    return ok ||
           pixl_fail(err, PIXL_E_INVALID, 0,
                     "name of a queue: must be 1 to %d bytes of UTF-8 without control characters", QUEUE_NAME_MAX);
}

static bool find_backend(struct str url, const struct queue_ops **out, struct pixl_error *err)
{
    struct str scheme, rest;
    bool has_scheme = str_split(url, ':', &scheme, &rest);
    for (size_t i = 0; has_scheme && i < ARRAY_LEN(backends); i++)
        if (str_eq_nocase(scheme, str_of(backends[i]->scheme))) {
            *out = backends[i];
            return true;
        }
    return pixl_fail(err, PIXL_E_INVALID, 0, "queue URL: must begin with amqp://, amqps:// or memory:");
}

bool queue_check_url(struct str url, struct pixl_error *err)
{
    const struct queue_ops *ops;
    return find_backend(url, &ops, err) && (ops->check_url == NULL || kept(ops->check_url(url, err), err));
}

bool queue_open(struct str url, const struct queue_options *options, const struct queue_wait *w, struct queue **out,
                struct pixl_error *err)
{
    struct queue_options o = options ? *options : (struct queue_options){ 0 };
    if (o.window == 0)
        o.window = QUEUE_WINDOW_DEFAULT;
    if (o.window > QUEUE_WINDOW_MAX)
        return pixl_fail(err, PIXL_E_INVALID, 0, "queue: a window has 1 to %d messages", QUEUE_WINDOW_MAX);
    const struct queue_ops *ops;
    if (!find_backend(url, &ops, err) || !kept(ops->open(url, &o, w, out, err), err))
        return false;
    (*out)->per_priority = o.queue_per_priority;
    return true;
}

void queue_close(struct queue *q)
{
    if (q != NULL)
        q->ops->close(q);
}

unsigned queue_caps(const struct queue *q)
{
    return q->ops->caps;
}

const char *queue_place(const struct queue *q)
{
    return q->ops->place(q);
}

bool queue_is_connected(const struct queue *q)
{
    return q->ops->is_connected(q);
}

bool queue_reconnect(struct queue *q, const struct queue_wait *w, struct pixl_error *err)
{
    return kept(q->ops->reconnect(q, w, err), err);
}

/* The broker's queues behind a name: number i of queue_count(), the highest priority first. */
static unsigned queue_count(const struct queue *q)
{
    return q->per_priority ? QUEUE_PRIORITY_MAX : 1;
}

static const char *wire_name(const struct queue *q, const char *name, unsigned priority, char out[WIRE_NAME_SIZE])
{
    (void)(q->per_priority ? snprintf(out, WIRE_NAME_SIZE, "%s.p%u", name, priority % 10)
                           : snprintf(out, WIRE_NAME_SIZE, "%s", name));
    return out;
}

bool queue_declare(struct queue *q, const char *name, const struct queue_wait *w, struct pixl_error *err)
{
    if (!check_name(name, err))
        return false;
    char wire[WIRE_NAME_SIZE];
    for (unsigned i = 0; i < queue_count(q); i++)
        if (!kept(q->ops->declare(q, wire_name(q, name, QUEUE_PRIORITY_MAX - i, wire), !q->per_priority, w, err), err))
            return false;
    return true;
}

/* The sum of what ask() says of each of the broker's queues behind the name. */
static bool sum_of(struct queue *q, const char *name,
                   bool (*ask)(struct queue *, const char *, const struct queue_wait *, uint64_t *,
                               struct pixl_error *),
                   const struct queue_wait *w, uint64_t *out, struct pixl_error *err)
{
    if (!check_name(name, err))
        return false;
    char wire[WIRE_NAME_SIZE];
    uint64_t sum = 0, n;
    for (unsigned i = 0; i < queue_count(q); i++, sum += n)
        if (!kept(ask(q, wire_name(q, name, QUEUE_PRIORITY_MAX - i, wire), w, &n, err), err))
            return false;
    *out = sum;
    return true;
}

bool queue_depth(struct queue *q, const char *name, const struct queue_wait *w, uint64_t *ready, struct pixl_error *err)
{
    return sum_of(q, name, q->ops->depth, w, ready, err);
}

bool queue_purge(struct queue *q, const char *name, const struct queue_wait *w, uint64_t *purged,
                 struct pixl_error *err)
{
    return sum_of(q, name, q->ops->purge, w, purged, err);
}

bool queue_publish(struct queue *q, const struct queue_message *m, const struct queue_wait *w, struct pixl_error *err)
{
    if (!check_name(m->queue, err))
        return false;
    if (m->priority < 1 || m->priority > QUEUE_PRIORITY_MAX)
        return pixl_fail(err, PIXL_E_INVALID, 0, "queue %s: a priority is 1 to %d", m->queue, QUEUE_PRIORITY_MAX);
    size_t n = phi_reveal(m->body).n;
    if (n < 1 || n > QUEUE_BODY_MAX)
        return pixl_fail(err, PIXL_E_INVALID, 0, "queue %s: a message of %zu bytes; must be 1 to %d", m->queue, n,
                         QUEUE_BODY_MAX);
    char wire[WIRE_NAME_SIZE];
    struct queue_message sent = *m;
    sent.queue = wire_name(q, m->queue, m->priority, wire);
    return kept(q->ops->publish(q, &sent, w, err), err);
}

bool queue_confirmed(struct queue *q, struct queue_result *out)
{
    return q->ops->confirmed(q, out);
}

size_t queue_outstanding(const struct queue *q)
{
    return q->ops->outstanding(q);
}

bool queue_flush(struct queue *q, const struct queue_wait *w, struct pixl_error *err)
{
    return kept(q->ops->flush(q, w, err), err);
}

bool queue_consume_start(struct queue *q, const char *name, unsigned prefetch, const struct queue_wait *w,
                         struct pixl_error *err)
{
    if (!check_name(name, err))
        return false;
    if (prefetch < 1 || prefetch > QUEUE_PREFETCH_MAX)
        return pixl_fail(err, PIXL_E_INVALID, 0, "queue %s: a prefetch is 1 to %d", name, QUEUE_PREFETCH_MAX);
    for (unsigned i = 0; i < queue_count(q); i++) {
        char wire[WIRE_NAME_SIZE];
        unsigned rank = q->per_priority ? QUEUE_PRIORITY_MAX - i : 0;
        struct queue_source s = { wire_name(q, name, rank, wire), name, rank, prefetch };
        if (kept(q->ops->consume_start(q, &s, w, err), err))
            continue;
        while (i-- > 0) { /* all of them or none; what cannot be ended now ends with the connection */
            struct pixl_error ignored = { 0 };
            (void)q->ops->consume_stop(q, wire_name(q, name, QUEUE_PRIORITY_MAX - i, wire), w, &ignored);
        }
        return false;
    }
    return true;
}

bool queue_consume_stop(struct queue *q, const char *name, const struct queue_wait *w, struct pixl_error *err)
{
    if (!check_name(name, err))
        return false;
    char wire[WIRE_NAME_SIZE];
    for (unsigned i = 0; i < queue_count(q); i++)
        if (!kept(q->ops->consume_stop(q, wire_name(q, name, QUEUE_PRIORITY_MAX - i, wire), w, err), err))
            return false;
    return true;
}

bool queue_take(struct queue *q, const struct queue_wait *w, bool *got, struct queue_delivery *out,
                struct pixl_error *err)
{
    return kept(q->ops->take(q, w, got, out, err), err);
}

bool queue_settle(struct queue *q, uint64_t tag, enum queue_verdict verdict, const char *reason,
                  const struct queue_wait *w, struct pixl_error *err)
{
    size_t n = reason ? strlen(reason) : 0;
    bool ok = n <= QUEUE_REASON_MAX && (verdict == QUEUE_DEAD) == (n > 0) &&
              strspn(reason ? reason : "", QUEUE_REASON_CHARACTERS) == n;
    if (!ok)
        return pixl_fail(err, PIXL_E_INVALID, 0, "queue: only a dead letter has a reason, 1 to %d plain characters",
                         QUEUE_REASON_MAX);
    return kept(q->ops->settle(q, tag, verdict, reason, w, err), err);
}

bool queue_pump(struct queue *q, const struct queue_wait *w, struct pixl_error *err)
{
    return kept(q->ops->pump(q, w, err), err);
}
