/* What RabbitMQ, the network and other clients do to a queue. */
#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "queue_rig.h"
#include "rabbit.h"
#include "tcp_proxy.h"

static struct queue *open_url(const char *url, const struct queue_options *o)
{
    struct queue *q = NULL;
    REQUIRE_OK(queue_open(str_of(url), o, soon(), &q, &err), err);
    return q;
}

static struct queue *open_plain(void)
{
    return open_url(rabbit_url("127.0.0.1", rabbit.port, ""), NULL);
}

static const char *declared(struct queue *q, const char *what)
{
    static char ring[4][64];
    static unsigned next;
    char *name = ring[next++ % ARRAY_LEN(ring)];
    (void)snprintf(name, sizeof ring[0], "%s-%ld", what, (long)getpid());
    REQUIRE_OK(queue_declare(q, name, soon(), &err), err);
    return name;
}

static const char *dead_of(const char *name)
{
    static char dead[80];
    (void)snprintf(dead, sizeof dead, "%s.dead", name);
    return dead;
}

/* A call that must end by itself, near its deadline of ms. */
#define CHECK_LATE(call, want, ms)                                       \
    do {                                                                 \
        int64_t began_ = clock_mono_us();                                \
        CHECK_FAILS(call, err, want);                                    \
        int64_t took_ms_ = (clock_mono_us() - began_) / 1000;            \
        CHECK(took_ms_ >= (ms) - 20 && took_ms_ < (ms) + 4000);          \
    } while (0)

/* --- who may connect */

static void test_amqp__logins_that_are_refused(void)
{
    static const struct { const char *user, *vhost, *parameters; enum pixl_code want; } rows[] = {
        { "guest:canary", "%2f", "", PIXL_E_DENIED },
        { "canary:guest", "%2f", "", PIXL_E_DENIED },
        { "guest:", "%2f", "", PIXL_E_DENIED },
        { "guest:guest", "nowhere", "", PIXL_E_DENIED },
        { "reader:reader", "odd%2fvhost", "", PIXL_E_DENIED },
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        char url[256];
        struct queue *q = NULL;
        test_row("%s %s", rows[i].user, rows[i].vhost);
        (void)snprintf(url, sizeof url, "amqp://%s@127.0.0.1:%d/%s", rows[i].user, rabbit.port, rows[i].vhost);
        bool ok = queue_open(str_of(url), NULL, soon(), &q, &err);
        CHECK(strstr(err.msg, "canary") == NULL && strstr(err.msg, "guest") == NULL);
        CHECK(err.sys == 403 || err.sys == 530);
        CHECK_FAILS(ok, err, rows[i].want);
        CHECK(q == NULL);
    }
}

static void test_amqp__a_login_of_odd_characters(void)
{
    char url[256];
    (void)snprintf(url, sizeof url, "amqp://n%%c3%%a9%%20user:p%%40ss%%2fw%%3ard%%25%%23%%3f%%26@localhost:%d/odd%%2fvhost",
                   rabbit.port);
    queue_auto *q = open_url(url, NULL);
    char want[64];
    (void)snprintf(want, sizeof want, "amqp localhost:%d vhost odd/vhost", rabbit.port);
    CHECK_STR(str_of(queue_place(q)), want);
    const char *name = declared(q, "odd \xc3\xa9");
    fill(q, name, 2);
    check_depth(q, name, 2);
}

static void test_amqp__rights_that_are_missing(void)
{
    queue_auto *owner = open_plain();
    const char *name = declared(owner, "rights");
    char url[128];
    (void)snprintf(url, sizeof url, "amqp://reader:reader@127.0.0.1:%d", rabbit.port);
    queue_auto *q = open_url(url, NULL);
    CHECK_FAILS(queue_declare(q, "rights-other", soon(), &err), err, PIXL_E_DENIED);
    CHECK(queue_is_connected(q));
    fill(owner, name, 1);
    check_depth(q, name, 1);
    /* Its publishes are refused by ending the channel, after they were handed over. */
    REQUIRE_OK(put(q, name, "{}", 1, 1, soon()), err);
    CHECK_FAILS(queue_flush(q, soon(), &err), err, PIXL_E_DENIED);
    CHECK(!queue_is_connected(q));
    CHECK_INT(results_of(q, QUEUE_UNCONFIRMED), 1);
    check_depth(owner, name, 1);
    REQUIRE_OK(queue_reconnect(q, soon(), &err), err);
    REQUIRE_OK(queue_consume_start(q, name, 1, soon(), &err), err);
    settle(q, take_one(q), QUEUE_ACK);
}

