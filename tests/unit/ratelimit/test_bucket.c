#include "ratelimit/bucket.h"

#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "test.h"

#define SECOND INT64_C(1000000)
#define T0     (INT64_C(1795000000) * SECOND)

static struct bucket bucket(double rate, double capacity)
{
    struct pixl_error err = { 0 };
    struct bucket b;
    REQUIRE_OK(bucket_init(&b, rate, capacity, T0, &err), err);
    return b;
}

static int take_all(struct bucket *b, int64_t now)
{
    int64_t wait;
    int n = 0;
    while (n < 1000 && bucket_take(b, now, &wait))
        n++;
    return n;
}

static bool is_near(double a, double b)
{
    return fabs(a - b) < 1e-9;
}

/* The first four are what the system that pixl replaces promises of its bucket. */
static void test_bucket__a_fresh_one_is_full(void)
{
    struct bucket b = bucket(5, 5);
    CHECK_INT(take_all(&b, T0), 5);
}

static void test_bucket__one_per_second_comes_back_after_a_second(void)
{
    struct bucket b = bucket(1, 1);
    int64_t wait = -1;
    CHECK(bucket_take(&b, T0, &wait) && wait == 0);
    CHECK(!bucket_take(&b, T0, &wait));
    CHECK_INT(wait, SECOND);
    CHECK(!bucket_take(&b, T0 + SECOND - 1, &wait));
    CHECK_INT(wait, 1);
    CHECK(bucket_take(&b, T0 + SECOND, &wait));
}

static void test_bucket__rate_zero_is_stopped(void)
{
    struct pixl_error err = { 0 };
    struct bucket b = bucket(0, 5);
    int64_t wait = 0;
    CHECK(is_near(b.rate_per_s, 0));
    CHECK(!bucket_take(&b, T0 + 1000 * SECOND, &wait) && wait == INT64_MAX);
    wait = 0;
    CHECK(!bucket_reserve(&b, T0 + 1000 * SECOND, &wait) && wait == INT64_MAX);
    CHECK(is_near(b.tokens, 5));
    struct bucket_shared s;
    REQUIRE_OK(bucket_shared_init(&s, 0, 5, 0, &err), err);
    CHECK(!bucket_shared_take(&s, 99 * SECOND, &wait) && wait == INT64_MAX);
}

static void test_bucket__fractional_rates_are_kept(void)
{
    struct bucket b = bucket(0.5, 1);
    CHECK(is_near(b.rate_per_s, 0.5));
    CHECK_INT(take_all(&b, T0), 1);
    CHECK_INT(take_all(&b, T0 + 2 * SECOND - 1), 0);
    CHECK_INT(take_all(&b, T0 + 2 * SECOND), 1);
}

static void test_bucket__what_is_no_rate_is_refused(void)
{
    static const struct { const char *name; double rate, capacity; } rows[] = {
        { "NaN", NAN, 5 }, { "infinite", INFINITY, 5 }, { "negative", -1, 5 }, { "minus infinite", -INFINITY, 5 },
        { "capacity NaN", 1, NAN }, { "capacity below one", 1, 0.5 }, { "capacity infinite", 1, INFINITY },
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        test_row("%s", rows[i].name);
        struct pixl_error err = { 0 };
        struct bucket b = bucket(3, 7), before = b;
        struct bucket_shared s;
        CHECK_FAILS(bucket_init(&b, rows[i].rate, rows[i].capacity, T0, &err), err, PIXL_E_INVALID);
        CHECK_FAILS(bucket_shared_init(&s, rows[i].rate, rows[i].capacity, 0, &err), err, PIXL_E_INVALID);
        if (i < 4)
            CHECK_FAILS(bucket_set_rate(&b, rows[i].rate, T0 + SECOND, &err), err, PIXL_E_INVALID);
        CHECK(memcmp(&b, &before, sizeof b) == 0);
    }
}

static void test_bucket__reservations_wait_as_in_the_worked_example(void)
{
    struct bucket b = bucket(5, 5);
    int64_t wait = -1;
    for (int i = 0; i < 5; i++)
        CHECK(bucket_reserve(&b, T0, &wait) && wait == 0);
    CHECK(bucket_reserve(&b, T0, &wait));
    CHECK_INT(wait, 200000);
    CHECK(bucket_reserve(&b, T0, &wait));
    CHECK_INT(wait, 400000);
    CHECK(bucket_reserve(&b, T0 + 100000, &wait));
    CHECK_INT(wait, 500000);
    CHECK(!bucket_take(&b, T0 + 600000, &wait));
    CHECK_INT(wait, 200000);
}

