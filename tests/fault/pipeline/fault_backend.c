/* Each call of the store, the archive and the destination that a populate, an attempt, its move or a publishing makes fails once, in every
 * way, before or after its work was done.  Nothing is lost, nothing arrives twice or half, and the same again mends it. */
#include "fault_calls.h"
#include "pipeline/publish.h"
#include "sweep_rig.h"

enum { SWEEP_MAX = 200 };

struct way {
    enum pixl_code code;
    enum fault_when when;
};
static const struct way ways[] = {
    { PIXL_E_NOMEM, FAULT_BEFORE },     { PIXL_E_UNAVAILABLE, FAULT_BEFORE }, { PIXL_E_BUSY, FAULT_BEFORE },
    { PIXL_E_IO, FAULT_BEFORE },        { PIXL_E_NO_SPACE, FAULT_BEFORE },    { PIXL_E_DENIED, FAULT_BEFORE },
    { PIXL_E_CORRUPT, FAULT_BEFORE },   { PIXL_E_NOT_FOUND, FAULT_BEFORE },   { PIXL_E_LIMIT, FAULT_BEFORE },
    { PIXL_E_INVALID, FAULT_BEFORE },   { PIXL_E_EXISTS, FAULT_BEFORE },      { PIXL_E_STALE, FAULT_BEFORE },
    { PIXL_E_CANCELLED, FAULT_BEFORE }, { PIXL_E_UNAVAILABLE, FAULT_AFTER },  { PIXL_E_IO, FAULT_AFTER },
};

/* Runs what with each call failing in each way; says how far it got.  Wanted are calls of each of the names. */
static void sweep(const char *what, void (*run)(const struct way *w, long n, const char **failed),
                  const char *const *names)
{
    enum { NAMES_MAX = 24 };
    long runs = 0, most = 0, met[NAMES_MAX] = { 0 };
    for (size_t i = 0; i < ARRAY_LEN(ways); i++) {
        const struct way *w = &ways[i];
        long n = 0;
        for (const char *failed = ""; failed != NULL && n < SWEEP_MAX; n++) {
            test_row("%s: %s %s call %ld", what, pixl_code_name(w->code),
                     w->when == FAULT_AFTER ? "after" : "in place of", n);
            run(w, n, &failed);
            for (size_t k = 0; failed != NULL && names[k] != NULL; k++)
                met[k] += strcmp(names[k], failed) == 0;
            runs += failed != NULL;
        }
        CHECK(n < SWEEP_MAX);
        most = n - 1 > most ? n - 1 : most;
    }
    printf("    %s: up to %ld calls, %zu ways, %ld faults:", what, most, ARRAY_LEN(ways), runs);
    for (size_t k = 0; names[k] != NULL; k++) {
        printf(" %s %ld", names[k], met[k]);
        CHECK(met[k] > 0);
    }
    printf("\n");
}

/* What ended for good, as for some kinds of errors it must, is taken back to work by hand; a claim that nobody knows of by the next run. */
static void mend(struct site_rig *r)
{
    int64_t n;
    REQUIRE_OK(store_recover_claims(site_store(r->site), "next", "", 1000, &n, &err), err);
    const struct store_filter f = { .states = 1u << STUDY_FAILED };
    REQUIRE_OK(store_retry(site_store(r->site), &f, NULL, 0, 1000, &n, &err), err);
    sweep_work_off_suspects(r);
    sweep_finish(r);
}

static void end_run(struct site_rig *r)
{
    rig_close(r);
    sweep_clear();
    REQUIRE_OK(fs_remove_tree(test_path("exports"), &err), err);
}

/* --- populating ----------------------------------------------------------------------------------------------------- */

static void populate_failing(const struct way *w, long n, bool again, const char **failed)
{
    struct site_rig r;
    struct populate_counts counts = { .rows = -1 };
    const struct populate_options o = { .path = test_path("cohort.csv"), .priority = 1 };
    rig_open(&r, NULL);
    if (again)
        rig_populate(&r, SWEEP_ROWS);
    fault_call_after(n, w->code, w->when);
    bool ok = populate_cohort(r.site, &o, &counts, &err);
    *failed = fault_call_stop();
    /* A destination that is not there now is asked again before the first delivery. */
    bool waits = *failed != NULL && strcmp(*failed, "upload_check_key") == 0 &&
                 study_outcome_of(w->code) == STUDY_OUT_UNAVAILABLE;
    CHECK(ok == (*failed == NULL || waits));
    CHECK_INT(counts.rows, ok ? 2 : -1);
    CHECK(ok || (err.code == w->code && strstr(err.msg, *failed) != NULL));
    pixl_error_clear(&err);
    rig_populate(&r, SWEEP_ROWS);
    mend(&r);
    end_run(&r);
}

