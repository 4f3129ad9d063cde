#include "base/fs.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/hash.h"
#include "test.h"

/* Names in the folder, "." and ".." not counted: what a crash or a failure left behind shows here. */
static int count_names(const char *path)
{
    DIR *d = opendir(path);
    REQUIRE(d != NULL);
    int n = 0;
    while (readdir(d) != NULL)
        n++;
    (void)closedir(d);
    return n - 2;
}

static struct str read_back(struct arena *a, const char *path)
{
    struct pixl_error err = { 0 };
    struct str s = { 0 };
    CHECK_OK(fs_read_whole(a, path, 1 << 20, &s, &err), err);
    return s;
}

static mode_t mode_of(const char *path)
{
    struct stat st;
    REQUIRE(lstat(path, &st) == 0);
    return st.st_mode & 07777;
}

static void test_fs__a_committed_file_is_whole_and_leaves_no_other_name(void)
{
    struct pixl_error err = { 0 };
    struct arena a;
    arena_init(&a, 1 << 20);
    fs_new_file_auto f = FS_NEW_FILE_NONE;
    REQUIRE_OK(fs_new_file_open(&f, test_path("x.zip"), "7", 0600, &err), err);
    CHECK(fs_exists(test_path(".x.zip.7.part")) && !fs_exists(test_path("x.zip")));
    CHECK_OK(fs_write_all(f.fd, "abc", 3, &err), err);
    CHECK_OK(fs_new_file_commit(&f, &err), err);
    CHECK_INT(f.fd, -1);
    CHECK_STR(read_back(&a, test_path("x.zip")), "abc");
    CHECK_INT(mode_of(test_path("x.zip")), 0600);
    CHECK_INT(count_names(test_dir()), 1);
    arena_done(&a);
}

static void test_fs__an_abandoned_file_is_gone_and_the_old_one_stays(void)
{
    struct pixl_error err = { 0 };
    struct arena a;
    arena_init(&a, 1 << 20);
    REQUIRE_OK(fs_write_whole(test_path("x"), STR("old"), 0600, &err), err);
    {
        fs_new_file_auto f = FS_NEW_FILE_NONE;
        REQUIRE_OK(fs_new_file_open(&f, test_path("x"), "1", 0600, &err), err);
        CHECK_OK(fs_write_all(f.fd, "new", 3, &err), err);
    }
    CHECK_STR(read_back(&a, test_path("x")), "old");
    CHECK_INT(count_names(test_dir()), 1);
    arena_done(&a);
}

static void test_fs__a_left_over_part_is_replaced_and_a_link_not_followed(void)
{
    struct pixl_error err = { 0 };
    struct arena a;
    arena_init(&a, 1 << 20);
    REQUIRE_OK(fs_write_whole(test_path("victim"), STR("precious"), 0600, &err), err);
    REQUIRE(symlink("victim", test_path(".x.1.part")) == 0);
    REQUIRE(symlink("victim", test_path("x")) == 0);
    fs_new_file_auto f = FS_NEW_FILE_NONE;
    REQUIRE_OK(fs_new_file_open(&f, test_path("x"), "1", 0640, &err), err);
    CHECK_OK(fs_write_all(f.fd, "new", 3, &err), err);
    CHECK_OK(fs_new_file_commit(&f, &err), err);
    CHECK_STR(read_back(&a, test_path("victim")), "precious");
    CHECK_STR(read_back(&a, test_path("x")), "new");
    CHECK_INT(count_names(test_dir()), 2);
    arena_done(&a);
}

static void test_fs__bad_names_and_missing_folders_are_refused(void)
{
    static const struct { const char *name, *path, *suffix; enum pixl_code want; } rows[] = {
        { "ends in a slash", "x/", "1", PIXL_E_INVALID },
        { "suffix with slash", "x", "../1", PIXL_E_INVALID },
        { "suffix empty", "x", "", PIXL_E_INVALID },
        { "no such folder", "no/x", "1", PIXL_E_NOT_FOUND },
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        test_row("%s", rows[i].name);
        struct pixl_error err = { 0 };
        fs_new_file_auto f = FS_NEW_FILE_NONE;
        CHECK_FAILS(fs_new_file_open(&f, test_path(rows[i].path), rows[i].suffix, 0600, &err), err, rows[i].want);
        CHECK_INT(f.fd, -1);
    }
    CHECK_INT(count_names(test_dir()), 0);
}

