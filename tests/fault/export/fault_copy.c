/* Each allocation of ours fails in turn while a public part is looked at and copied; DuckDB's own are not ours to fail. */
#include "export/export.h"

#include "base/duck.h"
#include "base/fs.h"
#include "fault.h"
#include "test.h"

static char public_dir[1200], temp[1200], exports[1200];

static void make_table(const char *select)
{
    struct pixl_error err = { 0 };
    struct arena a;
    duck_auto *d = NULL;
    buf_auto sql;
    arena_init(&a, 1 << 16);
    buf_init(&sql, 1 << 16);
    const char *quoted = duck_quote(&a, str_of(fs_path(&a, public_dir, "PERSON.parquet")));
    REQUIRE(buf_addf(&sql, "COPY (%s) TO %s (FORMAT parquet)", select, quoted));
    REQUIRE_OK(duck_open(temp, 256, &d, &err), err);
    REQUIRE_OK(duck_run(d, buf_cstr(&sql), NULL, 0, &err), err);
    arena_done(&a);
}

/* Until it ends as wanted; nothing that may not go out is there before. */
static void sweep(enum pixl_code wanted)
{
    struct pixl_error err = { 0 };
    for (long n = 0;; n++) {
        test_row("allocation %ld", n);
        fault_alloc_after(n);
        bool ok = export_copy_public(exports, STR("p"), STR("2023-12-07t14-08-58"), public_dir, STR("fp"), temp, &err);
        if (!fault_alloc_stop()) {
            CHECK(ok == (wanted == PIXL_OK) && err.code == wanted);
            CHECK(n > 3);
            return;
        }
        if (!ok)
            CHECK_FAILS(ok, err, PIXL_E_NOMEM);
        CHECK(wanted == PIXL_OK || !fs_exists(exports));
    }
}

static void test_copy__survives_each_failed_allocation(void)
{
    struct pixl_error err = { 0 };
    (void)snprintf(public_dir, sizeof public_dir, "%s", test_path("public"));
    (void)snprintf(temp, sizeof temp, "%s", test_path("spill"));
    (void)snprintf(exports, sizeof exports, "%s", test_path("exports"));
    REQUIRE_OK(fs_make_dirs(public_dir, 0700, &err), err);
    make_table("SELECT 1 AS person_id, 'x' AS mrn");
    sweep(PIXL_E_PRIVACY);
    make_table("SELECT 1 AS person_id, {'a': 2} AS b");
    sweep(PIXL_OK);
    CHECK(fs_exists(test_path("exports/p/latest/omop/public/PERSON.parquet")));
}

int main(int argc, char **argv)
{
    static const struct test_case tests[] = { TEST(test_copy__survives_each_failed_allocation) };
    return test_main(argc, argv, tests, ARRAY_LEN(tests));
}
