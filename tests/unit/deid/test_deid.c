#include "deid/deid.h"

#include <string.h>

#include "deid_rig.h"

/* The rules that most tests start from. */
#define USUAL                                                                                         \
    RULE(0x0008, 0x0016, KEEP), RULE(0x0008, 0x0018, REPLACE_UID), RULE(0x0008, 0x0060, KEEP),        \
        RULE(0x0008, 0x103E, KEEP), RULE(0x0010, 0x0010, REPLACE), RULE(0x0010, 0x0020, SECURE_HASH), \
        RULE(0x0020, 0x000D, REPLACE_UID), RULE(0x0020, 0x000E, REPLACE_UID), RULE(0x7FE0, 0x0010, KEEP)

static void usual_instance(struct dcm *d, bool is_explicit)
{
    rig_begin(d, is_explicit);
    dcm_text(d, DICOM_SERIES_DESCRIPTION, DICOM_VR_LO, "t2 axial");
    rig_patient(d);
    rig_uids(d);
    dcm_u16(d, 0x00280010, 4);
    dcm_u16(d, 0x00280011, 4);
    dcm_text(d, 0x00281052, DICOM_VR_DS, "-1024");
    dcm_pixels_native(d, 32);
}

static void test_deid__what_no_rule_names_is_gone(void)
{
    static const struct project_tag_rule rules[] = { USUAL };
    for (int is_explicit = 0; is_explicit < 2; is_explicit++) {
        test_row("explicit %d", is_explicit);
        rig_auto r;
        rig_init(&r, rules, ARRAY_LEN(rules));
        rig_start(&r);
        struct dcm d;
        usual_instance(&d, is_explicit);
        REQUIRE(rig_run(&r, dcm_str(&d)) == DEID_EMIT);
        CHECK_STR(VALUE(&r, DICOM_PATIENT_BIRTH_DATE), "<none>");
        CHECK_STR(VALUE(&r, DICOM_MANUFACTURER), "<none>");
        CHECK_STR(VALUE(&r, 0x00281052), "<none>");
        CHECK_STR(TEXT(&r, DICOM_MODALITY), "CT");
        CHECK_STR(TEXT(&r, DICOM_PATIENT_NAME), "ANONYMIZED");
        CHECK_STR(TEXT(&r, DICOM_PATIENT_ID), deid_study_patient(r.study));
        CHECK_INT(strlen(deid_study_patient(r.study)), 64);
        CHECK_STR(TEXT(&r, DICOM_STUDY_UID), deid_study_uid(r.study));
        CHECK_STR(TEXT(&r, DICOM_SERIES_UID), r.res.series_uid);
        CHECK_STR(TEXT(&r, DICOM_SOP_INSTANCE_UID), r.res.sop_uid);
        CHECK_STR(TEXT(&r, DICOM_META_SOP_INSTANCE_UID), r.res.sop_uid);
        CHECK_STR(TEXT(&r, DICOM_META_SOP_CLASS_UID), DCM_CT_IMAGE_STORAGE);
        CHECK_STR(TEXT(&r, DICOM_META_TRANSFER_SYNTAX), is_explicit ? DCM_EXPLICIT_LE : DCM_IMPLICIT_LE);
        CHECK(str_eq(VALUE(&r, 0x00280010), (struct str){ "\4\0", 2 }));         /* goes with the pixels */
        CHECK_INT(VALUE(&r, DICOM_PIXEL_DATA).n, 32);
        CHECK(!r.res.pixels_compressed);
        CHECK(memmem(r.bytes.p, r.bytes.n, "Zimmermann", 10) == NULL &&
              memmem(r.bytes.p, r.bytes.n, RIG_MRN, 8) == NULL &&
              memmem(r.bytes.p, r.bytes.n, "1.2.826.0.1.9", 13) == NULL);
        dcm_done(&d);
    }
}

/* One rule for one element beside the usual ones; the value that comes out, or the verdict. */
struct op_row {
    enum dicom_vr vr;
    struct str in, replaced, emptied;        /* p NULL: refused */
};
#define B(s) { "" s, sizeof(s) - 1 }
#define S(s) { s, sizeof(s) - 1 }

