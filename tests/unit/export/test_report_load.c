#include "export/report_load.h"

#include "../store/store_helper.h"
#include "base/duck.h"
#include "base/fs.h"
#include "export/export.h"
#include "export/report_check.h"

#define TIME_SLUG "2023-12-07t14-08-58"
#define FOLDER    "exports/p/all_extracts/" TIME_SLUG "/radiology/"
#define HEAD      "procedure_occurrence_id,image_report\n"

static void add_line(void *ctx, uint64_t line, const char *what)
{
    (void)buf_addf(ctx, "%llu: %s\n", (unsigned long long)line, what);
}

struct given {
    const char *project, *time;
    bool dry;
};

/* What a load tells, and its counts as "rows=.. ..." */
static const char *load(struct store *s, const char *csv, struct given g)
{
    static struct buf b;
    struct pixl_error err = { 0 };
    struct report_load_counts n = { .rows = -1 };
    buf_done(&b);
    buf_init(&b, 1 << 20);
    REQUIRE_OK(fs_write_whole(test_path("r.csv"), str_of(csv), 0600, &err), err);
    char path[1200], temp[1200];
    (void)snprintf(path, sizeof path, "%s", test_path("r.csv"));
    (void)snprintf(temp, sizeof temp, "%s", test_path("spill"));
    const struct report_load_options o = { .path = path,
                                           .temp_dir = temp,
                                           .project = str_of(g.project),
                                           .extract_time = str_of(g.time),
                                           .now_us = T0,
                                           .dry_run = g.dry,
                                           .tell = add_line,
                                           .ctx = &b };
    if (!report_load(s, &o, &n, &err)) {
        (void)buf_addf(&b, "error: %s: %s\n", pixl_code_name(err.code), err.msg);
        CHECK_INT(n.rows, -1);
        return buf_cstr(&b);
    }
    CHECK_INT(n.rows,
              n.refused + n.never_asked + n.withheld + n.added + n.replaced + n.same + n.taken_away + n.without_text);
    (void)buf_addf(
        &b, "refused %lld, never asked %lld, withheld %lld, new %lld, replaced %lld, same %lld, away %lld, none %lld\n",
        (long long)n.refused, (long long)n.never_asked, (long long)n.withheld, (long long)n.added,
        (long long)n.replaced, (long long)n.same, (long long)n.taken_away, (long long)n.without_text);
    return buf_cstr(&b);
}

static struct export_counts export(struct store *s)
{
    struct pixl_error err = { 0 };
    struct export_counts n = { .linked = -1 };
    REQUIRE_OK(export_write_tables(s, test_path("exports"), STR("p"), STR(TIME_1), STR(TIME_SLUG), test_path("spill"),
                                   &n, &err),
               err);
    return n;
}

/* The table of reports as "uid|procedure|text" lines. */
static void check_table(const char *want)
{
    struct pixl_error err = { 0 };
    duck_auto *d = NULL;
    duck_rows_auto *r = NULL;
    buf_auto b;
    buf_init(&b, 1 << 20);
    REQUIRE_OK(duck_open(test_path("reading"), 64, &d, &err), err);
    struct duck_value p = { .type = DUCK_STR, .str = str_of(test_path(FOLDER "radiology.parquet")) }, v[3];
    REQUIRE_OK(duck_query(d, "SELECT image_identifier, procedure_occurrence_id, image_report FROM read_parquet($1)", &p,
                          1, &r, &err),
               err);
    for (bool got = true;;) {
        REQUIRE_OK(duck_rows_next(r, v, &got, &err), err);
        if (!got)
            break;
        (void)buf_addf(&b, "%.*s|%lld|%.*s\n", STR_ARG(v[0].str), (long long)v[1].i64, STR_ARG(v[2].str));
    }
    CHECK_STR(buf_str(&b), want);
}

