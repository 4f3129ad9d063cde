/* What only a folder does as a destination, and what is said before there is one; the rest in contract/upload. */
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/syscall.h>

#include "upload_rig.h"

static struct project project_to(enum project_destination d, const char *folder)
{
    return (struct project){ .name = "My project", .slug = STR("my-project"), .secrets_prefix = STR("my-prefix"),
                             .dicom_destination = d, .parquet_destination = d, .destination_directory = folder };
}

/* To test_dir()/dest. */
static struct upload *open_it(void)
{
    struct project p = project_to(PROJECT_TO_DIRECTORY, test_path("dest"));
    return open_project(&p, NULL, "w1", 1);
}

static void make(const char *name)
{
    REQUIRE(mkdir(test_path(name), 0700) == 0);
}

static void write_file(const char *name, const char *text)
{
    REQUIRE_OK(fs_write_whole(test_path(name), str_of(text), 0600, &err), err);
}

static size_t count_files(const char *name)
{
    return count_entries(test_path(name), NULL);
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

static void check_mode(const char *name, mode_t want)
{
    struct stat st;
    CHECK(stat(test_path(name), &st) == 0);
    CHECK_INT(st.st_mode & 07777, want);
}

static void test_upload__what_is_made_is_for_its_owner_and_group(void)
{
    make("dest");
    upload_auto *u = open_it();
    struct upload_study z = spool("zip", 1);
    CHECK_OK(upload_check_key(u, STR("key"), &err), err);
    CHECK_OK(upload_study(u, &z, &err), err);
    CHECK_OK(upload_table(u, STR("t"), z.zip_path, "a/b.parquet", &err), err);
    check_mode("dest/my-project", 0750);
    check_mode("dest/my-project/.pixl-key", 0640);
    check_mode("dest/" ZIP, 0640);
    check_mode("dest/my-project/t/parquet/a/b.parquet", 0640);
}

static void test_study__replaces_a_link_and_no_folder(void)
{
    make("dest");
    make("dest/my-project");
    upload_auto *u = open_it();
    write_file("precious", "precious");
    REQUIRE(symlink(test_path("precious"), test_path("dest/" ZIP)) == 0);
    struct upload_study z = spool("zip", 1);
    CHECK_OK(upload_study(u, &z, &err), err);
    check_content(test_path("dest/" ZIP), "zip");
    check_content(test_path("precious"), "precious");
    REQUIRE(unlink(test_path("dest/" ZIP)) == 0 && mkdir(test_path("dest/" ZIP), 0700) == 0);
    CHECK_FAILS(upload_study(u, &z, &err), err, PIXL_E_IO);
    CHECK_INT(count_files("dest/my-project"), 1);
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

static void test_upload__a_marker_that_is_expected_must_be_there(void)
{
    make("dest");
    upload_auto *u = open_it();
    upload_expect_marker(u);
    struct upload_study z = spool("zip", 1);
    CHECK_FAILS(upload_check_key(u, STR("key"), &err), err, PIXL_E_UNAVAILABLE);
    CHECK_FAILS(upload_study(u, &z, &err), err, PIXL_E_UNAVAILABLE);
    CHECK_INT(count_files("dest"), 0);
    make("dest/my-project");
    write_file("dest/my-project/.pixl-key", "key\n");
    CHECK_OK(upload_check_key(u, STR("key"), &err), err);
    CHECK_OK(upload_study(u, &z, &err), err);
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
        TEST(test_check__leaves_nothing),
        TEST(test_look_at_key__compares_and_writes_nothing),
        TEST(test_check__told_to_keep_out),
        TEST(test_upload__full_and_read_only_destination),
        TEST(test_upload__what_is_made_is_for_its_owner_and_group),
        TEST(test_study__replaces_a_link_and_no_folder),
        TEST(test_study__name_is_a_uid),
        TEST(test_upload__a_marker_that_goes_means_another_folder),
        TEST(test_upload__a_marker_that_is_expected_must_be_there),
        TEST(test_none__delivers_nothing),
    };
    arena_init(&arena, 16 << 20);
    return test_main(argc, argv, tests, ARRAY_LEN(tests));
}
