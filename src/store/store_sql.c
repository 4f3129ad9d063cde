/* The store in SQL: rows and their moves, buckets, facts. */
#include "store_sql.h"

#include <assert.h>
#include <string.h>

struct store_sql *store_sql_of(struct store_session *s)
{
    assert(s->ops == &store_sqlite_ops || s->ops == &store_postgres_ops);
    return (struct store_sql *)s;
}

/* --- transactions ---------------------------------------------------------------------------------------------- */

bool store_sql_begin(struct store_sql *s, enum store_lock lock, struct pixl_error *err)
{
    static const struct sql_text takes[] = {
        [STORE_LOCK_ROWS] = { NULL, NULL, false },
        [STORE_LOCK_STUDIES] = { NULL, "SELECT pg_advisory_xact_lock(8101822000)", false },
        [STORE_LOCK_BUCKETS] = { NULL, "SELECT pg_advisory_xact_lock(8101822001)", false },
    };
    /* Numbers are of one transaction: those of one that was undone may be handed out again, and that a populate was
     * beside another shows in numbers that are fetched after it looked. */
    memset(s->ids, 0, sizeof s->ids);
    return sql_begin(s->db, SQL_BEGIN_WRITE, err) && sql_exec(s->db, takes[lock], err);
}

void store_sql_rollback(struct store_sql *s)
{
    sql_rollback(s->db);
}

/* --- rows ------------------------------------------------------------------------------------------------------ */

bool store_sql_parse_state(struct str name, enum study_state *out, struct pixl_error *err)
{
    return study_state_parse(name, out) || pixl_fail(err, PIXL_E_CORRUPT, 0, "store: a row has an unknown state");
}

bool store_sql_parse_reason(struct str name, enum study_reason *out, struct pixl_error *err)
{
    return study_reason_parse(name, out) || pixl_fail(err, PIXL_E_CORRUPT, 0, "store: a row has an unknown reason");
}

#define GET_ROW                                                                                  \
    "SELECT extract_id, fence, series_version, state, failed_from, attempts, crashes, priority," \
    " zip_digest <> '', merged_into IS NOT NULL, owner, archive FROM image WHERE image_id = ?1"

bool store_sql_get_row(struct store_sql *s, int64_t id, struct store_row *out, struct pixl_error *err)
{
    sql_stmt_auto *q = NULL;
    bool got;
    if (!sql_prepare(s->db, SQL_EACH(GET_ROW, GET_ROW " FOR NO KEY UPDATE"), &q, err))
        return false;
    sql_bind_i64(q, 1, id);
    if (!sql_step(q, &got, err))
        return false;
    if (!got)
        return pixl_fail(err, PIXL_E_NOT_FOUND, 0, "store: there is no image %lld", (long long)id);
    struct store_row r = { .id = id,
                           .extract_id = sql_col_i64(q, 0),
                           .fence = sql_col_i64(q, 1),
                           .series_version = sql_col_i64(q, 2),
                           .failed_from = STUDY_QUEUED,
                           .attempts = (int)sql_col_i64(q, 5),
                           .crashes = (int)sql_col_i64(q, 6),
                           .priority = (int)sql_col_i64(q, 7),
                           .has_zip = sql_col_i64(q, 8) != 0,
                           .is_merged = sql_col_i64(q, 9) != 0,
                           .archive = (int)sql_col_i64(q, 11) };
    struct str owner = sql_col_str(q, 10);
    if (owner.n >= sizeof r.owner)
        return pixl_fail(err, PIXL_E_CORRUPT, 0, "store: image %lld has an owner that is too long", (long long)id);
    if (owner.n > 0)
        memcpy(r.owner, owner.p, owner.n);
    if (!store_sql_parse_state(sql_col_str(q, 3), &r.state, err) ||
        (!sql_col_is_null(q, 4) && !store_sql_parse_state(sql_col_str(q, 4), &r.failed_from, err)))
        return false;
    *out = r;
    return true;
}

/* --- moves ----------------------------------------------------------------------------------------------------- */

static bool is_claimed(enum study_state s)
{
    return s == STUDY_RETRIEVING || s == STUDY_DELIVERING;
}

static bool is_waiting(enum study_state s)
{
    return s == STUDY_QUEUED || s == STUDY_DEIDENTIFIED;
}

/* Where failed_from tells retry the way back. */
static bool has_way_back(enum study_state s)
{
    return s == STUDY_FAILED || s == STUDY_HELD;
}

