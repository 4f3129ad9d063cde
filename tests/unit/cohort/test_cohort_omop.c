/* Extracts are made here by DuckDB in the three layouts that OMOP ES has had. */
#include "test.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/duck.h"
#include "base/fs.h"
#include "cohort/cohort.h"

#define SUMMARY                                                                                                      \
    "{\"datetime\": \"2023-12-07 14:08:58\", \"settings\": {\"cdm_source_name\": \"Test Extract - UCLH OMOP CDM\", " \
    "\"site\": \"x\"}, \"gitsha\": \"56e0eba\"}"
#define PERSONS "SELECT * FROM (VALUES (1::INTEGER, '987654321'), (2, '5020765')) t(person_id, PrimaryMrn)"
#define PROCEDURES                                                                                             \
    "SELECT * FROM (VALUES (4::INTEGER, 1::INTEGER, DATE '2020-05-23', 'x'), (5, 2, DATE '2020-05-22', 'y'), " \
    "(6, 1, DATE '2020-05-20', 'no link')) t(procedure_occurrence_id, person_id, procedure_date, other)"
#define LINKS "SELECT * FROM (VALUES (4::INTEGER, 'AA12345601', '1.2.3'), (5, 'AA12345605', NULL)) " \
              "t(procedure_occurrence_id, AccessionNumber, StudyUid_X)"

PIXL_PRINTF(1, 2) static const char *in_extract(const char *fmt, ...)
{
    char name[256];
    va_list ap;
    va_start(ap, fmt);
    int n = snprintf(name, sizeof name, "extract/");
    (void)vsnprintf(name + n, sizeof name - (size_t)n, fmt, ap);
    va_end(ap);
    return test_path(name);
}

static void make_dir(const char *path)
{
    struct pixl_error err = { 0 };
    REQUIRE_OK(fs_make_dirs(path, 0700, &err), err);
}

static void write_file(const char *path, struct str text)
{
    struct pixl_error err = { 0 };
    REQUIRE_OK(fs_write_whole(path, text, 0600, &err), err);
}

static void write_table(const char *path, const char *query)
{
    struct pixl_error err = { 0 };
    struct duck *d = NULL;
    char sql[4096];
    REQUIRE_OK(duck_open(test_path("spill"), 64, &d, &err), err);
    (void)snprintf(sql, sizeof sql, "COPY (%s) TO '%s' (FORMAT parquet)", query, path);
    REQUIRE_OK(duck_run(d, sql, NULL, 0, &err), err);
    duck_close(d);
}

enum layout { OLDER, NEWER, BATCHED };

/* test_path() gives its buffers to the next callers; these last. */
static void keep_path(char out[1024], const char *path)
{
    (void)snprintf(out, 1024, "%s", path);
}

/* One table; batched ones in two parts. */
static void write_in_layout(enum layout layout, const char *dir, const char *file, const char *folder,
                            const char *query)
{
    if (layout != BATCHED) {
        make_dir(in_extract("%s", dir));
        write_table(in_extract("%s/%s", dir, file), query);
        return;
    }
    make_dir(in_extract("%s/%s", dir, folder));
    char part[2048];
    for (int i = 0; i < 2; i++) {
        (void)snprintf(part, sizeof part,
                       "SELECT * EXCLUDE (rn) FROM (SELECT *, row_number() OVER () AS rn FROM (%s)) WHERE rn %% 2 = %d",
                       query, i);
        write_table(in_extract("%s/%s/part-%d.parquet", dir, folder, i), part);
    }
}

static void write_extract(enum layout layout, const char *persons, const char *procedures, const char *links)
{
    make_dir(in_extract("public"));
    make_dir(in_extract("private"));
    write_file(in_extract("extract_summary.json"), STR(SUMMARY));
    write_in_layout(layout, layout == OLDER ? "public" : "public/omop", "PROCEDURE_OCCURRENCE.parquet",
                    "procedure_occurrence", procedures);
    write_in_layout(layout, "private", "PERSON_LINKS.parquet", "person_links", persons);
    write_in_layout(layout, "private", "PROCEDURE_OCCURRENCE_LINKS.parquet", "procedure_occurrence_links", links);
}

