#include "service.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "http/body.h"
#include "pipeline/tokens.h"

#define SECOND_US INT64_C(1000000)
enum { ARENA_MAX = 16 << 20, STOP_GRACE_S = 5 };

/* --- routes ------------------------------------------------------------------------------------------------------------ */

static void heart_beat(void *ctx, const struct http_server_request *rq, struct http_server_answer *an)
{
    (void)ctx;
    (void)rq;
    (void)buf_add_cstr(&an->body, "\"OK\"");
}

static void get_rate(void *ctx, const struct http_server_request *rq, struct http_server_answer *an)
{
    struct service *s = ctx;
    struct tokens_bucket *list;
    size_t n;
    double rate = 0;
    struct arena a;
    struct pixl_error err = { 0 };
    (void)rq;
    arena_init(&a, ARENA_MAX);
    if (!tokens_list(site_store(s->site), clock_wall_us(), &a, &list, &n, &err)) {
        body_error(an, &err);
    } else {
        for (size_t i = 0; i < n; i++)
            rate = list[i].rate_per_s > rate ? list[i].rate_per_s : rate;
        (void)buf_add_cstr(&an->body, "{\"rate\":");
        (void)body_add_double(&an->body, rate);
        (void)buf_add_char(&an->body, '}');
    }
    arena_done(&a);
}

/* The words, the misspelled one too, are what clients of the Python service know. */
static void refuse_rate(struct http_server_answer *an, double rate)
{
    an->status = 406;
    (void)buf_add_cstr(&an->body, "{\"detail\":\"Refresh rate mush be a positive integer. Had ");
    (void)body_add_double(&an->body, rate);
    (void)buf_add_cstr(&an->body, "\"}");
}

static void set_rate(void *ctx, const struct http_server_request *rq, struct http_server_answer *an)
{
    struct service *s = ctx;
    struct arena a;
    struct str archive;
    double rate;
    struct pixl_error err = { 0 };
    arena_init(&a, ARENA_MAX);
    const struct json_node *body = body_object(rq, &a, an);
    if (body != NULL && body_double(body, "rate", &rate, an) && body_text(body, "archive", false, &archive, an)) {
        if (rate < 0) {
            refuse_rate(an, rate);
        } else if (!tokens_set_rates(site_store(s->site), archive, rate, clock_wall_us(), &err)) {
            body_error(an, &err);
        } else {
            log_event(LOG_INFO, "rate.set", "rate=%g", rate);
            (void)buf_add_cstr(&an->body, "\"Successfully updated the refresh rate\"");
        }
    }
    arena_done(&a);
}

static void metrics(void *ctx, const struct http_server_request *rq, struct http_server_answer *an)
{
    struct service *s = ctx;
    struct pixl_error err = { 0 };
    (void)rq;
    if (metrics_render(site_metrics(s->site), site_store(s->site), &an->body, &err))
        an->content_type = "text/plain; version=0.0.4; charset=utf-8";
    else
        body_error(an, &err);
}

static bool add_archives(struct service *s, struct arena *a, struct buf *b, struct pixl_error *err)
{
    struct tokens_bucket *list;
    size_t n;
    if (!tokens_list(site_store(s->site), clock_wall_us(), a, &list, &n, err))
        return false;
    (void)buf_add_cstr(b, ",\"archives\":[");
    for (size_t i = 0; i < n; i++) {
        (void)buf_addf(b, "%s{\"archive\":", i > 0 ? "," : "");
        (void)json_add_text(b, str_of(list[i].archive));
        (void)buf_add_cstr(b, ",\"rate\":");
        (void)body_add_double(b, list[i].rate_per_s);
        (void)buf_addf(b, ",\"tokens\":%.3f}", list[i].tokens);
    }
    (void)buf_add_char(b, ']');
    return true;
}

static bool add_projects(struct service *s, struct arena *a, struct buf *b, struct pixl_error *err)
{
    struct str *slugs;
    size_t n;
    if (!store_projects(site_store(s->site), a, &slugs, &n, err))
        return false;
    (void)buf_add_cstr(b, ",\"projects\":[");
    for (size_t i = 0; i < n; i++) {
        struct store_counts c;
        if (!store_count(site_store(s->site), slugs[i], &c, err))
            return false;
        (void)buf_addf(b, "%s{\"project\":", i > 0 ? "," : "");
        (void)json_add_text(b, slugs[i]);
        (void)buf_add_cstr(b, ",\"studies\":{");
        for (size_t k = 0; k < STUDY_STATE_COUNT; k++)
            (void)buf_addf(b, "%s\"%s\":%lld", k > 0 ? "," : "", study_state_name((enum study_state)k),
                           (long long)c.by_state[k]);
        (void)buf_addf(b, "},\"requests\":%lld,\"instances_delivered\":%lld,\"delivered_bytes\":%lld}",
                       (long long)c.requests, (long long)c.instances_delivered, (long long)c.delivered_bytes);
    }
    (void)buf_add_char(b, ']');
    return true;
}

