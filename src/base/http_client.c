/* The client on libcurl: a pool of idle connections, each a multi handle with one easy handle.
 *
 * The multi interface is used for one request at a time: only there can a wait be cut short to look for cancellation. */
#include "http_client.h"

#include <assert.h>
#include <pthread.h>

#include <curl/curl.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509_vfy.h>

#include "clock.h"
#include "fs.h"

enum {
    IDLE_MAX = 16, /* connections that are kept while nobody uses them */
    SLICE_MS = 100,
    HEADERS_MAX_BYTES = 256 * 1024,
    URL_MAX_BYTES = 16 * 1024,
    HEADER_MAX_BYTES = 64 * 1024,
};

struct conn {
    CURLM *multi;
    CURL *easy;
    struct conn *next;
};

struct http_client {
    char *base, *place, *ca_file; /* base: scheme, host, port and prefix, without a slash at its end */
    struct secret authorization;  /* "Authorization: Basic ...", with a NUL behind it; n == 0: none */
    int connect_ms;
    pthread_mutex_t lock; /* guards idle, n_idle */
    struct conn *idle;
    size_t n_idle;
};

/* One request on its way. */
struct flight {
    const struct http_request *r;
    struct http_answer *answer;
    CURL *easy;
    struct pixl_error why; /* set by a callback that ended the transfer */
    bool is_enough;        /* a callback ended it because the rest is not wanted */
    uint64_t sent_bytes;
    size_t header_bytes;
};

/* --- errors: codes and our own words */

static const char *text_of_certificate(long verified)
{
    switch (verified) {
    case X509_V_OK:
    case X509_V_ERR_UNSPECIFIED: /* libcurl looked at the name itself and did not get to the result */
    case X509_V_ERR_HOSTNAME_MISMATCH:
    case X509_V_ERR_IP_ADDRESS_MISMATCH: return "the certificate is for another host";
    case X509_V_ERR_CERT_HAS_EXPIRED: return "the certificate has expired";
    case X509_V_ERR_CERT_NOT_YET_VALID: return "the certificate is not valid yet";
    case X509_V_ERR_CERT_REVOKED: return "the certificate is revoked";
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
    case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
    case X509_V_ERR_CERT_UNTRUSTED: return "the certificate is of an unknown CA";
    default: return "the certificate cannot be verified";
    }
}

static const struct {
    CURLcode curl;
    enum pixl_code code;
    const char *text;
} failures[] = {
    { CURLE_OUT_OF_MEMORY, PIXL_E_NOMEM, "out of memory" },
    { CURLE_SSL_CACERT_BADFILE, PIXL_E_UNAVAILABLE, "the CA file cannot be read any more" },
    { CURLE_COULDNT_RESOLVE_HOST, PIXL_E_UNAVAILABLE, "the host name is not known" },
    { CURLE_COULDNT_RESOLVE_PROXY, PIXL_E_UNAVAILABLE, "the proxy's host name is not known" },
    { CURLE_COULDNT_CONNECT, PIXL_E_UNAVAILABLE, "the connection was refused or the host is not reached" },
    { CURLE_OPERATION_TIMEDOUT, PIXL_E_UNAVAILABLE, "no connection in time" },
    { CURLE_SSL_CONNECT_ERROR, PIXL_E_UNAVAILABLE, "the TLS handshake failed" },
    { CURLE_GOT_NOTHING, PIXL_E_UNAVAILABLE, "the connection was cut" },
    { CURLE_PARTIAL_FILE, PIXL_E_UNAVAILABLE, "the connection was cut" },
    { CURLE_RECV_ERROR, PIXL_E_UNAVAILABLE, "the connection was cut" },
    { CURLE_SEND_ERROR, PIXL_E_UNAVAILABLE, "the connection was cut" },
    { CURLE_SEND_FAIL_REWIND, PIXL_E_UNAVAILABLE, "the connection was cut" },
    { CURLE_UNSUPPORTED_PROTOCOL, PIXL_E_UNAVAILABLE, "the other side speaks no HTTP" },
    { CURLE_WEIRD_SERVER_REPLY, PIXL_E_UNAVAILABLE, "the other side speaks no HTTP" },
    { CURLE_BAD_CONTENT_ENCODING, PIXL_E_UNAVAILABLE, "the other side speaks no HTTP" },
};

