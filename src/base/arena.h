/* arena.h - memory for one piece of work, given back all at once, with a hard ceiling.
 *
 * Owns: every block that it hands out, until arena_reset() or arena_done().
 * Never: grows past its ceiling; frees one object.
 * Threads: one arena belongs to one thread. */
#ifndef PIXL_BASE_ARENA_H
#define PIXL_BASE_ARENA_H

#include <stddef.h>

#include "str.h"

struct arena_block;

struct arena {
    struct arena_block *head;   /* newest block; allocation goes on here */
    size_t used_bytes;          /* of all blocks, headers included */
    size_t max_bytes;           /* the ceiling for used_bytes */
    bool is_full;               /* since it was reset, something did not fit below the ceiling */
};

/* In place; allocates nothing yet.  max_bytes >= 1. */
void arena_init(struct arena *a, size_t max_bytes);

/* n zeroed bytes, aligned for any type; n may be 0 (a unique pointer comes back).
 * NULL when out of memory or beyond the ceiling: the caller reports PIXL_E_NOMEM.
 * Built with PIXL_ARENA_DEBUG each object is a malloc of its own, so that sanitizers see it. */
void *arena_alloc(struct arena *a, size_t n);

/* count objects of size bytes each; NULL also when count * size overflows. */
void *arena_calloc(struct arena *a, size_t count, size_t size);

/* Room for one more behind the n objects of a list, which has room for *room: the list itself, or a copy of twice the room, its end
 * zeroed; the old one stays until the reset.  NULL (list, room 0) begins one.  NULL comes back as above, *room as it was. */
void *arena_grow(struct arena *a, void *list, size_t n, size_t *room, size_t size);

/* A copy of s with a NUL behind it; p == NULL when out of memory. */
struct str arena_str(struct arena *a, struct str s);
char *arena_cstr(struct arena *a, const char *s);
PIXL_PRINTF(2, 3) char *arena_printf(struct arena *a, const char *fmt, ...);

/* Frees all that was handed out; one block is kept for the next piece of work. */
void arena_reset(struct arena *a);

/* Frees everything; the arena may be used again after arena_init(). */
void arena_done(struct arena *a);
#define arena_auto PIXL_CLEANUP(arena_done) struct arena

/* The same, every byte overwritten first: it held a secret. */
void arena_wipe(struct arena *a);

#endif
