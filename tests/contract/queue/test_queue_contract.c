/* What every queue promises, over memory:, amqp: and amqps:.  The two of RabbitMQ go through a cable that can be cut.
 * */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "queue_rig.h"
#include "rabbit.h"
#include "tcp_proxy.h"

struct rig {
    const char *scheme;
    bool has_broker, tls;
};
static const struct rig memory = { "memory", false, false }, amqp = { "amqp", true, false }, amqps = { "amqps", true, true };

static struct tcp_proxy *cable;

static struct queue *open_rig(const struct rig *r, const struct queue_options *o)
{
    struct queue *q = NULL;
    if (r->has_broker && cable == NULL)
        cable = tcp_proxy_start("127.0.0.1", r->tls ? rabbit.tls_port : rabbit.port);
    const char *url = !r->has_broker ? "memory:"
                      : r->tls       ? rabbit_tls_url("localhost", tcp_proxy_port(cable), "ca.pem", "")
                                     : rabbit_url("127.0.0.1", tcp_proxy_port(cable), "");
    REQUIRE_OK(queue_open(str_of(url), o, soon(), &q, &err), err);
    return q;
}

/* Another queue on the same broker. */
static struct queue *open_again(const struct rig *r, struct queue *q)
{
    struct queue *other = NULL;
    if (r->has_broker)
        return open_rig(r, NULL);
    REQUIRE_OK(queue_memory_share(q, &other, &err), err);
    return other;
}

/* A name that no other test uses. */
static const char *name_of(const struct rig *r, const char *what)
{
    static char ring[4][64];
    static unsigned next;
    char *name = ring[next++ % ARRAY_LEN(ring)];
    (void)snprintf(name, sizeof ring[0], "%s-%s-%ld", r->scheme, what, (long)getpid());
    return name;
}

static const char *declared(struct queue *q, const struct rig *r, const char *what)
{
    const char *name = name_of(r, what);
    REQUIRE_OK(queue_declare(q, name, soon(), &err), err);
    return name;
}

static void contract_publishes_are_confirmed_by_tag(const struct rig *r)
{
    enum { N = 500 };
    queue_auto *q = open_rig(r, NULL);
    const char *name = declared(q, r, "confirm");
    bool seen[N] = { false };
    for (uint64_t i = 0; i < N; i++)
        REQUIRE_OK(put(q, name, "{}", (unsigned)(i % 5) + 1, i * 1000003, soon()), err);
    REQUIRE_OK(queue_flush(q, soon(), &err), err);
    CHECK_INT(queue_outstanding(q), 0);
    struct queue_result result;
    for (int i = 0; i < N; i++) {
        REQUIRE(queue_confirmed(q, &result) && result.tag % 1000003 == 0 && result.tag / 1000003 < N);
        CHECK(result.fate == QUEUE_CONFIRMED && !seen[result.tag / 1000003]);
        seen[result.tag / 1000003] = true;
    }
    CHECK(!queue_confirmed(q, &result));
    check_depth(q, name, N);
    uint64_t purged = 0;
    CHECK_OK(queue_purge(q, name, soon(), &purged, &err), err);
    CHECK_INT(purged, N);
    check_depth(q, name, 0);
}

static void contract_a_window_holds_results_that_nobody_took(const struct rig *r)
{
    queue_auto *q = open_rig(r, &(struct queue_options){ .window = 3 });
    const char *name = declared(q, r, "window");
    struct queue_result result;
    for (uint64_t i = 0; i < 6; i++)
        REQUIRE_OK(put(q, name, "{}", 1, i, soon()), err);
    CHECK_FAILS(put(q, name, "{}", 1, 6, soon()), err, PIXL_E_LIMIT);
    REQUIRE(queue_confirmed(q, &result));
    CHECK_OK(put(q, name, "{}", 1, 6, soon()), err);
    CHECK_FAILS(put(q, name, "{}", 1, 7, soon()), err, PIXL_E_LIMIT);
    CHECK_OK(queue_flush(q, soon(), &err), err);
    uint64_t tags = 1u << result.tag;
    while (queue_confirmed(q, &result))
        tags |= 1u << result.tag;
    CHECK_INT(tags, 127);
    check_depth(q, name, 7);
    for (uint64_t i = 0; i < 100; i++) {
        REQUIRE_OK(put(q, name, "{}", 1, i, soon()), err);
        while (queue_confirmed(q, &result)) {
        }
    }
}

