/* Values that are almost what their VR says: a range for a date, dashes in a number, a date for a UID.  Kept, in
 * instances of somebody with accession number 11223344, born on the 31st of January 1970.  And what UIDs are searched
 * for. */
#include "deid/deid.h"

#include "deid_rig.h"

static const struct project_tag_rule rules[] = {
    RULE(0x0008, 0x0016, KEEP),        RULE(0x0008, 0x0018, REPLACE_UID), RULE(0x0008, 0x0012, KEEP),
    RULE(0x0008, 0x0022, KEEP),        RULE(0x0008, 0x0032, KEEP),        RULE(0x0008, 0x0060, KEEP),
    RULE(0x0008, 0x010C, KEEP),        RULE(0x0010, 0x0010, REPLACE),     RULE(0x0010, 0x0020, SECURE_HASH),
    RULE(0x0018, 0x0050, KEEP),        RULE(0x0018, 0x9074, KEEP),        RULE(0x0020, 0x000D, REPLACE_UID),
    RULE(0x0020, 0x000E, REPLACE_UID), RULE(0x0020, 0x0013, KEEP),
};

enum {
    MADE = 0x00080012,
    DAY = 0x00080022,
    TIME = 0x00080032,
    SCHEME = 0x0008010C,
    MOMENT = 0x00189074,
    LENGTH = 0x00180050,
    NUMBER = 0x00200013
};

static const struct {
    uint32_t tag;
    enum dicom_vr vr;
    const char *value;
    enum deid_verdict v;
} values[] = {
    { DAY, DICOM_VR_DA, "20200102", DEID_EMIT },
    { DAY, DICOM_VR_DA, "2020.01.02", DEID_EMIT },
    { DAY, DICOM_VR_DA, "19700131", DEID_EMIT }, /* an examination on the day of birth */
    { DAY, DICOM_VR_DA, "20200102-20200103", DEID_EMIT },
    { DAY, DICOM_VR_DA, "20200102-19700131", DEID_RESIDUE },
    { DAY, DICOM_VR_DA, "20200102-11223344", DEID_RESIDUE },
    { MADE, DICOM_VR_DA, "20200102-19700131", DEID_RESIDUE },
    { MADE, DICOM_VR_DA, "20200102-1970.01.31", DEID_RESIDUE },
    { TIME, DICOM_VR_TM, "112233", DEID_EMIT },
    { TIME, DICOM_VR_TM, "11:22:33", DEID_EMIT },
    { TIME, DICOM_VR_TM, "112233.44", DEID_EMIT },
    { TIME, DICOM_VR_TM, "112233.440000", DEID_EMIT },
    { TIME, DICOM_VR_TM, "11223344", DEID_RESIDUE },
    { TIME, DICOM_VR_TM, "120000.11223344", DEID_RESIDUE },
    { TIME, DICOM_VR_TM, "120000.19700131", DEID_RESIDUE },
    { TIME, DICOM_VR_TM, "12-19700131", DEID_RESIDUE },
    { MOMENT, DICOM_VR_DT, "20200102", DEID_EMIT },
    { MOMENT, DICOM_VR_DT, "20200102120000.000000+0100", DEID_EMIT },
    { MOMENT, DICOM_VR_DT, "202001021122-0500", DEID_EMIT },
    { MOMENT, DICOM_VR_DT, "19700131120000", DEID_RESIDUE },
    { MOMENT, DICOM_VR_DT, "20200102120000-19700131120000", DEID_RESIDUE },
    { MOMENT, DICOM_VR_DT, "20200102120000.19700131", DEID_RESIDUE },
    { MOMENT, DICOM_VR_DT, "2020-11223344", DEID_RESIDUE },
    { LENGTH, DICOM_VR_DS, "1.12233440e-1", DEID_EMIT },
    { LENGTH, DICOM_VR_DS, "-0.11223344\\+1.E+5", DEID_EMIT },
    { LENGTH, DICOM_VR_DS, "31.01.1970", DEID_RESIDUE },
    { LENGTH, DICOM_VR_DS, "11-223344", DEID_RESIDUE },
    { LENGTH, DICOM_VR_DS, "11 223 344", DEID_RESIDUE },
    { LENGTH, DICOM_VR_DS, "1\\E11223344", DEID_RESIDUE },
    { NUMBER, DICOM_VR_IS, "7", DEID_EMIT },
    { NUMBER, DICOM_VR_IS, "1970-01-31", DEID_RESIDUE },
    { NUMBER, DICOM_VR_IS, RIG_SOP, DEID_RESIDUE },
    { SCHEME, DICOM_VR_UI, "1.2.3.4.20200102.5", DEID_EMIT },
    { SCHEME, DICOM_VR_UI, "1.2.3.4.19700131.5", DEID_RESIDUE },
    { SCHEME, DICOM_VR_UI, "1.2.3.4.19700131120000.5", DEID_RESIDUE },
    { SCHEME, DICOM_VR_UI, "1970.01.31", DEID_RESIDUE },
    { SCHEME, DICOM_VR_UI, "31.1.1970", DEID_RESIDUE },
    { SCHEME, DICOM_VR_UI, "112.233.44", DEID_RESIDUE },
};

