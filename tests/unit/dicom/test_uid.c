#include "dicom/uid.h"

#include <string.h>

#include "test.h"

static void test_uid__is_plausible(void)
{
    static const struct { const char *text; bool want; } rows[] = {
        { "1.2.840.10008.1.2", true }, { "1", true }, { "1.02.3", true },
        { "", false }, { ".1", false }, { "1.", false }, { "1..2", false }, { "1.a", false }, { "1.2 ", false },
        { "1234567890123456789012345678901234567890123456789012345678901234", true },
        { "12345678901234567890123456789012345678901234567890123456789012345", false },
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        test_row("'%s'", rows[i].text);
        CHECK(dicom_uid_is_plausible(str_of(rows[i].text)) == rows[i].want);
    }
}

static void test_uid__standard_uids_are_told_from_others(void)
{
    CHECK(dicom_uid_is_standard(STR("1.2.840.10008.1.1")));
    CHECK(!dicom_uid_is_standard(STR("1.2.840.100081.1")));
    CHECK(!dicom_uid_is_standard(STR("1.2.840.10008")));
    CHECK(!dicom_uid_is_standard(STR("2.25.1")));
    CHECK(dicom_uid_is_standard(STR("1.2.840.10008.5.1.4.1.1.77.1.5.8")));
    CHECK(!dicom_uid_is_standard(STR("1.2.840.10008.5.1.4.1.1.77.1.5.88")));
    CHECK(!dicom_uid_is_standard(STR("1.2.840.10008.876543")));
    CHECK(!dicom_uid_is_standard(STR("1.2.840.10008.1.SMYTHE")));
    CHECK(!dicom_uid_is_standard(STR("1.2.840.10008.1.2 4711")));
    CHECK(!dicom_uid_is_standard(STR("1.2.840.10008.")));
}

static void test_uid__trim_takes_nuls_and_blanks(void)
{
    CHECK_STR(dicom_uid_trim(STR("1.2\0")), "1.2");
    CHECK_STR(dicom_uid_trim(STR("1.2 \0 ")), "1.2");
    CHECK_STR(dicom_uid_trim(STR("\0\0")), "");
    CHECK_STR(dicom_uid_trim((struct str){ 0 }), "");
}

/* Decimals worked out with Python's int.from_bytes. */
static void test_uid__from_bytes(void)
{
    static const struct { uint8_t bytes[16]; const char *want; } rows[] = {
        { { 0 }, "2.25.604472133179351442128896" },
        { { 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF },
          "2.25.340282366920937934553716840013076889599" },
        { { 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15 }, "2.25.5233100606847278184134747173490191" },
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        char out[DICOM_UID_MAX + 1];
        dicom_uid_from_bytes(rows[i].bytes, out);
        CHECK_STR(str_of(out), rows[i].want);
        CHECK(dicom_uid_is_plausible(str_of(out)));
    }
}

static void test_syntax__is_found_with_its_coding(void)
{
    static const struct { const char *uid; bool is_explicit, is_big_endian, is_deflated, is_encapsulated; } rows[] = {
        { "1.2.840.10008.1.2",         false, false, false, false },
        { "1.2.840.10008.1.2.1",       true,  false, false, false },
        { "1.2.840.10008.1.2.1.99",    true,  false, true,  false },
        { "1.2.840.10008.1.2.2",       true,  true,  false, false },
        { "1.2.840.10008.1.2.4.50",    true,  false, false, true },
        { "1.2.840.10008.1.2.4.66",    true,  false, false, true },
        { "1.2.840.10008.1.2.4.90",    true,  false, false, true },
        { "1.2.840.10008.1.2.4.106.1", true,  false, false, true },
        { "1.2.840.10008.1.2.4.203",   true,  false, false, true },
        { "1.2.840.10008.1.2.5",       true,  false, false, true },
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        test_row("%s", rows[i].uid);
        const struct dicom_syntax *s = dicom_syntax_find(str_of(rows[i].uid));
        REQUIRE(s != NULL);
        CHECK(s->is_explicit == rows[i].is_explicit && s->is_big_endian == rows[i].is_big_endian);
        CHECK(s->is_deflated == rows[i].is_deflated && s->is_encapsulated == rows[i].is_encapsulated);
    }
    CHECK(dicom_syntax_find(STR("1.2.840.113619.5.2")) == NULL);
    CHECK(dicom_syntax_find(STR("1.2.840.10008.1.2.")) == NULL);
    CHECK(dicom_syntax_find((struct str){ 0 }) == NULL);
}

int main(int argc, char **argv)
{
    static const struct test_case tests[] = {
        TEST(test_uid__is_plausible), TEST(test_uid__standard_uids_are_told_from_others),
        TEST(test_uid__trim_takes_nuls_and_blanks), TEST(test_uid__from_bytes),
        TEST(test_syntax__is_found_with_its_coding),
    };
    return test_main(argc, argv, tests, ARRAY_LEN(tests));
}
