/* Does the store say of every study what must have become of it? */
#include "verify_internal.h"

#include <dirent.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cohort/cohort.h"

enum { DUCK_MIB = 128, TEXT_BYTES = 1024 };
#define JUDGE_ARENA_MAX    ((size_t)1 << 30)
#define INSTANCE_ARENA_MAX ((size_t)64 << 20)

void judge_differs(struct judge *j, const char *fmt, ...)
{
    char text[TEXT_BYTES];
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    j->right = false;
    j->say(j->ctx, text);
}

static int by_procedure(const void *left, const void *right)
{
    const struct found *l = left, *r = right;
    int c = strcmp(l->project, r->project);
    return c ? c : (l->procedure > r->procedure) - (l->procedure < r->procedure);
}

struct found *judge_find(const struct judge *j, const char *project, int64_t procedure)
{
    const struct found key = { .project = project, .procedure = procedure };
    struct found *f = j->n_found ? bsearch(&key, j->found, j->n_found, sizeof key, by_procedure) : NULL;
    while (f != NULL && f > j->found && by_procedure(f - 1, &key) == 0)
        f--;
    return f;
}

bool judge_is_delivered(const struct found *f)
{
    return f->state == STUDY_EXPORTED || f->state == STUDY_KEPT;
}

const struct found *judge_find_uid(const struct judge *j, const char *project, struct str uid)
{
    for (size_t i = 0; i < j->n_found; i++)
        if (judge_is_delivered(&j->found[i]) && strcmp(j->found[i].project, project) == 0 &&
            str_eq(str_of(j->found[i].uid), uid))
            return &j->found[i];
    return NULL;
}

void judge_search(struct judge *j, struct str text, const char *where)
{
    const char *needle = search_find(j->search, text, NULL);
    if (needle != NULL)
        judge_differs(j, "%s holds the planted identity '%s'", where, needle);
}

static int by_name(const void *left, const void *right)
{
    const char *const *l = left, *const *r = right;
    return strcmp(*l, *r);
}

bool judge_each_name(struct judge *j, const char *dir,
                     bool (*each)(struct judge *j, const char *dir, const char *name, void *ctx,
                                  struct pixl_error *err),
                     void *ctx, struct pixl_error *err)
{
    const char **names = NULL;
    size_t n = 0, cap = 0;
    DIR *d = opendir(dir);
    if (d == NULL) {
        judge_differs(j, "the folder %s cannot be read (%s)", dir, strerror(errno));
        return true;
    }
    bool ok = true;
    for (const struct dirent *e; ok && (e = readdir(d)) != NULL;) {
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
            continue;
        if (n == cap) {
            const char **more = arena_calloc(&j->arena, cap = cap ? 2 * cap : 64, sizeof *more);
            if (more != NULL && n > 0)
                memcpy(more, names, n * sizeof *more);
            names = more;
            ok = more != NULL;
        }
        if (ok)
            ok = (names[n++] = arena_cstr(&j->arena, e->d_name)) != NULL;
    }
    (void)closedir(d);
    if (!ok)
        return pixl_fail(err, PIXL_E_NOMEM, 0, "list of files");
    if (n > 0)
        qsort(names, n, sizeof *names, by_name);
    for (size_t i = 0; ok && i < n; i++)
        ok = each(j, dir, names[i], ctx, err);
    return ok;
}

/* --- the store --------------------------------------------------------------------------------------------------- */

struct collecting {
    struct judge *j;
    const struct extract_time *time;
    bool failed;
};

static bool collect(void *ctx, const struct store_outcome *o)
{
    struct collecting *c = ctx;
    struct judge *j = c->j;
    if (j->n_found == j->cap_found) {
        size_t cap = j->cap_found ? 2 * j->cap_found : 64;
        struct found *more = arena_calloc(&j->arena, cap, sizeof *more);
        if (more == NULL)
            return !(c->failed = true);
        if (j->n_found > 0)
            memcpy(more, j->found, j->n_found * sizeof *more);
        j->found = more;
        j->cap_found = cap;
    }
    struct found *f = &j->found[j->n_found++];
    *f = (struct found){ .project = c->time->project,
                         .time_slug = c->time->slug,
                         .procedure = o->procedure_occurrence_id,
                         .state = o->state,
                         .reason = o->reason,
                         .uid = arena_str(&j->arena, o->pseudo_study_uid).p,
                         .instances_delivered = o->instances_delivered };
    return !(c->failed = f->uid == NULL);
}

