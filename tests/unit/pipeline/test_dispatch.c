/* The dispatcher and who follows its hints, over a queue in this process and SQLite. */
#include "pipeline/dispatch.h"

#include "hint_rig.h"
#include "pipeline/dead.h"
#include "pipeline/metrics.h"
#include "pipeline/purge.h"

static void test_dispatch__every_due_row_is_hinted_once_in_its_order(void)
{
    struct hint_rig r;
    hint_rig_open(&r, "PIXL_SWEEP_S=300");
    rig_populate(&r.site, "1,MRN5501,A1,rig,2024-01-01T00:00:00Z,2024-01-02,,,\n"
                          "2,MRN5501,A2,rig,2024-01-01T00:00:00Z,2024-01-01,1.2.3.4,,\n");
    rig_populate_at(&r, 5, "3,MRN5501,A3,rig,2024-01-01T00:00:00Z,2024-01-05,,,\n");
    turn(&r);
    CHECK_INT(depth(&r), 3);
    CHECK_INT(unhinted(&r), 0);
    CHECK_INT(dispatch_state(r.dispatch).hinted, 3);
    CHECK(dispatch_state(r.dispatch).leads && dispatch_state(r.dispatch).is_connected);
    turn(&r);
    turn(&r);
    CHECK_INT(depth(&r), 3);
    static const struct {
        int64_t procedure;
        unsigned priority;
        const char *accession;
    } want[] = { { 3, 5, "A3" }, { 2, 1, "A2" }, { 1, 1, "A1" } };
    for (size_t i = 0; i < ARRAY_LEN(want); i++) {
        struct study_request q;
        CHECK_INT(take_message(&r, &q), want[i].priority);
        CHECK_INT(q.procedure_occurrence_id, want[i].procedure);
        CHECK_STR(phi_reveal(q.accession_number), want[i].accession);
        CHECK_STR(q.project, "rig");
    }
    CHECK_INT(dispatch_state(r.dispatch).forgotten, 0);
    hint_rig_close(&r);
}

static void test_dispatch__what_was_not_confirmed_is_hinted_again(void)
{
    struct hint_rig r;
    hint_rig_open(&r, "PIXL_SWEEP_S=300");
    rig_populate(&r.site, A_ROW);
    struct queue *q = give_queue(&r);
    queue_memory_hold(q, true);
    turn(&r);
    CHECK_INT(depth(&r), 1);
    CHECK_INT(unhinted(&r), 1); /* published, and the process could end here */
    turn(&r);
    CHECK_INT(depth(&r), 1); /* it is in flight: not published again */
    queue_memory_cut(q);
    turn(&r); /* hears that nothing was confirmed */
    turn(&r); /* meets the cut */
    CHECK(!dispatch_state(r.dispatch).is_connected);
    give_queue(&r);
    after_pause(&r);
    CHECK_INT(depth(&r), 2);
    CHECK_INT(unhinted(&r), 0);
    hint_rig_close(&r);
}

static void test_dispatch__a_broker_that_confirms_nothing_is_told_of(void)
{
    struct hint_rig r;
    hint_rig_open(&r, "PIXL_SWEEP_S=300");
    CHECK_INT(r.route.silence_us, 10 * 1000000);
    r.route.silence_us = 1000;
    rig_populate(&r.site, A_ROW);
    struct queue *q = give_queue(&r);
    queue_memory_hold(q, true);
    turn(&r);
    usleep(2000);
    turn(&r);
    CHECK(dispatch_state(r.dispatch).is_silent && !dispatch_state(r.dispatch).is_connected);
    CHECK_INT(depth(&r), 1);
    queue_memory_hold(q, false);
    turn(&r);
    turn(&r);
    CHECK(!dispatch_state(r.dispatch).is_silent && dispatch_state(r.dispatch).is_connected);
    CHECK_INT(depth(&r), 1); /* nothing was published again */
    CHECK_INT(unhinted(&r), 0);
    hint_rig_close(&r);
}

