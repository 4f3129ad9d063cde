#include "work.h"

#include <assert.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "pipeline/spool.h"
#include "pipeline/work_internal.h"

/* --- waiting ---------------------------------------------------------------------------------------------------------- */

void work_wake_all(struct work *w)
{
    pthread_mutex_lock(&w->lock);
    pthread_cond_broadcast(&w->changed);
    for (size_t i = 0; work_is_ending(w) && i < w->n_lanes; i++)
        pthread_cond_broadcast(&w->lanes[i].turn);
    pthread_mutex_unlock(&w->lock);
}

void work_wait_locked(struct work *w, int64_t mono_us)
{
    struct timespec t = { .tv_sec = mono_us / SECOND_US, .tv_nsec = mono_us % SECOND_US * 1000 };
    if (!work_is_ending(w))
        (void)pthread_cond_timedwait(&w->changed, &w->lock, &t);
}

void work_wait_until(struct work *w, int64_t mono_us)
{
    pthread_mutex_lock(&w->lock);
    work_wait_locked(w, mono_us);
    pthread_mutex_unlock(&w->lock);
}

void work_end_badly(struct work *w, const struct pixl_error *err)
{
    pthread_mutex_lock(&w->lock);
    if (!w->failed) {
        w->failed = true;
        w->fatal = *err;
    }
    pthread_mutex_unlock(&w->lock);
    atomic_store(&w->stop, true);
    work_wake_all(w);
}

bool work_passes(const struct pixl_error *err)
{
    return err->code == PIXL_E_NO_SPACE || err->code == PIXL_E_BUSY || err->code == PIXL_E_UNAVAILABLE;
}

bool pass_take(struct work *w, struct breaker *b, const char *what, struct pass *p)
{
    *p = (struct pass){ .work = w, .breaker = b, .what = what };
    return breaker_allows(b, clock_mono_us(), &p->is_probe);
}

void pass_unused(struct pass *p)
{
    if (p->breaker != NULL)
        breaker_unused(p->breaker, p->is_probe);
    p->breaker = NULL;
}

void pass_report(struct pass *p, bool worked, const struct pixl_error *why)
{
    if (p->breaker != NULL && breaker_report(p->breaker, p->is_probe, worked, why, clock_mono_us())) {
        metrics_set_breaker(site_metrics(p->work->site), p->what, !worked);
        if (worked)
            log_event(LOG_INFO, "breaker.closed", "what=%s", p->what);
        else
            log_event(LOG_WARN, "breaker.opened", "what=%s code=%s error=%s", p->what, pixl_code_name(why->code), why->msg);
    }
    p->breaker = NULL;
}

/* --- settling ---------------------------------------------------------------------------------------------------------- */

bool work_spool_is_full(struct work *w)
{
    int64_t max = site_settings(w->site)->spool_max_mib << 20;
    pthread_mutex_lock(&w->lock);
    bool full = max > 0 && w->spool_bytes >= max;
    pthread_mutex_unlock(&w->lock);
    return full;
}

void work_note_settled(struct work *w, const struct store_image *image, const struct extract_result *r, const struct settled *s)
{
    const bool delivering = image->state == STUDY_DELIVERING;
    enum study_state from = delivering ? STUDY_DEIDENTIFIED : STUDY_QUEUED;
    pthread_mutex_lock(&w->lock);
    if (!s->lost) {
        w->progress.by_state[from]--;
        w->progress.by_state[s->state]++;
        if (study_state_is_end(s->state))
            w->progress.done_here++;
        if (s->state == STUDY_DEIDENTIFIED && !delivering) {
            w->progress.instances += r->delivered;
            w->progress.bytes += r->zip_bytes;
            w->spool_bytes += r->zip_bytes;
        }
        if (delivering && s->state != STUDY_DEIDENTIFIED)
            w->spool_bytes -= image->zip_bytes < w->spool_bytes ? image->zip_bytes : w->spool_bytes;
        if (s->state != from)
            w->last_moved_us = clock_mono_us();
    }
    pthread_cond_broadcast(&w->changed);
    pthread_mutex_unlock(&w->lock);
}

/* Is it worth trying on to write what became of a row?  A service does so beyond its lease: the work is done, and the fence tells whether
 * the row is still its own. */
static bool goes_on(struct hand *h, const struct pixl_error *err, int64_t until_us)
{
    struct work *w = h->lane->work;
    if (!work_passes(err) || atomic_load(&w->cancel))
        return false;
    return w->options->stays || (!work_is_ending(w) && clock_mono_us() < until_us && !extract_must_end(&h->x));
}