static void test_fs__no_message_names_a_path(void)
{
    struct pixl_error err = { 0 };
    struct arena a;
    arena_init(&a, 1000);
    struct str s;
    uint8_t d[32];
    const char *path = test_path("patient-987654321");
    CHECK(!fs_read_whole(&a, path, 10, &s, &err) && strstr(err.msg, "987654321") == NULL);
    pixl_error_clear(&err);
    CHECK(!fs_digest(path, d, NULL, &err) && strstr(err.msg, "987654321") == NULL);
    pixl_error_clear(&err);
    CHECK(!fs_copy_file(path, test_path("to"), "1", 0600, NULL, NULL, &err) && strstr(err.msg, "987654321") == NULL);
    arena_done(&a);
}

static void test_fs__make_dirs_makes_all_and_accepts_what_is_there(void)
{
    struct pixl_error err = { 0 };
    CHECK_OK(fs_make_dirs(test_path("a//b/c/"), 0700, &err), err);
    CHECK(fs_is_dir(test_path("a/b/c")));
    CHECK_INT(mode_of(test_path("a/b")), 0700);
    CHECK_OK(fs_make_dirs(test_path("a/b"), 0755, &err), err);
    CHECK_INT(mode_of(test_path("a/b")), 0700);
    CHECK_OK(fs_make_dirs("/", 0700, &err), err);
    CHECK_OK(fs_write_whole(test_path("file"), STR(""), 0600, &err), err);
    CHECK_FAILS(fs_make_dirs(test_path("file"), 0700, &err), err, PIXL_E_EXISTS);
    CHECK_FAILS(fs_make_dirs(test_path("file/x"), 0700, &err), err, PIXL_E_EXISTS);
    CHECK_FAILS(fs_make_dirs("", 0700, &err), err, PIXL_E_INVALID);
}

static void test_fs__read_whole_holds_its_limit_and_refuses_what_is_no_file(void)
{
    struct pixl_error err = { 0 };
    struct arena a;
    struct str s = STR("untouched");
    arena_init(&a, 1 << 16);
    REQUIRE_OK(fs_write_whole(test_path("x"), STR("12345"), 0600, &err), err);
    REQUIRE(mkfifo(test_path("fifo"), 0600) == 0);
    CHECK_FAILS(fs_read_whole(&a, test_path("x"), 4, &s, &err), err, PIXL_E_LIMIT);
    CHECK_FAILS(fs_read_whole(&a, test_path("none"), 4, &s, &err), err, PIXL_E_NOT_FOUND);
    CHECK_FAILS(fs_read_whole(&a, test_dir(), 1 << 20, &s, &err), err, PIXL_E_INVALID);
    CHECK_FAILS(fs_read_whole(&a, test_path("fifo"), 1 << 20, &s, &err), err, PIXL_E_INVALID);
    CHECK_STR(s, "untouched");
    CHECK_OK(fs_read_whole(&a, test_path("x"), 5, &s, &err), err);
    CHECK_STR(s, "12345");
    CHECK_INT(s.p[5], 0);
    struct arena tiny;
    arena_init(&tiny, 1);
    CHECK_FAILS(fs_read_whole(&tiny, test_path("x"), 5, &s, &err), err, PIXL_E_NOMEM);
    arena_done(&a);
}

