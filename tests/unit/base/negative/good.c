/* A control: the same calls, made rightly, do compile. */
#include "base/fs.h"
#include "base/log.h"
#include "base/phi.h"
#include "base/secret.h"
bool good(struct phi_text mrn, const struct secret *key, struct str text, struct pixl_error *err);
bool good(struct phi_text mrn, const struct secret *key, struct str text, struct pixl_error *err)
{
    log_event(LOG_INFO, "a.b", "n=%zu empty=%d", key->n, phi_is_empty(mrn));
    if (!fs_remove("x", err))
        return pixl_wrap(err, "%.*s", STR_ARG(text));
    return pixl_fail(err, PIXL_E_IO, 0, "%s", "x");
}
