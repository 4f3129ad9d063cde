/* The vault of tests/support/vault.py; its certificates, sign-in, values, refusals, and two processes that make one secret. */
#include "secrets/secrets.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "test.h"
#include "vault.h"

static struct pixl_error err;

static struct secrets *open_with(const struct settings *set)
{
    struct secrets *s = NULL;
    REQUIRE_OK(secrets_open(vault_url(vault.port), set, &s, &err), err);
    return s;
}

static struct secrets *open_fresh(void)
{
    (void)vault_do("reset");
    struct settings set = vault_settings(vault.port, "ca");
    return open_with(&set);
}

/* It must fail with that code, and say that; neither our secrets nor the server's words are in it. */
static void check_refused(struct secrets *s, enum pixl_code code, const char *says)
{
    secret_auto v = { 0 };
    bool ok = secrets_get(s, STR("my-project"), &v, &err);
    CHECK(!ok && err.code == code && v.bytes_ == NULL);
    if (!CHECK(strstr(err.msg, says) != NULL))
        printf("    it said: %s\n", err.msg);
    CHECK(strstr(err.msg, "CANARY") == NULL && strstr(err.msg, "s3~cret") == NULL);
    pixl_error_clear(&err);
}

static void check_value(struct secrets *s, const char *name, const char *want)
{
    secret_auto v = { 0 };
    if (CHECK_OK(secrets_get(s, str_of(name), &v, &err), err))
        CHECK_STR(secret_reveal(&v), want);
}

static void test_azure__what_is_there_is_given_and_kept(void)
{
    secrets_auto *s = open_fresh();
    (void)vault_do("put test--ftp--password old");
    (void)vault_do("put test--ftp--password p\"\\ \xC3\xA9\xF0\x9F\x98\x80");
    CHECK(strstr(secrets_place(s), "https://localhost:") != NULL);
    CHECK_INT(secrets_caps(s), SECRETS_CAP_CREATE);
    for (int i = 0; i < 3; i++)
        check_value(s, "test--ftp--password", "p\"\\ \xC3\xA9\xF0\x9F\x98\x80");
    CHECK_STR(str_of(vault_do("count GET /secrets/")), "1");
    CHECK_STR(str_of(vault_do("count POST")), "1");
}

static void test_azure__what_is_not_there_is_told_from_what_is_empty(void)
{
    secrets_auto *s = open_fresh();
    secret_auto v = { 0 };
    (void)vault_do("put empty ");
    CHECK_FAILS(secrets_get(s, STR("nothing"), &v, &err), err, PIXL_E_NOT_FOUND);
    CHECK_FAILS(secrets_get(s, STR("empty"), &v, &err), err, PIXL_E_INVALID);
    CHECK_FAILS(secrets_get(s, STR("a/b"), &v, &err), err, PIXL_E_INVALID);
    (void)vault_do("put nothing here-now");
    check_value(s, "nothing", "here-now");       /* that it was absent is not kept */
}

static void test_azure__certificates_are_verified(void)
{
    const struct { const char *name, *ca, *says; int port; } rows[] = {
        { "unknown CA", "other", "unknown CA", vault.port },
        { "other host", "ca", "another host", vault.other_host_port },
        { "expired", "ca", "expired", vault.expired_port },
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        test_row("%s", rows[i].name);
        struct settings set = vault_settings(rows[i].port, rows[i].ca);
        secrets_auto *s = NULL;
        REQUIRE_OK(secrets_open(vault_url(rows[i].port), &set, &s, &err), err);
        check_refused(s, PIXL_E_DENIED, rows[i].says);
        check_refused(s, PIXL_E_DENIED, "PIXL_AZURE_CA_FILE");
    }
    struct settings set = vault_settings(vault.port, "ca");
    set.azure_ca_file = "/nonexistent.pem";
    struct secrets *s = NULL;
    CHECK(!secrets_open(vault_url(vault.port), &set, &s, &err) && err.code == PIXL_E_INVALID && strstr(err.msg, "PIXL_AZURE_CA_FILE"));
}

