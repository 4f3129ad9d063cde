#include "upload/zip_read.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <zlib.h>

#include "base/arena.h"
#include "base/fs.h"
#include "test.h"
#include "upload/zip.h"

enum { BIG = 200000 };

static void put(struct buf *b, uint64_t v, size_t n)
{
    for (size_t i = 0; i < n; i++)
        (void)buf_add_char(b, (char)(v >> 8 * i));
}

/* A zip of one stored entry by hand; zip64: its sizes and place stand in the extra field and the zip64 end. */
static void make_stored(struct buf *b, const char *name, const char *text, bool zip64, const char *comment)
{
    size_t n = strlen(text), n_name = strlen(name), central;
    uint32_t crc = (uint32_t)crc32_z(0, (const unsigned char *)text, n);
    buf_init(b, 1 << 20);
    put(b, 0x04034B50, 4);
    put(b, 10, 2), put(b, 0, 2), put(b, 0, 2), put(b, 0, 4), put(b, crc, 4);
    put(b, n, 4), put(b, n, 4), put(b, n_name, 2), put(b, 0, 2);
    (void)buf_add_cstr(b, name);
    (void)buf_add_cstr(b, text);
    central = b->n;
    put(b, 0x02014B50, 4);
    put(b, 45, 2), put(b, 45, 2), put(b, 0, 2), put(b, 0, 2), put(b, 0, 4), put(b, crc, 4);
    put(b, zip64 ? UINT32_MAX : n, 4), put(b, zip64 ? UINT32_MAX : n, 4);
    put(b, n_name, 2), put(b, zip64 ? 28 + 5 : 0, 2), put(b, 0, 2), put(b, 0, 2), put(b, 0, 2), put(b, 0, 4);
    put(b, zip64 ? UINT32_MAX : 0, 4);
    (void)buf_add_cstr(b, name);
    if (zip64) {
        put(b, 0x7777, 2), put(b, 1, 2), put(b, 0, 1); /* somebody else's extra field before ours */
        put(b, 1, 2), put(b, 24, 2), put(b, n, 8), put(b, n, 8), put(b, 0, 8);
    }
    size_t bytes = b->n - central, end64 = b->n;
    if (zip64) {
        put(b, 0x06064B50, 4), put(b, 44, 8), put(b, 45, 2), put(b, 45, 2), put(b, 0, 4), put(b, 0, 4);
        put(b, 1, 8), put(b, 1, 8), put(b, bytes, 8), put(b, central, 8);
        put(b, 0x07064B50, 4), put(b, 0, 4), put(b, end64, 8), put(b, 1, 4);
    }
    put(b, 0x06054B50, 4), put(b, 0, 2), put(b, 0, 2), put(b, zip64 ? UINT16_MAX : 1, 2),
        put(b, zip64 ? UINT16_MAX : 1, 2);
    put(b, zip64 ? UINT32_MAX : bytes, 4), put(b, zip64 ? UINT32_MAX : central, 4), put(b, strlen(comment), 2);
    (void)buf_add_cstr(b, comment);
    REQUIRE(!b->failed);
}

