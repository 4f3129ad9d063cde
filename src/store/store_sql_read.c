/* The store in SQL: everything that only looks. */
#include "store_sql_read.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "store/series.h"

/* --- images ---------------------------------------------------------------------------------------------------- */

#define IMAGE_COLUMNS(day, exported_us)                                                              \
    "SELECT i.image_id, x.slug, i.mrn, i.accession_number, i.study_uid, i.found_uid, i.series_uids," \
    " i.series_version, i.pseudo_patient_id, " day ", i.priority, i.state, i.failed_from, i.reason," \
    " i.detail, i.attempts, i.crashes, i.fence, i.not_before_us, i.lease_until_us, i.owner,"         \
    " i.pseudo_study_uid, i.zip_bytes, i.zip_digest, i.instances_found, i.instances_delivered,"      \
    " i.instances_skipped, i.archive, i.spool, i.created_us, i.updated_us, " exported_us " FROM image i "
#define LITE_IMAGE IMAGE_COLUMNS("i.study_date", "i.exported_at")
#define PG_IMAGE   IMAGE_COLUMNS(STORE_PG_DAY("i.study_date"), STORE_PG_US("i.exported_at"))

/* Texts are borrowed from the statement.  failed_from is queued, the first state, when the row has none. */
static bool columns_to_image(struct sql_stmt *q, struct store_image *out, struct pixl_error *err)
{
    int i = 0;
    struct store_image m = { .failed_from = STUDY_QUEUED };
    m.id = sql_col_i64(q, i++);
    m.project = sql_col_str(q, i++);
    m.mrn = phi_text(sql_col_str(q, i++));
    m.accession_number = phi_text(sql_col_str(q, i++));
    m.study_uid = phi_text(sql_col_str(q, i++));
    m.found_uid = phi_text(sql_col_str(q, i++));
    m.series_uids = phi_text(sql_col_str(q, i++));
    m.series_version = sql_col_i64(q, i++);
    m.participant_id = sql_col_str(q, i++);
    m.study_date = (int32_t)sql_col_i64(q, i++);
    m.priority = (int)sql_col_i64(q, i++);
    if (!store_sql_parse_state(sql_col_str(q, i++), &m.state, err))
        return false;
    if (!sql_col_is_null(q, i) && !store_sql_parse_state(sql_col_str(q, i), &m.failed_from, err))
        return false;
    i++;
    if (!store_sql_parse_reason(sql_col_str(q, i++), &m.reason, err))
        return false;
    m.detail = sql_col_str(q, i++);
    m.attempts = (int)sql_col_i64(q, i++);
    m.crashes = (int)sql_col_i64(q, i++);
    m.fence = sql_col_i64(q, i++);
    m.not_before_us = sql_col_i64(q, i++);
    m.lease_until_us = sql_col_i64(q, i++);
    m.owner = sql_col_str(q, i++);
    m.pseudo_study_uid = sql_col_str(q, i++);
    m.zip_bytes = sql_col_i64(q, i++);
    m.zip_digest = sql_col_str(q, i++);
    m.instances_found = sql_col_i64(q, i++);
    m.instances_delivered = sql_col_i64(q, i++);
    m.instances_skipped = sql_col_i64(q, i++);
    m.archive = (int)sql_col_i64(q, i++);
    m.spool = sql_col_str(q, i++);
    m.created_us = sql_col_i64(q, i++);
    m.updated_us = sql_col_i64(q, i++);
    m.exported_us = sql_col_i64(q, i++);
    *out = m;
    return true;
}

static bool own_str(struct arena *a, struct str *s)
{
    *s = arena_str(a, *s);
    return s->p != NULL;
}

static bool own_phi(struct arena *a, struct phi_text *t)
{
    struct str s = phi_reveal(*t);
    bool ok = own_str(a, &s);
    *t = phi_text(s);
    return ok;
}

static bool own_texts(struct arena *a, struct store_image *m)
{
    return own_str(a, &m->project) && own_phi(a, &m->mrn) && own_phi(a, &m->accession_number) &&
           own_phi(a, &m->study_uid) && own_phi(a, &m->found_uid) && own_phi(a, &m->series_uids) &&
           own_str(a, &m->participant_id) && own_str(a, &m->detail) && own_str(a, &m->owner) &&
           own_str(a, &m->pseudo_study_uid) && own_str(a, &m->zip_digest) && own_str(a, &m->spool);
}