static const struct op_row op_rows[] = {
    { DICOM_VR_LO, S("abcd"), S("ANONYMIZED"), S("") },
    { DICOM_VR_LT, S("abcd"), S("ANONYMIZED"), S("") },
    { DICOM_VR_SH, S("abcd"), S("ANONYMIZED"), S("") },
    { DICOM_VR_PN, S("a^bc"), S("ANONYMIZED"), S("") },
    { DICOM_VR_CS, S("ABCD"), S("ANONYMIZED"), S("") },
    { DICOM_VR_ST, S("abcd"), S("ANONYMIZED"), S("") },
    { DICOM_VR_UT, S("abcd"), S("ANONYMIZED"), S("") },
    { DICOM_VR_AE, S("ABCD"), S("ANONYMIZED"), S("") },
    { DICOM_VR_UC, S("abcd"), S("ANONYMIZED"), S("") },
    { DICOM_VR_UR, S("a:bc"), S("ANONYMIZED"), S("") },
    { DICOM_VR_DS, S("1.5 "), S("0 "), S("0 ") },
    { DICOM_VR_IS, S("15"), S("0 "), S("0 ") },
    { DICOM_VR_DA, S("20200102"), S("00010101"), S("00010101") },
    { DICOM_VR_DT, S("20200102"), S("00010101010101.000000+0000"), S("00010101010101.000000+0000") },
    { DICOM_VR_TM, S("1200"), S("000000.00 "), S("000000.00 ") },
    { DICOM_VR_AS, S("031Y"), S("000Y"), S("") },
    { DICOM_VR_AT, B("\1\2\3\4"), B("\0\0\0\0"), B("\0\0\0\0") },
    { DICOM_VR_US, B("\1\2"), B("\0\0"), B("\0\0") },
    { DICOM_VR_SS, B("\1\2"), B("\0\0"), B("\0\0") },
    { DICOM_VR_UL, B("\1\2\3\4"), B("\0\0\0\0"), B("\0\0\0\0") },
    { DICOM_VR_SL, B("\1\2\3\4"), B("\0\0\0\0"), B("\0\0\0\0") },
    { DICOM_VR_FL, B("\1\2\3\4"), B("\0\0\0\0"), B("\0\0\0\0") },
    { DICOM_VR_FD, B("12345678"), B("\0\0\0\0\0\0\0\0"), B("\0\0\0\0\0\0\0\0") },
    { DICOM_VR_SV, B("12345678"), B("\0\0\0\0\0\0\0\0"), B("\0\0\0\0\0\0\0\0") },
    { DICOM_VR_UV, B("12345678"), B("\0\0\0\0\0\0\0\0"), B("\0\0\0\0\0\0\0\0") },
    { DICOM_VR_OB, B("123456"), B("\0\0\0\0\0\0"), S("") },
    { DICOM_VR_OW, B("123456"), B("\0\0\0\0\0\0"), S("") },
    { DICOM_VR_OF, B("1234"), B("\0\0\0\0"), S("") },
    { DICOM_VR_OD, B("12345678"), B("\0\0\0\0\0\0\0\0"), S("") },
    { DICOM_VR_OL, B("1234"), B("\0\0\0\0"), S("") },
    { DICOM_VR_OV, B("12345678"), B("\0\0\0\0\0\0\0\0"), S("") },
    { DICOM_VR_UN, S("whatever"), S("Anonymized"), S("") },
};

static void test_deid__replace_and_empty_do_what_each_vr_needs(void)
{
    static const struct { enum project_tag_op op; int how; } ops[] = {
        { PROJECT_OP_REPLACE, 1 }, { PROJECT_OP_EMPTY_OR_REPLACE, 1 }, { PROJECT_OP_DELETE_OR_REPLACE, 1 },
        { PROJECT_OP_DELETE_OR_EMPTY_OR_REPLACE, 1 }, { PROJECT_OP_EMPTY, 2 }, { PROJECT_OP_DELETE_OR_EMPTY, 2 },
        { PROJECT_OP_DELETE_OR_EMPTY_OR_REPLACE_UID, 2 }, { PROJECT_OP_DELETE, 0 }, { PROJECT_OP_KEEP, 3 },
    };
    for (size_t o = 0; o < ARRAY_LEN(ops); o++) {
        /* A private element, so that any VR may stand there. */
        const struct project_tag_rule rules[] = { USUAL, RULE(0x0019, 0x0010, KEEP),
                                                  { .group = 0x0019, .element = 0x1001, .op = ops[o].op } };
        rig_auto r;
        rig_init(&r, rules, ARRAY_LEN(rules));
        rig_start(&r);
        for (size_t i = 0; i < ARRAY_LEN(op_rows); i++) {
            test_row("%s of %s", project_tag_op_name(ops[o].op), dicom_vr_name(op_rows[i].vr));
            struct dcm d;
            rig_begin(&d, true);
            rig_patient(&d);
            dcm_text(&d, 0x00190010, DICOM_VR_LO, "ACME 1");
            dcm_bytes(&d, 0x00191001, op_rows[i].vr, op_rows[i].in.p, op_rows[i].in.n);
            rig_uids(&d);
            REQUIRE(rig_run(&r, dcm_str(&d)) == DEID_EMIT);
            const struct str want = ops[o].how == 1 ? op_rows[i].replaced : ops[o].how == 2 ? op_rows[i].emptied :
                                    ops[o].how == 3 ? op_rows[i].in : STR("<none>");
            struct str got = VALUE(&r, 0x00191001);
            if (!CHECK(str_eq(got, want)))
                fprintf(stderr, "    got %.*s, wanted %.*s\n", STR_ARG(got), STR_ARG(want));
            dcm_done(&d);
        }
    }
}

