#include "dataset.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The writer of these files calls itself by another name than pixl: what it leaves must not be taken for pixl's. */
#define WRITER_UID  "2.25.260451776330958129003842774615538201947"
#define WRITER_NAME "MODALITY_1_0"

struct item {
    struct item *next;
    struct dataset set;
};

struct dataset_element {
    struct dataset_element *next;
    uint32_t tag;
    enum dicom_vr vr;
    struct str value;
    struct item *first_item, *last_item; /* of a sequence */
};

enum { TEXT_BYTES_MAX = 16 * 1024, PREAMBLE_BYTES = 128 };

struct dataset *dataset_new(struct dataset_builder *b)
{
    struct dataset *d = arena_alloc(b->arena, sizeof *d);
    if (d == NULL)
        b->failed = true;
    return d;
}

static struct dataset_element *add(struct dataset_builder *b, struct dataset *d, uint32_t tag, enum dicom_vr vr)
{
    struct dataset_element *e = b->failed ? NULL : arena_alloc(b->arena, sizeof *e);
    if (e == NULL) {
        b->failed = true;
        return NULL;
    }
    *e = (struct dataset_element){ .tag = tag, .vr = vr };
    if (d->last != NULL)
        d->last->next = e;
    else
        d->first = e;
    d->last = e;
    d->n++;
    return e;
}

static void add_text(struct dataset_builder *b, struct dataset *d, uint32_t tag, enum dicom_vr vr, const char *text)
{
    struct dataset_element *e = add(b, d, tag, vr);
    if (e == NULL)
        return;
    e->value = arena_str(b->arena, str_of(text));
    if (e->value.p == NULL)
        b->failed = true;
}

void dataset_text(struct dataset_builder *b, struct dataset *d, uint32_t tag, const char *text)
{
    assert(dicom_vr_is_text(dicom_dict_vr(tag)));
    add_text(b, d, tag, dicom_dict_vr(tag), text);
}

void dataset_textf(struct dataset_builder *b, struct dataset *d, uint32_t tag, const char *fmt, ...)
{
    va_list args;
    char *text = arena_alloc(b->arena, TEXT_BYTES_MAX);
    if (text == NULL) {
        b->failed = true;
        return;
    }
    va_start(args, fmt);
    int n = vsnprintf(text, TEXT_BYTES_MAX, fmt, args);
    va_end(args);
    assert(n >= 0 && n < TEXT_BYTES_MAX);
    dataset_text(b, d, tag, text);
}

void dataset_u16(struct dataset_builder *b, struct dataset *d, uint32_t tag, uint16_t v)
{
    assert(dicom_dict_vr(tag) == DICOM_VR_US);
    const char two[2] = { (char)(v & 0xFF), (char)(v >> 8) };
    struct dataset_element *e = add(b, d, tag, DICOM_VR_US);
    if (e == NULL)
        return;
    e->value = arena_str(b->arena, (struct str){ two, sizeof two });
    if (e->value.p == NULL)
        b->failed = true;
}

void dataset_bytes(struct dataset_builder *b, struct dataset *d, uint32_t tag, enum dicom_vr vr, const void *p,
                   size_t n)
{
    struct dataset_element *e = add(b, d, tag, vr);
    if (e != NULL)
        e->value = (struct str){ p, n };
}

void dataset_private(struct dataset_builder *b, struct dataset *d, uint32_t tag, enum dicom_vr vr, const char *text)
{
    assert(dicom_tag_is_private(tag));
    add_text(b, d, tag, vr, text);
}

static struct dataset_element *sequence(struct dataset_builder *b, struct dataset *d, uint32_t tag)
{
    struct dataset_element *e = d->first;
    while (e != NULL && e->tag != tag)
        e = e->next;
    if (e == NULL)
        e = add(b, d, tag, DICOM_VR_SQ);
    return e;
}

void dataset_empty_sequence(struct dataset_builder *b, struct dataset *d, uint32_t tag)
{
    (void)sequence(b, d, tag);
}

struct dataset *dataset_item(struct dataset_builder *b, struct dataset *d, uint32_t tag)
{
    struct dataset_element *e = sequence(b, d, tag);
    struct item *item = e != NULL ? arena_alloc(b->arena, sizeof *item) : NULL;
    if (item == NULL) {
        b->failed = true;
        return d;
    }
    assert(e->vr == DICOM_VR_SQ);
    if (e->last_item != NULL)
        e->last_item->next = item;
    else
        e->first_item = item;
    e->last_item = item;
    return &item->set;
}

/* --- coding ------------------------------------------------------------------------------------------------------ */

static int by_tag(const void *left, const void *right)
{
    const struct dataset_element *const *l = left, *const *r = right;
    return ((*l)->tag > (*r)->tag) - ((*l)->tag < (*r)->tag);
}

struct coder {
    struct arena *arena;
    struct dicom_coding coding;
    bool undefined;
};

static bool code_set(const struct coder *c, const struct dataset *d, struct dicom_plan *out, struct pixl_error *err);

