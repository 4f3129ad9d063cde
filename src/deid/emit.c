/* emit.c - the plan of an instance: a new preamble and file meta, unchanged runs as ranges of the source, changed
 * parts and markers from memory.  Lengths that were defined stay defined, undefined ones stay undefined. */
#include "deid/profile.h"
#include "dicom/deflate.h"
#include "study_internal.h"

struct emitter {
    const struct instance *in;
    struct dicom_plan *plan;
};

/* What was read of a file is written from memory, not read again: then the bytes that were checked are the bytes that
 * are written, whoever rewrites the file meanwhile.  Where it was not read, which are long values that are not searched
 * (pixels), the range is. */
static bool emit_range(const struct emitter *m, uint64_t from, uint64_t to, struct pixl_error *err)
{
    const struct dicom_file *f = m->in->f;
    const uint8_t *held = f->source.bytes == NULL ? dicom_bytes_read(f, from, to - from) : NULL;
    return held != NULL ? dicom_plan_borrowed(m->plan, held, to - from, err)
                        : dicom_plan_range(m->plan, from, to - from, err);
}

/* The header of an element as it is, up to `to`, but for the reserved bytes of a long one: nobody's rule keeps those. */
static bool emit_header(const struct emitter *m, uint32_t i, uint64_t to, struct pixl_error *err)
{
    static const uint8_t zeros[DICOM_RESERVED_BYTES] = { 0 };
    const struct dicom_element *e = &m->in->f->elements[i];
    const uint64_t reserved = e->offset + DICOM_RESERVED_AT, behind = reserved + sizeof zeros;
    if (!m->in->f->has_reserved || e->value_offset - e->offset != DICOM_LONG_HEADER_BYTES)
        return emit_range(m, e->offset, to, err);
    return emit_range(m, e->offset, reserved, err) && dicom_plan_bytes(m->plan, zeros, sizeof zeros, err) &&
           (to == behind || emit_range(m, behind, to, err));
}

/* An element as it is: at once where it was read in one piece, else its parts, each held where it was read. */
static bool emit_kept(const struct emitter *m, uint32_t i, struct pixl_error *err)
{
    const struct dicom_file *f = m->in->f;
    const struct dicom_element *e = &f->elements[i];
    const uint64_t value_end = e->value_offset + e->value_bytes;
    if (!f->has_reserved &&
        (f->source.bytes != NULL || dicom_bytes_read(f, e->offset, e->next_offset - e->offset) != NULL))
        return emit_range(m, e->offset, e->next_offset, err);
    if (!emit_header(m, i, e->value_offset, err))
        return false;
    if (e->end == i + 1)
        return emit_range(m, e->value_offset, value_end, err) && emit_range(m, value_end, e->next_offset, err);
    for (uint32_t k = i + 1; k < e->end; k = f->elements[k].end)
        if (!emit_kept(m, k, err))
            return false;
    return emit_range(m, value_end, e->next_offset, err);
}

/* Pixel Data with zeros outside the regions, and in the byte behind that makes its length even. */
static bool emit_masked(const struct emitter *m, uint32_t i, struct pixl_error *err)
{
    const struct dicom_element *e = &m->in->f->elements[i];
    static const uint8_t padding[1] = { 0 };
    return emit_header(m, i, e->value_offset, err) &&
           dicom_plan_masked(m->plan, e->value_offset, m->in->masked_bytes, m->in->mask, err) &&
           dicom_plan_bytes(m->plan, padding, (size_t)(e->value_bytes - m->in->masked_bytes), err);
}

