/* No message of this file holds a path: callers work on files of the archive too, whose paths name patients.
 * A caller that may name its file wraps the error. */
#include "fs.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "hash.h"

enum { COPY_BYTES = 64 * 1024, TREE_DEPTH_MAX = 128 };

void fs_fd_closep(int *fd)
{
    if (*fd >= 0)
        (void)close(*fd);
}

static void cstr_freep(char **p)
{
    free(*p);
}
#define cstr_auto PIXL_CLEANUP(cstr_freep) char

char *fs_path(struct arena *a, const char *dir, const char *name)
{
    size_t d = strlen(dir), n = strlen(name);
    char *p = arena_alloc(a, d + n + 2);
    if (p != NULL)
        (void)snprintf(p, d + n + 2, "%s/%s", dir, name);
    return p;
}

char *fs_path3(struct arena *a, const char *dir, const char *mid, const char *name)
{
    char *head = fs_path(a, dir, mid);
    return head ? fs_path(a, head, name) : NULL;
}

/* The first n bytes of s, malloc; not strndup(), whose memory the fault sweeps do not see. */
static char *copy_text(const char *s, size_t n)
{
    char *p = malloc(n + 1);
    if (p == NULL)
        return NULL;
    memcpy(p, s, n);
    p[n] = '\0';
    return p;
}

/* The folder that holds path, malloc; NULL when out of memory. */
static char *parent_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    if (slash == NULL)
        return copy_text(".", 1);
    return slash == path ? copy_text("/", 1) : copy_text(path, (size_t)(slash - path));
}

bool fs_sync_dir(const char *path, struct pixl_error *err)
{
    fs_fd_auto fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return pixl_fail_errno(err, errno, "open a folder to sync it");
    /* EINVAL: a file system that cannot sync folders; there is nothing more to be done there. */
    if (fsync(fd) != 0 && errno != EINVAL)
        return pixl_fail_errno(err, errno, "sync a folder");
    return true;
}

static bool sync_parent(const char *path, struct pixl_error *err)
{
    cstr_auto *parent = parent_of(path);
    if (parent == NULL)
        return pixl_fail(err, PIXL_E_NOMEM, 0, "name of a folder");
    return fs_sync_dir(parent, err);
}

static bool make_dir(const char *path, mode_t mode, struct pixl_error *err)
{
    if (mkdir(path, mode) == 0)
        return sync_parent(path, err);
    int e = errno;
    struct stat st;
    bool is_seen = stat(path, &st) == 0;
    if (is_seen && S_ISDIR(st.st_mode))         /* whatever mkdir said: EEXIST, EROFS, EACCES on a folder of others */
        return true;
    if (e == EEXIST && !is_seen && errno != ENOENT)
        return pixl_fail_errno(err, errno, "look at a folder");
    if (e == EEXIST)
        return pixl_fail(err, PIXL_E_EXISTS, e, "make a folder: something else has its name");
    return pixl_fail_errno(err, e, "make a folder");
}

bool fs_make_dirs(const char *path, mode_t mode, struct pixl_error *err)
{
    cstr_auto *p = copy_text(path, strlen(path));
    if (p == NULL)
        return pixl_fail(err, PIXL_E_NOMEM, 0, "name of a folder");
    size_t n = strlen(p);
    if (n == 0)
        return pixl_fail(err, PIXL_E_INVALID, 0, "make a folder: empty path");
    while (n > 1 && p[n - 1] == '/')
        p[--n] = '\0';
    for (size_t i = 1; i < n; i++)
        if (p[i] == '/' && p[i - 1] != '/') {
            p[i] = '\0';
            if (!make_dir(p, mode, err))
                return false;
            p[i] = '/';
        }
    return make_dir(p, mode, err);
}

/* ".<name>.<suffix>.part" in the folder of final_path; malloc. */
static char *temp_name(const char *final_path, const char *suffix)
{
    const char *slash = strrchr(final_path, '/');
    const char *name = slash ? slash + 1 : final_path;
    size_t size = strlen(final_path) + strlen(suffix) + sizeof "..part";
    char *p = malloc(size + 1);
    if (p != NULL)
        (void)snprintf(p, size + 1, "%.*s.%s.%s.part", (int)(name - final_path), final_path, name, suffix);
    return p;
}

static bool is_file_name(const char *s)
{
    return *s != '\0' && strchr(s, '/') == NULL;
}

