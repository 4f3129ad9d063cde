#include "upload/zip.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include "base/fs.h"
#include "test.h"

static struct pixl_error err;
static struct arena arena;

/* What the readers must say. */
struct said {
    uint64_t n, bytes;
    uint32_t crc;
};

/* Bytes that deflate well, or not at all; the same at each call. */
static uint8_t *make_bytes(size_t n, bool is_noise)
{
    uint8_t *p = malloc(n + 1);
    REQUIRE(p != NULL);
    uint64_t x = 88172645463325252u;
    for (size_t i = 0; i < n; i++) {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        p[i] = is_noise ? (uint8_t)(x >> 32) : (uint8_t)((i / 64) ^ (x & 3));
    }
    return p;
}

static void note(struct said *s, const char *name, const void *p, size_t n)
{
    s->crc = (uint32_t)crc32_z(s->crc, (const uint8_t *)name, strlen(name));
    s->crc = (uint32_t)crc32_z(s->crc, p, n);
    s->n++;
    s->bytes += n;
}

/* A plan of three pieces: from the source, from memory, from the source. */
static struct dicom_plan plan_of(const void *p, size_t n)
{
    struct dicom_plan plan;
    dicom_plan_init(&plan, &arena);
    size_t a = n / 3, b = n / 2, m = b - a < 1000 ? b - a : 1000;
    REQUIRE_OK(dicom_plan_range(&plan, 0, a, &err), err);
    REQUIRE_OK(dicom_plan_bytes(&plan, (const uint8_t *)p + a, m, &err), err);
    REQUIRE_OK(dicom_plan_range(&plan, a + m, n - a - m, &err), err);
    REQUIRE(plan.size_bytes == n);
    return plan;
}

static bool add(struct zip *z, const char *name, const void *p, size_t n, bool stored)
{
    struct dicom_source s = dicom_source_bytes(p, n);
    struct dicom_plan plan = plan_of(p, n);
    return zip_add(z, name, &plan, &s, stored, &err);
}

static void commit(struct zip *z, const char *path)
{
    uint64_t size = 0, size_there = 1;
    uint8_t digest[32], digest_there[32];
    REQUIRE_OK(zip_commit(z, &size, digest, &err), err);
    REQUIRE_OK(fs_digest(path, digest_there, &size_there, &err), err);
    CHECK_INT(size, size_there);
    CHECK(memcmp(digest, digest_there, sizeof digest) == 0);
}

/* First line that a command says; false when it ends badly. */
PIXL_PRINTF(3, 4)
static bool run(char *out, size_t n, const char *fmt, ...)
{
    char cmd[2048];
    va_list ap;
    out[0] = '\0';
    va_start(ap, fmt);
    (void)vsnprintf(cmd, sizeof cmd, fmt, ap);
    va_end(ap);
    FILE *p = popen(cmd, "r");
    REQUIRE(p != NULL);
    if (fgets(out, (int)n, p) != NULL)
        out[strcspn(out, "\n")] = '\0';
    return pclose(p) == 0;
}

static void check_readers(const char *path, const struct said *s)
{
    char want[128], got[256];
    (void)snprintf(want, sizeof want, "%llu %llu %08x", (unsigned long long)s->n, (unsigned long long)s->bytes, s->crc);
    CHECK(run(got, sizeof got, "python3 '%s' '%s' 2>&1", PIXL_SOURCE_DIR "/tests/unit/upload/read_zip.py", path));
    CHECK_STR(str_of(got), want);
    if (s->n > 0)
        CHECK(run(got, sizeof got, "unzip -tqq '%s' 2>&1", path));
}

static bool has_java(void)
{
    char got[256];
    return run(got, sizeof got, "java -version 2>&1");
}

static void check_java(const char *path, const struct said *s)
{
    char want[128], got[256];
    (void)snprintf(want, sizeof want, "%llu %llu %08x", (unsigned long long)s->n, (unsigned long long)s->bytes, s->crc);
    CHECK(run(got, sizeof got, "java '%s' '%s' 2>&1", PIXL_SOURCE_DIR "/tests/unit/upload/ReadZip.java", path));
    CHECK_STR(str_of(got), want);
}

static size_t count_files(const char *path)
{
    DIR *d = opendir(path);
    REQUIRE(d != NULL);
    size_t n = 0;
    for (struct dirent *e; (e = readdir(d)) != NULL; )
        n += strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0;
    (void)closedir(d);
    return n;
}

