#include "demo.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fs.h"
#include "hospital.h"
#include "policies.h"

enum { STUDIES_MIN = 8, STUDIES_MAX = 100000 };
#define DEMO_ARENA_MAX ((size_t)1 << 30)

/* Says that a folder is a demo's, to be replaced by the next. */
#define MARKER ".pixl-demo"
/* All that a demo makes and its extraction writes, in the order in which it is removed; nothing else ever is.  The
 * state and the marker go last: until then the lock keeps off others, and a removal cut short can be repeated. */
static const char *const parts[] = { "configs", "exports", "hospital", "safe-haven", "state", MARKER };

static bool is_part(const char *name)
{
    for (size_t i = 0; i < ARRAY_LEN(parts); i++)
        if (strcmp(parts[i], name) == 0)
            return true;
    return strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
}

/* What is in the folder: nothing, an earlier demo and no more (*is_demo), or something else, which is refused. */
static bool look_inside(const char *dir, bool *is_demo, struct pixl_error *err)
{
    bool is_empty = true, is_all_ours = true;
    DIR *d = opendir(dir);
    if (d == NULL)
        return pixl_fail_errno(err, errno, "demo folder");
    *is_demo = false;
    for (const struct dirent *e; (e = readdir(d)) != NULL;) {
        is_empty = is_empty && (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0);
        is_all_ours = is_all_ours && is_part(e->d_name);
        *is_demo = *is_demo || (strcmp(e->d_name, MARKER) == 0 && e->d_type != DT_LNK);
    }
    (void)closedir(d);
    return is_empty || (*is_demo && is_all_ours) ||
           pixl_fail(err, PIXL_E_EXISTS, 0, "the folder holds something that no demo made; a demo wants a new or empty "
                                            "one, or that of an earlier demo");
}

static bool remove_earlier(const char *dir, struct arena *a, struct pixl_error *err)
{
    const char *lock = fs_path3(a, dir, "state", "lock");
    int fd = -1;
    if (lock == NULL)
        return pixl_fail(err, PIXL_E_NOMEM, 0, "demo folder");
    if (fs_exists(lock) && !fs_lock(lock, &fd, err))
        return pixl_wrap(err, "the earlier demo still runs");
    bool ok = true;
    for (size_t i = 0; ok && i < ARRAY_LEN(parts); i++) {
        const char *path = fs_path(a, dir, parts[i]);
        ok = path != NULL ? fs_remove_tree(path, err) : pixl_fail(err, PIXL_E_NOMEM, 0, "demo folder");
    }
    if (fd >= 0)
        (void)close(fd);
    return ok;
}

/* The folder, new or made new, with the marker as the first thing in it. */
static bool make_folder(const char *dir, struct arena *a, struct pixl_error *err)
{
    bool is_demo = false;
    if (!fs_make_dirs(dir, 0755, err) || !look_inside(dir, &is_demo, err) ||
        (is_demo && !remove_earlier(dir, a, err)))
        return false;
    const char *marker = fs_path(a, dir, MARKER);
    if (marker == NULL)
        return pixl_fail(err, PIXL_E_NOMEM, 0, "demo folder");
    return fs_write_whole(marker, STR("made by `pixl demo`, which replaces this folder when it is called again\n"),
                          0644, err);
}

static bool set_paths(const char *dir, struct demo *d, struct pixl_error *err)
{
    char real[PATH_MAX];
    if (!make_folder(dir, &d->arena, err))
        return false;
    if (realpath(dir, real) == NULL)
        return pixl_fail_errno(err, errno, "demo folder");
    d->dir = arena_cstr(&d->arena, real);
    d->archive_dir = fs_path3(&d->arena, real, "hospital", "archive");
    d->omop_dir = fs_path3(&d->arena, real, "hospital", "omop-extract");
    d->csv_path = fs_path3(&d->arena, real, "hospital", "cohort.csv");
    d->configs_dir = fs_path(&d->arena, real, "configs");
    d->safe_haven_dir = fs_path(&d->arena, real, "safe-haven");
    d->exports_dir = fs_path(&d->arena, real, "exports");
    d->omop_project = POLICIES_OMOP_SLUG;
    d->csv_project = POLICIES_CSV_SLUG;
    d->sample_project = d->omop_project;
    return (d->dir != NULL && d->archive_dir != NULL && d->omop_dir != NULL && d->csv_path != NULL &&
            d->configs_dir != NULL && d->safe_haven_dir != NULL && d->exports_dir != NULL) ||
           pixl_fail(err, PIXL_E_NOMEM, 0, "demo folder");
}

/* One entry for each row of a cohort. */
static bool set_studies(const struct hospital *h, struct demo *d, struct pixl_error *err)
{
    d->studies = arena_calloc(&d->arena, 2 * h->n_asked_for, sizeof *d->studies);
    if (d->studies == NULL)
        return pixl_fail(err, PIXL_E_NOMEM, 0, "demo");
    for (size_t i = 0; i < h->n_asked_for; i++) {
        const struct hospital_study *s = &h->studies[i];
        for (size_t k = 0; k < s->n_procedures; k++) {
            struct demo_study *out = &d->studies[d->n_studies++];
            *out = (struct demo_study){
                .project = s->is_omop ? d->omop_project : d->csv_project,
                .procedure_occurrence_id = s->procedures[k],
                .expect = s->expect,
                .expect_reason = s->expect_reason,
                .expect_instances = s->delivered,
                .what = s->what,
            };
            memcpy(out->expect_pixels, s->pixels, sizeof out->expect_pixels);
        }
    }
    return true;
}

static bool make(const char *dir, size_t n_studies, const char *temp_dir, struct demo *d, struct pixl_error *err)
{
    struct hospital h;
    struct needles needles = { .arena = &d->arena };
    if (!set_paths(dir, d, err) || !hospital_plan(&d->arena, n_studies, &h, err) ||
        !hospital_write_archive(&h, d->archive_dir, &d->arena, &d->sample_path, err) ||
        !hospital_write_omop(&h, d->omop_dir, temp_dir, err) || !hospital_write_csv(&h, d->csv_path, err) ||
        !policies_write(d->configs_dir, d->safe_haven_dir, err) || !fs_make_dirs(d->safe_haven_dir, 0755, err) ||
        !fs_make_dirs(d->exports_dir, 0755, err) || !set_studies(&h, d, err))
        return false;
    hospital_add_needles(&h, &needles);
    return needles_finish(&needles, &d->needles, err);
}

bool demo_make(const char *dir, size_t n_studies, const char *temp_dir, struct demo *out, struct pixl_error *err)
{
    struct demo d = { 0 };
    if (n_studies < STUDIES_MIN || n_studies > STUDIES_MAX)
        return pixl_fail(err, PIXL_E_INVALID, 0, "a demo has %d to %d studies", STUDIES_MIN, STUDIES_MAX);
    arena_init(&d.arena, DEMO_ARENA_MAX);
    if (!make(dir, n_studies, temp_dir, &d, err)) {
        arena_done(&d.arena);
        return false;
    }
    *out = d;
    return true;
}

void demo_done(struct demo *d)
{
    arena_done(&d->arena);
    *d = (struct demo){ 0 };
}