static void test_azure__a_wrong_login_says_what_to_set(void)
{
    static const struct { const char *client, *secret, *tenant, *says; } rows[] = {
        { NULL, "CANARYWRONG", NULL, "AZURE_CLIENT_SECRET must be its value, not its ID (AADSTS7000215)" },
        { "aaaa", NULL, NULL, "AZURE_CLIENT_ID and AZURE_TENANT_ID (AADSTS700016)" },
        { NULL, NULL, "22222222-2222-3333-4444-555555555555", "look at AZURE_TENANT_ID (AADSTS90002)" },
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        test_row("%s", rows[i].says);
        struct settings set = vault_settings(vault.port, "ca");
        set.azure_client_id = rows[i].client ? rows[i].client : set.azure_client_id;
        set.azure_client_secret = rows[i].secret ? rows[i].secret : set.azure_client_secret;
        set.azure_tenant_id = rows[i].tenant ? rows[i].tenant : set.azure_tenant_id;
        secrets_auto *s = open_with(&set);
        check_refused(s, PIXL_E_DENIED, rows[i].says);
    }
}

static void test_azure__what_is_not_set_is_named(void)
{
    const struct settings good = vault_settings(vault.port, "ca");
    struct settings no_id = good, no_secret = good, no_tenant = good, bad_id = good, bad_tenant = good, plain = good;
    no_id.azure_client_id = NULL;
    no_secret.azure_client_secret = "";
    no_tenant.azure_tenant_id = NULL;
    bad_id.azure_client_id = "a&b";
    bad_tenant.azure_tenant_id = "../x";
    plain.azure_authority_host = "http://localhost:1";
    const struct { const char *url, *says; const struct settings *set; } rows[] = {
        { "azure:name", "AZURE_CLIENT_ID is not set", &no_id },       { "azure:name", "AZURE_CLIENT_SECRET is not set", &no_secret },
        { "azure:name", "AZURE_TENANT_ID is not set", &no_tenant },   { "azure:", "AZURE_KEY_VAULT_NAME is not set", &good },
        { "azure:name", "AZURE_CLIENT_ID holds", &bad_id },           { "azure:name", "AZURE_TENANT_ID is neither", &bad_tenant },
        { "azure:name", "AZURE_AUTHORITY_HOST must begin", &plain },  { "azure:a.b.c", "a vault is named by", &good },
        { "azure:http://h", "a vault is named by", &good },           { "azure:https://u:CANARY@h", "PIXL_SECRETS_URL", &good },
        { "azure:name", "no settings", NULL },
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        test_row("%s %s", rows[i].url, rows[i].says);
        struct secrets *s = NULL;
        bool ok = secrets_open(rows[i].url, rows[i].set, &s, &err);
        CHECK(!ok && err.code == PIXL_E_INVALID && strstr(err.msg, rows[i].says) != NULL && strstr(err.msg, "CANARY") == NULL);
        pixl_error_clear(&err);
    }
    struct settings named = good;
    secrets_auto *s = NULL;
    named.azure_vault_name = "hospital-vault";
    REQUIRE_OK(secrets_open("azure:", &named, &s, &err), err);
    CHECK(strstr(secrets_place(s), "https://hospital-vault.vault.azure.net") != NULL);
}

static void test_azure__a_busy_vault_is_waited_for(void)
{
    secrets_auto *s = open_fresh();
    (void)vault_do("put a 1");
    (void)vault_do("busy 429 2 1");              /* once for the token, once for the vault */
    int64_t start = clock_mono_us();
    check_value(s, "a", "1");
    CHECK(clock_mono_us() - start >= 2000000);
    (void)vault_do("put my-project 2");
    (void)vault_do("busy 503 1 -1");
    check_value(s, "my-project", "2");
}

