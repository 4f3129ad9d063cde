#include "store/store.h"

#include "store_helper.h"

/* Claims this image, which must be the first due, and tells what the archive found for it: UIDs apart by blanks. */
static int64_t found(struct store *s, int64_t id, const char *uids)
{
    struct pixl_error err = { 0 };
    struct phi_text list[8];
    size_t n = 0;
    struct str rest = str_of(uids), head;
    for (bool more = true; more; n++) {
        more = str_split(rest, ' ', &head, &rest);
        list[n] = phi_text(head);
    }
    struct store_image m = image_of(s, id);
    if (m.state != STUDY_RETRIEVING) {
        m = claim(s);
        CHECK_INT(m.id, id);
    }
    int64_t mine = -2;
    REQUIRE_OK(store_resolve(s, id, m.fence, list, n, T0 + 2, &mine, &err), err);
    return mine;
}

static bool add_image(void *ctx, const struct store_image *m)
{
    struct buf *b = ctx;
    struct str uid = phi_reveal(m->found_uid);
    return buf_addf(b, "%lld=%.*s:%s ", (long long)m->id, STR_ARG(uid), study_state_name(m->state));
}

/* "number=found_uid:state " for every image. */
static const char *images(struct store *s)
{
    static struct buf b;
    struct pixl_error err = { 0 };
    struct store_filter all = { .states = 0 };
    buf_done(&b);
    buf_init(&b, 1 << 20);
    REQUIRE_OK(store_each_image(s, &all, add_image, &b, &err), err);
    return buf_cstr(&b);
}

static void test_resolve__one_study_is_kept(void)
{
    struct store *s = open_store();
    add(s, (struct ask){ .mrn = "1", .accession = "A", .procedure = 1 });
    CHECK_INT(found(s, 1, "1.2"), 0);
    CHECK_STR(str_of(images(s)), "1=1.2:retrieving ");
    CHECK_INT(found(s, 1, "1.2"), 0);                            /* told again: the same */
    CHECK_STR(str_of(images(s)), "1=1.2:retrieving ");
    CHECK_STR(str_of(outcomes(s)), "1:retrieving ");
    CHECK_INT(add(s, (struct ask){ .mrn = "2", .accession = "Z", .uid = "1.2", .procedure = 2 }), STORE_ADDED_REQUEST);
    CHECK_STR(str_of(outcomes(s)), "1:retrieving 2:retrieving ");
    store_close(s);
}

static void test_resolve__each_further_study_gets_a_row_with_the_same_requests(void)
{
    struct store *s = open_store();
    add(s, (struct ask){ .mrn = "1", .accession = "A", .series = "1.9", .procedure = 1, .priority = 3, .date = 20200101,
                         .participant = "P1" });
    CHECK_INT(found(s, 1, "1.2 1.3 1.4"), 0);
    CHECK_STR(str_of(images(s)), "1=1.2:retrieving 2=1.3:queued 3=1.4:queued ");
    CHECK_STR(str_of(outcomes(s)), "1:retrieving 1:queued 1:queued ");
    struct store_image m = image_of(s, 3);
    CHECK_STR(phi_reveal(m.mrn), "1");
    CHECK_STR(phi_reveal(m.accession_number), "A");
    CHECK_STR(phi_reveal(m.study_uid), "1.4");
    CHECK_STR(phi_reveal(m.series_uids), "1.9");
    CHECK_STR(m.participant_id, "P1");
    CHECK_INT(m.priority, 3);
    CHECK_INT(m.study_date, 20200101);
    CHECK_STR(str_of(events(s, 3)), "queued()");
    /* A further request in the same words asks for all three; one by UID for its own. */
    CHECK_INT(add(s, (struct ask){ .mrn = "1", .accession = "A", .series = "1.9", .procedure = 2 }),
              STORE_ADDED_REQUEST);
    CHECK_INT(add(s, (struct ask){ .mrn = "1", .uid = "1.3", .series = "1.9", .procedure = 3 }), STORE_ADDED_REQUEST);
    CHECK_STR(str_of(outcomes(s)), "1:retrieving 1:queued 1:queued 2:retrieving 2:queued 2:queued 3:queued ");
    /* The new rows, found once more by their numbers, stay themselves. */
    move_to(s, 1, STUDY_MISSING);
    CHECK_INT(found(s, 2, "1.4 1.2 1.3"), 2);
    CHECK_INT(images_in(s), 3);
    store_close(s);
}