/* Every way in which the other side may not be the broker. */
static void test_amqps__only_the_right_certificate_will_do(void)
{
    struct tcp_proxy *elsewhere = tcp_proxy_start("127.0.0.2", rabbit.tls_port);
    int other_port = tcp_proxy_port(elsewhere);
    char system_ca[256], no_file[256];
    (void)snprintf(system_ca, sizeof system_ca, "amqps://guest:guest@localhost:%d/%%2f", rabbit.tls_port);
    (void)snprintf(no_file, sizeof no_file, "%s.absent", rabbit_tls_url("localhost", rabbit.tls_port, "ca.pem", ""));
    const struct { const char *what, *url; enum pixl_code want; } rows[] = {
        { "by name", rabbit_tls_url("localhost", rabbit.tls_port, "ca.pem", ""), PIXL_OK },
        { "by address", rabbit_tls_url("127.0.0.1", rabbit.tls_port, "ca.pem", ""), PIXL_OK },
        { "another CA", rabbit_tls_url("localhost", rabbit.tls_port, "other.pem", ""), PIXL_E_DENIED },
        { "the CAs of the system", system_ca, PIXL_E_DENIED },
        { "another name", rabbit_tls_url("127.1", rabbit.tls_port, "ca.pem", ""), PIXL_E_DENIED },
        { "another address", rabbit_tls_url("127.0.0.2", other_port, "ca.pem", ""), PIXL_E_DENIED },
        { "no CA file", no_file, PIXL_E_INVALID },
        { "a CA file that is none", rabbit_tls_url("localhost", rabbit.tls_port, "ext.cnf", ""), PIXL_E_INVALID },
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        queue_auto *q = NULL;
        test_row("%s", rows[i].what);
        bool ok = queue_open(str_of(rows[i].url), NULL, soon(), &q, &err);
        if (rows[i].want == PIXL_OK)
            CHECK_OK(ok, err);
        else
            CHECK_FAILS(ok, err, rows[i].want);
        CHECK(ok == (q != NULL));
    }
    test_row("TLS to a port without, and the other way round");
    struct queue *q = NULL;
    CHECK_FAILS(queue_open(str_of(rabbit_tls_url("localhost", rabbit.port, "ca.pem", "")), NULL, in_ms(3000), &q, &err), err,
                PIXL_E_UNAVAILABLE);
    CHECK_FAILS(queue_open(str_of(rabbit_url("localhost", rabbit.tls_port, "")), NULL, in_ms(3000), &q, &err), err,
                PIXL_E_UNAVAILABLE);
    tcp_proxy_stop(elsewhere);
}

static void test_amqp__nobody_there_and_nobody_answering(void)
{
    struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t n = sizeof at;
    int silent = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    REQUIRE(bind(silent, (const struct sockaddr *)&at, sizeof at) == 0);
    REQUIRE(getsockname(silent, (struct sockaddr *)&at, &n) == 0);
    const char *plain = rabbit_url("127.0.0.1", ntohs(at.sin_port), "?connection_timeout=700");
    const char *tls = rabbit_tls_url("127.0.0.1", ntohs(at.sin_port), "ca.pem", "&connection_timeout=700");
    struct queue *q = NULL;
    CHECK_FAILS(queue_open(str_of(plain), NULL, soon(), &q, &err), err, PIXL_E_UNAVAILABLE);     /* refused */
    CHECK_FAILS(queue_open(str_of(rabbit_url("no-such-host.invalid", 5672, "")), NULL, soon(), &q, &err), err,
                PIXL_E_UNAVAILABLE);
    REQUIRE(listen(silent, 8) == 0);
    CHECK_LATE(queue_open(str_of(plain), NULL, soon(), &q, &err), PIXL_E_UNAVAILABLE, 700);
    CHECK_LATE(queue_open(str_of(tls), NULL, soon(), &q, &err), PIXL_E_UNAVAILABLE, 700);
    CHECK_LATE(queue_open(str_of(plain), NULL, in_ms(300), &q, &err), PIXL_E_UNAVAILABLE, 300);
    CHECK(q == NULL);
    (void)close(silent);
}

/* --- queues as found, and other clients */

