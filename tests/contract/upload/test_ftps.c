/* What only an FTPS server can do to a delivery: ProFTPD, or with PIXL_TEST_FTPS=vsftpd vsftpd; and pyftpdlib, which has HASH.
 * It is long because all of it needs the same servers, logins and cables. */
#include <pthread.h>
#include <stdatomic.h>
#include <time.h>

#include "base/clock.h"
#include "tcp_proxy.h"
#include "upload_rig.h"

static bool is_vsftpd;
static struct ftpd *started; /* by this test */
static char ca[300];
static const struct settings settings = { .ftps_timeout_s = 5 };

static void stop_server(void)
{
    ftpd_stop(started);
}

/* A server for this test alone, stopped when it ends. */
static struct project serve_make(const char *make, struct ftpd *f, const char *const *arguments)
{
    const char *all[8] = { make };
    for (size_t i = 0; arguments != NULL && arguments[i] != NULL && i + 2 < ARRAY_LEN(all); i++)
        all[i + 1] = arguments[i];
    ftpd_start(f, all);
    if (started == NULL)
        (void)atexit(stop_server);
    started = f;
    return project_to_ftps(f, &ca);
}

static struct project serve(struct ftpd *f, const char *const *arguments)
{
    return serve_make(is_vsftpd ? "make=vsftpd" : "make=proftpd", f, arguments);
}

/* A setting as each make has it. */
static struct project serve_with(struct ftpd *f, const char *proftpd, const char *vsftpd)
{
    return serve(f, (const char *[]){ is_vsftpd ? vsftpd : proftpd, NULL });
}

static struct upload *open_at(const struct project *p, const char *host, int port, int64_t timeout_s)
{
    struct secrets *s = ftpd_secrets(test_path("secrets.env"), "my-prefix", host, port, NULL, NULL);
    return open_project(p, s, "w1", timeout_s);
}

static struct upload_study spool_random(size_t n, int64_t fence)
{
    char *bytes = malloc(n);
    REQUIRE(bytes != NULL && hash_random(bytes, n, &err));
    struct upload_study z = spool_bytes(bytes, n, fence);
    free(bytes);
    return z;
}

/* How often the server was asked this, by its own log. */
static size_t count_commands(const struct ftpd *f, const char *command)
{
    struct str text, line;
    size_t n = 0;
    if (!fs_exists(ftpd_path(f, "../commands.log")))
        return 0;
    REQUIRE_OK(fs_read_whole(&arena, ftpd_path(f, "../commands.log"), 16 << 20, &text, &err), err);
    for (bool more = true; more;) {
        more = str_split(text, '\n', &line, &text);
        const char *quoted = line.n > 0 ? memmem(line.p, line.n, "FTP command: ", 13) : NULL;
        if (is_vsftpd && quoted != NULL) { /* FTP command: Client "127.0.0.1", "STOR name" */
            struct str rest = { quoted, (size_t)(line.p + line.n - quoted) };
            for (int i = 0; i < 3; i++)
                (void)str_split(rest, '"', &line, &rest);
            line = rest;
        }
        n += str_is_prefix(line, str_of(command)) && line.n > strlen(command) &&
             strchr(" \"", line.p[strlen(command)]) != NULL;
    }
    return n;
}

static bool has_canary(void)
{
    return strstr(err.msg, "CANARY") != NULL || strstr(err.msg, "127.0.0") != NULL;
}

static void test_open__secrets_must_make_sense(void)
{
    static const struct {
        const char *host, *port, *username, *password, *names;
        enum pixl_code want;
    } rows[] = {
        { "h", "990", "u", "p", NULL, PIXL_OK },
        { "2001:db8::1", " 21 ", "u", "p", NULL, PIXL_OK },
        { NULL, "990", "u", "p", "my-prefix--ftp--host", PIXL_E_NOT_FOUND },
        { "h", NULL, "u", "p", "my-prefix--ftp--port", PIXL_E_NOT_FOUND },
        { "h", "990", NULL, "p", "my-prefix--ftp--username", PIXL_E_NOT_FOUND },
        { "h", "990", "u", NULL, "my-prefix--ftp--password", PIXL_E_NOT_FOUND },
        { "CANARY/h", "990", "u", "p", "my-prefix--ftp--host", PIXL_E_INVALID },
        { "CANARY@h", "990", "u", "p", "my-prefix--ftp--host", PIXL_E_INVALID },
        { "h", "CANARY", "u", "p", "my-prefix--ftp--port", PIXL_E_INVALID },
        { "h", "0", "u", "p", "my-prefix--ftp--port", PIXL_E_INVALID },
        { "h", "65536", "u", "p", "my-prefix--ftp--port", PIXL_E_INVALID },
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        char text[600] = "", url[600];
        const char *const values[] = { rows[i].host, rows[i].port, rows[i].username, rows[i].password };
        static const char *const names[] = { "host", "port", "username", "password" };
        test_row("%zu", i);
        for (size_t k = 0; k < ARRAY_LEN(values); k++)
            if (values[k] != NULL)
                (void)snprintf(text + strlen(text), sizeof text - strlen(text), "my-prefix--ftp--%s=%s\n", names[k],
                               values[k]);
        REQUIRE_OK(fs_write_whole(test_path("secrets.env"), str_of(text), 0600, &err), err);
        (void)snprintf(url, sizeof url, "file:%s", test_path("secrets.env"));
        secrets_auto *s = NULL;
        REQUIRE_OK(secrets_open(url, NULL, &s, &err), err);
        struct ftpd none = { 0 };
        struct project p = project_to_ftps(&none, &ca);
        struct upload_options o = { .secrets = s, .writer = "w1", .settings = &settings };
        struct upload *u = NULL;
        bool ok = upload_open(&p, i % 2 == 0, &o, &u, &err);
        CHECK(!has_canary() && (rows[i].names == NULL || strstr(err.msg, rows[i].names) != NULL));
        if (rows[i].want == PIXL_OK && CHECK_OK(ok, err)) {
            CHECK_STR(str_of(upload_place(u)), "ftps my-prefix--ftp--host/my-project");
            CHECK_INT(upload_caps(u), 0);
        } else {
            CHECK_FAILS(ok, err, rows[i].want);
            CHECK(u == NULL);
        }
        upload_close(u);
    }
}