/* What only the secondary archive has is asked of it again; a row that was given up begins with the primary one. */
static void test_resolve__a_further_study_is_asked_of_the_same_archive(void)
{
    struct pixl_error err = { 0 };
    struct store *s = open_store();
    add(s, (struct ask){ .mrn = "1", .uid = "1.3" });
    bring(s, 1, STUDY_RETRIEVING);
    struct store_move missing = move_of(1, 1, STUDY_MISSING);
    missing.archive = 1;
    REQUIRE_OK(store_move(s, &missing, NULL, &err), err);
    add(s, (struct ask){ .mrn = "1", .accession = "A" });
    struct store_image m = claim(s);
    struct store_move on = move_of(m.id, m.fence, STUDY_QUEUED);
    on.archive = 1;
    REQUIRE_OK(store_move(s, &on, NULL, &err), err);
    CHECK_INT(found(s, 2, "1.2 1.3 1.4"), 0);
    CHECK_STR(str_of(images(s)), "1=:queued 2=1.2:retrieving 3=1.4:queued ");
    CHECK_INT(image_of(s, 1).archive, 0);
    CHECK_INT(image_of(s, 2).archive, 1);
    CHECK_INT(image_of(s, 3).archive, 1);
    store_close(s);
}

static void test_resolve__a_study_of_another_row_takes_over_the_requests(void)
{
    struct store *s = open_store();
    add(s, (struct ask){ .mrn = "1", .accession = "A", .procedure = 1, .priority = 5 });
    CHECK_INT(found(s, 1, "1.2"), 0);
    add(s, (struct ask){ .mrn = "1", .accession = "B", .procedure = 2, .priority = 5 });
    CHECK_INT(found(s, 2, "1.2"), -1);
    CHECK_STR(str_of(images(s)), "1=1.2:retrieving 2=:skipped ");
    struct store_image m = image_of(s, 2);
    CHECK_INT(m.reason, STUDY_WHY_SAME_STUDY);
    CHECK_STR(m.owner, "");
    CHECK_STR(str_of(events(s, 2)), "queued()>retrieving()>skipped(same-study)");
    CHECK_STR(str_of(outcomes(s)), "1:retrieving 2:retrieving ");
    /* Later requests in the words of the merged row go to the other; retry leaves it alone. */
    CHECK_INT(add(s, (struct ask){ .mrn = "1", .accession = "B", .procedure = 3 }), STORE_ADDED_REQUEST);
    CHECK_INT(add(s, (struct ask){ .mrn = "1", .accession = "B", .procedure = 2 }), STORE_KNOWN);
    CHECK_STR(str_of(outcomes(s)), "1:retrieving 2:retrieving 3:retrieving ");
    struct pixl_error err = { 0 };
    int64_t n = -1, id = 2;
    CHECK_OK(store_retry(s, NULL, &id, 1, T0, &n, &err), err);
    CHECK_INT(n, 0);
    CHECK_INT(images_in(s), 2);
    store_close(s);
}

static void test_resolve__a_row_that_asked_by_uid_stands_for_it(void)
{
    struct store *s = open_store();
    add(s, (struct ask){ .mrn = "1", .accession = "A", .procedure = 1, .priority = 5 });
    add(s, (struct ask){ .mrn = "1", .accession = "A", .uid = "1.2", .procedure = 2 });
    CHECK_INT(found(s, 1, "1.2 1.3"), 1);                        /* 1.2 is row 2's, 1.3 nobody's */
    CHECK_STR(str_of(images(s)), "1=1.3:retrieving 2=:queued ");
    CHECK_STR(str_of(outcomes(s)), "1:retrieving 1:queued 2:queued ");
    CHECK_INT(found(s, 2, "1.2"), 0);
    CHECK_STR(str_of(images(s)), "1=1.3:retrieving 2=1.2:retrieving ");
    store_close(s);
}