static struct cohort *open_extract(void)
{
    struct pixl_error err = { 0 };
    struct cohort *c = NULL;
    REQUIRE_OK(cohort_open(test_path("extract"), test_path("spill"), &c, &err), err);
    return c;
}

/* Rows as "4|mrn|accession|uid|date" or "!why", one a line. */
static void list_rows(struct cohort *c, struct buf *b)
{
    struct pixl_error err = { 0 };
    uint64_t n = 0;
    for (bool got = true;;) {
        struct cohort_row row;
        REQUIRE_OK(cohort_next(c, &got, &row, &err), err);
        if (!got)
            return;
        CHECK_INT(row.line, ++n);
        const struct study_request *q = &row.request;
        if (row.refused)
            (void)buf_addf(b, "!%s\n", row.why);
        else
            (void)buf_addf(b, "%lld|%.*s|%.*s|%.*s|%d\n", (long long)q->procedure_occurrence_id,
                           STR_ARG(phi_reveal(q->mrn)), STR_ARG(phi_reveal(q->accession_number)),
                           STR_ARG(phi_reveal(q->study_uid)), (int)q->study_date);
        if (!row.refused) {
            CHECK_STR(q->project, "test-extract-uclh-omop-cdm");
            CHECK_STR(q->extract_time, "2023-12-07T14:08:58");
            CHECK(q->priority == 1 && q->participant_id.n == 0 && phi_is_empty(q->series_uids));
        }
    }
}

static void check_rows(const char *want)
{
    cohort_auto *c = open_extract();
    buf_auto b = { 0 };
    buf_init(&b, 1 << 20);
    list_rows(c, &b);
    CHECK_STR(buf_str(&b), want);
}

/* Opening fails with that code and a text that holds `text`, and neither a path nor a canary. */
static void check_open_fails(enum pixl_code code, const char *text)
{
    struct pixl_error err = { 0 };
    struct cohort *c = NULL;
    bool ok = cohort_open(test_path("extract"), test_path("spill"), &c, &err);
    if (strstr(err.msg, text) == NULL)
        printf("    %s\n", err.msg);
    CHECK(strstr(err.msg, text) != NULL);
    CHECK(strstr(err.msg, test_dir()) == NULL && strstr(err.msg, "CANARY") == NULL && strstr(err.msg, "/proc") == NULL);
    CHECK_FAILS(ok, err, code);
    CHECK(c == NULL);
}

static void check_layout(enum layout layout)
{
    write_extract(layout, PERSONS, PROCEDURES, LINKS);
    cohort_auto *c = open_extract();
    CHECK_INT(cohort_kind(c), COHORT_OMOP);
    CHECK_STR(cohort_project(c), "test-extract-uclh-omop-cdm");
    CHECK_STR(cohort_extract_time(c), "2023-12-07T14:08:58");
    CHECK_STR(str_of(cohort_public_dir(c)), in_extract("public"));
    CHECK_INT(cohort_fingerprint(c).n, 64);
    struct pixl_error err = { 0 };
    bool empty = true;
    REQUIRE_OK(cohort_is_empty(c, &empty, &err), err);
    CHECK(!empty);
    buf_auto b = { 0 };
    buf_init(&b, 4096);
    list_rows(c, &b);
    CHECK_STR(buf_str(&b), "5|5020765|AA12345605||20200522\n4|987654321|AA12345601|1.2.3|20200523\n");
}

static void test_cohort_omop__older_layout(void) { check_layout(OLDER); }
static void test_cohort_omop__newer_layout(void) { check_layout(NEWER); }
static void test_cohort_omop__batched_layout(void) { check_layout(BATCHED); }

static void test_cohort_omop__batched_ids_may_be_floating_point(void)
{
    write_extract(BATCHED, "SELECT person_id::DOUBLE AS person_id, PrimaryMrn FROM (" PERSONS ")",
                  "SELECT * REPLACE (procedure_occurrence_id::DOUBLE AS procedure_occurrence_id, person_id::DOUBLE AS "
                  "person_id) FROM (" PROCEDURES ")",
                  LINKS);
    check_rows("5|5020765|AA12345605||20200522\n4|987654321|AA12345601|1.2.3|20200523\n");
}

