/* What only the PostgreSQL store has: another program beside it, a server that goes away, several sessions. */
#include "store/store.h"

#include <pthread.h>
#include <spawn.h>
#include <stdatomic.h>
#include <sys/wait.h>

#include "base/clock.h"
#include "base/fs.h"
#include "postgres_helper.h"

extern char **environ;

/* --- the database of the Python system --------------------------------------------------------------------------- */

/* As its migrations make it; rows of every kind: exported, not, twice, without a study UID. */
static const char python_schema[] =
    "CREATE SCHEMA pixl_pipeline;"
    "CREATE TABLE pixl_pipeline.alembic_version (version_num VARCHAR(32) NOT NULL,"
    " CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num));"
    "INSERT INTO pixl_pipeline.alembic_version VALUES ('d947cc715eb1');"
    "CREATE TABLE pixl_pipeline.extract (extract_id SERIAL NOT NULL, slug VARCHAR NOT NULL, PRIMARY KEY (extract_id));"
    "CREATE TABLE pixl_pipeline.image (image_id SERIAL NOT NULL, accession_number VARCHAR NOT NULL,"
    " study_date DATE NOT NULL, mrn VARCHAR NOT NULL, pseudo_study_uid VARCHAR, exported_at TIMESTAMP WITH TIME ZONE,"
    " extract_id INTEGER NOT NULL, PRIMARY KEY (image_id),"
    " FOREIGN KEY(extract_id) REFERENCES pixl_pipeline.extract (extract_id));"
    "ALTER TABLE pixl_pipeline.image ADD COLUMN study_uid VARCHAR;"
    "ALTER TABLE pixl_pipeline.image ADD COLUMN pseudo_patient_id VARCHAR(255);";
static const char python_rows[] =
    "INSERT INTO pixl_pipeline.extract (slug) VALUES ('p'), ('q'), ('p');"
    "INSERT INTO pixl_pipeline.image (accession_number, study_date, mrn, pseudo_study_uid, exported_at, extract_id,"
    " study_uid, pseudo_patient_id) VALUES"
    " ('A', '2020-01-02', 'M1', '2.25.1', '2021-05-06 07:08:09.123456+01', 1, '1.1', 'P1'),"
    " ('B', '2020-01-02', 'M1', '2.25.2', NULL, 1, '1.2', NULL),"
    " ('C', '2020-01-02', 'M1', NULL, NULL, 1, NULL, NULL),"
    " ('D', '2020-01-02', 'M1', NULL, NULL, 1, '1.4', NULL),"
    " ('D', '2020-01-02', 'M1', '2.25.5', '2021-05-06', 1, '1.4', NULL),"
    " ('D', '2020-01-02', 'M1', '2.25.5', '2021-05-06', 1, '1.4', NULL),"
    " ('A', '2020-01-02', 'M1', NULL, NULL, 2, '1.1', NULL),"
    " ('', '2020-01-02', '', NULL, NULL, 2, '', NULL);";
#define PYTHON_VIEW                                                                                              \
    "SELECT concat_ws('|', image_id, accession_number, study_date, mrn, coalesce(pseudo_study_uid, '-'),"        \
    " coalesce(exported_at::text, '-'), extract_id, coalesce(study_uid, '-'), coalesce(pseudo_patient_id, '-'))" \
    " FROM pixl_pipeline.image ORDER BY image_id"

static struct store *open_python(void)
{
    struct pixl_error err = { 0 };
    struct store *s = NULL;
    (void)store_url(false);
    raw(python_schema);
    raw(python_rows);
    REQUIRE_OK(store_open(store_url(true), &s, &err), err);
    return s;
}

static void test_adopt__the_rows_stay_as_they_are_and_get_states(void)
{
    static char before[4096];
    struct pixl_error err = { 0 };
    struct store *s = NULL;
    (void)store_url(false);
    raw(python_schema);
    raw(python_rows);
    struct str view = raw_text(PYTHON_VIEW);
    (void)snprintf(before, sizeof before, "%.*s", STR_ARG(view));
    for (int again = 0; again < 2; again++) {
        REQUIRE_OK(store_open(store_url(true), &s, &err), err);
        CHECK_STR(raw_text(PYTHON_VIEW), before);
        struct store_image m = image_of(s, 1);
        CHECK_INT(m.state, STUDY_EXPORTED);
        CHECK_INT(m.exported_us, INT64_C(1620281289123456));
        CHECK_INT(m.study_date, 20200102);
        CHECK_STR(m.pseudo_study_uid, "2.25.1");
        CHECK_STR(m.participant_id, "P1");
        CHECK_STR(m.project, "p");
        CHECK_STR(str_of(events(s, 1)), "exported()");
        CHECK_INT(image_of(s, 2).state, STUDY_ADOPTED);
        CHECK_STR(str_of(events(s, 2)), "adopted()");
        CHECK_INT(image_of(s, 3).state, STUDY_ADOPTED);
        CHECK_STR(phi_reveal(image_of(s, 3).study_uid), "");
        CHECK_INT(count_of(s).by_state[STUDY_ADOPTED], 5);
        CHECK_INT(claim(s).id, 0); /* none is worked on */
        store_close(s);
    }
}

