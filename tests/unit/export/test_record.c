#include "export/export.h"

#include <sys/stat.h>
#include <unistd.h>

#include "base/fs.h"
#include "test.h"

#define SLUG "2021-01-01t00-00-00"
#define DIR  "exports/p/all_extracts/" SLUG "/"

static struct pixl_error err;

static void write_text(const char *name, const char *text)
{
    REQUIRE_OK(fs_write_whole(test_path(name), str_of(text), 0600, &err), err);
}

static bool is_same(const char *record)
{
    bool same = true;
    REQUIRE_OK(export_compare_record(test_path("exports"), STR("p"), STR(SLUG), str_of(record), &same, &err), err);
    return same;
}

static void test_record__is_the_same_while_nothing_differs(void)
{
    CHECK(!is_same("one")); /* no folder */
    CHECK_FAILS(export_write_record(test_path("exports"), STR("p"), STR(SLUG), STR("one"), &err), err,
                PIXL_E_NOT_FOUND);
    REQUIRE_OK(fs_make_dirs(test_path(DIR "radiology"), 0700, &err), err);
    write_text(DIR "radiology/IMAGE_LINKER.parquet", "x");
    write_text(DIR "radiology/OUTCOMES.parquet", "x");
    CHECK(!is_same("one")); /* no record */
    REQUIRE_OK(export_write_record(test_path("exports"), STR("p"), STR(SLUG), STR("one"), &err), err);
    CHECK(is_same("one") && !is_same("other") && !is_same("on") && !is_same(""));
    write_text(DIR ".source", "fingerprint\n"); /* public files came behind it */
    CHECK(!is_same("one"));
    REQUIRE_OK(export_write_record(test_path("exports"), STR("p"), STR(SLUG), STR("one"), &err), err);
    CHECK(is_same("one"));
    REQUIRE(unlink(test_path(DIR "radiology/OUTCOMES.parquet")) == 0);
    CHECK(!is_same("one"));
    write_text(DIR "radiology/OUTCOMES.parquet", "x");
    write_text(DIR ".delivered", "torn");
    CHECK(!is_same("one"));
    REQUIRE(unlink(test_path(DIR ".delivered")) == 0 && mkdir(test_path(DIR ".delivered"), 0700) == 0);
    CHECK(!is_same("one"));
}

int main(int argc, char **argv)
{
    static const struct test_case tests[] = { TEST(test_record__is_the_same_while_nothing_differs) };
    return test_main(argc, argv, tests, ARRAY_LEN(tests));
}
