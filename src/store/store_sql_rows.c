/* The store in SQL: keys of rows, new rows, and rows that ask for more. */
#include "store_sql.h"

#include <assert.h>

#include "store/key_hash.h"
#include "store/series.h"

/* --- finding --------------------------------------------------------------------------------------------------- */

bool store_sql_find_extract(struct store_sql *s, struct str slug, int64_t *id, struct pixl_error *err)
{
    sql_stmt_auto *q = NULL;
    bool got;
    if (!sql_prepare(s->db, SQL("SELECT extract_id FROM extract WHERE slug = ?1 ORDER BY extract_id LIMIT 1"), &q, err))
        return false;
    sql_bind_str(q, 1, slug);
    if (!sql_step(q, &got, err))
        return false;
    *id = got ? sql_col_i64(q, 0) : 0;
    return true;
}

bool store_sql_find_extract_time(struct store_sql *s, struct str slug, struct str time, int64_t *id,
                                 struct pixl_error *err)
{
    sql_stmt_auto *q = NULL;
    bool got;
    if (!sql_prepare(s->db,
                     SQL("SELECT t.extract_time_id FROM extract_time t JOIN extract x USING (extract_id)"
                         " WHERE x.slug = ?1 AND t.extract_time = ?2"),
                     &q, err))
        return false;
    sql_bind_str(q, 1, slug);
    sql_bind_str(q, 2, time);
    if (!sql_step(q, &got, err))
        return false;
    *id = got ? sql_col_i64(q, 0) : 0;
    return true;
}

/* Stored: changing it needs a migration. */
uint64_t store_sql_hash_of_request(const struct store_request_key *k)
{
    char time[STORE_KEY_NUMBER], procedure[STORE_KEY_NUMBER];
    struct str parts[] = { store_key_number(k->extract_time_id, time),
                           store_key_number(k->r->procedure_occurrence_id, procedure),
                           phi_reveal(k->r->mrn),
                           phi_reveal(k->r->accession_number),
                           phi_reveal(k->r->study_uid),
                           k->series };
    return store_key_hash(parts, ARRAY_LEN(parts));
}

static bool is_request(struct sql_stmt *q, const struct store_request_key *k)
{
    return sql_col_i64(q, 1) == k->extract_time_id && sql_col_i64(q, 2) == k->r->procedure_occurrence_id &&
           str_eq(sql_col_str(q, 3), phi_reveal(k->r->mrn)) &&
           str_eq(sql_col_str(q, 4), phi_reveal(k->r->accession_number)) &&
           str_eq(sql_col_str(q, 5), phi_reveal(k->r->study_uid)) && str_eq(sql_col_str(q, 6), k->series);
}

#define FIND_REQUEST(where)                                                                          \
    "SELECT request_id, extract_time_id, procedure_occurrence_id, mrn, accession_number, study_uid," \
    " series_uids FROM request WHERE key_hash = ?1" where

bool store_sql_find_request(struct store_sql *s, const struct store_request_key *k, int64_t *id, uint64_t *free_hash,
                            struct pixl_error *err)
{
    for (uint64_t hash = store_sql_hash_of_request(k);; hash++) {
        sql_stmt_auto *q = NULL;
        bool got;
        if (!sql_prepare(
                s->db,
                SQL_EACH(FIND_REQUEST(" AND extract_time_id = ?2 AND procedure_occurrence_id = ?3"), FIND_REQUEST("")),
                &q, err))
            return false;
        sql_bind_i64(q, 1, (int64_t)hash);
        if (!s->is_far) { /* its index begins with them */
            sql_bind_i64(q, 2, k->extract_time_id);
            sql_bind_i64(q, 3, k->r->procedure_occurrence_id);
        }
        if (!sql_step(q, &got, err))
            return false;
        if (got && !is_request(q, k))
            continue;
        *id = got ? sql_col_i64(q, 0) : 0;
        *free_hash = hash;
        return true;
    }
}

#define FIND_FOUND(index) \
    "SELECT image_id FROM image" index " WHERE extract_id = ?1 AND found_uid = ?2 AND found_uid <> ''"

