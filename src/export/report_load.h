/* report_load.h - brings a file of de-identified reports into the store, each to the extract that its procedure was asked
 * for in.  A report that names what must not leave (report_check.h) is withheld: that it exists is kept, its text is not.
 * Owns: nothing between calls.  Never: shows the content of a row.  Threads: one load at a time per store. */
#ifndef PIXL_EXPORT_REPORT_LOAD_H
#define PIXL_EXPORT_REPORT_LOAD_H

#include "base/error.h"
#include "store/store.h"

struct reports;

struct report_load_options {
    const char *path;       /* as reports_open(); NULL: */
    struct reports *reader; /* one that is open; borrowed */
    const char *temp_dir;
    struct str project;      /* slug; empty: the file's column, else the store's only project */
    struct str extract_time; /* ISO 8601; empty: the file's column, else the project's newest extract */
    int64_t now_us;
    bool dry_run; /* tells what would happen, changes nothing */
    /* What a person should know of a row: its physical line (row of a parquet) and, in words, what became of it and why:
     * of refused rows, of those never asked for, of those withheld and of those of several patients; may be NULL. */
    void (*tell)(void *ctx, uint64_t line, const char *what);
    void (*progress)(void *ctx, int64_t rows); /* now and then; may be NULL */
    void *ctx;
};

struct report_load_counts {
    int64_t rows; /* the sum of all that follow but the last */
    int64_t refused, never_asked, withheld;
    int64_t added, replaced, same;    /* withheld ones are not among them */
    int64_t taken_away, without_text; /* rows without text, of procedures that had a report or had none */
    int64_t several_patients;         /* loaded, of a procedure that is asked for under several MRNs: each one's studies get it */
};

/* Times are compared as instants; one without offset is first compared with those without.
 * Fails: INVALID (a column and an option that say the same; no extract can be chosen), NOT_FOUND (no such project or extract), as
 * reports_open() and store_reports_*; what was loaded until then stays. */
PIXL_MUST_CHECK bool report_load(struct store *s, const struct report_load_options *o, struct report_load_counts *out,
                                 struct pixl_error *err);

#endif
