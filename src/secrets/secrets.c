#include "secrets.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "secrets_backend.h"

enum { STALE_US = 60 * 1000000 };        /* a place that is away is asked again after so long */

static const struct secrets_ops *const backends[] = { &secrets_file, &secrets_env, &secrets_azure };

struct secrets_kept {
    struct secrets_kept *next;
    struct secret value;
    int64_t until_us;                    /* mono */
    size_t n;
    char name[];
};

bool secrets_is_name(struct str name)
{
    for (size_t i = 0; i < name.n; i++) {
        char c = name.p[i];
        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-'))
            return false;
    }
    return name.n > 0 && name.n <= SECRETS_NAME_MAX;
}

char *secrets_join(const char *a, const char *b)
{
    size_t n = strlen(a) + strlen(b) + 1;
    char *p = malloc(n);
    if (p != NULL)
        (void)snprintf(p, n, "%s%s", a, b);
    return p;
}

bool secrets_open(const char *url, const struct settings *settings, struct secrets **out, struct pixl_error *err)
{
    struct str scheme, rest;
    struct secrets *s = NULL;
    const struct secrets_ops *ops = NULL;
    if (str_split(str_of(url), ':', &scheme, &rest))
        for (size_t i = 0; i < ARRAY_LEN(backends); i++)
            if (str_eq(scheme, str_of(backends[i]->scheme)))
                ops = backends[i];
    if (ops == NULL)            /* the URL is not shown: somebody may have written a secret into it */
        return pixl_fail(err, PIXL_E_INVALID, 0, "secrets URL: must begin with file:, env: or azure:");
    bool ok = ops->open(rest.n ? rest.p : "", settings, &s, err);
    assert(ok == (err->code == PIXL_OK) && ok == (s != NULL));
    if (!ok)
        return false;
    int rc = pthread_mutex_init(&s->lock, NULL) | pthread_mutex_init(&s->place_lock, NULL);
    assert(rc == 0);
    *out = s;
    return true;
}

void secrets_close(struct secrets *s)
{
    if (s == NULL)
        return;
    for (struct secrets_kept *k = s->kept, *next; k != NULL; k = next) {
        next = k->next;
        secret_done(&k->value);
        free(k);
    }
    (void)pthread_mutex_destroy(&s->lock);
    (void)pthread_mutex_destroy(&s->place_lock);
    s->ops->close(s);
}

static void lock(pthread_mutex_t *m)
{
    int rc = pthread_mutex_lock(m);
    assert(rc == 0);
}

static void unlock(pthread_mutex_t *m)
{
    int rc = pthread_mutex_unlock(m);
    assert(rc == 0);
}

static struct secrets_kept *kept_locked(const struct secrets *s, struct str name)
{
    for (struct secrets_kept *k = s->kept; k != NULL; k = k->next)
        if (str_eq(name, (struct str){ k->name, k->n }))
            return k;
    return NULL;
}

/* *got: there is one that is still good, and *out has a copy.  even_stale: or one that is not, good for a while again. */
static bool copy_kept(struct secrets *s, struct str name, bool even_stale, bool *got, struct secret *out, struct pixl_error *err)
{
    bool ok = true;
    lock(&s->lock);
    struct secrets_kept *k = kept_locked(s, name);
    if (k != NULL && even_stale)
        k->until_us = clock_mono_us() + STALE_US;
    bool good = k != NULL && (even_stale || s->keep_us == 0 || clock_mono_us() < k->until_us);
    if (good)
        ok = secret_set(out, secret_reveal(&k->value), err);
    unlock(&s->lock);
    if (ok)
        *got = good;
    return ok;
}

static struct secrets_kept *add_kept_locked(struct secrets *s, struct str name)
{
    struct secrets_kept *k = calloc(1, sizeof *k + name.n);
    if (k == NULL)
        return NULL;
    memcpy(k->name, name.p, name.n);
    k->n = name.n;
    k->next = s->kept;
    s->kept = k;
    return k;
}

/* Keeps a copy of value under name. */
static bool keep(struct secrets *s, struct str name, const struct secret *value, struct pixl_error *err)
{
    secret_auto copy = { 0 };
    if (!secret_set(&copy, secret_reveal(value), err))
        return false;
    lock(&s->lock);
    struct secrets_kept *k = kept_locked(s, name);
    k = k != NULL ? k : add_kept_locked(s, name);
    if (k != NULL) {
        secret_done(&k->value);
        k->value = copy;
        copy = (struct secret){ 0 };
        k->until_us = clock_mono_us() + s->keep_us;
    }
    unlock(&s->lock);
    return k != NULL || pixl_fail(err, PIXL_E_NOMEM, 0, "secret");
}

