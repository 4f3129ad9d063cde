#include "work.h"

#include <assert.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/log.h"
#include "pipeline/settle.h"
#include "pipeline/spool.h"
#include "pipeline/tokens.h"
#include "pipeline/work_internal.h"

#define SECOND_US INT64_C(1000000)
#define WORKERS_ENDED SIGUSR1            /* blocked in every thread; sent from outside it only wakes the watcher */

struct work {
    struct site *site;
    const struct work_options *options;
    atomic_bool stop, cancel;            /* finish what is in hand; give it back */
    atomic_bool done, gave_up;
    bool uses_tokens;
    struct breaker archive, spool;

    pthread_mutex_t lock;                /* guards what follows */
    pthread_cond_t changed;              /* something was settled, or it is time to end */
    struct work_progress progress;
    int64_t last_moved_us;               /* mono: when a row last went forward, or nothing stood in its way */
    int64_t spool_bytes;
    int in_hand, retrieving, suspects_in_hand, running;
    pthread_t watcher;                   /* waits for signals; the last worker to end sends it WORKERS_ENDED */
    int busy;                            /* workers that are not in rest(): one of them may hold a row that nobody sees as due */
    uint64_t left_rest;                  /* how often a worker left rest() */
    bool failed;
    struct pixl_error fatal;
};

/* What a worker could do just now. */
enum did {
    DID_WORK,
    DID_NOTHING,                         /* nothing is due */
    DID_WAIT,                            /* something is due, but may not be taken now */
};

/* --- small things --------------------------------------------------------------------------------------------------- */

static bool is_ending(struct work *w)
{
    return atomic_load(&w->stop) || atomic_load(&w->cancel) || atomic_load(&w->done);
}

static void wake_all(struct work *w)
{
    pthread_mutex_lock(&w->lock);
    pthread_cond_broadcast(&w->changed);
    pthread_mutex_unlock(&w->lock);
}

/* Waits until something changes, at most until the monotonic time given. */
static void wait_until(struct work *w, int64_t mono_us)
{
    struct timespec t = { .tv_sec = mono_us / SECOND_US, .tv_nsec = mono_us % SECOND_US * 1000 };
    pthread_mutex_lock(&w->lock);
    if (!is_ending(w))
        (void)pthread_cond_timedwait(&w->changed, &w->lock, &t);
    pthread_mutex_unlock(&w->lock);
}

static void end_badly(struct work *w, const struct pixl_error *err)
{
    pthread_mutex_lock(&w->lock);
    if (!w->failed) {
        w->failed = true;
        w->fatal = *err;
    }
    pthread_mutex_unlock(&w->lock);
    atomic_store(&w->stop, true);
    wake_all(w);
}

/* A breaker that was asked, and whether this is its probe.  Whoever holds one reports or gives it back. */
struct pass {
    struct breaker *breaker;
    const char *what;
    bool is_probe;
};

static bool may_pass(struct breaker *b, const char *what, struct pass *p)
{
    *p = (struct pass){ .breaker = b, .what = what };
    return breaker_allows(b, clock_mono_us(), &p->is_probe);
}

static void unused(const struct pass *p)
{
    breaker_unused(p->breaker, p->is_probe);
}

static void report(const struct pass *p, bool worked, const struct pixl_error *why)
{
    const char *what = p->what;
    if (!breaker_report(p->breaker, p->is_probe, worked, why, clock_mono_us()))
        return;
    if (worked)
        log_event(LOG_INFO, "breaker.closed", "what=%s", what);
    else
        log_event(LOG_WARN, "breaker.opened", "what=%s code=%s error=%s", what, pixl_code_name(why->code), why->msg);
}

/* An error of the store: its disk may be full for a while; anything else ends the work. */
static enum did store_trouble(struct work *w, struct pixl_error *err)
{
    if (err->code == PIXL_E_NO_SPACE || err->code == PIXL_E_BUSY)
        report(&(struct pass){ .breaker = &w->spool, .what = "state directory" }, false, err);
    else
        end_badly(w, err);
    return DID_WAIT;
}

