#include "hints.h"

#include <assert.h>
#include <poll.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "pipeline/metrics.h"

enum {
    ANSWER_MS = 10 * 1000,
    COUNT_MS = 1000,
    PAUSE_MIN_MS = 250,
    PAUSE_MAX_MS = 30 * 1000,
    COUNT_EVERY_US = 10 * 1000000
};
#define ARENA_BYTES ((size_t)8 << 20)

struct hints {
    struct site *site;
    const struct hint_route *route;
    struct queue *queue;
    unsigned consumed;  /* archives whose queues are */
    struct arena arena; /* of one message */
    bool was_said;      /* that the broker is away */
    atomic_bool is_away;
    int64_t pause_ms, next_us;
    int64_t next_count_us; /* mono: of the messages in the queues, for who watches */
};

/* --- what a message says ----------------------------------------------------------------------------------------- */

const char *hint_reason_name(enum hint_reason r)
{
    static const char *const names[] = {
        [HINT_GOOD] = "good",
        [HINT_TOO_LONG] = "too-long",
        [HINT_NOT_JSON] = "not-json",
        [HINT_INVALID_FIELD] = "invalid-field",
        [HINT_UNKNOWN_TYPE] = "unknown-type",
        [HINT_UNKNOWN_ZONE] = "unknown-zone",
        [HINT_UNKNOWN_PROJECT] = "unknown-project",
        [HINT_UNUSABLE_PROJECT] = "unusable-project",
        [HINT_TOO_MANY_SERIES] = "too-many-series",
    };
    return names[r];
}

static bool bury_as(enum hint_reason why, enum hint_reason *reason, struct pixl_error *err)
{
    pixl_error_clear(err);
    *reason = why;
    return true;
}

static bool decode(struct phi_text body, struct arena *a, struct study_request *r, enum hint_reason *reason,
                   struct pixl_error *err)
{
    if (message_decode(body, &MESSAGE_LIMITS_DEFAULT, a, r, err))
        return true;
    switch (err->code) {
    case PIXL_E_CORRUPT: return bury_as(HINT_NOT_JSON, reason, err);
    case PIXL_E_LIMIT: return bury_as(HINT_TOO_LONG, reason, err);
    case PIXL_E_INVALID: return bury_as(HINT_INVALID_FIELD, reason, err);
    case PIXL_E_UNSUPPORTED: return bury_as(HINT_UNKNOWN_TYPE, reason, err);
    case PIXL_E_NOT_FOUND: return bury_as(HINT_UNKNOWN_ZONE, reason, err);
    default: return false;
    }
}

/* Errors that pass: of them nothing follows about the message.  Not a file that cannot be read: it would end each worker that meets the
 * message, while as a dead letter it waits for `pixl retry --dead`. */
static bool may_pass(enum pixl_code code)
{
    return code == PIXL_E_NOMEM || code == PIXL_E_UNAVAILABLE || code == PIXL_E_BUSY || code == PIXL_E_NO_SPACE ||
           code == PIXL_E_CANCELLED;
}

/* Keys and salt are made ready before the first row, as in a populate. */
static bool check_project(struct site *s, struct str slug, enum hint_reason *reason, struct pixl_error *err)
{
    struct project *config = NULL;
    struct site_project *ignored;
    const char *dir = site_settings(s)->project_configs_dir;
    if (!project_load(dir, slug, &config, err)) {
        if (err->code == PIXL_E_NOT_FOUND && !project_any(dir)) {
            pixl_error_clear(err);
            return pixl_fail(err, PIXL_E_UNAVAILABLE, 0, "there is no project in %s: is it mounted?", dir);
        }
        return !may_pass(err->code) &&
               bury_as(err->code == PIXL_E_NOT_FOUND ? HINT_UNKNOWN_PROJECT : HINT_UNUSABLE_PROJECT, reason, err);
    }
    project_free(config);
    if (site_project(s, slug, false, &ignored, err))
        return true;
    return !may_pass(err->code) && bury_as(HINT_UNUSABLE_PROJECT, reason, err);
}

static bool make_row(struct site *s, const struct study_request *r, enum hint_reason *reason, struct pixl_error *err)
{
    struct store_populate *p = NULL;
    struct pixl_error end = { 0 };
    enum store_added what = STORE_KNOWN;
    if (!store_populate_begin(site_store(s), false, &p, err))
        return false;
    bool ok = store_populate_add(p, r, clock_wall_us(), &what, NULL, err);
    bool ended = store_populate_end(p, &end);
    if (ok && !ended)
        *err = end;
    if (!ok || !ended)
        return false;
    if (what == STORE_TOO_MANY_SERIES)
        *reason = HINT_TOO_MANY_SERIES;
    return true;
}

