#include "hash.h"

#include <assert.h>
#include <errno.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <stdlib.h>
#include <sys/random.h>

/* The MAC with its key set.  Fetching the algorithm and setting the key cost more than a digest, so each digest
 * starts from a copy of `ready`, which is only read: OpenSSL lets threads copy one context at once. */
struct hash_key {
    EVP_MAC_CTX *ready;          /* OpenSSL wipes the key when it frees the context, and each copy too */
    size_t digest_bytes;
};

bool hash_key_new(const struct secret *key, size_t digest_bytes, struct hash_key **out, struct pixl_error *err)
{
    struct str k = secret_reveal(key);
    if (k.n < 1 || k.n > 64 || digest_bytes < 1 || digest_bytes > 64)
        return pixl_fail(err, PIXL_E_INVALID, 0, "hash: key of %zu and digest of %zu bytes, each must be 1 to 64", k.n,
                         digest_bytes);
    hash_key_auto *h = calloc(1, sizeof *h);
    if (h == NULL)
        return pixl_fail(err, PIXL_E_NOMEM, 0, "hash key");
    EVP_MAC *mac = EVP_MAC_fetch(NULL, "BLAKE2BMAC", NULL);
    if (mac == NULL)
        return pixl_fail(err, PIXL_E_UNSUPPORTED, 0, "hash: OpenSSL has no BLAKE2BMAC");
    h->ready = EVP_MAC_CTX_new(mac);
    EVP_MAC_free(mac);                          /* the context holds it */
    if (h->ready == NULL)
        return pixl_fail(err, PIXL_E_NOMEM, 0, "hash key");
    size_t size = digest_bytes;
    const OSSL_PARAM params[] = { OSSL_PARAM_construct_size_t(OSSL_MAC_PARAM_SIZE, &size), OSSL_PARAM_construct_end() };
    if (EVP_MAC_init(h->ready, (const unsigned char *)k.p, k.n, params) != 1)
        return pixl_fail(err, PIXL_E_INTERNAL, 0, "hash: OpenSSL refused the key");
    h->digest_bytes = digest_bytes;
    *out = PIXL_STEAL(&h);
    return true;
}

void hash_key_free(struct hash_key *k)
{
    if (k == NULL)
        return;
    EVP_MAC_CTX_free(k->ready);
    free(k);
}

bool hash_keyed(const struct hash_key *k, const struct str *parts, size_t n_parts, uint8_t *out, struct pixl_error *err)
{
    EVP_MAC_CTX *ctx = EVP_MAC_CTX_dup(k->ready);
    if (ctx == NULL)
        return pixl_fail(err, PIXL_E_NOMEM, 0, "hash");
    bool ok = true;
    for (size_t i = 0; ok && i < n_parts; i++)
        if (parts[i].n > 0)
            ok = EVP_MAC_update(ctx, (const unsigned char *)parts[i].p, parts[i].n) == 1;
    size_t n = 0;
    ok = ok && EVP_MAC_final(ctx, out, &n, k->digest_bytes) == 1 && n == k->digest_bytes;
    EVP_MAC_CTX_free(ctx);
    return ok || pixl_fail(err, PIXL_E_INTERNAL, 0, "hash: OpenSSL failed");
}

void hash_hex(const uint8_t *p, size_t n, char *out)
{
    static const char digit[] = "0123456789abcdef";
    for (size_t i = 0; i < n; i++) {
        *out++ = digit[p[i] >> 4];
        *out++ = digit[p[i] & 15];
    }
    *out = '\0';
}

struct hash_sha256 {
    EVP_MD_CTX *ctx;
};

bool hash_sha256_new(struct hash_sha256 **out, struct pixl_error *err)
{
    hash_sha256_auto *h = calloc(1, sizeof *h);
    if (h == NULL || (h->ctx = EVP_MD_CTX_new()) == NULL)
        return pixl_fail(err, PIXL_E_NOMEM, 0, "digest");
    if (EVP_DigestInit_ex(h->ctx, EVP_sha256(), NULL) != 1)
        return pixl_fail(err, PIXL_E_UNSUPPORTED, 0, "digest: OpenSSL has no SHA-256");
    *out = PIXL_STEAL(&h);
    return true;
}

bool hash_sha256_add(struct hash_sha256 *h, const void *p, size_t n, struct pixl_error *err)
{
    if (n > 0 && EVP_DigestUpdate(h->ctx, p, n) != 1)
        return pixl_fail(err, PIXL_E_INTERNAL, 0, "digest: OpenSSL failed");
    return true;
}

bool hash_sha256_end(struct hash_sha256 *h, uint8_t out[HASH_SHA256_BYTES], struct pixl_error *err)
{
    unsigned n = 0;
    if (EVP_DigestFinal_ex(h->ctx, out, &n) != 1 || n != HASH_SHA256_BYTES)
        return pixl_fail(err, PIXL_E_INTERNAL, 0, "digest: OpenSSL failed");
    return true;
}

void hash_sha256_free(struct hash_sha256 *h)
{
    if (h == NULL)
        return;
    EVP_MD_CTX_free(h->ctx);
    free(h);
}

bool hash_random(void *out, size_t n, struct pixl_error *err)
{
    char *at = out;
    while (n > 0) {
        ssize_t got = getrandom(at, n, 0);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return pixl_fail_errno(err, errno, "random bytes");
        at += got;
        n -= (size_t)got;
    }
    return true;
}
