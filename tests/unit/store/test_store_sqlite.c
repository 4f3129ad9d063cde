#include "store/store.h"

#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "base/fs.h"
#include "base/sqlite_db.h"
#include "store/store_sqlite.h"
#include "store_helper.h"

#ifdef PIXL_SANITIZED
enum { KILLS = 8, KILL_MS = 250 };
#else
enum { KILLS = 25, KILL_MS = 120 };
#endif
enum { KILLS_MAX = 200 };        /* a slow machine gets more rounds, until some work was done */

static const char *db_path(void)
{
    return store_url(true) + strlen("sqlite:");
}

static void raw(const char *sql)
{
    struct pixl_error err = { 0 };
    sqlite_db_auto *db = NULL;
    REQUIRE_OK(sqlite_db_open(db_path(), 5000, &db, &err), err);
    REQUIRE_OK(sqlite_db_exec(db, sql, &err), err);
}

static struct str raw_text(const char *sql)
{
    struct pixl_error err = { 0 };
    sqlite_db_auto *db = NULL;
    struct sqlite_stmt *q = NULL;
    bool row = false;
    REQUIRE_OK(sqlite_db_open(db_path(), 5000, &db, &err), err);
    REQUIRE_OK(sqlite_db_prepare(db, sql, &q, &err), err);
    REQUIRE_OK(sqlite_step(q, &row, &err), err);
    return row ? arena_str(test_arena(), sqlite_col_str(q, 0)) : (struct str){ 0 };
}

static void check_invariants(void);

/* --- the file -------------------------------------------------------------------------------------------------- */

static void check_modes(const char *when)
{
    static const char *const suffix[] = { "", "-wal", "-shm" };
    for (size_t i = 0; i < ARRAY_LEN(suffix); i++) {
        test_row("%s, %s", when, suffix[i]);
        char path[1300];
        struct stat st;
        (void)snprintf(path, sizeof path, "%s%s", db_path(), suffix[i]);
        CHECK(stat(path, &st) == 0);
        CHECK_INT(st.st_mode & 07777, 0600);
    }
}

static void test_open__its_files_are_for_their_owner_only(void)
{
    (void)umask(0);
    struct pixl_error err = { 0 };
    struct store *s = open_store();
    add(s, (struct ask){ .mrn = "1", .accession = "A" });
    check_modes("new");
    store_close(s);
    CHECK(chmod(db_path(), 0644) == 0);
    REQUIRE_OK(store_open(store_url(true), &s, &err), err);
    add(s, (struct ask){ .mrn = "1", .accession = "B" });
    check_modes("copied with a wider mode");
    store_close(s);
}

static void test_open__refuses_what_it_does_not_know(void)
{
    static const struct { const char *name, *sql, *bytes; enum pixl_code want; } rows[] = {
        { "a newer pixl", "PRAGMA user_version = 999", NULL, PIXL_E_UNSUPPORTED },
        { "another program's database", "PRAGMA application_id = 1", NULL, PIXL_E_CORRUPT },
        { "tables of another program", "PRAGMA application_id = 0; PRAGMA user_version = 0", NULL, PIXL_E_CORRUPT },
        { "no database at all", NULL, "this is not a database; it is a letter of some length, as one can see here.",
          PIXL_E_CORRUPT },
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        test_row("%s", rows[i].name);
        struct pixl_error err = { 0 };
        struct store *s = NULL;
        if (rows[i].sql != NULL) {
            store_close(open_store());
            raw(rows[i].sql);
        } else {
            (void)store_url(false);
            REQUIRE_OK(fs_write_whole(db_path(), str_of(rows[i].bytes), 0600, &err), err);
        }
        CHECK_FAILS(store_open(store_url(true), &s, &err), err, rows[i].want);
        CHECK(s == NULL);
        struct store_look look;
        CHECK_FAILS(store_look(store_url(true), &look, &err), err, rows[i].want);
    }
    test_row("no folder");
    struct pixl_error err = { 0 };
    struct store *s = NULL;
    char url[1300];
    (void)snprintf(url, sizeof url, "sqlite:%s/no/such/folder.db", test_dir());
    CHECK_FAILS(store_open(url, &s, &err), err, PIXL_E_NOT_FOUND);
}