static void test_cohort_omop__ids_that_are_no_whole_numbers_are_refused(void)
{
    write_extract(
        NEWER,
        "SELECT * FROM (VALUES (1.5::DOUBLE, 'm1'), (2, 'm2'), (9007199254740994, 'm3')) t(person_id, PrimaryMrn)",
        "SELECT * FROM (VALUES (1::DOUBLE, 1.5::DOUBLE, NULL::DATE), (2.25, 2, NULL), (3, 2, NULL), (9007199254740994, "
        "2, NULL), (5, 9007199254740994, NULL)) "
        "t(procedure_occurrence_id, person_id, procedure_date)",
        "SELECT * FROM (VALUES (1::DOUBLE, 'a1'), (2.25, 'a2'), (3, 'a3'), (9007199254740994, 'a4'), (5, 'a5')) "
        "t(procedure_occurrence_id, AccessionNumber)");
    check_rows("!person_id: not a whole number\n!procedure_occurrence_id: not a whole number\n3|m2|a3||0\n"
               "!person_id: not a whole number\n!procedure_occurrence_id: not a whole number\n");
}

static void test_cohort_omop__large_whole_ids_stay_exact(void)
{
    write_extract(
        NEWER,
        "SELECT 9007199254740993::BIGINT AS person_id, 'm1' AS PrimaryMrn UNION ALL SELECT 9007199254740992, 'm2'",
        "SELECT 9223372036854775807::BIGINT AS procedure_occurrence_id, 9007199254740993::BIGINT AS person_id, DATE "
        "'2020-01-01' AS procedure_date",
        "SELECT 9223372036854775807::BIGINT AS procedure_occurrence_id, 'a1' AS AccessionNumber");
    check_rows("9223372036854775807|m1|a1||20200101\n");
}

static void test_cohort_omop__rows_without_a_key_are_refused(void)
{
    write_extract(NEWER, "SELECT * FROM (VALUES (1, 'm1'), (2, NULL), (3, '  ')) t(person_id, PrimaryMrn)",
                  "SELECT * FROM (VALUES (1, 1), (2, 1), (3, 1), (4, 1), (5, 2), (6, 3)) t(procedure_occurrence_id, "
                  "person_id), (SELECT DATE '2020-01-01' AS procedure_date)",
                  "SELECT * FROM (VALUES (1, 'a1', NULL), (2, NULL, '1.2.3'), (3, NULL, NULL), (4, ' ', ''), (5, 'a5', "
                  "NULL), (6, 'a6', NULL)) "
                  "t(procedure_occurrence_id, AccessionNumber, StudyUid_X)");
    check_rows("1|m1|a1||20200101\n2|m1||1.2.3|20200101\n!no accession number and no study UID\n!no accession number "
               "and no study UID\n"
               "!no PrimaryMrn\n!no PrimaryMrn\n");
}

static void test_cohort_omop__texts_are_trimmed_and_checked(void)
{
    write_extract(NEWER, "SELECT 1 AS person_id, ' m1' || chr(160) AS PrimaryMrn",
                  "SELECT * FROM (VALUES (1, 1), (2, 1)) t(procedure_occurrence_id, person_id), (SELECT DATE "
                  "'2020-01-01' AS procedure_date)",
                  "SELECT * FROM (VALUES (1, ' a1 ', ' 1.2.3 '), (2, 'a2', 'CANARY')) t(procedure_occurrence_id, "
                  "AccessionNumber, StudyUid_X)");
    check_rows("1|m1|a1|1.2.3|20200101\n!study_uid: a UID is made of digits and dots\n");
}

static void test_cohort_omop__repeated_rows_are_one(void)
{
    write_extract(NEWER, PERSONS,
                  "SELECT * FROM (VALUES (4, 1, DATE '2020-05-23'), (4, 1, DATE '2020-05-23'), (4, 1, DATE "
                  "'2019-01-01')) t(procedure_occurrence_id, person_id, procedure_date)",
                  LINKS " UNION ALL " LINKS);
    check_rows("4|987654321|AA12345601|1.2.3|20190101\n");
}