static void populate_with_fault(const struct way *w, long n, const char **failed)
{
    populate_failing(w, n, false, failed);
}

static void populate_again_with_fault(const struct way *w, long n, const char **failed)
{
    populate_failing(w, n, true, failed);
}

static void test_fault__populating(void)
{
    static const char *const names[] = { "store_populate_begin",
                                         "store_populate_add",
                                         "store_populate_end",
                                         "store_meta_put_if_absent",
                                         "upload_check_key",
                                         "store_extract_times",
                                         NULL };
    static const char *const again[] = { "store_extract_times", "store_each_procedure", "store_populate_begin",
                                         "store_populate_add",  "store_populate_end",   NULL };
    sweep_make_archive();
    rig_write("cohort.csv", RIG_CSV_HEADER SWEEP_ROWS);
    sweep("populate", populate_with_fault, names);
    sweep("populate again", populate_again_with_fault, again);
}

/* --- one attempt and its move --------------------------------------------------------------------------------------- */

struct step {
    enum store_work work;
    void (*attempt)(struct extract *x, const struct store_image *image, struct extract_result *out);
    enum study_state from, to; /* where a row goes on from; where it leads */
};

static void prepare(struct site_rig *r, const struct step *step)
{
    struct store_image image;
    struct extract_result result;
    rig_open(r, NULL);
    rig_populate(r, SWEEP_ROWS);
    while (step->work == STORE_WORK_DELIVER && rig_claim(r, STORE_WORK_RETRIEVE, &image)) {
        extract_study(&r->x, &image, &result);
        CHECK_INT(rig_settle(r, &image, &result).state, STUDY_DEIDENTIFIED);
    }
    rig_close(r); /* it looks at keys and markers anew */
    rig_open(r, NULL);
}

/* A move whose answer was lost is made again, as a lane does; what it led to is then known. */
static void settle_with_fault(struct site_rig *r, const struct store_image *image, const struct extract_result *result,
                              struct settled *s)
{
    if (settle(r->site, image, result, 1000, 5000, s, &err))
        return;
    CHECK(fault_call_stop() != NULL);
    pixl_error_clear(&err);
    CHECK_OK(settle(r->site, image, result, 1000, 5000, s, &err), err);
    CHECK(!s->lost);
}

static void attempt_with_fault(const struct step *step, const struct way *w, long n, const char **failed)
{
    struct site_rig r;
    struct store_image image = { 0 };
    struct extract_result result = { 0 };
    struct settled s = { 0 };
    bool got = false;
    prepare(&r, step);
    const struct store_claim c = { .work = step->work,
                                   .owner = site_owner(r.site),
                                   .now_us = INT64_MAX / 2,
                                   .lease_us = 1000000,
                                   .spool = str_of(site_spool(r.site)) };
    fault_call_after(n, w->code, w->when);
    bool claimed = store_claim_next(site_store(r.site), &c, &r.arena, &got, &image, &err);
    if (claimed && got) {
        step->attempt(&r.x, &image, &result);
        settle_with_fault(&r, &image, &result, &s);
    }
    *failed = fault_call_stop();
    CHECK(claimed ? got : *failed != NULL && err.code == w->code);
    pixl_error_clear(&err);
    if (claimed) {
        const struct store_image now = rig_image(&r, image.id);
        CHECK(s.lost || now.state == s.state);
        /* A zip that is damaged is made anew. */
        bool again = step->work == STORE_WORK_DELIVER && w->code == PIXL_E_CORRUPT && now.state == STUDY_QUEUED;
        CHECK(s.lost || again || now.state == step->from || now.state == step->to || now.state == STUDY_FAILED);
        CHECK(now.attempts <= 1 && (now.state == step->to || *failed != NULL));
        if (w->code == PIXL_E_CANCELLED && *failed != NULL && strcmp(*failed, "upload_study") == 0) {
            CHECK_INT(result.outcome, STUDY_OUT_CANCELLED);
            CHECK_INT(result.reason, STUDY_WHY_STOPPED);
            CHECK(now.attempts == 0 && now.state == step->from && result.error.code == PIXL_OK);
        }
    }
    mend(&r);
    end_run(&r);
}