#define ONE_IMAGE "JOIN extract x USING (extract_id) WHERE i.image_id = ?1"
#define EACH_IMAGE \
    "CROSS JOIN extract x WHERE x.extract_id = i.extract_id AND (?1 = '' OR x.slug = ?1) ORDER BY i.image_id"

bool store_sql_read_image(struct store_sql *s, int64_t id, struct arena *a, bool *got, struct store_image *out,
                          struct pixl_error *err)
{
    sql_stmt_auto *q = NULL;
    bool there;
    if (!sql_prepare(s->db, SQL_EACH(LITE_IMAGE ONE_IMAGE, PG_IMAGE ONE_IMAGE), &q, err))
        return false;
    sql_bind_i64(q, 1, id);
    if (!sql_step(q, &there, err))
        return false;
    struct store_image m;
    if (there && !columns_to_image(q, &m, err))
        return false;
    if (there && !own_texts(a, &m))
        return pixl_fail(err, PIXL_E_NOMEM, 0, "store: image %lld", (long long)id);
    if (there)
        *out = m;
    *got = there;
    return true;
}

bool store_sql_get_image(struct store_session *s, int64_t id, struct arena *a, bool *got, struct store_image *out,
                         struct pixl_error *err)
{
    return store_sql_read_image(store_sql_of(s), id, a, got, out, err);
}

bool store_sql_each_image(struct store_session *s, const struct store_filter *f,
                          bool (*each)(void *ctx, const struct store_image *image), void *ctx, struct pixl_error *err)
{
    sql_stmt_auto *q = NULL;
    if (!sql_prepare(store_sql_of(s)->db, SQL_EACH_LONG(LITE_IMAGE EACH_IMAGE, PG_IMAGE EACH_IMAGE), &q, err))
        return false;
    sql_bind_str(q, 1, f->project);
    for (;;) {
        bool got;
        struct store_image m;
        if (!sql_step(q, &got, err))
            return false;
        if (!got)
            return true;
        if (!columns_to_image(q, &m, err))
            return false;
        if (f->states != 0 && (f->states >> m.state & 1) == 0)
            continue;
        if (!each(ctx, &m))
            return pixl_fail(err, PIXL_E_CANCELLED, 0, "store: reading the images was ended by its caller");
    }
}

/* --- finding what a person names ------------------------------------------------------------------------------- */

/* Numbers of a statement's first column, in the arena. */
static bool collect_ids(struct sql_stmt *q, struct arena *a, int64_t **ids, size_t *n, struct pixl_error *err)
{
    int64_t *list = NULL;
    size_t used = 0, room = 0;
    for (;;) {
        bool got;
        if (!sql_step(q, &got, err))
            return false;
        if (!got)
            break;
        list = arena_grow(a, list, used, &room, sizeof *list);
        if (list == NULL)
            return pixl_fail(err, PIXL_E_NOMEM, 0, "store: list of images");
        list[used++] = sql_col_i64(q, 0);
    }
    *ids = list;
    *n = used;
    return true;
}

/* A person asks for one study once in a while: a walk over the tables instead of five more indexes that each populate
 * would have to fill.  An accession number may look like our number, so a plain number is tried as both. */
bool store_sql_find_images(struct store_session *s, struct phi_text ref, struct arena *a, int64_t **ids, size_t *n,
                           struct pixl_error *err)
{
    static const struct str prefix = { "image ", 6 };
    struct str text = str_trim(phi_reveal(ref));
    int64_t number = 0;
    bool only_number = str_is_prefix(text, prefix);
    if (only_number)
        text = (struct str){ text.p + prefix.n, text.n - prefix.n };
    if (!str_to_i64(text, &number))
        number = 0;
    sql_stmt_auto *q = NULL;
    if (!sql_prepare(store_sql_of(s)->db, /* by its index: services ask for it, too */
                     SQL_EACH("SELECT image_id FROM image WHERE pseudo_study_uid = ?1 AND pseudo_study_uid <> ''",
                              "SELECT image_id FROM image WHERE pseudo_study_uid = ?1 AND pseudo_study_uid <> ''"
                              " AND (key_hash IS NOT NULL OR found_uid <> '')"),
                     &q, err))
        return false;
    sql_bind_str(q, 1, text);
    if (!collect_ids(q, a, ids, n, err))
        return false;
    if (*n > 0)
        return true;
    if (!sql_prepare(store_sql_of(s)->db,
                     SQL("SELECT image_id FROM image WHERE image_id = ?1"
                         " UNION SELECT image_id FROM image WHERE ?2 <> ''"
                         " AND (pseudo_study_uid = ?2 OR study_uid = ?2 OR found_uid = ?2 OR accession_number = ?2)"
                         " UNION SELECT l.image_id FROM request r JOIN request_image l USING (request_id)"
                         " WHERE ?2 <> '' AND (r.study_uid = ?2 OR r.accession_number = ?2) ORDER BY 1"),
                     &q, err))
        return false;
    sql_bind_i64(q, 1, number);
    sql_bind_str(q, 2, only_number ? (struct str){ 0 } : text);
    return collect_ids(q, a, ids, n, err);
}