/* --- settling ---------------------------------------------------------------------------------------------------------- */

static void note_settled(struct work *w, const struct store_image *image, const struct extract_result *r, const struct settled *s)
{
    enum study_state from = image->state == STUDY_DELIVERING ? STUDY_DEIDENTIFIED : STUDY_QUEUED;
    pthread_mutex_lock(&w->lock);
    if (!s->lost) {
        w->progress.by_state[from]--;
        w->progress.by_state[s->state]++;
        if (study_state_is_end(s->state))
            w->progress.done_here++;
        if (s->state == STUDY_DEIDENTIFIED && image->state == STUDY_RETRIEVING) {
            w->progress.instances += r->delivered;
            w->progress.bytes += r->zip_bytes;
            w->spool_bytes += r->zip_bytes;
        }
        if (s->state != from)
            w->last_moved_us = clock_mono_us();
    }
    pthread_cond_broadcast(&w->changed);
    pthread_mutex_unlock(&w->lock);
}

/* Writes the move; a full disk is waited for, as the work is done and would be lost.  b: the breaker that this row's outage opened. */
static void settle_or_end(struct work *w, const struct store_image *image, const struct extract_result *r, struct breaker *b)
{
    /* Longer than the breaker's pause, so that its next probe takes another row: one bad row holds up nobody. */
    int64_t hold_us = b != NULL ? 8 * breaker_pause_us(b) : SECOND_US;
    if (hold_us > 600 * SECOND_US)
        hold_us = 600 * SECOND_US;
    struct settled s;
    const int64_t until = clock_mono_us() + w->options->patience_us;
    for (;;) {
        struct pixl_error err = { 0 };
        if (settle(w->site, image, r, clock_wall_us(), hold_us, &s, &err)) {
            note_settled(w, image, r, &s);
            return;
        }
        bool passes = err.code == PIXL_E_NO_SPACE || err.code == PIXL_E_BUSY;
        if (!passes || is_ending(w) || clock_mono_us() >= until) {
            end_badly(w, &err);
            return;
        }
        report(&(struct pass){ .breaker = &w->spool, .what = "state directory" }, false, &err);
        wait_until(w, clock_mono_us() + SECOND_US);
    }
}

static void in_hand(struct work *w, int n, bool retrieving, bool suspect)
{
    pthread_mutex_lock(&w->lock);
    w->in_hand += n;
    if (retrieving)
        w->retrieving += n;
    if (suspect)
        w->suspects_in_hand += n;
    pthread_mutex_unlock(&w->lock);
}

/* --- retrieving ----------------------------------------------------------------------------------------------------------- */

static bool claim(struct work *w, enum store_work what, bool suspects, const struct str *without, size_t n_without, struct arena *a, bool *got,
                  struct store_image *image, struct pixl_error *err)
{
    const struct store_claim c = {
        .work = what, .owner = site_owner(w->site), .now_us = clock_wall_us(),
        .lease_us = site_settings(w->site)->lease_s * SECOND_US, .suspects = suspects, .without_projects = without, .n_without = n_without,
    };
    return store_claim_next(site_store(w->site), &c, a, got, image, err);
}

/* What this retrieval says of the archive and of the spool's disk; the breaker that an outage opened, or NULL. */
static struct breaker *report_retrieval(const struct pass *archive, const struct pass *spool, const struct extract_result *r)
{
    if (r->outcome == STUDY_OUT_CANCELLED || r->outcome == STUDY_OUT_LOST) {
        unused(archive);
        unused(spool);
        return NULL;
    }
    bool unavailable = r->outcome == STUDY_OUT_UNAVAILABLE, archive_is_down = unavailable && r->stage == EXTRACT_ARCHIVE;
    report(archive, !archive_is_down, &r->error);
    if (unavailable && !archive_is_down)
        report(spool, false, &r->error);
    else if (r->outcome == STUDY_OUT_DEIDENTIFIED)
        report(spool, true, NULL);
    else
        unused(spool);
    return !unavailable ? NULL : archive_is_down ? archive->breaker : spool->breaker;
}

