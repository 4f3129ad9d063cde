/* A folder with DICOM files of any names at any depth: an export of an archive, a mounted share.
 *
 * Links are not followed, neither to files nor to folders: one could lead out of the root, or make one file two.
 * A path is opened part by part from the root, so that a link put in later leads nowhere either.
 *
 * refresh() walks the whole tree, but reads only what is new or has another size, time or inode, and of that the header
 * up to the series UID, of multi-frame objects up to the number of frames.  Rows are gathered without a lock and written in batches.  What it cannot look into (a folder
 * without permission) keeps what the index knew of it: a study must not shrink without anybody being told.
 *
 * Two locks, taken in this order: `refreshing`, held for a whole refresh, and the index's own. */
#include "archive_backend.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "archive_identity.h"
#include "archive_index.h"
#include "base/fs.h"
#include "base/hash.h"

enum {
    BATCH_FILES = 2000,
    BATCH_BYTES = 4 << 20,               /* of texts in a batch */
    HEADER_BYTES_MAX = 64 << 20,         /* arena for reading one file */
    PATH_BYTES_MAX = 64 * 1024,          /* longer ones count as unreadable */
    SAY_EVERY = 1024,
    DROP_AT_ONCE = 4096,
};
static const int64_t ids_max = INT64_C(1) << 33;         /* a bitmap of 1 GiB */

struct directory {
    struct archive base;
    char *root;                          /* canonical */
    struct archive_index *index;
    pthread_mutex_t refreshing;          /* one refresh at a time; guards counts */
    struct archive_directory_counts counts;
};

static struct directory *directory_of(struct archive *a)
{
    assert(a->ops == &archive_directory);
    return (struct directory *)a;
}

static bool fail_memory(struct pixl_error *err)
{
    return pixl_fail(err, PIXL_E_NOMEM, 0, "archive");
}

/* The errors by which a share says that its server does not answer. */
static bool is_away(int e)
{
    return e == ESTALE || e == ENOTCONN || e == EHOSTDOWN || e == EHOSTUNREACH || e == ENETDOWN || e == ENETUNREACH ||
           e == ETIMEDOUT || e == ECONNRESET || e == ECONNABORTED || e == ENXIO || e == ENODEV || e == EREMOTEIO;
}

static bool fail_errno(struct pixl_error *err, int e, const char *doing)
{
    (void)pixl_fail_errno(err, e, "archive: %s", doing);
    if (is_away(e))
        err->code = PIXL_E_UNAVAILABLE;
    return false;
}

static bool fail_unavailable(struct pixl_error *err, int e)
{
    return pixl_fail(err, PIXL_E_UNAVAILABLE, e, "archive: its folder %s",
                     e == EACCES || e == EPERM ? "cannot be opened: permission denied"
                     : e == ENOENT             ? "is not there: is its path right, is the share mounted?"
                     : e == ENOTDIR            ? "is no folder: is its path right, is the share mounted?"
                                               : "cannot be opened; is the share mounted?");
}

/* The root, opened for each use: a share that was mounted again has a new one.  -1: errno. */
static int open_root(const struct directory *d)
{
    return open(d->root, O_PATH | O_DIRECTORY | O_CLOEXEC);
}

