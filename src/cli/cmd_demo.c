/* cmd_demo.c - `pixl demo`: a made-up hospital, a whole extraction of it, and a look at what came out. */
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
#include "demo/demo.h"

/* Settings of the demo: its own folders whatever the environment says. */
static bool demo_settings(const struct demo *d, struct settings *out, struct pixl_error *err)
{
    const char *const names[] = { "PIXL_STATE_DIR=%s/state", "PROJECT_CONFIGS_DIR=%s/configs", "HOST_EXPORT_ROOT_DIR=%s/exports",
                                  "PIXL_ARCHIVE_URL=directory:%s/hospital/archive" };
    static const char *const none[] = { NULL };
    char *overrides[ARRAY_LEN(names) + 1] = { NULL };
    char dir[4096];
    bool ok = realpath(d->dir, dir) != NULL || pixl_fail_errno(err, errno, "demo folder");
    for (size_t i = 0; ok && i < ARRAY_LEN(names); i++) {
        buf_auto b;
        buf_init(&b, 8192);
        const char *at = strchr(names[i], '%');
        (void)buf_add(&b, names[i], (size_t)(at - names[i]));
        (void)buf_addf(&b, "%s%s", dir, at + 2);
        overrides[i] = b.failed ? NULL : strdup(buf_cstr(&b));
        ok = overrides[i] != NULL || pixl_fail(err, PIXL_E_NOMEM, 0, "demo settings");
    }
    ok = ok && settings_load(none, NULL, (const char *const *)overrides, out, err);
    /* Children of a run find the same settings. */
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        char *equals = ok ? strchr(overrides[i], '=') : NULL;
        if (equals != NULL) {
            *equals = '\0';
            ok = setenv(overrides[i], equals + 1, 1) == 0 || pixl_fail(err, PIXL_E_NOMEM, 0, "demo settings");
        }
        free(overrides[i]);
    }
    return ok;
}

static bool run_one(struct site *s, struct cli *c, const char *cohort, struct arena *a, struct run_summary *out, struct pixl_error *err)
{
    struct show_progress progress;
    const struct run_options o = { .cohort = cohort, .priority = 1, .rate_per_s = -1, .program = c->program, .step = show_step, .progress = show_work,
                                   .ctx = &progress };
    show_progress_init(&progress);
    bool ok = run_cohort(s, &o, a, out, err);
    show_end_line(&progress);
    return ok;
}

/* A header is long: its first changes are shown, all of it is counted. */
enum { HEADER_LINES = 40 };
struct header_talk {
    int shown, kept, changed, removed, added;
};

static void print_line(void *ctx, const char *element, const char *name, const char *before, const char *after)
{
    struct header_talk *t = ctx;
    bool is_nested = strchr(element, '[') != NULL, is_removed = strcmp(after, "removed") == 0, is_added = before[0] == '\0';
    int *count = strcmp(before, after) == 0 ? &t->kept : is_removed ? &t->removed : is_added ? &t->added : &t->changed;
    ++*count;
    if (count == &t->kept || is_nested || t->shown >= HEADER_LINES)
        return;
    t->shown++;
    printf("  %-12s %-28.28s %-36.36s %s\n", element, name, before, after);
}

static bool print_header(const struct demo *d, struct site *s, struct pixl_error *err)
{
    struct header_talk t = { 0 };
    printf("\none header, before and after (the first changes):\n");
    if (!demo_show_header(d, s, print_line, &t, err))
        return false;
    printf("  ... in all %d %s removed, %d changed, %d added, %d kept as they were (at every depth)\n", t.removed,
           count_word(t.removed, "element", "elements"), t.changed, t.added, t.kept);
    return true;
}

static void print_difference(void *ctx, const char *text)
{
    ++*(int *)ctx;
    printf("  WRONG: %s\n", text);
}

/* What was asked for and how it had to end, by project. */
static void print_studies(const struct demo *d)
{
    printf("\nwhat was asked for, and how it ended:\n");
    for (size_t i = 0; i < d->n_studies; i++) {
        const struct demo_study *s = &d->studies[i];
        printf("  %-28s procedure %-6lld %-10s %-20s %s\n", s->project, (long long)s->procedure_occurrence_id, study_state_name(s->expect),
               s->expect_reason == STUDY_WHY_NONE ? "" : study_reason_name(s->expect_reason), s->what);
    }
}

