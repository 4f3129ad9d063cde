#include "pipeline/settle.h"

#include "pipeline/spool.h"
#include "site_rig.h"
#include "store/store.h"

#define ROW(n) #n ",MRN" #n ",ACC" #n ",rig,2023-12-07T14:08:58Z,2020-05-23,1.2.3." #n ",,\n"
#define UID "2.25.77"
#define NOW INT64_C(1000)
#define HOLD INT64_C(5000)
#define S INT64_C(1000000)

static struct pixl_error err;

static const char *spooled(struct site_rig *r, const char *uid)
{
    const char *path = NULL;
    REQUIRE_OK(spool_path(r->site, STR(RIG_PROJECT), uid, &r->arena, &path, &err), err);
    return path;
}

static void put_zip(struct site_rig *r, const char *uid)
{
    REQUIRE_OK(fs_write_whole(spooled(r, uid), STR("zip"), 0600, &err), err);
}

static struct extract_result deidentified(const char *uid)
{
    struct extract_result r = { .outcome = STUDY_OUT_DEIDENTIFIED,
                                .zip_bytes = 3,
                                .found = 3,
                                .delivered = 2,
                                .skipped = 1,
                                .skipped_by = { [STUDY_WHY_MODALITY] = 1 } };
    (void)snprintf(r.pseudo_study_uid, sizeof r.pseudo_study_uid, "%s", uid);
    memset(r.zip_digest, 'a', 64);
    return r;
}

/* One row, claimed for the work that leads from that state, after so many counted attempts. */
static struct store_image claimed(struct site_rig *r, enum study_state state, int attempts)
{
    struct store_image image;
    for (int i = 0; i < attempts; i++) {
        const struct extract_result again = { .outcome = STUDY_OUT_RETRY, .reason = STUDY_WHY_ARCHIVE_ERROR };
        REQUIRE(rig_claim(r, STORE_WORK_RETRIEVE, &image));
        CHECK_INT(rig_settle(r, &image, &again).state, STUDY_QUEUED);
    }
    REQUIRE(rig_claim(r, STORE_WORK_RETRIEVE, &image));
    if (state == STUDY_DELIVERING) {
        const struct extract_result done = deidentified(UID);
        CHECK_INT(rig_settle(r, &image, &done).state, STUDY_DEIDENTIFIED);
        REQUIRE(rig_claim(r, STORE_WORK_DELIVER, &image));
    }
    CHECK_INT(image.state, state);
    CHECK_INT(image.attempts, attempts);
    return image;
}

/* --- every pair of state and outcome ---------------------------------------------------------------------------- */

enum due { AT_ONCE, AFTER_HOLD, AFTER_PAUSE };
struct pair {
    const char *name;
    enum study_state at;
    enum study_outcome outcome;
    enum study_reason reason;            /* as the attempt says it */
    int attempts;                        /* used before; 2 are allowed */
    bool zip_lost;
    enum study_state want;
    enum study_reason want_reason;
    int want_attempts;
    enum due due;
    bool zip_stays;
};
/* A move that no attempt of this kind can ask for is refused, and the row stays claimed. */
#define REFUSED STUDY_STATE_COUNT

