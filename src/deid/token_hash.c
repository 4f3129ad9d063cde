/* token_hash.c - the hashes of tokens, of finished texts and of each other. */
#include "deid/fold.h"
#include "deid/token.h"
#include "deid/token_internal.h"

uint64_t token_hash_gram2(uint64_t a, uint64_t b)
{
    return token_finish(token_step(a, 0x110000) + b * 0xA0761D6478BD642Fu);
}

uint64_t token_hash_gram3(uint64_t a, uint64_t b, uint64_t c)
{
    return token_hash_gram2(token_hash_gram2(a, b), c);
}

uint64_t token_hash_as(uint64_t hash, enum token_use use)
{
    return token_finish(token_step(hash, 0x110004u + use));
}

uint64_t token_hash_pair(uint64_t seed, unsigned a, unsigned b)
{
    return token_hash_as(token_finish(token_step(token_step(seed, a), b)), TOKEN_AS_PAIR);
}

uint64_t token_hash_run(uint64_t seed, struct str folded)
{
    uint64_t h = seed;
    while (folded.n > 0) {
        uint32_t c = (unsigned char)folded.p[0];
        if (c < 0x80)
            folded = (struct str){ folded.p + 1, folded.n - 1 };
        else
            c = fold_next(&folded);
        h = token_step(h, c);
    }
    return token_finish(h);
}

uint64_t token_hash_uid(uint64_t seed, struct str uid)
{
    uint64_t h = seed;
    for (size_t i = 0; i < uid.n; i++)
        h = token_step(h, (unsigned char)uid.p[i]);
    return token_uid_end(h);
}