/* Opens a relative path part by part, following no link.  Empty: the root itself.  -1: errno. */
static int open_beneath(int root_fd, const char *path, int flags)
{
    fs_fd_auto at = -1;
    char part[NAME_MAX + 1];
    if (path[0] == '\0')
        return openat(root_fd, ".", flags | O_NOFOLLOW | O_CLOEXEC);
    for (;;) {
        int from = at >= 0 ? at : root_fd;
        const char *slash = strchr(path, '/');
        if (slash == NULL)
            return openat(from, path, flags | O_NOFOLLOW | O_CLOEXEC);
        size_t n = (size_t)(slash - path);
        if (n > NAME_MAX) {
            errno = ENAMETOOLONG;
            return -1;
        }
        memcpy(part, path, n);
        part[n] = '\0';
        int next = openat(from, part, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (next < 0)
            return -1;
        if (at >= 0)
            (void)close(at);
        at = next;
        path = slash + 1;
    }
}

static void directory_close(struct archive *a)
{
    struct directory *d = directory_of(a);
    archive_index_close(d->index);
    (void)pthread_mutex_destroy(&d->refreshing);
    free(d->root);
    free(d);
}

/* <state_dir>/archive-<16 hex digits of the root's SHA-256>.db */
static bool open_index(struct directory *d, const char *state_dir, struct pixl_error *err)
{
    hash_sha256_auto *h = NULL;
    uint8_t digest[HASH_SHA256_BYTES];
    char hex[17], name[64];
    if (!hash_sha256_new(&h, err) || !hash_sha256_add(h, d->root, strlen(d->root), err) || !hash_sha256_end(h, digest,
                                                                                                            err))
        return false;
    hash_hex(digest, 8, hex);
    (void)snprintf(name, sizeof name, "archive-%s.db", hex);
    arena_auto a;
    arena_init(&a, PATH_BYTES_MAX);
    const char *path = fs_path(&a, state_dir, name);
    if (path == NULL)
        return fail_memory(err);
    if (!fs_make_dirs(state_dir, 0700, err))
        return pixl_wrap(err, "state folder");
    return archive_index_open(path, &d->index, err);
}

static bool directory_open(const struct archive_options *o, struct archive **out, struct pixl_error *err)
{
    const char *rest = o->url + strlen("directory:");
    if (rest[0] != '/')
        return pixl_fail(err, PIXL_E_INVALID, 0, "archive: directory: must be followed by an absolute path");
    struct directory *d = calloc(1, sizeof *d);
    if (d == NULL)
        return fail_memory(err);
    d->base.ops = &archive_directory;
    if (pthread_mutex_init(&d->refreshing, NULL) != 0) {
        free(d);
        return fail_memory(err);
    }
    archive_auto *a = &d->base;
    d->root = realpath(rest, NULL);
    if (d->root == NULL)
        return errno == ENOMEM ? fail_memory(err) : fail_unavailable(err, errno);
    fs_fd_auto root = open_root(d);
    if (root < 0)
        return fail_unavailable(err, errno);
    if (!open_index(d, o->state_dir, err))
        return false;
    *out = PIXL_STEAL(&a);
    return true;
}

/* One refresh.  dirs: folders still to be looked into. */
struct walk {
    struct directory *d;
    int root_fd;
    char **dirs;
    size_t n_dirs, cap_dirs;
    struct buf path;                     /* of the folder, with '/' at its end, or of the file at hand */
    struct arena header, texts;          /* of the file at hand; of the batch */
    struct archive_index_file *batch;    /* BATCH_FILES */
    size_t n_batch;
    uint8_t *seen;                       /* a bit for each id */
    size_t seen_bytes;
    struct archive_directory_counts counts;
    bool is_first;                       /* nothing was known before: no file need be looked up */
    bool (*say)(void *ctx, uint64_t looked_at, uint64_t dicom);
    void *ctx;
};

static bool see(void *ctx, int64_t id, struct pixl_error *err)
{
    struct walk *w = ctx;
    if (id < 0 || id > ids_max)
        return pixl_fail(err, PIXL_E_LIMIT, 0, "archive: too many files");
    size_t at = (size_t)id / 8;
    if (at >= w->seen_bytes) {
        size_t bytes = w->seen_bytes ? w->seen_bytes : 4096;
        while (bytes <= at)
            bytes *= 2;
        uint8_t *p = realloc(w->seen, bytes);
        if (p == NULL)
            return fail_memory(err);
        memset(p + w->seen_bytes, 0, bytes - w->seen_bytes);
        w->seen = p;
        w->seen_bytes = bytes;
    }
    w->seen[at] |= (uint8_t)(1u << id % 8);
    return true;
}

static bool is_seen(const struct walk *w, int64_t id)
{
    size_t at = (size_t)id / 8;
    return at < w->seen_bytes && (w->seen[at] >> id % 8 & 1) != 0;
}

static bool write_batch(struct walk *w, struct pixl_error *err)
{
    if (w->n_batch == 0)
        return true;
    if (!archive_index_put(w->d->index, w->batch, w->n_batch, err))
        return false;
    for (size_t i = 0; i < w->n_batch; i++)
        if (!see(w, w->batch[i].id, err))
            return false;
    w->n_batch = 0;
    arena_reset(&w->texts);
    return true;
}

static bool tell(struct walk *w, struct pixl_error *err)
{
    if (w->say == NULL || w->say(w->ctx, w->counts.looked_at, w->counts.dicom))
        return true;
    /* What was read is kept: the next refresh goes on from there. */
    return write_batch(w, err) && pixl_fail(err, PIXL_E_CANCELLED, 0, "archive: looking for files was cancelled");
}

static void count_kind(struct walk *w, enum archive_identity_kind kind)
{
    w->counts.dicom += kind == ARCHIVE_IDENTITY_INSTANCE;
    w->counts.damaged += kind == ARCHIVE_IDENTITY_DAMAGED;
    w->counts.other += kind == ARCHIVE_IDENTITY_STRANGER;
}

static int64_t mtime_of(const struct stat *st)
{
    return (int64_t)st->st_mtim.tv_sec * 1000000000 + st->st_mtim.tv_nsec;
}

static bool is_as_known(const struct archive_index_file *f, const struct stat *st)
{
    return f->id != 0 && f->size_bytes == (uint64_t)st->st_size && f->mtime_ns == mtime_of(st) &&
           f->inode == (uint64_t)st->st_ino;
}

/* Cannot be read: what the index knew of it stays, so that its study fails rather than shrinks. */
static bool pass_unreadable(struct walk *w, const struct archive_index_file *known, struct pixl_error *err)
{
    w->counts.unreadable++;
    return known->id == 0 || (archive_index_doubt(w->d->index, known->id, err) && see(w, known->id, err));
}

/* All texts of a row into the batch's arena. */
static bool copy_texts(struct arena *a, struct archive_index_file *f, struct pixl_error *err)
{
    struct phi_text *const texts[] = { &f->path, &f->who.patient_id, &f->who.accession_number, &f->who.study_uid,
                                       &f->who.series_uid, &f->who.sop_uid };
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        struct str s = arena_str(a, phi_reveal(*texts[i]));
        if (s.p == NULL)
            return fail_memory(err);
        *texts[i] = phi_text(s);
    }
    return true;
}