static void test_connect__only_to_the_right_certificate(void)
{
    static const struct {
        const char *certificate, *ca, *host;
        enum pixl_code want;
        const char *says;
    } rows[] = {
        { "server", "ca", "localhost", PIXL_OK, NULL },
        { "server", "ca", "127.0.0.1", PIXL_OK, NULL },
        { "server", "other", "localhost", PIXL_E_DENIED, "destination.ftps.ca_file" },
        { "server", NULL, "localhost", PIXL_E_DENIED, "destination.ftps.ca_file" },
        { "elsewhere", "ca", "localhost", PIXL_E_DENIED, "my-prefix--ftp--host" },
        { "expired", "ca", "localhost", PIXL_E_DENIED, "has expired" },
        { "alone", NULL, "localhost", PIXL_E_DENIED, "self-signed" },
        { "alone", "alone", "localhost", PIXL_OK, NULL },
        { "server", "nothing", "localhost", PIXL_E_UNAVAILABLE, "destination.ftps.ca_file" },
    };
    static struct ftpd f[4];
    const char *now = NULL;
    int at = -1;
    for (int is_explicit = 0; is_explicit < 2; is_explicit++)
        for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
            if (is_explicit && rows[i].want != PIXL_OK && strcmp(rows[i].certificate, "server") == 0)
                continue;
            char certificate[64], file[400];
            test_row("%s, %s, CA %s", is_explicit ? "explicit" : "implicit", rows[i].certificate,
                     rows[i].ca ? rows[i].ca : "-");
            if (now == NULL || strcmp(now, rows[i].certificate) != 0) {
                if (started != NULL)
                    ftpd_stop(started);
                at = (at + 1) % 4;
                (void)snprintf(certificate, sizeof certificate, "certificate=%s", rows[i].certificate);
                (void)serve(&f[at],
                            (const char *[]){ certificate, is_explicit ? "implicit=no" : "implicit=yes", NULL });
                now = rows[i].certificate;
            }
            struct project p = project_to_ftps(&f[at], &ca);
            p.ftps.is_explicit = is_explicit;
            (void)snprintf(file, sizeof file, "%s/%s.pem", f[at].certs, rows[i].ca ? rows[i].ca : "");
            p.ftps.ca_file = rows[i].ca ? file : NULL;
            upload_auto *u = open_at(&p, rows[i].host, f[at].port, 10);
            struct upload_study z = spool("zip", 1);
            size_t users = count_commands(&f[at], "USER");
            bool ok = upload_study(u, &z, &err);
            CHECK(!has_canary());
            if (rows[i].want == PIXL_OK) {
                CHECK_OK(ok, err);
            } else {
                if (!CHECK(strstr(err.msg, rows[i].says) != NULL))
                    printf("    %s\n", err.msg);
                CHECK_FAILS(ok, err, rows[i].want);
                CHECK_FAILS(upload_check(u, &err), err, rows[i].want);
                CHECK_INT(count_commands(&f[at], "USER"), users);
            }
            if (is_explicit == 0 && i == ARRAY_LEN(rows) - 1)
                now = NULL;
        }
}