static void test_resolve__several_rows_share_several_studies(void)
{
    struct store *s = open_store();
    add(s, (struct ask){ .mrn = "1", .accession = "A", .procedure = 1, .priority = 5 });
    CHECK_INT(found(s, 1, "1.2 1.3"), 0);
    add(s, (struct ask){ .mrn = "1", .accession = "B", .procedure = 2, .priority = 5 });
    move_to(s, 1, STUDY_MISSING);
    CHECK_INT(claim(s).id, 2);
    CHECK_INT(claim(s).id, 3);
    CHECK_INT(found(s, 3, "1.3 1.2"), -1);
    CHECK_STR(str_of(images(s)), "1=1.2:queued 2=1.3:retrieving 3=:skipped "); /* the archive has it: missing no more */
    CHECK_STR(str_of(outcomes(s)), "1:queued 1:retrieving 2:queued 2:retrieving ");
    CHECK_INT(add(s, (struct ask){ .mrn = "1", .accession = "B", .procedure = 3 }), STORE_ADDED_REQUEST);
    CHECK_STR(str_of(outcomes(s)), "1:queued 1:retrieving 2:queued 2:retrieving 3:queued 3:retrieving ");
    store_close(s);
}

/* What a merge does to the other row, by its state: its series grow while they can. */
static void test_resolve__merging_widens_while_it_is_possible(void)
{
    static const struct { enum study_state state, after; const char *series; } rows[] = {
        { STUDY_QUEUED, STUDY_QUEUED, "1.5\\1.6" },
        { STUDY_RETRIEVING, STUDY_RETRIEVING, "1.5\\1.6" },
        { STUDY_DEIDENTIFIED, STUDY_QUEUED, "1.5\\1.6" },
        { STUDY_DELIVERING, STUDY_DELIVERING, "1.5" },
        { STUDY_EXPORTED, STUDY_EXPORTED, "1.5" },
        { STUDY_KEPT, STUDY_KEPT, "1.5" },
        { STUDY_MISSING, STUDY_QUEUED, "1.5\\1.6" },
        { STUDY_SKIPPED, STUDY_QUEUED, "1.5\\1.6" },
        { STUDY_FAILED, STUDY_QUEUED, "1.5\\1.6" },
        { STUDY_WITHHELD, STUDY_QUEUED, "1.5\\1.6" },
        { STUDY_HELD, STUDY_QUEUED, "1.5\\1.6" },
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        test_row("%s", study_state_name(rows[i].state));
        struct store *s = open_store();
        add(s, (struct ask){ .mrn = "1", .uid = "1.2", .series = "1.5", .procedure = 1 });
        bring(s, 1, rows[i].state);
        add(s, (struct ask){ .mrn = "1", .accession = "A", .series = "1.6", .procedure = 2, .priority = 5 });
        CHECK_INT(found(s, 2, "1.2"), -1);
        struct store_image m = image_of(s, 1);
        CHECK_INT(m.state, rows[i].after);
        CHECK_STR(phi_reveal(m.series_uids), rows[i].series);
        CHECK_INT(image_of(s, 2).state, STUDY_SKIPPED);
        store_close(s);
    }
}

static void test_resolve__a_uid_that_the_archive_knows_otherwise(void)
{
    struct store *s = open_store();
    add(s, (struct ask){ .mrn = "1", .accession = "A", .uid = "1.2", .procedure = 1 });
    CHECK_INT(found(s, 1, "1.9"), 0);                            /* by MRN and accession number */
    CHECK_STR(str_of(images(s)), "1=1.9:retrieving ");
    /* Row 1 does not stand for 1.2 now: when that study turns up it gets a row. */
    add(s, (struct ask){ .mrn = "1", .accession = "B", .procedure = 2 });
    CHECK_INT(found(s, 2, "1.2 1.7"), 0);
    CHECK_STR(str_of(images(s)), "1=1.9:retrieving 2=1.2:retrieving 3=1.7:queued ");
    add(s, (struct ask){ .mrn = "1", .accession = "C", .procedure = 3, .priority = 5 });
    CHECK_INT(found(s, 4, "1.2"), -1);
    CHECK_STR(str_of(outcomes(s)), "1:retrieving 2:retrieving 2:queued 3:retrieving ");
    /* And the other way round: the study of row 1's words is made without its key. */
    add(s, (struct ask){ .mrn = "2", .accession = "A", .uid = "5.1", .procedure = 4, .priority = 5 });
    CHECK_INT(found(s, 5, "5.2"), 0);
    add(s, (struct ask){ .mrn = "2", .accession = "B", .procedure = 5, .priority = 5 });
    CHECK_INT(found(s, 6, "5.9 5.1"), 0);
    CHECK_STR(phi_reveal(image_of(s, 7).found_uid), "5.1");
    CHECK_INT(add(s, (struct ask){ .mrn = "2", .uid = "5.1", .procedure = 6 }), STORE_ADDED_REQUEST);
    store_close(s);
}

