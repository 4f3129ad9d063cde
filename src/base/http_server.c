#include "http_server.h"

#include <arpa/inet.h>
#include <errno.h>
#include <microhttpd.h>
#include <netdb.h>
#include <netinet/in.h>
#include <openssl/crypto.h>
#include <pthread.h>
#include <signal.h>
#include <sys/socket.h>

#include "clock.h"
#include "hash.h"

enum {
    BACKLOG = 256,
    REAP_MS = 100,
    CROWDED_MS = 1000,           /* instead of the timeout, while half of the connections are taken */
    HEADERS_MAX = 32 * 1024,
    SWALLOW_MAX = 16 << 20,      /* a refused body is read to its end, up to this, so that the client reads the answer */
};

/* A connection, from accept to close. */
struct conn {
    struct conn *next;
    int fd;
    int64_t since_us;            /* mono: when it was accepted, or its answer was ready */
    bool is_handled;             /* its handler runs: it takes what it takes */
};

/* One request, from its first line to its last byte. */
struct request {
    const struct http_route *route;      /* NULL: none answers it */
    bool has_place;              /* counts among the running of its route */
    int refused;                 /* status that it gets instead; 0: none */
    struct buf body;
};

struct http_server {
    struct MHD_Daemon *daemon;
    const struct http_route *routes;
    size_t n_routes, body_max;
    void *ctx;
    int port, timeout_ms, connections_max;
    bool has_token;
    uint8_t token[HASH_SHA256_BYTES];    /* its digest: what is compared has one length */
    atomic_bool stopping;

    pthread_mutex_t lock;        /* guards what follows */
    pthread_cond_t changed;
    struct conn *conns;
    int n_conns, n_requests;
    int *running;                /* of each route */
    bool reaper_ends;
    pthread_t reaper;
};

/* --- who may ask --------------------------------------------------------------------------------------------------- */

static bool digest_of(struct str s, uint8_t out[HASH_SHA256_BYTES])
{
    hash_sha256_auto *h = NULL;
    struct pixl_error ignored = { 0 };
    return hash_sha256_new(&h, &ignored) && hash_sha256_add(h, s.p, s.n, &ignored) && hash_sha256_end(h, out, &ignored);
}

static struct str header(struct MHD_Connection *c, const char *name)
{
    return str_of(MHD_lookup_connection_value(c, MHD_HEADER_KIND, name));
}

static bool has_token(const struct http_server *s, struct MHD_Connection *c)
{
    uint8_t digest[HASH_SHA256_BYTES];
    struct str scheme, token;
    if (!str_split(header(c, "Authorization"), ' ', &scheme, &token) || !str_eq_nocase(scheme, STR("Bearer")))
        return false;
    return digest_of(str_trim(token), digest) && CRYPTO_memcmp(digest, s->token, sizeof digest) == 0;
}

/* "127.0.0.1", and no name that only begins so. */
static bool is_loopback_text(struct str name)
{
    char text[INET_ADDRSTRLEN];
    struct in_addr a;
    if (name.n >= sizeof text)
        return false;
    (void)snprintf(text, sizeof text, "%.*s", STR_ARG(name));
    return inet_pton(AF_INET, text, &a) == 1 && ntohl(a.s_addr) >> 24 == 127;
}

/* "localhost:7007", "127.0.0.1", "[::1]:7007": who asks for another name was led here by a page of that name. */
static bool names_this_machine(struct str host)
{
    struct str name = host, rest;
    if (str_is_prefix(host, STR("[")))
        return str_is_prefix(host, STR("[::1]")) && (host.n == 5 || host.p[5] == ':');
    (void)str_split(host, ':', &name, &rest);
    return str_eq_nocase(name, STR("localhost")) || is_loopback_text(name);
}

static int refuse_caller(const struct http_server *s, struct MHD_Connection *c, const struct http_route *route)
{
    if (s->has_token)
        return route != NULL && route->is_open ? 0 : has_token(s, c) ? 0 : MHD_HTTP_UNAUTHORIZED;
    struct str host = header(c, "Host");
    bool from_page = header(c, "Origin").n > 0 || (host.n > 0 && !names_this_machine(host));
    return from_page ? MHD_HTTP_FORBIDDEN : 0;
}

/* --- answers --------------------------------------------------------------------------------------------------------- */

