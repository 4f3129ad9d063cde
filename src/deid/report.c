#include "report.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "study_internal.h"

enum { SLOTS = 4 * REPORT_ROWS_MAX };

struct report {
    struct report_row *rows;         /* REPORT_ROWS_MAX, and one more for the rest; pages are touched when used */
    size_t n_rows, n_study, n_total; /* with the instance in hand; without it; without the study */
    struct report_method methods[REPORT_METHODS_MAX];
    size_t n_methods;
    uint64_t n_instances, n_study_instances;
    uint64_t seed; /* a file cannot be made to collide */
    bool is_sorted;
    uint16_t slots[SLOTS]; /* index of a row + 1, open addressing */
};

const char *report_action_name(enum report_action a)
{
    static const char *const names[] = {
#define X(symbol, name, text) [REPORT_##symbol] = name,
        REPORT_ACTIONS(X)
#undef X
    };
    return names[a];
}

const char *report_action_text(enum report_action a)
{
    static const char *const texts[] = {
#define X(symbol, name, text) [REPORT_##symbol] = text,
        REPORT_ACTIONS(X)
#undef X
    };
    return texts[a];
}

bool report_action_removes(enum report_action a)
{
    return a >= REPORT_NO_RULE && a <= REPORT_OLD_MARKER;
}

void report_tag_text(const struct report_row *row, char out[REPORT_TAG_SIZE])
{
    const unsigned group = DICOM_GROUP(row->tag), element = DICOM_ELEMENT_OF(row->tag);
    if (row->kind == REPORT_TAG)
        (void)snprintf(out, REPORT_TAG_SIZE, "(%04X,%04X)", group, element);
    else if (row->kind == REPORT_TAG_OF_BLOCK)
        (void)snprintf(out, REPORT_TAG_SIZE, "(%04X,xx%02X)", group, element & 0xFF);
    else
        (void)snprintf(out, REPORT_TAG_SIZE, "(%04X,00xx)", group);
}

bool report_new(struct report **out, struct pixl_error *err)
{
    PIXL_CLEANUP(report_freep) struct report *r = calloc(1, sizeof *r);
    if (r == NULL || (r->rows = calloc(REPORT_ROWS_MAX + 1, sizeof *r->rows)) == NULL)
        return pixl_fail(err, PIXL_E_NOMEM, 0, "report");
    if (!hash_random(&r->seed, sizeof r->seed, err))
        return false;
    *out = PIXL_STEAL(&r);
    return true;
}

void report_free(struct report *r)
{
    if (r == NULL)
        return;
    free(r->rows);
    free(r);
}

/* --- rows --- */

static size_t slot_of(const struct report *r, const struct report_row *key)
{
    uint64_t h =
        r->seed ^ ((uint64_t)key->tag << 32 | (uint32_t)key->vr << 16 | (uint32_t)key->kind << 8 | key->n_creator);
    for (size_t i = 0; i < key->n_creator; i++)
        h = (h ^ (unsigned char)key->creator[i]) * 0x100000001B3u;
    h *= 0x9E3779B97F4A7C15u;
    h = (h ^ h >> 32) * 0xD6E8FEB86659FD93u;
    return (size_t)(h >> 40) % SLOTS;
}

static bool is_same(const struct report_row *a, const struct report_row *b)
{
    return a->tag == b->tag && a->vr == b->vr && a->kind == b->kind && a->n_creator == b->n_creator &&
           memcmp(a->creator, b->creator, a->n_creator) == 0;
}

static struct report_row *row_of(struct report *r, const struct report_row *key)
{
    size_t at = slot_of(r, key);
    for (; r->slots[at] != 0; at = (at + 1) % SLOTS)
        if (is_same(&r->rows[r->slots[at] - 1], key))
            return &r->rows[r->slots[at] - 1];
    if (r->n_rows == REPORT_ROWS_MAX)
        return &r->rows[REPORT_ROWS_MAX];
    struct report_row *row = &r->rows[r->n_rows++];
    *row = *key;
    r->slots[at] = (uint16_t)r->n_rows;
    return row;
}

/* Rows that only what is forgotten had make room for others. */
static void cut(struct report *r, size_t n_rows)
{
    if (r->n_rows == n_rows)
        return;
    r->n_rows = n_rows;
    memset(r->slots, 0, sizeof r->slots);
    for (size_t i = 0; i < n_rows; i++) {
        size_t at = slot_of(r, &r->rows[i]);
        while (r->slots[at] != 0)
            at = (at + 1) % SLOTS;
        r->slots[at] = (uint16_t)(i + 1);
    }
}

