/* A whole extraction of a small hospital, and what the judge says when something is not right.  One extraction serves
 * all planted differences: each is made, judged and undone. */
#include "demo/demo.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/duck.h"
#include "base/fs.h"
#include "base/log.h"
#include "upload/zip_read.h"
#include "dicom/file.h"
#include "pipeline/run.h"
#include "test.h"
#include "upload/zip.h"

#define ARENA_MAX ((size_t)256 << 20)

struct saying {
    size_t n;
    char all[65536];
};

static void say(void *ctx, const char *difference)
{
    struct saying *s = ctx;
    size_t used = strlen(s->all);
    (void)snprintf(s->all + used, sizeof s->all - used, "%s\n", difference);
    s->n++;
}

struct rig {
    struct demo demo;
    struct settings settings;
    struct site *site;
    char zip[4096], uid[128]; /* a delivered zip of the OMOP project */
};

/* Makes, extracts both cohorts, and opens what the judge wants. */
static void extract(struct rig *r)
{
    static const char *const none[] = { NULL };
    struct pixl_error err = { 0 };
    struct arena a;
    struct run_summary sum;
    char overrides[4][4200];
    log_setup(LOG_ERROR, STDERR_FILENO);
    REQUIRE_OK(demo_make(test_path("demo"), 8, test_path("duck"), &r->demo, &err), err);
    (void)snprintf(overrides[0], sizeof overrides[0], "PIXL_STATE_DIR=%s/state", r->demo.dir);
    (void)snprintf(overrides[1], sizeof overrides[1], "PROJECT_CONFIGS_DIR=%s", r->demo.configs_dir);
    (void)snprintf(overrides[2], sizeof overrides[2], "HOST_EXPORT_ROOT_DIR=%s", r->demo.exports_dir);
    (void)snprintf(overrides[3], sizeof overrides[3], "PIXL_ARCHIVE_URL=directory:%s", r->demo.archive_dir);
    const char *const set[] = { overrides[0], overrides[1], overrides[2], overrides[3], NULL };
    REQUIRE_OK(settings_load(none, NULL, set, &r->settings, &err), err);
    REQUIRE_OK(site_open(&r->settings, SITE_WORKS | SITE_ARCHIVE | SITE_SECRETS | SITE_STORE, &r->site, &err), err);
    const char *const cohorts[] = { r->demo.omop_dir, r->demo.csv_path };
    for (size_t i = 0; i < ARRAY_LEN(cohorts); i++) {
        const struct run_options o = { .cohort = cohorts[i], .priority = 1, .rate_per_s = -1, .program = "/bin/false" };
        arena_init(&a, ARENA_MAX);
        REQUIRE_OK(run_cohort(r->site, &o, &a, &sum, &err), err);
        arena_done(&a);
    }
}

/* Judges; what was said may be NULL.  The number of differences. */
static size_t judge(struct rig *r, struct saying *s)
{
    static struct saying own;
    struct pixl_error err = { 0 };
    bool right = false;
    s = s ? s : &own;
    *s = (struct saying){ 0 };
    REQUIRE_OK(demo_verify(&r->demo, r->site, say, s, &right, &err), err);
    CHECK(right == (s->n == 0));
    return s->n;
}

static void find_zip(struct rig *r)
{
    char dir[4000];
    (void)snprintf(dir, sizeof dir, "%s/%s", r->demo.safe_haven_dir, r->demo.omop_project);
    DIR *d = opendir(dir);
    REQUIRE(d != NULL);
    for (const struct dirent *e; (e = readdir(d)) != NULL;)
        if (strstr(e->d_name, ".zip") != NULL) {
            (void)snprintf(r->zip, sizeof r->zip, "%s/%.90s", dir, e->d_name);
            (void)snprintf(r->uid, sizeof r->uid, "%.*s", (int)strcspn(e->d_name, "z") - 1, e->d_name);
        }
    (void)closedir(d);
    REQUIRE(r->zip[0] != '\0');
}

static void done(struct rig *r)
{
    site_close(r->site);
    settings_done(&r->settings);
    demo_done(&r->demo);
}

/* --- planted differences: a word of what is said shows that the judge saw the right thing --- */

