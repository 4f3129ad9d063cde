/* Do the tables agree with the store, is all there that belongs there, and is no planted identity in any other
 * file or name? */
#include "verify_internal.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fs.h"

enum { WHERE_BYTES = 4096, DEPTH_MAX = 16 };
#define FILE_BYTES_MAX ((size_t)256 << 20)

static const char outcomes_sql[] = "SELECT procedure_occurrence_id::BIGINT, outcome::VARCHAR, "
                                   "coalesce(reason::VARCHAR, ''), coalesce(pseudo_study_uid::VARCHAR, ''), "
                                   "coalesce(instances_delivered, 0)::BIGINT FROM read_parquet($1)";
static const char linker_sql[] =
    "SELECT procedure_occurrence_id::BIGINT, pseudo_study_uid::VARCHAR FROM read_parquet($1)";

/* A table that cannot be read is a difference; want of memory is a failure. */
static bool unreadable(struct judge *j, const char *where, struct pixl_error *err)
{
    if (err->code == PIXL_E_NOMEM)
        return false;
    judge_differs(j, "%s cannot be read (%s)", where, err->msg);
    pixl_error_clear(err);
    return true;
}

/* --- the two tables of an extract -------------------------------------------------------------------------------- */

static void compare_outcome(struct judge *j, const struct extract_time *t, const struct duck_value *v)
{
    struct found *f = judge_find(j, t->project, v[0].i64);
    const long long procedure = (long long)v[0].i64;
    if (f == NULL || f->in_outcomes) {
        judge_differs(j, "OUTCOMES of %s: procedure %lld %s", t->project, procedure,
                      f ? "is there twice" : "must not be there");
        return;
    }
    f->in_outcomes = true;
    bool withheld = f->state == STUDY_WITHHELD;
    const char *uid = judge_is_delivered(f) ? f->uid : "", *reason = withheld ? "" : study_reason_name(f->reason);
    if (!str_eq(v[1].str, str_of(study_state_name(f->state))) || !str_eq(v[2].str, str_of(reason)) ||
        !str_eq(v[3].str, str_of(uid)) || v[4].i64 != (judge_is_delivered(f) ? f->instances_delivered : 0))
        judge_differs(j, "OUTCOMES of %s: procedure %lld is '%.*s' ('%.*s') with %lld instances, not as the store says",
                      t->project, procedure, STR_ARG(v[1].str), STR_ARG(v[2].str), (long long)v[4].i64);
}

static void compare_link(struct judge *j, const struct extract_time *t, const struct duck_value *v)
{
    struct found *f = judge_find(j, t->project, v[0].i64);
    if (f == NULL || f->in_linker || !judge_is_delivered(f) || !str_eq(v[1].str, str_of(f->uid)))
        judge_differs(j, "IMAGE_LINKER of %s: procedure %lld is not as the store says", t->project,
                      (long long)v[0].i64);
    else
        f->in_linker = true;
}

static bool compare_table(struct judge *j, const struct extract_time *t, const char *path, const char *sql,
                          void (*compare)(struct judge *j, const struct extract_time *t, const struct duck_value *v),
                          struct pixl_error *err)
{
    const struct duck_value file = { .type = DUCK_STR, .str = str_of(path) };
    struct duck_value v[8];
    duck_rows_auto *rows = NULL;
    bool got;
    if (!duck_query(j->duck, sql, &file, 1, &rows, err))
        return unreadable(j, path, err);
    do {
        if (!duck_rows_next(rows, v, &got, err))
            return unreadable(j, path, err);
        if (got)
            compare(j, t, v);
    } while (got);
    return true;
}

/* The extract's public files came as they were. */
static bool compare_public(struct judge *j, const char *parquet_dir, struct pixl_error *err)
{
    static const char *const files[] = { "public/omop/PROCEDURE_OCCURRENCE.parquet", "public/omop/PERSON.parquet" };
    for (size_t i = 0; i < ARRAY_LEN(files); i++) {
        const char *from = fs_path(&j->arena, j->d->omop_dir, files[i]),
                   *to = fs_path3(&j->arena, parquet_dir, "omop", files[i]);
        uint8_t want[32], got[32];
        uint64_t size;
        if (from == NULL || to == NULL)
            return pixl_fail(err, PIXL_E_NOMEM, 0, "list of files");
        if (!fs_digest(from, want, &size, err))
            return false;
        if (!fs_exists(to))
            judge_differs(j, "omop/%s did not come", files[i]);
        else if (!fs_digest(to, got, &size, err))
            return unreadable(j, files[i], err);
        else if (memcmp(want, got, sizeof want) != 0)
            judge_differs(j, "omop/%s is not what the extract held", files[i]);
    }
    return true;
}

