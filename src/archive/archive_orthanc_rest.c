/* Orthanc's REST interface (1.10): calls, and C-FIND through it. */
#include "archive_orthanc_internal.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"

enum { JSON_DEPTH_MAX = 16, SHORT_WAIT_US = 5 * ORTHANC_SECOND_US };

bool orthanc_do(struct orthanc *o, const struct http_request *r, struct http_answer *out, struct pixl_error *err)
{
    if (http_client_do(o->http, r, out, err))
        return true;
    if (err->code == PIXL_E_DENIED) {
        err->code = PIXL_E_UNAVAILABLE;
        err->sys = ORTHANC_SYS_CERTIFICATE;
    }
    return false;
}

bool orthanc_call(struct orthanc *o, enum http_method method, const char *path, struct str body,
                  const struct orthanc_wait *w, struct arena *arena, int *status, const struct json_node **root,
                  struct pixl_error *err)
{
    struct http_request r = HTTP_REQUEST_NONE;
    struct http_answer a = { 0 };
    r.method = method;
    r.path = path;
    r.body = body;
    r.content_type = body.n ? "application/json" : NULL;
    r.deadline_us = w->deadline_us;
    r.cancel = w->cancel;
    r.answer_max = ORTHANC_JSON_MAX;
    buf_init(&a.body, ORTHANC_JSON_MAX);
    const struct json_node *tree = NULL;
    bool ok = orthanc_do(o, &r, &a, err);
    if (ok && (a.status == 401 || a.status == 403))
        ok = pixl_fail(err, PIXL_E_UNAVAILABLE, a.status, "%s: Orthanc refuses the login: are user and password right?",
                       http_client_place(o->http));
    struct pixl_error no_json = { 0 };
    if (ok && a.status / 100 == 2 && a.body.n > 0 &&
        !json_tree_read(arena, buf_str(&a.body), JSON_DEPTH_MAX, ORTHANC_ITEMS_MAX, &tree, &no_json) &&
        no_json.code != PIXL_E_CORRUPT)
        ok = pixl_fail(err, no_json.code, 0, "%s: its answer: %s", http_client_place(o->http), no_json.msg);
    buf_done(&a.body);
    if (ok) {
        *status = a.status;
        *root = tree;
    }
    return ok;
}

bool orthanc_get(struct orthanc *o, const char *path, const struct orthanc_wait *w, struct arena *arena,
                 const struct json_node **root, struct pixl_error *err)
{
    int status;
    const struct json_node *tree;
    if (!orthanc_call(o, HTTP_GET, path, (struct str){ 0 }, w, arena, &status, &tree, err))
        return false;
    if (status == 404)
        return pixl_fail(err, PIXL_E_NOT_FOUND, status, "%s: it does not have it any more", http_client_place(o->http));
    if (status / 100 != 2 || tree == NULL)
        return pixl_fail(err, PIXL_E_UNAVAILABLE, status, "%s: it answers with HTTP status %d%s",
                         http_client_place(o->http), status, status / 100 == 2 ? ", and is no Orthanc" : "");
    *root = tree;
    return true;
}

struct str orthanc_text(const struct json_node *v, const char *name)
{
    return str_trim(json_node_text(json_node_member(v, name)));
}

bool orthanc_take_id(struct str id, char out[ORTHANC_ID_SIZE])
{
    if (id.n == 0 || id.n >= ORTHANC_ID_SIZE)
        return false;
    for (size_t i = 0; i < id.n; i++)
        if (strchr("0123456789abcdef-", id.p[i]) == NULL)
            return false;
    memcpy(out, id.p, id.n);
    out[id.n] = '\0';
    return true;
}

void orthanc_instance_path(const uint8_t id[20], const char *rest, char out[ORTHANC_PATH_SIZE])
{
    int n = snprintf(out, ORTHANC_PATH_SIZE, "/instances/");
    for (size_t i = 0; i < 20; i++)
        n += snprintf(out + n, ORTHANC_PATH_SIZE - (size_t)n, "%s%02x", i > 0 && i % 4 == 0 ? "-" : "", id[i]);
    (void)snprintf(out + n, ORTHANC_PATH_SIZE - (size_t)n, "%s", rest);
}

bool orthanc_is_uid(struct str s)
{
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] != '.' && (s.p[i] < '0' || s.p[i] > '9'))
            return false;
    return s.n > 0 && s.n <= ORTHANC_UID_MAX;
}

static bool fail_nomem(struct pixl_error *err)
{
    return pixl_fail(err, PIXL_E_NOMEM, 0, "archive");
}

/* --- who is to blame */

/* raw's own AE title, as it introduces itself to the archive; "?" when it does not say. */
static void raw_aet(struct orthanc *o, char out[17])
{
    struct arena a;
    const struct json_node *system;
    struct pixl_error ignored = { 0 };
    const struct orthanc_wait w = { .deadline_us = clock_mono_us() + SHORT_WAIT_US };
    arena_init(&a, 1 << 20);
    struct str aet = { 0 };
    if (orthanc_get(o, "/system", &w, &a, &system, &ignored))
        aet = orthanc_text(system, "DicomAet");
    (void)snprintf(out, 17, "%.*s", STR_ARG(aet.n ? aet : STR("?")));
    arena_done(&a);
}

