/* amqp_url.h - an AMQP URL taken apart (rabbitmq.com/uri-spec and uri-query-parameters, of which three are known here).
 * The grammar stands at queue_open().  Owns: its texts.  Never: puts a piece of the URL into an error.  Threads: any.
 * */
#ifndef PIXL_QUEUE_AMQP_URL_H
#define PIXL_QUEUE_AMQP_URL_H

#include "base/secret.h"

enum { AMQP_URL_HOST_MAX = 253, AMQP_URL_NAME_MAX = 255, AMQP_URL_PASSWORD_MAX = 1024, AMQP_URL_PATH_MAX = 4095 };

struct amqp_url {
    bool tls;
    unsigned port, heartbeat_s, timeout_ms;
    char host[AMQP_URL_HOST_MAX + 1];       /* an IPv6 address without its brackets */
    char user[AMQP_URL_NAME_MAX + 1];
    struct secret password;                 /* with a NUL behind it */
    char vhost[AMQP_URL_NAME_MAX + 1];
    char ca_file[AMQP_URL_PATH_MAX + 1];    /* "": the system's CAs */
};

/* *out must be zeroed; it is done with amqp_url_done(), also after a failure.  Fails: INVALID, NOMEM. */
PIXL_MUST_CHECK bool amqp_url_parse(struct str url, struct amqp_url *out, struct pixl_error *err);
void amqp_url_done(struct amqp_url *u);

#endif