/* Writes the delivered zip anew with its last instance changed. */
static void rewrite_zip(struct rig *r, const char *to, void (*change)(char *bytes, size_t n))
{
    struct pixl_error err = { 0 };
    const struct dicom_source none = dicom_source_bytes("", 0);
    zip_read_auto *z = NULL;
    zip_auto *w = NULL;
    uint64_t size;
    uint8_t digest[32];
    REQUIRE_OK(zip_read_open(r->zip, &z, &err), err);
    REQUIRE_OK(zip_new(to, "1", 1, &w, &err), err);
    for (size_t i = 0; i < zip_read_count(z); i++) {
        struct arena a;
        struct str bytes;
        struct dicom_plan plan;
        arena_init(&a, ARENA_MAX);
        REQUIRE_OK(zip_read_bytes(z, zip_read_entry(z, i), &bytes, &err), err);
        char *copy = malloc(bytes.n);
        REQUIRE(copy != NULL);
        memcpy(copy, bytes.p, bytes.n);
        if (i + 1 == zip_read_count(z))
            change(copy, bytes.n);
        dicom_plan_init(&plan, &a);
        REQUIRE_OK(dicom_plan_bytes(&plan, copy, bytes.n, &err), err);
        REQUIRE_OK(zip_add(w, zip_read_entry(z, i)->name, &plan, &none, false, &err), err);
        free(copy);
        arena_done(&a);
    }
    REQUIRE_OK(zip_commit(PIXL_STEAL(&w), &size, digest, &err), err);
}

static void put_name(char *bytes, size_t n)
{
    memcpy(bytes + n - 400, "x QUILLFEATHER x", 16); /* among the pixels */
}

static void put_name_in_model(char *bytes, size_t n)
{
    char *p = memmem(bytes, n, "Phantomatic 64", 14);
    REQUIRE(p != NULL);
    memcpy(p, "Thistlewick 64", 14);
}

static void change_pixel(char *bytes, size_t n)
{
    bytes[n - 7] ^= 1;
}

static void change_uid(char *bytes, size_t n)
{
    char *p = memmem(bytes, n, "\x20\0\x0D\0UI", 6);
    REQUIRE(p != NULL);
    p[20] = p[20] == '1' ? '2' : '1';
}

static void spoil(char *bytes, size_t n)
{
    memset(bytes, 0, n < 200 ? n : 200);
}

static void check_changed_zip(struct rig *r, const char *name, void (*change)(char *bytes, size_t n), const char *word)
{
    struct saying s;
    const char *kept = test_path("kept.zip");
    test_row("%s", name);
    REQUIRE(rename(r->zip, kept) == 0);
    char path[4096];
    (void)snprintf(path, sizeof path, "%s", r->zip);
    (void)snprintf(r->zip, sizeof r->zip, "%s", kept);
    rewrite_zip(r, path, change);
    CHECK(judge(r, &s) > 0);
    CHECK(strstr(s.all, word) != NULL);
    (void)snprintf(r->zip, sizeof r->zip, "%s", path);
    REQUIRE(rename(kept, r->zip) == 0);
}

static void check_zips(struct rig *r)
{
    check_changed_zip(r, "a name among pixels", put_name, "planted identity 'Quillfeather'");
    check_changed_zip(r, "a name in a kept text", put_name_in_model, "planted identity 'Thistlewick'");
    check_changed_zip(r, "one bit of one pixel", change_pixel, "other pixels than the archive");
    check_changed_zip(r, "another study UID", change_uid, "other UIDs than its name");
    check_changed_zip(r, "no DICOM", spoil, "no whole DICOM instance");
}

