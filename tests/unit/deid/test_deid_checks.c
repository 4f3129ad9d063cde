/* What keeps an instance from being written, and what is said about one that is. */
#include "deid/deid.h"

#include <string.h>

#include "deid_rig.h"

#define USUAL                                                                                         \
    RULE(0x0008, 0x0016, KEEP), RULE(0x0008, 0x0018, REPLACE_UID), RULE(0x0008, 0x0060, KEEP),        \
        RULE(0x0008, 0x103E, KEEP), RULE(0x0010, 0x0010, REPLACE), RULE(0x0010, 0x0020, SECURE_HASH), \
        RULE(0x0020, 0x000D, REPLACE_UID), RULE(0x0020, 0x000E, REPLACE_UID), RULE(0x7FE0, 0x0010, KEEP)

static void test_overrides__hold_for_their_manufacturer(void)
{
    static const struct project_tag_rule rules[] = { USUAL, RULE(0x0018, 0x1020, KEEP), RULE(0x0018, 0x1030, DELETE) };
    static const struct project_tag_rule first[] = { RULE(0x0018, 0x1030, KEEP), RULE(0x0018, 0x1020, REPLACE) };
    static const struct project_tag_rule second[] = { RULE(0x0018, 0x1020, DELETE) };
    static const struct { const char *manufacturer, *protocol, *software; } rows[] = {
        { "Other", "<none>", "v1" }, { "PHILIPS medical", "brain", "ANONYMIZED" }, { "Philips x", "brain", "<none>" },
        { "Other", "<none>", "v1" }, { "philips", "brain", "ANONYMIZED" },
    };
    struct project_override overrides[] = {
        { .manufacturer = rig_pattern("^philips"), .rules = first, .n_rules = ARRAY_LEN(first) },
        { .manufacturer = rig_pattern("x$"), .rules = second, .n_rules = ARRAY_LEN(second) },
    };
    rig_auto r;
    rig_init(&r, rules, ARRAY_LEN(rules));
    r.project.overrides = overrides;
    r.project.n_overrides = ARRAY_LEN(overrides);
    rig_start(&r);
    for (size_t i = 0; i < 30; i++) {
        const size_t k = i % ARRAY_LEN(rows);
        char maker[64];
        (void)snprintf(maker, sizeof maker, "%s", rows[k].manufacturer);
        test_row("%s", maker);
        struct dcm d;
        dcm_begin(&d, true);
        dcm_text(&d, DICOM_SOP_CLASS_UID, DICOM_VR_UI, DCM_CT_IMAGE_STORAGE);
        dcm_text(&d, DICOM_SOP_INSTANCE_UID, DICOM_VR_UI, RIG_SOP);
        dcm_text(&d, DICOM_MODALITY, DICOM_VR_CS, "CT");
        dcm_text(&d, DICOM_MANUFACTURER, DICOM_VR_LO, maker);
        rig_patient(&d);
        dcm_text(&d, 0x00181020, DICOM_VR_LO, "v1");
        dcm_text(&d, 0x00181030, DICOM_VR_LO, "brain");
        rig_uids(&d);
        REQUIRE(rig_run(&r, dcm_str(&d)) == DEID_EMIT);
        CHECK_STR(TEXT(&r, 0x00181030), rows[k].protocol);
        CHECK_STR(TEXT(&r, 0x00181020), rows[k].software);
        dcm_done(&d);
    }
    for (size_t i = 0; i < ARRAY_LEN(overrides); i++)
        pattern_free(overrides[i].manufacturer);
}

/* A number of the patient in an element that is dropped, and in one that is kept. */
static void test_residue__knows_numbers_of_orders_and_episodes(void)
{
    static const struct project_tag_rule rules[] = { USUAL };
    static const struct {
        uint32_t tag;
        enum dicom_vr vr;
        const char *value, *text;
        enum deid_verdict verdict;
    } rows[] = {
        { 0x00402017, DICOM_VR_LO, "FIL998877", "for FIL998877", DEID_RESIDUE },
        { 0x00402016, DICOM_VR_LO, "PL9988", "for pl 9988", DEID_EMIT },
        { 0x00402016, DICOM_VR_LO, "PL9988", "for pl9988", DEID_RESIDUE },
        { 0x00380060, DICOM_VR_LO, "AB998877", "for AB998877", DEID_RESIDUE },
        { 0x00120040, DICOM_VR_LO, "SUB-0042", "for sub-0042", DEID_RESIDUE },
        { 0x00102154, DICOM_VR_SH, "0176-5554433", "tel 0176 5554433", DEID_RESIDUE },
        { 0x00100033, DICOM_VR_LO, "13400413", "born 1340-04-13", DEID_RESIDUE },
        { 0x00401001, DICOM_VR_SH, "RPID5566", "RP RPID5566", DEID_RESIDUE },
        { 0x00401001, DICOM_VR_SH, "556677", "RP 556677", DEID_RESIDUE },
        { 0x00401001, DICOM_VR_SH, "1001", "1001 slices", DEID_EMIT },
        { 0x00400009, DICOM_VR_SH, "BRAIN1", "brain1 scan", DEID_RESIDUE },
        { 0x00400253, DICOM_VR_SH, "CEREBRUM", "cerebrum", DEID_EMIT }, /* what is done */
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        test_row("%s / %s", rows[i].value, rows[i].text);
        rig_auto r;
        rig_init(&r, rules, ARRAY_LEN(rules));
        rig_start(&r);
        struct dcm d;
        dcm_begin(&d, true);
        dcm_text(&d, DICOM_SOP_CLASS_UID, DICOM_VR_UI, DCM_CT_IMAGE_STORAGE);
        dcm_text(&d, DICOM_SOP_INSTANCE_UID, DICOM_VR_UI, RIG_SOP);
        dcm_text(&d, DICOM_MODALITY, DICOM_VR_CS, "CT");
        dcm_text(&d, DICOM_MANUFACTURER, DICOM_VR_LO, "ACME");
        dcm_text(&d, 0x0008103E, DICOM_VR_LO, rows[i].text);
        rig_patient(&d);
        if (rows[i].tag < 0x00200000)
            dcm_text(&d, rows[i].tag, rows[i].vr, rows[i].value);
        rig_uids(&d);
        if (rows[i].tag > 0x00200000)
            dcm_text(&d, rows[i].tag, rows[i].vr, rows[i].value);
        CHECK_INT(rig_run(&r, dcm_str(&d)), rows[i].verdict);
        dcm_done(&d);
    }
}

