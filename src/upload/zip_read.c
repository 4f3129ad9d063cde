#include "zip_read.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <zlib.h>

#include "base/fs.h"

enum {
    LOCAL_BYTES = 30,
    CENTRAL_BYTES = 46,
    END_BYTES = 22,
    LOCATOR64_BYTES = 20,
    END64_BYTES = 56,
    COMMENT_MAX = 65535,
    ZIP64_EXTRA = 1,
    DEFLATE_RATIO_MAX = 1100,    /* no deflated byte stands for more */
    BLOCK_BYTES = 128 * 1024,
    STORED = 0,
    DEFLATED = 8,
};
#define LOCAL_MARK          0x04034B50u
#define CENTRAL_MARK        0x02014B50u
#define END_MARK            0x06054B50u
#define LOCATOR64_MARK      0x07064B50u
#define END64_MARK          0x06064B50u
#define DIRECTORY_BYTES_MAX ((uint64_t)1 << 30)
#define ENTRY_BYTES_MAX     ((uint64_t)1 << 31)

struct zip_read {
    int fd;
    uint64_t size_bytes;
    struct zip_read_entry *entries;
    size_t n;
    uint8_t *directory;
    char *names;
    uint8_t *bytes; /* of the entry that zip_read_bytes() read last */
};

static uint64_t get(const uint8_t *p, size_t n)
{
    uint64_t v = 0;
    while (n-- > 0)
        v = v << 8 | p[n];
    return v;
}

static bool corrupt(struct pixl_error *err, const char *what)
{
    return pixl_fail(err, PIXL_E_CORRUPT, 0, "zip: %s", what);
}

static bool read_at(const struct zip_read *z, void *p, uint64_t n, uint64_t offset, struct pixl_error *err)
{
    if (offset > z->size_bytes || n > z->size_bytes - offset)
        return corrupt(err, "it ends too early");
    return fs_pread_all(z->fd, p, (size_t)n, offset, err);
}

struct directory {
    uint64_t offset, bytes, entries;
};

static bool find_directory64(const struct zip_read *z, uint64_t end_at, struct directory *out, struct pixl_error *err)
{
    uint8_t locator[LOCATOR64_BYTES], end[END64_BYTES];
    if (end_at < LOCATOR64_BYTES)
        return corrupt(err, "its zip64 end is not there");
    if (!read_at(z, locator, sizeof locator, end_at - LOCATOR64_BYTES, err))
        return false;
    if (get(locator, 4) != LOCATOR64_MARK)
        return corrupt(err, "its zip64 end is not there");
    if (!read_at(z, end, sizeof end, get(locator + 8, 8), err))
        return false;
    if (get(end, 4) != END64_MARK)
        return corrupt(err, "its zip64 end is not there");
    *out = (struct directory){ get(end + 48, 8), get(end + 40, 8), get(end + 32, 8) };
    return true;
}

static bool find_directory(const struct zip_read *z, struct directory *out, struct pixl_error *err)
{
    uint64_t n = z->size_bytes < END_BYTES + COMMENT_MAX ? z->size_bytes : END_BYTES + COMMENT_MAX;
    if (n < END_BYTES)
        return corrupt(err, "it is too short");
    uint8_t *tail = malloc((size_t)n);
    if (tail == NULL)
        return pixl_fail(err, PIXL_E_NOMEM, 0, "zip");
    bool ok = read_at(z, tail, n, z->size_bytes - n, err), found = false;
    uint8_t end[END_BYTES] = { 0 };
    uint64_t at = n - END_BYTES + 1;
    while (ok && !found && at-- > 0)
        found = get(tail + at, 4) == END_MARK && get(tail + at + 20, 2) == n - END_BYTES - at;
    if (found)
        memcpy(end, tail + at, sizeof end);
    free(tail);
    if (!ok)
        return false;
    if (!found)
        return corrupt(err, "its end is not there");
    *out = (struct directory){ get(end + 16, 4), get(end + 12, 4), get(end + 10, 2) };
    if (out->offset == UINT32_MAX || out->bytes == UINT32_MAX || out->entries == UINT16_MAX)
        return find_directory64(z, z->size_bytes - n + at, out, err);
    return true;
}

/* Sizes and offset that do not fit 32 bits stand in an extra field, those that fit do not. */
static bool read_extra64(struct zip_read_entry *e, const uint8_t *extra, size_t n, struct pixl_error *err)
{
    bool wants = e->size_bytes == UINT32_MAX || e->packed_bytes == UINT32_MAX || e->header_offset == UINT32_MAX;
    while (wants && n >= 4) {
        size_t id = (size_t)get(extra, 2), len = (size_t)get(extra + 2, 2);
        if (len > n - 4)
            break;
        if (id == ZIP64_EXTRA) {
            uint64_t *const fields[] = { &e->size_bytes, &e->packed_bytes, &e->header_offset };
            size_t at = 0;
            for (size_t i = 0; i < ARRAY_LEN(fields); i++) {
                if (*fields[i] != UINT32_MAX)
                    continue;
                if (len - at < 8)
                    return corrupt(err, "an entry's sizes are not there");
                *fields[i] = get(extra + 4 + at, 8);
                at += 8;
            }
            return true;
        }
        extra += 4 + len;
        n -= 4 + len;
    }
    return !wants || corrupt(err, "an entry's sizes are not there");
}

