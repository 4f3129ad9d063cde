#include "problems.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { TOLD_MAX = 1000 };       /* a hostile file has a problem in every line; nobody reads more */

PIXL_PRINTF(4, 0)
static bool note(struct problems *ps, enum pixl_code code, struct place at, const char *fmt, va_list ap)
{
    char text[400], line[sizeof ps->first.msg];
    (void)vsnprintf(text, sizeof text, fmt, ap);
    if (at.file == NULL)
        (void)snprintf(line, sizeof line, "%s", text);
    else if (at.line == 0)
        (void)snprintf(line, sizeof line, "%s: %s", at.file, text);
    else
        (void)snprintf(line, sizeof line, "%s:%d:%d: %s", at.file, at.line, at.column, text);
    if (ps->first.code == PIXL_OK)
        (void)pixl_fail(&ps->first, code, 0, "%s", line);
    if (ps->say != NULL && ps->n < TOLD_MAX)
        ps->say(ps->ctx, line);
    ps->n++;
    return false;
}

bool problem_at(struct problems *ps, struct place at, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    (void)note(ps, PIXL_E_INVALID, at, fmt, ap);
    va_end(ap);
    return false;
}

bool problem_of(struct problems *ps, enum pixl_code code, struct place at, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    (void)note(ps, code, at, fmt, ap);
    va_end(ap);
    return false;
}

bool problem_nomem(struct problems *ps)
{
    return problem_of(ps, PIXL_E_NOMEM, (struct place){ 0 }, "configuration: out of memory");
}

bool problem_take(struct problems *ps, struct pixl_error *err)
{
    if (ps == NULL || err->code != PIXL_E_INVALID)
        return false;
    (void)problem_of(ps, err->code, (struct place){ 0 }, "%s", err->msg);
    pixl_error_clear(err);
    return true;
}

bool problems_none(const struct problems *ps, struct pixl_error *err)
{
    if (ps->n == 0)
        return true;
    return pixl_fail(err, ps->first.code, ps->first.sys, "%s", ps->first.msg);
}

struct problem_text problem_show(struct str value)
{
    enum { SHOWN = 40 };
    struct problem_text out = { "" };
    size_t n = value.n <= SHOWN ? value.n : SHOWN;
    while (n < value.n && n > 0 && ((unsigned char)value.p[n] & 0xC0) == 0x80)
        n--;                    /* no half character */
    for (size_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char)value.p[i];
        out.text[i] = c < 0x20 || c == 0x7F ? '?' : (char)c;
    }
    if (n < value.n)
        memcpy(out.text + n, "...", sizeof "...");
    return out;
}