static void test_deid__uids_are_mapped_one_by_one_and_the_standards_are_not(void)
{
    static const struct project_tag_rule rules[] = { USUAL,
                                                     RULE(0x0008, 0x1140, KEEP),
                                                     RULE(0x0008, 0x1150, KEEP),
                                                     RULE(0x0008, 0x1155, REPLACE_UID),
                                                     RULE(0x0008, 0x0058, DELETE_OR_EMPTY_OR_REPLACE_UID),
                                                     RULE(0x0020, 0x0052, REPLACE) };
    rig_auto r;
    rig_init(&r, rules, ARRAY_LEN(rules));
    rig_start(&r);
    struct dcm d;
    dcm_begin(&d, true);
    dcm_text(&d, DICOM_SOP_CLASS_UID, DICOM_VR_UI, DCM_CT_IMAGE_STORAGE);
    dcm_text(&d, DICOM_SOP_INSTANCE_UID, DICOM_VR_UI, RIG_SOP);
    dcm_text(&d, 0x00080058, DICOM_VR_UI, RIG_SOP "\\1.2.840.10008.1.1\\\\" RIG_STUDY);
    dcm_text(&d, DICOM_MODALITY, DICOM_VR_CS, "CT");
    dcm_text(&d, DICOM_MANUFACTURER, DICOM_VR_LO, "ACME");
    dcm_seq_begin(&d, 0x00081140, false);
    dcm_item_begin(&d, true);
    dcm_text(&d, 0x00081150, DICOM_VR_UI, DCM_CT_IMAGE_STORAGE);
    dcm_text(&d, 0x00081155, DICOM_VR_UI, RIG_SOP);
    dcm_item_end(&d);
    dcm_seq_end(&d);
    rig_patient(&d);
    rig_uids(&d);
    dcm_text(&d, 0x00200052, DICOM_VR_UI, RIG_SERIES);
    REQUIRE(rig_run(&r, dcm_str(&d)) == DEID_EMIT);
    char list[400];
    (void)snprintf(list, sizeof list, "%s\\1.2.840.10008.1.1\\\\%s", r.res.sop_uid, deid_study_uid(r.study));
    CHECK_STR(TEXT(&r, 0x00080058), list);
    CHECK_STR(TEXT(&r, 0x00081140, 0x00081155), r.res.sop_uid);
    CHECK_STR(TEXT(&r, 0x00081140, 0x00081150), DCM_CT_IMAGE_STORAGE);
    CHECK_STR(TEXT(&r, 0x00200052), r.res.series_uid);
    char before[DICOM_UID_MAX + 1];
    struct pixl_error err = { 0 };
    REQUIRE_OK(deid_study_pseudo_uid(r.study, phi_text(STR(RIG_SOP)), before, &err), err);
    CHECK_STR(str_of(before), r.res.sop_uid);
    dcm_done(&d);
}

