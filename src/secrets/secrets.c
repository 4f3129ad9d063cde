#include "secrets.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "secrets_backend.h"

static const struct secrets_ops *const backends[] = { &secrets_file, &secrets_env };

struct secrets_kept {
    struct secrets_kept *next;
    struct secret value;
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

bool secrets_open(const char *url, struct secrets **out, struct pixl_error *err)
{
    struct str scheme, rest;
    struct secrets *s = NULL;
    const struct secrets_ops *ops = NULL;
    if (str_split(str_of(url), ':', &scheme, &rest))
        for (size_t i = 0; i < ARRAY_LEN(backends); i++)
            if (str_eq(scheme, str_of(backends[i]->scheme)))
                ops = backends[i];
    if (ops == NULL)            /* the URL is not shown: somebody may have written a secret into it */
        return pixl_fail(err, PIXL_E_INVALID, 0, "secrets URL: must begin with file: or env:");
    bool ok = ops->open(rest.n ? rest.p : "", &s, err);
    assert(ok == (err->code == PIXL_OK) && ok == (s != NULL));
    if (!ok)
        return false;
    if (pthread_mutex_init(&s->lock, NULL) != 0) {
        ops->close(s);
        return pixl_fail(err, PIXL_E_NOMEM, 0, "secrets: no lock can be made");
    }
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
    s->ops->close(s);
}

/* Keeps a copy of value under name. */
static bool keep_locked(struct secrets *s, struct str name, const struct secret *value, struct pixl_error *err)
{
    struct secrets_kept *k = calloc(1, sizeof *k + name.n);
    if (k == NULL)
        return pixl_fail(err, PIXL_E_NOMEM, 0, "secret");
    if (!secret_set(&k->value, secret_reveal(value), err)) {
        free(k);
        return false;
    }
    memcpy(k->name, name.p, name.n);
    k->n = name.n;
    k->next = s->kept;
    s->kept = k;
    return true;
}

static const struct secrets_kept *kept_locked(const struct secrets *s, struct str name)
{
    for (const struct secrets_kept *k = s->kept; k != NULL; k = k->next)
        if (str_eq(name, (struct str){ k->name, k->n }))
            return k;
    return NULL;
}

static bool get_locked(struct secrets *s, struct str name, struct secret *out, struct pixl_error *err)
{
    const struct secrets_kept *k = kept_locked(s, name);
    if (k != NULL)
        return secret_set(out, secret_reveal(&k->value), err);
    bool got = false;
    secret_auto found = { 0 };
    bool ok = s->ops->find(s, name, &got, &found, err);
    assert(ok == (err->code == PIXL_OK));
    if (!ok)
        return false;
    if (!got)
        return pixl_fail(err, PIXL_E_NOT_FOUND, 0, "secret %.*s not found", STR_ARG(name));
    if (found.n == 0)
        return pixl_fail(err, PIXL_E_INVALID, 0, "secret %.*s is empty", STR_ARG(name));
    if (!keep_locked(s, name, &found, err))
        return false;
    *out = found;
    found = (struct secret){ 0 };
    return true;
}

static void lock(struct secrets *s)
{
    int rc = pthread_mutex_lock(&s->lock);
    assert(rc == 0);
}

static void unlock(struct secrets *s)
{
    int rc = pthread_mutex_unlock(&s->lock);
    assert(rc == 0);
}

bool secrets_get(struct secrets *s, struct str name, struct secret *out, struct pixl_error *err)
{
    if (!secrets_is_name(name))
        return pixl_fail(err, PIXL_E_INVALID, 0, "name of a secret: must be letters, digits and '-'");
    lock(s);
    bool ok = get_locked(s, name, out, err);
    unlock(s);
    return ok;
}

static bool create_locked(struct secrets *s, struct str name, struct str value, struct secret *out,
                          struct pixl_error *err)
{
    const struct secrets_kept *k = kept_locked(s, name);
    if (k != NULL)
        return secret_set(out, secret_reveal(&k->value), err);
    secret_auto stored = { 0 };
    bool ok = s->ops->create(s, name, value, &stored, err);
    assert(ok == (err->code == PIXL_OK));
    if (!ok)
        return false;
    if (stored.n == 0)
        return pixl_fail(err, PIXL_E_INVALID, 0, "secret %.*s is empty", STR_ARG(name));
    if (!keep_locked(s, name, &stored, err))
        return false;
    *out = stored;
    stored = (struct secret){ 0 };
    return true;
}

bool secrets_create(struct secrets *s, struct str name, struct str value, struct secret *out, struct pixl_error *err)
{
    if (s->ops->create == NULL)
        return pixl_fail(err, PIXL_E_UNSUPPORTED, 0, "secret %.*s: %s cannot be written to",
                         secrets_is_name(name) ? (int)name.n : 0, name.p, secrets_place(s));
    if (!secrets_is_name(name))
        return pixl_fail(err, PIXL_E_INVALID, 0, "name of a secret: must be letters, digits and '-'");
    if (value.n == 0 || value.n > SECRETS_VALUE_MAX)
        return pixl_fail(err, PIXL_E_INVALID, 0, "secret %.*s: a value has 1 to %d bytes", STR_ARG(name),
                         SECRETS_VALUE_MAX);
    lock(s);
    bool ok = create_locked(s, name, value, out, err);
    unlock(s);
    return ok;
}

bool secrets_can_create(const struct secrets *s)
{
    return s->ops->create != NULL;
}

const char *secrets_place(const struct secrets *s)
{
    return s->ops->place(s);
}
