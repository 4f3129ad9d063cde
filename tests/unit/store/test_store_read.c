#include "store/store.h"

#include <math.h>

#include "store_helper.h"

/* Five images in two projects: 1 exported, 2 missing, 3 queued (p); 4 failed, 5 deidentified (q). */
static struct store *open_filled(void)
{
    struct pixl_error err = { 0 };
    struct store *s = open_store();
    add(s, (struct ask){ .mrn = "1", .accession = "4", .procedure = 11 });
    bring(s, 1, STUDY_EXPORTED);
    add(s, (struct ask){ .mrn = "1", .accession = "B", .procedure = 12 });
    CHECK_INT(claim(s).id, 2);
    struct store_move m = move_of(2, 1, STUDY_MISSING);
    m.reason = STUDY_WHY_NOT_IN_ARCHIVE;
    CHECK_OK(store_move(s, &m, NULL, &err), err);
    add(s, (struct ask){ .project = "q", .mrn = "1", .accession = "D", .procedure = 14 });
    bring(s, 3, STUDY_FAILED);
    add(s, (struct ask){
               .project = "q", .mrn = "1", .accession = "E", .uid = "1.2.5", .procedure = 15, .time = "2020-01-01" });
    bring(s, 4, STUDY_DEIDENTIFIED);
    add(s, (struct ask){ .mrn = "1", .accession = "C", .procedure = 13 });
    add(s, (struct ask){ .mrn = "1", .accession = "4", .procedure = 21 });
    return s;
}

static bool add_number(void *ctx, const struct store_image *m)
{
    return buf_addf(ctx, "%lld ", (long long)m->id);
}

static bool stop_at_2(void *ctx, const struct store_image *m)
{
    return buf_addf(ctx, "%lld ", (long long)m->id) && m->id < 2;
}

static void test_each_image__keeps_to_its_filter(void)
{
    static const struct { const char *name, *project; unsigned states; const char *want; } rows[] = {
        { "all", NULL, 0, "1 2 3 4 5 " },
        { "project", "p", 0, "1 2 5 " },
        { "state", NULL, 1u << STUDY_FAILED | 1u << STUDY_QUEUED, "3 5 " },
        { "both", "q", 1u << STUDY_FAILED, "3 " },
        { "nobody", "r", 0, "" },
    };
    struct pixl_error err = { 0 };
    struct store *s = open_filled();
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        test_row("%s", rows[i].name);
        buf_auto b;
        buf_init(&b, 1000);
        struct store_filter f = { .project = str_of(rows[i].project), .states = rows[i].states };
        CHECK_OK(store_each_image(s, &f, add_number, &b, &err), err);
        CHECK_STR(buf_str(&b), rows[i].want);
    }
    test_row("ended by the caller");
    buf_auto b;
    buf_init(&b, 1000);
    CHECK_FAILS(store_each_image(s, &(struct store_filter){ .states = 0 }, stop_at_2, &b, &err), err, PIXL_E_CANCELLED);
    CHECK_STR(buf_str(&b), "1 2 ");
    CHECK_INT(claim(s).id, 5);                                   /* and the store goes on */
    struct store_image m = { .id = 0 };
    bool got = true;
    CHECK_OK(store_get_image(s, 99, test_arena(), &got, &m, &err), err);
    CHECK(!got);
    store_close(s);
}

static void test_find_images__takes_what_a_person_knows(void)
{
    static const struct { const char *ref, *want; } rows[] = {
        { "image 3", "3 " }, { "3", "3 " }, { " 3 ", "3 " },
        { "4", "1 4 " },                         /* a number, and an accession number */
        { "image 4", "4 " }, { "2.25.4", "4 " }, { "1.2.5", "4 " }, { "B", "2 " }, { "nothing", "" },
        { "", "" }, { "image ", "" }, { "99", "" }, { "-1", "" }, { "' OR 1", "" },
    };
    struct store *s = open_filled();
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        test_row("%s", rows[i].ref);
        struct pixl_error err = { 0 };
        int64_t *ids = NULL;
        size_t n = 99;
        CHECK_OK(store_find_images(s, phi_text(str_of(rows[i].ref)), test_arena(), &ids, &n, &err), err);
        buf_auto b;
        buf_init(&b, 1000);
        for (size_t k = 0; k < n; k++)
            (void)buf_addf(&b, "%lld ", (long long)ids[k]);
        CHECK_STR(buf_str(&b), rows[i].want);
    }
    store_close(s);
}