static bool fail_curl(const struct http_client *c, CURL *easy, CURLcode rc, struct pixl_error *err)
{
    if (rc == CURLE_PEER_FAILED_VERIFICATION) {
        long verified = 0;
        (void)curl_easy_getinfo(easy, CURLINFO_SSL_VERIFYRESULT, &verified);
        return pixl_fail(err, PIXL_E_DENIED, (int)rc, "%s: %s", c->place, text_of_certificate(verified));
    }
    for (size_t i = 0; i < ARRAY_LEN(failures); i++)
        if (failures[i].curl == rc)
            return pixl_fail(err, failures[i].code, (int)rc, "%s: %s", c->place, failures[i].text);
    return pixl_fail(err, PIXL_E_UNAVAILABLE, (int)rc, "%s: the client library failed with code %d", c->place, (int)rc);
}

static bool fail_nomem(struct pixl_error *err)
{
    return pixl_fail(err, PIXL_E_NOMEM, 0, "HTTP client");
}

/* --- opening */

static bool refuse(struct pixl_error *err, const char *what)
{
    return pixl_fail(err, PIXL_E_INVALID, 0, "HTTP address: %s", what);
}

static bool has_part(CURLU *u, CURLUPart part)
{
    char *text = NULL;
    bool has = curl_url_get(u, part, &text, 0) == CURLUE_OK;
    curl_free(text);
    return has;
}

/* Part of u as a malloc of ours in *out; the empty text when there is none. */
static bool copy_part(CURLU *u, CURLUPart part, char **out)
{
    char *text = NULL;
    CURLUcode rc = curl_url_get(u, part, &text, 0);
    *out = rc == CURLUE_OUT_OF_MEMORY ? NULL : strdup(text ? text : "");
    curl_free(text);
    return *out != NULL;
}

static bool take_address(struct http_client *c, CURLU *u, struct pixl_error *err)
{
    char *scheme = NULL, *host = NULL, *port = NULL, *path = NULL;
    bool ok = copy_part(u, CURLUPART_SCHEME, &scheme) && copy_part(u, CURLUPART_HOST, &host) &&
              copy_part(u, CURLUPART_PORT, &port) && copy_part(u, CURLUPART_PATH, &path);
    if (!ok) {
        (void)fail_nomem(err);
    } else if (strcmp(scheme, "http") != 0 && strcmp(scheme, "https") != 0) {
        ok = refuse(err, "it begins neither with http:// nor with https://");
    } else {
        size_t n = strlen(path);
        while (n > 0 && path[n - 1] == '/')
            path[--n] = '\0';
        const char *colon = port[0] ? ":" : "";
        if (asprintf(&c->place, "%s://%s%s%s", scheme, host, colon, port) < 0)
            c->place = NULL;
        if (asprintf(&c->base, "%s://%s%s%s%s", scheme, host, colon, port, path) < 0)
            c->base = NULL;
        ok = (c->place != NULL && c->base != NULL) || fail_nomem(err);
    }
    free(scheme);
    free(host);
    free(port);
    free(path);
    return ok;
}

static bool parse_address(struct http_client *c, const char *url, struct pixl_error *err)
{
    CURLU *u = curl_url();
    if (u == NULL)
        return fail_nomem(err);
    bool ok = false;
    CURLUcode rc = curl_url_set(u, CURLUPART_URL, url, CURLU_NON_SUPPORT_SCHEME);
    if (rc == CURLUE_OUT_OF_MEMORY)
        (void)fail_nomem(err);
    else if (rc != CURLUE_OK || !has_part(u, CURLUPART_HOST))
        (void)refuse(err, "it is none of the form http[s]://host[:port]");
    else if (has_part(u, CURLUPART_USER) || has_part(u, CURLUPART_PASSWORD))
        (void)refuse(err, "it has a login in it");
    else if (has_part(u, CURLUPART_QUERY) || has_part(u, CURLUPART_FRAGMENT))
        (void)refuse(err, "it has a query or a fragment");
    else
        ok = take_address(c, u, err);
    curl_url_cleanup(u);
    return ok;
}

