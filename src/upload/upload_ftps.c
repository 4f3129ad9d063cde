/* An FTPS server; the login leads to a folder that holds
 *
 *   <slug>/                        made when missing
 *     .pixl-key                    the marker
 *     .pixl-key.lock/              while it is written: making a folder is the one thing that FTP does for one only
 *     <pseudo>.zip                 see upload_ftps_deliver.h
 *     <time-slug>/parquet/<remote>
 *
 * Sessions are kept over studies, no more than the project allows at a time; who finds none free waits for one, which is no longer
 * than its holder's call, and that ends when the server stalls.
 *
 * Address and login are read when it is opened, and anew when a session does not come about: what has changed holds at once, and
 * sessions on the old ones are ended as they come back.
 *
 * A drop box (verify: reply) may hide everything: a marker that cannot be read is then not compared, and a table that the server does
 * not let be removed counts as one that is not there. */
#include "upload_backend.h"

#include <assert.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/fs.h"
#include "config/settings.h"
#include "upload_common.h"
#include "upload_ftps_deliver.h"

#define MARKER_LOCK UPLOAD_MARKER ".lock"

enum {
    SESSIONS_MAX = 64,
    SECRET_NAME_BYTES = 256,
    FOLDER_BYTES = 2048,
    MARKER_LOOKS = 20,
    MARKER_PAUSE_US = 100 * 1000, /* for another store to write it, or to have died in between */
};

/* A server as the secrets told it at one time. */
struct login {
    struct ftps_server server;
    struct login *older; /* which sessions under way may still have */
};

struct ftps {
    struct upload base;
    struct secrets *secrets;
    char *place, *slug, *prefix, *ca_file;
    bool is_explicit, allows_tls13;
    int64_t timeout_us;
    char writer[UPLOAD_WRITER_MAX + 1];
    bool trusts_replies;
    atomic_bool has_marker; /* seen or written by check_key, or expected, in a folder that shows it */
    atomic_int digest_by;
    size_t max_sessions;
    pthread_mutex_t renewing; /* one at a time; lock may be taken with it held */
    pthread_mutex_t lock;     /* guards what follows */
    pthread_cond_t freed;
    struct login *login;
    struct ftps_session *idle[SESSIONS_MAX];
    size_t n_idle, n_open;
};

static struct ftps *ftps_of(struct upload *u)
{
    assert(u->ops == &upload_ftps);
    return (struct ftps *)u;
}

static bool fail_memory(struct pixl_error *err)
{
    return pixl_fail(err, PIXL_E_NOMEM, 0, "destination");
}

/* ---- opening ---- */

/* Where secrets come from: secrets_get or secrets_get_anew. */
typedef bool get_fn(struct secrets *s, struct str name, struct secret *out, struct pixl_error *err);

/* <prefix>--ftp--<what>: what the secrets say, without blanks around it. */
static bool get_secret(const struct ftps *f, get_fn *get_it, const char *what, char name[SECRET_NAME_BYTES],
                       struct secret *whole, struct str *out, struct pixl_error *err)
{
    int n = snprintf(name, SECRET_NAME_BYTES, "%s--ftp--%s", f->prefix, what);
    if (n < 0 || n >= SECRET_NAME_BYTES)
        return pixl_fail(err, PIXL_E_INVALID, 0, "destination: the name of its secret is too long");
    if (!get_it(f->secrets, str_of(name), whole, err))
        return pixl_wrap(err, "destination");
    *out = str_trim(secret_reveal(whole));
    for (size_t i = 0; i < out->n; i++)
        if ((unsigned char)out->p[i] < ' ' || out->p[i] == 0x7F)
            return pixl_fail(err, PIXL_E_INVALID, 0, "destination: the secret %s holds a control character", name);
    return out->n > 0 || pixl_fail(err, PIXL_E_INVALID, 0, "destination: the secret %s is empty", name);
}

/* As libcurl wants it: with a NUL, which is wiped with it. */
static bool get_login(const struct ftps *f, get_fn *get_it, const char *what, struct secret *out,
                      struct pixl_error *err)
{
    secret_auto whole = { 0 };
    char name[SECRET_NAME_BYTES];
    struct str s = { 0 };
    buf_auto b;
    buf_init(&b, 64 * 1024);
    if (!get_secret(f, get_it, what, name, &whole, &s, err))
        return false;
    bool ok = (buf_add_str(&b, s) && buf_add_char(&b, '\0')) || fail_memory(err);
    ok = ok && secret_set(out, buf_str(&b), err);
    if (b.p != NULL)
        explicit_bzero(b.p, b.cap);
    return ok;
}

