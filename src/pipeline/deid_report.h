/* deid_report.h - the report of `pixl deid`: what was done, counted, as one HTML page or one JSON file.
 *
 * It may be handed on with the data: it names no input file, no value that was removed or changed, and of a study that
 * was withheld nothing but that there was one.  The values that it shows, of one instance, are read from the file that
 * was written.  docs/deid-report.md names the fields of the JSON.
 * Owns: the file under construction, counts, the chosen instance's rows.
 * Never: reads a value of the input; leaves a half report under its name.
 * Threads: one report belongs to one thread. */
#ifndef PIXL_PIPELINE_DEID_REPORT_H
#define PIXL_PIPELINE_DEID_REPORT_H

#include "config/project.h"
#include "deid/report.h"
#include "dicom/file.h"
#include "study/state.h"

struct deid_report_options {
    const char *path;     /* ends in .html or .json */
    const char *instance; /* shown element by element: "3", the third that is written, or the path of an input
                                      * file; NULL: the first that is written */
    const char *version;  /* of pixl */
};
/* Fails: INVALID (an ending that is not known, an instance that cannot be). */
PIXL_MUST_CHECK bool deid_report_check(const struct deid_report_options *o, struct pixl_error *err);

struct deid_report;
/* Checks, and makes the file's temporary neighbour, so that a place that cannot be written is found before work begins.
 * o is borrowed.  Fails: as deid_report_check(); IO, DENIED, NO_SPACE, NOMEM. */
PIXL_MUST_CHECK bool deid_report_open(const struct deid_report_options *o, struct deid_report **out,
                                      struct pixl_error *err);
void deid_report_free(struct deid_report *r); /* what is not finished leaves nothing */
PIXL_DEFINE_CLEANUP(deid_report, deid_report_free)

/* For deid_study_args; NULL gives NULL. */
struct report *deid_report_counts(struct deid_report *r);
/* An input was left out; where: a tag path, which is not told of what would have been identity.  r may be NULL. */
void deid_report_left_out(struct deid_report *r, enum study_reason why, const char *where);
/* An instance was written to path.  fd, f and actions: of the input, as deid_instance() left them.
 * Fails: IO, CORRUPT, NOMEM, LIMIT when what was written cannot be read back. */
PIXL_MUST_CHECK bool deid_report_instance(struct deid_report *r, int fd, const struct dicom_file *f,
                                          const uint8_t *actions, const char *path, struct pixl_error *err);
/* r may be NULL. */
void deid_report_end_study(struct deid_report *r, bool is_delivered);

struct deid_files_counts;
struct deid_report_facts {
    const struct project *project;
    bool is_basic_profile;
    const struct deid_files_counts *counts;
};
/* Writes it under its name.  Fails: NOMEM, LIMIT, IO, NO_SPACE. */
PIXL_MUST_CHECK bool deid_report_finish(struct deid_report *r, const struct deid_report_facts *facts,
                                        struct pixl_error *err);

#endif