bool orthanc_fail_refused(struct orthanc *o, const char *what, struct pixl_error *err)
{
    struct arena a;
    int status = 0;
    const struct json_node *ignored;
    char path[512], aet[17];
    const struct orthanc_wait w = { .deadline_us = clock_mono_us() + o->query_us };
    arena_init(&a, 1 << 20);
    (void)snprintf(path, sizeof path, "%s/echo", o->modality_path);
    bool ok = orthanc_call(o, HTTP_POST, path, STR("{}"), &w, &a, &status, &ignored, err);
    arena_done(&a);
    if (!ok)
        return false;
    if (status == 404)
        return pixl_fail(err, PIXL_E_UNAVAILABLE, status,
                         "%s: it knows no modality '%s': that name must stand in its DicomModalities",
                         http_client_place(o->http), o->modality);
    if (status / 100 != 2)
        return pixl_fail(err, PIXL_E_UNAVAILABLE, status, "the archive '%s' does not answer %s (C-ECHO failed)",
                         o->modality, http_client_place(o->http));
    raw_aet(o, aet);
    return pixl_fail(err, PIXL_E_UNAVAILABLE, ORTHANC_SYS_NOT_LET,
                     "the archive '%s' answers C-ECHO, but no %s: the AE title %s of %s must be "
                     "registered there, with leave for it",
                     o->modality, what, aet, http_client_place(o->http));
}

/* --- C-FIND */

static bool write_query(struct buf *b, const char *level, const struct orthanc_key *keys, size_t n, int64_t timeout_s)
{
    (void)buf_addf(b, "{\"Level\":\"%s\",\"Timeout\":%lld,\"Query\":{", level, (long long)timeout_s);
    for (size_t i = 0; i < n; i++) {
        (void)buf_addf(b, "%s\"%s\":", i ? "," : "", keys[i].name);
        (void)json_add_text(b, keys[i].value);
    }
    return buf_add_cstr(b, "}}");
}

static bool send_query(struct orthanc *o, struct str body, const struct orthanc_wait *w, struct arena *arena,
                       char id[ORTHANC_ID_SIZE], struct pixl_error *err)
{
    int status;
    const struct json_node *root;
    char path[512];
    (void)snprintf(path, sizeof path, "%s/query", o->modality_path);
    if (!orthanc_call(o, HTTP_POST, path, body, w, arena, &status, &root, err))
        return false;
    if (status / 100 != 2)
        return orthanc_fail_refused(o, "C-FIND", err);
    return orthanc_take_id(orthanc_text(root, "ID"), id) ||
           pixl_fail(err, PIXL_E_UNAVAILABLE, status, "%s: its answer to a query is not understood",
                     http_client_place(o->http));
}

bool orthanc_query(struct orthanc *o, const char *level, const struct orthanc_key *keys, size_t n,
                   const struct orthanc_wait *w, struct arena *arena, char id[ORTHANC_ID_SIZE],
                   const struct json_node **answers, struct pixl_error *err)
{
    for (size_t i = 0; i < n; i++)
        if (!str_is_utf8(keys[i].value))
            return pixl_fail(err, PIXL_E_INVALID, 0, "archive: what is asked by is no UTF-8");
    int64_t left_us = w->deadline_us - clock_mono_us();
    char path[128], query[ORTHANC_ID_SIZE];
    buf_auto body;
    buf_init(&body, 1 << 20);
    /* raw's patience ends before ours, so that it says what happened and is free again. */
    if (!write_query(&body, level, keys, n, left_us > 2 * ORTHANC_SECOND_US ? left_us / ORTHANC_SECOND_US - 1 : 1))
        return fail_nomem(err);
    if (!send_query(o, buf_str(&body), w, arena, query, err))
        return false;
    (void)snprintf(path, sizeof path, "/queries/%s/answers?expand&simplify", query);
    if (!orthanc_get(o, path, w, arena, answers, err)) {
        orthanc_query_end(o, query);
        return false;
    }
    memcpy(id, query, sizeof query);
    return true;
}

/* What stays behind in raw goes with its list of recent queries. */
void orthanc_query_end(struct orthanc *o, const char id[ORTHANC_ID_SIZE])
{
    struct arena a;
    int status;
    const struct json_node *root;
    struct pixl_error ignored = { 0 };
    char path[128];
    const struct orthanc_wait w = { .deadline_us = clock_mono_us() + SHORT_WAIT_US };
    arena_init(&a, 1 << 20);
    (void)snprintf(path, sizeof path, "/queries/%s", id);
    (void)!orthanc_call(o, HTTP_DELETE, path, (struct str){ 0 }, &w, &a, &status, &root, &ignored);
    arena_done(&a);
}

bool orthanc_ask(struct orthanc *o, const char *level, const struct orthanc_key *keys, size_t n,
                 const struct orthanc_wait *w, struct arena *arena, const struct json_node **answers,
                 struct pixl_error *err)
{
    char id[ORTHANC_ID_SIZE];
    if (!orthanc_query(o, level, keys, n, w, arena, id, answers, err))
        return false;
    orthanc_query_end(o, id);
    return true;
}