static void check_missing_and_extra(struct rig *r)
{
    struct pixl_error err = { 0 };
    struct saying s;
    char path[8192];
    const char *kept = test_path("kept.zip");
    test_row("a missing zip");
    REQUIRE(rename(r->zip, kept) == 0);
    CHECK(judge(r, &s) == 1);
    CHECK(strstr(s.all, "is not there") != NULL);
    test_row("a zip that is none");
    REQUIRE_OK(fs_write_whole(r->zip, STR("PK is not enough"), 0600, &err), err);
    CHECK(judge(r, &s) == 1);
    CHECK(strstr(s.all, "cannot be read") != NULL);
    REQUIRE(rename(kept, r->zip) == 0);

    test_row("an extra zip");
    (void)snprintf(path, sizeof path, "%s/%s/2.25.1234567.zip", r->demo.safe_haven_dir, r->demo.omop_project);
    REQUIRE_OK(fs_copy_file(r->zip, path, "1", 0600, NULL, NULL, &err), err);
    CHECK(judge(r, &s) == 1);
    CHECK(strstr(s.all, "must not be there") != NULL);
    REQUIRE(unlink(path) == 0);
    test_row("half of a zip");
    (void)snprintf(path, sizeof path, "%s/%s/.%s.zip.3.part", r->demo.safe_haven_dir, r->demo.omop_project, r->uid);
    REQUIRE_OK(fs_write_whole(path, STR("PK"), 0600, &err), err);
    CHECK(judge(r, &s) == 1);
    REQUIRE(unlink(path) == 0);
    test_row("a folder nobody knows");
    (void)snprintf(path, sizeof path, "%s/elsewhere", r->demo.safe_haven_dir);
    REQUIRE_OK(fs_make_dirs(path, 0700, &err), err);
    CHECK(judge(r, &s) == 1);
    REQUIRE(rmdir(path) == 0);
}

static void check_names_and_texts(struct rig *r)
{
    struct pixl_error err = { 0 };
    struct saying s;
    char path[8192];
    test_row("a name as a file name, and in its text");
    (void)snprintf(path, sizeof path, "%s/%s/2026-11-02t06-30-00/parquet/thistlewick.txt", r->demo.safe_haven_dir,
                   r->demo.omop_project);
    REQUIRE_OK(fs_write_whole(path, STR("of 41290017"), 0600, &err), err);
    CHECK(judge(r, &s) == 2);
    CHECK(strstr(s.all, "'Thistlewick'") != NULL && strstr(s.all, "'41290017'") != NULL);
    REQUIRE(unlink(path) == 0);
    test_row("a name below the exports");
    (void)snprintf(path, sizeof path, "%s/%s/all_extracts/log.txt", r->demo.exports_dir, r->demo.csv_project);
    REQUIRE_OK(fs_write_whole(path, STR("QX26001417"), 0600, &err), err);
    CHECK(judge(r, &s) == 1);
    REQUIRE(unlink(path) == 0);
}

/* The table at path anew, as select says of it ($$ stands for the old one). */
static void check_changed_table(struct rig *r, const char *name, const char *table, const char *select,
                                const char *word)
{
    struct pixl_error err = { 0 };
    struct saying s;
    struct arena a;
    duck_auto *d = NULL;
    char path[8192], sql[16384];
    const char *kept = test_path("kept.parquet");
    (void)snprintf(path, sizeof path, "%s/%s/2026-11-02t06-30-00/parquet/%s", r->demo.safe_haven_dir,
                   r->demo.omop_project, table);
    test_row("%s", name);
    REQUIRE(rename(path, kept) == 0);
    arena_init(&a, 1 << 20);
    REQUIRE_OK(duck_open(test_path("duck"), 128, &d, &err), err);
    (void)snprintf(sql, sizeof sql, "CREATE TABLE t AS SELECT * FROM read_parquet(%s)", duck_quote(&a, str_of(kept)));
    REQUIRE_OK(duck_run(d, sql, NULL, 0, &err), err);
    (void)snprintf(sql, sizeof sql, "COPY (%s) TO %s (FORMAT parquet)", select, duck_quote(&a, str_of(path)));
    REQUIRE_OK(duck_run(d, sql, NULL, 0, &err), err);
    CHECK(judge(r, &s) > 0);
    CHECK(strstr(s.all, word) != NULL);
    arena_done(&a);
    REQUIRE(rename(kept, path) == 0);
}

static void check_tables(struct rig *r)
{
    static const char outcomes[] = "radiology/OUTCOMES.parquet", linker[] = "radiology/IMAGE_LINKER.parquet",
                      public[] = "omop/public/omop/PROCEDURE_OCCURRENCE.parquet";
    check_changed_table(r, "an outcome less", outcomes, "SELECT * FROM t WHERE outcome <> 'missing'",
                        "procedure 10007 is not there");
    check_changed_table(r, "an outcome twice", outcomes,
                        "SELECT * FROM t UNION ALL SELECT * FROM t WHERE outcome = 'missing'", "is there twice");
    check_changed_table(r, "another outcome", outcomes, "SELECT * REPLACE ('exported' AS outcome) FROM t",
                        "not as the store says");
    check_changed_table(r, "another count", outcomes,
                        "SELECT * REPLACE (instances_delivered + 1 AS instances_delivered) FROM t",
                        "not as the store says");
    check_changed_table(r, "a link less", linker, "SELECT * FROM t WHERE procedure_occurrence_id <> 10001",
                        "procedure 10001 is not there");
    check_changed_table(r, "another link", linker, "SELECT * REPLACE ('2.25.1' AS pseudo_study_uid) FROM t",
                        "not as the store says");
    check_changed_table(r, "a name in a column", linker, "SELECT *, 'Amabellina' AS given FROM t",
                        "planted identity 'Amabellina'");
    check_changed_table(r, "a public table changed", public, "SELECT * FROM t LIMIT 1", "is not what the extract held");
}