bool fs_new_file_open(struct fs_new_file *f, const char *final_path, const char *suffix, mode_t mode,
                      struct pixl_error *err)
{
    const char *slash = strrchr(final_path, '/');
    if (!is_file_name(slash ? slash + 1 : final_path) || !is_file_name(suffix))
        return pixl_fail(err, PIXL_E_INVALID, 0, "make a file: not a file name");
    cstr_auto *final = copy_text(final_path, strlen(final_path));
    cstr_auto *temp = temp_name(final_path, suffix);
    if (final == NULL || temp == NULL)
        return pixl_fail(err, PIXL_E_NOMEM, 0, "name of a new file");
    const int flags = O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC;
    int fd = open(temp, flags, mode);
    if (fd < 0 && errno == EEXIST) {
        if (unlink(temp) != 0 && errno != ENOENT)
            return pixl_fail_errno(err, errno, "remove an unfinished file");
        fd = open(temp, flags, mode);
    }
    if (fd < 0)
        return pixl_fail_errno(err, errno, "make a file");
    *f = (struct fs_new_file){ .fd = fd, .temp_path = PIXL_STEAL(&temp), .final_path = PIXL_STEAL(&final) };
    return true;
}

bool fs_new_file_commit(struct fs_new_file *f, struct pixl_error *err)
{
    assert(f->fd >= 0);
    if (fsync(f->fd) != 0)
        return pixl_fail_errno(err, errno, "sync a file");
    /* Whoever replaced the temporary file meanwhile (another store of the same name) has not finished it. */
    struct stat mine, there;
    if (fstat(f->fd, &mine) != 0 || lstat(f->temp_path, &there) != 0)
        return pixl_fail_errno(err, errno, "look at a file under construction");
    if (mine.st_ino != there.st_ino || mine.st_dev != there.st_dev) {
        free(f->temp_path);                     /* it is not ours to remove */
        f->temp_path = NULL;
        return pixl_fail(err, PIXL_E_BUSY, 0, "another process writes under the same temporary name");
    }
    int fd = f->fd;
    f->fd = -1;
    if (close(fd) != 0 && errno != EINTR)       /* Linux has closed it in any case */
        return pixl_fail_errno(err, errno, "close a file");
    if (rename(f->temp_path, f->final_path) != 0)
        return pixl_fail_errno(err, errno, "put a file in its place");
    /* From here on it stands under its final name: abandon must find nothing to remove. */
    free(f->temp_path);
    f->temp_path = NULL;
    bool ok = sync_parent(f->final_path, err);
    fs_new_file_abandon(f);
    return ok;
}

void fs_new_file_abandon(struct fs_new_file *f)
{
    if (f->fd >= 0)
        (void)close(f->fd);
    if (f->temp_path != NULL)
        (void)unlink(f->temp_path);
    free(f->temp_path);
    free(f->final_path);
    *f = FS_NEW_FILE_NONE;
}

bool fs_write_whole(const char *path, struct str data, mode_t mode, struct pixl_error *err)
{
    char suffix[48];
    (void)snprintf(suffix, sizeof suffix, "%ld-%ld", (long)getpid(), (long)gettid());
    fs_new_file_auto f = FS_NEW_FILE_NONE;
    return fs_new_file_open(&f, path, suffix, mode, err) && fs_write_all(f.fd, data.p, data.n, err) &&
           fs_new_file_commit(&f, err);
}

bool fs_read_whole(struct arena *a, const char *path, size_t max, struct str *out, struct pixl_error *err)
{
    fs_fd_auto fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (fd < 0)
        return pixl_fail_errno(err, errno, "open a file");
    struct stat st;
    if (fstat(fd, &st) != 0)
        return pixl_fail_errno(err, errno, "look at a file");
    if (!S_ISREG(st.st_mode))
        return pixl_fail(err, PIXL_E_INVALID, 0, "read a file: it is not a regular file");
    if (st.st_size < 0 || (uint64_t)st.st_size > max)
        return pixl_fail(err, PIXL_E_LIMIT, 0, "read a file: it has %lld bytes, more than %zu", (long long)st.st_size,
                         max);
    size_t n = (size_t)st.st_size;
    char *p = n < SIZE_MAX ? arena_alloc(a, n + 1) : NULL;
    if (p == NULL)
        return pixl_fail(err, PIXL_E_NOMEM, 0, "read a file of %zu bytes", n);
    if (!fs_pread_all(fd, p, n, 0, err))
        return false;
    *out = (struct str){ p, n };
    return true;
}