bool store_sql_each_event(struct store_session *s, int64_t image, bool (*each)(void *ctx, const struct store_event *e),
                          void *ctx, struct pixl_error *err)
{
    sql_stmt_auto *q = NULL;
    if (!sql_prepare(store_sql_of(s)->db,
                     SQL("SELECT at_us, from_state, to_state, reason, detail, owner, fence, attempt"
                         " FROM image_event WHERE image_id = ?1 ORDER BY event_no"),
                     &q, err))
        return false;
    sql_bind_i64(q, 1, image);
    for (;;) {
        bool got;
        if (!sql_step(q, &got, err))
            return false;
        if (!got)
            return true;
        struct store_event e = { .at_us = sql_col_i64(q, 0),
                                 .is_first = sql_col_is_null(q, 1),
                                 .detail = sql_col_str(q, 4),
                                 .owner = sql_col_str(q, 5),
                                 .fence = sql_col_i64(q, 6),
                                 .attempt = (int)sql_col_i64(q, 7) };
        if (!store_sql_parse_state(sql_col_str(q, 2), &e.to, err) ||
            !store_sql_parse_reason(sql_col_str(q, 3), &e.reason, err))
            return false;
        e.from = e.to; /* of the first one, which comes from nowhere */
        if (!e.is_first && !store_sql_parse_state(sql_col_str(q, 1), &e.from, err))
            return false;
        if (!each(ctx, &e))
            return pixl_fail(err, PIXL_E_CANCELLED, 0, "store: reading the events was ended by its caller");
    }
}

/* --- counts and lists ------------------------------------------------------------------------------------------ */

static bool count_images(struct store_sql *s, struct str project, struct store_counts *out, struct pixl_error *err)
{
    sql_stmt_auto *q = NULL;
    if (!sql_prepare(s->db,
                     SQL("SELECT state, reason, count(*), sum(instances_found), sum(instances_delivered),"
                         " sum(instances_skipped), sum(zip_bytes) FROM image WHERE ?1 = ''"
                         " OR extract_id IN (SELECT extract_id FROM extract WHERE slug = ?1) GROUP BY state, reason"),
                     &q, err))
        return false;
    sql_bind_str(q, 1, project);
    for (;;) {
        bool got;
        enum study_state state;
        enum study_reason reason;
        if (!sql_step(q, &got, err))
            return false;
        if (!got)
            return true;
        if (!store_sql_parse_state(sql_col_str(q, 0), &state, err) ||
            !store_sql_parse_reason(sql_col_str(q, 1), &reason, err))
            return false;
        bool is_delivered = state == STUDY_EXPORTED || state == STUDY_KEPT;
        int64_t n = sql_col_i64(q, 2);
        out->by_state[state] += n;
        if (study_state_is_end(state) && !is_delivered)
            out->by_reason[reason] += n;
        if (!study_state_is_end(state))
            out->waiting_by[reason] += n;
        out->instances_found += sql_col_i64(q, 3);
        out->instances_skipped += sql_col_i64(q, 5);
        if (is_delivered) {
            out->instances_delivered += sql_col_i64(q, 4);
            out->delivered_bytes += sql_col_i64(q, 6);
        }
    }
}

