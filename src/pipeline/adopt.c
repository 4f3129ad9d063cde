#include "adopt.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fs.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/slug.h"
#include "deid/inspect.h"
#include "pipeline/held.h"
#include "pipeline/settle.h"
#include "pipeline/spool.h"
#include "upload/anon.h"
#include "upload/zip.h"

#define SECOND_US          INT64_C(1000000)
#define STUDY_ARENA_MAX    ((size_t)1 << 30)
#define INSTANCE_ARENA_MAX ((size_t)256 << 20)
#define ROW_ARENA_MAX      ((size_t)16 << 20)
#define PROJECT_TAG        0x000D0001u /* (000D,xx01), in the block of its creator */
#define PROJECT_CREATOR    "UCLH PIXL"

enum { LOOK_FIRST_MS = 20, LOOK_MAX_MS = 500, LIST_FIRST_MS = 500, LIST_MAX_MS = 2000, CRASHES_MAX = 3 };

struct adoption {
    struct site *site;
    const struct adopt_order *order;
    struct anon *anon;
    struct arena study, instance, row;
    struct anon_study found;
    struct str slug; /* empty: nobody says */
    struct site_project *project;
    int64_t image, until_us;
};

static bool is_cancelled(const struct adoption *a)
{
    return a->order->cancel != NULL && atomic_load(a->order->cancel);
}

static bool fail_stopping(struct pixl_error *err)
{
    return pixl_fail(err, PIXL_E_CANCELLED, 0, "the service is stopping: ask again");
}

/* --- one instance, as a file without a name --------------------------------------------------------------------- */

static bool open_file(struct adoption *a, int *fd, struct pixl_error *err)
{
    const char *dir = fs_path(&a->study, site_settings(a->site)->state_dir, "tmp");
    return dir != NULL ? fs_open_nameless(dir, fd, err) : pixl_fail(err, PIXL_E_NOMEM, 0, "a temporary file");
}

/* Into fd, in the place of what it held.  max_bytes: more fails with LIMIT. */
static bool fetch(struct adoption *a, const struct anon_instance *i, int fd, uint64_t max_bytes,
                  struct dicom_source *source, struct pixl_error *err)
{
    const int64_t deadline_us = clock_mono_us() + site_settings(a->site)->dicomweb_timeout_s * SECOND_US;
    bool got;
    if (ftruncate(fd, 0) != 0 || lseek(fd, 0, SEEK_SET) != 0)
        return pixl_fail(err, PIXL_E_IO, 0, "a temporary file");
    if (!anon_fetch(a->anon, i->id, fd, max_bytes, deadline_us, a->order->cancel, &got, err))
        return false;
    if (!got)
        return pixl_fail(err, PIXL_E_NOT_FOUND, 404, "an instance went from Orthanc anon while its study was read");
    return dicom_source_fd(fd, source, err);
}

/* --- which study, project and row ------------------------------------------------------------------------------ */

static bool text_at(struct dicom_file *f, uint32_t i, struct str *out, struct pixl_error *err)
{
    if (!dicom_value(f, i, out, err))
        return false;
    *out = str_trim(dicom_uid_trim(*out));
    return true;
}

/* The name that the private tag holds; empty: there is none. */
static bool read_tag(struct dicom_file *f, struct str *name, struct pixl_error *err)
{
    *name = (struct str){ 0 };
    for (uint32_t i = f->meta_end; i < f->n_elements; i = f->elements[i].end) {
        const struct dicom_element *e = &f->elements[i];
        struct str creator;
        const int64_t at = dicom_private_creator(f, i);
        if ((e->tag & 0xFFFF00FFu) != PROJECT_TAG || (e->flags & DICOM_IS_SEQUENCE) || at < 0)
            continue;
        if (!text_at(f, (uint32_t)at, &creator, err))
            return false;
        if (str_eq(creator, STR(PROJECT_CREATOR)))
            return text_at(f, i, name, err);
    }
    return true;
}

static bool read_project(struct adoption *a, struct str *name, struct pixl_error *err)
{
    const struct dicom_limits limits = DICOM_LIMITS_DEFAULT;
    const uint64_t max_bytes = (uint64_t)site_settings(a->site)->max_study_gib << 30;
    struct dicom_source source;
    struct dicom_file file;
    int fd;
    if (!open_file(a, &fd, err))
        return false;
    bool ok = fetch(a, &a->found.instances[0], fd, max_bytes, &source, err) &&
              dicom_parse(&source, &limits, &a->instance, &file, err) && read_tag(&file, name, err);
    (void)close(fd);
    return ok;
}