static void test_deid__secure_hash_takes_lo_and_sh(void)
{
    static const struct project_tag_rule rules[] = { USUAL, RULE(0x0008, 0x0050, SECURE_HASH),
                                                     RULE(0x0010, 0x1000, SECURE_HASH),
                                                     RULE(0x0018, 0x1000, SECURE_HASH) };
    static const struct { enum dicom_vr vr; const char *in, *out; bool refused; } rows[] = {
        { DICOM_VR_SH, "test", "b721eef65328a79c", false },
        { DICOM_VR_SH, "", "", false },
        { DICOM_VR_LO, "test", "cc8ab6f3e63235b45f3d00cbc4873efac59bf15cec4bdffd461882d57dfc010f", false },
        { DICOM_VR_UN, "test", "b721eef65328a79c", false },      /* the dictionary says SH */
        { DICOM_VR_ST, "test", NULL, true },
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        test_row("%s '%s'", dicom_vr_name(rows[i].vr), rows[i].in);
        rig_auto r;
        rig_init(&r, rules, ARRAY_LEN(rules));
        rig_start(&r);
        struct dcm d;
        dcm_begin(&d, true);
        dcm_text(&d, DICOM_SOP_CLASS_UID, DICOM_VR_UI, DCM_CT_IMAGE_STORAGE);
        dcm_text(&d, DICOM_SOP_INSTANCE_UID, DICOM_VR_UI, RIG_SOP);
        dcm_text(&d, DICOM_ACCESSION_NUMBER, rows[i].vr, rows[i].in);
        dcm_text(&d, DICOM_MODALITY, DICOM_VR_CS, "CT");
        dcm_text(&d, DICOM_MANUFACTURER, DICOM_VR_LO, "ACME");
        rig_patient(&d);
        dcm_text(&d, 0x00101000, DICOM_VR_LO, "test\\" RIG_MRN);
        rig_uids(&d);
        enum deid_verdict v = rig_run(&r, dcm_str(&d));
        dcm_done(&d);
        if (rows[i].refused) {
            CHECK(v == DEID_REFUSED && r.res.why == STUDY_WHY_UNSUPPORTED_VALUE);
            CHECK_STR(str_of(r.res.where), "(0008,0050)");
            continue;
        }
        REQUIRE(v == DEID_EMIT);
        CHECK_STR(TEXT(&r, DICOM_ACCESSION_NUMBER), rows[i].out);
        char both[200];
        (void)snprintf(both, sizeof both, "cc8ab6f3e63235b45f3d00cbc4873efac59bf15cec4bdffd461882d57dfc010f\\%s",
                       deid_study_patient(r.study));
        CHECK_STR(TEXT(&r, 0x00101000), both);
    }
}

static void test_deid__participant_and_adopted_uid_win(void)
{
    static const struct project_tag_rule rules[] = { USUAL };
    rig_auto r;
    rig_init(&r, rules, ARRAY_LEN(rules));
    r.args.participant_id = STR("P-001");
    r.args.pseudo_study_uid = STR("2.25.42");
    rig_start(&r);
    struct dcm d;
    usual_instance(&d, true);
    REQUIRE(rig_run(&r, dcm_str(&d)) == DEID_EMIT);
    CHECK_STR(TEXT(&r, DICOM_PATIENT_ID), "P-001");
    CHECK_STR(TEXT(&r, DICOM_STUDY_UID), "2.25.42");
    dcm_done(&d);
}

/* Sequences three deep, in every mixture of defined and undefined lengths. */
static void nested(struct dcm *d, unsigned undefined)
{
    for (unsigned level = 0; level < 3; level++) {
        dcm_seq_begin(d, 0x0040A730, (undefined >> level) & 1);
        dcm_item_begin(d, (undefined >> (level + 3)) & 1);
        if (level == 0) {
            dcm_text(d, 0x00080060, DICOM_VR_CS, "MR");
            dcm_text(d, 0x00100010, DICOM_VR_PN, "Nobody^Else");
            dcm_text(d, 0x00100030, DICOM_VR_DA, "19991231");
        }
        dcm_text(d, 0x0040A160, DICOM_VR_UT, "kept text");
    }
    for (unsigned level = 0; level < 3; level++) {
        dcm_item_end(d);
        dcm_seq_end(d);
    }
}

static void test_deid__every_level_goes_by_the_same_rules(void)
{
    static const struct project_tag_rule rules[] = { USUAL, RULE(0x0040, 0xA730, KEEP), RULE(0x0040, 0xA160, KEEP) };
    for (unsigned undefined = 0; undefined < 64; undefined++)
        for (int is_explicit = 0; is_explicit < 2; is_explicit++) {
            test_row("undefined %02x explicit %d", undefined, is_explicit);
            rig_auto r;
            rig_init(&r, rules, ARRAY_LEN(rules));
            rig_start(&r);
            struct dcm d;
            rig_begin(&d, is_explicit);
            rig_patient(&d);
            rig_uids(&d);
            nested(&d, undefined);
            dcm_pixels_native(&d, 8);
            REQUIRE(rig_run(&r, dcm_str(&d)) == DEID_EMIT);
            CHECK_STR(TEXT(&r, 0x0040A730, 0x00080060), "MR");
            CHECK_STR(TEXT(&r, 0x0040A730, 0x00100010), "ANONYMIZED");
            CHECK_STR(TEXT(&r, 0x0040A730, 0x00100030), "<none>");
            CHECK_STR(TEXT(&r, 0x0040A730, 0x0040A730, 0x0040A730, 0x0040A160), "kept text");
            int64_t was = dicom_find(&r.in, DICOM_NO_PARENT, 0x0040A730),
                    is = dicom_find(&r.out, DICOM_NO_PARENT, 0x0040A730);
            CHECK_INT(r.in.elements[was].flags, r.out.elements[is].flags);
            CHECK_INT(r.in.elements[was + 1].flags, r.out.elements[is + 1].flags);
            dcm_done(&d);
        }
}

