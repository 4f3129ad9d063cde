#include "study/request.h"

#include <string.h>

#include "test.h"

#define TEN "0123456789"
#define SIXTY4 TEN TEN TEN TEN TEN TEN "0123"

static struct study_request request(void)
{
    return (struct study_request){
        .project = STR("my-project"),
        .mrn = phi_text(STR("987654321")),
        .accession_number = phi_text(STR("AA12345601")),
        .study_uid = phi_text(STR("1.2.840.1")),
        .priority = 3,
        .extract_time = STR("2023-12-07T14:08:58"),
    };
}

static void test_request__what_is_complete_is_accepted(void)
{
    struct pixl_error err = { 0 };
    struct study_request r = request();
    CHECK_OK(study_request_check(&r, &err), err);
    r.study_uid = phi_text((struct str){ 0 });
    CHECK_OK(study_request_check(&r, &err), err);
    r = request();
    r.accession_number = phi_text((struct str){ 0 });
    r.series_uids = phi_text(STR("1.2\\1.3\\1.4"));
    r.mrn = phi_text(STR("Zo\xC3\xAB 12"));
    CHECK_OK(study_request_check(&r, &err), err);
    r.mrn = phi_text(STR(SIXTY4));
    r.priority = 5;
    CHECK_OK(study_request_check(&r, &err), err);
    char wide[128];
    for (size_t i = 0; i < sizeof wide; i += 2)
        memcpy(wide + i, "\xC3\xA9", 2);
    r.mrn = phi_text((struct str){ wide, sizeof wide });        /* 64 characters in 128 bytes */
    CHECK_OK(study_request_check(&r, &err), err);
}

enum field { PROJECT, MRN, ACCESSION, UID, SERIES, PARTICIPANT, TIME };

static void set(struct study_request *r, enum field f, struct str s)
{
    switch (f) {
    case PROJECT:     r->project = s; break;
    case MRN:         r->mrn = phi_text(s); break;
    case ACCESSION:   r->accession_number = phi_text(s); break;
    case UID:         r->study_uid = phi_text(s); break;
    case SERIES:      r->series_uids = phi_text(s); break;
    case PARTICIPANT: r->participant_id = s; break;
    case TIME:        r->extract_time = s; break;
    }
}

static void test_request__what_is_wrong_is_named_and_never_shown(void)
{
    static const struct { const char *name; enum field field; struct str value; const char *says; } rows[] = {
        { "project empty", PROJECT, { "", 0 }, "project" },
        { "project capital", PROJECT, { "My", 2 }, "project" },
        { "project path", PROJECT, { "../x", 4 }, "project" },
        { "mrn empty", MRN, { "", 0 }, "mrn" },
        { "mrn blank", MRN, { "  ", 2 }, "mrn" },
        { "mrn not trimmed", MRN, { "CANARY ", 7 }, "mrn" },
        { "mrn with NUL", MRN, { "CANARY\0x", 8 }, "mrn" },
        { "mrn with line feed", MRN, { "CANARY\nx", 8 }, "mrn" },
        { "mrn with C1", MRN, { "CANARY\xC2\x85x", 9 }, "mrn" },
        { "mrn not UTF-8", MRN, { "CANARY\xFF", 7 }, "mrn" },
        { "mrn too long", MRN, { SIXTY4 "5", 65 }, "mrn" },
        { "accession with tab", ACCESSION, { "CAN\tARY", 7 }, "accession_number" },
        { "accession too long", ACCESSION, { SIXTY4 "5", 65 }, "accession_number" },
        { "uid with letters", UID, { "1.2.CANARY", 10 }, "study_uid" },
        { "uid with backslash", UID, { "1.2\\1.3", 7 }, "study_uid" },
        { "uid with wildcard", UID, { "1.2.*", 5 }, "study_uid" },
        { "uid too long", UID, { SIXTY4 "5", 65 }, "study_uid" },
        { "series empty part", SERIES, { "1.2\\\\1.3", 8 }, "series_uid" },
        { "series ends in backslash", SERIES, { "1.2\\", 4 }, "series_uid" },
        { "series with comma", SERIES, { "1.2,1.3", 7 }, "series_uid" },
        { "participant control", PARTICIPANT, { "CANARY\x7F", 7 }, "participant_id" },
        { "participant too long", PARTICIPANT, { SIXTY4 SIXTY4 SIXTY4 SIXTY4, 256 }, "participant_id" },
        { "time control", TIME, { "2023\n", 5 }, "extract_time" },
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        test_row("%s", rows[i].name);
        struct pixl_error err = { 0 };
        struct study_request r = request();
        set(&r, rows[i].field, rows[i].value);
        bool ok = study_request_check(&r, &err);
        CHECK(strstr(err.msg, rows[i].says) == err.msg && strstr(err.msg, "CANARY") == NULL);
        CHECK_FAILS(ok, err, PIXL_E_INVALID);
    }
}

static void test_request__a_lookup_without_a_key_is_refused(void)
{
    struct pixl_error err = { 0 };
    struct study_request r = request();
    r.accession_number = r.study_uid = phi_text((struct str){ 0 });
    CHECK_FAILS(study_request_check(&r, &err), err, PIXL_E_INVALID);
}

static void test_request__priority_is_one_to_five(void)
{
    for (int p = -1; p <= 7; p++) {
        test_row("%d", p);
        struct pixl_error err = { 0 };
        struct study_request r = request();
        r.priority = p;
        CHECK_INT(study_request_check(&r, &err), p >= 1 && p <= 5);
    }
}

/* It would stand in the tables that go to researchers. */
static void test_request__a_procedure_numbered_by_the_patient_is_refused(void)
{
    static const struct {
        const char *mrn, *accession;
        int64_t procedure;
        bool ok;
    } rows[] = {
        { "987654321", "AA12345601", 4, true },
        { "987654321", "AA12345601", 987654321, false },
        { "987654321", "AA12345601", 12345601, false },
        { "987654321", "AA12345601", 987654322, true },
        { "0098765432", "", 98765432, false },
        { "987-654 321", "1234", 987654321, false },
        { "12345", "ACC0001", 12345, true }, /* short ones agree by chance */
        { "12345", "ACC0001", 1, true },
        { "X", "", -1, true },
        { "99999999999999999999", "", -1, true },
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        test_row("%s %s %lld", rows[i].mrn, rows[i].accession, (long long)rows[i].procedure);
        struct pixl_error err = { 0 };
        struct study_request r = request();
        r.mrn = phi_text(str_of(rows[i].mrn));
        r.accession_number = phi_text(str_of(rows[i].accession));
        r.procedure_occurrence_id = rows[i].procedure;
        bool ok = study_request_check(&r, &err);
        CHECK_INT(ok, rows[i].ok);
        CHECK(ok || (strncmp(err.msg, "procedure_id: ", 14) == 0 && strstr(err.msg, "9876") == NULL));
    }
}

int main(int argc, char **argv)
{
    static const struct test_case tests[] = {
        TEST(test_request__what_is_complete_is_accepted),
        TEST(test_request__what_is_wrong_is_named_and_never_shown),
        TEST(test_request__a_lookup_without_a_key_is_refused),
        TEST(test_request__priority_is_one_to_five),
        TEST(test_request__a_procedure_numbered_by_the_patient_is_refused),
    };
    return test_main(argc, argv, tests, ARRAY_LEN(tests));
}
