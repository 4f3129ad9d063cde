/* fragments.h - what of compressed pixel data is no samples (PS3.5 section A.4).
 *
 * A compressed frame has room for text: comments and EXIF in its header, bytes behind its end, a fragment too many, an
 * offset table that is none.  The fragments are walked as the transfer syntax says, across their borders, and what is
 * neither samples nor coding tables is for the residue check:
 *
 *   JPEG, JPEG-LS    every marker segment but coding tables that take all of theirs, between scans too; what stands
 *                    before SOI and behind EOI
 *   JPEG 2000        every marker segment but coding parameters, of tile-parts too; what stands around the codestream,
 *                    JP2 boxes among it
 *   RLE              what stands behind each segment's decoded end
 *   uncompressed     what stands behind a frame
 *   others           (MPEG, HEVC, JPEG XL, deflated frames) not walked: the first and last 64 KiB of all, the first and
 *                    last KiB of each fragment
 * The whole stream is read for JPEG and RLE, once more than it is copied; of JPEG 2000 the headers are.
 * What does not go on as its syntax says is no samples from there to the next start of a frame.
 * Owns: nothing; allocates nothing.  Threads: as the instance. */
#ifndef PIXL_DEID_FRAGMENTS_H
#define PIXL_DEID_FRAGMENTS_H

#include "deid/study_internal.h"

/* Is element e encapsulated pixel data, or an extended offset table or its lengths (PS3.3 section C.7.6.3)? */
bool fragments_is_one(const struct dicom_element *e);
typedef bool fragments_see_fn(void *ctx, struct str bytes, struct pixl_error *err);
/* Gives see() what of element i is no samples, in pieces that overlap where they are cut, valid during the
 * call, with NUL for 0xFF.
 * Refuses the instance where an offset table or an RLE header does not hold offsets into the fragments, and when more
 * than a value may have (dicom_limits) is no samples.  Fails: as see(), IO, CORRUPT, NOMEM, LIMIT. */
PIXL_MUST_CHECK bool fragments_check(struct instance *in, uint32_t i, fragments_see_fn *see, void *ctx,
                                     struct pixl_error *err);

#endif
