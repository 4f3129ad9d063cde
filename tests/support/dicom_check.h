/* dicom_check.h - what must hold for every instance that the reader accepts; for tests and fuzz targets.
 * Owns: nothing.  Threads: any. */
#ifndef PIXL_TEST_DICOM_CHECK_H
#define PIXL_TEST_DICOM_CHECK_H

#include "dicom/file.h"
#include "dicom/plan.h"

/* Headers, values and delimiters of the entries lie one behind the other without gap or overlap, from the first
 * element to the end of the last; parents, ends and depths agree; tags ascend in each data set and duplicates are marked.
 * NULL when so, else what is wrong. */
const char *dcm_check_structure(const struct dicom_file *f);

/* Plans the whole instance anew: what stands before the first element and behind the last as ranges, headers and
 * delimiters made by the writer, values as ranges, in the order of the file.  The result must be the source, byte for byte, when the source
 * holds zeros in reserved bytes. */
PIXL_MUST_CHECK bool dcm_plan_again(const struct dicom_file *f, struct dicom_plan *p, struct pixl_error *err);

/* The plan's bytes into out, which must be initialised. */
PIXL_MUST_CHECK bool dcm_plan_collect(const struct dicom_plan *p, const struct dicom_source *s, struct buf *out,
                                      struct pixl_error *err);

#endif