bool store_sql_find_found(struct store_sql *s, int64_t extract_id, struct phi_text uid, int64_t *id,
                          struct pixl_error *err)
{
    sql_stmt_auto *q = NULL;
    bool got;
    if (!sql_prepare(s->db, SQL_EACH(FIND_FOUND(" INDEXED BY image_found"), FIND_FOUND("")), &q, err))
        return false;
    sql_bind_i64(q, 1, extract_id);
    sql_bind_str(q, 2, phi_reveal(uid));
    if (!sql_step(q, &got, err))
        return false;
    *id = got ? sql_col_i64(q, 0) : 0;
    return true;
}

/* Stored: changing it needs a migration. */
uint64_t store_sql_hash_of_key(const struct store_key *k)
{
    char number[STORE_KEY_NUMBER];
    struct str extract = store_key_number(k->extract_id, number);
    struct str by_uid[] = { extract, STR("uid"), phi_reveal(k->study_uid) };
    struct str by_number[] = { extract, STR("number"), phi_reveal(k->mrn), phi_reveal(k->accession_number) };
    return phi_is_empty(k->study_uid) ? store_key_hash(by_number, ARRAY_LEN(by_number))
                                      : store_key_hash(by_uid, ARRAY_LEN(by_uid));
}

/* Two rows with the same hash: is this the one? */
static bool has_key(struct sql_stmt *q, const struct store_key *k)
{
    if (sql_col_i64(q, 1) != k->extract_id || !str_eq(sql_col_str(q, 4), phi_reveal(k->study_uid)))
        return false;
    return !phi_is_empty(k->study_uid) || (str_eq(sql_col_str(q, 2), phi_reveal(k->mrn)) &&
                                           str_eq(sql_col_str(q, 3), phi_reveal(k->accession_number)));
}

#define FOREIGN \
    "SELECT image_id FROM image WHERE key_hash IS NULL AND found_uid = '' AND merged_into IS NULL AND extract_id = ?1"
/* Of several, the one that was exported. */
#define FIRST_FOREIGN " ORDER BY exported_at IS NULL, image_id LIMIT 1"

/* The row that another program made of this study: the key is its from now on.  Others of the same study stay as they
 * are. */
static bool take_foreign(struct store_sql *s, const struct store_key *k, uint64_t hash, int64_t *id,
                         struct pixl_error *err)
{
    sql_stmt_auto *q = NULL, *take = NULL;
    bool got, by_uid = !phi_is_empty(k->study_uid);
    if (!sql_prepare(s->db,
                     by_uid ? SQL_EACH(NULL, FOREIGN " AND study_uid = ?2" FIRST_FOREIGN)
                            : SQL_EACH(NULL, FOREIGN " AND mrn = ?2 AND accession_number = ?3"
                                                     " AND coalesce(study_uid, '') = ''" FIRST_FOREIGN),
                     &q, err))
        return false;
    sql_bind_i64(q, 1, k->extract_id);
    sql_bind_str(q, 2, phi_reveal(by_uid ? k->study_uid : k->mrn));
    if (!by_uid)
        sql_bind_str(q, 3, phi_reveal(k->accession_number));
    if (!sql_step(q, &got, err))
        return false;
    *id = got ? sql_col_i64(q, 0) : 0;
    if (!got)
        return true;
    if (!sql_prepare(s->db, SQL("UPDATE image SET key_hash = ?2 WHERE image_id = ?1"), &take, err))
        return false;
    sql_bind_i64(take, 1, *id);
    sql_bind_i64(take, 2, (int64_t)hash);
    return sql_run(take, err);
}

bool store_sql_find_key(struct store_sql *s, const struct store_key *k, int64_t *id, uint64_t *free_hash,
                        struct pixl_error *err)
{
    for (uint64_t hash = store_sql_hash_of_key(k);; hash++) {
        sql_stmt_auto *q = NULL;
        bool got;
        if (!sql_prepare(s->db,
                         SQL("SELECT image_id, extract_id, mrn, accession_number, study_uid FROM image"
                             " WHERE key_hash = ?1"),
                         &q, err))
            return false;
        sql_bind_i64(q, 1, (int64_t)hash);
        if (!sql_step(q, &got, err))
            return false;
        if (got && !has_key(q, k))
            continue;
        *id = got ? sql_col_i64(q, 0) : 0;
        *free_hash = hash;
        return got || !s->is_far || take_foreign(s, k, hash, id, err);
    }
}

/* --- making ---------------------------------------------------------------------------------------------------- */