static void test_count__adds_up(void)
{
    struct pixl_error err = { 0 };
    struct store *s = open_filled();
    struct store_counts c = count_of(s);
    CHECK_INT(c.requests, 6);
    CHECK_INT(c.by_state[STUDY_EXPORTED], 1);
    CHECK_INT(c.by_state[STUDY_MISSING], 1);
    CHECK_INT(c.by_state[STUDY_QUEUED], 1);
    CHECK_INT(c.by_state[STUDY_FAILED], 1);
    CHECK_INT(c.by_state[STUDY_DEIDENTIFIED], 1);
    CHECK_INT(c.by_reason[STUDY_WHY_NOT_IN_ARCHIVE], 1);
    CHECK_INT(c.waiting_by[STUDY_WHY_NOT_IN_ARCHIVE], 0);
    CHECK_INT(c.waiting_by[STUDY_WHY_NONE], 2); /* the queued and the de-identified one */
    CHECK_INT(c.by_reason[STUDY_WHY_NONE], 1); /* the failed one; what is delivered has no reason to tell */
    CHECK_INT(c.instances_found, 6);
    CHECK_INT(c.instances_delivered, 2);                         /* of the exported one only */
    CHECK_INT(c.delivered_bytes, 100);
    CHECK_OK(store_count(s, STR("q"), &c, &err), err);
    CHECK_INT(c.requests, 2);
    CHECK_INT(c.by_state[STUDY_EXPORTED] + c.by_state[STUDY_QUEUED], 0);
    CHECK_OK(store_count(s, STR("nobody"), &c, &err), err);
    CHECK_INT(c.requests + c.instances_found, 0);
    store_close(s);
}

static void test_newest_image__is_below_all_that_comes(void)
{
    struct pixl_error err = { 0 };
    struct store *s = open_store();
    int64_t newest = -1, before = 0;
    CHECK_OK(store_newest_image(s, &newest, &err), err);
    CHECK_INT(newest, 0);
    static const struct ask asks[] = { { .mrn = "1", .accession = "A" },
                                       { .mrn = "2", .uid = "1.2", .project = "q" },
                                       { .mrn = "1", .accession = "B" } };
    for (size_t i = 0; i < ARRAY_LEN(asks); i++) {
        (void)add(s, asks[i]);
        CHECK_OK(store_newest_image(s, &newest, &err), err);
        CHECK(newest > before);
        CHECK_INT(image_of(s, newest).state, STUDY_QUEUED);
        before = newest;
    }
    (void)add(s, asks[0]);
    CHECK_OK(store_newest_image(s, &newest, &err), err);
    CHECK_INT(newest, before);
    store_close(s);
}

static void test_lists__are_sorted(void)
{
    struct pixl_error err = { 0 };
    struct store *s = open_store();
    static const char *const order[] = { "m", "b", "z", "a" };
    char time[32];
    for (int i = 0; i < 40; i++) {
        (void)snprintf(time, sizeof time, "20%02d-01-01T00:00:00", 99 - i);
        add(s, (struct ask){ .project = order[i % 4], .mrn = "1", .accession = "A", .time = time });
    }
    struct str *list;
    size_t n;
    CHECK_OK(store_projects(s, test_arena(), &list, &n, &err), err);
    CHECK_INT(n, 4);
    CHECK_STR(list[0], "a");
    CHECK_STR(list[3], "z");
    CHECK_OK(store_extract_times(s, STR("m"), test_arena(), &list, &n, &err), err);
    CHECK_INT(n, 10);
    CHECK_STR(list[0], "2063-01-01T00:00:00");
    CHECK_STR(list[9], "2099-01-01T00:00:00");
    CHECK_OK(store_extract_times(s, STR("nobody"), test_arena(), &list, &n, &err), err);
    CHECK_INT(n, 0);
    store_close(s);
}

static void test_outcomes__one_for_each_request_and_study(void)
{
    struct store *s = open_filled();
    CHECK_STR(str_of(outcomes(s)), "11:exported 12:missing 13:queued 21:exported ");
    struct pixl_error err = { 0 };
    buf_auto b;
    buf_init(&b, 1000);
    CHECK_OK(store_each_outcome(s, STR("q"), STR("2020-01-01"), add_outcome, &b, &err), err);
    CHECK_STR(buf_str(&b), "15:deidentified ");
    buf_clear(&b);
    CHECK_OK(store_each_outcome(s, STR("p"), STR("2020-01-01"), add_outcome, &b, &err), err);
    CHECK_STR(buf_str(&b), "");
    store_close(s);
}