/* Adds a statement's rows of reason and number. */
static bool add_reasons(struct sql_stmt *q, int64_t by_reason[STUDY_REASON_COUNT], struct pixl_error *err)
{
    for (;;) {
        bool got;
        enum study_reason reason;
        if (!sql_step(q, &got, err))
            return false;
        if (!got)
            return true;
        if (!store_sql_parse_reason(sql_col_str(q, 0), &reason, err))
            return false;
        by_reason[reason] += sql_col_i64(q, 1);
    }
}

bool store_sql_get_skipped(struct store_session *s, int64_t image, int64_t by_reason[STUDY_REASON_COUNT],
                           struct pixl_error *err)
{
    sql_stmt_auto *q = NULL;
    int64_t read[STUDY_REASON_COUNT] = { 0 };
    if (!sql_prepare(store_sql_of(s)->db, SQL("SELECT reason, instances FROM instance_skipped WHERE image_id = ?1"), &q,
                     err))
        return false;
    sql_bind_i64(q, 1, image);
    if (!add_reasons(q, read, err))
        return false;
    memcpy(by_reason, read, sizeof read);
    return true;
}

/* A row that retry has taken back counts no instances, and keeps what its last attempt left out. */
static bool count_skipped(struct store_sql *s, struct str project, struct store_counts *out, struct pixl_error *err)
{
    sql_stmt_auto *q = NULL;
    if (!sql_prepare(s->db,
                     SQL("SELECT n.reason, sum(n.instances) FROM instance_skipped n JOIN image i USING (image_id)"
                         " WHERE i.instances_skipped > 0 AND (?1 = ''"
                         " OR i.extract_id IN (SELECT extract_id FROM extract WHERE slug = ?1)) GROUP BY n.reason"),
                     &q, err))
        return false;
    sql_bind_str(q, 1, project);
    return add_reasons(q, out->skipped_by, err);
}

static bool count_requests(struct store_sql *s, struct str project, struct store_counts *out, struct pixl_error *err)
{
    sql_stmt_auto *q = NULL;
    bool got;
    if (!sql_prepare(s->db,
                     SQL("SELECT CASE ?1 WHEN '' THEN (SELECT count(*) FROM request) ELSE (SELECT count(*) FROM request"
                         " WHERE extract_time_id IN (SELECT t.extract_time_id FROM extract_time t JOIN extract x"
                         " USING (extract_id) WHERE x.slug = ?1)) END"),
                     &q, err))
        return false;
    sql_bind_str(q, 1, project);
    if (!sql_step(q, &got, err))
        return false;
    assert(got);
    out->requests = sql_col_i64(q, 0);
    return true;
}

bool store_sql_count(struct store_session *s, struct str project, struct store_counts *out, struct pixl_error *err)
{
    struct store_counts c = { .requests = 0 };
    if (!count_images(store_sql_of(s), project, &c, err) || !count_skipped(store_sql_of(s), project, &c, err) ||
        !count_requests(store_sql_of(s), project, &c, err))
        return false;
    *out = c;
    return true;
}

bool store_sql_newest_image(struct store_session *s, int64_t *id, struct pixl_error *err)
{
    sql_stmt_auto *q = NULL;
    bool got;
    if (!sql_prepare(store_sql_of(s)->db, SQL("SELECT coalesce(max(image_id), 0) FROM image"), &q, err) ||
        !sql_step(q, &got, err))
        return false;
    *id = sql_col_i64(q, 0);
    return true;
}

/* Texts of a statement's first column, in the arena. */
static bool collect_texts(struct sql_stmt *q, struct arena *a, struct str **out, size_t *n, struct pixl_error *err)
{
    struct str *list = NULL;
    size_t used = 0, room = 0;
    for (;;) {
        bool got;
        if (!sql_step(q, &got, err))
            return false;
        if (!got)
            break;
        list = arena_grow(a, list, used, &room, sizeof *list);
        if (list == NULL)
            return pixl_fail(err, PIXL_E_NOMEM, 0, "store: list");
        list[used] = sql_col_str(q, 0);
        if (!own_str(a, &list[used++]))
            return pixl_fail(err, PIXL_E_NOMEM, 0, "store: list");
    }
    *out = list;
    *n = used;
    return true;
}

bool store_sql_projects(struct store_session *s, struct arena *a, struct str **out, size_t *n, struct pixl_error *err)
{
    sql_stmt_auto *q = NULL;
    if (!sql_prepare(store_sql_of(s)->db,
                     SQL_EACH("SELECT slug FROM extract ORDER BY slug",
                              "SELECT DISTINCT slug COLLATE \"C\" FROM extract ORDER BY 1"),
                     &q, err))
        return false;
    return collect_texts(q, a, out, n, err);
}