static const char *refusal(int status)
{
    switch (status) {
    case MHD_HTTP_UNAUTHORIZED:        return "{\"detail\":\"Not authenticated\"}";
    case MHD_HTTP_FORBIDDEN:           return "{\"detail\":\"Forbidden: this server answers programs on its own machine\"}";
    case MHD_HTTP_NOT_FOUND:           return "{\"detail\":\"Not Found\"}";
    case MHD_HTTP_METHOD_NOT_ALLOWED:  return "{\"detail\":\"Method Not Allowed\"}";
    case MHD_HTTP_CONTENT_TOO_LARGE:   return "{\"detail\":\"Request body is too large\"}";
    case MHD_HTTP_SERVICE_UNAVAILABLE: return "{\"detail\":\"Too many such requests at once, try again\"}";
    default:                           return "{\"detail\":\"Internal Server Error\"}";
    }
}

/* The methods that a path has, for a 405. */
static void add_allow(const struct http_server *s, struct MHD_Response *r, const char *path)
{
    buf_auto list;
    buf_init(&list, 256);
    for (size_t i = 0; i < s->n_routes; i++)
        if (strcmp(s->routes[i].path, path) == 0)
            (void)buf_addf(&list, "%s%s", list.n ? ", " : "", s->routes[i].method);
    (void)MHD_add_response_header(r, "Allow", buf_cstr(&list));
}

/* Given: MHD_destroy_response(); NULL when out of memory. */
static struct MHD_Response *new_response(int status, const char *type, struct str body)
{
    union { const char *in; void *out; } p = { .in = body.n ? body.p : "" };     /* copied, not changed */
    struct MHD_Response *r = MHD_create_response_from_buffer(body.n, p.out, MHD_RESPMEM_MUST_COPY);
    if (r == NULL)
        return NULL;
    (void)MHD_add_response_header(r, "Content-Type", type);
    (void)MHD_add_response_header(r, "Connection", "close");
    (void)MHD_add_response_header(r, "Cache-Control", "no-store");
    if (status == MHD_HTTP_UNAUTHORIZED)
        (void)MHD_add_response_header(r, "WWW-Authenticate", "Bearer");
    if (status == MHD_HTTP_SERVICE_UNAVAILABLE)
        (void)MHD_add_response_header(r, "Retry-After", "1");
    return r;
}

static enum MHD_Result send_response(struct MHD_Connection *c, int status, struct MHD_Response *r)
{
    enum MHD_Result queued = MHD_queue_response(c, (unsigned)status, r);
    MHD_destroy_response(r);
    return queued;
}

static enum MHD_Result refuse(const struct http_server *s, struct MHD_Connection *c, const char *path, int status)
{
    struct MHD_Response *r = new_response(status, "application/json", str_of(refusal(status)));
    if (r == NULL)
        return MHD_NO;
    if (status == MHD_HTTP_METHOD_NOT_ALLOWED)
        add_allow(s, r, path);
    return send_response(c, status, r);
}

/* --- requests -------------------------------------------------------------------------------------------------------- */

static const struct http_route *find_route(const struct http_server *s, const char *method, const char *path, int *refused)
{
    *refused = MHD_HTTP_NOT_FOUND;
    for (size_t i = 0; i < s->n_routes; i++) {
        if (strcmp(s->routes[i].path, path) != 0)
            continue;
        if (strcmp(s->routes[i].method, method) == 0) {
            *refused = 0;
            return &s->routes[i];
        }
        *refused = MHD_HTTP_METHOD_NOT_ALLOWED;
    }
    return NULL;
}