static const struct { const char *name; size_t n; bool is_noise, stored; } mixed[] = {
    { "1.2/1.2.1/1.2.1.1.dcm", 500000, false, false },
    { "1.2/1.2.1/1.2.1.2.dcm", 500001, true, false },
    { "1.2/1.2.1/1.2.1.3.dcm", 70000, false, true },
    { "1.2/1.2.2/empty.dcm", 0, false, false },
    { "1.2/1.2.2/empty-stored.dcm", 0, false, true },
    { "1.2/1.2.2/byte.dcm", 1, false, false },
    { "1.2/1.2.2/two.dcm", 2, false, false },
    { "1.2/1.2.2/block.dcm", 1 << 20, true, true },
    { "1.2/1.2.2/block-and-one.dcm", (1 << 20) + 1, true, true },
    { "1.2/1.2.2/three-megabytes.dcm", 3 << 20, false, true },
};

static struct said write_mixed(const char *path, int level)
{
    struct said s = { 0 };
    zip_auto *z = NULL;
    REQUIRE_OK(zip_new(path, "1", level, &z, &err), err);
    for (size_t i = 0; i < ARRAY_LEN(mixed); i++) {
        uint8_t *p = make_bytes(mixed[i].n, mixed[i].is_noise);
        CHECK_OK(add(z, mixed[i].name, p, mixed[i].n, mixed[i].stored), err);
        note(&s, mixed[i].name, p, mixed[i].n);
        free(p);
    }
    commit(PIXL_STEAL(&z), path);
    return s;
}

static void test_zip__every_level_is_read_by_others(void)
{
    for (int level = 0; level <= 12; level++) {
        test_row("level %d", level);
        struct said s = write_mixed(test_path("a.zip"), level);
        check_readers(test_path("a.zip"), &s);
        CHECK_INT(count_files(test_dir()), 1);
    }
    struct zip *z = NULL;
    CHECK_FAILS(zip_new(test_path("b.zip"), "1", 13, &z, &err), err, PIXL_E_INVALID);
    CHECK_FAILS(zip_new(test_path("b.zip"), "1", -1, &z, &err), err, PIXL_E_INVALID);
    CHECK_FAILS(zip_new(test_path("no/such/b.zip"), "1", 1, &z, &err), err, PIXL_E_NOT_FOUND);
    CHECK(z == NULL);
}

static void test_zip__without_entries_is_a_zip(void)
{
    struct said s = { 0 };
    zip_auto *z = NULL;
    REQUIRE_OK(zip_new(test_path("a.zip"), "1", 1, &z, &err), err);
    commit(PIXL_STEAL(&z), test_path("a.zip"));
    check_readers(test_path("a.zip"), &s);
}

static void test_zip__java_reads_it_as_a_stream(void)
{
    if (!has_java())
        test_skip("no java");
    struct said s = write_mixed(test_path("a.zip"), 0);
    check_java(test_path("a.zip"), &s);
    s = write_mixed(test_path("b.zip"), 1);
    check_java(test_path("b.zip"), &s);
}

static void test_zip__same_input_same_bytes(void)
{
    uint8_t a[32], b[32];
    (void)write_mixed(test_path("a.zip"), 6);
    (void)write_mixed(test_path("b.zip"), 6);
    REQUIRE_OK(fs_digest(test_path("a.zip"), a, NULL, &err), err);
    REQUIRE_OK(fs_digest(test_path("b.zip"), b, NULL, &err), err);
    CHECK(memcmp(a, b, sizeof a) == 0);
}

static void test_zip__large_entries_are_passed_in_blocks(void)
{
    static const struct { const char *name; bool is_noise, stored; } rows[] = {
        { "deflates", false, false }, { "does-not-shrink", true, false }, { "stored", false, true },
    };
    const size_t size = (18 << 20) + 12345;
    for (int level = 0; level <= 1; level++) {
        struct said s = { 0 };
        zip_auto *z = NULL;
        REQUIRE_OK(zip_new(test_path("a.zip"), "1", level, &z, &err), err);
        for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
            test_row("level %d, %s", level, rows[i].name);
            uint8_t *p = make_bytes(size, rows[i].is_noise);
            REQUIRE_OK(fs_write_whole(test_path("source"), (struct str){ (const char *)p, size }, 0600, &err), err);
            int fd = open(test_path("source"), O_RDONLY | O_CLOEXEC);
            struct dicom_source source;
            struct dicom_plan plan = plan_of(p, size);
            REQUIRE_OK(dicom_source_fd(fd, &source, &err), err);
            CHECK_OK(zip_add(z, rows[i].name, &plan, &source, rows[i].stored, &err), err);
            (void)close(fd);
            note(&s, rows[i].name, p, size);
            free(p);
            CHECK_INT(count_files(test_dir()), 2 + level);       /* no other file to be seen */
        }
        commit(PIXL_STEAL(&z), test_path("a.zip"));
        check_readers(test_path("a.zip"), &s);
        if (level == 1 && has_java())
            check_java(test_path("a.zip"), &s);
    }
}

