/* secrets_backend.h - what a place for secrets must provide; included by the backends and the front door only.
 * A backend is called with the place's lock held, one call at a time; names were checked ([A-Za-z0-9-]+). */
#ifndef PIXL_SECRETS_BACKEND_H
#define PIXL_SECRETS_BACKEND_H

#include <pthread.h>

#include "secrets.h"

enum { SECRETS_NAME_MAX = 127, SECRETS_VALUE_MAX = 16 * 1024 };

struct secrets_ops {
    const char *scheme;          /* "file" */
    unsigned caps;
    /* rest: what follows the colon, borrowed; settings may be NULL. */
    bool (*open)(const char *rest, const struct settings *settings, struct secrets **out, struct pixl_error *err);
    /* *got says whether it is there; *out, zeroed, is set only then.  Looks at the place itself: the front door keeps
     * what was found. */
    bool (*find)(struct secrets *s, struct str name, bool *got, struct secret *out, struct pixl_error *err);
    /* With SECRETS_CAP_CREATE.  *out, zeroed, gets what is there afterwards. */
    bool (*create)(struct secrets *s, struct str name, struct str value, struct secret *out, struct pixl_error *err);
    const char *(*place)(const struct secrets *s);
    void (*close)(struct secrets *s);
};

struct secrets_kept;
/* First member of every backend; the front door's own part is set up by secrets_open(). */
struct secrets {
    const struct secrets_ops *ops;
    int64_t keep_us;             /* set by open: how long a value is good; 0: for as long as this lives */
    pthread_mutex_t place_lock;  /* guards the backend */
    pthread_mutex_t lock;        /* guards kept; may be taken with place_lock held */
    struct secrets_kept *kept;
};

bool secrets_is_name(struct str name);
/* a and b, one after the other; malloc. */
char *secrets_join(const char *a, const char *b);

extern const struct secrets_ops secrets_file, secrets_env, secrets_azure;

#endif
