#include "test.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/duck.h"
#include "base/fs.h"
#include "export/export.h"

#define TIME1 "2020-06-10T18:00:00"
#define SLUG1 "2020-06-10t18-00-00"
#define TREE1 "exports/p/all_extracts/" SLUG1

static void make_file(const char *name, const char *text)
{
    struct pixl_error err = { 0 };
    char dir[1024];
    (void)snprintf(dir, sizeof dir, "%s", test_path(name));
    *strrchr(dir, '/') = '\0';
    REQUIRE_OK(fs_make_dirs(dir, 0700, &err), err);
    REQUIRE_OK(fs_write_whole(test_path(name), str_of(text), 0600, &err), err);
}

static bool holds(const char *name, const char *text)
{
    struct arena a;
    struct pixl_error err = { 0 };
    struct str s = { 0 };
    arena_init(&a, 1 << 16);
    bool ok = fs_read_whole(&a, test_path(name), 1 << 12, &s, &err) && str_eq(s, str_of(text));
    arena_done(&a);
    return ok;
}

static bool leads_to(const char *link, const char *target)
{
    char text[512];
    ssize_t n = readlink(test_path(link), text, sizeof text);
    return n > 0 && str_eq((struct str){ text, (size_t)n }, str_of(target));
}

static bool copy(const char *time_slug, const char *source, struct pixl_error *err)
{
    return export_copy_public(test_path("exports"), STR("p"), str_of(time_slug), test_path("extract/public"),
                              str_of(source), test_path("tmp"), err);
}

/* What a SELECT of DuckDB gives. */
static void make_table(const char *name, const char *select)
{
    struct pixl_error err = { 0 };
    struct arena a;
    duck_auto *d = NULL;
    buf_auto sql;
    arena_init(&a, 1 << 16);
    buf_init(&sql, 1 << 16);
    make_file(name, "");
    const char *quoted = duck_quote(&a, str_of(test_path(name)));
    REQUIRE(quoted != NULL && buf_addf(&sql, "COPY (%s) TO %s (FORMAT parquet)", select, quoted));
    REQUIRE_OK(duck_open(test_path("tmp"), 256, &d, &err), err);
    REQUIRE_OK(duck_run(d, buf_cstr(&sql), NULL, 0, &err), err);
    arena_done(&a);
}

static bool is_copy(const char *name, const char *of)
{
    struct arena a;
    struct pixl_error err = { 0 };
    struct str s = { 0 }, t = { 0 };
    arena_init(&a, 1 << 16);
    bool ok =
        fs_read_whole(&a, test_path(name), 1 << 14, &s, &err) && fs_read_whole(&a, test_path(of), 1 << 14, &t, &err);
    ok = ok && s.n > 0 && str_eq(s, t);
    arena_done(&a);
    return ok;
}

static void test_export__public_part_is_copied_and_latest_leads_there(void)
{
    struct pixl_error err = { 0 };
    make_table("extract/public/omop/PROCEDURE_OCCURRENCE.parquet", "SELECT 1 AS person_id");
    make_table("extract/public/omop/deep/er/x.parquet", "SELECT 2 AS x");
    make_file("extract/public/readme.txt", "three");
    make_file("extract/private/PERSON_LINKS.parquet", "CANARY");
    REQUIRE(mkdir(test_path("extract/public/empty"), 0700) == 0);
    REQUIRE_OK(copy(SLUG1, "fp1", &err), err);
    CHECK(is_copy(TREE1 "/omop/public/omop/PROCEDURE_OCCURRENCE.parquet",
                  "extract/public/omop/PROCEDURE_OCCURRENCE.parquet"));
    CHECK(is_copy(TREE1 "/omop/public/omop/deep/er/x.parquet", "extract/public/omop/deep/er/x.parquet"));
    CHECK(holds(TREE1 "/omop/public/readme.txt", "three"));
    CHECK(fs_is_dir(test_path(TREE1 "/omop/public/empty")));
    CHECK(!fs_exists(test_path(TREE1 "/omop/private")) && !fs_exists(test_path(TREE1 "/omop/public/private")));
    CHECK(holds(TREE1 "/.source", "fp1"));
    CHECK(leads_to("exports/p/latest", "all_extracts/" SLUG1));
    CHECK(holds("exports/p/latest/omop/public/readme.txt", "three"));
    struct stat st;
    REQUIRE(stat(test_path(TREE1 "/omop/public/readme.txt"), &st) == 0);
    CHECK_INT(st.st_mode & 07777, 0640);
    REQUIRE(stat(test_path(TREE1 "/omop/public"), &st) == 0);
    CHECK_INT(st.st_mode & 07777, 0750);
}

