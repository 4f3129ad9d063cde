#include "base/sqlite_db.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fs.h"
#include "test.h"

static void open_db(struct sqlite_db **out)
{
    struct pixl_error err = { 0 };
    REQUIRE_OK(sqlite_db_open(test_path("t.db"), 2000, out, &err), err);
}

static void run(struct sqlite_db *db, const char *sql)
{
    struct pixl_error err = { 0 };
    REQUIRE_OK(sqlite_db_exec(db, sql, &err), err);
}

static int64_t number(struct sqlite_db *db, const char *sql)
{
    struct pixl_error err = { 0 };
    struct sqlite_stmt *s = NULL;
    bool row = false;
    REQUIRE_OK(sqlite_db_prepare(db, sql, &s, &err), err);
    REQUIRE_OK(sqlite_step(s, &row, &err), err);
    REQUIRE(row);
    int64_t v = sqlite_col_i64(s, 0);
    sqlite_reset(s);
    return v;
}

static void test_sqlite_db__a_new_file_is_private_durable_and_checks_keys(void)
{
    sqlite_db_auto *db = NULL;
    open_db(&db);
    struct stat st;
    REQUIRE(stat(test_path("t.db"), &st) == 0);
    CHECK_INT(st.st_mode & 0777, 0600);
    CHECK_INT(number(db, "PRAGMA synchronous"), 2);
    CHECK_INT(number(db, "PRAGMA foreign_keys"), 1);
    run(db, "CREATE TABLE t(a)");
    REQUIRE(stat(test_path("t.db-wal"), &st) == 0);
    CHECK_INT(st.st_mode & 0777, 0600);
}

/* Files that SQLite makes for itself begin so; they have no name any more when it writes into them. */
static int count_temporary_files(void)
{
    int n = 0;
    DIR *d = opendir("/proc/self/fd");
    REQUIRE(d != NULL);
    for (struct dirent *e; (e = readdir(d)) != NULL;) {
        char link[300], target[1024] = "";
        (void)snprintf(link, sizeof link, "/proc/self/fd/%s", e->d_name);
        ssize_t len = readlink(link, target, sizeof target - 1);
        n += len > 0 && strstr(target, "etilqs") != NULL;
    }
    (void)closedir(d);
    return n;
}

static void test_sqlite_db__what_is_sorted_or_set_aside_goes_into_no_file(void)
{
    sqlite_db_auto *db = NULL;
    struct pixl_error err = { 0 };
    struct sqlite_stmt *s = NULL;
    bool row = false;
    open_db(&db);
    run(db, "CREATE TABLE t(a INTEGER PRIMARY KEY, b TEXT UNIQUE)");
    run(db, "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000)"
            " INSERT INTO t SELECT i, i || hex(zeroblob(200)) FROM n");
    test_row("a sort of 8 MB");
    REQUIRE_OK(sqlite_db_prepare(db, "SELECT b FROM t ORDER BY substr(b, 2), b || 'x'", &s, &err), err);
    REQUIRE_OK(sqlite_step(s, &row, &err), err);
    CHECK(row);
    CHECK_INT(count_temporary_files(), 0);
    sqlite_reset(s);
    test_row("what a statement changes, so that it alone can be undone");
    REQUIRE_OK(sqlite_db_begin(db, &err), err);
    run(db, "UPDATE t SET b = b || 'x'");
    REQUIRE_OK(sqlite_db_prepare(db, "INSERT INTO t VALUES(?1, ?2) RETURNING a", &s, &err), err);
    sqlite_bind_i64(s, 1, 30000);
    sqlite_bind_str(s, 2, STR("y"));
    REQUIRE_OK(sqlite_step(s, &row, &err), err);
    CHECK(row);
    CHECK_INT(count_temporary_files(), 0);
    sqlite_reset(s);
    REQUIRE_OK(sqlite_db_commit(db, &err), err);
}

