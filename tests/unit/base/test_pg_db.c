#include "base/pg_db.h"
#include "base/sql_array.h"

#include <arpa/inet.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "test.h"

#define SECRET "V4lue-that-nobody-may-tell"

/* "postgresql:///DATABASE?host=SOCKET&REST" of the server that with-postgres started. */
static const char *url_of(const char *database, const char *rest)
{
    static char url[4][700];
    static int next;
    const char *dir = getenv("TEST_POSTGRES");
    REQUIRE(dir != NULL);
    char *u = url[next++ % 4];
    (void)snprintf(u, sizeof url[0], "postgresql:///%s?host=%s/sock&%s", database, dir, rest);
    return u;
}

static bool try_open(const char *url, struct pg_db **db, struct pixl_error *err)
{
    struct pg_options o = { .url = url, .connect_ms = 5000, .statement_ms = 20000, .lock_ms = 300 };
    return pg_db_open(&o, db, err);
}

static struct pg_db *open_db(void)
{
    struct pixl_error err = { 0 };
    struct pg_db *db = NULL;
    REQUIRE_OK(try_open(url_of("postgres", "user=pixl"), &db, &err), err);
    return db;
}

/* A database with an empty table t (id, name, size). */
static struct pg_db *open_table(void)
{
    struct pixl_error err = { 0 };
    struct pg_db *db = open_db();
    REQUIRE_OK(sql_exec(pg_db_sql(db),
                        SQL("DROP TABLE IF EXISTS t; CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT NOT NULL,"
                            " size DOUBLE PRECISION, CONSTRAINT not_too_large CHECK (size < 1000))"),
                        &err),
               err);
    return db;
}

static bool insert(struct sql *db, int64_t id, const char *name, bool later, struct pixl_error *err)
{
    sql_stmt_auto *q = NULL;
    if (!sql_prepare(db, SQL("INSERT INTO t (id, name) VALUES (?1, ?2)"), &q, err))
        return false;
    sql_bind_i64(q, 1, id);
    sql_bind_str(q, 2, str_of(name));
    return later ? sql_run_later(q, err) : sql_run(q, err);
}

static int64_t number(struct sql *db, struct sql_text text)
{
    struct pixl_error err = { 0 };
    sql_stmt_auto *q = NULL;
    bool row = false;
    REQUIRE_OK(sql_prepare(db, text, &q, &err), err);
    REQUIRE_OK(sql_step(q, &row, &err), err);
    REQUIRE(row);
    return sql_col_i64(q, 0);
}
#define COUNT SQL("SELECT count(*) FROM t")

static void test_pg__values_come_back_as_they_went(void)
{
    struct pixl_error err = { 0 };
    pg_db_auto *pg = open_db();
    struct sql *db = pg_db_sql(pg);
    static const char odd[] = "it's \"?1\" $1 \\ \xc3\xa9 \n";
    for (int round = 0; round < 3; round++) { /* NULL first, then values, then NULL again */
        sql_stmt_auto *q = NULL;
        bool row = false;
        REQUIRE_OK(sql_prepare(db,
                               SQL("SELECT ?1::bigint, ?2::float8, ?3::text, '?4', ?1 IS NULL, \"?5\".x FROM (SELECT 7 "
                                   "AS x) AS \"?5\""),
                               &q, &err),
                   err);
        if (round == 1) {
            sql_bind_i64(q, 1, INT64_MIN);
            sql_bind_double(q, 2, 0.1);
            sql_bind_str(q, 3, str_of(odd));
        }
        REQUIRE_OK(sql_step(q, &row, &err), err);
        REQUIRE(row);
        CHECK_INT(sql_col_is_null(q, 0), round != 1);
        CHECK_INT(sql_col_i64(q, 0), round == 1 ? INT64_MIN : 0);
        CHECK(sql_col_double(q, 1) == (round == 1 ? 0.1 : 0));
        CHECK_STR(sql_col_str(q, 2), round == 1 ? odd : "");
        CHECK_STR(sql_col_str(q, 3), "?4");
        CHECK_INT(sql_col_i64(q, 4), round != 1); /* a truth value */
        CHECK_INT(sql_col_i64(q, 5), 7);
        REQUIRE_OK(sql_step(q, &row, &err), err);
        CHECK(!row);
    }
}

