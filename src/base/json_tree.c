#include "json_tree.h"

#include <assert.h>
#include <string.h>

struct reader {
    struct arena *arena;
    const char *start, *p, *end;
    unsigned depth, max_depth;
    size_t max_items;
};

static bool read_value(struct reader *r, struct json_node *out, struct pixl_error *err);

static bool corrupt(const struct reader *r, struct pixl_error *err)
{
    return pixl_fail(err, PIXL_E_CORRUPT, (int)(r->p - r->start), "not JSON (byte %zu)", (size_t)(r->p - r->start));
}

static bool fail_memory(struct pixl_error *err)
{
    return pixl_fail(err, PIXL_E_NOMEM, 0, "JSON");
}

static void skip_blanks(struct reader *r)
{
    while (r->p < r->end && (*r->p == ' ' || *r->p == '\t' || *r->p == '\n' || *r->p == '\r'))
        r->p++;
}

/* c, when it is the next character but blanks. */
static bool take(struct reader *r, char c)
{
    skip_blanks(r);
    if (r->p == r->end || *r->p != c)
        return false;
    r->p++;
    return true;
}

static bool take_word(struct reader *r, const char *word)
{
    size_t n = strlen(word);
    if ((size_t)(r->end - r->p) < n || memcmp(r->p, word, n) != 0)
        return false;
    r->p += n;
    return true;
}

/* --- numbers ---------------------------------------------------------------------------------------------------- */

static size_t skip_digits(struct reader *r)
{
    const char *from = r->p;
    while (r->p < r->end && *r->p >= '0' && *r->p <= '9')
        r->p++;
    return (size_t)(r->p - from);
}

static bool read_number(struct reader *r, struct json_node *out, struct pixl_error *err)
{
    const char *from = r->p;
    bool is_whole = true;
    r->p += *r->p == '-';
    bool leads_with_zero = r->p < r->end && *r->p == '0';
    size_t digits = skip_digits(r);
    if (digits == 0 || (leads_with_zero && digits > 1))
        return corrupt(r, err);
    if (r->p < r->end && *r->p == '.') {
        is_whole = false;
        r->p++;
        if (skip_digits(r) == 0)
            return corrupt(r, err);
    }
    if (r->p < r->end && (*r->p == 'e' || *r->p == 'E')) {
        is_whole = false;
        r->p++;
        r->p += r->p < r->end && (*r->p == '+' || *r->p == '-');
        if (skip_digits(r) == 0)
            return corrupt(r, err);
    }
    struct str s = { from, (size_t)(r->p - from) };
    out->kind = is_whole && str_to_i64(s, &out->integer) ? JSON_NODE_INTEGER : JSON_NODE_REAL;
    if (out->kind == JSON_NODE_REAL && !str_to_double(s, &out->real))
        return pixl_fail(err, PIXL_E_LIMIT, 0, "a number is too large, or too long");
    return true;
}

/* --- texts ------------------------------------------------------------------------------------------------------ */

static bool read_hex4(struct reader *r, uint32_t *out)
{
    uint32_t v = 0;
    if (r->end - r->p < 4)
        return false;
    for (size_t i = 0; i < 4; i++) {
        char c = r->p[i];
        uint32_t d = c >= '0' && c <= '9'                     ? (uint32_t)(c - '0')
                     : (c | 0x20) >= 'a' && (c | 0x20) <= 'f' ? (uint32_t)((c | 0x20) - 'a' + 10)
                                                              : 16;
        if (d == 16)
            return false;
        v = v << 4 | d;
    }
    r->p += 4;
    *out = v;
    return true;
}

/* Behind "\u"; never more bytes of UTF-8 than the escape has. */
static bool read_point(struct reader *r, char **to)
{
    uint32_t c, low;
    if (!read_hex4(r, &c) || c == 0 || (c >= 0xDC00 && c < 0xE000))
        return false;
    if (c >= 0xD800 && c < 0xDC00) {
        if (!take_word(r, "\\u") || !read_hex4(r, &low) || low < 0xDC00 || low >= 0xE000)
            return false;
        c = 0x10000 + ((c - 0xD800) << 10) + (low - 0xDC00);
    }
    size_t n = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
    static const unsigned char lead[] = { 0, 0x00, 0xC0, 0xE0, 0xF0 };
    for (size_t i = n - 1; i > 0; i--, c >>= 6)
        (*to)[i] = (char)(0x80 | (c & 0x3F));
    (*to)[0] = (char)(lead[n] | c);
    *to += n;
    return true;
}