static void test_connect__what_cannot_be_had_is_away_or_denied(void)
{
    static struct ftpd f;
    struct project p = serve(&f, NULL);
    struct upload_study z = spool("zip", 1);
    static const struct {
        const char *name, *host, *username, *password;
        int port;
        bool is_explicit;
        enum pixl_code want;
        const char *says;
    } rows[] = {
        { "nobody listens", "localhost", NULL, NULL, 1, false, PIXL_E_UNAVAILABLE, "reached" },
        { "no such host", "nowhere.invalid", NULL, NULL, 0, false, PIXL_E_UNAVAILABLE, "my-prefix--ftp--host" },
        { "explicit TLS to a port of implicit", "localhost", NULL, NULL, 0, true, PIXL_E_UNAVAILABLE, "destination" },
        { "wrong password", "localhost", NULL, "CANARY-wrong", 0, false, PIXL_E_DENIED, "my-prefix--ftp--password" },
        { "wrong user", "localhost", "CANARY-user", NULL, 0, false, PIXL_E_DENIED, "my-prefix--ftp--username" },
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        test_row("%s", rows[i].name);
        p.ftps.is_explicit = rows[i].is_explicit;
        struct secrets *s = ftpd_secrets(test_path("secrets.env"), "my-prefix", rows[i].host,
                                         rows[i].port ? rows[i].port : f.port, rows[i].username, rows[i].password);
        upload_auto *u = open_project(&p, s, "w1", 2);
        bool ok = upload_study(u, &z, &err);
        CHECK(!has_canary() && strstr(err.msg, rows[i].says) != NULL);
        CHECK_FAILS(ok, err, rows[i].want);
        ok = upload_check_key(u, STR("key"), &err);
        CHECK(!has_canary());
        CHECK_FAILS(ok, err, rows[i].want);
    }
    CHECK_INT(count_entries(f.root, NULL), 0);
}

static void test_connect__implicit_to_an_explicit_server_names_the_setting(void)
{
    static struct ftpd f;
    struct project p = serve(&f, (const char *[]){ "implicit=no", NULL });
    upload_auto *u = open_at(&p, "localhost", f.port, 5);
    bool ok = upload_check(u, &err);
    CHECK(strstr(err.msg, "destination.ftps.tls") != NULL);
    CHECK_FAILS(ok, err, PIXL_E_UNAVAILABLE);
}

static void test_connect__nothing_goes_without_tls(void)
{
    static struct ftpd f;
    struct project p = serve(&f, (const char *[]){ "implicit=no", "tls=none", NULL });
    p.ftps.is_explicit = true;
    upload_auto *u = open_at(&p, "localhost", f.port, 5);
    struct upload_study z = spool("zip", 1);
    CHECK_FAILS(upload_study(u, &z, &err), err, PIXL_E_DENIED);
    CHECK_INT(count_commands(&f, "USER"), 0);
}

struct deliverer {
    pthread_t thread;
    struct upload *u;
    struct upload_study z;
    struct pixl_error err;
    bool ok;
};

static void *deliver(void *arg)
{
    struct deliverer *d = arg;
    d->ok = upload_study(d->u, &d->z, &d->err);
    return NULL;
}

static void test_session__one_is_kept_over_studies(void)
{
    static struct ftpd f;
    struct project p = serve(&f, NULL);
    struct upload *u = open_at(&p, "localhost", f.port, 10);
    CHECK_OK(upload_check_key(u, STR("key"), &err), err);
    for (int i = 1; i <= 20; i++) {
        struct upload_study z = spool_random(100000, i);
        CHECK_OK(upload_study(u, &z, &err), err);
        check_digest(ftpd_path(&f, ZIP), &z);
    }
    upload_close(u);
    CHECK_INT(count_commands(&f, "USER"), 1);
    CHECK_INT(count_commands(&f, "QUIT"), 1);
    CHECK_INT(count_commands(&f, "STOR"), 21);
}

static void test_session__tls13_with_a_server_that_wants_one_session(void)
{
    static struct ftpd f;
    struct project p = serve(&f, NULL);
    p.ftps.allows_tls13 = true;
    upload_auto *u = open_at(&p, "localhost", f.port, 10);
    for (int i = 1; i <= 20; i++) {
        struct upload_study z = spool_random(10000, i);
        CHECK_OK(upload_study(u, &z, &err), err);
        check_digest(ftpd_path(&f, ZIP), &z);
    }
}

static void test_session__is_opened_anew_when_the_server_has_closed_it(void)
{
    enum { TIMEOUT_S = 60, AT_MOST_US = 30 * 1000 * 1000 }; /* not by waiting for the timeout */
    static struct ftpd f;
    struct project p = serve_with(&f, "extra=TimeoutIdle 2", "extra=idle_session_timeout=2");
    upload_auto *u = open_at(&p, "localhost", f.port, TIMEOUT_S);
    CHECK_OK(upload_check_key(u, STR("key"), &err), err);
    struct upload_study z = spool("one", 1);
    CHECK_OK(upload_study(u, &z, &err), err);
    for (int i = 0; i < 4; i++) {
        test_row("call %d", i);
        (void)sleep(3);
        z = spool("two", 2);
        int64_t began = clock_mono_us();
        bool ok = i == 0   ? upload_study(u, &z, &err)
                  : i == 1 ? upload_check_key(u, STR("key"), &err)
                  : i == 2 ? upload_table(u, STR("t"), z.zip_path, "a.parquet", &err)
                           : upload_withdraw_table(u, STR("t"), "a.parquet", &err);
        CHECK_OK(ok, err);
        CHECK(clock_mono_us() - began < AT_MOST_US);
    }
    size_t logins = count_commands(&f, "USER");
    CHECK(logins >= 5);
    ftpd_do(&f, "kill");
    ftpd_do(&f, "start");
    z = spool("three", 3);
    CHECK_OK(upload_study(u, &z, &err), err);
    check_content(ftpd_path(&f, ZIP), "three");
    CHECK(count_commands(&f, "USER") > logins);
}