static void test_azure__a_vault_that_stays_busy_is_given_up(void)
{
    secrets_auto *s = open_fresh();
    (void)vault_do("busy 429 1000 3600");
    int64_t start = clock_mono_us();
    check_refused(s, PIXL_E_UNAVAILABLE, "HTTP 429");
    CHECK(clock_mono_us() - start < 5000000);    /* it will not be ready within our deadline: no use in waiting */
}

static void test_azure__a_token_is_renewed(void)
{
    secrets_auto *s = open_fresh();
    static const char *const names[] = { "a", "b", "c", "d" };
    (void)vault_do("put a 1");
    (void)vault_do("put b 1");
    (void)vault_do("put c 1");
    (void)vault_do("put d 1");
    check_value(s, names[0], "1");
    (void)vault_do("expire");                    /* before its time: the vault says 401 */
    (void)vault_do("life 1");
    check_value(s, names[1], "1");
    CHECK_STR(str_of(vault_do("count POST")), "2");
    (void)usleep(800 * 1000);                    /* three quarters of its life: renewed unasked */
    check_value(s, names[2], "1");
    CHECK_STR(str_of(vault_do("count POST")), "3");
    CHECK_STR(str_of(vault_do("count GET /secrets/c")), "1");
    (void)vault_do("life 0");
    (void)usleep(1100 * 1000);
    secret_auto v = { 0 };
    CHECK_FAILS(secrets_get(s, STR("d"), &v, &err), err, PIXL_E_UNAVAILABLE);
}

static void test_azure__what_was_kept_too_long_is_asked_for_again(void)
{
    (void)vault_do("reset");
    struct settings set = vault_settings(vault.port, "ca");
    set.secrets_cache_s = 1;
    secrets_auto *s = open_with(&set);
    (void)vault_do("put a first");
    check_value(s, "a", "first");
    (void)vault_do("put a second");
    check_value(s, "a", "first");
    (void)usleep(1100 * 1000);
    check_value(s, "a", "second");
    (void)usleep(1100 * 1000);
    (void)vault_do("put a third");
    (void)vault_do("busy 503 1000 3600");        /* the vault is away: what is known stays in force for a while */
    check_value(s, "a", "second");
    (void)vault_do("busy 503 0 0");
    check_value(s, "a", "second");
}

static void test_azure__what_is_kept_is_asked_for_anew_when_wanted(void)
{
    (void)vault_do("reset");
    struct settings set = vault_settings(vault.port, "ca");
    set.secrets_cache_s = 3600;
    secrets_auto *s = open_with(&set);
    secret_auto v = { 0 }, none = { 0 };
    (void)vault_do("put a first");
    check_value(s, "a", "first");
    (void)vault_do("put a second");
    check_value(s, "a", "first");
    CHECK_OK(secrets_get_anew(s, STR("a"), &v, &err), err);
    CHECK_STR(secret_reveal(&v), "second");
    check_value(s, "a", "second");
    (void)vault_do("forbid AccessDenied");
    CHECK_FAILS(secrets_get_anew(s, STR("a"), &none, &err), err, PIXL_E_DENIED);
    check_value(s, "a", "second");
    (void)vault_do("forbid -");
}

static void test_azure__refusals_are_told_apart(void)
{
    static const struct { const char *word, *says; } rows[] = {
        { "AccessDenied", "Key Vault Secrets User" },
        { "ForbiddenByFirewall", "firewall" },
        { "SecretDisabled", "secret my-project is disabled" },
    };
    secrets_auto *s = open_fresh();
    char command[64];
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        test_row("%s", rows[i].word);
        (void)snprintf(command, sizeof command, "forbid %s", rows[i].word);
        (void)vault_do(command);
        check_refused(s, PIXL_E_DENIED, rows[i].says);
    }
    (void)vault_do("forbid -");
    (void)vault_do("put my-project x");
    (void)vault_do("disable my-project");
    check_refused(s, PIXL_E_DENIED, "is disabled");
}

