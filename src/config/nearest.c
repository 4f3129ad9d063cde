#include "nearest.h"

#include <stdio.h>
#include <string.h>

enum { NAME_MAX_BYTES = 64 };

struct nearest nearest_to(struct str typed)
{
    /* One slip in three letters is a slip; more is another word. */
    return (struct nearest){ .typed = typed, .distance_ = (unsigned)(typed.n < 3 ? 1 : typed.n / 3) + 1 };
}

static unsigned lower(char c)
{
    return (unsigned char)(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
}

static unsigned min2(unsigned a, unsigned b)
{
    return a < b ? a : b;
}

/* Insertions, deletions, changes and swaps of neighbours (optimal string alignment); capitals count as their
 * small letters and '_' as '-'.  Both are at most NAME_MAX_BYTES long. */
static unsigned distance(struct str a, struct str b)
{
    unsigned rows[3][NAME_MAX_BYTES + 1] = { 0 };
    unsigned *before = rows[0], *last = rows[1], *now = rows[2];
    for (unsigned j = 0; j <= b.n; j++)
        last[j] = j;
    for (unsigned i = 1; i <= a.n; i++) {
        now[0] = i;
        for (unsigned j = 1; j <= b.n; j++) {
            unsigned x = lower(a.p[i - 1]), y = lower(b.p[j - 1]);
            unsigned cost = x == y || ((x == '_' || x == '-') && (y == '_' || y == '-')) ? 0 : 1;
            now[j] = min2(min2(last[j], now[j - 1]) + 1, last[j - 1] + cost);
            if (i > 1 && j > 1 && x == lower(b.p[j - 2]) && y == lower(a.p[i - 2]))
                now[j] = min2(now[j], before[j - 2] + 1);
        }
        unsigned *spare = before;
        before = last;
        last = now;
        now = spare;
    }
    return last[b.n];
}

void nearest_offer(struct nearest *near, const char *name)
{
    struct str s = str_of(name);
    if (near->typed.n > NAME_MAX_BYTES || s.n > NAME_MAX_BYTES)
        return;
    unsigned d = distance(near->typed, s);
    if (d < near->distance_) {
        near->distance_ = d;
        near->name = name;
    }
}

struct nearest_text nearest_hint(const struct nearest *near)
{
    struct nearest_text hint = { "" };
    if (near->name != NULL)
        (void)snprintf(hint.text, sizeof hint.text, "; did you mean %s?", near->name);
    return hint;
}

struct nearest_text nearest_hint_of(struct str typed, const char *const *names, size_t n)
{
    struct nearest near = nearest_to(typed);
    for (size_t i = 0; i < n; i++)
        nearest_offer(&near, names[i]);
    return nearest_hint(&near);
}
