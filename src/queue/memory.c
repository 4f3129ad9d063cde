/* memory.c - a queue in this process, which behaves as RabbitMQ does: priorities, prefetch, redelivery, returned
 * messages. Several queue objects may share a broker, from several threads: broker.lock guards everything in it, and
 * is held over no wait but that for a change. */
#include <assert.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "queue_backend.h"

struct memory;

struct message {
    struct message *next;
    struct memory *holder; /* NULL: ready */
    uint64_t tag;          /* of the delivery, while it is held */
    unsigned priority;
    bool redelivered;
    int64_t buried_us;
    char reason[QUEUE_REASON_MAX + 1];
    size_t n;
    char body[];
};

struct stored_queue {
    struct stored_queue *next;
    struct message *first; /* in order of publishing, also when given back */
    bool priorities;
    char name[QUEUE_NAME_MAX + sizeof ".dead.p1"];
};

struct broker {
    pthread_mutex_t lock;
    pthread_cond_t change; /* a message became ready */
    unsigned users;
    struct stored_queue *queues;
};

struct source {
    struct source *next;
    bool active;
    unsigned rank, prefetch, in_flight;
    char name[QUEUE_NAME_MAX + sizeof ".p1"], label[QUEUE_NAME_MAX + 1];
};

struct memory {
    struct queue base;
    struct broker *broker;
    bool connected, hold;
    uint32_t window;
    struct queue_result *results; /* a ring of 2 windows; the last `held` of them are not known to the caller yet */
    size_t results_at, results_n, held;
    uint64_t next_tag;
    struct source *sources;
};

static struct memory *memory_of(struct queue *q)
{
    assert(q->ops == &queue_memory);
    return (struct memory *)q;
}

static void lock(struct memory *m)
{
    int rc = pthread_mutex_lock(&m->broker->lock);
    assert(rc == 0);
}

static bool unlock(struct memory *m, bool result)
{
    int rc = pthread_mutex_unlock(&m->broker->lock);
    assert(rc == 0);
    return result;
}

static bool fail_lost(struct pixl_error *err)
{
    return pixl_fail(err, PIXL_E_UNAVAILABLE, 0, "memory: the connection is lost");
}

/* Waits for a change, no longer than w allows.  *late: the deadline is there. */
static bool wait_locked(struct memory *m, const struct queue_wait *w, bool *late, struct pixl_error *err)
{
    if (queue_wait_is_cancelled(w))
        return pixl_fail(err, PIXL_E_CANCELLED, 0, "queue: cancelled");
    int64_t left = queue_wait_left(w);
    *late = left == 0;
    if (!*late) {
        int64_t until = clock_mono_us() + (left < QUEUE_SLICE_US ? left : QUEUE_SLICE_US);
        struct timespec t = { until / 1000000, until % 1000000 * 1000 };
        (void)pthread_cond_timedwait(&m->broker->change, &m->broker->lock, &t);
    }
    return true;
}

/* --- the broker */

static void broker_free(struct broker *b)
{
    for (struct stored_queue *s = b->queues, *next; s != NULL; s = next) {
        next = s->next;
        for (struct message *x = s->first, *after; x != NULL; x = after) {
            after = x->next;
            free(x);
        }
        free(s);
    }
    (void)pthread_cond_destroy(&b->change);
    (void)pthread_mutex_destroy(&b->lock);
    free(b);
}

static struct broker *broker_new(void)
{
    struct broker *b = calloc(1, sizeof *b);
    pthread_condattr_t monotonic;
    if (b == NULL || pthread_condattr_init(&monotonic) != 0) {
        free(b);
        return NULL;
    }
    bool ok = pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC) == 0 && pthread_mutex_init(&b->lock, NULL) == 0 &&
              pthread_cond_init(&b->change, &monotonic) == 0;
    assert(ok); /* none of them allocates here */
    (void)pthread_condattr_destroy(&monotonic);
    return b;
}

static struct stored_queue *find_locked(struct memory *m, const char *name)
{
    for (struct stored_queue *s = m->broker->queues; s != NULL; s = s->next)
        if (strcmp(s->name, name) == 0)
            return s;
    return NULL;
}

static struct stored_queue *find_or_make_locked(struct memory *m, const char *name, bool priorities)
{
    struct stored_queue *s = find_locked(m, name);
    if (s != NULL)
        return s;
    s = calloc(1, sizeof *s);
    if (s != NULL) {
        (void)snprintf(s->name, sizeof s->name, "%s", name);
        s->priorities = priorities;
        s->next = m->broker->queues;
        m->broker->queues = s;
    }
    return s;
}

