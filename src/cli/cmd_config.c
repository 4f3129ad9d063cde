/* cmd_config.c - `pixl config check|show`, and shell completion from the command tables. */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/show.h"
#include "config/project.h"
#include "deid/deid.h"

struct check {
    int problems, warnings, files;
    json_t *list;                        /* NULL: to stdout */
};

static void say_problem(void *ctx, const char *problem)
{
    struct check *k = ctx;
    k->problems++;
    if (k->list != NULL)
        (void)json_array_append_new(k->list, json_string(problem));
    else
        printf("%s\n", problem);
}

static void say_warning(void *ctx, const char *warning)
{
    struct check *k = ctx;
    k->warnings++;
    if (k->list == NULL)
        printf("%s\n", warning);
}

/* The file by itself, then its rules compiled: some mistakes only show against the dictionary. */
static void check_file(struct check *k, const char *path)
{
    k->files++;
    if (!project_check_file(path, say_problem, k))
        return;
    project_auto *p = NULL;
    struct deid_policy *policy = NULL;
    struct pixl_error err = { 0 };
    if (!project_load_file(path, &p, &err) || !deid_policy_new(p, &policy, &err))
        say_problem(k, err.msg);
    else
        deid_policy_warn(p, say_warning, k);
    deid_policy_free(policy);
}


/* Every *.yaml of the configs folder, by name. */
static bool check_all(struct check *k, const char *dir, struct pixl_error *err)
{
    struct dirent **names = NULL;
    int n = scandir(dir, &names, NULL, alphasort);
    if (n < 0)
        return pixl_fail_errno(err, errno, "configs folder %s", dir);
    for (int i = 0; i < n; i++) {
        const char *dot = strrchr(names[i]->d_name, '.');
        char path[4096];
        if (names[i]->d_name[0] != '.' && dot != NULL && strcmp(dot, ".yaml") == 0 &&
            snprintf(path, sizeof path, "%s/%s", dir, names[i]->d_name) < (int)sizeof path)
            check_file(k, path);
        free(names[i]);
    }
    free(names);
    return true;
}

static enum cli_exit check(struct cli *c, struct pixl_error *err)
{
    struct check k = { .list = c->json ? json_array() : NULL };
    bool ok = true;
    if (c->n_args > 1)
        for (int i = 1; i < c->n_args; i++)
            check_file(&k, c->args[i]);
    else
        ok = check_all(&k, c->settings.project_configs_dir, err);
    if (ok && c->json)
        show_json(json_pack("{s:i, s:i, s:O}", "files", k.files, "warnings", k.warnings, "problems", k.list));
    else if (ok)
        printf("%d project files, %d problems, %d warnings\n", k.files, k.problems, k.warnings);
    json_decref(k.list);
    return !ok ? CLI_FAILED : k.problems > 0 ? CLI_FAILED : CLI_DONE;
}

static enum cli_exit show(struct cli *c)
{
    json_t *all = c->json ? json_object() : NULL;
    for (size_t i = 0; i < settings_options_count; i++) {
        const char *source;
        struct str value = settings_show(&c->settings, i, &source);
        if (all != NULL)
            (void)json_object_set_new(all, settings_options[i].name,
                                      json_pack("{s:s%, s:s}", "value", value.n ? value.p : "", value.n, "from", source));
        else
            printf("%-28s %-40.*s %s\n", settings_options[i].name, STR_ARG(value), source);
    }
    if (all != NULL)
        show_json(all);
    return CLI_DONE;
}

static enum cli_exit run(struct cli *c, struct pixl_error *err)
{
    if (strcmp(c->args[0], "check") == 0)
        return check(c, err);
    if (strcmp(c->args[0], "show") == 0 && c->n_args == 1)
        return show(c);
    pixl_fail(err, PIXL_E_INVALID, 0, "config knows `check [FILE...]` and `show`");
    return CLI_FAILED;
}

const struct cli_command cli_config = {
    .name = "config", .summary = "check project files; show the settings in force", .usage = "check [FILE...] | show",
    .text = "check: every problem of the project files (default: all of the configs folder) and of the tag operations they name,\n"
            "as file:line:column. show: every setting, its value (secrets as ***) and where it came from.",
    .min_args = 1, .max_args = 16, .needs_settings = true, .run = run,
};

/* --- completion --------------------------------------------------------------------------------------------------- */

static enum cli_exit completion(struct cli *c, struct pixl_error *err)
{
    (void)c;
    (void)err;
    printf("# bash completion for pixl: source <(pixl completion)\n_pixl() {\n    local words\n    case ${COMP_WORDS[1]} in\n");
    for (size_t i = 0; i < cli_commands_count; i++) {
        printf("    %s) words='", cli_commands[i]->name);
        for (size_t k = 0; k < cli_commands[i]->n_options; k++)
            printf("%s ", cli_commands[i]->options[k].name);
        printf("';;\n");
    }
    printf("    *) words='");
    for (size_t i = 0; i < cli_commands_count; i++)
        if (!cli_commands[i]->is_hidden)
            printf("%s ", cli_commands[i]->name);
    printf("--version';;\n    esac\n    words+=' ");
    for (size_t i = 0; i < cli_common_options_count; i++)
        printf("%s ", cli_common_options[i].name);
    printf("'\n    COMPREPLY=($(compgen -o default -W \"$words\" -- \"${COMP_WORDS[COMP_CWORD]}\"))\n}\ncomplete -o default -F _pixl pixl\n");
    return CLI_DONE;
}

const struct cli_command cli_completion = {
    .name = "completion", .summary = "a bash completion script", .usage = "",
    .text = "Prints it; `source <(pixl completion)` uses it.", .min_args = 0, .max_args = 0, .run = completion,
};
