/* store.h - the tracking database: the truth about every study that was asked for.
 *
 * A request is one row of a cohort.  An image is one study of one project; requests are linked to images (many to many: two
 * cohort rows may ask for one study, one MRN + accession number may find several).  Every change of state is one
 * transaction that checks the move (study/state.h), compares the fence, and writes one image_event.
 *
 *   claim   one atomic update: a due row becomes `retrieving` or `delivering`, gets an owner, a lease and fence + 1
 *   move    every later commit names the fence; another fence in the row: PIXL_E_STALE, nothing is changed
 *
 * Owns: its connection and file; backends sqlite (postgres to come) behind store_backend.h.
 * Never: holds policy (what is retried, how long to wait); passes on a server's text, which quotes values.
 * Threads: any; the front door gives each call a session of its own, or lets it wait for one. */
#ifndef PIXL_STORE_STORE_H
#define PIXL_STORE_STORE_H

#include <stdint.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/phi.h"
#include "study/request.h"
#include "study/state.h"

struct store;

/* url "sqlite:PATH" (folder must exist; refused on network file systems); migrations run.
 * Given: store_close().  Fails: INVALID (scheme), UNSUPPORTED (network; made by a newer pixl), CORRUPT, DENIED, NO_SPACE. */
PIXL_MUST_CHECK bool store_open(const char *url, struct store **out, struct pixl_error *err);
/* A store without any row, in memory, for who tries what would be done: it ends with its closing. */
PIXL_MUST_CHECK bool store_open_empty(struct store **out, struct pixl_error *err);
/* What store_open() would meet, without its migrations: nothing is made or changed. */
struct store_look {
    int64_t version, newest;     /* of its tables, and of those that this pixl makes; 0: none are there yet */
    int64_t server_us;           /* its server's wall clock; 0: it has none */
    bool has_others;             /* version 0: tables of the Python system, which the first opening takes over */
};
/* Fails: NOT_FOUND (no such file or database yet), DENIED (also: may not make its tables), and as store_open(). */
PIXL_MUST_CHECK bool store_look(const char *url, struct store_look *out, struct pixl_error *err);
void store_close(struct store *s);
PIXL_DEFINE_CLEANUP(store, store_close)
#define store_auto PIXL_CLEANUP(store_freep) struct store

/* --- populate ------------------------------------------------------------------------------------------------ */

enum store_added {
    STORE_ADDED_IMAGE,           /* a study new to this project; queued */
    STORE_ADDED_REQUEST,         /* a new request for a study that is there */
    STORE_KNOWN,                 /* this very request is there already */
    STORE_REVIVED,               /* the study was held or adopted and is queued again */
    STORE_TOO_LATE,              /* it asks for more series of a study that is delivered: stored, told by its outcome */
    STORE_TOO_MANY_SERIES,       /* with it more series of one study would be asked for than are stored; not stored */
};
/* What a request met in studies that were there already. */
struct store_met {
    bool participant_differs;    /* its participant_id is not the one they have, which stays */
    bool is_delivered;           /* all of them are exported or kept, with the series that it asks for */
};
struct store_populate;
/* Rows go in by transactions of some thousands; after a crash the same cohort is simply populated again.  Between begin and
 * end the populate holds a session: its thread calls nothing else of this store, and with SQLite, which has one session,
 * the other threads wait.
 * dry: everything is rolled back at the end, so that *what tells what would happen. */
PIXL_MUST_CHECK bool store_populate_begin(struct store *s, bool dry, struct store_populate **out, struct pixl_error *err);
/* r must have passed study_request_check().  Keys are compared as given (trimmed).  Requests are the same when project, procedure, MRN,
 * accession number, study UID, series and extract time are.  Series: the image asks for the union; a request that names
 * none asks for all.  met may be NULL. */
PIXL_MUST_CHECK bool store_populate_add(struct store_populate *p, const struct study_request *r, int64_t now_us,
                                        enum store_added *what, struct store_met *met, struct pixl_error *err);
