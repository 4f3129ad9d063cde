#include "upload_ftps_deliver.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fs.h"
#include "upload_common.h"

enum {
    NAME_BYTES = 1024,
    COMMAND_BYTES = NAME_BYTES + 16,
    FENCES_ASKED_ONE_BY_ONE = 16,
    TRIES_WITHOUT_PROGRESS = 3, /* the first may meet a connection that has died since */
    SETTLE_LOOKS = 10,
    SETTLE_US = 200 * 1000,   /* a server that was cut off has then stored what reached it */
    DIGEST_BYTES_PER_US = 20, /* as slow as a server may read what it hashes */
    PROBE_BYTES = 16 * 1024,
    REPLY_LOCAL_ERROR = 451,
};

struct sending {
    const struct ftps_delivery *d;
    char part[NAME_BYTES];
    struct ftps_source source;
    uint64_t from; /* where the last try began */
    bool final_is_there, is_checked, may_resume, was_sending, is_short, is_cleared;
    unsigned tries;
};

/* A few commands to be asked at once. */
struct commands {
    char texts[FTPS_COMMANDS_MAX][COMMAND_BYTES];
    const char *list[FTPS_COMMANDS_MAX];
    size_t n;
};

PIXL_PRINTF(2, 3)
static void add(struct commands *c, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(c->texts[c->n], COMMAND_BYTES, fmt, ap);
    va_end(ap);
    c->list[c->n] = c->texts[c->n];
    c->n++;
}

static bool ask(struct ftps_session *s, struct ftps_folder folder, const struct commands *c, struct ftps_reply *replies,
                struct pixl_error *err)
{
    return ftps_ask(s, folder, c->list, c->n, 0, replies, err);
}

bool ftps_read_size(const struct ftps_reply *r, bool *is_there, uint64_t *size_bytes, struct pixl_error *err)
{
    uint64_t n = 0;
    if (r->code == 213 && str_to_u64(str_trim(str_of(r->text)), &n)) {
        *is_there = true;
        *size_bytes = n;
        return true;
    }
    if (r->code >= 400 && r->code < 500)
        return pixl_fail(err, PIXL_E_UNAVAILABLE, r->code, "destination: the server could not tell a size (%d)",
                         r->code);
    *is_there = false;
    *size_bytes = 0;
    return true;
}

void ftps_remove(struct ftps_session *s, struct ftps_folder folder, const char *name)
{
    struct pixl_error ignored = { 0 };
    struct ftps_reply reply;
    struct commands c = { .n = 0 };
    folder.make = false;
    add(&c, "DELE %s", name);
    (void)ask(s, folder, &c, &reply, &ignored);
}

int ftps_memory_file(struct str data)
{
    struct pixl_error ignored = { 0 };
    int fd = memfd_create("pixl", MFD_CLOEXEC);
    if (fd >= 0 && !fs_write_all(fd, data.p, data.n, &ignored)) {
        (void)close(fd);
        fd = -1;
    }
    return fd;
}

/* Does the server say that there is no room even for a small file?  vsftpd says 451, which is of any trouble with its disk. */
static bool is_full(const struct ftps_delivery *d)
{
    static const char zeros[PROBE_BYTES];
    struct pixl_error err = { 0 };
    struct ftps_source probe = { .fd = ftps_memory_file((struct str){ zeros, sizeof zeros }),
                                 .size_bytes = sizeof zeros };
    char name[UPLOAD_SUFFIX_SIZE + 16];
    if (probe.fd < 0)
        return false;
    (void)snprintf(name, sizeof name, ".pixl-check.%s", d->suffix);
    bool full = !ftps_put(d->session, d->folder, name, &probe, 0, &err) &&
                (err.code == PIXL_E_NO_SPACE || (err.code == PIXL_E_UNAVAILABLE && err.sys == REPLY_LOCAL_ERROR));
    (void)close(probe.fd);
    ftps_remove(d->session, d->folder, name);
    return full;
}

/* ---- digests that the server makes ---- */

static void note_feature(void *ctx, struct str line)
{
    int *by = ctx;
    struct str word, rest;
    (void)str_split(str_trim(line), ' ', &word, &rest);
    if (str_eq_nocase(word, STR("XSHA256")))
        *by = FTPS_DIGEST_XSHA256;
    else if (str_eq_nocase(word, STR("HASH")) && *by == FTPS_DIGEST_NONE &&
             memmem(rest.p, rest.n, "SHA-256", 7) != NULL)
        *by = FTPS_DIGEST_HASH;
}

