/* The store in SQL: de-identified reports, and what is known of the procedures that they speak of.
 *
 * A load writes by transactions of BATCH reports, begun with the first that changes something, so that the write lock
 * is not held while the next report is read; a dry one begins none.  Which procedures it has put is in a temporary
 * table, which costs no memory and no lock. */
#include "store_sql.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "store/series.h"

enum { BATCH = 10000, BATCH_BYTES = 32 << 20, SUBJECT_BYTES_MAX = 64 << 20 };

/* --- what is known of a procedure ------------------------------------------------------------------------------ */

struct needles {
    struct store_needle *list;
    size_t n, room;
};

/* What is known of one study.  The last one is remembered: a study that a million procedures ask for must not be gone
 * through for each of their reports. */
struct known_study {
    int64_t image; /* 0: none yet */
    struct arena arena;
    struct needles needles;
};

static bool fail_memory(struct pixl_error *err)
{
    return pixl_fail(err, PIXL_E_NOMEM, 0, "store: reports");
}

/* Each once; there are few. */
static bool add_needle(struct arena *a, struct needles *to, enum store_needle_kind kind, struct str text,
                       struct pixl_error *err)
{
    if (text.n == 0)
        return true;
    for (size_t i = 0; i < to->n; i++)
        if (to->list[i].kind == kind && str_eq(phi_reveal(to->list[i].text), text))
            return true;
    struct store_needle *list = arena_grow(a, to->list, to->n, &to->room, sizeof *list);
    if (list == NULL)
        return fail_memory(err);
    to->list = list;
    struct str copy = arena_str(a, text);
    if (copy.p == NULL)
        return fail_memory(err);
    to->list[to->n++] = (struct store_needle){ kind, phi_text(copy) };
    return true;
}

static bool add_texts(struct known_study *k, struct sql_stmt *q, struct pixl_error *err)
{
    static const enum store_needle_kind kinds[] = { STORE_NEEDLE_MRN, STORE_NEEDLE_ACCESSION, STORE_NEEDLE_UID,
                                                    STORE_NEEDLE_UID };
    for (int i = 0; i < (int)ARRAY_LEN(kinds); i++)
        if (!add_needle(&k->arena, &k->needles, kinds[i], sql_col_str(q, i), err))
            return false;
    struct str one, rest = sql_col_str(q, (int)ARRAY_LEN(kinds));
    for (bool more = true; more;) {
        more = str_split(rest, '\\', &one, &rest);
        if (!add_needle(&k->arena, &k->needles, STORE_NEEDLE_UID, one, err))
            return false;
    }
    return true;
}

#define KNOWN_TEXTS(join)                                                                            \
    "SELECT mrn, accession_number, study_uid, found_uid, series_uids FROM image WHERE image_id = ?1" \
    " UNION ALL SELECT r.mrn, r.accession_number, r.study_uid, '', r.series_uids"                    \
    " FROM request_image l " join " request r USING (request_id) WHERE l.image_id = ?1"

/* Of the study as asked for and as found, and of all requests for it. */
static bool know_study(struct store_sql *s, struct known_study *k, int64_t image, struct pixl_error *err)
{
    sql_stmt_auto *q = NULL;
    if (k->image == image)
        return true;
    k->image = 0;
    k->needles = (struct needles){ 0 };
    arena_reset(&k->arena);
    if (!sql_prepare(s->db, SQL_EACH_LONG(KNOWN_TEXTS("CROSS JOIN"), KNOWN_TEXTS("JOIN")), &q, err))
        return false;
    sql_bind_i64(q, 1, image);
    for (bool got = true; got;) {
        if (!sql_step(q, &got, err) || (got && !add_texts(k, q, err)))
            return false;
    }
    k->image = image;
    return true;
}

struct gathering {
    struct arena *a;
    struct needles needles;
    struct str *delivered;
    size_t n_delivered, delivered_room;
};

/* Sorted, each once; a procedure has few studies. */
static bool add_delivered(struct gathering *g, struct str uid, struct pixl_error *err)
{
    size_t at = 0;
    while (at < g->n_delivered && str_cmp(g->delivered[at], uid) < 0)
        at++;
    if (at < g->n_delivered && str_eq(g->delivered[at], uid))
        return true;
    struct str *list = arena_grow(g->a, g->delivered, g->n_delivered, &g->delivered_room, sizeof *list);
    if (list == NULL)
        return fail_memory(err);
    g->delivered = list;
    struct str copy = arena_str(g->a, uid);
    if (copy.p == NULL)
        return fail_memory(err);
    memmove(g->delivered + at + 1, g->delivered + at, (g->n_delivered - at) * sizeof *g->delivered);
    g->delivered[at] = copy;
    g->n_delivered++;
    return true;
}