static void test_zip__seventy_thousand_entries(void)
{
    struct said s = { 0 };
    zip_auto *z = NULL;
    char name[64];
    REQUIRE_OK(zip_new(test_path("a.zip"), "1", 1, &z, &err), err);
    for (int i = 0; i < 70000; i++) {
        (void)snprintf(name, sizeof name, "2.25.1/2.25.2/2.25.%d.dcm", i);
        if (!add(z, name, name, 20, false)) {
            CHECK_OK(false, err);
            break;
        }
        note(&s, name, name, 20);
        arena_reset(&arena);
    }
    commit(PIXL_STEAL(&z), test_path("a.zip"));
    check_readers(test_path("a.zip"), &s);
    if (has_java())
        check_java(test_path("a.zip"), &s);
}

/* The number that says "see the zip64 record" by itself. */
static void test_zip__as_many_entries_as_sixteen_bits_hold(void)
{
    struct said s = { 0 };
    zip_auto *z = NULL;
    char name[64];
    REQUIRE_OK(zip_new(test_path("a.zip"), "1", 0, &z, &err), err);
    for (int i = 0; i < 65535; i++) {
        (void)snprintf(name, sizeof name, "%d", i);
        REQUIRE_OK(add(z, name, name, 1, false), err);
        note(&s, name, name, 1);
        arena_reset(&arena);
    }
    commit(PIXL_STEAL(&z), test_path("a.zip"));
    check_readers(test_path("a.zip"), &s);
}

/* A stored entry of more than 4 GiB, and a small one behind it, whose offset is beyond 32 bits; and one that deflates. */
static void test_zip__more_than_four_gibibytes(void)
{
    const uint64_t size = (UINT64_C(4) << 30) + 4097;
    int fd = open(test_path("sparse"), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    REQUIRE(fd >= 0 && ftruncate(fd, (off_t)size) == 0 && pwrite(fd, "end", 3, (off_t)size - 3) == 3);
    struct dicom_source source;
    struct dicom_plan plan;
    REQUIRE_OK(dicom_source_fd(fd, &source, &err), err);
    dicom_plan_init(&plan, &arena);
    REQUIRE_OK(dicom_plan_range(&plan, 0, size, &err), err);
    struct said s = { 0 };
    zip_auto *z = NULL;
    uint8_t *zeros = calloc(1, 1 << 20);
    REQUIRE(zeros != NULL);
    REQUIRE_OK(zip_new(test_path("a.zip"), "1", 1, &z, &err), err);
    for (int i = 0; i < 2; i++) {
        CHECK_OK(zip_add(z, i ? "deflated" : "stored", &plan, &source, i == 0, &err), err);
        s.crc = (uint32_t)crc32_z(s.crc, (const uint8_t *)(i ? "deflated" : "stored"), i ? 8 : 6);
        for (uint64_t left = size - 3; left > 0; ) {
            size_t some = left < 1 << 20 ? (size_t)left : 1 << 20;
            s.crc = (uint32_t)crc32_z(s.crc, zeros, some);
            left -= some;
        }
        s.crc = (uint32_t)crc32_z(s.crc, (const uint8_t *)"end", 3);
        s.n++;
        s.bytes += size;
    }
    CHECK_OK(add(z, "behind", "abc", 3, false), err);
    note(&s, "behind", "abc", 3);
    commit(PIXL_STEAL(&z), test_path("a.zip"));
    check_readers(test_path("a.zip"), &s);
    if (has_java())
        check_java(test_path("a.zip"), &s);
    free(zeros);
    (void)close(fd);
}

static void test_add__names_are_checked(void)
{
    static const char *const bad[] = {
        "", "/a", "a/", "a//b", ".", "..", "../a", "a/../b", "a/./b", "a b", "a\\b", "a\nb", "\xc3\xa4", "a:b", "a*",
    };
    zip_auto *z = NULL;
    REQUIRE_OK(zip_new(test_path("a.zip"), "1", 1, &z, &err), err);
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        test_row("'%s'", bad[i]);
        CHECK_FAILS(add(z, bad[i], "x", 1, false), err, PIXL_E_INVALID);
    }
    char longest[513 + 1];
    memset(longest, 'a', sizeof longest);
    longest[513] = '\0';
    CHECK_FAILS(add(z, longest, "x", 1, false), err, PIXL_E_INVALID);
    CHECK_OK(add(z, longest + 1, "x", 1, false), err);
    CHECK_OK(add(z, "a", "x", 1, false), err);
    CHECK_FAILS(add(z, "a", "x", 1, false), err, PIXL_E_EXISTS);
    CHECK_OK(add(z, "a/b", "x", 1, false), err);
    CHECK_FAILS(add(z, longest + 1, "y", 1, false), err, PIXL_E_EXISTS);
    struct said s = { 0 };
    note(&s, longest + 1, "x", 1);
    note(&s, "a", "x", 1);
    note(&s, "a/b", "x", 1);
    commit(PIXL_STEAL(&z), test_path("a.zip"));
    check_readers(test_path("a.zip"), &s);
}

