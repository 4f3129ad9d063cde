/* project_internal.h - what the parts of the project loader share; for them, their tests and the fuzzer only.
 *
 * project.c and destination.c read <slug>.yaml, tag_file.c and recipe.c the tag and image operation files that it names.
 * Owns: nothing.  Threads: a loader belongs to one thread. */
#ifndef PIXL_CONFIG_PROJECT_INTERNAL_H
#define PIXL_CONFIG_PROJECT_INTERNAL_H

#include "base/arena.h"
#include "problems.h"
#include "project.h"
#include "yaml_doc.h"

/* Where the text of a file comes from: the disk, or a test's memory.  *out lives in the arena.
 * Fails: NOT_FOUND, LIMIT (larger than YAML_DOC_BYTES_MAX), INVALID (no regular file), and as reading does. */
struct project_files {
    void *ctx;
    bool (*read)(void *ctx, struct arena *a, const char *path, struct str *out, struct pixl_error *err);
};
extern const struct project_files project_files_on_disk;

struct project_pattern;                 /* a pattern that the project owns, in a chain */

struct project_internal {
    struct project pub;
    struct arena arena;                 /* all that pub points to */
    struct project_pattern *patterns;
};

struct project_loader {
    const struct project_files *files;
    struct project_internal *in;
    struct arena *arena;                /* in's: for what stays */
    struct arena scratch;               /* for the trees; goes with the loader */
    const char *dir;                    /* PROJECT_CONFIGS_DIR */
    struct problems *ps;
};

/* Loads path and all that it names through files; path ends in "/<stem>.yaml".  NULL: told in *ps.  Given. */
struct project *project_read(const struct project_files *files, const char *path, struct problems *ps);

/* Compiles a regular expression, owned by the project; a problem of it is told at node.  NULL then. */
struct pattern *project_compile(struct project_loader *l, const struct yaml_node *node, const char *what,
                                struct str text);
/* A copy that stays as long as the project; NULL: told. */
const char *project_keep(struct project_loader *l, struct str s);

/* The value of key in map, which what names in messages; NULL: told. */
const struct yaml_node *project_require(struct project_loader *l, const struct yaml_node *map, const char *what,
                                        const char *key);

/* A file named in the project file: *shown is its name in messages, *path where it may be. */
struct project_file {
    struct place named_at;
    const char *shown, *path;
};
/* folder: the one below the configs folder that relative names are looked up in. */
bool project_locate(struct project_loader *l, const struct yaml_node *node, const char *what, const char *folder,
                    struct project_file *out);
/* Its text, in the arena.  When alternative is not NULL and the file is not there, the alternative is taken
 * (and put into *file). */
bool project_read_named(struct project_loader *l, struct project_file *file, const struct project_file *alternative,
                        struct arena *a, struct str *out);

/* The sections destination (destination.c) and tag_operation_files (tag_file.c) of the project file. */
bool destination_read(struct project_loader *l, const struct yaml_node *section);
bool tag_files_read(struct project_loader *l, const struct yaml_node *section);

/* Does the text of an image operation file ask for what can be done (recipe.c), and for nothing else?  file: its name
 * in messages.  false: told. */
bool recipe_check(struct str text, const char *file, struct problems *ps);

#endif
