#include "base/slug.h"

#include <stdlib.h>
#include <string.h>

#include "test.h"

static void test_slug__names_become_what_the_vectors_say(void)
{
    static const struct { const char *in, *want;
    } rows[] = {
        { "Test Extract - UCLH OMOP CDM", "test-extract-uclh-omop-cdm" },
        { "Really great cool project", "really-great-cool-project" },
        { "Cr\u00e8me Br\u00fbl\u00e9e", "creme-brulee" },
        { "Stra\u00dfe", "strasse" },
        { "\u00bd cup", "1-2-cup" },
        { "__init__", "init" },
        { "na\u00efve\u2014test", "naive-test" },
        { "\u0130stanbul", "istanbul" },
        { "1,000 reasons are 4,5", "1000-reasons-are-45" },
        { "foo &amp; bar", "foo-bar" },
        { "i &lt;3 &#381; &#x17D;", "i-3-z-z" },
        { "L'h\u00f4pital d'\u00e9t\u00e9", "l-hopital-d-ete" },
        { "\u041a\u043e\u043c\u043f\u044c\u044e\u0442\u0435\u0440", "kompiuter" },
        { "10\u2033 disk", "10-disk" },
        { "C++", "c" },
        { "I \u2665 \U0001F600", "i" },
        { "2020-06-10T18:00:00", "2020-06-10t18-00-00" },
        { "2020-06-10T18:00:00.123456+00:00", "2020-06-10t18-00-00-123456-00-00" },
        /* The same letter composed and decomposed. */
        { "e\u0301te\u0301", "ete" },
        { "\u0152uvre \u00c6sir \u00de\u00f3rr \u0141\u00f3d\u017a \u0110\u00f4ng \u0131",
          "oeuvre-aesir-thorr-lodz-dong-i" },
        { "\u0391\u03b8\u03ae\u03bd\u03b1 \u03a8\u03c5\u03c7\u03ae", "athena-psukhe" },
        { "\u1f08\u03b8\u1fc6\u03bd\u03b1\u03b9", "athenai" },
        { "\u0429\u0443\u043a\u0430 \u0451\u0436 \u0457", "shchuka-ezh-i" },
        { "\u1ea4n \u1ed9", "an-o" },
        { "\uff26\uff35\uff2c\uff2c \ufb01ne \u2122 \u2163", "full-fine-tm-iv" },
        { "a\u2665b a\u2192b", "ab-a-b" },
        { "don\u2019t 'quote'", "dont-quote" },
        { "--a--b--", "a-b" },
        { "1,,2 ,3, a,b 1,2,3", "1-2-3-a-b-123" },
        { "&eacute;t&eacute; &copy; &frac12; &nbsp;x &unknown; &amp", "e-te-1-2-x-unknown-amp" },
        { "&amp;#65; &#65;&#x42; &#1114112;", "65-65-b-1114112" },
        { "&amp;#67;", "c" },
        { "&#99999999999999999999; a", "99999999999999999999-a" },
        { "&#; &#x; &#xG; &", "x-xg" },
        { "a\tb\nc\x01"
          "d",
          "a-b-c-d" },
    };
    struct arena a;
    arena_init(&a, 1 << 20);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        test_row("%s", rows[i].in);
        struct pixl_error err = { 0 };
        struct str got = { 0 }, again = { 0 };
        CHECK_OK(slug_make(&a, str_of(rows[i].in), &got, &err), err);
        CHECK_STR(got, rows[i].want);
        CHECK(slug_is_valid(got));
        CHECK_OK(slug_make(&a, got, &again, &err), err);
        CHECK(str_eq(got, again));
    }
    arena_done(&a);
}

static void test_slug__what_would_be_lost_is_refused(void)
{
    static const struct { const char *name; struct str in; enum pixl_code want; } rows[] = {
        { "empty", { "", 0 }, PIXL_E_INVALID },
        { "dashes", { "---", 3 }, PIXL_E_INVALID },
        { "signs only", { "\u2665 \U0001F600", 8 }, PIXL_E_INVALID },
        { "hard signs only", { "\u044a\u044a", 4 }, PIXL_E_INVALID },
        { "CJK", { "\u5f71\u5e2b\u55ce", 9 }, PIXL_E_UNSUPPORTED },
        { "CJK behind Latin", { "mri \u5f71", 7 }, PIXL_E_UNSUPPORTED },
        { "Arabic", { "\u0645\u0634\u0631\u0648\u0639", 10 }, PIXL_E_UNSUPPORTED },
        { "Hangul", { "\ud504", 3 }, PIXL_E_UNSUPPORTED },
        { "beyond the BMP", { "\U00020000", 4 }, PIXL_E_UNSUPPORTED },
        { "as an entity", { "&#24433;", 8 }, PIXL_E_UNSUPPORTED },
        { "not UTF-8", { "a\xff", 2 }, PIXL_E_INVALID },
        { "cut UTF-8", { "a\xe5\xbd", 3 }, PIXL_E_INVALID },
        { "surrogate", { "\xed\xa0\x80", 3 }, PIXL_E_INVALID },
        { "NUL only", { "\0", 1 }, PIXL_E_INVALID },
    };
    struct arena a;
    arena_init(&a, 1 << 20);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        test_row("%s", rows[i].name);
        struct pixl_error err = { 0 };
        struct str out = STR("untouched");
        CHECK_FAILS(slug_make(&a, rows[i].in, &out, &err), err, rows[i].want);
        CHECK_STR(out, "untouched");
    }
    arena_done(&a);
}