static bool find_project(struct adoption *a, struct pixl_error *err)
{
    struct str name = str_trim(a->order->project);
    if (name.n == 0 && !read_project(a, &name, err))
        return false;
    if (name.n == 0 || slug_make(&a->study, name, &a->slug, err))
        return true;
    if (err->code == PIXL_E_INVALID || err->code == PIXL_E_UNSUPPORTED)
        err->code = PIXL_E_NOT_FOUND; /* no project is called so */
    return false;
}

/* The one row that this study stands for.  Compared whole: what finds a row by other words must not. */
static bool find_row(struct adoption *a, struct store_image *out, struct pixl_error *err)
{
    int64_t *ids;
    size_t n, matches = 0;
    if (!store_find_images(site_store(a->site), phi_text(a->found.uid), &a->row, &ids, &n, err))
        return false;
    for (size_t i = 0; i < n; i++) {
        struct store_image one;
        bool got;
        if (!store_get_image(site_store(a->site), ids[i], &a->row, &got, &one, err))
            return false;
        if (!got || !str_eq(one.pseudo_study_uid, a->found.uid) || (a->slug.n > 0 && !str_eq(one.project, a->slug)))
            continue;
        *out = one;
        matches++;
    }
    if (matches == 0)
        return pixl_fail(err, PIXL_E_NOT_FOUND, 0, "no study of that project is delivered as this one");
    if (matches > 1)
        return pixl_fail(err, PIXL_E_CORRUPT, 0, "%zu rows are delivered as this study: image %lld is the last of them",
                         matches, (long long)out->id);
    a->image = out->id;
    return true;
}

/* Its configuration, and its destination, which is opened before anything is claimed. */
static bool open_project(struct adoption *a, struct str slug, struct pixl_error *err)
{
    if (!site_project(a->site, slug, false, &a->project, err))
        return false;
    if (site_project(a->site, slug, true, &a->project, err))
        return true;
    if (err->code == PIXL_E_NOT_FOUND)
        err->code = PIXL_E_UNAVAILABLE; /* a secret: the project is there */
    return false;
}

/* --- an attempt ------------------------------------------------------------------------------------------------ */

struct attempt {
    struct adoption *a;
    const struct store_image *image;
    struct extract_result *r;
    struct deid_inspection *inspection;
    struct zip *zip;
    int fd;
    uint64_t bytes;
};

static bool ended(struct attempt *t, enum study_outcome outcome, enum study_reason reason)
{
    t->r->outcome = outcome;
    t->r->reason = reason;
    return false;
}

static bool failed(struct attempt *t, enum study_reason reason)
{
    (void)snprintf(t->r->detail, sizeof t->r->detail, "%s", pixl_code_name(t->r->error.code));
    return ended(t, study_outcome_of(t->r->error.code), reason);
}

/* Orthanc anon's trouble: but for what is wrong with an instance, it passes. */
static bool anon_failed(struct attempt *t)
{
    if (t->r->error.code == PIXL_E_LIMIT)
        return failed(t, STUDY_WHY_TOO_LARGE);
    return failed(t, t->r->error.code == PIXL_E_NOT_FOUND ? STUDY_WHY_CHANGED_WHILE_READ : STUDY_WHY_ARCHIVE_ERROR);
}

static int by_text(const void *left, const void *right)
{
    return str_cmp(*(const struct str *)left, *(const struct str *)right);
}

/* One SOP Instance UID in two series: a folder would take both, and a DICOMweb server one. */
static bool check_sop_uids(struct attempt *t)
{
    const struct anon_study *s = &t->a->found;
    struct str *uids = arena_calloc(&t->a->study, s->n, sizeof *uids);
    if (uids == NULL) {
        (void)pixl_fail(&t->r->error, PIXL_E_NOMEM, 0, "list of instances");
        return failed(t, STUDY_WHY_SPOOL_ERROR);
    }
    for (size_t i = 0; i < s->n; i++)
        uids[i] = s->instances[i].sop_uid;
    qsort(uids, s->n, sizeof *uids, by_text);
    for (size_t i = 1; i < s->n; i++)
        if (str_eq(uids[i - 1], uids[i]))
            return ended(t, STUDY_OUT_FAILED, STUDY_WHY_DUPLICATE_INSTANCE);
    return true;
}

