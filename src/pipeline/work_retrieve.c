/* work_retrieve.c - the lanes that take studies from an archive: token, claim, attempt. */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "pipeline/tokens.h"
#include "pipeline/work_internal.h"

/* --- after an attempt ----------------------------------------------------------------------------------------------- */

/* What this retrieval says of the archive and of the spool's disk; the breaker that an outage opened, or NULL. */
static struct breaker *report_retrieval(struct hand *h, const struct extract_result *r)
{
    if (r->outcome == STUDY_OUT_CANCELLED || r->outcome == STUDY_OUT_LOST) {
        pass_unused(&h->source);
        pass_unused(&h->spool);
        return NULL;
    }
    struct breaker *archive = h->source.breaker, *spool = h->spool.breaker;
    bool unavailable = r->outcome == STUDY_OUT_UNAVAILABLE, archive_is_down = unavailable && r->stage == EXTRACT_ARCHIVE;
    pass_report(&h->source, !archive_is_down, &r->error);
    if (unavailable && !archive_is_down)
        pass_report(&h->spool, false, &r->error);
    else if (r->outcome == STUDY_OUT_DEIDENTIFIED)
        pass_report(&h->spool, true, NULL);
    else
        pass_unused(&h->spool);
    return !unavailable ? NULL : archive_is_down ? archive : spool;
}

/* The child's result as far as the row tells it.  false: the row is still claimed, and the child's end (in r) must be settled. */
static bool child_settled(struct work *w, const struct store_image *image, struct extract_result *r, struct settled *s)
{
    struct arena a;
    struct store_image now;
    struct pixl_error err = { 0 };
    bool got = false;
    arena_init(&a, 1 << 20);
    bool ok = store_get_image(site_store(w->site), image->id, &a, &got, &now, &err);
    bool moved = ok && got && (now.state != STUDY_RETRIEVING || now.fence != image->fence);
    if (moved) {
        *s = (struct settled){ .state = now.state, .lost = now.fence != image->fence };
        *r = (struct extract_result){ .outcome = STUDY_OUT_DEIDENTIFIED, .zip_bytes = now.zip_bytes,
                                      .delivered = now.instances_delivered > 0 ? now.instances_delivered : 0 };
        if (now.state == STUDY_QUEUED && now.reason == STUDY_WHY_UNAVAILABLE) {
            bool is_archive = str_eq(now.detail, str_of(pixl_code_name(PIXL_E_UNAVAILABLE)));
            r->outcome = STUDY_OUT_UNAVAILABLE;
            r->stage = is_archive ? EXTRACT_ARCHIVE : EXTRACT_SPOOL;
            pixl_fail(&r->error, PIXL_E_UNAVAILABLE, 0, "%s", is_archive ? "the archive cannot be reached" : "the spool cannot be written");
        } else if (now.state != STUDY_DEIDENTIFIED) {
            r->outcome = STUDY_OUT_FAILED;
        }
    }
    arena_done(&a);
    return moved;
}

static void retrieve_suspect(struct hand *h)
{
    struct work *w = h->lane->work;
    const struct store_image *image = &h->image;
    struct extract_result r;
    struct settled s;
    struct pixl_error err = { 0 };
    log_event(LOG_WARN, "study.suspect", "image=%lld crashes=%d", (long long)image->id, image->crashes);
    if (!work_in_child(w->options->program, image, &h->x, &r, &err))
        r.error = err;
    bool settled = child_settled(w, image, &r, &s);
    struct breaker *open = report_retrieval(h, &r);
    if (settled)
        work_note_settled(w, image, &r, &s);
    else
        work_settle(h, &r, open);
}

/* A service leaves what it cannot do to one that can: its project's file may be on another machine only. */
static bool can_do(struct hand *h, struct extract_result *r)
{
    struct work *w = h->lane->work;
    struct site_project *ignored;
    struct pixl_error err = { 0 };
    if (!w->options->stays || site_project(w->site, h->image.project, false, &ignored, &err))
        return true;
    work_leave_out(w, h->image.project, &err);
    *r = (struct extract_result){ .outcome = STUDY_OUT_CANCELLED };
    return false;
}