static void test_add__a_file_that_shrank_leaves_the_zip_usable(void)
{
    static const struct { const char *name; size_t size; bool stored; } rows[] = {
        { "small", 100000, false }, { "large stored", 20 << 20, true }, { "large deflated", 20 << 20, false },
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        test_row("%s", rows[i].name);
        uint8_t *p = make_bytes(rows[i].size, false);
        REQUIRE_OK(fs_write_whole(test_path("source"), (struct str){ (const char *)p, rows[i].size }, 0600, &err), err);
        int fd = open(test_path("source"), O_RDWR | O_CLOEXEC);
        struct dicom_source source;
        struct dicom_plan plan = plan_of(p, rows[i].size);
        REQUIRE_OK(dicom_source_fd(fd, &source, &err), err);
        REQUIRE(ftruncate(fd, (off_t)rows[i].size / 2) == 0);
        struct said s = { 0 };
        zip_auto *z = NULL;
        REQUIRE_OK(zip_new(test_path("a.zip"), "1", 1, &z, &err), err);
        CHECK_OK(add(z, "before", "abc", 3, false), err);
        CHECK_FAILS(zip_add(z, "it", &plan, &source, rows[i].stored, &err), err, PIXL_E_CORRUPT);
        CHECK_OK(add(z, "it", "def", 3, false), err);
        note(&s, "before", "abc", 3);
        note(&s, "it", "def", 3);
        commit(PIXL_STEAL(&z), test_path("a.zip"));
        check_readers(test_path("a.zip"), &s);
        (void)close(fd);
        free(p);
    }
}

static unsigned reads;

/* Says something else from its 31st read on: in the second of two passes of 20. */
static bool read_fickle(const struct dicom_source *s, void *p, size_t n, uint64_t offset, struct pixl_error *e)
{
    (void)s; (void)offset; (void)e;
    memset(p, reads++ < 30 ? 'a' : 'b', n);
    return true;
}

static void test_add__a_file_that_changes_while_it_is_read_breaks_the_zip(void)
{
    struct dicom_source source = { .read = read_fickle, .size_bytes = 20 << 20, .fd = -1 };
    struct dicom_plan plan;
    dicom_plan_init(&plan, &arena);
    REQUIRE_OK(dicom_plan_range(&plan, 0, 20 << 20, &err), err);
    for (int how = 0; how < 2; how++) {
        zip_auto *z = NULL;
        reads = 0;
        REQUIRE_OK(zip_new(test_path("a.zip"), "1", 1, &z, &err), err);
        CHECK_OK(add(z, "before", "abc", 3, false), err);
        CHECK_FAILS(zip_add(z, "it", &plan, &source, true, &err), err, PIXL_E_CORRUPT);
        CHECK_FAILS(add(z, "next", "def", 3, false), err, PIXL_E_INTERNAL);
        uint64_t size = 77;
        uint8_t digest[32];
        if (how == 0)
            CHECK_FAILS(zip_commit(PIXL_STEAL(&z), &size, digest, &err), err, PIXL_E_INTERNAL);
        else
            zip_abandon(PIXL_STEAL(&z));
        CHECK_INT(size, 77);
        CHECK_INT(count_files(test_dir()), 0);
    }
}

