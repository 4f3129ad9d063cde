#include "store/store.h"

#include "store_helper.h"

static void test_claim__goes_by_priority_then_date_then_number(void)
{
    static const struct {
        const char *project;
        int priority;
        int32_t date;
        int64_t turn;
    } rows[] = {
        { "p", 1, 20200101, 5 }, { "q", 5, 20210101, 2 }, { "p", 5, 20200101, 1 },
        { "q", 1, 20200101, 6 }, { "p", 3, 20190101, 3 }, { "q", 1, 20100101, 4 },
    };
    struct store *s = open_store();
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        char accession[32];
        (void)snprintf(accession, sizeof accession, "A%zu", i);
        add(s, (struct ask){ .project = rows[i].project,
                             .mrn = "1",
                             .accession = accession,
                             .priority = rows[i].priority,
                             .date = rows[i].date });
    }
    for (int64_t turn = 1; turn <= (int64_t)ARRAY_LEN(rows); turn++) {
        test_row("turn %lld", (long long)turn);
        struct store_image m = claim(s);
        REQUIRE(m.id >= 1 && m.id <= (int64_t)ARRAY_LEN(rows));
        CHECK_INT(rows[m.id - 1].turn, turn);
        CHECK_INT(m.state, STUDY_RETRIEVING);
        CHECK_INT(m.fence, 1);
        CHECK_INT(m.lease_until_us, T0 + LEASE);
        CHECK_STR(m.owner, ME);
    }
    CHECK_INT(claim(s).id, 0);
    CHECK_INT(claim_as(s, ME, STORE_WORK_DELIVER, 0, false).id, 0);
    store_close(s);
}

static void test_claim__waits_for_the_time_and_next_due_tells_it(void)
{
    struct pixl_error err = { 0 };
    struct store *s = open_store();
    int64_t due = 0;
    CHECK_OK(store_next_due(s, &(struct store_claim){ .work = STORE_WORK_RETRIEVE }, &due, &err), err);
    CHECK_INT(due, INT64_MAX);
    add(s, (struct ask){ .mrn = "1", .accession = "A" });
    add(s, (struct ask){ .mrn = "1", .accession = "B" });
    for (int64_t id = 1; id <= 2; id++) {
        struct store_image m = claim(s);
        struct store_move back = move_of(m.id, m.fence, STUDY_QUEUED);
        back.not_before_us = T0 + 3000 * m.id;
        back.count_attempt = true;
        back.reason = STUDY_WHY_ARCHIVE_ERROR;
        CHECK_OK(store_move(s, &back, NULL, &err), err);
    }
    CHECK_OK(store_next_due(s, &(struct store_claim){ .work = STORE_WORK_RETRIEVE }, &due, &err), err);
    CHECK_INT(due, T0 + 3000);
    CHECK_OK(store_next_due(s, &(struct store_claim){ .work = STORE_WORK_DELIVER }, &due, &err), err);
    CHECK_INT(due, INT64_MAX);
    CHECK_INT(claim_as(s, ME, STORE_WORK_RETRIEVE, 2999, false).id, 0);
    struct store_image m = claim_as(s, ME, STORE_WORK_RETRIEVE, 3000, false);
    CHECK_INT(m.id, 1);
    CHECK_INT(m.attempts, 1);
    CHECK_INT(claim_as(s, ME, STORE_WORK_RETRIEVE, 3000, false).id, 0);
    move_to(s, 1, STUDY_QUEUED);
    CHECK_OK(store_next_due(s, &(struct store_claim){ .work = STORE_WORK_RETRIEVE }, &due, &err), err);
    CHECK_INT(due, 0);
    const struct str out[] = { STR("other"), image_of(s, 1).project };
    struct store_claim c = { .work = STORE_WORK_RETRIEVE, .without_projects = out, .n_without = 1 };
    CHECK_OK(store_next_due(s, &c, &due, &err), err);
    CHECK_INT(due, 0);
    c.n_without = 2;
    CHECK_OK(store_next_due(s, &c, &due, &err), err);
    CHECK_INT(due, INT64_MAX);
    store_close(s);
}

