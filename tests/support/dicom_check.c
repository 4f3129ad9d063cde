#include "dicom_check.h"

#include <stdlib.h>

static uint64_t end_of_value(const struct dicom_element *e)
{
    return e->value_offset + e->value_bytes;
}

/* The first of the entries above i that does not end with entry i; its ancestors that do end are closed by `at`. */
static bool close_ended(const struct dicom_file *f, uint32_t i, uint64_t *at)
{
    for (uint32_t c = f->elements[i].parent; c != DICOM_NO_PARENT && f->elements[c].end == i + 1;
         c = f->elements[c].parent) {
        const struct dicom_element *e = &f->elements[c];
        uint64_t delimiter = e->flags & DICOM_IS_UNDEFINED ? 8 : 0;
        if (*at != end_of_value(e) || e->next_offset != *at + delimiter)
            return false;
        *at = e->next_offset;
    }
    return true;
}

static const char *check_in_file_order(const struct dicom_file *f)
{
    uint64_t at = f->n_elements ? f->elements[0].offset : 0;
    if (at != (f->has_preamble ? 132u : 0u))
        return "the first element does not follow the preamble";
    for (uint32_t i = 0; i < f->n_elements; i++) {
        const struct dicom_element *e = &f->elements[i];
        bool is_open = (e->flags & (DICOM_IS_ITEM | DICOM_IS_SEQUENCE)) != 0;
        if (e->offset != at)
            return "an entry does not follow the one before";
        if (e->value_offset - e->offset != 8 && e->value_offset - e->offset != 12)
            return "a header is neither 8 nor 12 bytes";
        if (e->value_bytes > f->source.size_bytes - e->value_offset || e->next_offset > f->source.size_bytes)
            return "a value reaches beyond the source";
        if (e->end <= i || e->end > f->n_elements || (!is_open && e->end != i + 1))
            return "an end is wrong";
        if (e->parent == DICOM_NO_PARENT ? e->depth != 0 : e->parent >= i)
            return "a parent is wrong";
        if (e->parent != DICOM_NO_PARENT) {
            const struct dicom_element *p = &f->elements[e->parent];
            bool is_item = (e->flags & DICOM_IS_ITEM) != 0;
            if (i >= p->end || e->end > p->end || e->depth != p->depth + (is_item ? 1 : 0))
                return "an entry lies outside of its parent";
            if (((p->flags & DICOM_IS_ITEM) != 0) == is_item)
                return "items and elements do not alternate";
        }
        at = is_open && e->end > i + 1 ? e->value_offset : e->next_offset;
        if (!is_open && (e->flags & DICOM_IS_ENCAPSULATED) == 0 && e->next_offset != end_of_value(e))
            return "an element is longer than its value";
        if (is_open && e->end == i + 1 && e->value_bytes != 0)
            return "an empty sequence with a value";
        if (e->end == i + 1 && !close_ended(f, i, &at))
            return "a sequence or item does not end where its last entry ends";
    }
    bool has_data = f->n_elements > f->meta_end;
    return has_data && f->data_offset != f->elements[f->meta_end].offset ? "data_offset is wrong" : NULL;
}

static const struct dicom_element *sorted_elements;
static int by_offset(const void *left, const void *right)
{
    uint64_t l = sorted_elements[*(const uint32_t *)left].offset, r = sorted_elements[*(const uint32_t *)right].offset;
    return l < r ? -1 : l > r;
}

/* The same entries as they stand in the file; false: no memory. */
static bool in_file_order(const struct dicom_file *f, struct dicom_file *out)
{
    uint32_t *order = calloc(f->n_elements + 1, sizeof *order), *rank = calloc(f->n_elements + 1, sizeof *rank);
    struct dicom_element *e = calloc(f->n_elements + 1, sizeof *e);
    bool ok = order != NULL && rank != NULL && e != NULL;
    *out = *f;
    out->elements = e;
    for (uint32_t i = 0; ok && i < f->n_elements; i++)
        order[i] = i;
    sorted_elements = f->elements;
    if (ok)
        qsort(order, f->n_elements, sizeof *order, by_offset);
    for (uint32_t i = 0; ok && i < f->n_elements; i++)
        rank[order[i]] = i;
    for (uint32_t i = 0; ok && i < f->n_elements; i++) {
        e[i] = f->elements[order[i]];
        e[i].end = i + (e[i].end - order[i]);
        if (e[i].parent != DICOM_NO_PARENT)
            e[i].parent = rank[e[i].parent];
    }
    free(order);
    free(rank);
    return ok;
}