static void test_amqp__queues_are_used_as_they_are_found(void)
{
    static const char *const kinds[] = { "classic", "quorum" };
    queue_auto *q = open_plain();
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
        char name[64];
        test_row("%s", kinds[i]);
        (void)snprintf(name, sizeof name, "found-%s-%ld", kinds[i], (long)getpid());
        (void)rabbit_peer("declare", name, kinds[i], NULL);
        CHECK_OK(queue_declare(q, name, soon(), &err), err);
        fill(q, name, 5);
        REQUIRE_OK(queue_consume_start(q, name, 2, soon(), &err), err);
        settle(q, take_one(q), QUEUE_ACK);
        struct queue_delivery d = take_one(q);
        CHECK_STR(phi_reveal(d.body), "1");
        settle(q, d, QUEUE_REQUEUE);
        d = take_one(q);
        settle(q, d, QUEUE_DEAD);
        check_depth(q, dead_of(name), 1);
        CHECK_OK(queue_consume_stop(q, name, soon(), &err), err);
        check_depth(q, name, 3);
    }
}

static void test_amqp__a_queue_that_another_holds_is_busy(void)
{
    char name[64];
    (void)snprintf(name, sizeof name, "exclusive-%ld", (long)getpid());
    int holder = rabbit_peer_exclusive(name);
    queue_auto *q = open_plain();
    uint64_t n;
    CHECK_FAILS(queue_declare(q, name, soon(), &err), err, PIXL_E_BUSY);
    CHECK_FAILS(queue_depth(q, name, soon(), &n, &err), err, PIXL_E_BUSY);
    CHECK_FAILS(queue_consume_start(q, name, 1, soon(), &err), err, PIXL_E_BUSY);
    CHECK(queue_is_connected(q));
    (void)close(holder);
}

static void test_amqp__another_client_reads_what_we_publish(void)
{
    queue_auto *q = open_plain();
    const char *name = declared(q, "peer");
    REQUIRE_OK(put(q, name, "{\"mrn\": \"1\"}", 1, 1, soon()), err);
    REQUIRE_OK(put(q, name, "{\"mrn\": \"2\"}", 5, 2, soon()), err);
    REQUIRE_OK(queue_flush(q, soon(), &err), err);
    CHECK_STR(str_of(rabbit_peer("get", name, "2", NULL)), "5 2 [] {\"mrn\": \"2\"}\n1 2 [] {\"mrn\": \"1\"}\n");
    (void)rabbit_peer("publish", name, "3", "theirs", NULL);
    (void)rabbit_peer("publish", name, "0", "without", NULL);
    REQUIRE_OK(queue_consume_start(q, name, 1, soon(), &err), err);
    struct queue_delivery d = take_one(q);
    CHECK_STR(phi_reveal(d.body), "theirs");
    CHECK_INT(d.priority, 3);
    REQUIRE_OK(queue_settle(q, d.tag, QUEUE_DEAD, "not-json", soon(), &err), err);
    d = take_one(q);
    CHECK_STR(phi_reveal(d.body), "without");
    CHECK_INT(d.priority, 0);
    REQUIRE_OK(queue_settle(q, d.tag, QUEUE_DEAD, "field study_uid: not a uid", soon(), &err), err);
    char want[512];
    (void)snprintf(want, sizeof want,
                   "3 2 [x-pixl-queue=%s x-pixl-reason=not-json] theirs\n"
                   "None 2 [x-pixl-queue=%s x-pixl-reason=field study_uid: not a uid] without\n", name, name);
    CHECK_STR(str_of(rabbit_peer("get", dead_of(name), "2", NULL)), want);
}

static void test_amqp__bodies_longer_than_ours_are_cut(void)
{
    enum { LONG = 300000 };
    queue_auto *q = open_plain();
    const char *name = declared(q, "long");
    (void)rabbit_peer("publish-long", name, "300000", NULL);
    (void)rabbit_peer("publish-long", name, "65536", NULL);
    (void)rabbit_peer("publish-long", name, "0", NULL);
    REQUIRE_OK(queue_consume_start(q, name, 3, soon(), &err), err);
    for (int i = 0; i < 3; i++) {
        struct queue_delivery d = take_one(q);
        struct str body = phi_reveal(d.body);
        CHECK(d.cut == (i == 0));
        CHECK_INT(body.n, i == 2 ? 0 : QUEUE_BODY_MAX);
        for (size_t k = 0; k < body.n; k++)
            REQUIRE((unsigned char)body.p[k] == k % 251);
        settle(q, d, i == 0 ? QUEUE_DEAD : QUEUE_ACK);
    }
    CHECK(strstr(rabbit_peer("get", dead_of(name), NULL), " 65536\n") != NULL);
}

