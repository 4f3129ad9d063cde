/* The store in SQL: requests of a cohort come in.
 *
 * Rows go in by transactions of batch_rows; for SQLite the number is large because the hash indexes take each row to
 * another page, and a transaction writes each page that it touched once.  An error rolls back what is not committed and
 * breaks the populate: every later call tells the first error, so that no half-stored row is ever committed.
 *
 * A question to the database costs as much as writing a row, to a server as much as many that nobody waits for.  So while
 * a project holds nothing but what this populate brought, it is this populate's memory that is asked (`seen`).  What meets
 * nothing goes to a server many rows at once (store_sql_bulk.h); what is asked after that is asked when they are sent. */
#include "store_sql.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "store/key_hash.h"
#include "store/series.h"
#include "store/store_sql_bulk.h"

enum { NAME_MAX_BYTES = 4096 };

struct populate {
    struct store_populate base;
    struct store_sql *s;
    bool dry, broken;
    struct pixl_error why; /* when broken */
    int64_t n_rows;        /* in the open transaction */
    struct buf slug, time; /* the last project and time, and their rows: cohorts come sorted enough */
    int64_t extract_id, extract_time_id;
    struct buf series; /* of the request at hand, as a set */
    int64_t *ids;      /* images that the request at hand asks for */
    size_t n_ids, ids_room;
    bool alone;     /* the project holds what is in `seen`, and no row that the archive has shown to be another */
    uint64_t *seen; /* hashes of its requests and images; open addressing, 0: free */
    size_t n_seen, seen_room; /* room: a power of two */
    struct store_bulk bulk;   /* while alone */
};

static void free_populate(struct populate *p)
{
    buf_done(&p->slug);
    buf_done(&p->time);
    buf_done(&p->series);
    store_bulk_done(&p->bulk);
    free(p->ids);
    free(p->seen);
    free(p);
}

/* --- what this populate has brought ----------------------------------------------------------------------------- */

static void forget_seen(struct populate *p)
{
    free(p->seen);
    p->seen = NULL;
    p->n_seen = p->seen_room = 0;
    p->alone = false;
}

static size_t seen_slot(const uint64_t *seen, size_t room, uint64_t hash)
{
    size_t i = hash & (room - 1); /* it is a hash already */
    while (seen[i] != 0 && seen[i] != hash)
        i = (i + 1) & (room - 1);
    return i;
}

static bool has_seen(const struct populate *p, uint64_t hash)
{
    return hash == 0 || (p->seen_room > 0 && p->seen[seen_slot(p->seen, p->seen_room, hash)] != 0);
}

/* Without memory the database is asked again. */
static void add_seen(struct populate *p, uint64_t hash)
{
    if (!p->alone || has_seen(p, hash))
        return;
    if (2 * (p->n_seen + 1) > p->seen_room) {
        size_t room = p->seen_room > 0 ? 2 * p->seen_room : 1024;
        uint64_t *wider = calloc(room, sizeof *wider);
        if (wider == NULL) {
            forget_seen(p);
            return;
        }
        for (size_t i = 0; i < p->seen_room; i++)
            if (p->seen[i] != 0)
                wider[seen_slot(wider, room, p->seen[i])] = p->seen[i];
        free(p->seen);
        p->seen = wider;
        p->seen_room = room;
    }
    p->seen[seen_slot(p->seen, p->seen_room, hash)] = hash;
    p->n_seen++;
}

/* Does the project hold no image at all?  SQLite has no index of a project's images, but no image without an extract. */
static bool begin_alone(struct populate *p, struct pixl_error *err)
{
    sql_stmt_auto *q = NULL;
    bool got;
    forget_seen(p);
    if (!store_bulk_send(&p->bulk, err) ||
        !sql_prepare(p->s->db,
                     SQL_EACH("SELECT EXISTS (SELECT 1 FROM extract_time WHERE extract_id = ?1)",
                              "SELECT EXISTS (SELECT FROM image WHERE extract_id = ?1)"),
                     &q, err))
        return false;
    sql_bind_i64(q, 1, p->extract_id);
    if (!sql_step(q, &got, err))
        return false;
    assert(got);
    p->alone = sql_col_i64(q, 0) == 0;
    return true;
}