static const struct pair pairs[] = {
    { "retrieved", STUDY_RETRIEVING, STUDY_OUT_DEIDENTIFIED, STUDY_WHY_NONE, 0, false, STUDY_DEIDENTIFIED, STUDY_WHY_NONE, 0, AT_ONCE, true },
    { "retrieved at the second attempt", STUDY_RETRIEVING, STUDY_OUT_DEIDENTIFIED, STUDY_WHY_NONE, 1, false, STUDY_DEIDENTIFIED, STUDY_WHY_NONE,
      1, AT_ONCE, true },
    { "retrieval: exported", STUDY_RETRIEVING, STUDY_OUT_EXPORTED, STUDY_WHY_NONE, 0, false, REFUSED, STUDY_WHY_NONE, 0, AT_ONCE, true },
    { "retrieval: kept", STUDY_RETRIEVING, STUDY_OUT_KEPT, STUDY_WHY_NONE, 0, false, REFUSED, STUDY_WHY_NONE, 0, AT_ONCE, true },
    { "missing", STUDY_RETRIEVING, STUDY_OUT_MISSING, STUDY_WHY_NOT_IN_ARCHIVE, 0, false, STUDY_MISSING, STUDY_WHY_NOT_IN_ARCHIVE, 0, AT_ONCE,
      true },
    { "skipped", STUDY_RETRIEVING, STUDY_OUT_SKIPPED, STUDY_WHY_MODALITY, 0, false, STUDY_SKIPPED, STUDY_WHY_MODALITY, 0, AT_ONCE, true },
    { "withheld", STUDY_RETRIEVING, STUDY_OUT_WITHHELD, STUDY_WHY_RESIDUE, 0, false, STUDY_WITHHELD, STUDY_WHY_RESIDUE, 0, AT_ONCE, false },
    { "failed", STUDY_RETRIEVING, STUDY_OUT_FAILED, STUDY_WHY_TOO_LARGE, 0, false, STUDY_FAILED, STUDY_WHY_TOO_LARGE, 0, AT_ONCE, true },
    { "again", STUDY_RETRIEVING, STUDY_OUT_RETRY, STUDY_WHY_ARCHIVE_ERROR, 0, false, STUDY_QUEUED, STUDY_WHY_ARCHIVE_ERROR, 1, AFTER_PAUSE,
      true },
    { "again, used up", STUDY_RETRIEVING, STUDY_OUT_RETRY, STUDY_WHY_ARCHIVE_ERROR, 1, false, STUDY_FAILED, STUDY_WHY_ARCHIVE_ERROR, 2, AT_ONCE,
      true },
    { "unavailable", STUDY_RETRIEVING, STUDY_OUT_UNAVAILABLE, STUDY_WHY_ARCHIVE_ERROR, 0, false, STUDY_QUEUED, STUDY_WHY_UNAVAILABLE, 0,
      AFTER_HOLD, true },
    { "unavailable uses nothing up", STUDY_RETRIEVING, STUDY_OUT_UNAVAILABLE, STUDY_WHY_ARCHIVE_ERROR, 1, false, STUDY_QUEUED,
      STUDY_WHY_UNAVAILABLE, 1, AFTER_HOLD, true },
    { "lost", STUDY_RETRIEVING, STUDY_OUT_LOST, STUDY_WHY_SAME_STUDY, 0, false, STUDY_RETRIEVING, STUDY_WHY_NONE, 0, AT_ONCE, true },
    { "cancelled", STUDY_RETRIEVING, STUDY_OUT_CANCELLED, STUDY_WHY_STOPPED, 1, false, STUDY_QUEUED, STUDY_WHY_STOPPED, 1, AT_ONCE, true },

    { "delivery: deidentified", STUDY_DELIVERING, STUDY_OUT_DEIDENTIFIED, STUDY_WHY_NONE, 0, false, STUDY_DEIDENTIFIED, STUDY_WHY_NONE, 0,
      AT_ONCE, true },
    { "delivered", STUDY_DELIVERING, STUDY_OUT_EXPORTED, STUDY_WHY_NONE, 0, false, STUDY_EXPORTED, STUDY_WHY_NONE, 0, AT_ONCE, false },
    { "kept", STUDY_DELIVERING, STUDY_OUT_KEPT, STUDY_WHY_NONE, 0, false, STUDY_KEPT, STUDY_WHY_NONE, 0, AT_ONCE, true },
    { "delivery: missing", STUDY_DELIVERING, STUDY_OUT_MISSING, STUDY_WHY_NOT_IN_ARCHIVE, 0, false, REFUSED, STUDY_WHY_NONE, 0, AT_ONCE, true },
    { "delivery: skipped", STUDY_DELIVERING, STUDY_OUT_SKIPPED, STUDY_WHY_MODALITY, 0, false, REFUSED, STUDY_WHY_NONE, 0, AT_ONCE, true },
    { "delivery: withheld", STUDY_DELIVERING, STUDY_OUT_WITHHELD, STUDY_WHY_RESIDUE, 0, false, REFUSED, STUDY_WHY_NONE, 0, AT_ONCE, false },
    { "delivery failed", STUDY_DELIVERING, STUDY_OUT_FAILED, STUDY_WHY_DELIVERY_ERROR, 0, false, STUDY_FAILED, STUDY_WHY_DELIVERY_ERROR, 0,
      AT_ONCE, true },
    { "delivery again", STUDY_DELIVERING, STUDY_OUT_RETRY, STUDY_WHY_DELIVERY_ERROR, 0, false, STUDY_DEIDENTIFIED, STUDY_WHY_DELIVERY_ERROR, 1,
      AFTER_PAUSE, true },
    { "delivery again, used up", STUDY_DELIVERING, STUDY_OUT_RETRY, STUDY_WHY_DELIVERY_ERROR, 1, false, STUDY_FAILED, STUDY_WHY_DELIVERY_ERROR,
      2, AT_ONCE, true },
    { "delivery again, zip lost", STUDY_DELIVERING, STUDY_OUT_RETRY, STUDY_WHY_SPOOL_ERROR, 0, true, STUDY_QUEUED, STUDY_WHY_SPOOL_ERROR, 1,
      AFTER_PAUSE, false },
    { "destination unavailable", STUDY_DELIVERING, STUDY_OUT_UNAVAILABLE, STUDY_WHY_DELIVERY_ERROR, 1, false, STUDY_DEIDENTIFIED,
      STUDY_WHY_UNAVAILABLE, 1, AFTER_HOLD, true },
    { "delivery: lost", STUDY_DELIVERING, STUDY_OUT_LOST, STUDY_WHY_NONE, 0, false, STUDY_DELIVERING, STUDY_WHY_NONE, 0, AT_ONCE, true },
    { "delivery cancelled", STUDY_DELIVERING, STUDY_OUT_CANCELLED, STUDY_WHY_STOPPED, 0, false, STUDY_DEIDENTIFIED, STUDY_WHY_STOPPED, 0,
      AT_ONCE, true },
};

