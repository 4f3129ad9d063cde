/* tz_offset.h - what a zone's clock was away from UTC when it showed a time.
 *
 * Owns: nothing.  Never: reads a file; its bytes are the caller's (base/tz_file.h).  Threads: any. */
#ifndef PIXL_STUDY_TZ_OFFSET_H
#define PIXL_STUDY_TZ_OFFSET_H

#include "base/error.h"
#include "iso_time.h"

/* tzif       a whole file, of version 1 and above (RFC 9636); leap seconds in it are passed over
 * local      what the clock shows; its offset is not looked at
 * fold       of a time that it shows twice, the second; of one that it skips, as if it had been put forward already
 *            (Python's PEP 495).  Of other times it changes nothing
 * *offset_s  seconds east of UTC, within a day
 * Before the first change of the file its first type counts, after the last one its footer.
 * Fails: CORRUPT. */
PIXL_MUST_CHECK bool tz_offset(struct str tzif, const struct iso_time *local, bool fold, int *offset_s,
                               struct pixl_error *err);

#endif
