/* plain_tokens.h - what token_each() gives (deid/token.h), made the slow and plain way: the measure that a faster one is held to.
 * Shared with it: how one character is folded, and the hash of a finished text.
 * text: shorter than PLAIN_TOKENS_MAX / 4 bytes. */
#ifndef PIXL_TEST_PLAIN_TOKENS_H
#define PIXL_TEST_PLAIN_TOKENS_H

#include "deid/token.h"

enum { PLAIN_TOKENS_MAX = 1024 };

PIXL_MUST_CHECK bool plain_tokens_each(struct str text, uint64_t seed, unsigned options,
                                       bool (*sink)(void *ctx, const struct token *t), void *ctx);

#endif