bool hint_rows_of(struct site *s, struct phi_text body, bool may_make, int priority, struct arena *a, int64_t **images,
                  size_t *n, enum hint_reason *reason, struct pixl_error *err)
{
    struct study_request r;
    enum hint_reason why = HINT_GOOD;
    int64_t *ids = NULL;
    size_t n_ids = 0;
    if (!decode(body, a, &r, &why, err))
        return false;
    if (why == HINT_GOOD && !store_find_asked(site_store(s), &r, a, &ids, &n_ids, err))
        return false;
    if (why == HINT_GOOD && n_ids == 0 && may_make) {
        r.priority = priority;
        if (!check_project(s, r.project, &why, err) || (why == HINT_GOOD && !make_row(s, &r, &why, err)) ||
            (why == HINT_GOOD && !store_find_asked(site_store(s), &r, a, &ids, &n_ids, err)))
            return false;
    }
    *images = ids;
    *n = n_ids;
    *reason = why;
    return true;
}

/* --- the broker -------------------------------------------------------------------------------------------------- */

/* What is in flight is given back. */
static void disconnect(struct hints *h)
{
    queue_close(h->queue);
    h->queue = NULL;
    h->consumed = 0;
}

static void tell_counts(struct hints *h, const int64_t ready[STORE_ARCHIVES])
{
    for (int a = 0; a < STORE_ARCHIVES; a++)
        metrics_set_queue(site_metrics(h->site), a, h->route->queues[a], ready[a]);
}

/* Depths for the metrics.  A queue that is not there yet has none. */
static bool count_messages(struct hints *h, const atomic_bool *cancel, struct pixl_error *err)
{
    int64_t ready[STORE_ARCHIVES];
    const int64_t now = clock_mono_us();
    if (now < h->next_count_us)
        return true;
    for (int a = 0; a < STORE_ARCHIVES; a++) {
        const struct queue_wait w = queue_wait_ms(COUNT_MS, cancel); /* the watcher of leases may be who asks */
        uint64_t n = 0;
        ready[a] = -1;
        if (queue_depth(h->queue, h->route->queues[a], &w, &n, err))
            ready[a] = n < INT64_MAX ? (int64_t)n : INT64_MAX;
        else if (err->code != PIXL_E_NOT_FOUND)
            return false;
        pixl_error_clear(err);
    }
    tell_counts(h, ready);
    h->next_count_us = now + COUNT_EVERY_US;
    return true;
}

static void broker_failed(struct hints *h, struct pixl_error *err)
{
    if (err->code != PIXL_E_CANCELLED && h->pause_ms == 0) {
        static const int64_t unknown[STORE_ARCHIVES] = { -1, -1 };
        tell_counts(h, unknown);
        metrics_set_breaker(site_metrics(h->site), "broker", true);
        h->next_count_us = 0;
    }
    if (err->code != PIXL_E_CANCELLED) {
        if (!h->was_said)
            log_event(LOG_WARN, "hints.wait", "for=broker code=%s error=%s", pixl_code_name(err->code), err->msg);
        h->was_said = true;
        atomic_store(&h->is_away, true);
        h->pause_ms = h->pause_ms == 0 ? PAUSE_MIN_MS : h->pause_ms * 2 < PAUSE_MAX_MS ? h->pause_ms * 2 : PAUSE_MAX_MS;
        h->next_us = clock_mono_us() + h->pause_ms * 1000;
    }
    pixl_error_clear(err);
    if (h->queue != NULL && !queue_is_connected(h->queue))
        disconnect(h);
}

static void broker_answered(struct hints *h)
{
    if (h->was_said)
        log_event(LOG_INFO, "hints.go_on", "after=broker");
    if (h->pause_ms > 0)
        metrics_set_breaker(site_metrics(h->site), "broker", false);
    h->was_said = false;
    atomic_store(&h->is_away, false);
    h->pause_ms = h->next_us = 0;
}

bool hints_is_away(const struct hints *h)
{
    return atomic_load(&h->is_away);
}

/* Consumes the queues of these archives, and no others. */
static bool consume(struct hints *h, unsigned archives, const atomic_bool *cancel, struct pixl_error *err)
{
    for (unsigned a = 0; a < STORE_ARCHIVES; a++) {
        const unsigned bit = 1u << a;
        const struct queue_wait w = queue_wait_ms(ANSWER_MS, cancel);
        if ((archives & bit) == (h->consumed & bit))
            continue;
        if (!(archives & bit ? queue_consume_start(h->queue, h->route->queues[a], 1, &w, err)
                             : queue_consume_stop(h->queue, h->route->queues[a], &w, err)))
            return false;
        h->consumed ^= bit;
    }
    return true;
}

static bool connect_broker(struct hints *h, const atomic_bool *cancel, struct pixl_error *err)
{
    const struct queue_options o = { .queue_per_priority = h->route->queue_per_priority };
    const struct queue_wait w = queue_wait_ms(ANSWER_MS, cancel);
    if (h->queue != NULL)
        return true;
    if (queue_open(str_of(h->route->url), &o, &w, &h->queue, err))
        return true;
    h->queue = NULL;
    return false;
}

