/* libcurl as it must be used for FTPS:
 *
 * - Through the multi interface with short polls: curl_easy_perform() loses a second in every third transfer over a kept connection.
 * - TLS 1.2 unless told otherwise: servers want the data connection to continue the control connection's TLS session, and with TLS 1.3 libcurl
 *   offers the ticket of the last data connection instead.  A server that refuses (425, 522) is given one file per connection.
 * - Commands go as PREQUOTE of a transfer without a body: POSTQUOTE would block, and QUOTE runs before the folder is entered.
 * - Waiting for the answer after a transfer blocks inside of libcurl; the progress callback ends it. */
#include "upload_ftps_session.h"

#include <assert.h>
#include <ctype.h>
#include <curl/curl.h>
#include <errno.h>
#include <openssl/x509_vfy.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"

enum {
    POLL_MS = 50,
    SOCKETS_MAX = 8,
    URL_BYTES_MAX = 8192,
    FOLDER_BYTES_MAX = 2048,
    COMMAND_BYTES_MAX = 2048,
    UPLOAD_BUFFER_BYTES = 512 * 1024,
    SLOW_BYTES_PER_S = 64, /* slower than this for the timeout: away */
    GOODBYE_US = 2 * 1000 * 1000,
};

struct ftps_session {
    struct ftps_server *server;
    CURL *easy;
    CURLM *multi;
    curl_socket_t sockets[SOCKETS_MAX];           /* open ones, CURL_SOCKET_BAD: none */
    bool is_alive;                                /* the last call left a connection that may be used again */
    struct ftps_reply replies[FTPS_COMMANDS_MAX]; /* the last ones, in a ring */
    size_t n_replies;
    curl_off_t moved_bytes;
    int64_t moved_us, patience_us;
    char folder[FOLDER_BYTES_MAX]; /* of the last call */
    bool was_cut, had_no_folder, was_kept_out, is_stalled;
    bool has_data; /* a data connection was agreed on: replies after that are to the transfer */
    void (*note)(void *ctx, struct str line); /* wants the lines of long answers */
    void *note_ctx;
};

bool ftps_was_cut(const struct ftps_session *s)
{
    return s->was_cut;
}

bool ftps_had_no_folder(const struct ftps_session *s)
{
    return s->had_no_folder;
}

bool ftps_was_kept_out(const struct ftps_session *s)
{
    return s->was_kept_out;
}

const struct ftps_server *ftps_server_of(const struct ftps_session *s)
{
    return s->server;
}

static bool fail_memory(struct pixl_error *err)
{
    return pixl_fail(err, PIXL_E_NOMEM, 0, "destination: connection");
}

static void moved(struct ftps_session *s)
{
    s->moved_us = clock_mono_us();
}

static bool has_stalled(struct ftps_session *s)
{
    s->is_stalled = s->is_stalled || clock_mono_us() - s->moved_us > s->patience_us;
    return s->is_stalled;
}

/* ---- what libcurl calls ---- */

static size_t on_header(char *line, size_t size, size_t n, void *ctx)
{
    struct ftps_session *s = ctx;
    size_t bytes = size * n;
    moved(s);
    if (bytes < 4 || !isdigit((unsigned char)line[0]) || !isdigit((unsigned char)line[1]) ||
        !isdigit((unsigned char)line[2]) || line[3] != ' ') {
        if (s->note != NULL) /* inside an answer of several lines */
            s->note(s->note_ctx, (struct str){ line, bytes });
        return bytes;
    }
    struct ftps_reply *r = &s->replies[s->n_replies++ % FTPS_COMMANDS_MAX];
    struct str text = str_trim((struct str){ line + 4, bytes - 4 });
    r->code = (line[0] - '0') * 100 + (line[1] - '0') * 10 + (line[2] - '0');
    (void)snprintf(r->text, sizeof r->text, "%.*s", STR_ARG(text));
    s->has_data = s->has_data || r->code == 227 || r->code == 229;
    return bytes;
}

static int on_progress(void *ctx, curl_off_t dl_all, curl_off_t dl, curl_off_t ul_all, curl_off_t ul)
{
    struct ftps_session *s = ctx;
    (void)dl_all;
    (void)ul_all;
    if (dl + ul != s->moved_bytes) {
        s->moved_bytes = dl + ul;
        moved(s);
    }
    return has_stalled(s);
}

