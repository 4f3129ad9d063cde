/* cmd_reports.c - `pixl reports load`. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/count.h"
#include "cli/cli.h"
#include "cli/show.h"
#include "export/report_load.h"

enum { TOLD_MAX = 50 };

/* What the callbacks share. */
struct talk {
    struct show_progress progress; /* first: show_step takes it as its ctx */
    const char *file;
    int64_t told;
};

static void tell(void *ctx, uint64_t line, const char *what)
{
    struct talk *t = ctx;
    show_end_line(&t->progress);
    if (++t->told <= TOLD_MAX)
        (void)fprintf(stderr, "%s:%" PRIu64 ": %s\n", t->file, line, what);
    else if (t->told == TOLD_MAX + 1)
        (void)fprintf(stderr, "... (more such rows are counted, not listed)\n");
}

static void say_rows(void *ctx, int64_t rows)
{
    show_step(ctx, RUN_READING_REPORTS, rows, 0);
}

static void show_loaded(const struct report_load_counts *n, bool dry, bool json)
{
    if (json) {
        show_json(json_pack("{s:b, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "dry_run", dry, "rows",
                            (json_int_t)n->rows, "new", (json_int_t)n->added, "replaced", (json_int_t)n->replaced,
                            "same", (json_int_t)n->same, "taken_away", (json_int_t)n->taken_away, "without_text",
                            (json_int_t)n->without_text, "withheld", (json_int_t)n->withheld, "never_asked",
                            (json_int_t)n->never_asked, "refused", (json_int_t)n->refused, "several_patients",
                            (json_int_t)n->several_patients));
        return;
    }
    printf("%s%lld %s, %lld refused: %lld new %s, %lld replaced, %lld known before, %lld taken away, %lld "
           "without text\n",
           dry ? "(dry run, nothing was changed) " : "", (long long)n->rows, count_word(n->rows, "row", "rows"),
           (long long)n->refused, (long long)n->added, count_word(n->added, "report", "reports"),
           (long long)n->replaced, (long long)n->same, (long long)n->taken_away, (long long)n->without_text);
    if (n->withheld > 0)
        printf("  %lld %s, and the text was not kept\n", (long long)n->withheld,
               count_word(n->withheld, "report holds an identity: it is withheld",
                          "reports hold an identity: they are withheld"));
    if (n->never_asked > 0)
        printf("  %lld %s not loaded\n", (long long)n->never_asked,
               count_word(n->never_asked, "row is of a procedure that was never asked for: it was",
                          "rows are of procedures that were never asked for: they were"));
    if (n->several_patients > 0)
        printf("  %lld %s of procedures that the cohort has under several MRNs: is each procedure one patient's?\n",
               (long long)n->several_patients, count_word(n->several_patients, "report is", "reports are"));
}

static enum cli_exit reports(struct cli *c, struct pixl_error *err)
{
    site_auto *s = NULL;
    struct talk t = { .file = c->n_args > 1 ? c->args[1] : "" };
    struct report_load_counts n;
    if (strcmp(c->args[0], "load") != 0 || c->n_args != 2) {
        pixl_fail(err, PIXL_E_INVALID, 0, "reports knows `load FILE`");
        return CLI_FAILED;
    }
    const struct report_load_options o = {
        .path = c->args[1],
        .temp_dir = c->settings.temp_dir,
        .project = str_of(cli_value(c, "--project")),
        .extract_time = str_of(cli_value(c, "--extract")),
        .now_us = clock_wall_us(),
        .dry_run = cli_value(c, "--dry-run") != NULL,
        .tell = tell,
        .progress = say_rows,
        .ctx = &t,
    };
    show_progress_init(&t.progress);
    if (!site_open(&c->settings, SITE_STORE | SITE_LOOKS, &s, err))
        return CLI_FAILED;
    bool ok = report_load(site_store(s), &o, &n, err);
    show_end_line(&t.progress);
    if (!ok)
        return CLI_FAILED;
    show_loaded(&n, o.dry_run, c->json);
    return n.refused > 0 || n.withheld > 0 ? CLI_FAILED : CLI_DONE;
}

static const struct cli_option reports_options[] = {
    { "--project", "SLUG", NULL, "the project of all rows (default: the column project_name, else the only project)" },
    { "--extract", "TIME", NULL,
      "the time of the extract (default: the column extract_datetime, else the project's newest)" },
    { "--dry-run", NULL, NULL, "tell what would be loaded; change nothing" },
};
const struct cli_command cli_reports = {
    .name = "reports",
    .summary = "load de-identified reports, to go out with the images",
    .usage = "load FILE [--project SLUG] [--extract TIME] [--dry-run]",
    .text =
        "FILE is a CSV or parquet file with the columns procedure_occurrence_id and image_report, and perhaps "
        "image_identifier,\n"
        "project_name, extract_datetime. The procedures must have been asked for (`pixl populate`). Loading again "
        "replaces the text of\n"
        "a procedure; a row without text takes its report away. A report that holds the medical record number, an "
        "accession number or\n"
        "a UID of its procedure's studies is withheld. The reports go out when tables are written next (`pixl run`,\n"
        "`pixl export-patient-data`).",
    .options = reports_options,
    .n_options = ARRAY_LEN(reports_options),
    .min_args = 1,
    .max_args = 2,
    .needs_settings = true,
    .run = reports,
};
