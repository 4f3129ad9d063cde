/* main.c - finds the command, reads its options and the settings, runs it, prints its error, ends with its code. */
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"
#include "cli/cli.h"
#include "config/problems.h"
#include "pipeline/supervise.h"

extern char **environ;

const struct cli_command *const cli_commands[] = {
    &cli_demo,   &cli_run,    &cli_worker,    &cli_check,       &cli_populate,   &cli_start,   &cli_update, &cli_stop,
    &cli_status, &cli_failed, &cli_retry,     &cli_trace,       &cli_imaging_api, &cli_export_api, &cli_reports,
    &cli_export, &cli_deid,   &cli_config,    &cli_check_env,   &cli_reference,  &cli_completion, &cli_work_one,
};
const size_t cli_commands_count = ARRAY_LEN(cli_commands);

const struct cli_option cli_common_options[] = {
    { "--state-dir", "DIR", "PIXL_STATE_DIR",      "where the store, the spool and the keys are (default ./.pixl)" },
    { "--configs",   "DIR", "PROJECT_CONFIGS_DIR", "the projects' configuration files (default ./projects/configs)" },
    { "--exports",   "DIR", "HOST_EXPORT_ROOT_DIR", "where tables are written (default ./projects/exports)" },
    { "--log",       "LEVEL", "LOG_LEVEL",         "debug, info, warn, error or off" },
    { "--json",      NULL,  NULL,                  "results as JSON on stdout" },
    { "--help",      NULL,  NULL,                  "this text" },
};
const size_t cli_common_options_count = ARRAY_LEN(cli_common_options);

static void print_options(FILE *to, const struct cli_option *options, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        char left[64];
        (void)snprintf(left, sizeof left, "%s%s%s", options[i].name, options[i].value ? " " : "", options[i].value ? options[i].value : "");
        (void)fprintf(to, "  %-22s %s\n", left, options[i].help);
    }
}

static void print_help(FILE *to, const struct cli_command *c)
{
    if (c != NULL) {
        (void)fprintf(to, "usage: pixl %s %s\n\n%s\n", c->name, c->usage, c->text);
        if (c->n_options > 0) {
            (void)fprintf(to, "\noptions:\n");
            print_options(to, c->options, c->n_options);
        }
        (void)fprintf(to, "\ncommon options:\n");
        print_options(to, cli_common_options, cli_common_options_count);
        if (c->help != NULL)
            c->help(to);
        return;
    }
    (void)fprintf(to, "usage: pixl COMMAND [OPTIONS] ...\n\n"
                      "Takes imaging studies of a research cohort from a hospital archive, removes identity from them,\n"
                      "and delivers images and tables to a research environment.\n\ncommands:\n");
    for (size_t i = 0; i < cli_commands_count; i++)
        if (!cli_commands[i]->is_hidden)
            (void)fprintf(to, "  %-20s %s\n", cli_commands[i]->name, cli_commands[i]->summary);
    (void)fprintf(to, "\n`pixl COMMAND --help` tells more; `pixl --version` the version.\n"
                      "Exit codes: 0 all done, 1 some failed, 2 wrong usage or configuration, 75 work is left (run again).\n");
}

/* Where in c->values an option is kept, or -1. */
static int option_index(const struct cli_command *command, const char *name, const struct cli_option **out)
{
    for (size_t i = 0; i < command->n_options; i++)
        if (strcmp(command->options[i].name, name) == 0) {
            *out = &command->options[i];
            return (int)i;
        }
    for (size_t i = 0; i < cli_common_options_count; i++)
        if (strcmp(cli_common_options[i].name, name) == 0) {
            *out = &cli_common_options[i];
            return (int)(command->n_options + i);
        }
    return -1;
}

const char *cli_value(const struct cli *c, const char *name)
{
    const struct cli_option *ignored;
    int i = option_index(c->command, name, &ignored);
    return i < 0 ? NULL : c->values[i];
}

static bool usage_error(const struct cli_command *c, const char *what, const char *word)
{
    (void)fprintf(stderr, "pixl %s: %s%s%s\nusage: pixl %s %s\n(`pixl %s --help` tells more)\n", c->name, what, word ? " " : "", word ? word : "",
                  c->name, c->usage, c->name);
    return false;
}

