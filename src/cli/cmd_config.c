/* cmd_config.c - `pixl config new|check|show`, and shell completion from the command tables. */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/count.h"
#include "base/fs.h"
#include "cli/cli.h"
#include "cli/show.h"
#include "config/new_project.h"
#include "config/project.h"
#include "config/shipped.h"
#include "deid/deid.h"
#include "secrets/secrets.h"
#include "upload/upload.h"

struct check {
    int problems, warnings, files;
    json_t *list, *warned;               /* NULL: to stdout */
    json_t *told;                        /* what was said, each with the folder of its files: projects share lists */
    struct str folder;                   /* of the file that is checked */
    struct secrets *secrets;             /* NULL: they are not looked for */
    const char *hash_key_name;
    json_t *found;                       /* of each secret; NULL: to stdout */
    int missing;
};

/* What is wrong with a list of tag operations is found again by every project that names it. */
static bool is_told(struct check *k, const char *text)
{
    char key[6000];
    (void)snprintf(key, sizeof key, "%.*s: %s", STR_ARG(k->folder), text);
    if (json_object_get(k->told, key) != NULL)
        return true;
    (void)json_object_set_new(k->told, key, json_true());
    return false;
}

static void say(struct check *k, const char *text, json_t *list, int *n)
{
    if (is_told(k, text))
        return;
    ++*n;
    if (list != NULL)
        (void)json_array_append_new(list, json_string(text));
    else
        printf("%s\n", text);
}

static void say_problem(void *ctx, const char *problem)
{
    struct check *k = ctx;
    say(k, problem, k->list, &k->problems);
}

static void say_warning(void *ctx, const char *warning)
{
    struct check *k = ctx;
    say(k, warning, k->warned, &k->warnings);
}

/* A run waits for a destination that is not there, and never makes one: a share may not be mounted. */
static void check_destination(struct check *k, const struct project *p)
{
    bool is_used = p->dicom_destination == PROJECT_TO_DIRECTORY || p->parquet_destination == PROJECT_TO_DIRECTORY;
    char text[1200];
    if (!is_used || p->destination_directory == NULL || fs_is_dir(p->destination_directory))
        return;
    (void)snprintf(text, sizeof text, "%s: warning: destination.directory %.900s is not there: a run would wait for it",
                   strrchr(p->path, '/') ? strrchr(p->path, '/') + 1 : p->path, p->destination_directory);
    say_warning(k, text);
}

/* Says whether a secret is there, or why that is not known; never anything of its value. */
static void look_for_secret(struct check *k, const struct project *p, struct str name, const char *use)
{
    secret_auto value = { 0 };
    struct pixl_error err = { 0 };
    const char *state = "there";
    if (!secrets_get(k->secrets, name, &value, &err)) {
        state = err.code == PIXL_E_NOT_FOUND ? "missing" : err.msg;
        k->missing++;
    }
    if (k->list != NULL)
        (void)json_array_append_new(k->found, json_pack("{s:s%, s:s%, s:s, s:s}", "project", p->slug.p, p->slug.n, "secret", name.p,
                                                        name.n, "use", use, "state", state));
    else
        printf("%.*s: %s, secret %.*s: %s\n", STR_ARG(p->slug), use, STR_ARG(name), state);
}

static void check_secrets(struct check *k, const struct project *p)
{
    look_for_secret(k, p, str_of(k->hash_key_name), "hashing key");
    look_for_secret(k, p, p->slug, "salt");
    for (int parquet = 0; parquet < 2; parquet++) {
        const char *const *names = upload_secrets(p, parquet != 0);
        if (parquet != 0 && names == upload_secrets(p, false))
            break;
        for (; *names != NULL; names++) {
            char name[256];
            int n = snprintf(name, sizeof name, "%.*s--%s", STR_ARG(p->secrets_prefix), *names);
            look_for_secret(k, p, (struct str){ name, n < (int)sizeof name ? (size_t)n : sizeof name - 1 }, "destination");
        }
    }
}

/* The file by itself, then its rules compiled: some mistakes only show against the dictionary. */
static void check_file(struct check *k, const char *path)
{
    const char *slash = strrchr(path, '/');
    k->files++;
    k->folder = (struct str){ path, slash != NULL ? (size_t)(slash - path) : 0 };
    if (!project_check_file(path, say_problem, k))
        return;
    project_auto *p = NULL;
    struct deid_policy *policy = NULL;
    struct pixl_error err = { 0 };
    if (!project_load_file(path, &p, &err) || !deid_policy_new(p, &policy, &err))
        say_problem(k, err.msg);
    else {
        project_warn(p, say_warning, k);
        deid_policy_warn(p, say_warning, k);
    }
    if (policy != NULL)
        check_destination(k, p);
    if (policy != NULL && k->secrets != NULL)
        check_secrets(k, p);
    deid_policy_free(policy);
}