static void test_deid__sequences_can_be_deleted_replaced_and_emptied(void)
{
    static const struct { enum project_tag_op op; const char *modality, *name, *deep; } rows[] = {
        { PROJECT_OP_KEEP, "MR", "ANONYMIZED", "kept text" },
        { PROJECT_OP_DELETE, "<none>", "<none>", "<none>" },
        { PROJECT_OP_REPLACE, "ANONYMIZED", "ANONYMIZED", "ANONYMIZED" },
        { PROJECT_OP_EMPTY, "", "ANONYMIZED", "" },          /* the name's own rule replaces */
        { PROJECT_OP_DELETE_OR_EMPTY_OR_REPLACE_UID, "", "ANONYMIZED", "" },
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        test_row("%s", project_tag_op_name(rows[i].op));
        const struct project_tag_rule rules[] = { USUAL, { .group = 0x0040, .element = 0xA730, .op = rows[i].op },
                                                  RULE(0x0040, 0xA160, KEEP) };
        rig_auto r;
        rig_init(&r, rules, ARRAY_LEN(rules));
        rig_start(&r);
        struct dcm d;
        rig_begin(&d, true);
        rig_patient(&d);
        rig_uids(&d);
        nested(&d, 5);
        REQUIRE(rig_run(&r, dcm_str(&d)) == DEID_EMIT);
        CHECK_STR(TEXT(&r, 0x0040A730, 0x00080060), rows[i].modality);
        CHECK_STR(TEXT(&r, 0x0040A730, 0x00100010), rows[i].name);
        CHECK_STR(TEXT(&r, 0x0040A730, 0x00100030), "<none>");
        CHECK_STR(TEXT(&r, 0x0040A730, 0x0040A730, 0x0040A730, 0x0040A160), rows[i].deep);
        dcm_done(&d);
    }
}

static void test_deid__empty_items_stay(void)
{
    static const struct project_tag_rule rules[] = { USUAL, RULE(0x0040, 0xA730, KEEP) };
    rig_auto r;
    rig_init(&r, rules, ARRAY_LEN(rules));
    rig_start(&r);
    struct dcm d;
    rig_begin(&d, true);
    rig_patient(&d);
    rig_uids(&d);
    dcm_seq_begin(&d, 0x0040A730, false);
    dcm_item_begin(&d, false);
    dcm_item_end(&d);
    dcm_item_begin(&d, true);
    dcm_text(&d, 0x00100030, DICOM_VR_DA, "19991231");
    dcm_item_end(&d);
    dcm_seq_end(&d);
    REQUIRE(rig_run(&r, dcm_str(&d)) == DEID_EMIT);
    int64_t i = dicom_find(&r.out, DICOM_NO_PARENT, 0x0040A730);
    REQUIRE(i >= 0);
    CHECK_INT(r.out.elements[i].end - i, 3);
    dcm_done(&d);
}

static void private_instance(struct dcm *d)
{
    rig_begin(d, true);
    dcm_text(d, 0x00090010, DICOM_VR_LO, "ACME A");
    dcm_text(d, 0x00090011, DICOM_VR_LO, "ACME B");
    dcm_text(d, 0x00091001, DICOM_VR_LO, "a one");
    dcm_text(d, 0x00091101, DICOM_VR_LO, "b one");
    dcm_text(d, 0x00091102, DICOM_VR_LO, "b two");
    dcm_text(d, 0x00091201, DICOM_VR_LO, "no creator");
    rig_patient(d);
    dcm_text(d, 0x00190011, DICOM_VR_LO, "ACME A");
    dcm_text(d, 0x00191101, DICOM_VR_LO, "other group");
    rig_uids(d);
}

