/* store_sql.h - the store as both databases hold it: what their files share; for them only.
 *
 * SQL statements and what follows from their rows are written once.  Where the databases differ a statement has two
 * texts (base/sql.h), and a backend says in struct store_sql what else is its own.
 * Every change of a row's state goes through store_sql_change(), which asks the table of moves, compares fence and
 * state, and writes the event: no other statement changes image.state (but store_sql_hold_queued(), for all rows at
 * once, and the trigger by which PostgreSQL follows another program's exported_at).
 * A statement that was not stepped to its end holds a snapshot open; a local `sql_stmt_auto` is reset when its scope
 * ends.
 * Threads: one session belongs to one thread at a time, see store_backend.h. */
#ifndef PIXL_STORE_STORE_SQL_H
#define PIXL_STORE_STORE_SQL_H

#include "base/sql.h"
#include "store/store_backend.h"

enum store_ids_of { STORE_IDS_OF_IMAGE, STORE_IDS_OF_REQUEST, STORE_IDS_COUNT };

/* First member of a session of such a backend. */
struct store_sql {
    struct store_session base;
    struct sql *db;        /* borrowed */
    int64_t batch_rows;    /* of a populate, in one transaction */
    bool is_far;           /* a server: each statement is a way to another process; and another program may put
                                    rows into image, which have no key_hash */
    struct store_ids {     /* numbers for new rows, fetched ahead in this transaction; far only */
        int64_t list[128];
        size_t at, n, n_fetched;
    } ids[STORE_IDS_COUNT];
};
struct store_sql *store_sql_of(struct store_session *s);

/* PostgreSQL's columns of the system that pixl replaces, as our numbers, and back: whole days, moments. */
#define STORE_PG_DAY(column) "coalesce(to_char(" column ", 'YYYYMMDD')::integer, 0)"
#define STORE_PG_TO_DAY(number)                                                                       \
    "make_date((nullif(" number ", 0) / 10000)::integer, (" number " / 100 % 100)::integer, (" number \
    " % 100)::integer)"
#define STORE_PG_US(column)   "coalesce((extract(epoch FROM " column ") * 1000000)::bigint, 0)"
#define STORE_PG_TIME(number) "timestamptz 'epoch' + " number " * interval '1 microsecond'"

/* What a transaction keeps others from while it lasts.  SQLite has one writer anyway. */
enum store_lock {
    STORE_LOCK_ROWS,    /* nothing but the rows that it reads by store_sql_get_row() or writes */
    STORE_LOCK_STUDIES, /* making, merging and widening rows, or changing many: taken first, so that none wait
                                    for each other in a circle */
    STORE_LOCK_BUCKETS, /* changing a token bucket */
};
/* After a failure, here or later, the caller rolls back. */
PIXL_MUST_CHECK bool store_sql_begin(struct store_sql *s, enum store_lock lock, struct pixl_error *err);
void store_sql_rollback(struct store_sql *s);

/* --- rows (store_sql.c) ------------------------------------------------------------------------------------- */

enum { STORE_OWNER_SIZE = 65 };
/* The part of an image row by which moves are decided. */
struct store_row {
    int64_t id, extract_id, fence, series_version;
    enum study_state state, failed_from;
    int attempts, crashes, priority, archive;
    bool has_zip, is_merged; /* merged: its requests went to another row, see store_sql_resolve.c */
    char owner[STORE_OWNER_SIZE];
};
/* Inside a transaction: nobody else changes the row until its end.  Fails: NOT_FOUND. */
PIXL_MUST_CHECK bool store_sql_get_row(struct store_sql *s, int64_t id, struct store_row *out, struct pixl_error *err);
/* Fails: CORRUPT when the text is no state. */
PIXL_MUST_CHECK bool store_sql_parse_state(struct str name, enum study_state *out, struct pixl_error *err);
PIXL_MUST_CHECK bool store_sql_parse_reason(struct str name, enum study_reason *out, struct pixl_error *err);

