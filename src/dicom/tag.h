/* tag.h - tags, value representations and the data dictionary (PS3.6, PS3.5 section 6.2).
 * Owns: constant tables, generated from data/dicom_attributes.tsv.  Never: holds policy.  Threads: any. */
#ifndef PIXL_DICOM_TAG_H
#define PIXL_DICOM_TAG_H

#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"

/* A tag is group << 16 | element. */
#define DICOM_TAG(g, e) ((uint32_t)(g) << 16 | (uint32_t)(e))
#define DICOM_GROUP(tag)   ((uint16_t)((tag) >> 16))
#define DICOM_ELEMENT_OF(tag) ((uint16_t)(tag))
static inline bool dicom_tag_is_private(uint32_t tag) { return (DICOM_GROUP(tag) & 1) != 0; }
/* (gggg,0010-00FF), gggg odd: reserves block (gggg,xx00-xxFF) for its creator, PS3.5 section 7.8.1. */
static inline bool dicom_tag_is_private_creator(uint32_t tag)
{
    return dicom_tag_is_private(tag) && DICOM_ELEMENT_OF(tag) >= 0x0010 && DICOM_ELEMENT_OF(tag) <= 0x00FF;
}

/* Tags that code names. */
enum {
    DICOM_META_GROUP_LENGTH = 0x00020000,
    DICOM_META_VERSION = 0x00020001,
    DICOM_META_SOP_CLASS_UID = 0x00020002,
    DICOM_META_SOP_INSTANCE_UID = 0x00020003,
    DICOM_META_TRANSFER_SYNTAX = 0x00020010,
    DICOM_META_IMPLEMENTATION_UID = 0x00020012,
    DICOM_META_IMPLEMENTATION_NAME = 0x00020013,
    DICOM_SPECIFIC_CHARACTER_SET = 0x00080005,
    DICOM_IMAGE_TYPE = 0x00080008,
    DICOM_SOP_CLASS_UID = 0x00080016,
    DICOM_SOP_INSTANCE_UID = 0x00080018,
    DICOM_STUDY_DATE = 0x00080020,
    DICOM_ACCESSION_NUMBER = 0x00080050,
    DICOM_MODALITY = 0x00080060,
    DICOM_CONVERSION_TYPE = 0x00080064,
    DICOM_MANUFACTURER = 0x00080070,
    DICOM_SERIES_DESCRIPTION = 0x0008103E,
    DICOM_PATIENT_NAME = 0x00100010,
    DICOM_PATIENT_ID = 0x00100020,
    DICOM_PATIENT_BIRTH_DATE = 0x00100030,
    DICOM_OTHER_PATIENT_IDS = 0x00101000,
    DICOM_OTHER_PATIENT_NAMES = 0x00101001,
    DICOM_PATIENT_BIRTH_NAME = 0x00101005,
    DICOM_PATIENT_IDENTITY_REMOVED = 0x00120062,
    DICOM_DEIDENTIFICATION_METHOD = 0x00120063,
    DICOM_DEIDENTIFICATION_METHOD_CODES = 0x00120064,
    DICOM_STUDY_UID = 0x0020000D,
    DICOM_SERIES_UID = 0x0020000E,
    DICOM_SERIES_NUMBER = 0x00200011,
    DICOM_NUMBER_OF_FRAMES = 0x00280008,
    DICOM_PLANAR_CONFIGURATION = 0x00280006,
    DICOM_SAMPLES_PER_PIXEL = 0x00280002,
    DICOM_PHOTOMETRIC_INTERPRETATION = 0x00280004,
    DICOM_ROWS = 0x00280010,
    DICOM_COLUMNS = 0x00280011,
    DICOM_BITS_ALLOCATED = 0x00280100,
    DICOM_ULTRASOUND_REGIONS = 0x00186011,
    DICOM_REGION_MIN_X0 = 0x00186018,
    DICOM_REGION_MIN_Y0 = 0x0018601A,
    DICOM_REGION_MAX_X1 = 0x0018601C,
    DICOM_REGION_MAX_Y1 = 0x0018601E,
    DICOM_BURNED_IN_ANNOTATION = 0x00280301,
    DICOM_LONGITUDINAL_TEMPORAL_MODIFIED = 0x00280303,
    DICOM_EXTENDED_OFFSET_TABLE = 0x7FE00001,
    DICOM_EXTENDED_OFFSET_LENGTHS = 0x7FE00002,
    DICOM_FLOAT_PIXEL_DATA = 0x7FE00008,
    DICOM_DOUBLE_PIXEL_DATA = 0x7FE00009,
    DICOM_PIXEL_DATA = 0x7FE00010,
};
#define DICOM_TAG_ITEM          0xFFFEE000u
#define DICOM_TAG_ITEM_END      0xFFFEE00Du
#define DICOM_TAG_SEQUENCE_END  0xFFFEE0DDu
#define DICOM_UNDEFINED_LENGTH  0xFFFFFFFFu