static void test_dispatch__a_broker_that_lost_its_queues_is_told_all_again(void)
{
    struct hint_rig r;
    hint_rig_open(&r, "PIXL_SWEEP_S=300");
    rig_populate(&r.site, THREE_ROWS);
    struct queue *q = give_queue(&r);
    turn(&r);
    CHECK_INT(depth(&r), 3);
    CHECK_INT(unhinted(&r), 0);
    queue_memory_cut(q);
    new_broker(&r);
    give_queue(&r);
    after_pause(&r);
    CHECK_INT(depth(&r), 3);
    CHECK_INT(unhinted(&r), 0);
    CHECK_INT(dispatch_state(r.dispatch).forgotten, 3);
    hint_rig_close(&r);
}

static void test_dispatch__a_queue_that_was_deleted_is_made_anew(void)
{
    struct hint_rig r;
    hint_rig_open(&r, "PIXL_SWEEP_S=300");
    rig_populate(&r.site, A_ROW);
    turn(&r);
    CHECK_INT(unhinted(&r), 0);
    new_broker(&r);
    give_queue(&r); /* the connection looks like the one before */
    rig_populate(&r.site, THREE_ROWS);
    after_pause(&r);
    turn(&r);
    CHECK_INT(unhinted(&r), 0);
    CHECK_INT(depth(&r), 3);
    hint_rig_close(&r);
}

static void test_dispatch__sweeps_what_a_queue_lost_silently(void)
{
    struct hint_rig r;
    struct pixl_error err = { 0 };
    uint64_t purged;
    hint_rig_open(&r, "PIXL_SWEEP_S=1");
    rig_populate(&r.site, THREE_ROWS);
    turn(&r);
    CHECK_INT(depth(&r), 3);
    usleep(1500000);
    turn(&r);
    CHECK_INT(depth(&r), 3); /* they are old, but the queue has them */
    const struct queue_wait w = queue_wait_ms(1000, NULL);
    REQUIRE_OK(queue_purge(r.look, QUEUE, &w, &purged, &err), err);
    for (int i = 0; i < 100 && depth(&r) == 0; i++) {
        usleep(50000);
        turn(&r);
    }
    CHECK_INT(depth(&r), 3);
    hint_rig_close(&r);
}

static void test_dispatch__rows_wait_until_they_are_due(void)
{
    struct hint_rig r;
    struct store_image m;
    hint_rig_open(&r, "PIXL_SWEEP_S=300");
    rig_populate(&r.site, A_ROW);
    turn(&r);
    CHECK_INT(depth(&r), 1);
    REQUIRE(rig_claim(&r.site, STORE_WORK_RETRIEVE, &m));
    struct store_move later = STORE_MOVE_NONE;
    struct pixl_error err = { 0 };
    later.image = m.id;
    later.fence = m.fence;
    later.to = STUDY_QUEUED;
    later.now_us = clock_wall_us();
    later.not_before_us = later.now_us + 1500000;
    REQUIRE_OK(store_move(site_store(r.site.site), &later, NULL, &err), err);
    turn(&r);
    CHECK_INT(depth(&r), 1); /* the old one */
    for (int i = 0; i < 100 && depth(&r) == 1; i++) {
        usleep(50000);
        turn(&r);
    }
    CHECK(clock_wall_us() >= later.not_before_us);
    CHECK_INT(depth(&r), 2);
    hint_rig_close(&r);
}

static void test_dispatch__the_secondary_archive_has_a_queue_of_its_own(void)
{
    struct hint_rig r;
    struct store_image m;
    struct pixl_error err = { 0 };
    hint_rig_open(&r, "PIXL_SWEEP_S=300");
    rig_populate(&r.site, A_ROW);
    turn(&r);
    REQUIRE(rig_claim(&r.site, STORE_WORK_RETRIEVE, &m));
    struct store_move over = STORE_MOVE_NONE;
    over.image = m.id;
    over.fence = m.fence;
    over.to = STUDY_QUEUED;
    over.archive = 1;
    over.now_us = clock_wall_us();
    REQUIRE_OK(store_move(site_store(r.site.site), &over, NULL, &err), err);
    turn(&r);
    CHECK_INT(depth(&r), 1);
    CHECK_INT(depth_of(&r, SECONDARY), 1);
    hint_rig_close(&r);
}

