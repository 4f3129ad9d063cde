/* hint_rig.h - a site (site_rig.h) with a queue in this process, its dispatcher, and a follower of hints. */
#ifndef PIXL_TEST_HINT_RIG_H
#define PIXL_TEST_HINT_RIG_H

#include "pipeline/hints.h"
#include "queue/queue_backend.h"
#include "site_rig.h"

#define QUEUE     "imaging"
#define SECONDARY "imaging-secondary"
#define A_ROW     "1,MRN5501,A1,rig,2024-01-01T00:00:00Z,2024-01-01,,,\n"
#define THREE_ROWS                                                \
    A_ROW "2,MRN5501,A2,rig,2024-01-01T00:00:00Z,2024-01-02,,,\n" \
          "3,MRN5501,A3,rig,2024-01-01T00:00:00Z,2024-01-03,,,\n"
/* As the Python system's command writes it. */
#define PY_MESSAGE_IN(project, zone)                                                                         \
    "{\"py/object\": \"core.patient_queue.message.Message\", \"mrn\": \"987654321\", \"accession_number\": " \
    "\"AA12345601\", \"study_uid\": \"1.2.3\", \"series_uid\": \"\", \"study_date\": {\"py/object\": "       \
    "\"datetime.date\", \"__reduce__\": [{\"py/type\": \"datetime.date\"}, [\"B+QFFw==\"]]}, "               \
    "\"procedure_occurrence_id\": 4, \"project_name\": \"" project "\", \"extract_generated_timestamp\": "   \
    "{\"py/object\": \"datetime.datetime\", \"__reduce__\": [{\"py/type\": \"datetime.datetime\"}, "         \
    "[\"B+cMBw4IOgAAAA==\"" zone "]]}}"
#define PY_MESSAGE(project) PY_MESSAGE_IN(project, "")

struct hint_rig {
    struct site_rig site;
    struct hint_route route;
    struct queue *look; /* the test's own, on the broker of today */
    struct dispatch *dispatch;
    struct hints *hints;
    int64_t claimed; /* the row that was claimed last */
    int claims;
    struct queue *cut_after_claim; /* loses its connection then; NULL: none */
};

static inline struct queue *share(struct hint_rig *r)
{
    struct pixl_error err = { 0 };
    struct queue *q = NULL;
    REQUIRE_OK(queue_memory_share(r->look, &q, &err), err);
    return q;
}

static inline struct queue *give_queue(struct hint_rig *r)
{
    struct queue *q = share(r);
    dispatch_use(r->dispatch, q);
    return q;
}

/* As if the one before had lost everything. */
static inline void new_broker(struct hint_rig *r)
{
    struct pixl_error err = { 0 };
    const struct queue_wait w = queue_wait_ms(1000, NULL);
    queue_close(r->look);
    REQUIRE_OK(queue_open(STR("memory:"), NULL, &w, &r->look, &err), err);
}

static inline void hint_rig_open(struct hint_rig *r, const char *setting)
{
    struct pixl_error err = { 0 };
    bool is_set = false;
    memset(r, 0, sizeof *r);
    rig_folders("");
    rig_open(&r->site, setting);
    r->site.settings.queue_url = "memory:";
    REQUIRE_OK(hint_route_of(&r->site.settings, &r->route, &is_set, &err), err);
    REQUIRE(is_set);
    new_broker(r);
    REQUIRE_OK(dispatch_new(site_store(r->site.site), &r->route, &r->dispatch, &err), err);
    REQUIRE_OK(hints_new(r->site.site, &r->route, &r->hints, &err), err);
    give_queue(r);
    hints_use(r->hints, share(r));
}

static inline void hint_rig_close(struct hint_rig *r)
{
    hints_free(r->hints);
    dispatch_free(r->dispatch);
    queue_close(r->look);
    rig_close(&r->site);
}

static inline void turn(struct hint_rig *r)
{
    static const atomic_bool never = false;
    dispatch_turn(r->dispatch, 0, &never);
}

/* Turns until the pause after a failure is over and the connection was used. */
static inline void after_pause(struct hint_rig *r)
{
    for (int i = 0; i < 100; i++) {
        turn(r);
        if (dispatch_state(r->dispatch).is_connected)
            return;
        usleep(50000);
    }
    CHECK(false);
}

static inline int64_t depth_of(struct hint_rig *r, const char *name)
{
    struct pixl_error err = { 0 };
    const struct queue_wait w = queue_wait_ms(1000, NULL);
    uint64_t n = 0;
    CHECK_OK(queue_depth(r->look, name, &w, &n, &err), err);
    return (int64_t)n;
}