static void test_fs__short_reads_are_corrupt(void)
{
    struct pixl_error err = { 0 };
    char b[16];
    REQUIRE_OK(fs_write_whole(test_path("x"), STR("12345"), 0600, &err), err);
    int fd = open(test_path("x"), O_RDONLY | O_CLOEXEC), sink = open("/dev/null", O_WRONLY | O_CLOEXEC);
    CHECK_OK(fs_pread_all(fd, b, 5, 0, &err), err);
    CHECK_OK(fs_pread_all(fd, b, 0, 99, &err), err);
    CHECK_FAILS(fs_pread_all(fd, b, 6, 0, &err), err, PIXL_E_CORRUPT);
    CHECK_FAILS(fs_pread_all(fd, b, 1, 5, &err), err, PIXL_E_CORRUPT);
    CHECK_FAILS(fs_pread_all(fd, b, 1, UINT64_MAX, &err), err, PIXL_E_CORRUPT);
    CHECK_FAILS(fs_pread_all(fd, b, 16, (uint64_t)INT64_MAX - 3, &err), err, PIXL_E_CORRUPT);
    CHECK_FAILS(fs_copy_range(fd, 3, 3, sink, &err), err, PIXL_E_CORRUPT);
    CHECK_FAILS(fs_copy_range(fd, UINT64_MAX, 1, sink, &err), err, PIXL_E_CORRUPT);
    (void)close(fd);
    (void)close(sink);
}

static void fill(const char *path, size_t n)
{
    struct pixl_error err = { 0 };
    char *p = malloc(n ? n : 1);
    REQUIRE(p != NULL);
    for (size_t i = 0; i < n; i++)
        p[i] = (char)(i * 2654435761u >> 13);
    REQUIRE_OK(fs_write_whole(path, (struct str){ p, n }, 0600, &err), err);
    free(p);
}

static void test_fs__a_nameless_file_leaves_nothing(void)
{
    struct pixl_error err = { 0 };
    const char *dir = test_path("made/for/it");
    char back[8];
    int fd = -1;
    REQUIRE_OK(fs_open_nameless(dir, &fd, &err), err);
    REQUIRE_OK(fs_write_all(fd, "of use", 6, &err), err);
    REQUIRE_OK(fs_pread_all(fd, back, 6, 0, &err), err);
    CHECK(memcmp(back, "of use", 6) == 0);
    CHECK((fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0);
    CHECK(rmdir(dir) == 0); /* it is empty */
    REQUIRE(close(fd) == 0);
    fd = -2;
    REQUIRE_OK(fs_write_whole(test_path("file"), STR(""), 0600, &err), err);
    CHECK(!fs_open_nameless(test_path("file"), &fd, &err) && fd == -2);
    pixl_error_clear(&err);
}

static void test_fs__copies_are_equal_and_digests_agree(void)
{
    static const size_t sizes[] = { 0, 1, 65535, 65536, 65537, 300001 };
    for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
        test_row("%zu bytes", sizes[i]);
        struct pixl_error err = { 0 };
        uint8_t a[32], b[32], c[32];
        uint64_t n = 1, m = 2, k = 3;
        fill(test_path("from"), sizes[i]);
        CHECK_OK(fs_digest(test_path("from"), a, &n, &err), err);
        CHECK_OK(fs_copy_file(test_path("from"), test_path("to"), "1", 0600, b, &m, &err), err);
        CHECK(n == sizes[i] && m == n && memcmp(a, b, 32) == 0);
        CHECK_OK(fs_copy_file(test_path("from"), test_path("to2"), "1", 0600, NULL, &k, &err), err);
        CHECK_OK(fs_digest(test_path("to2"), c, NULL, &err), err);
        CHECK(k == n && memcmp(a, c, 32) == 0);
    }
    CHECK_INT(count_names(test_dir()), 3);
}

static void test_fs__copy_range_takes_the_middle_also_into_a_pipe(void)
{
    struct pixl_error err = { 0 };
    REQUIRE_OK(fs_write_whole(test_path("x"), STR("0123456789"), 0600, &err), err);
    int in = open(test_path("x"), O_RDONLY | O_CLOEXEC), out = open(test_path("y"), O_RDWR | O_CREAT | O_CLOEXEC, 0600),
        p[2];
    REQUIRE(in >= 0 && out >= 0 && pipe2(p, O_CLOEXEC) == 0);
    CHECK_OK(fs_write_all(out, "ab", 2, &err), err);
    CHECK_OK(fs_copy_range(in, 3, 4, out, &err), err);
    char b[8] = "";
    CHECK(pread(out, b, 8, 0) == 6 && memcmp(b, "ab3456", 6) == 0);
    CHECK_OK(fs_copy_range(in, 8, 2, p[1], &err), err);
    CHECK(read(p[0], b, 8) == 2 && memcmp(b, "89", 2) == 0);
    (void)close(in); (void)close(out); (void)close(p[0]); (void)close(p[1]);
}