static bool is_printable(struct str s)
{
    for (size_t i = 0; i < s.n; i++)
        if ((unsigned char)s.p[i] < ' ' || s.p[i] == 0x7F)
            return false;
    return true;
}

static bool take_login(struct http_client *c, const char *user, const struct secret *password, struct pixl_error *err)
{
    const struct str name = str_of(user), pw = password ? secret_reveal(password) : (struct str){ 0 };
    if (strchr(user, ':') || !is_printable(name) || !is_printable(pw))
        return refuse(err, "a user has no colon in it, and a login no control characters");
    static const char head[] = "Authorization: Basic ";
    size_t n = name.n + 1 + pw.n, coded = (n + 2) / 3 * 4;
    if (n > HEADER_MAX_BYTES)
        return refuse(err, "the login is too long");
    size_t all = n + sizeof head - 1 + coded + 1;
    unsigned char *plain = malloc(all);
    if (plain == NULL)
        return fail_nomem(err);
    if (name.n)
        memcpy(plain, name.p, name.n);
    plain[name.n] = ':';
    if (pw.n)
        memcpy(plain + name.n + 1, pw.p, pw.n);
    memcpy(plain + n, head, sizeof head - 1);
    (void)EVP_EncodeBlock(plain + n + sizeof head - 1, plain, (int)n);
    bool ok = secret_set(&c->authorization, (struct str){ (const char *)plain + n, all - n }, err);
    explicit_bzero(plain, all);
    free(plain);
    return ok;
}

static bool check_ca_file(const char *path, struct pixl_error *err)
{
    FILE *f = fopen(path, "re");
    X509 *first = f ? PEM_read_X509(f, NULL, NULL, NULL) : NULL;
    if (f)
        (void)fclose(f);
    if (first == NULL)
        return pixl_fail(err, PIXL_E_INVALID, 0, "HTTP: the CA file cannot be read, or holds no certificate in PEM");
    X509_free(first);
    return true;
}

bool http_client_open(const struct http_client_options *o, struct http_client **out, struct pixl_error *err)
{
    assert(o->url != NULL && o->connect_ms > 0);
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) /* counted by libcurl, and safe in threads since 7.84 */
        return fail_nomem(err);
    struct http_client *c = calloc(1, sizeof *c);
    if (c == NULL) {
        curl_global_cleanup();
        return fail_nomem(err);
    }
    (void)pthread_mutex_init(&c->lock, NULL);
    c->connect_ms = o->connect_ms;
    bool ok = parse_address(c, o->url, err) && (o->user == NULL || take_login(c, o->user, o->password, err)) &&
              (o->ca_file == NULL || check_ca_file(o->ca_file, err));
    if (ok && o->ca_file != NULL)
        ok = (c->ca_file = strdup(o->ca_file)) != NULL || fail_nomem(err);
    if (ok)
        *out = c;
    else
        http_client_close(c);
    return ok;
}

static void conn_free(struct conn *k)
{
    curl_easy_cleanup(k->easy);
    (void)curl_multi_cleanup(k->multi);
    free(k);
}

void http_client_close(struct http_client *c)
{
    if (c == NULL)
        return;
    while (c->idle) {
        struct conn *k = c->idle;
        c->idle = k->next;
        conn_free(k);
    }
    secret_done(&c->authorization);
    free(c->base);
    free(c->place);
    free(c->ca_file);
    (void)pthread_mutex_destroy(&c->lock);
    free(c);
    curl_global_cleanup();
}

const char *http_client_place(const struct http_client *c)
{
    return c->place;
}

/* --- the pool */

