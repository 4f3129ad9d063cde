#include "base/handover.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>

#include "base/clock.h"
#include "test.h"

#define handover_auto PIXL_CLEANUP(handover_freep) struct handover

enum { GIVERS = 3, TAKERS = 3, EACH = 4000, SLOTS = 5 };

struct run {
    struct handover *h;
    atomic_uchar seen[GIVERS * EACH];
    atomic_int taken;
};
struct giver { struct run *run; size_t first; };

static void test_handover__items_come_in_order(void)
{
    struct pixl_error err = { 0 };
    handover_auto *h = NULL;
    int item[8];
    void *got = NULL;
    REQUIRE_OK(handover_new(3, &h, &err), err);
    for (int round = 0; round < 4; round++) {
        CHECK(handover_give(h, &item[0], INT64_MAX) && handover_give(h, &item[1], INT64_MAX));
        CHECK(handover_take(h, &got, INT64_MAX) && got == &item[0]);
        CHECK(handover_take(h, &got, INT64_MAX) && got == &item[1]);
    }
}

static void test_handover__deadlines_end_the_wait(void)
{
    struct pixl_error err = { 0 };
    handover_auto *h = NULL;
    int item, other;
    void *got = &other;
    REQUIRE_OK(handover_new(1, &h, &err), err);
    CHECK(!handover_take(h, &got, 0) && !handover_take(h, &got, INT64_MIN));
    int64_t from = clock_mono_us();
    CHECK(!handover_take(h, &got, from + 30000));
    CHECK(clock_mono_us() - from >= 30000);
    CHECK(got == &other);
    CHECK(handover_give(h, &item, 0));              /* there is room: a deadline that has passed does not matter */
    CHECK(!handover_give(h, &other, clock_mono_us() + 1000));
    CHECK(handover_take(h, &got, 0) && got == &item);
}

static void test_handover__after_close_takers_drain_and_givers_keep(void)
{
    struct pixl_error err = { 0 };
    handover_auto *h = NULL;
    int item;
    void *got = NULL;
    REQUIRE_OK(handover_new(2, &h, &err), err);
    CHECK(handover_give(h, &item, INT64_MAX));
    handover_close(h);
    handover_close(h);
    CHECK(!handover_give(h, &item, INT64_MAX));
    CHECK(handover_take(h, &got, INT64_MAX) && got == &item);
    CHECK(!handover_take(h, &got, INT64_MAX));
}

static void *take_one(void *arg)
{
    void *got = NULL;
    return handover_take(arg, &got, INT64_MAX) ? arg : NULL;
}

static void *give_one(void *arg)
{
    return handover_give(arg, arg, INT64_MAX) ? arg : NULL;
}

static void test_handover__close_wakes_all_who_wait(void)
{
    struct pixl_error err = { 0 };
    handover_auto *empty = NULL, *full = NULL;
    pthread_t t[4];
    REQUIRE_OK(handover_new(1, &empty, &err), err);
    REQUIRE_OK(handover_new(1, &full, &err), err);
    CHECK(handover_give(full, full, 0));
    for (size_t i = 0; i < 4; i++)
        REQUIRE(pthread_create(&t[i], NULL, i < 2 ? take_one : give_one, i < 2 ? empty : full) == 0);
    void *none = NULL;
    CHECK(!handover_take(empty, &none, clock_mono_us() + 20000));      /* lets them begin to wait */
    handover_close(empty);
    handover_close(full);
    for (size_t i = 0; i < 4; i++) {
        void *got = &err;
        CHECK(pthread_join(t[i], &got) == 0 && got == NULL);
    }
}

static void *give_many(void *arg)
{
    struct giver *g = arg;
    for (size_t i = 0; i < EACH; i++)
        if (!handover_give(g->run->h, &g->run->seen[g->first + i], INT64_MAX))
            return NULL;
    return arg;
}

static void *take_many(void *arg)
{
    struct run *r = arg;
    void *item;
    while (handover_take(r->h, &item, INT64_MAX)) {
        atomic_fetch_add((atomic_uchar *)item, 1);
        atomic_fetch_add(&r->taken, 1);
    }
    return NULL;
}

static void test_handover__each_item_reaches_exactly_one_taker(void)
{
    struct pixl_error err = { 0 };
    static struct run r;
    struct giver g[GIVERS];
    pthread_t give[GIVERS], take[TAKERS];
    REQUIRE_OK(handover_new(SLOTS, &r.h, &err), err);
    for (size_t i = 0; i < TAKERS; i++)
        REQUIRE(pthread_create(&take[i], NULL, take_many, &r) == 0);
    for (size_t i = 0; i < GIVERS; i++) {
        g[i] = (struct giver){ &r, i * EACH };
        REQUIRE(pthread_create(&give[i], NULL, give_many, &g[i]) == 0);
    }
    for (size_t i = 0; i < GIVERS; i++) {
        void *ok = NULL;
        CHECK(pthread_join(give[i], &ok) == 0 && ok != NULL);
    }
    handover_close(r.h);
    for (size_t i = 0; i < TAKERS; i++)
        CHECK(pthread_join(take[i], NULL) == 0);
    CHECK_INT(atomic_load(&r.taken), GIVERS * EACH);
    int wrong = 0;
    for (size_t i = 0; i < GIVERS * EACH; i++)
        wrong += atomic_load(&r.seen[i]) != 1;
    CHECK_INT(wrong, 0);
    handover_free(r.h);
}

static void test_handover__bad_sizes_are_refused(void)
{
    struct pixl_error err = { 0 };
    struct handover *h = NULL;
    CHECK_FAILS(handover_new(0, &h, &err), err, PIXL_E_INVALID);
    CHECK_FAILS(handover_new(SIZE_MAX / 8, &h, &err), err, PIXL_E_NOMEM);
    CHECK(h == NULL);
    handover_free(NULL);
}

int main(int argc, char **argv)
{
    static const struct test_case tests[] = {
        TEST(test_handover__items_come_in_order),
        TEST(test_handover__deadlines_end_the_wait),
        TEST(test_handover__after_close_takers_drain_and_givers_keep),
        TEST(test_handover__close_wakes_all_who_wait),
        TEST(test_handover__each_item_reaches_exactly_one_taker),
        TEST(test_handover__bad_sizes_are_refused),
    };
    return test_main(argc, argv, tests, ARRAY_LEN(tests));
}
