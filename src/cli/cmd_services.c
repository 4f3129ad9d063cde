/* cmd_services.c - `pixl imaging-api`, `pixl export-api`: the work of a hospital as services. */
#include <stdio.h>

#include "cli/cli.h"
#include "http/export_api.h"
#include "http/imaging_api.h"

static enum cli_exit imaging_api(struct cli *c, struct pixl_error *err)
{
    site_auto *s = NULL;
    return site_open(&c->settings, SITE_SERVES | SITE_ARCHIVE | SITE_SECRETS | SITE_STORE, &s, err) &&
                   imaging_api_run(s, c->program, err)
               ? CLI_DONE
               : CLI_FAILED;
}

static enum cli_exit export_api(struct cli *c, struct pixl_error *err)
{
    site_auto *s = NULL;
    return site_open(&c->settings, SITE_SERVES | SITE_SECRETS | SITE_STORE, &s, err) &&
                   export_api_run(s, c->program, err)
               ? CLI_DONE
               : CLI_FAILED;
}

#define SERVICE_TEXT                                                                                                \
    "GET /heart-beat, GET and POST /token-bucket-refresh-rate, GET /metrics (Prometheus), GET /status.\n"           \
    "It listens on 127.0.0.1; with PIXL_API_LISTEN elsewhere it wants PIXL_API_TOKEN, which clients then send as\n" \
    "`Authorization: Bearer ...`. SIGTERM lets it finish the studies in hand for PIXL_STOP_S seconds; what is not " \
    "done\n"                                                                                                        \
    "then, or at a second SIGTERM, is given back and goes on at the next start."

static const struct cli_option imaging_options[] = {
    { "--archive", "URL", "PIXL_ARCHIVE_URL", "where the images are, for example directory:/path/to/dicom" },
    { "--port", "PORT", "PIXL_IMAGING_API_PORT", "port of its HTTP API (default 7007)" },
    { "--workers", "N", "PIXL_WORKERS", "studies worked on at once (default: two per core)" },
};
const struct cli_command cli_imaging_api = {
    .name = "imaging-api",
    .summary = "the service that takes studies from the archive and de-identifies them",
    .usage = "[--archive URL] [--port PORT]",
    .text = "Takes what `pixl populate` asks for, into the spool; `pixl export-api` delivers it. In a new store the "
            "rate is 0 until\n"
            "`pixl start`; later starts keep the last rate. Its HTTP API answers\n" SERVICE_TEXT,
    .options = imaging_options,
    .n_options = ARRAY_LEN(imaging_options),
    .min_args = 0,
    .max_args = 0,
    .needs_settings = true,
    .is_supervised = true,
    .run = imaging_api,
};

static const struct cli_option export_options[] = {
    { "--port", "PORT", "PIXL_EXPORT_API_PORT", "port of its HTTP API (default 7006)" },
};
const struct cli_command cli_export_api = {
    .name = "export-api",
    .summary = "the service that delivers studies and tables",
    .usage = "[--port PORT]",
    .text = "Delivers what lies in the spool to the destinations of the projects. Its HTTP API answers POST "
            "/export-patient-data\n"
            "({\"project_name\", \"extract_datetime\"}: the tables of an extract are written and delivered), "
            "POST\n"
            "/export-dicom-from-orthanc ({\"study_id\", \"project_name\"}: a study that others put de-identified into\n"
            "Orthanc anon is delivered), both sent as Content-Type: application/json, and\n" SERVICE_TEXT,
    .options = export_options,
    .n_options = ARRAY_LEN(export_options),
    .min_args = 0,
    .max_args = 0,
    .needs_settings = true,
    .is_supervised = true,
    .run = export_api,
};
