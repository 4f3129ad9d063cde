#include "config/dotenv.h"
#include "config/problems.h"
#include "config/settings.h"
#include "test.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/fs.h"

static const char *write_env(const char *text)
{
    struct pixl_error err = { 0 };
    const char *path = test_path(".env");
    REQUIRE_OK(fs_write_whole(path, str_of(text), 0600, &err), err);
    return path;
}

static size_t index_of(const char *name)
{
    for (size_t i = 0; i < settings_options_count; i++)
        if (strcmp(settings_options[i].name, name) == 0)
            return i;
    REQUIRE(false);                     /* no such option */
    return 0;
}

static void check_shown(const struct settings *s, const char *name, const char *text, const char *source)
{
    const char *from = NULL;
    test_row("%s", name);
    CHECK_STR(settings_show(s, index_of(name), &from), text);
    CHECK_STR(str_of(from), source);
    test_row("%s", "");
}

static void test_settings__defaults_stand_alone(void)
{
    struct settings s = { 0 };
    struct pixl_error err = { 0 };
    REQUIRE_OK(settings_load(NULL, NULL, NULL, &s, &err), err);
    CHECK_STR(str_of(s.state_dir), "./.pixl");
    CHECK_STR(str_of(s.store_url), "sqlite:./.pixl/pixl.db");
    CHECK(s.archive_url == NULL);
    CHECK_STR(str_of(s.secrets_url), "file:./.pixl/secrets.env");
    CHECK_STR(str_of(s.project_configs_dir), "./projects/configs");
    CHECK_STR(str_of(s.export_root_dir), "./projects/exports");
    CHECK_STR(str_of(s.local_salt), "");
    CHECK_STR(str_of(s.hash_key_name), "hash--key");
    CHECK_STR(str_of(s.temp_dir), "./.pixl/tmp");
    CHECK_INT(s.workers, 0);
    CHECK_INT(s.max_attempts, 5);
    CHECK_INT(s.lease_s, 120);
    CHECK_INT(s.patience_s, 600);
    CHECK_INT(s.deflate_level, 1);
    CHECK_INT(s.spool_max_mib, 0);
    CHECK_INT(s.max_study_gib, 64);
    CHECK(s.rate_per_s < 0);
    CHECK_INT(s.log_level, LOG_INFO);
    check_shown(&s, "PIXL_ARCHIVE_URL", "", "default");
    check_shown(&s, "PIXL_RATE", "", "default");
    check_shown(&s, "LOG_LEVEL", "info", "default");
    check_shown(&s, "LOCAL_SALT_VALUE", "", "default");
    settings_done(&s);
    settings_done(&s);
}

static void test_settings__every_row_explains_itself(void)
{
    for (size_t i = 0; i < settings_options_count; i++) {
        const struct settings_option *o = &settings_options[i];
        test_row("%s", o->name);
        CHECK(o->help != NULL && strlen(o->help) > 10 && o->help[strlen(o->help) - 1] == '.');
        CHECK(o->unit != NULL && o->offset < sizeof(struct settings));
        for (size_t j = 0; j < i; j++)
            CHECK(strcmp(o->name, settings_options[j].name) != 0 && o->offset != settings_options[j].offset);
    }
}

static void test_settings__nearer_places_win(void)
{
    const char *env[] = { "PIXL_WORKERS=3", "PIXL_LEASE_S=30", "UNRELATED=x", NULL };
    const char *over[] = { "PIXL_WORKERS=4", NULL };
    const char *path = write_env("PIXL_WORKERS=1\nPIXL_LEASE_S=20\n# c\nPIXL_MAX_ATTEMPTS=7\n");
    struct settings s = { 0 };
    struct pixl_error err = { 0 };
    REQUIRE_OK(settings_load(env, path, over, &s, &err), err);
    check_shown(&s, "PIXL_WORKERS", "4", "command line");
    check_shown(&s, "PIXL_LEASE_S", "30", "environment");
    check_shown(&s, "PIXL_MAX_ATTEMPTS", "7", ".env:4");
    check_shown(&s, "PIXL_PATIENCE_S", "600", "default");
    CHECK_INT(s.workers, 4);
    CHECK_INT(s.lease_s, 30);
    CHECK_INT(s.max_attempts, 7);
    settings_done(&s);
}

