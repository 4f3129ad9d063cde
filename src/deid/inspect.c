#include "inspect.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/hash.h"
#include "dicom/deflate.h"
#include "study_internal.h"

/* What checks of values need of a study; it has no policy, no pseudonyms, and no identity by which instances are known. */
struct deid_inspection {
    struct deid_study *study;
    struct str uid, patient; /* in the study's arena */
};

enum { ARENA_MAX = 1 << 20, SCRATCH_MAX = 64 << 20 };

static bool fail_memory(struct pixl_error *err)
{
    return pixl_fail(err, PIXL_E_NOMEM, 0, "study");
}

static bool add_uids(struct residue *r, struct str uids, struct pixl_error *err)
{
    struct str one;
    bool more = true;
    while (more) {
        more = str_split(uids, '\\', &one, &uids);
        if (!residue_add_uid(r, str_trim(dicom_uid_trim(one)), err))
            return false;
    }
    return true;
}

static bool add_needles(struct residue *r, const struct deid_inspection_args *a, struct pixl_error *err)
{
    if (!residue_add_id(r, str_trim(phi_reveal(a->mrn)), IDENTITY_MRN, err) ||
        !residue_add_id(r, str_trim(phi_reveal(a->accession_number)), IDENTITY_ACCESSION, err))
        return false;
    for (size_t i = 0; i < a->n_original_uids; i++)
        if (!add_uids(r, phi_reveal(a->original_uids[i]), err))
            return false;
    return true;
}

bool deid_inspection_new(const struct deid_inspection_args *a, struct deid_inspection **out, struct pixl_error *err)
{
    PIXL_CLEANUP(deid_inspection_freep) struct deid_inspection *s = calloc(1, sizeof *s);
    if (s == NULL || (s->study = calloc(1, sizeof *s->study)) == NULL)
        return fail_memory(err);
    struct deid_study *d = s->study;
    arena_init(&d->arena, ARENA_MAX);
    arena_init(&d->scratch, SCRATCH_MAX);
    d->cache = calloc(DEID_CACHE, sizeof *d->cache);
    s->uid = arena_str(&d->arena, a->pseudo_study_uid);
    s->patient = arena_str(&d->arena, str_trim(a->patient));
    if (d->cache == NULL || s->uid.p == NULL || s->patient.p == NULL)
        return fail_memory(err);
    if (!hash_random(d->cache_keys, sizeof d->cache_keys, err) || !residue_new(&d->residue, err) ||
        !add_needles(d->residue, a, err))
        return false;
    *out = PIXL_STEAL(&s);
    return true;
}

void deid_inspection_free(struct deid_inspection *s)
{
    if (s == NULL)
        return;
    deid_study_free(s->study);
    free(s);
}

/* --- whose it is ---------------------------------------------------------------------------------------------- */

static bool needs(const struct instance *in, enum top_element t, const char *tag, struct deid_result *res)
{
    const struct str uid = in->text[t];
    if (dicom_uid_is_plausible(uid) && (t == TOP_SOP_CLASS || !dicom_uid_is_standard(uid)))
        return true;
    res->verdict = DEID_REFUSED;
    res->why = uid.n == 0 ? STUDY_WHY_MISSING_ATTRIBUTE : STUDY_WHY_UNSUPPORTED_VALUE;
    (void)snprintf(res->where, sizeof res->where, "%s", tag);
    return false;
}

static bool is_the_study(const struct instance *in, const struct deid_inspection *s, struct deid_result *res)
{
    if (!needs(in, TOP_STUDY, "(0020,000D)", res) || !needs(in, TOP_SERIES, "(0020,000E)", res) ||
        !needs(in, TOP_SOP, "(0008,0018)", res) || !needs(in, TOP_SOP_CLASS, "(0008,0016)", res))
        return false;
    res->verdict = DEID_MISMATCH;
    res->why = STUDY_WHY_IDENTITY_MISMATCH;
    return str_eq(in->text[TOP_STUDY], s->uid) && (s->patient.n == 0 || str_eq(in->text[TOP_PATIENT], s->patient));
}

/* --- what is written ------------------------------------------------------------------------------------------- */

static bool plan_all(const struct instance *in, struct dicom_plan *plan, struct pixl_error *err)
{
    const struct dicom_file *f = in->f;
    dicom_plan_init(plan, in->arena);
    if (!dicom_plan_meta(plan, in->text[TOP_SOP_CLASS], in->text[TOP_SOP], str_of(f->syntax->uid), err))
        return false;
    const uint64_t meta_bytes = plan->size_bytes;
    for (uint32_t i = f->meta_end; i < f->n_elements; i = f->elements[i].end) {
        const struct dicom_element *e = &f->elements[i];
        if (DICOM_ELEMENT_OF(e->tag) != 0 && !deid_emit_kept(in, i, plan, err))
            return false;
    }
    return !f->syntax->is_deflated || dicom_plan_deflate(plan, meta_bytes, &f->source, err);
}

static void refused(const struct instance *in, struct deid_result *res)
{
    res->verdict = DEID_REFUSED;
    res->why = in->why;
    if (in->at != DICOM_NO_PARENT)
        instance_place(in->f, in->at, NULL, res->where);
}

static bool inspect(struct instance *in, const struct deid_inspection *s, struct deid_result *res,
                    struct pixl_error *err)
{
    if (in->f->limits.max_depth > DEID_DEPTH_MAX)
        return pixl_fail(err, PIXL_E_LIMIT, 0, "sequences nested deeper than %d", DEID_DEPTH_MAX);
    if (!instance_find_top(in, err))
        return false;
    if (!is_the_study(in, s, res))
        return true;
    if (in->is_refused || !deid_keep_all(in, err) || !deid_check(in, err)) {
        if (!in->is_refused)
            return false;
        refused(in, res);
        return true;
    }
    if (residue_hit(in->study->residue) != NULL)
        return true;
    if (!plan_all(in, &res->plan, err))
        return false;
    res->verdict = DEID_EMIT;
    res->why = STUDY_WHY_NONE;
    res->pixels_compressed = in->f->syntax->is_deflated || (in->f->syntax->is_encapsulated && in->top[TOP_PIXELS] >= 0);
    (void)snprintf(res->series_uid, sizeof res->series_uid, "%.*s", STR_ARG(in->text[TOP_SERIES]));
    (void)snprintf(res->sop_uid, sizeof res->sop_uid, "%.*s", STR_ARG(in->text[TOP_SOP]));
    return true;
}

bool deid_inspect(struct deid_inspection *s, struct dicom_file *f, struct arena *arena, struct deid_result *out,
                  struct pixl_error *err)
{
    struct instance in = { .study = s->study, .f = f, .arena = arena, .at = DICOM_NO_PARENT };
    struct deid_result res = { .why = STUDY_WHY_NONE };
    bool ok = inspect(&in, s, &res, err);
    return deid_conclude(&in, ok, &res, out, err);
}
