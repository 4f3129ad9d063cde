#include "upload/upload.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/hash.h"
#include "test.h"

#define UID "2.25.123456789"
#define ZIP "dest/my-project/" UID ".zip"

static struct pixl_error err;
static struct arena arena;

static struct project project_to(enum project_destination d, const char *folder)
{
    return (struct project){ .name = "My project", .slug = STR("my-project"), .secrets_prefix = STR("my-prefix"),
                             .dicom_destination = d, .parquet_destination = d, .destination_directory = folder };
}

/* To test_dir()/dest. */
static struct upload *open_as(const char *writer)
{
    struct upload *u = NULL;
    struct project p = project_to(PROJECT_TO_DIRECTORY, test_path("dest"));
    REQUIRE_OK(upload_open(&p, false, &(struct upload_options){ .secrets = NULL, .writer = writer }, &u, &err), err);
    return u;
}

static struct upload *open_it(void)
{
    return open_as("w1");
}

static void make(const char *name)
{
    REQUIRE(mkdir(test_path(name), 0700) == 0);
}

static void write_file(const char *name, const char *text)
{
    REQUIRE_OK(fs_write_whole(test_path(name), str_of(text), 0600, &err), err);
}

static void check_file(const char *name, const char *want)
{
    struct str text = { 0 };
    CHECK_OK(fs_read_whole(&arena, test_path(name), 1 << 20, &text, &err), err);
    CHECK_STR(text, want);
}

static size_t count_files(const char *name)
{
    DIR *d = opendir(test_path(name));
    REQUIRE(d != NULL);
    size_t n = 0;
    for (struct dirent *e; (e = readdir(d)) != NULL; )
        n += strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0;
    (void)closedir(d);
    return n;
}

/* A zip in the spool, and what the store knows of it. */
static struct upload_study spool(const char *text, int64_t fence)
{
    static char path[1024];
    (void)snprintf(path, sizeof path, "%s/spool.zip", test_dir());
    write_file("spool.zip", text);
    struct upload_study z = { .zip_path = path, .pseudo_study_uid = UID, .fence = fence };
    REQUIRE_OK(fs_digest(z.zip_path, z.digest, &z.size_bytes, &err), err);
    return z;
}

static void give_up_root(void)
{
    struct __user_cap_header_struct h = { .version = _LINUX_CAPABILITY_VERSION_3 };
    struct __user_cap_data_struct d[2] = { 0 };
    REQUIRE(syscall(SYS_capset, &h, d) == 0);
}

static void test_open__destination_words(void)
{
    static const struct { enum project_destination d; enum pixl_code want; const char *says; } rows[] = {
        { PROJECT_TO_NONE, PIXL_OK, "none" },
        { PROJECT_TO_DIRECTORY, PIXL_OK, "directory /some/where/my-project" },
        { PROJECT_TO_DICOMWEB, PIXL_E_INVALID, "images go to DICOMweb servers through an Orthanc, and ORTHANC_ANON_URL is not set" },
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        test_row("%s", project_destination_name(rows[i].d));
        struct upload *u = NULL;
        struct project p = project_to(rows[i].d, "/some/where//");
        bool ok = upload_open(&p, i % 2 == 1, &(struct upload_options){ .secrets = NULL, .writer = "w1" }, &u, &err);
        if (rows[i].want == PIXL_OK && CHECK_OK(ok, err)) {
            CHECK_STR(str_of(upload_place(u)), rows[i].says);
            CHECK(upload_caps(u) == (rows[i].d == PROJECT_TO_NONE ? UPLOAD_CAP_KEEPS : 0));
        } else {
            CHECK_STR(str_of(err.msg), rows[i].says);
            CHECK_FAILS(ok, err, rows[i].want);
            CHECK(u == NULL);
        }
        upload_close(u);
    }
}

static void test_open__images_and_tables_may_go_apart(void)
{
    struct project p = project_to(PROJECT_TO_NONE, "/some/where");
    p.parquet_destination = PROJECT_TO_DIRECTORY;
    struct upload *u = NULL;
    REQUIRE_OK(upload_open(&p, false, &(struct upload_options){ .secrets = NULL, .writer = "w1" }, &u, &err), err);
    CHECK(upload_caps(u) == UPLOAD_CAP_KEEPS);
    upload_close(u);
    REQUIRE_OK(upload_open(&p, true, &(struct upload_options){ .secrets = NULL, .writer = "w1" }, &u, &err), err);
    CHECK(upload_caps(u) == 0);
    upload_close(u);
}