static bool collect_project(struct judge *j, const char *project, struct pixl_error *err)
{
    struct store *store = site_store(j->site);
    struct str *times;
    size_t n;
    if (!store_extract_times(store, str_of(project), &j->arena, &times, &n, err))
        return false;
    for (size_t i = 0; i < n; i++) {
        struct str slug;
        if (j->n_times == ARRAY_LEN(j->times))
            return pixl_fail(err, PIXL_E_LIMIT, 0, "the store holds more extracts than a demo makes");
        if (!cohort_time_slug(&j->arena, times[i], &slug, err))
            return false;
        const char *kept = arena_str(&j->arena, slug).p;
        if (kept == NULL)
            return pixl_fail(err, PIXL_E_NOMEM, 0, "extracts of the demo");
        struct collecting c = { j, &j->times[j->n_times], false };
        j->times[j->n_times++] = (struct extract_time){ project, kept };
        if (!store_each_outcome(store, str_of(project), times[i], collect, &c, err))
            return false;
    }
    return true;
}

static void compare_study(struct judge *j, const struct demo_study *want)
{
    struct found *f = judge_find(j, want->project, want->procedure_occurrence_id);
    const long long procedure = (long long)want->procedure_occurrence_id;
    if (f == NULL) {
        judge_differs(j, "procedure %lld (%s) is not in the store", procedure, want->what);
        return;
    }
    if (f + 1 < j->found + j->n_found && by_procedure(f, f + 1) == 0)
        judge_differs(j, "procedure %lld (%s) has more than one study", procedure, want->what);
    f->study = want;
    if (f->state != want->expect)
        judge_differs(j, "procedure %lld (%s) is %s, and must be %s", procedure, want->what, study_state_name(f->state),
                      study_state_name(want->expect));
    else if (f->reason != want->expect_reason)
        judge_differs(j, "procedure %lld (%s) is %s because of '%s', and must be because of '%s'", procedure,
                      want->what, study_state_name(f->state), study_reason_name(f->reason),
                      study_reason_name(want->expect_reason));
    if (judge_is_delivered(f) && f->instances_delivered != want->expect_instances)
        judge_differs(j, "procedure %lld (%s) had %lld instances delivered, and must have %lld", procedure, want->what,
                      (long long)f->instances_delivered, (long long)want->expect_instances);
    if (judge_is_delivered(f) && f->uid[0] == '\0')
        judge_differs(j, "procedure %lld (%s) has no pseudonym", procedure, want->what);
}

static bool judge_store(struct judge *j, struct pixl_error *err)
{
    if (!collect_project(j, j->d->omop_project, err) || !collect_project(j, j->d->csv_project, err))
        return false;
    if (j->n_found > 0)
        qsort(j->found, j->n_found, sizeof *j->found, by_procedure);
    for (size_t i = 0; i < j->d->n_studies; i++)
        compare_study(j, &j->d->studies[i]);
    for (size_t i = 0; i < j->n_found; i++)
        if (j->found[i].study == NULL)
            judge_differs(j, "procedure %lld is in the store, and nobody asked for it",
                          (long long)j->found[i].procedure);
    return true;
}

bool demo_verify(const struct demo *d, struct site *s, void (*say)(void *ctx, const char *difference), void *ctx,
                 bool *right, struct pixl_error *err)
{
    struct judge j = { .d = d, .site = s, .say = say, .ctx = ctx, .right = true };
    arena_init(&j.arena, JUDGE_ARENA_MAX);
    arena_init(&j.instance, INSTANCE_ARENA_MAX);
    bool ok = search_new(d->needles, &j.search, err) && duck_open(site_settings(s)->temp_dir, DUCK_MIB, &j.duck, err) &&
              judge_store(&j, err) && judge_zips(&j, err) && judge_files(&j, err);
    duck_close(j.duck);
    search_free(j.search);
    arena_done(&j.instance);
    arena_done(&j.arena);
    if (ok)
        *right = j.right;
    return ok;
}