/* What is in the secrets from now on. */
static void change_secrets(const char *host, int port, const char *username, const char *password)
{
    secrets_auto *s = ftpd_secrets(test_path("secrets.env"), "my-prefix", host, port, username, password);
}

static void test_login__that_changes_is_taken_up(void)
{
    static struct ftpd f;
    struct project p = serve(&f, NULL);
    static const struct {
        const char *host, *username, *password;
        int port;
        enum pixl_code want;
    } rows[] = {
        { "localhost", NULL, "CANARY-wrong", 0, PIXL_E_DENIED },
        { "localhost", "CANARY-user", NULL, 0, PIXL_E_DENIED },
        { "localhost", NULL, NULL, 1, PIXL_E_UNAVAILABLE },
        { "nowhere.invalid", NULL, NULL, 0, PIXL_E_UNAVAILABLE },
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        test_row("%zu", i);
        int port = rows[i].port ? rows[i].port : f.port;
        struct secrets *s =
            ftpd_secrets(test_path("secrets.env"), "my-prefix", rows[i].host, port, rows[i].username, rows[i].password);
        upload_auto *u = open_project(&p, s, "w1", 5);
        struct upload_study z = spool_random(1000, (int64_t)i + 1);
        CHECK_FAILS(upload_study(u, &z, &err), err, rows[i].want);
        REQUIRE_OK(fs_write_whole(test_path("secrets.env"), STR("my-prefix--ftp--host=localhost\n"), 0600, &err), err);
        CHECK_FAILS(upload_study(u, &z, &err), err, rows[i].want); /* half written: what was known stays in force */
        change_secrets("localhost", f.port, NULL, NULL);
        CHECK_OK(upload_study(u, &z, &err), err);
        check_digest(ftpd_path(&f, ZIP), &z);
    }
}

static void test_login__that_changes_while_sessions_are_kept(void)
{
    enum { N = 4 };
    static struct ftpd f;
    struct project p = serve(&f, NULL);
    upload_auto *u = open_at(&p, "localhost", f.port, 10);
    CHECK_OK(upload_check_key(u, STR("key"), &err), err);
    ftpd_do(&f, "other_password");
    struct upload_study z = spool("while the session lasts", 1);
    CHECK_OK(upload_study(u, &z, &err), err);
    ftpd_do(&f, "kill");
    ftpd_do(&f, "start");
    CHECK_FAILS(upload_check_key(u, STR("key"), &err), err, PIXL_E_DENIED);
    CHECK(!has_canary());
    change_secrets("localhost", f.port, NULL, "CANARY-0ther");

    struct deliverer d[N];
    char uids[N][32];
    for (int i = 0; i < N; i++) {
        (void)snprintf(uids[i], sizeof uids[i], "2.25.%d", i + 1);
        d[i] = (struct deliverer){ .u = u, .z = spool("the same for all", 2) };
        d[i].z.pseudo_study_uid = uids[i];
        REQUIRE(pthread_create(&d[i].thread, NULL, deliver, &d[i]) == 0);
    }
    for (int i = 0; i < N; i++) {
        (void)pthread_join(d[i].thread, NULL);
        CHECK_OK(d[i].ok, d[i].err);
    }
    CHECK_OK(upload_table(u, STR("t"), d[0].z.zip_path, "a.parquet", &err), err);
    CHECK_INT(count_entries(ftpd_path(&f, "my-project"), NULL), N + 3);
}

static void test_session__no_more_than_the_project_allows(void)
{
    enum { N = 6 };
    static struct ftpd f;
    struct project p = serve_with(&f, "extra=MaxClients 2", "extra=max_clients=2");
    p.ftps.max_connections = 2;
    struct upload *u = open_at(&p, "localhost", f.port, 10);
    struct deliverer d[N];
    char uids[N][32];
    for (int i = 0; i < N; i++) {
        (void)snprintf(uids[i], sizeof uids[i], "2.25.%d", i + 1);
        d[i] = (struct deliverer){ .u = u, .z = spool("the same for all", 1) };
        d[i].z.pseudo_study_uid = uids[i];
        REQUIRE(pthread_create(&d[i].thread, NULL, deliver, &d[i]) == 0);
    }
    for (int i = 0; i < N; i++) {
        (void)pthread_join(d[i].thread, NULL);
        CHECK_OK(d[i].ok, d[i].err);
    }
    upload_close(u);
    CHECK_INT(count_entries(ftpd_path(&f, "my-project"), NULL), N);
    CHECK(count_commands(&f, "USER") <= 2);
}

/* Proxies before the server's control port and all its data ports, at 127.0.0.2. */
struct cable {
    struct tcp_proxy *control, *data[16];
    int n;
};

