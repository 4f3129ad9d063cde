#include "yaml_doc.h"

#include <assert.h>
#include <ctype.h>
#include <string.h>
#include <yaml.h>

#include "nearest.h"

/* The tree is built from libyaml's events, not with its document API: there every limit could only be looked
 * at when the whole document stands in memory already. */
struct builder {
    struct arena *arena;
    const char *file;
    struct problems *ps;
    struct yaml_node *stack[YAML_DOC_DEPTH_MAX];
    size_t depth, n_nodes;
    struct yaml_node *root;
    bool has_key;                       /* a key was read and waits for its value */
    struct str key;
    struct place key_at;
};

static struct place place_of_mark(const char *file, yaml_mark_t mark)
{
    return (struct place){ file, (int)(mark.line + 1), (int)(mark.column + 1) };
}

static struct place place_of_offset(const char *file, struct str text, size_t offset)
{
    struct place at = { file, 1, 1 };
    for (size_t i = 0; i < offset && i < text.n; i++) {
        if (text.p[i] == '\n') {
            at.line++;
            at.column = 1;
        } else if (((unsigned char)text.p[i] & 0xC0) != 0x80) {
            at.column++;
        }
    }
    return at;
}

static bool has_key_already(const struct yaml_node *map, struct str key)
{
    for (const struct yaml_node *c = map->first; c != NULL; c = c->next)
        if (str_eq(c->key, key))
            return true;
    return false;
}

/* Links a new node into what is open; a second value of one key is told and left out. */
static bool place_node(struct builder *b, struct yaml_node *node)
{
    if (b->depth == 0) {
        if (b->root != NULL)
            return problem_at(b->ps, node->at, "only one document in a file");
        b->root = node;
        return true;
    }
    struct yaml_node *parent = b->stack[b->depth - 1];
    if (parent->kind == YAML_MAP) {
        assert(b->has_key);
        b->has_key = false;
        node->key = b->key;
        node->key_at = b->key_at;
        if (has_key_already(parent, node->key)) {
            (void)problem_at(b->ps, node->key_at, "'%s' is given twice", problem_show(node->key).text);
            return true;
        }
        if (parent->n == YAML_DOC_KEYS_MAX)
            return problem_of(b->ps, PIXL_E_LIMIT, node->key_at, "more than %d keys in one map", YAML_DOC_KEYS_MAX);
    }
    if (parent->last != NULL)
        parent->last->next = node;
    else
        parent->first = node;
    parent->last = node;
    parent->n++;
    return true;
}

static bool open_node(struct builder *b, const yaml_event_t *ev, enum yaml_kind kind, struct yaml_node **out)
{
    struct place at = place_of_mark(b->file, ev->start_mark);
    bool key_wanted = b->depth > 0 && b->stack[b->depth - 1]->kind == YAML_MAP && !b->has_key;
    if (key_wanted && kind != YAML_SCALAR)
        return problem_at(b->ps, at, "a key must be a word");
    if (++b->n_nodes > YAML_DOC_NODES_MAX)
        return problem_of(b->ps, PIXL_E_LIMIT, at, "more than %d values in one file", YAML_DOC_NODES_MAX);
    struct yaml_node *node = arena_alloc(b->arena, sizeof *node);
    if (node == NULL)
        return problem_nomem(b->ps);
    node->kind = kind;
    node->at = at;
    *out = node;
    return key_wanted || place_node(b, node);
}

static bool add_scalar(struct builder *b, const yaml_event_t *ev)
{
    bool key_wanted = b->depth > 0 && b->stack[b->depth - 1]->kind == YAML_MAP && !b->has_key;
    struct yaml_node *node;
    if (!open_node(b, ev, YAML_SCALAR, &node))
        return false;
    struct str text = { (const char *)ev->data.scalar.value, ev->data.scalar.length };
    node->plain = ev->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
    node->text = arena_str(b->arena, text);
    if (node->text.p == NULL)
        return problem_nomem(b->ps);
    if (key_wanted) {
        b->has_key = true;
        b->key = node->text;
        b->key_at = node->at;
    }
    return true;
}

static bool add_container(struct builder *b, const yaml_event_t *ev, enum yaml_kind kind)
{
    if (b->depth == YAML_DOC_DEPTH_MAX)
        return problem_of(b->ps, PIXL_E_LIMIT, place_of_mark(b->file, ev->start_mark),
                          "nested deeper than %d levels", YAML_DOC_DEPTH_MAX);
    struct yaml_node *node;
    if (!open_node(b, ev, kind, &node))
        return false;
    b->stack[b->depth++] = node;
    return true;
}

