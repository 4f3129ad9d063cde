/* clock.h - the two clocks, in whole microseconds.
 * Owns: nothing.  Never: sleeps.  Threads: any.
 * Time is a parameter of what must be testable: functions take now_us, and only the edges read a clock. */
#ifndef PIXL_BASE_CLOCK_H
#define PIXL_BASE_CLOCK_H

#include <stdint.h>

int64_t clock_mono_us(void);     /* CLOCK_MONOTONIC: for durations and deadlines inside one process */
int64_t clock_wall_us(void);     /* CLOCK_REALTIME since 1970 UTC: for what is stored and shared */

/* "2026-11-23T18:30:42.123456Z" (27 characters and a NUL) of a wall time; years 1970 to 9999. */
enum { CLOCK_ISO_SIZE = 28 };
void clock_iso(int64_t wall_us, char out[CLOCK_ISO_SIZE]);

#endif
