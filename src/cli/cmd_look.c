/* cmd_look.c - `pixl status`, `failed`, `retry`, `trace`: what a person asks of the store while a run is on, or after. */
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/count.h"
#include "base/json_tree.h"
#include "cli/advice.h"
#include "cli/cli.h"
#include "cli/projects.h"
#include "cli/show.h"
#include "http/api_client.h"
#include "pipeline/dead.h"
#include "pipeline/tokens.h"

static bool open_site(struct cli *c, struct site **s, struct pixl_error *err)
{
    return site_open(&c->settings, SITE_STORE | SITE_LOOKS, s, err);
}

static struct str project_of(const struct cli *c)
{
    return str_of(cli_value(c, "--project"));
}

/* --- status --------------------------------------------------------------------------------------------------- */

static bool status_project(struct site *s, struct str project, json_t *list, struct pixl_error *err)
{
    struct store_counts n;
    if (!store_count(site_store(s), project, &n, err))
        return false;
    if (list != NULL) {
        json_t *j = show_counts_json(&n);
        (void)json_object_set_new(j, "project", json_stringn(project.p, project.n));
        (void)json_array_append_new(list, j);
        return true;
    }
    printf("%.*s:\n", STR_ARG(project));
    show_counts(stdout, &n);
    return true;
}

/* What another program left and nobody has asked for yet: it may hold rows twice, and only one of them is ever taken. */
static bool show_adopted(struct site *s, struct arena *a, struct pixl_error *err)
{
    struct store_adopted found;
    if (!store_find_adopted(site_store(s), a, &found, err))
        return false;
    if (found.images > 0)
        printf("%" PRId64
               " %s there before pixl: populate takes up those that a cohort names, retry --state adopted all\n",
               found.images, count_word(found.images, "study was", "studies were"));
    if (found.n_twice > 0) {
        printf("%zu %s:", found.n_twice,
               count_word((int64_t)found.n_twice, "row of the Python system repeats another one and is passed over",
                          "rows of the Python system repeat another one and are passed over"));
        for (size_t i = 0; i < found.n_twice && i < 10; i++)
            printf("%s image %" PRId64, i ? "," : "", found.twice[i]);
        printf("%s\n", found.n_twice > 10 ? ", ..." : "");
    }
    if (found.projects_twice > 0)
        printf("%" PRId64 " %s another one: their studies went to the first when pixl adopted them\n",
               found.projects_twice,
               count_word(found.projects_twice, "row of a project repeats", "rows of a project repeat"));
    return true;
}

/* An archive that may not be asked at this hour. */
static void show_hours(const struct settings *set, int which)
{
    const struct windows *w = which == 0 ? &set->primary_windows : &set->secondary_windows;
    const int64_t now = clock_wall_us();
    char closed[WORK_CLOSED_SIZE];
    struct site_archive_address at;
    if (!site_archive_address(set, which, &at) && which == 1)
        return;
    if (windows_open(w, now, NULL))
        return;
    work_say_closed(windows_opens_us(w, now), closed);
    printf("%s archive: %s\n", site_archive_name(which), closed);
}

static bool status_archives(struct site *s, struct arena *a, json_t *list, struct pixl_error *err)
{
    struct tokens_bucket *buckets;
    size_t n;
    if (!tokens_list(site_store(s), clock_wall_us(), a, &buckets, &n, err))
        return false;
    for (size_t i = 0; i < n; i++) {
        const struct tokens_bucket *b = &buckets[i];
        if (list != NULL)
            (void)json_array_append_new(
                list, json_pack("{s:s, s:f, s:f}", "archive", b->archive, "rate", b->rate_per_s, "tokens", b->tokens));
        else
            printf("archive %s: %g studies/s%s\n", b->archive, b->rate_per_s,
                   b->rate_per_s > 0 ? "" : " (stopped; `pixl start` lets it be asked)");
    }
    return true;
}