static void test_export__copying_again_brings_changes_and_removes_what_is_gone(void)
{
    struct pixl_error err = { 0 };
    make_file("extract/public/a.csv", "old");
    make_file("extract/public/gone.csv", "x");
    make_file("extract/public/gone/b/c.csv", "x");
    make_file("extract/public/turns/file.csv", "x");
    make_file("extract/public/other", "x");
    REQUIRE_OK(copy(SLUG1, "fp1", &err), err);
    REQUIRE_OK(fs_remove_tree(test_path("extract/public"), &err), err);
    make_file("extract/public/a.csv", "new");
    make_file("extract/public/turns", "now a file");
    make_file("extract/public/other/is/now", "a folder");
    make_file(TREE1 "/omop/public/stray", "was put there by hand");
    make_file(TREE1 "/radiology/OUTCOMES.parquet", "stays");
    REQUIRE(symlink("/etc", test_path(TREE1 "/omop/public/link")) == 0);
    REQUIRE_OK(copy(SLUG1, "fp1", &err), err);
    CHECK(holds(TREE1 "/omop/public/a.csv", "new"));
    CHECK(holds(TREE1 "/omop/public/turns", "now a file"));
    CHECK(holds(TREE1 "/omop/public/other/is/now", "a folder"));
    CHECK(!fs_exists(test_path(TREE1 "/omop/public/gone.csv")) && !fs_exists(test_path(TREE1 "/omop/public/gone")));
    CHECK(!fs_exists(test_path(TREE1 "/omop/public/stray")) && !fs_exists(test_path(TREE1 "/omop/public/link")));
    CHECK(fs_is_dir("/etc"));
    CHECK(holds(TREE1 "/radiology/OUTCOMES.parquet", "stays"));
}

/* A folder of the target that became a link must not lead the copy outside. */
static void test_export__links_in_the_target_are_not_followed(void)
{
    struct pixl_error err = { 0 };
    make_file("extract/public/sub/a.csv", "one");
    make_file("elsewhere/keep", "keep");
    REQUIRE_OK(copy(SLUG1, "fp1", &err), err);
    REQUIRE_OK(fs_remove_tree(test_path(TREE1 "/omop/public/sub"), &err), err);
    REQUIRE(symlink(test_path("elsewhere"), test_path(TREE1 "/omop/public/sub")) == 0);
    REQUIRE_OK(copy(SLUG1, "fp1", &err), err);
    CHECK(holds(TREE1 "/omop/public/sub/a.csv", "one") && !fs_exists(test_path("elsewhere/a.csv")));
    CHECK(holds("elsewhere/keep", "keep"));
    REQUIRE_OK(fs_remove_tree(test_path(TREE1 "/omop"), &err), err);
    REQUIRE(symlink(test_path("elsewhere"), test_path(TREE1 "/omop")) == 0);
    CHECK_FAILS(copy(SLUG1, "fp1", &err), err, PIXL_E_INVALID);
    CHECK(!fs_exists(test_path("elsewhere/public")));
}

static void test_export__links_in_the_source_are_refused_before_anything_is_made(void)
{
    struct pixl_error err = { 0 };
    make_file("extract/public/a.csv", "one");
    make_file("extract/private/PERSON_LINKS.parquet", "CANARY");
    REQUIRE(symlink("../private/PERSON_LINKS.parquet", test_path("extract/public/b.parquet")) == 0);
    bool ok = copy(SLUG1, "fp1", &err);
    CHECK(strstr(err.msg, "b.parquet") != NULL);
    CHECK_FAILS(ok, err, PIXL_E_INVALID);
    REQUIRE(unlink(test_path("extract/public/b.parquet")) == 0 &&
            symlink("../private", test_path("extract/public/b")) == 0);
    CHECK_FAILS(copy(SLUG1, "fp1", &err), err, PIXL_E_INVALID);
    REQUIRE(unlink(test_path("extract/public/b")) == 0 && mkfifo(test_path("extract/public/b"), 0600) == 0);
    CHECK_FAILS(copy(SLUG1, "fp1", &err), err, PIXL_E_INVALID);
    CHECK(!fs_exists(test_path("exports")));
}

