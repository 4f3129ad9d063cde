/* cmd_run.c - `pixl run`, `pixl populate`, and the hidden `pixl work-one` that a run starts for a suspect. */
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/show.h"

enum { REFUSED_SHOWN = 50 };

/* What the callbacks of one command share. */
struct talk {
    struct show_progress progress;       /* first: show_step and show_work take it as their ctx */
    const char *cohort;
    int64_t refused;
    json_t *projects;                    /* of a populate; NULL: they are printed */
};

static void say_refused(void *ctx, uint64_t line, const char *why)
{
    struct talk *t = ctx;
    show_end_line(&t->progress);
    if (++t->refused <= REFUSED_SHOWN)
        (void)fprintf(stderr, "%s:%" PRIu64 ": row refused: %s\n", t->cohort, line, why);
    else if (t->refused == REFUSED_SHOWN + 1)
        (void)fprintf(stderr, "... (more refused rows are counted, not listed)\n");
}

static bool parse_priority(const struct cli *c, int *out, struct pixl_error *err)
{
    const char *text = cli_value(c, "--priority");
    int64_t n = 1;
    if (text != NULL && (!str_to_i64(str_of(text), &n) || n < 1 || n > 5))
        return pixl_fail(err, PIXL_E_INVALID, 0, "--priority takes 1 to 5 (5 goes first)");
    *out = (int)n;
    return true;
}

static void tell_about_key(struct site *s, const struct settings *set)
{
    if (!site_made_key(s))
        return;
    (void)fprintf(stderr,
        "\n*** A new hashing key was made: %s ***\n"
        "*** BACK IT UP NOW, apart from the data. Without it no later extract gets the same pseudonyms; ***\n"
        "*** whoever has it can compute the pseudonyms of known patients. State directory: %s ***\n\n",
        secrets_place(site_secrets(s)), set->state_dir);
}

static enum cli_exit exit_of(const struct run_summary *r)
{
    bool undelivered = false;
    for (size_t i = 0; i < r->n_extracts; i++)
        undelivered = undelivered || !r->extracts[i].delivered;
    if (r->left > 0 || undelivered)
        return CLI_AGAIN;
    bool not_all = r->populate.refused > 0 || r->populate.too_late > 0 || r->archive.unreadable + r->archive.damaged > 0;
    return not_all || r->counts.by_state[STUDY_FAILED] > 0 || r->counts.by_state[STUDY_WITHHELD] > 0 ? CLI_FAILED : CLI_DONE;
}

static enum cli_exit run(struct cli *c, struct pixl_error *err)
{
    site_auto *s = NULL;
    struct talk t = { .cohort = c->n_args > 0 ? c->args[0] : "" };
    struct run_summary summary;
    struct run_options o = {
        .cohort = c->n_args > 0 ? c->args[0] : NULL, .rate_per_s = c->settings.rate_per_s, .program = c->program,
        .step = show_step, .progress = show_work, .refused = say_refused, .ctx = &t,
    };
    show_progress_init(&t.progress);
    if (!parse_priority(c, &o.priority, err) ||
        !site_open(&c->settings, SITE_WORKS | SITE_ARCHIVE | SITE_SECRETS | SITE_STORE, &s, err))
        return CLI_FAILED;
    (void)fprintf(stderr, "state: %s\n", c->settings.state_dir);
    struct arena a;
    arena_init(&a, (size_t)64 << 20);
    bool ok = run_cohort(s, &o, &a, &summary, err);
    show_end_line(&t.progress);
    tell_about_key(s, &c->settings);
    enum cli_exit code = CLI_FAILED;
    if (ok) {
        show_summary(&summary, &c->settings, c->json);
        code = exit_of(&summary);
    } else if (err->code != PIXL_E_INVALID && err->code != PIXL_E_NOT_FOUND && err->code != PIXL_E_EXISTS) {
        (void)fprintf(stderr, "nothing is lost: the same command goes on where this one ended\n");
    }
    arena_done(&a);
    return code;
}

static const struct cli_option run_options[] = {
    { "--archive",  "URL",    "PIXL_ARCHIVE_URL", "where the images are, for example directory:/path/to/dicom" },
    { "--rate",     "R",      "PIXL_RATE",        "studies per second asked of the archive (a folder: no limit unless set)" },
    { "--workers",  "N",      "PIXL_WORKERS",     "studies worked on at once (default: two per core: one waits for the disk while the other works)" },
    { "--patience", "S",      "PIXL_PATIENCE_S",  "give up when nothing could be done for so many seconds" },
    { "--priority", "1..5",   NULL,               "5 goes first" },
};
const struct cli_command cli_run = {
    .name = "run", .summary = "a whole extraction: populate, work until done, deliver images and tables",
    .usage = "[COHORT] [--archive URL] [--rate R] ...",
    .text = "COHORT is a CSV file, or the folder of an OMOP ES extract (public/, private/, extract_summary.json).\n"
            "Without COHORT it goes on with what the state holds. Ctrl-C finishes the studies in hand; a second Ctrl-C\n"
            "gives them back; the same command goes on later and repeats nothing.\n"
            "The projects named by the cohort need a file <slug>.yaml in the configs folder (`pixl config check`).",
    .options = run_options, .n_options = ARRAY_LEN(run_options), .min_args = 0, .max_args = 1, .needs_settings = true,
    .is_supervised = true, .run = run,
};