/* Another value of an option that may have several. */
static bool join_value(struct cli *c, int at, const char *more)
{
    if (c->values[at] != c->list) {
        if (snprintf(c->list, sizeof c->list, "%s", c->values[at]) >= (int)sizeof c->list)
            return usage_error(c->command, "too long:", c->values[at]);
        c->values[at] = c->list;
    }
    size_t n = strlen(c->list);
    return snprintf(c->list + n, sizeof c->list - n, ",%s", more) < (int)(sizeof c->list - n) ||
           usage_error(c->command, "too many values, the last of them", more);
}

/* One option at argv[*i], "--name value" or "--name=value". */
static bool parse_option(struct cli *c, int argc, char **argv, int *i)
{
    char name[64];
    const char *text = argv[*i], *equals = strchr(text, '=');
    size_t n = equals ? (size_t)(equals - text) : strlen(text);
    if (n >= sizeof name)
        return usage_error(c->command, "unknown option", text);
    memcpy(name, text, n);
    name[n] = '\0';
    const struct cli_option *o;
    int at = option_index(c->command, name, &o);
    if (at < 0)
        return usage_error(c->command, "unknown option", name);
    bool is_list = c->command->list_option != NULL && strcmp(name, c->command->list_option) == 0;
    if (c->values[at] != NULL && !is_list)
        return usage_error(c->command, "given twice:", name);
    if (o->value == NULL && equals != NULL)
        return usage_error(c->command, "takes no value:", name);
    const char *value = "";
    if (o->value != NULL && equals == NULL && ++*i >= argc)
        return usage_error(c->command, "needs a value:", name);
    if (o->value != NULL)
        value = equals != NULL ? equals + 1 : argv[*i];
    if (c->values[at] != NULL)
        return join_value(c, at, value);
    c->values[at] = value;
    return true;
}

static bool parse_args(struct cli *c, int argc, char **argv)
{
    bool only_args = false;
    for (int i = 2; i < argc; i++) {
        if (!only_args && strcmp(argv[i], "--") == 0)
            only_args = true;
        else if (!only_args && strncmp(argv[i], "--", 2) == 0) {
            if (!parse_option(c, argc, argv, &i))
                return false;
        } else if (c->n_args < (int)ARRAY_LEN(c->args))
            c->args[c->n_args++] = argv[i];
        else
            return usage_error(c->command, "too many arguments", NULL);
    }
    c->json = cli_value(c, "--json") != NULL;
    if (cli_value(c, "--help") != NULL)
        return true;
    if (c->n_args < c->command->min_args)
        return usage_error(c->command, "an argument is missing", NULL);
    if (c->n_args > c->command->max_args)
        return usage_error(c->command, "too many arguments, the first of them", c->args[c->command->max_args]);
    return true;
}

/* A person mends them all at once. */
enum { MISTAKES_SHOWN = 20 };

static void say_problem(void *ctx, const char *problem)
{
    struct cli *c = ctx;
    if (c->n_mistakes++ < MISTAKES_SHOWN)
        (void)fprintf(stderr, "pixl %s: %s\n", c->command->name, problem);
}

/* Options that stand for settings become overrides, and go into the environment for children. */
static bool load_settings(struct cli *c, struct pixl_error *err)
{
    const size_t n = c->command->n_options + cli_common_options_count;
    char *overrides[ARRAY_LEN(c->values) + 1] = { NULL };
    size_t used = 0;
    bool ok = true;
    for (size_t i = 0; ok && i < n; i++) {
        const struct cli_option *o = i < c->command->n_options ? &c->command->options[i] : &cli_common_options[i - c->command->n_options];
        if (o->setting == NULL || c->values[i] == NULL)
            continue;
        ok = asprintf(&overrides[used], "%s %s=%s", o->name, o->setting, c->values[i]) >= 0;
        used += ok;
        if (!ok)
            pixl_fail(err, PIXL_E_NOMEM, 0, "options");
    }
    struct problems wrong = { .say = say_problem, .ctx = c };
    ok = ok && settings_load_all((const char *const *)environ, ".env", (const char *const *)overrides, &wrong,
                                 &c->settings, err);
    if (wrong.n > MISTAKES_SHOWN)
        (void)fprintf(stderr, "... and %zu more\n", wrong.n - MISTAKES_SHOWN);
    if (wrong.n > 0 && err->code == PIXL_E_INVALID)
        pixl_error_clear(err); /* they were said */
    for (size_t i = 0; i < used; i++) {
        char *name = strchr(overrides[i], ' ') + 1, *equals = strchr(name, '=');
        *equals = '\0';
        if (ok && setenv(name, equals + 1, 1) != 0)
            ok = pixl_fail(err, PIXL_E_NOMEM, 0, "options");
        free(overrides[i]);
    }
    if (ok && c->settings.time_zone != NULL && setenv("TZ", c->settings.time_zone, 1) != 0)
        ok = pixl_fail(err, PIXL_E_NOMEM, 0, "options");
    tzset();
    return ok;
}

