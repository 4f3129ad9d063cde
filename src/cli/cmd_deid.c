/* cmd_deid.c - `pixl deid`: files or folders by a project's rules, without archive or store. */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/count.h"
#include "cli/cli.h"
#include "cli/show.h"
#include "pipeline/deid_files.h"

struct talk {
    struct show_progress progress;
    bool with_report; /* which tells what was left out by its number */
    long long n_skipped;
};

static void say_skipped(void *ctx, const char *path, enum study_reason why, const char *where)
{
    struct talk *t = ctx;
    char number[32] = "";
    show_end_line(&t->progress);
    t->n_skipped++;
    if (t->with_report)
        (void)snprintf(number, sizeof number, "%lld: ", t->n_skipped);
    buf_auto name; /* of a file: whatever somebody called it */
    buf_init(&name, 1 << 20);
    (void)buf_add_visible(&name, str_of(path));
    (void)fprintf(stderr, "%s%s: left out: %s%s%s\n", number, buf_cstr(&name), study_reason_name(why), where[0] ? " " : "", where);
}

static void say_progress(void *ctx, int64_t done, int64_t of)
{
    struct talk *t = ctx;
    if (done % 64 == 0)
        show_step(&t->progress, RUN_WORKING, done, of);
}

static int64_t skipped(const struct deid_files_counts *n)
{
    int64_t sum = 0;
    for (size_t i = 0; i < STUDY_REASON_COUNT; i++)
        sum += n->skipped_by[i];
    return sum;
}

static void show(const struct deid_files_counts *n, int64_t us, bool json)
{
    char size[32], time[32];
    if (json) {
        json_t *reasons = json_object();
        for (size_t i = 0; i < STUDY_REASON_COUNT; i++)
            if (n->skipped_by[i] > 0)
                (void)json_object_set_new(reasons, study_reason_name((enum study_reason)i), json_integer(n->skipped_by[i]));
        show_json(json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:o}", "files", (json_int_t)n->files, "not_dicom", (json_int_t)n->not_dicom,
                            "studies", (json_int_t)n->studies, "withheld_studies", (json_int_t)n->withheld_studies,
                            "written", (json_int_t)n->written, "bytes", (json_int_t)n->bytes, "skipped", reasons));
        return;
    }
    printf("%lld %s: %lld written (%s, %s), %lld left out, %lld no DICOM; %lld %s, %lld withheld\n",
           (long long)n->files, count_word(n->files, "file", "files"), (long long)n->written,
           show_bytes(n->bytes, size), show_duration(us, time), (long long)skipped(n), (long long)n->not_dicom,
           (long long)n->studies, count_word(n->studies, "study", "studies"), (long long)n->withheld_studies);
    for (size_t i = 0; i < STUDY_REASON_COUNT; i++)
        if (n->skipped_by[i] > 0)
            printf("  %8lld %-21s %s\n", (long long)n->skipped_by[i], study_reason_name((enum study_reason)i),
                   study_reason_text((enum study_reason)i));
}

static enum cli_exit run(struct cli *c, struct pixl_error *err)
{
    site_auto *s = NULL;
    struct talk t = { 0 };
    struct deid_files_counts n;
    const char *project = cli_value(c, "--project");
    if (project == NULL) {
        pixl_fail(err, PIXL_E_INVALID, 0, "--project SLUG is needed: its rules decide what is kept");
        return CLI_FAILED;
    }
    const struct deid_report_options report = { cli_value(c, "--report"), cli_value(c, "--report-instance"),
                                                PIXL_VERSION };
    const struct deid_files_options o = {
        c->args[0], c->args[1], str_of(project), say_skipped, say_progress, &t, report.path != NULL ? &report : NULL
    };
    if (report.path == NULL && report.instance != NULL) {
        pixl_fail(err, PIXL_E_INVALID, 0, "--report-instance needs --report FILE");
        return CLI_FAILED;
    }
    if (o.report != NULL && !deid_report_check(o.report, err))
        return CLI_FAILED;
    t.with_report = o.report != NULL;
    int64_t began = clock_mono_us();
    show_progress_init(&t.progress);
    bool ok = site_open(&c->settings, SITE_SECRETS | SITE_STORE_IF_THERE, &s, err) && deid_files(s, &o, &n, err);
    show_end_line(&t.progress);
    if (!ok)
        return CLI_FAILED;
    if (site_made_key(s))
        (void)fprintf(stderr, "a new hashing key was made: %s - back it up\n", secrets_place(site_secrets(s)));
    if (o.report != NULL)
        (void)fprintf(stderr, "report: %s\n", o.report->path);
    show(&n, clock_mono_us() - began, c->json);
    return skipped(&n) > 0 || n.withheld_studies > 0 ? CLI_FAILED : CLI_DONE;
}

static const struct cli_option options[] = {
    { "--project", "SLUG", NULL, "whose rules (<configs>/SLUG.yaml)" },
    { "--report", "FILE", NULL, "what was done, counted: FILE.html to read, FILE.json for programs" },
    { "--report-instance", "N", NULL, "the Nth instance written before and after (default 1), or an input file's: its path" },
};
const struct cli_command cli_deid = {
    .name = "deid", .summary = "de-identify files or folders by a project's rules, without archive or store",
    .usage = "IN OUT --project SLUG [--report FILE]",
    .text = "OUT gets <pseudo study>/<pseudo series>/<pseudo SOP>.dcm, in the transfer syntax the input had.\n"
            "IN is only read.\n"
            "A study in which identity would remain is not written at all. Exit 0: all written; 1: some left out.\n"
            "A report can be handed on with OUT: it holds counts for each attribute and action, reasons, and one\n"
            "instance before and after. It names no input file, and shows no value that was removed or changed.",
    .options = options, .n_options = ARRAY_LEN(options), .min_args = 2, .max_args = 2, .needs_settings = true, .run = run,
};
