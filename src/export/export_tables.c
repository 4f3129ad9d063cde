/* The radiology tables: the store's rows go through tables of DuckDB, which sorts and writes them.  All files are
 * finished before the first takes its place: they are of one snapshot but for a crash between the renames. */
#include "export.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/duck.h"
#include "base/fs.h"
#include "export_internal.h"
#include "report_check.h"

/* DuckDB keeps what was appended outside of its ceiling until the appender ends, and a whole row group while it writes:
 * reports, which may be long, go in and out in pieces of so many bytes. */
enum {
    DUCK_MIB = 256,
    APPENDED_BYTES_MAX = 16 << 20,
    ROW_GROUP_BYTES = 32 << 20,
    ROW_GROUP_ROWS = 122880,
    ROW_GROUP_ROWS_MIN = 2048
};

static const char create_outcomes[] =
    "CREATE TABLE outcome (procedure_occurrence_id BIGINT, outcome VARCHAR, reason VARCHAR, pseudo_study_uid VARCHAR, "
    "instances_found BIGINT, instances_delivered BIGINT, instances_skipped BIGINT)";
static const char create_reports[] =
    "CREATE TABLE report (image_identifier VARCHAR, procedure_occurrence_id BIGINT, image_report VARCHAR)";

/* Reports come sorted from the store, and DuckDB keeps the order of rows that nobody sorts: 1 GB of text stays where
 * it is. */
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
    { "radiology.parquet", "SELECT image_identifier, procedure_occurrence_id, image_report FROM report" },
};
enum { LINKER, OUTCOMES, REPORTS, TABLE_COUNT };

struct collecting {
    struct duck *duck;
    struct duck_appender *appender; /* of the outcomes, then of the reports; NULL: none is open */
    struct report_check *check;
    struct export_counts counts;
    bool in_reports;
    size_t appended_bytes;
    uint64_t report_bytes; /* of all */
    struct pixl_error err; /* of the callbacks, which have no other way */
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
    if (!study_state_is_end(o->state))
        c->counts.open[o->state]++;
    return duck_append(c->appender, row, ARRAY_LEN(row), &c->err);
}

static bool end_appender(struct collecting *c, struct pixl_error *err)
{
    return c->appender == NULL || duck_append_end(PIXL_STEAL(&c->appender), err);
}

/* The appender of the reports, which is made anew now and then: what it holds is DuckDB's then. */
static bool turn_to_reports(struct collecting *c)
{
    if (c->in_reports && c->appended_bytes < APPENDED_BYTES_MAX)
        return true;
    c->in_reports = true;
    c->appended_bytes = 0;
    return end_appender(c, &c->err) && duck_append_begin(c->duck, "report", &c->appender, &c->err);
}

static bool withhold(struct collecting *c, int64_t request, int64_t procedure)
{
    if (c->counts.reports_withheld < EXPORT_WITHHELD_SHOWN)
        c->counts.withheld[c->counts.reports_withheld] = (struct export_withheld){ request, procedure };
    c->counts.reports_withheld++;
    return true;
}

/* Only what would leave is checked; each delivered study of the procedure gets its row. */
static bool collect_report(void *ctx, const struct store_report *r, const struct store_subject *of)
{
    struct collecting *c = ctx;
    bool is_clean;
    if (r->is_withheld)
        return withhold(c, of->request, r->procedure_occurrence_id);
    if (of->n_delivered == 0)
        return true;
    if (!report_check_text(c->check, of, r->text, &is_clean, &c->err))
        return false;
    if (!is_clean)
        return withhold(c, of->request, r->procedure_occurrence_id);
    for (size_t i = 0; i < of->n_delivered; i++) {
        const struct duck_value row[] = { text_or_null(of->delivered[i]), number(r->procedure_occurrence_id),
                                          text_or_null(r->text) };
        if (!turn_to_reports(c) || !duck_append(c->appender, row, ARRAY_LEN(row), &c->err))
            return false;
        c->appended_bytes += r->text.n;
        c->report_bytes += r->text.n;
    }
    return true;
}

