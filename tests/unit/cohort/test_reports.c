#include "test.h"

#include <string.h>
#include <sys/stat.h>

#include "base/duck.h"
#include "base/fs.h"
#include "cohort/reports.h"

#define HEAD "procedure_occurrence_id,image_report\n"

static void list_row(struct buf *b, const struct reports *f, const struct reports_row *row)
{
    char time[ISO_TIME_SIZE] = "";
    if (row->refused) {
        (void)buf_addf(b, "%llu: refused: %s\n", (unsigned long long)row->line, row->why);
        return;
    }
    if (reports_has_time(f))
        iso_time_format(&row->extract_time, time);
    (void)buf_addf(b, "%llu: %lld [%.*s] [%.*s] [%.*s] [%s]\n", (unsigned long long)row->line,
                   (long long)row->procedure_occurrence_id, STR_ARG(row->text), STR_ARG(row->image_identifier),
                   STR_ARG(row->project), time);
}

/* All that a file yields, as text. */
static const char *list(const char *name)
{
    static struct buf b;
    struct pixl_error err = { 0 };
    reports_auto *f = NULL;
    buf_done(&b);
    buf_init(&b, 1 << 22);
    bool ok = reports_open(test_path(name), test_path("temp"), &f, &err);
    for (bool got = true; ok && got;) {
        struct reports_row row;
        ok = reports_next(f, &got, &row, &err);
        if (ok && got)
            list_row(&b, f, &row);
    }
    if (!ok)
        (void)buf_addf(&b, "error: %s: %s\n", pixl_code_name(err.code), err.msg);
    return buf_cstr(&b);
}

static const struct {
    const char *name, *text, *want;
} csv_rows[] = {
    { "plain", HEAD "1,normal\n2, spaced \n", "2: 1 [normal] [] [] []\n3: 2 [ spaced ] [] [] []\n" },
    { "quotes, commas and line ends in a report", HEAD "1,\"a, \"\"b\"\"\nline two\r\nthree\"\n2,next\n",
      "2: 1 [a, \"b\"\nline two\r\nthree] [] [] []\n5: 2 [next] [] [] []\n" },
    { "columns in any order",
      "extract_datetime,image_report,project_name,procedure_occurrence_id,image_identifier\n"
      "2023-12-07 14:08:58,x,lung-study, 3 ,\xC2\xA0ID \n",
      "2: 3 [x] [ID] [lung-study] [2023-12-07T14:08:58]\n" },
    { "blank reports are none", HEAD "1,\n2,\"  \n\"\n", "2: 1 [] [] [] []\n3: 2 [] [] [] []\n" },
    { "no number", HEAD "CANARY,x\n,x\n1.5,x\n9223372036854775808,x\n-9223372036854775808,x\n",
      "2: refused: procedure_occurrence_id: not a whole number\n"
      "3: refused: procedure_occurrence_id: not a whole number\n"
      "4: refused: procedure_occurrence_id: not a whole number\n"
      "5: refused: procedure_occurrence_id: not a whole number\n6: -9223372036854775808 [x] [] [] []\n" },
    { "cells", HEAD "1\n1,x,CANARY\n1,x\n",
      "2: refused: 1 cell where the header has 2\n3: refused: 3 cells where the header has 2\n4: 1 [x] [] [] "
      "[]\n" },
    { "Latin-1", HEAD "1,caf\xE9\n2,x\n", "2: refused: cell 2 is not UTF-8\n3: 2 [x] [] [] []\n" },
    { "project and time",
      "procedure_occurrence_id,image_report,project_name,extract_datetime\n"
      "1,x,Lung "
      "Study,2023-12-07\n1,x,lung,yesterday\n1,x,lung,\n1,x,,2023-12-07\n1,x,lung,2023-12-07T01:00:00-01:00\n",
      "2: refused: project_name: not a slug (a-z and 0-9, joined by single '-', like lung-study)\n"
      "3: refused: extract_datetime: not a time like 2023-12-07T14:08:58\n"
      "4: refused: extract_datetime: not a time like 2023-12-07T14:08:58\n"
      "5: refused: project_name: empty; the slug of a project is wanted (a-z and 0-9, joined by single '-', like "
      "lung-study)\n"
      "6: 1 [x] [] [lung] [2023-12-07T01:00:00-01:00]\n" },
    { "identifier", "procedure_occurrence_id,image_report,image_identifier\n1,x,\"a\tb\"\n",
      "2: refused: image_identifier: longer than 255 bytes, or with control characters\n" },
    { "a quote that is never closed", HEAD "1,x\n2,\"CANARY\n",
      "2: 1 [x] [] [] []\nerror: corrupt: r.csv: line 3: the quote that opens here is never closed\n" },
    { "a NUL", HEAD "1,\"x\"\n2,a", NULL },
    { "empty", "", "error: invalid: r.csv: the file is empty; a header is expected\n" },
    { "semicolons", "procedure_occurrence_id;image_report\n1;x\n",
      "error: invalid: r.csv: line 1: the columns are separated by ';'; commas are expected\n" },
    { "no text column", "procedure_occurrence_id\n1\n",
      "error: invalid: r.csv: reports need the columns 'procedure_occurrence_id' and 'image_report'; "
      "'image_report' is missing\n" },
    { "a mistyped column", "procedure_occurrence_id,image_reports\n1,x\n",
      "error: invalid: r.csv: column 2 has an unknown name; did you mean image_report?\n" },
    { "no header", "4711,CANARY has a fracture\n",
      "error: invalid: r.csv: column 1 has an unknown name; reports have procedure_occurrence_id and image_report, and "
      "perhaps "
      "image_identifier, project_name, extract_datetime\n" },
    { "a column twice", "image_report,image_report\n",
      "error: invalid: r.csv: column 'image_report' is there twice\n" },
    { "header only", HEAD, "" },
};

