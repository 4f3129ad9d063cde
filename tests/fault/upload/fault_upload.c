#include "upload/upload.h"

#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fs.h"
#include "fault.h"
#include "test.h"

static struct pixl_error err;

/* In the project's folder; parts of files are counted in *parts. */
static size_t count_files(const char *path, size_t *parts)
{
    DIR *d = opendir(path);
    size_t n = 0;
    *parts = 0;
    if (d == NULL)
        return 0;
    for (struct dirent *e; (e = readdir(d)) != NULL; ) {
        n += strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0;
        *parts += strstr(e->d_name, ".part") != NULL;
    }
    (void)closedir(d);
    return n;
}

static bool deliver(const struct project *p, struct secrets *s, const struct upload_study *z)
{
    upload_auto *u = NULL;
    if (!upload_open(p, false, &(struct upload_options){ .secrets = s, .writer = "w1" }, &u, &err)) {
        CHECK(u == NULL);
        return false;
    }
    return upload_check(u, &err) && upload_check_key(u, STR("key"), &err) && upload_study(u, z, &err) &&
           upload_table(u, STR("then"), z->zip_path, "omop/public/X.parquet", &err);
}

static void test_upload__each_allocation_fails_once(void)
{
    REQUIRE(mkdir(test_path("dest"), 0700) == 0);
    char text[700];
    (void)snprintf(text, sizeof text, "p--directory--path=%s/dest\n", test_dir());
    REQUIRE_OK(fs_write_whole(test_path("secrets.env"), str_of(text), 0600, &err), err);
    REQUIRE_OK(fs_write_whole(test_path("z"), STR("content"), 0600, &err), err);
    (void)snprintf(text, sizeof text, "file:%s/secrets.env", test_dir());
    char zip[700];
    (void)snprintf(zip, sizeof zip, "%s/z", test_dir());
    struct project p = { .name = "P", .slug = STR("p"), .secrets_prefix = STR("p"),
                         .dicom_destination = PROJECT_TO_DIRECTORY, .parquet_destination = PROJECT_TO_DIRECTORY };
    struct upload_study z = { .zip_path = zip, .pseudo_study_uid = "2.25.1", .fence = 100 };
    REQUIRE_OK(fs_digest(z.zip_path, z.digest, &z.size_bytes, &err), err);
    long n;
    for (n = 0; n < 10000; n++) {
        secrets_auto *s = NULL;
        REQUIRE_OK(secrets_open(text, NULL, &s, &err), err);
        fault_alloc_after(n);
        bool ok = deliver(&p, s, &z);
        bool reached = fault_alloc_stop();
        test_row("allocation %ld", n);
        CHECK(ok || reached);
        CHECK(ok ? err.code == PIXL_OK : err.code == PIXL_E_NOMEM);
        pixl_error_clear(&err);
        size_t parts;
        size_t files = count_files(test_path("dest/p"), &parts);
        CHECK_INT(parts, 0);
        if (ok)
            CHECK_INT(files, 3);         /* marker, zip, folder of tables */
        if (fs_exists(test_path("dest/p/2.25.1.zip"))) {
            uint8_t digest[32];
            REQUIRE_OK(fs_digest(test_path("dest/p/2.25.1.zip"), digest, NULL, &err), err);
            CHECK(memcmp(digest, z.digest, sizeof digest) == 0);
        }
        REQUIRE_OK(fs_remove_tree(test_path("dest/p"), &err), err);
        if (!reached)
            break;
    }
    CHECK(n > 15);
}

int main(int argc, char **argv)
{
    static const struct test_case tests[] = { TEST(test_upload__each_allocation_fails_once) };
    return test_main(argc, argv, tests, ARRAY_LEN(tests));
}