static bool append(struct dicom_plan *out, const struct dicom_plan *inner, struct pixl_error *err)
{
    for (size_t i = 0; i < inner->n_pieces; i++)
        if (!dicom_plan_bytes(out, inner->pieces[i].bytes, (size_t)inner->pieces[i].n, err))
            return false;
    return true;
}

static bool code_item(const struct coder *c, const struct item *item, struct dicom_plan *out, struct pixl_error *err)
{
    struct dicom_plan inside;
    dicom_plan_init(&inside, c->arena);
    return code_set(c, &item->set, &inside, err) &&
           dicom_plan_header(out, c->coding, DICOM_TAG_ITEM, DICOM_VR_NONE, inside.size_bytes, err) &&
           append(out, &inside, err);
}

static bool code_sequence(const struct coder *c, const struct dataset_element *e, struct dicom_plan *out,
                          struct pixl_error *err)
{
    const struct coder deeper = { c->arena, c->coding, false };
    struct dicom_plan inside;
    dicom_plan_init(&inside, c->arena);
    for (const struct item *i = e->first_item; i != NULL; i = i->next)
        if (!code_item(&deeper, i, &inside, err))
            return false;
    uint64_t length = c->undefined ? DICOM_UNDEFINED_LENGTH : inside.size_bytes;
    return dicom_plan_header(out, c->coding, e->tag, DICOM_VR_SQ, length, err) && append(out, &inside, err) &&
           (!c->undefined || dicom_plan_header(out, c->coding, DICOM_TAG_SEQUENCE_END, DICOM_VR_NONE, 0, err));
}

static bool code_set(const struct coder *c, const struct dataset *d, struct dicom_plan *out, struct pixl_error *err)
{
    const struct dataset_element **all = arena_calloc(c->arena, d->n, sizeof *all);
    size_t n = 0;
    if (all == NULL)
        return pixl_fail(err, PIXL_E_NOMEM, 0, "elements of a made-up image");
    for (const struct dataset_element *e = d->first; e != NULL; e = e->next)
        all[n++] = e;
    qsort(all, n, sizeof *all, by_tag);
    for (size_t i = 0; i < n; i++) {
        assert(i == 0 || all[i - 1]->tag != all[i]->tag);
        if (!(all[i]->vr == DICOM_VR_SQ
                  ? code_sequence(c, all[i], out, err)
                  : dicom_plan_element(out, c->coding, all[i]->tag, all[i]->vr, all[i]->value, err)))
            return false;
    }
    return true;
}

static bool code_meta(struct arena *a, const struct dataset_file *f, struct dicom_plan *out, struct pixl_error *err)
{
    const struct dicom_coding c = { .is_explicit = true };
    struct str syntax = f->is_explicit ? STR("1.2.840.10008.1.2.1") : STR("1.2.840.10008.1.2");
    struct dicom_plan group;
    dicom_plan_init(&group, a);
    if (!dicom_plan_element(&group, c, DICOM_META_VERSION, DICOM_VR_OB, STR("\0\1"), err) ||
        !dicom_plan_element(&group, c, DICOM_META_SOP_CLASS_UID, DICOM_VR_UI, str_of(f->sop_class_uid), err) ||
        !dicom_plan_element(&group, c, DICOM_META_SOP_INSTANCE_UID, DICOM_VR_UI, str_of(f->sop_instance_uid), err) ||
        !dicom_plan_element(&group, c, DICOM_META_TRANSFER_SYNTAX, DICOM_VR_UI, syntax, err) ||
        !dicom_plan_element(&group, c, DICOM_META_IMPLEMENTATION_UID, DICOM_VR_UI, STR(WRITER_UID), err) ||
        !dicom_plan_element(&group, c, DICOM_META_IMPLEMENTATION_NAME, DICOM_VR_SH, STR(WRITER_NAME), err) ||
        !dicom_plan_element(&group, c, 0x00020016, DICOM_VR_AE, str_of(f->source_ae_title), err))
        return false;
    char length[4];
    for (size_t i = 0; i < sizeof length; i++)
        length[i] = (char)(group.size_bytes >> 8 * i);
    return dicom_plan_element(out, c, DICOM_META_GROUP_LENGTH, DICOM_VR_UL, (struct str){ length, sizeof length },
                              err) &&
           append(out, &group, err);
}

bool dataset_write(struct dataset_builder *b, const struct dataset *d, const struct dataset_file *f,
                   struct dicom_plan *out, struct pixl_error *err)
{
    char head[PREAMBLE_BYTES + 4] = { 0 };
    struct str preamble = str_of(f->preamble);
    const struct coder coder = { b->arena, { .is_explicit = f->is_explicit }, f->undefined };
    assert(preamble.n <= PREAMBLE_BYTES);
    if (b->failed || d == NULL)
        return pixl_fail(err, PIXL_E_NOMEM, 0, "elements of a made-up image");
    if (preamble.n > 0)
        memcpy(head, preamble.p, preamble.n);
    static const char magic[4] = { 'D', 'I', 'C', 'M' };
    memcpy(head + PREAMBLE_BYTES, magic, sizeof magic);
    dicom_plan_init(out, b->arena);
    return dicom_plan_bytes(out, head, sizeof head, err) && code_meta(b->arena, f, out, err) &&
           code_set(&coder, d, out, err);
}
