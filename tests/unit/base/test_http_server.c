#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/http_server.h"
#include "test.h"

#define TOKEN "correct-horse-battery"

struct rig {
    struct http_server *server;
    atomic_int calls, inside, most_inside;
    atomic_bool let_go, ignores_stop;
};

static void say_ok(void *ctx, const struct http_server_request *rq, struct http_server_answer *an)
{
    struct rig *r = ctx;
    (void)rq;
    atomic_fetch_add(&r->calls, 1);
    (void)buf_add_cstr(&an->body, "\"OK\"");
}

static void echo(void *ctx, const struct http_server_request *rq, struct http_server_answer *an)
{
    struct rig *r = ctx;
    atomic_fetch_add(&r->calls, 1);
    an->status = 201;
    an->content_type = rq->is_json ? "text/x-json" : "text/plain";
    (void)buf_add_str(&an->body, rq->body);
}

static void block(void *ctx, const struct http_server_request *rq, struct http_server_answer *an)
{
    struct rig *r = ctx;
    int inside = atomic_fetch_add(&r->inside, 1) + 1;
    if (inside > atomic_load(&r->most_inside))
        atomic_store(&r->most_inside, inside);
    while (!atomic_load(&r->let_go) && (atomic_load(&r->ignores_stop) || !atomic_load(rq->stopping)))
        (void)poll(NULL, 0, 5);
    atomic_fetch_sub(&r->inside, 1);
    (void)buf_add_cstr(&an->body, "null");
}

static void burst(void *ctx, const struct http_server_request *rq, struct http_server_answer *an)
{
    (void)ctx;
    (void)rq;
    an->body.failed = true;
}

static const struct http_route routes[] = {
    { .method = "GET", .path = "/heart-beat", .handle = say_ok, .is_open = true },
    { .method = "GET", .path = "/both", .handle = say_ok },
    { .method = "POST", .path = "/both", .handle = echo },
    { .method = "POST", .path = "/block", .handle = block, .at_once = 3 },
    { .method = "GET", .path = "/burst", .handle = burst },
};

static void start(struct rig *r, const char *token, int timeout_ms)
{
    struct pixl_error err = { 0 };
    secret_auto secret = { 0 };
    struct http_server_options o = HTTP_SERVER_OPTIONS_USUAL;
    memset(r, 0, sizeof *r);
    REQUIRE_OK(secret_set(&secret, str_of(token), &err), err);
    o.token = &secret;
    o.routes = routes;
    o.n_routes = ARRAY_LEN(routes);
    o.ctx = r;
    o.body_max = 1000;
    o.timeout_ms = timeout_ms;
    o.connections_max = 64;
    REQUIRE_OK(http_server_start(&o, &r->server, &err), err);
    REQUIRE(http_server_port(r->server) > 0);
}

static void stop(struct rig *r)
{
    REQUIRE(http_server_stop(r->server, clock_mono_us() + 10000000));
}

static int dial(const struct rig *r)
{
    struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons((uint16_t)http_server_port(r->server)),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    REQUIRE(fd >= 0 && connect(fd, (struct sockaddr *)&a, sizeof a) == 0);
    return fd;
}

static void say(int fd, struct str text)
{
    while (text.n > 0) {
        ssize_t n = send(fd, text.p, text.n, MSG_NOSIGNAL);
        if (n <= 0)
            return;
        text = (struct str){ text.p + n, text.n - (size_t)n };
    }
}

/* All that comes until the other side closes. */
static struct str hear(int fd, char *out, size_t size)
{
    size_t at = 0;
    ssize_t n;
    while (at < size && (n = recv(fd, out + at, size - at, 0)) > 0)
        at += (size_t)n;
    (void)close(fd);
    return (struct str){ out, at };
}

static int status_of(struct str answer)
{
    uint64_t n = 0;
    return answer.n > 12 && str_is_prefix(answer, STR("HTTP/1.1 ")) && str_to_u64((struct str){ answer.p + 9, 3 }, &n) ? (int)n : 0;
}

static struct str body_of(struct str answer)
{
    const char *at = answer.n ? memmem(answer.p, answer.n, "\r\n\r\n", 4) : NULL;
    return at == NULL ? STR("<none>") : (struct str){ at + 4, answer.n - (size_t)(at + 4 - answer.p) };
}

static bool holds(struct str answer, const char *text)
{
    return answer.n > 0 && memmem(answer.p, answer.n, text, strlen(text)) != NULL;
}

