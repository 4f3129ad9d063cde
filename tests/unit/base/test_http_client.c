#include "base/http_client.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fs.h"
#include "http_peer.h"
#include "test.h"

enum { SECOND_US = 1000000, BODY_MAX = 1 << 20 };

static char url[256], ca[600];

static struct http_client *client_at(const char *scheme, const char *host, int port, const char *rest,
                                     const char *ca_name)
{
    struct pixl_error err = { 0 };
    struct http_client *c = NULL;
    (void)snprintf(url, sizeof url, "%s://%s:%d%s", scheme, host, port, rest);
    (void)snprintf(ca, sizeof ca, "%s/%s", http_peer.certs, ca_name ? ca_name : "");
    struct http_client_options o = { .url = url, .connect_ms = 5000, .ca_file = ca_name ? ca : NULL };
    REQUIRE_OK(http_client_open(&o, &c, &err), err);
    return c;
}

static struct http_client *plain(void)
{
    return client_at("http", "127.0.0.1", http_peer.port, "", NULL);
}

static struct http_request get(const char *path)
{
    struct http_request r = HTTP_REQUEST_NONE;
    r.path = path;
    r.deadline_us = clock_mono_us() + 20 * SECOND_US;
    r.answer_max = BODY_MAX;
    return r;
}

static struct http_answer *new_answer(void)
{
    static struct http_answer a;
    buf_done(&a.body);
    buf_init(&a.body, BODY_MAX);
    return &a;
}

/* The body of GET path as a number. */
static long long number_at(struct http_client *c, const char *path)
{
    struct pixl_error err = { 0 };
    struct http_answer *a = new_answer();
    struct http_request r = get(path);
    int64_t n = -1;
    REQUIRE_OK(http_client_do(c, &r, a, &err), err);
    CHECK(str_to_i64(buf_str(&a->body), &n));
    return n;
}

static void check_pattern(const char *p, size_t n)
{
    size_t good = 0;
    while (good < n && (unsigned char)p[good] == good % 251)
        good++;
    CHECK_INT(good, n);
}

static void test_http__many_requests_use_one_connection(void)
{
    http_client_auto *c = plain();
    struct pixl_error err = { 0 };
    long long before = number_at(c, "/count");
    for (int i = 0; i < 50; i++) {
        struct http_request r = get("/status/404");
        r.method = (enum http_method)(i % 4);
        if (r.method == HTTP_PUT || r.method == HTTP_POST)
            r.body = STR("some body");
        struct http_answer *a = new_answer();
        CHECK_OK(http_client_do(c, &r, a, &err), err);
        CHECK_INT(a->status, 404);
    }
    CHECK_INT(number_at(c, "/count"), before);
}

struct crowd {
    struct http_client *c;
    atomic_int good;
};

static void *crowd_main(void *arg)
{
    struct crowd *crowd = arg;
    struct pixl_error err = { 0 };
    struct http_answer a = { 0 };
    buf_init(&a.body, BODY_MAX);
    for (int i = 0; i < 20; i++) {
        struct http_request r = get("/bytes/30000");
        if (http_client_do(crowd->c, &r, &a, &err) && a.body.n == 30000)
            crowd->good++;
    }
    buf_done(&a.body);
    return NULL;
}

static void test_http__threads_share_a_client(void)
{
    http_client_auto *c = plain();
    struct crowd crowd = { .c = c };
    pthread_t threads[24];
    long long before = number_at(c, "/count");
    for (size_t i = 0; i < ARRAY_LEN(threads); i++)
        REQUIRE(pthread_create(&threads[i], NULL, crowd_main, &crowd) == 0);
    for (size_t i = 0; i < ARRAY_LEN(threads); i++)
        (void)pthread_join(threads[i], NULL);
    CHECK_INT(crowd.good, 20 * 24);
    /* No more than one each, and those that were over the limit of idle ones anew. */
    CHECK(number_at(c, "/count") - before < 20 * 24 / 2);
}