static void test_amqp__a_queue_that_is_deleted_ends_its_consuming(void)
{
    queue_auto *q = open_plain();
    const char *name = declared(q, "deleted"), *stays = declared(q, "stays");
    fill(q, name, 2);
    REQUIRE_OK(queue_consume_start(q, name, 5, soon(), &err), err);
    REQUIRE_OK(queue_consume_start(q, stays, 5, soon(), &err), err);
    struct queue_delivery d = take_one(q);
    (void)rabbit_peer("delete", name, NULL);
    settle(q, take_one(q), QUEUE_ACK);
    bool got;
    CHECK_FAILS(queue_take(q, soon(), &got, &d, &err), err, PIXL_E_NOT_FOUND);
    CHECK(nothing_comes(q, 100));
    fill(q, stays, 1);
    settle(q, take_one(q), QUEUE_ACK);
    REQUIRE_OK(queue_declare(q, name, soon(), &err), err);
    REQUIRE_OK(queue_consume_start(q, name, 5, soon(), &err), err);
    fill(q, name, 1);
    settle(q, take_one(q), QUEUE_ACK);
}

static void test_amqp__a_dead_letter_queue_that_is_gone_is_made_again(void)
{
    queue_auto *q = open_plain();
    const char *name = declared(q, "letters");
    fill(q, name, 2);
    REQUIRE_OK(queue_consume_start(q, name, 2, soon(), &err), err);
    settle(q, take_one(q), QUEUE_DEAD);
    (void)rabbit_peer("delete", dead_of(name), NULL);
    struct queue_delivery d = take_one(q);
    CHECK_FAILS(queue_settle(q, d.tag, QUEUE_DEAD, "not-json", soon(), &err), err, PIXL_E_UNAVAILABLE);
    CHECK(queue_is_connected(q));
    CHECK_STR(phi_reveal(d.body), "1");
    settle(q, d, QUEUE_DEAD);
    check_depth(q, dead_of(name), 1);
    check_depth(q, name, 0);
}

/* --- confirms */

/* A priority queue with a consumer confirms in another order than it was published in. */
static void test_amqp__each_publish_has_one_confirm_whatever_the_order(void)
{
    enum { N = 5000 };
    queue_auto *q = open_url(rabbit_url("127.0.0.1", rabbit.port, ""), &(struct queue_options){ .window = 500 });
    queue_auto *consumer = open_plain();
    const char *name = declared(q, "order");
    REQUIRE_OK(queue_consume_start(consumer, name, 100, soon(), &err), err);
    static bool seen[N];
    struct queue_result r;
    unsigned n = 0, taken = 0, out_of_order = 0;
    uint64_t last = 0;
    for (uint64_t i = 0; i < N || n < N;) {
        if (i < N) {
            REQUIRE_OK(put(q, name, "{}", (unsigned)(i * 7 % 5) + 1, i, soon()), err);
            i++;
        } else {
            REQUIRE_OK(queue_flush(q, soon(), &err), err);
        }
        for (; queue_confirmed(q, &r); n++, last = r.tag) {
            CHECK(r.fate == QUEUE_CONFIRMED && r.tag < N && !seen[r.tag]);
            seen[r.tag] = true;
            out_of_order += r.tag < last;
        }
        bool got = true;
        for (struct queue_delivery d; i % 50 == 0 && got && taken < N;) {
            REQUIRE_OK(queue_take(consumer, in_ms(0), &got, &d, &err), err);
            if (got) {
                taken++;
                settle(consumer, d, QUEUE_ACK);
            }
        }
    }
    for (; taken < N; taken++)
        settle(consumer, take_one(consumer), QUEUE_ACK);
    CHECK(nothing_comes(consumer, 100));
    CHECK_INT(queue_outstanding(q), 0);
    printf("      %u of %d confirms came out of order\n", out_of_order, N);
}

static void test_amqp__what_a_full_queue_refuses_is_told(void)
{
    queue_auto *q = open_plain();
    char name[64];
    (void)snprintf(name, sizeof name, "small-%ld", (long)getpid());
    (void)rabbit_peer("declare", name, "small", NULL);
    struct queue_result r;
    int fates[4] = { 0 };
    for (uint64_t i = 0; i < 5; i++)
        REQUIRE_OK(put(q, name, "{}", 1, i, soon()), err);
    REQUIRE_OK(queue_flush(q, soon(), &err), err);
    while (queue_confirmed(q, &r))
        fates[r.fate]++;
    CHECK(fates[QUEUE_CONFIRMED] == 2 && fates[QUEUE_REFUSED] == 3);
    check_depth(q, name, 2);
}

/* --- a broker that ends what it serves */