static curl_socket_t on_open(void *ctx, curlsocktype purpose, struct curl_sockaddr *a)
{
    struct ftps_session *s = ctx;
    (void)purpose;
    curl_socket_t fd = socket(a->family, a->socktype | SOCK_CLOEXEC, a->protocol);
    for (size_t i = 0; fd != CURL_SOCKET_BAD && i < SOCKETS_MAX; i++)
        if (s->sockets[i] == CURL_SOCKET_BAD) {
            s->sockets[i] = fd;
            break;
        }
    return fd;
}

static int on_close(void *ctx, curl_socket_t fd)
{
    struct ftps_session *s = ctx;
    for (size_t i = 0; i < SOCKETS_MAX; i++)
        if (s->sockets[i] == fd)
            s->sockets[i] = CURL_SOCKET_BAD;
    return close(fd);
}

/* ---- a session ---- */

static void start_libcurl(void)
{
    (void)curl_global_init(CURL_GLOBAL_ALL);
}

bool ftps_session_new(struct ftps_server *server, struct ftps_session **out, struct pixl_error *err)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    (void)pthread_once(&once, start_libcurl);
    struct ftps_session *s = calloc(1, sizeof *s);
    if (s == NULL)
        return fail_memory(err);
    for (size_t i = 0; i < SOCKETS_MAX; i++)
        s->sockets[i] = CURL_SOCKET_BAD;
    s->server = server;
    s->easy = curl_easy_init();
    s->multi = curl_multi_init();
    if (s->easy == NULL || s->multi == NULL) {
        ftps_session_free(s);
        return fail_memory(err);
    }
    *out = s;
    return true;
}

/* After a failure an answer may still be on its way, and would be taken for that to the next command.  What has come
 * is read, as libcurl takes a connection with something to read for one that lasts. */
static void hang_up(struct ftps_session *s)
{
    char unread[4096];
    for (size_t i = 0; i < SOCKETS_MAX; i++)
        if (s->sockets[i] != CURL_SOCKET_BAD) {
            (void)shutdown(s->sockets[i], SHUT_RDWR);
            while (recv(s->sockets[i], unread, sizeof unread, MSG_DONTWAIT) > 0) {
            }
        }
}

void ftps_hang_up(struct ftps_session *s)
{
    hang_up(s);
    s->is_alive = false;
}

/* From one folder to another libcurl goes by way of the first one, when the server has told its name (PWD); else it would look for the
 * second one inside the first. */
static bool leave_folder(struct ftps_session *s, const char *folder)
{
    const char *entry = NULL;
    if (strlen(folder) >= sizeof s->folder)
        return false;
    if (strcmp(s->folder, folder) == 0)
        return true;
    if (curl_easy_getinfo(s->easy, CURLINFO_FTP_ENTRY_PATH, &entry) != CURLE_OK || entry == NULL)
        hang_up(s);
    (void)snprintf(s->folder, sizeof s->folder, "%s", folder);
    return true;
}

/* Options are set one by one: any of them may lack memory. */
#define SET(option, value) (ok = curl_easy_setopt(s->easy, option, value) == CURLE_OK && ok)

static bool prepare_tls(struct ftps_session *s)
{
    const struct ftps_server *v = s->server;
    bool ok = true;
    SET(CURLOPT_USE_SSL, (long)CURLUSESSL_ALL);
    SET(CURLOPT_FTPSSLAUTH, (long)CURLFTPAUTH_TLS);
    SET(CURLOPT_SSL_VERIFYPEER, 1L);
    SET(CURLOPT_SSL_VERIFYHOST, 2L);
    SET(CURLOPT_SSLVERSION, v->allows_tls13 ? (long)CURL_SSLVERSION_TLSv1_2
                                            : (long)CURL_SSLVERSION_TLSv1_2 | (long)CURL_SSLVERSION_MAX_TLSv1_2);
    if (v->ca_file != NULL) {
        SET(CURLOPT_CAINFO, v->ca_file);
        SET(CURLOPT_CAPATH, NULL);
    }
    return ok;
}