static void test_look__tells_of_migrations_and_runs_none(void)
{
    struct pixl_error err = { 0 };
    struct store_look look = { .version = -1 };
    (void)store_url(false);
    CHECK_FAILS(store_look(store_url(true), &look, &err), err, PIXL_E_NOT_FOUND);
    CHECK(look.version == -1 && !fs_exists(db_path()));
    CHECK_FAILS(store_look("mysql:x", &look, &err), err, PIXL_E_INVALID);
    store_close(open_store());
    CHECK_OK(store_look(store_url(true), &look, &err), err);
    CHECK(look.version == look.newest && look.newest > 0 && look.server_us == 0);
    raw("PRAGMA user_version = 1");
    CHECK_OK(store_look(store_url(true), &look, &err), err);
    CHECK_INT(look.version, 1);
    CHECK_STR(raw_text("SELECT '' || user_version FROM pragma_user_version"), "1");
    (void)store_url(false);
    REQUIRE_OK(fs_write_whole(db_path(), (struct str){ 0 }, 0644, &err), err);
    CHECK_OK(store_look(store_url(true), &look, &err), err);
    CHECK_INT(look.version, 0);
    struct stat st;
    CHECK(stat(db_path(), &st) == 0 && st.st_size == 0 && (st.st_mode & 0777) == 0644);
}

static void test_open__keeps_what_was_there(void)
{
    struct pixl_error err = { 0 };
    struct store *s = open_store();
    add(s, (struct ask){ .mrn = "1", .accession = "A" });
    bring(s, 1, STUDY_EXPORTED);
    store_close(s);
    REQUIRE_OK(store_open(store_url(true), &s, &err), err);
    CHECK_INT(image_of(s, 1).state, STUDY_EXPORTED);
    CHECK_INT(add(s, (struct ask){ .mrn = "1", .accession = "A" }), STORE_KNOWN);
    store_close(s);
}

/* Takes a store back to version 6, 5, 4 and 3. */
#define UNDO_7                                                                              \
    "DROP TABLE hinted; ALTER TABLE image ADD COLUMN hinted_us INTEGER NOT NULL DEFAULT 0;" \
    " CREATE INDEX image_unhinted ON image (priority DESC, study_date, image_id)"           \
    " WHERE state = 'queued' AND crashes = 0 AND hinted_us = 0;"
#define UNDO_6                                                                                                   \
    "PRAGMA foreign_keys = OFF; CREATE TABLE request_5 (request_id INTEGER PRIMARY KEY,"                         \
    " extract_time_id INTEGER NOT NULL REFERENCES extract_time, key_hash INTEGER NOT NULL UNIQUE,"               \
    " procedure_occurrence_id INTEGER NOT NULL, study_date INTEGER NOT NULL, priority INTEGER NOT NULL,"         \
    " created_us INTEGER NOT NULL, mrn TEXT NOT NULL, accession_number TEXT NOT NULL, study_uid TEXT NOT NULL,"  \
    " series_uids TEXT NOT NULL, participant_id TEXT NOT NULL) STRICT;"                                          \
    " INSERT INTO request_5 SELECT * FROM request; DROP TABLE request; ALTER TABLE request_5 RENAME TO request;" \
    " CREATE INDEX request_procedure ON request (extract_time_id, procedure_occurrence_id);"
#define UNDO_5 "DROP INDEX image_unhinted; ALTER TABLE image DROP COLUMN hinted_us;"
#define UNDO_4                                                                                         \
    "DROP INDEX image_queued; DROP INDEX image_deidentified; ALTER TABLE image DROP COLUMN archive;"   \
    " ALTER TABLE image DROP COLUMN spool;"                                                            \
    " CREATE INDEX image_queued ON image (extract_id, (crashes > 0), priority DESC, study_date)"       \
    " WHERE state = 'queued' AND not_before_us = 0;"                                                   \
    " CREATE INDEX image_deidentified ON image (extract_id, (crashes > 0), priority DESC, study_date)" \
    " WHERE state = 'deidentified' AND not_before_us = 0;"

