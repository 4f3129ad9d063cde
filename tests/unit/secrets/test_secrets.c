#include "secrets/secrets.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/fs.h"
#include "test.h"

static const char *file_url(void)
{
    static char url[1024];
    (void)snprintf(url, sizeof url, "file:%s", test_path("secrets.env"));
    return url;
}

static void write_file(const char *text, mode_t mode)
{
    struct pixl_error err = { 0 };
    REQUIRE_OK(fs_write_whole(test_path("secrets.env"), str_of(text), 0600, &err), err);
    REQUIRE(chmod(test_path("secrets.env"), mode) == 0);
}

static void set_up_file(void)
{
    write_file("# a comment\n\nhash--key=one\nmy-project=a=b #c \nempty=\nUPPER=u\n", 0600);
}

static void set_up_env(void)
{
    REQUIRE(setenv("PIXL_SECRET_HASH__KEY", "one", 1) == 0 && setenv("PIXL_SECRET_MY_PROJECT", "a=b #c ", 1) == 0);
    REQUIRE(setenv("PIXL_SECRET_EMPTY", "", 1) == 0 && setenv("PIXL_SECRET_UPPER", "u", 1) == 0);
}

/* What every place must do; url NULL: the file of this test. */
static const struct kind { const char *name, *url; void (*set_up)(void); bool can_create; } places[] = {
    { "file", NULL, set_up_file, true },
    { "env", "env:", set_up_env, false },
};

static void open_place(const struct kind *p, struct secrets **out)
{
    struct pixl_error err = { 0 };
    p->set_up();
    REQUIRE_OK(secrets_open(p->url ? p->url : file_url(), NULL, out, &err), err);
}

static void test_secrets__every_place_gives_what_is_there(void)
{
    static const struct { const char *name, *want; } rows[] = {
        { "hash--key", "one" }, { "my-project", "a=b #c " }, { "UPPER", "u" }, { "hash--key", "one" },
    };
    for (size_t k = 0; k < ARRAY_LEN(places); k++) {
        secrets_auto *s = NULL;
        open_place(&places[k], &s);
        for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
            test_row("%s %s", places[k].name, rows[i].name);
            struct pixl_error err = { 0 };
            secret_auto v = { 0 };
            CHECK_OK(secrets_get(s, str_of(rows[i].name), &v, &err), err);
            CHECK_STR(secret_reveal(&v), rows[i].want);
        }
    }
}

static void test_secrets__every_place_refuses_what_is_not_there(void)
{
    static const struct { const char *name; enum pixl_code want; } rows[] = {
        { "nothing", PIXL_E_NOT_FOUND }, { "empty", PIXL_E_INVALID },    { "", PIXL_E_INVALID },
        { "a b", PIXL_E_INVALID },       { "a=b", PIXL_E_INVALID },      { "a\nb", PIXL_E_INVALID },
        { "../x", PIXL_E_INVALID },      { "hash--ke", PIXL_E_NOT_FOUND }, { "#", PIXL_E_INVALID },
    };
    for (size_t k = 0; k < ARRAY_LEN(places); k++) {
        secrets_auto *s = NULL;
        open_place(&places[k], &s);
        for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
            test_row("%s '%s'", places[k].name, rows[i].name);
            struct pixl_error err = { 0 };
            secret_auto v = { 0 };
            CHECK_FAILS(secrets_get(s, str_of(rows[i].name), &v, &err), err, rows[i].want);
            CHECK(v.bytes_ == NULL);
        }
        struct pixl_error err = { 0 };
        secret_auto v = { 0 };
        CHECK(!secrets_get(s, STR("nothing"), &v, &err));
        CHECK_STR(str_of(err.msg), "secret nothing not found");
    }
}

static void test_secrets__only_a_file_can_be_added_to(void)
{
    for (size_t k = 0; k < ARRAY_LEN(places); k++) {
        test_row("%s", places[k].name);
        secrets_auto *s = NULL;
        struct pixl_error err = { 0 };
        secret_auto v = { 0 };
        open_place(&places[k], &s);
        CHECK(((secrets_caps(s) & SECRETS_CAP_CREATE) != 0) == places[k].can_create);
        CHECK(strncmp(secrets_place(s), places[k].name, 3) == 0);
        if (places[k].can_create)
            CHECK_OK(secrets_create(s, STR("new"), STR("v"), &v, &err), err);
        else
            CHECK_FAILS(secrets_create(s, STR("new"), STR("v"), &v, &err), err, PIXL_E_UNSUPPORTED);
    }
}