/* States in which a zip of this study may lie in the spool or at the destination. */
static bool may_have_zip(enum study_state s)
{
    return s == STUDY_DEIDENTIFIED || s == STUDY_DELIVERING || s == STUDY_EXPORTED || s == STUDY_KEPT ||
           has_way_back(s);
}

struct store_change store_sql_change_of(const struct store_row *row, enum study_state to, int64_t now_us)
{
    return (struct store_change){ .row = row,
                                  .to = to,
                                  .now_us = now_us,
                                  .fence = row->fence,
                                  .attempts = row->attempts,
                                  .crashes = row->crashes,
                                  .archive = -1,
                                  .zip_bytes = -1,
                                  .instances_found = -1,
                                  .instances_delivered = -1,
                                  .instances_skipped = -1 };
}

static void bind_cstr_if(struct sql_stmt *q, int i, const char *s)
{
    if (s != NULL)
        sql_bind_str(q, i, str_of(s));
}

static void bind_i64_if(struct sql_stmt *q, int i, int64_t v)
{
    if (v >= 0)
        sql_bind_i64(q, i, v);
}

static struct str state_str(enum study_state s)
{
    return str_of(study_state_name(s));
}

/* Parameters that are not bound are NULL: COALESCE then keeps what is there.  ?21 drops what belongs to a zip. */
#define CHANGE(exported_at)                                                                                          \
    "UPDATE image SET state = ?4, failed_from = ?5, reason = ?6, detail = ?7, attempts = ?8, crashes = ?9, fence = " \
    "?10,"                                                                                                           \
    " owner = ?11, lease_until_us = ?12, not_before_us = ?13, updated_us = ?14,"                                     \
    " exported_at = CASE WHEN ?4 = 'exported' THEN " exported_at " ELSE exported_at END,"                            \
    " pseudo_study_uid = coalesce(?15, pseudo_study_uid),"                                                           \
    " zip_digest = coalesce(?16, CASE WHEN ?21 <> 0 THEN '' ELSE zip_digest END),"                                   \
    " zip_bytes = coalesce(?17, CASE WHEN ?21 <> 0 THEN 0 ELSE zip_bytes END),"                                      \
    " instances_found = coalesce(?18, CASE WHEN ?21 <> 0 THEN 0 ELSE instances_found END),"                          \
    " instances_delivered = coalesce(?19, CASE WHEN ?21 <> 0 THEN 0 ELSE instances_delivered END),"                  \
    " instances_skipped = coalesce(?20, CASE WHEN ?21 <> 0 THEN 0 ELSE instances_skipped END),"                      \
    " archive = coalesce(?22, archive), spool = coalesce(?23, CASE WHEN ?21 <> 0 THEN '' ELSE spool END)"            \
    " WHERE image_id = ?1 AND state = ?2 AND fence = ?3"

static bool update_row(struct store_sql *s, const struct store_change *c, struct pixl_error *err)
{
    const struct store_row *r = c->row;
    sql_stmt_auto *q = NULL;
    if (!sql_prepare(s->db, SQL_EACH(CHANGE("max(?14, 1)"), CHANGE(STORE_PG_TIME("greatest(?14, 1)"))), &q, err))
        return false;
    sql_bind_i64(q, 1, r->id);
    sql_bind_str(q, 2, state_str(r->state));
    sql_bind_i64(q, 3, r->fence);
    sql_bind_str(q, 4, state_str(c->to));
    if (has_way_back(c->to))
        sql_bind_str(q, 5, state_str(r->state));
    sql_bind_str(q, 6, str_of(study_reason_name(c->reason)));
    sql_bind_str(q, 7, c->detail);
    sql_bind_i64(q, 8, c->attempts);
    sql_bind_i64(q, 9, c->crashes);
    sql_bind_i64(q, 10, c->fence);
    sql_bind_str(q, 11, c->owner);
    sql_bind_i64(q, 12, c->lease_until_us);
    sql_bind_i64(q, 13, is_waiting(c->to) && c->not_before_us > 0 ? c->not_before_us : 0);
    sql_bind_i64(q, 14, c->now_us);
    bind_cstr_if(q, 15, c->pseudo_study_uid);
    bind_cstr_if(q, 16, c->zip_digest);
    bind_i64_if(q, 17, c->zip_bytes);
    bind_i64_if(q, 18, c->instances_found);
    bind_i64_if(q, 19, c->instances_delivered);
    bind_i64_if(q, 20, c->instances_skipped);
    sql_bind_i64(q, 21, !may_have_zip(c->to));
    bind_i64_if(q, 22, c->archive);
    bind_cstr_if(q, 23, c->spool);
    if (!sql_run(q, err)) {
        if (err->code != PIXL_E_EXISTS)
            return pixl_wrap(err, "image %lld", (long long)r->id);
        pixl_error_clear(err); /* the one unique rule that this statement can break */
        return pixl_fail(err, PIXL_E_EXISTS, 0, "store: another image has the pseudo study UID of image %lld",
                         (long long)r->id);
    }
    if (sql_changes(s->db) != 1)
        return pixl_fail(err, PIXL_E_STALE, 0, "store: image %lld was claimed anew", (long long)r->id);
    return true;
}

