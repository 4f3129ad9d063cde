#include "series.h"

#include <stdlib.h>

static int compare(const void *a, const void *b)
{
    const struct str *x = a, *y = b;
    return str_cmp(*x, *y);
}

static size_t count_parts(struct str s)
{
    size_t n = 1;
    for (size_t i = 0; i < s.n; i++)
        n += s.p[i] == '\\';
    return n;
}

static size_t split(struct str s, struct str *parts)
{
    size_t n = 0;
    bool more = true;
    while (more) {
        struct str head, rest;
        more = str_split(s, '\\', &head, &rest);
        head = str_trim(head);
        if (head.n > 0)
            parts[n++] = head;
        s = rest;
    }
    return n;
}

static void add_part(struct buf *out, struct str part)
{
    if (out->n > 0)
        (void)buf_add_char(out, '\\');
    (void)buf_add_str(out, part);
}

bool series_form(struct str s, struct buf *out)
{
    buf_clear(out);
    struct str *parts = calloc(count_parts(s), sizeof *parts);
    if (parts == NULL)
        return false;
    size_t n = split(s, parts);
    qsort(parts, n, sizeof *parts, compare);
    for (size_t i = 0; i < n; i++)
        if (i == 0 || !str_eq(parts[i], parts[i - 1]))
            add_part(out, parts[i]);
    free(parts);
    return !out->failed;
}

/* Takes the first part off *s; false: there is none. */
static bool take_part(struct str *s, struct str *part)
{
    struct str rest;
    if (s->n == 0)
        return false;
    (void)str_split(*s, '\\', part, &rest);
    *s = rest;
    return true;
}

bool series_union(struct str a, struct str b, struct buf *out)
{
    struct str x, y;
    buf_clear(out);
    if (a.n == 0 || b.n == 0)
        return true;
    bool has_x = take_part(&a, &x), has_y = take_part(&b, &y);
    while (has_x || has_y) {
        int order = !has_y ? -1 : !has_x ? 1 : str_cmp(x, y);
        add_part(out, order <= 0 ? x : y);
        if (order <= 0)
            has_x = take_part(&a, &x);
        if (order >= 0)
            has_y = take_part(&b, &y);
    }
    return !out->failed;
}

bool series_covers(struct str have, struct str want)
{
    if (have.n == 0 || str_eq(have, want))
        return true;
    if (want.n == 0)
        return false;
    /* Both are sorted: one walk over the two. */
    bool more = true;
    while (more) {
        struct str wanted, rest, head;
        more = str_split(want, '\\', &wanted, &rest);
        want = rest;
        int order = -1;
        while (order < 0 && have.n > 0) {
            (void)str_split(have, '\\', &head, &rest);
            have = rest;
            order = str_cmp(head, wanted);
        }
        if (order != 0)
            return false;
    }
    return true;
}
