#include "store.h"

#include <assert.h>
#include <string.h>

#include "store_backend.h"

enum { OWNER_MAX = 64 };

static const struct store_ops *const backends[] = { &store_sqlite_ops };

/* The mutex checks for errors: a callback that calls the store, or a call between populate's begin and end by its own
 * thread, is a broken contract and ends here instead of waiting for ever. */
static void enter(struct store *s, const struct pixl_error *err)
{
    assert(err->code == PIXL_OK);
    int rc = pthread_mutex_lock(&s->lock);
    assert(rc == 0);
}

static bool leave(struct store *s, bool ok, const struct pixl_error *err)
{
    int rc = pthread_mutex_unlock(&s->lock);
    assert(rc == 0);
    assert(ok == (err->code == PIXL_OK));
    return ok;
}

static bool make_lock(pthread_mutex_t *lock)
{
    pthread_mutexattr_t attr;
    if (pthread_mutexattr_init(&attr) != 0)
        return false;
    bool ok = pthread_mutexattr_settype(&attr, PTHREAD_MUTEX_ERRORCHECK) == 0 && pthread_mutex_init(lock, &attr) == 0;
    (void)pthread_mutexattr_destroy(&attr);
    return ok;
}

static bool open_backend(const struct store_ops *ops, const char *rest, struct store **out, struct pixl_error *err)
{
    struct store *s = NULL;
    bool ok = ops->open(rest, &s, err);
    assert(ok == (err->code == PIXL_OK));
    if (!ok)
        return false;
    if (!make_lock(&s->lock)) {
        ops->close(s);
        return pixl_fail(err, PIXL_E_NOMEM, 0, "store: lock");
    }
    *out = s;
    return true;
}

bool store_open(const char *url, struct store **out, struct pixl_error *err)
{
    assert(err->code == PIXL_OK);
    for (size_t i = 0; i < ARRAY_LEN(backends); i++) {
        size_t n = strlen(backends[i]->scheme);
        if (strncmp(url, backends[i]->scheme, n) == 0 && url[n] == ':')
            return open_backend(backends[i], url + n + 1, out, err);
    }
    /* The address itself is not told: one for a server holds a password. */
    return pixl_fail(err, PIXL_E_INVALID, 0, "store: the address must begin with \"sqlite:\"");
}

void store_close(struct store *s)
{
    if (s == NULL)
        return;
    int rc = pthread_mutex_destroy(&s->lock);
    assert(rc == 0);
    s->ops->close(s);
}

bool store_populate_begin(struct store *s, bool dry, struct store_populate **out, struct pixl_error *err)
{
    enter(s, err);
    bool ok = s->ops->populate_begin(s, dry, out, err);
    if (!ok)
        return leave(s, ok, err);
    assert(err->code == PIXL_OK && (*out)->store == s);
    return true;                                /* the lock stays with this thread until the end */
}

bool store_populate_add(struct store_populate *p, const struct study_request *r, int64_t now_us, enum store_added *what,
                        struct store_met *met, struct pixl_error *err)
{
    assert(err->code == PIXL_OK);
    struct store_met m;
    bool ok = p->store->ops->populate_add(p, r, now_us, what, &m, err);
    assert(ok == (err->code == PIXL_OK));
    if (ok && met != NULL)
        *met = m;
    return ok;
}

bool store_populate_end(struct store_populate *p, struct pixl_error *err)
{
    assert(err->code == PIXL_OK);
    struct store *s = p->store;
    return leave(s, s->ops->populate_end(p, err), err);
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
    enter(s, err);
    return leave(s, s->ops->claim_next(s, c, a, got, out, err), err);
}

bool store_renew_claims(struct store *s, const char *owner, int64_t lease_until_us, struct pixl_error *err)
{
    assert(is_owner(owner));
    enter(s, err);
    return leave(s, s->ops->renew_claims(s, owner, lease_until_us, err), err);
}

bool store_recover_claims(struct store *s, const char *owner, bool all_others, int64_t now_us, int64_t *n,
                          struct pixl_error *err)
{
    assert(is_owner(owner));
    enter(s, err);
    return leave(s, s->ops->recover_claims(s, owner, all_others, now_us, n, err), err);
}

bool store_next_due(struct store *s, enum store_work work, const struct str *without, size_t n_without, int64_t *due_us,
                    struct pixl_error *err)
{
    enter(s, err);
    return leave(s, s->ops->next_due(s, work, without, n_without, due_us, err), err);
}

bool store_resolve(struct store *s, int64_t image, int64_t fence, const struct phi_text *uids, size_t n, int64_t now_us,
                   int64_t *mine, struct pixl_error *err)
{
    assert(n >= 1);
    for (size_t i = 0; i < n; i++)
        assert(!phi_is_empty(uids[i]));
    enter(s, err);
    return leave(s, s->ops->resolve(s, image, fence, uids, n, now_us, mine, err), err);
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
    enter(s, err);
    bool ok = leave(s, s->ops->move(s, m, &back, err), err);
    if (ok && widened != NULL)
        *widened = back;
    return ok;
}

bool store_each_image(struct store *s, const struct store_filter *f,
                      bool (*each)(void *ctx, const struct store_image *image), void *ctx, struct pixl_error *err)
{
    enter(s, err);
    return leave(s, s->ops->each_image(s, f, each, ctx, err), err);
}

