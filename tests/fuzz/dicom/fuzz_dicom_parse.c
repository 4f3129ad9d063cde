/* Any bytes: what the reader accepts holds together, its values load, and written again it is the same. */
#include <stdlib.h>
#include <string.h>

#include "dicom/sniff.h"
#include "dicom_check.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Through read() alone, so that blocks are loaded as from a file. */
static bool read_all(const struct dicom_source *s, void *p, size_t n, uint64_t offset, struct pixl_error *err);
static const uint8_t *all;

static bool read_all(const struct dicom_source *s, void *p, size_t n, uint64_t offset, struct pixl_error *err)
{
    (void)err;
    if (offset > s->size_bytes || n > s->size_bytes - offset)
        abort();
    memcpy(p, all + offset, n);
    return true;
}

static void check_values(struct dicom_file *f, const uint8_t *data)
{
    for (uint32_t i = 0; i < f->n_elements; i++) {
        struct pixl_error err = { 0 };
        struct str v;
        const struct dicom_element *e = &f->elements[i];
        if (dicom_value(f, i, &v, &err) && (v.n != e->value_bytes || memcmp(v.p, data + e->value_offset, v.n) != 0))
            abort();
        (void)dicom_private_creator(f, i);
        if (e->depth == 0 && dicom_find(f, DICOM_NO_PARENT, e->tag) < 0)
            abort();
    }
}

/* Written again, headers are new: bytes that the standard reserves become zero, nothing else may differ. */
static void check_again(const struct dicom_file *f, struct arena *a, const uint8_t *data, size_t size)
{
    struct pixl_error err = { 0 };
    struct dicom_plan p;
    struct buf out;
    dicom_plan_init(&p, a);
    buf_init(&out, size + 1);
    if (!dcm_plan_again(f, &p, &err) || !dcm_plan_collect(&p, &f->source, &out, &err)) {
        if (err.code != PIXL_E_NOMEM)
            abort();
        buf_done(&out);
        return;
    }
    if (out.n != size)
        abort();
    for (uint32_t i = 0; i < f->n_elements; i++)
        if (f->elements[i].value_offset - f->elements[i].offset == 12)
            memcpy(out.p + f->elements[i].offset + 6, data + f->elements[i].offset + 6, 2);
    if (memcmp(out.p, data, size) != 0)
        abort();
    buf_done(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct dicom_limits limits = DICOM_LIMITS_DEFAULT;
    struct dicom_source memory = dicom_source_bytes(data, size);
    struct dicom_source sources[2] = { memory, { .read = read_all, .size_bytes = size, .fd = -1 } };
    bool accepted[2], means[2] = { false, false };
    all = data;
    limits.max_elements = 20000;
    limits.max_inflated_bytes = 1 << 20;
    for (size_t i = 0; i < 2; i++) {
        struct pixl_error err = { 0 };
        struct arena a;
        struct dicom_file f;
        arena_init(&a, 64 << 20);
        if (!dicom_sniff(&sources[i], &means[i], &err))
            abort();
        accepted[i] = dicom_parse(&sources[i], &limits, &a, &f, &err);
        if (accepted[i]) {
            if (dcm_check_structure(&f) != NULL || (f.has_preamble && !means[i]))
                abort();
            /* Of a deflated data set the inflated bytes are what was read. */
            const uint8_t *read = f.syntax->is_deflated ? f.source.bytes : data;
            check_values(&f, read);
            check_again(&f, &a, read, (size_t)f.source.size_bytes);
        } else if (err.code == PIXL_OK || err.msg[0] == '\0') {
            abort();
        }
        arena_done(&a);
    }
    if (accepted[0] != accepted[1] || means[0] != means[1])
        abort();
    struct pixl_error err = { 0 };
    struct arena a;
    struct dicom_file f;
    arena_init(&a, 64 << 20);
    (void)dicom_parse_until(&memory, &limits, DICOM_SERIES_UID, &a, &f, &err);
    arena_done(&a);
    return 0;
}