static void test_claim__suspects_and_projects_can_be_left_out(void)
{
    struct pixl_error err = { 0 };
    struct store *s = open_store();
    add(s, (struct ask){ .project = "p", .mrn = "1", .accession = "A", .priority = 5 });
    add(s, (struct ask){ .project = "q", .mrn = "1", .accession = "A" });
    struct store_image m = claim(s);
    struct store_move back = move_of(m.id, m.fence, STUDY_QUEUED);
    back.count_crash = true;
    CHECK_OK(store_move(s, &back, NULL, &err), err);
    CHECK_INT(image_of(s, 1).crashes, 1);
    struct str without[] = { STR("q") };
    struct store_claim c = { .work = STORE_WORK_RETRIEVE,
                             .owner = ME,
                             .now_us = T0,
                             .lease_us = LEASE,
                             .without_projects = without,
                             .n_without = 1 };
    bool got = true;
    CHECK_OK(store_claim_next(s, &c, test_arena(), &got, &m, &err), err);
    CHECK(!got); /* p has only a suspect, q is left out */
    c.n_without = 0;
    CHECK_OK(store_claim_next(s, &c, test_arena(), &got, &m, &err), err);
    CHECK(got && m.id == 2);
    c.suspects = true;
    CHECK_OK(store_claim_next(s, &c, test_arena(), &got, &m, &err), err);
    CHECK(got && m.id == 1 && m.crashes == 1);
    store_close(s);
}

static void test_claim__keeps_to_its_archives(void)
{
    struct pixl_error err = { 0 };
    struct store *s = open_store();
    bool got;
    int64_t due = -1;
    struct store_image m;
    struct store_claim c = { .work = STORE_WORK_RETRIEVE, .owner = ME, .now_us = T0, .lease_us = LEASE };
    for (int i = 0; i < 3; i++)
        add(s, (struct ask){ .mrn = "1", .accession = i == 0 ? "A" : i == 1 ? "B" : "C", .date = 20200101 + i });
    m = claim(s);
    struct store_move on = move_of(m.id, m.fence, STUDY_QUEUED);
    on.archive = 1;
    on.not_before_us = T0 + 50;
    REQUIRE_OK(store_move(s, &on, NULL, &err), err);
    CHECK_INT(image_of(s, 1).archive, 1);
    c.archives = 1u << 1;
    CHECK_OK(store_claim_next(s, &c, test_arena(), &got, &m, &err), err);
    CHECK(!got);
    CHECK_OK(store_next_due(s, &c, &due, &err), err);
    CHECK_INT(due, T0 + 50);
    c.archives = 1u << 0;
    CHECK_OK(store_next_due(s, &c, &due, &err), err);
    CHECK_INT(due, 0);
    c.now_us = T0 + 50;
    CHECK_OK(store_claim_next(s, &c, test_arena(), &got, &m, &err), err);
    CHECK(got && m.id == 2 && m.archive == 0);
    c.archives = 0;
    CHECK_OK(store_claim_next(s, &c, test_arena(), &got, &m, &err), err);
    CHECK(got && m.id == 1 && m.archive == 1);
    m = claim(s);
    REQUIRE(m.id == 3);
    move_to(s, 1, STUDY_MISSING);
    struct store_filter f = { .states = 1u << STUDY_MISSING };
    CHECK_INT(image_of(s, 1).archive, 1);
    CHECK_OK(store_retry(s, &f, NULL, 0, T0, &due, &err), err);
    CHECK_INT(image_of(s, 1).archive, 0); /* asked anew from the beginning */
    store_close(s);
}