static void check_arrays(struct sql *db, const struct sql_array *numbers, const struct sql_array *texts,
                         const int64_t *want_numbers, const char *const *want_texts, int n)
{
    struct pixl_error err = { 0 };
    sql_stmt_auto *q = NULL;
    bool row = false;
    REQUIRE_OK(sql_prepare(db, SQL_EACH(NULL, "SELECT * FROM unnest(?1, ?2)"), &q, &err), err);
    sql_bind_array(q, 1, numbers);
    sql_bind_array(q, 2, texts);
    for (int i = 0; i < n; i++) {
        REQUIRE_OK(sql_step(q, &row, &err), err);
        REQUIRE(row);
        CHECK_INT(sql_col_i64(q, 0), want_numbers[i]);
        CHECK_STR(sql_col_str(q, 1), want_texts[i]);
        CHECK(!sql_col_is_null(q, 1));
    }
    REQUIRE_OK(sql_step(q, &row, &err), err);
    CHECK(!row);
}

static void test_pg__arrays_come_back_as_they_went(void)
{
    static const int64_t numbers[] = { INT64_MIN, -1, 0, INT64_MAX };
    static const char *const texts[] = { "", "NULL", "{\"a\",\\b}", "it's \xc3\xa9 \n" };
    pg_db_auto *pg = open_db();
    sql_array_auto a, b;
    sql_array_init(&a, SQL_ELEMENT_I64);
    sql_array_init(&b, SQL_ELEMENT_STR);
    for (int n = 4; n >= 0; n -= 2) { /* none, at last */
        test_row("%d values", n);
        sql_array_clear(&a);
        sql_array_clear(&b);
        for (int i = 0; i < n; i++)
            REQUIRE(sql_array_add_i64(&a, numbers[i]) && sql_array_add_str(&b, str_of(texts[i])));
        check_arrays(pg_db_sql(pg), &a, &b, numbers, texts, n);
    }
}

/* Each failure of the server's has our code, names its SQLSTATE and rule, and no value. */
static void test_pg__failures_tell_codes_and_rules_and_no_values(void)
{
    static const struct {
        const char *sql;
        enum pixl_code want;
        const char *says;
    } rows[] = {
        { "INSERT INTO t (id, name) VALUES (1, '" SECRET "')", PIXL_E_EXISTS, "23505, t_pkey" },
        { "INSERT INTO t (id, name, size) VALUES (2, '" SECRET "', 5000)", PIXL_E_INTERNAL, "23514, not_too_large" },
        { "INSERT INTO t (id, name) VALUES (3, NULL)", PIXL_E_INTERNAL, "23502" },
        { "SELECT '" SECRET "'::integer", PIXL_E_INVALID, "22P02" },
        { "SELECT 1 FROM no_such_table_" SECRET, PIXL_E_INTERNAL, "42" },
        { "SET ROLE nobody_at_all; SELECT * FROM t", PIXL_E_DENIED, "42501" },
        { "RESET ROLE; SET statement_timeout = 50; SELECT pg_sleep(5), '" SECRET "'", PIXL_E_UNAVAILABLE, "57014" },
        { "DO $$ BEGIN RAISE disk_full USING MESSAGE = '" SECRET "'; END $$", PIXL_E_NO_SPACE, "53100" },
        { "DO $$ BEGIN RAISE serialization_failure USING DETAIL = '" SECRET "'; END $$", PIXL_E_BUSY, "40001" },
        { "DO $$ BEGIN RAISE too_many_connections; END $$", PIXL_E_UNAVAILABLE, "53300" },
    };
    struct pixl_error err = { 0 };
    pg_db_auto *pg = open_table();
    struct sql *db = pg_db_sql(pg);
    REQUIRE_OK(insert(db, 1, "one", false, &err), err);
    REQUIRE_OK(sql_exec(db, SQL("DROP ROLE IF EXISTS nobody_at_all; CREATE ROLE nobody_at_all"), &err), err);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        test_row("%s", rows[i].says);
        bool ok = sql_exec(db, SQL(rows[i].sql), &err);
        CHECK(strstr(err.msg, rows[i].says) != NULL);
        CHECK(strstr(err.msg, "V4lue") == NULL && strstr(err.msg, "v4lue") == NULL);
        CHECK_FAILS(ok, err, rows[i].want);
    }
    test_row("a NUL inside of a text");
    sql_stmt_auto *q = NULL;
    bool row = false;
    REQUIRE_OK(sql_prepare(db, SQL("SELECT length(?1)"), &q, &err), err);
    sql_bind_str(q, 1, (struct str){ "a\0b", 3 });
    CHECK_FAILS(sql_step(q, &row, &err), err, PIXL_E_INVALID);
    CHECK_INT(number(db, COUNT), 1);
}

