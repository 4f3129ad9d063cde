/* cmd_worker.c - `pixl worker`: a service that works off what the store holds, for as long as it lives. */
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "cli/cli.h"
#include "cli/show.h"

static bool parse_only(const struct cli *c, unsigned *does, struct pixl_error *err)
{
    const char *only = cli_value(c, "--only");
    *does = WORK_RETRIEVES | WORK_DELIVERS;
    if (only == NULL)
        return true;
    *does = strcmp(only, "retrieve") == 0 ? WORK_RETRIEVES : WORK_DELIVERS;
    return *does == WORK_RETRIEVES || strcmp(only, "deliver") == 0 ||
           pixl_fail(err, PIXL_E_INVALID, 0, "--only takes retrieve or deliver");
}

static enum cli_exit work(struct cli *c, struct pixl_error *err)
{
    site_auto *s = NULL;
    struct show_progress line;
    enum work_end end;
    struct work_options o = { .stays = true, .program = c->program, .progress = show_work, .ctx = &line };
    show_progress_init(&line);
    if (!parse_only(c, &o.does, err))
        return CLI_FAILED;
    unsigned flags = SITE_SERVES | SITE_SECRETS | SITE_STORE | (o.does & WORK_RETRIEVES ? SITE_ARCHIVE : 0u);
    if (!site_open(&c->settings, flags, &s, err))
        return CLI_FAILED;
    sigset_t signals;
    (void)sigemptyset(&signals);
    (void)sigaddset(&signals, SIGINT);
    (void)sigaddset(&signals, SIGTERM);
    (void)pthread_sigmask(SIG_BLOCK, &signals, NULL); /* one that comes before work begins waits for it */
    log_event(LOG_INFO, "worker.began", "spool=%s retrieves=%d delivers=%d", site_spool(s),
              (o.does & WORK_RETRIEVES) != 0, (o.does & WORK_DELIVERS) != 0);
    bool ok = work_run(s, &o, &end, err);
    show_end_line(&line);
    if (ok)
        log_event(LOG_INFO, "worker.ended", "spool=%s", site_spool(s));
    return ok ? CLI_DONE : CLI_FAILED;
}

static const struct cli_option worker_options[] = {
    { "--only", "WHAT", NULL,
      "retrieve: from the archives into the spool; deliver: from the spool to the destinations" },
    { "--archive", "URL", "PIXL_ARCHIVE_URL", "where the images are, for example directory:/path/to/dicom" },
    { "--workers", "N", "PIXL_WORKERS", "studies de-identified at once (default: two per core)" },
};
const struct cli_command cli_worker = {
    .name = "worker",
    .summary = "a service: retrieve and deliver what the store holds, until it is told to stop",
    .usage = "[--only retrieve|deliver] ...",
    .text = "Any number may work on one store: on one machine they share a state directory, on several machines each "
            "has its\n"
            "own, and the store is a PostgreSQL server. The rate of an archive holds for all of them together.\n"
            "SIGTERM: takes nothing more, finishes what it has in hand, gives back after PIXL_STOP_S what is left, "
            "ends with 0.\n"
            "`pixl run` does not work beside it on the same state directory; populate, status, retry and others do.",
    .options = worker_options,
    .n_options = ARRAY_LEN(worker_options),
    .min_args = 0,
    .max_args = 0,
    .needs_settings = true,
    .is_supervised = true,
    .run = work,
};