#define FOUND(image) "SELECT CASE WHEN EXISTS (SELECT 1 FROM " image " WHERE extract_id = ?1 AND found_uid <> '')"
#define MARK_NEAR                                                  \
    FOUND("image INDEXED BY image_found")                          \
    " THEN -1 ELSE (SELECT coalesce(max(image_id), 0) FROM image)" \
    " + (SELECT coalesce(max(request_id), 0) FROM request) END"
#define LAST_NUMBER(of) "coalesce(pg_sequence_last_value(pg_get_serial_sequence('" of "', '" of "_id')::regclass), 0)"
#define MARK_FAR                                                                                   \
    FOUND("image")                                                                                 \
    " OR EXISTS (SELECT FROM image WHERE extract_id = ?1 AND key_hash IS NULL AND found_uid = '')" \
    " THEN -1 ELSE " LAST_NUMBER("image") " + " LAST_NUMBER("request") " END"

/* Changes when anybody takes a number for a new image or request; negative when another program put a row into the
 * project, or the archive has shown that one is another study. */
static bool read_mark(struct populate *p, int64_t *mark, struct pixl_error *err)
{
    sql_stmt_auto *q = NULL;
    bool got;
    if (!sql_prepare(p->s->db, SQL_EACH(MARK_NEAR, MARK_FAR), &q, err))
        return false;
    sql_bind_i64(q, 1, p->extract_id);
    if (!sql_step(q, &got, err))
        return false;
    assert(got);
    *mark = sql_col_i64(q, 0);
    return true;
}

/* A populate is worth much cache and few checkpoints; all other work is not.  Page cache as sizes in KiB, negative. */
static bool tune(struct store_sql *s, bool populating, struct pixl_error *err)
{
    static const struct sql_text texts[] = {
        { "PRAGMA cache_size = -8192; PRAGMA wal_autocheckpoint = 1000; PRAGMA shrink_memory", NULL, false },
        { "PRAGMA cache_size = -262144; PRAGMA wal_autocheckpoint = 50000", NULL, false },
    };
    return sql_exec(s->db, texts[populating], err);
}

bool store_sql_populate_begin(struct store_session *store, bool dry, struct store_populate **out,
                              struct pixl_error *err)
{
    struct store_sql *s = store_sql_of(store);
    struct populate *p = calloc(1, sizeof *p);
    if (p == NULL)
        return pixl_fail(err, PIXL_E_NOMEM, 0, "store: populate");
    p->base.session = store;
    p->s = s;
    p->dry = dry;
    buf_init(&p->slug, NAME_MAX_BYTES);
    buf_init(&p->time, NAME_MAX_BYTES);
    buf_init(&p->series, STORE_SERIES_MAX);
    store_bulk_init(&p->bulk, s);
    if (!tune(s, true, err) || !store_sql_begin(s, STORE_LOCK_STUDIES, err)) {
        store_sql_rollback(s);
        free_populate(p);
        return false;
    }
    *out = &p->base;
    return true;
}

/* --- project and time ------------------------------------------------------------------------------------------ */

static bool remember(struct buf *b, struct str s)
{
    buf_clear(b);
    return buf_add_str(b, s);
}

static bool insert_extract(struct populate *p, struct str slug, struct pixl_error *err)
{
    sql_stmt_auto *q = NULL;
    bool got;
    if (!sql_prepare(p->s->db, SQL("INSERT INTO extract (slug) VALUES (?1) RETURNING extract_id"), &q, err))
        return false;
    sql_bind_str(q, 1, slug);
    if (!sql_step(q, &got, err))
        return false;
    assert(got);
    p->extract_id = sql_col_i64(q, 0);
    return true;
}

