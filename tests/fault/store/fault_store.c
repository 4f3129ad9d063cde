#include "store/store.h"

#include "../../unit/store/store_helper.h"
#include "fault.h"

static struct arena arena;

/* One study from its cohort row to its delivery, as far as memory lasts; begun again, it goes on where it stood. */
static const struct ask one = { .mrn = "1", .accession = "A", .series = "1.4\\1.3", .participant = "P" };

static bool populate_one(struct store *s, const struct ask *a, struct pixl_error *err)
{
    struct store_populate *p = NULL;
    struct study_request r = request_of(a);
    enum store_added what;
    if (!store_populate_begin(s, false, &p, err))
        return false;
    if (store_populate_add(p, &r, T0, &what, NULL, err))
        return store_populate_end(p, err);
    struct pixl_error second = { 0 };
    CHECK(!store_populate_end(p, &second));      /* what was broken off is not reported as done */
    CHECK_INT(second.code, err->code);
    return false;
}

static bool retrieve_one(struct store *s, struct pixl_error *err)
{
    struct store_image m;
    bool got = false, widened;
    int64_t n = 0, mine;
    struct store_claim c = { .work = STORE_WORK_RETRIEVE, .owner = ME, .now_us = T0, .lease_us = LEASE };
    if (!store_recover_claims(s, "nobody-else", "", T0, &n, err) || !store_claim_next(s, &c, &arena, &got, &m, err))
        return false;
    if (!got) {
        c.suspects = true;
        if (!store_claim_image(s, &c, 1, &arena, &got, &m, err) ||
            (!got && !store_claim_next(s, &c, &arena, &got, &m, err)))
            return false;
    }
    if (!got)
        return true;                             /* done before */
    struct phi_text uids[] = { phi_text(STR("1.2")), phi_text(STR("1.3")) };
    if (!store_resolve(s, m.id, m.fence, uids, 2, T0, &mine, err))
        return false;
    struct store_move move = move_of(m.id, m.fence, STUDY_DEIDENTIFIED);
    char pseudo[32];
    (void)snprintf(pseudo, sizeof pseudo, "2.25.%lld", (long long)m.id);
    move.pseudo_study_uid = pseudo;
    move.series_version = m.series_version;
    move.spool = "here";
    const int64_t skipped[STUDY_REASON_COUNT] = { [STUDY_WHY_MODALITY] = 2, [STUDY_WHY_SERIES_NUMBER] = 1 };
    move.skipped_by = skipped;
    move.instances_skipped = 3;
    return store_move(s, &move, &widened, err);
}

static bool load_report(struct store *s, struct pixl_error *err)
{
    struct store_report_load *l = NULL;
    struct store_subject of;
    enum store_report_put what;
    const struct store_report r = { .procedure_occurrence_id = 0, .text = STR("a report") };
    bool got = false;
    if (!store_reports_begin(s, false, &l, err))
        return false;
    if (store_reports_enter(l, STR("p"), STR(TIME_1), &got, err) && store_reports_subject(l, 0, &arena, &of, err) &&
        store_reports_put(l, &r, T0, &what, err)) {
        CHECK(got && of.request != 0 && of.n_needles > 4);
        return store_reports_end(l, err);
    }
    struct pixl_error second = { 0 };
    CHECK(!store_reports_end(l, &second));
    CHECK_INT(second.code, err->code);
    return false;
}

static bool take_outcome(void *ctx, const struct store_outcome *o)
{
    ++*(int *)ctx;
    return o->state == STUDY_DEIDENTIFIED;
}

static bool take_report(void *ctx, const struct store_report *r, const struct store_subject *of)
{
    *(int *)ctx += 10;
    return str_eq(r->text, STR("a report")) && of->request != 0;
}

static bool read_extract(struct store *s, struct pixl_error *err)
{
    int n = 0;
    const struct store_extract_reader reader = { take_outcome, take_report, &n };
    bool ok = store_read_extract(s, STR("p"), STR(TIME_1), &reader, err);
    if (ok)
        CHECK_INT(n, 12); /* two studies of one request, and its report */
    return ok;
}

