#include "upper.h"

#include <stdlib.h>

/* Letters first, first + step ... last; each is `delta` away from its capital. */
struct row {
    uint16_t first, last, step;
    int32_t delta;
};
#include "upper_table.inc"

enum { SHARP_S = 0xDF, GROWS_AT_MOST = 2 }; /* a byte of Latin-1 becomes two, as does a letter of two bytes three */

static int compare_row(const void *key, const void *item)
{
    uint32_t c = *(const uint32_t *)key;
    const struct row *r = item;
    return (c > r->last) - (c < r->first);
}

static uint32_t capital_of(uint32_t c)
{
    const struct row *r = bsearch(&c, rows, ARRAY_LEN(rows), sizeof rows[0], compare_row);
    return r != NULL && (c - r->first) % r->step == 0 ? (uint32_t)((int32_t)c + r->delta) : c;
}

/* The next character, of 0x80 and above, and how many bytes it has. */
static uint32_t next_char(struct str s, size_t *n)
{
    const unsigned char *p = (const unsigned char *)s.p;
    *n = p[0] >= 0xF0 ? 4 : p[0] >= 0xE0 ? 3 : 2;
    if (s.n < *n || !str_is_utf8((struct str){ s.p, *n })) {
        *n = 1;
        return p[0];
    }
    uint32_t c = p[0] & (0x7Fu >> *n);
    for (size_t i = 1; i < *n; i++)
        c = c << 6 | (p[i] & 0x3F);
    return c;
}

static char *put_char(char *out, uint32_t c)
{
    size_t n = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
    static const unsigned char lead[] = { 0, 0x00, 0xC0, 0xE0, 0xF0 };
    for (size_t i = n - 1; i > 0; i--, c >>= 6)
        out[i] = (char)(0x80 | (c & 0x3F));
    out[0] = (char)(lead[n] | c);
    return out + n;
}

bool upper_make(struct arena *a, struct str text, struct str *out, struct pixl_error *err)
{
    char *made = text.n <= SIZE_MAX / GROWS_AT_MOST - 1 ? arena_alloc(a, text.n * GROWS_AT_MOST + 1) : NULL,
         *end = made;
    if (made == NULL)
        return pixl_fail(err, PIXL_E_NOMEM, 0, "text in capitals");
    for (size_t n = 1; text.n > 0; text.p += n, text.n -= n) {
        unsigned char byte = (unsigned char)text.p[0];
        n = 1;
        uint32_t c = byte < 0x80 ? byte : next_char(text, &n);
        if (c == SHARP_S) {
            *end++ = 'S';
            c = 'S';
        }
        end = put_char(end, c >= 'a' && c <= 'z' ? c - 'a' + 'A' : c < 0x80 ? c : capital_of(c));
    }
    *end = '\0';
    *out = (struct str){ made, (size_t)(end - made) };
    return true;
}
