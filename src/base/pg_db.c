#include "pg_db.h"

#include <assert.h>
#include <errno.h>
#include <libpq-fe.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "ptr_map.h"
#include "secret.h"
#include "sql_array.h"

enum {
    PARAMS_MAX = 24,
    ROWS_AT_ONCE = 500, /* of a long statement */
    PENDING_MAX = 256,  /* statements that nobody waited for; their answers fit into a socket's buffer */
    TEXT_MAX_BYTES = 64 * 1024,
    OID_BOOL = 16,
    OID_INT8 = 20,
    OID_TEXT = 25,
    OID_FLOAT8 = 701,
    OID_TEXT_ARRAY = 1009,
    OID_INT8_ARRAY = 1016, /* pg_type.dat: fixed for ever */
};

struct pg_stmt {
    struct sql_stmt base;
    struct pg_db *db;
    const char *sql; /* the caller's */
    struct buf text; /* with $1 for ?1 */
    bool is_long;
    unsigned number;      /* its cursor is c<number> */
    char name[16];        /* s<number> */
    unsigned prepared_on; /* the connection on which the server knows it; 0: none */
    int n_params;
    Oid types[PARAMS_MAX], prepared_types[PARAMS_MAX];
    const char *values[PARAMS_MAX]; /* NULL: not bound */
    int lengths[PARAMS_MAX], formats[PARAMS_MAX];
    uint64_t scalars[PARAMS_MAX];
    bool too_long;  /* a bound text was */
    PGresult *rows; /* NULL: has not run */
    int row;
    bool has_cursor, owns_transaction;
};

struct pg_db {
    struct sql base;
    struct secret url;
    const char *setup;
    int connect_ms, statement_ms, lock_ms;
    PGconn *conn;        /* NULL: lost, or not yet there */
    unsigned connection; /* counts them */
    bool in_transaction;
    int n_pending; /* > 0: in pipeline mode */
    int64_t changes;
    struct ptr_map stmts; /* struct pg_stmt by the address of its text */
    unsigned n_made;
};

static const struct sql_ops pg_ops;

static struct pg_db *db_of(struct sql *db)
{
    assert(db->ops == &pg_ops);
    return (struct pg_db *)db;
}

static struct pg_stmt *stmt_of(struct sql_stmt *s)
{
    assert(s->ops == &pg_ops);
    return (struct pg_stmt *)s;
}

/* --- errors ---------------------------------------------------------------------------------------------------- */

/* By SQLSTATE (PostgreSQL, Appendix A); a longer prefix goes before a shorter one. */
static const struct {
    const char *prefix;
    enum pixl_code code;
} codes[] = {
    { "08", PIXL_E_UNAVAILABLE }, { "57P0", PIXL_E_UNAVAILABLE },  { "57014", PIXL_E_UNAVAILABLE },
    { "57", PIXL_E_UNAVAILABLE }, { "25006", PIXL_E_UNAVAILABLE }, /* a standby that only reads */
    { "53100", PIXL_E_NO_SPACE }, { "53", PIXL_E_UNAVAILABLE },    { "58", PIXL_E_UNAVAILABLE },
    { "40", PIXL_E_BUSY },        { "55P03", PIXL_E_BUSY },        { "23505", PIXL_E_EXISTS },
    { "28", PIXL_E_DENIED },      { "42501", PIXL_E_DENIED },      { "3D000", PIXL_E_NOT_FOUND },
    { "22", PIXL_E_INVALID },     { "54", PIXL_E_LIMIT },          { "0A", PIXL_E_UNSUPPORTED },
    { "XX001", PIXL_E_CORRUPT },  { "XX002", PIXL_E_CORRUPT },
};

static enum pixl_code code_of(const char *state)
{
    for (size_t i = 0; i < ARRAY_LEN(codes); i++)
        if (strncmp(state, codes[i].prefix, strlen(codes[i].prefix)) == 0)
            return codes[i].code;
    return PIXL_E_INTERNAL;
}

static bool fail_state(const char *state, const char *rule, const char *doing, struct pixl_error *err)
{
    enum pixl_code code = code_of(state);
    return pixl_fail(err, code, 0, "database: %s: %s (SQLSTATE %.5s%s%.64s)", doing, pixl_code_text(code), state,
                     rule ? ", " : "", rule ? rule : "");
}

