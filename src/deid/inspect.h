/* inspect.h - an instance that others de-identified: is the identity of its study's row left in it?
 *
 * Everything that the row knows (MRN, accession number, original UIDs) is a needle, and every value at every depth is
 * searched as deid_instance() searches what it keeps: private ones, bytes behind samples and comments in compressed
 * frames too.  It fails closed: what cannot be judged is refused.  What may be written has a new preamble and file meta,
 * so that nothing of the given ones passes; the data set stays as it is, but for its group lengths.
 * Not done: the project's rules are not applied again, and no row knows names or birth dates.
 * Owns: its needles.  Never: does I/O; names a value in an error, reason or place.  Threads: one. */
#ifndef PIXL_DEID_INSPECT_H
#define PIXL_DEID_INSPECT_H

#include "deid/deid.h"

struct deid_inspection;
struct deid_inspection_args {
    struct phi_text mrn, accession_number; /* may be empty, as the others */
    const struct phi_text *original_uids;  /* of study and series; each may be several, joined by '\' */
    size_t n_original_uids;
    struct str pseudo_study_uid; /* of every instance; not empty */
    struct str patient;          /* PatientID of every instance; empty: not known */
};
/* Given: deid_inspection_free().  Fails: NOMEM, LIMIT. */
PIXL_MUST_CHECK bool deid_inspection_new(const struct deid_inspection_args *args, struct deid_inspection **out,
                                         struct pixl_error *err);
void deid_inspection_free(struct deid_inspection *s);
PIXL_DEFINE_CLEANUP(deid_inspection, deid_inspection_free)

/* f was parsed by dicom_parse() with this arena.  *out as of deid_instance(), never DEID_FILTERED; series_uid and sop_uid
 * are those that the instance has.  Fails: NOMEM, IO, CORRUPT (file shrank), LIMIT; the instance is then not decided. */
PIXL_MUST_CHECK bool deid_inspect(struct deid_inspection *s, struct dicom_file *f, struct arena *arena,
                                  struct deid_result *out, struct pixl_error *err);

#endif
