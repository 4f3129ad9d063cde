/* work_lane.c - the threads of work: who looks for the next row, who works, who rests, and when it is over. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "pipeline/work_internal.h"

#define LEFT_OUT_US (300 * SECOND_US)

/* --- what may be claimed -------------------------------------------------------------------------------------------- */

bool lane_claim(struct hand *h, const struct lane *of, struct store_claim *c, struct pixl_error *err)
{
    struct work *w = h->lane->work;
    const struct work_options *o = w->options;
    size_t n = o->n_without, used = 0;
    pthread_mutex_lock(&w->lock);
    for (const struct work_left_out *l = w->left_out; l != NULL; l = l->next)
        n++;
    struct str *without = arena_calloc(&h->arena, n + 1, sizeof *without);
    for (size_t i = 0; without != NULL && i < o->n_without; i++)
        without[used++] = o->without_projects[i];
    for (const struct work_left_out *l = w->left_out; without != NULL && l != NULL; l = l->next)
        if (clock_mono_us() < l->until_us)
            without[used++] = (struct str){ l->name, l->n };
    pthread_mutex_unlock(&w->lock);
    if (without == NULL)
        return pixl_fail(err, PIXL_E_NOMEM, 0, "list of %zu projects", n);
    *c = (struct store_claim){ .work = of->kind,
                               .owner = site_owner(w->site),
                               .now_us = clock_wall_us(),
                               .lease_us = site_settings(w->site)->lease_s * SECOND_US,
                               .archives = of->archives,
                               .spool = str_of(site_spool(w->site)),
                               .without_projects = without,
                               .n_without = used };
    return true;
}

static struct work_left_out *find_left_out_locked(struct work *w, struct str slug)
{
    struct work_left_out *l = w->left_out;
    while (l != NULL && !str_eq((struct str){ l->name, l->n }, slug))
        l = l->next;
    return l;
}

bool work_is_left_out(struct work *w, struct str slug)
{
    bool out = false;
    for (size_t i = 0; i < w->options->n_without; i++)
        out = out || str_eq(w->options->without_projects[i], slug);
    pthread_mutex_lock(&w->lock);
    const struct work_left_out *l = find_left_out_locked(w, slug);
    out = out || (l != NULL && clock_mono_us() < l->until_us);
    pthread_mutex_unlock(&w->lock);
    return out;
}

void work_leave_out(struct work *w, struct str slug, const struct pixl_error *why)
{
    log_event(LOG_ERROR, "project.left_alone", "project=%.*s error=%s", STR_ARG(slug), why->msg);
    pthread_mutex_lock(&w->lock);
    struct work_left_out *l = find_left_out_locked(w, slug);
    if (l == NULL && (l = calloc(1, sizeof *l)) != NULL) {       /* else: it is met again, and left out then */
        l->name = strndup(slug.p, slug.n);
        l->n = l->name != NULL ? slug.n : 0;
        l->next = w->left_out;
        w->left_out = l;
    }
    if (l != NULL)
        l->until_us = clock_mono_us() + LEFT_OUT_US;
    pthread_mutex_unlock(&w->lock);
}

bool lane_next_row(struct hand *h, const struct store_claim *c, bool *got, struct pixl_error *err)
{
    struct work *w = h->lane->work;
    h->x.epoch = atomic_load(&w->lease.epoch);
    if (w->hints != NULL && c->work == STORE_WORK_RETRIEVE && !c->suspects)
        return work_hints_next(h, c, got, err);
    return store_claim_next(site_store(w->site), c, &h->arena, got, &h->image, err);
}

bool lane_next_due(struct work *w, const struct store_claim *c, int64_t *due_us, struct pixl_error *err)
{
    int64_t due;
    if (!store_next_due(site_store(w->site), c, &due, err))
        return false;
    /* Nothing is ever put off for so long: the clock was set back meanwhile. */
    *due_us = due != INT64_MAX && due > c->now_us + STORE_PUT_OFF_MAX_US ? 0 : due;
    return true;
}

