/* imaging_api.h - `pixl imaging-api`: takes studies from the archive into the spool, at the rate that is set over HTTP.
 * Owns: nothing after it returned.  Threads: as service.h. */
#ifndef PIXL_HTTP_IMAGING_API_H
#define PIXL_HTTP_IMAGING_API_H

#include "http/service.h"

/* s: opened with its archive, secrets and store.  In a new store each archive's rate is 0 until somebody sets one; later it
 * is what it was.  Fails: as service_run(), archive_refresh(). */
PIXL_MUST_CHECK bool imaging_api_run(struct site *s, const char *program, struct pixl_error *err);

#endif