/* One element beside the usual ones, kept, in an instance of Zimmermann^Aloysia, born 31 January 1970. */
static void test_residue__is_found_where_it_stands(void)
{
    static const struct { const char *name; uint32_t tag; enum dicom_vr vr; const char *value, *where; } rows[] = {
        { "name in a comment", 0x00204000, DICOM_VR_LT, "scan of ALOYSIA z.", "(0020,4000)" },
        { "id in a label", 0x00204000, DICOM_VR_LT, "label mrn 4711 08", "(0020,4000)" },
        { "birth date", 0x00204000, DICOM_VR_LT, "b. 31.1.1970", "(0020,4000)" },
        { "study UID", 0x00204000, DICOM_VR_LT, "see " RIG_STUDY, "(0020,4000)" },
        { "derived UID", 0x00200052, DICOM_VR_UI, RIG_SERIES ".77.1", "(0020,0052)" },
        { "accession number of the request", 0x00204000, DICOM_VR_LT, "RNG00112233", "(0020,4000)" },
        { "accession number of the file", 0x00204000, DICOM_VR_LT, "XYZ998877", "(0020,4000)" },
        { "other id", 0x00204000, DICOM_VR_LT, "was 55667788 before", "(0020,4000)" },
        { "referrer", 0x00204000, DICOM_VR_LT, "Dear Dr Quackenbush", "(0020,4000)" },
        { "private text", 0x00211001, DICOM_VR_UN, "..\1\2zimmermann\3", "(0021,1001)" },
        { "private bytes", 0x00211001, DICOM_VR_OB, "ID=MRN-4711-08", "(0021,1001)" },
    };
    static const struct project_tag_rule rules[] = { USUAL, RULE(0x0020, 0x4000, KEEP), RULE(0x0021, 0x1001, KEEP),
                                                     RULE(0x0020, 0x0052, REPLACE_UID) };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        test_row("%s", rows[i].name);
        rig_auto r;
        rig_init(&r, rules, ARRAY_LEN(rules));
        r.args.accession_number = phi_text(STR("RNG00112233"));
        rig_start(&r);
        struct dcm d;
        dcm_begin(&d, true);
        dcm_text(&d, DICOM_SOP_CLASS_UID, DICOM_VR_UI, DCM_CT_IMAGE_STORAGE);
        dcm_text(&d, DICOM_SOP_INSTANCE_UID, DICOM_VR_UI, RIG_SOP);
        dcm_text(&d, DICOM_ACCESSION_NUMBER, DICOM_VR_SH, "XYZ-998877");
        dcm_text(&d, DICOM_MODALITY, DICOM_VR_CS, "CT");
        dcm_text(&d, DICOM_MANUFACTURER, DICOM_VR_LO, "ACME");
        dcm_text(&d, 0x00080090, DICOM_VR_PN, "Quackenbush^Dorothy");
        rig_patient(&d);
        dcm_seq_begin(&d, 0x00101002, true);
        dcm_item_begin(&d, true);
        dcm_text(&d, DICOM_PATIENT_ID, DICOM_VR_LO, "55667788");
        dcm_item_end(&d);
        dcm_seq_end(&d);
        rig_uids(&d);
        if (dicom_tag_is_private(rows[i].tag))
            dcm_text(&d, 0x00210010, DICOM_VR_LO, "ACME A");
        dcm_text(&d, rows[i].tag, rows[i].vr, rows[i].value);
        enum deid_verdict v = rig_run(&r, dcm_str(&d));
        if (rows[i].tag == 0x00200052) {
            CHECK_INT(v, DEID_EMIT);                    /* mapped, so nothing is left */
        } else {
            CHECK_INT(v, DEID_RESIDUE);
            CHECK_INT(r.res.why, STUDY_WHY_RESIDUE);
            CHECK_STR(str_of(r.res.where), rows[i].where);
        }
        dcm_done(&d);
    }
}

/* Private data of unknown VR, in an instance of Jaeger with umlauts, in Latin-1; and what a later needle finds in it. */
static void test_residue__bytes_of_unknown_vr_are_read_as_text(void)
{
#define BYTES(name, text, is_late, v) { name, text, sizeof(text) - 1, is_late, v }
    static const struct { const char *name, *bytes; size_t n; bool is_late; enum deid_verdict v; } rows[] = {
        BYTES("Latin-1", "f\374r J\304GER", false, DEID_RESIDUE),
        BYTES("UTF-8", "f\303\274r J\303\204GER", false, DEID_RESIDUE),
        BYTES("Latin-1 in a field", "\1\2\0f\374r J\304GER\0\3\1", false, DEID_RESIDUE),
        BYTES("UTF-8 in a field", "\1\2\0J\303\204GER\0\3\1", false, DEID_RESIDUE),
        BYTES("UTF-16, little endian", "\1Z\0i\0m\0m\0e\0r\0m\0a\0n\0n\0\1\1", false, DEID_RESIDUE),
        BYTES("UTF-16, big endian", "\1\1\0Z\0i\0m\0m\0e\0r\0m\0a\0n\0n\1\0", false, DEID_RESIDUE),
        BYTES("UTF-16 behind text", "xZ\0i\0m\0m\0e\0r\0m\0a\0n\0n\0", false, DEID_RESIDUE),
        BYTES("nobody's UTF-16", "\1Z\0i\0m\0m\0e\0r\0\1\1", false, DEID_EMIT),
        BYTES("nobody's letters", "\1\2\0f\374r J\304GE\0\3\1", false, DEID_EMIT),
        BYTES("a short word, later", "\1\2ottokar\3\4", true, DEID_RESIDUE),
        BYTES("a short field, later", "\1\2\0ott\0\4", true, DEID_RESIDUE),
    };
    static const struct project_tag_rule rules[] = { USUAL, RULE(0x0021, 0x1001, KEEP) };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        test_row("%s", rows[i].name);
        rig_auto r;
        rig_init(&r, rules, ARRAY_LEN(rules));
        rig_start(&r);
        for (int late = 0; late <= rows[i].is_late; late++) {
            struct dcm d;
            dcm_begin(&d, true);
            dcm_text(&d, DICOM_SPECIFIC_CHARACTER_SET, DICOM_VR_CS, "ISO_IR 100");
            dcm_text(&d, DICOM_SOP_CLASS_UID, DICOM_VR_UI, DCM_CT_IMAGE_STORAGE);
            dcm_text(&d, DICOM_SOP_INSTANCE_UID, DICOM_VR_UI, RIG_SOP);
            dcm_text(&d, DICOM_MODALITY, DICOM_VR_CS, "CT");
            dcm_text(&d, DICOM_MANUFACTURER, DICOM_VR_LO, "ACME");
            rig_patient(&d);
            dcm_text(&d, DICOM_OTHER_PATIENT_NAMES, DICOM_VR_PN, late ? "Ottokar^Ott" : "J\344ger^B");
            rig_uids(&d);
            dcm_text(&d, 0x00210010, DICOM_VR_LO, "ACME A");
            if (!late)
                dcm_bytes(&d, 0x00211001, DICOM_VR_UN, rows[i].bytes, rows[i].n);
            CHECK_INT(rig_run(&r, dcm_str(&d)), late == rows[i].is_late ? rows[i].v : DEID_EMIT);
            dcm_done(&d);
        }
    }
