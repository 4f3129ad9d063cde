#include "pipeline/extract.h"

#include <fcntl.h>

#include "pipeline/spool.h"
#include "site_rig.h"

#define CSV(procedure, mrn, accession, uid, series) \
    procedure "," mrn "," accession ",rig,2023-12-07T14:08:58Z,2020-05-23," uid ",," series "\n"
#define STUDY1 CSV("1", "MRN5501", "ACC5501", "1.2.3.1", "")
#define SERIES(n) "1.2.3.1." #n
#define SOP(s, n) "1.2.3.1." #s "." #n
enum { ENTRIES_MAX = 64 };

static struct pixl_error err;

static const char *zip_path(struct site_rig *r, const struct extract_result *result)
{
    const char *path = NULL;
    REQUIRE_OK(spool_path(r->site, STR(RIG_PROJECT), result->pseudo_study_uid, &r->arena, &path, &err), err);
    return path;
}

/* Claims the next row and retrieves it; what the zip holds must be what the result says, sorted, and nothing is left of a zip that is not. */
static struct extract_result retrieve(struct site_rig *r, struct store_image *image)
{
    struct extract_result result;
    size_t hidden, files;
    REQUIRE(rig_claim(r, STORE_WORK_RETRIEVE, image));
    extract_study(&r->x, image, &result);
    files = rig_count("state/spool/rig", &hidden);
    CHECK_INT(hidden, 0);
    if (result.outcome != STUDY_OUT_DEIDENTIFIED) {
        CHECK_INT(files, 0);
        return result;
    }
    char names[ENTRIES_MAX][256];
    size_t n = rig_zip_names(zip_path(r, &result), names, ENTRIES_MAX);
    CHECK_INT(n, result.delivered);
    for (size_t i = 0; i < n; i++) {
        CHECK(strncmp(names[i], result.pseudo_study_uid, strlen(result.pseudo_study_uid)) == 0);
        CHECK(i == 0 || strcmp(names[i - 1], names[i]) < 0);
    }
    struct stat st;
    CHECK(stat(zip_path(r, &result), &st) == 0 && st.st_size == result.zip_bytes);
    return result;
}

/* The whole of a small test: one cohort, one retrieval. */
static struct extract_result retrieve_one(const char *setting, const char *rows)
{
    struct site_rig r;
    struct store_image image;
    rig_open(&r, setting);
    rig_populate(&r, rows);
    struct extract_result result = retrieve(&r, &image);
    CHECK_INT(result.outcome == STUDY_OUT_LOST, rig_settle(&r, &image, &result).lost);
    rig_close(&r);
    return result;
}

static void check_end(const struct extract_result *r, enum study_outcome outcome, enum study_reason reason)
{
    CHECK_INT(r->outcome, outcome);
    CHECK_STR(str_of(study_reason_name(r->reason)), study_reason_name(reason));
}

static void check_numbers(const struct extract_result *r, int64_t found, int64_t delivered, int64_t skipped)
{
    CHECK_INT(r->found, found);
    CHECK_INT(r->delivered, delivered);
    CHECK_INT(r->skipped, skipped);
}

static void shorten(const char *name, off_t bytes)
{
    struct stat st;
    REQUIRE(stat(test_path(name), &st) == 0 && truncate(test_path(name), st.st_size - bytes) == 0);
}

/* --- what is delivered ---------------------------------------------------------------------------------------------- */

/* Rules, patterns and pseudonyms are made ready once, and not for each study: what made them may be gone by then. */
static void test_extract__a_project_is_compiled_once(void)
{
    struct site_rig r;
    struct site_project *first = NULL, *again = NULL;
    struct store_image image;
    struct extract_result result;
    rig_folders("");
    rig_save(&(struct rig_file){ .name = "a", .study = "1.2.3.1", .sop = "1.2.3.1.1.1" });
    rig_save(&(struct rig_file){ .name = "b", .study = "1.2.3.2", .sop = "1.2.3.2.1.1", .accession = "ACC5502" });
    rig_open(&r, NULL);
    rig_populate(&r, "1,MRN5501,ACC5501,rig,2024-01-01T00:00:00Z,2024-01-01,1.2.3.1,,\n"
                     "2,MRN5501,ACC5502,rig,2024-01-01T00:00:00Z,2024-01-02,1.2.3.2,,\n");
    REQUIRE_OK(site_project(r.site, STR("rig"), true, &first, &err), err);
    REQUIRE_OK(fs_remove_tree(test_path("configs"), &err), err);
    for (int i = 0; i < 2; i++) {
        REQUIRE(rig_claim(&r, STORE_WORK_RETRIEVE, &image));
        extract_study(&r.x, &image, &result);
        CHECK_INT(result.outcome, STUDY_OUT_DEIDENTIFIED);
        REQUIRE_OK(site_project(r.site, STR("rig"), true, &again, &err), err);
        CHECK(again == first);
    }
    rig_close(&r);
}

