#include "deid/residue.h"

#include <stdio.h>
#include <string.h>

#include "test.h"

#define residue_auto PIXL_CLEANUP(residue_freep) struct residue

static void place(void *ctx, char out[RESIDUE_WHERE_SIZE])
{
    (void)snprintf(out, RESIDUE_WHERE_SIZE, "%s", (const char *)ctx);
}

static bool hits_at(struct residue *r, struct str text, enum residue_form form, unsigned exempt, const char *at)
{
    struct pixl_error err = { 0 };
    char where[RESIDUE_WHERE_SIZE];
    (void)snprintf(where, sizeof where, "%s", at);
    const struct residue_text t = { .text = text, .form = form, .is_multi = true, .exempt = exempt };
    struct residue_place here = { place, where, 0 };
    residue_clear_hit(r);
    REQUIRE_OK(residue_check(r, &t, &here, &err), err);
    return residue_hit(r) != NULL;
}

static bool hits(struct residue *r, const char *text, enum residue_form form)
{
    return hits_at(r, str_of(text), form, 0, "here");
}

static struct residue *doe(void)
{
    struct pixl_error err = { 0 };
    struct residue *r = NULL;
    REQUIRE_OK(residue_new(&r, &err), err);
    REQUIRE_OK(residue_add_id(r, STR("AB-123 4567"), IDENTITY_MRN, &err), err);
    REQUIRE_OK(residue_add_id(r, STR("987654321"), IDENTITY_MRN, &err), err);
    REQUIRE_OK(residue_add_id(r, STR("20482"), IDENTITY_ACCESSION, &err), err);
    REQUIRE_OK(residue_add_id(r, STR("X7"), IDENTITY_MRN, &err), err);
    REQUIRE_OK(residue_add_name(r, STR("O'Brien-M\303\274ller^Li^Jo^^"), IDENTITY_PATIENT, &err), err);
    REQUIRE_OK(residue_add_name(r, STR("Head^Page"), IDENTITY_PATIENT, &err), err);
    REQUIRE_OK(residue_add_name(r, STR("Weaver^Roy"), IDENTITY_PERSON, &err), err);
    REQUIRE_OK(residue_add_birth_date(r, STR("19700131"), &err), err);
    REQUIRE_OK(residue_add_uid(r, STR("1.2.826.0.1.3680043.77.1"), &err), err);
    CHECK(residue_hit(r) == NULL);
    return r;
}