static void test_claim__keeps_to_its_spool(void)
{
    /* 1 lies in spool x, 2 in none that is named, 3 in y. */
    static const char *const spools[] = { "x", NULL, "y" }, *const numbers[] = { "A", "B", "C" };
    struct pixl_error err = { 0 };
    struct store *s = open_store();
    bool got;
    int64_t due = -1;
    struct store_image m;
    for (int i = 0; i < 3; i++)
        add(s, (struct ask){ .mrn = "1", .accession = numbers[i], .date = 20200101 + i });
    for (int64_t id = 1; id <= 3; id++) {
        char pseudo[16];
        CHECK_INT(claim(s).id, id);
        (void)snprintf(pseudo, sizeof pseudo, "2.25.%d", (int)id);
        struct store_move zip = move_of(id, image_of(s, id).fence, STUDY_DEIDENTIFIED);
        zip.pseudo_study_uid = pseudo;
        zip.zip_digest = "d";
        zip.spool = spools[id - 1];
        REQUIRE_OK(store_move(s, &zip, NULL, &err), err);
    }
    CHECK_STR(image_of(s, 3).spool, "y");
    struct store_claim c = { .work = STORE_WORK_DELIVER,
                             .owner = ME,
                             .now_us = T0,
                             .lease_us = LEASE,
                             .archives = 1u << 1, /* says nothing to a delivery */
                             .spool = STR("x") };
    for (int64_t id = 1; id <= 2; id++) {
        CHECK_OK(store_claim_next(s, &c, test_arena(), &got, &m, &err), err);
        CHECK(got && m.id == id);
    }
    CHECK_OK(store_claim_next(s, &c, test_arena(), &got, &m, &err), err);
    CHECK(!got);
    CHECK_OK(store_next_due(s, &c, &due, &err), err);
    CHECK_INT(due, INT64_MAX);
    c.spool = STR("");
    CHECK_OK(store_next_due(s, &c, &due, &err), err);
    CHECK_INT(due, INT64_MAX);
    c.spool = STR("y");
    CHECK_OK(store_next_due(s, &c, &due, &err), err);
    CHECK_INT(due, 0);
    struct store_move lost = move_of(1, image_of(s, 1).fence, STUDY_QUEUED);
    REQUIRE_OK(store_move(s, &lost, NULL, &err), err);
    CHECK_STR(image_of(s, 1).spool, ""); /* it went with the zip */
    store_close(s);
}

static void test_claim__can_name_its_row(void)
{
    static const struct {
        const char *name;
        int64_t image, now_us;
        unsigned archives;
        bool suspects, without, got;
    } rows[] = {
        { "no such row", 99, 100, 0, false, false, false },
        { "claimed already", 1, 100, 0, false, false, false },
        { "put off", 2, 99, 0, false, false, false },
        { "its time has come", 2, 100, 0, false, false, true },
        { "its archive may not be asked", 3, 100, 1u << 1, false, false, false },
        { "not a suspect", 3, 100, 0, true, false, false },
        { "its project is left out", 3, 100, 0, false, true, false },
        { "due", 3, 100, 1u << 0, false, false, true },
        { "claimed by the row above", 3, 100, 0, false, false, false },
        { "the clock was set back", 4, -STORE_PUT_OFF_MAX_US - 1, 0, false, false, true },
    };
    struct pixl_error err = { 0 };
    struct store *s = open_store();
    static const char *const numbers[] = { "A", "B", "C", "D" };
    for (size_t i = 0; i < ARRAY_LEN(numbers); i++)
        add(s, (struct ask){ .mrn = "1", .accession = numbers[i], .date = 20200101 + (int)i });
    const struct str without[] = { image_of(s, 1).project };
    for (int64_t id = 1; id <= 4; id++)
        CHECK_INT(claim(s).id, id);
    for (int64_t id = 2; id <= 4; id++) {
        struct store_move back = move_of(id, 1, STUDY_QUEUED);
        back.not_before_us = id == 2 ? T0 + 100 : id == 4 ? T0 : 0;
        REQUIRE_OK(store_move(s, &back, NULL, &err), err);
    }
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        test_row("%s", rows[i].name);
        bool got = !rows[i].got;
        struct store_image m;
        const struct store_claim c = { .work = STORE_WORK_RETRIEVE,
                                       .owner = "other",
                                       .now_us = T0 + rows[i].now_us,
                                       .lease_us = LEASE,
                                       .suspects = rows[i].suspects,
                                       .archives = rows[i].archives,
                                       .without_projects = without,
                                       .n_without = rows[i].without };
        CHECK_OK(store_claim_image(s, &c, rows[i].image, test_arena(), &got, &m, &err), err);
        CHECK_INT(got, rows[i].got);
        if (!got)
            continue;
        CHECK_INT(m.id, rows[i].image);
        CHECK_INT(m.state, STUDY_RETRIEVING);
        CHECK_INT(m.fence, 2);
        CHECK_STR(m.owner, "other");
        CHECK_INT(image_of(s, m.id).not_before_us, 0);
    }
    store_close(s);
}

