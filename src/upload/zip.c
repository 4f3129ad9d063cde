/* The layout, APPNOTE 6.3.10 sections 4.3.6 to 4.3.16 (all numbers little endian):
 *
 *   for each entry   local header 30 bytes | name | zip64 extra, when a size needs it | data
 *   for each entry   central header 46 bytes | name | zip64 extra, when a size or the offset needs it
 *   zip64 end record 56 bytes and its locator 20 bytes, when a count, size or offset needs them
 *   end record 22 bytes
 *
 * Sizes come before the data, so they must be known first, and nothing is patched afterwards: the SHA-256 of the file
 * is taken of the bytes as they leave.  Entries up to BUFFERED_MAX are gathered and deflated in memory.  A larger one that
 * is stored is read twice, for its CRC and for its data; the CRC is compared again, since a source can change between.
 * A larger one that is deflated goes through a nameless file beside the zip: deflating twice would cost more than
 * writing the result and reading it back, which mostly stays in the page cache. */
#include "zip.h"

#include <assert.h>
#include <libdeflate.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#define ZLIB_CONST
#include <zlib.h>

#include "base/fs.h"
#include "base/hash.h"
#include "base/str.h"

enum {
    BUFFERED_MAX = 16 << 20,
    BLOCK_BYTES = 1 << 20,               /* of output and of what is read at once */
    DIRECT_BYTES = 64 << 10,             /* from here on written as they are, not copied once more */
    WRITEBACK_BYTES = 4 << 20,           /* the disk works while the next entries are made; fsync then waits for little */
    NAME_MAX_BYTES = 512,
    LEVEL_MAX = 12,
    METHOD_STORED = 0, METHOD_DEFLATED = 8,
    VERSION_DEFLATE = 20, VERSION_ZIP64 = 45,
    MADE_BY_UNIX = 3 << 8,
    DOS_DATE_1980_01_01 = 0x0021,
};
static const uint64_t names_max_bytes = UINT64_C(1) << 30;
static const uint32_t unix_mode = UINT32_C(0100644) << 16;       /* a regular file, rw-r--r-- */

struct entry {
    uint64_t offset, size, packed;       /* of the local header; bytes before and after packing */
    size_t name_at;                      /* in zip.names */
    uint32_t crc;
    uint16_t name_n, method;
};

struct zip {
    struct fs_new_file file;
    char *path;                          /* final */
    struct hash_sha256 *sha;
    struct libdeflate_compressor *deflater;      /* NULL at level 0 */
    int level;
    bool is_broken;                      /* a part of an entry was written: only abandoning is left */
    uint64_t offset;                     /* of the next byte in the file, those in out included */
    uint64_t written, sent_to_disk;      /* bytes that left, and those of them whose writeback was begun */
    uint8_t *out, *block;                /* BLOCK_BYTES each */
    size_t out_n;
    uint8_t *raw, *packed;               /* a gathered entry before and after; they grow to BUFFERED_MAX */
    size_t raw_cap, packed_cap;
    struct entry *entries;
    size_t n, cap;
    struct buf names;
    uint32_t *slots;                     /* the names seen, open addressing: entry index + 1, 0 is free */
    size_t n_slots;                      /* a power of two, more than n */
};

static uint8_t *put16(uint8_t *p, uint64_t v)
{
    p[0] = (uint8_t)v;
    p[1] = (uint8_t)(v >> 8);
    return p + 2;
}

static uint8_t *put32(uint8_t *p, uint64_t v)
{
    return put16(put16(p, v & 0xFFFF), v >> 16 & 0xFFFF);
}

static uint8_t *put64(uint8_t *p, uint64_t v)
{
    return put32(put32(p, v & UINT32_MAX), v >> 32);
}

/* A field of 32 bits; all ones say "see the zip64 extra". */
static bool is_large(uint64_t v)
{
    return v >= UINT32_MAX;
}

static uint8_t *put32_capped(uint8_t *p, uint64_t v)
{
    return put32(p, is_large(v) ? UINT32_MAX : v);
}

