/* work_hints.c - work by hints: a lane that retrieves takes the rows that messages lead to, and the process stands by to
 * be the dispatcher.
 *
 * A lane's connection belongs to the thread that has its lead, and to the watcher while nobody looks: it keeps the
 * connection alive, and gives back what the broker sent ahead.
 * Rows that no message leads to (suspects, those that no message can tell of, all of them while the broker is away) are
 * taken from the store: suspects always, the others when no hint came for as long as a sweep takes though a row is due. */
#include <assert.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "pipeline/hints.h"
#include "pipeline/work_internal.h"

enum { TAKE_MS = 500, IDLE_US = 2 * 1000000, SERVE_MS = 20 };

struct follower {
    pthread_mutex_t lock; /* guards all of it; held over a look */
    struct hints *hints;
    int64_t used_us, dry_us; /* mono: last look; since when no hint came though a row was due, 0: one did */
};

struct work_hints {
    struct hint_route route;
    struct dispatch *dispatch;
    struct follower of[STORE_ARCHIVES];
};

void work_hints_end(struct work *w)
{
    struct work_hints *x = w->hints;
    if (x == NULL)
        return;
    dispatch_free(x->dispatch);
    for (size_t i = 0; i < STORE_ARCHIVES; i++) {
        hints_free(x->of[i].hints);
        (void)pthread_mutex_destroy(&x->of[i].lock);
    }
    free(x);
    w->hints = NULL;
}

bool work_hints_begin(struct work *w, struct pixl_error *err)
{
    struct hint_route route;
    bool is_set;
    if (!w->options->stays)
        return true; /* a run needs nobody to tell it what it populated itself */
    if (!hint_route_of(site_settings(w->site), &route, &is_set, err))
        return false;
    if (!is_set)
        return true;
    struct work_hints *x = calloc(1, sizeof *x);
    if (x == NULL)
        return pixl_fail(err, PIXL_E_NOMEM, 0, "hints");
    w->hints = x;
    x->route = route;
    for (size_t i = 0; i < STORE_ARCHIVES; i++) {
        int rc = pthread_mutex_init(&x->of[i].lock, NULL);
        assert(rc == 0);
    }
    bool ok = true;
    for (size_t i = 0; ok && i < w->n_lanes; i++)
        ok = w->lanes[i].kind != STORE_WORK_RETRIEVE ||
             hints_new(w->site, &x->route, &x->of[w->lanes[i].which].hints, err);
    ok = ok && dispatch_new(site_store(w->site), &x->route, &x->dispatch, err) && dispatch_start(x->dispatch, err);
    if (!ok)
        work_hints_end(w);
    return ok;
}

struct claiming {
    struct hand *hand;
    struct store_claim claim;
};

static bool claim_image(void *ctx, int64_t image, bool *claimed, struct pixl_error *err)
{
    struct claiming *c = ctx;
    struct hand *h = c->hand;
    c->claim.now_us = clock_wall_us();
    return store_claim_image(site_store(h->lane->work->site), &c->claim, image, &h->arena, claimed, &h->image, err);
}

/* Follows messages until one leads to a row, or none comes. */
static bool follow(struct hand *h, struct follower *f, const struct store_claim *c, bool *got, struct pixl_error *err)
{
    struct work *w = h->lane->work;
    const unsigned archives = c->archives != 0 ? c->archives : (1u << STORE_ARCHIVES) - 1;
    const int64_t until = clock_mono_us() + TAKE_MS * 1000;
    struct claiming claiming = { h, *c };
    enum hints_took what = HINTS_PASSED;
    int64_t left;
    while (what != HINTS_CLAIMED && !work_is_ending(w) && (left = until - clock_mono_us()) > 0)
        if (!hints_take(f->hints, archives, claim_image, &claiming, left / 1000 + 1, &w->stop, &what, err))
            return false;
    *got = what == HINTS_CLAIMED;
    return true;
}

bool work_hints_next(struct hand *h, const struct store_claim *c, bool *got, struct pixl_error *err)
{
    struct work *w = h->lane->work;
    struct work_hints *x = w->hints;
    struct follower *f = &x->of[h->lane->which];
    pthread_mutex_lock(&f->lock);
    bool ok = follow(h, f, c, got, err);
    const int64_t now = clock_mono_us();
    f->used_us = now;
    f->dry_us = !ok || *got || !atomic_load(&h->lane->is_due) ? 0 : f->dry_us != 0 ? f->dry_us : now;
    const bool is_dry = f->dry_us != 0 && now - f->dry_us > x->route.sweep_us;
    pthread_mutex_unlock(&f->lock);
    return ok && is_dry ? store_claim_next(site_store(w->site), c, &h->arena, got, &h->image, err) : ok;
}

static bool claims_nothing(void *ctx, int64_t image, bool *claimed, struct pixl_error *err)
{
    (void)ctx;
    (void)image;
    (void)claimed;
    (void)err;
    assert(false && "nothing is consumed");
    return false;
}

void work_hints_serve(struct work *w)
{
    static const atomic_bool never = false;
    for (size_t i = 0; w->hints != NULL && i < STORE_ARCHIVES; i++) {
        struct follower *f = &w->hints->of[i];
        struct pixl_error err = { 0 };
        enum hints_took what;
        if (f->hints == NULL || pthread_mutex_trylock(&f->lock) != 0)
            continue;
        if (clock_mono_us() - f->used_us > IDLE_US &&
            !hints_take(f->hints, 0, claims_nothing, NULL, SERVE_MS, &never, &what, &err))
            log_event(LOG_WARN, "hints.not_served", "code=%s", pixl_code_name(err.code));
        pthread_mutex_unlock(&f->lock);
    }
}

const char *work_hints_trouble(const struct work *w)
{
    const struct work_hints *x = w->hints;
    for (size_t i = 0; x != NULL && i < STORE_ARCHIVES; i++)
        if (x->of[i].hints != NULL && hints_is_away(x->of[i].hints))
            return "it does not answer (PIXL_QUEUE_URL); `pixl check` tells why";
    return x != NULL && dispatch_state(x->dispatch).is_silent
               ? "it confirms nothing: has it an alarm, of its disk or memory?"
               : NULL;
}
