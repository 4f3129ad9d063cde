/* shipped.h - the policies that come with pixl: lists of tag operations by modality, and a recipe for pixels.
 *
 * They are the files of policies/, held in the program (tools/gen-shipped.awk).  Their comments say why each is as it is.
 * Owns: constant tables.  Never: touches a file; new_project.h writes them.  Threads: any. */
#ifndef PIXL_CONFIG_SHIPPED_H
#define PIXL_CONFIG_SHIPPED_H

#include <stddef.h>

#include "base/str.h"

struct shipped_file {
    const char *path; /* below a configs folder: "tag-operations/ct.yaml", "image-operations/us-regions.recipe" */
    struct str text;
};
const struct shipped_file *shipped_files(size_t *n);
/* NULL: there is no such file. */
const struct shipped_file *shipped_find(const char *path);

/* What may be asked for by name: a list, and the modalities (0008,0060) that it is for. */
struct shipped_modality {
    const char *name;       /* "mr-diffusion" */
    const char *codes;      /* "MR"; several joined by blanks */
    const char *lists;      /* files of tag-operations/ beside base.yaml, in order, joined by blanks */
    const char *recipe;     /* file of image-operations/ without which no such image may pass; NULL: none */
    unsigned min_instances; /* that a series worth having holds */
    const char *about;
};
const struct shipped_modality *shipped_modalities(size_t *n);

/* By the name of a list (all its modalities are meant) or by one modality's code: *codes.  NULL: neither. */
const struct shipped_modality *shipped_modality_find(struct str word, struct str *codes);

#endif
