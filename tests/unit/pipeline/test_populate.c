#include "pipeline/populate.h"

#include "base/duck.h"
#include "site_rig.h"

#define ROW(n, project) #n ",MRN" #n ",ACC" #n "," project ",2023-12-07T14:08:58Z,2020-05-23,1.2.3." #n ",,\n"

static struct pixl_error err;

struct told {
    uint64_t line;
    char why[200];
    int n_warned;
    uint64_t warned_line; /* the last one, as the text */
    char warning[200];
};

static void note(void *ctx, uint64_t line, const char *why)
{
    struct told *t = ctx;
    t->line = line;
    (void)snprintf(t->why, sizeof t->why, "%s", why);
}

static void note_warning(void *ctx, uint64_t line, const char *what)
{
    struct told *t = ctx;
    t->n_warned++;
    t->warned_line = line;
    (void)snprintf(t->warning, sizeof t->warning, "%s", what);
}

static bool populate(struct site_rig *r, const char *path, bool dry, struct told *told, struct populate_counts *n)
{
    const struct populate_options o = {
        .path = path, .priority = 1, .dry_run = dry, .refused = note, .warned = note_warning, .ctx = told
    };
    *n = (struct populate_counts){ .rows = -1 };
    return populate_cohort(r->site, &o, n, &err);
}

static void check_untouched(struct site_rig *r)
{
    struct store_counts n;
    REQUIRE_OK(store_count(site_store(r->site), STR(""), &n, &err), err);
    CHECK_INT(n.requests, 0);
    CHECK(!fs_exists(test_path("state/secrets.env")) && !fs_exists(test_path("exports")) && !fs_exists(test_path("haven/rig")));
}

static void test_populate__a_csv_without_rows_is_refused(void)
{
    static const struct { const char *name, *text; } rows[] = {
        { "a header", RIG_CSV_HEADER }, { "blank lines", RIG_CSV_HEADER "\n\n\n" },
    };
    struct site_rig r;
    struct told told = { 0 };
    struct populate_counts n;
    rig_folders("");
    rig_open(&r, NULL);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        for (int dry = 0; dry < 2; dry++) {
            test_row("%s%s", rows[i].name, dry ? ", dry" : "");
            rig_write("cohort.csv", rows[i].text);
            bool ok = populate(&r, test_path("cohort.csv"), dry, &told, &n);
            CHECK(!ok && strstr(err.msg, "asks for no study") != NULL);
            CHECK_FAILS(ok, err, PIXL_E_INVALID);
            CHECK_INT(n.rows, -1);
            CHECK_INT(told.line, 0);
            check_untouched(&r);
        }
    rig_close(&r);
}

/* An OMOP extract whose tables have all columns and whose join is empty: the one procedure is another person's. */
static void write_extract(void)
{
    static const struct { const char *file, *select; } tables[] = {
        { "public/PROCEDURE_OCCURRENCE", "SELECT 1::INTEGER AS procedure_occurrence_id, 7::INTEGER AS person_id, DATE '2020-05-23' AS "
                                         "procedure_date, TIMESTAMP '2020-05-23 10:00:00' AS procedure_datetime" },
        { "public/PERSON", "SELECT 7::INTEGER AS person_id" },
        { "private/PERSON_LINKS", "SELECT 8::INTEGER AS person_id, 'MRN1' AS PrimaryMrn" },
        { "private/PROCEDURE_OCCURRENCE_LINKS", "SELECT 1::INTEGER AS procedure_occurrence_id, 'ACC1' AS AccessionNumber, '1.2.3.1' AS "
                                                "StudyUid_X" },
    };
    duck_auto *d = NULL;
    REQUIRE_OK(fs_make_dirs(test_path("omop/public"), 0700, &err), err);
    REQUIRE_OK(fs_make_dirs(test_path("omop/private"), 0700, &err), err);
    rig_write("omop/extract_summary.json", "{\"datetime\": \"2023-12-07T14:08:58\", \"settings\": {\"cdm_source_name\": \"Rig\"}}");
    REQUIRE_OK(duck_open(test_path("duck"), 64, &d, &err), err);
    for (size_t i = 0; i < ARRAY_LEN(tables); i++) {
        char sql[1500];
        (void)snprintf(sql, sizeof sql, "COPY (%s) TO '%s/omop/%s.parquet' (FORMAT parquet)", tables[i].select, test_dir(), tables[i].file);
        REQUIRE_OK(duck_run(d, sql, NULL, 0, &err), err);
    }
}