static void test_adopt__what_repeats_is_found(void)
{
    struct pixl_error err = { 0 };
    struct store *s = open_python();
    struct store_adopted found;
    for (int round = 0; round < 2; round++) {
        test_row("%s", round ? "after one of them was taken" : "new");
        REQUIRE_OK(store_find_adopted(s, test_arena(), &found, &err), err);
        CHECK_INT(found.images, 5);
        CHECK_INT(found.projects_twice, 1);
        REQUIRE(found.n_twice == 2);
        CHECK_INT(found.twice[0], 4); /* 5 is exported and goes first */
        CHECK_INT(found.twice[1], 6);
        CHECK_INT(add(s, (struct ask){ .mrn = "M1", .uid = "1.4" }), round ? STORE_KNOWN : STORE_ADDED_REQUEST);
    }
    CHECK_STR(str_of(outcomes(s)), "0:exported ");
    store_close(s);
}

static void test_adopt__a_project_that_stands_twice_is_one(void)
{
    struct pixl_error err = { 0 };
    struct store *s = NULL;
    (void)store_url(false);
    raw(python_schema);
    raw(python_rows);
    raw("UPDATE pixl_pipeline.image SET extract_id = 3 WHERE image_id IN (1, 3)");
    REQUIRE_OK(store_open(store_url(true), &s, &err), err);
    CHECK_INT(add(s, (struct ask){ .mrn = "M1", .accession = "A", .uid = "1.1", .procedure = 1 }), STORE_ADDED_REQUEST);
    CHECK_INT(add(s, (struct ask){ .mrn = "M1", .accession = "C", .procedure = 3 }), STORE_REVIVED);
    CHECK_INT(images_in(s), 8);
    CHECK_STR(str_of(outcomes(s)), "1:exported 3:queued ");
    store_close(s);
}

static void test_adopt__a_cohort_meets_the_rows(void)
{
    struct store *s = open_python();
    CHECK_INT(add_met(s, (struct ask){ .mrn = "M1", .accession = "B", .uid = "1.2" }, true, NULL), STORE_REVIVED);
    CHECK_INT(image_of(s, 2).state, STUDY_ADOPTED); /* a dry run */
    CHECK_INT(add(s, (struct ask){ .mrn = "M1", .accession = "A", .uid = "1.1", .procedure = 1 }), STORE_ADDED_REQUEST);
    CHECK_INT(image_of(s, 1).state, STUDY_EXPORTED);
    CHECK_INT(add(s, (struct ask){ .mrn = "M1", .accession = "B", .uid = "1.2", .procedure = 2 }), STORE_REVIVED);
    CHECK_INT(add(s, (struct ask){ .mrn = "M1", .accession = "C", .procedure = 3 }), STORE_REVIVED);
    CHECK_INT(add(s, (struct ask){ .mrn = "M1", .accession = "C", .procedure = 3 }), STORE_KNOWN);
    CHECK_INT(add(s, (struct ask){ .mrn = "M2", .accession = "C", .procedure = 4 }), STORE_ADDED_IMAGE);
    CHECK_INT(images_in(s), 9);
    CHECK_STR(str_of(outcomes(s)), "1:exported 2:queued 3:queued 4:queued ");
    /* The pseudo study UID that was there first stays, through everything. */
    struct pixl_error err = { 0 };
    struct store_image m = claim_as(s, ME, STORE_WORK_RETRIEVE, 0, false);
    while (m.id != 2 && m.id != 0)
        m = claim_as(s, ME, STORE_WORK_RETRIEVE, 0, false);
    struct phi_text uid = phi_text(STR("1.2"));
    int64_t mine = -1;
    REQUIRE_OK(store_resolve(s, 2, m.fence, &uid, 1, T0, &mine, &err), err);
    CHECK_STR(image_of(s, 2).pseudo_study_uid, "2.25.2");
    /* And `pixl retry` names rows, too. */
    int64_t n = 0;
    struct store_filter f = { .project = STR("q"), .states = 1u << STUDY_ADOPTED };
    CHECK_OK(store_retry(s, &f, NULL, 0, T0, &n, &err), err);
    CHECK_INT(n, 2);
    store_close(s);
}