#undef BYTES
}

/* Bytes of unknown meaning, in data sets with a character set and a patient of their own. */
#define BYTES(name, set, patient, text, v)            \
    {                                                 \
        name, set, patient, text, sizeof(text) - 1, v \
    }
static const struct {
    const char *name, *set, *patient, *bytes;
    size_t n;
    enum deid_verdict v;
} bytes_in_sets[] = {
    BYTES("Greek in a field", "ISO_IR 126", "\304\351\357\355\352\361\341\353^\314\345\350\365",
          "\001\000\343\351\341 \304\311\317\315\312\321\301\313\000\003", DEID_RESIDUE),
    BYTES("Greek behind its length", "ISO_IR 126", "\304\351\357\355\352\361\341\353^\314\345\350\365",
          "\007\010\304\351\357\355\352\361\341\353\003\001", DEID_RESIDUE),
    BYTES("Cyrillic", "ISO_IR 144", "\274\353\341\333\332\340\336\322^\267\343\321\340",
          "\001\000\274\353\341\333\332\340\336\322\000\003", DEID_RESIDUE),
    BYTES("Cyrillic beside ASCII", "ISO_IR 144", "\274\353\341\333\332\340\336\322^\267\343\321\340",
          "\002CT \274\313\301\273\272\300\276\262\003\002", DEID_RESIDUE),
    BYTES("nobody's Cyrillic", "ISO_IR 144", "\274\353\341\333\332\340\336\322^\267\343\321\340",
          "\001\000\274\353\341\333\332\340\336\322\354\000\003", DEID_EMIT),
    BYTES("read in another set", "ISO_IR 126", "\304\351\357\355\352\361\341\353^\314\345\350\365",
          "\001\000\274\353\341\333\332\340\336\322\000\003", DEID_EMIT),
    BYTES("Latin-1 behind its length", "ISO_IR 100", "J\344ger^Bo", "\006J\304GER\003\001", DEID_RESIDUE),
    BYTES("Latin-2 in a field", "ISO_IR 101", "\243uk\276orv^Bo", "\001\000\277ona \243UK\256ORV\000\003",
          DEID_RESIDUE),
    BYTES("Japanese", "\\ISO 2022 IR 87", "Yama^Ta=\033$B;3:j\033(B^\033$BB@O:\033(B",
          "\001\000\033$B45<T;3:jMM\033(B\000\003", DEID_RESIDUE),
    BYTES("Korean", "\\ISO 2022 IR 149", "Hwang^X=\033$)C\310\262\274\256^\033$)C\301\244\272\300",
          "\001\000\033$)C\310\262\274\256\301\244\272\300\000\003", DEID_RESIDUE),
    BYTES("Korean without escape", "\\ISO 2022 IR 149", "Hwang^X=\033$)C\310\262\274\256^\033$)C\301\244\272\300",
          "\001\000\310\262\274\256\301\244\272\300\000\003", DEID_RESIDUE),
    BYTES("Chinese", "GB18030", "Zhang^Wei=\325\305\316\260^\317\376\266\253",
          "\001\000\262\241\310\313\325\305\316\260\000\003", DEID_RESIDUE),
    BYTES("nobody's Chinese", "GB18030", "Zhang^Wei=\325\305\316\260^\317\376\266\253",
          "\001\000\262\241\310\313\325\305\266\253\000\003", DEID_EMIT),
};
#undef BYTES

/* is_nested: the data set is an item's. */
static void build_bytes(struct dcm *d, size_t row, bool is_nested, enum dicom_vr vr)
{
    dcm_begin(d, true);
    if (!is_nested)
        dcm_text(d, DICOM_SPECIFIC_CHARACTER_SET, DICOM_VR_CS, bytes_in_sets[row].set);
    dcm_text(d, DICOM_SOP_CLASS_UID, DICOM_VR_UI, DCM_CT_IMAGE_STORAGE);
    dcm_text(d, DICOM_SOP_INSTANCE_UID, DICOM_VR_UI, RIG_SOP);
    dcm_text(d, DICOM_MODALITY, DICOM_VR_CS, "CT");
    dcm_text(d, DICOM_MANUFACTURER, DICOM_VR_LO, "ACME");
    rig_patient(d);
    if (!is_nested)
        dcm_text(d, DICOM_OTHER_PATIENT_NAMES, DICOM_VR_PN, bytes_in_sets[row].patient);
    rig_uids(d);
    if (is_nested) {
        dcm_seq_begin(d, 0x0040A730, true);
        dcm_item_begin(d, true);
        dcm_text(d, DICOM_SPECIFIC_CHARACTER_SET, DICOM_VR_CS, bytes_in_sets[row].set);
        dcm_text(d, DICOM_PATIENT_NAME, DICOM_VR_PN, bytes_in_sets[row].patient);
    }
    dcm_text(d, 0x00210010, DICOM_VR_LO, "ACME A");
    dcm_bytes(d, 0x00211001, vr, bytes_in_sets[row].bytes, bytes_in_sets[row].n);
    if (is_nested) {
        dcm_item_end(d);
        dcm_seq_end(d);
    }
}

static void test_residue__bytes_are_read_in_the_character_set(void)
{
    static const struct project_tag_rule rules[] = { USUAL, RULE(0x0040, 0xA730, KEEP), RULE(0x0021, 0x1001, KEEP) };
    for (size_t i = 0; i < ARRAY_LEN(bytes_in_sets); i++)
        for (int how = 0; how < 4; how++) {
            test_row("%s, %d", bytes_in_sets[i].name, how);
            rig_auto r;
            rig_init(&r, rules, ARRAY_LEN(rules));
            rig_start(&r);
            struct dcm d;
            build_bytes(&d, i, how & 1, how & 2 ? DICOM_VR_UN : DICOM_VR_OB);
            CHECK_INT(rig_run(&r, dcm_str(&d)), bytes_in_sets[i].v);
            dcm_done(&d);
        }
}

/* The VR in the file is anybody's: what the standard wants to be text is never given away as something else, and what
 * is called numbers is searched where the standard does not say that it is. */