/* Thousands of times: without the fsync of fs_write_whole(). */
static void save(struct str bytes)
{
    struct pixl_error err = { 0 };
    int fd = open(test_path("z.zip"), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    REQUIRE(fd >= 0);
    REQUIRE_OK(fs_write_all(fd, bytes.p, bytes.n, &err), err);
    REQUIRE(close(fd) == 0);
}

static void check_written_to_a_file(struct zip_read *z, const char *name, struct str want)
{
    struct pixl_error err = { 0 };
    struct arena a;
    struct str got;
    arena_init(&a, 1 << 20);
    int fd = open(test_path("out"), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    REQUIRE(fd >= 0);
    REQUIRE_OK(zip_read_to(z, zip_read_find(z, name), fd, &err), err);
    (void)close(fd);
    REQUIRE_OK(fs_read_whole(&a, test_path("out"), 1 << 19, &got, &err), err);
    CHECK(str_eq(got, want));
    arena_done(&a);
}

static void test_zip_read__reads_what_the_writer_wrote(void)
{
    static const int levels[] = { 0, 1, 9 };
    for (size_t i = 0; i < ARRAY_LEN(levels); i++) {
        struct pixl_error err = { 0 };
        struct arena a;
        struct dicom_plan plan;
        const struct dicom_source none = dicom_source_bytes("", 0);
        uint64_t size;
        uint8_t digest[32];
        char *big = malloc(BIG);
        REQUIRE(big != NULL);
        for (size_t k = 0; k < BIG; k++)
            big[k] = (char)(k % 251);
        arena_init(&a, 1 << 20);
        zip_auto *w = NULL;
        test_row("level %d", levels[i]);
        REQUIRE_OK(zip_new(test_path("w.zip"), "1", levels[i], &w, &err), err);
        dicom_plan_init(&plan, &a);
        REQUIRE_OK(dicom_plan_bytes(&plan, big, BIG, &err), err);
        REQUIRE_OK(zip_add(w, "a/big.dcm", &plan, &none, false, &err), err);
        dicom_plan_init(&plan, &a);
        REQUIRE_OK(dicom_plan_bytes(&plan, "small", 5, &err), err);
        REQUIRE_OK(zip_add(w, "a/small.dcm", &plan, &none, true, &err), err);
        REQUIRE_OK(zip_commit(PIXL_STEAL(&w), &size, digest, &err), err);

        zip_read_auto *z = NULL;
        struct str got;
        REQUIRE_OK(zip_read_open(test_path("w.zip"), &z, &err), err);
        CHECK_INT(zip_read_count(z), 2);
        REQUIRE_OK(zip_read_bytes(z, zip_read_find(z, "a/big.dcm"), &got, &err), err);
        CHECK(str_eq(got, (struct str){ big, BIG }));
        REQUIRE_OK(zip_read_bytes(z, zip_read_entry(z, 1), &got, &err), err);
        CHECK_STR(got, "small");
        CHECK(zip_read_find(z, "a/none.dcm") == NULL);
        check_written_to_a_file(z, "a/big.dcm", (struct str){ big, BIG });
        check_written_to_a_file(z, "a/small.dcm", STR("small"));
        arena_done(&a);
        free(big);
    }
}

static void test_zip_read__reads_zip64_and_comments(void)
{
    static const struct {
        const char *name;
        bool zip64;
        const char *comment;
    } rows[] = {
        { "plain", false, "" },
        { "comment", false, "PK\5\6 is not the end" },
        { "zip64", true, "" },
        { "both", true, "hello" },
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct pixl_error err = { 0 };
        buf_auto b;
        zip_read_auto *z = NULL;
        struct str got;
        test_row("%s", rows[i].name);
        make_stored(&b, "one.dcm", "the text", rows[i].zip64, rows[i].comment);
        save(buf_str(&b));
        REQUIRE_OK(zip_read_open(test_path("z.zip"), &z, &err), err);
        CHECK_STR(str_of(zip_read_entry(z, 0)->name), "one.dcm");
        REQUIRE_OK(zip_read_bytes(z, zip_read_entry(z, 0), &got, &err), err);
        CHECK_STR(got, "the text");
    }
}

/* Every damage is refused when opened or read, or changes nothing that is read: wrong bytes never come out as right. */
static void check_damaged(struct str bytes, bool must_fail)
{
    struct pixl_error err = { 0 };
    zip_read_auto *z = NULL;
    struct str got;
    save(bytes);
    bool ok = zip_read_open(test_path("z.zip"), &z, &err);
    if (ok && zip_read_count(z) == 1)
        ok = zip_read_bytes(z, zip_read_entry(z, 0), &got, &err);
    if (ok && zip_read_count(z) == 1)
        CHECK_STR(got, "the text");
    CHECK(ok || err.code == PIXL_E_CORRUPT || err.code == PIXL_E_LIMIT || err.code == PIXL_E_UNSUPPORTED);
    CHECK(!ok || !must_fail);
}

static void test_zip_read__refuses_what_is_damaged(void)
{
    for (int zip64 = 0; zip64 < 2; zip64++) {
        buf_auto b;
        make_stored(&b, "one.dcm", "the text", zip64, "");
        for (size_t n = 0; n < b.n; n++) {
            test_row("zip64 %d cut to %zu", zip64, n);
            check_damaged((struct str){ b.p, n }, true);
        }
        for (size_t i = 0; i < b.n; i++) {
            const int masks[] = { 1 << i % 8, 0xFF };
            for (size_t k = 0; k < ARRAY_LEN(masks); k++) {
                test_row("zip64 %d byte %zu xor %d", zip64, i, masks[k]);
                b.p[i] = (char)(b.p[i] ^ masks[k]);
                check_damaged(buf_str(&b), false);
                b.p[i] = (char)(b.p[i] ^ masks[k]);
            }
        }
    }
}

static void test_zip_read__tells_missing_and_links_apart(void)
{
    struct pixl_error err = { 0 };
    zip_read_auto *z = NULL;
    buf_auto b;
    CHECK_FAILS(zip_read_open(test_path("none.zip"), &z, &err), err, PIXL_E_NOT_FOUND);
    make_stored(&b, "one.dcm", "the text", false, "");
    save(buf_str(&b));
    REQUIRE_OK(fs_replace_link(test_path("link.zip"), "z.zip", &err), err);
    CHECK_FAILS(zip_read_open(test_path("link.zip"), &z, &err), err, PIXL_E_IO);
}

int main(int argc, char **argv)
{
    static const struct test_case tests[] = {
        TEST(test_zip_read__reads_what_the_writer_wrote),
        TEST(test_zip_read__reads_zip64_and_comments),
        TEST(test_zip_read__refuses_what_is_damaged),
        TEST(test_zip_read__tells_missing_and_links_apart),
    };
    return test_main(argc, argv, tests, ARRAY_LEN(tests));
}