static void contract_what_no_queue_takes_is_returned(const struct rig *r)
{
    queue_auto *q = open_rig(r, NULL);
    const char *there = declared(q, r, "there"), *absent = name_of(r, "absent");
    for (uint64_t i = 0; i < 50; i++)
        REQUIRE_OK(put(q, i % 3 ? there : absent, "{}", 1, i, soon()), err);
    REQUIRE_OK(queue_flush(q, soon(), &err), err);
    struct queue_result result;
    int n = 0;
    for (; queue_confirmed(q, &result); n++)
        CHECK(result.fate == (result.tag % 3 ? QUEUE_CONFIRMED : QUEUE_RETURNED));
    CHECK_INT(n, 50);
    check_depth(q, there, 33);
}

static void contract_deliveries_come_in_order_and_end_with_ack(const struct rig *r)
{
    queue_auto *q = open_rig(r, NULL), *other = open_again(r, q);
    const char *name = declared(q, r, "ack");
    fill(q, name, 20);
    REQUIRE_OK(queue_consume_start(other, name, 5, soon(), &err), err);
    for (int i = 0; i < 20; i++) {
        char want[16];
        (void)snprintf(want, sizeof want, "%d", i);
        struct queue_delivery d = take_one(other);
        CHECK_STR(phi_reveal(d.body), want);
        CHECK_STR(d.queue, name);
        CHECK(d.priority == 1 && !d.redelivered && !d.cut);
        settle(other, d, QUEUE_ACK);
        CHECK_FAILS(queue_settle(other, d.tag, QUEUE_ACK, NULL, soon(), &err), err, PIXL_E_STALE);
    }
    CHECK(nothing_comes(other, 50));
    queue_close(PIXL_STEAL(&other));
    check_depth(q, name, 0);
}

static void contract_a_requeued_message_comes_again(const struct rig *r)
{
    queue_auto *q = open_rig(r, NULL);
    const char *name = declared(q, r, "requeue");
    fill(q, name, 2);
    REQUIRE_OK(queue_consume_start(q, name, 1, soon(), &err), err);
    struct queue_delivery first = take_one(q);
    settle(q, first, QUEUE_REQUEUE);
    struct queue_delivery again = take_one(q);
    CHECK_STR(phi_reveal(again.body), "0");
    CHECK(again.redelivered && again.tag != first.tag);
    settle(q, again, QUEUE_ACK);
    struct queue_delivery last = take_one(q);
    CHECK_STR(phi_reveal(last.body), "1");
    CHECK(!last.redelivered);
    settle(q, last, QUEUE_ACK);
}

static void contract_a_dead_letter_has_a_queue_of_its_own(const struct rig *r)
{
    queue_auto *q = open_rig(r, NULL);
    const char *name = declared(q, r, "letter");
    char dead[128];
    (void)snprintf(dead, sizeof dead, "%s.dead", name);
    fill(q, name, 3);
    uint64_t n = 77;
    CHECK_FAILS(queue_depth(q, dead, soon(), &n, &err), err, PIXL_E_NOT_FOUND);
    CHECK_INT(n, 77);
    REQUIRE_OK(queue_consume_start(q, name, 10, soon(), &err), err);
    for (int i = 0; i < 3; i++)
        settle(q, take_one(q), i == 1 ? QUEUE_ACK : QUEUE_DEAD);
    CHECK(nothing_comes(q, 50));
    check_depth(q, dead, 2);
    REQUIRE_OK(queue_consume_start(q, dead, 10, soon(), &err), err);
    struct queue_delivery d = take_one(q);
    CHECK_STR(phi_reveal(d.body), "0");
    CHECK_STR(d.queue, dead);
    settle(q, d, QUEUE_ACK);
    settle(q, take_one(q), QUEUE_ACK);
    struct queue_result result;
    CHECK(!queue_confirmed(q, &result));         /* dead letters are nobody's publishes */
}

