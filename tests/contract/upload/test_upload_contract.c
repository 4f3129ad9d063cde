/* One suite over the destinations that hold files: a folder, or with PIXL_TEST_FTPS FTPS servers. */
#include <pthread.h>
#include <sys/wait.h>

#include "upload/upload_common.h"
#include "upload_rig.h"

enum { TO_DIRECTORY, TO_FTPS };
static const struct {
    const char *name;
    bool is_explicit, allows_tls13;
    const char *arguments[5]; /* of ftpd.py */
    bool goes_along;          /* a session that is in a folder stays in it when that gets another name */
} places[] = {
    { .name = "directory" },
    { .name = "ProFTPD, implicit TLS, one session", .arguments = { "make=proftpd" } },
    { .name = "ProFTPD, explicit TLS, XSHA256",
      .arguments = { "make=proftpd", "implicit=no", "reuse=no", "digest=yes" },
      .is_explicit = true,
      .allows_tls13 = true },
    { .name = "vsftpd, implicit TLS, one session", .arguments = { "make=vsftpd" }, .goes_along = true },
    { .name = "vsftpd, explicit TLS 1.3, a connection for each file",
      .arguments = { "make=vsftpd", "implicit=no" },
      .is_explicit = true,
      .allows_tls13 = true,
      .goes_along = true },
    { .name = "pyftpdlib, implicit TLS, HASH", .arguments = { "make=pyftpd" }, .allows_tls13 = true },
};
static struct ftpd server[ARRAY_LEN(places)];
static int first_place = TO_DIRECTORY, end_place = TO_FTPS;

static struct upload *open_as(int place, const char *writer)
{
    static char ca[300];
    struct project p = project_to_ftps(&server[place], &ca);
    if (place == TO_DIRECTORY) {
        p.dicom_destination = p.parquet_destination = PROJECT_TO_DIRECTORY;
        p.destination_directory = server[TO_DIRECTORY].root;
        return open_project(&p, NULL, writer, 20);
    }
    p.ftps.is_explicit = places[place].is_explicit;
    p.ftps.allows_tls13 = places[place].allows_tls13;
    struct secrets *s = ftpd_secrets(test_path(writer), "my-prefix", "localhost", server[place].port, NULL, NULL);
    return open_project(&p, s, writer, 20);
}

static const char *there(int place, const char *name)
{
    return ftpd_path(&server[place], name);
}

/* Calls what for each destination, emptied. */
static void over_all(void (*what)(int place))
{
    if (server[TO_DIRECTORY].root[0] == '\0') {
        (void)snprintf(server[TO_DIRECTORY].root, sizeof server[TO_DIRECTORY].root, "%s/dest", test_dir());
        REQUIRE(mkdir(server[TO_DIRECTORY].root, 0700) == 0);
    }
    for (int place = first_place; place < end_place; place++) {
        ftpd_clear(&server[place]);
        test_row("%s", places[place].name);
        what(place);
    }
}

static void is_delivered_once(int place)
{
    upload_auto *u = open_as(place, "w1");
    struct upload_study z = spool("all of the zip", 1);
    struct stat before, after;
    CHECK_OK(upload_check_key(u, STR("key"), &err), err);
    REQUIRE_OK(upload_study(u, &z, &err), err);
    check_content(there(place, ZIP), "all of the zip");
    CHECK_INT(count_entries(there(place, "my-project"), NULL), 2);
    REQUIRE(stat(there(place, ZIP), &before) == 0);

    /* Again, by a worker who does not know, and who no longer has the spooled zip. */
    z.fence = 2;
    REQUIRE(unlink(z.zip_path) == 0);
    CHECK_OK(upload_study(u, &z, &err), err);
    REQUIRE(stat(there(place, ZIP), &after) == 0);
    CHECK(before.st_ino == after.st_ino && before.st_mtim.tv_nsec == after.st_mtim.tv_nsec);
}