static bool begin(struct attempt *t)
{
    const struct store_image *i = t->image;
    const struct phi_text originals[] = { i->study_uid, i->found_uid, i->series_uids };
    const struct deid_inspection_args args = { .mrn = i->mrn,
                                               .accession_number = i->accession_number,
                                               .original_uids = originals,
                                               .n_original_uids = ARRAY_LEN(originals),
                                               .pseudo_study_uid = i->pseudo_study_uid,
                                               .patient = i->participant_id };
    const char *path;
    char fence[32];
    (void)snprintf(t->r->pseudo_study_uid, sizeof t->r->pseudo_study_uid, "%.*s", STR_ARG(i->pseudo_study_uid));
    (void)snprintf(fence, sizeof fence, "%lld", (long long)i->fence);
    if (!check_sop_uids(t))
        return false;
    if (!deid_inspection_new(&args, &t->inspection, &t->r->error))
        return failed(t, STUDY_WHY_DEIDENTIFY_ERROR);
    return (open_file(t->a, &t->fd, &t->r->error) &&
            spool_path(t->a->site, i->project, t->r->pseudo_study_uid, &t->a->study, &path, &t->r->error) &&
            zip_new(path, fence, (int)site_settings(t->a->site)->deflate_level, &t->zip, &t->r->error)) ||
           failed(t, STUDY_WHY_SPOOL_ERROR);
}

static bool write_entry(struct attempt *t, const struct deid_result *d, const struct dicom_file *f)
{
    char name[3 * (DICOM_UID_MAX + 1) + 8];
    (void)snprintf(name, sizeof name, "%s/%s/%s.dcm", t->r->pseudo_study_uid, d->series_uid, d->sop_uid);
    t->r->delivered++;
    return zip_add(t->zip, name, &d->plan, &f->source, d->pixels_compressed, &t->r->error) ||
           failed(t, STUDY_WHY_SPOOL_ERROR);
}

static bool take_verdict(struct attempt *t, const struct anon_instance *from, const struct deid_result *d,
                         const struct dicom_file *f)
{
    memcpy(t->r->detail, d->where, sizeof t->r->detail);
    switch (d->verdict) {
    case DEID_EMIT:
        /* Entries are in the order of the list: what it says an instance is must be what it is. */
        if (!str_eq(str_of(d->series_uid), from->series_uid) || !str_eq(str_of(d->sop_uid), from->sop_uid))
            return ended(t, STUDY_OUT_RETRY, STUDY_WHY_CHANGED_WHILE_READ);
        return write_entry(t, d, f);
    case DEID_RESIDUE: return ended(t, STUDY_OUT_WITHHELD, STUDY_WHY_RESIDUE);
    case DEID_MISMATCH: return ended(t, STUDY_OUT_FAILED, STUDY_WHY_IDENTITY_MISMATCH);
    case DEID_FILTERED:
    case DEID_REFUSED: break;
    }
    return ended(t, STUDY_OUT_FAILED, d->why);
}

static bool take_instance(struct attempt *t, const struct anon_instance *i)
{
    const struct dicom_limits limits = DICOM_LIMITS_DEFAULT;
    const uint64_t max_bytes = (uint64_t)site_settings(t->a->site)->max_study_gib << 30;
    struct dicom_source source;
    struct dicom_file file;
    struct deid_result d;
    if (is_cancelled(t->a))
        return ended(t, STUDY_OUT_CANCELLED, STUDY_WHY_STOPPED);
    arena_reset(&t->a->instance);
    if (!fetch(t->a, i, t->fd, max_bytes - t->bytes, &source, &t->r->error))
        return anon_failed(t);
    t->bytes += source.size_bytes;
    if (!dicom_parse(&source, &limits, &t->a->instance, &file, &t->r->error) ||
        !deid_inspect(t->inspection, &file, &t->a->instance, &d, &t->r->error))
        return failed(t, extract_reason_of_parse(t->r->error.code));
    return take_verdict(t, i, &d, &file);
}