/* The last part of the URL, name or nothing, is what is transferred. */
static bool prepare_url(struct ftps_session *s, struct ftps_folder folder, const char *name)
{
    buf_auto url;
    buf_init(&url, URL_BYTES_MAX);
    (void)buf_add_cstr(&url, s->server->root);
    struct str rest = str_of(folder.path), part;
    bool ok = true;
    for (bool more = rest.n > 0; more;) {
        more = str_split(rest, '/', &part, &rest);
        char *escaped = curl_easy_escape(s->easy, part.p, (int)part.n);
        ok = escaped != NULL && ok;
        (void)buf_addf(&url, "%s/", escaped != NULL ? escaped : "");
        curl_free(escaped);
    }
    if (name != NULL) {
        char *escaped = curl_easy_escape(s->easy, name, 0);
        ok = escaped != NULL && ok;
        (void)buf_add_cstr(&url, escaped != NULL ? escaped : "");
        curl_free(escaped);
    }
    ok = ok && !url.failed;
    if (ok)
        SET(CURLOPT_URL, buf_cstr(&url));
    return ok;
}

static bool prepare(struct ftps_session *s, struct ftps_folder folder, const char *name, int64_t extra_us)
{
    const struct ftps_server *v = s->server;
    const long timeout_s = (long)((v->timeout_us + extra_us + 999999) / 1000000);
    bool ok = leave_folder(s, folder.path);
    curl_easy_reset(s->easy);
    SET(CURLOPT_NOSIGNAL, 1L);
    SET(CURLOPT_PROXY, ""); /* no variable of the environment leads elsewhere */
    SET(CURLOPT_PROTOCOLS_STR, "ftp,ftps");
    SET(CURLOPT_USERNAME, secret_reveal(&v->user).p);
    SET(CURLOPT_PASSWORD, secret_reveal(&v->password).p);
    SET(CURLOPT_FTP_CREATE_MISSING_DIRS, folder.make ? (long)CURLFTP_CREATE_DIR_RETRY : (long)CURLFTP_CREATE_DIR_NONE);
    SET(CURLOPT_CONNECTTIMEOUT_MS, (long)(v->timeout_us / 1000));
    SET(CURLOPT_SERVER_RESPONSE_TIMEOUT, timeout_s);
    SET(CURLOPT_LOW_SPEED_LIMIT, (long)SLOW_BYTES_PER_S);
    SET(CURLOPT_LOW_SPEED_TIME, timeout_s);
    SET(CURLOPT_TCP_KEEPALIVE, 1L);
    SET(CURLOPT_HEADERFUNCTION, on_header);
    SET(CURLOPT_HEADERDATA, s);
    SET(CURLOPT_NOPROGRESS, 0L);
    SET(CURLOPT_XFERINFOFUNCTION, on_progress);
    SET(CURLOPT_XFERINFODATA, s);
    SET(CURLOPT_OPENSOCKETFUNCTION, on_open);
    SET(CURLOPT_OPENSOCKETDATA, s);
    SET(CURLOPT_CLOSESOCKETFUNCTION, on_close);
    SET(CURLOPT_CLOSESOCKETDATA, s);
    s->n_replies = 0;
    s->moved_bytes = 0;
    s->patience_us = v->timeout_us + extra_us;
    s->was_cut = s->had_no_folder = s->was_kept_out = s->is_stalled = s->has_data = false;
    return prepare_tls(s) && prepare_url(s, folder, name) && ok;
}

static CURLcode drive(struct ftps_session *s)
{
    CURLcode rc = CURLE_OUT_OF_MEMORY;
    int running = 1, left;
    moved(s);
    if (curl_multi_add_handle(s->multi, s->easy) != CURLM_OK)
        return rc;
    while (curl_multi_perform(s->multi, &running) == CURLM_OK) {
        for (CURLMsg *m; (m = curl_multi_info_read(s->multi, &left)) != NULL;)
            rc = m->msg == CURLMSG_DONE ? m->data.result : rc;
        if (running == 0)
            break;
        if (has_stalled(s)) {
            rc = CURLE_OPERATION_TIMEDOUT;
            break;
        }
        (void)curl_multi_poll(s->multi, NULL, 0, POLL_MS, NULL);
    }
    (void)curl_multi_remove_handle(s->multi, s->easy);
    s->is_alive = rc == CURLE_OK;
    if (rc != CURLE_OK && rc != CURLE_REMOTE_FILE_NOT_FOUND)
        hang_up(s);
    return rc;
}

/* QUIT is said with little patience; then the line is cut, as libcurl itself would wait two minutes for a server that does not answer. */
void ftps_session_free(struct ftps_session *s)
{
    if (s == NULL)
        return;
    if (s->is_alive) {
        struct curl_slist *quit = curl_slist_append(NULL, "*QUIT");
        bool ok = prepare(s, (struct ftps_folder){ "", false }, NULL, 0);
        s->patience_us = GOODBYE_US;
        SET(CURLOPT_NOBODY, 1L);
        SET(CURLOPT_QUOTE, quit);
        if (ok && quit != NULL)
            (void)drive(s);
        curl_slist_free_all(quit);
    }
    hang_up(s);
    if (s->easy != NULL)
        curl_easy_cleanup(s->easy);
    if (s->multi != NULL)
        (void)curl_multi_cleanup(s->multi);
    free(s);
}

