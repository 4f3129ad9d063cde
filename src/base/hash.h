/* hash.h - keyed BLAKE2b (RFC 7693) and SHA-256, on OpenSSL.
 * Owns: a hash_key owns its prepared key, wiped at free.
 * Threads: a hash_key is immutable after it was made; hash_keyed() may run on any thread at once. */
#ifndef PIXL_BASE_HASH_H
#define PIXL_BASE_HASH_H

#include <stddef.h>
#include <stdint.h>

#include "error.h"
#include "secret.h"
#include "str.h"

struct hash_key;                 /* opaque */

/* key: 1 to 64 bytes, copied; digest_bytes 1 to 64 (it is a parameter of BLAKE2b: another length is
 * another hash, not a prefix).  Given: free with hash_key_free().  Fails: INVALID, NOMEM. */
PIXL_MUST_CHECK bool hash_key_new(const struct secret *key, size_t digest_bytes,
                                  struct hash_key **out, struct pixl_error *err);
void hash_key_free(struct hash_key *k);
PIXL_DEFINE_CLEANUP(hash_key, hash_key_free)
#define hash_key_auto PIXL_CLEANUP(hash_key_freep) struct hash_key

/* Digest of the concatenation of parts[0..n_parts); out has room for the digest_bytes of k. */
PIXL_MUST_CHECK bool hash_keyed(const struct hash_key *k, const struct str *parts, size_t n_parts,
                                uint8_t *out, struct pixl_error *err);

/* Lower-case hex of n bytes into out[2n + 1]. */
void hash_hex(const uint8_t *p, size_t n, char *out);

enum { HASH_SHA256_BYTES = 32 };
struct hash_sha256;              /* opaque, running */
PIXL_MUST_CHECK bool hash_sha256_new(struct hash_sha256 **out, struct pixl_error *err);
PIXL_MUST_CHECK bool hash_sha256_add(struct hash_sha256 *h, const void *p, size_t n, struct pixl_error *err);
PIXL_MUST_CHECK bool hash_sha256_end(struct hash_sha256 *h, uint8_t out[HASH_SHA256_BYTES], struct pixl_error *err);
void hash_sha256_free(struct hash_sha256 *h);
PIXL_DEFINE_CLEANUP(hash_sha256, hash_sha256_free)
#define hash_sha256_auto PIXL_CLEANUP(hash_sha256_freep) struct hash_sha256

/* n bytes from the system's random source (getrandom). */
PIXL_MUST_CHECK bool hash_random(void *out, size_t n, struct pixl_error *err);

#endif