/* Does Orthanc anon still list the very instances that were taken?  Others may have put more there meanwhile, or go on. */
static bool is_still_whole(struct attempt *t)
{
    const struct anon_study *was = &t->a->found;
    struct anon_study now = { .n = 0 };
    bool got, same;
    if (!anon_find(t->a->anon, t->a->order->study_id, &t->a->study, t->a->order->cancel, &got, &now, &t->r->error))
        return anon_failed(t);
    same = got && now.is_stable && now.n == was->n;
    for (size_t i = 0; same && i < now.n; i++)
        same = strcmp(now.instances[i].id, was->instances[i].id) == 0;
    return same || ended(t, STUDY_OUT_RETRY, STUDY_WHY_CHANGED_WHILE_READ);
}

/* Nothing of a row that is another's by now goes into the spool under its final name. */
static bool is_still_ours(struct attempt *t)
{
    struct store_image now;
    bool got;
    if (!store_get_image(site_store(t->a->site), t->image->id, &t->a->row, &got, &now, &t->r->error))
        return failed(t, STUDY_WHY_SPOOL_ERROR);
    return (got && now.fence == t->image->fence && now.state == STUDY_RETRIEVING) ||
           ended(t, STUDY_OUT_LOST, STUDY_WHY_LEASE_LOST);
}

static bool commit(struct attempt *t)
{
    uint64_t size;
    uint8_t digest[HASH_SHA256_BYTES];
    if (!is_still_whole(t) || !is_still_ours(t))
        return false;
    if (!zip_commit(PIXL_STEAL(&t->zip), &size, digest, &t->r->error))
        return failed(t, STUDY_WHY_SPOOL_ERROR);
    t->r->zip_bytes = (int64_t)size;
    hash_hex(digest, sizeof digest, t->r->zip_digest);
    return ended(t, STUDY_OUT_DEIDENTIFIED, STUDY_WHY_NONE);
}

static void attempt(struct adoption *a, const struct store_image *image, struct extract_result *r)
{
    struct attempt t = { .a = a, .image = image, .r = r, .fd = -1 };
    struct metrics *m = site_metrics(a->site);
    *r = (struct extract_result){ .outcome = STUDY_OUT_RETRY, .found = (int64_t)a->found.n };
    metrics_add_in_flight(m, METRICS_RETRIEVING, 1);
    bool ok = image->crashes < CRASHES_MAX ? begin(&t) : ended(&t, STUDY_OUT_FAILED, STUDY_WHY_CRASHED);
    for (size_t i = 0; ok && i < a->found.n; i++)
        ok = take_instance(&t, &a->found.instances[i]);
    if (ok)
        (void)commit(&t);
    metrics_add_in_flight(m, METRICS_RETRIEVING, -1);
    metrics_add_bytes(m, METRICS_BYTES_READ, (int64_t)t.bytes);
    deid_inspection_free(t.inspection);
    zip_abandon(t.zip);
    if (t.fd >= 0)
        (void)close(t.fd);
}

/* --- claiming and settling ------------------------------------------------------------------------------------- */

/* A row that is no longer worked on is taken back to work first, as by `pixl retry`: who asks names it. */
static bool claim(struct adoption *a, const struct store_image *seen, bool *got, struct store_image *out,
                  struct pixl_error *err)
{
    struct store *store = site_store(a->site);
    int64_t moved;
    struct store_claim c = { .work = STORE_WORK_RETRIEVE,
                             .owner = site_owner(a->site),
                             .now_us = clock_wall_us(),
                             .lease_us = site_settings(a->site)->lease_s * SECOND_US,
                             .suspects = seen->crashes > 0 };
    if (seen->state != STUDY_QUEUED) {
        if (!store_retry(store, NULL, &seen->id, 1, c.now_us, &moved, err))
            return false;
        c.suspects = false;
    }
    return store_claim_image(store, &c, seen->id, &a->row, got, out, err);
}

static bool passes(const struct pixl_error *err)
{
    return err->code == PIXL_E_NO_SPACE || err->code == PIXL_E_BUSY || err->code == PIXL_E_UNAVAILABLE ||
           err->code == PIXL_E_NOMEM;
}

/* What passes is waited for: the claim is prolonged meanwhile, and what was done is not done again. */
static bool settle_surely(struct adoption *a, const struct store_image *image, const struct extract_result *r,
                          struct settled *out, struct pixl_error *err)
{
    while (!settle(a->site, image, r, clock_wall_us(), 0, out, err)) {
        if (!passes(err) || is_cancelled(a)) {
            log_event(LOG_ERROR, "study.not_settled", "image=%lld error=%s", (long long)image->id, err->msg);
            return false;
        }
        pixl_error_clear(err);
        (void)poll(NULL, 0, 1000);
    }
    return true;
}