/* --- the lead ------------------------------------------------------------------------------------------------------------ */

static bool start_locked(struct lane *l, struct pixl_error *err);

/* Waits for the lead; false: it is time to end. */
static bool take_lead(struct hand *h)
{
    struct lane *l = h->lane;
    struct work *w = l->work;
    pthread_mutex_lock(&w->lock);
    l->followers++;
    while (l->is_led && !work_is_ending(w))
        (void)pthread_cond_wait(&l->turn, &w->lock);
    l->followers--;
    bool mine = !work_is_ending(w);
    if (mine) {
        l->is_led = true;
        w->busy++;
        w->began++;
    }
    pthread_mutex_unlock(&w->lock);
    return mine;
}

/* needs_next: this thread goes to work, and another one must look. */
static void give_lead(struct hand *h, bool needs_next)
{
    struct lane *l = h->lane;
    struct work *w = l->work;
    struct pixl_error err = { 0 };
    pthread_mutex_lock(&w->lock);
    l->is_led = false;
    if (l->followers > 0)
        pthread_cond_signal(&l->turn);
    else if (needs_next && l->threads < l->threads_max && !work_is_ending(w) && !start_locked(l, &err))
        log_event(LOG_WARN, "work.fewer_threads", "lane=%s threads=%d error=%s", l->name, l->threads, err.msg);
    pthread_mutex_unlock(&w->lock);
}

/* --- resting -------------------------------------------------------------------------------------------------------- */

/* The earliest time at which any lane has a row due; INT64_MAX: nothing waits. */
static bool next_of_all(struct hand *h, int64_t *due_us, struct pixl_error *err)
{
    struct work *w = h->lane->work;
    *due_us = INT64_MAX;
    for (size_t i = 0; i < w->n_lanes; i++) {
        struct store_claim c;
        int64_t due;
        if (!lane_claim(h, &w->lanes[i], &c, err) || !lane_next_due(w, &c, &due, err))
            return false;
        *due_us = due < *due_us ? due : *due_us;
    }
    return true;
}

/* Nothing could be done: when is it worth looking again?  *over: never, it is the end.  That is only so when all threads rested before
 * and after the store was asked, and none began anything in between.  *hopeful: it would have been, but for these. */
static int64_t look_ahead(struct hand *h, bool *over, bool *hopeful)
{
    struct work *w = h->lane->work;
    struct pixl_error err = { 0 };
    int64_t due, wall = clock_wall_us(), mono = clock_mono_us();
    *over = *hopeful = false;
    if (w->options->stays)
        return mono + SECOND_US;
    pthread_mutex_lock(&w->lock);
    const uint64_t before = w->began;
    const bool all_rested = w->busy == 0;
    pthread_mutex_unlock(&w->lock);
    if (!next_of_all(h, &due, &err))
        return mono + SECOND_US;             /* the next look meets the same and tells */
    pthread_mutex_lock(&w->lock);
    *over = all_rested && w->busy == 0 && w->began == before && due == INT64_MAX;
    *hopeful = due == INT64_MAX;
    pthread_mutex_unlock(&w->lock);
    return mono + (due > wall && due - wall < SECOND_US / 2 ? due - wall : SECOND_US / 2);
}

/* The last one tells those who wait for that to end it all: they would find it out only when they look again. */
static void end_busy(struct work *w)
{
    pthread_mutex_lock(&w->lock);
    if (--w->busy == 0 && w->hopeful > 0)
        pthread_cond_broadcast(&w->changed);
    pthread_mutex_unlock(&w->lock);
}

static void leave_rest(struct work *w)
{
    pthread_mutex_lock(&w->lock);
    w->busy++;
    w->began++;
    pthread_mutex_unlock(&w->lock);
}

/* Waits until something changes; true: none is busy now, so that it may be the end. */
static bool wait_for_end(struct work *w, int64_t until_us)
{
    pthread_mutex_lock(&w->lock);
    w->hopeful++;
    if (w->busy > 0)
        work_wait_locked(w, until_us);
    w->hopeful--;
    const bool all_rest = w->busy == 0 && !work_is_ending(w);
    pthread_mutex_unlock(&w->lock);
    return all_rest;
}