static bool read_escape(struct reader *r, char **to)
{
    static const char from[] = "\"\\/bfnrt", plain[] = "\"\\/\b\f\n\r\t";
    if (r->p == r->end)
        return false;
    char c = *r->p++;
    if (c == 'u')
        return read_point(r, to);
    const char *at = c != '\0' ? strchr(from, c) : NULL;
    if (at == NULL)
        return false;
    *(*to)++ = plain[at - from];
    return true;
}

/* Behind the opening quote. */
static bool read_text(struct reader *r, struct str *out, struct pixl_error *err)
{
    const char *close = r->p;
    while (close < r->end && *close != '"')
        close += *close == '\\' ? 2 : 1;
    if (close >= r->end) {
        r->p = r->end;
        return corrupt(r, err);
    }
    char *made = arena_alloc(r->arena, (size_t)(close - r->p) + 1), *to = made;
    if (made == NULL)
        return fail_memory(err);
    while (r->p < close) {
        char c = *r->p;
        if ((unsigned char)c < 0x20)
            return corrupt(r, err);
        r->p++;
        if (c != '\\')
            *to++ = c;
        else if (!read_escape(r, &to))
            return corrupt(r, err);
    }
    r->p = close + 1;
    *out = (struct str){ made, (size_t)(to - made) };
    return true;
}

/* --- lists and objects ------------------------------------------------------------------------------------------ */

/* Behind the name's opening quote, up to the colon. */
static bool read_name(struct reader *r, const struct json_node *object, struct str *out, struct pixl_error *err)
{
    if (!read_text(r, out, err))
        return false;
    for (const struct json_node *m = object->first; m != NULL; m = m->next)
        if (str_eq(m->name, *out))
            return pixl_fail(err, PIXL_E_INVALID, 0, "a field stands there twice");
    return take(r, ':') || corrupt(r, err);
}

/* Behind the opening bracket. */
static bool read_items(struct reader *r, struct json_node *out, char close, struct pixl_error *err)
{
    const struct json_node **end = &out->first;
    /* Members are compared with each other. */
    size_t max = close == '}' && r->max_items > JSON_TREE_MEMBERS_MAX ? JSON_TREE_MEMBERS_MAX : r->max_items;
    if (take(r, close))
        return true;
    do {
        if (out->n == max)
            return pixl_fail(err, PIXL_E_LIMIT, 0, "more than %zu items", max);
        struct json_node *item = arena_calloc(r->arena, 1, sizeof *item);
        if (item == NULL)
            return fail_memory(err);
        struct str name = { 0 };
        if (close == '}' && !take(r, '"'))
            return corrupt(r, err);
        if ((close == '}' && !read_name(r, out, &name, err)) || !read_value(r, item, err))
            return false;
        item->name = name;
        *end = item;
        end = &item->next;
        out->n++;
    } while (take(r, ','));
    return take(r, close) || corrupt(r, err);
}

static bool read_container(struct reader *r, struct json_node *out, struct pixl_error *err)
{
    char open = *r->p++;
    if (r->depth == r->max_depth)
        return pixl_fail(err, PIXL_E_LIMIT, 0, "nested deeper than %u", r->max_depth);
    r->depth++;
    out->kind = open == '[' ? JSON_NODE_LIST : JSON_NODE_OBJECT;
    bool ok = read_items(r, out, open == '[' ? ']' : '}', err);
    r->depth--;
    return ok;
}