static void test_zip__abandoned_leaves_nothing_and_keeps_what_was_there(void)
{
    REQUIRE_OK(fs_write_whole(test_path("a.zip"), STR("older"), 0600, &err), err);
    struct zip *z = NULL;
    REQUIRE_OK(zip_new(test_path("a.zip"), "7", 1, &z, &err), err);
    CHECK_OK(add(z, "a", "abc", 3, false), err);
    CHECK(fs_exists(test_path(".a.zip.7.part")));
    zip_abandon(z);
    zip_abandon(NULL);
    CHECK_INT(count_files(test_dir()), 1);
    struct str text;
    REQUIRE_OK(fs_read_whole(&arena, test_path("a.zip"), 100, &text, &err), err);
    CHECK_STR(text, "older");
}

/* In a mount namespace of our own. */
static bool mount_small(const char *path)
{
    char map[64];
    uid_t uid = getuid();
    if (mkdir(path, 0700) != 0)
        return false;
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
    return mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 && mount("tmpfs", path, "tmpfs", 0, "size=3m") == 0;
}

static void test_zip__full_disk_leaves_nothing(void)
{
    if (!mount_small(test_path("small")))
        test_skip("this system lets us mount no tmpfs: errno %d", errno);
    static const struct { const char *name; size_t size; bool stored; } rows[] = {
        { "many small entries", 100000, true },
        { "one buffered entry", 4 << 20, true },
        { "a large stored entry", 17 << 20, true },
        { "a large deflated entry, full in its nameless file", 17 << 20, false },
        { "less than the output buffer: full at the end", 900000, true },
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        test_row("%s", rows[i].name);
        uint8_t *p = make_bytes(rows[i].size, true);
        zip_auto *z = NULL;
        uint64_t size;
        uint8_t digest[32];
        char name[32];
        bool ok = true;
        if (i == 4)
            REQUIRE_OK(fs_write_whole(test_path("small/filler"), (struct str){ (const char *)p, 900000 }, 0600, &err), err);
        for (int copy = 0; i == 4 && copy < 2; copy++) {
            (void)snprintf(name, sizeof name, "small/f%d", copy);
            REQUIRE_OK(fs_write_whole(test_path(name), (struct str){ (const char *)p, 900000 }, 0600, &err), err);
        }
        REQUIRE_OK(zip_new(test_path("small/a.zip"), "1", 1, &z, &err), err);
        for (int k = 0; ok && k < (i == 0 ? 100 : 1); k++) {
            (void)snprintf(name, sizeof name, "%d", k);
            ok = add(z, name, p, rows[i].size, rows[i].stored);
        }
        if (ok)
            ok = zip_commit(PIXL_STEAL(&z), &size, digest, &err);
        CHECK_FAILS(ok, err, PIXL_E_NO_SPACE);
        zip_abandon(PIXL_STEAL(&z));
        CHECK_INT(count_files(test_path("small")), i == 4 ? 3 : 0);
        free(p);
    }
    CHECK(umount(test_path("small")) == 0);
}

int main(int argc, char **argv)
{
    static const struct test_case tests[] = {
        TEST(test_zip__every_level_is_read_by_others),
        TEST(test_zip__without_entries_is_a_zip),
        TEST(test_zip__java_reads_it_as_a_stream),
        TEST(test_zip__same_input_same_bytes),
        TEST(test_zip__large_entries_are_passed_in_blocks),
        TEST(test_zip__seventy_thousand_entries),
        TEST(test_zip__as_many_entries_as_sixteen_bits_hold),
        TEST(test_add__names_are_checked),
        TEST(test_add__a_file_that_shrank_leaves_the_zip_usable),
        TEST(test_add__a_file_that_changes_while_it_is_read_breaks_the_zip),
        TEST(test_zip__abandoned_leaves_nothing_and_keeps_what_was_there),
        TEST(test_zip__full_disk_leaves_nothing),
        TEST(test_zip__more_than_four_gibibytes),        /* writes 4 GiB: only when there is time */
    };
    arena_init(&arena, 256 << 20);
    test_timeout_s = 600;
    return test_main(argc, argv, tests, ARRAY_LEN(tests) - (getenv("PIXL_TEST_LONG") ? 0 : 1));
}