static void test_load__each_row_is_told_or_counted(void)
{
    struct store *s = open_store();
    add(s, (struct ask){ .mrn = "MRN777", .accession = "ACC555", .procedure = 1 });
    add(s, (struct ask){ .mrn = "MRN778", .accession = "ACC556", .procedure = 2 });
    static const char csv[] = HEAD "1,\"a \"\"normal\"\"\nreport\"\nx,CANARY\n3,CANARY\n2,of MRN778 CANARY\n1,CANARY\n";
    static const char told[] = "4: row refused: procedure_occurrence_id: not a whole number\n"
                               "5: not loaded: its procedure was never asked for in this extract\n"
                               "6: report withheld: procedure 2 (request 2): it holds an identity\n"
                               "7: row refused: procedure_occurrence_id: an earlier row of this file has it too\n";
    char want[1024];
    for (int dry = 1; dry >= 0; dry--) {
        (void)snprintf(want, sizeof want,
                       "%srefused 2, never asked 1, withheld 1, new 1, replaced 0, same 0, away 0, none 0\n", told);
        CHECK_STR(str_of(load(s, csv, (struct given){ .dry = dry })), want);
    }
    (void)snprintf(want, sizeof want,
                   "%srefused 2, never asked 1, withheld 1, new 0, replaced 0, same 1, away 0, none 0\n", told);
    CHECK_STR(str_of(load(s, csv, (struct given){ .dry = false })), want);
    CHECK_STR(str_of(load(s, HEAD "1,other\n2,clean now\n", (struct given){ .dry = false })),
              "refused 0, never asked 0, withheld 0, new 0, replaced 2, same 0, away 0, none 0\n");
    CHECK_STR(str_of(load(s, HEAD "1,\n2, \n", (struct given){ .dry = false })),
              "refused 0, never asked 0, withheld 0, new 0, replaced 0, same 0, away 2, none 0\n");
    CHECK_STR(str_of(load(s, HEAD "1,\n", (struct given){ .dry = false })),
              "refused 0, never asked 0, withheld 0, new 0, replaced 0, same 0, away 0, none 1\n");
    store_close(s);
}

/* The report of one cannot be told from that of the other: it is loaded, as records are merged, and a person is told. */
static void test_load__a_procedure_of_two_patients_is_told(void)
{
    struct store *s = open_store();
    add(s, (struct ask){ .mrn = "MRN777", .accession = "ACC555", .procedure = 1 });
    add(s, (struct ask){ .mrn = "MRN778", .accession = "ACC556", .procedure = 1 });
    add(s, (struct ask){ .mrn = "MRN779", .accession = "ACC557", .procedure = 2 });
    add(s, (struct ask){ .mrn = "MRN779", .accession = "ACC558", .procedure = 2 });
    static const char told[] = "2: procedure 1 (request 1) is asked for under 2 MRNs: its report goes with the studies of each\n"
                               "refused 0, never asked 0, withheld 0, new 2, replaced 0, same 0, away 0, none 0\n";
    CHECK_STR(str_of(load(s, HEAD "1,clean\n2,clean\n", (struct given){ .dry = false })), told);
    CHECK_STR(str_of(load(s, HEAD "1,\n", (struct given){ .dry = false })),
              "refused 0, never asked 0, withheld 0, new 0, replaced 0, same 0, away 1, none 0\n");
    store_close(s);
}

#define ONE_NEW  "refused 0, never asked 0, withheld 0, new 1, replaced 0, same 0, away 0, none 0\n"
#define ONE_SAME "refused 0, never asked 0, withheld 0, new 0, replaced 0, same 1, away 0, none 0\n"
#define ONE_STRANGER                                                     \
    "2: not loaded: its procedure was never asked for in this extract\n" \
    "refused 0, never asked 1, withheld 0, new 0, replaced 0, same 0, away 0, none 0\n"

