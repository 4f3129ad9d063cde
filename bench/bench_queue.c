/* bench_queue.c - study messages of 650 bytes over RabbitMQ, by pixl's queue and by a bare loop over rabbitmq-c, in turns.
 *   bench_queue PORT    a broker at 127.0.0.1, guest:guest; prints "WHAT OURS BARE", messages per second, best of ROUNDS
 * Published: persistent, mandatory, confirmed, no more than WINDOW open.  Consumed: prefetch 100, each acknowledged.
 * The bare loop does no more than it must: no deadline, no priority, no tags, no look at anything but the confirms. */
#include <amqp.h>
#include <amqp_tcp_socket.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "queue/queue.h"

enum { N = 20000, ROUNDS = 5, WINDOW = 1000, PREFETCH = 100, BODY = 650 };

static const char name[] = "bench";
static char body[BODY];

static _Noreturn void fail(const char *what)
{
    (void)fprintf(stderr, "bench_queue: %s\n", what);
    exit(1);
}

static void need(bool ok, const struct pixl_error *err)
{
    if (!ok)
        fail(err->msg);
}

/* --- ours */

static unsigned confirmed_of(struct queue *q)
{
    struct queue_result r;
    unsigned n = 0;
    for (; queue_confirmed(q, &r); n++)
        if (r.fate != QUEUE_CONFIRMED)
            fail("not confirmed");
    return n;
}

static void publish(struct queue *q)
{
    struct pixl_error err = { 0 };
    const struct queue_wait w = queue_wait_ms(120000, NULL);
    unsigned n = 0;
    for (uint64_t i = 0; i < N; i++) {
        const struct queue_message m = { name, phi_text((struct str){ body, sizeof body }), 1, i };
        need(queue_publish(q, &m, &w, &err), &err);
        n += confirmed_of(q);
    }
    need(queue_flush(q, &w, &err), &err);
    if (n + confirmed_of(q) != N)
        fail("a confirm is missing");
}

static void consume(struct queue *q)
{
    struct pixl_error err = { 0 };
    const struct queue_wait w = queue_wait_ms(120000, NULL);
    need(queue_consume_start(q, name, PREFETCH, &w, &err), &err);
    for (int i = 0; i < N; i++) {
        struct queue_delivery d;
        bool got;
        need(queue_take(q, &w, &got, &d, &err), &err);
        if (!got || phi_reveal(d.body).n != BODY)
            fail("a delivery is missing");
        need(queue_settle(q, d.tag, QUEUE_ACK, NULL, &w, &err), &err);
    }
    need(queue_consume_stop(q, name, &w, &err), &err);
}

/* --- bare */

static void must(amqp_rpc_reply_t r)
{
    if (r.reply_type != AMQP_RESPONSE_NORMAL)
        fail("a bare call failed");
}

static amqp_connection_state_t bare_open(int port)
{
    amqp_connection_state_t c = amqp_new_connection();
    if (amqp_socket_open(amqp_tcp_socket_new(c), "127.0.0.1", port) != AMQP_STATUS_OK)
        fail("no broker");
    must(amqp_login(c, "/", 0, 131072, 30, AMQP_SASL_METHOD_PLAIN, "guest", "guest"));
    (void)amqp_channel_open(c, 1);
    must(amqp_get_rpc_reply(c));
    (void)amqp_confirm_select(c, 1);
    must(amqp_get_rpc_reply(c));
    return c;
}

/* Reads a confirm; how many publishes it ends.  open[seq]: whether that one is open. */
static int bare_confirm(amqp_connection_state_t c, bool *open, uint64_t *oldest)
{
    amqp_frame_t f;
    int n = 0;
    if (amqp_simple_wait_frame(c, &f) != AMQP_STATUS_OK || f.payload.method.id != AMQP_BASIC_ACK_METHOD)
        fail("no confirm");
    const amqp_basic_ack_t *ack = f.payload.method.decoded;
    for (uint64_t s = ack->multiple ? *oldest : ack->delivery_tag; s <= ack->delivery_tag; s++) {
        n += open[s];
        open[s] = false;
    }
    while (*oldest <= ack->delivery_tag && !open[*oldest])
        ++*oldest;
    amqp_maybe_release_buffers(c);
    return n;
}