static void test_http__the_request_is_what_was_asked_for(void)
{
    secret_auto password = { 0 }, token = { 0 };
    struct pixl_error err = { 0 };
    http_client_auto *c = NULL;
    REQUIRE_OK(secret_set(&password, STR("s3cret:x"), &err), err);
    REQUIRE_OK(secret_set(&token, STR("t0ken"), &err), err);
    (void)snprintf(url, sizeof url, "http://127.0.0.1:%d/echo/prefix//", http_peer.port);
    struct http_client_options o = { .url = url, .user = "orthanc", .password = &password, .connect_ms = 5000 };
    REQUIRE_OK(http_client_open(&o, &c, &err), err);
    struct http_request r = get("/../a%20b?q=1&r=2");
    struct http_answer *a = new_answer();
    REQUIRE_OK(http_client_do(c, &r, a, &err), err);
    struct str got = buf_str(&a->body);
    CHECK(str_is_prefix(got, STR("GET /echo/prefix/../a%20b?q=1&r=2 HTTP/1.1\r\n")));
    CHECK(strstr(got.p, "\r\nAuthorization: Basic b3J0aGFuYzpzM2NyZXQ6eA==\r\n") != NULL);
    CHECK(strstr(got.p, "Content-Type") == NULL && strstr(got.p, "Expect") == NULL);
    CHECK_STR(str_of(a->content_type), "text/x-echo; charset=utf-8");
    CHECK_STR(str_of(a->challenge), "");
    CHECK_INT(a->retry_after_s, -1);
    struct http_header h[] = { { "Accept", STR("application/dicom+json") }, { "X-Empty", STR("x") } };
    r.method = HTTP_POST;
    r.headers = h;
    r.n_headers = ARRAY_LEN(h);
    r.bearer = &token;
    r.content_type = "application/json";
    r.body = STR("{\"Level\":\"Study\"}");
    REQUIRE_OK(http_client_do(c, &r, a, &err), err);
    got = buf_str(&a->body);
    CHECK(str_is_prefix(got, STR("POST /echo/prefix/../")));
    CHECK(strstr(got.p, "\r\nAuthorization: Bearer t0ken\r\n") != NULL && strstr(got.p, "Basic") == NULL);
    CHECK(strstr(got.p, "\r\nAccept: application/dicom+json\r\n") != NULL);
    CHECK(strstr(got.p, "\r\nContent-Type: application/json\r\n") != NULL);
    CHECK(strstr(got.p, "\r\n\r\n{\"Level\":\"Study\"}") != NULL);
    r.method = HTTP_DELETE;
    r.body = (struct str){ 0 };
    REQUIRE_OK(http_client_do(c, &r, a, &err), err);
    CHECK(str_is_prefix(buf_str(&a->body), STR("DELETE /echo/")));
    buf_done(&a->body);
}

static void test_http__a_request_cannot_be_broken_into(void)
{
    http_client_auto *c = plain();
    struct pixl_error err = { 0 };
    struct http_answer *a = new_answer();
    static const char *paths[] = { "echo", "", "/a b", "/a\r\nX: y", "/a#b", "/\x7f" };
    for (size_t i = 0; i < ARRAY_LEN(paths); i++) {
        test_row("%zu", i);
        struct http_request r = get(paths[i]);
        CHECK_FAILS(http_client_do(c, &r, a, &err), err, PIXL_E_INVALID);
    }
    struct http_header h = { "X", STR("a\r\nAuthorization: b") };
    struct http_request r = get("/echo");
    r.headers = &h;
    r.n_headers = 1;
    CHECK_FAILS(http_client_do(c, &r, a, &err), err, PIXL_E_INVALID);
}