static bool add_why(void *ctx, const struct store_outcome *o)
{
    struct buf *b = ctx;
    return buf_addf(b, "%lld:%s/%s/%.*s/%lld,%lld,%lld ", (long long)o->procedure_occurrence_id,
                    study_state_name(o->state), study_reason_name(o->reason), STR_ARG(o->pseudo_study_uid),
                    (long long)o->instances_found, (long long)o->instances_delivered, (long long)o->instances_skipped);
}

static void check_whys(struct store *s, const char *want)
{
    struct pixl_error err = { 0 };
    buf_auto b;
    buf_init(&b, 1 << 16);
    CHECK_OK(store_each_outcome(s, STR("p"), STR(TIME_1), add_why, &b, &err), err);
    CHECK_STR(buf_str(&b), want);
}

static void test_outcomes__a_request_that_came_too_late_has_its_outcome(void)
{
    const struct ask first = { .mrn = "1", .uid = "1.2", .series = "1.5", .procedure = 1 };
    const struct ask late = { .mrn = "1", .uid = "1.2", .series = "1.6", .procedure = 2 };
    struct store *s = open_store();
    add(s, first);
    bring(s, 1, STUDY_DELIVERING);
    CHECK_INT(add_met(s, late, true, NULL), STORE_TOO_LATE);
    CHECK_INT(count_of(s).requests, 1);          /* a dry run stores nothing */
    CHECK_INT(add(s, late), STORE_TOO_LATE);
    check_whys(s, "1:delivering//2.25.1/3,2,1 2:delivering//2.25.1/3,2,1 ");
    move_to(s, 1, STUDY_EXPORTED);
    for (int again = 0; again < 2; again++) {
        CHECK_INT(add(s, first), STORE_KNOWN);
        CHECK_INT(add(s, late), STORE_TOO_LATE);
        CHECK_INT(count_of(s).requests, 2);
        check_whys(s, "1:exported//2.25.1/3,2,1 2:skipped/delivered-before//0,0,0 ");
    }
    store_close(s);
}

/* What was too late for a delivery that then failed is in time after all. */
static void test_outcomes__too_late_ends_with_the_delivery_that_failed(void)
{
    const struct ask late = { .mrn = "1", .uid = "1.2", .series = "1.6", .procedure = 2 };
    struct store *s = open_store();
    add(s, (struct ask){ .mrn = "1", .uid = "1.2", .series = "1.5", .procedure = 1 });
    bring(s, 1, STUDY_DELIVERING);
    CHECK_INT(add(s, late), STORE_TOO_LATE);
    move_to(s, 1, STUDY_FAILED);
    CHECK_INT(add(s, late), STORE_KNOWN);
    CHECK_STR(phi_reveal(image_of(s, 1).series_uids), "1.5\\1.6");
    bring(s, 1, STUDY_EXPORTED);
    check_whys(s, "1:exported//2.25.1/3,2,1 2:exported//2.25.1/3,2,1 ");
    store_close(s);
}

static bool add_full_event(void *ctx, const struct store_event *e)
{
    struct buf *b = ctx;
    return buf_addf(b, "%d %s %s %lld %.*s %lld %d|", e->is_first, study_state_name(e->from), study_state_name(e->to),
                    (long long)(e->at_us - T0), STR_ARG(e->owner), (long long)e->fence, e->attempt);
}

static void test_events__tell_the_whole_life(void)
{
    struct pixl_error err = { 0 };
    struct store *s = open_store();
    add(s, (struct ask){ .mrn = "1", .accession = "A" });
    struct store_image m = claim(s);
    struct store_move back = move_of(1, m.fence, STUDY_QUEUED);
    back.count_attempt = true;
    CHECK_OK(store_move(s, &back, NULL, &err), err);
    (void)claim_as(s, "w2", STORE_WORK_RETRIEVE, 9, false);
    buf_auto b;
    buf_init(&b, 4096);
    CHECK_OK(store_each_event(s, 1, add_full_event, &b, &err), err);
    CHECK_STR(buf_str(&b),
              "1 queued queued 0  0 0|0 queued retrieving 0 worker-1 1 0|0 retrieving queued 1 worker-1 1 1|"
              "0 queued retrieving 9 w2 2 1|");
    buf_clear(&b);
    CHECK_OK(store_each_event(s, 77, add_full_event, &b, &err), err);
    CHECK_STR(buf_str(&b), "");
    store_close(s);
}