static void check_due(const struct store_image *now, enum due due)
{
    int64_t wait = now->not_before_us - NOW;
    switch (due) {
    case AT_ONCE:     CHECK(now->not_before_us <= NOW);        break;
    case AFTER_HOLD:  CHECK_INT(wait, HOLD);                   break;
    case AFTER_PAUSE: CHECK(wait > 0 && wait <= 600 * S);      break;
    }
}

static void check_pair(struct site_rig *r, const struct pair *p)
{
    const struct store_image image = claimed(r, p->at, p->attempts);
    struct extract_result result = deidentified(UID);
    struct settled s = { 0 };
    result.outcome = p->outcome;
    result.reason = p->reason;
    result.zip_lost = p->zip_lost;
    put_zip(r, UID);
    bool ok = settle(r->site, &image, &result, NOW, HOLD, &s, &err);
    if (p->want == REFUSED)
        CHECK_FAILS(ok, err, PIXL_E_INTERNAL);
    else
        CHECK_OK(ok, err);
    const struct store_image now = rig_image(r, image.id);
    CHECK_INT(now.state, p->want == REFUSED ? p->at : p->want);
    CHECK_INT(now.attempts, p->want_attempts);
    CHECK_INT(now.crashes, 0);
    CHECK(fs_exists(spooled(r, UID)) == p->zip_stays);
    CHECK_INT(s.lost, p->outcome == STUDY_OUT_LOST);
    if (p->want == REFUSED || s.lost) {
        CHECK_INT(now.fence, image.fence);
        return;
    }
    CHECK_INT(s.state, p->want);
    CHECK_INT(now.reason, p->want_reason);
    CHECK((now.exported_us != 0) == (p->want == STUDY_EXPORTED));
    check_due(&now, p->due);
    if (p->at == STUDY_RETRIEVING) {
        CHECK_INT(now.instances_found, 3);
        CHECK_INT(now.instances_delivered, p->outcome == STUDY_OUT_DEIDENTIFIED ? 2 : 0);
        CHECK_INT(now.instances_skipped, 1);
    }
    if (p->want == STUDY_DEIDENTIFIED) {
        CHECK_STR(now.pseudo_study_uid, UID);
        CHECK_INT(now.zip_bytes, 3);
    }
}