static void status(void *ctx, const struct http_server_request *rq, struct http_server_answer *an)
{
    struct service *s = ctx;
    struct work_progress p;
    struct arena a;
    struct pixl_error err = { 0 };
    (void)rq;
    pthread_mutex_lock(&s->lock);
    p = s->progress;
    pthread_mutex_unlock(&s->lock);
    arena_init(&a, ARENA_MAX);
    (void)buf_addf(&an->body, "{\"service\":\"%s\",\"in_hand\":%d,\"done_here\":%lld,\"trouble\":", s->name, p.in_hand,
                   (long long)p.done_here);
    (void)json_add_text(&an->body, str_of(p.trouble));
    if (add_archives(s, &a, &an->body, &err) && add_projects(s, &a, &an->body, &err))
        (void)buf_add_char(&an->body, '}');
    else
        body_error(an, &err);
    arena_done(&a);
}

static const struct http_route common_routes[] = {
    { .method = "GET", .path = "/heart-beat", .handle = heart_beat, .is_open = true },
    { .method = "GET", .path = "/token-bucket-refresh-rate", .handle = get_rate },
    { .method = "POST", .path = "/token-bucket-refresh-rate", .handle = set_rate },
    { .method = "GET", .path = "/metrics", .handle = metrics, .at_once = 4 },
    { .method = "GET", .path = "/status", .handle = status, .at_once = 4 },
};

/* --- the service --------------------------------------------------------------------------------------------------------- */

static void note_progress(void *ctx, const struct work_progress *p)
{
    struct service *s = ctx;
    pthread_mutex_lock(&s->lock);
    s->progress = *p;
    pthread_mutex_unlock(&s->lock);
}

/* Routes: one array, the common ones first. */
static size_t collect_routes(const struct service_options *o, struct http_route out[SERVICE_ROUTES_MAX])
{
    size_t n = 0;
    for (size_t i = 0; i < ARRAY_LEN(common_routes); i++)
        out[n++] = common_routes[i];
    for (size_t i = 0; i < o->n_routes && n < SERVICE_ROUTES_MAX; i++)
        out[n++] = o->routes[i];
    return n;
}

static bool start_server(struct service *s, const struct service_options *o, const struct http_route *routes, size_t n,
                         struct http_server **out, struct pixl_error *err)
{
    const struct settings *set = site_settings(s->site);
    struct http_server_options h = HTTP_SERVER_OPTIONS_USUAL;
    secret_auto token = { 0 };
    if (!secret_set(&token, str_of(set->api_token), err))
        return false;
    h.host = set->api_listen;
    h.port = o->port;
    h.token = &token;
    h.routes = routes;
    h.n_routes = n;
    h.ctx = s;
    return http_server_start(&h, out, err);
}

static bool work(struct service *s, const struct service_options *o, struct pixl_error *err)
{
    const struct work_options w = {
        .does = o->does, .stays = true, .patience_us = site_settings(s->site)->patience_s * SECOND_US, .program = o->program, .progress = note_progress, .ctx = s,
    };
    enum work_end end;
    return work_run(s->site, &w, &end, err);
}

bool service_run(struct site *site, const struct service_options *o, struct pixl_error *err)
{
    /* Not on the stack: a handler that does not end in time may still read it when this returns. */
    struct service *s = calloc(1, sizeof *s);
    struct http_route *routes = calloc(SERVICE_ROUTES_MAX, sizeof *routes);
    struct http_server *server = NULL;
    sigset_t signals, before;
    if (s == NULL || routes == NULL) {
        free(routes);
        free(s);
        return pixl_fail(err, PIXL_E_NOMEM, 0, "%s", o->name);
    }
    s->site = site;
    s->name = o->name;
    (void)pthread_mutex_init(&s->lock, NULL);
    (void)sigemptyset(&signals);
    (void)sigaddset(&signals, SIGINT);
    (void)sigaddset(&signals, SIGTERM);
    (void)pthread_sigmask(SIG_BLOCK, &signals, &before); /* one that comes before work begins waits for it */
    bool ok = start_server(s, o, routes, collect_routes(o, routes), &server, err);
    if (ok) {
        log_event(LOG_INFO, "service.started", "name=%s port=%d", o->name, http_server_port(server));
        ok = work(s, o, err);
    }
    bool stopped = http_server_stop(server, clock_mono_us() + STOP_GRACE_S * SECOND_US);
    if (server != NULL)
        log_event(LOG_INFO, "service.ended", "name=%s requests=%s", o->name, stopped ? "ended" : "cut");
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (!stopped)
        _exit(ok ? 0 : 1); /* what still runs would find its site closed */
    (void)pthread_mutex_destroy(&s->lock);
    free(routes);
    free(s);
    return ok;
}
