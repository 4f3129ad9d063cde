#include "error.h"

#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

bool pixl_fail(struct pixl_error *err, enum pixl_code code, int sys, const char *fmt, ...)
{
    assert(err != NULL && err->code == PIXL_OK && code != PIXL_OK);
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(err->msg, sizeof err->msg, fmt, ap);
    va_end(ap);
    err->code = code;
    err->sys = sys;
    return false;
}

/* Appends as much of s as fits: a message is cut rather than lost. */
static void append(char *msg, size_t cap, const char *s)
{
    size_t used = strlen(msg), room = cap - used - 1, n = strlen(s);
    if (n > room)
        n = room;
    memcpy(msg + used, s, n);
    msg[used + n] = '\0';
}

bool pixl_wrap(struct pixl_error *err, const char *fmt, ...)
{
    assert(err != NULL && err->code != PIXL_OK);
    char cause[sizeof err->msg];
    memcpy(cause, err->msg, sizeof cause);
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(err->msg, sizeof err->msg, fmt, ap);
    va_end(ap);
    append(err->msg, sizeof err->msg, ": ");
    append(err->msg, sizeof err->msg, cause);
    return false;
}

static enum pixl_code code_of_errno(int e)
{
    switch (e) {
    case ENOENT: case ENOTDIR:           return PIXL_E_NOT_FOUND;
    case EACCES: case EPERM: case EROFS: return PIXL_E_DENIED;
    case ENOSPC: case EDQUOT:            return PIXL_E_NO_SPACE;
    case ENOMEM:                         return PIXL_E_NOMEM;
    case EEXIST:                         return PIXL_E_EXISTS;
    default:                             return PIXL_E_IO;
    }
}

bool pixl_fail_errno(struct pixl_error *err, int e, const char *fmt, ...)
{
    assert(err != NULL && err->code == PIXL_OK && e != 0);
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(err->msg, sizeof err->msg, fmt, ap);
    va_end(ap);
    append(err->msg, sizeof err->msg, ": ");
    char text[128];
    append(err->msg, sizeof err->msg, strerror_r(e, text, sizeof text));
    err->code = code_of_errno(e);
    err->sys = e;
    return false;
}

void pixl_error_clear(struct pixl_error *err)
{
    *err = (struct pixl_error){ 0 };
}

const char *pixl_code_text(enum pixl_code code)
{
    static const char *const text[PIXL_CODE_COUNT] = {
        [PIXL_OK] = "ok",
#define X(symbol, name, t) [PIXL_E_##symbol] = t,
        PIXL_ERROR_CODES(X)
#undef X
    };
    return code < PIXL_CODE_COUNT ? text[code] : "unknown code";
}

const char *pixl_code_name(enum pixl_code code)
{
    static const char *const name[PIXL_CODE_COUNT] = {
        [PIXL_OK] = "ok",
#define X(symbol, n, text) [PIXL_E_##symbol] = n,
        PIXL_ERROR_CODES(X)
#undef X
    };
    return code < PIXL_CODE_COUNT ? name[code] : "unknown";
}