/* The child's result as far as the row tells it.  false: the row is still claimed, and the child's end (in r) must be settled. */
static bool child_settled(struct work *w, const struct store_image *image, struct extract_result *r, struct settled *s)
{
    struct arena a;
    struct store_image now;
    struct pixl_error err = { 0 };
    bool got = false;
    arena_init(&a, 1 << 20);
    bool ok = store_get_image(site_store(w->site), image->id, &a, &got, &now, &err);
    bool moved = ok && got && (now.state != STUDY_RETRIEVING || now.fence != image->fence);
    if (moved) {
        *s = (struct settled){ .state = now.state, .lost = now.fence != image->fence };
        *r = (struct extract_result){ .outcome = STUDY_OUT_DEIDENTIFIED, .zip_bytes = now.zip_bytes,
                                      .delivered = now.instances_delivered > 0 ? now.instances_delivered : 0 };
        if (now.state == STUDY_QUEUED && now.reason == STUDY_WHY_UNAVAILABLE) {
            bool is_archive = str_eq(now.detail, str_of(pixl_code_name(PIXL_E_UNAVAILABLE)));
            r->outcome = STUDY_OUT_UNAVAILABLE;
            r->stage = is_archive ? EXTRACT_ARCHIVE : EXTRACT_SPOOL;
            pixl_fail(&r->error, PIXL_E_UNAVAILABLE, 0, "%s", is_archive ? "the archive cannot be reached" : "the spool cannot be written");
        } else if (now.state != STUDY_DEIDENTIFIED) {
            r->outcome = STUDY_OUT_FAILED;
        }
    }
    arena_done(&a);
    return moved;
}

static void retrieve_suspect(struct work *w, const struct store_image *image, const struct pass *archive, const struct pass *spool)
{
    struct extract_result r;
    struct settled s;
    struct pixl_error err = { 0 };
    log_event(LOG_WARN, "study.suspect", "image=%lld crashes=%d", (long long)image->id, image->crashes);
    if (!work_in_child(w->options->program, image, &w->cancel, &r, &err))
        r.error = err;
    bool settled = child_settled(w, image, &r, &s);
    struct breaker *open = report_retrieval(archive, spool, &r);
    if (settled)
        note_settled(w, image, &r, &s);
    else
        settle_or_end(w, image, &r, open);
}

static void retrieve(struct work *w, struct extract *x, const struct store_image *image, const struct pass *archive, const struct pass *spool)
{
    if (image->crashes > 0 && w->options->program != NULL) {
        retrieve_suspect(w, image, archive, spool);
        return;
    }
    struct extract_result r;
    extract_study(x, image, &r);
    settle_or_end(w, image, &r, report_retrieval(archive, spool, &r));
}

/* A token that was not needed after all; one that cannot be given back only makes the archive rest a little longer. */
static void refund(struct work *w)
{
    struct pixl_error err = { 0 };
    if (!tokens_refund(site_store(w->site), archive_name(site_archive(w->site)), clock_wall_us(), &err))
        log_event(LOG_DEBUG, "token.not_refunded", "code=%s", pixl_code_name(err.code));
}

static bool next_due(struct work *w, enum store_work what, int64_t *due_us, struct pixl_error *err)
{
    int64_t due;
    const struct store_claim c = { .work = what,
                                   .without_projects = w->options->without_projects,
                                   .n_without = w->options->n_without };
    if (!store_next_due(site_store(w->site), &c, &due, err))
        return false;
    /* Nothing is ever put off for so long: the clock was set back meanwhile. */
    *due_us = due != INT64_MAX && due > clock_wall_us() + STORE_PUT_OFF_MAX_US ? 0 : due;
    return true;
}