static bool enter_project(struct populate *p, struct str slug, struct pixl_error *err)
{
    if (p->extract_id != 0 && str_eq(buf_str(&p->slug), slug))
        return true;
    p->extract_id = p->extract_time_id = 0;
    if (!remember(&p->slug, slug))
        return pixl_fail(err, PIXL_E_NOMEM, 0, "store: populate");
    return store_sql_find_extract(p->s, slug, &p->extract_id, err) &&
           (p->extract_id != 0 || insert_extract(p, slug, err)) && begin_alone(p, err);
}

static bool enter_time(struct populate *p, struct str time, struct pixl_error *err)
{
    if (p->extract_time_id != 0 && str_eq(buf_str(&p->time), time))
        return true;
    p->extract_time_id = 0;
    if (!remember(&p->time, time))
        return pixl_fail(err, PIXL_E_NOMEM, 0, "store: populate");
    sql_stmt_auto *insert = NULL, *q = NULL;
    bool got;
    if (!sql_prepare(p->s->db,
                     SQL("INSERT INTO extract_time (extract_id, extract_time) VALUES (?1, ?2) ON CONFLICT DO NOTHING"),
                     &insert, err) ||
        !sql_prepare(p->s->db,
                     SQL("SELECT extract_time_id FROM extract_time WHERE extract_id = ?1 AND extract_time = ?2"), &q,
                     err))
        return false;
    sql_bind_i64(insert, 1, p->extract_id);
    sql_bind_str(insert, 2, time);
    sql_bind_i64(q, 1, p->extract_id);
    sql_bind_str(q, 2, time);
    if (!sql_run(insert, err) || !sql_step(q, &got, err))
        return false;
    assert(got);
    p->extract_time_id = sql_col_i64(q, 0);
    return true;
}

/* --- requests -------------------------------------------------------------------------------------------------- */

#define INSERT_REQUEST                                                                                  \
    "INSERT INTO request (extract_time_id, key_hash, procedure_occurrence_id, study_date,"              \
    " priority, created_us, mrn, accession_number, study_uid, series_uids, participant_id, request_id)" \
    " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)"

static bool insert_request(struct populate *p, const struct study_request *r, uint64_t hash, int64_t now_us,
                           int64_t *id, struct pixl_error *err)
{
    sql_stmt_auto *q = NULL;
    if (!sql_prepare(p->s->db, SQL(INSERT_REQUEST), &q, err))
        return false;
    sql_bind_i64(q, 1, p->extract_time_id);
    sql_bind_i64(q, 2, (int64_t)hash);
    sql_bind_i64(q, 3, r->procedure_occurrence_id);
    sql_bind_i64(q, 4, r->study_date);
    sql_bind_i64(q, 5, r->priority);
    sql_bind_i64(q, 6, now_us);
    sql_bind_str(q, 7, phi_reveal(r->mrn));
    sql_bind_str(q, 8, phi_reveal(r->accession_number));
    sql_bind_str(q, 9, phi_reveal(r->study_uid));
    sql_bind_str(q, 10, buf_str(&p->series));
    sql_bind_str(q, 11, r->participant_id);
    return store_sql_insert(p->s, q, STORE_IDS_OF_REQUEST, 12, id, err);
}

/* --- which studies a request asks for --------------------------------------------------------------------------- */

/* Once; there are few of them. */
static bool add_id(struct populate *p, int64_t id, struct pixl_error *err)
{
    for (size_t i = 0; i < p->n_ids; i++)
        if (p->ids[i] == id)
            return true;
    if (p->n_ids == p->ids_room) {
        size_t room = p->ids_room ? p->ids_room * 2 : 8;
        int64_t *wider = realloc(p->ids, room * sizeof *wider);
        if (wider == NULL)
            return pixl_fail(err, PIXL_E_NOMEM, 0, "store: populate");
        p->ids = wider;
        p->ids_room = room;
    }
    p->ids[p->n_ids++] = id;
    return true;
}

