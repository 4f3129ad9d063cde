#include "config/env_sources.h"
#include "test.h"

#include <string.h>

#include "base/fs.h"

static const char *write_text(const char *name, const char *text)
{
    struct pixl_error err = { 0 };
    REQUIRE_OK(fs_write_whole(test_path(name), str_of(text), 0600, &err), err);
    return test_path(name);
}

static void test_env_find__the_first_source_that_has_a_value_counts(void)
{
    static const char *const env[] = { "BOTH=env", "EMPTY=", "PREFIX_LONGER=x", NULL };
    static const char *const overrides[] = { "ALL=command", NULL };
    struct pixl_error err = { 0 };
    struct env_sources s = { .env = env, .overrides = overrides };
    struct arena a;
    arena_init(&a, 1 << 20);
    REQUIRE_OK(env_read_dotenv(&a, write_text(".env", "# first\nBOTH=file\nEMPTY=file\nFILE=x\nNOTHING=\nALL=file\n"),
                               NULL, &s, &err),
               err);
    static const struct { const char *name, *value, *place; } rows[] = {
        { "ALL", "command", "command line" }, { "BOTH", "env", "environment" }, { "EMPTY", "file", ".env:3" },
        { "FILE", "x", ".env:4" }, { "NOTHING", NULL, "as it was" }, { "PREFIX", NULL, "as it was" },
        { "UNKNOWN", NULL, "as it was" },
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        char place[ENV_PLACE_SIZE] = "as it was";
        test_row("%s", rows[i].name);
        const char *value = env_find(&s, rows[i].name, place);
        CHECK((value == NULL) == (rows[i].value == NULL));
        if (value != NULL && rows[i].value != NULL)
            CHECK_STR(str_of(value), rows[i].value);
        CHECK_STR(str_of(place), rows[i].place);
    }
    arena_done(&a);
}

static void test_env_read_dotenv__absent_is_no_error(void)
{
    struct pixl_error err = { 0 };
    struct env_sources s = { 0 };
    struct arena a;
    arena_init(&a, 1 << 20);
    CHECK_OK(env_read_dotenv(&a, NULL, NULL, &s, &err), err);
    CHECK_OK(env_read_dotenv(&a, test_path("none"), NULL, &s, &err), err);
    CHECK(s.dotenv_name == NULL);
    REQUIRE(!env_read_dotenv(&a, write_text("bad", "A=1\nwhat is this\n"), NULL, &s, &err));
    CHECK_INT(err.code, PIXL_E_INVALID);
    CHECK(strstr(err.msg, "bad:2") != NULL);
    arena_done(&a);
}

static void test_env_look_for__every_name_of_the_sample_in_its_order(void)
{
    static const char *const env[] = { "B=2", "C=", NULL };
    struct pixl_error err = { 0 };
    const struct env_sources s = { .env = env };
    struct env_listed *list = NULL;
    struct arena a;
    size_t n = 0;
    arena_init(&a, 1 << 20);
    REQUIRE_OK(env_look_for(&s, write_text("sample", "# a sample\nC=3\n\nB=\nA=1\n"), &a, &list, &n, &err), err);
    REQUIRE(n == 3);
    CHECK_STR(str_of(list[0].name), "C");
    CHECK_INT(list[0].line, 2);
    CHECK(list[0].place == NULL);
    CHECK_STR(str_of(list[1].name), "B");
    CHECK_STR(str_of(list[1].place), "environment");
    CHECK_STR(str_of(list[2].name), "A");
    CHECK(list[2].place == NULL);
    CHECK_OK(env_look_for(&s, write_text("empty", ""), &a, &list, &n, &err), err);
    CHECK_INT(n, 0);
    CHECK_FAILS(env_look_for(&s, test_path("none"), &a, &list, &n, &err), err, PIXL_E_NOT_FOUND);
    CHECK_FAILS(env_look_for(&s, write_text("twice", "A=1\nA=2\n"), &a, &list, &n, &err), err, PIXL_E_INVALID);
    arena_done(&a);
}

int main(int argc, char **argv)
{
    static const struct test_case tests[] = {
        TEST(test_env_find__the_first_source_that_has_a_value_counts),
        TEST(test_env_read_dotenv__absent_is_no_error),
        TEST(test_env_look_for__every_name_of_the_sample_in_its_order),
    };
    return test_main(argc, argv, tests, ARRAY_LEN(tests));
}