static void check_expectations(struct rig *r)
{
    struct saying s;
    struct demo_study *study = &r->demo.studies[0];
    const struct demo_study as_it_is = *study;
    test_row("another end expected");
    study->expect = STUDY_FAILED;
    CHECK(judge(r, &s) == 1);
    CHECK(strstr(s.all, "is exported, and must be failed") != NULL);
    *study = as_it_is;
    test_row("another number of instances expected");
    study->expect_instances++;
    CHECK(judge(r, &s) > 0);
    CHECK(strstr(s.all, "instances") != NULL);
    *study = as_it_is;
    test_row("a procedure that was never asked for");
    study->procedure_occurrence_id = 999;
    CHECK(judge(r, &s) >= 2);
    CHECK(strstr(s.all, "999") != NULL && strstr(s.all, "nobody asked for it") != NULL);
    *study = as_it_is;
}

static void test_demo_verify__sees_what_is_right_and_what_is_not(void)
{
    struct rig r = { 0 };
    static struct saying s;
    extract(&r);
    find_zip(&r);
    test_row("as it came");
    CHECK_INT(judge(&r, &s), 0);
    CHECK_STR(str_of(s.all), "");
    check_zips(&r);
    check_missing_and_extra(&r);
    check_names_and_texts(&r);
    check_tables(&r);
    check_expectations(&r);
    test_row("as it came, again");
    CHECK_INT(judge(&r, &s), 0);
    done(&r);
}

struct showing {
    size_t n, removed, kept, added;
    bool name_before, name_after, nested, pixels;
};

static void take_line(void *ctx, const char *element, const char *name, const char *before, const char *after)
{
    struct showing *s = ctx;
    s->n++;
    s->removed += strcmp(after, "removed") == 0;
    s->kept += strcmp(after, before) == 0;
    s->added += before[0] == '\0' && after[0] != '\0';
    s->name_before |= strcmp(element, "(0010,0010)") == 0 && strcmp(name, "PatientName") == 0 &&
                      strstr(before, "Thistlewick^") != NULL;
    s->name_after |= strstr(after, "Thistlewick") != NULL;
    s->nested |= strcmp(element, "(0040,0275)[1].(0040,0007)") == 0 && strcmp(after, "removed") == 0;
    s->pixels |=
        strcmp(element, "(7FE0,0010)") == 0 && strcmp(before, "524288 bytes") == 0 && strcmp(before, after) == 0;
}

static void test_demo_show_header__shows_both_sides(void)
{
    struct pixl_error err = { 0 };
    struct rig r = { 0 };
    struct showing s = { 0 };
    extract(&r);
    REQUIRE_OK(demo_show_header(&r.demo, r.site, take_line, &s, &err), err);
    CHECK(s.n > 100 && s.removed > 50 && s.kept > 20 && s.added >= 3);
    CHECK(s.name_before && !s.name_after && s.nested && s.pixels);

    char path[8192];
    (void)snprintf(path, sizeof path, "%s/%s", r.demo.safe_haven_dir, r.demo.omop_project);
    REQUIRE_OK(fs_remove_tree(path, &err), err);
    CHECK_FAILS(demo_show_header(&r.demo, r.site, take_line, &s, &err), err, PIXL_E_NOT_FOUND);
    done(&r);
}

int main(int argc, char **argv)
{
    static const struct test_case tests[] = {
        TEST(test_demo_verify__sees_what_is_right_and_what_is_not),
        TEST(test_demo_show_header__shows_both_sides),
    };
    test_timeout_s = 600;
    return test_main(argc, argv, tests, ARRAY_LEN(tests));
}
