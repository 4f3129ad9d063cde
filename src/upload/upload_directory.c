/* A folder that this machine can write to: a disk, or a mounted share of the research environment.
 *
 *   <root>/                          must be there: an unmounted share is not to be made up
 *   <root>/<slug>/                   made when missing, 0750
 *     .pixl-key                      the check value of the hashing key on its first line
 *     <pseudo>.zip                   0640
 *     .<pseudo>.zip.<writer>.<fence>.part    under construction
 *     <time-slug>/parquet/<remote>
 *
 * What is sent is hashed as it is read from the spool; the copy is synced, so that a share has told us of its errors,
 * its size is looked at, and only then is it renamed.  It is not read back: that would be the page cache.
 *
 * When the marker was seen once it must stay: a share that is unmounted while we work leaves an empty folder of the
 * same name, and a study put there would count as delivered. */
#include "upload_backend.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/fs.h"
#include "base/hash.h"
#include "upload_common.h"

enum {
    FOLDER_MODE = 0750, FILE_MODE = 0640,
    COPY_BYTES = 1 << 20,
    PATHS_MAX_BYTES = 256 * 1024,        /* of one call */
    FENCES_ASKED_ONE_BY_ONE = 64,
};

struct directory {
    struct upload base;
    char *place;                         /* "directory <folder>" */
    const char *folder;                  /* <root>/<slug>, in place */
    char *root;
    atomic_bool has_marker; /* seen or written by check_key, or expected */
    char writer[UPLOAD_WRITER_MAX + 1];
};

static struct directory *directory_of(struct upload *u)
{
    assert(u->ops == &upload_directory);
    return (struct directory *)u;
}

static bool fail_memory(struct pixl_error *err)
{
    return pixl_fail(err, PIXL_E_NOMEM, 0, "destination: names of files");
}

/* *err, set from an errno of the destination, gets the code that its breaker understands. */
static bool blame(struct pixl_error *err)
{
    switch (err->sys) {
    case EIO: case ESTALE: case ENOTCONN: case EHOSTDOWN: case EHOSTUNREACH: case ENETDOWN: case ENETUNREACH:
    case ETIMEDOUT: case ECONNRESET: case ECONNABORTED: case ENXIO: case ENODEV: case EREMOTEIO:
    case ENOENT: case ENOTDIR:           /* a folder that was there a moment ago is not */
        err->code = PIXL_E_UNAVAILABLE;
        break;
    default:                             /* pixl_fail_errno has told DENIED, NO_SPACE and NOMEM from IO */
        break;
    }
    return pixl_wrap(err, "destination");
}

static bool blame_errno(struct pixl_error *err, int e, const char *doing)
{
    (void)pixl_fail_errno(err, e, "%s", doing);
    return blame(err);
}

/* The folder to deliver to: the project's, or the secret's.  *root given. */
static bool find_root(const struct project *p, struct secrets *secrets, char **root, struct pixl_error *err)
{
    secret_auto value = { 0 };
    struct str s = str_of(p->destination_directory);
    char name[256] = "destination.directory";
    if (p->destination_directory == NULL) {
        int n = snprintf(name, sizeof name, "%.*s--directory--path", STR_ARG(p->secrets_prefix));
        if (n < 0 || (size_t)n >= sizeof name)
            return pixl_fail(err, PIXL_E_INVALID, 0, "destination: the name of its secret is too long");
        if (!secrets_get(secrets, str_of(name), &value, err))
            return false;
        s = str_trim(secret_reveal(&value));
    }
    if (s.n == 0 || s.p[0] != '/' || memchr(s.p, '\0', s.n) != NULL)
        return pixl_fail(err, PIXL_E_INVALID, 0, "destination: %s is not an absolute path", name);
    while (s.n > 1 && s.p[s.n - 1] == '/')
        s.n--;
    char *copy = malloc(s.n + 1);
    if (copy == NULL)
        return fail_memory(err);
    memcpy(copy, s.p, s.n);
    copy[s.n] = '\0';
    *root = copy;
    return true;
}

static void directory_close(struct upload *u)
{
    struct directory *d = directory_of(u);
    free(d->root);
    free(d->place);
    free(d);
}