static void test_secrets__bad_urls_are_refused_and_not_shown(void)
{
    static const char *const urls[] = { "",       "file",    "file:",       "env:x", "vault:CANARY",
                                        "CANARY", ":CANARY", "fileCANARY:x" };
    for (size_t i = 0; i < ARRAY_LEN(urls); i++) {
        test_row("'%s'", urls[i]);
        struct pixl_error err = { 0 };
        struct secrets *s = NULL;
        bool ok = secrets_open(urls[i], NULL, &s, &err);
        CHECK(strstr(err.msg, "CANARY") == NULL && s == NULL);
        CHECK_FAILS(ok, err, PIXL_E_INVALID);
    }
}

static void test_secrets__a_file_that_others_can_read_is_denied(void)
{
    static const mode_t modes[] = { 0644, 0640, 0660, 0604, 0700, 0622, 04600 };
    for (size_t i = 0; i < ARRAY_LEN(modes); i++) {
        test_row("mode %04o", (unsigned)modes[i]);
        struct pixl_error err = { 0 };
        struct secrets *s = NULL;
        write_file("a=CANARY\n", modes[i]);
        bool ok = secrets_open(file_url(), NULL, &s, &err);
        CHECK(strstr(err.msg, "chmod 600") != NULL && strstr(err.msg, "CANARY") == NULL);
        CHECK_FAILS(ok, err, PIXL_E_DENIED);
    }
    test_row("another's");
    if (geteuid() == 0) {
        struct pixl_error err = { 0 };
        struct secrets *s = NULL;
        write_file("a=b\n", 0600);
        REQUIRE(chown(test_path("secrets.env"), 12345, 12345) == 0);
        CHECK_FAILS(secrets_open(file_url(), NULL, &s, &err), err, PIXL_E_DENIED);
    }
}

static void test_secrets__a_link_or_a_folder_is_no_secrets_file(void)
{
    struct pixl_error err = { 0 };
    struct secrets *s = NULL;
    REQUIRE_OK(fs_write_whole(test_path("real"), STR("a=b\n"), 0600, &err), err);
    REQUIRE(symlink("real", test_path("secrets.env")) == 0);
    CHECK_FAILS(secrets_open(file_url(), NULL, &s, &err), err, PIXL_E_DENIED);
    REQUIRE(unlink(test_path("secrets.env")) == 0 && mkdir(test_path("secrets.env"), 0600) == 0);
    CHECK_FAILS(secrets_open(file_url(), NULL, &s, &err), err, PIXL_E_DENIED);
}

static void test_secrets__malformed_lines_are_named_by_number_and_never_shown(void)
{
    static const struct { const char *name, *text, *at; } rows[] = {
        { "no equals sign", "a=1\nCANARY\n", ":2:" },
        { "no name", "=CANARY\n", ":1:" },
        { "blank in the name", "# x\n\na CANARY=1\n", ":3:" },
        { "underscore", "CAN_ARY=1\n", ":1:" },
        { "indented", " a=CANARY\n", ":1:" },
        { "carriage return", "a=CANARY\r\n", ":1:" },
        { "twice", "a=1\nb=2\na=CANARY\n", ":3:" },
        { "byte order mark", "\xEF\xBB\xBF" "a=CANARY\n", ":1:" },
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        test_row("%s", rows[i].name);
        struct pixl_error err = { 0 };
        struct secrets *s = NULL;
        write_file(rows[i].text, 0600);
        bool ok = secrets_open(file_url(), NULL, &s, &err);
        CHECK(strstr(err.msg, rows[i].at) != NULL && strstr(err.msg, "CANARY") == NULL);
        CHECK_FAILS(ok, err, PIXL_E_INVALID);
    }
}

static void test_secrets__what_is_created_is_there_afterwards(void)
{
    struct pixl_error err = { 0 };
    struct stat st;
    {
        secrets_auto *s = NULL;
        secret_auto a = { 0 }, b = { 0 }, c = { 0 };
        REQUIRE_OK(secrets_open(file_url(), NULL, &s, &err), err);
        CHECK_FAILS(secrets_get(s, STR("hash--key"), &a, &err), err, PIXL_E_NOT_FOUND);
        REQUIRE_OK(secrets_create(s, STR("hash--key"), STR("abc"), &a, &err), err);
        CHECK_STR(secret_reveal(&a), "abc");
        REQUIRE_OK(secrets_create(s, STR("hash--key"), STR("other"), &b, &err), err);
        CHECK_STR(secret_reveal(&b), "abc");
        REQUIRE_OK(secrets_get(s, STR("hash--key"), &c, &err), err);
        CHECK_STR(secret_reveal(&c), "abc");
    }
    REQUIRE(stat(test_path("secrets.env"), &st) == 0);
    CHECK_INT(st.st_mode & 07777, 0600);
    secrets_auto *again = NULL;
    secret_auto d = { 0 };
    REQUIRE_OK(secrets_open(file_url(), NULL, &again, &err), err);
    REQUIRE_OK(secrets_get(again, STR("hash--key"), &d, &err), err);
    CHECK_STR(secret_reveal(&d), "abc");
}

