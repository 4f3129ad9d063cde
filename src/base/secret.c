#include "secret.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

bool secret_set(struct secret *out, struct str s, struct pixl_error *err)
{
    assert(out->bytes_ == NULL);
    unsigned char *p = malloc(s.n + 1);
    if (p == NULL)
        return pixl_fail(err, PIXL_E_NOMEM, 0, "secret of %zu bytes", s.n);
    if (s.n > 0)
        memcpy(p, s.p, s.n);
    p[s.n] = '\0';
    *out = (struct secret){ p, s.n };
    return true;
}

struct str secret_reveal(const struct secret *s)
{
    return (struct str){ (const char *)s->bytes_, s->n };
}

void secret_done(struct secret *s)
{
    if (s->bytes_ != NULL)
        explicit_bzero(s->bytes_, s->n);
    free(s->bytes_);
    *s = (struct secret){ 0 };
}

bool sealed_init(struct buf *b, size_t max)
{
    buf_init(b, max);
    char *zeros = calloc(1, max);
    bool ok = zeros != NULL && buf_add(b, zeros, max);
    free(zeros);
    buf_clear(b);
    return ok;
}

void sealed_done(struct buf *b)
{
    if (b->p != NULL)
        explicit_bzero(b->p, b->cap);
    buf_done(b);
}