/* What waits elsewhere: only a worker with that state directory delivers it. */
static bool status_spools(struct site *s, struct arena *a, json_t *list, struct pixl_error *err)
{
    struct store_spool *spools;
    size_t n;
    if (!store_spools(site_store(s), a, &spools, &n, err))
        return false;
    for (size_t i = 0; i < n; i++) {
        const struct store_spool *p = &spools[i];
        const bool is_here = str_eq(p->name, str_of(site_spool(s)));
        if (list != NULL)
            (void)json_array_append_new(list, json_pack("{s:s%, s:I, s:I, s:b}", "spool", p->name.p, p->name.n,
                                                        "waiting", (json_int_t)p->waiting, "kept", (json_int_t)p->kept,
                                                        "here", (int)is_here));
        else if (!is_here)
            printf("spool %.*s of another state directory: %" PRId64 " %s there for a worker that has it, %" PRId64
                   " %s kept there (gone for good? `pixl retry --lost-spool %.*s`)\n",
                   STR_ARG(p->name), p->waiting, count_word(p->waiting, "study waits", "studies wait"), p->kept,
                   count_word(p->kept, "is", "are"), STR_ARG(p->name));
    }
    return true;
}

static bool status_once(struct cli *c, struct site *s, struct pixl_error *err)
{
    struct str *projects, wanted = project_of(c);
    size_t n;
    struct arena a;
    arena_init(&a, 16 << 20);
    json_t *list = c->json ? json_array() : NULL, *archives = c->json ? json_array() : NULL,
           *spools = c->json ? json_array() : NULL;
    bool ok = projects_check(s, wanted, err) && store_projects(site_store(s), &a, &projects, &n, err);
    for (size_t i = 0; ok && i < n; i++)
        if (wanted.n == 0 || str_eq(wanted, projects[i]))
            ok = status_project(s, projects[i], list, err);
    if (ok && !c->json && n == 0)
        printf("nothing was asked for yet (state: %s)\n", c->settings.state_dir);
    ok = ok && status_archives(s, &a, archives, err) && status_spools(s, &a, spools, err) &&
         (c->json || wanted.n > 0 || show_adopted(s, &a, err));
    for (int i = 0; ok && !c->json && i < STORE_ARCHIVES; i++)
        show_hours(&c->settings, i);
    if (ok && c->json)
        show_json(json_pack("{s:s, s:O, s:O, s:O}", "state_dir", c->settings.state_dir, "projects", list, "archives",
                            archives, "spools", spools));
    json_decref(list);
    json_decref(spools);
    json_decref(archives);
    arena_done(&a);
    return ok;
}

enum { WATCH_S = 2, SERVICE_TIMEOUT_S = 5 };

/* What only a service knows: what it has in hand, and what stands in its way. */
static void status_service(struct cli *c, enum api which, const char *name)
{
    struct arena a;
    struct api_answer an = { 0 };
    const struct json_node *v;
    struct pixl_error err = { 0 };
    if (c->json || !api_is_set(&c->settings, which))
        return;
    arena_init(&a, 1 << 20);
    buf_init(&an.body, 1 << 20);
    if (!api_ask(&c->settings, which, "/status", STR(""), SERVICE_TIMEOUT_S, &an, &err))
        printf("%s\n", err.msg);
    else if (an.status != 200 || !json_tree_read(&a, buf_str(&an.body), 16, 10000, &v, &err))
        printf("%s: answers with status %d%s\n", name, an.status, api_hint(an.status));
    else {
        const struct json_node *hand = json_node_member(v, "in_hand");
        const struct str trouble = json_node_text(json_node_member(v, "trouble"));
        printf("%s: %lld in hand%s%.*s\n", name, hand != NULL ? (long long)hand->integer : 0, trouble.n > 0 ? "; " : "",
               STR_ARG(trouble));
    }
    buf_done(&an.body);
    arena_done(&a);
}

/* On a terminal the same place is written again; elsewhere each look is a part of its own. */
static enum cli_exit status(struct cli *c, struct pixl_error *err)
{
    site_auto *s = NULL;
    const bool watch = cli_value(c, "--watch") != NULL, again = watch && !c->json && isatty(STDOUT_FILENO);
    bool ok = open_site(c, &s, err);
    while (ok) {
        char now[CLOCK_ISO_SIZE];
        clock_iso(clock_wall_us(), now);
        if (again)
            printf("\033[H\033[J");
        if (watch && !c->json)
            printf("%.19sZ\n", now);
        ok = status_once(c, s, err);
        if (ok) {
            status_service(c, API_IMAGING, "imaging-api");
            status_service(c, API_EXPORT, "export-api");
        }
        ok = ok && fflush(stdout) == 0;
        if (!watch)
            break;
        (void)poll(NULL, 0, WATCH_S * 1000);
    }
    return ok ? CLI_DONE : CLI_FAILED;
}