/* No core dump of a process that held identities; nothing readable by others; a closed pipe is an error, not an end. */
static void protect(void)
{
    const struct rlimit none = { 0, 0 };
    (void)setrlimit(RLIMIT_CORE, &none);
    (void)prctl(PR_SET_DUMPABLE, 0);
    (void)umask(077);
    (void)signal(SIGPIPE, SIG_IGN);
}

static enum cli_exit run(struct cli *c)
{
    struct pixl_error err = { 0 };
    enum log_level level;
    if (c->command->needs_settings && !load_settings(c, &err)) {
        if (err.code != PIXL_OK)
            (void)fprintf(stderr, "pixl %s: %s\n", c->command->name, err.msg);
        return CLI_USAGE;
    }
    /* Someone at a terminal sees a progress line and a summary; events are for logs, or for who asks. */
    bool quiet = isatty(STDERR_FILENO) && getenv("LOG_LEVEL") == NULL;
    level = !c->command->needs_settings ? LOG_WARN : quiet ? LOG_OFF : c->settings.log_level;
    log_setup(level, STDERR_FILENO);
    enum cli_exit code = c->command->run(c, &err);
    if (err.code != PIXL_OK) {
        (void)fprintf(stderr, "pixl %s: %s\n", c->command->name, err.msg);
        if (code == CLI_FAILED)
            code = err.code == PIXL_E_INVALID || err.code == PIXL_E_NOT_FOUND ? CLI_USAGE : err.code == PIXL_E_BUSY || err.code == PIXL_E_UNAVAILABLE ||
                   err.code == PIXL_E_NO_SPACE ? CLI_AGAIN : CLI_FAILED;
    }
    if (fflush(stdout) != 0 || ferror(stdout)) {
        struct pollfd reader = { .fd = STDOUT_FILENO };
        if (poll(&reader, 1, 0) != 1 || (reader.revents & POLLERR) == 0) /* else: head has what it wants, and is gone */
            (void)fprintf(stderr, "pixl %s: the output could not be written\n", c->command->name);
        code = code == CLI_DONE ? CLI_FAILED : code;
    }
    if (c->command->needs_settings)
        settings_done(&c->settings);
    return code;
}

/* A study that crashes pixl is worked alone the second time: more crashes than this have another cause. */
enum { RESTARTS_MAX = 20 };

static int run_in_child(void *c)
{
    return (int)run(c);
}

static void say_crashed(int signal, int again)
{
    (void)fprintf(stderr, "\npixl: the work ended by signal %d%s\n", signal,
                  again ? "; it goes on, and takes the studies that were in hand alone" : " again and again; nothing is lost, but somebody must look");
}

int main(int argc, char **argv)
{
    protect();
    const char *word = argc > 1 ? argv[1] : "";
    if (strcmp(word, "--version") == 0) {
        printf("pixl %s\n", PIXL_VERSION);
        return CLI_DONE;
    }
    if (argc < 2 || strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0 || (strcmp(word, "help") == 0 && argc == 2)) {
        print_help(argc < 2 ? stderr : stdout, NULL);
        return argc < 2 ? CLI_USAGE : CLI_DONE;
    }
    struct cli c = { .program = "/proc/self/exe" };
    for (size_t i = 0; i < cli_commands_count; i++)
        if (strcmp(cli_commands[i]->name, word) == 0)
            c.command = cli_commands[i];
    if (c.command == NULL) {
        (void)fprintf(stderr, "pixl: there is no command '%s' (`pixl --help` lists them)\n", word);
        return CLI_USAGE;
    }
    if (!parse_args(&c, argc, argv))
        return CLI_USAGE;
    if (cli_value(&c, "--help") != NULL) {
        print_help(stdout, c.command);
        return CLI_DONE;
    }
    return c.command->is_supervised ? supervise(run_in_child, &c, RESTARTS_MAX, say_crashed) : (int)run(&c);
}