static inline int64_t depth(struct hint_rig *r)
{
    return depth_of(r, QUEUE);
}

static inline bool count_one(void *ctx, const struct store_unhinted *u)
{
    (void)u;
    ++*(int64_t *)ctx;
    return true;
}

static inline int64_t unhinted(struct hint_rig *r)
{
    struct pixl_error err = { 0 };
    int64_t n = 0;
    REQUIRE_OK(store_each_unhinted(site_store(r->site.site), clock_wall_us(), NULL, 0, 1000, count_one, &n, &err), err);
    return n;
}

static inline void rig_populate_at(struct hint_rig *r, int priority, const char *rows)
{
    struct pixl_error err = { 0 };
    struct populate_counts n;
    buf_auto csv;
    buf_init(&csv, 65536);
    (void)buf_addf(&csv, "%s%s", RIG_CSV_HEADER, rows);
    rig_write("cohort.csv", buf_cstr(&csv));
    const struct populate_options o = { .path = test_path("cohort.csv"), .priority = priority };
    REQUIRE_OK(populate_cohort(r->site.site, &o, &n, &err), err);
}

/* The priority of the next message, which is taken away. */
static inline unsigned take_message(struct hint_rig *r, struct study_request *out)
{
    struct pixl_error err = { 0 };
    struct queue_delivery d;
    bool got = false;
    const struct queue_wait w = queue_wait_ms(1000, NULL);
    if (!queue_consume_start(r->look, QUEUE, 1, &w, &err))
        CHECK_FAILS(false, err, PIXL_E_EXISTS);
    REQUIRE_OK(queue_take(r->look, &w, &got, &d, &err), err);
    REQUIRE(got);
    REQUIRE_OK(message_decode(d.body, &MESSAGE_LIMITS_DEFAULT, &r->site.arena, out, &err), err);
    unsigned priority = d.priority;
    REQUIRE_OK(queue_settle(r->look, d.tag, QUEUE_ACK, NULL, &w, &err), err);
    return priority;
}

static inline void say(struct hint_rig *r, const char *body, unsigned priority)
{
    struct pixl_error err = { 0 };
    const struct queue_wait w = queue_wait_ms(1000, NULL);
    const struct queue_message m = { QUEUE, phi_text(str_of(body)), priority, 1 };
    struct queue_result result;
    REQUIRE_OK(queue_publish(r->look, &m, &w, &err), err);
    REQUIRE_OK(queue_flush(r->look, &w, &err), err);
    CHECK(queue_confirmed(r->look, &result) && result.fate == QUEUE_CONFIRMED);
}

/* The hint of A_ROW once more. */
static inline void say_again(struct hint_rig *r)
{
    say(r,
        "{\"mrn\": \"MRN5501\", \"accession_number\": \"A1\", \"study_uid\": \"\", \"series_uid\": \"\", "
        "\"study_date\": "
        "\"2024-01-01\", \"procedure_occurrence_id\": 1, \"project_name\": \"rig\", \"extract_generated_timestamp\": "
        "\"2024-01-01T00:00:00+00:00\"}",
        1);
}

static inline bool claim_row(void *ctx, int64_t image, bool *claimed, struct pixl_error *err)
{
    struct hint_rig *r = ctx;
    struct store_image m;
    const struct store_claim c = {
        .work = STORE_WORK_RETRIEVE, .owner = site_owner(r->site.site), .now_us = clock_wall_us(), .lease_us = 60000000
    };
    if (!store_claim_image(site_store(r->site.site), &c, image, &r->site.arena, claimed, &m, err))
        return false;
    if (*claimed) {
        r->claimed = image;
        r->claims++;
    }
    if (r->cut_after_claim != NULL)
        queue_memory_cut(r->cut_after_claim);
    return true;
}

static inline bool claim_fails(void *ctx, int64_t image, bool *claimed, struct pixl_error *err)
{
    (void)ctx;
    (void)image;
    (void)claimed;
    return pixl_fail(err, PIXL_E_UNAVAILABLE, 0, "the store is away");
}

static inline enum hints_took follow(struct hint_rig *r, unsigned archives)
{
    static const atomic_bool never = false;
    struct pixl_error err = { 0 };
    enum hints_took what = HINTS_NOTHING;
    REQUIRE_OK(hints_take(r->hints, archives, claim_row, r, 300, &never, &what, &err), err);
    return what;
}

#endif