/* Ends it, frees p, also on failure. */
PIXL_MUST_CHECK bool store_populate_end(struct store_populate *p, struct pixl_error *err);

/* --- rows ---------------------------------------------------------------------------------------------------- */

struct store_image {
    int64_t id;                  /* the number by which people and logs name a study */
    struct str project;
    struct phi_text mrn, accession_number, study_uid;    /* as asked for; empty: not known */
    struct phi_text found_uid;   /* StudyInstanceUID as the archive has it; empty: not yet found */
    struct phi_text series_uids; /* joined by '\'; empty: all */
    int64_t series_version;      /* grows whenever series_uids does */
    struct str participant_id;
    int32_t study_date;
    int priority;
    enum study_state state, failed_from;
    enum study_reason reason;
    struct str detail;           /* tag path of a residue, error code name; never a value */
    int attempts, crashes;
    int64_t fence, not_before_us, lease_until_us;
    struct str owner;
    struct str pseudo_study_uid; /* empty until de-identified */
    int64_t zip_bytes;           /* of the spooled or delivered zip */
    struct str zip_digest;       /* SHA-256, hex */
    int archive;                 /* the one that is asked next, 0 .. STORE_ARCHIVES - 1 */
    struct str spool;            /* where its zip lies; empty: nowhere, or in a spool that was never named */
    int64_t instances_found, instances_delivered, instances_skipped;
    int64_t created_us, updated_us, exported_us;         /* wall; 0: not */
};

/* No row is put off for longer: one whose time is further away than this (the clock was set back) is due. */
#define STORE_PUT_OFF_MAX_US (INT64_C(3600) * 1000000)

/* Where studies come from: the primary archive, and the secondary one, which is asked when the first does not have a study. */
enum { STORE_ARCHIVES = 2 };

/* --- claims -------------------------------------------------------------------------------------------------- */

enum store_work { STORE_WORK_RETRIEVE, STORE_WORK_DELIVER };   /* queued -> retrieving, deidentified -> delivering */
struct store_claim {
    enum store_work work;
    const char *owner;           /* this process: unique, printable, at most 64 characters */
    int64_t now_us, lease_us;
    bool suspects;               /* only rows whose claim ended in a crash before; false: only the others */
    unsigned archives;           /* to retrieve: those that may be asked now, bit 1u << archive; 0: any */
    struct str spool;            /* to deliver: rows whose zip lies in this spool or in none that is named; others are
                                    another machine's */
    const struct str *without_projects;  /* their destination's breaker is open */
    size_t n_without;
};
/* The next due row (priority, then study date, then number; not_before <= now).  *out in the arena. */
PIXL_MUST_CHECK bool store_claim_next(struct store *s, const struct store_claim *c, struct arena *a, bool *got,
                                      struct store_image *out, struct pixl_error *err);
/* This row, if it is due and c allows it; a number that is no image's is not an error. */
PIXL_MUST_CHECK bool store_claim_image(struct store *s, const struct store_claim *c, int64_t image, struct arena *a,
                                       bool *got, struct store_image *out, struct pixl_error *err);
/* Prolongs the claims of this owner on these rows, which are in ascending order; of what is no longer its own, nothing is changed. */
PIXL_MUST_CHECK bool store_renew_claims(struct store *s, const char *owner, const int64_t *images, size_t n,
                                        int64_t lease_until_us, struct pixl_error *err);
/* Gives back claims: those whose lease ended before now and, unless it is NULL, those of owners whose name begins with
 * `dead` ("": all; the caller holds the lock that says so).  retrieving -> queued, delivering -> deidentified; reason lease-lost;
 * a retrieving row of another owner has crashed (crashes + 1), one of `owner` itself was claimed in vain: the answer to the
 * claim was lost, and nobody here has it in hand.  *n: how many.
 * With `dead`, rows that an outage held back (reason unavailable) are due at once: who begins to work looks anew. */
PIXL_MUST_CHECK bool store_recover_claims(struct store *s, const char *owner, const char *dead, int64_t now_us, int64_t *n,
                                          struct pixl_error *err);
