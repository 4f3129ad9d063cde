#include "store/store.h"

#include <signal.h>
#include <sys/wait.h>

#include "store_helper.h"

/* --- rows without a hint --------------------------------------------------------------------------------------- */

enum { SEEN_MAX = 16 };
struct seen {
    struct store_unhinted at[SEEN_MAX];
    size_t n;
};

static struct str keep(struct str s)
{
    struct str copy = arena_str(test_arena(), s);
    REQUIRE(copy.p != NULL);
    return copy;
}

static bool see(void *ctx, const struct store_unhinted *u)
{
    struct seen *s = ctx;
    REQUIRE(s->n < SEEN_MAX);
    struct store_unhinted *to = &s->at[s->n++];
    *to = *u;
    to->request.project = keep(u->request.project);
    to->request.mrn = phi_text(keep(phi_reveal(u->request.mrn)));
    to->request.accession_number = phi_text(keep(phi_reveal(u->request.accession_number)));
    to->request.study_uid = phi_text(keep(phi_reveal(u->request.study_uid)));
    to->request.series_uids = phi_text(keep(phi_reveal(u->request.series_uids)));
    to->request.extract_time = keep(u->request.extract_time);
    return true;
}

static struct seen unhinted(struct store *s, int64_t now_us, size_t max)
{
    struct pixl_error err = { 0 };
    struct seen seen = { .n = 0 };
    REQUIRE_OK(store_each_unhinted(s, now_us, NULL, 0, max, see, &seen, &err), err);
    return seen;
}

static bool refuse(void *ctx, const struct store_unhinted *u)
{
    (void)u;
    ++*(int *)ctx;
    return false;
}

static void hint_all(struct store *s, const struct seen *seen, int64_t now_us)
{
    struct pixl_error err = { 0 };
    struct store_hint hints[SEEN_MAX];
    for (size_t i = 0; i < seen->n; i++)
        hints[i] = seen->at[i].hint;
    REQUIRE_OK(store_set_hinted(s, hints, seen->n, now_us, &err), err);
}

static void test_unhinted__come_by_priority_date_and_number(void)
{
    struct store *s = open_store();
    add(s, (struct ask){ .mrn = "1", .accession = "A", .date = 20200102 });
    add(s, (struct ask){ .mrn = "2", .accession = "B", .date = 20200101 });
    add(s, (struct ask){ .mrn = "3", .accession = "C", .date = 20210101, .priority = 5 });
    add(s, (struct ask){ .mrn = "4", .accession = "D", .date = 20200101 });
    add(s, (struct ask){ .project = "q", .mrn = "5", .accession = "E" });
    static const int64_t order[] = { 3, 5, 2, 4, 1 };
    struct seen seen = unhinted(s, T0, 10);
    CHECK_INT(seen.n, ARRAY_LEN(order));
    for (size_t i = 0; i < seen.n && i < ARRAY_LEN(order); i++)
        CHECK_INT(seen.at[i].hint.image, order[i]);
    CHECK_INT(seen.at[0].request.priority, 5);
    seen = unhinted(s, T0, 2);
    CHECK_INT(seen.n, 2);
    hint_all(s, &seen, T0);
    seen = unhinted(s, T0, 10);
    CHECK_INT(seen.n, 3);
    CHECK_INT(seen.at[0].hint.image, 2);
    struct pixl_error err = { 0 };
    int n = 0;
    CHECK_FAILS(store_each_unhinted(s, T0, NULL, 0, 10, refuse, &n, &err), err, PIXL_E_CANCELLED);
    CHECK_INT(n, 1);
    store_close(s);
}

static void test_unhinted__some_are_passed_over(void)
{
    struct store *s = open_store();
    struct pixl_error err = { 0 };
    for (int i = 0; i < 6; i++) {
        char accession[] = { (char)('A' + i), '\0' };
        add(s, (struct ask){ .mrn = "1", .accession = accession });
    }
    const int64_t but[] = { 1, 2, 4, 77 };
    struct seen seen = { .n = 0 };
    REQUIRE_OK(store_each_unhinted(s, T0, but, ARRAY_LEN(but), 2, see, &seen, &err), err);
    REQUIRE(seen.n == 2);
    CHECK_INT(seen.at[0].hint.image, 3);
    CHECK_INT(seen.at[1].hint.image, 5);
    seen.n = 0;
    REQUIRE_OK(store_each_unhinted(s, T0, but, ARRAY_LEN(but), 10, see, &seen, &err), err);
    CHECK_INT(seen.n, 3);
    CHECK_INT(seen.at[2].hint.image, 6);
    store_close(s);
}

