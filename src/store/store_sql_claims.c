/* The store in SQL: who works on what. */
#include "store_sql.h"

#include <assert.h>
#include <stdint.h>
#include <string.h>

#include "store_sql_read.h"

static enum study_state waiting_state(enum store_work w)
{
    return w == STORE_WORK_RETRIEVE ? STUDY_QUEUED : STUDY_DEIDENTIFIED;
}

static enum study_state claimed_state(enum store_work w)
{
    return w == STORE_WORK_RETRIEVE ? STUDY_RETRIEVING : STUDY_DELIVERING;
}

/* --- claim ----------------------------------------------------------------------------------------------------- */

/* The first due row of one project and one place (an archive, a spool).  SQLite's planner fails, instead of being slow,
 * when it cannot use the index. */
#define FIRST_DUE(day, index, state, place, nulls)                                                           \
    "SELECT image_id, priority, " day " FROM image" index " WHERE state = '" state "' AND not_before_us = 0" \
    " AND extract_id = ?1 AND " place " = ?3 AND (crashes > 0) = (?2 <> 0)"                                  \
    " ORDER BY priority DESC, study_date" nulls ", image_id LIMIT 1"
#define FIRST_DUE_LITE(state, place) FIRST_DUE("study_date", " INDEXED BY image_" state, state, place, "")
#define FIRST_DUE_PG(state, place)   FIRST_DUE(STORE_PG_DAY("study_date"), "", state, place, " NULLS FIRST")
#define PG_KEEP                      " FOR NO KEY UPDATE SKIP LOCKED"
/* By work, and by whether the row is kept from others, passing over those that others keep.  SQLite has one writer. */
static const struct sql_text first_due[][2] = {
    [STORE_WORK_RETRIEVE] = { { FIRST_DUE_LITE("queued", "archive"), FIRST_DUE_PG("queued", "archive"), false },
                              { FIRST_DUE_LITE("queued", "archive"), FIRST_DUE_PG("queued", "archive") PG_KEEP,
                                false } },
    [STORE_WORK_DELIVER] = { { FIRST_DUE_LITE("deidentified", "spool"), FIRST_DUE_PG("deidentified", "spool"), false },
                             { FIRST_DUE_LITE("deidentified", "spool"), FIRST_DUE_PG("deidentified", "spool") PG_KEEP,
                               false } },
};

/* The places of a claim: archives, or spools.  Two of either. */
enum { PLACES = STORE_ARCHIVES };

static bool is_allowed_place(const struct store_claim *c, int place)
{
    if (c->work == STORE_WORK_RETRIEVE)
        return c->archives == 0 || (c->archives >> place & 1) != 0;
    return place == 0 || c->spool.n > 0;
}

static void bind_place(struct sql_stmt *q, int param, const struct store_claim *c, int place)
{
    if (c->work == STORE_WORK_RETRIEVE)
        sql_bind_i64(q, param, place);
    else
        sql_bind_str(q, param, place == 0 ? STR("") : c->spool);
}

static const char EACH_EXTRACT[] = "SELECT extract_id, slug FROM extract";

struct candidate {
    int64_t id, priority, study_date; /* id 0: none */
    int64_t extract_id;
    int place;
};

static bool is_before(const struct candidate *a, const struct candidate *b)
{
    if (a->id == 0 || b->id == 0)
        return a->id != 0;
    if (a->priority != b->priority)
        return a->priority > b->priority;
    if (a->study_date != b->study_date)
        return a->study_date < b->study_date;
    return a->id < b->id;
}

static bool find_in_place(struct store_sql *s, const struct store_claim *c, bool keep, int64_t extract_id, int place,
                          struct candidate *out, struct pixl_error *err)
{
    sql_stmt_auto *q = NULL;
    bool got;
    if (!sql_prepare(s->db, first_due[c->work][keep], &q, err))
        return false;
    sql_bind_i64(q, 1, extract_id);
    sql_bind_i64(q, 2, c->suspects);
    bind_place(q, 3, c, place);
    if (!sql_step(q, &got, err))
        return false;
    *out = got ? (struct candidate){ sql_col_i64(q, 0), sql_col_i64(q, 1), sql_col_i64(q, 2), extract_id, place }
               : (struct candidate){ 0 };
    return true;
}