static void test_open__folder_from_the_project_or_a_secret(void)
{
    static const struct { const char *folder, *secret; enum pixl_code want; } rows[] = {
        { NULL, "my-prefix--directory--path=/from/secret\n", PIXL_OK },
        { "/from/secret", "", PIXL_OK },
        { "relative", "", PIXL_E_INVALID },
        { "", "", PIXL_E_INVALID },
        { NULL, "", PIXL_E_NOT_FOUND },
        { NULL, "my-project--directory--path=/x\n", PIXL_E_NOT_FOUND },
        { NULL, "my-prefix--directory--path=CANARY/relative\n", PIXL_E_INVALID },
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        test_row("%zu", i);
        write_file("secrets.env", rows[i].secret);
        char url[600];
        (void)snprintf(url, sizeof url, "file:%s", test_path("secrets.env"));
        secrets_auto *s = NULL;
        REQUIRE_OK(secrets_open(url, NULL, &s, &err), err);
        struct upload *u = NULL;
        struct project p = project_to(PROJECT_TO_DIRECTORY, rows[i].folder);
        bool ok = upload_open(&p, false, &(struct upload_options){ .secrets = s, .writer = "w1" }, &u, &err);
        CHECK(strstr(err.msg, "CANARY") == NULL);
        if (rows[i].want == PIXL_OK && CHECK_OK(ok, err))
            CHECK_STR(str_of(upload_place(u)), "directory /from/secret/my-project");
        else
            CHECK_FAILS(ok, err, rows[i].want);
        upload_close(u);
    }
}

static void test_check__leaves_nothing(void)
{
    upload_auto *u = open_it();
    CHECK_FAILS(upload_check(u, &err), err, PIXL_E_UNAVAILABLE);
    CHECK(!fs_exists(test_path("dest")));                /* a share that is not mounted is not made up */
    struct upload_study z = spool("zip", 1);
    CHECK_FAILS(upload_study(u, &z, &err), err, PIXL_E_UNAVAILABLE);
    CHECK_FAILS(upload_check_key(u, STR("key"), &err), err, PIXL_E_UNAVAILABLE);
    CHECK_FAILS(upload_table(u, STR("t"), z.zip_path, "a.parquet", &err), err, PIXL_E_UNAVAILABLE);
    CHECK(!fs_exists(test_path("dest")));
    write_file("dest", "a file");
    CHECK_FAILS(upload_check(u, &err), err, PIXL_E_UNAVAILABLE);
    REQUIRE(unlink(test_path("dest")) == 0);
    make("dest");
    write_file("dest/my-project", "a file");
    CHECK_FAILS(upload_check(u, &err), err, PIXL_E_UNAVAILABLE);
    REQUIRE(unlink(test_path("dest/my-project")) == 0);
    CHECK_OK(upload_check(u, &err), err);
    CHECK(!fs_exists(test_path("dest/my-project")) && count_files("dest") == 0);
    CHECK_OK(upload_check_key(u, STR("key"), &err), err);
    struct stat st;
    CHECK(stat(test_path("dest/my-project"), &st) == 0 && (st.st_mode & 07777) == 0750);
    CHECK_OK(upload_check(u, &err), err);
    CHECK_INT(count_files("dest/my-project"), 1);        /* the marker */
}

static void test_look_at_key__compares_and_writes_nothing(void)
{
    upload_auto *u = open_it();
    bool is_marked = true;
    CHECK_OK(upload_look_at_key(u, STR("key"), &is_marked, &err), err);
    CHECK(!is_marked && !fs_exists(test_path("dest")));
    make("dest");
    make("dest/my-project");
    CHECK_OK(upload_look_at_key(u, STR("key"), &is_marked, &err), err);
    CHECK(!is_marked && count_files("dest/my-project") == 0);
    CHECK_OK(upload_check_key(u, STR("key"), &err), err);
    CHECK_OK(upload_look_at_key(u, STR("key"), &is_marked, &err), err);
    CHECK(is_marked);
    CHECK_FAILS(upload_look_at_key(u, STR("yek"), &is_marked, &err), err, PIXL_E_EXISTS);
    CHECK_FAILS(upload_look_at_key(u, STR("two words"), &is_marked, &err), err, PIXL_E_INVALID);
    CHECK_FAILS(upload_look_at_key(u, STR(""), &is_marked, &err), err, PIXL_E_INVALID);
    REQUIRE(unlink(test_path("dest/my-project/.pixl-key")) == 0 && mkdir(test_path("dest/my-project/.pixl-key"), 0700) == 0);
    CHECK(!upload_look_at_key(u, STR("key"), &is_marked, &err));
}