static void test_secrets__lines_that_were_there_stay_as_they_were(void)
{
    struct pixl_error err = { 0 };
    secrets_auto *s = NULL;
    secret_auto v = { 0 };
    struct arena a;
    struct str text = { 0 };
    arena_init(&a, 1 << 16);
    write_file("# mine\na= x \nb=2", 0600);                 /* without a line end */
    REQUIRE_OK(secrets_open(file_url(), NULL, &s, &err), err);
    REQUIRE_OK(secrets_create(s, STR("c"), STR(" 3#"), &v, &err), err);
    REQUIRE_OK(fs_read_whole(&a, test_path("secrets.env"), 1000, &text, &err), err);
    CHECK_STR(text, "# mine\na= x \nb=2\nc= 3#\n");
    arena_done(&a);
}

static void test_secrets__values_that_would_break_the_file_are_refused(void)
{
    static const struct { const char *name; struct str value;
    } rows[] = {
        { "empty", { "", 0 } },
        { "line feed", { "a\nhash--key=x", 13 } },
        { "NUL", { "a\0b", 3 } },
        { "CR", { "a\r", 2 } },
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        test_row("%s", rows[i].name);
        struct pixl_error err = { 0 };
        secrets_auto *s = NULL;
        secret_auto v = { 0 };
        REQUIRE_OK(secrets_open(file_url(), NULL, &s, &err), err);
        CHECK_FAILS(secrets_create(s, STR("a"), rows[i].value, &v, &err), err, PIXL_E_INVALID);
        CHECK(!fs_exists(test_path("secrets.env")));
    }
}

static void test_secrets__a_read_only_file_and_a_missing_folder_fail_cleanly(void)
{
    struct pixl_error err = { 0 };
    secrets_auto *s = NULL, *t = NULL;
    secret_auto v = { 0 };
    char url[1024];
    write_file("a=1\n", 0400);
    REQUIRE_OK(secrets_open(file_url(), NULL, &s, &err), err);
    CHECK_FAILS(secrets_create(s, STR("b"), STR("2"), &v, &err), err, PIXL_E_DENIED);
    (void)snprintf(url, sizeof url, "file:%s", test_path("no/secrets.env"));
    REQUIRE_OK(secrets_open(url, NULL, &t, &err), err);
    CHECK_FAILS(secrets_create(t, STR("b"), STR("2"), &v, &err), err, PIXL_E_NOT_FOUND);
    CHECK(v.bytes_ == NULL);
}

/* Processes that start on an empty state at once must end up with one key, or their pseudonyms would differ. */
static void test_secrets__processes_that_create_at_once_agree(void)
{
    enum { N = 8 };
    int p[2];
    pid_t pid[N];
    REQUIRE(pipe(p) == 0);
    for (int i = 0; i < N; i++) {
        pid[i] = fork();
        REQUIRE(pid[i] >= 0);
        if (pid[i] == 0) {
            struct pixl_error err = { 0 };
            struct secrets *s = NULL;
            secret_auto v = { 0 }, own = { 0 };
            char mine[24], name[24];
            (void)snprintf(mine, sizeof mine, "value-%d", i);
            (void)snprintf(name, sizeof name, "own-%d", i);
            bool ok = secrets_open(file_url(), NULL, &s, &err) &&
                      secrets_create(s, STR("hash--key"), str_of(mine), &v, &err) &&
                      secrets_create(s, str_of(name), str_of(mine), &own, &err) && v.n == 7 &&
                      write(p[1], secret_reveal(&v).p, 7) == 7;
            if (!ok)
                (void)fprintf(stderr, "child: %s\n", err.msg);
            _exit(ok ? 0 : 1);
        }
    }
    char all[N * 7];
    size_t n = 0;
    for (int i = 0; i < N; i++) {
        int status = 1;
        CHECK(waitpid(pid[i], &status, 0) == pid[i] && status == 0);
    }
    (void)close(p[1]);
    for (ssize_t got; n < sizeof all && (got = read(p[0], all + n, sizeof all - n)) > 0;)
        n += (size_t)got;
    CHECK_INT(n, sizeof all);
    for (size_t i = 7; i < n; i += 7)
        CHECK(memcmp(all, all + i, 7) == 0);
    struct pixl_error err = { 0 };
    secrets_auto *s = NULL;
    REQUIRE_OK(secrets_open(file_url(), NULL, &s, &err), err);
    for (int i = 0; i < N; i++) {
        char name[24];
        secret_auto v = { 0 };
        (void)snprintf(name, sizeof name, "own-%d", i);
        CHECK_OK(secrets_get(s, str_of(name), &v, &err), err);      /* nobody's line was lost */
    }
}

