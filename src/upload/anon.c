#include "anon.h"

#include <assert.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "dicom/uid.h"

#define SECOND ((int64_t)1000000)

enum {
    CONNECT_MS = 10000,
    ANSWER_MAX = 16 * 1024 * 1024, /* a page of a query */
    SMALL_MAX = 64 * 1024,
    SEND_MAX = 64 * 1024 * 1024, /* ids of a study */
    ITEMS_MAX = 100000,
    POLL_FIRST_MS = 20,
    POLL_MAX_MS = 100,
    CANCEL_US = 5 * 1000000,
    LIST_S = 60,
    LIST_MAX = 256 * 1024 * 1024,
    LIST_ARENA_MAX = 512 * 1024 * 1024, /* a series, some 1 KB for each instance */
    LIST_ITEMS_MAX = 4 * 1000 * 1000,
    FULL_STORAGE = 11, /* OrthancStatus */
};

struct anon {
    struct http_client *http;
};

static bool fail_memory(struct pixl_error *err)
{
    return pixl_fail(err, PIXL_E_NOMEM, 0, "Orthanc anon");
}

bool anon_open(const struct settings *settings, struct anon **out, struct pixl_error *err)
{
    secret_auto password = { 0 };
    if (settings == NULL || settings->anon_url == NULL)
        return pixl_fail(err, PIXL_E_INVALID, 0, "images go to DICOMweb servers through an Orthanc, and ORTHANC_ANON_URL is not set");
    if (settings->anon_password != NULL && !secret_set(&password, str_of(settings->anon_password), err))
        return false;
    struct anon *a = calloc(1, sizeof *a);
    if (a == NULL)
        return fail_memory(err);
    const struct http_client_options o = { .url = settings->anon_url, .user = settings->anon_user, .password = &password,
                                           .ca_file = settings->anon_ca_file, .connect_ms = CONNECT_MS };
    if (!http_client_open(&o, &a->http, err)) {
        free(a);
        return pixl_wrap(err, "ORTHANC_ANON_URL, ORTHANC_ANON_USERNAME, PIXL_ANON_CA_FILE");
    }
    *out = a;
    return true;
}

void anon_close(struct anon *a)
{
    if (a == NULL)
        return;
    http_client_close(a->http);
    free(a);
}

static bool ask(struct anon *a, const struct http_request *r, struct http_answer *out, struct pixl_error *err)
{
    return http_client_do(a->http, r, out, err) || pixl_wrap(err, "Orthanc anon");
}

static struct http_request request(enum http_method method, const char *path, struct str json, int64_t deadline_us)
{
    struct http_request r = HTTP_REQUEST_NONE;
    r.method = method;
    r.path = path;
    r.body = json;
    r.content_type = json.n > 0 ? "application/json" : NULL;
    r.deadline_us = deadline_us;
    r.answer_max = ANSWER_MAX;
    return r;
}

/* An answer that is none of those a caller knows. */
static bool fail_status(const struct anon *a, int status, struct pixl_error *err)
{
    const char *place = http_client_place(a->http);
    if (status == 401 || status == 403)
        return pixl_fail(err, PIXL_E_DENIED, status, "Orthanc anon %s refuses ORTHANC_ANON_USERNAME and ORTHANC_ANON_PASSWORD (HTTP %d)", place,
                         status);
    if (status == 404 || status == 405)
        return pixl_fail(err, PIXL_E_UNAVAILABLE, status,
                         "Orthanc anon %s has no DICOMweb plugin, or ORTHANC_ANON_URL is no Orthanc (HTTP %d)", place, status);
    return pixl_fail(err, PIXL_E_UNAVAILABLE, status, "Orthanc anon %s does not do what it is asked (HTTP %d)", place, status);
}

/* NULL: not JSON.  false: no memory. */
static bool read_json(const struct http_answer *h, struct arena *arena, const struct json_node **out, struct pixl_error *err)
{
    struct pixl_error e = { 0 };
    *out = NULL;
    if (json_tree_read(arena, buf_str(&h->body), 16, ITEMS_MAX, out, &e) || e.code != PIXL_E_NOMEM)
        return true;
    return fail_memory(err);
}

