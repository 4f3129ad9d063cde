/* secrets_file.c - secrets in one file of NAME=value lines, which nobody but its owner may read.
 *
 *   # a comment
 *   hash--key=0f3c...
 *
 * The value is all that follows '=', as it stands.  The file is read again for each name that is not kept yet, as
 * another process may have added it.  Messages hold the file, the line's number and the name, never anything else of
 * a line. */
#include "secrets_backend.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fs.h"

enum { FILE_MAX = 256 * 1024, LOCK_WAIT_US = 10 * 1000 * 1000, LOCK_PAUSE_NS = 5 * 1000 * 1000 };

static const char first_line[] =
    "# Secrets of pixl. Keep a copy in a safe place: without them pseudonyms cannot be made again.\n";

struct file_secrets {
    struct secrets base;
    char *path, *lock_path, *place;             /* owned */
};

/* The file as it was read at one moment. */
struct content {
    char *p;                     /* malloc; wiped by content_done */
    size_t n;
    mode_t mode;                 /* 0: there is no file */
};

static void content_done(struct content *c)
{
    if (c->p != NULL)
        explicit_bzero(c->p, c->n);
    free(c->p);
    *c = (struct content){ 0 };
}
#define content_auto PIXL_CLEANUP(content_done) struct content

static struct file_secrets *file_of(struct secrets *s)
{
    assert(s->ops == &secrets_file);
    return (struct file_secrets *)s;
}

static bool check_access(const struct file_secrets *f, const struct stat *st, struct pixl_error *err)
{
    mode_t mode = st->st_mode & 07777;
    if (!S_ISREG(st->st_mode))
        return pixl_fail(err, PIXL_E_DENIED, 0, "secrets file %s: not a regular file", f->path);
    if (st->st_uid != geteuid())
        return pixl_fail(err, PIXL_E_DENIED, 0,
                         "secrets file %s: must belong to the user that runs pixl (uid %lu, not %lu); "
                         "chown it",
                         f->path, (unsigned long)geteuid(), (unsigned long)st->st_uid);
    if (mode != 0600 && mode != 0400)
        return pixl_fail(err, PIXL_E_DENIED, 0,
                         "secrets file %s: its mode is %04o and others could read it; run: chmod 600 %s", f->path,
                         (unsigned)mode, f->path);
    if (st->st_size > FILE_MAX)
        return pixl_fail(err, PIXL_E_INVALID, 0, "secrets file %s: larger than %d bytes", f->path, FILE_MAX);
    return true;
}