static bool fetch_ids(struct store_sql *s, enum store_ids_of of, struct pixl_error *err)
{
    static const struct sql_text texts[] = {
        [STORE_IDS_OF_IMAGE] = { NULL,
                                 "SELECT nextval(pg_get_serial_sequence('image', 'image_id'))"
                                 " FROM generate_series(1, ?1)",
                                 false },
        [STORE_IDS_OF_REQUEST] = { NULL,
                                   "SELECT nextval(pg_get_serial_sequence('request', 'request_id'))"
                                   " FROM generate_series(1, ?1)",
                                   false },
    };
    struct store_ids *ids = &s->ids[of];
    sql_stmt_auto *q = NULL;
    if (!sql_prepare(s->db, texts[of], &q, err))
        return false;
    size_t wanted = ids->n_fetched < ARRAY_LEN(ids->list) ? ids->n_fetched * 2 : ARRAY_LEN(ids->list);
    ids->n_fetched = wanted > 0 ? wanted : 1; /* one, two, four, ...: few numbers are left over */
    sql_bind_i64(q, 1, (int64_t)ids->n_fetched);
    for (size_t i = 0; i < ids->n_fetched; i++) {
        bool got;
        if (!sql_step(q, &got, err))
            return false;
        assert(got);
        ids->list[i] = sql_col_i64(q, 0);
    }
    ids->at = 0;
    ids->n = ids->n_fetched;
    return true;
}

bool store_sql_insert(struct store_sql *s, struct sql_stmt *q, enum store_ids_of of, int param, int64_t *id,
                      struct pixl_error *err)
{
    if (s->is_far) {
        struct store_ids *ids = &s->ids[of];
        if (ids->at == ids->n && !fetch_ids(s, of, err))
            return false;
        int64_t taken = ids->list[ids->at++];
        sql_bind_i64(q, param, taken);
        if (!sql_run_later(q, err))
            return false;
        *id = taken;
        return true;
    }
    if (!sql_run(q, err))
        return false;
    *id = sql_last_id(s->db);
    return true;
}

static bool insert_first_event(struct store_sql *s, int64_t image, int64_t now_us, struct pixl_error *err)
{
    sql_stmt_auto *q = NULL;
    if (!sql_prepare(s->db,
                     SQL("INSERT INTO image_event (image_id, event_no, at_us, to_state, fence, attempt)"
                         " VALUES (?1, 1, ?2, 'queued', 0, 0)"),
                     &q, err))
        return false;
    sql_bind_i64(q, 1, image);
    sql_bind_i64(q, 2, now_us);
    return sql_run_later(q, err);
}

#define INSERT_IMAGE(day, study_uid, participant)                                                              \
    "INSERT INTO image (extract_id, state, key_hash, priority, study_date, created_us, updated_us, mrn,"       \
    " accession_number, study_uid, found_uid, series_uids, pseudo_patient_id, image_id, archive) VALUES (?1, " \
    "'queued', "                                                                                               \
    "?2, ?3, " day ", ?5, ?5, ?6, ?7, " study_uid ", ?9, ?10, " participant ", ?12, ?13)"

bool store_sql_insert_image(struct store_sql *s, const struct store_new_image *n, int64_t now_us, int64_t *id,
                            struct pixl_error *err)
{
    sql_stmt_auto *q = NULL;
    if (!sql_prepare(s->db,
                     SQL_EACH(INSERT_IMAGE("?4", "?8", "?11"),
                              INSERT_IMAGE(STORE_PG_TO_DAY("?4"), "nullif(?8, '')", "nullif(?11, '')")),
                     &q, err))
        return false;
    sql_bind_i64(q, 1, n->extract_id);
    if (n->has_key)
        sql_bind_i64(q, 2, (int64_t)n->key_hash);
    sql_bind_i64(q, 3, n->priority);
    sql_bind_i64(q, 4, n->study_date);
    sql_bind_i64(q, 5, now_us);
    sql_bind_str(q, 6, phi_reveal(n->mrn));
    sql_bind_str(q, 7, phi_reveal(n->accession_number));
    sql_bind_str(q, 8, phi_reveal(n->study_uid));
    sql_bind_str(q, 9, phi_reveal(n->found_uid));
    sql_bind_str(q, 10, phi_reveal(n->series_uids));
    sql_bind_str(q, 11, n->participant_id);
    sql_bind_i64(q, 13, n->archive);
    int64_t image;
    if (!store_sql_insert(s, q, STORE_IDS_OF_IMAGE, 12, &image, err) || !insert_first_event(s, image, now_us, err))
        return false;
    *id = image;
    return true;
}