static bool directory_open(const struct project *p, const struct upload_options *o, struct upload **out,
                           struct pixl_error *err)
{
    static const char word[] = "directory ";
    upload_auto *u = NULL;
    struct directory *d = calloc(1, sizeof *d);
    if (d == NULL)
        return fail_memory(err);
    d->base.ops = &upload_directory;
    (void)snprintf(d->writer, sizeof d->writer, "%s", o->writer);
    u = &d->base;
    if (!find_root(p, o->secrets, &d->root, err))
        return false;
    size_t size = sizeof word + strlen(d->root) + 1 + p->slug.n;
    d->place = malloc(size);
    if (d->place == NULL)
        return fail_memory(err);
    (void)snprintf(d->place, size, "%s%s/%.*s", word, d->root, STR_ARG(p->slug));
    d->folder = d->place + sizeof word - 1;
    *out = PIXL_STEAL(&u);
    return true;
}

static const char *directory_place(const struct upload *u)
{
    return ((const struct directory *)u)->place;
}

/* The marker was there and is not: this is another folder. */
static bool check_marker_stayed(struct directory *d, struct arena *a, struct pixl_error *err)
{
    if (!atomic_load(&d->has_marker))
        return true;
    const char *marker = fs_path(a, d->folder, UPLOAD_MARKER);
    struct stat st;
    if (marker == NULL)
        return fail_memory(err);
    if (stat(marker, &st) == 0)
        return true;
    if (errno != ENOENT && errno != ENOTDIR)
        return blame_errno(err, errno, "look for its marker");
    return pixl_fail(err, PIXL_E_UNAVAILABLE, 0, "destination: its marker .pixl-key was there and is gone: "
                     "is the share mounted?");
}

/* The root is there, the project's folder is, or is made. */
static bool ensure_folder(struct directory *d, struct arena *a, struct pixl_error *err)
{
    struct stat st;
    int e = stat(d->root, &st) == 0 ? 0 : errno;
    if (e == ENOENT || e == ENOTDIR || (e == 0 && !S_ISDIR(st.st_mode)))
        return pixl_fail(err, PIXL_E_UNAVAILABLE, e, "destination: its folder %s is not there; pixl does not make it, "
                         "since it may be a share that is not mounted", d->root);
    if (e != 0)
        return blame_errno(err, e, "look at its folder");
    if (!check_marker_stayed(d, a, err))
        return false;
    if (mkdir(d->folder, FOLDER_MODE) == 0) {
        (void)chmod(d->folder, FOLDER_MODE);     /* what is delivered may be read by its group, whatever our umask */
        return fs_sync_dir(d->root, err) || blame(err);
    }
    e = errno;
    if (stat(d->folder, &st) == 0 && S_ISDIR(st.st_mode))
        return true;
    (void)pixl_fail_errno(err, e == EEXIST ? ENOTDIR : e, "make the project's folder %s", d->folder);
    return blame(err);
}

static bool write_probe(const char *path, struct pixl_error *err)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, FILE_MODE);
    if (fd < 0)
        return blame_errno(err, errno, "make a file");
    bool ok = fs_write_all(fd, "pixl\n", 5, err) || blame(err);
    if (ok && fsync(fd) != 0)
        ok = blame_errno(err, errno, "sync a file");
    if (close(fd) != 0 && errno != EINTR && ok)         /* where a share tells of a quota */
        ok = blame_errno(err, errno, "close a file");
    if (unlink(path) != 0 && errno != ENOENT && ok)
        ok = blame_errno(err, errno, "remove a file");
    return ok;
}

static bool directory_check(struct upload *u, struct pixl_error *err)
{
    struct directory *d = directory_of(u);
    arena_auto a;
    arena_init(&a, PATHS_MAX_BYTES);
    char name[48];
    (void)snprintf(name, sizeof name, ".pixl-check.%ld", (long)getpid());
    const char *path = fs_path(&a, d->folder, name);
    if (path == NULL)
        return fail_memory(err);
    bool was_there = fs_is_dir(d->folder);
    bool ok = ensure_folder(d, &a, err) && write_probe(path, err);
    if (!was_there)
        (void)rmdir(d->folder);          /* only while nobody has put anything there */
    return ok;
}

/* What this store left under construction when it was killed.  Best effort: a part that stays hurts nobody. */
static void remove_own_part(const char *folder, const char *name, const char *suffix)
{
    char path[4096];
    int n = snprintf(path, sizeof path, "%s/.%s.%s.part", folder, name, suffix);
    if (n > 0 && (size_t)n < sizeof path)
        (void)unlink(path);
}