static void test_amqp__a_broker_that_ends_connections_is_not_quoted(void)
{
    queue_auto *q = open_plain();
    const char *name = declared(q, "forced");
    fill(q, name, 1);
    rabbit_do("ctl close_all_connections canary");
    bool ok = queue_pump(q, soon(), &err);
    CHECK(strstr(err.msg, "320 CONNECTION_FORCED") != NULL && strstr(err.msg, "canary") == NULL);
    CHECK_FAILS(ok, err, PIXL_E_UNAVAILABLE);
    REQUIRE_OK(queue_reconnect(q, soon(), &err), err);
    check_depth(q, name, 1);
}

static void test_amqp__a_delivery_held_too_long_ends_the_connection(void)
{
    rabbit_do("ctl eval application:set_env(rabbit,consumer_timeout,1000).");
    rabbit_do("ctl eval application:set_env(rabbit,channel_tick_interval,500).");
    queue_auto *q = open_plain();
    const char *name = declared(q, "timeout");
    fill(q, name, 1);
    REQUIRE_OK(queue_consume_start(q, name, 1, soon(), &err), err);
    struct queue_delivery d = take_one(q);
    bool ok = queue_pump(q, soon(), &err);
    CHECK(strstr(err.msg, "406 PRECONDITION_FAILED") != NULL);
    CHECK_FAILS(ok, err, PIXL_E_UNAVAILABLE);
    rabbit_do("ctl eval application:set_env(rabbit,consumer_timeout,1800000).");
    rabbit_do("ctl eval application:set_env(rabbit,channel_tick_interval,60000).");
    REQUIRE_OK(queue_reconnect(q, soon(), &err), err);
    REQUIRE_OK(queue_consume_start(q, name, 1, soon(), &err), err);
    CHECK_FAILS(queue_settle(q, d.tag, QUEUE_ACK, NULL, soon(), &err), err, PIXL_E_STALE);
    d = take_one(q);
    CHECK(d.redelivered);
    settle(q, d, QUEUE_ACK);
}

/* --- a broker that dies */

/* What queues there are is on disk: of one that is killed within milliseconds of a declare, RabbitMQ may know nothing. */
static void kill_broker(void)
{
    rabbit_do("ctl eval mnesia:sync_log().");
    rabbit_do("kill");
}

static void test_amqp__a_broker_killed_between_publishes_keeps_what_it_confirmed(void)
{
    queue_auto *q = open_plain();
    const char *name = declared(q, "killed");
    fill(q, name, 50);
    kill_broker();
    int handed = 0;
    while (handed < 100 && put(q, name, "again", 1, (uint64_t)handed, soon()))
        handed++;
    if (handed == 100)
        CHECK(!queue_flush(q, soon(), &err));
    CHECK_FAILS(false, err, PIXL_E_UNAVAILABLE);
    CHECK(!queue_is_connected(q));
    CHECK_INT(queue_outstanding(q), 0);
    CHECK_INT(results_of(q, QUEUE_UNCONFIRMED), handed);
    CHECK_FAILS(queue_reconnect(q, soon(), &err), err, PIXL_E_UNAVAILABLE);      /* nobody is there; at once */
    CHECK_FAILS(put(q, name, "{}", 1, 1, soon()), err, PIXL_E_UNAVAILABLE);
    rabbit_do("start");
    REQUIRE_OK(queue_reconnect(q, soon(), &err), err);
    check_depth(q, name, 50);
    fill(q, name, 10);
    check_depth(q, name, 60);
}

static void test_amqp__a_broker_killed_while_consuming_delivers_again(void)
{
    queue_auto *q = open_plain();
    const char *name = declared(q, "consuming");
    fill(q, name, 10);
    REQUIRE_OK(queue_consume_start(q, name, 4, soon(), &err), err);
    settle(q, take_one(q), QUEUE_ACK);
    struct queue_delivery held = take_one(q);
    REQUIRE_OK(queue_pump(q, in_ms(300), &err), err);    /* the acknowledgement arrives */
    check_depth(q, name, 5);
    kill_broker();
    bool got = true;
    struct queue_delivery d;
    while (got && queue_take(q, soon(), &got, &d, &err)) {
    }
    CHECK_FAILS(false, err, PIXL_E_UNAVAILABLE);
    CHECK_FAILS(queue_settle(q, held.tag, QUEUE_ACK, NULL, soon(), &err), err, PIXL_E_UNAVAILABLE);
    rabbit_do("start");
    REQUIRE_OK(queue_reconnect(q, soon(), &err), err);
    CHECK_FAILS(queue_settle(q, held.tag, QUEUE_ACK, NULL, soon(), &err), err, PIXL_E_STALE);
    REQUIRE_OK(queue_consume_start(q, name, 4, soon(), &err), err);
    bool seen[10] = { true };
    for (int i = 1; i < 10; i++) {
        uint64_t number;
        d = take_one(q);
        REQUIRE(str_to_u64(phi_reveal(d.body), &number) && number < 10);
        CHECK(!seen[number]);
        seen[number] = true;
        settle(q, d, QUEUE_ACK);
    }
    CHECK(nothing_comes(q, 100));
}