static void test_cohort_omop__one_accession_for_two_procedures_stays_two_rows(void)
{
    write_extract(NEWER, PERSONS,
                  "SELECT * FROM (VALUES (4, 1, DATE '2020-05-23'), (5, 1, DATE '2020-05-23')) "
                  "t(procedure_occurrence_id, person_id, procedure_date)",
                  "SELECT * FROM (VALUES (4, 'a1'), (5, 'a1')) t(procedure_occurrence_id, AccessionNumber)");
    check_rows("4|987654321|a1||20200523\n5|987654321|a1||20200523\n");
}

static void test_cohort_omop__dates_of_each_kind(void)
{
    write_extract(
        OLDER, PERSONS,
        "SELECT 4 AS procedure_occurrence_id, 1 AS person_id, TIMESTAMPTZ '2020-05-23 23:30:00+00' AS procedure_date",
        LINKS);
    check_rows("4|987654321|AA12345601|1.2.3|20200523\n");
    write_table(
        in_extract("public/PROCEDURE_OCCURRENCE.parquet"),
        "SELECT 4 AS procedure_occurrence_id, 1 AS person_id, TIMESTAMP '2020-05-23 23:30:00' AS procedure_date");
    check_rows("4|987654321|AA12345601|1.2.3|20200523\n");
    write_table(in_extract("public/PROCEDURE_OCCURRENCE.parquet"),
                "SELECT 4 AS procedure_occurrence_id, 1 AS person_id, NULL::DATE AS procedure_date");
    check_rows("4|987654321|AA12345601|1.2.3|0\n");
    write_table(in_extract("public/PROCEDURE_OCCURRENCE.parquet"),
                "SELECT 4 AS procedure_occurrence_id, 1 AS person_id, DATE '12345-01-01' AS procedure_date");
    check_rows("!procedure_date: not within the years 1 to 9999\n");
}

/* pandas writes a column of nothing but None with a type of its own choice. */
static void test_cohort_omop__column_without_values_may_have_any_type(void)
{
    write_extract(NEWER, PERSONS, PROCEDURES,
                  "SELECT 4 AS procedure_occurrence_id, 'a1' AS AccessionNumber, NULL::INTEGER AS StudyUid_X");
    check_rows("4|987654321|a1||20200523\n");
}

static void test_cohort_omop__nothing_joined_is_an_empty_cohort(void)
{
    write_extract(NEWER, PERSONS, PROCEDURES, "SELECT 99 AS procedure_occurrence_id, 'a1' AS AccessionNumber");
    check_rows("");
}

static void test_cohort_omop__wrong_types_are_named_with_their_file(void)
{
    static const struct { const char *name, *persons, *procedures, *links, *want;
    } rows[] = {
        { "numeric mrn", "SELECT 1 AS person_id, 987 AS PrimaryMrn", PROCEDURES, LINKS,
          "private/PERSON_LINKS.parquet: column 'PrimaryMrn' has the wrong type: text is expected" },
        { "text id", PERSONS, PROCEDURES, "SELECT 'CANARY' AS procedure_occurrence_id, 'a' AS AccessionNumber",
          "private/PROCEDURE_OCCURRENCE_LINKS.parquet: column 'procedure_occurrence_id' has the wrong type: whole "
          "numbers are expected" },
        { "text date", PERSONS, "SELECT 4 AS procedure_occurrence_id, 1 AS person_id, 'CANARY' AS procedure_date",
          LINKS,
          "public/omop/PROCEDURE_OCCURRENCE.parquet: column 'procedure_date' has the wrong type: a date is expected" },
        { "numeric uid", PERSONS, PROCEDURES,
          "SELECT 4 AS procedure_occurrence_id, 'a' AS AccessionNumber, 7 AS StudyUid_X",
          "private/PROCEDURE_OCCURRENCE_LINKS.parquet: column 'StudyUid_X' has the wrong type: text is expected" },
        { "missing column", "SELECT 1 AS person_id, 'm' AS Mrn", PROCEDURES, LINKS,
          "private/PERSON_LINKS.parquet: Export specification files are expected to have at least ['person_id', "
          "'PrimaryMrn'] as column names; "
          "'PrimaryMrn' is missing" },
        { "column in capitals", PERSONS, PROCEDURES, "SELECT 4 AS procedure_occurrence_id, 'a' AS ACCESSIONNUMBER",
          "'AccessionNumber' is missing" },
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        test_row("%s", rows[i].name);
        write_extract(NEWER, rows[i].persons, rows[i].procedures, rows[i].links);
        check_open_fails(PIXL_E_INVALID, rows[i].want);
    }
}