static void take_by_priority(struct queue *q, const char *name)
{
    unsigned last = QUEUE_PRIORITY_MAX;
    for (int i = 0; i < 50; i++) {
        struct queue_delivery d = take_one(q);
        CHECK(d.priority <= last);
        last = d.priority;
        CHECK_STR(d.queue, name);
        settle(q, d, i % 10 == 9 ? QUEUE_DEAD : QUEUE_ACK);
    }
    CHECK_INT(last, 1);
}

static void contract_the_highest_priority_comes_first(const struct rig *r)
{
    queue_auto *q = open_rig(r, NULL);
    const char *name = declared(q, r, "priority");
    for (uint64_t i = 0; i < 50; i++)
        REQUIRE_OK(put(q, name, "{}", (unsigned)(i * 7 % 5) + 1, i, soon()), err);
    REQUIRE_OK(queue_flush(q, soon(), &err), err);
    REQUIRE_OK(queue_consume_start(q, name, 1, soon(), &err), err);
    take_by_priority(q, name);
}

static void contract_a_queue_per_priority_is_one_to_the_caller(const struct rig *r)
{
    queue_auto *q = open_rig(r, &(struct queue_options){ .queue_per_priority = true }), *plain = NULL;
    const char *name = declared(q, r, "five");
    char dead[128], fifth[128];
    (void)snprintf(dead, sizeof dead, "%s.dead", name);
    (void)snprintf(fifth, sizeof fifth, "%s.p5", name);
    for (uint64_t i = 0; i < 50; i++)
        REQUIRE_OK(put(q, name, "{}", (unsigned)(i * 7 % 5) + 1, i, soon()), err);
    REQUIRE_OK(queue_flush(q, soon(), &err), err);
    check_depth(q, name, 50);
    REQUIRE_OK(queue_consume_start(q, name, 20, soon(), &err), err);
    CHECK_FAILS(queue_consume_start(q, name, 20, soon(), &err), err, PIXL_E_EXISTS);
    if (r->has_broker)                   /* all that there is must be here before the first is taken */
        REQUIRE_OK(queue_pump(q, in_ms(1000), &err), err);
    take_by_priority(q, name);
    if (r->has_broker) {
        plain = open_rig(r, NULL);
        check_depth(plain, fifth, 0);
        check_depth(plain, dead, 5);
    }
    for (uint64_t i = 0; i < 5; i++)
        REQUIRE_OK(put(q, name, "{}", (unsigned)i + 1, i, soon()), err);
    struct queue_delivery d = take_one(q);
    CHECK_OK(queue_consume_stop(q, name, soon(), &err), err);
    settle(q, d, QUEUE_REQUEUE);
    check_depth(q, name, 5);
    uint64_t purged;
    CHECK_OK(queue_purge(q, name, soon(), &purged, &err), err);
    CHECK_INT(purged, 5);
}

static void contract_no_more_than_the_prefetch_is_in_flight(const struct rig *r)
{
    queue_auto *q = open_rig(r, NULL);
    const char *name = declared(q, r, "prefetch");
    fill(q, name, 5);
    REQUIRE_OK(queue_consume_start(q, name, 2, soon(), &err), err);
    struct queue_delivery a = take_one(q), b = take_one(q);
    CHECK(nothing_comes(q, 300));
    settle(q, b, QUEUE_ACK);             /* in any order */
    struct queue_delivery c = take_one(q);
    CHECK_STR(phi_reveal(c.body), "2");
    CHECK_STR(phi_reveal(a.body), "0");  /* still borrowed */
    CHECK(nothing_comes(q, 100));
    settle(q, a, QUEUE_ACK);
    settle(q, c, QUEUE_ACK);
}

static void contract_stopping_gives_back_what_was_not_taken(const struct rig *r)
{
    queue_auto *q = open_rig(r, NULL);
    const char *name = declared(q, r, "stop");
    fill(q, name, 10);
    CHECK_OK(queue_consume_stop(q, name, soon(), &err), err);    /* nothing to do */
    REQUIRE_OK(queue_consume_start(q, name, 6, soon(), &err), err);
    struct queue_delivery a = take_one(q), b = take_one(q);
    CHECK_OK(queue_pump(q, in_ms(200), &err), err);
    CHECK_OK(queue_consume_stop(q, name, soon(), &err), err);
    check_depth(q, name, 8);
    CHECK(nothing_comes(q, 100));
    settle(q, a, QUEUE_ACK);
    settle(q, b, QUEUE_REQUEUE);
    check_depth(q, name, 9);
    REQUIRE_OK(queue_consume_start(q, name, 6, soon(), &err), err);
    for (int i = 1; i < 10; i++) {
        char want[16];
        (void)snprintf(want, sizeof want, "%d", i);
        struct queue_delivery d = take_one(q);
        CHECK_STR(phi_reveal(d.body), want);     /* in their old places */
        settle(q, d, QUEUE_ACK);
    }
}