static char heard[1 << 16];
static struct str ask(const struct rig *r, const char *request)
{
    int fd = dial(r);
    say(fd, str_of(request));
    return hear(fd, heard, sizeof heard);
}

#define HEAD(method, path) method " " path " HTTP/1.1\r\nHost: localhost\r\n"

static void test_http_server__answers_by_the_table_of_routes(void)
{
    static const struct {
        const char *name, *request;
        int status;
        const char *body, *holds;
    } rows[] = {
        { "get", HEAD("GET", "/heart-beat") "\r\n", 200, "\"OK\"", "Content-Type: application/json\r\n" },
        { "query is no part of the path", HEAD("GET", "/heart-beat?a=b") "\r\n", 200, "\"OK\"", "Connection: close" },
        { "body", HEAD("POST", "/both") "Content-Length: 3\r\n\r\nabc", 201, "abc", "Content-Type: text/x-json\r\n" },
        { "json by its type", HEAD("POST", "/both") "Content-Type: Application/JSON; charset=utf-8\r\nContent-Length: 1\r\n\r\n1", 201, "1", "x-json" },
        { "problem json", HEAD("POST", "/both") "Content-Type: application/problem+json\r\nContent-Length: 1\r\n\r\n1", 201, "1", "x-json" },
        { "another type", HEAD("POST", "/both") "Content-Type: text/plain\r\nContent-Length: 1\r\n\r\n1", 201, "1", "text/plain" },
        { "chunked", HEAD("POST", "/both") "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n", 201, "abcde", "" },
        { "no such path", HEAD("GET", "/heart-beat/") "\r\n", 404, "{\"detail\":\"Not Found\"}", "" },
        { "no such method", HEAD("DELETE", "/both") "\r\n", 405, "{\"detail\":\"Method Not Allowed\"}", "Allow: GET, POST\r\n" },
        { "too large by its length", HEAD("POST", "/both") "Content-Length: 1001\r\nExpect: 100-continue\r\n\r\n", 413,
          "{\"detail\":\"Request body is too large\"}", "" },
        { "larger than is read", HEAD("POST", "/both") "Content-Length: 99999999999\r\n\r\n", 413, "{\"detail\":\"Request body is too large\"}", "" },
        { "no memory", HEAD("GET", "/burst") "\r\n", 500, "{\"detail\":\"Internal Server Error\"}", "" },
        { "a page's request", HEAD("POST", "/both") "Origin: http://evil.example\r\nContent-Length: 1\r\n\r\n1", 403, NULL, "programs on its own" },
        { "a name that leads here", "GET /heart-beat HTTP/1.1\r\nHost: evil.example:7007\r\n\r\n", 403, NULL, "" },
        { "no name but like one", "GET /heart-beat HTTP/1.1\r\nHost: localhost.evil.example\r\n\r\n", 403, NULL, "" },
        { "no address but like one", "GET /heart-beat HTTP/1.1\r\nHost: 127.evil.example:7007\r\n\r\n", 403, NULL, "" },
        { "no address but begun so", "GET /heart-beat HTTP/1.1\r\nHost: 127.0.0.1.evil.example\r\n\r\n", 403, NULL, "" },
        { "by address", "GET /heart-beat HTTP/1.1\r\nHost: 127.0.0.1:7007\r\n\r\n", 200, "\"OK\"", "" },
        { "by the other address", "GET /heart-beat HTTP/1.1\r\nHost: [::1]:7007\r\n\r\n", 200, "\"OK\"", "" },
    };
    struct rig r;
    start(&r, "", 5000);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        test_row("%s", rows[i].name);
        struct str got = ask(&r, rows[i].request);
        CHECK_INT(status_of(got), rows[i].status);
        if (rows[i].body != NULL)
            CHECK_STR(body_of(got), rows[i].body);
        CHECK(holds(got, rows[i].holds));
    }
    stop(&r);
}