static void test_resolve__another_study_than_before_drops_the_old_pseudo_uid(void)
{
    struct pixl_error err = { 0 };
    struct store *s = open_store();
    add(s, (struct ask){ .mrn = "1", .accession = "A" });
    CHECK_INT(found(s, 1, "1.2"), 0);
    struct store_move back = move_of(1, 1, STUDY_QUEUED);
    back.pseudo_study_uid = "2.25.5";
    CHECK_OK(store_move(s, &back, NULL, &err), err);
    CHECK_INT(found(s, 1, "1.2"), 0);
    CHECK_STR(image_of(s, 1).pseudo_study_uid, "2.25.5");
    move_to(s, 1, STUDY_QUEUED);
    CHECK_INT(found(s, 1, "1.3"), 0);
    CHECK_STR(image_of(s, 1).pseudo_study_uid, "");
    CHECK_STR(phi_reveal(image_of(s, 1).found_uid), "1.3");
    store_close(s);
}

static void test_resolve__projects_do_not_meet(void)
{
    struct store *s = open_store();
    add(s, (struct ask){ .project = "p", .mrn = "1", .accession = "A", .procedure = 1 });
    add(s, (struct ask){ .project = "q", .mrn = "1", .accession = "A", .procedure = 2 });
    CHECK_INT(found(s, 1, "1.2"), 0);
    CHECK_INT(found(s, 2, "1.2"), 0);
    CHECK_STR(str_of(images(s)), "1=1.2:retrieving 2=1.2:retrieving ");
    store_close(s);
}

static void test_resolve__is_for_rows_that_are_being_retrieved(void)
{
    struct pixl_error err = { 0 };
    struct store *s = open_store();
    add(s, (struct ask){ .mrn = "1", .accession = "A" });
    struct phi_text uid = phi_text(STR("1.2"));
    int64_t mine = 9;
    CHECK_FAILS(store_resolve(s, 1, 0, &uid, 1, T0, &mine, &err), err, PIXL_E_INTERNAL);
    CHECK_FAILS(store_resolve(s, 2, 0, &uid, 1, T0, &mine, &err), err, PIXL_E_NOT_FOUND);
    CHECK_INT(mine, 9);
    CHECK_STR(str_of(images(s)), "1=:queued ");
    store_close(s);
}

int main(int argc, char **argv)
{
    static const struct test_case tests[] = {
        TEST(test_resolve__one_study_is_kept),
        TEST(test_resolve__each_further_study_gets_a_row_with_the_same_requests),
        TEST(test_resolve__a_further_study_is_asked_of_the_same_archive),
        TEST(test_resolve__a_study_of_another_row_takes_over_the_requests),
        TEST(test_resolve__a_row_that_asked_by_uid_stands_for_it),
        TEST(test_resolve__several_rows_share_several_studies),
        TEST(test_resolve__merging_widens_while_it_is_possible),
        TEST(test_resolve__a_uid_that_the_archive_knows_otherwise),
        TEST(test_resolve__another_study_than_before_drops_the_old_pseudo_uid),
        TEST(test_resolve__projects_do_not_meet),
        TEST(test_resolve__is_for_rows_that_are_being_retrieved),
    };
    return test_main(argc, argv, tests, ARRAY_LEN(tests));
}
