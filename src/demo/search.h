/* search.h - looks for many texts at once in bytes: letters of ASCII in any case, other bytes as they are; a text
 * that begins or ends with a digit only where the number does.
 * Owns: its table; borrows the texts.  Threads: immutable after search_new(); any. */
#ifndef PIXL_DEMO_SEARCH_H
#define PIXL_DEMO_SEARCH_H

#include "base/error.h"
#include "base/str.h"

struct search;

enum { SEARCH_TEXT_MIN = 4 };
/* texts: NULL-terminated, each of SEARCH_TEXT_MIN bytes at least.  Given: search_free().  Fails: NOMEM, INVALID
 * (too short). */
PIXL_MUST_CHECK bool search_new(const char *const *texts, struct search **out, struct pixl_error *err);
void search_free(struct search *s);
PIXL_DEFINE_CLEANUP(search, search_free)
#define search_auto PIXL_CLEANUP(search_freep) struct search

/* The first of the texts that occurs, or NULL; *at: where (may be NULL). */
const char *search_find(const struct search *s, struct str in, size_t *at);

#endif
