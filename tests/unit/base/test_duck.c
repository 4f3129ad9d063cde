#include "test.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/duck.h"
#include "base/fs.h"

static struct duck *open_duck(void)
{
    struct pixl_error err = { 0 };
    struct duck *d = NULL;
    REQUIRE_OK(duck_open(test_path("spill"), 128, &d, &err), err);
    return d;
}

static void test_duck__folder_for_spilling_is_made_private(void)
{
    duck_auto *d = open_duck();
    CHECK(d != NULL);
    struct stat st;
    REQUIRE(stat(test_path("spill"), &st) == 0);
    CHECK_INT(st.st_mode & 07777, 0700);
}

/* A DECIMAL wider than a double's digits may be off in the last one. */
static bool is_near(double a, double b)
{
    double apart = a > b ? a - b : b - a;
    return apart <= (b < 0 ? -b : b) * 1e-15;
}

static void test_duck__values_of_each_type_come_back(void)
{
    static const struct { const char *name, *expression; struct duck_value want;
    } rows[] = {
        { "true", "true", { .type = DUCK_I64, .i64 = 1 } },
        { "tinyint", "(-7)::TINYINT", { .type = DUCK_I64, .i64 = -7 } },
        { "smallint", "(-300)::SMALLINT", { .type = DUCK_I64, .i64 = -300 } },
        { "integer", "70000::INTEGER", { .type = DUCK_I64, .i64 = 70000 } },
        { "bigint", "(-9223372036854775808)::BIGINT", { .type = DUCK_I64, .i64 = INT64_MIN } },
        { "utinyint", "255::UTINYINT", { .type = DUCK_I64, .i64 = 255 } },
        { "usmallint", "65535::USMALLINT", { .type = DUCK_I64, .i64 = 65535 } },
        { "uinteger", "4294967295::UINTEGER", { .type = DUCK_I64, .i64 = 4294967295 } },
        { "ubigint", "9223372036854775807::UBIGINT", { .type = DUCK_I64, .i64 = INT64_MAX } },
        { "hugeint", "(-9223372036854775808)::HUGEINT", { .type = DUCK_I64, .i64 = INT64_MIN } },
        { "positive hugeint", "9223372036854775807::HUGEINT", { .type = DUCK_I64, .i64 = INT64_MAX } },
        { "uhugeint", "12::UHUGEINT", { .type = DUCK_I64, .i64 = 12 } },
        { "float", "0.5::FLOAT", { .type = DUCK_DOUBLE, .real = 0.5 } },
        { "double", "-1.25::DOUBLE", { .type = DUCK_DOUBLE, .real = -1.25 } },
        { "decimal", "-12.50::DECIMAL(9,2)", { .type = DUCK_DOUBLE, .real = -12.5 } },
        { "wide decimal",
          "12345678901234567890.5::DECIMAL(38,1)",
          { .type = DUCK_DOUBLE, .real = 12345678901234567890.5 } },
        { "short text", "'twelve bytes'", { .type = DUCK_STR, .str = { "twelve bytes", 12 } } },
        { "long text", "'thirteen byte'", { .type = DUCK_STR, .str = { "thirteen byte", 13 } } },
        { "empty text", "''", { .type = DUCK_STR } },
        { "blob", "'\\x41\\x00'::BLOB", { .type = DUCK_STR, .str = { "A\0", 2 } } },
        { "null", "NULL", { .type = DUCK_NULL } },
        { "typed null", "NULL::VARCHAR", { .type = DUCK_NULL } },
        { "date as text", "DATE '2020-05-23'::VARCHAR", { .type = DUCK_STR, .str = { "2020-05-23", 10 } } },
    };
    duck_auto *d = open_duck();
    struct pixl_error err = { 0 };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        test_row("%s", rows[i].name);
        char sql[256];
        (void)snprintf(sql, sizeof sql, "SELECT %s AS x", rows[i].expression);
        duck_rows_auto *r = NULL;
        REQUIRE_OK(duck_query(d, sql, NULL, 0, &r, &err), err);
        CHECK_INT(duck_rows_columns(r), 1);
        CHECK(strcmp(duck_rows_name(r, 0), "x") == 0);
        struct duck_value v;
        bool got = false;
        REQUIRE_OK(duck_rows_next(r, &v, &got, &err), err);
        REQUIRE(got && v.type == rows[i].want.type);
        if (v.type == DUCK_I64)
            CHECK_INT(v.i64, rows[i].want.i64);
        if (v.type == DUCK_DOUBLE)
            CHECK(is_near(v.real, rows[i].want.real));
        if (v.type == DUCK_STR)
            CHECK(str_eq(v.str, rows[i].want.str));
        REQUIRE_OK(duck_rows_next(r, &v, &got, &err), err);
        CHECK(!got);
        REQUIRE_OK(duck_rows_next(r, &v, &got, &err), err);      /* the end stays the end */
        CHECK(!got);
    }
}