/* What the place gave becomes *out, and is kept. */
static bool take_found(struct secrets *s, struct str name, struct secret *found, struct secret *out, struct pixl_error *err)
{
    if (found->n == 0)
        return pixl_fail(err, PIXL_E_INVALID, 0, "secret %.*s is empty", STR_ARG(name));
    if (!keep(s, name, found, err))
        return false;
    *out = *found;
    *found = (struct secret){ 0 };
    return true;
}

/* With place_lock held. */
static bool ask_place_locked(struct secrets *s, struct str name, struct secret *out, struct pixl_error *err)
{
    bool got = false;
    secret_auto found = { 0 };
    bool ok = s->ops->find(s, name, &got, &found, err);
    assert(ok == (err->code == PIXL_OK));
    if (!ok)
        return false;
    if (!got)
        return pixl_fail(err, PIXL_E_NOT_FOUND, 0, "secret %.*s not found", STR_ARG(name));
    return take_found(s, name, &found, out, err);
}

/* With place_lock held. */
static bool ask_locked(struct secrets *s, struct str name, struct secret *out, struct pixl_error *err)
{
    bool got = false;
    if (!copy_kept(s, name, false, &got, out, err) || got) /* another thread may have asked meanwhile */
        return got;
    if (ask_place_locked(s, name, out, err))
        return true;
    struct pixl_error e = { 0 };
    if (err->code != PIXL_E_UNAVAILABLE || !copy_kept(s, name, true, &got, out, &e) || !got)
        return false;
    pixl_error_clear(err);
    return true;
}

static bool fail_name(struct pixl_error *err)
{
    return pixl_fail(err, PIXL_E_INVALID, 0, "name of a secret: must be letters, digits and '-'");
}

bool secrets_get(struct secrets *s, struct str name, struct secret *out, struct pixl_error *err)
{
    bool got = false;
    if (!secrets_is_name(name))
        return fail_name(err);
    if (!copy_kept(s, name, false, &got, out, err) || got)
        return got;
    lock(&s->place_lock);
    bool ok = ask_locked(s, name, out, err);
    unlock(&s->place_lock);
    return ok;
}

bool secrets_get_anew(struct secrets *s, struct str name, struct secret *out, struct pixl_error *err)
{
    if (!secrets_is_name(name))
        return fail_name(err);
    lock(&s->place_lock);
    bool ok = ask_place_locked(s, name, out, err);
    unlock(&s->place_lock);
    return ok;
}

/* With place_lock held. */
static bool create_locked(struct secrets *s, struct str name, struct str value, struct secret *out,
                          struct pixl_error *err)
{
    bool got = false;
    if (!copy_kept(s, name, false, &got, out, err) || got)
        return got;
    secret_auto stored = { 0 };
    bool ok = s->ops->create(s, name, value, &stored, err);
    assert(ok == (err->code == PIXL_OK));
    return ok && take_found(s, name, &stored, out, err);
}

bool secrets_create(struct secrets *s, struct str name, struct str value, struct secret *out, struct pixl_error *err)
{
    if (!(s->ops->caps & SECRETS_CAP_CREATE))
        return pixl_fail(err, PIXL_E_UNSUPPORTED, 0, "secret %.*s: %s cannot be written to",
                         secrets_is_name(name) ? (int)name.n : 0, name.p, secrets_place(s));
    if (!secrets_is_name(name))
        return fail_name(err);
    if (value.n == 0 || value.n > SECRETS_VALUE_MAX)
        return pixl_fail(err, PIXL_E_INVALID, 0, "secret %.*s: a value has 1 to %d bytes", STR_ARG(name),
                         SECRETS_VALUE_MAX);
    lock(&s->place_lock);
    bool ok = create_locked(s, name, value, out, err);
    unlock(&s->place_lock);
    return ok;
}

unsigned secrets_caps(const struct secrets *s)
{
    return s->ops->caps;
}

const char *secrets_place(const struct secrets *s)
{
    return s->ops->place(s);
}
