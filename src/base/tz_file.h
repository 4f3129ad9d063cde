/* tz_file.h - the files of the system's tz database: for each zone one, in the form of TZif (RFC 9636).
 *
 * They lie below $TZDIR, else below /usr/share/zoneinfo, where the C library looks, too.
 * Owns: nothing.  Never: opens what lies elsewhere, whatever the name.  Threads: any, while nobody sets TZDIR. */
#ifndef PIXL_BASE_TZ_FILE_H
#define PIXL_BASE_TZ_FILE_H

#include "arena.h"
#include "error.h"
#include "str.h"

enum { TZ_NAME_MAX = 64, TZ_FILE_MAX = 64 * 1024 }; /* bytes; the longest name has 32, the largest file not 4000 */

/* Has the database a file for "Europe/London"?  A name is of letters, digits, '+', '-', '_', in parts joined by '/'. */
bool tz_file_is_there(struct str name);

/* The whole file.  Fails: NOT_FOUND (no such zone, no such name, no database), LIMIT, DENIED, IO, NOMEM. */
PIXL_MUST_CHECK bool tz_file_read(struct arena *a, struct str name, struct str *out, struct pixl_error *err);

#endif