static struct conn *conn_take(struct http_client *c)
{
    (void)pthread_mutex_lock(&c->lock);
    struct conn *k = c->idle;
    if (k) {
        c->idle = k->next;
        c->n_idle--;
    }
    (void)pthread_mutex_unlock(&c->lock);
    if (k)
        return k;
    k = calloc(1, sizeof *k);
    if (k == NULL)
        return NULL;
    k->multi = curl_multi_init();
    k->easy = curl_easy_init();
    if (k->multi == NULL || k->easy == NULL) {
        conn_free(k);
        return NULL;
    }
    (void)curl_multi_setopt(k->multi, CURLMOPT_MAXCONNECTS, 1L);
    return k;
}

static void conn_give_back(struct http_client *c, struct conn *k)
{
    (void)pthread_mutex_lock(&c->lock);
    bool keep = c->n_idle < IDLE_MAX;
    if (keep) {
        k->next = c->idle;
        c->idle = k;
        c->n_idle++;
    }
    (void)pthread_mutex_unlock(&c->lock);
    if (!keep)
        conn_free(k);
}

/* --- what libcurl calls */

static int status_of(const struct flight *f)
{
    long status = 0;
    (void)curl_easy_getinfo(f->easy, CURLINFO_RESPONSE_CODE, &status);
    return (int)status;
}

static size_t on_body_wanted(char *to, size_t size, size_t count, void *arg)
{
    struct flight *f = arg;
    const struct http_request *r = f->r;
    uint64_t all = r->body_fd >= 0 ? r->body_bytes : r->body.n, left = all - f->sent_bytes;
    size_t n = left < size * count ? (size_t)left : size * count;
    if (n == 0)
        return 0;
    if (r->body_fd < 0)
        memcpy(to, r->body.p + f->sent_bytes, n);
    else if (!fs_pread_all(r->body_fd, to, n, f->sent_bytes, &f->why))
        return CURL_READFUNC_ABORT;
    f->sent_bytes += n;
    return n;
}

static int on_seek(void *arg, curl_off_t offset, int origin)
{
    struct flight *f = arg;
    if (origin != SEEK_SET)
        return CURL_SEEKFUNC_FAIL;
    f->sent_bytes = (uint64_t)offset;
    return CURL_SEEKFUNC_OK;
}

/* Of a 2xx answer all is wanted, of others what there is room for. */
static size_t on_body(char *p, size_t size, size_t count, void *arg)
{
    struct flight *f = arg;
    struct http_answer *a = f->answer;
    size_t n = size * count;
    bool is_good = status_of(f) / 100 == 2, to_file = is_good && f->r->answer_fd >= 0;
    uint64_t room = f->r->answer_max > a->body_bytes ? f->r->answer_max - a->body_bytes : 0;
    if (!to_file && room > a->body.max - a->body.n)
        room = a->body.max - a->body.n;
    size_t take = n <= room ? n : (size_t)room;
    if (take < n && is_good)
        return (size_t)pixl_fail(&f->why, PIXL_E_LIMIT, 0, "the answer is longer than it may be");
    if (to_file ? !fs_write_all(f->r->answer_fd, p, take, &f->why) : !buf_add(&a->body, p, take))
        return f->why.code ? 0 : (size_t)fail_nomem(&f->why);
    a->body_bytes += take;
    f->is_enough = take < n;
    return take;
}

/* Seconds since 1970; -1: no date. */
static int64_t date_of(struct str value)
{
    char date[64];
    if (value.n >= sizeof date)
        return -1;
    memcpy(date, value.p, value.n);
    date[value.n] = '\0';
    return (int64_t)curl_getdate(date, NULL);
}

static void take_retry_after(struct http_answer *a, struct str value)
{
    uint64_t seconds;
    if (str_to_u64(value, &seconds)) {
        a->retry_after_s = seconds <= INT32_MAX ? (int64_t)seconds : -1;
    } else {
        int64_t at = date_of(value), left = at - clock_wall_us() / 1000000;
        a->retry_after_s = at == -1 ? -1 : left > 0 ? left : 0;
    }
}