static void lay_cable(struct cable *c, const struct ftpd *f)
{
    c->n = f->n_passive;
    c->control = tcp_proxy_start_at("127.0.0.2", f->port, f->port);
    for (int i = 0; i < c->n; i++) {
        c->data[i] = tcp_proxy_start_at("127.0.0.2", f->passive_port + i, f->passive_port + i);
        tcp_proxy_count_with(c->data[i], c->data[0]);
    }
}

static void take_up_cable(struct cable *c)
{
    tcp_proxy_stop(c->control);
    for (int i = c->n - 1; i >= 0; i--) /* the first, with which all count, goes last */
        tcp_proxy_stop(c->data[i]);
}

static void test_study__the_data_connection_is_cut_anywhere(void)
{
    enum { BYTES = 16 << 20, CUTS = 10 };
    static struct ftpd f;
    struct cable c;
    struct project p = serve_with(&f, NULL, "few_ports=yes");
    lay_cable(&c, &f);
    struct upload *u = open_at(&p, "127.0.0.2", f.port, 10);
    for (int i = 0; i < CUTS; i++) {
        uint32_t dice;
        REQUIRE(hash_random(&dice, sizeof dice, &err));
        long at = 1 + (long)(dice % (BYTES + BYTES / 50));
        test_row("cut after %ld", at);
        struct upload_study z = spool_random(BYTES, i + 1);
        tcp_proxy_cut_after(c.data[0], at);
        bool ok = upload_study(u, &z, &err);
        tcp_proxy_cut_after(c.data[0], 0);
        CHECK_OK(ok, err);
        check_digest(ftpd_path(&f, ZIP), &z);
        CHECK_INT(count_entries(ftpd_path(&f, "my-project"), NULL), 1);
    }
    CHECK(count_commands(&f, "APPE") >= 1);
    upload_close(u);
    take_up_cable(&c);
}

static void test_study__one_that_was_cut_tries_no_more_when_work_is_to_end(void)
{
    enum { BYTES = 16 << 20, N = 3 };
    static struct ftpd f;
    static atomic_bool cancel;
    struct cable c;
    struct project p = serve_with(&f, NULL, "few_ports=yes");
    lay_cable(&c, &f);
    struct upload *u = open_at(&p, "127.0.0.2", f.port, 10);
    for (int i = 0; i < N; i++) {
        test_row("%d", i);
        atomic_store(&cancel, true);
        struct deliverer d = { .u = u, .z = spool_random(BYTES, 2 * i + 1) };
        d.z.cancel = &cancel;
        tcp_proxy_cut_after(c.data[0], BYTES / 2);
        int64_t began = clock_mono_us();
        (void)deliver(&d);
        CHECK(clock_mono_us() - began < 30 * 1000000);
        CHECK_FAILS(d.ok, d.err, PIXL_E_CANCELLED);
        tcp_proxy_cut_after(c.data[0], 0);
        d.z.fence++;
        CHECK_OK(upload_study(u, &d.z, &err), err); /* one that is not cut is brought to its end */
        check_digest(ftpd_path(&f, ZIP), &d.z);
        CHECK_INT(count_entries(ftpd_path(&f, "my-project"), NULL), 1);
        REQUIRE(unlink(ftpd_path(&f, ZIP)) == 0);
    }
    upload_close(u);
    take_up_cable(&c);
}

static void test_study__the_control_connection_is_cut_anywhere(void)
{
    enum { CUTS = 12 };
    static struct ftpd f;
    struct cable c;
    struct project p = serve_with(&f, NULL, "few_ports=yes");
    lay_cable(&c, &f);
    for (int i = 0; i < CUTS; i++) {
        uint32_t dice;
        REQUIRE(hash_random(&dice, sizeof dice, &err));
        long at = 1 + (long)(dice % 2500);
        test_row("cut after %ld", at);
        struct upload *u = open_at(&p, "127.0.0.2", f.port, 10);
        struct upload_study z = spool_random(300000, i + 1);
        tcp_proxy_cut_after(c.control, at);
        bool ok = upload_study(u, &z, &err);
        tcp_proxy_cut_after(c.control, 0);
        CHECK_OK(ok, err);
        check_digest(ftpd_path(&f, ZIP), &z);
        CHECK_INT(count_entries(ftpd_path(&f, "my-project"), NULL), 1);
        upload_close(u);
    }
    take_up_cable(&c);
}

/* Begins d, and returns when half of it has gone to the server and nothing more goes. */
static void deliver_half(struct deliverer *d, struct cable *c, long bytes)
{
    tcp_proxy_hold_after(c->data[0], bytes / 2);
    REQUIRE(pthread_create(&d->thread, NULL, deliver, d) == 0);
    while (!tcp_proxy_is_held(c->data[0])) /* the test's own time ends it */
        (void)usleep(1000);
}