/* Waits for this worker's token.  false: stopped meanwhile, or the archive's rate is 0; nothing is owed. */
static bool wait_for_token(struct work *w, enum did *why_not)
{
    struct store *store = site_store(w->site);
    const char *name = archive_name(site_archive(w->site));
    struct pixl_error err = { 0 };
    bool granted;
    int64_t wait_us;
    *why_not = DID_WAIT;
    if (!tokens_reserve(store, name, clock_wall_us(), &granted, &wait_us, &err)) {
        *why_not = store_trouble(w, &err);
        return false;
    }
    if (!granted)
        return false;
    const int64_t until = clock_mono_us() + wait_us;
    while (clock_mono_us() < until && !is_ending(w))
        wait_until(w, until);
    if (!is_ending(w))
        return true;
    refund(w);
    return false;
}

static bool spool_is_full(struct work *w)
{
    int64_t max = site_settings(w->site)->spool_max_mib << 20;
    pthread_mutex_lock(&w->lock);
    bool full = max > 0 && w->spool_bytes >= max;
    pthread_mutex_unlock(&w->lock);
    return full;
}

/* Claims a row for retrieval, ordinary ones first, one suspect at a time. */
static bool claim_retrieval(struct work *w, struct arena *a, bool *got, struct store_image *image, struct pixl_error *err)
{
    const struct work_options *o = w->options;
    if (!claim(w, STORE_WORK_RETRIEVE, false, o->without_projects, o->n_without, a, got, image, err))
        return false;
    pthread_mutex_lock(&w->lock);
    bool take_suspect = !*got && w->suspects_in_hand == 0;
    if (take_suspect)
        w->suspects_in_hand++;
    pthread_mutex_unlock(&w->lock);
    if (!take_suspect)
        return true;
    bool ok = claim(w, STORE_WORK_RETRIEVE, true, o->without_projects, o->n_without, a, got, image, err);
    pthread_mutex_lock(&w->lock);
    w->suspects_in_hand--;
    pthread_mutex_unlock(&w->lock);
    return ok;
}

/* Takes a token when one is needed, claims and retrieves.  Both breakers have allowed it. */
static enum did retrieve_allowed(struct work *w, struct extract *x, struct arena *a, const struct pass *archive, const struct pass *spool)
{
    struct pixl_error err = { 0 };
    struct store_image image;
    bool got = false;
    int64_t due;
    enum did why_not = DID_NOTHING;
    if (!next_due(w, STORE_WORK_RETRIEVE, &due, &err))
        return store_trouble(w, &err);
    if (due > clock_wall_us())
        return DID_NOTHING;
    if (w->uses_tokens && !wait_for_token(w, &why_not))
        return why_not;
    bool ok = claim_retrieval(w, a, &got, &image, &err);
    if (ok && got) {
        in_hand(w, 1, true, image.crashes > 0);
        retrieve(w, x, &image, archive, spool);
        in_hand(w, -1, true, image.crashes > 0);
        return DID_WORK;
    }
    if (w->uses_tokens)
        refund(w);
    return ok ? DID_NOTHING : store_trouble(w, &err);
}

static enum did try_retrieve(struct work *w, struct extract *x, struct arena *a)
{
    struct pass archive, spool;
    if (site_archive(w->site) == NULL)
        return DID_NOTHING;
    if (spool_is_full(w) || !may_pass(&w->archive, archive_name(site_archive(w->site)), &archive))
        return DID_WAIT;
    if (!may_pass(&w->spool, "spool", &spool)) {
        unused(&archive);
        return DID_WAIT;
    }
    enum did did = retrieve_allowed(w, x, a, &archive, &spool);
    if (did != DID_WORK) {
        unused(&archive);
        unused(&spool);
    }
    return did;
}

/* --- delivering ------------------------------------------------------------------------------------------------------------ */