static void test_bucket__a_refund_gives_back_what_nobody_else_waits_for(void)
{
    struct bucket b = bucket(5, 1);
    int64_t wait = -1;
    CHECK(bucket_reserve(&b, T0, &wait) && wait == 0);
    bucket_refund(&b, T0);
    bucket_refund(&b, T0);                          /* never above the capacity */
    CHECK(is_near(b.tokens, 1));
    CHECK(bucket_reserve(&b, T0, &wait) && wait == 0);
    CHECK(bucket_reserve(&b, T0, &wait) && wait == 200000);
    bucket_refund(&b, T0 + 100000);
    CHECK(bucket_reserve(&b, T0 + 100000, &wait));
    CHECK_INT(wait, 100000);
    /* Another waits at 400 ms.  Giving back the one at 200 ms would put two at 400 ms into a bucket of one. */
    CHECK(bucket_reserve(&b, T0 + 100000, &wait) && wait == 300000);
    bucket_refund(&b, T0 + 100000);
    CHECK(bucket_reserve(&b, T0 + 100000, &wait));
    CHECK_INT(wait, 500000);
}

static void test_bucket__a_change_of_rate_credits_the_past_at_the_old_one(void)
{
    struct pixl_error err = { 0 };
    struct bucket b = bucket(1, 100);
    CHECK_INT(take_all(&b, T0), 100);
    CHECK_OK(bucket_set_rate(&b, 50, T0 + 2 * SECOND, &err), err);
    CHECK_INT(take_all(&b, T0 + 2 * SECOND), 2);
    CHECK_INT(take_all(&b, T0 + 3 * SECOND), 50);
    CHECK_OK(bucket_set_rate(&b, 0, T0 + 3 * SECOND, &err), err);
    CHECK_OK(bucket_set_rate(&b, 50, T0 + 4000 * SECOND, &err), err);
    CHECK_INT(take_all(&b, T0 + 4000 * SECOND), 0);
    CHECK_INT(take_all(&b, T0 + 4000 * SECOND + 20000), 1);
}

static void test_bucket__a_clock_set_back_gives_no_credit_and_no_freeze(void)
{
    struct bucket b = bucket(2, 4);
    int64_t wait;
    CHECK_INT(take_all(&b, T0), 4);
    int64_t now = T0 - 3600 * SECOND;
    CHECK(!bucket_take(&b, now, &wait));
    CHECK_INT(wait, SECOND / 2);
    CHECK_INT(take_all(&b, now + SECOND / 2), 1);
    CHECK_INT(take_all(&b, now + 2 * SECOND), 3);
    CHECK_INT(take_all(&b, now + 3600 * SECOND), 4);        /* forward again: never more than the capacity */
    CHECK(bucket_reserve(&b, now, &wait));
    CHECK_INT(wait, SECOND / 2);
}

static void test_bucket__two_clocks_that_differ_are_not_credited_twice(void)
{
    struct bucket b = bucket(10, 1);
    int64_t wait, end = T0 + 10 * SECOND;
    int n = 0;
    for (int64_t now = T0; now < end; now += 5000)
        for (int64_t skew = 0; skew <= 900000; skew += 450000)
            n += bucket_take(&b, now - skew, &wait);
    CHECK(n >= 99 && n <= 101);
}

static void test_bucket__the_wait_that_is_told_is_enough_and_not_too_long(void)
{
    static const double rates[] = { 0.1, 0.3, 1.0 / 3, 3, 7, 0.001, 1e-7, 1e-10, 999.9, 1e6, 12345.678 };
    for (size_t i = 0; i < ARRAY_LEN(rates); i++) {
        test_row("rate %g", rates[i]);
        struct bucket b = bucket(rates[i], 2);
        int64_t now = T0, wait;
        for (int k = 0; k < 200; k++) {
            if (bucket_take(&b, now, &wait))
                continue;
            REQUIRE(wait > 0 && wait < INT64_MAX);
            int64_t less;
            if (wait > 2 && rates[i] > 1e-6) {
                CHECK(!bucket_take(&b, now + wait / 2, &less));       /* asking in between changes nothing */
                CHECK_INT(less, wait - wait / 2);
                CHECK(!bucket_take(&b, now + wait - 2, &less));
            }
            now += wait;
            CHECK(bucket_take(&b, now, &less));
        }
    }
}

