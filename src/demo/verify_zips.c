/* Do the zips of the safe haven hold what was delivered, once, whole, and without a planted identity? */
#include "verify_internal.h"

#include <stdio.h>
#include <string.h>

#include "base/fs.h"
#include "base/hash.h"
#include "dicom/file.h"
#include "upload/zip_read.h"

enum { WHERE_BYTES = 512, PLACE_BYTES = 1024 };

struct zip_judge {
    struct judge *j;
    const struct found *found;
    uint8_t pixels[HASH_SHA256_BYTES]; /* as in struct demo_study */
};

/* "<study>/<series>/<sop>.dcm" for the three UIDs in the data set? */
static bool names_agree(struct dicom_file *f, const char *name, bool *agree, struct pixl_error *err)
{
    struct str study, series, sop;
    bool found;
    char want[4 * (DICOM_UID_MAX + 1)];
    if (!dicom_text(f, DICOM_STUDY_UID, &study, &found, err) ||
        !dicom_text(f, DICOM_SERIES_UID, &series, &found, err) ||
        !dicom_text(f, DICOM_SOP_INSTANCE_UID, &sop, &found, err))
        return false;
    (void)snprintf(want, sizeof want, "%.*s/%.*s/%.*s.dcm", STR_ARG(study), STR_ARG(series), STR_ARG(sop));
    *agree = strcmp(want, name) == 0 && str_is_prefix(sop, STR("2.25.")) && str_is_prefix(series, STR("2.25.")) &&
             str_is_prefix(study, STR("2.25."));
    return true;
}

static bool add_pixels(struct zip_judge *z, const struct dicom_file *f, struct str bytes, struct pixl_error *err)
{
    uint8_t digest[HASH_SHA256_BYTES];
    hash_sha256_auto *hash = NULL;
    int64_t i = dicom_find(f, DICOM_NO_PARENT, DICOM_PIXEL_DATA);
    if (i < 0)
        return true;
    const struct dicom_element *e = &f->elements[i];
    if (!hash_sha256_new(&hash, err) ||
        !hash_sha256_add(hash, bytes.p + e->value_offset, (size_t)e->value_bytes, err) ||
        !hash_sha256_end(hash, digest, err))
        return false;
    for (size_t k = 0; k < sizeof digest; k++)
        z->pixels[k] ^= digest[k];
    return true;
}

static bool judge_instance(struct zip_judge *z, const char *name, struct str bytes, const char *where,
                           struct pixl_error *err)
{
    const struct dicom_limits limits = DICOM_LIMITS_DEFAULT;
    const struct dicom_source source = dicom_source_bytes(bytes.p, bytes.n);
    struct judge *j = z->j;
    struct dicom_file f;
    struct str removed = { 0 };
    bool agree, found = false;
    arena_reset(&j->instance);
    judge_search(j, bytes, where);
    if (!dicom_parse(&source, &limits, &j->instance, &f, err)) {
        if (err->code == PIXL_E_NOMEM || err->code == PIXL_E_IO)
            return false;
        judge_differs(j, "%s is no whole DICOM instance (%s)", where, err->msg);
        pixl_error_clear(err);
        return true;
    }
    if (!names_agree(&f, name, &agree, err) || !dicom_text(&f, DICOM_PATIENT_IDENTITY_REMOVED, &removed, &found, err) ||
        !add_pixels(z, &f, bytes, err))
        return false;
    if (!agree)
        judge_differs(j, "%s has other UIDs than its name says, or no pseudonyms", where);
    if (!found || !str_eq(removed, STR("YES")))
        judge_differs(j, "%s does not say that the patient's identity was removed", where);
    return true;
}

/* A zip that cannot be read is a difference; only want of memory and the like is a failure. */
static bool unreadable(struct judge *j, const char *where, struct pixl_error *err)
{
    if (err->code == PIXL_E_NOMEM)
        return false;
    judge_differs(j, "%s cannot be read (%s)", where, err->msg);
    pixl_error_clear(err);
    return true;
}

