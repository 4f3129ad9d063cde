/* Every folder of tests/cases/cohort: input.csv, and in `expected` what comes of it: a line for each row, then perhaps
 * an error.  PIXL_WRITE_EXPECTED=1 writes the files anew, to be read before they are committed. */
#include "test.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fs.h"
#include "cohort/cohort.h"

static void list_row(struct buf *b, const struct cohort_row *row)
{
    (void)buf_addf(b, "line %llu: ", (unsigned long long)row->line);
    if (row->refused) {
        (void)buf_addf(b, "refused: %s\n", row->why);
        return;
    }
    const struct study_request *q = &row->request;
    (void)buf_addf(b, "procedure %lld, project %.*s, mrn [%.*s], accession [%.*s], study [%.*s], series [%.*s], "
                      "participant [%.*s], date %d, extract %.*s, priority %d\n",
                   (long long)q->procedure_occurrence_id, STR_ARG(q->project), STR_ARG(phi_reveal(q->mrn)),
                   STR_ARG(phi_reveal(q->accession_number)), STR_ARG(phi_reveal(q->study_uid)),
                   STR_ARG(phi_reveal(q->series_uids)), STR_ARG(q->participant_id), (int)q->study_date,
                   STR_ARG(q->extract_time), q->priority);
}

/* All that a file yields, as text. */
static void list_cohort(const char *path, struct buf *b)
{
    struct pixl_error err = { 0 };
    cohort_auto *c = NULL;
    bool ok = cohort_open(path, test_path("temp"), &c, &err);
    for (bool got = true; ok && got;) {
        struct cohort_row row;
        ok = cohort_next(c, &got, &row, &err);
        if (ok && got)
            list_row(b, &row);
    }
    if (!ok)
        (void)buf_addf(b, "error: %s: %s\n", pixl_code_name(err.code), err.msg);
}

static void check_case(const char *dir)
{
    struct pixl_error err = { 0 };
    struct arena a;
    arena_init(&a, 1 << 24);
    buf_auto got = { 0 };
    buf_init(&got, 1 << 20);
    list_cohort(fs_path(&a, dir, "input.csv"), &got);
    const char *expected = fs_path(&a, dir, "expected");
    if (getenv("PIXL_WRITE_EXPECTED") != NULL) {
        CHECK_OK(fs_write_whole(expected, buf_str(&got), 0644, &err), err);
    } else {
        struct str want = { 0 };
        CHECK_OK(fs_read_whole(&a, expected, 1 << 20, &want, &err), err);
        CHECK_STR(buf_str(&got), want.p ? want.p : "");
    }
    arena_done(&a);
}

static void test_cohort_csv__cases(void)
{
    const char *root = PIXL_SOURCE_DIR "/tests/cases/cohort";
    struct dirent **names = NULL;
    int n = scandir(root, &names, NULL, alphasort), seen = 0;
    for (int i = 0; i < n; i++) {
        if (names[i]->d_name[0] != '.') {
            char dir[1024];
            (void)snprintf(dir, sizeof dir, "%s/%s", root, names[i]->d_name);
            test_row("%s", names[i]->d_name);
            check_case(dir);
            seen++;
        }
        free(names[i]);
    }
    free(names);
    CHECK(seen >= 60);
}

static const char present_header[] =
    "procedure_id,mrn,accession_number,project_name,extract_generated_timestamp,study_date,study_uid,participant_id\n";

static struct cohort *open_text(const char *name, struct str text)
{
    struct pixl_error err = { 0 };
    REQUIRE_OK(fs_write_whole(test_path(name), text, 0600, &err), err);
    struct cohort *c = NULL;
    REQUIRE_OK(cohort_open(test_path(name), test_path("temp"), &c, &err), err);
    return c;
}

static void test_cohort_csv__record_of_more_than_a_mebibyte_ends_the_reading(void)
{
    buf_auto b = { 0 };
    buf_init(&b, 4 << 20);
    (void)buf_add_cstr(&b, present_header);
    (void)buf_add_cstr(&b, "1,m1,a1,p,2023-12-07T14:08:58Z,2021-03-02,,x\n2,m1,a1,p,2023-12-07T14:08:58Z,2021-03-02,,");
    for (int i = 0; i < 1 << 20; i++)
        (void)buf_add_char(&b, 'x');
    (void)buf_add_cstr(&b, "\n");
    cohort_auto *c = open_text("big.csv", buf_str(&b));
    struct pixl_error err = { 0 };
    struct cohort_row row;
    bool got = false;
    REQUIRE_OK(cohort_next(c, &got, &row, &err), err);
    CHECK(got && !row.refused);
    bool ok = cohort_next(c, &got, &row, &err);
    CHECK(strstr(err.msg, "line 3") != NULL);
    CHECK_FAILS(ok, err, PIXL_E_LIMIT);
    CHECK_FAILS(cohort_next(c, &got, &row, &err), err, PIXL_E_LIMIT);     /* and stays ended */
}

