/* deid_report_internal.h - what a report holds, for its writers: deid_report_html.c and deid_report_json.c.
 *
 * Every text here is valid UTF-8 without control characters, but for HTML's own, which its writer escapes. */
#ifndef PIXL_PIPELINE_DEID_REPORT_INTERNAL_H
#define PIXL_PIPELINE_DEID_REPORT_INTERNAL_H

#include "base/clock.h"
#include "base/fs.h"
#include "pipeline/deid_files.h"
#include "pipeline/deid_report.h"

enum { LEFT_OUT_MAX = 10000, SAMPLE_ROWS_MAX = 4000, SAMPLE_TEXT_MAX = 100, RULE_FILES_MAX = 64 };

struct left_out {
    enum study_reason why;
    char where[DEID_WHERE_SIZE];
};

/* One element, or the head of an item, of the chosen instance before and after. */
struct sample_row {
    uint32_t tag;
    unsigned depth;                    /* sequences around it */
    bool is_item, is_before, is_after; /* there before, there after */
    uint32_t item;                     /* number of the item, from 0 */
    enum dicom_vr vr;                  /* as written; of what is gone: as it was */
    enum report_action action;
    uint64_t before_bytes, after_bytes;
    const char *path;  /* "(0040,A730)[3].(0040,A160)"; NULL of an item */
    const char *after; /* the value, cut; NULL: bytes, or items, are told by their length */
};

struct sample {
    struct arena texts;
    struct sample_row *rows; /* malloc */
    size_t n, cap;
    uint64_t n_unlisted;
};
/* Was the value written as it was?  Then what is after is what was before. */
bool sample_is_same(const struct sample_row *row);
void sample_init(struct sample *s);
void sample_done(struct sample *s);
/* Fills an empty sample.  before: with an action of each element.  Fails: as deid_report_instance(). */
PIXL_MUST_CHECK bool sample_take(struct sample *s, const struct dicom_file *before, const uint8_t *actions,
                                 const char *written_path, struct pixl_error *err);

struct deid_report {
    const struct deid_report_options *o;
    bool is_html;
    struct fs_new_file file;
    struct report *counts;
    struct arena texts;
    int64_t began_wall_us, began_us;
    struct left_out *left_out; /* malloc */
    size_t n_left_out, cap_left_out;
    uint64_t n_left_out_unlisted;
    uint64_t wanted_number; /* 0: by file */
    dev_t wanted_device;
    ino_t wanted_inode;
    uint64_t n_written, n_in_study; /* instances: of ended studies, of the one in hand */
    struct sample sample;
    uint64_t sample_number;  /* 0: there is none */
    bool is_sample_of_study; /* of the one in hand */
};

/* All that a report says. */
struct report_view {
    const char *version, *name, *slug;
    char began[CLOCK_ISO_SIZE];
    double seconds;
    const char *files[RULE_FILES_MAX];
    size_t n_files;
    bool is_basic_profile;
    const struct deid_files_counts *counts;
    int64_t left_out; /* instances, all reasons */
    const struct report_row *rows, *rest;
    size_t n_rows;
    const char **creators; /* of rows */
    uint64_t totals[REPORT_ACTION_COUNT];
    const struct report_method *methods[REPORT_METHODS_MAX];
    size_t n_methods;
    const struct deid_report *report;
};

/* At most max characters of s, valid and visible: what is not UTF-8 and what changes its surroundings (controls, marks
 * of direction) is shown by a sign.  NULL: out of memory. */
const char *report_clean(struct arena *a, struct str s, size_t max);
const char *report_keyword(uint32_t tag); /* "" when there is none */

PIXL_MUST_CHECK bool report_write_html(const struct report_view *v, struct buf *out);
PIXL_MUST_CHECK bool report_write_json(const struct report_view *v, struct buf *out);

#endif
