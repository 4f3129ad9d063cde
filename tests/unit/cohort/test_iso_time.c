#include "test.h"

#include <string.h>

#include "cohort/cohort.h"
#include "study/iso_time.h"

static void test_iso_time__texts_are_read_and_written_as_python_does(void)
{
    static const struct { const char *text, *iso, *slug;
    } rows[] = {
        { "2020-06-10T18:00:00", "2020-06-10T18:00:00", "2020-06-10t18-00-00" },
        { "2023-12-07 14:08:58", "2023-12-07T14:08:58", "2023-12-07t14-08-58" },
        { "2023-12-07T14:08:58Z", "2023-12-07T14:08:58+00:00", "2023-12-07t14-08-58-00-00" },
        { "2023-12-07T14:08:58+00:00", "2023-12-07T14:08:58+00:00", "2023-12-07t14-08-58-00-00" },
        { "2023-12-07T14:08:58-00:00", "2023-12-07T14:08:58+00:00", "2023-12-07t14-08-58-00-00" },
        { "2023-12-07T14:08:58+01:00", "2023-12-07T14:08:58+01:00", "2023-12-07t14-08-58-01-00" },
        { "2023-12-07T14:08:58-01:00", "2023-12-07T14:08:58-01:00", "2023-12-07t14-08-58-minus-01-00" },
        { "2023-12-07T14:08:58+0530", "2023-12-07T14:08:58+05:30", "2023-12-07t14-08-58-05-30" },
        { "2023-12-07T14:08:58-09", "2023-12-07T14:08:58-09:00", "2023-12-07t14-08-58-minus-09-00" },
        { "2023-12-07T14:08:58+05:53:28", "2023-12-07T14:08:58+05:53:28", "2023-12-07t14-08-58-05-53-28" },
        { "2020-06-10T18:00:00.123456", "2020-06-10T18:00:00.123456", "2020-06-10t18-00-00-123456" },
        { "2020-06-10T18:00:00.123456+00:00", "2020-06-10T18:00:00.123456+00:00", "2020-06-10t18-00-00-123456-00-00" },
        { "2020-06-10T18:00:00.5", "2020-06-10T18:00:00.500000", "2020-06-10t18-00-00-500000" },
        { "2020-06-10T18:00:00.000000", "2020-06-10T18:00:00", "2020-06-10t18-00-00" },
        { "2020-06-10T18:00:00.123456789-01:00", "2020-06-10T18:00:00.123456-01:00",
          "2020-06-10t18-00-00-123456-minus-01-00" },
        { "2020-06-10T18:05", "2020-06-10T18:05:00", "2020-06-10t18-05-00" },
        { "2020-06-10", "2020-06-10T00:00:00", "2020-06-10t00-00-00" },
        { "2020-02-29", "2020-02-29T00:00:00", "2020-02-29t00-00-00" },
        { "0001-01-01T00:00:00", "0001-01-01T00:00:00", "0001-01-01t00-00-00" },
        { "9999-12-31T23:59:59.999999", "9999-12-31T23:59:59.999999", "9999-12-31t23-59-59-999999" },
    };
    struct arena a;
    arena_init(&a, 1 << 16);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        test_row("%s", rows[i].text);
        struct iso_time t, back;
        struct pixl_error err = { 0 };
        char text[ISO_TIME_SIZE];
        REQUIRE(iso_time_parse(str_of(rows[i].text), &t));
        iso_time_format(&t, text);
        CHECK_STR(str_of(text), rows[i].iso);
        struct str slug = { 0 };
        CHECK_OK(cohort_time_slug(&a, str_of(rows[i].text), &slug, &err), err);
        CHECK_STR(slug, rows[i].slug);
        REQUIRE(iso_time_parse_slug(slug, &back));
        CHECK(iso_time_to_us(&back) == iso_time_to_us(&t) && back.has_offset == t.has_offset &&
              back.offset_s == t.offset_s);
    }
    arena_done(&a);
}

static void test_iso_time__what_is_no_time_is_refused(void)
{
    static const char *const rows[] = {
        "",
        "2023",
        "2023-12",
        "2023-13-01",
        "2023-00-01",
        "2023-02-29",
        "1900-02-29",
        "2023-12-00",
        "2023-12-32",
        "0000-01-01",
        "2023-12-07T",
        "2023-12-07T14",
        "2023-12-07T24:00:00",
        "2023-12-07T14:60",
        "2023-12-07T14:08:60",
        "2023-12-07T14:08:58.",
        "2023-12-07T14:08:58.1234567890",
        "2023-12-07t14:08:58",
        "2023-12-07T14:08:58+",
        "2023-12-07T14:08:58+1",
        "2023-12-07T14:08:58+24:00",
        "2023-12-07T14:08:58+01:60",
        "2023-12-07T14:08:58Z ",
        " 2023-12-07",
        "2023-12-07T14:08:58 Z",
        "20231207T140858",
        "07/12/2023 14:08",
        "2023-12-07T14:08:58+01:00:00:00",
        "2023-12-7",
        "-023-12-07",
        "2023-12-07T1a:08",
        "2023-12-07T14:08:58ZZ",
    };
    struct arena a;
    arena_init(&a, 1 << 16);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        test_row("%s", rows[i]);
        struct iso_time t;
        struct pixl_error err = { 0 };
        struct str slug = STR("untouched");
        CHECK(!iso_time_parse(str_of(rows[i]), &t));
        CHECK_FAILS(cohort_time_slug(&a, str_of(rows[i]), &slug, &err), err, PIXL_E_INVALID);
        CHECK_STR(slug, "untouched");
    }
    arena_done(&a);
}