/* --- a network that fails */

static void test_amqp__a_cable_cut_in_mid_flight_loses_nothing(void)
{
    enum { N = 2000 };
    struct tcp_proxy *cable = tcp_proxy_start("127.0.0.1", rabbit.port);
    queue_auto *q = open_url(rabbit_url("127.0.0.1", tcp_proxy_port(cable), ""), &(struct queue_options){ .window = N });
    const char *name = declared(q, "cable");
    static bool confirmed[N];
    int left = N, cuts = 0;
    while (left > 0) {
        for (uint64_t i = 0; i < N; i++) {
            if (confirmed[i] || put(q, name, "{}", 1, i, soon()))
                continue;
            break;
        }
        if (cuts < 3 && ++cuts)
            tcp_proxy_cut(cable);
        (void)(err.code == PIXL_OK && queue_flush(q, soon(), &err));
        CHECK(err.code == PIXL_OK || err.code == PIXL_E_UNAVAILABLE);
        CHECK_INT(queue_outstanding(q), 0);
        for (struct queue_result r; queue_confirmed(q, &r);)
            if (r.fate == QUEUE_CONFIRMED && !confirmed[r.tag]) {
                confirmed[r.tag] = true;
                left--;
            }
        pixl_error_clear(&err);
        if (!queue_is_connected(q))
            REQUIRE_OK(queue_reconnect(q, soon(), &err), err);
    }
    CHECK_INT(cuts, 3);
    uint64_t depth = 0;
    REQUIRE_OK(queue_depth(q, name, soon(), &depth, &err), err);
    CHECK(depth >= N);                   /* at least once */
    queue_close(PIXL_STEAL(&q));
    tcp_proxy_stop(cable);
}

/* Megabytes to somebody who reads none of them: the library alone would wait for ever in its write. */
static void stalled_publisher(const char *url, int target_port, const char *after)
{
    struct tcp_proxy *cable = tcp_proxy_start("127.0.0.1", target_port);
    char full[1024], *body = malloc(QUEUE_BODY_MAX + 1);
    (void)snprintf(full, sizeof full, "%s:%d/%%2f%s", url, tcp_proxy_port(cable), after);
    queue_auto *q = open_url(full, &(struct queue_options){ .window = QUEUE_WINDOW_MAX });
    const char *name = declared(q, "stalled");
    memset(body, 'b', QUEUE_BODY_MAX);
    body[QUEUE_BODY_MAX] = '\0';
    tcp_proxy_stall(cable, 1);
    int handed = 0;
    while (handed < 1000 && put(q, name, handed % 2 ? body : "short", 1, (uint64_t)handed, in_ms(200)))
        handed++;
    CHECK(handed > 3 && handed < 1000);
    CHECK_FAILS(false, err, PIXL_E_UNAVAILABLE);
    CHECK_LATE(put(q, name, body, 1, 1, in_ms(500)), PIXL_E_UNAVAILABLE, 500);
    CHECK_LATE(queue_flush(q, in_ms(500), &err), PIXL_E_UNAVAILABLE, 500);
    CHECK(queue_is_connected(q));
    CHECK_INT(queue_outstanding(q), handed);
    tcp_proxy_stall(cable, 0);
    CHECK_OK(queue_flush(q, soon(), &err), err);
    CHECK_INT(results_of(q, QUEUE_CONFIRMED), handed);
    check_depth(q, name, (uint64_t)handed);
    uint64_t purged;
    CHECK_OK(queue_purge(q, name, soon(), &purged, &err), err);
    queue_close(PIXL_STEAL(&q));
    tcp_proxy_stop(cable);
    free(body);
}

static void test_amqp__a_publisher_to_a_stalled_network_ends_at_its_deadline(void)
{
    stalled_publisher("amqp://guest:guest@127.0.0.1", rabbit.port, "");
}

static void test_amqps__a_publisher_to_a_stalled_network_ends_at_its_deadline(void)
{
    char after[600];
    (void)snprintf(after, sizeof after, "?cacertfile=%s/ca.pem", rabbit.certs);
    stalled_publisher("amqps://guest:guest@localhost", rabbit.tls_port, after);
}