static void test_duck__values_that_do_not_fit_are_refused(void)
{
    static const struct { const char *name, *expression; enum pixl_code want; } rows[] = {
        { "ubigint", "18446744073709551615::UBIGINT", PIXL_E_INVALID },
        { "hugeint", "9223372036854775808::HUGEINT", PIXL_E_INVALID },
        { "negative hugeint", "(-9223372036854775809)::HUGEINT", PIXL_E_INVALID },
        { "uhugeint", "18446744073709551616::UHUGEINT", PIXL_E_INVALID },
        { "date", "DATE '2020-05-23'", PIXL_E_UNSUPPORTED },
        { "list", "[1, 2]", PIXL_E_UNSUPPORTED },
    };
    duck_auto *d = open_duck();
    struct pixl_error err = { 0 };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        test_row("%s", rows[i].name);
        char sql[256];
        (void)snprintf(sql, sizeof sql, "SELECT 1, %s", rows[i].expression);
        duck_rows_auto *r = NULL;
        REQUIRE_OK(duck_query(d, sql, NULL, 0, &r, &err), err);
        struct duck_value v[2] = { { .i64 = 99 }, { .i64 = 99 } };
        bool got = true;
        CHECK_FAILS(duck_rows_next(r, v, &got, &err), err, rows[i].want);
        CHECK(got && v[0].i64 == 99 && v[1].i64 == 99);
    }
}

static void test_duck__parameters_are_values_not_text(void)
{
    duck_auto *d = open_duck();
    struct pixl_error err = { 0 };
    struct duck_value p[] = {
        { .type = DUCK_STR, .str = STR("x'); DROP TABLE t; --") },
        { .type = DUCK_I64, .i64 = -5 },
        { .type = DUCK_DOUBLE, .real = 2.5 },
        { .type = DUCK_NULL },
    };
    duck_rows_auto *r = NULL;
    REQUIRE_OK(duck_query(d, "SELECT $1::VARCHAR, $2::BIGINT, $3::DOUBLE, $4::VARCHAR", p, ARRAY_LEN(p), &r, &err),
               err);
    struct duck_value v[4];
    bool got = false;
    REQUIRE_OK(duck_rows_next(r, v, &got, &err), err);
    REQUIRE(got);
    CHECK_STR(v[0].str, "x'); DROP TABLE t; --");
    CHECK_INT(v[1].i64, -5);
    CHECK(v[2].real == 2.5);
    CHECK(v[3].type == DUCK_NULL);
}

static void test_duck__many_rows_stream_in_order_with_nulls(void)
{
    duck_auto *d = open_duck();
    struct pixl_error err = { 0 };
    duck_rows_auto *r = NULL;
    REQUIRE_OK(duck_query(d,
                          "SELECT i, CASE WHEN i % 3 = 0 THEN NULL ELSE 'row number ' || i END FROM range(100000) t(i)",
                          NULL, 0, &r, &err),
               err);
    struct duck_value v[2];
    bool got = true;
    int64_t n = 0;
    for (;; n++) {
        REQUIRE_OK(duck_rows_next(r, v, &got, &err), err);
        if (!got)
            break;
        REQUIRE(v[0].i64 == n && (v[1].type == DUCK_NULL) == (n % 3 == 0));
        char want[32];
        (void)snprintf(want, sizeof want, "row number %lld", (long long)n);
        REQUIRE(v[1].type == DUCK_NULL || str_eq(v[1].str, str_of(want)));
    }
    CHECK_INT(n, 100000);
}

static void test_duck__rows_may_be_left_before_their_end(void)
{
    duck_auto *d = open_duck();
    struct pixl_error err = { 0 };
    for (int i = 0; i < 3; i++) {
        duck_rows_auto *r = NULL;
        REQUIRE_OK(duck_query(d, "SELECT i FROM range(1000000) t(i)", NULL, 0, &r, &err), err);
        struct duck_value v;
        bool got = false;
        CHECK_OK(duck_rows_next(r, &v, &got, &err), err);
    }
    CHECK_OK(duck_run(d, "CREATE TABLE t (a BIGINT)", NULL, 0, &err), err);
}

