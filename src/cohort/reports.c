/* All kinds give a row as texts and a number; what a row must be is checked here, once. */
#include "reports.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/count.h"
#include "base/pg_db.h"
#include "base/slug.h"
#include "cohort_internal.h"
#include "config/nearest.h"

enum { ARENA_BYTES = 1 << 20, DUCK_MIB = 512, IDENTIFIER_BYTES_MAX = 255, CONNECT_MS = 10000, STATEMENT_MS = 300000 };

enum column { PROCEDURE, TEXT, IDENTIFIER, PROJECT, TIME, COL_COUNT };
static const char *const names[COL_COUNT] = {
    [PROCEDURE] = "procedure_occurrence_id",
    [TEXT] = "image_report",
    [IDENTIFIER] = "image_identifier",
    [PROJECT] = "project_name",
    [TIME] = "extract_datetime",
};

struct reports {
    struct arena arena;
    const char *name;
    size_t at[COL_COUNT]; /* which cell of a record; SIZE_MAX: not there */
    size_t n_cells;
    struct csv *csv; /* one of the three */
    struct duck *duck;
    struct duck_rows *rows;
    int fd; /* of the parquet */
    struct pg_db *db;
    struct sql_stmt *table;
    struct str project; /* bound to its statement */
    uint64_t row;
    bool failed;
};

static bool fail_memory(struct pixl_error *err)
{
    return pixl_fail(err, PIXL_E_NOMEM, 0, "read reports");
}

/* --- columns ---------------------------------------------------------------------------------------------------- */

/* Takes the name of column `at` (from 0).  No name is shown: without a header it would be a patient's data. */
static bool take_name(struct reports *f, struct str name, size_t at, struct pixl_error *err)
{
    for (size_t i = 0; i < COL_COUNT; i++) {
        if (!str_eq(name, str_of(names[i])))
            continue;
        if (f->at[i] != SIZE_MAX)
            return pixl_fail(err, PIXL_E_INVALID, 0, "%s: column '%s' is there twice", f->name, names[i]);
        f->at[i] = at;
        return true;
    }
    if (f->csv == NULL && str_is_prefix(name, STR("__index_level_"))) /* pandas adds it to what it filtered */
        return true;
    struct nearest_text hint = nearest_hint_of(name, names, COL_COUNT);
    if (hint.text[0] != '\0')
        return pixl_fail(err, PIXL_E_INVALID, 0, "%s: column %zu has an unknown name%s", f->name, at + 1, hint.text);
    return pixl_fail(err, PIXL_E_INVALID, 0, "%s: column %zu has an unknown name; reports have %s and %s, and perhaps %s, %s, %s",
                     f->name, at + 1, names[PROCEDURE], names[TEXT], names[IDENTIFIER], names[PROJECT], names[TIME]);
}

static bool check_names(const struct reports *f, struct pixl_error *err)
{
    for (size_t i = PROCEDURE; i <= TEXT; i++)
        if (f->at[i] == SIZE_MAX)
            return pixl_fail(err, PIXL_E_INVALID, 0, "%s: reports need the columns '%s' and '%s'; '%s' is missing",
                             f->name, names[PROCEDURE], names[TEXT], names[i]);
    return true;
}

static bool open_csv(struct reports *f, const char *path, struct pixl_error *err)
{
    struct csv_record r;
    if (!csv_open(path, &f->csv, err))
        return pixl_wrap(err, "%s", f->name);
    if (!cohort_csv_header(f->csv, f->name, &r, err))
        return false;
    for (size_t i = 0; i < r.n; i++)
        if (!take_name(f, cohort_trim(r.cells[i]), i, err))
            return false;
    f->n_cells = r.n;
    return check_names(f, err);
}

/* --- parquet ---------------------------------------------------------------------------------------------------- */

static bool fail_data(const struct reports *f, struct pixl_error *err)
{
    if (err->code == PIXL_E_CORRUPT || err->code == PIXL_E_INTERNAL) {
        pixl_error_clear(err);
        return pixl_fail(err, PIXL_E_CORRUPT, 0, "%s: the parquet data is damaged", f->name);
    }
    return pixl_wrap(err, "%s", f->name);
}

/* What a column of that type is read as; NULL: it cannot be what is wanted. */
static const char *type_to_read(enum column col, struct str type)
{
    if (col == PROCEDURE)
        return cohort_is_whole_type(type) ? "BIGINT" : cohort_is_real_type(type) ? "DOUBLE" : NULL;
    bool is_time = str_is_prefix(type, STR("TIMESTAMP")) || str_eq(type, STR("DATE"));
    return str_eq(type, STR("VARCHAR")) || (col == TIME && is_time) ? "VARCHAR" : NULL;
}