static bool find_in_project(struct store_sql *s, const struct store_claim *c, bool keep, int64_t extract_id,
                            struct candidate *best, struct pixl_error *err)
{
    for (int place = 0; place < PLACES; place++) {
        struct candidate one;
        if (!is_allowed_place(c, place))
            continue;
        if (!find_in_place(s, c, keep, extract_id, place, &one, err))
            return false;
        if (is_before(&one, best))
            *best = one;
    }
    return true;
}

static bool is_left_out(const struct str *without, size_t n_without, struct str slug)
{
    for (size_t i = 0; i < n_without; i++)
        if (str_eq(slug, without[i]))
            return true;
    return false;
}

/* Project by project, so that the rows of one that is left out are never passed over. */
static bool find_first(struct store_sql *s, const struct store_claim *c, bool keep, struct candidate *out,
                       struct pixl_error *err)
{
    sql_stmt_auto *q = NULL;
    struct candidate best = { 0 };
    bool got;
    if (!sql_prepare(s->db, SQL(EACH_EXTRACT), &q, err))
        return false;
    for (;;) {
        if (!sql_step(q, &got, err))
            return false;
        if (!got)
            break;
        if (is_left_out(c->without_projects, c->n_without, sql_col_str(q, 1)))
            continue;
        if (!find_in_project(s, c, keep, sql_col_i64(q, 0), &best, err))
            return false;
    }
    *out = best;
    return true;
}

#define IS_WAITING_OVER(index)                                            \
    "SELECT 1 FROM image" index " WHERE state = ?1 AND not_before_us > 0" \
    " AND (not_before_us <= ?2 OR not_before_us > ?3) LIMIT 1"

/* A look without the write lock: most of the time there is nothing to do, and writers shall not queue up for that. */
static bool is_anything_due(struct store_sql *s, const struct store_claim *c, bool *any, struct pixl_error *err)
{
    sql_stmt_auto *q = NULL;
    if (!sql_prepare(s->db, SQL_EACH(IS_WAITING_OVER(" INDEXED BY image_waiting"), IS_WAITING_OVER("")), &q, err))
        return false;
    sql_bind_str(q, 1, str_of(study_state_name(waiting_state(c->work))));
    sql_bind_i64(q, 2, c->now_us);
    sql_bind_i64(q, 3, c->now_us + STORE_PUT_OFF_MAX_US);
    struct candidate first;
    if (!sql_step(q, any, err))
        return false;
    if (*any)
        return true;
    if (!find_first(s, c, false, &first, err))
        return false;
    *any = first.id != 0;
    return true;
}

/* A row that somebody else changes is not waited for: it is no longer in this state, or the next claim finds it. */
#define PG_END_WAITING                                                                 \
    "UPDATE image SET not_before_us = 0 WHERE image_id IN (SELECT image_id FROM image" \
    " WHERE state = ?1 AND not_before_us > 0 "

/* Puts the rows whose time has come among those that are due. */
static bool end_waiting(struct store_sql *s, const struct store_claim *c, struct pixl_error *err)
{
    sql_stmt_auto *q = NULL;
    if (!sql_prepare(s->db,
                     SQL_EACH("UPDATE image INDEXED BY image_waiting SET not_before_us = 0 WHERE state = ?1"
                              " AND not_before_us > 0 AND (not_before_us <= ?2 OR not_before_us > ?3)",
                              PG_END_WAITING "AND (not_before_us <= ?2 OR not_before_us > ?3)" PG_KEEP ")"),
                     &q, err))
        return false;
    sql_bind_str(q, 1, str_of(study_state_name(waiting_state(c->work))));
    sql_bind_i64(q, 2, c->now_us);
    sql_bind_i64(q, 3, c->now_us + STORE_PUT_OFF_MAX_US);
    return sql_run(q, err);
}

/* The first row of all projects, kept from others.  Where others are just taking all that its project has, the first of
 * every project is kept while one is chosen. */
