/* amqp.c - RabbitMQ as a queue: the vtable, and the questions to the broker about its queues. */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "amqp_internal.h"

struct amqp *amqp_of(struct queue *q)
{
    assert(q->ops == &queue_amqp || q->ops == &queue_amqps);
    return (struct amqp *)q;
}

const struct amqp *amqp_of_const(const struct queue *q)
{
    assert(q->ops == &queue_amqp || q->ops == &queue_amqps);
    return (const struct amqp *)q;
}

static void close_queue(struct queue *q)
{
    struct amqp *a = amqp_of(q);
    amqp_disconnect(a);
    amqp_consume_done(a);
    amqp_publish_done(a);
    amqp_url_done(&a->url);
    free(a);
}

static bool check_url(struct str url, struct pixl_error *err)
{
    struct amqp_url u = { .port = 0 };
    bool ok = amqp_url_parse(url, &u, err);
    amqp_url_done(&u);
    return ok;
}

static bool open_queue(struct str url, const struct queue_options *o, const struct queue_wait *w, struct queue **out,
                       struct pixl_error *err)
{
    struct amqp *a = calloc(1, sizeof *a);
    if (a == NULL)
        return pixl_fail(err, PIXL_E_NOMEM, 0, "queue");
    a->base.ops = &queue_amqp;
    a->window = o->window;
    if (!amqp_url_parse(url, &a->url, err) || !amqp_publish_init(a, err))
        goto failed;
    a->base.ops = a->url.tls ? &queue_amqps : &queue_amqp;
    bool is_ipv6 = strchr(a->url.host, ':') != NULL;
    (void)snprintf(a->place, sizeof a->place, "%s %s%s%s:%u vhost %s", a->base.ops->scheme, is_ipv6 ? "[" : "",
                   a->url.host, is_ipv6 ? "]" : "", a->url.port, a->url.vhost);
    if (!amqp_connect(a, w, err))
        goto failed;
    *out = &a->base;
    return true;
failed:
    close_queue(&a->base);
    return false;
}

static const char *place(const struct queue *q)
{
    return amqp_of_const(q)->place;
}

static bool is_connected(const struct queue *q)
{
    return amqp_of_const(q)->conn != NULL;
}

static bool reconnect(struct queue *q, const struct queue_wait *w, struct pixl_error *err)
{
    struct amqp *a = amqp_of(q);
    amqp_disconnect(a);
    amqp_consume_reset(a);
    amqp_publish_reset(a);
    return amqp_connect(a, w, err);
}

/* A refused question as an error, by code. */
static bool refused(const char *name, unsigned code, struct pixl_error *err)
{
    static const struct {
        unsigned reply;
        enum pixl_code code;
        const char *text;
    } rows[] = {
        { AMQP_NOT_FOUND, PIXL_E_NOT_FOUND, "404 NOT_FOUND" },
        { AMQP_ACCESS_REFUSED, PIXL_E_DENIED, "403 ACCESS_REFUSED" },
        { AMQP_RESOURCE_LOCKED, PIXL_E_BUSY, "405 RESOURCE_LOCKED" },
        { AMQP_PRECONDITION_FAILED, PIXL_E_EXISTS, "406 PRECONDITION_FAILED" },
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        if (rows[i].reply == code)
            return pixl_fail(err, rows[i].code, (int)code, "queue %s: %s", name, rows[i].text);
    return pixl_fail(err, PIXL_E_UNAVAILABLE, (int)code, "queue %s: refused with %u", name, code);
}

/* A question on CHANNEL_ASK, which is opened when a refusal has closed it. */
static bool ask(struct amqp *a, const char *name, amqp_method_number_t method, void *decoded, amqp_method_number_t want,
                const struct queue_wait *w, struct pixl_error *err)
{
    amqp_channel_open_t open = { 0 };
    if (a->conn == NULL)
        return amqp_fail_lost(a, err);
    if (!a->can_ask && !amqp_ask(a, CHANNEL_ASK, AMQP_CHANNEL_OPEN_METHOD, &open, AMQP_CHANNEL_OPEN_OK_METHOD, w, err))
        return false;
    a->can_ask = true;
    if (!amqp_ask(a, CHANNEL_ASK, method, decoded, want, w, err))
        return false;
    return a->question.refused == 0 || refused(name, a->question.refused, err);
}

bool amqp_look(struct amqp *a, const char *name, const struct queue_wait *w, uint64_t *ready, struct pixl_error *err)
{
    amqp_queue_declare_t m = { .queue = amqp_text(name), .passive = 1 };
    if (!ask(a, name, AMQP_QUEUE_DECLARE_METHOD, &m, AMQP_QUEUE_DECLARE_OK_METHOD, w, err))
        return false;
    *ready = a->question.count;
    return true;
}

bool amqp_declare(struct queue *q, const char *name, bool priorities, const struct queue_wait *w,
                  struct pixl_error *err)
{
    struct amqp *a = amqp_of(q);
    uint64_t ready;
    if (amqp_look(a, name, w, &ready, err))
        return true;
    if (err->code != PIXL_E_NOT_FOUND)
        return false;
    pixl_error_clear(err);
    amqp_table_entry_t most = { amqp_text("x-max-priority"), { AMQP_FIELD_KIND_I32, { .i32 = QUEUE_PRIORITY_MAX } } };
    amqp_queue_declare_t m = { .queue = amqp_text(name), .durable = 1, .arguments = { priorities ? 1 : 0, &most } };
    if (ask(a, name, AMQP_QUEUE_DECLARE_METHOD, &m, AMQP_QUEUE_DECLARE_OK_METHOD, w, err))
        return true;
    if (err->code != PIXL_E_EXISTS)
        return false;
    pixl_error_clear(err); /* somebody was faster, with other arguments */
    return amqp_look(a, name, w, &ready, err);
}

static bool depth(struct queue *q, const char *name, const struct queue_wait *w, uint64_t *ready,
                  struct pixl_error *err)
{
    return amqp_look(amqp_of(q), name, w, ready, err);
}

static bool purge(struct queue *q, const char *name, const struct queue_wait *w, uint64_t *purged,
                  struct pixl_error *err)
{
    struct amqp *a = amqp_of(q);
    amqp_queue_purge_t m = { .queue = amqp_text(name) };
    if (!ask(a, name, AMQP_QUEUE_PURGE_METHOD, &m, AMQP_QUEUE_PURGE_OK_METHOD, w, err))
        return false;
    *purged = a->question.count;
    return true;
}

static bool never(const struct amqp *a, const void *arg)
{
    (void)a;
    (void)arg;
    return false;
}

static bool pump(struct queue *q, const struct queue_wait *w, struct pixl_error *err)
{
    bool in_time;
    return amqp_wait(amqp_of(q), never, NULL, w, &in_time, err);
}

/* The two differ in their name only: whether there is TLS is in the URL. */
#define AMQP_OPS                                                                                                      \
    .caps = QUEUE_CAP_DURABLE, .check_url = check_url, .open = open_queue, .close = close_queue, .place = place,      \
    .is_connected = is_connected, .reconnect = reconnect, .declare = amqp_declare, .depth = depth, .purge = purge,    \
    .publish = amqp_publish, .confirmed = amqp_confirmed, .outstanding = amqp_outstanding, .flush = amqp_flush,       \
    .consume_start = amqp_consume_start, .consume_stop = amqp_consume_stop, .take = amqp_take, .settle = amqp_settle, \
    .pump = pump
const struct queue_ops queue_amqp = { .scheme = "amqp", AMQP_OPS };
const struct queue_ops queue_amqps = { .scheme = "amqps", AMQP_OPS };