static void rest_until(int64_t until_us, const atomic_bool *cancel)
{
    for (int64_t left; !atomic_load(cancel) && (left = until_us - clock_mono_us()) > 0;)
        (void)poll(NULL, 0, left < 50000 ? (int)(left / 1000) + 1 : 50);
}

/* A message, if one comes.  false: none, for whatever reason. */
static bool next_delivery(struct hints *h, unsigned archives, int64_t until_us, const atomic_bool *cancel,
                          struct queue_delivery *d)
{
    struct pixl_error err = { 0 };
    const struct queue_wait w = { until_us, cancel };
    bool got = false;
    if (h->next_us > until_us || atomic_load(cancel)) {
        if (h->queue == NULL || !queue_pump(h->queue, &w, &err))
            rest_until(until_us, cancel);
        return false;
    }
    rest_until(h->next_us, cancel);
    bool ok = connect_broker(h, cancel, &err) && count_messages(h, cancel, &err) &&
              consume(h, archives, cancel, &err) &&
              (archives == 0 ? queue_pump(h->queue, &w, &err) : queue_take(h->queue, &w, &got, d, &err));
    if (ok) {
        broker_answered(h);
        return got;
    }
    const bool is_gone = err.code == PIXL_E_NOT_FOUND; /* a queue was deleted, or is not made yet */
    broker_failed(h, &err);
    if (is_gone)
        disconnect(h);
    rest_until(until_us, cancel);
    return false;
}

/* A settlement that does not get through is none: the message comes again. */
static void settle_delivery(struct hints *h, const struct queue_delivery *d, enum queue_verdict v, const char *reason)
{
    struct pixl_error err = { 0 };
    const struct queue_wait w = queue_wait_ms(ANSWER_MS, NULL);
    if (queue_settle(h->queue, d->tag, v, reason, &w, &err))
        return;
    broker_failed(h, &err);
    disconnect(h); /* so that the broker has it back */
}

/* --- following --------------------------------------------------------------------------------------------------- */

static bool follow(struct hints *h, const struct queue_delivery *d, hints_claim_fn *claim, void *ctx,
                   enum hints_took *what, enum hint_reason *reason, struct pixl_error *err)
{
    int64_t *images;
    size_t n;
    const int priority = d->priority >= 1 && d->priority <= QUEUE_PRIORITY_MAX ? (int)d->priority : 1;
    if (d->cut) {
        *reason = HINT_TOO_LONG;
        *what = HINTS_BURIED;
        return true;
    }
    if (!hint_rows_of(h->site, d->body, true, priority, &h->arena, &images, &n, reason, err))
        return false;
    *what = *reason == HINT_GOOD ? HINTS_PASSED : HINTS_BURIED;
    for (size_t i = 0; i < n && *what == HINTS_PASSED; i++) {
        bool claimed = false;
        if (!claim(ctx, images[i], &claimed, err))
            return false;
        if (claimed)
            *what = HINTS_CLAIMED;
    }
    return true;
}

bool hints_take(struct hints *h, unsigned archives, hints_claim_fn *claim, void *ctx, int64_t wait_ms,
                const atomic_bool *cancel, enum hints_took *what, struct pixl_error *err)
{
    struct queue_delivery d;
    enum hint_reason reason = HINT_GOOD;
    assert(err->code == PIXL_OK && archives < 1u << STORE_ARCHIVES);
    *what = HINTS_NOTHING;
    if (!next_delivery(h, archives, clock_mono_us() + wait_ms * 1000, cancel, &d))
        return true;
    arena_reset(&h->arena);
    if (!follow(h, &d, claim, ctx, what, &reason, err)) {
        *what = HINTS_NOTHING;
        settle_delivery(h, &d, QUEUE_REQUEUE, NULL);
        return false;
    }
    if (*what == HINTS_BURIED)
        log_event(LOG_WARN, "hint.buried", "queue=%.*s reason=%s", STR_ARG(d.queue), hint_reason_name(reason));
    settle_delivery(h, &d, *what == HINTS_BURIED ? QUEUE_DEAD : QUEUE_ACK,
                    *what == HINTS_BURIED ? hint_reason_name(reason) : NULL);
    return true;
}

bool hints_new(struct site *s, const struct hint_route *route, struct hints **out, struct pixl_error *err)
{
    struct hints *h = calloc(1, sizeof *h);
    if (h == NULL)
        return pixl_fail(err, PIXL_E_NOMEM, 0, "hints");
    h->site = s;
    h->route = route;
    arena_init(&h->arena, ARENA_BYTES);
    *out = h;
    return true;
}

void hints_free(struct hints *h)
{
    if (h == NULL)
        return;
    queue_close(h->queue);
    arena_done(&h->arena);
    free(h);
}

void hints_use(struct hints *h, struct queue *q)
{
    disconnect(h);
    h->queue = q;
}
