#include "store/store.h"

#include "base/fs.h"
#include "store_helper.h"

/* --- populate -------------------------------------------------------------------------------------------------- */

static void test_store__addresses_without_a_backend_are_invalid(void)
{
    static const char *const rows[] = {
        "", "sqlite", "sqlite:", "sqlit:x", "mysql://u:secretword@h/d", "/x/pixl.db", "sqlite::memory:"
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        test_row("%s", rows[i]);
        struct pixl_error err = { 0 };
        struct store *s = NULL;
        bool ok = store_open(rows[i], &s, &err);
        CHECK(strstr(err.msg, "secretword") == NULL);
        CHECK_FAILS(ok, err, PIXL_E_INVALID);
        CHECK(s == NULL);
    }
}

/* What the second of two rows meets, and how many images and requests there are then. */
#define STUDY   STORE_ADDED_IMAGE, 2, 2
#define REQUEST STORE_ADDED_REQUEST, 1, 2
#define KNOWN   STORE_KNOWN, 1, 1
static const struct {
    const char *name;
    struct ask a, b;
    enum store_added want;
    int64_t images, requests;
} meetings[] = {
    { "the same row", { .mrn = "1", .accession = "A" }, { .mrn = "1", .accession = "A" }, KNOWN },
    { "the same with a UID", { .mrn = "1", .uid = "1.2" }, { .mrn = "1", .uid = "1.2" }, KNOWN },
    { "other procedure", { .mrn = "1", .accession = "A" }, { .mrn = "1", .accession = "A", .procedure = 2 }, REQUEST },
    { "other time", { .mrn = "1", .accession = "A" }, { .mrn = "1", .accession = "A", .time = "2024-01-01" }, REQUEST },
    { "other accession number", { .mrn = "1", .accession = "A" }, { .mrn = "1", .accession = "B" }, STUDY },
    { "other MRN", { .mrn = "1", .accession = "A" }, { .mrn = "2", .accession = "A" }, STUDY },
    { "other project", { .mrn = "1", .accession = "A" }, { .project = "q", .mrn = "1", .accession = "A" }, STUDY },
    { "texts that join alike", { .mrn = "1", .accession = "23" }, { .mrn = "12", .accession = "3" }, STUDY },
    { "one UID, two accession numbers", { .mrn = "1", .accession = "A", .uid = "1.2" },
      { .mrn = "1", .accession = "B", .uid = "1.2" }, REQUEST },
    { "two UIDs, one accession number", { .mrn = "1", .accession = "A", .uid = "1.2" },
      { .mrn = "1", .accession = "A", .uid = "1.3" }, STUDY },
    { "with and without UID: two until found", { .mrn = "1", .accession = "A", .uid = "1.2" },
      { .mrn = "1", .accession = "A" }, STUDY },
    { "other series", { .mrn = "1", .uid = "1.2", .series = "1.5" }, { .mrn = "1", .uid = "1.2", .series = "1.4" },
      REQUEST },
    { "the same series, other order", { .mrn = "1", .uid = "1.2", .series = "1.5\\1.4" },
      { .mrn = "1", .uid = "1.2", .series = "1.4\\1.5\\1.4" }, KNOWN },
    { "other date only", { .mrn = "1", .accession = "A", .date = 20200101 }, { .mrn = "1", .accession = "A" }, KNOWN },
};
#undef STUDY
#undef REQUEST
#undef KNOWN

static void test_populate__rows_meet_the_studies_that_are_there(void)
{
    for (size_t i = 0; i < ARRAY_LEN(meetings); i++) {
        test_row("%s", meetings[i].name);
        struct store *s = open_store();
        CHECK_INT(add(s, meetings[i].a), STORE_ADDED_IMAGE);
        CHECK_INT(add(s, meetings[i].b), meetings[i].want);
        CHECK_INT(images_in(s), meetings[i].images);
        CHECK_INT(count_of(s).requests, meetings[i].requests);
        CHECK_INT(add(s, meetings[i].a), STORE_KNOWN);
        CHECK_INT(add(s, meetings[i].b), STORE_KNOWN);
        CHECK_INT(images_in(s), meetings[i].images);
        store_close(s);
    }
}