static bool fail_lost(const char *doing, struct pixl_error *err)
{
    return pixl_fail(err, PIXL_E_UNAVAILABLE, 0, "database: %s: the connection to the server was lost", doing);
}

static void drop_connection(struct pg_db *db)
{
    if (db->conn != NULL)
        PQfinish(db->conn);
    db->conn = NULL;
    db->n_pending = 0;
}

/* A result without SQLSTATE, or none at all, is the client's: a connection that ended, or no memory for what it sent.  No
 * connection is worth keeping then, nor when the server says that it goes away (57P01 to 57P05). */
static bool fail(struct pg_db *db, const PGresult *res, const char *doing, struct pixl_error *err)
{
    const char *state = res ? PQresultErrorField(res, PG_DIAG_SQLSTATE) : NULL;
    bool lost = state == NULL || strncmp(state, "57P0", 4) == 0 || PQstatus(db->conn) != CONNECTION_OK;
    bool told = state == NULL ? fail_lost(doing, err)
                              : fail_state(state, PQresultErrorField(res, PG_DIAG_CONSTRAINT_NAME), doing, err);
    if (lost)
        drop_connection(db);
    return told;
}

static bool is_good(const PGresult *res)
{
    ExecStatusType s = PQresultStatus(res);
    return s == PGRES_COMMAND_OK || s == PGRES_TUPLES_OK;
}

/* A server's notices would go to stderr, and quote values. */
static void ignore_notice(void *ctx, const PGresult *res)
{
    (void)ctx;
    (void)res;
}

/* --- connecting ------------------------------------------------------------------------------------------------ */

/* Statements without parameters. */
static bool run_literal(struct pg_db *db, const char *sql, const char *doing, struct pixl_error *err)
{
    PGresult *res = PQexec(db->conn, sql);
    bool ok = is_good(res) || fail(db, res, doing, err);
    PQclear(res);
    return ok;
}

/* What a failed connect says ends with a SQLSTATE, as PQERRORS_SQLSTATE asks for, when a server answered. */
static bool fail_connect(PGconn *conn, struct pixl_error *err)
{
    struct str said = str_trim(str_of(PQerrorMessage(conn)));
    bool is_state = said.n > 6 && said.p[said.n - 6] == ' ';
    for (size_t i = 1; is_state && i <= 5; i++)
        is_state = strchr("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ", said.p[said.n - i]) != NULL;
    if (is_state)
        return fail_state(said.p + said.n - 5, NULL, "connect", err);
    return pixl_fail(err, PIXL_E_UNAVAILABLE, 0,
                     "database: connect: the server cannot be reached, or not with the "
                     "encryption that was asked for");
}

static bool wait_until_connected(PGconn *conn, int64_t until_us, struct pixl_error *err)
{
    PostgresPollingStatusType next = PGRES_POLLING_WRITING;
    while (next != PGRES_POLLING_OK) {
        int64_t left_ms = (until_us - clock_mono_us()) / 1000;
        struct pollfd p = { .fd = PQsocket(conn), .events = next == PGRES_POLLING_READING ? POLLIN : POLLOUT };
        int n = left_ms <= 0 ? 0 : poll(&p, 1, left_ms > 60000 ? 60000 : (int)left_ms);
        if (n == 0 && clock_mono_us() >= until_us)
            return pixl_fail(err, PIXL_E_UNAVAILABLE, 0, "database: connect: the server did not answer in time");
        if (n <= 0)
            continue; /* a signal */
        next = PQconnectPoll(conn);
        if (next == PGRES_POLLING_FAILED)
            return fail_connect(conn, err);
    }
    return true;
}

/* The deadline is ours, as PQconnectPoll() knows none. */
static int64_t connect_deadline(const struct pg_db *db, PGconn *conn)
{
    int64_t ms = db->connect_ms;
    PQconninfoOption *options = PQconninfo(conn);
    for (PQconninfoOption *o = options; o != NULL && o->keyword != NULL; o++) {
        int64_t s;
        if (strcmp(o->keyword, "connect_timeout") == 0 && o->val != NULL && str_to_i64(str_of(o->val), &s) && s > 0 &&
            s < 3600)
            ms = s * 1000;
    }
    PQconninfoFree(options);
    return clock_mono_us() + ms * 1000;
}

