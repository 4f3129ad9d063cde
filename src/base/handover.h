/* handover.h - a bounded queue of pointers between threads; whole objects change hands.
 *
 * Owns: its slots, never what the pointers point to.
 * Threads: any number of givers and takers; one mutex, which guards everything in it. */
#ifndef PIXL_BASE_HANDOVER_H
#define PIXL_BASE_HANDOVER_H

#include <stddef.h>
#include <stdint.h>

#include "error.h"

struct handover;

PIXL_MUST_CHECK bool handover_new(size_t slots, struct handover **out, struct pixl_error *err);
/* Waits for room until deadline_us (clock_mono_us; INT64_MAX: for ever).  true: item was handed over.
 * false: closed or too late, the item is still the caller's. */
PIXL_MUST_CHECK bool handover_give(struct handover *h, void *item, int64_t deadline_us);
/* true: *item was taken.  false: too late, or closed and empty. */
PIXL_MUST_CHECK bool handover_take(struct handover *h, void **item, int64_t deadline_us);
/* Nothing more is given; takers drain what is left, then get false. */
void handover_close(struct handover *h);
void handover_free(struct handover *h);          /* nobody may be waiting */
PIXL_DEFINE_CLEANUP(handover, handover_free)

#endif