static void take_text(char *out, size_t size, struct str value)
{
    if (out[0] == '\0' && value.n < size) {
        memcpy(out, value.p, value.n);
        out[value.n] = '\0';
    }
}

static void forget_headers(struct http_answer *a)
{
    a->retry_after_s = a->date_s = -1;
    a->challenge[0] = a->content_type[0] = '\0';
}

static size_t on_header(char *p, size_t size, size_t count, void *arg)
{
    struct flight *f = arg;
    size_t n = size * count;
    struct str line = { p, n }, name, value;
    f->header_bytes += n;
    if (f->header_bytes > HEADERS_MAX_BYTES)
        return (size_t)pixl_fail(&f->why, PIXL_E_LIMIT, 0, "the answer's headers are longer than they may be");
    if (str_is_prefix(line, STR("HTTP/"))) /* of an interim answer, or the one behind it */
        forget_headers(f->answer);
    if (!str_split(line, ':', &name, &value) || memchr(value.p, '\0', value.n))
        return n;
    value = str_trim(value);
    if (value.n == 0)
        return n;
    if (str_eq_nocase(name, STR("Retry-After")))
        take_retry_after(f->answer, value);
    else if (str_eq_nocase(name, STR("Date")))
        f->answer->date_s = date_of(value);
    else if (str_eq_nocase(name, STR("WWW-Authenticate")))
        take_text(f->answer->challenge, sizeof f->answer->challenge, value);
    else if (str_eq_nocase(name, STR("Content-Type")))
        take_text(f->answer->content_type, sizeof f->answer->content_type, value);
    return n;
}

/* --- a request's options */

/* Appends "name: value", which is wiped with the list. */
static bool add_header(struct curl_slist **list, struct buf *text, const char *name, struct str value,
                       struct pixl_error *err)
{
    if (!is_printable(value))
        return pixl_fail(err, PIXL_E_INVALID, 0, "HTTP request: a header has a control character");
    buf_clear(text);
    if (!buf_addf(text, "%s: ", name) || !buf_add_str(text, value))
        return text->n + value.n > HEADER_MAX_BYTES - 256
                   ? pixl_fail(err, PIXL_E_LIMIT, 0, "HTTP request: a header is too long")
                   : fail_nomem(err);
    struct curl_slist *longer = curl_slist_append(*list, buf_cstr(text));
    if (longer == NULL)
        return fail_nomem(err);
    *list = longer;
    return true;
}

static bool add_line(struct curl_slist **list, const char *line, struct pixl_error *err)
{
    struct curl_slist *longer = curl_slist_append(*list, line);
    if (longer == NULL)
        return fail_nomem(err);
    *list = longer;
    return true;
}

static void headers_free(struct curl_slist *list)
{
    for (struct curl_slist *h = list; h; h = h->next)
        explicit_bzero(h->data, strlen(h->data));
    curl_slist_free_all(list);
}

static bool add_bearer(struct curl_slist **list, struct buf *text, const struct secret *token, struct pixl_error *err)
{
    struct str bare = secret_reveal(token);
    buf_auto value;
    buf_init(&value, HEADER_MAX_BYTES);
    bool ok = (buf_add_cstr(&value, "Bearer ") && buf_add_str(&value, bare)) || fail_nomem(err);
    ok = ok && add_header(list, text, "Authorization", buf_str(&value), err);
    if (value.p)
        explicit_bzero(value.p, value.n);
    return ok;
}

/* *list is the caller's also when this fails. */
static bool make_headers(const struct http_client *c, const struct http_request *r, struct curl_slist **list,
                         struct pixl_error *err)
{
    buf_auto text;
    buf_init(&text, HEADER_MAX_BYTES);
    bool ok = add_line(list, "Expect:", err);
    for (size_t i = 0; ok && i < r->n_headers; i++)
        ok = add_header(list, &text, r->headers[i].name, r->headers[i].value, err);
    if (ok && r->content_type)
        ok = add_header(list, &text, "Content-Type", str_of(r->content_type), err);
    else if (ok)
        ok = add_line(list, "Content-Type:", err); /* or libcurl says that a POST is a form */
    if (ok && r->bearer)
        ok = add_bearer(list, &text, r->bearer, err);
    else if (ok && c->authorization.n)
        ok = add_line(list, secret_reveal(&c->authorization).p, err);
    if (text.p)
        explicit_bzero(text.p, text.n);
    return ok;
}

