/* str.h - text and bytes: struct str for reading, struct buf for building.
 *
 * Owns: a buf owns its bytes; a str is always borrowed.
 * Never: assumes a NUL at the end of a str; grows a buf past the size given at its init.
 * Threads: any; a buf belongs to one thread. */
#ifndef PIXL_BASE_STR_H
#define PIXL_BASE_STR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "attr.h"

/* n bytes at p, borrowed; not NUL-terminated; { NULL, 0 } is the empty text. */
struct str {
    const char *p;
    size_t n;
};

#define STR(literal) ((struct str){ "" literal, sizeof(literal) - 1 })
/* For printf("%.*s", STR_ARG(s)).  Never for an identifier: those are struct phi_text. */
#define STR_ARG(s) (int)((s).n > INT32_MAX ? INT32_MAX : (s).n), (s).n ? (s).p : ""

struct str str_of(const char *cstr);            /* NULL gives the empty text */
bool str_eq(struct str a, struct str b);
bool str_eq_nocase(struct str a, struct str b); /* ASCII letters only */
bool str_is_prefix(struct str s, struct str prefix);
int  str_cmp(struct str a, struct str b);       /* by bytes, shorter first when equal so far */
struct str str_trim(struct str s);              /* without blanks, tabs, CR and LF at both ends */
/* Cuts s at the first sep: *head is what stands before it, *rest what follows.  false when there
 * is no sep: *head is all of s, *rest empty. */
bool str_split(struct str s, char sep, struct str *head, struct str *rest);
/* Whole s as a decimal number (an optional minus for the signed one); false on anything else or overflow. */
bool str_to_u64(struct str s, uint64_t *out);
bool str_to_i64(struct str s, int64_t *out);
bool str_to_double(struct str s, double *out);  /* finite decimal numbers only: no NaN, inf, hex */
bool str_is_utf8(struct str s);                 /* well-formed, no surrogates, no overlong forms */

/* A growing byte buffer with a ceiling.  When an append fails (no memory, over the ceiling) the buf
 * is `failed`: later appends do nothing, so that a caller checks once at the end.
 * Invariants: p is NULL or has a NUL at p[n]; n <= max. */
struct buf {
    char *p;
    size_t n, cap, max;
    bool failed;
};

void buf_init(struct buf *b, size_t max);       /* allocates nothing; max is the most bytes ever held */
void buf_done(struct buf *b);                   /* frees; the buf may be initialised again */
void buf_clear(struct buf *b);                  /* n = 0, failed = false; keeps the memory */
bool buf_add(struct buf *b, const void *p, size_t n);      /* false: failed */
bool buf_add_str(struct buf *b, struct str s);
bool buf_add_cstr(struct buf *b, const char *s);
bool buf_add_char(struct buf *b, char c);
PIXL_PRINTF(2, 3)
bool buf_addf(struct buf *b, const char *fmt, ...);
/* s as a terminal may show it: control characters (C0, C1, DEL) and bytes that are no UTF-8 as \xNN. */
bool buf_add_visible(struct buf *b, struct str s);
struct str buf_str(const struct buf *b);        /* borrowed, until the next change */
const char *buf_cstr(const struct buf *b);      /* the same with its NUL; "" when nothing was added */

static inline void buf_donep(struct buf *b) { buf_done(b); }
#define buf_auto PIXL_CLEANUP(buf_donep) struct buf

#endif
