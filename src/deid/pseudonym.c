#include "pseudonym.h"

#include <stdlib.h>

#include "base/hash.h"

/* One prepared key per digest length: the length is a parameter of BLAKE2b, another length is another hash. */
struct pseudonyms {
    struct hash_key *text64, *text16, *uid;
    struct secret salt, local_salt;
    struct secret project;
};

enum { TEXT_LONG = 64, TEXT_SHORT = 16, UID_BYTES = 16, KEY_CHECK_BYTES = 8 };

bool pseudonyms_new(const struct secret *key, const struct secret *salt, struct str local_salt, struct str project,
                    struct pseudonyms **out, struct pixl_error *err)
{
    if (secret_reveal(salt).n == 0)
        return pixl_fail(err, PIXL_E_INVALID, 0, "the project's salt is empty");
    PIXL_CLEANUP(pseudonyms_freep) struct pseudonyms *p = calloc(1, sizeof *p);
    if (p == NULL)
        return pixl_fail(err, PIXL_E_NOMEM, 0, "pseudonyms");
    if (!hash_key_new(key, TEXT_LONG / 2, &p->text64, err) || !hash_key_new(key, TEXT_SHORT / 2, &p->text16, err) ||
        !hash_key_new(key, UID_BYTES, &p->uid, err) || !secret_set(&p->salt, secret_reveal(salt), err) ||
        !secret_set(&p->local_salt, local_salt, err) || !secret_set(&p->project, project, err))
        return pixl_wrap(err, "pseudonyms");
    *out = PIXL_STEAL(&p);
    return true;
}

void pseudonyms_free(struct pseudonyms *p)
{
    if (p == NULL)
        return;
    hash_key_free(p->text64);
    hash_key_free(p->text16);
    hash_key_free(p->uid);
    secret_done(&p->salt);
    secret_done(&p->local_salt);
    secret_done(&p->project);
    free(p);
}

bool pseudonyms_text(const struct pseudonyms *p, struct phi_text value, size_t length, char out[PSEUDONYM_TEXT_MAX + 1],
                     struct pixl_error *err)
{
    if (length != TEXT_LONG && length != TEXT_SHORT)
        return pixl_fail(err, PIXL_E_INVALID, 0, "a pseudonym has 64 or 16 characters, not %zu", length);
    if (phi_is_empty(value))
        return pixl_fail(err, PIXL_E_INVALID, 0, "an empty value has no pseudonym");
    const struct str parts[] = { phi_reveal(value), secret_reveal(&p->salt), secret_reveal(&p->local_salt) };
    uint8_t digest[TEXT_LONG / 2];
    if (!hash_keyed(length == TEXT_LONG ? p->text64 : p->text16, parts, ARRAY_LEN(parts), digest, err))
        return false;
    hash_hex(digest, length / 2, out);
    return true;
}

bool pseudonyms_uid(const struct pseudonyms *p, struct phi_text uid, char out[DICOM_UID_MAX + 1],
                    struct pixl_error *err)
{
    struct str u = phi_reveal(uid);
    if (u.n == 0 || dicom_uid_is_standard(u))
        return pixl_fail(err, PIXL_E_INVALID, 0, "an empty UID or one of the standard's has no pseudonym");
    /* NULs between the parts: none of them holds one, so that no two lists of parts give the same bytes. */
    const struct str nul = { "", 1 };
    const struct str parts[] = {
        STR("pixl uid 1"), nul, secret_reveal(&p->project), nul, secret_reveal(&p->salt), nul, u
    };
    uint8_t digest[UID_BYTES];
    if (!hash_keyed(p->uid, parts, ARRAY_LEN(parts), digest, err))
        return false;
    dicom_uid_from_bytes(digest, out);
    return true;
}

bool pseudonyms_key_check(const struct secret *key, char out[17], struct pixl_error *err)
{
    hash_key_auto *k = NULL;
    if (!hash_key_new(key, KEY_CHECK_BYTES, &k, err))
        return false;
    const struct str part = STR("pixl key check 1");
    uint8_t digest[KEY_CHECK_BYTES];
    if (!hash_keyed(k, &part, 1, digest, err))
        return false;
    hash_hex(digest, sizeof digest, out);
    return true;
}
