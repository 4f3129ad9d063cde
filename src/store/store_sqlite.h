/* store_sqlite.h - what the files of the SQLite store share; for them only.
 *
 * Every change of a row's state goes through store_sqlite_change(), which asks the table of moves, compares fence and
 * state, and writes the event: no other statement changes image.state.
 * A statement that was not stepped to its end holds a snapshot open; a local `stmt_auto` is reset when its scope ends.
 * Threads: the front door's lock is held. */
#ifndef PIXL_STORE_STORE_SQLITE_H
#define PIXL_STORE_STORE_SQLITE_H

#include "base/sqlite_db.h"
#include "store/store_backend.h"

struct store_sqlite {
    struct store base;
    struct sqlite_db *db;
};
struct store_sqlite *store_sqlite_of(struct store *s);

static inline void store_sqlite_resetp(struct sqlite_stmt **s)
{
    if (*s)
        sqlite_reset(*s);
}
#define stmt_auto PIXL_CLEANUP(store_sqlite_resetp) struct sqlite_stmt

/* --- schema (store_sqlite_schema.c) -------------------------------------------------------------------------- */

/* Brings the database to the newest version; several processes may do so at once. */
PIXL_MUST_CHECK bool store_sqlite_migrate(struct sqlite_db *db, struct pixl_error *err);

/* --- rows (store_sqlite.c) ------------------------------------------------------------------------------------- */

enum { STORE_OWNER_SIZE = 65 };
/* The part of an image row by which moves are decided. */
struct store_row {
    int64_t id, extract_id, fence, series_version;
    enum study_state state, failed_from;
    int attempts, crashes, priority;
    bool has_zip, is_merged;     /* merged: its requests went to another row, see store_sqlite_resolve.c */
    char owner[STORE_OWNER_SIZE];
};
/* Fails: NOT_FOUND. */
PIXL_MUST_CHECK bool store_sqlite_get_row(struct store_sqlite *s, int64_t id, struct store_row *out,
                                          struct pixl_error *err);
/* Fails: CORRUPT when the text is no state. */
PIXL_MUST_CHECK bool store_sqlite_parse_state(struct str name, enum study_state *out, struct pixl_error *err);
PIXL_MUST_CHECK bool store_sqlite_parse_reason(struct str name, enum study_reason *out, struct pixl_error *err);

/* What a row becomes.  store_sqlite_change_of() fills it so that nothing but the state changes. */
struct store_change {
    const struct store_row *row;
    enum study_state to;
    enum study_reason reason;
    struct str detail;
    int64_t now_us, not_before_us, fence;
    int attempts, crashes;
    struct str owner;            /* claims: the new one, with the lease's end */
    int64_t lease_until_us;
    const char *pseudo_study_uid, *zip_digest;           /* NULL, -1: not changed */
    int64_t zip_bytes, instances_found, instances_delivered, instances_skipped;
};
struct store_change store_sqlite_change_of(const struct store_row *row, enum study_state to, int64_t now_us);
/* Inside a transaction.  Fails: INTERNAL (not an allowed move), STALE (the row is no longer as *c->row says), EXISTS
 * (another image has that pseudo study UID). */
PIXL_MUST_CHECK bool store_sqlite_change(struct store_sqlite *s, const struct store_change *c, struct pixl_error *err);

/* --- studies and requests (store_sqlite_populate.c) ------------------------------------------------------------ */

/* A new image row, queued, with its first event.  has_key false: its key is another row's, it is known by found_uid. */
struct store_new_image {
    int64_t extract_id;
    uint64_t key_hash;
    bool has_key;
    struct phi_text mrn, accession_number, study_uid, found_uid, series_uids;
    struct str participant_id;
    int32_t study_date;
    int priority;
};
PIXL_MUST_CHECK bool store_sqlite_insert_image(struct store_sqlite *s, const struct store_new_image *n, int64_t now_us,
                                               int64_t *id, struct pixl_error *err);
/* The row with this key: study UID as asked, else MRN and accession number.  *id 0: none; *free_hash: where its hash
 * goes then. */
struct store_key {
    int64_t extract_id;
    struct phi_text mrn, accession_number, study_uid;
};
PIXL_MUST_CHECK bool store_sqlite_find_key(struct store_sqlite *s, const struct store_key *k, int64_t *id,
                                           uint64_t *free_hash, struct pixl_error *err);
/* The row of this study as the archive has it; *id 0: none. */
PIXL_MUST_CHECK bool store_sqlite_find_found(struct store_sqlite *s, int64_t extract_id, struct phi_text uid,
                                             int64_t *id, struct pixl_error *err);
PIXL_MUST_CHECK bool store_sqlite_link(struct store_sqlite *s, int64_t request, int64_t image, struct pixl_error *err);
/* extract_id of a slug; 0: there is none. */
PIXL_MUST_CHECK bool store_sqlite_find_extract(struct store_sqlite *s, struct str slug, int64_t *id,
                                               struct pixl_error *err);