/* Reads and checks access on one descriptor, so that what was checked is what is read.  No file: empty, mode 0. */
static bool read_content(const struct file_secrets *f, struct content *out, struct pixl_error *err)
{
    fs_fd_auto fd = open(f->path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
    if (fd < 0 && errno == ENOENT) {
        *out = (struct content){ 0 };
        return true;
    }
    if (fd < 0 && errno == ELOOP)
        return pixl_fail(err, PIXL_E_DENIED, ELOOP, "secrets file %s: is a symbolic link; name the file itself",
                         f->path);
    struct stat st;
    if (fd < 0 || fstat(fd, &st) != 0)
        return pixl_fail_errno(err, errno, "secrets file %s", f->path);
    if (!check_access(f, &st, err))
        return false;
    content_auto c = { .n = (size_t)st.st_size, .mode = st.st_mode & 07777 };
    c.p = malloc(c.n + 1);
    if (c.p == NULL)
        return pixl_fail(err, PIXL_E_NOMEM, 0, "secrets file %s", f->path);
    if (!fs_pread_all(fd, c.p, c.n, 0, err))
        return pixl_wrap(err, "secrets file %s", f->path);
    *out = c;
    c = (struct content){ 0 };
    return true;
}

/* One line at a time.  *name is empty for a comment or a blank line; false: malformed. */
static bool parse_line(struct str line, struct str *name, struct str *value)
{
    *name = *value = (struct str){ 0 };
    if (str_trim(line).n == 0 || line.p[0] == '#')
        return true;
    if (!str_split(line, '=', name, value) || !secrets_is_name(*name) || value->n > SECRETS_VALUE_MAX)
        return false;
    for (size_t i = 0; i < value->n; i++)
        /* A carriage return from another system is no part of a password. */
        if ((unsigned char)value->p[i] < 0x20 || value->p[i] == 0x7F)
            return false;
    return true;
}

/* Was this name the name of a line before `here`? */
static bool is_repeated(const struct content *c, const char *here, struct str wanted)
{
    struct str rest = { c->p, (size_t)(here - c->p) }, line, name, value;
    while (rest.n > 0) {
        (void)str_split(rest, '\n', &line, &rest);
        if (parse_line(line, &name, &value) && name.n > 0 && str_eq(name, wanted))
            return true;
    }
    return false;
}

/* Checks every line and finds one name; *value borrows from c. */
static bool search(const struct file_secrets *f, const struct content *c, struct str wanted, bool *got,
                   struct str *value, struct pixl_error *err)
{
    struct str rest = { c->p, c->n }, line, name, v, found_value = { 0 };
    bool found = false;
    for (int number = 1; rest.n > 0; number++) {
        (void)str_split(rest, '\n', &line, &rest);
        if (!parse_line(line, &name, &v))
            return pixl_fail(err, PIXL_E_INVALID, 0, "%s:%d: not a line of the form NAME=value", f->path, number);
        if (name.n == 0)
            continue;
        if (is_repeated(c, line.p, name))
            return pixl_fail(err, PIXL_E_INVALID, 0, "%s:%d: %.*s is there twice", f->path, number, STR_ARG(name));
        if (str_eq(name, wanted)) {
            found = true;
            found_value = v;
        }
    }
    *got = found;
    *value = found_value;
    return true;
}

static bool file_find(struct secrets *s, struct str name, bool *got, struct secret *out, struct pixl_error *err)
{
    struct file_secrets *f = file_of(s);
    content_auto c = { 0 };
    struct str value;
    bool found;
    if (!read_content(f, &c, err) || !search(f, &c, name, &found, &value, err))
        return false;
    if (found && !secret_set(out, value, err))
        return false;
    *got = found;
    return true;
}

/* Waits, for a short time, for the lock that keeps two processes from each writing a file without the other's line. */
static bool lock_file(const struct file_secrets *f, int *fd, struct pixl_error *err)
{
    const int64_t until = clock_mono_us() + LOCK_WAIT_US;
    while (!fs_lock(f->lock_path, fd, err)) {
        if (err->code != PIXL_E_BUSY || clock_mono_us() >= until)
            return pixl_wrap(err, "lock of secrets file %s", f->path);
        pixl_error_clear(err);
        (void)nanosleep(&(struct timespec){ .tv_nsec = LOCK_PAUSE_NS }, NULL);
    }
    return true;
}

static bool write_content(const struct file_secrets *f, const struct content *old, struct str name, struct str value,
                          struct pixl_error *err)
{
    char suffix[24];
    (void)snprintf(suffix, sizeof suffix, "%ld", (long)getpid());
    fs_new_file_auto n = FS_NEW_FILE_NONE;
    bool needs_newline = old->n > 0 && old->p[old->n - 1] != '\n';
    bool ok = fs_new_file_open(&n, f->path, suffix, 0600, err) &&
              (old->mode != 0 || fs_write_all(n.fd, first_line, sizeof first_line - 1, err)) &&
              fs_write_all(n.fd, old->p, old->n, err) && fs_write_all(n.fd, "\n", needs_newline, err) &&
              fs_write_all(n.fd, name.p, name.n, err) && fs_write_all(n.fd, "=", 1, err) &&
              fs_write_all(n.fd, value.p, value.n, err) && fs_write_all(n.fd, "\n", 1, err) &&
              fs_new_file_commit(&n, err);
    return ok || pixl_wrap(err, "secrets file %s", f->path);
}

static bool file_create(struct secrets *s, struct str name, struct str value, struct secret *out,
                        struct pixl_error *err)
{
    struct file_secrets *f = file_of(s);
    struct str there;
    for (size_t i = 0; i < value.n; i++)
        if ((unsigned char)value.p[i] < 0x20 || value.p[i] == 0x7F)
            return pixl_fail(err, PIXL_E_INVALID, 0, "secret %.*s: its value holds a control character", STR_ARG(name));
    fs_fd_auto lock = -1;
    content_auto c = { 0 };
    bool found;
    if (!lock_file(f, &lock, err) || !read_content(f, &c, err) || !search(f, &c, name, &found, &there, err))
        return false;
    if (found)                  /* somebody was first */
        return secret_set(out, there, err);
    if (c.mode == 0400)
        return pixl_fail(err, PIXL_E_DENIED, 0,
                         "secrets file %s: is read-only (mode 0400); to let pixl add secret %.*s, run: "
                         "chmod 600 %s",
                         f->path, STR_ARG(name), f->path);
    secret_auto copy = { 0 };
    if (!secret_set(&copy, value, err) || !write_content(f, &c, name, value, err))
        return false;
    *out = copy;
    copy = (struct secret){ 0 };
    return true;
}

static void file_close(struct secrets *s)
{
    struct file_secrets *f = file_of(s);
    free(f->path);
    free(f->lock_path);
    free(f->place);
    free(f);
}

static void file_freep(struct file_secrets **f)
{
    if (*f != NULL)
        file_close(&(*f)->base);
}

static bool file_open(const char *rest, const struct settings *settings, struct secrets **out, struct pixl_error *err)
{
    (void)settings;
    if (*rest == '\0')
        return pixl_fail(err, PIXL_E_INVALID, 0, "secrets URL: a path must follow file:");
    PIXL_CLEANUP(file_freep) struct file_secrets *f = calloc(1, sizeof *f);
    if (f == NULL)
        return pixl_fail(err, PIXL_E_NOMEM, 0, "secrets");
    f->base.ops = &secrets_file;
    f->path = secrets_join(rest, "");
    f->lock_path = secrets_join(rest, ".lock");
    f->place = secrets_join("file ", rest);
    if (f->path == NULL || f->lock_path == NULL || f->place == NULL)
        return pixl_fail(err, PIXL_E_NOMEM, 0, "secrets");
    content_auto c = { 0 };
    bool got;
    struct str value;
    if (!read_content(f, &c, err) || !search(f, &c, (struct str){ 0 }, &got, &value, err))
        return false;
    *out = &PIXL_STEAL(&f)->base;
    return true;
}

static const char *file_place(const struct secrets *s)
{
    assert(s->ops == &secrets_file);
    return ((const struct file_secrets *)s)->place;
}

const struct secrets_ops secrets_file = {
    .scheme = "file",
    .caps = SECRETS_CAP_CREATE | SECRETS_CAP_CREATE_KEY,
    .open = file_open,
    .find = file_find,
    .create = file_create,
    .place = file_place,
    .close = file_close,
};