static bool insert_event(struct store_sql *s, const struct store_change *c, struct pixl_error *err)
{
    const struct store_row *r = c->row;
    sql_stmt_auto *q = NULL;
    if (!sql_prepare(s->db,
                     SQL("INSERT INTO image_event (image_id, event_no, at_us, from_state, to_state, fence, attempt,"
                         " reason, detail, owner) SELECT ?1, 1 + max(event_no), ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9"
                         " FROM image_event WHERE image_id = ?1"),
                     &q, err))
        return false;
    sql_bind_i64(q, 1, r->id);
    sql_bind_i64(q, 2, c->now_us);
    sql_bind_str(q, 3, state_str(r->state));
    sql_bind_str(q, 4, state_str(c->to));
    sql_bind_i64(q, 5, c->fence);
    sql_bind_i64(q, 6, c->attempts);
    sql_bind_str(q, 7, str_of(study_reason_name(c->reason)));
    sql_bind_str(q, 8, c->detail);
    sql_bind_str(q, 9, c->owner.n > 0 ? c->owner : str_of(r->owner));
    return sql_run(q, err);
}

bool store_sql_change(struct store_sql *s, const struct store_change *c, struct pixl_error *err)
{
    const struct store_row *r = c->row;
    if (!study_can_move(r->state, c->to))
        return pixl_fail(err, PIXL_E_INTERNAL, 0, "store: image %lld cannot go from %s to %s", (long long)r->id,
                         study_state_name(r->state), study_state_name(c->to));
    if (is_claimed(c->to) != (c->owner.n > 0))
        return pixl_fail(err, PIXL_E_INTERNAL, 0, "store: image %lld: only a claim leads to %s", (long long)r->id,
                         study_state_name(c->to));
    return update_row(s, c, err) && insert_event(s, c, err);
}

static bool forget_skipped(struct store_sql *s, int64_t image, struct pixl_error *err)
{
    sql_stmt_auto *q = NULL;
    if (!sql_prepare(s->db, SQL("DELETE FROM instance_skipped WHERE image_id = ?1"), &q, err))
        return false;
    sql_bind_i64(q, 1, image);
    return sql_run(q, err);
}

/* What an attempt left out takes the place of what the one before did. */
static bool note_skipped(struct store_sql *s, const struct store_move *m, struct pixl_error *err)
{
    if (!forget_skipped(s, m->image, err))
        return false;
    for (size_t i = 0; i < STUDY_REASON_COUNT; i++) {
        if (m->skipped_by[i] == 0)
            continue;
        sql_stmt_auto *q = NULL;
        if (!sql_prepare(s->db, SQL("INSERT INTO instance_skipped (image_id, reason, instances) VALUES (?1, ?2, ?3)"),
                         &q, err))
            return false;
        sql_bind_i64(q, 1, m->image);
        sql_bind_str(q, 2, str_of(study_reason_name((enum study_reason)i)));
        sql_bind_i64(q, 3, m->skipped_by[i]);
        if (!sql_run(q, err))
            return false;
    }
    return true;
}