static void test_dispatch__one_leads_and_another_takes_over(void)
{
    struct hint_rig r;
    struct pixl_error err = { 0 };
    struct store *other_store = NULL;
    struct dispatch *other = NULL;
    static const atomic_bool never = false;
    hint_rig_open(&r, "PIXL_SWEEP_S=300");
    turn(&r);
    rig_populate(&r.site, A_ROW);
    REQUIRE_OK(store_open(r.site.settings.store_url, &other_store, &err), err);
    REQUIRE_OK(dispatch_new(other_store, &r.route, &other, &err), err);
    dispatch_turn(other, 0, &never);
    CHECK(!dispatch_state(other).leads);
    CHECK_INT(unhinted(&r), 1);
    dispatch_free(r.dispatch);
    r.dispatch = other;
    give_queue(&r);
    usleep(1100000);
    turn(&r);
    CHECK(dispatch_state(other).leads);
    CHECK_INT(depth(&r), 1);
    CHECK_INT(unhinted(&r), 0);
    dispatch_free(other);
    r.dispatch = NULL;
    store_close(other_store);
    hint_rig_close(&r);
}

static void test_dispatch__writes_the_form_that_is_set(void)
{
    struct hint_rig r;
    struct pixl_error err = { 0 };
    struct queue_delivery d;
    bool got;
    hint_rig_open(&r, "PIXL_MESSAGE_FORMAT=jsonpickle");
    rig_populate(&r.site, A_ROW);
    turn(&r);
    const struct queue_wait w = queue_wait_ms(1000, NULL);
    REQUIRE_OK(queue_consume_start(r.look, QUEUE, 1, &w, &err), err);
    REQUIRE_OK(queue_take(r.look, &w, &got, &d, &err), err);
    REQUIRE(got);
    CHECK(str_is_prefix(phi_reveal(d.body), STR("{\"py/object\": \"core.patient_queue.message.Message\", ")));
    hint_rig_close(&r);
}

static void test_route__a_broker_wants_a_store_that_others_reach(void)
{
    static const struct {
        const char *env[3];
        bool ok, is_set;
    } rows[] = {
        { { NULL }, true, false },
        { { "PIXL_QUEUE_URL=amqp://h" }, false, false },
        { { "PIXL_QUEUE_URL=amqp://h", "PIXL_STORE_URL=postgresql://h/d" }, true, true },
        { { "PIXL_QUEUE_URL=amqps://h", "PIXL_STORE_URL=sqlite:/x" }, false, false },
        { { "PIXL_QUEUE_URL=amqp://h:port", "PIXL_STORE_URL=postgresql://h/d" }, false, false },
        { { "PIXL_QUEUE_URL=amqp:", "PIXL_STORE_URL=postgresql://h/d" }, false, false },
        { { "PIXL_QUEUE_URL=rabbit://h", "PIXL_STORE_URL=postgresql://h/d" }, false, false },
        { { "PIXL_QUEUE_URL=memory:", "PIXL_QUEUE_NAME=imaging-secondary" }, false, false },
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        test_row("%zu", i);
        struct settings s = { 0 };
        struct pixl_error err = { 0 };
        struct hint_route route;
        bool is_set = false;
        REQUIRE_OK(settings_load(rows[i].env, NULL, NULL, &s, &err), err);
        bool ok = hint_route_of(&s, &route, &is_set, &err);
        CHECK(ok == rows[i].ok && is_set == rows[i].is_set);
        if (!rows[i].ok)
            CHECK_FAILS(ok, err, PIXL_E_INVALID);
        settings_done(&s);
    }
}

/* --- following -------------------------------------------------------------------------------------------------- */

static void test_hints__lead_to_rows_that_are_claimed_then_acknowledged(void)
{
    struct hint_rig r;
    hint_rig_open(&r, "PIXL_SWEEP_S=300");
    rig_populate(&r.site, THREE_ROWS);
    turn(&r);
    CHECK_INT(follow(&r, 0), HINTS_NOTHING); /* not ready for work: nothing is taken */
    CHECK_INT(depth(&r), 3);
    for (int64_t i = 1; i <= 3; i++) {
        CHECK_INT(follow(&r, 1), HINTS_CLAIMED);
        CHECK_INT(r.claimed, i);
        CHECK_INT(rig_image(&r.site, i).state, STUDY_RETRIEVING);
    }
    CHECK_INT(follow(&r, 1), HINTS_NOTHING);
    follow(&r, 0);
    CHECK_INT(depth(&r), 0);
    hint_rig_close(&r);
}