static const struct { const char *text; enum residue_form form;
} traces[] = {
    { "987654321", RESIDUE_TEXT },
    { "id 987654321.", RESIDUE_TEXT },
    { "a\\987654321\\b", RESIDUE_TEXT },
    { "987-654-321", RESIDUE_TEXT },
    { "no 987 654 321 of", RESIDUE_TEXT },
    { "98 76 54 321", RESIDUE_TEXT },
    { "987,654,321", RESIDUE_TEXT },
    { "MRN987654321", RESIDUE_TEXT },
    { "987654321A", RESIDUE_TEXT },
    { "00987654321", RESIDUE_TEXT },
    { "1234567", RESIDUE_TEXT },
    { "DOB19700131", RESIDUE_TEXT },
    { "1970-01-31T00:00", RESIDUE_TEXT },
    { "19700131T1200", RESIDUE_TEXT },
    { "b. 31/01/70", RESIDUE_TEXT },
    { "70-01-31", RESIDUE_TEXT },
    { "OBrienMullerLi", RESIDUE_TEXT },
    { "mu\342\200\213ller", RESIDUE_TEXT },
    { "m\302\255\303\274ller", RESIDUE_TEXT },
    { "M\341\273\245LL\341\272\270R", RESIDUE_TEXT },
    { "987 654 321", RESIDUE_TEXT },
    { "AB1234567", RESIDUE_TEXT },
    { "seen ab-123-4567 today", RESIDUE_TEXT },
    { "seen AB 123 4567 today", RESIDUE_TEXT },
    { "x7", RESIDUE_TEXT },
    { "no 20482", RESIDUE_TEXT },
    { "987654321", RESIDUE_NUMBERS },
    { "1\\987654321", RESIDUE_NUMBERS },
    { "ID_987654321", RESIDUE_CODE },
    { "Mr M\303\234LLER", RESIDUE_TEXT },
    { "muller", RESIDUE_TEXT },
    { "O'BRIEN", RESIDUE_TEXT },
    { "obrien", RESIDUE_TEXT },
    { "o\342\200\231brien", RESIDUE_TEXT },
    { "brien1970", RESIDUE_TEXT },
    { "Li O Brien", RESIDUE_TEXT },
    { "M\374ller in Latin-1", RESIDUE_TEXT },
    { "li", RESIDUE_TEXT },
    { "Dr. Weaver", RESIDUE_TEXT },
    { "born 19700131", RESIDUE_TEXT },
    { "1970-01-31", RESIDUE_TEXT },
    { "31/01/1970", RESIDUE_TEXT },
    { "31.01.1970", RESIDUE_TEXT },
    { "31.1.1970", RESIDUE_TEXT },
    { "01/31/1970", RESIDUE_TEXT },
    { "1/31/1970", RESIDUE_TEXT },
    { "31 Jan 1970", RESIDUE_TEXT },
    { "31JAN1970", RESIDUE_TEXT },
    { "January 31, 1970", RESIDUE_TEXT },
    { "Jan. 31, 1970", RESIDUE_TEXT },
    { "31-Jan-1970", RESIDUE_TEXT },
    { "19700131", RESIDUE_DATE },
    { "19990101\\19700131", RESIDUE_DATE },
    { "19700131120000.000000", RESIDUE_DATE },
    { "1.2.826.0.1.3680043.77.1", RESIDUE_UIDS },
    { "1.2.3\\1.2.826.0.1.3680043.77.1", RESIDUE_UIDS },
    { "1.2.826.0.1.3680043.77.1.5", RESIDUE_UIDS },
    { "from UID1.2.826.0.1.3680043.77.1", RESIDUE_TEXT },
    { "1.2.3.987654321.4", RESIDUE_UIDS },
    { "\001\002987654321\003", RESIDUE_BINARY },
    { "987654321", RESIDUE_BINARY },
    { "\001\002some text about brien\003", RESIDUE_BINARY },
};

static void test_residue__finds_what_is_left(void)
{
    residue_auto *r = doe();
    for (size_t i = 0; i < ARRAY_LEN(traces); i++) {
        test_row("%s", traces[i].text);
        CHECK(hits(r, traces[i].text, traces[i].form));
    }
}

static void test_residue__lets_pass_what_is_no_trace(void)
{
    static const struct { const char *text; enum residue_form form;
    } rows[] = {
        { "9876543210", RESIDUE_TEXT },
        { "A1987654321", RESIDUE_TEXT },
        { "987  654 321 0", RESIDUE_TEXT },
        { "310170", RESIDUE_TEXT },
        { "31 01 70", RESIDUE_TEXT },
        { "0.987654321", RESIDUE_NUMBERS },
        { "20482", RESIDUE_NUMBERS },
        { "-98765432.1", RESIDUE_NUMBERS },
        { "12345670", RESIDUE_TEXT },
        { "x7 and more", RESIDUE_TEXT },
        { "X7", RESIDUE_CODE },
        { "head", RESIDUE_TEXT },
        { "CT HEAD page 3", RESIDUE_TEXT },
        { "li and li", RESIDUE_TEXT },
        { "mullerian", RESIDUE_TEXT },
        { "BRIE", RESIDUE_CODE },
        { "WEAVER", RESIDUE_CODE },
        { "Roy", RESIDUE_TEXT },
        { "31 1970", RESIDUE_TEXT },
        { "19700130", RESIDUE_DATE },
        { "1.2.826.0.1.3680043.77.12", RESIDUE_UIDS },
        { "1.2.826.0.1.3680043.77", RESIDUE_UIDS },
        { "1.2.840.10008.5.1.4.1.1.2", RESIDUE_UIDS },
        { "", RESIDUE_TEXT },
        { "\\\\", RESIDUE_TEXT },
        { "\001\002li\003x7\004", RESIDUE_BINARY },
    };
    residue_auto *r = doe();
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        test_row("%s", rows[i].text);
        CHECK(!hits(r, rows[i].text, rows[i].form));
    }
}

