/* charset.h - Specific Character Set (0008,0005): bytes of a text value to UTF-8 (PS3.3 section C.12.1.1.2, PS3.5
 * section 6.1).
 * Owns: nothing but what it puts into the arena given.  Threads: any; one struct belongs to one thread. */
#ifndef PIXL_DICOM_CHARSET_H
#define PIXL_DICOM_CHARSET_H

#include "base/arena.h"
#include "base/error.h"
#include "base/str.h"
#include "dicom/tag.h"

struct dicom_charset {
    unsigned char terms[8];      /* in order of the value; numbers of charset.c's own */
    unsigned char n;
    bool is_known;               /* every term is */
};

/* value: of (0008,0005), multi-valued; empty: ISO_IR 6.  A term that is not known gives is_known = false, and whoever
 * must be sure can refuse. */
struct dicom_charset dicom_charset_parse(struct str value);
/* A byte below 0x80 is that ASCII character wherever it stands, escape sequences aside. */
bool dicom_charset_is_ascii_compatible(const struct dicom_charset *c);
/* Nothing else was named than ASCII and UTF-8. */
bool dicom_charset_is_ascii_or_utf8(const struct dicom_charset *c);
/* Bytes to UTF-8 in the arena; what cannot be decoded becomes U+FFFD and *clean false.  Pure ASCII comes back borrowed.
 * vr: what ends a value, and with it the sets that escapes called for: '\\' where there may be several values, '^' and
 * '=' in a PN (PS3.5 section 6.1.2.5.3).
 * Bytes beyond ASCII under no named set, or one that is not known, are read as UTF-8 when they are that, else as the
 * first set that an escape should have called for, or Latin-1; *clean is false then too.  Fails: NOMEM. */
PIXL_MUST_CHECK bool dicom_charset_decode(const struct dicom_charset *c, enum dicom_vr vr, struct arena *a,
                                          struct str bytes, struct str *out, bool *clean, struct pixl_error *err);

#endif
