#include "images.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "images_internal.h"
#include "phantom.h"

/* What tells one kind of instance from another. */
static const struct kind {
    const char *modality, *sop_class, *manufacturer, *model, *software, *station;
    const char *second_manufacturer, *second_model;
    bool is_explicit;
    void (*put)(struct image_writer *w);
} kinds[] = {
    [IMAGE_CT] = { "CT", "1.2.840.10008.5.1.4.1.1.2", "ACME Imaging", "Phantomatic 64", "7.3.1", "CTNORTHMERE3", NULL,
                   NULL, true, image_put_ct },
    [IMAGE_XRAY] = { "DX", "1.2.840.10008.5.1.4.1.1.1.1", "ACME Imaging", "Plateau DR", "2.0.14", "DXNORTHMERE1", NULL,
                     NULL, true, image_put_xray },
    [IMAGE_MR] = { "MR", "1.2.840.10008.5.1.4.1.1.4", "SIEMENS", "Prisma_fit", "syngo MR E11", "MRNORTHMERE2",
                   "Philips Medical Systems", "Ingenia", false, image_put_mr },
    [IMAGE_REPORT] = { "SR", "1.2.840.10008.5.1.4.1.1.88.11", "ACME Imaging", "Reporter", "4.1", "RPNORTHMERE9", NULL,
                       NULL, true, image_put_report },
};

void images_study_uid(unsigned study, char out[DICOM_UID_MAX + 1])
{
    (void)snprintf(out, DICOM_UID_MAX + 1, IMAGES_UID_ROOT "2.%u", 700000 + study);
}

void images_series_uid(unsigned study, unsigned series, char out[DICOM_UID_MAX + 1])
{
    (void)snprintf(out, DICOM_UID_MAX + 1, IMAGES_UID_ROOT "3.%u.%u", 700000 + study, series);
}

void images_sop_uid(unsigned study, unsigned series, unsigned instance, char out[DICOM_UID_MAX + 1])
{
    (void)snprintf(out, DICOM_UID_MAX + 1, IMAGES_UID_ROOT "4.%u.%u.%u", 700000 + study, series, instance);
}

void image_put_code(struct image_writer *w, struct dataset *item, const char *value, const char *scheme,
                    const char *meaning)
{
    dataset_text(w->b, item, 0x00080100, value);
    dataset_text(w->b, item, 0x00080102, scheme);
    dataset_text(w->b, item, 0x00080104, meaning);
}

static void put_patient(struct image_writer *w)
{
    const struct person *p = w->i->person;
    struct dataset *d = w->d, *other;
    dataset_text(w->b, d, DICOM_SPECIFIC_CHARACTER_SET, p->charset);
    dataset_textf(w->b, d, DICOM_PATIENT_NAME, "%s^%s^%s", p->family_in_file, p->given, p->middle);
    dataset_text(w->b, d, DICOM_PATIENT_ID, p->mrn);
    dataset_text(w->b, d, 0x00100021, HOSPITAL_TOWN);
    dataset_text(w->b, d, DICOM_PATIENT_BIRTH_DATE, p->birth_date);
    dataset_text(w->b, d, 0x00100032, "041700");
    dataset_text(w->b, d, 0x00100040, p->sex);
    dataset_textf(w->b, d, DICOM_OTHER_PATIENT_IDS, "%s\\%s", p->nhs_number, p->old_mrn);
    dataset_textf(w->b, d, DICOM_OTHER_PATIENT_NAMES, "%s^%s", p->family_in_file, p->middle);
    other = dataset_item(w->b, d, 0x00101002);
    dataset_text(w->b, other, DICOM_PATIENT_ID, p->nhs_number);
    dataset_text(w->b, other, 0x00100021, "NHS");
    dataset_text(w->b, other, 0x00100022, "TEXT");
    other = dataset_item(w->b, d, 0x00101002);
    dataset_text(w->b, other, DICOM_PATIENT_ID, p->old_mrn);
    dataset_text(w->b, other, 0x00100021, HOSPITAL_TOWN);
    dataset_text(w->b, other, 0x00100022, "TEXT");
    dataset_textf(w->b, d, 0x00101010, "%03dY", p->age);
    dataset_text(w->b, d, 0x00101020, "1.68");
    dataset_text(w->b, d, 0x00101030, "71.5");
    dataset_textf(w->b, d, 0x00101040, "%s, " HOSPITAL_TOWN " %s", p->street, p->postcode);
    dataset_text(w->b, d, 0x00102154, p->phone);
    dataset_text(w->b, d, 0x00102180, "Lamplighter");
    dataset_textf(w->b, d, 0x001021B0, "%s %s is known to " STAFF_REFERRING ".", p->given, p->family_in_file);
    const char *born = p->birth_date;
    dataset_textf(w->b, d, 0x00104000, "born %.4s-%.2s-%.2s (%.2s/%.2s/%.4s, %.2s.%.2s.%.4s); ring %s on %s.", born,
                  born + 4, born + 6, born + 6, born + 4, born, born + 6, born + 4, born, p->given, p->phone);
    dataset_text(w->b, d, 0x00101060, p->mother);
}

