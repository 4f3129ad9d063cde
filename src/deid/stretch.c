#include "stretch.h"

#include <string.h>

#include "deid/fold.h"

enum { STRETCH_MIN = 3, TEXT_MIN = 16, WIDE_MAX = 256 };

static bool is_high(char c)
{
    return (unsigned char)c >= 0x80;
}

static bool is_printable(char c)
{
    return c >= 0x20 && c < 0x7F;
}

static uint64_t eight_at(const char *p)
{
    uint64_t eight;
    memcpy(&eight, p, sizeof eight);
    return eight;
}

/* All eight bytes: none beyond ASCII, so that no sum carries; none below ' '; none DEL. */
static bool are_printable(uint64_t eight)
{
    const uint64_t ones = 0x0101010101010101, high = 0x80 * ones;
    return ((eight | (eight + ones)) & high) == 0 && ((eight + 0x60 * ones) & high) == high;
}

/* The first from i on that is not printable, or t.n. */
static size_t printable_end(struct str t, size_t i)
{
    while (t.n - i >= sizeof(uint64_t) && are_printable(eight_at(t.p + i)))
        i += sizeof(uint64_t);
    while (i < t.n && is_printable(t.p[i]))
        i++;
    return i;
}

/* The first from i on that a stretch may begin with, or t.n: what can be printed, or in front of a field is high. */
static size_t find_begin(struct str t, size_t i)
{
    for (;;) {
        while (t.n - i >= sizeof(uint64_t) && eight_at(t.p + i) == 0)
            i += sizeof(uint64_t);
        if (i == t.n || is_printable(t.p[i]) || (is_high(t.p[i]) && (i == 0 || t.p[i - 1] == '\0')))
            return i;
        i++;
    }
}

/* A field between NULs that is text but for letters beyond ASCII: UTF-8, or mostly ASCII letters. */
static bool is_field_of_letters(struct str field)
{
    size_t n_high = 0, n_letters = 0;
    for (size_t i = 0; i < field.n; i++) {
        n_high += is_high(field.p[i]);
        n_letters += (field.p[i] | 0x20) >= 'a' && (field.p[i] | 0x20) <= 'z';
        if (!is_printable(field.p[i]) && !is_high(field.p[i]))
            return false;
    }
    return n_high > 0 && (n_letters >= n_high || str_is_utf8(field));
}

/* The field that goes on at i, where its stretch of ASCII ends; n = 0: it is none of letters. */
static struct str field_of_letters(struct str t, size_t from, size_t i)
{
    const char *nul = memchr(t.p + i, '\0', t.n - i);
    const struct str field = { t.p + from, nul ? (size_t)(nul - t.p) - from : t.n - from };
    return field.n >= STRETCH_MIN && is_field_of_letters(field) ? field : (struct str){ 0 };
}

/* ASCII in UTF-16 of either byte order, from i on: every second byte is NUL.  Returns how many; *end: behind it. */
static size_t find_wide(struct str t, size_t i, char out[WIDE_MAX], size_t *end)
{
    size_t n = 0;
    for (*end = i; n < WIDE_MAX && *end < t.n && is_printable(t.p[*end]); *end += 2) {
        out[n++] = t.p[*end];
        if (*end + 1 >= t.n || t.p[*end + 1] != '\0')
            break;
    }
    return n;
}

/* Before *i, which is NUL, and behind it stands what may be wide.  Moves *i to what comes next. */
static bool give_wide(struct str t, size_t *i, stretch_sink *sink, void *ctx)
{
    char wide[WIDE_MAX];
    size_t end;
    const size_t n = find_wide(t, *i - 1, wide, &end);
    const struct stretch s = { { wide, n }, true, false };
    if (n >= STRETCH_MIN && !sink(ctx, &s))
        return false;
    *i = n >= WIDE_MAX ? *i - 1 + WIDE_MAX : end > *i ? end - 1 : *i; /* of long ones the halves overlap */
    return true;
}

bool stretch_each(struct str t, stretch_sink *sink, void *ctx)
{
    for (size_t i = find_begin(t, 0); i < t.n; i = find_begin(t, i)) {
        const size_t from = i;
        const bool starts_field = from == 0 || t.p[from - 1] == '\0';
        i = printable_end(t, i);
        if (starts_field && i < t.n && is_high(t.p[i])) {
            const struct stretch s = { field_of_letters(t, from, i), true, true };
            if (s.text.n > 0) {
                i = from + s.text.n;
                if (!sink(ctx, &s))
                    return false;
                continue;
            }
        }
        const struct str text = { t.p + from, i - from };
        const bool is_field = starts_field && (i == t.n || t.p[i] == '\0');
        const bool is_wide = text.n > 0 && t.n - i > 1 && t.p[i] == '\0' && is_printable(t.p[i + 1]);
        if (is_wide && !give_wide(t, &i, sink, ctx))
            return false;
        i += i == from;
        const struct stretch s = { text, is_field || text.n >= TEXT_MIN, false };
        if (text.n >= STRETCH_MIN && !sink(ctx, &s))
            return false;
    }
    return true;
}

/* Is this what somebody wrote?  Noise decodes to letters too: to signs and controls among them, to more accents than
 * any language has, and to ideographs that stand beside each other nowhere; a field between NULs is hardly noise. */
static bool is_writing(struct str s, bool is_field)
{
    enum { LATIN_END = 0x250, IDEOGRAPHS = 0x2E80 };
    size_t n_ascii = 0, n_letters = 0, n_accented = 0, n_others = 0;
    while (s.n > 0) {
        const uint32_t c = fold_next(&s);
        if (c < 0x80) {
            n_ascii += fold_ascii[c].class == FOLD_LETTER;
            continue;
        }
        if (!is_field && (c < 0xA0 || c >= IDEOGRAPHS))
            return false;
        const bool is_letter = fold_char(c).class == FOLD_LETTER;
        if (!is_field && !is_letter)
            return false;
        n_letters += is_letter;
        n_others += !is_letter;
        n_accented += is_letter && c < LATIN_END;
    }
    return is_field ? n_letters > n_others : n_ascii == 0 || n_ascii >= n_accented;
}

bool stretch_each_decoded(struct str t, stretch_sink *sink, void *ctx)
{
    for (size_t i = 0; i < t.n; i++) {
        const size_t from = i;
        bool is_beyond = false;
        for (; i < t.n && (is_printable(t.p[i]) || is_high(t.p[i])); i++)
            is_beyond = is_beyond || is_high(t.p[i]);
        const bool is_field = (from == 0 || t.p[from - 1] == '\0') && (i == t.n || t.p[i] == '\0');
        const struct stretch s = { { t.p + from, i - from }, is_field, true };
        if (is_beyond && is_writing(s.text, is_field) && !sink(ctx, &s))
            return false;
    }
    return true;
}

bool stretch_is_all_text(struct str t)
{
    size_t i = 0;
    while ((i = printable_end(t, i)) < t.n && (t.p[i] == '\r' || t.p[i] == '\n' || t.p[i] == '\t'))
        i++;
    while (i < t.n && t.p[i] == '\0')
        i++;
    return i == t.n;
}