static void test_values__that_are_no_dates_numbers_or_uids_are_searched_as_text(void)
{
    for (size_t i = 0; i < ARRAY_LEN(values); i++) {
        test_row("%s %s", dicom_vr_name(values[i].vr), values[i].value);
        rig_auto r;
        struct dcm d;
        rig_init(&r, rules, ARRAY_LEN(rules));
        r.args.accession_number = phi_text(STR("11223344"));
        rig_start(&r);
        rig_begin_syntax(&d, DCM_EXPLICIT_LE);
        if (DICOM_GROUP(values[i].tag) == 0x0008)
            dcm_text(&d, values[i].tag, values[i].vr, values[i].value);
        rig_patient(&d);
        if (DICOM_GROUP(values[i].tag) == 0x0018)
            dcm_text(&d, values[i].tag, values[i].vr, values[i].value);
        rig_uids(&d);
        if (DICOM_GROUP(values[i].tag) == 0x0020)
            dcm_text(&d, values[i].tag, values[i].vr, values[i].value);
        CHECK_INT(rig_run(&r, dcm_str(&d)), values[i].v);
        dcm_done(&d);
    }
}

/* Other objects of the patient are known by UIDs that stand in what is dropped; makers write them into texts. */
static void test_values__uids_of_what_is_dropped_are_searched_for(void)
{
    static const struct project_tag_rule described[] = {
        RULE(0x0008, 0x0016, KEEP),        RULE(0x0008, 0x0018, REPLACE_UID), RULE(0x0008, 0x0060, KEEP),
        RULE(0x0008, 0x103E, KEEP),        RULE(0x0010, 0x0010, REPLACE),     RULE(0x0010, 0x0020, SECURE_HASH),
        RULE(0x0020, 0x000D, REPLACE_UID), RULE(0x0020, 0x000E, REPLACE_UID),
    };
    static const struct {
        uint32_t sequence, tag;
        const char *uid, *text;
        enum deid_verdict v;
    } rows[] = {
        { 0, 0x00200052, "1.2.826.0.1.77.5", "frame 1.2.826.0.1.77.5", DEID_RESIDUE },
        { 0, 0x00200052, "1.2.826.0.1.77.5", "frame 1.2.826.0.1.77.6", DEID_EMIT },
        { 0, 0x00200052, "1.2.840.10008.1.4.1.1", "frame 1.2.840.10008.1.4.1.1", DEID_EMIT },
        { 0x00081110, 0x00081155, "1.2.826.0.1.77.5", "of 1.2.826.0.1.77.5.", DEID_RESIDUE },
        { 0x00081110, 0x00081155, "1.2.826.0.1.77.5", "of 1.2.826.0.1.77", DEID_EMIT },
        { 0x00081110, 0x0020000D, "1.2.826.0.1.77.5", "study 1.2.826.0.1.77.5", DEID_RESIDUE },
        { 0x00081110, 0x00081150, "1.2.826.0.1.77.5", "class 1.2.826.0.1.77.5", DEID_EMIT },
    };
    for (size_t i = 0; i < 2 * ARRAY_LEN(rows); i++) {
        const size_t k = i / 2;
        rig_auto r;
        struct dcm d;
        test_row("%s%s", rows[k].text, i % 2 ? ", implicit" : "");
        rig_init(&r, described, ARRAY_LEN(described));
        rig_start(&r);
        rig_begin(&d, i % 2 == 0);
        dcm_text(&d, DICOM_SERIES_DESCRIPTION, DICOM_VR_LO, rows[k].text);
        if (rows[k].sequence != 0) {
            dcm_seq_begin(&d, rows[k].sequence, true);
            dcm_item_begin(&d, true);
            dcm_text(&d, rows[k].tag, DICOM_VR_UI, rows[k].uid);
            dcm_item_end(&d);
            dcm_seq_end(&d);
        }
        rig_patient(&d);
        rig_uids(&d);
        if (rows[k].sequence == 0)
            dcm_text(&d, rows[k].tag, DICOM_VR_UI, rows[k].uid);
        CHECK_INT(rig_run(&r, dcm_str(&d)), rows[k].v);
        dcm_done(&d);
    }
}