/* The i-th row in use; the rest comes last. */
static struct report_row *used_row(const struct report *r, size_t i)
{
    return &r->rows[i < r->n_rows ? i : REPORT_ROWS_MAX];
}

void report_forget(struct report *r)
{
    assert(!r->is_sorted);
    cut(r, r->n_study);
    for (size_t i = 0; i <= r->n_rows; i++)
        memset(used_row(r, i)->instance_, 0, sizeof r->rows->instance_);
    for (size_t i = 0; i < r->n_methods; i++)
        r->methods[i].instance_ = false;
}

void report_written(struct report *r)
{
    assert(!r->is_sorted);
    for (size_t i = 0; i <= r->n_rows; i++) {
        struct report_row *row = used_row(r, i);
        for (size_t a = 0; a < REPORT_ACTION_COUNT; a++)
            row->study_[a] += row->instance_[a];
        memset(row->instance_, 0, sizeof row->instance_);
    }
    for (size_t i = 0; i < r->n_methods; i++) {
        r->methods[i].study_ += r->methods[i].instance_;
        r->methods[i].instance_ = false;
    }
    r->n_study = r->n_rows;
    r->n_study_instances++;
}

void report_end_study(struct report *r, bool is_delivered)
{
    report_forget(r);
    if (!is_delivered)
        cut(r, r->n_total);
    for (size_t i = 0; i <= r->n_rows; i++) {
        struct report_row *row = used_row(r, i);
        for (size_t a = 0; is_delivered && a < REPORT_ACTION_COUNT; a++)
            row->n[a] += row->study_[a];
        memset(row->study_, 0, sizeof row->study_);
    }
    for (size_t i = 0; i < r->n_methods; i++) {
        r->methods[i].n += is_delivered ? r->methods[i].study_ : 0;
        r->methods[i].study_ = 0;
    }
    r->n_instances += is_delivered ? r->n_study_instances : 0;
    r->n_study_instances = 0;
    r->n_total = r->n_study = r->n_rows;
}

uint64_t report_instances(const struct report *r)
{
    return r->n_instances;
}

static int by_tag(const void *left, const void *right)
{
    const struct report_row *l = left, *r = right;
    if (l->tag != r->tag)
        return l->tag < r->tag ? -1 : 1;
    if (l->kind != r->kind)
        return l->kind < r->kind ? -1 : 1;
    int c = str_cmp((struct str){ l->creator, l->n_creator }, (struct str){ r->creator, r->n_creator });
    return c != 0 ? c : (int)l->vr - (int)r->vr;
}

const struct report_row *report_rows(struct report *r, size_t *n, const struct report_row **rest)
{
    if (!r->is_sorted && r->n_rows > 0)
        qsort(r->rows, r->n_rows, sizeof *r->rows, by_tag);
    r->is_sorted = true;
    *n = r->n_rows;
    *rest = &r->rows[REPORT_ROWS_MAX];
    return r->rows;
}

size_t report_methods(const struct report *r, const struct report_method *out[REPORT_METHODS_MAX])
{
    size_t n = 0;
    for (size_t i = 0; i < r->n_methods; i++) {
        if (r->methods[i].n == 0)
            continue;
        size_t at = n++;
        for (; at > 0 && strcmp(out[at - 1]->code, r->methods[i].code) > 0; at--)
            out[at] = out[at - 1];
        out[at] = &r->methods[i];
    }
    return n;
}

void report_marker(struct report *r, uint32_t tag, enum dicom_vr vr)
{
    const struct report_row key = { .tag = tag, .vr = (uint8_t)vr };
    row_of(r, &key)->instance_[REPORT_MARKER]++;
}

void report_method(struct report *r, const char *code, const char *meaning)
{
    size_t i = 0;
    while (i < r->n_methods && strcmp(r->methods[i].code, code) != 0)
        i++;
    assert(i < REPORT_METHODS_MAX);
    if (i == r->n_methods)
        r->methods[r->n_methods++] = (struct report_method){ .code = code, .meaning = meaning };
    r->methods[i].instance_ = true;
}

/* --- one instance --- */

struct walk {
    struct report *report;
    const struct instance *in;
    uint8_t *actions;
};

/* Private creators of one data set that may be shown, as in decide.c: by block, index + 1. */
struct blocks {
    uint16_t group;
    bool has_group;
    uint32_t creators[256];
};

static enum report_action action_of(const struct instance *in, uint32_t i)
{
    const struct decision *d = &in->decisions[i];
    switch ((enum decision_what)d->what) {
    case DECISION_KEEP: return in->mask != NULL && i == (uint32_t)in->top[TOP_PIXELS] ? REPORT_CLEANED : REPORT_KEPT;
    case DECISION_CHANGED: return REPORT_CHANGED;
    case DECISION_VALUE: return (enum report_action)d->did;
    case DECISION_DROP: break;
    }
    return d->did != 0 ? (enum report_action)d->did : REPORT_NO_RULE;
}