/* One request of the procedure and one of its studies. */
static bool add_pair(struct gathering *g, struct store_sql *s, struct known_study *k, struct sql_stmt *q,
                     struct pixl_error *err)
{
    enum study_state state;
    if (!store_sql_parse_state(sql_col_str(q, 3), &state, err) || !know_study(s, k, sql_col_i64(q, 2), err))
        return false;
    for (size_t i = 0; i < k->needles.n; i++)
        if (!add_needle(g->a, &g->needles, k->needles.list[i].kind, phi_reveal(k->needles.list[i].text), err))
            return false;
    bool is_delivered = state == STUDY_EXPORTED || state == STUDY_KEPT;
    return !is_delivered || !series_covers(sql_col_str(q, 5), sql_col_str(q, 1)) ||
           add_delivered(g, sql_col_str(q, 4), err);
}

#define GATHER(join)                                                                             \
    "SELECT r.request_id, r.series_uids, i.image_id, i.state, i.pseudo_study_uid, i.series_uids" \
    " FROM request r " join " request_image l USING (request_id) " join " image i"               \
    " USING (image_id) WHERE r.extract_time_id = ?1 AND r.procedure_occurrence_id = ?2"          \
    " ORDER BY r.request_id, i.image_id"

static bool gather(struct store_sql *s, struct known_study *k, int64_t extract_time_id, int64_t procedure,
                   struct arena *a, struct store_subject *out, struct pixl_error *err)
{
    struct gathering g = { .a = a };
    int64_t request = 0;
    sql_stmt_auto *q = NULL;
    bool got;
    if (!sql_prepare(s->db, SQL_EACH_LONG(GATHER("CROSS JOIN"), GATHER("JOIN")), &q, err))
        return false;
    sql_bind_i64(q, 1, extract_time_id);
    sql_bind_i64(q, 2, procedure);
    for (;;) {
        if (!sql_step(q, &got, err))
            return false;
        if (!got)
            break;
        if (request == 0)
            request = sql_col_i64(q, 0);
        if (!add_pair(&g, s, k, q, err))
            return false;
    }
    *out = (struct store_subject){ .request = request,
                                   .needles = g.needles.list,
                                   .n_needles = g.needles.n,
                                   .delivered = g.delivered,
                                   .n_delivered = g.n_delivered };
    return true;
}

/* --- reading --------------------------------------------------------------------------------------------------- */

/* A read transaction: in a write-ahead log it holds up nobody. */
bool store_sql_read_begin(struct store_session *s, struct pixl_error *err)
{
    return sql_begin(store_sql_of(s)->db, SQL_BEGIN_SNAPSHOT, err);
}

void store_sql_read_end(struct store_session *s)
{
    sql_rollback(store_sql_of(s)->db);
}

static bool each_report_in(struct store_sql *s, int64_t extract_time_id, struct known_study *k, struct arena *a,
                           bool (*each)(void *ctx, const struct store_report *r, const struct store_subject *of),
                           void *ctx, struct pixl_error *err)
{
    sql_stmt_auto *q = NULL;
    bool got;
    if (!sql_prepare(s->db,
                     SQL_LONG("SELECT procedure_occurrence_id, image_identifier, xray_report, is_withheld FROM report"
                              " WHERE extract_time_id = ?1 ORDER BY procedure_occurrence_id"),
                     &q, err))
        return false;
    sql_bind_i64(q, 1, extract_time_id);
    for (;;) {
        struct store_subject of;
        if (!sql_step(q, &got, err))
            return false;
        if (!got)
            return true;
        const struct store_report r = { sql_col_i64(q, 0), sql_col_str(q, 1), sql_col_str(q, 2),
                                        sql_col_i64(q, 3) != 0 };
        arena_reset(a);
        if (!gather(s, k, extract_time_id, r.procedure_occurrence_id, a, &of, err))
            return false;
        if (!each(ctx, &r, &of))
            return pixl_fail(err, PIXL_E_CANCELLED, 0, "store: reading the reports was ended by its caller");
    }
}

bool store_sql_each_report(struct store_session *store, struct str project, struct str extract_time,
                           bool (*each)(void *ctx, const struct store_report *r, const struct store_subject *of),
                           void *ctx, struct pixl_error *err)
{
    struct store_sql *s = store_sql_of(store);
    struct known_study k = { .image = 0 };
    struct arena a;
    int64_t id;
    arena_init(&a, SUBJECT_BYTES_MAX);
    arena_init(&k.arena, SUBJECT_BYTES_MAX);
    bool ok = store_sql_find_extract_time(s, project, extract_time, &id, err) &&
              each_report_in(s, id, &k, &a, each, ctx, err);
    arena_done(&k.arena);
    arena_done(&a);
    return ok;
}

