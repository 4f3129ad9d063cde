/* held.h - the rows that this process has in hand: their claims are prolonged, and no others of its name.
 *
 * A claim whose commit was done but whose answer was lost is in the store and in no hand.  It is not prolonged, so that it
 * ends with its lease and is given back like those of the dead.
 * Owns: nothing; entries are their holders'.  Never: allocates where a row is taken or put away.  Threads: any. */
#ifndef PIXL_PIPELINE_HELD_H
#define PIXL_PIPELINE_HELD_H

#include <pthread.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/error.h"

struct held {
    int64_t image;
    struct held *next;
};
struct held_list {
    pthread_mutex_t lock; /* guards the list */
    struct held *first;
    size_t n;
};

void held_list_init(struct held_list *l);
void held_list_done(struct held_list *l); /* nothing is held any more */

/* After the claim, at once: a lease lasts 10 s or more.  Until held_drop(), after it was settled, *h stays where it is. */
void held_take(struct held_list *l, struct held *h, int64_t image);
void held_drop(struct held_list *l, struct held *h);
/* Their numbers in the arena, in ascending order.  Fails: NOMEM. */
PIXL_MUST_CHECK bool held_images(struct held_list *l, struct arena *a, int64_t **images, size_t *n,
                                 struct pixl_error *err);

#endif
