#include "base/str.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/secret.h"
#include "test.h"

static void test_str__unsigned_numbers_are_whole_and_bounded(void)
{
    static const struct { const char *s; bool ok; uint64_t want;
    } rows[] = {
        { "0", true, 0 },
        { "007", true, 7 },
        { "18446744073709551615", true, UINT64_MAX },
        { "18446744073709551616", false, 0 },
        { "99999999999999999999999", false, 0 },
        { "", false, 0 },
        { "-1", false, 0 },
        { "+1", false, 0 },
        { " 1", false, 0 },
        { "1 ", false, 0 },
        { "1a", false, 0 },
        { "0x1", false, 0 },
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        test_row("'%s'", rows[i].s);
        uint64_t v = 42;
        CHECK_INT(str_to_u64(str_of(rows[i].s), &v), rows[i].ok);
        CHECK(v == (rows[i].ok ? rows[i].want : 42));
    }
}

static void test_str__signed_numbers_reach_both_ends(void)
{
    static const struct { const char *s; bool ok; int64_t want; } rows[] = {
        { "9223372036854775807", true, INT64_MAX },  { "9223372036854775808", false, 0 },
        { "-9223372036854775808", true, INT64_MIN }, { "-9223372036854775809", false, 0 },
        { "-0", true, 0 }, { "-", false, 0 }, { "--1", false, 0 }, { "", false, 0 },
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        test_row("'%s'", rows[i].s);
        int64_t v = 42;
        CHECK_INT(str_to_i64(str_of(rows[i].s), &v), rows[i].ok);
        CHECK(v == (rows[i].ok ? rows[i].want : 42));
    }
}

static void test_str__doubles_are_finite_and_decimal(void)
{
    static const struct { const char *s; bool ok; double want; } rows[] = {
        { "0.5", true, 0.5 },   { "-1e3", true, -1000 }, { "5", true, 5 },     { "nan", false, 0 },
        { "inf", false, 0 },    { "0x10", false, 0 },    { "1e999", false, 0 }, { "", false, 0 },
        { "1 ", false, 0 },     { "1e", false, 0 },      { ".", false, 0 },    
        { "1.2.3", false, 0 },
        { "11111111111111111111111111111111111111111111111111111111111111111111", false, 0 },
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        test_row("'%s'", rows[i].s);
        double v = 42;
        CHECK_INT(str_to_double(str_of(rows[i].s), &v), rows[i].ok);
        CHECK(fabs(v - (rows[i].ok ? rows[i].want : 42)) < 1e-12);
    }
    double v = 42;
    CHECK(!str_to_double((struct str){ "1\0", 2 }, &v) && v > 41);
}

static void test_str__utf8_is_checked_to_the_letter(void)
{
    static const struct { const char *name; struct str s; bool want; } rows[] = {
        { "empty", { 0 }, true },
        { "ASCII", { "abc", 3 }, true },
        { "NUL", { "\0", 1 }, true },
        { "two bytes", { "\xC3\xA9", 2 }, true },
        { "last character", { "\xF4\x8F\xBF\xBF", 4 }, true },
        { "beyond it", { "\xF4\x90\x80\x80", 4 }, false },
        { "surrogate", { "\xED\xA0\x80", 3 }, false },
        { "before surrogates", { "\xED\x9F\xBF", 3 }, true },
        { "overlong slash", { "\xC0\xAF", 2 }, false },
        { "overlong three", { "\xE0\x9F\xBF", 3 }, false },
        { "overlong four", { "\xF0\x8F\xBF\xBF", 4 }, false },
        { "cut", { "\xE2\x82", 2 }, false },
        { "continuation alone", { "\x80", 1 }, false },
        { "FF", { "\xFF", 1 }, false },
        { "bad third byte", { "\xE2\x82\x28", 3 }, false },
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        test_row("%s", rows[i].name);
        CHECK_INT(str_is_utf8(rows[i].s), rows[i].want);
    }
}