static void test_recover__gives_back_what_others_lost(void)
{
    static const struct {
        const char *name, *owner, *dead;
        int64_t after;
        enum study_state state;
        bool given_back;
    } rows[] = {
        { "lease ended", "other", NULL, LEASE + 1, STUDY_RETRIEVING, true },
        { "lease runs", "other", NULL, LEASE, STUDY_RETRIEVING, false },
        { "lease runs, but we are alone", "other", "", 1, STUDY_RETRIEVING, true },
        { "lease runs, but its machine's processes are dead", "here-17", "here-", 1, STUDY_RETRIEVING, true },
        { "lease runs on another machine", "other", "here-", 1, STUDY_RETRIEVING, false },
        { "lease ended on another machine", "other", "here-", LEASE + 1, STUDY_RETRIEVING, true },
        { "a name is no pattern", "here-17", "%", 1, STUDY_RETRIEVING, false },
        { "own claim, lease ended", ME, NULL, LEASE + 1, STUDY_RETRIEVING, true },
        { "own claim, lease runs", ME, NULL, LEASE, STUDY_RETRIEVING, false },
        { "own claims are asked for", ME, ME, 1, STUDY_RETRIEVING, true },
        { "delivery", "other", "", 1, STUDY_DELIVERING, true },
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        test_row("%s", rows[i].name);
        struct pixl_error err = { 0 };
        struct store *s = open_store();
        add(s, (struct ask){ .mrn = "1", .accession = "A" });
        bool delivering = rows[i].state == STUDY_DELIVERING;
        if (delivering)
            bring(s, 1, STUDY_DEIDENTIFIED);
        struct store_image m =
            claim_as(s, rows[i].owner, delivering ? STORE_WORK_DELIVER : STORE_WORK_RETRIEVE, 0, false);
        int64_t n = -1;
        CHECK_OK(store_recover_claims(s, ME, rows[i].dead, T0 + rows[i].after, &n, &err), err);
        CHECK_INT(n, rows[i].given_back);
        struct store_image after = image_of(s, 1);
        if (!rows[i].given_back) {
            CHECK_INT(after.state, rows[i].state);
            CHECK_INT(after.fence, m.fence);
        } else {
            CHECK_INT(after.state, delivering ? STUDY_DEIDENTIFIED : STUDY_QUEUED);
            CHECK_INT(after.reason, STUDY_WHY_LEASE_LOST);
            CHECK_INT(after.crashes, !delivering && strcmp(rows[i].owner, ME) != 0);
            CHECK_STR(after.owner, "");
            struct store_move late = move_of(1, m.fence, delivering ? STUDY_EXPORTED : STUDY_MISSING);
            CHECK_FAILS(store_move(s, &late, NULL, &err), err, PIXL_E_STALE);
        }
        store_close(s);
    }
}

static void test_recover__ends_the_waiting_for_an_outage(void)
{
    struct pixl_error err = { 0 };
    struct store *s = open_store();
    int64_t n, due = 0;
    static const enum study_reason why[] = { STUDY_WHY_UNAVAILABLE, STUDY_WHY_ARCHIVE_ERROR };
    for (size_t i = 0; i < ARRAY_LEN(why); i++) {
        add(s, (struct ask){ .mrn = "1", .accession = i ? "B" : "A" });
        struct store_image m = claim(s);
        struct store_move back = move_of(m.id, m.fence, STUDY_QUEUED);
        back.not_before_us = T0 + 1000000;
        back.reason = why[i];
        CHECK_OK(store_move(s, &back, NULL, &err), err);
    }
    CHECK_OK(store_recover_claims(s, ME, NULL, T0 + 10, &n, &err), err);
    CHECK_OK(store_next_due(s, &(struct store_claim){ .work = STORE_WORK_RETRIEVE }, &due, &err), err);
    CHECK_INT(due, T0 + 1000000);
    CHECK_OK(store_recover_claims(s, ME, "", T0 + 10, &n, &err), err);
    CHECK_INT(claim_as(s, ME, STORE_WORK_RETRIEVE, 20, false).id, 1);
    CHECK_INT(claim_as(s, ME, STORE_WORK_RETRIEVE, 20, false).id, 0);
    store_close(s);
}

