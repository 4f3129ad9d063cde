/* The connection of an AMQP queue: opening, reading frames, waiting for room to write.
 *
 * Writes: the library waits for ever when the socket is full, and a broker with an alarm stops reading.  So nothing is
 * written before the socket is known to have room for it: with a send buffer of a size that we set, poll() says
 * "writable" when a third of it is free, which is more than CREDIT_BYTES; the credit is used up by estimates that count
 * the kernel's overhead. */
#include <arpa/inet.h>
#include <assert.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>

#include <amqp_ssl_socket.h>
#include <amqp_tcp_socket.h>
#include <openssl/ssl.h>
#include <openssl/x509_vfy.h>

#include "amqp_internal.h"
#include "base/clock.h"

enum {
    SEND_BUFFER_BYTES = 1 << 20, /* what is asked for; the kernel gives at least 400 kB by default */
    CREDIT_BYTES = 128 * 1024,
    WRITE_OVERHEAD_BYTES = 4096, /* of frames around a body, and of the kernel's buffers */
    SERVE_EVERY_US = 1000,
    GOODBYE_S = 2,
    FRAME_MAX_BYTES = 128 * 1024,
};

/* --- errors: codes and our own words, never the broker's */

static enum pixl_code code_of_status(int status)
{
    switch (status) {
    case AMQP_STATUS_NO_MEMORY:                  return PIXL_E_NOMEM;
    case AMQP_STATUS_SSL_PEER_VERIFY_FAILED:
    case AMQP_STATUS_SSL_HOSTNAME_VERIFY_FAILED: return PIXL_E_DENIED;
    default:                                     return PIXL_E_UNAVAILABLE;
    }
}

static const char *text_of_status(int status)
{
    switch (status) {
    case AMQP_STATUS_NO_MEMORY:                  return "out of memory";
    case AMQP_STATUS_HOSTNAME_RESOLUTION_FAILED: return "the host name is not known";
    case AMQP_STATUS_TIMEOUT:                    return "no answer in time";
    case AMQP_STATUS_HEARTBEAT_TIMEOUT:          return "no heartbeat from the broker";
    case AMQP_STATUS_CONNECTION_CLOSED:
    case AMQP_STATUS_SOCKET_CLOSED:              return "the broker closed the connection";
    case AMQP_STATUS_SOCKET_ERROR:               return "the connection was refused or broke";
    case AMQP_STATUS_SSL_PEER_VERIFY_FAILED:     return "the certificate is of no trusted CA, or not for this address";
    case AMQP_STATUS_SSL_HOSTNAME_VERIFY_FAILED: return "the certificate is for another host name";
    case AMQP_STATUS_SSL_CONNECTION_FAILED:      return "the TLS handshake failed";
    case AMQP_STATUS_SSL_ERROR:                  return "TLS failed";
    case AMQP_STATUS_BAD_AMQP_DATA:
    case AMQP_STATUS_UNKNOWN_CLASS:
    case AMQP_STATUS_UNKNOWN_METHOD:
    case AMQP_STATUS_WRONG_METHOD:
    case AMQP_STATUS_INCOMPATIBLE_AMQP_VERSION:  return "the other side speaks no AMQP 0-9-1";
    default:                                     return "the client library failed";
    }
}

/* "ACCESS_REFUSED" of 403. */
static const char *name_of_reply(unsigned code)
{
    const char *name = amqp_constant_name((int)code);
    return name && strncmp(name, "AMQP_", 5) == 0 ? name + 5 : "a code that AMQP does not know";
}

static enum pixl_code code_of_reply(unsigned code)
{
    return code == AMQP_ACCESS_REFUSED || code == AMQP_NOT_ALLOWED ? PIXL_E_DENIED : PIXL_E_UNAVAILABLE;
}

void amqp_lose(struct amqp *a, enum pixl_code code, int sys, const char *what)
{
    if (a->conn == NULL)
        return;
    (void)amqp_destroy_connection(a->conn);
    a->conn = NULL;
    pixl_error_clear(&a->why);
    (void)pixl_fail(&a->why, code, sys, "%s: %s", a->place, what);
    amqp_publish_lost(a);
}