static void test_study__the_server_is_killed_in_the_middle(void)
{
    enum { BYTES = 16 << 20 };
    static struct ftpd f;
    struct cable c;
    struct project p = serve_with(&f, NULL, "few_ports=yes");
    lay_cable(&c, &f);
    struct upload *u = open_at(&p, "127.0.0.2", f.port, 10);
    struct deliverer d = { .u = u, .z = spool_random(BYTES, 1) };
    deliver_half(&d, &c, BYTES);
    ftpd_do(&f, "kill");
    tcp_proxy_hold_after(c.data[0], 0);
    (void)pthread_join(d.thread, NULL);
    CHECK_FAILS(d.ok, d.err, PIXL_E_UNAVAILABLE);
    CHECK(!fs_exists(ftpd_path(&f, ZIP)) && fs_exists(ftpd_path(&f, "my-project/." UID ".zip.w1.1.part")));
    CHECK_FAILS(upload_study(u, &d.z, &err), err, PIXL_E_UNAVAILABLE);
    ftpd_do(&f, "start");
    d.z.fence = 2;
    CHECK_OK(upload_study(u, &d.z, &err), err);
    check_digest(ftpd_path(&f, ZIP), &d.z);
    CHECK_INT(count_entries(ftpd_path(&f, "my-project"), NULL), 1);
    upload_close(u);
    take_up_cable(&c);
}

static void test_study__a_server_that_stalls_is_away(void)
{
    enum { BYTES = 16 << 20, AT_MOST_US = 30 * 1000 * 1000 };
    static const char *const when[] = { "before it is known", "with a session at hand", "in an upload" };
    static struct ftpd f;
    struct cable c;
    struct project p = serve_with(&f, NULL, "few_ports=yes");
    lay_cable(&c, &f);
    for (size_t i = 0; i < ARRAY_LEN(when); i++) {
        test_row("%s", when[i]);
        struct upload *u = open_at(&p, "127.0.0.2", f.port, 2);
        struct upload_study small = spool("zip", (int64_t)i + 1);
        if (i == 1)
            CHECK_OK(upload_study(u, &small, &err), err);
        struct deliverer d = { .u = u, .z = spool_random(i == 2 ? BYTES : 1000, (int64_t)i + 10) };
        int64_t began = clock_mono_us();
        if (i == 2)
            deliver_half(&d, &c, BYTES);
        ftpd_do(&f, "stall");
        if (i == 2)
            tcp_proxy_hold_after(c.data[0], 0);
        else
            REQUIRE(pthread_create(&d.thread, NULL, deliver, &d) == 0);
        (void)pthread_join(d.thread, NULL);
        CHECK_FAILS(d.ok, d.err, PIXL_E_UNAVAILABLE);
        upload_close(u);
        CHECK(clock_mono_us() - began < AT_MOST_US);
        ftpd_do(&f, "go_on");
    }
    take_up_cable(&c);
}

static void test_study__a_full_server_has_no_space(void)
{
    static struct ftpd f;
    struct project p = serve(&f, (const char *[]){ "space=1m", NULL });
    upload_auto *u = open_at(&p, "localhost", f.port, 10);
    CHECK_OK(upload_check(u, &err), err);
    for (int i = 1; i <= 2; i++) {
        struct upload_study z = spool_random(5 << 20, i);
        CHECK_FAILS(upload_study(u, &z, &err), err, PIXL_E_NO_SPACE);
    }
    CHECK_FAILS(upload_table(u, STR("t"), test_path("spool.zip"), "a.parquet", &err), err, PIXL_E_NO_SPACE);
    struct upload_study z = spool_random(700000, 3); /* fits only when nothing of those is left */
    CHECK_OK(upload_study(u, &z, &err), err);
}

static void test_upload__told_to_keep_out(void)
{
    static struct ftpd f;
    struct project p = serve(&f, NULL);
    ftpd_make(&f, "my-project");
    REQUIRE(chmod(ftpd_path(&f, "my-project"), 0500) == 0);
    upload_auto *u = open_at(&p, "localhost", f.port, 10);
    struct upload_study z = spool("zip", 3);
    CHECK_FAILS(upload_check(u, &err), err, PIXL_E_DENIED);
    CHECK_FAILS(upload_study(u, &z, &err), err, PIXL_E_DENIED);
    CHECK_FAILS(upload_check_key(u, STR("key"), &err), err, PIXL_E_DENIED);
    CHECK_FAILS(upload_table(u, STR("t"), z.zip_path, "a.parquet", &err), err, PIXL_E_DENIED);
    CHECK_INT(count_entries(ftpd_path(&f, "my-project"), NULL), 0);
}

static void test_table__one_that_may_not_be_removed_is_told(void)
{
    static struct ftpd f;
    struct project p = serve_with(&f, "extra=<Limit DELE>\nDenyAll\n</Limit>", "extra=cmds_denied=DELE");
    upload_auto *u = open_at(&p, "localhost", f.port, 10);
    ftpd_write(&f, "my-project/t/parquet/radiology/radiology.parquet", "reports");
    CHECK_FAILS(upload_withdraw_table(u, STR("t"), "radiology/radiology.parquet", &err), err, PIXL_E_DENIED);
    CHECK_OK(upload_withdraw_table(u, STR("t"), "radiology/other.parquet", &err), err);
}