void work_settle(struct hand *h, const struct extract_result *r, struct breaker *b)
{
    struct work *w = h->lane->work;
    /* Longer than the breaker's pause, so that its next probe takes another row: one bad row holds up nobody. */
    int64_t hold_us = b != NULL ? 8 * breaker_pause_us(b) : SECOND_US;
    if (hold_us > 600 * SECOND_US)
        hold_us = 600 * SECOND_US;
    struct settled s;
    const int64_t until = clock_mono_us() + w->options->patience_us;
    for (;;) {
        struct pixl_error err = { 0 };
        if (settle(w->site, &h->image, r, clock_wall_us(), hold_us, &s, &err)) {
            work_note_settled(w, &h->image, r, &s);
            return;
        }
        if (!goes_on(h, &err, until)) {
            /* The process ends, and the row stays claimed until its lease does. */
            log_event(LOG_ERROR, "study.not_settled", "image=%lld error=%s", (long long)h->image.id, err.msg);
            if (!w->options->stays || !work_passes(&err))
                work_end_badly(w, &err);
            return;
        }
        pass_report(&(struct pass){ .work = w, .breaker = &w->store, .what = "store" }, false, &err);
        work_wait_until(w, clock_mono_us() + SECOND_US);
    }
}

/* --- the whole -------------------------------------------------------------------------------------------------------------- */

/* Alone on this state directory: what earlier processes had in hand is nobody's, and what they left in the spool can be judged.  Beside
 * others only what was not prolonged is taken back. */
static bool take_over(struct work *w, struct pixl_error *err)
{
    struct site *s = w->site;
    const bool alone = site_is_alone(s);
    int64_t recovered;
    if (!store_recover_claims(site_store(s), site_owner(s), alone ? site_owners_here(s) : NULL, clock_wall_us(), &recovered, err))
        return pixl_wrap(err, "claims of an earlier run");
    if (recovered > 0)
        log_event(LOG_WARN, "claims.recovered", "n=%lld", (long long)recovered);
    if (alone && !spool_sweep(s, &w->spool_bytes, err))
        return false;
    return !w->options->stays || site_let_others_in(s, err);
}

static bool begin(struct work *w, struct pixl_error *err)
{
    const unsigned does = w->options->does ? w->options->does : WORK_RETRIEVES | WORK_DELIVERS;
    struct store_counts counts;
    if (!take_over(w, err) || !store_count(site_store(w->site), (struct str){ 0 }, &counts, err))
        return false;
    for (size_t i = 0; i < STUDY_STATE_COUNT; i++) {
        w->progress.by_state[i] = counts.by_state[i];
        w->progress.total += counts.by_state[i];
    }
    w->progress.rate_per_s = -1;
    for (int i = 0; i < STORE_ARCHIVES; i++)
        if ((does & WORK_RETRIEVES) && site_archive(w->site, i) != NULL)
            work_retrieves(w, &w->lanes[w->n_lanes++], i);
    if (does & WORK_DELIVERS)
        work_delivers(w, &w->lanes[w->n_lanes++]);
    lease_begin(&w->lease, clock_mono_us(), site_settings(w->site)->lease_s * SECOND_US);
    return true;
}

/* Working on in a state directory that was taken away would forget all that is done. */
static void check_state(struct work *w)
{
    struct pixl_error err = { 0 };
    if (work_is_ending(w) || site_has_lock(w->site))
        return;
    pixl_fail(&err, PIXL_E_IO, 0, "the state directory was removed or replaced while it was in use");
    work_end_badly(w, &err);
}

/* What the watcher does now and then; all times monotonic. */
struct watch {
    int64_t began_us, ask_us, recover_us, stop_us, expire_us;
    bool is_failing, has_lapsed; /* of leases, since they were prolonged last */
};

static bool renew(struct work *w, int64_t lease_us, struct pixl_error *err)
{
    struct arena a;
    int64_t *images;
    size_t n;
    arena_init(&a, 1 << 20);
    bool ok = held_images(site_held(w->site), &a, &images, &n, err) &&
              store_renew_claims(site_store(w->site), site_owner(w->site), images, n, clock_wall_us() + lease_us, err);
    arena_done(&a);
    return ok;
}