static void test_unhinted__another_priority_takes_them_elsewhere(void)
{
    struct store *s = open_store();
    add(s, (struct ask){ .mrn = "1", .accession = "A" });
    add(s, (struct ask){ .mrn = "1", .accession = "B" });
    add(s, (struct ask){ .mrn = "1", .accession = "B", .procedure = 2, .priority = 4 });
    struct seen seen = unhinted(s, T0, 10);
    REQUIRE(seen.n == 2);
    CHECK_INT(seen.at[0].hint.image, 2);
    CHECK_INT(seen.at[0].request.priority, 4);
    hint_all(s, &seen, T0);
    add(s, (struct ask){ .mrn = "1", .accession = "A", .procedure = 2, .priority = 4 });
    CHECK_INT(image_of(s, 1).priority, 4);
    CHECK_INT(unhinted(s, T0, 10).n, 0); /* it was told */
    store_close(s);
}

static void test_unhinted__speak_in_the_words_of_the_first_request(void)
{
    struct store *s = open_store();
    struct pixl_error err = { 0 };
    int64_t *ids;
    size_t n;
    add(s, (struct ask){ .mrn = "M",
                         .accession = "A",
                         .uid = "1.2",
                         .series = "1.9\\1.4",
                         .procedure = 7,
                         .priority = 3,
                         .date = 20201231 });
    add(s, (struct ask){ .mrn = "M", .accession = "B", .uid = "1.2", .series = "1.5", .procedure = 8, .priority = 4 });
    struct seen seen = unhinted(s, T0, 10);
    REQUIRE(seen.n == 1);
    const struct study_request *r = &seen.at[0].request;
    CHECK_STR(r->project, "p");
    CHECK_STR(phi_reveal(r->mrn), "M");
    CHECK_STR(phi_reveal(r->accession_number), "A");
    CHECK_STR(phi_reveal(r->study_uid), "1.2");
    CHECK_STR(phi_reveal(r->series_uids), "1.4\\1.9");
    CHECK_STR(r->extract_time, TIME_1);
    CHECK_INT(r->procedure_occurrence_id, 7);
    CHECK_INT(r->study_date, 20201231);
    CHECK_INT(r->priority, 4);
    CHECK(study_request_check(r, &err));
    REQUIRE_OK(store_find_asked(s, r, test_arena(), &ids, &n, &err), err);
    REQUIRE(n == 1);
    CHECK_INT(ids[0], 1);
    store_close(s);
}

static void test_unhinted__only_rows_that_are_due(void)
{
    struct store *s = open_store();
    for (int i = 0; i < 5; i++) {
        char accession[] = { (char)('A' + i), '\0' };
        add(s, (struct ask){ .mrn = "1", .accession = accession });
    }
    struct pixl_error err = { 0 };
    struct store_image m = claim(s); /* 1: put off */
    struct store_move later = move_of(m.id, m.fence, STUDY_QUEUED);
    later.not_before_us = T0 + 1000;
    REQUIRE_OK(store_move(s, &later, NULL, &err), err);
    bring(s, 2, STUDY_MISSING);
    m = claim(s); /* 3: a suspect */
    REQUIRE(m.id == 3);
    int64_t n;
    REQUIRE_OK(store_recover_claims(s, "other", NULL, T0 + LEASE + 1, &n, &err), err);
    CHECK_INT(n, 1);
    struct seen seen = unhinted(s, T0, 10);
    CHECK_INT(seen.n, 2);
    CHECK_INT(seen.at[0].hint.image, 4);
    seen = unhinted(s, T0 + 1000, 10);
    CHECK_INT(seen.n, 3);
    CHECK_INT(seen.at[0].hint.image, 1);
    seen = unhinted(s, T0 - 2 * STORE_PUT_OFF_MAX_US, 10); /* the clock was set back */
    CHECK_INT(seen.n, 3);
    store_close(s);
}

