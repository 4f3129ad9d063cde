/* The PostgreSQL store: its connections. */
#include "store_postgres.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/store_sql.h"

enum {
    SESSIONS = 4,
    BATCH_ROWS = 2000, /* what waits for the rows of a populate does not wait long */
    CONNECT_MS = 10 * 1000,
    STATEMENT_MS = 300 * 1000,
    LOCK_MS = 10 * 1000,
};

struct store_postgres {
    struct store_sql sql;
    struct pg_db *db;
};

static void postgres_close(struct store_session *s)
{
    assert(s->ops == &store_postgres_ops);
    struct store_postgres *me = (struct store_postgres *)s;
    pg_db_close(me->db);
    free(me);
}

/* The database behind "postgresql:". */
static bool connect_to(const char *rest, struct pg_db **out, struct pixl_error *err)
{
    size_t n = sizeof "postgresql:" + strlen(rest);
    char *url = malloc(n);
    if (url == NULL)
        return pixl_fail(err, PIXL_E_NOMEM, 0, "store");
    (void)snprintf(url, n, "postgresql:%s", rest);
    const struct pg_options o = { .url = url,
                                  .setup = "SET search_path = pixl_pipeline; SET jit = off",
                                  .connect_ms = CONNECT_MS,
                                  .statement_ms = STATEMENT_MS,
                                  .lock_ms = LOCK_MS };
    bool ok = pg_db_open(&o, out, err);
    explicit_bzero(url, n); /* it may hold a password */
    free(url);
    return ok;
}

static bool postgres_look(const char *rest, struct store_look *out, struct pixl_error *err)
{
    pg_db_auto *db = NULL;
    struct store_look l = { 0 };
    if (!connect_to(rest, &db, err) ||
        !store_postgres_version(pg_db_sql(db), &l.version, &l.newest, &l.server_us, err))
        return pixl_wrap(err, "store");
    if (l.version == 0 && !store_postgres_has_others(pg_db_sql(db), &l.has_others, err))
        return pixl_wrap(err, "store");
    *out = l;
    return true;
}

static bool postgres_open(const char *rest, struct store_session **out, struct pixl_error *err)
{
    pg_db_auto *db = NULL;
    if (!connect_to(rest, &db, err) || !store_postgres_migrate(pg_db_sql(db), err))
        return pixl_wrap(err, "store");
    struct store_postgres *s = calloc(1, sizeof *s);
    if (s == NULL)
        return pixl_fail(err, PIXL_E_NOMEM, 0, "store");
    s->db = PIXL_STEAL(&db);
    s->sql = (struct store_sql){
        .base.ops = &store_postgres_ops, .db = pg_db_sql(s->db), .batch_rows = BATCH_ROWS, .is_far = true
    };
    *out = &s->sql.base;
    return true;
}

/* The server shall notice within a minute when the machine of the lock's holder is gone. */
#define LOCK_SETUP "SET tcp_keepalives_idle = 20; SET tcp_keepalives_interval = 10; SET tcp_keepalives_count = 3"

static bool ask(struct store_session *s, struct sql_text text, bool *yes, struct pixl_error *err)
{
    sql_stmt_auto *q = NULL;
    bool got;
    if (!sql_prepare(store_sql_of(s)->db, text, &q, err) || !sql_step(q, &got, err))
        return false;
    *yes = got && sql_col_i64(q, 0) != 0;
    return true;
}

/* Of this very connection: one that was made anew has lost it. */
static bool postgres_dispatch_holds(struct store_session *s, bool *holds, struct pixl_error *err)
{
    return ask(s,
               SQL("SELECT EXISTS (SELECT FROM pg_catalog.pg_locks WHERE locktype = 'advisory' AND classid = 1"
                   " AND objid = 3806854707 AND objsubid = 1 AND granted AND pid = pg_backend_pid())"),
               holds, err);
}

static bool postgres_dispatch_lock(struct store_session *s, bool *got, struct pixl_error *err)
{
    bool holds;
    if (!sql_exec(store_sql_of(s)->db, SQL(LOCK_SETUP), err) || !postgres_dispatch_holds(s, &holds, err))
        return false;
    if (!holds)
        return ask(s, SQL("SELECT pg_try_advisory_lock(8101822003)"), got, err);
    *got = false;
    return true;
}

const struct store_ops store_postgres_ops = { .scheme = "postgresql",
                                              .sessions = SESSIONS,
                                              .open = postgres_open,
                                              .look = postgres_look,
                                              .close = postgres_close,
                                              .dispatch_lock = postgres_dispatch_lock,
                                              .dispatch_holds = postgres_dispatch_holds,
                                              STORE_SQL_SLOTS };