static bool set_up(struct pg_db *db, struct pixl_error *err)
{
    char limits[128];
    (void)snprintf(limits, sizeof limits, "SET statement_timeout = %d; SET lock_timeout = %d", db->statement_ms,
                   db->lock_ms);
    return run_literal(db, limits, "set up the connection", err) &&
           run_literal(db, "SET TimeZone = 'UTC'; SET DateStyle = 'ISO'; SET standard_conforming_strings = on",
                       "set up the connection", err) &&
           (db->setup == NULL || run_literal(db, db->setup, "set up the connection", err));
}

static bool make_connection(struct pg_db *db, struct pixl_error *err)
{
    /* Later entries go before earlier ones; the URL stands for many. */
    const char *const keys[] = { "application_name", "tcp_user_timeout", "keepalives_idle",
                                 "dbname",           "client_encoding",  NULL };
    const char *const values[] = { "pixl", "30000", "30", secret_reveal(&db->url).p, "UTF8", NULL };
    PGconn *conn = PQconnectStartParams(keys, values, 1);
    if (conn == NULL)
        return pixl_fail(err, PIXL_E_NOMEM, 0, "database: connect");
    (void)PQsetErrorVerbosity(conn, PQERRORS_SQLSTATE);
    (void)PQsetNoticeReceiver(conn, ignore_notice, NULL);
    bool ok = PQstatus(conn) != CONNECTION_BAD ? wait_until_connected(conn, connect_deadline(db, conn), err)
                                               : fail_connect(conn, err);
    if (!ok) {
        PQfinish(conn);
        return false;
    }
    db->conn = conn;
    db->connection++;
    if (set_up(db, err))
        return true;
    drop_connection(db);
    return false;
}

/* Inside a transaction a lost connection is not replaced: what was done in it is undone. */
static bool be_connected(struct pg_db *db, struct pixl_error *err)
{
    if (db->conn != NULL)
        return true;
    return db->in_transaction ? fail_lost("go on", err) : make_connection(db, err);
}

/* libpq's own words on a wrong address quote it. */
static bool check_url(const char *url, struct pixl_error *err)
{
    char *why = NULL;
    PQconninfoOption *options = PQconninfoParse(url, &why);
    bool ok = options != NULL;
    PQconninfoFree(options);
    PQfreemem(why);
    return ok || pixl_fail(err, PIXL_E_INVALID, 0,
                           "database: the address is not one that PostgreSQL understands: "
                           "postgresql://USER:PASSWORD@HOST:PORT/DATABASE?OPTION=VALUE, special characters as %%XX");
}

bool pg_db_open(const struct pg_options *o, struct pg_db **out, struct pixl_error *err)
{
    if (!check_url(o->url, err))
        return false;
    pg_db_auto *db = calloc(1, sizeof *db);
    if (db == NULL)
        return pixl_fail(err, PIXL_E_NOMEM, 0, "database");
    *db = (struct pg_db){ .base.ops = &pg_ops,
                          .setup = o->setup,
                          .connect_ms = o->connect_ms,
                          .statement_ms = o->statement_ms,
                          .lock_ms = o->lock_ms };
    if (!secret_set(&db->url, (struct str){ o->url, strlen(o->url) + 1 }, err) || !make_connection(db, err))
        return false;
    *out = PIXL_STEAL(&db);
    return true;
}

static void free_stmt(struct pg_stmt *s)
{
    if (s == NULL)
        return;
    PQclear(s->rows);
    buf_done(&s->text);
    free(s);
}

void pg_db_close(struct pg_db *db)
{
    if (db == NULL)
        return;
    struct pg_stmt *s;
    for (size_t at = 0; (s = ptr_map_next(&db->stmts, &at)) != NULL;)
        free_stmt(s);
    ptr_map_done(&db->stmts);
    drop_connection(db);
    secret_done(&db->url);
    free(db);
}

struct sql *pg_db_sql(struct pg_db *db)
{
    return &db->base;
}

/* --- what nobody waited for ------------------------------------------------------------------------------------ */

/* All results of one statement in the pipeline, and the NULL behind them; *res: the last one, given. */
static bool take_one(struct pg_db *db, PGresult **res, struct pixl_error *err)
{
    bool ok = true;
    PGresult *last = NULL, *next;
    while ((next = PQgetResult(db->conn)) != NULL) {
        PQclear(last);
        last = next;
        if (PQresultStatus(next) == PGRES_PIPELINE_ABORTED || is_good(next))
            continue; /* aborted: by an earlier one, which told why */
        if (ok)
            ok = fail(db, next, "run a statement", err);
        if (db->conn == NULL)
            break;
    }
    *res = last;
    return ok;
}