static void put_study(struct image_writer *w)
{
    const struct image *i = w->i;
    struct dataset *d = w->d, *referrer;
    char uid[DICOM_UID_MAX + 1];
    images_study_uid(i->study, uid);
    dataset_text(w->b, d, DICOM_STUDY_UID, uid);
    dataset_text(w->b, d, DICOM_STUDY_DATE, i->study_date);
    dataset_text(w->b, d, 0x00080030, "101530");
    dataset_text(w->b, d, DICOM_ACCESSION_NUMBER, i->accession_number);
    dataset_text(w->b, d, 0x00080090, STAFF_REFERRING);
    referrer = dataset_item(w->b, d, 0x00080096);
    dataset_text(w->b, referrer, 0x00080080, HOSPITAL_NAME);
    dataset_text(w->b, referrer, 0x00401102, HOSPITAL_ADDRESS);
    dataset_text(w->b, referrer, 0x00401103, STAFF_PHONE);
    image_put_code(w, dataset_item(w->b, referrer, 0x00401101), "AD0017", "99NORTHMERE", STAFF_REFERRING);
    dataset_textf(w->b, d, 0x00200010, "RID%05u", 40000 + i->study);
    dataset_text(w->b, d, 0x00081030, i->study_description);
    dataset_text(w->b, d, 0x00081048, STAFF_PERFORMING);
    dataset_text(w->b, d, 0x00081060, STAFF_READING);
    dataset_text(w->b, d, 0x00321032, STAFF_REFERRING);
    dataset_text(w->b, d, 0x00321033, "Outpatients, " HOSPITAL_NAME);
    dataset_textf(w->b, d, 0x00324000, "Report to %s at home, %s", i->person->given, i->person->street);
    dataset_textf(w->b, d, 0x00380010, "ADM%06u", 880000 + i->study);
    dataset_text(w->b, d, 0x00380300, "Candlewick Passage ward, bed 4");
}

