#include "dicom/tag.h"

#include <stdio.h>
#include <string.h>

#include "test.h"

static void test_dict__finds_tags_and_repeating_groups(void)
{
    static const struct { const char *name; uint32_t tag; const char *keyword; enum dicom_vr vr; } rows[] = {
        { "first",              0x00020000, "FileMetaInformationGroupLength", DICOM_VR_UL },
        { "meta",               0x00020010, "TransferSyntaxUID", DICOM_VR_UI },
        { "patient name",       0x00100010, "PatientName", DICOM_VR_PN },
        { "sequence",           0x00081140, "ReferencedImageSequence", DICOM_VR_SQ },
        { "several VRs",        0x00280106, "SmallestImagePixelValue", DICOM_VR_US },
        { "OB or OW",           0x7FE00010, "PixelData", DICOM_VR_OW },
        { "overlay 6000",       0x60003000, "OverlayData", DICOM_VR_OB },
        { "overlay 601E",       0x601E0010, "OverlayRows", DICOM_VR_US },
        { "curve",              0x50023000, "CurveData", DICOM_VR_OB },
        { "a digit within",     0x00280411, "ColumnsForNthOrderCoefficients", DICOM_VR_US },
        { "exact before masked", 0x7FE00008, "FloatPixelData", DICOM_VR_OF },
        { "variable pixels",    0x7F020010, "VariablePixelData", DICOM_VR_OB },
        { "group length",       0x00100000, "GenericGroupLength", DICOM_VR_UL },
        { "last",               0xFFFEE0DD, "SequenceDelimitationItem", DICOM_VR_NONE },
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        test_row("%s", rows[i].name);
        const struct dicom_dict_entry *e = dicom_dict_find(rows[i].tag);
        REQUIRE(e != NULL);
        CHECK_STR(str_of(e->keyword), rows[i].keyword);
        CHECK_INT(dicom_dict_vr(rows[i].tag), rows[i].vr);
    }
}

static void test_dict__private_and_unknown_tags_have_no_entry(void)
{
    static const struct { const char *name; uint32_t tag; enum dicom_vr vr; } rows[] = {
        { "private",              0x00091001, DICOM_VR_UN },
        { "private creator",      0x00290010, DICOM_VR_LO },
        { "private group length", 0x00290000, DICOM_VR_UL },
        { "private in 60xx",      0x60010010, DICOM_VR_LO },
        { "private in 7Fxx",      0x7FE11010, DICOM_VR_UN },
        { "unknown",              0x00089999, DICOM_VR_UN },
        { "below all",            0x00000001, DICOM_VR_UN },
        { "above all",            0xFFFFFFFE, DICOM_VR_UN },
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        test_row("%s", rows[i].name);
        CHECK(dicom_dict_find(rows[i].tag) == NULL);
        CHECK_INT(dicom_dict_vr(rows[i].tag), rows[i].vr);
    }
}

/* Every row of the data file can be found, by its tag and by its keyword. */
static void test_dict__holds_every_row_of_the_standard(void)
{
    FILE *f = fopen(PIXL_SOURCE_DIR "/data/dicom_attributes.tsv", "r");
    REQUIRE(f != NULL);
    char line[512];
    int n = 0;
    while (fgets(line, sizeof line, f) != NULL) {
        unsigned group, element;
        char vr[32], keyword[128];
        if (sscanf(line, "(%4x,%4x)\t%31[^\t]\t%*[^\t]\t%127[A-Za-z0-9]", &group, &element, vr, keyword) != 4 ||
            keyword[1] == '\0')
            continue;           /* the heading, tags with an X, rows without VR or keyword */
        test_row("%s", keyword);
        const struct dicom_dict_entry *e = dicom_dict_find(DICOM_TAG(group, element));
        REQUIRE(e != NULL);
        CHECK_STR(str_of(e->keyword), keyword);
        if (vr[0] != 'S' || vr[1] != 'e')
            CHECK(strncmp(dicom_vr_name(e->vr), vr, 2) == 0);
        CHECK(dicom_dict_find_keyword(keyword) == e);
        n++;
    }
    (void)fclose(f);
    CHECK(n > 5000);
}