/* What a row becomes.  store_sql_change_of() fills it so that nothing but the state changes. */
struct store_change {
    const struct store_row *row;
    enum study_state to;
    enum study_reason reason;
    struct str detail;
    int64_t now_us, not_before_us, fence;
    int attempts, crashes;
    struct str owner; /* claims: the new one, with the lease's end */
    int64_t lease_until_us;
    const char *pseudo_study_uid, *zip_digest, *spool; /* NULL, -1: not changed */
    int archive;
    int64_t zip_bytes, instances_found, instances_delivered, instances_skipped;
};
struct store_change store_sql_change_of(const struct store_row *row, enum study_state to, int64_t now_us);
/* Inside a transaction.  Fails: INTERNAL (not an allowed move), STALE (the row is no longer as *c->row says), EXISTS
 * (another image has that pseudo study UID). */
PIXL_MUST_CHECK bool store_sql_change(struct store_sql *s, const struct store_change *c, struct pixl_error *err);

/* --- studies and requests (store_sql_populate.c) ------------------------------------------------------------ */

/* Runs the INSERT of a row of our own.  SQLite gives it a number (a RETURNING would have it set aside every page that the
 * statement changes); for PostgreSQL the number is parameter `param`, fetched before, and nobody waits for the statement. */
PIXL_MUST_CHECK bool store_sql_insert(struct store_sql *s, struct sql_stmt *q, enum store_ids_of of, int param,
                                      int64_t *id, struct pixl_error *err);
/* A new image row, queued, with its first event.  has_key false: its key is another row's, it is known by found_uid. */
struct store_new_image {
    int64_t extract_id;
    uint64_t key_hash;
    bool has_key;
    struct phi_text mrn, accession_number, study_uid, found_uid, series_uids;
    struct str participant_id;
    int32_t study_date;
    int priority, archive;
};
PIXL_MUST_CHECK bool store_sql_insert_image(struct store_sql *s, const struct store_new_image *n, int64_t now_us,
                                            int64_t *id, struct pixl_error *err);
/* The row with this key: study UID as asked, else MRN and accession number.  *id 0: none; *free_hash: where its hash
 * goes then. */
struct store_key {
    int64_t extract_id;
    struct phi_text mrn, accession_number, study_uid;
};
uint64_t store_sql_hash_of_key(const struct store_key *k);
PIXL_MUST_CHECK bool store_sql_find_key(struct store_sql *s, const struct store_key *k, int64_t *id,
                                        uint64_t *free_hash, struct pixl_error *err);
/* The row of this study as the archive has it; *id 0: none. */
PIXL_MUST_CHECK bool store_sql_find_found(struct store_sql *s, int64_t extract_id, struct phi_text uid, int64_t *id,
                                          struct pixl_error *err);
PIXL_MUST_CHECK bool store_sql_link(struct store_sql *s, int64_t request, int64_t image, struct pixl_error *err);
/* extract_id of a slug; 0: there is none. */
PIXL_MUST_CHECK bool store_sql_find_extract(struct store_sql *s, struct str slug, int64_t *id, struct pixl_error *err);
/* extract_time_id of a slug and a time; 0: there is none. */
PIXL_MUST_CHECK bool store_sql_find_extract_time(struct store_sql *s, struct str slug, struct str time, int64_t *id,
                                                 struct pixl_error *err);

/* The request that says the very same; *id 0: none, and *free_hash is where its hash goes. */
struct store_request_key {
    int64_t extract_time_id;
    const struct study_request *r;
    struct str series; /* r's, as a set (series.h) */
};
uint64_t store_sql_hash_of_request(const struct store_request_key *k);
PIXL_MUST_CHECK bool store_sql_find_request(struct store_sql *s, const struct store_request_key *k, int64_t *id,
                                            uint64_t *free_hash, struct pixl_error *err);

/* Adds series to those of the row, raises its version when they are more, and queues the row again where that is called
 * for. */
struct store_widen {
    struct str series; /* a set as series.h has it */
    bool again;        /* the archive is known to have the study: a row that says `missing` asks once more */
    int64_t now_us;
};
enum store_widened {
    STORE_WIDEN_DONE,     /* the row asks for these series now, or did before */
    STORE_WIDEN_REVIVED,  /* ... and it was held or adopted and is worked on again */
    STORE_WIDEN_TOO_LATE, /* it is on its way out or there: nothing is changed */
};
PIXL_MUST_CHECK bool store_sql_widen(struct store_sql *s, int64_t image, const struct store_widen *w,
                                     enum store_widened *what, struct pixl_error *err);

