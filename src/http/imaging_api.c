#include "imaging_api.h"

#include "base/clock.h"
#include "pipeline/tokens.h"

/* Nothing is asked of an archive before somebody says how fast. */
static bool know_archive(struct site *s, int which, struct pixl_error *err)
{
    double rate;
    bool is_set;
    const char *name = site_archive_name(which);
    if (!tokens_rate(site_store(s), name, &rate, &is_set, err))
        return false;
    return is_set || tokens_set_rate(site_store(s), name, 0, clock_wall_us(), err);
}

bool imaging_api_run(struct site *s, const char *program, struct pixl_error *err)
{
    const struct service_options o = {
        .name = "imaging-api",
        .port = (int)site_settings(s)->imaging_api_port,
        .does = WORK_RETRIEVES,
        .program = program,
    };
    for (int i = 0; i < STORE_ARCHIVES; i++) {
        struct archive *a = site_archive(s, i);
        if (a == NULL)
            continue;
        if (!know_archive(s, i, err))
            return false;
        if (!archive_refresh(a, NULL, NULL, err))
            return pixl_wrap(err, "%s archive", site_archive_name(i));
    }
    return service_run(s, &o, err);
}
