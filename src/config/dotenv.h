/* dotenv.h - the lines of a .env file.
 *
 *   NAME=value               up to the end of the line or to a blank and #, blanks at both ends taken off
 *   export NAME='value'      as it stands        NAME="value"   with \" \\ \$ \n \t
 *   # comment
 *
 * Nothing is put in the place of ${NAME} here.
 * Owns: nothing; values are in the caller's arena.  Threads: any. */
#ifndef PIXL_CONFIG_DOTENV_H
#define PIXL_CONFIG_DOTENV_H

#include "base/arena.h"
#include "base/error.h"
#include "base/str.h"
#include "config/problems.h"

struct dotenv_line {
    const char *name, *value;
    int line;                           /* from 1 */
};

/* file: its name in messages ("file:line: text"), which never hold a value.
 * wrong: told of every line that is none of the above or gives a name twice, which is then left out; NULL: the first one
 * fails.  *lines is in the arena.  Fails: INVALID, LIMIT (too many lines), NOMEM. */
PIXL_MUST_CHECK bool dotenv_parse(struct arena *a, const char *file, struct str text, struct problems *wrong,
                                  const struct dotenv_line **lines, size_t *n, struct pixl_error *err);

#endif
