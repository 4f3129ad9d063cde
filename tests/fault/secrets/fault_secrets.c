#include <stdio.h>
#include <unistd.h>

#include "base/fs.h"
#include "fault.h"
#include "secrets/secrets.h"
#include "test.h"

static const char *url(void)
{
    static char text[1024];
    (void)snprintf(text, sizeof text, "file:%s", test_path("secrets.env"));
    return text;
}

/* The whole life: open, create, get.  Each allocation fails once; afterwards the secret is there with the value that
 * was given or it is not there, and no half file lies about. */
static bool live(struct secret *out, struct pixl_error *err)
{
    secrets_auto *s = NULL;
    secret_auto made = { 0 }, other = { 0 };
    return secrets_open(url(), NULL, &s, err) && secrets_create(s, STR("key"), STR("value"), &made, err) &&
           secrets_create(s, STR("other"), STR("x"), &other, err) && secrets_get(s, STR("key"), out, err);
}

static void test_secrets__survive_every_allocation_failure(void)
{
    long n;
    for (n = 0; n < 1000; n++) {
        test_row("allocation %ld", n);
        struct pixl_error err = { 0 };
        secret_auto v = { 0 }, again = { 0 };
        REQUIRE_OK(fs_remove(test_path("secrets.env"), &err), err);
        fault_alloc_after(n);
        bool ok = live(&v, &err);
        bool reached = fault_alloc_stop();
        CHECK(ok ? v.n == 5 : err.code == PIXL_E_NOMEM && v.bytes_ == NULL);
        if (!reached) {
            CHECK(ok);
            break;
        }
        pixl_error_clear(&err);
        CHECK_OK(live(&again, &err), err);
        CHECK_STR(secret_reveal(&again), "value");
        char part[64];
        (void)snprintf(part, sizeof part, ".secrets.env.%ld.part", (long)getpid());
        CHECK(!fs_exists(test_path(part)));
    }
    CHECK(n > 15 && n < 1000);
}

int main(int argc, char **argv)
{
    static const struct test_case tests[] = { TEST(test_secrets__survive_every_allocation_failure) };
    return test_main(argc, argv, tests, ARRAY_LEN(tests));
}
