/* cli.h - the command line as tables: a row per command, a row per option; parsing, help, completion and main() read the same rows.
 *
 * Results go to stdout, talk to stderr; --json where a machine may read.  Only main prints errors and ends the process.
 * Owns: nothing.  Never: holds logic that another front end would want. */
#ifndef PIXL_CLI_CLI_H
#define PIXL_CLI_CLI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "base/error.h"
#include "config/settings.h"

/* What a command's run() returns; the process ends with it. */
enum cli_exit {
    CLI_DONE   = 0,              /* all ended and none failed */
    CLI_FAILED = 1,              /* some failed, or the command itself */
    CLI_USAGE  = 2,
    CLI_AGAIN  = 75,             /* work is left, or somebody else is at it: try again (EX_TEMPFAIL) */
};

struct cli_option {
    const char *name;            /* "--archive" */
    const char *value;           /* "URL": takes a value; NULL: a flag */
    const char *setting;         /* the setting that it stands for; NULL: the command asks for it by cli_value() */
    const char *help;
};

struct cli;
struct cli_command {
    const char *name, *summary, *usage;      /* usage: what follows the name */
    const char *text;                        /* a paragraph for --help */
    const char *words;                       /* subcommands, for completion; NULL: none */
    const char *list_option;                 /* may be given again: its values come joined by ','; NULL: none may */
    void (*complete)(FILE *to);              /* writes what a shell may offer as its values, a blank behind each */
    void (*help)(FILE *to);                  /* what --help adds behind the options; NULL: nothing */
    const struct cli_option *options;
    size_t n_options;
    int min_args, max_args;
    bool needs_settings, is_hidden;
    bool is_supervised;                      /* runs in a child that is started again when it crashes */
    enum cli_exit (*run)(struct cli *c, struct pixl_error *err);     /* CLI_FAILED with err set: main prints it */
};

struct cli {
    const struct cli_command *command;
    struct settings settings;
    int n_args;
    const char *args[16];
    const char *values[32];      /* by index of the command's option, then of the common ones; "" for a flag that is there */
    char list[256];              /* the joined values of the list_option */
    bool json;
    int n_mistakes;              /* in the settings, told so far */
    const char *program;         /* path of this program, for children */
};

/* Value of an option of this command, NULL when it was not given. */
const char *cli_value(const struct cli *c, const char *name);

extern const struct cli_option cli_common_options[];
extern const size_t cli_common_options_count;

/* The commands, one file each. */
extern const struct cli_command cli_demo, cli_run, cli_worker, cli_check, cli_populate, cli_start, cli_update, cli_stop,
    cli_status, cli_failed, cli_retry, cli_trace, cli_imaging_api, cli_export_api, cli_reports, cli_export, cli_deid,
    cli_config, cli_check_env, cli_reference, cli_completion, cli_work_one;
extern const struct cli_command *const cli_commands[];
extern const size_t cli_commands_count;

#endif