bool store_sql_link(struct store_sql *s, int64_t request, int64_t image, struct pixl_error *err)
{
    sql_stmt_auto *q = NULL;
    if (!sql_prepare(s->db, SQL("INSERT INTO request_image VALUES (?1, ?2) ON CONFLICT DO NOTHING"), &q, err))
        return false;
    sql_bind_i64(q, 1, request);
    sql_bind_i64(q, 2, image);
    return sql_run_later(q, err);
}

/* --- widening -------------------------------------------------------------------------------------------------- */

/* *wider: the row does not ask for all of w->series yet; then *sum is what it has to ask for. */
static bool compare_series(struct store_sql *s, int64_t image, struct str series, struct buf *sum, bool *wider,
                           struct pixl_error *err)
{
    sql_stmt_auto *q = NULL;
    bool got;
    if (!sql_prepare(s->db, SQL("SELECT series_uids FROM image WHERE image_id = ?1"), &q, err))
        return false;
    sql_bind_i64(q, 1, image);
    if (!sql_step(q, &got, err))
        return false;
    struct str have = got ? sql_col_str(q, 0) : (struct str){ 0 };
    *wider = got && !series_covers(have, series);
    if (*wider && !series_union(have, series, sum))
        return pixl_fail(err, PIXL_E_NOMEM, 0, "store: series of image %lld", (long long)image);
    return true;
}

static bool write_series(struct store_sql *s, const struct store_row *r, struct str series, int64_t now_us,
                         struct pixl_error *err)
{
    sql_stmt_auto *q = NULL;
    if (!sql_prepare(s->db,
                     SQL("UPDATE image SET series_uids = ?2, series_version = series_version + 1, updated_us = ?3"
                         " WHERE image_id = ?1"),
                     &q, err))
        return false;
    sql_bind_i64(q, 1, r->id);
    sql_bind_str(q, 2, series);
    sql_bind_i64(q, 3, now_us);
    return sql_run(q, err);
}

/* Where the row goes; false: it stays where it is.  A claimed row stays: its worker learns at its next move that the
 * series are others. */
static bool next_state(const struct store_row *r, bool wider, bool again, enum study_state *to)
{
    switch (r->state) {
    case STUDY_HELD:
    case STUDY_ADOPTED:
        if (!study_retry_target(r->state, r->failed_from, to))
            return false;
        if (wider || !r->has_zip)
            *to = STUDY_QUEUED;
        return true;
    case STUDY_MISSING: *to = STUDY_QUEUED; return wider || again;
    case STUDY_DEIDENTIFIED:
    case STUDY_SKIPPED:
    case STUDY_FAILED:
    case STUDY_WITHHELD: *to = STUDY_QUEUED; return wider && study_can_move(r->state, STUDY_QUEUED);
    default: return false;
    }
}

static bool is_too_late(enum study_state s)
{
    return s == STUDY_DELIVERING || s == STUDY_EXPORTED || s == STUDY_KEPT;
}

bool store_sql_widen(struct store_sql *s, int64_t image, const struct store_widen *w, enum store_widened *what,
                     struct pixl_error *err)
{
    struct store_row r;
    buf_auto sum;
    buf_init(&sum, STORE_SERIES_MAX);
    bool wider;
    enum study_state to;
    if (!store_sql_get_row(s, image, &r, err) || !compare_series(s, image, w->series, &sum, &wider, err))
        return false;
    if (wider && is_too_late(r.state)) {
        *what = STORE_WIDEN_TOO_LATE;
        return true;
    }
    if (wider && !write_series(s, &r, buf_str(&sum), w->now_us, err))
        return false;
    if (next_state(&r, wider, w->again, &to)) {
        struct store_change c = store_sql_change_of(&r, to, w->now_us);
        c.attempts = c.crashes = 0;
        if (to == STUDY_QUEUED)
            c.archive = 0;
        c.fence = r.fence + 1;
        if (!store_sql_change(s, &c, err))
            return false;
    }
    *what = r.state == STUDY_HELD || r.state == STUDY_ADOPTED ? STORE_WIDEN_REVIVED : STORE_WIDEN_DONE;
    return true;
}