/* Earliest not_before of rows that wait for this work and that c allows, suspects or not (of c, owner and times are not
 * asked); 0: one is due; INT64_MAX: none waits. */
PIXL_MUST_CHECK bool store_next_due(struct store *s, const struct store_claim *c, int64_t *due_us,
                                    struct pixl_error *err);

/* The studies that the archive found for a claimed row.  Each further study gets a row of its own (queued) and the same requests; one that
 * another row of the project stands for already takes over the requests (and widens its series, when it is still possible).
 *   uids  found StudyInstanceUIDs, n >= 1, distinct
 *   *mine index of the study that this row now stands for; -1: other rows stand for all of them, and this row was moved to skipped/same-study.
 * An adopted pseudo_study_uid stays.  Fails: STALE. */
PIXL_MUST_CHECK bool store_resolve(struct store *s, int64_t image, int64_t fence, const struct phi_text *uids, size_t n, int64_t now_us,
                                   int64_t *mine, struct pixl_error *err);

/* One move.  Fields that are not to change: NULL text, -1 numbers. */
struct store_move {
    int64_t image, fence;
    int from;                          /* the state that it must be in: of who moves what it claimed, the claimed one; -1: any */
    enum study_state to;
    enum study_reason reason;
    const char *detail;                /* NULL: none */
    int64_t now_us, not_before_us;     /* not_before: when it is due again; 0: at once */
    bool count_attempt, count_crash;
    int64_t series_version;            /* as claimed, for moves to deidentified or skipped; -1: do not compare */
    const char *pseudo_study_uid, *zip_digest, *spool; /* spool: forgotten with the zip, where a move loses it */
    int archive;
    int64_t zip_bytes, instances_found, instances_delivered, instances_skipped;
    const int64_t
        *skipped_by; /* STUDY_REASON_COUNT numbers that add up to instances_skipped: why they were left out; NULL */
};
#define STORE_MOVE_NONE                              \
    ((struct store_move){ .from = -1,                \
                          .series_version = -1,      \
                          .archive = -1,             \
                          .zip_bytes = -1,           \
                          .instances_found = -1,     \
                          .instances_delivered = -1, \
                          .instances_skipped = -1 })
/* Checks from and the table of moves (INTERNAL when not allowed), the fence (STALE), and writes the row and its event.  A move to exported sets exported_us.
 * *widened: series were added since the claim: the row went back to queued instead; may be NULL when series_version is -1. */
PIXL_MUST_CHECK bool store_move(struct store *s, const struct store_move *m, bool *widened, struct pixl_error *err);

/* --- looking, and what a person orders ------------------------------------------------------------------------ */

struct store_filter {
    struct str project;          /* empty: all */
    unsigned states;             /* bit 1u << state; 0: all */
};
/* Calls each() for every image in order of number; it must not call the store.  false from each() ends with CANCELLED. */
PIXL_MUST_CHECK bool store_each_image(struct store *s, const struct store_filter *f,
                                      bool (*each)(void *ctx, const struct store_image *image), void *ctx, struct pixl_error *err);
PIXL_MUST_CHECK bool store_get_image(struct store *s, int64_t id, struct arena *a, bool *got, struct store_image *out, struct pixl_error *err);
/* By number ("4711", "image 4711"), pseudo study UID, or what only an insider knows: study UID, accession number.  Several may match. */
PIXL_MUST_CHECK bool store_find_images(struct store *s, struct phi_text ref, struct arena *a, int64_t **ids, size_t *n, struct pixl_error *err);

struct store_event { int64_t at_us; enum study_state from, to; bool is_first; enum study_reason reason; struct str detail, owner; int64_t fence; int attempt; };
PIXL_MUST_CHECK bool store_each_event(struct store *s, int64_t image, bool (*each)(void *ctx, const struct store_event *e), void *ctx,
                                      struct pixl_error *err);

/* Instances of one image that its last attempt left out, by reason; all 0 when there were none, or no such image. */
PIXL_MUST_CHECK bool store_get_skipped(struct store *s, int64_t image, int64_t by_reason[STUDY_REASON_COUNT],
                                       struct pixl_error *err);