bool store_get_image(struct store *s, int64_t id, struct arena *a, bool *got, struct store_image *out,
                     struct pixl_error *err)
{
    enter(s, err);
    return leave(s, s->ops->get_image(s, id, a, got, out, err), err);
}

bool store_find_images(struct store *s, struct phi_text ref, struct arena *a, int64_t **ids, size_t *n,
                       struct pixl_error *err)
{
    enter(s, err);
    return leave(s, s->ops->find_images(s, ref, a, ids, n, err), err);
}

bool store_each_event(struct store *s, int64_t image, bool (*each)(void *ctx, const struct store_event *e), void *ctx,
                      struct pixl_error *err)
{
    enter(s, err);
    return leave(s, s->ops->each_event(s, image, each, ctx, err), err);
}

bool store_get_skipped(struct store *s, int64_t image, int64_t by_reason[STUDY_REASON_COUNT], struct pixl_error *err)
{
    enter(s, err);
    return leave(s, s->ops->get_skipped(s, image, by_reason, err), err);
}

bool store_count(struct store *s, struct str project, struct store_counts *out, struct pixl_error *err)
{
    enter(s, err);
    return leave(s, s->ops->count(s, project, out, err), err);
}

bool store_projects(struct store *s, struct arena *a, struct str **out, size_t *n, struct pixl_error *err)
{
    enter(s, err);
    return leave(s, s->ops->projects(s, a, out, n, err), err);
}

bool store_retry(struct store *s, const struct store_filter *f, const int64_t *images, size_t n_images, int64_t now_us,
                 int64_t *n, struct pixl_error *err)
{
    assert(images != NULL || (f != NULL && f->states != 0));
    enter(s, err);
    return leave(s, s->ops->retry(s, f, images, n_images, now_us, n, err), err);
}

bool store_each_outcome(struct store *s, struct str project, struct str extract_time,
                        bool (*each)(void *ctx, const struct store_outcome *o), void *ctx, struct pixl_error *err)
{
    enter(s, err);
    return leave(s, s->ops->each_outcome(s, project, extract_time, each, ctx, err), err);
}

bool store_extract_times(struct store *s, struct str project, struct arena *a, struct str **out, size_t *n,
                         struct pixl_error *err)
{
    enter(s, err);
    return leave(s, s->ops->extract_times(s, project, a, out, n, err), err);
}

bool store_read_extract(struct store *s, struct str project, struct str extract_time,
                        const struct store_extract_reader *r, struct pixl_error *err)
{
    enter(s, err);
    if (!s->ops->read_begin(s, err))
        return leave(s, false, err);
    bool ok = s->ops->each_outcome(s, project, extract_time, r->outcome, r->ctx, err) &&
              (r->report == NULL || s->ops->each_report(s, project, extract_time, r->report, r->ctx, err));
    s->ops->read_end(s);
    return leave(s, ok, err);
}

bool store_reports_begin(struct store *s, bool dry, struct store_report_load **out, struct pixl_error *err)
{
    enter(s, err);
    bool ok = s->ops->reports_begin(s, dry, out, err);
    if (!ok)
        return leave(s, ok, err);
    assert(err->code == PIXL_OK && (*out)->store == s);
    return true; /* the lock stays with this thread until the end */
}

bool store_reports_enter(struct store_report_load *l, struct str project, struct str extract_time, bool *got,
                         struct pixl_error *err)
{
    assert(err->code == PIXL_OK);
    bool ok = l->store->ops->reports_enter(l, project, extract_time, got, err);
    assert(ok == (err->code == PIXL_OK));
    return ok;
}

bool store_reports_subject(struct store_report_load *l, int64_t procedure_occurrence_id, struct arena *a,
                           struct store_subject *out, struct pixl_error *err)
{
    assert(err->code == PIXL_OK);
    bool ok = l->store->ops->reports_subject(l, procedure_occurrence_id, a, out, err);
    assert(ok == (err->code == PIXL_OK));
    return ok;
}

bool store_reports_put(struct store_report_load *l, const struct store_report *r, int64_t now_us,
                       enum store_report_put *what, struct pixl_error *err)
{
    assert(err->code == PIXL_OK && (!r->is_withheld || r->text.n == 0));
    bool ok = l->store->ops->reports_put(l, r, now_us, what, err);
    assert(ok == (err->code == PIXL_OK));
    return ok;
}

bool store_reports_end(struct store_report_load *l, struct pixl_error *err)
{
    assert(err->code == PIXL_OK);
    struct store *s = l->store;
    return leave(s, s->ops->reports_end(l, err), err);
}

bool store_change_bucket(struct store *s, const char *name, bool (*change)(void *ctx, struct store_bucket *b),
                         void *ctx, struct pixl_error *err)
{
    enter(s, err);
    return leave(s, s->ops->change_bucket(s, name, change, ctx, err), err);
}

bool store_meta_get(struct store *s, const char *key, struct arena *a, struct str *out, bool *got,
                    struct pixl_error *err)
{
    enter(s, err);
    return leave(s, s->ops->meta_get(s, key, a, out, got, err), err);
}

bool store_meta_put_if_absent(struct store *s, const char *key, struct str value, struct arena *a, struct str *out,
                              struct pixl_error *err)
{
    enter(s, err);
    return leave(s, s->ops->meta_put_if_absent(s, key, value, a, out, err), err);
}