static void test_cohort_omop__missing_folders_and_files_are_named(void)
{
    make_dir(test_path("extract"));
    check_open_fails(PIXL_E_NOT_FOUND, "extract_summary.json");
    write_file(in_extract("extract_summary.json"), STR(SUMMARY));
    check_open_fails(PIXL_E_NOT_FOUND, "public must exist and be a directory");
    make_dir(in_extract("public"));
    check_open_fails(PIXL_E_NOT_FOUND, "private must exist and be a directory");
    make_dir(in_extract("private"));
    check_open_fails(PIXL_E_NOT_FOUND, "public/PROCEDURE_OCCURRENCE.parquet is not there");
    make_dir(in_extract("public/omop"));
    check_open_fails(PIXL_E_NOT_FOUND, "public/omop/PROCEDURE_OCCURRENCE.parquet is not there");
    write_table(in_extract("public/omop/PROCEDURE_OCCURRENCE.parquet"), PROCEDURES);
    check_open_fails(PIXL_E_NOT_FOUND, "private/PERSON_LINKS.parquet");
    write_table(in_extract("private/PERSON_LINKS.parquet"), PERSONS);
    check_open_fails(PIXL_E_NOT_FOUND, "private/PROCEDURE_OCCURRENCE_LINKS.parquet");
    write_table(in_extract("private/PROCEDURE_OCCURRENCE_LINKS.parquet"), LINKS);
    check_rows("5|5020765|AA12345605||20200522\n4|987654321|AA12345601|1.2.3|20200523\n");
    write_table(in_extract("public/PROCEDURE_OCCURRENCE.parquet"), PROCEDURES);
    check_open_fails(PIXL_E_INVALID, "PROCEDURE_OCCURRENCE.parquet is there twice");
}

static void test_cohort_omop__batched_folders_hold_parquet_only(void)
{
    write_extract(BATCHED, PERSONS, PROCEDURES, LINKS);
    write_file(in_extract("private/person_links/_SUCCESS"), STR(""));
    write_file(in_extract("private/person_links/.part-9.crc"), STR("x"));
    check_rows("5|5020765|AA12345605||20200522\n4|987654321|AA12345601|1.2.3|20200523\n");
    write_file(in_extract("private/person_links/notes.txt"), STR("x"));
    check_open_fails(PIXL_E_INVALID, "private/person_links: holds something else than parquet files");
    REQUIRE(unlink(in_extract("private/person_links/notes.txt")) == 0);
    write_file(in_extract("private/person_links/part-7.parquet"), STR("PAR1 but no more"));
    check_open_fails(PIXL_E_CORRUPT, "private/person_links/part-7.parquet: the parquet file is cut short");
    REQUIRE(unlink(in_extract("private/person_links/part-7.parquet")) == 0);
    write_table(in_extract("private/person_links/part-7.parquet"), "SELECT 1 AS lorem");
    check_open_fails(PIXL_E_INVALID,
                     "private/person_links/part-7.parquet: Export specification files are expected to have at least");
    REQUIRE(unlink(in_extract("private/person_links/part-7.parquet")) == 0);
    REQUIRE(unlink(in_extract("private/person_links/part-0.parquet")) == 0 &&
            unlink(in_extract("private/person_links/part-1.parquet")) == 0);
    check_open_fails(PIXL_E_NOT_FOUND, "private/person_links: holds no parquet file");
}