static void test_hints__of_rows_that_are_not_due_are_acknowledged(void)
{
    struct hint_rig r;
    hint_rig_open(&r, "PIXL_SWEEP_S=300");
    rig_populate(&r.site, A_ROW);
    turn(&r);
    say_again(&r);
    say_again(&r);
    CHECK_INT(depth(&r), 3);
    CHECK_INT(follow(&r, 1), HINTS_CLAIMED);
    CHECK_INT(follow(&r, 1), HINTS_PASSED); /* claimed */
    struct store_image m = rig_image(&r.site, 1);
    struct store_move done = STORE_MOVE_NONE;
    struct pixl_error err = { 0 };
    done.image = 1;
    done.fence = m.fence;
    done.to = STUDY_MISSING;
    done.now_us = clock_wall_us();
    REQUIRE_OK(store_move(site_store(r.site.site), &done, NULL, &err), err);
    CHECK_INT(follow(&r, 1), HINTS_PASSED); /* done */
    follow(&r, 0);
    CHECK_INT(depth(&r), 0);
    hint_rig_close(&r);
}

static void test_hints__of_the_python_system_make_a_row(void)
{
    struct hint_rig r;
    hint_rig_open(&r, "PIXL_SWEEP_S=300");
    turn(&r);
    say(&r, PY_MESSAGE("rig"), 4);
    CHECK_INT(follow(&r, 1), HINTS_CLAIMED);
    struct store_image m = rig_image(&r.site, 1);
    CHECK_STR(m.project, "rig");
    CHECK_STR(phi_reveal(m.mrn), "987654321");
    CHECK_INT(m.priority, 4);
    say(&r, PY_MESSAGE("rig"), 4);
    CHECK_INT(follow(&r, 1), HINTS_PASSED);
    hint_rig_close(&r);
}

static void test_hints__that_mean_nothing_are_buried_with_a_reason(void)
{
    static const struct {
        const char *body;
        enum hint_reason reason;
    } rows[] = {
        { "not json at all", HINT_NOT_JSON },
        { "{\"mrn\": \"1\"}", HINT_INVALID_FIELD },
        { "{\"py/object\": \"os.system\", \"mrn\": \"1\"}", HINT_UNKNOWN_TYPE },
        { "[[[[[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]]]]]", HINT_TOO_LONG },
        { PY_MESSAGE("nobody"), HINT_UNKNOWN_PROJECT },
        { PY_MESSAGE("broken"), HINT_UNUSABLE_PROJECT },
        { PY_MESSAGE("folder"), HINT_UNUSABLE_PROJECT }, /* reading it fails, as on a disk that is broken */
    };
    struct hint_rig r;
    hint_rig_open(&r, "PIXL_SWEEP_S=300");
    rig_write("configs/broken.yaml", "project: {name: Broken}\n");
    struct pixl_error made = { 0 };
    REQUIRE_OK(fs_make_dirs(test_path("configs/folder.yaml"), 0700, &made), made);
    turn(&r);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        test_row("%s", hint_reason_name(rows[i].reason));
        struct pixl_error err = { 0 };
        int64_t *images;
        size_t n = 9;
        enum hint_reason reason = HINT_GOOD;
        CHECK_OK(hint_rows_of(r.site.site, phi_text(str_of(rows[i].body)), true, 1, &r.site.arena, &images, &n, &reason,
                              &err),
                 err);
        CHECK_INT(reason, rows[i].reason);
        CHECK_INT(n, 0);
        say(&r, rows[i].body, 1);
        CHECK_INT(follow(&r, 1), HINTS_BURIED);
        CHECK_INT(depth_of(&r, QUEUE ".dead"), i + 1);
    }
    follow(&r, 0);
    CHECK_INT(depth(&r), 0);
    hint_rig_close(&r);
}

