#include "pipeline/check.h"

#include <stdlib.h>

#include "base/sqlite_db.h"
#include "http_peer.h"
#include "site_rig.h"

enum { LINES_MAX = 64 };
#define NOW   INT64_C(1800000000000000)
#define BUILT (NOW - 1)

static struct pixl_error err;

struct seen {
    size_t n;
    enum check_result worst;
    struct {
        char what[40], project[40], text[800], remedy[300];
        enum check_result result;
    } lines[LINES_MAX];
};

static void note(void *ctx, const struct check_line *l)
{
    struct seen *s = ctx;
    REQUIRE(s->n < LINES_MAX);
    (void)snprintf(s->lines[s->n].what, sizeof s->lines->what, "%s", l->what);
    (void)snprintf(s->lines[s->n].project, sizeof s->lines->project, "%.*s", STR_ARG(l->project));
    (void)snprintf(s->lines[s->n].text, sizeof s->lines->text, "%s", l->text);
    (void)snprintf(s->lines[s->n].remedy, sizeof s->lines->remedy, "%s", l->remedy ? l->remedy : "");
    s->lines[s->n++].result = l->result;
    /* What is to be done is said where, and only where, something is wrong. */
    CHECK((l->remedy != NULL) == (l->result == CHECK_BAD || l->result == CHECK_AWAY));
    CHECK(strstr(l->text, "CANARY") == NULL && (l->remedy == NULL || strstr(l->remedy, "CANARY") == NULL));
}

enum { MORE_MAX = 4 };

/* more: further settings, which go before the usual ones; ended by NULL. */
static struct seen look_with(const char *const *more, const char *project, int64_t now_us)
{
    static const char *const names[] = { "PIXL_STATE_DIR=%s/state", "PROJECT_CONFIGS_DIR=%s/configs", "HOST_EXPORT_ROOT_DIR=%s/exports",
                                         "PIXL_ARCHIVE_URL=directory:%s/archive" };
    char text[ARRAY_LEN(names)][700];
    const char *env[ARRAY_LEN(names) + MORE_MAX + 1] = { NULL };
    size_t n = 0;
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        const char *at = strchr(names[i], '%');
        if (more[0] != NULL && strncmp(more[0], names[i], (size_t)(strchr(names[i], '=') - names[i]) + 1) == 0)
            continue;
        (void)snprintf(text[n], sizeof text[n], "%.*s%s%s", (int)(at - names[i]), names[i], test_dir(), at + 2);
        env[n] = text[n];
        n++;
    }
    for (size_t i = 0; i < MORE_MAX && more[i] != NULL; i++)
        env[n++] = more[i];
    struct settings set = { 0 };
    struct seen s = { .worst = CHECK_BAD };
    const struct check_options o = { .project = str_of(project), .now_us = now_us, .built_us = BUILT, .line = note, .ctx = &s };
    REQUIRE_OK(settings_load(env, NULL, NULL, &set, &err), err);
    CHECK_OK(check_site(&set, &o, &s.worst, &err), err);
    settings_done(&set);
    return s;
}

static struct seen look_at(const char *more, const char *project, int64_t now_us)
{
    return look_with((const char *[]){ more, NULL }, project, now_us);
}

/* The line of that name and project, which must be there once. */
static size_t find_line(const struct seen *s, const char *what, const char *project)
{
    size_t found = LINES_MAX, times = 0;
    for (size_t i = 0; i < s->n; i++)
        if (strcmp(s->lines[i].what, what) == 0 && strcmp(s->lines[i].project, project) == 0) {
            found = i;
            times++;
        }
    CHECK_INT(times, 1);
    REQUIRE(times > 0);
    return found;
}

static void check_line(const struct seen *s, const char *what, const char *project, enum check_result result, const char *text)
{
    size_t i = find_line(s, what, project);
    if (!CHECK(s->lines[i].result == result && strstr(s->lines[i].text, text) != NULL))
        (void)fprintf(stderr, "    %s: %s: %s\n", what, check_result_name(s->lines[i].result), s->lines[i].text);
}

static void check_all_good(const struct seen *s)
{
    for (size_t i = 0; i < s->n; i++)
        if (!CHECK(s->lines[i].result == CHECK_GOOD))
            (void)fprintf(stderr, "    %s: %s\n", s->lines[i].what, s->lines[i].text);
}

static void fill_archive(void)
{
    rig_save(&(struct rig_file){ .name = "CANARY", .mrn = "CANARY" });
}