/* A store of version 1: what it holds stays, and it takes what that version did not know. */
static void test_open__brings_an_older_store_up_to_date(void)
{
    struct pixl_error err = { 0 };
    struct store *s = open_store();
    int64_t by[STUDY_REASON_COUNT];
    add(s, (struct ask){ .mrn = "1", .accession = "A" });
    bring(s, 1, STUDY_EXPORTED);
    add(s, (struct ask){ .mrn = "2", .accession = "B" });
    store_close(s);
    raw(UNDO_7 UNDO_6 UNDO_5 UNDO_4
        "DROP TABLE instance_skipped; DROP INDEX request_procedure; DROP TABLE report; PRAGMA user_version = 1");
    REQUIRE_OK(store_open(store_url(true), &s, &err), err);
    CHECK_INT(image_of(s, 1).state, STUDY_EXPORTED);
    CHECK_INT(image_of(s, 1).instances_skipped, 1);
    CHECK_INT(image_of(s, 1).archive, 0);
    CHECK_STR(image_of(s, 1).spool, "");
    REQUIRE_OK(store_get_skipped(s, 1, by, &err), err);
    struct store_image m = claim(s);
    struct store_move skip = move_of(m.id, m.fence, STUDY_SKIPPED);
    const int64_t two[STUDY_REASON_COUNT] = { [STUDY_WHY_MODALITY] = 2 };
    skip.instances_skipped = 2;
    skip.skipped_by = two;
    REQUIRE_OK(store_move(s, &skip, NULL, &err), err);
    CHECK_INT(count_of(s).skipped_by[STUDY_WHY_MODALITY], 2);
    store_close(s);
    raw("UPDATE instance_skipped SET reason = 'of a newer pixl'");
    REQUIRE_OK(store_open(store_url(true), &s, &err), err);
    by[STUDY_WHY_MODALITY] = 77;
    CHECK_FAILS(store_get_skipped(s, m.id, by, &err), err, PIXL_E_CORRUPT);
    CHECK_INT(by[STUDY_WHY_MODALITY], 77);
    store_close(s);
}

static void test_open__brings_an_older_store_to_the_newest_version(void)
{
    struct pixl_error err = { 0 };
    struct store *s = open_store();
    add(s, (struct ask){ .mrn = "1", .accession = "A", .procedure = 7 });
    store_close(s);
    raw(UNDO_7 UNDO_6 UNDO_5 UNDO_4 "DROP INDEX request_procedure; DROP TABLE report; PRAGMA user_version = 2");
    REQUIRE_OK(store_open(store_url(true), &s, &err), err);
    CHECK_INT(add(s, (struct ask){ .mrn = "1", .accession = "A", .procedure = 7 }), STORE_KNOWN);
    struct store_report_load *l = NULL;
    enum store_report_put what;
    bool got = false;
    const struct store_report r = { .procedure_occurrence_id = 7, .text = STR("normal") };
    REQUIRE_OK(store_reports_begin(s, false, &l, &err), err);
    CHECK_OK(store_reports_enter(l, STR("p"), STR(TIME_1), &got, &err), err);
    REQUIRE(got);
    CHECK_OK(store_reports_put(l, &r, T0, &what, &err), err);
    CHECK_INT(what, STORE_REPORT_NEW);
    REQUIRE_OK(store_reports_end(l, &err), err);
    store_close(s);
}