static void write_parquet(struct duck *d, const char *path, const char *query)
{
    struct pixl_error err = { 0 };
    char sql[2048];
    (void)snprintf(sql, sizeof sql, "COPY (%s) TO '%s' (FORMAT parquet)", query, path);
    REQUIRE_OK(duck_run(d, sql, NULL, 0, &err), err);
}

/* A footer that is whole over pages that are not: the failure comes while rows are already streaming. */
static void test_duck__damage_met_while_streaming_is_an_error_not_an_end(void)
{
    duck_auto *d = open_duck();
    struct pixl_error err = { 0 };
    const char *path = test_path("t.parquet");
    write_parquet(d, path, "SELECT i, md5(i::VARCHAR) AS secret FROM range(500000) t(i)");
    FILE *f = fopen(path, "r+b");
    REQUIRE(f != NULL && fseek(f, 0, SEEK_END) == 0);
    long size = ftell(f);
    REQUIRE(fseek(f, size / 2, SEEK_SET) == 0);
    for (int i = 0; i < 200000; i++)
        (void)fputc(0xA5, f);
    REQUIRE(fclose(f) == 0);

    struct duck_value p = { .type = DUCK_STR, .str = str_of(path) };
    duck_rows_auto *r = NULL;
    bool ok = duck_query(d, "SELECT * FROM read_parquet($1)", &p, 1, &r, &err), got = true;
    struct duck_value v[2];
    while (ok && got)
        ok = duck_rows_next(r, v, &got, &err);
    CHECK(!ok);
    CHECK(err.code == PIXL_E_CORRUPT || err.code == PIXL_E_IO);
    CHECK(strstr(err.msg, "parquet'") == NULL && strstr(err.msg, test_dir()) == NULL);
}

static void test_duck__errors_say_the_kind_and_never_a_value(void)
{
    const char *empty = test_path("empty.parquet"), *text = test_path("text.parquet");
    struct pixl_error err = { 0 };
    REQUIRE_OK(fs_write_whole(empty, STR(""), 0600, &err), err);
    REQUIRE_OK(fs_write_whole(text, STR("CANARY,this is no parquet file at all\n"), 0600, &err), err);
    const struct { const char *name, *sql; struct str param; enum pixl_code want; } rows[] = {
        { "conversion", "SELECT CAST($1 AS INTEGER)", STR("CANARY"), PIXL_E_INVALID },
        { "no such file", "SELECT * FROM read_parquet($1)", str_of(test_path("CANARY.parquet")), PIXL_E_IO },
        { "empty file", "SELECT * FROM read_parquet($1)", str_of(empty), PIXL_E_CORRUPT },
        { "not parquet", "SELECT * FROM read_parquet($1)", str_of(text), PIXL_E_CORRUPT },
        { "wrong SQL", "SELEKT $1", STR("CANARY"), PIXL_E_INTERNAL },
    };
    duck_auto *d = open_duck();
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        test_row("%s", rows[i].name);
        struct duck_value p = { .type = DUCK_STR, .str = rows[i].param };
        duck_rows_auto *r = NULL;
        bool ok = duck_query(d, rows[i].sql, &p, 1, &r, &err), got = true;
        struct duck_value v[8];
        while (ok && got)
            ok = duck_rows_next(r, v, &got, &err);
        CHECK(strstr(err.msg, "CANARY") == NULL);
        CHECK_FAILS(ok, err, rows[i].want);
    }
    CHECK_FAILS(duck_run(d, "SELECT 1 FROM nowhere", NULL, 0, &err), err, PIXL_E_INTERNAL);
    CHECK_FAILS(duck_run(d, "COPY (SELECT 1) TO '/proc/no/such/folder/x.parquet'", NULL, 0, &err), err, PIXL_E_IO);
}

static void test_duck__full_disk_is_told_apart(void)
{
    duck_auto *d = open_duck();
    struct pixl_error err = { 0 };
    CHECK_FAILS(duck_run(d,
                         "COPY (SELECT i, md5(i::VARCHAR) FROM range(1000000) t(i)) TO '/dev/full' (FORMAT parquet, "
                         "USE_TMP_FILE false)",
                         NULL, 0, &err),
                err, PIXL_E_NO_SPACE);
}