/* Which projects' deliveries may not be taken now: excluded ones, and those whose destination's breaker says no. */
struct delivery_choice {
    struct str *without;
    size_t n_without;
    struct allowed {
        struct site_project *project;
        struct pass pass;
    } *allowed;                                      /* asked their breaker, which must hear back */
    size_t n_allowed;
    bool blocked;
};

static bool choose_deliveries(struct work *w, struct arena *a, struct delivery_choice *c, struct pixl_error *err)
{
    const struct work_options *o = w->options;
    struct str *slugs;
    size_t n;
    memset(c, 0, sizeof *c);
    if (!store_projects(site_store(w->site), a, &slugs, &n, err))
        return false;
    c->without = arena_calloc(a, n, sizeof *c->without);
    c->allowed = arena_calloc(a, n, sizeof *c->allowed);
    if (c->without == NULL || c->allowed == NULL)
        return pixl_fail(err, PIXL_E_NOMEM, 0, "list of %zu projects", n);
    for (size_t i = 0; i < n; i++) {
        bool excluded = false;
        for (size_t k = 0; k < o->n_without; k++)
            excluded = excluded || str_eq(o->without_projects[k], slugs[i]);
        struct site_project *p = NULL;
        struct pixl_error ignored = { 0 };      /* a project that cannot be loaded: its studies fail when they are taken */
        if (!excluded && site_project(w->site, slugs[i], true, &p, &ignored)) {
            struct allowed *next = &c->allowed[c->n_allowed];
            next->project = p;
            if (may_pass(&p->breaker, p->project->name, &next->pass))
                c->n_allowed++;
            else
                excluded = c->blocked = true;
        }
        if (excluded)
            c->without[c->n_without++] = slugs[i];
    }
    return true;
}

static void deliver(struct work *w, struct extract *x, const struct store_image *image, const struct pass *destination)
{
    struct extract_result r;
    struct breaker *open = NULL;
    extract_deliver(x, image, &r);
    bool down = r.outcome == STUDY_OUT_UNAVAILABLE && r.stage == EXTRACT_DELIVER;
    bool touched = down || r.outcome == STUDY_OUT_EXPORTED || (r.stage == EXTRACT_DELIVER && r.error.code != PIXL_OK);
    if (destination != NULL && touched) {
        report(destination, !down, &r.error);
        open = down ? destination->breaker : NULL;
    } else if (destination != NULL) {
        unused(destination);
    }
    settle_or_end(w, image, &r, open);
}

static enum did try_deliver(struct work *w, struct extract *x, struct arena *a)
{
    struct delivery_choice *c = arena_alloc(a, sizeof *c);
    struct pixl_error err = { 0 };
    struct store_image image;
    bool got = false;
    int64_t due;
    if (c == NULL)
        return DID_WAIT;
    if (!next_due(w, STORE_WORK_DELIVER, &due, &err))
        return store_trouble(w, &err);
    if (due > clock_wall_us())
        return DID_NOTHING;
    if (!choose_deliveries(w, a, c, &err))
        return store_trouble(w, &err);
    bool ok = claim(w, STORE_WORK_DELIVER, false, c->without, c->n_without, a, &got, &image, &err) &&
              (got || claim(w, STORE_WORK_DELIVER, true, c->without, c->n_without, a, &got, &image, &err));
    const struct pass *destination = NULL;
    for (size_t i = 0; i < c->n_allowed; i++) {
        if (ok && got && str_eq(c->allowed[i].project->project->slug, image.project))
            destination = &c->allowed[i].pass;
        else
            unused(&c->allowed[i].pass);
    }
    if (!ok)
        return store_trouble(w, &err);
    if (!got)
        return c->blocked ? DID_WAIT : DID_NOTHING;
    in_hand(w, 1, false, false);
    deliver(w, x, &image, destination);
    in_hand(w, -1, false, false);
    return DID_WORK;
}

/* --- a worker --------------------------------------------------------------------------------------------------------------- */

/* Nothing could be done: when is it worth looking again?  *over: never, it is the end.  That is only so when all workers rested before and
 * after the store was asked, and none did anything in between. */
