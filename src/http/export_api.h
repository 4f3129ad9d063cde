/* export_api.h - `pixl export-api`: delivers what lies in the spool, and when it is asked for them tables, and studies that
 * lie in Orthanc anon.
 *
 *   POST /export-patient-data  {"project_name":"...","extract_datetime":"2023-12-07T14:08:58"}   200 null, once they arrived
 *   POST /export-dicom-from-orthanc  {"study_id":"..."[,"project_name":"..."]}   200 null, once it arrived (pipeline/adopt.h)
 *     study_id: of Orthanc anon.  404: no such study there, no such row or project; 409: "Image already exported"; 500: it was
 *     withheld or has failed; 503: Orthanc anon, the destination or the store is away, or another is at it, or instances come, and
 *     that does not end
 * A caller's output_dir is refused: tables are where HOST_EXPORT_ROOT_DIR says.
 * Owns: nothing after it returned.  Threads: as service.h. */
#ifndef PIXL_HTTP_EXPORT_API_H
#define PIXL_HTTP_EXPORT_API_H

#include "http/service.h"

/* s: opened with its secrets and store.  Fails: as service_run(). */
PIXL_MUST_CHECK bool export_api_run(struct site *s, const char *program, struct pixl_error *err);

#endif