static const struct { const char *name; uint32_t tag; enum dicom_vr vr; const char *value; enum deid_verdict v;
} written_vrs[] = {
    { "text as words", 0x00204000, DICOM_VR_OW, "nothing ", DEID_REFUSED },
    { "text as floats", 0x00204000, DICOM_VR_OF, "nothing ", DEID_REFUSED },
    { "text as numbers", 0x00204000, DICOM_VR_UL, "nothing ", DEID_REFUSED },
    { "text as unknown", 0x00204000, DICOM_VR_UN, "nothing", DEID_EMIT },
    { "text as unknown, a name", 0x00204000, DICOM_VR_UN, "zimmermann", DEID_RESIDUE },
    { "text as code, a name", 0x00204000, DICOM_VR_CS, "ZIMMERMANN", DEID_RESIDUE },
    { "text as date, an id", 0x00204000, DICOM_VR_TM, "55667788", DEID_RESIDUE },
    { "number string as bytes", 0x00201041, DICOM_VR_OB, "12", DEID_REFUSED },
    { "UID as bytes", 0x00200052, DICOM_VR_OB, "1.2", DEID_REFUSED },
    { "creator as numbers", 0x00210010, DICOM_VR_US, "ACME", DEID_REFUSED },
    { "private numbers, nothing", 0x00211001, DICOM_VR_UL, "\1\2\3\4", DEID_EMIT },
    { "private numbers, a name", 0x00211001, DICOM_VR_UL, "zimmermann..", DEID_RESIDUE },
    { "private floats, a name", 0x00211001, DICOM_VR_FD, "zimmermann......", DEID_RESIDUE },
    { "private code, a name", 0x00211001, DICOM_VR_CS, "ZIMMERMANN", DEID_RESIDUE },
    { "birth date as number", 0x00201041, DICOM_VR_DS, "19700131", DEID_RESIDUE },
    { "time of no day, an id", 0x00080032, DICOM_VR_TM, "55667788", DEID_RESIDUE },
    { "date of no month, an id", 0x00080022, DICOM_VR_DA, "55667788", DEID_RESIDUE },
    { "code that is text, a name", 0x00080008, DICOM_VR_CS, "ORIGINAL\\by Zimmermann^A", DEID_RESIDUE },
    { "code", 0x00080008, DICOM_VR_CS, "ORIGINAL\\PRIMARY\\AXIAL", DEID_EMIT },
    { "document as words", 0x00420011, DICOM_VR_OW, "%PDF by zimmermann", DEID_RESIDUE },
    { "character set as text", DICOM_SPECIFIC_CHARACTER_SET, DICOM_VR_LO, "ISO_IR 100", DEID_REFUSED },
    { "character set as unknown", DICOM_SPECIFIC_CHARACTER_SET, DICOM_VR_UN, "ISO_IR 100", DEID_EMIT },
    { "name of the patient as bytes", DICOM_OTHER_PATIENT_NAMES, DICOM_VR_OB, "Ottokar^X", DEID_RESIDUE },
    { "id of the patient as numbers", DICOM_OTHER_PATIENT_IDS, DICOM_VR_UL, "11223344", DEID_RESIDUE },
    { "name of an operator as numbers", 0x00081070, DICOM_VR_UL, "Ottokar^X", DEID_RESIDUE },
    { "name of an operator as text", 0x00081070, DICOM_VR_LO, "Ottokar^X", DEID_RESIDUE },
};

static void test_residue__the_written_vr_hides_nothing(void)
{
    static const struct project_tag_rule rules[] = {
        USUAL, RULE(0x0020, 0x4000, KEEP), RULE(0x0020, 0x1041, KEEP), RULE(0x0020, 0x0052, KEEP),
        RULE(0x0021, 0x1001, KEEP), RULE(0x0042, 0x0011, KEEP), RULE(0x0008, 0x0008, KEEP),
        RULE(0x0008, 0x0022, KEEP), RULE(0x0008, 0x0032, KEEP),
    };
    for (size_t i = 0; i < ARRAY_LEN(written_vrs); i++) {
        test_row("%s", written_vrs[i].name);
        rig_auto r;
        rig_init(&r, rules, ARRAY_LEN(rules));
        r.args.accession_number = phi_text(STR("55667788"));
        rig_start(&r);
        const uint32_t tag = written_vrs[i].tag;
        struct dcm d;
        dcm_begin(&d, true);
        if (tag <= 0x00080008)
            dcm_text(&d, tag, written_vrs[i].vr, written_vrs[i].value);
        dcm_text(&d, DICOM_SOP_CLASS_UID, DICOM_VR_UI, DCM_CT_IMAGE_STORAGE);
        dcm_text(&d, DICOM_SOP_INSTANCE_UID, DICOM_VR_UI, RIG_SOP);
        if (tag == 0x00080022 || tag == 0x00080032)
            dcm_text(&d, tag, written_vrs[i].vr, written_vrs[i].value);
        dcm_text(&d, DICOM_MODALITY, DICOM_VR_CS, "CT");
        dcm_text(&d, DICOM_MANUFACTURER, DICOM_VR_LO, "ACME");
        dcm_text(&d, DICOM_SERIES_DESCRIPTION, DICOM_VR_LO, "by Ottokar, 11223344");
        if (tag == 0x00081070)
            dcm_text(&d, tag, written_vrs[i].vr, written_vrs[i].value);
        rig_patient(&d);
        if (DICOM_GROUP(tag) == 0x0010)
            dcm_text(&d, tag, written_vrs[i].vr, written_vrs[i].value);
        rig_uids(&d);
        if (DICOM_GROUP(tag) == 0x0020)
            dcm_text(&d, tag, written_vrs[i].vr, written_vrs[i].value);
        if (DICOM_GROUP(tag) == 0x0021) {
            bool is_creator = tag == 0x00210010;
            dcm_text(&d, 0x00210010, is_creator ? written_vrs[i].vr : DICOM_VR_LO, "ACME A");
            dcm_text(&d, 0x00211001, is_creator ? DICOM_VR_LO : written_vrs[i].vr, is_creator ? "text" : written_vrs[i].value);
        }
        if (tag == 0x00420011)
            dcm_text(&d, tag, written_vrs[i].vr, written_vrs[i].value);
        CHECK_INT(rig_run(&r, dcm_str(&d)), written_vrs[i].v);
        if (written_vrs[i].v == DEID_REFUSED)
            CHECK_INT(r.res.why, STUDY_WHY_UNSUPPORTED_VALUE);
        dcm_done(&d);
    }
}