static void test_settle__every_pair_of_state_and_outcome(void)
{
    bool seen[2][STUDY_OUT_CANCELLED + 1] = { 0 };
    rig_folders("");
    for (size_t i = 0; i < ARRAY_LEN(pairs); i++) {
        struct site_rig r;
        test_row("%s", pairs[i].name);
        rig_open(&r, "PIXL_MAX_ATTEMPTS=2");
        rig_populate(&r, ROW(1));
        check_pair(&r, &pairs[i]);
        seen[pairs[i].at == STUDY_DELIVERING][pairs[i].outcome] = true;
        rig_close(&r);
        REQUIRE_OK(fs_remove_tree(test_path("state"), &err), err);
        REQUIRE_OK(fs_remove(test_path("haven/rig/.pixl-key"), &err), err);
    }
    for (size_t at = 0; at < 2; at++)
        for (size_t o = 0; o <= STUDY_OUT_CANCELLED; o++) {
            test_row("state %zu, outcome %zu", at, o);
            CHECK(seen[at][o]);
        }
}

/* --- claims that are another's -------------------------------------------------------------------------------------- */

static void test_settle__a_stale_claim_changes_nothing(void)
{
    static const enum study_state at[] = { STUDY_RETRIEVING, STUDY_DELIVERING };
    rig_folders("");
    struct site_rig r;
    rig_open(&r, NULL);
    rig_populate(&r, ROW(1) ROW(2));
    for (size_t i = 0; i < ARRAY_LEN(at); i++) {
        const struct store_image mine = claimed(&r, at[i], 0);
        int64_t n;
        REQUIRE_OK(store_recover_claims(site_store(r.site), "another", "", NOW, &n, &err), err);
        CHECK_INT(n, 1);
        const struct store_image before = rig_image(&r, mine.id);
        for (enum study_outcome o = 0; o <= STUDY_OUT_CANCELLED; o++) {
            struct extract_result result = deidentified(UID);
            test_row("%s, outcome %d", study_state_name(at[i]), (int)o);
            result.outcome = o;
            put_zip(&r, UID);
            if (!study_can_move(at[i], STUDY_EXPORTED) && (o == STUDY_OUT_EXPORTED || o == STUDY_OUT_KEPT))
                continue;                            /* a move that is refused for itself */
            if (at[i] == STUDY_DELIVERING && (o == STUDY_OUT_MISSING || o == STUDY_OUT_SKIPPED || o == STUDY_OUT_WITHHELD))
                continue;
            const struct settled s = rig_settle(&r, &mine, &result);
            CHECK(s.lost);
            const struct store_image now = rig_image(&r, mine.id);
            CHECK_INT(now.state, before.state);
            CHECK_INT(now.fence, before.fence);
            CHECK_INT(now.attempts, before.attempts);
            CHECK_INT(now.reason, before.reason);
            CHECK(o == STUDY_OUT_WITHHELD || fs_exists(spooled(&r, UID)));
        }
        /* The row's true owner goes on. */
        struct store_image theirs;
        const struct store_claim c = { .work = at[i] == STUDY_RETRIEVING ? STORE_WORK_RETRIEVE : STORE_WORK_DELIVER, .owner = "another",
                                       .now_us = INT64_MAX / 2, .lease_us = S, .suspects = at[i] == STUDY_RETRIEVING,
                                       .spool = str_of(site_spool(r.site)) };
        bool got;
        REQUIRE_OK(store_claim_next(site_store(r.site), &c, &r.arena, &got, &theirs, &err), err);
        REQUIRE(got && theirs.id == mine.id);
        const struct extract_result end = { .outcome = STUDY_OUT_FAILED, .reason = STUDY_WHY_TOO_LARGE };
        CHECK(!rig_settle(&r, &theirs, &end).lost);
    }
    rig_close(&r);
}

/* The connection went after the store had committed: what is settled again is settled, and nobody stops for it. */
static void test_settle__a_move_whose_answer_was_lost_is_made(void)
{
    static const struct {
        enum study_state at;
        enum study_outcome outcome;
        enum study_state want;
    } rows[] = {
        { STUDY_DELIVERING, STUDY_OUT_EXPORTED, STUDY_EXPORTED },
        { STUDY_DELIVERING, STUDY_OUT_UNAVAILABLE, STUDY_DEIDENTIFIED },
        { STUDY_RETRIEVING, STUDY_OUT_UNAVAILABLE, STUDY_QUEUED },
        { STUDY_RETRIEVING, STUDY_OUT_FAILED, STUDY_FAILED },
    };
    rig_folders("");
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct site_rig r;
        struct settled s;
        test_row("%s", study_state_name(rows[i].want));
        rig_open(&r, NULL);
        rig_populate(&r, ROW(1));
        struct store_image image = claimed(&r, rows[i].at, 0);
        struct extract_result done = { .outcome = rows[i].outcome };
        (void)snprintf(done.pseudo_study_uid, sizeof done.pseudo_study_uid, "%s", UID);
        CHECK_INT(rig_settle(&r, &image, &done).state, rows[i].want);
        put_zip(&r, UID);
        REQUIRE_OK(settle(r.site, &image, &done, NOW, HOLD, &s, &err), err);
        CHECK(!s.lost);
        CHECK_INT(s.state, rows[i].want);
        CHECK(fs_exists(spooled(&r, UID)) == (rows[i].want != STUDY_EXPORTED));
        rig_close(&r);
        REQUIRE_OK(fs_remove_tree(test_path("state"), &err), err);
        REQUIRE_OK(fs_remove(test_path("haven/rig/.pixl-key"), &err), err);
    }
}