/* Who copied too much. */
static void test_export__private_tables_in_the_public_folder_are_refused(void)
{
    static const char *const names[] = { "PERSON_LINKS.parquet", "person_links.PARQUET",
                                         "x/PROCEDURE_OCCURRENCE_LINKS/b.parquet", "PERSON_LINKS.csv" };
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        struct pixl_error err = { 0 };
        char path[128];
        test_row("%s", names[i]);
        make_table("extract/public/LINKS_OF_CARE.parquet", "SELECT 1 AS x");
        (void)snprintf(path, sizeof path, "extract/public/%s", names[i]);
        make_file(path, "CANARY");
        CHECK_FAILS(copy(SLUG1, "fp1", &err), err, PIXL_E_PRIVACY);
        CHECK(!fs_exists(test_path("exports")));
        REQUIRE_OK(fs_remove_tree(test_path("extract"), &err), err);
    }
    struct pixl_error err = { 0 };
    make_table("extract/public/LINKS_OF_CARE.parquet", "SELECT 1 AS x");
    CHECK_OK(copy(SLUG1, "fp1", &err), err);
}

/* By the schema alone: fields of structures and names of partitions too, whatever the file is called. */
static void test_export__columns_that_say_whom_they_name_are_refused(void)
{
    static const struct {
        const char *file, *select, *told;
    } rows[] = {
        { "omop/PERSON.parquet", "SELECT 7 AS person_id, 'CANARY' AS PrimaryMrn",
          "'omop/PERSON.parquet' has the column 'primarymrn'" },
        { "PERSON.PARQUET", "SELECT 'CANARY' AS MRN", "'mrn'" },
        { "x.parquet", "SELECT 'CANARY' AS \"Accession_Number\"", "'accessionnumber'" },
        { "x.parquet", "SELECT 'CANARY' AS NhsNumber", "'nhsnumber'" },
        { "x.parquet", "SELECT 'CANARY' AS \"NHS Number\"", "'nhsnumber'" },
        { "x.parquet", "SELECT 'CANARY' AS patient_name", "'patientname'" },
        { "x.parquet", "SELECT 'CANARY' AS __surname", "'surname'" },
        { "x.parquet", "SELECT 'CANARY' AS StudyUid_X", "'studyuidx'" },
        { "x.parquet", "SELECT 'CANARY' AS Date_Of_Birth WHERE false", "'dateofbirth'" },
        { "x.parquet", "SELECT [{'given_name': 'CANARY'}] AS names", "'givenname'" },
        { "deep/er/data.bin", "SELECT 'CANARY' AS mrn", "'deep/er/data.bin' has the column 'mrn'" },
        { "a*[b]?'.parquet", "SELECT 'CANARY' AS mrn", "'mrn'" },
        { "nhs_number=CANARY/x.parquet", "SELECT 1 AS x", "folder" },
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct pixl_error err = { 0 };
        char path[128];
        test_row("%s, %s", rows[i].file, rows[i].select);
        make_file("extract/public/readme.txt", "first");
        make_table("extract/public/omop/PROCEDURE_OCCURRENCE.parquet", "SELECT 1 AS person_id");
        (void)snprintf(path, sizeof path, "extract/public/%s", rows[i].file);
        make_table(path, rows[i].select);
        CHECK(!copy(SLUG1, "fp1", &err) && err.code == PIXL_E_PRIVACY);
        CHECK(strstr(err.msg, rows[i].told) != NULL && strstr(err.msg, "nothing is copied") != NULL);
        CHECK(strstr(err.msg, "CANARY") == NULL && strstr(err.msg, "private") != NULL);
        pixl_error_clear(&err);
        CHECK(!fs_exists(test_path("exports")));
        REQUIRE_OK(fs_remove_tree(test_path("extract"), &err), err);
    }
}