static void test_sqlite_db__values_come_back_as_they_went(void)
{
    sqlite_db_auto *db = NULL;
    struct pixl_error err = { 0 };
    struct sqlite_stmt *s = NULL;
    bool row = false;
    open_db(&db);
    run(db, "CREATE TABLE t(i INTEGER, d REAL, s TEXT, e TEXT, n TEXT)");
    REQUIRE_OK(sqlite_db_prepare(db, "INSERT INTO t VALUES(?,?,?,?,?)", &s, &err), err);
    sqlite_bind_i64(s, 1, INT64_MIN);
    sqlite_bind_double(s, 2, 0.5);
    sqlite_bind_str(s, 3, (struct str){ "a\0b\xC3\xA9", 5 });
    sqlite_bind_str(s, 4, (struct str){ 0 });
    sqlite_bind_null(s, 5);
    REQUIRE_OK(sqlite_run(s, &err), err);
    CHECK_INT(sqlite_db_changes(db), 1);
    CHECK_INT(sqlite_db_last_id(db), 1);
    REQUIRE_OK(sqlite_db_prepare(db, "SELECT * FROM t", &s, &err), err);
    REQUIRE_OK(sqlite_step(s, &row, &err), err);
    REQUIRE(row);
    CHECK(sqlite_col_i64(s, 0) == INT64_MIN && sqlite_col_double(s, 1) > 0.49 && sqlite_col_double(s, 1) < 0.51);
    struct str text = sqlite_col_str(s, 2);
    CHECK(text.n == 5 && memcmp(text.p, "a\0b\xC3\xA9", 5) == 0);
    CHECK(!sqlite_col_is_null(s, 3) && sqlite_col_str(s, 3).n == 0);
    CHECK(sqlite_col_is_null(s, 4) && sqlite_col_str(s, 4).n == 0);
    CHECK_STR(sqlite_col_str(s, 0), "-9223372036854775808");
    REQUIRE_OK(sqlite_step(s, &row, &err), err);
    CHECK(!row);
}

static void test_sqlite_db__a_statement_is_kept_and_comes_back_clean(void)
{
    sqlite_db_auto *db = NULL;
    struct pixl_error err = { 0 };
    static const char sql[] = "SELECT ?1 IS NULL";
    struct sqlite_stmt *s = NULL, *again = NULL;
    bool row = false;
    open_db(&db);
    REQUIRE_OK(sqlite_db_prepare(db, sql, &s, &err), err);
    sqlite_bind_i64(s, 1, 5);
    CHECK_OK(sqlite_step(s, &row, &err), err);
    CHECK_INT(sqlite_col_i64(s, 0), 0);
    REQUIRE_OK(sqlite_db_prepare(db, sql, &again, &err), err);
    CHECK(s == again);
    CHECK_OK(sqlite_step(s, &row, &err), err);
    CHECK_INT(sqlite_col_i64(s, 0), 1);
}

static void test_sqlite_db__many_statements_keep_their_identity(void)
{
    sqlite_db_auto *db = NULL;
    struct pixl_error err = { 0 };
    static char sql[300][32];
    struct sqlite_stmt *first[300];
    open_db(&db);
    for (int i = 0; i < 300; i++) {
        (void)snprintf(sql[i], sizeof sql[i], "SELECT %d", i);
        REQUIRE_OK(sqlite_db_prepare(db, sql[i], &first[i], &err), err);
    }
    for (int i = 0; i < 300; i++) {
        struct sqlite_stmt *s = NULL;
        REQUIRE_OK(sqlite_db_prepare(db, sql[i], &s, &err), err);
        CHECK(s == first[i]);
        CHECK_INT(number(db, sql[i]), i);
    }
}

