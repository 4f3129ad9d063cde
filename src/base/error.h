/* error.h - one failure, described once, carried by value.
 *
 * Owns: nothing; struct pixl_error lives on the caller's stack, so that reporting "out of memory"
 *       needs no memory.
 * Never: logs, exits, or holds a patient identifier.
 * Threads: any; an error belongs to its caller.
 *
 * Contract of every function whose last parameter is `struct pixl_error *err`:
 *   returns true    err untouched, every out-parameter set
 *   returns false   err set exactly once, every out-parameter untouched
 * err is never NULL and is clean on entry. */
#ifndef PIXL_BASE_ERROR_H
#define PIXL_BASE_ERROR_H

#include <stdbool.h>

#include "attr.h"

/* Each code is one that a caller acts on in its own way. */
#define PIXL_ERROR_CODES(X)                                                             \
    X(NOMEM,       "nomem",       "out of memory") \
    X(INVALID,     "invalid",     "invalid argument or configuration") \
    X(NOT_FOUND,   "not_found",   "not found") \
    X(EXISTS,      "exists",      "exists already, with other content") \
    X(DENIED,      "denied",      "permission denied") \
    X(IO,          "io",          "local input or output failed") \
    X(NO_SPACE,    "no_space",    "no space left") \
    X(UNAVAILABLE, "unavailable", "the other side cannot be reached or does not answer") \
    X(LIMIT,       "limit",       "a limit of size, count or depth was exceeded") \
    X(CORRUPT,     "corrupt",     "damaged or malformed data") \
    X(UNSUPPORTED, "unsupported", "not supported") \
    X(STALE,       "stale",       "the claim on this row was lost to another worker") \
    X(BUSY,        "busy",        "held by another process") \
    X(PRIVACY,     "privacy",     "passing this on would reveal an identity") \
    X(CANCELLED,   "cancelled",   "cancelled") \
    X(INTERNAL,    "internal",    "an invariant of pixl itself does not hold")

enum pixl_code {
    PIXL_OK = 0,
#define X(symbol, name, text) PIXL_E_##symbol,
    PIXL_ERROR_CODES(X)
#undef X
    PIXL_CODE_COUNT
};

struct pixl_error {
    enum pixl_code code;
    int sys;                 /* errno, HTTP status or library code; 0: none */
    char msg[512];           /* NUL-terminated; cut when longer */
};

/* Sets *err, which must be clean, and returns false.  sys as above. */
PIXL_PRINTF(4, 5)
bool pixl_fail(struct pixl_error *err, enum pixl_code code, int sys, const char *fmt, ...);

/* Puts "fmt: " before the message of *err, which must be set, and returns false. */
PIXL_PRINTF(2, 3)
bool pixl_wrap(struct pixl_error *err, const char *fmt, ...);

/* Sets *err from errno value e (ENOENT -> NOT_FOUND, EACCES/EPERM/EROFS -> DENIED, ENOSPC/EDQUOT ->
 * NO_SPACE, ENOMEM -> NOMEM, else IO) as "fmt: strerror(e)", and returns false. */
PIXL_PRINTF(3, 4)
bool pixl_fail_errno(struct pixl_error *err, int e, const char *fmt, ...);

/* Makes *err clean again: the failure was dealt with. */
void pixl_error_clear(struct pixl_error *err);

/* The text of a code; never NULL. */
const char *pixl_code_text(enum pixl_code code);

/* The name of a code in lower case ("no_space"); never NULL.  Stable: it is stored and logged. */
const char *pixl_code_name(enum pixl_code code);

#endif
