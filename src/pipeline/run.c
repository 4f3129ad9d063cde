#include "run.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/duck.h"
#include "base/log.h"
#include "cohort/cohort.h"
#include "pipeline/tokens.h"

/* studies/s asked of an archive that is not a local folder, when nothing else was ever said. */
#define DEFAULT_RATE_PER_S 5.0

static void tell(const struct run_options *o, enum run_step step, int64_t done, int64_t of)
{
    if (o->step != NULL)
        o->step(o->ctx, step, done, of);
}

/* Tables are written at the end: that they can be is better known at the beginning.  Loading DuckDB takes as long as looking
 * through some thousand files, so both are done at once. */
struct duck_check {
    const char *temp_dir;
    pthread_t thread;
    bool is_thread;
    atomic_bool has_failed;
    struct pixl_error err; /* when it has */
};

static void *check_duckdb(void *arg)
{
    struct duck_check *c = arg;
    duck_auto *d = NULL;
    if (!duck_open(c->temp_dir, 64, &d, &c->err))
        atomic_store(&c->has_failed, true);
    return NULL;
}

static void begin_check(struct duck_check *c)
{
    sigset_t all, before;
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before); /* signals are for others */
    c->is_thread = pthread_create(&c->thread, NULL, check_duckdb, c) == 0;
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (!c->is_thread)
        (void)check_duckdb(c);
}

static bool end_check(struct duck_check *c, struct pixl_error *err)
{
    if (c->is_thread)
        (void)pthread_join(c->thread, NULL);
    if (atomic_load(&c->has_failed))
        *err = c->err;
    return !atomic_load(&c->has_failed);
}

struct indexing {
    const struct run_options *options;
    const struct duck_check *duck;
};

static bool say_indexed(void *ctx, uint64_t looked_at, uint64_t dicom)
{
    const struct indexing *i = ctx;
    tell(i->options, RUN_INDEXING, (int64_t)dicom, (int64_t)looked_at);
    return !atomic_load(&i->duck->has_failed);
}

static void say_populated(void *ctx, int64_t rows)
{
    tell(ctx, RUN_POPULATING, rows, 0);
}

static void say_refused(void *ctx, uint64_t line, const char *why)
{
    const struct run_options *o = ctx;
    if (o->refused != NULL)
        o->refused(o->ctx, line, why);
}

static void say_warned(void *ctx, uint64_t line, const char *what)
{
    const struct run_options *o = ctx;
    if (o->warned != NULL)
        o->warned(o->ctx, line, what);
}

static bool populate(struct site *s, const struct run_options *o, struct run_summary *out, struct pixl_error *err)
{
    union { const struct run_options *in; void *out; } ctx = { .in = o };     /* callbacks take void *, and change nothing */
    const struct populate_options p = {
        .path = o->cohort,
        .priority = o->priority,
        .refused = say_refused,
        .warned = say_warned,
        .progress = say_populated,
        .ctx = ctx.out,
    };
    tell(o, RUN_POPULATING, 0, 0);
    if (!populate_cohort(s, &p, &out->populate, err))
        return pixl_wrap(err, "cohort");
    out->populated = true;
    return true;
}

/* The buckets: what the user says; else what the store remembers; else unlimited for a folder, 5/s for anything else. */
static bool set_rate(struct site *s, const struct run_options *o, int which, struct pixl_error *err)
{
    struct archive *a = site_archive(s, which);
    const char *name = site_archive_name(which);
    double rate = o->rate_per_s >= 0 ? o->rate_per_s : site_settings(s)->rate_per_s, known;
    bool is_set;
    if (a == NULL)
        return true;
    if (rate >= 0)
        return tokens_set_rate(site_store(s), name, rate, clock_wall_us(), err);
    if (archive_caps(a) & ARCHIVE_CAP_LOCAL)
        return true;
    if (!tokens_rate(site_store(s), name, &known, &is_set, err))
        return false;
    return is_set || tokens_set_rate(site_store(s), name, DEFAULT_RATE_PER_S, clock_wall_us(), err);
}

