#include "base/upper.h"

#include <string.h>

#include "test.h"

static void test_upper__letters_of_three_scripts_and_the_rest_as_it_is(void)
{
    static const struct {
        const char *in, *want;
    } rows[] = {
        { "", "" },
        { "3-plane Localizer_v2 {x}", "3-PLANE LOCALIZER_V2 {X}" },
        { "r\u00f6ntgen \u00e9t\u00e9 \u00e6\u00f8\u00e5 \u00fe\u00f0",
          "R\u00d6NTGEN \u00c9T\u00c9 \u00c6\u00d8\u00c5 \u00de\u00d0" },
        { "\u00f7 \u00d7 \u00aa \u00ba", "\u00f7 \u00d7 \u00aa \u00ba" },
        { "Stra\u00dfe gr\u00f6\u00dfe \u1e9e", "STRASSE GR\u00d6SSE \u1e9e" },
        { "\u0142\u00f3d\u017a \u010de\u0161tina \u0133 \u0153 \u00ff",
          "\u0141\u00d3D\u0179 \u010cE\u0160TINA \u0132 \u0152 \u0178" },
        { "k\u0131r\u0131k \u0130", "KIRIK \u0130" },
        { "\u1ea5n \u1ed9 \u1e83", "\u1ea4N \u1ed8 \u1e82" },
        { "\u03b5\u03b3\u03ba\u03ad\u03c6\u03b1\u03bb\u03bf\u03c2 \u03cc \u03ce \u00b5",
          "\u0395\u0393\u039a\u0388\u03a6\u0391\u039b\u039f\u03a3 \u038c \u038f \u039c" },
        { "\u0440\u0435\u043d\u0442\u0433\u0435\u043d \u0451 \u0457 \u0491",
          "\u0420\u0415\u041d\u0422\u0413\u0415\u041d \u0401 \u0407 \u0490" },
        { "\u4e2d\u6587 \U0001F600", "\u4e2d\u6587 \U0001F600" },
        { "\u0250", "\u2c6f" }, /* grows from two bytes to three */
        { "\uff4c\uff4f\uff43", "\uff2c\uff2f\uff23" },
        { "r\xf6ntgen gr\xf6\xdf"
          "e \xff",
          "R\u00d6NTGEN GR\u00d6SSE \u0178" }, /* Latin-1 */
        { "a\xc3", "A\u00c3" },
        { "a\xed\xa0\x80", "A\u00cd\u00a0\xc2\x80" }, /* half a surrogate pair: not UTF-8 */
    };
    struct arena a;
    arena_init(&a, 1 << 20);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        test_row("%s", rows[i].want);
        struct pixl_error err = { 0 };
        struct str got = { 0 }, again = { 0 };
        REQUIRE_OK(upper_make(&a, str_of(rows[i].in), &got, &err), err);
        CHECK_STR(got, rows[i].want);
        CHECK_INT(strlen(got.p), got.n);
        REQUIRE_OK(upper_make(&a, got, &again, &err), err);
        CHECK_STR(again, rows[i].want);
    }
    arena_done(&a);
}

/* Every character of the Basic Multilingual Plane gives UTF-8 that stays as it is: no row of the table leads to a letter
 * of another row. */
static void test_upper__is_the_same_when_done_twice(void)
{
    struct arena a;
    arena_init(&a, 1 << 20);
    size_t changed = 0;
    for (unsigned c = 0x80; c < 0x10000; c++) {
        if (c >= 0xD800 && c < 0xE000)
            continue;
        char text[3];
        size_t n = 0;
        if (c < 0x800) {
            text[n++] = (char)(0xC0 | c >> 6);
        } else {
            text[n++] = (char)(0xE0 | c >> 12);
            text[n++] = (char)(0x80 | (c >> 6 & 0x3F));
        }
        text[n++] = (char)(0x80 | (c & 0x3F));
        struct pixl_error err = { 0 };
        struct str once = { 0 }, twice = { 0 };
        test_row("U+%04X", c);
        REQUIRE_OK(upper_make(&a, (struct str){ text, n }, &once, &err), err);
        REQUIRE_OK(upper_make(&a, once, &twice, &err), err);
        CHECK(str_is_utf8(once) && str_eq(once, twice));
        changed += !str_eq(once, (struct str){ text, n });
        arena_reset(&a);
    }
    CHECK_INT(changed, 1137 + 1); /* as Python counts, and the sharp s */
    arena_done(&a);
}

static void test_upper__memory_has_a_ceiling(void)
{
    struct arena a;
    struct pixl_error err = { 0 };
    struct str out = STR("untouched");
    char big[4096];
    memset(big, 'a', sizeof big);
    arena_init(&a, 4096);
    CHECK_FAILS(upper_make(&a, (struct str){ big, sizeof big }, &out, &err), err, PIXL_E_NOMEM);
    CHECK_STR(out, "untouched");
    arena_done(&a);
}

int main(int argc, char **argv)
{
    static const struct test_case tests[] = {
        TEST(test_upper__letters_of_three_scripts_and_the_rest_as_it_is),
        TEST(test_upper__is_the_same_when_done_twice),
        TEST(test_upper__memory_has_a_ceiling),
    };
    return test_main(argc, argv, tests, ARRAY_LEN(tests));
}
