/* Nothing is delivered: a de-identified study is kept where it is. */
#include "upload_backend.h"

#include <stdlib.h>

static bool none_open(const struct project *p, const struct upload_options *o, struct upload **out, struct pixl_error *err)
{
    (void)p;
    (void)o;
    struct upload *u = malloc(sizeof *u);
    if (u == NULL)
        return pixl_fail(err, PIXL_E_NOMEM, 0, "destination");
    u->ops = &upload_none;
    *out = u;
    return true;
}

static const char *none_place(const struct upload *u)
{
    (void)u;
    return "none";
}

static bool none_check(struct upload *u, struct pixl_error *err)
{
    (void)u;
    (void)err;
    return true;
}

static bool none_check_key(struct upload *u, struct str check_value, struct pixl_error *err)
{
    (void)check_value;
    return none_check(u, err);
}

static bool none_look_at_key(struct upload *u, struct str check_value, bool *is_marked, struct pixl_error *err)
{
    (void)check_value;
    *is_marked = false;
    return none_check(u, err);
}

static bool none_study(struct upload *u, const struct upload_study *z, struct pixl_error *err)
{
    (void)z;
    return none_check(u, err);
}

static bool none_table(struct upload *u, struct str time_slug, const char *path, const char *remote,
                       struct pixl_error *err)
{
    (void)time_slug;
    (void)path;
    (void)remote;
    return none_check(u, err);
}

static void none_close(struct upload *u)
{
    free(u);
}

static bool none_withdraw_table(struct upload *u, struct str time_slug, const char *remote, struct pixl_error *err)
{
    (void)u;
    (void)time_slug;
    (void)remote;
    (void)err;
    return true;
}

const struct upload_ops upload_none = {
    .word = PROJECT_TO_NONE,
    .caps = UPLOAD_CAP_KEEPS,
    .open = none_open,
    .place = none_place,
    .check = none_check,
    .check_key = none_check_key,
    .look_at_key = none_look_at_key,
    .study = none_study,
    .table = none_table,
    .withdraw_table = none_withdraw_table,
    .close = none_close,
};