/* What SQLite answers reaches the caller as our code, and never with a value or a name out of the statement. */
static void test_sqlite_db__failures_have_our_codes_and_no_values(void)
{
    static const struct { const char *name, *sql; enum pixl_code want; } rows[] = {
        { "unique", "INSERT INTO t(u) VALUES('SECRET77')", PIXL_E_EXISTS },
        { "primary key", "INSERT INTO t(id) VALUES(1)", PIXL_E_EXISTS },
        { "not null", "INSERT INTO t(nn) VALUES(NULL)", PIXL_E_INVALID },
        { "check", "INSERT INTO t(c) VALUES('SECRET77')", PIXL_E_INVALID },
        { "foreign key", "INSERT INTO t(f) VALUES(4711)", PIXL_E_INVALID },
        { "trigger", "DELETE FROM t", PIXL_E_INVALID },
        { "datatype", "INSERT INTO t(id) VALUES('SECRET77')", PIXL_E_INVALID },
        { "syntax", "SELECT FROM 'SECRET77", PIXL_E_INTERNAL },
        { "no table", "SELECT * FROM SECRET77", PIXL_E_INTERNAL },
        { "two statements", "SELECT 1; SELECT 'SECRET77'", PIXL_E_INTERNAL },
        { "no statement", "  ", PIXL_E_INTERNAL },
        { "rows unread", "SELECT 1", PIXL_E_INTERNAL },
        { "too big", "INSERT INTO t(u) VALUES(zeroblob(2000000000))", PIXL_E_LIMIT },
    };
    sqlite_db_auto *db = NULL;
    open_db(&db);
    run(db, "CREATE TABLE t(id INTEGER PRIMARY KEY, u UNIQUE, nn NOT NULL DEFAULT 1, c CHECK(c <> 'SECRET77'),"
            " f REFERENCES t(id)); INSERT INTO t(id, u) VALUES(1, 'SECRET77');"
            "CREATE TRIGGER g BEFORE DELETE ON t BEGIN SELECT raise(ABORT, 'SECRET77'); END");
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        test_row("%s", rows[i].name);
        struct pixl_error err = { 0 };
        struct sqlite_stmt *s = NULL;
        bool ok = sqlite_db_prepare(db, rows[i].sql, &s, &err) && sqlite_run(s, &err);
        CHECK(strstr(err.msg, "SECRET77") == NULL);
        CHECK_FAILS(ok, err, rows[i].want);
    }
    struct pixl_error err = { 0 };
    CHECK_FAILS(sqlite_db_exec(db, "INSERT INTO t(u) VALUES('SECRET77')", &err), err, PIXL_E_EXISTS);
}

static void test_sqlite_db__a_bad_bind_is_told_by_the_step(void)
{
    sqlite_db_auto *db = NULL;
    struct pixl_error err = { 0 };
    struct sqlite_stmt *s = NULL;
    bool row = false;
    open_db(&db);
    REQUIRE_OK(sqlite_db_prepare(db, "SELECT ?1", &s, &err), err);
    sqlite_bind_i64(s, 2, 1);
    CHECK_FAILS(sqlite_step(s, &row, &err), err, PIXL_E_INTERNAL);
    CHECK_OK(sqlite_step(s, &row, &err), err);
}

static void test_sqlite_db__rollback_undoes_and_never_fails(void)
{
    sqlite_db_auto *db = NULL;
    struct pixl_error err = { 0 };
    struct sqlite_stmt *s = NULL;
    bool row = false;
    open_db(&db);
    run(db, "CREATE TABLE t(a); INSERT INTO t VALUES(1),(2)");
    REQUIRE_OK(sqlite_db_begin(db, &err), err);
    run(db, "DELETE FROM t");
    CHECK_FAILS(sqlite_db_begin(db, &err), err, PIXL_E_INTERNAL);
    sqlite_db_rollback(db);
    sqlite_db_rollback(db);
    CHECK_INT(number(db, "SELECT count(*) FROM t"), 2);
    REQUIRE_OK(sqlite_db_begin(db, &err), err);
    run(db, "INSERT INTO t VALUES(3)");
    REQUIRE_OK(sqlite_db_prepare(db, "SELECT a FROM t", &s, &err), err);
    CHECK_OK(sqlite_step(s, &row, &err), err);          /* in the middle of its rows */
    sqlite_db_rollback(db);
    CHECK_INT(number(db, "SELECT count(*) FROM t"), 2);
    REQUIRE_OK(sqlite_db_begin(db, &err), err);
    run(db, "INSERT INTO t VALUES(3)");
    REQUIRE_OK(sqlite_db_commit(db, &err), err);
    CHECK_INT(number(db, "SELECT count(*) FROM t"), 3);
}