/* A path, or what a project is called everywhere else. */
static void check_named(struct check *k, const char *dir, const char *name)
{
    char path[4096];
    bool is_slug = strchr(name, '/') == NULL && !fs_exists(name);
    const char *end = strrchr(name, '.') != NULL ? "" : ".yaml";
    if (is_slug && snprintf(path, sizeof path, "%s/%s%s", dir, name, end) < (int)sizeof path)
        check_file(k, path);
    else
        check_file(k, name);
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

static bool check_files(struct cli *c, struct check *k, struct pixl_error *err)
{
    if (c->n_args <= 1)
        return check_all(k, c->settings.project_configs_dir, err);
    for (int i = 1; i < c->n_args; i++)
        check_named(k, c->settings.project_configs_dir, c->args[i]);
    return true;
}

static enum cli_exit check(struct cli *c, struct pixl_error *err)
{
    struct check k = { .hash_key_name = c->settings.hash_key_name };
    bool looks = cli_value(c, "--secrets") != NULL;
    if (looks && !secrets_open(c->settings.secrets_url, &c->settings, &k.secrets, err))
        return CLI_FAILED;
    k.told = json_object();
    k.list = c->json ? json_array() : NULL;
    k.warned = c->json ? json_array() : NULL;
    k.found = c->json ? json_array() : NULL;
    bool ok = check_files(c, &k, err);
    if (ok && c->json)
        show_json(json_pack("{s:i, s:O, s:O, s:O*}", "files", k.files, "warnings", k.warned, "problems", k.list,
                            "secrets", looks ? k.found : NULL));
    else if (ok)
        printf("%d %s, %d %s, %d %s\n", k.files, count_word(k.files, "project file", "project files"), k.problems,
               count_word(k.problems, "problem", "problems"), k.warnings,
               count_word(k.warnings, "warning", "warnings"));
    if (ok && looks && !c->json)
        printf("%d %s missing in %s\n", k.missing, count_word(k.missing, "secret", "secrets"),
               secrets_place(k.secrets));
    json_decref(k.told);
    json_decref(k.warned);
    json_decref(k.list);
    json_decref(k.found);
    secrets_close(k.secrets);
    return !ok || k.problems > 0 || k.missing > 0 ? CLI_FAILED : CLI_DONE;
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

/* --- new ---------------------------------------------------------------------------------------------------------- */

struct written {
    json_t *list;    /* NULL: to stdout */
    char text[4096]; /* the last one, which is the project's own */
};

static void say_file(void *ctx, const char *path, bool is_new)
{
    struct written *w = ctx;
    (void)snprintf(w->text, sizeof w->text, "%s", path);
    if (w->list != NULL)
        (void)json_array_append_new(w->list, json_pack("{s:s, s:b}", "path", path, "new", is_new));
    else
        printf("%s  %s\n", is_new ? "wrote" : "kept ", path);
}

/* --destination as an absolute path; it is the operator's to make. */
static bool destination_path(const struct cli *c, struct buf *out, const char **path, struct pixl_error *err)
{
    const char *given = cli_value(c, "--destination");
    char here[4096];
    *path = NULL;
    if (given == NULL)
        return true;
    if (given[0] == '\0')
        return pixl_fail(err, PIXL_E_INVALID, 0, "--destination names no folder");
    if (given[0] != '/' && getcwd(here, sizeof here) == NULL)
        return pixl_fail_errno(err, errno, "the folder that --destination is relative to");
    if (given[0] != '/')
        (void)buf_addf(out, "%s/", strcmp(here, "/") == 0 ? "" : here);
    if (!buf_add_cstr(out, given))
        return pixl_fail(err, PIXL_E_NOMEM, 0, "--destination");
    *path = buf_cstr(out);
    return true;
}

static void say_next(const struct cli *c, const struct written *w, const char *directory)
{
    if (directory != NULL && !fs_is_dir(directory))
        printf("note: %s is not there yet; make it before the first run\n", directory);
    if (directory == NULL)
        printf("note: no --destination was given: images and tables will stay with pixl\n");
    printf(
        "next: look through %s, then\n    pixl config check --configs %s\n    pixl run COHORT --archive directory:DIR "
        "--configs %s\n",
        w->text, c->settings.project_configs_dir, c->settings.project_configs_dir);
}

static enum cli_exit new_files(struct cli *c, struct pixl_error *err)
{
    const char *modalities = cli_value(c, "--modality"), *name = cli_value(c, "--name"), *directory;
    const char *configs = c->settings.project_configs_dir;
    struct written w = { .list = NULL };
    buf_auto path;
    buf_init(&path, 16384);
    if (c->n_args != 2 || modalities == NULL) {
        pixl_fail(err, PIXL_E_INVALID, 0,
                  c->n_args != 2 ? "config new wants the name of one project"
                                 : "config new wants --modality; `pixl config --help` lists what there is");
        return CLI_FAILED;
    }
    if (!destination_path(c, &path, &directory, err))
        return CLI_FAILED;
    const struct new_project p = {
        .project = str_of(c->args[1]),
        .name = str_of(name),
        .modalities = str_of(modalities),
        .directory = directory,
    };
    w.list = c->json ? json_array() : NULL;
    /* No identity and no secret stands there, and who writes projects is often not the user of the services. */
    (void)umask(022);
    bool ok = new_project_write(configs, &p, say_file, &w, err);
    if (!ok && err->code == PIXL_E_DENIED)
        pixl_wrap(err, "%s", configs);
    if (ok && c->json)
        show_json(json_pack("{s:s, s:O}", "project", w.text, "files", w.list));
    else if (ok)
        say_next(c, &w, directory);
    json_decref(w.list);
    return ok ? CLI_DONE : CLI_FAILED;
}

static void list_modalities(FILE *to)
{
    size_t n;
    const struct shipped_modality *all = shipped_modalities(&n);
    (void)fprintf(to, "\nmodalities (by a list's name, or by the code of one):\n");
    for (size_t i = 0; i < n; i++)
        (void)fprintf(to, "  %-13s %-32s %s\n", all[i].name, all[i].codes, all[i].about);
}

static void complete_modalities(FILE *to)
{
    size_t n;
    const struct shipped_modality *all = shipped_modalities(&n);
    for (size_t i = 0; i < n; i++)
        (void)fprintf(to, "%s ", all[i].name);
    for (size_t i = 0; i < n; i++)
        if (i == 0 || strcmp(all[i].codes, all[i - 1].codes) != 0)
            (void)fprintf(to, "%s ", all[i].codes);
}

static const struct cli_option config_options[] = {
    { "--modality", "WORD,...", NULL, "new: what images the project has (see below); may be given again" },
    { "--name", "TEXT", NULL, "new: the project's name, where it is not PROJECT" },
    { "--destination", "DIR", NULL, "new: the folder that images and tables go to" },
    { "--secrets", NULL, NULL, "check: say of each project's keys and passwords whether they are there" },
};

static enum cli_exit run(struct cli *c, struct pixl_error *err)
{
    const char *word = c->args[0];
    bool is_new = strcmp(word, "new") == 0, is_check = strcmp(word, "check") == 0;
    for (size_t i = 0; i < ARRAY_LEN(config_options); i++) {
        bool is_of_check = strcmp(config_options[i].name, "--secrets") == 0;
        if (cli_value(c, config_options[i].name) != NULL && !(is_of_check ? is_check : is_new)) {
            pixl_fail(err, PIXL_E_INVALID, 0, "%s is for config %s only", config_options[i].name, is_of_check ? "check" : "new");
            return CLI_FAILED;
        }
    }
    if (is_new)
        return new_files(c, err);
    if (is_check)
        return check(c, err);
    if (strcmp(word, "show") == 0 && c->n_args == 1)
        return show(c);
    pixl_fail(err, PIXL_E_INVALID, 0, "config knows `new PROJECT`, `check [FILE...]` and `show`");
    return CLI_FAILED;
}

const struct cli_command cli_config = {
    .name = "config",
    .summary = "make a project; check project files; show the settings in force",
    .usage = "new PROJECT --modality WORD | check [FILE...] [--secrets] | show",
    .text = "new: writes PROJECT.yaml, commented, and the shipped tag operation lists that it names; changes no file "
            "that is there.\n"
            "check: every problem of the project files (default: all of the configs folder) and of the tag operations "
            "they name,\n"
            "as file:line:column; with --secrets also which of the keys and passwords of each project are there (exit 1 when one "
            "is not),\nnever a value. show: every setting, its value (secrets as ***) and where it came from.",
    .words = "new check show",
    .list_option = "--modality",
    .complete = complete_modalities,
    .options = config_options,
    .n_options = ARRAY_LEN(config_options),
    .help = list_modalities,
    .min_args = 1,
    .max_args = 16,
    .needs_settings = true,
    .run = run,
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
        printf("%s';;\n", cli_commands[i]->words ? cli_commands[i]->words : "");
    }
    printf("    *) words='");
    for (size_t i = 0; i < cli_commands_count; i++)
        if (!cli_commands[i]->is_hidden)
            printf("%s ", cli_commands[i]->name);
    printf("--version';;\n    esac\n    words+=' ");
    for (size_t i = 0; i < cli_common_options_count; i++)
        printf("%s ", cli_common_options[i].name);
    printf("'\n    case ${COMP_WORDS[1]}${COMP_WORDS[COMP_CWORD-1]} in\n");
    for (size_t i = 0; i < cli_commands_count; i++)
        if (cli_commands[i]->complete != NULL) {
            printf("    %s%s) words='", cli_commands[i]->name, cli_commands[i]->list_option);
            cli_commands[i]->complete(stdout);
            printf("';;\n");
        }
    printf("    esac\n    COMPREPLY=($(compgen -o default -W \"$words\" -- "
           "\"${COMP_WORDS[COMP_CWORD]}\"))\n}\ncomplete -o default -F _pixl pixl\n");
    return CLI_DONE;
}

const struct cli_command cli_completion = {
    .name = "completion", .summary = "a bash completion script", .usage = "",
    .text = "Prints the script; `source <(pixl completion)` uses it.", .min_args = 0, .max_args = 0, .run = completion,
};
