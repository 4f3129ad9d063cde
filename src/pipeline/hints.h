/* hints.h - follows the hints of the dispatcher, or of the Python system: a message leads to a row, which the caller claims.
 *
 *   take a delivery > decode > the rows of that request, made where there are none > the caller claims one > acknowledge
 * A message is acknowledged when its rows were looked at: one was claimed, or none is due (done, claimed by another, put
 * off).  It is held for no longer than that, and given back when the store fails; a message that means nothing goes to
 * NAME.dead with a reason of the list below, for `pixl failed --dead` and `pixl retry --dead`.
 * A row is made only for a project that is configured, as a populate of that one row does it: its studies may be there,
 * adopted.
 * Owns: its connection to the broker.
 * Never: makes a queue (dispatch.h says why); acknowledges a message because of an error; logs what is in one.
 * Threads: one, but where something else is said. */
#ifndef PIXL_PIPELINE_HINTS_H
#define PIXL_PIPELINE_HINTS_H

#include "pipeline/dispatch.h"
#include "pipeline/site.h"

struct hints;
/* s (with store and secrets) and *route are borrowed.  Connects to nothing yet.  Fails: NOMEM. */
PIXL_MUST_CHECK bool hints_new(struct site *s, const struct hint_route *route, struct hints **out,
                               struct pixl_error *err);
void hints_free(struct hints *h); /* what is in flight is given back */

/* Claims the row, commits.  *claimed false: it is not due, or may not be taken. */
typedef bool hints_claim_fn(void *ctx, int64_t image, bool *claimed, struct pixl_error *err);

enum hints_took {
    HINTS_NOTHING, /* no message until the deadline, or the broker is away */
    HINTS_CLAIMED,
    HINTS_PASSED, /* nothing to do for it */
    HINTS_BURIED,
};
/* Follows at most one message.  The caller is ready to work on a row now: it has what a claim needs (a token, a free
 * worker); what it is not ready for stays with the broker.
 *   archives  whose queues to follow, bit 1u << archive; 0: none, nothing is consumed, only the connection is served
 *   wait_ms   at most, for a message; *cancel ends it
 * The broker being away is no failure: it is told once in the log, and tried again with pauses.
 * Fails: as claim() and the store do; the message was given back. */
PIXL_MUST_CHECK bool hints_take(struct hints *h, unsigned archives, hints_claim_fn *claim, void *ctx, int64_t wait_ms,
                                const atomic_bool *cancel, enum hints_took *what, struct pixl_error *err);

/* The broker did not answer when it was asked last.  Thread: any. */
bool hints_is_away(const struct hints *h);

/* What a message leads to. */
enum hint_reason {
    HINT_GOOD,
    HINT_TOO_LONG,
    HINT_NOT_JSON,
    HINT_INVALID_FIELD,
    HINT_UNKNOWN_TYPE,
    HINT_UNKNOWN_ZONE, /* not in the tz database of this system */
    HINT_UNKNOWN_PROJECT,
    HINT_UNUSABLE_PROJECT,
    HINT_TOO_MANY_SERIES,
};
const char *hint_reason_name(enum hint_reason r); /* "too-long": the reason of a dead letter */
/* The rows of a message, in the arena; *reason not GOOD: there are none, and never will be.
 * may_make: makes them where there are none, with this priority (1..5).
 * Fails: as the store and the secrets do, NOMEM. */
PIXL_MUST_CHECK bool hint_rows_of(struct site *s, struct phi_text body, bool may_make, int priority, struct arena *a,
                                  int64_t **images, size_t *n, enum hint_reason *reason, struct pixl_error *err);

/* For tests: q, taken, is the connection. */
void hints_use(struct hints *h, struct queue *q);

#endif
