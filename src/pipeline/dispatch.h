/* dispatch.h - the dispatcher: tells workers by messages which rows of the store are due.
 *
 *   outbox          a row that is queued and has no hint gets one; hinted is what the broker has confirmed
 *   delayed retry   a row that waits for a time gets its hint when the time has come
 *   sweeper         hints that the broker lost are given again: where a queue had to be made anew, or is empty when the
 *                   broker was reached again, at once; where it is empty while rows are due that were hinted longer ago
 *                   than the sweep period
 * A hint too many is harmless, and so is a dispatcher that believes it leads a moment too long.  Of all processes one
 * leads: whoever has the store's dispatch lock.  The others try every second.
 * Only the dispatcher makes queues: who consumes waits for them, so that a queue made anew is noticed here.
 * Owns: its connection to the broker, the dispatch lock.
 * Never: claims or moves a row; ends because store or broker are away (it warns once, and tries again with pauses that
 *        grow to 30 s); logs an identifier.
 * Threads: one runs it; what it did, dispatch_state(), may be asked by any. */
#ifndef PIXL_PIPELINE_DISPATCH_H
#define PIXL_PIPELINE_DISPATCH_H

#include <stdatomic.h>

#include "config/settings.h"
#include "queue/message.h"
#include "queue/queue.h"
#include "store/store.h"

/* Where hints go.  Texts are borrowed. */
struct hint_route {
    const char *url;                    /* of the broker */
    const char *queues[STORE_ARCHIVES]; /* by the archive that is to be asked */
    bool queue_per_priority;
    enum message_form form;
    int64_t sweep_us;
    int64_t silence_us; /* a broker that has confirmed nothing for so long takes no hints */
};
/* *is_set false: there is no queue, and workers look into the store.
 * Fails: INVALID (a broker beside an SQLite store, which other machines cannot use; the same name twice; no address). */
PIXL_MUST_CHECK bool hint_route_of(const struct settings *set, struct hint_route *out, bool *is_set,
                                   struct pixl_error *err);

struct dispatch;
/* store and *route are borrowed.  Connects to nothing yet.  Fails: NOMEM. */
PIXL_MUST_CHECK bool dispatch_new(struct store *s, const struct hint_route *route, struct dispatch **out,
                                  struct pixl_error *err);
/* What is not confirmed yet will be hinted again. */
void dispatch_free(struct dispatch *d);
PIXL_DEFINE_CLEANUP(dispatch, dispatch_free)
#define dispatch_auto PIXL_CLEANUP(dispatch_freep) struct dispatch

/* One turn: hints what is due, as far as a second allows; waits for at most wait_ms when there is nothing to do.
 * *stop ends every wait. */
void dispatch_turn(struct dispatch *d, int64_t wait_ms, const atomic_bool *stop);
/* Turns until *stop; then what was published is confirmed and noted, within 2 s. */
void dispatch_run(struct dispatch *d, const atomic_bool *stop);

/* Runs it on a thread of its own until dispatch_free(), which ends that as dispatch_run() does. */
PIXL_MUST_CHECK bool dispatch_start(struct dispatch *d, struct pixl_error *err);
/* Waits until all that was due at this moment is hinted, while there is progress: not where another process leads, and
 * for no more than 5 s for a broker or store that is away.  Of one that was started. */
void dispatch_drain(struct dispatch *d);

struct dispatch_state {
    bool leads, is_connected;
    bool is_silent;    /* the broker confirms nothing, as with an alarm */
    int64_t hinted;    /* hints that the broker confirmed */
    int64_t forgotten; /* hints that are given again */
};
struct dispatch_state dispatch_state(const struct dispatch *d);

/* For tests: q, taken, is the connection. */
void dispatch_use(struct dispatch *d, struct queue *q);

#endif