/* Reads the answers to the n statements sent before the last sync; *res: that of the last one. */
static bool take_all(struct pg_db *db, int n, PGresult **res, struct pixl_error *err)
{
    bool ok = true;
    PGresult *last = NULL;
    for (int i = 0; i < n && db->conn != NULL; i++) {
        struct pixl_error later = { 0 };
        PQclear(last);
        if (!take_one(db, &last, ok ? err : &later))
            ok = false;
    }
    if (db->conn != NULL) {
        PQclear(PQgetResult(db->conn)); /* of the sync itself */
        db->n_pending = 0;
        if (PQexitPipelineMode(db->conn) != 1 && ok)
            ok = fail(db, NULL, "run statements", err);
    }
    if (ok && !is_good(last))
        ok = fail(db, last, "run statements", err);
    if (!ok) {
        PQclear(last);
        last = NULL;
    }
    *res = last;
    return ok;
}

static bool take_pending(struct pg_db *db, struct pixl_error *err)
{
    PGresult *res = NULL;
    if (db->n_pending == 0)
        return true;
    if (PQpipelineSync(db->conn) != 1)
        return fail(db, NULL, "run statements", err);
    bool ok = take_all(db, db->n_pending, &res, err);
    PQclear(res);
    return ok;
}

/* --- transactions ---------------------------------------------------------------------------------------------- */

static bool ops_exec(struct sql *base, struct sql_text text, struct pixl_error *err)
{
    struct pg_db *db = db_of(base);
    return text.postgres == NULL ||
           (be_connected(db, err) && take_pending(db, err) && run_literal(db, text.postgres, "run", err));
}

/* A connection that was lost while nothing ran is replaced at once. */
static bool ops_begin(struct sql *base, enum sql_begin how, struct pixl_error *err)
{
    struct pg_db *db = db_of(base);
    assert(!db->in_transaction);
    const char *sql = how == SQL_BEGIN_WRITE ? "BEGIN" : "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";
    bool is_new = db->conn == NULL;
    if (!be_connected(db, err))
        return false;
    if (!run_literal(db, sql, "begin", err)) {
        if (is_new || db->conn != NULL)
            return false;
        pixl_error_clear(err);
        if (!be_connected(db, err) || !run_literal(db, sql, "begin", err))
            return false;
    }
    db->in_transaction = true;
    return true;
}

/* Cursors end with their transaction; what was fetched of them is no longer read. */
static void end_transaction(struct pg_db *db)
{
    db->in_transaction = false;
    struct pg_stmt *s;
    for (size_t at = 0; (s = ptr_map_next(&db->stmts, &at)) != NULL;)
        if (s->has_cursor) {
            s->has_cursor = s->owns_transaction = false;
            sql_reset(&s->base);
        }
}

static bool ops_commit(struct sql *base, struct pixl_error *err)
{
    struct pg_db *db = db_of(base);
    assert(db->in_transaction);
    if (!be_connected(db, err) || !take_pending(db, err))
        return false;
    /* COMMIT of a transaction that failed says "ROLLBACK" and no error. */
    if (PQtransactionStatus(db->conn) != PQTRANS_INTRANS)
        return pixl_fail(err, PIXL_E_INTERNAL, 0, "database: commit of a transaction that failed before");
    if (!run_literal(db, "COMMIT", "commit", err))
        return false;
    end_transaction(db);
    return true;
}

static void ops_rollback(struct sql *base)
{
    struct pg_db *db = db_of(base);
    struct pixl_error ignored = { 0 };
    end_transaction(db);
    if (db->conn == NULL)
        return;
    if (!take_pending(db, &ignored))
        pixl_error_clear(&ignored);
    if (db->conn != NULL && PQtransactionStatus(db->conn) != PQTRANS_IDLE &&
        !run_literal(db, "ROLLBACK", "roll back", &ignored))
        drop_connection(db); /* the server rolls back what no connection holds */
}

static int64_t ops_changes(struct sql *base)
{
    return db_of(base)->changes;
}

/* --- statements ------------------------------------------------------------------------------------------------ */