/* A service lives longer than what a folder's index knows: it is looked through again before a study is taken that was asked for since,
 * and now and then, for those that somebody asks for again.  Which came since is told by their numbers: the clock of the machine that asked
 * may be another one. */
static bool is_index_fresh(struct hand *h, struct extract_result *r)
{
    struct lane *l = h->lane;
    struct archive *a = site_archive(l->work->site, l->which);
    bool ok = true;
    if (!l->work->options->stays || !l->is_local)
        return true;
    struct pixl_error err = { 0 };
    pthread_mutex_lock(&l->refreshing);
    const int64_t now_us = clock_mono_us();
    if (h->image.id > l->refreshed_up_to || now_us - l->refreshed_us > 600 * SECOND_US) {
        struct pixl_error ignored = { 0 };
        int64_t newest;
        if (!store_newest_image(site_store(l->work->site), &newest, &ignored))
            newest = 0; /* the next study has it looked through again */
        ok = archive_refresh(a, NULL, NULL, &err);
        if (ok && archive_health(a).instances == 0)
            ok = pixl_fail(&err, PIXL_E_UNAVAILABLE, 0, "it holds no DICOM file; is the share mounted?");
        if (ok) {
            l->refreshed_us = now_us;
            l->refreshed_up_to = newest;
        }
    }
    pthread_mutex_unlock(&l->refreshing);
    if (!ok)
        *r = (struct extract_result){
            .outcome = STUDY_OUT_UNAVAILABLE, .stage = EXTRACT_ARCHIVE, .reason = STUDY_WHY_ARCHIVE_ERROR, .error = err
        };
    return ok;
}

static void retrieve(struct hand *h)
{
    struct extract_result r;
    if (h->image.crashes > 0 && h->lane->work->options->program != NULL) {
        retrieve_suspect(h);
        return;
    }
    if (can_do(h, &r) && is_index_fresh(h, &r))
        extract_study(&h->x, &h->image, &r);
    work_settle(h, &r, report_retrieval(h, &r));
}

/* --- tokens ----------------------------------------------------------------------------------------------------------- */

static const char *bucket_of(const struct lane *l)
{
    return site_archive_name(l->which);
}

/* A token that was not needed after all; one that cannot be given back only makes the archive rest a little longer. */
static void refund(struct lane *l)
{
    struct pixl_error err = { 0 };
    if (!tokens_refund(site_store(l->work->site), bucket_of(l), clock_wall_us(), &err))
        log_event(LOG_DEBUG, "token.not_refunded", "code=%s", pixl_code_name(err.code));
}

/* A folder that has no rate gets one for as long as the window that is open says one: as high as can be set. */
static bool make_bucket(struct lane *l, double most_per_s, bool *made, struct pixl_error *err)
{
    *made = l->is_local && most_per_s >= 0;
    return !*made || tokens_set_rate(site_store(l->work->site), bucket_of(l), 10000, clock_wall_us(), err);
}

/* Waits for a token where the archive has a rate.  *taken: it is ours, to be used or refunded.  *may: the archive may be asked now; it
 * may not when its rate is 0, or it is time to end. */
static bool wait_for_token(struct lane *l, double most_per_s, bool *taken, bool *may, struct pixl_error *err)
{
    struct work *w = l->work;
    struct store *store = site_store(w->site);
    double rate;
    int64_t wait_us;
    *may = *taken = false;
    if (!tokens_rate(store, bucket_of(l), &rate, may, err) || (!*may && !make_bucket(l, most_per_s, may, err)))
        return false;
    if (!*may) {                             /* no rate was ever set: a folder is free, a remote archive is not asked */
        *may = l->is_local;
        atomic_store(&l->is_stopped, !*may);
        return true;
    }
    if (!tokens_reserve(store, bucket_of(l), most_per_s, clock_wall_us(), taken, &wait_us, err))
        return false;
    atomic_store(&l->is_stopped, !*taken);
    *may = *taken;
    if (!*taken)
        return true;
    const int64_t until = clock_mono_us() + wait_us;
    while (clock_mono_us() < until && !work_is_ending(w))
        work_wait_until(w, until);
    if (work_is_ending(w)) {
        refund(l);
        *may = *taken = false;
    }
    return true;
}