/* Requests move into another table: each keeps its number, its words and its studies, and is found again. */
static void test_open__keeps_requests_of_an_older_store(void)
{
    struct pixl_error err = { 0 };
    struct store *s = open_store();
    static const struct ask asks[] = {
        { .mrn = "1", .accession = "A", .procedure = 7, .participant = "x" },
        { .mrn = "1", .accession = "A", .procedure = 8, .date = 20200102 },
        { .mrn = "2", .uid = "1.2", .series = "1.2.3", .procedure = 7, .priority = 4 },
        { .mrn = "2", .uid = "1.2", .series = "1.2.3", .procedure = 7, .time = "2024-01-01T00:00:00" },
    };
    for (size_t i = 0; i < ARRAY_LEN(asks); i++)
        add(s, asks[i]);
    store_close(s);
#define ALL_REQUESTS                                                                                                   \
    "SELECT group_concat(concat, ' ') FROM (SELECT request_id || '|' || extract_time_id || '|' || key_hash || '|' || " \
    "procedure_occurrence_id || '|' || study_date || '|' || priority || '|' || created_us || '|' || mrn || '|' || "    \
    "accession_number || '|' || study_uid || '|' || series_uids || '|' || participant_id || '|' || image_id"           \
    " AS concat FROM request JOIN request_image USING (request_id) ORDER BY request_id, image_id)"
    const struct str before = raw_text(ALL_REQUESTS);
    raw(UNDO_7 UNDO_6 "PRAGMA user_version = 5");
    CHECK_STR(raw_text("SELECT group_concat(name) FROM (SELECT name FROM pragma_index_list('request') ORDER BY name)"),
              "request_procedure,sqlite_autoindex_request_1");
    REQUIRE_OK(store_open(store_url(true), &s, &err), err);
    for (size_t i = 0; i < ARRAY_LEN(asks); i++) {
        test_row("request %zu", i);
        CHECK_INT(add(s, asks[i]), STORE_KNOWN);
    }
    store_close(s);
    CHECK(before.n > 100 && str_eq(before, raw_text(ALL_REQUESTS)));
    CHECK_STR(raw_text("SELECT group_concat(name) FROM pragma_index_list('request')"), "request_key");
    check_invariants();
}

static void test_open__leaves_an_older_store_whose_links_are_torn(void)
{
    struct pixl_error err = { 0 };
    struct store *s = open_store();
    add(s, (struct ask){ .mrn = "1", .accession = "A", .procedure = 7 });
    store_close(s);
    raw(UNDO_7 UNDO_6 "PRAGMA user_version = 5; DELETE FROM request");
    CHECK_FAILS(store_open(store_url(true), &s, &err), err, PIXL_E_CORRUPT);
    CHECK_STR(raw_text("SELECT '' || user_version FROM pragma_user_version"), "5");
}

/* Migrations run without the rules between tables; what comes after them does not. */
static void test_open__after_migrations_links_are_checked(void)
{
    struct pixl_error err = { 0 };
    sqlite_db_auto *db = NULL;
    (void)store_url(false);
    REQUIRE_OK(sqlite_db_open(db_path(), 5000, &db, &err), err);
    REQUIRE_OK(store_sqlite_migrate(db, &err), err);
    CHECK_FAILS(sqlite_db_exec(db, "INSERT INTO request_image VALUES (1, 99)", &err), err, PIXL_E_INVALID);
}

static bool take_unhinted(void *ctx, const struct store_unhinted *u)
{
    struct store_unhinted *to = ctx;
    CHECK_INT(to->hint.image, 0); /* one */
    *to = *u;
    return true;
}

