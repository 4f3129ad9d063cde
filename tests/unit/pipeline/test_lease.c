#include "pipeline/lease.h"

#include <pthread.h>

#include "base/clock.h"
#include "pipeline/gate.h"
#include "test.h"

static void test_lease__an_epoch_ends_when_its_time_runs_out(void)
{
    struct lease l;
    lease_begin(&l, 1000, 100);
    CHECK(lease_holds(&l, 0, 1079) && !lease_holds(&l, 0, 1080));        /* a fifth is left over */
    CHECK(!lease_look(&l, 1079));
    lease_prolonged(&l, 1060, 100);
    CHECK(lease_holds(&l, 0, 1139) && !lease_holds(&l, 1, 1139));
    CHECK(lease_look(&l, 1140));
    CHECK(!lease_holds(&l, 0, 1139) && !lease_holds(&l, 1, 1140));
    lease_prolonged(&l, 1150, 100);
    CHECK(!lease_holds(&l, 0, 1151));            /* what was claimed before stays lost */
    CHECK(lease_holds(&l, 1, 1151));
}

static void test_lease__prolonged_late_counts_from_when_it_was_asked(void)
{
    struct lease l;
    lease_begin(&l, 0, 100);
    CHECK(!lease_look(&l, 70));
    lease_prolonged(&l, 70, 100);                /* and the process was stopped in between, until 500 */
    CHECK(!lease_holds(&l, 0, 500));
    CHECK(lease_look(&l, 500));
}

struct crowd {
    struct gate gate;
    atomic_int inside, most, turns;
};

static void *pass_through(void *arg)
{
    struct crowd *c = arg;
    for (int i = 0; i < 200; i++) {
        while (!gate_enter(&c->gate, clock_mono_us() + 1000))
            ;
        int n = atomic_fetch_add(&c->inside, 1) + 1, most = atomic_load(&c->most);
        while (n > most && !atomic_compare_exchange_weak(&c->most, &most, n))
            ;
        (void)atomic_fetch_add(&c->turns, 1);
        (void)atomic_fetch_sub(&c->inside, 1);
        gate_leave(&c->gate);
    }
    return NULL;
}

static void test_gate__lets_no_more_in_than_it_has_places(void)
{
    struct crowd c = { .most = 0 };
    pthread_t threads[8];
    gate_init(&c.gate, 3);
    for (size_t i = 0; i < ARRAY_LEN(threads); i++)
        REQUIRE(pthread_create(&threads[i], NULL, pass_through, &c) == 0);
    for (size_t i = 0; i < ARRAY_LEN(threads); i++)
        REQUIRE(pthread_join(threads[i], NULL) == 0);
    CHECK(atomic_load(&c.most) >= 1 && atomic_load(&c.most) <= 3);
    CHECK_INT(atomic_load(&c.turns), 8 * 200);
    gate_done(&c.gate);
}

static void test_gate__waits_no_longer_than_told(void)
{
    struct gate g;
    gate_init(&g, 1);
    CHECK(gate_enter(&g, 0));
    CHECK(!gate_enter(&g, clock_mono_us() + 1000));
    gate_leave(&g);
    CHECK(gate_enter(&g, 0));
    gate_leave(&g);
    gate_done(&g);
}

int main(int argc, char **argv)
{
    static const struct test_case tests[] = {
        TEST(test_lease__an_epoch_ends_when_its_time_runs_out),
        TEST(test_lease__prolonged_late_counts_from_when_it_was_asked),
        TEST(test_gate__lets_no_more_in_than_it_has_places),
        TEST(test_gate__waits_no_longer_than_told),
    };
    return test_main(argc, argv, tests, ARRAY_LEN(tests));
}