static bool read_value(struct reader *r, struct json_node *out, struct pixl_error *err)
{
    skip_blanks(r);
    if (r->p == r->end)
        return corrupt(r, err);
    if (*r->p == '[' || *r->p == '{')
        return read_container(r, out, err);
    if (*r->p == '-' || (*r->p >= '0' && *r->p <= '9'))
        return read_number(r, out, err);
    if (take(r, '"')) {
        out->kind = JSON_NODE_TEXT;
        return read_text(r, &out->text, err);
    }
    out->kind = *r->p == 'n' ? JSON_NODE_NULL : JSON_NODE_BOOL;
    out->integer = *r->p == 't';
    return take_word(r, "null") || take_word(r, "true") || take_word(r, "false") || corrupt(r, err);
}

bool json_tree_read(struct arena *a, struct str s, unsigned max_depth, size_t max_items, const struct json_node **out,
                    struct pixl_error *err)
{
    assert(max_depth <= JSON_TREE_DEPTH_MAX);
    const char *p = s.n > 0 ? s.p : "";
    struct reader r = { .arena = a, .start = p, .p = p, .end = p + s.n, .max_depth = max_depth,
                        .max_items = max_items };
    if (!str_is_utf8(s))
        return pixl_fail(err, PIXL_E_CORRUPT, 0, "not UTF-8");
    struct json_node *root = arena_calloc(a, 1, sizeof *root);
    if (root == NULL)
        return fail_memory(err);
    if (!read_value(&r, root, err))
        return false;
    skip_blanks(&r);
    if (r.p != r.end)
        return corrupt(&r, err);
    *out = root;
    return true;
}

/* --- looking ---------------------------------------------------------------------------------------------------- */

bool json_node_is(const struct json_node *v, enum json_kind kind)
{
    return v != NULL && v->kind == kind;
}

const struct json_node *json_node_member(const struct json_node *v, const char *name)
{
    if (!json_node_is(v, JSON_NODE_OBJECT))
        return NULL;
    for (const struct json_node *m = v->first; m != NULL; m = m->next)
        if (str_eq(m->name, str_of(name)))
            return m;
    return NULL;
}

const struct json_node *json_node_item(const struct json_node *v, size_t i)
{
    const struct json_node *m = json_node_is(v, JSON_NODE_LIST) ? v->first : NULL;
    for (; m != NULL && i > 0; i--)
        m = m->next;
    return m;
}

size_t json_node_items(const struct json_node *v)
{
    return json_node_is(v, JSON_NODE_LIST) ? v->n : 0;
}

size_t json_node_members(const struct json_node *v)
{
    return json_node_is(v, JSON_NODE_OBJECT) ? v->n : 0;
}

struct str json_node_text(const struct json_node *v)
{
    return json_node_is(v, JSON_NODE_TEXT) ? v->text : (struct str){ 0 };
}

/* --- writing ---------------------------------------------------------------------------------------------------- */

/* Next character of well-formed UTF-8. */
static uint32_t next_point(struct str *s)
{
    const unsigned char *p = (const unsigned char *)s->p;
    size_t n = p[0] < 0x80 ? 1 : p[0] < 0xE0 ? 2 : p[0] < 0xF0 ? 3 : 4;
    uint32_t c = n == 1 ? p[0] : p[0] & (0x7Fu >> n);
    for (size_t i = 1; i < n; i++)
        c = c << 6 | (p[i] & 0x3F);
    *s = (struct str){ s->p + n, s->n - n };
    return c;
}

bool json_add_text(struct buf *b, struct str s)
{
    (void)buf_add_char(b, '"');
    while (s.n > 0) {
        uint32_t c = next_point(&s);
        if (c == '"' || c == '\\')
            (void)buf_addf(b, "\\%c", (char)c);
        else if (c >= 0x20 && c < 0x7F)
            (void)buf_add_char(b, (char)c);
        else if (c < 0x10000)
            (void)buf_addf(b, "\\u%04x", (unsigned)c);
        else
            (void)buf_addf(b, "\\u%04x\\u%04x", (unsigned)(0xD800 + ((c - 0x10000) >> 10)),
                           (unsigned)(0xDC00 + ((c - 0x10000) & 0x3FF)));
    }
    return buf_add_char(b, '"');
}
