#include "config/nearest.h"
#include "config/problems.h"
#include "test.h"

#include <string.h>

static void test_nearest__a_slip_finds_its_name(void)
{
    static const char *const names[] = { "keep", "delete", "replace", "replace_UID", "secure-hash", "empty" };
    static const struct { const char *typed, *hint; } rows[] = {
        { "kep",          "; did you mean keep?" },
        { "kepe",         "; did you mean keep?" },         /* a swap is one slip */
        { "remplace",     "; did you mean replace?" },
        { "replace_uid",  "; did you mean replace_UID?" },  /* capitals */
        { "REPLACE-UID",  "; did you mean replace_UID?" },  /* and dashes */
        { "secure_hash",  "; did you mean secure-hash?" },
        { "delet",        "; did you mean delete?" },
        { "pseudonymise", "" },
        { "x",            "" },
        { "",             "" },
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        test_row("%s", rows[i].typed);
        CHECK_STR(str_of(nearest_hint_of(str_of(rows[i].typed), names, ARRAY_LEN(names)).text), rows[i].hint);
    }
}

static void test_nearest__a_very_long_name_is_near_nothing(void)
{
    static char text[100000];
    memset(text, 'k', sizeof text);
    static const char *const names[] = { "keep" };
    CHECK_STR(str_of(nearest_hint_of((struct str){ text, sizeof text }, names, 1).text), "");
    struct nearest near = nearest_to(STR("keep"));
    text[sizeof text - 1] = '\0';
    nearest_offer(&near, text);
    CHECK(near.name == NULL);
}

static void note(void *ctx, const char *problem)
{
    (void)problem;
    ++*(size_t *)ctx;
}

static void test_problems__tells_all_and_keeps_the_first(void)
{
    size_t told = 0;
    struct problems ps = { .say = note, .ctx = &told };
    struct pixl_error err = { 0 };
    CHECK_OK(problems_none(&ps, &err), err);
    CHECK(!problem_at(&ps, (struct place){ "a.yaml", 3, 7 }, "first %d", 1));
    CHECK(!problem_of(&ps, PIXL_E_LIMIT, (struct place){ .file = "a.yaml" }, "second"));
    CHECK(!problem_nomem(&ps));
    CHECK_INT(told, 3);
    CHECK(!problems_none(&ps, &err));
    CHECK_STR(str_of(err.msg), "a.yaml:3:7: first 1");
    CHECK_INT(err.code, PIXL_E_INVALID);
    for (int i = 0; i < 5000; i++)
        (void)problem_at(&ps, (struct place){ 0 }, "more");
    CHECK_INT(told, 1000);
    CHECK_INT(ps.n, 5003);
}

static void test_problems__values_are_shown_short_and_tame(void)
{
    CHECK_STR(str_of(problem_show(STR("a\x1b[31m\nb")).text), "a?[31m?b");
    CHECK_STR(str_of(problem_show(STR("0123456789012345678901234567890123456789")).text),
              "0123456789012345678901234567890123456789");
    CHECK_STR(str_of(problem_show(STR("01234567890123456789012345678901234567890")).text),
              "0123456789012345678901234567890123456789...");
    /* the euro sign would be cut in two */
    CHECK_STR(str_of(problem_show(STR("01234567890123456789012345678901234567\xE2\x82\xAC.")).text),
              "01234567890123456789012345678901234567...");
}

int main(int argc, char **argv)
{
    static const struct test_case tests[] = {
        TEST(test_nearest__a_slip_finds_its_name),
        TEST(test_nearest__a_very_long_name_is_near_nothing),
        TEST(test_problems__tells_all_and_keeps_the_first),
        TEST(test_problems__values_are_shown_short_and_tame),
    };
    return test_main(argc, argv, tests, ARRAY_LEN(tests));
}
