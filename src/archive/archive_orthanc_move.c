/* C-MOVE as a job of raw: started, looked after, and ended when it takes too long.
 *
 * A job moves all answers of a query, so a query is made whose answers are exactly what is wanted: by a list of UIDs, which is
 * part of DICOM (PS3.4 C.2.2.2.2), or by one UID at a time where an archive does not know lists. */
#include "archive_orthanc_internal.h"

#include <assert.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"

enum {
    LIST_MAX = 50,
    SLICE_MS = 100,
    POLL_FIRST_MS = 50,
    POLL_MAX_MS = 2000,
    LOOK_WAIT_US = 10 * ORTHANC_SECOND_US,
    CANCEL_WAIT_US = 5 * ORTHANC_SECOND_US
};

struct move {
    struct orthanc *o;
    const char *level;
    struct str study_uid, series_uid;
    const struct orthanc_wait *wait;
    char *note; /* of 128 */
};

static bool fail_nomem(struct pixl_error *err)
{
    return pixl_fail(err, PIXL_E_NOMEM, 0, "archive");
}

/* --- the job */

static bool pause_for(int64_t ms, const struct orthanc_wait *w)
{
    for (; ms > 0 && !orthanc_is_cancelled(w); ms -= SLICE_MS)
        (void)poll(NULL, 0, ms < SLICE_MS ? (int)ms : SLICE_MS);
    return !orthanc_is_cancelled(w);
}

static void cancel_job(struct orthanc *o, const char *job)
{
    struct arena a;
    int status;
    char path[128];
    const struct json_node *root;
    struct pixl_error ignored = { 0 };
    const struct orthanc_wait w = { .deadline_us = clock_mono_us() + CANCEL_WAIT_US };
    arena_init(&a, 1 << 20);
    (void)snprintf(path, sizeof path, "/jobs/%s/cancel", job);
    (void)!orthanc_call(o, HTTP_POST, path, STR("{}"), &w, &a, &status, &root, &ignored);
    arena_done(&a);
}

/* "0xA801" of what raw says of a failed C-MOVE; 0: none.  The only thing that is taken from its words. */
static unsigned dimse_status(struct str details)
{
    static const char mark[] = "DIMSE status 0x", digits[16] = "0123456789ABCDEF"; /* the second one without a NUL */
    const char *at = memmem(details.p, details.n, mark, sizeof mark - 1);
    unsigned status = 0;
    for (size_t i = 0; at && i < 4; i++) {
        const char *c = at + sizeof mark - 1 + i;
        const char *digit = c < details.p + details.n ? memchr(digits, *c, sizeof digits) : NULL;
        if (digit == NULL)
            return 0;
        status = status << 4 | (unsigned)(digit - digits);
    }
    return status;
}

/* A job has failed.  What the archive could not send is missing then; what it does to everybody is a failure. */
static bool judge_failure(const struct move *m, struct str details, struct pixl_error *err)
{
    const unsigned status = dimse_status(details);
    const char *aet = m->o->target_aet ? m->o->target_aet : "of Orthanc";
    if (status == 0xA801) /* PS3.4 C.4.2.1.5: move destination unknown */
        return pixl_fail(err, PIXL_E_UNAVAILABLE, (int)status,
                         "the archive '%s' does not know where to send to (C-MOVE status A801): "
                         "the AE title %s must be registered there as a destination, with host and DICOM port of %s",
                         m->o->modality, aet, http_client_place(m->o->http));
    if (status == 0)
        return orthanc_fail_refused(m->o, "C-MOVE, or went away in the middle of one", err);
    (void)snprintf(m->note, 128, "C-MOVE ended with status %04X; is AE title %.16s known there as a destination?",
                   status, aet);
    return true;
}

/* *state: of the job; false: it is not over. */
static bool is_over(const struct move *m, const struct json_node *job, bool *ok, struct pixl_error *err)
{
    struct str state = orthanc_text(job, "State");
    *ok = true;
    if (str_eq(state, STR("Failure")))
        *ok = judge_failure(m, orthanc_text(job, "ErrorDetails"), err);
    return str_eq(state, STR("Success")) || str_eq(state, STR("Failure"));
}

static bool fail_late(const struct move *m, bool began, struct pixl_error *err)
{
    long long s = (long long)(m->o->transfer_us / ORTHANC_SECOND_US);
    if (began)
        return pixl_fail(err, PIXL_E_IO, 0, "archive: a transfer was not done in %lld s", s);
    return pixl_fail(err, PIXL_E_UNAVAILABLE, 0,
                     "%s: a transfer waited for %lld s and did not begin: its other jobs do not end",
                     http_client_place(m->o->http), s);
}

/* What raw has forgotten (it was started again) is over. */
static bool wait_for_job(const struct move *m, const char *job, struct pixl_error *err)
{
    char path[128];
    bool began = false;
    (void)snprintf(path, sizeof path, "/jobs/%s", job);
    for (int64_t pause_ms = POLL_FIRST_MS;;
         pause_ms = pause_ms * 3 / 2 < POLL_MAX_MS ? pause_ms * 3 / 2 : POLL_MAX_MS) {
        int64_t left_ms = (m->wait->deadline_us - clock_mono_us()) / 1000;
        bool goes_on = pause_for(pause_ms < left_ms ? pause_ms : left_ms, m->wait);
        struct arena a;
        const struct json_node *root;
        const struct orthanc_wait look = { clock_mono_us() + LOOK_WAIT_US, m->wait->cancel };
        bool over = false, ok = true;
        arena_init(&a, ORTHANC_JSON_MAX);
        if (!goes_on)
            ok = pixl_fail(err, PIXL_E_CANCELLED, 0, "archive: cancelled");
        else if (clock_mono_us() >= m->wait->deadline_us)
            ok = fail_late(m, began, err);
        else if (orthanc_get(m->o, path, &look, &a, &root, err)) {
            began = began || !str_eq(orthanc_text(root, "State"), STR("Pending"));
            over = is_over(m, root, &ok, err);
        } else if (err->code == PIXL_E_NOT_FOUND) {
            pixl_error_clear(err);
            over = true;
        } else {
            ok = false;
        }
        arena_done(&a);
        if (!ok && !over)
            cancel_job(m->o, job);
        if (!ok || over)
            return ok;
    }
}