static bool judge_extract(struct judge *j, const struct extract_time *t, struct pixl_error *err)
{
    const char *project_dir = fs_path(&j->arena, j->d->safe_haven_dir, t->project);
    const char *dir = project_dir ? fs_path3(&j->arena, project_dir, t->slug, "parquet") : NULL;
    const char *outcomes = dir ? fs_path3(&j->arena, dir, "radiology", "OUTCOMES.parquet") : NULL;
    const char *linker = dir ? fs_path3(&j->arena, dir, "radiology", "IMAGE_LINKER.parquet") : NULL;
    if (outcomes == NULL || linker == NULL)
        return pixl_fail(err, PIXL_E_NOMEM, 0, "list of files");
    if (!compare_table(j, t, outcomes, outcomes_sql, compare_outcome, err) ||
        !compare_table(j, t, linker, linker_sql, compare_link, err))
        return false;
    return strcmp(t->project, j->d->omop_project) != 0 || compare_public(j, dir, err);
}

static void judge_all_listed(struct judge *j)
{
    for (size_t i = 0; i < j->n_found; i++) {
        const struct found *f = &j->found[i];
        if (!f->in_outcomes)
            judge_differs(j, "OUTCOMES of %s: procedure %lld is not there", f->project, (long long)f->procedure);
        if (!f->in_linker && judge_is_delivered(f))
            judge_differs(j, "IMAGE_LINKER of %s: procedure %lld is not there", f->project, (long long)f->procedure);
    }
}

/* --- every file and name ----------------------------------------------------------------------------------------- */

static bool search_parquet(struct judge *j, const char *path, struct pixl_error *err)
{
    const struct duck_value file = { .type = DUCK_STR, .str = str_of(path) };
    duck_rows_auto *rows = NULL;
    bool got;
    if (!duck_query(j->duck, "SELECT COLUMNS(*)::VARCHAR FROM read_parquet($1)", &file, 1, &rows, err))
        return unreadable(j, path, err);
    size_t n = duck_rows_columns(rows);
    struct duck_value *v = arena_calloc(&j->instance, n, sizeof *v);
    if (v == NULL)
        return pixl_fail(err, PIXL_E_NOMEM, 0, "a row of a table");
    do {
        if (!duck_rows_next(rows, v, &got, err))
            return unreadable(j, path, err);
        for (size_t i = 0; got && i < n; i++)
            if (v[i].type == DUCK_STR)
                judge_search(j, v[i].str, path);
    } while (got);
    return true;
}

static bool search_file(struct judge *j, const char *path, const char *name, struct pixl_error *err)
{
    struct arena content;
    struct str s = str_of(name), bytes;
    bool is_zip = s.n > 4 && str_eq((struct str){ s.p + s.n - 4, 4 }, STR(".zip"));
    bool is_parquet = s.n > 8 && str_eq((struct str){ s.p + s.n - 8, 8 }, STR(".parquet"));
    if (is_zip) /* judge_zips() looks into each entry */
        return true;
    arena_reset(&j->instance);
    arena_init(&content, FILE_BYTES_MAX + 4096);
    bool ok = fs_read_whole(&content, path, FILE_BYTES_MAX, &bytes, err);
    if (ok)
        judge_search(j, bytes, path);
    else
        ok = unreadable(j, path, err);
    arena_done(&content);
    return ok && (!is_parquet || search_parquet(j, path, err));
}

static bool search_name(struct judge *j, const char *dir, const char *name, void *ctx, struct pixl_error *err)
{
    const int *depth = ctx;
    int deeper = *depth + 1;
    struct stat st;
    char link[WHERE_BYTES];
    const char *path = fs_path(&j->arena, dir, name);
    if (path == NULL)
        return pixl_fail(err, PIXL_E_NOMEM, 0, "list of files");
    judge_search(j, str_of(name), "the name of a file");
    if (lstat(path, &st) != 0) {
        judge_differs(j, "%s cannot be looked at", path);
        return true;
    }
    if (S_ISLNK(st.st_mode)) {
        ssize_t n = readlink(path, link, sizeof link);
        judge_search(j, (struct str){ link, n > 0 ? (size_t)n : 0 }, path);
        return true;
    }
    if (S_ISREG(st.st_mode))
        return search_file(j, path, name, err);
    if (!S_ISDIR(st.st_mode) || deeper > DEPTH_MAX) {
        judge_differs(j, "%s must not be there", path);
        return true;
    }
    return judge_each_name(j, path, search_name, &deeper, err);
}

bool judge_files(struct judge *j, struct pixl_error *err)
{
    int depth = 0;
    for (size_t i = 0; i < j->n_times; i++)
        if (!judge_extract(j, &j->times[i], err))
            return false;
    judge_all_listed(j);
    return judge_each_name(j, j->d->safe_haven_dir, search_name, &depth, err) &&
           judge_each_name(j, j->d->exports_dir, search_name, &depth, err);
}