static void test_extract__entries_are_sorted_by_their_pseudonyms(void)
{
    char names[24][32], sops[24][32], series[4][32];
    rig_folders("");
    for (int s = 0; s < 4; s++)
        (void)snprintf(series[s], sizeof series[s], "1.2.3.1.%d", s + 1);
    for (int i = 0; i < 24; i++) {
        (void)snprintf(names[i], sizeof names[i], "f%d", i);
        (void)snprintf(sops[i], sizeof sops[i], "1.2.3.1.%d.%d", i % 4 + 1, i);
        rig_save(&(struct rig_file){ .name = names[i], .series = series[i % 4], .sop = sops[i] });
    }
    const struct extract_result r = retrieve_one(NULL, STUDY1);
    check_end(&r, STUDY_OUT_DEIDENTIFIED, STUDY_WHY_NONE);
    check_numbers(&r, 24, 24, 0);
}

static void test_extract__series_that_are_not_asked_for_are_not_read(void)
{
    rig_folders("");
    rig_save(&(struct rig_file){ .name = "a", .series = SERIES(1), .sop = SOP(1, 1) });
    rig_save(&(struct rig_file){ .name = "b", .series = SERIES(2), .sop = SOP(2, 1) });
    rig_save(&(struct rig_file){ .name = "c", .series = SERIES(2), .sop = SOP(2, 2) });
    shorten("archive/c", 20);                                /* would fail the study if it were read */
    const struct extract_result r = retrieve_one(NULL, CSV("1", "MRN5501", "ACC5501", "1.2.3.1", SERIES(1)));
    check_end(&r, STUDY_OUT_DEIDENTIFIED, STUDY_WHY_NONE);
    check_numbers(&r, 3, 1, 2);
    CHECK_INT(r.skipped_by[STUDY_WHY_SERIES_NOT_REQUESTED], 2);
}

static void test_extract__a_series_that_is_not_there_leaves_nothing(void)
{
    rig_folders("");
    rig_save(&(struct rig_file){ .name = "a" });
    const struct extract_result r = retrieve_one(NULL, CSV("1", "MRN5501", "ACC5501", "1.2.3.1", SERIES(9)));
    check_end(&r, STUDY_OUT_SKIPPED, STUDY_WHY_SERIES_NOT_REQUESTED);
    check_numbers(&r, 1, 0, 1);
}

static void test_extract__duplicates_count_once_or_not_at_all(void)
{
    rig_folders("");
    rig_save(&(struct rig_file){ .name = "one", .sop = SOP(1, 1) });
    rig_save(&(struct rig_file){ .name = "two", .sop = SOP(1, 2) });
    rig_save(&(struct rig_file){ .name = "two-again", .sop = SOP(1, 2) });               /* the same bytes */
    rig_save(&(struct rig_file){ .name = "three", .sop = SOP(1, 3) });
    rig_save(&(struct rig_file){ .name = "three-other", .sop = SOP(1, 3), .pixels = 256 });
    rig_save(&(struct rig_file){ .name = "four", .sop = SOP(1, 4), .comment = "left" });
    rig_save(&(struct rig_file){ .name = "four-other", .sop = SOP(1, 4), .comment = "raht" });   /* of the same size */
    rig_save(&(struct rig_file){ .name = "four-first", .sop = SOP(1, 4), .comment = "left" });
    const struct extract_result r = retrieve_one(NULL, STUDY1);
    check_end(&r, STUDY_OUT_DEIDENTIFIED, STUDY_WHY_NONE);
    check_numbers(&r, 7, 2, 5);                              /* "two" twice is one instance */
    CHECK_INT(r.skipped_by[STUDY_WHY_DUPLICATE_INSTANCE], 5);
}

