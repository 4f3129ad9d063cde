#include "plan.h"

#include <assert.h>
#include <errno.h>
#include <string.h>
#include <sys/uio.h>

#include "base/fs.h"

/* pixl's implementation class UID: 2.25. and a random UUID, made once; it changes when the writer changes in a way that
 * a reader could want to know. */
#define IMPLEMENTATION_UID "2.25.54934128383971602984691419633051073379"
#define IMPLEMENTATION_NAME "PIXL_0_1"

enum {
    TAIL_BYTES = 4096,       /* memory pieces grow in chunks of this */
    GATHER = 128,            /* pieces for one writev */
    BLOCK_BYTES = 32 * 1024, /* short ranges of the source lie close together and are read in blocks */
    COPY_BYTES = 64 * 1024,  /* from here on the kernel copies a range, as cp does */
};

void dicom_plan_init(struct dicom_plan *p, struct arena *arena)
{
    *p = (struct dicom_plan){ .arena = arena };
}

static bool add_piece(struct dicom_plan *p, struct dicom_piece piece, struct pixl_error *err)
{
    assert((p->pieces != NULL) == (p->cap_pieces > 0) && p->n_pieces <= p->cap_pieces);
    struct dicom_piece *pieces = arena_grow(p->arena, p->pieces, p->n_pieces, &p->cap_pieces, sizeof *pieces);
    if (pieces == NULL)
        return pixl_fail(err, PIXL_E_NOMEM, 0, "no memory for the plan of an instance");
    p->pieces = pieces;
    p->pieces[p->n_pieces++] = piece;
    p->size_bytes += piece.n;
    return true;
}

/* n zeroed bytes at the end of the plan, to be filled in now; NULL: err is set. */
static uint8_t *extend(struct dicom_plan *p, size_t n, struct pixl_error *err)
{
    if (n > p->tail_cap_ - p->tail_n_) {
        size_t cap = n > TAIL_BYTES ? n : TAIL_BYTES;
        uint8_t *tail = arena_alloc(p->arena, cap);
        if (tail == NULL) {
            (void)pixl_fail(err, PIXL_E_NOMEM, 0, "no memory for the plan of an instance");
            return NULL;
        }
        p->tail_ = tail;
        p->tail_n_ = 0;
        p->tail_cap_ = cap;
    }
    uint8_t *at = p->tail_ + p->tail_n_;
    struct dicom_piece *last = p->n_pieces ? &p->pieces[p->n_pieces - 1] : NULL;
    if (last != NULL && last->bytes != NULL && last->bytes + last->n == at) {
        last->n += n;
        p->size_bytes += n;
    } else if (!add_piece(p, (struct dicom_piece){ .bytes = at, .n = n }, err)) {
        return NULL;
    }
    p->tail_n_ += n;
    return at;
}

bool dicom_plan_bytes(struct dicom_plan *p, const void *bytes, size_t n, struct pixl_error *err)
{
    if (n == 0)
        return true;
    uint8_t *at = extend(p, n, err);
    if (at == NULL)
        return false;
    memcpy(at, bytes, n);
    return true;
}

bool dicom_plan_borrowed(struct dicom_plan *p, const uint8_t *bytes, uint64_t n, struct pixl_error *err)
{
    struct dicom_piece *last = p->n_pieces ? &p->pieces[p->n_pieces - 1] : NULL;
    if (n == 0)
        return true;
    if (last != NULL && last->bytes != NULL && last->bytes + last->n == bytes) {
        last->n += n;
        p->size_bytes += n;
        return true;
    }
    return add_piece(p, (struct dicom_piece){ .bytes = bytes, .n = n }, err);
}

bool dicom_plan_range(struct dicom_plan *p, uint64_t offset, uint64_t n, struct pixl_error *err)
{
    struct dicom_piece *last = p->n_pieces ? &p->pieces[p->n_pieces - 1] : NULL;
    if (n == 0)
        return true;
    if (last != NULL && last->bytes == NULL && last->mask == NULL && last->offset + last->n == offset) {
        last->n += n;
        p->size_bytes += n;
        return true;
    }
    return add_piece(p, (struct dicom_piece){ .offset = offset, .n = n }, err);
}