static void test_populate__an_image_holds_what_was_asked(void)
{
    struct store *s = open_store();
    add(s, (struct ask){ .mrn = "M1",
                         .accession = "A1",
                         .uid = "1.2.3",
                         .series = "1.9\\1.10",
                         .priority = 4,
                         .date = 20201231,
                         .participant = "P-7",
                         .procedure = 77 });
    struct store_image m = image_of(s, 1);
    CHECK_STR(m.project, "p");
    CHECK_STR(phi_reveal(m.mrn), "M1");
    CHECK_STR(phi_reveal(m.accession_number), "A1");
    CHECK_STR(phi_reveal(m.study_uid), "1.2.3");
    CHECK_STR(phi_reveal(m.found_uid), "");
    CHECK_STR(phi_reveal(m.series_uids), "1.10\\1.9");
    CHECK_STR(m.participant_id, "P-7");
    CHECK_INT(m.study_date, 20201231);
    CHECK_INT(m.priority, 4);
    CHECK_INT(m.state, STUDY_QUEUED);
    CHECK_INT(m.reason, STUDY_WHY_NONE);
    CHECK_INT(m.fence + m.attempts + m.crashes + m.series_version + m.not_before_us + m.lease_until_us + m.exported_us,
              0);
    CHECK_INT(m.created_us, T0);
    CHECK_STR(m.owner, "");
    CHECK_STR(str_of(events(s, 1)), "queued()");
    store_close(s);
}

static void test_populate__a_dry_run_tells_and_changes_nothing(void)
{
    struct store *s = open_store();
    add(s, (struct ask){ .mrn = "1", .accession = "A" });
    CHECK_INT(add_met(s, (struct ask){ .mrn = "1", .accession = "A" }, true, NULL), STORE_KNOWN);
    CHECK_INT(add_met(s, (struct ask){ .mrn = "1", .accession = "B" }, true, NULL), STORE_ADDED_IMAGE);
    CHECK_INT(add_met(s, (struct ask){ .mrn = "1", .accession = "B", .project = "q" }, true, NULL),
              STORE_ADDED_IMAGE);
    CHECK_INT(add_met(s, (struct ask){ .mrn = "1", .accession = "A", .procedure = 5 }, true, NULL),
              STORE_ADDED_REQUEST);
    move_to(s, 1, STUDY_HELD);
    CHECK_INT(add_met(s, (struct ask){ .mrn = "1", .accession = "A" }, true, NULL), STORE_REVIVED);
    CHECK_INT(image_of(s, 1).state, STUDY_HELD);
    CHECK_INT(images_in(s), 1);
    CHECK_INT(count_of(s).requests, 1);
    struct pixl_error err = { 0 };
    struct str *projects;
    size_t n = 0;
    CHECK_OK(store_projects(s, test_arena(), &projects, &n, &err), err);
    CHECK_INT(n, 1);
    store_close(s);
}

static bool mark_changes(struct store *s, const char *time, struct store_extract_mark *was)
{
    struct pixl_error err = { 0 };
    struct store_extract_mark now = { 0 };
    REQUIRE_OK(store_mark_extract(s, STR("p"), str_of(time), &now, &err), err);
    bool differs = memcmp(&now, was, sizeof now) != 0;
    *was = now;
    return differs;
}

static void test_mark_extract__follows_its_own_studies_alone(void)
{
    struct store *s = open_store();
    struct store_extract_mark one = { 0 }, other = { 0 };
    CHECK(!mark_changes(s, TIME_1, &one));
    add(s, (struct ask){ .mrn = "1", .accession = "A" });
    CHECK(mark_changes(s, TIME_1, &one));
    CHECK_INT(one.rows, 1);
    add(s, (struct ask){ .mrn = "2", .accession = "B", .time = "2024-01-01" });
    CHECK(!mark_changes(s, TIME_1, &one) && mark_changes(s, "2024-01-01", &other));
    move_to(s, 1, STUDY_HELD);
    CHECK(mark_changes(s, TIME_1, &one) && !mark_changes(s, "2024-01-01", &other));
    add(s, (struct ask){ .mrn = "1", .accession = "A", .procedure = 9 }); /* a second request of the same study */
    CHECK(mark_changes(s, TIME_1, &one) && !mark_changes(s, "2024-01-01", &other));
    add(s, (struct ask){ .mrn = "1", .accession = "A", .procedure = 9 }); /* the very same */
    CHECK(!mark_changes(s, TIME_1, &one));
    store_close(s);
}

static void add_to_text(void *ctx, int64_t procedure, struct phi_text mrn)
{
    (void)buf_addf(ctx, "%lld:%.*s ", (long long)procedure, STR_ARG(phi_reveal(mrn)));
}

