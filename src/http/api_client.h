/* api_client.h - asks the imaging API or the export API, here or on another machine, on behalf of a command.
 * Owns: nothing between calls.  Never: repeats a request.  Threads: any. */
#ifndef PIXL_HTTP_API_CLIENT_H
#define PIXL_HTTP_API_CLIENT_H

#include "base/http_client.h"
#include "config/settings.h"

enum api { API_IMAGING, API_EXPORT };

/* Is its host set (PIXL_IMAGING_API_HOST, PIXL_EXPORT_API_HOST)? */
bool api_is_set(const struct settings *set, enum api which);

struct api_answer {
    int status;
    struct buf body; /* the caller's, initialised */
};
/* GET without a body (json.n == 0), else POST.  Any status is an answer.
 * Fails: UNAVAILABLE (it cannot be reached, or did not answer within timeout_s; says where), INVALID, NOMEM, LIMIT. */
PIXL_MUST_CHECK bool api_ask(const struct settings *set, enum api which, const char *path, struct str json,
                             int timeout_s, struct api_answer *out, struct pixl_error *err);

/* What a person should look at when an API answers so: "" or " (...?)". */
const char *api_hint(int status);

/* The rate of all archives, or of one.  Fails: as api_ask(); NOT_FOUND, INVALID, IO as the API says. */
PIXL_MUST_CHECK bool api_set_rate(const struct settings *set, const char *archive, double rate_per_s,
                                  struct pixl_error *err);
/* Has the tables of an extract written and delivered.  Fails: as api_ask(); IO with the status and words of the API. */
PIXL_MUST_CHECK bool api_export_patient_data(const struct settings *set, struct str project, struct str extract_time,
                                             int timeout_s, struct pixl_error *err);

#endif