static void test_azure__answers_that_are_none_are_refused(void)
{
    static const char *const kinds[] = { "html", "empty", "list", "deep" };
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
        char command[64];
        test_row("%s, from the sign-in", kinds[i]);
        secrets_auto *s = open_fresh();
        (void)vault_do("put my-project x");
        (void)snprintf(command, sizeof command, "odd %s", kinds[i]);
        (void)vault_do(command);
        check_refused(s, PIXL_E_UNAVAILABLE, "AZURE_AUTHORITY_HOST");
        test_row("%s, from the vault", kinds[i]);
        (void)vault_do("odd -");
        check_value(s, "my-project", "x");
        (void)vault_do(command);
        secret_auto v = { 0 };
        bool ok = secrets_get(s, STR("other"), &v, &err);
        CHECK(!ok && (err.code == PIXL_E_UNAVAILABLE || err.code == PIXL_E_INVALID) && strstr(err.msg, "CANARY") == NULL);
        pixl_error_clear(&err);
        (void)vault_do("odd -");
    }
}

static void test_azure__a_secret_is_made_once(void)
{
    secrets_auto *s = open_fresh();
    secret_auto made = { 0 }, again = { 0 };
    REQUIRE_OK(secrets_create(s, STR("my-project"), STR("one"), &made, &err), err);
    CHECK_STR(secret_reveal(&made), "one");
    CHECK_STR(str_of(vault_do("get my-project")), "one");
    struct settings set = vault_settings(vault.port, "ca");
    secrets_auto *other = open_with(&set);
    REQUIRE_OK(secrets_create(other, STR("my-project"), STR("two"), &again, &err), err);
    CHECK_STR(secret_reveal(&again), "one");
    CHECK_STR(str_of(vault_do("values my-project")), "1/1");
}

static void test_azure__an_election_that_was_left_is_ended(void)
{
    secrets_auto *s = open_fresh();
    secret_auto made = { 0 }, v = { 0 };
    (void)vault_do("put my-project--candidates of-the-dead");
    (void)vault_do("put my-project--candidates of-another");     /* the same second: either may win, but one for all */
    (void)sleep(1);
    REQUIRE_OK(secrets_create(s, STR("my-project"), STR("mine"), &made, &err), err);
    CHECK(!str_eq(secret_reveal(&made), STR("mine")));
    CHECK_STR(secret_reveal(&made), vault_do("get my-project"));
    char longest[120 + 1];
    memset(longest, 'a', sizeof longest - 1);
    longest[sizeof longest - 1] = '\0';
    CHECK_FAILS(secrets_create(s, str_of(longest), STR("x"), &v, &err), err, PIXL_E_INVALID);
}

/* Racing processes, each with a value of its own; all must come out with the same one, and so must who reads meanwhile. */
static void test_azure__processes_that_race_agree(void)
{
    enum { RACERS = 4, READERS = 2 };
    secrets_auto *s = open_fresh();
    struct settings set = vault_settings(vault.port, "ca");
    int result[2];
    REQUIRE(pipe(result) == 0);
    for (int i = 0; i < RACERS + READERS; i++) {
        if (fork() != 0)
            continue;
        struct secrets *mine = NULL;
        struct pixl_error e = { 0 };
        struct secret v = { 0 };
        char value[32], line[64];
        (void)snprintf(value, sizeof value, "value-of-%d", i);
        (void)usleep((unsigned)i * 250 * 1000);
        bool ok = secrets_open(vault_url(vault.port), &set, &mine, &e);
        if (ok && i < RACERS)
            ok = secrets_create(mine, STR("raced"), str_of(value), &v, &e);
        for (int n = 0; ok && i >= RACERS && v.n == 0 && n < 400; n++)
            if (!secrets_get(mine, STR("raced"), &v, &e) && (ok = e.code == PIXL_E_NOT_FOUND)) {
                pixl_error_clear(&e);
                (void)usleep(20 * 1000);
            }
        int n = snprintf(line, sizeof line, "%-31.*s\n", ok ? (int)v.n : 7, ok ? secret_reveal(&v).p : "failed!");
        _exit(n == 32 && write(result[1], line, 32) == 32 ? 0 : 1);
    }
    (void)close(result[1]);
    char first[32], line[32];
    REQUIRE(read(result[0], first, sizeof first) == sizeof first);
    CHECK(strncmp(first, "value-of-", 9) == 0);
    for (int i = 1; i < RACERS + READERS; i++)
        CHECK(read(result[0], line, sizeof line) == sizeof line && memcmp(line, first, sizeof line) == 0);
    while (wait(NULL) > 0) {
    }
    const char *values = vault_do("values raced");
    CHECK(strcmp(strchr(values, '/'), "/1") == 0);       /* no value that lost ever stood there */
    CHECK_STR(str_of(vault_do("values raced--candidates")), "4/4");
}