static void test_bucket__a_taker_that_asks_all_the_time_starves_nobody(void)
{
    struct bucket b = bucket(1e-5, 1);
    int64_t wait, now = T0;
    CHECK(bucket_take(&b, now, &wait));
    for (int i = 0; i < 1000000; i++)
        CHECK(!bucket_take(&b, ++now, &wait));
    CHECK(bucket_take(&b, T0 + 100000 * SECOND, &wait));
}

static void test_bucket__extreme_times_do_not_overflow(void)
{
    struct bucket b = bucket(1e300, 3);
    int64_t wait;
    CHECK_INT(take_all(&b, INT64_MAX) > 0, 1);
    CHECK(!bucket_take(&b, INT64_MIN, &wait) || wait == 0);
    b = bucket(1e-300, 1);
    CHECK(bucket_reserve(&b, T0, &wait) && wait == 0);
    CHECK(!bucket_reserve(&b, T0, &wait) && wait == INT64_MAX);
    CHECK(!bucket_take(&b, T0 + SECOND, &wait) && wait == INT64_MAX);
}

/* The property itself: of all the moments at which tokens were used, no window holds more than rate * t + capacity,
 * but for the one microsecond to which moments are rounded. */
static int compare(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

static void check_windows(int64_t *at, size_t n, double rate, double capacity)
{
    qsort(at, n, sizeof *at, compare);
    for (size_t i = 0; i < n; i++)
        for (size_t j = i; j < n; j++) {
            double allowed = rate * (double)(at[j] - at[i] + 1) / 1e6 + capacity;
            if ((double)(j - i + 1) > allowed + 1e-6) {
                test_row("%zu tokens in %lld us at rate %g, capacity %g", j - i + 1, (long long)(at[j] - at[i]), rate,
                         capacity);
                CHECK(false && "too many tokens in a window");
                return;
            }
        }
}

static uint64_t next_random(uint64_t *x)
{
    *x ^= *x << 13;
    *x ^= *x >> 7;
    *x ^= *x << 17;
    return *x;
}

static void test_bucket__no_window_holds_too_many_whatever_the_sequence(void)
{
    enum { N = 1200 };
    static int64_t at[N];
    uint64_t seed = 88172645463325252u;
    for (int round = 0; round < 200; round++) {
        double rate = (double)(1 + next_random(&seed) % 5000) / 100,
               capacity = 1 + (double)(next_random(&seed) % 40) / 4;
        struct bucket b = bucket(rate, capacity);
        /* now: true time; the bucket sees it as a clock shows it that somebody sets back now and then. */
        int64_t now = T0, back = 0, waiting[4];
        size_t n = 0, held = 0;
        for (int step = 0; step < 2000 && n + held < N; step++) {
            uint64_t r = next_random(&seed);
            int64_t wait;
            now += (int64_t)(r >> 32) % ((r & 7) == 0 ? 2000000 : 20000);
            if ((r >> 16 & 63) == 0)
                back += (int64_t)(r >> 40) % 3000000;
            if ((r >> 8 & 3) != 0) {
                if (bucket_take(&b, now - back, &wait))
                    at[n++] = now;
            } else if (bucket_reserve(&b, now - back, &wait)) {
                if (wait > 0 && held < 4)
                    waiting[held++] = now + wait;
                else
                    at[n++] = now + wait;
            }
            while (held > 0 && (waiting[held - 1] <= now || (r >> 12 & 3) == 0)) {
                held--;
                if (waiting[held] > now)
                    bucket_refund(&b, now - back);          /* cancelled before its time */
                else
                    at[n++] = waiting[held];
            }
        }
        while (held > 0)
            at[n++] = waiting[--held];
        REQUIRE(n > 10);
        check_windows(at, n, rate, capacity);
    }
}

static void test_bucket__the_shared_one_agrees_with_the_stored_one(void)
{
    static const struct {
        double rate, capacity;
    } rows[] = { { 5, 5 }, { 1, 1 }, { 100, 3 }, { 0.5, 2.5 }, { 1e6, 1 } };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        test_row("rate %g capacity %g", rows[i].rate, rows[i].capacity);
        struct pixl_error err = { 0 };
        struct bucket_shared s;
        REQUIRE_OK(bucket_shared_init(&s, rows[i].rate, rows[i].capacity, T0, &err), err);
        struct bucket b = bucket(rows[i].rate, rows[i].capacity);
        int64_t now = T0, wait_s, wait_b;
        for (int k = 0; k < 500; k++) {
            bool taken = bucket_shared_take(&s, now, &wait_s);
            CHECK_INT(taken, bucket_take(&b, now, &wait_b));
            CHECK(wait_s - wait_b <= 1 && wait_b - wait_s <= 1);
            now += taken ? 0 : wait_s > wait_b ? wait_s : wait_b;
        }
    }
}