static struct conn *conn_of(struct MHD_Connection *c)
{
    const union MHD_ConnectionInfo *info = MHD_get_connection_info(c, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    return info != NULL ? info->socket_context : NULL;
}

static void set_handled(struct http_server *s, struct MHD_Connection *c, bool is_handled)
{
    struct conn *conn = conn_of(c);
    pthread_mutex_lock(&s->lock);
    if (conn != NULL) {
        conn->is_handled = is_handled;
        conn->since_us = clock_mono_us();
    }
    pthread_mutex_unlock(&s->lock);
}

static bool take_place(struct http_server *s, struct request *rq)
{
    int *n = &s->running[rq->route - s->routes];
    pthread_mutex_lock(&s->lock);
    rq->has_place = rq->route->at_once == 0 || *n < rq->route->at_once;
    *n += rq->has_place;
    pthread_mutex_unlock(&s->lock);
    return rq->has_place;
}

static bool is_json(struct str type)
{
    struct str kind, parameters;
    (void)str_split(type, ';', &kind, &parameters);
    kind = str_trim(kind);
    static const struct str plus = { "+json", 5 };
    return kind.n == 0 || str_eq_nocase(kind, STR("application/json")) ||
           (kind.n > plus.n && str_eq_nocase((struct str){ kind.p + kind.n - plus.n, plus.n }, plus));
}

static enum MHD_Result answer(struct http_server *s, struct MHD_Connection *c, struct request *rq)
{
    struct http_server_answer an = { .status = MHD_HTTP_OK, .content_type = "application/json" };
    const struct http_server_request in = {
        .body = buf_str(&rq->body), .is_json = is_json(header(c, "Content-Type")), .stopping = &s->stopping,
    };
    buf_init(&an.body, HTTP_SERVER_ANSWER_MAX);
    set_handled(s, c, true);
    rq->route->handle(s->ctx, &in, &an);
    set_handled(s, c, false);
    enum MHD_Result queued = MHD_NO;
    if (an.body.failed) {
        queued = refuse(s, c, rq->route->path, MHD_HTTP_INTERNAL_SERVER_ERROR);
    } else {
        struct MHD_Response *r = new_response(an.status, an.content_type, buf_str(&an.body));
        if (r != NULL)
            queued = send_response(c, an.status, r);
    }
    buf_done(&an.body);
    return queued;
}

/* The head of a request has come: whom it concerns, and whether it may. */
static enum MHD_Result begin_request(struct http_server *s, struct MHD_Connection *c, const char *path, const char *method, void **mine)
{
    struct request *rq = calloc(1, sizeof *rq);
    if (rq == NULL)
        return MHD_NO;
    buf_init(&rq->body, s->body_max);
    *mine = rq;
    pthread_mutex_lock(&s->lock);
    s->n_requests++;
    pthread_mutex_unlock(&s->lock);
    rq->route = find_route(s, method, path, &rq->refused);
    int caller = refuse_caller(s, c, rq->route);
    if (caller != 0)
        rq->refused = caller;
    uint64_t length = 0;
    struct str text = header(c, "Content-Length");
    if (rq->refused == 0 && text.n > 0 && str_to_u64(text, &length) && length > s->body_max)
        rq->refused = MHD_HTTP_CONTENT_TOO_LARGE;
    if (rq->refused != 0 && (length > SWALLOW_MAX || header(c, "Expect").n > 0))
        return refuse(s, c, path, rq->refused);
    return MHD_YES;
}

static enum MHD_Result handle(void *cls, struct MHD_Connection *c, const char *path, const char *method, const char *version,
                              const char *data, size_t *n_data, void **mine)
{
    struct http_server *s = cls;
    struct request *rq = *mine;
    (void)version;
    if (rq == NULL)
        return begin_request(s, c, path, method, mine);
    if (*n_data > 0) {
        if (rq->refused == 0 && !buf_add(&rq->body, data, *n_data))
            rq->refused = rq->body.max - rq->body.n < *n_data ? MHD_HTTP_CONTENT_TOO_LARGE : MHD_HTTP_INTERNAL_SERVER_ERROR;
        *n_data = 0;
        return MHD_YES;
    }
    if (rq->refused == 0 && !take_place(s, rq))
        rq->refused = MHD_HTTP_SERVICE_UNAVAILABLE;
    return rq->refused != 0 ? refuse(s, c, path, rq->refused) : answer(s, c, rq);
}

static void request_ended(void *cls, struct MHD_Connection *c, void **mine, enum MHD_RequestTerminationCode why)
{
    struct http_server *s = cls;
    struct request *rq = *mine;
    (void)c;
    (void)why;
    if (rq == NULL)
        return;
    pthread_mutex_lock(&s->lock);
    s->n_requests--;
    if (rq->has_place)
        s->running[rq->route - s->routes]--;
    pthread_cond_broadcast(&s->changed);
    pthread_mutex_unlock(&s->lock);
    buf_done(&rq->body);
    free(rq);
    *mine = NULL;
}

/* --- connections ------------------------------------------------------------------------------------------------------ */

/* Its thread sees the end of the stream and closes it.  The descriptor is ours to name while the connection is in the list. */
static void cut(struct conn *c)
{
    (void)shutdown(c->fd, SHUT_RDWR);
}

static void add_conn(struct http_server *s, struct MHD_Connection *c, void **mine)
{
    const union MHD_ConnectionInfo *info = MHD_get_connection_info(c, MHD_CONNECTION_INFO_CONNECTION_FD);
    struct conn *conn = calloc(1, sizeof *conn);
    *mine = conn;
    if (info == NULL)
        return;
    if (conn == NULL) {                  /* one that nobody watches is none */
        (void)shutdown(info->connect_fd, SHUT_RDWR);
        return;
    }
    *conn = (struct conn){ .fd = info->connect_fd, .since_us = clock_mono_us() };
    pthread_mutex_lock(&s->lock);
    conn->next = s->conns;
    s->conns = conn;
    s->n_conns++;
    pthread_mutex_unlock(&s->lock);
}

static void drop_conn(struct http_server *s, struct conn *conn)
{
    if (conn == NULL)
        return;
    pthread_mutex_lock(&s->lock);
    for (struct conn **at = &s->conns; *at != NULL; at = &(*at)->next)
        if (*at == conn) {
            *at = conn->next;
            s->n_conns--;
            break;
        }
    pthread_mutex_unlock(&s->lock);
    free(conn);
}

static void conn_changed(void *cls, struct MHD_Connection *c, void **mine, enum MHD_ConnectionNotificationCode what)
{
    if (what == MHD_CONNECTION_NOTIFY_STARTED) {
        add_conn(cls, c, mine);
    } else {
        drop_conn(cls, *mine);
        *mine = NULL;
    }
}

static void *reap(void *arg)
{
    struct http_server *s = arg;
    pthread_mutex_lock(&s->lock);
    while (!s->reaper_ends) {
        const int64_t now = clock_mono_us();
        int allowed_ms = s->timeout_ms;
        if (s->n_conns > s->connections_max / 2 && allowed_ms > CROWDED_MS)
            allowed_ms = CROWDED_MS;
        for (struct conn *c = s->conns; c != NULL; c = c->next)
            if (!c->is_handled && now - c->since_us > allowed_ms * INT64_C(1000))
                cut(c);
        const int64_t until = now + REAP_MS * INT64_C(1000);
        const struct timespec t = { .tv_sec = until / 1000000, .tv_nsec = until % 1000000 * 1000 };
        (void)pthread_cond_timedwait(&s->changed, &s->lock, &t);
    }
    pthread_mutex_unlock(&s->lock);
    return NULL;
}

/* --- start and stop ----------------------------------------------------------------------------------------------------- */

static bool is_loopback(const struct sockaddr *a)
{
    if (a->sa_family == AF_INET)
        return ntohl(((const struct sockaddr_in *)(const void *)a)->sin_addr.s_addr) >> 24 == 127;
    return a->sa_family == AF_INET6 && IN6_IS_ADDR_LOOPBACK(&((const struct sockaddr_in6 *)(const void *)a)->sin6_addr);
}

static bool check_token(const struct http_server_options *o, const struct sockaddr *a, struct pixl_error *err)
{
    size_t n = o->token != NULL ? o->token->n : 0;
    if (n > 0 && n < HTTP_SERVER_TOKEN_MIN)
        return pixl_fail(err, PIXL_E_INVALID, 0, "the token of the API (PIXL_API_TOKEN) is shorter than %d characters",
                         HTTP_SERVER_TOKEN_MIN);
    return n > 0 || is_loopback(a) ||
           pixl_fail(err, PIXL_E_INVALID, 0, "listening on %s, beyond this machine, needs a token (PIXL_API_TOKEN)", o->host);
}

static bool listen_at(const struct http_server_options *o, const struct addrinfo *a, int *out, int *port, struct pixl_error *err)
{
    const int on = 1;
    union { struct sockaddr any; struct sockaddr_in v4; struct sockaddr_in6 v6; } at = { .v6 = { 0 } };
    socklen_t n = sizeof at;
    int fd = socket(a->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return pixl_fail_errno(err, errno, "socket");
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(fd, a->ai_addr, a->ai_addrlen) != 0 || listen(fd, BACKLOG) != 0 || getsockname(fd, &at.any, &n) != 0) {
        int e = errno;
        (void)close(fd);
        if (e == EADDRINUSE)
            return pixl_fail(err, PIXL_E_BUSY, e, "port %d is taken by another program", o->port);
        return pixl_fail_errno(err, e, "listening on %s port %d", o->host, o->port);
    }
    *port = ntohs(at.any.sa_family == AF_INET ? at.v4.sin_port : at.v6.sin6_port);
    *out = fd;
    return true;
}

static bool open_socket(const struct http_server_options *o, int *fd, int *port, struct pixl_error *err)
{
    const struct addrinfo hints = { .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICHOST };
    struct addrinfo *list = NULL;
    char service[16];
    const char *host = strcmp(o->host, "localhost") == 0 ? "127.0.0.1" : o->host;
    (void)snprintf(service, sizeof service, "%d", o->port);
    int rc = getaddrinfo(host, service, &hints, &list);
    if (rc == EAI_MEMORY)
        return pixl_fail(err, PIXL_E_NOMEM, 0, "address to listen on");
    if (rc != 0)
        return pixl_fail(err, PIXL_E_INVALID, 0, "'%s' is no address to listen on; 127.0.0.1 and 0.0.0.0 are some", o->host);
    bool ok = check_token(o, list->ai_addr, err) && listen_at(o, list, fd, port, err);
    freeaddrinfo(list);
    return ok;
}

static void silent(void *cls, const char *fmt, va_list ap)
{
    (void)cls;
    (void)fmt;
    (void)ap;
}

/* MHD's threads, and ours, take no signal of the process. */
static bool start_threads(struct http_server *s, int fd, struct pixl_error *err)
{
    sigset_t all, before;
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    s->daemon = MHD_start_daemon(
        MHD_USE_THREAD_PER_CONNECTION | MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_POLL | MHD_USE_ITC, 0, NULL, NULL, handle, s,
        MHD_OPTION_EXTERNAL_LOGGER, silent, NULL, MHD_OPTION_LISTEN_SOCKET, fd, MHD_OPTION_CONNECTION_LIMIT, (unsigned)s->connections_max,
        MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)(s->timeout_ms + 999) / 1000, MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)HEADERS_MAX,
        MHD_OPTION_NOTIFY_COMPLETED, request_ended, s, MHD_OPTION_NOTIFY_CONNECTION, conn_changed, s, MHD_OPTION_END);
    int rc = s->daemon != NULL ? pthread_create(&s->reaper, NULL, reap, s) : 0;
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (s->daemon == NULL) {
        (void)close(fd);
        return pixl_fail(err, PIXL_E_NOMEM, 0, "the HTTP server cannot be started");
    }
    if (rc == 0)
        return true;
    MHD_stop_daemon(s->daemon);
    return pixl_fail_errno(err, rc, "thread of the HTTP server");
}

