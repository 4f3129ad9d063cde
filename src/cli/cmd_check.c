/* cmd_check.c - `pixl check`: would a run work? */
#include <stdio.h>

#include "base/clock.h"
#include "cli/cli.h"
#include "cli/show.h"
#include "pipeline/check.h"

static void print_line(void *ctx, const struct check_line *l)
{
    json_t *list = ctx;
    if (list != NULL) {
        (void)json_array_append_new(list, json_pack("{s:s, s:o, s:s, s:s, s:s?}", "check", l->what, "project",
                                                    l->project.n ? json_stringn(l->project.p, l->project.n) : json_null(),
                                                    "result", check_result_name(l->result), "text", l->text, "remedy", l->remedy));
        return;
    }
    printf("%-5s %s%s%.*s: %s\n", check_result_name(l->result), l->what, l->project.n ? " of " : "", STR_ARG(l->project), l->text);
    if (l->remedy != NULL)
        printf("      -> %s\n", l->remedy);
}

static enum cli_exit run(struct cli *c, struct pixl_error *err)
{
    json_t *list = c->json ? json_array() : NULL;
    enum check_result worst;
    const struct check_options o = {
        .project = str_of(cli_value(c, "--project")), .now_us = clock_wall_us(), .built_us = (int64_t)PIXL_BUILT_S * 1000000,
        .line = print_line, .ctx = list,
    };
    bool ok = check_site(&c->settings, &o, &worst, err);
    if (ok && c->json)
        show_json(json_pack("{s:s, s:O}", "result", check_result_name(worst), "lines", list));
    json_decref(list);
    return !ok || worst == CHECK_BAD ? CLI_FAILED : worst == CHECK_AWAY ? CLI_AGAIN : CLI_DONE;
}

static const struct cli_option check_options[] = {
    { "--archive", "URL",  "PIXL_ARCHIVE_URL", "the archive that the run will be given" },
    { "--project", "SLUG", NULL,               "only this project" },
};
const struct cli_command cli_check = {
    .name = "check", .summary = "would a run work? a line for each thing that it needs, and what to do",
    .usage = "[--project SLUG] [--archive URL]",
    .text = "Looks at the state directory and its disk, the lock, the clock, the store, the hashing key, the archives, the queue, and\n"
            "for each project at its file, its salt and its destinations. Nothing is made or changed, but one small file that is written\n"
            "to each destination and removed. May be asked at any time, also while a run is on.\n"
            "Each line begins with ok, skip (not asked, the line says why), away (not there just now) or BAD.\n"
            "Exit codes: 0 all is well, 1 something is bad, 75 something is away, 2 the settings cannot be read.",
    .options = check_options, .n_options = ARRAY_LEN(check_options), .min_args = 0, .max_args = 0, .needs_settings = true, .run = run,
};