/* ?1 becomes $1, but in quotes. */
static bool translate(struct pg_stmt *s)
{
    char quote = '\0';
    for (const char *p = s->sql; *p != '\0'; p++) {
        if (quote != '\0' || *p == '\'' || *p == '"')
            quote = quote == '\0' ? *p : quote == *p ? '\0' : quote;
        bool is_param = quote == '\0' && *p == '?' && p[1] >= '0' && p[1] <= '9';
        int n = is_param ? (int)strtol(p + 1, NULL, 10) : 0;
        assert(n <= PARAMS_MAX);
        if (n > s->n_params)
            s->n_params = n;
        if (!buf_add_char(&s->text, is_param ? '$' : *p))
            return false;
    }
    return true;
}

static bool make_stmt(struct pg_db *db, struct sql_text text, struct pg_stmt **out, struct pixl_error *err)
{
    struct pg_stmt *s = calloc(1, sizeof *s);
    if (s == NULL)
        return pixl_fail(err, PIXL_E_NOMEM, 0, "database: statement");
    *s = (struct pg_stmt){ .base.ops = &pg_ops, .db = db, .sql = text.postgres, .is_long = text.is_long };
    s->number = ++db->n_made;
    (void)snprintf(s->name, sizeof s->name, "s%u", s->number);
    buf_init(&s->text, TEXT_MAX_BYTES);
    bool ok = (!s->is_long || buf_addf(&s->text, "DECLARE c%u NO SCROLL CURSOR FOR ", s->number)) && translate(s);
    if (!ok || buf_cstr(&s->text) == NULL) {
        free_stmt(s);
        return pixl_fail(err, PIXL_E_NOMEM, 0, "database: statement");
    }
    *out = s;
    return true;
}

static bool ops_prepare(struct sql *base, struct sql_text text, struct sql_stmt **out, struct pixl_error *err)
{
    struct pg_db *db = db_of(base);
    struct pg_stmt *s = ptr_map_get(&db->stmts, text.postgres);
    if (s == NULL) {
        if (!make_stmt(db, text, &s, err))
            return false;
        if (!ptr_map_put(&db->stmts, text.postgres, s, err)) {
            free_stmt(s);
            return false;
        }
    }
    sql_reset(&s->base);
    *out = &s->base;
    return true;
}

/* Binary form: eight bytes, highest first. */
static void bind_scalar(struct pg_stmt *s, int i, Oid type, uint64_t bits)
{
    assert(i >= 1 && i <= s->n_params);
    s->scalars[i - 1] = __builtin_bswap64(bits);
    s->types[i - 1] = type;
    s->values[i - 1] = (const char *)&s->scalars[i - 1];
    s->lengths[i - 1] = 8;
    s->formats[i - 1] = 1;
}

static void ops_bind_i64(struct sql_stmt *base, int i, int64_t v)
{
    bind_scalar(stmt_of(base), i, OID_INT8, (uint64_t)v);
}

static void ops_bind_double(struct sql_stmt *base, int i, double v)
{
    uint64_t bits;
    memcpy(&bits, &v, sizeof bits);
    bind_scalar(stmt_of(base), i, OID_FLOAT8, bits);
}

static void bind_bytes(struct pg_stmt *s, int i, Oid type, struct str v)
{
    assert(i >= 1 && i <= s->n_params);
    s->too_long |= v.n > INT32_MAX;
    s->types[i - 1] = type;
    s->values[i - 1] = v.n ? v.p : "";
    s->lengths[i - 1] = (int)v.n;
    s->formats[i - 1] = 1;
}

static void ops_bind_str(struct sql_stmt *base, int i, struct str v)
{
    bind_bytes(stmt_of(base), i, OID_TEXT, v);
}

static void ops_bind_array(struct sql_stmt *base, int i, const struct sql_array *a)
{
    bind_bytes(stmt_of(base), i, a->of == SQL_ELEMENT_I64 ? OID_INT8_ARRAY : OID_TEXT_ARRAY, sql_array_bytes(a));
}

/* The server knows the statement with the types of what is bound.  A parameter that was NULL then and has a type now
 * makes it a new one. */
static bool is_known(const struct pg_stmt *s)
{
    if (s->prepared_on != s->db->connection)
        return false;
    for (int i = 0; i < s->n_params; i++)
        if (s->values[i] != NULL && s->types[i] != s->prepared_types[i])
            return false;
    return true;
}

