#include "base/hash.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "test.h"

static void key_of(const char *text, size_t digest_bytes, struct hash_key **out)
{
    struct pixl_error err = { 0 };
    secret_auto s = { 0 };
    REQUIRE_OK(secret_set(&s, str_of(text), &err), err);
    REQUIRE_OK(hash_key_new(&s, digest_bytes, out, &err), err);
}

/* RFC 7693 by way of Python's hashlib.blake2b(msg, key=key, digest_size=n); the first two are the vectors of the system
 * that pixl replaces: message, project salt and local salt, one after the other. */
static void test_hash__known_digests_come_out(void)
{
    static const struct { const char *name, *key; size_t n; const char *part[3], *want; } rows[] = {
        { "reference, 64 digits", "test-key", 32, { "test", "a161577b49a9235a", "pixl_salt" },
          "cc8ab6f3e63235b45f3d00cbc4873efac59bf15cec4bdffd461882d57dfc010f" },
        { "reference, 16 digits", "test-key", 8, { "test", "a161577b49a9235a", "pixl_salt" }, "b721eef65328a79c" },
        { "empty message", "k", 16, { "", "", "" }, "0af9f47b3095761505669b03171459bd" },
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        test_row("%s", rows[i].name);
        struct pixl_error err = { 0 };
        hash_key_auto *k = NULL;
        key_of(rows[i].key, rows[i].n, &k);
        struct str parts[3] = { str_of(rows[i].part[0]), str_of(rows[i].part[1]), str_of(rows[i].part[2]) };
        uint8_t d[64];
        char hex[129];
        CHECK_OK(hash_keyed(k, parts, 3, d, &err), err);
        hash_hex(d, rows[i].n, hex);
        CHECK_STR(str_of(hex), rows[i].want);
    }
}

static void test_hash__parts_are_concatenated_and_keys_matter(void)
{
    struct pixl_error err = { 0 };
    hash_key_auto *k = NULL, *other = NULL;
    key_of("key", 32, &k);
    key_of("kez", 32, &other);
    uint8_t a[32], b[32], c[32];
    struct str split[] = { STR("ab"), { 0 }, STR("c") }, whole = STR("abc");
    CHECK_OK(hash_keyed(k, split, 3, a, &err), err);
    CHECK_OK(hash_keyed(k, &whole, 1, b, &err), err);
    CHECK_OK(hash_keyed(other, &whole, 1, c, &err), err);
    CHECK(memcmp(a, b, 32) == 0 && memcmp(a, c, 32) != 0);
}

static void test_hash__lengths_out_of_range_are_invalid(void)
{
    static const struct { size_t key, digest; } rows[] = { { 0, 32 }, { 65, 32 }, { 8, 0 }, { 8, 65 } };
    static const char bytes[65] = { 1 };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        test_row("key %zu digest %zu", rows[i].key, rows[i].digest);
        struct pixl_error err = { 0 };
        secret_auto s = { 0 };
        struct hash_key *k = NULL;
        REQUIRE_OK(secret_set(&s, (struct str){ bytes, rows[i].key }, &err), err);
        CHECK_FAILS(hash_key_new(&s, rows[i].digest, &k, &err), err, PIXL_E_INVALID);
        CHECK(k == NULL);
    }
}

static void *hash_many(void *arg)
{
    const struct hash_key *k = arg;
    struct pixl_error err = { 0 };
    struct str s = STR("1.2.840.1");
    uint8_t first[16] = { 0 }, d[16];
    for (int i = 0; i < 2000; i++) {
        if (!hash_keyed(k, &s, 1, d, &err) || (i > 0 && memcmp(first, d, 16) != 0))
            return NULL;
        memcpy(first, d, 16);
    }
    return arg;
}

static void test_hash__one_key_serves_threads_at_once(void)
{
    hash_key_auto *k = NULL;
    key_of("key", 16, &k);
    pthread_t t[4];
    for (size_t i = 0; i < ARRAY_LEN(t); i++)
        REQUIRE(pthread_create(&t[i], NULL, hash_many, k) == 0);
    for (size_t i = 0; i < ARRAY_LEN(t); i++) {
        void *ok = NULL;
        CHECK(pthread_join(t[i], &ok) == 0 && ok != NULL);
    }
}

static void test_hash__sha256_of_abc(void)
{
    struct pixl_error err = { 0 };
    hash_sha256_auto *h = NULL;
    uint8_t d[32];
    char hex[65];
    REQUIRE_OK(hash_sha256_new(&h, &err), err);
    CHECK_OK(hash_sha256_add(h, "a", 1, &err), err);
    CHECK_OK(hash_sha256_add(h, NULL, 0, &err), err);
    CHECK_OK(hash_sha256_add(h, "bc", 2, &err), err);
    CHECK_OK(hash_sha256_end(h, d, &err), err);
    hash_hex(d, 32, hex);
    CHECK_STR(str_of(hex), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

static void test_hash__random_bytes_differ(void)
{
    struct pixl_error err = { 0 };
    uint8_t a[600] = { 0 }, b[600] = { 0 };
    CHECK_OK(hash_random(a, sizeof a, &err), err);
    CHECK_OK(hash_random(b, sizeof b, &err), err);
    CHECK(memcmp(a, b, sizeof a) != 0 && memcmp(a + 568, b + 568, 32) != 0);
}

int main(int argc, char **argv)
{
    static const struct test_case tests[] = {
        TEST(test_hash__known_digests_come_out),
        TEST(test_hash__parts_are_concatenated_and_keys_matter),
        TEST(test_hash__lengths_out_of_range_are_invalid),
        TEST(test_hash__one_key_serves_threads_at_once),
        TEST(test_hash__sha256_of_abc),
        TEST(test_hash__random_bytes_differ),
    };
    return test_main(argc, argv, tests, ARRAY_LEN(tests));
}