static void test_each_procedure__of_one_extract_with_its_patients(void)
{
    static const struct {
        const char *project, *time, *want;
    } rows[] = {
        { "p", TIME_1, "7:1 7:2 8:1 " }, { "p", "2024-01-01", "7:3 " }, { "q", TIME_1, "9:1 " },
        { "q", "2024-01-01", "" },       { "nobody", TIME_1, "" },
    };
    struct store *s = open_store();
    struct pixl_error err = { 0 };
    add(s, (struct ask){ .mrn = "1", .accession = "A", .procedure = 7 });
    add(s, (struct ask){ .mrn = "2", .accession = "B", .procedure = 7 });
    add(s, (struct ask){ .mrn = "1", .accession = "A", .procedure = 8 });
    add(s, (struct ask){ .mrn = "3", .accession = "A", .procedure = 7, .time = "2024-01-01" });
    add(s, (struct ask){ .mrn = "1", .accession = "A", .procedure = 9, .project = "q" });
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        buf_auto text;
        buf_init(&text, 1000);
        test_row("%s of %s", rows[i].time, rows[i].project);
        CHECK_OK(store_each_procedure(s, str_of(rows[i].project), str_of(rows[i].time), add_to_text, &text, &err), err);
        CHECK_INT(buf_str(&text).n, strlen(rows[i].want));
        for (const char *w = rows[i].want; *w != '\0'; w = strchr(w, ' ') + 1) { /* in no order */
            char word[16];
            (void)snprintf(word, sizeof word, "%.*s", (int)(strchr(w, ' ') + 1 - w), w);
            CHECK(strstr(buf_cstr(&text), word) != NULL);
        }
    }
    store_close(s);
}

static void test_open_empty__is_a_store_like_any_other_and_nowhere(void)
{
    struct pixl_error err = { 0 };
    for (int i = 0; i < 2; i++) {
        struct store *s = NULL;
        REQUIRE_OK(store_open_empty(&s, &err), err);
        CHECK_INT(count_of(s).requests, 0);
        CHECK_INT(add(s, (struct ask){ .mrn = "1", .accession = "A" }), STORE_ADDED_IMAGE);
        CHECK_INT(add(s, (struct ask){ .mrn = "1", .accession = "A" }), STORE_KNOWN);
        CHECK_INT(add_met(s, (struct ask){ .mrn = "1", .accession = "B" }, true, NULL), STORE_ADDED_IMAGE);
        CHECK_INT(images_in(s), 1);
        store_close(s);
    }
    CHECK(!fs_exists(":memory:") && !fs_exists(":memory:-dispatch"));
}

static void test_populate__another_participant_is_told_and_nothing_changed(void)
{
    struct store *s = open_store();
    struct store_met met = { .participant_differs = true };
    add_met(s, (struct ask){ .mrn = "1", .accession = "A", .participant = "P1" }, false, &met);
    CHECK(!met.participant_differs);
    CHECK_INT(add_met(s, (struct ask){ .mrn = "1", .accession = "A", .participant = "P2", .procedure = 2 }, false, &met),
              STORE_ADDED_REQUEST);
    CHECK(met.participant_differs);
    add_met(s, (struct ask){ .mrn = "1", .accession = "A", .participant = "P1", .procedure = 3 }, false, &met);
    CHECK(!met.participant_differs);
    CHECK_STR(image_of(s, 1).participant_id, "P1");
    store_close(s);
}

static void test_populate__a_later_request_can_raise_the_priority(void)
{
    struct store *s = open_store();
    add(s, (struct ask){ .mrn = "1", .accession = "A", .priority = 2 });
    CHECK_INT(add(s, (struct ask){ .mrn = "1", .accession = "A", .priority = 5 }), STORE_KNOWN);
    CHECK_INT(image_of(s, 1).priority, 5);
    add(s, (struct ask){ .mrn = "1", .accession = "A", .priority = 3 });
    CHECK_INT(image_of(s, 1).priority, 5);
    store_close(s);
}

