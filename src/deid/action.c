#include "action.h"

#define ZEROS(n) ((struct str){ "\0\0\0\0\0\0\0", (n) })

enum action_result action_replace(enum dicom_vr vr, struct str *out)
{
    switch (vr) {
    case DICOM_VR_LO: case DICOM_VR_LT: case DICOM_VR_SH: case DICOM_VR_PN: case DICOM_VR_CS: case DICOM_VR_ST:
    case DICOM_VR_UT: case DICOM_VR_AE: case DICOM_VR_UC: case DICOM_VR_UR:
        *out = STR("ANONYMIZED");
        return ACTION_VALUE;
    case DICOM_VR_UI:
        return ACTION_MAP_UIDS;
    case DICOM_VR_DS: case DICOM_VR_IS:
        *out = STR("0");
        return ACTION_VALUE;
    case DICOM_VR_DA:
        *out = STR("00010101");
        return ACTION_VALUE;
    case DICOM_VR_DT:
        *out = STR("00010101010101.000000+0000");
        return ACTION_VALUE;
    case DICOM_VR_TM:
        *out = STR("000000.00");
        return ACTION_VALUE;
    case DICOM_VR_AS:
        *out = STR("000Y");
        return ACTION_VALUE;
    case DICOM_VR_UN:
        *out = STR("Anonymized");
        return ACTION_VALUE;
    case DICOM_VR_SS: case DICOM_VR_US:
        *out = ZEROS(2);
        return ACTION_VALUE;
    case DICOM_VR_AT: case DICOM_VR_FL: case DICOM_VR_SL: case DICOM_VR_UL:
        *out = ZEROS(4);
        return ACTION_VALUE;
    case DICOM_VR_FD: case DICOM_VR_SV: case DICOM_VR_UV:
        out->p = "\0\0\0\0\0\0\0\0";
        out->n = 8;
        return ACTION_VALUE;
    case DICOM_VR_OB: case DICOM_VR_OD: case DICOM_VR_OF: case DICOM_VR_OL: case DICOM_VR_OV: case DICOM_VR_OW:
        return ACTION_ZEROS;
    case DICOM_VR_NONE: case DICOM_VR_SQ: case DICOM_VR_COUNT:
        break;
    }
    return ACTION_NONE;
}

enum action_result action_empty(enum dicom_vr vr, struct str *out)
{
    switch (vr) {
    case DICOM_VR_LO: case DICOM_VR_LT: case DICOM_VR_SH: case DICOM_VR_PN: case DICOM_VR_CS: case DICOM_VR_ST:
    case DICOM_VR_UT:
    case DICOM_VR_AE:
    case DICOM_VR_UC:
    case DICOM_VR_UR:
    case DICOM_VR_UI:
    case DICOM_VR_AS:
    case DICOM_VR_UN:
    case DICOM_VR_OB: case DICOM_VR_OD: case DICOM_VR_OF: case DICOM_VR_OL: case DICOM_VR_OV: case DICOM_VR_OW:
        *out = (struct str){ 0 };
        return ACTION_VALUE;
    default:                     /* dates, times and numbers: as replace */
        return action_replace(vr, out);
    }
}
