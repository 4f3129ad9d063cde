#include "search.h"

#include <stdlib.h>
#include <string.h>

/* The first four bytes, folded, choose a chain; a bit for each chain that is not empty keeps the usual step short. */
enum { CHAIN_BITS = 16, CHAINS = 1 << CHAIN_BITS };

struct entry {
    struct entry *next;
    const char *text;
    size_t n;
};
struct search {
    struct entry *chains[CHAINS];
    struct entry *entries;
    uint8_t fold[256];
};

static uint32_t chain_of(uint32_t four)
{
    return four * 0x9E3779B1u >> (32 - CHAIN_BITS);
}

static uint32_t first_four(const struct search *s, const char *p)
{
    uint32_t four = 0;
    for (size_t i = 0; i < SEARCH_TEXT_MIN; i++)
        four = four << 8 | s->fold[(uint8_t)p[i]];
    return four;
}

bool search_new(const char *const *texts, struct search **out, struct pixl_error *err)
{
    search_auto *s = calloc(1, sizeof *s);
    size_t n = 0;
    while (texts[n] != NULL)
        n++;
    if (s == NULL || (s->entries = calloc(n + 1, sizeof *s->entries)) == NULL)
        return pixl_fail(err, PIXL_E_NOMEM, 0, "table of planted identities");
    for (unsigned c = 0; c < 256; c++)
        s->fold[c] = (uint8_t)(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
    for (size_t i = 0; i < n; i++) {
        struct entry *e = &s->entries[i];
        *e = (struct entry){ .text = texts[i], .n = strlen(texts[i]) };
        if (e->n < SEARCH_TEXT_MIN)
            return pixl_fail(err, PIXL_E_INVALID, 0, "a planted identity is too short to be looked for");
        struct entry **chain = &s->chains[chain_of(first_four(s, e->text))];
        e->next = *chain;
        *chain = e;
    }
    *out = PIXL_STEAL(&s);
    return true;
}

void search_free(struct search *s)
{
    if (s == NULL)
        return;
    free(s->entries);
    free(s);
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* A number inside a longer number is another number: pseudo UIDs have so many digits that every MRN would come up in some. */
static bool is_cut_from_a_number(const struct entry *e, struct str in, size_t at)
{
    size_t end = at + e->n;
    return (is_digit(e->text[0]) && at > 0 && is_digit(in.p[at - 1])) ||
           (is_digit(e->text[e->n - 1]) && end < in.n && is_digit(in.p[end]));
}

static bool is_at(const struct search *s, const struct entry *e, struct str in, size_t at)
{
    if (e->n > in.n - at || is_cut_from_a_number(e, in, at))
        return false;
    for (size_t i = 0; i < e->n; i++)
        if (s->fold[(uint8_t)e->text[i]] != s->fold[(uint8_t)in.p[at + i]])
            return false;
    return true;
}

const char *search_find(const struct search *s, struct str in, size_t *at)
{
    uint32_t four = 0;
    for (size_t i = 0; i < in.n; i++) {
        four = four << 8 | s->fold[(uint8_t)in.p[i]];
        if (i + 1 < SEARCH_TEXT_MIN)
            continue;
        size_t start = i + 1 - SEARCH_TEXT_MIN;
        for (const struct entry *e = s->chains[chain_of(four)]; e != NULL; e = e->next)
            if (is_at(s, e, in, start)) {
                if (at != NULL)
                    *at = start;
                return e->text;
            }
    }
    return NULL;
}
