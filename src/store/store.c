#include "store.h"

#include <assert.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/secret.h"
#include "store_backend.h"
#include "store_sqlite.h"

enum { OWNER_MAX = 64, SESSIONS_MAX = 8 };

struct store {
    const struct store_ops *ops;
    struct secret address; /* behind the scheme, with a NUL */
    pthread_mutex_t lock;  /* guards what follows; held over nothing that blocks */
    pthread_cond_t freed;
    struct slot {
        struct store_session *session; /* NULL: not opened yet */
        bool is_taken;
        pthread_t by;
    } slots[SESSIONS_MAX]; /* the first ops->sessions of them */
    struct store_session *dispatch; /* holds the dispatcher's lock, or asks for it; of the thread that dispatches */
};

static const struct store_ops *const backends[] = { &store_sqlite_ops, &store_postgres_ops };

static void lock(struct store *s)
{
    int rc = pthread_mutex_lock(&s->lock);
    assert(rc == 0);
}

static void unlock(struct store *s)
{
    int rc = pthread_mutex_unlock(&s->lock);
    assert(rc == 0);
}

/* A free session that is open, else one that is not, else NULL; with the lock held.  A callback that calls the store,
 * or a call between populate's begin and end by its own thread, is a broken contract and ends here instead of waiting
 * for ever. */
static struct slot *find_free_locked(struct store *s, bool is_open)
{
    struct slot *best = NULL;
    for (size_t i = 0; i < s->ops->sessions; i++) {
        struct slot *one = &s->slots[i];
        assert(!one->is_taken || !pthread_equal(one->by, pthread_self()));
        if (!one->is_taken && (one->session != NULL || (!is_open && best == NULL)))
            best = best != NULL && best->session != NULL ? best : one;
    }
    return best;
}

static struct slot *take_slot(struct store *s, bool is_open)
{
    struct slot *slot;
    lock(s);
    while ((slot = find_free_locked(s, is_open)) == NULL) {
        int rc = pthread_cond_wait(&s->freed, &s->lock);
        assert(rc == 0);
    }
    slot->is_taken = true;
    slot->by = pthread_self();
    unlock(s);
    return slot;
}

static void give_slot(struct store *s, struct slot *slot)
{
    lock(s);
    slot->is_taken = false;
    int rc = pthread_cond_signal(&s->freed);
    assert(rc == 0);
    unlock(s);
}

static bool open_slot(struct store *s, struct slot *slot, struct pixl_error *err)
{
    struct store_session *x = NULL;
    bool ok = s->ops->open(secret_reveal(&s->address).p, &x, err);
    assert(ok == (err->code == PIXL_OK));
    if (ok) {
        x->place = (size_t)(slot - s->slots);
        slot->session = x;
    }
    return ok;
}

/* When no further session can be had (a server has only so many), the ones that are open must do: the first is opened
 * by store_open(), so that there is one. */
static struct store_session *enter(struct store *s, struct pixl_error *err)
{
    assert(err->code == PIXL_OK);
    struct slot *slot = take_slot(s, false);
    if (slot->session == NULL && !open_slot(s, slot, err)) {
        pixl_error_clear(err);
        give_slot(s, slot);
        slot = take_slot(s, true);
    }
    return slot->session;
}

static bool leave(struct store *s, const struct store_session *x, bool ok, const struct pixl_error *err)
{
    give_slot(s, &s->slots[x->place]);
    assert(ok == (err->code == PIXL_OK));
    return ok;
}

static bool open_backend(const struct store_ops *ops, const char *rest, struct store **out, struct pixl_error *err)
{
    assert(ops->sessions >= 1 && ops->sessions <= SESSIONS_MAX);
    struct store *s = calloc(1, sizeof *s);
    if (s == NULL)
        return pixl_fail(err, PIXL_E_NOMEM, 0, "store");
    s->ops = ops;
    if (!secret_set(&s->address, (struct str){ rest, strlen(rest) + 1 }, err) || !open_slot(s, &s->slots[0], err)) {
        secret_done(&s->address);
        free(s);
        return false;
    }
    int rc = pthread_mutex_init(&s->lock, NULL) | pthread_cond_init(&s->freed, NULL);
    assert(rc == 0); /* on Linux neither asks for anything */
    *out = s;
    return true;
}