/* As it was read already; empty when it was not. */
static struct str creator_text(const struct dicom_file *f, uint32_t i)
{
    const struct dicom_element *e = &f->elements[i];
    const uint8_t *p = dicom_bytes_read(f, e->value_offset, e->value_bytes);
    if (p == NULL || (e->flags & DICOM_IS_SEQUENCE))
        return (struct str){ 0 };
    struct str s = str_trim(dicom_uid_trim((struct str){ (const char *)p, (size_t)e->value_bytes }));
    return s.n <= REPORT_CREATOR_MAX ? s : (struct str){ s.p, REPORT_CREATOR_MAX };
}

/* A creator is a value of the file too: it may be told where it is written, or stands in the project's own rules. */
static bool may_be_shown(const struct walk *w, uint32_t i, enum report_action action)
{
    if (action == REPORT_KEPT)
        return true;
    struct str name = creator_text(w->in->f, i);
    for (size_t k = 0; name.n > 0 && k < w->in->scheme->n_creators; k++)
        if (str_eq(w->in->scheme->creators[k].creator, name))
            return true;
    return false;
}

static void set_creator(struct report_row *key, struct str name)
{
    memcpy(key->creator, name.p, name.n);
    key->n_creator = (uint8_t)name.n;
}

static void name_private(const struct walk *w, uint32_t i, enum report_action action, struct blocks *b,
                         struct report_row *key)
{
    const uint32_t tag = key->tag, block = DICOM_ELEMENT_OF(tag) >> 8;
    if (!b->has_group || b->group != DICOM_GROUP(tag)) {
        memset(b->creators, 0, sizeof b->creators);
        b->group = DICOM_GROUP(tag);
        b->has_group = true;
    }
    uint32_t creator = 0;
    if (dicom_tag_is_private_creator(tag)) {
        if (action != REPORT_WITH_SEQUENCE && may_be_shown(w, i, action))
            creator = b->creators[tag & 0xFF] = i + 1;
        key->kind = REPORT_TAG_CREATOR;
        key->tag = tag & 0xFFFF0000u;
    } else if (block >= 0x10 && action != REPORT_NO_CREATOR) {
        creator = b->creators[block];
        key->kind = REPORT_TAG_OF_BLOCK;
        key->tag = tag & 0xFFFF00FFu;
    }
    if (creator != 0) {
        struct str name = creator_text(w->in->f, creator - 1);
        if (name.n > 0)
            set_creator(key, name);
    }
}

static void count(const struct walk *w, uint32_t i, enum report_action action, struct blocks *b)
{
    const struct dicom_element *e = &w->in->f->elements[i];
    struct report_row key = { .tag = e->tag, .vr = e->vr };
    if (dicom_tag_is_private(e->tag) && action != REPORT_GROUP_LENGTH)
        name_private(w, i, action, b, &key);
    w->actions[i] = (uint8_t)action;
    row_of(w->report, &key)->instance_[action]++;
}

/* One data set, and what is in it; is_gone: with the sequence around it. */
static void count_level(const struct walk *w, uint32_t first, uint32_t end, bool is_gone)
{
    const struct dicom_element *elements = w->in->f->elements;
    struct blocks b;
    b.has_group = false;
    for (uint32_t i = first; i < end; i = elements[i].end) {
        enum report_action action = is_gone ? REPORT_WITH_SEQUENCE : action_of(w->in, i);
        count(w, i, action, &b);
        for (uint32_t k = i + 1; k < elements[i].end; k = elements[k].end) {
            w->actions[k] = (uint8_t)action;
            count_level(w, k + 1, elements[k].end, report_action_removes(action));
        }
    }
}

bool deid_count(struct instance *in, const uint8_t **actions, struct pixl_error *err)
{
    struct walk w = { in->study->report, in, arena_alloc(in->arena, in->f->n_elements) };
    if (w.actions == NULL)
        return pixl_fail(err, PIXL_E_NOMEM, 0, "actions for %u elements", (unsigned)in->f->n_elements);
    for (uint32_t i = 0; i < in->f->meta_end; i++) {
        const struct report_row key = { .tag = in->f->elements[i].tag, .vr = in->f->elements[i].vr };
        w.actions[i] = REPORT_META;
        row_of(w.report, &key)->instance_[REPORT_META] += (in->f->elements[i].flags & DICOM_IS_ITEM) == 0;
    }
    count_level(&w, in->f->meta_end, in->f->n_elements, false);
    *actions = w.actions;
    return true;
}
