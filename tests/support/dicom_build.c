#include "dicom_build.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

static _Noreturn void die(const char *what)
{
    perror(what);
    abort();
}

static void add(struct dcm *d, const void *p, size_t n)
{
    if (!buf_add(&d->buf, p, n))
        die("dicom_build");
}

/* Little endian, or big when wanted. */
static void add_number(struct dcm *d, bool is_big_endian, uint32_t v, size_t n)
{
    uint8_t b[4];
    for (size_t i = 0; i < n; i++)
        b[is_big_endian ? n - 1 - i : i] = (uint8_t)(v >> 8 * i);
    add(d, b, n);
}

static void start(struct dcm *d, bool is_explicit, bool is_big_endian)
{
    *d = (struct dcm){ .is_explicit = is_explicit, .is_big_endian = is_big_endian };
    buf_init(&d->buf, (size_t)1 << 31);
    d->length_at_ = calloc(DCM_DEPTH_MAX, sizeof d->length_at_[0]);
    if (d->length_at_ == NULL)
        die("dicom_build");
}

void dcm_begin_bare(struct dcm *d, bool is_explicit)
{
    start(d, is_explicit, false);
}

void dcm_begin_bare_big_endian(struct dcm *d)
{
    start(d, true, true);
}

void dcm_begin(struct dcm *d, bool is_explicit)
{
    dcm_begin_syntax(d, is_explicit ? DCM_EXPLICIT_LE : DCM_IMPLICIT_LE, DCM_CT_IMAGE_STORAGE, "1.2.3.4");
}

void dcm_begin_syntax(struct dcm *d, const char *transfer_syntax, const char *sop_class_uid,
                      const char *sop_instance_uid)
{
    static const char preamble[128];
    start(d, true, false);
    add(d, preamble, sizeof preamble);
    add(d, "DICM", 4);
    dcm_u32(d, DICOM_META_GROUP_LENGTH, 0);
    size_t from = d->buf.n;
    dcm_bytes(d, DICOM_META_VERSION, DICOM_VR_OB, "\0\1", 2);
    dcm_text(d, DICOM_META_SOP_CLASS_UID, DICOM_VR_UI, sop_class_uid);
    dcm_text(d, DICOM_META_SOP_INSTANCE_UID, DICOM_VR_UI, sop_instance_uid);
    dcm_text(d, DICOM_META_TRANSFER_SYNTAX, DICOM_VR_UI, transfer_syntax);
    dcm_text(d, DICOM_META_IMPLEMENTATION_UID, DICOM_VR_UI, "1.2.3.4.5");
    uint32_t n = (uint32_t)(d->buf.n - from);
    for (size_t i = 0; i < 4; i++)
        d->buf.p[from - 4 + i] = (char)(n >> 8 * i);
    d->data_at_ = d->buf.n;
    d->is_explicit = strcmp(transfer_syntax, DCM_IMPLICIT_LE) != 0;
    d->is_big_endian = strcmp(transfer_syntax, DCM_EXPLICIT_BE) == 0;
}

void dcm_done(struct dcm *d)
{
    buf_done(&d->buf);
    free(d->length_at_);
    d->length_at_ = NULL;
}

void dcm_mark(struct dcm *d, uint32_t tag, uint32_t length)
{
    add_number(d, d->is_big_endian, tag >> 16, 2);
    add_number(d, d->is_big_endian, tag & 0xFFFF, 2);
    add_number(d, d->is_big_endian, length, 4);
}

void dcm_header(struct dcm *d, uint32_t tag, enum dicom_vr vr, uint32_t length)
{
    if (!d->is_explicit) {
        dcm_mark(d, tag, length);
        return;
    }
    add_number(d, d->is_big_endian, tag >> 16, 2);
    add_number(d, d->is_big_endian, tag & 0xFFFF, 2);
    add(d, dicom_vr_name(vr), 2);
    if (dicom_vr_has_long_header(vr))
        add(d, "\0\0", 2);
    else
        assert(length <= UINT16_MAX);
    add_number(d, d->is_big_endian, length, dicom_vr_has_long_header(vr) ? 4 : 2);
}

void dcm_raw(struct dcm *d, const void *p, size_t n)
{
    add(d, p, n);
}

void dcm_bytes(struct dcm *d, uint32_t tag, enum dicom_vr vr, const void *p, size_t n)
{
    char pad = dicom_vr_padding(vr);
    dcm_header(d, tag, vr, (uint32_t)(n + n % 2));
    add(d, p, n);
    add(d, &pad, n % 2);
}

void dcm_text(struct dcm *d, uint32_t tag, enum dicom_vr vr, const char *text)
{
    dcm_bytes(d, tag, vr, text, strlen(text));
}

void dcm_u16(struct dcm *d, uint32_t tag, uint16_t v)
{
    dcm_header(d, tag, DICOM_VR_US, 2);
    add_number(d, d->is_big_endian, v, 2);
}

void dcm_u32(struct dcm *d, uint32_t tag, uint32_t v)
{
    dcm_header(d, tag, DICOM_VR_UL, 4);
    add_number(d, d->is_big_endian, v, 4);
}