static void test_hinted__is_of_one_fence_and_gone_when_queued_anew(void)
{
    struct store *s = open_store();
    struct pixl_error err = { 0 };
    add(s, (struct ask){ .mrn = "1", .accession = "A" });
    struct seen before = unhinted(s, T0, 10);
    struct store_image m = claim(s);
    hint_all(s, &before, T0); /* the confirm came after the claim */
    struct store_move again = move_of(m.id, m.fence, STUDY_QUEUED);
    REQUIRE_OK(store_move(s, &again, NULL, &err), err);
    hint_all(s, &before, T0); /* ... or even later */
    struct seen now = unhinted(s, T0, 10);
    REQUIRE(now.n == 1);
    CHECK_INT(now.at[0].hint.fence, before.at[0].hint.fence + 1);
    hint_all(s, &now, T0);
    CHECK_INT(unhinted(s, T0, 10).n, 0);
    m = claim(s);
    CHECK_INT(unhinted(s, T0, 10).n, 0);
    again = move_of(m.id, m.fence, STUDY_QUEUED);
    REQUIRE_OK(store_move(s, &again, NULL, &err), err);
    CHECK_INT(unhinted(s, T0, 10).n, 1);
    bring(s, 1, STUDY_FAILED);
    CHECK_INT(unhinted(s, T0, 10).n, 0);
    const struct store_filter failed = { .states = 1u << STUDY_FAILED };
    int64_t n;
    REQUIRE_OK(store_retry(s, &failed, NULL, 0, T0, &n, &err), err);
    CHECK_INT(unhinted(s, T0, 10).n, 1);
    store_close(s);
}

/* Whatever queues a row, it wants a hint: of its new fence, though one of another was given. */
static void check_wanted(struct store *s, int64_t image)
{
    struct seen now = unhinted(s, T0 + 1, 10);
    CHECK_INT(image_of(s, image).state, STUDY_QUEUED);
    REQUIRE(now.n == 1);
    CHECK_INT(now.at[0].hint.image, image);
    CHECK_INT(now.at[0].hint.fence, image_of(s, image).fence);
    hint_all(s, &now, T0 + 1);
    CHECK_INT(unhinted(s, T0 + 1, 10).n, 0);
}

static void test_hinted__until_the_row_is_queued_anew(void)
{
    static const enum study_state ends[] = { STUDY_MISSING, STUDY_SKIPPED, STUDY_FAILED, STUDY_WITHHELD, STUDY_HELD };
    struct pixl_error err = { 0 };
    struct store *s = open_store();
    int64_t n;
    add(s, (struct ask){ .mrn = "1", .accession = "A", .series = "1.1" });
    check_wanted(s, 1);
    for (size_t i = 0; i < ARRAY_LEN(ends); i++) {
        test_row("retry of %s", study_state_name(ends[i]));
        const struct store_filter f = { .states = 1u << ends[i] };
        bring(s, 1, ends[i]);
        CHECK_INT(unhinted(s, T0, 10).n, 0);
        REQUIRE_OK(store_retry(s, &f, NULL, 0, T0, &n, &err), err);
        check_wanted(s, 1);
    }
    test_row("more series are asked for");
    bring(s, 1, STUDY_MISSING);
    add(s, (struct ask){ .mrn = "1", .accession = "A", .series = "1.2", .procedure = 2 });
    check_wanted(s, 1);
    test_row("more series while it is worked on");
    struct store_image m = claim(s);
    add(s, (struct ask){ .mrn = "1", .accession = "A", .series = "1.3", .procedure = 3 });
    struct store_move done = move_of(1, m.fence, STUDY_SKIPPED);
    bool widened = false;
    done.series_version = m.series_version;
    REQUIRE_OK(store_move(s, &done, &widened, &err), err);
    CHECK(widened);
    check_wanted(s, 1);
    test_row("a lease that ended");
    m = claim(s);
    REQUIRE_OK(store_recover_claims(s, ME, NULL, T0 + LEASE + 1, &n, &err), err);
    check_wanted(s, 1);
    test_row("a spool that is lost");
    bring(s, 1, STUDY_DEIDENTIFIED);
    CHECK_INT(unhinted(s, T0, 10).n, 0);
    move_to(s, 1, STUDY_QUEUED);
    check_wanted(s, 1);
    test_row("two studies are found");
    m = claim(s);
    const struct phi_text uids[] = { phi_text(STR("1.2.1")), phi_text(STR("1.2.2")) };
    int64_t mine = -1;
    REQUIRE_OK(store_resolve(s, 1, m.fence, uids, 2, T0, &mine, &err), err);
    check_wanted(s, 2);
    store_close(s);
}