/* --- loading --------------------------------------------------------------------------------------------------- */

struct load {
    struct store_report_load base;
    struct store_sql *s;
    bool dry, is_open, broken; /* is_open: a transaction */
    struct pixl_error why;     /* when broken */
    int64_t extract_time_id, n_put;
    size_t n_bytes; /* both of the open transaction */
    struct known_study known;
};

static const struct sql_text prepare_put = {
    "CREATE TEMP TABLE IF NOT EXISTS report_put (extract_time_id INTEGER, procedure INTEGER,"
    " PRIMARY KEY (extract_time_id, procedure)) WITHOUT ROWID; DELETE FROM report_put;"
    " PRAGMA cache_size = -65536; PRAGMA wal_autocheckpoint = 16000",
    "CREATE TEMP TABLE IF NOT EXISTS report_put (extract_time_id BIGINT, procedure BIGINT,"
    " PRIMARY KEY (extract_time_id, procedure)); DELETE FROM report_put",
    false
};
static const struct sql_text forget_put = {
    "DELETE FROM report_put; PRAGMA cache_size = -8192; PRAGMA wal_autocheckpoint = 1000; PRAGMA shrink_memory",
    "DELETE FROM report_put", false
};

bool store_sql_reports_begin(struct store_session *store, bool dry, struct store_report_load **out,
                             struct pixl_error *err)
{
    struct store_sql *s = store_sql_of(store);
    struct load *l = calloc(1, sizeof *l);
    if (l == NULL)
        return fail_memory(err);
    l->base.session = store;
    l->s = s;
    l->dry = dry;
    arena_init(&l->known.arena, SUBJECT_BYTES_MAX);
    if (!sql_exec(s->db, prepare_put, err)) {
        free(l);
        return false;
    }
    *out = &l->base;
    return true;
}

static bool break_off(struct load *l, const struct pixl_error *err)
{
    store_sql_rollback(l->s);
    l->is_open = false;
    l->broken = true;
    l->why = *err;
    return false;
}

static bool fail_broken(const struct load *l, struct pixl_error *err)
{
    return pixl_fail(err, l->why.code, l->why.sys, "loading reports was broken off: %s", l->why.msg);
}

bool store_sql_reports_enter(struct store_report_load *base, struct str project, struct str extract_time, bool *got,
                             struct pixl_error *err)
{
    struct load *l = (struct load *)base;
    int64_t id;
    if (l->broken)
        return fail_broken(l, err);
    if (!store_sql_find_extract_time(l->s, project, extract_time, &id, err))
        return break_off(l, err);
    l->extract_time_id = id;
    *got = id != 0;
    return true;
}

bool store_sql_reports_subject(struct store_report_load *base, int64_t procedure, struct arena *a,
                               struct store_subject *out, struct pixl_error *err)
{
    struct load *l = (struct load *)base;
    if (l->broken)
        return fail_broken(l, err);
    return gather(l->s, &l->known, l->extract_time_id, procedure, a, out, err) || break_off(l, err);
}

static bool begin_once(struct load *l, struct pixl_error *err)
{
    if (l->is_open)
        return true;
    if (!store_sql_begin(l->s, STORE_LOCK_ROWS, err))
        return false;
    l->is_open = true;
    l->n_put = 0;
    l->n_bytes = 0;
    return true;
}

static bool commit_when_full(struct load *l, size_t bytes, struct pixl_error *err)
{
    l->n_bytes += bytes;
    if (++l->n_put < BATCH && l->n_bytes < BATCH_BYTES)
        return true;
    l->is_open = false;
    return sql_commit(l->s->db, err);
}

/* *is_first: this load has put none of the procedure yet. */
static bool note_put(struct load *l, int64_t procedure, bool *is_first, struct pixl_error *err)
{
    sql_stmt_auto *q = NULL;
    if (!sql_prepare(l->s->db, SQL("INSERT INTO report_put VALUES (?1, ?2) ON CONFLICT DO NOTHING"), &q, err))
        return false;
    sql_bind_i64(q, 1, l->extract_time_id);
    sql_bind_i64(q, 2, procedure);
    if (!sql_run(q, err))
        return false;
    *is_first = sql_changes(l->s->db) == 1;
    return true;
}

