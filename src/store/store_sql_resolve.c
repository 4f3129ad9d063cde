/* The store in SQL: the studies that the archive found for a row.
 *
 * What a row asked for (a UID that the archive may know otherwise, or MRN and accession number) can be several studies,
 * and a study can be what several rows asked for.  After resolve each study has one row, known by found_uid; every
 * request is linked to the rows of all the studies that it asked for.  A row whose studies all have other rows is
 * `merged`: it ends as skipped/same-study, its requests go to the others, and merged_into says where a later request in
 * its words finds them. */
#include "store_sql.h"

#include <stdlib.h>

struct resolve {
    struct store_sql *s;
    struct store_row row;
    const struct phi_text *uids;
    int64_t *owners; /* for each uid the image that stands for it; 0: none yet */
    size_t n;
    int64_t now_us;
    struct phi_text mrn, accession_number, study_uid, found_uid, series_uids; /* of the row; in the arena */
    struct str participant_id;
    int32_t study_date;
    struct arena arena;
};

#define READ_TEXTS(day)                                                                        \
    "SELECT mrn, accession_number, study_uid, found_uid, series_uids, pseudo_patient_id, " day \
    " FROM image WHERE image_id = ?1"

/* Texts are copied: statements run while they are used. */
static bool read_texts(struct resolve *v, struct pixl_error *err)
{
    sql_stmt_auto *q = NULL;
    bool got;
    if (!sql_prepare(v->s->db, SQL_EACH(READ_TEXTS("study_date"), READ_TEXTS(STORE_PG_DAY("study_date"))), &q, err))
        return false;
    sql_bind_i64(q, 1, v->row.id);
    if (!sql_step(q, &got, err))
        return false;
    struct str t[6];
    for (int i = 0; i < 6; i++) {
        t[i] = arena_str(&v->arena, got ? sql_col_str(q, i) : (struct str){ 0 });
        if (t[i].p == NULL)
            return pixl_fail(err, PIXL_E_NOMEM, 0, "store: image %lld", (long long)v->row.id);
    }
    v->mrn = phi_text(t[0]);
    v->accession_number = phi_text(t[1]);
    v->study_uid = phi_text(t[2]);
    v->found_uid = phi_text(t[3]);
    v->series_uids = phi_text(t[4]);
    v->participant_id = t[5];
    v->study_date = (int32_t)sql_col_i64(q, 6);
    return true;
}

/* A row that asked for this UID and has not found another study by it. */
static bool find_asked(struct resolve *v, struct phi_text uid, int64_t *id, struct pixl_error *err)
{
    struct store_key key = { v->row.extract_id, v->mrn, v->accession_number, uid };
    uint64_t unused;
    int64_t image;
    if (!store_sql_find_key(v->s, &key, &image, &unused, err))
        return false;
    sql_stmt_auto *q = NULL;
    bool got;
    if (!sql_prepare(v->s->db,
                     SQL("SELECT 1 FROM image WHERE image_id = ?1 AND found_uid = '' AND merged_into IS NULL"), &q,
                     err))
        return false;
    sql_bind_i64(q, 1, image);
    if (!sql_step(q, &got, err))
        return false;
    *id = got ? image : 0;
    return true;
}

static bool find_owners(struct resolve *v, struct pixl_error *err)
{
    for (size_t i = 0; i < v->n; i++)
        if (!store_sql_find_found(v->s, v->row.extract_id, v->uids[i], &v->owners[i], err) ||
            (v->owners[i] == 0 && !find_asked(v, v->uids[i], &v->owners[i], err)))
            return false;
    return true;
}

/* The study that this row goes on with: its own, else the first that nobody has. */
static int64_t choose_mine(const struct resolve *v)
{
    int64_t first_free = -1;
    for (size_t i = v->n; i-- > 0;) {
        if (v->owners[i] == v->row.id)
            return (int64_t)i;
        if (v->owners[i] == 0)
            first_free = (int64_t)i;
    }
    return first_free;
}

#define TAKE_STUDY(none)                                                                  \
    "UPDATE image SET found_uid = ?2, updated_us = ?3, pseudo_study_uid = CASE found_uid" \
    " WHEN '' THEN pseudo_study_uid ELSE " none " END WHERE image_id = ?1"

/* A pseudo study UID that was made from another study than this one goes with it; an adopted one was there first and
 * stays. */
static bool take_study(struct resolve *v, struct phi_text uid, struct pixl_error *err)
{
    if (phi_eq(v->found_uid, uid))
        return true;
    sql_stmt_auto *q = NULL;
    if (!sql_prepare(v->s->db, SQL_EACH(TAKE_STUDY("''"), TAKE_STUDY("NULL")), &q, err))
        return false;
    sql_bind_i64(q, 1, v->row.id);
    sql_bind_str(q, 2, phi_reveal(uid));
    sql_bind_i64(q, 3, v->now_us);
    return sql_run(q, err);
}