static const struct cli_option status_options[] = {
    { "--project", "SLUG", NULL, "only this project" },
    { "--watch", NULL, NULL, "look again every two seconds, until Ctrl-C" },
};
const struct cli_command cli_status = {
    .name = "status",
    .summary = "how many studies are in which state, and why; the rates of archives",
    .usage = "[--project SLUG] [--watch]",
    .text = "Asks the store; may be asked at any time, also while a run is on.\n"
            "Where PIXL_IMAGING_API_HOST or PIXL_EXPORT_API_HOST is set it asks that service too, what it has in hand\n"
            "and what stands in its way.",
    .options = status_options,
    .n_options = ARRAY_LEN(status_options),
    .min_args = 0,
    .max_args = 0,
    .needs_settings = true,
    .run = status,
};

/* --- failed ----------------------------------------------------------------------------------------------------- */

static bool print_image(void *ctx, const struct store_image *i)
{
    json_t *list = ctx;
    if (list != NULL)
        (void)json_array_append_new(list, show_image_json(i));
    else
        show_image(stdout, i);
    return true;
}

/* The broker of the dead letters. */
static bool open_dead(const struct cli *c, struct hint_route *route, struct queue **q, struct pixl_error *err)
{
    bool is_set;
    return hint_route_of(&c->settings, route, &is_set, err) &&
           (is_set || pixl_fail(err, PIXL_E_INVALID, 0, "--dead asks a broker, and PIXL_QUEUE_URL names none")) &&
           dead_connect(route, q, err);
}

static void print_dead(void *ctx, const struct dead_letter *l)
{
    json_t *list = ctx;
    char iso[CLOCK_ISO_SIZE] = "-";
    if (l->buried_us > 0)
        clock_iso(l->buried_us, iso);
    if (list != NULL) {
        (void)json_array_append_new(list, json_pack("{s:s, s:s, s:o, s:o}", "queue", l->queue, "reason", l->reason,
                                                    "at", l->buried_us > 0 ? json_string(iso) : json_null(), "image",
                                                    l->image > 0 ? json_integer((json_int_t)l->image) : json_null()));
        return;
    }
    printf("%-20s %-18s", l->queue, l->reason[0] != '\0' ? l->reason : "-");
    if (l->buried_us > 0)
        printf(" %.19sZ", iso);
    if (l->image > 0)
        printf(" image %" PRId64, l->image);
    printf("\n");
}

static enum cli_exit failed_dead(struct cli *c, struct pixl_error *err)
{
    site_auto *s = NULL;
    queue_auto *q = NULL;
    struct hint_route route;
    uint64_t total = 0;
    json_t *list = c->json ? json_array() : NULL;
    bool ok = open_dead(c, &route, &q, err) && open_site(c, &s, err) &&
              dead_each(s, q, &route, print_dead, list, &total, err);
    if (ok && c->json)
        show_json(json_pack("{s:I, s:O}", "dead", (json_int_t)total, "letters", list));
    else if (ok)
        printf("%" PRIu64 " dead letters\n", total);
    json_decref(list);
    return ok ? CLI_DONE : CLI_FAILED;
}

/* A list that is empty, and what it leaves out, are said: silence reads as an error. */
static void say_how_many(const struct store_counts *n, unsigned listed)
{
    int64_t shown = 0, others = 0;
    for (size_t i = 0; i < STUDY_STATE_COUNT; i++)
        shown += (listed & 1u << i) != 0 ? n->by_state[i] : 0;
    if ((listed & 1u << STUDY_MISSING) == 0)
        others = n->by_state[STUDY_MISSING] + n->by_state[STUDY_SKIPPED];
    if (shown == 0)
        (void)fprintf(stderr, others > 0 ? "none failed or was withheld; " : "none\n");
    if (others > 0)
        (void)fprintf(stderr, "%" PRId64 " more %s missing or skipped: `pixl failed --all` lists them too\n", others,
                      count_word(others, "is", "are"));
}

