#include "config/windows.h"

#include <stdlib.h>
#include <time.h>

#include "config/settings.h"
#include "test.h"

#define REFERENCE "mon-fri 00:00-08:00,20:00:01-24:00"
#define S         INT64_C(1000000)

static struct pixl_error err;

static void zone(const char *tz)
{
    REQUIRE(setenv("TZ", tz, 1) == 0);
    tzset();
}

/* "2026-03-29T00:59:59" of UTC. */
static int64_t at(const char *utc)
{
    struct tm tm = { 0 };
    const char *end = strptime(utc, "%Y-%m-%dT%H:%M:%S", &tm);
    REQUIRE(end != NULL && *end == '\0');
    return (int64_t)timegm(&tm) * S;
}

static struct windows parsed(const char *text)
{
    struct windows w = { .n = 99 };
    REQUIRE_OK(windows_parse(str_of(text), &w, &err), err);
    return w;
}

static void test_windows__are_read_or_refused_with_the_place(void)
{
    static const struct {
        const char *text, *error;
    } rows[] = {
        { "mon-fri 00:00-08:00,20:00-24:00", NULL },
        { "MON,wed-Thu 00:00:01-00:00:02 @ 2.5 ; sat-sun 00:00-24:00", NULL },
        { "fri-mon 10:00-11:00, 12:00-13:00 @1e-3", NULL },
        { "", "at character 1: a day" },
        { "moo 00:00-01:00", "at character 1: a day" },
        { "mon-", "at character 5: a day" },
        { "mon", "at character 4: a blank" },
        { "mon 8:00-09:00", "a time from 00:00" },
        { "mon 08:60-09:00", "a time from 00:00" },
        { "mon 08:00-24:01", "a time from 00:00" },
        { "mon 08:00", "at character 10: '-'" },
        { "mon 20:00-08:00", "over midnight" },
        { "mon 08:00-08:00", "ends before" },
        { "mon 08:00-09:00 @0", "at character 18: a rate" },
        { "mon 08:00-09:00 @nan", "a rate" },
        { "mon 08:00-09:00 @", "a rate" },
        { "mon 08:00-09:00;", "at character 17: a day" },
        { "mon 08:00-09:00 x", "at character 17: ','" },
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        test_row("%s", rows[i].text);
        struct windows w = { .n = 99 };
        bool ok = windows_parse(str_of(rows[i].text), &w, &err);
        CHECK_INT(ok, rows[i].error == NULL);
        CHECK(ok ? w.n != 99 : w.n == 99 && err.code == PIXL_E_INVALID && strstr(err.msg, rows[i].error) != NULL);
        pixl_error_clear(&err);
    }
    char many[WINDOWS_MAX * 20 + 40] = "mon 00:00-00:01";
    for (int i = 0; i < WINDOWS_MAX; i++)
        (void)snprintf(many + strlen(many), sizeof many - strlen(many), ",00:00-00:01");
    struct windows w;
    CHECK_FAILS(windows_parse(str_of(many), &w, &err), err, PIXL_E_INVALID);
}

/* 2026 in London: Mon 23 March is GMT; on Sun 29 March 01:00 GMT becomes 02:00 BST; on Sun 25 October 02:00 BST
 * becomes 01:00 GMT. */