static bool get_root(const struct ftps *f, get_fn *get_it, char **root, struct pixl_error *err)
{
    secret_auto host = { 0 }, port = { 0 };
    char name[SECRET_NAME_BYTES];
    struct str h = STR(""), n = STR("");
    uint64_t number;
    if (!get_secret(f, get_it, "host", name, &host, &h, err))
        return false;
    for (size_t i = 0; i < h.n; i++)
        if (strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_:", h.p[i]) == NULL)
            return pixl_fail(err, PIXL_E_INVALID, 0, "destination: the secret %s is no name or address of a host",
                             name);
    if (!get_secret(f, get_it, "port", name, &port, &n, err))
        return false;
    if (!str_to_u64(n, &number) || number < 1 || number > 65535)
        return pixl_fail(err, PIXL_E_INVALID, 0, "destination: the secret %s is no port number", name);
    bool bare_v6 = memchr(h.p, ':', h.n) != NULL;
    size_t size = h.n + 32;
    *root = malloc(size);
    if (*root == NULL)
        return fail_memory(err);
    (void)snprintf(*root, size, "%s://%s%.*s%s:%u/", f->is_explicit ? "ftp" : "ftps", bare_v6 ? "[" : "", STR_ARG(h),
                   bare_v6 ? "]" : "", (unsigned)number);
    return true;
}

static void login_free(struct login *l)
{
    if (l == NULL)
        return;
    if (l->server.root != NULL)
        explicit_bzero(l->server.root, strlen(l->server.root));
    free(l->server.root);
    secret_done(&l->server.user);
    secret_done(&l->server.password);
    free(l);
}
PIXL_DEFINE_CLEANUP(login, login_free)

static bool read_login(const struct ftps *f, get_fn *get_it, struct login **out, struct pixl_error *err)
{
    PIXL_CLEANUP(login_freep) struct login *l = calloc(1, sizeof *l);
    if (l == NULL)
        return fail_memory(err);
    l->server.ca_file = f->ca_file;
    l->server.secrets_prefix = f->prefix;
    l->server.allows_tls13 = f->allows_tls13;
    l->server.timeout_us = f->timeout_us;
    if (!get_root(f, get_it, &l->server.root, err) || !get_login(f, get_it, "username", &l->server.user, err) ||
        !get_login(f, get_it, "password", &l->server.password, err))
        return false;
    *out = PIXL_STEAL(&l);
    return true;
}

static void ftps_close(struct upload *u)
{
    struct ftps *f = ftps_of(u);
    assert(f->n_idle == f->n_open);
    for (size_t i = 0; i < f->n_idle; i++)
        ftps_session_free(f->idle[i]);
    for (struct login *l = f->login, *older; l != NULL; l = older) {
        older = l->older;
        login_free(l);
    }
    (void)pthread_cond_destroy(&f->freed);
    (void)pthread_mutex_destroy(&f->lock);
    (void)pthread_mutex_destroy(&f->renewing);
    free(f->place);
    free(f->slug);
    free(f->prefix);
    free(f->ca_file);
    free(f);
}

static char *copy_of(struct str s)
{
    char *p = malloc(s.n + 1);
    if (p != NULL) {
        memcpy(p, s.p, s.n);
        p[s.n] = '\0';
    }
    return p;
}

/* The address is in the secrets, and stays there: a person is told which. */
static bool name_place(struct ftps *f, struct pixl_error *err)
{
    size_t size = strlen(f->prefix) + strlen(f->slug) + 32;
    f->place = malloc(size);
    if (f->place == NULL)
        return fail_memory(err);
    (void)snprintf(f->place, size, "ftps %s--ftp--host/%s", f->prefix, f->slug);
    return true;
}

static bool ftps_open(const struct project *p, const struct upload_options *o, struct upload **out,
                      struct pixl_error *err)
{
    struct ftps *f = calloc(1, sizeof *f);
    if (f == NULL)
        return fail_memory(err);
    f->base.ops = &upload_ftps;
    int rc = pthread_mutex_init(&f->lock, NULL) | pthread_mutex_init(&f->renewing, NULL) |
             pthread_cond_init(&f->freed, NULL);
    assert(rc == 0);
    upload_auto *u = &f->base;
    (void)snprintf(f->writer, sizeof f->writer, "%s", o->writer);
    f->slug = copy_of(p->slug);
    f->prefix = copy_of(p->secrets_prefix);
    if (p->ftps.ca_file != NULL)
        f->ca_file = copy_of(str_of(p->ftps.ca_file));
    if (f->slug == NULL || f->prefix == NULL || (p->ftps.ca_file != NULL && f->ca_file == NULL))
        return fail_memory(err);
    f->trusts_replies = p->ftps.trusts_replies;
    f->max_sessions = (size_t)(p->ftps.max_connections < 1              ? 1
                               : p->ftps.max_connections > SESSIONS_MAX ? SESSIONS_MAX
                                                                        : p->ftps.max_connections);
    f->secrets = o->secrets;
    f->is_explicit = p->ftps.is_explicit;
    f->allows_tls13 = p->ftps.allows_tls13;
    f->timeout_us = (o->settings != NULL ? o->settings->ftps_timeout_s : 60) * 1000000;
    if (!name_place(f, err) || !read_login(f, secrets_get, &f->login, err))
        return false;
    *out = PIXL_STEAL(&u);
    return true;
}

static const char *ftps_place(const struct upload *u)
{
    return ((const struct ftps *)u)->place;
}

/* ---- sessions ---- */

static void leave_session(struct ftps *f)
{
    pthread_mutex_lock(&f->lock);
    f->n_open--;
    pthread_cond_signal(&f->freed);
    pthread_mutex_unlock(&f->lock);
}

static bool take_session(struct ftps *f, struct ftps_session **out, struct pixl_error *err)
{
    struct ftps_session *s = NULL;
    pthread_mutex_lock(&f->lock);
    while (f->n_idle == 0 && f->n_open >= f->max_sessions)
        pthread_cond_wait(&f->freed, &f->lock);
    if (f->n_idle > 0)
        s = f->idle[--f->n_idle];
    else
        f->n_open++;
    struct ftps_server *server = &f->login->server;
    pthread_mutex_unlock(&f->lock);
    if (s != NULL && ftps_server_of(s) != server) {
        ftps_hang_up(s);
        ftps_session_free(s);
        s = NULL;
    }
    if (s == NULL && !ftps_session_new(server, &s, err)) {
        leave_session(f);
        return false;
    }
    *out = s;
    return true;
}

static void give_session(struct ftps *f, struct ftps_session *s)
{
    pthread_mutex_lock(&f->lock);
    f->idle[f->n_idle++] = s;
    pthread_cond_signal(&f->freed);
    pthread_mutex_unlock(&f->lock);
}

static bool is_same_server(const struct ftps_server *a, const struct ftps_server *b)
{
    return strcmp(a->root, b->root) == 0 && str_eq(secret_reveal(&a->user), secret_reveal(&b->user)) &&
           str_eq(secret_reveal(&a->password), secret_reveal(&b->password));
}

/* Do the secrets say something else than what failed was tried with?  Where they cannot be asked, what failed is the reason. */
static bool renew_login(struct ftps *f, const struct ftps_server *failed)
{
    struct pixl_error ignored = { 0 };
    PIXL_CLEANUP(login_freep) struct login *l = NULL;
    pthread_mutex_lock(&f->renewing);
    bool is_new = &f->login->server != failed; /* by another thread; who writes it holds renewing */
    if (!is_new && read_login(f, secrets_get_anew, &l, &ignored) && !is_same_server(&l->server, failed)) {
        is_new = true;
        atomic_store(&f->digest_by, FTPS_DIGEST_NOT_ASKED);
        pthread_mutex_lock(&f->lock);
        l->older = f->login;
        f->login = PIXL_STEAL(&l);
        pthread_mutex_unlock(&f->lock);
    }
    pthread_mutex_unlock(&f->renewing);
    return is_new;
}

typedef bool session_call(struct ftps *f, struct ftps_session *s, void *arg, struct pixl_error *err);

/* A call on a session; once more when none came about, and the secrets say something else by now. */
static bool with_session(struct ftps *f, session_call *call, void *arg, struct pixl_error *err)
{
    struct ftps_session *s;
    if (!take_session(f, &s, err))
        return false;
    bool ok = call(f, s, arg, err);
    bool again = !ok && ftps_was_kept_out(s) && renew_login(f, ftps_server_of(s));
    give_session(f, s);
    if (!again)
        return ok;
    pixl_error_clear(err);
    if (!take_session(f, &s, err))
        return false;
    ok = call(f, s, arg, err);
    give_session(f, s);
    return ok;
}

struct small_call {
    session_call *call;
    void *arg;
};

/* Once more on a new connection when the kept one had died. */
static bool try_small(struct ftps *f, struct ftps_session *s, void *arg, struct pixl_error *err)
{
    const struct small_call *c = arg;
    bool ok = c->call(f, s, c->arg, err);
    if (!ok && err->code == PIXL_E_UNAVAILABLE && ftps_was_cut(s)) {
        pixl_error_clear(err);
        ok = c->call(f, s, c->arg, err);
    }
    return ok;
}

static bool call_small(struct ftps *f, session_call *call, void *arg, struct pixl_error *err)
{
    return with_session(f, try_small, &(struct small_call){ call, arg }, err);
}

/* The project's folder.  One with a marker was there: it is not made again. */
static struct ftps_folder top_of(const struct ftps *f)
{
    return (struct ftps_folder){ .path = f->slug, .make = !atomic_load(&f->has_marker) };
}

/* A small file that is written by us alone. */
static bool put_text(struct ftps *f, struct ftps_session *s, const char *name, struct str text, struct pixl_error *err)
{
    fs_fd_auto fd = ftps_memory_file(text);
    struct ftps_source source = { .fd = fd, .size_bytes = text.n };
    if (fd < 0)
        return fail_memory(err);
    return ftps_put(s, top_of(f), name, &source, 0, err);
}

/* ---- check ---- */

static bool try_check(struct ftps *f, struct ftps_session *s, void *arg, struct pixl_error *err)
{
    (void)arg;
    char name[UPLOAD_SUFFIX_SIZE + 16];
    (void)snprintf(name, sizeof name, ".pixl-check.%s.%ld", f->writer, (long)getpid());
    bool ok = put_text(f, s, name, STR("pixl\n"), err);
    bool is_cut = !ok && ftps_was_cut(s);
    if (!is_cut)
        ftps_remove(s, top_of(f), name);
    return ok;
}

static bool ftps_check(struct upload *u, struct pixl_error *err)
{
    return call_small(ftps_of(u), try_check, NULL, err);
}

/* ---- the marker ---- */

static bool take_marker(void *ctx, const char *p, size_t n)
{
    struct buf *b = ctx;
    size_t left = b->max - b->n;
    return buf_add(b, p, n < left ? n : left) && n < left;
}

/* *found: it is there and says check_value; *hidden: it is there and cannot be read, or came between our two looks. */
static bool read_marker_once(struct ftps *f, struct ftps_session *s, struct str check_value, bool *found, bool *hidden,
                             struct pixl_error *err)
{
    struct ftps_reply replies[2];
    uint64_t size;
    bool got;
    buf_auto text;
    buf_init(&text, UPLOAD_MARKER_MAX);
    *found = *hidden = false;
    if (!ftps_get(s, top_of(f), UPLOAD_MARKER, take_marker, &text, &got, err))
        return false;
    if (text.failed)
        return fail_memory(err);
    *found = got && upload_marker_agrees(buf_str(&text), check_value, err);
    if (got || f->trusts_replies)
        return *found || !got;
    return ftps_ask(s, top_of(f), (const char *[]){ "TYPE I", "SIZE " UPLOAD_MARKER }, 2, 0, replies, err) &&
           ftps_read_size(&replies[1], hidden, &size, err);
}

static bool read_marker(struct ftps *f, struct ftps_session *s, struct str check_value, bool *found,
                        struct pixl_error *err)
{
    bool hidden;
    if (!read_marker_once(f, s, check_value, found, &hidden, err) ||
        (hidden && !read_marker_once(f, s, check_value, found, &hidden, err)))
        return false;
    return !hidden ||
           pixl_fail(err, PIXL_E_DENIED, 0,
                     "destination: the marker " UPLOAD_MARKER " is there and may not be read: the login must "
                     "be allowed to, or destination.ftps.verify be reply");
}

/* The lock on the marker, for whoever makes its folder first.  *found as above: somebody has written it while we waited.  A lock
 * that stays is of a process that died. */
static bool lock_marker(struct ftps *f, struct ftps_session *s, struct str check_value, bool *found,
                        struct pixl_error *err)
{
    struct ftps_reply reply;
    for (int i = 0; i < MARKER_LOOKS; i++) {
        if (!ftps_ask(s, top_of(f), (const char *[]){ "MKD " MARKER_LOCK }, 1, 0, &reply, err))
            return false;
        if (reply.code / 100 == 2 || f->trusts_replies)
            return true;
        (void)usleep(MARKER_PAUSE_US);
        if (!read_marker(f, s, check_value, found, err))
            return false;
        if (*found)
            return true;
    }
    return true;
}

static bool write_marker(struct ftps *f, struct ftps_session *s, struct str check_value, struct pixl_error *err)
{
    char part[UPLOAD_SUFFIX_SIZE + 32];
    struct pixl_error refused = { 0 };
    buf_auto text;
    buf_init(&text, UPLOAD_MARKER_MAX);
    (void)snprintf(part, sizeof part, "." UPLOAD_MARKER ".%s.key.part", f->writer);
    if (!upload_marker_add(&text, check_value))
        return fail_memory(err);
    if (!put_text(f, s, part, buf_str(&text), err))
        return false;
    if (!f->trusts_replies)
        return ftps_rename(s, top_of(f), part, UPLOAD_MARKER, false, err);
    /* A drop box may hold one that it neither shows nor gives away. */
    if (!ftps_rename(s, top_of(f), part, UPLOAD_MARKER, false, &refused) && refused.code == PIXL_E_UNAVAILABLE) {
        *err = refused;
        return false;
    }
    return true;
}

/* The folder is not there, or is not for us: an error that says so when it was before.  False. */
static bool blame_folder(struct ftps *f, struct ftps_session *s, struct pixl_error *err)
{
    if (err->code == PIXL_E_DENIED && ftps_had_no_folder(s) && atomic_load(&f->has_marker)) {
        pixl_error_clear(err);
        return pixl_fail(err, PIXL_E_UNAVAILABLE, 0,
                         "destination: its folder was there and is gone: does the login lead to another place?");
    }
    return false;
}

static bool try_check_key(struct ftps *f, struct ftps_session *s, void *arg, struct pixl_error *err)
{
    const struct str *check_value = arg;
    struct ftps_reply reply;
    struct pixl_error ignored = { 0 };
    bool found, ok;
    if (!read_marker(f, s, *check_value, &found, err))
        return blame_folder(f, s, err);
    if (!found && atomic_load(&f->has_marker)) {
        ftps_hang_up(s); /* the session may sit in a folder that has been replaced */
        return pixl_fail(err, PIXL_E_UNAVAILABLE, 0,
                         "destination: its marker " UPLOAD_MARKER " was there and is gone: does the login lead "
                         "to another folder?");
    }
    if (!found) {
        if (!lock_marker(f, s, *check_value, &found, err))
            return false;
        /* Between our look and our lock somebody may have written it. */
        ok =
            found || (read_marker(f, s, *check_value, &found, err) && (found || write_marker(f, s, *check_value, err)));
        bool gone = ftps_ask(s, top_of(f), (const char *[]){ "RMD " MARKER_LOCK }, 1, 0, &reply, &ignored);
        (void)gone; /* one that stays is taken for a dead process's */
        if (!ok)
            return false;
    }
    atomic_store(&f->has_marker, !f->trusts_replies);
    return true;
}

static bool ftps_check_key(struct upload *u, struct str check_value, struct pixl_error *err)
{
    return call_small(ftps_of(u), try_check_key, &check_value, err);
}

static void ftps_expect_marker(struct upload *u)
{
    struct ftps *f = ftps_of(u);
    atomic_store(&f->has_marker, !f->trusts_replies);
}

/* ---- files ---- */

static bool try_study(struct ftps *f, struct ftps_session *s, void *arg, struct pixl_error *err)
{
    struct ftps_delivery *d = arg;
    d->session = s;
    return ftps_deliver(d, err) || blame_folder(f, s, err);
}

static bool try_table(struct ftps *f, struct ftps_session *s, void *arg, struct pixl_error *err)
{
    struct ftps_delivery *d = arg;
    (void)f;
    d->session = s;
    return ftps_deliver(d, err);
}

static bool ftps_study(struct upload *u, const struct upload_study *z, struct pixl_error *err)
{
    struct ftps *f = ftps_of(u);
    char name[128], suffix[UPLOAD_SUFFIX_SIZE];
    (void)snprintf(name, sizeof name, "%s.zip", z->pseudo_study_uid); /* 64 characters at most, the front door says */
    upload_study_suffix(f->writer, z->fence, suffix);
    fs_fd_auto fd = open(z->zip_path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    struct ftps_delivery d = {
        .folder = top_of(f),
        .final = name,
        .suffix = suffix,
        .fd = fd,
        .size_bytes = z->size_bytes,
        .digest = z->digest,
        .trusts_replies = f->trusts_replies,
        .marker = atomic_load(&f->has_marker) ? UPLOAD_MARKER : NULL,
        .writer = f->writer,
        .fence = z->fence,
        .cancel = z->cancel,
        .digest_by = &f->digest_by,
    };
    return with_session(f, try_study, &d, err);
}

/* Splits <slug>/<time-slug>/parquet/<remote> into folder and name. */
static bool split_remote(const struct ftps *f, struct str time_slug, const char *remote, char folder[FOLDER_BYTES],
                         const char **name, struct pixl_error *err)
{
    const char *slash = strrchr(remote, '/');
    int n = snprintf(folder, FOLDER_BYTES, "%s/%.*s/parquet%s%.*s", f->slug, STR_ARG(time_slug),
                     slash != NULL ? "/" : "", slash != NULL ? (int)(slash - remote) : 0, remote);
    if (n < 0 || n >= FOLDER_BYTES)
        return pixl_fail(err, PIXL_E_INVALID, 0, "destination: the path of a table is too long");
    *name = slash != NULL ? slash + 1 : remote;
    return true;
}

static bool ftps_table(struct upload *u, struct str time_slug, const char *path, const char *remote,
                       struct pixl_error *err)
{
    struct ftps *f = ftps_of(u);
    char folder[FOLDER_BYTES], suffix[UPLOAD_SUFFIX_SIZE];
    const char *name = NULL;
    uint8_t digest[HASH_SHA256_BYTES];
    struct ftps_delivery d = { .suffix = suffix,
                               .digest = digest,
                               .trusts_replies = f->trusts_replies,
                               .writer = f->writer,
                               .fence = -1,
                               .digest_by = &f->digest_by };
    /* One process of a store publishes at a time: what a killed one left is replaced. */
    (void)snprintf(suffix, sizeof suffix, "%s.table", f->writer);
    if (!split_remote(f, time_slug, remote, folder, &name, err))
        return false;
    if (!fs_digest(path, digest, &d.size_bytes, err))
        return pixl_wrap(err, "table to deliver");
    fs_fd_auto fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    d.fd = fd;
    d.final = name;
    d.folder = (struct ftps_folder){ folder, true };
    return with_session(f, try_table, &d, err);
}

struct withdrawal {
    const char *folder, *name;
};

static bool try_withdraw(struct ftps *f, struct ftps_session *s, void *arg, struct pixl_error *err)
{
    const struct withdrawal *w = arg;
    char away[FOLDER_BYTES], size[FOLDER_BYTES];
    struct ftps_reply replies[3];
    uint64_t bytes;
    bool there;
    (void)f;
    (void)snprintf(away, sizeof away, "DELE %s", w->name);
    (void)snprintf(size, sizeof size, "SIZE %s", w->name);
    if (!ftps_ask(s, (struct ftps_folder){ w->folder, false }, (const char *[]){ "TYPE I", away, size }, 3, 0, replies,
                  err)) {
        if (!ftps_had_no_folder(s))
            return false;
        pixl_error_clear(err);
        return true;
    }
    if (replies[1].code / 100 == 2)
        return true;
    if (replies[1].code >= 400 && replies[1].code < 500)
        return pixl_fail(err, PIXL_E_UNAVAILABLE, replies[1].code,
                         "destination: the server could not remove a file (%d)", replies[1].code);
    if (!ftps_read_size(&replies[2], &there, &bytes, err))
        return false;
    return !there || pixl_fail(err, PIXL_E_DENIED, replies[1].code,
                               "destination: the server refuses to remove a file (%d)", replies[1].code);
}

static bool ftps_withdraw_table(struct upload *u, struct str time_slug, const char *remote, struct pixl_error *err)
{
    struct ftps *f = ftps_of(u);
    char folder[FOLDER_BYTES];
    struct withdrawal w = { .folder = folder };
    return split_remote(f, time_slug, remote, folder, &w.name, err) && call_small(f, try_withdraw, &w, err);
}

const struct upload_ops upload_ftps = {
    .word = PROJECT_TO_FTPS,
    .caps = 0,
    .open = ftps_open,
    .place = ftps_place,
    .check = ftps_check,
    .check_key = ftps_check_key,
    .expect_marker = ftps_expect_marker,
    .study = ftps_study,
    .table = ftps_table,
    .withdraw_table = ftps_withdraw_table,
    .close = ftps_close,
};
