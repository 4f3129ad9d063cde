#include "config/pattern.h"
#include "test.h"

#include <string.h>

struct search_row {
    const char *name, *pattern, *subject;
    bool matches;
};

static const struct search_row searches[] = {
    { "anchored and there",            "^allowed",              "allowed",                 true },
    { "anchored, later only",          "^allowed",              "not-allowed",             false },
    { "search is not a full match",    "siemens",               "The SIEMENS company",     true },
    { "case does not count",           "^ge medical systems",   "GE MEDICAL SYSTEMS",      true },
    { "case of a letter with accent",  "soci\xC3\xA9t\xC3\xA9", "SOCI\xC3\x89T\xC3\x89",   true },
    { "everybody",                     ".*",                    "",                        true },
    { "empty pattern",                 "",                      "anything",                true },
    { "nobody",                        "no manufacturers allowed ^", "no manufacturers allowed ", false },
    { "alternatives",                  "philips|canon",         "Canon Inc.",              true },
    { "subject is Latin-1",            "m\xC3\xBCller",         "Dr. M\xFCLLER GmbH",      true },
    { "Latin-1 capital",               "m\xC3\xBCller",         "M\xDCLLER",               true },
    { "overlong UTF-8 is Latin-1",     "^..$",                  "\xC0\xAF",                true },
    { "dot is one character",          "^.$",                   "\xE2\x82\xAC",            true },
    { "word characters of any script", "^\\w+$",                "\xCE\xB1\xCE\xB2\xCE\xB3", true },
    { "dollar before a last newline",  "inc$",                  "Inc\n",                   true },
};

static void test_pattern__searches_as_python_does(void)
{
    for (size_t i = 0; i < ARRAY_LEN(searches); i++) {
        const struct search_row *r = &searches[i];
        test_row("%s", r->name);
        struct pixl_error err = { 0 };
        struct pattern *p = NULL;
        REQUIRE_OK(pattern_new(str_of(r->pattern), &p, &err), err);
        bool matches = !r->matches;
        CHECK_OK(pattern_search(p, str_of(r->subject), &matches, &err), err);
        CHECK(matches == r->matches);
        pattern_free(p);
    }
}

static void test_pattern__nul_is_a_character(void)
{
    struct pixl_error err = { 0 };
    struct pattern *p = NULL;
    bool matches = false;
    REQUIRE_OK(pattern_new(STR("b$"), &p, &err), err);
    CHECK_OK(pattern_search(p, STR("a\0b"), &matches, &err), err);
    CHECK(matches);
    pattern_free(p);
}

#define TEN(s) s s s s s s s s s s
#define NESTED TEN("((((((") "a" TEN("))))))")

static void test_pattern__bad_patterns_say_where(void)
{
    static const struct { const char *name, *pattern, *text; } rows[] = {
        { "open parenthesis", "(abc",       "missing closing parenthesis, at offset 4" },
        { "open class",       "ge[",        "missing terminating ] for character class, at offset 3" },
        { "nothing to repeat", "a|*",       "quantifier does not follow a repeatable item, at offset 2" },
        { "one byte of UTF-8", "a\\Cb",     "offset 3" },
        { "not UTF-8",        "a\xFF",      "UTF-8 error" },
        { "nesting",          NESTED, "too deeply nested" },
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        test_row("%s", rows[i].name);
        struct pixl_error err = { 0 };
        struct pattern *p = NULL;
        bool ok = pattern_new(str_of(rows[i].pattern), &p, &err);
        CHECK(!ok && p == NULL && strstr(err.msg, rows[i].text) != NULL);
        if (strstr(err.msg, rows[i].text) == NULL)
            CHECK_STR(str_of(err.msg), rows[i].text);
        CHECK_FAILS(ok, err, PIXL_E_INVALID);
    }
}

static void test_pattern__a_long_pattern_is_refused(void)
{
    static char text[5000];
    memset(text, 'a', sizeof text);
    struct pixl_error err = { 0 };
    struct pattern *p = NULL;
    CHECK_FAILS(pattern_new((struct str){ text, sizeof text }, &p, &err), err, PIXL_E_INVALID);
    CHECK(p == NULL);
}

static void test_pattern__runaway_search_meets_its_limit(void)
{
    struct pixl_error err = { 0 };
    struct pattern *p = NULL;
    bool matches = true;
    REQUIRE_OK(pattern_new(STR("^(a|aa|a?)+$"), &p, &err), err);
    CHECK_FAILS(pattern_search(p, STR("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab"), &matches, &err), err,
                PIXL_E_LIMIT);
    CHECK(matches);             /* untouched */
    static char large[64 * 1024 + 1];
    memset(large, 'x', sizeof large);
    CHECK_FAILS(pattern_search(p, (struct str){ large, sizeof large }, &matches, &err), err, PIXL_E_LIMIT);
    CHECK(matches);
    memset(large, 0xFF, sizeof large);
    CHECK_OK(pattern_search(p, (struct str){ large, sizeof large - 1 }, &matches, &err), err);
    CHECK(!matches);
    pattern_free(p);
    pattern_free(NULL);
}

int main(int argc, char **argv)
{
    static const struct test_case tests[] = {
        TEST(test_pattern__searches_as_python_does),
        TEST(test_pattern__nul_is_a_character),
        TEST(test_pattern__bad_patterns_say_where),
        TEST(test_pattern__a_long_pattern_is_refused),
        TEST(test_pattern__runaway_search_meets_its_limit),
    };
    return test_main(argc, argv, tests, ARRAY_LEN(tests));
}