static void put_series(struct image_writer *w)
{
    const struct image *i = w->i;
    struct dataset *d = w->d, *request;
    char uid[DICOM_UID_MAX + 1];
    images_series_uid(i->study, i->series, uid);
    dataset_text(w->b, d, DICOM_MODALITY, kinds[i->kind].modality);
    dataset_text(w->b, d, DICOM_SERIES_UID, uid);
    dataset_textf(w->b, d, DICOM_SERIES_NUMBER, "%u", i->series);
    dataset_text(w->b, d, DICOM_SERIES_DESCRIPTION, i->series_description);
    dataset_text(w->b, d, 0x00080021, i->study_date);
    dataset_text(w->b, d, 0x00080031, "101600");
    dataset_text(w->b, d, 0x00081050, STAFF_PERFORMING);
    dataset_text(w->b, d, 0x00081070, STAFF_OPERATOR);
    dataset_textf(w->b, d, 0x00181030, "%s for %s", i->series_description, i->person->family_in_file);
    dataset_textf(w->b, d, 0x00400253, "PPS%06u", 510000 + i->study);
    dataset_text(w->b, d, 0x00400244, i->study_date);
    dataset_text(w->b, d, 0x00400245, "101530");
    dataset_textf(w->b, d, 0x00400254, "%s, %s %s", i->study_description, i->person->given, i->person->family_in_file);
    request = dataset_item(w->b, d, 0x00400275);
    dataset_textf(w->b, request, 0x00321060, "?fracture, %s %s fell on the stairs", i->person->given,
                  i->person->family_in_file);
    dataset_textf(w->b, request, 0x00400007, "%s seen by Dr Drummelzier", i->person->family_in_file);
    dataset_textf(w->b, request, 0x00400009, "SPS%06u", 610000 + i->study);
    dataset_textf(w->b, request, 0x00401001, "RP%06u", 710000 + i->study);
    image_put_code(w, dataset_item(w->b, request, 0x00400008), "CHEST1", "99NORTHMERE",
                   "Examination at " HOSPITAL_SHORT);
}

static void put_equipment(struct image_writer *w)
{
    const struct kind *k = &kinds[w->i->kind];
    bool second = w->i->is_second_vendor && k->second_manufacturer != NULL;
    dataset_text(w->b, w->d, DICOM_MANUFACTURER, second ? k->second_manufacturer : k->manufacturer);
    dataset_text(w->b, w->d, 0x00081090, second ? k->second_model : k->model);
    dataset_text(w->b, w->d, 0x00080080, HOSPITAL_NAME);
    dataset_text(w->b, w->d, 0x00080081, HOSPITAL_ADDRESS);
    dataset_text(w->b, w->d, 0x00081010, k->station);
    dataset_text(w->b, w->d, 0x00081040, "Radiology, " HOSPITAL_TOWN);
    dataset_text(w->b, w->d, 0x00181000, IMAGES_SERIAL);
    dataset_text(w->b, w->d, 0x00181020, k->software);
}

/* General image and image pixel modules; whoever calls adds what its kind wants. */
static void put_picture(struct image_writer *w)
{
    const struct image *i = w->i;
    struct dataset *d = w->d, *ref;
    char uid[DICOM_UID_MAX + 1];
    dataset_text(w->b, d, 0x00080022, i->study_date);
    dataset_text(w->b, d, 0x00080032, "101602");
    dataset_text(w->b, d, 0x00080023, i->study_date);
    dataset_text(w->b, d, 0x00080033, "101603");
    dataset_textf(w->b, d, 0x00204000, "checked with %s %s", i->person->given, i->person->family_in_file);
    if (i->n_instances > 1) { /* each picture refers to the first of its series */
        ref = dataset_item(w->b, d, 0x00081140);
        images_sop_uid(i->study, i->series, 1, uid);
        dataset_text(w->b, ref, 0x00081150, kinds[i->kind].sop_class);
        dataset_text(w->b, ref, 0x00081155, uid);
        dataset_text(w->b, ref, 0x00081050, STAFF_PERFORMING);
    }
    ref = dataset_item(w->b, d, 0x00081110);
    images_study_uid(i->study, uid);
    dataset_text(w->b, ref, 0x00081150, "1.2.840.10008.3.1.2.3.1");
    dataset_text(w->b, ref, 0x00081155, uid);
    dataset_u16(w->b, d, 0x00280002, 1);
    dataset_text(w->b, d, 0x00280004, "MONOCHROME2");
    dataset_u16(w->b, d, 0x00280010, (uint16_t)i->size);
    dataset_u16(w->b, d, 0x00280011, (uint16_t)i->size);
    dataset_u16(w->b, d, 0x00280100, 16);
    dataset_u16(w->b, d, 0x00280101, 12);
    dataset_u16(w->b, d, 0x00280102, 11);
    dataset_u16(w->b, d, 0x00280103, 0);
}

