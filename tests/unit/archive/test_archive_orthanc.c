/* What a real Orthanc or archive does not say, or hardly ever: answers to other questions, and attempts to lead us astray.  What real ones
 * say is in system/test_orthanc.py. */
#include <glob.h>
#include <pthread.h>
#include <unistd.h>

#include "archive/archive_backend.h"
#include "base/clock.h"
#include "base/sqlite_db.h"
#include "orthanc_said.h"

static struct pixl_error err;

static struct archive *opened(void)
{
    struct archive *a = NULL;
    REQUIRE_OK(orthanc_open_said(false, &a, &err), err);
    return a;
}

static void test_orthanc__url_is_checked(void)
{
    static const struct {
        const char *url;
        enum pixl_code want;
    } rows[] = {
        { "orthanc+http:host", PIXL_E_INVALID },
        { "orthanc+http://", PIXL_E_INVALID },
        { "orthanc+http://user:Canary@host:8042?a=b", PIXL_E_INVALID },
        { "orthanc+http://user:Canary@host:8042/#a", PIXL_E_INVALID },
        { "orthanc+http://user:Canary%zz@host:8042", PIXL_E_INVALID },
        { "orthanc+http://user:Canary%00@host:8042", PIXL_E_INVALID },
        { "orthanc+http://user:Canary%0a@host:8042", PIXL_E_INVALID },
        { "orthanc+http://:Canary@host:8042", PIXL_E_INVALID },
        { "orthanc+http://us%3Aer:Canary@host:8042", PIXL_E_INVALID },
        { "orthanc+ftp://user:Canary@host:8042", PIXL_E_INVALID },
        { "orthanc+http://user:Canary@host", PIXL_OK },
        { "orthanc+https://us%40er:Can%40%3a%2Fary@[::1]:8042/prefix", PIXL_OK },
        { "orthanc+http://host:8042", PIXL_OK },
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        test_row("%s", rows[i].url);
        archive_auto *a = NULL;
        const struct archive_options o = { .url = rows[i].url,
                                           .state_dir = test_path("state"),
                                           .modality = "M",
                                           .query_timeout_s = 1,
                                           .transfer_timeout_s = 1,
                                           .most_transfers = 1 };
        CHECK(archive_open(&o, &a, &err) == (rows[i].want == PIXL_OK));
        CHECK_INT(err.code, rows[i].want);
        CHECK(strstr(err.msg, "Canary") == NULL);
        pixl_error_clear(&err);
        if (a != NULL) {
            CHECK_STR(str_of(archive_name(a)), "primary");
            CHECK_INT(archive_caps(a), 0);
            CHECK(archive_health(a).instances == UINT64_MAX);
        }
    }
}

static void test_orthanc__names_tell_archives_apart(void)
{
    archive_auto *a = NULL;
    const struct archive_options o = { .url = "orthanc+http://host",
                                       .state_dir = test_path("state"),
                                       .name = "secondary",
                                       .modality = "UC SECONDARY/QR",
                                       .query_timeout_s = 1,
                                       .transfer_timeout_s = 1,
                                       .most_transfers = 1 };
    REQUIRE_OK(archive_open(&o, &a, &err), err);
    CHECK_STR(str_of(archive_name(a)), "secondary");
    archive_close(a);
    a = NULL;
    struct archive_options bad = o;
    bad.target_aet = "LONGER-THAN-AN-AE-TITLE";
    CHECK_FAILS(archive_open(&bad, &a, &err), err, PIXL_E_INVALID);
    bad = o;
    bad.modality = NULL;
    CHECK_FAILS(archive_open(&bad, &a, &err), err, PIXL_E_INVALID);
}