static void test_duck__appended_rows_are_in_the_table(void)
{
    duck_auto *d = open_duck();
    struct pixl_error err = { 0 };
    REQUIRE_OK(duck_run(d, "CREATE TABLE t (a BIGINT, b VARCHAR, c DOUBLE)", NULL, 0, &err), err);
    struct duck_appender *a = NULL;
    REQUIRE_OK(duck_append_begin(d, "t", &a, &err), err);
    for (int64_t i = 0; i < 5000; i++) {
        struct duck_value row[] = {
            { .type = DUCK_I64, .i64 = i },
            { .type = i % 2 ? DUCK_STR : DUCK_NULL, .str = STR("it's odd") },
            { .type = DUCK_DOUBLE, .real = 0.5 },
        };
        REQUIRE_OK(duck_append(a, row, 3, &err), err);
    }
    REQUIRE_OK(duck_append_end(a, &err), err);
    duck_rows_auto *r = NULL;
    REQUIRE_OK(duck_query(d, "SELECT count(*), count(b), sum(a), sum(c), max(b) FROM t", NULL, 0, &r, &err), err);
    struct duck_value v[5];
    bool got = false;
    REQUIRE_OK(duck_rows_next(r, v, &got, &err), err);
    CHECK(got && v[0].i64 == 5000 && v[1].i64 == 2500 && v[2].i64 == 12497500 && v[3].real == 2500.0);
    CHECK_STR(v[4].str, "it's odd");
}

static void test_duck__appending_what_does_not_fit_fails(void)
{
    duck_auto *d = open_duck();
    struct pixl_error err = { 0 };
    struct duck_appender *a = NULL;
    CHECK_FAILS(duck_append_begin(d, "nowhere", &a, &err), err, PIXL_E_INTERNAL);
    CHECK(a == NULL);
    REQUIRE_OK(duck_run(d, "CREATE TABLE t (a BIGINT NOT NULL, b VARCHAR)", NULL, 0, &err), err);
    REQUIRE_OK(duck_append_begin(d, "t", &a, &err), err);
    struct duck_value row[] = { { .type = DUCK_STR, .str = STR("CANARY") }, { .type = DUCK_NULL } };
    bool ok = duck_append(a, row, 2, &err);
    CHECK(!ok && strstr(err.msg, "CANARY") == NULL);
    pixl_error_clear(&err);
    ok = duck_append_end(a, &err);           /* frees, whatever it says */
    CHECK(ok || err.code != PIXL_OK);
    pixl_error_clear(&err);
    REQUIRE_OK(duck_append_begin(d, "t", &a, &err), err);
    struct duck_value null[] = { { .type = DUCK_NULL }, { .type = DUCK_NULL } };
    ok = duck_append(a, null, 2, &err);
    if (!ok)
        pixl_error_clear(&err);
    CHECK(!duck_append_end(a, &err));        /* NOT NULL is checked when rows are flushed */
}

static void test_duck__quote_doubles_quotes(void)
{
    struct arena a;
    arena_init(&a, 1 << 16);
    CHECK_STR(str_of(duck_quote(&a, STR("it's a 'path'"))), "'it''s a ''path'''");
    CHECK_STR(str_of(duck_quote(&a, STR(""))), "''");
    arena_done(&a);
    arena_init(&a, 64);
    char big[200];
    memset(big, '\'', sizeof big);
    CHECK(duck_quote(&a, (struct str){ big, sizeof big }) == NULL);
    arena_done(&a);
}

static void test_duck__memory_limit_holds_by_spilling(void)
{
    duck_auto *d = open_duck();
    struct pixl_error err = { 0 };
    duck_rows_auto *r = NULL;
    REQUIRE_OK(duck_query(d, "SELECT i, md5(i::VARCHAR) m, repeat('x', 100) FROM range(2000000) t(i) ORDER BY m", NULL,
                          0, &r, &err),
               err);
    struct duck_value v[3];
    bool got = false;
    CHECK_OK(duck_rows_next(r, v, &got, &err), err);
    CHECK(got);
}

/* Sorts more than fits into its memory; true when each row is still what it was. */
static bool sorts_well(void)
{
    struct pixl_error err = { 0 };
    duck_auto *d = NULL;
    duck_rows_auto *r = NULL;
    struct duck_value v[2];
    int64_t n = 0;
    bool got = true;
    if (!duck_open(test_path("temp"), 128, &d, &err) ||
        !duck_query(
            d, "SELECT i, md5(i::VARCHAR) || repeat(md5((i * 7)::VARCHAR), 8) AS s FROM range(600000) t(i) ORDER BY s",
            NULL, 0, &r, &err))
        return false;
    while (duck_rows_next(r, v, &got, &err) && got) {
        n++;
        if (v[1].str.n != 9 * 32)
            return false;
    }
    return n == 600000;
}