/* A small JSON answer; *json is NULL when it is none. */
static bool ask_small(struct anon *a, const struct http_request *r, struct arena *arena, int *status, const struct json_node **json,
                      struct pixl_error *err)
{
    struct http_answer h = { 0 };
    buf_init(&h.body, SMALL_MAX);
    bool ok = ask(a, r, &h, err) && read_json(&h, arena, json, err);
    if (ok)
        *status = h.status;
    buf_done(&h.body);
    return ok;
}

/* --- servers ------------------------------------------------------------------------------------------------------ */

bool anon_register(struct anon *a, const struct anon_server *s, int64_t deadline_us, struct pixl_error *err)
{
    char path[300];
    sealed_auto body;
    if (!sealed_init(&body, SMALL_MAX))
        return fail_memory(err);
    if (!str_is_utf8(s->url) || !str_is_utf8(s->user) || !str_is_utf8(s->password))
        return pixl_fail(err, PIXL_E_INVALID, 0, "Orthanc takes a server's address and login in UTF-8 only");
    (void)buf_add_cstr(&body, "{\"Url\":");
    (void)json_add_text(&body, s->url);
    (void)buf_add_cstr(&body, ",\"Username\":");
    (void)json_add_text(&body, s->user);
    (void)buf_add_cstr(&body, ",\"Password\":");
    (void)json_add_text(&body, s->password);
    if (!buf_addf(&body, ",\"HasDelete\":true,\"Timeout\":%lld}", (long long)s->timeout_s))
        return pixl_fail(err, PIXL_E_INVALID, 0, "a server's address and login are too long for Orthanc");
    int n = snprintf(path, sizeof path, "/dicom-web/servers/%s", s->name);
    assert(n > 0 && (size_t)n < sizeof path);
    struct http_request r = request(HTTP_PUT, path, buf_str(&body), deadline_us);
    struct arena arena;
    const struct json_node *json;
    int status = 0;
    arena_init(&arena, 4 * SMALL_MAX);
    bool ok = ask_small(a, &r, &arena, &status, &json, err);
    arena_done(&arena);
    return ok && (status == 200 || fail_status(a, status, err));
}

bool anon_query(struct anon *a, const char *server, const char *uri, const char *query, struct arena *arena, int64_t deadline_us,
                struct anon_answer *out, struct pixl_error *err)
{
    char path[300], body[1024];
    int n = snprintf(path, sizeof path, "/dicom-web/servers/%s/get", server), m =
        snprintf(body, sizeof body, "{\"Uri\":\"%s\",\"Arguments\":%s,\"HttpHeaders\":{\"Accept\":\"application/dicom+json\"}}", uri, query);
    assert(n > 0 && (size_t)n < sizeof path && m > 0 && (size_t)m < sizeof body);
    struct http_request r = request(HTTP_POST, path, str_of(body), deadline_us);
    struct http_answer h = { 0 };
    struct anon_answer got = { 0 };
    buf_init(&h.body, ANSWER_MAX);
    bool ok = ask(a, &r, &h, err);
    got.status = h.status;
    /* "No match" may be an empty answer. */
    static const struct json_node empty = { .kind = JSON_NODE_LIST };
    if (ok && h.status == 200 && h.body.n == 0)
        got.json = &empty;
    else if (ok && h.status == 200)
        ok = read_json(&h, arena, &got.json, err);
    if (ok && !json_node_is(got.json, JSON_NODE_LIST))
        got.json = NULL;
    buf_done(&h.body);
    if (ok)
        *out = got;
    return ok;
}

/* --- instances ---------------------------------------------------------------------------------------------------- */

bool anon_is_id(struct str s)
{
    for (size_t i = 0; i < s.n; i++)
        if (!((s.p[i] >= '0' && s.p[i] <= '9') || (s.p[i] >= 'a' && s.p[i] <= 'f') || s.p[i] == '-'))
            return false;
    return s.n > 0 && s.n < ANON_ID_SIZE;
}