static int64_t look_ahead(struct work *w, bool *over)
{
    struct pixl_error err = { 0 };
    int64_t due_retrieve, due_deliver, wall = clock_wall_us(), mono = clock_mono_us();
    pthread_mutex_lock(&w->lock);
    const uint64_t before = w->left_rest;
    const bool all_rested = w->busy == 0;
    pthread_mutex_unlock(&w->lock);
    *over = false;
    if (!next_due(w, STORE_WORK_RETRIEVE, &due_retrieve, &err) || !next_due(w, STORE_WORK_DELIVER, &due_deliver, &err)) {
        (void)store_trouble(w, &err);
        return mono + SECOND_US;
    }
    if (site_archive(w->site) == NULL)
        due_retrieve = INT64_MAX;
    int64_t due = due_retrieve < due_deliver ? due_retrieve : due_deliver;
    pthread_mutex_lock(&w->lock);
    *over = all_rested && w->busy == 0 && w->left_rest == before && due == INT64_MAX;
    pthread_mutex_unlock(&w->lock);
    return mono + (due > wall && due - wall < SECOND_US ? due - wall : SECOND_US / 2);
}

static void enter_rest(struct work *w, bool entering)
{
    pthread_mutex_lock(&w->lock);
    w->busy += entering ? -1 : 1;
    w->left_rest += !entering;
    pthread_mutex_unlock(&w->lock);
}

static void rest(struct work *w)
{
    bool over;
    enter_rest(w, true);
    int64_t until = look_ahead(w, &over);
    if (over) {
        atomic_store(&w->done, true);
        wake_all(w);
    } else {
        wait_until(w, until);
    }
    enter_rest(w, false);
}

static void *worker(void *arg)
{
    struct work *w = arg;
    struct extract x;
    struct arena a;
    extract_init(&x, w->site, &w->cancel);
    arena_init(&a, 16 << 20);
    while (!is_ending(w)) {
        arena_reset(&a);
        bool worked = try_deliver(w, &x, &a) == DID_WORK || (!is_ending(w) && try_retrieve(w, &x, &a) == DID_WORK);
        if (!worked && !is_ending(w))
            rest(w);
    }
    arena_done(&a);
    extract_done(&x);
    pthread_mutex_lock(&w->lock);
    bool is_last = --w->running == 0;
    pthread_mutex_unlock(&w->lock);
    if (is_last)
        (void)pthread_kill(w->watcher, WORKERS_ENDED);
    return NULL;
}

/* --- the whole -------------------------------------------------------------------------------------------------------------- */

static void describe_trouble(struct work *w, struct work_progress *p)
{
    char why[200];
    enum pixl_code code;
    double rate;
    bool is_set;
    struct pixl_error ignored = { 0 };
    if (site_archive(w->site) != NULL && breaker_why(&w->archive, why, &code))
        (void)snprintf(p->trouble, sizeof p->trouble, "archive: %s", why);
    else if (breaker_why(&w->spool, why, &code))
        (void)snprintf(p->trouble, sizeof p->trouble, "%s", why);
    else if (spool_is_full(w))
        (void)snprintf(p->trouble, sizeof p->trouble, "the spool is full (PIXL_SPOOL_MAX); it waits for deliveries");
    else if (w->uses_tokens && tokens_rate(site_store(w->site), archive_name(site_archive(w->site)), &rate, &is_set, &ignored)) {
        p->rate_per_s = rate;
        if (rate <= 0)
            (void)snprintf(p->trouble, sizeof p->trouble, "the archive's rate is 0 (stopped)");
    }
}

