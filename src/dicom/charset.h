/* charset.h - Specific Character Set (0008,0005): bytes of a text value to UTF-8 and back (PS3.3 section C.12.1.1.2, PS3.5 section 6.1).
 * Owns: nothing but what it puts into the arena given.  Threads: any; one struct belongs to one thread. */
#ifndef PIXL_DICOM_CHARSET_H
#define PIXL_DICOM_CHARSET_H

#include "base/arena.h"
#include "base/error.h"
#include "base/str.h"

struct dicom_charset { unsigned char terms[8]; unsigned char n; bool is_known; };

/* value: of (0008,0005), multi-valued; empty: ISO_IR 6.  A term that is not known gives is_known = false (text is then read as
 * Latin-1, and whoever must be sure can refuse). */
struct dicom_charset dicom_charset_parse(struct str value);
bool dicom_charset_is_ascii_compatible(const struct dicom_charset *c);
/* Bytes to UTF-8 in the arena; what cannot be decoded becomes U+FFFD and *clean false. Pure ASCII comes back borrowed. */
PIXL_MUST_CHECK bool dicom_charset_decode(const struct dicom_charset *c, struct arena *a, struct str bytes, struct str *out, bool *clean,
                                          struct pixl_error *err);

#endif