static void test_pg__a_lock_is_waited_for_so_long(void)
{
    struct pixl_error err = { 0 };
    pg_db_auto *a = open_table(), *b = open_db();
    REQUIRE_OK(sql_begin(pg_db_sql(a), SQL_BEGIN_WRITE, &err), err);
    REQUIRE_OK(sql_exec(pg_db_sql(a), SQL("LOCK TABLE t"), &err), err);
    REQUIRE_OK(sql_begin(pg_db_sql(b), SQL_BEGIN_WRITE, &err), err);
    CHECK_FAILS(insert(pg_db_sql(b), 1, "x", false, &err), err, PIXL_E_BUSY);
    sql_rollback(pg_db_sql(b));
    sql_rollback(pg_db_sql(a));
    CHECK_OK(insert(pg_db_sql(b), 1, "x", false, &err), err);
}

/* --- connecting ------------------------------------------------------------------------------------------------ */

static int listen_somewhere(char url[200])
{
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t n = sizeof at;
    REQUIRE(fd >= 0 && bind(fd, (struct sockaddr *)&at, sizeof at) == 0);
    REQUIRE(getsockname(fd, (struct sockaddr *)&at, &n) == 0);
    (void)snprintf(url, 200, "postgresql://u:" SECRET "@127.0.0.1:%d/d?connect_timeout=1", ntohs(at.sin_port));
    return fd;
}

static void check_refused(const char *url, enum pixl_code want)
{
    struct pixl_error err = { 0 };
    struct pg_db *db = NULL;
    bool ok = try_open(url, &db, &err);
    CHECK(strstr(err.msg, "V4lue") == NULL && strstr(err.msg, "nosuch") == NULL);
    CHECK_FAILS(ok, err, want);
    CHECK(db == NULL);
}

static void test_pg__what_cannot_be_reached_is_told_apart_without_the_address(void)
{
    char url[200];
    int fd = listen_somewhere(url);
    test_row("nobody listens");
    check_refused(url, PIXL_E_UNAVAILABLE);
    test_row("somebody listens and says nothing");
    REQUIRE(listen(fd, 4) == 0);
    int64_t start = clock_mono_us();
    check_refused(url, PIXL_E_UNAVAILABLE);
    CHECK(clock_mono_us() - start >= 900000);
    (void)close(fd);
    test_row("no socket");
    check_refused("postgresql:///d?host=/nosuch&user=" SECRET, PIXL_E_UNAVAILABLE);
    test_row("no such database");
    check_refused(url_of("nosuch", "user=pixl"), PIXL_E_NOT_FOUND);
    test_row("no such role");
    check_refused(url_of("postgres", "user=nosuch"), PIXL_E_DENIED);
    test_row("the server has no TLS");
    check_refused("postgresql://u:" SECRET "@127.0.0.1:1/nosuch?sslmode=require", PIXL_E_UNAVAILABLE);
    static const char *const wrong[] = { "postgresql://u:" SECRET "@h/d?nosuch=1", "postgresql://u:" SECRET "@[::1/d",
                                         "postgresql://u:%zz" SECRET "@h/d" };
    for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
        test_row("wrong address %zu", i);
        check_refused(wrong[i], PIXL_E_INVALID);
    }
}