static void test_settings__an_empty_value_is_none(void)
{
    const char *env[] = { "PIXL_WORKERS=", "PIXL_ARCHIVE_URL=", "PIXL_RATE=", "LOG_LEVEL=", NULL };
    struct settings s = { 0 };
    struct pixl_error err = { 0 };
    REQUIRE_OK(settings_load(env, write_env("PIXL_WORKERS=2\nPIXL_LEASE_S=\n"), NULL, &s, &err), err);
    CHECK_INT(s.workers, 2);
    CHECK_INT(s.lease_s, 120);
    CHECK(s.archive_url == NULL && s.rate_per_s < 0);
    settings_done(&s);
}

static void test_settings__state_dir_is_put_in(void)
{
    const char *env[] = { "PIXL_STATE_DIR=/srv/state", "PIXL_STORE_URL=sqlite:${PIXL_STATE_DIR}/a.db",
                          "PIXL_ARCHIVE_URL=directory:$PIXL_STATE_DIRX/$PIXL_STATE_DIR", "HOST_EXPORT_ROOT_DIR=$HOME/x",
                          "LOCAL_SALT_VALUE=$PIXL_STATE_DIR", NULL };
    struct settings s = { 0 };
    struct pixl_error err = { 0 };
    REQUIRE_OK(settings_load(env, NULL, NULL, &s, &err), err);
    CHECK_STR(str_of(s.store_url), "sqlite:/srv/state/a.db");
    CHECK_STR(str_of(s.archive_url), "directory:$PIXL_STATE_DIRX//srv/state");
    CHECK_STR(str_of(s.secrets_url), "file:/srv/state/secrets.env");
    CHECK_STR(str_of(s.temp_dir), "/srv/state/tmp");
    CHECK_STR(str_of(s.export_root_dir), "$HOME/x");            /* nothing else is put in */
    CHECK_STR(str_of(s.local_salt), "$PIXL_STATE_DIR");         /* a secret is taken as it stands */
    settings_done(&s);
}

static void test_settings__names_of_others_are_left_alone(void)
{
    const char *env[] = { "PIXL_DB_HOST=h",
                          "PIXL_DB_NAME=n",
                          "PIXL_DB_PASSWORD=p",
                          "PIXL_IMAGING_API_RATE=1",
                          "PIXL_EXPORT_API_PORT=7006",
                          "PIXL_QUERY_TIMEOUT=10",
                          "PIXL_DICOM_TRANSFER_TIMEOUT=240",
                          "PIXL_MAX_MESSAGES_IN_FLIGHT=50",
                          "PIXL_ROOT=/",
                          "PIXL_QUEUE_URL=none:",
                          "PIXL_API_TOKEN=t",
                          "PIXL_SECRET_HASH__KEY=k",
                          "PIXL_DUCKDB_LIB=/l",
                          "PIXL_SPOOL_KEEP=1",
                          "CLI_PIXL_DB_HOST=h",
                          "ORTHANC_RAW_URL=u",
                          "PIXLATE=1",
                          "NOVALUE",
                          "=x",
                          NULL };
    struct settings s = { 0 };
    struct pixl_error err = { 0 };
    CHECK_OK(settings_load(env, write_env("PIXL_DB_USER=u\nENV=test\nVNAQR_IP_ADDR=1.2.3.4\n"), NULL, &s, &err), err);
    settings_done(&s);
}

struct wrong_row {
    const char *name, *env, *dotenv, *override, *text;
};