/* It waits as a dead letter until the machine has a tz database. */
static void test_hints__of_a_zone_that_this_system_does_not_know_are_buried(void)
{
    struct hint_rig r;
    struct pixl_error err = { 0 };
    struct str body = STR(PY_MESSAGE_IN("rig", ", {\"py/reduce\": [{\"py/function\": \"zoneinfo.ZoneInfo._unpickle\"}, "
                                               "{\"py/tuple\": [\"Europe/London\", 1]}]}"));
    int64_t *images;
    size_t n = 9;
    enum hint_reason reason = HINT_GOOD;
    hint_rig_open(&r, "PIXL_SWEEP_S=300");
    turn(&r);
    (void)setenv("TZDIR", test_path("no-database"), 1);
    CHECK_OK(hint_rows_of(r.site.site, phi_text(body), true, 1, &r.site.arena, &images, &n, &reason, &err), err);
    CHECK_STR(str_of(hint_reason_name(reason)), "unknown-zone");
    CHECK_INT(n, 0);
    say(&r, body.p, 1);
    CHECK_INT(follow(&r, 1), HINTS_BURIED);
    CHECK_INT(depth_of(&r, QUEUE ".dead"), 1);
    (void)unsetenv("TZDIR");
    CHECK_OK(hint_rows_of(r.site.site, phi_text(body), true, 1, &r.site.arena, &images, &n, &reason, &err), err);
    CHECK_INT(reason, HINT_GOOD);
    CHECK_INT(n, 1);
    hint_rig_close(&r);
}

static void test_hints__wait_for_a_share_of_configurations(void)
{
    static const atomic_bool never = false;
    struct hint_rig r;
    struct pixl_error err = { 0 };
    enum hints_took what;
    hint_rig_open(&r, "PIXL_SWEEP_S=300");
    turn(&r);
    say(&r, PY_MESSAGE("rig"), 1);
    REQUIRE(rename(test_path("configs"), test_path("elsewhere")) == 0);
    for (int is_empty = 0; is_empty <= 1; is_empty++) {
        if (is_empty)
            REQUIRE_OK(fs_make_dirs(test_path("configs"), 0700, &err), err);
        CHECK_FAILS(hints_take(r.hints, 1, claim_fails, &r, 1000, &never, &what, &err), err, PIXL_E_UNAVAILABLE);
        CHECK_INT(depth(&r), 1);
    }
    REQUIRE(rmdir(test_path("configs")) == 0 && rename(test_path("elsewhere"), test_path("configs")) == 0);
    CHECK_INT(follow(&r, 1), HINTS_CLAIMED);
    hint_rig_close(&r);
}

static void test_hints__are_given_back_when_a_claim_fails(void)
{
    struct hint_rig r;
    struct pixl_error err = { 0 };
    static const atomic_bool never = false;
    enum hints_took what = HINTS_CLAIMED;
    hint_rig_open(&r, "PIXL_SWEEP_S=300");
    rig_populate(&r.site, A_ROW);
    turn(&r);
    CHECK_FAILS(hints_take(r.hints, 1, claim_fails, &r, 1000, &never, &what, &err), err, PIXL_E_UNAVAILABLE);
    CHECK_INT(what, HINTS_NOTHING);
    follow(&r, 0);
    CHECK_INT(depth(&r), 1);
    CHECK_INT(follow(&r, 1), HINTS_CLAIMED);
    hint_rig_close(&r);
}

static void test_hints__a_lost_connection_gives_the_message_back(void)
{
    struct hint_rig r;
    hint_rig_open(&r, "PIXL_SWEEP_S=300");
    rig_populate(&r.site, A_ROW);
    turn(&r);
    struct queue *q = share(&r);
    hints_use(r.hints, q);
    r.cut_after_claim = q;
    CHECK_INT(follow(&r, 1), HINTS_CLAIMED); /* the claim is committed, the acknowledgement is lost */
    r.cut_after_claim = NULL;
    CHECK_INT(depth(&r), 1);
    hints_use(r.hints, share(&r));
    for (int i = 0; i < 20 && depth(&r) > 0; i++)
        (void)follow(&r, 1);
    CHECK_INT(depth(&r), 0);
    CHECK_INT(r.claims, 1);
    hint_rig_close(&r);
}

