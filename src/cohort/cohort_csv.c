/* The CSV kind: a header in one of two forms, the older one (dates as a spreadsheet shows them) and the present one,
 * which has study UIDs.  Every cell is text: "NA" and "null" are values like others, only blank means not known. */
#include <stdlib.h>
#include <string.h>

#include "cohort_internal.h"
#include "base/count.h"
#include "base/slug.h"
#include "config/nearest.h"

/* Symbol, name in the header, in the older form, in the present one: R required, O optional, N not there. */
#define COLUMNS(X)                                                       \
    X(PROCEDURE,    "procedure_id",                R, R)                 \
    X(MRN,          "mrn",                         R, R)                 \
    X(ACCESSION,    "accession_number",            R, R)                 \
    X(PROJECT,      "project_name",                R, R)                 \
    X(EXTRACT_TIME, "extract_generated_timestamp", R, R)                 \
    X(STUDY_DATE,   "study_date",                  R, R)                 \
    X(STUDY_UID,    "study_uid",                   N, R)                 \
    X(PARTICIPANT,  "participant_id",              N, R)                 \
    X(SERIES_UID,   "series_uid",                  N, O)
enum column {
#define X(symbol, name, older, present) COL_##symbol,
    COLUMNS(X)
#undef X
    COL_COUNT
};

/* Why the times of a file that lacks two columns are not read as README.md writes them. */
#define OLDER_FORM "as in files without study_uid and participant_id"

enum { N, O, R };
static const char *const column_names[] = {
#define X(symbol, name, older, present) name,
    COLUMNS(X)
#undef X
};
static const int column_needs[2][COL_COUNT] = {
    {
#define X(symbol, name, older, present) older,
    COLUMNS(X)
#undef X
    }, {
#define X(symbol, name, older, present) present,
    COLUMNS(X)
#undef X
    },
};

struct cohort_csv {
    struct cohort base;
    struct csv *csv;
    const char *name;
    bool is_present_form;
    size_t n_cells;
    size_t at[COL_COUNT];        /* cell of each column; SIZE_MAX: not there */
    char extract_time[ISO_TIME_SIZE];
};

static bool read_record(struct cohort_csv *c, bool *got, struct csv_record *out, struct pixl_error *err)
{
    return csv_next(c->csv, got, out, err) || pixl_wrap(err, "%s", c->name);
}

/* --- header ----------------------------------------------------------------------------------------------------- */

static size_t find_column(struct str name)
{
    size_t i = 0;
    while (i < COL_COUNT && !str_eq(name, str_of(column_names[i])))
        i++;
    return i;
}

static bool has_known_column(const struct cohort_csv *c)
{
    for (size_t i = 0; i < COL_COUNT; i++)
        if (c->at[i] != SIZE_MAX)
            return true;
    return false;
}

/* No cell of the first line is shown: in a file without header it holds a patient's data. */
static bool fail_missing(const struct cohort_csv *c, uint64_t line, size_t missing, const struct nearest_text *hint,
                         size_t unknown, struct pixl_error *err)
{
    char list[256] = "";
    size_t n = 0;
    const int *needs = column_needs[c->is_present_form ? 1 : 0];
    for (size_t i = 0; i < COL_COUNT && n < sizeof list; i++)
        if (needs[i] == R)
            n += (size_t)snprintf(list + n, sizeof list - n, "%s'%s'", n ? ", " : "", column_names[i]);
    char other[160] = "";
    if (unknown > 0)
        (void)snprintf(other, sizeof other, "; column %zu has an unknown name%s", unknown, hint->text);
    if (!has_known_column(c))
        (void)snprintf(other, sizeof other, "; none of its names is known: is the header missing?");
    return pixl_fail(err, PIXL_E_INVALID, 0,
                     "%s: line %llu: Export specification files are expected to have at least [%s] as column names; "
                     "'%s' is missing%s",
                     c->name, (unsigned long long)line, list, column_names[missing], other);
}

