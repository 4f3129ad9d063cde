/* anon_put.h - de-identified zips put into Orthanc anon: on their way to a DICOMweb server, or to be looked at there.
 * Owns: nothing after it returned.  Never: judges a zip.  Threads: any. */
#ifndef PIXL_UPLOAD_ANON_PUT_H
#define PIXL_UPLOAD_ANON_PUT_H

#include "upload/anon.h"
#include "upload/upload.h"
#include "upload/zip_read.h"

/* A file without a name beside the zip, where there is room for what is de-identified. */
PIXL_MUST_CHECK bool anon_put_scratch(const char *zip_path, int *fd, struct pixl_error *err);
/* One entry, by way of the scratch file.  Fails: as anon_store() and zip_read_to(). */
PIXL_MUST_CHECK bool anon_put_entry(struct anon *a, struct zip_read *zip, const struct zip_read_entry *entry,
                                    int scratch, int64_t deadline_us, char id[ANON_ID_SIZE], struct pixl_error *err);

/* All of a study, for people to look at (PIXL_ANON_VIEW).  What is there of the same UIDs is replaced.  cancel: looked at before each
 * instance, which may take a minute.
 * Fails: as the above, INVALID (ORTHANC_ANON_URL), UNAVAILABLE (not done in PIXL_DICOMWEB_TIMEOUT_S), CANCELLED. */
PIXL_MUST_CHECK bool anon_put_study(const struct settings *settings, const char *zip_path, const atomic_bool *cancel,
                                    struct pixl_error *err);

#endif