static bool metrics_have(struct hint_rig *r, const char *line)
{
    struct pixl_error err = { 0 };
    buf_auto text;
    buf_init(&text, 1 << 20);
    REQUIRE_OK(metrics_render(site_metrics(r->site.site), site_store(r->site.site), &text, &err), err);
    return strstr(buf_cstr(&text), line) != NULL;
}

static void test_hints__tell_how_many_wait_and_when_the_broker_is_away(void)
{
    struct hint_rig r;
    hint_rig_open(&r, "PIXL_SWEEP_S=300");
    rig_populate(&r.site, THREE_ROWS);
    turn(&r);
    CHECK_INT(follow(&r, 0), HINTS_NOTHING);
    CHECK(metrics_have(&r, "pixl_queue_messages{queue=\"" QUEUE "\"} 3\n"));
    CHECK(metrics_have(&r, "pixl_queue_messages{queue=\"" SECONDARY "\"} 0\n"));
    CHECK(!metrics_have(&r, "what=\"broker\"") && !hints_is_away(r.hints));
    struct queue *q = share(&r);
    hints_use(r.hints, q);
    queue_memory_cut(q);
    (void)follow(&r, 1);
    CHECK(!metrics_have(&r, "pixl_queue_messages{"));
    CHECK(metrics_have(&r, "pixl_breaker_open{what=\"broker\"} 1\n") && hints_is_away(r.hints));
    hints_use(r.hints, share(&r));
    for (int i = 0; i < 20 && metrics_have(&r, "\"broker\"} 1\n"); i++)
        (void)follow(&r, 0);
    CHECK(metrics_have(&r, "pixl_breaker_open{what=\"broker\"} 0\n") && !hints_is_away(r.hints));
    CHECK(metrics_have(&r, "pixl_queue_messages{queue=\"" QUEUE "\"} 3\n"));
    hint_rig_close(&r);
}

/* --- dead letters, and purging ----------------------------------------------------------------------------------- */

struct shown {
    struct dead_letter at[4];
    char reasons[4][32];
    size_t n;
};

static void note_letter(void *ctx, const struct dead_letter *l)
{
    struct shown *s = ctx;
    REQUIRE(s->n < ARRAY_LEN(s->at));
    (void)snprintf(s->reasons[s->n], sizeof s->reasons[0], "%s", l->reason);
    s->at[s->n++] = *l;
}

static void test_dead__are_shown_without_their_content_and_read_again(void)
{
    struct hint_rig r;
    struct pixl_error err = { 0 };
    struct shown shown = { .n = 0 };
    uint64_t total = 0;
    struct dead_retried retried;
    hint_rig_open(&r, "PIXL_SWEEP_S=300");
    turn(&r);
    struct queue *q = share(&r);
    REQUIRE_OK(dead_each(r.site.site, q, &r.route, note_letter, &shown, &total, &err), err);
    CHECK_INT(total, 0);
    REQUIRE(rename(test_path("configs/rig.yaml"), test_path("configs/other.yaml")) == 0);
    say(&r, PY_MESSAGE("rig"), 2);
    say(&r, "not json", 1);
    CHECK_INT(follow(&r, 1), HINTS_BURIED);
    CHECK_INT(follow(&r, 1), HINTS_BURIED);
    const int64_t before = clock_wall_us() - 60000000;
    for (int i = 0; i < 2; i++) { /* looking changes nothing */
        shown.n = 0;
        REQUIRE_OK(dead_each(r.site.site, q, &r.route, note_letter, &shown, &total, &err), err);
        queue_close(q);
        q = share(&r);
        CHECK_INT(total, 2);
        CHECK_INT(shown.n, 2);
        CHECK_STR(str_of(shown.at[0].queue), QUEUE);
        CHECK_STR(str_of(shown.reasons[0]), "unknown-project");
        CHECK_STR(str_of(shown.reasons[1]), "not-json");
        CHECK(shown.at[0].buried_us > before && shown.at[0].image == 0);
    }
    REQUIRE_OK(dead_retry(r.site.site, q, &r.route, &retried, &err), err);
    CHECK_INT(retried.again, 0);
    CHECK_INT(retried.left, 2);
    queue_close(q);
    q = share(&r);
    rig_folders(""); /* the project is configured now */
    REQUIRE_OK(dead_retry(r.site.site, q, &r.route, &retried, &err), err);
    CHECK_INT(retried.again, 1);
    CHECK_INT(retried.left, 1);
    queue_close(q);
    CHECK_INT(depth_of(&r, QUEUE ".dead"), 1);
    CHECK_INT(rig_image(&r.site, 1).state, STUDY_QUEUED);
    CHECK_INT(rig_image(&r.site, 1).priority, 2);
    turn(&r);
    CHECK_INT(follow(&r, 1), HINTS_CLAIMED);
    hint_rig_close(&r);
}

