#include "file.h"

#include <assert.h>
#include <inttypes.h>

#include "window.h"

enum { LINEAR_MAX = 64 }; /* children that dicom_find() looks at before it halves what is left */

/* Halves [at, end), which holds whole children of parent: from any entry its parents lead up to a child.  A loop over
 * a million siblings that looks for one at each step thus stays a short one. */
static int64_t find_by_halves(const struct dicom_file *f, uint32_t parent, uint32_t at, uint32_t end, uint32_t tag)
{
    const struct dicom_element *e = f->elements;
    while (at < end) {
        uint32_t child = at + (end - at) / 2;
        while (e[child].parent != parent)
            child = e[child].parent;
        if (e[child].tag == tag && (e[child].flags & DICOM_IS_DUPLICATE) == 0)
            return child;
        if (e[child].tag < tag)
            at = e[child].end;
        else
            end = child;
    }
    return -1;
}

int64_t dicom_find(const struct dicom_file *f, uint32_t item, uint32_t tag)
{
    uint32_t i, end, seen = 0;
    if (item != DICOM_NO_PARENT) {
        assert(item < f->n_elements);
        i = item + 1;
        end = f->elements[item].end;
    } else if (DICOM_GROUP(tag) == 0x0002) {
        i = 0;
        end = f->meta_end;
    } else {
        i = f->meta_end;
        end = f->n_elements;
    }
    for (; i < end && seen < LINEAR_MAX; i = f->elements[i].end, seen++)
        if (f->elements[i].tag >= tag)
            return f->elements[i].tag == tag ? (int64_t)i : -1;
    return find_by_halves(f, item, i, end, tag);
}

bool dicom_value(struct dicom_file *f, uint32_t index, struct str *out, struct pixl_error *err)
{
    assert(index < f->n_elements);
    const struct dicom_element *e = &f->elements[index];
    if (e->value_bytes == 0) {
        *out = (struct str){ "", 0 };
        return true;
    }
    const uint8_t *p = dicom_window_find(f->window_, e->value_offset, e->value_bytes);
    if (p == NULL) {
        struct dicom_block b;
        if (e->value_bytes > f->limits.max_value_bytes)
            return pixl_fail(err, PIXL_E_LIMIT, 0, "a value of %" PRIu64 " bytes is too long", e->value_bytes);
        if (!dicom_window_load(f->window_, e->value_offset, e->value_bytes, &b, err))
            return false;
        p = b.bytes;
    }
    *out = (struct str){ (const char *)p, (size_t)e->value_bytes };
    return true;
}

const uint8_t *dicom_bytes_read(const struct dicom_file *f, uint64_t offset, uint64_t n)
{
    return dicom_window_find(f->window_, offset, n);
}

bool dicom_text(struct dicom_file *f, uint32_t tag, struct str *out, bool *found, struct pixl_error *err)
{
    struct str s = { "", 0 };
    int64_t i = dicom_find(f, DICOM_NO_PARENT, tag);
    if (i >= 0 && !dicom_value(f, (uint32_t)i, &s, err))
        return false;
    *out = dicom_uid_trim(s);
    *found = i >= 0;
    return true;
}

int64_t dicom_private_creator(const struct dicom_file *f, uint32_t index)
{
    assert(index < f->n_elements);
    const struct dicom_element *e = &f->elements[index];
    uint32_t block = DICOM_ELEMENT_OF(e->tag) >> 8;
    if (!dicom_tag_is_private(e->tag) || block < 0x10)
        return -1;
    return dicom_find(f, e->parent, DICOM_TAG(DICOM_GROUP(e->tag), block));
}
