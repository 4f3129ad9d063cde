/* cohort_internal.h - what the two kinds of cohort share; for this room's own files.
 * Owns: nothing.  Threads: as cohort.h. */
#ifndef PIXL_COHORT_INTERNAL_H
#define PIXL_COHORT_INTERNAL_H

#include "base/duck.h"
#include "cohort.h"
#include "csv.h"
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
    bool is_held;                            /* a row was read to see whether there is one; not given yet */
    struct cohort_row held;
};

PIXL_MUST_CHECK bool cohort_csv_open(const char *path, struct cohort **out, struct pixl_error *err);
PIXL_MUST_CHECK bool cohort_omop_open(const char *path, const char *temp_dir, struct cohort **out,
                                      struct pixl_error *err);

/* The first record, which must be a header of our dialect.  name: for errors. */
PIXL_MUST_CHECK bool cohort_csv_header(struct csv *csv, const char *name, struct csv_record *out,
                                       struct pixl_error *err);

/* Is this open file parquet, by its ends?  They tell truncated, renamed and empty files apart, for which DuckDB has one
 * error.  name: for errors. */
PIXL_MUST_CHECK bool cohort_check_parquet(int fd, const char *name, struct pixl_error *err);
/* DuckDB's names of types: whole numbers of at most 64 bits; floating point. */
bool cohort_is_whole_type(struct str type);
bool cohort_is_real_type(struct str type);
/* A whole number that came as BIGINT or DOUBLE.  false: it is none, or beyond 2^53 in a floating point value, where
 * neighbours share one. */
bool cohort_read_id(const struct duck_value *v, int64_t *out);

/* The part of a path that an error may name. */
const char *cohort_base_name(const char *path);

/* s without white space at both ends, Unicode's included (as Python's str.strip()): spreadsheets love U+00A0. */
struct str cohort_trim(struct str s);

/* Makes a row a refused one. */
/* Why this is no name of a project. */
const char *cohort_why_no_slug(struct str cell);
PIXL_PRINTF(2, 3) void cohort_refuse(struct cohort_row *row, const char *fmt, ...);
/* Checks the request that was put together; a wrong one makes the row a refused one. */
void cohort_check_row(struct cohort_row *row);

#endif
