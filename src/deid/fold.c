#include "fold.h"

#include <uchar.h>

/* Letters of Latin-1 Supplement and Latin Extended-A without case and diacritics; "" is no letter. */
static const char latin[0x180 - 0xC0][3] = {
    "a", "a", "a",  "a", "a", "a", "ae", "c",  "e", "e", "e",  "e",  "i", "i", "i",  "i",  "d", "n", "o",  "o",
    "o", "o", "o",  "",  "o", "u", "u",  "u",  "u", "y", "th", "ss", "a", "a", "a",  "a",  "a", "a", "ae", "c",
    "e", "e", "e",  "e", "i", "i", "i",  "i",  "d", "n", "o",  "o",  "o", "o", "o",  "",   "o", "u", "u",  "u",
    "u", "y", "th", "y", "a", "a", "a",  "a",  "a", "a", "c",  "c",  "c", "c", "c",  "c",  "c", "c", "d",  "d",
    "d", "d", "e",  "e", "e", "e", "e",  "e",  "e", "e", "e",  "e",  "g", "g", "g",  "g",  "g", "g", "g",  "g",
    "h", "h", "h",  "h", "i", "i", "i",  "i",  "i", "i", "i",  "i",  "i", "i", "ij", "ij", "j", "j", "k",  "k",
    "k", "l", "l",  "l", "l", "l", "l",  "l",  "l", "l", "l",  "n",  "n", "n", "n",  "n",  "n", "n", "n",  "n",
    "o", "o", "o",  "o", "o", "o", "oe", "oe", "r", "r", "r",  "r",  "r", "r", "s",  "s",  "s", "s", "s",  "s",
    "s", "s", "t",  "t", "t", "t", "t",  "t",  "u", "u", "u",  "u",  "u", "u", "u",  "u",  "u", "u", "u",  "u",
    "w", "w", "y",  "y", "y", "z", "z",  "z",  "z", "z", "z",  "s",
};

/* The same for Latin Extended-B's part that names use, and for Latin Extended Additional (Vietnamese); '?': as it is. */
enum { EXTENDED_B = 0x180, EXTENDED_ADDITIONAL = 0x1E00 };
static const char latin_b[] =
    "bbbb???ccdddd?e??ffg???ikkl??nnooo??pp?????ttttuu?vyyzz??????????????????????aaiioouuuuuuuuuueaa"
    "aa??ggggkkoooo??j???gg??nnaa????aaaaeeeeiiiioooorrrruuuusstt??hh?d??zzaaeeooooooooyy??????acclt?"
    "???b??eejjqqrryy";
static const char latin_additional[] =
    "aabbbbbbccddddddddddeeeeeeeeeeffgghhhhhhhhhhiiiikkkkkkllllllllmmmmmmnnnnnnnnoooooooopppprrrrrrrr"
    "ssssssssssttttttttuuuuuuuuuuvvvvwwwwwwwwwwxxxxyyzzzzzzhtwyassss?aaaaaaaaaaaaaaaaaaaaaaaaeeeeeeee"
    "eeeeeeeeiiiioooooooooooooooooooooooouuuuuuuuuuuuuuyyyyyyyy????yy";

/* Half-width katakana from U+FF66 on, and all katakana from U+30A1 on without voicing marks and small forms. */
static const char16_t half_width[0xFF9E - 0xFF66 + 1] =
    u"ヲアイウエオヤユヨツーアイウエオカキクケコサシスセソタチツテトナニヌネノハヒフヘホマミムメモヤユヨラリルレロワン";
static const char16_t plain_kana[0x30FB - 0x30A1 + 1] =
    u"アアイイウウエエオオカカキキククケケココササシシススセセソソタタチチツツツテテトトナニヌネノハハハヒヒヒフフフヘ"
    u"ヘヘホホホ"
    u"マミムメモヤヤユユヨヨラリルレロワワヰヱヲンウカケワヰヱヲ";