/* The one place where bytes leave. */
static bool write_out(struct zip *z, const void *p, size_t n, struct pixl_error *err)
{
    if (!hash_sha256_add(z->sha, p, n, err) || !fs_write_all(z->file.fd, p, n, err))
        return false;
    z->written += n;
    if (z->written - z->sent_to_disk >= WRITEBACK_BYTES) {
        fs_start_writeback(z->file.fd, z->sent_to_disk, z->written - z->sent_to_disk);
        z->sent_to_disk = z->written;
    }
    return true;
}

static bool flush(struct zip *z, struct pixl_error *err)
{
    if (!write_out(z, z->out, z->out_n, err))
        return false;
    z->out_n = 0;
    return true;
}

static bool emit(struct zip *z, const void *p, size_t n, struct pixl_error *err)
{
    bool is_direct = n >= DIRECT_BYTES;
    if ((is_direct || n > BLOCK_BYTES - z->out_n) && !flush(z, err))
        return false;
    if (is_direct) {
        if (!write_out(z, p, n, err))
            return false;
    } else if (n > 0) {
        memcpy(z->out + z->out_n, p, n);
        z->out_n += n;
    }
    z->offset += n;
    return true;
}

void zip_abandon(struct zip *z)
{
    if (z == NULL)
        return;
    fs_new_file_abandon(&z->file);
    hash_sha256_free(z->sha);
    libdeflate_free_compressor(z->deflater);
    buf_done(&z->names);
    free(z->path);
    free(z->out);
    free(z->block);
    free(z->raw);
    free(z->packed);
    free(z->entries);
    free(z->slots);
    free(z);
}

bool zip_new(const char *path, const char *suffix, int level, struct zip **out, struct pixl_error *err)
{
    if (level < 0 || level > LEVEL_MAX)
        return pixl_fail(err, PIXL_E_INVALID, 0, "zip: level %d is not one of 0 to %d", level, LEVEL_MAX);
    zip_auto *z = calloc(1, sizeof *z);
    if (z == NULL)
        return pixl_fail(err, PIXL_E_NOMEM, 0, "zip");
    z->file = FS_NEW_FILE_NONE;
    z->level = level;
    buf_init(&z->names, names_max_bytes);
    size_t path_size = strlen(path) + 1;
    z->path = malloc(path_size);
    z->out = malloc(BLOCK_BYTES);
    z->block = malloc(BLOCK_BYTES);
    z->deflater = level > 0 ? libdeflate_alloc_compressor(level) : NULL;
    if (z->path == NULL || z->out == NULL || z->block == NULL || (level > 0 && z->deflater == NULL))
        return pixl_fail(err, PIXL_E_NOMEM, 0, "zip");
    memcpy(z->path, path, path_size);
    if (!hash_sha256_new(&z->sha, err) || !fs_new_file_open(&z->file, path, suffix, 0640, err))
        return false;
    *out = PIXL_STEAL(&z);
    return true;
}

/* Relative, '/' between parts that are not empty, "." or "..", printable ASCII without what Windows forbids. */
static bool is_entry_name(const char *name, size_t n)
{
    if (n == 0 || n > NAME_MAX_BYTES)
        return false;
    for (size_t i = 0; i < n; i++)
        if (name[i] <= ' ' || name[i] >= 0x7F || strchr("\\:*?\"<>|", name[i]) != NULL)
            return false;
    for (struct str rest = { name, n }, part; ; ) {
        bool more = str_split(rest, '/', &part, &rest);
        if (part.n == 0 || str_eq(part, STR(".")) || str_eq(part, STR("..")))
            return false;
        if (!more)
            return true;
    }
}

/* Where the name is among the slots, or the free slot where it belongs.  FNV-1a. */
static size_t slot_of(const struct zip *z, const char *name, size_t n)
{
    uint64_t h = UINT64_C(0xCBF29CE484222325);
    for (size_t i = 0; i < n; i++)
        h = (h ^ (uint8_t)name[i]) * UINT64_C(0x100000001B3);
    size_t i = (size_t)(h ^ h >> 32) & (z->n_slots - 1);
    for (; z->slots[i] != 0; i = (i + 1) & (z->n_slots - 1)) {
        const struct entry *e = &z->entries[z->slots[i] - 1];
        if (e->name_n == n && memcmp(z->names.p + e->name_at, name, n) == 0)
            break;
    }
    return i;
}

