/* cohort_internal.h - what the two kinds of cohort share; for this room's own files.
 * Owns: nothing.  Threads: as cohort.h. */
#ifndef PIXL_COHORT_INTERNAL_H
#define PIXL_COHORT_INTERNAL_H

#include "cohort.h"
#include "study/iso_time.h"

struct cohort_ops {
    enum cohort_kind kind;
    /* out is zeroed; a refused row needs only line and why. */
    bool (*next)(struct cohort *c, bool *got, struct cohort_row *out, struct pixl_error *err);
    void (*close)(struct cohort *c);         /* takes half-open ones */
};

/* First member of both kinds; the texts are in the arena. */
struct cohort {
    const struct cohort_ops *ops;
    struct arena arena;
    struct str project, extract_time, fingerprint;
    const char *public_dir;
    struct pixl_error failure;               /* the reading ended with it */
};

PIXL_MUST_CHECK bool cohort_csv_open(const char *path, struct cohort **out, struct pixl_error *err);
PIXL_MUST_CHECK bool cohort_omop_open(const char *path, const char *temp_dir, struct cohort **out,
                                      struct pixl_error *err);

/* The part of a path that an error may name. */
const char *cohort_base_name(const char *path);

/* s without white space at both ends, Unicode's included (as Python's str.strip()): spreadsheets love U+00A0. */
struct str cohort_trim(struct str s);

/* Makes a row a refused one. */
PIXL_PRINTF(2, 3) void cohort_refuse(struct cohort_row *row, const char *fmt, ...);
/* Checks the request that was put together; a wrong one makes the row a refused one. */
void cohort_check_row(struct cohort_row *row);

#endif