static bool fail_attempt(const struct store_image *image, const struct extract_result *r, struct pixl_error *err)
{
    if (r->outcome == STUDY_OUT_CANCELLED || r->error.code == PIXL_E_CANCELLED)
        return fail_stopping(err);
    if (r->error.code != PIXL_OK && r->outcome != STUDY_OUT_FAILED)
        return pixl_fail(err,
                         r->error.code == PIXL_E_DENIED || r->error.code == PIXL_E_NOT_FOUND ? PIXL_E_UNAVAILABLE
                                                                                             : r->error.code,
                         r->error.sys, "image %lld: %s", (long long)image->id, r->error.msg);
    const enum pixl_code code = r->outcome == STUDY_OUT_WITHHELD ? PIXL_E_PRIVACY
                                : r->outcome == STUDY_OUT_FAILED ? PIXL_E_CORRUPT
                                                                 : PIXL_E_BUSY;
    return pixl_fail(err, code, 0, "image %lld is not delivered: %s", (long long)image->id,
                     study_reason_text(r->reason));
}

static bool add_zip_bytes(void *ctx, const struct store_image *image)
{
    *(int64_t *)ctx += image->zip_bytes;
    return true;
}

/* The spool only grows while the destination is away. */
static bool has_room(struct adoption *a, struct pixl_error *err)
{
    const int64_t max_bytes = site_settings(a->site)->spool_max_mib << 20;
    const struct store_filter spooled = { .states = 1u << STUDY_DEIDENTIFIED | 1u << STUDY_DELIVERING };
    int64_t bytes = 0;
    if (max_bytes == 0 || breaker_next_us(&a->project->breaker) == INT64_MIN)
        return true;
    if (!store_each_image(site_store(a->site), &spooled, add_zip_bytes, &bytes, err))
        return false;
    return bytes < max_bytes ||
           pixl_fail(err, PIXL_E_UNAVAILABLE, 0, "the destination is away, and the spool is full (PIXL_SPOOL_MAX)");
}

/* An attempt, if the row can be had.  true: its zip lies in the spool, or the row is to be looked at again. */
static bool take(struct adoption *a, const struct store_image *seen, struct pixl_error *err)
{
    struct store_image image;
    struct extract_result r;
    struct settled s;
    struct held held;
    bool got = false;
    if (!has_room(a, err) || !claim(a, seen, &got, &image, err))
        return false;
    if (!got)
        return true;
    held_take(site_held(a->site), &held, image.id);
    attempt(a, &image, &r);
    bool settled = settle_surely(a, &image, &r, &s, err);
    held_drop(site_held(a->site), &held);
    if (!settled)
        return false;
    return s.lost || r.outcome == STUDY_OUT_DEIDENTIFIED || fail_attempt(&image, &r, err);
}

/* --- until it has arrived ---------------------------------------------------------------------------------------- */

static bool fail_end(const struct store_image *i, struct pixl_error *err)
{
    return pixl_fail(err, i->state == STUDY_WITHHELD ? PIXL_E_PRIVACY : PIXL_E_CORRUPT, 0, "image %lld is %s: %s",
                     (long long)i->id, study_state_name(i->state), study_reason_text(i->reason));
}

/* Is there news that the destination is away?  The zip stays, and goes out by itself. */
static bool fail_if_away(struct adoption *a, const struct store_image *i, int64_t first_fence, struct pixl_error *err)
{
    char why[200];
    enum pixl_code code;
    if (breaker_why(&a->project->breaker, why, &code))
        return pixl_fail(err, PIXL_E_UNAVAILABLE, 0, "image %lld waits in the spool and goes out by itself: %s",
                         (long long)i->id, why);
    if (i->state == STUDY_DEIDENTIFIED && i->reason == STUDY_WHY_UNAVAILABLE && i->fence > first_fence)
        return pixl_fail(err, PIXL_E_UNAVAILABLE, 0,
                         "image %lld waits in the spool and goes out by itself: its destination could not be reached",
                         (long long)i->id);
    return true;
}