static const struct wrong_row wrong[] = {
    { "misspelled in the environment", "PIXL_STATEDIR=x", NULL, NULL,
      "environment: unknown setting PIXL_STATEDIR; did you mean PIXL_STATE_DIR?" },
    { "far from all", "PIXL_FROBNICATE_ALL=x", NULL, NULL, "environment: unknown setting PIXL_FROBNICATE_ALL" },
    { "near a name of others", "PIXL_QUEUE_URI=x", NULL, NULL,
      "environment: unknown setting PIXL_QUEUE_URI; did you mean PIXL_QUEUE_URL?" },
    { "prefix alone", "PIXL_DB_=x", NULL, NULL, "environment: unknown setting PIXL_DB_" },
    { "a host and no database", "PIXL_DB_HOST=h", NULL, NULL, "environment: PIXL_DB_HOST needs PIXL_DB_NAME" },
    { "a port that is none", "RABBITMQ_PORT=queue", NULL, NULL,
      "environment: RABBITMQ_PORT: 'queue' is no whole number" },
    { "a form that is none", "PIXL_MESSAGE_FORMAT=yaml", NULL, NULL,
      "environment: PIXL_MESSAGE_FORMAT: 'yaml' is neither json nor jsonpickle" },
    { "misspelled in .env", NULL, "# x\n\nPIXL_WORKER=2\n", NULL,
      ".env:3: unknown setting PIXL_WORKER; did you mean PIXL_WORKERS?" },
    { "misspelled on the command line", NULL, NULL, "PIXL_RATES=2",
      "command line: unknown setting PIXL_RATES; did you mean PIXL_RATE?" },
    { "no value on the command line", NULL, NULL, "PIXL_RATE", "command line: unknown setting PIXL_RATE" },
    { "another's on the command line", NULL, NULL, "PATH=/", "command line: unknown setting PATH" },
    { "twice in .env", NULL, "PIXL_RATE=1\nA=1\nPIXL_RATE=1\n", NULL, ".env:3: PIXL_RATE is set in line 1 already" },
    { "another's twice in .env", NULL, "A=1\nexport A=2\n", NULL, ".env:2: A is set in line 1 already" },
    { "line without =", NULL, "A=1\nnonsense here\n", NULL, ".env:2: neither NAME=value nor a comment" },
    { "name with a blank", NULL, "A B=1\n", NULL, ".env:1: neither NAME=value nor a comment" },
    { "name with a digit first", NULL, "1A=1\n", NULL, ".env:1: neither NAME=value nor a comment" },
    { "no name", NULL, "=1\n", NULL, ".env:1: neither NAME=value nor a comment" },
    { "quote left open", NULL, "A=1\nB='x\n", NULL, ".env:2: a quote is opened and not closed in this line" },
    { "backslash before the quote", NULL, "B=\"x\\\"\n", NULL,
      ".env:1: a quote is opened and not closed in this line" },
    { "more behind the quote", NULL, "B='x'y\n", NULL, ".env:1: something stands behind the closing quote" },
    { "unknown escape", NULL, "B=\"\\q\"\n", NULL, ".env:1: only \\\" \\\\" },
    { "no number", "PIXL_WORKERS=abc", NULL, NULL,
      "environment: PIXL_WORKERS: 'abc' is no whole number from 0 to 256 threads" },
    { "too large", "PIXL_WORKERS=257", NULL, NULL, "environment: PIXL_WORKERS: '257' is no whole number" },
    { "negative", "PIXL_WORKERS=-1", NULL, NULL, "environment: PIXL_WORKERS: '-1' is no whole number" },
    { "too small", NULL, "PIXL_LEASE_S=9\n", NULL, ".env:1: PIXL_LEASE_S: '9' is no whole number from 10 to 86400 s" },
    { "fraction", "PIXL_MAX_ATTEMPTS=1.5", NULL, NULL, "PIXL_MAX_ATTEMPTS: '1.5' is no whole number from 1 to 100" },
    { "with unit", "PIXL_LEASE_S=10s", NULL, NULL, "'10s' is no whole number" },
    { "hexadecimal", "PIXL_WORKERS=0x10", NULL, NULL, "'0x10' is no whole number" },
    { "overflow", "PIXL_SPOOL_MAX=18446744073709551617", NULL, NULL, "'18446744073709551617' is no whole number" },
    { "NaN", NULL, NULL, "PIXL_RATE=nan", "command line: PIXL_RATE: 'nan' is no number from 0 to 10000 studies/s" },
    { "infinite", NULL, NULL, "PIXL_RATE=inf", "command line: PIXL_RATE: 'inf' is no number" },
    { "-infinite", NULL, NULL, "PIXL_RATE=-infinity", "command line: PIXL_RATE: '-infinity' is no number" },
    { "overflowing rate", NULL, NULL, "PIXL_RATE=1e999", "command line: PIXL_RATE: '1e999' is no number" },
    { "negative rate", NULL, NULL, "PIXL_RATE=-0.1", "command line: PIXL_RATE: '-0.1' is no number" },
    { "rate in words", NULL, NULL, "PIXL_RATE=5/s", "command line: PIXL_RATE: '5/s' is no number" },
    { "by an option", NULL, NULL, "--rate PIXL_RATE=fast", "--rate: 'fast' is no number from 0 to 10000 studies/s" },
    { "by an option, an unknown setting", NULL, NULL, "--rate PIXL_RATES=1",
      "--rate: unknown setting PIXL_RATES; did you mean PIXL_RATE?" },
    { "by an option, with a control character", NULL, NULL, "--archive PIXL_ARCHIVE_URL=a\tb",
      "--archive holds a control character" },
    { "level", "LOG_LEVEL=loud", NULL, NULL,
      "environment: LOG_LEVEL: 'loud' is none of debug, info, warn, error, off" },
    { "forged line", "PIXL_ARCHIVE_URL=a\nb", NULL, NULL, "environment: PIXL_ARCHIVE_URL holds a control character" },
    { "escape in a value", NULL, "PIXL_ARCHIVE_URL=\"a\\nb\"\n", NULL, ".env:1: PIXL_ARCHIVE_URL holds a control" },
    { "names itself", "PIXL_STATE_DIR=$PIXL_STATE_DIR/x", NULL, NULL,
      "environment: PIXL_STATE_DIR cannot name itself" },
};