/* Room for one more entry and a half-empty table. */
static bool make_room(struct zip *z, struct pixl_error *err)
{
    if (z->n == z->cap) {
        size_t cap = z->cap ? z->cap * 2 : 64;
        struct entry *e = cap < UINT32_MAX ? realloc(z->entries, cap * sizeof *e) : NULL;
        if (e == NULL)
            return pixl_fail(err, PIXL_E_NOMEM, 0, "zip: list of entries");
        z->entries = e;
        z->cap = cap;
    }
    if (z->n_slots > 2 * z->n)
        return true;
    size_t n_slots = z->n_slots ? z->n_slots * 2 : 128;
    uint32_t *slots = calloc(n_slots, sizeof *slots);
    if (slots == NULL)
        return pixl_fail(err, PIXL_E_NOMEM, 0, "zip: names of entries");
    free(z->slots);
    z->slots = slots;
    z->n_slots = n_slots;
    for (size_t i = 0; i < z->n; i++)
        slots[slot_of(z, z->names.p + z->entries[i].name_at, z->entries[i].name_n)] = (uint32_t)i + 1;
    return true;
}

/* Fills in *e for a name that is new here. */
static bool begin_entry(struct zip *z, const char *name, uint64_t size, struct entry *e, struct pixl_error *err)
{
    size_t n = strlen(name);
    if (!is_entry_name(name, n))
        return pixl_fail(err, PIXL_E_INVALID, 0, "zip: not a name for an entry");
    if (!make_room(z, err))
        return false;
    if (z->slots[slot_of(z, name, n)] != 0)
        return pixl_fail(err, PIXL_E_EXISTS, 0, "zip: two entries of one name");
    *e = (struct entry){ .size = size, .packed = size, .name_at = z->names.n, .name_n = (uint16_t)n,
                         .method = METHOD_STORED };
    if (n > z->names.max - z->names.n)
        return pixl_fail(err, PIXL_E_LIMIT, 0, "zip: too many entries");
    if (!buf_add(&z->names, name, n)) {
        z->names.failed = false;         /* what was in it is as it was */
        return pixl_fail(err, PIXL_E_NOMEM, 0, "zip: names of entries");
    }
    return true;
}

/* The entry was not written after all: its name is free again. */
static void cancel_entry(struct zip *z, const struct entry *e)
{
    z->names.n = e->name_at;
    z->names.p[z->names.n] = '\0';
}

static uint64_t version_needed(bool is_zip64)
{
    return is_zip64 ? VERSION_ZIP64 : VERSION_DEFLATE;
}

/* What the two headers share: from the method to the name's length. */
static uint8_t *put_facts(uint8_t *p, const struct entry *e, bool is_zip64)
{
    p = put16(p, e->method);
    p = put16(p, 0);                     /* 00:00 */
    p = put16(p, DOS_DATE_1980_01_01);
    p = put32(p, e->crc);
    p = put32(p, is_zip64 ? UINT32_MAX : e->packed);
    p = put32(p, is_zip64 ? UINT32_MAX : e->size);
    return put16(p, e->name_n);
}

/* Both sizes go to the extra when one of them needs it, as the local header must have it. */
static bool has_large_size(const struct entry *e)
{
    return is_large(e->size) || is_large(e->packed);
}

static bool write_local_header(struct zip *z, struct entry *e, struct pixl_error *err)
{
    bool is_zip64 = has_large_size(e);
    uint8_t h[30], x[20], *p = h;
    e->offset = z->offset;
    p = put32(p, 0x04034B50);
    p = put16(p, version_needed(is_zip64));
    p = put16(p, 0);                     /* flags: sizes stand here, the name is ASCII */
    p = put_facts(p, e, is_zip64);
    p = put16(p, is_zip64 ? sizeof x : 0);
    assert(p == h + sizeof h);
    p = put16(x, 0x0001);
    p = put16(p, 16);
    p = put64(p, e->size);
    p = put64(p, e->packed);
    assert(p == x + sizeof x);
    return emit(z, h, sizeof h, err) && emit(z, z->names.p + e->name_at, e->name_n, err) &&
           (!is_zip64 || emit(z, x, sizeof x, err));
}

/* From its first byte on, an entry is written whole or the zip is lost. */
static bool write_entry(struct zip *z, struct entry *e, const uint8_t *data, struct pixl_error *err)
{
    z->is_broken = true;
    if (!write_local_header(z, e, err) || !emit(z, data, (size_t)e->packed, err))
        return false;
    z->is_broken = false;
    return true;
}