static void test_cohort_csv__more_than_a_thousand_cells_end_the_reading(void)
{
    buf_auto b = { 0 };
    buf_init(&b, 1 << 20);
    (void)buf_add_cstr(&b, present_header);
    for (int i = 0; i < 1001; i++)
        (void)buf_add_char(&b, ',');
    cohort_auto *c = open_text("wide.csv", buf_str(&b));
    struct pixl_error err = { 0 };
    struct cohort_row row;
    bool got = false;
    CHECK_FAILS(cohort_next(c, &got, &row, &err), err, PIXL_E_LIMIT);
}

/* Looking whether there is a row takes none away, and meets what is wrong with the first one. */
static void test_cohort_csv__asked_for_a_row_gives_it_next(void)
{
    struct pixl_error err = { 0 };
    struct cohort_row row;
    bool empty = true, got = false;
    cohort_auto *c =
        open_text("two.csv", STR("procedure_id,mrn,accession_number,project_name,extract_generated_timestamp,"
                                 "study_date,study_uid,participant_id\n"
                                 "1,m1,a1,p,2023-12-07T14:08:58Z,2021-03-02,,\n"
                                 "2,m2,a2,p,2023-12-07T14:08:58Z,2021-03-02,,\n"));
    REQUIRE_OK(cohort_is_empty(c, &empty, &err), err);
    CHECK(!empty);
    for (int64_t n = 1; n <= 2; n++) {
        REQUIRE_OK(cohort_next(c, &got, &row, &err), err);
        REQUIRE(got);
        CHECK_INT(row.request.procedure_occurrence_id, n);
        CHECK_STR(phi_reveal(row.request.mrn), n == 1 ? "m1" : "m2");
    }
    REQUIRE_OK(cohort_next(c, &got, &row, &err), err);
    CHECK(!got);

    cohort_auto *none = open_text("none.csv", str_of(present_header));
    empty = false;
    REQUIRE_OK(cohort_is_empty(none, &empty, &err), err);
    CHECK(empty);
    REQUIRE_OK(cohort_next(none, &got, &row, &err), err);
    CHECK(!got);

    buf_auto b = { 0 };
    buf_init(&b, 1 << 20);
    (void)buf_add_cstr(&b, present_header);
    for (int i = 0; i < 1001; i++)
        (void)buf_add_char(&b, ',');
    cohort_auto *wide = open_text("too-wide.csv", buf_str(&b));
    CHECK_FAILS(cohort_is_empty(wide, &empty, &err), err, PIXL_E_LIMIT);
    CHECK(empty);
}

/* Cells that lie across the edges of the input buffer, at every offset. */
static void test_cohort_csv__buffer_edges_change_nothing(void)
{
    buf_auto b = { 0 };
    buf_init(&b, 32 << 20);
    (void)buf_add_cstr(&b, present_header);
    int n = 20000;
    for (int i = 0; i < n; i++)
        (void)buf_addf(&b, "%d,\"m\"\"%d\",a\xC3\xA9%d,p,2023-12-07T14:08:58Z,2021-03-02,1.2.%d,\"line\r\nx%.*s\"\r\n",
                       i, i, i, i, i % 37, "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx");
    cohort_auto *c = open_text("edges.csv", buf_str(&b));
    struct pixl_error err = { 0 };
    struct cohort_row row;
    bool got = true;
    for (int i = 0; i < n; i++) {
        REQUIRE_OK(cohort_next(c, &got, &row, &err), err);
        REQUIRE(got && row.refused);                 /* a line break in the participant's name */
        REQUIRE(row.line == (uint64_t)(2 + 2 * i));
        REQUIRE(strstr(row.why, "participant_id") != NULL);
    }
    REQUIRE_OK(cohort_next(c, &got, &row, &err), err);
    CHECK(!got);
}

