/* pattern.h - a regular expression, searched as Python's re.search does, with limits on the work it may do.
 * Owns: the compiled code (PCRE2).  Threads: immutable; matching may run on any thread at once. */
#ifndef PIXL_CONFIG_PATTERN_H
#define PIXL_CONFIG_PATTERN_H

#include "base/error.h"
#include "base/str.h"

struct pattern;

/* UTF-8, caseless.  Fails: INVALID with the offset and PCRE2's text about the pattern (which is configuration, no patient's). */
PIXL_MUST_CHECK bool pattern_new(struct str text, struct pattern **out, struct pixl_error *err);
/* *matches: does it occur in s?  s that is not UTF-8 is taken as Latin-1.  Fails: LIMIT when the match limits are used up. */
PIXL_MUST_CHECK bool pattern_search(const struct pattern *p, struct str s, bool *matches, struct pixl_error *err);
void pattern_free(struct pattern *p);
PIXL_DEFINE_CLEANUP(pattern, pattern_free)

#endif
