/* sql_array.h - many values bound as one parameter: what a server takes as bigint[] or text[].  PostgreSQL only.
 *
 * Values are written as they come into the form that goes over the wire (array_recv() of PostgreSQL: dimensions, flags,
 * type, length, lower bound; each value behind its length), all numbers highest byte first.
 * Owns: the bytes, which are kept when it is cleared.
 * Threads: one array belongs to one thread. */
#ifndef PIXL_BASE_SQL_ARRAY_H
#define PIXL_BASE_SQL_ARRAY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "attr.h"
#include "str.h"

enum sql_element { SQL_ELEMENT_I64, SQL_ELEMENT_STR };

struct sql_array {
    struct buf bytes;
    enum sql_element of;
    uint32_t n;
};

/* In place; allocates nothing yet. */
void sql_array_init(struct sql_array *a, enum sql_element of);
void sql_array_done(struct sql_array *a);
static inline void sql_array_donep(struct sql_array *a)
{
    sql_array_done(a);
}
#define sql_array_auto PIXL_CLEANUP(sql_array_donep) struct sql_array
void sql_array_clear(struct sql_array *a);
/* False: no memory, or more than 64 MiB; the array must be cleared then. */
PIXL_MUST_CHECK bool sql_array_add_i64(struct sql_array *a, int64_t v);
PIXL_MUST_CHECK bool sql_array_add_str(struct sql_array *a, struct str v);
/* As it goes over the wire; borrowed, until the next change. */
struct str sql_array_bytes(const struct sql_array *a);

#endif