/* Four extracts of project p; the newest instant is not the last text.  In turn: what was loaded before stays. */
static const struct {
    const char *name, *project_in_store, *csv;
    struct given given;
    const char *want;
} extract_rows[] = {
    { "the only project, its newest extract", NULL, HEAD "1,x\n", { NULL }, ONE_NEW },
    { "that was 23:30-01:00", NULL, HEAD "1,x\n", { .time = "2024-01-02T00:30:00Z" }, ONE_SAME },
    { "another", NULL, HEAD "1,x\n", { .time = "2024-01-02T00:00:00+01:00" }, ONE_NEW },
    { "an instant, two extracts: the one without offset",
      NULL,
      HEAD "1,x\n",
      { .time = "2023-12-07 14:08:58" },
      ONE_NEW },
    { "and the one with", NULL, HEAD "1,x\n", { .time = "2023-12-07T15:08:58+01:00" }, ONE_NEW },
    { "a column for it",
      NULL,
      "procedure_occurrence_id,image_report,extract_datetime\n1,x,2023-12-07 14:08:58\n",
      { NULL },
      ONE_SAME },
    { "no such extract",
      NULL,
      "procedure_occurrence_id,image_report,extract_datetime\n1,x,2031-12-07\n",
      { NULL },
      ONE_STRANGER },
    { "no such extract by option",
      NULL,
      HEAD "1,x\n",
      { .time = "2031-01-01" },
      "error: not_found: project 'p' has no extract of that time\n" },
    { "no time",
      NULL,
      HEAD "1,x\n",
      { .time = "yesterday" },
      "error: invalid: --extract takes a time like 2023-12-07T14:08:58\n" },
    { "both",
      NULL,
      "procedure_occurrence_id,image_report,extract_datetime\n1,x,2023-12-07\n",
      { .time = "2023-12-07" },
      "error: invalid: the file has a column extract_datetime: --extract cannot be given too\n" },
    { "two projects",
      "q",
      HEAD "1,x\n",
      { NULL },
      "error: invalid: which project? give --project SLUG, or a column project_name\n" },
    { "by option", "q", HEAD "1,x\n", { .project = "q" }, ONE_NEW },
    { "by column", "q", "procedure_occurrence_id,image_report,project_name\n1,x,q\n", { NULL }, ONE_SAME },
    { "by column, a stranger",
      "q",
      "procedure_occurrence_id,image_report,project_name\n1,x,r\n",
      { NULL },
      ONE_STRANGER },
    { "a stranger by option",
      "q",
      HEAD "1,x\n",
      { .project = "r" },
      "error: not_found: nothing was asked for in a project 'r'; did you mean p?\n" },
    { "column and option",
      "q",
      "procedure_occurrence_id,image_report,project_name\n1,x,q\n",
      { .project = "q" },
      "error: invalid: the file has a column project_name: --project cannot be given too\n" },
};

static void test_load__finds_the_extract(void)
{
    static const char *const times[] = { "2024-01-02T00:00:00+01:00", "2024-01-01T23:30:00-01:00",
                                         "2023-12-07T14:08:58", "2023-12-07T14:08:58+00:00" };
    struct store *s = open_store();
    CHECK_STR(str_of(load(s, HEAD "1,x\n", (struct given){ NULL })),
              "error: not_found: nothing was asked for yet: populate the cohort first\n");
    for (size_t i = 0; i < ARRAY_LEN(times); i++)
        add(s, (struct ask){ .mrn = "1", .accession = "A", .procedure = 1, .time = times[i] });
    for (size_t i = 0; i < ARRAY_LEN(extract_rows); i++) {
        test_row("%s", extract_rows[i].name);
        if (extract_rows[i].project_in_store != NULL)
            add(s, (struct ask){ .project = extract_rows[i].project_in_store, .mrn = "1", .accession = "A", .procedure = 1 });
        CHECK_STR(str_of(load(s, extract_rows[i].csv, extract_rows[i].given)), extract_rows[i].want);
    }
    store_close(s);
}

