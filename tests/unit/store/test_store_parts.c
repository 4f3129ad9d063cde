#include "store/series.h"

#include "store/key_hash.h"
#include "test.h"

static void test_series__union_is_a_sorted_set(void)
{
    static const struct { const char *a, *b, *want; } rows[] = {
        { "1.2", "1.2", "1.2" },
        { "1.3", "1.2", "1.2\\1.3" },
        { "1.2\\1.2", "1.2", "1.2" },
        { "", "1.2", "" },
        { "1.2", "", "" },
        { "", "", "" },
        { "1.10\\1.9", "1.2", "1.10\\1.2\\1.9" },
        { " 1.2 \\\\ 1.1", "1.1", "1.1\\1.2" },
        { "\\", "1.1", "" },
        { "1.1", "\\", "" },
        { "1.2\\", "1.1", "1.1\\1.2" },
    };
    buf_auto a;
    buf_auto b;
    buf_auto sum;
    buf_init(&a, STORE_SERIES_MAX);
    buf_init(&b, STORE_SERIES_MAX);
    buf_init(&sum, STORE_SERIES_MAX);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        test_row("'%s' and '%s'", rows[i].a, rows[i].b);
        CHECK(series_form(str_of(rows[i].a), &a) && series_form(str_of(rows[i].b), &b));
        CHECK(series_union(buf_str(&a), buf_str(&b), &sum));
        CHECK_STR(buf_str(&sum), rows[i].want);
    }
    buf_auto small;
    buf_init(&small, 4);
    CHECK(!series_union(STR("1.2"), STR("1.3"), &small));
    CHECK(!series_form(STR("1.2\\1.3"), &small));
}

static void test_series__covers_what_it_holds(void)
{
    static const struct { const char *have, *want; bool covers; } rows[] = {
        { "", "", true }, { "", "1.2", true }, { "1.2", "", false }, { "1.2", "1.2", true }, { "1.2", "1.3", false },
        { "1.2\\1.3\\1.4", "1.2\\1.4", true }, { "1.2\\1.4", "1.2\\1.3", false }, { "1.2", "1.2\\1.3", false },
        { "1.2\\1.3", "1.1", false }, { "1.2\\1.3", "1.4", false }, { "1.20", "1.2", false }, { "1.2", "1.20", false },
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        test_row("'%s' of '%s'", rows[i].want, rows[i].have);
        CHECK_INT(series_covers(str_of(rows[i].have), str_of(rows[i].want)), rows[i].covers);
    }
}

/* The hashes are stored: another compiler or machine must find the same. */
static void test_key_hash__is_the_same_for_ever(void)
{
    struct str parts[] = { STR("uid"), STR("1.2.840.1"), STR("") };
    CHECK_INT((int64_t)store_key_hash(parts, 3), INT64_C(-2247805394194898627));
    char n[STORE_KEY_NUMBER];
    CHECK(str_eq(store_key_number(0x0102030405060708, n), STR("\x08\x07\x06\x05\x04\x03\x02\x01")));
    CHECK(str_eq(store_key_number(-1, n), STR("\xff\xff\xff\xff\xff\xff\xff\xff")));
}

static void test_key_hash__tells_parts_apart(void)
{
    static const struct { const char *name; struct str a[2], b[2]; } rows[] = {
        { "the cut moved", { { "ab", 2 }, { "c", 1 } }, { { "a", 1 }, { "bc", 2 } } },
        { "order", { { "a", 1 }, { "b", 1 } }, { { "b", 1 }, { "a", 1 } } },
        { "empty first", { { "", 0 }, { "a", 1 } }, { { "a", 1 }, { "", 0 } } },
        { "NUL behind", { { "a", 1 }, { "b", 1 } }, { { "a\0", 2 }, { "b", 1 } } },
        { "long", { { "12345678", 8 }, { "123456789", 9 } }, { { "12345678", 8 }, { "123456780", 9 } } },
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        test_row("%s", rows[i].name);
        CHECK(store_key_hash(rows[i].a, 2) != store_key_hash(rows[i].b, 2));
        CHECK(store_key_hash(rows[i].a, 2) == store_key_hash(rows[i].a, 2));
    }
}

int main(int argc, char **argv)
{
    static const struct test_case tests[] = {
        TEST(test_series__union_is_a_sorted_set),
        TEST(test_series__covers_what_it_holds),
        TEST(test_key_hash__is_the_same_for_ever),
        TEST(test_key_hash__tells_parts_apart),
    };
    return test_main(argc, argv, tests, ARRAY_LEN(tests));
}
