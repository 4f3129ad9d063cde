/* The record beside an extract's tables, with every allocation failing once: an error, or the truth. */
#include "export/export.h"

#include "base/fs.h"
#include "fault.h"
#include "test.h"

#define SLUG "2021-01-01t00-00-00"
#define DIR  "exports/p/all_extracts/" SLUG "/"

static void write_text(const char *name, const char *text)
{
    struct pixl_error err = { 0 };
    REQUIRE_OK(fs_write_whole(test_path(name), str_of(text), 0600, &err), err);
}

static void test_record__every_allocation_may_fail(void)
{
    struct pixl_error err = { 0 };
    const char *root = test_path("exports");
    REQUIRE_OK(fs_make_dirs(test_path(DIR "radiology"), 0700, &err), err);
    write_text(DIR ".source", "abc");
    write_text(DIR "radiology/IMAGE_LINKER.parquet", "x");
    write_text(DIR "radiology/OUTCOMES.parquet", "x");
    long n = 0;
    for (bool reached = true; reached && n < 1000; n++) {
        bool is_same = false;
        test_row("allocation %ld", n);
        fault_alloc_after(n);
        bool ok = export_write_record(root, STR("p"), STR(SLUG), STR("one"), &err) &&
                  export_compare_record(root, STR("p"), STR(SLUG), STR("one"), &is_same, &err);
        reached = fault_alloc_stop();
        CHECK(ok ? err.code == PIXL_OK && is_same : err.code == PIXL_E_NOMEM && !is_same);
        CHECK(ok || reached);
        pixl_error_clear(&err);
    }
    CHECK(n > 5 && n < 1000);
}

int main(int argc, char **argv)
{
    static const struct test_case tests[] = { TEST(test_record__every_allocation_may_fail) };
    return test_main(argc, argv, tests, ARRAY_LEN(tests));
}
