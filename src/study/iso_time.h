/* iso_time.h - the times that extracts and messages carry: ISO 8601 as Python's datetime has it, and their folder names.
 *
 * Owns: nothing.  Never: asks for the time zone of the machine: a time without offset stays one.  Threads: any. */
#ifndef PIXL_STUDY_ISO_TIME_H
#define PIXL_STUDY_ISO_TIME_H

#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"

/* Always a day of the Gregorian calendar, years 1 to 9999. */
struct iso_time {
    int year, month, day, hour, minute, second, microsecond;
    bool has_offset;
    int offset_s;                /* east of UTC, within a day; 0 without offset */
};

/* "2023-12-07", then optionally "T" or a blank and "14:08[:58[.123456]]", then optionally "Z", "+01", "+0100",
 * "+01:00" or "+01:00:30".  Digits of the fraction beyond the sixth are cut off.  false: not such a time. */
bool iso_time_parse(struct str text, struct iso_time *out);

/* Is there such a day?  Years 1 to 9999. */
bool iso_time_is_day(int year, int month, int day);

/* Days since 1970-01-01, of any year. */
int64_t iso_time_day_number(int year, int month, int day);

/* Microseconds since 1970 UTC, to compare times by; one without offset counts as UTC. */
int64_t iso_time_to_us(const struct iso_time *t);

/* The same instant with offset +00:00; years stay within 0 to 10000. */
struct iso_time iso_time_to_utc(const struct iso_time *t);

enum { ISO_TIME_SIZE = 48 };
/* "2023-12-07T14:08:58[.123456][+01:00[:30]]", as Python's isoformat(). */
void iso_time_format(const struct iso_time *t, char out[ISO_TIME_SIZE]);

/* "2023-12-07t14-08-58[-123456][-01-00]"; west of UTC "-minus-01-00", so that no two offsets share a name. */
void iso_time_slug(const struct iso_time *t, char out[ISO_TIME_SIZE]);
/* Back again; false: not such a name. */
bool iso_time_parse_slug(struct str slug, struct iso_time *out);

#endif