/* As pixl does beside a pixl. */
static void test_duck__several_that_spill_into_one_folder_do_not_meet(void)
{
    enum { N = 3 };
    struct pixl_error err = { 0 };
    pid_t child[N];
    REQUIRE_OK(fs_make_dirs(test_path("temp/duckdb-0123456789abcdef"), 0700, &err), err);
    REQUIRE_OK(
        fs_write_whole(test_path("temp/duckdb-0123456789abcdef/left.tmp"), STR("by one that was killed"), 0600, &err),
        err);
    REQUIRE_OK(fs_write_whole(test_path("temp/other"), STR("of somebody else"), 0600, &err), err);
    for (int i = 0; i < N; i++) {
        child[i] = fork();
        REQUIRE(child[i] >= 0);
        if (child[i] == 0)
            _exit(sorts_well() ? 0 : 1);
    }
    for (int i = 0; i < N; i++) {
        int status = -1;
        CHECK(waitpid(child[i], &status, 0) == child[i]);
        CHECK_INT(status, 0);
    }
    CHECK(!fs_exists(test_path("temp/duckdb-0123456789abcdef")));
    CHECK(fs_exists(test_path("temp/other")) && fs_remove(test_path("temp/other"), &err));
    CHECK(rmdir(test_path("temp")) == 0); /* nothing is left there */
}

static void test_duck__extensions_are_never_loaded(void)
{
    duck_auto *d = open_duck();
    struct pixl_error err = { 0 };
    bool ok = duck_run(d, "LOAD httpfs", NULL, 0, &err);
    CHECK(!ok);
    pixl_error_clear(&err);
    ok = duck_run(d, "SELECT * FROM read_parquet('http://127.0.0.1:9/x.parquet')", NULL, 0, &err);
    CHECK(!ok);
}

static void test_duck__library_that_is_not_there_is_unsupported(void)
{
    REQUIRE(setenv("PIXL_DUCKDB_LIB", "/no/such/libduckdb.so", 1) == 0);
    struct pixl_error err = { 0 };
    struct duck *d = NULL;
    CHECK_FAILS(duck_open(test_path("spill"), 64, &d, &err), err, PIXL_E_UNSUPPORTED);
    CHECK(d == NULL);
}

static void test_duck__another_library_under_its_name_is_unsupported(void)
{
    REQUIRE(setenv("PIXL_DUCKDB_LIB", "libm.so.6", 1) == 0);
    struct pixl_error err = { 0 };
    struct duck *d = NULL;
    CHECK_FAILS(duck_open(test_path("spill"), 64, &d, &err), err, PIXL_E_UNSUPPORTED);
}

static void test_duck__temporary_folder_that_cannot_be_made_is_an_error(void)
{
    struct pixl_error err = { 0 };
    REQUIRE_OK(fs_write_whole(test_path("file"), STR("x"), 0600, &err), err);
    struct duck *d = NULL;
    CHECK_FAILS(duck_open(test_path("file/below"), 64, &d, &err), err, PIXL_E_EXISTS);
}

int main(int argc, char **argv)
{
    static const struct test_case tests[] = {
        TEST(test_duck__folder_for_spilling_is_made_private),
        TEST(test_duck__values_of_each_type_come_back),
        TEST(test_duck__values_that_do_not_fit_are_refused),
        TEST(test_duck__parameters_are_values_not_text),
        TEST(test_duck__many_rows_stream_in_order_with_nulls),
        TEST(test_duck__rows_may_be_left_before_their_end),
        TEST(test_duck__damage_met_while_streaming_is_an_error_not_an_end),
        TEST(test_duck__errors_say_the_kind_and_never_a_value),
        TEST(test_duck__full_disk_is_told_apart),
        TEST(test_duck__appended_rows_are_in_the_table),
        TEST(test_duck__appending_what_does_not_fit_fails),
        TEST(test_duck__quote_doubles_quotes),
        TEST(test_duck__memory_limit_holds_by_spilling),
        TEST(test_duck__several_that_spill_into_one_folder_do_not_meet),
        TEST(test_duck__extensions_are_never_loaded),
        TEST(test_duck__library_that_is_not_there_is_unsupported),
        TEST(test_duck__another_library_under_its_name_is_unsupported),
        TEST(test_duck__temporary_folder_that_cannot_be_made_is_an_error),
    };
    return test_main(argc, argv, tests, ARRAY_LEN(tests));
}