/* reason: of a dead letter, else NULL. */
static bool store_locked(struct memory *m, struct stored_queue *s, struct str body, unsigned priority,
                         const char *reason, struct pixl_error *err)
{
    struct message *x = malloc(sizeof *x + body.n);
    if (x == NULL)
        return pixl_fail(err, PIXL_E_NOMEM, 0, "memory: a message of %zu bytes", body.n);
    *x = (struct message){ .priority = priority, .n = body.n };
    memcpy(x->body, body.p, body.n);
    if (reason != NULL) {
        (void)snprintf(x->reason, sizeof x->reason, "%s", reason);
        x->buried_us = clock_wall_us();
    }
    struct message **end = &s->first;
    while (*end != NULL)
        end = &(*end)->next;
    *end = x;
    (void)pthread_cond_broadcast(&m->broker->change);
    return true;
}

/* --- one queue object */

static bool open_on(struct broker *b, uint32_t window, struct queue **out, struct pixl_error *err)
{
    struct memory *m = calloc(1, sizeof *m);
    struct queue_result *results = calloc(2 * (size_t)window, sizeof *results);
    if (m == NULL || results == NULL) {
        free(m);
        free(results);
        return pixl_fail(err, PIXL_E_NOMEM, 0, "memory: a queue");
    }
    *m = (struct memory){
        .base.ops = &queue_memory, .broker = b, .connected = true, .window = window, .results = results
    };
    *out = &m->base;
    return true;
}

static bool open_queue(struct str url, const struct queue_options *o, const struct queue_wait *w, struct queue **out,
                       struct pixl_error *err)
{
    if (!str_eq_nocase(url, STR("memory:")))
        return pixl_fail(err, PIXL_E_INVALID, 0, "queue URL: nothing follows memory:");
    if (queue_wait_is_cancelled(w))
        return pixl_fail(err, PIXL_E_CANCELLED, 0, "queue: cancelled");
    struct broker *b = broker_new();
    if (b == NULL)
        return pixl_fail(err, PIXL_E_NOMEM, 0, "memory: a broker");
    b->users = 1;
    if (open_on(b, o->window, out, err))
        return true;
    broker_free(b);
    return false;
}

bool queue_memory_share(struct queue *q, struct queue **out, struct pixl_error *err)
{
    struct memory *m = memory_of(q);
    lock(m);
    bool ok = open_on(m->broker, m->window, out, err);
    if (ok) {
        (*out)->per_priority = q->per_priority;
        m->broker->users++;
    }
    return unlock(m, ok);
}

/* What m holds becomes ready again. */
static void disconnect_locked(struct memory *m)
{
    for (struct stored_queue *s = m->broker->queues; s != NULL; s = s->next)
        for (struct message *x = s->first; x != NULL; x = x->next)
            if (x->holder == m) {
                x->holder = NULL;
                x->redelivered = true;
            }
    for (struct source *s = m->sources; s != NULL; s = s->next) {
        s->active = false;
        s->in_flight = 0;
    }
    for (; m->held > 0; m->held--)
        m->results[(m->results_at + m->results_n - m->held) % (2 * m->window)].fate = QUEUE_UNCONFIRMED;
    m->connected = m->hold = false;
    (void)pthread_cond_broadcast(&m->broker->change);
}

static void close_queue(struct queue *q)
{
    struct memory *m = memory_of(q);
    lock(m);
    disconnect_locked(m);
    bool last = --m->broker->users == 0;
    (void)unlock(m, true);
    if (last)
        broker_free(m->broker);
    for (struct source *s = m->sources, *next; s != NULL; s = next) {
        next = s->next;
        free(s);
    }
    free(m->results);
    free(m);
}

void queue_memory_cut(struct queue *q)
{
    struct memory *m = memory_of(q);
    lock(m);
    disconnect_locked(m);
    (void)unlock(m, true);
}

void queue_memory_hold(struct queue *q, bool hold)
{
    struct memory *m = memory_of(q);
    lock(m);
    m->hold = hold;
    if (!hold)
        m->held = 0;
    (void)pthread_cond_broadcast(&m->broker->change);
    (void)unlock(m, true);
}

static const char *place(const struct queue *q)
{
    (void)q;
    return "memory";
}

static bool is_connected(const struct queue *q)
{
    return ((const struct memory *)q)->connected;
}

static bool reconnect(struct queue *q, const struct queue_wait *w, struct pixl_error *err)
{
    struct memory *m = memory_of(q);
    if (queue_wait_is_cancelled(w))
        return pixl_fail(err, PIXL_E_CANCELLED, 0, "queue: cancelled");
    lock(m);
    disconnect_locked(m);
    m->connected = true;
    return unlock(m, true);
}

static bool declare(struct queue *q, const char *name, bool priorities, const struct queue_wait *w,
                    struct pixl_error *err)
{
    struct memory *m = memory_of(q);
    (void)w;
    if (!m->connected)
        return fail_lost(err);
    lock(m);
    bool ok = find_or_make_locked(m, name, priorities) != NULL;
    return unlock(m, ok) || pixl_fail(err, PIXL_E_NOMEM, 0, "queue %s", name);
}