/* A child settled the study and died of something else then: what its parent says of it is about a claim that has ended. */
static void test_settle__what_was_settled_is_not_settled_otherwise(void)
{
    rig_folders("");
    struct site_rig r;
    rig_open(&r, NULL);
    rig_populate(&r, ROW(1));
    const struct store_image image = claimed(&r, STUDY_RETRIEVING, 0);
    struct extract_result done = deidentified(UID);
    put_zip(&r, UID);
    CHECK_INT(rig_settle(&r, &image, &done).state, STUDY_DEIDENTIFIED);
    const struct extract_result crashed = { .outcome = STUDY_OUT_FAILED, .reason = STUDY_WHY_CRASHED };
    CHECK(rig_settle(&r, &image, &crashed).lost);
    CHECK_INT(rig_image(&r, image.id).state, STUDY_DEIDENTIFIED);
    CHECK(fs_exists(spooled(&r, UID)));
    rig_close(&r);
}

static void test_settle__series_added_meanwhile_send_it_back(void)
{
#define SERIES_ROW(n, series) #n ",MRN1,ACC1,rig,2023-12-07T14:08:58Z,2020-05-23,1.2.3.1,," series "\n"
    static const enum study_outcome outcomes[] = { STUDY_OUT_DEIDENTIFIED, STUDY_OUT_SKIPPED, STUDY_OUT_MISSING };
    rig_folders("");
    struct site_rig r;
    rig_open(&r, NULL);
    static const char *const rows[] = { SERIES_ROW(1, "1.2.3.1.1"), SERIES_ROW(2, "1.2.3.1.2"), SERIES_ROW(3, "1.2.3.1.3"),
                                        SERIES_ROW(4, "1.2.3.1.4") };
    rig_populate(&r, rows[0]);
    for (size_t i = 0; i < ARRAY_LEN(outcomes); i++) {
        const struct store_image image = claimed(&r, STUDY_RETRIEVING, 0);
        rig_populate(&r, rows[i + 1]);
        struct extract_result result = deidentified(UID);
        result.outcome = outcomes[i];
        put_zip(&r, UID);
        test_row("outcome %d", (int)outcomes[i]);
        const struct settled s = rig_settle(&r, &image, &result);
        const bool compares = outcomes[i] != STUDY_OUT_MISSING;          /* a study that is not there lacks the new series as well */
        CHECK_INT(s.state, compares ? STUDY_QUEUED : STUDY_MISSING);
        const struct store_image now = rig_image(&r, image.id);
        CHECK_INT(now.state, s.state);
        CHECK_INT(now.attempts, 0);
        CHECK(now.series_version > image.series_version);
    }
    rig_close(&r);
}

/* --- moves that the store cannot take --------------------------------------------------------------------------------- */

static void test_settle__a_shared_pseudonym_fails_one_study_only(void)
{
    rig_folders("");
    struct site_rig r;
    struct store_image first, second;
    rig_open(&r, NULL);
    rig_populate(&r, ROW(1) ROW(2));
    REQUIRE(rig_claim(&r, STORE_WORK_RETRIEVE, &first) && rig_claim(&r, STORE_WORK_RETRIEVE, &second));
    const struct extract_result done = deidentified(UID);
    put_zip(&r, UID);
    CHECK_INT(rig_settle(&r, &first, &done).state, STUDY_DEIDENTIFIED);
    CHECK_INT(rig_settle(&r, &second, &done).state, STUDY_FAILED);
    const struct store_image now = rig_image(&r, second.id);
    CHECK_INT(now.reason, STUDY_WHY_DEIDENTIFY_ERROR);
    CHECK_STR(now.detail, pixl_code_name(PIXL_E_EXISTS));
    CHECK_INT(rig_image(&r, first.id).state, STUDY_DEIDENTIFIED);
    CHECK(fs_exists(spooled(&r, UID)));
    rig_close(&r);
}