static bool fail_store(const struct anon *a, int status, const struct json_node *json, struct pixl_error *err)
{
    const struct json_node *why = json_node_member(json, "OrthancStatus");
    const char *place = http_client_place(a->http);
    if (status == 507 || (json_node_is(why, JSON_NODE_INTEGER) && why->integer == FULL_STORAGE))
        return pixl_fail(err, PIXL_E_NO_SPACE, status, "Orthanc anon %s is full", place);
    if (status == 400 || status == 415 || status == 200)
        return pixl_fail(err, PIXL_E_INVALID, status, "Orthanc anon %s refuses an instance of the study", place);
    if (status == 413)
        return pixl_fail(err, PIXL_E_LIMIT, status, "Orthanc anon %s refuses an instance of the study as too large", place);
    return fail_status(a, status, err);
}

enum put { PUT_DONE, PUT_WAS_THERE };

static bool put(struct anon *a, int fd, uint64_t n, int64_t deadline_us, struct arena *arena, enum put *how, char id[ANON_ID_SIZE],
                struct pixl_error *err)
{
    struct http_request r = request(HTTP_POST, "/instances", (struct str){ 0 }, deadline_us);
    const struct json_node *json = NULL;
    int status = 0;
    r.content_type = "application/dicom";
    r.body_fd = fd;
    r.body_bytes = n;
    if (!ask_small(a, &r, arena, &status, &json, err))
        return false;
    struct str word = json_node_text(json_node_member(json, "Status")), got = json_node_text(json_node_member(json, "ID"));
    bool done = str_eq(word, STR("Success")), there = str_eq(word, STR("AlreadyStored"));
    if (status != 200 || !(done || there) || !anon_is_id(got))
        return fail_store(a, status, json, err);
    *how = done ? PUT_DONE : PUT_WAS_THERE;
    (void)snprintf(id, ANON_ID_SIZE, "%.*s", STR_ARG(got));
    return true;
}

static bool delete(struct anon *a, const char *what, struct str id, int64_t deadline_us, struct arena *arena, struct pixl_error *err)
{
    char path[ANON_ID_SIZE + 32];
    const struct json_node *json;
    int status = 0;
    (void)snprintf(path, sizeof path, "/%s/%.*s", what, STR_ARG(id));
    struct http_request r = request(HTTP_DELETE, path, (struct str){ 0 }, deadline_us);
    return ask_small(a, &r, arena, &status, &json, err) && (status == 200 || status == 404 || fail_status(a, status, err));
}

bool anon_store(struct anon *a, int fd, uint64_t n, int64_t deadline_us, char id[ANON_ID_SIZE], struct pixl_error *err)
{
    struct arena arena;
    char got[ANON_ID_SIZE] = "";
    enum put how = PUT_DONE;
    arena_init(&arena, 4 * SMALL_MAX);
    bool ok = put(a, fd, n, deadline_us, &arena, &how, got, err);
    /* Left by an earlier attempt, and an Orthanc that does not overwrite: it may have been made by other rules. */
    if (ok && how == PUT_WAS_THERE)
        ok = delete (a, "instances", str_of(got), deadline_us, &arena, err) && put(a, fd, n, deadline_us, &arena, &how, got, err) &&
             (how == PUT_DONE || pixl_fail(err, PIXL_E_UNAVAILABLE, 0, "Orthanc anon %s does not delete an instance", http_client_place(a->http)));
    arena_done(&arena);
    if (ok)
        memcpy(id, got, ANON_ID_SIZE);
    return ok;
}

/* --- jobs --------------------------------------------------------------------------------------------------------- */

static bool start(struct anon *a, const char *server, struct str ids, int64_t deadline_us, struct arena *arena, char job[ANON_ID_SIZE],
                  struct pixl_error *err)
{
    char path[300];
    const struct json_node *json = NULL;
    int status = 0;
    buf_auto body;
    buf_init(&body, SEND_MAX);
    int n = snprintf(path, sizeof path, "/dicom-web/servers/%s/stow", server);
    assert(n > 0 && (size_t)n < sizeof path);
    (void)buf_add_cstr(&body, "{\"Synchronous\":false,\"Resources\":[");
    (void)buf_add_str(&body, ids);
    if (!buf_add_cstr(&body, "]}"))
        return fail_memory(err);
    struct http_request r = request(HTTP_POST, path, buf_str(&body), deadline_us);
    if (!ask_small(a, &r, arena, &status, &json, err))
        return false;
    struct str id = json_node_text(json_node_member(json, "ID"));
    if (status == 200 && anon_is_id(id)) {
        (void)snprintf(job, ANON_ID_SIZE, "%.*s", STR_ARG(id));
        return true;
    }
    if (status == 404)                   /* registered and stored a moment ago */
        return pixl_fail(err, PIXL_E_UNAVAILABLE, status, "Orthanc anon %s lost what was put into it; was it restarted?",
                         http_client_place(a->http));
    return fail_status(a, status, err);
}

