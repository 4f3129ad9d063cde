/* cmd_rate.c - `pixl start`, `update`, `stop`: how fast archives are asked. */
#include <stdio.h>

#include "base/clock.h"
#include "cli/cli.h"
#include "cli/rate.h"
#include "cli/show.h"
#include "http/api_client.h"
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

static enum cli_exit set(struct cli *c, double rate, struct pixl_error *err)
{
    site_auto *s = NULL;
    const char *archive = cli_value(c, "--archive");
    if (api_is_set(&c->settings, API_IMAGING)
            ? !api_set_rate(&c->settings, archive, rate, err)
            : !site_open(&c->settings, SITE_STORE, &s, err) || !rate_set(s, archive, rate, err))
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

static enum cli_exit stop(struct cli *c, struct pixl_error *err)
{
    return set(c, 0, err);
}

#define RATE_TEXT                                                                                                      \
    "The rate is kept in the store, which this command changes itself: it needs no service to be up, and all "         \
    "services\n"                                                                                                       \
    "and runs on the store follow within a second. Where PIXL_IMAGING_API_HOST is set it asks the imaging API there\n" \
    "instead, and needs no store.\n"

static const struct cli_option start_options[] = {
    { "--rate", "R", "PIXL_RATE", "studies per second (start: default PIXL_IMAGING_API_RATE, 1)" },
    { "--archive", "NAME", NULL, "only this archive, by its name in `pixl status`" },
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
    .text = RATE_TEXT "As start, but 0 is allowed.",
    .options = start_options,
    .n_options = ARRAY_LEN(start_options),
    .min_args = 0,
    .max_args = 0,
    .needs_settings = true,
    .run = update,
};

static const struct cli_option stop_options[] = {
    { "--archive", "NAME", NULL, "only this archive, by its name in `pixl status`" },
};
const struct cli_command cli_stop = {
    .name = "stop",
    .summary = "ask archives for nothing more",
    .usage = "[--archive NAME]",
    .text = RATE_TEXT "Studies in hand are finished; deliveries go on.",
    .options = stop_options,
    .n_options = ARRAY_LEN(stop_options),
    .min_args = 0,
    .max_args = 0,
    .needs_settings = true,
    .run = stop,
};
