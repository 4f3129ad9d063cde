/* reports.h - reads de-identified reports, a CSV, one parquet file or a table of a database, as a stream.
 *
 *   procedure_occurrence_id   whole number, required
 *   image_report              text, required; blank: the procedure has none
 *   image_identifier          text of at most 255 bytes
 *   project_name              slug
 *   extract_datetime          ISO 8601 time; in parquet also a timestamp
 * Columns in any order; another one ends the reading: a mistyped name must not lead a report to another extract.
 * Owns: the open file or query.  Never: touches the store; shows the content of a cell.
 * Threads: one reader belongs to one thread. */
#ifndef PIXL_COHORT_REPORTS_H
#define PIXL_COHORT_REPORTS_H

#include <stdint.h>

#include "base/error.h"
#include "study/iso_time.h"

enum { REPORTS_TEXT_BYTES_MAX = 1 << 20 };

struct reports;

/* path: a file whose name ends in .csv or .parquet (any case).  temp_dir: where DuckDB may spill.
 * Given: reports_close().  Fails: NOT_FOUND, INVALID (neither kind; a column, named), CORRUPT, UNSUPPORTED. */
PIXL_MUST_CHECK bool reports_open(const char *path, const char *temp_dir, struct reports **out, struct pixl_error *err);
/* The table emap_data.ehr_anon of a PostgreSQL database, where the EHR system of a hospital leaves them: the columns above,
 * with xray_report in the place of image_report; the rows of one project, which is named as in the table (a slug).
 * *there false: the database has no such table.  Fails: as pg_db_open(); INVALID (it lacks a column), DENIED. */
PIXL_MUST_CHECK bool reports_open_table(const char *url, struct str project, bool *there, struct reports **out,
                                        struct pixl_error *err);
void reports_close(struct reports *f);
PIXL_DEFINE_CLEANUP(reports, reports_close)
#define reports_auto PIXL_CLEANUP(reports_freep) struct reports

bool reports_has_project(const struct reports *f); /* does it have this column? */
bool reports_has_time(const struct reports *f);

/* A row, or why it was refused. */
struct reports_row {
    int64_t procedure_occurrence_id;
    struct str project, image_identifier, text; /* borrowed until the next call; trimmed but for the text */
    struct iso_time extract_time;               /* when there is the column */
    bool refused;
    uint64_t line; /* physical line of the CSV where the record starts; row of the parquet or table, from 1 */
    char why[160]; /* of a refused row: field and rule, never its content */
};
/* *got: false at the end.  After a failure: only reports_close(). */
PIXL_MUST_CHECK bool reports_next(struct reports *f, bool *got, struct reports_row *out, struct pixl_error *err);

#endif