/* *ended, then *code as anon_send() says. */
static bool look(struct anon *a, const char *job, int64_t deadline_us, bool *ended, int *code, struct pixl_error *err)
{
    char path[ANON_ID_SIZE + 16];
    const struct json_node *json = NULL;
    struct arena arena;
    int status = 0;
    arena_init(&arena, 4 * SMALL_MAX);
    (void)snprintf(path, sizeof path, "/jobs/%s", job);
    struct http_request r = request(HTTP_GET, path, (struct str){ 0 }, deadline_us);
    bool ok = ask_small(a, &r, &arena, &status, &json, err);
    struct str state = ok ? json_node_text(json_node_member(json, "State")) : (struct str){ 0 };
    const struct json_node *cause = json_node_member(json_node_member(json, "Content"), "FunctionErrorCode"),
                           *general = json_node_member(json, "ErrorCode");
    if (ok && status == 404)
        ok = pixl_fail(err, PIXL_E_UNAVAILABLE, status, "Orthanc anon %s knows the transfer no more; was it restarted?",
                       http_client_place(a->http));
    else if (ok && (status != 200 || state.n == 0))
        ok = fail_status(a, status, err);
    if (ok) {
        *ended = str_eq(state, STR("Success")) || str_eq(state, STR("Failure"));
        *code = str_eq(state, STR("Success"))                                      ? 0
                : json_node_is(cause, JSON_NODE_INTEGER) && cause->integer > 0     ? (int)cause->integer
                : json_node_is(general, JSON_NODE_INTEGER) && general->integer > 0 ? (int)general->integer
                                                                                   : 1;
    }
    arena_done(&arena);
    return ok;
}

static void cancel(struct anon *a, const char *job)
{
    char path[ANON_ID_SIZE + 16];
    struct arena arena;
    const struct json_node *json;
    struct pixl_error e = { 0 };
    int status;
    arena_init(&arena, 4 * SMALL_MAX);
    (void)snprintf(path, sizeof path, "/jobs/%s/cancel", job);
    struct http_request r = request(HTTP_POST, path, STR("{}"), clock_mono_us() + CANCEL_US);
    (void)ask_small(a, &r, &arena, &status, &json, &e);
    arena_done(&arena);
}

bool anon_send(struct anon *a, const char *server, struct str ids, int64_t deadline_us, int *code, struct pixl_error *err)
{
    struct arena arena;
    char job[ANON_ID_SIZE];
    int wait_ms = POLL_FIRST_MS, got = 0;
    bool ended = false;
    arena_init(&arena, 4 * SMALL_MAX);
    bool ok = start(a, server, ids, deadline_us, &arena, job, err);
    arena_done(&arena);
    while (ok && !ended) {
        ok = look(a, job, clock_mono_us() + 30 * SECOND, &ended, &got, err);
        if (!ok || ended)
            break;
        if (clock_mono_us() >= deadline_us) {
            cancel(a, job);
            return pixl_fail(err, PIXL_E_UNAVAILABLE, 0, "the study was not at its DICOMweb server in time (PIXL_DICOMWEB_TIMEOUT_S); cancelled");
        }
        (void)poll(NULL, 0, wait_ms);
        wait_ms = wait_ms * 3 / 2 < POLL_MAX_MS ? wait_ms * 3 / 2 : POLL_MAX_MS;
    }
    if (ok)
        *code = got;
    return ok;
}

/* --- what others put there ----------------------------------------------------------------------------------------- */