static void test_fs__a_full_disk_is_no_space(void)
{
    struct pixl_error err = { 0 };
    int fd = open("/dev/full", O_WRONLY | O_CLOEXEC);
    if (fd < 0)
        test_skip("no /dev/full");
    CHECK_FAILS(fs_write_all(fd, "x", 1, &err), err, PIXL_E_NO_SPACE);
    (void)close(fd);
}

static void test_fs__remove_tree_takes_all_but_what_links_lead_to(void)
{
    struct pixl_error err = { 0 };
    REQUIRE_OK(fs_make_dirs(test_path("t/a/b"), 0700, &err), err);
    REQUIRE_OK(fs_make_dirs(test_path("outside"), 0700, &err), err);
    REQUIRE_OK(fs_write_whole(test_path("outside/keep"), STR("1"), 0600, &err), err);
    REQUIRE_OK(fs_write_whole(test_path("t/a/b/f"), STR("1"), 0600, &err), err);
    REQUIRE(symlink("../outside", test_path("t/link")) == 0 && symlink("nowhere", test_path("t/a/dangling")) == 0);
    CHECK_OK(fs_remove_tree(test_path("t"), &err), err);
    CHECK(!fs_exists(test_path("t")) && fs_exists(test_path("outside/keep")));
    REQUIRE(symlink("outside", test_path("l")) == 0);
    CHECK_OK(fs_remove_tree(test_path("l"), &err), err);
    CHECK(!fs_exists(test_path("l")) && fs_exists(test_path("outside/keep")));
    CHECK_OK(fs_remove_tree(test_path("t"), &err), err);
    CHECK_OK(fs_remove(test_path("none"), &err), err);
    CHECK(!fs_remove(test_path("outside"), &err));
}

static void test_fs__replace_link_is_atomic_and_spares_what_is_no_link(void)
{
    struct pixl_error err = { 0 };
    char b[64] = "";
    CHECK_OK(fs_replace_link(test_path("latest"), "all/1", &err), err);
    CHECK_OK(fs_replace_link(test_path("latest"), "all/2", &err), err);
    CHECK(readlink(test_path("latest"), b, sizeof b) == 5 && memcmp(b, "all/2", 5) == 0);
    CHECK(fs_exists(test_path("latest")) && !fs_is_dir(test_path("latest")));
    CHECK_INT(count_names(test_dir()), 1);
    REQUIRE_OK(fs_make_dirs(test_path("dir"), 0700, &err), err);
    CHECK_FAILS(fs_replace_link(test_path("dir"), "x", &err), err, PIXL_E_EXISTS);
    CHECK_FAILS(fs_replace_link(test_path("l"), "/abs", &err), err, PIXL_E_INVALID);
    CHECK_FAILS(fs_replace_link(test_path("l"), "", &err), err, PIXL_E_INVALID);
}

static void test_fs__a_lock_keeps_others_out_and_says_who_has_it(void)
{
    struct pixl_error err = { 0 };
    int fd = -1, other = -1;
    REQUIRE_OK(fs_write_whole(test_path("lock"), STR("99999999999999999999\n"), 0600, &err), err);
    REQUIRE_OK(fs_lock(test_path("lock"), &fd, &err), err);
    CHECK(fcntl(fd, F_GETFD) & FD_CLOEXEC);
    char want[64];
    (void)snprintf(want, sizeof want, "held by process %ld", (long)getpid());
    CHECK(!fs_lock(test_path("lock"), &other, &err));
    CHECK_INT(err.code, PIXL_E_BUSY);
    CHECK_STR(str_of(err.msg), want);
    pixl_error_clear(&err);
    CHECK_INT(other, -1);
    CHECK(!fs_lock_look(test_path("lock"), &err));
    CHECK_STR(str_of(err.msg), want);
    pixl_error_clear(&err);
    (void)close(fd);
    CHECK_OK(fs_lock_look(test_path("lock"), &err), err);
    CHECK_OK(fs_lock_look(test_path("no-lock"), &err), err);
    CHECK(!fs_exists(test_path("no-lock")));
    CHECK_OK(fs_lock(test_path("lock"), &other, &err), err);
    (void)close(other);
    CHECK_FAILS(fs_lock(test_path("no/lock"), &other, &err), err, PIXL_E_NOT_FOUND);
    REQUIRE(symlink("lock", test_path("link")) == 0);
    CHECK(!fs_lock(test_path("link"), &other, &err));
    pixl_error_clear(&err);
    CHECK(!fs_lock_look(test_path("link"), &err));
}