/* *p holds n bytes at least; what it held is lost. */
static bool reserve(uint8_t **p, size_t *cap, size_t n, struct pixl_error *err)
{
    if (*cap >= n && *p != NULL)
        return true;
    size_t want = BLOCK_BYTES;
    while (want < n)
        want *= 2;
    free(*p);
    *cap = 0;
    *p = malloc(want);
    if (*p == NULL)
        return pixl_fail(err, PIXL_E_NOMEM, 0, "zip: buffer of %zu bytes", want);
    *cap = want;
    return true;
}

static bool fail_size(struct pixl_error *err)
{
    return pixl_fail(err, PIXL_E_CORRUPT, 0, "zip: the instance does not have the size that was planned");
}

static bool add_buffered(struct zip *z, struct entry *e, const struct dicom_plan *plan,
                         const struct dicom_source *source,
                         bool stored, struct pixl_error *err)
{
    size_t size = (size_t)e->size;
    if (!reserve(&z->raw, &z->raw_cap, size, err))
        return false;
    if (!dicom_plan_gather(plan, source, z->raw, err))
        return false;
    e->crc = libdeflate_crc32(0, z->raw, size);
    if (stored || z->deflater == NULL || size == 0)
        return write_entry(z, e, z->raw, err);
    if (!reserve(&z->packed, &z->packed_cap, size, err))
        return false;
    /* One byte less than the entry has: it gives 0 when it would not shrink. */
    size_t packed = libdeflate_deflate_compress(z->deflater, z->raw, size, z->packed, size - 1);
    if (packed == 0)
        return write_entry(z, e, z->raw, err);
    e->packed = packed;
    e->method = METHOD_DEFLATED;
    return write_entry(z, e, z->packed, err);
}

struct sum {
    struct zip *z;                       /* NULL: only sum up */
    uint64_t n, size;
    uint32_t crc;
};

static bool sum_sink(void *ctx, const void *bytes, size_t n, struct pixl_error *err)
{
    struct sum *s = ctx;
    if (n > s->size - s->n)
        return fail_size(err);
    s->crc = libdeflate_crc32(s->crc, bytes, n);
    s->n += n;
    return s->z == NULL || emit(s->z, bytes, n, err);
}

/* The CRC is known. */
static bool write_large_stored(struct zip *z, struct entry *e, const struct dicom_plan *plan,
                               const struct dicom_source *source, struct pixl_error *err)
{
    struct sum s = { .z = z, .size = e->size };
    z->is_broken = true;
    if (!write_local_header(z, e, err) || !dicom_plan_each(plan, source, z->block, BLOCK_BYTES, sum_sink, &s, err))
        return false;
    if (s.n != e->size || s.crc != e->crc)
        return pixl_fail(err, PIXL_E_CORRUPT, 0, "zip: the instance changed while it was read");
    z->is_broken = false;
    return true;
}

static bool add_large_stored(struct zip *z, struct entry *e, const struct dicom_plan *plan,
                             const struct dicom_source *source, struct pixl_error *err)
{
    struct sum s = { .size = e->size };
    if (!dicom_plan_each(plan, source, z->block, BLOCK_BYTES, sum_sink, &s, err))
        return false;
    if (s.n != e->size)
        return fail_size(err);
    e->crc = s.crc;
    return write_large_stored(z, e, plan, source, err);
}

/* A file beside the zip, so that the room that it needs is the room that the zip may use; its name goes at once (not
 * O_TMPFILE, which not every file system has: one way for all). */
static bool open_nameless(const struct zip *z, int *fd, struct pixl_error *err)
{
    fs_new_file_auto f = FS_NEW_FILE_NONE;
    if (!fs_new_file_open(&f, z->file.temp_path, "deflate", 0600, err))
        return false;
    *fd = f.fd;
    f.fd = -1;
    return true;
}

struct pack {
    z_stream zs;
    struct sum sum;
    int fd;
    uint8_t *out;                        /* BLOCK_BYTES */
    uint64_t packed;
    bool is_longer;                      /* than the entry itself: given up, only the CRC goes on */
};

