/* deid_report_sample.c - one instance before and after, element by element.
 *
 * Tags, VRs and lengths of what was there come from the input, as it was parsed; every value comes from the file that
 * was written, which is read back.  Both are gone through side by side: tags ascend in both, and items of a sequence
 * that is kept are all kept. */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "deid_report_internal.h"
#include "dicom/charset.h"

enum { WORK_MAX = 512 << 20, TEXTS_MAX = 64 << 20, PATH_TEXT_MAX = 4096, TEXT_BYTES_MAX = 65536 };

bool sample_is_same(const struct sample_row *row)
{
    return row->action == REPORT_KEPT && row->is_before && row->is_after && row->before_bytes == row->after_bytes;
}

void sample_init(struct sample *s)
{
    *s = (struct sample){ 0 };
    arena_init(&s->texts, TEXTS_MAX);
}

void sample_done(struct sample *s)
{
    arena_done(&s->texts);
    free(s->rows);
}

/* A run of elements of one data set; of the input or of the output. */
struct run {
    uint32_t at, end;
};
static const struct run nothing = { 0, 0 };

struct merger {
    struct sample *s;
    const struct dicom_file *before;
    const uint8_t *actions;
    struct dicom_file *after;
    struct arena *work;
    struct buf path; /* of the items around */
    struct pixl_error *err;
};

static double number(bool is_big_endian, enum dicom_vr vr, const unsigned char *p, size_t size)
{
    uint64_t v = 0;
    for (size_t i = 0; i < size; i++)
        v |= (uint64_t)p[is_big_endian ? size - 1 - i : i] << 8 * i;
    float single;
    double twice;
    uint32_t low = (uint32_t)v;
    memcpy(&single, &low, sizeof single);
    memcpy(&twice, &v, sizeof twice);
    switch (vr) {
    case DICOM_VR_FL: return (double)single;
    case DICOM_VR_FD: return twice;
    case DICOM_VR_SS: return (int16_t)v;
    case DICOM_VR_SL: return (int32_t)v;
    default: return (double)v;
    }
}

static size_t number_size(enum dicom_vr vr)
{
    switch (vr) {
    case DICOM_VR_US:
    case DICOM_VR_SS: return 2;
    case DICOM_VR_UL:
    case DICOM_VR_SL:
    case DICOM_VR_FL: return 4;
    case DICOM_VR_FD: return 8;
    default: return 0;
    }
}

static bool numbers(struct merger *m, const struct dicom_element *e, struct str value, const char **out)
{
    const enum dicom_vr vr = (enum dicom_vr)e->vr;
    const size_t size = number_size(vr);
    const bool is_big_endian = m->after->syntax->is_big_endian && DICOM_GROUP(e->tag) != 0x0002;
    assert(size > 0);
    buf_auto b;
    buf_init(&b, 32 * (value.n / size + 1));
    const unsigned char *p = (const unsigned char *)value.p;
    const int digits = vr == DICOM_VR_FL ? 7 : 12;         /* enough for integers, and to be read */
    for (size_t i = 0; i + size <= value.n; i += size)
        (void)buf_addf(&b, "%s%.*g", i > 0 ? "\\" : "", digits, number(is_big_endian, vr, p + i, size));
    *out = b.failed ? NULL : arena_cstr(&m->s->texts, buf_cstr(&b));
    return *out != NULL || pixl_fail(m->err, PIXL_E_NOMEM, 0, "value of an element");
}