static bool look_up(struct load *l, const struct store_report *r, enum store_report_put *what, struct pixl_error *err)
{
    bool is_empty = r->text.n == 0 && !r->is_withheld, got;
    sql_stmt_auto *q = NULL;
    if (!sql_prepare(l->s->db,
                     SQL("SELECT is_withheld, image_identifier, xray_report FROM report"
                         " WHERE extract_time_id = ?1 AND procedure_occurrence_id = ?2"),
                     &q, err))
        return false;
    sql_bind_i64(q, 1, l->extract_time_id);
    sql_bind_i64(q, 2, r->procedure_occurrence_id);
    if (!sql_step(q, &got, err))
        return false;
    if (is_empty || !got)
        *what = !is_empty ? STORE_REPORT_NEW : got ? STORE_REPORT_TAKEN_AWAY : STORE_REPORT_NONE;
    else
        *what = (sql_col_i64(q, 0) != 0) == r->is_withheld && str_eq(sql_col_str(q, 1), r->image_identifier) &&
                        str_eq(sql_col_str(q, 2), r->text)
                    ? STORE_REPORT_SAME
                    : STORE_REPORT_REPLACED;
    return true;
}

static bool write_report(struct load *l, const struct store_report *r, int64_t now_us, struct pixl_error *err)
{
    sql_stmt_auto *q = NULL;
    if (!sql_prepare(l->s->db,
                     SQL("INSERT INTO report (extract_time_id, procedure_occurrence_id, loaded_us, is_withheld,"
                         " image_identifier, xray_report) VALUES (?1, ?2, ?3, ?4, ?5, ?6)"
                         " ON CONFLICT (extract_time_id, procedure_occurrence_id) DO UPDATE SET loaded_us = ?3,"
                         " is_withheld = ?4, image_identifier = ?5, xray_report = ?6"),
                     &q, err))
        return false;
    sql_bind_i64(q, 1, l->extract_time_id);
    sql_bind_i64(q, 2, r->procedure_occurrence_id);
    sql_bind_i64(q, 3, now_us);
    sql_bind_i64(q, 4, r->is_withheld);
    sql_bind_str(q, 5, r->image_identifier);
    sql_bind_str(q, 6, r->text);
    return sql_run(q, err);
}

static bool take_away(struct load *l, int64_t procedure, struct pixl_error *err)
{
    sql_stmt_auto *q = NULL;
    if (!sql_prepare(l->s->db, SQL("DELETE FROM report WHERE extract_time_id = ?1 AND procedure_occurrence_id = ?2"),
                     &q, err))
        return false;
    sql_bind_i64(q, 1, l->extract_time_id);
    sql_bind_i64(q, 2, procedure);
    return sql_run(q, err);
}

static bool put(struct load *l, const struct store_report *r, int64_t now_us, enum store_report_put *what,
                struct pixl_error *err)
{
    bool is_first;
    if (!note_put(l, r->procedure_occurrence_id, &is_first, err))
        return false;
    if (!is_first) {
        *what = STORE_REPORT_TWICE;
        return true;
    }
    if (!look_up(l, r, what, err))
        return false;
    if (l->dry || *what == STORE_REPORT_SAME || *what == STORE_REPORT_NONE)
        return true;
    if (!begin_once(l, err))
        return false;
    if (!(*what == STORE_REPORT_TAKEN_AWAY ? take_away(l, r->procedure_occurrence_id, err)
                                           : write_report(l, r, now_us, err)))
        return false;
    return commit_when_full(l, r->text.n, err);
}

bool store_sql_reports_put(struct store_report_load *base, const struct store_report *r, int64_t now_us,
                           enum store_report_put *what, struct pixl_error *err)
{
    struct load *l = (struct load *)base;
    enum store_report_put done = STORE_REPORT_NONE;
    if (l->broken)
        return fail_broken(l, err);
    assert(l->extract_time_id != 0);
    if (!put(l, r, now_us, &done, err))
        return break_off(l, err);
    *what = done;
    return true;
}

bool store_sql_reports_end(struct store_report_load *base, struct pixl_error *err)
{
    struct load *l = (struct load *)base;
    struct store_sql *s = l->s;
    bool ok = !l->broken || fail_broken(l, err);
    if (ok && l->is_open && !sql_commit(s->db, err)) {
        store_sql_rollback(s);
        ok = false;
    }
    arena_done(&l->known.arena);
    free(l);
    /* What is committed is committed: a table of ours that stays until the next load is not the caller's failure. */
    struct pixl_error ignored = { 0 };
    if (!sql_exec(s->db, forget_put, &ignored))
        pixl_error_clear(&ignored);
    return ok;
}
