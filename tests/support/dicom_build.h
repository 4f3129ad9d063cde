/* dicom_build.h - writes DICOM instances for tests, element by element, well-formed or not.
 *
 *   struct dcm d;
 *   dcm_begin(&d, true);                                   // explicit little endian; false: implicit
 *   dcm_text(&d, DICOM_MODALITY, DICOM_VR_CS, "CT");
 *   dcm_seq_begin(&d, 0x00081140, true);                   // true: undefined length, closed by a delimiter
 *   dcm_item_begin(&d, false);
 *   dcm_text(&d, 0x00081150, DICOM_VR_UI, "1.2.3");
 *   dcm_item_end(&d);
 *   dcm_seq_end(&d);
 *   dcm_pixels_native(&d, 512);
 *   struct dicom_source s = dicom_source_bytes(dcm_bytes_of(&d), dcm_size(&d));   // or dcm_save(&d, path)
 *   dcm_done(&d);
 *
 * Nothing is sorted or checked: tags are written in the order given, so that a test can write what is wrong.
 * Values are padded to even length as their VR wants.  Running out of memory ends the program.
 * It knows nothing of the code under test but the tables of tag.h.
 * Owns: its bytes.  Threads: one builder belongs to one thread. */
#ifndef PIXL_TEST_DICOM_BUILD_H
#define PIXL_TEST_DICOM_BUILD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/str.h"
#include "dicom/tag.h"

enum { DCM_DEPTH_MAX = 20000 };

#define DCM_IMPLICIT_LE      "1.2.840.10008.1.2"
#define DCM_EXPLICIT_LE      "1.2.840.10008.1.2.1"
#define DCM_EXPLICIT_BE      "1.2.840.10008.1.2.2"
#define DCM_DEFLATED_LE      "1.2.840.10008.1.2.1.99"
#define DCM_JPEG_BASELINE    "1.2.840.10008.1.2.4.50"
#define DCM_CT_IMAGE_STORAGE "1.2.840.10008.5.1.4.1.1.2"

struct dcm {
    struct buf buf;
    bool is_explicit, is_big_endian;
    bool was_explicit_, was_big_endian_; /* around a sequence of UN */
    size_t data_at_;                     /* where the data set begins */
    unsigned depth;              /* open sequences and items */
    size_t *length_at_;          /* of each: where its length stands; 0: undefined */
};

/* Preamble, "DICM" and file meta (CT Image Storage, instance "1.2.3.4"), then ready for elements. */
void dcm_begin(struct dcm *d, bool is_explicit);
/* The same with any transfer syntax; it decides the coding (big endian: 1.2.840.10008.1.2.2 only). */
void dcm_begin_syntax(struct dcm *d, const char *transfer_syntax, const char *sop_class_uid,
                      const char *sop_instance_uid);
/* Neither preamble nor meta. */
void dcm_begin_bare(struct dcm *d, bool is_explicit);
void dcm_begin_bare_big_endian(struct dcm *d);
void dcm_done(struct dcm *d);

void dcm_text(struct dcm *d, uint32_t tag, enum dicom_vr vr, const char *text);
void dcm_bytes(struct dcm *d, uint32_t tag, enum dicom_vr vr, const void *p, size_t n);
void dcm_u16(struct dcm *d, uint32_t tag, uint16_t v);                  /* US */
void dcm_u32(struct dcm *d, uint32_t tag, uint32_t v);                  /* UL */
void dcm_fill(struct dcm *d, uint32_t tag, enum dicom_vr vr, size_t n); /* n bytes of a fixed pattern */

void dcm_seq_begin(struct dcm *d, uint32_t tag, bool is_undefined);
void dcm_seq_end(struct dcm *d);
/* A sequence written as UN, or another VR that hides it: what is inside is implicit little endian whatever is around it,
 * which dcm_un_end() goes back to. */
void dcm_un_begin(struct dcm *d, uint32_t tag, enum dicom_vr vr, bool is_undefined);
void dcm_un_end(struct dcm *d);
void dcm_item_begin(struct dcm *d, bool is_undefined);
void dcm_item_end(struct dcm *d);

void dcm_pixels_native(struct dcm *d, size_t n);                        /* OW, a fixed pattern */
/* An empty offset table and n_fragments fragments of fragment_bytes (made even), then the delimiter. */
void dcm_pixels_encapsulated(struct dcm *d, size_t n_fragments, size_t fragment_bytes);

/* Below the elements: a header with any length, raw bytes, an item or delimiter with any length. */
void dcm_header(struct dcm *d, uint32_t tag, enum dicom_vr vr, uint32_t length);
void dcm_raw(struct dcm *d, const void *p, size_t n);
void dcm_mark(struct dcm *d, uint32_t tag, uint32_t length);

/* Deflates all that follows the file meta (raw, padded to even length); nothing may be added but dcm_raw(). */
void dcm_deflate(struct dcm *d);

/* The bytes so far; borrowed until the next change.  Every open sequence must be closed. */
struct str dcm_str(const struct dcm *d);
const void *dcm_bytes_of(const struct dcm *d);
size_t dcm_size(const struct dcm *d);
/* Writes them to a file (0600), replacing it. */
void dcm_save(const struct dcm *d, const char *path);

#endif
