#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "archive/archive_backend.h"
#include "base/fs.h"
#include "dicom_build.h"
#include "test.h"

static struct pixl_error err;

static bool try_folder(const char *name, enum archive_trial *out)
{
    char url[1200];
    (void)snprintf(url, sizeof url, "directory:%s", test_path(name));
    return archive_try(&(struct archive_options){ .url = url, .state_dir = test_path("state") }, out, &err);
}

static void save(const char *path)
{
    struct dcm d;
    dcm_begin_syntax(&d, DCM_EXPLICIT_LE, DCM_CT_IMAGE_STORAGE, "1.2.3.1.1");
    dcm_text(&d, DICOM_SOP_INSTANCE_UID, DICOM_VR_UI, "1.2.3.1.1");
    dcm_text(&d, DICOM_PATIENT_ID, DICOM_VR_LO, "CANARY");
    dcm_text(&d, DICOM_STUDY_UID, DICOM_VR_UI, "1.2.3");
    dcm_text(&d, DICOM_SERIES_UID, DICOM_VR_UI, "1.2.3.1");
    dcm_save(&d, path);
    dcm_done(&d);
}

static void test_try__a_folder_is_looked_through_for_one_image(void)
{
    enum archive_trial got = ARCHIVE_ANSWERS_ALL;
    REQUIRE_OK(fs_make_dirs(test_path("archive/a/b"), 0700, &err), err);
    CHECK_OK(try_folder("archive", &got), err);
    CHECK_INT(got, ARCHIVE_HOLDS_NOTHING);
    REQUIRE_OK(fs_write_whole(test_path("archive/a/notes.txt"), STR("no image"), 0600, &err), err);
    REQUIRE_OK(fs_make_dirs(test_path("elsewhere"), 0700, &err), err);
    save(test_path("elsewhere/image"));
    REQUIRE(symlink(test_path("elsewhere"), test_path("archive/link")) == 0);
    REQUIRE(symlink(test_path("elsewhere/image"), test_path("archive/link-to-one")) == 0);
    REQUIRE(mkfifo(test_path("archive/fifo"), 0600) == 0);
    CHECK_OK(try_folder("archive", &got), err);
    CHECK_INT(got, ARCHIVE_HOLDS_NOTHING);
    save(test_path("archive/a/b/image"));
    CHECK_OK(try_folder("archive", &got), err);
    CHECK_INT(got, ARCHIVE_ANSWERS);
    CHECK(!fs_exists(test_path("state")));               /* no index was made */
}

static void test_try__what_is_no_folder(void)
{
    enum archive_trial got = ARCHIVE_ANSWERS_ALL;
    CHECK_FAILS(try_folder("CANARY", &got), err, PIXL_E_UNAVAILABLE);
    REQUIRE_OK(fs_write_whole(test_path("CANARY"), STR("a file"), 0600, &err), err);
    CHECK(!try_folder("CANARY", &got));
    CHECK(err.code == PIXL_E_UNAVAILABLE && strstr(err.msg, "CANARY") == NULL);
    pixl_error_clear(&err);
    CHECK_FAILS(archive_try(&(struct archive_options){ .url = "directory:relative", .state_dir = test_dir() }, &got, &err), err, PIXL_E_INVALID);
    CHECK_FAILS(archive_try(&(struct archive_options){ .url = "nowhere", .state_dir = test_dir() }, &got, &err), err, PIXL_E_INVALID);
    CHECK_FAILS(archive_try(&(struct archive_options){ .url = "tape:/dev/st0", .state_dir = test_dir() }, &got, &err), err, PIXL_E_INVALID);
    CHECK_INT(got, ARCHIVE_ANSWERS_ALL);
}

/* A remote archive, as far as archive_ask() sees it. */
struct far {
    struct archive base;
    size_t answers;
    bool is_away;
    char text[80];
};

static bool far_refresh(struct archive *a, bool (*say)(void *, uint64_t, uint64_t), void *ctx, struct pixl_error *e)
{
    (void)say;
    (void)ctx;
    return !((struct far *)a)->is_away || pixl_fail(e, PIXL_E_UNAVAILABLE, 0, "away");
}

static bool far_find(struct archive *a, const struct archive_query *q, struct arena *arena, struct phi_text **uids, size_t *n,
                     struct pixl_error *e)
{
    struct far *f = (struct far *)a;
    (void)arena;
    (void)e;
    CHECK(phi_is_empty(q->mrn) && phi_is_empty(q->accession_number));
    (void)snprintf(f->text, sizeof f->text, "%.*s", STR_ARG(phi_reveal(q->study_uid)));
    *uids = NULL;
    *n = f->answers;
    return true;
}

static void test_ask__for_a_study_that_cannot_exist(void)
{
    static const struct archive_ops ops = { .refresh = far_refresh, .find = far_find };
    struct far f = { .base.ops = &ops };
    char before[80];
    enum archive_trial got = ARCHIVE_HOLDS_NOTHING;
    CHECK_OK(archive_ask(&f.base, &got, &err), err);
    CHECK_INT(got, ARCHIVE_ANSWERS);
    CHECK(strncmp(f.text, "2.25.", 5) == 0 && strlen(f.text) > 10);
    memcpy(before, f.text, sizeof before);
    f.answers = 3;
    CHECK_OK(archive_ask(&f.base, &got, &err), err);
    CHECK_INT(got, ARCHIVE_ANSWERS_ALL);
    CHECK(strcmp(before, f.text) != 0);                  /* another one each time */
    f.is_away = true;
    CHECK_FAILS(archive_ask(&f.base, &got, &err), err, PIXL_E_UNAVAILABLE);
}

int main(int argc, char **argv)
{
    static const struct test_case tests[] = {
        TEST(test_try__a_folder_is_looked_through_for_one_image),
        TEST(test_try__what_is_no_folder),
        TEST(test_ask__for_a_study_that_cannot_exist),
    };
    return test_main(argc, argv, tests, ARRAY_LEN(tests));
}
