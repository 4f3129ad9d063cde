/* modality.h - the words that Modality (0008,0060) knows.
 * Source: DICOM PS3.3 C.7.3.1.1.1 (defined terms, and those that were retired) and PS3.16 CID 29, 32, 33.
 * Owns: nothing.  Threads: any. */
#ifndef PIXL_CONFIG_MODALITY_H
#define PIXL_CONFIG_MODALITY_H

#include "config/nearest.h"

/* A retired one stands in old images still. */
bool modality_is_defined(struct str word);
/* "; did you mean CT?" or the empty text; no retired one is offered. */
struct nearest_text modality_hint(struct str word);

#endif