static void test_check__told_to_keep_out(void)
{
    make("dest");
    make("dest/my-project");
    give_up_root();
    REQUIRE(chmod(test_path("dest/my-project"), 0500) == 0);
    upload_auto *u = open_it();
    struct upload_study z = spool("zip", 3);
    CHECK_FAILS(upload_check(u, &err), err, PIXL_E_DENIED);
    CHECK_FAILS(upload_study(u, &z, &err), err, PIXL_E_DENIED);
    CHECK_FAILS(upload_check_key(u, STR("key"), &err), err, PIXL_E_DENIED);
    CHECK_FAILS(upload_table(u, STR("t"), z.zip_path, "a.parquet", &err), err, PIXL_E_DENIED);
    REQUIRE(chmod(test_path("dest/my-project"), 0700) == 0);
    CHECK_OK(upload_check(u, &err), err);
    CHECK_INT(count_files("dest/my-project"), 0);
}

/* In a mount namespace of our own. */
static bool mount_small(const char *path)
{
    char map[64];
    uid_t uid = getuid();
    if (unshare(CLONE_NEWNS) != 0) {
        if (unshare(CLONE_NEWUSER | CLONE_NEWNS) != 0)
            return false;
        (void)snprintf(map, sizeof map, "0 %u 1", (unsigned)uid);
        int fd = open("/proc/self/uid_map", O_WRONLY | O_CLOEXEC);
        bool ok = fd >= 0 && write(fd, map, strlen(map)) == (ssize_t)strlen(map);
        (void)close(fd);
        if (!ok)
            return false;
    }
    return mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 && mount("tmpfs", path, "tmpfs", 0, "size=64k") == 0;
}

static void test_upload__full_and_read_only_destination(void)
{
    make("dest");
    if (!mount_small(test_path("dest")))
        test_skip("this system lets us mount no tmpfs: errno %d", errno);
    upload_auto *u = open_it();
    CHECK_OK(upload_check(u, &err), err);
    char *text = malloc(200001);
    REQUIRE(text != NULL);
    memset(text, 'z', 200000);
    text[200000] = '\0';
    struct upload_study z = spool(text, 1);
    CHECK_FAILS(upload_study(u, &z, &err), err, PIXL_E_NO_SPACE);
    CHECK_INT(count_files("dest/my-project"), 0);
    CHECK_FAILS(upload_table(u, STR("t"), z.zip_path, "a.parquet", &err), err, PIXL_E_NO_SPACE);
    free(text);
    REQUIRE(mount(NULL, test_path("dest"), NULL, MS_REMOUNT | MS_RDONLY, NULL) == 0);
    z = spool("zip", 2);
    CHECK_FAILS(upload_check(u, &err), err, PIXL_E_DENIED);
    CHECK_FAILS(upload_study(u, &z, &err), err, PIXL_E_DENIED);
    REQUIRE(umount(test_path("dest")) == 0);
}

static void test_study__is_delivered_once(void)
{
    make("dest");
    upload_auto *u = open_it();
    struct upload_study z = spool("all of the zip", 1);
    CHECK_OK(upload_study(u, &z, &err), err);
    check_file(ZIP, "all of the zip");
    CHECK_INT(count_files("dest/my-project"), 1);
    struct stat before, after;
    REQUIRE(stat(test_path(ZIP), &before) == 0);
    CHECK_INT(before.st_mode & 07777, 0640);

    /* Again, by a worker who does not know, and who no longer has the spooled zip. */
    z.fence = 2;
    REQUIRE(unlink(z.zip_path) == 0);
    CHECK_OK(upload_study(u, &z, &err), err);
    REQUIRE(stat(test_path(ZIP), &after) == 0);
    CHECK(before.st_ino == after.st_ino && before.st_mtim.tv_nsec == after.st_mtim.tv_nsec);
}

