#include "upload/upload.h"

#include "base/clock.h"
#include "dicomweb_rig.h"

static struct pixl_error err;

static void open_all(const char *far, struct secrets **s, struct upload **u)
{
    const char *url = set_up(far);
    REQUIRE_OK(secrets_open(url, NULL, s, &err), err);
    REQUIRE_OK(upload_open(&web, false, &(struct upload_options){ .secrets = *s, .writer = "w1", .settings = &settings }, u, &err), err);
}

static bool no_canary(void)
{
    return strstr(err.msg, "CANARY") == NULL && strstr(err.msg, "/far") == NULL;
}

static void test_dicomweb__a_study_is_sent_and_orthanc_tidied(void)
{
    secrets_auto *s = NULL;
    upload_auto *u = NULL;
    open_all(far_url(), &s, &u);
    struct upload_study z = make_zip(3, "2.25.1/2.25.2/");
    CHECK_STR(str_of(upload_place(u)), "dicomweb p--dicomweb--url");
    CHECK_INT(upload_caps(u), 0);
    CHECK_OK(upload_check(u, &err), err);
    CHECK_OK(upload_check_key(u, STR("key"), &err), err);
    REQUIRE_OK(upload_study(u, &z, &err), err);
    CHECK_STR(str_of(anon_do("has")), "2.25.100 2.25.101 2.25.102");
    CHECK_STR(str_of(anon_do("anon")), "0");
    REQUIRE_OK(upload_study(u, &z, &err), err);          /* again */
    CHECK_STR(str_of(anon_do("seen POST /instances")), "3");
    CHECK_FAILS(upload_table(u, STR("then"), z.zip_path, "omop/public/X.parquet", &err), err, PIXL_E_UNSUPPORTED);
    CHECK_FAILS(upload_withdraw_table(u, STR("then"), "omop/public/X.parquet", &err), err, PIXL_E_UNSUPPORTED);
}

static void test_dicomweb__only_what_is_missing_is_sent(void)
{
    secrets_auto *s = NULL;
    upload_auto *u = NULL;
    open_all(far_url(), &s, &u);
    settings.anon_keep = 1;
    struct upload_study z = make_zip(5, "2.25.1/2.25.2/");
    (void)anon_do("far 2.25.100 2.25.103");
    REQUIRE_OK(upload_study(u, &z, &err), err);
    CHECK_STR(str_of(anon_do("seen POST /instances")), "3");
    CHECK_STR(str_of(anon_do("anon")), "3");             /* kept */
    CHECK_STR(str_of(anon_do("has")), "2.25.100 2.25.101 2.25.102 2.25.103 2.25.104");
}

static void test_dicomweb__servers_list_in_their_own_way(void)
{
    static const char *const ways[] = { "page 2", "page 1", "whole", "absent 204", "absent 404", "late 2" };
    for (size_t i = 0; i < ARRAY_LEN(ways); i++) {
        secrets_auto *s = NULL;
        upload_auto *u = NULL;
        open_all(far_url(), &s, &u);
        struct upload_study z = make_zip(5, "2.25.1/2.25.2/");
        test_row("%s", ways[i]);
        (void)anon_do(ways[i]);
        CHECK_OK(upload_study(u, &z, &err), err);
        CHECK_STR(str_of(anon_do("has")), "2.25.100 2.25.101 2.25.102 2.25.103 2.25.104");
    }
}

static void test_dicomweb__what_orthanc_says_of_an_instance(void)
{
    static const struct { const char *command; enum pixl_code want; } rows[] = {
        { "store AlreadyStored", PIXL_OK },  { "store FilteredOut", PIXL_E_INVALID },   { "store Whatever", PIXL_E_INVALID },
        { "odd store 400", PIXL_E_INVALID }, { "odd store 413", PIXL_E_LIMIT },         { "odd store 507", PIXL_E_NO_SPACE },
        { "odd store 500", PIXL_E_NO_SPACE }, { "odd store 401", PIXL_E_DENIED },       { "odd lookup 500", PIXL_OK },
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        secrets_auto *s = NULL;
        upload_auto *u = NULL;
        open_all(far_url(), &s, &u);
        struct upload_study z = make_zip(2, "2.25.1/2.25.2/");
        test_row("%s", rows[i].command);
        (void)anon_do(rows[i].command);
        bool ok = upload_study(u, &z, &err);
        CHECK(no_canary());
        if (rows[i].want == PIXL_OK)
            CHECK_OK(ok, err);
        else
            CHECK(!ok && err.code == rows[i].want);
        pixl_error_clear(&err);
        CHECK_STR(str_of(anon_do("has")), ok ? "2.25.100 2.25.101" : "-");
    }
}