static const struct store_ops *find_backend(const char *url, const char **rest, struct pixl_error *err)
{
    for (size_t i = 0; i < ARRAY_LEN(backends); i++) {
        size_t n = strlen(backends[i]->scheme);
        if (strncmp(url, backends[i]->scheme, n) == 0 && url[n] == ':') {
            *rest = url + n + 1;
            return backends[i];
        }
    }
    /* The address itself is not told: one for a server holds a password. */
    (void)pixl_fail(err, PIXL_E_INVALID, 0, "store: the address must begin with \"sqlite:\" or \"postgresql:\"");
    return NULL;
}

bool store_open(const char *url, struct store **out, struct pixl_error *err)
{
    const char *rest;
    assert(err->code == PIXL_OK);
    const struct store_ops *ops = find_backend(url, &rest, err);
    if (ops != NULL && rest[0] == ':')
        return pixl_fail(err, PIXL_E_INVALID, 0, "store: what follows \"%s:\" is no file name", ops->scheme);
    return ops != NULL && open_backend(ops, rest, out, err);
}

bool store_open_empty(struct store **out, struct pixl_error *err)
{
    assert(err->code == PIXL_OK);
    return open_backend(&store_sqlite_ops, STORE_SQLITE_IN_MEMORY, out, err);
}

bool store_look(const char *url, struct store_look *out, struct pixl_error *err)
{
    const char *rest;
    assert(err->code == PIXL_OK);
    const struct store_ops *ops = find_backend(url, &rest, err);
    bool ok = ops != NULL && ops->look(rest, out, err);
    assert(ok == (err->code == PIXL_OK));
    return ok;
}

void store_close(struct store *s)
{
    if (s == NULL)
        return;
    int rc = pthread_mutex_destroy(&s->lock) | pthread_cond_destroy(&s->freed);
    assert(rc == 0);
    for (size_t i = 0; i < s->ops->sessions; i++)
        if (s->slots[i].session != NULL)
            s->ops->close(s->slots[i].session);
    store_dispatch_unlock(s);
    secret_done(&s->address);
    free(s);
}

bool store_populate_begin(struct store *s, bool dry, struct store_populate **out, struct pixl_error *err)
{
    struct store_session *x = enter(s, err);
    bool ok = x->ops->populate_begin(x, dry, out, err);
    if (!ok)
        return leave(s, x, ok, err);
    assert(err->code == PIXL_OK && (*out)->session == x);
    (*out)->store = s;
    return true; /* the session stays with this thread until the end */
}

bool store_populate_add(struct store_populate *p, const struct study_request *r, int64_t now_us, enum store_added *what,
                        struct store_met *met, struct pixl_error *err)
{
    assert(err->code == PIXL_OK);
    struct store_met m;
    bool ok = p->session->ops->populate_add(p, r, now_us, what, &m, err);
    assert(ok == (err->code == PIXL_OK));
    if (ok && met != NULL)
        *met = m;
    return ok;
}

bool store_populate_end(struct store_populate *p, struct pixl_error *err)
{
    assert(err->code == PIXL_OK);
    struct store *s = p->store;
    struct store_session *x = p->session;
    return leave(s, x, x->ops->populate_end(p, err), err);
}

static bool is_owner(const char *owner)
{
    size_t n = strlen(owner);
    for (size_t i = 0; i < n; i++)
        if (owner[i] <= ' ' || owner[i] > '~')
            return false;
    return n > 0 && n <= OWNER_MAX;
}

bool store_claim_next(struct store *s, const struct store_claim *c, struct arena *a, bool *got, struct store_image *out,
                      struct pixl_error *err)
{
    assert(is_owner(c->owner) && c->lease_us > 0);
    struct store_session *x = enter(s, err);
    return leave(s, x, x->ops->claim_next(x, c, a, got, out, err), err);
}

bool store_claim_image(struct store *s, const struct store_claim *c, int64_t image, struct arena *a, bool *got,
                       struct store_image *out, struct pixl_error *err)
{
    assert(is_owner(c->owner) && c->lease_us > 0);
    struct store_session *x = enter(s, err);
    return leave(s, x, x->ops->claim_image(x, c, image, a, got, out, err), err);
}