/* Those of OMOP's own, near misses, and pseudonyms. */
static void test_export__columns_of_the_standard_are_copied(void)
{
    struct pixl_error err = { 0 };
    make_table("extract/public/PERSON.parquet", "SELECT 1 AS person_id, 2 AS birth_datetime, 3 AS person_source_value, "
                                                "4 AS year_of_birth, 5 AS month_of_birth, "
                                                "6 AS day_of_birth, 7 AS gender_source_value, 8 AS location_id");
    make_table(
        "extract/public/OTHERS.parquet",
        "SELECT 1 AS provider_name, 2 AS npi, 3 AS dea, 4 AS care_site_name, 5 AS address_1, 6 AS address_2, 7 AS "
        "city, "
        "8 AS zip, 9 AS concept_name, 10 AS note_title, 11 AS note_text, 12 AS unique_device_id, 13 AS lot_number, "
        "14 AS family_source_value, 15 AS cdm_source_name, 16 AS value_as_number, 17 AS death_datetime, 18 AS name, "
        "19 AS pseudo_study_uid, 20 AS hashed_mrn, 21 AS patient_id, 22 AS mrna_vaccine, "
        "23 AS a_name_that_is_longer_than_any_of_ours_by_far_and_ends_like_one_of_them_all_the_same_mrn");
    REQUIRE_OK(copy(SLUG1, "fp1", &err), err);
    CHECK(is_copy(TREE1 "/omop/public/PERSON.parquet", "extract/public/PERSON.parquet"));
    CHECK(is_copy(TREE1 "/omop/public/OTHERS.parquet", "extract/public/OTHERS.parquet"));
}

static void test_export__a_table_that_nobody_can_read_is_not_copied(void)
{
    static const char *const texts[] = { "", "mrn\n1\n", "PAR1 and no end", "PAR1xxxxPAR1" };
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        struct pixl_error err = { 0 };
        test_row("%s", texts[i]);
        make_file("extract/public/readme.txt", "first");
        make_file("extract/public/x.parquet", texts[i]);
        CHECK(!copy(SLUG1, "fp1", &err) && err.code == PIXL_E_CORRUPT);
        CHECK(strstr(err.msg, "'x.parquet' cannot be read") != NULL && !fs_exists(test_path("exports")));
        pixl_error_clear(&err);
        REQUIRE_OK(fs_remove_tree(test_path("extract"), &err), err);
    }
}

static void test_export__missing_public_folder_leaves_no_trace(void)
{
    struct pixl_error err = { 0 };
    CHECK_FAILS(copy(SLUG1, "fp1", &err), err, PIXL_E_NOT_FOUND);
    CHECK(!fs_exists(test_path("exports")));
}

static void test_export__same_time_with_another_source_is_refused(void)
{
    struct pixl_error err = { 0 };
    make_file("extract/public/a.csv", "one");
    REQUIRE_OK(copy(SLUG1, "fp1", &err), err);
    make_file("extract/public/a.csv", "two");
    CHECK_FAILS(copy(SLUG1, "fp2", &err), err, PIXL_E_EXISTS);
    CHECK(holds(TREE1 "/omop/public/a.csv", "one"));
    make_file("exports/p/all_extracts/2021-01-01t00-00-00/omop/public/x", "of somebody else");
    CHECK_FAILS(copy("2021-01-01t00-00-00", "fp1", &err), err, PIXL_E_EXISTS);
    make_file("exports/p/all_extracts/2021-01-02t00-00-00/radiology/OUTCOMES.parquet", "tables came first");
    CHECK_OK(copy("2021-01-02t00-00-00", "fp1", &err), err);
}

static void test_export__latest_leads_to_the_newest_instant(void)
{
    static const struct { const char *name, *time, *want; } rows[] = {
        { "first", "2020-06-10t18-00-00", "2020-06-10t18-00-00" },
        { "newer", "2020-07-10t18-00-00", "2020-07-10t18-00-00" },
        { "older again", "2020-06-10t18-00-00", "2020-07-10t18-00-00" },
        { "later by microseconds", "2020-07-10t18-00-00-000001", "2020-07-10t18-00-00-000001" },
        { "greater text, earlier instant", "2020-07-10t19-30-00-02-00", "2020-07-10t18-00-00-000001" },
        { "smaller text, later instant", "2020-07-10t17-30-00-minus-01-00", "2020-07-10t17-30-00-minus-01-00" },
        { "same instant, smaller text", "2020-07-10t17-00-00-minus-01-30", "2020-07-10t17-30-00-minus-01-00" },
        { "same instant, greater text", "2020-07-10t18-30-00", "2020-07-10t18-30-00" },
    };
    make_file("extract/public/a.csv", "one");
    struct pixl_error err = { 0 };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        test_row("%s", rows[i].name);
        char want[128];
        (void)snprintf(want, sizeof want, "all_extracts/%s", rows[i].want);
        CHECK_OK(copy(rows[i].time, "fp1", &err), err);
        CHECK(leads_to("exports/p/latest", want));
    }
}

