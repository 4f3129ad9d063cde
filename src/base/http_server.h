/* http_server.h - a small HTTP/1.1 server for JSON bodies: a table of routes, limits, a bearer token (libmicrohttpd).
 *
 * One connection is one request and one thread, so that a handler may block and the others are answered meanwhile; a
 * route says how many of its requests may do so at once.  A request must have arrived, and its answer be read, within
 * timeout_ms, or within a second while more than half of the connections are taken; else it is cut.
 * On this machine alone (127.0.0.0/8, ::1) it may do without a token: a page in somebody's browser cannot use it then,
 * as requests with an Origin, or for another Host, are refused.  Beyond, it does not start without one.
 * It answers by itself 401, 403, 404, 405, 413, 503 with a body {"detail":"..."}; no body, query or path is kept.
 * Owns: its threads and sockets.  Never: logs; shows what a client sent.
 * Threads: start and stop by one thread; handlers run on any, several at once. */
#ifndef PIXL_BASE_HTTP_SERVER_H
#define PIXL_BASE_HTTP_SERVER_H

#include <stdatomic.h>
#include <stdint.h>

#include "error.h"
#include "secret.h"
#include "str.h"

struct http_server;

struct http_server_request {
    struct str body;
    bool is_json;                /* the body has no Content-Type, or a JSON one */
    const atomic_bool *stopping; /* the server wants to end: a long handler gives up */
};

struct http_server_answer {
    int status;                  /* 200 unless the handler says else */
    const char *content_type;    /* "application/json" unless the handler says else; borrowed */
    struct buf body;             /* of at most HTTP_SERVER_ANSWER_MAX bytes */
};
enum { HTTP_SERVER_ANSWER_MAX = 64 * 1024 * 1024 };

struct http_route {
    const char *method, *path;   /* "GET", "/heart-beat": compared whole; what follows a '?' is ignored */
    void (*handle)(void *ctx, const struct http_server_request *rq, struct http_server_answer *an);
    int at_once;                 /* so many of its requests at a time, more get 503; 0: no limit */
    bool is_open;                /* needs no token */
};

struct http_server_options {
    const char *host;            /* address to listen on: "127.0.0.1", "::1", "localhost", "0.0.0.0" */
    int port;                    /* 0: any free one */
    const struct secret *token;  /* at least HTTP_SERVER_TOKEN_MIN bytes; NULL or empty: none */
    const struct http_route *routes;     /* borrowed until stopped, as ctx */
    size_t n_routes;
    void *ctx;
    size_t body_max;             /* bytes; more gets 413 */
    int timeout_ms;              /* for a request to arrive, and for its answer to be read */
    int connections_max;         /* more are closed at once */
};
#define HTTP_SERVER_OPTIONS_USUAL { .host = "127.0.0.1", .body_max = 1 << 20, .timeout_ms = 10000, .connections_max = 256 }
enum { HTTP_SERVER_TOKEN_MIN = 16 };

/* Fails: INVALID (host is no address; beyond this machine without a token; a token too short), BUSY (the port is
 * taken), DENIED (a port below 1024), NOMEM, IO. */
PIXL_MUST_CHECK bool http_server_start(const struct http_server_options *o, struct http_server **out, struct pixl_error *err);
int http_server_port(const struct http_server *s);

/* Takes no new request, tells handlers, and waits for them.  true: all have ended, s is freed.  false: some go on beyond
 * deadline_us (clock_mono_us); s and what the routes use must stay until the process ends. */
bool http_server_stop(struct http_server *s, int64_t deadline_us);

#endif
