/* What raw has of a study, and bringing what it lacks: one transfer of a study at a time, a limited number of all. */
#include "archive_orthanc_internal.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "archive_brought.h"
#include "base/clock.h"

enum { SLICE_NS = 100 * 1000 * 1000, LOOK_ARENA_MAX = 512 << 20, WAIT_TIMES = 8 };

struct fetch {
    struct orthanc *o;
    struct str study_uid;
    struct archive_instance **wanted; /* sorted by series and SOP UID */
    size_t n;
    struct orthanc_wait wait;
    char note[128];
};

static bool fail_nomem(struct pixl_error *err)
{
    return pixl_fail(err, PIXL_E_NOMEM, 0, "archive");
}

/* --- what raw has */

static size_t count_come(const struct fetch *f)
{
    size_t n = 0;
    for (size_t i = 0; i < f->n; i++)
        n += archive_instance_is_near(f->wanted[i]);
    return n;
}

static int by_uids(const void *left, const void *right)
{
    const struct archive_instance *l = *(struct archive_instance *const *)left,
                                  *r = *(struct archive_instance *const *)right;
    int c = str_cmp(phi_reveal(l->series_uid), phi_reveal(r->series_uid));
    return c ? c : str_cmp(phi_reveal(l->sop_uid), phi_reveal(r->sop_uid));
}

/* "f06c8b22-6da916ce-a0131537-b385d1f5-c9d56d0c": a SHA-1. */
static bool take_sha1(struct str id, uint8_t out[20])
{
    static const char digits[16] = "0123456789abcdef"; /* without a NUL */
    uint8_t bytes[20] = { 0 };
    size_t n = 0;
    for (size_t i = 0; i < id.n; i++) {
        if (id.p[i] == '-')
            continue;
        const char *at = n < 40 ? memchr(digits, id.p[i], sizeof digits) : NULL;
        if (at == NULL)
            return false;
        bytes[n / 2] = (uint8_t)(bytes[n / 2] << 4 | (at - digits));
        n++;
    }
    memcpy(out, bytes, n == 40 ? 20 : 0);
    return n == 40;
}

static bool look_at_series(struct fetch *f, const struct json_node *series, struct pixl_error *err)
{
    const struct json_node *tags = json_node_member(series, "MainDicomTags"), *list;
    struct archive_instance key = { .series_uid = phi_text(orthanc_text(tags, "SeriesInstanceUID")) }, *key_at = &key;
    char id[ORTHANC_ID_SIZE], path[128];
    if (!orthanc_take_id(orthanc_text(series, "ID"), id))
        return true;
    struct arena a;
    arena_init(&a, LOOK_ARENA_MAX);
    (void)snprintf(path, sizeof path, "/series/%s/instances", id);
    bool ok = orthanc_get(f->o, path, &f->wait, &a, &list, err);
    for (const struct json_node *v = ok ? list->first : NULL; v; v = v->next) {
        key.sop_uid = phi_text(orthanc_text(json_node_member(v, "MainDicomTags"), "SOPInstanceUID"));
        struct archive_instance **at = bsearch(&key_at, f->wanted, f->n, sizeof *f->wanted, by_uids);
        const struct json_node *size = json_node_member(v, "FileSize");
        if (at == NULL || archive_instance_is_near(*at) || !take_sha1(orthanc_text(v, "ID"), (*at)->remote))
            continue;
        (*at)->size_bytes = json_node_is(size, JSON_NODE_INTEGER) ? (uint64_t)size->integer : ARCHIVE_SIZE_UNKNOWN;
    }
    arena_done(&a);
    if (!ok && err->code == PIXL_E_NOT_FOUND) { /* deleted between two looks */
        pixl_error_clear(err);
        ok = true;
    }
    return ok;
}

static bool is_wanted_series(const struct fetch *f, struct str uid)
{
    size_t low = 0, high = f->n;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        if (str_cmp(phi_reveal(f->wanted[mid]->series_uid), uid) < 0)
            low = mid + 1;
        else
            high = mid;
    }
    return low < f->n && str_eq(phi_reveal(f->wanted[low]->series_uid), uid);
}

