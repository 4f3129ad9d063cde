/* store_backend.h - what a tracking database must provide; for this room and its tests only.  All slots required.
 *
 * Each slot has the contract of the function of store.h with its name.  The front door gives a session to one
 * thread at a time, so that a backend needs no lock, and checks that errors and results agree, so that no backend has
 * to be trusted with it. */
#ifndef PIXL_STORE_STORE_BACKEND_H
#define PIXL_STORE_STORE_BACKEND_H

#include "store/store.h"

struct store_session;

struct store_ops {
    const char *scheme;
    size_t sessions; /* so many threads can work at once, each in a session of its own */
    bool (*open)(const char *rest, struct store_session **out, struct pixl_error *err); /* rest: behind "scheme:" */
    bool (*look)(const char *rest, struct store_look *out, struct pixl_error *err);
    void (*close)(struct store_session *s);

    bool (*populate_begin)(struct store_session *s, bool dry, struct store_populate **out, struct pixl_error *err);
    bool (*populate_add)(struct store_populate *p, const struct study_request *r, int64_t now_us,
                         enum store_added *what, struct store_met *met, struct pixl_error *err);
    bool (*populate_end)(struct store_populate *p, struct pixl_error *err);

    bool (*claim_next)(struct store_session *s, const struct store_claim *c, struct arena *a, bool *got,
                       struct store_image *out, struct pixl_error *err);
    bool (*claim_image)(struct store_session *s, const struct store_claim *c, int64_t image, struct arena *a, bool *got,
                        struct store_image *out, struct pixl_error *err);
    bool (*renew_claims)(struct store_session *s, const char *owner, const int64_t *images, size_t n,
                         int64_t lease_until_us, struct pixl_error *err);
    bool (*recover_claims)(struct store_session *s, const char *owner, const char *dead, int64_t now_us, int64_t *n,
                           struct pixl_error *err);
    bool (*next_due)(struct store_session *s, const struct store_claim *c, int64_t *due_us, struct pixl_error *err);
    bool (*resolve)(struct store_session *s, int64_t image, int64_t fence, const struct phi_text *uids, size_t n,
                    int64_t now_us, int64_t *mine, struct pixl_error *err);
    bool (*move)(struct store_session *s, const struct store_move *m, bool *widened, struct pixl_error *err);

    bool (*each_image)(struct store_session *s, const struct store_filter *f,
                       bool (*each)(void *ctx, const struct store_image *image), void *ctx, struct pixl_error *err);
    bool (*get_image)(struct store_session *s, int64_t id, struct arena *a, bool *got, struct store_image *out,
                      struct pixl_error *err);
    bool (*find_images)(struct store_session *s, struct phi_text ref, struct arena *a, int64_t **ids, size_t *n,
                        struct pixl_error *err);
    bool (*each_event)(struct store_session *s, int64_t image, bool (*each)(void *ctx, const struct store_event *e),
                       void *ctx, struct pixl_error *err);
    bool (*get_skipped)(struct store_session *s, int64_t image, int64_t by_reason[STUDY_REASON_COUNT],
                        struct pixl_error *err);
    bool (*count)(struct store_session *s, struct str project, struct store_counts *out, struct pixl_error *err);
    bool (*newest_image)(struct store_session *s, int64_t *id, struct pixl_error *err);
    bool (*projects)(struct store_session *s, struct arena *a, struct str **out, size_t *n, struct pixl_error *err);
    bool (*find_adopted)(struct store_session *s, struct arena *a, struct store_adopted *out, struct pixl_error *err);
    bool (*retry)(struct store_session *s, const struct store_filter *f, const int64_t *images, size_t n_images,
                  int64_t now_us, int64_t *n, struct pixl_error *err);
    bool (*spools)(struct store_session *s, struct arena *a, struct store_spool **out, size_t *n,
                   struct pixl_error *err);
    bool (*lose_spool)(struct store_session *s, struct str spool, int64_t now_us, int64_t *n, struct pixl_error *err);