static bool set_address(const struct http_client *c, CURL *e, const char *path, CURLcode *rc, struct pixl_error *err)
{
    struct str s = str_of(path);
    if (s.n == 0 || s.p[0] != '/' || !is_printable(s) || strpbrk(path, " #"))
        return pixl_fail(err, PIXL_E_INVALID, 0, "HTTP request: this can be no path");
    buf_auto url;
    buf_init(&url, URL_MAX_BYTES);
    if (!buf_add_cstr(&url, c->base) || !buf_add_str(&url, s))
        return strlen(c->base) + s.n > URL_MAX_BYTES
                   ? pixl_fail(err, PIXL_E_LIMIT, 0, "HTTP request: the path is too long")
                   : fail_nomem(err);
    *rc = curl_easy_setopt(e, CURLOPT_URL, buf_cstr(&url));
    return true;
}

#define SET(option, value)                           \
    do {                                             \
        if (rc == CURLE_OK)                          \
            rc = curl_easy_setopt(e, option, value); \
    } while (0)

static CURLcode set_method(CURL *e, struct flight *f)
{
    const struct http_request *r = f->r;
    curl_off_t bytes = (curl_off_t)(r->body_fd >= 0 ? r->body_bytes : r->body.n);
    CURLcode rc = CURLE_OK;
    assert(bytes == 0 || r->method == HTTP_PUT || r->method == HTTP_POST);
    SET(CURLOPT_READFUNCTION, on_body_wanted);
    SET(CURLOPT_READDATA, f);
    switch (r->method) {
    case HTTP_GET: SET(CURLOPT_HTTPGET, 1L); break;
    case HTTP_DELETE: SET(CURLOPT_CUSTOMREQUEST, "DELETE"); break;
    case HTTP_PUT:
        SET(CURLOPT_UPLOAD, 1L);
        SET(CURLOPT_INFILESIZE_LARGE, bytes);
        SET(CURLOPT_SEEKFUNCTION, on_seek);
        SET(CURLOPT_SEEKDATA, f);
        break;
    case HTTP_POST: /* without a way to go back in the body, libcurl cannot send it a second time */
        SET(CURLOPT_POST, 1L);
        SET(CURLOPT_POSTFIELDSIZE_LARGE, bytes);
        break;
    }
    return rc;
}

