/* pseudonym.h - the names that stand for patients and studies in one project.
 *
 * Deterministic and keyed: repeats, other workers and references agree; without the key they cannot be computed, and
 * two projects (other salts) cannot be joined.
 *   text   lower-case hex of keyed BLAKE2b(value + project salt + local salt), digest length/2 bytes: as the Python system's hasher
 *   UID    "2.25." + 128 bits (UUIDv8) of keyed BLAKE2b over a label, the project, the salt and the UID
 * Owns: prepared keys, wiped at free.  Never: keeps or logs a value.  Threads: immutable; any. */
#ifndef PIXL_DEID_PSEUDONYM_H
#define PIXL_DEID_PSEUDONYM_H

#include <stddef.h>

#include "base/error.h"
#include "base/phi.h"
#include "base/secret.h"
#include "dicom/uid.h"

struct pseudonyms;

/* key: 1..64 bytes; salt of the project: not empty.  Copied.  Given: pseudonyms_free(). */
PIXL_MUST_CHECK bool pseudonyms_new(const struct secret *key, const struct secret *salt, struct str local_salt, struct str project,
                                    struct pseudonyms **out, struct pixl_error *err);
void pseudonyms_free(struct pseudonyms *p);
PIXL_DEFINE_CLEANUP(pseudonyms, pseudonyms_free)

enum { PSEUDONYM_TEXT_MAX = 64 };
/* length: 64 or 16 characters and a NUL into out.  value: not empty. */
PIXL_MUST_CHECK bool pseudonyms_text(const struct pseudonyms *p, struct phi_text value, size_t length, char out[PSEUDONYM_TEXT_MAX + 1],
                                     struct pixl_error *err);
/* uid: trimmed, not empty, not one of the standard's (the caller leaves those as they are). */
PIXL_MUST_CHECK bool pseudonyms_uid(const struct pseudonyms *p, struct phi_text uid, char out[DICOM_UID_MAX + 1], struct pixl_error *err);
/* 16 hex characters that tell keys apart without revealing them: kept beside what was made with a key. */
PIXL_MUST_CHECK bool pseudonyms_key_check(const struct secret *key, char out[17], struct pixl_error *err);

#endif
