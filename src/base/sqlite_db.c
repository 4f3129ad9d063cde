#include "sqlite_db.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "clock.h"
#include "fs.h"
#include "ptr_map.h"

struct sqlite_stmt {
    struct sql_stmt base;
    struct sqlite_db *db;
    sqlite3_stmt *stmt;
    int sticky;                  /* SQLITE_OK, or why a bind or a read failed: told by the next step */
};

struct sqlite_db {
    struct sql base;
    sqlite3 *conn;
    struct ptr_map stmts; /* struct sqlite_stmt by the address of its text */
};

static const struct sql_ops sqlite_ops;

/* Our code for a result code, and our own words: SQLite's can quote what the statement was given. */
static enum pixl_code code_of(int rc, int sys)
{
    if (rc == SQLITE_CONSTRAINT_UNIQUE || rc == SQLITE_CONSTRAINT_PRIMARYKEY || rc == SQLITE_CONSTRAINT_ROWID)
        return PIXL_E_EXISTS;
    if (rc == SQLITE_IOERR_NOMEM)
        return PIXL_E_NOMEM;
    switch (rc & 0xFF) {
    case SQLITE_NOMEM:                                              return PIXL_E_NOMEM;
    case SQLITE_BUSY: case SQLITE_LOCKED: case SQLITE_PROTOCOL:     return PIXL_E_BUSY;
    case SQLITE_SCHEMA:                                             return PIXL_E_BUSY;
    case SQLITE_FULL:                                               return PIXL_E_NO_SPACE;
    case SQLITE_CORRUPT: case SQLITE_NOTADB: case SQLITE_FORMAT:    return PIXL_E_CORRUPT;
    case SQLITE_PERM: case SQLITE_AUTH: case SQLITE_READONLY:       return PIXL_E_DENIED;
    case SQLITE_CONSTRAINT: case SQLITE_MISMATCH:                   return PIXL_E_INVALID;
    case SQLITE_TOOBIG:                                             return PIXL_E_LIMIT;
    case SQLITE_NOLFS:                                              return PIXL_E_UNSUPPORTED;
    case SQLITE_INTERRUPT:                                          return PIXL_E_CANCELLED;
    case SQLITE_IOERR: case SQLITE_CANTOPEN:
        return sys == ENOSPC || sys == EDQUOT                  ? PIXL_E_NO_SPACE
               : sys == EACCES || sys == EPERM || sys == EROFS ? PIXL_E_DENIED
               : sys == ENOENT || sys == ENOTDIR               ? PIXL_E_NOT_FOUND
                                                               : PIXL_E_IO;
    default:                                                        return PIXL_E_INTERNAL;
    }
}

static bool fail(struct sqlite_db *db, int rc, const char *doing, struct pixl_error *err)
{
    int sys = db->conn ? sqlite3_system_errno(db->conn) : 0;
    enum pixl_code code = code_of(rc, sys);
    return pixl_fail(err, code, rc, "database: %s: %s (result %d)", doing, pixl_code_text(code), rc);
}

/* One pragma or statement whose first column, if asked for, must be the word wanted. */
static int run_pragma(sqlite3 *conn, const char *sql, const char *wanted, bool *same)
{
    sqlite3_stmt *s = NULL;
    int rc = sqlite3_prepare_v2(conn, sql, -1, &s, NULL);
    if (rc != SQLITE_OK)
        return rc;
    rc = sqlite3_step(s);
    if (rc == SQLITE_ROW && wanted != NULL) {
        const unsigned char *text = sqlite3_column_text(s, 0);
        *same = text != NULL && sqlite3_stricmp((const char *)text, wanted) == 0;
    }
    int end = sqlite3_finalize(s);
    return rc == SQLITE_ROW || rc == SQLITE_DONE ? SQLITE_OK : end;
}

/* Turning WAL on takes an exclusive lock for which SQLite does not call the busy handler: when several processes make
 * one database at the same moment, the others wait here. */
