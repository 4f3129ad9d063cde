#include "metrics.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "pipeline/tokens.h"
#include "queue/queue.h"

/* Upper bounds of the histogram of times; the last one, +Inf, is not listed. */
static const struct {
    int64_t us;
    const char *text;
} bounds[] = {
    { 1000, "0.001" },     { 5000, "0.005" },     { 10000, "0.01" },    { 25000, "0.025" },   { 50000, "0.05" },
    { 100000, "0.1" },     { 250000, "0.25" },    { 500000, "0.5" },    { 1000000, "1" },     { 2500000, "2.5" },
    { 5000000, "5" },      { 10000000, "10" },    { 30000000, "30" },   { 60000000, "60" },   { 120000000, "120" },
    { 300000000, "300" },  { 600000000, "600" },  { 1800000000, "1800" },
};
enum { BOUNDS = ARRAY_LEN(bounds), BREAKERS_MAX = 256, ARENA_MAX = 16 << 20 };

static const char *const step_names[] = { "find", "retrieve", "deidentify", "zip", "deliver" };
static const char *const bytes_names[] = { "read", "zipped", "delivered" };
static const char *const work_names[] = { "retrieve", "deliver" };

struct histogram {
    _Atomic uint64_t n[BOUNDS + 1], sum_us;
};

struct per_project {
    struct per_project *next;
    char *slug;
    _Atomic uint64_t moves[STUDY_STATE_COUNT], delivered, skipped;
};

struct metrics {
    int64_t began_us;
    struct histogram steps[METRICS_STEP_COUNT];
    _Atomic uint64_t bytes[METRICS_BYTES_COUNT];
    atomic_int in_flight[METRICS_WORK_COUNT];

    pthread_mutex_t lock;        /* guards the lists, not the numbers in them */
    struct per_project *projects, **end;
    struct breaker_state {
        char what[64];
        bool is_open;
    } breakers[BREAKERS_MAX];
    size_t n_breakers;
    struct queue_state {
        char name[QUEUE_NAME_MAX + 1]; /* "": nobody looked */
        int64_t ready;
    } queues[STORE_ARCHIVES];
};

bool metrics_new(struct metrics **out, struct pixl_error *err)
{
    struct metrics *m = calloc(1, sizeof *m);
    if (m == NULL)
        return pixl_fail(err, PIXL_E_NOMEM, 0, "metrics");
    m->began_us = clock_wall_us();
    m->end = &m->projects;
    (void)pthread_mutex_init(&m->lock, NULL);
    *out = m;
    return true;
}

void metrics_free(struct metrics *m)
{
    if (m == NULL)
        return;
    for (struct per_project *p = m->projects, *next; p != NULL; p = next) {
        next = p->next;
        free(p->slug);
        free(p);
    }
    (void)pthread_mutex_destroy(&m->lock);
    free(m);
}

/* --- counting -------------------------------------------------------------------------------------------------------- */

static void add(_Atomic uint64_t *to, int64_t n)
{
    if (n > 0)
        atomic_fetch_add_explicit(to, (uint64_t)n, memory_order_relaxed);
}

void metrics_add_time(struct metrics *m, enum metrics_step step, int64_t us)
{
    size_t i = 0;
    while (i < BOUNDS && us > bounds[i].us)
        i++;
    add(&m->steps[step].n[i], 1);
    add(&m->steps[step].sum_us, us);
}

void metrics_add_bytes(struct metrics *m, enum metrics_bytes what, int64_t n)
{
    add(&m->bytes[what], n);
}

void metrics_add_in_flight(struct metrics *m, enum metrics_work what, int n)
{
    atomic_fetch_add_explicit(&m->in_flight[what], n, memory_order_relaxed);
}

static struct per_project *new_project(struct str slug)
{
    struct per_project *p = calloc(1, sizeof *p);
    if (p != NULL && (p->slug = strndup(slug.n ? slug.p : "", slug.n)) == NULL) {
        free(p);
        p = NULL;
    }
    return p;
}

/* NULL when out of memory. */
static struct per_project *project_of(struct metrics *m, struct str slug)
{
    pthread_mutex_lock(&m->lock);
    struct per_project *p = m->projects;
    while (p != NULL && !str_eq(str_of(p->slug), slug))
        p = p->next;
    if (p == NULL && (p = new_project(slug)) != NULL) {
        *m->end = p;
        m->end = &p->next;
    }
    pthread_mutex_unlock(&m->lock);
    return p;
}

void metrics_add_move(struct metrics *m, struct str project, enum study_state to)
{
    struct per_project *p = project_of(m, project);
    if (p != NULL)
        add(&p->moves[to], 1);
}

