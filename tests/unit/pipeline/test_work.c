/* Claims that are in no hand: the store made them, and the answer was lost on its way. */
#include "pipeline/work.h"

#include <pthread.h>
#include <signal.h>

#include "pipeline/held.h"
#include "site_rig.h"

#define SECOND     INT64_C(1000000)
#define PUT_OFF_US (2 * SECOND)
#define ROW        "1,MRN5501,ACC5501,rig,2024-01-01T00:00:00Z,2024-01-01,,,\n"

static void test_held__lists_what_is_in_hand_in_order(void)
{
    struct pixl_error err = { 0 };
    struct held_list l;
    struct held h[4];
    struct arena a;
    int64_t *images;
    size_t n = 99;
    arena_init(&a, 1 << 16);
    held_list_init(&l);
    CHECK_OK(held_images(&l, &a, &images, &n, &err), err);
    CHECK_INT(n, 0);
    static const int64_t numbers[] = { 7, 2, 9, 4 };
    for (size_t i = 0; i < ARRAY_LEN(h); i++)
        held_take(&l, &h[i], numbers[i]);
    held_drop(&l, &h[1]);
    held_drop(&l, &h[3]);
    held_take(&l, &h[3], INT64_C(1) << 40);
    CHECK_OK(held_images(&l, &a, &images, &n, &err), err);
    REQUIRE(n == 3);
    CHECK(images[0] == 7 && images[1] == 9 && images[2] == INT64_C(1) << 40);
    arena_done(&a);
    arena_init(&a, 8);
    CHECK_FAILS(held_images(&l, &a, &images, &n, &err), err, PIXL_E_NOMEM);
    held_drop(&l, &h[0]);
    held_drop(&l, &h[2]);
    held_drop(&l, &h[3]);
    held_list_done(&l);
    arena_done(&a);
}

struct told {
    struct site_rig *r;
    bool claimed, is_service;
};

/* Claims the row in the name of this process, as if the lane that asked had not heard of it; ends a service when it was worked. */
static void claim_in_vain(void *ctx, const struct work_progress *p)
{
    struct told *t = ctx;
    struct pixl_error err = { 0 };
    struct store_image m;
    bool got = false;
    const struct store_claim c = { .work = STORE_WORK_RETRIEVE,
                                   .owner = site_owner(t->r->site),
                                   .now_us = clock_wall_us() + PUT_OFF_US,
                                   .lease_us = 1 };
    if (!t->claimed) {
        CHECK_OK(store_claim_image(site_store(t->r->site), &c, 1, &t->r->arena, &got, &m, &err), err);
        CHECK(got);
        t->claimed = true;
    }
    if (t->is_service && study_state_is_end(rig_image(t->r, 1).state))
        REQUIRE(kill(getpid(), SIGTERM) == 0);
    (void)p;
}

static void run_with_a_lost_claim(bool is_service)
{
    struct pixl_error err = { 0 };
    struct site_rig r;
    struct store_image m;
    bool got;
    enum work_end end = WORK_GAVE_UP;
    rig_folders("");
    rig_save(&(struct rig_file){ .name = "another", .study = "1.2.9", .mrn = "MRN9", .accession = "ACC9" });
    rig_open_as(&r, NULL, is_service ? SITE_SERVES : SITE_WORKS);
    r.settings.lease_s = 2;
    rig_populate(&r, ROW);
    /* Put off, so that the lane leaves it alone meanwhile. */
    const struct store_claim c = {
        .work = STORE_WORK_RETRIEVE, .owner = "before", .now_us = clock_wall_us(), .lease_us = SECOND
    };
    REQUIRE_OK(store_claim_next(site_store(r.site), &c, &r.arena, &got, &m, &err), err);
    REQUIRE(got && m.id == 1);
    struct store_move back = STORE_MOVE_NONE;
    back.image = 1;
    back.fence = m.fence;
    back.to = STUDY_QUEUED;
    back.now_us = clock_wall_us();
    back.not_before_us = back.now_us + PUT_OFF_US;
    REQUIRE_OK(store_move(site_store(r.site), &back, NULL, &err), err);
    struct told told = { .r = &r, .is_service = is_service };
    const struct work_options o = {
        .stays = is_service, .patience_us = 60 * SECOND, .progress = claim_in_vain, .ctx = &told
    };
    CHECK_OK(work_run(r.site, &o, &end, &err), err);
    CHECK_INT(end, is_service ? WORK_STOPPED : WORK_DONE);
    CHECK(told.claimed);
    const struct store_image after = rig_image(&r, 1);
    CHECK_INT(after.state, STUDY_MISSING);
    CHECK_INT(after.crashes, 0);
    rig_close(&r);
}

static void test_work__a_run_ends_when_nothing_is_claimed_in_vain(void)
{
    run_with_a_lost_claim(false);
}

static void test_work__a_service_gives_back_what_is_in_no_hand(void)
{
    run_with_a_lost_claim(true);
}

/* The last to rest ends the run: nobody waits until the next look would find it over.  Whether one would depends on who rests
 * first, and a busy machine may be late, so that many runs are told apart by how many are. */
static void test_work__a_run_ends_with_its_last_study(void)
{
    enum { RUNS = 16, LATE_MAX = 4 };
    const int64_t late_us = SECOND / 2;
    struct site_rig r;
    int n_late = 0;
    rig_folders("");
    char name[16], study[32], series[48], sop[64], mrn[16], accession[16], row[128];
    for (int i = 0; i < RUNS; i++) {
        (void)snprintf(name, sizeof name, "%d", i);
        (void)snprintf(study, sizeof study, "1.2.3.%d", i + 1);
        (void)snprintf(series, sizeof series, "%s.1", study);
        (void)snprintf(sop, sizeof sop, "%s.1", series);
        (void)snprintf(mrn, sizeof mrn, "MRN%d", 5000 + i);
        (void)snprintf(accession, sizeof accession, "ACC%d", 5000 + i);
        rig_save(&(struct rig_file){ name, study, series, sop, mrn, accession, .modality = "CT" });
    }
    rig_open_as(&r, NULL, SITE_WORKS);
    for (int i = 0; i < RUNS; i++) {
        struct pixl_error err = { 0 };
        enum work_end end = WORK_GAVE_UP;
        (void)snprintf(row, sizeof row, "%d,MRN%d,ACC%d,rig,2024-01-01T00:00:00Z,2024-01-01,,,\n", i + 1, 5000 + i,
                       5000 + i);
        rig_populate(&r, row);
        const struct work_options o = { .patience_us = 60 * SECOND };
        const int64_t began_us = clock_mono_us();
        CHECK_OK(work_run(r.site, &o, &end, &err), err);
        n_late += clock_mono_us() - began_us >= late_us;
        CHECK_INT(end, WORK_DONE);
        CHECK_INT(rig_image(&r, i + 1).state, STUDY_EXPORTED);
    }
    test_row("%d of %d runs were late", n_late, RUNS);
    CHECK(n_late <= LATE_MAX);
    rig_close(&r);
}

int main(int argc, char **argv)
{
    static const struct test_case tests[] = {
        TEST(test_held__lists_what_is_in_hand_in_order),
        TEST(test_work__a_run_ends_when_nothing_is_claimed_in_vain),
        TEST(test_work__a_service_gives_back_what_is_in_no_hand),
        TEST(test_work__a_run_ends_with_its_last_study),
    };
    return test_main(argc, argv, tests, ARRAY_LEN(tests));
}
