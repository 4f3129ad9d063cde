#include "deflate.h"

#include <assert.h>
#include <string.h>
#include <zlib.h>

enum {
    IN_BYTES = 32 * 1024,
    OUT_BYTES = 64 * 1024,
    RAW_WINDOW_BITS = -15, /* zlib: no header, no checksum */
    MEM_LEVEL = 8,
};

static void *arena_zalloc(void *arena, unsigned n, unsigned size)
{
    return arena_calloc(arena, n, size);
}

static void arena_zfree(void *arena, void *p)
{
    (void)arena;
    (void)p;
}

struct inflater {
    z_stream z;
    const struct dicom_source *source;
    uint64_t at; /* what of the source is read next */
    uint8_t in[IN_BYTES];
};

static bool refill(struct inflater *f, struct pixl_error *err)
{
    uint64_t left = f->source->size_bytes - f->at;
    size_t n = left < sizeof f->in ? (size_t)left : sizeof f->in;
    if (n > 0 && !f->source->read(f->source, f->in, n, f->at, err))
        return false;
    f->at += n;
    f->z.next_in = f->in;
    f->z.avail_in = (unsigned)n;
    return true;
}

/* Up to `room` bytes of the stream that starts at `from`: into `to`, or counted only when that is NULL. */
static bool run(struct inflater *f, uint64_t from, uint8_t *to, uint64_t room, uint64_t *n, enum dicom_inflate_end *end,
                struct pixl_error *err)
{
    uint8_t scratch[IN_BYTES];
    f->at = from;
    f->z.avail_in = 0;
    *n = 0;
    *end = DICOM_INFLATE_MORE;
    if (inflateReset2(&f->z, RAW_WINDOW_BITS) != Z_OK)
        return pixl_fail(err, PIXL_E_INTERNAL, 0, "cannot inflate");
    while (*n < room && *end == DICOM_INFLATE_MORE) {
        if (f->z.avail_in == 0 && !refill(f, err))
            return false;
        uint64_t left = room - *n;
        unsigned some = left < sizeof scratch ? (unsigned)left : (unsigned)sizeof scratch;
        bool is_dry = f->z.avail_in == 0;
        f->z.next_out = to != NULL ? to + *n : scratch;
        f->z.avail_out = some;
        int rc = inflate(&f->z, Z_NO_FLUSH);
        if (rc == Z_MEM_ERROR)
            return pixl_fail(err, PIXL_E_NOMEM, 0, "no memory to inflate an instance");
        *n += some - f->z.avail_out;
        if (rc == Z_STREAM_END)
            *end = DICOM_INFLATE_WHOLE;
        else if ((rc != Z_OK && rc != Z_BUF_ERROR) || (is_dry && f->z.avail_out == some))
            *end = DICOM_INFLATE_CUT;
    }
    return true;
}

bool dicom_inflate(const struct dicom_source *source, uint64_t data_offset, uint64_t want, uint64_t max,
                   struct arena *arena, struct dicom_source *out, enum dicom_inflate_end *end, struct pixl_error *err)
{
    assert(data_offset <= source->size_bytes && max < UINT64_MAX);
    struct inflater *f = arena_alloc(arena, sizeof *f);
    if (f == NULL)
        return pixl_fail(err, PIXL_E_NOMEM, 0, "no memory to inflate an instance");
    f->z.zalloc = arena_zalloc;
    f->z.zfree = arena_zfree;
    f->z.opaque = arena;
    f->source = source;
    if (inflateInit2(&f->z, RAW_WINDOW_BITS) != Z_OK)
        return pixl_fail(err, PIXL_E_NOMEM, 0, "no memory to inflate an instance");
    /* Once to know the size and once to have the bytes: memory that holds them is asked for when they are not too many,
     * and a bomb costs time for `max` bytes and no memory. */
    enum dicom_inflate_end first, second;
    uint64_t n, again;
    if (!run(f, data_offset, NULL, want > max ? max + 1 : want, &n, &first, err))
        return false;
    if (n > max || data_offset > max)
        return pixl_fail(err, PIXL_E_LIMIT, 0, "a deflated data set of more than %llu bytes", (unsigned long long)max);
    uint8_t *bytes = arena_alloc(arena, (size_t)(data_offset + n));
    if (bytes == NULL)
        return pixl_fail(err, PIXL_E_NOMEM, 0, "no memory to inflate an instance");
    if ((data_offset > 0 && !source->read(source, bytes, (size_t)data_offset, 0, err)) ||
        !run(f, data_offset, bytes + data_offset, n, &again, &second, err))
        return false;
    if (again != n)
        return pixl_fail(err, PIXL_E_CORRUPT, 0, "source changed while it was inflated");
    *out = dicom_source_bytes(bytes, (size_t)(data_offset + n));
    *end = first;
    return true;
}

