/* request.h - one row of a cohort: the study that somebody asks for, in the words that all rooms share.
 * Owns: nothing; every text is borrowed from whoever made the request.  Never: does I/O.  Threads: any. */
#ifndef PIXL_STUDY_REQUEST_H
#define PIXL_STUDY_REQUEST_H

#include <stdint.h>

#include "base/error.h"
#include "base/phi.h"

struct study_request {
    struct str project;               /* slug, valid */
    struct phi_text mrn;              /* trimmed; never empty: the patient of every instance is compared with it */
    struct phi_text accession_number; /* trimmed; empty: not known */
    struct phi_text study_uid;        /* trimmed; empty: not known */
    struct phi_text series_uids;      /* as a DICOM list, joined by '\'; empty: all series */
    struct str participant_id;        /* the cohort's own pseudonym for the patient; empty: the keyed hash is used */
    int32_t study_date;               /* yyyymmdd; 0: not known */
    int64_t procedure_occurrence_id;
    struct str extract_time;          /* ISO 8601 as the cohort says it, "2023-12-07T14:08:58" or with an offset */
    int priority;                     /* 1..5, 5 first */
};

/* What a request must fulfil before it may be stored: mrn present; accession number or study UID present; a UID made of
 * [0-9.], at most 64 characters; no control characters; texts at most 64 (MRN, accession) or 255 (participant) characters; a valid slug;
 * priority 1..5; a procedure that is not numbered by the digits of MRN or accession number, 6 or more.  Fails: INVALID, with the field's name and never its content. */
PIXL_MUST_CHECK bool study_request_check(const struct study_request *r, struct pixl_error *err);

#endif
