#include "deid/inspect.h"

#include "dicom_build.h"
#include "fault.h"
#include "test.h"

static bool whole(struct str bytes, struct deid_result *res, struct pixl_error *err)
{
    const struct phi_text uids[] = { phi_text(STR("1.2.3.4\\1.2.3.5")) };
    const struct deid_inspection_args args = { .mrn = phi_text(STR("MRN-4711-08")),
                                               .accession_number = phi_text(STR("ACC-0815-22")),
                                               .original_uids = uids,
                                               .n_original_uids = ARRAY_LEN(uids),
                                               .pseudo_study_uid = STR("2.25.6"),
                                               .patient = STR("f00d") };
    PIXL_CLEANUP(deid_inspection_freep) struct deid_inspection *s = NULL;
    const struct dicom_source source = dicom_source_bytes(bytes.p, bytes.n);
    struct dicom_file f;
    struct arena arena;
    arena_init(&arena, 64u << 20);
    bool ok = deid_inspection_new(&args, &s, err) && dicom_parse(&source, &DICOM_LIMITS_DEFAULT, &arena, &f, err) &&
              deid_inspect(s, &f, &arena, res, err);
    arena_done(&arena);
    return ok;
}

static void build(struct dcm *d, const char *comment)
{
    dcm_begin(d, true);
    dcm_text(d, DICOM_SPECIFIC_CHARACTER_SET, DICOM_VR_CS, "ISO_IR 100");
    dcm_text(d, DICOM_SOP_CLASS_UID, DICOM_VR_UI, DCM_CT_IMAGE_STORAGE);
    dcm_text(d, DICOM_SOP_INSTANCE_UID, DICOM_VR_UI, "2.25.8");
    dcm_text(d, DICOM_PATIENT_ID, DICOM_VR_LO, "f00d");
    dcm_text(d, DICOM_STUDY_UID, DICOM_VR_UI, "2.25.6");
    dcm_text(d, DICOM_SERIES_UID, DICOM_VR_UI, "2.25.7");
    dcm_text(d, 0x00204000, DICOM_VR_LT, comment);
    dcm_text(d, 0x00210010, DICOM_VR_LO, "ACME A");
    dcm_bytes(d, 0x00211001, DICOM_VR_UN, "\1private text, f\374r sie\2", 23);
    dcm_pixels_native(d, 64);
}

/* An allocation that fails is told, and never lets anything pass. */
static void test_inspect__each_allocation_fails_once(void)
{
    static const struct {
        const char *comment;
        enum deid_verdict verdict;
    } rows[] = { { "f\374r niemand", DEID_EMIT }, { "f\374r MRN-4711-08", DEID_RESIDUE } };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct dcm d;
        long n;
        build(&d, rows[i].comment);
        for (n = 0; n < 10000; n++) {
            struct deid_result res = { .verdict = DEID_FILTERED };
            struct pixl_error err = { 0 };
            test_row("row %zu, allocation %ld", i, n);
            fault_alloc_after(n);
            bool ok = whole(dcm_str(&d), &res, &err);
            bool reached = fault_alloc_stop();
            if (ok)
                CHECK_INT(res.verdict, rows[i].verdict);
            else
                CHECK(reached && res.verdict == DEID_FILTERED &&
                      (err.code == PIXL_E_NOMEM || err.code == PIXL_E_INTERNAL || err.code == PIXL_E_LIMIT));
            if (!reached)
                break;
        }
        CHECK(n > 10 && n < 10000);
        dcm_done(&d);
    }
}

int main(int argc, char **argv)
{
    static const struct test_case tests[] = { TEST(test_inspect__each_allocation_fails_once) };
    return test_main(argc, argv, tests, ARRAY_LEN(tests));
}