struct store_counts {
    int64_t by_state[STUDY_STATE_COUNT];
    int64_t by_reason[STUDY_REASON_COUNT];       /* of rows in an end state other than exported and kept */
    int64_t waiting_by[STUDY_REASON_COUNT];      /* of rows in no end state: why the last try ended */
    int64_t requests, instances_found, instances_delivered, instances_skipped, delivered_bytes;
    int64_t skipped_by[STUDY_REASON_COUNT]; /* instances_skipped, by reason; less where an older pixl did not note it */
};
PIXL_MUST_CHECK bool store_count(struct store *s, struct str project, struct store_counts *out, struct pixl_error *err);
/* The highest number of an image; 0: there is none. Whatever is populated from now on has a higher one. */
PIXL_MUST_CHECK bool store_newest_image(struct store *s, int64_t *id, struct pixl_error *err);
/* Slugs of all projects, in the arena, sorted. */
PIXL_MUST_CHECK bool store_projects(struct store *s, struct arena *a, struct str **out, size_t *n, struct pixl_error *err);

/* `pixl retry`: takes rows back to work as study_retry_target() says, attempts and crashes anew, reason none, the primary archive first.
 * images: numbers, or NULL and every row of the filter (which must name states).  *n: how many moved; rows that cannot are left. */
PIXL_MUST_CHECK bool store_retry(struct store *s, const struct store_filter *f, const int64_t *images, size_t n_images, int64_t now_us,
                                 int64_t *n, struct pixl_error *err);

/* Where zips wait for their delivery. */
struct store_spool {
    struct str name;
    int64_t waiting; /* studies that are deidentified or delivering */
    int64_t kept;    /* those that have no destination: their zip is there and nowhere else */
};
/* In the arena, by name. */
PIXL_MUST_CHECK bool store_spools(struct store *s, struct arena *a, struct store_spool **out, size_t *n,
                                  struct pixl_error *err);
/* A spool is lost for good: what waits or is kept there is queued anew (reason spool-error), the zips of failed and held studies are forgotten, and who
 * should still have one hears STALE.  *n: how many rows.  Fails: BUSY, with nothing changed, while one is delivered from there. */
PIXL_MUST_CHECK bool store_lose_spool(struct store *s, struct str spool, int64_t now_us, int64_t *n,
                                      struct pixl_error *err);

/* What another program left in a store that pixl adopted (PostgreSQL only; else nothing). */
struct store_adopted {
    int64_t images;       /* adopted ones: worked on when a populate or retry names them */
    const int64_t *twice; /* numbers of its rows that repeat another one (project, MRN, accession number, study UID): */
    size_t n_twice;       /* a populate that names the study takes the other one, exported ones first */
    int64_t projects_twice; /* further rows of a project's slug: the images that they had when they were adopted went to the first */
};
/* *out in the arena. */
PIXL_MUST_CHECK bool store_find_adopted(struct store *s, struct arena *a, struct store_adopted *out,
                                        struct pixl_error *err);

/* --- what is exported ------------------------------------------------------------------------------------------ */

/* One request and one of its studies; a request without any image does not exist.  A request whose series its study does
 * not hold came too late for one that is delivered: it is told as skipped, delivered-before, with no pseudo UID and no
 * instances. */
struct store_outcome {
    int64_t procedure_occurrence_id;
    enum study_state state;
    enum study_reason reason;
    struct str pseudo_study_uid;
    int64_t instances_found, instances_delivered, instances_skipped;
};
PIXL_MUST_CHECK bool store_each_outcome(struct store *s, struct str project, struct str extract_time,
                                        bool (*each)(void *ctx, const struct store_outcome *o), void *ctx, struct pixl_error *err);