/* What lies at path, of that kind; *json is NULL where nothing does. */
static bool get(struct anon *a, const char *path, enum json_kind kind, const atomic_bool *cancel, struct arena *arena,
                const struct json_node **json, struct pixl_error *err)
{
    struct http_request r = request(HTTP_GET, path, (struct str){ 0 }, clock_mono_us() + LIST_S * SECOND);
    struct http_answer h = { 0 };
    struct pixl_error e = { 0 };
    const struct json_node *tree = NULL;
    r.answer_max = LIST_MAX;
    r.cancel = cancel;
    buf_init(&h.body, LIST_MAX);
    bool ok = ask(a, &r, &h, err);
    if (ok && h.status == 200 && !json_tree_read(arena, buf_str(&h.body), 16, LIST_ITEMS_MAX, &tree, &e) &&
        e.code != PIXL_E_CORRUPT)
        ok = pixl_fail(err, e.code, 0, "Orthanc anon: a list of instances: %s", e.msg);
    else if (ok && h.status == 200 && (tree == NULL || !json_node_is(tree, kind)))
        ok = pixl_fail(err, PIXL_E_UNAVAILABLE, 200, "Orthanc anon %s: ORTHANC_ANON_URL is no Orthanc",
                       http_client_place(a->http));
    else if (ok && h.status != 200 && h.status != 404)
        ok = fail_status(a, h.status, err);
    buf_done(&h.body);
    if (ok)
        *json = tree;
    return ok;
}

/* A UID among the tags of a resource. */
static bool take_uid(const struct json_node *v, const char *name, struct arena *arena, struct str *out,
                     struct pixl_error *err)
{
    struct str uid = str_trim(json_node_text(json_node_member(json_node_member(v, "MainDicomTags"), name)));
    if (!dicom_uid_is_plausible(uid))
        return pixl_fail(err, PIXL_E_CORRUPT, 0, "Orthanc anon: %s of a resource is no UID", name);
    struct str copy = arena_str(arena, uid);
    if (copy.p == NULL)
        return fail_memory(err);
    *out = copy;
    return true;
}

struct listing {
    struct anon_instance *list;
    size_t n, room;
};

static bool add_instance(struct listing *l, struct arena *arena, const struct json_node *v, struct str series_uid,
                         struct pixl_error *err)
{
    const struct str id = json_node_text(json_node_member(v, "ID"));
    struct anon_instance i = { .series_uid = series_uid };
    if (!anon_is_id(id))
        return pixl_fail(err, PIXL_E_UNAVAILABLE, 200, "Orthanc anon: an instance has no id");
    if (!take_uid(v, "SOPInstanceUID", arena, &i.sop_uid, err))
        return false;
    struct anon_instance *list = arena_grow(arena, l->list, l->n, &l->room, sizeof *list);
    if (list == NULL)
        return fail_memory(err);
    (void)snprintf(i.id, sizeof i.id, "%.*s", STR_ARG(id));
    list[l->n++] = i;
    l->list = list;
    return true;
}

/* One series, whose listing is read and given back. */
static bool list_series(struct anon *a, const struct json_node *series, struct arena *arena, const atomic_bool *cancel,
                        struct listing *to, struct pixl_error *err)
{
    char path[ANON_ID_SIZE + 32];
    struct str id = json_node_text(json_node_member(series, "ID")), uid;
    if (!anon_is_id(id))
        return pixl_fail(err, PIXL_E_UNAVAILABLE, 200, "Orthanc anon %s: ORTHANC_ANON_URL is no Orthanc",
                         http_client_place(a->http));
    if (!take_uid(series, "SeriesInstanceUID", arena, &uid, err))
        return false;
    struct arena own;
    const struct json_node *found = NULL;
    arena_init(&own, LIST_ARENA_MAX);
    (void)snprintf(path, sizeof path, "/series/%.*s/instances", STR_ARG(id));
    bool ok = get(a, path, JSON_NODE_LIST, cancel, &own, &found, err);
    if (ok && found == NULL) /* what is left would pass for all of it */
        ok = pixl_fail(err, PIXL_E_UNAVAILABLE, 404, "a series went from Orthanc anon while its study was listed");
    for (const struct json_node *v = ok ? found->first : NULL; ok && v != NULL; v = v->next)
        ok = add_instance(to, arena, v, uid, err);
    arena_done(&own);
    return ok;
}

static int by_uids(const void *left, const void *right)
{
    const struct anon_instance *l = left, *r = right;
    const int c = str_cmp(l->series_uid, r->series_uid);
    return c ? c : str_cmp(l->sop_uid, r->sop_uid);
}

