#include "export_api.h"

#include <string.h>

#include "base/log.h"
#include "http/body.h"
#include "pipeline/adopt.h"
#include "pipeline/publish.h"

enum { ARENA_MAX = 64 << 20, ADOPT_WAIT_S = 300, ADOPT_AT_ONCE = 32 };

/* What keeps tables from their destination and is not this service's fault has one answer, as it always had. */
static void answer_published(const struct publish_extract *e, struct http_server_answer *an)
{
    if (e->delivered) {
        (void)buf_add_cstr(&an->body, "null");
        return;
    }
    switch (e->error.code) {
    case PIXL_E_UNAVAILABLE:
    case PIXL_E_NOT_FOUND:
    case PIXL_E_DENIED:
    case PIXL_E_INVALID:
    case PIXL_E_NO_SPACE: body_detail(an, 400, "Destination for parquet files unavailable"); break;
    default: body_error(an, &e->error);
    }
}

static void publish(struct service *s, struct str project, struct str time, struct arena *a,
                    struct http_server_answer *an)
{
    struct publish_extract e;
    struct pixl_error err = { 0 };
    if (!publish_extract_at(s->site, project, time, a, &e, &err)) {
        body_error(an, &err);
        return;
    }
    if (e.delivered)
        log_event(LOG_INFO, "tables.delivered", "project=%.*s extract=%.*s files=%lld", STR_ARG(e.project),
                  STR_ARG(e.time_slug), (long long)e.files);
    answer_published(&e, an);
}

static void export_patient_data(void *ctx, const struct http_server_request *rq, struct http_server_answer *an)
{
    struct arena a;
    struct str project, time;
    arena_init(&a, ARENA_MAX);
    const struct json_node *body = body_object(rq, &a, an);
    if (body == NULL || !body_text(body, "project_name", true, &project, an) ||
        !body_text(body, "extract_datetime", true, &time, an))
        ; /* answered */
    else if (json_node_member(body, "output_dir") != NULL)
        body_detail(
            an, 400,
            "output_dir is not taken from a caller: HOST_EXPORT_ROOT_DIR of this service says where tables are");
    else
        publish(ctx, project, time, &a, an);
    arena_done(&a);
}

/* Of a refusal the log says what kind it was: the words may hold what the caller sent. */
static void adopt(struct service *s, const struct adopt_order *o, struct http_server_answer *an)
{
    struct pixl_error err = { 0 };
    int64_t image = 0;
    if (adopt_study(s->site, o, &image, &err)) {
        (void)buf_add_cstr(&an->body, "null");
        return;
    }
    log_event(LOG_WARN, "adopt.refused", "image=%lld code=%s", (long long)image, pixl_code_name(err.code));
    body_error(an, &err);
}

static void export_dicom(void *ctx, const struct http_server_request *rq, struct http_server_answer *an)
{
    struct arena a;
    struct adopt_order o = { .cancel = rq->stopping, .wait_us = INT64_C(1000000) * ADOPT_WAIT_S };
    arena_init(&a, ARENA_MAX);
    const struct json_node *body = body_object(rq, &a, an);
    if (body != NULL && body_text(body, "study_id", true, &o.study_id, an) &&
        body_text(body, "project_name", false, &o.project, an))
        adopt(ctx, &o, an);
    arena_done(&a);
}

static const struct http_route routes[] = {
    { .method = "POST", .path = "/export-dicom-from-orthanc", .handle = export_dicom, .at_once = ADOPT_AT_ONCE },
    { .method = "POST", .path = "/export-patient-data", .handle = export_patient_data, .at_once = 8 },
};

bool export_api_run(struct site *s, const char *program, struct pixl_error *err)
{
    const struct service_options o = {
        .name = "export-api",
        .port = (int)site_settings(s)->export_api_port,
        .does = WORK_DELIVERS,
        .routes = routes,
        .n_routes = ARRAY_LEN(routes),
        .program = program,
    };
    return service_run(s, &o, err);
}
