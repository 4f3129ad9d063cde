/* secrets_env.c - secrets from the environment: PIXL_SECRET_ and the name in capitals, '-' as '_'. */
#include "secrets_backend.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define PREFIX "PIXL_SECRET_"

static bool env_open(const char *rest, const struct settings *settings, struct secrets **out, struct pixl_error *err)
{
    (void)settings;
    if (*rest != '\0')
        return pixl_fail(err, PIXL_E_INVALID, 0, "secrets URL: nothing may follow env:");
    struct secrets *s = calloc(1, sizeof *s);
    if (s == NULL)
        return pixl_fail(err, PIXL_E_NOMEM, 0, "secrets");
    s->ops = &secrets_env;
    *out = s;
    return true;
}

static bool env_find(struct secrets *s, struct str name, bool *got, struct secret *out, struct pixl_error *err)
{
    char key[sizeof PREFIX + SECRETS_NAME_MAX] = PREFIX;
    assert(s->ops == &secrets_env && name.n <= SECRETS_NAME_MAX);
    char *to = key + sizeof PREFIX - 1;
    for (size_t i = 0; i < name.n; i++) {
        char c = name.p[i];
        *to++ = c == '-' ? '_' : c >= 'a' && c <= 'z' ? (char)(c - 'a' + 'A') : c;
    }
    *to = '\0';
    const char *value = getenv(key);
    if (value != NULL && !secret_set(out, str_of(value), err))
        return false;
    *got = value != NULL;
    return true;
}

static const char *env_place(const struct secrets *s)
{
    (void)s;
    return "environment (" PREFIX "...)";
}

static void env_close(struct secrets *s)
{
    free(s);
}

const struct secrets_ops secrets_env = {
    .scheme = "env", .open = env_open, .find = env_find, .place = env_place, .close = env_close,
};