static atomic_bool slow_is_done;

static void *get_kept(void *arg)
{
    secret_auto v = { 0 };
    struct pixl_error e = { 0 };
    return secrets_get(arg, STR("a"), &v, &e) && !atomic_load(&slow_is_done) ? arg : NULL;
}

static void *get_slow(void *arg)
{
    secret_auto v = { 0 };
    struct pixl_error e = { 0 };
    bool ok = secrets_get(arg, STR("b"), &v, &e);
    atomic_store(&slow_is_done, true);
    return ok ? arg : NULL;
}

static void test_azure__what_is_kept_waits_for_nobody(void)
{
    secrets_auto *s = open_fresh();
    pthread_t slow, quick;
    void *slow_ok = NULL, *quick_ok = NULL;
    (void)vault_do("put a 1");
    (void)vault_do("put b 1");
    check_value(s, "a", "1");
    (void)vault_do("busy 429 1 3");
    REQUIRE(pthread_create(&slow, NULL, get_slow, s) == 0);
    (void)usleep(300 * 1000);
    REQUIRE(pthread_create(&quick, NULL, get_kept, s) == 0);
    REQUIRE(pthread_join(quick, &quick_ok) == 0 && pthread_join(slow, &slow_ok) == 0);
    CHECK(quick_ok != NULL && slow_ok != NULL);
}

static void test_azure__nobody_there_is_unavailable(void)
{
    struct settings set = vault_settings(1, "ca");
    secrets_auto *s = NULL;
    REQUIRE_OK(secrets_open("azure:https://localhost:1", &set, &s, &err), err);
    check_refused(s, PIXL_E_UNAVAILABLE, "https://localhost:1");
}

int main(int argc, char **argv)
{
    static const struct test_case tests[] = {
        TEST(test_azure__what_is_there_is_given_and_kept),
        TEST(test_azure__what_is_not_there_is_told_from_what_is_empty),
        TEST(test_azure__certificates_are_verified),
        TEST(test_azure__a_wrong_login_says_what_to_set),
        TEST(test_azure__what_is_not_set_is_named),
        TEST(test_azure__a_busy_vault_is_waited_for),
        TEST(test_azure__a_vault_that_stays_busy_is_given_up),
        TEST(test_azure__a_token_is_renewed),
        TEST(test_azure__what_was_kept_too_long_is_asked_for_again),
        TEST(test_azure__what_is_kept_is_asked_for_anew_when_wanted),
        TEST(test_azure__refusals_are_told_apart),
        TEST(test_azure__answers_that_are_none_are_refused),
        TEST(test_azure__a_secret_is_made_once),
        TEST(test_azure__an_election_that_was_left_is_ended),
        TEST(test_azure__processes_that_race_agree),
        TEST(test_azure__what_is_kept_waits_for_nobody),
        TEST(test_azure__nobody_there_is_unavailable),
    };
    vault_start();
    int rc = test_main(argc, argv, tests, ARRAY_LEN(tests));
    vault_stop();
    return rc;
}
