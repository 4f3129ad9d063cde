#include "base/tz_file.h"

#include <stdlib.h>
#include <string.h>

#include "base/fs.h"
#include "test.h"

static struct pixl_error err;

static void make(const char *name, struct str bytes)
{
    REQUIRE_OK(fs_write_whole(test_path(name), bytes, 0600, &err), err);
}

static void make_database(void)
{
    REQUIRE_OK(fs_make_dirs(test_path("db/Europe"), 0700, &err), err);
    make("outside", STR("secret"));
    make("db/Europe/London", STR("TZif"));
    make("db/Etc_GMT+5", STR("five"));
    make("db/zone.tab", STR("text"));
    (void)setenv("TZDIR", test_path("db"), 1);
}

static void test_tz_file__names_lead_to_files_below_the_folder(void)
{
    struct arena a;
    struct str bytes;
    arena_init(&a, 1 << 20);
    make_database();
    CHECK(tz_file_is_there(STR("Europe/London")));
    REQUIRE_OK(tz_file_read(&a, STR("Europe/London"), &bytes, &err), err);
    CHECK_STR(bytes, "TZif");
    REQUIRE_OK(tz_file_read(&a, STR("Etc_GMT+5"), &bytes, &err), err);
    CHECK_STR(bytes, "five");
    arena_done(&a);
}

static void test_tz_file__other_names_lead_nowhere(void)
{
    static const char *const names[] = {
        "",
        "/",
        "Europe",
        "Europe/",
        "/Europe/London",
        "Europe//London",
        "Europe/../Europe/London",
        "../outside",
        "..",
        ".",
        "./Europe/London",
        "zone.tab",
        "Europe/Paris",
        "Europe\\London",
        "Europe/London ",
        "Europe/London\n",
        "Europe%2FLondon",
        "~",
        "Z\xc3\xbcrich",
        "A23456789012345678901234567890123456789012345678901234567890123456789",
    };
    struct arena a;
    arena_init(&a, 1 << 20);
    make_database();
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        struct str bytes = STR("before");
        test_row("%s", names[i]);
        bool ok = tz_file_read(&a, str_of(names[i]), &bytes, &err);
        CHECK(!ok && (err.code == PIXL_E_NOT_FOUND || strcmp(names[i], "Europe") == 0));
        CHECK(strstr(err.msg, "urope") == NULL);
        CHECK_STR(bytes, "before");
        pixl_error_clear(&err);
    }
    struct str bytes;
    CHECK_FAILS(tz_file_read(&a, (struct str){ "Europe/London\0", 14 }, &bytes, &err), err, PIXL_E_NOT_FOUND);
    CHECK(!tz_file_is_there(STR("../outside")) && !tz_file_is_there(STR("Europe/Paris")));
    arena_done(&a);
}

static void test_tz_file__a_large_file_or_no_database(void)
{
    struct arena a;
    struct str bytes;
    static char many[TZ_FILE_MAX + 1];
    arena_init(&a, 1 << 20);
    make_database();
    make("db/Large", (struct str){ many, sizeof many });
    CHECK_FAILS(tz_file_read(&a, STR("Large"), &bytes, &err), err, PIXL_E_LIMIT);
    (void)setenv("TZDIR", test_path("nowhere"), 1);
    CHECK_FAILS(tz_file_read(&a, STR("Europe/London"), &bytes, &err), err, PIXL_E_NOT_FOUND);
    char deep[600];
    memset(deep, 'x', sizeof deep - 1);
    deep[0] = '/';
    deep[sizeof deep - 1] = '\0';
    (void)setenv("TZDIR", deep, 1);
    CHECK_FAILS(tz_file_read(&a, STR("Europe/London"), &bytes, &err), err, PIXL_E_NOT_FOUND);
    (void)setenv("TZDIR", "", 1);
    CHECK_OK(tz_file_read(&a, STR("Europe/London"), &bytes, &err), err);
    arena_done(&a);
}

int main(int argc, char **argv)
{
    static const struct test_case tests[] = {
        TEST(test_tz_file__names_lead_to_files_below_the_folder),
        TEST(test_tz_file__other_names_lead_nowhere),
        TEST(test_tz_file__a_large_file_or_no_database),
    };
    return test_main(argc, argv, tests, ARRAY_LEN(tests));
}