static void test_populate__an_extract_whose_join_is_empty_is_refused(void)
{
    struct site_rig r;
    struct told told = { 0 };
    struct populate_counts n;
    rig_folders("");
    write_extract();
    rig_open(&r, NULL);
    bool ok = populate(&r, test_path("omop"), false, &told, &n);
    CHECK(!ok && strstr(err.msg, "asks for no study") != NULL);
    CHECK_FAILS(ok, err, PIXL_E_INVALID);
    check_untouched(&r);
    rig_close(&r);
}

static void test_populate__a_dry_run_tells_and_changes_nothing(void)
{
    struct site_rig r;
    struct told told = { 0 };
    struct populate_counts n;
    rig_folders("");
    rig_open(&r, NULL);
    rig_write("cohort.csv", RIG_CSV_HEADER ROW(1, "rig") ROW(2, "rig"));
    REQUIRE_OK(populate(&r, test_path("cohort.csv"), true, &told, &n), err);
    CHECK_INT(n.rows, 2);
    CHECK_INT(n.new_studies, 2);
    check_untouched(&r);
    REQUIRE_OK(populate(&r, test_path("cohort.csv"), false, &told, &n), err);
    CHECK_INT(n.new_studies, 2);
    CHECK(site_made_key(r.site));
    REQUIRE_OK(populate(&r, test_path("cohort.csv"), false, &told, &n), err);
    CHECK_INT(n.new_studies + n.new_requests, 0);
    CHECK_INT(n.known, 2);
    rig_close(&r);
}

static void test_populate__rows_of_a_project_that_cannot_be_used_are_refused(void)
{
    struct site_rig r;
    struct told told = { 0 };
    struct populate_counts n;
    rig_folders("");
    rig_write("configs/broken.yaml", "project: {name: Broken, modalties: [CT]}\n");
    rig_open(&r, NULL);
    rig_write("cohort.csv", RIG_CSV_HEADER ROW(1, "rig") ROW(2, "broken") ROW(3, "absent"));
    REQUIRE_OK(populate(&r, test_path("cohort.csv"), false, &told, &n), err);
    CHECK_INT(n.rows, 3);
    CHECK_INT(n.refused, 2);
    CHECK_INT(n.new_studies, 1);
    CHECK_INT(told.line, 4);
    CHECK(strncmp(told.why, "project_name: ", 14) == 0 && strstr(told.why, "MRN") == NULL);
    rig_close(&r);
}

/* A project is offered only where it is one: what stands in that column may be another's, a patient's name. */
static void test_populate__a_title_leads_to_its_slug(void)
{
    static const struct {
        const char *cell, *why;
    } rows[] = {
        { "Rig", "; did you mean rig?" },
        { "RIG ", "; did you mean rig?" },
        { "Ottoline Farthingale", ", like lung-study)" },
        { "../configs/rig", ", like lung-study)" },
        { "", ": empty; the slug of a project is wanted" },
    };
    struct site_rig r;
    rig_folders("");
    rig_open(&r, NULL);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct told told = { 0 };
        struct populate_counts n;
        char text[600];
        test_row("'%s'", rows[i].cell);
        (void)snprintf(text, sizeof text, "%s1,MRN1,ACC1,%s,2023-12-07T14:08:58Z,2020-05-23,1.2.3.1,,\n%s",
                       RIG_CSV_HEADER, rows[i].cell, ROW(2, "rig"));
        rig_write("cohort.csv", text);
        REQUIRE_OK(populate(&r, test_path("cohort.csv"), true, &told, &n), err);
        CHECK_INT(n.refused, 1);
        CHECK_INT(told.line, 2);
        if (strstr(told.why, rows[i].why) == NULL)
            CHECK_STR(str_of(told.why), rows[i].why);
        CHECK(strstr(told.why, "arthingale") == NULL && strstr(told.why, "farthing") == NULL);
    }
    rig_close(&r);
}

