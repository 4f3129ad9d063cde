/* What is no text: numbers, words and bytes that are more, or other, than they are called; in instances of
 * Zimmermann^Aloysia, of either byte order. */
#include "deid/deid.h"

#include <string.h>

#include "deid_rig.h"

static const struct project_tag_rule rules[] = {
    RULE(0x0008, 0x0016, KEEP),        RULE(0x0008, 0x0018, REPLACE_UID), RULE(0x0008, 0x0060, KEEP),
    RULE(0x0010, 0x0010, REPLACE),     RULE(0x0010, 0x0020, SECURE_HASH), RULE(0x0020, 0x000D, REPLACE_UID),
    RULE(0x0020, 0x000E, REPLACE_UID), RULE(0x0021, 0x1001, KEEP),        RULE(0x0028, 0x0009, KEEP),
    RULE(0x0028, 0x0010, KEEP),        RULE(0x0028, 0x1201, KEEP),        RULE(0x0028, 0x3006, KEEP),
    RULE(0x0028, 0x3000, KEEP),        RULE(0x0028, 0x9001, KEEP),        RULE(0x0040, 0x9225, KEEP),
    RULE(0x0066, 0x0016, KEEP),        RULE(0x7FE0, 0x0001, KEEP),        RULE(0x7FE0, 0x0010, KEEP),
};

static void begin(struct rig *r, struct dcm *d, bool is_big_endian)
{
    rig_init(r, rules, ARRAY_LEN(rules));
    rig_start(r);
    rig_begin_syntax(d, is_big_endian ? DCM_EXPLICIT_BE : DCM_EXPLICIT_LE);
    rig_patient(d);
    rig_uids(d);
}

static enum deid_verdict end(struct rig *r, struct dcm *d)
{
    enum deid_verdict v = rig_run(r, dcm_str(d));
    dcm_done(d);
    return v;
}

#define BYTES(text) text, sizeof(text) - 1
static const struct {
    const char *name;
    uint32_t tag;
    enum dicom_vr vr;
    const char *bytes;
    size_t n;
    enum deid_verdict v;
} values[] = {
    { "rows", DICOM_ROWS, DICOM_VR_US, BYTES("AL"), DEID_EMIT },
    { "rows, a name behind", DICOM_ROWS, DICOM_VR_US, BYTES("\4\0Zimmermann"), DEID_RESIDUE },
    { "rows as unknown", DICOM_ROWS, DICOM_VR_UN, BYTES("\4\0"), DEID_EMIT },
    { "rows as unknown, a name behind", DICOM_ROWS, DICOM_VR_UN, BYTES("\4\0Zimmermann"), DEID_RESIDUE },
    { "rows as words, a name behind", DICOM_ROWS, DICOM_VR_OW, BYTES("\4\0Zimmermann"), DEID_RESIDUE },
    { "rows of another size", DICOM_ROWS, DICOM_VR_UL, BYTES("\4\0\0\0"), DEID_EMIT },
    { "rows that are not whole", DICOM_ROWS, DICOM_VR_UL, BYTES("\4\0\0\0\0\0"), DEID_REFUSED },
    { "a float", 0x00409225, DICOM_VR_FD, BYTES("\0\0\0\0\0\0\360?"), DEID_EMIT },
    { "a float that is text", 0x00409225, DICOM_VR_FD, BYTES("A. ALOYS "), DEID_REFUSED },
    { "a float that is a name", 0x00409225, DICOM_VR_FD, BYTES("ALOYSIA "), DEID_RESIDUE },
    { "a float that is a name and padding", 0x00409225, DICOM_VR_FD, BYTES("ALOYSIA\0"), DEID_RESIDUE },
    { "a float that is nobody's name", 0x00409225, DICOM_VR_FD, BYTES("OTTOKAR "), DEID_EMIT },
    { "a float that is not whole", 0x00409225, DICOM_VR_FD, BYTES("\0\0\0\0"), DEID_REFUSED },
    { "a float as words that are not whole", 0x00409225, DICOM_VR_OW, BYTES("by zimmermann, A."), DEID_REFUSED },
    { "a float as words, a name", 0x00409225, DICOM_VR_OW, BYTES("by zimmermann..."), DEID_RESIDUE },
    { "a float as unknown", 0x00409225, DICOM_VR_UN, BYTES("\0\0\0\0\0\0\0\0\0\0"), DEID_REFUSED },
    { "floats, a name", 0x00409225, DICOM_VR_FD, BYTES("\0\0\0\0\0\0\360?Aloysia "), DEID_RESIDUE },
    { "a pointer as unknown", 0x00280009, DICOM_VR_UN, BYTES("\30\0\143\20"), DEID_EMIT },
    { "a pointer that is an id", 0x00280009, DICOM_VR_AT, BYTES("MRN-4711-08\0"), DEID_RESIDUE },
    { "palette", 0x00281201, DICOM_VR_OW, BYTES("ABCDEFGHIJKLMNOP"), DEID_EMIT },
    { "palette, a name", 0x00281201, DICOM_VR_OW, BYTES("by Zimmermann^A "), DEID_RESIDUE },
    { "lookup table, a date", 0x00283006, DICOM_VR_US, BYTES("\1\0\2\0born 1970-01-31 "), DEID_RESIDUE },
    { "lookup table as longs", 0x00283006, DICOM_VR_OL, BYTES("\1\0\2\0\3\0"), DEID_EMIT },
    { "points, a name", 0x00660016, DICOM_VR_OF, BYTES("\0\0\200?Zimmermann\0\0"), DEID_RESIDUE },
    { "offsets of nothing", DICOM_EXTENDED_OFFSET_TABLE, DICOM_VR_OV, BYTES("MRN 4711-08     "), DEID_REFUSED },
    { "private words, a name", 0x00211001, DICOM_VR_OW, BYTES("by Zimmermann^A "), DEID_RESIDUE },
    { "private doubles, a name", 0x00211001, DICOM_VR_OD, BYTES("by Zimmermann^A "), DEID_RESIDUE },
    { "private numbers", 0x00211001, DICOM_VR_US, BYTES("AL"), DEID_EMIT },
    { "private numbers, not whole", 0x00211001, DICOM_VR_UV, BYTES("ABCD"), DEID_REFUSED },
    { "a sequence as words", 0x00283000, DICOM_VR_OW, BYTES("\376\377\0\340\0\0\0\0"), DEID_REFUSED },
    { "a sequence as floats", 0x00283000, DICOM_VR_FL, BYTES("1234"), DEID_REFUSED },
    { "a sequence as text", 0x00283000, DICOM_VR_LO, BYTES("nothing"), DEID_REFUSED },
    { "a sequence as bytes", 0x00283000, DICOM_VR_OB, BYTES("nothing "), DEID_REFUSED },
    { "a sequence as nothing", 0x00283000, DICOM_VR_OW, BYTES(""), DEID_EMIT },
    { "an item in a lookup table", 0x00283006, DICOM_VR_OW, BYTES("\376\377\0\340\2\0\0\0\1\2"), DEID_REFUSED },
    { "an item in floats", 0x00660016, DICOM_VR_OF, BYTES("\377\376\340\0\0\0\0\4\1\2\3\4"), DEID_REFUSED },
};