static bool look_at_study(struct fetch *f, const struct json_node *found, struct pixl_error *err)
{
    char id[ORTHANC_ID_SIZE], path[128];
    if (!str_eq(orthanc_text(found, "Type"), STR("Study")) || !orthanc_take_id(orthanc_text(found, "ID"), id))
        return true;
    struct arena a;
    const struct json_node *series;
    arena_init(&a, LOOK_ARENA_MAX);
    (void)snprintf(path, sizeof path, "/studies/%s/series", id);
    bool ok = orthanc_get(f->o, path, &f->wait, &a, &series, err);
    for (const struct json_node *v = ok ? series->first : NULL; ok && v; v = v->next)
        if (is_wanted_series(f, orthanc_text(json_node_member(v, "MainDicomTags"), "SeriesInstanceUID")))
            ok = look_at_series(f, v, err);
    arena_done(&a);
    if (!ok && err->code == PIXL_E_NOT_FOUND) {
        pixl_error_clear(err);
        ok = true;
    }
    return ok;
}

/* The list of what pixl brought is not the study's: what is wrong with it passes, or somebody mends it. */
static bool listed(bool ok, struct pixl_error *err)
{
    if (!ok && err->code != PIXL_E_NOMEM && err->code != PIXL_E_NO_SPACE)
        err->code = PIXL_E_UNAVAILABLE;
    return ok || pixl_wrap(err, "archive");
}

/* Notes of each wanted instance where it is in raw, and in the list of what pixl brought. */
static bool look(struct fetch *f, struct pixl_error *err)
{
    struct arena a;
    int status;
    const struct json_node *found;
    for (size_t i = 0; i < f->n; i++)
        memset(f->wanted[i]->remote, 0, sizeof f->wanted[i]->remote);
    arena_init(&a, LOOK_ARENA_MAX);
    bool ok = orthanc_call(f->o, HTTP_POST, "/tools/lookup", f->study_uid, &f->wait, &a, &status, &found, err);
    if (ok && (status / 100 != 2 || found == NULL))
        ok = pixl_fail(err, PIXL_E_UNAVAILABLE, status, "%s: it answers with HTTP status %d",
                       http_client_place(f->o->http), status);
    for (const struct json_node *v = ok ? found->first : NULL; ok && v; v = v->next)
        ok = look_at_study(f, v, err);
    arena_done(&a);
    return ok && (f->o->brought == NULL ||
                  listed(archive_brought_came(f->o->brought, phi_text(f->study_uid), f->wanted, f->n, err), err));
}

/* --- bringing */

/* The end of the run of one series that begins at i; *come: how many of it raw has. */
static size_t series_end(const struct fetch *f, size_t i, size_t *come)
{
    size_t next = i;
    *come = 0;
    for (; next < f->n && phi_eq(f->wanted[next]->series_uid, f->wanted[i]->series_uid); next++)
        *come += archive_instance_is_near(f->wanted[next]);
    return next;
}

/* Whole series in one go, and of those that raw has a part of the instances that it lacks. */
static bool bring(struct fetch *f, struct str *uids, struct pixl_error *err)
{
    size_t n = 0, come;
    for (size_t i = 0, next; i < f->n; i = next) {
        next = series_end(f, i, &come);
        if (come == 0)
            uids[n++] = phi_reveal(f->wanted[i]->series_uid);
    }
    if (n > 0 && !orthanc_move(f->o, "Series", f->study_uid, (struct str){ 0 }, uids, n, &f->wait, f->note, err))
        return false;
    for (size_t i = 0, next; i < f->n; i = next) {
        next = series_end(f, i, &come);
        n = 0;
        for (size_t k = i; come > 0 && k < next; k++)
            if (!archive_instance_is_near(f->wanted[k]))
                uids[n++] = phi_reveal(f->wanted[k]->sop_uid);
        if (n > 0 && !orthanc_move(f->o, "Instance", f->study_uid, phi_reveal(f->wanted[i]->series_uid), uids, n,
                                   &f->wait, f->note, err))
            return false;
    }
    return true;
}

/* Holding a place among the transfers.  What did come before a transfer failed is there: it is looked for all the same.
 * What still comes after that, or while pixl is stopped, was written down as asked for. */