#define OF_PATIENT(procedure, n, time) procedure ",MRN" #n ",ACC" #n ",rig," time ",2020-05-23,1.2.3." #n ",,\n"
#define NOON                           "2023-12-07T12:00:00Z"

/* In one cohort, and against what was populated before; another extract has procedures of its own. */
static void test_populate__two_patients_of_one_procedure_are_told(void)
{
    static const struct {
        const char *name, *rows;
        int n;
        uint64_t line;
        const char *procedure;
    } rows[] = {
        { "one patient twice", OF_PATIENT("7", 1, NOON) OF_PATIENT("7", 1, NOON) OF_PATIENT("8", 2, NOON), 0, 0, "" },
        { "another one", OF_PATIENT("7", 1, NOON) OF_PATIENT("8", 2, NOON) OF_PATIENT("8", 3, NOON), 1, 4,
          "procedure 8 " },
        { "each of the others", OF_PATIENT("9", 4, NOON) OF_PATIENT("9", 5, NOON) OF_PATIENT("9", 6, NOON), 2, 4,
          "procedure 9 " },
        { "corrected after it", OF_PATIENT("7", 9, NOON), 1, 2, "procedure 7 " },
        { "as it was, again", OF_PATIENT("7", 1, NOON), 0, 0, "" },
        { "of another extract", OF_PATIENT("7", 9, "2023-12-08T12:00:00Z"), 0, 0, "" },
    };
    struct site_rig r;
    rig_folders("");
    rig_open(&r, NULL);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        for (int dry = 1; dry >= 0; dry--) {
            struct told told = { 0 };
            struct populate_counts n;
            char text[1000];
            test_row("%s%s", rows[i].name, dry ? ", dry" : "");
            (void)snprintf(text, sizeof text, "%s%s", RIG_CSV_HEADER, rows[i].rows);
            rig_write("cohort.csv", text);
            REQUIRE_OK(populate(&r, test_path("cohort.csv"), dry, &told, &n), err);
            CHECK_INT(n.refused, 0);
            CHECK_INT(n.patient_differs, rows[i].n);
            CHECK_INT(told.n_warned, rows[i].n);
            CHECK_INT(told.warned_line, rows[i].line);
            CHECK(strncmp(told.warning, rows[i].procedure, strlen(rows[i].procedure)) == 0);
            CHECK(strstr(told.warning, "MRN") == NULL && strstr(told.warning, "ACC") == NULL);
        }
    rig_close(&r);
}

#define PARTICIPANT(procedure, n, id) procedure ",MRN" #n ",ACC" #n ",rig," NOON ",2020-05-23,1.2.3." #n "," id ",\n"

/* Two patients would be one person to whoever gets the images. */
static void test_populate__two_patients_of_one_participant_are_told(void)
{
    struct site_rig r;
    rig_folders("");
    rig_open(&r, NULL);
    for (int dry = 1; dry >= 0; dry--) {
        struct told told = { 0 };
        struct populate_counts n;
        rig_write("cohort.csv",
                  RIG_CSV_HEADER PARTICIPANT("1", 1, "P1") PARTICIPANT("2", 1, "P1") PARTICIPANT("3", 2, "P2")
                      PARTICIPANT("4", 3, "") PARTICIPANT("5", 4, "") PARTICIPANT("6", 5, "P1"));
        REQUIRE_OK(populate(&r, test_path("cohort.csv"), dry, &told, &n), err);
        CHECK_INT(n.refused, 0);
        CHECK_INT(n.participant_shared, 1);
        CHECK_INT(n.patient_differs, 0);
        CHECK_INT(told.n_warned, 1);
        CHECK_INT(told.warned_line, 7);
        CHECK(strstr(told.warning, "participant_id") != NULL && strstr(told.warning, "P1") == NULL);
    }
    rig_close(&r);
}

