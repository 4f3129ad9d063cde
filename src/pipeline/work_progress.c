/* work_progress.c - what is told about work: counts, what stands in its way, and whether it has stood there for too long. */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "pipeline/tokens.h"
#include "pipeline/work_internal.h"

/* Moves between two looks are counted as they happen; the sum is taken anew as rows go back and forth in more ways than that. */
#define WEIGH_EVERY_US (30 * SECOND_US)

static void add_trouble(struct work_progress *p, const char *what, const char *why)
{
    if (p->troubles++ == 0)
        (void)snprintf(p->trouble, sizeof p->trouble, "%s%s%s", what, what[0] ? ": " : "", why);
}

/* "secondary archive" and "archive: its folder is gone" have one name to say. */
static const char *without_name(const char *what, const char *why)
{
    const char *last = strrchr(what, ' '), *name = last != NULL ? last + 1 : what;
    const size_t n = strlen(name);
    return n > 0 && strncmp(why, name, n) == 0 && strncmp(why + n, ": ", 2) == 0 ? why + n + 2 : why;
}

static void add_breaker(struct work_progress *p, const char *what, struct breaker *b)
{
    char why[200];
    enum pixl_code code;
    if (breaker_why(b, why, &code))
        add_trouble(p, what, without_name(what, why));
}

void work_say_closed(int64_t opens_us, char out[WORK_CLOSED_SIZE])
{
    char when[WINDOWS_TIME_SIZE] = "";
    if (opens_us < INT64_MAX / 2)
        windows_time(opens_us, when);
    (void)snprintf(out, WORK_CLOSED_SIZE, "%s%s", when[0] ? "closed until " : "closed: its hours never come", when);
}

static void describe_lane(struct work *w, struct lane *l, struct work_progress *p)
{
    double rate;
    bool is_set;
    struct pixl_error ignored = { 0 };
    if (l->kind != STORE_WORK_RETRIEVE)
        return;
    add_breaker(p, l->name, &l->source);
    if (tokens_rate(site_store(w->site), site_archive_name(l->which), &rate, &is_set, &ignored) && is_set &&
        (p->rate_per_s < 0 || l->which == 0))
        p->rate_per_s = rate;
    char closed[WORK_CLOSED_SIZE];
    const int64_t opens_us = atomic_load(&l->opens_us);
    if (atomic_load(&l->is_due) && opens_us != 0) {
        work_say_closed(opens_us, closed);
        add_trouble(p, l->name, closed);
    }
    if (atomic_load(&l->is_due) && opens_us == 0 && atomic_load(&l->is_stopped))
        add_trouble(p, l->name, "its rate is 0 (stopped)");
}

/* The destinations' breakers are the projects' own. */
static void describe_destinations(struct work *w, struct arena *a, struct work_progress *p)
{
    struct str *slugs;
    size_t n;
    struct pixl_error ignored = { 0 };
    if (!store_projects(site_store(w->site), a, &slugs, &n, &ignored))
        return;
    for (size_t i = 0; i < n; i++) {
        struct site_project *sp;
        struct pixl_error e = { 0 };
        if (!work_is_left_out(w, slugs[i]) && site_project(w->site, slugs[i], false, &sp, &e))
            add_breaker(p, sp->project->slug.p, &sp->breaker);
    }
}

static bool add_spool_bytes(void *ctx, const struct store_image *image)
{
    *(int64_t *)ctx += image->zip_bytes;
    return true;
}

/* What waits in this spool. */
static void weigh_spool(struct work *w)
{
    const struct store_filter spooled = { .states = 1u << STUDY_DEIDENTIFIED | 1u << STUDY_DELIVERING };
    struct pixl_error ignored = { 0 };
    int64_t bytes = 0;
    if (site_settings(w->site)->spool_max_mib == 0 || clock_mono_us() - w->weighed_us < WEIGH_EVERY_US ||
        !store_each_image(site_store(w->site), &spooled, add_spool_bytes, &bytes, &ignored))
        return;
    w->weighed_us = clock_mono_us();
    pthread_mutex_lock(&w->lock);
    w->spool_bytes = bytes;
    pthread_mutex_unlock(&w->lock);
}

static bool is_retrieval_due(struct work *w)
{
    bool due = false;
    for (size_t i = 0; i < w->n_lanes; i++)
        due = due || (w->lanes[i].kind == STORE_WORK_RETRIEVE && atomic_load(&w->lanes[i].is_due));
    return due;
}

static void describe(struct work *w, struct work_progress *p)
{
    struct arena a;
    add_breaker(p, "store", &w->store);
    if (p->troubles > 0)                     /* to ask it would only hold up the watcher */
        return;
    for (size_t i = 0; i < w->n_lanes; i++)
        describe_lane(w, &w->lanes[i], p);
    const char *broker = work_hints_trouble(w);
    if (broker != NULL)
        add_trouble(p, "broker", broker);
    add_breaker(p, "", &w->spool);
    if (work_spool_is_full(w) && is_retrieval_due(w))
        add_trouble(p, "", "the spool is full (PIXL_SPOOL_MAX); retrieving waits for deliveries");
    arena_init(&a, 1 << 20);
    describe_destinations(w, &a, p);
    arena_done(&a);
}

void work_tell(struct work *w, int64_t began_us)
{
    struct work_progress p;
    pthread_mutex_lock(&w->lock);
    p = w->progress;
    p.in_hand = w->in_hand;
    pthread_mutex_unlock(&w->lock);
    p.elapsed_us = clock_mono_us() - began_us;
    weigh_spool(w);
    describe(w, &p);
    if (w->options->progress != NULL)
        w->options->progress(w->options->ctx, &p);

    pthread_mutex_lock(&w->lock);
    if (p.troubles == 0)
        w->last_moved_us = clock_mono_us();
    bool too_long = clock_mono_us() - w->last_moved_us > w->options->patience_us && w->retrieving == 0;
    pthread_mutex_unlock(&w->lock);
    if (too_long && !w->options->stays && !work_is_ending(w)) {
        log_event(LOG_WARN, "work.gave_up", "patience_s=%lld", (long long)(w->options->patience_us / SECOND_US));
        atomic_store(&w->gave_up, true);
        atomic_store(&w->stop, true);
        work_wake_all(w);
    }
}