static void test_settle__a_long_detail_is_no_reason_to_stop(void)
{
    rig_folders("");
    struct site_rig r;
    rig_open(&r, NULL);
    rig_populate(&r, ROW(1));
    const struct store_image image = claimed(&r, STUDY_RETRIEVING, 0);
    struct extract_result result = { .outcome = STUDY_OUT_WITHHELD, .reason = STUDY_WHY_RESIDUE };
    memset(result.detail, 'x', sizeof result.detail - 1);
    CHECK_INT(rig_settle(&r, &image, &result).state, STUDY_WITHHELD);
    const struct store_image now = rig_image(&r, image.id);
    CHECK_INT(now.state, STUDY_WITHHELD);
    CHECK_INT(now.detail.n, sizeof result.detail - 1);
    rig_close(&r);
}

/* --- two archives, and the spool ------------------------------------------------------------------------------------- */

static void test_settle__what_the_primary_archive_lacks_the_secondary_is_asked_for(void)
{
    rig_folders("");
    struct site_rig r;
    struct store_image image;
    char second[700];
    REQUIRE_OK(fs_make_dirs(test_path("second"), 0700, &err), err);
    (void)snprintf(second, sizeof second, "PIXL_SECONDARY_ARCHIVE_URL=directory:%s/second", test_dir());
    rig_open(&r, second);
    REQUIRE(site_archive(r.site, 1) != NULL);
    rig_populate(&r, ROW(1));
    const struct extract_result missing = { .outcome = STUDY_OUT_MISSING, .reason = STUDY_WHY_NOT_IN_ARCHIVE };
    REQUIRE(rig_claim(&r, STORE_WORK_RETRIEVE, &image));
    CHECK_INT(rig_settle(&r, &image, &missing).state, STUDY_QUEUED);
    const struct store_image between = rig_image(&r, image.id);
    CHECK_INT(between.archive, 1);
    CHECK_INT(between.reason, STUDY_WHY_NOT_IN_PRIMARY);
    CHECK_INT(between.attempts + between.not_before_us, 0);
    REQUIRE(rig_claim(&r, STORE_WORK_RETRIEVE, &image));
    CHECK_INT(image.archive, 1);
    CHECK_INT(rig_settle(&r, &image, &missing).state, STUDY_MISSING);
    CHECK_INT(rig_image(&r, image.id).reason, STUDY_WHY_NOT_IN_ARCHIVE);
    rig_close(&r);
}

static void test_settle__the_same_archive_twice_is_one(void)
{
    rig_folders("");
    struct site_rig r;
    struct store_image image;
    char second[700];
    (void)snprintf(second, sizeof second, "PIXL_SECONDARY_ARCHIVE_URL=directory:%s/archive", test_dir());
    rig_open(&r, second);
    CHECK(site_archive(r.site, 1) == NULL);
    rig_populate(&r, ROW(1));
    const struct extract_result missing = { .outcome = STUDY_OUT_MISSING, .reason = STUDY_WHY_NOT_IN_ARCHIVE };
    REQUIRE(rig_claim(&r, STORE_WORK_RETRIEVE, &image));
    CHECK_INT(rig_settle(&r, &image, &missing).state, STUDY_MISSING);
    rig_close(&r);
}