static void test_settings__mistakes_name_their_place(void)
{
    for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
        const struct wrong_row *r = &wrong[i];
        test_row("%s", r->name);
        const char *env[] = { r->env, NULL }, *over[] = { r->override, NULL };
        struct settings s = { .workers = 4711 };
        struct pixl_error err = { 0 };
        bool ok = settings_load(env, r->dotenv ? write_env(r->dotenv) : NULL, over, &s, &err);
        CHECK(!ok);
        CHECK_INT(s.workers, 4711);                             /* untouched */
        if (strstr(err.msg, r->text) != err.msg && strstr(err.msg, r->text) == NULL)
            CHECK_STR(str_of(err.msg), r->text);
        CHECK_FAILS(ok, err, PIXL_E_INVALID);
    }
}

static void test_settings__an_option_is_the_place(void)
{
    static const char *const over[] = { "--archive PIXL_ARCHIVE_URL=directory:/a b=c", "PIXL_RATE=2", NULL };
    struct settings s = { 0 };
    struct pixl_error err = { 0 };
    REQUIRE_OK(settings_load(NULL, NULL, over, &s, &err), err);
    check_shown(&s, "PIXL_ARCHIVE_URL", "directory:/a b=c", "--archive");
    check_shown(&s, "PIXL_RATE", "2", "command line");
    settings_done(&s);
}

static void add_problem(void *ctx, const char *problem)
{
    (void)buf_addf(ctx, "%s\n", problem);
}

/* Each once, whatever its kind; a wrong state folder is not told again for every path below it. */
static void test_settings__all_mistakes_are_told_together(void)
{
    static const char *const env[] = { "PIXL_STATEDIR=x", "PIXL_PATIENCE_S=long", NULL };
    static const char *const over[] = { "--rate PIXL_RATE=fast", NULL };
    const char *path = write_env("PIXL_WORKERS=many\nnonsense\nPIXL_LEASE_S=20\nA='x\nPIXL_LEASE_S=30\nPIXL_WORKER=1\n"
                                 "PIXL_STATE_DIR=$PIXL_STATE_DIR/x\nPIXL_MAX_ATTEMPTS=0\n");
    struct settings s = { .workers = 4711 };
    struct pixl_error err = { 0 };
    buf_auto told;
    buf_init(&told, 10000);
    struct problems mistakes = { .say = add_problem, .ctx = &told };
    bool ok = settings_load_all(env, path, over, &mistakes, &s, &err);
    CHECK_STR(str_of(err.msg), ".env:2: neither NAME=value nor a comment");
    CHECK_FAILS(ok, err, PIXL_E_INVALID);
    CHECK_INT(s.workers, 4711);
    CHECK_INT(mistakes.n, 10);
    static const char *const wanted[] = {
        ".env:2: neither NAME=value nor a comment\n",
        ".env:4: a quote is opened and not closed",
        ".env:5: PIXL_LEASE_S is set in line 3 already\n",
        "environment: unknown setting PIXL_STATEDIR;",
        ".env:6: unknown setting PIXL_WORKER;",
        ".env:7: PIXL_STATE_DIR cannot name itself\n",
        "--rate: 'fast' is no number",
        ".env:1: PIXL_WORKERS: 'many' is no",
        ".env:8: PIXL_MAX_ATTEMPTS: '0' is no",
        "environment: PIXL_PATIENCE_S: 'long' is",
    };
    for (size_t i = 0; i < ARRAY_LEN(wanted); i++) {
        const char *first = strstr(buf_cstr(&told), wanted[i]);
        test_row("%s", wanted[i]);
        CHECK(first != NULL && strstr(first + 1, wanted[i]) == NULL);
    }
    struct problems none = { 0 };
    CHECK_OK(settings_load_all(NULL, NULL, NULL, &none, &s, &err), err);
    CHECK_INT(none.n, 0);
    settings_done(&s);
}