static void test_csv__rows_and_what_is_refused_of_them(void)
{
    for (size_t i = 0; i < ARRAY_LEN(csv_rows); i++) {
        struct pixl_error err = { 0 };
        test_row("%s", csv_rows[i].name);
        struct str text = str_of(csv_rows[i].text);
        if (csv_rows[i].want == NULL)
            text.n++; /* its NUL too */
        REQUIRE_OK(fs_write_whole(test_path("r.csv"), text, 0600, &err), err);
        const char *got = list("r.csv");
        if (csv_rows[i].want != NULL)
            CHECK_STR(str_of(got), csv_rows[i].want);
        else
            CHECK(strstr(got, "error: corrupt: r.csv: line 3: a NUL byte") != NULL);
        CHECK(strstr(got, "CANARY") == NULL);
    }
}

static void test_csv__a_report_may_be_large_but_not_endless(void)
{
    struct pixl_error err = { 0 };
    buf_auto b;
    buf_init(&b, 1 << 22);
    (void)buf_add_cstr(&b, HEAD "1,");
    for (int i = 0; i < 500000; i++)
        (void)buf_add_cstr(&b, "ab");
    (void)buf_add_cstr(&b, "\n");
    REQUIRE_OK(fs_write_whole(test_path("r.csv"), buf_str(&b), 0600, &err), err);
    CHECK_INT(strlen(list("r.csv")), 1000000 + strlen("2: 1 [] [] [] []\n"));
    buf_clear(&b);
    (void)buf_add_cstr(&b, HEAD "1,");
    for (int i = 0; i < 600000; i++)
        (void)buf_add_cstr(&b, "ab");
    REQUIRE_OK(fs_write_whole(test_path("r.csv"), buf_str(&b), 0600, &err), err);
    CHECK_STR(str_of(list("r.csv")), "error: limit: r.csv: line 2: a record of more than 1048576 bytes\n");
}

/* A parquet file made of a SELECT. */
static void make_parquet(const char *name, const char *select)
{
    struct pixl_error err = { 0 };
    duck_auto *d = NULL;
    char sql[4096];
    (void)snprintf(sql, sizeof sql, "COPY (%s) TO '%s' (FORMAT parquet)", select, test_path(name));
    REQUIRE_OK(duck_open(test_path("temp"), 64, &d, &err), err);
    REQUIRE_OK(duck_run(d, "SET TimeZone = 'UTC'", NULL, 0, &err), err);
    REQUIRE_OK(duck_run(d, sql, NULL, 0, &err), err);
}

#define ID   "1 AS procedure_occurrence_id"
#define TEXT "'x' AS image_report"

static const struct {
    const char *name, *select, *want;
} parquet_rows[] = {
    { "plain",
      "SELECT * FROM (VALUES (1, 'a,\"b\"' || chr(10) || 'c', 'ID'), (2, NULL, NULL)) "
      "v(procedure_occurrence_id, image_report, image_identifier)",
      "1: 1 [a,\"b\"\nc] [ID] [] []\n2: 2 [] [] [] []\n" },
    { "small", "SELECT 7::TINYINT AS procedure_occurrence_id, " TEXT, "1: 7 [x] [] [] []\n" },
    { "unsigned", "SELECT unnest([5::UBIGINT, 18446744073709551615]) AS procedure_occurrence_id, " TEXT,
      "1: 5 [x] [] [] []\n2: refused: procedure_occurrence_id: not a whole number\n" },
    { "real", "SELECT unnest([3.0::DOUBLE, 3.5, 'nan', 1e300, NULL]) AS procedure_occurrence_id, " TEXT,
      "1: 3 [x] [] [] []\n2: refused: procedure_occurrence_id: not a whole number\n"
      "3: refused: procedure_occurrence_id: not a whole number\n4: refused: procedure_occurrence_id: not a whole "
      "number\n"
      "5: refused: procedure_occurrence_id: not a whole number\n" },
    { "times",
      "SELECT " ID ", " TEXT ", 'p' AS project_name, unnest([TIMESTAMP '2023-12-07 14:08:58.5', "
      "'0044-01-01 (BC) 00:00:00', NULL]) AS extract_datetime",
      "1: 1 [x] [] [p] [2023-12-07T14:08:58.500000]\n2: refused: extract_datetime: not a time like "
      "2023-12-07T14:08:58\n"
      "3: refused: extract_datetime: not a time like 2023-12-07T14:08:58\n" },
    { "time with zone", "SELECT " ID ", " TEXT ", TIMESTAMPTZ '2023-12-07 14:08:58+01' AS extract_datetime",
      "1: 1 [x] [] [] [2023-12-07T13:08:58+00:00]\n" },
    { "a NUL", "SELECT " ID ", 'a' || chr(0) || 'CANARY' AS image_report",
      "1: refused: image_report: holds a NUL character\n" },
    { "too long", "SELECT " ID ", repeat('CANARY', 200000) AS image_report",
      "1: refused: image_report: longer than 1048576 bytes\n" },
    { "a number as text", "SELECT '1' AS procedure_occurrence_id, " TEXT,
      "error: invalid: r.parquet: column 'procedure_occurrence_id' has the wrong type: whole numbers are "
      "expected\n" },
    { "bytes as text", "SELECT " ID ", 'x'::BLOB AS image_report",
      "error: invalid: r.parquet: column 'image_report' has the wrong type: text is expected\n" },
    { "no value at all", "SELECT " ID ", " TEXT ", NULL::INTEGER AS image_identifier", "1: 1 [x] [] [] []\n" },
    { "an index of pandas", "SELECT 5 AS __index_level_0__, " ID ", " TEXT, "1: 1 [x] [] [] []\n" },
    { "an unknown column", "SELECT " ID ", " TEXT ", 1 AS extract_date",
      "error: invalid: r.parquet: column 3 has an unknown name; did you mean extract_datetime?\n" },
    { "no text", "SELECT " ID,
      "error: invalid: r.parquet: reports need the columns 'procedure_occurrence_id' and 'image_report'; "
      "'image_report' is missing\n" },
    { "no row", "SELECT " ID ", " TEXT " WHERE false", "" },
};