bool store_sql_extract_times(struct store_session *s, struct str project, struct arena *a, struct str **out, size_t *n,
                             struct pixl_error *err)
{
    sql_stmt_auto *q = NULL;
    if (!sql_prepare(store_sql_of(s)->db,
                     SQL("SELECT t.extract_time FROM extract_time t JOIN extract x USING (extract_id)"
                         " WHERE x.slug = ?1 ORDER BY t.extract_time"),
                     &q, err))
        return false;
    sql_bind_str(q, 1, project);
    return collect_texts(q, a, out, n, err);
}

#define OF_EXTRACT                                                                     \
    " (SELECT t.extract_time_id FROM extract_time t JOIN extract x USING (extract_id)" \
    " WHERE x.slug = ?1 AND t.extract_time = ?2)"
#define MARK(time) " count(*), coalesce(max(" time "), 0), CAST(coalesce(sum(" time " % 2147483647), 0) AS BIGINT)"

static bool read_mark(struct store_sql *s, struct sql_text sql, struct str project, struct str extract_time,
                      int64_t out[3], struct pixl_error *err)
{
    sql_stmt_auto *q = NULL;
    bool got;
    if (!sql_prepare(s->db, sql, &q, err))
        return false;
    sql_bind_str(q, 1, project);
    sql_bind_str(q, 2, extract_time);
    if (!sql_step(q, &got, err))
        return false;
    assert(got);
    for (int i = 0; i < 3; i++)
        out[i] = sql_col_i64(q, i);
    return true;
}

bool store_sql_mark_extract(struct store_session *s, struct str project, struct str extract_time,
                            struct store_extract_mark *out, struct pixl_error *err)
{
    int64_t rows[3], reports[3];
    if (!read_mark(
            store_sql_of(s),
            SQL("SELECT" MARK("i.updated_us") " FROM request r JOIN request_image l USING (request_id)"
                                              " JOIN image i USING (image_id) WHERE r.extract_time_id =" OF_EXTRACT),
            project, extract_time, rows, err) ||
        !read_mark(store_sql_of(s), SQL("SELECT" MARK("loaded_us") " FROM report WHERE extract_time_id =" OF_EXTRACT),
                   project, extract_time, reports, err))
        return false;
    *out = (struct store_extract_mark){ rows[0], rows[1], rows[2], reports[0], reports[1], reports[2] };
    return true;
}

bool store_sql_each_procedure(struct store_session *s, struct str project, struct str extract_time,
                              void (*each)(void *ctx, int64_t procedure, struct phi_text mrn), void *ctx,
                              struct pixl_error *err)
{
    sql_stmt_auto *q = NULL;
    bool got = true;
    if (!sql_prepare(store_sql_of(s)->db,
                     SQL("SELECT procedure_occurrence_id, mrn FROM request WHERE extract_time_id =" OF_EXTRACT
                         " ORDER BY procedure_occurrence_id, request_id"),
                     &q, err))
        return false;
    sql_bind_str(q, 1, project);
    sql_bind_str(q, 2, extract_time);
    while (got) {
        if (!sql_step(q, &got, err))
            return false;
        if (got)
            each(ctx, sql_col_i64(q, 0), phi_text(sql_col_str(q, 1)));
    }
    return true;
}

bool store_sql_bucket_names(struct store_session *s, struct arena *a, struct str **out, size_t *n,
                            struct pixl_error *err)
{
    sql_stmt_auto *q = NULL;
    if (!sql_prepare(store_sql_of(s)->db,
                     SQL_EACH("SELECT name FROM bucket ORDER BY name",
                              "SELECT name FROM bucket ORDER BY name COLLATE \"C\""),
                     &q, err))
        return false;
    return collect_texts(q, a, out, n, err);
}

/* Rows with a key or a study found are ours, made or taken over; SQLite has no others, and does not sort all to see it. */
#define TWICE                                                                                                     \
    "SELECT image_id FROM (SELECT image_id, key_hash, found_uid, merged_into, row_number() OVER (PARTITION BY"    \
    " extract_id, mrn, accession_number, coalesce(study_uid, '') ORDER BY key_hash IS NULL, exported_at IS NULL," \
    " image_id) AS nth FROM image) AS i"                                                                          \
    " WHERE nth > 1 AND key_hash IS NULL AND found_uid = '' AND merged_into IS NULL ORDER BY 1"