/* Prolongs all claims at a third of their time; when that failed, every second.  A night without the store is told in a few lines. */
static void keep_leases(struct work *w, struct watch *t)
{
    const int64_t lease_us = site_settings(w->site)->lease_s * SECOND_US, now = clock_mono_us();
    struct pixl_error err = { 0 };
    if (lease_look(&w->lease, now)) {
        if (!t->has_lapsed)
            log_event(LOG_WARN, "claims.lapsed", "what was in hand is given up");
        t->has_lapsed = true;
        work_wake_all(w);
        t->ask_us = now;
    }
    if (now < t->ask_us)
        return;
    if (renew(w, lease_us, &err)) {
        lease_prolonged(&w->lease, now, lease_us);
        t->ask_us = now + lease_us / 3;
        if (t->is_failing)
            log_event(LOG_INFO, "claims.renewed", "lapsed=%s", t->has_lapsed ? "yes" : "no");
        t->is_failing = t->has_lapsed = false;
    } else {
        if (!t->is_failing)
            log_event(LOG_WARN, "claims.not_renewed", "code=%s", pixl_code_name(err.code));
        t->is_failing = true;
        t->ask_us = now + SECOND_US;
    }
}

/* Claims of processes that are no more, and our own that are in no hand. */
static void take_back(struct work *w, struct watch *t)
{
    int64_t n = 0;
    struct pixl_error err = { 0 };
    if (clock_mono_us() < t->recover_us)
        return;
    /* While our own could not be prolonged, they would be taken from our hands. */
    if (!lease_holds(&w->lease, atomic_load(&w->lease.epoch), clock_mono_us()))
        return;
    t->recover_us = clock_mono_us() + site_settings(w->site)->lease_s * SECOND_US / 3;
    if (store_recover_claims(site_store(w->site), site_owner(w->site), NULL, clock_wall_us(), &n, &err) && n > 0) {
        log_event(LOG_WARN, "claims.recovered", "n=%lld", (long long)n);
        work_wake_all(w);
    }
}

static void take_signal(struct work *w, struct watch *t, int signal)
{
    if (signal == SIGINT || signal == SIGTERM) {
        atomic_store(atomic_load(&w->stop) ? &w->cancel : &w->stop, true);
        log_event(LOG_WARN, atomic_load(&w->cancel) ? "work.giving_back" : "work.stopping", "signal=%d", signal);
        t->stop_us = clock_mono_us() + site_settings(w->site)->stop_s * SECOND_US;
        work_wake_all(w);
    } else if (w->options->stays && atomic_load(&w->stop) && !atomic_load(&w->cancel) && clock_mono_us() >= t->stop_us) {
        atomic_store(&w->cancel, true);
        log_event(LOG_WARN, "work.giving_back", "after_s=%lld", (long long)site_settings(w->site)->stop_s);
        work_wake_all(w);
    }
}

static void expire_spool(struct work *w, struct watch *t)
{
    struct pixl_error err = { 0 };
    if (clock_mono_us() < t->expire_us)
        return;
    t->expire_us = clock_mono_us() + 60 * SECOND_US;
    if (!spool_expire(w->site, clock_wall_us(), &err))
        log_event(LOG_WARN, "spool.not_expired", "error=%s", err.msg);
}

/* Until the threads have ended: signals, progress, leases. */
static void watch(struct work *w, const sigset_t *signals)
{
    const int64_t now = clock_mono_us(), third_us = site_settings(w->site)->lease_s * SECOND_US / 3;
    struct watch t = { .began_us = now, .ask_us = now + third_us, .recover_us = now + third_us, .stop_us = INT64_MAX };
    const struct timespec half = { .tv_nsec = 500 * 1000 * 1000 };
    for (bool over = false; !over;) {
        take_signal(w, &t, sigtimedwait(signals, NULL, &half));
        keep_leases(w, &t);
        work_tell(w, t.began_us);
        check_state(w);
        take_back(w, &t);
        expire_spool(w, &t);
        work_hints_serve(w);
        pthread_mutex_lock(&w->lock);
        over = w->running == 0;
        pthread_mutex_unlock(&w->lock);
    }
}

static void end_threads(struct work *w)
{
    while (w->hands != NULL) {
        struct hand *h = w->hands;
        (void)pthread_join(h->thread, NULL);
        w->hands = h->next;
        extract_done(&h->x);
        arena_done(&h->arena);
        free(h);
    }
}

static bool run_threads(struct work *w, struct pixl_error *err)
{
    sigset_t signals, before;
    bool ok = true;
    (void)sigemptyset(&signals);
    (void)sigaddset(&signals, SIGINT);
    (void)sigaddset(&signals, SIGTERM);
    (void)sigaddset(&signals, WORK_THREADS_ENDED);
    (void)pthread_sigmask(SIG_BLOCK, &signals, &before);     /* threads inherit it: only watch() takes signals */
    w->watcher = pthread_self();
    for (size_t i = 0; ok && i < w->n_lanes; i++)
        ok = lane_start(&w->lanes[i], err);
    if (!ok) {
        atomic_store(&w->stop, true);
        work_wake_all(w);
    }
    watch(w, &signals);
    end_threads(w);
    const struct timespec now = { 0 };
    while (sigtimedwait(&signals, NULL, &now) > 0)           /* one that came too late to matter must not end what follows */
        ;
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    return ok;
}

