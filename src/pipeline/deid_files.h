/* deid_files.h - `pixl deid`: de-identifies files or folders by a project's rules, without archive or store.
 *
 * Files are grouped by study first; each study's files are written below <out>/<pseudo study>/<pseudo series>/<pseudo SOP>.dcm, in the transfer
 * syntax they had, and only when the whole study passed the residue check.
 * Owns: nothing.  Never: writes into the input; follows links.  Threads: one call at a time. */
#ifndef PIXL_PIPELINE_DEID_FILES_H
#define PIXL_PIPELINE_DEID_FILES_H

#include "pipeline/deid_report.h"
#include "pipeline/site.h"

struct deid_files_options {
    const char *in, *out;            /* a file or folder; a folder, made when missing */
    struct str project;
    /* An input file that was not written: its path is for the user's terminal only (it may name a patient), never for a log. */
    void (*skipped)(void *ctx, const char *path, enum study_reason why, const char *where);
    void (*progress)(void *ctx, int64_t done, int64_t of);
    void *ctx;
    const struct deid_report_options *report; /* NULL: none is wanted */
};
/* files = not_dicom + written + all that was skipped + copies + held_back */
struct deid_files_counts {
    int64_t files, not_dicom, written, studies, withheld_studies, written_studies;
    int64_t copies;    /* of an instance that was there before, byte for byte */
    int64_t held_back; /* in withheld studies, and not skipped for a reason of their own */
    int64_t skipped_by[STUDY_REASON_COUNT];
    int64_t bytes;
};
/* s: opened with SITE_SECRETS.  Fails: configuration, keys, input that cannot be listed, output that cannot be written,
 * the report's place. */
PIXL_MUST_CHECK bool deid_files(struct site *s, const struct deid_files_options *o, struct deid_files_counts *counts, struct pixl_error *err);

#endif