struct deflater {
    z_stream z;
    struct dicom_plan *plan;
    uint8_t *chunk;
};

/* What is full goes into the plan; a new chunk begins. */
static bool flush_chunk(struct deflater *d, struct pixl_error *err)
{
    if (d->chunk != NULL && !dicom_plan_borrowed(d->plan, d->chunk, OUT_BYTES - d->z.avail_out, err))
        return false;
    d->chunk = arena_alloc(d->plan->arena, OUT_BYTES);
    if (d->chunk == NULL)
        return pixl_fail(err, PIXL_E_NOMEM, 0, "no memory to deflate an instance");
    d->z.next_out = d->chunk;
    d->z.avail_out = OUT_BYTES;
    return true;
}

static bool deflate_some(struct deflater *d, const uint8_t *bytes, size_t n, int flush, struct pixl_error *err)
{
    int rc = Z_OK;
    /* zlib's input is not const unless asked for, and it never writes there. */
    memcpy(&d->z.next_in, &bytes, sizeof bytes);
    d->z.avail_in = (unsigned)n;
    while (d->z.avail_in > 0 || (flush == Z_FINISH && rc != Z_STREAM_END)) {
        if (d->z.avail_out == 0 && !flush_chunk(d, err))
            return false;
        rc = deflate(&d->z, flush);
        if (rc != Z_OK && rc != Z_STREAM_END && rc != Z_BUF_ERROR)
            return pixl_fail(err, PIXL_E_INTERNAL, 0, "cannot deflate");
    }
    return true;
}

static bool deflate_sink(void *ctx, const void *bytes, size_t n, struct pixl_error *err)
{
    enum { MOST = 1 << 30 }; /* zlib counts in unsigned int */
    for (const uint8_t *p = bytes; n > 0;) {
        size_t some = n < MOST ? n : MOST;
        if (!deflate_some(ctx, p, some, Z_NO_FLUSH, err))
            return false;
        p += some;
        n -= some;
    }
    return true;
}

/* Leaves the first `from` bytes in p; what follows them comes back as a plan to read from. */
static bool cut_plan(struct dicom_plan *p, uint64_t from, struct dicom_plan *rest, struct pixl_error *err)
{
    struct dicom_plan old = *p;
    dicom_plan_init(p, old.arena);
    size_t i = 0;
    for (uint64_t left = from; left > 0;) {
        struct dicom_piece *piece = &old.pieces[i];
        assert(piece->mask == NULL);
        uint64_t n = piece->n < left ? piece->n : left;
        if (!(piece->bytes != NULL ? dicom_plan_borrowed(p, piece->bytes, n, err)
                                   : dicom_plan_range(p, piece->offset, n, err)))
            return false;
        piece->bytes = piece->bytes != NULL ? piece->bytes + n : NULL;
        piece->offset += n;
        piece->n -= n;
        left -= n;
        i += piece->n == 0;
    }
    *rest = (struct dicom_plan){ .pieces = old.pieces + i,
                                 .n_pieces = old.n_pieces - i,
                                 .size_bytes = old.size_bytes - from };
    return true;
}

bool dicom_plan_deflate(struct dicom_plan *p, uint64_t from, const struct dicom_source *source, struct pixl_error *err)
{
    assert(from <= p->size_bytes);
    struct deflater d = { .plan = p };
    struct dicom_plan rest;
    if (!cut_plan(p, from, &rest, err))
        return false;
    uint8_t *block = arena_alloc(p->arena, IN_BYTES);
    d.z.zalloc = arena_zalloc;
    d.z.zfree = arena_zfree;
    d.z.opaque = p->arena;
    if (block == NULL ||
        deflateInit2(&d.z, Z_DEFAULT_COMPRESSION, Z_DEFLATED, RAW_WINDOW_BITS, MEM_LEVEL, Z_DEFAULT_STRATEGY) != Z_OK)
        return pixl_fail(err, PIXL_E_NOMEM, 0, "no memory to deflate an instance");
    if (!dicom_plan_each(&rest, source, block, IN_BYTES, deflate_sink, &d, err) ||
        !deflate_some(&d, NULL, 0, Z_FINISH, err) || !dicom_plan_borrowed(p, d.chunk, OUT_BYTES - d.z.avail_out, err))
        return false;
    return (p->size_bytes - from) % 2 == 0 || dicom_plan_bytes(p, "", 1, err);
}