/* Tags of a data set ascend; what is there twice is marked, and an item in which anything had to be sorted or marked is. */
static const char *check_order(const struct dicom_file *f, uint32_t item, uint32_t first, uint32_t end)
{
    bool is_unordered = false, has_before = false;
    uint32_t before = 0;
    uint64_t offset = 0;
    for (uint32_t i = first; i < end; i = f->elements[i].end) {
        const struct dicom_element *e = &f->elements[i];
        bool is_duplicate = has_before && e->tag == before;
        if (has_before && e->tag < before)
            return "tags do not ascend";
        if (is_duplicate != ((e->flags & DICOM_IS_DUPLICATE) != 0) || (is_duplicate && e->offset < offset))
            return "a duplicate is not marked, or what is none is";
        is_unordered = is_unordered || is_duplicate || e->offset < offset;
        offset = e->offset;
        before = e->tag;
        has_before = true;
    }
    if (item != DICOM_NO_PARENT && is_unordered != ((f->elements[item].flags & DICOM_IS_UNORDERED) != 0))
        return "an item without order is not marked, or one in order is";
    return NULL;
}

const char *dcm_check_structure(const struct dicom_file *f)
{
    struct dicom_file in_file;
    const char *wrong = in_file_order(f, &in_file) ? check_in_file_order(&in_file) : "no memory";
    free(in_file.elements);
    if (wrong == NULL)
        wrong = check_order(f, DICOM_NO_PARENT, 0, f->meta_end);
    if (wrong == NULL)
        wrong = check_order(f, DICOM_NO_PARENT, f->meta_end, f->n_elements);
    for (uint32_t i = f->meta_end; wrong == NULL && i < f->n_elements; i++)
        if (f->elements[i].flags & DICOM_IS_ITEM)
            wrong = check_order(f, i, i + 1, f->elements[i].end);
    return wrong;
}

/* A sequence is closed in the coding of what is inside, an item in that of its own header. */
static bool plan_end(const struct dicom_file *f, struct dicom_plan *p, uint32_t i, struct pixl_error *err)
{
    const struct dicom_element *e = &f->elements[i];
    uint32_t tag = e->flags & DICOM_IS_ITEM ? DICOM_TAG_ITEM_END : DICOM_TAG_SEQUENCE_END;
    struct dicom_coding c = e->flags & DICOM_IS_IMPLICIT ? (struct dicom_coding){ 0 } : dicom_coding_at(f, i);
    return (e->flags & DICOM_IS_UNDEFINED) == 0 || dicom_plan_header(p, c, tag, DICOM_VR_NONE, 0, err);
}

/* The header of an element; the writer has none for two characters that are no VR, so that one is copied. */
static bool plan_header(const struct dicom_file *f, struct dicom_plan *p, uint32_t i, struct pixl_error *err)
{
    const struct dicom_element *e = &f->elements[i];
    struct dicom_coding c = dicom_coding_at(f, i);
    char vr[2];
    enum dicom_vr known;
    if (c.is_explicit && e->vr == DICOM_VR_UN) {
        if (!f->source.read(&f->source, vr, 2, e->offset + 4, err))
            return false;
        if (!dicom_vr_parse(vr, &known))
            return dicom_plan_range(p, e->offset, e->value_offset - e->offset, err);
    }
    return dicom_plan_header(p, c, e->tag, e->vr,
                             e->flags & DICOM_IS_UNDEFINED ? DICOM_UNDEFINED_LENGTH : e->value_bytes, err);
}

static bool plan_in_file_order(const struct dicom_file *f, struct dicom_plan *p, struct pixl_error *err)
{
    uint64_t at = f->n_elements ? f->elements[0].offset : 0;
    if (!dicom_plan_range(p, 0, at, err))
        return false;
    for (uint32_t i = 0; i < f->n_elements; i++) {
        const struct dicom_element *e = &f->elements[i];
        bool is_open = (e->flags & (DICOM_IS_ITEM | DICOM_IS_SEQUENCE)) != 0;
        if (!plan_header(f, p, i, err))
            return false;
        if (!is_open && !dicom_plan_range(p, e->value_offset, e->value_bytes, err))
            return false;
        if (e->end == i + 1 && !plan_end(f, p, i, err))
            return false;
        at = e->next_offset;
        for (uint32_t c = e->parent; e->end == i + 1 && c != DICOM_NO_PARENT && f->elements[c].end == i + 1;
             c = f->elements[c].parent) {
            if (!plan_end(f, p, c, err))
                return false;
            at = f->elements[c].next_offset;
        }
    }
    return dicom_plan_range(p, at, f->source.size_bytes - at, err);
}

bool dcm_plan_again(const struct dicom_file *f, struct dicom_plan *p, struct pixl_error *err)
{
    struct dicom_file in_file;
    bool ok = in_file_order(f, &in_file) ? plan_in_file_order(&in_file, p, err)
                                         : pixl_fail(err, PIXL_E_NOMEM, 0, "no memory");
    free(in_file.elements);
    return ok;
}

static bool collect(void *ctx, const void *bytes, size_t n, struct pixl_error *err)
{
    return buf_add(ctx, bytes, n) || pixl_fail(err, PIXL_E_NOMEM, 0, "no memory");
}

bool dcm_plan_collect(const struct dicom_plan *p, const struct dicom_source *s, struct buf *out, struct pixl_error *err)
{
    static char block[4096];
    return dicom_plan_each(p, s, block, sizeof block, collect, out, err);
}