static CURLcode set_options(const struct http_client *c, CURL *e, struct flight *f, struct curl_slist *headers)
{
    CURLcode rc = CURLE_OK;
    bool tls = strncmp(c->base, "https", 5) == 0;
    SET(CURLOPT_NOSIGNAL, 1L);
    SET(CURLOPT_PROTOCOLS_STR, tls ? "https" : "http");
    SET(CURLOPT_FOLLOWLOCATION, 0L);
    SET(CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    SET(CURLOPT_PATH_AS_IS, 1L);
    SET(CURLOPT_CONNECTTIMEOUT_MS, (long)c->connect_ms);
    SET(CURLOPT_TCP_KEEPALIVE, 1L);
    SET(CURLOPT_BUFFERSIZE, 128L * 1024);
    SET(CURLOPT_UPLOAD_BUFFERSIZE, 128L * 1024);
    SET(CURLOPT_SSL_VERIFYPEER, 1L);
    SET(CURLOPT_SSL_VERIFYHOST, 2L);
    SET(CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    if (c->ca_file) {
        SET(CURLOPT_CAINFO, c->ca_file);
        SET(CURLOPT_CAPATH, NULL);
    }
    if (!tls)
        SET(CURLOPT_PROXY, "");
    SET(CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
    SET(CURLOPT_HEADEROPT, (long)CURLHEADER_SEPARATE);
    SET(CURLOPT_HTTPHEADER, headers);
    SET(CURLOPT_USERAGENT, "pixl");
    SET(CURLOPT_WRITEFUNCTION, on_body);
    SET(CURLOPT_WRITEDATA, f);
    SET(CURLOPT_HEADERFUNCTION, on_header);
    SET(CURLOPT_HEADERDATA, f);
    return rc;
}

/* --- the request */

static bool finish(const struct http_client *c, const struct flight *f, CURLcode rc, struct pixl_error *err)
{
    if (f->why.code)
        return pixl_fail(err, f->why.code, f->why.sys, "%s: %s", c->place, f->why.msg);
    if (rc != CURLE_OK && !(f->is_enough && rc == CURLE_WRITE_ERROR))
        return fail_curl(c, f->easy, rc, err);
    f->answer->status = status_of(f);
    return true;
}

/* Moves bytes until the answer is whole, the deadline is there, or the request is cancelled. */
static bool fly(const struct http_client *c, struct conn *k, struct flight *f, struct pixl_error *err)
{
    const struct http_request *r = f->r;
    for (;;) {
        int running = 0, left = 0;
        CURLMcode rc = curl_multi_perform(k->multi, &running);
        const CURLMsg *m = rc == CURLM_OK ? curl_multi_info_read(k->multi, &left) : NULL;
        if (m && m->msg == CURLMSG_DONE)
            return finish(c, f, m->data.result, err);
        if (r->cancel && atomic_load(r->cancel))
            return pixl_fail(err, PIXL_E_CANCELLED, 0, "%s: cancelled", c->place);
        int64_t left_us = r->deadline_us - clock_mono_us();
        if (left_us <= 0)
            return pixl_fail(err, PIXL_E_UNAVAILABLE, (int)CURLE_OPERATION_TIMEDOUT, "%s: no answer in time", c->place);
        int wait_ms = left_us >= SLICE_MS * 1000 ? SLICE_MS : (int)(left_us / 1000) + 1;
        if (rc == CURLM_OK)
            rc = curl_multi_poll(k->multi, NULL, 0, wait_ms, NULL);
        if (rc == CURLM_OUT_OF_MEMORY)
            return fail_nomem(err);
        if (rc != CURLM_OK)
            return pixl_fail(err, PIXL_E_INTERNAL, (int)rc, "%s: the client library failed", c->place);
    }
}

static bool send_it(struct http_client *c, struct conn *k, struct flight *f, struct pixl_error *err)
{
    struct curl_slist *headers = NULL;
    curl_easy_reset(k->easy);
    CURLcode rc = CURLE_OK;
    bool ok = make_headers(c, f->r, &headers, err) && set_address(c, k->easy, f->r->path, &rc, err);
    if (ok && rc == CURLE_OK)
        rc = set_options(c, k->easy, f, headers);
    if (ok && rc == CURLE_OK)
        rc = set_method(k->easy, f);
    if (ok && rc != CURLE_OK)
        ok = fail_curl(c, k->easy, rc, err);
    if (ok && curl_multi_add_handle(k->multi, k->easy) != CURLM_OK)
        ok = fail_nomem(err);
    else if (ok) {
        ok = fly(c, k, f, err);
        (void)curl_multi_remove_handle(k->multi, k->easy); /* closes the connection of a request that did not end */
    }
    curl_easy_reset(k->easy);
    headers_free(headers);
    return ok;
}

bool http_client_do(struct http_client *c, const struct http_request *r, struct http_answer *out,
                    struct pixl_error *err)
{
    assert(err->code == PIXL_OK);
    struct conn *k = conn_take(c);
    if (k == NULL)
        return fail_nomem(err);
    buf_clear(&out->body);
    out->status = 0;
    out->body_bytes = 0;
    forget_headers(out);
    struct flight f = { .r = r, .answer = out, .easy = k->easy };
    bool ok = send_it(c, k, &f, err);
    conn_give_back(c, k);
    return ok;
}