static void test_study__replaces_what_differs(void)
{
    static const char *const there[] = { "", "other", "same size, else", "longer than it is now, much longer" };
    make("dest");
    make("dest/my-project");
    upload_auto *u = open_it();
    for (size_t i = 0; i < ARRAY_LEN(there); i++) {
        test_row("%s", there[i]);
        write_file(ZIP, there[i]);
        struct upload_study z = spool("same size, here", (int64_t)i + 1);
        CHECK_OK(upload_study(u, &z, &err), err);
        check_file(ZIP, "same size, here");
        CHECK_INT(count_files("dest/my-project"), 1);
    }
    test_row("a link");
    write_file("precious", "precious");
    REQUIRE(unlink(test_path(ZIP)) == 0 && symlink(test_path("precious"), test_path(ZIP)) == 0);
    struct upload_study z = spool("zip", 9);
    CHECK_OK(upload_study(u, &z, &err), err);
    check_file(ZIP, "zip");
    check_file("precious", "precious");
    test_row("a folder");
    REQUIRE(unlink(test_path(ZIP)) == 0 && mkdir(test_path(ZIP), 0700) == 0);
    CHECK_FAILS(upload_study(u, &z, &err), err, PIXL_E_IO);
    CHECK_INT(count_files("dest/my-project"), 1);
}

static void test_study__a_zip_that_is_not_what_it_was_is_refused(void)
{
    make("dest");
    make("dest/my-project");
    write_file(ZIP, "delivered before");
    upload_auto *u = open_it();
    for (int how = 0; how < 5; how++) {
        test_row("%d", how);
        struct upload_study z = spool("all of the zip", how + 1);
        switch (how) {
        case 0: write_file("spool.zip", "all of the ziq"); break;
        case 1: write_file("spool.zip", "all of the zi"); break;
        case 2: write_file("spool.zip", "all of the zip and more"); break;
        case 3: write_file("spool.zip", ""); break;
        default: REQUIRE(unlink(z.zip_path) == 0);
        }
        CHECK_FAILS(upload_study(u, &z, &err), err, PIXL_E_CORRUPT);
        check_file(ZIP, "delivered before");
        CHECK_INT(count_files("dest/my-project"), 1);
    }
}

static void test_study__clears_away_what_its_earlier_claims_left(void)
{
    static const struct { int64_t fence; const char *part; bool stays; } rows[] = {
        { 7, "." UID ".zip.w1.6.part", false },
        { 7, "." UID ".zip.w1.0.part", false },
        { 7, "." UID ".zip.w1.7.part", false },                     /* ours: made anew */
        { 7, "." UID ".zip.w1.8.part", true },                      /* a later claim's */
        { 7, ".2.25.12345678.zip.6.part", true },
        { 7, "." UID "1.zip.6.part", true },
        { 7, "." UID ".zip.w1.x.part", true },
        { 7, "." UID ".zip.w1.6.partial", true },
        { 7, UID ".zip.6.part", true },
        { 1000, "." UID ".zip.w1.999.part", false },
        { 1000, "." UID ".zip.w1.3.part", false },
        { 1000, "." UID ".zip.w1.1001.part", true },
        { 1000, ".2.25.12345678.zip.6.part", true },
        { 1000, "." UID "1.zip.6.part", true },
        { 1000, "." UID ".zip.w1..part", true },
        { 1000, "." UID ".zip.w1.part", true },
        { 1000, "." UID ".zip.w2.6.part", true },                /* another store's */
        { 7, "." UID ".zip.w2.6.part", true },
        { 7, "." UID ".zip.6.part", true },
        { 1000, "." UID ".zip.w1.-1.part", true },
        { 1000, "." UID ".zip.w1.6.partial", true },
    };
    make("dest");
    make("dest/my-project");
    upload_auto *u = open_it();
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        char name[200];
        test_row("%lld %s", (long long)rows[i].fence, rows[i].part);
        (void)snprintf(name, sizeof name, "dest/my-project/%s", rows[i].part);
        write_file(name, "part");
        struct upload_study z = spool("zip", rows[i].fence);
        CHECK_OK(upload_study(u, &z, &err), err);
        CHECK(fs_exists(test_path(name)) == rows[i].stays);
        check_file(ZIP, "zip");
        (void)unlink(test_path(name));
        REQUIRE(unlink(test_path(ZIP)) == 0);
    }
}