static int turn_wal_on(sqlite3 *conn, int busy_ms, bool *is_wal)
{
    int64_t until = clock_mono_us() + (int64_t)busy_ms * 1000;
    for (;;) {
        int rc = run_pragma(conn, "PRAGMA journal_mode=WAL", "wal", is_wal);
        if ((rc & 0xFF) != SQLITE_BUSY || clock_mono_us() >= until)
            return rc;
        (void)sqlite3_sleep(5);
    }
}

static bool set_up(struct sqlite_db *db, int busy_ms, struct pixl_error *err)
{
    bool is_wal = false;
    int rc = sqlite3_busy_timeout(db->conn, busy_ms);
    if (rc == SQLITE_OK)
        rc = turn_wal_on(db->conn, busy_ms, &is_wal);
    if (rc != SQLITE_OK)
        return fail(db, rc, "open", err);
    if (!is_wal)
        return pixl_fail(err, PIXL_E_UNSUPPORTED, 0, "database: this file system cannot hold a write-ahead log");
    static const char *const pragma[] = { "PRAGMA synchronous=FULL", "PRAGMA foreign_keys=ON",
                                          "PRAGMA trusted_schema=OFF" };
    for (size_t i = 0; i < ARRAY_LEN(pragma); i++)
        if ((rc = run_pragma(db->conn, pragma[i], NULL, NULL)) != SQLITE_OK)
            return fail(db, rc, "open", err);
    return true;
}

static bool check_path(const char *path, struct pixl_error *err)
{
    if (path[0] == '\0' || path[0] == ':')
        return pixl_fail(err, PIXL_E_INVALID, 0, "database: not a file name");
    return !fs_is_network(path) || pixl_fail(err, PIXL_E_UNSUPPORTED, 0,
                                             "database: it lies on a network file system, whose locks cannot be "
                                             "trusted; choose a local disk");
}

/* SQLite's count of its memory, which nobody reads, takes a lock at each allocation. */
static void count_no_memory(void)
{
    (void)sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0); /* refused once SQLite is in use: then it counts */
}

static bool connect_to(const char *path, struct sqlite_db **out, struct pixl_error *err)
{
    sqlite_db_auto *db = calloc(1, sizeof *db);
    if (db == NULL)
        return pixl_fail(err, PIXL_E_NOMEM, 0, "database");
    db->base.ops = &sqlite_ops;
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    (void)pthread_once(&once, count_no_memory);
    int rc =
        sqlite3_open_v2(path, &db->conn, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE, NULL);
    /* What SQLite sorts, or sets aside to undo one statement, would else go into files of the system's temporary folder. */
    if (rc == SQLITE_OK)
        rc = run_pragma(db->conn, "PRAGMA temp_store=MEMORY", NULL, NULL);
    if (rc != SQLITE_OK)
        return fail(db, rc, "open", err);
    *out = PIXL_STEAL(&db);
    return true;
}

bool sqlite_db_open(const char *path, int busy_ms, struct sqlite_db **out, struct pixl_error *err)
{
    sqlite_db_auto *db = NULL;
    if (!check_path(path, err))
        return false;
    /* mknod() makes the file 0600 without ever opening it: closing a descriptor of ours would drop the locks that
     * another connection of this process holds on it. */
    if (mknod(path, S_IFREG | 0600, 0) != 0 && errno != EEXIST)
        return pixl_fail_errno(err, errno, "database: make the file");
    if (!connect_to(path, &db, err) || !set_up(db, busy_ms, err))
        return false;
    *out = PIXL_STEAL(&db);
    return true;
}

bool sqlite_db_open_to_look(const char *path, int busy_ms, struct sqlite_db **out, struct pixl_error *err)
{
    sqlite_db_auto *db = NULL;
    if (!check_path(path, err) || !connect_to(path, &db, err))
        return false;
    int rc = sqlite3_busy_timeout(db->conn, busy_ms);
    if (rc == SQLITE_OK)
        rc = run_pragma(db->conn, "PRAGMA query_only=ON", NULL, NULL);
    if (rc != SQLITE_OK)
        return fail(db, rc, "open", err);
    *out = PIXL_STEAL(&db);
    return true;
}