/* *found: there is a marker, and it says check_value. */
static bool read_marker(const char *path, struct arena *a, struct str check_value, bool *found, struct pixl_error *err)
{
    struct str text = { 0 };
    struct pixl_error e = { 0 };
    if (!fs_read_whole(a, path, UPLOAD_MARKER_MAX, &text, &e) && e.code != PIXL_E_LIMIT) {
        *found = false;
        if (e.code == PIXL_E_NOT_FOUND)
            return true;
        *err = e;
        return blame(err);
    }
    if (!upload_marker_agrees(text, check_value, err))
        return false;
    *found = true;
    return true;
}

/* Whoever is first writes it: a hard link, unlike rename(), never replaces.  *lost: somebody else was first. */
static bool write_marker(const char *path, const char *suffix, struct str check_value, bool *lost, struct pixl_error *err)
{
    fs_new_file_auto f = FS_NEW_FILE_NONE;
    buf_auto text;
    buf_init(&text, UPLOAD_MARKER_MAX);
    *lost = false;
    if (!upload_marker_add(&text, check_value))
        return fail_memory(err);
    if (!fs_new_file_open(&f, path, suffix, FILE_MODE, err) || !fs_write_all(f.fd, text.p, text.n, err))
        return blame(err);
    if (fsync(f.fd) != 0)
        return blame_errno(err, errno, "sync a file");
    if (link(f.temp_path, path) != 0) {
        *lost = errno == EEXIST;
        /* A share without hard links. */
        return *lost || fs_new_file_commit(&f, err) || blame(err);
    }
    return true;
}

static void directory_expect_marker(struct upload *u)
{
    atomic_store(&directory_of(u)->has_marker, true);
}

static bool directory_look_at_key(struct upload *u, struct str check_value, bool *is_marked, struct pixl_error *err)
{
    struct directory *d = directory_of(u);
    arena_auto a;
    arena_init(&a, PATHS_MAX_BYTES);
    const char *path = fs_path(&a, d->folder, ".pixl-key");
    return path != NULL ? read_marker(path, &a, check_value, is_marked, err) : fail_memory(err);
}

static bool directory_check_key(struct upload *u, struct str check_value, struct pixl_error *err)
{
    struct directory *d = directory_of(u);
    arena_auto a;
    arena_init(&a, PATHS_MAX_BYTES);
    bool found = false, lost = false;
    char suffix[UPLOAD_SUFFIX_SIZE];
    (void)snprintf(suffix, sizeof suffix, "%s.key", d->writer);
    const char *path = fs_path(&a, d->folder, UPLOAD_MARKER);
    if (path == NULL)
        return fail_memory(err);
    if (!ensure_folder(d, &a, err))
        return false;
    remove_own_part(d->folder, UPLOAD_MARKER, suffix);
    if (!read_marker(path, &a, check_value, &found, err))
        return false;
    /* Zips without a marker: there is nothing to compare with, and from now on there is. */
    if (!found && !write_marker(path, suffix, check_value, &lost, err))
        return false;
    if (lost && !read_marker(path, &a, check_value, &found, err))
        return false;
    if (!found && !fs_sync_dir(d->folder, err))
        return blame(err);
    atomic_store(&d->has_marker, true);
    return true;
}

/* Up to n bytes; *got 0: the end. */
static bool read_some(int fd, void *p, size_t n, size_t *got, struct pixl_error *err)
{
    ssize_t r;
    do
        r = read(fd, p, n);
    while (r < 0 && errno == EINTR);
    if (r < 0)
        return pixl_fail_errno(err, errno, "read a file");
    *got = (size_t)r;
    return true;
}

struct facts {
    uint64_t size_bytes;
    uint8_t digest[HASH_SHA256_BYTES];
};

/* Reads from to its end; what it read goes to `to` (-1: nowhere) and is described in *out.  *wrote: it was the
 * destination that failed. */
static bool pump(int from, int to, struct facts *out, bool *wrote, struct pixl_error *err)
{
    hash_sha256_auto *h = NULL;
    uint8_t *block = malloc(COPY_BYTES);
    *wrote = false;
    bool ok = block != NULL || pixl_fail(err, PIXL_E_NOMEM, 0, "buffer to copy with");
    ok = ok && hash_sha256_new(&h, err);
    struct facts f = { 0 };
    size_t n = 0;
    while (ok && (ok = read_some(from, block, COPY_BYTES, &n, err)) && n > 0) {
        ok = hash_sha256_add(h, block, n, err);
        if (ok && to >= 0 && !fs_write_all(to, block, n, err)) {
            *wrote = true;
            ok = false;
        }
        f.size_bytes += n;
    }
    ok = ok && hash_sha256_end(h, f.digest, err);
    free(block);
    if (ok)
        *out = f;
    return ok;
}

