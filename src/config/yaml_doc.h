/* yaml_doc.h - a YAML file as a tree that knows the line of everything, and the checks by which values are taken
 * from it.
 *
 * YAML 1.1 gives plain words a meaning that people do not expect (`no` is false, 0010 is 8, 12:30 is 750).  Whoever
 * asks for a text or a number here gets one only when the words look like it to a reader as well; the rest is
 * refused with the reason.  Anchors, aliases, tags, merge keys and several documents in a file have no use in a
 * configuration and are refused: nothing grows when it is read.
 * Owns: nothing; the tree is in the caller's arena.  Threads: a document belongs to its arena's. */
#ifndef PIXL_CONFIG_YAML_DOC_H
#define PIXL_CONFIG_YAML_DOC_H

#include <stdint.h>

#include "base/arena.h"
#include "base/str.h"
#include "problems.h"

enum {
    YAML_DOC_BYTES_MAX = 1024 * 1024,
    YAML_DOC_NODES_MAX = 100 * 1000,
    YAML_DOC_DEPTH_MAX = 32,
    YAML_DOC_KEYS_MAX = 256,            /* in one map */
};

enum yaml_kind { YAML_SCALAR, YAML_LIST, YAML_MAP };

struct yaml_node {
    enum yaml_kind kind;
    bool plain;                         /* of a scalar: written without quotes */
    struct place at;
    struct str text;                    /* of a scalar; UTF-8 */
    struct str key;                     /* when it stands in a map */
    struct place key_at;
    struct yaml_node *first, *last, *next;      /* what a list or map holds, in order */
    size_t n;                           /* how many */
};

/* Parses text; file is what messages call it and must outlive the tree.  NULL when there is no usable tree (told in
 * *ps); a duplicate key is told too, and the first one counts. */
struct yaml_node *yaml_doc_parse(struct arena *a, const char *file, struct str text, struct problems *ps);

/* The value of key in a map, or NULL. */
const struct yaml_node *yaml_find(const struct yaml_node *map, const char *key);
/* null, ~ or nothing at all, unquoted. */
bool yaml_is_null(const struct yaml_node *node);

/* The checks.  what names the value in messages ("project.name").  false: told in *ps. */
bool yaml_check_map(const struct yaml_node *node, const char *what, const char *const *keys, size_t n_keys,
                    struct problems *ps);       /* is a map, with no key but these */
bool yaml_check_list(const struct yaml_node *node, const char *what, struct problems *ps);
/* A text in one line, not empty. */
bool yaml_take_text(const struct yaml_node *node, const char *what, struct str *out, struct problems *ps);
/* A path: a text, but not an unquoted `none`. */
bool yaml_take_path(const struct yaml_node *node, const char *what, struct str *out, struct problems *ps);
/* A decimal or 0x hexadecimal whole number from min to max. */
bool yaml_take_int(const struct yaml_node *node, const char *what, int64_t min, int64_t max, int64_t *out,
                   struct problems *ps);

#endif