/* Value representations, PS3.5 Table 6.2-1: symbol, long header (16 reserved bits and a 32-bit length), kind. */
#define DICOM_VRS(X) \
    X(AE,0,TEXT) X(AS,0,TEXT) X(AT,0,BINARY) X(CS,0,TEXT) X(DA,0,TEXT) X(DS,0,TEXT) X(DT,0,TEXT) \
    X(FD,0,BINARY) X(FL,0,BINARY) X(IS,0,TEXT) X(LO,0,TEXT) X(LT,0,TEXT) X(OB,1,BINARY) X(OD,1,BINARY) \
    X(OF,1,BINARY) X(OL,1,BINARY) X(OV,1,BINARY) X(OW,1,BINARY) X(PN,0,TEXT) X(SH,0,TEXT) X(SL,0,BINARY) \
    X(SQ,1,SEQUENCE) X(SS,0,BINARY) X(ST,0,TEXT) X(SV,1,BINARY) X(TM,0,TEXT) X(UC,1,TEXT) X(UI,0,TEXT) \
    X(UL,0,BINARY) X(UN,1,BINARY) X(UR,1,TEXT) X(US,0,BINARY) X(UT,1,TEXT) X(UV,1,BINARY)
enum dicom_vr {
    DICOM_VR_NONE = 0,           /* items and delimiters */
#define X(vr, long_header, kind) DICOM_VR_##vr,
    DICOM_VRS(X)
#undef X
    DICOM_VR_COUNT
};
const char *dicom_vr_name(enum dicom_vr vr);                /* "LO"; "--" for NONE */
bool dicom_vr_parse(const char two[2], enum dicom_vr *out);
bool dicom_vr_has_long_header(enum dicom_vr vr);
bool dicom_vr_is_text(enum dicom_vr vr);
/* Text VRs whose bytes follow Specific Character Set (LO LT PN SH ST UC UT), PS3.5 section 6.1.2.3. */
bool dicom_vr_has_charset(enum dicom_vr vr);
/* Several values separated by '\' (not LT ST UT UR). */
bool dicom_vr_is_multi(enum dicom_vr vr);
/* Of one number of a VR that holds numbers of one size (PS3.5 Table 6.2-1); 0: of any other VR. */
unsigned dicom_vr_number_bytes(enum dicom_vr vr);
char dicom_vr_padding(enum dicom_vr vr);                    /* ' ' or '\0' */

struct dicom_dict_entry {
    uint32_t tag, mask;          /* repeating groups (50xx, 60xx): tag & mask */
    enum dicom_vr vr;            /* the first one that the standard lists ("US or SS" -> US) */
    const char *keyword;
};
/* NULL for private and unknown tags; (gggg,0000) is UL. */
const struct dicom_dict_entry *dicom_dict_find(uint32_t tag);
const struct dicom_dict_entry *dicom_dict_find_keyword(const char *keyword);
/* The VR that an element has in implicit syntax: the dictionary's; LO for private creators; UL for group lengths; OW for
 * Pixel Data; else UN. */
enum dicom_vr dicom_dict_vr(uint32_t tag);

#endif