static void test_residue__a_kept_identity_is_exempt_where_it_is_kept(void)
{
    residue_auto *r = doe();
    CHECK(!hits_at(r, STR("19700131"), RESIDUE_DATE, IDENTITY_DATE, "a"));
    CHECK(!hits_at(r, STR("987654321"), RESIDUE_TEXT, IDENTITY_MRN, "b"));
    CHECK(hits_at(r, STR("987654321 brien"), RESIDUE_TEXT, IDENTITY_MRN, "c"));
    CHECK(hits_at(r, STR("987654321"), RESIDUE_TEXT, IDENTITY_DATE, "d"));
    CHECK(hits_at(r, STR("987654321"), RESIDUE_TEXT, IDENTITY_STUDY_ID, "e"));
    CHECK(hits_at(r, STR("987654321"), RESIDUE_TEXT, IDENTITY_ACCESSION, "f"));
}

static void test_residue__a_later_needle_finds_an_earlier_text(void)
{
    struct pixl_error err = { 0 };
    static const struct {
        const char *text;
        enum residue_form form;
        const char *needle;
        enum identity kind;
        bool found;
    } rows[] = {
        { "report for Ngata", RESIDUE_TEXT, "NGATA^X", IDENTITY_PATIENT, true },
        { "code Q-77-1", RESIDUE_TEXT, "Q771", IDENTITY_MRN, true },
        { "19650203", RESIDUE_DATE, "19650203", IDENTITY_DATE, true },
        { "3 Feb 1965", RESIDUE_TEXT, "19650203", IDENTITY_DATE, true },
        { "1.2.3.4.5.66.7.8", RESIDUE_UIDS, "1.2.3.4.5.66", IDENTITY_UID, true },
        { "NGATA", RESIDUE_CODE, "Ngata", IDENTITY_PATIENT, true },
        { "report for Ngata", RESIDUE_TEXT, "Nga^T", IDENTITY_PATIENT, false },
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        test_row("%s / %s", rows[i].text, rows[i].needle);
        residue_auto *r = NULL;
        REQUIRE_OK(residue_new(&r, &err), err);
        CHECK(!hits_at(r, str_of(rows[i].text), rows[i].form, 0, "(0008,103E)"));
        struct str n = str_of(rows[i].needle);
        unsigned before = residue_generation(r);
        switch (rows[i].kind) {
        case IDENTITY_MRN:  REQUIRE_OK(residue_add_id(r, n, IDENTITY_MRN, &err), err); break;
        case IDENTITY_DATE: REQUIRE_OK(residue_add_birth_date(r, n, &err), err); break;
        case IDENTITY_UID:  REQUIRE_OK(residue_add_uid(r, n, &err), err); break;
        default:            REQUIRE_OK(residue_add_name(r, n, rows[i].kind, &err), err); break;
        }
        CHECK_INT(residue_hit(r) != NULL, rows[i].found);
        if (rows[i].found) {
            CHECK_STR(str_of(residue_hit(r)), "(0008,103E)");
            CHECK(residue_generation(r) != before);
        }
    }
}