/* A site that has worked: one study delivered, another one waits. */
static void make_site(void)
{
    struct site_rig r;
    struct store_image image;
    rig_folders("");
    fill_archive();
    rig_open(&r, NULL);
    rig_populate(&r, "1,MRN5501,ACC5501,rig,2023-12-07T14:08:58Z,2020-05-23,1.2.3.1,,\n");
    struct site_project *p;
    REQUIRE_OK(site_project(r.site, STR(RIG_PROJECT), true, &p, &err), err);
    REQUIRE(rig_claim(&r, STORE_WORK_RETRIEVE, &image));
    rig_close(&r);
}

/* Names, sizes and contents of everything below test_dir(). */
static uint64_t fingerprint(void)
{
    char command[1400], line[80] = "";
    (void)snprintf(command, sizeof command, "cd %s && find . -type f -exec sha256sum {} + -o -print | sort | sha256sum", test_dir());
    FILE *f = popen(command, "r");
    REQUIRE(f != NULL && fgets(line, sizeof line, f) != NULL && pclose(f) == 0);
    return strtoull((char[]){ line[0], line[1], line[2], line[3], line[4], line[5], line[6], line[7], line[8], line[9], '\0' }, NULL, 16);
}

static void test_check__a_site_that_works(void)
{
    make_site();
    uint64_t before = fingerprint();
    struct seen s = look_at(NULL, NULL, NOW);
    CHECK(s.worst == CHECK_GOOD && fingerprint() == before);
    check_all_good(&s);
    check_line(&s, "store", "", CHECK_GOOD, "1 study waits");
    check_line(&s, "key", "", CHECK_GOOD, "agrees");
    check_line(&s, "salt", "rig", CHECK_GOOD, "agrees");
    check_line(&s, "destination", "rig", CHECK_GOOD, "its key is ours");
}

static void test_check__before_the_first_run(void)
{
    rig_folders("");
    fill_archive();
    REQUIRE(rmdir(test_path("state")) == 0);
    uint64_t before = fingerprint();
    struct seen s = look_at(NULL, NULL, NOW);
    CHECK(s.worst == CHECK_GOOD && fingerprint() == before);
    check_all_good(&s);
    check_line(&s, "state", "", CHECK_GOOD, "not there yet");
    check_line(&s, "store", "", CHECK_GOOD, "no tables yet");
    check_line(&s, "key", "", CHECK_GOOD, "not there yet");
    check_line(&s, "destination", "rig", CHECK_GOOD, "nothing was delivered there yet");
}

/* Each thing that can be wrong, on a site that works. */
static void lose_key(void)       { REQUIRE(unlink(test_path("state/secrets.env")) == 0); }
static void other_key(void)      { rig_write("state/secrets.env", "hash--key=CANARY-key\nrig=CANARY-salt\n"); }
static void lose_salt(void)
{
    struct arena a;
    struct str text;
    arena_init(&a, 1 << 20);
    REQUIRE_OK(fs_read_whole(&a, test_path("state/secrets.env"), 1 << 16, &text, &err), err);
    char *line = strstr(text.p, "\nrig=");
    REQUIRE(line != NULL);
    line[1] = '#';
    rig_write("state/secrets.env", text.p);
    arena_done(&a);
}
static void open_secrets(void)   { REQUIRE(chmod(test_path("state/secrets.env"), 0644) == 0); }
static void break_store(void)    { rig_write("state/pixl.db", "this is no database, but it is as long as one has to be to be looked at: "
                                                             "a hundred bytes and then some more of them"); }