static void test_extract__nothing_but_different_duplicates_fails(void)
{
    rig_folders("");
    rig_save(&(struct rig_file){ .name = "one" });
    rig_save(&(struct rig_file){ .name = "other", .pixels = 256 });
    const struct extract_result r = retrieve_one(NULL, STUDY1);
    check_end(&r, STUDY_OUT_FAILED, STUDY_WHY_DUPLICATE_INSTANCE);
    check_numbers(&r, 2, 0, 2);
}

static void test_extract__one_sop_uid_in_two_series_is_in_neither(void)
{
    rig_folders("");
    rig_save(&(struct rig_file){ .name = "one", .series = SERIES(1), .sop = SOP(1, 1) });
    rig_save(&(struct rig_file){ .name = "other", .series = SERIES(2), .sop = SOP(1, 1) });
    rig_save(&(struct rig_file){ .name = "third", .series = SERIES(2), .sop = SOP(2, 1) });
    const struct extract_result r = retrieve_one(NULL, STUDY1);
    check_end(&r, STUDY_OUT_DEIDENTIFIED, STUDY_WHY_NONE);
    check_numbers(&r, 3, 1, 2);
    CHECK_INT(r.skipped_by[STUDY_WHY_DUPLICATE_INSTANCE], 2);
}

/* Whether the project wanted what was left out for a fault, nobody knows: its rules alone did not leave nothing. */
static void test_extract__a_fault_among_rules_fails_what_is_empty(void)
{
    rig_folders("");
    rig_save(&(struct rig_file){ .name = "a", .series = SERIES(2), .sop = SOP(2, 1), .modality = "MR" });
    rig_save(&(struct rig_file){ .name = "b", .series = SERIES(2), .sop = SOP(2, 2), .modality = "MR" });
    rig_save(&(struct rig_file){ .name = "c", .series = SERIES(2), .sop = SOP(2, 3), .modality = "MR" });
    rig_save(&(struct rig_file){ .name = "one", .sop = SOP(1, 1) });
    rig_save(&(struct rig_file){ .name = "other", .sop = SOP(1, 1), .pixels = 256 });
    const struct extract_result r = retrieve_one(NULL, STUDY1);
    check_end(&r, STUDY_OUT_FAILED, STUDY_WHY_DUPLICATE_INSTANCE);
    check_numbers(&r, 5, 0, 5);
}

/* DCMD-11, with frames: a series of fewer than the project wants is left out, unread.  Instances are counted before
 * anything is left out, the same one once, those of several frames by their frames. */
static void test_extract__series_to_skip__by_instances_and_frames(void)
{
    rig_folders("min_instances_per_series: 3\n");
    for (int i = 1; i <= 3; i++) {
        char name[16], sop[32];
        (void)snprintf(name, sizeof name, "enough%d", i);
        (void)snprintf(sop, sizeof sop, SERIES(1) ".%d", i);
        rig_save(&(struct rig_file){ .name = name, .series = SERIES(1), .sop = sop, .modality = i == 1 ? "MR" : NULL });
    }
    rig_save(&(struct rig_file){ .name = "few1", .series = SERIES(2), .sop = SOP(2, 1) });
    rig_save(&(struct rig_file){ .name = "few2", .series = SERIES(2), .sop = SOP(2, 2) });
    rig_save(&(struct rig_file){ .name = "few2-again", .series = SERIES(2), .sop = SOP(2, 2) });
    shorten("archive/few1", 20);
    rig_save(&(struct rig_file){ .name = "frames", .series = SERIES(3), .sop = SOP(3, 1), .frames = "3" });
    rig_save(&(struct rig_file){ .name = "few-frames", .series = SERIES(4), .sop = SOP(4, 1), .frames = "2" });
    rig_save(&(struct rig_file){ .name = "sum1", .series = SERIES(5), .sop = SOP(5, 1), .frames = "2" });
    rig_save(&(struct rig_file){ .name = "sum2", .series = SERIES(5), .sop = SOP(5, 2) });
    rig_save(&(struct rig_file){ .name = "absurd", .series = SERIES(6), .sop = SOP(6, 1), .frames = "-99" });
    /* Twins that differ: three instances, of which one is left. */
    rig_save(&(struct rig_file){ .name = "twin1", .series = SERIES(7), .sop = SOP(7, 1) });
    rig_save(&(struct rig_file){ .name = "twin1-other", .series = SERIES(7), .sop = SOP(7, 1), .pixels = 256 });
    rig_save(&(struct rig_file){ .name = "twin2", .series = SERIES(7), .sop = SOP(7, 2), .frames = "1" });
    rig_save(&(struct rig_file){ .name = "twin3", .series = SERIES(7), .sop = SOP(7, 3) });
    const struct extract_result r = retrieve_one(NULL, STUDY1);
    check_end(&r, STUDY_OUT_DEIDENTIFIED, STUDY_WHY_NONE);
    CHECK_INT(r.skipped_by[STUDY_WHY_TOO_FEW_INSTANCES], 2 + 1 + 1);
    CHECK_INT(r.skipped_by[STUDY_WHY_MODALITY], 1);
    CHECK_INT(r.skipped_by[STUDY_WHY_DUPLICATE_INSTANCE], 2);
    check_numbers(&r, 3 + 2 + 1 + 1 + 2 + 1 + 4, 2 + 1 + 2 + 2, 7);
}