static void test_residue__placeholders_are_no_needles(void)
{
    struct pixl_error err = { 0 };
    residue_auto *r = NULL;
    REQUIRE_OK(residue_new(&r, &err), err);
    REQUIRE_OK(residue_add_id(r, STR("0000000"), IDENTITY_MRN, &err), err);
    REQUIRE_OK(residue_add_id(r, STR("ANONYMOUS"), IDENTITY_MRN, &err), err);
    REQUIRE_OK(residue_add_id(r, STR(""), IDENTITY_MRN, &err), err);
    REQUIRE_OK(residue_add_id(r, STR("1"), IDENTITY_STUDY_ID, &err), err);
    REQUIRE_OK(residue_add_name(r, STR("^^^^"), IDENTITY_PATIENT, &err), err);
    REQUIRE_OK(residue_add_name(r, STR("Admin^Service"), IDENTITY_PERSON, &err), err);
    REQUIRE_OK(residue_add_birth_date(r, STR("00010101"), &err), err);
    REQUIRE_OK(residue_add_birth_date(r, STR("1970"), &err), err);
    REQUIRE_OK(residue_add_uid(r, STR("1.2.840.10008.5.1.4.1.1.2"), &err), err);
    CHECK(!hits(r, "0000000 anonymous 1 service admin 00010101 1970 1.2.840.10008.5.1.4.1.1.2", RESIDUE_TEXT));
    CHECK(!hits(r, "1", RESIDUE_TEXT));
}

static void test_residue__ideographs_count_from_two(void)
{
    struct pixl_error err = { 0 };
    residue_auto *r = NULL;
    REQUIRE_OK(residue_new(&r, &err), err);
    REQUIRE_OK(residue_add_name(r, STR("Yamada^Tarou=\345\261\261\347\224\260^\345\244\252\351\203\216"),
                                IDENTITY_PATIENT, &err),
               err);
    CHECK(hits(r, "\345\261\261\347\224\260", RESIDUE_TEXT));
    CHECK(hits(r, "note: \345\261\261\347\224\260 MR", RESIDUE_TEXT));
    CHECK(hits(r, "TAROU YAMADA", RESIDUE_TEXT));
    CHECK(hits(r, "YamadaTarou", RESIDUE_TEXT));
    CHECK(hits(r, "tyamada 3", RESIDUE_TEXT));
    CHECK(hits(r, "\345\261\261\347\224\260\345\244\252\351\203\216", RESIDUE_TEXT));
    CHECK(!hits(r, "\345\261\261", RESIDUE_TEXT));
}

static void test_residue__too_many_words_are_a_limit(void)
{
    struct pixl_error err = { 0 };
    residue_auto *r = NULL;
    REQUIRE_OK(residue_new(&r, &err), err);
    bool ok = true;
    for (unsigned i = 0; ok && i < RESIDUE_MAX_TOKENS + 10; i++) {
        char text[32];
        (void)snprintf(text, sizeof text, "word%u", i);
        const struct residue_text t = { .text = str_of(text), .form = RESIDUE_TEXT };
        char where[] = "(0008,103E)";
        struct residue_place here = { place, where, 0 };
        ok = residue_check(r, &t, &here, &err);
    }
    CHECK(!ok && err.code == PIXL_E_LIMIT);
}

static void test_residue__reset_forgets(void)
{
    struct pixl_error err = { 0 };
    residue_auto *r = doe();
    CHECK(hits(r, "987654321", RESIDUE_TEXT));
    REQUIRE_OK(residue_reset(r, &err), err);
    CHECK(residue_hit(r) == NULL);
    CHECK(!hits(r, "987654321", RESIDUE_TEXT));
}

int main(int argc, char **argv)
{
    static const struct test_case tests[] = {
        TEST(test_residue__finds_what_is_left),
        TEST(test_residue__lets_pass_what_is_no_trace),
        TEST(test_residue__a_kept_identity_is_exempt_where_it_is_kept),
        TEST(test_residue__a_later_needle_finds_an_earlier_text),
        TEST(test_residue__placeholders_are_no_needles),
        TEST(test_residue__ideographs_count_from_two),
        TEST(test_residue__too_many_words_are_a_limit),
        TEST(test_residue__reset_forgets),
    };
    return test_main(argc, argv, tests, ARRAY_LEN(tests));
}
