/* cohort.h - reads who is asked for: a CSV, or an OMOP ES extract in parquet, as a stream of study requests.
 *
 * Owns: the open file or query.  Never: touches the store; shows the content of a cell.
 * Threads: one cohort belongs to one thread. */
#ifndef PIXL_COHORT_COHORT_H
#define PIXL_COHORT_COHORT_H

#include <stdint.h>

#include "base/arena.h"
#include "base/error.h"
#include "study/request.h"

struct cohort;
enum cohort_kind { COHORT_CSV, COHORT_OMOP };

/* path: a file whose name ends in .csv (any case), or a folder that holds an OMOP ES extract.
 * temp_dir: where DuckDB may spill.  Given: cohort_close().
 * Fails: NOT_FOUND, INVALID (neither kind; a missing file, folder or column, named), UNSUPPORTED. */
PIXL_MUST_CHECK bool cohort_open(const char *path, const char *temp_dir, struct cohort **out, struct pixl_error *err);
enum cohort_kind cohort_kind(const struct cohort *c);

/* A row, or why it was refused. */
struct cohort_row {
    struct study_request request;    /* texts borrowed until the next call; priority 1 */
    bool refused;
    uint64_t line;                   /* physical line of the CSV where the record starts; row number of the join, from 1, for OMOP */
    char why[160];                   /* of a refused row: field and rule, never its content */
    struct str no_slug; /* what project_name holds, where that is why; who looks for the project that was meant
                                        says no more than its name: another column may stand there.  Else empty */
};
PIXL_MUST_CHECK bool cohort_next(struct cohort *c, bool *got, struct cohort_row *out, struct pixl_error *err);
/* Is there a row?  It is the next one that cohort_next() gives.  Asked before the first of them. */
PIXL_MUST_CHECK bool cohort_is_empty(struct cohort *c, bool *empty, struct pixl_error *err);

/* OMOP only: the slug of settings.cdm_source_name, the time of the extract, the folder whose content goes to the research environment, and a
 * fingerprint (hex) of the extract's summary and tables: the same extract again has the same. */
struct str cohort_project(const struct cohort *c);
struct str cohort_extract_time(const struct cohort *c);
const char *cohort_public_dir(const struct cohort *c);
struct str cohort_fingerprint(const struct cohort *c);
void cohort_close(struct cohort *c);
PIXL_DEFINE_CLEANUP(cohort, cohort_close)
#define cohort_auto PIXL_CLEANUP(cohort_freep) struct cohort

/* "2023-12-07T14:08:58+00:00" -> "2023-12-07t14-08-58-00-00": the name of an extract's folder; a negative offset becomes
 * "-minus-01-00", so that two offsets never share a folder.  In the arena.  Fails: INVALID when it is no ISO 8601 time. */
PIXL_MUST_CHECK bool cohort_time_slug(struct arena *a, struct str extract_time, struct str *out, struct pixl_error *err);

#endif
