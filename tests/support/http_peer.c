#include "http_peer.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "python.h"

struct http_peer http_peer;
static int feed = -1;
static pid_t server;

void http_peer_start(void)
{
    const char *argv[] = { NULL, "http_peer.py", NULL };
    int out = -1;
    server = python_start(argv, &feed, &out);
    FILE *from = server > 0 ? fdopen(out, "r") : NULL;
    if (from == NULL || fscanf(from, "ready %d %d %d %d %511s", &http_peer.port, &http_peer.tls_port,
                               &http_peer.elsewhere_port, &http_peer.expired_port, http_peer.certs) != 5) {
        printf("no HTTP server could be started\n0 passed, 1 failed, 0 skipped\n");
        exit(1);
    }
    (void)fclose(from);
}

void http_peer_stop(void)
{
    int status;
    (void)close(feed);
    (void)waitpid(server, &status, 0);
}