static void newer_store(void)
{
    sqlite_db_auto *db = NULL;
    REQUIRE_OK(sqlite_db_open(test_path("state/pixl.db"), 1000, &db, &err), err);
    REQUIRE_OK(sqlite_db_exec(db, "PRAGMA user_version = 900", &err), err);
}
static void older_store(void)
{
    sqlite_db_auto *db = NULL;
    REQUIRE_OK(sqlite_db_open(test_path("state/pixl.db"), 1000, &db, &err), err);
    REQUIRE_OK(sqlite_db_exec(db, "PRAGMA user_version = 1", &err), err);
}
static void older_store_no_key(void)
{
    older_store();
    lose_key();
}
static void lose_haven(void)     { REQUIRE(rename(test_path("haven"), test_path("unmounted")) == 0); }
static void lose_marker(void)    { REQUIRE(unlink(test_path("haven/rig/.pixl-key")) == 0); }
static void other_marker(void)   { rig_write("haven/rig/.pixl-key", "CANARY\n"); }
static void block_haven(void)
{
    REQUIRE(unlink(test_path("haven/rig/.pixl-key")) == 0 && rmdir(test_path("haven/rig")) == 0);
    rig_write("haven/rig", "a file in the folder's place");
}
static void empty_archive(void)  { REQUIRE(unlink(test_path("archive/CANARY")) == 0); }
static void lose_archive(void)   { REQUIRE(rename(test_path("archive"), test_path("gone")) == 0); }
static void break_project(void)  { rig_write("configs/rig.yaml", "project: {name: Rig, modalitis: [CT]}\n"); }
static void lose_project(void)   { REQUIRE(unlink(test_path("configs/rig.yaml")) == 0); }
static void lose_configs(void)   { REQUIRE(rename(test_path("configs"), test_path("elsewhere")) == 0); }
static void block_exports(void)  { rig_write("exports", "a file"); }
static void hold_lock(void)
{
    static int fd;
    REQUIRE_OK(fs_lock(test_path("state/lock"), &fd, &err), err);
}
static void nothing(void) {}

static const struct {
    const char *name;
    void (*spoil)(void);
    const char *setting, *what, *project;
    enum check_result result;
    const char *text;
} wrongs[] = {
    { "key lost", lose_key, NULL, "key", "", CHECK_BAD, "restore it" },
    { "key lost, and delivered to before", lose_key, NULL, "destination", "rig", CHECK_BAD, "is not here" },
    { "another key", other_key, NULL, "key", "", CHECK_BAD, "not the one that this store was used with" },
    { "salt lost", lose_salt, NULL, "salt", "rig", CHECK_BAD, "restore it" },
    { "secrets that others may read", open_secrets, NULL, "secrets", "", CHECK_BAD, "chmod 600" },
    { "no database", break_store, NULL, "store", "", CHECK_BAD, "damaged" },
    { "a newer store", newer_store, NULL, "store", "", CHECK_BAD, "newer pixl" },
    { "an older store", older_store, NULL, "store", "", CHECK_GOOD,
      "tables of version 1: the next run brings them to" },
    { "an older store without its key", older_store_no_key, NULL, "key", "", CHECK_SKIPPED, "only the store can tell" },
    { "store on a server that is away", nothing, "PIXL_STORE_URL=postgresql:///x?host=/no/such/folder&password=CANARY",
      "store", "", CHECK_AWAY, "" },
    { "store in no folder", nothing, "PIXL_STORE_URL=sqlite:/no/such/folder/pixl.db", "store", "", CHECK_BAD,
      "not found" },
    { "share not mounted", lose_haven, NULL, "destination", "rig", CHECK_AWAY, "is not there" },
    { "marker gone", lose_marker, NULL, "destination", "rig", CHECK_AWAY,
      "its marker .pixl-key was there and is gone" },
    { "marker of another key", other_marker, NULL, "destination", "rig", CHECK_BAD, "another hashing key" },
    { "file in the folder's place", block_haven, NULL, "destination", "rig", CHECK_AWAY,
      "make the project's folder /" },
    { "archive empty", empty_archive, NULL, "archive", "", CHECK_AWAY, "no DICOM file" },
    { "archive gone", lose_archive, NULL, "archive", "", CHECK_AWAY, "its folder is not there" },
    { "archive of no known kind", nothing, "PIXL_ARCHIVE_URL=tape:CANARY", "archive", "", CHECK_BAD, "scheme" },
    { "project file wrong", break_project, NULL, "project", "rig", CHECK_BAD, "rig.yaml:1:" },
    { "project file gone, the store knows it", lose_project, NULL, "project", "rig", CHECK_BAD, "rig" },
    { "configs folder gone", lose_configs, NULL, "projects", "", CHECK_BAD, "No such file" },
    { "exports are a file", block_exports, NULL, "exports", "", CHECK_BAD, "no folder" },
    { "a run is on", hold_lock, NULL, "lock", "", CHECK_AWAY, "held by process" },
    { "a spool larger than the disk", nothing, "PIXL_SPOOL_MAX=999999999", "space", "", CHECK_BAD, "may still grow" },
    { "broker beside a store in a file", nothing, "PIXL_QUEUE_URL=amqp://CANARY:CANARY@127.0.0.1:1/", "queue", "",
      CHECK_BAD, "needs a store" },
    { "a queue of this process", nothing, "PIXL_QUEUE_URL=memory:", "queue", "", CHECK_GOOD, "no queue imaging yet" },
    { "secondary archive away", nothing, "PIXL_SECONDARY_ARCHIVE_URL=directory:/no/such/CANARY", "secondary archive",
      "", CHECK_AWAY, "mounted" },
    { "keys that cannot be made", nothing, "PIXL_SECRETS_URL=env:", "key", "", CHECK_BAD, "restore it" },
};