static void test_hinted__older_ones_are_forgotten(void)
{
    struct store *s = open_store();
    struct pixl_error err = { 0 };
    int64_t n;
    add(s, (struct ask){ .mrn = "1", .accession = "A" });
    struct seen seen = unhinted(s, T0, 10);
    hint_all(s, &seen, T0);
    add(s, (struct ask){ .mrn = "1", .accession = "B" });
    seen = unhinted(s, T0, 10);
    hint_all(s, &seen, T0 + 10);
    REQUIRE_OK(store_forget_hints(s, 1, T0, &n, &err), err);
    CHECK_INT(n, 0);
    REQUIRE_OK(store_forget_hints(s, 1, T0 + 10, &n, &err), err);
    CHECK_INT(n, 1);
    seen = unhinted(s, T0, 10);
    REQUIRE(seen.n == 1);
    CHECK_INT(seen.at[0].hint.image, 1);
    (void)claim(s);
    REQUIRE_OK(store_forget_hints(s, 3, INT64_MAX, &n, &err), err); /* of the other: this one is claimed */
    CHECK_INT(n, 1);
    store_close(s);
}

static void test_asked__is_the_very_same_request(void)
{
    struct store *s = open_store();
    add(s, (struct ask){ .mrn = "1", .accession = "A", .uid = "1.2", .series = "1.5\\1.4", .procedure = 7 });
    static const struct {
        const char *name;
        struct ask ask;
        size_t n;
    } rows[] = {
        { "the same", { .mrn = "1", .accession = "A", .uid = "1.2", .series = "1.4\\1.5", .procedure = 7 }, 1 },
        { "other date",
          { .mrn = "1", .accession = "A", .uid = "1.2", .series = "1.4\\1.5", .procedure = 7, .date = 20200101 },
          1 },
        { "other procedure", { .mrn = "1", .accession = "A", .uid = "1.2", .series = "1.4\\1.5" }, 0 },
        { "other series", { .mrn = "1", .accession = "A", .uid = "1.2", .series = "1.4", .procedure = 7 }, 0 },
        { "other MRN", { .mrn = "2", .accession = "A", .uid = "1.2", .series = "1.4\\1.5", .procedure = 7 }, 0 },
        { "other project",
          { .project = "q", .mrn = "1", .accession = "A", .uid = "1.2", .series = "1.4\\1.5", .procedure = 7 },
          0 },
        { "other time",
          { .mrn = "1",
            .accession = "A",
            .uid = "1.2",
            .series = "1.4\\1.5",
            .procedure = 7,
            .time = "2024-01-01T00:00:00" },
          0 },
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        test_row("%s", rows[i].name);
        struct pixl_error err = { 0 };
        struct study_request r = request_of(&rows[i].ask);
        int64_t *ids = NULL;
        size_t n = 99;
        REQUIRE_OK(store_find_asked(s, &r, test_arena(), &ids, &n, &err), err);
        CHECK_INT(n, rows[i].n);
    }
    store_close(s);
}

static void test_purge__holds_what_is_queued_and_nothing_else(void)
{
    struct store *s = open_store();
    struct pixl_error err = { 0 };
    int64_t n;
    for (int i = 0; i < 4; i++) {
        char accession[] = { (char)('A' + i), '\0' };
        add(s, (struct ask){ .mrn = "1", .accession = accession });
    }
    bring(s, 1, STUDY_EXPORTED);
    struct store_image m = claim(s);
    struct seen seen = unhinted(s, T0, 10);
    REQUIRE_OK(store_hold_queued(s, T0 + 5, &n, &err), err);
    CHECK_INT(n, 2);
    hint_all(s, &seen, T0 + 6);
    struct store_counts c = count_of(s);
    CHECK_INT(c.by_state[STUDY_HELD], 2);
    CHECK_INT(c.by_state[STUDY_EXPORTED], 1);
    CHECK_INT(c.by_state[STUDY_RETRIEVING], 1);
    CHECK_INT(image_of(s, 3).updated_us, T0 + 5);
    CHECK_INT(unhinted(s, T0, 10).n, 0);
    struct store_move done = move_of(m.id, m.fence, STUDY_MISSING); /* who works goes on */
    CHECK_OK(store_move(s, &done, NULL, &err), err);
    CHECK_INT(add(s, (struct ask){ .mrn = "1", .accession = "C" }), STORE_REVIVED);
    CHECK_INT(unhinted(s, T0, 10).n, 1);
    const struct store_filter held = { .states = 1u << STUDY_HELD };
    REQUIRE_OK(store_retry(s, &held, NULL, 0, T0, &n, &err), err);
    CHECK_INT(n, 1);
    CHECK_INT(image_of(s, 4).state, STUDY_QUEUED);
    CHECK_INT(unhinted(s, T0, 10).n, 2);
    store_close(s);
}

/* --- the dispatcher's lock ------------------------------------------------------------------------------------- */