static bool move_in(struct store_sql *s, const struct store_move *m, bool *widened, struct pixl_error *err)
{
    struct store_row r;
    if (!store_sql_get_row(s, m->image, &r, err))
        return false;
    if (r.fence != m->fence)
        return pixl_fail(err, PIXL_E_STALE, 0, "store: image %lld was claimed anew", (long long)m->image);
    if ((m->from >= 0 && (int)r.state != m->from) || !study_can_move(r.state, m->to)) /* told also when the row would only be queued again */
        return pixl_fail(err, PIXL_E_INTERNAL, 0, "store: image %lld cannot go from %s to %s", (long long)m->image,
                         study_state_name(r.state), study_state_name(m->to));
    *widened = m->series_version >= 0 && m->series_version != r.series_version;
    struct store_change c = store_sql_change_of(&r, *widened ? STUDY_QUEUED : m->to, m->now_us);
    if (*widened) /* what was done does not count: the work begins anew, at once */
        return store_sql_change(s, &c, err);
    c.attempts += m->count_attempt;
    c.crashes += m->count_crash;
    c.reason = m->reason;
    c.detail = str_of(m->detail);
    c.not_before_us = m->not_before_us;
    c.pseudo_study_uid = m->pseudo_study_uid;
    c.zip_digest = m->zip_digest;
    c.spool = m->spool;
    c.archive = m->archive;
    c.zip_bytes = m->zip_bytes;
    c.instances_found = m->instances_found;
    c.instances_delivered = m->instances_delivered;
    c.instances_skipped = m->instances_skipped;
    return store_sql_change(s, &c, err) && (m->skipped_by == NULL || note_skipped(s, m, err));
}

bool store_sql_move(struct store_session *store, const struct store_move *m, bool *widened, struct pixl_error *err)
{
    struct store_sql *s = store_sql_of(store);
    bool back = false;
    bool ok = store_sql_begin(s, STORE_LOCK_ROWS, err) && move_in(s, m, &back, err) && sql_commit(s->db, err);
    if (!ok)
        store_sql_rollback(s);
    else
        *widened = back;
    return ok;
}

/* --- retry ----------------------------------------------------------------------------------------------------- */

static bool retry_row(struct store_sql *s, const struct store_row *r, int64_t now_us, int64_t *n,
                      struct pixl_error *err)
{
    enum study_state target;
    if (r->is_merged || !study_retry_target(r->state, r->failed_from, &target))
        return true;
    if (target == STUDY_DEIDENTIFIED && !r->has_zip)
        target = STUDY_QUEUED;
    struct store_change c = store_sql_change_of(r, target, now_us);
    c.attempts = c.crashes = 0;
    if (target == STUDY_QUEUED)
        c.archive = 0;
    c.fence = r->fence + 1; /* whoever once claimed it has nothing to say any more */
    ++*n;
    return store_sql_change(s, &c, err);
}

static bool is_wanted(const struct store_row *r, const struct store_filter *f, int64_t extract_id)
{
    return (f->project.n == 0 || r->extract_id == extract_id) && (f->states == 0 || (f->states >> r->state & 1) != 0);
}

/* The number after `after` of a row in a state that the filter may mean; a query for each, as the rows change between
 * them. */
static bool next_end_row(struct store_sql *s, int64_t after, int64_t *id, struct pixl_error *err)
{
    sql_stmt_auto *q = NULL;
    bool got;
    if (!sql_prepare(s->db,
                     SQL("SELECT image_id FROM image WHERE image_id > ?1 AND state IN ('missing', 'skipped', 'failed',"
                         " 'withheld', 'held', 'adopted') ORDER BY image_id LIMIT 1"),
                     &q, err))
        return false;
    sql_bind_i64(q, 1, after);
    if (!sql_step(q, &got, err))
        return false;
    *id = got ? sql_col_i64(q, 0) : 0;
    return true;
}

static bool retry_in(struct store_sql *s, const struct store_filter *f, const int64_t *images, size_t n_images,
                     int64_t now_us, int64_t *n, struct pixl_error *err)
{
    static const struct store_filter all = { .states = 0 };
    if (f == NULL)
        f = &all;
    int64_t extract_id = 0, id = 0;
    if (f->project.n > 0 && !store_sql_find_extract(s, f->project, &extract_id, err))
        return false;
    for (size_t i = 0; images == NULL || i < n_images; i++) {
        if (images == NULL && !next_end_row(s, id, &id, err))
            return false;
        if (images != NULL)
            id = images[i];
        else if (id == 0)
            return true;
        struct store_row r;
        if (!store_sql_get_row(s, id, &r, err))
            return false;
        if (is_wanted(&r, f, extract_id) && !retry_row(s, &r, now_us, n, err))
            return false;
    }
    return true;
}

