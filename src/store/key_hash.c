#include "key_hash.h"

static uint64_t rotl(uint64_t x, int b)
{
    return (x << b) | (x >> (64 - b));
}

static void sip_round(uint64_t v[4])
{
    v[0] += v[1]; v[1] = rotl(v[1], 13); v[1] ^= v[0]; v[0] = rotl(v[0], 32);
    v[2] += v[3]; v[3] = rotl(v[3], 16); v[3] ^= v[2];
    v[0] += v[3]; v[3] = rotl(v[3], 21); v[3] ^= v[0];
    v[2] += v[1]; v[1] = rotl(v[1], 17); v[1] ^= v[2]; v[2] = rotl(v[2], 32);
}

/* Up to 8 bytes, the first one lowest, whatever the machine: the hash is stored. */
static uint64_t load(const char *p, size_t n)
{
    uint64_t x = 0;
    for (size_t i = 0; i < n; i++)
        x |= (uint64_t)(unsigned char)p[i] << (8 * i);
    return x;
}

static uint64_t sip13(uint64_t k0, uint64_t k1, struct str s)
{
    uint64_t v[4] = { k0 ^ 0x736f6d6570736575u, k1 ^ 0x646f72616e646f6du, k0 ^ 0x6c7967656e657261u,
                      k1 ^ 0x7465646279746573u };
    size_t i = 0;
    for (; s.n - i >= 8; i += 8) {
        uint64_t m = load(s.p + i, 8);
        v[3] ^= m;
        sip_round(v);
        v[0] ^= m;
    }
    uint64_t m = load(s.p + i, s.n - i) | (uint64_t)s.n << 56;
    v[3] ^= m;
    sip_round(v);
    v[0] ^= m;
    v[2] ^= 0xff;
    sip_round(v);
    sip_round(v);
    sip_round(v);
    return v[0] ^ v[1] ^ v[2] ^ v[3];
}

uint64_t store_key_hash(const struct str *parts, size_t n)
{
    uint64_t h = 0;
    for (size_t i = 0; i < n; i++)
        h = sip13(0x706978206b657931u ^ h, 0x73746f7265206b32u ^ (uint64_t)parts[i].n, parts[i]);
    return h;
}

struct str store_key_number(int64_t v, char out[STORE_KEY_NUMBER])
{
    for (int i = 0; i < STORE_KEY_NUMBER; i++)
        out[i] = (char)((uint64_t)v >> (8 * i) & 0xff);
    return (struct str){ out, STORE_KEY_NUMBER };
}