static void test_sqlite_db__a_second_writer_is_busy_after_its_time(void)
{
    struct pixl_error err = { 0 };
    sqlite_db_auto *a = NULL, *b = NULL;
    open_db(&a);
    REQUIRE_OK(sqlite_db_open(test_path("t.db"), 20, &b, &err), err);
    REQUIRE_OK(sqlite_db_begin(a, &err), err);
    CHECK_FAILS(sqlite_db_begin(b, &err), err, PIXL_E_BUSY);
    sqlite_db_rollback(a);
    CHECK_OK(sqlite_db_begin(b, &err), err);
}

static void test_sqlite_db__what_cannot_be_a_database_is_refused(void)
{
    struct pixl_error err = { 0 };
    struct sqlite_db *db = NULL;
    char junk[4096];
    memset(junk, 'x', sizeof junk);
    REQUIRE_OK(fs_write_whole(test_path("junk"), (struct str){ junk, sizeof junk }, 0600, &err), err);
    REQUIRE_OK(fs_make_dirs(test_path("dir"), 0700, &err), err);
    CHECK_FAILS(sqlite_db_open(test_path("junk"), 10, &db, &err), err, PIXL_E_CORRUPT);
    CHECK_FAILS(sqlite_db_open(test_path("no/t.db"), 10, &db, &err), err, PIXL_E_NOT_FOUND);
    CHECK(!sqlite_db_open(test_path("dir"), 10, &db, &err));
    pixl_error_clear(&err);
    CHECK_FAILS(sqlite_db_open("", 10, &db, &err), err, PIXL_E_INVALID);
    CHECK_FAILS(sqlite_db_open(":memory:", 10, &db, &err), err, PIXL_E_INVALID);
    if (geteuid() != 0) {
        REQUIRE(chmod(test_path("dir"), 0500) == 0);
        CHECK_FAILS(sqlite_db_open(test_path("dir/t.db"), 10, &db, &err), err, PIXL_E_DENIED);
    }
    CHECK(db == NULL);
}

static void test_sqlite_db__a_damaged_page_is_corrupt(void)
{
    struct pixl_error err = { 0 };
    struct sqlite_db *db = NULL;
    open_db(&db);
    run(db, "CREATE TABLE t(a); WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n WHERE i < 5000)"
            " INSERT INTO t SELECT hex(randomblob(50)) FROM n; PRAGMA wal_checkpoint(TRUNCATE)");
    sqlite_db_close(db);
    db = NULL;
    int fd = open(test_path("t.db"), O_WRONLY | O_CLOEXEC);
    char junk[4096];
    memset(junk, 0xEE, sizeof junk);
    for (off_t at = 4096; at < 200 * 1024; at += 4096)
        REQUIRE(pwrite(fd, junk, sizeof junk, at) == (ssize_t)sizeof junk);
    (void)close(fd);
    sqlite_db_auto *again = NULL;
    REQUIRE_OK(sqlite_db_open(test_path("t.db"), 10, &again, &err), err);
    CHECK_FAILS(sqlite_db_exec(again, "SELECT count(a) FROM t", &err), err, PIXL_E_CORRUPT);
}

