#include "report_check.h"

#include <stdlib.h>

#include "deid/residue.h"

/* Tables that a long text has widened are given back: forgetting takes time for all of their room. */
enum { LONG_TEXT_BYTES = 64 * 1024 };

struct report_check {
    struct residue *residue;
    bool was_long;
};

bool report_check_new(struct report_check **out, struct pixl_error *err)
{
    report_check_auto *c = calloc(1, sizeof *c);
    if (c == NULL)
        return pixl_fail(err, PIXL_E_NOMEM, 0, "check of reports");
    if (!residue_new(&c->residue, err))
        return false;
    *out = PIXL_STEAL(&c);
    return true;
}

void report_check_free(struct report_check *c)
{
    if (c == NULL)
        return;
    residue_free(c->residue);
    free(c);
}

static bool add_needle(struct residue *r, const struct store_needle *n, struct pixl_error *err)
{
    struct str text = phi_reveal(n->text);
    switch (n->kind) {
    case STORE_NEEDLE_MRN: return residue_add_id(r, text, IDENTITY_MRN, err);
    case STORE_NEEDLE_ACCESSION: return residue_add_id(r, text, IDENTITY_ACCESSION, err);
    case STORE_NEEDLE_UID: return residue_add_uid(r, text, err);
    }
    return true;
}

static void name_place(void *ctx, char out[RESIDUE_WHERE_SIZE])
{
    (void)ctx;
    out[0] = '-';
    out[1] = '\0';
}

static bool begin_text(struct report_check *c, struct pixl_error *err)
{
    struct residue *fresh = NULL;
    if (!c->was_long)
        return residue_reset(c->residue, err);
    if (!residue_new(&fresh, err))
        return false;
    residue_free(c->residue);
    c->residue = fresh;
    return true;
}

bool report_check_text(struct report_check *c, const struct store_subject *of, struct str text, bool *is_clean,
                       struct pixl_error *err)
{
    const struct residue_text t = { .text = text, .form = RESIDUE_TEXT };
    struct residue_place place = { .write = name_place };
    bool ok = begin_text(c, err);
    c->was_long = text.n > LONG_TEXT_BYTES;
    for (size_t i = 0; ok && i < of->n_needles; i++)
        ok = add_needle(c->residue, &of->needles[i], err);
    ok = ok && residue_check(c->residue, &t, &place, err);
    if (!ok && err->code != PIXL_E_LIMIT)
        return false;
    if (!ok)
        pixl_error_clear(err);
    *is_clean = ok && residue_hit(c->residue) == NULL;
    return true;
}
