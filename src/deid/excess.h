/* excess.h - what stands behind an image: bytes of pixel data, overlays and waveforms beyond those that its own
 * attributes account for (PS3.3 sections C.7.6.3, C.9.2, C.10.9).
 *
 * Samples are never searched; what follows them may be anything.  Real files have such bytes, mostly zeros, so zeros are
 * let pass and the rest is for the residue check.  Of a value that is shorter than its attributes say, they say nothing:
 * all of it is searched.
 * Owns: nothing.  Threads: as the instance. */
#ifndef PIXL_DEID_EXCESS_H
#define PIXL_DEID_EXCESS_H

#include "deid/study_internal.h"

/* Does the value hold samples, which by themselves are nothing to read? */
bool excess_is_samples(uint32_t tag);
/* The excess of element i from its first to its last byte that is not zero; empty: there is none.  Native samples whose
 * size nothing says, or says too much, are excess from their first byte.  Lives in the arena.
 * Refuses the instance when it is longer than a value may be (dicom_limits), of samples that are too few when it is
 * longer than 1 MiB.  Fails: IO, NOMEM, CORRUPT. */
PIXL_MUST_CHECK bool excess_of(struct instance *in, uint32_t i, struct str *out, struct pixl_error *err);

#endif
