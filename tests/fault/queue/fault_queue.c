/* Each allocation of a queue's whole life fails once; afterwards no message is lost and a new connection works. */
#include <stdio.h>
#include <unistd.h>

#include "fault.h"
#include "queue/queue_backend.h"
#include "rabbit.h"
#include "test.h"

static struct pixl_error err;
static char name[64], dead[80];
static unsigned acked;

static struct queue_wait soon(void)
{
    return queue_wait_ms(60000, NULL);
}

static bool publish(struct queue *q, const char *body, struct pixl_error *e)
{
    const struct queue_wait w = soon();
    const struct queue_message m = { name, phi_text(str_of(body)), 1, 1 };
    return queue_publish(q, &m, &w, e) && queue_flush(q, &w, e);
}

/* Takes a delivery and settles it. */
static bool take(struct queue *q, enum queue_verdict v, struct pixl_error *e)
{
    const struct queue_wait w = soon();
    struct queue_delivery d;
    bool got;
    if (!queue_take(q, &w, &got, &d, e) || !got || !queue_settle(q, d.tag, v, v == QUEUE_DEAD ? "why" : NULL, &w, e))
        return false;
    acked += v == QUEUE_ACK;
    return true;
}

/* Two messages in; one out, one to the dead letters.  *q is NULL or the caller's to close. */
static bool live(const char *url, struct queue **q, struct pixl_error *e)
{
    const struct queue_wait w = soon();
    return queue_open(str_of(url), &(struct queue_options){ .window = 4 }, &w, q, e) && queue_declare(*q, name, &w, e) &&
           publish(*q, "first", e) && publish(*q, "second", e) && queue_consume_start(*q, name, 1, &w, e) &&
           take(*q, QUEUE_ACK, e) && take(*q, QUEUE_DEAD, e) && queue_consume_stop(*q, name, &w, e);
}

/* What was confirmed and not acknowledged is there for the next connection, as a message or a dead letter. */
static void check_nothing_is_lost(struct queue *q)
{
    const struct queue_wait w = soon();
    struct queue_result r;
    uint64_t left = 0, letters = 0, gone;
    unsigned confirmed = 0;
    while (queue_confirmed(q, &r))
        confirmed += r.fate == QUEUE_CONFIRMED;
    REQUIRE_OK(queue_reconnect(q, &w, &err), err);
    REQUIRE_OK(queue_declare(q, name, &w, &err), err);
    REQUIRE_OK(queue_declare(q, dead, &w, &err), err);
    for (int i = 0; i < 200 && left + letters < confirmed - acked; i++) {
        REQUIRE_OK(queue_depth(q, name, &w, &left, &err), err);
        REQUIRE_OK(queue_depth(q, dead, &w, &letters, &err), err);
        (void)usleep(i ? 10000 : 0);
    }
    CHECK(acked <= confirmed && left + letters >= confirmed - acked);
    REQUIRE_OK(queue_purge(q, name, &w, &gone, &err), err);
    REQUIRE_OK(queue_purge(q, dead, &w, &gone, &err), err);
}

static void sweep(const char *url, long least)
{
    long n;
    (void)snprintf(name, sizeof name, "fault-%ld", (long)getpid());
    (void)snprintf(dead, sizeof dead, "%s.dead", name);
    for (n = 0; n < 300; n++) {
        struct queue *q = NULL;
        struct pixl_error e = { 0 };
        test_row("allocation %ld", n);
        acked = 0;
        fault_alloc_after(n);
        bool ok = live(url, &q, &e);
        bool reached = fault_alloc_stop();
        CHECK(ok || (e.code == PIXL_E_NOMEM && e.msg[0] != '\0'));
        if (q != NULL)
            check_nothing_is_lost(q);
        queue_close(q);
        if (!reached) {
            CHECK(ok);
            break;
        }
    }
    CHECK(n >= least && n < 300);
}

static void test_memory__survives_every_allocation_failure(void)
{
    sweep("memory:", 7);
}

static void test_amqp__survives_every_allocation_failure(void)
{
    sweep(rabbit_url("127.0.0.1", rabbit.port, ""), 9);
}

int main(int argc, char **argv)
{
    static const struct test_case tests[] = {
        TEST(test_memory__survives_every_allocation_failure),
        TEST(test_amqp__survives_every_allocation_failure),
    };
    rabbit_start();
    int rc = test_main(argc, argv, tests, ARRAY_LEN(tests));
    rabbit_stop();
    return rc;
}