bool dicom_plan_masked(struct dicom_plan *p, uint64_t offset, uint64_t n, const struct dicom_mask *mask,
                       struct pixl_error *err)
{
    return n == 0 || add_piece(p, (struct dicom_piece){ .offset = offset, .n = n, .mask = mask }, err);
}

struct dicom_coding dicom_coding_of(const struct dicom_syntax *s)
{
    return (struct dicom_coding){ s->is_explicit, s->is_big_endian };
}

struct dicom_coding dicom_coding_at(const struct dicom_file *f, uint32_t index)
{
    assert(index < f->n_elements);
    const struct dicom_element *e = &f->elements[index];
    if (index < f->meta_end)
        return (struct dicom_coding){ .is_explicit = true };
    if (e->parent != DICOM_NO_PARENT && (f->elements[e->parent].flags & DICOM_IS_IMPLICIT))
        return (struct dicom_coding){ 0 };
    return dicom_coding_of(f->syntax);
}

uint32_t dicom_header_bytes(struct dicom_coding c, enum dicom_vr vr)
{
    return c.is_explicit && vr != DICOM_VR_NONE && dicom_vr_has_long_header(vr) ? 12 : 8;
}

static void put(uint8_t *p, bool is_big_endian, uint32_t v, size_t n)
{
    for (size_t i = 0; i < n; i++)
        p[is_big_endian ? n - 1 - i : i] = (uint8_t)(v >> 8 * i);
}

/* The header into b, which has room for it. */
static bool make_header(uint8_t *b, struct dicom_coding c, uint32_t tag, enum dicom_vr vr, uint64_t value_bytes,
                        struct pixl_error *err)
{
    bool has_vr = c.is_explicit && vr != DICOM_VR_NONE;
    bool is_short = has_vr && !dicom_vr_has_long_header(vr);
    if (value_bytes > (is_short ? UINT16_MAX : DICOM_UNDEFINED_LENGTH))
        return pixl_fail(err, PIXL_E_LIMIT, 0, "a value does not fit the length field of (%04X,%04X) %s",
                         (unsigned)DICOM_GROUP(tag), (unsigned)DICOM_ELEMENT_OF(tag), dicom_vr_name(vr));
    put(b, c.is_big_endian, tag >> 16, 2);
    put(b + 2, c.is_big_endian, tag & 0xFFFF, 2);
    if (!has_vr) {
        put(b + 4, c.is_big_endian, (uint32_t)value_bytes, 4);
        return true;
    }
    memcpy(b + 4, dicom_vr_name(vr), 2);
    if (is_short) {
        put(b + 6, c.is_big_endian, (uint32_t)value_bytes, 2);
        return true;
    }
    put(b + 6, false, 0, 2);
    put(b + 8, c.is_big_endian, (uint32_t)value_bytes, 4);
    return true;
}

bool dicom_plan_header(struct dicom_plan *p, struct dicom_coding c, uint32_t tag, enum dicom_vr vr,
                       uint64_t value_bytes, struct pixl_error *err)
{
    uint8_t b[12];
    return make_header(b, c, tag, vr, value_bytes, err) && dicom_plan_bytes(p, b, dicom_header_bytes(c, vr), err);
}

bool dicom_plan_element(struct dicom_plan *p, struct dicom_coding c, uint32_t tag, enum dicom_vr vr, struct str value,
                        struct pixl_error *err)
{
    uint8_t b[12];
    size_t header = dicom_header_bytes(c, vr), padded = value.n + value.n % 2;
    if (value.n > DICOM_UNDEFINED_LENGTH - 2u)
        return pixl_fail(err, PIXL_E_LIMIT, 0, "a value does not fit any length field");
    if (!make_header(b, c, tag, vr, padded, err))
        return false;
    uint8_t *at = extend(p, header + padded, err);
    if (at == NULL)
        return false;
    memcpy(at, b, header);
    if (value.n > 0)
        memcpy(at + header, value.p, value.n);
    if (padded > value.n)
        at[header + value.n] = (uint8_t)dicom_vr_padding(vr);
    return true;
}