static void print_places(const struct demo *d)
{
    static const char *const tries[] = { "status", "failed --all", "trace 1" };
    char self[1024];
    const ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    self[n > 0 ? n : 0] = '\0';
    printf("\nwhere everything lies:\n"
           "  %s/hospital/       the archive with identities, the OMOP extract, the CSV\n"
           "  %s/configs/        the two projects' rules\n"
           "  %s/state/          store, index, hashing key\n"
           "  %s/exports/        tables by project and extract\n"
           "  %s/safe-haven/     what the researchers get: <project>/<pseudo study UID>.zip and tables\n",
           d->dir, d->dir, d->dir, d->dir, d->dir);
    printf("try (%s, where pixl is not installed yet):\n", n > 0 ? self : "pixl");
    for (size_t i = 0; i < ARRAY_LEN(tries); i++)
        printf("  pixl %s --state-dir %s/state\n", tries[i], d->dir);
}

static bool extract_and_judge(struct cli *c, const struct demo *d, struct site *s, bool *right, struct pixl_error *err)
{
    struct arena a;
    struct run_summary first, second;
    int wrong = 0;
    arena_init(&a, (size_t)64 << 20);
    printf("--- extract 1: OMOP extract of project %s\n", d->omop_project);
    bool ok = run_one(s, c, d->omop_dir, &a, &first, err);
    printf("--- extract 2: CSV cohort of project %s\n", d->csv_project);
    ok = ok && run_one(s, c, d->csv_path, &a, &second, err);
    if (ok) {
        show_summary(&second, site_settings(s), false);
        print_studies(d);
        ok = print_header(d, s, err) && demo_verify(d, s, print_difference, &wrong, right, err);
    }
    if (ok && *right)
        printf("\nchecked: every study ended as it must, every zip is where it belongs, once, and no planted identity is in any of them\n");
    arena_done(&a);
    return ok;
}

static enum cli_exit run(struct cli *c, struct pixl_error *err)
{
    const char *dir = cli_value(c, "--dir") ? cli_value(c, "--dir") : "pixl-demo", *count = cli_value(c, "--studies");
    int64_t n = 12;
    struct demo d = { 0 };
    struct settings set = { 0 };
    struct site *s = NULL;
    bool right = false;
    if (count != NULL && (!str_to_i64(str_of(count), &n) || n < 8 || n > 100000)) {
        pixl_fail(err, PIXL_E_INVALID, 0, "--studies takes 8 to 100000");
        return CLI_FAILED;
    }
    printf("making a hospital of %lld studies in %s\n", (long long)n, dir);
    (void)fflush(stdout);
    bool ok = demo_make(dir, (size_t)n, c->settings.temp_dir, &d, err) && demo_settings(&d, &set, err) &&
              site_open(&set, SITE_WORKS | SITE_ARCHIVE | SITE_SECRETS | SITE_STORE, &s, err) && extract_and_judge(c, &d, s, &right, err);
    if (ok)
        print_places(&d);
    site_close(s);
    settings_done(&set);
    demo_done(&d);
    return ok && right ? CLI_DONE : CLI_FAILED;
}

static const struct cli_option options[] = {
    { "--dir",     "DIR", NULL, "where to make it (default ./pixl-demo); an earlier demo there is replaced" },
    { "--studies", "N",   NULL, "how many studies (default 12, at least 8)" },
};
const struct cli_command cli_demo = {
    .name = "demo", .summary = "a made-up hospital, a whole extraction of it, and a summary", .usage = "[--dir DIR] [--studies N]",
    .text = "Makes an archive, an OMOP extract and a CSV cohort with made-up patients, extracts both, and checks what came out.\n"
            "Exit 0 only if every study ended as it must and no identity came through. Nothing is downloaded.",
    .options = options, .n_options = ARRAY_LEN(options), .min_args = 0, .max_args = 0, .needs_settings = true, .run = run,
};