static void contract_a_lost_connection_loses_no_message(const struct rig *r)
{
    queue_auto *q = open_rig(r, NULL);
    const char *name = declared(q, r, "cut");
    fill(q, name, 6);
    REQUIRE_OK(queue_consume_start(q, name, 3, soon(), &err), err);
    struct queue_delivery done = take_one(q), held = take_one(q);
    settle(q, done, QUEUE_ACK);
    REQUIRE_OK(queue_pump(q, in_ms(300), &err), err);
    if (r->has_broker)
        tcp_proxy_cut(cable);
    else
        queue_memory_cut(q);
    uint64_t n = 77;
    bool got = true;
    struct queue_delivery d = { .tag = 77 };
    CHECK_FAILS(queue_take(q, soon(), &got, &d, &err) && queue_take(q, soon(), &got, &d, &err) &&
                queue_take(q, soon(), &got, &d, &err), err, PIXL_E_UNAVAILABLE);
    CHECK(!queue_is_connected(q));
    CHECK_FAILS(queue_depth(q, name, soon(), &n, &err), err, PIXL_E_UNAVAILABLE);
    CHECK_FAILS(queue_purge(q, name, soon(), &n, &err), err, PIXL_E_UNAVAILABLE);
    CHECK_FAILS(queue_declare(q, name, soon(), &err), err, PIXL_E_UNAVAILABLE);
    CHECK_FAILS(put(q, name, "{}", 1, 1, soon()), err, PIXL_E_UNAVAILABLE);
    CHECK_FAILS(queue_flush(q, soon(), &err), err, PIXL_E_UNAVAILABLE);
    CHECK_FAILS(queue_pump(q, soon(), &err), err, PIXL_E_UNAVAILABLE);
    CHECK_FAILS(queue_consume_start(q, name, 1, soon(), &err), err, PIXL_E_UNAVAILABLE);
    CHECK_FAILS(queue_consume_stop(q, name, soon(), &err), err, PIXL_E_UNAVAILABLE);
    CHECK_FAILS(queue_settle(q, held.tag, QUEUE_ACK, NULL, soon(), &err), err, PIXL_E_UNAVAILABLE);
    CHECK_STR(phi_reveal(held.body), "1");
    CHECK_INT(n, 77);
    REQUIRE_OK(queue_reconnect(q, soon(), &err), err);
    CHECK(queue_is_connected(q));
    CHECK_FAILS(queue_settle(q, held.tag, QUEUE_ACK, NULL, soon(), &err), err, PIXL_E_STALE);
    check_depth(q, name, 5);
    REQUIRE_OK(queue_consume_start(q, name, 3, soon(), &err), err);
    d = take_one(q);
    CHECK(d.redelivered && d.tag != held.tag);
    CHECK_STR(phi_reveal(d.body), "1");
    settle(q, d, QUEUE_ACK);
}

static void contract_open_publishes_are_unconfirmed_when_the_connection_is_lost(const struct rig *r)
{
    queue_auto *q = open_rig(r, NULL);
    const char *name = declared(q, r, "open");
    if (r->has_broker)
        tcp_proxy_stall(cable, 1);
    else
        queue_memory_hold(q, true);
    for (uint64_t i = 0; i < 20; i++)
        REQUIRE_OK(put(q, name, "{}", 1, i, soon()), err);
    struct queue_result result;
    CHECK(!queue_confirmed(q, &result));
    CHECK_INT(queue_outstanding(q), 20);
    CHECK_FAILS(queue_flush(q, in_ms(200), &err), err, PIXL_E_UNAVAILABLE);
    CHECK(queue_is_connected(q));
    CHECK_INT(queue_outstanding(q), 20);
    if (r->has_broker) {
        tcp_proxy_cut(cable);
        tcp_proxy_stall(cable, 0);
    } else {
        queue_memory_cut(q);
    }
    CHECK_FAILS(queue_flush(q, soon(), &err), err, PIXL_E_UNAVAILABLE);
    CHECK_INT(queue_outstanding(q), 0);
    REQUIRE_OK(queue_reconnect(q, soon(), &err), err);
    REQUIRE_OK(put(q, name, "{}", 1, 100, soon()), err);
    REQUIRE_OK(queue_flush(q, soon(), &err), err);
    unsigned unconfirmed = 0;
    uint64_t last = 0;
    while (queue_confirmed(q, &result)) {
        unconfirmed += result.fate == QUEUE_UNCONFIRMED && result.tag < 20;
        last = result.tag;
    }
    CHECK_INT(unconfirmed, 20);
    CHECK_INT(last, 100);
}