static void test_orthanc__refresh_tells_what_is_wrong(void)
{
    static const struct {
        const char *call;
        int status;
        const char *body;
        enum pixl_code want;
        const char *says;
    } rows[] = {
        { "GET_modalities", 200, "[\"OTHER\"]", PIXL_E_INVALID, "DicomModalities" },
        { "GET_modalities", 401, "", PIXL_E_DENIED, "login" },
        { "GET_modalities", 200, "<html>Doe^Jane</html>", PIXL_E_UNAVAILABLE, "no Orthanc" },
        { "GET_modalities", 502, "Doe^Jane", PIXL_E_UNAVAILABLE, "502" },
        { "POST_modalities_M_query_Study", 500, "Doe^Jane", PIXL_E_DENIED, "AE title RAW" },
        { "POST_modalities_M_query_Study", 200, "{\"ID\":\"../../instances\"}", PIXL_E_UNAVAILABLE, "not understood" },
        { "GET_queries_a1_answers", 500, "Doe^Jane", PIXL_E_UNAVAILABLE, "500" },
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        test_row("%zu %s", i, rows[i].call);
        orthanc_says_all();
        archive_auto *a = opened();
        CHECK_OK(archive_refresh(a, NULL, NULL, &err), err);
        orthanc_says(rows[i].call, rows[i].status, rows[i].body);
        bool ok = archive_refresh(a, NULL, NULL, &err);
        CHECK(strstr(err.msg, rows[i].says) != NULL && strstr(err.msg, "Doe") == NULL);
        CHECK_FAILS(ok, err, rows[i].want);
    }
    orthanc_says_all();
    orthanc_says("POST_modalities_M_query_Study", 500, "");
    orthanc_says("POST_modalities_M_echo", 500, "");
    archive_auto *a = opened();
    CHECK_FAILS(archive_refresh(a, NULL, NULL, &err), err, PIXL_E_UNAVAILABLE);
}

static void test_orthanc__trying_it_makes_nothing(void)
{
    char url[256];
    enum archive_trial got = ARCHIVE_HOLDS_NOTHING;
    orthanc_says_all();
    (void)snprintf(url, sizeof url, "orthanc+http://user:pw@127.0.0.1:%d/say/%s", http_peer.port, orthanc_name);
    const struct archive_options o = { .url = url, .state_dir = test_path("state"), .modality = "M", .query_timeout_s = 5,
                                       .transfer_timeout_s = 5, .most_transfers = 1, .releases = true };
    CHECK_OK(archive_try(&o, &got, &err), err);
    CHECK_INT(got, ARCHIVE_ANSWERS);
    CHECK(!fs_exists(test_path("state")));
}

/* UNAVAILABLE holds studies back; anything else would fail them one by one. */
static void test_orthanc__what_befalls_raw_is_no_fault_of_a_study(void)
{
    struct arena arena;
    struct phi_text *uids;
    size_t n;
    const struct archive_query q = { .study_uid = phi_text(STR("1.2")) };
    arena_init(&arena, 1 << 20);
    test_row("it knows the modality no more");
    orthanc_says_all();
    orthanc_says("POST_modalities_M_query_Study", 404, "");
    orthanc_says("POST_modalities_M_echo", 404, "");
    archive_auto *a = opened();
    bool ok = archive_find(a, &q, &arena, &uids, &n, &err);
    CHECK(strstr(err.msg, "DicomModalities") != NULL);
    CHECK_FAILS(ok, err, PIXL_E_UNAVAILABLE);
    test_row("its certificate has expired");
    char url[256], ca[600];
    (void)snprintf(url, sizeof url, "orthanc+https://127.0.0.1:%d", http_peer.expired_port);
    (void)snprintf(ca, sizeof ca, "%s/ca.pem", http_peer.certs);
    const struct archive_options o = { .url = url, .ca_file = ca, .state_dir = test_path("state"), .modality = "M",
                                       .query_timeout_s = 5, .transfer_timeout_s = 5, .most_transfers = 1 };
    archive_auto *expired = NULL;
    REQUIRE_OK(archive_open(&o, &expired, &err), err);
    ok = archive_find(expired, &q, &arena, &uids, &n, &err);
    CHECK(strstr(err.msg, "expired") != NULL);
    CHECK_FAILS(ok, err, PIXL_E_UNAVAILABLE);
    CHECK_FAILS(archive_refresh(expired, NULL, NULL, &err), err, PIXL_E_DENIED);
    arena_done(&arena);
}