static bool read_central(struct zip_read *z, struct zip_read_entry *e, const uint8_t **p, size_t *left, char **name,
                         struct pixl_error *err)
{
    if (*left < CENTRAL_BYTES || get(*p, 4) != CENTRAL_MARK)
        return corrupt(err, "its list of entries is damaged");
    size_t n_name = (size_t)get(*p + 28, 2), n_extra = (size_t)get(*p + 30, 2), n_comment = (size_t)get(*p + 32, 2);
    if (n_name + n_extra + n_comment > *left - CENTRAL_BYTES || memchr(*p + CENTRAL_BYTES, '\0', n_name) != NULL)
        return corrupt(err, "its list of entries is damaged");
    *e = (struct zip_read_entry){ .name = *name,
                                  .size_bytes = get(*p + 24, 4),
                                  .packed_bytes = get(*p + 20, 4),
                                  .header_offset = get(*p + 42, 4),
                                  .crc = (uint32_t)get(*p + 16, 4),
                                  .method = (unsigned)get(*p + 10, 2) };
    if (!read_extra64(e, *p + CENTRAL_BYTES + n_name, n_extra, err))
        return false;
    if (e->method != STORED && e->method != DEFLATED)
        return pixl_fail(err, PIXL_E_UNSUPPORTED, 0, "zip: compression method %u", e->method);
    if (e->packed_bytes > z->size_bytes || e->size_bytes / DEFLATE_RATIO_MAX > e->packed_bytes)
        return corrupt(err, "an entry's size cannot be");
    if (e->size_bytes > ENTRY_BYTES_MAX)
        return pixl_fail(err, PIXL_E_LIMIT, 0, "zip: an entry is too large");
    memcpy(*name, *p + CENTRAL_BYTES, n_name);
    (*name)[n_name] = '\0';
    *name += n_name + 1;
    *p += CENTRAL_BYTES + n_name + n_extra + n_comment;
    *left -= CENTRAL_BYTES + n_name + n_extra + n_comment;
    return true;
}

static bool read_directory(struct zip_read *z, struct pixl_error *err)
{
    struct directory d = { 0 };
    if (!find_directory(z, &d, err))
        return false;
    if (d.bytes > DIRECTORY_BYTES_MAX || d.bytes > z->size_bytes || d.entries > d.bytes / CENTRAL_BYTES)
        return corrupt(err, "its list of entries is damaged");
    z->directory = malloc((size_t)d.bytes + 1);
    z->names = malloc((size_t)d.bytes + 1);
    z->entries = calloc((size_t)d.entries + 1, sizeof *z->entries);
    if (z->directory == NULL || z->names == NULL || z->entries == NULL)
        return pixl_fail(err, PIXL_E_NOMEM, 0, "zip");
    if (!read_at(z, z->directory, d.bytes, d.offset, err))
        return false;
    const uint8_t *p = z->directory;
    size_t left = (size_t)d.bytes;
    char *name = z->names;
    for (z->n = 0; z->n < d.entries; z->n++)
        if (!read_central(z, &z->entries[z->n], &p, &left, &name, err))
            return false;
    return left == 0 || corrupt(err, "its list of entries is damaged");
}

bool zip_read_open(const char *path, struct zip_read **out, struct pixl_error *err)
{
    struct stat st;
    zip_read_auto *z = calloc(1, sizeof *z);
    if (z == NULL)
        return pixl_fail(err, PIXL_E_NOMEM, 0, "zip");
    z->fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (z->fd < 0 || fstat(z->fd, &st) != 0)
        return pixl_fail_errno(err, errno, "zip");
    z->size_bytes = (uint64_t)st.st_size;
    if (!read_directory(z, err))
        return false;
    *out = PIXL_STEAL(&z);
    return true;
}

void zip_read_close(struct zip_read *z)
{
    if (z == NULL)
        return;
    if (z->fd >= 0)
        (void)close(z->fd);
    free(z->entries);
    free(z->directory);
    free(z->names);
    free(z->bytes);
    free(z);
}

size_t zip_read_count(const struct zip_read *z)
{
    return z->n;
}

const struct zip_read_entry *zip_read_entry(const struct zip_read *z, size_t i)
{
    return &z->entries[i];
}

const struct zip_read_entry *zip_read_find(const struct zip_read *z, const char *name)
{
    for (size_t i = 0; i < z->n; i++)
        if (strcmp(z->entries[i].name, name) == 0)
            return &z->entries[i];
    return NULL;
}

