#include "window.h"

#include <assert.h>
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "base/fs.h"

static bool read_fd(const struct dicom_source *s, void *p, size_t n, uint64_t offset, struct pixl_error *err)
{
    return fs_pread_all(s->fd, p, n, offset, err);
}

static bool read_bytes(const struct dicom_source *s, void *p, size_t n, uint64_t offset, struct pixl_error *err)
{
    if (offset > s->size_bytes || n > s->size_bytes - offset)
        return pixl_fail(err, PIXL_E_CORRUPT, 0, "source is shorter than it was");
    if (n > 0)
        memcpy(p, s->bytes + offset, n);
    return true;
}

bool dicom_source_fd(int fd, struct dicom_source *out, struct pixl_error *err)
{
    struct stat st;
    if (fstat(fd, &st) != 0)
        return pixl_fail_errno(err, errno, "cannot look at an instance");
    if (!S_ISREG(st.st_mode))
        return pixl_fail(err, PIXL_E_IO, 0, "an instance must be a regular file");
    *out = (struct dicom_source){ .read = read_fd, .size_bytes = (uint64_t)st.st_size, .fd = fd,
                                  .mtime = st.st_mtim, .ctime = st.st_ctim, .inode = st.st_ino };
    return true;
}

static bool same_time(struct timespec a, struct timespec b)
{
    return a.tv_sec == b.tv_sec && a.tv_nsec == b.tv_nsec;
}

bool dicom_source_unchanged(const struct dicom_source *s, struct pixl_error *err)
{
    struct stat st;
    if (s->fd < 0)
        return true;
    if (fstat(s->fd, &st) != 0)
        return pixl_fail_errno(err, errno, "cannot look at an instance");
    if ((uint64_t)st.st_size != s->size_bytes || st.st_ino != s->inode || !same_time(st.st_mtim, s->mtime) ||
        !same_time(st.st_ctim, s->ctime))
        return pixl_fail(err, PIXL_E_CORRUPT, 0, "an instance changed while it was read");
    return true;
}

struct dicom_source dicom_source_bytes(const void *p, size_t n)
{
    return (struct dicom_source){ .read = read_bytes, .size_bytes = n, .fd = -1, .bytes = p };
}

bool dicom_window_new(const struct dicom_source *source, struct arena *arena, struct dicom_window **out,
                      struct pixl_error *err)
{
    enum { FIRST_BLOCKS = 8 };
    struct dicom_window *w = arena_alloc(arena, sizeof *w);
    struct dicom_block *blocks = arena_calloc(arena, FIRST_BLOCKS, sizeof *blocks);
    if (w == NULL || blocks == NULL)
        return pixl_fail(err, PIXL_E_NOMEM, 0, "no memory to read an instance");
    *w = (struct dicom_window){ .source = *source, .arena = arena, .blocks = blocks, .cap_blocks = FIRST_BLOCKS };
    if (source->bytes != NULL)
        w->blocks[w->n_blocks++] = (struct dicom_block){ 0, source->size_bytes, source->bytes };
    *out = w;
    return true;
}

/* How many blocks start at or before offset. */
static size_t blocks_upto(const struct dicom_window *w, uint64_t offset)
{
    size_t lo = 0, hi = w->n_blocks;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        if (w->blocks[mid].offset <= offset)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

const uint8_t *dicom_window_find(const struct dicom_window *w, uint64_t offset, uint64_t n)
{
    /* Blocks may overlap; the last that starts here or before reaches furthest in all but odd orders of loading,
     * where a miss costs another read and nothing else. */
    size_t i = blocks_upto(w, offset);
    if (i == 0)
        return NULL;
    const struct dicom_block *b = &w->blocks[i - 1];
    uint64_t skip = offset - b->offset;
    return skip <= b->n && n <= b->n - skip ? b->bytes + skip : NULL;
}

bool dicom_window_load(struct dicom_window *w, uint64_t offset, uint64_t n, struct dicom_block *out,
                       struct pixl_error *err)
{
    assert(offset <= w->source.size_bytes && n <= w->source.size_bytes - offset);
    if (w->source.bytes != NULL) {
        *out = w->blocks[0];
        return true;
    }
    if (w->n_blocks == w->cap_blocks) {
        struct dicom_block *more = arena_calloc(w->arena, w->cap_blocks * 2, sizeof *more);
        if (more == NULL)
            return pixl_fail(err, PIXL_E_NOMEM, 0, "no memory to read an instance");
        memcpy(more, w->blocks, w->n_blocks * sizeof *more);
        w->blocks = more;
        w->cap_blocks *= 2;
    }
    uint8_t *p = n <= SIZE_MAX ? arena_alloc(w->arena, (size_t)n) : NULL;
    if (p == NULL)
        return pixl_fail(err, PIXL_E_NOMEM, 0, "no memory to read an instance");
    if (!w->source.read(&w->source, p, (size_t)n, offset, err))
        return false;
    size_t at = blocks_upto(w, offset);
    memmove(&w->blocks[at + 1], &w->blocks[at], (w->n_blocks - at) * sizeof w->blocks[0]);
    w->n_blocks++;
    *out = w->blocks[at] = (struct dicom_block){ offset, n, p };
    return true;
}
