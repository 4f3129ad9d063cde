/* images_internal.h - what images.c (what all instances have), modalities.c and report.c share. */
#ifndef PIXL_DEMO_IMAGES_INTERNAL_H
#define PIXL_DEMO_IMAGES_INTERNAL_H

#include "images.h"

struct image_writer {
    struct dataset_builder *b;
    struct dataset *d;
    const struct image *i;
};

/* A coded entry: value, scheme, meaning. */
void image_put_code(struct image_writer *w, struct dataset *item, const char *value, const char *scheme,
                    const char *meaning);
/* Modality, its image modules and what machines of this kind write about people, by kind; pixel data excepted. */
void image_put_ct(struct image_writer *w);
void image_put_xray(struct image_writer *w);
void image_put_mr(struct image_writer *w);
void image_put_report(struct image_writer *w);

#endif