bool sqlite_db_open_in_memory(struct sqlite_db **out, struct pixl_error *err)
{
    static const char *const pragma[] = { "PRAGMA temp_store=MEMORY", "PRAGMA foreign_keys=ON",
                                          "PRAGMA trusted_schema=OFF" };
    sqlite_db_auto *db = NULL;
    if (!connect_to(":memory:", &db, err))
        return false;
    for (size_t i = 0; i < ARRAY_LEN(pragma); i++) {
        int rc = run_pragma(db->conn, pragma[i], NULL, NULL);
        if (rc != SQLITE_OK)
            return fail(db, rc, "open", err);
    }
    *out = PIXL_STEAL(&db);
    return true;
}

static void free_stmt(struct sqlite_stmt *s)
{
    (void)sqlite3_finalize(s->stmt);
    free(s);
}

void sqlite_db_close(struct sqlite_db *db)
{
    if (db == NULL)
        return;
    struct sqlite_stmt *s;
    for (size_t at = 0; (s = ptr_map_next(&db->stmts, &at)) != NULL;)
        free_stmt(s);
    ptr_map_done(&db->stmts);
    int rc = sqlite3_close(db->conn);
    assert(rc == SQLITE_OK);                    /* else a statement was not ours */
    free(db);
}

bool sqlite_db_exec(struct sqlite_db *db, const char *sql, struct pixl_error *err)
{
    int rc = sqlite3_exec(db->conn, sql, NULL, NULL, NULL);
    return rc == SQLITE_OK || fail(db, rc, "run", err);
}

static bool run_literal(struct sqlite_db *db, const char *sql, const char *doing, struct pixl_error *err)
{
    struct sqlite_stmt *s = NULL;
    bool row;
    if (!sqlite_db_prepare(db, sql, &s, err))
        return false;
    if (sqlite_step(s, &row, err))
        return true;
    return pixl_wrap(err, "%s", doing);
}

bool sqlite_db_begin(struct sqlite_db *db, struct pixl_error *err)
{
    return run_literal(db, "BEGIN IMMEDIATE", "begin", err);
}

bool sqlite_db_commit(struct sqlite_db *db, struct pixl_error *err)
{
    return run_literal(db, "COMMIT", "commit", err);
}

void sqlite_db_rollback(struct sqlite_db *db)
{
    /* A statement that is still in the middle of its rows would be aborted by it: end them all first. */
    struct sqlite_stmt *s;
    for (size_t at = 0; (s = ptr_map_next(&db->stmts, &at)) != NULL;)
        sqlite_reset(s);
    if (sqlite3_get_autocommit(db->conn))
        return;                                 /* SQLite did it by itself, after a full disk for example */
    (void)sqlite3_exec(db->conn, "ROLLBACK", NULL, NULL, NULL);
}

int64_t sqlite_db_changes(struct sqlite_db *db)
{
    return sqlite3_changes64(db->conn);
}

int64_t sqlite_db_last_id(struct sqlite_db *db)
{
    return sqlite3_last_insert_rowid(db->conn);
}

static bool prepare_new(struct sqlite_db *db, const char *sql, struct sqlite_stmt **out, struct pixl_error *err)
{
    struct sqlite_stmt *s = calloc(1, sizeof *s);
    if (s == NULL)
        return pixl_fail(err, PIXL_E_NOMEM, 0, "database: statement");
    *s = (struct sqlite_stmt){ .base.ops = &sqlite_ops, .db = db };
    const char *tail = NULL;
    int rc = sqlite3_prepare_v3(db->conn, sql, -1, SQLITE_PREPARE_PERSISTENT, &s->stmt, &tail);
    if (rc != SQLITE_OK) {
        free(s);
        return fail(db, rc, "prepare a statement", err);
    }
    if (s->stmt == NULL || str_trim(str_of(tail)).n > 0) {
        free_stmt(s);
        return pixl_fail(err, PIXL_E_INTERNAL, 0, "database: not exactly one statement");
    }
    *out = s;
    return true;
}

