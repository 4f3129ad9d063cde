/* samples.h - what several tests of the reader begin with. */
#ifndef PIXL_TEST_DICOM_SAMPLES_H
#define PIXL_TEST_DICOM_SAMPLES_H

#include "dicom/file.h"
#include "dicom_build.h"
#include "dicom_check.h"
#include "test.h"

enum { ARENA_MAX = 256 << 20 };

static inline bool parse(const struct dcm *d, struct arena *a, struct dicom_file *f, struct pixl_error *err)
{
    struct dicom_source s = dicom_source_bytes(dcm_bytes_of(d), dcm_size(d));
    return dicom_parse(&s, &DICOM_LIMITS_DEFAULT, a, f, err);
}

/* Elements, sequences of both lengths within each other, private elements, pixels. */
static inline void build_rich(struct dcm *d, bool is_undefined)
{
    dcm_text(d, DICOM_SPECIFIC_CHARACTER_SET, DICOM_VR_CS, "ISO_IR 100");
    dcm_text(d, DICOM_SOP_CLASS_UID, DICOM_VR_UI, DCM_CT_IMAGE_STORAGE);
    dcm_text(d, DICOM_SOP_INSTANCE_UID, DICOM_VR_UI, "1.2.3.4");
    dcm_text(d, DICOM_MODALITY, DICOM_VR_CS, "CT");
    dcm_seq_begin(d, 0x00081140, is_undefined);
    dcm_item_begin(d, is_undefined);
    dcm_text(d, 0x00081150, DICOM_VR_UI, "1.2.3");
    dcm_seq_begin(d, 0x0040A170, !is_undefined);
    dcm_item_begin(d, is_undefined);
    dcm_text(d, 0x00080100, DICOM_VR_SH, "121320");
    dcm_item_end(d);
    dcm_item_begin(d, !is_undefined);
    dcm_item_end(d);
    dcm_seq_end(d);
    dcm_item_end(d);
    dcm_seq_end(d);
    dcm_seq_begin(d, 0x00082112, is_undefined);
    dcm_seq_end(d);
    dcm_text(d, 0x00090010, DICOM_VR_LO, "ACME 1.1");
    dcm_bytes(d, 0x00091001, DICOM_VR_UN, "opaque", 6);
    dcm_text(d, DICOM_PATIENT_NAME, DICOM_VR_PN, "Doe^Jane");
    dcm_u16(d, 0x00280010, 512);
    dcm_pixels_native(d, 64);
}

static inline void begin_big_endian(struct dcm *d)
{
    dcm_begin_syntax(d, DCM_EXPLICIT_BE, DCM_CT_IMAGE_STORAGE, "1.2.3.4");
}
static inline void ok_rich(struct dcm *d)
{
    dcm_begin(d, true);
    build_rich(d, true);
}
static inline void ok_rich_defined(struct dcm *d)
{
    dcm_begin(d, true);
    build_rich(d, false);
}
static inline void ok_rich_implicit(struct dcm *d)
{
    dcm_begin(d, false);
    build_rich(d, true);
}

#endif