static enum cli_exit failed(struct cli *c, struct pixl_error *err)
{
    site_auto *s = NULL;
    if (cli_value(c, "--dead") != NULL)
        return failed_dead(c, err);
    const struct store_filter f = {
        .project = project_of(c),
        .states = cli_value(c, "--all") == NULL ? 1u << STUDY_FAILED | 1u << STUDY_WITHHELD
                                                 : 1u << STUDY_FAILED | 1u << STUDY_WITHHELD | 1u << STUDY_MISSING | 1u << STUDY_SKIPPED,
    };
    json_t *list = c->json ? json_array() : NULL;
    struct store_counts n;
    bool ok = open_site(c, &s, err) && projects_check(s, f.project, err) &&
              store_each_image(site_store(s), &f, print_image, list, err) &&
              store_count(site_store(s), f.project, &n, err);
    if (ok && c->json)
        show_json(json_incref(list));
    else if (ok)
        say_how_many(&n, f.states);
    json_decref(list);
    return ok ? CLI_DONE : CLI_FAILED;
}

static const struct cli_option failed_options[] = {
    { "--project", "SLUG", NULL, "only this project" },
    { "--all", NULL, NULL, "also those that are missing or were skipped" },
    { "--dead", NULL, NULL, "list the messages of the broker that meant nothing instead" },
};
const struct cli_command cli_failed = {
    .name = "failed",
    .summary = "list the studies that failed or were withheld, with the reason",
    .usage = "[--project SLUG] [--all] | --dead",
    .text = "A line for each study: its number, project, state, reason, and where (a tag path, never a value).\n"
            "With --dead a line for each dead letter: its queue, the reason, when, and the study that it asks for; "
            "never what is in it.",
    .options = failed_options,
    .n_options = ARRAY_LEN(failed_options),
    .min_args = 0,
    .max_args = 0,
    .needs_settings = true,
    .run = failed,
};

/* --- references ---------------------------------------------------------------------------------------------------- */

enum { REF_MAX = 256 };

/* One reference on stdin: what is an argument stands in the list of processes, which every user of the machine may
 * read, and in the shell's history. */
static bool read_ref(char line[REF_MAX], struct pixl_error *err)
{
    size_t n = 0;
    for (ssize_t r = 1; r > 0 && n < REF_MAX - 1;) {
        do
            r = read(STDIN_FILENO, line + n, REF_MAX - 1 - n);
        while (r < 0 && errno == EINTR);
        if (r < 0)
            return pixl_fail_errno(err, errno, "read the reference");
        n += (size_t)r;
    }
    struct str ref = str_trim((struct str){ line, n });
    if (ref.n == 0 || n == REF_MAX - 1 || memchr(ref.p, '\n', ref.n) != NULL || memchr(ref.p, '\0', ref.n) != NULL)
        return pixl_fail(err, PIXL_E_INVALID, 0, "- reads one reference from stdin, on one line");
    line[n] = '\0';
    return true;
}

/* The studies that a reference of the user names; at least one. */
static bool find(struct site *s, const char *ref, struct arena *a, int64_t **ids, size_t *n, struct pixl_error *err)
{
    char line[REF_MAX] = "";
    bool ok = strcmp(ref, "-") != 0 || read_ref(line, err);
    struct phi_text wanted = phi_text(str_trim(str_of(strcmp(ref, "-") == 0 ? line : ref)));
    ok = ok && store_find_images(site_store(s), wanted, a, ids, n, err);
    explicit_bzero(line, sizeof line);
    return ok && (*n > 0 || pixl_fail(err, PIXL_E_NOT_FOUND, 0,
                                      "no study has that number, pseudo study UID, study UID or accession number"));
}

/* --- retry --------------------------------------------------------------------------------------------------------- */

static bool parse_states(const char *text, unsigned *out, struct pixl_error *err)
{
    struct str rest = str_of(text), word;
    unsigned states = 0;
    for (bool more = true; more; ) {
        enum study_state state, target;
        more = str_split(rest, ',', &word, &rest);
        if (!study_state_parse(str_trim(word), &state) || !study_retry_target(state, STUDY_QUEUED, &target))
            return pixl_fail(err, PIXL_E_INVALID, 0, "--state takes failed, missing, skipped, withheld, held, adopted, joined by commas");
        states |= 1u << state;
    }
    *out = states;
    return true;
}

static enum cli_exit retry_dead(struct cli *c, struct pixl_error *err)
{
    site_auto *s = NULL;
    queue_auto *q = NULL;
    struct hint_route route;
    struct dead_retried n = { 0 };
    bool ok = open_dead(c, &route, &q, err) && site_open(&c->settings, SITE_STORE | SITE_SECRETS, &s, err) &&
              dead_retry(s, q, &route, &n, err);
    if (ok && c->json)
        show_json(json_pack("{s:I, s:I}", "queued_again", (json_int_t)n.again, "left", (json_int_t)n.left));
    else if (ok)
        printf("%" PRId64 " %s, %" PRId64 " still %s nothing\n", n.again,
               count_word(n.again, "message has led to its studies", "messages have led to their studies"), n.left,
               count_word(n.left, "means", "mean"));
    return ok ? CLI_DONE : CLI_FAILED;
}