static void test_orthanc__other_patients_answers_are_not_taken(void)
{
    static const struct {
        const char *name, *answers;
        size_t by_uid, by_number;
    } rows[] = {
        { "as asked", "[{\"StudyInstanceUID\":\"1.2\",\"PatientID\":\"MRN\",\"AccessionNumber\":\"ACC\"}]", 1, 1 },
        { "padded", "[{\"StudyInstanceUID\":\"1.2 \",\"PatientID\":\"MRN \",\"AccessionNumber\":\" ACC\"}]", 1, 1 },
        { "no answer", "[]", 0, 0 },
        { "another study", "[{\"StudyInstanceUID\":\"1.3\",\"PatientID\":\"MRN\",\"AccessionNumber\":\"ACC\"}]", 0, 1 },
        { "another patient", "[{\"StudyInstanceUID\":\"1.2\",\"PatientID\":\"OTHER\",\"AccessionNumber\":\"ACC\"}]", 1,
          0 },
        { "another number", "[{\"StudyInstanceUID\":\"1.2\",\"PatientID\":\"MRN\",\"AccessionNumber\":\"ACC2\"}]", 1,
          0 },
        { "no number told", "[{\"StudyInstanceUID\":\"1.2\",\"PatientID\":\"MRN\"}]", 1, 0 },
        { "no UID", "[{\"StudyInstanceUID\":\"*\",\"PatientID\":\"MRN\",\"AccessionNumber\":\"ACC\"}]", 0, 0 },
        { "no texts", "[{\"StudyInstanceUID\":12,\"PatientID\":null}, 5, \"1.2\", []]", 0, 0 },
        { "twice",
          "[{\"StudyInstanceUID\":\"1.2\",\"PatientID\":\"MRN\",\"AccessionNumber\":\"ACC\"},"
          "{\"StudyInstanceUID\":\"1.2\",\"PatientID\":\"MRN\",\"AccessionNumber\":\"ACC\"}]",
          1, 1 },
    };
    orthanc_says_all();
    archive_auto *a = opened();
    struct arena arena;
    arena_init(&arena, 1 << 20);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        test_row("%s", rows[i].name);
        orthanc_says("GET_queries_a1_answers", 200, rows[i].answers);
        struct phi_text *uids = NULL;
        size_t n = 99;
        CHECK_OK(archive_find(a, &(struct archive_query){ .study_uid = phi_text(STR("1.2")) }, &arena, &uids, &n, &err),
                 err);
        CHECK_INT(n, rows[i].by_uid);
        CHECK(n == 0 || str_eq(phi_reveal(uids[0]), STR("1.2")));
        const struct archive_query q = { .mrn = phi_text(STR("MRN")), .accession_number = phi_text(STR("ACC")) };
        CHECK_OK(archive_find(a, &q, &arena, &uids, &n, &err), err);
        CHECK_INT(n, rows[i].by_number);
    }
    test_row("what is no UID is not asked by");
    struct phi_text *uids;
    size_t n;
    orthanc_says("POST_modalities_M_query_Study", 500, "");
    CHECK_OK(archive_find(a, &(struct archive_query){ .study_uid = phi_text(STR("1.2.*")) }, &arena, &uids, &n, &err),
             err);
    CHECK_INT(n, 0);
    const struct archive_query wild = { .mrn = phi_text(STR("MR?")), .accession_number = phi_text(STR("ACC")) };
    CHECK_FAILS(archive_find(a, &wild, &arena, &uids, &n, &err), err, PIXL_E_INVALID);
    arena_done(&arena);
}