static void test_export__latest_of_other_making(void)
{
    struct pixl_error err = { 0 };
    make_file("extract/public/a.csv", "one");
    make_file("exports/p/all_extracts/2021-01-01t00-00-00/omop/public/x", "x");
    test_row("absolute link to a newer extract stays");
    REQUIRE(symlink(test_path("exports/p/all_extracts/2021-01-01t00-00-00"), test_path("exports/p/latest")) == 0);
    REQUIRE_OK(copy(SLUG1, "fp1", &err), err);
    CHECK(leads_to("exports/p/latest", test_path("exports/p/all_extracts/2021-01-01t00-00-00")));
    test_row("link to what is gone is replaced");
    REQUIRE_OK(fs_remove_tree(test_path("exports/p/all_extracts/2021-01-01t00-00-00"), &err), err);
    REQUIRE_OK(copy(SLUG1, "fp1", &err), err);
    CHECK(leads_to("exports/p/latest", "all_extracts/" SLUG1));
    test_row("folder of that name is left alone");
    REQUIRE(unlink(test_path("exports/p/latest")) == 0 && mkdir(test_path("exports/p/latest"), 0700) == 0);
    CHECK_FAILS(copy(SLUG1, "fp1", &err), err, PIXL_E_EXISTS);
    CHECK(fs_is_dir(test_path("exports/p/latest")));
}

static void test_export__names_that_are_no_slugs_are_refused(void)
{
    static const struct { const char *slug, *time; } rows[] = {
        { "", SLUG1 }, { "..", SLUG1 }, { "a/b", SLUG1 }, { "A", SLUG1 }, { "p", "" }, { "p", ".." }, { "p", "latest" },
        { "p", "2020-06-10T18:00:00" }, { "p", "2020-13-10t18-00-00" },
    };
    struct pixl_error err = { 0 };
    make_file("extract/public/a.csv", "one");
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        test_row("'%s' '%s'", rows[i].slug, rows[i].time);
        CHECK_FAILS(export_copy_public(test_path("exports"), str_of(rows[i].slug), str_of(rows[i].time),
                                       test_path("extract/public"), STR("fp"), test_path("tmp"), &err),
                    err, PIXL_E_INVALID);
    }
}

static void test_export__folders_in_each_other_are_refused(void)
{
    struct pixl_error err = { 0 };
    make_file("extract/public/a.csv", "one");
    CHECK_FAILS(export_copy_public(test_path("extract/public/exports"), STR("p"), STR(SLUG1),
                                   test_path("extract/public"), STR("fp"), test_path("tmp"), &err),
                err, PIXL_E_INVALID);
    CHECK(!fs_exists(test_path("extract/public/exports")));
    make_file(TREE1 "/omop/public/extract/public/a.csv", "one");
    CHECK_FAILS(export_copy_public(test_path("exports"), STR("p"), STR(SLUG1),
                                   test_path(TREE1 "/omop/public/extract/public"), STR("fp"), test_path("tmp"), &err),
                err, PIXL_E_INVALID);
    CHECK(holds(TREE1 "/omop/public/extract/public/a.csv", "one"));
}

/* --- tables ------------------------------------------------------------------------------------------------------- */

static struct store *open_store(void)
{
    struct pixl_error err = { 0 };
    struct store *s = NULL;
    char url[1100];
    (void)snprintf(url, sizeof url, "sqlite:%s", test_path("pixl.db"));
    REQUIRE_OK(store_open(url, &s, &err), err);
    return s;
}

static void ask_for(struct store *s, int64_t procedure, const char *accession, const char *time)
{
    struct pixl_error err = { 0 };
    struct store_populate *p = NULL;
    enum store_added what;
    struct study_request r = { .project = STR("p"),
                               .mrn = phi_text(STR("CANARY-MRN")),
                               .accession_number = phi_text(str_of(accession)),
                               .procedure_occurrence_id = procedure,
                               .extract_time = str_of(time),
                               .priority = 1 };
    REQUIRE_OK(store_populate_begin(s, false, &p, &err), err);
    REQUIRE_OK(store_populate_add(p, &r, 1, &what, NULL, &err), err);
    REQUIRE_OK(store_populate_end(p, &err), err);
}