static bool find_digest_command(const struct ftps_delivery *d, int *by, struct pixl_error *err)
{
    *by = atomic_load(d->digest_by);
    if (*by != FTPS_DIGEST_NOT_ASKED)
        return true;
    *by = FTPS_DIGEST_NONE;
    if (!ftps_features(d->session, d->folder, note_feature, by, err))
        return false;
    atomic_store(d->digest_by, *by);
    return true;
}

/* The one word of 64 hexadecimal digits in an answer. */
static bool find_digest(const char *text, uint8_t out[HASH_SHA256_BYTES])
{
    struct str rest = str_of(text), word;
    for (bool more = true; more;) {
        more = str_split(rest, ' ', &word, &rest);
        if (word.n != 2 * HASH_SHA256_BYTES || strspn(word.p, "0123456789abcdefABCDEF") < word.n)
            continue;
        for (size_t i = 0; i < HASH_SHA256_BYTES; i++) {
            unsigned byte = 0;
            for (size_t k = 0; k < 2; k++) {
                int c = tolower((unsigned char)word.p[2 * i + k]);
                byte = byte * 16 + (unsigned)(c <= '9' ? c - '0' : c - 'a' + 10);
            }
            out[i] = (uint8_t)byte;
        }
        return true;
    }
    return false;
}

/* *known: the server has told the digest of a file. */
static bool ask_digest(const struct ftps_delivery *d, const char *name, bool *known, uint8_t out[HASH_SHA256_BYTES],
                       struct pixl_error *err)
{
    struct commands c = { .n = 0 };
    struct ftps_reply replies[2];
    int by;
    *known = false;
    if (!find_digest_command(d, &by, err))
        return false;
    if (by == FTPS_DIGEST_NONE)
        return true;
    if (by == FTPS_DIGEST_HASH)
        add(&c, "OPTS HASH SHA-256");
    add(&c, "%s %s", by == FTPS_DIGEST_HASH ? "HASH" : "XSHA256", name);
    if (!ftps_ask(d->session, d->folder, c.list, c.n, (int64_t)(d->size_bytes / DIGEST_BYTES_PER_US), replies, err))
        return false;
    const struct ftps_reply *r = &replies[c.n - 1];
    struct str algorithm, rest;
    (void)str_split(str_of(r->text), ' ', &algorithm, &rest); /* of HASH: algorithm, range, digest, name */
    *known = r->code / 100 == 2 && (by != FTPS_DIGEST_HASH || str_eq_nocase(algorithm, STR("SHA-256"))) &&
             find_digest(r->text, out);
    return true;
}

/* ---- looking ---- */

struct read_back {
    struct hash_sha256 *hash;
    uint64_t size_bytes, max_bytes;
    struct pixl_error err;
};

static bool take_bytes(void *ctx, const char *p, size_t n)
{
    struct read_back *r = ctx;
    r->size_bytes += n;
    return r->size_bytes <= r->max_bytes && hash_sha256_add(r->hash, p, n, &r->err);
}

static bool read_back(const struct ftps_delivery *d, const char *name, bool *same, struct pixl_error *err)
{
    hash_sha256_auto *h = NULL;
    uint8_t digest[HASH_SHA256_BYTES];
    bool got;
    if (!hash_sha256_new(&h, err))
        return false;
    struct read_back r = { .hash = h, .max_bytes = d->size_bytes };
    if (!ftps_get(d->session, d->folder, name, take_bytes, &r, &got, err))
        return false;
    if (r.err.code != PIXL_OK) {
        *err = r.err;
        return false;
    }
    if (!hash_sha256_end(h, digest, err))
        return false;
    *same = got && r.size_bytes == d->size_bytes && memcmp(digest, d->digest, sizeof digest) == 0;
    return true;
}

static bool is_same(const struct ftps_delivery *d, bool *same, struct pixl_error *err)
{
    uint8_t digest[HASH_SHA256_BYTES];
    bool known;
    if (!ask_digest(d, d->final, &known, digest, err))
        return false;
    if (!known)
        return read_back(d, d->final, same, err);
    *same = memcmp(digest, d->digest, sizeof digest) == 0;
    return true;
}