static void test_orthanc__a_list_that_is_not_of_the_study_is_refused(void)
{
    static const struct {
        const char *name, *series, *instances;
        enum pixl_code want;
        size_t n;
    } rows[] = {
        { "as asked", "[" ORTHANC_SERIES("1") "]", "[" ORTHANC_INSTANCE("1", "1") "," ORTHANC_INSTANCE("1", "2") "]",
          PIXL_OK, 2 },
        { "told twice", "[" ORTHANC_SERIES("1") "]", "[" ORTHANC_INSTANCE("1", "1") "," ORTHANC_INSTANCE("1", "1") "]",
          PIXL_OK, 1 },
        { "no series", "[]", "[]", PIXL_OK, 0 },
        { "of another series", "[" ORTHANC_SERIES("2") "]", "[" ORTHANC_INSTANCE("1", "1") "]", PIXL_E_IO, 0 },
        { "of another study", "[{\"StudyInstanceUID\":\"9\",\"SeriesInstanceUID\":\"1.2.1\"}]", "[]", PIXL_E_IO, 0 },
        { "no UID", "[" ORTHANC_SERIES("1") "]", "[" ORTHANC_INSTANCE("1", "x") "]", PIXL_E_IO, 0 },
        { "fewer than told",
          "[{\"StudyInstanceUID\":\"1.2\",\"SeriesInstanceUID\":\"1.2.1\",\"NumberOfSeriesRelatedInstances\":\"3\"}]",
          "[" ORTHANC_INSTANCE("1", "1") "," ORTHANC_INSTANCE("1", "2") "]", PIXL_E_IO, 0 },
    };
    orthanc_says_all();
    archive_auto *a = opened();
    struct arena arena;
    arena_init(&arena, 1 << 20);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        test_row("%s", rows[i].name);
        orthanc_says("GET_queries_b1_answers", 200, rows[i].series);
        orthanc_says("GET_queries_c1_answers", 200, rows[i].instances);
        struct archive_instance *list;
        size_t n = 0;
        bool ok = archive_list(a, phi_text(STR("1.2")), &arena, &list, &n, &err);
        CHECK_INT(err.code, rows[i].want);
        CHECK_INT(n, rows[i].n);
        pixl_error_clear(&err);
        for (size_t k = 0; ok && k < n; k++)
            CHECK(list[k].size_bytes == ARCHIVE_SIZE_UNKNOWN && list[k].frames == 1);
    }
    arena_done(&arena);
}

static struct archive_instance instance_of(const char *series, const char *sop)
{
    return (struct archive_instance){ .series_uid = phi_text(str_of(series)),
                                      .sop_uid = phi_text(str_of(sop)),
                                      .size_bytes = ARCHIVE_SIZE_UNKNOWN,
                                      .frames = 1 };
}

static void test_orthanc__fetch_finds_what_is_there(void)
{
    orthanc_says_all();
    orthanc_says("POST_queries_c1_retrieve", 500, ""); /* nothing needs to be sent */
    archive_auto *a = opened();
    struct archive_instance one = instance_of("1.2.1", "1.2.1.2"), two = instance_of("1.2.1", "1.2.1.1");
    struct archive_instance *wanted[] = { &one, &two };
    struct archive_fetched got;
    int fd = -1;
    CHECK_FAILS(archive_open_instance(a, &two, &fd, &err), err, PIXL_E_NOT_FOUND);
    REQUIRE_OK(archive_fetch(a, phi_text(STR("1.2")), wanted, 2, NULL, &got, &err), err);
    CHECK_INT(got.there, 2);
    CHECK_INT(two.size_bytes, 5);
    REQUIRE_OK(archive_open_instance(a, &two, &fd, &err), err);
    char text[8] = "";
    CHECK_INT(read(fd, text, sizeof text), 5);
    CHECK_STR(str_of(text), "DICOM");
    (void)close(fd);
    CHECK_FAILS(archive_open_instance(a, &one, &fd, &err), err, PIXL_E_NOT_FOUND);
    CHECK_OK(archive_fetch(a, phi_text(STR("1.2")), wanted, 0, NULL, &got, &err), err);
    CHECK_OK(archive_release(a, phi_text(STR("1.2")), &err), err);
}