static bool add_ids(struct populate *p, struct sql_stmt *q, struct pixl_error *err)
{
    bool got;
    while (sql_step(q, &got, err)) {
        if (!got)
            return true;
        if (!add_id(p, sql_col_i64(q, 0), err))
            return false;
    }
    return false;
}

static bool images_of_request(struct populate *p, int64_t request, struct pixl_error *err)
{
    sql_stmt_auto *q = NULL;
    if (!sql_prepare(p->s->db, SQL("SELECT image_id FROM request_image WHERE request_id = ?1"), &q, err))
        return false;
    sql_bind_i64(q, 1, request);
    if (!add_ids(p, q, err))
        return false;
    return p->n_ids > 0 || pixl_fail(err, PIXL_E_CORRUPT, 0, "store: a request has no image");
}

/* The row that took over the requests of this one, if one did. */
static bool follow_merge(struct populate *p, int64_t *image, struct pixl_error *err)
{
    for (;;) {
        sql_stmt_auto *q = NULL;
        bool got;
        if (!sql_prepare(p->s->db, SQL("SELECT merged_into FROM image WHERE image_id = ?1 AND merged_into IS NOT NULL"),
                         &q, err))
            return false;
        sql_bind_i64(q, 1, *image);
        if (!sql_step(q, &got, err))
            return false;
        if (!got)
            return true;
        *image = sql_col_i64(q, 0);
    }
}

#define SIBLINGS(join)                                                                  \
    "SELECT image_id FROM request_image WHERE request_id = (SELECT r.request_id"        \
    " FROM request_image a " join " request r USING (request_id) WHERE a.image_id = ?1" \
    " AND r.mrn = ?2 AND r.accession_number = ?3 AND r.study_uid = ?4 LIMIT 1)"

/* A key can stand for several studies (one accession number, two studies): they are those of any request that asked in
 * the same words, as whatever is linked to one of these is linked to all.  The first such request is nearly always the
 * first of the image: a study that a million rows ask for must not be gone through for each. */
static bool add_siblings(struct populate *p, const struct study_request *r, int64_t image, struct pixl_error *err)
{
    sql_stmt_auto *q = NULL;
    if (!sql_prepare(p->s->db, SQL_EACH(SIBLINGS("CROSS JOIN"), SIBLINGS("JOIN")), &q, err))
        return false;
    sql_bind_i64(q, 1, image);
    sql_bind_str(q, 2, phi_reveal(r->mrn));
    sql_bind_str(q, 3, phi_reveal(r->accession_number));
    sql_bind_str(q, 4, phi_reveal(r->study_uid));
    return add_id(p, image, err) && add_ids(p, q, err);
}

/* None: a row is to be made at *free_hash. */
static bool images_of_study(struct populate *p, const struct study_request *r, uint64_t *free_hash,
                            struct pixl_error *err)
{
    int64_t image = 0;
    if (!p->alone && !phi_is_empty(r->study_uid) &&
        !store_sql_find_found(p->s, p->extract_id, r->study_uid, &image, err))
        return false;
    if (image != 0)
        return add_id(p, image, err);
    struct store_key key = { p->extract_id, r->mrn, r->accession_number, r->study_uid };
    if (!store_sql_find_key(p->s, &key, &image, free_hash, err))
        return false;
    if (image == 0)
        return true;
    if (p->alone) /* the archive has shown nothing: no row was merged, and no key stands for several studies */
        return add_id(p, image, err);
    return follow_merge(p, &image, err) && add_siblings(p, r, image, err);
}

/* --- one row ---------------------------------------------------------------------------------------------------- */

/* What a request meets in an image that is there already. */
struct meeting {
    bool differs, too_late, too_many, revived;
    size_t n_delivered; /* exported or kept, with the series that it asks for */
};

