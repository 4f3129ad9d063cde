#include "rabbit.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "python.h"
#include "python_server.h"
#include "test.h"

struct rabbit rabbit;
static struct python_server server;

void rabbit_start(void)
{
    char ready[1024], folder[480];
    python_server_start(&server, "rabbitmq.py", ready, sizeof ready);
    if (sscanf(ready, "%d %d %479s", &rabbit.port, &rabbit.tls_port, folder) == 3)
        (void)snprintf(rabbit.certs, sizeof rabbit.certs, "%s/certs", folder);
}

void rabbit_stop(void)
{
    python_server_stop(&server);
}

void rabbit_do(const char *command)
{
    REQUIRE(strcmp(python_server_ask(&server, command), "ok") == 0);
}

const char *rabbit_peer(const char *arg, ...)
{
    static char text[256 * 1024];
    char port[16];
    const char *argv[16] = { NULL, "amqp_peer.py", port, arg };
    size_t n = 4;
    va_list ap;
    va_start(ap, arg);
    while (n < ARRAY_LEN(argv) - 1 && (argv[n] = va_arg(ap, const char *)) != NULL)
        n++;
    va_end(ap);
    (void)snprintf(port, sizeof port, "%d", rabbit.port);
    int in, out, status;
    pid_t pid = python_start(argv, &in, &out);
    REQUIRE(pid > 0);
    (void)close(in);
    size_t used = 0;
    for (ssize_t got; used < sizeof text - 1 && (got = read(out, text + used, sizeof text - 1 - used)) > 0;)
        used += (size_t)got;
    text[used] = '\0';
    (void)close(out);
    REQUIRE(waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 0);
    return text;
}

int rabbit_peer_exclusive(const char *queue)
{
    char port[16], held[8] = "";
    const char *argv[] = { NULL, "amqp_peer.py", port, "exclusive", queue, NULL };
    (void)snprintf(port, sizeof port, "%d", rabbit.port);
    int in, out;
    REQUIRE(python_start(argv, &in, &out) > 0);
    for (size_t n = 0, got = 1; got > 0 && strcmp(held, "held\n") != 0 && n < sizeof held - 1; n += got) {
        ssize_t r = read(out, held + n, sizeof held - 1 - n);
        got = r > 0 ? (size_t)r : 0;
    }
    REQUIRE(strcmp(held, "held\n") == 0);
    (void)close(out);
    return in;
}

static char *next_url(void)
{
    static char ring[8][1024];
    static unsigned next;
    return ring[next++ % ARRAY_LEN(ring)];
}

const char *rabbit_url(const char *host, int port, const char *parameters)
{
    char *url = next_url();
    (void)snprintf(url, 1024, "amqp://guest:guest@%s:%d/%%2f%s", host, port, parameters);
    return url;
}

const char *rabbit_tls_url(const char *host, int port, const char *ca, const char *parameters)
{
    char *url = next_url();
    (void)snprintf(url, 1024, "amqps://guest:guest@%s:%d/%%2f?cacertfile=%s/%s%s", host, port, rabbit.certs, ca, parameters);
    return url;
}