static bool count_one(struct store_sql *s, struct sql_text text, int64_t *out, struct pixl_error *err)
{
    sql_stmt_auto *q = NULL;
    bool got;
    if (!sql_prepare(s->db, text, &q, err) || !sql_step(q, &got, err))
        return false;
    assert(got);
    *out = sql_col_i64(q, 0);
    return true;
}

bool store_sql_find_adopted(struct store_session *session, struct arena *a, struct store_adopted *out,
                            struct pixl_error *err)
{
    struct store_sql *s = store_sql_of(session);
    struct store_adopted found = { .images = 0 };
    int64_t *twice;
    sql_stmt_auto *q = NULL;
    if (!count_one(s, SQL("SELECT count(*) FROM image WHERE state = 'adopted'"), &found.images, err) ||
        !count_one(s, SQL("SELECT count(*) - count(DISTINCT slug) FROM extract"), &found.projects_twice, err) ||
        !sql_prepare(s->db, SQL_EACH("SELECT image_id FROM image WHERE FALSE", TWICE), &q, err) ||
        !collect_ids(q, a, &twice, &found.n_twice, err))
        return false;
    found.twice = twice;
    *out = found;
    return true;
}

/* A study holds the series of all requests that reached it in time: one that it does not hold came too late. */
static bool is_too_late(const struct store_outcome *o, struct str series_held, struct str series_asked)
{
    return (o->state == STUDY_EXPORTED || o->state == STUDY_KEPT) && !series_covers(series_held, series_asked);
}

/* In order of requests, so that an export made twice is the same twice; CROSS JOIN keeps SQLite's planner to that
 * order. */
#define OUTCOMES(join, extract_time_id)                                                                            \
    "SELECT r.procedure_occurrence_id, i.state, i.reason, i.pseudo_study_uid, i.instances_found,"                  \
    " i.instances_delivered, i.instances_skipped, i.series_uids, r.series_uids"                                    \
    " FROM request r " join " request_image l USING (request_id) " join " image i USING (image_id)"                \
    " WHERE " extract_time_id " = (SELECT t.extract_time_id FROM extract_time t JOIN extract x USING (extract_id)" \
    " WHERE x.slug = ?1 AND t.extract_time = ?2) ORDER BY r.request_id, l.image_id"
bool store_sql_each_outcome(struct store_session *s, struct str project, struct str extract_time,
                            bool (*each)(void *ctx, const struct store_outcome *o), void *ctx, struct pixl_error *err)
{
    sql_stmt_auto *q = NULL;
    if (!sql_prepare(store_sql_of(s)->db,
                     SQL_EACH_LONG(OUTCOMES("CROSS JOIN", "+r.extract_time_id"), OUTCOMES("JOIN", "r.extract_time_id")),
                     &q, err))
        return false;
    sql_bind_str(q, 1, project);
    sql_bind_str(q, 2, extract_time);
    for (;;) {
        bool got;
        if (!sql_step(q, &got, err))
            return false;
        if (!got)
            return true;
        struct store_outcome o = { .procedure_occurrence_id = sql_col_i64(q, 0),
                                   .pseudo_study_uid = sql_col_str(q, 3),
                                   .instances_found = sql_col_i64(q, 4),
                                   .instances_delivered = sql_col_i64(q, 5),
                                   .instances_skipped = sql_col_i64(q, 6) };
        if (!store_sql_parse_state(sql_col_str(q, 1), &o.state, err) ||
            !store_sql_parse_reason(sql_col_str(q, 2), &o.reason, err))
            return false;
        if (is_too_late(&o, sql_col_str(q, 7), sql_col_str(q, 8)))
            o = (struct store_outcome){ .procedure_occurrence_id = o.procedure_occurrence_id,
                                        .state = STUDY_SKIPPED,
                                        .reason = STUDY_WHY_DELIVERED_BEFORE };
        if (!each(ctx, &o))
            return pixl_fail(err, PIXL_E_CANCELLED, 0, "store: reading the outcomes was ended by its caller");
    }
}