static void test_deid__private_data_lives_with_its_creator(void)
{
    static const struct project_tag_rule by_number[] = { USUAL, RULE(0x0009, 0x1101, KEEP),
                                                         RULE(0x0009, 0x1201, KEEP) };
    static const struct project_tag_rule by_creator[] = { USUAL, RULE_OF("ACME B", 0x0009, 0x02, KEEP),
                                                          RULE_OF("ACME A", 0x0009, 0x1001, REPLACE) };
    static const struct project_tag_rule deleted[] = { USUAL, RULE(0x0009, 0x0011, DELETE),
                                                       RULE(0x0009, 0x1101, KEEP) };
    static const struct project_tag_rule alone[] = { USUAL, RULE(0x0009, 0x0010, KEEP) };
    static const struct {
        const char *name; const struct project_tag_rule *rules; size_t n;
        const char *a, *b, *a1, *b1, *b2;
    } rows[] = {
        { "by number", by_number, ARRAY_LEN(by_number), "<none>", "ACME B", "<none>", "b one", "<none>" },
        { "by creator", by_creator, ARRAY_LEN(by_creator), "ACME A", "ACME B", "ANONYMIZED", "<none>", "b two" },
        { "creator deleted", deleted, ARRAY_LEN(deleted), "<none>", "<none>", "<none>", "<none>", "<none>" },
        { "creator alone", alone, ARRAY_LEN(alone), "ACME A", "<none>", "<none>", "<none>", "<none>" },
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        test_row("%s", rows[i].name);
        rig_auto r;
        rig_init(&r, rows[i].rules, rows[i].n);
        rig_start(&r);
        struct dcm d;
        private_instance(&d);
        REQUIRE(rig_run(&r, dcm_str(&d)) == DEID_EMIT);
        CHECK_STR(TEXT(&r, 0x00090010), rows[i].a);
        CHECK_STR(TEXT(&r, 0x00090011), rows[i].b);
        CHECK_STR(TEXT(&r, 0x00091001), rows[i].a1);
        CHECK_STR(TEXT(&r, 0x00091101), rows[i].b1);
        CHECK_STR(TEXT(&r, 0x00091102), rows[i].b2);
        CHECK_STR(TEXT(&r, 0x00091201), "<none>");
        CHECK_STR(TEXT(&r, 0x00191101), "<none>");
        dcm_done(&d);
    }
}

static void test_deid__private_sequences_and_what_is_private_inside(void)
{
    static const struct project_tag_rule rules[] = { USUAL, RULE(0x2005, 0x140F, KEEP), RULE(0x0008, 0x0100, KEEP),
                                                     RULE_OF("ACME INNER", 0x2005, 0x30, KEEP) };
    for (int is_explicit = 0; is_explicit < 2; is_explicit++) {
        test_row("explicit %d", is_explicit);
        rig_auto r;
        rig_init(&r, rules, ARRAY_LEN(rules));
        rig_start(&r);
        struct dcm d;
        rig_begin(&d, is_explicit);
        rig_patient(&d);
        rig_uids(&d);
        dcm_text(&d, 0x20050014, DICOM_VR_LO, "ACME OUTER");
        dcm_seq_begin(&d, 0x2005140F, true);
        dcm_item_begin(&d, true);
        dcm_text(&d, 0x00080100, DICOM_VR_SH, "CODE");
        dcm_text(&d, 0x00100020, DICOM_VR_LO, RIG_MRN);
        dcm_text(&d, 0x00100030, DICOM_VR_DA, "19700131");
        dcm_text(&d, 0x20050011, DICOM_VR_LO, "ACME INNER");
        dcm_text(&d, 0x20051130, DICOM_VR_LO, "kept");
        dcm_text(&d, 0x20051131, DICOM_VR_LO, "gone");
        dcm_item_end(&d);
        dcm_seq_end(&d);
        dcm_bytes(&d, 0x60003000, DICOM_VR_OW, "\1\2", 2);
        REQUIRE(rig_run(&r, dcm_str(&d)) == DEID_EMIT);
        CHECK_STR(TEXT(&r, 0x20050014), "ACME OUTER");
        CHECK_STR(TEXT(&r, 0x2005140F, 0x00080100), "CODE");
        CHECK_STR(TEXT(&r, 0x2005140F, 0x00100020), deid_study_patient(r.study));
        CHECK_STR(TEXT(&r, 0x2005140F, 0x00100030), "<none>");
        CHECK_STR(TEXT(&r, 0x2005140F, 0x20050011), "ACME INNER");
        CHECK_STR(TEXT(&r, 0x2005140F, 0x20051130), "kept");
        CHECK_STR(TEXT(&r, 0x2005140F, 0x20051131), "<none>");
        CHECK_STR(TEXT(&r, 0x60003000), "<none>");
        dcm_done(&d);
    }
}