/* The header of a sequence or item as it was, but for a defined length. */
static bool emit_opening(const struct emitter *m, uint32_t i, struct pixl_error *err)
{
    const struct dicom_element *e = &m->in->f->elements[i];
    if (e->flags & DICOM_IS_UNDEFINED)
        return emit_header(m, i, e->value_offset, err);
    uint64_t length = m->in->decisions[i].bytes - (e->value_offset - e->offset);
    const bool is_big_endian = dicom_coding_at(m->in->f, i).is_big_endian;
    uint8_t bytes[4];
    for (unsigned k = 0; k < sizeof bytes; k++)
        bytes[is_big_endian ? 3 - k : k] = (uint8_t)(length >> 8 * k);
    return emit_header(m, i, e->value_offset - sizeof bytes, err) &&
           dicom_plan_bytes(m->plan, bytes, sizeof bytes, err);
}

bool deid_emit_kept(const struct instance *in, uint32_t i, struct dicom_plan *plan, struct pixl_error *err)
{
    return emit_kept(&(struct emitter){ in, plan }, i, err);
}

static bool emit_run(const struct emitter *m, uint32_t first, uint32_t end, struct pixl_error *err);

static bool emit_one(const struct emitter *m, uint32_t i, struct pixl_error *err)
{
    const struct dicom_element *e = &m->in->f->elements[i];
    const struct decision *d = &m->in->decisions[i];
    switch ((enum decision_what)d->what) {
    case DECISION_DROP:
        return true;
    case DECISION_KEEP:
        return m->in->mask != NULL && i == (uint32_t)m->in->top[TOP_PIXELS] ? emit_masked(m, i, err)
                                                                            : emit_kept(m, i, err);
    case DECISION_VALUE:
        return dicom_plan_element(m->plan, dicom_coding_at(m->in->f, i), e->tag, (enum dicom_vr)d->vr, d->value, err);
    case DECISION_CHANGED:
        return emit_opening(m, i, err) && emit_run(m, i + 1, e->end, err) &&
               (!(e->flags & DICOM_IS_UNDEFINED) ||
                emit_range(m, e->value_offset + e->value_bytes, e->next_offset, err));
    }
    return true;
}

/* Recursion as deep as the reader lets sequences nest (dicom_limits.max_depth). */
static bool emit_run(const struct emitter *m, uint32_t first, uint32_t end, struct pixl_error *err)
{
    for (uint32_t i = first; i < end; i = m->in->f->elements[i].end)
        if (!emit_one(m, i, err))
            return false;
    return true;
}

/* An element that the source has not. */
static bool emit_new(const struct emitter *m, uint32_t tag, enum dicom_vr vr, struct str value, struct pixl_error *err)
{
    if (m->in->study->report != NULL)
        report_marker(m->in->study->report, tag, vr);
    return dicom_plan_element(m->plan, dicom_coding_of(m->in->f->syntax), tag, vr, value, err);
}

/* PS3.16 CID 7050, De-identification Method. */
struct method { unsigned option; const char *code, *meaning; };
static const struct method methods[] = {
    { PROFILE_PIXELS, "113101", "Clean Pixel Data Option" },
    { PROFILE_DATES, "113106", "Retain Longitudinal Temporal Information Full Dates Option" },
    { PROFILE_PATIENT, "113108", "Retain Patient Characteristics Option" },
    { PROFILE_DEVICE, "113109", "Retain Device Identity Option" },
    { PROFILE_UIDS, "113110", "Retain UIDs Option" },
    { PROFILE_PRIVATE, "113111", "Retain Safe Private Option" },
    { PROFILE_INSTITUTION, "113112", "Retain Institution Identity Option" },
};

static bool emit_method(const struct emitter *m, const char *code, const char *meaning, struct pixl_error *err)
{
    struct dicom_coding c = dicom_coding_of(m->in->f->syntax);
    if (m->in->study->report != NULL)
        report_method(m->in->study->report, code, meaning);
    return dicom_plan_header(m->plan, c, DICOM_TAG_ITEM, DICOM_VR_NONE, DICOM_UNDEFINED_LENGTH, err) &&
           emit_new(m, 0x00080100, DICOM_VR_SH, str_of(code), err) &&
           emit_new(m, 0x00080102, DICOM_VR_SH, STR("DCM"), err) &&
           emit_new(m, 0x00080104, DICOM_VR_LO, str_of(meaning), err) &&
           dicom_plan_header(m->plan, c, DICOM_TAG_ITEM_END, DICOM_VR_NONE, 0, err);
}