bool store_renew_claims(struct store *s, const char *owner, const int64_t *images, size_t n, int64_t lease_until_us,
                        struct pixl_error *err)
{
    assert(is_owner(owner));
    struct store_session *x = enter(s, err);
    return leave(s, x, x->ops->renew_claims(x, owner, images, n, lease_until_us, err), err);
}

bool store_recover_claims(struct store *s, const char *owner, const char *dead, int64_t now_us, int64_t *n,
                          struct pixl_error *err)
{
    assert(is_owner(owner));
    struct store_session *x = enter(s, err);
    return leave(s, x, x->ops->recover_claims(x, owner, dead, now_us, n, err), err);
}

bool store_next_due(struct store *s, const struct store_claim *c, int64_t *due_us, struct pixl_error *err)
{
    struct store_session *x = enter(s, err);
    return leave(s, x, x->ops->next_due(x, c, due_us, err), err);
}

bool store_resolve(struct store *s, int64_t image, int64_t fence, const struct phi_text *uids, size_t n, int64_t now_us,
                   int64_t *mine, struct pixl_error *err)
{
    assert(n >= 1);
    for (size_t i = 0; i < n; i++)
        assert(!phi_is_empty(uids[i]));
    struct store_session *x = enter(s, err);
    return leave(s, x, x->ops->resolve(x, image, fence, uids, n, now_us, mine, err), err);
}

static int64_t sum_of(const int64_t by_reason[STUDY_REASON_COUNT])
{
    int64_t sum = 0;
    for (size_t i = 0; i < STUDY_REASON_COUNT; i++)
        sum += by_reason[i];
    return sum;
}

bool store_move(struct store *s, const struct store_move *m, bool *widened, struct pixl_error *err)
{
    assert(m->series_version < 0 || widened != NULL);
    assert(m->skipped_by == NULL || sum_of(m->skipped_by) == m->instances_skipped);
    bool back;
    struct store_session *x = enter(s, err);
    bool ok = leave(s, x, x->ops->move(x, m, &back, err), err);
    if (ok && widened != NULL)
        *widened = back;
    return ok;
}

bool store_each_image(struct store *s, const struct store_filter *f,
                      bool (*each)(void *ctx, const struct store_image *image), void *ctx, struct pixl_error *err)
{
    struct store_session *x = enter(s, err);
    return leave(s, x, x->ops->each_image(x, f, each, ctx, err), err);
}

bool store_get_image(struct store *s, int64_t id, struct arena *a, bool *got, struct store_image *out,
                     struct pixl_error *err)
{
    struct store_session *x = enter(s, err);
    return leave(s, x, x->ops->get_image(x, id, a, got, out, err), err);
}

bool store_find_images(struct store *s, struct phi_text ref, struct arena *a, int64_t **ids, size_t *n,
                       struct pixl_error *err)
{
    struct store_session *x = enter(s, err);
    return leave(s, x, x->ops->find_images(x, ref, a, ids, n, err), err);
}

bool store_each_event(struct store *s, int64_t image, bool (*each)(void *ctx, const struct store_event *e), void *ctx,
                      struct pixl_error *err)
{
    struct store_session *x = enter(s, err);
    return leave(s, x, x->ops->each_event(x, image, each, ctx, err), err);
}

bool store_get_skipped(struct store *s, int64_t image, int64_t by_reason[STUDY_REASON_COUNT], struct pixl_error *err)
{
    struct store_session *x = enter(s, err);
    return leave(s, x, x->ops->get_skipped(x, image, by_reason, err), err);
}

bool store_count(struct store *s, struct str project, struct store_counts *out, struct pixl_error *err)
{
    struct store_session *x = enter(s, err);
    return leave(s, x, x->ops->count(x, project, out, err), err);
}

bool store_newest_image(struct store *s, int64_t *id, struct pixl_error *err)
{
    struct store_session *x = enter(s, err);
    return leave(s, x, x->ops->newest_image(x, id, err), err);
}

bool store_projects(struct store *s, struct arena *a, struct str **out, size_t *n, struct pixl_error *err)
{
    struct store_session *x = enter(s, err);
    return leave(s, x, x->ops->projects(x, a, out, n, err), err);
}