static void retrieve_with_fault(const struct way *w, long n, const char **failed)
{
    static const struct step step = { STORE_WORK_RETRIEVE, extract_study, STUDY_QUEUED, STUDY_DEIDENTIFIED };
    attempt_with_fault(&step, w, n, failed);
}

static void deliver_with_fault(const struct way *w, long n, const char **failed)
{
    static const struct step step = { STORE_WORK_DELIVER, extract_deliver, STUDY_DEIDENTIFIED, STUDY_EXPORTED };
    attempt_with_fault(&step, w, n, failed);
}

static void test_fault__retrieving(void)
{
    static const char *const names[] = { "store_claim_next", "archive_find",          "store_resolve", "archive_list",
                                         "archive_fetch",    "archive_open_instance", "store_move",    NULL };
    sweep_make_archive();
    sweep("retrieve", retrieve_with_fault, names);
}

static void test_fault__delivering(void)
{
    static const char *const names[] = { "store_claim_next", "store_meta_put_if_absent", "upload_check_key", "upload_study",
                                         "store_move", NULL };
    sweep_make_archive();
    sweep("deliver", deliver_with_fault, names);
}

/* --- publishing ------------------------------------------------------------------------------------------------------ */

static const char *const tables[] = { "IMAGE_LINKER.parquet", "OUTCOMES.parquet" };

/* The tables at the destination are those of the export tree, and nothing is beside them. */
static void check_published(void)
{
#define AT_HAVEN "haven/rig/2023-12-07t14-08-58-00-00/parquet/radiology"
    size_t hidden;
    struct arena a;
    arena_init(&a, 1 << 24);
    CHECK_INT(rig_count(AT_HAVEN, &hidden), ARRAY_LEN(tables));
    CHECK_INT(hidden, 0);
    for (size_t i = 0; i < ARRAY_LEN(tables); i++) {
        char ours[200], theirs[200];
        struct str written = { 0 }, brought = { 0 };
        (void)snprintf(ours, sizeof ours, "exports/rig/all_extracts/2023-12-07t14-08-58-00-00/radiology/%s", tables[i]);
        (void)snprintf(theirs, sizeof theirs, AT_HAVEN "/%s", tables[i]);
        CHECK_OK(fs_read_whole(&a, test_path(ours), 1 << 20, &written, &err), err);
        CHECK_OK(fs_read_whole(&a, test_path(theirs), 1 << 20, &brought, &err), err);
        CHECK(written.n > 0 && str_eq(written, brought));
    }
    arena_done(&a);
}

static void publish_with_fault(const struct way *w, long n, const char **failed)
{
    struct site_rig r;
    struct publish_extract *e = NULL;
    size_t n_extracts = 0;
    rig_open(&r, NULL);
    rig_populate(&r, SWEEP_ROWS);
    sweep_finish(&r);
    fault_call_after(n, w->code, w->when);
    bool ok = publish_extracts(r.site, NULL, 0, true, &r.arena, &e, &n_extracts, &err);
    *failed = fault_call_stop();
    if (ok && CHECK_INT(n_extracts, 1)) {
        CHECK(e[0].delivered == (*failed == NULL));
        CHECK(e[0].delivered || e[0].error.code == w->code);
    } else {
        CHECK(*failed != NULL && err.code == w->code);
        pixl_error_clear(&err);
    }
    REQUIRE_OK(publish_extracts(r.site, NULL, 0, true, &r.arena, &e, &n_extracts, &err), err);
    CHECK(n_extracts == 1 && CHECK_OK(e[0].delivered, e[0].error));
    CHECK(e[0].unchanged == (*failed == NULL));
    CHECK_INT(e[0].counts.linked, e[0].unchanged ? 0 : 2);
    check_published();
    end_run(&r);
}

static void test_fault__publishing(void)
{
    static const char *const names[] = { "store_projects", "store_extract_times",   "store_read_extract",
                                         "upload_table",   "upload_withdraw_table", NULL };
    sweep_make_archive();
    sweep("publish", publish_with_fault, names);
}

int main(int argc, char **argv)
{
    static const struct test_case tests[] = {
        TEST(test_fault__populating),
        TEST(test_fault__retrieving),
        TEST(test_fault__delivering),
        TEST(test_fault__publishing),
    };
    test_timeout_s = 600;
    return test_main(argc, argv, tests, ARRAY_LEN(tests));
}