static void test_amqp__a_question_without_an_answer_gives_the_connection_up(void)
{
    struct tcp_proxy *cable = tcp_proxy_start("127.0.0.1", rabbit.port);
    queue_auto *q = open_url(rabbit_url("127.0.0.1", tcp_proxy_port(cable), ""), NULL);
    const char *name = declared(q, "question");
    uint64_t n = 77;
    tcp_proxy_stall(cable, 1);
    CHECK_LATE(queue_depth(q, name, in_ms(400), &n, &err), PIXL_E_UNAVAILABLE, 400);
    CHECK(!queue_is_connected(q) && n == 77);
    tcp_proxy_stall(cable, 0);
    REQUIRE_OK(queue_reconnect(q, soon(), &err), err);
    CHECK_OK(queue_depth(q, name, soon(), &n, &err), err);
    atomic_bool cancel = true;
    const struct queue_wait w = queue_wait_ms(60000, &cancel);
    tcp_proxy_stall(cable, 1);
    CHECK_FAILS(queue_depth(q, name, &w, &n, &err), err, PIXL_E_CANCELLED);
    CHECK(!queue_is_connected(q));
    CHECK_LATE(queue_reconnect(q, in_ms(400), &err), PIXL_E_UNAVAILABLE, 400);
    tcp_proxy_stall(cable, 0);
    REQUIRE_OK(queue_reconnect(q, soon(), &err), err);
    /* A goodbye that nobody answers is waited for, but not for ever. */
    tcp_proxy_stall(cable, 1);
    int64_t began = clock_mono_us();
    queue_close(PIXL_STEAL(&q));
    CHECK(clock_mono_us() - began < 6000000);
    tcp_proxy_stop(cable);
}

/* --- heartbeats */

static void test_amqp__a_pumped_connection_outlives_its_heartbeat(void)
{
    queue_auto *pumped = open_url(rabbit_url("127.0.0.1", rabbit.port, "?heartbeat=2"), NULL);
    queue_auto *left_alone = open_url(rabbit_url("127.0.0.1", rabbit.port, "?heartbeat=2"), NULL);
    queue_auto *slept = open_url(rabbit_url("127.0.0.1", rabbit.port, "?heartbeat=2"), NULL);
    const char *name = declared(pumped, "heartbeat");
    fill(pumped, name, 1);
    REQUIRE_OK(queue_consume_start(left_alone, name, 1, soon(), &err), err);
    struct queue_delivery d = take_one(left_alone);
    for (int i = 0; i < 8; i++) {        /* in pieces of a second, and all of it */
        REQUIRE_OK(queue_pump(pumped, in_ms(500), &err), err);
        CHECK(nothing_comes(slept, 500));
    }
    CHECK(queue_is_connected(pumped) && queue_is_connected(slept));
    check_depth(slept, name, 1);         /* the broker has taken back what the third one held */
    CHECK_FAILS(queue_settle(left_alone, d.tag, QUEUE_ACK, NULL, soon(), &err) && queue_pump(left_alone, soon(), &err), err,
                PIXL_E_UNAVAILABLE);
    fill(pumped, name, 1);
}

static void test_amqp__a_silent_network_is_noticed(void)
{
    struct tcp_proxy *cable = tcp_proxy_start("127.0.0.1", rabbit.port);
    queue_auto *q = open_url(rabbit_url("127.0.0.1", tcp_proxy_port(cable), "?heartbeat=1"), NULL);
    tcp_proxy_stall(cable, 1);
    int64_t began = clock_mono_us();
    CHECK_FAILS(queue_pump(q, soon(), &err), err, PIXL_E_UNAVAILABLE);
    CHECK(clock_mono_us() - began < 20000000);
    CHECK(!queue_is_connected(q));
    tcp_proxy_stop(cable);
}

/* --- a broker with an alarm */

