/* breaker.h - remembers that an archive, a destination or the spool cannot be used just now, and when to try again.
 *
 *   closed --unavailable--> open (pause 1 s) --pause over--> one probe --unavailable--> open (pause doubled, at most 5 min)
 *                                                                    --anything else--> closed
 * Owns: nothing.  Never: sleeps, reads a clock.
 * Threads: any; its mutex guards all fields. */
#ifndef PIXL_PIPELINE_BREAKER_H
#define PIXL_PIPELINE_BREAKER_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"

struct breaker {
    pthread_mutex_t lock;
    bool is_open, is_probing;
    int64_t pause_us, next_probe_us, opened_us;
    enum pixl_code code;         /* why it is open */
    char why[200];               /* the error's text, for people */
};

void breaker_init(struct breaker *b);
void breaker_done(struct breaker *b);
/* May work be taken now?  When open, true for one caller after the pause: its work is the probe (*is_probe), and it must be reported or
 * given back as unused. */
bool breaker_allows(struct breaker *b, int64_t now_us, bool *is_probe);
/* The result of work that was allowed.  worked: the other side answered (even if the study failed).
 * Returns true when the breaker changed between open and closed. */
bool breaker_report(struct breaker *b, bool is_probe, bool worked, const struct pixl_error *why, int64_t now_us);
/* The work that was allowed never touched the other side (nothing was due, it ended before): the probe is free again. */
void breaker_unused(struct breaker *b, bool is_probe);
/* The pause before the next probe, 0 when closed. */
int64_t breaker_pause_us(struct breaker *b);
/* When it is worth asking again: INT64_MIN when closed. */
int64_t breaker_next_us(struct breaker *b);
/* Copies the reason; false when closed. */
bool breaker_why(struct breaker *b, char out[200], enum pixl_code *code);

#endif