static bool raise_priority(struct populate *p, int64_t image, int priority, struct pixl_error *err)
{
    sql_stmt_auto *q = NULL;
    if (!sql_prepare(p->s->db, SQL("UPDATE image SET priority = ?2 WHERE image_id = ?1 AND priority < ?2"), &q, err))
        return false;
    sql_bind_i64(q, 1, image);
    sql_bind_i64(q, 2, priority);
    return sql_run(q, err);
}

static bool meet_image(struct populate *p, const struct study_request *r, int64_t image, int64_t now_us,
                       struct meeting *m, struct pixl_error *err)
{
    sql_stmt_auto *q = NULL;
    bool got;
    if (!sql_prepare(p->s->db,
                     SQL("SELECT series_uids, pseudo_patient_id, priority, state IN ('held', 'adopted'),"
                         " state IN ('exported', 'kept') FROM image WHERE image_id = ?1"),
                     &q, err))
        return false;
    sql_bind_i64(q, 1, image);
    if (!sql_step(q, &got, err))
        return false;
    if (!got)
        return pixl_fail(err, PIXL_E_CORRUPT, 0, "store: a request names an image that is not there");
    bool covers = series_covers(sql_col_str(q, 0), buf_str(&p->series));
    m->differs |= !str_eq(sql_col_str(q, 1), r->participant_id);
    m->n_delivered += covers && sql_col_i64(q, 4) != 0;
    if (!covers && p->series.n > 0 && sql_col_str(q, 0).n + p->series.n >= STORE_SERIES_MAX) {
        m->too_many = true;
        return true;
    }
    if (sql_col_i64(q, 2) < r->priority && !raise_priority(p, image, r->priority, err))
        return false;
    if (covers && sql_col_i64(q, 3) == 0)
        return true;
    struct store_widen w = { .series = buf_str(&p->series), .now_us = now_us };
    enum store_widened what;
    if (!store_sql_widen(p->s, image, &w, &what, err))
        return false;
    m->too_late |= what == STORE_WIDEN_TOO_LATE;
    m->revived |= what == STORE_WIDEN_REVIVED;
    return true;
}

static bool meet_images(struct populate *p, const struct study_request *r, int64_t now_us, struct meeting *m,
                        struct pixl_error *err)
{
    for (size_t i = 0; i < p->n_ids; i++)
        if (!meet_image(p, r, p->ids[i], now_us, m, err))
            return false;
    return true;
}

static bool insert_image(struct populate *p, const struct study_request *r, uint64_t hash, int64_t now_us,
                         struct pixl_error *err)
{
    struct store_new_image n = { .extract_id = p->extract_id,
                                 .key_hash = hash,
                                 .has_key = true,
                                 .mrn = r->mrn,
                                 .accession_number = r->accession_number,
                                 .study_uid = r->study_uid,
                                 .series_uids = phi_text(buf_str(&p->series)),
                                 .participant_id = r->participant_id,
                                 .study_date = r->study_date,
                                 .priority = r->priority };
    int64_t id;
    return store_sql_insert_image(p->s, &n, now_us, &id, err) && add_id(p, id, err);
}

/* A request at hand: where it is, and where its study and it go when they are new. */
struct key_place {
    int64_t request; /* 0: a new one; its images are then in p->ids, or are to be made */
    uint64_t request_hash, image_hash;
};

static struct key_place place_of(const struct populate *p, const struct study_request *r)
{
    const struct store_request_key request = { p->extract_time_id, r, buf_str(&p->series) };
    const struct store_key image = { p->extract_id, r->mrn, r->accession_number, r->study_uid };
    return (struct key_place){ 0, store_sql_hash_of_request(&request), store_sql_hash_of_key(&image) };
}