static void lose_by_reply(struct amqp *a, const char *what, unsigned code)
{
    char text[128];
    (void)snprintf(text, sizeof text, "the broker closed the %s: %u %s", what, code, name_of_reply(code));
    amqp_lose(a, code_of_reply(code), (int)code, text);
}

bool amqp_fail_lost(const struct amqp *a, struct pixl_error *err)
{
    assert(a->conn == NULL && a->why.code != PIXL_OK);
    return pixl_fail(err, a->why.code, a->why.sys, "%s", a->why.msg);
}

bool amqp_sent(struct amqp *a, int status, struct pixl_error *err)
{
    if (status == AMQP_STATUS_OK)
        return true;
    amqp_lose(a, code_of_status(status), status, text_of_status(status));
    return amqp_fail_lost(a, err);
}

/* --- reading */

static void on_connection_method(struct amqp *a, const amqp_method_t *m)
{
    if (m->id == AMQP_CONNECTION_CLOSE_METHOD) {
        unsigned code = ((const amqp_connection_close_t *)m->decoded)->reply_code;
        amqp_connection_close_ok_t ok = { 0 };
        (void)amqp_send_method(a->conn, 0, AMQP_CONNECTION_CLOSE_OK_METHOD, &ok);
        lose_by_reply(a, "connection", code);
    } else if (m->id == AMQP_CONNECTION_BLOCKED_METHOD) {
        a->blocked = true;
    } else if (m->id == AMQP_CONNECTION_UNBLOCKED_METHOD) {
        a->blocked = false;
    }
}

/* The broker refused something: on CHANNEL_ASK that is an answer, on the others nothing can go on. */
static void on_channel_close(struct amqp *a, amqp_channel_t channel, const amqp_method_t *m)
{
    unsigned code = ((const amqp_channel_close_t *)m->decoded)->reply_code;
    amqp_channel_close_ok_t ok = { 0 };
    int status = amqp_send_method(a->conn, channel, AMQP_CHANNEL_CLOSE_OK_METHOD, &ok);
    if (channel != CHANNEL_ASK || status != AMQP_STATUS_OK) {
        lose_by_reply(a, "channel", code);
        return;
    }
    a->can_ask = false;
    if (a->question.channel == channel) {
        a->question.refused = code;
        a->question.want = 0;
    }
}

static void on_method(struct amqp *a, amqp_channel_t channel, const amqp_method_t *m)
{
    if (channel == 0) {
        on_connection_method(a, m);
    } else if (m->id == AMQP_CHANNEL_CLOSE_METHOD) {
        on_channel_close(a, channel, m);
    } else if (a->question.want == m->id && a->question.channel == channel) {
        a->question.want = 0;
        if (m->id == AMQP_QUEUE_DECLARE_OK_METHOD)
            a->question.count = ((const amqp_queue_declare_ok_t *)m->decoded)->message_count;
        else if (m->id == AMQP_QUEUE_PURGE_OK_METHOD)
            a->question.count = ((const amqp_queue_purge_ok_t *)m->decoded)->message_count;
    } else if (channel == CHANNEL_DELIVER) {
        amqp_consume_on_method(a, m);
    } else if (channel == CHANNEL_PUBLISH) {
        amqp_publish_on_method(a, m);
    }
}

/* Reads and handles a frame if there is one within timeout_us.  false: none, or the connection is lost. */
static bool read_frame(struct amqp *a, int64_t timeout_us)
{
    struct timeval t = { timeout_us / 1000000, timeout_us % 1000000 };
    amqp_frame_t f;
    int status = amqp_simple_wait_frame_noblock(a->conn, &f, &t);
    if (status == AMQP_STATUS_TIMEOUT) {
        a->served_us = clock_mono_us();
        return false;
    }
    if (status != AMQP_STATUS_OK) {
        amqp_lose(a, code_of_status(status), status, text_of_status(status));
        return false;
    }
    if (f.frame_type == AMQP_FRAME_METHOD)
        on_method(a, f.channel, &f.payload.method);
    else if (f.channel == CHANNEL_DELIVER)
        amqp_consume_on_content(a, &f);
    else if (f.channel == CHANNEL_PUBLISH)
        amqp_publish_on_content(a, &f);
    if (a->conn != NULL) /* or the library keeps every frame that it ever read */
        amqp_maybe_release_buffers_on_channel(a->conn, f.channel);
    return a->conn != NULL;
}

