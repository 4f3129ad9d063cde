/* site_rig.h - a site in test_dir(): an archive folder, one project, a CSV cohort and a store, for tests of the pipeline.
 *
 *   archive/ configs/ haven/ exports/ state/ cohort.csv
 * Owns: what rig_close() frees.  Ends the test when something that must work does not. */
#ifndef PIXL_TEST_SITE_RIG_H
#define PIXL_TEST_SITE_RIG_H

#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fs.h"
#include "base/log.h"
#include "dicom_build.h"
#include "pipeline/extract.h"
#include "pipeline/populate.h"
#include "pipeline/settle.h"
#include "test.h"

#define RIG_PROJECT "rig"
#define RIG_CSV_HEADER \
    "procedure_id,mrn,accession_number,project_name,extract_generated_timestamp,study_date,study_uid,participant_id,series_uid\n"

struct site_rig {
    struct settings settings;
    struct site *site;
    struct extract x;
    atomic_bool cancel;
    struct arena arena;              /* of claimed rows */
};

/* What one file of the archive says; NULL and 0: the usual. */
struct rig_file {
    const char *name;                /* below archive/ */
    const char *study, *series, *sop;
    const char *mrn, *accession, *modality, *comment;
    size_t pixels;                   /* bytes */
    const char *frames;              /* an enhanced CT with that many */
};

static inline void rig_write(const char *name, const char *text)
{
    struct pixl_error err = { 0 };
    REQUIRE_OK(fs_write_whole(test_path(name), str_of(text), 0600, &err), err);
}

/* Folders and a project that delivers to haven/; extra is added to its YAML. */
static inline void rig_folders(const char *extra)
{
    static const char *const folders[] = { "archive", "configs/tag-operations", "haven", "state" };
    static const uint32_t kept[] = { 0x00080005, 0x00080016, 0x00080060, 0x00104000, 0x00280002, 0x00280004, 0x00280010, 0x00280011,
                                     0x00280100, 0x00280101, 0x00280102, 0x00280103, 0x7FE00010 };
    struct pixl_error err = { 0 };
    for (size_t i = 0; i < ARRAY_LEN(folders); i++)
        REQUIRE_OK(fs_make_dirs(test_path(folders[i]), 0700, &err), err);
    char yaml[4096];
    (void)snprintf(yaml, sizeof yaml,
                   "project: {name: Rig, modalities: [CT]}\n%s"
                   "allowed_manufacturers: [{regex: maker}]\n"
                   "tag_operation_files: {base: [base.yaml], manufacturer_overrides: null}\n"
                   "destination: {dicom: directory, parquet: directory, directory: %s/haven}\n%s",
                   strstr(extra, "min_instances_per_series") ? "" : "min_instances_per_series: 1\n", test_dir(), extra);
    rig_write("configs/rig.yaml", yaml);
    buf_auto rules;
    buf_init(&rules, 65536);
    for (size_t i = 0; i < ARRAY_LEN(kept); i++)
        (void)buf_addf(&rules, "- {group: 0x%04x, element: 0x%04x, op: keep}\n", kept[i] >> 16, kept[i] & 0xFFFF);
    static const char *const uids[] = { "0x0008, element: 0x0018", "0x0020, element: 0x000D", "0x0020, element: 0x000E" };
    for (size_t i = 0; i < ARRAY_LEN(uids); i++)
        (void)buf_addf(&rules, "- {group: %s, op: replace_UID}\n", uids[i]);
    (void)buf_addf(&rules, "- {group: 0x0010, element: 0x0020, op: secure-hash}\n");
    REQUIRE(!rules.failed);
    rig_write("configs/tag-operations/base.yaml", buf_cstr(&rules));
}

/* Writes one instance; the bytes follow from the fields alone. */
static inline void rig_save(const struct rig_file *f)
{
    struct dcm d;
    char path[300];
    const char *sop = f->sop ? f->sop : "1.2.3.1.1.1";
    const char *class = f->frames ? DCM_CT_IMAGE_STORAGE ".1" : DCM_CT_IMAGE_STORAGE;
    dcm_begin_syntax(&d, DCM_EXPLICIT_LE, class, sop);
    dcm_text(&d, 0x00080016, DICOM_VR_UI, class);
    dcm_text(&d, 0x00080018, DICOM_VR_UI, sop);
    dcm_text(&d, 0x00080050, DICOM_VR_SH, f->accession ? f->accession : "ACC5501");
    dcm_text(&d, 0x00080060, DICOM_VR_CS, f->modality ? f->modality : "CT");
    dcm_text(&d, 0x00080070, DICOM_VR_LO, "Maker");
    dcm_text(&d, 0x00100010, DICOM_VR_PN, "Farthingale^Ottoline");
    dcm_text(&d, 0x00100020, DICOM_VR_LO, f->mrn ? f->mrn : "MRN5501");
    if (f->comment)
        dcm_text(&d, 0x00104000, DICOM_VR_LT, f->comment);
    dcm_text(&d, 0x0020000D, DICOM_VR_UI, f->study ? f->study : "1.2.3.1");
    dcm_text(&d, 0x0020000E, DICOM_VR_UI, f->series ? f->series : "1.2.3.1.1");
    dcm_u16(&d, 0x00280002, 1);
    if (f->frames)
        dcm_text(&d, DICOM_NUMBER_OF_FRAMES, DICOM_VR_IS, f->frames);
    dcm_u16(&d, 0x00280010, 8);
    dcm_u16(&d, 0x00280011, 8);
    dcm_u16(&d, 0x00280100, 16);
    dcm_pixels_native(&d, f->pixels ? f->pixels : 128);
    (void)snprintf(path, sizeof path, "archive/%s", f->name);
    dcm_save(&d, test_path(path));
    dcm_done(&d);
}

