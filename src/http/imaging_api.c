#include "imaging_api.h"

#include <errno.h>

#include "base/clock.h"
#include "base/log.h"
#include "pipeline/tokens.h"

/* Looks into folders again and again: what is new there is found by nobody else. */
struct refresher {
    struct site *site;
    pthread_t thread;
    pthread_mutex_t lock; /* guards ends */
    pthread_cond_t changed;
    bool ends;
};

static bool goes_on(void *ctx, uint64_t looked_at, uint64_t dicom)
{
    struct refresher *r = ctx;
    (void)looked_at;
    (void)dicom;
    pthread_mutex_lock(&r->lock);
    bool ends = r->ends;
    pthread_mutex_unlock(&r->lock);
    return !ends;
}

static bool is_folder(struct site *s, int which)
{
    return site_archive(s, which) != NULL && (archive_caps(site_archive(s, which)) & ARCHIVE_CAP_LOCAL) != 0;
}

static void refresh_folders(struct refresher *r)
{
    for (int i = 0; i < STORE_ARCHIVES; i++) {
        struct pixl_error err = { 0 };
        if (is_folder(r->site, i) && !archive_refresh(site_archive(r->site, i), goes_on, r, &err) &&
            err.code != PIXL_E_CANCELLED)
            log_event(LOG_WARN, "archive.not_refreshed", "archive=%s code=%s error=%s", site_archive_name(i),
                      pixl_code_name(err.code), err.msg);
    }
}

/* *r->lock held; true: it is time to end. */
static bool wait_locked(struct refresher *r, int64_t until_us)
{
    const struct timespec t = { .tv_sec = until_us / 1000000, .tv_nsec = until_us % 1000000 * 1000 };
    int rc = 0;
    while (!r->ends && rc != ETIMEDOUT)
        rc = pthread_cond_timedwait(&r->changed, &r->lock, &t);
    return r->ends;
}

static void *refresh_again(void *arg)
{
    struct refresher *r = arg;
    pthread_mutex_lock(&r->lock);
    while (!wait_locked(r, clock_mono_us() + site_settings(r->site)->refresh_s * 1000000)) {
        pthread_mutex_unlock(&r->lock);
        refresh_folders(r);
        pthread_mutex_lock(&r->lock);
    }
    pthread_mutex_unlock(&r->lock);
    return NULL;
}

static bool start_refresher(struct refresher *r, struct pixl_error *err)
{
    pthread_condattr_t attr;
    sigset_t all, before;
    (void)pthread_mutex_init(&r->lock, NULL);
    (void)pthread_condattr_init(&attr);
    (void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&r->changed, &attr);
    (void)pthread_condattr_destroy(&attr);
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before); /* the main thread alone takes signals */
    int rc = pthread_create(&r->thread, NULL, refresh_again, r);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    return rc == 0 || pixl_fail_errno(err, rc, "thread that looks for new files");
}

static void end_refresher(struct refresher *r)
{
    pthread_mutex_lock(&r->lock);
    r->ends = true;
    pthread_cond_broadcast(&r->changed);
    pthread_mutex_unlock(&r->lock);
    (void)pthread_join(r->thread, NULL);
}

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
    struct refresher r = { .site = s };
    for (int i = 0; i < STORE_ARCHIVES; i++) {
        if (site_archive(s, i) == NULL)
            continue;
        if (!know_archive(s, i, err))
            return false;
        if (!archive_refresh(site_archive(s, i), NULL, NULL, err))
            return site_wrap_archive(i, err);
    }
    if (!start_refresher(&r, err))
        return false;
    bool ok = service_run(s, &o, err);
    end_refresher(&r);
    return ok;
}