/* The distinct extract times of a project, in the arena, sorted. */
PIXL_MUST_CHECK bool store_extract_times(struct store *s, struct str project, struct arena *a, struct str **out, size_t *n, struct pixl_error *err);
/* Of what the tables of an extract are made: another one whenever a study of it moved, a request or a report came or went. */
struct store_extract_mark {
    int64_t rows;                /* requests with their studies */
    int64_t moved_us, moved_sum; /* when they moved last; a sum, as clocks of machines differ */
    int64_t reports, loaded_us, loaded_sum;
};
PIXL_MUST_CHECK bool store_mark_extract(struct store *s, struct str project, struct str extract_time,
                                        struct store_extract_mark *out, struct pixl_error *err);
/* Procedure and MRN of every request of one extract, by procedure, the earliest first; each() must not call the store. */
PIXL_MUST_CHECK bool store_each_procedure(struct store *s, struct str project, struct str extract_time,
                                          void (*each)(void *ctx, int64_t procedure_occurrence_id, struct phi_text mrn),
                                          void *ctx, struct pixl_error *err);

/* The de-identified report of a procedure, as somebody loaded it: a fact that nobody here has judged. */
struct store_report {
    int64_t procedure_occurrence_id;
    struct str image_identifier; /* as loaded, never shown; empty: none */
    struct str text;             /* empty: withheld; to be put: it is taken away */
    bool is_withheld;            /* its text is not kept */
};
/* What the store knows of a procedure: what its report must not tell, and the studies that it may go with. */
enum store_needle_kind { STORE_NEEDLE_MRN, STORE_NEEDLE_ACCESSION, STORE_NEEDLE_UID };
struct store_needle {
    enum store_needle_kind kind;
    struct phi_text text;
};
struct store_subject {
    int64_t request;             /* number of the first request for it in this extract; 0: it was never asked for */
    /* Of its studies as asked for and as found, and of all requests for them; none is empty. */
    const struct store_needle *needles;
    size_t n_needles;
    /* Pseudo UIDs of its studies that are exported or kept and hold the series it asked for; sorted, each once. */
    const struct str *delivered;
    size_t n_delivered;
};

/* Everything of one extract that is written into tables, from one moment: what others change meanwhile is not seen.
 * outcome: as store_each_outcome(), for each request and study in order of requests.
 * report:  afterwards, for each report in order of procedures; NULL: not wanted.  All borrowed until it returns.
 * Neither may call the store; false from one ends with CANCELLED. */
struct store_extract_reader {
    bool (*outcome)(void *ctx, const struct store_outcome *o);
    bool (*report)(void *ctx, const struct store_report *r, const struct store_subject *of);
    void *ctx;
};
PIXL_MUST_CHECK bool store_read_extract(struct store *s, struct str project, struct str extract_time,
                                        const struct store_extract_reader *r, struct pixl_error *err);

/* Reports come in by transactions of some thousands, as rows do in a populate, and with a session held as there. */
struct store_report_load;
enum store_report_put {
    STORE_REPORT_NEW,
    STORE_REPORT_REPLACED,   /* an earlier one of the procedure */
    STORE_REPORT_SAME,       /* it is there already */
    STORE_REPORT_TAKEN_AWAY, /* there was one; this one has no text */
    STORE_REPORT_NONE,       /* there was none, and this one has no text */
    STORE_REPORT_TWICE,      /* this load has put one of the procedure before: nothing is changed */
};
/* dry: nothing is written; *what tells what would happen. */
PIXL_MUST_CHECK bool store_reports_begin(struct store *s, bool dry, struct store_report_load **out,
                                         struct pixl_error *err);
/* Names the extract for the calls that follow.  *got false: there is none of that project and time. */
PIXL_MUST_CHECK bool store_reports_enter(struct store_report_load *l, struct str project, struct str extract_time,
                                         bool *got, struct pixl_error *err);
/* *out in the arena. */
PIXL_MUST_CHECK bool store_reports_subject(struct store_report_load *l, int64_t procedure_occurrence_id,
                                           struct arena *a, struct store_subject *out, struct pixl_error *err);
PIXL_MUST_CHECK bool store_reports_put(struct store_report_load *l, const struct store_report *r, int64_t now_us,
                                       enum store_report_put *what, struct pixl_error *err);
/* Ends it, frees l, also on failure. */
PIXL_MUST_CHECK bool store_reports_end(struct store_report_load *l, struct pixl_error *err);