/* Anchors and tags: see the header. */
static bool has_extras(struct builder *b, const yaml_event_t *ev)
{
    const yaml_char_t *anchor = NULL, *tag = NULL;
    if (ev->type == YAML_SCALAR_EVENT) {
        anchor = ev->data.scalar.anchor;
        tag = ev->data.scalar.tag;
    } else if (ev->type == YAML_SEQUENCE_START_EVENT) {
        anchor = ev->data.sequence_start.anchor;
        tag = ev->data.sequence_start.tag;
    } else if (ev->type == YAML_MAPPING_START_EVENT) {
        anchor = ev->data.mapping_start.anchor;
        tag = ev->data.mapping_start.tag;
    }
    if (anchor != NULL || ev->type == YAML_ALIAS_EVENT)
        (void)problem_at(b->ps, place_of_mark(b->file, ev->start_mark),
                         "anchors and aliases (& and *) are not taken: write the value out");
    else if (tag != NULL)
        (void)problem_at(b->ps, place_of_mark(b->file, ev->start_mark),
                         "tags (!) are not taken: write the plain value");
    return anchor != NULL || tag != NULL || ev->type == YAML_ALIAS_EVENT;
}

static bool add_event(struct builder *b, const yaml_event_t *ev)
{
    if (has_extras(b, ev))
        return false;
    switch (ev->type) {
    case YAML_SCALAR_EVENT:
        return add_scalar(b, ev);
    case YAML_SEQUENCE_START_EVENT:
        return add_container(b, ev, YAML_LIST);
    case YAML_MAPPING_START_EVENT:
        return add_container(b, ev, YAML_MAP);
    case YAML_SEQUENCE_END_EVENT: case YAML_MAPPING_END_EVENT:
        assert(b->depth > 0);
        b->depth--;
        return true;
    default:
        return true;
    }
}

static bool syntax_problem(struct builder *b, const yaml_parser_t *parser, struct str text)
{
    const char *why = parser->problem ? parser->problem : "not YAML";
    if (parser->error == YAML_MEMORY_ERROR)
        return problem_nomem(b->ps);
    if (parser->error == YAML_READER_ERROR)
        return problem_at(b->ps, place_of_offset(b->file, text, parser->problem_offset), "%s", why);
    return problem_at(b->ps, place_of_mark(b->file, parser->problem_mark), "not YAML: %s", why);
}

static bool build(struct builder *b, struct str text)
{
    yaml_parser_t parser;
    if (!yaml_parser_initialize(&parser))
        return problem_nomem(b->ps);
    yaml_parser_set_encoding(&parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&parser, (const unsigned char *)(text.n ? text.p : ""), text.n);
    bool ok = true, ended = false;
    while (ok && !ended) {
        yaml_event_t ev;
        if (!yaml_parser_parse(&parser, &ev)) {
            ok = syntax_problem(b, &parser, text);
            break;
        }
        ended = ev.type == YAML_STREAM_END_EVENT;
        ok = add_event(b, &ev);
        yaml_event_delete(&ev);
    }
    yaml_parser_delete(&parser);
    return ok;
}

static bool check_bytes(const char *file, struct str text, struct problems *ps)
{
    if (text.n > YAML_DOC_BYTES_MAX)
        return problem_of(ps, PIXL_E_LIMIT, (struct place){ .file = file }, "larger than %d bytes", YAML_DOC_BYTES_MAX);
    const char *nul = text.n ? memchr(text.p, '\0', text.n) : NULL;
    if (nul != NULL)
        return problem_at(ps, place_of_offset(file, text, (size_t)(nul - text.p)),
                          "a NUL byte: this is no text file in UTF-8");
    if (!str_is_utf8(text))
        return problem_at(ps, (struct place){ .file = file }, "is no text file in UTF-8");
    return true;
}

struct yaml_node *yaml_doc_parse(struct arena *a, const char *file, struct str text, struct problems *ps)
{
    if (!check_bytes(file, text, ps))
        return NULL;
    if (str_is_prefix(text, STR("\xEF\xBB\xBF")))
        text = (struct str){ text.p + 3, text.n - 3 };
    struct builder b = { .arena = a, .file = file, .ps = ps };
    if (!build(&b, text))
        return NULL;
    if (b.root == NULL)
        (void)problem_at(ps, (struct place){ .file = file }, "there is nothing in this file");
    return b.root;
}

const struct yaml_node *yaml_find(const struct yaml_node *map, const char *key)
{
    assert(map->kind == YAML_MAP);
    for (const struct yaml_node *c = map->first; c != NULL; c = c->next)
        if (str_eq(c->key, str_of(key)))
            return c;
    return NULL;
}

/* ---- what a plain word is to YAML ---- */

