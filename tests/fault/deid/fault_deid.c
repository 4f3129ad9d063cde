#include "deid/deid.h"

#include <string.h>

#include "deid/report.h"
#include "deid_rig.h"
#include "fault.h"

static const struct project_tag_rule rules[] = {
    RULE(0x0008, 0x0005, KEEP),
    RULE(0x0008, 0x0016, KEEP),
    RULE(0x0008, 0x0018, REPLACE_UID),
    RULE(0x0008, 0x0060, KEEP),
    RULE(0x0008, 0x1140, KEEP),
    RULE(0x0008, 0x1155, REPLACE_UID),
    RULE(0x0010, 0x0010, REPLACE),
    RULE(0x0010, 0x0020, SECURE_HASH),
    RULE(0x0018, 0x1030, KEEP),
    RULE(0x0020, 0x000D, REPLACE_UID),
    RULE(0x0020, 0x000E, REPLACE_UID),
    RULE(0x0020, 0x4000, KEEP),
    RULE_OF("ACME A", 0x0021, 0x01, KEEP),
    RULE(0x7FE0, 0x0010, KEEP),
};
static const struct project_tag_rule more[] = { RULE(0x0018, 0x1020, KEEP) };

static void instance(struct dcm *d)
{
    dcm_begin(d, true);
    dcm_text(d, DICOM_SPECIFIC_CHARACTER_SET, DICOM_VR_CS, "ISO_IR 100");
    dcm_text(d, DICOM_SOP_CLASS_UID, DICOM_VR_UI, DCM_CT_IMAGE_STORAGE);
    dcm_text(d, DICOM_SOP_INSTANCE_UID, DICOM_VR_UI, RIG_SOP);
    dcm_text(d, DICOM_MODALITY, DICOM_VR_CS, "CT");
    dcm_text(d, DICOM_MANUFACTURER, DICOM_VR_LO, "ACME");
    dcm_seq_begin(d, 0x00081140, true);
    dcm_item_begin(d, false);
    dcm_text(d, 0x00081155, DICOM_VR_UI, "1.2.3\\1.2.4");
    dcm_item_end(d);
    dcm_seq_end(d);
    rig_patient(d);
    dcm_text(d, 0x00181020, DICOM_VR_LO, "v\3441");
    dcm_seq_begin(d, DICOM_ULTRASOUND_REGIONS, true);
    dcm_item_begin(d, false);
    dcm_u32(d, DICOM_REGION_MIN_X0, 2);
    dcm_u32(d, DICOM_REGION_MIN_Y0, 2);
    dcm_u32(d, DICOM_REGION_MAX_X1, 5);
    dcm_u32(d, DICOM_REGION_MAX_Y1, 5);
    dcm_item_end(d);
    dcm_seq_end(d);
    rig_uids(d);
    dcm_text(d, 0x00204000, DICOM_VR_LT, "what is kept, and f\374r whom");
    dcm_text(d, 0x00210010, DICOM_VR_LO, "ACME A");
    dcm_bytes(d, 0x00211001, DICOM_VR_UN, "\1private text, f\374r sie\2", 23);
    dcm_u16(d, DICOM_SAMPLES_PER_PIXEL, 1);
    dcm_text(d, DICOM_PHOTOMETRIC_INTERPRETATION, DICOM_VR_CS, "MONOCHROME2");
    dcm_u16(d, DICOM_ROWS, 8);
    dcm_u16(d, DICOM_COLUMNS, 8);
    dcm_u16(d, DICOM_BITS_ALLOCATED, 8);
    dcm_pixels_native(d, 64);
}

/* From the policy to the plan, all in one: what an outer caller does for the first instance of a study. */
static bool whole(const struct project *p, const struct pseudonyms *names, struct str bytes, struct deid_result *res,
                  struct pixl_error *err)
{
    PIXL_CLEANUP(deid_policy_freep) struct deid_policy *policy = NULL;
    PIXL_CLEANUP(deid_study_freep) struct deid_study *study = NULL;
    PIXL_CLEANUP(report_freep) struct report *report = NULL;
    if (!deid_policy_new(p, &policy, err) || !report_new(&report, err))
        return false;
    const struct deid_study_args args = { .policy = policy,
                                          .pseudonyms = names,
                                          .mrn = phi_text(STR(RIG_MRN)),
                                          .study_uid = phi_text(STR(RIG_STUDY)),
                                          .report = report };
    if (!deid_study_new(&args, &study, err) || !deid_study_expect_series(study, phi_text(STR(RIG_SERIES)), 2, err))
        return false;
    const struct dicom_source source = dicom_source_bytes(bytes.p, bytes.n);
    struct arena arena;
    arena_init(&arena, 64u << 20);
    struct dicom_file f;
    bool ok =
        dicom_parse(&source, &DICOM_LIMITS_DEFAULT, &arena, &f, err) && deid_instance(study, &f, &arena, res, err);
    if (ok)
        report_written(report);
    report_end_study(report, ok);
    CHECK_INT(report_instances(report), ok);
    arena_done(&arena);
    return ok;
}

static void sweep(size_t n_recipes)
{
    static const char *const recipes[] = { "us.yaml" };
    rig_auto r;
    rig_init(&r, rules, ARRAY_LEN(rules));
    struct project_override o = { .manufacturer = r.everybody.pattern, .rules = more, .n_rules = ARRAY_LEN(more) };
    r.project.overrides = &o;
    r.project.n_overrides = 1;
    r.project.deid_recipes = recipes;
    r.project.n_deid_recipes = n_recipes;
    struct dcm d;
    instance(&d);
    long n = 0;
    for (;; n++) {
        struct pixl_error err = { 0 };
        struct deid_result res, untouched;
        memset(&res, 0x5A, sizeof res);
        memset(&untouched, 0x5A, sizeof untouched);
        fault_alloc_after(n);
        bool ok = whole(&r.project, r.pseudonyms, dcm_str(&d), &res, &err);
        bool reached = fault_alloc_stop();
        if (!reached) {
            CHECK(ok && res.verdict == DEID_EMIT);
            break;
        }
        test_row("allocation %ld", n);
        if (!ok) {
            CHECK(err.code == PIXL_E_NOMEM || err.code == PIXL_E_INTERNAL || err.code == PIXL_E_LIMIT);
            CHECK(memcmp(&res, &untouched, sizeof res) == 0);
        } else {
            CHECK_INT(res.verdict, DEID_EMIT);
        }
    }
    CHECK(n > 12);
    dcm_done(&d);
}

static void test_fault__every_allocation_may_fail(void)
{
    sweep(0);
}

static void test_fault__every_allocation_may_fail_where_pixels_are_cleaned(void)
{
    sweep(1);
}

int main(int argc, char **argv)
{
    static const struct test_case tests[] = {
        TEST(test_fault__every_allocation_may_fail),
        TEST(test_fault__every_allocation_may_fail_where_pixels_are_cleaned),
    };
    return test_main(argc, argv, tests, ARRAY_LEN(tests));
}
