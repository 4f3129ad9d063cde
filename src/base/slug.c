#include "slug.h"

#include <stdlib.h>
#include <string.h>

/* What becomes of a character that comes as an HTML entity: it is decomposed, but not transliterated any more. */
enum kind {
    SAME,                        /* the same as of the character itself: 1/2 */
    MARK,                        /* the same and a mark behind it, which ends a word: Z and its caron */
    GONE,                        /* nothing of it is left */
};
struct letter { uint16_t point; uint8_t kind; char ascii[6]; };
struct entity { char name[9], ascii[6]; };
#include "slug_table.inc"

/* Signs without an entry in the table: most end a word, some vanish, as with python-slugify.  A character that is
 * neither here nor in the table is taken for a letter of a script that we cannot write, and refused. */
static const struct { uint32_t first, last; bool vanishes; } signs[] = {
    { 0x0080, 0x009F, true }, { 0x02C2, 0x02C5, false }, { 0x02D2, 0x02D2, false }, { 0x02D3, 0x02D3, true },
    { 0x02D4, 0x02DF, false }, { 0x02E5, 0x02EB, true }, { 0x02ED, 0x02ED, false }, { 0x02EF, 0x02FF, false },
    { 0x0300, 0x034E, true }, { 0x034F, 0x035F, false }, { 0x0360, 0x036F, true }, { 0x0375, 0x0375, false },
    { 0x03F6, 0x03F6, false }, { 0x0482, 0x0482, false }, { 0x0483, 0x0486, true }, { 0x0487, 0x0487, false },
    { 0x0488, 0x0489, true }, { 0x200B, 0x200B, false }, { 0x200C, 0x200F, true }, { 0x2027, 0x2029, false },
    { 0x202A, 0x202E, true }, { 0x204C, 0x2069, false }, { 0x206A, 0x206F, true }, { 0x207B, 0x207B, false },
    { 0x208B, 0x208B, false }, { 0x20B0, 0x20C0, false }, { 0x20D0, 0x20E3, true }, { 0x20E4, 0x20F0, false },
    { 0x2140, 0x2144, false }, { 0x214A, 0x214F, false }, { 0x218A, 0x23FF, false }, { 0x2400, 0x245F, true },
    { 0x24EB, 0x25FF, false }, { 0x2600, 0x2613, true }, { 0x2614, 0x2618, false }, { 0x2619, 0x2671, true },
    { 0x2672, 0x26FF, false }, { 0x2700, 0x2700, false }, { 0x2701, 0x275E, true }, { 0x275F, 0x2760, false },
    { 0x2761, 0x27AF, true }, { 0x27B0, 0x27B0, false }, { 0x27B1, 0x27BE, true }, { 0x27BF, 0x27BF, false },
    { 0x27C0, 0x2BFF, false }, { 0x2E00, 0x2E7F, false }, { 0x3001, 0x3004, false }, { 0x3008, 0x3020, false },
    { 0x3030, 0x3030, false }, { 0xFE00, 0xFE0F, false }, { 0xFEFF, 0xFEFF, true }, { 0xFFF9, 0xFFFD, true },
    { 0x1F000, 0x1FAFF, true }, { 0xE0000, 0xE01EF, true },
};

static int compare_point(const void *key, const void *item)
{
    uint32_t a = *(const uint32_t *)key, b = ((const struct letter *)item)->point;
    return (a > b) - (a < b);
}

static const struct letter *find_letter(uint32_t point)
{
    return bsearch(&point, letters, ARRAY_LEN(letters), sizeof letters[0], compare_point);
}

/* A sign: what it leaves, "-" or nothing.  NULL: not a sign. */
static const char *find_sign(uint32_t point)
{
    for (size_t i = 0; i < ARRAY_LEN(signs); i++)
        if (point >= signs[i].first && point <= signs[i].last)
            return signs[i].vanishes ? "" : "-";
    return NULL;
}

static bool refuse(uint32_t point, struct pixl_error *err)
{
    return pixl_fail(err, PIXL_E_UNSUPPORTED, 0,
                     "slug: U+%04X belongs to a script that pixl cannot write in Latin letters; "
                     "choose a slug by hand (project.slug)",
                     (unsigned)point);
}

/* The next character of well-formed UTF-8. */
static uint32_t next_point(struct str *s)
{
    const unsigned char *p = (const unsigned char *)s->p;
    size_t n = p[0] < 0x80 ? 1 : p[0] < 0xE0 ? 2 : p[0] < 0xF0 ? 3 : 4;
    static const unsigned char mask[] = { 0, 0x7F, 0x1F, 0x0F, 0x07 };
    uint32_t point = p[0] & mask[n];
    for (size_t i = 1; i < n; i++)
        point = point << 6 | (p[i] & 0x3F);
    *s = (struct str){ s->p + n, s->n - n };
    return point;
}

/* Apostrophes end a word here, and only here: those that transliteration brings vanish later. */
static bool to_ascii(struct str text, struct buf *out, struct pixl_error *err)
{
    while (text.n > 0) {
        uint32_t point = next_point(&text);
        if (point < 0x80) {
            (void)buf_add_char(out, point == '\'' ? '-' : (char)point);
            continue;
        }
        const struct letter *l = find_letter(point);
        const char *ascii = l ? l->ascii : find_sign(point);
        if (ascii == NULL)
            return refuse(point, err);
        (void)buf_add_cstr(out, ascii);
    }
    return true;
}

