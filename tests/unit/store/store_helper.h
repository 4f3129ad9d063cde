/* store_helper.h - what the tests of the store share: a fresh store of the backend under test, rows made and moved in a
 * line.
 *
 * The contract suites know of no backend: TEST_STORE names the one to test ("postgres", else SQLite), and only
 * store_url() says what its address is. */
#ifndef PIXL_TESTS_STORE_HELPER_H
#define PIXL_TESTS_STORE_HELPER_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/pg_db.h"
#include "store/store.h"
#include "test.h"

#define T0 INT64_C(1700000000000000)     /* a wall time; tests count from here */
#define LEASE INT64_C(60000000)
#define ME "worker-1"
#define TIME_1 "2023-12-07T14:08:58"

/* The one database of the server that tests/support/with-postgres started for this program, emptied: making another
 * takes too long. */
static inline void empty_postgres(const char *url)
{
    struct pixl_error err = { 0 };
    struct pg_options o = { .url = url, .connect_ms = 10000, .statement_ms = 60000, .lock_ms = 10000 };
    pg_db_auto *db = NULL;
    REQUIRE_OK(pg_db_open(&o, &db, &err), err);
    REQUIRE_OK(sql_exec(pg_db_sql(db), SQL("DROP SCHEMA IF EXISTS pixl_pipeline CASCADE"), &err), err);
}

static inline bool is_postgres(void)
{
    const char *backend = getenv("TEST_STORE");
    return backend != NULL && strcmp(backend, "postgres") == 0;
}

/* The address of a new, empty store; `again`: of the one before. */
static inline const char *store_url(bool again)
{
    static char url[1200];
    static int n;
    if (again)
        return url;
    if (is_postgres()) {
        const char *dir = getenv("TEST_POSTGRES");
        REQUIRE(dir != NULL);
        (void)snprintf(url, sizeof url, "postgresql:///postgres?host=%s/sock&user=pixl", dir);
        empty_postgres(url);
    } else {
        (void)snprintf(url, sizeof url, "sqlite:%s/store-%d.db", test_dir(), ++n);
    }
    return url;
}

static inline struct store *open_store(void)
{
    struct pixl_error err = { 0 };
    struct store *s = NULL;
    REQUIRE_OK(store_open(store_url(false), &s, &err), err);
    return s;
}

/* A request in few words; NULL: not known. */
struct ask {
    const char *project, *mrn, *accession, *uid, *series;
    int64_t procedure;
    int priority;
    int32_t date;
    const char *time, *participant;
};

static inline struct study_request request_of(const struct ask *a)
{
    return (struct study_request){ .project = str_of(a->project ? a->project : "p"), .mrn = phi_text(str_of(a->mrn)),
        .accession_number = phi_text(str_of(a->accession)), .study_uid = phi_text(str_of(a->uid)),
        .series_uids = phi_text(str_of(a->series)), .participant_id = str_of(a->participant), .study_date = a->date,
        .procedure_occurrence_id = a->procedure, .extract_time = str_of(a->time ? a->time : TIME_1),
        .priority = a->priority ? a->priority : 1 };
}

static inline enum store_added add_met(struct store *s, struct ask a, bool dry, struct store_met *met)
{
    struct pixl_error err = { 0 };
    struct store_populate *p = NULL;
    enum store_added what = STORE_KNOWN;
    struct study_request r = request_of(&a);
    REQUIRE_OK(study_request_check(&r, &err), err);
    REQUIRE_OK(store_populate_begin(s, dry, &p, &err), err);
    CHECK_OK(store_populate_add(p, &r, T0, &what, met, &err), err);
    REQUIRE_OK(store_populate_end(p, &err), err);
    return what;
}

static inline enum store_added add(struct store *s, struct ask a)
{
    return add_met(s, a, false, NULL);
}

/* Texts of everything that is looked at stay until the test ends. */
static inline struct arena *test_arena(void)
{
    static struct arena a;
    if (a.max_bytes == 0)
        arena_init(&a, 256 * 1024 * 1024);
    return &a;
}

static inline struct store_image image_of(struct store *s, int64_t id)
{
    struct pixl_error err = { 0 };
    struct store_image m = { .id = 0 };
    bool got = false;
    REQUIRE_OK(store_get_image(s, id, test_arena(), &got, &m, &err), err);
    if (!test_check(got, __FILE__, __LINE__, "the image is there"))
        test_end();
    return m;
}

