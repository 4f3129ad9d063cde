/* dataset.h - a DICOM data set under construction: elements in any order, sorted and coded when it is written.
 *
 * Running out of memory is remembered in the builder and told once, by dataset_write().
 * Owns: nothing; all lives in the builder's arena.  Threads: one builder belongs to one thread. */
#ifndef PIXL_DEMO_DATASET_H
#define PIXL_DEMO_DATASET_H

#include "base/arena.h"
#include "base/error.h"
#include "dicom/plan.h"

struct dataset_element;
struct dataset {
    struct dataset_element *first, *last;
    size_t n;
};
struct dataset_builder {
    struct arena *arena;
    bool failed;
};

/* NULL: failed. */
struct dataset *dataset_new(struct dataset_builder *b);

/* Adds an element; each tag once.  Texts are copied, the VR is the dictionary's. */
void dataset_text(struct dataset_builder *b, struct dataset *d, uint32_t tag, const char *text);
PIXL_PRINTF(4, 5)
void dataset_textf(struct dataset_builder *b, struct dataset *d, uint32_t tag, const char *fmt, ...);
void dataset_u16(struct dataset_builder *b, struct dataset *d, uint32_t tag, uint16_t v);
/* Bytes as they are, borrowed until the data set is written; the way to private elements of any VR. */
void dataset_bytes(struct dataset_builder *b, struct dataset *d, uint32_t tag, enum dicom_vr vr, const void *p,
                   size_t n);
void dataset_private(struct dataset_builder *b, struct dataset *d, uint32_t tag, enum dicom_vr vr, const char *text);
/* A new item of the sequence, which is made when it is not there.  After a failure: d itself. */
struct dataset *dataset_item(struct dataset_builder *b, struct dataset *d, uint32_t tag);
/* The sequence without an item. */
void dataset_empty_sequence(struct dataset_builder *b, struct dataset *d, uint32_t tag);

/* A Part 10 file: the preamble given (at most 128 bytes), file meta with a Source Application Entity Title, the
 * data set. undefined: sequences of the main data set are of undefined length; deeper ones never.
 * Fails: NOMEM (the builder's failure too), LIMIT. */
struct dataset_file {
    const char *preamble, *source_ae_title, *sop_class_uid, *sop_instance_uid;
    bool is_explicit, undefined;
};
PIXL_MUST_CHECK bool dataset_write(struct dataset_builder *b, const struct dataset *d, const struct dataset_file *f,
                                   struct dicom_plan *out, struct pixl_error *err);

#endif