/* pandas gives a column that is empty in one batch another type there; whole numbers may meet floating point. */
static void test_cohort_omop__batches_may_differ_in_types_that_mean_the_same(void)
{
    write_extract(BATCHED, PERSONS, PROCEDURES, LINKS);
    write_table(in_extract("private/procedure_occurrence_links/part-7.parquet"),
                "SELECT 6::DOUBLE AS procedure_occurrence_id, 'a6' AS AccessionNumber, NULL::INTEGER AS StudyUid_X");
    write_table(in_extract("private/person_links/part-0a.parquet"),
                "SELECT NULL::INTEGER AS PrimaryMrn, 3::BIGINT AS person_id");
    write_table(in_extract("public/omop/procedure_occurrence/part-7.parquet"),
                "SELECT 7::BIGINT AS procedure_occurrence_id, 1::DOUBLE AS person_id, TIMESTAMP '2020-06-01 10:00:00' "
                "AS procedure_date");
    write_table(in_extract("public/omop/procedure_occurrence/part-8.parquet"),
                "SELECT 8::BIGINT AS procedure_occurrence_id, 1::DOUBLE AS person_id, NULL::INTEGER AS procedure_date");
    write_table(in_extract("private/procedure_occurrence_links/part-8.parquet"),
                "SELECT unnest([7, 8])::DOUBLE AS procedure_occurrence_id, 'a7' AS AccessionNumber");
    check_rows("6|987654321|a6||20200520\n5|5020765|AA12345605||20200522\n4|987654321|AA12345601|1.2.3|20200523\n"
               "7|987654321|a7||20200601\n8|987654321|a7||0\n");
    write_table(in_extract("private/person_links/part-0a.parquet"), "SELECT 987 AS PrimaryMrn, 3::BIGINT AS person_id");
    check_open_fails(PIXL_E_INVALID, "private/person_links/part-0a.parquet: column 'PrimaryMrn' has the wrong type");
}

static void copy_first_bytes(const char *from, const char *to, long keep)
{
    struct pixl_error err = { 0 };
    struct arena a;
    arena_init(&a, 1 << 20);
    struct str s = { 0 };
    REQUIRE_OK(fs_read_whole(&a, from, 1 << 20, &s, &err), err);
    REQUIRE(keep <= (long)s.n);
    write_file(to, (struct str){ s.p, keep < 0 ? s.n - (size_t)-keep : (size_t)keep });
    arena_done(&a);
}

static void test_cohort_omop__damaged_tables_are_named(void)
{
    write_extract(NEWER, PERSONS, PROCEDURES, LINKS);
    char path[1024], whole[1024];
    keep_path(path, in_extract("private/PERSON_LINKS.parquet"));
    keep_path(whole, test_path("whole.parquet"));
    write_table(whole, PERSONS);
    const struct { const char *name, *want; struct str text; long keep;
    } rows[] = {
        { "empty", "private/PERSON_LINKS.parquet: the file is empty", STR(""), 0 },
        { "zip", "private/PERSON_LINKS.parquet: this is no parquet file", STR("PK\x03\x04 CANARY and a lot more of it"),
          0 },
        { "text", "private/PERSON_LINKS.parquet: this is no parquet file", STR("person_id,PrimaryMrn\n1,CANARY\n"), 0 },
        { "short", "private/PERSON_LINKS.parquet: this is no parquet file", STR("PAR1"), 0 },
        { "cut in the middle", "private/PERSON_LINKS.parquet: the parquet file is cut short", { 0 }, 100 },
        { "last byte missing", "private/PERSON_LINKS.parquet: the parquet file is cut short", { 0 }, -1 },
        { "footer length too large", "private/PERSON_LINKS.parquet: the parquet data is damaged",
          STR("PAR1\xFF\xFF\xFF\x7FPAR1"), 0 },
        { "footer of nonsense", "private/PERSON_LINKS.parquet: the parquet data is damaged",
          STR("PAR1CANARYCANARY\x10\x00\x00\x00PAR1"), 0 },
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        test_row("%s", rows[i].name);
        if (rows[i].keep != 0)
            copy_first_bytes(whole, path, rows[i].keep);
        else
            write_file(path, rows[i].text);
        check_open_fails(PIXL_E_CORRUPT, rows[i].want);
    }
    REQUIRE(unlink(path) == 0 && mkdir(path, 0700) == 0);
    test_row("folder");
    check_open_fails(PIXL_E_INVALID, "private/PERSON_LINKS.parquet: not a regular file");
    REQUIRE(rmdir(path) == 0 && mkfifo(path, 0600) == 0);
    test_row("pipe");
    check_open_fails(PIXL_E_INVALID, "private/PERSON_LINKS.parquet: not a regular file");
}

