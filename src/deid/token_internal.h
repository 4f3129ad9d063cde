/* token_internal.h - the hash of a token, one folded character after the other; for token.c and token_hash.c.
 *
 * It begins with the seed.  Code points that no text has tell kinds of tokens apart: 0x110000 grams, 0x110002 UIDs,
 * 0x110003 parts, from 0x110004 on enum token_use. */
#ifndef PIXL_DEID_TOKEN_INTERNAL_H
#define PIXL_DEID_TOKEN_INTERNAL_H

#include <stdint.h>

static inline uint64_t token_step(uint64_t h, uint32_t c)
{
    h = (h ^ c) * 0x9E3779B97F4A7C15u;
    return h ^ h >> 29;
}

static inline uint64_t token_finish(uint64_t h)
{
    h = (h ^ h >> 32) * 0xD6E8FEB86659FD93u;
    return h ^ h >> 32;
}

static inline uint64_t token_uid_end(uint64_t h)
{
    return token_finish(token_step(h, 0x110002));
}

#endif
