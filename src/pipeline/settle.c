#include "settle.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "base/fs.h"
#include "base/hash.h"
#include "base/log.h"
#include "pipeline/spool.h"

int64_t settle_pause_us(int attempts, uint32_t random)
{
    const int64_t max_us = INT64_C(600) * 1000000;
    int64_t pause = 1000000;
    for (int i = 1; i < attempts && pause < max_us; i++)
        pause *= 4;
    if (pause > max_us)
        pause = max_us;
    return pause - pause / 4 * (int64_t)(random % 1024) / 1024;
}

static uint32_t jitter(void)
{
    uint32_t r = 0;
    struct pixl_error ignored = { 0 };
    return hash_random(&r, sizeof r, &ignored) ? r : 0;
}

/* Where a row waits for its next try: a delivery whose zip is good waits in the spool. */
static enum study_state waiting_state(const struct store_image *image, const struct extract_result *r)
{
    bool zip_is_good = image->state == STUDY_DELIVERING && !r->zip_lost;
    return zip_is_good ? STUDY_DEIDENTIFIED : STUDY_QUEUED;
}

static void plan_retry(struct store_move *m, const struct settings *set, const struct store_image *image, const struct extract_result *r)
{
    m->count_attempt = true;
    if (image->attempts + 1 >= set->max_attempts) {
        m->to = STUDY_FAILED;
        return;
    }
    m->to = waiting_state(image, r);
    m->not_before_us = m->now_us + settle_pause_us(image->attempts + 1, jitter());
}

/* In no archive; or not in the primary one, and the secondary is asked next: one move, so that nothing falls in between. */
static void plan_missing(struct store_move *m, struct site *s, const struct store_image *image)
{
    if (image->archive != 0 || site_archive(s, 1) == NULL) {
        m->to = STUDY_MISSING;
        return;
    }
    m->to = STUDY_QUEUED;
    m->archive = 1;
    m->reason = STUDY_WHY_NOT_IN_PRIMARY;
}

static void plan_move(struct store_move *m, struct site *s, const struct store_image *image, const struct extract_result *r, int64_t hold_us)
{
    const struct settings *set = site_settings(s);
    switch (r->outcome) {
    case STUDY_OUT_DEIDENTIFIED:
        m->to = STUDY_DEIDENTIFIED;
        m->series_version = image->series_version;
        m->pseudo_study_uid = r->pseudo_study_uid;
        m->zip_digest = r->zip_digest;
        m->zip_bytes = r->zip_bytes;
        m->spool = site_spool(s);
        break;
    case STUDY_OUT_SKIPPED:
        m->to = STUDY_SKIPPED;
        m->series_version = image->series_version;
        break;
    case STUDY_OUT_EXPORTED:  m->to = STUDY_EXPORTED; break;
    case STUDY_OUT_KEPT:      m->to = STUDY_KEPT;     break;
    case STUDY_OUT_MISSING:   plan_missing(m, s, image); break;
    case STUDY_OUT_WITHHELD:  m->to = STUDY_WITHHELD; break;
    case STUDY_OUT_FAILED:    m->to = STUDY_FAILED;   break;
    case STUDY_OUT_RETRY:     plan_retry(m, set, image, r); break;
    case STUDY_OUT_UNAVAILABLE:
        m->to = waiting_state(image, r);
        m->reason = STUDY_WHY_UNAVAILABLE;
        m->not_before_us = m->now_us + hold_us;
        break;
    case STUDY_OUT_CANCELLED:
        m->to = waiting_state(image, r);
        m->reason = STUDY_WHY_STOPPED;
        break;
    case STUDY_OUT_LOST:
        assert(false && "a lost claim is not moved");
        break;
    }
}

/* A delivered or withheld study leaves the spool.  What stays behind by an error here is only space, and is said. */
static void tidy_spool(struct site *s, const struct store_image *image, const struct extract_result *r, enum study_state to)
{
    bool leaves = to == STUDY_EXPORTED || to == STUDY_WITHHELD || (image->state == STUDY_DELIVERING && to == STUDY_QUEUED);
    if (!leaves || r->pseudo_study_uid[0] == '\0')
        return;
    struct arena a;
    struct pixl_error err = { 0 };
    const char *path;
    arena_init(&a, 64 * 1024);
    bool keep = to == STUDY_EXPORTED && site_settings(s)->spool_keep_s > 0;
    if (!spool_path(s, image->project, r->pseudo_study_uid, &a, &path, &err) || !(keep ? spool_keep(path, &err) : fs_remove(path, &err)))
        log_event(LOG_WARN, "spool.not_tidied", "image=%lld code=%s", (long long)image->id, pixl_code_name(err.code));
    arena_done(&a);
}