/* ---- what went wrong ---- */

/* The last reply, 0: none. */
static int last_code(const struct ftps_session *s)
{
    return s->n_replies == 0 ? 0 : s->replies[(s->n_replies - 1) % FTPS_COMMANDS_MAX].code;
}

static bool fail_login(struct ftps_session *s, int reply, struct pixl_error *err)
{
    if (reply >= 400 && reply < 500)
        return pixl_fail(err, PIXL_E_UNAVAILABLE, reply, "destination: the server takes no login now (%d)", reply);
    s->was_kept_out = true;
    return pixl_fail(err, PIXL_E_DENIED, reply,
                     "destination: the server refuses the login (%d): look at the secrets "
                     "%s--ftp--username and %s--ftp--password",
                     reply, s->server->secrets_prefix, s->server->secrets_prefix);
}

static bool fail_certificate(struct ftps_session *s, struct pixl_error *err)
{
    static const char ca[] = "give its CA by destination.ftps.ca_file in the project file";
    long why = X509_V_OK;
    s->was_kept_out = true;
    (void)curl_easy_getinfo(s->easy, CURLINFO_SSL_VERIFYRESULT, &why);
    switch (why) {
    case X509_V_OK:
    case X509_V_ERR_UNSPECIFIED: /* what libcurl says where OpenSSL itself found no fault */
        return pixl_fail(err, PIXL_E_DENIED, 0,
                         "destination: the server's certificate is of another host: the secret "
                         "%s--ftp--host must be a name in it",
                         s->server->secrets_prefix);
    case X509_V_ERR_CERT_HAS_EXPIRED:
    case X509_V_ERR_CERT_NOT_YET_VALID:
        return pixl_fail(err, PIXL_E_DENIED, (int)why,
                         "destination: the server's certificate %s: the server needs a new one "
                         "(or this machine's clock is wrong)",
                         why == X509_V_ERR_CERT_HAS_EXPIRED ? "has expired" : "is not valid yet");
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
        return pixl_fail(err, PIXL_E_DENIED, (int)why,
                         "destination: the server's certificate is self-signed: %s "
                         "(the certificate itself is one)",
                         ca);
    case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
        return pixl_fail(err, PIXL_E_DENIED, (int)why,
                         "destination: the server's certificate is of a CA that is not trusted: %s", ca);
    default:
        return pixl_fail(err, PIXL_E_DENIED, (int)why, "destination: the server's certificate is not valid (%ld)", why);
    }
}

/* A refusal by its reply. */
static bool fail_reply(int reply, const char *doing, struct pixl_error *err)
{
    if (reply == 452 || reply == 552)
        return pixl_fail(err, PIXL_E_NO_SPACE, reply, "destination: the server has no space left (%d)", reply);
    if (reply >= 500)
        return pixl_fail(err, PIXL_E_DENIED, reply, "destination: the server refuses to %s (%d)", doing, reply);
    return pixl_fail(err, PIXL_E_UNAVAILABLE, reply, "destination: the server could not %s (%d)", doing, reply);
}

/* The last reply refuses a transfer.  It may reach us as anything: where the server closes the data connection with it, libcurl tries another
 * way to connect, and takes the refusal for the answer to that. */
static bool is_refusal(const struct ftps_session *s, CURLcode rc)
{
    const int reply = last_code(s);
    bool is_told = rc == CURLE_UPLOAD_FAILED || rc == CURLE_REMOTE_DISK_FULL || rc == CURLE_FTP_COULDNT_RETR_FILE ||
                   rc == CURLE_REMOTE_FILE_NOT_FOUND;
    return (is_told || s->has_data) && reply >= 450 && reply != 522 && !s->is_stalled;
}