/* Every byte of a small table changed in turn: opening and reading ends, one way or the other. */
static void test_cohort_omop__changed_bytes_never_crash(void)
{
    write_extract(NEWER, PERSONS, PROCEDURES, LINKS);
    struct arena a;
    arena_init(&a, 1 << 20);
    struct pixl_error err = { 0 };
    char path[1024];
    keep_path(path, in_extract("private/PERSON_LINKS.parquet"));
    struct str s = { 0 };
    REQUIRE_OK(fs_read_whole(&a, path, 1 << 20, &s, &err), err);
    char *p = arena_alloc(&a, s.n);
    REQUIRE(p != NULL && s.n > 100);
    size_t failed = 0, step = getenv("PIXL_TEST_LONG") != NULL ? 1 : 7;
    for (size_t i = 0; i < s.n; i += step) {
        memcpy(p, s.p, s.n);
        p[i] = (char)(p[i] ^ 0x55);
        write_file(path, (struct str){ p, s.n });
        cohort_auto *c = NULL;
        bool ok = cohort_open(test_path("extract"), test_path("spill"), &c, &err);
        for (bool got = true; ok && got;) {
            struct cohort_row row;
            ok = cohort_next(c, &got, &row, &err);
        }
        failed += ok ? 0 : 1;
        CHECK(ok == (err.code == PIXL_OK));
        pixl_error_clear(&err);
    }
    CHECK(failed > 5);
    arena_done(&a);
}

static void test_cohort_omop__summaries_that_are_wrong_say_what_is(void)
{
    static const struct { const char *name, *text, *want;
    } rows[] = {
        { "empty", "", "extract_summary.json: not JSON (byte 0)" },
        { "no JSON", "{\n\"datetime\": CANARY}", "extract_summary.json: not JSON (byte 14)" },
        { "a name with U+0000", "{\"settings\": {\"cdm_source_name\": \"x\\u0000y\"}}",
          "extract_summary.json: not JSON" },
        { "list", "[]", "'settings.cdm_source_name' is missing" },
        { "no settings", "{\"datetime\": \"2023-12-07\"}", "'settings.cdm_source_name' is missing" },
        { "numeric name", "{\"datetime\": \"2023-12-07\", \"settings\": {\"cdm_source_name\": 7}}",
          "'settings.cdm_source_name' is missing" },
        { "empty name", "{\"datetime\": \"2023-12-07\", \"settings\": {\"cdm_source_name\": \" - \"}}",
          "extract_summary.json: 'settings.cdm_source_name'" },
        { "no time", "{\"settings\": {\"cdm_source_name\": \"x\"}}", "'datetime' is missing" },
        { "wrong time", "{\"datetime\": \"CANARY\", \"settings\": {\"cdm_source_name\": \"x\"}}",
          "'datetime' is not an ISO 8601 time" },
        { "twice",
          "{\"datetime\": \"2023-12-07\", \"datetime\": \"2023-12-08\", \"settings\": {\"cdm_source_name\": "
          "\"x\"}}",
          "extract_summary.json: a field stands there twice" },
    };
    write_extract(NEWER, PERSONS, PROCEDURES, LINKS);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        test_row("%s", rows[i].name);
        write_file(in_extract("extract_summary.json"), str_of(rows[i].text));
        check_open_fails(PIXL_E_INVALID, rows[i].want);
    }
}

static void test_cohort_omop__time_of_the_extract_keeps_its_offset(void)
{
    write_extract(NEWER, PERSONS, PROCEDURES, LINKS);
    write_file(in_extract("extract_summary.json"),
               STR("{\"datetime\": \"2023-12-07T14:08:58.5-01:00\", \"settings\": {\"cdm_source_name\": \"x\"}}"));
    cohort_auto *c = open_extract();
    CHECK_STR(cohort_extract_time(c), "2023-12-07T14:08:58.500000-01:00");
}