static bool judge_zip(struct judge *j, const char *path, const char *where, const struct found *found,
                      struct pixl_error *err)
{
    struct zip_judge z = { .j = j, .found = found };
    zip_read_auto *zip = NULL;
    if (!zip_read_open(path, &zip, err))
        return unreadable(j, where, err);
    for (size_t i = 0; i < zip_read_count(zip); i++) {
        const struct zip_read_entry *e = zip_read_entry(zip, i);
        char place[PLACE_BYTES];
        struct str bytes;
        (void)snprintf(place, sizeof place, "%s, instance %.256s", where, e->name);
        judge_search(j, str_of(e->name), place);
        if (!zip_read_bytes(zip, e, &bytes, err))
            return unreadable(j, place, err);
        if (!judge_instance(&z, e->name, bytes, place, err))
            return false;
    }
    if (found->study == NULL)
        return true;
    if ((int64_t)zip_read_count(zip) != found->study->expect_instances)
        judge_differs(j, "%s (%s) holds %zu instances, and must hold %lld", where, found->study->what,
                      zip_read_count(zip), (long long)found->study->expect_instances);
    else if (memcmp(z.pixels, found->study->expect_pixels, sizeof z.pixels) != 0)
        judge_differs(j, "%s (%s) has other pixels than the archive", where, found->study->what);
    return true;
}

/* One name in a project's folder of the safe haven: a zip, the key's marker, or an extract's tables. */
static bool judge_name(struct judge *j, const char *dir, const char *name, void *ctx, struct pixl_error *err)
{
    const char *project = ctx, *path = fs_path(&j->arena, dir, name);
    struct str s = str_of(name);
    char where[WHERE_BYTES];
    if (path == NULL)
        return pixl_fail(err, PIXL_E_NOMEM, 0, "list of files");
    (void)snprintf(where, sizeof where, "safe-haven/%s/%s", project, name);
    if (str_eq(s, STR(".pixl-key")))
        return true;
    for (size_t i = 0; i < j->n_times; i++)
        if (strcmp(j->times[i].project, project) == 0 && str_eq(s, str_of(j->times[i].slug)))
            return true;
    const struct found *found = s.n > 4 && str_eq((struct str){ s.p + s.n - 4, 4 }, STR(".zip"))
                                    ? judge_find_uid(j, project, (struct str){ s.p, s.n - 4 })
                                    : NULL;
    if (found == NULL) {
        judge_differs(j, "%s must not be there", where);
        return true;
    }
    return judge_zip(j, path, where, found, err);
}

static bool judge_project_zips(struct judge *j, const char *project, struct pixl_error *err)
{
    char *writable = arena_cstr(&j->arena, project);
    const char *dir = fs_path(&j->arena, j->d->safe_haven_dir, project);
    if (dir == NULL || writable == NULL)
        return pixl_fail(err, PIXL_E_NOMEM, 0, "list of files");
    for (size_t i = 0; i < j->n_found; i++) {
        const struct found *f = &j->found[i];
        char name[DICOM_UID_MAX + 8];
        if (!judge_is_delivered(f) || strcmp(f->project, project) != 0 ||
            judge_find_uid(j, project, str_of(f->uid)) != f)         /* a study that two rows ask for is told once */
            continue;
        (void)snprintf(name, sizeof name, "%.64s.zip", f->uid);
        const char *path = fs_path(&j->arena, dir, name);
        if (path == NULL)
            return pixl_fail(err, PIXL_E_NOMEM, 0, "list of files");
        if (!fs_exists(path))
            judge_differs(j, "safe-haven/%s/%s is not there (procedure %lld)", project, name, (long long)f->procedure);
    }
    return judge_each_name(j, dir, judge_name, writable, err);
}

static bool judge_top(struct judge *j, const char *dir, const char *name, void *ctx, struct pixl_error *err)
{
    (void)dir, (void)ctx, (void)err;
    if (strcmp(name, j->d->omop_project) != 0 && strcmp(name, j->d->csv_project) != 0)
        judge_differs(j, "safe-haven/%s must not be there", name);
    return true;
}

bool judge_zips(struct judge *j, struct pixl_error *err)
{
    return judge_each_name(j, j->d->safe_haven_dir, judge_top, NULL, err) &&
           judge_project_zips(j, j->d->omop_project, err) && judge_project_zips(j, j->d->csv_project, err);
}