/* Hints that were given before the version that keeps them elsewhere. */
static void test_open__keeps_hints_of_an_older_store(void)
{
    struct pixl_error err = { 0 };
    struct store *s = open_store();
    struct store_unhinted u = { .archive = -1 };
    int64_t n = 0;
    add(s, (struct ask){ .mrn = "1", .accession = "A" });
    add(s, (struct ask){ .mrn = "1", .accession = "B" });
    store_close(s);
    raw(UNDO_7 "UPDATE image SET hinted_us = 5 WHERE image_id = 1; PRAGMA user_version = 6");
    REQUIRE_OK(store_open(store_url(true), &s, &err), err);
    REQUIRE_OK(store_each_unhinted(s, T0, NULL, 0, 9, take_unhinted, &u, &err), err);
    CHECK_INT(u.hint.image, 2);
    CHECK_INT(u.archive, 0);
    REQUIRE_OK(store_forget_hints(s, 1, 5, &n, &err), err);
    CHECK_INT(n, 0);
    REQUIRE_OK(store_forget_hints(s, 1, 6, &n, &err), err);
    CHECK_INT(n, 1);
    store_close(s);
}

/* --- the schema's own guard ------------------------------------------------------------------------------------- */

static void test_schema__refuses_rows_that_make_no_sense(void)
{
    static const struct {
        const char *name, *sql;
    } rows[] = {
        { "unknown state", "UPDATE image SET state = 'done' WHERE image_id = 1" },
        { "unknown failed_from", "UPDATE image SET failed_from = 'x' WHERE image_id = 1" },
        { "claimed without owner", "UPDATE image SET state = 'retrieving' WHERE image_id = 1" },
        { "claimed without lease", "UPDATE image SET state = 'retrieving', owner = 'x' WHERE image_id = 1" },
        { "owner without claim", "UPDATE image SET owner = 'x' WHERE image_id = 1" },
        { "exported never", "UPDATE image SET state = 'exported' WHERE image_id = 1" },
        { "priority 6", "UPDATE image SET priority = 6 WHERE image_id = 1" },
        { "no MRN", "UPDATE image SET mrn = '' WHERE image_id = 1" },
        { "text for a number", "UPDATE image SET fence = 'one' WHERE image_id = 1" },
        { "the key of another",
          "UPDATE image SET key_hash = (SELECT key_hash FROM image WHERE image_id = 2) WHERE image_id = 1" },
        { "the study of another", "UPDATE image SET found_uid = '1.2'" },
        { "a project twice", "INSERT INTO extract (slug) VALUES ('p')" },
        { "a request twice", "INSERT INTO request SELECT 99, extract_time_id, key_hash, procedure_occurrence_id, 1, 1, "
                             "1, 'm', 'a', '', '', ''"
                             " FROM request" },
        { "a link to nothing", "INSERT INTO request_image VALUES (1, 99)" },
        { "an event from nowhere", "INSERT INTO image_event (image_id, event_no, at_us, to_state, fence, attempt)"
                                   " VALUES (1, 2, 0, 'queued', 0, 0)" },
    };
    struct store *s = open_store();
    add(s, (struct ask){ .mrn = "1", .accession = "A" });
    add(s, (struct ask){ .mrn = "1", .accession = "B", .procedure = 2 });
    store_close(s);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        test_row("%s", rows[i].name);
        struct pixl_error err = { 0 };
        sqlite_db_auto *db = NULL;
        REQUIRE_OK(sqlite_db_open(db_path(), 5000, &db, &err), err);
        bool ok = sqlite_db_exec(db, rows[i].sql, &err);
        CHECK(!ok && (err.code == PIXL_E_INVALID || err.code == PIXL_E_EXISTS));
    }
}

/* No move leads to adopted: rows come so from another system's database. */
static struct store *open_adopted(void)
{
    struct pixl_error err = { 0 };
    struct store *s = open_store();
    add(s, (struct ask){ .mrn = "1", .accession = "A" });
    store_close(s);
    raw("UPDATE image SET state = 'adopted', pseudo_study_uid = '2.25.42'; UPDATE image_event SET to_state = "
        "'adopted'");
    REQUIRE_OK(store_open(store_url(true), &s, &err), err);
    return s;
}

