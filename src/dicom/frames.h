/* frames.h - how many frames an instance says it has.  To count by, never to read pixels by: nothing checks it.
 * Owns: nothing.  Threads: as the file's. */
#ifndef PIXL_DICOM_FRAMES_H
#define PIXL_DICOM_FRAMES_H

#include "dicom/file.h"

enum { DICOM_FRAMES_MAX = 1000000 };

/* f: parsed until the SOP Class UID at least.  Reads on to Number of Frames (0028,0008) only where the class may have more
 * than one frame: an enhanced or multi-frame class of PS3.4 Table B.5-1, retired ones too, or one that is not of the standard.
 * *out: 1 where there is no such number, it is not one of 1 or more, or what stands before it cannot be parsed; at most
 * DICOM_FRAMES_MAX.  Fails: IO, NOMEM. */
PIXL_MUST_CHECK bool dicom_count_frames(struct dicom_file *f, uint32_t *out, struct pixl_error *err);

#endif