static void test_settings__twice_on_the_command_line_is_refused(void)
{
    const char *over[] = { "PIXL_RATE=1", "PIXL_RATE=1", NULL };
    struct settings s = { 0 };
    struct pixl_error err = { 0 };
    CHECK_FAILS(settings_load(NULL, NULL, over, &s, &err), err, PIXL_E_INVALID);
}

static void test_settings__numbers_are_read_exactly(void)
{
    static const struct { const char *pair; double rate; } rows[] = {
        { "PIXL_RATE=0", 0 }, { "PIXL_RATE=0.5", 0.5 }, { "PIXL_RATE= 5 ", 5 }, { "PIXL_RATE=1e2", 100 },
        { "PIXL_RATE=-0", 0 },
        { "PIXL_RATE=10000", 10000 },
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        test_row("%s", rows[i].pair);
        const char *env[] = { rows[i].pair, NULL };
        struct settings s = { 0 };
        struct pixl_error err = { 0 };
        REQUIRE_OK(settings_load(env, NULL, NULL, &s, &err), err);
        CHECK(s.rate_per_s >= rows[i].rate && s.rate_per_s <= rows[i].rate);
        CHECK(settings_show(&s, index_of("PIXL_RATE"), NULL).p[0] != '-');
        settings_done(&s);
    }
}

static void test_settings__passwords_are_not_shown(void)
{
    static const struct { const char *url, *shown; } rows[] = {
        { "orthanc+http://user:pw@host:8042",            "orthanc+http://user:***@host:8042" },
        { "amqps://u:p/w@d@host:5672/v",                 "amqps://u:***@host:5672/v" },
        { "https://token@host/x",                        "https://***@host/x" },
        { "https://:pw@host",                            "https://:***@host" },
        { "postgresql://h/db?user=u&password=pw&x=1",    "postgresql://h/db?user=u&password=***&x=1" },
        { "https://h/?sslPassword=a&apiKey=b&sig=c&t",   "https://h/?sslPassword=***&apiKey=***&sig=***&t" },
        { "directory:/data/a@b:c",                       "directory:/data/a@b:c" },
        { "http://host/path",                            "http://host/path" },
        { "://@",                                        "://***@" },
        { "x://",                                        "x://" },
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        char pair[200];
        (void)snprintf(pair, sizeof pair, "PIXL_ARCHIVE_URL=%s", rows[i].url);
        const char *env[] = { pair, "LOCAL_SALT_VALUE=hunter2", NULL };
        struct settings s = { 0 };
        struct pixl_error err = { 0 };
        REQUIRE_OK(settings_load(env, NULL, NULL, &s, &err), err);
        check_shown(&s, "PIXL_ARCHIVE_URL", rows[i].shown, "environment");
        check_shown(&s, "LOCAL_SALT_VALUE", "***", "environment");
        CHECK_STR(str_of(s.archive_url), rows[i].url);
        CHECK_STR(str_of(s.local_salt), "hunter2");
        settings_done(&s);
    }
}