/* A study of which nothing is left has one reason: that of the most instances; where two are equal, no single one. */
static void test_extract__nothing_left_has_the_reason_of_the_most(void)
{
    static const struct {
        int mr;
        int few;
        enum study_reason why;
    } rows[] = {
        { 3, 1, STUDY_WHY_MODALITY },
        { 2, 3, STUDY_WHY_TOO_FEW_INSTANCES },
        { 0, 2, STUDY_WHY_TOO_FEW_INSTANCES },
        { 2, 2, STUDY_WHY_NO_INSTANCES_LEFT },
    };
    rig_folders("min_instances_per_series: 2\n");
    for (size_t k = 0; k < ARRAY_LEN(rows); k++) {
        test_row("%zu", k);
        for (int i = 0; i < rows[k].mr + rows[k].few; i++) {
            bool is_mr = i < rows[k].mr;
            char name[48], sop[96], series[64], study[32];
            (void)snprintf(name, sizeof name, "%zu-%d", k, i);
            (void)snprintf(study, sizeof study, "1.2.3.%zu", k + 1);
            (void)snprintf(series, sizeof series, "%s.%d", study, is_mr ? 1 : i + 2);
            (void)snprintf(sop, sizeof sop, "%s.%d", series, i + 1);
            rig_save(&(struct rig_file){
                .name = name, .study = study, .series = series, .sop = sop, .modality = is_mr ? "MR" : NULL });
        }
        char row[128], uid[32];
        (void)snprintf(uid, sizeof uid, "1.2.3.%zu", k + 1);
        (void)snprintf(row, sizeof row, "%zu,MRN5501,ACC5501," RIG_PROJECT ",2024-01-01T00:00:00Z,2020-01-01,%s,,\n",
                       k + 1, uid);
        const struct extract_result r = retrieve_one(NULL, row);
        check_end(&r, STUDY_OUT_SKIPPED, rows[k].why);
        CHECK_INT(r.skipped_by[STUDY_WHY_MODALITY], rows[k].mr);
        CHECK_INT(r.skipped_by[STUDY_WHY_TOO_FEW_INSTANCES], rows[k].few);
    }
}

/* --- instances that are not well --------------------------------------------------------------------------------------- */