/* Counts the ready messages, and frees them when `purge`. */
static bool count(struct queue *q, const char *name, bool purge, uint64_t *out, struct pixl_error *err)
{
    struct memory *m = memory_of(q);
    if (!m->connected)
        return fail_lost(err);
    lock(m);
    struct stored_queue *s = find_locked(m, name);
    if (s == NULL)
        return unlock(m, pixl_fail(err, PIXL_E_NOT_FOUND, 0, "queue %s: there is none", name));
    *out = 0;
    for (struct message **p = &s->first; *p != NULL;) {
        struct message *x = *p;
        *out += x->holder == NULL;
        if (purge && x->holder == NULL) {
            *p = x->next;
            free(x);
        } else {
            p = &x->next;
        }
    }
    return unlock(m, true);
}

static bool depth(struct queue *q, const char *name, const struct queue_wait *w, uint64_t *ready,
                  struct pixl_error *err)
{
    (void)w;
    return count(q, name, false, ready, err);
}

static bool purge(struct queue *q, const char *name, const struct queue_wait *w, uint64_t *purged,
                  struct pixl_error *err)
{
    (void)w;
    return count(q, name, true, purged, err);
}

static bool publish(struct queue *q, const struct queue_message *msg, const struct queue_wait *w,
                    struct pixl_error *err)
{
    struct memory *m = memory_of(q);
    if (!m->connected)
        return fail_lost(err);
    lock(m);
    while (m->held == m->window) {
        bool late;
        if (!wait_locked(m, w, &late, err))
            return unlock(m, false);
        if (late)
            return unlock(m, pixl_fail(err, PIXL_E_UNAVAILABLE, 0, "memory: nothing is confirmed"));
    }
    if (m->results_n == 2 * m->window)
        return unlock(m, pixl_fail(err, PIXL_E_LIMIT, 0, "queue: %zu results wait to be taken", m->results_n));
    struct stored_queue *s = find_locked(m, msg->queue);
    if (s != NULL && !store_locked(m, s, phi_reveal(msg->body), msg->priority, NULL, err))
        return unlock(m, false);
    m->results[(m->results_at + m->results_n++) % (2 * m->window)] =
        (struct queue_result){ msg->tag, s ? QUEUE_CONFIRMED : QUEUE_RETURNED };
    m->held += m->hold;
    return unlock(m, true);
}

static bool confirmed(struct queue *q, struct queue_result *out)
{
    struct memory *m = memory_of(q);
    lock(m);
    if (m->results_n == m->held)
        return unlock(m, false);
    *out = m->results[m->results_at];
    m->results_at = (m->results_at + 1) % (2 * m->window);
    m->results_n--;
    return unlock(m, true);
}

static size_t outstanding(const struct queue *q)
{
    return ((const struct memory *)q)->held;
}

static bool flush(struct queue *q, const struct queue_wait *w, struct pixl_error *err)
{
    struct memory *m = memory_of(q);
    if (!m->connected)
        return fail_lost(err);
    lock(m);
    bool ok = true, late = false;
    while (ok && m->held > 0 && !late)
        ok = wait_locked(m, w, &late, err);
    if (ok && m->held > 0)
        ok = pixl_fail(err, PIXL_E_UNAVAILABLE, 0, "memory: %zu publishes are not confirmed", m->held);
    return unlock(m, ok);
}

static struct source *find_source(struct memory *m, const char *name)
{
    for (struct source *s = m->sources; s != NULL; s = s->next)
        if (strcmp(s->name, name) == 0)
            return s;
    return NULL;
}

static bool consume_start(struct queue *q, const struct queue_source *from, const struct queue_wait *w,
                          struct pixl_error *err)
{
    struct memory *m = memory_of(q);
    (void)w;
    if (!m->connected)
        return fail_lost(err);
    struct source *s = find_source(m, from->name);
    if (s != NULL && s->active)
        return pixl_fail(err, PIXL_E_EXISTS, 0, "queue %s: is consumed already", from->name);
    lock(m);
    bool there = find_locked(m, from->name) != NULL;
    (void)unlock(m, true);
    if (!there)
        return pixl_fail(err, PIXL_E_NOT_FOUND, 0, "queue %s: there is none", from->name);
    if (s == NULL) {
        s = calloc(1, sizeof *s);
        if (s == NULL)
            return pixl_fail(err, PIXL_E_NOMEM, 0, "queue %s", from->name);
        (void)snprintf(s->name, sizeof s->name, "%s", from->name);
        (void)snprintf(s->label, sizeof s->label, "%s", from->label);
        s->next = m->sources;
        m->sources = s;
    }
    s->active = true;
    s->rank = from->rank;
    s->prefetch = from->prefetch;
    return true;
}