static void test_http__addresses(void)
{
    static const struct {
        const char *url, *place;
    } rows[] = {
        { "http://host", "http://host" },
        { "https://host:8042/", "https://host:8042" },
        { "https://host:8042/orthanc/raw", "https://host:8042" },
        { "http://[::1]:80", "http://[::1]:80" },
        { "ftp://host", NULL },
        { "host:8042", NULL },
        { "", NULL },
        { "http://", NULL },
        { "http://user:Canary@host", NULL },
        { "http://user@host", NULL },
        { "http://host/?Canary", NULL },
        { "http://host/#Canary", NULL },
        { "http://host:99999", NULL },
        { "http://host/ Canary", NULL },
        { "http://ho st Canary", NULL },
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        test_row("%s", rows[i].url);
        struct pixl_error err = { 0 };
        http_client_auto *c = NULL;
        struct http_client_options o = { .url = rows[i].url, .connect_ms = 1000 };
        bool ok = http_client_open(&o, &c, &err);
        CHECK(strstr(err.msg, "Canary") == NULL && strstr(err.msg, "user") == NULL);
        if (rows[i].place == NULL)
            CHECK_FAILS(ok, err, PIXL_E_INVALID);
        else if (CHECK_OK(ok, err))
            CHECK_STR(str_of(http_client_place(c)), rows[i].place);
    }
    test_row("user with a colon");
    struct pixl_error err = { 0 };
    struct http_client *c = NULL;
    struct http_client_options o = { .url = "http://host", .user = "a:b", .connect_ms = 1000 };
    CHECK_FAILS(http_client_open(&o, &c, &err), err, PIXL_E_INVALID);
    o = (struct http_client_options){ .url = "https://host", .ca_file = "/nowhere/ca.pem", .connect_ms = 1000 };
    CHECK_FAILS(http_client_open(&o, &c, &err), err, PIXL_E_INVALID);
    o.ca_file = "/dev/null";
    CHECK_FAILS(http_client_open(&o, &c, &err), err, PIXL_E_INVALID);
    CHECK(c == NULL);
}

/* Whoever replaces it may be in the middle of that: it passes. */
static void test_http__a_ca_file_that_goes_is_an_outage(void)
{
    struct pixl_error err = { 0 };
    char copy[1024], original[600];
    struct arena a;
    struct str pem;
    arena_init(&a, 1 << 20);
    (void)snprintf(copy, sizeof copy, "%s", test_path("ca.pem"));
    (void)snprintf(original, sizeof original, "%s/ca.pem", http_peer.certs);
    REQUIRE_OK(fs_read_whole(&a, original, 1 << 16, &pem, &err), err);
    REQUIRE_OK(fs_write_whole(copy, pem, 0600, &err), err);
    arena_done(&a);
    (void)snprintf(url, sizeof url, "https://127.0.0.1:%d", http_peer.tls_port);
    const struct http_client_options o = { .url = url, .connect_ms = 5000, .ca_file = copy };
    http_client_auto *c = NULL;
    REQUIRE_OK(http_client_open(&o, &c, &err), err);
    REQUIRE(rename(copy, test_path("elsewhere.pem")) == 0);
    struct http_request r = get("/bytes/10");
    CHECK_FAILS(http_client_do(c, &r, new_answer(), &err), err, PIXL_E_UNAVAILABLE);
    REQUIRE(rename(test_path("elsewhere.pem"), copy) == 0);
    CHECK_OK(http_client_do(c, &r, new_answer(), &err), err);
}

static void test_http__bodies_of_every_kind_come_whole(void)
{
    http_client_auto *c = plain();
    static const char *paths[] = { "/bytes/0", "/bytes/300000", "/chunked/300000", "/to-the-end/300000", "/chunked/0" };
    static const size_t sizes[] = { 0, 300000, 300000, 300000, 0 };
    for (size_t i = 0; i < ARRAY_LEN(paths); i++) {
        test_row("%s", paths[i]);
        struct pixl_error err = { 0 };
        struct http_answer *a = new_answer();
        struct http_request r = get(paths[i]);
        CHECK_OK(http_client_do(c, &r, a, &err), err);
        CHECK_INT(a->status, 200);
        CHECK_INT(a->body.n, sizes[i]);
        CHECK_INT(a->body_bytes, sizes[i]);
        if (a->body.n)
            check_pattern(a->body.p, a->body.n);
    }
}