/* Where an entry's packed bytes begin. */
static bool find_packed(struct zip_read *z, const struct zip_read_entry *e, uint64_t *from, struct pixl_error *err)
{
    uint8_t head[LOCAL_BYTES];
    if (!read_at(z, head, sizeof head, e->header_offset, err))
        return false;
    size_t n_name = (size_t)get(head + 26, 2), n_extra = (size_t)get(head + 28, 2);
    if (get(head, 4) != LOCAL_MARK || n_name != strlen(e->name) || get(head + 8, 2) != e->method ||
        get(head + 14, 4) != e->crc)
        return corrupt(err, "an entry's own header says something else than the list");
    uint8_t *name = malloc(n_name + 1);
    if (name == NULL)
        return pixl_fail(err, PIXL_E_NOMEM, 0, "zip");
    bool ok = read_at(z, name, n_name, e->header_offset + LOCAL_BYTES, err);
    bool same = ok && memcmp(name, e->name, n_name) == 0;
    free(name);
    if (ok && !same)
        return corrupt(err, "an entry's own header says something else than the list");
    *from = e->header_offset + LOCAL_BYTES + n_name + n_extra;
    return ok;
}

/* Where unpacked bytes go: a file, or memory of the entry's size. */
struct sink {
    int fd;
    uint8_t *to;                 /* NULL: the file */
    uint64_t n, size_bytes;
    uint32_t crc;
};

static bool pour(struct sink *k, const uint8_t *p, size_t n, struct pixl_error *err)
{
    if (n > k->size_bytes - k->n)
        return corrupt(err, "an entry is longer than its size");
    if (k->to != NULL)
        memcpy(k->to + k->n, p, n);
    else if (!fs_write_all(k->fd, p, n, err))
        return false;
    k->crc = (uint32_t)crc32_z(k->crc, p, n);
    k->n += n;
    return true;
}

/* Inflates what s holds; *ended: the deflated stream's end was there. */
static bool inflate_block(z_stream *s, uint8_t *block, struct sink *k, bool *ended, struct pixl_error *err)
{
    do {
        s->next_out = block;
        s->avail_out = BLOCK_BYTES;
        int rc = inflate(s, Z_NO_FLUSH);
        if (rc != Z_OK && rc != Z_STREAM_END && rc != Z_BUF_ERROR)
            return rc == Z_MEM_ERROR ? pixl_fail(err, PIXL_E_NOMEM, 0, "zip") : corrupt(err, "an entry does not inflate");
        if (!pour(k, block, BLOCK_BYTES - s->avail_out, err))
            return false;
        *ended = rc == Z_STREAM_END;
    } while (!*ended && s->avail_out == 0);
    return !*ended || s->avail_in == 0 || corrupt(err, "something stands behind an entry's end");
}

/* blocks: two of them. */
static bool unpack(struct zip_read *z, const struct zip_read_entry *e, uint64_t from, uint8_t *blocks, struct sink *k,
                   struct pixl_error *err)
{
    z_stream s = { 0 };
    bool ok = true, ended = e->method == STORED;
    if (e->method == DEFLATED && inflateInit2(&s, -MAX_WBITS) != Z_OK)
        return pixl_fail(err, PIXL_E_NOMEM, 0, "zip");
    for (uint64_t left = e->packed_bytes; ok && left > 0;) {
        size_t n = left < BLOCK_BYTES ? (size_t)left : BLOCK_BYTES;
        ok = read_at(z, blocks, n, from, err);
        from += n;
        left -= n;
        if (!ok || e->method == STORED) {
            ok = ok && pour(k, blocks, n, err);
            continue;
        }
        if (ended)
            ok = corrupt(err, "something stands behind an entry's end");
        s.next_in = blocks;
        s.avail_in = (uInt)n;
        ok = ok && inflate_block(&s, blocks + BLOCK_BYTES, k, &ended, err);
    }
    if (e->method == DEFLATED)
        (void)inflateEnd(&s);
    return ok && ((ended && k->n == k->size_bytes) || corrupt(err, "an entry does not inflate to its size"));
}

static bool read_entry(struct zip_read *z, const struct zip_read_entry *e, struct sink *k, struct pixl_error *err)
{
    uint64_t from = 0;
    if (!find_packed(z, e, &from, err))
        return false;
    uint8_t *blocks = malloc(2 * BLOCK_BYTES);
    bool ok = blocks != NULL ? unpack(z, e, from, blocks, k, err) : pixl_fail(err, PIXL_E_NOMEM, 0, "zip");
    free(blocks);
    return ok && (k->crc == e->crc || corrupt(err, "an entry's checksum differs"));
}

bool zip_read_bytes(struct zip_read *z, const struct zip_read_entry *e, struct str *out, struct pixl_error *err)
{
    free(z->bytes);
    z->bytes = malloc((size_t)e->size_bytes + 1);
    if (z->bytes == NULL)
        return pixl_fail(err, PIXL_E_NOMEM, 0, "zip");
    struct sink k = { .fd = -1, .to = z->bytes, .size_bytes = e->size_bytes };
    if (!read_entry(z, e, &k, err))
        return false;
    *out = (struct str){ (const char *)z->bytes, (size_t)e->size_bytes };
    return true;
}

bool zip_read_to(struct zip_read *z, const struct zip_read_entry *e, int fd, struct pixl_error *err)
{
    struct sink k = { .fd = fd, .size_bytes = e->size_bytes };
    return read_entry(z, e, &k, err);
}