/* A new request for a new study, which is known without asking the database. */
static bool is_fresh(const struct populate *p, const struct key_place *at)
{
    return p->alone && !has_seen(p, at->request_hash) && !has_seen(p, at->image_hash);
}

#define MEETS_HASH                                            \
    "SELECT EXISTS (SELECT FROM request WHERE key_hash = ?1)" \
    " OR EXISTS (SELECT FROM image WHERE key_hash = ?2)"      \
    " OR EXISTS (SELECT FROM image WHERE key_hash IS NULL AND found_uid = '' AND extract_id = ?3"
#define MEETS_NUMBER MEETS_HASH " AND mrn = ?4 AND accession_number = ?5)"
#define MEETS_UID                     \
    MEETS_HASH " AND study_uid = ?4)" \
               " OR EXISTS (SELECT FROM image WHERE extract_id = ?3 AND found_uid = ?4 AND found_uid <> '')"

/* In one way to a server what else takes four: most rows of a cohort meet nothing that is there. */
static bool meets_nothing(struct populate *p, const struct study_request *r, const struct key_place *at, bool *yes,
                          struct pixl_error *err)
{
    sql_stmt_auto *q = NULL;
    bool got;
    if (!sql_prepare(p->s->db, phi_is_empty(r->study_uid) ? SQL_EACH(NULL, MEETS_NUMBER) : SQL_EACH(NULL, MEETS_UID),
                     &q, err))
        return false;
    sql_bind_i64(q, 1, (int64_t)at->request_hash);
    sql_bind_i64(q, 2, (int64_t)at->image_hash);
    sql_bind_i64(q, 3, p->extract_id);
    sql_bind_str(q, 4, phi_reveal(phi_is_empty(r->study_uid) ? r->mrn : r->study_uid));
    if (phi_is_empty(r->study_uid))
        sql_bind_str(q, 5, phi_reveal(r->accession_number));
    if (!sql_step(q, &got, err))
        return false;
    assert(got);
    *yes = sql_col_i64(q, 0) == 0;
    return true;
}

static bool look_up(struct populate *p, const struct study_request *r, struct key_place *at, struct pixl_error *err)
{
    const struct store_request_key key = { p->extract_time_id, r, buf_str(&p->series) };
    bool yes = false;
    if (!store_bulk_send(&p->bulk, err))
        return false;
    if (p->alone && !has_seen(p, at->request_hash))
        return images_of_study(p, r, &at->image_hash, err);
    if (p->s->is_far && !meets_nothing(p, r, at, &yes, err))
        return false;
    if (yes)
        return true;
    if (!store_sql_find_request(p->s, &key, &at->request, &at->request_hash, err))
        return false;
    return at->request != 0 ? images_of_request(p, at->request, err) : images_of_study(p, r, &at->image_hash, err);
}

static bool add_bulk(struct populate *p, const struct study_request *r, const struct key_place *at, int64_t now_us,
                     struct pixl_error *err)
{
    struct store_bulk_row row = { .extract_id = p->extract_id,
                                  .extract_time_id = p->extract_time_id,
                                  .image_hash = at->image_hash,
                                  .request_hash = at->request_hash,
                                  .r = r,
                                  .series = buf_str(&p->series),
                                  .now_us = now_us };
    if (!store_bulk_add(&p->bulk, &row, err))
        return false;
    add_seen(p, at->image_hash);
    add_seen(p, at->request_hash);
    return true;
}

static bool insert_and_link(struct populate *p, const struct study_request *r, const struct key_place *at, int64_t now_us,
                            struct pixl_error *err)
{
    int64_t request;
    if (!insert_request(p, r, at->request_hash, now_us, &request, err))
        return false;
    add_seen(p, at->request_hash);
    for (size_t i = 0; i < p->n_ids; i++)
        if (!store_sql_link(p->s, request, p->ids[i], err))
            return false;
    return true;
}

