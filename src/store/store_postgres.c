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

static bool open_url(const char *url, struct store_session **out, struct pixl_error *err)
{
    const struct pg_options o = { .url = url,
                                  .setup = "SET search_path = pixl_pipeline; SET jit = off",
                                  .connect_ms = CONNECT_MS,
                                  .statement_ms = STATEMENT_MS,
                                  .lock_ms = LOCK_MS };
    pg_db_auto *db = NULL;
    if (!pg_db_open(&o, &db, err) || !store_postgres_migrate(pg_db_sql(db), err))
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

static bool postgres_open(const char *rest, struct store_session **out, struct pixl_error *err)
{
    size_t n = sizeof "postgresql:" + strlen(rest);
    char *url = malloc(n);
    if (url == NULL)
        return pixl_fail(err, PIXL_E_NOMEM, 0, "store");
    (void)snprintf(url, n, "postgresql:%s", rest);
    bool ok = open_url(url, out, err);
    explicit_bzero(url, n); /* it may hold a password */
    free(url);
    return ok;
}

const struct store_ops store_postgres_ops = {
    .scheme = "postgresql", .sessions = SESSIONS, .open = postgres_open, .close = postgres_close, STORE_SQL_SLOTS
};
