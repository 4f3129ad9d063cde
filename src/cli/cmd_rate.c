/* cmd_rate.c - `pixl start`, `update`, `stop`: how fast archives are asked. */
#include <inttypes.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/count.h"
#include "cli/cli.h"
#include "cli/rate.h"
#include "cli/show.h"
#include "http/api_client.h"
#include "pipeline/dead.h"
#include "pipeline/purge.h"
#include "pipeline/tokens.h"

bool rate_set(struct site *s, const char *archive, double rate_per_s, struct pixl_error *err)
{
    struct arena a;
    struct str *names;
    size_t n;
    arena_init(&a, 1 << 20);
    bool ok = store_bucket_names(site_store(s), &a, &names, &n, err);
    /* A new store: whoever works there later asks the primary archive at that rate. */
    if (ok && n == 0 && archive == NULL)
        ok = tokens_set_rate(site_store(s), site_archive_name(0), rate_per_s, clock_wall_us(), err);
    else if (ok)
        ok = tokens_set_rates(site_store(s), str_of(archive), rate_per_s, clock_wall_us(), err);
    arena_done(&a);
    return ok;
}

double rate_to_start(const struct settings *set)
{
    return set->rate_per_s >= 0 ? set->rate_per_s : set->start_rate_per_s;
}

/* The archive that --archive names, or --queues, as the Python system has it: a queue for each.  *out NULL: all. */
static bool archive_of(const struct cli *c, const char **out, struct pixl_error *err)
{
    static const char *const queues[] = { "imaging", "imaging-primary", "imaging-secondary" };
    const char *list = cli_value(c, "--queues");
    struct str one, rest = str_of(list);
    unsigned named = 0;
    *out = cli_value(c, "--archive");
    if (list == NULL)
        return true;
    if (*out != NULL)
        return pixl_fail(err, PIXL_E_INVALID, 0, "--queues and --archive say the same; give one of them");
    for (bool more = true; more;) {
        size_t i = 0;
        more = str_split(rest, ',', &one, &rest);
        while (i < ARRAY_LEN(queues) && !str_eq(str_trim(one), str_of(queues[i])))
            i++;
        if (i == ARRAY_LEN(queues))
            return pixl_fail(err, PIXL_E_INVALID, 0, "--queues takes imaging, imaging-primary and imaging-secondary, joined by commas");
        named |= 1u << i;
    }
    *out = named == 1u << 1 ? site_archive_name(0) : named == 1u << 2 ? site_archive_name(1) : NULL;
    return true;
}

static bool set_quietly(struct cli *c, const char *archive, double rate, struct pixl_error *err)
{
    site_auto *s = NULL;
    if (api_is_set(&c->settings, API_IMAGING))
        return api_set_rate(&c->settings, archive, rate, err);
    return site_open(&c->settings, SITE_STORE, &s, err) && rate_set(s, archive, rate, err);
}

static enum cli_exit set(struct cli *c, double rate, struct pixl_error *err)
{
    const char *archive;
    if (!archive_of(c, &archive, err) || !set_quietly(c, archive, rate, err))
        return CLI_FAILED;
    if (c->json)
        show_json(json_pack("{s:f}", "rate", rate));
    else
        printf("%s: %g studies/s\n", archive != NULL ? archive : "all archives", rate);
    return CLI_DONE;
}

static enum cli_exit start(struct cli *c, struct pixl_error *err)
{
    const double rate = rate_to_start(&c->settings);
    if (rate <= 0) {
        pixl_fail(err, PIXL_E_INVALID, 0, RATE_OF_ZERO);
        return CLI_FAILED;
    }
    return set(c, rate, err);
}

static enum cli_exit update(struct cli *c, struct pixl_error *err)
{
    if (cli_value(c, "--rate") == NULL) {
        pixl_fail(err, PIXL_E_INVALID, 0, "which rate? give --rate R (studies per second; 0 stops)");
        return CLI_FAILED;
    }
    return set(c, c->settings.rate_per_s, err);
}

/* A broker that is away keeps messages that lead to nothing: said, and exit 1. */
static bool purge(struct cli *c, struct purged *out, struct pixl_error *err)
{
    site_auto *s = NULL;
    queue_auto *q = NULL;
    struct hint_route route;
    struct pixl_error away = { 0 };
    bool is_set;
    if (!hint_route_of(&c->settings, &route, &is_set, err) || !site_open(&c->settings, SITE_STORE | SITE_LOOKS, &s, err))
        return false;
    bool has_way = is_set && dead_connect(&route, &q, &away);
    if (!purge_queued(site_store(s), q, &route, out, err))
        return false;
    if (is_set && !has_way)
        out->broker = away;
    return true;
}

