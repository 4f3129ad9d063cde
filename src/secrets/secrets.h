/* secrets.h - keys, salts, passwords by name, from wherever they are kept; backends file, env and azure.
 *
 * Owns: its connection or file, and a cache of values: of a file and of the environment for its own life, of a vault for
 *       PIXL_SECRETS_CACHE_S.  A vault that cannot be reached when that is over leaves the old value in force.
 *       secrets_get_anew() asks at once.
 * Never: logs or formats a value; makes the hashing key by itself (see secrets_create).
 * Threads: any; what is kept is given without waiting for a place that another thread asks. */
#ifndef PIXL_SECRETS_SECRETS_H
#define PIXL_SECRETS_SECRETS_H

#include "base/error.h"
#include "base/secret.h"
#include "config/settings.h"

struct secrets;
enum secrets_caps {
    SECRETS_CAP_CREATE     = 1u << 0,    /* secrets_create() can be used here */
    SECRETS_CAP_CREATE_KEY = 1u << 1,    /* for the hashing key too: elsewhere that is put there by a person */
};

/* url: "file:PATH" (a file of NAME=value lines, mode 0600 or refused; absent: empty), "env:" (PIXL_SECRET_ + name in
 * capitals, '-' -> '_'), "azure:", "azure:VAULT-NAME", "azure:https://HOST" (Azure Key Vault; settings say how to sign in,
 * and are not needed otherwise; nothing is asked of it yet).
 * Given: secrets_close().  Fails: INVALID (unknown scheme, malformed line as file:line), DENIED (mode, owner). */
PIXL_MUST_CHECK bool secrets_open(const char *url, const struct settings *settings, struct secrets **out, struct pixl_error *err);
/* *out, zeroed, gets a copy.  Fails: NOT_FOUND "secret <name> not found"; INVALID when it is there and empty; UNAVAILABLE,
 * DENIED (the vault, with what to set). */
PIXL_MUST_CHECK bool secrets_get(struct secrets *s, struct str name, struct secret *out, struct pixl_error *err);
/* As secrets_get(), of the place itself whatever is kept; for a login that has been refused.  When it fails what was kept stays. */
PIXL_MUST_CHECK bool secrets_get_anew(struct secrets *s, struct str name, struct secret *out, struct pixl_error *err);
/* Stores value under name if the name is not there, atomically and durably (a file: lock, fsync, rename, 0600; a vault: an
 * election, which takes seconds); *out gets what is stored afterwards, the older value when somebody was first.
 * Fails: UNSUPPORTED (env), IO, DENIED, NO_SPACE, UNAVAILABLE. */
PIXL_MUST_CHECK bool secrets_create(struct secrets *s, struct str name, struct str value, struct secret *out,
                                    struct pixl_error *err);
unsigned secrets_caps(const struct secrets *s);
/* For a person: where they are kept ("file .pixl/secrets.env"). */
const char *secrets_place(const struct secrets *s);
void secrets_close(struct secrets *s);
PIXL_DEFINE_CLEANUP(secrets, secrets_close)
#define secrets_auto PIXL_CLEANUP(secrets_freep) struct secrets

#endif
