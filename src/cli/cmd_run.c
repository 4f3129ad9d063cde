/* cmd_run.c - `pixl run`, `pixl populate`, and the hidden `pixl work-one` that a run starts for a suspect. */
#include <inttypes.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fs.h"
#include "cli/cli.h"
#include "cli/rate.h"
#include "cli/show.h"
#include "pipeline/dispatch.h"
#include "pipeline/tokens.h"

enum { ROWS_SHOWN = 50 };

/* What the callbacks of one command share. */
struct talk {
    struct show_progress progress;       /* first: show_step and show_work take it as their ctx */
    const char *cohort;
    int64_t refused, warned;
    json_t *projects;                    /* of a populate; NULL: they are printed */
};

static void say_row(struct talk *t, int64_t *n, uint64_t line, const char *head, const char *what)
{
    show_end_line(&t->progress);
    if (++*n <= ROWS_SHOWN)
        (void)fprintf(stderr, "%s:%" PRIu64 ": %s: %s\n", t->cohort, line, head, what);
    else if (*n == ROWS_SHOWN + 1)
        (void)fprintf(stderr, "... (more rows like these are counted, not listed)\n");
}

static void say_refused(void *ctx, uint64_t line, const char *why)
{
    struct talk *t = ctx;
    say_row(t, &t->refused, line, "row refused", why);
}