static void test_study__a_drop_box_that_shows_nothing(void)
{
    static const char shows_nothing[] =
        "extra=<Limit SIZE MDTM READ DIRS DELE>\nDenyAll\n</Limit>\n<Limit CWD CDUP>\nAllowAll\n</Limit>";
    static struct ftpd f;
    struct project p = serve_with(&f, shows_nothing, "extra=cmds_denied=SIZE,MDTM,RETR,LIST,NLST,DELE");
    upload_auto *u = open_at(&p, "localhost", f.port, 10);
    struct upload_study z = spool("all of the zip", 1);
    bool ok = upload_study(u, &z, &err);
    CHECK(strstr(err.msg, "destination.ftps.verify: reply") != NULL);
    CHECK(!ok && (err.code == PIXL_E_DENIED || err.code == PIXL_E_UNAVAILABLE));
    pixl_error_clear(&err);
    CHECK(!fs_exists(ftpd_path(&f, ZIP)));
    p.ftps.trusts_replies = true;
    upload_auto *trusting = open_at(&p, "localhost", f.port, 10);
    CHECK_OK(upload_check_key(trusting, STR("key"), &err), err);
    for (int i = 2; i < 4; i++) {
        z = spool(i == 2 ? "all of the zip" : "another", i);
        CHECK_OK(upload_study(trusting, &z, &err), err);
        test_row("study %d", i);
        check_content(ftpd_path(&f, ZIP), i == 2 ? "all of the zip" : "another");
    }
    CHECK(fs_exists(ftpd_path(&f, "my-project/.pixl-key")));
    CHECK_OK(upload_table(trusting, STR("t"), z.zip_path, "a/b.parquet", &err), err);
    test_row("table");
    check_content(ftpd_path(&f, "my-project/t/parquet/a/b.parquet"), "another");
}

static void test_study__a_server_that_replaces_nothing(void)
{
    static const struct {
        const char *extra;
        enum pixl_code want;
    } rows[] = {
        { "extra=AllowOverwrite off", PIXL_OK }, /* it is removed first */
        { "extra=AllowOverwrite off\n<Limit RETR DELE>\nDenyAll\n</Limit>", PIXL_E_EXISTS },
    };
    static struct ftpd f[ARRAY_LEN(rows)];
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        test_row("%zu", i);
        if (started != NULL)
            ftpd_stop(started);
        struct project p = serve(&f[i], (const char *[]){ rows[i].extra, NULL });
        upload_auto *u = open_at(&p, "localhost", f[i].port, 10);
        ftpd_write(&f[i], ZIP, "same size, else");
        struct upload_study z = spool("same size, here", 1);
        if (rows[i].want == PIXL_OK)
            CHECK_OK(upload_study(u, &z, &err), err);
        for (int k = 0; rows[i].want != PIXL_OK && k < 5;
             k++) { /* each refusal to read costs a connection, never more */
            z.fence = k + 1;
            CHECK_FAILS(upload_study(u, &z, &err), err, rows[i].want);
        }
        check_content(ftpd_path(&f[i], ZIP), rows[i].want == PIXL_OK ? "same size, here" : "same size, else");
    }
}

static void test_digest__the_server_tells_it_by_hash(void)
{
    static struct ftpd f;
    struct project p = serve_make("make=pyftpd", &f, NULL);
    upload_auto *u = open_at(&p, "localhost", f.port, 10);
    struct upload_study z = spool_random(300000, 1);
    CHECK_OK(upload_study(u, &z, &err), err);
    check_digest(ftpd_path(&f, ZIP), &z);
    CHECK_INT(count_commands(&f, "OPTS"), 1);
    CHECK_INT(count_commands(&f, "HASH"), 1);

    /* By another process, which has the zip no more: nothing is sent, and nothing read back. */
    upload_auto *other = open_at(&p, "localhost", f.port, 10);
    z.fence = 2;
    REQUIRE(unlink(z.zip_path) == 0);
    CHECK_OK(upload_study(other, &z, &err), err);
    CHECK_INT(count_commands(&f, "HASH"), 2);
    CHECK_INT(count_commands(&f, "STOR"), 1);

    z = spool_random(300000, 3);
    CHECK_OK(upload_study(other, &z, &err), err);
    check_digest(ftpd_path(&f, ZIP), &z);
    CHECK_INT(count_commands(&f, "STOR"), 2);
    CHECK_INT(count_commands(&f, "RETR"), 0);
}