static enum cli_exit stop_and_purge(struct cli *c, struct pixl_error *err)
{
    struct purged p = { .held = 0 };
    if (cli_value(c, "--archive") != NULL || cli_value(c, "--queues") != NULL) {
        pixl_fail(err, PIXL_E_INVALID, 0, "--purge is for all that waits: it goes with neither --archive nor --queues");
        return CLI_FAILED;
    }
    if (api_is_set(&c->settings, API_IMAGING) && strncmp(c->settings.store_url, "sqlite:", 7) == 0) {
        pixl_fail(err, PIXL_E_INVALID, 0,
                  "PIXL_IMAGING_API_HOST names a service whose store is not the one here (%s): run this where its store is",
                  c->settings.store_url + 7);
        return CLI_FAILED;
    }
    if (!set_quietly(c, NULL, 0, err) || !purge(c, &p, err))
        return CLI_FAILED;
    if (c->json)
        show_json(json_pack("{s:f, s:I, s:I}", "rate", 0.0, "held", (json_int_t)p.held, "messages", (json_int_t)p.messages));
    else
        printf("all archives: 0 studies/s; %" PRId64
               " waiting %s on hold now (`pixl retry --state held` lets them go on), %" PRIu64 " %s thrown away\n",
               p.held, count_word(p.held, "study is", "studies are"), p.messages,
               count_word((int64_t)p.messages, "message was", "messages were"));
    if (p.broker.code == PIXL_OK)
        return CLI_DONE;
    *err = p.broker;
    (void)pixl_wrap(err, "the studies are on hold, but not all messages were thrown away (they lead to nothing)");
    return CLI_FAILED;
}

static enum cli_exit stop(struct cli *c, struct pixl_error *err)
{
    return cli_value(c, "--purge") != NULL ? stop_and_purge(c, err) : set(c, 0, err);
}

#define RATE_TEXT                                                                                                      \
    "The rate is kept in the store, which this command changes itself: it needs no service to be up, and all "         \
    "services\n"                                                                                                       \
    "and runs on the store follow within a second. Where PIXL_IMAGING_API_HOST is set it asks the imaging API there\n" \
    "instead, and needs no store."

static const struct cli_option start_options[] = {
    { "--rate", "R", "PIXL_RATE", "studies per second (start: default PIXL_IMAGING_API_RATE, 1)" },
    { "--archive", "NAME", NULL, "only this archive, by its name in `pixl status`" },
    { "--queues", "LIST", NULL, "the same in the words of the Python system: imaging-primary, imaging-secondary, imaging (all)" },
};
const struct cli_command cli_start = {
    .name = "start",
    .summary = "let archives be asked, so many studies per second",
    .usage = "[--rate R] [--archive NAME]",
    .text = RATE_TEXT,
    .options = start_options,
    .n_options = ARRAY_LEN(start_options),
    .min_args = 0,
    .max_args = 0,
    .needs_settings = true,
    .run = start,
};
const struct cli_command cli_update = {
    .name = "update",
    .summary = "change the rate of archives",
    .usage = "--rate R [--archive NAME]",
    .text = RATE_TEXT "\nAs start, but 0 is allowed.",
    .options = start_options,
    .n_options = ARRAY_LEN(start_options),
    .min_args = 0,
    .max_args = 0,
    .needs_settings = true,
    .run = update,
};

static const struct cli_option stop_options[] = {
    { "--archive", "NAME", NULL, "only this archive, by its name in `pixl status`" },
    { "--queues", "LIST", NULL, "the same in the words of the Python system: imaging-primary, imaging-secondary, imaging (all)" },
    { "--purge", NULL, NULL, "also put all studies that wait on hold, and empty the queue" },
};
const struct cli_command cli_stop = {
    .name = "stop",
    .summary = "ask archives for nothing more",
    .usage = "[--archive NAME] | --purge",
    .text = RATE_TEXT
    "\nStudies in hand are finished; deliveries go on. With --purge what waits for its retrieval is put on\n"
    "hold (state held), and nothing of it is worked on until `pixl retry --state held` or a populate names it.",
    .options = stop_options,
    .n_options = ARRAY_LEN(stop_options),
    .min_args = 0,
    .max_args = 0,
    .needs_settings = true,
    .run = stop,
};