static void test_binary__values_are_searched_or_refused(void)
{
    for (size_t i = 0; i < 2 * ARRAY_LEN(values); i++) {
        const size_t k = i / 2;
        const uint32_t tag = values[k].tag;
        test_row("%s%s", values[k].name, i % 2 ? ", big endian" : "");
        rig_auto r;
        struct dcm d;
        char where[32];
        begin(&r, &d, i % 2 != 0);
        if (dicom_tag_is_private(tag))
            dcm_text(&d, 0x00210010, DICOM_VR_LO, "ACME A");
        dcm_bytes(&d, tag, values[k].vr, values[k].bytes, values[k].n);
        CHECK_INT(end(&r, &d), values[k].v);
        (void)snprintf(where, sizeof where, "(%04X,%04X)", DICOM_GROUP(tag), DICOM_ELEMENT_OF(tag));
        if (values[k].v != DEID_EMIT)
            CHECK_STR(str_of(r.res.where), where);
        if (values[k].v == DEID_REFUSED)
            CHECK_INT(r.res.why, STUDY_WHY_UNSUPPORTED_VALUE);
    }
}

/* In implicit syntax the dictionary alone says what a value is. */
static void test_binary__of_implicit_syntax_is_searched(void)
{
    static const struct {
        uint32_t tag;
        const char *bytes;
        size_t n;
        enum deid_verdict v;
    } rows[] = {
        { DICOM_ROWS, BYTES("\4\0Zimmermann"), DEID_RESIDUE },
        { 0x00281201, BYTES("by Zimmermann^A "), DEID_RESIDUE },
        { 0x00283006, BYTES("\376\377\0\340\2\0\0\0\1\2"), DEID_REFUSED },
        { 0x00409225, BYTES("\4\0Zimmermann"), DEID_REFUSED },
        { 0x00281201, BYTES("\1\2\3\4"), DEID_EMIT },
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        test_row("%zu", i);
        rig_auto r;
        struct dcm d;
        rig_init(&r, rules, ARRAY_LEN(rules));
        rig_start(&r);
        rig_begin(&d, false);
        rig_patient(&d);
        rig_uids(&d);
        dcm_bytes(&d, rows[i].tag, dicom_dict_vr(rows[i].tag), rows[i].bytes, rows[i].n);
        CHECK_INT(end(&r, &d), rows[i].v);
    }
}