static void test_residue__a_rule_that_keeps_an_identity_is_obeyed(void)
{
    static const struct project_tag_rule rules[] = {
        RULE(0x0008, 0x0016, KEEP),        RULE(0x0008, 0x0018, REPLACE_UID), RULE(0x0020, 0x000D, REPLACE_UID),
        RULE(0x0020, 0x000E, REPLACE_UID), RULE(0x0010, 0x0010, KEEP),        RULE(0x0010, 0x0020, KEEP),
        RULE(0x0010, 0x0030, KEEP),        RULE(0x0008, 0x0020, KEEP),        RULE(0x0020, 0x0052, KEEP),
        RULE(0x0020, 0x0010, KEEP),        RULE(0x0008, 0x0012, KEEP),
    };
    static const struct { const char *made, *study_date, *study_id; enum deid_verdict verdict; } rows[] = {
        { "20200102", "20200102", "S4711", DEID_EMIT },
        { "20200102", "19700131", "S4711", DEID_EMIT },        /* born on the day of the study */
        { "19700131", "20200102", "S4711", DEID_RESIDUE },
        { "20200102", "born 19700131", "S4711", DEID_RESIDUE },
        { "20200102", "20200102", RIG_MRN, DEID_RESIDUE },     /* the MRN is kept, but not here */
        { "20200102", "20200102", "ACC-55667", DEID_RESIDUE },
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        rig_auto r;
        rig_init(&r, rules, ARRAY_LEN(rules));
        r.args.accession_number = phi_text(STR("ACC-55667"));
        rig_start(&r);
        struct dcm d;
        dcm_begin(&d, true);
        dcm_text(&d, 0x00080012, DICOM_VR_DA, rows[i].made);
        dcm_text(&d, DICOM_SOP_CLASS_UID, DICOM_VR_UI, DCM_CT_IMAGE_STORAGE);
        dcm_text(&d, DICOM_SOP_INSTANCE_UID, DICOM_VR_UI, RIG_SOP);
        dcm_text(&d, DICOM_STUDY_DATE, DICOM_VR_DA, rows[i].study_date);
        dcm_text(&d, DICOM_MODALITY, DICOM_VR_CS, "CT");
        dcm_text(&d, DICOM_MANUFACTURER, DICOM_VR_LO, "ACME");
        rig_patient(&d);
        rig_uids(&d);
        dcm_text(&d, 0x00200010, DICOM_VR_SH, rows[i].study_id);
        dcm_text(&d, 0x00200052, DICOM_VR_UI, RIG_SERIES ".1");
        CHECK_INT(rig_run(&r, dcm_str(&d)), rows[i].verdict);
        dcm_done(&d);
    }
}

/* What a rule keeps as the patient's name is that, also where somebody else of that name is dropped, before or after. */
static void test_residue__a_kept_name_may_be_anothers_too(void)
{
    static const struct project_tag_rule rules[] = { USUAL, RULE(0x0010, 0x0010, KEEP), RULE(0x0010, 0x1001, KEEP),
                                                     RULE(0x0008, 0x1050, KEEP), RULE(0x0010, 0x4000, KEEP) };
    static const struct {
        const char *operator_name, *physician, *other, *comment;
        enum deid_verdict verdict;
    } rows[] = {
        { "Zimmermann^Aloysia", "Quack^D", "Zimmer^Aloysia", "nothing", DEID_EMIT },
        { "Quack^Aloysia", "Weaver^D", "Quack^Aloysia", "nothing", DEID_EMIT },
        { "Quack^D", "Aloysia Zimmermann", "Zimmer^A", "nothing", DEID_RESIDUE }, /* kept as somebody else's name */
        { "Zimmermann^Aloysia", "Quack^D", "Zimmer^A", "by Zimmermann", DEID_RESIDUE },
        { "Quack^D", "Quack^D", "ACC-55667", "nothing", DEID_RESIDUE },
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        test_row("row %zu", i);
        rig_auto r;
        rig_init(&r, rules, ARRAY_LEN(rules));
        r.args.accession_number = phi_text(STR("ACC-55667"));
        rig_start(&r);
        for (int n = 0; n < 3; n++) { /* who else bears it is said by the second instance only */
            struct dcm d;
            rig_begin(&d, true);
            dcm_text(&d, 0x00081050, DICOM_VR_PN, rows[i].physician);
            if (n == 1)
                dcm_text(&d, 0x00081070, DICOM_VR_PN, rows[i].operator_name);
            rig_patient(&d);
            dcm_text(&d, 0x00101001, DICOM_VR_PN, rows[i].other);
            dcm_text(&d, 0x00104000, DICOM_VR_LT, rows[i].comment);
            rig_uids(&d);
            CHECK_INT(rig_run(&r, dcm_str(&d)), rows[i].verdict);
            dcm_done(&d);
        }
    }
}

static enum deid_verdict run_with(struct rig *r, const char *sop, const char *operator_name, const char *comment)
{
    struct dcm d;
    dcm_begin(&d, true);
    dcm_text(&d, DICOM_SOP_CLASS_UID, DICOM_VR_UI, DCM_CT_IMAGE_STORAGE);
    dcm_text(&d, DICOM_SOP_INSTANCE_UID, DICOM_VR_UI, sop);
    dcm_text(&d, DICOM_MODALITY, DICOM_VR_CS, "CT");
    dcm_text(&d, DICOM_MANUFACTURER, DICOM_VR_LO, "ACME");
    if (operator_name)
        dcm_text(&d, 0x00081070, DICOM_VR_PN, operator_name);
    rig_patient(&d);
    rig_uids(&d);
    dcm_text(&d, 0x00204000, DICOM_VR_LT, comment);
    enum deid_verdict v = rig_run(r, dcm_str(&d));
    dcm_done(&d);
    return v;
}

static void test_residue__a_later_instance_finds_an_earlier_one(void)
{
    static const struct project_tag_rule rules[] = { USUAL, RULE(0x0020, 0x4000, KEEP) };
    rig_auto r;
    rig_init(&r, rules, ARRAY_LEN(rules));
    rig_start(&r);
    CHECK_INT(run_with(&r, "1.2.3.1", NULL, "done by ottokar"), DEID_EMIT);
    CHECK_INT(run_with(&r, "1.2.3.2", NULL, "nothing"), DEID_EMIT);
    CHECK_INT(run_with(&r, "1.2.3.3", "Smith^Ottokar", "nothing"), DEID_RESIDUE);
    CHECK_STR(str_of(r.res.where), "(0020,4000)");
    CHECK_INT(run_with(&r, "1.2.3.4", NULL, "done by ottokar"), DEID_RESIDUE);      /* no cached "clean" lives on */
    CHECK_INT(run_with(&r, "1.2.3.5", NULL, "nothing"), DEID_EMIT);
}

