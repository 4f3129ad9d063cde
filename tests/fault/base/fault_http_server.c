#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/http_server.h"
#include "fault.h"
#include "test.h"

static void echo(void *ctx, const struct http_server_request *rq, struct http_server_answer *an)
{
    (void)ctx;
    (void)buf_add_str(&an->body, rq->body);
}

static const struct http_route routes[] = {
    { .method = "POST", .path = "/echo", .handle = echo, .at_once = 2 },
};

/* One request; "" when it was not answered with 200. */
static struct str ask(int port, char *out, size_t size)
{
    static const char request[] = "POST /echo HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer sixteen-letters-\r\n"
                                  "Content-Length: 5\r\n\r\nhello";
    struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    size_t n = 0;
    ssize_t more;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    REQUIRE(fd >= 0 && connect(fd, (struct sockaddr *)&a, sizeof a) == 0);
    (void)send(fd, request, sizeof request - 1, MSG_NOSIGNAL);
    while (n < size && (more = recv(fd, out + n, size - n, 0)) > 0)
        n += (size_t)more;
    (void)close(fd);
    const char *body = n ? memmem(out, n, "\r\n\r\n", 4) : NULL;
    if (body == NULL || memcmp(out, "HTTP/1.1 200", 12) != 0)
        return STR("");
    return (struct str){ body + 4, n - (size_t)(body + 4 - out) };
}

static bool start(const struct secret *token, struct http_server **s, struct pixl_error *err)
{
    struct http_server_options o = HTTP_SERVER_OPTIONS_USUAL;
    o.routes = routes;
    o.n_routes = ARRAY_LEN(routes);
    o.token = token;
    return http_server_start(&o, s, err);
}

static void test_fault_http_server__starting(void)
{
    struct pixl_error err = { 0 };
    secret_auto token = { 0 };
    REQUIRE_OK(secret_set(&token, STR("sixteen-letters-"), &err), err);
    long n = 0;
    for (;; n++) {
        struct http_server *s = NULL;
        fault_alloc_after(n);
        bool ok = start(&token, &s, &err);
        bool reached = fault_alloc_stop();
        CHECK(ok == (s != NULL));
        if (ok)
            CHECK(http_server_stop(s, clock_mono_us() + 5000000));
        if (!reached) {
            CHECK(ok);
            break;
        }
        CHECK(ok || err.code == PIXL_E_NOMEM);
        pixl_error_clear(&err);
    }
    CHECK(n >= 2);
}

/* A request that meets the end of the memory is not answered, or refused; the next one is as good as ever. */
static void test_fault_http_server__answering(void)
{
    struct pixl_error err = { 0 };
    struct http_server *s;
    secret_auto token = { 0 };
    char out[4096];
    REQUIRE_OK(secret_set(&token, STR("sixteen-letters-"), &err), err);
    REQUIRE_OK(start(&token, &s, &err), err);
    long n = 0;
    for (;; n++) {
        fault_alloc_after(n);
        struct str got = ask(http_server_port(s), out, sizeof out);
        bool reached = fault_alloc_stop();
        if (!reached) {
            CHECK_STR(got, "hello");
            break;
        }
        CHECK(got.n == 0 || str_eq(got, STR("hello")));
        CHECK_STR(ask(http_server_port(s), out, sizeof out), "hello");
    }
    CHECK(n >= 3);
    CHECK(http_server_stop(s, clock_mono_us() + 5000000));
}

int main(int argc, char **argv)
{
    static const struct test_case tests[] = { TEST(test_fault_http_server__starting), TEST(test_fault_http_server__answering) };
    return test_main(argc, argv, tests, ARRAY_LEN(tests));
}