bool store_find_adopted(struct store *s, struct arena *a, struct store_adopted *out, struct pixl_error *err)
{
    struct store_session *x = enter(s, err);
    return leave(s, x, x->ops->find_adopted(x, a, out, err), err);
}

bool store_retry(struct store *s, const struct store_filter *f, const int64_t *images, size_t n_images, int64_t now_us,
                 int64_t *n, struct pixl_error *err)
{
    assert(images != NULL || (f != NULL && f->states != 0));
    struct store_session *x = enter(s, err);
    return leave(s, x, x->ops->retry(x, f, images, n_images, now_us, n, err), err);
}

bool store_spools(struct store *s, struct arena *a, struct store_spool **out, size_t *n, struct pixl_error *err)
{
    struct store_session *x = enter(s, err);
    return leave(s, x, x->ops->spools(x, a, out, n, err), err);
}

bool store_lose_spool(struct store *s, struct str spool, int64_t now_us, int64_t *n, struct pixl_error *err)
{
    assert(spool.n > 0);
    struct store_session *x = enter(s, err);
    return leave(s, x, x->ops->lose_spool(x, spool, now_us, n, err), err);
}

bool store_each_outcome(struct store *s, struct str project, struct str extract_time,
                        bool (*each)(void *ctx, const struct store_outcome *o), void *ctx, struct pixl_error *err)
{
    struct store_session *x = enter(s, err);
    return leave(s, x, x->ops->each_outcome(x, project, extract_time, each, ctx, err), err);
}

bool store_mark_extract(struct store *s, struct str project, struct str extract_time, struct store_extract_mark *out,
                        struct pixl_error *err)
{
    struct store_session *x = enter(s, err);
    return leave(s, x, x->ops->mark_extract(x, project, extract_time, out, err), err);
}

bool store_each_procedure(struct store *s, struct str project, struct str extract_time,
                          void (*each)(void *ctx, int64_t procedure_occurrence_id, struct phi_text mrn), void *ctx,
                          struct pixl_error *err)
{
    struct store_session *x = enter(s, err);
    return leave(s, x, x->ops->each_procedure(x, project, extract_time, each, ctx, err), err);
}

bool store_extract_times(struct store *s, struct str project, struct arena *a, struct str **out, size_t *n,
                         struct pixl_error *err)
{
    struct store_session *x = enter(s, err);
    return leave(s, x, x->ops->extract_times(x, project, a, out, n, err), err);
}

bool store_read_extract(struct store *s, struct str project, struct str extract_time,
                        const struct store_extract_reader *r, struct pixl_error *err)
{
    struct store_session *x = enter(s, err);
    if (!x->ops->read_begin(x, err))
        return leave(s, x, false, err);
    bool ok = x->ops->each_outcome(x, project, extract_time, r->outcome, r->ctx, err) &&
              (r->report == NULL || x->ops->each_report(x, project, extract_time, r->report, r->ctx, err));
    x->ops->read_end(x);
    return leave(s, x, ok, err);
}

bool store_reports_begin(struct store *s, bool dry, struct store_report_load **out, struct pixl_error *err)
{
    struct store_session *x = enter(s, err);
    bool ok = x->ops->reports_begin(x, dry, out, err);
    if (!ok)
        return leave(s, x, ok, err);
    assert(err->code == PIXL_OK && (*out)->session == x);
    (*out)->store = s;
    return true; /* the session stays with this thread until the end */
}

bool store_reports_enter(struct store_report_load *l, struct str project, struct str extract_time, bool *got,
                         struct pixl_error *err)
{
    assert(err->code == PIXL_OK);
    bool ok = l->session->ops->reports_enter(l, project, extract_time, got, err);
    assert(ok == (err->code == PIXL_OK));
    return ok;
}

bool store_reports_subject(struct store_report_load *l, int64_t procedure_occurrence_id, struct arena *a,
                           struct store_subject *out, struct pixl_error *err)
{
    assert(err->code == PIXL_OK);
    bool ok = l->session->ops->reports_subject(l, procedure_occurrence_id, a, out, err);
    assert(ok == (err->code == PIXL_OK));
    return ok;
}