/* A file that may be read but cannot is trouble of the disk or share: going on without it would deliver a part of a study as the whole.
 * (What may not be read is another matter: it stays so, is counted, and said at the end.) */
static bool fail_trouble(struct pixl_error *err, int e, const char *doing)
{
    return pixl_fail(err, PIXL_E_UNAVAILABLE, e, "archive: cannot %s (a disk or network error)", doing);
}

/* The file at hand is new or has changed: w->path is its path, name its name in the open folder. */
static bool read_file(struct walk *w, int dir_fd, const char *name, const struct archive_index_file *known,
                      struct pixl_error *err)
{
    struct stat st;
    struct archive_index_file f = { .path = phi_text(buf_str(&w->path)) };
    w->counts.read++;
    fs_fd_auto fd = openat(dir_fd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    if (fd < 0 && (errno == ENOENT || errno == ELOOP))
        return true;                     /* gone, or a link by now */
    if (fd < 0 && (errno == EMFILE || errno == ENFILE || is_away(errno)))
        return fail_errno(err, errno, "open a file");
    if (fd < 0 && errno != EACCES && errno != EPERM)
        return fail_trouble(err, errno, "open a file");
    if (fd < 0)
        return pass_unreadable(w, known, err);
    if (fstat(fd, &st) != 0)
        return fail_trouble(err, errno, "look at a file");
    if (!S_ISREG(st.st_mode))
        return pass_unreadable(w, known, err);
    f.size_bytes = (uint64_t)st.st_size;
    f.mtime_ns = mtime_of(&st);
    f.inode = (uint64_t)st.st_ino;
    if (!archive_identity_read(fd, &w->header, &f.who, err))
        return false;
    if (f.who.kind == ARCHIVE_IDENTITY_UNREADABLE)
        return fail_trouble(err, EIO, "read a file");
    count_kind(w, f.who.kind);
    if (!copy_texts(&w->texts, &f, err))
        return false;
    w->batch[w->n_batch++] = f;
    return (w->n_batch < BATCH_FILES && w->texts.used_bytes < BATCH_BYTES) || write_batch(w, err);
}

static bool visit_file(struct walk *w, int dir_fd, const char *name, const struct stat *st, struct pixl_error *err)
{
    struct archive_index_file known = { 0 };
    if (!w->is_first && !archive_index_look(w->d->index, buf_str(&w->path), &known, err))
        return false;
    bool ok;
    if (is_as_known(&known, st)) {
        count_kind(w, known.who.kind);
        ok = see(w, known.id, err);
    } else {
        ok = read_file(w, dir_fd, name, &known, err);
    }
    return ok && (++w->counts.looked_at % SAY_EVERY != 0 || tell(w, err));
}

static bool push_dir(struct walk *w, struct str path, struct pixl_error *err)
{
    if (w->n_dirs == w->cap_dirs) {
        size_t cap = w->cap_dirs ? w->cap_dirs * 2 : 64;
        char **p = realloc(w->dirs, cap * sizeof *p);
        if (p == NULL)
            return fail_memory(err);
        w->dirs = p;
        w->cap_dirs = cap;
    }
    char *copy = malloc(path.n + 1);
    if (copy == NULL)
        return fail_memory(err);
    memcpy(copy, path.p, path.n);
    copy[path.n] = '\0';
    w->dirs[w->n_dirs++] = copy;
    return true;
}

/* w->path cannot be looked at: whatever it is, the index keeps what it knew of it. */
static bool keep_known(struct walk *w, struct pixl_error *err)
{
    struct archive_index_file known;
    w->counts.unreadable++;
    if (!archive_index_look(w->d->index, buf_str(&w->path), &known, err) ||
        (known.id != 0 && !see(w, known.id, err)))
        return false;
    if (!buf_add_char(&w->path, '/'))
        return fail_memory(err);
    return archive_index_each_below(w->d->index, buf_str(&w->path), see, w, err);
}

static bool visit(struct walk *w, int dir_fd, const char *name, struct pixl_error *err)
{
    struct stat st;
    size_t before = w->path.n;
    if (strlen(name) >= w->path.max - before) {
        w->counts.unreadable++;
        return true;
    }
    if (!buf_add_cstr(&w->path, name))
        return fail_memory(err);
    bool ok = true;
    if (fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) != 0)
        ok = errno == ENOENT || (errno == EACCES || errno == EPERM ? keep_known(w, err) : fail_trouble(err, errno, "look at a file"));
    else if (S_ISREG(st.st_mode))
        ok = visit_file(w, dir_fd, name, &st, err);
    else if (S_ISDIR(st.st_mode))
        ok = push_dir(w, buf_str(&w->path), err);
    else
        w->counts.links += S_ISLNK(st.st_mode);
    w->path.n = before;
    w->path.p[before] = '\0';
    return ok;
}