bool amqp_wait(struct amqp *a, bool (*done)(const struct amqp *, const void *), const void *arg,
               const struct queue_wait *w, bool *in_time, struct pixl_error *err)
{
    for (;;) {
        if (a->conn == NULL)
            return amqp_fail_lost(a, err);
        if (done(a, arg)) {
            *in_time = true;
            return true;
        }
        if (queue_wait_is_cancelled(w))
            return pixl_fail(err, PIXL_E_CANCELLED, 0, "queue: cancelled");
        int64_t left = queue_wait_left(w);
        if (!read_frame(a, left < QUEUE_SLICE_US ? left : QUEUE_SLICE_US) && left == 0 && a->conn != NULL) {
            *in_time = false;
            return true;
        }
    }
}

bool amqp_serve(struct amqp *a, struct pixl_error *err)
{
    if (a->conn != NULL && clock_mono_us() - a->served_us >= SERVE_EVERY_US)
        while (read_frame(a, 0)) {
        }
    return a->conn != NULL || amqp_fail_lost(a, err);
}

/* --- writing */

/* Whether the socket has room, or input, within timeout_ms. */
static bool poll_socket(struct amqp *a, short events, int timeout_ms)
{
    struct pollfd p = { .fd = amqp_get_sockfd(a->conn), .events = events };
    return poll(&p, 1, timeout_ms) > 0 && (p.revents & POLLOUT) != 0;
}

bool amqp_room(struct amqp *a, size_t bytes, bool publish, const struct queue_wait *w, struct pixl_error *err)
{
    size_t cost = bytes + WRITE_OVERHEAD_BYTES;
    assert(cost <= CREDIT_BYTES);
    if (!amqp_serve(a, err))
        return false;
    for (;;) {
        bool may = !(publish && a->blocked);
        if (may && a->credit >= cost)
            break;
        if (may && poll_socket(a, POLLOUT, 0)) {
            a->credit = CREDIT_BYTES;
            break;
        }
        if (queue_wait_is_cancelled(w))
            return pixl_fail(err, PIXL_E_CANCELLED, 0, "queue: cancelled");
        int64_t left = queue_wait_left(w), slice = left < QUEUE_SLICE_US ? left : QUEUE_SLICE_US;
        if (left == 0)
            return pixl_fail(err, PIXL_E_UNAVAILABLE, 0, "%s: %s", a->place,
                             a->blocked ? "the broker has an alarm and takes no messages"
                                        : "the broker takes no bytes");
        (void)poll_socket(a, may ? POLLIN | POLLOUT : POLLIN, (int)((slice + 999) / 1000));
        while (read_frame(a, 0)) {
        }
        if (a->conn == NULL)
            return amqp_fail_lost(a, err);
    }
    a->credit -= cost;
    return true;
}

static bool is_answered(const struct amqp *a, const void *arg)
{
    (void)arg;
    return a->question.want == 0;
}

bool amqp_ask(struct amqp *a, amqp_channel_t channel, amqp_method_number_t method, void *decoded,
              amqp_method_number_t want, const struct queue_wait *w, struct pixl_error *err)
{
    if (!amqp_room(a, QUEUE_NAME_MAX, false, w, err))
        return false;
    a->question = (struct amqp_question){ .channel = channel, .want = want };
    if (!amqp_sent(a, amqp_send_method(a->conn, channel, method, decoded), err))
        return false;
    bool in_time;
    if (!amqp_wait(a, is_answered, NULL, w, &in_time, err)) {
        amqp_lose(a, PIXL_E_UNAVAILABLE, 0, "given up while a question was open");
        return false;
    }
    if (!in_time)
        amqp_lose(a, PIXL_E_UNAVAILABLE, AMQP_STATUS_TIMEOUT, text_of_status(AMQP_STATUS_TIMEOUT));
    return in_time || amqp_fail_lost(a, err);
}