static void test_http_server__a_large_body_is_read_and_refused(void)
{
    struct rig r;
    start(&r, "", 5000);
    char head[200];
    static char body[2 << 20];
    memset(body, 'x', sizeof body);
    (void)snprintf(head, sizeof head, HEAD("POST", "/both") "Content-Length: %zu\r\n\r\n", sizeof body);
    int fd = dial(&r);
    say(fd, str_of(head));
    say(fd, (struct str){ body, sizeof body });
    CHECK_INT(status_of(hear(fd, heard, sizeof heard)), 413);

    fd = dial(&r);                       /* one that does not say how much comes */
    say(fd, STR(HEAD("POST", "/both") "Transfer-Encoding: chunked\r\n\r\n"));
    for (int i = 0; i < 300; i++)
        say(fd, STR("a\r\n0123456789\r\n"));
    say(fd, STR("0\r\n\r\n"));
    CHECK_INT(status_of(hear(fd, heard, sizeof heard)), 413);
    CHECK_INT(atomic_load(&r.calls), 0);
    stop(&r);
}

static void test_http_server__wants_its_token(void)
{
    static const struct {
        const char *name, *header;
        int status;
    } rows[] = {
        { "none", "", 401 },
        { "right", "Authorization: Bearer " TOKEN "\r\n", 201 },
        { "another case of the word", "Authorization: bearer " TOKEN "\r\n", 201 },
        { "wrong", "Authorization: Bearer correct-horse-batterz\r\n", 401 },
        { "its beginning", "Authorization: Bearer correct-horse\r\n", 401 },
        { "longer", "Authorization: Bearer " TOKEN "x\r\n", 401 },
        { "empty", "Authorization: Bearer \r\n", 401 },
        { "another scheme", "Authorization: Basic " TOKEN "\r\n", 401 },
        { "from a page that knows it", "Origin: https://desk.example\r\nAuthorization: Bearer " TOKEN "\r\n", 201 },
    };
    struct rig r;
    char request[400];
    start(&r, TOKEN, 5000);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        test_row("%s", rows[i].name);
        (void)snprintf(request, sizeof request, "POST /both HTTP/1.1\r\nHost: pixl.example\r\n%sContent-Length: 1\r\n\r\n1", rows[i].header);
        struct str got = ask(&r, request);
        CHECK_INT(status_of(got), rows[i].status);
        if (rows[i].status == 401)
            CHECK(holds(got, "WWW-Authenticate: Bearer\r\n") && holds(got, "{\"detail\":\"Not authenticated\"}") && !holds(got, TOKEN));
    }
    CHECK_INT(atomic_load(&r.calls), 3);
    CHECK_INT(status_of(ask(&r, HEAD("GET", "/heart-beat") "\r\n")), 200);
    CHECK_INT(status_of(ask(&r, HEAD("GET", "/nowhere") "\r\n")), 401);     /* who has no token learns no paths */
    stop(&r);
}

static void test_http_server__does_not_start_open_to_everybody(void)
{
    static const struct {
        const char *name, *host, *token;
        enum pixl_code fails;
        const char *says;
    } rows[] = {
        { "all addresses", "0.0.0.0", "", PIXL_E_INVALID, "PIXL_API_TOKEN" },
        { "all of both kinds", "::", "", PIXL_E_INVALID, "PIXL_API_TOKEN" },
        { "a mapped loopback is not taken for one", "::ffff:127.0.0.1", "", PIXL_E_INVALID, "PIXL_API_TOKEN" },
        { "a short token", "127.0.0.1", "fifteen-letters", PIXL_E_INVALID, "shorter than 16" },
        { "a name", "example.org", TOKEN, PIXL_E_INVALID, "no address" },
        { "nothing", "", TOKEN, PIXL_E_INVALID, "no address" },
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct pixl_error err = { 0 };
        struct http_server_options o = HTTP_SERVER_OPTIONS_USUAL;
        struct http_server *s = NULL;
        secret_auto token = { 0 };
        test_row("%s", rows[i].name);
        REQUIRE_OK(secret_set(&token, str_of(rows[i].token), &err), err);
        o.host = rows[i].host;
        o.token = &token;
        bool ok = http_server_start(&o, &s, &err);
        CHECK(!ok && s == NULL && strstr(err.msg, rows[i].says) != NULL);
        CHECK_INT(err.code, rows[i].fails);
    }
    struct pixl_error err = { 0 };
    struct http_server_options o = HTTP_SERVER_OPTIONS_USUAL;
    struct http_server *s = NULL;
    secret_auto token = { 0 };
    REQUIRE_OK(secret_set(&token, STR(TOKEN), &err), err);
    o.host = "0.0.0.0";
    o.token = &token;
    REQUIRE_OK(http_server_start(&o, &s, &err), err);
    o.port = http_server_port(s);
    struct http_server *second = NULL;
    CHECK_FAILS(http_server_start(&o, &second, &err), err, PIXL_E_BUSY);
    CHECK(http_server_stop(s, clock_mono_us() + 5000000));
}

