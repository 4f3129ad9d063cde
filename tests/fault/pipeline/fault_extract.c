/* Each allocation of populating, retrieving and delivering fails once: nothing is lost, nothing half has a final name, and without faults the
 * study arrives exactly once. */
#include "pipeline/extract.h"

#include "fault.h"
#include "pipeline/spool.h"
#include "site_rig.h"

#define ROWS "1,MRN5501,ACC5501,rig,2023-12-07T14:08:58Z,2020-05-23,1.2.3.1,,\n" \
             "2,MRN5501,ACC5502,rig,2023-12-07T14:08:58Z,2020-05-23,,,\n"
enum { SWEEP_MAX = 20000 };

static struct pixl_error err;

static void make_archive(void)
{
    rig_folders("");
    rig_save(&(struct rig_file){ .name = "a", .sop = "1.2.3.1.1.1" });
    rig_save(&(struct rig_file){ .name = "b", .sop = "1.2.3.1.1.2" });
    rig_save(&(struct rig_file){ .name = "b-again", .sop = "1.2.3.1.1.2" });             /* compared byte by byte */
    rig_save(&(struct rig_file){ .name = "c", .study = "1.2.3.2", .series = "1.2.3.2.1", .sop = "1.2.3.2.1.1", .accession = "ACC5502" });
}

/* What lies under a final name is whole; nothing is left beside it. */
static void check_zips(const char *folder, size_t want)
{
    size_t hidden, n = rig_count(folder, &hidden);
    CHECK_INT(hidden, 0);
    CHECK_INT(n, want);
    DIR *d = opendir(test_path(folder));
    for (const struct dirent *e; d != NULL && (e = readdir(d)) != NULL;) {
        char names[8][256], path[600];
        if (e->d_name[0] == '.')
            continue;
        (void)snprintf(path, sizeof path, "%s/%s/%s", test_dir(), folder, e->d_name);
        size_t entries = rig_zip_names(path, names, ARRAY_LEN(names));
        CHECK(entries == 1 || entries == 2);
    }
    if (d != NULL)
        (void)closedir(d);
}

/* Works off what is left, without faults: both studies arrive, once each. */
static void finish(struct site_rig *r)
{
    struct store_image image;
    struct extract_result result;
    struct store_counts n;
    while (rig_claim(r, STORE_WORK_RETRIEVE, &image)) {
        extract_study(&r->x, &image, &result);
        (void)rig_settle(r, &image, &result);
    }
    while (rig_claim(r, STORE_WORK_DELIVER, &image)) {
        extract_deliver(&r->x, &image, &result);
        (void)rig_settle(r, &image, &result);
    }
    /* What could not be tidied away for want of memory goes when the next run begins. */
    int64_t bytes = -1;
    REQUIRE_OK(spool_sweep(r->site, &bytes, &err), err);
    CHECK_INT(bytes, 0);
    REQUIRE_OK(store_count(site_store(r->site), STR(""), &n, &err), err);
    CHECK_INT(n.by_state[STUDY_EXPORTED], 2);
    for (size_t i = 0; i < STUDY_STATE_COUNT; i++)
        CHECK(i == STUDY_EXPORTED || n.by_state[i] == 0);
    CHECK_INT(n.requests, 2);
    check_zips("haven/rig", 2);
    check_zips("state/spool/rig", 0);
}

static void clear(void)
{
    REQUIRE_OK(fs_remove_tree(test_path("state"), &err), err);
    REQUIRE_OK(fs_remove_tree(test_path("haven/rig"), &err), err);
    REQUIRE_OK(fs_make_dirs(test_path("state"), 0700, &err), err);
}

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
    make_archive();
    rig_write("cohort.csv", RIG_CSV_HEADER ROWS);
    (void)snprintf(csv, sizeof csv, "%s/cohort.csv", test_dir());
    for (n = 0; n < SWEEP_MAX; n++) {
        test_row("allocation %ld", n);
        rig_open(&r, NULL);
        rig_close_site(&r);                  /* leaves the settings */
        clear();
        fault_alloc_after(n);
        bool ok = open_and_populate(&r.settings, csv, &err), reached = fault_alloc_stop();
        CHECK(ok || reached);
        CHECK(ok ? err.code == PIXL_OK : err.code == PIXL_E_NOMEM);
        pixl_error_clear(&err);
        settings_done(&r.settings);

        /* The same again adds what is missing, and nothing twice. */
        rig_open(&r, NULL);
        rig_populate(&r, ROWS);
        if (n % 16 == 0 || !reached)
            finish(&r);
        rig_close(&r);
        clear();
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

/* A row whose claim was recovered is a suspect: one that ordinary claims leave alone, until it has arrived. */
static void work_off_suspects(struct site_rig *r)
{
    static const enum store_work works[] = { STORE_WORK_RETRIEVE, STORE_WORK_DELIVER };
    for (size_t i = 0; i < ARRAY_LEN(works); i++) {
        const struct store_claim c = { .work = works[i],
                                       .owner = site_owner(r->site),
                                       .now_us = INT64_MAX / 2,
                                       .lease_us = 1000000,
                                       .suspects = true,
                                       .spool = str_of(site_spool(r->site)) };
        struct store_image image;
        struct extract_result result;
        for (bool got = true; got;) {
            REQUIRE_OK(store_claim_next(site_store(r->site), &c, &r->arena, &got, &image, &err), err);
            if (!got)
                break;
            bool retrieves = works[i] == STORE_WORK_RETRIEVE;
            (retrieves ? extract_study : extract_deliver)(&r->x, &image, &result);
            CHECK_INT(rig_settle(r, &image, &result).state, retrieves ? STUDY_DEIDENTIFIED : STUDY_EXPORTED);
        }
    }
}

static void sweep_step(const struct step *step, long least)
{
    long n;
    make_archive();
    for (n = 0; n < SWEEP_MAX; n++) {
        struct site_rig r;
        struct store_image image;
        struct extract_result result;
        test_row("allocation %ld", n);
        rig_open(&r, NULL);
        rig_populate(&r, ROWS);
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
        work_off_suspects(&r);
        finish(&r);
        rig_close(&r);
        clear();
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
