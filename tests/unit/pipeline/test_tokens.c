#include "pipeline/tokens.h"

#include <math.h>
#include <stdio.h>

#include "pipeline/settle.h"
#include "test.h"

#define S INT64_C(1000000)

static struct store *open_store(void)
{
    struct store *s = NULL;
    struct pixl_error err = { 0 };
    char url[1100];
    (void)snprintf(url, sizeof url, "sqlite:%s", test_path("t.db"));
    REQUIRE_OK(store_open(url, &s, &err), err);
    return s;
}

static int64_t reserve(struct store *s, int64_t now_us)
{
    struct pixl_error err = { 0 };
    bool granted = false;
    int64_t wait_us = -1;
    REQUIRE_OK(tokens_reserve(s, "vna", -1, now_us, &granted, &wait_us, &err), err);
    return granted ? wait_us : -1;
}

static void test_tokens__nobody_passes_before_a_rate_is_set(void)
{
    store_auto *s = open_store();
    double rate;
    bool is_set = true;
    struct pixl_error err = { 0 };
    CHECK_OK(tokens_rate(s, "vna", &rate, &is_set, &err), err);
    CHECK(!is_set);
    CHECK_INT(reserve(s, S), -1);
}

static void test_tokens__a_burst_then_one_by_one(void)
{
    store_auto *s = open_store();
    struct pixl_error err = { 0 };
    REQUIRE_OK(tokens_set_rate(s, "vna", 5, 100 * S, &err), err);
    for (int i = 0; i < 5; i++)
        CHECK_INT(reserve(s, 100 * S), 0);
    CHECK_INT(reserve(s, 100 * S), S / 5);
    CHECK_INT(reserve(s, 100 * S), 2 * S / 5);
}

static void test_tokens__survive_a_restart(void)
{
    store_auto *s = open_store();
    struct pixl_error err = { 0 };
    double rate = 0;
    bool is_set = false;
    REQUIRE_OK(tokens_set_rate(s, "vna", 2, 100 * S, &err), err);
    for (int i = 0; i < 5; i++)
        CHECK_INT(reserve(s, 100 * S), 0);
    store_close(PIXL_STEAL(&s));
    s = open_store();
    CHECK_OK(tokens_rate(s, "vna", &rate, &is_set, &err), err);
    CHECK(is_set && rate >= 2 && rate <= 2);
    CHECK_INT(reserve(s, 100 * S), S / 2);
}

static void test_tokens__rate_zero_stops_and_what_is_none_is_refused(void)
{
    store_auto *s = open_store();
    struct pixl_error err = { 0 };
    REQUIRE_OK(tokens_set_rate(s, "vna", 0, 100 * S, &err), err);
    CHECK_INT(reserve(s, 200 * S), -1);
    CHECK_FAILS(tokens_set_rate(s, "vna", (double)NAN, 200 * S, &err), err, PIXL_E_INVALID);
    CHECK_FAILS(tokens_set_rate(s, "vna", -1, 200 * S, &err), err, PIXL_E_INVALID);
    CHECK_INT(reserve(s, 200 * S), -1);
}

static void test_tokens__an_unused_one_is_given_back(void)
{
    store_auto *s = open_store();
    struct pixl_error err = { 0 };
    REQUIRE_OK(tokens_set_rate(s, "vna", 1, 100 * S, &err), err);
    for (int i = 0; i < 5; i++)
        CHECK_INT(reserve(s, 100 * S), 0);
    CHECK_OK(tokens_refund(s, "vna", 100 * S, &err), err);
    CHECK_INT(reserve(s, 100 * S), 0);
    CHECK_INT(reserve(s, 100 * S), S);
}

static void test_settle__pauses_grow_and_stay_within_ten_minutes(void)
{
    int64_t longest = 0;
    for (int attempt = 1; attempt < 100; attempt++)
        for (uint32_t r = 0; r < 2048; r += 97) {
            int64_t p = settle_pause_us(attempt, r);
            test_row("attempt %d", attempt);
            CHECK(p >= S * 3 / 4 && p <= 600 * S);
            longest = p > longest ? p : longest;
        }
    CHECK(longest > 590 * S);
    CHECK(settle_pause_us(1, 0) == S && settle_pause_us(2, 0) == 4 * S && settle_pause_us(3, 0) == 16 * S);
}

int main(int argc, char **argv)
{
    static const struct test_case tests[] = {
        TEST(test_tokens__nobody_passes_before_a_rate_is_set),
        TEST(test_tokens__a_burst_then_one_by_one),
        TEST(test_tokens__survive_a_restart),
        TEST(test_tokens__rate_zero_stops_and_what_is_none_is_refused),
        TEST(test_tokens__an_unused_one_is_given_back),
        TEST(test_settle__pauses_grow_and_stay_within_ten_minutes),
    };
    return test_main(argc, argv, tests, ARRAY_LEN(tests));
}