/* 113100 only where the rules satisfy the basic profile; an option only where something was retained under it, or was
 * cleaned.  Burned In Annotation, which section E.3.1 would have as NO beside 113101, goes by its rule: what may be
 * burnt in within a region nobody has looked at. */
static bool emit_codes(const struct emitter *m, struct pixl_error *err)
{
    struct dicom_coding c = dicom_coding_of(m->in->f->syntax);
    bool is_basic = m->in->study->policy->is_basic_profile;
    if (!is_basic && m->in->options == 0)
        return true;
    if (m->in->study->report != NULL)
        report_marker(m->in->study->report, DICOM_DEIDENTIFICATION_METHOD_CODES, DICOM_VR_SQ);
    if (!dicom_plan_header(m->plan, c, DICOM_DEIDENTIFICATION_METHOD_CODES, DICOM_VR_SQ, DICOM_UNDEFINED_LENGTH, err) ||
        (is_basic && !emit_method(m, "113100", "Basic Application Confidentiality Profile", err)))
        return false;
    for (size_t i = 0; i < ARRAY_LEN(methods); i++)
        if ((m->in->options & methods[i].option) && !emit_method(m, methods[i].code, methods[i].meaning, err))
            return false;
    return dicom_plan_header(m->plan, c, DICOM_TAG_SEQUENCE_END, DICOM_VR_NONE, 0, err);
}

enum { N_MARKERS = 4 };
static const uint32_t marker_tags[N_MARKERS] = { DICOM_PATIENT_IDENTITY_REMOVED, DICOM_DEIDENTIFICATION_METHOD,
                                                 DICOM_DEIDENTIFICATION_METHOD_CODES,
                                                 DICOM_LONGITUDINAL_TEMPORAL_MODIFIED };

static bool emit_marker(const struct emitter *m, size_t which, struct pixl_error *err)
{
    switch (which) {
    case 0: return emit_new(m, marker_tags[0], DICOM_VR_CS, STR("YES"), err);
    case 1: return emit_new(m, marker_tags[1], DICOM_VR_LO, STR("pixl\\project rules\\residue check"), err);
    case 2:  return emit_codes(m, err);
    default:
        return emit_new(m, marker_tags[3], DICOM_VR_CS, m->in->dates_kept ? STR("UNMODIFIED") : STR("REMOVED"), err);
    }
}

bool deid_emit(struct instance *in, struct dicom_plan *plan, struct pixl_error *err)
{
    const struct dicom_file *f = in->f;
    struct emitter m = { in, plan };
    dicom_plan_init(plan, in->arena);
    const struct decision *class = &in->decisions[in->top[TOP_SOP_CLASS]];
    struct str sop_class = class->what == DECISION_VALUE ? class->value : in->text[TOP_SOP_CLASS];
    if (!dicom_plan_meta(plan, sop_class, str_of(in->sop_uid), str_of(f->syntax->uid), err))
        return false;
    const uint64_t meta_bytes = plan->size_bytes;
    size_t marker = 0;
    for (uint32_t i = f->meta_end; i < f->n_elements; i = f->elements[i].end) {
        if (DICOM_ELEMENT_OF(f->elements[i].tag) == 0)
            continue;            /* dropped, and they stand where they like */
        for (; marker < N_MARKERS && marker_tags[marker] < f->elements[i].tag; marker++)
            if (!emit_marker(&m, marker, err))
                return false;
        if (!emit_one(&m, i, err))
            return false;
    }
    for (; marker < N_MARKERS; marker++)
        if (!emit_marker(&m, marker, err))
            return false;
    return !f->syntax->is_deflated || dicom_plan_deflate(plan, meta_bytes, &f->source, err);
}