static void test_windows__follow_the_clock_on_the_wall(void)
{
    static const struct {
        const char *text, *utc;
        bool open;
        const char *opens;
    } rows[] = {
        { REFERENCE, "2026-03-23T07:59:59", true, NULL },
        { REFERENCE, "2026-03-23T08:00:00", false, "2026-03-23T20:00:01" },
        { REFERENCE, "2026-03-23T20:00:00", false, "2026-03-23T20:00:01" },
        { REFERENCE, "2026-03-23T20:00:01", true, NULL },
        { REFERENCE, "2026-03-27T23:59:59", true, NULL },
        { REFERENCE, "2026-03-28T00:00:00", false, "2026-03-29T23:00:00" }, /* Sat; Monday begins in BST */
        { REFERENCE, "2026-03-29T22:59:59", false, "2026-03-29T23:00:00" },
        { REFERENCE, "2026-03-29T23:00:00", true, NULL },
        { REFERENCE, "2026-03-30T06:59:59", true, NULL },
        { REFERENCE, "2026-03-30T07:00:00", false, "2026-03-30T19:00:01" },
        { REFERENCE, "2026-10-23T22:59:59", true, NULL },                           /* Fri */
        { REFERENCE, "2026-10-23T23:00:00", false, "2026-10-26T00:00:00" },         /* Sat in BST; Monday in GMT */
        { "sun 01:00-02:00", "2026-03-29T00:59:59", false, "2026-04-05T00:00:00" }, /* that hour is skipped */
        { "sun 01:00-02:00", "2026-03-29T01:00:00", false, "2026-04-05T00:00:00" },
        { "sun 02:00-03:00", "2026-03-29T00:59:59", false, "2026-03-29T01:00:00" },
        { "sun 01:30-02:30", "2026-03-29T00:59:59", false, "2026-03-29T01:00:00" }, /* what is left of it */
        { "sun 01:00-02:00", "2026-10-25T00:30:00", true, NULL },                   /* and that one comes twice */
        { "sun 01:00-02:00", "2026-10-25T01:30:00", true, NULL },
        { "sun 01:00-02:00", "2026-10-25T02:00:00", false, "2026-11-01T01:00:00" },
        { "sun 01:15-01:30", "2026-10-25T00:30:00", false, "2026-10-25T01:15:00" },
        { "mon 00:00-24:00", "2026-03-29T23:00:00", true, NULL },
        { "mon 00:00-24:00", "2026-03-30T22:59:59", true, NULL },
        { "mon 00:00-24:00", "2026-03-30T23:00:00", false, "2026-04-05T23:00:00" },
    };
    zone("Europe/London");
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        test_row("%s at %s", rows[i].text, rows[i].utc);
        const struct windows w = parsed(rows[i].text);
        const int64_t now = at(rows[i].utc);
        CHECK_INT(windows_open(&w, now, NULL), rows[i].open);
        CHECK_INT(windows_opens_us(&w, now), rows[i].open ? now : at(rows[i].opens));
    }
    char text[WINDOWS_TIME_SIZE];
    windows_time(at("2026-03-30T19:00:01"), text);
    CHECK_STR(str_of(text), "Mon 20:00");
    zone("UTC");
    const struct windows w = parsed(REFERENCE);
    CHECK(windows_open(&w, at("2026-03-30T07:30:00"), NULL));
}

static void test_windows__the_rate_is_of_the_open_ones(void)
{
    double rate;
    zone("UTC");
    const struct windows w = parsed("mon 00:00-04:00 @2; mon 02:00-06:00 @3; mon 05:00-07:00"), none = { .n = 0 };
    CHECK(windows_open(&w, at("2026-03-23T01:00:00"), &rate) && rate == 2);
    CHECK(windows_open(&w, at("2026-03-23T03:00:00"), &rate) && rate == 3);
    CHECK(windows_open(&w, at("2026-03-23T05:30:00"), &rate) && rate < 0);
    CHECK(!windows_open(&w, at("2026-03-23T08:00:00"), &rate) && rate < 0);
    CHECK(windows_open(&none, at("2026-03-23T08:00:00"), &rate) && rate < 0);
    CHECK_INT(windows_opens_us(&none, 5), 5);
    CHECK(windows_is_zone("Europe/London") && windows_is_zone("") && windows_is_zone("GMT0BST,M3.5.0/1,M10.5.0"));
    CHECK(!windows_is_zone("Europe/Londn") && !windows_is_zone("../zoneinfo/UTC"));
}

static void test_windows__are_settings(void)
{
    struct settings s = { 0 };
    const char *none[] = { NULL }, *own[] = { "PIXL_SECONDARY_WINDOWS=sat 00:00-24:00", NULL },
               *bad[] = { "PIXL_PRIMARY_WINDOWS=mon 09:00", NULL };
    REQUIRE_OK(settings_load(none, NULL, NULL, &s, &err), err);
    CHECK_INT(s.primary_windows.n, 0);
    CHECK_INT(s.secondary_windows.n, 2);
    settings_done(&s);
    s = (struct settings){ 0 };
    REQUIRE_OK(settings_load(own, NULL, NULL, &s, &err), err);
    CHECK_INT(s.secondary_windows.n, 1);
    settings_done(&s);
    s = (struct settings){ 0 };
    CHECK(!settings_load(bad, NULL, NULL, &s, &err));
    CHECK_STR(str_of(err.msg), "environment: PIXL_PRIMARY_WINDOWS: at character 10: '-' and a second time are wanted");
}

int main(int argc, char **argv)
{
    static const struct test_case tests[] = {
        TEST(test_windows__are_read_or_refused_with_the_place),
        TEST(test_windows__follow_the_clock_on_the_wall),
        TEST(test_windows__the_rate_is_of_the_open_ones),
        TEST(test_windows__are_settings),
    };
    return test_main(argc, argv, tests, ARRAY_LEN(tests));
}
