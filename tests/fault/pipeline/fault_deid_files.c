/* Each allocation of `pixl deid` with a report fails once: the report is there whole or not at all, nothing is left
 * beside it, and every file is counted once. */
#include "pipeline/deid_files.h"

#include "fault.h"
#include "site_rig.h"

enum { SWEEP_MAX = 20000 };

static struct pixl_error err;

static void make_archive(void)
{
    rig_folders("");
    rig_save(&(struct rig_file){ .name = "a", .sop = "1.2.3.1.1.1" });
    rig_save(&(struct rig_file){ .name = "b", .sop = "1.2.3.1.1.2", .comment = "nothing of note" });
    rig_save(&(struct rig_file){ .name = "b-again", .sop = "1.2.3.1.1.2", .comment = "nothing of note" });
    rig_save(&(struct rig_file){ .name = "c", .study = "1.2.3.2", .series = "1.2.3.2.1", .sop = "1.2.3.2.1.1",
                                 .comment = "for Farthingale" });
    rig_save(&(struct rig_file){ .name = "d", .study = "1.2.3.3", .series = "1.2.3.3.1", .sop = "1.2.3.3.1.1",
                                 .modality = "MR" });
}

static bool is_whole(const char *path, bool is_html)
{
    struct arena a;
    struct str text = { 0 };
    struct pixl_error e = { 0 };
    arena_init(&a, 1 << 24);
    bool ok = fs_read_whole(&a, path, 1 << 20, &text, &e) && str_is_utf8(text) &&
              str_is_prefix(text, is_html ? STR("<!DOCTYPE html>") : STR("{\n \"format\": \"pixl-deid-report\""));
    struct str end = is_html ? STR("</body>\n</html>\n") : STR("}\n");
    ok = ok && text.n > end.n && str_eq((struct str){ text.p + text.n - end.n, end.n }, end);
    arena_done(&a);
    return ok;
}

static void sweep(struct site *site, const char *name, bool is_html)
{
    char in[256], out[256], path[256];
    (void)snprintf(in, sizeof in, "%s", test_path("archive"));
    (void)snprintf(out, sizeof out, "%s", test_path("out"));
    (void)snprintf(path, sizeof path, "%s", test_path(name));
    const struct deid_report_options report = { path, NULL, "0" };
    const struct deid_files_options o = { .in = in, .out = out, .project = STR(RIG_PROJECT), .report = &report };
    long n = 0;
    for (bool reached = true; reached && n < SWEEP_MAX; n++) {
        struct deid_files_counts counts = { .files = -1 };
        size_t hidden;
        test_row("%s, allocation %ld", name, n);
        (void)unlink(path);
        fault_alloc_after(n);
        bool ok = deid_files(site, &o, &counts, &err);
        reached = fault_alloc_stop();
        CHECK(fs_exists(path) || !ok);
        /* It may be there after a failure, when only its folder could not be synced. */
        CHECK(!fs_exists(path) || is_whole(path, is_html));
        CHECK(ok || (err.code != PIXL_OK && counts.files == -1));
        int64_t told = counts.written + counts.held_back + counts.copies + counts.not_dicom;
        for (size_t i = 0; i < STUDY_REASON_COUNT; i++)
            told += counts.skipped_by[i];
        (void)rig_count(".", &hidden);
        CHECK_INT(hidden, 0);
        CHECK_INT(told, ok ? counts.files : 0);
        (void)rig_count("out", &hidden);
        CHECK_INT(hidden, 0);
        /* No lack of memory is told as a fault of an input. */
        static const enum study_reason faults[] = { STUDY_WHY_UNREADABLE_INSTANCE, STUDY_WHY_DUPLICATE_INSTANCE };
        for (size_t i = 0; i < ARRAY_LEN(faults) && ok; i++)
            CHECK_INT(counts.skipped_by[faults[i]], 0);
        if (!reached) {
            CHECK_OK(ok, err);
            CHECK_INT(counts.written, 2);
            CHECK_INT(counts.withheld_studies, 1);
        }
        pixl_error_clear(&err);
    }
    CHECK(n > 60 && n < SWEEP_MAX);
}

static void test_fault__report_is_whole_or_absent(void)
{
    struct site_rig r;
    make_archive();
    rig_open(&r, NULL);
    const struct str slug = STR(RIG_PROJECT);
    REQUIRE_OK(site_keys_ready(r.site, &slug, 1, &err), err);
    sweep(r.site, "r.html", true);
    sweep(r.site, "r.json", false);
    rig_close(&r);
}

int main(int argc, char **argv)
{
    static const struct test_case tests[] = { TEST(test_fault__report_is_whole_or_absent) };
    return test_main(argc, argv, tests, ARRAY_LEN(tests));
}