/* What waits in a spool that is lost goes back to the archive.  Never our own: what is gone of that is noticed. */
static enum cli_exit retry_lost_spool(struct cli *c, const char *name, struct pixl_error *err)
{
    site_auto *s = NULL;
    int64_t n = 0;
    bool ok = open_site(c, &s, err);
    if (ok && (strlen(name) == 0 || strcmp(name, site_spool(s)) == 0))
        ok = pixl_fail(
            err, PIXL_E_INVALID, 0,
            "--lost-spool takes the name of another spool, as `pixl status` shows it; of the zips of this state "
            "directory each that is gone is noticed and made again");
    ok = ok && store_lose_spool(site_store(s), str_of(name), clock_wall_us(), &n, err);
    if (ok && c->json)
        show_json(json_pack("{s:I}", "queued_again", (json_int_t)n));
    else if (ok)
        printf("%" PRId64 " %s in that spool; the archive is asked again\n", n,
               count_word(n, "study had its zip", "studies had their zip"));
    return ok && n > 0 ? CLI_DONE : CLI_FAILED;
}

static enum cli_exit retry(struct cli *c, struct pixl_error *err)
{
    site_auto *s = NULL;
    const char *lost = cli_value(c, "--lost-spool");
    if (cli_value(c, "--dead") != NULL)
        return retry_dead(c, err);
    if (lost != NULL)
        return retry_lost_spool(c, lost, err);
    struct store_filter f = { .project = project_of(c), .states = 1u << STUDY_FAILED };
    struct arena a;
    int64_t *ids = NULL, n = 0;
    size_t n_ids = 0;
    const char *states = cli_value(c, "--state");
    arena_init(&a, 16 << 20);
    if (c->n_args > 0)
        f.states = 0;                        /* a study that is named is taken back whatever its end */
    bool ok = (states == NULL || parse_states(states, &f.states, err)) && open_site(c, &s, err) &&
              projects_check(s, f.project, err) && (c->n_args == 0 || find(s, c->args[0], &a, &ids, &n_ids, err)) &&
              store_retry(site_store(s), &f, ids, n_ids, clock_wall_us(), &n, err);
    if (ok && c->json)
        show_json(json_pack("{s:I}", "queued_again", (json_int_t)n));
    else if (ok)
        printf(n > 0 ? "%lld %s to be worked on again; the services or `pixl run` do it\n"
                     : "%lld %s taken back: nothing there can be (delivered ones stay delivered; `pixl status` shows "
                       "the states)\n",
               (long long)n, n > 0 ? count_word(n, "study waits", "studies wait") : "studies");
    arena_done(&a);
    return ok && (n > 0 || n_ids == 0) ? CLI_DONE : CLI_FAILED;
}

static const struct cli_option retry_options[] = {
    { "--project", "SLUG", NULL, "only this project" },
    { "--dead", NULL, NULL,
      "read the messages of the broker that meant nothing again, as when a project is configured now" },
    { "--lost-spool", "SPOOL", NULL,
      "what waits for its delivery, or is kept, on a machine that is gone for good; SPOOL as `pixl status` names it" },
    { "--state", "STATE,...", NULL,
      "which ends to take back (default: failed; withheld, missing, skipped must be named)" },
};
const struct cli_command cli_retry = {
    .name = "retry",
    .summary = "take failed studies back to work",
    .usage = "[REF] [--project SLUG] [--state STATE,...] | --dead | --lost-spool SPOOL",
    .text = "Without REF every failed study; with REF (number, pseudo study UID, study UID, accession number) that "
            "one, whatever\n"
            "its end but exported and kept. - for REF reads it from stdin, see `pixl trace`.\n"
            "A study that failed in its delivery is delivered from the spool; the archive is not asked again.",
    .options = retry_options,
    .n_options = ARRAY_LEN(retry_options),
    .min_args = 0,
    .max_args = 1,
    .needs_settings = true,
    .run = retry,
};

/* --- trace ---------------------------------------------------------------------------------------------------------- */