void metrics_add_instances(struct metrics *m, struct str project, int64_t delivered, int64_t skipped)
{
    struct per_project *p = project_of(m, project);
    if (p == NULL)
        return;
    add(&p->delivered, delivered);
    add(&p->skipped, skipped);
}

void metrics_set_breaker(struct metrics *m, const char *what, bool is_open)
{
    struct breaker_state *b = m->breakers;
    pthread_mutex_lock(&m->lock);
    while (b < m->breakers + m->n_breakers && strncmp(b->what, what, sizeof b->what - 1) != 0)
        b++;
    if (b == m->breakers + m->n_breakers && m->n_breakers < BREAKERS_MAX) {
        (void)snprintf(b->what, sizeof b->what, "%s", what);
        m->n_breakers++;
    }
    if (b < m->breakers + m->n_breakers)
        b->is_open = is_open;
    pthread_mutex_unlock(&m->lock);
}

void metrics_set_queue(struct metrics *m, int archive, const char *name, int64_t ready)
{
    struct queue_state *q = &m->queues[archive];
    pthread_mutex_lock(&m->lock);
    (void)snprintf(q->name, sizeof q->name, "%s", name);
    q->ready = ready;
    pthread_mutex_unlock(&m->lock);
}

/* --- rendering --------------------------------------------------------------------------------------------------------- */

