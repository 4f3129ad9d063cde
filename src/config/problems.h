/* problems.h - what is wrong with a configuration: every problem is told as it is found, the first one is kept.
 *
 * Checks go on after a problem, so that a person mends a file in one go; a caller that only wants to
 * know whether to start asks problems_none() at the end.
 * Owns: the text of the first problem.  Never: allocates.  Threads: one owner. */
#ifndef PIXL_CONFIG_PROBLEMS_H
#define PIXL_CONFIG_PROBLEMS_H

#include <stddef.h>

#include "base/error.h"
#include "base/str.h"

struct problems {
    void (*say)(void *ctx, const char *problem);        /* may be NULL */
    void *ctx;
    size_t n;
    struct pixl_error first;
};

/* A place in a text: lines and columns count from 1; line 0: the file as a whole. */
struct place {
    const char *file;
    int line, column;
};

/* Notes "file:line:column: text".  Always false, so that a check can say `return problem_at(...)`. */
PIXL_PRINTF(3, 4)
bool problem_at(struct problems *ps, struct place at, const char *fmt, ...);
/* The same for what is no fault of the text: a file that cannot be read, no memory. */
PIXL_PRINTF(4, 5)
bool problem_of(struct problems *ps, enum pixl_code code, struct place at, const char *fmt, ...);
bool problem_nomem(struct problems *ps);

/* Notes what a call failed with, when that is a mistake of who wrote the text (INVALID): err is clean again.  false: it is
 * not, or ps is NULL, and err stays. */
PIXL_MUST_CHECK bool problem_take(struct problems *ps, struct pixl_error *err);

/* true when there was none; else false with *err set to the first. */
PIXL_MUST_CHECK bool problems_none(const struct problems *ps, struct pixl_error *err);

/* A value from a file as it may stand in a message: control characters as '?', cut at 40 bytes. */
struct problem_text { char text[48]; };
struct problem_text problem_show(struct str value);

#endif