/* What is there of the final file and of what this call has sent already; *done: the former is all of it. */
static bool look(struct sending *x, bool *done, struct pixl_error *err)
{
    const struct ftps_delivery *d = x->d;
    struct commands c = { .n = 0 };
    struct ftps_reply replies[4];
    uint64_t size = 0, sent = 0;
    bool there = false, part_there = false;
    *done = false;
    add(&c, "TYPE I"); /* a size in text mode is refused */
    add(&c, "SIZE %s", d->final);
    add(&c, "SIZE %s", x->part);
    if (d->marker != NULL)
        add(&c, "SIZE %s", d->marker);
    if (!ask(d->session, d->folder, &c, replies, err))
        return false;
    if (d->marker != NULL) {
        if (!ftps_read_size(&replies[3], &there, &size, err))
            return false;
        if (!there) {
            ftps_hang_up(d->session); /* it may sit in a folder that has been replaced */
            return pixl_fail(err, PIXL_E_UNAVAILABLE, replies[3].code,
                             "destination: its marker " UPLOAD_MARKER
                             " was there and is gone: does the login lead to another folder?");
        }
    }
    if (!ftps_read_size(&replies[1], &x->final_is_there, &size, err) ||
        !ftps_read_size(&replies[2], &part_there, &sent, err))
        return false;
    x->from = x->may_resume && part_there && sent <= x->source.sent_bytes ? sent : 0;
    return !x->final_is_there || size != d->size_bytes || is_same(d, done, err);
}

/* ---- parts of earlier claims ---- */

static bool take_names(void *ctx, const char *p, size_t n)
{
    struct buf *b = ctx;
    return buf_add(b, p, n);
}

static bool remove_parts_listed(const struct ftps_delivery *d)
{
    struct pixl_error ignored = { 0 };
    struct str rest, line;
    char name[NAME_BYTES];
    bool got;
    buf_auto list;
    buf_init(&list, 64 << 20);
    if (!ftps_get(d->session, d->folder, NULL, take_names, &list, &got, &ignored))
        return false;
    rest = buf_str(&list);
    for (bool more = true; more;) {
        more = str_split(rest, '\n', &line, &rest);
        (void)snprintf(name, sizeof name, "%.*s", STR_ARG(str_trim(line)));
        int64_t fence = upload_part_fence(name, d->final, d->writer);
        if (fence >= 0 && fence < d->fence)
            ftps_remove(d->session, d->folder, name);
    }
    return true;
}

/* What earlier claims of this study by this store left.  By name, as a folder of 100,000 zips is long to list; after many claims it is
 * listed.  A part that stays hurts nobody.  false: the connection was cut, and another try may do it. */
static bool remove_older_parts(const struct ftps_delivery *d)
{
    struct pixl_error ignored = { 0 };
    struct ftps_reply replies[FTPS_COMMANDS_MAX];
    char suffix[UPLOAD_SUFFIX_SIZE];
    if (d->fence > FENCES_ASKED_ONE_BY_ONE)
        return remove_parts_listed(d);
    for (int64_t f = d->fence - 1; f > 0;) { /* claims are counted from 1 */
        struct commands c = { .n = 0 };
        for (; f > 0 && c.n < FTPS_COMMANDS_MAX; f--) {
            upload_study_suffix(d->writer, f, suffix);
            add(&c, "DELE .%s.%s.part", d->final, suffix);
        }
        if (!ask(d->session, d->folder, &c, replies, &ignored))
            return false;
    }
    return true;
}

/* ---- sending ---- */

/* All of it has been sent: was it what it should be? */
static bool check_source(struct sending *x, struct pixl_error *err)
{
    uint8_t digest[HASH_SHA256_BYTES];
    if (x->is_checked)
        return true;
    if (!hash_sha256_end(x->source.hash, digest, err))
        return false;
    if (memcmp(digest, x->d->digest, sizeof digest) != 0)
        return pixl_fail(err, PIXL_E_CORRUPT, 0, "file to deliver: its content is not what it was when it was made");
    x->is_checked = true;
    return true;
}