static void test_cohort_csv__refusals_never_show_a_cell(void)
{
    cohort_auto *c = open_text("canary.csv", STR("procedure_id,mrn,accession_number,project_name,extract_generated_"
                                                 "timestamp,study_date,study_uid,participant_id\n"
                                                 "CANARY,m,a,p,2023-12-07T14:08:58Z,2021-03-02,,\n"
                                                 "1,CANARY\x01,a,p,2023-12-07T14:08:58Z,2021-03-02,,\n"
                                                 "1,m,CANARY\x01,p,2023-12-07T14:08:58Z,2021-03-02,,\n"
                                                 "1,m,a,CANARY,2023-12-07T14:08:58Z,2021-03-02,,\n"
                                                 "1,m,a,p,CANARY,2021-03-02,,\n"
                                                 "1,m,a,p,2023-12-07T14:08:58Z,CANARY,,\n"
                                                 "1,m,a,p,2023-12-07T14:08:58Z,2021-03-02,CANARY,\n"
                                                 "1,m,a,p,2023-12-07T14:08:58Z,2021-03-02,,CANARY\x01\n"
                                                 "CANARY\n"));
    struct pixl_error err = { 0 };
    int refused = 0;
    for (bool got = true; got;) {
        struct cohort_row row;
        REQUIRE_OK(cohort_next(c, &got, &row, &err), err);
        if (!got)
            break;
        CHECK(row.refused && row.why[0] != '\0' && strstr(row.why, "CANARY") == NULL);
        CHECK(phi_is_empty(row.request.mrn) && row.request.project.n == 0);
        refused++;
    }
    CHECK_INT(refused, 9);
}

/* A first row of data taken for a header must not be quoted either. */
static void test_cohort_csv__header_that_holds_data_is_not_shown(void)
{
    struct pixl_error err = { 0 };
    REQUIRE_OK(
        fs_write_whole(test_path("data.csv"), STR("1,CANARY,a,p,2023-12-07T14:08:58Z,2021-03-02,,\n"), 0600, &err),
        err);
    struct cohort *c = NULL;
    bool ok = cohort_open(test_path("data.csv"), test_path("temp"), &c, &err);
    CHECK(strstr(err.msg, "CANARY") == NULL && strstr(err.msg, "expected to have at least [") != NULL);
    CHECK(strstr(err.msg, test_dir()) == NULL);
    CHECK_FAILS(ok, err, PIXL_E_INVALID);
}

static void test_cohort_csv__kinds_of_path(void)
{
    struct pixl_error err = { 0 };
    struct cohort *c = NULL;
    CHECK_FAILS(cohort_open(test_path("none.csv"), test_path("temp"), &c, &err), err, PIXL_E_NOT_FOUND);
    REQUIRE_OK(fs_write_whole(test_path("cohort.txt"), STR(""), 0600, &err), err);
    CHECK_FAILS(cohort_open(test_path("cohort.txt"), test_path("temp"), &c, &err), err, PIXL_E_INVALID);
    REQUIRE(mkfifo(test_path("pipe.csv"), 0600) == 0);
    CHECK_FAILS(cohort_open(test_path("pipe.csv"), test_path("temp"), &c, &err), err, PIXL_E_INVALID);
    REQUIRE_OK(fs_write_whole(test_path("closed.csv"), STR(""), 0000, &err), err);
    if (geteuid() != 0)
        CHECK_FAILS(cohort_open(test_path("closed.csv"), test_path("temp"), &c, &err), err, PIXL_E_DENIED);
    CHECK(c == NULL);
    cohort_auto *upper = open_text("COHORT.CSV", str_of(present_header));
    CHECK_INT(cohort_kind(upper), COHORT_CSV);
    CHECK(!fs_exists(test_path("temp")));            /* a CSV needs no DuckDB */
}

int main(int argc, char **argv)
{
    static const struct test_case tests[] = {
        TEST(test_cohort_csv__cases),
        TEST(test_cohort_csv__record_of_more_than_a_mebibyte_ends_the_reading),
        TEST(test_cohort_csv__more_than_a_thousand_cells_end_the_reading),
        TEST(test_cohort_csv__asked_for_a_row_gives_it_next),
        TEST(test_cohort_csv__buffer_edges_change_nothing),
        TEST(test_cohort_csv__refusals_never_show_a_cell),
        TEST(test_cohort_csv__header_that_holds_data_is_not_shown),
        TEST(test_cohort_csv__kinds_of_path),
    };
    return test_main(argc, argv, tests, ARRAY_LEN(tests));
}
