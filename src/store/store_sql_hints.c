/* The store in SQL: which rows want a hint, which have one, and what a purge holds back. */
#include "store_sql.h"

#include <assert.h>
#include <stdlib.h>

#include "base/sql_array.h"
#include "store/series.h"

/* PostgreSQL may have planned a statement, or know the table, from when it was all but empty: a million rows would be
 * gone through, or sorted, for each batch. */
static const struct sql_text by_index = {
    NULL,
    "SET LOCAL enable_seqscan = off; SET LOCAL enable_bitmapscan = off; SET LOCAL enable_sort = off;"
    " SET LOCAL enable_hashjoin = off; SET LOCAL enable_mergejoin = off",
    false
};

/* --- rows without a hint --------------------------------------------------------------------------------------- */

/* Rows that wait for a time are passed over here: they are those that failed lately, not many. */
#define UNHINTED(rows, first, request)                                                                             \
    "SELECT i.image_id, i.fence, i.priority, x.slug, r.mrn, r.accession_number, r.study_uid, r.series_uids,"       \
    " r.study_date, r.procedure_occurrence_id, t.extract_time, i.archive FROM (SELECT image_id, fence, priority, " \
    "study_date, archive"                                                                                          \
    " FROM " rows " AND (not_before_us <= ?1 OR not_before_us > ?2) ORDER BY priority DESC, study_date" first      \
    ", image_id LIMIT ?3) i " request " JOIN extract_time t USING (extract_time_id) JOIN extract x"                \
    " USING (extract_id) ORDER BY i.priority DESC, i.study_date" first ", i.image_id"

/* OFFSET 0 has it look up one request for each image; a sum is not looked for along
 * the primary key, where the image is not the first column. */
static const struct sql_text unhinted = {
    UNHINTED(
        "image WHERE state = 'queued' AND crashes = 0 AND NOT EXISTS"
        " (SELECT 1 FROM hinted h WHERE h.image_id = image.image_id AND h.fence = image.fence)",
        "", "JOIN request r ON r.request_id = (SELECT min(request_id) FROM request_image WHERE image_id = i.image_id)"),
    UNHINTED("hint WHERE hinted_us = 0 AND image_id NOT IN (SELECT unnest(?4))", " NULLS FIRST",
             "CROSS JOIN LATERAL (SELECT * FROM request WHERE request_id = (SELECT min(request_id + 0)"
             " FROM request_image WHERE image_id = i.image_id) OFFSET 0) r"),
    true
};

static struct store_unhinted unhinted_of(struct sql_stmt *q)
{
    return (struct store_unhinted){
        .hint = { sql_col_i64(q, 0), sql_col_i64(q, 1) },
        .archive = (int)sql_col_i64(q, 11),
        .request = { .priority = (int)sql_col_i64(q, 2),
                     .project = sql_col_str(q, 3),
                     .mrn = phi_text(sql_col_str(q, 4)),
                     .accession_number = phi_text(sql_col_str(q, 5)),
                     .study_uid = phi_text(sql_col_str(q, 6)),
                     .series_uids = phi_text(sql_col_str(q, 7)),
                     .study_date = (int32_t)sql_col_i64(q, 8),
                     .procedure_occurrence_id = sql_col_i64(q, 9),
                     .extract_time = sql_col_str(q, 10) },
    };
}