static bool is_word_of(struct str s, const char *const *words)
{
    for (; *words != NULL; words++)
        if (str_eq_nocase(s, str_of(*words)))
            return true;
    return false;
}

static size_t span(struct str s, size_t from, const char *set)
{
    size_t i = from;
    while (i < s.n && s.p[i] != '\0' && strchr(set, s.p[i]) != NULL)
        i++;
    return i - from;
}

#define DIGITS "0123456789"

/* digits, a fraction, an exponent: all but the first optional in YAML's one reading or the other. */
static bool is_decimal(struct str s, size_t from)
{
    size_t whole = span(s, from, DIGITS "_"), i = from + whole, fraction = 0;
    if (i < s.n && s.p[i] == '.') {
        fraction = span(s, i + 1, DIGITS "_");
        i += 1 + fraction;
    }
    if (whole + fraction == 0 || (whole > 0 && s.p[from] == '_'))
        return false;
    if (i < s.n && (s.p[i] == 'e' || s.p[i] == 'E')) {
        i++;
        if (i < s.n && (s.p[i] == '+' || s.p[i] == '-'))
            i++;
        size_t exponent = span(s, i, DIGITS);
        i += exponent;
        if (exponent == 0)
            return false;
    }
    return i == s.n;
}

static bool is_base_60(struct str s, size_t from)
{
    size_t i = from + span(s, from, DIGITS "_");
    if (i == from || i == s.n || s.p[i] != ':')
        return false;
    while (i < s.n && s.p[i] == ':') {
        size_t n = span(s, i + 1, DIGITS);
        if (n < 1 || n > 2)
            return false;
        i += 1 + n;
    }
    if (i < s.n && s.p[i] == '.')
        i += 1 + span(s, i + 1, DIGITS "_");
    return i == s.n;
}

static bool is_date(struct str s)
{
    if (span(s, 0, DIGITS) != 4)
        return false;
    size_t i = 4;
    for (int part = 0; part < 2; part++) {
        if (i >= s.n || s.p[i] != '-')
            return false;
        size_t n = span(s, i + 1, DIGITS);
        if (n < 1 || n > 2)
            return false;
        i += 1 + n;
    }
    return i == s.n || s.p[i] == 'T' || s.p[i] == 't' || s.p[i] == ' ';
}

static const char *number_reading(struct str s)
{
    size_t from = s.n > 0 && (s.p[0] == '+' || s.p[0] == '-') ? 1 : 0;
    struct str rest = { s.p + from, s.n - from };
    if (rest.n > 2 && rest.p[0] == '0') {
        char c = (char)tolower((unsigned char)rest.p[1]);
        if (c == 'x' && span(rest, 2, DIGITS "abcdefABCDEF_") == rest.n - 2)
            return "a hexadecimal number";
        if (c == 'o' && span(rest, 2, DIGITS "_") == rest.n - 2)
            return "an octal number to some readers of YAML and a text to others";
        if (c == 'b' && span(rest, 2, "01_") == rest.n - 2)
            return "a binary number";
    }
    if (str_eq_nocase(rest, STR(".inf")) || str_eq_nocase(rest, STR(".nan")))
        return "a special number";
    if (is_base_60(s, from))
        return "a number of base 60 in YAML 1.1";
    if (!is_decimal(s, from))
        return NULL;
    if (span(s, from, DIGITS) == rest.n)
        return rest.n > 1 && rest.p[0] == '0' ? "an octal number in YAML 1.1" : "a number";
    if (memchr(rest.p, '_', rest.n))
        return "a number in YAML 1.1";
    return memchr(rest.p, '.', rest.n) ? "a fraction" : "a number to some readers of YAML and a text to others";
}

bool yaml_is_null(const struct yaml_node *node)
{
    static const char *const words[] = { "", "~", "null", NULL };
    return node->kind == YAML_SCALAR && node->plain && is_word_of(node->text, words);
}

/* What an unquoted word is to YAML, or to some YAML, when it is no text; NULL: it is one. */
static const char *plain_reading(const struct yaml_node *node)
{
    static const char *const truths[] = { "y", "n", "yes", "no", "true", "false", "on", "off", NULL };
    if (!node->plain)
        return NULL;
    if (yaml_is_null(node))
        return "null";
    if (is_word_of(node->text, truths))
        return "a truth value in YAML 1.1";
    if (is_date(node->text))
        return "a date";
    return number_reading(node->text);
}

/* ---- the checks ---- */

static const char *kind_name(enum yaml_kind kind)
{
    return kind == YAML_MAP ? "a map" : kind == YAML_LIST ? "a list" : "a single value";
}

