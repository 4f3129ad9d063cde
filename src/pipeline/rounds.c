#include "rounds.h"

#include <poll.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "pipeline/tokens.h"

enum { LOOK_MS = 1000, NAP_MS = 50, ARENA_MAX = 16 << 20 };

static bool passes(const struct store_image *i)
{
    switch (i->reason) {
    case STUDY_WHY_ARCHIVE_ERROR:
    case STUDY_WHY_SPOOL_ERROR:
    case STUDY_WHY_DELIVERY_ERROR:
    case STUDY_WHY_CHANGED_WHILE_READ:
    case STUDY_WHY_NOT_IN_ARCHIVE:
    case STUDY_WHY_UNAVAILABLE:
    case STUDY_WHY_LEASE_LOST: return true;
    default: return false;
    }
}

struct ids {
    int64_t *list;
    size_t n, room;
    bool failed;
};

static bool add_passing(void *ctx, const struct store_image *i)
{
    struct ids *ids = ctx;
    if (!passes(i))
        return true;
    if (ids->n == ids->room) {
        size_t room = ids->room ? 2 * ids->room : 64;
        int64_t *more = reallocarray(ids->list, room, sizeof *more);
        if (more == NULL) {
            ids->failed = true;
            return false;
        }
        ids->list = more;
        ids->room = room;
    }
    ids->list[ids->n++] = i->id;
    return true;
}

/* *n: how many went back to work. */
static bool retry_passing(struct site *s, const struct rounds_options *o, int64_t *n, struct pixl_error *err)
{
    struct ids ids = { 0 };
    const struct store_filter none = { 0 };
    bool ok = true;
    *n = 0;
    for (size_t i = 0; ok && i < o->n_projects; i++) {
        const struct store_filter f = { .project = o->projects[i], .states = 1u << STUDY_FAILED | 1u << STUDY_MISSING };
        ok = store_each_image(site_store(s), &f, add_passing, &ids, err);
    }
    if (!ok && ids.failed) {
        pixl_error_clear(err);
        pixl_fail(err, PIXL_E_NOMEM, 0, "list of studies");
    }
    ok = ok && (ids.n == 0 || store_retry(site_store(s), &none, ids.list, ids.n, clock_wall_us(), n, err));
    free(ids.list);
    return ok;
}

static bool count(struct site *s, const struct rounds_options *o, struct rounds_progress *p, int64_t *queued,
                  struct pixl_error *err)
{
    p->open = p->exported = p->failed = *queued = 0;
    for (size_t i = 0; i < o->n_projects; i++) {
        struct store_counts c;
        if (!store_count(site_store(s), o->projects[i], &c, err))
            return false;
        for (size_t k = 0; k < STUDY_STATE_COUNT; k++)
            if (!study_state_is_end((enum study_state)k))
                p->open += c.by_state[k];
        p->exported += c.by_state[STUDY_EXPORTED] + c.by_state[STUDY_KEPT];
        p->failed += c.by_state[STUDY_FAILED] + c.by_state[STUDY_MISSING];
        *queued += c.by_state[STUDY_QUEUED];
    }
    return true;
}

/* All that is open is queued, and nobody may take it. */
static bool stands_still(struct site *s, const struct rounds_progress *p, int64_t queued, bool *out,
                         struct pixl_error *err)
{
    struct arena a;
    struct tokens_bucket *list;
    size_t n;
    double rate = 0;
    arena_init(&a, ARENA_MAX);
    bool ok = tokens_list(site_store(s), clock_wall_us(), &a, &list, &n, err);
    for (size_t i = 0; ok && i < n; i++)
        rate = list[i].rate_per_s > rate ? list[i].rate_per_s : rate;
    if (ok)
        *out = n > 0 && rate <= 0 && queued > 0 && queued == p->open;
    arena_done(&a);
    return ok;
}

static void tell(const struct rounds_options *o, const struct rounds_progress *p)
{
    if (o->progress != NULL)
        o->progress(o->ctx, p);
}

static bool is_cancelled(const struct rounds_options *o)
{
    return o->cancel != NULL && atomic_load(o->cancel);
}

static void nap(const struct rounds_options *o, int ms)
{
    for (int64_t until = clock_mono_us() + ms * INT64_C(1000); clock_mono_us() < until && !is_cancelled(o);)
        (void)poll(NULL, 0, NAP_MS);
}

/* *over false: *end says why it waits no longer. */
static bool wait_for_open(struct site *s, const struct rounds_options *o, struct rounds_progress *p, bool *over,
                          enum rounds_end *end, struct pixl_error *err)
{
    int64_t queued;
    bool still;
    *over = false;
    p->pause_s = -1;
    for (;;) {
        if (!count(s, o, p, &queued, err) || !stands_still(s, p, queued, &still, err))
            return false;
        tell(o, p);
        *over = p->open == 0;
        *end = is_cancelled(o) ? ROUNDS_CANCELLED : ROUNDS_STANDS_STILL;
        if (*over || still || is_cancelled(o))
            return true;
        nap(o, LOOK_MS);
    }
}

static void pause_before(const struct rounds_options *o, struct rounds_progress *p)
{
    const int64_t until = clock_mono_us() + o->pause_us;
    while (clock_mono_us() < until && !is_cancelled(o)) {
        const int64_t left = until - clock_mono_us();
        p->pause_s = (left + 999999) / 1000000;
        tell(o, p);
        nap(o, left < LOOK_MS * INT64_C(1000) ? (int)(left / 1000) + 1 : LOOK_MS);
    }
    p->pause_s = -1;
}

bool rounds_wait(struct site *s, const struct rounds_options *o, enum rounds_end *end, struct rounds_progress *last,
                 struct pixl_error *err)
{
    struct rounds_progress p = { .rounds = o->rounds, .pause_s = -1 };
    enum rounds_end e = ROUNDS_USED_UP;
    int64_t before = -1, n = 0;
    for (p.round = 1;; p.round++) {
        bool over;
        if (!wait_for_open(s, o, &p, &over, &e, err))
            return false;
        if (!over)
            break;
        e = p.failed == 0 ? ROUNDS_DONE : p.exported == before ? ROUNDS_UNCHANGED : ROUNDS_USED_UP;
        if (e != ROUNDS_USED_UP || p.round > o->rounds)
            break;
        before = p.exported;
        pause_before(o, &p);
        e = ROUNDS_CANCELLED;
        if (is_cancelled(o))
            break;
        if (!retry_passing(s, o, &n, err))
            return false;
        e = ROUNDS_DONE;
        if (n == 0)
            break;
        log_event(LOG_INFO, "studies.retried", "n=%lld round=%d", (long long)n, p.round);
    }
    *end = e;
    *last = p;
    return true;
}
