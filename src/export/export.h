/* export.h - the tables that go with the images: the tree below the export root.
 *
 *   <root>/<slug>/all_extracts/<time-slug>/omop/public/...        copied from the extract
 *                                         /radiology/IMAGE_LINKER.parquet, OUTCOMES.parquet, radiology.parquet
 *   <root>/<slug>/latest -> all_extracts/<newest time-slug>       relative, replaced atomically
 * Owns: nothing between calls.  Never: holds an identifier: what it writes is read from the store's pseudonyms.
 * Threads: one call at a time per project. */
#ifndef PIXL_EXPORT_EXPORT_H
#define PIXL_EXPORT_EXPORT_H

#include "base/arena.h"
#include "base/error.h"
#include "store/store.h"

/* Copies public_dir's content to .../omop/public, file by file and atomically; what is no longer in the source goes; folders that
 * are links are refused.  Then moves `latest` when this extract is the newest.
 * source: fingerprint; a time slug that is there with another source is refused (EXISTS), with the same it is resumed.
 * temp_dir: as duck_open().
 * Fails: NOT_FOUND (no public_dir), PRIVACY (a private table, NAME_LINKS, or a column like PrimaryMrn is in it; nothing is copied),
 * CORRUPT (a table that cannot be read; the same), NO_SPACE, DENIED, EXISTS, UNSUPPORTED (no DuckDB). */
PIXL_MUST_CHECK bool export_copy_public(const char *root, struct str slug, struct str time_slug, const char *public_dir,
                                        struct str source, const char *temp_dir, struct pixl_error *err);

enum { EXPORT_WITHHELD_SHOWN = 20 };
struct export_counts {
    int64_t linked, outcomes, reports; /* rows of the three tables */
    int64_t open[STUDY_STATE_COUNT];   /* rows of OUTCOMES whose study is not at an end, by its state */
    int64_t reports_withheld;
    struct export_withheld {
        int64_t request, procedure_occurrence_id;
    } withheld[EXPORT_WITHHELD_SHOWN]; /* the first of them */
};
/* Writes the radiology tables of one extract from the store (one snapshot), snappy, atomically, and moves `latest`.
 *   IMAGE_LINKER: procedure_occurrence_id BIGINT, pseudo_study_uid VARCHAR; exported and kept studies only
 *   OUTCOMES:     procedure_occurrence_id, outcome, reason, pseudo_study_uid (NULL when nothing was delivered), instances_found, instances_delivered,
 *                 instances_skipped; one row per request and study; a withheld study says no more than that
 *   radiology:    image_identifier VARCHAR (the pseudo study UID), procedure_occurrence_id, image_report; a row for each delivered
 *                 study of a procedure whose report passes report_check.h; no file when there is none
 * Sorted by procedure and pseudo UID.  Fails: NO_SPACE, DENIED, IO, UNSUPPORTED (no DuckDB). */
PIXL_MUST_CHECK bool export_write_tables(struct store *s, const char *root, struct str slug, struct str extract_time, struct str time_slug,
                                         const char *temp_dir, struct export_counts *counts, struct pixl_error *err);

/* Of an extract whose tables are written and delivered: a text that says of what, and where to.  It stands beside them.
 * *is_same false: another one, or none, or a table is not there. */
PIXL_MUST_CHECK bool export_write_record(const char *root, struct str slug, struct str time_slug, struct str record,
                                         struct pixl_error *err);
PIXL_MUST_CHECK bool export_compare_record(const char *root, struct str slug, struct str time_slug, struct str record,
                                           bool *is_same, struct pixl_error *err);

/* The table that can be gone again, by its path at the destination. */
#define EXPORT_REPORTS_REMOTE "radiology/radiology.parquet"

/* The files of one extract that are to be uploaded, with their path below <time-slug>/parquet/ at the destination
 * ("omop/public/PROCEDURE_OCCURRENCE.parquet", "radiology/OUTCOMES.parquet"), sorted; in the arena. */
struct export_file { const char *path; const char *remote; };
PIXL_MUST_CHECK bool export_list_files(const char *root, struct str slug, struct str time_slug, struct arena *a, struct export_file **out, size_t *n,
                                       struct pixl_error *err);

#endif
