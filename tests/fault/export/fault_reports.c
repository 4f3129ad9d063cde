/* Each allocation of ours fails in turn while reports are loaded and tables written; DuckDB's own are not ours to fail. */
#include "export/export.h"
#include "export/report_load.h"

#include "../../unit/store/store_helper.h"
#include "base/fs.h"
#include "fault.h"

#define CSV "procedure_occurrence_id,image_report,project_name\n1,a normal chest,p\n2,of MRN777,p\n3,x,p\n"

static char csv[1200], temp[1200], exports[1200];

static bool load_and_write(struct store *s, struct report_load_counts *loaded, struct export_counts *written,
                           struct pixl_error *err)
{
    const struct report_load_options o = { .path = csv, .temp_dir = temp, .now_us = T0 };
    return report_load(s, &o, loaded, err) &&
           export_write_tables(s, exports, STR("p"), STR(TIME_1), STR("2023-12-07t14-08-58"), temp, written, err);
}

static void test_reports__survive_each_failed_allocation(void)
{
    struct pixl_error err = { 0 };
    struct store *s = open_store();
    (void)snprintf(csv, sizeof csv, "%s", test_path("r.csv"));
    (void)snprintf(temp, sizeof temp, "%s", test_path("spill"));
    (void)snprintf(exports, sizeof exports, "%s", test_path("exports"));
    REQUIRE_OK(fs_write_whole(csv, STR(CSV), 0600, &err), err);
    add(s, (struct ask){ .mrn = "MRN777", .accession = "ACC555", .series = "1.4\\1.3", .procedure = 1 });
    bring(s, 1, STUDY_EXPORTED);
    add(s, (struct ask){ .mrn = "MRN777", .accession = "ACC555", .series = "1.3", .procedure = 2 });
    for (long n = 0;; n++) {
        test_row("allocation %ld", n);
        struct report_load_counts loaded = { .rows = -1 };
        struct export_counts written = { .linked = -1 };
        fault_alloc_after(n);
        bool ok = load_and_write(s, &loaded, &written, &err);
        bool reached = fault_alloc_stop();
        if (!reached) {
            CHECK_OK(ok, err);
            CHECK(loaded.rows == 3 && loaded.withheld == 1 && loaded.never_asked == 1);
            CHECK(written.linked == 2 && written.reports == 1 && written.reports_withheld == 1);
            CHECK(n > 30);
            break;
        }
        if (!ok)
            CHECK_FAILS(ok, err, PIXL_E_NOMEM);
        CHECK(ok || written.linked == -1);
    }
    store_close(s);
}

int main(int argc, char **argv)
{
    static const struct test_case tests[] = { TEST(test_reports__survive_each_failed_allocation) };
    return test_main(argc, argv, tests, ARRAY_LEN(tests));
}