/* A name that comes later is found in numbers that were given away. */
static void test_binary__a_later_name_is_found_in_numbers(void)
{
    rig_auto r;
    for (int late = 0; late < 2; late++) {
        struct dcm d;
        if (late == 0) {
            begin(&r, &d, false);
            dcm_bytes(&d, 0x00409225, DICOM_VR_FD, "OTTOKAR ", 8);
        } else {
            rig_begin(&d, true);
            dcm_text(&d, 0x00081070, DICOM_VR_PN, "Smith^Ottokar");
            rig_patient(&d);
            rig_uids(&d);
        }
        CHECK_INT(end(&r, &d), late ? DEID_RESIDUE : DEID_EMIT);
    }
    CHECK_STR(str_of(r.res.where), "(0040,9225)");
}

static const struct {
    const char *name;
    uint16_t group, allocated, position;
    bool has_position, has_data, has_pixels;
    enum deid_verdict v;
} overlays[] = {
    { "in bit 12", 0x6000, 16, 12, true, false, true, DEID_REFUSED },
    { "in bit 15 of the last group", 0x601E, 1, 15, true, false, true, DEID_REFUSED },
    { "in a bit that is not told", 0x6000, 16, 0, false, false, true, DEID_REFUSED },
    { "in bit 0 of words", 0x6002, 16, 0, true, false, true, DEID_REFUSED },
    { "in data of its own", 0x6000, 1, 0, true, true, true, DEID_EMIT },
    { "in data of its own, of another bit", 0x6000, 16, 12, true, true, true, DEID_EMIT },
    { "nowhere", 0x6000, 1, 0, true, false, true, DEID_EMIT },
    { "in no pixels", 0x6000, 16, 12, true, false, false, DEID_EMIT },
    { "in a private group", 0x6001, 16, 12, true, false, true, DEID_EMIT },
};

static void test_binary__overlay_in_the_pixels_is_refused(void)
{
    for (size_t i = 0; i < 2 * ARRAY_LEN(overlays); i++) {
        const size_t k = i / 2;
        const uint32_t group = (uint32_t)overlays[k].group << 16;
        test_row("%s%s", overlays[k].name, i % 2 ? ", big endian" : "");
        rig_auto r;
        struct dcm d;
        char where[32];
        begin(&r, &d, i % 2 != 0);
        dcm_u16(&d, DICOM_ROWS, 4);
        dcm_u16(&d, DICOM_COLUMNS, 4);
        dcm_u16(&d, DICOM_BITS_ALLOCATED, 16);
        dcm_u16(&d, group | 0x0010, 4);
        dcm_u16(&d, group | 0x0011, 4);
        dcm_u16(&d, group | 0x0100, overlays[k].allocated);
        if (overlays[k].has_position)
            dcm_u16(&d, group | 0x0102, overlays[k].position);
        if (overlays[k].has_data)
            dcm_bytes(&d, group | 0x3000, DICOM_VR_OW, "\1\2", 2);
        if (overlays[k].has_pixels)
            dcm_fill(&d, DICOM_PIXEL_DATA, DICOM_VR_OW, 32);
        CHECK_INT(end(&r, &d), overlays[k].v);
        if (overlays[k].v == DEID_REFUSED) {
            (void)snprintf(where, sizeof where, "(%04X,%04X)", overlays[k].group,
                           overlays[k].allocated > 1 ? 0x0100 : 0x0102);
            CHECK_INT(r.res.why, STUDY_WHY_OVERLAY_IN_PIXELS);
            CHECK_STR(str_of(r.res.where), where);
        }
    }
}

/* What is not one number may be any. */
static void test_binary__overlay_whose_place_is_no_number_is_refused(void)
{
    static const struct {
        const char *name;
        enum dicom_vr vr;
        const char *bytes;
        size_t n;
        enum deid_verdict v;
    } rows[] = {
        { "two numbers", DICOM_VR_US, BYTES("\0\0\14\0"), DEID_REFUSED },
        { "a text", DICOM_VR_LO, BYTES("bit 12"), DEID_REFUSED },
        { "unknown", DICOM_VR_UN, BYTES("\14\0"), DEID_REFUSED },
        { "nothing", DICOM_VR_US, BYTES(""), DEID_EMIT },
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        test_row("%s", rows[i].name);
        rig_auto r;
        struct dcm d;
        begin(&r, &d, false);
        dcm_u16(&d, DICOM_ROWS, 4);
        dcm_u16(&d, DICOM_COLUMNS, 4);
        dcm_u16(&d, DICOM_BITS_ALLOCATED, 16);
        dcm_bytes(&d, 0x60000102, rows[i].vr, rows[i].bytes, rows[i].n);
        dcm_fill(&d, DICOM_PIXEL_DATA, DICOM_VR_OW, 32);
        CHECK_INT(end(&r, &d), rows[i].v);
    }
}

int main(int argc, char **argv)
{
    static const struct test_case tests[] = {
        TEST(test_binary__values_are_searched_or_refused),
        TEST(test_binary__of_implicit_syntax_is_searched),
        TEST(test_binary__a_later_name_is_found_in_numbers),
        TEST(test_binary__overlay_in_the_pixels_is_refused),
        TEST(test_binary__overlay_whose_place_is_no_number_is_refused),
    };
    return test_main(argc, argv, tests, ARRAY_LEN(tests));
}