#define L(c)                                  \
    {                                         \
        { c, 0 }, 1, FOLD_LETTER, FOLD_SPACED \
    }
#define D(c)                                 \
    {                                        \
        { c, 0 }, 1, FOLD_DIGIT, FOLD_SPACED \
    }
#define J(c) [c] = { { c, 0 }, 1, FOLD_JOINER, FOLD_SPACED }
/* What is not named here is FOLD_GAP. */
const struct folded fold_ascii[128] = {
    ['0'] = D('0'), D('1'), D('2'), D('3'),         D('4'), D('5'), D('6'),         D('7'),  D('8'), D('9'),
    ['A'] = L('a'), L('b'), L('c'), L('d'),         L('e'), L('f'), L('g'),         L('h'),  L('i'), L('j'),
    L('k'),         L('l'), L('m'), ['N'] = L('n'), L('o'), L('p'), L('q'),         L('r'),  L('s'), L('t'),
    L('u'),         L('v'), L('w'), L('x'),         L('y'), L('z'), ['a'] = L('a'), L('b'),  L('c'), L('d'),
    L('e'),         L('f'), L('g'), L('h'),         L('i'), L('j'), L('k'),         L('l'),  L('m'), ['n'] = L('n'),
    L('o'),         L('p'), L('q'), L('r'),         L('s'), L('t'), L('u'),         L('v'),  L('w'), L('x'),
    L('y'),         L('z'), J('-'), J('.'),         J('/'), J('_'), J(':'),         J('\''), J('+'), J('#'),
};
#undef L
#undef D
#undef J

/* Blocks of scripts; what is not listed (punctuation, symbols, private use) separates words. */
static bool is_letter_beyond_latin(uint32_t c)
{
    static const uint32_t blocks[][2] = {
        { 0xAA, 0xAA },       { 0xB5, 0xB5 },       { 0xBA, 0xBA },     { 0x180, 0x2AF },   { 0x370, 0x373 },
        { 0x376, 0x37D },     { 0x37F, 0x37F },     { 0x386, 0x386 },   { 0x388, 0x559 },   { 0x560, 0x588 },
        { 0x591, 0x5BD },     { 0x5D0, 0x5F2 },     { 0x610, 0x61A },   { 0x620, 0x669 },   { 0x66E, 0x6D3 },
        { 0x6D5, 0x6FF },     { 0x710, 0x1FFE },    { 0x2C00, 0x2DFF }, { 0x3005, 0x3007 }, { 0x3021, 0x3029 },
        { 0x3031, 0x30FA },   { 0x30FC, 0x31FF },   { 0x3400, 0xD7FF }, { 0xF900, 0xFD3D }, { 0xFD50, 0xFDFB },
        { 0xFE70, 0xFEFC },   { 0xFF10, 0xFF19 },   { 0xFF21, 0xFF3A }, { 0xFF41, 0xFF5A }, { 0xFF66, 0xFFDC },
        { 0x10000, 0x1EFFF }, { 0x20000, 0x3FFFF },
    };
    for (size_t i = 0; i < ARRAY_LEN(blocks); i++)
        if (c <= blocks[i][1])
            return c >= blocks[i][0];
    return false;
}

static enum fold_script script_of(uint32_t c)
{
    if (c < 0x1100)
        return FOLD_SPACED;
    if (c < 0x1200 || (c >= 0x3131 && c < 0x318F) || (c >= 0xAC00 && c < 0xD800) || (c >= 0xFFA0 && c < 0xFFDD))
        return FOLD_HANGUL;
    if (c >= 0x3041 && c < 0x3100)
        return FOLD_KANA;
    return (c >= 0x3005 && c < 0x303A) || (c >= 0x3400 && c < 0xA000) || (c >= 0xF900 && c < 0xFB00) ||
                   (c >= 0x20000 && c < 0x40000)
               ? FOLD_HAN
               : FOLD_SPACED;
}

