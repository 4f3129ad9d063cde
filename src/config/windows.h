/* windows.h - the hours in which an archive may be asked: "mon-fri 00:00-08:00,20:00-24:00 @2.5; sat-sun 00:00-24:00".
 *
 *   windows  = window *(";" window)          window = days " " span *("," span) ["@" rate]
 *   days     = day ["-" day] *("," ...)      day    = mon | tue | wed | thu | fri | sat | sun
 *   span     = time "-" time                 time   = HH:MM[:SS]; the first is inside, the second outside; 24:00 ends a day
 *   rate     studies per second at most while that window is open
 * The day and the time are those that a clock in the zone of TZ shows: an hour that it shows twice counts twice, one that
 * it skips is none.
 * Owns: nothing.  Never: reads a clock.  Threads: any, once TZ is set. */
#ifndef PIXL_CONFIG_WINDOWS_H
#define PIXL_CONFIG_WINDOWS_H

#include <stdint.h>

#include "base/error.h"
#include "base/str.h"

enum { WINDOWS_MAX = 32 };
struct windows {
    size_t n; /* 0: always open */
    struct window {
        unsigned days;     /* bit 1u << tm_wday */
        int from_s, to_s;  /* of the day */
        double rate_per_s; /* < 0: not said */
    } list[WINDOWS_MAX];
    const char *text; /* as it was set; NULL: not by settings */
};

/* Fails: INVALID, with what is wrong and where (in characters from 1). */
PIXL_MUST_CHECK bool windows_parse(struct str text, struct windows *out, struct pixl_error *err);
/* *rate_per_s: the highest of the open windows when all of them say one, else negative; may be NULL. */
bool windows_open(const struct windows *w, int64_t wall_us, double *rate_per_s);
/* When it opens next: wall_us itself when it is open, INT64_MAX when not within nine days. */
int64_t windows_opens_us(const struct windows *w, int64_t wall_us);
/* "Mon 20:00" of an instant, as a clock in the zone of TZ shows it. */
enum { WINDOWS_TIME_SIZE = 16 };
void windows_time(int64_t wall_us, char out[WINDOWS_TIME_SIZE]);
/* Does this system know the zone?  An unknown one would silently be UTC. */
bool windows_is_zone(const char *tz);

#endif