static bool add_entity(uint32_t point, struct buf *out, struct pixl_error *err)
{
    if (point < 0x80)
        return buf_add_char(out, (char)point) || true;
    const struct letter *l = find_letter(point);
    if (l == NULL && find_sign(point) == NULL && (point < 0xD800 || point > 0xDFFF))
        return refuse(point, err);
    if (l != NULL && l->kind != GONE)
        (void)buf_add_cstr(out, l->ascii);
    if (l == NULL || l->kind != SAME)
        (void)buf_add_char(out, '-');
    return true;
}

static int compare_name(const void *key, const void *item)
{
    return str_cmp(*(const struct str *)key, str_of(((const struct entity *)item)->name));
}

/* &name; */
static void decode_names(struct str s, struct buf *out)
{
    while (s.n > 0) {
        struct str name, rest;
        const struct entity *e = NULL;
        size_t near = s.n - 1 < sizeof e->name ? s.n - 1 : sizeof e->name;     /* no name is longer */
        if (s.p[0] == '&' && str_split((struct str){ s.p + 1, near }, ';', &name, &rest))
            e = bsearch(&name, entities, ARRAY_LEN(entities), sizeof entities[0], compare_name);
        if (e != NULL) {
            (void)buf_add_cstr(out, e->ascii);
            s = (struct str){ s.p + name.n + 2, s.n - name.n - 2 };
        } else {
            (void)buf_add_char(out, s.p[0]);
            s = (struct str){ s.p + 1, s.n - 1 };
        }
    }
}

static int digit_of(char c, unsigned base)
{
    int d = c >= '0' && c <= '9'   ? c - '0'
            : c >= 'a' && c <= 'f' ? c - 'a' + 10
            : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                   : 99;
    return d < (int)base ? d : -1;
}

/* Does s begin with lead, digits and ';'?  *used: their length; *point: the number, beyond Unicode when too large. */
static bool match_number(struct str s, struct str lead, unsigned base, size_t *used, uint32_t *point)
{
    if (!str_is_prefix(s, lead))
        return false;
    size_t i = lead.n;
    uint32_t v = 0;
    for (; i < s.n && digit_of(s.p[i], base) >= 0; i++)
        v = v > 0x10FFFF ? v : v * base + (uint32_t)digit_of(s.p[i], base);
    if (i == lead.n || i == s.n || s.p[i] != ';')
        return false;
    *used = i + 1;
    *point = v;
    return true;
}

/* &#N; or &#xH;.  One number beyond Unicode and they all stay as they are. */
static bool decode_numbers(struct str s, struct str lead, unsigned base, struct buf *out, struct pixl_error *err)
{
    struct str all = s;
    while (s.n > 0) {
        size_t used = 1;
        uint32_t point = 0;
        if (!match_number(s, lead, base, &used, &point)) {
            (void)buf_add_char(out, s.p[0]);
        } else if (point > 0x10FFFF) {
            buf_clear(out);
            return buf_add_str(out, all) || true;
        } else if (!add_entity(point, out, err)) {
            return false;
        }
        s = (struct str){ s.p + used, s.n - used };
    }
    return true;
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* Lower case; apostrophes and the commas inside numbers vanish; whatever else is left ends a word. */
static void to_words(char *p, size_t *n)
{
    size_t kept = 0, to = 0;
    for (size_t i = 0; i < *n; i++)
        if (p[i] != '\'')
            p[kept++] = p[i];
    char before = ' ';
    for (size_t i = 0; i < kept; i++) {
        char c = p[i] >= 'A' && p[i] <= 'Z' ? (char)(p[i] - 'A' + 'a') : p[i], last = before;
        before = c;
        if (c == ',' && is_digit(last) && i + 1 < kept && is_digit(p[i + 1]))
            continue;
        if (is_digit(c) || (c >= 'a' && c <= 'z'))
            p[to++] = c;
        else if (to > 0 && p[to - 1] != '-')
            p[to++] = '-';
    }
    if (to > 0 && p[to - 1] == '-')
        to--;
    *n = to;
}

bool slug_make(struct arena *a, struct str text, struct str *out, struct pixl_error *err)
{
    if (!str_is_utf8(text))
        return pixl_fail(err, PIXL_E_INVALID, 0, "slug: the name is not UTF-8");
    /* No character becomes more than 5 of ASCII, and no step makes a text longer after that but for entities of 4
     * characters or more ("&Mu;"). */
    if (text.n > 1024 * 1024)
        return pixl_fail(err, PIXL_E_INVALID, 0, "slug: the name is longer than a megabyte");
    const size_t max = text.n * 8 + 8;
    buf_auto one = { .max = max }, two = { .max = max }, three = { .max = max }, four = { .max = max };
    if (!to_ascii(text, &one, err))
        return false;
    decode_names(buf_str(&one), &two);
    if (!decode_numbers(buf_str(&two), STR("&#"), 10, &three, err) ||
        !decode_numbers(buf_str(&three), STR("&#x"), 16, &four, err))
        return false;
    if (one.failed || two.failed || three.failed || four.failed)
        return pixl_fail(err, PIXL_E_NOMEM, 0, "slug");
    if (four.n > 0)
        to_words(four.p, &four.n);
    if (four.n == 0)
        return pixl_fail(err, PIXL_E_INVALID, 0, "slug: nothing is left of the name; it needs a letter or a digit");
    struct str s = arena_str(a, buf_str(&four));
    if (s.p == NULL)
        return pixl_fail(err, PIXL_E_NOMEM, 0, "slug");
    *out = s;
    return true;
}

bool slug_is_valid(struct str s)
{
    bool dash = true;                           /* none at the beginning */
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        if (c == '-' ? dash : !((c >= 'a' && c <= 'z') || is_digit(c)))
            return false;
        dash = c == '-';
    }
    return !dash;
}
