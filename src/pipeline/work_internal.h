/* work_internal.h - what work.c (threads, waiting, progress) and work_child.c (suspects) share. */
#ifndef PIXL_PIPELINE_WORK_INTERNAL_H
#define PIXL_PIPELINE_WORK_INTERNAL_H

#include <stdatomic.h>

#include "pipeline/extract.h"

/* Runs `program work-one` for a claimed suspect and waits for it.  The child retrieves and makes the move itself.
 * *r says what must be settled if the row shows that the child did not.
 * cancel: when it becomes true the child is killed and the study given back.  Fails only when no child can be started. */
PIXL_MUST_CHECK bool work_in_child(const char *program, const struct store_image *image, const atomic_bool *cancel, struct extract_result *r,
                                   struct pixl_error *err);

#endif