static void test_parquet__types_and_what_is_refused(void)
{
    for (size_t i = 0; i < ARRAY_LEN(parquet_rows); i++) {
        test_row("%s", parquet_rows[i].name);
        make_parquet("r.parquet", parquet_rows[i].select);
        const char *got = list("r.parquet");
        CHECK_STR(str_of(got), parquet_rows[i].want);
        CHECK(strstr(got, "CANARY") == NULL);
    }
}

static void test_parquet__broken_files(void)
{
    struct pixl_error err = { 0 };
    struct arena a;
    struct str whole;
    arena_init(&a, 1 << 20);
    make_parquet("r.parquet",
                 "SELECT range AS procedure_occurrence_id, 'report ' || range AS image_report FROM range(1000)");
    REQUIRE_OK(fs_read_whole(&a, test_path("r.parquet"), 1 << 20, &whole, &err), err);
    REQUIRE_OK(fs_write_whole(test_path("r.parquet"), (struct str){ whole.p, whole.n / 2 }, 0600, &err), err);
    CHECK_STR(str_of(list("r.parquet")), "error: corrupt: r.parquet: the parquet file is cut short\n");
    REQUIRE_OK(fs_write_whole(test_path("r.parquet"), STR("procedure_occurrence_id,image_report\n"), 0600, &err), err);
    CHECK_STR(str_of(list("r.parquet")), "error: corrupt: r.parquet: this is no parquet file\n");
    REQUIRE_OK(fs_write_whole(test_path("r.parquet"), STR(""), 0600, &err), err);
    CHECK_STR(str_of(list("r.parquet")), "error: corrupt: r.parquet: the file is empty\n");
    char *copy = arena_alloc(&a, whole.n);
    for (size_t at = 4; at < whole.n; at += whole.n / 40) { /* some byte of it is wrong: rows or an error, never more */
        memcpy(copy, whole.p, whole.n);
        copy[at] = (char)(copy[at] ^ 0x55);
        REQUIRE_OK(fs_write_whole(test_path("r.parquet"), (struct str){ copy, whole.n }, 0600, &err), err);
        const char *got = list("r.parquet");
        CHECK(strstr(got, "error: ") == NULL || strstr(got, ": r.parquet: ") != NULL);
    }
    arena_done(&a);
    REQUIRE(mkdir(test_path("d.csv"), 0700) == 0 && mkfifo(test_path("f.parquet"), 0600) == 0);
    CHECK_STR(str_of(list("d.csv")), "error: invalid: d.csv: not a regular file\n");
    CHECK_STR(str_of(list("f.parquet")), "error: invalid: f.parquet: not a regular file\n");
    CHECK_STR(str_of(list("x.txt")),
              "error: invalid: reports x.txt: neither a file named .csv nor one named .parquet\n");
    CHECK(strstr(list("gone.csv"), "error: not_found: gone.csv: ") != NULL);
    CHECK(strstr(list("gone.parquet"), "error: not_found: gone.parquet: ") != NULL);
}

int main(int argc, char **argv)
{
    static const struct test_case tests[] = {
        TEST(test_csv__rows_and_what_is_refused_of_them),
        TEST(test_csv__a_report_may_be_large_but_not_endless),
        TEST(test_parquet__types_and_what_is_refused),
        TEST(test_parquet__broken_files),
    };
    return test_main(argc, argv, tests, ARRAY_LEN(tests));
}