static bool make_known(struct pg_stmt *s, struct pixl_error *err)
{
    struct pg_db *db = s->db;
    if (is_known(s))
        return true;
    if (!take_pending(db, err))
        return false;
    char drop[48];
    (void)snprintf(drop, sizeof drop, "DEALLOCATE %s", s->name);
    if (s->prepared_on == db->connection && !run_literal(db, drop, "prepare a statement", err))
        return false;
    s->prepared_on = 0;
    PGresult *res = PQprepare(db->conn, s->name, buf_cstr(&s->text), s->n_params, s->types);
    bool ok = PQresultStatus(res) == PGRES_COMMAND_OK || fail(db, res, "prepare a statement", err);
    PQclear(res);
    if (!ok)
        return false;
    s->prepared_on = db->connection;
    memcpy(s->prepared_types, s->types, sizeof s->prepared_types);
    return true;
}

static bool send_prepared(struct pg_stmt *s, struct pixl_error *err)
{
    return PQsendQueryPrepared(s->db->conn, s->name, s->n_params, s->values, s->lengths, s->formats, 0) == 1 ||
           fail(s->db, NULL, "run a statement", err);
}

/* Sends it behind what is pending, and takes the answers to all of that and to it. */
static bool run_behind_pending(struct pg_stmt *s, struct pixl_error *err)
{
    struct pg_db *db = s->db;
    if (!send_prepared(s, err))
        return false;
    if (PQpipelineSync(db->conn) != 1)
        return fail(db, NULL, "run a statement", err);
    return take_all(db, db->n_pending + 1, &s->rows, err);
}

static bool take_rows(struct pg_stmt *s, PGresult *res, struct pixl_error *err)
{
    if (!is_good(res)) {
        bool told = fail(s->db, res, "run a statement", err);
        PQclear(res);
        return told;
    }
    PQclear(s->rows);
    s->rows = res;
    s->row = -1;
    return true;
}

static bool fetch(struct pg_stmt *s, struct pixl_error *err)
{
    char sql[64];
    (void)snprintf(sql, sizeof sql, "FETCH %d FROM c%u", ROWS_AT_ONCE, s->number);
    return take_pending(s->db, err) && take_rows(s, PQexec(s->db->conn, sql), err);
}

/* A cursor lives in a transaction: the caller's, else one of its own.  It is not prepared: it runs rarely, and a plan
 * for all parameters would be worse. */
static bool open_cursor(struct pg_stmt *s, struct pixl_error *err)
{
    struct pg_db *db = s->db;
    if (!take_pending(db, err))
        return false;
    if (!db->in_transaction) {
        if (!ops_begin(&db->base, SQL_BEGIN_WRITE, err))
            return false;
        s->owns_transaction = true;
    }
    PGresult *res =
        PQexecParams(db->conn, buf_cstr(&s->text), s->n_params, s->types, s->values, s->lengths, s->formats, 0);
    s->has_cursor = is_good(res);
    bool ok = s->has_cursor || fail(db, res, "run a statement", err);
    PQclear(res);
    return ok && fetch(s, err);
}

static bool run(struct pg_stmt *s, struct pixl_error *err)
{
    struct pg_db *db = s->db;
    if (s->too_long)
        return pixl_fail(err, PIXL_E_LIMIT, 0, "database: a text is too long");
    if (!be_connected(db, err))
        return false;
    if (s->is_long)
        return open_cursor(s, err);
    if (!make_known(s, err))
        return false;
    s->row = -1;
    if (db->n_pending > 0
            ? !run_behind_pending(s, err)
            : !take_rows(s, PQexecPrepared(db->conn, s->name, s->n_params, s->values, s->lengths, s->formats, 0), err))
        return false;
    db->changes = strtoll(PQcmdTuples(s->rows), NULL, 10);
    return true;
}

static bool ops_step(struct sql_stmt *base, bool *row, struct pixl_error *err)
{
    struct pg_stmt *s = stmt_of(base);
    bool ok = s->rows != NULL || run(s, err);
    if (ok && ++s->row == PQntuples(s->rows) && s->is_long && s->row == ROWS_AT_ONCE) {
        ok = fetch(s, err);
        s->row = 0;
    }
    if (ok && s->row < PQntuples(s->rows)) {
        *row = true;
        return true;
    }
    if (ok && s->owns_transaction)
        ok = ops_commit(&s->db->base, err); /* resets it */
    else
        sql_reset(base);
    if (ok)
        *row = false;
    return ok;
}

