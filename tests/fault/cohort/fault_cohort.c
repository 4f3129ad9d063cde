/* Each allocation of ours fails in turn while a cohort is opened and read; DuckDB's own are not ours to fail. */
#include "test.h"

#include <string.h>

#include "base/duck.h"
#include "base/fs.h"
#include "cohort/cohort.h"
#include "cohort/reports.h"
#include "fault.h"

/* Opens and reads to the end; *rows counts what came before a failure. */
static bool read_cohort(const char *path, size_t *rows, struct pixl_error *err)
{
    cohort_auto *c = NULL;
    *rows = 0;
    if (!cohort_open(path, test_path("spill"), &c, err)) {
        CHECK(c == NULL);
        return false;
    }
    bool empty = true;
    if (!cohort_is_empty(c, &empty, err)) {
        CHECK(empty);
        return false;
    }
    CHECK(!empty);
    for (;;) {
        struct cohort_row row = { .line = 4711 };
        bool got = true;
        if (!cohort_next(c, &got, &row, err)) {
            CHECK(got && row.line == 4711);
            return false;
        }
        if (!got)
            return true;
        CHECK(row.request.project.n == 0 || str_eq(row.request.project, STR("a-project")));
        ++*rows;
    }
}

/* The same for reports. */
static bool read_reports(const char *path, size_t *rows, struct pixl_error *err)
{
    reports_auto *f = NULL;
    *rows = 0;
    if (!reports_open(path, test_path("spill"), &f, err)) {
        CHECK(f == NULL);
        return false;
    }
    for (;;) {
        struct reports_row row = { .line = 4711 };
        bool got = true;
        if (!reports_next(f, &got, &row, err)) {
            CHECK(got && row.line == 4711);
            return false;
        }
        if (!got)
            return true;
        ++*rows;
    }
}

static void sweep(bool (*read)(const char *path, size_t *rows, struct pixl_error *err), const char *path,
                  size_t want_rows, long at_least)
{
    for (long n = 0;; n++) {
        struct pixl_error err = { 0 };
        size_t rows = 0;
        test_row("allocation %ld", n);
        fault_alloc_after(n);
        bool ok = read(path, &rows, &err);
        bool reached = fault_alloc_stop();
        if (!reached) {
            CHECK_OK(ok, err);
            CHECK_INT(rows, want_rows);
            CHECK(n >= at_least);
            return;
        }
        CHECK(!ok && err.code == PIXL_E_NOMEM && rows <= want_rows);
        CHECK(strstr(err.msg, "CANARY") == NULL);
    }
}

static void test_cohort__csv_without_memory_fails_cleanly(void)
{
    struct pixl_error err = { 0 };
    buf_auto b = { 0 };
    buf_init(&b, 1 << 22);
    (void)buf_add_cstr(&b, "procedure_id,mrn,accession_number,project_name,extract_generated_timestamp,study_date,"
                           "study_uid,participant_id\n");
    for (int i = 0; i < 12; i++) {           /* each row larger than the last, so that the buffers grow */
        (void)buf_addf(&b, "%d,CANARY,a%d,a-project,2023-12-07T14:08:58Z,2021-03-02,,\"", i, i);
        for (int k = 0; k < 64 << i; k++)
            (void)buf_add_char(&b, 'x');
        (void)buf_add_cstr(&b, "\"\n");
    }
    for (int i = 0; i < 70; i++)             /* and the array of cells */
        (void)buf_add_cstr(&b, "x,");
    (void)buf_add_cstr(&b, "x\n");
    char path[1024];
    (void)snprintf(path, sizeof path, "%s", test_path("cohort.csv"));
    REQUIRE_OK(fs_write_whole(path, buf_str(&b), 0600, &err), err);
    sweep(read_cohort, path, 13, 12);
}

static void write_table(struct duck *d, const char *name, const char *query)
{
    struct pixl_error err = { 0 };
    char sql[2048];
    (void)snprintf(sql, sizeof sql, "COPY (%s) TO '%s' (FORMAT parquet)", query, test_path(name));
    REQUIRE_OK(duck_run(d, sql, NULL, 0, &err), err);
}

static void test_cohort__omop_without_memory_fails_cleanly(void)
{
    struct pixl_error err = { 0 };
    struct duck *d = NULL;
    REQUIRE_OK(fs_make_dirs(test_path("extract/public/omop"), 0700, &err), err);
    REQUIRE_OK(fs_make_dirs(test_path("extract/private"), 0700, &err), err);
    REQUIRE_OK(fs_write_whole(test_path("extract/extract_summary.json"),
                              STR("{\"datetime\": \"2023-12-07\", \"settings\": {\"site\": [1, {\"a\": null}], "
                                  "\"cdm_source_name\": \"A \\u0070ro\\u006Aect\"}}"),
                              0600, &err),
               err);
    REQUIRE_OK(duck_open(test_path("spill"), 64, &d, &err), err);
    write_table(d, "extract/private/PERSON_LINKS.parquet", "SELECT 1 AS person_id, 'CANARY' AS PrimaryMrn");
    write_table(
        d, "extract/public/omop/PROCEDURE_OCCURRENCE.parquet",
        "SELECT i AS procedure_occurrence_id, 1 AS person_id, DATE '2020-05-23' AS procedure_date FROM range(3) t(i)");
    write_table(d, "extract/private/PROCEDURE_OCCURRENCE_LINKS.parquet",
                "SELECT i AS procedure_occurrence_id, 'a' || i AS AccessionNumber, NULL::INTEGER AS StudyUid_X FROM "
                "range(3) t(i)");
    duck_close(d);
    char path[1024];
    (void)snprintf(path, sizeof path, "%s", test_path("extract"));
    sweep(read_cohort, path, 3, 40);
}

static void test_reports__without_memory_fail_cleanly(void)
{
    struct pixl_error err = { 0 };
    char path[1024];
    (void)snprintf(path, sizeof path, "%s", test_path("r.csv"));
    REQUIRE_OK(fs_write_whole(path, STR("procedure_occurrence_id,image_report\n1,\"CANARY\nx\"\n2,y\n"), 0600, &err),
               err);
    sweep(read_reports, path, 2, 5);
    duck_auto *d = NULL;
    REQUIRE_OK(duck_open(test_path("spill"), 64, &d, &err), err);
    write_table(d, "r.parquet",
                "SELECT i AS procedure_occurrence_id, 'CANARY' AS image_report, "
                "NULL::INTEGER AS image_identifier, TIMESTAMP '2020-05-23' AS extract_datetime FROM range(3) t(i)");
    (void)snprintf(path, sizeof path, "%s", test_path("r.parquet"));
    sweep(read_reports, path, 3, 10);
}

int main(int argc, char **argv)
{
    static const struct test_case tests[] = {
        TEST(test_cohort__csv_without_memory_fails_cleanly),
        TEST(test_cohort__omop_without_memory_fails_cleanly),
        TEST(test_reports__without_memory_fail_cleanly),
    };
    return test_main(argc, argv, tests, ARRAY_LEN(tests));
}
