#include "demo/search.h"

#include <string.h>

#include "test.h"

static const char *const texts[] = { "Thistlewick", "QX26001417", "1952-11-07", "L\xF6wen", "abcd", "bcdefgh", "41304116", NULL };

static void test_search__finds_texts_in_any_case_and_place(void)
{
    static const struct {
        const char *name, *in, *want;
        long at;
    } rows[] = {
        { "whole", "Thistlewick", "Thistlewick", 0 },
        { "other case", "xxTHISTLEwick", "Thistlewick", 2 },
        { "within a word", "unQX26001417x", "QX26001417", 2 },
        { "at the end", "born 1952-11-07", "1952-11-07", 5 },
        { "Latin-1 bytes as they are", "Frau l\xF6WEN", "L\xF6wen", 5 },
        { "shortest", "ABCD", "abcd", 0 },
        { "one begun within another", "abcbcdefgh", "bcdefgh", 3 },
        { "cut short at the end", "Thistlewic", NULL, -1 },
        { "near miss", "Thistlewlck and 1952-11-08", NULL, -1 },
        { "a number by itself", "id 41304116.", "41304116", 3 },
        { "a number between letters", "x41304116y", "41304116", 1 },
        { "a number begun within another", "541304116", NULL, -1 },
        { "a number that goes on", "2.25.413041161", NULL, -1 },
        { "cut from a number, then by itself", "4130411641304116 41304116", "41304116", 17 },
        { "nothing", "", NULL, -1 },
        { "less than four bytes", "abc", NULL, -1 },
    };
    struct pixl_error err = { 0 };
    search_auto *s = NULL;
    REQUIRE_OK(search_new(texts, &s, &err), err);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        size_t at = SIZE_MAX;
        const char *got = search_find(s, str_of(rows[i].in), &at);
        test_row("%s", rows[i].name);
        CHECK_STR(str_of(got), rows[i].want ? rows[i].want : "");
        CHECK_INT((long long)at, rows[i].at);
        CHECK((search_find(s, str_of(rows[i].in), NULL) != NULL) == (rows[i].want != NULL));
    }
}

static void test_search__refuses_what_is_too_short(void)
{
    const char *const few[] = { "long enough", "abc", NULL }, *const none[] = { NULL };
    struct pixl_error err = { 0 };
    search_auto *s = NULL;
    CHECK_FAILS(search_new(few, &s, &err), err, PIXL_E_INVALID);
    CHECK(s == NULL);
    REQUIRE_OK(search_new(none, &s, &err), err);
    CHECK(search_find(s, STR("anything at all"), NULL) == NULL);
}

int main(int argc, char **argv)
{
    static const struct test_case tests[] = {
        TEST(test_search__finds_texts_in_any_case_and_place),
        TEST(test_search__refuses_what_is_too_short),
    };
    return test_main(argc, argv, tests, ARRAY_LEN(tests));
}