static void test_residue__a_refused_instance_still_tells_what_it_knew(void)
{
    static const struct project_tag_rule rules[] = { USUAL, RULE(0x0020, 0x4000, KEEP),
                                                     RULE(0x0019, 0x1001, SECURE_HASH) };
    rig_auto r;
    rig_init(&r, rules, ARRAY_LEN(rules));
    rig_start(&r);
    CHECK_INT(run_with(&r, "1.2.3.1", NULL, "done by ottokar"), DEID_EMIT);
    for (int says_name = 0; says_name < 2; says_name++) {
        struct dcm d;
        rig_begin(&d, true);
        if (says_name)
            dcm_text(&d, 0x00081070, DICOM_VR_PN, "Smith^Ottokar");
        rig_patient(&d);
        dcm_text(&d, 0x00190010, DICOM_VR_LO, "ACME");
        dcm_text(&d, 0x00191001, DICOM_VR_ST, "no LO and no SH");
        rig_uids(&d);
        CHECK_INT(rig_run(&r, dcm_str(&d)), says_name ? DEID_RESIDUE : DEID_REFUSED);
        CHECK_STR(str_of(r.res.where), says_name ? "(0020,4000)" : "(0019,1001)");
        dcm_done(&d);
    }
}

/* The same bytes of the same element, first as a code, where less counts. */
static void test_residue__a_value_seen_as_a_code_is_searched_as_text(void)
{
    static const struct project_tag_rule rules[] = { USUAL, RULE(0x0018, 0x5100, KEEP) };
    rig_auto r;
    rig_init(&r, rules, ARRAY_LEN(rules));
    rig_start(&r);
    for (int as_text = 0; as_text < 2; as_text++) {
        struct dcm d;
        dcm_begin(&d, true);
        dcm_text(&d, DICOM_SOP_CLASS_UID, DICOM_VR_UI, DCM_CT_IMAGE_STORAGE);
        dcm_text(&d, DICOM_SOP_INSTANCE_UID, DICOM_VR_UI, as_text ? "1.2.3.2" : "1.2.3.1");
        dcm_text(&d, DICOM_MODALITY, DICOM_VR_CS, "CT");
        dcm_text(&d, DICOM_MANUFACTURER, DICOM_VR_LO, "ACME");
        dcm_text(&d, 0x00081070, DICOM_VR_PN, "Rosenbaum^Theo");
        rig_patient(&d);
        dcm_text(&d, 0x00185100, as_text ? DICOM_VR_LO : DICOM_VR_CS, "ROSENBAUM");
        rig_uids(&d);
        test_row("%s", as_text ? "as text" : "as a code");
        enum deid_verdict v = rig_run(&r, dcm_str(&d));
        CHECK_INT(v, as_text ? DEID_RESIDUE : DEID_EMIT);
        dcm_done(&d);
    }
}

/* Filtered by its modality; or two values of one element, so that nobody knows which counts. */
static void test_residue__an_instance_that_is_left_out_tells_too(void)
{
    static const struct project_tag_rule rules[] = { USUAL, RULE(0x0020, 0x4000, KEEP) };
    for (int is_filtered = 0; is_filtered < 2; is_filtered++)
        for (int says_name = 0; says_name < 2; says_name++) {
            struct dcm d;
            rig_auto r;
            rig_init(&r, rules, ARRAY_LEN(rules));
            rig_start(&r);
            CHECK_INT(run_with(&r, "1.2.3.1", NULL, "done by ottokar"), DEID_EMIT);
            dcm_begin(&d, true);
            dcm_text(&d, DICOM_SOP_CLASS_UID, DICOM_VR_UI, DCM_CT_IMAGE_STORAGE);
            dcm_text(&d, DICOM_SOP_INSTANCE_UID, DICOM_VR_UI, "1.2.3.2");
            dcm_text(&d, DICOM_MODALITY, DICOM_VR_CS, is_filtered ? "SR" : "CT");
            if (!is_filtered)
                dcm_text(&d, DICOM_MODALITY, DICOM_VR_CS, "MR");
            dcm_text(&d, DICOM_MANUFACTURER, DICOM_VR_LO, "ACME");
            if (says_name)
                dcm_text(&d, 0x00081070, DICOM_VR_PN, "Smith^Ottokar");
            rig_patient(&d);
            rig_uids(&d);
            test_row("%s, %s", is_filtered ? "filtered" : "refused", says_name ? "with the name" : "without");
            CHECK_INT(rig_run(&r, dcm_str(&d)), says_name ? DEID_RESIDUE : is_filtered ? DEID_FILTERED : DEID_REFUSED);
            CHECK_STR(str_of(r.res.where), says_name ? "(0020,4000)" : "(0008,0060)");
            dcm_done(&d);
        }
}

static void test_residue__another_patient_starts_anew_when_none_is_given(void)
{
    static const struct project_tag_rule rules[] = { USUAL, RULE(0x0020, 0x4000, KEEP) };
    rig_auto r;
    rig_init(&r, rules, ARRAY_LEN(rules));
    r.args.mrn = phi_text(STR(""));
    r.args.study_uid = phi_text(STR(""));
    rig_start(&r);
    CHECK_STR(str_of(deid_study_uid(r.study)), "");
    CHECK_INT(run_with(&r, "1.2.3.1", "Smith^Ottokar", "nothing"), DEID_EMIT);
    char patient[80];
    (void)snprintf(patient, sizeof patient, "%.*s", STR_ARG(TEXT(&r, DICOM_PATIENT_ID)));
    CHECK_INT(strlen(patient), 64);
    struct dcm d;
    rig_begin(&d, true);
    dcm_text(&d, DICOM_PATIENT_ID, DICOM_VR_LO, "another");
    dcm_text(&d, DICOM_STUDY_UID, DICOM_VR_UI, "1.2.3.4.5.6");
    dcm_text(&d, DICOM_SERIES_UID, DICOM_VR_UI, "1.2.3.4.5.6.7");
    dcm_text(&d, 0x00204000, DICOM_VR_LT, "ottokar is nobody here");
    CHECK_INT(rig_run(&r, dcm_str(&d)), DEID_EMIT);
    CHECK(TEXT(&r, DICOM_PATIENT_ID).n == 64 && !str_eq(TEXT(&r, DICOM_PATIENT_ID), str_of(patient)));
    dcm_done(&d);
}

static void test_residue__one_study_under_two_patient_ids_is_one_study(void)
{
    static const struct project_tag_rule rules[] = { USUAL, RULE(0x0020, 0x4000, KEEP) };
    static const char *const study_uids[] = { "", RIG_STUDY };
    for (size_t i = 0; i < ARRAY_LEN(study_uids); i++) {
        rig_auto r;
        rig_init(&r, rules, ARRAY_LEN(rules));
        r.args.mrn = phi_text(STR(""));
        r.args.study_uid = phi_text(str_of(study_uids[i]));
        rig_start(&r);
        CHECK_INT(run_with(&r, "1.2.3.1", "Smith^Ottokar", "nothing"), DEID_EMIT);
        struct dcm d;
        rig_begin(&d, true);
        dcm_text(&d, DICOM_PATIENT_ID, DICOM_VR_LO, "another");
        rig_uids(&d);
        dcm_text(&d, 0x00204000, DICOM_VR_LT, "done by ottokar");
        CHECK_INT(rig_run(&r, dcm_str(&d)), DEID_RESIDUE);
        CHECK(deid_study_has_residue(r.study));
        dcm_done(&d);
    }
}