static void init(struct work *w)
{
    pthread_condattr_t attr;
    int rc = pthread_mutex_init(&w->lock, NULL) | pthread_condattr_init(&attr) | pthread_condattr_setclock(&attr, CLOCK_MONOTONIC) |
             pthread_cond_init(&w->changed, &attr);
    for (size_t i = 0; i < ARRAY_LEN(w->lanes); i++) {
        rc |= pthread_cond_init(&w->lanes[i].turn, NULL);
        rc |= pthread_mutex_init(&w->lanes[i].refreshing, NULL);
        breaker_init(&w->lanes[i].source);
    }
    assert(rc == 0);
    (void)pthread_condattr_destroy(&attr);
    breaker_init(&w->spool);
    breaker_init(&w->store);
    gate_init(&w->cores, work_cores(site_settings(w->site)));
    w->last_moved_us = clock_mono_us();
}

static void done(struct work *w)
{
    while (w->left_out != NULL) {
        struct work_left_out *next = w->left_out->next;
        free(w->left_out->name);
        free(w->left_out);
        w->left_out = next;
    }
    gate_done(&w->cores);
    breaker_done(&w->store);
    breaker_done(&w->spool);
    for (size_t i = 0; i < ARRAY_LEN(w->lanes); i++) {
        breaker_done(&w->lanes[i].source);
        (void)pthread_cond_destroy(&w->lanes[i].turn);
        (void)pthread_mutex_destroy(&w->lanes[i].refreshing);
    }
    (void)pthread_cond_destroy(&w->changed);
    (void)pthread_mutex_destroy(&w->lock);
}

/* All threads have ended with nothing in hand: what is claimed in our name all the same was claimed in vain. */
static bool is_left_behind(struct work *w)
{
    struct pixl_error err = { 0 };
    int64_t n = 0;
    if (w->options->stays || w->failed || !atomic_load(&w->done))
        return false;
    if (!store_recover_claims(site_store(w->site), site_owner(w->site), site_owner(w->site), clock_wall_us(), &n,
                              &err)) {
        log_event(LOG_WARN, "claims.not_looked_for", "code=%s", pixl_code_name(err.code));
        return false;
    }
    if (n == 0)
        return false;
    log_event(LOG_WARN, "claims.recovered", "n=%lld", (long long)n);
    for (size_t i = 0; i < w->n_lanes; i++)
        w->lanes[i].threads = 0;
    atomic_store(&w->done, false);
    return true;
}

bool work_run(struct site *s, const struct work_options *o, enum work_end *end, struct pixl_error *err)
{
    struct work w = { .site = s, .options = o };
    init(&w);
    bool ok = begin(&w, err) && work_hints_begin(&w, err);
    do
        ok = ok && run_threads(&w, err);
    while (ok && is_left_behind(&w));
    work_hints_end(&w);
    if (ok && w.failed) {
        *err = w.fatal;
        ok = false;
    }
    if (ok)
        *end = atomic_load(&w.gave_up) ? WORK_GAVE_UP : atomic_load(&w.done) ? WORK_DONE : WORK_STOPPED;
    done(&w);
    return ok;
}

int work_cores(const struct settings *set)
{
    if (set->workers > 0)
        return (int)set->workers;
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    return cores < 1 ? 1 : cores > 32 ? 64 : 2 * (int)cores;     /* one waits for the disk while the other works */
}

bool work_one(struct site *s, int64_t image_id, int64_t fence, struct pixl_error *err)
{
    static const atomic_bool never = false;
    struct arena a;
    struct extract x;
    struct extract_result r;
    struct store_image image;
    struct settled settled;
    bool got;
    arena_init(&a, 1 << 20);
    extract_init(&x, s, &never);
    bool ok = store_get_image(site_store(s), image_id, &a, &got, &image, err);
    if (ok && (!got || image.state != STUDY_RETRIEVING || image.fence != fence))
        ok = pixl_fail(err, PIXL_E_STALE, 0, "image %lld is not claimed with fence %lld", (long long)image_id, (long long)fence);
    if (ok) {
        extract_study(&x, &image, &r);
        ok = settle(s, &image, &r, clock_wall_us(), 8 * SECOND_US, &settled, err);
    }
    extract_done(&x);
    arena_done(&a);
    return ok;
}