static void test_study__is_delivered_once(void)
{
    over_all(is_delivered_once);
}

static void replaces_what_differs(int place)
{
    static const char *const contents[] = { "", "other", "same size, else", "longer than it is now, much longer" };
    upload_auto *u = open_as(place, "w1");
    for (size_t i = 0; i < ARRAY_LEN(contents); i++) {
        test_row("%s, %s", places[place].name, contents[i]);
        ftpd_write(&server[place], ZIP, contents[i]);
        struct upload_study z = spool("same size, here", (int64_t)i + 1);
        CHECK_OK(upload_study(u, &z, &err), err);
        check_content(there(place, ZIP), "same size, here");
        CHECK_INT(count_entries(there(place, "my-project"), NULL), 1);
    }
}

static void test_study__replaces_what_differs(void)
{
    over_all(replaces_what_differs);
}

static void refuses_another_zip(int place)
{
    upload_auto *u = open_as(place, "w1");
    ftpd_write(&server[place], ZIP, "delivered before");
    for (int how = 0; how < 5; how++) {
        test_row("%s, %d", places[place].name, how);
        struct upload_study z = spool("all of the zip", how + 1);
        const char *const now[] = { "all of the ziq", "all of the zi", "all of the zip and more", "" };
        if (how < 4)
            REQUIRE_OK(fs_write_whole(z.zip_path, str_of(now[how]), 0600, &err), err);
        else
            REQUIRE(unlink(z.zip_path) == 0);
        CHECK_FAILS(upload_study(u, &z, &err), err, PIXL_E_CORRUPT);
        check_content(there(place, ZIP), "delivered before");
        CHECK_INT(count_entries(there(place, "my-project"), NULL), 1);
    }
}

static void test_study__a_zip_that_is_not_what_it_was_is_refused(void)
{
    over_all(refuses_another_zip);
}

static void clears_older_parts(int place)
{
    static const struct {
        int64_t fence;
        const char *part;
        bool stays;
    } rows[] = {
        { 7, "." UID ".zip.w1.6.part", false },    { 7, "." UID ".zip.w1.1.part", false },
        { 7, "." UID ".zip.w1.7.part", false }, /* ours: made anew */
        { 7, "." UID ".zip.w1.8.part", true },  /* a later claim's */
        { 7, "." UID ".zip.w2.6.part", true },  /* another store's */
        { 7, "." UID "1.zip.w1.6.part", true },    { 7, "." UID ".zip.w1.6.partial", true },
        { 7, UID ".zip.w1.6.part", true },         { 1000, "." UID ".zip.w1.999.part", false },
        { 7, "." UID ".zip.w1.x.part", true },     { 7, "." UID ".zip.6.part", true },
        { 1000, "." UID ".zip.w1..part", true },   { 7, ".2.25.12345678.zip.w1.6.part", true },
        { 1000, "." UID ".zip.w1.3.part", false }, { 1000, "." UID ".zip.w1.1001.part", true },
        { 1000, "." UID ".zip.w2.6.part", true },  { 1000, "." UID ".zip.w1.part", true },
        { 1000, "." UID ".zip.w1.-1.part", true }, { 1000, "." UID ".zip.w1.6.partial", true },
    };
    upload_auto *u = open_as(place, "w1");
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        char name[200];
        test_row("%s, %lld %s", places[place].name, (long long)rows[i].fence, rows[i].part);
        (void)snprintf(name, sizeof name, "my-project/%s", rows[i].part);
        ftpd_write(&server[place], name, "part");
        struct upload_study z = spool("zip", rows[i].fence);
        CHECK_OK(upload_study(u, &z, &err), err);
        CHECK(fs_exists(there(place, name)) == rows[i].stays);
        check_content(there(place, ZIP), "zip");
        (void)unlink(there(place, name));
        /* So is it where the study turns out to be delivered already. */
        ftpd_write(&server[place], name, "part");
        CHECK_OK(upload_study(u, &z, &err), err);
        CHECK(fs_exists(there(place, name)) ==
              (rows[i].stays || rows[i].fence == upload_part_fence(rows[i].part, UID ".zip", "w1")));
        (void)unlink(there(place, name));
        REQUIRE(unlink(there(place, ZIP)) == 0);
    }
}