static void test_settle__a_zip_is_named_by_its_spool(void)
{
    rig_folders("");
    struct site_rig r;
    struct store_image image;
    rig_open(&r, NULL);
    rig_populate(&r, ROW(1));
    char spool[17];
    (void)snprintf(spool, sizeof spool, "%s", site_spool(r.site));
    const struct extract_result done = deidentified(UID);
    put_zip(&r, UID);
    REQUIRE(rig_claim(&r, STORE_WORK_RETRIEVE, &image));
    CHECK_INT(rig_settle(&r, &image, &done).state, STUDY_DEIDENTIFIED);
    CHECK_STR(rig_image(&r, image.id).spool, spool);
    int64_t bytes = -1;
    REQUIRE_OK(spool_sweep(r.site, &bytes, &err), err);
    CHECK_INT(bytes, 3);
    CHECK(fs_exists(spooled(&r, UID)));
    /* Another state directory on the same store has no business with it, and what it has under that name is of no use. */
    rig_close_site(&r);
    rig_write("state/spool-id", "0123456789abcdef");
    REQUIRE_OK(site_open(&r.settings, SITE_WORKS | SITE_ARCHIVE | SITE_SECRETS | SITE_STORE, &r.site, &err), err);
    extract_init(&r.x, r.site, &r.cancel);
    arena_init(&r.arena, 1 << 24);
    CHECK_STR(str_of(site_spool(r.site)), "0123456789abcdef");
    CHECK(!rig_claim(&r, STORE_WORK_DELIVER, &image));
    REQUIRE_OK(spool_sweep(r.site, &bytes, &err), err);
    CHECK_INT(bytes, 0);
    CHECK(!fs_exists(spooled(&r, UID)));
    rig_close(&r);
}

static void test_settle__a_delivered_zip_can_stay_for_a_while(void)
{
    rig_folders("");
    struct site_rig r;
    rig_open(&r, "PIXL_SPOOL_KEEP=60");
    rig_populate(&r, ROW(1));
    const struct store_image image = claimed(&r, STUDY_DELIVERING, 0);
    struct extract_result gone = { .outcome = STUDY_OUT_EXPORTED };
    (void)snprintf(gone.pseudo_study_uid, sizeof gone.pseudo_study_uid, "%s", UID);
    put_zip(&r, UID);
    CHECK_INT(rig_settle(&r, &image, &gone).state, STUDY_EXPORTED);
    const char *kept = spooled(&r, UID ".delivered");
    CHECK(!fs_exists(spooled(&r, UID)) && fs_exists(kept));
    int64_t bytes = -1, now = clock_wall_us();
    REQUIRE_OK(spool_sweep(r.site, &bytes, &err), err);
    REQUIRE_OK(spool_expire(r.site, now + 50 * S, &err), err);
    CHECK_INT(bytes, 0);
    CHECK(fs_exists(kept));
    put_zip(&r, "2.25.78");                      /* what waits is not touched by time */
    REQUIRE_OK(spool_expire(r.site, now + 62 * S, &err), err);
    CHECK(!fs_exists(kept) && fs_exists(spooled(&r, "2.25.78")));
    rig_close(&r);
}

static void test_settle__pauses_grow_and_are_jittered(void)
{
    static const struct { int attempts; int64_t max_us; } rows[] = {
        { 1, S }, { 2, 4 * S }, { 3, 16 * S }, { 4, 64 * S }, { 5, 256 * S }, { 6, 600 * S }, { 7, 600 * S }, { 100, 600 * S },
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        test_row("attempt %d", rows[i].attempts);
        CHECK_INT(settle_pause_us(rows[i].attempts, 0), rows[i].max_us);
        for (uint32_t random = 0; random < 5000; random += 7) {
            int64_t pause = settle_pause_us(rows[i].attempts, random);
            CHECK(pause <= rows[i].max_us && pause >= rows[i].max_us - rows[i].max_us / 4);
        }
    }
}

int main(int argc, char **argv)
{
    static const struct test_case tests[] = {
        TEST(test_settle__every_pair_of_state_and_outcome),
        TEST(test_settle__a_stale_claim_changes_nothing),
        TEST(test_settle__a_move_whose_answer_was_lost_is_made),
        TEST(test_settle__what_was_settled_is_not_settled_otherwise),
        TEST(test_settle__series_added_meanwhile_send_it_back),
        TEST(test_settle__a_shared_pseudonym_fails_one_study_only),
        TEST(test_settle__a_long_detail_is_no_reason_to_stop),
        TEST(test_settle__what_the_primary_archive_lacks_the_secondary_is_asked_for),
        TEST(test_settle__the_same_archive_twice_is_one),
        TEST(test_settle__a_zip_is_named_by_its_spool),
        TEST(test_settle__a_delivered_zip_can_stay_for_a_while),
        TEST(test_settle__pauses_grow_and_are_jittered),
    };
    return test_main(argc, argv, tests, ARRAY_LEN(tests));
}