/* The image of the next due row, taken. */
static struct store_image take(struct store *s, enum store_work work)
{
    static struct arena a;
    struct pixl_error err = { 0 };
    struct store_claim c = { .work = work, .owner = "test", .now_us = 1000, .lease_us = 1000000 };
    struct store_image image = { 0 };
    bool got = false;
    arena_init(&a, 1 << 20);
    REQUIRE_OK(store_claim_next(s, &c, &a, &got, &image, &err), err);
    REQUIRE(got);
    struct store_image numbers = { .id = image.id, .fence = image.fence };
    arena_done(&a);
    return numbers;
}

static void move(struct store *s, struct store_image image, enum study_state to, enum study_reason why, const char *uid,
                 int64_t found, int64_t delivered)
{
    struct pixl_error err = { 0 };
    struct store_move m = STORE_MOVE_NONE;
    m.image = image.id;
    m.fence = image.fence;
    m.to = to;
    m.reason = why;
    m.now_us = 2000;
    m.pseudo_study_uid = uid;
    m.instances_found = found;
    m.instances_delivered = delivered;
    m.instances_skipped = found >= 0 ? found - delivered : -1;
    REQUIRE_OK(store_move(s, &m, NULL, &err), err);
}

/* Rows of a parquet file, as "a|b|c" lines; NULL is "-". */
static void list_parquet(const char *path, struct buf *b)
{
    struct pixl_error err = { 0 };
    duck_auto *d = NULL;
    duck_rows_auto *r = NULL;
    REQUIRE_OK(duck_open(test_path("reading"), 64, &d, &err), err);
    struct duck_value p = { .type = DUCK_STR, .str = str_of(path) };
    REQUIRE_OK(duck_query(d, "SELECT * FROM read_parquet($1)", &p, 1, &r, &err), err);
    size_t n = duck_rows_columns(r);
    struct duck_value v[16];
    REQUIRE(n <= ARRAY_LEN(v));
    for (size_t i = 0; i < n; i++)
        (void)buf_addf(b, "%s%s", i ? "|" : "", duck_rows_name(r, i));
    for (bool got = true;;) {
        REQUIRE_OK(duck_rows_next(r, v, &got, &err), err);
        (void)buf_add_char(b, '\n');
        if (!got)
            return;
        for (size_t i = 0; i < n; i++) {
            (void)buf_add_cstr(b, i ? "|" : "");
            if (v[i].type == DUCK_I64)
                (void)buf_addf(b, "%lld", (long long)v[i].i64);
            else if (v[i].type == DUCK_STR)
                (void)buf_add_str(b, v[i].str);
            else
                (void)buf_add_char(b, '-');
        }
    }
}

static void check_parquet(const char *name, const char *want)
{
    buf_auto b = { 0 };
    buf_init(&b, 1 << 20);
    list_parquet(test_path(name), &b);
    CHECK_STR(buf_str(&b), want);
}

#define LINKER_HEAD "procedure_occurrence_id|pseudo_study_uid\n"
#define OUTCOMES_HEAD \
    "procedure_occurrence_id|outcome|reason|pseudo_study_uid|instances_found|instances_delivered|instances_skipped\n"

static struct export_counts write_tables(struct store *s, const char *time, const char *time_slug)
{
    struct pixl_error err = { 0 };
    struct export_counts n = { .linked = -1, .outcomes = -1 };
    REQUIRE_OK(export_write_tables(s, test_path("exports"), STR("p"), str_of(time), str_of(time_slug),
                                   test_path("spill"), &n, &err),
               err);
    return n;
}

static void test_export__tables_of_nothing_are_valid_parquet(void)
{
    store_auto *s = open_store();
    struct export_counts n = write_tables(s, TIME1, SLUG1);
    CHECK(n.linked == 0 && n.outcomes == 0);
    check_parquet(TREE1 "/radiology/IMAGE_LINKER.parquet", LINKER_HEAD);
    check_parquet(TREE1 "/radiology/OUTCOMES.parquet", OUTCOMES_HEAD);
    CHECK(leads_to("exports/p/latest", "all_extracts/" SLUG1));
    struct stat st;
    REQUIRE(stat(test_path(TREE1 "/radiology/OUTCOMES.parquet"), &st) == 0);
    CHECK_INT(st.st_mode & 07777, 0640);
}