static const struct {
    const char *name, *env[8];
    const char *queue, *store, *queue_source, *store_source; /* as shown; NULL: the default */
} older[] = {
    { "nothing", { NULL }, NULL, NULL, NULL, NULL },
    { "a broker",
      { "RABBITMQ_HOST=queue" },
      "amqp://guest:***@queue:5672/%2F",
      NULL,
      "RABBITMQ_HOST, environment",
      NULL },
    { "a user alone names no broker",
      { "RABBITMQ_USERNAME=u", "RABBITMQ_PASSWORD=secretword" },
      NULL,
      NULL,
      NULL,
      NULL },
    { "all of a broker",
      { "RABBITMQ_HOST=::1", "RABBITMQ_PORT=7008", "RABBITMQ_USERNAME=r b", "RABBITMQ_PASSWORD=secretword/@" },
      "amqp://r%20b:***@[::1]:7008/%2F",
      NULL,
      "RABBITMQ_HOST, environment",
      NULL },
    { "the URL goes first",
      { "RABBITMQ_HOST=queue", "PIXL_QUEUE_URL=amqp://a:b@h" },
      "amqp://a:***@h",
      NULL,
      "environment",
      NULL },
    { "a database",
      { "PIXL_DB_HOST=postgres", "PIXL_DB_NAME=pixl", "PIXL_DB_USER=u", "PIXL_DB_PASSWORD=secretword#%" },
      NULL,
      "postgresql://u:***@postgres:5432/pixl",
      NULL,
      "PIXL_DB_HOST, environment" },
    { "a command's way to it",
      { "PIXL_DB_HOST=postgres", "PIXL_DB_NAME=pixl", "CLI_PIXL_DB_HOST=localhost", "CLI_PIXL_DB_PORT=7001" },
      NULL,
      "postgresql://localhost:7001/pixl",
      NULL,
      "CLI_PIXL_DB_HOST, environment" },
    { "a store's URL goes first",
      { "PIXL_DB_HOST=postgres", "PIXL_DB_NAME=pixl", "PIXL_STORE_URL=sqlite:/x" },
      NULL,
      "sqlite:/x",
      NULL,
      "environment" },
};

static void test_settings__older_variables_stand_for_urls(void)
{
    for (size_t i = 0; i < ARRAY_LEN(older); i++) {
        struct settings s = { 0 };
        struct pixl_error err = { 0 };
        REQUIRE_OK(settings_load(older[i].env, NULL, NULL, &s, &err), err);
        check_shown(&s, "PIXL_QUEUE_URL",
                    older[i].queue ? older[i].queue : "none:", older[i].queue ? older[i].queue_source : "default");
        check_shown(&s, "PIXL_STORE_URL", older[i].store ? older[i].store : "sqlite:./.pixl/pixl.db",
                    older[i].store ? older[i].store_source : "default");
        for (size_t o = 0; o < settings_options_count; o++) {
            struct str shown = settings_show(&s, o, NULL);
            CHECK(shown.n == 0 || memmem(shown.p, shown.n, "secretword", 10) == NULL);
        }
        settings_done(&s);
    }
    struct settings s = { 0 };
    struct pixl_error err = { 0 };
    REQUIRE_OK(settings_load(older[3].env, NULL, NULL, &s, &err), err);
    CHECK_STR(str_of(s.queue_url), "amqp://r%20b:secretword%2F%40@[::1]:7008/%2F");
    settings_done(&s);
}

static void test_settings__log_levels_of_the_older_system(void)
{
    const char *env[] = { "LOG_LEVEL=WARNING", NULL };
    struct settings s = { 0 };
    struct pixl_error err = { 0 };
    REQUIRE_OK(settings_load(env, NULL, NULL, &s, &err), err);
    CHECK_INT(s.log_level, LOG_WARN);
    check_shown(&s, "LOG_LEVEL", "warn", "environment");
    settings_done(&s);
}

static void test_settings__a_dotenv_that_cannot_be_read_is_an_error(void)
{
    struct settings s = { 0 };
    struct pixl_error err = { 0 };
    CHECK_OK(settings_load(NULL, test_path("absent"), NULL, &s, &err), err);
    settings_done(&s);
    REQUIRE(mkdir(test_path("folder"), 0700) == 0);
    CHECK(!settings_load(NULL, test_path("folder"), NULL, &s, &err));
    CHECK(err.code != PIXL_OK);
    pixl_error_clear(&err);
    static char large[1024 * 1024 + 2];
    memset(large, '#', sizeof large - 1);
    CHECK_FAILS(settings_load(NULL, write_env(large), NULL, &s, &err), err, PIXL_E_LIMIT);
}