static void test_iso_time__what_is_no_folder_name_of_a_time_is_refused(void)
{
    static const char *const rows[] = {
        "",
        "latest",
        "2020-06-10",
        "2020-06-10t18-00",
        "2020-06-10t18-00-00-",
        "2020-06-10t18-00-00-12345",
        "2020-06-10t18-00-00-01",
        "2020-06-10t18-00-00--01-00",
        "2020-06-10T18-00-00",
        "2020-06-10t18-00-00-minus",
        "2020-06-10t18-00-00-1234567",
        "2020-06-10t18-00-00-123456-",
        "2020-06-10t24-00-00",
        "2020-06-31t18-00-00",
        "2020-06-10t18-00-00-24-00",
        ".2020-06-10t18-00-00",
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct iso_time t;
        test_row("%s", rows[i]);
        CHECK(!iso_time_parse_slug(str_of(rows[i]), &t));
    }
}

static void test_iso_time__instants_compare_across_offsets(void)
{
    static const struct { const char *text; int64_t us; const char *utc; } rows[] = {
        { "1970-01-01T00:00:00Z", 0, "1970-01-01T00:00:00+00:00" },
        { "1970-01-01T01:00:00+01:00", 0, "1970-01-01T00:00:00+00:00" },
        { "1969-12-31T19:00:00.000001-05:00", 1, "1970-01-01T00:00:00.000001+00:00" },
        { "1969-12-31T23:59:59.999999", -1, "1969-12-31T23:59:59.999999+00:00" },
        { "2000-02-29T23:30:00-01:00", 951870600000000, "2000-03-01T00:30:00+00:00" },
        { "2023-12-07T14:08:58", 1701958138000000, "2023-12-07T14:08:58+00:00" },
        { "2024-12-31T23:59:59-23:59", 1735775939000000, "2025-01-01T23:58:59+00:00" },
        { "0001-01-01T00:00:00", -62135596800000000, "0001-01-01T00:00:00+00:00" },
        { "9999-12-31T23:59:59Z", 253402300799000000, "9999-12-31T23:59:59+00:00" },
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        test_row("%s", rows[i].text);
        struct iso_time t;
        char text[ISO_TIME_SIZE];
        REQUIRE(iso_time_parse(str_of(rows[i].text), &t));
        CHECK_INT(iso_time_to_us(&t), rows[i].us);
        struct iso_time u = iso_time_to_utc(&t);
        iso_time_format(&u, text);
        CHECK_STR(str_of(text), rows[i].utc);
    }
}

/* Every day of four centuries there and back: the calendar arithmetic has no hole. */
static void test_iso_time__days_go_there_and_back(void)
{
    int64_t before = 0;
    for (int y = 1900; y <= 2300; y++)
        for (int m = 1; m <= 12; m++)
            for (int d = 1; iso_time_is_day(y, m, d); d++) {
                struct iso_time t = { .year = y, .month = m, .day = d, .has_offset = true };
                struct iso_time u = iso_time_to_utc(&t);
                REQUIRE(u.year == y && u.month == m && u.day == d);
                int64_t us = iso_time_to_us(&t);
                REQUIRE(before == 0 || us - before == INT64_C(86400000000));
                before = us;
            }
}

static void test_iso_time__no_room_for_the_name_is_an_error(void)
{
    struct arena a;
    arena_init(&a, 1);
    struct pixl_error err = { 0 };
    struct str slug = STR("untouched");
    CHECK_FAILS(cohort_time_slug(&a, STR("2020-06-10T18:00:00"), &slug, &err), err, PIXL_E_NOMEM);
    CHECK_STR(slug, "untouched");
    arena_done(&a);
}

int main(int argc, char **argv)
{
    static const struct test_case tests[] = {
        TEST(test_iso_time__texts_are_read_and_written_as_python_does),
        TEST(test_iso_time__what_is_no_time_is_refused),
        TEST(test_iso_time__what_is_no_folder_name_of_a_time_is_refused),
        TEST(test_iso_time__instants_compare_across_offsets),
        TEST(test_iso_time__days_go_there_and_back),
        TEST(test_iso_time__no_room_for_the_name_is_an_error),
    };
    return test_main(argc, argv, tests, ARRAY_LEN(tests));
}