/* --- claiming ---------------------------------------------------------------------------------------------------------- */

/* Ordinary rows first, then one suspect at a time. */
static bool claim(struct hand *h, struct store_claim *c, bool *got, struct pixl_error *err)
{
    struct work *w = h->lane->work;
    c->now_us = clock_wall_us();
    c->suspects = false;
    if (!lane_next_row(h, c, got, err))
        return false;
    pthread_mutex_lock(&w->lock);
    bool take_suspect = !*got && w->suspects_in_hand == 0;
    w->suspects_in_hand += take_suspect;
    pthread_mutex_unlock(&w->lock);
    if (!take_suspect)
        return true;
    c->suspects = true;
    bool ok = lane_next_row(h, c, got, err);
    pthread_mutex_lock(&w->lock);
    w->suspects_in_hand--;
    pthread_mutex_unlock(&w->lock);
    return ok;
}

/* Both breakers have allowed it. */
static bool look_allowed(struct hand *h, struct store_claim *c, double most_per_s, enum did *did,
                         struct pixl_error *err)
{
    bool taken, may, got = false;
    if (!wait_for_token(h->lane, most_per_s, &taken, &may, err))
        return false;
    if (!may)
        return true;
    bool ok = claim(h, c, &got, err);
    if (got)
        *did = DID_WORK;
    else if (taken)
        refund(h->lane);
    return ok;
}

/* Is it an hour in which the archive may be asked? */
static bool is_open(struct lane *l, int64_t now_us, double *most_per_s, int64_t *again_us)
{
    bool open = windows_open(l->windows, now_us, most_per_s);
    int64_t opens_us = open ? 0 : atomic_load(&l->opens_us);
    if (!open && opens_us <= now_us) /* asked once, as it is a long search */
        opens_us = windows_opens_us(l->windows, now_us);
    atomic_store(&l->opens_us, opens_us);
    if (!open && opens_us < INT64_MAX / 2)
        *again_us = clock_mono_us() + (opens_us - now_us);
    return open;
}

/* With a queue also while no row is due: a message of the Python system may ask for one that is not made yet. */
static bool look(struct hand *h, enum did *did, int64_t *again_us, struct pixl_error *err)
{
    struct lane *l = h->lane;
    struct work *w = l->work;
    struct store_claim c;
    int64_t due;
    double most_per_s;
    if (!lane_claim(h, l, &c, err) || !lane_next_due(w, &c, &due, err))
        return false;
    const bool is_due = due <= c.now_us;
    atomic_store(&l->is_due, is_due);
    if (!is_due && due != INT64_MAX)
        *again_us = clock_mono_us() + (due - c.now_us);
    if (!is_due && w->hints == NULL) {
        *did = DID_NOTHING;
        return true;
    }
    *did = DID_WAIT;
    if (!is_open(l, c.now_us, &most_per_s, again_us) || work_spool_is_full(w) ||
        !pass_take(w, &l->source, l->name, &h->source))
        return true;
    bool ok = true;
    if (pass_take(w, &w->spool, "spool", &h->spool)) {
        ok = look_allowed(h, &c, most_per_s, did, err);
        if (*did != DID_WORK)
            pass_unused(&h->spool);
    }
    if (*did != DID_WORK)
        pass_unused(&h->source);
    return ok;
}

void work_retrieves(struct work *w, struct lane *l, int which)
{
    const struct settings *set = site_settings(w->site);
    struct archive *a = site_archive(w->site, which);
    l->work = w;
    l->name = which == 0 ? "primary archive" : "secondary archive";
    l->which = which;
    l->kind = STORE_WORK_RETRIEVE;
    /* Rows that wait for an archive which is no longer set are asked of the one that is. */
    l->archives = site_archive(w->site, 1) == NULL ? 0 : 1u << which;
    l->windows = which == 0 ? &set->primary_windows : &set->secondary_windows;
    l->is_local = (archive_caps(a) & ARCHIVE_CAP_LOCAL) != 0;
    l->threads_max = l->is_local ? work_cores(set) : (int)set->in_flight;
    l->look = look;
    l->run = retrieve;
}