static void add_pattern(struct dcm *d, size_t n)
{
    uint8_t block[4096];
    uint32_t x = 1;
    while (n > 0) {
        size_t some = n < sizeof block ? n : sizeof block;
        for (size_t i = 0; i < some; i++)
            block[i] = (uint8_t)((x = x * 1664525u + 1013904223u) >> 24);
        add(d, block, some);
        n -= some;
    }
}

void dcm_fill(struct dcm *d, uint32_t tag, enum dicom_vr vr, size_t n)
{
    dcm_header(d, tag, vr, (uint32_t)n);
    add_pattern(d, n);
}

static void open_one(struct dcm *d, bool is_undefined)
{
    assert(d->depth < DCM_DEPTH_MAX);
    d->length_at_[d->depth++] = is_undefined ? 0 : d->buf.n - 4;
}

static void close_one(struct dcm *d, uint32_t delimiter)
{
    assert(d->depth > 0);
    size_t at = d->length_at_[--d->depth];
    if (at == 0) {
        dcm_mark(d, delimiter, 0);
        return;
    }
    uint32_t n = (uint32_t)(d->buf.n - at - 4);
    for (size_t i = 0; i < 4; i++)
        d->buf.p[at + i] = (char)(n >> 8 * (d->is_big_endian ? 3 - i : i));
}

void dcm_seq_begin(struct dcm *d, uint32_t tag, bool is_undefined)
{
    dcm_header(d, tag, DICOM_VR_SQ, is_undefined ? DICOM_UNDEFINED_LENGTH : 0);
    open_one(d, is_undefined);
}

void dcm_seq_end(struct dcm *d)
{
    close_one(d, DICOM_TAG_SEQUENCE_END);
}

void dcm_un_begin(struct dcm *d, uint32_t tag, enum dicom_vr vr, bool is_undefined)
{
    dcm_header(d, tag, vr, is_undefined ? DICOM_UNDEFINED_LENGTH : 0);
    open_one(d, is_undefined);
    d->was_explicit_ = d->is_explicit;
    d->was_big_endian_ = d->is_big_endian;
    d->is_explicit = d->is_big_endian = false;
}

void dcm_un_end(struct dcm *d)
{
    bool is_undefined = d->length_at_[d->depth - 1] == 0;
    if (!is_undefined)
        d->is_big_endian = d->was_big_endian_; /* of the length in the header */
    close_one(d, DICOM_TAG_SEQUENCE_END);
    d->is_explicit = d->was_explicit_;
    d->is_big_endian = d->was_big_endian_;
}

void dcm_item_begin(struct dcm *d, bool is_undefined)
{
    dcm_mark(d, DICOM_TAG_ITEM, is_undefined ? DICOM_UNDEFINED_LENGTH : 0);
    open_one(d, is_undefined);
}

void dcm_item_end(struct dcm *d)
{
    close_one(d, DICOM_TAG_ITEM_END);
}

void dcm_pixels_native(struct dcm *d, size_t n)
{
    dcm_fill(d, DICOM_PIXEL_DATA, DICOM_VR_OW, n);
}

void dcm_pixels_encapsulated(struct dcm *d, size_t n_fragments, size_t fragment_bytes)
{
    dcm_header(d, DICOM_PIXEL_DATA, DICOM_VR_OB, DICOM_UNDEFINED_LENGTH);
    dcm_mark(d, DICOM_TAG_ITEM, 0);
    for (size_t i = 0; i < n_fragments; i++) {
        dcm_mark(d, DICOM_TAG_ITEM, (uint32_t)(fragment_bytes + fragment_bytes % 2));
        add_pattern(d, fragment_bytes + fragment_bytes % 2);
    }
    dcm_mark(d, DICOM_TAG_SEQUENCE_END, 0);
}

void dcm_deflate(struct dcm *d)
{
    z_stream z = { 0 };
    size_t n = d->buf.n - d->data_at_;
    if (deflateInit2(&z, 9, Z_DEFLATED, -15, 8, Z_DEFAULT_STRATEGY) != Z_OK)
        die("dcm_deflate");
    size_t room = deflateBound(&z, n);
    uint8_t *out = malloc(room);
    if (out == NULL)
        die("dcm_deflate");
    z.next_in = (uint8_t *)d->buf.p + d->data_at_;
    z.avail_in = (unsigned)n;
    z.next_out = out;
    z.avail_out = (unsigned)room;
    if (deflate(&z, Z_FINISH) != Z_STREAM_END)
        die("dcm_deflate");
    d->buf.n = d->data_at_;
    add(d, out, z.total_out);
    add(d, "", z.total_out % 2);
    (void)deflateEnd(&z);
    free(out);
}

struct str dcm_str(const struct dcm *d)
{
    assert(d->depth == 0);
    return buf_str(&d->buf);
}

const void *dcm_bytes_of(const struct dcm *d)
{
    return dcm_str(d).p;
}

size_t dcm_size(const struct dcm *d)
{
    return d->buf.n;
}

void dcm_save(const struct dcm *d, const char *path)
{
    struct str s = dcm_str(d);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0)
        die("dcm_save");
    for (size_t at = 0; at < s.n;) {
        ssize_t n = write(fd, s.p + at, s.n - at);
        if (n < 0 && errno != EINTR)
            die("dcm_save");
        at += n > 0 ? (size_t)n : 0;
    }
    if (close(fd) != 0)
        die("dcm_save");
}