/* --- opening and closing */

static bool is_address(const char *host)
{
    unsigned char out[sizeof(struct in6_addr)];
    return inet_pton(AF_INET, host, out) == 1 || inet_pton(AF_INET6, host, out) == 1;
}

/* The library compares names with the certificate, but no addresses: those OpenSSL does, as part of its verification.
 * */
static bool set_up_tls(struct amqp *a, amqp_socket_t *s, struct pixl_error *err)
{
    SSL_CTX *ctx = amqp_ssl_socket_get_context(s);
    bool by_address = is_address(a->url.host);
    amqp_ssl_socket_set_verify_peer(s, 1);
    amqp_ssl_socket_set_verify_hostname(s, !by_address);
    if (amqp_ssl_socket_set_ssl_versions(s, AMQP_TLSv1_2, AMQP_TLSvLATEST) != AMQP_STATUS_OK ||
        (by_address && X509_VERIFY_PARAM_set1_ip_asc(SSL_CTX_get0_param(ctx), a->url.host) != 1))
        return pixl_fail(err, PIXL_E_INTERNAL, 0, "queue: TLS cannot be set up");
    if (a->url.ca_file[0] == '\0')
        return SSL_CTX_set_default_verify_paths(ctx) == 1 ||
               pixl_fail(err, PIXL_E_INVALID, 0, "queue: the system's CA certificates cannot be read");
    return amqp_ssl_socket_set_cacert(s, a->url.ca_file) == AMQP_STATUS_OK ||
           pixl_fail(err, PIXL_E_INVALID, 0, "queue: the CA file cannot be read, or holds no certificate in PEM");
}

/* Keepalive finds a dead peer while nothing is written; TCP_USER_TIMEOUT one that takes nothing of what was. */
static void tune_socket(int fd, unsigned heartbeat_s)
{
    int one = 1, idle_s = (int)heartbeat_s, count = 3, size = SEND_BUFFER_BYTES;
    unsigned user_ms = heartbeat_s * 4000;
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    (void)setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &one, sizeof one);
    (void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle_s, sizeof idle_s);
    (void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &idle_s, sizeof idle_s);
    (void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &count, sizeof count);
    (void)setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &user_ms, sizeof user_ms);
    (void)setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
}

static amqp_table_entry_t yes(const char *name)
{
    return (amqp_table_entry_t){ amqp_text(name), { AMQP_FIELD_KIND_BOOLEAN, { .boolean = 1 } } };
}

static bool log_in(struct amqp *a, struct pixl_error *err)
{
    amqp_table_entry_t can[] = { yes("publisher_confirms"), yes("basic.nack"), yes("connection.blocked"),
                                 yes("consumer_cancel_notify"), yes("authentication_failure_close") };
    amqp_table_entry_t all[] = {
        { amqp_text("product"), { AMQP_FIELD_KIND_UTF8, { .bytes = amqp_text("pixl") } } },
        { amqp_text("capabilities"), { AMQP_FIELD_KIND_TABLE, { .table = { ARRAY_LEN(can), can } } } },
    };
    amqp_table_t properties = { ARRAY_LEN(all), all };
    struct str password = secret_reveal(&a->url.password);
    amqp_rpc_reply_t r =
        amqp_login_with_properties(a->conn, a->url.vhost, CHANNEL_ASK, FRAME_MAX_BYTES, (int)a->url.heartbeat_s,
                                   &properties, AMQP_SASL_METHOD_PLAIN, a->url.user, password.p);
    if (r.reply_type == AMQP_RESPONSE_NORMAL)
        return true;
    if (r.reply_type == AMQP_RESPONSE_SERVER_EXCEPTION && r.reply.id == AMQP_CONNECTION_CLOSE_METHOD) {
        unsigned code = ((const amqp_connection_close_t *)r.reply.decoded)->reply_code;
        return pixl_fail(err, code_of_reply(code), (int)code, "%s: the broker refuses the login: %u %s", a->place, code,
                         name_of_reply(code));
    }
    int status = r.reply_type == AMQP_RESPONSE_LIBRARY_EXCEPTION ? r.library_error : AMQP_STATUS_WRONG_METHOD;
    return pixl_fail(err, code_of_status(status), status, "%s: %s", a->place, text_of_status(status));
}