    bool (*each_outcome)(struct store_session *s, struct str project, struct str extract_time,
                         bool (*each)(void *ctx, const struct store_outcome *o), void *ctx, struct pixl_error *err);
    bool (*mark_extract)(struct store_session *s, struct str project, struct str extract_time,
                         struct store_extract_mark *out, struct pixl_error *err);
    bool (*each_procedure)(struct store_session *s, struct str project, struct str extract_time,
                           void (*each)(void *ctx, int64_t procedure, struct phi_text mrn), void *ctx,
                           struct pixl_error *err);
    bool (*extract_times)(struct store_session *s, struct str project, struct arena *a, struct str **out, size_t *n,
                          struct pixl_error *err);

    /* Between both, what is read is of one moment.  read_end cannot fail: nothing was written. */
    bool (*read_begin)(struct store_session *s, struct pixl_error *err);
    void (*read_end)(struct store_session *s);
    bool (*each_report)(struct store_session *s, struct str project, struct str extract_time,
                        bool (*each)(void *ctx, const struct store_report *r, const struct store_subject *of),
                        void *ctx, struct pixl_error *err);

    bool (*reports_begin)(struct store_session *s, bool dry, struct store_report_load **out, struct pixl_error *err);
    bool (*reports_enter)(struct store_report_load *l, struct str project, struct str extract_time, bool *got,
                          struct pixl_error *err);
    bool (*reports_subject)(struct store_report_load *l, int64_t procedure, struct arena *a, struct store_subject *out,
                            struct pixl_error *err);
    bool (*reports_put)(struct store_report_load *l, const struct store_report *r, int64_t now_us,
                        enum store_report_put *what, struct pixl_error *err);
    bool (*reports_end)(struct store_report_load *l, struct pixl_error *err);

    bool (*each_unhinted)(struct store_session *s, int64_t now_us, const int64_t *but, size_t n_but, size_t max,
                          bool (*each)(void *ctx, const struct store_unhinted *u), void *ctx, struct pixl_error *err);
    bool (*set_hinted)(struct store_session *s, const struct store_hint *hints, size_t n, int64_t now_us,
                       struct pixl_error *err);
    bool (*forget_hints)(struct store_session *s, unsigned archives, int64_t before_us, int64_t *n,
                         struct pixl_error *err);
    bool (*find_asked)(struct store_session *s, const struct study_request *r, struct arena *a, int64_t **ids,
                       size_t *n, struct pixl_error *err);
    bool (*hold_queued)(struct store_session *s, int64_t now_us, int64_t *n, struct pixl_error *err);
    /* In a session that is for nothing else; closing it gives the lock back. */
    bool (*dispatch_lock)(struct store_session *s, bool *got, struct pixl_error *err);
    bool (*dispatch_holds)(struct store_session *s, bool *holds, struct pixl_error *err);

    bool (*change_bucket)(struct store_session *s, const char *name, bool (*change)(void *ctx, struct store_bucket *b),
                          void *ctx, struct pixl_error *err);
    bool (*bucket_names)(struct store_session *s, struct arena *a, struct str **out, size_t *n, struct pixl_error *err);
    bool (*meta_get)(struct store_session *s, const char *key, struct arena *a, struct str *out, bool *got,
                     struct pixl_error *err);
    bool (*meta_put_if_absent)(struct store_session *s, const char *key, struct str value, struct arena *a,
                               struct str *out, struct pixl_error *err);
};

/* One way into the database: first member of what a backend opens. */
struct store_session {
    const struct store_ops *ops;
    size_t place; /* the front door's */
};
/* First member of every backend's populate, and of its load of reports; begin sets the session, the front door the
 * store. */
struct store_populate {
    struct store_session *session;
    struct store *store;
};
struct store_report_load {
    struct store_session *session;
    struct store *store;
};

extern const struct store_ops store_sqlite_ops, store_postgres_ops;

#endif