static bool ops_run(struct sql_stmt *base, struct pixl_error *err)
{
    bool row;
    if (!ops_step(base, &row, err))
        return false;
    sql_reset(base);
    return !row || pixl_fail(err, PIXL_E_INTERNAL, 0, "database: a statement gave rows that nobody reads");
}

static bool send_later(struct pg_stmt *s, struct pixl_error *err)
{
    struct pg_db *db = s->db;
    if (s->too_long)
        return pixl_fail(err, PIXL_E_LIMIT, 0, "database: a text is too long");
    if (!be_connected(db, err) || !make_known(s, err))
        return false;
    if (db->n_pending == 0 && PQenterPipelineMode(db->conn) != 1)
        return fail(db, NULL, "run a statement", err);
    if (!send_prepared(s, err)) {
        if (db->conn != NULL && db->n_pending == 0)
            (void)PQexitPipelineMode(db->conn);
        return false;
    }
    return ++db->n_pending < PENDING_MAX || take_pending(db, err);
}

static bool ops_run_later(struct sql_stmt *base, struct pixl_error *err)
{
    struct pg_stmt *s = stmt_of(base);
    assert(s->db->in_transaction && !s->is_long);
    bool ok = send_later(s, err);
    sql_reset(base);
    return ok;
}

static void ops_reset(struct sql_stmt *base)
{
    struct pg_stmt *s = stmt_of(base);
    struct pg_db *db = s->db;
    PQclear(s->rows);
    s->rows = NULL;
    s->too_long = false;
    memset(s->values, 0, sizeof s->values);
    bool had_cursor = s->has_cursor, owned = s->owns_transaction;
    s->has_cursor = s->owns_transaction = false;
    if (owned)
        ops_rollback(&db->base);
    else if (had_cursor && db->conn != NULL && PQtransactionStatus(db->conn) == PQTRANS_INTRANS) {
        struct pixl_error ignored = { 0 };
        char sql[40];
        (void)snprintf(sql, sizeof sql, "CLOSE c%u", s->number);
        if (!take_pending(db, &ignored) || !run_literal(db, sql, "end a statement", &ignored))
            pixl_error_clear(&ignored); /* the transaction failed; its commit will say so */
    }
}

/* --- columns --------------------------------------------------------------------------------------------------- */

static struct str ops_col_str(struct sql_stmt *base, int i)
{
    const struct pg_stmt *s = stmt_of(base);
    if (PQgetisnull(s->rows, s->row, i))
        return (struct str){ 0 };
    return (struct str){ PQgetvalue(s->rows, s->row, i), (size_t)PQgetlength(s->rows, s->row, i) };
}

static int64_t ops_col_i64(struct sql_stmt *base, int i)
{
    const struct pg_stmt *s = stmt_of(base);
    const char *text = PQgetvalue(s->rows, s->row, i); /* "" for NULL */
    return PQftype(s->rows, i) == OID_BOOL ? text[0] == 't' : strtoll(text, NULL, 10);
}

static double ops_col_double(struct sql_stmt *base, int i)
{
    const struct pg_stmt *s = stmt_of(base);
    return strtod(PQgetvalue(s->rows, s->row, i), NULL);
}

static bool ops_col_is_null(struct sql_stmt *base, int i)
{
    const struct pg_stmt *s = stmt_of(base);
    return PQgetisnull(s->rows, s->row, i) != 0;
}

static const struct sql_ops pg_ops = {
    .exec = ops_exec,
    .begin = ops_begin,
    .commit = ops_commit,
    .rollback = ops_rollback,
    .changes = ops_changes,
    .prepare = ops_prepare,
    .bind_i64 = ops_bind_i64,
    .bind_double = ops_bind_double,
    .bind_str = ops_bind_str,
    .bind_array = ops_bind_array,
    .step = ops_step,
    .run = ops_run,
    .run_later = ops_run_later,
    .reset = ops_reset,
    .col_i64 = ops_col_i64,
    .col_double = ops_col_double,
    .col_str = ops_col_str,
    .col_is_null = ops_col_is_null,
};