static bool visit_all(struct walk *w, DIR *dir, struct pixl_error *err)
{
    for (;;) {
        errno = 0;
        struct dirent *e = readdir(dir);
        if (e == NULL && errno != 0) {
            /* A folder of which only a part is seen would drop the rest of it from the index. */
            return pixl_fail(err, errno == ENOMEM ? PIXL_E_NOMEM : PIXL_E_UNAVAILABLE, errno, "archive: list a folder");
        }
        if (e == NULL)
            return true;
        if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0 && !visit(w, dirfd(dir), e->d_name, err))
            return false;
    }
}

/* rel: the folder, "" for the root.  w->path is set to it. */
static bool visit_dir(struct walk *w, const char *rel, struct pixl_error *err)
{
    buf_clear(&w->path);
    if (!buf_add_cstr(&w->path, rel) || (rel[0] != '\0' && !buf_add_char(&w->path, '/')))
        return fail_memory(err);
    int fd = open_beneath(w->root_fd, rel, O_RDONLY | O_DIRECTORY);
    if (fd < 0) {
        int e = errno;
        if (rel[0] == '\0')
            return fail_unavailable(err, e);
        if (e == ENOENT || e == ENOTDIR || e == ELOOP)
            return true;
        if (e != EACCES && e != EPERM)
            return pixl_fail(err, PIXL_E_UNAVAILABLE, e, "archive: open a folder");
        w->counts.folders_unreadable++;
        return archive_index_each_below(w->d->index, buf_str(&w->path), see, w, err);
    }
    DIR *dir = fdopendir(fd);
    if (dir == NULL) {
        (void)close(fd);
        return fail_memory(err);
    }
    bool ok = visit_all(w, dir, err);
    (void)closedir(dir);
    return ok;
}

struct gone {
    const struct walk *w;
    int64_t max_id;
    int64_t ids[DROP_AT_ONCE];
    size_t n;
};

static bool note_gone(void *ctx, int64_t id, struct pixl_error *err)
{
    (void)err;
    struct gone *g = ctx;
    /* What came into the index after we began was put there by another process, which saw it. */
    if (id <= g->max_id && g->n < DROP_AT_ONCE && !is_seen(g->w, id))
        g->ids[g->n++] = id;
    return true;
}

