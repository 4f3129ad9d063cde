/* upper.h - text in capitals, so that words that people typed compare whatever their case.
 * One character gives one, as Unicode's simple mapping says, but for the sharp s, which gives SS: "Größe" is "GRÖSSE".
 * Accents stay.
 * Owns: nothing.  Threads: any. */
#ifndef PIXL_BASE_UPPER_H
#define PIXL_BASE_UPPER_H

#include "arena.h"
#include "error.h"
#include "str.h"

/* text: UTF-8; bytes that are none are read as Latin-1, one by one, as they mostly are.  *out is UTF-8 in the arena, with
 * a NUL behind it.  What is in capitals already comes out as it is.  Fails: NOMEM. */
PIXL_MUST_CHECK bool upper_make(struct arena *a, struct str text, struct str *out, struct pixl_error *err);

#endif
