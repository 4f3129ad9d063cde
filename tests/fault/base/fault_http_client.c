#include "base/http_client.h"

#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "fault.h"
#include "http_peer.h"
#include "test.h"

static void *libcurl_malloc(size_t n)
{
    return malloc(n);
}
static void *libcurl_calloc(size_t count, size_t n)
{
    return calloc(count, n);
}
static void *libcurl_realloc(void *p, size_t n)
{
    return realloc(p, n);
}
static void libcurl_free(void *p)
{
    free(p);
}
static char *libcurl_strdup(const char *s)
{
    size_t n = strlen(s) + 1;
    char *copy = malloc(n);
    return copy ? memcpy(copy, s, n) : NULL;
}

static char url[64], ca[600];

/* Two requests, the second with a body and over the kept connection. */
static bool ask_twice(struct pixl_error *err)
{
    secret_auto password = { 0 }, token = { 0 };
    http_client_auto *c = NULL;
    if (!secret_set(&password, STR("secret"), err) || !secret_set(&token, STR("token"), err))
        return false;
    struct http_client_options o = {
        .url = url, .user = "user", .password = &password, .ca_file = ca, .connect_ms = 20000
    };
    if (!http_client_open(&o, &c, err))
        return false;
    struct http_answer a = { 0 };
    buf_init(&a.body, 1 << 20);
    struct http_header h = { "Accept", STR("text/plain") };
    struct http_request r = HTTP_REQUEST_NONE;
    r.path = "/chunked/3000";
    r.deadline_us = clock_mono_us() + 20000000;
    r.answer_max = 1 << 20;
    bool ok = http_client_do(c, &r, &a, err) && CHECK_INT(a.body.n, 3000);
    r.method = HTTP_POST;
    r.path = "/echo";
    r.body = STR("body");
    r.content_type = "text/plain";
    r.bearer = &token;
    r.headers = &h;
    r.n_headers = 1;
    ok = ok && http_client_do(c, &r, &a, err);
    if (ok)
        CHECK(strstr(a.body.p, "\r\nAccept: text/plain\r\n") &&
              strstr(a.body.p, "\r\nAuthorization: Bearer token\r\n") && strstr(a.body.p, "\r\n\r\nbody"));
    buf_done(&a.body);
    return ok;
}

/* at_least: as often must an allocation have failed.  of_libcurl: what it makes of that it does not always call by its name. */
static void sweep(long at_least, bool of_libcurl)
{
    long n = 0;
    for (;; n++) {
        struct pixl_error err = { 0 };
        test_row("allocation %ld", n);
        fault_alloc_after(n);
        bool ok = ask_twice(&err);
        if (!fault_alloc_stop()) {
            CHECK_OK(ok, err);
            break;
        }
        if (!ok && !of_libcurl)
            CHECK_FAILS(ok, err, PIXL_E_NOMEM);
        CHECK(ok || !of_libcurl || err.msg[0]);
    }
    CHECK(n >= at_least);
}

static void test_http__survives_our_allocation_failures(void)
{
    sweep(12, false);
}

static void test_http__survives_those_of_libcurl(void)
{
    REQUIRE(curl_global_init_mem(CURL_GLOBAL_DEFAULT, libcurl_malloc, libcurl_free, libcurl_realloc, libcurl_strdup,
                                 libcurl_calloc) == CURLE_OK);
    (void)snprintf(url, sizeof url, "http://127.0.0.1:%d", http_peer.port);
    sweep(80, true);
    curl_global_cleanup();
}

int main(int argc, char **argv)
{
    static const struct test_case tests[] = {
        TEST(test_http__survives_our_allocation_failures),
        TEST(test_http__survives_those_of_libcurl),
    };
    http_peer_start();
    (void)snprintf(url, sizeof url, "https://127.0.0.1:%d", http_peer.tls_port);
    (void)snprintf(ca, sizeof ca, "%s/ca.pem", http_peer.certs);
    int rc = test_main(argc, argv, tests, ARRAY_LEN(tests));
    http_peer_stop();
    return rc;
}