/* The lead is kept meanwhile. */
static void rest(struct hand *h, int64_t again_us)
{
    struct work *w = h->lane->work;
    bool over, hopeful;
    end_busy(w);
    int64_t until = look_ahead(h, &over, &hopeful);
    if (!over && !hopeful)
        work_wait_until(w, again_us < until ? again_us : until);
    while (!over && hopeful && wait_for_end(w, again_us < until ? again_us : until))
        until = look_ahead(h, &over, &hopeful);
    if (over) {
        atomic_store(&w->done, true);
        work_wake_all(w);
    }
    leave_rest(w);
}

/* --- a thread ----------------------------------------------------------------------------------------------------------- */

/* A look while the store answers and our claims are our own. */
static enum did look(struct hand *h, int64_t *again_us)
{
    struct work *w = h->lane->work;
    struct pixl_error err = { 0 };
    struct pass store;
    enum did did = DID_WAIT;
    if (!lease_holds(&w->lease, atomic_load(&w->lease.epoch), clock_mono_us()) ||
        !pass_take(w, &w->store, "store", &store))
        return DID_WAIT;
    bool ok = h->lane->look(h, &did, again_us, &err);
    if (!ok && !work_passes(&err))
        work_end_badly(w, &err);
    pass_report(&store, ok, &err);
    return ok ? did : DID_WAIT;
}

static void count_in_hand(struct hand *h, int n)
{
    struct work *w = h->lane->work;
    const bool retrieving = h->image.state == STUDY_RETRIEVING;
    pthread_mutex_lock(&w->lock);
    w->in_hand += n;
    w->retrieving += retrieving ? n : 0;
    w->suspects_in_hand += retrieving && h->image.crashes > 0 ? n : 0;
    pthread_mutex_unlock(&w->lock);
}

static void *live(void *arg)
{
    struct hand *h = arg;
    struct work *w = h->lane->work;
    while (take_lead(h)) {
        int64_t again_us = INT64_MAX;
        arena_reset(&h->arena);
        bool works = look(h, &again_us) == DID_WORK;
        if (works) {
            held_take(site_held(w->site), &h->held, h->image.id);
            count_in_hand(h, 1);
            give_lead(h, true);
            h->lane->run(h);
            count_in_hand(h, -1);
            held_drop(site_held(w->site), &h->held);
        } else {
            if (!work_is_ending(w))
                rest(h, again_us);
            give_lead(h, false);
        }
        end_busy(w);
    }
    pthread_mutex_lock(&w->lock);
    bool is_last = --w->running == 0;
    pthread_mutex_unlock(&w->lock);
    if (is_last)
        (void)pthread_kill(w->watcher, WORK_THREADS_ENDED);
    return NULL;
}

static bool start_locked(struct lane *l, struct pixl_error *err)
{
    struct work *w = l->work;
    struct hand *h = calloc(1, sizeof *h);
    if (h == NULL)
        return pixl_fail(err, PIXL_E_NOMEM, 0, "a thread of work");
    h->lane = l;
    extract_init(&h->x, w->site, &w->cancel);
    h->x.lease = &w->lease;
    h->x.cores = l->kind == STORE_WORK_RETRIEVE ? &w->cores : NULL;
    arena_init(&h->arena, 16 << 20);
    int rc = pthread_create(&h->thread, NULL, live, h);
    if (rc != 0) {
        extract_done(&h->x);
        arena_done(&h->arena);
        free(h);
        return pixl_fail_errno(err, rc, "starting a thread");
    }
    h->next = w->hands;
    w->hands = h;
    w->running++;
    l->threads++;
    return true;
}

bool lane_start(struct lane *l, struct pixl_error *err)
{
    pthread_mutex_lock(&l->work->lock);
    bool ok = start_locked(l, err);
    pthread_mutex_unlock(&l->work->lock);
    return ok;
}