static void test_str__what_a_terminal_would_obey_is_escaped(void)
{
    static const struct { const char *name; struct str s; const char *want; } rows[] = {
        { "empty", { 0 }, "" },
        { "letters", { "a b/\xC3\xA9", 6 }, "a b/\xC3\xA9" },
        { "escape, newline, DEL", { "a\x1B[2J\n\x7F", 7 }, "a\\x1b[2J\\x0a\\x7f" },
        { "NUL", { "a\0b", 3 }, "a\\x00b" },
        { "C1", { "\xC2\x9B" "31m", 5 }, "\\xc2\\x9b31m" },
        { "behind C1", { "\xC2\xA0", 2 }, "\xC2\xA0" },
        { "no UTF-8", { "\x9B\xE2\x82", 3 }, "\\x9b\\xe2\\x82" },
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct buf b;
        test_row("%s", rows[i].name);
        buf_init(&b, 100);
        CHECK(buf_add_visible(&b, rows[i].s));
        CHECK_STR(buf_str(&b), rows[i].want);
        buf_done(&b);
    }
    struct buf b;
    buf_init(&b, 6);
    CHECK(!buf_add_visible(&b, STR("\x1B\x1B")) && b.failed);
    buf_done(&b);
}

static void test_str__views_compare_split_and_trim(void)
{
    struct str head = { 0 }, rest = { 0 };
    CHECK(str_eq(STR("a"), STR("a")) && !str_eq(STR("a"), STR("ab")) && str_eq((struct str){ 0 }, STR("")));
    CHECK(str_eq_nocase(STR("aB"), STR("Ab")) && !str_eq_nocase(STR("a"), STR("b")));
    CHECK(str_is_prefix(STR("abc"), STR("ab")) && str_is_prefix(STR("a"), STR("")) &&
          !str_is_prefix(STR("a"), STR("ab")));
    CHECK(str_cmp(STR("a"), STR("b")) < 0 && str_cmp(STR("ab"), STR("a")) > 0 &&
          str_cmp(STR(""), (struct str){ 0 }) == 0);
    CHECK(str_cmp(STR("\xFF"), STR("a")) > 0);
    CHECK_STR(str_trim(STR(" \t a b\r\n")), "a b");
    CHECK_INT(str_trim(STR(" \n ")).n, 0);
    CHECK_INT(str_trim((struct str){ 0 }).n, 0);
    CHECK(str_split(STR("a=b=c"), '=', &head, &rest));
    CHECK_STR(head, "a");
    CHECK_STR(rest, "b=c");
    CHECK(!str_split(STR("abc"), '=', &head, &rest));
    CHECK_STR(head, "abc");
    CHECK_INT(rest.n, 0);
    CHECK(!str_split((struct str){ 0 }, '=', &head, &rest));
    CHECK_INT(str_of(NULL).n, 0);
}

static void test_str__a_buf_never_grows_past_its_ceiling(void)
{
    for (size_t max = 0; max < 300; max++) {
        buf_auto b = { 0 };
        buf_init(&b, max);
        size_t n = 0;
        while (buf_add_char(&b, (char)('a' + n % 26)))
            n++;
        CHECK(n == max && b.n == max && b.failed && b.cap <= max + 1);
        CHECK(max == 0 || (b.p[max] == '\0' && b.p[max - 1] == (char)('a' + (max - 1) % 26)));
        CHECK(!buf_add(&b, "", 0));                     /* failed stays failed */
        buf_clear(&b);
        CHECK(b.n == 0 && !b.failed && buf_cstr(&b)[0] == '\0');
        CHECK_INT(buf_add(&b, "x", 1), max > 0);
    }
}

static void test_str__a_failed_append_leaves_what_was_there(void)
{
    buf_auto b = { 0 };
    buf_init(&b, 5);
    CHECK(buf_add_cstr(&b, "abc"));
    CHECK(!buf_addf(&b, "%d", 12345));
    CHECK_STR(buf_str(&b), "abc");
    CHECK(!buf_add_cstr(&b, "d"));
    CHECK_STR(str_of(buf_cstr(&b)), "abc");
    buf_done(&b);
    CHECK(b.p == NULL && b.max == 5 && !b.failed);
}