static void log_move(const struct store_image *image, const struct extract_result *r, const struct store_move *m, enum study_state to)
{
    bool bad = to == STUDY_FAILED || to == STUDY_WITHHELD;
    bool waits = to == STUDY_QUEUED || (to == STUDY_DEIDENTIFIED && image->state == STUDY_DELIVERING);
    /* A delivery counts no instances: the line of the step before it has told them. */
    char counts[96] = "";
    if (image->state != STUDY_DELIVERING)
        (void)snprintf(counts, sizeof counts, " found=%lld delivered=%lld skipped=%lld", (long long)r->found,
                       (long long)r->delivered, (long long)r->skipped);
    log_event(bad || waits ? LOG_WARN : LOG_INFO, "study.moved",
              "image=%lld project=%.*s from=%s to=%s reason=%s attempt=%d%s%s%s",
              (long long)image->id, STR_ARG(image->project), study_state_name(image->state), study_state_name(to),
              m->reason == STUDY_WHY_NONE ? "-" : study_reason_name(m->reason), image->attempts + (m->count_attempt ? 1 : 0),
              counts, r->error.code != PIXL_OK ? " error=" : "", r->error.code != PIXL_OK ? r->error.msg : "");
}

/* The row cannot take the move (two rows would share a pseudo UID, a value is too long): this study alone fails. */
static bool fail_instead(struct site *s, struct store_move *m, struct pixl_error *err)
{
    if (err->code != PIXL_E_EXISTS && err->code != PIXL_E_INVALID && err->code != PIXL_E_LIMIT)
        return false;
    struct store_move plain = STORE_MOVE_NONE;
    plain.image = m->image;
    plain.fence = m->fence;
    plain.from = m->from;
    plain.now_us = m->now_us;
    plain.to = STUDY_FAILED;
    plain.reason = STUDY_WHY_DEIDENTIFY_ERROR;
    plain.detail = pixl_code_name(err->code);
    *m = plain;
    pixl_error_clear(err);
    return store_move(site_store(s), m, NULL, err);
}

/* A move that is not allowed: the row made it already, when the answer to its commit was lost with the connection.  *lost: the claim was
 * ended by another move. */
static bool was_moved(struct site *s, const struct store_image *image, const struct store_move *m, bool *lost, struct pixl_error *err)
{
    struct arena a;
    struct store_image now;
    struct pixl_error ignored = { 0 };
    bool got = false;
    arena_init(&a, 1 << 20);
    bool moved = err->code == PIXL_E_INTERNAL && store_get_image(site_store(s), image->id, &a, &got, &now, &ignored) && got &&
                 now.fence == image->fence && now.state != image->state;
    if (moved) {
        *lost = now.state != m->to;
        pixl_error_clear(err);
    }
    arena_done(&a);
    return moved;
}

static void count_settled(struct site *s, const struct store_image *image, const struct extract_result *r, enum study_state to)
{
    struct metrics *m = site_metrics(s);
    metrics_add_move(m, image->project, to);
    if (image->state == STUDY_RETRIEVING && (to == STUDY_DEIDENTIFIED || study_state_is_end(to)))
        metrics_add_instances(m, image->project, to == STUDY_DEIDENTIFIED ? r->delivered : 0, r->skipped);
    if (image->state == STUDY_RETRIEVING && to == STUDY_DEIDENTIFIED)
        metrics_add_bytes(m, METRICS_BYTES_ZIPPED, r->zip_bytes);
    if (to == STUDY_EXPORTED)
        metrics_add_bytes(m, METRICS_BYTES_DELIVERED, image->zip_bytes);
}

bool settle(struct site *s, const struct store_image *image, const struct extract_result *r, int64_t now_us, int64_t hold_us, struct settled *out,
            struct pixl_error *err)
{
    struct store_move m = STORE_MOVE_NONE;
    bool widened = false;
    *out = (struct settled){ .state = image->state, .lost = r->outcome == STUDY_OUT_LOST };
    if (out->lost) {
        log_event(LOG_INFO, "study.left", "image=%lld reason=%s", (long long)image->id, study_reason_name(r->reason));
        return true;
    }
    m.image = image->id;
    m.fence = image->fence;
    m.from = (int)image->state;
    m.now_us = now_us;
    m.reason = r->reason;
    m.detail = r->detail[0] ? r->detail : NULL;
    if (image->state == STUDY_RETRIEVING && r->found > 0) {
        m.instances_found = r->found;
        m.instances_delivered = r->outcome == STUDY_OUT_DEIDENTIFIED ? r->delivered : 0;
        m.instances_skipped = r->skipped;
        m.skipped_by = r->skipped_by;
    }
    plan_move(&m, s, image, r, hold_us);
    if (m.to == STUDY_WITHHELD)          /* the zip goes first: a crash in between leaves no zip that must not be */
        tidy_spool(s, image, r, m.to);
    if (!store_move(site_store(s), &m, &widened, err) && !fail_instead(s, &m, err) && !was_moved(s, image, &m, &out->lost, err)) {
        if (err->code != PIXL_E_STALE)
            return pixl_wrap(err, "image %lld", (long long)image->id);
        pixl_error_clear(err);
        out->lost = true;
    }
    if (out->lost) {
        log_event(LOG_WARN, "study.claim_lost", "image=%lld fence=%lld", (long long)image->id, (long long)image->fence);
        return true;
    }
    out->state = widened ? STUDY_QUEUED : m.to;
    count_settled(s, image, r, out->state);
    if (out->state != STUDY_WITHHELD)
        tidy_spool(s, image, r, out->state);
    log_move(image, r, &m, out->state);
    return true;
}