static bool print_event(void *ctx, const struct store_event *e)
{
    json_t *list = ctx;
    char iso[CLOCK_ISO_SIZE];
    clock_iso(e->at_us, iso);
    if (list != NULL) {
        (void)json_array_append_new(list, json_pack("{s:s, s:o, s:s, s:s, s:s%, s:I, s:i}", "at", iso,
            "from", e->is_first ? json_null() : json_string(study_state_name(e->from)), "to", study_state_name(e->to),
            "reason", study_reason_name(e->reason), "detail", e->detail.n ? e->detail.p : "", e->detail.n, "fence", (json_int_t)e->fence,
            "attempt", e->attempt));
        return true;
    }
    const struct str detail = show_detail(e->reason, e->detail);
    printf("  %.23sZ  %-13s -> %-13s %s%s%.*s\n", iso, e->is_first ? "(asked for)" : study_state_name(e->from), study_state_name(e->to),
           e->reason == STUDY_WHY_NONE ? "" : study_reason_name(e->reason), detail.n ? " " : "", STR_ARG(detail));
    return true;
}

static void print_facts(const struct store_image *i)
{
    char size[32];
    show_image(stdout, i);
    if (i->reason != STUDY_WHY_NONE)
        printf("  why: %s\n  to do: %s\n", study_reason_text(i->reason), advice_on_reason(i->reason));
    if (i->pseudo_study_uid.n > 0)
        printf("  pseudo study UID: %.*s\n", STR_ARG(i->pseudo_study_uid));
    printf("  instances: %lld found, %lld delivered, %lld left out; zip %s", (long long)i->instances_found,
           (long long)i->instances_delivered, (long long)i->instances_skipped, show_bytes(i->zip_bytes, size));
    if (i->attempts > 0)
        printf("; %d failed %s", i->attempts, count_word(i->attempts, "attempt", "attempts"));
    if (i->crashes > 0)
        printf("; %d %s", i->crashes, count_word(i->crashes, "crash", "crashes"));
    printf("\n");
    const int64_t waits_us = i->not_before_us - clock_wall_us();
    if (waits_us > 0 && waits_us <= STORE_PUT_OFF_MAX_US)
        printf("  it is tried again in %s\n", show_duration(waits_us, size));
}

static bool trace_one(struct site *s, int64_t id, json_t *list, struct pixl_error *err)
{
    struct arena a;
    struct store_image image;
    int64_t skipped[STUDY_REASON_COUNT];
    bool got;
    arena_init(&a, 16 << 20);
    bool ok = store_get_image(site_store(s), id, &a, &got, &image, err) &&
              (got || pixl_fail(err, PIXL_E_NOT_FOUND, 0, "image %" PRId64, id)) &&
              store_get_skipped(site_store(s), id, skipped, err);
    json_t *events = list != NULL ? json_array() : NULL;
    if (ok && list == NULL) {
        print_facts(&image);
        show_skipped(stdout, skipped);
    }
    ok = ok && store_each_event(site_store(s), id, print_event, events, err);
    if (ok && list != NULL) {
        json_t *j = show_image_json(&image);
        (void)json_object_set_new(j, "instances_skipped_by", show_reasons_json(skipped));
        (void)json_object_set(j, "events", events);
        (void)json_array_append_new(list, j);
    }
    json_decref(events);
    arena_done(&a);
    return ok;
}

static enum cli_exit trace(struct cli *c, struct pixl_error *err)
{
    site_auto *s = NULL;
    struct arena a;
    int64_t *ids;
    size_t n = 0;
    arena_init(&a, 16 << 20);
    json_t *list = c->json ? json_array() : NULL;
    bool ok = open_site(c, &s, err) && find(s, c->args[0], &a, &ids, &n, err);
    for (size_t i = 0; ok && i < n; i++)
        ok = trace_one(s, ids[i], list, err);
    if (ok && c->json)
        show_json(json_incref(list));
    json_decref(list);
    arena_done(&a);
    return ok ? CLI_DONE : CLI_FAILED;
}

const struct cli_command cli_trace = {
    .name = "trace", .summary = "the story of one study: every state it was in, when and why", .usage = "REF",
    .text = "REF: the study's number, its pseudo study UID, or (for who knows them) its study UID or accession number.\n"
            "- for REF reads it from stdin: an accession number as an argument stands in the list of processes and in the\n"
            "history of the shell, where others may read it.",
    .min_args = 1, .max_args = 1, .needs_settings = true, .run = trace,
};
