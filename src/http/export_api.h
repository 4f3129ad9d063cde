/* export_api.h - `pixl export-api`: delivers what lies in the spool, and tables when it is asked for them.
 *
 *   POST /export-patient-data  {"project_name":"...","extract_datetime":"2023-12-07T14:08:58"}   200 null, once they arrived
 * A caller's output_dir is refused: tables are where HOST_EXPORT_ROOT_DIR says.
 * Owns: nothing after it returned.  Threads: as service.h. */
#ifndef PIXL_HTTP_EXPORT_API_H
#define PIXL_HTTP_EXPORT_API_H

#include "http/service.h"

/* s: opened with its secrets and store.  Fails: as service_run(). */
PIXL_MUST_CHECK bool export_api_run(struct site *s, const char *program, struct pixl_error *err);

#endif