static void say_warned(void *ctx, uint64_t line, const char *what)
{
    struct talk *t = ctx;
    say_row(t, &t->warned, line, "warning", what);
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
        .cohort = c->n_args > 0 ? c->args[0] : NULL,
        .rate_per_s = c->settings.rate_per_s,
        .program = c->program,
        .step = show_step,
        .progress = show_work,
        .refused = say_refused,
        .warned = say_warned,
        .ctx = &t,
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

/* A populate, the rate that it sets, and the rounds of retries behind it. */
struct populating {
    struct talk talk; /* first: the callbacks' ctx */
    struct arena arena;
    struct str *slugs; /* of the cohort's projects */
    size_t n_slugs, room;
    bool failed;
    sigset_t signals;
    atomic_bool cancel; /* one of them came */
};

static void say_rows(void *ctx, int64_t rows)
{
    show_step(ctx, RUN_POPULATING, rows, 0);
}

static void note_slug(struct populating *p, struct str slug)
{
    if (p->n_slugs == p->room) {
        size_t room = p->room ? 2 * p->room : 16;
        struct str *more = arena_calloc(&p->arena, room, sizeof *more);
        if (more != NULL && p->n_slugs > 0)
            memcpy(more, p->slugs, p->n_slugs * sizeof *more);
        p->slugs = more;
        p->room = more != NULL ? room : 0;
    }
    struct str copy = arena_str(&p->arena, slug);
    p->failed = p->failed || p->slugs == NULL || copy.p == NULL;
    if (!p->failed)
        p->slugs[p->n_slugs++] = copy;
}

static void say_project(void *ctx, struct str slug, const struct populate_counts *n)
{
    struct populating *p = ctx;
    struct talk *t = &p->talk;
    show_end_line(&t->progress);
    if (slug.n > 0)
        note_slug(p, slug);
    if (t->projects != NULL)
        (void)json_object_setn_new(t->projects, slug.p, slug.n, show_populated_json(n));
    else
        show_populated(slug.n > 0 ? slug : STR("no project"), n);
}

/* How a cohort is taken up by services; read before anything is changed. */
struct populate_plan {
    int64_t retries;
    bool start, no_start; /* said so */
};

static bool plan_populate(const struct cli *c, struct populate_plan *p, struct pixl_error *err)
{
    const char *retries = cli_value(c, "--num-retries"), *queues = cli_value(c, "--queues");
    *p = (struct populate_plan){ .no_start = cli_value(c, "--no-start") != NULL };
    p->start = !p->no_start && (cli_value(c, "--start") != NULL || cli_value(c, "--rate") != NULL);
    if (p->no_start && (cli_value(c, "--start") != NULL || cli_value(c, "--rate") != NULL))
        return pixl_fail(err, PIXL_E_INVALID, 0, "--no-start goes with neither --start nor --rate");
    if (p->start && rate_to_start(&c->settings) <= 0)
        return pixl_fail(err, PIXL_E_INVALID, 0, RATE_OF_ZERO);
    if (retries != NULL && (!str_to_i64(str_of(retries), &p->retries) || p->retries < 0 || p->retries > 1000))
        return pixl_fail(err, PIXL_E_INVALID, 0, "--num-retries takes 0 to 1000");
    if (queues != NULL && strcmp(queues, "imaging") != 0 && strcmp(queues, "imaging-primary") != 0)
        return pixl_fail(err, PIXL_E_INVALID, 0,
                         "--queues: a cohort goes to imaging (or imaging-primary, which is the same); what the "
                         "primary archive does not have is asked of the secondary one by itself");
    return true;
}

/* Without a word of the user: only where somebody waits for a rate, as a service does in a new store. */
static bool start_archives(struct cli *c, struct site *s, const struct populate_plan *plan, struct pixl_error *err)
{
    struct arena a;
    struct tokens_bucket *list;
    size_t n;
    bool waits = false;
    arena_init(&a, 1 << 20);
    bool ok = tokens_list(site_store(s), clock_wall_us(), &a, &list, &n, err);
    for (size_t i = 0; ok && i < n; i++)
        waits = waits || list[i].rate_per_s <= 0;
    const double rate = rate_to_start(&c->settings);
    if (ok && !plan->no_start && (plan->start || (waits && rate > 0))) {
        ok = rate_set(s, NULL, rate, err);
        if (ok)
            (void)fprintf(stderr, "archives may be asked for %g studies/s now\n", rate);
    }
    arena_done(&a);
    return ok;
}

static void say_round(void *ctx, const struct rounds_progress *r)
{
    struct populating *p = ctx;
    const struct timespec now = { 0 };
    if (sigtimedwait(&p->signals, NULL, &now) > 0)
        atomic_store(&p->cancel, true);
    show_rounds(&p->talk.progress, r);
}

static enum cli_exit retry_rounds(struct cli *c, struct site *s, struct populating *p, int64_t retries,
                                  struct pixl_error *err)
{
    const struct rounds_options o = {
        .projects = p->slugs,
        .n_projects = p->n_slugs,
        .rounds = (int)retries,
        .pause_us = c->settings.retry_pause_s * 1000000,
        .progress = say_round,
        .ctx = p,
        .cancel = &p->cancel,
    };
    enum rounds_end end;
    struct rounds_progress last;
    (void)sigemptyset(&p->signals);
    (void)sigaddset(&p->signals, SIGINT);
    (void)sigaddset(&p->signals, SIGTERM);
    (void)pthread_sigmask(SIG_BLOCK, &p->signals, NULL); /* taken when progress is shown */
    bool ok = rounds_wait(s, &o, &end, &last, err);
    show_end_line(&p->talk.progress);
    if (!ok)
        return CLI_FAILED;
    show_rounds_end(end, &last);
    return last.open > 0 ? CLI_AGAIN : last.failed > 0 ? CLI_FAILED : CLI_DONE;
}

static void show_populate(const struct cli *c, struct populating *p, const struct populate_counts *n, bool dry)
{
    if (!c->json) {
        show_populated(dry ? STR("in all (dry run, nothing was changed)") : STR("in all"), n);
        return;
    }
    json_t *sum = show_populated_json(n);
    (void)json_object_set_new(sum, "dry_run", json_boolean(dry));
    (void)json_object_set_new(sum, "projects", PIXL_STEAL(&p->talk.projects));
    show_json(sum);
}

/* With a queue rows are hinted as they come in, by this process unless another leads. */
static bool populate_hinting(struct cli *c, struct site *s, const struct populate_options *o, struct populate_counts *n,
                             struct pixl_error *err)
{
    struct hint_route route;
    bool is_set;
    dispatch_auto *d = NULL;
    if (!hint_route_of(&c->settings, &route, &is_set, err))
        return false;
    if (is_set && !o->dry_run && (!dispatch_new(site_store(s), &route, &d, err) || !dispatch_start(d, err)))
        return false;
    if (!populate_cohort(s, o, n, err))
        return false;
    if (d != NULL)
        dispatch_drain(d);
    return true;
}

static enum cli_exit populate_site(struct cli *c, struct site *s, struct populate_options *o,
                                   const struct populate_plan *plan, struct pixl_error *err)
{
    struct populating *p = o->ctx;
    struct populate_counts n;
    bool ok = populate_hinting(c, s, o, &n, err);
    show_end_line(&p->talk.progress);
    tell_about_key(s, &c->settings);
    if (!ok)
        return CLI_FAILED;
    show_populate(c, p, &n, o->dry_run);
    if (p->failed) {
        pixl_fail(err, PIXL_E_NOMEM, 0, "list of projects");
        return CLI_FAILED;
    }
    if (!o->dry_run && !start_archives(c, s, plan, err))
        return CLI_FAILED;
    enum cli_exit code = n.refused > 0 || n.too_late > 0 ? CLI_FAILED : CLI_DONE;
    if (o->dry_run || plan->retries == 0 || plan->no_start)
        return code;
    enum cli_exit after = retry_rounds(c, s, p, plan->retries, err);
    return after == CLI_DONE ? code : after;
}

/* The table engine wants a folder for its temporary files, which a dry run does not leave behind. */
struct folders {
    bool had_state, had_temp;
};

static struct folders look_at_folders(const struct settings *set)
{
    return (struct folders){ fs_exists(set->state_dir), fs_exists(set->temp_dir) };
}

static void remove_new_folders(const struct settings *set, struct folders before)
{
    if (!before.had_temp)
        (void)rmdir(set->temp_dir);
    if (!before.had_state)
        (void)rmdir(set->state_dir);
}

static enum cli_exit populate(struct cli *c, struct pixl_error *err)
{
    const struct folders before = look_at_folders(&c->settings);
    site_auto *s = NULL;
    struct populating p = { .talk = { .cohort = c->args[0] } };
    struct populate_plan plan;
    struct populate_options o = { .path = c->args[0],
                                  .dry_run = cli_value(c, "--dry-run") != NULL,
                                  .refused = say_refused,
                                  .warned = say_warned,
                                  .project = say_project,
                                  .progress = say_rows,
                                  .ctx = &p };
    show_progress_init(&p.talk.progress);
    if (!parse_priority(c, &o.priority, err) || !plan_populate(c, &plan, err) ||
        !site_open(&c->settings, o.dry_run ? SITE_CHECKS | SITE_TRIES | SITE_STORE : SITE_SECRETS | SITE_STORE, &s,
                   err))
        return CLI_FAILED;
    arena_init(&p.arena, 16 << 20);
    p.talk.projects = c->json ? json_object() : NULL;
    enum cli_exit code = populate_site(c, s, &o, &plan, err);
    json_decref(p.talk.projects);
    arena_done(&p.arena);
    if (o.dry_run)
        remove_new_folders(&c->settings, before);
    return code;
}

static const struct cli_option populate_options[] = {
    { "--dry-run", NULL, NULL, "tell what would be asked for; make and change nothing" },
    { "--priority", "1..5", NULL, "5 goes first" },
    { "--start", NULL, NULL,
      "set the rate of archives behind it, also of one that has a rate (default: of those that stand still)" },
    { "--no-start", NULL, NULL, "leave rates as they are, and do not wait" },
    { "--rate", "R", "PIXL_RATE", "that rate, in studies per second (default PIXL_IMAGING_API_RATE, 1)" },
    { "--num-retries", "N", NULL,
      "wait until services are done, and take back to work N times what failed for a passing reason (default 0)" },
    { "--queues", "NAMES", NULL, "imaging: where a cohort always goes" },
};
const struct cli_command cli_populate = {
    .name = "populate",
    .summary = "put a cohort into the store, to be worked off by `pixl run` or the services",
    .usage = "COHORT [--dry-run] [--priority 1..5] [--start|--no-start] [--rate R] [--num-retries N]",
    .text =
        "COHORT as for `pixl run`. Populating a cohort again adds only what is new. Refused rows, and those that name\n"
        "another patient than their procedure came with before, are listed, the first 50 of each.\n"
        "Tells for each project how many rows there are, how many studies are new, and how many are delivered "
        "already.\n"
        "Archives that a service keeps at rate 0 are started then.\n"
        "With --num-retries it waits until nothing of the cohort's projects is in work, then CLI_RETRY_SECONDS, "
        "and asks again for\n"
        "studies that no archive had and for those that an archive, the spool or a destination failed; it ends "
        "when a round brought\n"
        "nothing. Ctrl-C ends the waiting only.",
    .options = populate_options,
    .n_options = ARRAY_LEN(populate_options),
    .min_args = 1,
    .max_args = 1,
    .needs_settings = true,
    .run = populate,
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