static void test_study__clears_away_what_its_earlier_claims_left(void)
{
    over_all(clears_older_parts);
}

struct deliverer {
    pthread_t thread;
    struct upload *u;
    struct upload_study z;
    struct pixl_error err;
    bool ok;
};

static void *deliver(void *arg)
{
    struct deliverer *d = arg;
    d->ok = upload_study(d->u, &d->z, &d->err);
    return NULL;
}

static void two_at_once(int place)
{
    enum { N = 4 };
    size_t n = 3 << 20, parts;
    char *bytes = malloc(n);
    REQUIRE(bytes != NULL && hash_random(bytes, n, &err));
    struct deliverer d[N];
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < N; i++)
            d[i] = (struct deliverer){ .u = open_as(place, "w1"), .z = spool_bytes(bytes, n, round * N + i + 1) };
        for (int i = 0; i < N; i++)
            REQUIRE(pthread_create(&d[i].thread, NULL, deliver, &d[i]) == 0);
        for (int i = 0; i < N; i++) {
            (void)pthread_join(d[i].thread, NULL);
            if (!d[i].ok && d[i].err.code != PIXL_E_UNAVAILABLE)
                CHECK_OK(d[i].ok, d[i].err);
            upload_close(d[i].u);
        }
        CHECK_OK(d[N - 1].ok, d[N - 1].err);
        check_digest(there(place, ZIP), &d[0].z);
        CHECK(count_entries(there(place, "my-project"), &parts) >= 1);
        REQUIRE(unlink(there(place, ZIP)) == 0);
    }
    free(bytes);
}

static void test_study__of_two_claims_one_whole_file_comes(void)
{
    over_all(two_at_once);
}

static void first_key_stays(int place)
{
    upload_auto *u = open_as(place, "w1");
    CHECK_FAILS(upload_check_key(u, STR(""), &err), err, PIXL_E_INVALID);
    CHECK_FAILS(upload_check_key(u, STR("two\nlines"), &err), err, PIXL_E_INVALID);
    CHECK_OK(upload_check_key(u, STR("key-one"), &err), err);
    CHECK_INT(count_entries(there(place, "my-project"), NULL), 1);
    CHECK_OK(upload_check_key(u, STR("key-one"), &err), err);
    CHECK(!upload_check_key(u, STR("key-two"), &err));
    CHECK(strstr(err.msg, "key-") == NULL && strstr(err.msg, ".pixl-key") != NULL);
    CHECK_FAILS(false, err, PIXL_E_EXISTS);
    CHECK_FAILS(upload_check_key(u, STR("key-on"), &err), err, PIXL_E_EXISTS);
    CHECK_FAILS(upload_check_key(u, STR("key-one2"), &err), err, PIXL_E_EXISTS);
    upload_auto *other = open_as(place, "w2");
    CHECK_FAILS(upload_check_key(other, STR("key-two"), &err), err, PIXL_E_EXISTS);
    CHECK_OK(upload_check_key(other, STR("key-one"), &err), err);
    ftpd_write(&server[place], "my-project/.pixl-key", "key-one");
    CHECK_OK(upload_check_key(u, STR("key-one"), &err), err);
    ftpd_write(&server[place], "my-project/.pixl-key", "");
    CHECK_FAILS(upload_check_key(u, STR("key-one"), &err), err, PIXL_E_EXISTS);
}

static void test_check_key__first_one_stays(void)
{
    over_all(first_key_stays);
}

