/* http_peer.h - an HTTP server for the tests of one program: support/http_peer.py, which says what its paths do.
 *   main: http_peer_start(); int rc = test_main(...); http_peer_stop(); return rc; */
#ifndef PIXL_TEST_HTTP_PEER_H
#define PIXL_TEST_HTTP_PEER_H

struct http_peer {
    int port, tls_port;               /* plain; with a certificate for localhost and 127.0.0.1 */
    int elsewhere_port, expired_port; /* with one for another host, with one of the past */
    char certs[512];                  /* folder with ca.pem, other.pem */
};
extern struct http_peer http_peer;

/* Ends the program when it cannot be started. */
void http_peer_start(void);
void http_peer_stop(void);

#endif
