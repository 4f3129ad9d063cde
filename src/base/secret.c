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
