/* uid.h - unique identifiers (PS3.5 section 9) and transfer syntaxes (PS3.6 Table A-1).
 * Owns: constant tables.  Threads: any. */
#ifndef PIXL_DICOM_UID_H
#define PIXL_DICOM_UID_H

#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"

enum { DICOM_UID_MAX = 64 };

/* Components of digits joined by '.', 1..64 characters.  Leading zeros in a component are let pass: archives hold
 * them. */
bool dicom_uid_is_plausible(struct str s);
/* UIDs of the standard itself: never anyone's, never mapped.  1.2.840.10008. alone makes none: components of more than
 * five digits, other text or more than 32 characters are somebody's, whatever they begin with. */
bool dicom_uid_is_standard(struct str s);
/* A value as stored: without trailing NULs and blanks. */
struct str dicom_uid_trim(struct str s);
/* "2.25." and the decimal of 16 bytes as a big-endian number, after setting version 8 and the RFC 9562 variant;
 * NUL-terminated. */
void dicom_uid_from_bytes(const uint8_t bytes[16], char out[DICOM_UID_MAX + 1]);

struct dicom_syntax {
    const char *uid;
    const char *name;
    bool is_explicit, is_big_endian, is_deflated, is_encapsulated;
};
/* NULL when unknown. */
const struct dicom_syntax *dicom_syntax_find(struct str uid);

#endif