bool store_sql_populate_begin(struct store_session *s, bool dry, struct store_populate **out, struct pixl_error *err);
bool store_sql_populate_add(struct store_populate *p, const struct study_request *r, int64_t now_us,
                            enum store_added *what, struct store_met *met, struct pixl_error *err);
bool store_sql_populate_end(struct store_populate *p, struct pixl_error *err);

/* --- hints (store_sql_hints.c) ---------------------------------------------------------------------------------- */

bool store_sql_each_unhinted(struct store_session *s, int64_t now_us, const int64_t *but, size_t n_but, size_t max,
                             bool (*each)(void *ctx, const struct store_unhinted *u), void *ctx,
                             struct pixl_error *err);
bool store_sql_set_hinted(struct store_session *s, const struct store_hint *hints, size_t n, int64_t now_us,
                          struct pixl_error *err);
bool store_sql_forget_hints(struct store_session *s, unsigned archives, int64_t before_us, int64_t *n,
                            struct pixl_error *err);
bool store_sql_find_asked(struct store_session *s, const struct study_request *r, struct arena *a, int64_t **ids,
                          size_t *n, struct pixl_error *err);
bool store_sql_hold_queued(struct store_session *s, int64_t now_us, int64_t *n, struct pixl_error *err);

/* --- the other slots ------------------------------------------------------------------------------------------- */

bool store_sql_claim_next(struct store_session *s, const struct store_claim *c, struct arena *a, bool *got,
                          struct store_image *out, struct pixl_error *err);
bool store_sql_claim_image(struct store_session *s, const struct store_claim *c, int64_t image, struct arena *a,
                           bool *got, struct store_image *out, struct pixl_error *err);
bool store_sql_renew_claims(struct store_session *s, const char *owner, const int64_t *images, size_t n,
                            int64_t lease_until_us, struct pixl_error *err);
bool store_sql_recover_claims(struct store_session *s, const char *owner, const char *dead, int64_t now_us, int64_t *n,
                              struct pixl_error *err);
bool store_sql_next_due(struct store_session *s, const struct store_claim *c, int64_t *due_us, struct pixl_error *err);
bool store_sql_resolve(struct store_session *s, int64_t image, int64_t fence, const struct phi_text *uids, size_t n,
                       int64_t now_us, int64_t *mine, struct pixl_error *err);
bool store_sql_each_image(struct store_session *s, const struct store_filter *f,
                          bool (*each)(void *ctx, const struct store_image *image), void *ctx, struct pixl_error *err);
bool store_sql_get_image(struct store_session *s, int64_t id, struct arena *a, bool *got, struct store_image *out,
                         struct pixl_error *err);
bool store_sql_find_images(struct store_session *s, struct phi_text ref, struct arena *a, int64_t **ids, size_t *n,
                           struct pixl_error *err);
bool store_sql_each_event(struct store_session *s, int64_t image, bool (*each)(void *ctx, const struct store_event *e),
                          void *ctx, struct pixl_error *err);
bool store_sql_get_skipped(struct store_session *s, int64_t image, int64_t by_reason[STUDY_REASON_COUNT],
                           struct pixl_error *err);
bool store_sql_count(struct store_session *s, struct str project, struct store_counts *out, struct pixl_error *err);
bool store_sql_find_adopted(struct store_session *s, struct arena *a, struct store_adopted *out,
                            struct pixl_error *err);
bool store_sql_newest_image(struct store_session *s, int64_t *id, struct pixl_error *err);
bool store_sql_projects(struct store_session *s, struct arena *a, struct str **out, size_t *n, struct pixl_error *err);
bool store_sql_each_outcome(struct store_session *s, struct str project, struct str extract_time,
                            bool (*each)(void *ctx, const struct store_outcome *o), void *ctx, struct pixl_error *err);
bool store_sql_bucket_names(struct store_session *s, struct arena *a, struct str **out, size_t *n,
                            struct pixl_error *err);
bool store_sql_mark_extract(struct store_session *s, struct str project, struct str extract_time,
                            struct store_extract_mark *out, struct pixl_error *err);
bool store_sql_each_procedure(struct store_session *s, struct str project, struct str extract_time,
                              void (*each)(void *ctx, int64_t procedure, struct phi_text mrn), void *ctx,
                              struct pixl_error *err);