bool yaml_check_map(const struct yaml_node *node, const char *what, const char *const *keys, size_t n_keys,
                    struct problems *ps)
{
    if (node->kind != YAML_MAP)
        return problem_at(ps, node->at, "%s must be a map (key: value), not %s", what, kind_name(node->kind));
    bool ok = true;
    for (const struct yaml_node *c = node->first; c != NULL; c = c->next) {
        bool known = false;
        for (size_t i = 0; i < n_keys && !known; i++)
            known = str_eq(c->key, str_of(keys[i]));
        if (!known)
            ok = problem_at(ps, c->key_at, "%s: unknown key '%s'%s", what, problem_show(c->key).text,
                            nearest_hint_of(c->key, keys, n_keys).text);
    }
    return ok;
}

bool yaml_check_list(const struct yaml_node *node, const char *what, struct problems *ps)
{
    if (node->kind != YAML_LIST)
        return problem_at(ps, node->at, "%s must be a list, not %s", what,
                          yaml_is_null(node) ? "null" : kind_name(node->kind));
    return true;
}

bool yaml_take_text(const struct yaml_node *node, const char *what, struct str *out, struct problems *ps)
{
    if (node->kind != YAML_SCALAR)
        return problem_at(ps, node->at, "%s must be a text, not %s", what, kind_name(node->kind));
    const char *reading = plain_reading(node);
    if (reading != NULL && node->text.n == 0)
        return problem_at(ps, node->at, "%s has no value (null)", what);
    if (reading != NULL)
        return problem_at(ps, node->at, "%s: unquoted %s is %s; put it in quotes when the text is meant", what,
                          problem_show(node->text).text, reading);
    if (str_trim(node->text).n == 0)
        return problem_at(ps, node->at, "%s is empty", what);
    for (size_t i = 0; i < node->text.n; i++)
        if ((unsigned char)node->text.p[i] < 0x20 || node->text.p[i] == 0x7F)
            return problem_at(ps, node->at, "%s holds a control character or a line break", what);
    *out = node->text;
    return true;
}

bool yaml_take_path(const struct yaml_node *node, const char *what, struct str *out, struct problems *ps)
{
    if (node->kind == YAML_SCALAR && node->plain && str_eq_nocase(node->text, STR("none")))
        return problem_at(ps, node->at, "%s: unquoted none is the text 'none', not nothing; write null", what);
    return yaml_take_text(node, what, out, ps);
}

static bool to_int(struct str s, int64_t *out)
{
    size_t sign = s.n > 0 && s.p[0] == '-' ? 1 : 0;
    if (s.n < 3 || s.p[0] != '0' || (s.p[1] != 'x' && s.p[1] != 'X'))
        return !(s.n > sign + 1 && s.p[sign] == '0') && str_to_i64(s, out);
    uint64_t v = 0;
    if (s.n > 2 + 15)                   /* so that it fits */
        return false;
    for (size_t i = 2; i < s.n; i++) {
        if (!isxdigit((unsigned char)s.p[i]))
            return false;
        v = v << 4 | (unsigned)(s.p[i] <= '9' ? s.p[i] - '0' : (s.p[i] | 0x20) - 'a' + 10);
    }
    *out = (int64_t)v;
    return true;
}

bool yaml_take_int(const struct yaml_node *node, const char *what, int64_t min, int64_t max, int64_t *out,
                   struct problems *ps)
{
    if (node->kind != YAML_SCALAR)
        return problem_at(ps, node->at, "%s must be a whole number, not %s", what, kind_name(node->kind));
    struct problem_text text = problem_show(node->text);
    const char *shown = text.text;
    if (!node->plain)
        return problem_at(ps, node->at, "%s: quoted '%s' is a text; a whole number stands without quotes", what, shown);
    int64_t v = 0;
    if (to_int(node->text, &v)) {
        if (v < min || v > max)
            return problem_at(ps, node->at, "%s: %s is outside %lld to %lld", what, shown, (long long)min,
                              (long long)max);
        *out = v;
        return true;
    }
    size_t zeros = span(node->text, 0, "0");
    if (zeros == node->text.n && zeros > 0)
        zeros--;                        /* 00 is 0 */
    if (zeros > 0 && span(node->text, 0, DIGITS) == node->text.n)
        return problem_at(ps, node->at, "%s: %s has leading zeros, which YAML 1.1 reads as octal or as a text; "
                          "write 0x%s if it is hexadecimal, %.*s if decimal", what, shown, shown,
                          STR_ARG(((struct str){ node->text.p + zeros, node->text.n - zeros })));
    const char *reading = plain_reading(node);
    if (reading != NULL)
        return problem_at(ps, node->at, "%s: %s is %s; a plain whole number is wanted", what,
                          node->text.n ? shown : "nothing", reading);
    return problem_at(ps, node->at, "%s: '%s' is not a whole number", what, shown);
}
