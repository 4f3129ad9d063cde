#include "upload/zip.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fs.h"
#include "fault.h"
#include "test.h"

static struct pixl_error err;

static size_t count_files(void)
{
    DIR *d = opendir(test_dir());
    REQUIRE(d != NULL);
    size_t n = 0;
    for (struct dirent *e; (e = readdir(d)) != NULL; )
        n += strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0;
    (void)closedir(d);
    return n;
}

/* Many small entries, so that all lists grow, and a large one of each kind. */
static bool write_zip(const struct dicom_plan *small, const struct dicom_plan *large, const struct dicom_source *source,
                      uint64_t *size, uint8_t digest[32])
{
    struct zip *z = NULL;
    if (!zip_new(test_path("a.zip"), "1", 1, &z, &err)) {
        CHECK(z == NULL);
        return false;
    }
    bool ok = true;
    for (int i = 0; ok && i < 130; i++) {
        const char name[] = { 'a', (char)('0' + i / 100), (char)('0' + i / 10 % 10), (char)('0' + i % 10), '\0' };
        ok = zip_add(z, name, small, source, i % 2 == 0, &err);
    }
    ok = ok && zip_add(z, "stored", large, source, true, &err) && zip_add(z, "deflated", large, source, false, &err);
    if (ok)
        return zip_commit(z, size, digest, &err);
    zip_abandon(z);
    return false;
}

static void test_zip__each_allocation_fails_once(void)
{
    const size_t size = (16 << 20) + 1;
    uint8_t *p = calloc(1, size);
    REQUIRE(p != NULL);
    struct arena arena;
    arena_init(&arena, 1 << 20);
    struct dicom_source source = dicom_source_bytes(p, size);
    struct dicom_plan small, large;
    dicom_plan_init(&small, &arena);
    dicom_plan_init(&large, &arena);
    REQUIRE_OK(dicom_plan_range(&small, 0, 1000, &err), err);
    REQUIRE_OK(dicom_plan_range(&large, 0, size, &err), err);
    long n;
    for (n = 0; n < 10000; n++) {
        uint64_t zip_size = 77;
        uint8_t digest[32] = { 1 }, want[32];
        fault_alloc_after(n);
        bool ok = write_zip(&small, &large, &source, &zip_size, digest);
        bool reached = fault_alloc_stop();
        test_row("allocation %ld", n);
        CHECK(ok || reached);
        CHECK(ok ? err.code == PIXL_OK : err.code == PIXL_E_NOMEM);
        pixl_error_clear(&err);
        CHECK_INT(count_files(), ok);
        if (ok) {
            REQUIRE_OK(fs_digest(test_path("a.zip"), want, NULL, &err), err);
            CHECK(memcmp(want, digest, sizeof want) == 0);
            REQUIRE(unlink(test_path("a.zip")) == 0);
        } else {
            CHECK(zip_size == 77 && digest[0] == 1);
        }
        if (!reached)
            break;
    }
    CHECK(n > 15);
    arena_done(&arena);
    free(p);
}

int main(int argc, char **argv)
{
    static const struct test_case tests[] = { TEST(test_zip__each_allocation_fails_once) };
    return test_main(argc, argv, tests, ARRAY_LEN(tests));
}