bool store_sql_extract_times(struct store_session *s, struct str project, struct arena *a, struct str **out, size_t *n,
                             struct pixl_error *err);
bool store_sql_read_begin(struct store_session *s, struct pixl_error *err);
void store_sql_read_end(struct store_session *s);
bool store_sql_each_report(struct store_session *s, struct str project, struct str extract_time,
                           bool (*each)(void *ctx, const struct store_report *r, const struct store_subject *of),
                           void *ctx, struct pixl_error *err);
bool store_sql_reports_begin(struct store_session *s, bool dry, struct store_report_load **out, struct pixl_error *err);
bool store_sql_reports_enter(struct store_report_load *l, struct str project, struct str extract_time, bool *got,
                             struct pixl_error *err);
bool store_sql_reports_subject(struct store_report_load *l, int64_t procedure, struct arena *a,
                               struct store_subject *out, struct pixl_error *err);
bool store_sql_reports_put(struct store_report_load *l, const struct store_report *r, int64_t now_us,
                           enum store_report_put *what, struct pixl_error *err);
bool store_sql_reports_end(struct store_report_load *l, struct pixl_error *err);

bool store_sql_move(struct store_session *s, const struct store_move *m, bool *widened, struct pixl_error *err);
bool store_sql_retry(struct store_session *s, const struct store_filter *f, const int64_t *images, size_t n_images,
                     int64_t now_us, int64_t *n, struct pixl_error *err);
bool store_sql_spools(struct store_session *s, struct arena *a, struct store_spool **out, size_t *n,
                      struct pixl_error *err);
bool store_sql_lose_spool(struct store_session *s, struct str spool, int64_t now_us, int64_t *n,
                          struct pixl_error *err);
bool store_sql_change_bucket(struct store_session *s, const char *name,
                             bool (*change)(void *ctx, struct store_bucket *b), void *ctx, struct pixl_error *err);
bool store_sql_meta_get(struct store_session *s, const char *key, struct arena *a, struct str *out, bool *got,
                        struct pixl_error *err);
bool store_sql_meta_put_if_absent(struct store_session *s, const char *key, struct str value, struct arena *a,
                                  struct str *out, struct pixl_error *err);

/* All slots but scheme, sessions, open, close and those of the dispatcher's lock. */
#define STORE_SQL_SLOTS                                                                                               \
    .populate_begin = store_sql_populate_begin, .populate_add = store_sql_populate_add,                               \
    .populate_end = store_sql_populate_end, .claim_next = store_sql_claim_next, .claim_image = store_sql_claim_image, \
    .renew_claims = store_sql_renew_claims, .recover_claims = store_sql_recover_claims,                               \
    .next_due = store_sql_next_due, .resolve = store_sql_resolve, .move = store_sql_move,                             \
    .each_image = store_sql_each_image, .get_image = store_sql_get_image, .find_images = store_sql_find_images,       \
    .each_event = store_sql_each_event, .get_skipped = store_sql_get_skipped, .count = store_sql_count,               \
    .newest_image = store_sql_newest_image, .projects = store_sql_projects, .find_adopted = store_sql_find_adopted,   \
    .retry = store_sql_retry, .spools = store_sql_spools, .lose_spool = store_sql_lose_spool,                         \
    .each_outcome = store_sql_each_outcome, .each_procedure = store_sql_each_procedure,                               \
    .mark_extract = store_sql_mark_extract, .extract_times = store_sql_extract_times,                                 \
    .read_begin = store_sql_read_begin, .read_end = store_sql_read_end, .each_report = store_sql_each_report,         \
    .reports_begin = store_sql_reports_begin, .reports_enter = store_sql_reports_enter,                               \
    .reports_subject = store_sql_reports_subject, .reports_put = store_sql_reports_put,                               \
    .reports_end = store_sql_reports_end, .each_unhinted = store_sql_each_unhinted,                                   \
    .set_hinted = store_sql_set_hinted, .forget_hints = store_sql_forget_hints, .find_asked = store_sql_find_asked,   \
    .hold_queued = store_sql_hold_queued, .change_bucket = store_sql_change_bucket, .meta_get = store_sql_meta_get,   \
    .meta_put_if_absent = store_sql_meta_put_if_absent, .bucket_names = store_sql_bucket_names

#endif