static bool link_requests(struct resolve *v, int64_t to, struct pixl_error *err)
{
    sql_stmt_auto *q = NULL;
    if (!sql_prepare(v->s->db,
                     SQL("INSERT INTO request_image SELECT request_id, ?2 FROM request_image WHERE image_id = ?1"
                         " ON CONFLICT DO NOTHING"),
                     &q, err))
        return false;
    sql_bind_i64(q, 1, v->row.id);
    sql_bind_i64(q, 2, to);
    return sql_run(q, err);
}

/* As if the request had named its UID; when a row with that key found another study by it, without a key. */
static bool make_row(struct resolve *v, struct phi_text uid, int64_t *id, struct pixl_error *err)
{
    struct store_key key = { v->row.extract_id, v->mrn, v->accession_number, uid };
    int64_t holder;
    uint64_t hash;
    if (!store_sql_find_key(v->s, &key, &holder, &hash, err))
        return false;
    struct store_new_image n = { .extract_id = v->row.extract_id,
                                 .key_hash = hash,
                                 .has_key = holder == 0,
                                 .mrn = v->mrn,
                                 .accession_number = v->accession_number,
                                 .study_uid = uid,
                                 .found_uid = uid,
                                 .series_uids = v->series_uids,
                                 .participant_id = v->participant_id,
                                 .study_date = v->study_date,
                                 .priority = v->row.priority,
                                 .archive = v->row.archive };
    return store_sql_insert_image(v->s, &n, v->now_us, id, err);
}

/* Another study than ours: its row, new or not, gets our requests and asks for our series too, while it still can. */
static bool give_to_other(struct resolve *v, size_t i, struct pixl_error *err)
{
    if (v->owners[i] == 0)
        return make_row(v, v->uids[i], &v->owners[i], err) && link_requests(v, v->owners[i], err);
    struct store_widen w = { .series = phi_reveal(v->series_uids), .again = true, .now_us = v->now_us };
    enum store_widened what;
    return store_sql_widen(v->s, v->owners[i], &w, &what, err) && link_requests(v, v->owners[i], err);
}

static bool merge_away(struct resolve *v, struct pixl_error *err)
{
    sql_stmt_auto *unlink = NULL, *q = NULL;
    struct store_change c = store_sql_change_of(&v->row, STUDY_SKIPPED, v->now_us);
    c.reason = STUDY_WHY_SAME_STUDY;
    if (!store_sql_change(v->s, &c, err) ||
        !sql_prepare(v->s->db, SQL("DELETE FROM request_image WHERE image_id = ?1"), &unlink, err) ||
        !sql_prepare(v->s->db, SQL("UPDATE image SET merged_into = ?2, found_uid = '' WHERE image_id = ?1"), &q, err))
        return false;
    sql_bind_i64(unlink, 1, v->row.id);
    sql_bind_i64(q, 1, v->row.id);
    sql_bind_i64(q, 2, v->owners[0]);
    return sql_run(unlink, err) && sql_run(q, err);
}

static bool resolve_in(struct resolve *v, int64_t image, int64_t fence, int64_t *mine, struct pixl_error *err)
{
    if (!store_sql_get_row(v->s, image, &v->row, err))
        return false;
    if (v->row.fence != fence)
        return pixl_fail(err, PIXL_E_STALE, 0, "store: image %lld was claimed anew", (long long)image);
    if (v->row.state != STUDY_RETRIEVING)
        return pixl_fail(err, PIXL_E_INTERNAL, 0, "store: image %lld is resolved while it is %s", (long long)image,
                         study_state_name(v->row.state));
    if (!read_texts(v, err) || !find_owners(v, err))
        return false;
    *mine = choose_mine(v);
    if (*mine >= 0 && !take_study(v, v->uids[*mine], err))
        return false;
    for (size_t i = 0; i < v->n; i++)
        if ((int64_t)i != *mine && v->owners[i] != v->row.id && !give_to_other(v, i, err))
            return false;
    return *mine >= 0 || merge_away(v, err);
}

bool store_sql_resolve(struct store_session *store, int64_t image, int64_t fence, const struct phi_text *uids, size_t n,
                       int64_t now_us, int64_t *mine, struct pixl_error *err)
{
    struct store_sql *s = store_sql_of(store);
    struct resolve v = { .s = s, .uids = uids, .n = n, .now_us = now_us };
    v.owners = calloc(n, sizeof *v.owners);
    if (v.owners == NULL)
        return pixl_fail(err, PIXL_E_NOMEM, 0, "store: resolve");
    arena_init(&v.arena, 64 * 1024 * 1024);
    int64_t which = -1;
    bool ok = store_sql_begin(s, STORE_LOCK_STUDIES, err) && resolve_in(&v, image, fence, &which, err) &&
              sql_commit(s->db, err);
    if (!ok)
        store_sql_rollback(s);
    else
        *mine = which;
    arena_done(&v.arena);
    free(v.owners);
    return ok;
}