/* What arrived?  *whole false: not what was sent. */
static bool check_part(struct sending *x, bool *whole, uint64_t *arrived, struct pixl_error *err)
{
    const struct ftps_delivery *d = x->d;
    struct commands c = { .n = 0 };
    struct ftps_reply replies[2];
    uint8_t digest[HASH_SHA256_BYTES];
    bool there = false, known = false;
    *whole = true;
    *arrived = d->size_bytes;
    if (d->trusts_replies)
        return true;
    add(&c, "TYPE I");
    add(&c, "SIZE %s", x->part);
    if (!ask(d->session, d->folder, &c, replies, err) || !ftps_read_size(&replies[1], &there, arrived, err))
        return false;
    if (!there)
        return pixl_fail(err, replies[1].code == 550 ? PIXL_E_UNAVAILABLE : PIXL_E_DENIED, replies[1].code,
                         "destination: the server does not show what it has stored (%d): if it is a drop box, say "
                         "destination.ftps.verify: reply in the project file; else a later claim has removed it",
                         replies[1].code);
    *whole = *arrived == d->size_bytes;
    if (!*whole)
        return true;
    if (!ask_digest(d, x->part, &known, digest, err))
        return false;
    *whole = !known || memcmp(digest, d->digest, sizeof digest) == 0;
    /* A server may remember the digest of an older file of that name and time. */
    return *whole || read_back(d, x->part, whole, err);
}

static bool fail_gone(int reply, struct pixl_error *err)
{
    return pixl_fail(
        err, reply == 550 ? PIXL_E_UNAVAILABLE : PIXL_E_DENIED, reply,
        "destination: what was sent cannot be renamed (%d): a later claim of the study may have removed it", reply);
}

bool ftps_rename(struct ftps_session *s, struct ftps_folder folder, const char *part, const char *final, bool was_there,
                 struct pixl_error *err)
{
    struct commands plain = { .n = 0 }, looking = { .n = 0 }, replacing = { .n = 0 };
    struct ftps_reply r[3];
    add(&plain, "RNFR %s", part);
    add(&plain, "RNTO %s", final);
    if (!ask(s, folder, &plain, r, err))
        return false;
    if (r[1].code / 100 == 2)
        return true;
    if (r[0].code >= 500)
        return fail_gone(r[0].code, err);
    if (r[0].code / 100 != 3 || r[1].code < 500)
        return pixl_fail(err, PIXL_E_UNAVAILABLE, r[1].code, "destination: the server could not rename (%d)",
                         r[1].code);
    /* Only for what is still there: a later claim that removed it has delivered the file of that name.  To its own name,
     * as servers refuse other commands behind RNFR. */
    add(&looking, "RNFR %s", part);
    add(&looking, "RNTO %s", part);
    if (!ask(s, folder, &looking, r, err))
        return false;
    if (r[0].code >= 500)
        return fail_gone(r[0].code, err);
    if (r[0].code / 100 != 3)
        return pixl_fail(err, PIXL_E_UNAVAILABLE, r[0].code, "destination: the server could not rename (%d)",
                         r[0].code);
    add(&replacing, "DELE %s", final);
    add(&replacing, "RNFR %s", part);
    add(&replacing, "RNTO %s", final);
    if (!ask(s, folder, &replacing, r, err))
        return false;
    if (r[2].code / 100 == 2)
        return true;
    if (was_there && r[0].code / 100 != 2)
        return pixl_fail(err, PIXL_E_EXISTS, r[0].code,
                         "destination: a file of that name is there, and the server lets it be neither read "
                         "nor replaced (%d)",
                         r[0].code);
    return pixl_fail(err, PIXL_E_DENIED, r[2].code, "destination: the server refuses to rename (%d)", r[2].code);
}

static bool may_go_on(const struct ftps_delivery *d, struct pixl_error *err)
{
    return d->cancel == NULL || !atomic_load(d->cancel) ||
           pixl_fail(err, PIXL_E_CANCELLED, 0, "destination: the delivery was cut, and work is to end");
}

/* A server that was cut off may still be storing: the size must stand still, else what follows would land in the wrong place. */
static bool settle_part(struct sending *x, struct pixl_error *err)
{
    struct commands c = { .n = 0 };
    struct ftps_reply replies[2];
    uint64_t size;
    bool there;
    add(&c, "TYPE I");
    add(&c, "SIZE %s", x->part);
    for (int i = 0; i < SETTLE_LOOKS; i++) {
        (void)usleep(SETTLE_US);
        if (!may_go_on(x->d, err) || !ask(x->d->session, x->d->folder, &c, replies, err) ||
            !ftps_read_size(&replies[1], &there, &size, err))
            return false;
        if (there && size == x->from)
            return true;
        if (!there || size > x->source.sent_bytes)
            break;
        x->from = size;
    }
    x->from = 0;
    return true;
}

