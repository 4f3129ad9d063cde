#include "tokens.h"

#include "ratelimit/bucket.h"

/* One change of a bucket's row: the store's row in, the algorithm's value through, the row out. */
struct change {
    enum { CHANGE_RATE, CHANGE_LOOK, CHANGE_RESERVE, CHANGE_REFUND } what;
    int64_t now_us, wait_us;
    double rate_per_s, tokens;
    bool is_set, granted, ok;
    struct pixl_error err;
};

static bool change_row(void *ctx, struct store_bucket *row)
{
    struct change *c = ctx;
    c->is_set = !row->is_new;
    c->ok = true;
    struct bucket b = { row->rate_per_s, row->capacity, row->tokens, row->at_us };
    switch (c->what) {
    case CHANGE_LOOK:
        c->rate_per_s = b.rate_per_s;
        c->tokens = bucket_level(&b, c->now_us);
        return false;
    case CHANGE_RATE:
        c->ok = row->is_new ? bucket_init(&b, c->rate_per_s, TOKENS_CAPACITY, c->now_us, &c->err)
                            : bucket_set_rate(&b, c->rate_per_s, c->now_us, &c->err);
        break;
    case CHANGE_RESERVE:
        if (c->rate_per_s >= 0 && c->rate_per_s < b.rate_per_s)
            b.rate_per_s = c->rate_per_s;
        c->granted = !row->is_new && bucket_reserve(&b, c->now_us, &c->wait_us);
        b.rate_per_s = row->rate_per_s;
        break;
    case CHANGE_REFUND:
        bucket_refund(&b, c->now_us);
        break;
    }
    if (!c->ok || (row->is_new && c->what != CHANGE_RATE))
        return false;
    *row = (struct store_bucket){ b.rate_per_s, b.capacity, b.tokens, b.at_us, false };
    return true;
}

static bool run(struct store *s, const char *archive, struct change *c, struct pixl_error *err)
{
    if (!store_change_bucket(s, archive, change_row, c, err))
        return pixl_wrap(err, "token bucket of archive %s", archive);
    if (!c->ok) {
        *err = c->err;
        return false;
    }
    return true;
}

bool tokens_set_rate(struct store *s, const char *archive, double rate_per_s, int64_t now_us, struct pixl_error *err)
{
    struct change c = { .what = CHANGE_RATE, .rate_per_s = rate_per_s, .now_us = now_us };
    return run(s, archive, &c, err);
}

bool tokens_rate(struct store *s, const char *archive, double *rate_per_s, bool *is_set, struct pixl_error *err)
{
    struct change c = { .what = CHANGE_LOOK };
    if (!run(s, archive, &c, err))
        return false;
    *rate_per_s = c.rate_per_s;
    *is_set = c.is_set;
    return true;
}

bool tokens_list(struct store *s, int64_t now_us, struct arena *a, struct tokens_bucket **out, size_t *n, struct pixl_error *err)
{
    struct str *names;
    size_t count;
    if (!store_bucket_names(s, a, &names, &count, err))
        return false;
    struct tokens_bucket *list = arena_calloc(a, count ? count : 1, sizeof *list);
    if (list == NULL)
        return pixl_fail(err, PIXL_E_NOMEM, 0, "list of %zu archives", count);
    for (size_t i = 0; i < count; i++) {
        struct change c = { .what = CHANGE_LOOK, .now_us = now_us };
        if (!run(s, names[i].p, &c, err))
            return false;
        list[i] = (struct tokens_bucket){ names[i].p, c.rate_per_s, c.tokens };
    }
    *out = list;
    *n = count;
    return true;
}

bool tokens_reserve(struct store *s, const char *archive, double most_per_s, int64_t now_us, bool *granted,
                    int64_t *wait_us, struct pixl_error *err)
{
    struct change c = { .what = CHANGE_RESERVE, .rate_per_s = most_per_s, .now_us = now_us };
    if (!run(s, archive, &c, err))
        return false;
    *granted = c.granted;
    *wait_us = c.wait_us;
    return true;
}

bool tokens_refund(struct store *s, const char *archive, int64_t now_us, struct pixl_error *err)
{
    struct change c = { .what = CHANGE_REFUND, .now_us = now_us };
    return run(s, archive, &c, err);
}

bool tokens_set_rates(struct store *s, struct str archive, double rate_per_s, int64_t now_us, struct pixl_error *err)
{
    struct arena a;
    struct str *names;
    size_t n = 0, set = 0;
    arena_init(&a, 1 << 20);
    bool ok = store_bucket_names(s, &a, &names, &n, err);
    for (size_t i = 0; ok && i < n; i++) {
        if (archive.n > 0 && !str_eq(archive, names[i]))
            continue;
        ok = tokens_set_rate(s, names[i].p, rate_per_s, now_us, err);
        set++;
    }
    if (ok && set == 0)
        ok = archive.n > 0 ? pixl_fail(err, PIXL_E_NOT_FOUND, 0, "no archive of that name has a rate")
                           : pixl_fail(err, PIXL_E_NOT_FOUND, 0, "no archive has a rate yet");
    arena_done(&a);
    return ok;
}