static struct secrets *shared;

static void *get_and_create(void *arg)
{
    struct pixl_error err = { 0 };
    for (int i = 0; i < 20; i++) {
        secret_auto a = { 0 }, b = { 0 };
        char name[24];
        (void)snprintf(name, sizeof name, "n-%d", i);
        if (!secrets_create(shared, str_of(name), str_of(arg), &a, &err) ||
            !secrets_get(shared, str_of(name), &b, &err) || !str_eq(secret_reveal(&a), secret_reveal(&b)))
            return NULL;
    }
    return arg;
}

static void test_secrets__threads_may_share_one(void)
{
    struct pixl_error err = { 0 };
    static char who[4][2] = { "a", "b", "c", "d" };
    pthread_t t[4];
    REQUIRE_OK(secrets_open(file_url(), NULL, &shared, &err), err);
    for (size_t i = 0; i < 4; i++)
        REQUIRE(pthread_create(&t[i], NULL, get_and_create, who[i]) == 0);
    for (size_t i = 0; i < 4; i++) {
        void *ok = NULL;
        CHECK(pthread_join(t[i], &ok) == 0 && ok != NULL);
    }
    secrets_close(shared);
    secrets_close(NULL);
}

static void check_is(bool ok, struct pixl_error *err, const struct secret *v, const char *want)
{
    CHECK_OK(ok, *err);
    CHECK_STR(secret_reveal(v), want);
}

static void test_secrets__asked_anew_say_what_has_changed(void)
{
    struct pixl_error err = { 0 };
    secrets_auto *s = NULL;
    secret_auto first = { 0 }, kept = { 0 }, anew = { 0 }, after = { 0 }, lost = { 0 }, last = { 0 };
    write_file("login=one\n", 0600);
    REQUIRE_OK(secrets_open(file_url(), NULL, &s, &err), err);
    check_is(secrets_get(s, STR("login"), &first, &err), &err, &first, "one");
    write_file("login=two\n", 0600);
    check_is(secrets_get(s, STR("login"), &kept, &err), &err, &kept, "one");
    check_is(secrets_get_anew(s, STR("login"), &anew, &err), &err, &anew, "two");
    check_is(secrets_get(s, STR("login"), &after, &err), &err, &after, "two");
    static const struct {
        const char *text;
        mode_t mode;
        enum pixl_code want;
    } rows[] = {
        { "other=three\n", 0600, PIXL_E_NOT_FOUND },
        { "login=\n", 0600, PIXL_E_INVALID },
        { "login\n", 0600, PIXL_E_INVALID },
        { "login=three\n", 0640, PIXL_E_DENIED },
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        test_row("%zu", i);
        write_file(rows[i].text, rows[i].mode);
        CHECK_FAILS(secrets_get_anew(s, STR("login"), &lost, &err), err, rows[i].want);
    }
    CHECK_FAILS(secrets_get_anew(s, STR("a b"), &lost, &err), err, PIXL_E_INVALID);
    check_is(secrets_get(s, STR("login"), &last, &err), &err, &last, "two");
}

int main(int argc, char **argv)
{
    static const struct test_case tests[] = {
        TEST(test_secrets__every_place_gives_what_is_there),
        TEST(test_secrets__every_place_refuses_what_is_not_there),
        TEST(test_secrets__only_a_file_can_be_added_to),
        TEST(test_secrets__bad_urls_are_refused_and_not_shown),
        TEST(test_secrets__a_file_that_others_can_read_is_denied),
        TEST(test_secrets__a_link_or_a_folder_is_no_secrets_file),
        TEST(test_secrets__malformed_lines_are_named_by_number_and_never_shown),
        TEST(test_secrets__what_is_created_is_there_afterwards),
        TEST(test_secrets__lines_that_were_there_stay_as_they_were),
        TEST(test_secrets__values_that_would_break_the_file_are_refused),
        TEST(test_secrets__a_read_only_file_and_a_missing_folder_fail_cleanly),
        TEST(test_secrets__processes_that_create_at_once_agree),
        TEST(test_secrets__threads_may_share_one),
        TEST(test_secrets__asked_anew_say_what_has_changed),
    };
    return test_main(argc, argv, tests, ARRAY_LEN(tests));
}