static void test_adopt__refuses_what_it_does_not_know_and_leaves_it(void)
{
    static const struct {
        const char *name, *sql, *still;
    } rows[] = {
        { "older tables with a column of another type",
          "ALTER TABLE pixl_pipeline.image RENAME pseudo_study_uid TO hashed_identifier;"
          "ALTER TABLE pixl_pipeline.image ALTER mrn TYPE text",
          "SELECT hashed_identifier FROM pixl_pipeline.image WHERE image_id = 1" },
        { "a column of another type", "ALTER TABLE pixl_pipeline.image ALTER exported_at TYPE text",
          "SELECT '2.25.1'" },
        { "a further table", "CREATE TABLE pixl_pipeline.letters (x text)", "SELECT '2.25.1'" },
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        test_row("%s", rows[i].name);
        struct pixl_error err = { 0 };
        struct store *s = NULL;
        (void)store_url(false);
        raw(python_schema);
        raw(python_rows);
        raw(rows[i].sql);
        CHECK_FAILS(store_open(store_url(true), &s, &err), err, PIXL_E_UNSUPPORTED);
        CHECK_STR(raw_text(rows[i].still), "2.25.1\n");
        CHECK_STR(raw_text("SELECT count(*) FROM information_schema.columns WHERE column_name = 'key_hash'"), "0\n");
    }
    test_row("a newer pixl");
    struct pixl_error err = { 0 };
    struct store *s = open_store();
    store_close(s);
    raw("UPDATE pixl_version SET version = 999");
    CHECK_FAILS(store_open(store_url(true), &s, &err), err, PIXL_E_UNSUPPORTED);
}

/* The tables as its first migration makes them, in the schema given. */
#define FIRST_TABLES(schema)                                                                                       \
    "CREATE SCHEMA " schema ";"                                                                                    \
    "CREATE TABLE " schema ".alembic_version (version_num VARCHAR(32) NOT NULL PRIMARY KEY);"                      \
    "INSERT INTO " schema ".alembic_version VALUES ('bcaef54e2bfe');"                                              \
    "CREATE TABLE " schema ".extract (extract_id SERIAL PRIMARY KEY, slug VARCHAR NOT NULL);"                      \
    "CREATE TABLE " schema ".image (image_id SERIAL PRIMARY KEY, accession_number VARCHAR NOT NULL,"               \
    " study_date DATE NOT NULL, mrn VARCHAR NOT NULL, hashed_identifier VARCHAR,"                                  \
    " exported_at TIMESTAMP WITH TIME ZONE, extract_id INTEGER NOT NULL REFERENCES " schema ".extract);"           \
    "INSERT INTO " schema ".extract (slug) VALUES ('p');"                                                          \
    "INSERT INTO " schema ".image (accession_number, study_date, mrn, extract_id, hashed_identifier, exported_at)" \
    " VALUES ('A', '2020-01-02', 'M1', 1, 'a0b1', '2021-05-06'), ('B', '2020-01-02', 'M1', 1, 'a0b2', NULL),"      \
    " ('C', '2020-01-02', 'M1', 1, NULL, NULL)"
#define FIRST_VIEW "SELECT mrn || accession_number || coalesce(hashed_identifier, '') FROM pipeline.image ORDER BY 1"

static void check_first_rows(struct store *s)
{
    struct pixl_error err = { 0 };
    struct store_adopted found;
    REQUIRE_OK(store_find_adopted(s, test_arena(), &found, &err), err);
    CHECK_INT(found.images, 2);
    CHECK_INT(found.projects_twice + (int64_t)found.n_twice, 0);
    CHECK_INT(image_of(s, 1).state, STUDY_EXPORTED);
    CHECK_STR(image_of(s, 1).pseudo_study_uid, "a0b1");
    CHECK_STR(image_of(s, 2).pseudo_study_uid, ""); /* no UID: the study gets one as others do */
    CHECK_INT(add(s, (struct ask){ .mrn = "M1", .accession = "A", .procedure = 1 }), STORE_ADDED_REQUEST);
    CHECK_INT(add(s, (struct ask){ .mrn = "M1", .accession = "B", .procedure = 2 }), STORE_REVIVED);
    CHECK_INT(add(s, (struct ask){ .mrn = "M2", .accession = "D", .procedure = 3 }), STORE_ADDED_IMAGE);
    CHECK_INT(images_in(s), 4);
    CHECK_STR(str_of(outcomes(s)), "1:exported 2:queued 3:queued ");
}