/* One instance is there; of the other this happens. */
static void test_orthanc__fetch_tells_why_something_is_missing(void)
{
    static const struct {
        const char *name, *call;
        int status;
        const char *body;
        enum pixl_code want;
        const char *says;
    } rows[] = {
        { "sent, and not there", NULL, 0, NULL, PIXL_OK, "" },
        { "not in the archive any more", "GET_queries_c1_answers", 200, "[]", PIXL_OK, "" },
        { "another one is", "GET_queries_c1_answers", 200, "[" ORTHANC_INSTANCE("1", "1") "]", PIXL_OK, "" },
        { "forgotten job", "GET_jobs_f1", 404, "", PIXL_OK, "" },
        { "refused", "GET_jobs_f1", 200,
          "{\"State\":\"Failure\",\"ErrorDetails\":\"Doe^Jane DIMSE status 0xC000 (x)\"}", PIXL_OK, "C000" },
        { "half a status", "GET_jobs_f1", 200, "{\"State\":\"Failure\",\"ErrorDetails\":\"DIMSE status 0xC0\"}",
          PIXL_E_UNAVAILABLE, "C-MOVE" },
        { "no destination", "GET_jobs_f1", 200, "{\"State\":\"Failure\",\"ErrorDetails\":\"DIMSE status 0xA801\"}",
          PIXL_E_UNAVAILABLE, "AE title RAW must be registered" },
        { "no job", "POST_queries_c1_retrieve", 200, "{\"ID\":\"../x\"}", PIXL_E_UNAVAILABLE, "begins no transfer" },
        { "for ever", "GET_jobs_f1", 200, "{\"State\":\"Running\"}", PIXL_E_IO, "not done in 5 s" },
        { "never", "GET_jobs_f1", 200, "{\"State\":\"Pending\"}", PIXL_E_UNAVAILABLE, "did not begin" },
        { "away", "POST_modalities_M_query_Instance", 500, "Doe^Jane", PIXL_E_UNAVAILABLE, "registered there" },
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        test_row("%s", rows[i].name);
        orthanc_says_all();
        orthanc_says("GET_series_e1_instances", 200, "[" ORTHANC_RAW_INSTANCE(ORTHANC_ID_A, "1.2.1.1") "]");
        orthanc_says("GET_queries_c1_answers", 200, "[" ORTHANC_INSTANCE("1", "2") "]");
        if (rows[i].call)
            orthanc_says(rows[i].call, rows[i].status, rows[i].body);
        archive_auto *a = opened();
        struct archive_instance one = instance_of("1.2.1", "1.2.1.1"), two = instance_of("1.2.1", "1.2.1.2");
        struct archive_instance *wanted[] = { &one, &two };
        struct archive_fetched got = { 0 };
        bool ok = archive_fetch(a, phi_text(STR("1.2")), wanted, 2, NULL, &got, &err);
        CHECK(strstr(ok ? got.note : err.msg, rows[i].says) != NULL && strstr(got.note, "Doe") == NULL &&
              strstr(err.msg, "Doe") == NULL);
        if (rows[i].want == PIXL_OK && CHECK_OK(ok, err))
            CHECK_INT(got.there, 1);
        else if (rows[i].want != PIXL_OK)
            CHECK_FAILS(ok, err, rows[i].want);
    }
}

static void *cancel_soon(void *flag)
{
    (void)usleep(300000);
    atomic_store((atomic_bool *)flag, true);
    return NULL;
}

/* Raw has the first of two; the transfer of the second is cancelled. */
static void cancel_fetch(struct archive *a, struct archive_instance *one, struct archive_instance *two)
{
    orthanc_says_all();
    orthanc_says("GET_jobs_f1", 200, "{\"State\":\"Running\"}");
    orthanc_says("GET_series_e1_instances", 200, "[" ORTHANC_RAW_INSTANCE(ORTHANC_ID_A, "1.2.1.1") "]");
    orthanc_says("GET_queries_c1_answers", 200, "[" ORTHANC_INSTANCE("1", "2") "]");
    struct archive_instance *wanted[] = { one, two };
    struct archive_fetched got;
    atomic_bool cancel = false;
    pthread_t t;
    REQUIRE(pthread_create(&t, NULL, cancel_soon, &cancel) == 0);
    int64_t start = clock_mono_us();
    CHECK_FAILS(archive_fetch(a, phi_text(STR("1.2")), wanted, 2, &cancel, &got, &err), err, PIXL_E_CANCELLED);
    CHECK(clock_mono_us() - start < 4000000);
    (void)pthread_join(t, NULL);
}