static bool fail_connection(struct ftps_session *s, CURLcode rc, struct pixl_error *err)
{
    const char *what = "the connection to the server was cut";
    s->was_kept_out = s->n_replies == 0;
    switch (rc) {
    case CURLE_COULDNT_RESOLVE_HOST:
        return pixl_fail(err, PIXL_E_UNAVAILABLE, (int)rc,
                         "destination: the server's name is not known (secret %s--ftp--host)",
                         s->server->secrets_prefix);
    case CURLE_COULDNT_CONNECT: what = "the server cannot be reached"; break;
    case CURLE_OPERATION_TIMEDOUT:
        s->was_cut = last_code(s) == 421;
        what = s->was_cut ? "the server ended the session" : "the server does not answer";
        break;
    case CURLE_SSL_CONNECT_ERROR:
        s->was_cut = true;
        what = "no TLS came about: the connection was cut, or destination.ftps.tls or tls_max does not suit the server";
        break;
    default: s->was_cut = true; break;
    }
    return pixl_fail(err, PIXL_E_UNAVAILABLE, (int)rc, "destination: %s", what);
}

/* doing: "store a file". */
static bool fail(struct ftps_session *s, CURLcode rc, const char *doing, struct pixl_error *err)
{
    const int reply = last_code(s);
    if (s->is_stalled)
        rc = CURLE_OPERATION_TIMEDOUT;
    switch (rc) {
    case CURLE_OUT_OF_MEMORY: return fail_memory(err);
    case CURLE_LOGIN_DENIED: return fail_login(s, reply, err);
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_ISSUER_ERROR: return fail_certificate(s, err);
    case CURLE_SSL_CACERT_BADFILE:
        return pixl_fail(err, PIXL_E_UNAVAILABLE, (int)rc,
                         "destination: the file of destination.ftps.ca_file cannot be used");
    case CURLE_USE_SSL_FAILED:
        return pixl_fail(err, PIXL_E_DENIED, reply,
                         "destination: the server refuses TLS (%d), and nothing is sent without", reply);
    case CURLE_REMOTE_ACCESS_DENIED:
        s->had_no_folder = reply >= 500 && reply != 552;
        return fail_reply(reply, "open the project's folder", err);
    default: break;
    }
    if (is_refusal(s, rc))
        return fail_reply(reply, doing, err);
    if (reply == 425 || reply == 522)
        atomic_store(&s->server->one_file_each, true);
    return fail_connection(s, rc, err);
}

/* ---- calls ---- */

bool ftps_ask(struct ftps_session *s, struct ftps_folder folder, const char *const *commands, size_t n,
              int64_t extra_us, struct ftps_reply *replies, struct pixl_error *err)
{
    assert(n > 0 && n <= FTPS_COMMANDS_MAX);
    struct curl_slist *list = NULL;
    bool ok = prepare(s, folder, NULL, extra_us);
    for (size_t i = 0; ok && i < n; i++) {
        char command[COMMAND_BYTES_MAX];
        int len = snprintf(command, sizeof command, "*%s", commands[i]);
        struct curl_slist *longer = len > 0 && (size_t)len < sizeof command ? curl_slist_append(list, command) : NULL;
        ok = longer != NULL;
        list = longer != NULL ? longer : list;
    }
    SET(CURLOPT_NOBODY, 1L);
    SET(CURLOPT_PREQUOTE, list);
    CURLcode rc = ok ? drive(s) : CURLE_OUT_OF_MEMORY;
    curl_slist_free_all(list);
    if (rc == CURLE_OK && s->n_replies < n)
        rc = CURLE_GOT_NOTHING;
    if (rc != CURLE_OK)
        return fail(s, rc, "answer", err);
    for (size_t i = 0; i < n; i++)
        replies[i] = s->replies[(s->n_replies - n + i) % FTPS_COMMANDS_MAX];
    return true;
}

bool ftps_features(struct ftps_session *s, struct ftps_folder folder, void (*note)(void *ctx, struct str line),
                   void *ctx, struct pixl_error *err)
{
    struct ftps_reply reply;
    s->note = note;
    s->note_ctx = ctx;
    bool ok = ftps_ask(s, folder, (const char *[]){ "FEAT" }, 1, 0, &reply, err);
    s->note = NULL;
    return ok;
}

struct reading {
    struct ftps_source *source;
    uint64_t at;
    struct pixl_error err;
};