static void test_adopted__waits_until_it_is_named(void)
{
    struct pixl_error err = { 0 };
    struct store *s = open_adopted();
    CHECK_INT(claim(s).id, 0);
    for (int to = 0; to < STUDY_STATE_COUNT; to++) {
        test_row("%s", study_state_name((enum study_state)to));
        struct store_move m = move_of(1, 0, (enum study_state)to);
        if (to != STUDY_QUEUED)
            CHECK_FAILS(store_move(s, &m, NULL, &err), err, PIXL_E_INTERNAL);
    }
    CHECK_INT(add(s, (struct ask){ .mrn = "1", .accession = "A" }), STORE_REVIVED);
    struct store_image m = claim(s);
    CHECK_INT(m.id, 1);
    struct phi_text uid = phi_text(STR("1.2"));
    int64_t mine;
    CHECK_OK(store_resolve(s, 1, m.fence, &uid, 1, T0, &mine, &err), err);
    CHECK_STR(image_of(s, 1).pseudo_study_uid, "2.25.42");
    store_close(s);
    s = open_adopted();
    struct store_filter f = { .states = 1u << STUDY_ADOPTED };
    int64_t n = 0;
    CHECK_OK(store_retry(s, &f, NULL, 0, T0, &n, &err), err);
    CHECK_INT(n, 1);
    CHECK_INT(claim(s).id, 1);
    store_close(s);
}

/* Two keys with one hash: the row that holds the number of another key must not be taken for it. */
static void test_keys__with_the_same_hash_are_told_apart(void)
{
    struct pixl_error err = { 0 };
    struct store *s = open_store();
    add(s, (struct ask){ .mrn = "1", .accession = "A" });
    store_close(s);
    raw("UPDATE image SET accession_number = 'X'; UPDATE request SET accession_number = 'X'"); /* the hash stays A's */
    REQUIRE_OK(store_open(store_url(true), &s, &err), err);
    CHECK_INT(add(s, (struct ask){ .mrn = "1", .accession = "A" }), STORE_ADDED_IMAGE);
    CHECK_INT(add(s, (struct ask){ .mrn = "1", .accession = "A" }), STORE_KNOWN);
    CHECK_INT(add(s, (struct ask){ .mrn = "1", .accession = "A", .procedure = 2 }), STORE_ADDED_REQUEST);
    CHECK_INT(images_in(s), 2);
    store_close(s);
}

/* --- kill -9 --------------------------------------------------------------------------------------------------- */

static void check_invariants(void)
{
    static const struct { const char *name, *sql, *want; } rows[] = {
        { "integrity", "PRAGMA integrity_check", "ok" },
        { "foreign keys", "SELECT count(*) FROM pragma_foreign_key_check", "0" },
        { "the last event is the state",
          "SELECT count(*) FROM image i WHERE state IS NOT (SELECT to_state FROM image_event e"
          " WHERE e.image_id = i.image_id ORDER BY event_no DESC LIMIT 1)",
          "0" },
        { "events follow each other",
          "SELECT count(*) FROM image_event e WHERE event_no > 1 AND from_state IS NOT (SELECT to_state"
          " FROM image_event f WHERE f.image_id = e.image_id AND f.event_no = e.event_no - 1)",
          "0" },
        { "claims have owner and lease",
          "SELECT count(*) FROM image WHERE state IN ('retrieving', 'delivering')"
          " AND (owner = '' OR lease_until_us = 0)",
          "0" },
        { "requests have images",
          "SELECT count(*) FROM request WHERE request_id NOT IN (SELECT request_id FROM request_image)", "0" },
        { "images have requests",
          "SELECT count(*) FROM image WHERE merged_into IS NULL AND image_id NOT IN"
          " (SELECT image_id FROM request_image)",
          "0" },
        { "zips belong to rows with zips",
          "SELECT count(*) FROM image WHERE state IN ('queued', 'retrieving', 'missing')"
          " AND zip_digest <> ''",
          "0" },
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        test_row("%s", rows[i].name);
        CHECK_STR(raw_text(rows[i].sql), rows[i].want);
    }
}