/* Raw refuses to delete `which`: releasing fails exactly when pixl tries to. */
static bool release_deletes(struct archive *a, const char *which)
{
    char call[96];
    (void)snprintf(call, sizeof call, "DELETE_instances_%s", which);
    orthanc_says(call, 500, "");
    bool tried = !archive_release(a, phi_text(STR("1.2")), &err);
    CHECK(!tried || err.code == PIXL_E_UNAVAILABLE);
    pixl_error_clear(&err);
    orthanc_says(call, 200, "{}");
    return tried;
}

static void test_orthanc__what_came_after_a_cancel_is_known_as_brought(void)
{
    struct archive_instance one = instance_of("1.2.1", "1.2.1.1"), two = instance_of("1.2.1", "1.2.1.2");
    struct archive_instance *wanted[] = { &one, &two };
    struct archive_fetched got;
    orthanc_says_all();
    struct archive *a;
    REQUIRE_OK(orthanc_open_said(true, &a, &err), err);
    cancel_fetch(a, &one, &two);
    archive_close(a); /* another process goes on */
    REQUIRE_OK(orthanc_open_said(true, &a, &err), err);
    orthanc_says_all();
    REQUIRE_OK(archive_fetch(a, phi_text(STR("1.2")), wanted, 2, NULL, &got, &err), err);
    CHECK_INT(got.there, 2);
    CHECK_OK(archive_release(a, phi_text(STR("1.2")), &err), err);
    archive_close(a);

    test_row("only that");
    REQUIRE_OK(orthanc_open_said(true, &a, &err), err);
    cancel_fetch(a, &one, &two);
    orthanc_says_all();
    REQUIRE_OK(archive_fetch(a, phi_text(STR("1.2")), wanted, 2, NULL, &got, &err), err);
    CHECK(release_deletes(a, ORTHANC_ID_B));
    CHECK(!release_deletes(a, ORTHANC_ID_A));
    test_row("once");
    CHECK(!release_deletes(a, ORTHANC_ID_B));
    archive_close(a);
}

static void test_orthanc__what_was_asked_for_is_released_though_nobody_looked(void)
{
    static const struct {
        const char *name, *found;
        bool deletes;
    } rows[] = {
        { "it came", "[{\"Type\":\"Instance\",\"ID\":\"" ORTHANC_ID_B "\"}]", true },
        { "it did not", "[]", false },
        { "two of that UID",
          "[{\"Type\":\"Instance\",\"ID\":\"" ORTHANC_ID_B "\"},{\"Type\":\"Instance\",\"ID\":\"" ORTHANC_ID_A "\"}]",
          false },
        { "something else", "[{\"Type\":\"Study\",\"ID\":\"" ORTHANC_ID_B "\"}]", false },
    };
    struct archive_instance one = instance_of("1.2.1", "1.2.1.1"), two = instance_of("1.2.1", "1.2.1.2");
    orthanc_says_all();
    struct archive *a;
    REQUIRE_OK(orthanc_open_said(true, &a, &err), err);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        test_row("%s", rows[i].name);
        cancel_fetch(a, &one, &two);
        orthanc_says("POST_tools_lookup", 200, rows[i].found);
        CHECK(release_deletes(a, ORTHANC_ID_B) == rows[i].deletes);
        CHECK_OK(archive_release(a, phi_text(STR("1.2")), &err), err);
        CHECK(!release_deletes(a, ORTHANC_ID_B));
    }
    archive_close(a);
}

/* Runs sql on the list of what was brought, from beside. */
static void change_list(const char *sql)
{
    glob_t found;
    struct sqlite_db *db;
    REQUIRE(glob(test_path("state/brought-*.db"), 0, NULL, &found) == 0 && found.gl_pathc == 1);
    REQUIRE_OK(sqlite_db_open(found.gl_pathv[0], 1000, &db, &err), err);
    REQUIRE_OK(sqlite_db_exec(db, sql, &err), err);
    sqlite_db_close(db);
    globfree(&found);
}