static void test_deid__a_sequence_that_hides_is_refused(void)
{
    static const char item[] = "\xFE\xFF\x00\xE0\x04\x00\x00\x00" "abcd";
    static const struct project_tag_rule rules[] = { USUAL, RULE(0x0009, 0x1001, KEEP), RULE(0x0040, 0xA730, KEEP) };
    static const uint32_t tags[] = { 0x00091001, 0x0040A730 };
    for (size_t i = 0; i < ARRAY_LEN(tags); i++) {
        rig_auto r;
        rig_init(&r, rules, ARRAY_LEN(rules));
        rig_start(&r);
        struct dcm d;
        rig_begin(&d, true);
        if (i == 0) {
            dcm_text(&d, 0x00090010, DICOM_VR_LO, "ACME A");
            dcm_bytes(&d, tags[i], DICOM_VR_UN, item, 12);
        }
        rig_patient(&d);
        rig_uids(&d);
        if (i == 1)
            dcm_bytes(&d, tags[i], DICOM_VR_UN, item, 12);
        CHECK(rig_run(&r, dcm_str(&d)) == DEID_REFUSED);
        CHECK_INT(r.res.why, STUDY_WHY_UNSUPPORTED_VALUE);
        CHECK_STR(str_of(r.res.where), i == 0 ? "(0009,1001)" : "(0040,A730)");
        dcm_done(&d);
    }
}

