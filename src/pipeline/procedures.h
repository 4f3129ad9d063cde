/* procedures.h - is one procedure of an extract asked for with one patient only?  And does a participant_id stand for one?
 *
 * An extract links a procedure to studies by its number alone: two patients under one number are a mistake of who wrote
 * the cohort, and whoever reads the tables would take their studies for one person's.  So he would of two patients with
 * one participant_id, unless both MRNs are one person's.
 * Owns: hashes, 12 bytes for each procedure or participant and as many again to find them fast; no MRN.
 * Threads: one. */
#ifndef PIXL_PIPELINE_PROCEDURES_H
#define PIXL_PIPELINE_PROCEDURES_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/phi.h"

/* All zero: empty.  One holds either procedures or participants. */
struct procedures {
    uint64_t *keys; /* of project, time and procedure, or project and participant; open addressing, 0: free */
    uint32_t *mrns; /* of the first one that came with it */
    size_t n, room; /* room: a power of two */
};
void procedures_done(struct procedures *p);
/* *differs: another MRN came with this procedure before, and stays.
 * Fails: NOMEM. */
PIXL_MUST_CHECK bool procedures_note(struct procedures *p, struct str project, struct str extract_time,
                                     int64_t procedure_occurrence_id, struct phi_text mrn, bool *differs,
                                     struct pixl_error *err);
/* The same of a participant of a project. */
PIXL_MUST_CHECK bool procedures_note_participant(struct procedures *p, struct str project, struct str participant_id,
                                                 struct phi_text mrn, bool *differs, struct pixl_error *err);

#endif