static size_t even(size_t n)
{
    return n + n % 2;
}

bool dicom_plan_meta(struct dicom_plan *p, struct str sop_class_uid, struct str sop_instance_uid,
                     struct str transfer_syntax, struct pixl_error *err)
{
    static const uint8_t preamble[128 + 4] = { [128] = 'D', 'I', 'C', 'M' };
    const struct dicom_coding c = { .is_explicit = true };
    const struct str implementation = STR(IMPLEMENTATION_UID), name = STR(IMPLEMENTATION_NAME);
    if (sop_class_uid.n > DICOM_UID_MAX || sop_instance_uid.n > DICOM_UID_MAX || transfer_syntax.n > DICOM_UID_MAX)
        return pixl_fail(err, PIXL_E_INVALID, 0, "a UID has more than %d characters", DICOM_UID_MAX);
    size_t n = 12 + 2 + 5 * 8 + even(sop_class_uid.n) + even(sop_instance_uid.n) + even(transfer_syntax.n) +
               even(implementation.n) + even(name.n);
    uint8_t group_length[4];
    put(group_length, false, (uint32_t)n, sizeof group_length);
    struct str length = { (const char *)group_length, sizeof group_length };
    return dicom_plan_bytes(p, preamble, sizeof preamble, err) &&
           dicom_plan_element(p, c, DICOM_META_GROUP_LENGTH, DICOM_VR_UL, length, err) &&
           dicom_plan_element(p, c, DICOM_META_VERSION, DICOM_VR_OB, STR("\0\1"), err) &&
           dicom_plan_element(p, c, DICOM_META_SOP_CLASS_UID, DICOM_VR_UI, sop_class_uid, err) &&
           dicom_plan_element(p, c, DICOM_META_SOP_INSTANCE_UID, DICOM_VR_UI, sop_instance_uid, err) &&
           dicom_plan_element(p, c, DICOM_META_TRANSFER_SYNTAX, DICOM_VR_UI, transfer_syntax, err) &&
           dicom_plan_element(p, c, DICOM_META_IMPLEMENTATION_UID, DICOM_VR_UI, implementation, err) &&
           dicom_plan_element(p, c, DICOM_META_IMPLEMENTATION_NAME, DICOM_VR_SH, name, err);
}

/* A piece of the source lies within it: plans are made by code, but lengths in them come from files. */
static bool check_range(const struct dicom_piece *piece, const struct dicom_source *source, struct pixl_error *err)
{
    if (piece->offset > source->size_bytes || piece->n > source->size_bytes - piece->offset)
        return pixl_fail(err, PIXL_E_INVALID, 0, "a plan reaches beyond its source");
    return true;
}

/* A masked range through the block, which keeps nothing of the source that could be used again. */
static bool each_masked(const struct dicom_piece *piece, const struct dicom_source *source, void *block,
                        size_t block_bytes,
                        bool (*sink)(void *ctx, const void *bytes, size_t n, struct pixl_error *err), void *ctx,
                        struct pixl_error *err)
{
    for (uint64_t done = 0; done < piece->n;) {
        size_t n = piece->n - done < block_bytes ? (size_t)(piece->n - done) : block_bytes;
        if (!source->read(source, block, n, piece->offset + done, err))
            return false;
        dicom_mask_apply(piece->mask, done, block, n);
        if (!sink(ctx, block, n, err))
            return false;
        done += n;
    }
    return true;
}

