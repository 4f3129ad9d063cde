#include "images_internal.h"

#include <string.h>

#include "phantom.h"

/* Bytes of the private block in which makers keep their whole protocol, the patient's name within. */
enum { PROTOCOL_BYTES = 40 * 1024 };

static void put_plane(struct image_writer *w, const char *spacing, const char *thickness, int z,
                      const char *orientation)
{
    char uid[DICOM_UID_MAX + 1];
    images_series_uid(w->i->study, 900, uid); /* one frame of reference for the whole study */
    dataset_text(w->b, w->d, 0x00200052, uid);
    dataset_text(w->b, w->d, 0x00201040, "");
    dataset_text(w->b, w->d, 0x00280030, spacing);
    dataset_text(w->b, w->d, 0x00180050, thickness);
    dataset_text(w->b, w->d, 0x00200037, orientation);
    dataset_textf(w->b, w->d, 0x00200032, "-175\\-175\\%d", z);
    dataset_textf(w->b, w->d, 0x00201041, "%d", z);
    dataset_text(w->b, w->d, 0x00185100, "HFS");
}

void image_put_ct(struct image_writer *w)
{
    struct dataset *d = w->d;
    put_plane(w, w->i->is_scout ? "2\\2" : "0.68\\0.68", "3", 310 - 3 * (int)w->i->instance, "1\\0\\0\\0\\1\\0");
    dataset_text(w->b, d, 0x00080008, w->i->is_scout ? "ORIGINAL\\PRIMARY\\LOCALIZER" : "ORIGINAL\\PRIMARY\\AXIAL");
    dataset_text(w->b, d, 0x00180015, "CHEST");
    dataset_text(w->b, d, 0x00200012, "1");
    dataset_text(w->b, d, 0x00180060, "120");
    dataset_text(w->b, d, 0x00180088, "3");
    dataset_text(w->b, d, 0x00180090, "350");
    dataset_text(w->b, d, 0x00181100, "350");
    dataset_text(w->b, d, 0x00181120, "0");
    dataset_text(w->b, d, 0x00181130, "145.5");
    dataset_text(w->b, d, 0x00181140, "CW");
    dataset_text(w->b, d, 0x00181150, "500");
    dataset_text(w->b, d, 0x00181151, "210");
    dataset_text(w->b, d, 0x00181152, "105");
    dataset_text(w->b, d, 0x00181160, "BODY FILTER");
    dataset_text(w->b, d, 0x00181210, "B30f");
    dataset_text(w->b, d, 0x00281050, "40");
    dataset_text(w->b, d, 0x00281051, "400");
    dataset_text(w->b, d, 0x00281052, "-1024");
    dataset_text(w->b, d, 0x00281053, "1");
    dataset_text(w->b, d, 0x00281054, "HU");
    dataset_private(w->b, d, 0x00430010, DICOM_VR_LO, "ACME_PRIVATE_01");
    dataset_private(w->b, d, 0x00431001, DICOM_VR_LO, w->i->person->family_in_file);
    dataset_private(w->b, d, 0x00431002, DICOM_VR_SH, w->i->person->mrn);
}

void image_put_xray(struct image_writer *w)
{
    static const uint8_t minus_one[2] = { 0xFF, 0xFF };
    struct dataset *d = w->d, *view;
    dataset_text(w->b, d, 0x00080008, w->i->is_scout ? "DERIVED\\PRIMARY" : "ORIGINAL\\PRIMARY");
    dataset_text(w->b, d, 0x00080068, "FOR PRESENTATION");
    dataset_text(w->b, d, 0x00180015, "CHEST");
    image_put_code(w, dataset_item(w->b, d, 0x00082218), "51185008", "SCT", "Chest");
    view = dataset_item(w->b, d, 0x00540220);
    image_put_code(w, view, "399348003", "SCT", "antero-posterior");
    dataset_empty_sequence(w->b, view, 0x00540222);
    dataset_empty_sequence(w->b, d, 0x00400555);
    dataset_text(w->b, d, 0x00200020, "L\\F");
    dataset_text(w->b, d, 0x00200062, "U");
    dataset_text(w->b, d, 0x00180060, "125");
    dataset_text(w->b, d, 0x00181150, "8");
    dataset_text(w->b, d, 0x00181151, "320");
    dataset_text(w->b, d, 0x00181152, "3");
    dataset_text(w->b, d, 0x0018115E, "1.2");
    dataset_text(w->b, d, 0x00181164, "0.35\\0.35");
    dataset_text(w->b, d, 0x00181508, "COLUMN");
    dataset_text(w->b, d, 0x00185101, "AP");
    dataset_text(w->b, d, 0x00187004, "DIRECT");
    dataset_text(w->b, d, 0x0018700A, IMAGES_SERIAL);
    dataset_text(w->b, d, 0x00280301, "NO");
    dataset_text(w->b, d, 0x00281040, "LOG");
    dataset_bytes(w->b, d, 0x00281041, DICOM_VR_SS, minus_one, sizeof minus_one);
    dataset_text(w->b, d, 0x00281050, "2048");
    dataset_text(w->b, d, 0x00281051, "4096");
    dataset_text(w->b, d, 0x00281052, "0");
    dataset_text(w->b, d, 0x00281053, "1");
    dataset_text(w->b, d, 0x00281054, "US");
    dataset_text(w->b, d, 0x00282110, "00");
    dataset_text(w->b, d, 0x20500020, "IDENTITY");
}