static void test_amqp__a_blocked_broker_takes_nothing_and_loses_nothing(void)
{
    queue_auto *q = open_plain();
    queue_auto *consumer = open_plain();
    const char *name = declared(q, "alarm");
    fill(q, name, 3);
    REQUIRE_OK(queue_consume_start(consumer, name, 3, soon(), &err), err);
    settle(consumer, take_one(consumer), QUEUE_DEAD);
    rabbit_do("ctl set_disk_free_limit 900000GB");
    /* The first is handed over before the broker says that it is blocked; its fate stays open. */
    REQUIRE_OK(put(q, name, "first", 1, 1, soon()), err);
    CHECK_LATE(queue_flush(q, in_ms(700), &err), PIXL_E_UNAVAILABLE, 700);
    CHECK_LATE(put(q, name, "second", 1, 2, in_ms(500)), PIXL_E_UNAVAILABLE, 500);
    CHECK_INT(queue_outstanding(q), 1);
    /* A connection that did not publish goes on; once it sends a dead letter, it is blocked too. */
    struct queue_delivery d = take_one(consumer);
    settle(consumer, d, QUEUE_ACK);
    d = take_one(consumer);
    for (int i = 0; i < 2; i++)
        CHECK_LATE(queue_settle(consumer, d.tag, QUEUE_DEAD, "not-json", in_ms(500), &err), PIXL_E_UNAVAILABLE, 500);
    CHECK_STR(phi_reveal(d.body), "2");
    rabbit_do("ctl set_disk_free_limit 50MB");
    CHECK_OK(queue_flush(q, soon(), &err), err);
    CHECK_OK(put(q, name, "second", 1, 2, soon()), err);
    CHECK_OK(queue_flush(q, soon(), &err), err);
    CHECK_INT(results_of(q, QUEUE_CONFIRMED), 2);
    settle(consumer, d, QUEUE_DEAD);
    check_depth(q, dead_of(name), 2);    /* tried thrice, and one copy of each */
    CHECK_STR(phi_reveal(take_one(consumer).body), "first");
    CHECK_STR(phi_reveal(take_one(consumer).body), "second");
}

/* A delivery whose dead letter is still open may end otherwise. */
static void test_amqp__a_dead_letter_that_is_given_up(void)
{
    queue_auto *q = open_plain();
    const char *name = declared(q, "givenup");
    fill(q, name, 2);
    REQUIRE_OK(queue_consume_start(q, name, 2, soon(), &err), err);
    settle(q, take_one(q), QUEUE_DEAD);
    struct queue_delivery d = take_one(q);
    rabbit_do("ctl set_disk_free_limit 900000GB");
    CHECK_FAILS(queue_settle(q, d.tag, QUEUE_DEAD, "not-json", in_ms(500), &err), err, PIXL_E_UNAVAILABLE);
    settle(q, d, QUEUE_ACK);
    rabbit_do("ctl set_disk_free_limit 50MB");
    check_depth(q, dead_of(name), 2);
    CHECK_OK(queue_flush(q, soon(), &err), err);
    check_depth(q, name, 0);
}

int main(int argc, char **argv)
{
    static const struct test_case tests[] = {
        TEST(test_amqp__logins_that_are_refused),
        TEST(test_amqp__a_login_of_odd_characters),
        TEST(test_amqp__rights_that_are_missing),
        TEST(test_amqps__only_the_right_certificate_will_do),
        TEST(test_amqp__nobody_there_and_nobody_answering),
        TEST(test_amqp__queues_are_used_as_they_are_found),
        TEST(test_amqp__a_queue_that_another_holds_is_busy),
        TEST(test_amqp__another_client_reads_what_we_publish),
        TEST(test_amqp__bodies_longer_than_ours_are_cut),
        TEST(test_amqp__a_queue_that_is_deleted_ends_its_consuming),
        TEST(test_amqp__a_dead_letter_queue_that_is_gone_is_made_again),
        TEST(test_amqp__each_publish_has_one_confirm_whatever_the_order),
        TEST(test_amqp__what_a_full_queue_refuses_is_told),
        TEST(test_amqp__a_broker_that_ends_connections_is_not_quoted),
        TEST(test_amqp__a_delivery_held_too_long_ends_the_connection),
        TEST(test_amqp__a_broker_killed_between_publishes_keeps_what_it_confirmed),
        TEST(test_amqp__a_broker_killed_while_consuming_delivers_again),
        TEST(test_amqp__a_cable_cut_in_mid_flight_loses_nothing),
        TEST(test_amqp__a_publisher_to_a_stalled_network_ends_at_its_deadline),
        TEST(test_amqps__a_publisher_to_a_stalled_network_ends_at_its_deadline),
        TEST(test_amqp__a_question_without_an_answer_gives_the_connection_up),
        TEST(test_amqp__a_pumped_connection_outlives_its_heartbeat),
        TEST(test_amqp__a_silent_network_is_noticed),
        TEST(test_amqp__a_blocked_broker_takes_nothing_and_loses_nothing),
        TEST(test_amqp__a_dead_letter_that_is_given_up),
    };
    rabbit_start();
    int rc = test_main(argc, argv, tests, ARRAY_LEN(tests));
    rabbit_stop();
    return rc;
}