/* Ends every other connection of this database, as an administrator would. */
static void end_others(struct pg_db *db)
{
    (void)number(pg_db_sql(db), SQL("SELECT count(pg_terminate_backend(pid, 5000)) FROM pg_stat_activity"
                                    " WHERE datname = current_database() AND pid <> pg_backend_pid()"));
}

static void test_pg__a_lost_connection_is_told_once_and_replaced(void)
{
    struct pixl_error err = { 0 };
    pg_db_auto *pg = open_table(), *other = open_db();
    struct sql *db = pg_db_sql(pg);
    REQUIRE_OK(insert(db, 1, "one", false, &err), err);

    test_row("between statements");
    end_others(other);
    CHECK_FAILS(insert(db, 2, "two", false, &err), err, PIXL_E_UNAVAILABLE);
    CHECK_OK(insert(db, 3, "three", false, &err), err);

    test_row("before a transaction");
    end_others(other);
    REQUIRE_OK(sql_begin(db, SQL_BEGIN_WRITE, &err), err);
    CHECK_OK(insert(db, 4, "four", false, &err), err);

    test_row("in a transaction: until its end");
    end_others(other);
    CHECK_FAILS(insert(db, 5, "five", false, &err), err, PIXL_E_UNAVAILABLE);
    CHECK_FAILS(insert(db, 6, "six", false, &err), err, PIXL_E_UNAVAILABLE);
    CHECK_FAILS(sql_commit(db, &err), err, PIXL_E_UNAVAILABLE);
    sql_rollback(db);
    CHECK_INT(number(db, COUNT), 2);

    test_row("with statements that nobody waited for");
    REQUIRE_OK(sql_begin(db, SQL_BEGIN_WRITE, &err), err);
    CHECK_OK(insert(db, 7, "seven", true, &err), err);
    end_others(other);
    CHECK_FAILS(sql_commit(db, &err), err, PIXL_E_UNAVAILABLE);
    sql_rollback(db);
    CHECK_INT(number(db, COUNT), 2);
}

/* --- statements ------------------------------------------------------------------------------------------------ */

static void test_pg__what_nobody_waits_for_is_done_in_order(void)
{
    enum { N = 1500 };
    struct pixl_error err = { 0 };
    pg_db_auto *pg = open_table();
    struct sql *db = pg_db_sql(pg);
    REQUIRE_OK(sql_begin(db, SQL_BEGIN_WRITE, &err), err);
    for (int i = 0; i < N; i++) {
        REQUIRE_OK(insert(db, i, "x", true, &err), err);
        if (i % 400 == 7)
            CHECK_INT(number(db, COUNT), i + 1);
    }
    REQUIRE_OK(sql_exec(db, SQL("UPDATE t SET size = 1"), &err), err);
    REQUIRE_OK(sql_commit(db, &err), err);
    CHECK_INT(number(db, SQL("SELECT count(*) FROM t WHERE size = 1")), N);

    for (int how = 0; how < 3; how++) {
        test_row("a failure is told by %s", how == 0 ? "the commit" : how == 1 ? "the next statement" : "a batch");
        REQUIRE_OK(sql_begin(db, SQL_BEGIN_WRITE, &err), err);
        REQUIRE_OK(insert(db, N, "x", true, &err), err);
        REQUIRE_OK(insert(db, 1, SECRET, true, &err), err);
        REQUIRE_OK(insert(db, N + 1, "x", true, &err), err);
        bool ok = true;
        if (how == 1)
            ok = insert(db, N + 2, "x", false, &err);
        for (int i = 0; how == 2 && ok && i < N; i++)
            ok = insert(db, N + 3 + i, "x", true, &err);
        if (how == 0)
            ok = sql_commit(db, &err);
        CHECK(strstr(err.msg, "t_pkey") != NULL && strstr(err.msg, "V4lue") == NULL);
        CHECK_FAILS(ok, err, PIXL_E_EXISTS);
        sql_rollback(db);
        CHECK_INT(number(db, COUNT), N);
    }
    test_row("a failure that nobody asked about is no commit");
    REQUIRE_OK(sql_begin(db, SQL_BEGIN_WRITE, &err), err);
    CHECK_FAILS(insert(db, 1, "x", false, &err), err, PIXL_E_EXISTS);
    CHECK_FAILS(sql_commit(db, &err), err, PIXL_E_INTERNAL);
    sql_rollback(db);
}