bool fs_write_all(int fd, const void *p, size_t n, struct pixl_error *err)
{
    const char *at = p;
    while (n > 0) {
        ssize_t got = write(fd, at, n);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return pixl_fail_errno(err, errno, "write a file");
        at += got;
        n -= (size_t)got;
    }
    return true;
}

bool fs_pread_all(int fd, void *p, size_t n, uint64_t offset, struct pixl_error *err)
{
    char *at = p;
    if (offset > INT64_MAX || n > INT64_MAX - offset)
        return pixl_fail(err, PIXL_E_CORRUPT, 0, "read a file: place beyond any file");
    while (n > 0) {
        ssize_t got = pread(fd, at, n, (off_t)offset);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return pixl_fail_errno(err, errno, "read a file");
        if (got == 0)
            return pixl_fail(err, PIXL_E_CORRUPT, 0, "read a file: it is shorter than it was");
        at += got;
        n -= (size_t)got;
        offset += (uint64_t)got;
    }
    return true;
}

/* copy_file_range() as far as it goes; *n and *offset are what is left.  false: a real failure, in errno. */
static bool copy_in_kernel(int in_fd, uint64_t *offset, uint64_t *n, int out_fd)
{
    while (*n > 0) {
        off_t from = (off_t)*offset;
        size_t want = *n < (1u << 30) ? (size_t)*n : (1u << 30);
        ssize_t got = copy_file_range(in_fd, &from, out_fd, NULL, want, 0);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0 && (errno == ENOSPC || errno == EDQUOT || errno == EIO || errno == EFBIG))
            return false;
        if (got <= 0)               /* these two files cannot be copied so, or the end: read() knows better */
            return true;
        *offset += (uint64_t)got;
        *n -= (uint64_t)got;
    }
    return true;
}

bool fs_copy_range(int in_fd, uint64_t offset, uint64_t n, int out_fd, struct pixl_error *err)
{
    if (offset > INT64_MAX || n > INT64_MAX - offset)
        return pixl_fail(err, PIXL_E_CORRUPT, 0, "copy a file: place beyond any file");
    if (!copy_in_kernel(in_fd, &offset, &n, out_fd))
        return pixl_fail_errno(err, errno, "copy a file");
    char block[COPY_BYTES];
    while (n > 0) {
        size_t want = n < sizeof block ? (size_t)n : sizeof block;
        if (!fs_pread_all(in_fd, block, want, offset, err) || !fs_write_all(out_fd, block, want, err))
            return false;
        offset += want;
        n -= want;
    }
    return true;
}

void fs_start_writeback(int fd, uint64_t offset, uint64_t n)
{
    int before = errno;
    (void)sync_file_range(fd, (off_t)offset, (off_t)n, SYNC_FILE_RANGE_WRITE);
    errno = before;
}

/* Reads fd to its end, into the digest and, unless it is -1, to out_fd. */
static bool digest_and_copy(int fd, int out_fd, uint8_t digest[32], uint64_t *size_bytes, struct pixl_error *err)
{
    hash_sha256_auto *h = NULL;
    if (!hash_sha256_new(&h, err))
        return false;
    char block[COPY_BYTES];
    uint64_t total = 0;
    for (;;) {
        ssize_t got = read(fd, block, sizeof block);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return pixl_fail_errno(err, errno, "read a file");
        if (got == 0)
            break;
        if (!hash_sha256_add(h, block, (size_t)got, err) ||
            (out_fd >= 0 && !fs_write_all(out_fd, block, (size_t)got, err)))
            return false;
        total += (uint64_t)got;
    }
    uint8_t sum[HASH_SHA256_BYTES];
    if (!hash_sha256_end(h, sum, err))
        return false;
    memcpy(digest, sum, sizeof sum);
    *size_bytes = total;
    return true;
}