static bool load_tables(struct collecting *c, struct store *s, struct str slug, struct str extract_time,
                        struct pixl_error *err)
{
    const struct store_extract_reader reader = { collect, collect_report, c };
    if (!duck_run(c->duck, create_outcomes, NULL, 0, err) || !duck_run(c->duck, create_reports, NULL, 0, err) ||
        !duck_append_begin(c->duck, "outcome", &c->appender, err))
        return false;
    bool ok = store_read_extract(s, slug, extract_time, &reader, err);
    if (!ok && c->err.code != PIXL_OK)
        *err = c->err;
    struct pixl_error at_end = { 0 };
    if (!end_appender(c, &at_end) && ok) {
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

/* Rows of the largest row group; report_bytes: of all reports. */
static int64_t rows_per_group(size_t table, uint64_t report_bytes, int64_t rows)
{
    if (table != REPORTS || rows == 0)
        return ROW_GROUP_ROWS;
    uint64_t n = ROW_GROUP_BYTES / (report_bytes / (uint64_t)rows + 1);
    return n < ROW_GROUP_ROWS_MIN ? ROW_GROUP_ROWS_MIN : n > ROW_GROUP_ROWS ? ROW_GROUP_ROWS : (int64_t)n;
}

/* Into the temporary file that f already is, so that its name, mode and sync are those of every other file of ours. */
static bool write_table(struct arena *a, struct duck *d, size_t table, const char *path, int64_t group_rows,
                        struct fs_new_file *f, struct pixl_error *err)
{
    char suffix[32];
    (void)snprintf(suffix, sizeof suffix, "%ld", (long)getpid());
    if (!fs_new_file_open(f, path, suffix, EXPORT_FILE_MODE, err))
        return false;
    const char *quoted = duck_quote(a, str_of(f->temp_path));
    buf_auto sql = { 0 };
    buf_init(&sql, 1 << 16);
    if (quoted == NULL ||
        !buf_addf(&sql, "COPY (%s) TO %s (FORMAT parquet, COMPRESSION snappy, USE_TMP_FILE false, ROW_GROUP_SIZE %lld)",
                  tables[table].query, quoted, (long long)group_rows))
        return pixl_fail(err, PIXL_E_NOMEM, 0, "export a table");
    return duck_run(d, buf_cstr(&sql), NULL, 0, err);
}

/* A table of reports without a row is no table: the one that was there goes. */
static bool write_files(struct arena *a, struct collecting *c, const char *dir, struct pixl_error *err)
{
    fs_new_file_auto linker = FS_NEW_FILE_NONE;
    fs_new_file_auto outcomes = FS_NEW_FILE_NONE;
    fs_new_file_auto reports = FS_NEW_FILE_NONE;
    struct fs_new_file *files[TABLE_COUNT] = { [LINKER] = &linker, [OUTCOMES] = &outcomes, [REPORTS] = &reports };
    int64_t rows[TABLE_COUNT] = { 0 };
    const char *paths[TABLE_COUNT];
    for (size_t i = 0; i < TABLE_COUNT; i++) {
        paths[i] = fs_path(a, dir, tables[i].file);
        if (paths[i] == NULL)
            return pixl_fail(err, PIXL_E_NOMEM, 0, "export a table");
        if (!count_rows(c->duck, i, &rows[i], err))
            return pixl_wrap(err, "%s", tables[i].file);
        if ((i != REPORTS || rows[i] > 0) &&
            !write_table(a, c->duck, i, paths[i], rows_per_group(i, c->report_bytes, rows[i]), files[i], err))
            return pixl_wrap(err, "%s", tables[i].file);
    }
    for (size_t i = 0; i < TABLE_COUNT; i++)
        if (!(files[i]->fd >= 0 ? fs_new_file_commit(files[i], err) : fs_remove(paths[i], err)))
            return pixl_wrap(err, "%s", tables[i].file);
    c->counts.linked = rows[LINKER];
    c->counts.outcomes = rows[OUTCOMES];
    c->counts.reports = rows[REPORTS];
    return true;
}

static bool write_all(struct arena *a, struct store *s, const char *dir, struct str slug, struct str extract_time,
                      const char *temp_dir, struct export_counts *counts, struct pixl_error *err)
{
    duck_auto *d = NULL;
    report_check_auto *check = NULL;
    if (!duck_open(temp_dir, DUCK_MIB, &d, err) || !report_check_new(&check, err))
        return false;
    struct collecting c = { .duck = d, .check = check };
    if (!load_tables(&c, s, slug, extract_time, err) || !write_files(a, &c, dir, err))
        return false;
    *counts = c.counts;
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