/* Runs zlib until it takes no more input (or, with Z_FINISH, until its end). */
static bool pack_some(struct pack *k, int how, struct pixl_error *err)
{
    int rc;
    do {
        k->zs.next_out = k->out;
        k->zs.avail_out = BLOCK_BYTES;
        rc = deflate(&k->zs, how);
        if (rc == Z_STREAM_ERROR)
            return pixl_fail(err, PIXL_E_INTERNAL, rc, "zip: deflate");
        size_t n = BLOCK_BYTES - k->zs.avail_out;
        if (!fs_write_all(k->fd, k->out, n, err))
            return false;
        k->packed += n;
    } while (how == Z_FINISH ? rc != Z_STREAM_END : k->zs.avail_out == 0);
    k->is_longer = k->packed >= k->sum.size;
    return true;
}

static bool pack_sink(void *ctx, const void *bytes, size_t n, struct pixl_error *err)
{
    struct pack *k = ctx;
    if (!sum_sink(&k->sum, bytes, n, err))
        return false;
    for (const uint8_t *p = bytes; n > 0 && !k->is_longer; ) {
        size_t some = n < BLOCK_BYTES ? n : BLOCK_BYTES;
        k->zs.next_in = p;
        k->zs.avail_in = (uInt)some;
        if (!pack_some(k, Z_NO_FLUSH, err))
            return false;
        p += some;
        n -= some;
    }
    return true;
}

/* Deflates the plan into k->fd. */
static bool pack_all(struct pack *k, struct zip *z, const struct dicom_plan *plan, const struct dicom_source *source,
                     struct pixl_error *err)
{
    int level = z->level < Z_BEST_COMPRESSION ? z->level : Z_BEST_COMPRESSION;
    if (deflateInit2(&k->zs, level, Z_DEFLATED, -15, 9, Z_DEFAULT_STRATEGY) != Z_OK)
        return pixl_fail(err, PIXL_E_NOMEM, 0, "zip: deflate");
    bool ok = dicom_plan_each(plan, source, z->block, BLOCK_BYTES, pack_sink, k, err);
    if (ok && k->sum.n != k->sum.size)
        ok = fail_size(err);
    if (ok && !k->is_longer)
        ok = pack_some(k, Z_FINISH, err);
    (void)deflateEnd(&k->zs);
    return ok;
}

static bool write_packed(struct zip *z, struct entry *e, int fd, struct pixl_error *err)
{
    z->is_broken = true;
    if (!write_local_header(z, e, err))
        return false;
    for (uint64_t at = 0; at < e->packed; ) {
        size_t n = e->packed - at < BLOCK_BYTES ? (size_t)(e->packed - at) : BLOCK_BYTES;
        if (!fs_pread_all(fd, z->block, n, at, err) || !emit(z, z->block, n, err))
            return false;
        at += n;
    }
    z->is_broken = false;
    return true;
}

static bool add_large_deflated(struct zip *z, struct entry *e, const struct dicom_plan *plan,
                               const struct dicom_source *source, struct pixl_error *err)
{
    if (!reserve(&z->packed, &z->packed_cap, BLOCK_BYTES, err))
        return false;
    struct pack k = { .sum = { .size = e->size }, .out = z->packed };
    if (!open_nameless(z, &k.fd, err))
        return false;
    bool ok = pack_all(&k, z, plan, source, err);
    if (ok) {
        e->crc = k.sum.crc;
        if (k.is_longer) {
            ok = write_large_stored(z, e, plan, source, err);
        } else {
            e->packed = k.packed;
            e->method = METHOD_DEFLATED;
            ok = write_packed(z, e, k.fd, err);
        }
    }
    (void)close(k.fd);
    return ok;
}

bool zip_add(struct zip *z, const char *name, const struct dicom_plan *plan, const struct dicom_source *source,
             bool stored,
             struct pixl_error *err)
{
    struct entry e;
    if (z->is_broken)
        return pixl_fail(err, PIXL_E_INTERNAL, 0, "zip: it was broken by an entry before");
    if (!begin_entry(z, name, plan->size_bytes, &e, err))
        return false;
    bool ok = e.size <= BUFFERED_MAX           ? add_buffered(z, &e, plan, source, stored, err)
            : stored || z->deflater == NULL    ? add_large_stored(z, &e, plan, source, err)
                                               : add_large_deflated(z, &e, plan, source, err);
    if (!ok) {
        cancel_entry(z, &e);
        return false;
    }
    size_t slot = slot_of(z, name, e.name_n);
    z->entries[z->n++] = e;
    z->slots[slot] = (uint32_t)z->n;
    return true;
}