/* n clients that send a byte now and then; returns when all of them were cut. */
static void dribble(const struct rig *r, int n, const char *beginning, int64_t *lasted_us)
{
    int fd[64];
    const int64_t began = clock_mono_us();
    for (int i = 0; i < n; i++)
        say(fd[i] = dial(r), str_of(beginning));
    int quick = dial(r);
    say(quick, STR(HEAD("GET", "/heart-beat") "\r\n"));
    CHECK_INT(status_of(hear(quick, heard, sizeof heard)), 200);
    for (int i = 0; i < n; i++) {
        struct pollfd p = { .fd = fd[i], .events = POLLIN };
        while (poll(&p, 1, 20) == 0 && clock_mono_us() - began < 20000000)
            for (int k = i; k < n; k++)
                say(fd[k], STR("a"));
        struct str got = hear(fd[i], heard, sizeof heard);
        CHECK(status_of(got) == 0 || status_of(got) >= 400);
    }
    *lasted_us = clock_mono_us() - began;
}

static void test_http_server__a_slow_client_is_cut_and_holds_up_nobody(void)
{
    static const char *const beginnings[] = {
        "GE", "GET /both HTTP/1.1\r\nHost: localhost\r\nX: ",
        "POST /both HTTP/1.1\r\nHost: localhost\r\nContent-Length: 999\r\n\r\nx",
        "POST /nowhere HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9999\r\n\r\nx",
    };
    struct rig r;
    int64_t lasted;
    start(&r, "", 1500);
    for (size_t i = 0; i < ARRAY_LEN(beginnings); i++) {
        test_row("%s", beginnings[i]);
        dribble(&r, 8, beginnings[i], &lasted);
        CHECK(lasted >= 1400000 && lasted < 10000000);
    }
    stop(&r);
}

static void test_http_server__a_crowd_of_slow_clients_makes_room(void)
{
    struct rig r;
    struct pollfd p[50];
    int cut = 0;
    start(&r, "", 60000);
    for (size_t i = 0; i < ARRAY_LEN(p); i++) {
        p[i] = (struct pollfd){ .fd = dial(&r), .events = POLLIN };
        say(p[i].fd, STR("GET /bo"));
    }
    for (const int64_t began = clock_mono_us(); cut < 50 - 32 && clock_mono_us() - began < 30000000;) {
        (void)poll(p, ARRAY_LEN(p), 20);
        for (size_t i = 0; i < ARRAY_LEN(p); i++) {
            say(p[i].fd, STR("t"));
            if (p[i].fd >= 0 && p[i].revents != 0) {
                (void)close(p[i].fd);
                p[i] = (struct pollfd){ .fd = -1 };
                cut++;
            }
        }
    }
    CHECK(cut >= 50 - 32);
    CHECK_INT(status_of(ask(&r, HEAD("GET", "/heart-beat") "\r\n")), 200);
    stop(&r);
}

static void test_http_server__a_blocking_route_has_so_many_places(void)
{
    struct rig r;
    int fd[5];
    start(&r, "", 1000);
    for (size_t i = 0; i < 3; i++) {
        fd[i] = dial(&r);
        say(fd[i], STR(HEAD("POST", "/block") "\r\n"));
    }
    while (atomic_load(&r.inside) < 3)
        (void)poll(NULL, 0, 5);
    struct str got = ask(&r, HEAD("POST", "/block") "\r\n");
    CHECK_INT(status_of(got), 503);
    CHECK(holds(got, "Retry-After: 1\r\n"));
    CHECK_INT(status_of(ask(&r, HEAD("GET", "/heart-beat") "\r\n")), 200);
    (void)poll(NULL, 0, 2500);           /* a handler may take longer than a client may */
    atomic_store(&r.let_go, true);
    for (size_t i = 0; i < 3; i++)
        CHECK_STR(body_of(hear(fd[i], heard, sizeof heard)), "null");
    CHECK_INT(atomic_load(&r.most_inside), 3);
    CHECK_INT(status_of(ask(&r, HEAD("POST", "/block") "\r\n")), 200);      /* places are given back */
    stop(&r);
}

static void *ask_once(void *arg)
{
    static _Thread_local char answer[4096];
    int fd = dial(arg);
    say(fd, STR(HEAD("POST", "/both") "Content-Length: 5\r\n\r\nhello"));
    struct str got = hear(fd, answer, sizeof answer);
    return status_of(got) == 201 && str_eq(body_of(got), STR("hello")) ? arg : NULL;
}