static void zips_are_taken_on(int place)
{
    ftpd_write(&server[place], "my-project/2.25.1.zip", "made by an older system");
    upload_auto *u = open_as(place, "w1");
    CHECK_OK(upload_check_key(u, STR("key-one"), &err), err);
    CHECK_FAILS(upload_check_key(u, STR("key-two"), &err), err, PIXL_E_EXISTS);
}

static void test_check_key__zips_without_a_marker_are_taken_on(void)
{
    over_all(zips_are_taken_on);
}

static void one_key_wins(int place)
{
    enum { N = 8 };
    pid_t pids[N];
    int won = 0;
    for (int i = 0; i < N; i++) {
        pids[i] = fork();
        REQUIRE(pids[i] >= 0);
        if (pids[i] == 0) {
            (void)setvbuf(stdout, NULL, _IONBF, 0);
            char key[32], writer[32];
            (void)snprintf(key, sizeof key, "key-%d", i);
            (void)snprintf(writer, sizeof writer, "store%d", i);
            struct upload *u = open_as(place, writer);
            bool ok = upload_check_key(u, str_of(key), &err);
            if (!ok && err.code != PIXL_E_EXISTS)
                printf("    %s\n", err.msg);
            (void)fflush(stdout);
            _exit(ok ? 0 : err.code == PIXL_E_EXISTS ? 1 : 2);
        }
    }
    for (int i = 0; i < N; i++) {
        int status = 0;
        REQUIRE(waitpid(pids[i], &status, 0) == pids[i] && WIFEXITED(status));
        CHECK(WEXITSTATUS(status) < 2);
        won += WEXITSTATUS(status) == 0;
    }
    CHECK_INT(won, 1);
    CHECK_INT(count_entries(there(place, "my-project"), NULL), 1);
}

static void test_check_key__of_many_at_once_one_wins(void)
{
    over_all(one_key_wins);
}

static void marker_must_stay(int place)
{
    upload_auto *u = open_as(place, "w1");
    CHECK_OK(upload_check_key(u, STR("key"), &err), err);
    struct upload_study z = spool("zip", 1);
    const char *folder = there(place, "my-project"), *away = there(place, "unmounted");
    REQUIRE(rename(folder, away) == 0);
    if (places[place].goes_along) {
        ftpd_do(&server[place], "kill");
        ftpd_do(&server[place], "start");
    }
    for (int made = 0; made < 2; made++) {
        test_row("%s, %s", places[place].name, made ? "an empty folder" : "no folder");
        if (made)
            ftpd_make(&server[place], "my-project");
        CHECK_FAILS(upload_study(u, &z, &err), err, PIXL_E_UNAVAILABLE);
        CHECK_FAILS(upload_check_key(u, STR("key"), &err), err, PIXL_E_UNAVAILABLE);
        CHECK(!fs_exists(there(place, ZIP)) && !fs_exists(there(place, "my-project/.pixl-key")));
    }
    REQUIRE(rmdir(folder) == 0 && rename(away, folder) == 0);
    CHECK_OK(upload_study(u, &z, &err), err);
}

static void test_upload__a_marker_that_goes_means_another_folder(void)
{
    over_all(marker_must_stay);
}

static void check_leaves_nothing(int place)
{
    upload_auto *u = open_as(place, "w1");
    for (int again = 0; again < 2; again++) {
        CHECK_OK(upload_check(u, &err), err);
        CHECK_INT(count_entries(there(place, "my-project"), NULL), 0);
    }
}

static void test_check__leaves_nothing(void)
{
    over_all(check_leaves_nothing);
}