/* Opens everything anew: what is in the archive now is known then.  more: one further setting, or NULL; how: SITE_WORKS
 * or SITE_SERVES. */
static inline void rig_open_as(struct site_rig *r, const char *more, unsigned how)
{
    struct pixl_error err = { 0 };
    static const char *const names[] = { "PIXL_STATE_DIR=%s/state", "PROJECT_CONFIGS_DIR=%s/configs", "HOST_EXPORT_ROOT_DIR=%s/exports",
                                         "PIXL_ARCHIVE_URL=directory:%s/archive" };
    char text[ARRAY_LEN(names)][700];
    const char *env[ARRAY_LEN(names) + 2] = { NULL };
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        const char *at = strchr(names[i], '%');
        (void)snprintf(text[i], sizeof text[i], "%.*s%s%s", (int)(at - names[i]), names[i], test_dir(), at + 2);
        env[i] = text[i];
    }
    env[ARRAY_LEN(names)] = more;
    memset(r, 0, sizeof *r);
    log_setup(LOG_OFF, STDERR_FILENO);
    REQUIRE_OK(settings_load(env, NULL, NULL, &r->settings, &err), err);
    REQUIRE_OK(site_open(&r->settings, how | SITE_ARCHIVE | SITE_SECRETS | SITE_STORE, &r->site, &err), err);
    REQUIRE_OK(archive_refresh(site_archive(r->site, 0), NULL, NULL, &err), err);
    extract_init(&r->x, r->site, &r->cancel);
    arena_init(&r->arena, 1 << 24);
}

static inline void rig_open(struct site_rig *r, const char *more)
{
    rig_open_as(r, more, SITE_WORKS);
}

/* All but the settings. */
static inline void rig_close_site(struct site_rig *r)
{
    extract_done(&r->x);
    arena_done(&r->arena);
    site_close(r->site);
}

static inline void rig_close(struct site_rig *r)
{
    rig_close_site(r);
    settings_done(&r->settings);
}

static inline void rig_refused(void *ctx, uint64_t line, const char *why)
{
    (void)ctx;
    (void)fprintf(stderr, "    line %llu: %s\n", (unsigned long long)line, why);
}

static inline void rig_populate(struct site_rig *r, const char *rows)
{
    struct pixl_error err = { 0 };
    struct populate_counts n;
    buf_auto csv;
    buf_init(&csv, 65536);
    (void)buf_addf(&csv, "%s%s", RIG_CSV_HEADER, rows);
    REQUIRE(!csv.failed);
    rig_write("cohort.csv", buf_cstr(&csv));
    const struct populate_options o = { .path = test_path("cohort.csv"), .priority = 1, .refused = rig_refused };
    REQUIRE_OK(populate_cohort(r->site, &o, &n, &err), err);
    CHECK_INT(n.refused, 0);
}

/* The next due row, whatever it waits for to pass (now_us: INT64_MAX / 2 takes all). */
static inline bool rig_claim(struct site_rig *r, enum store_work work, struct store_image *image)
{
    struct pixl_error err = { 0 };
    bool got = false;
    const struct store_claim c = { .work = work, .owner = site_owner(r->site), .now_us = INT64_MAX / 2, .lease_us = 1000000,
                                   .spool = str_of(site_spool(r->site)) };
    REQUIRE_OK(store_claim_next(site_store(r->site), &c, &r->arena, &got, image, &err), err);
    return got;
}

static inline struct store_image rig_image(struct site_rig *r, int64_t id)
{
    struct pixl_error err = { 0 };
    struct store_image image = { 0 };
    bool got = false;
    REQUIRE_OK(store_get_image(site_store(r->site), id, &r->arena, &got, &image, &err), err);
    REQUIRE(got);
    return image;
}

static inline struct settled rig_settle(struct site_rig *r, const struct store_image *image, const struct extract_result *result)
{
    struct pixl_error err = { 0 };
    struct settled s = { 0 };
    REQUIRE_OK(settle(r->site, image, result, 1000, 5000, &s, &err), err);
    return s;
}

/* Files below a folder of test_dir(), but those whose name begins with a dot; *hidden: how many do (the key's marker left out). */
static inline size_t rig_count(const char *folder, size_t *hidden)
{
    size_t n = 0;
    DIR *d = opendir(test_path(folder));
    *hidden = 0;
    if (d == NULL)
        return 0;
    for (const struct dirent *e; (e = readdir(d)) != NULL;) {
        n += e->d_name[0] != '.';
        *hidden += e->d_name[0] == '.' && strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0 &&
                   strcmp(e->d_name, ".pixl-key") != 0;
    }
    (void)closedir(d);
    return n;
}

/* The names of a zip's entries as its central directory lists them (APPNOTE 4.3.12); at most max. */
static inline size_t rig_zip_names(const char *path, char names[][256], size_t max)
{
    struct pixl_error err = { 0 };
    struct arena a;
    struct str z;
    size_t n = 0;
    arena_init(&a, 1 << 24);
    REQUIRE_OK(fs_read_whole(&a, path, 1 << 24, &z, &err), err);
    for (size_t at = 0; at + 46 <= z.n; at++) {
        const uint8_t *p = (const uint8_t *)z.p + at;
        if (memcmp(p, "PK\1\2", 4) != 0)
            continue;
        size_t len = (size_t)(p[28] | p[29] << 8);
        REQUIRE(n < max && len < 256 && at + 46 + len <= z.n);
        memcpy(names[n], p + 46, len);
        names[n++][len] = '\0';
    }
    arena_done(&a);
    return n;
}

#endif
