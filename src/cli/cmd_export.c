/* cmd_export.c - `pixl export-patient-data`. */
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/show.h"

static bool publish_project(struct site *s, struct str project, struct arena *a, struct publish_extract **out,
                            size_t *n, struct pixl_error *err)
{
    if (!publish_extracts(s, &project, 1, a, out, n, err))
        return false;
    return *n > 0 ||
           pixl_fail(err, PIXL_E_NOT_FOUND, 0, "no study was asked for in a project '%.*s'", STR_ARG(project));
}

static bool publish_one_folder(struct site *s, const char *folder, struct str project, struct arena *a,
                               struct publish_extract **out, size_t *n, struct pixl_error *err)
{
    struct publish_extract *e = arena_calloc(a, 1, sizeof *e);
    if (e == NULL)
        return pixl_fail(err, PIXL_E_NOMEM, 0, "extract");
    *out = e;
    *n = 1;
    return publish_folder(s, folder, project, a, e, err);
}

static enum cli_exit exit_of(const struct publish_extract *e, size_t n)
{
    bool again = false;
    for (size_t i = 0; i < n; i++) {
        again = again || !e[i].delivered;
        for (size_t k = 0; k < STUDY_STATE_COUNT; k++)
            again = again || e[i].counts.open[k] > 0;
    }
    return again ? CLI_AGAIN : CLI_DONE;
}

static enum cli_exit export(struct cli *c, struct pixl_error *err) {
    site_auto *s = NULL; struct str project = str_of(cli_value(c, "--project")); struct publish_extract *e = NULL;
    size_t n = 0; struct arena a; if (c->n_args == 0 && project.n == 0){
        pixl_fail(err, PIXL_E_INVALID, 0,
                  "which extract? give the folder of an OMOP ES extract, or --project SLUG for all of a project");
        return CLI_FAILED; }
if (!site_open(&c->settings, SITE_STORE | SITE_SECRETS | SITE_LOOKS, &s, err)) return CLI_FAILED;
arena_init(&a, (size_t)64 << 20);
enum cli_exit code = CLI_FAILED;
if (c->n_args == 0 ? publish_project(s, project, &a, &e, &n, err)
                   : publish_one_folder(s, c->args[0], project, &a, &e, &n, err)) {
    if (c->json)
        show_json(json_pack("{s:o}", "extracts", show_extracts_json(e, n)));
    else
        show_extracts(e, n);
    code = exit_of(e, n);
}
arena_done(&a);
return code;
}

static const struct cli_option export_options[] = {
    { "--project", "SLUG", NULL, "all extracts of this project; with DIR: the project that its extract must have" },
    { "--local", NULL, NULL, "do the work in this process and ask no export API; the default" },
};
const struct cli_command cli_export = {
    .name = "export-patient-data",
    .summary = "write the tables of an extract and bring them to their destination",
    .usage = "[DIR] [--project SLUG] [--local]",
    .text = "DIR is the folder of an OMOP ES extract that was populated before: extract_summary.json names its project "
            "and time. Its public\n"
            "files, the links from procedures to studies, the outcome of every row, and the reports are written below "
            "the exports folder and\n"
            "brought to the project's parquet destination. `pixl run` does this at its end; here it may be done at any "
            "time, also while a run\n"
            "is on: the tables are of one moment. The exit code is 75 while some of their rows are still open, or when "
            "they did not arrive.",
    .options = export_options,
    .n_options = ARRAY_LEN(export_options),
    .min_args = 0,
    .max_args = 1,
    .needs_settings = true,
    .run = export,
};