bool sqlite_db_prepare(struct sqlite_db *db, const char *sql, struct sqlite_stmt **out, struct pixl_error *err)
{
    struct sqlite_stmt *s = ptr_map_get(&db->stmts, sql);
    if (s == NULL) {
        if (!prepare_new(db, sql, &s, err))
            return false;
        if (!ptr_map_put(&db->stmts, sql, s, err)) {
            free_stmt(s);
            return false;
        }
    }
    /* A text that was changed behind our back would run another statement than it says. */
    const char *kept = sqlite3_sql(s->stmt); /* without blanks behind it */
    assert(strncmp(kept, sql, strlen(kept)) == 0);
    sqlite_reset(s);
    *out = s;
    return true;
}

/* The first failure counts; a bind has no err of its own so that its callers stay readable. */
static void note(struct sqlite_stmt *s, int rc)
{
    if (s->sticky == SQLITE_OK)
        s->sticky = rc;
}

void sqlite_bind_i64(struct sqlite_stmt *s, int i, int64_t v)
{
    note(s, sqlite3_bind_int64(s->stmt, i, v));
}

void sqlite_bind_double(struct sqlite_stmt *s, int i, double v)
{
    note(s, sqlite3_bind_double(s->stmt, i, v));
}

/* The empty text is a text: NULL is sqlite_bind_null(). */
void sqlite_bind_str(struct sqlite_stmt *s, int i, struct str v)
{
    note(s, sqlite3_bind_text64(s->stmt, i, v.n ? v.p : "", v.n, SQLITE_STATIC, SQLITE_UTF8));
}

void sqlite_bind_null(struct sqlite_stmt *s, int i)
{
    note(s, sqlite3_bind_null(s->stmt, i));
}

bool sqlite_step(struct sqlite_stmt *s, bool *row, struct pixl_error *err)
{
    int rc = s->sticky != SQLITE_OK ? s->sticky : sqlite3_step(s->stmt);
    if (rc == SQLITE_ROW) {
        *row = true;
        return true;
    }
    bool ok = rc == SQLITE_DONE || fail(s->db, rc, "run a statement", err);
    sqlite_reset(s);
    if (ok)
        *row = false;
    return ok;
}

bool sqlite_run(struct sqlite_stmt *s, struct pixl_error *err)
{
    bool row;
    if (!sqlite_step(s, &row, err))
        return false;
    sqlite_reset(s);
    return !row || pixl_fail(err, PIXL_E_INTERNAL, 0, "database: a statement gave rows that nobody reads");
}

void sqlite_reset(struct sqlite_stmt *s)
{
    (void)sqlite3_reset(s->stmt);               /* repeats the step's result, which was told already */
    (void)sqlite3_clear_bindings(s->stmt);
    s->sticky = SQLITE_OK;
}

int64_t sqlite_col_i64(struct sqlite_stmt *s, int i)
{
    return sqlite3_column_int64(s->stmt, i);
}

double sqlite_col_double(struct sqlite_stmt *s, int i)
{
    return sqlite3_column_double(s->stmt, i);
}

struct str sqlite_col_str(struct sqlite_stmt *s, int i)
{
    int type = sqlite3_column_type(s->stmt, i);
    if (type == SQLITE_NULL)
        return (struct str){ 0 };
    /* As a blob: the bytes as they lie there, without the copy that a NUL at the end may need. */
    const char *p = type == SQLITE_INTEGER || type == SQLITE_FLOAT ? (const char *)sqlite3_column_text(s->stmt, i)
                                                                   : sqlite3_column_blob(s->stmt, i);
    int n = sqlite3_column_bytes(s->stmt, i);
    if (p == NULL && sqlite3_errcode(s->db->conn) == SQLITE_NOMEM)
        note(s, SQLITE_NOMEM);
    return (struct str){ p, p && n > 0 ? (size_t)n : 0 };
}