static void contract_names_that_are_not_there(const struct rig *r)
{
    queue_auto *q = open_rig(r, NULL);
    const char *name = declared(q, r, "known"), *absent = name_of(r, "unknown");
    uint64_t n = 77;
    CHECK_OK(queue_declare(q, name, soon(), &err), err);
    CHECK_FAILS(queue_depth(q, absent, soon(), &n, &err), err, PIXL_E_NOT_FOUND);
    CHECK_FAILS(queue_purge(q, absent, soon(), &n, &err), err, PIXL_E_NOT_FOUND);
    CHECK_FAILS(queue_consume_start(q, absent, 1, soon(), &err), err, PIXL_E_NOT_FOUND);
    CHECK_INT(n, 77);
    REQUIRE_OK(queue_consume_start(q, name, 1, soon(), &err), err);
    CHECK_FAILS(queue_consume_start(q, name, 1, soon(), &err), err, PIXL_E_EXISTS);
    CHECK_OK(queue_depth(q, name, soon(), &n, &err), err);
    CHECK_INT(n, 0);
    CHECK(queue_is_connected(q));
}

static atomic_bool cancel;

static void *cancel_soon(void *arg)
{
    (void)arg;
    (void)usleep(200000);
    atomic_store(&cancel, true);
    return NULL;
}

static void contract_waits_end_at_the_deadline_and_by_cancelling(const struct rig *r)
{
    queue_auto *q = open_rig(r, NULL);
    const char *name = declared(q, r, "wait");
    REQUIRE_OK(queue_consume_start(q, name, 1, soon(), &err), err);
    int64_t began = clock_mono_us();
    CHECK(nothing_comes(q, -1) && nothing_comes(q, 0) && nothing_comes(q, 300));
    CHECK_OK(queue_pump(q, in_ms(300), &err), err);
    int64_t took_us = clock_mono_us() - began;
    CHECK(took_us >= 600000 && took_us < 5000000);
    pthread_t thread;
    bool got = true;
    struct queue_delivery d = { .tag = 77 };
    REQUIRE(pthread_create(&thread, NULL, cancel_soon, NULL) == 0);
    const struct queue_wait w = queue_wait_ms(60000, &cancel);
    began = clock_mono_us();
    CHECK_FAILS(queue_take(q, &w, &got, &d, &err), err, PIXL_E_CANCELLED);
    CHECK(clock_mono_us() - began < 5000000 && got && d.tag == 77);
    (void)pthread_join(thread, NULL);
    CHECK_FAILS(queue_pump(q, &w, &err), err, PIXL_E_CANCELLED);
    CHECK(queue_is_connected(q));
    struct queue *other = NULL;
    CHECK_FAILS(queue_open(str_of(r->has_broker ? rabbit_url("127.0.0.1", rabbit.port, "") : "memory:"), NULL, &w, &other, &err),
                err, PIXL_E_CANCELLED);
    CHECK(other == NULL);
    REQUIRE_OK(put(q, name, "{}", 1, 1, soon()), err);
    settle(q, take_one(q), QUEUE_ACK);
}