/* A column that is NULL throughout is written with whatever type the writer pleases. */
static bool is_all_null(struct reports *f, const char *source, enum column col, bool *out, struct pixl_error *err)
{
    char sql[256];
    (void)snprintf(sql, sizeof sql, "SELECT count(\"%s\") FROM %s", names[col], source);
    duck_rows_auto *rows = NULL;
    struct duck_value v = { 0 };
    bool got = false;
    if (!duck_query(f->duck, sql, NULL, 0, &rows, err) || !duck_rows_next(rows, &v, &got, err))
        return fail_data(f, err);
    *out = got && v.i64 == 0;
    return true;
}

static bool read_types(struct reports *f, const char *source, struct str types[COL_COUNT], struct pixl_error *err)
{
    char sql[256];
    (void)snprintf(sql, sizeof sql, "SELECT column_name, column_type FROM (DESCRIBE SELECT * FROM %s)", source);
    duck_rows_auto *rows = NULL;
    struct duck_value v[2];
    if (!duck_query(f->duck, sql, NULL, 0, &rows, err))
        return fail_data(f, err);
    for (size_t at = 0;; at++) {
        bool got;
        if (!duck_rows_next(rows, v, &got, err))
            return fail_data(f, err);
        if (!got)
            return check_names(f, err);
        if (!take_name(f, v[0].str, at, err))
            return false;
        for (size_t i = 0; i < COL_COUNT; i++)
            if (f->at[i] == at && (types[i] = arena_str(&f->arena, v[1].str)).p == NULL)
                return fail_memory(err);
    }
}

/* SELECT of all columns in our order; NULL stands for what the file lacks and for what does not fit. */
static bool start_query(struct reports *f, const char *source, struct pixl_error *err)
{
    static const char *const wanted[COL_COUNT] = {
        [PROCEDURE] = "whole numbers are",
        [TEXT] = "text is",
        [IDENTIFIER] = "text is",
        [PROJECT] = "text is",
        [TIME] = "a time is",
    };
    struct str types[COL_COUNT] = { { 0 } };
    buf_auto sql;
    buf_init(&sql, 4096);
    if (!read_types(f, source, types, err))
        return false;
    for (size_t i = 0; i < COL_COUNT; i++) {
        const bool is_there = f->at[i] != SIZE_MAX;
        const char *type = is_there ? type_to_read((enum column)i, types[i]) : NULL;
        bool is_null = true;
        if (is_there && type == NULL && !is_all_null(f, source, (enum column)i, &is_null, err))
            return false;
        if (!is_null)
            return pixl_fail(err, PIXL_E_INVALID, 0, "%s: column '%s' has the wrong type: %s expected", f->name,
                             names[i], wanted[i]);
        (void)buf_add_cstr(&sql, i ? ", " : "SELECT ");
        (void)(type != NULL ? buf_addf(&sql, "TRY_CAST(\"%s\" AS %s)", names[i], type) : buf_add_cstr(&sql, "NULL"));
    }
    if (!buf_addf(&sql, " FROM %s", source))
        return fail_memory(err);
    return duck_query(f->duck, buf_cstr(&sql), NULL, 0, &f->rows, err) || fail_data(f, err);
}

/* The file is named by its descriptor: no character of its path can act as a wildcard. */
static bool open_parquet(struct reports *f, const char *path, const char *temp_dir, struct pixl_error *err)
{
    char source[128];
    f->fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (f->fd < 0)
        return pixl_fail_errno(err, errno, "%s", f->name);
    (void)snprintf(source, sizeof source, "read_parquet('/proc/self/fd/%d', hive_partitioning=false)", f->fd);
    return cohort_check_parquet(f->fd, f->name, err) && duck_open(temp_dir, DUCK_MIB, &f->duck, err) &&
           duck_run(f->duck, "SET TimeZone = 'UTC'", NULL, 0, err) && start_query(f, source, err);
}

/* --- rows ------------------------------------------------------------------------------------------------------- */

PIXL_PRINTF(2, 3) static void refuse(struct reports_row *row, const char *fmt, ...)
{
    va_list ap;
    *row = (struct reports_row){ .refused = true, .line = row->line };
    va_start(ap, fmt);
    (void)vsnprintf(row->why, sizeof row->why, fmt, ap);
    va_end(ap);
}

