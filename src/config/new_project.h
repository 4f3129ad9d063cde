/* new_project.h - makes a project: its commented YAML file, and the shipped policies that it names.
 *
 * Everything is looked at before anything is written; files come whole (fs.h), the project's own last.
 * Owns: nothing.  Never: changes a file that is there.  Threads: any. */
#ifndef PIXL_CONFIG_NEW_PROJECT_H
#define PIXL_CONFIG_NEW_PROJECT_H

#include "base/error.h"
#include "base/str.h"

struct new_project {
    struct str project;        /* its slug, or a name that has one: the file is <slug>.yaml */
    struct str name;           /* project.name; empty: project */
    struct str modalities;     /* words of shipped_modality_find(), joined by ',' */
    const char *extra_lists;   /* files of tag-operations/ that are switched on, joined by blanks; NULL: none */
    const char *manufacturers; /* regular expressions joined by blanks; NULL: everybody */
    const char *directory;     /* absolute path, the destination; NULL: images and tables are kept in the spool */
};

/* say() is called for each file in the order in which they are dealt with; is_new: it was written, else it was there
 * already, the same.
 * Fails: INVALID (a word that is no modality, with the nearest; us beside another modality, as its recipe lets nothing
 * of the other's images pass; no slug; a control character), EXISTS (the project, or a policy of that name with other
 * content; nothing was written), and as fs_write_whole(). */
PIXL_MUST_CHECK bool new_project_write(const char *configs_dir, const struct new_project *p,
                                       void (*say)(void *ctx, const char *path, bool is_new), void *ctx,
                                       struct pixl_error *err);

#endif