static bool is_same(const struct facts *a, const struct facts *b)
{
    return a->size_bytes == b->size_bytes && memcmp(a->digest, b->digest, sizeof a->digest) == 0;
}

/* *there: what is wanted stands under its final name already; it is made durable, since whoever put it there may have
 * died before that. */
static bool is_there(const char *final, const char *folder, const struct facts *want, bool *there,
                     struct pixl_error *err)
{
    *there = false;
    fs_fd_auto fd = open(final, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    struct stat what;
    if (fd < 0) {
        /* ELOOP: a link; EACCES: a file of somebody's; ENXIO: a socket.  The rename will replace it, or tell why not. */
        int e = errno;
        bool is_no_file = lstat(final, &what) == 0 && !S_ISREG(what.st_mode);
        errno = e;
        if (is_no_file || errno == ENOENT || errno == ELOOP || errno == EACCES || errno == EPERM)
            return true;
        return blame_errno(err, errno, "look for what was delivered");
    }
    struct stat st;
    struct facts f;
    bool wrote;
    if (fstat(fd, &st) != 0)
        return blame_errno(err, errno, "look for what was delivered");
    if (!S_ISREG(st.st_mode) || (uint64_t)st.st_size != want->size_bytes)
        return true;
    if (!pump(fd, -1, &f, &wrote, err))
        return blame(err);
    if (!is_same(&f, want))
        return true;
    if (fsync(fd) != 0 && errno != EINVAL && errno != EROFS)
        return blame_errno(err, errno, "sync a file");
    if (!fs_sync_dir(folder, err))
        return blame(err);
    *there = true;
    return true;
}

/* Copies in to a new file at final, which must come out as wanted. */
static bool send(int in, const char *final, const char *suffix, const struct facts *want, struct pixl_error *err)
{
    fs_new_file_auto f = FS_NEW_FILE_NONE;
    struct facts got;
    struct stat st;
    bool wrote;
    if (!fs_new_file_open(&f, final, suffix, FILE_MODE, err))
        return blame(err);
    (void)fchmod(f.fd, FILE_MODE);
    if (!pump(in, f.fd, &got, &wrote, err)) {
        if (wrote)
            return blame(err);
        if (err->code == PIXL_E_IO)          /* a spool that cannot be read holds nothing to deliver */
            err->code = PIXL_E_CORRUPT;
        return pixl_wrap(err, "file to deliver");
    }
    if (!is_same(&got, want))
        return pixl_fail(err, PIXL_E_CORRUPT, 0, "file to deliver: its content is not what it was when it was made");
    if (fsync(f.fd) != 0)                /* before its size is looked at: a share may have cut it */
        return blame_errno(err, errno, "sync a file");
    if (fstat(f.fd, &st) != 0)
        return blame_errno(err, errno, "look at what was written");
    if ((uint64_t)st.st_size != want->size_bytes)
        return pixl_fail(err, PIXL_E_UNAVAILABLE, 0, "destination: it did not keep all that was written");
    return fs_new_file_commit(&f, err) || blame(err);
}

static void remove_parts_listed(const char *folder, const char *name, const char *writer, int64_t fence)
{
    DIR *dir = opendir(folder);
    if (dir == NULL)
        return;
    for (struct dirent *e; (e = readdir(dir)) != NULL; ) {
        int64_t f = upload_part_fence(e->d_name, name, writer);
        if (f >= 0 && f < fence)
            (void)unlinkat(dirfd(dir), e->d_name, 0);
    }
    (void)closedir(dir);
}

/* What earlier claims of this study by this store left unfinished.  Their workers, if they live, have lost the study: their rename
 * will fail.  Asking by name costs a folder of 100,000 zips nothing; after very many claims it is listed.  Best effort:
 * a part that stays hurts nobody. */
static void remove_older_parts(const char *folder, const char *name, const char *writer, int64_t fence)
{
    char suffix[UPLOAD_SUFFIX_SIZE];
    if (fence > FENCES_ASKED_ONE_BY_ONE) {
        remove_parts_listed(folder, name, writer, fence);
        return;
    }
    for (int64_t f = fence - 1; f >= 0; f--) {
        upload_study_suffix(writer, f, suffix);
        remove_own_part(folder, name, suffix);
    }
}

static bool directory_study(struct upload *u, const struct upload_study *z, struct pixl_error *err)
{
    struct directory *d = directory_of(u);
    arena_auto a;
    arena_init(&a, PATHS_MAX_BYTES);
    char name[128], suffix[UPLOAD_SUFFIX_SIZE];
    (void)snprintf(name, sizeof name, "%s.zip",
                   z->pseudo_study_uid);        /* 64 characters at most, the front door says */
    upload_study_suffix(d->writer, z->fence, suffix);
    const char *final = fs_path(&a, d->folder, name);
    if (final == NULL)
        return fail_memory(err);
    struct facts want = { .size_bytes = z->size_bytes };
    memcpy(want.digest, z->digest, sizeof want.digest);
    bool there;
    if (!ensure_folder(d, &a, err))
        return false;
    remove_older_parts(d->folder, name, d->writer, z->fence);
    if (!is_there(final, d->folder, &want, &there, err))
        return false;
    if (there)
        return true;
    fs_fd_auto in = open(z->zip_path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    if (in < 0 && errno == ENOENT)
        return pixl_fail(err, PIXL_E_CORRUPT, ENOENT, "file to deliver: it is gone from the spool");
    if (in < 0)
        return pixl_fail_errno(err, errno, "file to deliver");
    return send(in, final, suffix, &want, err);
}

/* NULL: no memory. */
static const char *table_path(const struct directory *d, struct arena *a, struct str time_slug, const char *remote)
{
    const char *slug = arena_str(a, time_slug).p;
    const char *base = slug ? fs_path3(a, d->folder, slug, "parquet") : NULL;
    return base ? fs_path(a, base, remote) : NULL;
}

static bool directory_table(struct upload *u, struct str time_slug, const char *path, const char *remote,
                            struct pixl_error *err)
{
    struct directory *d = directory_of(u);
    arena_auto a;
    arena_init(&a, PATHS_MAX_BYTES);
    /* One process of a store publishes at a time: what a killed one left is replaced. */
    char suffix[UPLOAD_SUFFIX_SIZE];
    (void)snprintf(suffix, sizeof suffix, "%s.table", d->writer);
    const char *final = table_path(d, &a, time_slug, remote);
    char *folder = final ? arena_cstr(&a, final) : NULL;
    if (folder == NULL)
        return fail_memory(err);
    *strrchr(folder, '/') = '\0';
    fs_fd_auto in = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    if (in < 0)
        return pixl_fail_errno(err, errno, "table to deliver");
    struct facts want;
    bool wrote, there;
    if (!pump(in, -1, &want, &wrote, err))
        return pixl_wrap(err, "table to deliver");
    if (!ensure_folder(d, &a, err))
        return false;
    if (!fs_make_dirs(folder, FOLDER_MODE, err))
        return blame(err);
    remove_own_part(folder, strrchr(final, '/') + 1, suffix);
    if (!is_there(final, folder, &want, &there, err))
        return false;
    if (there)
        return true;
    if (lseek(in, 0, SEEK_SET) != 0)
        return pixl_fail_errno(err, errno, "table to deliver");
    return send(in, final, suffix, &want, err);
}

static bool directory_withdraw_table(struct upload *u, struct str time_slug, const char *remote, struct pixl_error *err)
{
    struct directory *d = directory_of(u);
    arena_auto a;
    arena_init(&a, PATHS_MAX_BYTES);
    const char *final = table_path(d, &a, time_slug, remote);
    if (final == NULL)
        return fail_memory(err);
    return ensure_folder(d, &a, err) && (fs_remove(final, err) || blame(err));
}

const struct upload_ops upload_directory = {
    .word = PROJECT_TO_DIRECTORY,
    .caps = 0,
    .open = directory_open,
    .place = directory_place,
    .check = directory_check,
    .check_key = directory_check_key,
    .expect_marker = directory_expect_marker,
    .look_at_key = directory_look_at_key,
    .study = directory_study,
    .table = directory_table,
    .withdraw_table = directory_withdraw_table,
    .close = directory_close,
};