static bool keep_first(struct store_sql *s, const struct store_claim *c, struct candidate *out, struct pixl_error *err)
{
    struct candidate first;
    if (!find_first(s, c, false, &first, err))
        return false;
    if (first.id == 0) {
        *out = first;
        return true;
    }
    if (!find_in_place(s, c, true, first.extract_id, first.place, out, err))
        return false;
    return out->id != 0 || find_first(s, c, true, out, err);
}

static bool take(struct store_sql *s, const struct store_claim *c, int64_t id, struct arena *a, bool *got,
                 struct store_image *out, struct pixl_error *err)
{
    struct store_row r;
    if (!store_sql_get_row(s, id, &r, err))
        return false;
    struct store_change change = store_sql_change_of(&r, claimed_state(c->work), c->now_us);
    change.fence = r.fence + 1;
    change.owner = str_of(c->owner);
    change.lease_until_us = c->now_us + c->lease_us;
    return store_sql_change(s, &change, err) && store_sql_read_image(s, id, a, got, out, err);
}

static bool claim_in(struct store_sql *s, const struct store_claim *c, struct arena *a, bool *got,
                     struct store_image *out, struct pixl_error *err)
{
    struct candidate first;
    if (!end_waiting(s, c, err) || !keep_first(s, c, &first, err))
        return false;
    *got = first.id != 0;
    return !*got || take(s, c, first.id, a, got, out, err);
}

bool store_sql_claim_next(struct store_session *store, const struct store_claim *c, struct arena *a, bool *got,
                          struct store_image *out, struct pixl_error *err)
{
    struct store_sql *s = store_sql_of(store);
    bool any;
    if (!is_anything_due(s, c, &any, err))
        return false;
    if (!any) {
        *got = false;
        return true;
    }
    bool found = false;
    struct store_image image;
    bool ok =
        store_sql_begin(s, STORE_LOCK_ROWS, err) && claim_in(s, c, a, &found, &image, err) && sql_commit(s->db, err);
    if (!ok) {
        store_sql_rollback(s);
        return false;
    }
    if (found)
        *out = image;
    *got = found;
    return true;
}

/* One row, if it is due and its project, its place and its crashes are as the claim wants them.  A row that somebody else changes is
 * waited for: who is told that it is not due forgets the hint, and it may only be that its hint is being noted. */
#define IF_DUE                                                                                    \
    "SELECT x.slug, i.archive, i.spool FROM image i JOIN extract x USING (extract_id)"            \
    " WHERE i.image_id = ?1 AND i.state = ?2 AND (i.not_before_us <= ?3 OR i.not_before_us > ?4)" \
    " AND (i.crashes > 0) = (?5 <> 0)"
static bool is_due(struct store_sql *s, const struct store_claim *c, bool keep, int64_t image, bool *due,
                   struct pixl_error *err)
{
    static const struct sql_text text[] = { { IF_DUE, IF_DUE, false },
                                            { IF_DUE, IF_DUE " FOR NO KEY UPDATE OF i", false } };
    sql_stmt_auto *q = NULL;
    bool got;
    if (!sql_prepare(s->db, text[keep], &q, err))
        return false;
    sql_bind_i64(q, 1, image);
    sql_bind_str(q, 2, str_of(study_state_name(waiting_state(c->work))));
    sql_bind_i64(q, 3, c->now_us);
    sql_bind_i64(q, 4, c->now_us + STORE_PUT_OFF_MAX_US);
    sql_bind_i64(q, 5, c->suspects);
    if (!sql_step(q, &got, err))
        return false;
    *due = got && !is_left_out(c->without_projects, c->n_without, sql_col_str(q, 0));
    if (*due && c->work == STORE_WORK_RETRIEVE)
        *due = is_allowed_place(c, (int)sql_col_i64(q, 1));
    else if (*due)
        *due = sql_col_str(q, 2).n == 0 || str_eq(sql_col_str(q, 2), c->spool);
    return true;
}

static bool claim_this_in(struct store_sql *s, const struct store_claim *c, int64_t image, struct arena *a, bool *got,
                          struct store_image *out, struct pixl_error *err)
{
    return is_due(s, c, true, image, got, err) && (!*got || take(s, c, image, a, got, out, err));
}