static void test_fs__a_shared_lock_is_held_by_many_but_not_beside_an_exclusive_one(void)
{
    struct pixl_error err = { 0 };
    int alone = -1, one = -1, two = -1;
    REQUIRE_OK(fs_lock(test_path("lock"), &alone, &err), err);
    CHECK_FAILS(fs_lock_shared(test_path("lock"), &one, &err), err, PIXL_E_BUSY);
    REQUIRE_OK(fs_lock_to_shared(alone, &err), err);
    REQUIRE_OK(fs_lock_shared(test_path("lock"), &one, &err), err);
    CHECK(fcntl(one, F_GETFD) & FD_CLOEXEC);
    CHECK(!fs_lock(test_path("lock"), &two, &err));
    CHECK_STR(str_of(err.msg), "held by another process");
    pixl_error_clear(&err);
    (void)close(alone);
    CHECK_FAILS(fs_lock(test_path("lock"), &two, &err), err, PIXL_E_BUSY);
    (void)close(one);
    CHECK_OK(fs_lock(test_path("lock"), &two, &err), err);
    (void)close(two);
}

static void test_fs__a_local_folder_is_not_a_network(void)
{
    CHECK(!fs_is_network(test_dir()));
    CHECK(!fs_is_network(test_path("not-there-yet")));
    CHECK(!fs_is_network(test_path("no/such/folder")));
}

static void test_fs__paths_are_joined_and_out_of_memory_is_null(void)
{
    struct arena a, tiny;
    arena_init(&a, 4096);
    arena_init(&tiny, 8);
    CHECK_STR(str_of(fs_path(&a, "d", "n")), "d/n");
    CHECK_STR(str_of(fs_path3(&a, "d", "m", "n")), "d/m/n");
    CHECK(fs_path(&tiny, "d", "n") == NULL && fs_path3(&tiny, "d", "m", "n") == NULL);
    arena_done(&a);
}

int main(int argc, char **argv)
{
    static const struct test_case tests[] = {
        TEST(test_fs__a_committed_file_is_whole_and_leaves_no_other_name),
        TEST(test_fs__an_abandoned_file_is_gone_and_the_old_one_stays),
        TEST(test_fs__a_left_over_part_is_replaced_and_a_link_not_followed),
        TEST(test_fs__bad_names_and_missing_folders_are_refused),
        TEST(test_fs__no_message_names_a_path),
        TEST(test_fs__make_dirs_makes_all_and_accepts_what_is_there),
        TEST(test_fs__read_whole_holds_its_limit_and_refuses_what_is_no_file),
        TEST(test_fs__short_reads_are_corrupt),
        TEST(test_fs__a_nameless_file_leaves_nothing),
        TEST(test_fs__copies_are_equal_and_digests_agree),
        TEST(test_fs__copy_range_takes_the_middle_also_into_a_pipe),
        TEST(test_fs__a_full_disk_is_no_space),
        TEST(test_fs__remove_tree_takes_all_but_what_links_lead_to),
        TEST(test_fs__replace_link_is_atomic_and_spares_what_is_no_link),
        TEST(test_fs__a_lock_keeps_others_out_and_says_who_has_it),
        TEST(test_fs__a_shared_lock_is_held_by_many_but_not_beside_an_exclusive_one),
        TEST(test_fs__a_local_folder_is_not_a_network),
        TEST(test_fs__paths_are_joined_and_out_of_memory_is_null),
    };
    return test_main(argc, argv, tests, ARRAY_LEN(tests));
}
