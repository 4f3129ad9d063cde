#include <stdio.h>
#include <string.h>

#include "queue/amqp_url.h"
#include "test.h"

static struct pixl_error err;

static void test_amqp_url__parts(void)
{
    static const struct { const char *url, *host; unsigned port; const char *user, *password, *vhost; bool tls; } rows[] = {
        { "amqp://h", "h", 5672, "guest", "guest", "/", false },
        { "amqp://h/", "h", 5672, "guest", "guest", "/", false },
        { "amqps://h", "h", 5671, "guest", "guest", "/", true },
        { "AMQP://h", "h", 5672, "guest", "guest", "/", false },
        { "amqp://h/%2f", "h", 5672, "guest", "guest", "/", false },
        { "amqp://h/%2F", "h", 5672, "guest", "guest", "/", false },
        { "amqp://h/vh", "h", 5672, "guest", "guest", "vh", false },
        { "amqp://h/a%2fb%20c", "h", 5672, "guest", "guest", "a/b c", false },
        { "amqp://u:p@h:1/v", "h", 1, "u", "p", "v", false },
        { "amqp://u@h", "h", 5672, "u", "", "/", false },
        { "amqp://u:@h", "h", 5672, "u", "", "/", false },
        { "amqp://n%c3%a9%20user:p%40ss%2fw%3ard%25%23%3f@h.example.org:65535", "h.example.org", 65535, "n\xc3\xa9 user",
          "p@ss/w:rd%#?", "/", false },
        { "amqp://127.0.0.1:5673/%2f", "127.0.0.1", 5673, "guest", "guest", "/", false },
        { "amqp://[::1]", "::1", 5672, "guest", "guest", "/", false },
        { "amqps://u:p@[fe80::1:2]:5673/v", "fe80::1:2", 5673, "u", "p", "v", true },
        { "amqp://h?", "h", 5672, "guest", "guest", "/", false },
        { "amqp://h/v?heartbeat=5", "h", 5672, "guest", "guest", "v", false },
        { "amqp://h?heartbeat=5", "h", 5672, "guest", "guest", "/", false },
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct amqp_url u = { 0 };
        test_row("%s", rows[i].url);
        CHECK_OK(amqp_url_parse(str_of(rows[i].url), &u, &err), err);
        CHECK_STR(str_of(u.host), rows[i].host);
        CHECK_INT(u.port, rows[i].port);
        CHECK_STR(str_of(u.user), rows[i].user);
        CHECK_STR(secret_reveal(&u.password), rows[i].password);
        CHECK_STR(str_of(u.vhost), rows[i].vhost);
        CHECK(u.tls == rows[i].tls);
        amqp_url_done(&u);
    }
}

static void test_amqp_url__parameters(void)
{
    static const struct { const char *url; unsigned heartbeat_s, timeout_ms; const char *ca; } rows[] = {
        { "amqps://h", 30, 10000, "" },
        { "amqps://h?heartbeat=1", 1, 10000, "" },
        { "amqps://h?heartbeat=3600&connection_timeout=600000", 3600, 600000, "" },
        { "amqps://h/v?connection_timeout=100&cacertfile=/etc/ca%20s/ca.pem&heartbeat=7", 7, 100, "/etc/ca s/ca.pem" },
        { "amqps://h?cacertfile=a/b%26c.pem", 30, 10000, "a/b&c.pem" },
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct amqp_url u = { 0 };
        test_row("%s", rows[i].url);
        CHECK_OK(amqp_url_parse(str_of(rows[i].url), &u, &err), err);
        CHECK_INT(u.heartbeat_s, rows[i].heartbeat_s);
        CHECK_INT(u.timeout_ms, rows[i].timeout_ms);
        CHECK_STR(str_of(u.ca_file), rows[i].ca);
        amqp_url_done(&u);
    }
}