static bool consume_stop(struct queue *q, const char *name, const struct queue_wait *w, struct pixl_error *err)
{
    struct memory *m = memory_of(q);
    (void)w;
    if (!m->connected)
        return fail_lost(err);
    struct source *s = find_source(m, name);
    if (s != NULL)
        s->active = false;
    return true;
}

/* The message that is next for m: highest rank, then highest priority, then the oldest. */
static struct message *next_locked(struct memory *m, struct source **from)
{
    struct message *best = NULL;
    for (struct source *s = m->sources; s != NULL; s = s->next) {
        struct stored_queue *stored = find_locked(m, s->name);
        if (!s->active || s->in_flight >= s->prefetch || stored == NULL || (best && s->rank <= (*from)->rank))
            continue;
        for (struct message *x = stored->first; x != NULL; x = x->next)
            if (x->holder == NULL &&
                (best == NULL || *from != s || (stored->priorities && x->priority > best->priority))) {
                best = x;
                *from = s;
            }
    }
    return best;
}

static bool take(struct queue *q, const struct queue_wait *w, bool *got, struct queue_delivery *out,
                 struct pixl_error *err)
{
    struct memory *m = memory_of(q);
    if (!m->connected)
        return fail_lost(err);
    lock(m);
    struct source *from = NULL;
    struct message *x;
    bool late = false;
    while ((x = next_locked(m, &from)) == NULL && !late)
        if (!wait_locked(m, w, &late, err))
            return unlock(m, false);
    *got = x != NULL;
    if (x != NULL) {
        from->in_flight++;
        x->holder = m;
        x->tag = ++m->next_tag;
        *out = (struct queue_delivery){ .tag = x->tag,
                                        .body = phi_text((struct str){ x->body, x->n }),
                                        .queue = str_of(from->label),
                                        .priority = x->priority,
                                        .redelivered = x->redelivered,
                                        .reason = x->reason,
                                        .buried_us = x->buried_us };
    }
    return unlock(m, true);
}

/* Where the delivery is; NULL: it is not in flight here. */
static struct message **held_locked(struct memory *m, uint64_t tag, struct stored_queue **in)
{
    for (*in = m->broker->queues; *in != NULL; *in = (*in)->next)
        for (struct message **p = &(*in)->first; *p != NULL; p = &(*p)->next)
            if ((*p)->holder == m && (*p)->tag == tag)
                return p;
    return NULL;
}

static bool settle_locked(struct memory *m, uint64_t tag, enum queue_verdict v, const char *reason,
                          struct pixl_error *err)
{
    struct stored_queue *in;
    struct message **at = held_locked(m, tag, &in), *x = at ? *at : NULL;
    if (x == NULL)
        return pixl_fail(err, PIXL_E_STALE, 0, "queue: the delivery was settled, or is of an earlier connection");
    struct source *s = find_source(m, in->name);
    if (v == QUEUE_DEAD) {
        char name[sizeof in->name];
        (void)snprintf(name, sizeof name, "%s.dead", s->label);
        struct stored_queue *dead = find_or_make_locked(m, name, false);
        if (dead == NULL)
            return pixl_fail(err, PIXL_E_NOMEM, 0, "queue %s.dead", s->label);
        if (!store_locked(m, dead, (struct str){ x->body, x->n }, x->priority, reason, err))
            return false;
    }
    s->in_flight--;
    if (v == QUEUE_REQUEUE) {
        x->holder = NULL;
        x->redelivered = true;
        (void)pthread_cond_broadcast(&m->broker->change);
    } else {
        *at = x->next;
        free(x);
    }
    return true;
}

static bool settle(struct queue *q, uint64_t tag, enum queue_verdict v, const char *reason, const struct queue_wait *w,
                   struct pixl_error *err)
{
    struct memory *m = memory_of(q);
    (void)w;
    if (!m->connected)
        return fail_lost(err);
    lock(m);
    return unlock(m, settle_locked(m, tag, v, reason, err));
}

static bool pump(struct queue *q, const struct queue_wait *w, struct pixl_error *err)
{
    struct memory *m = memory_of(q);
    if (!m->connected)
        return fail_lost(err);
    lock(m);
    bool late = false, ok = true;
    while (ok && !late)
        ok = wait_locked(m, w, &late, err);
    return unlock(m, ok);
}

const struct queue_ops queue_memory = {
    .scheme = "memory",
    .caps = 0,
    .open = open_queue,
    .close = close_queue,
    .place = place,
    .is_connected = is_connected,
    .reconnect = reconnect,
    .declare = declare,
    .depth = depth,
    .purge = purge,
    .publish = publish,
    .confirmed = confirmed,
    .outstanding = outstanding,
    .flush = flush,
    .consume_start = consume_start,
    .consume_stop = consume_stop,
    .take = take,
    .settle = settle,
    .pump = pump,
};