/* The text of a written value, or NULL for what is told by its length. */
static bool written_text(struct merger *m, uint32_t k, const struct dicom_charset *set, const char **out)
{
    enum { NUMBERS_BYTES_MAX = 64 };
    const struct dicom_element *e = &m->after->elements[k];
    const enum dicom_vr vr = (enum dicom_vr)e->vr;
    const bool is_text = dicom_vr_is_text(vr) && e->value_bytes <= TEXT_BYTES_MAX;
    struct str value;
    bool clean;
    *out = NULL;
    if ((e->flags & (DICOM_IS_SEQUENCE | DICOM_IS_ITEM | DICOM_IS_ENCAPSULATED)) ||
        (!is_text && (number_size(vr) == 0 || e->value_bytes > NUMBERS_BYTES_MAX)))
        return true;
    if (!dicom_value(m->after, k, &value, m->err))
        return false;
    if (!is_text)
        return numbers(m, e, value, out);
    if (dicom_vr_has_charset(vr) && !dicom_charset_decode(set, vr, m->work, value, &value, &clean, m->err))
        return false;
    *out = report_clean(&m->s->texts, str_trim(dicom_uid_trim(value)), SAMPLE_TEXT_MAX);
    return *out != NULL || pixl_fail(m->err, PIXL_E_NOMEM, 0, "value of an element");
}

static struct sample_row *new_row(struct merger *m)
{
    struct sample *s = m->s;
    if (s->n == s->cap) {
        size_t cap = s->cap ? 2 * s->cap : 256;
        struct sample_row *grown = realloc(s->rows, cap * sizeof *grown);
        if (grown == NULL)
            return NULL;
        s->rows = grown;
        s->cap = cap;
    }
    return &s->rows[s->n++];
}

/* i: in the input, k: in the output; -1 where it is not. */
static bool put(struct merger *m, int64_t i, int64_t k, enum report_action action, uint32_t item,
                const struct dicom_charset *set)
{
    const struct dicom_element *b = i >= 0 ? &m->before->elements[i] : NULL,
                               *a = k >= 0 ? &m->after->elements[k] : NULL;
    const struct dicom_element *e = a != NULL ? a : b;
    assert(e != NULL);
    struct sample_row row = {
        .tag = e->tag,
        .depth = e->depth,
        .vr = (enum dicom_vr)e->vr,
        .action = action,
        .is_item = (e->flags & DICOM_IS_ITEM) != 0,
        .item = item,
        .is_before = b != NULL,
        .is_after = a != NULL,
        .before_bytes = b != NULL ? b->value_bytes : 0,
        .after_bytes = a != NULL ? a->value_bytes : 0,
    };
    if (m->s->n == SAMPLE_ROWS_MAX) {
        m->s->n_unlisted += !row.is_item;
        return true;
    }
    if (!row.is_item) {
        const size_t n = m->path.n;
        (void)buf_addf(&m->path, "(%04X,%04X)", DICOM_GROUP(e->tag), DICOM_ELEMENT_OF(e->tag));
        row.path = m->path.failed ? NULL : arena_cstr(&m->s->texts, buf_cstr(&m->path));
        if (row.path == NULL)
            return pixl_fail(m->err, PIXL_E_NOMEM, 0, "place of an element");
        m->path.n = n;
        m->path.p[n] = '\0';
    }
    if (a != NULL && !written_text(m, (uint32_t)k, set, &row.after))
        return false;
    struct sample_row *to = new_row(m);
    if (to == NULL)
        return pixl_fail(m->err, PIXL_E_NOMEM, 0, "rows of an instance");
    *to = row;
    return true;
}

static bool merge(struct merger *m, struct run b, struct run a, struct dicom_charset set);