static void contract_wrong_arguments_are_refused(const struct rig *r)
{
    queue_auto *q = open_rig(r, NULL);
    char long_name[QUEUE_NAME_MAX + 2], *long_body = calloc(1, QUEUE_BODY_MAX + 2);
    memset(long_name, 'n', sizeof long_name - 1);
    long_name[sizeof long_name - 1] = '\0';
    memset(long_body, 'b', QUEUE_BODY_MAX + 1);
    const char *names[] = { "", long_name, "a\nb", "\xff" };
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        test_row("name %zu", i);
        uint64_t n;
        CHECK_FAILS(queue_declare(q, names[i], soon(), &err), err, PIXL_E_INVALID);
        CHECK_FAILS(queue_depth(q, names[i], soon(), &n, &err), err, PIXL_E_INVALID);
        CHECK_FAILS(put(q, names[i], "{}", 1, 1, soon()), err, PIXL_E_INVALID);
        CHECK_FAILS(queue_consume_start(q, names[i], 1, soon(), &err), err, PIXL_E_INVALID);
        CHECK_FAILS(queue_consume_stop(q, names[i], soon(), &err), err, PIXL_E_INVALID);
    }
    test_row("arguments");
    const char *name = declared(q, r, "arguments");
    CHECK_FAILS(put(q, name, "", 1, 1, soon()), err, PIXL_E_INVALID);
    CHECK_FAILS(put(q, name, long_body, 1, 1, soon()), err, PIXL_E_INVALID);
    CHECK_FAILS(put(q, name, "{}", 0, 1, soon()), err, PIXL_E_INVALID);
    CHECK_FAILS(put(q, name, "{}", 6, 1, soon()), err, PIXL_E_INVALID);
    CHECK_FAILS(queue_consume_start(q, name, 0, soon(), &err), err, PIXL_E_INVALID);
    CHECK_FAILS(queue_consume_start(q, name, QUEUE_PREFETCH_MAX + 1, soon(), &err), err, PIXL_E_INVALID);
    CHECK_FAILS(queue_settle(q, 1, QUEUE_DEAD, NULL, soon(), &err), err, PIXL_E_INVALID);
    CHECK_FAILS(queue_settle(q, 1, QUEUE_DEAD, "No Patient", soon(), &err), err, PIXL_E_INVALID);
    CHECK_FAILS(queue_settle(q, 1, QUEUE_ACK, "why", soon(), &err), err, PIXL_E_INVALID);
    CHECK_FAILS(queue_settle(q, 1, QUEUE_ACK, NULL, soon(), &err), err, PIXL_E_STALE);
    long_body[QUEUE_BODY_MAX] = '\0';
    CHECK_OK(put(q, name, long_body, 1, 1, soon()), err);
    REQUIRE_OK(queue_consume_start(q, name, 1, soon(), &err), err);
    struct queue_delivery d = take_one(q);
    CHECK(str_eq(phi_reveal(d.body), str_of(long_body)) && !d.cut);
    settle(q, d, QUEUE_ACK);
    free(long_body);
}

static void contract_two_consumers_share_and_one_that_goes_gives_back(const struct rig *r)
{
    queue_auto *q = open_rig(r, NULL);
    struct queue *other = open_again(r, q);
    const char *name = declared(q, r, "share");
    CHECK(!r->has_broker == !(queue_caps(q) & QUEUE_CAP_DURABLE));
    CHECK(strstr(queue_place(q), "guest") == NULL && str_is_prefix(str_of(queue_place(q)), str_of(r->scheme)));
    fill(q, name, 40);
    REQUIRE_OK(queue_consume_start(q, name, 1, soon(), &err), err);
    REQUIRE_OK(queue_consume_start(other, name, 1, soon(), &err), err);
    unsigned times[40] = { 0 };
    for (int i = 0; i < 20; i++) {
        struct queue *of[] = { q, other };
        for (int k = 0; k < 2; k++) {
            if (k == 1 && other == NULL)
                continue;
            struct queue_delivery d = take_one(of[k]);
            uint64_t number = 99;
            REQUIRE(str_to_u64(phi_reveal(d.body), &number) && number < 40);
            if (k == 1 && i == 10) {     /* holds one, and goes */
                queue_close(PIXL_STEAL(&other));
                continue;
            }
            times[number]++;
            settle(of[k], d, QUEUE_ACK);
        }
    }
    for (int i = 0; i < 10; i++) {
        struct queue_delivery d = take_one(q);
        uint64_t number = 99;
        REQUIRE(str_to_u64(phi_reveal(d.body), &number) && number < 40);
        times[number]++;
        settle(q, d, QUEUE_ACK);
    }
    CHECK(nothing_comes(q, 200));
    for (int i = 0; i < 40; i++)
        CHECK_INT(times[i], 1);
    check_depth(q, name, 0);
}

