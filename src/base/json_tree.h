/* json_tree.h - reads JSON (RFC 8259) that a peer wrote into a tree in an arena; strict, and the same whatever memory does.
 *
 * jansson, which writes the JSON of reports, is not used here: when memory fails inside of a text it goes on with a text cut short.
 * Owns: nothing.  Never: names a value in an error.  Threads: any. */
#ifndef PIXL_BASE_JSON_TREE_H
#define PIXL_BASE_JSON_TREE_H

#include "arena.h"
#include "error.h"

enum json_kind {
    JSON_NODE_NULL,
    JSON_NODE_BOOL,
    JSON_NODE_INTEGER,
    JSON_NODE_REAL,
    JSON_NODE_TEXT,
    JSON_NODE_LIST,
    JSON_NODE_OBJECT
};

enum { JSON_TREE_DEPTH_MAX = 64, JSON_TREE_MEMBERS_MAX = 256 }; /* members of one object */

struct json_node {
    enum json_kind kind;
    int64_t integer; /* a number without fraction and exponent that fits; others are REAL.  BOOL: 0 or 1 */
    double real;
    struct str text;
    struct str name;                      /* of a member */
    const struct json_node *first, *next; /* items and members, in their order */
    size_t n;                             /* how many */
};

/* The whole of s is one value.  max_depth: of lists and objects; at most JSON_TREE_DEPTH_MAX.  max_items: of one list; also the
 * members of one object, which are JSON_TREE_MEMBERS_MAX at most.
 * Fails: CORRUPT (not UTF-8, not JSON, U+0000 or half a pair in a text; sys: the byte), INVALID (a member twice),
 * LIMIT (depth, items, digits of a number), NOMEM. */
PIXL_MUST_CHECK bool json_tree_read(struct arena *a, struct str s, unsigned max_depth, size_t max_items,
                                    const struct json_node **out, struct pixl_error *err);

/* Of NULL, or a value of another kind: NULL, 0, "". */
const struct json_node *json_node_member(const struct json_node *v, const char *name);
const struct json_node *json_node_item(const struct json_node *v, size_t i);
size_t json_node_items(const struct json_node *v);
size_t json_node_members(const struct json_node *v);
struct str json_node_text(const struct json_node *v);
bool json_node_is(const struct json_node *v, enum json_kind kind);

/* Appends s, which must be UTF-8, as a JSON text in ASCII, quotes included.  false: the buffer has failed. */
bool json_add_text(struct buf *b, struct str s);

#endif
