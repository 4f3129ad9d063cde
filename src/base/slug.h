/* slug.h - a project or time in the form used for file and folder names: [a-z0-9] runs joined by '-'.
 * The rules are those of python-slugify 8.0.4 with its default settings, for Latin, Greek and Cyrillic
 * scripts and the symbols of Unicode's Latin blocks; another script is refused, so that a name is
 * never quietly emptied (such a project sets project.slug).
 * Owns: nothing.  Threads: any. */
#ifndef PIXL_BASE_SLUG_H
#define PIXL_BASE_SLUG_H

#include "arena.h"
#include "error.h"
#include "str.h"

/* text: UTF-8.  *out is in the arena, never empty.
 * Fails: INVALID (not UTF-8; nothing is left; UNSUPPORTED for a letter of a script without a table), NOMEM. */
PIXL_MUST_CHECK bool slug_make(struct arena *a, struct str text, struct str *out, struct pixl_error *err);

/* true when s is what slug_make() makes of itself: non-empty, [a-z0-9-], no '-' at an end, no "--". */
bool slug_is_valid(struct str s);

#endif