/* extract_time_id of a slug and a time; 0: there is none. */
PIXL_MUST_CHECK bool store_sqlite_find_extract_time(struct store_sqlite *s, struct str slug, struct str time,
                                                    int64_t *id, struct pixl_error *err);

/* Adds series to those of the row, raises its version when they are more, and queues the row again where that is called
 * for. */
struct store_widen {
    struct str series;           /* a set as series.h has it */
    bool again;                  /* the archive is known to have the study: a row that says `missing` asks once more */
    int64_t now_us;
};
enum store_widened {
    STORE_WIDEN_DONE,            /* the row asks for these series now, or did before */
    STORE_WIDEN_REVIVED,         /* ... and it was held or adopted and is worked on again */
    STORE_WIDEN_TOO_LATE,        /* it is on its way out or there: nothing is changed */
};
PIXL_MUST_CHECK bool store_sqlite_widen(struct store_sqlite *s, int64_t image, const struct store_widen *w,
                                        enum store_widened *what, struct pixl_error *err);

bool store_sqlite_populate_begin(struct store *s, bool dry, struct store_populate **out, struct pixl_error *err);
bool store_sqlite_populate_add(struct store_populate *p, const struct study_request *r, int64_t now_us,
                               enum store_added *what, struct store_met *met, struct pixl_error *err);
bool store_sqlite_populate_end(struct store_populate *p, struct pixl_error *err);

/* --- the other slots ------------------------------------------------------------------------------------------- */

bool store_sqlite_claim_next(struct store *s, const struct store_claim *c, struct arena *a, bool *got,
                             struct store_image *out, struct pixl_error *err);
bool store_sqlite_renew_claims(struct store *s, const char *owner, int64_t lease_until_us, struct pixl_error *err);
bool store_sqlite_recover_claims(struct store *s, const char *owner, bool all_others, int64_t now_us, int64_t *n,
                                 struct pixl_error *err);
bool store_sqlite_next_due(struct store *s, enum store_work work, const struct str *without, size_t n_without, int64_t *due_us,
                           struct pixl_error *err);
bool store_sqlite_resolve(struct store *s, int64_t image, int64_t fence, const struct phi_text *uids, size_t n,
                          int64_t now_us, int64_t *mine, struct pixl_error *err);
bool store_sqlite_each_image(struct store *s, const struct store_filter *f,
                             bool (*each)(void *ctx, const struct store_image *image), void *ctx,
                             struct pixl_error *err);
bool store_sqlite_get_image(struct store *s, int64_t id, struct arena *a, bool *got, struct store_image *out,
                            struct pixl_error *err);
bool store_sqlite_find_images(struct store *s, struct phi_text ref, struct arena *a, int64_t **ids, size_t *n,
                              struct pixl_error *err);
bool store_sqlite_each_event(struct store *s, int64_t image, bool (*each)(void *ctx, const struct store_event *e),
                             void *ctx, struct pixl_error *err);
bool store_sqlite_get_skipped(struct store *s, int64_t image, int64_t by_reason[STUDY_REASON_COUNT],
                              struct pixl_error *err);
bool store_sqlite_count(struct store *s, struct str project, struct store_counts *out, struct pixl_error *err);
bool store_sqlite_projects(struct store *s, struct arena *a, struct str **out, size_t *n, struct pixl_error *err);
bool store_sqlite_each_outcome(struct store *s, struct str project, struct str extract_time,
                               bool (*each)(void *ctx, const struct store_outcome *o), void *ctx,
                               struct pixl_error *err);
bool store_sqlite_extract_times(struct store *s, struct str project, struct arena *a, struct str **out, size_t *n,
                                struct pixl_error *err);
bool store_sqlite_read_begin(struct store *s, struct pixl_error *err);
void store_sqlite_read_end(struct store *s);
bool store_sqlite_each_report(struct store *s, struct str project, struct str extract_time,
                              bool (*each)(void *ctx, const struct store_report *r, const struct store_subject *of),
                              void *ctx, struct pixl_error *err);
bool store_sqlite_reports_begin(struct store *s, bool dry, struct store_report_load **out, struct pixl_error *err);
bool store_sqlite_reports_enter(struct store_report_load *l, struct str project, struct str extract_time, bool *got,
                                struct pixl_error *err);
bool store_sqlite_reports_subject(struct store_report_load *l, int64_t procedure, struct arena *a,
                                  struct store_subject *out, struct pixl_error *err);
bool store_sqlite_reports_put(struct store_report_load *l, const struct store_report *r, int64_t now_us,
                              enum store_report_put *what, struct pixl_error *err);
bool store_sqlite_reports_end(struct store_report_load *l, struct pixl_error *err);

#endif
