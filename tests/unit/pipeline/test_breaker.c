#include "pipeline/breaker.h"

#include "test.h"

#define S INT64_C(1000000)

static const struct pixl_error down = { .code = PIXL_E_UNAVAILABLE, .msg = "nobody answers" };

static void test_breaker__closed_allows_everybody(void)
{
    struct breaker b;
    bool probe = false;
    char why[200];
    enum pixl_code code;
    breaker_init(&b);
    for (int i = 0; i < 3; i++)
        CHECK(breaker_allows(&b, i, &probe));
    CHECK(!breaker_report(&b, probe, true, NULL, 5));
    CHECK(!breaker_why(&b, why, &code));
    CHECK(breaker_next_us(&b) == INT64_MIN);
    breaker_done(&b);
}

static void test_breaker__pauses_grow_to_five_minutes(void)
{
    struct breaker b;
    bool probe = false, other = true;
    int64_t now = 100 * S, pause = S;
    breaker_init(&b);
    CHECK(breaker_allows(&b, now, &probe));
    CHECK(breaker_report(&b, probe, false, &down, now));
    for (int i = 0; i < 12; i++) {
        test_row("probe %d", i);
        CHECK(!breaker_allows(&b, now + pause - 1, &probe));
        CHECK_INT(breaker_next_us(&b), now + pause);
        now += pause;
        CHECK(breaker_allows(&b, now, &probe));
        CHECK(!breaker_allows(&b, now, &other));                /* one probe only */
        CHECK(!breaker_report(&b, probe, false, &down, now));
        pause = pause * 2 < 300 * S ? pause * 2 : 300 * S;
    }
    breaker_done(&b);
}

static void test_breaker__late_reports_do_not_lengthen_the_pause(void)
{
    struct breaker b;
    bool probe = false;
    breaker_init(&b);
    CHECK(breaker_report(&b, probe, false, &down, 0));
    for (int i = 0; i < 20; i++)                        /* workers that were under way */
        CHECK(!breaker_report(&b, probe, false, &down, S / 2));
    CHECK(breaker_allows(&b, S, &probe));
    breaker_done(&b);
}

static void test_breaker__a_probe_that_works_closes_it(void)
{
    struct breaker b;
    bool probe = false;
    char why[200];
    enum pixl_code code;
    breaker_init(&b);
    CHECK(breaker_report(&b, probe, false, &down, 0));
    CHECK(breaker_why(&b, why, &code) && code == PIXL_E_UNAVAILABLE);
    CHECK_STR(str_of(why), "nobody answers");
    CHECK(breaker_allows(&b, S, &probe));
    CHECK(breaker_report(&b, probe, true, NULL, S));
    CHECK(breaker_allows(&b, S, &probe) && breaker_allows(&b, S, &probe));
    /* and the next outage starts with a short pause again */
    CHECK(breaker_report(&b, probe, false, &down, 10 * S));
    CHECK(breaker_allows(&b, 11 * S, &probe));
    breaker_done(&b);
}

static void test_breaker__an_unused_probe_is_free_again(void)
{
    struct breaker b;
    bool probe = false, other = true;
    breaker_init(&b);
    CHECK(breaker_report(&b, probe, false, &down, 0));
    CHECK(breaker_allows(&b, S, &probe) && probe);
    CHECK(!breaker_allows(&b, S, &other) && !other);
    breaker_unused(&b, other);                          /* one that is no probe frees nothing */
    CHECK(!breaker_allows(&b, S, &other));
    breaker_unused(&b, probe);
    CHECK(breaker_allows(&b, S, &probe));
    breaker_done(&b);
}

int main(int argc, char **argv)
{
    static const struct test_case tests[] = {
        TEST(test_breaker__closed_allows_everybody),
        TEST(test_breaker__pauses_grow_to_five_minutes),
        TEST(test_breaker__late_reports_do_not_lengthen_the_pause),
        TEST(test_breaker__a_probe_that_works_closes_it),
        TEST(test_breaker__an_unused_probe_is_free_again),
    };
    return test_main(argc, argv, tests, ARRAY_LEN(tests));
}