static bool drop_vanished(struct walk *w, int64_t max_id, struct pixl_error *err)
{
    struct gone *g = malloc(sizeof *g);
    if (g == NULL)
        return fail_memory(err);
    bool ok = true;
    do {
        g->w = w;
        g->max_id = max_id;
        g->n = 0;
        ok = archive_index_each_below(w->d->index, STR(""), note_gone, g, err) &&
             archive_index_drop(w->d->index, g->ids, g->n, err);
    } while (ok && g->n == DROP_AT_ONCE);
    free(g);
    return ok;
}

static bool walk_all(struct walk *w, struct pixl_error *err)
{
    int64_t n_known, max_id;
    if (!archive_index_extent(w->d->index, &n_known, &max_id, err) || !push_dir(w, STR(""), err))
        return false;
    w->is_first = n_known == 0;
    while (w->n_dirs > 0) {
        char *rel = w->dirs[--w->n_dirs];
        bool ok = visit_dir(w, rel, err);
        free(rel);
        if (!ok)
            return false;
    }
    if (w->counts.looked_at == 0 && w->counts.folders_unreadable == 0 && n_known > 0)
        return pixl_fail(err, PIXL_E_UNAVAILABLE, 0,
                         "archive: its folder is empty, but %lld files were known: it looks "
                         "as if the share were not mounted", (long long)n_known);
    return write_batch(w, err) && drop_vanished(w, max_id, err) && tell(w, err);
}

static bool directory_refresh(struct archive *a, bool (*say)(void *, uint64_t, uint64_t), void *ctx,
                              struct pixl_error *err)
{
    struct directory *d = directory_of(a);
    struct walk w = { .d = d, .say = say, .ctx = ctx };
    fs_fd_auto root = open_root(d);
    if (root < 0)
        return fail_unavailable(err, errno);
    w.root_fd = root;
    w.batch = calloc(BATCH_FILES, sizeof *w.batch);
    if (w.batch == NULL)
        return fail_memory(err);
    buf_init(&w.path, PATH_BYTES_MAX);
    arena_init(&w.header, HEADER_BYTES_MAX);
    arena_init(&w.texts, BATCH_BYTES + HEADER_BYTES_MAX);
    int rc = pthread_mutex_lock(&d->refreshing);
    assert(rc == 0);
    bool ok = walk_all(&w, err);
    d->counts = w.counts;
    rc = pthread_mutex_unlock(&d->refreshing);
    assert(rc == 0);
    while (w.n_dirs > 0)
        free(w.dirs[--w.n_dirs]);
    free(w.dirs);
    free(w.seen);
    free(w.batch);
    buf_done(&w.path);
    arena_done(&w.header);
    arena_done(&w.texts);
    return ok;
}

struct archive_directory_counts archive_directory_counts(struct archive *a)
{
    struct directory *d = directory_of(a);
    int rc = pthread_mutex_lock(&d->refreshing);
    assert(rc == 0);
    struct archive_directory_counts counts = d->counts;
    rc = pthread_mutex_unlock(&d->refreshing);
    assert(rc == 0);
    return counts;
}

static struct archive_health directory_health(struct archive *a)
{
    const struct archive_directory_counts c = archive_directory_counts(a);
    return (struct archive_health){ .instances = c.dicom, .unreadable = c.unreadable + c.folders_unreadable,
                                    .damaged = c.damaged, .other = c.other };
}

static bool directory_find(struct archive *a, const struct archive_query *q, struct arena *arena,
                           struct phi_text **uids,
                           size_t *n, struct pixl_error *err)
{
    struct directory *d = directory_of(a);
    bool found = false;
    if (!phi_is_empty(q->study_uid) && !archive_index_has_study(d->index, q->study_uid, &found, err))
        return false;
    if (found) {
        struct phi_text *one = arena_alloc(arena, sizeof *one);
        struct str uid = arena_str(arena, phi_reveal(q->study_uid));
        if (one == NULL || uid.p == NULL)
            return fail_memory(err);
        *one = phi_text(uid);
        *uids = one;
        *n = 1;
        return true;
    }
    if (phi_is_empty(q->mrn) || phi_is_empty(q->accession_number)) {
        *uids = NULL;
        *n = 0;
        return true;
    }
    return archive_index_find_studies(d->index, q->mrn, q->accession_number, arena, uids, n, err);
}

static bool directory_list(struct archive *a, struct phi_text study_uid, struct arena *arena,
                           struct archive_instance **out,
                           size_t *n, struct pixl_error *err)
{
    return archive_index_list_study(directory_of(a)->index, study_uid, arena, out, n, err);
}