/* At T0 + after_us; id 0: nothing was due. */
static inline struct store_image claim_as(struct store *s, const char *owner, enum store_work work, int64_t after_us,
                                          bool suspects)
{
    struct pixl_error err = { 0 };
    struct store_image m = { .id = 0 };
    bool got = false;
    struct store_claim c = {
        .work = work, .owner = owner, .now_us = T0 + after_us, .lease_us = LEASE, .suspects = suspects
    };
    REQUIRE_OK(store_claim_next(s, &c, test_arena(), &got, &m, &err), err);
    return got ? m : (struct store_image){ .id = 0 };
}

static inline struct store_image claim(struct store *s)
{
    return claim_as(s, ME, STORE_WORK_RETRIEVE, 0, false);
}

static inline struct store_move move_of(int64_t id, int64_t fence, enum study_state to)
{
    struct store_move m = STORE_MOVE_NONE;
    m.image = id;
    m.fence = fence;
    m.to = to;
    m.now_us = T0 + 1;
    return m;
}

static inline void move_to(struct store *s, int64_t id, enum study_state to)
{
    struct pixl_error err = { 0 };
    struct store_move m = move_of(id, image_of(s, id).fence, to);
    char pseudo[64];
    (void)snprintf(pseudo, sizeof pseudo, "2.25.%lld", (long long)id);
    if (to == STUDY_DEIDENTIFIED) {
        m.pseudo_study_uid = pseudo;
        m.zip_digest = "d16e57";
        m.zip_bytes = 100;
        m.instances_found = 3;
        m.instances_delivered = 2;
        m.instances_skipped = 1;
    }
    REQUIRE_OK(store_move(s, &m, NULL, &err), err);
}

/* Takes a queued image to a state by the way that work takes it; it must be the only one due.  Nothing leads to
 * adopted. */
static inline void bring(struct store *s, int64_t id, enum study_state state)
{
    if (state == STUDY_QUEUED)
        return;
    if (state == STUDY_HELD) {
        move_to(s, id, STUDY_HELD);
        return;
    }
    CHECK_INT(claim(s).id, id);
    if (state == STUDY_RETRIEVING)
        return;
    if (state != STUDY_DEIDENTIFIED && state != STUDY_DELIVERING && state != STUDY_EXPORTED && state != STUDY_KEPT) {
        move_to(s, id, state);
        return;
    }
    move_to(s, id, STUDY_DEIDENTIFIED);
    if (state == STUDY_DEIDENTIFIED)
        return;
    CHECK_INT(claim_as(s, ME, STORE_WORK_DELIVER, 0, false).id, id);
    if (state != STUDY_DELIVERING)
        move_to(s, id, state);
}

static inline struct store_counts count_of(struct store *s)
{
    struct pixl_error err = { 0 };
    struct store_counts c = { .requests = 0 };
    REQUIRE_OK(store_count(s, (struct str){ 0 }, &c, &err), err);
    return c;
}

static inline int64_t images_in(struct store *s)
{
    struct store_counts c = count_of(s);
    int64_t n = 0;
    for (int i = 0; i < STUDY_STATE_COUNT; i++)
        n += c.by_state[i];
    return n;
}

static inline bool add_outcome(void *ctx, const struct store_outcome *o)
{
    struct buf *b = ctx;
    return buf_addf(b, "%lld:%s ", (long long)o->procedure_occurrence_id, study_state_name(o->state));
}

/* "procedure:state " for every request and study of project p. */
static inline const char *outcomes(struct store *s)
{
    static struct buf b;
    struct pixl_error err = { 0 };
    buf_done(&b);
    buf_init(&b, 1 << 20);
    REQUIRE_OK(store_each_outcome(s, STR("p"), STR(TIME_1), add_outcome, &b, &err), err);
    return buf_cstr(&b);
}

static inline bool add_event(void *ctx, const struct store_event *e)
{
    struct buf *b = ctx;
    return buf_addf(b, "%s%s(%s)", e->is_first ? "" : ">", study_state_name(e->to), study_reason_name(e->reason));
}

/* "queued()>retrieving()..." */
static inline const char *events(struct store *s, int64_t id)
{
    static struct buf b;
    struct pixl_error err = { 0 };
    buf_done(&b);
    buf_init(&b, 1 << 20);
    REQUIRE_OK(store_each_event(s, id, add_event, &b, &err), err);
    return buf_cstr(&b);
}

#endif
