/* export_internal.h - what the files of this room share: the extract's folder, walks through trees, `latest`.
 * Owns: nothing.  Threads: as export.h. */
#ifndef PIXL_EXPORT_INTERNAL_H
#define PIXL_EXPORT_INTERNAL_H

#include "base/arena.h"
#include "base/error.h"

enum { EXPORT_DIR_MODE = 0750, EXPORT_FILE_MODE = 0640, EXPORT_ARENA_BYTES = 256 << 20 };

/* <root>/<slug>/all_extracts/<time_slug>, made when missing; the root itself may be a link, nothing below it.
 * Fails: INVALID (a slug that is none; a link), as fs_make_dirs(). */
PIXL_MUST_CHECK bool export_make_extract_dir(struct arena *a, const char *root, struct str slug, struct str time_slug,
                                             char **out, struct pixl_error *err);
/* The same path, nothing made; NOT_FOUND when there is no such folder. */
PIXL_MUST_CHECK bool export_find_extract_dir(struct arena *a, const char *root, struct str slug, struct str time_slug,
                                             char **out, struct pixl_error *err);
/* `dir`/`name` as a folder that is no link, made when missing. */
PIXL_MUST_CHECK bool export_make_dir(struct arena *a, const char *dir, const char *name, char **out,
                                     struct pixl_error *err);

/* Points `latest` to this extract unless it already leads to one of a later instant. */
PIXL_MUST_CHECK bool export_move_latest(struct arena *a, const char *root, struct str slug, struct str time_slug,
                                        struct pixl_error *err);

/* What a tree holds, sorted by path, parents before their children.  Fails: INVALID for a link or what is neither file
 * nor folder (named), LIMIT beyond a depth or a count that no extract has. */
struct export_entry {
    const char *path;            /* below the folder that was walked */
    bool is_dir;
};
struct export_tree {
    struct export_entry *entries;
    size_t n, cap;
    bool take_links;             /* list them as files instead: a tree that is about to be cleaned */
};
PIXL_MUST_CHECK bool export_walk(struct arena *a, const char *dir, struct export_tree *tree, struct pixl_error *err);

/* Has no table of the tree below dir a column that says by its name that it holds an identity?  Of tables only the schema
 * is read; DuckDB is opened when there is one.  Fails: PRIVACY (names table and column), CORRUPT (what is named .parquet
 * cannot be read as such), as duck_open(). */
PIXL_MUST_CHECK bool export_check_columns(struct arena *a, const char *dir, const struct export_tree *tree,
                                          const char *temp_dir, struct pixl_error *err);

#endif