#define NUMBERS SQL_LONG("SELECT x, x * ?1 FROM generate_series(1, ?2) AS x ORDER BY x")

/* Reads rows piece by piece and runs other statements between them, also the same kind. */
static void test_pg__long_results_let_others_run_between(void)
{
    struct pixl_error err = { 0 };
    pg_db_auto *pg = open_table();
    struct sql *db = pg_db_sql(pg);
    static const int64_t sizes[] = { 0, 1, 499, 500, 501, 1000, 1234 };
    for (int in_transaction = 0; in_transaction < 2; in_transaction++)
        for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
            test_row("%lld rows, %d", (long long)sizes[i], in_transaction);
            if (in_transaction)
                REQUIRE_OK(sql_begin(db, SQL_BEGIN_SNAPSHOT, &err), err);
            sql_stmt_auto *q = NULL;
            int64_t n = 0;
            REQUIRE_OK(sql_prepare(db, NUMBERS, &q, &err), err);
            sql_bind_i64(q, 1, 3);
            sql_bind_i64(q, 2, sizes[i]);
            for (bool row = true; row;) {
                REQUIRE_OK(sql_step(q, &row, &err), err);
                n += row;
                REQUIRE(!row || (sql_col_i64(q, 0) == n && sql_col_i64(q, 1) == 3 * n));
                if (n % 300 == 1)
                    CHECK_INT(number(db, COUNT), 0);
            }
            CHECK_INT(n, sizes[i]);
            if (in_transaction)
                REQUIRE_OK(sql_commit(db, &err), err);
        }
    test_row("ended early");
    for (int i = 0; i < 3; i++) {
        sql_stmt_auto *q = NULL;
        bool row = false;
        REQUIRE_OK(sql_prepare(db, NUMBERS, &q, &err), err);
        sql_bind_i64(q, 1, 3);
        sql_bind_i64(q, 2, 2000);
        REQUIRE_OK(sql_step(q, &row, &err), err);
        CHECK(row);
    }
    REQUIRE_OK(sql_begin(db, SQL_BEGIN_WRITE, &err), err); /* none is left open */
    REQUIRE_OK(insert(db, 1, "x", false, &err), err);
    REQUIRE_OK(sql_commit(db, &err), err);
}

static void test_pg__a_snapshot_sees_one_moment(void)
{
    struct pixl_error err = { 0 };
    pg_db_auto *a = open_table(), *b = open_db();
    REQUIRE_OK(sql_begin(pg_db_sql(a), SQL_BEGIN_SNAPSHOT, &err), err);
    CHECK_INT(number(pg_db_sql(a), COUNT), 0);
    REQUIRE_OK(insert(pg_db_sql(b), 1, "x", false, &err), err);
    CHECK_INT(number(pg_db_sql(a), COUNT), 0);
    CHECK(!insert(pg_db_sql(a), 2, "x", false, &err)); /* and changes nothing */
    pixl_error_clear(&err);
    sql_rollback(pg_db_sql(a));
    CHECK_INT(number(pg_db_sql(a), COUNT), 1);
}

int main(int argc, char **argv)
{
    static const struct test_case tests[] = {
        TEST(test_pg__values_come_back_as_they_went),
        TEST(test_pg__arrays_come_back_as_they_went),
        TEST(test_pg__failures_tell_codes_and_rules_and_no_values),
        TEST(test_pg__a_lock_is_waited_for_so_long),
        TEST(test_pg__what_cannot_be_reached_is_told_apart_without_the_address),
        TEST(test_pg__a_lost_connection_is_told_once_and_replaced),
        TEST(test_pg__what_nobody_waits_for_is_done_in_order),
        TEST(test_pg__long_results_let_others_run_between),
        TEST(test_pg__a_snapshot_sees_one_moment),
    };
    return test_main(argc, argv, tests, ARRAY_LEN(tests));
}
