#include "dicom/charset.h"

#include <string.h>

#include "test.h"

static void check_decoded(const char *name, const char *charset, enum dicom_vr vr, struct str bytes, const char *want,
                          bool is_clean)
{
    struct pixl_error err = { 0 };
    struct arena a;
    struct str out;
    bool clean = false;
    arena_init(&a, 1 << 20);
    test_row("%s", name);
    struct dicom_charset c = dicom_charset_parse(str_of(charset));
    REQUIRE_OK(dicom_charset_decode(&c, vr, &a, bytes, &out, &clean, &err), err);
    CHECK_STR(out, want);
    CHECK(clean == is_clean);
    CHECK(str_is_utf8(out));
    arena_done(&a);
}

/* Names from PS3.5 annexes H (Japanese), I (Korean), J and K (Chinese), others made up; UTF-8 written out. */
static void test_charset__decodes(void)
{
    const struct { const char *name, *charset; struct str bytes; const char *want; bool clean;
    } rows[] = {
        { "ASCII", "", STR("Doe^Jane"), "Doe^Jane", true },
        { "ASCII in UTF-8", "ISO_IR 192", STR("Doe^Jane"), "Doe^Jane", true },
        { "Latin-1", "ISO_IR 100", STR("M\xFCller"), "Müller", true },
        { "Latin-2", "ISO_IR 101", STR("Dvo\xF8\xE1k"), "Dvořák", true },
        { "Latin-3", "ISO_IR 109",
          STR("\xDE"
              "erv"),
          "Ŝerv", true },
        { "Latin-4", "ISO_IR 110", STR("\xE0zuols"), "āzuols", true },
        { "Latin-5", "ISO_IR 148", STR("\xDD\xFE\xFD"), "İşı", true },
        { "Cyrillic", "ISO_IR 144", STR("\xBB\xEE\xDA"), "Люк", true },
        { "Greek", "ISO_IR 126", STR("\xC4\xE9\xEF\xED"), "Διον", true },
        { "Arabic", "ISO_IR 127", STR("\xE2\xC8\xC7"), "قبا", true },
        { "Hebrew", "ISO_IR 138", STR("\xF9\xF8\xE5\xEF"), "שרון", true },
        { "Thai", "ISO_IR 166", STR("\xB9\xD2"), "นา", true },
        { "half-width katakana", "ISO_IR 13", STR("\xD4\xCF\xC0\xDE^\xC0\xDB\xB3"), "ﾔﾏﾀﾞ^ﾀﾛｳ", true },
        { "UTF-8", "ISO_IR 192", STR("Wang^XiaoDong=王^小東"), "Wang^XiaoDong=王^小東", true },
        { "GB18030", "GB18030", STR("Wang=\xCD\xF5^\xD0\xA1\xB6\xAB"), "Wang=王^小东", true },
        { "GB18030 of four bytes", "GB18030", STR("\x81\x30\x81\x30x"), "\xC2\x80x", true },
        { "GBK with an ASCII half", "GBK", STR("\x81\x5C!"), "乗!", true },
        { "kanji", "\\ISO 2022 IR 87", STR("Yamada^Tarou=\x1B$B;3ED\x1B(B^\x1B$BB@O:\x1B(B"), "Yamada^Tarou=山田^太郎",
          true },
        { "kanji and romaji", "ISO 2022 IR 13\\ISO 2022 IR 87",
          STR("\xD4\xCF\xC0\xDE^\xC0\xDB\xB3=\x1B$B;3ED\x1B(J^\x1B$BB@O:\x1B(J"), "ﾔﾏﾀﾞ^ﾀﾛｳ=山田^太郎", true },
        { "more kanji", "\\ISO 2022 IR 159", STR("\x1B$(D0!\x1B(B"), "丂", true },
        { "hangul", "\\ISO 2022 IR 149", STR("Hong=\x1B$)C\xFB\xF3^\x1B$)C\xD1\xCE\xD4\xD7"), "Hong=洪^吉洞", true },
        { "simplified", "\\ISO 2022 IR 58", STR("Z=\x1B$)A\xD5\xC5^\x1B$)A\xD0\xA1\xB6\xAB"), "Z=张^小东", true },
        { "Greek by escape", "ISO 2022 IR 100\\ISO 2022 IR 126", STR("\xFC\x1B-F\xC4\xE9\x1B-A\xFC"), "üΔιü", true },
        { "a new line begins anew", "ISO 2022 IR 100\\ISO 2022 IR 144", STR("\x1B-L\xBB\r\n\xFC"), "Л\r\nü", true },
        { "a new value begins anew", "ISO 2022 IR 100\\ISO 2022 IR 144", STR("\x1B-L\xBB\\\xFC"), "Л\\ü", true },
        { "misspelt", "ISO-IR 100", STR("M\xFC"), "Mü", true },
        { "misspelt with underscores", "ISO_2022_IR_100", STR("M\xFC"), "Mü", true },
        { "padded", "ISO_IR 100 ", STR("M\xFC"), "Mü", true },
        /* In doubt. */
        { "no set, Latin-1", "", STR("M\xFCller"), "Müller", false },
        { "no set, UTF-8", "", STR("Müller"), "Müller", false },
        { "no escape", "\\ISO 2022 IR 58", STR("\xD5\xC5^\xD0\xA1"), "张^小", false },
        { "no escape, one of several", "\\ISO 2022 IR 87\\ISO 2022 IR 149", STR("\xFB\xF3"), "洪", false },
        { "no escape, UTF-8", "\\ISO 2022 IR 58", STR("Müller"), "Müller", false },
        { "unknown set", "ISO_IR 999", STR("M\xFCller"), "Müller", false },
        { "broken UTF-8", "ISO_IR 192", STR("a\xC3(\xE7\x8E\x8B\xFF"), "a\xEF\xBF\xBD(王\xEF\xBF\xBD", false },
        { "cut UTF-8", "ISO_IR 192", STR("a\xE7\x8E"), "a\xEF\xBF\xBD\xEF\xBF\xBD", false },
        { "unassigned", "ISO_IR 127", STR("a\xA1"), "a\xEF\xBF\xBD", false },
        { "half a kanji", "\\ISO 2022 IR 87", STR("\x1B$B;"), "\xEF\xBF\xBD", false },
        { "half a hangul", "\\ISO 2022 IR 149", STR("\x1B$)C\xFBx"), "\xEF\xBF\xBDx", false },
        { "unknown escape", "\\ISO 2022 IR 87", STR("a\x1B%Gb"), "a\xEF\xBF\xBD%Gb", false },
        { "escape at the end", "\\ISO 2022 IR 87", STR("a\x1B"), "a\xEF\xBF\xBD", false },
        { "cut GB18030", "GB18030", STR("\x81\x30\x81"),
          "\xEF\xBF\xBD"
          "0\xEF\xBF\xBD",
          false },
        { "G1 without a set", "\\ISO 2022 IR 149", STR("\x1B(B\xFC"), "\xEF\xBF\xBD", false },
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        check_decoded(rows[i].name, rows[i].charset, DICOM_VR_LO, rows[i].bytes, rows[i].want, rows[i].clean);
}

static void test_charset__sets_are_called_by_escape(void)
{
    static const struct {
        const char *name, *charset, *bytes, *want;
    } rows[] = {
        { "Latin-2 by escape", "ISO 2022 IR 6\\ISO 2022 IR 101", "\x1B-B\xF8", "ř" },
        { "Latin-3 by escape", "\\ISO 2022 IR 109", "\x1B-C\xDE", "Ŝ" },
        { "Latin-4 by escape", "\\ISO 2022 IR 110", "\x1B-D\xE0", "ā" },
        { "Arabic by escape", "\\ISO 2022 IR 127", "\x1B-G\xE2", "ق" },
        { "Hebrew by escape", "\\ISO 2022 IR 138", "\x1B-H\xF9", "ש" },
        { "Latin-5 by escape", "\\ISO 2022 IR 148", "\x1B-M\xFE", "ş" },
        { "Latin-9 by escape", "\\ISO 2022 IR 203", "\x1B-b\xA4", "€" },
        { "Thai by escape", "\\ISO 2022 IR 166", "\x1B-T\xB9", "น" },
        { "katakana by escape", "\\ISO 2022 IR 13", "\x1B)I\xD4", "ﾔ" },
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        check_decoded(rows[i].name, rows[i].charset, DICOM_VR_LO, str_of(rows[i].bytes), rows[i].want, true);
}

/* PS3.5 section 6.1.2.5.3: what ends a value; with the whole values of annexes H, I, J and K. */
static void test_charset__values_end_as_their_vr_says(void)
{
    const struct {
        const char *name, *charset;
        struct str bytes;
        const char *want;
        bool clean;
        enum dicom_vr vr;
    } rows[] = {
        { "H.3.1", "\\ISO 2022 IR 87",
          STR("Yamada^Tarou=\x1B$B;3ED\x1B(B^\x1B$BB@O:\x1B(B=\x1B$B$d$^$@\x1B(B^\x1B$B$?$m$&\x1B(B"),
          "Yamada^Tarou=山田^太郎=やまだ^たろう", true, DICOM_VR_PN },
        { "H.3.2", "ISO 2022 IR 13\\ISO 2022 IR 87",
          STR("\xD4\xCF\xC0\xDE^\xC0\xDB\xB3=\x1B$B;3ED\x1B(J^\x1B$BB@O:\x1B(J=\x1B$B$d$^$@\x1B(J^\x1B$B$?$m$&\x1B(J"),
          "ﾔﾏﾀﾞ^ﾀﾛｳ=山田^太郎=やまだ^たろう", true, DICOM_VR_PN },
        { "I.2", "\\ISO 2022 IR 149",
          STR("Hong^Gildong=\x1B$)C\xFB\xF3^\x1B$)C\xD1\xCE\xD4\xD7=\x1B$)C\xC8\xAB^\x1B$)C\xB1\xE6\xB5\xBF"),
          "Hong^Gildong=洪^吉洞=홍^길동", true, DICOM_VR_PN },
        { "J.1", "ISO_IR 192", STR("Wang^XiaoDong=\xE7\x8E\x8B^\xE5\xB0\x8F\xE6\x9D\xB1="),
          "Wang^XiaoDong=王^小東=", true, DICOM_VR_PN },
        { "J.2", "GB18030", STR("Wang^XiaoDong=\xCD\xF5^\xD0\xA1\xB6\xAB="), "Wang^XiaoDong=王^小东=", true,
          DICOM_VR_PN },
        { "J, GBK", "GBK", STR("Wang^XiaoDong=\xCD\xF5^\xD0\xA1\xB6\xAB="), "Wang^XiaoDong=王^小东=", true,
          DICOM_VR_PN },
        { "K.2", "\\ISO 2022 IR 58", STR("Zhang^XiaoDong=\x1B$)A\xD5\xC5^\x1B$)A\xD0\xA1\xB6\xAB="),
          "Zhang^XiaoDong=张^小东=", true, DICOM_VR_PN },
        { "parts of a name begin anew", "ISO 2022 IR 100\\ISO 2022 IR 144", STR("\x1B-L\xBB^\xFC\x1B-L\xBB=\xFC"),
          "Л^üЛ=ü", true, DICOM_VR_PN },
        { "parts of other texts do not", "ISO 2022 IR 100\\ISO 2022 IR 144", STR("\x1B-L\xBB^\xBB=\xBB"), "Л^Л=Л", true,
          DICOM_VR_LO },
        { "nothing to go back to", "\\ISO 2022 IR 149", STR("\x1B$)C\xFB\xF3^\xD1\xCE\xD4\xD7"), "洪^吉洞", true,
          DICOM_VR_PN },
        { "half a kanji is no caret", "\\ISO 2022 IR 87", STR("\x1B$B^!=#\x1B(B^X"), "沺州^X", true, DICOM_VR_PN },
        { "one text has no values", "ISO 2022 IR 100\\ISO 2022 IR 144", STR("\x1B-L\xBB\\\xBB"), "Л\\Л", true,
          DICOM_VR_LT },
        { "a page begins anew", "ISO 2022 IR 100\\ISO 2022 IR 144", STR("\x1B-L\xBB\f\xFC\x1B-L\xBB\t\xFC"), "Л\füЛ\tü",
          true, DICOM_VR_LT },
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        check_decoded(rows[i].name, rows[i].charset, rows[i].vr, rows[i].bytes, rows[i].want, rows[i].clean);
}

static void test_charset__parses_terms(void)
{
    static const struct { const char *name, *value; int n; bool is_known, is_compatible; } rows[] = {
        { "none", "", 1, true, true }, { "one", "ISO_IR 100", 1, true, true }, { "UTF-8", "ISO_IR 192", 1, true, true },
        { "GB", "GB18030", 1, true, false }, { "GBK", "GBK", 1, true, false },
        { "first empty", "\\ISO 2022 IR 87", 2, true, false },
        { "two", "ISO 2022 IR 6\\ISO 2022 IR 100", 2, true, true },
        { "trailing empty", "ISO_IR 100\\", 1, true, true }, { "unknown", "UTF-8", 0, false, true },
        { "half known", "ISO_IR 100\\x", 1, false, true }, { "not whole", "ISO_IR GBK", 0, false, true },
        { "bare number", "100", 0, false, true }, { "lower case", "iso_ir 100", 0, false, true },
        { "too many",
          "ISO_IR 6\\ISO_IR 6\\ISO_IR 6\\ISO_IR 6\\ISO_IR 6\\ISO_IR 6\\ISO_IR 6\\ISO_IR 6\\ISO_IR 6", 8, false, true },
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        test_row("%s", rows[i].name);
        struct dicom_charset c = dicom_charset_parse(str_of(rows[i].value));
        CHECK_INT(c.n, rows[i].n);
        CHECK(c.is_known == rows[i].is_known);
        CHECK(dicom_charset_is_ascii_compatible(&c) == rows[i].is_compatible);
    }
}

static void test_charset__knows_what_adds_nothing_to_ascii_and_utf8(void)
{
    static const struct {
        const char *value;
        bool is_either;
    } rows[] = {
        { "", true },
        { "ISO_IR 6", true },
        { "ISO_IR 192", true },
        { "ISO 2022 IR 6\\ISO_IR 192", true },
        { "ISO_IR 100", false },
        { "\\ISO 2022 IR 87", false },
        { "GB18030", false },
        { "UTF-8", false },
        { "ISO_IR 192\\x", false },
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        test_row("%s", rows[i].value);
        struct dicom_charset c = dicom_charset_parse(str_of(rows[i].value));
        CHECK(dicom_charset_is_ascii_or_utf8(&c) == rows[i].is_either);
    }
}

static void test_charset__ascii_is_borrowed(void)
{
    struct pixl_error err = { 0 };
    struct arena a;
    struct str in = STR("Doe^Jane"), out;
    bool clean;
    arena_init(&a, 1);                          /* no room for anything */
    struct dicom_charset c = dicom_charset_parse(STR("ISO_IR 192"));
    CHECK_OK(dicom_charset_decode(&c, DICOM_VR_PN, &a, in, &out, &clean, &err), err);
    CHECK(out.p == in.p && out.n == in.n && clean);
    CHECK_FAILS(dicom_charset_decode(&c, DICOM_VR_LO, &a, STR("\xFF"), &out, &clean, &err), err, PIXL_E_NOMEM);
}

/* Any bytes under any set give UTF-8 and stay within the room that was made for them. */
static void test_charset__any_bytes_give_utf8(void)
{
    static const char *const sets[] = {
        "", "ISO_IR 13", "ISO_IR 100", "ISO_IR 126", "ISO_IR 138", "ISO_IR 166", "ISO_IR 192", "GB18030", "GBK", "x",
        "\\ISO 2022 IR 87\\ISO 2022 IR 159", "ISO 2022 IR 13\\ISO 2022 IR 87", "\\ISO 2022 IR 149\\ISO 2022 IR 58",
    };
    static const char *const escapes[] = {
        "\x1B$B", "\x1B$(D", "\x1B$)C", "\x1B$)A", "\x1B(B", "\x1B-F", "\x1B)I", "\n",
    };
    uint32_t x = 1;
    for (size_t i = 0; i < ARRAY_LEN(sets); i++)
        for (int round = 0; round < 300; round++) {
            struct pixl_error err = { 0 };
            struct arena a;
            struct str out;
            bool clean;
            char *bytes;
            size_t n = 0;
            arena_init(&a, 1 << 20);
            REQUIRE((bytes = arena_alloc(&a, 64)) != NULL);
            while (n < 60) {
                x = x * 1664525u + 1013904223u;
                const char *e = escapes[x >> 24 & 7];
                if ((x >> 16 & 15) == 0 && n + strlen(e) <= 60) {
                    memcpy(bytes + n, e, strlen(e));
                    n += strlen(e);
                } else {
                    bytes[n++] = (char)(x >> 24);
                }
            }
            test_row("%s round %d", sets[i], round);
            struct dicom_charset c = dicom_charset_parse(str_of(sets[i]));
            REQUIRE_OK(dicom_charset_decode(&c, round % 2 ? DICOM_VR_PN : DICOM_VR_LT, &a, (struct str){ bytes, n },
                                            &out, &clean, &err),
                       err);
            CHECK(str_is_utf8(out) && out.n <= 3 * n);
            arena_done(&a);
        }
}

int main(int argc, char **argv)
{
    static const struct test_case tests[] = {
        TEST(test_charset__decodes),
        TEST(test_charset__sets_are_called_by_escape),
        TEST(test_charset__values_end_as_their_vr_says),
        TEST(test_charset__parses_terms),
        TEST(test_charset__knows_what_adds_nothing_to_ascii_and_utf8),
        TEST(test_charset__ascii_is_borrowed),
        TEST(test_charset__any_bytes_give_utf8),
    };
    return test_main(argc, argv, tests, ARRAY_LEN(tests));
}