static void test_residue__a_participant_id_that_is_the_mrn_is_found(void)
{
    static const struct project_tag_rule rules[] = { USUAL, RULE(0x0020, 0x4000, KEEP) };
    rig_auto r;
    rig_init(&r, rules, ARRAY_LEN(rules));
    r.args.participant_id = STR("mrn 4711 08");
    rig_start(&r);
    CHECK_INT(run_with(&r, "1.2.3.1", NULL, "nothing"), DEID_RESIDUE);
    CHECK_STR(str_of(r.res.where), "(0010,0020)");
}

static void test_residue__reads_the_character_set(void)
{
    static const struct project_tag_rule rules[] = { USUAL, RULE(0x0020, 0x4000, KEEP) };
    static const struct { const char *set, *name, *comment; enum deid_verdict verdict;
    } rows[] = {
        { "ISO_IR 100", "J\344ger^B", "for J\304GER", DEID_RESIDUE },
        { "ISO_IR 192", "J\303\244ger^B", "for J\303\204GER", DEID_RESIDUE },
        { "ISO_IR 144", "\273\316\332^A", "\316\332", DEID_EMIT },
        { "ISO_IR 144", "\270\322\320\335\336\322^A", "\270\262\260\275\276\262", DEID_RESIDUE },
        { NULL, "J\344ger^B", "for j\344ger", DEID_RESIDUE },
        { NULL, "J\344ger^B", "for jaeger", DEID_RESIDUE },
        { NULL, "Jaeger^B", "for j\344ger", DEID_RESIDUE },
        { "ISO_IR 192", "J\303\244ger^B", "for J\303\204GER \377", DEID_RESIDUE },
        { "\\ISO 2022 IR 87", "Yamada^Tarou=\033$B;3ED\033(B^\033$BB@O:\033(B", "\033$B;3EDB@O:MM\033(B CT",
          DEID_RESIDUE },
        { "\\ISO 2022 IR 87", "Yamada^Tarou=\033$B;3ED\033(B^\033$BB@O:\033(B", "\033$B;3EDMM\033(B \377",
          DEID_RESIDUE },
        { "\\ISO 2022 IR 87", "Yamada^Tarou=\033$B;3ED\033(B^\033$BB@O:\033(B", "1 3ED 2", DEID_EMIT },
        { "\\ISO 2022 IR 87", "Doe^Jane", "\033$BX^JANE^1234", DEID_RESIDUE },
        { "\\ISO 2022 IR 87", "Doe^Jane", "\033$BXY DOE ;3\033(B", DEID_RESIDUE },
        { "\\ISO 2022 IR 87", "Doe^Jane", "\033$B!!DOE!;3\033(B", DEID_EMIT }, /* ideographs */
        { "\\ISO 2022 IR 149", "Hong^Gildong=\033$)C\373\363^\033$)C\321\316\324\327",
          "\033$)C\373\363\321\316\324\327", DEID_RESIDUE },
        { "GB18030", "Wang^XiaoDong=\315\365^\320\241\266\253", "\315\365\320\241\266\253\305\256\312\277",
          DEID_RESIDUE },
        { "GBK", "Wang^XiaoDong=\315\365^\320\241\266\253", "\315\365\320\241\266\253", DEID_RESIDUE },
        { "GBK", "Wang^XiaoDong=\315\365^\320\241\266\253", "\266\253\320\241\315\365", DEID_EMIT },
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        test_row("%zu %s", i, rows[i].set ? rows[i].set : "none");
        rig_auto r;
        rig_init(&r, rules, ARRAY_LEN(rules));
        rig_start(&r);
        struct dcm d;
        dcm_begin(&d, true);
        if (rows[i].set)
            dcm_text(&d, DICOM_SPECIFIC_CHARACTER_SET, DICOM_VR_CS, rows[i].set);
        dcm_text(&d, DICOM_SOP_CLASS_UID, DICOM_VR_UI, DCM_CT_IMAGE_STORAGE);
        dcm_text(&d, DICOM_SOP_INSTANCE_UID, DICOM_VR_UI, RIG_SOP);
        dcm_text(&d, DICOM_MODALITY, DICOM_VR_CS, "CT");
        dcm_text(&d, DICOM_MANUFACTURER, DICOM_VR_LO, "ACME");
        dcm_text(&d, DICOM_PATIENT_NAME, DICOM_VR_PN, rows[i].name);
        dcm_text(&d, DICOM_PATIENT_ID, DICOM_VR_LO, RIG_MRN);
        rig_uids(&d);
        dcm_text(&d, 0x00204000, DICOM_VR_LT, rows[i].comment);
        CHECK_INT(rig_run(&r, dcm_str(&d)), rows[i].verdict);
        if (rows[i].verdict == DEID_EMIT && rows[i].set)
            CHECK_STR(TEXT(&r, DICOM_SPECIFIC_CHARACTER_SET), rows[i].set);
        dcm_done(&d);
    }
}

static void test_pixels__keep_what_describes_them(void)
{
    static const struct project_tag_rule plain[] = { USUAL };
    static const struct project_tag_rule without[] = { RULE(0x0008, 0x0016, KEEP), RULE(0x0020, 0x000D, REPLACE_UID) };
    static const struct project_tag_rule frames_deleted[] = { USUAL, RULE(0x0028, 0x0008, DELETE) };
    static const struct project_tag_rule zeroed[] = { USUAL, RULE(0x7FE0, 0x0010, REPLACE) };
    static const struct {
        const char *name;
        const struct project_tag_rule *rules;
        size_t n;
        bool compressed;
        enum deid_verdict verdict;
        bool has_frames;
    } rows[] = {
        { "kept", plain, ARRAY_LEN(plain), false, DEID_EMIT, true },
        { "kept, compressed", plain, ARRAY_LEN(plain), true, DEID_EMIT, true },
        { "no pixels, no frames", without, ARRAY_LEN(without), false, DEID_EMIT, false },
        { "frames deleted by a rule", frames_deleted, ARRAY_LEN(frames_deleted), false, DEID_REFUSED, false },
        { "zeroed", zeroed, ARRAY_LEN(zeroed), false, DEID_EMIT, false },
        { "compressed cannot be zeroed", zeroed, ARRAY_LEN(zeroed), true, DEID_REFUSED, false },
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        test_row("%s", rows[i].name);
        rig_auto r;
        rig_init(&r, rows[i].rules, rows[i].n);
        rig_start(&r);
        struct dcm d;
        if (rows[i].compressed)
            dcm_begin_syntax(&d, DCM_JPEG_BASELINE, DCM_CT_IMAGE_STORAGE, RIG_SOP);
        else
            dcm_begin(&d, true);
        dcm_text(&d, DICOM_SOP_CLASS_UID, DICOM_VR_UI, DCM_CT_IMAGE_STORAGE);
        dcm_text(&d, DICOM_SOP_INSTANCE_UID, DICOM_VR_UI, RIG_SOP);
        dcm_text(&d, DICOM_MODALITY, DICOM_VR_CS, "CT");
        dcm_text(&d, DICOM_MANUFACTURER, DICOM_VR_LO, "ACME");
        rig_patient(&d);
        rig_uids(&d);
        dcm_text(&d, DICOM_NUMBER_OF_FRAMES, DICOM_VR_IS, "2");
        if (rows[i].compressed)
            dcm_pixels_encapsulated(&d, 2, 100);
        else
            dcm_pixels_native(&d, 64);
        CHECK_INT(rig_run(&r, dcm_str(&d)), rows[i].verdict);
        if (rows[i].verdict == DEID_EMIT) {
            CHECK_INT(VALUE(&r, DICOM_NUMBER_OF_FRAMES).n == 2, rows[i].has_frames);
            CHECK_INT(r.res.pixels_compressed, rows[i].compressed);
        } else {
            CHECK_INT(r.res.why, STUDY_WHY_UNSUPPORTED_VALUE);
        }
        dcm_done(&d);
    }
}