/* Every character there is, alone between two letters: a valid slug or a refusal, never a crash or a bad slug. */
static void test_slug__every_character_has_an_answer(void)
{
    struct arena a;
    arena_init(&a, 1 << 20);
    int refused = 0;
    for (uint32_t c = 0; c <= 0x10FFFF; c++) {
        if (c >= 0xD800 && c <= 0xDFFF)
            continue;
        struct pixl_error err = { 0 };
        char s[8], entity[32];
        size_t n = 0;
        s[n++] = 'a';
        if (c < 0x80) {
            s[n++] = (char)c;
        } else {
            int more = c < 0x800 ? 1 : c < 0x10000 ? 2 : 3;
            s[n++] = (char)((more == 1 ? 0xC0u : more == 2 ? 0xE0u : 0xF0u) | c >> (6 * more));
            while (more-- > 0)
                s[n++] = (char)(0x80u | (c >> (6 * more) & 0x3F));
        }
        s[n++] = 'b';
        struct str out = { 0 };
        bool ok = slug_make(&a, (struct str){ s, n }, &out, &err);
        if (ok ? !slug_is_valid(out) || out.p[0] != 'a' || out.p[out.n - 1] != 'b' : err.code != PIXL_E_UNSUPPORTED) {
            test_row("U+%04X", (unsigned)c);
            CHECK(false && "a valid slug or a refusal");
        }
        refused += !ok;
        pixl_error_clear(&err);
        int len = snprintf(entity, sizeof entity, "a&#%u;b", (unsigned)c);
        if (slug_make(&a, (struct str){ entity, (size_t)len }, &out, &err) != ok || (ok && !slug_is_valid(out))) {
            test_row("U+%04X as an entity", (unsigned)c);
            CHECK(false && "the same answer as for the character");
        }
        arena_reset(&a);
    }
    CHECK(refused > 900000 && refused < 1112064);
    arena_done(&a);
}

static void test_slug__hostile_lengths_end_in_time(void)
{
    struct arena a;
    arena_init(&a, 32 << 20);
    size_t n = 1 << 20;
    char *p = malloc(n + 1);
    REQUIRE(p != NULL);
    static const char *const fill[] = { "&", "&#", "&#1", "'", "a", "&amp;", ",1" };
    for (size_t i = 0; i < ARRAY_LEN(fill); i++) {
        test_row("%s", fill[i]);
        struct pixl_error err = { 0 };
        struct str out = { 0 };
        for (size_t k = 0; k < n; k++)
            p[k] = fill[i][k % strlen(fill[i])];
        bool ok = slug_make(&a, (struct str){ p, n }, &out, &err);
        CHECK(ok || err.code == PIXL_E_INVALID);
        pixl_error_clear(&err);
        CHECK_FAILS(slug_make(&a, (struct str){ p, n + 1 }, &out, &err), err, PIXL_E_INVALID);
        arena_reset(&a);
    }
    free(p);
    arena_done(&a);
}

static void test_slug__out_of_memory_is_told(void)
{
    struct arena tiny;
    struct pixl_error err = { 0 };
    struct str out = { 0 };
    arena_init(&tiny, 4);
    CHECK_FAILS(slug_make(&tiny, STR("a project"), &out, &err), err, PIXL_E_NOMEM);
}

static void test_slug__only_its_own_results_are_valid(void)
{
    static const struct { const char *s; bool want; } rows[] = {
        { "a", true }, { "0", true }, { "a-b", true }, { "2020-06-10t18-00-00", true }, { "", false }, { "-", false },
        { "-a", false }, { "a-", false }, { "a--b", false }, { "A", false }, { "a_b", false }, { "a.b", false },
        { "a/b", false }, { "..", false }, { "a b", false }, { "\u00e9", false },
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        test_row("'%s'", rows[i].s);
        CHECK_INT(slug_is_valid(str_of(rows[i].s)), rows[i].want);
    }
    CHECK(!slug_is_valid((struct str){ "a\0b", 3 }));
}

int main(int argc, char **argv)
{
    static const struct test_case tests[] = {
        TEST(test_slug__names_become_what_the_vectors_say),
        TEST(test_slug__what_would_be_lost_is_refused),
        TEST(test_slug__every_character_has_an_answer),
        TEST(test_slug__hostile_lengths_end_in_time),
        TEST(test_slug__out_of_memory_is_told),
        TEST(test_slug__only_its_own_results_are_valid),
    };
    return test_main(argc, argv, tests, ARRAY_LEN(tests));
}