static bool take_lock(struct store *s)
{
    struct pixl_error err = { 0 };
    bool got = false;
    REQUIRE_OK(store_dispatch_lock(s, &got, &err), err);
    return got;
}

static bool holds_lock(struct store *s)
{
    struct pixl_error err = { 0 };
    bool holds = false;
    REQUIRE_OK(store_dispatch_holds(s, &holds, &err), err);
    return holds;
}

/* A server sees the end of a connection a moment later. */
static void take_lock_soon(struct store *s)
{
    for (int i = 0; i < 400 && !take_lock(s); i++)
        usleep(50000);
    CHECK(holds_lock(s));
}

static void test_dispatch_lock__is_held_by_one(void)
{
    struct pixl_error err = { 0 };
    struct store *a = open_store(), *b = NULL;
    REQUIRE_OK(store_open(store_url(true), &b, &err), err);
    CHECK(!holds_lock(a));
    CHECK(take_lock(a));
    CHECK(holds_lock(a));
    CHECK(!take_lock(a));
    CHECK(!take_lock(b));
    CHECK(!holds_lock(b));
    store_dispatch_unlock(a);
    CHECK(!holds_lock(a));
    take_lock_soon(b);
    CHECK(!take_lock(a));
    store_close(b);
    take_lock_soon(a);
    store_close(a);
}

static void test_dispatch_lock__goes_with_its_holder(void)
{
    struct pixl_error err = { 0 };
    store_close(open_store());
    int ready[2];
    char byte;
    REQUIRE(pipe(ready) == 0);
    pid_t holder = fork();
    REQUIRE(holder >= 0);
    if (holder == 0) {
        struct store *s = NULL;
        bool ok = store_open(store_url(true), &s, &err) && take_lock(s);
        (void)!write(ready[1], ok ? "y" : "n", 1);
        for (;;)
            (void)pause();
    }
    REQUIRE(read(ready[0], &byte, 1) == 1 && byte == 'y');
    struct store *s = NULL;
    REQUIRE_OK(store_open(store_url(true), &s, &err), err);
    CHECK(!take_lock(s));
    CHECK(kill(holder, SIGKILL) == 0 && waitpid(holder, NULL, 0) == holder);
    bool got = false;
    for (int i = 0; i < 100 && !got; i++) {
        got = take_lock(s);
        usleep(50000);
    }
    CHECK(got);
    store_close(s);
}

static void test_dispatch_lock__goes_with_its_connection(void)
{
    if (!is_postgres())
        return;
    struct pixl_error err = { 0 };
    struct store *s = open_store();
    CHECK(take_lock(s));
    struct pg_options o = { .url = store_url(true), .connect_ms = 10000, .statement_ms = 60000, .lock_ms = 10000 };
    pg_db_auto *db = NULL;
    REQUIRE_OK(pg_db_open(&o, &db, &err), err);
    REQUIRE_OK(sql_exec(pg_db_sql(db),
                        SQL("SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                            " WHERE pid <> pg_backend_pid() AND usename = 'pixl'"),
                        &err),
               err);
    usleep(200000);
    bool holds = true;
    bool asked = store_dispatch_holds(s, &holds, &err); /* told either way */
    CHECK(!asked || !holds);
    if (!asked)
        CHECK_FAILS(asked, err, PIXL_E_UNAVAILABLE);
    CHECK(!holds_lock(s));
    CHECK(take_lock(s));
    CHECK(holds_lock(s));
    store_close(s);
}

int main(int argc, char **argv)
{
    static const struct test_case tests[] = {
        TEST(test_unhinted__come_by_priority_date_and_number),
        TEST(test_unhinted__some_are_passed_over),
        TEST(test_unhinted__another_priority_takes_them_elsewhere),
        TEST(test_unhinted__speak_in_the_words_of_the_first_request),
        TEST(test_unhinted__only_rows_that_are_due),
        TEST(test_hinted__is_of_one_fence_and_gone_when_queued_anew),
        TEST(test_hinted__until_the_row_is_queued_anew),
        TEST(test_hinted__older_ones_are_forgotten),
        TEST(test_asked__is_the_very_same_request),
        TEST(test_purge__holds_what_is_queued_and_nothing_else),
        TEST(test_dispatch_lock__is_held_by_one),
        TEST(test_dispatch_lock__goes_with_its_holder),
        TEST(test_dispatch_lock__goes_with_its_connection),
    };
    return test_main(argc, argv, tests, ARRAY_LEN(tests));
}