static void test_export__each_outcome_says_what_may_be_said(void)
{
    store_auto *s = open_store();
    /* Claims go by date, then number: rows are taken in this order. */
    ask_for(s, 90, "a1", TIME1);
    struct store_image i = take(s, STORE_WORK_RETRIEVE);
    move(s, i, STUDY_DEIDENTIFIED, STUDY_WHY_NONE, "2.25.1", 10, 8);
    i = take(s, STORE_WORK_DELIVER);
    move(s, i, STUDY_EXPORTED, STUDY_WHY_NONE, NULL, -1, -1);
    ask_for(s, 80, "a2", TIME1);
    move(s, take(s, STORE_WORK_RETRIEVE), STUDY_WITHHELD, STUDY_WHY_RESIDUE, "2.25.2", 5, 0);
    ask_for(s, 70, "a3", TIME1);
    move(s, take(s, STORE_WORK_RETRIEVE), STUDY_MISSING, STUDY_WHY_NOT_IN_ARCHIVE, NULL, -1, -1);
    ask_for(s, 60, "a4", TIME1);
    move(s, take(s, STORE_WORK_RETRIEVE), STUDY_SKIPPED, STUDY_WHY_MODALITY, "2.25.4", 3, 0);
    ask_for(s, 50, "a5", TIME1);
    i = take(s, STORE_WORK_RETRIEVE);
    move(s, i, STUDY_DEIDENTIFIED, STUDY_WHY_NONE, "2.25.5", 2, 2);
    i = take(s, STORE_WORK_DELIVER);
    move(s, i, STUDY_FAILED, STUDY_WHY_DELIVERY_ERROR, NULL, -1, -1);
    ask_for(s, 40, "a6", TIME1);
    move(s, take(s, STORE_WORK_RETRIEVE), STUDY_DEIDENTIFIED, STUDY_WHY_NONE, "2.25.6", 4, 4);
    ask_for(s, 95, "a1", TIME1);             /* another row for the first study */
    ask_for(s, 30, "a7", TIME1);
    ask_for(s, 20, "a8", "2021-01-01T00:00:00");     /* another extract */
    struct export_counts n = write_tables(s, TIME1, SLUG1);
    CHECK_INT(n.linked, 2);
    CHECK_INT(n.outcomes, 8);
    check_parquet(TREE1 "/radiology/IMAGE_LINKER.parquet", LINKER_HEAD "90|2.25.1\n95|2.25.1\n");
    check_parquet(TREE1 "/radiology/OUTCOMES.parquet", OUTCOMES_HEAD
                  "30|queued|-|-|0|0|0\n"
                  "40|deidentified|-|-|4|0|0\n"
                  "50|failed|delivery-error|-|2|0|0\n"
                  "60|skipped|modality|-|3|0|3\n"
                  "70|missing|not-in-archive|-|0|0|0\n"
                  "80|withheld|-|-|-|-|-\n"
                  "90|exported|-|2.25.1|10|8|2\n"
                  "95|exported|-|2.25.1|10|8|2\n");
    n = write_tables(s, "2021-01-01T00:00:00", "2021-01-01t00-00-00");
    CHECK(n.linked == 0 && n.outcomes == 1);
    CHECK(leads_to("exports/p/latest", "all_extracts/2021-01-01t00-00-00"));
}

static void test_export__tables_are_replaced_whole(void)
{
    store_auto *s = open_store();
    ask_for(s, 1, "a1", TIME1);
    (void)write_tables(s, TIME1, SLUG1);
    check_parquet(TREE1 "/radiology/OUTCOMES.parquet", OUTCOMES_HEAD "1|queued|-|-|0|0|0\n");
    move(s, take(s, STORE_WORK_RETRIEVE), STUDY_MISSING, STUDY_WHY_NOT_IN_ARCHIVE, NULL, -1, -1);
    (void)write_tables(s, TIME1, SLUG1);
    check_parquet(TREE1 "/radiology/OUTCOMES.parquet", OUTCOMES_HEAD "1|missing|not-in-archive|-|0|0|0\n");
    struct pixl_error err = { 0 };
    struct export_counts n = { .linked = -1, .outcomes = -1 };
    CHECK_FAILS(export_write_tables(s, test_path("exports"), STR("p"), STR(TIME1), STR("not-a-time"),
                                    test_path("spill"), &n, &err),
                err, PIXL_E_INVALID);
    CHECK(n.linked == -1 && n.outcomes == -1);
    /* A link that stands where the table goes is replaced, not written through. */
    make_file("elsewhere", "keep");
    REQUIRE(unlink(test_path(TREE1 "/radiology/OUTCOMES.parquet")) == 0);
    REQUIRE(symlink(test_path("elsewhere"), test_path(TREE1 "/radiology/OUTCOMES.parquet")) == 0);
    (void)write_tables(s, TIME1, SLUG1);
    CHECK(holds("elsewhere", "keep"));
    check_parquet(TREE1 "/radiology/OUTCOMES.parquet", OUTCOMES_HEAD "1|missing|not-in-archive|-|0|0|0\n");
}

