#include "tag.h"

#include <assert.h>
#include <stddef.h>
#include <string.h>

enum kind { KIND_TEXT, KIND_BINARY, KIND_SEQUENCE };

static const struct { char name[3]; bool has_long_header; uint8_t kind; } table[DICOM_VR_COUNT] = {
    [DICOM_VR_NONE] = { "--", false, KIND_BINARY },
#define X(vr, long_header, kind) [DICOM_VR_##vr] = { #vr, long_header, KIND_##kind },
    DICOM_VRS(X)
#undef X
};

const char *dicom_vr_name(enum dicom_vr vr)
{
    assert((unsigned)vr < DICOM_VR_COUNT);
    return table[vr].name;
}

bool dicom_vr_parse(const char two[2], enum dicom_vr *out)
{
    /* One entry for each pair of capital letters: this runs for every element that is read. */
    static const uint8_t of[26 * 26] = {
#define V(a, b, vr) [((a) - 'A') * 26 + (b) - 'A'] = DICOM_VR_##vr
        V('A', 'E', AE), V('A', 'S', AS), V('A', 'T', AT), V('C', 'S', CS), V('D', 'A', DA), V('D', 'S', DS),
        V('D', 'T', DT), V('F', 'D', FD), V('F', 'L', FL), V('I', 'S', IS), V('L', 'O', LO), V('L', 'T', LT),
        V('O', 'B', OB), V('O', 'D', OD), V('O', 'F', OF), V('O', 'L', OL), V('O', 'V', OV), V('O', 'W', OW),
        V('P', 'N', PN), V('S', 'H', SH), V('S', 'L', SL), V('S', 'Q', SQ), V('S', 'S', SS), V('S', 'T', ST),
        V('S', 'V', SV), V('T', 'M', TM), V('U', 'C', UC), V('U', 'I', UI), V('U', 'L', UL), V('U', 'N', UN),
        V('U', 'R', UR), V('U', 'S', US), V('U', 'T', UT), V('U', 'V', UV),
#undef V
    };
    unsigned a = (unsigned char)two[0] - (unsigned)'A', b = (unsigned char)two[1] - (unsigned)'A';
    if (a >= 26 || b >= 26 || of[a * 26 + b] == DICOM_VR_NONE)
        return false;
    *out = of[a * 26 + b];
    return true;
}

bool dicom_vr_has_long_header(enum dicom_vr vr)
{
    assert((unsigned)vr < DICOM_VR_COUNT);
    return table[vr].has_long_header;
}

bool dicom_vr_is_text(enum dicom_vr vr)
{
    assert((unsigned)vr < DICOM_VR_COUNT);
    return table[vr].kind == KIND_TEXT;
}

bool dicom_vr_has_charset(enum dicom_vr vr)
{
    switch (vr) {
    case DICOM_VR_LO: case DICOM_VR_LT: case DICOM_VR_PN: case DICOM_VR_SH: case DICOM_VR_ST: case DICOM_VR_UC:
    case DICOM_VR_UT:
        return true;
    default:
        return false;
    }
}

bool dicom_vr_is_multi(enum dicom_vr vr)
{
    switch (vr) {
    case DICOM_VR_LT: case DICOM_VR_ST: case DICOM_VR_UT: case DICOM_VR_UR:
        return false;
    default:
        return dicom_vr_is_text(vr);
    }
}

unsigned dicom_vr_number_bytes(enum dicom_vr vr)
{
    switch (vr) {
    case DICOM_VR_SS: case DICOM_VR_US:
        return 2;
    case DICOM_VR_AT: case DICOM_VR_FL: case DICOM_VR_SL: case DICOM_VR_UL:
        return 4;
    case DICOM_VR_FD: case DICOM_VR_SV: case DICOM_VR_UV:
        return 8;
    default:
        return 0;
    }
}

char dicom_vr_padding(enum dicom_vr vr)
{
    return dicom_vr_is_text(vr) && vr != DICOM_VR_UI ? ' ' : '\0';
}
