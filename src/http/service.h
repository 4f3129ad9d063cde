/* service.h - what the imaging API and the export API have in common: an HTTP server beside work that goes on until told to stop.
 *
 *   GET  /heart-beat                 "OK"
 *   GET  /token-bucket-refresh-rate  {"rate":2.5}: the highest of the archives
 *   POST /token-bucket-refresh-rate  {"rate":2.5[,"archive":"primary"]}
 *   GET  /metrics                    text of Prometheus (pipeline/metrics.h)
 *   GET  /status                     archives with their rates, studies by project and state, what stands in the way
 * Signals: the first SIGTERM or SIGINT lets it finish what it has in hand, for PIXL_STOP_S; a second one, or that time,
 * gives it back.  The heart-beat is answered until the work has ended.
 * Owns: its server.  Never: puts what a client sent into a log.
 * Threads: service_run() is called by one thread, the main one; handlers run on the server's. */
#ifndef PIXL_HTTP_SERVICE_H
#define PIXL_HTTP_SERVICE_H

#include <pthread.h>

#include "base/http_server.h"
#include "pipeline/work.h"

struct service {
    struct site *site;
    const char *name;              /* "imaging-api" */
    pthread_mutex_t lock;          /* guards progress */
    struct work_progress progress; /* the last that was told */
};

enum { SERVICE_ROUTES_MAX = 16 };

struct service_options {
    const char *name;
    int port;
    unsigned does;                   /* enum work_does */
    const struct http_route *routes; /* further ones; their ctx is the struct service */
    size_t n_routes;
    const char *program; /* see work.h */
};

/* Returns true when it was told to stop, and did.  Fails: as http_server_start() and work_run(). */
PIXL_MUST_CHECK bool service_run(struct site *s, const struct service_options *o, struct pixl_error *err);

#endif