static void test_renew__prolongs_what_is_in_hand_and_still_ours(void)
{
    struct pixl_error err = { 0 };
    struct store *s = open_store();
    add(s, (struct ask){ .mrn = "1", .accession = "A" });
    add(s, (struct ask){ .mrn = "1", .accession = "B" });
    add(s, (struct ask){ .mrn = "1", .accession = "C" });
    add(s, (struct ask){ .mrn = "1", .accession = "D" });
    add(s, (struct ask){ .mrn = "1", .accession = "E" });
    CHECK_INT(claim(s).id, 1);
    CHECK_INT(claim_as(s, "other", STORE_WORK_RETRIEVE, 0, false).id, 2);
    CHECK_INT(claim(s).id, 3);
    CHECK_INT(claim(s).id, 4);
    CHECK_OK(store_renew_claims(s, ME, (const int64_t[]){ 1, 2, 3, 5, 99 }, 5, T0 + 5 * LEASE, &err), err);
    CHECK_INT(image_of(s, 1).lease_until_us, T0 + 5 * LEASE);
    CHECK_INT(image_of(s, 2).lease_until_us, T0 + LEASE);
    CHECK_INT(image_of(s, 3).lease_until_us, T0 + 5 * LEASE);
    CHECK_INT(image_of(s, 4).lease_until_us, T0 + LEASE);
    CHECK_INT(image_of(s, 5).lease_until_us, 0);
    CHECK_OK(store_renew_claims(s, ME, NULL, 0, T0 + 6 * LEASE, &err), err);
    CHECK_INT(image_of(s, 1).lease_until_us, T0 + 5 * LEASE);
    store_close(s);
}

/* --- spools ---------------------------------------------------------------------------------------------------- */

/* Study n waits in a spool, claimed for its delivery by who is named. */
static void put_into(struct store *s, int64_t n, const char *accession, const char *spool, enum study_state state,
                     const char *delivering)
{
    struct pixl_error err = { 0 };
    add(s, (struct ask){ .mrn = "1", .accession = accession });
    struct store_image m = claim(s);
    REQUIRE(m.id == n);
    struct store_move zip = move_of(n, m.fence, STUDY_DEIDENTIFIED);
    zip.zip_digest = "d";
    zip.spool = spool;
    REQUIRE_OK(store_move(s, &zip, NULL, &err), err);
    if (state == STUDY_HELD || state == STUDY_FAILED || state == STUDY_EXPORTED || state == STUDY_KEPT) {
        const struct store_claim c = {
            .work = STORE_WORK_DELIVER, .owner = ME, .now_us = T0, .lease_us = LEASE, .spool = str_of(spool)
        };
        struct store_image d;
        bool got = true;
        if (state != STUDY_HELD)
            REQUIRE_OK(store_claim_image(s, &c, n, test_arena(), &got, &d, &err), err);
        REQUIRE(got);
        struct store_move on = move_of(n, image_of(s, n).fence, state);
        REQUIRE_OK(store_move(s, &on, NULL, &err), err);
    }
    if (delivering != NULL) {
        const struct store_claim c = {
            .work = STORE_WORK_DELIVER, .owner = delivering, .now_us = T0, .lease_us = LEASE, .spool = str_of(spool)
        };
        struct store_image d;
        bool got;
        REQUIRE_OK(store_claim_next(s, &c, test_arena(), &got, &d, &err), err);
        REQUIRE(got && d.id == n);
    }
}