/* The destination's breakers are the projects' own. */
static bool describe_destinations(struct work *w, struct arena *a, struct work_progress *p)
{
    struct str *slugs;
    size_t n;
    struct pixl_error ignored = { 0 };
    char why[200];
    enum pixl_code code;
    if (!store_projects(site_store(w->site), a, &slugs, &n, &ignored))
        return false;
    for (size_t i = 0; i < n && p->trouble[0] == '\0'; i++) {
        struct site_project *sp;
        struct pixl_error e = { 0 };
        if (site_project(w->site, slugs[i], false, &sp, &e) && breaker_why(&sp->breaker, why, &code))
            (void)snprintf(p->trouble, sizeof p->trouble, "%.*s: %s", STR_ARG(slugs[i]), why);
    }
    return p->trouble[0] != '\0';
}

static bool add_spool_bytes(void *ctx, const struct store_image *image)
{
    *(int64_t *)ctx += image->zip_bytes;
    return true;
}

/* What waits in the spool, counted anew: rows go back and forth in more ways than are worth following. */
static void weigh_spool(struct work *w)
{
    const struct store_filter spooled = { .states = 1u << STUDY_DEIDENTIFIED | 1u << STUDY_DELIVERING };
    struct pixl_error ignored = { 0 };
    int64_t bytes = 0;
    if (site_settings(w->site)->spool_max_mib == 0 || !store_each_image(site_store(w->site), &spooled, add_spool_bytes, &bytes, &ignored))
        return;
    pthread_mutex_lock(&w->lock);
    w->spool_bytes = bytes;
    pthread_mutex_unlock(&w->lock);
}

static void tell(struct work *w, int64_t began_us)
{
    struct work_progress p;
    struct arena a;
    arena_init(&a, 1 << 20);
    pthread_mutex_lock(&w->lock);
    p = w->progress;
    p.in_hand = w->in_hand;
    pthread_mutex_unlock(&w->lock);
    p.elapsed_us = clock_mono_us() - began_us;
    weigh_spool(w);
    describe_trouble(w, &p);
    if (p.trouble[0] == '\0')
        (void)describe_destinations(w, &a, &p);
    if (w->options->progress != NULL)
        w->options->progress(w->options->ctx, &p);
    arena_done(&a);

    pthread_mutex_lock(&w->lock);
    if (p.trouble[0] == '\0')
        w->last_moved_us = clock_mono_us();
    bool too_long = clock_mono_us() - w->last_moved_us > w->options->patience_us && w->retrieving == 0;
    pthread_mutex_unlock(&w->lock);
    if (too_long && !is_ending(w)) {
        log_event(LOG_WARN, "work.gave_up", "patience_s=%lld", (long long)(w->options->patience_us / SECOND_US));
        atomic_store(&w->gave_up, true);
        atomic_store(&w->stop, true);
        wake_all(w);
    }
}

static bool begin(struct work *w, struct pixl_error *err)
{
    struct store *store = site_store(w->site);
    int64_t recovered;
    struct store_counts counts;
    if (!store_recover_claims(store, site_owner(w->site), true, clock_wall_us(), &recovered, err))
        return pixl_wrap(err, "claims of an earlier run");
    if (recovered > 0)
        log_event(LOG_WARN, "claims.recovered", "n=%lld", (long long)recovered);
    if (!spool_sweep(w->site, &w->spool_bytes, err) || !store_count(store, (struct str){ 0 }, &counts, err))
        return false;
    for (size_t i = 0; i < STUDY_STATE_COUNT; i++) {
        w->progress.by_state[i] = counts.by_state[i];
        w->progress.total += counts.by_state[i];
    }
    w->progress.rate_per_s = -1;
    if (site_archive(w->site) != NULL) {
        double rate;
        if (!tokens_rate(store, archive_name(site_archive(w->site)), &rate, &w->uses_tokens, err))
            return false;
    }
    return true;
}

/* Working on in a state directory that was taken away would forget all that is done. */
static void check_state(struct work *w)
{
    struct pixl_error err = { 0 };
    if (is_ending(w) || site_has_lock(w->site))
        return;
    pixl_fail(&err, PIXL_E_IO, 0, "the state directory was removed or replaced while it was in use");
    end_badly(w, &err);
}