static bool has_controls(struct str s)
{
    for (size_t i = 0; i < s.n; i++)
        if ((unsigned char)s.p[i] < 0x20 || s.p[i] == 0x7F)
            return true;
    return false;
}

/* cells: of the columns that are there.  The procedure is in the row already. */
static void check_row(const struct reports *f, const struct str cells[COL_COUNT], struct reports_row *row)
{
    row->project = cohort_trim(cells[PROJECT]);
    row->image_identifier = cohort_trim(cells[IDENTIFIER]);
    row->text = cells[TEXT];
    if (cohort_trim(row->text).n == 0)
        row->text = (struct str){ 0 };
    if (row->text.n > REPORTS_TEXT_BYTES_MAX)
        refuse(row, "image_report: longer than %d bytes", REPORTS_TEXT_BYTES_MAX);
    else if (row->text.n > 0 && memchr(row->text.p, '\0', row->text.n) != NULL)
        refuse(row, "image_report: holds a NUL character");
    else if (row->image_identifier.n > IDENTIFIER_BYTES_MAX || has_controls(row->image_identifier))
        refuse(row, "image_identifier: longer than %d bytes, or with control characters", IDENTIFIER_BYTES_MAX);
    else if (f->at[PROJECT] != SIZE_MAX && !slug_is_valid(row->project))
        refuse(row, "%s", cohort_why_no_slug(row->project));
    else if (f->at[TIME] != SIZE_MAX && !iso_time_parse(cohort_trim(cells[TIME]), &row->extract_time))
        refuse(row, "extract_datetime: not a time like 2023-12-07T14:08:58");
}

static bool next_csv(struct reports *f, bool *got, struct reports_row *row, struct pixl_error *err)
{
    struct csv_record r;
    struct str cells[COL_COUNT] = { { 0 } };
    if (!csv_next(f->csv, got, &r, err))
        return pixl_wrap(err, "%s", f->name);
    if (!*got)
        return true;
    row->line = r.line;
    if (r.n != f->n_cells) {
        refuse(row, "%zu %s where the header has %zu", r.n, count_word((int64_t)r.n, "cell", "cells"), f->n_cells);
        return true;
    }
    if (r.not_utf8 != 0) {
        refuse(row, "cell %zu is not UTF-8", r.not_utf8);
        return true;
    }
    for (size_t i = 0; i < COL_COUNT; i++)
        if (f->at[i] != SIZE_MAX)
            cells[i] = r.cells[f->at[i]];
    if (!str_to_i64(cohort_trim(cells[PROCEDURE]), &row->procedure_occurrence_id))
        refuse(row, "procedure_occurrence_id: not a whole number");
    else
        check_row(f, cells, row);
    return true;
}

static bool next_parquet(struct reports *f, bool *got, struct reports_row *row, struct pixl_error *err)
{
    struct duck_value v[COL_COUNT];
    struct str cells[COL_COUNT] = { { 0 } };
    if (!duck_rows_next(f->rows, v, got, err))
        return fail_data(f, err);
    if (!*got)
        return true;
    row->line = ++f->row;
    for (size_t i = TEXT; i < COL_COUNT; i++) {
        if (v[i].type != DUCK_STR)
            continue;
        cells[i] = v[i].str;
        if (!str_is_utf8(cells[i])) {
            refuse(row, "%s: not UTF-8", names[i]);
            return true;
        }
    }
    if (!cohort_read_id(&v[PROCEDURE], &row->procedure_occurrence_id))
        refuse(row, "procedure_occurrence_id: not a whole number");
    else
        check_row(f, cells, row);
    return true;
}

static bool next_in_table(struct reports *f, bool *got, struct reports_row *row, struct pixl_error *err)
{
    struct str cells[COL_COUNT];
    if (!sql_step(f->table, got, err))
        return pixl_wrap(err, "%s", f->name);
    if (!*got)
        return true;
    row->line = ++f->row;
    for (int i = 0; i < COL_COUNT; i++)
        cells[i] = sql_col_str(f->table, i);
    if (!str_to_i64(cohort_trim(cells[PROCEDURE]), &row->procedure_occurrence_id))
        refuse(row, "procedure_occurrence_id: not a whole number");
    else
        check_row(f, cells, row);
    return true;
}

bool reports_next(struct reports *f, bool *got, struct reports_row *out, struct pixl_error *err)
{
    struct reports_row row = { 0 };
    bool more = false;
    if (f->failed)
        return pixl_fail(err, PIXL_E_INVALID, 0, "%s: its reading has failed before", f->name);
    f->failed = !(f->csv != NULL  ? next_csv(f, &more, &row, err)
                  : f->db != NULL ? next_in_table(f, &more, &row, err)
                                  : next_parquet(f, &more, &row, err));
    if (f->failed)
        return false;
    if (more)
        *out = row;
    *got = more;
    return true;
}