static bool bring_and_look(struct fetch *f, struct pixl_error *err)
{
    struct str *uids = malloc(f->n * sizeof *uids);
    struct pixl_error look_err = { 0 };
    bool ok = uids != NULL || fail_nomem(err);
    ok = ok && (f->o->brought == NULL ||
                listed(archive_brought_ask(f->o->brought, phi_text(f->study_uid), f->wanted, f->n, err), err));
    if (ok) {
        ok = bring(f, uids, err);
        if (ok || (err->code != PIXL_E_CANCELLED && err->code != PIXL_E_NOMEM)) {
            f->wait.deadline_us = clock_mono_us() + f->o->transfer_us;
            bool looked = look(f, &look_err);
            if (looked && count_come(f) == f->n) {
                pixl_error_clear(err);
                ok = true;
            } else if (ok && !looked) {
                ok = pixl_fail(err, look_err.code, look_err.sys, "%s", look_err.msg);
            }
        }
    }
    free(uids);
    return ok;
}

/* --- one at a time */

static struct orthanc_transfer *transfer_of_locked(struct orthanc *o, struct str study_uid)
{
    struct orthanc_transfer *t = o->transfers;
    while (t && !str_eq(t->study_uid, study_uid))
        t = t->next;
    return t;
}

/* Until is_free() says so; the lock is held. */
static bool wait_locked(struct fetch *f, bool (*is_free)(const struct fetch *), struct pixl_error *err)
{
    const int64_t until = clock_mono_us() + WAIT_TIMES * f->o->transfer_us;
    while (!is_free(f)) {
        if (orthanc_is_cancelled(&f->wait))
            return pixl_fail(err, PIXL_E_CANCELLED, 0, "archive: cancelled");
        if (clock_mono_us() >= until)
            return pixl_fail(err, PIXL_E_UNAVAILABLE, 0, "archive: other transfers do not end");
        struct timespec at;
        (void)clock_gettime(CLOCK_MONOTONIC, &at);
        at.tv_nsec += SLICE_NS;
        at.tv_sec += at.tv_nsec / 1000000000;
        at.tv_nsec %= 1000000000;
        (void)pthread_cond_clockwait(&f->o->changed, &f->o->lock, CLOCK_MONOTONIC, &at);
    }
    return true;
}

static bool nobody_brings_it(const struct fetch *f)
{
    return transfer_of_locked(f->o, f->study_uid) == NULL;
}
static bool has_room(const struct fetch *f)
{
    return f->o->n_moving < f->o->most_transfers;
}

static bool begin_transfer(struct fetch *f, struct orthanc_transfer *t, struct pixl_error *err)
{
    (void)pthread_mutex_lock(&f->o->lock);
    bool ok = wait_locked(f, nobody_brings_it, err);
    if (ok) {
        *t = (struct orthanc_transfer){ f->study_uid, f->o->transfers };
        f->o->transfers = t;
    }
    (void)pthread_mutex_unlock(&f->o->lock);
    return ok;
}

static void end_transfer(struct orthanc *o, const struct orthanc_transfer *t)
{
    (void)pthread_mutex_lock(&o->lock);
    struct orthanc_transfer **at = &o->transfers;
    while (*at != t)
        at = &(*at)->next;
    *at = t->next;
    (void)pthread_cond_broadcast(&o->changed);
    (void)pthread_mutex_unlock(&o->lock);
}

static bool take_place(struct fetch *f, struct pixl_error *err)
{
    (void)pthread_mutex_lock(&f->o->lock);
    bool ok = wait_locked(f, has_room, err);
    f->o->n_moving += ok;
    (void)pthread_mutex_unlock(&f->o->lock);
    return ok;
}

static void give_place(struct orthanc *o)
{
    (void)pthread_mutex_lock(&o->lock);
    o->n_moving--;
    (void)pthread_cond_broadcast(&o->changed);
    (void)pthread_mutex_unlock(&o->lock);
}