static void test_dicomweb__transfers_that_fail(void)
{
    static const struct { const char *first, *second; enum pixl_code want; const char *says; } rows[] = {
        { "job Failure", NULL, PIXL_E_IO, "number for it: 29" },
        { "job Failure", "odd direct 401", PIXL_E_DENIED, "p--dicomweb--username" },
        { "job Failure", "odd direct 404", PIXL_E_UNAVAILABLE, "p--dicomweb--url" },
        { "job Failure", "odd direct html", PIXL_E_UNAVAILABLE, "p--dicomweb--url" },
        { "job Failure", "odd direct 503", PIXL_E_UNAVAILABLE, "out of order" },
        { "job gone", NULL, PIXL_E_UNAVAILABLE, "was it restarted?" },
        { "odd stow 404", NULL, PIXL_E_UNAVAILABLE, "was it restarted?" },
        { "odd query 401", "odd direct 401", PIXL_E_DENIED, "p--dicomweb--username" },
        { "odd query 500", NULL, PIXL_E_UNAVAILABLE, "not Orthanc anon" },
        { "odd query 404", "odd direct 404", PIXL_E_UNAVAILABLE, "p--dicomweb--url" },
        { "odd register 404", NULL, PIXL_E_UNAVAILABLE, "has no DICOMweb plugin" },
        { "odd register 401", NULL, PIXL_E_DENIED, "ORTHANC_ANON_USERNAME" },
        { "far 2.25.100 2.25.999", NULL, PIXL_E_EXISTS, "delivered before with others" },
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        secrets_auto *s = NULL;
        upload_auto *u = NULL;
        open_all(far_url(), &s, &u);
        struct upload_study z = make_zip(2, "2.25.1/2.25.2/");
        test_row("%s, %s", rows[i].first, rows[i].second ? rows[i].second : "-");
        (void)anon_do(rows[i].first);
        if (rows[i].second)
            (void)anon_do(rows[i].second);
        bool ok = upload_study(u, &z, &err);
        if (!CHECK(!ok && err.code == rows[i].want && strstr(err.msg, rows[i].says) != NULL && no_canary()))
            printf("    it said: %s\n", err.msg);
        pixl_error_clear(&err);
    }
}

static void test_dicomweb__a_transfer_without_end_is_cancelled(void)
{
    secrets_auto *s = NULL;
    upload_auto *u = NULL;
    open_all(far_url(), &s, &u);
    settings.dicomweb_timeout_s = 1;
    struct upload_study z = make_zip(2, "2.25.1/2.25.2/");
    (void)anon_do("job Running");
    int64_t start = clock_mono_us();
    CHECK_FAILS(upload_study(u, &z, &err), err, PIXL_E_UNAVAILABLE);
    CHECK(clock_mono_us() - start < 10 * 1000000);
    CHECK_STR(str_of(anon_do("seen POST /jobs/0b-1/cancel")), "1");
}

/* Whatever is answered, nothing is delivered that was not, nothing of it is shown, and no trouble of Orthanc's is a study's. */
static void test_dicomweb__answers_that_are_none(void)
{
    static const char *const where[] = { "query", "store", "stow", "job" },
                      *const kinds[] = { "html", "empty", "number", "list", "object", "cut", "deep" };
    for (size_t i = 0; i < ARRAY_LEN(where); i++)
        for (size_t k = 0; k < ARRAY_LEN(kinds); k++) {
            secrets_auto *s = NULL;
            upload_auto *u = NULL;
            char command[64];
            /* A list of something else, or nothing, is a list without our instances: sent, and then missed. */
            if (strcmp(where[i], "query") == 0 && (strcmp(kinds[k], "empty") == 0 || strcmp(kinds[k], "list") == 0))
                continue;
            open_all(far_url(), &s, &u);
            struct upload_study z = make_zip(2, "2.25.1/2.25.2/");
            test_row("%s %s", where[i], kinds[k]);
            (void)snprintf(command, sizeof command, "odd %s %s", where[i], kinds[k]);
            (void)anon_do(command);
            bool ok = upload_study(u, &z, &err);
            CHECK(!ok && (err.code == PIXL_E_UNAVAILABLE || (err.code == PIXL_E_INVALID && strcmp(where[i], "store") == 0)));
            CHECK(no_canary());
            pixl_error_clear(&err);
        }
}

static void test_dicomweb__a_zip_that_is_not_what_it_was_is_refused(void)
{
    secrets_auto *s = NULL;
    upload_auto *u = NULL;
    open_all(far_url(), &s, &u);
    struct upload_study z = make_zip(2, "2.25.1/2.25.2/"), other = z;
    other.size_bytes++;
    CHECK_FAILS(upload_study(u, &other, &err), err, PIXL_E_CORRUPT);
    other = z;
    other.digest[0] ^= 1;
    CHECK_FAILS(upload_study(u, &other, &err), err, PIXL_E_CORRUPT);
    other = z;
    other.pseudo_study_uid = "2.25.3";
    CHECK_FAILS(upload_study(u, &other, &err), err, PIXL_E_CORRUPT);
    other = z;
    other.zip_path = "/nonexistent.zip";
    CHECK_FAILS(upload_study(u, &other, &err), err, PIXL_E_CORRUPT);
    static const char *const names[] = { "2.25.1/", "2.25.1/2.25.2/x", "2.25.9/2.25.2/" };
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        test_row("%s", names[i]);
        z = make_zip(2, names[i]);
        CHECK_FAILS(upload_study(u, &z, &err), err, PIXL_E_CORRUPT);
    }
    CHECK_STR(str_of(anon_do("seen POST")), "0");
}

