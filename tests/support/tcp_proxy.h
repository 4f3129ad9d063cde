/* tcp_proxy.h - a cable to a TCP server on loopback that a test can cut and stall.  A thread of the test's process. */
#ifndef PIXL_TEST_TCP_PROXY_H
#define PIXL_TEST_TCP_PROXY_H

#include <stdbool.h>

struct tcp_proxy;

/* listen: address to listen at ("127.0.0.1").  Ends the test when it cannot. */
struct tcp_proxy *tcp_proxy_start(const char *listen, int target_port);
/* The same at a given port. */
struct tcp_proxy *tcp_proxy_start_at(const char *listen, int port, int target_port);
int tcp_proxy_port(const struct tcp_proxy *p);
void tcp_proxy_cut(struct tcp_proxy *p);                 /* closes every connection; new ones are let through */
void tcp_proxy_stall(struct tcp_proxy *p, int stalled);  /* nothing goes through any more, and nothing is closed */
/* Closes the connection that passes on the n-th byte to the server from now on, once; 0: none. */
void tcp_proxy_cut_after(struct tcp_proxy *p, long n);
/* From the n-th byte to the server on nothing goes through, as with tcp_proxy_stall(), until n is 0. */
void tcp_proxy_hold_after(struct tcp_proxy *p, long n);
bool tcp_proxy_is_held(const struct tcp_proxy *p);
/* p counts together with other; only one of them cuts, and what holds one holds both.  other must outlast p. */
void tcp_proxy_count_with(struct tcp_proxy *p, struct tcp_proxy *other);
void tcp_proxy_stop(struct tcp_proxy *p);

#endif