static void fingerprint(char out[65])
{
    cohort_auto *c = open_extract();
    struct str s = cohort_fingerprint(c);
    REQUIRE(s.n == 64);
    memcpy(out, s.p, 64);
    out[64] = '\0';
}

static void test_cohort_omop__fingerprint_follows_the_content(void)
{
    char first[65], again[65], other[65];
    write_extract(NEWER, PERSONS, PROCEDURES, LINKS);
    fingerprint(first);
    fingerprint(again);
    CHECK(strcmp(first, again) == 0);
    make_dir(test_path("moved"));
    REQUIRE(rename(test_path("extract"), test_path("moved/extract")) == 0 &&
            rename(test_path("moved/extract"), test_path("extract")) == 0);
    fingerprint(again);
    CHECK(strcmp(first, again) == 0);
    write_table(in_extract("private/PROCEDURE_OCCURRENCE_LINKS.parquet"),
                "SELECT 4 AS procedure_occurrence_id, 'AA12345602' AS AccessionNumber");
    fingerprint(other);
    CHECK(strcmp(first, other) != 0);
    write_table(in_extract("private/PROCEDURE_OCCURRENCE_LINKS.parquet"), LINKS);
    write_file(in_extract("extract_summary.json"),
               STR("{\"datetime\": \"2023-12-08\", \"settings\": {\"cdm_source_name\": \"x\"}}"));
    fingerprint(other);
    CHECK(strcmp(first, other) != 0);
}

/* Nothing in the path of an extract is a wildcard or ends a statement. */
static void test_cohort_omop__path_with_wildcards_and_quotes(void)
{
    write_extract(NEWER, PERSONS, PROCEDURES, LINKS);
    const char *odd = test_path("it's [a] *?\\ b");
    REQUIRE(rename(test_path("extract"), odd) == 0);
    struct pixl_error err = { 0 };
    cohort_auto *c = NULL;
    REQUIRE_OK(cohort_open(odd, test_path("spill"), &c, &err), err);
    buf_auto b = { 0 };
    buf_init(&b, 4096);
    list_rows(c, &b);
    CHECK_STR(buf_str(&b), "5|5020765|AA12345605||20200522\n4|987654321|AA12345601|1.2.3|20200523\n");
}

int main(int argc, char **argv)
{
    static const struct test_case tests[] = {
        TEST(test_cohort_omop__older_layout),
        TEST(test_cohort_omop__newer_layout),
        TEST(test_cohort_omop__batched_layout),
        TEST(test_cohort_omop__batched_ids_may_be_floating_point),
        TEST(test_cohort_omop__ids_that_are_no_whole_numbers_are_refused),
        TEST(test_cohort_omop__large_whole_ids_stay_exact),
        TEST(test_cohort_omop__rows_without_a_key_are_refused),
        TEST(test_cohort_omop__texts_are_trimmed_and_checked),
        TEST(test_cohort_omop__repeated_rows_are_one),
        TEST(test_cohort_omop__one_accession_for_two_procedures_stays_two_rows),
        TEST(test_cohort_omop__dates_of_each_kind),
        TEST(test_cohort_omop__column_without_values_may_have_any_type),
        TEST(test_cohort_omop__nothing_joined_is_an_empty_cohort),
        TEST(test_cohort_omop__wrong_types_are_named_with_their_file),
        TEST(test_cohort_omop__missing_folders_and_files_are_named),
        TEST(test_cohort_omop__batched_folders_hold_parquet_only),
        TEST(test_cohort_omop__batches_may_differ_in_types_that_mean_the_same),
        TEST(test_cohort_omop__damaged_tables_are_named),
        TEST(test_cohort_omop__changed_bytes_never_crash),
        TEST(test_cohort_omop__summaries_that_are_wrong_say_what_is),
        TEST(test_cohort_omop__time_of_the_extract_keeps_its_offset),
        TEST(test_cohort_omop__fingerprint_follows_the_content),
        TEST(test_cohort_omop__path_with_wildcards_and_quotes),
    };
    return test_main(argc, argv, tests, ARRAY_LEN(tests));
}