static void tables(int place)
{
#define BELOW "my-project/2023-12-07t14-08-58/parquet/omop/public"
    const struct str slug = STR("2023-12-07t14-08-58");
    static const char *const remotes[] = { "omop/public/X.parquet", "omop/public/a b%20#?\xC3\xA9.parquet",
                                           "X.parquet" };
    upload_auto *u = open_as(place, "w1");
    char name[300];
    const char *file = test_path("x");
    for (size_t i = 0; i < ARRAY_LEN(remotes); i++) {
        test_row("%s, %s", places[place].name, remotes[i]);
        (void)snprintf(name, sizeof name, "my-project/2023-12-07t14-08-58/parquet/%s", remotes[i]);
        struct stat before, after;
        REQUIRE_OK(fs_write_whole(file, STR("rows"), 0600, &err), err);
        CHECK_OK(upload_table(u, slug, file, remotes[i], &err), err);
        check_content(there(place, name), "rows");
        REQUIRE(stat(there(place, name), &before) == 0);
        CHECK_OK(upload_table(u, slug, file, remotes[i], &err), err);
        REQUIRE(stat(there(place, name), &after) == 0);
        CHECK(before.st_ino == after.st_ino);
        REQUIRE_OK(fs_write_whole(file, STR("more"), 0600, &err), err);
        CHECK_OK(upload_table(u, slug, file, remotes[i], &err), err);
        check_content(there(place, name), "more");
        for (int again = 0; again < 2; again++)
            CHECK_OK(upload_withdraw_table(u, slug, remotes[i], &err), err);
        CHECK(!fs_exists(there(place, name)));
    }
    test_row("%s", places[place].name);
    CHECK_INT(count_entries(there(place, BELOW), NULL), 0);
    CHECK_OK(upload_withdraw_table(u, STR("2031-01-01"), "omop/public/X.parquet", &err), err);
    REQUIRE_OK(fs_write_whole(file, STR(""), 0600, &err), err);
    CHECK_OK(upload_table(u, slug, file, "empty.parquet", &err), err);
    check_content(there(place, "my-project/2023-12-07t14-08-58/parquet/empty.parquet"), "");
    CHECK_FAILS(upload_table(u, slug, test_path("none"), "Y.parquet", &err), err, PIXL_E_NOT_FOUND);
    static const char *const bad[] = {
        "", "/x", "../x", "a/../../x", "a//x", "a/", ".x", "a/.x", "a\r\nDELE b", "a\x7F"
    };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        test_row("%s, '%s'", places[place].name, bad[i]);
        CHECK_FAILS(upload_table(u, slug, file, bad[i], &err), err, PIXL_E_INVALID);
        CHECK_FAILS(upload_withdraw_table(u, slug, bad[i], &err), err, PIXL_E_INVALID);
    }
    CHECK_FAILS(upload_table(u, STR(".."), file, "x", &err), err, PIXL_E_INVALID);
    CHECK_FAILS(upload_table(u, STR(""), file, "x", &err), err, PIXL_E_INVALID);
}

static void test_table__goes_below_its_extract(void)
{
    over_all(tables);
}

int main(int argc, char **argv)
{
    static const struct test_case tests[] = {
        TEST(test_study__is_delivered_once),
        TEST(test_study__replaces_what_differs),
        TEST(test_study__a_zip_that_is_not_what_it_was_is_refused),
        TEST(test_study__clears_away_what_its_earlier_claims_left),
        TEST(test_study__of_two_claims_one_whole_file_comes),
        TEST(test_check_key__first_one_stays),
        TEST(test_check_key__zips_without_a_marker_are_taken_on),
        TEST(test_check_key__of_many_at_once_one_wins),
        TEST(test_upload__a_marker_that_goes_means_another_folder),
        TEST(test_check__leaves_nothing),
        TEST(test_table__goes_below_its_extract),
    };
    arena_init(&arena, 64 << 20);
    if (getenv("PIXL_TEST_FTPS") == NULL)
        return test_main(argc, argv, tests, ARRAY_LEN(tests));
    first_place = TO_FTPS;
    end_place = ARRAY_LEN(places);
    for (int place = first_place; place < end_place; place++)
        ftpd_start(&server[place], places[place].arguments);
    int rc = test_main(argc, argv, tests, ARRAY_LEN(tests));
    for (int place = first_place; place < end_place; place++)
        ftpd_stop(&server[place]);
    return rc;
}