bool anon_find(struct anon *a, struct str id, struct arena *arena, const atomic_bool *cancel, bool *got,
               struct anon_study *out, struct pixl_error *err)
{
    char path[ANON_ID_SIZE + 32];
    const struct json_node *study = NULL, *series = NULL;
    struct anon_study s = { .n = 0 };
    struct listing l = { .n = 0 };
    if (anon_is_id(id)) {
        (void)snprintf(path, sizeof path, "/studies/%.*s", STR_ARG(id));
        if (!get(a, path, JSON_NODE_OBJECT, cancel, arena, &study, err))
            return false;
    }
    if (study == NULL) {
        *got = false;
        return true;
    }
    (void)snprintf(path, sizeof path, "/studies/%.*s/series", STR_ARG(id));
    if (!take_uid(study, "StudyInstanceUID", arena, &s.uid, err) ||
        !get(a, path, JSON_NODE_LIST, cancel, arena, &series, err))
        return false;
    for (const struct json_node *v = series != NULL ? series->first : NULL; v != NULL; v = v->next)
        if (!list_series(a, v, arena, cancel, &l, err))
            return false;
    if (l.n > 0)
        qsort(l.list, l.n, sizeof *l.list, by_uids);
    const struct json_node *stable = json_node_member(study, "IsStable");
    s.instances = l.list;
    s.n = l.n;
    s.is_stable = !json_node_is(stable, JSON_NODE_BOOL) || stable->integer != 0;
    *got = l.n > 0;
    *out = s;
    return true;
}

bool anon_fetch(struct anon *a, const char *id, int fd, uint64_t max, int64_t deadline_us, const atomic_bool *cancel,
                bool *got, struct pixl_error *err)
{
    char path[ANON_ID_SIZE + 32];
    struct http_answer h = { 0 };
    assert(anon_is_id(str_of(id)));
    (void)snprintf(path, sizeof path, "/instances/%s/file", id);
    struct http_request r = request(HTTP_GET, path, (struct str){ 0 }, deadline_us);
    r.answer_max = max;
    r.answer_fd = fd;
    r.cancel = cancel;
    buf_init(&h.body, SMALL_MAX);
    bool ok = ask(a, &r, &h, err);
    const int status = h.status;
    buf_done(&h.body);
    if (!ok)
        return false;
    *got = status == 200;
    return status == 200 || status == 404 || fail_status(a, status, err);
}

/* --- deleting -------------------------------------------------------------------------------------------------------- */

static bool forget(struct anon *a, struct str id, anon_knows_fn *knows, const void *ctx, int64_t deadline_us,
                   struct pixl_error *err)
{
    struct arena arena;
    struct anon_study s;
    bool got;
    arena_init(&arena, LIST_ARENA_MAX);
    bool ok = anon_find(a, id, &arena, NULL, &got, &s, err), all = ok && got;
    for (size_t i = 0; all && i < s.n; i++)
        all = knows(ctx, s.instances[i].sop_uid);
    if (all)
        ok = delete (a, "studies", id, deadline_us, &arena, err);
    arena_done(&arena);
    return ok;
}

bool anon_forget(struct anon *a, const char *study_uid, anon_knows_fn *knows, const void *ctx, int64_t deadline_us,
                 struct pixl_error *err)
{
    struct arena arena;
    const struct json_node *json = NULL;
    int status = 0;
    arena_init(&arena, 8 * SMALL_MAX);
    struct http_request r = request(HTTP_POST, "/tools/lookup", str_of(study_uid), deadline_us);
    r.content_type = "text/plain";
    bool ok = ask_small(a, &r, &arena, &status, &json, err) && (status == 200 || fail_status(a, status, err));
    for (const struct json_node *v = ok && json_node_is(json, JSON_NODE_LIST) ? json->first : NULL; ok && v != NULL;
         v = v->next) {
        struct str id = json_node_text(json_node_member(v, "ID"));
        if (anon_is_id(id) && str_eq(json_node_text(json_node_member(v, "Type")), STR("Study")))
            ok = forget(a, id, knows, ctx, deadline_us, err);
    }
    arena_done(&arena);
    return ok;
}