static void test_adopt__what_its_first_versions_left(void)
{
    struct pixl_error err = { 0 };
    struct store *s = NULL;
    test_row("in the same schema");
    (void)store_url(false);
    raw(FIRST_TABLES("pixl_pipeline"));
    REQUIRE_OK(store_open(store_url(true), &s, &err), err);
    CHECK_STR(raw_text("SELECT version_num FROM alembic_version"), "d947cc715eb1\n");
    check_first_rows(s);
    store_close(s);
    test_row("in a schema of another name, which stays");
    (void)store_url(false);
    raw("DROP SCHEMA IF EXISTS pipeline CASCADE;" FIRST_TABLES("pipeline"));
    REQUIRE_OK(store_open(store_url(true), &s, &err), err);
    check_first_rows(s);
    store_close(s);
    CHECK_STR(raw_text(FIRST_VIEW), "M1Aa0b1\nM1Ba0b2\nM1C\n");
    raw("DROP SCHEMA pipeline CASCADE");
}

/* --- the Python system beside us --------------------------------------------------------------------------------- */

/* As its command line and its APIs do, statement by statement. */
#define PYTHON_INSERT(accession, mrn, uid)                                                                          \
    "INSERT INTO pixl_pipeline.image (accession_number, study_date, mrn, study_uid, pseudo_study_uid, exported_at," \
    " extract_id, pseudo_patient_id) VALUES ('" accession "', '2023-01-01', '" mrn "', '" uid "', NULL, NULL, 1,"   \
    " NULL) RETURNING pixl_pipeline.image.image_id"
#define PYTHON_EXPORTED(id) "UPDATE pixl_pipeline.image SET exported_at=now() WHERE pixl_pipeline.image.image_id = " id

static void test_beside__its_rows_come_in_and_its_word_counts(void)
{
    struct pixl_error err = { 0 };
    struct store *s = open_store();
    add(s, (struct ask){ .mrn = "M1", .accession = "A", .date = 20240101 });
    CHECK_STR(raw_text(PYTHON_INSERT("B", "M2", "1.2")), "2\n");
    CHECK_STR(raw_text(PYTHON_INSERT("B", "M2", "1.2")), "3\n"); /* twice, as it may */
    CHECK_INT(image_of(s, 2).state, STUDY_ADOPTED);
    CHECK_INT(image_of(s, 2).priority, 1);
    CHECK(image_of(s, 2).created_us > T0);
    CHECK_INT(add(s, (struct ask){ .mrn = "M2", .accession = "B", .uid = "1.2" }), STORE_REVIVED);
    CHECK_INT(image_of(s, 3).state, STUDY_ADOPTED);

    /* What it says of an image that we work on: our claim is over. */
    struct store_image m = claim(s);
    CHECK_INT(m.id, 2); /* the earlier date */
    raw(PYTHON_EXPORTED("2"));
    CHECK_INT(image_of(s, 2).state, STUDY_EXPORTED);
    CHECK(image_of(s, 2).exported_us > T0);
    CHECK_STR(image_of(s, 2).owner, "");
    struct store_move done = move_of(2, m.fence, STUDY_MISSING);
    CHECK_FAILS(store_move(s, &done, NULL, &err), err, PIXL_E_STALE);
    CHECK_STR(str_of(events(s, 2)), "adopted()>queued()>retrieving()>exported()");
    /* ... and of one that it wants again. */
    raw("UPDATE pixl_pipeline.image SET exported_at = NULL WHERE image_id = 2");
    CHECK_INT(image_of(s, 2).state, STUDY_ADOPTED);
    CHECK_INT(image_of(s, 2).exported_us, 0);
    CHECK_INT(add(s, (struct ask){ .mrn = "M2", .accession = "B", .uid = "1.2" }), STORE_REVIVED);
    raw("INSERT INTO image (accession_number, study_date, mrn, exported_at, extract_id) VALUES ('Z', now(), 'M', "
        "now(), 1)");
    CHECK_INT(image_of(s, 4).state, STUDY_EXPORTED);

    /* It reads ours as its own. */
    bring(s, 2, STUDY_FAILED);
    bring(s, 1, STUDY_EXPORTED);
    CHECK_STR(raw_text("SELECT accession_number || mrn || study_date || coalesce(study_uid, '-') || pseudo_study_uid ||"
                       " (extract(epoch FROM exported_at) * 1000000)::bigint FROM image WHERE image_id = 1"),
              "AM12024-01-01-2.25.11700000000000001\n");
    store_close(s);
}

/* --- a server that goes away ------------------------------------------------------------------------------------- */

static void with_postgres(const char *what)
{
    char path[] = PIXL_SOURCE_DIR "/tests/support/with-postgres", word[16];
    (void)snprintf(word, sizeof word, "%s", what);
    char *argv[] = { path, word, NULL };
    pid_t pid;
    int status = -1;
    REQUIRE(posix_spawn(&pid, path, NULL, NULL, argv, environ) == 0);
    REQUIRE(waitpid(pid, &status, 0) == pid && status == 0);
}