/* Populates a little, works a little, for ever; each round from other numbers. */
static void live(int round)
{
    struct pixl_error err = { 0 };
    struct store *s = NULL;
    char owner[32];
    (void)snprintf(owner, sizeof owner, "w%d", round);
    if (!store_open(store_url(true), &s, &err))
        _exit(1);
    int64_t n = 0;
    if (!store_recover_claims(s, owner, "", T0, &n, &err))
        _exit(2);
    for (int turn = 0;; turn++) {
        struct store_populate *p = NULL;
        if (!store_populate_begin(s, false, &p, &err))
            _exit(3);
        for (int i = 0; i < 50; i++) {
            char accession[32];
            (void)snprintf(accession, sizeof accession, "%d.%d", turn, i);
            struct ask a = { .mrn = "1", .accession = accession, .procedure = i };
            struct study_request r = request_of(&a);
            enum store_added what;
            if (!store_populate_add(p, &r, T0, &what, NULL, &err))
                _exit(4);
        }
        if (!store_populate_end(p, &err))
            _exit(5);
        for (int i = 0; i < 8; i++) {
            struct store_image m = claim_as(s, owner, STORE_WORK_RETRIEVE, 0, i == 0);
            char uid[2][32];
            (void)snprintf(uid[0], sizeof uid[0], "1.%lld", (long long)m.id / 2);       /* every second one is merged */
            (void)snprintf(uid[1], sizeof uid[1], "2.%lld", (long long)m.id / 5);
            struct phi_text found[] = { phi_text(str_of(uid[0])), phi_text(str_of(uid[1])) };
            int64_t mine = -1;
            if (m.id == 0)
                continue;
            if (!store_resolve(s, m.id, m.fence, found, 2, T0, &mine, &err))
                _exit(6);
            if (mine >= 0)
                move_to(s, m.id, STUDY_DEIDENTIFIED);
            m = claim_as(s, owner, STORE_WORK_DELIVER, 0, false);
            if (m.id != 0)
                move_to(s, m.id, STUDY_EXPORTED);
        }
    }
}

static void test_kill__at_any_moment_leaves_a_whole_store(void)
{
    store_close(open_store());
    unsigned seed = 20261123;
    bool worked = false;
    for (int round = 0; round < KILLS || (!worked && round < KILLS_MAX); round++) {
        pid_t child = fork();
        REQUIRE(child >= 0);
        if (child == 0) {
            live(round);
            _exit(9);
        }
        seed = seed * 1103515245u + 12345u;
        (void)usleep(10000 + seed / 65536u % (KILL_MS * 1000));
        REQUIRE(kill(child, SIGKILL) == 0);
        int status = 0;
        CHECK(waitpid(child, &status, 0) == child);
        CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);       /* it did not end by an error of its own */
        check_invariants();
        worked = strcmp(raw_text("SELECT count(*) > 0 FROM image WHERE reason = 'same-study' AND"
                                 " EXISTS (SELECT 1 FROM image WHERE state = 'exported')").p, "1") == 0;
    }
    CHECK(worked);
}

int main(int argc, char **argv)
{
    static const struct test_case tests[] = {
        TEST(test_open__its_files_are_for_their_owner_only),
        TEST(test_open__refuses_what_it_does_not_know),
        TEST(test_open__keeps_what_was_there),
        TEST(test_look__tells_of_migrations_and_runs_none),
        TEST(test_open__brings_an_older_store_up_to_date),
        TEST(test_open__brings_an_older_store_to_the_newest_version),
        TEST(test_open__keeps_requests_of_an_older_store),
        TEST(test_open__leaves_an_older_store_whose_links_are_torn),
        TEST(test_open__after_migrations_links_are_checked),
        TEST(test_open__keeps_hints_of_an_older_store),
        TEST(test_schema__refuses_rows_that_make_no_sense),
        TEST(test_adopted__waits_until_it_is_named),
        TEST(test_keys__with_the_same_hash_are_told_apart),
        TEST(test_kill__at_any_moment_leaves_a_whole_store),
    };
    return test_main(argc, argv, tests, ARRAY_LEN(tests));
}