static void test_http__a_cut_answer_is_unavailable(void)
{
    http_client_auto *plain_c = plain(), *tls = client_at("https", "localhost", http_peer.tls_port, "", "ca.pem");
    static const char *paths[] = { "/cut/100000", "/cut-chunk/100000", "/drop/x", "/garbage" };
    for (size_t i = 0; i < 2 * ARRAY_LEN(paths); i++) {
        test_row("%s %zu", paths[i / 2], i);
        struct pixl_error err = { 0 };
        struct http_answer *a = new_answer();
        struct http_request r = get(paths[i / 2]);
        bool ok = http_client_do(i % 2 ? tls : plain_c, &r, a, &err);
        CHECK(strstr(err.msg, "Doe") == NULL && strstr(err.msg, "SSH") == NULL);
        CHECK_FAILS(ok, err, PIXL_E_UNAVAILABLE);
        CHECK(number_at(plain_c, "/count") > 0); /* and the client goes on */
    }
}

static void test_http__no_answer_in_time_is_unavailable(void)
{
    http_client_auto *c = plain();
    static const char *paths[] = { "/never", "/drip", "/headers/20000" };
    for (size_t i = 0; i < ARRAY_LEN(paths); i++) {
        test_row("%s", paths[i]);
        struct pixl_error err = { 0 };
        struct http_request r = get(paths[i]);
        int64_t start = clock_mono_us();
        r.deadline_us = start + 300000;
        bool ok = http_client_do(c, &r, new_answer(), &err);
        CHECK_FAILS(ok, err, i == 2 ? PIXL_E_LIMIT : PIXL_E_UNAVAILABLE);
        CHECK(clock_mono_us() - start < 10 * SECOND_US);
        CHECK(i == 2 || clock_mono_us() - start >= 300000);
    }
    struct pixl_error err = { 0 };
    struct http_request r = get("/bytes/1");
    r.deadline_us = clock_mono_us() - 1;
    CHECK_FAILS(http_client_do(c, &r, new_answer(), &err), err, PIXL_E_UNAVAILABLE);
}

static void *cancel_soon(void *flag)
{
    (void)usleep(150000);
    atomic_store((atomic_bool *)flag, true);
    return NULL;
}

static void test_http__a_cancelled_request_ends_soon(void)
{
    http_client_auto *c = plain();
    struct pixl_error err = { 0 };
    atomic_bool cancel = false;
    pthread_t t;
    struct http_request r = get("/never");
    r.cancel = &cancel;
    r.deadline_us += 100 * (int64_t)SECOND_US;
    REQUIRE(pthread_create(&t, NULL, cancel_soon, &cancel) == 0);
    int64_t start = clock_mono_us();
    CHECK_FAILS(http_client_do(c, &r, new_answer(), &err), err, PIXL_E_CANCELLED);
    CHECK(clock_mono_us() - start < 10 * SECOND_US);
    (void)pthread_join(t, NULL);
}

static void test_http__an_answer_over_its_cap_is_refused(void)
{
    http_client_auto *c = plain();
    static const char *paths[] = { "/bytes/1001", "/chunked/1001", "/to-the-end/1001" };
    for (size_t i = 0; i < ARRAY_LEN(paths); i++) {
        test_row("%s", paths[i]);
        struct pixl_error err = { 0 };
        struct http_request r = get(paths[i]);
        r.answer_max = 1001;
        CHECK_OK(http_client_do(c, &r, new_answer(), &err), err);
        r.answer_max = 1000;
        CHECK_FAILS(http_client_do(c, &r, new_answer(), &err), err, PIXL_E_LIMIT);
        struct http_answer a = { 0 };
        buf_init(&a.body, 1000);
        r.answer_max = BODY_MAX;
        CHECK_FAILS(http_client_do(c, &r, &a, &err), err, PIXL_E_LIMIT);
        buf_done(&a.body);
    }
    test_row("what is no success is cut");
    struct pixl_error err = { 0 };
    struct http_request r = get("/status/500");
    struct http_answer *a = new_answer();
    r.answer_max = 7;
    CHECK_OK(http_client_do(c, &r, a, &err), err);
    CHECK_INT(a->status, 500);
    CHECK_STR(buf_str(&a->body), "Patient");
}

