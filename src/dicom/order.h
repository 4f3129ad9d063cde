/* order.h - brings the entries of one data set into ascending order of tags; for the reader's own files.
 * Owns: scratch memory while it works.  Threads: any. */
#ifndef PIXL_DICOM_ORDER_H
#define PIXL_DICOM_ORDER_H

#include "dicom/file.h"

/* Elements [first, end) of f are a whole data set, what is inside its sequences included.  Those of one tag stay in the
 * order of the file, and all but the first become DICOM_IS_DUPLICATE.  Fails: NOMEM. */
PIXL_MUST_CHECK bool dicom_order(struct dicom_file *f, uint32_t first, uint32_t end, struct pixl_error *err);

#endif