static void test_study__name_is_a_uid(void)
{
    static const char *const bad[] = { "", "../x", "a", "1.2/3", "1.2.zip", ".", "1..2",
                                       "2.25.12345678901234567890123456789012345678901234567890123456789012" };
    make("dest");
    upload_auto *u = open_it();
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        test_row("'%s'", bad[i]);
        struct upload_study z = spool("zip", 1);
        z.pseudo_study_uid = bad[i];
        CHECK_FAILS(upload_study(u, &z, &err), err, PIXL_E_INVALID);
    }
}

static void test_check_key__first_one_stays(void)
{
    make("dest");
    upload_auto *u = open_it();
    CHECK_FAILS(upload_check_key(u, STR(""), &err), err, PIXL_E_INVALID);
    CHECK_FAILS(upload_check_key(u, STR("two\nlines"), &err), err, PIXL_E_INVALID);
    CHECK_OK(upload_check_key(u, STR("key-one"), &err), err);
    CHECK_INT(count_files("dest/my-project"), 1);
    struct stat st;
    CHECK(stat(test_path("dest/my-project/.pixl-key"), &st) == 0 && (st.st_mode & 07777) == 0640);
    CHECK_OK(upload_check_key(u, STR("key-one"), &err), err);
    CHECK(!upload_check_key(u, STR("key-two"), &err));
    CHECK(strstr(err.msg, "key-") == NULL && strstr(err.msg, ".pixl-key") != NULL);
    CHECK_FAILS(false, err, PIXL_E_EXISTS);
    CHECK_FAILS(upload_check_key(u, STR("key-on"), &err), err, PIXL_E_EXISTS);
    CHECK_FAILS(upload_check_key(u, STR("key-one2"), &err), err, PIXL_E_EXISTS);
    CHECK_OK(upload_check_key(u, STR("key-one"), &err), err);

    test_row("written by hand");
    write_file("dest/my-project/.pixl-key", "key-one");
    CHECK_OK(upload_check_key(u, STR("key-one"), &err), err);
    write_file("dest/my-project/.pixl-key", "");
    CHECK_FAILS(upload_check_key(u, STR("key-one"), &err), err, PIXL_E_EXISTS);
}

static void test_check_key__zips_without_a_marker_are_taken_on(void)
{
    make("dest");
    make("dest/my-project");
    write_file("dest/my-project/2.25.1.zip", "made by an older system");
    upload_auto *u = open_it();
    CHECK_OK(upload_check_key(u, STR("key-one"), &err), err);
    CHECK_FAILS(upload_check_key(u, STR("key-two"), &err), err, PIXL_E_EXISTS);
}