/* Text of two bytes a character where there should be none. */
static void test_values__wide_texts_are_read(void)
{
    static const struct project_tag_rule described[] = {
        RULE(0x0008, 0x0016, KEEP),        RULE(0x0008, 0x0018, REPLACE_UID), RULE(0x0008, 0x0060, KEEP),
        RULE(0x0008, 0x103E, KEEP),        RULE(0x0010, 0x0020, SECURE_HASH), RULE(0x0020, 0x000D, REPLACE_UID),
        RULE(0x0020, 0x000E, REPLACE_UID),
    };
    static const struct {
        const char *text;
        enum deid_verdict v;
    } rows[] = {
        { "Zimmermann", DEID_RESIDUE },
        { "11223344", DEID_RESIDUE },
        { "at 11223344", DEID_RESIDUE },
        { "abdomen 11", DEID_EMIT },
    };
    for (size_t i = 0; i < 2 * ARRAY_LEN(rows); i++) {
        const char *const text = rows[i / 2].text;
        rig_auto r;
        struct dcm d;
        char wide[64] = "";
        test_row("%s, %s endian", text, i % 2 ? "big" : "little");
        for (size_t k = 0; text[k] != '\0'; k++)
            wide[2 * k + i % 2] = text[k];
        rig_init(&r, described, ARRAY_LEN(described));
        r.args.accession_number = phi_text(STR("11223344"));
        rig_start(&r);
        rig_begin(&d, true);
        dcm_bytes(&d, DICOM_SERIES_DESCRIPTION, DICOM_VR_LO, wide, 2 * strlen(text));
        rig_patient(&d);
        rig_uids(&d);
        CHECK_INT(rig_run(&r, dcm_str(&d)), rows[i / 2].v);
        dcm_done(&d);
    }
}

/* A rule that keeps such a UID is obeyed, and the UID looked for elsewhere. */
static void test_values__a_uid_that_is_kept_is_exempt_where_it_is_kept(void)
{
    static const struct project_tag_rule kept[] = {
        RULE(0x0008, 0x0016, KEEP),        RULE(0x0008, 0x0018, REPLACE_UID), RULE(0x0008, 0x0060, KEEP),
        RULE(0x0008, 0x103E, KEEP),        RULE(0x0010, 0x0020, SECURE_HASH), RULE(0x0020, 0x000D, REPLACE_UID),
        RULE(0x0020, 0x000E, REPLACE_UID), RULE(0x0020, 0x0052, KEEP),        RULE(0x0020, 0x0242, KEEP),
    };
    for (int i = 0; i < 2; i++) {
        rig_auto r;
        struct dcm d;
        rig_init(&r, kept, ARRAY_LEN(kept));
        rig_start(&r);
        rig_begin(&d, true);
        dcm_text(&d, DICOM_SERIES_DESCRIPTION, DICOM_VR_LO, i == 0 ? "thorax" : "1.2.826.0.1.77.5");
        rig_patient(&d);
        rig_uids(&d);
        dcm_text(&d, 0x00200052, DICOM_VR_UI, "1.2.826.0.1.77.5");
        dcm_text(&d, 0x00200242, DICOM_VR_UI, "1.2.826.0.1.77.6");
        CHECK_INT(rig_run(&r, dcm_str(&d)), i == 0 ? DEID_EMIT : DEID_RESIDUE);
        dcm_done(&d);
    }
}

int main(int argc, char **argv)
{
    static const struct test_case tests[] = {
        TEST(test_values__that_are_no_dates_numbers_or_uids_are_searched_as_text),
        TEST(test_values__uids_of_what_is_dropped_are_searched_for),
        TEST(test_values__wide_texts_are_read),
        TEST(test_values__a_uid_that_is_kept_is_exempt_where_it_is_kept),
    };
    return test_main(argc, argv, tests, ARRAY_LEN(tests));
}