bool reports_has_project(const struct reports *f)
{
    return f->at[PROJECT] != SIZE_MAX;
}

bool reports_has_time(const struct reports *f)
{
    return f->at[TIME] != SIZE_MAX;
}

/* --- open and close --------------------------------------------------------------------------------------------- */

static bool ends_in(const char *path, struct str end)
{
    struct str s = str_of(path);
    return s.n >= end.n && str_eq_nocase((struct str){ s.p + s.n - end.n, end.n }, end);
}

bool reports_open(const char *path, const char *temp_dir, struct reports **out, struct pixl_error *err)
{
    reports_auto *f = calloc(1, sizeof *f);
    if (f == NULL)
        return fail_memory(err);
    f->fd = -1;
    arena_init(&f->arena, ARENA_BYTES);
    for (size_t i = 0; i < COL_COUNT; i++)
        f->at[i] = SIZE_MAX;
    f->name = arena_cstr(&f->arena, cohort_base_name(path));
    if (f->name == NULL)
        return fail_memory(err);
    bool is_csv = ends_in(path, STR(".csv"));
    if (!is_csv && !ends_in(path, STR(".parquet")))
        return pixl_fail(err, PIXL_E_INVALID, 0, "reports %s: neither a file named .csv nor one named .parquet",
                         f->name);
    if (!(is_csv ? open_csv(f, path, err) : open_parquet(f, path, temp_dir, err)))
        return false;
    *out = PIXL_STEAL(&f);
    return true;
}

static bool find_table(struct sql *db, bool *there, struct pixl_error *err)
{
    sql_stmt_auto *q = NULL;
    bool got;
    if (!sql_prepare(
            db,
            SQL("SELECT 1 FROM information_schema.tables WHERE table_schema = 'emap_data' AND table_name = 'ehr_anon'"),
            &q, err) ||
        !sql_step(q, &got, err))
        return false;
    *there = got;
    return true;
}

/* Everything as text: nobody promised types. */
static bool start_table(struct reports *f, struct str project, struct pixl_error *err)
{
    struct sql *db = pg_db_sql(f->db);
    f->project = arena_str(&f->arena, project);
    if (f->project.p == NULL)
        return fail_memory(err);
    if (!sql_begin(db, SQL_BEGIN_SNAPSHOT, err) ||
        !sql_prepare(
            db,
            SQL_LONG(
                "SELECT procedure_occurrence_id::text, xray_report::text, image_identifier::text, project_name::text,"
                " extract_datetime::text FROM emap_data.ehr_anon WHERE project_name = ?1 ORDER BY 1, 5"),
            &f->table, err))
        return pixl_wrap(err, "%s", f->name);
    sql_bind_str(f->table, 1, f->project);
    for (size_t i = 0; i < COL_COUNT; i++)
        f->at[i] = i;
    return true;
}

bool reports_open_table(const char *url, struct str project, bool *there, struct reports **out, struct pixl_error *err)
{
    const struct pg_options o = { .url = url,
                                  .setup = "SET TIME ZONE 'UTC'; SET datestyle = 'ISO'",
                                  .connect_ms = CONNECT_MS,
                                  .statement_ms = STATEMENT_MS,
                                  .lock_ms = CONNECT_MS };
    reports_auto *f = calloc(1, sizeof *f);
    bool is_there;
    if (f == NULL)
        return fail_memory(err);
    f->fd = -1;
    f->name = "table emap_data.ehr_anon";
    arena_init(&f->arena, ARENA_BYTES);
    if (!pg_db_open(&o, &f->db, err) || !find_table(pg_db_sql(f->db), &is_there, err))
        return pixl_wrap(err, "%s", f->name);
    if (is_there && !start_table(f, project, err))
        return false;
    if (is_there)
        *out = PIXL_STEAL(&f);
    *there = is_there;
    return true;
}

void reports_close(struct reports *f)
{
    if (f == NULL)
        return;
    if (f->table != NULL)
        sql_reset(f->table);
    if (f->db != NULL)
        sql_rollback(pg_db_sql(f->db));
    pg_db_close(f->db);
    csv_free(f->csv);
    duck_rows_free(f->rows);
    duck_close(f->duck);
    if (f->fd >= 0)
        (void)close(f->fd);
    arena_done(&f->arena);
    free(f);
}
