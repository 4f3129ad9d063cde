#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/handover.h"
#include "base/hash.h"
#include "base/slug.h"
#include "base/sqlite_db.h"
#include "fault.h"
#include "test.h"

static bool use_database(struct pixl_error *err)
{
    sqlite_db_auto *db = NULL;
    struct sqlite_stmt *s = NULL;
    if (!sqlite_db_open(test_path("t.db"), 100, &db, err) || !sqlite_db_begin(db, err) ||
        !sqlite_db_exec(db, "CREATE TABLE IF NOT EXISTS t(a)", err))
        return false;
    if (!sqlite_db_prepare(db, "INSERT INTO t VALUES(?1)", &s, err))
        return false;
    sqlite_bind_str(s, 1, STR("x"));
    return sqlite_run(s, err) && sqlite_db_commit(db, err);
}

static bool use_files(struct pixl_error *err)
{
    struct arena a;
    struct str s = { 0 };
    uint8_t digest[32];
    arena_init(&a, 1 << 20);
    bool ok = fs_make_dirs(test_path("a/b"), 0700, err) &&
              fs_write_whole(test_path("a/b/x"), STR("whole"), 0600, err) &&
              fs_copy_file(test_path("a/b/x"), test_path("a/y"), "1", 0600, digest, NULL, err) &&
              fs_replace_link(test_path("a/latest"), "b", err) && fs_read_whole(&a, test_path("a/y"), 100, &s, err);
    if (ok)
        CHECK_STR(s, "whole");
    /* Half a file is never seen, whatever failed. */
    struct pixl_error other = { 0 };
    fault_alloc_stop();
    if (fs_exists(test_path("a/y")) && fs_read_whole(&a, test_path("a/y"), 100, &s, &other))
        CHECK_STR(s, "whole");
    char part[64];
    (void)snprintf(part, sizeof part, "a/b/.x.%ld-%ld.part", (long)getpid(), (long)gettid());
    CHECK(!fs_exists(test_path(part)) && !fs_exists(test_path("a/.y.1.part")));
    arena_done(&a);
    return ok;
}

static bool use_hash(struct pixl_error *err)
{
    secret_auto key = { 0 };
    hash_key_auto *k = NULL;
    hash_sha256_auto *h = NULL;
    uint8_t d[32];
    struct str part = STR("abc");
    return secret_set(&key, STR("k"), err) && hash_key_new(&key, 32, &k, err) && hash_keyed(k, &part, 1, d, err) &&
           hash_sha256_new(&h, err) && hash_sha256_add(h, "x", 1, err) && hash_sha256_end(h, d, err);
}

static bool use_slug_and_handover(struct pixl_error *err)
{
    struct arena a;
    struct str out = { 0 };
    PIXL_CLEANUP(handover_freep) struct handover *h = NULL;
    arena_init(&a, 1 << 20);
    bool ok = slug_make(&a, STR("Stra\xC3\x9F" "e &amp; &#65;"), &out, err) && handover_new(4, &h, err);
    arena_done(&a);
    return ok;
}

static void test_base__survives_every_allocation_failure(void)
{
    static const struct { const char *name; bool (*run)(struct pixl_error *err); long at_least; } rows[] = {
        { "database", use_database, 5 },
        { "files", use_files, 10 },
        { "hash", use_hash, 2 },
        { "slug and hand-over", use_slug_and_handover, 5 },
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        long n;
        for (n = 0; n < 1000; n++) {
            test_row("%s, allocation %ld", rows[i].name, n);
            struct pixl_error err = { 0 };
            REQUIRE_OK(fs_remove_tree(test_path("a"), &err), err);
            fault_alloc_after(n);
            bool ok = rows[i].run(&err);
            bool reached = fault_alloc_stop();
            CHECK(ok == (err.code == PIXL_OK));
            CHECK(ok || (err.code == PIXL_E_NOMEM && strlen(err.msg) > 0));
            if (!reached) {
                CHECK(ok);
                break;
            }
        }
        CHECK(n >= rows[i].at_least && n < 1000);
    }
}

int main(int argc, char **argv)
{
    static const struct test_case tests[] = { TEST(test_base__survives_every_allocation_failure) };
    return test_main(argc, argv, tests, ARRAY_LEN(tests));
}