static bool run_job(const struct move *m, const char *query, struct pixl_error *err)
{
    struct arena a;
    int status;
    const struct json_node *root;
    char path[128], job[ORTHANC_ID_SIZE];
    buf_auto body;
    buf_init(&body, 4096);
    int64_t left_s = (m->wait->deadline_us - clock_mono_us()) / ORTHANC_SECOND_US;
    (void)buf_addf(&body, "{\"Synchronous\":false,\"Timeout\":%lld", (long long)(left_s > 1 ? left_s : 1));
    if (m->o->target_aet) {
        (void)buf_add_cstr(&body, ",\"TargetAet\":");
        (void)json_add_text(&body, str_of(m->o->target_aet));
    }
    if (!buf_add_cstr(&body, "}"))
        return fail_nomem(err);
    (void)snprintf(path, sizeof path, "/queries/%s/retrieve", query);
    arena_init(&a, 1 << 20);
    bool ok = orthanc_call(m->o, HTTP_POST, path, buf_str(&body), m->wait, &a, &status, &root, err);
    if (ok && (status / 100 != 2 || !orthanc_take_id(orthanc_text(root, "ID"), job)))
        ok = pixl_fail(err, PIXL_E_UNAVAILABLE, status, "%s: it begins no transfer (HTTP status %d)",
                       http_client_place(m->o->http), status);
    arena_done(&a);
    return ok && wait_for_job(m, job, err);
}

/* --- what is moved */

static int by_text(const void *left, const void *right)
{
    return str_cmp(*(const struct str *)left, *(const struct str *)right);
}

/* Are these n answers, each of them about one of the sorted UIDs, and none about the same? */
static bool is_exactly(const struct move *m, const struct json_node *answers, const char *key, const struct str *sorted,
                       size_t n)
{
    bool seen[LIST_MAX] = { false };
    assert(n <= LIST_MAX);
    for (const struct json_node *v = answers->first; v; v = v->next) {
        struct str uid = orthanc_text(v, key);
        const struct str *at = bsearch(&uid, sorted, n, sizeof *sorted, by_text);
        if (at == NULL || seen[at - sorted] || !str_eq(orthanc_text(v, "StudyInstanceUID"), m->study_uid))
            return false;
        seen[at - sorted] = true;
    }
    return json_node_items(answers) == n;
}

/* uids: sorted.  *fits: the archive answered with these, and they were moved. */
static bool move_list(const struct move *m, const struct str *uids, size_t n, bool *fits, struct pixl_error *err)
{
    const bool by_series = m->series_uid.n == 0;
    const char *key = by_series ? "SeriesInstanceUID" : "SOPInstanceUID";
    struct arena a;
    const struct json_node *answers;
    char query[ORTHANC_ID_SIZE];
    buf_auto list;
    buf_init(&list, LIST_MAX * (ORTHANC_UID_MAX + 1));
    for (size_t i = 0; i < n; i++)
        (void)(i > 0 && buf_add_char(&list, '\\')), (void)buf_add_str(&list, uids[i]);
    if (list.failed)
        return fail_nomem(err);
    const struct orthanc_key keys[] = { { "StudyInstanceUID", m->study_uid },
                                        { key, buf_str(&list) },
                                        { "SeriesInstanceUID", m->series_uid } };
    arena_init(&a, ORTHANC_JSON_MAX);
    bool ok = orthanc_query(m->o, m->level, keys, by_series ? 2 : 3, m->wait, &a, query, &answers, err);
    if (ok) {
        *fits = is_exactly(m, answers, key, uids, n);
        ok = !*fits || run_job(m, query, err);
        orthanc_query_end(m->o, query);
    }
    arena_done(&a);
    return ok;
}

bool orthanc_move(struct orthanc *o, const char *level, struct str study_uid, struct str series_uid,
                  const struct str *uids, size_t n, const struct orthanc_wait *w, char note[128],
                  struct pixl_error *err)
{
    const struct move m = {
        .o = o, .level = level, .study_uid = study_uid, .series_uid = series_uid, .wait = w, .note = note
    };
    struct str sorted[LIST_MAX];
    for (size_t i = 0; i < n; i += LIST_MAX) {
        const size_t count = n - i < LIST_MAX ? n - i : LIST_MAX;
        bool fits;
        memcpy(sorted, uids + i, count * sizeof *sorted);
        qsort(sorted, count, sizeof *sorted, by_text);
        if (!move_list(&m, sorted, count, &fits, err))
            return false;
        for (size_t k = 0; !fits && count > 1 && k < count; k++) {
            bool is_there; /* else the archive does not have it any more, and it will be missing */
            if (!move_list(&m, &sorted[k], 1, &is_there, err))
                return false;
        }
    }
    return true;
}