/* More of them than the table has room for at first: none is lost, and none is taken for another. */
static void test_populate__every_procedure_is_known_again(void)
{
    enum { N = 5000 };
    struct site_rig r;
    struct told told = { 0 };
    struct populate_counts n;
    buf_auto text;
    buf_init(&text, 4 << 20);
    (void)buf_add_cstr(&text, RIG_CSV_HEADER);
    for (int i = 0; i < 2 * N; i++)
        (void)buf_addf(&text, "%d,MRN%d,ACC%d,rig," NOON ",2020-05-23,1.2.3.%d,,\n", i % N, i % N + (i == N + 77), i,
                       i);
    REQUIRE(!text.failed);
    rig_folders("");
    rig_open(&r, NULL);
    rig_write("cohort.csv", buf_cstr(&text));
    REQUIRE_OK(populate(&r, test_path("cohort.csv"), false, &told, &n), err);
    CHECK_INT(n.patient_differs, 1);
    CHECK_INT(told.warned_line, N + 77 + 2);
    CHECK(strncmp(told.warning, "procedure 77 ", 13) == 0);
    rig_close(&r);
}

/* Whose columns are mixed up has numbers and names of patients where the project should be. */
static void test_populate__what_is_no_projects_name_is_not_shown(void)
{
    struct site_rig r;
    struct told told = { 0 };
    struct populate_counts n;
    rig_folders("");
    rig_open(&r, NULL);
    for (int dry_run = 1; dry_run >= 0; dry_run--) {
        rig_write("cohort.csv", RIG_CSV_HEADER ROW(1, "rig") ROW(2, "12345678") ROW(3, "smith-john"));
        REQUIRE_OK(populate(&r, test_path("cohort.csv"), dry_run, &told, &n), err);
        CHECK_INT(n.refused, 2);
        CHECK_INT(told.line, 4);
        CHECK(strstr(told.why, "there is no project of this name in ") != NULL && strstr(told.why, "smith") == NULL);
    }
    rig_write("cohort.csv", RIG_CSV_HEADER ROW(2, "12345678") ROW(3, "smith-john"));
    bool ok = populate(&r, test_path("cohort.csv"), false, &told, &n);
    CHECK(!ok && strstr(err.msg, "there is no project of this name in ") != NULL && strstr(err.msg, "12345678") == NULL);
    CHECK_FAILS(ok, err, PIXL_E_INVALID);
    rig_write("cohort.csv", RIG_CSV_HEADER ROW(1, "rigs"));
    ok = populate(&r, test_path("cohort.csv"), false, &told, &n);
    CHECK(!ok && strstr(err.msg, "did you mean rig?") != NULL);
    CHECK_FAILS(ok, err, PIXL_E_INVALID);
    rig_close(&r);
}

int main(int argc, char **argv)
{
    static const struct test_case tests[] = {
        TEST(test_populate__a_csv_without_rows_is_refused),
        TEST(test_populate__an_extract_whose_join_is_empty_is_refused),
        TEST(test_populate__a_dry_run_tells_and_changes_nothing),
        TEST(test_populate__rows_of_a_project_that_cannot_be_used_are_refused),
        TEST(test_populate__what_is_no_projects_name_is_not_shown),
        TEST(test_populate__a_title_leads_to_its_slug),
        TEST(test_populate__two_patients_of_one_procedure_are_told),
        TEST(test_populate__two_patients_of_one_participant_are_told),
        TEST(test_populate__every_procedure_is_known_again),
    };
    return test_main(argc, argv, tests, ARRAY_LEN(tests));
}