/* It is no fault of the study, which would have to pay with an attempt, and all others after it. */
static void test_orthanc__a_damaged_list_of_what_was_brought_holds_work_back(void)
{
    static const struct {
        const char *name, *damage, *mend;
    } rows[] = {
        { "no table to look into", "ALTER TABLE asked RENAME TO away", "ALTER TABLE away RENAME TO asked" },
        { "nothing can be noted", "CREATE TRIGGER no BEFORE INSERT ON asked BEGIN SELECT RAISE(ABORT, 'no'); END",
          "DROP TRIGGER no" },
        { "no UID",
          "INSERT INTO asked VALUES('1.2', '1234567890123456789012345678901234567890123456789012345678901234567890')",
          "DELETE FROM asked" },
    };
    struct archive_instance one = instance_of("1.2.1", "1.2.1.1"), two = instance_of("1.2.1", "1.2.1.2");
    struct archive_instance *wanted[] = { &one, &two };
    struct archive_fetched got;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct archive *a;
        test_row("%s", rows[i].name);
        orthanc_says_all();
        orthanc_says("GET_series_e1_instances", 200, "[" ORTHANC_RAW_INSTANCE(ORTHANC_ID_A, "1.2.1.1") "]");
        orthanc_says("GET_queries_c1_answers", 200, "[" ORTHANC_INSTANCE("1", "2") "]");
        REQUIRE_OK(orthanc_open_said(true, &a, &err), err);
        change_list(rows[i].damage);
        CHECK_FAILS(archive_fetch(a, phi_text(STR("1.2")), wanted, 2, NULL, &got, &err), err, PIXL_E_UNAVAILABLE);
        change_list(rows[i].mend);
        orthanc_says_all();
        CHECK_OK(archive_fetch(a, phi_text(STR("1.2")), wanted, 2, NULL, &got, &err), err);
        archive_close(a);
    }
}

static void test_orthanc__an_instance_has_a_largest_size(void)
{
    orthanc_says_all();
    struct archive *a;
    REQUIRE_OK(orthanc_open_said(false, &a, &err), err);
    struct archive_instance one = instance_of("1.2.1", "1.2.1.1"), *wanted[] = { &one };
    struct archive_fetched got;
    int fd = -1;
    char longer[ORTHANC_SAID_MAX_BYTES + 2];
    memset(longer, 'x', sizeof longer - 1);
    longer[sizeof longer - 1] = '\0';
    orthanc_says("GET_instances_" ORTHANC_ID_A "_file", 200, longer);
    REQUIRE_OK(archive_fetch(a, phi_text(STR("1.2")), wanted, 1, NULL, &got, &err), err);
    CHECK_FAILS(archive_open_instance(a, &one, &fd, &err), err, PIXL_E_LIMIT);
    longer[ORTHANC_SAID_MAX_BYTES] = '\0';
    orthanc_says("GET_instances_" ORTHANC_ID_A "_file", 200, longer);
    REQUIRE_OK(archive_open_instance(a, &one, &fd, &err), err);
    (void)close(fd);
    archive_close(a);
}

int main(int argc, char **argv)
{
    static const struct test_case tests[] = {
        TEST(test_orthanc__url_is_checked),
        TEST(test_orthanc__names_tell_archives_apart),
        TEST(test_orthanc__refresh_tells_what_is_wrong),
        TEST(test_orthanc__trying_it_makes_nothing),
        TEST(test_orthanc__what_befalls_raw_is_no_fault_of_a_study),
        TEST(test_orthanc__other_patients_answers_are_not_taken),
        TEST(test_orthanc__a_list_that_is_not_of_the_study_is_refused),
        TEST(test_orthanc__fetch_finds_what_is_there),
        TEST(test_orthanc__fetch_tells_why_something_is_missing),
        TEST(test_orthanc__what_came_after_a_cancel_is_known_as_brought),
        TEST(test_orthanc__what_was_asked_for_is_released_though_nobody_looked),
        TEST(test_orthanc__a_damaged_list_of_what_was_brought_holds_work_back),
        TEST(test_orthanc__an_instance_has_a_largest_size),
    };
    http_peer_start();
    int rc = test_main(argc, argv, tests, ARRAY_LEN(tests));
    http_peer_stop();
    return rc;
}