static void test_str__appends_that_overflow_fail(void)
{
    buf_auto b = { 0 };
    buf_init(&b, SIZE_MAX);
    CHECK(buf_add(&b, "abc", 3));
    CHECK(!buf_add(&b, "abc", SIZE_MAX - 3));           /* not read: refused by its length */
    buf_clear(&b);
    CHECK(!buf_add(&b, "abc", SIZE_MAX));
#ifndef PIXL_SANITIZED                           /* AddressSanitizer ends a program that asks realloc for so much */
    buf_clear(&b);
    CHECK(!buf_add(&b, "abc", SIZE_MAX - 1));
#endif
}

static void test_str__a_buf_builds_what_was_added(void)
{
    buf_auto b = { 0 };
    buf_init(&b, 1 << 16);
    CHECK_STR(str_of(buf_cstr(&b)), "");
    CHECK(buf_add_str(&b, STR("a\0b")) && buf_addf(&b, "%s-%03d", "x", 7) && buf_add_str(&b, (struct str){ 0 }));
    CHECK(b.n == 8 && memcmp(b.p, "a\0bx-007", 9) == 0);
    for (int i = 0; i < 1000; i++)
        CHECK(buf_addf(&b, "%d,", i));
    CHECK(strlen(b.p + 3) == b.n - 3);
}

static void test_str__a_secret_is_copied_and_wiped(void)
{
    struct pixl_error err = { 0 };
    struct secret s = { 0 }, empty = { 0 };
    char text[] = "password";
    REQUIRE_OK(secret_set(&s, str_of(text), &err), err);
    memset(text, 'x', sizeof text);
    CHECK_STR(secret_reveal(&s), "password");
    CHECK_INT(s.bytes_[8], 0);
    secret_done(&s);
    CHECK(s.bytes_ == NULL && s.n == 0);
    secret_done(&s);
    REQUIRE_OK(secret_set(&empty, (struct str){ 0 }, &err), err);
    CHECK_INT(secret_reveal(&empty).n, 0);
    secret_done(&empty);
}

static void test_str__times_are_written_in_iso(void)
{
    static const struct { int64_t us; const char *want; } rows[] = {
        { 0, "1970-01-01T00:00:00.000000Z" },
        { 951782400000001, "2000-02-29T00:00:00.000001Z" },
        { 1795458642123456, "2026-11-23T18:30:42.123456Z" },
        { 253402300799999999, "9999-12-31T23:59:59.999999Z" },
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        char out[CLOCK_ISO_SIZE];
        clock_iso(rows[i].us, out);
        CHECK_STR(str_of(out), rows[i].want);
    }
    int64_t a = clock_mono_us(), b = clock_mono_us();
    CHECK(b >= a && clock_wall_us() > 1700000000000000);
}

int main(int argc, char **argv)
{
    static const struct test_case tests[] = {
        TEST(test_str__unsigned_numbers_are_whole_and_bounded),
        TEST(test_str__signed_numbers_reach_both_ends),
        TEST(test_str__doubles_are_finite_and_decimal),
        TEST(test_str__utf8_is_checked_to_the_letter),
        TEST(test_str__what_a_terminal_would_obey_is_escaped),
        TEST(test_str__views_compare_split_and_trim),
        TEST(test_str__a_buf_never_grows_past_its_ceiling),
        TEST(test_str__a_failed_append_leaves_what_was_there),
        TEST(test_str__appends_that_overflow_fail),
        TEST(test_str__a_buf_builds_what_was_added),
        TEST(test_str__a_secret_is_copied_and_wiped),
        TEST(test_str__times_are_written_in_iso),
    };
    return test_main(argc, argv, tests, ARRAY_LEN(tests));
}