/* --- populate -------------------------------------------------------------------------------------------------- */

static void say_rows(void *ctx, int64_t rows)
{
    show_step(ctx, RUN_POPULATING, rows, 0);
}

static void say_project(void *ctx, struct str slug, const struct populate_counts *n)
{
    struct talk *t = ctx;
    show_end_line(&t->progress);
    if (t->projects != NULL)
        (void)json_object_setn_new(t->projects, slug.p, slug.n, show_populated_json(n));
    else
        show_populated(slug.n > 0 ? slug : STR("no project"), n);
}

static enum cli_exit populate(struct cli *c, struct pixl_error *err)
{
    site_auto *s = NULL;
    struct talk t = { .cohort = c->args[0] };
    struct populate_counts n;
    struct populate_options o = { .path = c->args[0], .dry_run = cli_value(c, "--dry-run") != NULL, .refused = say_refused,
                                  .project = say_project, .progress = say_rows, .ctx = &t };
    show_progress_init(&t.progress);
    if (!parse_priority(c, &o.priority, err) || !site_open(&c->settings, SITE_SECRETS | SITE_STORE, &s, err))
        return CLI_FAILED;
    t.projects = c->json ? json_object() : NULL;
    bool ok = populate_cohort(s, &o, &n, err);
    show_end_line(&t.progress);
    tell_about_key(s, &c->settings);
    if (!ok) {
        json_decref(t.projects);
        return CLI_FAILED;
    }
    if (c->json) {
        json_t *sum = show_populated_json(&n);
        (void)json_object_set_new(sum, "dry_run", json_boolean(o.dry_run));
        (void)json_object_set_new(sum, "projects", t.projects);
        show_json(sum);
    } else {
        show_populated(o.dry_run ? STR("in all (dry run, nothing was changed)") : STR("in all"), &n);
    }
    return n.refused > 0 || n.too_late > 0 ? CLI_FAILED : CLI_DONE;
}

static const struct cli_option populate_options[] = {
    { "--dry-run",  NULL,   NULL, "tell what would be asked for; change nothing" },
    { "--priority", "1..5", NULL, "5 goes first" },
};
const struct cli_command cli_populate = {
    .name = "populate", .summary = "put a cohort into the store, to be worked off by `pixl run`",
    .usage = "COHORT [--dry-run] [--priority 1..5]",
    .text = "COHORT as for `pixl run`. Populating a cohort again adds only what is new. Every refused row is listed by its line.\n"
            "Tells for each project how many rows there are, how many studies are new, and how many are delivered already.",
    .options = populate_options, .n_options = ARRAY_LEN(populate_options), .min_args = 1, .max_args = 1, .needs_settings = true, .run = populate,
};

/* --- work-one ---------------------------------------------------------------------------------------------------- */

static enum cli_exit work_one_image(struct cli *c, struct pixl_error *err)
{
    site_auto *s = NULL;
    int64_t image, fence, parent;
    if (!str_to_i64(str_of(c->args[0]), &image) || !str_to_i64(str_of(c->args[1]), &fence) || !str_to_i64(str_of(c->args[2]), &parent)) {
        pixl_fail(err, PIXL_E_INVALID, 0, "work-one takes an image number, a fence and a process number");
        return CLI_FAILED;
    }
    /* It never outlives the run that holds the lock. */
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || getppid() != (pid_t)parent) {
        pixl_fail(err, PIXL_E_CANCELLED, 0, "the run that started this has ended");
        return CLI_FAILED;
    }
    return site_open(&c->settings, SITE_ARCHIVE | SITE_SECRETS | SITE_STORE, &s, err) && work_one(s, image, fence, err) ? CLI_DONE : CLI_FAILED;
}

const struct cli_command cli_work_one = {
    .name = "work-one", .summary = "", .usage = "IMAGE FENCE PARENT",
    .text = "Started by `pixl run` for a study whose last attempt ended in a crash.",
    .min_args = 3, .max_args = 3, .needs_settings = true, .is_hidden = true, .run = work_one_image,
};