static void test_sqlite_db__a_full_database_is_no_space(void)
{
    sqlite_db_auto *db = NULL;
    struct pixl_error err = { 0 };
    open_db(&db);
    run(db, "CREATE TABLE t(a); PRAGMA max_page_count=4");
    CHECK_FAILS(sqlite_db_exec(db, "INSERT INTO t VALUES(hex(zeroblob(60000)))", &err), err, PIXL_E_NO_SPACE);
    sqlite_db_rollback(db);
    CHECK_INT(number(db, "SELECT count(*) FROM t"), 0);
}

static void test_sqlite_db__processes_that_make_it_at_once_all_succeed(void)
{
    enum { N = 8 };
    pid_t pid[N];
    for (int i = 0; i < N; i++) {
        pid[i] = fork();
        REQUIRE(pid[i] >= 0);
        if (pid[i] == 0) {
            struct pixl_error err = { 0 };
            struct sqlite_db *db = NULL;
            bool ok = sqlite_db_open(test_path("t.db"), 20000, &db, &err) &&
                      sqlite_db_exec(db, "CREATE TABLE IF NOT EXISTS t(a); INSERT INTO t VALUES(1)", &err);
            if (!ok)
                printf("    child: %s\n", err.msg);
            sqlite_db_close(db);
            (void)fflush(stdout);
            _exit(ok ? 0 : 1);
        }
    }
    for (int i = 0; i < N; i++) {
        int status = 1;
        CHECK(waitpid(pid[i], &status, 0) == pid[i] && status == 0);
    }
    sqlite_db_auto *db = NULL;
    open_db(&db);
    CHECK_INT(number(db, "SELECT count(*) FROM t"), N);
}

static void test_sqlite_db__looking_makes_and_changes_nothing(void)
{
    struct pixl_error err = { 0 };
    sqlite_db_auto *db = NULL, *look = NULL;
    CHECK_FAILS(sqlite_db_open_to_look(test_path("t.db"), 100, &look, &err), err, PIXL_E_NOT_FOUND);
    CHECK_FAILS(sqlite_db_open_to_look("", 100, &look, &err), err, PIXL_E_INVALID);
    CHECK(!fs_exists(test_path("t.db")));
    open_db(&db);
    run(db, "CREATE TABLE t (n INTEGER); INSERT INTO t VALUES (7)");
    sqlite_db_close(PIXL_STEAL(&db));
    REQUIRE_OK(sqlite_db_open_to_look(test_path("t.db"), 100, &look, &err), err);
    CHECK_INT(number(look, "SELECT n FROM t"), 7);
    CHECK(!sqlite_db_exec(look, "INSERT INTO t VALUES (8)", &err));
    CHECK_INT(err.code, PIXL_E_DENIED);
    sqlite_db_close(PIXL_STEAL(&look));
    CHECK(!fs_exists(test_path("t.db-wal")) && !fs_exists(test_path("t.db-shm")));
}

int main(int argc, char **argv)
{
    static const struct test_case tests[] = {
        TEST(test_sqlite_db__a_new_file_is_private_durable_and_checks_keys),
        TEST(test_sqlite_db__what_is_sorted_or_set_aside_goes_into_no_file),
        TEST(test_sqlite_db__values_come_back_as_they_went),
        TEST(test_sqlite_db__a_statement_is_kept_and_comes_back_clean),
        TEST(test_sqlite_db__many_statements_keep_their_identity),
        TEST(test_sqlite_db__failures_have_our_codes_and_no_values),
        TEST(test_sqlite_db__a_bad_bind_is_told_by_the_step),
        TEST(test_sqlite_db__rollback_undoes_and_never_fails),
        TEST(test_sqlite_db__a_second_writer_is_busy_after_its_time),
        TEST(test_sqlite_db__what_cannot_be_a_database_is_refused),
        TEST(test_sqlite_db__a_damaged_page_is_corrupt),
        TEST(test_sqlite_db__a_full_database_is_no_space),
        TEST(test_sqlite_db__looking_makes_and_changes_nothing),
        TEST(test_sqlite_db__processes_that_make_it_at_once_all_succeed),
    };
    return test_main(argc, argv, tests, ARRAY_LEN(tests));
}