static bool add_some(struct store_populate *p, int from, int n, struct pixl_error *err)
{
    for (int i = from; i < from + n; i++) {
        char accession[16];
        enum store_added what;
        (void)snprintf(accession, sizeof accession, "A%d", i);
        struct ask a = { .mrn = "1", .accession = accession, .procedure = i };
        struct study_request r = request_of(&a);
        if (!store_populate_add(p, &r, T0, &what, NULL, err))
            return false;
    }
    return true;
}

static void test_lost__in_the_middle_of_a_populate(void)
{
    struct pixl_error err = { 0 };
    struct store *s = open_store();
    struct store_populate *p = NULL;
    REQUIRE_OK(store_populate_begin(s, false, &p, &err), err);
    REQUIRE_OK(add_some(p, 0, 2500, &err), err); /* one transaction is committed */
    with_postgres("--kill");
    CHECK_FAILS(add_some(p, 2500, 1500, &err), err, PIXL_E_UNAVAILABLE); /* told by the commit, if not before */
    with_postgres("--start");
    CHECK_FAILS(add_some(p, 4000, 1, &err), err, PIXL_E_UNAVAILABLE); /* it stays broken off */
    CHECK_FAILS(store_populate_end(p, &err), err, PIXL_E_UNAVAILABLE);
    check_whole();
    CHECK_INT(images_in(s), 2000); /* the store goes on by itself */
    REQUIRE_OK(store_populate_begin(s, false, &p, &err), err);
    REQUIRE_OK(add_some(p, 0, 3000, &err), err);
    REQUIRE_OK(store_populate_end(p, &err), err);
    CHECK_INT(images_in(s), 3000);
    check_whole();
    store_close(s);
}

/* Its memory of what it brought itself is not asked once another program has put a row of the project beside. */
static void test_beside__a_row_between_two_batches_of_a_populate_is_met(void)
{
    struct pixl_error err = { 0 };
    struct store *s = open_store();
    struct store_populate *p = NULL;
    enum store_added what = STORE_KNOWN;
    const struct ask late = { .mrn = "M2", .accession = "B", .uid = "1.2" };
    struct study_request r = request_of(&late);
    REQUIRE_OK(store_populate_begin(s, false, &p, &err), err);
    REQUIRE_OK(add_some(p, 0, 2500, &err), err); /* one transaction is committed, the next is under way */
    CHECK(raw_text(PYTHON_INSERT("B", "M2", "1.2")).n > 0);
    REQUIRE_OK(add_some(p, 2500, 2000, &err), err); /* ... and is committed */
    CHECK_OK(store_populate_add(p, &r, T0, &what, NULL, &err), err);
    CHECK_INT(what, STORE_REVIVED);
    REQUIRE_OK(store_populate_end(p, &err), err);
    CHECK_INT(images_in(s), 4501);
    store_close(s);
}

static bool kill_server(void *ctx, struct store_bucket *b)
{
    (void)ctx;
    with_postgres("--kill");
    b->rate_per_s = 5;
    return true;
}

static void test_lost__in_the_middle_of_work(void)
{
    struct pixl_error err = { 0 };
    struct store *s = open_store();
    add(s, (struct ask){ .mrn = "1", .accession = "A" });
    struct store_image m = claim(s);
    test_row("inside of a transaction");
    CHECK_FAILS(store_change_bucket(s, "b", kill_server, NULL, &err), err, PIXL_E_UNAVAILABLE);
    test_row("while it is away");
    struct store_move back = move_of(1, m.fence, STUDY_QUEUED);
    struct store_claim c = { .work = STORE_WORK_RETRIEVE, .owner = ME, .now_us = T0, .lease_us = LEASE };
    struct store_counts counts;
    bool got;
    for (int i = 0; i < 2; i++) {
        CHECK_FAILS(store_move(s, &back, NULL, &err), err, PIXL_E_UNAVAILABLE);
        CHECK_FAILS(store_claim_next(s, &c, test_arena(), &got, &m, &err), err, PIXL_E_UNAVAILABLE);
        CHECK_FAILS(store_count(s, STR("p"), &counts, &err), err, PIXL_E_UNAVAILABLE);
    }
    struct store *other = NULL;
    CHECK_FAILS(store_open(store_url(true), &other, &err), err, PIXL_E_UNAVAILABLE);
    with_postgres("--start");
    test_row("back again");
    CHECK_INT(image_of(s, 1).state, STUDY_RETRIEVING);
    CHECK_STR(raw_text("SELECT count(*) FROM bucket"), "0\n");
    CHECK_OK(store_move(s, &back, NULL, &err), err);
    check_whole();
    store_close(s);
}