static bool refresh(struct site *s, struct indexing *in, struct archive_health *sum, struct pixl_error *err)
{
    for (int i = 0; i < STORE_ARCHIVES; i++) {
        struct archive *a = site_archive(s, i);
        if (a == NULL)
            continue;
        if (!archive_refresh(a, say_indexed, in, err))
            return site_wrap_archive(i, err);
        const struct archive_health h = archive_health(a);
        if (h.instances == 0)
            return pixl_fail(err, PIXL_E_UNAVAILABLE, 0,
                             "%s archive: it holds no DICOM file; is the right folder given, is the share mounted?", site_archive_name(i));
        sum->instances += h.instances;
        sum->unreadable += h.unreadable;
        sum->damaged += h.damaged;
        sum->other += h.other;
    }
    return true;
}

/* Projects with rows to work on must be usable; those that are not are left alone, and said. */
static bool choose_projects(struct site *s, struct arena *a, struct str **without, size_t *n_without, const char **why, struct pixl_error *err)
{
    struct str *slugs;
    size_t n;
    buf_auto text;
    buf_init(&text, 64 * 1024);
    if (!store_projects(site_store(s), a, &slugs, &n, err))
        return false;
    *n_without = 0;
    *without = slugs;                        /* the unusable ones are moved to the front */
    for (size_t i = 0; i < n; i++) {
        struct site_project *ignored;
        struct pixl_error e = { 0 };
        if (site_project(s, slugs[i], true, &ignored, &e))
            continue;
        log_event(LOG_ERROR, "project.left_alone", "project=%.*s error=%s", STR_ARG(slugs[i]), e.msg);
        (void)buf_addf(&text, "%s%.*s: %s", text.n ? "\n" : "", STR_ARG(slugs[i]), e.msg);
        slugs[(*n_without)++] = slugs[i];
    }
    *why = text.n ? arena_cstr(a, buf_cstr(&text)) : NULL;
    return true;
}

static int64_t rows_left(const struct store_counts *c)
{
    int64_t left = 0;
    for (size_t i = 0; i < STUDY_STATE_COUNT; i++)
        if (!study_state_is_end((enum study_state)i))
            left += c->by_state[i];
    return left;
}

static bool work(struct site *s, const struct run_options *o, struct arena *a, struct run_summary *out, struct pixl_error *err)
{
    struct work_options w = {
        .patience_us = site_settings(s)->patience_s * 1000000,
        .program = o->program, .progress = o->progress, .ctx = o->ctx,
    };
    struct str *without;
    if (!choose_projects(s, a, &without, &w.n_without, &out->left_alone, err))
        return false;
    w.without_projects = without;
    return work_run(s, &w, &out->end, err);
}

/* Looks through the archive, and whether there can be tables. */
static bool look(struct site *s, const struct run_options *o, struct archive_health *sum, struct pixl_error *err)
{
    struct duck_check duck = { .temp_dir = site_settings(s)->temp_dir };
    struct indexing in = { o, &duck };
    struct pixl_error refused = { 0 };
    begin_check(&duck);
    const bool is_indexed = refresh(s, &in, sum, &refused);
    if (!end_check(&duck, err))
        return false;
    if (!is_indexed)
        *err = refused;
    return is_indexed;
}

/* Can it be read at all?  Asked before the archive is looked through, which may take long. */
static bool peek_at_cohort(struct site *s, const char *path, struct pixl_error *err)
{
    cohort_auto *c = NULL;
    return cohort_open(path, site_settings(s)->temp_dir, &c, err);
}

bool run_cohort(struct site *s, const struct run_options *o, struct arena *a, struct run_summary *out, struct pixl_error *err)
{
    struct run_summary r = { 0 };
    if (o->cohort != NULL && !peek_at_cohort(s, o->cohort, err))
        return false;
    tell(o, RUN_INDEXING, 0, 0);
    if (!look(s, o, &r.archive, err))
        return false;
    if (o->cohort != NULL && !populate(s, o, &r, err))
        return false;
    if (!set_rate(s, o, 0, err) || !set_rate(s, o, 1, err) || !work(s, o, a, &r, err))
        return false;
    tell(o, RUN_PUBLISHING, 0, 0);
    if (!publish_extracts(s, NULL, 0, true, a, &r.extracts, &r.n_extracts, err))
        return false;
    if (!store_count(site_store(s), (struct str){ 0 }, &r.counts, err))
        return false;
    r.left = rows_left(&r.counts);
    *out = r;
    return true;
}
