/* rate.h - setting the rate of archives from the command line.
 * Owns: nothing. */
#ifndef PIXL_CLI_RATE_H
#define PIXL_CLI_RATE_H

#include "pipeline/site.h"

#define RATE_OF_ZERO "Cannot start extract with a rate of 0. Must be >0"

/* What a start sets: PIXL_RATE (--rate), else PIXL_IMAGING_API_RATE. */
double rate_to_start(const struct settings *set);
/* archive: NULL: all.  Fails: INVALID, NOT_FOUND (no such archive). */
PIXL_MUST_CHECK bool rate_set(struct site *s, const char *archive, double rate_per_s, struct pixl_error *err);

#endif
