/* What the broker says of publishes, in every order that the protocol allows, without a broker. */
#include <stdio.h>
#include <string.h>

#include "queue/amqp_internal.h"
#include "test.h"

static struct pixl_error err;

/* As after n publishes with the tags 100, 101, ... (their numbers are 1, 2, ...). */
static void published(struct amqp *a, unsigned n)
{
    memset(a, 0, sizeof *a);
    a->base.ops = &queue_amqp;
    a->window = 16;
    REQUIRE_OK(amqp_publish_init(a, &err), err);
    for (; a->outstanding < n; a->outstanding++, a->head++)
        a->ring[a->head & a->ring_mask] = (struct amqp_slot){ .tag = 99 + a->head, .open = true };
}

static void ack(struct amqp *a, uint64_t seq, bool multiple)
{
    amqp_basic_ack_t m = { seq, multiple };
    amqp_publish_on_method(a, &(amqp_method_t){ AMQP_BASIC_ACK_METHOD, &m });
}

static void nack(struct amqp *a, uint64_t seq, bool multiple)
{
    amqp_basic_nack_t m = { seq, multiple, 0 };
    amqp_publish_on_method(a, &(amqp_method_t){ AMQP_BASIC_NACK_METHOD, &m });
}

/* A message comes back: method, header, and its body in two frames. */
static void give_back(struct amqp *a, const char *id, size_t body)
{
    amqp_basic_return_t m = { .reply_code = 312 };
    amqp_publish_on_method(a, &(amqp_method_t){ AMQP_BASIC_RETURN_METHOD, &m });
    amqp_basic_properties_t p = { ._flags = id ? AMQP_BASIC_MESSAGE_ID_FLAG : 0, .message_id = amqp_cstring_bytes(id ? id : "") };
    amqp_frame_t f = { .frame_type = AMQP_FRAME_HEADER, .channel = CHANNEL_PUBLISH };
    f.payload.properties.body_size = body;
    f.payload.properties.decoded = &p;
    amqp_publish_on_content(a, &f);
    char bytes[64] = "";
    for (size_t left = body, n; left > 0; left -= n) {
        n = left > 1 ? left / 2 : 1;
        f = (amqp_frame_t){ .frame_type = AMQP_FRAME_BODY, .channel = CHANNEL_PUBLISH };
        f.payload.body_fragment = (amqp_bytes_t){ n, bytes };
        amqp_publish_on_content(a, &f);
    }
}

/* The results as text: "102+" confirmed, "-" refused, "<" returned, "?" unconfirmed. */
static const char *results(struct amqp *a)
{
    static char text[512];
    struct queue_result r;
    size_t n = 0;
    text[0] = '\0';
    while (queue_confirmed(&a->base, &r))
        n += (size_t)snprintf(text + n, sizeof text - n, "%s%llu%c", n ? " " : "", (unsigned long long)r.tag, "+-<?"[r.fate]);
    return text;
}

static void test_confirms__in_any_order(void)
{
    struct amqp a;
    published(&a, 6);
    ack(&a, 3, false);
    ack(&a, 3, false);                   /* twice, and ones that are not there: nothing */
    ack(&a, 7, false);
    ack(&a, 99, true);
    ack(&a, 6, false);
    CHECK_STR(str_of(results(&a)), "102+ 105+");
    CHECK_INT(a.tail, 1);
    nack(&a, 2, false);
    ack(&a, 4, true);                    /* all up to 4 that are open: 1 and 4 */
    CHECK_STR(str_of(results(&a)), "101- 100+ 103+");
    CHECK_INT(a.tail, 5);
    ack(&a, 1, true);
    CHECK_STR(str_of(results(&a)), "");
    nack(&a, 0, true);                   /* all that are left */
    CHECK_STR(str_of(results(&a)), "104-");
    CHECK(a.tail == a.head && a.outstanding == 0);
    amqp_publish_done(&a);
}

static void test_confirms__returned_messages_are_known_by_their_number(void)
{
    struct amqp a;
    published(&a, 5);
    give_back(&a, "2", 11);
    give_back(&a, "4", 0);
    give_back(&a, "77", 3);              /* none of ours: nothing */
    give_back(&a, "x", 3);
    give_back(&a, NULL, 3);
    CHECK_STR(str_of(results(&a)), "");  /* a return is no confirm */
    ack(&a, 5, true);
    CHECK_STR(str_of(results(&a)), "100+ 101< 102+ 103< 104+");
    amqp_publish_done(&a);
    published(&a, 1);
    give_back(&a, "1", 3);
    nack(&a, 1, false);
    CHECK_STR(str_of(results(&a)), "100-");
    amqp_publish_done(&a);
}

static void test_confirms__a_loss_leaves_nothing_open(void)
{
    struct amqp a;
    published(&a, 4);
    ack(&a, 2, false);
    amqp_publish_lost(&a);
    CHECK_STR(str_of(results(&a)), "101+ 100? 102? 103?");
    amqp_publish_reset(&a);
    CHECK(a.head == 1 && a.tail == 1);
    ack(&a, 1, false);                   /* late: of the connection before */
    CHECK_STR(str_of(results(&a)), "");
    amqp_publish_done(&a);
}

static void test_confirms__of_dead_letters_are_not_the_callers(void)
{
    struct amqp a;
    struct amqp_record waiting = { .dead = DEAD_SENT, .dead_seq = 1 }, settled = { .dead = DEAD_SENT, .dead_seq = 2 };
    published(&a, 0);
    a.ring[1] = (struct amqp_slot){ .open = true, .is_dead = true, .dead = &waiting };
    a.ring[2] = (struct amqp_slot){ .open = true, .is_dead = true, .dead = &settled };
    a.head = 3;
    amqp_publish_forget(&a, &settled);
    ack(&a, 2, true);
    CHECK_STR(str_of(results(&a)), "");
    CHECK(waiting.dead == DEAD_CONFIRMED && settled.dead == DEAD_SENT && a.tail == 3);
    amqp_publish_done(&a);
}

/* Numbers wrap around the ring many times while an old one stays open. */
static void test_confirms__the_ring_goes_round(void)
{
    struct amqp a;
    unsigned n = 0;
    published(&a, 1);
    ack(&a, 1, false);
    (void)results(&a);
    for (int round = 0; round < 1000; round++) {
        for (; a.head - a.tail < 10; a.head++, a.outstanding++)
            a.ring[a.head & a.ring_mask] = (struct amqp_slot){ .tag = a.head, .open = true };
        for (uint64_t s = a.head - 1; s > a.tail; s--)
            ack(&a, s, false);
        CHECK_INT(a.outstanding, 1);
        ack(&a, a.tail, false);
        for (struct queue_result r; queue_confirmed(&a.base, &r); n++)
            CHECK(r.fate == QUEUE_CONFIRMED);
    }
    CHECK_INT(n, 10000);
    amqp_publish_done(&a);
}

int main(int argc, char **argv)
{
    static const struct test_case tests[] = {
        TEST(test_confirms__in_any_order), TEST(test_confirms__returned_messages_are_known_by_their_number),
        TEST(test_confirms__a_loss_leaves_nothing_open), TEST(test_confirms__of_dead_letters_are_not_the_callers),
        TEST(test_confirms__the_ring_goes_round),
    };
    return test_main(argc, argv, tests, ARRAY_LEN(tests));
}