/* --- hints ----------------------------------------------------------------------------------------------------- */

/* A hint is a message that a row is due (queue.h); the store remembers when the broker last confirmed one for a row that is
 * queued, and forgets that when the row is no longer.  Suspects (crashes > 0) are never hinted: who works takes them from here. */
struct store_hint {
    int64_t image, fence; /* the row as it was hinted: of another fence, it is another hint that it wants */
};
struct store_unhinted {
    struct store_hint hint;
    int archive;                  /* the one to ask, 0..STORE_ARCHIVES - 1 */
    struct study_request request; /* the first one that asks for the study, in its own words; priority: the row's */
};
/* Calls each() for at most max queued rows that are due and have no hint, by priority, study date, number; it must not
 * call the store.  false from each() ends with CANCELLED.
 *   but  numbers of rows that are passed over, in ascending order */
PIXL_MUST_CHECK bool store_each_unhinted(struct store *s, int64_t now_us, const int64_t *but, size_t n_but, size_t max,
                                         bool (*each)(void *ctx, const struct store_unhinted *u), void *ctx,
                                         struct pixl_error *err);
/* Rows that are no longer queued, or have another fence, stay as they are; so may rows that somebody else changes just now,
 * and what a server that goes down has not on its disk yet: a hint too many is harmless. */
PIXL_MUST_CHECK bool store_set_hinted(struct store *s, const struct store_hint *hints, size_t n, int64_t now_us,
                                      struct pixl_error *err);
/* Queued rows of these archives (bit 1u << archive) whose hint is older than that have none any more.  Many transactions.
 * *n: how many. */
PIXL_MUST_CHECK bool store_forget_hints(struct store *s, unsigned archives, int64_t before_us, int64_t *n,
                                        struct pixl_error *err);
/* The studies of the request that says the very same as r (as store_populate_add() compares them); none: there is no
 * such request.  *ids in the arena. */
PIXL_MUST_CHECK bool store_find_asked(struct store *s, const struct study_request *r, struct arena *a, int64_t **ids,
                                      size_t *n, struct pixl_error *err);
/* Every queued row becomes held, in one transaction. */
PIXL_MUST_CHECK bool store_hold_queued(struct store *s, int64_t now_us, int64_t *n, struct pixl_error *err);

/* Of all processes that use the store one is the dispatcher, which gives hints.  The lock goes with its holder's process,
 * and with the connection on which it was taken.  These three: one thread at a time.
 * *got false: another has it, or this store object already. */
PIXL_MUST_CHECK bool store_dispatch_lock(struct store *s, bool *got, struct pixl_error *err);
/* Asks the database; after false, or a failure, the lock must be taken anew. */
PIXL_MUST_CHECK bool store_dispatch_holds(struct store *s, bool *holds, struct pixl_error *err);
void store_dispatch_unlock(struct store *s);

/* --- shared odds ------------------------------------------------------------------------------------------------- */

/* A token bucket's row, changed in one transaction: change() gets it (is_new: zeroes) and returns whether to write it back. */
struct store_bucket { double rate_per_s, capacity, tokens; int64_t at_us; bool is_new; };
PIXL_MUST_CHECK bool store_change_bucket(struct store *s, const char *name, bool (*change)(void *ctx, struct store_bucket *b), void *ctx,
                                         struct pixl_error *err);
/* Names of all buckets, in the arena, sorted, each with a NUL behind it. */
PIXL_MUST_CHECK bool store_bucket_names(struct store *s, struct arena *a, struct str **out, size_t *n,
                                        struct pixl_error *err);
/* Facts about this store (the key's check value, where an export came from).  put_if_absent: *out is what is stored afterwards. */
PIXL_MUST_CHECK bool store_meta_get(struct store *s, const char *key, struct arena *a, struct str *out, bool *got, struct pixl_error *err);
PIXL_MUST_CHECK bool store_meta_put_if_absent(struct store *s, const char *key, struct str value, struct arena *a, struct str *out, struct pixl_error *err);

#endif