static bool add_row(struct populate *p, const struct study_request *r, int64_t now_us, enum store_added *what,
                    struct store_met *met, struct pixl_error *err)
{
    struct meeting m = { .differs = false };
    p->n_ids = 0;
    if (!series_form(phi_reveal(r->series_uids), &p->series))
        return pixl_fail(err, PIXL_E_NOMEM, 0, "store: series of a request");
    if (!enter_project(p, r->project, err) || !enter_time(p, r->extract_time, err))
        return false;
    struct key_place at = place_of(p, r);
    const bool fresh = is_fresh(p, &at);
    if (fresh && p->s->is_far) {
        *met = (struct store_met){ 0 };
        *what = STORE_ADDED_IMAGE;
        return add_bulk(p, r, &at, now_us, err);
    }
    if (!fresh && !look_up(p, r, &at, err))
        return false;
    const bool is_new = p->n_ids == 0;
    if (!(is_new ? insert_image(p, r, at.image_hash, now_us, err) : meet_images(p, r, now_us, &m, err)))
        return false;
    if (is_new)
        add_seen(p, at.image_hash);
    *met = (struct store_met){ m.differs, !is_new && m.n_delivered == p->n_ids };
    *what = is_new            ? STORE_ADDED_IMAGE
            : m.too_many      ? STORE_TOO_MANY_SERIES
            : m.too_late      ? STORE_TOO_LATE
            : m.revived       ? STORE_REVIVED
            : at.request != 0 ? STORE_KNOWN
                              : STORE_ADDED_REQUEST;
    return at.request != 0 || m.too_many || insert_and_link(p, r, &at, now_us, err);
}

/* --- the populate as a whole ------------------------------------------------------------------------------------ */

static bool break_off(struct populate *p, const struct pixl_error *err)
{
    store_sql_rollback(p->s);
    p->broken = true;
    p->why = *err;
    return false;
}

static bool fail_broken(const struct populate *p, struct pixl_error *err)
{
    return pixl_fail(err, p->why.code, p->why.sys, "populate was broken off: %s", p->why.msg);
}

static bool end_batch(struct populate *p, struct pixl_error *err)
{
    int64_t before = 0, after = 0;
    const bool alone = p->alone;
    p->n_rows = 0;
    if (!store_bulk_send(&p->bulk, err) || (alone && !read_mark(p, &before, err)) || !sql_commit(p->s->db, err) ||
        !store_sql_begin(p->s, STORE_LOCK_STUDIES, err) || (alone && !read_mark(p, &after, err)))
        return false;
    if (alone && (before != after || after < 0)) /* somebody else was here in between */
        forget_seen(p);
    return true;
}

bool store_sql_populate_add(struct store_populate *base, const struct study_request *r, int64_t now_us,
                            enum store_added *what, struct store_met *met, struct pixl_error *err)
{
    struct populate *p = (struct populate *)base;
    enum store_added added = STORE_KNOWN;
    struct store_met m = { 0 };
    if (p->broken)
        return fail_broken(p, err);
    if (!add_row(p, r, now_us, &added, &m, err) ||
        (!p->dry && ++p->n_rows >= p->s->batch_rows && !end_batch(p, err)))
        return break_off(p, err);
    *what = added;
    *met = m;
    return true;
}

bool store_sql_populate_end(struct store_populate *base, struct pixl_error *err)
{
    struct populate *p = (struct populate *)base;
    struct store_sql *s = p->s;
    bool ok = !p->broken || fail_broken(p, err);
    if (p->dry)
        store_sql_rollback(s);
    else if (ok && (!store_bulk_send(&p->bulk, err) || !sql_commit(s->db, err))) {
        store_sql_rollback(s);
        ok = false;
    }
    free_populate(p);
    /* What is committed is committed: a cache that cannot be made small again is not the caller's failure. */
    struct pixl_error ignored = { 0 };
    if (!tune(s, false, &ignored))
        pixl_error_clear(&ignored);
    return ok;
}
