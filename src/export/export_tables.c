/* IMAGE_LINKER and OUTCOMES: the store's rows go through a table of DuckDB, which sorts and writes them.  Both files
 * are finished before the first takes its place: they are of one snapshot but for a crash between the two renames. */
#include "export.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/duck.h"
#include "base/fs.h"
#include "export_internal.h"

enum { DUCK_MIB = 256 };

static const char create_table[] =
    "CREATE TABLE outcome (procedure_occurrence_id BIGINT, outcome VARCHAR, reason VARCHAR, pseudo_study_uid VARCHAR, "
    "instances_found BIGINT, instances_delivered BIGINT, instances_skipped BIGINT)";

static const struct {
    const char *file, *query;
} tables[] = {
    { "IMAGE_LINKER.parquet",
      "SELECT DISTINCT procedure_occurrence_id, pseudo_study_uid FROM outcome WHERE pseudo_study_uid IS NOT NULL "
      "ORDER BY procedure_occurrence_id, pseudo_study_uid" },
    { "OUTCOMES.parquet",
      "SELECT procedure_occurrence_id, outcome, reason, pseudo_study_uid, instances_found, instances_delivered, "
      "instances_skipped FROM outcome ORDER BY procedure_occurrence_id, pseudo_study_uid NULLS LAST, outcome, reason, "
      "instances_found, instances_delivered, instances_skipped" },
};
enum { LINKER, OUTCOMES, TABLE_COUNT };

struct collecting {
    struct duck_appender *appender;
    struct pixl_error err;       /* of the callback, which has no other way */
};

static struct duck_value text_or_null(struct str s)
{
    return (struct duck_value){ .type = s.n > 0 ? DUCK_STR : DUCK_NULL, .str = s };
}

static struct duck_value number(int64_t n)
{
    return (struct duck_value){ .type = DUCK_I64, .i64 = n };
}

/* A withheld study says that and no more: why, and how many instances it has, might tell of the patient. */
static bool collect(void *ctx, const struct store_outcome *o)
{
    struct collecting *c = ctx;
    bool is_withheld = o->state == STUDY_WITHHELD;
    bool is_delivered = o->state == STUDY_EXPORTED || o->state == STUDY_KEPT;
    const struct duck_value null = { .type = DUCK_NULL };
    const struct duck_value row[] = {
        number(o->procedure_occurrence_id),
        text_or_null(str_of(study_state_name(o->state))),
        is_withheld ? null : text_or_null(str_of(study_reason_name(o->reason))),
        is_delivered ? text_or_null(o->pseudo_study_uid) : null,
        is_withheld ? null : number(o->instances_found),
        is_withheld ? null : number(is_delivered ? o->instances_delivered : 0),    /* a zip that went nowhere is not */
        is_withheld ? null : number(o->instances_skipped),
    };
    return duck_append(c->appender, row, ARRAY_LEN(row), &c->err);
}

static bool load_outcomes(struct duck *d, struct store *s, struct str slug, struct str extract_time,
                          struct pixl_error *err)
{
    struct collecting c = { 0 };
    if (!duck_run(d, create_table, NULL, 0, err) || !duck_append_begin(d, "outcome", &c.appender, err))
        return false;
    bool ok = store_each_outcome(s, slug, extract_time, collect, &c, err);
    if (!ok && c.err.code != PIXL_OK)
        *err = c.err;
    struct pixl_error at_end = { 0 };
    if (!duck_append_end(c.appender, &at_end) && ok) {
        *err = at_end;
        ok = false;
    }
    return ok;
}

static bool count_rows(struct duck *d, size_t table, int64_t *out, struct pixl_error *err)
{
    char sql[1024];
    (void)snprintf(sql, sizeof sql, "SELECT count(*) FROM (%s)", tables[table].query);
    duck_rows_auto *rows = NULL;
    struct duck_value v = { 0 };
    bool got = false;
    if (!duck_query(d, sql, NULL, 0, &rows, err) || !duck_rows_next(rows, &v, &got, err))
        return false;
    *out = v.i64;
    return true;
}

/* Into the temporary file that f already is, so that its name, mode and sync are those of every other file of ours. */
static bool write_table(struct arena *a, struct duck *d, size_t table, const char *dir, struct fs_new_file *f,
                        struct pixl_error *err)
{
    char suffix[32];
    (void)snprintf(suffix, sizeof suffix, "%ld", (long)getpid());
    const char *path = fs_path(a, dir, tables[table].file);
    if (path == NULL)
        return pixl_fail(err, PIXL_E_NOMEM, 0, "export a table");
    if (!fs_new_file_open(f, path, suffix, EXPORT_FILE_MODE, err))
        return false;
    const char *quoted = duck_quote(a, str_of(f->temp_path));
    buf_auto sql = { 0 };
    buf_init(&sql, 1 << 16);
    if (quoted == NULL || !buf_addf(&sql, "COPY (%s) TO %s (FORMAT parquet, COMPRESSION snappy, USE_TMP_FILE false)",
                                    tables[table].query, quoted))
        return pixl_fail(err, PIXL_E_NOMEM, 0, "export a table");
    return duck_run(d, buf_cstr(&sql), NULL, 0, err);
}

static bool write_all(struct arena *a, struct store *s, const char *dir, struct str slug, struct str extract_time,
                      const char *temp_dir, struct export_counts *counts, struct pixl_error *err)
{
    duck_auto *d = NULL;
    fs_new_file_auto linker = FS_NEW_FILE_NONE;
    fs_new_file_auto outcomes = FS_NEW_FILE_NONE;
    struct fs_new_file *files[TABLE_COUNT] = { [LINKER] = &linker, [OUTCOMES] = &outcomes };
    int64_t rows[TABLE_COUNT] = { 0 };
    if (!duck_open(temp_dir, DUCK_MIB, &d, err) || !load_outcomes(d, s, slug, extract_time, err))
        return false;
    for (size_t i = 0; i < TABLE_COUNT; i++)
        if (!count_rows(d, i, &rows[i], err) || !write_table(a, d, i, dir, files[i], err))
            return pixl_wrap(err, "%s", tables[i].file);
    for (size_t i = 0; i < TABLE_COUNT; i++)
        if (!fs_new_file_commit(files[i], err))
            return pixl_wrap(err, "%s", tables[i].file);
    *counts = (struct export_counts){ .linked = rows[LINKER], .outcomes = rows[OUTCOMES] };
    return true;
}

bool export_write_tables(struct store *s, const char *root, struct str slug, struct str extract_time,
                         struct str time_slug, const char *temp_dir, struct export_counts *counts,
                         struct pixl_error *err)
{
    struct arena a;
    arena_init(&a, EXPORT_ARENA_BYTES);
    char *dir = NULL, *radiology = NULL;
    struct export_counts written = { 0 };
    bool ok = export_make_extract_dir(&a, root, slug, time_slug, &dir, err) &&
              export_make_dir(&a, dir, "radiology", &radiology, err) &&
              write_all(&a, s, radiology, slug, extract_time, temp_dir, &written, err) &&
              export_move_latest(&a, root, slug, time_slug, err);
    arena_done(&a);
    if (ok)
        *counts = written;
    return ok;
}
