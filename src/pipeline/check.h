/* check.h - would a run work?  Looked at before the night, line by line, with what to do where the answer is no.
 *
 * settings, state directory, disk, lock, clock, tables, store, hashing key, archive, queue; and for each project its file, its
 * salt, its destinations.
 * Owns: nothing between calls.
 * Never: makes or changes anything, but one small file at each destination, which it removes; shows an identifier, a secret,
 *        a path of the archive.
 * Threads: one call at a time; beside a run. */
#ifndef PIXL_PIPELINE_CHECK_H
#define PIXL_PIPELINE_CHECK_H

#include "config/settings.h"

enum check_result {
    CHECK_GOOD,
    CHECK_SKIPPED,               /* could not be asked, or need not be; the text says why */
    CHECK_AWAY,                  /* not just now: it may pass by itself */
    CHECK_BAD,                   /* somebody must do something */
};
const char *check_result_name(enum check_result r);      /* "ok", "skip", "away", "BAD" */

struct check_line {
    const char *what;            /* "store": the same word in each version */
    struct str project;          /* empty: of all */
    enum check_result result;
    const char *text;
    const char *remedy;          /* what to do; NULL where nothing is to be done */
};

struct check_options {
    struct str project;          /* only this one; empty: all that have a file, or are in the store */
    int64_t now_us;              /* wall */
    int64_t built_us;            /* when this program was built */
    void (*line)(void *ctx, const struct check_line *l);     /* borrowed until it returns */
    void *ctx;
};
/* *worst: of all lines.  Fails: NOMEM; what is wrong with the site is told in lines. */
PIXL_MUST_CHECK bool check_site(const struct settings *set, const struct check_options *o, enum check_result *worst,
                                struct pixl_error *err);

#endif