static bool map_header(struct cohort_csv *c, const struct csv_record *r, struct pixl_error *err)
{
    size_t unknown = 0;
    struct nearest_text hint = { "" };
    for (size_t i = 0; i < COL_COUNT; i++)
        c->at[i] = SIZE_MAX;
    for (size_t i = 0; i < r->n; i++) {
        struct str name = cohort_trim(r->cells[i]);
        size_t col = find_column(name);
        if (col == COL_COUNT) {
            if (unknown == 0) {
                unknown = i + 1;
                hint = nearest_hint_of(name, column_names, COL_COUNT);
            }
            continue;
        }
        if (c->at[col] != SIZE_MAX)
            return pixl_fail(err, PIXL_E_INVALID, 0, "%s: line %llu: column '%s' is there twice", c->name,
                             (unsigned long long)r->line, column_names[col]);
        c->at[col] = i;
    }
    c->is_present_form =
        c->at[COL_STUDY_UID] != SIZE_MAX || c->at[COL_PARTICIPANT] != SIZE_MAX || c->at[COL_SERIES_UID] != SIZE_MAX;
    for (size_t i = 0; i < COL_COUNT; i++)
        if (c->at[i] == SIZE_MAX && column_needs[c->is_present_form ? 1 : 0][i] == R)
            return fail_missing(c, r->line, i, &hint, unknown, err);
    if (unknown > 0)
        return pixl_fail(err, PIXL_E_INVALID, 0, "%s: line %llu: column %zu has an unknown name%s", c->name,
                         (unsigned long long)r->line, unknown, hint.text);
    c->n_cells = r->n;
    return true;
}

/* ';' or a tab in the only cell of the header: another dialect, the commonest mistake of all. */
static const char *strange_separator(const struct csv_record *r)
{
    if (r->n != 1 || r->cells[0].n == 0)
        return NULL;
    if (memchr(r->cells[0].p, ';', r->cells[0].n) != NULL)
        return "';'";
    return memchr(r->cells[0].p, '\t', r->cells[0].n) != NULL ? "tabs" : NULL;
}

bool cohort_csv_header(struct csv *csv, const char *name, struct csv_record *out, struct pixl_error *err)
{
    struct csv_record r;
    bool got = false;
    if (!csv_next(csv, &got, &r, err))
        return pixl_wrap(err, "%s", name);
    if (!got)
        return pixl_fail(err, PIXL_E_INVALID, 0, "%s: the file is empty; a header is expected", name);
    if (r.not_utf8 != 0)
        return pixl_fail(err, PIXL_E_INVALID, 0, "%s: line %llu: the header is not UTF-8", name,
                         (unsigned long long)r.line);
    const char *separator = strange_separator(&r);
    if (separator != NULL)
        return pixl_fail(err, PIXL_E_INVALID, 0, "%s: line %llu: the columns are separated by %s; commas are expected",
                         name, (unsigned long long)r.line, separator);
    *out = r;
    return true;
}

static bool read_header(struct cohort_csv *c, struct pixl_error *err)
{
    struct csv_record r;
    return cohort_csv_header(c->csv, c->name, &r, err) && map_header(c, &r, err);
}

/* --- rows ------------------------------------------------------------------------------------------------------- */

/* 1 to max digits off the front, then the character sep (0: the end). */
static bool take_part(struct str *s, size_t max, char sep, int *out)
{
    size_t n = 0;
    int v = 0;
    for (; n < s->n && n < max && s->p[n] >= '0' && s->p[n] <= '9'; n++)
        v = v * 10 + (s->p[n] - '0');
    if (n == 0 || (sep ? n >= s->n || s->p[n] != sep : n != s->n))
        return false;
    *s = sep ? (struct str){ s->p + n + 1, s->n - n - 1 } : (struct str){ NULL, 0 };
    *out = v;
    return true;
}

/* "%d/%m/%Y %H:%M", which like Python's strptime takes 3/2/2021 and 03/02/2021, taken as UTC. */
static bool parse_older(struct str s, struct iso_time *out)
{
    struct iso_time t = { .has_offset = true };
    struct str rest = s;
    if (!take_part(&rest, 2, '/', &t.day) || !take_part(&rest, 2, '/', &t.month) ||
        !take_part(&rest, 4, ' ', &t.year) || !take_part(&rest, 2, ':', &t.hour) || !take_part(&rest, 2, 0, &t.minute))
        return false;
    if (t.year < 1000 || !iso_time_is_day(t.year, t.month, t.day) || t.hour > 23 || t.minute > 59)
        return false;
    *out = t;
    return true;
}