static void test_amqp_url__refused_and_never_quoted(void)
{
    static const char *const urls[] = {
        "amqp:", "amqp:h", "amqp:/h", "amqp//h", "http://h", "amqp://", "amqp:///v", "amqp://u:canary@", "amqp://u:canary@/v",
        "amqp://u:canary@h:", "amqp://u:canary@h:0", "amqp://u:canary@h:65536", "amqp://u:canary@h:12a", "amqp://u:canary@h:-1",
        "amqp://u:canary@h:99999999999999999999", "amqp://u:can@ary@h", "amqp://u:can:ary@h", "amqp://:canary@h", "amqp://@h",
        "amqp://u:canary%@h", "amqp://u:canary%4@h", "amqp://u:canary%4x@h", "amqp://u:canary%00@h", "amqp://u:canary%0a@h",
        "amqp://u:canary@h/%00", "amqp://u:canary@h/%", "amqp://u:canary@h//", "amqp://u:canary@h/a/b", "amqp://u:canary@h#x",
        "amqp://u:can#ary@h", "amqp://u:can/ary@h", "amqp://[::1", "amqp://[]", "amqp://[::1]x", "amqp://[canary]", "amqp://::1",
        "amqp://h h", "amqp://h%20", "amqp://h\x01", "amqp://u:canary@h?canary=1", "amqp://h?heartbeat", "amqp://h?heartbeat=",
        "amqp://h?heartbeat=0", "amqp://h?heartbeat=3601", "amqp://h?heartbeat=5s", "amqp://h?heartbeat=5&heartbeat=6",
        "amqp://h?heartbeat=5&", "amqp://h?&heartbeat=5", "amqp://h?connection_timeout=99", "amqp://h?connection_timeout=600001",
        "amqp://h?cacertfile=canary", "amqps://h?cacertfile=", "amqps://h?verify=verify_none",
    };
    for (size_t i = 0; i < ARRAY_LEN(urls); i++) {
        struct amqp_url u = { 0 };
        test_row("%s", urls[i]);
        bool ok = amqp_url_parse(str_of(urls[i]), &u, &err);
        CHECK(strstr(err.msg, "can") == NULL && strstr(err.msg, "ary") == NULL);
        CHECK_FAILS(ok, err, PIXL_E_INVALID);
        amqp_url_done(&u);
    }
}

/* Every length around each ceiling, so that a byte too many is refused and no byte is written behind the field. */
static void test_amqp_url__ceilings(void)
{
    static const struct { const char *before, *after; size_t max; } rows[] = {
        { "amqp://", "", AMQP_URL_HOST_MAX },
        { "amqp://", ":p@h", AMQP_URL_NAME_MAX },
        { "amqp://u:", "@h", AMQP_URL_PASSWORD_MAX },
        { "amqp://h/", "", AMQP_URL_NAME_MAX },
        { "amqps://h?cacertfile=", "", AMQP_URL_PATH_MAX },
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        for (size_t n = rows[i].max - 1; n <= rows[i].max + 2; n++) {
            struct amqp_url u = { 0 };
            buf_auto url;
            test_row("%s, %zu bytes", rows[i].before, n);
            buf_init(&url, 8192);
            (void)buf_add_cstr(&url, rows[i].before);
            for (size_t k = 0; k < n; k++)
                (void)buf_add_char(&url, 'x');
            (void)buf_add_cstr(&url, rows[i].after);
            if (n <= rows[i].max)
                CHECK_OK(amqp_url_parse(buf_str(&url), &u, &err), err);
            else
                CHECK_FAILS(amqp_url_parse(buf_str(&url), &u, &err), err, PIXL_E_INVALID);
            amqp_url_done(&u);
        }
}

int main(int argc, char **argv)
{
    static const struct test_case tests[] = {
        TEST(test_amqp_url__parts), TEST(test_amqp_url__parameters), TEST(test_amqp_url__refused_and_never_quoted),
        TEST(test_amqp_url__ceilings),
    };
    return test_main(argc, argv, tests, ARRAY_LEN(tests));
}