static int compare_numbers(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

static bool read_unhinted(struct store_sql *s, int64_t now_us, const int64_t *but, size_t n_but, size_t max,
                          bool (*each)(void *ctx, const struct store_unhinted *u), void *ctx, struct pixl_error *err)
{
    sql_array_auto passed_over;
    sql_array_init(&passed_over, SQL_ELEMENT_I64);
    for (size_t i = 0; s->is_far && i < n_but; i++)
        if (!sql_array_add_i64(&passed_over, but[i]))
            return pixl_fail(err, PIXL_E_NOMEM, 0, "store: rows without a hint");
    sql_stmt_auto *q = NULL; /* reset before what is bound goes */
    bool got;
    if (!sql_prepare(s->db, unhinted, &q, err))
        return false;
    sql_bind_i64(q, 1, now_us);
    sql_bind_i64(q, 2, now_us + STORE_PUT_OFF_MAX_US);
    sql_bind_i64(q, 3, (int64_t)(s->is_far ? max : max + n_but));
    if (s->is_far)
        sql_bind_array(q, 4, &passed_over);
    for (size_t n = 0; n < max;) {
        if (!sql_step(q, &got, err))
            return false;
        if (!got)
            return true;
        struct store_unhinted u = unhinted_of(q);
        if (!s->is_far && n_but > 0 && bsearch(&u.hint.image, but, n_but, sizeof *but, compare_numbers) != NULL)
            continue;
        if (!each(ctx, &u))
            return pixl_fail(err, PIXL_E_CANCELLED, 0, "store: looking for rows without a hint");
        n++;
    }
    return true;
}

bool store_sql_each_unhinted(struct store_session *store, int64_t now_us, const int64_t *but, size_t n_but, size_t max,
                             bool (*each)(void *ctx, const struct store_unhinted *u), void *ctx, struct pixl_error *err)
{
    struct store_sql *s = store_sql_of(store);
    bool ok = sql_begin(s->db, SQL_BEGIN_SNAPSHOT, err) && sql_exec(s->db, by_index, err) &&
              read_unhinted(s, now_us, but, n_but, max, each, ctx, err);
    sql_rollback(s->db);
    return ok;
}

/* --- hints that were given ------------------------------------------------------------------------------------- */

static bool set_one_by_one(struct store_sql *s, const struct store_hint *hints, size_t n, int64_t now_us,
                           struct pixl_error *err)
{
    for (size_t i = 0; i < n; i++) {
        sql_stmt_auto *q = NULL;
        if (!sql_prepare(s->db,
                         SQL("INSERT INTO hinted SELECT image_id, fence, ?3 FROM image"
                             " WHERE image_id = ?1 AND fence = ?2 AND state = 'queued'"
                             " ON CONFLICT (image_id) DO UPDATE SET fence = ?2, hinted_us = ?3"),
                         &q, err))
            return false;
        sql_bind_i64(q, 1, hints[i].image);
        sql_bind_i64(q, 2, hints[i].fence);
        sql_bind_i64(q, 3, now_us);
        if (!sql_run(q, err))
            return false;
    }
    return true;
}

enum { ROWS_AT_ONCE = 10000 };

/* One way to a server for all of them.  Rows that somebody else changes just now are being claimed, or get another
 * priority and a hint too many: nobody is waited for, so that nobody waits in a circle.  Notes that a server loses, as
 * it goes down within a moment, are hints that are given again: the disk is not waited for either. */
static bool set_all(struct store_sql *s, const struct store_hint *hints, size_t n, int64_t now_us,
                    struct pixl_error *err)
{
    sql_stmt_auto *q = NULL;
    sql_array_auto images, fences;
    sql_array_init(&images, SQL_ELEMENT_I64);
    sql_array_init(&fences, SQL_ELEMENT_I64);
    for (size_t i = 0; i < n; i++)
        if (!sql_array_add_i64(&images, hints[i].image) || !sql_array_add_i64(&fences, hints[i].fence))
            return pixl_fail(err, PIXL_E_NOMEM, 0, "store: hints");
    if (!sql_exec(s->db, by_index, err) || !sql_exec(s->db, SQL("SET LOCAL synchronous_commit = off"), err) ||
        !sql_prepare(s->db,
                     SQL_EACH(NULL, "UPDATE hint SET hinted_us = ?3 FROM (SELECT t.ctid FROM hint t"
                                    " JOIN unnest(?1, ?2) AS h (id, fence) ON t.image_id = h.id AND t.fence = h.fence"
                                    " FOR NO KEY UPDATE OF t SKIP LOCKED) free WHERE hint.ctid = free.ctid"),
                     &q, err))
        return false;
    sql_bind_array(q, 1, &images);
    sql_bind_array(q, 2, &fences);
    sql_bind_i64(q, 3, now_us);
    return sql_run(q, err);
}

bool store_sql_set_hinted(struct store_session *store, const struct store_hint *hints, size_t n, int64_t now_us,
                          struct pixl_error *err)
{
    struct store_sql *s = store_sql_of(store);
    for (size_t at = 0; at < n; at += ROWS_AT_ONCE) {
        size_t some = n - at < ROWS_AT_ONCE ? n - at : ROWS_AT_ONCE;
        bool ok = store_sql_begin(s, STORE_LOCK_ROWS, err) &&
                  (s->is_far ? set_all : set_one_by_one)(s, hints + at, some, now_us, err) && sql_commit(s->db, err);
        if (!ok) {
            store_sql_rollback(s);
            return false;
        }
    }
    return true;
}

static bool numbers_of_hinted(struct store_sql *s, int64_t *lowest, int64_t *highest, struct pixl_error *err)
{
#define NUMBERS "SELECT coalesce(min(image_id), 1), coalesce(max(image_id), 0) FROM "
    sql_stmt_auto *q = NULL;
    bool got;
    if (!sql_prepare(s->db, SQL_EACH(NUMBERS "hinted", NUMBERS "hint"), &q, err) || !sql_step(q, &got, err))
        return false;
    assert(got);
    *lowest = sql_col_i64(q, 0);
    *highest = sql_col_i64(q, 1);
    return true;
}

/* Rows that somebody else changes just now are passed over: they are being claimed. */
#define FORGOTTEN(of) \
    " WHERE " of "image_id > ?1 AND " of "image_id <= ?2 AND hinted_us < ?3 AND (1 << archive & ?4) <> 0"

static bool forget_some(struct store_sql *s, unsigned archives, int64_t above, int64_t up_to, int64_t before_us,
                        int64_t *n, struct pixl_error *err)
{
    sql_stmt_auto *q = NULL;
    if (!sql_exec(s->db, by_index, err) ||
        !sql_prepare(s->db,
                     SQL_EACH("DELETE FROM hinted WHERE image_id IN (SELECT h.image_id FROM hinted h"
                              " JOIN image i USING (image_id, fence)" FORGOTTEN("h.") " AND state = 'queued')",
                              "UPDATE hint SET hinted_us = 0 WHERE image_id IN (SELECT image_id FROM hint" FORGOTTEN(
                                  "") " AND hinted_us > 0 FOR NO KEY UPDATE SKIP LOCKED)"),
                     &q, err))
        return false;
    sql_bind_i64(q, 1, above);
    sql_bind_i64(q, 2, up_to);
    sql_bind_i64(q, 3, before_us);
    sql_bind_i64(q, 4, archives);
    if (!sql_run(q, err))
        return false;
    *n += sql_changes(s->db);
    return true;
}

bool store_sql_forget_hints(struct store_session *store, unsigned archives, int64_t before_us, int64_t *n,
                            struct pixl_error *err)
{
    enum { NUMBERS_AT_ONCE = 20000 };
    struct store_sql *s = store_sql_of(store);
    int64_t lowest, highest, forgotten = 0;
    if (!numbers_of_hinted(s, &lowest, &highest, err))
        return false;
    for (int64_t above = lowest - 1; above < highest; above += NUMBERS_AT_ONCE) {
        bool ok = store_sql_begin(s, STORE_LOCK_ROWS, err) &&
                  forget_some(s, archives, above, above + NUMBERS_AT_ONCE, before_us, &forgotten, err) &&
                  sql_commit(s->db, err);
        if (!ok) {
            store_sql_rollback(s);
            return false;
        }
    }
    *n = forgotten;
    return true;
}

/* --- the rows of a hint ---------------------------------------------------------------------------------------- */

static bool read_ids(struct sql_stmt *q, struct arena *a, int64_t **ids, size_t *n, struct pixl_error *err)
{
    size_t room = 0, used = 0;
    int64_t *list = NULL;
    for (bool got;;) {
        if (!sql_step(q, &got, err))
            return false;
        if (!got)
            break;
        if (used == room) {
            int64_t *wider = arena_calloc(a, room ? 2 * room : 4, sizeof *wider);
            if (wider == NULL)
                return pixl_fail(err, PIXL_E_NOMEM, 0, "store: studies of a request");
            for (size_t i = 0; i < used; i++)
                wider[i] = list[i];
            list = wider;
            room = room ? 2 * room : 4;
        }
        list[used++] = sql_col_i64(q, 0);
    }
    *ids = list;
    *n = used;
    return true;
}

bool store_sql_find_asked(struct store_session *store, const struct study_request *r, struct arena *a, int64_t **ids,
                          size_t *n, struct pixl_error *err)
{
    struct store_sql *s = store_sql_of(store);
    struct store_request_key key = { .r = r };
    int64_t request = 0;
    uint64_t ignored;
    buf_auto series;
    buf_init(&series, STORE_SERIES_MAX);
    if (!series_form(phi_reveal(r->series_uids), &series))
        return pixl_fail(err, PIXL_E_NOMEM, 0, "store: series of a request");
    key.series = buf_str(&series);
    if (!store_sql_find_extract_time(s, r->project, r->extract_time, &key.extract_time_id, err) ||
        (key.extract_time_id != 0 && !store_sql_find_request(s, &key, &request, &ignored, err)))
        return false;
    sql_stmt_auto *q = NULL;
    if (!sql_prepare(s->db, SQL("SELECT image_id FROM request_image WHERE request_id = ?1 ORDER BY image_id"), &q, err))
        return false;
    sql_bind_i64(q, 1, request);
    return read_ids(q, a, ids, n, err);
}

/* --- purging --------------------------------------------------------------------------------------------------- */

#define NOTE_HELD                                                                                        \
    "INSERT INTO image_event (image_id, event_no, at_us, from_state, to_state, fence, attempt)"          \
    " SELECT image_id, 1 + (SELECT max(event_no) FROM image_event e WHERE e.image_id = i.image_id), ?1," \
    " 'queued', 'held', fence + 1, attempts FROM image i WHERE state = 'queued'"

#define HOLD                                                                                                \
    "UPDATE image SET state = 'held', failed_from = 'queued', fence = fence + 1, reason = '', detail = ''," \
    " not_before_us = 0, updated_us = ?1 WHERE state = 'queued'"

static bool hold_all(struct store_sql *s, int64_t now_us, int64_t *n, struct pixl_error *err)
{
    sql_stmt_auto *note = NULL, *hold = NULL;
    if (!sql_exec(s->db,
                  (struct sql_text){ NULL,
                                     "SELECT count(*) FROM (SELECT FROM image WHERE state = 'queued' ORDER BY image_id"
                                     " FOR NO KEY UPDATE) i",
                                     false },
                  err) ||
        !sql_prepare(s->db, SQL(NOTE_HELD), &note, err) || !sql_prepare(s->db, SQL(HOLD), &hold, err))
        return false;
    sql_bind_i64(note, 1, now_us);
    sql_bind_i64(hold, 1, now_us);
    if (!sql_run(note, err))
        return false;
    int64_t noted = sql_changes(s->db);
    if (!sql_run(hold, err))
        return false;
    *n = sql_changes(s->db);
    return noted == *n || pixl_fail(err, PIXL_E_BUSY, 0, "store: rows were queued while all were being held");
}

bool store_sql_hold_queued(struct store_session *store, int64_t now_us, int64_t *n, struct pixl_error *err)
{
    struct store_sql *s = store_sql_of(store);
    int64_t held = 0;
    assert(study_can_move(STUDY_QUEUED, STUDY_HELD));
    bool ok = store_sql_begin(s, STORE_LOCK_STUDIES, err) && hold_all(s, now_us, &held, err) && sql_commit(s->db, err);
    if (!ok)
        store_sql_rollback(s);
    else
        *n = held;
    return ok;
}
