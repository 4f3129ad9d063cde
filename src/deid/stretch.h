/* stretch.h - what of bytes of unknown meaning may be text.
 *
 *   a stretch of 3 or more characters of ASCII; it is text where it is alone between NULs, or from 16 on
 *   a field between NULs that is text but for letters beyond ASCII: UTF-8, or mostly ASCII letters
 *   3 or more characters of ASCII in UTF-16 of either byte order: every second byte is NUL
 * Owns: nothing.  Never: decides what is identity.  Threads: any. */
#ifndef PIXL_DEID_STRETCH_H
#define PIXL_DEID_STRETCH_H

#include <stdbool.h>

#include "base/attr.h"
#include "base/str.h"

struct stretch {
    struct str text;         /* valid during the call */
    bool is_text;            /* between other bytes short words stand by chance; not here */
    bool has_letters_beyond; /* beyond ASCII */
};
typedef bool stretch_sink(void *ctx, const struct stretch *s);

/* Gives every stretch of bytes to sink; false: sink said stop. */
PIXL_MUST_CHECK bool stretch_each(struct str bytes, stretch_sink *sink, void *ctx);
/* Of the same bytes as another character set makes UTF-8 of them: what holds letters beyond ASCII and is no noise. */
PIXL_MUST_CHECK bool stretch_each_decoded(struct str text, stretch_sink *sink, void *ctx);
/* Is all of it text of ASCII, but for NULs behind it? */
bool stretch_is_all_text(struct str bytes);

#endif
