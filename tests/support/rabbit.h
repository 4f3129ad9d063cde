/* rabbit.h - a RabbitMQ for the tests of one program: support/rabbitmq.py, which says what is in it.
 *   main: rabbit_start(); int rc = test_main(...); rabbit_stop(); return rc;
 * A test that changes it (kills it, sets an alarm) puts it back before it ends. */
#ifndef PIXL_TEST_RABBIT_H
#define PIXL_TEST_RABBIT_H

#include "base/attr.h"

struct rabbit {
    int port, tls_port;
    char certs[512];             /* folder with ca.pem, other.pem */
};
extern struct rabbit rabbit;

/* Ends the program when there is no broker to be had. */
void rabbit_start(void);
void rabbit_stop(void);
/* "kill", "start", "ctl set_disk_free_limit 50MB"; ends the test when it fails. */
void rabbit_do(const char *command);
/* Runs support/amqp_peer.py (another client of the broker) with the arguments, NULL at the end; what it prints, in a
 * static buffer.  Ends the test when it fails. */
const char *rabbit_peer(const char *arg, ...) __attribute__((sentinel));
/* A peer that holds the queue exclusively, until the descriptor is closed. */
int rabbit_peer_exclusive(const char *queue);
/* URLs in a static ring: amqp[s]://guest:guest@HOST:PORT/%2fPARAMETERS. */
const char *rabbit_url(const char *host, int port, const char *parameters);
const char *rabbit_tls_url(const char *host, int port, const char *ca, const char *parameters);

#endif
