/* secret.h - a key, salt or password: wiped when freed, never printed.
 *
 * Owns: its bytes (malloc), wiped by secret_done().
 * Never: shown; what prints settings or secrets writes "***".
 * Threads: one secret belongs to one thread, or is immutable after it was set. */
#ifndef PIXL_BASE_SECRET_H
#define PIXL_BASE_SECRET_H

#include "error.h"
#include "str.h"

struct secret {
    unsigned char *bytes_;       /* read through secret_reveal() only */
    size_t n;
};

/* Copies s into *out, which must be zeroed; s.n == 0 gives an empty secret.  Fails: NOMEM. */
PIXL_MUST_CHECK bool secret_set(struct secret *out, struct str s, struct pixl_error *err);

/* The bytes, borrowed until secret_done(). */
struct str secret_reveal(const struct secret *s);

/* Overwrites (explicit_bzero) and frees; *s is zeroed and may be set again. */
void secret_done(struct secret *s);
static inline void secret_donep(struct secret *s) { secret_done(s); }
#define secret_auto PIXL_CLEANUP(secret_donep) struct secret

/* A buf that will hold a secret on its way: all of max is allocated at once, so that growing leaves no copy behind; wiped when it is done.
 * false: out of memory; the buf may be done all the same. */
bool sealed_init(struct buf *b, size_t max);
void sealed_done(struct buf *b);
#define sealed_auto PIXL_CLEANUP(sealed_done) struct buf

#endif