/* How the row was when it was looked at first. */
struct before {
    enum study_state state;
    int64_t fence;
};

/* What is to be done with the row as it is now; *over: it has arrived. */
static bool act(struct adoption *a, const struct store_image *i, const struct before *first, bool *over,
                struct pixl_error *err)
{
    const bool is_first = i->fence == first->fence && i->state == first->state;
    switch (i->state) {
    case STUDY_EXPORTED:
    case STUDY_KEPT: *over = true; return !is_first || pixl_fail(err, PIXL_E_EXISTS, 0, "Image already exported");
    case STUDY_SKIPPED:
    case STUDY_WITHHELD: return fail_end(i, err);
    case STUDY_MISSING:
    case STUDY_FAILED: return is_first ? take(a, i, err) : fail_end(i, err);
    case STUDY_QUEUED:
    case STUDY_HELD:
    case STUDY_ADOPTED: return take(a, i, err);
    case STUDY_DEIDENTIFIED: return fail_if_away(a, i, first->fence, err);
    case STUDY_RETRIEVING:
    case STUDY_DELIVERING:
    case STUDY_STATE_COUNT: break;
    }
    return true;
}

static bool until_it_arrived(struct adoption *a, struct store_image now, struct pixl_error *err)
{
    const struct before first = { now.state, now.fence };
    int wait_ms = LOOK_FIRST_MS;
    bool over = false, got;
    for (;;) {
        if (is_cancelled(a))
            return fail_stopping(err);
        if (!act(a, &now, &first, &over, err))
            return false;
        if (over)
            return true;
        if (clock_mono_us() >= a->until_us)
            return pixl_fail(err, PIXL_E_BUSY, 0, "image %lld is %s: it %s", (long long)now.id,
                             study_state_name(now.state), study_state_text(now.state));
        (void)poll(NULL, 0, wait_ms);
        wait_ms = wait_ms * 3 / 2 < LOOK_MAX_MS ? wait_ms * 3 / 2 : LOOK_MAX_MS;
        arena_reset(&a->row);
        if (!store_get_image(site_store(a->site), a->image, &a->row, &got, &now, err))
            return false;
        if (!got)
            return pixl_fail(err, PIXL_E_NOT_FOUND, 0, "image %lld is gone", (long long)a->image);
    }
}

/* What still comes would be left behind: a study goes out once. */
static bool find_stable(struct adoption *a, struct pixl_error *err)
{
    int wait_ms = LIST_FIRST_MS;
    bool got;
    for (;;) {
        arena_reset(&a->study);
        if (!anon_find(a->anon, a->order->study_id, &a->study, a->order->cancel, &got, &a->found, err))
            return false;
        if (!got)
            return pixl_fail(err, PIXL_E_NOT_FOUND, 404, "Orthanc anon has no such study");
        if (a->found.is_stable)
            return true;
        if (clock_mono_us() >= a->until_us)
            return pixl_fail(err, PIXL_E_BUSY, 0, "instances of the study still come to Orthanc anon: ask again");
        if (is_cancelled(a))
            return fail_stopping(err);
        (void)poll(NULL, 0, wait_ms);
        wait_ms = wait_ms * 3 / 2 < LIST_MAX_MS ? wait_ms * 3 / 2 : LIST_MAX_MS;
    }
}

static bool adopt(struct adoption *a, struct pixl_error *err)
{
    struct store_image image;
    if (!anon_open(site_settings(a->site), &a->anon, err) || !find_stable(a, err))
        return false;
    if (!find_project(a, err) || (a->slug.n > 0 && !open_project(a, a->slug, err)) || !find_row(a, &image, err) ||
        (a->slug.n == 0 && !open_project(a, image.project, err)))
        return false;
    return until_it_arrived(a, image, err);
}

bool adopt_study(struct site *s, const struct adopt_order *o, int64_t *image, struct pixl_error *err)
{
    struct adoption a = { .site = s, .order = o, .until_us = clock_mono_us() + o->wait_us };
    arena_init(&a.study, STUDY_ARENA_MAX);
    arena_init(&a.instance, INSTANCE_ARENA_MAX);
    arena_init(&a.row, ROW_ARENA_MAX);
    bool ok = adopt(&a, err);
    *image = a.image;
    anon_close(a.anon);
    arena_done(&a.study);
    arena_done(&a.instance);
    arena_done(&a.row);
    return ok;
}
