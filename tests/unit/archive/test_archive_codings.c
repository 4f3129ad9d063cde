/* Instances of every coding are found in a folder with all that they say of themselves, and so are those that do not say all. */
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "archive/archive_backend.h"
#include "dicom_build.h"
#include "test.h"

#define STUDY  "1.2.3"
#define SERIES "1.2.3.1"

/* What is NULL is a data set alone, in big endian.  Reversed: from the last tag to the first; late: the patient stands
 * behind the pixels, and nothing before says so. */
static const struct row {
    const char *name, *syntax;
    bool is_reversed, is_late;
} rows[] = {
    { "big endian", DCM_EXPLICIT_BE, false, false },
    { "deflated", DCM_DEFLATED_LE, false, false },
    { "bare big endian", NULL, false, false },
    { "reversed", DCM_EXPLICIT_LE, true, false },
    { "deflated, reversed", DCM_DEFLATED_LE, true, false },
    { "late", DCM_IMPLICIT_LE, false, true },
    { "deflated, late", DCM_DEFLATED_LE, false, true },
};

static void add_patient(struct dcm *d)
{
    dcm_text(d, DICOM_ACCESSION_NUMBER, DICOM_VR_SH, "A1");
    dcm_text(d, DICOM_PATIENT_ID, DICOM_VR_LO, "4711");
}

static void save(const struct row *row, const char *path)
{
    struct dcm d;
    if (row->syntax == NULL)
        dcm_begin_bare_big_endian(&d);
    else
        dcm_begin_syntax(&d, row->syntax, DCM_CT_IMAGE_STORAGE, "1.2.3.1.1");
    if (row->is_reversed) {
        dcm_pixels_native(&d, 512);
        dcm_text(&d, DICOM_SERIES_UID, DICOM_VR_UI, SERIES);
        dcm_text(&d, DICOM_STUDY_UID, DICOM_VR_UI, STUDY);
        add_patient(&d);
        dcm_text(&d, DICOM_SOP_INSTANCE_UID, DICOM_VR_UI, "1.2.3.1.1");
    } else {
        dcm_text(&d, DICOM_SOP_INSTANCE_UID, DICOM_VR_UI, "1.2.3.1.1");
        if (!row->is_late)
            add_patient(&d);
        dcm_text(&d, DICOM_STUDY_UID, DICOM_VR_UI, STUDY);
        dcm_text(&d, DICOM_SERIES_UID, DICOM_VR_UI, SERIES);
        dcm_pixels_native(&d, 200000);
        if (row->is_late)
            add_patient(&d);
    }
    if (row->syntax != NULL && str_eq(str_of(row->syntax), STR(DCM_DEFLATED_LE)))
        dcm_deflate(&d);
    dcm_save(&d, path);
    dcm_done(&d);
}

static void test_archive_codings__each_is_found(void)
{
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct pixl_error err = { 0 };
        char folder[32], path[64], state[32], url[600];
        test_row("%s", rows[i].name);
        (void)snprintf(folder, sizeof folder, "archive%zu", i);
        (void)snprintf(path, sizeof path, "%s/instance", folder);
        (void)snprintf(state, sizeof state, "state%zu", i);
        REQUIRE(mkdir(test_path(folder), 0700) == 0);
        save(&rows[i], test_path(path));
        (void)snprintf(url, sizeof url, "directory:%s/%s", test_dir(), folder);
        archive_auto *a = NULL;
        REQUIRE_OK(archive_open(&(struct archive_options){ .url = url, .state_dir = test_path(state) }, &a, &err), err);
        REQUIRE_OK(archive_refresh(a, NULL, NULL, &err), err);
        CHECK_INT(archive_directory_counts(a).dicom, 1);
        CHECK_INT(archive_directory_counts(a).damaged, 0);
        struct arena arena;
        arena_init(&arena, 1 << 20);
        const struct archive_query q = { phi_text(STR("")), phi_text(STR("4711")), phi_text(STR("A1")) };
        struct phi_text *uids = NULL;
        struct archive_instance *list = NULL;
        size_t n = 0;
        REQUIRE_OK(archive_find(a, &q, &arena, &uids, &n, &err), err);
        CHECK(n == 1 && str_eq(phi_reveal(uids[0]), STR(STUDY)));
        REQUIRE_OK(archive_list(a, phi_text(STR(STUDY)), &arena, &list, &n, &err), err);
        CHECK(n == 1 && str_eq(phi_reveal(list[0].series_uid), STR(SERIES)));
        arena_done(&arena);
    }
}

static void test_archive_codings__what_lacks_a_uid_is_listed(void)
{
    static const struct { const char *series, *sop; } files[] = { { SERIES, "1.2.3.1.1" }, { SERIES, NULL }, { NULL, "1.2.3.1.3" } };
    struct pixl_error err = { 0 };
    REQUIRE(mkdir(test_path("archive"), 0700) == 0);
    for (size_t i = 0; i < ARRAY_LEN(files); i++) {
        char name[32];
        struct dcm d;
        dcm_begin(&d, true);
        if (files[i].sop != NULL)
            dcm_text(&d, DICOM_SOP_INSTANCE_UID, DICOM_VR_UI, files[i].sop);
        add_patient(&d);
        dcm_text(&d, DICOM_STUDY_UID, DICOM_VR_UI, STUDY);
        if (files[i].series != NULL)
            dcm_text(&d, DICOM_SERIES_UID, DICOM_VR_UI, files[i].series);
        (void)snprintf(name, sizeof name, "archive/%zu", i);
        dcm_save(&d, test_path(name));
        dcm_done(&d);
    }
    char url[600];
    (void)snprintf(url, sizeof url, "directory:%s/archive", test_dir());
    archive_auto *a = NULL;
    REQUIRE_OK(archive_open(&(struct archive_options){ .url = url, .state_dir = test_path("state") }, &a, &err), err);
    REQUIRE_OK(archive_refresh(a, NULL, NULL, &err), err);
    CHECK(archive_health(a).instances == 1 && archive_health(a).damaged == 2);
    struct arena arena;
    struct archive_instance *list = NULL;
    size_t n = 0, n_series = 0, n_sop = 0;
    arena_init(&arena, 1 << 20);
    REQUIRE_OK(archive_list(a, phi_text(STR(STUDY)), &arena, &list, &n, &err), err);
    CHECK_INT(n, 3);
    for (size_t i = 0; i < n; i++) {
        int fd = -1;
        n_series += !phi_is_empty(list[i].series_uid);
        n_sop += !phi_is_empty(list[i].sop_uid);
        if (CHECK_OK(archive_open_instance(a, &list[i], &fd, &err), err))
            (void)close(fd);
    }
    CHECK(n_series == 2 && n_sop == 2);
    arena_done(&arena);
}

int main(int argc, char **argv)
{
    static const struct test_case tests[] = {
        TEST(test_archive_codings__each_is_found),
        TEST(test_archive_codings__what_lacks_a_uid_is_listed),
    };
    return test_main(argc, argv, tests, ARRAY_LEN(tests));
}
