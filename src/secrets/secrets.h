/* secrets.h - keys, salts, passwords by name, from wherever they are kept; backends file and env.
 *
 * Owns: its connection or file, and a cache of values for its own life.
 * Never: logs or formats a value; makes the hashing key by itself (see secrets_create).
 * Threads: any; the front door holds the one lock. */
#ifndef PIXL_SECRETS_SECRETS_H
#define PIXL_SECRETS_SECRETS_H

#include "base/error.h"
#include "base/secret.h"

struct secrets;

/* url: "file:PATH" (a file of NAME=value lines, mode 0600 or refused; absent: empty), "env:" (PIXL_SECRET_ + name in
 * capitals, '-' -> '_').
 * Given: secrets_close().  Fails: INVALID (unknown scheme, malformed line as file:line), DENIED (mode, owner). */
PIXL_MUST_CHECK bool secrets_open(const char *url, struct secrets **out, struct pixl_error *err);
/* *out, zeroed, gets a copy.  Fails: NOT_FOUND "secret <name> not found"; INVALID when it is there and empty. */
PIXL_MUST_CHECK bool secrets_get(struct secrets *s, struct str name, struct secret *out, struct pixl_error *err);
/* Stores value under name if the name is not there, atomically and durably (O_EXCL lock, fsync, rename, 0600); *out
 * gets what is stored afterwards, the older value when somebody was first.  Fails: UNSUPPORTED (env), IO, DENIED,
 * NO_SPACE. */
PIXL_MUST_CHECK bool secrets_create(struct secrets *s, struct str name, struct str value, struct secret *out,
                                    struct pixl_error *err);
bool secrets_can_create(const struct secrets *s);
/* For a person: where they are kept ("file .pixl/secrets.env"). */
const char *secrets_place(const struct secrets *s);
void secrets_close(struct secrets *s);
PIXL_DEFINE_CLEANUP(secrets, secrets_close)
#define secrets_auto PIXL_CLEANUP(secrets_freep) struct secrets

#endif