static void spoil_and_look(size_t i)
{
    wrongs[i].spoil();
    uint64_t before = fingerprint();
    struct seen s = look_at(wrongs[i].setting, NULL, NOW);
    check_line(&s, wrongs[i].what, wrongs[i].project, wrongs[i].result, wrongs[i].text);
    CHECK(wrongs[i].result == CHECK_GOOD || s.worst >= wrongs[i].result);
    CHECK(fingerprint() == before);
}

static void test_check__each_thing_that_is_wrong_is_told(void)
{
    for (size_t i = 0; i < ARRAY_LEN(wrongs); i++) {
        test_row("%s", wrongs[i].name);
        make_site();
        spoil_and_look(i);
        static const char *const folders[] = { "archive", "configs", "haven", "state", "exports", "unmounted", "gone", "elsewhere" };
        for (size_t f = 0; f < ARRAY_LEN(folders); f++)
            REQUIRE_OK(fs_remove_tree(test_path(folders[f]), &err) || (pixl_error_clear(&err), fs_remove(test_path(folders[f]), &err)),
                       err);
    }
}

static void test_check__only_one_project(void)
{
    make_site();
    rig_write("configs/other.yaml", "nonsense\n");
    struct seen all = look_at(NULL, NULL, NOW), one = look_at(NULL, "rig", NOW), none = look_at(NULL, "no-such", NOW);
    CHECK(all.worst == CHECK_BAD && one.worst == CHECK_GOOD && none.worst == CHECK_BAD);
    check_line(&all, "project", "other", CHECK_BAD, "other.yaml:1:");
    check_line(&none, "project", "no-such", CHECK_BAD, "no-such");
}

static void test_check__a_clock_that_is_behind(void)
{
    make_site();
    struct seen s = look_at(NULL, NULL, BUILT - 1);
    check_line(&s, "clock", "", CHECK_BAD, "before this pixl was built");
}

static void test_check__a_broker_that_is_away(void)
{
    make_site();
    struct seen s = look_with((const char *[]){ "PIXL_QUEUE_URL=amqp://CANARY:CANARY@127.0.0.1:1/",
                                                "PIXL_STORE_URL=postgresql:///x?host=/no/such/folder", NULL }, NULL, NOW);
    check_line(&s, "queue", "", CHECK_AWAY, "");
}

/* The token server of a vault; there is no vault behind it. */
static void test_check__clocks_of_servers_are_compared(void)
{
    static const struct { int ahead_s; bool is_told; } rows[] = { { 0, false }, { -250, false }, { -3600, true }, { 3600, true } };
    char host[200], ca[600];
    make_site();
    (void)snprintf(ca, sizeof ca, "PIXL_AZURE_CA_FILE=%s/ca.pem", http_peer.certs);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        test_row("%d s", rows[i].ahead_s);
        (void)snprintf(host, sizeof host, "AZURE_AUTHORITY_HOST=https://localhost:%d/dated/%d", http_peer.tls_port, rows[i].ahead_s);
        char name[64];
        (void)snprintf(name, sizeof name, "PIXL_SECRETS_URL=azure:https://localhost:%d", http_peer.tls_port);
        const char *env[] = { name, host, ca, NULL };
        struct seen s = look_with(env, NULL, clock_wall_us());
        size_t clocks = 0;
        for (size_t n = 0; n < s.n; n++)
            clocks += strcmp(s.lines[n].what, "clock") == 0;
        CHECK_INT(clocks, rows[i].is_told ? 2 : 1);
        CHECK(s.worst == CHECK_BAD);             /* the vault is none */
    }
}

int main(int argc, char **argv)
{
    static const struct test_case tests[] = {
        TEST(test_check__a_site_that_works),
        TEST(test_check__before_the_first_run),
        TEST(test_check__each_thing_that_is_wrong_is_told),
        TEST(test_check__only_one_project),
        TEST(test_check__a_clock_that_is_behind),
        TEST(test_check__a_broker_that_is_away),
        TEST(test_check__clocks_of_servers_are_compared),
    };
    http_peer_start();
    int rc = test_main(argc, argv, tests, ARRAY_LEN(tests));
    http_peer_stop();
    return rc;
}
