/* The store in SQL: which spools hold what waits for its delivery, and forgetting one that is lost. */
#include "store_sql.h"

#include "base/arena.h"

bool store_sql_spools(struct store_session *store, struct arena *a, struct store_spool **out, size_t *n,
                      struct pixl_error *err)
{
    sql_stmt_auto *q = NULL;
    struct store_spool *list = NULL;
    size_t used = 0, room = 0;
    if (!sql_prepare(store_sql_of(store)->db,
                     SQL("SELECT spool, sum(CASE WHEN state = 'kept' THEN 0 ELSE 1 END), sum(CASE WHEN state = 'kept'"
                         " THEN 1 ELSE 0 END) FROM image WHERE spool <> '' AND state IN ('deidentified', 'delivering',"
                         " 'kept') GROUP BY spool ORDER BY spool"),
                     &q, err))
        return false;
    for (;;) {
        bool got;
        if (!sql_step(q, &got, err))
            return false;
        if (!got)
            break;
        struct str name = arena_str(a, sql_col_str(q, 0));
        list = name.p == NULL ? NULL : arena_grow(a, list, used, &room, sizeof *list);
        if (list == NULL)
            return pixl_fail(err, PIXL_E_NOMEM, 0, "list of spools");
        list[used++] = (struct store_spool){ name, sql_col_i64(q, 1), sql_col_i64(q, 2) };
    }
    *out = list;
    *n = used;
    return true;
}

/* The next row after *id whose zip lies there; 0: none. */
static bool next_in_spool(struct store_sql *s, struct str spool, int64_t *id, struct pixl_error *err)
{
    sql_stmt_auto *q = NULL;
    bool got;
    if (!sql_prepare(s->db,
                     SQL("SELECT image_id FROM image WHERE spool = ?1 AND image_id > ?2 AND state IN ('deidentified',"
                         " 'delivering', 'failed', 'held', 'kept') ORDER BY image_id LIMIT 1"),
                     &q, err))
        return false;
    sql_bind_str(q, 1, spool);
    sql_bind_i64(q, 2, *id);
    if (!sql_step(q, &got, err))
        return false;
    *id = got ? sql_col_i64(q, 0) : 0;
    return true;
}

static bool is_delivered_now(struct store_sql *s, int64_t id, int64_t now_us, bool *is, struct pixl_error *err)
{
    sql_stmt_auto *q = NULL;
    if (!sql_prepare(s->db, SQL("SELECT 1 FROM image WHERE image_id = ?1 AND owner <> '' AND lease_until_us >= ?2"), &q,
                     err))
        return false;
    sql_bind_i64(q, 1, id);
    sql_bind_i64(q, 2, now_us);
    return sql_step(q, is, err);
}

/* The zip of a study that has failed or is held: when it is wanted again, the archive is asked. */
static bool forget_zip(struct store_sql *s, int64_t id, struct pixl_error *err)
{
    sql_stmt_auto *q = NULL;
    if (!sql_prepare(s->db, SQL("UPDATE image SET spool = '', zip_digest = '', zip_bytes = 0 WHERE image_id = ?1"), &q,
                     err))
        return false;
    sql_bind_i64(q, 1, id);
    return sql_run(q, err);
}

static bool lose_in(struct store_sql *s, struct str spool, int64_t now_us, int64_t *n, struct pixl_error *err)
{
    for (int64_t id = 0;;) {
        bool is_delivered = false;
        struct store_row r;
        if (!next_in_spool(s, spool, &id, err))
            return false;
        if (id == 0)
            return true;
        if (!store_sql_get_row(s, id, &r, err) || !is_delivered_now(s, id, now_us, &is_delivered, err))
            return false;
        if (!study_can_move(r.state, STUDY_QUEUED)) /* it arrived while its row was waited for */
            continue;
        if (is_delivered)
            return pixl_fail(err, PIXL_E_BUSY, 0, "image %lld is being delivered from that spool", (long long)id);
        ++*n;
        if (r.state == STUDY_FAILED || r.state == STUDY_HELD) {
            if (!forget_zip(s, id, err))
                return false;
            continue;
        }
        struct store_change c = store_sql_change_of(&r, STUDY_QUEUED, now_us);
        c.reason = STUDY_WHY_SPOOL_ERROR;
        c.fence = r.fence + 1; /* who may still have the zip hears STALE */
        c.archive = 0;
        if (!store_sql_change(s, &c, err))
            return false;
    }
}

bool store_sql_lose_spool(struct store_session *store, struct str spool, int64_t now_us, int64_t *n,
                          struct pixl_error *err)
{
    struct store_sql *s = store_sql_of(store);
    int64_t lost = 0;
    bool ok =
        store_sql_begin(s, STORE_LOCK_STUDIES, err) && lose_in(s, spool, now_us, &lost, err) && sql_commit(s->db, err);
    if (!ok)
        store_sql_rollback(s);
    else
        *n = lost;
    return ok;
}