struct shared_run { struct bucket_shared b; int64_t *at; size_t n, room; };
enum { PER_THREAD = 4000, THREADS = 4, RATE = 20000, CAPACITY = 7 };
static struct bucket_shared shared;

static void *take_for_a_while(void *arg)
{
    struct shared_run *r = arg;
    int64_t end = clock_mono_us() + 150000, now, wait;
    while (r->n < r->room && (now = clock_mono_us()) < end)
        if (bucket_shared_take(&shared, now, &wait))
            r->at[r->n++] = now;
    return NULL;
}

static void test_bucket__no_window_of_the_shared_one_holds_too_many_with_threads(void)
{
    struct pixl_error err = { 0 };
    static int64_t all[THREADS * PER_THREAD];
    struct shared_run run[THREADS];
    pthread_t t[THREADS];
    REQUIRE_OK(bucket_shared_init(&shared, RATE, CAPACITY, clock_mono_us(), &err), err);
    for (size_t i = 0; i < THREADS; i++) {
        run[i] = (struct shared_run){ .at = all + i * PER_THREAD, .room = PER_THREAD };
        REQUIRE(pthread_create(&t[i], NULL, take_for_a_while, &run[i]) == 0);
    }
    size_t n = 0;
    for (size_t i = 0; i < THREADS; i++) {
        REQUIRE(pthread_join(t[i], NULL) == 0);
        memmove(all + n, run[i].at, run[i].n * sizeof *all);
        n += run[i].n;
    }
    CHECK(n > 100);
    check_windows(all, n, RATE, CAPACITY);
}

static void test_bucket__the_shared_one_gives_old_times_nothing(void)
{
    struct pixl_error err = { 0 };
    struct bucket_shared s;
    int64_t wait;
    REQUIRE_OK(bucket_shared_init(&s, 10, 1, 100 * SECOND, &err), err);
    CHECK(bucket_shared_take(&s, 100 * SECOND, &wait));
    CHECK(!bucket_shared_take(&s, 99 * SECOND, &wait));
    CHECK_INT(wait, SECOND + SECOND / 10);
    CHECK(bucket_shared_take(&s, 100 * SECOND + SECOND / 10, &wait));
    CHECK_FAILS(bucket_shared_init(&s, 1e-12, 1, 0, &err), err, PIXL_E_INVALID);
}

int main(int argc, char **argv)
{
    static const struct test_case tests[] = {
        TEST(test_bucket__a_fresh_one_is_full),
        TEST(test_bucket__one_per_second_comes_back_after_a_second),
        TEST(test_bucket__rate_zero_is_stopped),
        TEST(test_bucket__fractional_rates_are_kept),
        TEST(test_bucket__what_is_no_rate_is_refused),
        TEST(test_bucket__reservations_wait_as_in_the_worked_example),
        TEST(test_bucket__a_refund_gives_back_what_nobody_else_waits_for),
        TEST(test_bucket__a_change_of_rate_credits_the_past_at_the_old_one),
        TEST(test_bucket__a_clock_set_back_gives_no_credit_and_no_freeze),
        TEST(test_bucket__two_clocks_that_differ_are_not_credited_twice),
        TEST(test_bucket__the_wait_that_is_told_is_enough_and_not_too_long),
        TEST(test_bucket__a_taker_that_asks_all_the_time_starves_nobody),
        TEST(test_bucket__extreme_times_do_not_overflow),
        TEST(test_bucket__no_window_holds_too_many_whatever_the_sequence),
        TEST(test_bucket__the_shared_one_agrees_with_the_stored_one),
        TEST(test_bucket__no_window_of_the_shared_one_holds_too_many_with_threads),
        TEST(test_bucket__the_shared_one_gives_old_times_nothing),
    };
    return test_main(argc, argv, tests, ARRAY_LEN(tests));
}