static void test_extract__instance_errors_do_as_the_project_says(void)
{
    enum damage { CUT, OTHER_MODALITY, NO_SOP, NO_SERIES };
    static const struct {
        const char *name, *config;
        enum damage damage;
        enum study_outcome outcome;
        enum study_reason reason;        /* of the outcome, or of the one that was left out */
        int64_t delivered;
    } rows[] = {
        { "unreadable by default", "", CUT, STUDY_OUT_FAILED, STUDY_WHY_UNREADABLE_INSTANCE, 0 },
        { "unreadable, fail", "on_instance_error: fail\n", CUT, STUDY_OUT_FAILED, STUDY_WHY_UNREADABLE_INSTANCE, 0 },
        { "unreadable, deliver", "on_instance_error: deliver\n", CUT, STUDY_OUT_DEIDENTIFIED, STUDY_WHY_UNREADABLE_INSTANCE, 2 },
        { "no SOP UID by default", "", NO_SOP, STUDY_OUT_FAILED, STUDY_WHY_MISSING_ATTRIBUTE, 0 },
        { "no SOP UID, fail", "on_instance_error: fail\n", NO_SOP, STUDY_OUT_FAILED, STUDY_WHY_MISSING_ATTRIBUTE, 0 },
        { "no SOP UID, deliver", "on_instance_error: deliver\n", NO_SOP, STUDY_OUT_DEIDENTIFIED, STUDY_WHY_MISSING_ATTRIBUTE, 2 },
        { "no series UID by default", "", NO_SERIES, STUDY_OUT_FAILED, STUDY_WHY_MISSING_ATTRIBUTE, 0 },
        { "no series UID, deliver", "on_instance_error: deliver\n", NO_SERIES, STUDY_OUT_DEIDENTIFIED, STUDY_WHY_MISSING_ATTRIBUTE, 2 },
        { "filtered by default", "", OTHER_MODALITY, STUDY_OUT_DEIDENTIFIED, STUDY_WHY_MODALITY, 2 },
        { "filtered, fail", "on_instance_error: fail\n", OTHER_MODALITY, STUDY_OUT_DEIDENTIFIED, STUDY_WHY_MODALITY, 2 },
        { "filtered, deliver", "on_instance_error: deliver\n", OTHER_MODALITY, STUDY_OUT_DEIDENTIFIED, STUDY_WHY_MODALITY, 2 },
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        test_row("%s", rows[i].name);
        rig_folders(rows[i].config);
        rig_save(&(struct rig_file){ .name = "a", .sop = SOP(1, 1) });
        rig_save(&(struct rig_file){ .name = "b", .sop = rows[i].damage == NO_SOP ? "" : SOP(1, 2),
                                     .series = rows[i].damage == NO_SERIES ? "" : NULL,
                                     .modality = rows[i].damage == OTHER_MODALITY ? "MR" : NULL });
        rig_save(&(struct rig_file){ .name = "c", .sop = SOP(1, 3) });
        if (rows[i].damage == CUT)
            shorten("archive/b", 10);
        const struct extract_result r = retrieve_one(NULL, STUDY1);
        if (rows[i].outcome == STUDY_OUT_DEIDENTIFIED) {
            check_end(&r, STUDY_OUT_DEIDENTIFIED, STUDY_WHY_NONE);
            check_numbers(&r, 3, rows[i].delivered, 1);
            CHECK_INT(r.skipped_by[rows[i].reason], 1);
            CHECK_INT(r.error.code, PIXL_OK);
        } else {
            check_end(&r, rows[i].outcome, rows[i].reason);
        }
        REQUIRE_OK(fs_remove_tree(test_path("state"), &err), err);
        REQUIRE_OK(fs_remove_tree(test_path("haven"), &err), err);
    }
}

static void test_extract__another_patient_fails_the_study(void)
{
    static const struct { const char *name; struct rig_file file; } rows[] = {
        { "MRN", { .name = "b", .sop = SOP(1, 2), .mrn = "MRN9999" } },
        { "MRN that begins the same", { .name = "b", .sop = SOP(1, 2), .mrn = "MRN55011" } },
        { "no MRN", { .name = "b", .sop = SOP(1, 2), .mrn = "" } },
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        test_row("%s", rows[i].name);
        rig_folders("on_instance_error: deliver\n");          /* never a reason to let another patient pass */
        rig_save(&(struct rig_file){ .name = "a", .sop = SOP(1, 1) });
        rig_save(&rows[i].file);
        const struct extract_result r = retrieve_one(NULL, STUDY1);
        check_end(&r, STUDY_OUT_FAILED, STUDY_WHY_IDENTITY_MISMATCH);
        REQUIRE_OK(fs_remove_tree(test_path("state"), &err), err);
        REQUIRE_OK(fs_remove_tree(test_path("haven"), &err), err);
    }
}

