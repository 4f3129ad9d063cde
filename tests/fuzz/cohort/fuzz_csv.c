/* Bytes as CSV: read at once and in small pieces they give the same; a record written again in quotes reads as it was. */
#include "cohort/csv.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct bytes {
    const char *p;
    size_t n, at, piece;
};

static bool read_bytes(void *ctx, char *p, size_t max, size_t *n, struct pixl_error *err)
{
    (void)err;
    struct bytes *b = ctx;
    size_t left = b->n - b->at;
    *n = left < max ? left : max;
    if (*n > b->piece)
        *n = b->piece;
    if (*n > 0)
        memcpy(p, b->p + b->at, *n);
    b->at += *n;
    return true;
}

static void require(bool ok)
{
    if (!ok)
        abort();
}

static struct csv *open_bytes(struct bytes *b)
{
    struct csv *c = NULL;
    struct pixl_error err = { 0 };
    require(csv_new((struct csv_source){ read_bytes, b }, &c, &err));
    return c;
}

static void same_record(const struct csv_record *a, const struct csv_record *b)
{
    require(a->n == b->n && a->not_utf8 == b->not_utf8);
    for (size_t i = 0; i < a->n; i++)
        require(a->cells[i].p != NULL && str_eq(a->cells[i], b->cells[i]));
}

static void write_and_read(const struct csv_record *r)
{
    buf_auto b = { 0 };
    buf_init(&b, 8 << 20);
    for (size_t i = 0; i < r->n; i++) {
        (void)buf_add_cstr(&b, i ? ",\"" : "\"");
        for (size_t k = 0; k < r->cells[i].n; k++) {
            if (r->cells[i].p[k] == '"')
                (void)buf_add_char(&b, '"');
            (void)buf_add_char(&b, r->cells[i].p[k]);
        }
        (void)buf_add_char(&b, '"');
    }
    require(!b.failed);
    struct bytes text = { b.p, b.n, 0, 4096 };
    csv_auto *c = open_bytes(&text);
    struct pixl_error err = { 0 };
    struct csv_record again;
    bool got = false;
    require(csv_next(c, &got, &again, &err) && got && again.line == 1);
    same_record(r, &again);
    require(csv_next(c, &got, &again, &err) && !got);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1)
        return 0;
    struct bytes whole = { (const char *)data + 1, size - 1, 0, SIZE_MAX };
    struct bytes pieces = { (const char *)data + 1, size - 1, 0, 1u + data[0] % 7 };
    csv_auto *a = open_bytes(&whole);
    csv_auto *b = open_bytes(&pieces);
    uint64_t line = 0;
    for (bool got = true; got;) {
        struct pixl_error err_a = { 0 }, err_b = { 0 };
        struct csv_record ra, rb;
        bool got_b = false;
        bool ok = csv_next(a, &got, &ra, &err_a), ok_b = csv_next(b, &got_b, &rb, &err_b);
        require(ok == ok_b && err_a.code == err_b.code && strcmp(err_a.msg, err_b.msg) == 0);
        require(ok == (err_a.code == PIXL_OK));
        if (!ok)
            break;
        require(got == got_b);
        if (!got)
            break;
        require(ra.n >= 1 && ra.n <= CSV_CELLS_MAX && ra.line > line && ra.line == rb.line);
        line = ra.line;
        same_record(&ra, &rb);
        write_and_read(&ra);
    }
    return 0;
}