static void test_purge__holds_the_rows_and_empties_the_queues(void)
{
    struct hint_rig r;
    struct pixl_error err = { 0 };
    struct purged p;
    struct store_counts n;
    hint_rig_open(&r, "PIXL_SWEEP_S=300");
    rig_populate(&r.site, THREE_ROWS);
    turn(&r);
    CHECK_INT(follow(&r, 1), HINTS_CLAIMED);
    follow(&r, 0);
    REQUIRE_OK(purge_queued(site_store(r.site.site), r.look, &r.route, &p, &err), err);
    CHECK_INT(p.held, 2);
    CHECK_INT(p.messages, 2);
    CHECK_INT(p.broker.code, PIXL_OK);
    CHECK_INT(depth(&r), 0);
    REQUIRE_OK(store_count(site_store(r.site.site), (struct str){ 0 }, &n, &err), err);
    CHECK_INT(n.by_state[STUDY_HELD], 2);
    CHECK_INT(n.by_state[STUDY_RETRIEVING], 1);
    turn(&r);
    CHECK_INT(depth(&r), 0); /* held rows are never hinted */
    say_again(&r);
    CHECK_INT(follow(&r, 1), HINTS_PASSED);
    struct queue *q = share(&r);
    queue_memory_cut(q);
    rig_populate(&r.site, THREE_ROWS);
    turn(&r);
    REQUIRE_OK(purge_queued(site_store(r.site.site), q, &r.route, &p, &err), err);
    CHECK_INT(p.held, 2);
    CHECK_INT(p.broker.code, PIXL_E_UNAVAILABLE);
    CHECK_INT(depth(&r), 2);
    CHECK_INT(follow(&r, 1), HINTS_PASSED); /* the messages that are left over */
    CHECK_INT(follow(&r, 1), HINTS_PASSED);
    queue_close(q);
    hint_rig_close(&r);
}

int main(int argc, char **argv)
{
    static const struct test_case tests[] = {
        TEST(test_dispatch__every_due_row_is_hinted_once_in_its_order),
        TEST(test_dispatch__what_was_not_confirmed_is_hinted_again),
        TEST(test_dispatch__a_broker_that_confirms_nothing_is_told_of),
        TEST(test_dispatch__a_broker_that_lost_its_queues_is_told_all_again),
        TEST(test_dispatch__a_queue_that_was_deleted_is_made_anew),
        TEST(test_dispatch__sweeps_what_a_queue_lost_silently),
        TEST(test_dispatch__rows_wait_until_they_are_due),
        TEST(test_dispatch__the_secondary_archive_has_a_queue_of_its_own),
        TEST(test_dispatch__one_leads_and_another_takes_over),
        TEST(test_dispatch__writes_the_form_that_is_set),
        TEST(test_route__a_broker_wants_a_store_that_others_reach),
        TEST(test_hints__lead_to_rows_that_are_claimed_then_acknowledged),
        TEST(test_hints__of_rows_that_are_not_due_are_acknowledged),
        TEST(test_hints__of_the_python_system_make_a_row),
        TEST(test_hints__that_mean_nothing_are_buried_with_a_reason),
        TEST(test_hints__of_a_zone_that_this_system_does_not_know_are_buried),
        TEST(test_hints__wait_for_a_share_of_configurations),
        TEST(test_hints__are_given_back_when_a_claim_fails),
        TEST(test_hints__a_lost_connection_gives_the_message_back),
        TEST(test_hints__tell_how_many_wait_and_when_the_broker_is_away),
        TEST(test_dead__are_shown_without_their_content_and_read_again),
        TEST(test_purge__holds_the_rows_and_empties_the_queues),
    };
    return test_main(argc, argv, tests, ARRAY_LEN(tests));
}