bool dicom_plan_each(const struct dicom_plan *p, const struct dicom_source *source, void *block, size_t block_bytes,
                     bool (*sink)(void *ctx, const void *bytes, size_t n, struct pixl_error *err), void *ctx,
                     struct pixl_error *err)
{
    assert(block_bytes > 0);
    uint64_t have = 0, have_n = 0;      /* what block holds of the source: small ranges lie close together */
    for (size_t i = 0; i < p->n_pieces; i++) {
        const struct dicom_piece *piece = &p->pieces[i];
        if (piece->bytes != NULL) {
            if (!sink(ctx, piece->bytes, (size_t)piece->n, err))
                return false;
            continue;
        }
        if (!check_range(piece, source, err))
            return false;
        if (piece->mask != NULL) {
            have_n = 0;
            if (!each_masked(piece, source, block, block_bytes, sink, ctx, err))
                return false;
            continue;
        }
        if (source->bytes != NULL) {
            if (!sink(ctx, source->bytes + piece->offset, (size_t)piece->n, err))
                return false;
            continue;
        }
        for (uint64_t at = piece->offset, left = piece->n; left > 0;) {
            if (at < have || at - have >= have_n) {
                uint64_t rest = source->size_bytes - at;
                have = at;
                have_n = rest < block_bytes ? rest : block_bytes;
                if (!source->read(source, block, (size_t)have_n, at, err))
                    return false;
            }
            uint64_t skip = at - have, n = have_n - skip < left ? have_n - skip : left;
            if (!sink(ctx, (uint8_t *)block + skip, (size_t)n, err))
                return false;
            at += n;
            left -= n;
        }
    }
    return true;
}

bool dicom_plan_gather(const struct dicom_plan *p, const struct dicom_source *source, void *to, struct pixl_error *err)
{
    uint8_t block[BLOCK_BYTES], *out = to;
    uint64_t have = 0, have_n = 0;      /* what block holds of the source */
    for (size_t i = 0; i < p->n_pieces; i++) {
        const struct dicom_piece *piece = &p->pieces[i];
        assert(piece->n <= p->size_bytes - (uint64_t)(out - (uint8_t *)to));
        if (piece->bytes == NULL && !check_range(piece, source, err))
            return false;
        const uint8_t *from = piece->bytes != NULL                           ? piece->bytes
                              : source->bytes != NULL && piece->mask == NULL ? source->bytes + piece->offset
                                                                             : NULL;
        if (from == NULL && (piece->n >= sizeof block || piece->mask != NULL)) {
            if (!source->read(source, out, (size_t)piece->n, piece->offset, err))
                return false;
            if (piece->mask != NULL)
                dicom_mask_apply(piece->mask, 0, out, (size_t)piece->n);
        } else if (from == NULL) {
            uint64_t rest = source->size_bytes - piece->offset;
            if (piece->offset < have || piece->offset - have > have_n || piece->n > have_n - (piece->offset - have)) {
                have = piece->offset;
                have_n = rest < sizeof block ? rest : sizeof block;
                if (!source->read(source, block, (size_t)have_n, have, err))
                    return false;
            }
            from = block + (piece->offset - have);
        }
        if (from != NULL)
            memcpy(out, from, (size_t)piece->n);
        out += piece->n;
    }
    assert((uint64_t)(out - (uint8_t *)to) == p->size_bytes);
    return true;
}

struct writer {
    const struct dicom_source *source;
    int fd;
    size_t n;                           /* of iov */
    uint64_t have, have_n;              /* what block holds of the source */
    struct iovec iov[GATHER];
    uint8_t block[BLOCK_BYTES];
};

/* Writes what was gathered. */
static bool flush(struct writer *w, struct pixl_error *err)
{
    struct iovec *v = w->iov;
    size_t n = w->n;
    w->n = 0;
    while (n > 0) {
        ssize_t done = writev(w->fd, v, (int)n);
        if (done < 0 && errno == EINTR)
            continue;
        if (done < 0)
            return pixl_fail_errno(err, errno, "cannot write an instance");
        size_t left = (size_t)done;
        while (n > 0 && left >= v->iov_len) {
            left -= v->iov_len;
            v++;
            n--;
        }
        if (n > 0) {
            v->iov_base = (char *)v->iov_base + left;
            v->iov_len -= left;
        }
    }
    return true;
}