static void head(struct buf *out, const char *name, const char *type, const char *help)
{
    (void)buf_addf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

/* A label's value between its quotes. */
static void add_label(struct buf *out, const char *name, struct str value)
{
    (void)buf_addf(out, "%s=\"", name);
    for (size_t i = 0; i < value.n; i++) {
        const char c = value.p[i];
        if (c == '\\' || c == '"')
            (void)buf_add_char(out, '\\');
        if (c == '\n')
            (void)buf_add_cstr(out, "\\n");
        else
            (void)buf_add_char(out, c);
    }
    (void)buf_add_char(out, '"');
}

static void sample(struct buf *out, const char *name, const char *label, struct str value, const char *label2, struct str value2)
{
    (void)buf_add_cstr(out, name);
    if (label != NULL) {
        (void)buf_add_char(out, '{');
        add_label(out, label, value);
        if (label2 != NULL) {
            (void)buf_add_char(out, ',');
            add_label(out, label2, value2);
        }
        (void)buf_add_char(out, '}');
    }
    (void)buf_add_char(out, ' ');
}

static void count(struct buf *out, const char *name, const char *label, struct str value, const char *label2, struct str value2,
                  unsigned long long n)
{
    sample(out, name, label, value, label2, value2);
    (void)buf_addf(out, "%llu\n", n);
}

static unsigned long long now(const _Atomic uint64_t *n)
{
    return (unsigned long long)atomic_load_explicit(n, memory_order_relaxed);
}

static void render_steps(const struct metrics *m, struct buf *out)
{
    head(out, "pixl_step_seconds", "histogram", "Time that one study took in one step of the work.");
    for (size_t s = 0; s < METRICS_STEP_COUNT; s++) {
        const struct histogram *h = &m->steps[s];
        unsigned long long so_far = 0;
        for (size_t i = 0; i <= BOUNDS; i++) {
            so_far += now(&h->n[i]);
            count(out, "pixl_step_seconds_bucket", "step", str_of(step_names[s]), "le", str_of(i < BOUNDS ? bounds[i].text : "+Inf"), so_far);
        }
        sample(out, "pixl_step_seconds_sum", "step", str_of(step_names[s]), NULL, STR(""));
        (void)buf_addf(out, "%.6f\n", (double)now(&h->sum_us) / 1e6);
        count(out, "pixl_step_seconds_count", "step", str_of(step_names[s]), NULL, STR(""), so_far);
    }
}

/* Projects are only ever added, at the end: what stands behind the first one may be walked without the lock. */
static struct per_project *first_project(struct metrics *m)
{
    pthread_mutex_lock(&m->lock);
    struct per_project *p = m->projects;
    pthread_mutex_unlock(&m->lock);
    return p;
}

static struct per_project *next_project(struct metrics *m, const struct per_project *p)
{
    pthread_mutex_lock(&m->lock);
    struct per_project *next = p->next;
    pthread_mutex_unlock(&m->lock);
    return next;
}

static void render_projects(struct metrics *m, struct buf *out)
{
    head(out, "pixl_study_moves_total", "counter", "Studies that this process brought into a state.");
    for (struct per_project *p = first_project(m); p != NULL; p = next_project(m, p))
        for (size_t i = 0; i < STUDY_STATE_COUNT; i++)
            if (now(&p->moves[i]) > 0)
                count(out, "pixl_study_moves_total", "project", str_of(p->slug), "state", str_of(study_state_name((enum study_state)i)), now(&p->moves[i]));
    head(out, "pixl_instances_total", "counter", "Instances of studies that this process de-identified, by what became of them.");
    for (struct per_project *p = first_project(m); p != NULL; p = next_project(m, p)) {
        count(out, "pixl_instances_total", "project", str_of(p->slug), "result", STR("delivered"), now(&p->delivered));
        count(out, "pixl_instances_total", "project", str_of(p->slug), "result", STR("skipped"), now(&p->skipped));
    }
}

static void render_own(struct metrics *m, struct buf *out)
{
    head(out, "process_start_time_seconds", "gauge", "When this process began, in seconds since 1970.");
    (void)buf_addf(out, "process_start_time_seconds %.3f\n", (double)m->began_us / 1e6);
    render_steps(m, out);
    render_projects(m, out);
    head(out, "pixl_bytes_total", "counter", "Bytes read from the archive, written into zips, delivered.");
    for (size_t i = 0; i < METRICS_BYTES_COUNT; i++)
        count(out, "pixl_bytes_total", "what", str_of(bytes_names[i]), NULL, STR(""), now(&m->bytes[i]));
    head(out, "pixl_studies_in_flight", "gauge", "Studies that this process works on now.");
    for (size_t i = 0; i < METRICS_WORK_COUNT; i++) {
        int n = atomic_load_explicit(&m->in_flight[i], memory_order_relaxed);
        count(out, "pixl_studies_in_flight", "work", str_of(work_names[i]), NULL, STR(""), n > 0 ? (unsigned long long)n : 0);
    }
    head(out, "pixl_breaker_open", "gauge",
         "1 while an archive, a destination, the broker or the spool cannot be used.");
    pthread_mutex_lock(&m->lock);
    for (size_t i = 0; i < m->n_breakers; i++)
        count(out, "pixl_breaker_open", "what", str_of(m->breakers[i].what), NULL, STR(""), m->breakers[i].is_open);
    head(out, "pixl_queue_messages", "gauge", "Messages that wait in a queue of the broker; none while it is away.");
    for (size_t i = 0; i < STORE_ARCHIVES; i++)
        if (m->queues[i].name[0] != '\0' && m->queues[i].ready >= 0)
            count(out, "pixl_queue_messages", "queue", str_of(m->queues[i].name), NULL, STR(""),
                  (unsigned long long)m->queues[i].ready);
    pthread_mutex_unlock(&m->lock);
}

static bool render_counts(struct store *s, struct buf *out, struct pixl_error *err)
{
    struct arena a;
    struct str *slugs;
    size_t n = 0;
    arena_init(&a, ARENA_MAX);
    bool ok = store_projects(s, &a, &slugs, &n, err);
    head(out, "pixl_studies", "gauge", "Studies in the store, by project and state; those that wait for the archive are queued.");
    for (size_t i = 0; ok && i < n; i++) {
        struct store_counts c;
        ok = store_count(s, slugs[i], &c, err);
        for (size_t k = 0; ok && k < STUDY_STATE_COUNT; k++)
            count(out, "pixl_studies", "project", slugs[i], "state", str_of(study_state_name((enum study_state)k)), (unsigned long long)c.by_state[k]);
    }
    arena_done(&a);
    return ok;
}

static bool render_buckets(struct store *s, struct buf *out, struct pixl_error *err)
{
    struct arena a;
    struct tokens_bucket *list;
    size_t n;
    arena_init(&a, ARENA_MAX);
    bool ok = tokens_list(s, clock_wall_us(), &a, &list, &n, err);
    if (ok) {
        head(out, "pixl_rate_per_second", "gauge", "Studies per second that an archive may be asked for.");
        for (size_t i = 0; i < n; i++) {
            sample(out, "pixl_rate_per_second", "archive", str_of(list[i].archive), NULL, STR(""));
            (void)buf_addf(out, "%.10g\n", list[i].rate_per_s);
        }
        head(out, "pixl_tokens", "gauge", "Studies that an archive may be asked for at once, now; below 0: reserved ahead.");
        for (size_t i = 0; i < n; i++) {
            sample(out, "pixl_tokens", "archive", str_of(list[i].archive), NULL, STR(""));
            (void)buf_addf(out, "%.3f\n", list[i].tokens);
        }
    }
    arena_done(&a);
    return ok;
}

bool metrics_render(struct metrics *m, struct store *s, struct buf *out, struct pixl_error *err)
{
    render_own(m, out);
    if (!render_counts(s, out, err) || !render_buckets(s, out, err))
        return false;
    return !out->failed || pixl_fail(err, PIXL_E_NOMEM, 0, "metrics");
}
