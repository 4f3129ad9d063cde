/* archive_identity.h - what a file of the archive says of itself: whose, which study, series and instance.
 * Owns: nothing; texts are in the arena given.  Never: reads further than the series UID, or of multi-frame objects the
 * number of frames.  Threads: any. */
#ifndef PIXL_ARCHIVE_ARCHIVE_IDENTITY_H
#define PIXL_ARCHIVE_ARCHIVE_IDENTITY_H

#include "base/arena.h"
#include "base/error.h"
#include "base/phi.h"

/* Stored in the index: numbers stay. */
enum archive_identity_kind {
    ARCHIVE_IDENTITY_STRANGER = 0,       /* no DICOM, or DICOM that is of no study: DICOMDIR, hanging protocols */
    ARCHIVE_IDENTITY_INSTANCE = 1,       /* study, series and SOP instance UID are there */
    ARCHIVE_IDENTITY_DAMAGED = 2,        /* means to be DICOM (dicom/sniff.h), and its header breaks or lacks one of these
                                          * three; texts as far as they go */
    ARCHIVE_IDENTITY_UNREADABLE = 3,     /* the system does not give its bytes */
};

struct archive_identity {
    enum archive_identity_kind kind;
    struct phi_text patient_id, accession_number, study_uid, series_uid, sop_uid;    /* trimmed */
    uint32_t frames; /* 1 and more, of an INSTANCE; else 0 */
};

/* What the content is decides about kind, not about success.  arena is reset first.  Fails: NOMEM. */
PIXL_MUST_CHECK bool archive_identity_read(int fd, struct arena *arena, struct archive_identity *out,
                                           struct pixl_error *err);

#endif