/* Most hints name a row that is done or being done: a look is enough for those. */
bool store_sql_claim_image(struct store_session *store, const struct store_claim *c, int64_t image, struct arena *a,
                           bool *got, struct store_image *out, struct pixl_error *err)
{
    struct store_sql *s = store_sql_of(store);
    struct store_image m;
    bool due, found = false;
    if (!is_due(s, c, false, image, &due, err))
        return false;
    if (!due) {
        *got = false;
        return true;
    }
    bool ok = store_sql_begin(s, STORE_LOCK_ROWS, err) && claim_this_in(s, c, image, a, &found, &m, err) &&
              sql_commit(s->db, err);
    if (!ok) {
        store_sql_rollback(s);
        return false;
    }
    if (found)
        *out = m;
    *got = found;
    return true;
}

#define NEXT_DUE(state, place)                                                                               \
    "SELECT EXISTS (SELECT 1 FROM image WHERE state = '" state "' AND not_before_us = 0 AND extract_id = ?1" \
    " AND " place " = ?2), (SELECT min(not_before_us) FROM image WHERE state = '" state "'"                  \
    " AND not_before_us > 0 AND extract_id = ?1 AND " place " = ?2)"
static bool next_due_in_place(struct store_sql *s, const struct store_claim *c, int64_t extract_id, int place,
                              int64_t *due_us, struct pixl_error *err)
{
    static const char *const sql[] = {
        [STORE_WORK_RETRIEVE] = NEXT_DUE("queued", "archive"),
        [STORE_WORK_DELIVER] = NEXT_DUE("deidentified", "spool"),
    };
    sql_stmt_auto *q = NULL;
    bool got;
    if (!sql_prepare(s->db, SQL(sql[c->work]), &q, err))
        return false;
    sql_bind_i64(q, 1, extract_id);
    bind_place(q, 2, c, place);
    if (!sql_step(q, &got, err))
        return false;
    assert(got);
    *due_us = sql_col_i64(q, 0) != 0 ? 0 : sql_col_is_null(q, 1) ? INT64_MAX : sql_col_i64(q, 1);
    return true;
}

bool store_sql_next_due(struct store_session *store, const struct store_claim *c, int64_t *due_us,
                        struct pixl_error *err)
{
    struct store_sql *s = store_sql_of(store);
    sql_stmt_auto *q = NULL;
    int64_t first = INT64_MAX;
    if (!sql_prepare(s->db, SQL(EACH_EXTRACT), &q, err))
        return false;
    for (bool got;;) {
        int64_t one;
        if (!sql_step(q, &got, err))
            return false;
        if (!got)
            break;
        if (is_left_out(c->without_projects, c->n_without, sql_col_str(q, 1)))
            continue;
        for (int place = 0; place < PLACES; place++) {
            if (!is_allowed_place(c, place))
                continue;
            if (!next_due_in_place(s, c, sql_col_i64(q, 0), place, &one, err))
                return false;
            first = one < first ? one : first;
        }
    }
    *due_us = first;
    return true;
}

/* --- leases ---------------------------------------------------------------------------------------------------- */

static bool renew_in(struct store_sql *s, const char *owner, const int64_t *images, size_t n, int64_t lease_until_us,
                     struct pixl_error *err)
{
    for (size_t i = 0; i < n; i++) {
        sql_stmt_auto *q = NULL;
        if (!sql_prepare(s->db, SQL("UPDATE image SET lease_until_us = ?3 WHERE image_id = ?1 AND owner = ?2"), &q,
                         err))
            return false;
        sql_bind_i64(q, 1, images[i]);
        sql_bind_str(q, 2, str_of(owner));
        sql_bind_i64(q, 3, lease_until_us);
        if (!sql_run_later(q, err))
            return false;
    }
    return true;
}

bool store_sql_renew_claims(struct store_session *store, const char *owner, const int64_t *images, size_t n,
                            int64_t lease_until_us, struct pixl_error *err)
{
    struct store_sql *s = store_sql_of(store);
    bool ok = store_sql_begin(s, STORE_LOCK_STUDIES, err) && renew_in(s, owner, images, n, lease_until_us, err) &&
              sql_commit(s->db, err);
    if (!ok)
        store_sql_rollback(s);
    return ok;
}