static void test_extract__a_name_in_a_comment_withholds_the_study(void)
{
    rig_folders("on_instance_error: deliver\n");
    rig_save(&(struct rig_file){ .name = "a", .sop = SOP(1, 1) });
    rig_save(&(struct rig_file){ .name = "b", .sop = SOP(1, 2), .comment = "seen with Ottoline today" });
    const struct extract_result r = retrieve_one(NULL, STUDY1);
    check_end(&r, STUDY_OUT_WITHHELD, STUDY_WHY_RESIDUE);
    CHECK(strstr(r.detail, "0010,4000") != NULL && strstr(r.detail, "Ottoline") == NULL);
}

static void test_extract__a_study_over_the_limit_fails(void)
{
    rig_folders("");
    rig_save(&(struct rig_file){ .name = "a", .sop = SOP(1, 1) });
    rig_save(&(struct rig_file){ .name = "b", .sop = SOP(1, 2) });
    REQUIRE(truncate(test_path("archive/b"), ((off_t)1 << 30) + 1) == 0);       /* holes */
    const struct extract_result r = retrieve_one("PIXL_MAX_STUDY_GIB=1", STUDY1);
    check_end(&r, STUDY_OUT_FAILED, STUDY_WHY_TOO_LARGE);
}

/* --- which study ----------------------------------------------------------------------------------------------------------- */

static void test_extract__not_in_the_archive_is_missing(void)
{
    rig_folders("");
    rig_save(&(struct rig_file){ .name = "a", .study = "1.2.3.8" , .accession = "ACC1" });
    const struct extract_result r = retrieve_one(NULL, STUDY1);
    check_end(&r, STUDY_OUT_MISSING, STUDY_WHY_NOT_IN_ARCHIVE);
    check_numbers(&r, 0, 0, 0);
}

static void test_extract__one_accession_number_of_two_studies_makes_two_zips(void)
{
    rig_folders("");
    rig_save(&(struct rig_file){ .name = "a", .study = "1.2.3.1", .series = "1.2.3.1.1", .sop = "1.2.3.1.1.1" });
    rig_save(&(struct rig_file){ .name = "b", .study = "1.2.3.2", .series = "1.2.3.2.1", .sop = "1.2.3.2.1.1" });
    rig_save(&(struct rig_file){ .name = "c", .study = "1.2.3.3", .series = "1.2.3.3.1", .sop = "1.2.3.3.1.1", .accession = "ACC1" });
    struct site_rig r;
    struct store_image one, two;
    rig_open(&r, NULL);
    rig_populate(&r, CSV("1", "MRN5501", "ACC5501", "", ""));
    const struct extract_result first = retrieve(&r, &one);
    CHECK_INT(rig_settle(&r, &one, &first).state, STUDY_DEIDENTIFIED);
    const struct extract_result second = retrieve(&r, &two);
    CHECK_INT(rig_settle(&r, &two, &second).state, STUDY_DEIDENTIFIED);
    CHECK(one.id != two.id && strcmp(first.pseudo_study_uid, second.pseudo_study_uid) != 0);
    size_t hidden;
    CHECK_INT(rig_count("state/spool/rig", &hidden), 2);
    CHECK(!rig_claim(&r, STORE_WORK_RETRIEVE, &one));
    rig_close(&r);
}

static void test_extract__a_study_asked_for_in_two_ways_is_delivered_once(void)
{
    static const struct { const char *name, *rows; } orders[] = {
        { "by UID first", CSV("1", "MRN5501", "ACC5501", "1.2.3.1", "") CSV("2", "MRN5501", "ACC5501", "", "") },
        { "by accession number first", CSV("1", "MRN5501", "ACC5501", "", "") CSV("2", "MRN5501", "ACC5501", "1.2.3.1", "") },
    };
    for (size_t i = 0; i < ARRAY_LEN(orders); i++) {
        struct site_rig r;
        struct store_image image;
        struct store_counts n;
        test_row("%s", orders[i].name);
        rig_folders("");
        rig_save(&(struct rig_file){ .name = "a" });
        rig_open(&r, NULL);
        rig_populate(&r, orders[i].rows);
        size_t deidentified = 0, lost = 0;
        while (rig_claim(&r, STORE_WORK_RETRIEVE, &image)) {
            struct extract_result result;
            extract_study(&r.x, &image, &result);
            deidentified += result.outcome == STUDY_OUT_DEIDENTIFIED;
            lost += result.outcome == STUDY_OUT_LOST && result.reason == STUDY_WHY_SAME_STUDY;
            (void)rig_settle(&r, &image, &result);
        }
        CHECK_INT(deidentified, 1);
        REQUIRE_OK(store_count(site_store(r.site), STR(""), &n, &err), err);
        CHECK_INT(n.by_state[STUDY_DEIDENTIFIED], 1);
        CHECK_INT(n.by_state[STUDY_SKIPPED], (int64_t)lost);
        CHECK_INT(n.by_reason[STUDY_WHY_SAME_STUDY], (int64_t)lost);
        CHECK_INT(n.requests, 2);
        size_t hidden;
        CHECK_INT(rig_count("state/spool/rig", &hidden), 1);
        rig_close(&r);
        REQUIRE_OK(fs_remove_tree(test_path("state"), &err), err);
        REQUIRE_OK(fs_remove_tree(test_path("haven"), &err), err);
    }
}