/* true also when it cannot be told. */
static bool is_empty_root(int root_fd)
{
    int fd = open_beneath(root_fd, "", O_RDONLY | O_DIRECTORY);
    DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
    if (dir == NULL) {
        if (fd >= 0)
            (void)close(fd);
        return true;
    }
    bool is_empty = true;
    for (struct dirent *e; is_empty && (e = readdir(dir)) != NULL; )
        is_empty = strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0;
    (void)closedir(dir);
    return is_empty;
}

static bool is_same(const struct archive_identity *a, const struct archive_identity *b)
{
    return a->kind == b->kind && phi_eq(a->patient_id, b->patient_id) && phi_eq(a->accession_number,
                                                                                b->accession_number) &&
           phi_eq(a->study_uid, b->study_uid) && phi_eq(a->series_uid, b->series_uid) && phi_eq(a->sop_uid, b->sop_uid);
}

/* The file has another size, time or inode than the index knew: copied anew, or another by now? */
static bool check_again(struct directory *d, int fd, const struct stat *st, struct archive_index_file *f,
                        struct pixl_error *err)
{
    arena_auto header;
    arena_init(&header, HEADER_BYTES_MAX);
    struct archive_identity who;
    if (!archive_identity_read(fd, &header, &who, err))
        return false;
    if (who.kind == ARCHIVE_IDENTITY_UNREADABLE)
        return pixl_fail(err, PIXL_E_IO, 0, "archive: an instance cannot be read");
    if (!is_same(&who, &f->who))
        return pixl_fail(err, PIXL_E_CORRUPT, 0,
                         "archive: an instance is not the one that was listed: its file changed");
    f->size_bytes = (uint64_t)st->st_size;
    f->mtime_ns = mtime_of(st);
    f->inode = (uint64_t)st->st_ino;
    return archive_index_put(d->index, f, 1, err);
}

static bool directory_open_instance(struct archive *a, const struct archive_instance *i, int *out,
                                    struct pixl_error *err)
{
    struct directory *d = directory_of(a);
    struct archive_index_file f = { 0 };
    struct stat st;
    arena_auto texts;
    arena_init(&texts, BATCH_BYTES);
    if (!archive_index_get(d->index, i->handle, &texts, &f, err))
        return false;
    if (f.id == 0)
        return pixl_fail(err, PIXL_E_NOT_FOUND, 0, "archive: an instance is gone since it was listed");
    fs_fd_auto root = open_root(d);
    if (root < 0)
        return fail_unavailable(err, errno);
    fs_fd_auto fd = open_beneath(root, phi_reveal(f.path).p, O_RDONLY | O_NONBLOCK | O_NOCTTY);
    int e = fd >= 0 ? 0 : errno;
    if (e == ENOENT || e == ENOTDIR || e == ELOOP)
        return is_empty_root(root) ? pixl_fail(err, PIXL_E_UNAVAILABLE, e, "archive: its folder is empty now; is the share mounted?")
                                   : pixl_fail(err, PIXL_E_NOT_FOUND, e,
                                               "archive: an instance is gone since it was listed");
    if (e != 0)
        return fail_errno(err, e, "open an instance");
    if (fstat(fd, &st) != 0)
        return fail_errno(err, errno, "look at an instance");
    if (!S_ISREG(st.st_mode))
        return pixl_fail(err, PIXL_E_NOT_FOUND, 0, "archive: an instance is gone since it was listed");
    if (!is_as_known(&f, &st) && !check_again(d, fd, &st, &f, err))
        return false;
    *out = fd;
    fd = -1;
    return true;
}

/* Its instances are here. */
static bool directory_fetch(struct archive *a, struct phi_text study_uid, struct archive_instance *const *wanted,
                            size_t n, const atomic_bool *cancel, struct archive_fetched *out, struct pixl_error *err)
{
    (void)a, (void)study_uid, (void)wanted, (void)cancel, (void)err;
    *out = (struct archive_fetched){ .there = n };
    return true;
}

static bool directory_release(struct archive *a, struct phi_text study_uid, struct pixl_error *err)
{
    (void)a, (void)study_uid, (void)err;
    return true;
}

const struct archive_ops archive_directory = {
    .caps = ARCHIVE_CAP_LOCAL,
    .open = directory_open,
    .try_it = archive_directory_try,
    .refresh = directory_refresh,
    .health = directory_health,
    .find = directory_find,
    .list = directory_list,
    .fetch = directory_fetch,
    .release = directory_release,
    .open_instance = directory_open_instance,
    .close = directory_close,
};
