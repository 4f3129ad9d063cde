/* http_client.h - requests to one HTTP server: kept-alive connections, deadlines, capped answers, streamed bodies (libcurl).
 *
 * Owns: its connections, a copy of address and login (wiped).
 * Never: follows a redirect, verifies a certificate less than fully, passes on what a server or libcurl says in words, puts a
 *        path, query, header or body into an error.  It does not repeat a request either, with one exception: when a kept-alive
 *        connection turns out to be closed before a byte of an answer came, one without a body, or a PUT, is sent once more.
 * Threads: any number at once; each request has a connection of its own while it lasts.
 *
 * https goes through the proxy of the environment (https_proxy, no_proxy), as a tunnel; http through none. */
#ifndef PIXL_BASE_HTTP_CLIENT_H
#define PIXL_BASE_HTTP_CLIENT_H

#include <stdatomic.h>
#include <stdint.h>

#include "error.h"
#include "secret.h"
#include "str.h"

struct http_client;

struct http_client_options {
    const char *url;  /* "https://host:port[/prefix]": no login, query or fragment; paths are appended to it */
    const char *user; /* basic authentication; without ':'; NULL: none */
    const struct secret *password; /* NULL: the empty one */
    const char *ca_file;           /* PEM, the only CAs to trust; NULL: those of the system */
    int connect_ms;                /* for connecting, TLS included; > 0 */
};

/* Connects at the first request only.  Fails: INVALID (url, user, CA file; without quoting one), NOMEM. */
PIXL_MUST_CHECK bool http_client_open(const struct http_client_options *o, struct http_client **out,
                                      struct pixl_error *err);
/* No request may be going on. */
void http_client_close(struct http_client *c);
PIXL_DEFINE_CLEANUP(http_client, http_client_close)
#define http_client_auto PIXL_CLEANUP(http_client_freep) struct http_client

/* "https://host:port", for a person; borrowed. */
const char *http_client_place(const struct http_client *c);

enum http_method { HTTP_GET, HTTP_PUT, HTTP_POST, HTTP_DELETE };

struct http_header {
    const char *name;
    struct str value;
};

struct http_request {
    enum http_method method;
    const char *path;                  /* "/studies/4711?expand", percent-encoded, as it goes over the line */
    const struct http_header *headers; /* further ones */
    size_t n_headers;
    const struct secret *bearer; /* instead of the client's login; NULL: none */
    const char *content_type;    /* of the body; NULL: none is sent */
    struct str body;             /* of PUT and POST */
    int body_fd;                 /* >= 0: instead of body, body_bytes of that file from its beginning, read by pread */
    uint64_t body_bytes;
    int64_t deadline_us;       /* clock_mono_us(); of the whole request */
    const atomic_bool *cancel; /* looked at every 100 ms; NULL: none */
    uint64_t answer_max;       /* a 2xx answer with a longer body fails with LIMIT */
    int answer_fd;             /* >= 0: a 2xx answer's body is written there instead of into answer->body */
};
#define HTTP_REQUEST_NONE ((struct http_request){ .body_fd = -1, .answer_fd = -1 })

enum { HTTP_CHALLENGE_SIZE = 512, HTTP_TYPE_SIZE = 128 };

struct http_answer {
    int status;          /* 200..599: any status is an answer, not a failure */
    struct buf body;     /* the caller's, initialised; emptied first, also when the request fails.  Of an answer that is
                                    not 2xx only so much as it may hold: the rest is left unread */
    uint64_t body_bytes; /* read */
    int64_t
        retry_after_s; /* header Retry-After, in seconds or as a date; never negative but -1: none, or not understood */
    int64_t date_s; /* header Date, since 1970: the server's clock; -1: none, or not understood */
    char challenge[HTTP_CHALLENGE_SIZE]; /* the first header WWW-Authenticate; "" none, or too long */
    char content_type[HTTP_TYPE_SIZE];   /* the same */
};

/* A body whose end is only the end of the connection may be cut without this noticing: check what came.
 * Fails: UNAVAILABLE (no connection, cut, past the deadline, no HTTP), DENIED (certificate: the message says whether of an unknown
 * CA, for another host, or expired), LIMIT, CANCELLED, INVALID (path or a header that would break the request; the CA file is
 * gone), NOMEM; of answer_fd and body_fd IO, NO_SPACE, CORRUPT (shorter than body_bytes). */
PIXL_MUST_CHECK bool http_client_do(struct http_client *c, const struct http_request *r, struct http_answer *out,
                                    struct pixl_error *err);

#endif