/* --- what changes under us ---------------------------------------------------------------------------------------------------- */

static void test_extract__a_file_that_changed_since_the_index_is_noticed(void)
{
    enum change { GONE, OTHER_CONTENT, SHORTER };
    static const struct { const char *name; enum change change; enum study_outcome outcome; } rows[] = {
        { "gone", GONE, STUDY_OUT_RETRY },
        { "another instance under its name", OTHER_CONTENT, STUDY_OUT_RETRY },
        { "the same instance, cut short", SHORTER, STUDY_OUT_FAILED },       /* a damaged file is one, whenever it was damaged */
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct site_rig r;
        struct store_image image;
        test_row("%s", rows[i].name);
        rig_folders("");
        rig_save(&(struct rig_file){ .name = "a", .sop = SOP(1, 1) });
        rig_save(&(struct rig_file){ .name = "b", .sop = SOP(1, 2) });
        rig_open(&r, NULL);
        rig_populate(&r, STUDY1);
        if (rows[i].change == GONE)
            REQUIRE(unlink(test_path("archive/b")) == 0);
        else if (rows[i].change == OTHER_CONTENT)
            rig_save(&(struct rig_file){ .name = "b", .sop = SOP(1, 3), .comment = "longer than it was" });
        else
            shorten("archive/b", 10);
        const struct extract_result result = retrieve(&r, &image);
        CHECK_INT(result.outcome, rows[i].outcome);
        const struct settled s = rig_settle(&r, &image, &result);
        if (rows[i].outcome == STUDY_OUT_FAILED) {
            int64_t n = 0;
            CHECK_INT(s.state, STUDY_FAILED);
            REQUIRE_OK(store_retry(site_store(r.site), NULL, &image.id, 1, 1000, &n, &err), err);
            CHECK_INT(n, 1);
        } else {
            CHECK_INT(s.state, STUDY_QUEUED);
            CHECK_INT(rig_image(&r, image.id).attempts, 1);
        }
        rig_close(&r);

        /* Whole again and known anew: the study is done. */
        rig_save(&(struct rig_file){ .name = "b", .sop = SOP(1, 2) });
        rig_open(&r, NULL);
        const struct extract_result again = retrieve(&r, &image);
        check_end(&again, STUDY_OUT_DEIDENTIFIED, STUDY_WHY_NONE);
        check_numbers(&again, 2, 2, 0);
        rig_close(&r);
        REQUIRE_OK(fs_remove_tree(test_path("state"), &err), err);
        REQUIRE_OK(fs_remove_tree(test_path("haven"), &err), err);
    }
}

static void test_extract__cancelled_between_instances_leaves_nothing(void)
{
    rig_folders("");
    rig_save(&(struct rig_file){ .name = "a", .sop = SOP(1, 1) });
    rig_save(&(struct rig_file){ .name = "b", .sop = SOP(1, 2) });
    struct site_rig r;
    struct store_image image;
    rig_open(&r, NULL);
    rig_populate(&r, STUDY1);
    atomic_store(&r.cancel, true);
    const struct extract_result result = retrieve(&r, &image);
    check_end(&result, STUDY_OUT_CANCELLED, STUDY_WHY_STOPPED);
    CHECK_INT(rig_settle(&r, &image, &result).state, STUDY_QUEUED);
    CHECK_INT(rig_image(&r, image.id).attempts, 0);
    atomic_store(&r.cancel, false);
    const struct extract_result again = retrieve(&r, &image);
    check_end(&again, STUDY_OUT_DEIDENTIFIED, STUDY_WHY_NONE);
    rig_close(&r);
}

