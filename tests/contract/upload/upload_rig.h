/* upload_rig.h - destinations that hold files, and what they hold, for the suites of tests/contract/upload. */
#ifndef PIXL_TEST_UPLOAD_RIG_H
#define PIXL_TEST_UPLOAD_RIG_H

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/hash.h"
#include "config/settings.h"
#include "ftpd.h"
#include "test.h"
#include "upload/upload.h"

#define UID "2.25.123456789"
#define ZIP "my-project/" UID ".zip"

static struct pixl_error err;
static struct arena arena;

/* A project whose destination is this FTPS server; *ca has room for the path of its CA. */
static inline struct project project_to_ftps(const struct ftpd *f, char (*ca)[300])
{
    (void)snprintf(*ca, sizeof *ca, "%s/ca.pem", f->certs);
    return (struct project){ .name = "My project",
                             .slug = STR("my-project"),
                             .secrets_prefix = STR("my-prefix"),
                             .dicom_destination = PROJECT_TO_FTPS,
                             .parquet_destination = PROJECT_TO_FTPS,
                             .ftps = { .ca_file = *ca, .max_connections = 4 } };
}

/* secrets, which may be NULL, are taken over: they live as long as the test. */
static inline struct upload *open_project(const struct project *p, struct secrets *secrets, const char *writer,
                                          int64_t timeout_s)
{
    static struct kept {
        struct kept *next;
        struct secrets *secrets;
    } * kept;
    struct kept *k = malloc(sizeof *k);
    REQUIRE(k != NULL);
    *k = (struct kept){ kept, secrets };
    kept = k;
    struct upload *u = NULL;
    static struct settings settings;
    settings.ftps_timeout_s = timeout_s;
    struct upload_options o = { .secrets = secrets, .writer = writer, .settings = &settings };
    REQUIRE_OK(upload_open(p, false, &o, &u, &err), err);
    return u;
}

/* A zip in the spool, and what the store knows of it. */
static inline struct upload_study spool_bytes(const void *p, size_t n, int64_t fence)
{
    static char path[1024];
    (void)snprintf(path, sizeof path, "%s/spool.zip", test_dir());
    REQUIRE_OK(fs_write_whole(path, (struct str){ p, n }, 0600, &err), err);
    struct upload_study z = { .zip_path = path, .pseudo_study_uid = UID, .fence = fence };
    REQUIRE_OK(fs_digest(z.zip_path, z.digest, &z.size_bytes, &err), err);
    return z;
}

static inline struct upload_study spool(const char *text, int64_t fence)
{
    return spool_bytes(text, strlen(text), fence);
}

static inline void check_content(const char *path, const char *want)
{
    struct str text = { 0 };
    if (CHECK_OK(fs_read_whole(&arena, path, 1 << 20, &text, &err), err))
        CHECK_STR(text, want);
}

static inline void check_digest(const char *path, const struct upload_study *z)
{
    uint8_t digest[HASH_SHA256_BYTES];
    uint64_t size;
    if (CHECK_OK(fs_digest(path, digest, &size, &err), err))
        CHECK(size == z->size_bytes && memcmp(digest, z->digest, sizeof digest) == 0);
}

/* Entries of a folder; those that are parts in *parts, which may be NULL.  0 when it is not there. */
static inline size_t count_entries(const char *path, size_t *parts)
{
    DIR *d = opendir(path);
    size_t n = 0, under_way = 0;
    for (struct dirent *e; d != NULL && (e = readdir(d)) != NULL;) {
        n += strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0;
        under_way += strstr(e->d_name, ".part") != NULL;
    }
    if (d != NULL)
        (void)closedir(d);
    if (parts != NULL)
        *parts = under_way;
    return n;
}

#endif