bool sqlite_col_is_null(struct sqlite_stmt *s, int i)
{
    return sqlite3_column_type(s->stmt, i) == SQLITE_NULL;
}

/* --- as sql.h has it ------------------------------------------------------------------------------------------- */

struct sql *sqlite_db_sql(struct sqlite_db *db)
{
    return &db->base;
}

static struct sqlite_db *db_of(struct sql *db)
{
    assert(db->ops == &sqlite_ops);
    return (struct sqlite_db *)db;
}

static struct sqlite_stmt *stmt_of(struct sql_stmt *s)
{
    assert(s->ops == &sqlite_ops);
    return (struct sqlite_stmt *)s;
}

static bool ops_exec(struct sql *db, struct sql_text text, struct pixl_error *err)
{
    return text.sqlite == NULL || sqlite_db_exec(db_of(db), text.sqlite, err);
}

static bool ops_begin(struct sql *db, enum sql_begin how, struct pixl_error *err)
{
    return how == SQL_BEGIN_SNAPSHOT ? sqlite_db_exec(db_of(db), "BEGIN", err) : sqlite_db_begin(db_of(db), err);
}

static bool ops_commit(struct sql *db, struct pixl_error *err)
{
    return sqlite_db_commit(db_of(db), err);
}

static void ops_rollback(struct sql *db)
{
    sqlite_db_rollback(db_of(db));
}

static int64_t ops_changes(struct sql *db)
{
    return sqlite_db_changes(db_of(db));
}

static int64_t ops_last_id(struct sql *db)
{
    return sqlite_db_last_id(db_of(db));
}

static bool ops_prepare(struct sql *db, struct sql_text text, struct sql_stmt **out, struct pixl_error *err)
{
    struct sqlite_stmt *s;
    if (!sqlite_db_prepare(db_of(db), text.sqlite, &s, err))
        return false;
    *out = &s->base;
    return true;
}

static void ops_bind_i64(struct sql_stmt *s, int i, int64_t v)
{
    sqlite_bind_i64(stmt_of(s), i, v);
}

static void ops_bind_double(struct sql_stmt *s, int i, double v)
{
    sqlite_bind_double(stmt_of(s), i, v);
}

static void ops_bind_str(struct sql_stmt *s, int i, struct str v)
{
    sqlite_bind_str(stmt_of(s), i, v);
}

static bool ops_step(struct sql_stmt *s, bool *row, struct pixl_error *err)
{
    return sqlite_step(stmt_of(s), row, err);
}

static bool ops_run(struct sql_stmt *s, struct pixl_error *err)
{
    return sqlite_run(stmt_of(s), err);
}

static void ops_reset(struct sql_stmt *s)
{
    sqlite_reset(stmt_of(s));
}

static int64_t ops_col_i64(struct sql_stmt *s, int i)
{
    return sqlite_col_i64(stmt_of(s), i);
}

static double ops_col_double(struct sql_stmt *s, int i)
{
    return sqlite_col_double(stmt_of(s), i);
}

static struct str ops_col_str(struct sql_stmt *s, int i)
{
    return sqlite_col_str(stmt_of(s), i);
}

static bool ops_col_is_null(struct sql_stmt *s, int i)
{
    return sqlite_col_is_null(stmt_of(s), i);
}

static const struct sql_ops sqlite_ops = {
    .exec = ops_exec,
    .begin = ops_begin,
    .commit = ops_commit,
    .rollback = ops_rollback,
    .changes = ops_changes,
    .last_id = ops_last_id,
    .prepare = ops_prepare,
    .bind_i64 = ops_bind_i64,
    .bind_double = ops_bind_double,
    .bind_str = ops_bind_str,
    .step = ops_step,
    .run = ops_run,
    .run_later = ops_run, /* there is no way to the database that could be saved */
    .reset = ops_reset,
    .col_i64 = ops_col_i64,
    .col_double = ops_col_double,
    .col_str = ops_col_str,
    .col_is_null = ops_col_is_null,
};