static void test_dicomweb__secrets_are_checked_when_it_is_opened(void)
{
    static const struct { const char *url; enum pixl_code want; } rows[] = {
        { "", PIXL_E_INVALID }, { "ftp://CANARY/", PIXL_E_INVALID }, { "http://u:CANARY@h/", PIXL_E_INVALID }, { "CANARY", PIXL_E_INVALID },
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        secrets_auto *s = NULL;
        struct upload *u = NULL;
        test_row("'%s'", rows[i].url);
        REQUIRE_OK(secrets_open(set_up(rows[i].url), NULL, &s, &err), err);
        bool ok = upload_open(&web, false, &(struct upload_options){ .secrets = s, .writer = "w1", .settings = &settings }, &u, &err);
        CHECK(!ok && err.code == rows[i].want && no_canary() && strstr(err.msg, "p--dicomweb--url") != NULL);
        pixl_error_clear(&err);
    }
    secrets_auto *s = NULL;
    struct upload *u = NULL;
    REQUIRE_OK(secrets_open(set_up(far_url()), NULL, &s, &err), err);
    REQUIRE_OK(fs_write_whole(test_path("secrets.env"), STR("p--dicomweb--url=http://h\n"), 0600, &err), err);
    CHECK_FAILS(upload_open(&web, false, &(struct upload_options){ .secrets = s, .writer = "w1", .settings = &settings }, &u, &err), err,
                PIXL_E_NOT_FOUND);
}

static void test_dicomweb__a_login_that_orthanc_does_not_take_fails_no_study(void)
{
    secrets_auto *s = NULL;
    upload_auto *u = NULL;
    char text[512];
    const char *url = set_up(far_url());
    (void)snprintf(text, sizeof text, "p--dicomweb--url=%s\np--dicomweb--username=u\np--dicomweb--password=CANARY\xE9\n", far_url());
    REQUIRE_OK(fs_write_whole(test_path("secrets.env"), str_of(text), 0600, &err), err);
    REQUIRE_OK(secrets_open(url, NULL, &s, &err), err);
    REQUIRE_OK(upload_open(&web, false, &(struct upload_options){ .secrets = s, .writer = "w1", .settings = &settings }, &u, &err), err);
    struct upload_study z = make_zip(1, "2.25.1/2.25.2/");
    bool ok = upload_study(u, &z, &err);
    CHECK(strstr(err.msg, "UTF-8") != NULL && no_canary());
    CHECK_FAILS(ok, err, PIXL_E_UNAVAILABLE);
}

static void test_dicomweb__names_the_secrets_it_needs(void)
{
    const char *const *names = upload_secrets(&web, false);
    CHECK(strcmp(names[0], "dicomweb--url") == 0 && strcmp(names[1], "dicomweb--username") == 0 &&
          strcmp(names[2], "dicomweb--password") == 0 && names[3] == NULL);
    CHECK(upload_secrets(&web, true)[0] == NULL);
    struct project folder = { .dicom_destination = PROJECT_TO_DIRECTORY };
    CHECK(strcmp(upload_secrets(&folder, false)[0], "directory--path") == 0);
    folder.destination_directory = "/x";
    CHECK(upload_secrets(&folder, false)[0] == NULL);
}

int main(int argc, char **argv)
{
    static const struct test_case tests[] = {
        TEST(test_dicomweb__a_study_is_sent_and_orthanc_tidied),
        TEST(test_dicomweb__only_what_is_missing_is_sent),
        TEST(test_dicomweb__servers_list_in_their_own_way),
        TEST(test_dicomweb__what_orthanc_says_of_an_instance),
        TEST(test_dicomweb__transfers_that_fail),
        TEST(test_dicomweb__a_transfer_without_end_is_cancelled),
        TEST(test_dicomweb__answers_that_are_none),
        TEST(test_dicomweb__a_zip_that_is_not_what_it_was_is_refused),
        TEST(test_dicomweb__secrets_are_checked_when_it_is_opened),
        TEST(test_dicomweb__a_login_that_orthanc_does_not_take_fails_no_study),
        TEST(test_dicomweb__names_the_secrets_it_needs),
    };
    anon_start();
    int rc = test_main(argc, argv, tests, ARRAY_LEN(tests));
    python_server_stop(&anon_server);
    return rc;
}