static bool read_extract_time(struct cohort_csv *c, struct str cell, struct cohort_row *row)
{
    struct iso_time t;
    if (c->is_present_form && (!iso_time_parse(cell, &t) || !t.has_offset)) {
        cohort_refuse(row, "extract_generated_timestamp: not a time like 2023-12-07T14:08:58Z");
        return false;
    }
    if (!c->is_present_form && !parse_older(cell, &t)) {
        cohort_refuse(row, "extract_generated_timestamp: not a time like 07/12/2023 14:08 (day/month/year), " OLDER_FORM);
        return false;
    }
    t = iso_time_to_utc(&t);
    if (t.year < 1 || t.year > 9999) {
        cohort_refuse(row, "extract_generated_timestamp: not within the years 1 to 9999");
        return false;
    }
    iso_time_format(&t, c->extract_time);
    row->request.extract_time = str_of(c->extract_time);
    return true;
}

static bool read_study_date(const struct cohort_csv *c, struct str cell, struct cohort_row *row)
{
    struct iso_time t;
    if (cell.n == 0)
        return true;
    if (c->is_present_form && (cell.n != 10 || !iso_time_parse(cell, &t))) {
        cohort_refuse(row, "study_date: not a date like 2023-12-07");
        return false;
    }
    if (!c->is_present_form && !parse_older(cell, &t)) {
        cohort_refuse(row, "study_date: not a time like 07/12/2023 14:08 (day/month/year), " OLDER_FORM);
        return false;
    }
    row->request.study_date = t.year * 10000 + t.month * 100 + t.day;
    return true;
}

static struct str cell_of(const struct cohort_csv *c, const struct csv_record *r, enum column col)
{
    return c->at[col] == SIZE_MAX ? (struct str){ NULL, 0 } : cohort_trim(r->cells[c->at[col]]);
}

static void read_row(struct cohort_csv *c, const struct csv_record *r, struct cohort_row *row)
{
    row->line = r->line;
    if (r->n != c->n_cells) {
        cohort_refuse(row, "%zu %s where the header has %zu", r->n, count_word((int64_t)r->n, "cell", "cells"),
                      c->n_cells);
        return;
    }
    if (r->not_utf8 != 0) {
        cohort_refuse(row, "cell %zu is not UTF-8", r->not_utf8);
        return;
    }
    struct study_request *q = &row->request;
    q->priority = 1;
    q->project = cell_of(c, r, COL_PROJECT);
    q->mrn = phi_text(cell_of(c, r, COL_MRN));
    q->accession_number = phi_text(cell_of(c, r, COL_ACCESSION));
    q->study_uid = phi_text(cell_of(c, r, COL_STUDY_UID));
    q->series_uids = phi_text(cell_of(c, r, COL_SERIES_UID));
    q->participant_id = cell_of(c, r, COL_PARTICIPANT);
    if (!str_to_i64(cell_of(c, r, COL_PROCEDURE), &q->procedure_occurrence_id)) {
        cohort_refuse(row, "procedure_id: not a whole number");
        return;
    }
    if (!slug_is_valid(q->project)) {
        const struct str cell = q->project;
        cohort_refuse(row, "%s", cohort_why_no_slug(cell));
        row->no_slug = cell;
        return;
    }
    if (read_extract_time(c, cell_of(c, r, COL_EXTRACT_TIME), row) &&
        read_study_date(c, cell_of(c, r, COL_STUDY_DATE), row))
        cohort_check_row(row);
}

static bool csv_cohort_next(struct cohort *base, bool *got, struct cohort_row *out, struct pixl_error *err)
{
    struct cohort_csv *c = (struct cohort_csv *)base;
    struct csv_record r;
    if (!read_record(c, got, &r, err))
        return false;
    if (*got)
        read_row(c, &r, out);
    return true;
}

static void csv_cohort_close(struct cohort *base)
{
    struct cohort_csv *c = (struct cohort_csv *)base;
    csv_free(c->csv);
    arena_done(&c->base.arena);
    free(c);
}

static const struct cohort_ops csv_ops = { COHORT_CSV, csv_cohort_next, csv_cohort_close };

bool cohort_csv_open(const char *path, struct cohort **out, struct pixl_error *err)
{
    struct cohort_csv *c = calloc(1, sizeof *c);
    if (c == NULL)
        return pixl_fail(err, PIXL_E_NOMEM, 0, "open a cohort");
    cohort_auto *base = &c->base;
    c->base.ops = &csv_ops;
    arena_init(&c->base.arena, 1 << 16);
    c->name = arena_cstr(&c->base.arena, cohort_base_name(path));
    if (c->name == NULL)
        return pixl_fail(err, PIXL_E_NOMEM, 0, "open a cohort");
    if (!csv_open(path, &c->csv, err))
        return pixl_wrap(err, "%s", c->name);
    if (!read_header(c, err))
        return false;
    *out = PIXL_STEAL(&base);
    return true;
}
