#include "dotenv.h"

#include <ctype.h>
#include <stdint.h>
#include <string.h>

enum { LINES_MAX = 2000 };      /* names are compared with each other */

struct reader {
    struct arena *arena;
    const char *file;
    int line;
};

static bool is_name_char(char c)
{
    return isalnum((unsigned char)c) || c == '_';
}

static bool take_name(struct str *s, struct str *name)
{
    size_t n = 0;
    while (n < s->n && is_name_char(s->p[n]))
        n++;
    if (n == 0 || isdigit((unsigned char)s->p[0]))
        return false;
    *name = (struct str){ s->p, n };
    *s = (struct str){ s->p + n, s->n - n };
    return true;
}

/* What may stand behind a closing quote. */
static bool is_tail(struct str s)
{
    struct str rest = str_trim(s);
    return rest.n == 0 || (rest.p[0] == '#' && rest.p != s.p);
}

/* A # right behind the = belongs to the value: passwords begin with anything. */
static struct str cut_comment(struct str s)
{
    for (size_t i = 1; i < s.n; i++)
        if (s.p[i] == '#' && (s.p[i - 1] == ' ' || s.p[i - 1] == '\t'))
            return str_trim((struct str){ s.p, i });
    return str_trim(s);
}

static bool take_escape(const struct reader *r, char c, char *out, struct pixl_error *err)
{
    static const char from[] = "\"\\$nt", to[] = "\"\\$\n\t";
    const char *at = c ? strchr(from, c) : NULL;
    if (at == NULL)
        return pixl_fail(err, PIXL_E_INVALID, 0, "%s:%d: only \\\" \\\\ \\$ \\n and \\t are known between double "
                         "quotes; a value between single quotes is taken as it stands", r->file, r->line);
    *out = to[at - from];
    return true;
}

/* s begins with the quote. */
static bool take_quoted(const struct reader *r, struct str s, const char **value, struct pixl_error *err)
{
    char quote = s.p[0], *out = arena_alloc(r->arena, s.n);
    if (out == NULL)
        return pixl_fail(err, PIXL_E_NOMEM, 0, "%s: out of memory", r->file);
    size_t n = 0, i = 1;
    for (; i < s.n && s.p[i] != quote; i++) {
        char c = s.p[i];
        if (c == '\\' && quote == '"' && i + 1 < s.n && !take_escape(r, s.p[++i], &c, err))
            return false;
        out[n++] = c;
    }
    if (i >= s.n)
        return pixl_fail(err, PIXL_E_INVALID, 0, "%s:%d: a quote is opened and not closed in this line", r->file,
                         r->line);
    if (!is_tail((struct str){ s.p + i + 1, s.n - i - 1 }))
        return pixl_fail(err, PIXL_E_INVALID, 0, "%s:%d: something stands behind the closing quote", r->file, r->line);
    *value = out;
    return true;
}

static bool take_value(const struct reader *r, struct str s, const char **value, struct pixl_error *err)
{
    struct str bare = str_trim(s);
    if (bare.n > 0 && (bare.p[0] == '"' || bare.p[0] == '\''))
        return take_quoted(r, bare, value, err);
    *value = arena_str(r->arena, cut_comment(s)).p;
    return *value != NULL || pixl_fail(err, PIXL_E_NOMEM, 0, "%s: out of memory", r->file);
}

/* s is trimmed, not empty, no comment. */
static bool parse_line(const struct reader *r, struct str s, struct dotenv_line *out, struct pixl_error *err)
{
    if (str_is_prefix(s, STR("export ")) || str_is_prefix(s, STR("export\t")))
        s = str_trim((struct str){ s.p + 7, s.n - 7 });
    struct str name = { 0 };
    bool ok = take_name(&s, &name);
    s = str_trim(s);
    if (!ok || s.n == 0 || s.p[0] != '=')
        return pixl_fail(err, PIXL_E_INVALID, 0, "%s:%d: neither NAME=value nor a comment", r->file, r->line);
    out->name = arena_str(r->arena, name).p;
    if (out->name == NULL)
        return pixl_fail(err, PIXL_E_NOMEM, 0, "%s: out of memory", r->file);
    out->line = r->line;
    return take_value(r, (struct str){ s.p + 1, s.n - 1 }, &out->value, err);
}

static bool check_new(const struct reader *r, const struct dotenv_line *lines, size_t n, const char *name,
                      struct pixl_error *err)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(lines[i].name, name) == 0)
            return pixl_fail(err, PIXL_E_INVALID, 0, "%s:%d: %.64s is set in line %d already", r->file, r->line, name,
                             lines[i].line);
    return true;
}

static size_t count_lines(struct str text)
{
    size_t n = 1;
    for (size_t i = 0; i < text.n; i++)
        n += text.p[i] == '\n';
    return n;
}

bool dotenv_parse(struct arena *a, const char *file, struct str text, struct problems *wrong,
                  const struct dotenv_line **lines, size_t *n, struct pixl_error *err)
{
    if (text.n && memchr(text.p, '\0', text.n) != NULL)
        return pixl_fail(err, PIXL_E_INVALID, 0, "%s: holds a NUL byte: no text file", file);
    if (str_is_prefix(text, STR("\xEF\xBB\xBF")))
        text = (struct str){ text.p + 3, text.n - 3 };
    size_t most = count_lines(text), used = 0;
    if (most > LINES_MAX)
        return pixl_fail(err, PIXL_E_LIMIT, 0, "%s: more than %d lines", file, LINES_MAX);
    struct dotenv_line *all = arena_calloc(a, most, sizeof *all);
    if (all == NULL)
        return pixl_fail(err, PIXL_E_NOMEM, 0, "%s: out of memory", file);
    struct reader r = { a, file, 0 };
    for (bool more = true; more; ) {
        struct str line;
        more = str_split(text, '\n', &line, &text);
        r.line++;
        line = str_trim(line);
        if (line.n == 0 || line.p[0] == '#')
            continue;
        if (parse_line(&r, line, &all[used], err) && check_new(&r, all, used, all[used].name, err))
            used++;
        else if (!problem_take(wrong, err))
            return false;
    }
    *lines = all;
    *n = used;
    return true;
}