/* --- delivery --------------------------------------------------------------------------------------------------------------------- */

static void test_extract__a_zip_that_is_not_what_it_was_is_made_again(void)
{
    enum change { NONE, GONE, SHORTER, OTHER_BYTE };
    static const struct { const char *name; enum change change; } rows[] = {
        { "as it was", NONE }, { "gone", GONE }, { "shorter", SHORTER }, { "another byte", OTHER_BYTE },
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct site_rig r;
        struct store_image image;
        test_row("%s", rows[i].name);
        rig_folders("");
        rig_save(&(struct rig_file){ .name = "a" });
        rig_open(&r, NULL);
        rig_populate(&r, STUDY1);
        const struct extract_result made = retrieve(&r, &image);
        CHECK_INT(rig_settle(&r, &image, &made).state, STUDY_DEIDENTIFIED);
        const char *zip = zip_path(&r, &made);
        REQUIRE(rows[i].change != GONE || unlink(zip) == 0);
        REQUIRE(rows[i].change != SHORTER || truncate(zip, made.zip_bytes - 1) == 0);
        if (rows[i].change == OTHER_BYTE) {
            int fd = open(zip, O_WRONLY | O_CLOEXEC);
            REQUIRE(fd >= 0 && pwrite(fd, "x", 1, 100) == 1 && close(fd) == 0);
        }
        struct extract_result result;
        REQUIRE(rig_claim(&r, STORE_WORK_DELIVER, &image));
        extract_deliver(&r.x, &image, &result);
        const struct settled s = rig_settle(&r, &image, &result);
        size_t hidden, there = rig_count("haven/rig", &hidden);
        CHECK_INT(hidden, 0);
        CHECK_INT(there, rows[i].change == NONE ? 1 : 0);
        CHECK_INT(s.state, rows[i].change == NONE ? STUDY_EXPORTED : STUDY_QUEUED);
        CHECK_INT(result.zip_lost, rows[i].change != NONE);
        CHECK_INT(rig_count("state/spool/rig", &hidden), 0);
        rig_close(&r);
        REQUIRE_OK(fs_remove_tree(test_path("state"), &err), err);
        REQUIRE_OK(fs_remove_tree(test_path("haven"), &err), err);
    }
}

int main(int argc, char **argv)
{
    static const struct test_case tests[] = {
        TEST(test_extract__a_project_is_compiled_once),
        TEST(test_extract__entries_are_sorted_by_their_pseudonyms),
        TEST(test_extract__series_that_are_not_asked_for_are_not_read),
        TEST(test_extract__a_series_that_is_not_there_leaves_nothing),
        TEST(test_extract__duplicates_count_once_or_not_at_all),
        TEST(test_extract__nothing_but_different_duplicates_fails),
        TEST(test_extract__one_sop_uid_in_two_series_is_in_neither),
        TEST(test_extract__a_fault_among_rules_fails_what_is_empty),
        TEST(test_extract__series_to_skip__by_instances_and_frames),
        TEST(test_extract__nothing_left_has_the_reason_of_the_most),
        TEST(test_extract__instance_errors_do_as_the_project_says),
        TEST(test_extract__another_patient_fails_the_study),
        TEST(test_extract__a_name_in_a_comment_withholds_the_study),
        TEST(test_extract__a_study_over_the_limit_fails),
        TEST(test_extract__not_in_the_archive_is_missing),
        TEST(test_extract__one_accession_number_of_two_studies_makes_two_zips),
        TEST(test_extract__a_study_asked_for_in_two_ways_is_delivered_once),
        TEST(test_extract__a_file_that_changed_since_the_index_is_noticed),
        TEST(test_extract__cancelled_between_instances_leaves_nothing),
        TEST(test_extract__a_zip_that_is_not_what_it_was_is_made_again),
    };
    return test_main(argc, argv, tests, ARRAY_LEN(tests));
}