static void test_spool__what_is_lost_is_taken_from_the_archive_again(void)
{
    struct pixl_error err = { 0 };
    struct store *s = open_store();
    struct store_spool *spools;
    size_t n_spools;
    int64_t n = -1;
    CHECK_OK(store_spools(s, test_arena(), &spools, &n_spools, &err), err);
    CHECK_INT(n_spools, 0);
    put_into(s, 1, "A", "gone", STUDY_DEIDENTIFIED, "machine");
    put_into(s, 2, "B", "gone", STUDY_FAILED, NULL);
    put_into(s, 3, "C", "gone", STUDY_HELD, NULL);
    put_into(s, 4, "D", "gone", STUDY_EXPORTED, NULL);
    put_into(s, 5, "E", "gone", STUDY_DEIDENTIFIED, NULL);
    put_into(s, 6, "F", "here", STUDY_DEIDENTIFIED, NULL);
    put_into(s, 7, "G", "gone", STUDY_KEPT, NULL);
    const struct store_image delivering = image_of(s, 1);
    CHECK_OK(store_spools(s, test_arena(), &spools, &n_spools, &err), err);
    REQUIRE(n_spools == 2);
    CHECK_STR(spools[0].name, "gone");
    CHECK_INT(spools[0].waiting, 2);
    CHECK_INT(spools[0].kept, 1);
    CHECK_STR(spools[1].name, "here");
    CHECK_INT(spools[1].waiting, 1);

    test_row("it is in use");
    CHECK_FAILS(store_lose_spool(s, STR("gone"), T0 + LEASE, &n, &err), err, PIXL_E_BUSY);
    CHECK_INT(image_of(s, 5).state, STUDY_DEIDENTIFIED);
    CHECK_STR(image_of(s, 2).spool, "gone");

    test_row("it is not");
    CHECK_OK(store_lose_spool(s, STR("gone"), T0 + LEASE + 1, &n, &err), err);
    CHECK_INT(n, 5);
    static const enum study_state want[] = { STUDY_QUEUED, STUDY_FAILED,       STUDY_HELD,  STUDY_EXPORTED,
                                             STUDY_QUEUED, STUDY_DEIDENTIFIED, STUDY_QUEUED };
    for (int64_t id = 1; id <= 7; id++) {
        test_row("image %lld", (long long)id);
        struct store_image m = image_of(s, id);
        CHECK_INT(m.state, want[id - 1]);
        CHECK(m.spool.n == 0 || id == 6 || id == 4);
        CHECK(id == 6 || id == 4 || m.zip_digest.n == 0);
        CHECK_STR(m.owner, "");
    }
    test_row("who comes back");
    struct store_move late = move_of(1, delivering.fence, STUDY_EXPORTED);
    CHECK_FAILS(store_move(s, &late, NULL, &err), err, PIXL_E_STALE);
    test_row("retry goes to the archive");
    CHECK_OK(store_retry(s, &(struct store_filter){ .states = 1u << STUDY_FAILED | 1u << STUDY_HELD }, NULL, 0, T0, &n,
                         &err),
             err);
    CHECK_INT(n, 2);
    CHECK_INT(image_of(s, 2).state, STUDY_QUEUED);
    CHECK_INT(image_of(s, 3).state, STUDY_QUEUED);
    CHECK_OK(store_lose_spool(s, STR("gone"), T0, &n, &err), err);
    CHECK_INT(n, 0);
    store_close(s);
}

/* --- moves ----------------------------------------------------------------------------------------------------- */

int main(int argc, char **argv)
{
    static const struct test_case tests[] = {
        TEST(test_claim__goes_by_priority_then_date_then_number),
        TEST(test_claim__waits_for_the_time_and_next_due_tells_it),
        TEST(test_claim__suspects_and_projects_can_be_left_out),
        TEST(test_claim__keeps_to_its_archives),
        TEST(test_claim__keeps_to_its_spool),
        TEST(test_spool__what_is_lost_is_taken_from_the_archive_again),
        TEST(test_claim__can_name_its_row),
        TEST(test_recover__gives_back_what_others_lost),
        TEST(test_recover__ends_the_waiting_for_an_outage),
        TEST(test_renew__prolongs_what_is_in_hand_and_still_ours),
    };
    return test_main(argc, argv, tests, ARRAY_LEN(tests));
}