static void free_server(struct http_server *s)
{
    (void)pthread_cond_destroy(&s->changed);
    (void)pthread_mutex_destroy(&s->lock);
    explicit_bzero(s->token, sizeof s->token);
    free(s->running);
    free(s);
}

bool http_server_start(const struct http_server_options *o, struct http_server **out, struct pixl_error *err)
{
    struct http_server *s = calloc(1, sizeof *s);
    pthread_condattr_t attr;
    int fd = -1;
    if (s == NULL)
        return pixl_fail(err, PIXL_E_NOMEM, 0, "HTTP server");
    s->routes = o->routes;
    s->n_routes = o->n_routes;
    s->ctx = o->ctx;
    s->body_max = o->body_max;
    s->timeout_ms = o->timeout_ms;
    s->connections_max = o->connections_max;
    (void)pthread_mutex_init(&s->lock, NULL);
    (void)pthread_condattr_init(&attr);
    (void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&s->changed, &attr);
    (void)pthread_condattr_destroy(&attr);
    s->running = calloc(o->n_routes ? o->n_routes : 1, sizeof *s->running);
    s->has_token = o->token != NULL && o->token->n > 0;
    bool ok = s->running != NULL && (!s->has_token || digest_of(secret_reveal(o->token), s->token));
    if (!ok)
        pixl_fail(err, PIXL_E_NOMEM, 0, "HTTP server");
    ok = ok && open_socket(o, &fd, &s->port, err) && start_threads(s, fd, err);
    if (ok)
        *out = s;
    else
        free_server(s);
    return ok;
}

