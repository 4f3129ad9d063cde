/* dicomweb_rig.h - a destination at support/anon_stand_in.py, and a zip to deliver; for one test program each. */
#ifndef PIXL_TEST_DICOMWEB_RIG_H
#define PIXL_TEST_DICOMWEB_RIG_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/fs.h"
#include "python_server.h"
#include "test.h"
#include "upload/upload.h"
#include "upload/zip.h"

static struct python_server anon_server;
static int anon_port;
static struct settings settings;
static struct project web = { .name = "P", .slug = { "p", 1 }, .secrets_prefix = { "p", 1 }, .dicom_destination = PROJECT_TO_DICOMWEB,
                              .parquet_destination = PROJECT_TO_NONE };

static void anon_start(void)
{
    char ready[64];
    python_server_start(&anon_server, "anon_stand_in.py", ready, sizeof ready);
    if (sscanf(ready, "%d", &anon_port) != 1)
        printf("anon_stand_in.py: what is '%s'?\n", ready);
}

static const char *anon_do(const char *command)
{
    const char *answer = python_server_ask(&anon_server, command);
    REQUIRE(strcmp(answer, "failed") != 0);
    return answer;
}

/* Settings, and a secrets file whose text it gives back as its URL; far: where the server is said to be. */
static const char *set_up(const char *far)
{
    static char anon_url[64], text[512], url[700];
    struct pixl_error e = { 0 };
    (void)snprintf(anon_url, sizeof anon_url, "http://127.0.0.1:%d", anon_port);
    settings = (struct settings){ .anon_url = anon_url, .anon_user = "pixl", .anon_password = "CANARYANON", .dicomweb_timeout_s = 20 };
    (void)snprintf(text, sizeof text, "p--dicomweb--url=%s\np--dicomweb--username= far \np--dicomweb--password=CANARYFAR\n", far);
    REQUIRE_OK(fs_write_whole(test_path("secrets.env"), str_of(text), 0600, &e), e);
    (void)snprintf(url, sizeof url, "file:%s", test_path("secrets.env"));
    (void)anon_do("reset");
    return url;
}

static const char *far_url(void)
{
    static char url[64];
    (void)snprintf(url, sizeof url, "http://127.0.0.1:%d/far/", anon_port);
    return url;
}

/* A zip of n instances 2.25.1/2.25.2/2.25.10<i>.dcm, each holding its own UID as text. */
static struct upload_study make_zip(int n, const char *name_format)
{
    static char path[700];
    struct pixl_error e = { 0 };
    struct arena a;
    const struct dicom_source none = dicom_source_bytes("", 0);
    struct upload_study z = { .zip_path = path, .pseudo_study_uid = "2.25.1" };
    zip_auto *w = NULL;
    arena_init(&a, 1 << 20);
    (void)snprintf(path, sizeof path, "%s", test_path("study.zip"));
    REQUIRE_OK(zip_new(path, "1", 1, &w, &e), e);
    for (int i = 0; i < n; i++) {
        char name[128], uid[32];
        struct dicom_plan plan;
        int length = snprintf(uid, sizeof uid, "2.25.10%d", i);
        (void)snprintf(name, sizeof name, "%s%s.dcm", name_format, uid);
        dicom_plan_init(&plan, &a);
        REQUIRE_OK(dicom_plan_bytes(&plan, arena_cstr(&a, uid), (size_t)length, &e), e);
        REQUIRE_OK(zip_add(w, name, &plan, &none, false, &e), e);
    }
    REQUIRE_OK(zip_commit(PIXL_STEAL(&w), &z.size_bytes, z.digest, &e), e);
    arena_done(&a);
    return z;
}

#endif