/* Until the workers have ended: signals, progress, the leases. */
static void watch(struct work *w, const sigset_t *signals, int64_t began_us)
{
    const int64_t lease_us = site_settings(w->site)->lease_s * SECOND_US;
    int64_t renewed = clock_mono_us();
    struct timespec half = { .tv_nsec = 500 * 1000 * 1000 };
    for (;;) {
        int got = sigtimedwait(signals, NULL, &half);
        if (got == SIGINT || got == SIGTERM) {
            atomic_store(atomic_load(&w->stop) ? &w->cancel : &w->stop, true);
            log_event(LOG_WARN, atomic_load(&w->cancel) ? "work.giving_back" : "work.stopping", "signal=%d", got);
            wake_all(w);
        }
        tell(w, began_us);
        check_state(w);
        if (clock_mono_us() - renewed > lease_us / 3) {
            struct pixl_error err = { 0 };
            if (!store_renew_claims(site_store(w->site), site_owner(w->site), clock_wall_us() + lease_us, &err))
                log_event(LOG_WARN, "claims.not_renewed", "code=%s", pixl_code_name(err.code));
            renewed = clock_mono_us();
        }
        pthread_mutex_lock(&w->lock);
        bool over = w->running == 0;
        pthread_mutex_unlock(&w->lock);
        if (over)
            return;
    }
}

static bool run_threads(struct work *w, struct pixl_error *err)
{
    int n = w->options->workers, started = 0, rc = 0;
    pthread_t *threads = calloc((size_t)n, sizeof *threads);
    if (threads == NULL)
        return pixl_fail(err, PIXL_E_NOMEM, 0, "%d workers", n);
    sigset_t signals, before;
    (void)sigemptyset(&signals);
    (void)sigaddset(&signals, SIGINT);
    (void)sigaddset(&signals, SIGTERM);
    (void)sigaddset(&signals, WORKERS_ENDED);
    (void)pthread_sigmask(SIG_BLOCK, &signals, &before);     /* workers inherit it: only watch() takes signals */
    w->watcher = pthread_self();
    w->busy = w->running = n;
    while (started < n && (rc = pthread_create(&threads[started], NULL, worker, w)) == 0)
        started++;
    pthread_mutex_lock(&w->lock);
    w->busy -= n - started;
    w->running -= n - started;
    pthread_mutex_unlock(&w->lock);
    if (started > 0)
        watch(w, &signals, clock_mono_us());
    for (int i = 0; i < started; i++)
        (void)pthread_join(threads[i], NULL);
    const struct timespec now = { 0 };
    while (sigtimedwait(&signals, NULL, &now) > 0)           /* one that came too late to matter must not end what follows */
        ;
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    free(threads);
    return started > 0 || pixl_fail_errno(err, rc, "starting workers");
}

bool work_run(struct site *s, const struct work_options *o, enum work_end *end, struct pixl_error *err)
{
    assert(o->workers >= 1);
    struct work w = { .site = s, .options = o };
    pthread_condattr_t attr;
    int rc = pthread_mutex_init(&w.lock, NULL) | pthread_condattr_init(&attr) | pthread_condattr_setclock(&attr, CLOCK_MONOTONIC) |
             pthread_cond_init(&w.changed, &attr);
    assert(rc == 0);
    (void)pthread_condattr_destroy(&attr);
    breaker_init(&w.archive);
    breaker_init(&w.spool);
    w.last_moved_us = clock_mono_us();
    bool ok = begin(&w, err) && run_threads(&w, err);
    if (ok && w.failed) {
        *err = w.fatal;
        ok = false;
    }
    if (ok)
        *end = atomic_load(&w.gave_up) ? WORK_GAVE_UP : atomic_load(&w.done) ? WORK_DONE : WORK_STOPPED;
    breaker_done(&w.archive);
    breaker_done(&w.spool);
    (void)pthread_cond_destroy(&w.changed);
    (void)pthread_mutex_destroy(&w.lock);
    return ok;
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
