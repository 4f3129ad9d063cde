/* images.h - one identifiable instance as a hospital's machine would have written it, with identities wherever
 * they are known to hide.
 * Owns: nothing; all lives in the arena given.  Threads: any. */
#ifndef PIXL_DEMO_IMAGES_H
#define PIXL_DEMO_IMAGES_H

#include "base/hash.h"
#include "dataset.h"
#include "people.h"

/* Every UID of this hospital begins so. */
#define IMAGES_UID_ROOT "1.2.826.0.1.3680043.10.9999."
#define IMAGES_AE_TITLE "NORTHMERE_SCP"
#define IMAGES_SERIAL   "SN-7741903-QK"

enum image_kind { IMAGE_CT, IMAGE_XRAY, IMAGE_MR, IMAGE_REPORT };

struct image {
    enum image_kind kind;
    const struct person *person;
    const char *accession_number;
    const char *study_date;    /* yyyymmdd */
    unsigned study;            /* number of the study, from 1: its UID is made of it */
    unsigned series, instance; /* numbers, from 1 */
    unsigned n_instances;      /* of the series */
    unsigned size;             /* of the picture, pixels */
    const char *study_description, *series_description;
    bool is_scout;
    bool is_second_vendor; /* MR: of the other maker */
};

void images_study_uid(unsigned study, char out[DICOM_UID_MAX + 1]);
void images_series_uid(unsigned study, unsigned series, char out[DICOM_UID_MAX + 1]);
void images_sop_uid(unsigned study, unsigned series, unsigned instance, char out[DICOM_UID_MAX + 1]);

/* The whole file as a plan of memory pieces.  pixels: SHA-256 of the pixel data; zeroes for a report. */
PIXL_MUST_CHECK bool images_make(struct arena *a, const struct image *i, struct dicom_plan *out,
                                 uint8_t pixels[HASH_SHA256_BYTES], struct pixl_error *err);

/* What images_make() plants beyond person and hospital. */
void images_add_needles(struct needles *l, const struct image *i);

#endif