static bool gather(struct writer *w, const uint8_t *bytes, uint64_t n, struct pixl_error *err)
{
    if (w->n == GATHER && !flush(w, err))
        return false;
    void *base;
    memcpy(&base, &bytes, sizeof base);         /* struct iovec wants a pointer to what may be written to */
    w->iov[w->n++] = (struct iovec){ base, (size_t)n };
    return true;
}

static bool is_copied(const struct writer *w, const struct dicom_piece *piece)
{
    return w->source->fd >= 0 && piece->n >= COPY_BYTES;
}

/* Fills the block from offset on, as far as this piece and the short ranges behind it want it. */
static bool fill(struct writer *w, const struct dicom_plan *p, size_t i, uint64_t offset, struct pixl_error *err)
{
    uint64_t end = offset, most = w->source->size_bytes - offset;
    if (most > BLOCK_BYTES)
        most = BLOCK_BYTES;
    for (; i < p->n_pieces && !is_copied(w, &p->pieces[i]); i++) {
        const struct dicom_piece *piece = &p->pieces[i];
        if (piece->bytes != NULL || piece->mask != NULL)
            continue;
        uint64_t to = piece->offset + piece->n;
        if (to > end)
            end = to;
        if (end - offset >= most)
            break;
    }
    w->have = offset;
    w->have_n = end - offset < most ? end - offset : most;
    return flush(w, err) && w->source->read(w->source, w->block, (size_t)w->have_n, offset, err);
}

static bool write_masked(struct writer *w, const struct dicom_piece *piece, struct pixl_error *err)
{
    if (!check_range(piece, w->source, err))
        return false;
    w->have_n = 0;
    for (uint64_t done = 0; done < piece->n;) {
        size_t n = piece->n - done < BLOCK_BYTES ? (size_t)(piece->n - done) : BLOCK_BYTES;
        if (!flush(w, err) || !w->source->read(w->source, w->block, n, piece->offset + done, err))
            return false;
        dicom_mask_apply(piece->mask, done, w->block, n);
        if (!gather(w, w->block, n, err))
            return false;
        done += n;
    }
    return flush(w, err);
}

static bool write_range(struct writer *w, const struct dicom_plan *p, size_t i, struct pixl_error *err)
{
    const struct dicom_piece *piece = &p->pieces[i];
    if (!check_range(piece, w->source, err))
        return false;
    if (w->source->bytes != NULL)
        return gather(w, w->source->bytes + piece->offset, piece->n, err);
    if (is_copied(w, piece))
        return flush(w, err) && fs_copy_range(w->source->fd, piece->offset, piece->n, w->fd, err);
    for (uint64_t at = piece->offset, left = piece->n; left > 0;) {
        if ((at < w->have || at - w->have >= w->have_n) && !fill(w, p, i, at, err))
            return false;
        uint64_t skip = at - w->have, n = w->have_n - skip < left ? w->have_n - skip : left;
        if (!gather(w, w->block + skip, n, err))
            return false;
        at += n;
        left -= n;
    }
    return true;
}

bool dicom_plan_write_fd(const struct dicom_plan *p, const struct dicom_source *source, int fd, struct pixl_error *err)
{
    struct writer w;                    /* not zeroed: the block is large */
    w.source = source;
    w.fd = fd;
    w.n = 0;
    w.have = w.have_n = 0;
    for (size_t i = 0; i < p->n_pieces; i++) {
        const struct dicom_piece *piece = &p->pieces[i];
        bool ok = piece->bytes != NULL  ? gather(&w, piece->bytes, piece->n, err)
                  : piece->mask != NULL ? write_masked(&w, piece, err)
                                        : write_range(&w, p, i, err);
        if (!ok)
            return false;
    }
    return flush(&w, err);
}
