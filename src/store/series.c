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

bool series_union(struct str a, struct str b, struct buf *out)
{
    buf_clear(out);
    if (a.n == 0 || b.n == 0)
        return true;
    size_t max = count_parts(a) + count_parts(b);
    struct str *parts = calloc(max, sizeof *parts);
    if (parts == NULL)
        return false;
    size_t n_a = split(a, parts), n = n_a + split(b, parts + n_a);
    if (n_a > 0 && n > n_a) {                   /* only separators: names none, so all */
        qsort(parts, n, sizeof *parts, compare);
        for (size_t i = 0; i < n; i++)
            if (i == 0 || !str_eq(parts[i], parts[i - 1])) {
                if (out->n > 0)
                    (void)buf_add_char(out, '\\');
                (void)buf_add_str(out, parts[i]);
            }
    }
    free(parts);
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
