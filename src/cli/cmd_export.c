/* cmd_export.c - `pixl export-patient-data`: by itself, or through the export API. */
#include <stdio.h>
#include <string.h>

#include "base/fs.h"
#include "cli/cli.h"
#include "cli/projects.h"
#include "cli/show.h"
#include "http/api_client.h"

/* One whose studies were there before pixl has none that anybody asked for. */
static bool fail_no_extract(struct str project, struct pixl_error *err)
{
    return pixl_fail(err, PIXL_E_NOT_FOUND, 0, "no study was asked for in project '%.*s'", STR_ARG(project));
}

static bool publish_project(struct site *s, struct str project, struct arena *a, struct publish_extract **out,
                            size_t *n, struct pixl_error *err)
{
    return projects_check(s, project, err) && publish_extracts(s, &project, 1, false, a, out, n, err) &&
           (*n > 0 || fail_no_extract(project, err));
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

static enum cli_exit export_here(struct cli *c, struct site *s, struct str project, struct arena *a,
                                 struct pixl_error *err)
{
    struct publish_extract *e = NULL;
    size_t n = 0;
    if (!(c->n_args == 0 ? publish_project(s, project, a, &e, &n, err)
                         : publish_one_folder(s, c->args[0], project, a, &e, &n, err)))
        return CLI_FAILED;
    if (c->json)
        show_json(json_pack("{s:o}", "extracts", show_extracts_json(e, n)));
    else
        show_extracts(e, n);
    return exit_of(e, n);
}

/* --- through the API ------------------------------------------------------------------------------------------------ */

static bool ask_for(struct cli *c, struct str project, struct str time, int timeout_s, struct pixl_error *err)
{
    if (!api_export_patient_data(&c->settings, project, time, timeout_s, err))
        return false;
    if (!c->json)
        printf("%.*s, extract of %.*s: written and delivered by the export API\n", STR_ARG(project), STR_ARG(time));
    return true;
}

/* Its public files are copied here, where the folder is. */
static bool ask_for_folder(struct cli *c, struct site *s, struct str wanted, int timeout_s, struct pixl_error *err)
{
    cohort_auto *cohort = NULL;
    if (!fs_is_dir(c->args[0]))
        return pixl_fail(err, PIXL_E_INVALID, 0,
                         "%s is no folder of an OMOP ES extract (for the cohort of a CSV give --project SLUG)",
                         c->args[0]);
    if (!cohort_open(c->args[0], c->settings.temp_dir, &cohort, err))
        return false;
    if (wanted.n > 0 && !str_eq(wanted, cohort_project(cohort)))
        return pixl_fail(err, PIXL_E_INVALID, 0, "the extract is of project '%.*s'", STR_ARG(cohort_project(cohort)));
    return publish_public_files(s, cohort, err) &&
           ask_for(c, cohort_project(cohort), cohort_extract_time(cohort), timeout_s, err);
}

static bool ask_for_project(struct cli *c, struct site *s, struct str project, int timeout_s, struct arena *a,
                            struct pixl_error *err)
{
    struct str *times;
    size_t n;
    if (!projects_check(s, project, err) || !store_extract_times(site_store(s), project, a, &times, &n, err))
        return false;
    if (n == 0)
        return fail_no_extract(project, err);
    for (size_t i = 0; i < n; i++)
        if (!ask_for(c, project, times[i], timeout_s, err))
            return false;
    return true;
}

static enum cli_exit export_by_api(struct cli *c, struct site *s, struct str project, int timeout_s, struct arena *a,
                                   struct pixl_error *err)
{
    if (!(c->n_args == 0 ? ask_for_project(c, s, project, timeout_s, a, err)
                         : ask_for_folder(c, s, project, timeout_s, err)))
        return CLI_FAILED;
    if (c->json)
        show_json(json_pack("{s:b}", "delivered", 1));
    return CLI_DONE;
}

static enum cli_exit export_patient_data(struct cli *c, struct pixl_error *err)
{
    site_auto *s = NULL;
    const struct str project = str_of(cli_value(c, "--project"));
    const char *timeout = cli_value(c, "--timeout");
    int64_t timeout_s = 300;
    struct arena a;
    if (c->n_args == 0 && project.n == 0) {
        pixl_fail(err, PIXL_E_INVALID, 0,
                  "which extract? give the folder of an OMOP ES extract, or --project SLUG for all of a project");
        return CLI_FAILED;
    }
    if (timeout != NULL && (!str_to_i64(str_of(timeout), &timeout_s) || timeout_s < 1 || timeout_s > 86400)) {
        pixl_fail(err, PIXL_E_INVALID, 0, "--timeout takes 1 to 86400 seconds");
        return CLI_FAILED;
    }
    if (!site_open(&c->settings, SITE_STORE | SITE_SECRETS | SITE_LOOKS, &s, err))
        return CLI_FAILED;
    arena_init(&a, (size_t)64 << 20);
    const bool here = cli_value(c, "--local") != NULL || !api_is_set(&c->settings, API_EXPORT);
    enum cli_exit code =
        here ? export_here(c, s, project, &a, err) : export_by_api(c, s, project, (int)timeout_s, &a, err);
    arena_done(&a);
    return code;
}

static const struct cli_option export_options[] = {
    { "--project", "SLUG", NULL, "all extracts of this project; with DIR: the project that its extract must have" },
    { "--local", NULL, NULL, "do the work in this process; the default unless PIXL_EXPORT_API_HOST is set" },
    { "--timeout", "S", NULL, "how long to wait for the export API (default 300)" },
};
const struct cli_command cli_export = {
    .name = "export-patient-data",
    .summary = "write the tables of an extract and bring them to their destination",
    .usage = "[DIR] [--project SLUG] [--local]",
    .text = "DIR is the folder of an OMOP ES extract that was populated before: extract_summary.json names its project "
            "and time. Its public\n"
            "files, the links from procedures to studies, the outcome of every row, and the reports are written below "
            "the exports folder and\n"
            "brought to the project's parquet destination. `pixl run` does this at its end for what has changed; here "
            "it may be "
            "done at any\n"
            "time, also while a run is on, and for what is unchanged: the tables are of one moment. The exit code is "
            "75 while some of their rows are still open, or when "
            "they did not arrive.\n"
            "Where PIXL_EXPORT_API_HOST is set, the public files are copied here, and the export API does the rest.",
    .options = export_options,
    .n_options = ARRAY_LEN(export_options),
    .min_args = 0,
    .max_args = 1,
    .needs_settings = true,
    .run = export_patient_data,
};