/* 40 kB as Siemens keeps them: a header of its own with texts in between. */
static void put_protocol(struct image_writer *w)
{
    uint64_t state = w->i->study;
    char *p = arena_alloc(w->b->arena, PROTOCOL_BYTES);
    if (p == NULL) {
        w->b->failed = true;
        return;
    }
    for (size_t i = 0; i < PROTOCOL_BYTES; i++)
        p[i] = (char)(phantom_random(&state) & 0x0F);
    static const char magic[8] = { 'S', 'V', '1', '0', 4, 3, 2, 1 };
    memcpy(p, magic, sizeof magic);
    (void)snprintf(p + 4096, 512, "tPatientName = \"%s^%s\"\ntPatientID = \"%s\"\ntPatientBirthday = \"%s\"",
                   w->i->person->family_in_file, w->i->person->given, w->i->person->mrn, w->i->person->birth_date);
    dataset_bytes(w->b, w->d, 0x00291010, DICOM_VR_OB, p, PROTOCOL_BYTES);
    dataset_private(w->b, w->d, 0x00291018, DICOM_VR_CS, "MR");
}

static void put_private_mr(struct image_writer *w)
{
    struct dataset *d = w->d, *item;
    if (!w->i->is_second_vendor) {
        dataset_private(w->b, d, 0x00190010, DICOM_VR_LO, "SIEMENS MR HEADER");
        dataset_private(w->b, d, 0x0019100C, DICOM_VR_IS, "1000");
        dataset_private(w->b, d, 0x00191008, DICOM_VR_CS, "IMAGE NUM 4");
        dataset_private(w->b, d, 0x00290010, DICOM_VR_LO, "SIEMENS CSA HEADER");
        put_protocol(w);
        return;
    }
    static const uint8_t b_factor[4] = { 0, 0, 0x7A, 0x44 }; /* 1000.0 as a little endian float */
    dataset_private(w->b, d, 0x20010010, DICOM_VR_LO, "Philips Imaging DD 001");
    dataset_bytes(w->b, d, 0x20011003, DICOM_VR_FL, b_factor, sizeof b_factor);
    dataset_private(w->b, d, 0x200110C8, DICOM_VR_LO, w->i->person->given);
    dataset_private(w->b, d, 0x20050010, DICOM_VR_LO, "Philips MR Imaging DD 001");
    item = dataset_item(w->b, d, 0x2005140F);
    dataset_textf(w->b, item, DICOM_PATIENT_NAME, "%s^%s", w->i->person->family_in_file, w->i->person->given);
    dataset_private(w->b, item, 0x20050010, DICOM_VR_LO, "Philips MR Imaging DD 001");
    dataset_private(w->b, item, 0x20051002, DICOM_VR_LO, w->i->person->mrn);
}

void image_put_mr(struct image_writer *w)
{
    struct dataset *d = w->d, *source, *reader;
    char uid[DICOM_UID_MAX + 1];
    put_plane(w, "0.9\\0.9", "5", -40 + 5 * (int)w->i->instance, "1\\0\\0\\0\\1\\0");
    dataset_text(w->b, d, 0x00080008, "ORIGINAL\\PRIMARY\\M\\ND");
    dataset_text(w->b, d, 0x00180015, "HEAD");
    dataset_text(w->b, d, 0x00200012, "1");
    dataset_text(w->b, d, 0x00180020, "SE");
    dataset_text(w->b, d, 0x00180021, "SK");
    dataset_text(w->b, d, 0x00180022, "PFP");
    dataset_text(w->b, d, 0x00180023, "2D");
    dataset_text(w->b, d, 0x00180024, "*se2d1");
    dataset_text(w->b, d, 0x00180080, "3500");
    dataset_text(w->b, d, 0x00180081, "92");
    dataset_text(w->b, d, 0x00180083, "1");
    dataset_text(w->b, d, 0x00180087, "3");
    dataset_text(w->b, d, 0x00180088, "5.5");
    dataset_text(w->b, d, 0x00180091, "1");
    dataset_text(w->b, d, 0x00181250, "Head_32");
    dataset_text(w->b, d, 0x00181314, "150");
    dataset_text(w->b, d, 0x00281050, "1024");
    dataset_text(w->b, d, 0x00281051, "2048");
    source = dataset_item(w->b, d, 0x00082112); /* made from the first picture, by somebody who is named */
    images_sop_uid(w->i->study, w->i->series, 1, uid);
    dataset_text(w->b, source, 0x00081150, "1.2.840.10008.5.1.4.1.1.4");
    dataset_text(w->b, source, 0x00081155, uid);
    reader = dataset_item(w->b, source, 0x0040A073);
    dataset_text(w->b, reader, 0x0040A075, STAFF_READING);
    dataset_text(w->b, reader, 0x0040A027, HOSPITAL_NAME);
    put_private_mr(w);
}
