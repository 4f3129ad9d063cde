/* settle.h - what becomes of a claimed row after an attempt: the one place where outcomes turn into moves.
 * Owns: nothing.  Never: waits.  Threads: any. */
#ifndef PIXL_PIPELINE_SETTLE_H
#define PIXL_PIPELINE_SETTLE_H

#include "pipeline/extract.h"

struct settled {
    enum study_state state;      /* where the row is now */
    bool lost;                   /* the claim was another's: nothing was changed */
};
/* image as claimed (its state tells which work it was); r: the attempt's result.  Writes the move, tidies the spool, logs the event.
 * hold_us: how long a row that met an outage waits, so that the next probe takes another one; a new run does not wait for it.
 * Fails: as store_move(), but not with STALE (that is `lost`). */
PIXL_MUST_CHECK bool settle(struct site *s, const struct store_image *image, const struct extract_result *r, int64_t now_us, int64_t hold_us,
                            struct settled *out, struct pixl_error *err);
/* The pause before attempt n + 1: 1 s, 4 s, 16 s ... at most 10 min, with up to a quarter of jitter taken from `random`. */
int64_t settle_pause_us(int attempts, uint32_t random);

#endif