struct producer {
    struct queue *q;
    const char *name;
    bool ok;
};

static void *produce(void *arg)
{
    struct producer *p = arg;
    struct pixl_error e = { 0 };
    const struct queue_wait w = queue_wait_ms(60000, NULL);
    p->ok = true;
    for (uint64_t i = 0; p->ok && i < 500; i++) {
        const struct queue_message m = { p->name, phi_text(STR("{}")), 1, i };
        struct queue_result result;
        p->ok = queue_publish(p->q, &m, &w, &e);
        while (p->ok && queue_confirmed(p->q, &result))
            p->ok = result.fate == QUEUE_CONFIRMED;
    }
    p->ok = p->ok && queue_flush(p->q, &w, &e);
    return NULL;
}

static void contract_two_threads_may_have_a_queue_each(const struct rig *r)
{
    queue_auto *q = open_rig(r, NULL);
    struct producer p = { open_again(r, q), declared(q, r, "threads"), false };
    pthread_t thread;
    REQUIRE_OK(queue_consume_start(q, p.name, 10, soon(), &err), err);
    REQUIRE(pthread_create(&thread, NULL, produce, &p) == 0);
    for (int i = 0; i < 500; i++)
        settle(q, take_one(q), QUEUE_ACK);
    (void)pthread_join(thread, NULL);
    CHECK(p.ok);
    CHECK(nothing_comes(q, 50));
    queue_close(p.q);
}

static void test_queue__unknown_urls_and_windows_are_refused(void)
{
    static const char *const urls[] = { "", ":", "memory", "mem:", "memory:x", "amqp", "amqp:", "rabbit://h", "http://h" };
    for (size_t i = 0; i < ARRAY_LEN(urls); i++) {
        struct queue *q = NULL;
        test_row("'%s'", urls[i]);
        CHECK_FAILS(queue_open(str_of(urls[i]), NULL, soon(), &q, &err), err, PIXL_E_INVALID);
        CHECK(q == NULL);
    }
    struct queue *q = NULL;
    CHECK_FAILS(queue_open(STR("memory:"), &(struct queue_options){ .window = QUEUE_WINDOW_MAX + 1 }, soon(), &q, &err), err,
                PIXL_E_INVALID);
    queue_close(NULL);
}

#define CONTRACTS(X)                                                                                                  \
    X(publishes_are_confirmed_by_tag) X(a_window_holds_results_that_nobody_took) X(what_no_queue_takes_is_returned)   \
    X(deliveries_come_in_order_and_end_with_ack) X(a_requeued_message_comes_again)                                    \
    X(a_dead_letter_has_a_queue_of_its_own) X(the_highest_priority_comes_first)                                       \
    X(a_queue_per_priority_is_one_to_the_caller) X(no_more_than_the_prefetch_is_in_flight)                            \
    X(stopping_gives_back_what_was_not_taken) X(a_lost_connection_loses_no_message)                                   \
    X(open_publishes_are_unconfirmed_when_the_connection_is_lost) X(names_that_are_not_there)                         \
    X(waits_end_at_the_deadline_and_by_cancelling) X(wrong_arguments_are_refused)                                     \
    X(two_consumers_share_and_one_that_goes_gives_back) X(two_threads_may_have_a_queue_each)

#define OVER_ONE(rig, name)                    \
    static void test_##rig##__##name(void)     \
    {                                          \
        contract_##name(&rig);                 \
        if (cable != NULL)                     \
            tcp_proxy_stop(cable);             \
        cable = NULL;                          \
    }
#define OVER_ALL(name) OVER_ONE(memory, name) OVER_ONE(amqp, name) OVER_ONE(amqps, name)
CONTRACTS(OVER_ALL)

int main(int argc, char **argv)
{
#define ROWS(name) TEST(test_memory__##name), TEST(test_amqp__##name), TEST(test_amqps__##name),
    static const struct test_case tests[] = { TEST(test_queue__unknown_urls_and_windows_are_refused), CONTRACTS(ROWS) };
    rabbit_start();
    int rc = test_main(argc, argv, tests, ARRAY_LEN(tests));
    rabbit_stop();
    return rc;
}