static void test_http__an_answer_goes_to_a_file(void)
{
    http_client_auto *c = plain();
    struct pixl_error err = { 0 };
    struct http_answer *a = new_answer();
    int fd = open(test_path("answer"), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    static char got[300000];
    struct http_request r = get("/chunked/300000");
    r.answer_fd = fd;
    CHECK_OK(http_client_do(c, &r, a, &err), err);
    CHECK_INT(a->body.n, 0);
    CHECK_INT(a->body_bytes, 300000);
    CHECK_INT(lseek(fd, 0, SEEK_END), 300000);
    CHECK(pread(fd, got, sizeof got, 0) == (ssize_t)sizeof got);
    check_pattern(got, sizeof got);
    r.path = "/status/404"; /* what is said of a failure is not what was asked for */
    CHECK_OK(http_client_do(c, &r, a, &err), err);
    CHECK_INT(lseek(fd, 0, SEEK_END), 300000);
    CHECK_STR(buf_str(&a->body), "Patient Doe^Jane");
    (void)close(fd);
    r.path = "/bytes/1000";
    r.answer_fd = open("/dev/full", O_WRONLY | O_CLOEXEC);
    CHECK_FAILS(http_client_do(c, &r, a, &err), err, PIXL_E_NO_SPACE);
    (void)close(r.answer_fd);
}

static void test_http__a_body_comes_from_a_file(void)
{
    http_client_auto *c = plain();
    static const enum http_method methods[] = { HTTP_PUT, HTTP_POST };
    static char text[500000];
    memset(text, 'b', sizeof text);
    struct pixl_error err = { 0 };
    REQUIRE_OK(fs_write_whole(test_path("body"), (struct str){ text, sizeof text }, 0600, &err), err);
    int fd = open(test_path("body"), O_RDONLY | O_CLOEXEC);
    for (size_t i = 0; i < ARRAY_LEN(methods); i++) {
        struct http_answer *a = new_answer();
        struct http_request r = get("/echo");
        r.method = methods[i];
        r.body_fd = fd;
        r.body_bytes = sizeof text;
        CHECK_OK(http_client_do(c, &r, a, &err), err);
        const char *at = strstr(buf_cstr(&a->body), "\r\n\r\n");
        REQUIRE(at != NULL);
        CHECK(strlen(at + 4) == sizeof text && memcmp(at + 4, text, sizeof text) == 0);
        CHECK(strstr(a->body.p, "\r\nContent-Length: 500000\r\n") != NULL);
        r.body_bytes++;
        CHECK_FAILS(http_client_do(c, &r, a, &err), err, PIXL_E_CORRUPT);
    }
    (void)close(fd);
}

static void test_http__each_bad_certificate_is_told(void)
{
    const struct {
        const char *host;
        int port;
        const char *ca, *says;
    } rows[] = {
        { "localhost", http_peer.tls_port, "ca.pem", NULL },
        { "127.0.0.1", http_peer.tls_port, "ca.pem", NULL },
        { "localhost", http_peer.tls_port, "other.pem", "unknown CA" },
        { "localhost", http_peer.tls_port, NULL, "unknown CA" },
        { "localhost", http_peer.elsewhere_port, "ca.pem", "another host" },
        { "127.0.0.1", http_peer.elsewhere_port, "ca.pem", "another host" },
        { "localhost", http_peer.expired_port, "ca.pem", "expired" },
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        test_row("%s %d %s", rows[i].host, rows[i].port, rows[i].ca ? rows[i].ca : "of the system");
        http_client_auto *c = client_at("https", rows[i].host, rows[i].port, "", rows[i].ca);
        struct pixl_error err = { 0 };
        struct http_request r = get("/bytes/1");
        bool ok = http_client_do(c, &r, new_answer(), &err);
        CHECK(rows[i].says == NULL || strstr(err.msg, rows[i].says) != NULL);
        if (rows[i].says)
            CHECK_FAILS(ok, err, PIXL_E_DENIED);
        else
            CHECK_OK(ok, err);
    }
    test_row("TLS to what speaks none, and the other way round");
    struct pixl_error err = { 0 };
    struct http_request r = get("/bytes/1");
    http_client_auto *a = client_at("https", "localhost", http_peer.port, "", "ca.pem");
    r.deadline_us = clock_mono_us() + SECOND_US;
    CHECK_FAILS(http_client_do(a, &r, new_answer(), &err), err, PIXL_E_UNAVAILABLE);
    http_client_auto *b = client_at("http", "localhost", http_peer.tls_port, "", NULL);
    CHECK_FAILS(http_client_do(b, &r, new_answer(), &err), err, PIXL_E_UNAVAILABLE);
}

static void test_http__retry_after_in_both_forms(void)
{
    http_client_auto *c = plain();
    char in_a_minute[128];
    time_t then = (time_t)(clock_wall_us() / 1000000) + 60;
    struct tm tm;
    (void)gmtime_r(&then, &tm);
    REQUIRE(strftime(in_a_minute, sizeof in_a_minute, "%a,%%20%d%%20%b%%20%Y%%20%H:%M:%S%%20GMT", &tm) > 0);
    const struct {
        const char *value;
        long long least, most;
    } rows[] = {
        { "0", 0, 0 },
        { "120", 120, 120 },
        { "-5", -1, -1 },
        { "soon", -1, -1 },
        { "99999999999999999999", -1, -1 },
        { "Thu,%2001%20Jan%202015%2000:00:00%20GMT", 0, 0 },
        { in_a_minute, 50, 60 },
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        test_row("%s", rows[i].value);
        char path[256];
        (void)snprintf(path, sizeof path, "/status/429?retry-after=%s&www-authenticate=Bearer%%20authorization=x",
                       rows[i].value);
        struct pixl_error err = { 0 };
        struct http_request r = get(path);
        struct http_answer *a = new_answer();
        CHECK_OK(http_client_do(c, &r, a, &err), err);
        CHECK_INT(a->status, 429);
        CHECK(a->retry_after_s >= rows[i].least && a->retry_after_s <= rows[i].most);
        CHECK_STR(str_of(a->challenge), "Bearer authorization=x");
    }
    test_row("the server's clock");
    static const struct {
        const char *path;
        long long date_s;
    } dates[] = { { "/status/404?date=Thu,%2001%20Jan%202015%2000:00:00%20GMT", 1420070400 },
                  { "/status/200?date=yesterday-or-so", -1 },
                  { "/status/200", -1 } };
    for (size_t i = 0; i < ARRAY_LEN(dates); i++) {
        struct pixl_error e = { 0 };
        struct http_request dated = get(dates[i].path);
        struct http_answer *answer = new_answer();
        CHECK_OK(http_client_do(c, &dated, answer, &e), e);
        CHECK_INT(answer->date_s, dates[i].date_s);
    }
    test_row("interim answer");
    struct pixl_error err = { 0 };
    struct http_request r = get("/interim");
    struct http_answer *a = new_answer();
    CHECK_OK(http_client_do(c, &r, a, &err), err);
    CHECK_INT(a->status, 200);
    CHECK_INT(a->retry_after_s, -1);
    CHECK_STR(str_of(a->content_type), "");
}

static void test_http__a_redirect_is_an_answer(void)
{
    http_client_auto *c = plain();
    struct pixl_error err = { 0 };
    struct http_request r = get("/status/302?location=/echo");
    struct http_answer *a = new_answer();
    CHECK_OK(http_client_do(c, &r, a, &err), err);
    CHECK_INT(a->status, 302);
}

/* A connection that the server closes when it has read the second request: whether that was worked on, nobody knows. */
static void test_http__a_post_is_never_sent_twice(void)
{
    static const struct {
        enum http_method method;
        const char *name;
        bool ok;
        int seen;
    } rows[] = {
        { HTTP_POST, "post", false, 1 },
        { HTTP_PUT, "put", true, 1 },
        { HTTP_GET, "get", true, 1 },
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        test_row("%s", rows[i].name);
        char idle[64], seen[64];
        (void)snprintf(idle, sizeof idle, "/idle/%s", rows[i].name);
        (void)snprintf(seen, sizeof seen, "/seen/%s", rows[i].name);
        http_client_auto *c = plain(), *other = plain();
        struct pixl_error err = { 0 };
        struct http_request r = get(idle);
        CHECK_OK(http_client_do(c, &r, new_answer(), &err), err);
        r = get("/bytes/1");
        r.method = rows[i].method;
        r.body = r.method == HTTP_GET ? (struct str){ 0 } : STR("once");
        bool ok = http_client_do(c, &r, new_answer(), &err);
        if (rows[i].ok)
            CHECK_OK(ok, err);
        else
            CHECK_FAILS(ok, err, PIXL_E_UNAVAILABLE);
        CHECK_INT(number_at(other, seen), rows[i].seen);
        /* A new connection that is dropped: nothing is sent again. */
        (void)snprintf(idle, sizeof idle, "/drop/new-%s", rows[i].name);
        (void)snprintf(seen, sizeof seen, "/seen/new-%s", rows[i].name);
        http_client_auto *fresh = plain();
        r.path = idle;
        CHECK_FAILS(http_client_do(fresh, &r, new_answer(), &err), err, PIXL_E_UNAVAILABLE);
        CHECK_INT(number_at(other, seen), 1);
    }
}

static void test_http__nobody_there_is_unavailable(void)
{
    static const char *urls[] = { "http://127.0.0.1:1", "http://nowhere.invalid", "https://127.0.0.1:1" };
    for (size_t i = 0; i < ARRAY_LEN(urls); i++) {
        test_row("%s", urls[i]);
        struct pixl_error err = { 0 };
        http_client_auto *c = NULL;
        struct http_client_options o = { .url = urls[i], .connect_ms = 2000 };
        REQUIRE_OK(http_client_open(&o, &c, &err), err);
        struct http_request r = get("/patients/Canary");
        bool ok = http_client_do(c, &r, new_answer(), &err);
        CHECK(strstr(err.msg, urls[i]) != NULL && strstr(err.msg, "Canary") == NULL);
        CHECK_FAILS(ok, err, PIXL_E_UNAVAILABLE);
    }
}

/* What carries patients' names in clear goes to nobody but the server. */
static void test_http__a_proxy_is_for_tunnels_only(void)
{
    char proxy[64];
    (void)snprintf(proxy, sizeof proxy, "http://127.0.0.1:%d", http_peer.port);
    (void)setenv("http_proxy", proxy, 1);
    (void)setenv("https_proxy", proxy, 1);
    (void)setenv("all_proxy", proxy, 1);
    (void)unsetenv("no_proxy");
    struct pixl_error err = { 0 };
    http_client_auto *c = client_at("http", "nowhere.invalid", 80, "", NULL);
    struct http_request r = get("/echo");
    CHECK_FAILS(http_client_do(c, &r, new_answer(), &err), err, PIXL_E_UNAVAILABLE);
}

int main(int argc, char **argv)
{
    static const struct test_case tests[] = {
        TEST(test_http__many_requests_use_one_connection),
        TEST(test_http__threads_share_a_client),
        TEST(test_http__the_request_is_what_was_asked_for),
        TEST(test_http__a_request_cannot_be_broken_into),
        TEST(test_http__addresses),
        TEST(test_http__a_ca_file_that_goes_is_an_outage),
        TEST(test_http__bodies_of_every_kind_come_whole),
        TEST(test_http__a_cut_answer_is_unavailable),
        TEST(test_http__no_answer_in_time_is_unavailable),
        TEST(test_http__a_cancelled_request_ends_soon),
        TEST(test_http__an_answer_over_its_cap_is_refused),
        TEST(test_http__an_answer_goes_to_a_file),
        TEST(test_http__a_body_comes_from_a_file),
        TEST(test_http__each_bad_certificate_is_told),
        TEST(test_http__retry_after_in_both_forms),
        TEST(test_http__a_redirect_is_an_answer),
        TEST(test_http__a_post_is_never_sent_twice),
        TEST(test_http__nobody_there_is_unavailable),
        TEST(test_http__a_proxy_is_for_tunnels_only),
    };
    http_peer_start();
    int rc = test_main(argc, argv, tests, ARRAY_LEN(tests));
    http_peer_stop();
    return rc;
}
