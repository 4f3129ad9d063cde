#include "order.h"

#include <stdlib.h>
#include <string.h>

struct child {
    uint32_t tag, at;
};

static int by_tag(const void *left, const void *right)
{
    const struct child *l = left, *r = right;
    if (l->tag != r->tag)
        return l->tag < r->tag ? -1 : 1;
    return l->at < r->at ? -1 : l->at > r->at;
}

/* Puts a child and all that is inside it at `to`; was: the child as it stood at `from`. */
static void place(struct dicom_file *f, const struct dicom_element *was, uint32_t from, uint32_t to)
{
    const uint32_t n = was->end - from, moved = to - from; /* may wrap, and back again */
    for (uint32_t i = 0; i < n; i++) {
        struct dicom_element e = was[i];
        if (i > 0)
            e.parent += moved;
        e.end += moved;
        f->elements[to + i] = e;
    }
}

bool dicom_order(struct dicom_file *f, uint32_t first, uint32_t end, struct pixl_error *err)
{
    size_t n = 0, k = 0;
    for (uint32_t i = first; i < end; i = f->elements[i].end)
        n++;
    struct child *children = calloc(n, sizeof *children);
    struct dicom_element *was = calloc(end - first, sizeof *was);
    bool ok = n == 0 || (children != NULL && was != NULL);
    if (ok && n > 0) {
        memcpy(was, f->elements + first, (end - first) * sizeof *was);
        for (uint32_t i = first; i < end; i = f->elements[i].end)
            children[k++] = (struct child){ f->elements[i].tag, i };
        qsort(children, n, sizeof *children, by_tag);
        uint32_t to = first;
        for (size_t c = 0; c < n; c++) {
            const struct dicom_element *child = &was[children[c].at - first];
            place(f, child, children[c].at, to);
            if (c > 0 && children[c].tag == children[c - 1].tag)
                f->elements[to].flags |= DICOM_IS_DUPLICATE;
            to += child->end - children[c].at;
        }
    }
    free(children);
    free(was);
    return ok || pixl_fail(err, PIXL_E_NOMEM, 0, "no memory to sort %zu elements", n);
}