bool store_reports_put(struct store_report_load *l, const struct store_report *r, int64_t now_us,
                       enum store_report_put *what, struct pixl_error *err)
{
    assert(err->code == PIXL_OK && (!r->is_withheld || r->text.n == 0));
    bool ok = l->session->ops->reports_put(l, r, now_us, what, err);
    assert(ok == (err->code == PIXL_OK));
    return ok;
}

bool store_reports_end(struct store_report_load *l, struct pixl_error *err)
{
    assert(err->code == PIXL_OK);
    struct store *s = l->store;
    struct store_session *x = l->session;
    return leave(s, x, x->ops->reports_end(l, err), err);
}

bool store_each_unhinted(struct store *s, int64_t now_us, const int64_t *but, size_t n_but, size_t max,
                         bool (*each)(void *ctx, const struct store_unhinted *u), void *ctx, struct pixl_error *err)
{
    assert(max >= 1);
    struct store_session *x = enter(s, err);
    return leave(s, x, x->ops->each_unhinted(x, now_us, but, n_but, max, each, ctx, err), err);
}

bool store_set_hinted(struct store *s, const struct store_hint *hints, size_t n, int64_t now_us, struct pixl_error *err)
{
    assert(now_us > 0);
    struct store_session *x = enter(s, err);
    return leave(s, x, x->ops->set_hinted(x, hints, n, now_us, err), err);
}

bool store_forget_hints(struct store *s, unsigned archives, int64_t before_us, int64_t *n, struct pixl_error *err)
{
    struct store_session *x = enter(s, err);
    return leave(s, x, x->ops->forget_hints(x, archives, before_us, n, err), err);
}

bool store_find_asked(struct store *s, const struct study_request *r, struct arena *a, int64_t **ids, size_t *n,
                      struct pixl_error *err)
{
    struct store_session *x = enter(s, err);
    return leave(s, x, x->ops->find_asked(x, r, a, ids, n, err), err);
}

bool store_hold_queued(struct store *s, int64_t now_us, int64_t *n, struct pixl_error *err)
{
    struct store_session *x = enter(s, err);
    return leave(s, x, x->ops->hold_queued(x, now_us, n, err), err);
}

bool store_dispatch_lock(struct store *s, bool *got, struct pixl_error *err)
{
    assert(err->code == PIXL_OK);
    bool ok = (s->dispatch != NULL || s->ops->open(secret_reveal(&s->address).p, &s->dispatch, err)) &&
              s->ops->dispatch_lock(s->dispatch, got, err);
    assert(ok == (err->code == PIXL_OK));
    return ok;
}

bool store_dispatch_holds(struct store *s, bool *holds, struct pixl_error *err)
{
    assert(err->code == PIXL_OK);
    *holds = false;
    bool ok = s->dispatch == NULL || s->ops->dispatch_holds(s->dispatch, holds, err);
    assert(ok == (err->code == PIXL_OK));
    return ok;
}

void store_dispatch_unlock(struct store *s)
{
    if (s->dispatch != NULL)
        s->ops->close(s->dispatch);
    s->dispatch = NULL;
}

bool store_change_bucket(struct store *s, const char *name, bool (*change)(void *ctx, struct store_bucket *b),
                         void *ctx, struct pixl_error *err)
{
    struct store_session *x = enter(s, err);
    return leave(s, x, x->ops->change_bucket(x, name, change, ctx, err), err);
}

bool store_bucket_names(struct store *s, struct arena *a, struct str **out, size_t *n, struct pixl_error *err)
{
    struct store_session *x = enter(s, err);
    return leave(s, x, x->ops->bucket_names(x, a, out, n, err), err);
}

bool store_meta_get(struct store *s, const char *key, struct arena *a, struct str *out, bool *got,
                    struct pixl_error *err)
{
    struct store_session *x = enter(s, err);
    return leave(s, x, x->ops->meta_get(x, key, a, out, got, err), err);
}

bool store_meta_put_if_absent(struct store *s, const char *key, struct str value, struct arena *a, struct str *out,
                              struct pixl_error *err)
{
    struct store_session *x = enter(s, err);
    return leave(s, x, x->ops->meta_put_if_absent(x, key, value, a, out, err), err);
}
