#include <stdio.h>
#include <string.h>

#include "fault.h"
#include "secrets/secrets.h"
#include "test.h"
#include "vault.h"

/* Sign in, find, and lose the token on the way.  Each allocation of ours fails once; afterwards the same is possible again. */
static bool live(const struct settings *set, struct secret *out, struct pixl_error *err)
{
    secrets_auto *s = NULL;
    secret_auto first = { 0 };
    return secrets_open(vault_url(vault.port), set, &s, err) && secrets_get(s, STR("first"), &first, err) &&
           secrets_get(s, STR("my-project"), out, err);
}

static void test_azure__survives_every_allocation_failure(void)
{
    struct settings set = vault_settings(vault.port, "ca");
    long n;
    (void)vault_do("put first 1");
    (void)vault_do("put my-project value");
    for (n = 0; n < 1000; n++) {
        test_row("allocation %ld", n);
        struct pixl_error err = { 0 };
        secret_auto v = { 0 };
        fault_alloc_after(n);
        bool ok = live(&set, &v, &err);
        bool reached = fault_alloc_stop();
        CHECK(ok ? v.n == 5 : err.code == PIXL_E_NOMEM && v.bytes_ == NULL);
        if (!reached) {
            CHECK(ok);
            break;
        }
    }
    CHECK(n > 40 && n < 1000);
}

/* Making a secret takes seconds: a few places of it, by what was there before. */
static void test_azure__making_survives_allocation_failures(void)
{
    struct settings set = vault_settings(vault.port, "ca");
    int failed = 0;
    for (long n = 25; n < 400; n += 23) {
        test_row("allocation %ld", n);
        struct pixl_error err = { 0 };
        secrets_auto *s = NULL;
        secret_auto v = { 0 }, again = { 0 };
        (void)vault_do("reset");
        REQUIRE_OK(secrets_open(vault_url(vault.port), &set, &s, &err), err);
        fault_alloc_after(n);
        bool ok = secrets_create(s, STR("new"), STR("value"), &v, &err);
        bool reached = fault_alloc_stop();
        CHECK(ok ? v.n == 5 : err.code == PIXL_E_NOMEM && v.bytes_ == NULL);
        if (!reached)
            break;
        failed += !ok;
        pixl_error_clear(&err);
        REQUIRE_OK(secrets_create(s, STR("new"), STR("other"), &again, &err), err);
        CHECK_STR(secret_reveal(&again), vault_do("get new"));
    }
    CHECK(failed > 2);
}

int main(int argc, char **argv)
{
    static const struct test_case tests[] = {
        TEST(test_azure__survives_every_allocation_failure),
        TEST(test_azure__making_survives_allocation_failures),
    };
    vault_start();
    int rc = test_main(argc, argv, tests, ARRAY_LEN(tests));
    vault_stop();
    return rc;
}