static bool fetch_alone(struct fetch *f, struct pixl_error *err)
{
    f->wait.deadline_us = clock_mono_us() + f->o->transfer_us;
    if (!look(f, err))
        return false;
    if (count_come(f) == f->n)
        return true;
    if (!take_place(f, err))
        return false;
    f->wait.deadline_us = clock_mono_us() + f->o->transfer_us;
    bool ok = bring_and_look(f, err);
    give_place(f->o);
    return ok;
}

bool orthanc_fetch(struct archive *a, struct phi_text study_uid, struct archive_instance *const *wanted, size_t n,
                   const atomic_bool *cancel, struct archive_fetched *out, struct pixl_error *err)
{
    struct orthanc_transfer mine;
    struct fetch f = { .o = orthanc_of(a), .study_uid = phi_reveal(study_uid), .n = n, .wait.cancel = cancel };
    if (n == 0) {
        *out = (struct archive_fetched){ 0 };
        return true;
    }
    f.wanted = malloc(n * sizeof *f.wanted);
    if (f.wanted == NULL)
        return fail_nomem(err);
    memcpy(f.wanted, wanted, n * sizeof *f.wanted);
    qsort(f.wanted, n, sizeof *f.wanted, by_uids);
    bool ok = begin_transfer(&f, &mine, err);
    if (ok) {
        ok = fetch_alone(&f, err);
        end_transfer(f.o, &mine);
    }
    if (ok) {
        out->there = count_come(&f);
        memcpy(out->note, f.note, sizeof out->note);
    }
    free(f.wanted);
    return ok;
}

/* --- releasing */

static bool delete_instance(struct orthanc *o, const uint8_t id[20], struct pixl_error *err)
{
    struct arena a;
    int status;
    const struct json_node *root;
    char path[ORTHANC_PATH_SIZE];
    const struct orthanc_wait w = { .deadline_us = clock_mono_us() + o->query_us };
    orthanc_instance_path(id, "", path);
    arena_init(&a, 1 << 20);
    bool ok = orthanc_call(o, HTTP_DELETE, path, (struct str){ 0 }, &w, &a, &status, &root, err);
    arena_done(&a);
    if (ok && status / 100 != 2 && status != 404)
        ok = pixl_fail(err, PIXL_E_UNAVAILABLE, status, "%s: it deletes nothing (HTTP status %d)",
                       http_client_place(o->http), status);
    return ok;
}

/* An instance by its SOP Instance UID; nothing when raw has none, or more than one. */
static bool delete_asked(struct orthanc *o, struct str sop_uid, struct pixl_error *err)
{
    struct arena a;
    int status;
    uint8_t id[20];
    const struct json_node *found;
    const struct orthanc_wait w = { .deadline_us = clock_mono_us() + o->query_us };
    arena_init(&a, 1 << 20);
    bool ok = orthanc_call(o, HTTP_POST, "/tools/lookup", sop_uid, &w, &a, &status, &found, err);
    if (ok && (status / 100 != 2 || found == NULL))
        ok = pixl_fail(err, PIXL_E_UNAVAILABLE, status, "%s: it answers with HTTP status %d",
                       http_client_place(o->http), status);
    bool one = ok && json_node_items(found) == 1 && str_eq(orthanc_text(found->first, "Type"), STR("Instance")) &&
               take_sha1(orthanc_text(found->first, "ID"), id);
    arena_done(&a);
    return ok && (!one || delete_instance(o, id, err));
}

bool orthanc_release(struct archive *a, struct phi_text study_uid, struct pixl_error *err)
{
    struct orthanc *o = orthanc_of(a);
    bool got = true;
    uint8_t id[20] = { 0 };
    char sop_uid[ARCHIVE_BROUGHT_UID_SIZE];
    while (o->brought && got) {
        if (!archive_brought_next_asked(o->brought, study_uid, &got, sop_uid, err) ||
            (got && (!delete_asked(o, str_of(sop_uid), err) ||
                     !archive_brought_forget_asked(o->brought, study_uid, phi_text(str_of(sop_uid)), err))))
            return false;
    }
    for (got = true; o->brought && got;) {
        if (!archive_brought_next(o->brought, study_uid, &got, id, err) ||
            (got && (!delete_instance(o, id, err) || !archive_brought_forget(o->brought, id, err))))
            return false;
    }
    return true;
}