static void test_markers__say_what_was_done(void)
{
    static const struct project_tag_rule plain[] = { USUAL, RULE(0x0012, 0x0063, KEEP) };
    static const struct project_tag_rule dates[] = { USUAL, RULE(0x0008, 0x0020, KEEP), RULE(0x0028, 0x0303, KEEP) };
    for (int keeps_dates = 0; keeps_dates < 2; keeps_dates++)
        for (int is_explicit = 0; is_explicit < 2; is_explicit++) {
            test_row("dates %d explicit %d", keeps_dates, is_explicit);
            rig_auto r;
            rig_init(&r, keeps_dates ? dates : plain, keeps_dates ? ARRAY_LEN(dates) : ARRAY_LEN(plain));
            rig_start(&r);
            struct dcm d;
            dcm_begin(&d, is_explicit);
            dcm_text(&d, DICOM_SOP_CLASS_UID, DICOM_VR_UI, DCM_CT_IMAGE_STORAGE);
            dcm_text(&d, DICOM_SOP_INSTANCE_UID, DICOM_VR_UI, RIG_SOP);
            dcm_text(&d, DICOM_STUDY_DATE, DICOM_VR_DA, "20200102");
            dcm_text(&d, DICOM_MODALITY, DICOM_VR_CS, "CT");
            dcm_text(&d, DICOM_MANUFACTURER, DICOM_VR_LO, "ACME");
            rig_patient(&d);
            dcm_text(&d, DICOM_PATIENT_IDENTITY_REMOVED, DICOM_VR_CS, "NO");
            dcm_text(&d, DICOM_DEIDENTIFICATION_METHOD, DICOM_VR_LO, "by Zimmermann");
            rig_uids(&d);
            dcm_text(&d, DICOM_LONGITUDINAL_TEMPORAL_MODIFIED, DICOM_VR_CS, "MODIFIED");
            REQUIRE(rig_run(&r, dcm_str(&d)) == DEID_EMIT);
            CHECK_STR(TEXT(&r, DICOM_PATIENT_IDENTITY_REMOVED), "YES");
            CHECK_STR(TEXT(&r, DICOM_DEIDENTIFICATION_METHOD), "pixl\\project rules\\residue check");
            CHECK_STR(TEXT(&r, DICOM_LONGITUDINAL_TEMPORAL_MODIFIED), keeps_dates ? "UNMODIFIED" : "REMOVED");
            CHECK_STR(TEXT(&r, DICOM_DEIDENTIFICATION_METHOD_CODES, 0x00080100), keeps_dates ? "113106" : "<none>");
            dcm_done(&d);
        }
}

static void test_groups__lengths_are_dropped(void)
{
    static const struct project_tag_rule rules[] = { USUAL, RULE(0x0008, 0x0000, KEEP) };
    rig_auto r;
    rig_init(&r, rules, ARRAY_LEN(rules));
    rig_start(&r);
    struct dcm d;
    dcm_begin(&d, true);
    dcm_u32(&d, 0x00080000, 500);
    dcm_text(&d, DICOM_SOP_CLASS_UID, DICOM_VR_UI, DCM_CT_IMAGE_STORAGE);
    dcm_text(&d, DICOM_SOP_INSTANCE_UID, DICOM_VR_UI, RIG_SOP);
    dcm_text(&d, DICOM_MODALITY, DICOM_VR_CS, "CT");
    dcm_text(&d, DICOM_MANUFACTURER, DICOM_VR_LO, "ACME");
    rig_patient(&d);
    dcm_u32(&d, 0x00200000, 100);
    rig_uids(&d);
    REQUIRE(rig_run(&r, dcm_str(&d)) == DEID_EMIT);
    CHECK_STR(VALUE(&r, 0x00080000), "<none>");
    CHECK_STR(VALUE(&r, 0x00200000), "<none>");
    dcm_done(&d);
}

int main(int argc, char **argv)
{
    static const struct test_case tests[] = {
        TEST(test_overrides__hold_for_their_manufacturer),
        TEST(test_residue__is_found_where_it_stands),
        TEST(test_residue__knows_numbers_of_orders_and_episodes),
        TEST(test_residue__bytes_of_unknown_vr_are_read_as_text),
        TEST(test_residue__bytes_are_read_in_the_character_set),
        TEST(test_residue__the_written_vr_hides_nothing),
        TEST(test_residue__a_rule_that_keeps_an_identity_is_obeyed),
        TEST(test_residue__a_kept_name_may_be_anothers_too),
        TEST(test_residue__a_later_instance_finds_an_earlier_one),
        TEST(test_residue__a_refused_instance_still_tells_what_it_knew),
        TEST(test_residue__a_value_seen_as_a_code_is_searched_as_text),
        TEST(test_residue__an_instance_that_is_left_out_tells_too),
        TEST(test_residue__another_patient_starts_anew_when_none_is_given),
        TEST(test_residue__one_study_under_two_patient_ids_is_one_study),
        TEST(test_residue__a_participant_id_that_is_the_mrn_is_found),
        TEST(test_residue__reads_the_character_set),
        TEST(test_pixels__keep_what_describes_them),
        TEST(test_markers__say_what_was_done),
        TEST(test_groups__lengths_are_dropped),
    };
    return test_main(argc, argv, tests, ARRAY_LEN(tests));
}