static void test_check_key__of_many_at_once_one_wins(void)
{
    enum { N = 8 };
    make("dest");
    pid_t pids[N];
    int won = 0;
    for (int i = 0; i < N; i++) {
        pids[i] = fork();
        REQUIRE(pids[i] >= 0);
        if (pids[i] == 0) {
            char key[32], writer[32];
            (void)snprintf(key, sizeof key, "key-%d", i);
            (void)snprintf(writer, sizeof writer, "store%d", i);
            struct upload *u = open_as(writer);
            bool ok = upload_check_key(u, str_of(key), &err);
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
    CHECK_INT(count_files("dest/my-project"), 1);
}

static void test_upload__a_marker_that_goes_means_another_folder(void)
{
    make("dest");
    upload_auto *u = open_it();
    CHECK_OK(upload_check_key(u, STR("key"), &err), err);
    REQUIRE(rename(test_path("dest"), test_path("unmounted")) == 0);
    make("dest");
    struct upload_study z = spool("zip", 1);
    CHECK_FAILS(upload_study(u, &z, &err), err, PIXL_E_UNAVAILABLE);
    CHECK_FAILS(upload_check(u, &err), err, PIXL_E_UNAVAILABLE);
    CHECK_FAILS(upload_check_key(u, STR("key"), &err), err, PIXL_E_UNAVAILABLE);
    CHECK_INT(count_files("dest"), 0);
    REQUIRE(rmdir(test_path("dest")) == 0);
    REQUIRE(rename(test_path("unmounted"), test_path("dest")) == 0);
    CHECK_OK(upload_study(u, &z, &err), err);
}

static void test_table__goes_below_its_extract(void)
{
#define TABLE "dest/my-project/2023-12-07t14-08-58/parquet/omop/public/X.parquet"
    const struct str slug = STR("2023-12-07t14-08-58");
    make("dest");
    upload_auto *u = open_it();
    write_file("x", "rows");
    CHECK_OK(upload_table(u, slug, test_path("x"), "omop/public/X.parquet", &err), err);
    check_file(TABLE, "rows");
    struct stat before, after;
    REQUIRE(stat(test_path(TABLE), &before) == 0);
    CHECK_OK(upload_table(u, slug, test_path("x"), "omop/public/X.parquet", &err), err);
    REQUIRE(stat(test_path(TABLE), &after) == 0);
    CHECK(before.st_ino == after.st_ino);
    CHECK_INT(before.st_mode & 07777, 0640);
    write_file("x", "more");
    CHECK_OK(upload_table(u, slug, test_path("x"), "omop/public/X.parquet", &err), err);
    check_file(TABLE, "more");
    CHECK_INT(count_files("dest/my-project/2023-12-07t14-08-58/parquet/omop/public"), 1);
    CHECK_FAILS(upload_table(u, slug, test_path("none"), "Y.parquet", &err), err, PIXL_E_NOT_FOUND);
    for (int again = 0; again < 2; again++)
        CHECK_OK(upload_withdraw_table(u, slug, "omop/public/X.parquet", &err), err);
    CHECK_INT(count_files("dest/my-project/2023-12-07t14-08-58/parquet/omop/public"), 0);
    CHECK_OK(upload_withdraw_table(u, STR("2031-01-01"), "omop/public/X.parquet", &err), err);
    static const char *const bad[] = { "", "/x", "../x", "a/../../x", "a//x", "a/", ".x", "a/.x" };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        test_row("'%s'", bad[i]);
        CHECK_FAILS(upload_table(u, slug, test_path("x"), bad[i], &err), err, PIXL_E_INVALID);
        CHECK_FAILS(upload_withdraw_table(u, slug, bad[i], &err), err, PIXL_E_INVALID);
    }
    CHECK_FAILS(upload_table(u, STR(".."), test_path("x"), "x", &err), err, PIXL_E_INVALID);
    CHECK_FAILS(upload_table(u, STR(""), test_path("x"), "x", &err), err, PIXL_E_INVALID);
}

static void test_none__delivers_nothing(void)
{
    upload_auto *u = NULL;
    struct project p = project_to(PROJECT_TO_NONE, NULL);
    REQUIRE_OK(upload_open(&p, false, &(struct upload_options){ .secrets = NULL, .writer = "w1" }, &u, &err), err);
    struct upload_study z = spool("zip", 1);
    CHECK_OK(upload_check(u, &err), err);
    CHECK_OK(upload_check_key(u, STR("key"), &err), err);
    CHECK_OK(upload_study(u, &z, &err), err);
    CHECK_OK(upload_table(u, STR("t"), z.zip_path, "x.parquet", &err), err);
    CHECK_OK(upload_withdraw_table(u, STR("t"), "x.parquet", &err), err);
    CHECK_INT(count_files(""), 1);
}

int main(int argc, char **argv)
{
    static const struct test_case tests[] = {
        TEST(test_open__destination_words),
        TEST(test_open__images_and_tables_may_go_apart),
        TEST(test_open__folder_from_the_project_or_a_secret),
        TEST(test_check__leaves_nothing), TEST(test_look_at_key__compares_and_writes_nothing),
        TEST(test_check__told_to_keep_out),
        TEST(test_upload__full_and_read_only_destination),
        TEST(test_study__is_delivered_once),
        TEST(test_study__replaces_what_differs),
        TEST(test_study__a_zip_that_is_not_what_it_was_is_refused),
        TEST(test_study__clears_away_what_its_earlier_claims_left),
        TEST(test_study__name_is_a_uid),
        TEST(test_check_key__first_one_stays),
        TEST(test_check_key__zips_without_a_marker_are_taken_on),
        TEST(test_check_key__of_many_at_once_one_wins),
        TEST(test_upload__a_marker_that_goes_means_another_folder),
        TEST(test_table__goes_below_its_extract),
        TEST(test_none__delivers_nothing),
    };
    arena_init(&arena, 16 << 20);
    return test_main(argc, argv, tests, ARRAY_LEN(tests));
}