static bool open_socket(struct amqp *a, const struct queue_wait *w, struct pixl_error *err)
{
    amqp_socket_t *s = a->url.tls ? amqp_ssl_socket_new(a->conn) : amqp_tcp_socket_new(a->conn);
    if (s == NULL)
        return pixl_fail(err, PIXL_E_NOMEM, 0, "queue: no socket can be made");
    if (a->url.tls && !set_up_tls(a, s, err))
        return false;
    int64_t left = queue_wait_left(w);
    struct timeval t = { left / 1000000, left % 1000000 };
    int status = amqp_socket_open_noblock(s, a->url.host, (int)a->url.port, &t);
    if (status != AMQP_STATUS_OK)
        return pixl_fail(err, code_of_status(status), status, "%s: %s", a->place, text_of_status(status));
    tune_socket(amqp_get_sockfd(a->conn), a->url.heartbeat_s);
    left = queue_wait_left(w);
    t = (struct timeval){ left / 1000000, left % 1000000 };
    const struct timeval goodbye = { GOODBYE_S, 0 };
    if (amqp_set_handshake_timeout(a->conn, &t) != AMQP_STATUS_OK ||
        amqp_set_rpc_timeout(a->conn, &goodbye) != AMQP_STATUS_OK)
        return pixl_fail(err, PIXL_E_INTERNAL, 0, "queue: timeouts cannot be set");
    return log_in(a, err);
}

static bool open_channels(struct amqp *a, const struct queue_wait *w, struct pixl_error *err)
{
    amqp_channel_open_t open = { 0 };
    amqp_confirm_select_t confirm = { 0 };
    return amqp_ask(a, CHANNEL_DELIVER, AMQP_CHANNEL_OPEN_METHOD, &open, AMQP_CHANNEL_OPEN_OK_METHOD, w, err) &&
           amqp_ask(a, CHANNEL_PUBLISH, AMQP_CHANNEL_OPEN_METHOD, &open, AMQP_CHANNEL_OPEN_OK_METHOD, w, err) &&
           amqp_ask(a, CHANNEL_PUBLISH, AMQP_CONFIRM_SELECT_METHOD, &confirm, AMQP_CONFIRM_SELECT_OK_METHOD, w, err);
}

bool amqp_connect(struct amqp *a, const struct queue_wait *w, struct pixl_error *err)
{
    assert(a->conn == NULL);
    if (queue_wait_is_cancelled(w))
        return pixl_fail(err, PIXL_E_CANCELLED, 0, "queue: cancelled");
    struct queue_wait limited = *w;
    int64_t latest_us = clock_mono_us() + (int64_t)a->url.timeout_ms * 1000;
    if (limited.deadline_us > latest_us)
        limited.deadline_us = latest_us;
    a->blocked = a->can_ask = false;
    a->credit = 0;
    a->conn = amqp_new_connection();
    if (a->conn == NULL)
        return pixl_fail(err, PIXL_E_NOMEM, 0, "queue: no connection can be made");
    if (open_socket(a, &limited, err) && open_channels(a, &limited, err))
        return true;
    amqp_lose(a, err->code, err->sys, "could not be reached the last time");
    return false;
}

void amqp_disconnect(struct amqp *a)
{
    if (a->conn == NULL)
        return;
    if (!a->blocked && poll_socket(a, POLLOUT, 0))
        (void)amqp_connection_close(a->conn, AMQP_REPLY_SUCCESS);
    amqp_lose(a, PIXL_E_UNAVAILABLE, 0, "closed");
}