static void test_recover__leaves_a_claim_that_was_made_meanwhile(void)
{
    struct pixl_error err = { 0 };
    struct store *s = open_store();
    int64_t n = -1;
    add(s, (struct ask){ .mrn = "1", .accession = "A" });
    struct store_image m = claim(s);
    static char next_owner[] = NEXT_OWNER;
    pthread_t t = changes_slowly(next_owner);
    CHECK_OK(store_recover_claims(s, "another", NULL, T0 + LEASE + 1, &n, &err), err);
    CHECK_INT(n, 0);
    REQUIRE(pthread_join(t, NULL) == 0);
    struct store_image now = image_of(s, 1);
    CHECK_STR(now.owner, "next");
    CHECK_INT(now.fence, m.fence + 1);
    CHECK_INT(now.state, STUDY_RETRIEVING);
    store_close(s);
}

/* What another program writes, from a session that has none of our settings. */
static void test_beside__its_rows_want_a_hint_when_they_are_queued(void)
{
    struct store *s = open_python();
    check_hints();
    CHECK_STR(raw_text("SELECT count(*) FROM hint"), "0\n");
    CHECK_INT(add(s, (struct ask){ .mrn = "M1", .accession = "B", .uid = "1.2" }), STORE_REVIVED);
    CHECK_STR(raw_text("SELECT image_id FROM hint"), "2\n");
    raw("SET search_path = public;" PYTHON_EXPORTED("2"));
    CHECK_STR(raw_text("SELECT count(*) FROM hint"), "0\n");
    raw("SET search_path = public; INSERT INTO pixl_pipeline.image (accession_number, study_date, mrn, extract_id)"
        " VALUES ('Z', now(), 'M', 1), ('Y', now(), 'M', 1);"
        " UPDATE pixl_pipeline.image SET state = 'queued' WHERE mrn = 'M'");
    CHECK_STR(raw_text("SELECT count(*) FROM hint"), "2\n");
    check_hints();
    store_close(s);
}

static void test_lost__the_address_is_never_told(void)
{
    struct pixl_error err = { 0 };
    struct store *s = NULL;
    bool ok = store_open("postgresql://user:secretword@127.0.0.1:1/d?connect_timeout=2", &s, &err);
    CHECK(strstr(err.msg, "secretword") == NULL && strstr(err.msg, "user") == NULL);
    CHECK_FAILS(ok, err, PIXL_E_UNAVAILABLE);
}

/* --- what the server logs ---------------------------------------------------------------------------------------- */

/* With every statement logged: what is bound is no part of it. */
static void test_log__of_statements_holds_no_identity(void)
{
    static const char *const canaries[] = { "CANARYMRN", "CANARYACC",  "1.2.777.1",
                                            "1.2.777.2", "CANARYTEXT", "CANARYPART" };
    struct pixl_error err = { 0 };
    struct store *s = NULL;
    char url[1300], path[600];
    (void)snprintf(url, sizeof url, "%s&options=-c%%20log_statement%%3Dall", store_url(false));
    REQUIRE_OK(store_open(url, &s, &err), err);
    add(s,
        (struct ask){ .mrn = "CANARYMRN", .accession = "CANARYACC", .uid = "1.2.777.1", .participant = "CANARYPART" });
    add(s, (struct ask){ .mrn = "CANARYMRN", .accession = "CANARYACC", .procedure = 2 });
    for (int i = 0; i < 2; i++) {
        struct store_image m = claim(s);
        struct phi_text uid = phi_text(STR("1.2.777.2"));
        int64_t mine, *ids;
        size_t n;
        REQUIRE_OK(store_resolve(s, m.id, m.fence, &uid, 1, T0, &mine, &err), err);
        REQUIRE_OK(store_find_images(s, phi_text(STR("CANARYACC")), test_arena(), &ids, &n, &err), err);
    }
    struct store_report_load *l = NULL;
    const struct store_report r = { .procedure_occurrence_id = 2, .text = STR("CANARYTEXT") };
    enum store_report_put what;
    bool got = false;
    REQUIRE_OK(store_reports_begin(s, false, &l, &err), err);
    REQUIRE_OK(store_reports_enter(l, STR("p"), STR(TIME_1), &got, &err), err);
    CHECK(got);
    REQUIRE_OK(store_reports_put(l, &r, T0, &what, &err), err);
    REQUIRE_OK(store_reports_end(l, &err), err);
    (void)outcomes(s);
    store_close(s);

    struct arena a;
    struct str log;
    arena_init(&a, 128 << 20);
    (void)snprintf(path, sizeof path, "%s/log", getenv("TEST_POSTGRES"));
    REQUIRE_OK(fs_read_whole(&a, path, 64 << 20, &log, &err), err);
    CHECK(memmem(log.p, log.n, "INSERT INTO image (", 19) != NULL); /* it is there, and so is what it said */
    CHECK(memmem(log.p, log.n, "DECLARE c", 9) != NULL);
    for (size_t i = 0; i < ARRAY_LEN(canaries); i++) {
        test_row("%s", canaries[i]);
        CHECK(memmem(log.p, log.n, canaries[i], strlen(canaries[i])) == NULL);
    }
    arena_done(&a);
}