static size_t on_read(char *p, size_t size, size_t n, void *ctx)
{
    struct reading *r = ctx;
    struct ftps_source *f = r->source;
    uint64_t want = size * n;
    if (want > f->size_bytes - r->at)
        want = f->size_bytes - r->at;
    if (want == 0)
        return 0;
    ssize_t got;
    do
        got = pread(f->fd, p, (size_t)want, (off_t)r->at);
    while (got < 0 && errno == EINTR);
    if (got <= 0) {
        (void)(got < 0 ? pixl_fail_errno(&r->err, errno, "file to deliver")
                       : pixl_fail(&r->err, PIXL_E_CORRUPT, 0, "file to deliver: it is shorter than it was"));
        return CURL_READFUNC_ABORT;
    }
    uint64_t end = r->at + (uint64_t)got, known = f->sent_bytes > r->at ? f->sent_bytes - r->at : 0;
    if (end > f->sent_bytes) {
        if (f->hash != NULL && !hash_sha256_add(f->hash, p + known, (size_t)((uint64_t)got - known), &r->err))
            return CURL_READFUNC_ABORT;
        f->sent_bytes = end;
    }
    r->at = end;
    return (size_t)got;
}

static int on_seek(void *ctx, curl_off_t offset, int origin)
{
    struct reading *r = ctx;
    if (origin != SEEK_SET || offset < 0 || (uint64_t)offset > r->source->sent_bytes)
        return CURL_SEEKFUNC_CANTSEEK;
    r->at = (uint64_t)offset;
    return CURL_SEEKFUNC_OK;
}

bool ftps_put(struct ftps_session *s, struct ftps_folder folder, const char *name, struct ftps_source *source,
              uint64_t from_byte, struct pixl_error *err)
{
    assert(from_byte <= source->sent_bytes && source->size_bytes <= INT64_MAX);
    struct reading r = { .source = source };
    bool ok = prepare(s, folder, name, 0);
    SET(CURLOPT_UPLOAD, 1L);
    SET(CURLOPT_READFUNCTION, on_read);
    SET(CURLOPT_READDATA, &r);
    SET(CURLOPT_SEEKFUNCTION, on_seek);
    SET(CURLOPT_SEEKDATA, &r);
    SET(CURLOPT_INFILESIZE_LARGE, (curl_off_t)source->size_bytes);
    SET(CURLOPT_UPLOAD_BUFFERSIZE, (long)UPLOAD_BUFFER_BYTES);
    SET(CURLOPT_FORBID_REUSE, atomic_load(&s->server->one_file_each) ? 1L : 0L);
    if (from_byte > 0)
        SET(CURLOPT_RESUME_FROM_LARGE, (curl_off_t)from_byte);
    CURLcode rc = ok ? drive(s) : CURLE_OUT_OF_MEMORY;
    if (r.err.code != PIXL_OK) {
        *err = r.err;
        return false;
    }
    return rc == CURLE_OK || fail(s, rc, "store a file", err);
}

struct writing {
    bool (*take)(void *ctx, const char *p, size_t n);
    void *ctx;
    bool is_enough;
};

static size_t on_write(char *p, size_t size, size_t n, void *ctx)
{
    struct writing *w = ctx;
    w->is_enough = !w->take(w->ctx, p, size * n);
    return w->is_enough ? 0 : size * n;
}

/* request: instead of RETR; NULL: none. */
static bool get(struct ftps_session *s, struct ftps_folder folder, const char *name, const char *request,
                struct writing *w, bool *got, struct pixl_error *err)
{
    bool ok = prepare(s, folder, name, 0);
    SET(CURLOPT_WRITEFUNCTION, on_write);
    SET(CURLOPT_WRITEDATA, w);
    if (request != NULL)
        SET(CURLOPT_CUSTOMREQUEST, request);
    SET(CURLOPT_FORBID_REUSE, atomic_load(&s->server->one_file_each) ? 1L : 0L);
    CURLcode rc = ok ? drive(s) : CURLE_OUT_OF_MEMORY;
    bool refused = rc != CURLE_OK && last_code(s) >= 500 && is_refusal(s, rc);
    if (rc == CURLE_OK || w->is_enough || refused) {
        *got = !refused;
        return true;
    }
    return fail(s, rc, "read a file", err);
}

bool ftps_get(struct ftps_session *s, struct ftps_folder folder, const char *name,
              bool (*take)(void *ctx, const char *p, size_t n), void *ctx, bool *got, struct pixl_error *err)
{
    struct writing w = { .take = take, .ctx = ctx };
    if (name != NULL)
        return get(s, folder, name, NULL, &w, got, err);
    /* -a: names that begin with a dot too.  A server that takes it for the name of a folder shows them without. */
    return get(s, folder, NULL, "NLST -a", &w, got, err) && (*got || get(s, folder, NULL, "NLST", &w, got, err));
}
