#include "sniff.h"

#include <string.h>

enum { PREAMBLE_BYTES = 128, MAGIC_BYTES = 4, HEADER_BYTES = 8, FIRST_VALUE_MAX = 4096 };

static bool is_first_element(const uint8_t b[HEADER_BYTES])
{
    const bool is_big_endian = b[0] == 0;
    const uint32_t group = is_big_endian ? b[1] : b[0] | (uint32_t)b[1] << 8;
    const uint32_t element = is_big_endian ? (uint32_t)b[2] << 8 | b[3] : b[2] | (uint32_t)b[3] << 8;
    enum dicom_vr vr;
    if ((group != 0x0002 && group != 0x0008) || dicom_dict_find(group << 16 | element) == NULL)
        return false;
    if (dicom_vr_parse((const char[2]){ (char)b[4], (char)b[5] }, &vr))
        return true;
    const uint32_t length = is_big_endian ? (uint32_t)b[4] << 24 | (uint32_t)b[5] << 16 | (uint32_t)b[6] << 8 | b[7]
                                          : b[4] | (uint32_t)b[5] << 8 | (uint32_t)b[6] << 16 | (uint32_t)b[7] << 24;
    return length <= FIRST_VALUE_MAX;
}

bool dicom_sniff(const struct dicom_source *source, bool *is_dicom, struct pixl_error *err)
{
    uint8_t head[PREAMBLE_BYTES + MAGIC_BYTES + HEADER_BYTES] = { 0 };
    const size_t n = source->size_bytes < sizeof head ? (size_t)source->size_bytes : sizeof head;
    if (n > 0 && !source->read(source, head, n, 0, err))
        return false;
    *is_dicom = (n >= PREAMBLE_BYTES + MAGIC_BYTES && memcmp(head + PREAMBLE_BYTES, "DICM", MAGIC_BYTES) == 0) ||
                (n >= HEADER_BYTES && is_first_element(head)) ||
                (n == sizeof head && is_first_element(head + PREAMBLE_BYTES + MAGIC_BYTES));
    return true;
}