/* --- several at once --------------------------------------------------------------------------------------------- */

enum { ROUNDS = 150 };
struct all {
    struct store *s;
    atomic_int errors, worked;
    atomic_bool over;
};

static void note(struct all *all, bool ok, struct pixl_error *err)
{
    if (!ok) {
        (void)fprintf(stderr, "    %s\n", err->msg);
        pixl_error_clear(err);
        atomic_fetch_add(&all->errors, 1);
    }
}

/* Claims, finds studies that rows of others stand for, moves; leases are of the past, so that others take them away. */
static void *work(void *arg)
{
    struct all *all = arg;
    static atomic_int number;
    char name[32];
    struct arena a;
    arena_init(&a, 1 << 20);
    (void)snprintf(name, sizeof name, "w%d", atomic_fetch_add(&number, 1));
    while (!atomic_load(&all->over)) {
        struct pixl_error err = { 0 };
        struct store_image m;
        bool got = false;
        int64_t mine = -1;
        struct store_claim c = { .work = STORE_WORK_RETRIEVE, .owner = name, .now_us = T0, .lease_us = LEASE };
        arena_reset(&a);
        note(all, store_claim_next(all->s, &c, &a, &got, &m, &err), &err);
        if (!got)
            continue;
        char uid[2][32];
        (void)snprintf(uid[0], sizeof uid[0], "1.%lld", (long long)(m.id / 3));
        (void)snprintf(uid[1], sizeof uid[1], "2.%lld", (long long)(m.id / 7));
        struct phi_text found[] = { phi_text(str_of(uid[0])), phi_text(str_of(uid[1])) };
        bool ok = store_resolve(all->s, m.id, m.fence, found, 2, T0, &mine, &err);
        if (!ok && err.code == PIXL_E_STALE)
            pixl_error_clear(&err);
        else
            note(all, ok, &err);
        if (!ok || mine < 0)
            continue;
        struct store_move move = move_of(m.id, m.fence, STUDY_MISSING);
        ok = store_move(all->s, &move, NULL, &err);
        if (!ok && err.code == PIXL_E_STALE)
            pixl_error_clear(&err);
        else
            note(all, ok, &err);
        atomic_fetch_add(&all->worked, ok);
    }
    arena_done(&a);
    return NULL;
}

static void *recover(void *arg)
{
    struct all *all = arg;
    while (!atomic_load(&all->over)) {
        struct pixl_error err = { 0 };
        int64_t n;
        note(all, store_renew_claims(all->s, "w0", (const int64_t[]){ 1, 2, 3, 5, 8 }, 5, T0 + 2 * LEASE, &err), &err);
        note(all, store_recover_claims(all->s, "w0", NULL, T0 + LEASE + 1, &n, &err), &err);
        (void)usleep(5000);
    }
    return NULL;
}

static void *retry(void *arg)
{
    struct all *all = arg;
    while (!atomic_load(&all->over)) {
        struct pixl_error err = { 0 };
        struct store_filter f = { .states = 1u << STUDY_MISSING };
        int64_t n;
        note(all, store_retry(all->s, &f, NULL, 0, T0, &n, &err), &err);
        (void)usleep(20000);
    }
    return NULL;
}

static bool add_hint(void *ctx, const struct store_unhinted *u)
{
    struct store_hint **to = ctx;
    *(*to)++ = u->hint;
    return true;
}

static void *hint(void *arg)
{
    struct all *all = arg;
    while (!atomic_load(&all->over)) {
        struct pixl_error err = { 0 };
        struct store_hint hints[100], *end = hints;
        int64_t n;
        note(all, store_each_unhinted(all->s, T0, NULL, 0, ARRAY_LEN(hints), add_hint, &end, &err), &err);
        note(all, store_set_hinted(all->s, hints, (size_t)(end - hints), T0, &err), &err);
        note(all, store_forget_hints(all->s, 3, T0 + 1, &n, &err), &err);
        (void)usleep(5000);
    }
    return NULL;
}

/* A populate does not keep others from working, none waits for another in a circle, and nothing is lost. */
static void test_look__knows_tables_that_it_would_take_over(void)
{
    struct pixl_error err = { 0 };
    struct store_look look;
    (void)store_url(false);
    CHECK_OK(store_look(store_url(true), &look, &err), err);
    CHECK(look.version == 0 && !look.has_others);
    raw(python_schema);
    CHECK_OK(store_look(store_url(true), &look, &err), err);
    CHECK(look.version == 0 && look.has_others);
    store_close(open_store());
    CHECK_OK(store_look(store_url(true), &look, &err), err);
    CHECK(look.version > 0 && !look.has_others);
}

