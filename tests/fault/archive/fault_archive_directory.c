#include "archive/archive.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fs.h"
#include "dicom_build.h"
#include "fault.h"
#include "test.h"

enum { N = 40 };

static struct pixl_error err;
static char url[600];

static void make_archive(void)
{
    (void)snprintf(url, sizeof url, "directory:%s/archive", test_dir());
    REQUIRE(mkdir(test_path("archive"), 0700) == 0 && mkdir(test_path("archive/sub"), 0700) == 0);
    for (int i = 0; i < N; i++) {
        char text[64], name[64];
        struct dcm d;
        dcm_begin(&d, true);
        (void)snprintf(text, sizeof text, "1.2.3.1.%d", i);
        (void)snprintf(name, sizeof name, "archive/%s%d", i % 2 ? "sub/" : "", i);
        dcm_text(&d, DICOM_SOP_CLASS_UID, DICOM_VR_UI, i % 4 ? DCM_CT_IMAGE_STORAGE : DCM_CT_IMAGE_STORAGE ".1");
        dcm_text(&d, DICOM_SOP_INSTANCE_UID, DICOM_VR_UI, text);
        dcm_text(&d, DICOM_ACCESSION_NUMBER, DICOM_VR_SH, "acc");
        dcm_text(&d, DICOM_PATIENT_ID, DICOM_VR_LO, "mrn");
        dcm_text(&d, DICOM_STUDY_UID, DICOM_VR_UI, "1.2.3");
        dcm_text(&d, DICOM_SERIES_UID, DICOM_VR_UI, "1.2.3.1");
        dcm_text(&d, DICOM_NUMBER_OF_FRAMES, DICOM_VR_IS, "2");
        dcm_save(&d, test_path(name));
        dcm_done(&d);
    }
}

static void test_open_and_refresh__each_allocation_fails_once(void)
{
    make_archive();
    long n;
    for (n = 0; n < 100000; n++) {
        struct archive *a = NULL;
        fault_alloc_after(n);
        bool opened = archive_open(&(struct archive_options){ .url = url, .state_dir = test_path("state") }, &a, &err);
        bool ok = opened && archive_refresh(a, NULL, NULL, &err);
        bool reached = fault_alloc_stop();
        test_row("allocation %ld", n);
        CHECK(opened == (a != NULL));
        CHECK(ok ? err.code == PIXL_OK : err.code == PIXL_E_NOMEM);
        CHECK(ok || reached);
        pixl_error_clear(&err);
        if (!ok && a != NULL)            /* nothing was spoilt */
            CHECK_OK(archive_refresh(a, NULL, NULL, &err), err);
        if (a != NULL) {
            struct arena arena;
            arena_init(&arena, 1 << 20);
            struct archive_instance *list;
            size_t got = 0;
            CHECK_OK(archive_list(a, phi_text(STR("1.2.3")), &arena, &list, &got, &err), err);
            CHECK_INT(got, N);
            arena_done(&arena);
        }
        archive_close(a);
        if (!reached)
            break;
        REQUIRE_OK(fs_remove_tree(test_path("state"), &err), err);       /* from the beginning again */
    }
    CHECK(n > 20);
}

static void test_find_list_open__each_allocation_fails_once(void)
{
    make_archive();
    archive_auto *a = NULL;
    REQUIRE_OK(archive_open(&(struct archive_options){ .url = url, .state_dir = test_path("state") }, &a, &err), err);
    REQUIRE_OK(archive_refresh(a, NULL, NULL, &err), err);
    long n;
    for (n = 0; n < 100000; n++) {
        struct arena arena;
        arena_init(&arena, 1 << 20);
        struct archive_query q = { .study_uid = phi_text(STR("9.9")), .mrn = phi_text(STR("mrn")),
                                   .accession_number = phi_text(STR("acc")) };
        struct phi_text *uids = NULL;
        struct archive_instance *list = NULL;
        size_t n_uids = 77, n_list = 77;
        int fd = -1;
        fault_alloc_after(n);
        bool found = archive_find(a, &q, &arena, &uids, &n_uids, &err);
        bool listed = found && archive_list(a, uids[0], &arena, &list, &n_list, &err);
        bool ok = listed && archive_open_instance(a, &list[0], &fd, &err);
        bool reached = fault_alloc_stop();
        test_row("allocation %ld", n);
        CHECK(found ? n_uids == 1 : n_uids == 77 && uids == NULL);
        CHECK(listed ? n_list == N : n_list == 77 && list == NULL);
        CHECK(ok == (fd >= 0));
        CHECK(ok ? err.code == PIXL_OK : err.code == PIXL_E_NOMEM);
        CHECK(ok || reached);
        pixl_error_clear(&err);
        if (fd >= 0)
            (void)close(fd);
        arena_done(&arena);
        if (!reached)
            break;
    }
    CHECK(n > 1);
}

int main(int argc, char **argv)
{
    static const struct test_case tests[] = {
        TEST(test_open_and_refresh__each_allocation_fails_once),
        TEST(test_find_list_open__each_allocation_fails_once),
    };
    return test_main(argc, argv, tests, ARRAY_LEN(tests));
}