/* What happens to an image in each state when a further request asks for series that it has, or has not. */
static void test_populate__more_series_reach_a_study_until_it_is_on_its_way_out(void)
{
    static const struct {
        enum study_state state, wider, covered;  /* where it is afterwards */
        enum store_added added_wider, added_covered;
    } rows[] = {
        { STUDY_QUEUED, STUDY_QUEUED, STUDY_QUEUED, STORE_ADDED_REQUEST, STORE_ADDED_REQUEST },
        { STUDY_RETRIEVING, STUDY_RETRIEVING, STUDY_RETRIEVING, STORE_ADDED_REQUEST, STORE_ADDED_REQUEST },
        { STUDY_DEIDENTIFIED, STUDY_QUEUED, STUDY_DEIDENTIFIED, STORE_ADDED_REQUEST, STORE_ADDED_REQUEST },
        { STUDY_DELIVERING, STUDY_DELIVERING, STUDY_DELIVERING, STORE_TOO_LATE, STORE_ADDED_REQUEST },
        { STUDY_EXPORTED, STUDY_EXPORTED, STUDY_EXPORTED, STORE_TOO_LATE, STORE_ADDED_REQUEST },
        { STUDY_KEPT, STUDY_KEPT, STUDY_KEPT, STORE_TOO_LATE, STORE_ADDED_REQUEST },
        { STUDY_MISSING, STUDY_QUEUED, STUDY_MISSING, STORE_ADDED_REQUEST, STORE_ADDED_REQUEST },
        { STUDY_SKIPPED, STUDY_QUEUED, STUDY_SKIPPED, STORE_ADDED_REQUEST, STORE_ADDED_REQUEST },
        { STUDY_FAILED, STUDY_QUEUED, STUDY_FAILED, STORE_ADDED_REQUEST, STORE_ADDED_REQUEST },
        { STUDY_WITHHELD, STUDY_QUEUED, STUDY_WITHHELD, STORE_ADDED_REQUEST, STORE_ADDED_REQUEST },
        { STUDY_HELD, STUDY_QUEUED, STUDY_QUEUED, STORE_REVIVED, STORE_REVIVED },
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        for (int wider = 0; wider < 3; wider++) {                /* 0: covered, 1: another series, 2: all */
            test_row("%s, %d", study_state_name(rows[i].state), wider);
            struct store *s = open_store();
            add(s, (struct ask){ .mrn = "1", .uid = "1.2", .series = "1.5\\1.7" });
            bring(s, 1, rows[i].state);
            static const char *const series[] = { "1.7", "1.6\\1.7", NULL };
            CHECK_INT(add(s, (struct ask){ .mrn = "1", .uid = "1.2", .series = series[wider], .procedure = 2 }),
                      wider ? rows[i].added_wider : rows[i].added_covered);
            struct store_image m = image_of(s, 1);
            bool in_time = !wider || rows[i].added_wider != STORE_TOO_LATE;
            CHECK_INT(m.state, wider ? rows[i].wider : rows[i].covered);
            CHECK_INT(m.series_version, wider && in_time);
            CHECK_STR(phi_reveal(m.series_uids), !wider || !in_time ? "1.5\\1.7" : wider == 1 ? "1.5\\1.6\\1.7" : "");
            CHECK_INT(count_of(s).requests, 2);
            if (m.state == STUDY_QUEUED)
                CHECK_STR(m.zip_digest, "");
            store_close(s);
        }
}

static void test_populate__a_known_request_takes_a_held_study_back(void)
{
    struct store *s = open_store();
    add(s, (struct ask){ .mrn = "1", .accession = "A" });
    bring(s, 1, STUDY_DEIDENTIFIED);
    move_to(s, 1, STUDY_HELD);
    CHECK_INT(image_of(s, 1).failed_from, STUDY_DEIDENTIFIED);
    CHECK_INT(add(s, (struct ask){ .mrn = "1", .accession = "A" }), STORE_REVIVED);
    CHECK_INT(image_of(s, 1).state, STUDY_DEIDENTIFIED);         /* its zip is there still */
    CHECK_INT(add(s, (struct ask){ .mrn = "1", .accession = "A" }), STORE_KNOWN);
    CHECK_STR(str_of(events(s, 1)), "queued()>retrieving()>deidentified()>held()>deidentified()");
    store_close(s);
}

static void test_populate__many_rows_go_in_by_several_transactions(void)
{
    const int N = is_postgres() ? 12000 : 120000;
    struct pixl_error err = { 0 };
    struct store *s = open_store();
    struct store_populate *p = NULL;
    REQUIRE_OK(store_populate_begin(s, false, &p, &err), err);
    for (int i = 0; i < N; i++) {
        char accession[16];
        (void)snprintf(accession, sizeof accession, "%d", i);
        struct ask a = { .mrn = "1", .accession = accession, .procedure = i };
        struct study_request r = request_of(&a);
        enum store_added what;
        REQUIRE_OK(store_populate_add(p, &r, T0, &what, NULL, &err), err);
        REQUIRE(what == STORE_ADDED_IMAGE);
    }
    REQUIRE_OK(store_populate_end(p, &err), err);
    CHECK_INT(images_in(s), N);
    store_close(s);
}

static void test_move__follows_the_table_of_moves(void)
{
    for (int from = 0; from < STUDY_STATE_COUNT; from++) {
        if (from == STUDY_ADOPTED)
            continue;                            /* no move leads there; see test_store_sqlite */
        for (int to = 0; to < STUDY_STATE_COUNT; to++) {
            test_row("%s to %s", study_state_name((enum study_state)from), study_state_name((enum study_state)to));
            struct pixl_error err = { 0 };
            struct store *s = open_store();
            add(s, (struct ask){ .mrn = "1", .accession = "A" });
            bring(s, 1, (enum study_state)from);
            struct store_image before = image_of(s, 1);
            struct store_move m = move_of(1, before.fence, (enum study_state)to);
            bool ok = store_move(s, &m, NULL, &err);
            /* Who works on a row owns it, and only a claim gives an owner. */
            if (study_can_move(before.state, m.to) && to != STUDY_RETRIEVING && to != STUDY_DELIVERING) {
                CHECK_OK(ok, err);
                CHECK_INT(image_of(s, 1).state, to);
            } else {
                CHECK_FAILS(ok, err, PIXL_E_INTERNAL);
                CHECK_INT(image_of(s, 1).state, from);
                CHECK_INT(image_of(s, 1).updated_us, before.updated_us);
            }
            store_close(s);
        }
    }
}

static void test_move__of_a_lost_claim_is_stale_and_changes_nothing(void)
{
    struct pixl_error err = { 0 };
    struct store *s = open_store();
    add(s, (struct ask){ .mrn = "1", .accession = "A" });
    struct store_image lost = claim(s);
    int64_t n = 0;
    CHECK_OK(store_recover_claims(s, "other", "", T0, &n, &err), err);
    struct store_image now = claim_as(s, "other", STORE_WORK_RETRIEVE, 0, true);
    CHECK_INT(now.id, 1);
    CHECK(now.fence > lost.fence);
    for (int to = 0; to < STUDY_STATE_COUNT; to++) {
        test_row("%s", study_state_name((enum study_state)to));
        struct store_move m = move_of(1, lost.fence, (enum study_state)to);
        m.pseudo_study_uid = "2.25.99";
        m.zip_digest = "d";
        m.detail = "detail";
        CHECK_FAILS(store_move(s, &m, NULL, &err), err, PIXL_E_STALE);
    }
    struct phi_text uid = phi_text(STR("1.2.3"));
    int64_t mine = 7;
    CHECK_FAILS(store_resolve(s, 1, lost.fence, &uid, 1, T0, &mine, &err), err, PIXL_E_STALE);
    CHECK_INT(mine, 7);
    struct store_image after = image_of(s, 1);
    CHECK_INT(after.state, STUDY_RETRIEVING);
    CHECK_STR(after.owner, "other");
    CHECK_STR(after.pseudo_study_uid, "");
    CHECK_STR(phi_reveal(after.found_uid), "");
    CHECK_STR(str_of(events(s, 1)), "queued()>retrieving()>queued(lease-lost)>retrieving()");
    struct store_move m = move_of(99, 1, STUDY_MISSING);
    CHECK_FAILS(store_move(s, &m, NULL, &err), err, PIXL_E_NOT_FOUND);
    store_close(s);
}

static void test_move__writes_what_it_names_and_nothing_else(void)
{
    struct pixl_error err = { 0 };
    struct store *s = open_store();
    add(s, (struct ask){ .mrn = "1", .accession = "A" });
    struct store_image m = claim(s);
    struct store_move back = move_of(1, m.fence, STUDY_QUEUED);
    back.count_attempt = true;
    back.reason = STUDY_WHY_SPOOL_ERROR;
    back.detail = "no_space";
    CHECK_OK(store_move(s, &back, NULL, &err), err);
    m = image_of(s, 1);
    CHECK_INT(m.attempts, 1);
    CHECK_INT(m.reason, STUDY_WHY_SPOOL_ERROR);
    CHECK_STR(m.detail, "no_space");
    CHECK_INT(claim(s).fence, 2);
    struct store_move done = move_of(1, 2, STUDY_DEIDENTIFIED);
    done.pseudo_study_uid = "2.25.1";
    done.zip_digest = "abc";
    done.zip_bytes = 0;
    done.instances_found = 9;
    done.instances_delivered = 5;
    done.instances_skipped = 4;
    CHECK_OK(store_move(s, &done, NULL, &err), err);
    CHECK_INT(claim_as(s, ME, STORE_WORK_DELIVER, 0, false).id, 1);
    struct store_move fail = move_of(1, 3, STUDY_FAILED);
    fail.reason = STUDY_WHY_DELIVERY_ERROR;
    CHECK_OK(store_move(s, &fail, NULL, &err), err);
    m = image_of(s, 1);
    CHECK_INT(m.failed_from, STUDY_DELIVERING);
    CHECK_INT(m.attempts, 1);
    CHECK_STR(m.detail, "");
    CHECK_STR(m.pseudo_study_uid, "2.25.1");
    CHECK_STR(m.zip_digest, "abc");
    CHECK_INT(m.instances_found * 100 + m.instances_delivered * 10 + m.instances_skipped, 954);
    CHECK_INT(m.exported_us, 0);
    int64_t n = 0, id = 1;
    CHECK_OK(store_retry(s, NULL, &id, 1, T0, &n, &err), err);
    CHECK_INT(image_of(s, 1).failed_from, STUDY_QUEUED);
    CHECK_INT(claim_as(s, ME, STORE_WORK_DELIVER, 0, false).id, 1);
    struct store_move exported = move_of(1, image_of(s, 1).fence, STUDY_EXPORTED);
    exported.now_us = T0 + 55;
    exported.not_before_us = T0 + 99;
    CHECK_OK(store_move(s, &exported, NULL, &err), err);
    m = image_of(s, 1);
    CHECK_INT(m.exported_us, T0 + 55);
    CHECK_INT(m.not_before_us, 0);                               /* nothing is due in an end state */
    CHECK_INT(m.updated_us, T0 + 55);
    CHECK_STR(m.owner, "");
    CHECK_INT(m.lease_until_us, 0);
    store_close(s);
}

static void check_skipped(struct store *s, int64_t id, int64_t modality, int64_t too_few)
{
    struct pixl_error err = { 0 };
    int64_t by[STUDY_REASON_COUNT], sum = 0;
    REQUIRE_OK(store_get_skipped(s, id, by, &err), err);
    for (size_t i = 0; i < STUDY_REASON_COUNT; i++)
        sum += by[i];
    CHECK_INT(by[STUDY_WHY_MODALITY], modality);
    CHECK_INT(by[STUDY_WHY_TOO_FEW_INSTANCES], too_few);
    CHECK_INT(sum, modality + too_few);
}

static void move_skipping(struct store *s, int64_t id, enum study_state to, int64_t modality, int64_t too_few)
{
    struct pixl_error err = { 0 };
    const int64_t by[STUDY_REASON_COUNT] = { [STUDY_WHY_MODALITY] = modality, [STUDY_WHY_TOO_FEW_INSTANCES] = too_few };
    struct store_move m = move_of(id, image_of(s, id).fence, to);
    m.instances_found = m.instances_skipped = modality + too_few;
    m.skipped_by = by;
    REQUIRE_OK(store_move(s, &m, NULL, &err), err);
}

/* What the last attempt left out, by reason, of each study and of all. */
static void test_move__notes_why_instances_were_left_out(void)
{
    struct pixl_error err = { 0 };
    struct store *s = open_store();
    for (int i = 1; i <= 2; i++) {
        add(s, (struct ask){ .mrn = i == 1 ? "1" : "2", .accession = "A", .project = i == 1 ? "p" : "q" });
        check_skipped(s, i, 0, 0);
        CHECK_INT(claim(s).id, i);
        move_skipping(s, i, STUDY_SKIPPED, 3, i);
    }
    check_skipped(s, 1, 3, 1);
    check_skipped(s, 2, 3, 2);
    check_skipped(s, 99, 0, 0);
    struct store_counts c = count_of(s);
    CHECK_INT(c.skipped_by[STUDY_WHY_MODALITY], 6);
    CHECK_INT(c.skipped_by[STUDY_WHY_TOO_FEW_INSTANCES], 3);
    CHECK_INT(c.instances_skipped, 9);
    REQUIRE_OK(store_count(s, STR("q"), &c, &err), err);
    CHECK_INT(c.skipped_by[STUDY_WHY_MODALITY] * 10 + c.skipped_by[STUDY_WHY_TOO_FEW_INSTANCES], 32);

    /* Another attempt: what it finds takes their place; a move that names none, or that fails, leaves them. */
    int64_t n = 0, id = 1;
    CHECK_OK(store_retry(s, NULL, &id, 1, T0, &n, &err), err);
    check_skipped(s, 1, 3, 1);
    struct store_image m = claim(s);
    const int64_t other[STUDY_REASON_COUNT] = { [STUDY_WHY_RESIDUE] = 1 };
    struct store_move stale = move_of(1, m.fence - 1, STUDY_FAILED);
    stale.instances_skipped = 1;
    stale.skipped_by = other;
    CHECK_FAILS(store_move(s, &stale, NULL, &err), err, PIXL_E_STALE);
    check_skipped(s, 1, 3, 1);
    move_skipping(s, 1, STUDY_DEIDENTIFIED, 0, 5);
    check_skipped(s, 1, 0, 5);
    CHECK_INT(claim_as(s, ME, STORE_WORK_DELIVER, 0, false).id, 1);
    move_to(s, 1, STUDY_EXPORTED);
    check_skipped(s, 1, 0, 5);
    check_skipped(s, 2, 3, 2);
    store_close(s);
}

static void test_move__after_widening_the_work_begins_anew(void)
{
    static const enum study_state to[] = { STUDY_DEIDENTIFIED, STUDY_SKIPPED };
    for (size_t i = 0; i < ARRAY_LEN(to); i++) {
        test_row("%s", study_state_name(to[i]));
        struct pixl_error err = { 0 };
        struct store *s = open_store();
        add(s, (struct ask){ .mrn = "1", .uid = "1.2", .series = "1.5" });
        struct store_image m = claim(s);
        add(s, (struct ask){ .mrn = "1", .uid = "1.2", .series = "1.6", .procedure = 2 });
        struct store_move move = move_of(1, m.fence, to[i]);
        move.series_version = m.series_version;
        move.zip_digest = "abc";
        bool widened = false;
        CHECK_OK(store_move(s, &move, &widened, &err), err);
        CHECK(widened);
        m = image_of(s, 1);
        CHECK_INT(m.state, STUDY_QUEUED);
        CHECK_STR(m.zip_digest, "");
        m = claim(s);
        CHECK_STR(phi_reveal(m.series_uids), "1.5\\1.6");
        move = move_of(1, m.fence, to[i]);
        move.series_version = m.series_version;
        CHECK_OK(store_move(s, &move, &widened, &err), err);
        CHECK(!widened);
        CHECK_INT(image_of(s, 1).state, to[i]);
        store_close(s);
    }
}

static void test_move__two_studies_cannot_share_a_pseudo_uid(void)
{
    struct pixl_error err = { 0 };
    struct store *s = open_store();
    add(s, (struct ask){ .mrn = "CANARYMRN", .accession = "A" });
    add(s, (struct ask){ .mrn = "CANARYMRN", .accession = "B" });
    for (int64_t id = 1; id <= 2; id++) {
        struct store_image m = claim(s);
        struct store_move done = move_of(id, m.fence, STUDY_DEIDENTIFIED);
        done.pseudo_study_uid = "2.25.77";
        bool ok = store_move(s, &done, NULL, &err);
        CHECK(strstr(err.msg, "CANARY") == NULL && strstr(err.msg, "2.25") == NULL);
        if (id == 1)
            CHECK_OK(ok, err);
        else
            CHECK_FAILS(ok, err, PIXL_E_EXISTS);
    }
    CHECK_INT(image_of(s, 2).state, STUDY_RETRIEVING);
    store_close(s);
}

/* --- retry ----------------------------------------------------------------------------------------------------- */

static void test_retry__takes_rows_back_to_where_work_is_left(void)
{
    static const struct { enum study_state state; bool drop_zip; enum study_state want; } rows[] = {
        { STUDY_QUEUED, false, STUDY_QUEUED },
        { STUDY_RETRIEVING, false, STUDY_RETRIEVING },
        { STUDY_DEIDENTIFIED, false, STUDY_DEIDENTIFIED },
        { STUDY_DELIVERING, false, STUDY_DELIVERING },
        { STUDY_EXPORTED, false, STUDY_EXPORTED },
        { STUDY_KEPT, false, STUDY_KEPT },
        { STUDY_MISSING, false, STUDY_QUEUED },
        { STUDY_SKIPPED, false, STUDY_QUEUED },
        { STUDY_FAILED, false, STUDY_QUEUED },
        { STUDY_WITHHELD, false, STUDY_QUEUED },
        { STUDY_HELD, false, STUDY_QUEUED },
        { STUDY_STATE_COUNT, false, STUDY_DEIDENTIFIED },
        { STUDY_STATE_COUNT, true, STUDY_QUEUED }, /* failed delivering */
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        for (int by_number = 0; by_number < 2; by_number++) {
            bool delivery = rows[i].state == STUDY_STATE_COUNT;
            test_row("%s %d", delivery ? "failed delivery" : study_state_name(rows[i].state), by_number);
            struct pixl_error err = { 0 };
            struct store *s = open_store();
            add(s, (struct ask){ .mrn = "1", .accession = "A" });
            bring(s, 1, delivery ? STUDY_DELIVERING : rows[i].state);
            if (delivery) {
                struct store_move m = move_of(1, image_of(s, 1).fence, STUDY_FAILED);
                m.zip_digest = rows[i].drop_zip ? "" : NULL;
                m.count_attempt = true;
                CHECK_OK(store_move(s, &m, NULL, &err), err);
            }
            struct store_image before = image_of(s, 1);
            struct store_filter f = { .states = (1u << STUDY_STATE_COUNT) - 1 };
            int64_t n = -1, id = 1;
            CHECK_OK(store_retry(s, &f, by_number ? &id : NULL, 1, T0, &n, &err), err);
            struct store_image after = image_of(s, 1);
            CHECK_INT(after.state, rows[i].want);
            CHECK_INT(n, before.state != rows[i].want);
            if (n == 1) {
                CHECK(after.fence > before.fence);
                CHECK_INT(after.attempts + after.crashes, 0);
                CHECK_INT(after.reason, STUDY_WHY_NONE);
            }
            store_close(s);
        }
}

static void test_retry__keeps_to_its_filter(void)
{
    struct pixl_error err = { 0 };
    struct store *s = open_store();
    static const char *const projects[] = { "p", "p", "q", "q" };
    for (int64_t i = 0; i < 4; i++) {
        char accession[32];
        (void)snprintf(accession, sizeof accession, "A%lld", (long long)i);
        add(s, (struct ask){ .project = projects[i], .mrn = "1", .accession = accession });
        bring(s, i + 1, i % 2 ? STUDY_MISSING : STUDY_FAILED);
    }
    int64_t n = -1;
    struct store_filter f = { .project = STR("q"), .states = 1u << STUDY_FAILED };
    CHECK_OK(store_retry(s, &f, NULL, 0, T0, &n, &err), err);
    CHECK_INT(n, 1);
    CHECK_INT(image_of(s, 3).state, STUDY_QUEUED);
    f.project = STR("nobody");
    CHECK_OK(store_retry(s, &f, NULL, 0, T0, &n, &err), err);
    CHECK_INT(n, 0);
    f = (struct store_filter){ .states = 1u << STUDY_FAILED | 1u << STUDY_MISSING };
    CHECK_OK(store_retry(s, &f, NULL, 0, T0, &n, &err), err);
    CHECK_INT(n, 3);
    CHECK_INT(count_of(s).by_state[STUDY_QUEUED], 4);
    int64_t unknown = 99;
    CHECK_FAILS(store_retry(s, NULL, &unknown, 1, T0, &n, &err), err, PIXL_E_NOT_FOUND);
    store_close(s);
}

int main(int argc, char **argv)
{
    static const struct test_case tests[] = {
        TEST(test_store__addresses_without_a_backend_are_invalid),
        TEST(test_populate__rows_meet_the_studies_that_are_there),
        TEST(test_populate__an_image_holds_what_was_asked),
        TEST(test_populate__a_dry_run_tells_and_changes_nothing),
        TEST(test_mark_extract__follows_its_own_studies_alone),
        TEST(test_each_procedure__of_one_extract_with_its_patients),
        TEST(test_open_empty__is_a_store_like_any_other_and_nowhere),
        TEST(test_populate__another_participant_is_told_and_nothing_changed),
        TEST(test_populate__a_later_request_can_raise_the_priority),
        TEST(test_populate__more_series_reach_a_study_until_it_is_on_its_way_out),
        TEST(test_populate__a_known_request_takes_a_held_study_back),
        TEST(test_populate__many_rows_go_in_by_several_transactions),
        TEST(test_move__follows_the_table_of_moves),
        TEST(test_move__of_a_lost_claim_is_stale_and_changes_nothing),
        TEST(test_move__writes_what_it_names_and_nothing_else),
        TEST(test_move__notes_why_instances_were_left_out),
        TEST(test_move__after_widening_the_work_begins_anew),
        TEST(test_move__two_studies_cannot_share_a_pseudo_uid),
        TEST(test_retry__takes_rows_back_to_where_work_is_left),
        TEST(test_retry__keeps_to_its_filter),
    };
    return test_main(argc, argv, tests, ARRAY_LEN(tests));
}