bool store_sql_retry(struct store_session *store, const struct store_filter *f, const int64_t *images, size_t n_images,
                     int64_t now_us, int64_t *n, struct pixl_error *err)
{
    struct store_sql *s = store_sql_of(store);
    int64_t moved = 0;
    bool ok = store_sql_begin(s, STORE_LOCK_STUDIES, err) && retry_in(s, f, images, n_images, now_us, &moved, err) &&
              sql_commit(s->db, err);
    if (!ok)
        store_sql_rollback(s);
    else
        *n = moved;
    return ok;
}

/* --- buckets and facts ----------------------------------------------------------------------------------------- */

static bool read_bucket(struct store_sql *s, const char *name, struct store_bucket *out, struct pixl_error *err)
{
    sql_stmt_auto *q = NULL;
    bool got;
    if (!sql_prepare(s->db, SQL("SELECT rate_per_s, capacity, tokens, at_us FROM bucket WHERE name = ?1"), &q, err))
        return false;
    sql_bind_str(q, 1, str_of(name));
    if (!sql_step(q, &got, err))
        return false;
    *out = got ? (struct store_bucket){ sql_col_double(q, 0), sql_col_double(q, 1), sql_col_double(q, 2),
                                        sql_col_i64(q, 3), false }
               : (struct store_bucket){ .is_new = true };
    return true;
}

static bool write_bucket(struct store_sql *s, const char *name, const struct store_bucket *b, struct pixl_error *err)
{
    sql_stmt_auto *q = NULL;
    if (!sql_prepare(s->db,
                     SQL("INSERT INTO bucket VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT (name) DO UPDATE SET"
                         " rate_per_s = ?2, capacity = ?3, tokens = ?4, at_us = ?5"),
                     &q, err))
        return false;
    sql_bind_str(q, 1, str_of(name));
    sql_bind_double(q, 2, b->rate_per_s);
    sql_bind_double(q, 3, b->capacity);
    sql_bind_double(q, 4, b->tokens);
    sql_bind_i64(q, 5, b->at_us);
    return sql_run(q, err);
}

bool store_sql_change_bucket(struct store_session *store, const char *name,
                             bool (*change)(void *ctx, struct store_bucket *b), void *ctx, struct pixl_error *err)
{
    struct store_sql *s = store_sql_of(store);
    struct store_bucket b;
    bool ok = store_sql_begin(s, STORE_LOCK_BUCKETS, err) && read_bucket(s, name, &b, err) &&
              (!change(ctx, &b) || write_bucket(s, name, &b, err)) && sql_commit(s->db, err);
    if (!ok)
        store_sql_rollback(s);
    return ok;
}

bool store_sql_meta_get(struct store_session *store, const char *key, struct arena *a, struct str *out, bool *got,
                        struct pixl_error *err)
{
    sql_stmt_auto *q = NULL;
    bool there;
    if (!sql_prepare(store_sql_of(store)->db, SQL("SELECT value FROM meta WHERE key = ?1"), &q, err))
        return false;
    sql_bind_str(q, 1, str_of(key));
    if (!sql_step(q, &there, err))
        return false;
    struct str value = there ? arena_str(a, sql_col_str(q, 0)) : (struct str){ 0 };
    if (there && value.p == NULL)
        return pixl_fail(err, PIXL_E_NOMEM, 0, "store: a fact");
    *out = value;
    *got = there;
    return true;
}

static bool put_meta(struct store_sql *s, const char *key, struct str value, struct pixl_error *err)
{
    sql_stmt_auto *q = NULL;
    if (!sql_prepare(s->db, SQL("INSERT INTO meta VALUES (?1, ?2) ON CONFLICT (key) DO NOTHING"), &q, err))
        return false;
    sql_bind_str(q, 1, str_of(key));
    sql_bind_str(q, 2, value);
    return sql_run(q, err);
}

bool store_sql_meta_put_if_absent(struct store_session *store, const char *key, struct str value, struct arena *a,
                                  struct str *out, struct pixl_error *err)
{
    struct store_sql *s = store_sql_of(store);
    struct str stored = { 0 };
    bool got = false;
    bool ok = store_sql_begin(s, STORE_LOCK_ROWS, err) && put_meta(s, key, value, err) &&
              store_sql_meta_get(store, key, a, &stored, &got, err) && sql_commit(s->db, err);
    if (!ok) {
        store_sql_rollback(s);
        return false;
    }
    assert(got);
    *out = stored;
    return true;
}