static void test_look__makes_nothing(void)
{
    struct pixl_error err = { 0 };
    struct store_look look = { .version = -1 };
    char url[1400];
    (void)store_url(false);
    CHECK_OK(store_look(store_url(true), &look, &err), err);
    CHECK(look.version == 0 && look.newest > 0);
    int64_t apart = look.server_us - clock_wall_us();
    CHECK(apart > -60000000 && apart < 60000000);
    CHECK_STR(raw_text("SELECT nspname FROM pg_namespace WHERE nspname = 'pixl_pipeline'"), "");
    raw("DROP ROLE IF EXISTS looker; CREATE ROLE looker LOGIN");
    (void)snprintf(url, sizeof url, "%s", store_url(true));
    REQUIRE(strstr(url, "user=pixl") != NULL);
    (void)snprintf(strstr(url, "user=pixl"), 16, "user=looker");
    CHECK_FAILS(store_look(url, &look, &err), err, PIXL_E_DENIED);
    store_close(open_store());
    CHECK_OK(store_look(store_url(true), &look, &err), err);
    CHECK_INT(look.version, look.newest);
    raw("UPDATE pixl_version SET version = 999");
    CHECK_FAILS(store_look(store_url(true), &look, &err), err, PIXL_E_UNSUPPORTED);
    CHECK_STR(raw_text("SELECT version FROM pixl_version"), "999\n");
    CHECK_FAILS(store_look("postgresql:///none?host=/no/such/folder&password=CANARY", &look, &err), err,
                PIXL_E_UNAVAILABLE);
    raw("DROP ROLE looker");
}

static void test_sessions__everybody_at_once(void)
{
    struct pixl_error err = { 0 };
    struct all all = { .s = open_store() };
    void *(*const does[])(void *) = { work, work, work, recover, retry, hint };
    pthread_t threads[ARRAY_LEN(does)];
    struct store_populate *p = NULL;
    for (size_t i = 0; i < ARRAY_LEN(does); i++)
        REQUIRE(pthread_create(&threads[i], NULL, does[i], &all) == 0);
    for (int round = 0; round < 3; round++) { /* the second and third time they meet what is being worked on */
        bool ok = store_populate_begin(all.s, false, &p, &err);
        note(&all, ok, &err);
        for (int i = 0; ok && i < ROUNDS; i++)
            ok = add_some(p, i * 20, 20, &err);
        note(&all, ok, &err);
        note(&all, store_populate_end(p, &err), &err);
    }
    for (int i = 0; i < 200 && atomic_load(&all.worked) < 100; i++)
        (void)usleep(50000);
    atomic_store(&all.over, true);
    for (size_t i = 0; i < ARRAY_LEN(does); i++)
        CHECK(pthread_join(threads[i], NULL) == 0);
    CHECK_INT(atomic_load(&all.errors), 0);
    CHECK(atomic_load(&all.worked) >= 100);
    CHECK_INT(count_of(all.s).requests, ROUNDS * 20);
    CHECK_STR(raw_text("SELECT request_id FROM request r WHERE NOT EXISTS"
                       " (SELECT FROM request_image l WHERE l.request_id = r.request_id)"),
              "");
    check_hints();
    store_close(all.s);
}

int main(int argc, char **argv)
{
    static const struct test_case tests[] = {
        TEST(test_adopt__the_rows_stay_as_they_are_and_get_states),
        TEST(test_adopt__what_repeats_is_found),
        TEST(test_adopt__a_project_that_stands_twice_is_one),
        TEST(test_adopt__a_cohort_meets_the_rows),
        TEST(test_adopt__refuses_what_it_does_not_know_and_leaves_it),
        TEST(test_adopt__what_its_first_versions_left),
        TEST(test_beside__its_rows_come_in_and_its_word_counts),
        TEST(test_beside__a_row_between_two_batches_of_a_populate_is_met),
        TEST(test_lost__in_the_middle_of_a_populate),
        TEST(test_lost__in_the_middle_of_work),
        TEST(test_recover__leaves_a_claim_that_was_made_meanwhile),
        TEST(test_beside__its_rows_want_a_hint_when_they_are_queued),
        TEST(test_lost__the_address_is_never_told),
        TEST(test_log__of_statements_holds_no_identity),
        TEST(test_look__knows_tables_that_it_would_take_over),
        TEST(test_look__makes_nothing),
        TEST(test_sessions__everybody_at_once),
    };
    return test_main(argc, argv, tests, ARRAY_LEN(tests));
}