static void test_http_server__a_hundred_at_once(void)
{
    struct rig r;
    pthread_t t[100];
    start(&r, "", 10000);
    for (size_t i = 0; i < ARRAY_LEN(t); i++)
        REQUIRE(pthread_create(&t[i], NULL, ask_once, &r) == 0);
    int well = 0;
    for (size_t i = 0; i < ARRAY_LEN(t); i++) {
        void *ok;
        (void)pthread_join(t[i], &ok);
        well += ok != NULL;
    }
    CHECK_INT(well, 100);
    CHECK_INT(atomic_load(&r.calls), 100);
    stop(&r);
}

static void test_http_server__stops_within_its_deadline(void)
{
    struct rig r;
    start(&r, "", 60000);
    int working = dial(&r), half = dial(&r), idle = dial(&r);
    say(working, STR(HEAD("POST", "/block") "\r\n"));
    say(half, STR("POST /both HTTP/1.1\r\nContent-Le"));
    while (atomic_load(&r.inside) < 1)
        (void)poll(NULL, 0, 5);
    const int64_t began = clock_mono_us();
    CHECK(http_server_stop(r.server, began + 10000000));    /* the handler sees that it is to end */
    CHECK(clock_mono_us() - began < 5000000);
    CHECK_STR(body_of(hear(working, heard, sizeof heard)), "null");
    CHECK_INT(hear(half, heard, sizeof heard).n, 0);
    CHECK_INT(hear(idle, heard, sizeof heard).n, 0);

    static struct rig stubborn;          /* stays, as the server does that could not be stopped */
    start(&stubborn, "", 60000);
    atomic_store(&stubborn.ignores_stop, true);
    working = dial(&stubborn);
    say(working, STR(HEAD("POST", "/block") "\r\n"));
    while (atomic_load(&stubborn.inside) < 1)
        (void)poll(NULL, 0, 5);
    CHECK(!http_server_stop(stubborn.server, clock_mono_us() + 200000));
    atomic_store(&stubborn.let_go, true);
    CHECK_STR(body_of(hear(working, heard, sizeof heard)), "null");
    CHECK(http_server_stop(stubborn.server, clock_mono_us() + 10000000));
}

static atomic_int signals;
static void count_signal(int n)
{
    (void)n;
    atomic_fetch_add(&signals, pthread_self() != 0);
}

static void test_http_server__its_threads_take_no_signals(void)
{
    struct rig r;
    sigset_t term, now;
    (void)signal(SIGTERM, count_signal);
    start(&r, "", 60000);
    int fd = dial(&r);
    say(fd, STR(HEAD("POST", "/block") "\r\n"));
    while (atomic_load(&r.inside) < 1)
        (void)poll(NULL, 0, 5);
    (void)sigemptyset(&term);
    (void)sigaddset(&term, SIGTERM);
    (void)pthread_sigmask(SIG_BLOCK, &term, &now);
    CHECK(!sigismember(&now, SIGTERM));                     /* the caller's own mask is as it was */
    REQUIRE(kill(getpid(), SIGTERM) == 0);
    (void)poll(NULL, 0, 100);
    CHECK_INT(atomic_load(&signals), 0);
    const struct timespec soon = { .tv_sec = 5 };
    CHECK_INT(sigtimedwait(&term, NULL, &soon), SIGTERM);
    atomic_store(&r.let_go, true);
    CHECK_STR(body_of(hear(fd, heard, sizeof heard)), "null");
    stop(&r);
}

int main(int argc, char **argv)
{
    static const struct test_case tests[] = {
        TEST(test_http_server__answers_by_the_table_of_routes),
        TEST(test_http_server__a_large_body_is_read_and_refused),
        TEST(test_http_server__wants_its_token),
        TEST(test_http_server__does_not_start_open_to_everybody),
        TEST(test_http_server__a_slow_client_is_cut_and_holds_up_nobody),
        TEST(test_http_server__a_crowd_of_slow_clients_makes_room),
        TEST(test_http_server__a_blocking_route_has_so_many_places),
        TEST(test_http_server__a_hundred_at_once),
        TEST(test_http_server__stops_within_its_deadline),
        TEST(test_http_server__its_threads_take_no_signals),
    };
    return test_main(argc, argv, tests, ARRAY_LEN(tests));
}
