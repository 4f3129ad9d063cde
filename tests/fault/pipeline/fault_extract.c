/* Each allocation of populating, retrieving and delivering fails once: nothing is lost, nothing half has a final name, and without faults the
 * study arrives exactly once. */
#include "pipeline/extract.h"

#include "fault.h"
#include "sweep_rig.h"

enum { SWEEP_MAX = 20000 };

/* --- (a) opening and populating ------------------------------------------------------------------------------------- */

static bool open_and_populate(const struct settings *settings, const char *csv, struct pixl_error *e)
{
    site_auto *s = NULL;
    struct populate_counts n = { .rows = -1 };
    const struct populate_options o = { .path = csv, .priority = 1 };
    if (!site_open(settings, SITE_WORKS | SITE_ARCHIVE | SITE_SECRETS | SITE_STORE, &s, e)) {
        CHECK(s == NULL);
        return false;
    }
    bool ok = archive_refresh(site_archive(s, 0), NULL, NULL, e) && populate_cohort(s, &o, &n, e);
    CHECK(ok ? n.rows == 2 && n.refused == 0 : n.rows == -1);
    return ok;
}

static void test_fault__opening_and_populating(void)
{
    struct site_rig r;
    char csv[600];
    long n;
    sweep_make_archive();
    rig_write("cohort.csv", RIG_CSV_HEADER SWEEP_ROWS);
    (void)snprintf(csv, sizeof csv, "%s/cohort.csv", test_dir());
    for (n = 0; n < SWEEP_MAX; n++) {
        test_row("allocation %ld", n);
        rig_open(&r, NULL);
        rig_close_site(&r);                  /* leaves the settings */
        sweep_clear();
        fault_alloc_after(n);
        bool ok = open_and_populate(&r.settings, csv, &err), reached = fault_alloc_stop();
        CHECK(ok || reached);
        CHECK(ok ? err.code == PIXL_OK : err.code == PIXL_E_NOMEM);
        pixl_error_clear(&err);
        settings_done(&r.settings);

        /* The same again adds what is missing, and nothing twice. */
        rig_open(&r, NULL);
        rig_populate(&r, SWEEP_ROWS);
        if (n % 16 == 0 || !reached)
            sweep_finish(&r);
        rig_close(&r);
        sweep_clear();
        if (!reached)
            break;
    }
    CHECK(n > 100 && n < SWEEP_MAX);
}

/* --- (b), (c) one attempt ----------------------------------------------------------------------------------------------- */

struct step {
    enum store_work work;
    void (*attempt)(struct extract *x, const struct store_image *image, struct extract_result *out);
    enum study_state from, to;           /* where a failed attempt leaves the row; where it leads */
};

/* Claims and works with a fault after n allocations.  The row must be in a state from which it goes on. */
static bool attempt_with_fault(struct site_rig *r, const struct step *step, long n)
{
    struct store_image image = { 0 };
    struct extract_result result = { 0 };
    struct settled s = { 0 };
    bool got = false;
    const struct store_claim c = { .work = step->work, .owner = site_owner(r->site), .now_us = INT64_MAX / 2, .lease_us = 1000000,
                                   .spool = str_of(site_spool(r->site)) };
    fault_alloc_after(n);
    bool claimed = store_claim_next(site_store(r->site), &c, &r->arena, &got, &image, &err);
    bool settled = false;
    if (claimed && got) {
        step->attempt(&r->x, &image, &result);
        settled = settle(r->site, &image, &result, 1000, 5000, &s, &err);
    }
    bool reached = fault_alloc_stop();
    if (!claimed || !settled) {              /* the store's own memory: the claim stays, and is recovered by the next run */
        int64_t recovered;
        CHECK(reached);
        CHECK_INT(err.code, PIXL_E_NOMEM);
        pixl_error_clear(&err);
        REQUIRE_OK(store_recover_claims(site_store(r->site), "next", "", 1000, &recovered, &err), err);
        return reached;
    }
    REQUIRE(got);
    const struct store_image now = rig_image(r, image.id);
    CHECK_INT(now.state, s.state);
    CHECK(now.state == step->from || now.state == step->to);
    CHECK(now.state == step->to || (reached && now.attempts <= 1));
    CHECK(now.state == step->to || result.error.code == PIXL_E_NOMEM || result.outcome == STUDY_OUT_RETRY);
    return reached;
}

static void sweep_step(const struct step *step, long least)
{
    long n;
    sweep_make_archive();
    for (n = 0; n < SWEEP_MAX; n++) {
        struct site_rig r;
        struct store_image image;
        struct extract_result result;
        test_row("allocation %ld", n);
        rig_open(&r, NULL);
        rig_populate(&r, SWEEP_ROWS);
        if (step->work == STORE_WORK_DELIVER)
            while (rig_claim(&r, STORE_WORK_RETRIEVE, &image)) {
                extract_study(&r.x, &image, &result);
                CHECK_INT(rig_settle(&r, &image, &result).state, STUDY_DEIDENTIFIED);
            }
        bool reached = attempt_with_fault(&r, step, n);
        size_t hidden;
        (void)rig_count("state/spool/rig", &hidden);
        CHECK_INT(hidden, 0);
        (void)rig_count("haven/rig", &hidden);
        CHECK_INT(hidden, 0);
        sweep_work_off_suspects(&r);
        sweep_finish(&r);
        rig_close(&r);
        sweep_clear();
        if (!reached)
            break;
    }
    CHECK(n > least && n < SWEEP_MAX);
}

static void test_fault__retrieving(void)
{
    static const struct step step = { STORE_WORK_RETRIEVE, extract_study, STUDY_QUEUED, STUDY_DEIDENTIFIED };
    sweep_step(&step, 40);
}

static void test_fault__delivering(void)
{
    static const struct step step = { STORE_WORK_DELIVER, extract_deliver, STUDY_DEIDENTIFIED, STUDY_EXPORTED };
    sweep_step(&step, 10);
}

int main(int argc, char **argv)
{
    static const struct test_case tests[] = {
        TEST(test_fault__opening_and_populating),
        TEST(test_fault__retrieving),
        TEST(test_fault__delivering),
    };
    test_timeout_s = 600;
    return test_main(argc, argv, tests, ARRAY_LEN(tests));
}
