/* work_deliver.c - the lane that brings zips to their destinations.  Each destination has its breaker and takes so many at once: one
 * that is slow or away holds up no other. */
#include <string.h>

#include "base/clock.h"
#include "pipeline/work_internal.h"

enum { THREADS_MAX = 256 };              /* started when there is something for them */

/* Projects whose destination takes a delivery now; they asked its breaker, which must hear back. */
struct allowed {
    struct site_project *project;
    struct pass pass;
};
struct choice {
    struct str *without;                 /* may not be delivered to now */
    size_t n_without;
    struct allowed *allowed;
    size_t n_allowed;
};

static bool is_left_out(const struct store_claim *c, struct str slug)
{
    for (size_t i = 0; i < c->n_without; i++)
        if (str_eq(c->without_projects[i], slug))
            return true;
    return false;
}

/* A project that cannot be loaded: its studies fail when they are taken, but where a service leaves them to others. */
static bool may_deliver(struct work *w, struct str slug, struct choice *into)
{
    struct site_project *p = NULL;
    struct pixl_error err = { 0 };
    if (!site_project(w->site, slug, true, &p, &err)) {
        if (w->options->stays)
            work_leave_out(w, slug, &err);
        return !w->options->stays;
    }
    if (atomic_load(&p->deliveries) >= site_settings(w->site)->deliveries)
        return false;
    struct allowed *next = &into->allowed[into->n_allowed];
    next->project = p;
    if (!pass_take(w, &p->breaker, p->project->slug.p, &next->pass))
        return false;
    into->n_allowed++;
    return true;
}

static bool choose(struct hand *h, const struct store_claim *c, struct choice *into, struct pixl_error *err)
{
    struct work *w = h->lane->work;
    struct str *slugs;
    size_t n;
    memset(into, 0, sizeof *into);
    if (!store_projects(site_store(w->site), &h->arena, &slugs, &n, err))
        return false;
    into->without = arena_calloc(&h->arena, n + 1, sizeof *into->without);
    into->allowed = arena_calloc(&h->arena, n + 1, sizeof *into->allowed);
    if (into->without == NULL || into->allowed == NULL)
        return pixl_fail(err, PIXL_E_NOMEM, 0, "list of %zu projects", n);
    for (size_t i = 0; i < n; i++)
        if (is_left_out(c, slugs[i]) || !may_deliver(w, slugs[i], into))
            into->without[into->n_without++] = slugs[i];
    return true;
}

/* The pass of the project that was taken stays with the hand; the others are given back. */
static void keep_pass(struct hand *h, struct choice *c, bool got)
{
    h->project = NULL;
    h->source = (struct pass){ .breaker = NULL };
    for (size_t i = 0; i < c->n_allowed; i++) {
        struct allowed *a = &c->allowed[i];
        if (got && str_eq(a->project->project->slug, h->image.project)) {
            h->project = a->project;
            h->source = a->pass;
            (void)atomic_fetch_add(&a->project->deliveries, 1);
        } else {
            pass_unused(&a->pass);
        }
    }
}

static bool look(struct hand *h, enum did *did, int64_t *again_us, struct pixl_error *err)
{
    struct lane *l = h->lane;
    struct store_claim c;
    struct choice choice;
    int64_t due;
    bool got = false;
    if (!lane_claim(h, l, &c, err) || !lane_next_due(l->work, &c, &due, err))
        return false;
    atomic_store(&l->is_due, due <= c.now_us);
    if (due > c.now_us) {
        *did = DID_NOTHING;
        if (due != INT64_MAX)
            *again_us = clock_mono_us() + (due - c.now_us);
        return true;
    }
    *did = DID_WAIT;
    if (!choose(h, &c, &choice, err))
        return false;
    c.without_projects = choice.without;
    c.n_without = choice.n_without;
    bool ok = lane_next_row(h, &c, &got, err);
    c.suspects = true;
    ok = ok && (got || lane_next_row(h, &c, &got, err));
    keep_pass(h, &choice, ok && got);
    if (ok && got)
        *did = DID_WORK;
    return ok;
}

/* A service whose destination cannot be opened here, and not because it is away, leaves it alone until that is mended. */
static bool can_do(struct hand *h, struct extract_result *r)
{
    struct work *w = h->lane->work;
    struct site_project *ignored;
    struct pixl_error err = { 0 };
    if (!w->options->stays || site_project(w->site, h->image.project, true, &ignored, &err) ||
        study_outcome_of(err.code) == STUDY_OUT_UNAVAILABLE)
        return true;
    work_leave_out(w, h->image.project, &err);
    *r = (struct extract_result){ .outcome = STUDY_OUT_CANCELLED, .reason = STUDY_WHY_CONFIGURATION, .stage = EXTRACT_DELIVER };
    return false;
}

static void deliver(struct hand *h)
{
    struct extract_result r;
    struct breaker *open = NULL;
    if (can_do(h, &r))
        extract_deliver(&h->x, &h->image, &r);
    bool down = r.outcome == STUDY_OUT_UNAVAILABLE && r.stage == EXTRACT_DELIVER;
    bool touched = down || r.outcome == STUDY_OUT_EXPORTED || (r.stage == EXTRACT_DELIVER && r.error.code != PIXL_OK);
    if (down)
        open = h->source.breaker;
    if (touched)
        pass_report(&h->source, !down, &r.error);
    else
        pass_unused(&h->source);
    work_settle(h, &r, open);
    if (h->project != NULL)
        (void)atomic_fetch_sub(&h->project->deliveries, 1);
    work_wake_all(h->lane->work);            /* its destination takes another one */
}

void work_delivers(struct work *w, struct lane *l)
{
    l->work = w;
    l->name = "delivery";
    l->kind = STORE_WORK_DELIVER;
    l->threads_max = THREADS_MAX;
    l->look = look;
    l->run = deliver;
}