static bool put_pixels(struct image_writer *w, uint8_t digest[HASH_SHA256_BYTES], struct pixl_error *err)
{
    const struct image *i = w->i;
    size_t n = (size_t)i->size * i->size * 2;
    uint64_t seed = (uint64_t)i->study << 32 | i->series << 16 | i->instance;
    hash_sha256_auto *hash = NULL;
    assert(i->kind != IMAGE_REPORT);
    uint8_t *pixels = arena_alloc(w->b->arena, n);
    if (pixels == NULL)
        return pixl_fail(err, PIXL_E_NOMEM, 0, "a made-up picture");
    switch (i->kind) {
    case IMAGE_CT: phantom_chest_ct(pixels, i->size, i->instance - 1, i->n_instances, seed); break;
    case IMAGE_XRAY: phantom_chest_xray(pixels, i->size, seed); break;
    case IMAGE_MR: phantom_head_mr(pixels, i->size, i->instance - 1, i->n_instances, seed); break;
    case IMAGE_REPORT: break;
    }
    dataset_bytes(w->b, w->d, DICOM_PIXEL_DATA, DICOM_VR_OW, pixels, n);
    return hash_sha256_new(&hash, err) && hash_sha256_add(hash, pixels, n, err) && hash_sha256_end(hash, digest, err);
}

bool images_make(struct arena *a, const struct image *i, struct dicom_plan *out, uint8_t pixels[HASH_SHA256_BYTES],
                 struct pixl_error *err)
{
    const struct kind *k = &kinds[i->kind];
    struct dataset_builder b = { .arena = a };
    struct image_writer w = { &b, dataset_new(&b), i };
    uint8_t digest[HASH_SHA256_BYTES] = { 0 };
    char sop[DICOM_UID_MAX + 1], preamble[129];
    if (w.d == NULL)
        return pixl_fail(err, PIXL_E_NOMEM, 0, "a made-up image");
    images_sop_uid(i->study, i->series, i->instance, sop);
    dataset_text(&b, w.d, DICOM_SOP_CLASS_UID, k->sop_class);
    dataset_text(&b, w.d, DICOM_SOP_INSTANCE_UID, sop);
    dataset_textf(&b, w.d, 0x00200013, "%u", i->instance);
    put_patient(&w);
    put_study(&w);
    put_series(&w);
    put_equipment(&w);
    if (i->kind != IMAGE_REPORT)
        put_picture(&w);
    k->put(&w);
    if (i->kind != IMAGE_REPORT && !put_pixels(&w, digest, err))
        return false;
    (void)snprintf(preamble, sizeof preamble, "acquired for %s %s at " HOSPITAL_SHORT, i->person->mrn,
                   i->person->family_in_file);
    const struct dataset_file file = {
        .preamble = preamble,
        .source_ae_title = IMAGES_AE_TITLE,
        .sop_class_uid = k->sop_class,
        .sop_instance_uid = sop,
        .is_explicit = k->is_explicit,
        .undefined = !k->is_explicit || i->kind == IMAGE_REPORT,
    };
    if (!dataset_write(&b, w.d, &file, out, err))
        return false;
    memcpy(pixels, digest, sizeof digest);
    return true;
}

void images_add_needles(struct needles *l, const struct image *i)
{
    static const char *const fixed[] = { IMAGES_UID_ROOT, IMAGES_AE_TITLE, IMAGES_SERIAL };
    static const struct {
        const char *prefix;
        unsigned from;
    } numbers[] = {
        { "RID", 40000 }, { "ADM", 880000 }, { "PPS", 510000 }, { "SPS", 610000 }, { "RP", 710000 },
    };
    for (size_t k = 0; k < ARRAY_LEN(fixed); k++)
        needles_add(l, fixed[k]);
    needles_add(l, i->accession_number);
    for (size_t k = 0; k < ARRAY_LEN(numbers); k++) {
        char text[32];
        (void)snprintf(text, sizeof text, "%s%0*u", numbers[k].prefix, numbers[k].from < 100000 ? 5 : 6,
                       numbers[k].from + i->study);
        needles_add(l, arena_cstr(l->arena, text));
    }
}