static void test_check__finds_what_the_store_knows(void)
{
    static const struct {
        const char *text;
        bool is_clean;
    } rows[] = {
        { "a normal chest", true },
        { "patient mrn-777001 seen", false },
        { "see (ACC0555123).", false },
        { "see accession 555123", false }, /* without its letters */
        { "study 1.2.826.77.1, series 2", false },
        { "study 1.2.826.77.12 is another", true },
        { "derived 1.2.826.77.1.5", false }, /* the beginning of a longer one */
        { "MRN 888002", true },              /* of another procedure */
        { "line\nbreak\nMRN777001", false },
        { "", true },
    };
    struct pixl_error err = { 0 };
    report_check_auto *c = NULL;
    const struct store_needle needles[] = {
        { STORE_NEEDLE_MRN, phi_text(STR("MRN777001")) },
        { STORE_NEEDLE_ACCESSION, phi_text(STR("ACC0555123")) },
        { STORE_NEEDLE_UID, phi_text(STR("1.2.826.77.1")) },
    };
    const struct store_subject of = { .request = 1, .needles = needles, .n_needles = ARRAY_LEN(needles) };
    const struct store_subject nothing = { .request = 1 };
    REQUIRE_OK(report_check_new(&c, &err), err);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        test_row("%s", rows[i].text);
        bool is_clean = !rows[i].is_clean;
        CHECK_OK(report_check_text(c, &of, str_of(rows[i].text), &is_clean, &err), err);
        CHECK_INT(is_clean, rows[i].is_clean);
        CHECK_OK(report_check_text(c, &nothing, str_of(rows[i].text), &is_clean, &err), err);
        CHECK(is_clean); /* nothing of the one before is left */
    }
}

/* More different words than can be remembered: it cannot be said to be clean. */
static void test_check__what_cannot_be_checked_is_not_clean(void)
{
    struct pixl_error err = { 0 };
    report_check_auto *c = NULL;
    const struct store_subject of = { .request = 1 };
    buf_auto b;
    buf_init(&b, 1 << 22);
    for (int i = 0; i < 130000; i++)
        (void)buf_addf(&b, "w%dx ", i);
    bool is_clean = true;
    REQUIRE_OK(report_check_new(&c, &err), err);
    CHECK_OK(report_check_text(c, &of, buf_str(&b), &is_clean, &err), err);
    CHECK(!is_clean);
    CHECK_OK(report_check_text(c, &of, STR("a normal chest"), &is_clean, &err), err);
    CHECK(is_clean);
}

static void test_table__holds_reports_of_what_was_delivered(void)
{
    struct store *s = open_store();
    add(s, (struct ask){ .mrn = "MRN777", .uid = "1.2.1", .procedure = 30 });
    (void)load(s, HEAD "30,\"it is, as before,\n\"\"normal\"\"\"\n", (struct given){ NULL });
    struct export_counts n = export(s);
    CHECK(n.reports == 0 && n.outcomes == 1 && n.open[STUDY_QUEUED] == 1 && n.reports_withheld == 0);
    CHECK(!fs_exists(test_path(FOLDER "radiology.parquet")));
    bring(s, 1, STUDY_EXPORTED);
    add(s, (struct ask){ .mrn = "MRN777", .uid = "1.2.2", .procedure = 30 });
    add(s, (struct ask){ .mrn = "MRN777", .uid = "1.2.2", .procedure = 10 });
    bring(s, 2, STUDY_KEPT);
    add(s, (struct ask){ .mrn = "MRN777", .uid = "1.2.3", .procedure = 40 });
    bring(s, 3, STUDY_MISSING);
    (void)load(s, HEAD "10,ten\n40,CANARY\n", (struct given){ NULL });
    n = export(s);
    CHECK(n.reports == 3 && n.linked == 3 && n.open[STUDY_QUEUED] == 0);
    check_table("2.25.2|10|ten\n2.25.1|30|it is, as before,\n\"normal\"\n2.25.2|30|it is, as before,\n\"normal\"\n");
    (void)load(s, HEAD "10,\n30,\n40,\n", (struct given){ NULL });
    n = export(s);
    CHECK(n.reports == 0 && n.linked == 3);
    CHECK(!fs_exists(test_path(FOLDER "radiology.parquet")) && fs_exists(test_path(FOLDER "OUTCOMES.parquet")));
    store_close(s);
}