static void test_settings__a_very_long_text_is_refused(void)
{
    static char pair[8000] = "PIXL_ARCHIVE_URL=";
    memset(pair + strlen(pair), 'x', sizeof pair - 1 - strlen(pair));
    const char *env[] = { pair, NULL };
    struct settings s = { 0 };
    struct pixl_error err = { 0 };
    CHECK_FAILS(settings_load(env, NULL, NULL, &s, &err), err, PIXL_E_INVALID);
    static char many[4000] = "PIXL_ARCHIVE_URL=";
    for (size_t at = strlen(many); at + 16 < sizeof many; at += 15)
        memcpy(many + at, "$PIXL_STATE_DIR", 16);
    const char *env2[] = { "PIXL_STATE_DIR=/a/folder/with/a/rather/long/name/so/that/the/text/grows/and/grows", many,
                           NULL };
    CHECK_FAILS(settings_load(env2, NULL, NULL, &s, &err), err, PIXL_E_INVALID);
}

static void test_dotenv__values_as_they_stand(void)
{
    static const struct { const char *line, *value; } rows[] = {
        { "A=1",                 "1" },
        { " A = 1 ",             "1" },
        { "export A=1",          "1" },
        { "export\tA=1\r",       "1" },
        { "A=a b c",             "a b c" },
        { "A=x # comment",       "x" },
        { "A=x#y",               "x#y" },
        { "A=#pw",               "#pw" },
        { "A= # comment",        "" },
        { "A=",                  "" },
        { "A=a=b",               "a=b" },
        { "A='a # b'",           "a # b" },
        { "A='a\\nb' # c",       "a\\nb" },
        { "A=\"a\\\"b\\\\c\\$d\\te\"", "a\"b\\c$d\te" },
        { "A=\"it's\"",          "it's" },
        { "A=it's",              "it's" },
        { "A=''",                "" },
        { "\xEF\xBB\xBF" "A=1",  "1" },
        { "exported=1",          "1" },
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        test_row("%s", rows[i].line);
        struct arena a;
        arena_init(&a, 1024 * 1024);
        const struct dotenv_line *lines = NULL;
        size_t n = 0;
        struct pixl_error err = { 0 };
        CHECK_OK(dotenv_parse(&a, ".env", str_of(rows[i].line), NULL, &lines, &n, &err), err);
        CHECK_INT(n, 1);
        if (n == 1)
            CHECK_STR(str_of(lines[0].value), rows[i].value);
        arena_done(&a);
    }
}

static void test_dotenv__hostile_text_is_refused(void)
{
    struct arena a;
    arena_init(&a, 64 * 1024 * 1024);
    const struct dotenv_line *lines = NULL;
    size_t n = 4711;
    struct pixl_error err = { 0 };
    CHECK_FAILS(dotenv_parse(&a, ".env", STR("A=1\nB=\0\n"), NULL, &lines, &n, &err), err, PIXL_E_INVALID);
    static char many[10000];
    memset(many, '\n', sizeof many);
    CHECK_FAILS(dotenv_parse(&a, ".env", (struct str){ many, sizeof many }, NULL, &lines, &n, &err), err, PIXL_E_LIMIT);
    CHECK(lines == NULL && n == 4711);
    CHECK_OK(dotenv_parse(&a, ".env", (struct str){ 0 }, NULL, &lines, &n, &err), err);
    CHECK_INT(n, 0);
    arena_done(&a);
}

int main(int argc, char **argv)
{
    static const struct test_case tests[] = {
        TEST(test_settings__defaults_stand_alone),
        TEST(test_settings__every_row_explains_itself),
        TEST(test_settings__nearer_places_win),
        TEST(test_settings__an_empty_value_is_none),
        TEST(test_settings__state_dir_is_put_in),
        TEST(test_settings__names_of_others_are_left_alone),
        TEST(test_settings__mistakes_name_their_place),
        TEST(test_settings__an_option_is_the_place),
        TEST(test_settings__all_mistakes_are_told_together),
        TEST(test_settings__twice_on_the_command_line_is_refused),
        TEST(test_settings__numbers_are_read_exactly),
        TEST(test_settings__passwords_are_not_shown),
        TEST(test_settings__older_variables_stand_for_urls),
        TEST(test_settings__log_levels_of_the_older_system),
        TEST(test_settings__a_dotenv_that_cannot_be_read_is_an_error),
        TEST(test_settings__a_very_long_text_is_refused),
        TEST(test_dotenv__values_as_they_stand),
        TEST(test_dotenv__hostile_text_is_refused),
    };
    return test_main(argc, argv, tests, ARRAY_LEN(tests));
}