static bool take_unhinted(void *ctx, const struct store_unhinted *u)
{
    *(struct store_unhinted *)ctx = *u;
    return true;
}

/* Another study is asked for, hinted, found by the words of its hint, and held back. */
static bool hint_one(struct store *s, struct pixl_error *err)
{
    struct store_unhinted u = { .hint = { 0, 0 } };
    struct ask a = { .mrn = "2", .accession = "B", .series = "1.4\\1.3", .time = "2024-01-01T00:00:00" };
    struct study_request r = request_of(&a);
    int64_t *ids, n;
    size_t n_ids;
    bool got, holds;
    if (!store_dispatch_lock(s, &got, err) || !store_dispatch_holds(s, &holds, err))
        return false;
    store_dispatch_unlock(s);
    CHECK(got && holds);
    if (!populate_one(s, &a, err) || !store_each_unhinted(s, T0, NULL, 0, 1, take_unhinted, &u, err) ||
        !store_set_hinted(s, &u.hint, 1, T0, err) || !store_forget_hints(s, 1, T0 + 1, &n, err) ||
        !store_find_asked(s, &r, &arena, &ids, &n_ids, err) || !store_hold_queued(s, T0, &n, err))
        return false;
    CHECK_INT(n_ids, 1);
    return true;
}

static bool whole_life(const char *url, struct pixl_error *err)
{
    struct store *s = NULL;
    if (!store_open(url, &s, err))
        return false;
    int64_t *ids, newest = -1;
    size_t n_ids, n_projects;
    struct str *projects, meta;
    bool ok = hint_one(s, err) && populate_one(s, &one, err) && retrieve_one(s, err) && retrieve_one(s, err) &&
              store_find_images(s, phi_text(STR("A")), &arena, &ids, &n_ids, err) &&
              store_newest_image(s, &newest, err) && store_projects(s, &arena, &projects, &n_projects, err) &&
              load_report(s, err) && read_extract(s, err) &&
              store_meta_put_if_absent(s, "k", STR("v"), &arena, &meta, err);
    if (ok)
        CHECK(n_ids == 2 && newest == ids[1] && n_projects == 1 && str_eq(meta, STR("v")));
    store_close(s);
    return ok;
}

/* Each round makes a store anew, which a server and the sanitizers make slow: there it is every third allocation. */
static long step(void)
{
#ifdef PIXL_SANITIZED
    const char *backend = getenv("TEST_STORE");
    return backend != NULL && strcmp(backend, "postgres") == 0 ? 3 : 1;
#else
    return 1;
#endif
}

static void test_store__survives_each_failed_allocation(void)
{
    long n;
    for (n = 0;; n += step()) {
        test_row("allocation %ld", n);
        struct pixl_error err = { 0 };
        const char *url = store_url(false);
        arena_init(&arena, 1 << 20);
        fault_alloc_after(n);
        bool ok = whole_life(url, &err);
        bool reached = fault_alloc_stop();
        arena_done(&arena);
        if (!reached) {
            CHECK_OK(ok, err);
            break;
        }
        if (!ok) {
            CHECK_FAILS(ok, err, PIXL_E_NOMEM);
            arena_init(&arena, 1 << 20);
            CHECK_OK(whole_life(url, &err), err);        /* with memory it goes on, and ends in the same place */
            arena_done(&arena);
        }
        struct store *s = NULL;
        REQUIRE_OK(store_open(url, &s, &err), err);
        struct store_counts c = count_of(s);
        CHECK_INT(c.requests, 2);
        CHECK_INT(c.by_state[STUDY_DEIDENTIFIED], 2);
        CHECK_INT(c.by_state[STUDY_HELD], 1);
        CHECK_INT(images_in(s), 3);
        CHECK_INT(c.skipped_by[STUDY_WHY_MODALITY] * 10 + c.skipped_by[STUDY_WHY_SERIES_NUMBER], 42);
        store_close(s);
    }
    CHECK(n > 30);
    printf("    %ld allocations\n", n);
}

int main(int argc, char **argv)
{
    static const struct test_case tests[] = { TEST(test_store__survives_each_failed_allocation) };
    test_timeout_s = 600;
    return test_main(argc, argv, tests, ARRAY_LEN(tests));
}
