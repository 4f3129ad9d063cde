/* Each allocation of a check fails once: it fails, or tells of something bad that is well, and leaves everything as it was. */
#include "pipeline/check.h"

#include "fault.h"
#include "site_rig.h"

enum { SWEEP_MAX = 20000 };

static struct pixl_error err;

static void count_line(void *ctx, const struct check_line *l)
{
    size_t *n = ctx;
    CHECK(l->text[0] != '\0');
    ++*n;
}

static void test_fault__a_check_ends_and_leaves_nothing(void)
{
    struct site_rig r;
    rig_folders("");
    rig_save(&(struct rig_file){ .name = "a" });
    rig_open(&r, NULL);
    rig_populate(&r, "1,MRN5501,ACC5501,rig,2023-12-07T14:08:58Z,2020-05-23,1.2.3.1,,\n");
    rig_close_site(&r);
    REQUIRE_OK(fs_remove_tree(test_path("haven"), &err) && fs_make_dirs(test_path("haven"), 0700, &err), err);
    size_t lines = 0, hidden;
    const struct check_options o = { .now_us = 2, .built_us = 1, .line = count_line, .ctx = &lines };
    long n = 0;
    for (bool reached = true; reached && n < SWEEP_MAX; n++) {
        enum check_result worst = CHECK_BAD;
        test_row("allocation %ld", n);
        lines = 0;
        fault_alloc_after(n);
        bool ok = check_site(&r.settings, &o, &worst, &err);
        reached = fault_alloc_stop();
        CHECK(ok ? err.code == PIXL_OK && lines >= 10 : err.code == PIXL_E_NOMEM && worst == CHECK_BAD);
        CHECK(reached || worst == CHECK_AWAY); /* the marker that was left there is gone */
        CHECK(rig_count("haven", &hidden) == 0 && hidden == 0);
        pixl_error_clear(&err);
    }
    CHECK(n > 60 && n < SWEEP_MAX);
    settings_done(&r.settings);
}

int main(int argc, char **argv)
{
    static const struct test_case tests[] = { TEST(test_fault__a_check_ends_and_leaves_nothing) };
    return test_main(argc, argv, tests, ARRAY_LEN(tests));
}