static void bare_publish(amqp_connection_state_t c)
{
    static bool open[N + 1];
    const amqp_basic_properties_t p = { ._flags = AMQP_BASIC_DELIVERY_MODE_FLAG, .delivery_mode = 2 };
    uint64_t oldest = 1;
    int in_flight = 0;
    for (uint64_t i = 1; i <= N; i++) {
        if (amqp_basic_publish(c, 1, amqp_empty_bytes, amqp_cstring_bytes(name), 1, 0, &p, (amqp_bytes_t){ BODY, body }) !=
            AMQP_STATUS_OK)
            fail("bare publish");
        open[i] = true;
        in_flight++;
        while (in_flight >= WINDOW)
            in_flight -= bare_confirm(c, open, &oldest);
    }
    while (in_flight > 0)
        in_flight -= bare_confirm(c, open, &oldest);
}

static void bare_consume(amqp_connection_state_t c)
{
    (void)amqp_basic_qos(c, 1, 0, PREFETCH, 0);
    (void)amqp_basic_consume(c, 1, amqp_cstring_bytes(name), amqp_cstring_bytes("bare"), 0, 0, 0, amqp_empty_table);
    must(amqp_get_rpc_reply(c));
    for (int i = 0; i < N; i++) {
        amqp_envelope_t e;
        amqp_maybe_release_buffers(c);
        must(amqp_consume_message(c, &e, NULL, 0));
        if (e.message.body.len != BODY || amqp_basic_ack(c, 1, e.delivery_tag, 0) != AMQP_STATUS_OK)
            fail("bare consume");
        amqp_destroy_envelope(&e);
    }
    (void)amqp_basic_cancel(c, 1, amqp_cstring_bytes("bare"));
}

/* Messages per second since began_us; keeps the best. */
static void score(double *best, int64_t began_us)
{
    double rate = N / ((double)(clock_mono_us() - began_us) / 1e6);
    *best = rate > *best ? rate : *best;
}

int main(int argc, char **argv)
{
    struct pixl_error err = { 0 };
    char url[64];
    uint64_t port, purged;
    if (argc != 2 || !str_to_u64(str_of(argv[1]), &port) || port > 65535)
        fail("usage: bench_queue PORT");
    memset(body, '{', sizeof body);
    (void)snprintf(url, sizeof url, "amqp://127.0.0.1:%d", (int)port);
    const struct queue_wait w = queue_wait_ms(600000, NULL);
    queue_auto *q = NULL;
    need(queue_open(str_of(url), &(struct queue_options){ .window = WINDOW }, &w, &q, &err), &err);
    need(queue_declare(q, name, &w, &err) && queue_purge(q, name, &w, &purged, &err), &err);
    double put = 0, bare_put = 0, got = 0, bare_got = 0;
    for (int i = 0; i < ROUNDS; i++) {
        int64_t began = clock_mono_us();
        publish(q);
        score(&put, began);
        began = clock_mono_us();
        consume(q);
        score(&got, began);
        amqp_connection_state_t c = bare_open((int)port);
        began = clock_mono_us();
        bare_publish(c);
        score(&bare_put, began);
        began = clock_mono_us();
        bare_consume(c);
        score(&bare_got, began);
        (void)amqp_connection_close(c, AMQP_REPLY_SUCCESS);
        (void)amqp_destroy_connection(c);
    }
    printf("published,_confirmed %.0f %.0f\n", put, bare_put);
    printf("taken_and_settled %.0f %.0f\n", got, bare_got);
    return 0;
}