static bool set_bucket(void *ctx, struct store_bucket *b)
{
    const struct store_bucket *want = ctx;
    bool was_new = b->is_new;
    *b = *want;
    return was_new == want->is_new;
}

static bool read_bucket(void *ctx, struct store_bucket *b)
{
    struct store_bucket *out = ctx;
    *out = *b;
    b->tokens = 1000;
    return false;
}

static void test_bucket__is_changed_or_left(void)
{
    struct pixl_error err = { 0 };
    struct store *s = open_store();
    struct store_bucket b = { .rate_per_s = 2.5, .capacity = 5, .tokens = 0.25, .at_us = T0, .is_new = true }, got;
    CHECK_OK(store_change_bucket(s, "archive", read_bucket, &got, &err), err);
    CHECK(got.is_new && got.rate_per_s == 0 && got.tokens == 0 && got.at_us == 0);
    CHECK_OK(store_change_bucket(s, "archive", set_bucket, &b, &err), err);
    CHECK_OK(store_change_bucket(s, "archive", read_bucket, &got, &err), err);
    CHECK(!got.is_new && got.rate_per_s == 2.5 && got.capacity == 5 && got.tokens == 0.25 && got.at_us == T0);
    CHECK_OK(store_change_bucket(s, "other", read_bucket, &got, &err), err);
    CHECK(got.is_new);
    b = (struct store_bucket){ .rate_per_s = (double)NAN, .is_new = false };
    CHECK(!store_change_bucket(s, "archive", set_bucket, &b, &err));
    pixl_error_clear(&err);
    CHECK_OK(store_change_bucket(s, "archive", read_bucket, &got, &err), err);
    CHECK(got.rate_per_s == 2.5);
    store_close(s);
}

static void test_bucket__has_a_name(void)
{
    struct pixl_error err = { 0 };
    struct store *s = open_store();
    struct store_bucket b = { .rate_per_s = 1, .capacity = 5, .at_us = T0, .is_new = true };
    struct str *names;
    size_t n = 1;
    CHECK_OK(store_bucket_names(s, test_arena(), &names, &n, &err), err);
    CHECK_INT(n, 0);
    CHECK_OK(store_change_bucket(s, "secondary", set_bucket, &b, &err), err);
    CHECK_OK(store_change_bucket(s, "a", set_bucket, &b, &err), err);
    CHECK_OK(store_change_bucket(s, "Z", set_bucket, &b, &err), err);
    REQUIRE_OK(store_bucket_names(s, test_arena(), &names, &n, &err), err);
    REQUIRE(n == 3);
    CHECK_STR(names[0], "Z");
    CHECK_STR(names[1], "a");
    CHECK_STR(names[2], "secondary");
    CHECK(names[2].p[names[2].n] == '\0');
    store_close(s);
}

static void test_meta__the_first_one_stays(void)
{
    struct pixl_error err = { 0 };
    struct store *s = open_store();
    struct str out = { 0 };
    bool got = true;
    CHECK_OK(store_meta_get(s, "key-check", test_arena(), &out, &got, &err), err);
    CHECK(!got);
    CHECK_OK(store_meta_put_if_absent(s, "key-check", STR("abc"), test_arena(), &out, &err), err);
    CHECK_STR(out, "abc");
    CHECK_OK(store_meta_put_if_absent(s, "key-check", STR("xyz"), test_arena(), &out, &err), err);
    CHECK_STR(out, "abc");
    store_close(s);
    REQUIRE_OK(store_open(store_url(true), &s, &err), err);
    CHECK_OK(store_meta_get(s, "key-check", test_arena(), &out, &got, &err), err);
    CHECK(got);
    CHECK_STR(out, "abc");
    store_close(s);
}

int main(int argc, char **argv)
{
    static const struct test_case tests[] = {
        TEST(test_each_image__keeps_to_its_filter),
        TEST(test_find_images__takes_what_a_person_knows),
        TEST(test_count__adds_up),
        TEST(test_newest_image__is_below_all_that_comes),
        TEST(test_lists__are_sorted),
        TEST(test_outcomes__one_for_each_request_and_study),
        TEST(test_outcomes__a_request_that_came_too_late_has_its_outcome),
        TEST(test_outcomes__too_late_ends_with_the_delivery_that_failed),
        TEST(test_events__tell_the_whole_life),
        TEST(test_bucket__is_changed_or_left),
        TEST(test_bucket__has_a_name),
        TEST(test_meta__the_first_one_stays),
    };
    return test_main(argc, argv, tests, ARRAY_LEN(tests));
}
