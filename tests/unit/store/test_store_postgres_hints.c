/* Hints in the PostgreSQL store: beside who changes the same rows, and of older stores. */
#include "base/clock.h"
#include "postgres_helper.h"

static char next_owner[] = NEXT_OWNER;

/* A hint comes before the dispatcher has noted that it was given: who follows it must not miss the row. */
static void test_claim_image__waits_for_who_changes_the_row(void)
{
    static char hinted[] = "hint SET hinted_us = 5", hinted_long_ago[] = "hint SET hinted_us = 0";
    static const struct {
        const char *name;
        char *set;
        bool got;
    } rows[] = { { "its hint is noted", hinted, true },
                 { "its hint is forgotten", hinted_long_ago, true },
                 { "it is claimed", next_owner, false } };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct pixl_error err = { 0 };
        struct store *s = open_store();
        struct store_claim c = { .work = STORE_WORK_RETRIEVE, .owner = ME, .now_us = T0, .lease_us = LEASE };
        struct store_image m = { .id = 0 };
        bool got = !rows[i].got;
        test_row("%s", rows[i].name);
        add(s, (struct ask){ .mrn = "1", .accession = "A" });
        pthread_t t = changes_slowly(rows[i].set);
        CHECK_OK(store_claim_image(s, &c, 1, test_arena(), &got, &m, &err), err);
        CHECK(got == rows[i].got);
        REQUIRE(pthread_join(t, NULL) == 0);
        CHECK_STR(image_of(s, 1).owner, rows[i].got ? ME : "next");
        store_close(s);
    }
}

/* Who notes hints waits for nobody: not for a claim, nor for a populate that holds many rows. */
/* Takes a store back to version 4 and 3. */
#define UNDO_5                                                                                                   \
    "DROP FUNCTION pixl_row_goes CASCADE;"                                                                       \
    " ALTER TABLE request ADD CONSTRAINT request_extract_time_id_fkey FOREIGN KEY (extract_time_id)"             \
    " REFERENCES extract_time;"                                                                                  \
    " ALTER TABLE request_image ADD CONSTRAINT request_image_request_id_fkey FOREIGN KEY (request_id)"           \
    " REFERENCES request, ADD CONSTRAINT request_image_image_id_fkey FOREIGN KEY (image_id) REFERENCES image;"   \
    " ALTER TABLE image_event ADD CONSTRAINT image_event_image_id_fkey FOREIGN KEY (image_id) REFERENCES image;" \
    " ALTER TABLE image ADD CONSTRAINT image_merged_into_fkey FOREIGN KEY (merged_into) REFERENCES image;"
#define UNDO_4                                                                                \
    "DROP TRIGGER pixl_images_queued ON image; DROP TRIGGER pixl_image_moves ON image;"       \
    " DROP FUNCTION pixl_images_queued; DROP FUNCTION pixl_image_moves; DROP TABLE hint;"     \
    " ALTER TABLE image ADD hinted_us BIGINT NOT NULL DEFAULT 0;"                             \
    " CREATE INDEX image_unhinted ON image (priority DESC, study_date NULLS FIRST, image_id)" \
    " WHERE state = 'queued' AND crashes = 0 AND hinted_us = 0;"

static void test_hinted__passes_over_what_others_change(void)
{
    static char raised[] = "image SET priority = 4";
    static char *const sets[] = { raised, next_owner };
    for (size_t i = 0; i < ARRAY_LEN(sets); i++) {
        struct pixl_error err = { 0 };
        struct store *s = open_store();
        test_row("%s", sets[i]);
        add(s, (struct ask){ .mrn = "1", .accession = "A" });
        pthread_t t = changes_slowly(sets[i]);
        int64_t began_us = clock_mono_us(), n = -1;
        REQUIRE_OK(store_set_hinted(s, &(struct store_hint){ 1, 0 }, 1, T0, &err), err);
        REQUIRE_OK(store_forget_hints(s, 1, INT64_MAX, &n, &err), err);
        CHECK_INT(n, 0);
        CHECK(clock_mono_us() - began_us < 900000);
        REQUIRE(pthread_join(t, NULL) == 0);
        check_hints();
        CHECK_STR(raw_text("SELECT concat_ws(' ', priority, hinted_us) FROM hint"), i == 0 ? "4 0\n" : "");
        store_close(s);
    }
}