/* Greek without accents and with one sigma, Cyrillic without the dots of yo, both in small letters. */
static uint32_t small_letter(uint32_t c)
{
    static const char16_t accented[] = u"ΆΈΉΊΌΎΏΐΪΫάέήίΰςϊϋόύώёЁ", plain[] = u"αεηιουωιιυαεηιυσιυουωее";
    for (size_t i = 0; i + 1 < ARRAY_LEN(accented); i++)
        if (accented[i] == c)
            return plain[i];
    if ((c >= 0x391 && c <= 0x3A9) || (c >= 0x410 && c <= 0x42F))
        return c + 0x20;
    return c >= 0x400 && c <= 0x40F ? c + 0x50 : c;
}

static struct folded letter(uint32_t c)
{
    return (struct folded){ { c }, 1, FOLD_LETTER, (unsigned char)script_of(c) };
}

static struct folded fold_kana(uint32_t c)
{
    if (c >= 0x3041 && c <= 0x3096)
        c += 0x60; /* hiragana */
    else if (c >= 0xFF66 && c <= 0xFF9D)
        c = half_width[c - 0xFF66];
    return letter(c >= 0x30A1 && c <= 0x30FA ? plain_kana[c - 0x30A1] : c);
}

static bool is_skipped(uint32_t c)
{
    static const uint32_t ranges[][2] = {
        { 0xAD, 0xAD },     { 0x300, 0x36F },   { 0x591, 0x5BD },   { 0x5BF, 0x5BF },     { 0x5C1, 0x5C2 },
        { 0x5C4, 0x5C5 },   { 0x5C7, 0x5C7 },   { 0x610, 0x61A },   { 0x61C, 0x61C },     { 0x640, 0x640 },
        { 0x64B, 0x65F },   { 0x670, 0x670 },   { 0x6D6, 0x6DC },   { 0x6DF, 0x6E4 },     { 0x6E7, 0x6E8 },
        { 0x6EA, 0x6ED },   { 0x180B, 0x180E }, { 0x1AB0, 0x1AFF }, { 0x1DC0, 0x1DFF },   { 0x200B, 0x200F },
        { 0x202A, 0x202E }, { 0x2060, 0x206F }, { 0x20D0, 0x20F0 }, { 0x3099, 0x309C },   { 0xFE00, 0xFE0F },
        { 0xFE20, 0xFE2F }, { 0xFEFF, 0xFEFF }, { 0xFF9E, 0xFF9F }, { 0xE0100, 0xE01EF },
    };
    for (size_t i = 0; i < ARRAY_LEN(ranges); i++)
        if (c <= ranges[i][1])
            return c >= ranges[i][0];
    return false;
}

/* The value of a digit of Arabic, Persian, the scripts of India, Thai, Lao, Tibetan, Burmese, Khmer and Mongolian, and of
 * full width; -1: none. */
static int digit_value(uint32_t c)
{
    static const char16_t zeros[] = u"٠۰߀०০੦૦୦௦౦೦൦๐໐༠၀០᠐０";
    for (size_t i = 0; i + 1 < ARRAY_LEN(zeros); i++)
        if (c >= zeros[i] && c < zeros[i] + 10u)
            return (int)(c - zeros[i]);
    return -1;
}

/* Letters of Arabic and Persian that are written for each other. */
static uint32_t arabic_letter(uint32_t c)
{
    static const char16_t variants[] = u"آأإٱىیکةہە", plain[] = u"ااااييكههه";
    for (size_t i = 0; i + 1 < ARRAY_LEN(variants); i++)
        if (variants[i] == c)
            return plain[i];
    return c;
}

static struct folded ligature(uint32_t c)
{
    static const char spelt[][4] = { "ff", "fi", "fl", "ffi", "ffl", "st", "st" };
    const char *s = spelt[c - 0xFB00];
    return (struct folded){
        { (unsigned char)s[0], (unsigned char)s[1], (unsigned char)s[2] }, s[2] ? 3 : 2, FOLD_LETTER, FOLD_SPACED
    };
}