bool fs_copy_file(const char *from, const char *to, const char *suffix, mode_t mode, uint8_t *digest,
                  uint64_t *size_bytes, struct pixl_error *err)
{
    fs_fd_auto in = open(from, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (in < 0)
        return pixl_fail_errno(err, errno, "open a file to copy it");
    struct stat st;
    if (fstat(in, &st) != 0)
        return pixl_fail_errno(err, errno, "look at a file");
    if (!S_ISREG(st.st_mode))
        return pixl_fail(err, PIXL_E_INVALID, 0, "copy a file: it is not a regular file");
    fs_new_file_auto f = FS_NEW_FILE_NONE;
    if (!fs_new_file_open(&f, to, suffix, mode, err))
        return false;
    uint64_t size = (uint64_t)st.st_size;
    uint8_t sum[HASH_SHA256_BYTES];
    if (digest != NULL ? !digest_and_copy(in, f.fd, sum, &size, err) : !fs_copy_range(in, 0, size, f.fd, err))
        return false;
    if (!fs_new_file_commit(&f, err))
        return false;
    if (digest != NULL)
        memcpy(digest, sum, sizeof sum);
    if (size_bytes != NULL)
        *size_bytes = size;
    return true;
}

bool fs_open_nameless(const char *dir, int *out, struct pixl_error *err)
{
    int fd = open(dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (fd < 0 && errno == ENOENT) {
        if (!fs_make_dirs(dir, 0700, err))
            return pixl_wrap(err, "a temporary file");
        fd = open(dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    }
    if (fd < 0 && (errno == EOPNOTSUPP || errno == EISDIR || errno == EINVAL)) { /* a file system that cannot */
        char path[4096];
        int n = snprintf(path, sizeof path, "%s/nameless-XXXXXX", dir);
        if (n < 0 || (size_t)n >= sizeof path)
            return pixl_fail(err, PIXL_E_LIMIT, 0, "a temporary file: the folder's path is too long");
        fd = mkostemp(path, O_CLOEXEC);
        if (fd >= 0)
            (void)unlink(path);
    }
    if (fd < 0)
        return pixl_fail_errno(err, errno, "a temporary file");
    *out = fd;
    return true;
}

bool fs_digest(const char *path, uint8_t digest[32], uint64_t *size_bytes, struct pixl_error *err)
{
    fs_fd_auto fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (fd < 0)
        return pixl_fail_errno(err, errno, "open a file");
    uint64_t size;
    if (!digest_and_copy(fd, -1, digest, &size, err))
        return false;
    if (size_bytes != NULL)
        *size_bytes = size;
    return true;
}

bool fs_remove(const char *path, struct pixl_error *err)
{
    if (unlink(path) != 0 && errno != ENOENT)
        return pixl_fail_errno(err, errno, "remove a file");
    return true;
}

static void dir_closep(DIR **d)
{
    if (*d != NULL)
        (void)closedir(*d);
}

/* Removes what is in the folder name of at_fd, then the folder; depth ends a recursion that was built to end us. */
static bool remove_dir_at(int at_fd, const char *name, int depth, struct pixl_error *err)
{
    if (depth > TREE_DEPTH_MAX)
        return pixl_fail(err, PIXL_E_LIMIT, 0, "remove a folder: more than %d levels deep", TREE_DEPTH_MAX);
    int fd = openat(at_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return errno == ENOENT || pixl_fail_errno(err, errno, "open a folder to remove it");
    PIXL_CLEANUP(dir_closep) DIR *dir = fdopendir(fd);
    if (dir == NULL) {
        int e = errno;
        (void)close(fd);
        return pixl_fail_errno(err, e, "open a folder to remove it");
    }
    for (;;) {
        errno = 0;
        struct dirent *e = readdir(dir);
        if (e == NULL && errno != 0)
            return pixl_fail_errno(err, errno, "list a folder to remove it");
        if (e == NULL)
            break;
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
            continue;
        if (unlinkat(fd, e->d_name, 0) == 0 || errno == ENOENT)
            continue;
        if (errno != EISDIR && errno != EPERM)      /* POSIX lets unlink(folder) say either */
            return pixl_fail_errno(err, errno, "remove a file");
        if (!remove_dir_at(fd, e->d_name, depth + 1, err))
            return false;
    }
    if (unlinkat(at_fd, name, AT_REMOVEDIR) != 0 && errno != ENOENT)
        return pixl_fail_errno(err, errno, "remove a folder");
    return true;
}

bool fs_remove_tree(const char *path, struct pixl_error *err)
{
    struct stat st;
    if (lstat(path, &st) != 0)
        return errno == ENOENT || pixl_fail_errno(err, errno, "look at a folder");
    if (!S_ISDIR(st.st_mode))
        return fs_remove(path, err);
    return remove_dir_at(AT_FDCWD, path, 0, err);
}

bool fs_replace_link(const char *link_path, const char *target, struct pixl_error *err)
{
    if (target[0] == '\0' || target[0] == '/')
        return pixl_fail(err, PIXL_E_INVALID, 0, "make a link: its target must be a relative path");
    struct stat st;
    if (lstat(link_path, &st) == 0 && !S_ISLNK(st.st_mode))
        return pixl_fail(err, PIXL_E_EXISTS, 0, "make a link: something else has its name");
    char suffix[48];
    (void)snprintf(suffix, sizeof suffix, "%ld-%ld", (long)getpid(), (long)gettid());
    cstr_auto *temp = temp_name(link_path, suffix);
    if (temp == NULL)
        return pixl_fail(err, PIXL_E_NOMEM, 0, "name of a new link");
    if (symlink(target, temp) != 0 && (errno != EEXIST || unlink(temp) != 0 || symlink(target, temp) != 0))
        return pixl_fail_errno(err, errno, "make a link");
    if (rename(temp, link_path) != 0) {
        int e = errno;
        (void)unlink(temp);
        return pixl_fail_errno(err, e, "put a link in its place");
    }
    return sync_parent(link_path, err);
}

bool fs_is_dir(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

/* A link that leads nowhere counts: its name is taken. */
bool fs_exists(const char *path)
{
    struct stat st;
    return lstat(path, &st) == 0;
}

bool fs_is_network(const char *path)
{
    /* Not all of these have a name in <linux/magic.h>. */
    static const uint32_t magic[] = {
        NFS_SUPER_MAGIC, SMB_SUPER_MAGIC, 0xFF534D42u /* CIFS */, 0xFE534D42u /* SMB2 */, AFS_SUPER_MAGIC,
        0x6B414653u /* kAFS */, CODA_SUPER_MAGIC, NCP_SUPER_MAGIC, V9FS_MAGIC, CEPH_SUPER_MAGIC,
        0x0BD00BD0u /* Lustre */, 0x47504653u /* GPFS */, 0x01161970u /* GFS2 */, 0x7461636Fu /* OCFS2 */,
        0xA501FCF5u /* VxFS */, 0x19830326u /* BeeGFS */,
    };
    struct statfs st;
    if (statfs(path, &st) != 0) {       /* not there yet: its folder decides */
        cstr_auto *parent = parent_of(path);
        if (parent == NULL || statfs(parent, &st) != 0)
            return false;
    }
    for (size_t i = 0; i < ARRAY_LEN(magic); i++)
        if ((uint32_t)st.f_type == magic[i])
            return true;
    return false;
}

/* BUSY, with the holder's number when the file tells it. */
static bool fail_busy(int fd, struct pixl_error *err)
{
    char text[24];
    ssize_t n = pread(fd, text, sizeof text, 0);
    struct str s = str_trim((struct str){ text, n > 0 ? (size_t)n : 0 });
    uint64_t pid;
    if (str_to_u64(s, &pid))
        return pixl_fail(err, PIXL_E_BUSY, 0, "held by process %llu", (unsigned long long)pid);
    return pixl_fail(err, PIXL_E_BUSY, 0, "held by another process");
}

static bool take_flock(int fd, int how, struct pixl_error *err)
{
    while (flock(fd, how | LOCK_NB) != 0) {
        if (errno == EINTR)
            continue;
        return errno == EWOULDBLOCK ? fail_busy(fd, err) : pixl_fail_errno(err, errno, "lock a file");
    }
    /* Always as long, so that it covers what the holder before wrote; one that cannot be written is as good a lock. */
    char text[24];
    int n = how == LOCK_EX ? snprintf(text, sizeof text, "%-20ld\n", (long)getpid()) : snprintf(text, sizeof text, "%-20s\n", "several");
    if (pwrite(fd, text, (size_t)n, 0) < 0)
        errno = 0;
    return true;
}

static bool lock(const char *path, int how, int *fd, struct pixl_error *err)
{
    fs_fd_auto own = open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK, 0600);
    if (own < 0)
        return pixl_fail_errno(err, errno, "open a lock file");
    if (!take_flock(own, how, err))
        return false;
    *fd = own;
    own = -1;
    return true;
}

bool fs_lock(const char *path, int *fd, struct pixl_error *err)
{
    return lock(path, LOCK_EX, fd, err);
}

bool fs_lock_shared(const char *path, int *fd, struct pixl_error *err)
{
    return lock(path, LOCK_SH, fd, err);
}

bool fs_lock_to_shared(int fd, struct pixl_error *err)
{
    return take_flock(fd, LOCK_SH, err);
}

/* Opened for reading only: our number is not written into it. */
bool fs_lock_look(const char *path, struct pixl_error *err)
{
    fs_fd_auto fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return errno == ENOENT || pixl_fail_errno(err, errno, "open a lock file");
    return take_flock(fd, LOCK_EX, err);
}
