/* Any text is cut into the same tokens, in the same order, as the plain way cuts it.  The first byte: enum token_options. */
#include <assert.h>

#include "plain_tokens.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { TEXT_MAX = PLAIN_TOKENS_MAX / 4 - 1, TOKENS_MAX = 32 * TEXT_MAX };

struct list {
    struct token at[TOKENS_MAX];
    size_t n;
};

static bool note(void *ctx, const struct token *t)
{
    struct list *l = ctx;
    assert(l->n < TOKENS_MAX);
    l->at[l->n++] = *t;
    return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct list ours, plain;
    if (size == 0 || size > TEXT_MAX)
        return 0;
    const struct str text = { (const char *)data + 1, size - 1 };
    ours.n = plain.n = 0;
    bool ok = token_each(text, 1, data[0], note, &ours) && plain_tokens_each(text, 1, data[0], note, &plain);
    assert(ok && ours.n == plain.n);
    for (size_t i = 0; i < ours.n; i++) {
        const struct token *a = &ours.at[i], *b = &plain.at[i];
        assert(a->kind == b->kind && a->hash == b->hash && a->n == b->n && a->runs == b->runs &&
               a->has_letter == b->has_letter && a->has_digit == b->has_digit);
    }
    return 0;
}