struct folded fold_char(uint32_t c)
{
    if (c >= 0xC0 && c < 0x180) {
        const char *s = latin[c - 0xC0];
        return s[0] == '\0' ? (struct folded){ { c }, 1, FOLD_GAP, FOLD_SPACED }
                            : (struct folded){
                                  { (unsigned char)s[0], (unsigned char)s[1] }, s[1] ? 2 : 1, FOLD_LETTER, FOLD_SPACED
                              };
    }
    if (is_skipped(c))
        return (struct folded){ .class = FOLD_SKIP };
    char plain = '?';
    if (c >= EXTENDED_B && c < EXTENDED_B + sizeof latin_b - 1)
        plain = latin_b[c - EXTENDED_B];
    else if (c >= EXTENDED_ADDITIONAL && c < EXTENDED_ADDITIONAL + sizeof latin_additional - 1)
        plain = latin_additional[c - EXTENDED_ADDITIONAL];
    if (plain != '?')
        return letter((unsigned char)plain);
    if (c == 0x2019 || c == 0x2010 || c == 0x2011 || c == 0x2013)
        return (struct folded){ { c }, 1, FOLD_JOINER, FOLD_SPACED }; /* typographic apostrophe and hyphens */
    if (!is_letter_beyond_latin(c))
        return (struct folded){ { c }, 1, FOLD_GAP, FOLD_SPACED };
    const int digit = digit_value(c);
    if (digit >= 0)
        return (struct folded){ { (uint32_t)digit + '0' }, 1, FOLD_DIGIT, FOLD_SPACED };
    if (c >= 0xFB00 && c <= 0xFB06)
        return ligature(c);
    if (c >= 0xFF21 && c <= 0xFF3A) /* full-width forms */
        return letter(c - 0xFF21 + 'a');
    if (c >= 0xFF41 && c <= 0xFF5A)
        return letter(c - 0xFF41 + 'a');
    if ((c >= 0x3041 && c <= 0x30FF) || (c >= 0xFF66 && c <= 0xFF9D))
        return fold_kana(c);
    return letter(c < 0x460 ? small_letter(c) : c < 0x700 ? arabic_letter(c) : c);
}

struct folded fold_spelt(uint32_t c, unsigned char before)
{
    static const char16_t letters[] = u"äÄöÖøØüÜåÅ";
    static const char spelt[] = "aeaeoeoeoeoeueueaaaa";
    for (size_t i = 0; i + 1 < ARRAY_LEN(letters); i++)
        if (letters[i] == c)
            return (struct folded){
                { (unsigned char)spelt[2 * i], (unsigned char)spelt[2 * i + 1] }, 2, FOLD_LETTER, FOLD_SPACED
            };
    before |= 0x20;
    if (c == 0x308 && (before == 'a' || before == 'o' || before == 'u'))
        return letter('e');
    return c == 0x30A && before == 'a' ? letter('a') : fold_char(c);
}

uint32_t fold_next(struct str *s)
{
    const unsigned char *p = (const unsigned char *)s->p;
    uint32_t c = p[0];
    size_t n = c < 0x80 ? 1 : c >= 0xF0 ? 4 : c >= 0xE0 ? 3 : 2;
    if (n > 1 && (s->n < n || !str_is_utf8((struct str){ s->p, n })))
        n = 1;
    else if (n == 2)
        c = (c & 0x1F) << 6 | (p[1] & 0x3F);
    else if (n == 3)
        c = (c & 0x0F) << 12 | (uint32_t)(p[1] & 0x3F) << 6 | (p[2] & 0x3F);
    else if (n == 4)
        c = (c & 0x07) << 18 | (uint32_t)(p[1] & 0x3F) << 12 | (uint32_t)(p[2] & 0x3F) << 6 | (p[3] & 0x3F);
    s->p += n;
    s->n -= n;
    return c;
}
