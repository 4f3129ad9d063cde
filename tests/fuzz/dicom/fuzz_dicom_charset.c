/* The first line names the sets, the rest is text under them: whatever it is, UTF-8 comes out. */
#include "dicom/charset.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct pixl_error err = { 0 };
    struct arena a;
    struct str sets, text, out;
    bool clean = false;
    (void)str_split((struct str){ (const char *)data, size }, '\n', &sets, &text);
    struct dicom_charset c = dicom_charset_parse(sets);
    arena_init(&a, 16 << 20);
    const enum dicom_vr vr = size % 3 == 0 ? DICOM_VR_PN : size % 3 == 1 ? DICOM_VR_LO : DICOM_VR_LT;
    if (!dicom_charset_decode(&c, vr, &a, text, &out, &clean, &err))
        abort();
    if (!str_is_utf8(out) && out.n > 0)
        abort();
    if (out.n > 3 * text.n)
        abort();
    arena_done(&a);
    return 0;
}
