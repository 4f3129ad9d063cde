#include "tcp_proxy.h"

#include <arpa/inet.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "test.h"

enum { PAIRS_MAX = 8, TICK_MS = 10 };

/* What is to happen when so many bytes have gone to the server, through any proxy that counts with this one. */
struct limit {
    atomic_long left; /* 0: none */
    atomic_bool holds, is_held;
};

struct tcp_proxy {
    pthread_t thread;
    int listener, port, target_port;
    atomic_int stalled, cuts;
    atomic_bool stop;
    struct limit own, *limit;
    int pair[PAIRS_MAX][2];      /* -1: free */
};

static int connect_to(int port)
{
    struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd >= 0 && connect(fd, (const struct sockaddr *)&to, sizeof to) != 0) {
        (void)close(fd);
        fd = -1;
    }
    return fd;
}

static void drop(int pair[2])
{
    for (int i = 0; i < 2; i++) {
        if (pair[i] >= 0)
            (void)close(pair[i]);
        pair[i] = -1;
    }
}

static void accept_one(struct tcp_proxy *p)
{
    int client = accept4(p->listener, NULL, NULL, SOCK_CLOEXEC), server = client < 0 ? -1 : connect_to(p->target_port);
    for (int i = 0; client >= 0 && i < PAIRS_MAX; i++)
        if (p->pair[i][0] < 0 && server >= 0) {
            p->pair[i][0] = client;
            p->pair[i][1] = server;
            return;
        }
    drop((int[]){ client, server });
}

/* Passes on what came from one side.  false: one of them is gone, or is to be. */
static bool pass(struct tcp_proxy *p, int from, int to, bool to_server)
{
    char block[64 * 1024];
    ssize_t n = recv(from, block, sizeof block, MSG_DONTWAIT);
    if (n <= 0)
        return false;
    long left = to_server ? atomic_load(&p->limit->left) : 0;
    bool ends = left > 0 && left <= n, cut = ends && !atomic_load(&p->limit->holds);
    if (left > 0)
        atomic_store(&p->limit->left, ends ? 0 : left - n);
    if (ends && !cut)
        atomic_store(&p->limit->is_held, true);
    n = cut ? left : n;
    for (ssize_t done = 0; done < n;) {
        ssize_t sent = send(to, block + done, (size_t)(n - done), MSG_NOSIGNAL);
        if (sent <= 0)
            return false;
        done += sent;
    }
    return !cut;
}

static void serve(struct tcp_proxy *p)
{
    struct pollfd fd[1 + 2 * PAIRS_MAX] = { { .fd = p->listener, .events = POLLIN } };
    bool stalled = atomic_load(&p->stalled) || atomic_load(&p->limit->is_held);
    for (int i = 0; i < 2 * PAIRS_MAX; i++)
        fd[1 + i] = (struct pollfd){ .fd = stalled ? -1 : p->pair[i / 2][i % 2], .events = POLLIN };
    if (poll(fd, ARRAY_LEN(fd), TICK_MS) <= 0)
        return;
    for (int i = 0; i < 2 * PAIRS_MAX; i++) {
        int *pair = p->pair[i / 2];
        if (fd[1 + i].fd >= 0 && pair[0] >= 0 && fd[1 + i].revents &&
            !pass(p, pair[i % 2], pair[1 - i % 2], i % 2 == 0))
            drop(pair);
    }
    if (fd[0].revents)
        accept_one(p);
}

static void *run(void *arg)
{
    struct tcp_proxy *p = arg;
    while (!atomic_load(&p->stop)) {
        if (atomic_load(&p->cuts) > 0) {
            for (int i = 0; i < PAIRS_MAX; i++)
                drop(p->pair[i]);
            (void)atomic_fetch_sub(&p->cuts, 1);
        }
        serve(p);
    }
    return NULL;
}

struct tcp_proxy *tcp_proxy_start(const char *listen_at, int target_port)
{
    return tcp_proxy_start_at(listen_at, 0, target_port);
}

struct tcp_proxy *tcp_proxy_start_at(const char *listen_at, int port, int target_port)
{
    struct tcp_proxy *p = calloc(1, sizeof *p);
    struct sockaddr_in at = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };
    socklen_t n = sizeof at;
    const int on = 1;
    REQUIRE(p != NULL && inet_pton(AF_INET, listen_at, &at.sin_addr) == 1);
    memset(p->pair, -1, sizeof p->pair);
    p->limit = &p->own;
    p->target_port = target_port;
    p->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    REQUIRE(p->listener >= 0 && setsockopt(p->listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) == 0);
    REQUIRE(bind(p->listener, (const struct sockaddr *)&at, sizeof at) == 0 && listen(p->listener, PAIRS_MAX) == 0 &&
            getsockname(p->listener, (struct sockaddr *)&at, &n) == 0);
    p->port = ntohs(at.sin_port);
    REQUIRE(pthread_create(&p->thread, NULL, run, p) == 0);
    return p;
}

int tcp_proxy_port(const struct tcp_proxy *p)
{
    return p->port;
}

void tcp_proxy_cut(struct tcp_proxy *p)
{
    (void)atomic_fetch_add(&p->cuts, 1);
    while (atomic_load(&p->cuts) > 0)
        (void)usleep(1000);
}

void tcp_proxy_cut_after(struct tcp_proxy *p, long n)
{
    atomic_store(&p->limit->holds, false);
    atomic_store(&p->limit->left, n);
}

void tcp_proxy_hold_after(struct tcp_proxy *p, long n)
{
    atomic_store(&p->limit->holds, true);
    atomic_store(&p->limit->is_held, false);
    atomic_store(&p->limit->left, n);
}

bool tcp_proxy_is_held(const struct tcp_proxy *p)
{
    return atomic_load(&p->limit->is_held);
}

void tcp_proxy_count_with(struct tcp_proxy *p, struct tcp_proxy *other)
{
    p->limit = other->limit;
}

void tcp_proxy_stall(struct tcp_proxy *p, int stalled)
{
    atomic_store(&p->stalled, stalled);
    (void)usleep(2 * TICK_MS * 1000);
}

void tcp_proxy_stop(struct tcp_proxy *p)
{
    atomic_store(&p->stop, true);
    (void)pthread_join(p->thread, NULL);
    for (int i = 0; i < PAIRS_MAX; i++)
        drop(p->pair[i]);
    (void)close(p->listener);
    free(p);
}
