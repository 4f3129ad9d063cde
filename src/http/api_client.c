#include "api_client.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "http/body.h"

enum { CONNECT_MS = 5000, RATE_TIMEOUT_S = 10, ANSWER_MAX = 1 << 20, SHOWN_MAX = 300 };

static const char *host_of(const struct settings *set, enum api which)
{
    return which == API_IMAGING ? set->imaging_api_host : set->export_api_host;
}

bool api_is_set(const struct settings *set, enum api which)
{
    const char *host = host_of(set, which);
    return host != NULL && host[0] != '\0';
}

static bool open_client(const struct settings *set, enum api which, struct http_client **out, struct pixl_error *err)
{
    const char *host = host_of(set, which);
    const bool is_v6 = strchr(host, ':') != NULL;
    buf_auto url;
    buf_init(&url, 1024);
    (void)buf_addf(&url, "http://%s%s%s:%" PRId64, is_v6 ? "[" : "", host, is_v6 ? "]" : "",
                   which == API_IMAGING ? set->imaging_api_port : set->export_api_port);
    if (url.failed)
        return pixl_fail(err, PIXL_E_INVALID, 0, "the host of an API is too long");
    const struct http_client_options o = { .url = buf_cstr(&url), .connect_ms = CONNECT_MS };
    return http_client_open(&o, out, err);
}

bool api_ask(const struct settings *set, enum api which, const char *path, struct str json, int timeout_s,
             struct api_answer *out, struct pixl_error *err)
{
    const char *name = which == API_IMAGING ? "imaging API" : "export API";
    http_client_auto *c = NULL;
    secret_auto token = { 0 };
    struct http_request rq = HTTP_REQUEST_NONE;
    struct http_answer an = { .body = out->body };
    if (!open_client(set, which, &c, err) || !secret_set(&token, str_of(set->api_token), err))
        return pixl_wrap(err, "%s", name);
    rq.method = json.n > 0 ? HTTP_POST : HTTP_GET;
    rq.path = path;
    rq.bearer = token.n > 0 ? &token : NULL;
    rq.content_type = json.n > 0 ? "application/json" : NULL;
    rq.body = json;
    rq.deadline_us = clock_mono_us() + timeout_s * INT64_C(1000000);
    rq.answer_max = ANSWER_MAX;
    bool ok = http_client_do(c, &rq, &an, err);
    out->body = an.body;
    if (ok) {
        out->status = an.status;
        return true;
    }
    if (err->code == PIXL_E_UNAVAILABLE) {
        pixl_error_clear(err);
        return pixl_fail(err, PIXL_E_UNAVAILABLE, 0, "the %s at %s cannot be reached, or does not answer", name,
                         http_client_place(c));
    }
    return pixl_wrap(err, "%s at %s", name, http_client_place(c));
}

const char *api_hint(int status)
{
    return status == 401 ? " (is PIXL_API_TOKEN that of the service?)" : "";
}

/* What an answer says, for a person: its detail, when that is one text. */
static bool failed_as(const struct api_answer *an, const char *what, struct pixl_error *err)
{
    struct arena a;
    const struct json_node *v;
    struct pixl_error ignored = { 0 };
    buf_auto shown;
    buf_init(&shown, 4 * SHOWN_MAX);
    arena_init(&a, 1 << 20);
    struct str text = buf_str(&an->body);
    if (json_tree_read(&a, text, 16, 1000, &v, &ignored) && json_node_text(json_node_member(v, "detail")).n > 0)
        text = json_node_text(json_node_member(v, "detail"));
    (void)buf_add_visible(&shown, (struct str){ text.p, text.n < SHOWN_MAX ? text.n : SHOWN_MAX });
    arena_done(&a);
    const enum pixl_code code = an->status == 404                        ? PIXL_E_NOT_FOUND
                                : an->status == 406 || an->status == 422 ? PIXL_E_INVALID
                                                                         : PIXL_E_IO;
    return pixl_fail(err, code, an->status, "Failed to %s due to: error code %d %s%s", what, an->status,
                     buf_cstr(&shown), api_hint(an->status));
}

bool api_set_rate(const struct settings *set, const char *archive, double rate_per_s, struct pixl_error *err)
{
    buf_auto body;
    struct api_answer an = { 0 };
    buf_init(&body, 4096);
    buf_init(&an.body, ANSWER_MAX);
    (void)buf_add_cstr(&body, "{\"rate\":");
    (void)body_add_double(&body, rate_per_s);
    if (archive != NULL) {
        (void)buf_add_cstr(&body, ",\"archive\":");
        (void)json_add_text(&body, str_of(archive));
    }
    (void)buf_add_char(&body, '}');
    bool ok = !body.failed || pixl_fail(err, PIXL_E_NOMEM, 0, "request");
    ok = ok && api_ask(set, API_IMAGING, "/token-bucket-refresh-rate", buf_str(&body), RATE_TIMEOUT_S, &an, err);
    ok = ok && (an.status == 200 || failed_as(&an, "update the rate", err));
    buf_done(&an.body);
    return ok;
}

bool api_export_patient_data(const struct settings *set, struct str project, struct str extract_time, int timeout_s,
                             struct pixl_error *err)
{
    buf_auto body;
    struct api_answer an = { 0 };
    buf_init(&body, 65536);
    buf_init(&an.body, ANSWER_MAX);
    (void)buf_add_cstr(&body, "{\"project_name\":");
    (void)json_add_text(&body, project);
    (void)buf_add_cstr(&body, ",\"extract_datetime\":");
    (void)json_add_text(&body, extract_time);
    (void)buf_add_char(&body, '}');
    bool ok = !body.failed || pixl_fail(err, PIXL_E_NOMEM, 0, "request");
    ok = ok && api_ask(set, API_EXPORT, "/export-patient-data", buf_str(&body), timeout_s, &an, err);
    ok = ok && (an.status == 200 || failed_as(&an, "run export-patient-data", err));
    buf_done(&an.body);
    return ok;
}