/* What the archive told after the load is looked for when the table is written. */
static void test_table__withholds_what_became_an_identity_since(void)
{
    struct pixl_error err = { 0 };
    struct store *s = open_store();
    add(s, (struct ask){ .mrn = "MRN777", .accession = "ACC555", .procedure = 1 });
    add(s, (struct ask){ .mrn = "MRN778", .accession = "ACC556", .procedure = 2 });
    CHECK(strstr(load(s, HEAD "1,compared with 1.2.826.77.1\n2,of MRN778\n", (struct given){ NULL }),
                 "withheld 1, new 1") != NULL);
    struct phi_text uid = phi_text(STR("1.2.826.77.1"));
    int64_t mine;
    struct store_image m = claim(s);
    REQUIRE_OK(store_resolve(s, m.id, m.fence, &uid, 1, T0, &mine, &err), err);
    move_to(s, 1, STUDY_DEIDENTIFIED);
    CHECK_INT(claim_as(s, ME, STORE_WORK_DELIVER, 0, false).id, 1);
    move_to(s, 1, STUDY_EXPORTED);
    bring(s, 2, STUDY_EXPORTED);
    struct export_counts n = export(s);
    CHECK(n.linked == 2 && n.reports == 0);
    REQUIRE(n.reports_withheld == 2);
    CHECK(n.withheld[0].request == 1 && n.withheld[0].procedure_occurrence_id == 1);
    CHECK(n.withheld[1].request == 2 && n.withheld[1].procedure_occurrence_id == 2);
    CHECK(!fs_exists(test_path(FOLDER "radiology.parquet")));
    store_close(s);
}

static void test_table__of_long_reports_is_written_in_pieces(void)
{
    enum { N = 60, BYTES = 900000 };
    struct pixl_error err = { 0 };
    struct store *s = open_store();
    struct store_report_load *l = NULL;
    buf_auto text;
    buf_init(&text, 1 << 20);
    while (text.n < BYTES)
        (void)buf_addf(&text, "a normal chest %zu ", text.n % 1000);
    for (int i = 1; i <= N; i++)
        add(s, (struct ask){ .mrn = "MRN777", .uid = "1.2.1", .procedure = i });
    bring(s, 1, STUDY_EXPORTED);
    bool got;
    REQUIRE_OK(store_reports_begin(s, false, &l, &err), err);
    REQUIRE_OK(store_reports_enter(l, STR("p"), STR(TIME_1), &got, &err), err);
    for (int i = 1; i <= N; i++) {
        const struct store_report r = { .procedure_occurrence_id = i, .text = buf_str(&text) };
        enum store_report_put what;
        REQUIRE_OK(store_reports_put(l, &r, T0, &what, &err), err);
    }
    REQUIRE_OK(store_reports_end(l, &err), err);
    CHECK_INT(export(s).reports, N);
    duck_auto *d = NULL;
    duck_rows_auto *r = NULL;
    struct duck_value p = { .type = DUCK_STR, .str = str_of(test_path(FOLDER "radiology.parquet")) }, v[3];
    REQUIRE_OK(duck_open(test_path("reading"), 256, &d, &err), err);
    REQUIRE_OK(
        duck_query(d, "SELECT count(*), min(length(image_report)), count(DISTINCT image_report) FROM read_parquet($1)",
                   &p, 1, &r, &err),
        err);
    REQUIRE_OK(duck_rows_next(r, v, &got, &err), err);
    CHECK(v[0].i64 == N && v[1].i64 == (int64_t)text.n && v[2].i64 == 1);
    store_close(s);
}

int main(int argc, char **argv)
{
    static const struct test_case tests[] = {
        TEST(test_load__each_row_is_told_or_counted),
        TEST(test_load__a_procedure_of_two_patients_is_told),
        TEST(test_load__finds_the_extract),
        TEST(test_check__finds_what_the_store_knows),
        TEST(test_check__what_cannot_be_checked_is_not_clean),
        TEST(test_table__holds_reports_of_what_was_delivered),
        TEST(test_table__withholds_what_became_an_identity_since),
        TEST(test_table__of_long_reports_is_written_in_pieces),
    };
    return test_main(argc, argv, tests, ARRAY_LEN(tests));
}