int http_server_port(const struct http_server *s)
{
    return s->port;
}

/* Waits until no request is at work. */
static bool drained(struct http_server *s, int64_t deadline_us)
{
    const struct timespec t = { .tv_sec = deadline_us / 1000000, .tv_nsec = deadline_us % 1000000 * 1000 };
    int rc = 0;
    pthread_mutex_lock(&s->lock);
    for (struct conn *c = s->conns; c != NULL; c = c->next)
        if (!c->is_handled)
            c->since_us = 0;             /* half a request is not waited for */
    while (s->n_requests > 0 && rc != ETIMEDOUT)
        rc = pthread_cond_timedwait(&s->changed, &s->lock, &t);
    bool is_over = s->n_requests == 0;
    pthread_mutex_unlock(&s->lock);
    return is_over;
}

bool http_server_stop(struct http_server *s, int64_t deadline_us)
{
    if (s == NULL)
        return true;
    atomic_store(&s->stopping, true);
    int fd = MHD_quiesce_daemon(s->daemon);
    if (fd >= 0)
        (void)close(fd);
    if (!drained(s, deadline_us))
        return false;
    pthread_mutex_lock(&s->lock);
    s->reaper_ends = true;
    pthread_cond_broadcast(&s->changed);
    pthread_mutex_unlock(&s->lock);
    (void)pthread_join(s->reaper, NULL);
    MHD_stop_daemon(s->daemon);
    free_server(s);
    return true;
}