static void test_dict__finds_keywords(void)
{
    CHECK(dicom_dict_find_keyword("PatientID") != NULL && dicom_dict_find_keyword("PatientID")->tag == 0x00100020);
    const struct dicom_dict_entry *overlay = dicom_dict_find_keyword("OverlayData");
    CHECK(overlay != NULL && overlay->mask == 0xFF00FFFF);
    CHECK(dicom_dict_find_keyword("patientid") == NULL);
    CHECK(dicom_dict_find_keyword("") == NULL);
    CHECK(dicom_dict_find_keyword("Zzz") == NULL);
}

static void test_vr__names_parse_back(void)
{
    for (enum dicom_vr vr = DICOM_VR_NONE + 1; vr < DICOM_VR_COUNT; vr++) {
        enum dicom_vr back;
        test_row("%s", dicom_vr_name(vr));
        CHECK(dicom_vr_parse(dicom_vr_name(vr), &back) && back == vr);
    }
    static const char *const bad[] = { "AA", "lo", "--", "\0\0", "O@", "[A", "ZZ", "\377\377" };
    enum dicom_vr untouched = DICOM_VR_LO;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        CHECK(!dicom_vr_parse(bad[i], &untouched) && untouched == DICOM_VR_LO);
}

static void test_vr__properties(void)
{
    CHECK(dicom_vr_has_long_header(DICOM_VR_OB) && dicom_vr_has_long_header(DICOM_VR_UT));
    CHECK(dicom_vr_has_long_header(DICOM_VR_SV) && dicom_vr_has_long_header(DICOM_VR_SQ));
    CHECK(!dicom_vr_has_long_header(DICOM_VR_LO) && !dicom_vr_has_long_header(DICOM_VR_US));
    CHECK(dicom_vr_is_text(DICOM_VR_UI) && dicom_vr_is_text(DICOM_VR_DS));
    CHECK(!dicom_vr_is_text(DICOM_VR_AT) && !dicom_vr_is_text(DICOM_VR_SQ));
    CHECK(dicom_vr_has_charset(DICOM_VR_PN));
    CHECK(!dicom_vr_has_charset(DICOM_VR_CS) && !dicom_vr_has_charset(DICOM_VR_UR));
    CHECK(dicom_vr_is_multi(DICOM_VR_UC) && !dicom_vr_is_multi(DICOM_VR_ST) && !dicom_vr_is_multi(DICOM_VR_OB));
    CHECK_INT(dicom_vr_padding(DICOM_VR_UI), '\0');
    CHECK_INT(dicom_vr_padding(DICOM_VR_LO), ' ');
    CHECK_INT(dicom_vr_padding(DICOM_VR_OB), '\0');
    CHECK(dicom_vr_number_bytes(DICOM_VR_US) == 2 && dicom_vr_number_bytes(DICOM_VR_SS) == 2);
    CHECK(dicom_vr_number_bytes(DICOM_VR_AT) == 4 && dicom_vr_number_bytes(DICOM_VR_FL) == 4);
    CHECK(dicom_vr_number_bytes(DICOM_VR_FD) == 8 && dicom_vr_number_bytes(DICOM_VR_UV) == 8);
    CHECK(dicom_vr_number_bytes(DICOM_VR_OW) == 0 && dicom_vr_number_bytes(DICOM_VR_IS) == 0);
}

int main(int argc, char **argv)
{
    static const struct test_case tests[] = {
        TEST(test_dict__finds_tags_and_repeating_groups), TEST(test_dict__private_and_unknown_tags_have_no_entry),
        TEST(test_dict__holds_every_row_of_the_standard), TEST(test_dict__finds_keywords),
        TEST(test_vr__names_parse_back), TEST(test_vr__properties),
    };
    return test_main(argc, argv, tests, ARRAY_LEN(tests));
}