/* Whatever it is called, and whatever is to be done with it: nothing is left of nothing. */
static void test_deid__an_empty_value_is_never_refused(void)
{
    static const struct {
        const char *name;
        enum project_tag_op op;
        uint32_t tag;
        enum dicom_vr vr;
    } rows[] = {
        { "sequence as UN", PROJECT_OP_REPLACE, 0x00720080, DICOM_VR_UN },
        { "sequence as UN", PROJECT_OP_EMPTY, 0x00720080, DICOM_VR_UN },
        { "sequence as UN", PROJECT_OP_KEEP, 0x00720080, DICOM_VR_UN },
        { "sequence as UN", PROJECT_OP_DELETE_OR_EMPTY_OR_REPLACE_UID, 0x00720080, DICOM_VR_UN },
        { "private text", PROJECT_OP_SECURE_HASH, 0x00191001, DICOM_VR_ST },
        { "private text", PROJECT_OP_REPLACE_UID, 0x00191001, DICOM_VR_ST },
        { "private sequence", PROJECT_OP_SECURE_HASH, 0x00191001, DICOM_VR_SQ },
        { "private sequence", PROJECT_OP_REPLACE_UID, 0x00191001, DICOM_VR_SQ },
        { "private sequence", PROJECT_OP_REPLACE, 0x00191001, DICOM_VR_SQ },
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        for (int is_undefined = 0; is_undefined <= (rows[i].vr == DICOM_VR_SQ); is_undefined++) {
            test_row("%s, %s, %d", rows[i].name, project_tag_op_name(rows[i].op), is_undefined);
            const struct project_tag_rule rules[] = {
                USUAL,
                RULE(0x0019, 0x0010, KEEP),
                { .group = DICOM_GROUP(rows[i].tag), .element = DICOM_ELEMENT_OF(rows[i].tag), .op = rows[i].op },
            };
            rig_auto r;
            rig_init(&r, rules, ARRAY_LEN(rules));
            rig_start(&r);
            struct dcm d;
            rig_begin(&d, true);
            rig_patient(&d);
            dcm_text(&d, 0x00190010, DICOM_VR_LO, "ACME 1");
            if (rows[i].vr == DICOM_VR_SQ) {
                dcm_seq_begin(&d, rows[i].tag, is_undefined);
                dcm_seq_end(&d);
            } else if (rows[i].tag == 0x00191001) {
                dcm_text(&d, rows[i].tag, rows[i].vr, "");
            }
            rig_uids(&d);
            if (rows[i].tag == 0x00720080)
                dcm_text(&d, rows[i].tag, rows[i].vr, "");
            REQUIRE(rig_run(&r, dcm_str(&d)) == DEID_EMIT);
            const int64_t at = dicom_find(&r.out, DICOM_NO_PARENT, rows[i].tag);
            REQUIRE(at >= 0);
            CHECK_INT(r.out.elements[at].value_bytes, 0);
            CHECK_INT(r.out.elements[at].end, at + 1);
            dcm_done(&d);
        }
}

static void test_deid__another_patient_or_study_is_a_mismatch(void)
{
    static const struct project_tag_rule rules[] = { USUAL };
    static const struct {
        const char *name, *patient, *study, *series, *sop, *class;
        enum deid_verdict verdict;
        enum study_reason why;
    } rows[] = {
        { "all right", RIG_MRN, RIG_STUDY, "1.2.3", "1.2.4", "1.2.5", DEID_EMIT, STUDY_WHY_NONE },
        { "blanks around", " " RIG_MRN " ", RIG_STUDY, "1.2.3", "1.2.4", "1.2.5", DEID_EMIT, STUDY_WHY_NONE },
        { "other patient", "MRN-4711-09", RIG_STUDY, "1.2.3", "1.2.4", "1.2.5", DEID_MISMATCH,
          STUDY_WHY_IDENTITY_MISMATCH },
        { "patient empty", "", RIG_STUDY, "1.2.3", "1.2.4", "1.2.5", DEID_MISMATCH, STUDY_WHY_IDENTITY_MISMATCH },
        { "patient absent", NULL, RIG_STUDY, "1.2.3", "1.2.4", "1.2.5", DEID_MISMATCH, STUDY_WHY_IDENTITY_MISMATCH },
        { "other study", RIG_MRN, "1.2.6", "1.2.3", "1.2.4", "1.2.5", DEID_MISMATCH, STUDY_WHY_IDENTITY_MISMATCH },
        { "no study", RIG_MRN, NULL, "1.2.3", "1.2.4", "1.2.5", DEID_REFUSED, STUDY_WHY_MISSING_ATTRIBUTE },
        { "no series", RIG_MRN, RIG_STUDY, NULL, "1.2.4", "1.2.5", DEID_REFUSED, STUDY_WHY_MISSING_ATTRIBUTE },
        { "no instance", RIG_MRN, RIG_STUDY, "1.2.3", NULL, "1.2.5", DEID_REFUSED, STUDY_WHY_MISSING_ATTRIBUTE },
        { "no class", RIG_MRN, RIG_STUDY, "1.2.3", "1.2.4", NULL, DEID_REFUSED, STUDY_WHY_MISSING_ATTRIBUTE },
        { "class is no UID", RIG_MRN, RIG_STUDY, "1.2.3", "1.2.4", "CT", DEID_REFUSED, STUDY_WHY_UNSUPPORTED_VALUE },
        { "instance is the standard's", RIG_MRN, RIG_STUDY, "1.2.3", "1.2.840.10008.1.2", "1.2.5", DEID_REFUSED,
          STUDY_WHY_UNSUPPORTED_VALUE },
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        test_row("%s", rows[i].name);
        rig_auto r;
        rig_init(&r, rules, ARRAY_LEN(rules));
        rig_start(&r);
        struct dcm d;
        dcm_begin(&d, true);
        if (rows[i].class)
            dcm_text(&d, DICOM_SOP_CLASS_UID, DICOM_VR_UI, rows[i].class);
        if (rows[i].sop)
            dcm_text(&d, DICOM_SOP_INSTANCE_UID, DICOM_VR_UI, rows[i].sop);
        dcm_text(&d, DICOM_MODALITY, DICOM_VR_CS, "CT");
        dcm_text(&d, DICOM_MANUFACTURER, DICOM_VR_LO, "ACME");
        if (rows[i].patient)
            dcm_text(&d, DICOM_PATIENT_ID, DICOM_VR_LO, rows[i].patient);
        if (rows[i].study)
            dcm_text(&d, DICOM_STUDY_UID, DICOM_VR_UI, rows[i].study);
        if (rows[i].series)
            dcm_text(&d, DICOM_SERIES_UID, DICOM_VR_UI, rows[i].series);
        CHECK_INT(rig_run(&r, dcm_str(&d)), rows[i].verdict);
        CHECK_INT(r.res.why, rows[i].why);
        dcm_done(&d);
    }
}

int main(int argc, char **argv)
{
    static const struct test_case tests[] = {
        TEST(test_deid__what_no_rule_names_is_gone),
        TEST(test_deid__replace_and_empty_do_what_each_vr_needs),
        TEST(test_deid__uids_are_mapped_one_by_one_and_the_standards_are_not),
        TEST(test_deid__secure_hash_takes_lo_and_sh),
        TEST(test_deid__participant_and_adopted_uid_win),
        TEST(test_deid__every_level_goes_by_the_same_rules),
        TEST(test_deid__sequences_can_be_deleted_replaced_and_emptied),
        TEST(test_deid__empty_items_stay),
        TEST(test_deid__private_data_lives_with_its_creator),
        TEST(test_deid__private_sequences_and_what_is_private_inside),
        TEST(test_deid__a_sequence_that_hides_is_refused),
        TEST(test_deid__an_empty_value_is_never_refused),
        TEST(test_deid__another_patient_or_study_is_a_mismatch),
    };
    return test_main(argc, argv, tests, ARRAY_LEN(tests));
}
