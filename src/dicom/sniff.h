/* sniff.h - does a file mean to be DICOM, whether or not it can be read?
 * Owns: nothing.  Threads: any. */
#ifndef PIXL_DICOM_SNIFF_H
#define PIXL_DICOM_SNIFF_H

#include "dicom/file.h"

/* true for "DICM" behind 128 bytes (PS3.10 section 7.1), and where an element of the dictionary in group 0002 or 0008 begins the
 * file or stands at byte 132, where another four bytes stand for the "DICM": in either byte order, with a VR or with a length that
 * a first element may have.  Fails: as the source's read(). */
PIXL_MUST_CHECK bool dicom_sniff(const struct dicom_source *source, bool *is_dicom, struct pixl_error *err);

#endif