/* The items of sequence i, side by side with those of k. */
static bool merge_items(struct merger *m, int64_t i, int64_t k, enum report_action action,
                        const struct dicom_charset *set)
{
    const struct dicom_element *from = m->before->elements, *to = m->after->elements;
    struct run b = i >= 0 ? (struct run){ (uint32_t)i + 1, from[i].end } : nothing;
    struct run a = k >= 0 ? (struct run){ (uint32_t)k + 1, to[k].end } : nothing;
    const uint32_t tag = i >= 0 ? from[i].tag : to[k].tag;
    const size_t n = m->path.n;
    bool ok = true;
    for (uint32_t item = 0; ok && (b.at < b.end || a.at < a.end); item++) {
        const int64_t bi = b.at < b.end ? (int64_t)b.at : -1, ai = a.at < a.end ? (int64_t)a.at : -1;
        struct run inner_b = bi >= 0 ? (struct run){ b.at + 1, from[bi].end } : nothing;
        struct run inner_a = ai >= 0 ? (struct run){ a.at + 1, to[ai].end } : nothing;
        ok = put(m, bi, ai, action, item, set);
        (void)buf_addf(&m->path, "(%04X,%04X)[%u].", DICOM_GROUP(tag), DICOM_ELEMENT_OF(tag), (unsigned)item);
        ok = ok && (!m->path.failed || pixl_fail(m->err, PIXL_E_NOMEM, 0, "place of an element")) &&
             merge(m, inner_b, inner_a, *set);
        if (ok) {
            m->path.n = n;
            m->path.p[n] = '\0';
        }
        b.at = inner_b.end > 0 ? inner_b.end : b.at;
        a.at = inner_a.end > 0 ? inner_a.end : a.at;
    }
    return ok;
}

static bool see_charset(struct merger *m, int64_t k, struct dicom_charset *set)
{
    struct str value;
    if (k < 0 || m->after->elements[k].tag != DICOM_SPECIFIC_CHARACTER_SET)
        return true;
    if (!dicom_value(m->after, (uint32_t)k, &value, m->err))
        return false;
    *set = dicom_charset_parse(value);
    return true;
}

/* Recursion as deep as the reader lets sequences nest (dicom_limits.max_depth). */
static bool merge(struct merger *m, struct run b, struct run a, struct dicom_charset set)
{
    const struct dicom_element *from = m->before->elements, *to = m->after->elements;
    while (b.at < b.end || a.at < a.end) {
        int64_t i = b.at < b.end ? (int64_t)b.at : -1, k = a.at < a.end ? (int64_t)a.at : -1;
        enum report_action action = REPORT_MARKER;
        if (i >= 0)
            action = (enum report_action)m->actions[i];
        if (i >= 0 && k >= 0 && (report_action_removes(action) || to[k].tag != from[i].tag)) {
            /* A group length stands anywhere; else the lower tag comes first. */
            if (action == REPORT_GROUP_LENGTH || from[i].tag <= to[k].tag)
                k = -1;
            else
                i = -1;
        }
        if (i < 0)
            action = DICOM_GROUP(to[k].tag) == 0x0002 && to[k].depth == 0 ? REPORT_META : REPORT_MARKER;
        if (!see_charset(m, k, &set) || !put(m, i, k, action, 0, &set) || !merge_items(m, i, k, action, &set))
            return false;
        b.at = i >= 0 ? from[i].end : b.at;
        a.at = k >= 0 ? to[k].end : a.at;
    }
    return true;
}

static bool merge_all(struct merger *m, const struct dicom_source *written)
{
    const struct dicom_limits limits = DICOM_LIMITS_DEFAULT;
    return dicom_parse(written, &limits, m->work, m->after, m->err) &&
           merge(m, (struct run){ 0, m->before->n_elements }, (struct run){ 0, m->after->n_elements },
                 dicom_charset_parse((struct str){ 0 }));
}

bool sample_take(struct sample *s, const struct dicom_file *before, const uint8_t *actions, const char *written_path,
                 struct pixl_error *err)
{
    struct arena work;
    struct dicom_file after;
    struct merger m = { .s = s, .before = before, .actions = actions, .after = &after, .work = &work, .err = err };
    struct dicom_source source;
    int fd = open(written_path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return pixl_fail_errno(err, errno, "reading back what was written");
    arena_init(&work, WORK_MAX);
    buf_init(&m.path, PATH_TEXT_MAX);
    bool ok = dicom_source_fd(fd, &source, err) && merge_all(&m, &source);
    buf_done(&m.path);
    arena_done(&work);
    (void)close(fd);
    return ok;
}