static bool write_central_header(struct zip *z, const struct entry *e, struct pixl_error *err)
{
    bool is_zip64 = has_large_size(e), is_far = is_large(e->offset);
    uint8_t h[46], x[28], *p = x;
    p = put16(p, 0x0001);
    p = put16(p, (is_zip64 ? 16u : 0u) + (is_far ? 8u : 0u));
    if (is_zip64)
        p = put64(put64(p, e->size), e->packed);
    if (is_far)
        p = put64(p, e->offset);
    size_t x_n = is_zip64 || is_far ? (size_t)(p - x) : 0;
    uint64_t version = version_needed(is_zip64 || is_far);
    p = put32(h, 0x02014B50);
    p = put16(p, MADE_BY_UNIX | version);
    p = put16(p, version);
    p = put16(p, 0);
    p = put_facts(p, e, is_zip64);
    p = put16(p, x_n);
    p = put16(p, 0);                     /* comment */
    p = put16(p, 0);                     /* disk */
    p = put16(p, 0);                     /* internal attributes: binary */
    p = put32(p, unix_mode);
    p = put32_capped(p, e->offset);
    assert(p == h + sizeof h);
    return emit(z, h, sizeof h, err) && emit(z, z->names.p + e->name_at, e->name_n, err) && emit(z, x, x_n, err);
}

static bool write_end(struct zip *z, uint64_t central_at, uint64_t central_n, struct pixl_error *err)
{
    uint8_t h[56 + 20 + 22], *p = h;
    bool is_many = z->n >= UINT16_MAX;
    if (is_many || is_large(central_at) || is_large(central_n)) {
        uint64_t end_at = z->offset;
        p = put32(p, 0x06064B50);
        p = put64(p, 56 - 12);           /* what follows of it */
        p = put16(p, MADE_BY_UNIX | VERSION_ZIP64);
        p = put16(p, VERSION_ZIP64);
        p = put64(p, 0);                 /* this disk, the central directory's disk */
        p = put64(put64(p, z->n), z->n);
        p = put64(put64(p, central_n), central_at);
        p = put32(p, 0x07064B50);
        p = put32(p, 0);
        p = put64(p, end_at);
        p = put32(p, 1);                 /* disks */
    }
    p = put32(p, 0x06054B50);
    p = put32(p, 0);                     /* disks */
    p = put16(p, is_many ? UINT16_MAX : z->n);
    p = put16(p, is_many ? UINT16_MAX : z->n);
    p = put32_capped(p, central_n);
    p = put32_capped(p, central_at);
    p = put16(p, 0);                     /* comment */
    return emit(z, h, (size_t)(p - h), err) && flush(z, err);
}

static bool finish(struct zip *z, uint8_t digest[HASH_SHA256_BYTES], struct pixl_error *err)
{
    if (z->is_broken)
        return pixl_fail(err, PIXL_E_INTERNAL, 0, "zip: it was broken by an entry before");
    uint64_t central_at = z->offset;
    for (size_t i = 0; i < z->n; i++)
        if (!write_central_header(z, &z->entries[i], err))
            return false;
    if (!write_end(z, central_at, z->offset - central_at, err) || !hash_sha256_end(z->sha, digest, err))
        return false;
    if (fs_new_file_commit(&z->file, err))
        return true;
    /* When it stands under its final name already, its folder could not be synced: nothing may be left. */
    if (z->file.temp_path == NULL)
        (void)unlink(z->path);
    return false;
}

bool zip_commit(struct zip *z, uint64_t *size_bytes, uint8_t digest[32], struct pixl_error *err)
{
    uint8_t sum[HASH_SHA256_BYTES];
    uint64_t size = 0;
    bool ok = finish(z, sum, err);
    if (ok)
        size = z->offset;
    zip_abandon(z);
    if (ok) {
        *size_bytes = size;
        memcpy(digest, sum, sizeof sum);
    }
    return ok;
}