#define NEXT_LOST(index)                                    \
    "SELECT image_id FROM image" index " WHERE owner <> ''" \
    " AND (lease_until_us < ?1 OR substr(owner, 1, length(?2)) = ?2) AND (image_id = ?3 OR ?3 = 0) LIMIT 1"

/* A lost claim; only: of this row, 0: of any.  *id 0: none.  Each one that was given back is no longer among them. */
static bool next_lost(struct store_sql *s, const char *dead, int64_t now_us, int64_t only, int64_t *id,
                      struct pixl_error *err)
{
    sql_stmt_auto *q = NULL;
    bool got;
    if (!sql_prepare(s->db, SQL_EACH(NEXT_LOST(" INDEXED BY image_claimed"), NEXT_LOST("")), &q, err))
        return false;
    sql_bind_i64(q, 1, now_us);
    if (dead != NULL)
        sql_bind_str(q, 2, str_of(dead));
    sql_bind_i64(q, 3, only);
    if (!sql_step(q, &got, err))
        return false;
    *id = got ? sql_col_i64(q, 0) : 0;
    return true;
}

static bool recover_in(struct store_sql *s, const char *owner, const char *dead, int64_t now_us, int64_t *n,
                       struct pixl_error *err)
{
    for (;;) {
        int64_t id, still;
        struct store_row r;
        if (!next_lost(s, dead, now_us, 0, &id, err))
            return false;
        if (id == 0)
            return true;
        if (!store_sql_get_row(s, id, &r, err) || !next_lost(s, dead, now_us, id, &still, err))
            return false;
        if (still == 0)
            continue; /* while we waited for the row it was given back, and maybe claimed anew */
        bool retrieving = r.state == STUDY_RETRIEVING;
        struct store_change c = store_sql_change_of(&r, retrieving ? STUDY_QUEUED : STUDY_DEIDENTIFIED, now_us);
        c.reason = STUDY_WHY_LEASE_LOST;
        c.crashes += retrieving && strcmp(r.owner, owner) != 0;
        c.fence = r.fence + 1; /* the lost worker, should it still live, hears STALE */
        if (!store_sql_change(s, &c, err))
            return false;
        ++*n;
    }
}

/* Rows that were held back by an outage are tried at once by who begins to work. */
static bool end_outages(struct store_sql *s, struct pixl_error *err)
{
    sql_stmt_auto *q = NULL;
    if (!sql_prepare(s->db,
                     SQL_EACH("UPDATE image INDEXED BY image_waiting SET not_before_us = 0 WHERE state = ?1"
                              " AND not_before_us > 0 AND reason = ?2",
                              PG_END_WAITING "AND reason = ?2" PG_KEEP ")"),
                     &q, err))
        return false;
    static const enum study_state waiting[] = { STUDY_QUEUED, STUDY_DEIDENTIFIED };
    for (size_t i = 0; i < ARRAY_LEN(waiting); i++) {
        sql_bind_str(q, 1, str_of(study_state_name(waiting[i])));
        sql_bind_str(q, 2, str_of(study_reason_name(STUDY_WHY_UNAVAILABLE)));
        if (!sql_run(q, err))
            return false;
    }
    return true;
}

bool store_sql_recover_claims(struct store_session *store, const char *owner, const char *dead, int64_t now_us,
                              int64_t *n, struct pixl_error *err)
{
    struct store_sql *s = store_sql_of(store);
    int64_t id, moved = 0;
    if (dead != NULL && !end_outages(s, err))
        return false;
    if (!next_lost(s, dead, now_us, 0, &id, err))
        return false;
    if (id == 0) { /* the usual case needs no write lock */
        *n = 0;
        return true;
    }
    bool ok = store_sql_begin(s, STORE_LOCK_STUDIES, err) &&
              recover_in(s, owner, dead, now_us, &moved, err) && sql_commit(s->db, err);
    if (!ok)
        store_sql_rollback(s);
    else
        *n = moved;
    return ok;
}