static void test_export__root_with_quotes_in_its_name(void)
{
    store_auto *s = open_store();
    struct pixl_error err = { 0 };
    struct export_counts n = { .linked = -1, .outcomes = -1 };
    CHECK_OK(export_write_tables(s, test_path("it's; [a] root"), STR("p"), STR(TIME1), STR(SLUG1), test_path("spill"),
                                 &n, &err),
             err);
    CHECK(fs_exists(test_path("it's; [a] root/p/all_extracts/" SLUG1 "/radiology/OUTCOMES.parquet")));
}

static void test_export__files_to_upload_are_listed(void)
{
    struct pixl_error err = { 0 };
    struct arena a;
    struct export_file *files = NULL;
    size_t n = 0;
    arena_init(&a, 1 << 20);
    CHECK_FAILS(export_list_files(test_path("exports"), STR("p"), STR(SLUG1), &a, &files, &n, &err), err,
                PIXL_E_NOT_FOUND);
    make_table("extract/public/omop/PROCEDURE_OCCURRENCE.parquet", "SELECT 1 AS person_id");
    make_table("extract/public/custom/t/part-0.parquet", "SELECT 1 AS x");
    make_file("extract/public/notes.txt", "no table");
    make_table("extract/public/.hidden.parquet", "SELECT 1 AS x");
    REQUIRE_OK(copy(SLUG1, "fp1", &err), err);
    make_file(TREE1 "/radiology/OUTCOMES.parquet", "o");
    make_file(TREE1 "/radiology/.OUTCOMES.parquet.77.part", "half");
    make_file(TREE1 "/stray.parquet", "x");
    REQUIRE_OK(export_list_files(test_path("exports"), STR("p"), STR(SLUG1), &a, &files, &n, &err), err);
    static const char *const want[] = { "omop/public/custom/t/part-0.parquet",
                                        "omop/public/omop/PROCEDURE_OCCURRENCE.parquet", "radiology/OUTCOMES.parquet" };
    REQUIRE(n == ARRAY_LEN(want));
    for (size_t i = 0; i < n; i++) {
        CHECK_STR(str_of(files[i].remote), want[i]);
        char path[1024];
        (void)snprintf(path, sizeof path, TREE1 "/%s", want[i]);
        CHECK_STR(str_of(files[i].path), test_path(path));
    }
    arena_done(&a);
}

int main(int argc, char **argv)
{
    static const struct test_case tests[] = {
        TEST(test_export__public_part_is_copied_and_latest_leads_there),
        TEST(test_export__copying_again_brings_changes_and_removes_what_is_gone),
        TEST(test_export__links_in_the_target_are_not_followed),
        TEST(test_export__links_in_the_source_are_refused_before_anything_is_made),
        TEST(test_export__private_tables_in_the_public_folder_are_refused),
        TEST(test_export__columns_that_say_whom_they_name_are_refused),
        TEST(test_export__columns_of_the_standard_are_copied),
        TEST(test_export__a_table_that_nobody_can_read_is_not_copied),
        TEST(test_export__missing_public_folder_leaves_no_trace),
        TEST(test_export__same_time_with_another_source_is_refused),
        TEST(test_export__latest_leads_to_the_newest_instant),
        TEST(test_export__latest_of_other_making),
        TEST(test_export__names_that_are_no_slugs_are_refused),
        TEST(test_export__folders_in_each_other_are_refused),
        TEST(test_export__tables_of_nothing_are_valid_parquet),
        TEST(test_export__each_outcome_says_what_may_be_said),
        TEST(test_export__tables_are_replaced_whole),
        TEST(test_export__root_with_quotes_in_its_name),
        TEST(test_export__files_to_upload_are_listed),
    };
    return test_main(argc, argv, tests, ARRAY_LEN(tests));
}