static bool send_part(struct sending *x, struct pixl_error *err)
{
    const struct ftps_delivery *d = x->d;
    struct stat st;
    if (d->fd < 0 || fstat(d->fd, &st) != 0 || !S_ISREG(st.st_mode))
        return pixl_fail(err, PIXL_E_CORRUPT, 0, "file to deliver: it is gone from the spool");
    if ((uint64_t)st.st_size != d->size_bytes)
        return pixl_fail(err, PIXL_E_CORRUPT, 0, "file to deliver: its content is not what it was when it was made");
    if (x->may_resume && x->tries > 1 && !settle_part(x, err))
        return false;
    x->was_sending = true;
    if ((x->from < d->size_bytes || d->size_bytes == 0) &&
        !ftps_put(d->session, d->folder, x->part, &x->source, x->from, err))
        return false;
    x->was_sending = false;
    return check_source(x, err);
}

/* One try on one connection. */
static bool try_once(struct sending *x, struct pixl_error *err)
{
    uint64_t arrived;
    bool done, whole;
    x->from = 0;
    if (!look(x, &done, err))
        return false;
    if (!x->is_cleared)
        x->is_cleared = remove_older_parts(x->d);
    if (done)
        return true;
    x->tries++;
    if (!send_part(x, err) || !check_part(x, &whole, &arrived, err))
        return false;
    if (!whole) {
        /* A server may take the end of a connection that was cut for the end of the file.  What was put together wrongly is begun anew,
         * on another connection: to the server, the TLS session of this one is spoilt by the cut. */
        ftps_hang_up(x->d->session);
        x->is_short = true;
        x->may_resume = arrived < x->d->size_bytes;
        return pixl_fail(err, PIXL_E_UNAVAILABLE, 0, "destination: it did not keep all that was sent");
    }
    return ftps_rename(x->d->session, x->d->folder, x->part, x->d->final, x->final_is_there, err);
}

/* Tries as long as a cut connection is all that fails, and each one gets further. */
static bool try_on(struct sending *x, struct pixl_error *err)
{
    uint64_t reached = 0;
    unsigned in_vain = 0;
    for (;;) {
        x->was_sending = false;
        if (try_once(x, err))
            return true;
        if (err->code != PIXL_E_UNAVAILABLE || (!x->is_short && !ftps_was_cut(x->d->session)))
            return false;
        in_vain = x->from > reached ? 1 : in_vain + 1;
        reached = x->from > reached ? x->from : reached;
        if (in_vain >= TRIES_WITHOUT_PROGRESS)
            return false;
        x->may_resume = !x->d->trusts_replies && (!x->is_short || x->may_resume);
        x->is_short = false;
        pixl_error_clear(err);
    }
}

bool ftps_deliver(const struct ftps_delivery *d, struct pixl_error *err)
{
    hash_sha256_auto *hash = NULL;
    struct sending x = { .d = d, .source = { .fd = d->fd, .size_bytes = d->size_bytes } };
    int n = snprintf(x.part, sizeof x.part, ".%s.%s.part", d->final, d->suffix);
    if (n < 0 || (size_t)n >= sizeof x.part)
        return pixl_fail(err, PIXL_E_INVALID, 0, "destination: the name of a file is too long");
    if (!hash_sha256_new(&hash, err))
        return false;
    x.source.hash = hash;
    if (try_on(&x, err))
        return true;
    /* A server whose disk fills cuts the data connection, and its reason is lost with it. */
    if (x.was_sending && ftps_was_cut(d->session) && is_full(d)) {
        pixl_error_clear(err);
        (void)pixl_fail(err, PIXL_E_NO_SPACE, 0, "destination: the server has no space left");
    }
    if (err->code != PIXL_E_UNAVAILABLE && err->code != PIXL_E_CANCELLED && x.tries > 0)
        ftps_remove(d->session, d->folder, x.part);
    return false;
}
