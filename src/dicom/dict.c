#include "tag.h"

#include <stddef.h>
#include <string.h>

/* The rows come three times out of one generated file; each reading takes what it wants. */
static const struct dicom_dict_entry exact[] = {
#define EXACT(tag, vr, keyword) { tag, 0xFFFFFFFFu, DICOM_VR_##vr, keyword },
#define MASKED(tag, mask, vr, keyword)
#define KEYWORD(i)
#include "dict_table.inc"
#undef EXACT
#undef MASKED
#undef KEYWORD
};

static const struct dicom_dict_entry masked[] = {
#define EXACT(tag, vr, keyword)
#define MASKED(tag, mask, vr, keyword) { tag, mask, DICOM_VR_##vr, keyword },
#define KEYWORD(i)
#include "dict_table.inc"
#undef EXACT
#undef MASKED
#undef KEYWORD
};

static const uint16_t by_keyword[] = {
#define EXACT(tag, vr, keyword)
#define MASKED(tag, mask, vr, keyword)
#define KEYWORD(i) i,
#include "dict_table.inc"
#undef EXACT
#undef MASKED
#undef KEYWORD
};

static const struct dicom_dict_entry group_length = { 0x00000000u, 0x0000FFFFu, DICOM_VR_UL, "GenericGroupLength" };

/* Groups that have repeating rows: looked at only when the exact search found nothing. */
static bool has_masked_rows(uint32_t tag)
{
    switch (tag >> 24) {
    case 0x50: case 0x60: case 0x7F:                           return true;
    default:
        return DICOM_GROUP(tag) == 0x0020 || DICOM_GROUP(tag) == 0x0028 || DICOM_GROUP(tag) == 0x1000 ||
               DICOM_GROUP(tag) == 0x1010;
    }
}

const struct dicom_dict_entry *dicom_dict_find(uint32_t tag)
{
    if (dicom_tag_is_private(tag))
        return NULL;
    /* Halving without branches that depend on the data: 13 steps, each a conditional move. */
    const struct dicom_dict_entry *base = exact;
    size_t n = ARRAY_LEN(exact);
    while (n > 1) {
        size_t half = n / 2;
        base += base[half].tag <= tag ? half : 0;
        n -= half;
    }
    if (base->tag == tag)
        return base;
    if (DICOM_ELEMENT_OF(tag) == 0)
        return &group_length;
    if (has_masked_rows(tag))
        for (size_t i = 0; i < ARRAY_LEN(masked); i++)
            if ((tag & masked[i].mask) == masked[i].tag)
                return &masked[i];
    return NULL;
}

const struct dicom_dict_entry *dicom_dict_find_keyword(const char *keyword)
{
    size_t lo = 0, hi = ARRAY_LEN(by_keyword);
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        const struct dicom_dict_entry *e = &exact[by_keyword[mid]];
        int c = strcmp(keyword, e->keyword);
        if (c == 0)
            return e;
        if (c < 0)
            hi = mid;
        else
            lo = mid + 1;
    }
    for (size_t i = 0; i < ARRAY_LEN(masked); i++)
        if (strcmp(keyword, masked[i].keyword) == 0)
            return &masked[i];
    return NULL;
}

enum dicom_vr dicom_dict_vr(uint32_t tag)
{
    if (DICOM_ELEMENT_OF(tag) == 0)
        return DICOM_VR_UL;
    if (dicom_tag_is_private_creator(tag))
        return DICOM_VR_LO;
    if (tag == DICOM_PIXEL_DATA)
        return DICOM_VR_OW;         /* PS3.5 section A.1: in implicit syntax always OW */
    const struct dicom_dict_entry *e = dicom_dict_find(tag);
    return e ? e->vr : DICOM_VR_UN;
}
