/* action.h - the constant that stands for a value of each VR after `replace` or `empty`.
 * Owns: nothing.  Threads: any.
 * Source: the operations of the Python system where it has them; for VRs that it does not know, a value of the same
 * kind. */
#ifndef PIXL_DEID_ACTION_H
#define PIXL_DEID_ACTION_H

#include "base/str.h"
#include "dicom/tag.h"

enum action_result { ACTION_VALUE, ACTION_ZEROS, ACTION_MAP_UIDS, ACTION_NONE };
/* ACTION_VALUE: *out is the new value.  ACTION_ZEROS: as many zero bytes as there were.  ACTION_MAP_UIDS: the UIDs'
 * pseudonyms.
 * ACTION_NONE: there is no such value (SQ is gone through item by item). */
enum action_result action_replace(enum dicom_vr vr, struct str *out);
enum action_result action_empty(enum dicom_vr vr, struct str *out);

#endif