static void test_digest__is_of_the_right_algorithm_and_right(void)
{
    static const struct {
        const char *hash, *faulty;
        enum pixl_code want;
        bool asked, read_back;
    } rows[] = {
        { "hash=SHA-256", "faulty=unreadable", PIXL_OK, true, false },
        { "hash=SHA-256", "faulty=digest", PIXL_OK, true, true }, /* what is read back counts more */
        { "hash=SHA-256", "faulty=digest,unreadable", PIXL_E_UNAVAILABLE, true, true },
        { "hash=SHA-256", "faulty=bytes", PIXL_E_UNAVAILABLE, true, true },
        { "hash=SHA-256", "faulty=bytes,unreadable", PIXL_E_UNAVAILABLE, true, true },
        { "hash=other", "faulty=", PIXL_OK, true, false }, /* it has told none */
        { "hash=other", "faulty=unreadable", PIXL_OK, true, false },
        { "hash=refused", "faulty=", PIXL_OK, true, false },
        { "hash=SHA-512", "faulty=", PIXL_OK, false, false },
        { "hash=none", "faulty=", PIXL_OK, false, false },
    };
    static struct ftpd f[ARRAY_LEN(rows)];
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        test_row("%s, %s", rows[i].hash, rows[i].faulty);
        if (started != NULL)
            ftpd_stop(started);
        struct project p = serve_make("make=pyftpd", &f[i], (const char *[]){ rows[i].hash, rows[i].faulty, NULL });
        upload_auto *u = open_at(&p, "localhost", f[i].port, 10);
        struct upload_study z = spool_random(50000, 1);
        bool ok = upload_study(u, &z, &err);
        CHECK((count_commands(&f[i], "HASH") > 0) == rows[i].asked);
        CHECK((count_commands(&f[i], "RETR") > 0) == rows[i].read_back);
        if (rows[i].want != PIXL_OK) {
            CHECK_FAILS(ok, err, rows[i].want);
            CHECK(!fs_exists(ftpd_path(&f[i], ZIP)));
            continue;
        }
        CHECK_OK(ok, err);
        check_digest(ftpd_path(&f[i], ZIP), &z);
        /* What is there already counts by a digest or by being read, not by its size. */
        struct upload_study same_size = spool_random(50000, 2);
        CHECK_OK(upload_study(u, &same_size, &err), err);
        check_digest(ftpd_path(&f[i], ZIP), &same_size);
    }
}

/* A claim that was thought dead renames when a later one has removed its part and delivered: what that one delivered stays. */
static void test_study__a_later_claim_was_quicker(void)
{
    static struct ftpd f;
    struct project p = serve_make("make=pyftpd", &f, (const char *[]){ "faulty=overtaken", NULL });
    upload_auto *u = open_at(&p, "localhost", f.port, 10);
    struct upload_study z = spool_random(1000, 1);
    CHECK_FAILS(upload_study(u, &z, &err), err, PIXL_E_UNAVAILABLE);
    check_content(ftpd_path(&f, ZIP), "by a later claim");
    CHECK_INT(count_commands(&f, "DELE"), 0);
}

static void test_check_key__a_lock_of_a_dead_process_does_not_hold(void)
{
    static struct ftpd f;
    struct project p = serve(&f, NULL);
    upload_auto *u = open_at(&p, "localhost", f.port, 10);
    ftpd_make(&f, "my-project/.pixl-key.lock");
    CHECK_OK(upload_check_key(u, STR("key"), &err), err);
    CHECK_FAILS(upload_check_key(u, STR("other"), &err), err, PIXL_E_EXISTS);
    CHECK_INT(count_entries(ftpd_path(&f, "my-project"), NULL), 1);
}

int main(int argc, char **argv)
{
    static const struct test_case tests[] = {
        /* not over vsftpd, which always replaces, and has no digests */
        TEST(test_open__secrets_must_make_sense),
        TEST(test_study__a_server_that_replaces_nothing),
        TEST(test_digest__the_server_tells_it_by_hash),
        TEST(test_digest__is_of_the_right_algorithm_and_right),
        TEST(test_study__a_later_claim_was_quicker),
        /* over both */
        TEST(test_connect__only_to_the_right_certificate),
        TEST(test_connect__what_cannot_be_had_is_away_or_denied),
        TEST(test_connect__implicit_to_an_explicit_server_names_the_setting),
        TEST(test_connect__nothing_goes_without_tls),
        TEST(test_session__one_is_kept_over_studies),
        TEST(test_session__tls13_with_a_server_that_wants_one_session),
        TEST(test_session__is_opened_anew_when_the_server_has_closed_it),
        TEST(test_login__that_changes_is_taken_up),
        TEST(test_login__that_changes_while_sessions_are_kept),
        TEST(test_session__no_more_than_the_project_allows),
        TEST(test_study__the_data_connection_is_cut_anywhere),
        TEST(test_study__one_that_was_cut_tries_no_more_when_work_is_to_end),
        TEST(test_study__the_control_connection_is_cut_anywhere),
        TEST(test_study__the_server_is_killed_in_the_middle),
        TEST(test_study__a_server_that_stalls_is_away),
        TEST(test_study__a_full_server_has_no_space),
        TEST(test_upload__told_to_keep_out),
        TEST(test_table__one_that_may_not_be_removed_is_told),
        TEST(test_study__a_drop_box_that_shows_nothing),
        TEST(test_check_key__a_lock_of_a_dead_process_does_not_hold),
    };
    const char *make = getenv("PIXL_TEST_FTPS");
    is_vsftpd = make != NULL && strcmp(make, "vsftpd") == 0;
    arena_init(&arena, 256 << 20);
    size_t first = is_vsftpd ? 5 : 0;
    return test_main(argc, argv, tests + first, ARRAY_LEN(tests) - first);
}
