/* ptr_map.h - a map from addresses to addresses, as a database keeps its statements by the text of their SQL.
 *
 * Owns: its table.  Never: what the addresses point to.
 * Threads: one map belongs to one thread. */
#ifndef PIXL_BASE_PTR_MAP_H
#define PIXL_BASE_PTR_MAP_H

#include <stddef.h>

#include "error.h"

struct ptr_map {
    struct ptr_map_slot {
        const void *key; /* NULL: free */
        void *value;
    } * slots_;
    size_t n, cap_; /* cap_: 0 or a power of two */
};

/* What was put there under this address; NULL: nothing.  A map of zeroes is empty. */
void *ptr_map_get(const struct ptr_map *m, const void *key);

/* Under an address that is not there yet; neither is NULL.  PIXL_E_NOMEM: nothing was put. */
PIXL_MUST_CHECK bool ptr_map_put(struct ptr_map *m, const void *key, void *value, struct pixl_error *err);

/* The values in no order: *at is 0 before the first; NULL behind the last. */
void *ptr_map_next(const struct ptr_map *m, size_t *at);

/* Empties it and gives its table back. */
void ptr_map_done(struct ptr_map *m);

#endif