/* A store of version 3 as it was: rows with hints and without, a suspect, one that waits, one that is worked on. */
static void test_open__hints_of_an_older_store_are_kept(void)
{
    struct pixl_error err = { 0 };
    struct store *s = open_store();
    for (int i = 0; i < 5; i++) {
        char accession[] = { (char)('A' + i), '\0' };
        add(s, (struct ask){ .mrn = "1", .accession = accession, .date = 20200101 + i });
    }
    store_close(s);
    raw(UNDO_5 UNDO_4
        "UPDATE image SET hinted_us = 5 WHERE image_id IN (2, 3); UPDATE image SET crashes = 1 WHERE image_id = 3;"
        " UPDATE image SET not_before_us = 9 WHERE image_id = 4; UPDATE pixl_version SET version = 3");
    REQUIRE_OK(store_open(store_url(true), &s, &err), err);
    check_hints();
    CHECK_STR(raw_text("SELECT concat_ws(' ', image_id, study_date, hinted_us) FROM hint ORDER BY 1"),
              "1 2020-01-01 0\n2 2020-01-02 5\n4 2020-01-04 0\n5 2020-01-05 0\n");
    CHECK_STR(raw_text("SELECT column_name FROM information_schema.columns WHERE table_name = 'image'"
                       " AND column_name = 'hinted_us'"),
              "");
    bring(s, 1, STUDY_MISSING);
    add(s, (struct ask){ .mrn = "1", .accession = "A", .procedure = 2, .series = "1" });
    check_hints();
    store_close(s);
}

static bool is_refused(const char *sql)
{
    struct pixl_error err = { 0 };
    pg_db_auto *db = open_raw();
    return !sql_exec(pg_db_sql(db), SQL(sql), &err);
}

static void test_schema__what_others_refer_to_stays(void)
{
    static const char *const rows[] = {
        "DELETE FROM image",
        "DELETE FROM image_event; DELETE FROM image",
        "DELETE FROM request_image; DELETE FROM image",
        "UPDATE image SET image_id = 7 WHERE image_id = 1",
        "DELETE FROM request_image; DELETE FROM image_event; UPDATE image SET state = 'skipped', merged_into = 1 WHERE"
        " image_id = 2; DELETE FROM image WHERE image_id = 1",
        "DELETE FROM request",
        "UPDATE request SET request_id = 7 WHERE request_id = 1",
        "DELETE FROM extract_time",
        "UPDATE extract_time SET extract_time_id = 7",
        "DELETE FROM extract",
        "TRUNCATE image",
    };
    struct store *s = open_store();
    add(s, (struct ask){ .mrn = "1", .accession = "A" });
    add(s, (struct ask){ .mrn = "1", .accession = "B" });
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        test_row("%s", rows[i]);
        CHECK(is_refused(rows[i]));
        check_whole();
    }
    test_row("all of it, from the outside in");
    raw("DELETE FROM request_image; DELETE FROM request; DELETE FROM extract_time; DELETE FROM image_event;"
        " DELETE FROM image; DELETE FROM extract");
    check_hints();
    store_close(s);
}

int main(int argc, char **argv)
{
    static const struct test_case tests[] = {
        TEST(test_claim_image__waits_for_who_changes_the_row),
        TEST(test_hinted__passes_over_what_others_change),
        TEST(test_schema__what_others_refer_to_stays),
        TEST(test_open__hints_of_an_older_store_are_kept),
    };
    return test_main(argc, argv, tests, ARRAY_LEN(tests));
}
