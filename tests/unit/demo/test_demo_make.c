#include "demo/demo.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fs.h"
#include "cohort/cohort.h"
#include "config/project.h"
#include "deid/deid.h"
#include "dicom/file.h"
#include "demo/search.h"
#include "test.h"

enum { N = 10, DEPTH_MAX = 12 };
#define FILE_MAX ((size_t)64 << 20)

/* Calls each() for every file below dir; rel: its path from there. */
static void walk(const char *top, const char *rel, int depth,
                 void (*each)(void *ctx, const char *path, const char *rel), void *ctx)
{
    char dir[4096], path[8192], below[4096];
    REQUIRE(depth < DEPTH_MAX);
    (void)snprintf(dir, sizeof dir, "%s/%s", top, rel);
    DIR *d = opendir(dir);
    REQUIRE(d != NULL);
    for (const struct dirent *e; (e = readdir(d)) != NULL;) {
        struct stat st;
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
            continue;
        REQUIRE(snprintf(below, sizeof below, "%s%s%s", rel, rel[0] ? "/" : "", e->d_name) < (int)sizeof below);
        (void)snprintf(path, sizeof path, "%s/%s", top, below);
        REQUIRE(lstat(path, &st) == 0);
        if (S_ISDIR(st.st_mode))
            walk(top, below, depth + 1, each, ctx);
        else
            each(ctx, path, below);
    }
    (void)closedir(d);
}

static void make(const char *name, size_t n, struct demo *d)
{
    struct pixl_error err = { 0 };
    *d = (struct demo){ 0 };
    REQUIRE_OK(demo_make(test_path(name), n, test_path("duck"), d, &err), err);
}

struct comparing {
    const char *other;
    size_t files;
};

static void compare(void *ctx, const char *path, const char *rel)
{
    struct comparing *c = ctx;
    struct pixl_error err = { 0 };
    uint8_t one[32], two[32];
    uint64_t n;
    char other[8192];
    if (strncmp(rel, "configs/demo-hospital", 21) == 0) /* holds the path of its own safe haven */
        return;
    (void)snprintf(other, sizeof other, "%s/%s", c->other, rel);
    test_row("%s", rel);
    CHECK_OK(fs_digest(path, one, &n, &err), err);
    CHECK_OK(fs_digest(other, two, &n, &err), err);
    CHECK(memcmp(one, two, sizeof one) == 0);
    c->files++;
}

static void test_demo_make__the_same_call_makes_the_same_bytes(void)
{
    struct demo one, two;
    make("one", N, &one);
    make("two", N, &two);
    struct comparing there = { two.dir, 0 }, back = { one.dir, 0 };
    walk(one.dir, "", 0, compare, &there);
    walk(two.dir, "", 0, compare, &back);
    CHECK_INT(there.files, back.files);
    CHECK(there.files > 100);
    demo_done(&one);
    demo_done(&two);
}

static void test_demo_make__refuses_what_is_not_new(void)
{
    struct pixl_error err = { 0 };
    struct demo d = { 0 };
    CHECK_FAILS(demo_make(test_path("few"), 7, test_path("duck"), &d, &err), err, PIXL_E_INVALID);
    CHECK(!fs_exists(test_path("few")));
    REQUIRE_OK(fs_make_dirs(test_path("used/inside"), 0700, &err), err);
    CHECK_FAILS(demo_make(test_path("used"), 8, test_path("duck"), &d, &err), err, PIXL_E_EXISTS);
    CHECK(d.studies == NULL);
}

static void test_demo_make__replaces_an_earlier_demo_and_nothing_else(void)
{
    struct pixl_error err = { 0 };
    struct demo d = { 0 };
    make("demo", 8, &d);
    demo_done(&d);
    REQUIRE_OK(fs_make_dirs(test_path("demo/state"), 0700, &err), err);
    REQUIRE_OK(fs_write_whole(test_path("demo/state/pixl.db"), STR("old"), 0600, &err), err);
    REQUIRE_OK(fs_write_whole(test_path("demo/safe-haven/old.zip"), STR("old"), 0600, &err), err);
    int fd = -1;
    REQUIRE_OK(fs_lock(test_path("demo/state/lock"), &fd, &err), err);
    CHECK_FAILS(demo_make(test_path("demo"), 8, test_path("duck"), &d, &err), err, PIXL_E_BUSY);
    CHECK(fs_exists(test_path("demo/safe-haven/old.zip")));
    (void)close(fd);

    make("demo", 8, &d);
    demo_done(&d);
    CHECK(!fs_exists(test_path("demo/state")) && !fs_exists(test_path("demo/safe-haven/old.zip")));
    CHECK(fs_exists(test_path("demo/hospital/cohort.csv")));

    /* Something of somebody's own among it: all of it stays. */
    REQUIRE_OK(fs_write_whole(test_path("demo/notes.txt"), STR("mine"), 0600, &err), err);
    CHECK_FAILS(demo_make(test_path("demo"), 8, test_path("duck"), &d, &err), err, PIXL_E_EXISTS);
    CHECK(fs_exists(test_path("demo/notes.txt")) && fs_exists(test_path("demo/hospital/cohort.csv")));
    REQUIRE_OK(fs_remove(test_path("demo/notes.txt"), &err), err);

    /* The parts alone, without the marker, are somebody's too; so is a marker that leads elsewhere. */
    REQUIRE_OK(fs_remove(test_path("demo/.pixl-demo"), &err), err);
    CHECK_FAILS(demo_make(test_path("demo"), 8, test_path("duck"), &d, &err), err, PIXL_E_EXISTS);
    REQUIRE(symlink("hospital/cohort.csv", test_path("demo/.pixl-demo")) == 0);
    CHECK_FAILS(demo_make(test_path("demo"), 8, test_path("duck"), &d, &err), err, PIXL_E_EXISTS);
    CHECK(fs_exists(test_path("demo/hospital/cohort.csv")));
}

static void test_demo_make__its_projects_load_and_compile(void)
{
    struct demo d;
    struct pixl_error err = { 0 };
    make("demo", 8, &d);
    const char *const slugs[] = { d.omop_project, d.csv_project };
    for (size_t i = 0; i < ARRAY_LEN(slugs); i++) {
        project_auto *p = NULL;
        struct deid_policy *policy = NULL;
        test_row("%s", slugs[i]);
        REQUIRE_OK(project_load(d.configs_dir, str_of(slugs[i]), &p, &err), err);
        CHECK(p->destination_directory != NULL && strcmp(p->destination_directory, d.safe_haven_dir) == 0);
        CHECK_OK(deid_policy_new(p, &policy, &err), err);
        deid_policy_free(policy);
    }
    demo_done(&d);
}

static const struct demo_study *find_study(const struct demo *d, const char *project, int64_t procedure)
{
    for (size_t i = 0; i < d->n_studies; i++)
        if (strcmp(d->studies[i].project, project) == 0 && d->studies[i].procedure_occurrence_id == procedure)
            return &d->studies[i];
    return NULL;
}

static void test_demo_make__its_cohorts_ask_for_each_study(void)
{
    struct demo d;
    struct pixl_error err = { 0 };
    size_t rows = 0, participants = 0, without_uid = 0;
    make("demo", N, &d);
    const char *const paths[] = { d.omop_dir, d.csv_path }, *const projects[] = { d.omop_project, d.csv_project };
    for (size_t i = 0; i < ARRAY_LEN(paths); i++) {
        cohort_auto *c = NULL;
        struct cohort_row row;
        bool got;
        test_row("%s", paths[i]);
        REQUIRE_OK(cohort_open(paths[i], test_path("duck"), &c, &err), err);
        for (;;) {
            REQUIRE_OK(cohort_next(c, &got, &row, &err), err);
            if (!got)
                break;
            CHECK(!row.refused);
            CHECK_STR(row.request.project, projects[i]);
            CHECK(find_study(&d, projects[i], row.request.procedure_occurrence_id) != NULL);
            participants += row.request.participant_id.n > 0;
            without_uid += phi_is_empty(row.request.study_uid);
            rows++;
        }
    }
    CHECK_INT(rows, d.n_studies);
    CHECK_INT(d.n_studies, N + 1); /* two rows ask for one study */
    CHECK_INT(without_uid, 1);
    CHECK(participants > 0 && participants < rows);
    demo_done(&d);
}

struct reading {
    size_t whole, damaged, strangers;
};

static void read_one(void *ctx, const char *path, const char *rel)
{
    struct reading *r = ctx;
    struct pixl_error err = { 0 };
    const struct dicom_limits limits = DICOM_LIMITS_DEFAULT;
    struct arena a;
    struct str bytes;
    struct dicom_file f;
    arena_init(&a, FILE_MAX);
    REQUIRE_OK(fs_read_whole(&a, path, FILE_MAX, &bytes, &err), err);
    const struct dicom_source s = dicom_source_bytes(bytes.p, bytes.n);
    test_row("%s", rel);
    if (strchr(rel, '/') == NULL)
        r->strangers++;
    else if (dicom_parse(&s, &limits, &a, &f, &err))
        r->whole++;
    else if (CHECK_FAILS(false, err, PIXL_E_CORRUPT))
        r->damaged++;
    arena_done(&a);
}

static void test_demo_make__its_archive_is_dicom_but_for_what_shall_not_be(void)
{
    struct demo d;
    struct reading r = { 0 };
    make("demo", 8, &d);
    walk(d.archive_dir, "", 0, read_one, &r);
    CHECK_INT(r.damaged, 1);
    CHECK_INT(r.strangers, 3);
    CHECK_INT(r.whole, 3 * 25 + 1 - 1 + 16 + 4 * 2 +
                           2); /* three CTs, a copy of a slice, less the damaged one, MR, four X-rays, reports */
    demo_done(&d);
}

struct planting {
    const char *const *needles;
    bool *seen;
};

static void look(struct planting *p, struct str in)
{
    for (size_t i = 0; p->needles[i] != NULL; i++)
        if (!p->seen[i] && memmem(in.p, in.n, p->needles[i], strlen(p->needles[i])) != NULL)
            p->seen[i] = true;
}

static void look_into(void *ctx, const char *path, const char *rel)
{
    struct pixl_error err = { 0 };
    struct arena a;
    struct str bytes;
    arena_init(&a, FILE_MAX);
    look(ctx, str_of(rel));
    REQUIRE_OK(fs_read_whole(&a, path, FILE_MAX, &bytes, &err), err);
    look(ctx, (struct str){ bytes.p, bytes.n < 65536 ? bytes.n : 65536 });
    arena_done(&a);
}

static void look_into_cohort(struct planting *p, const char *path)
{
    struct pixl_error err = { 0 };
    cohort_auto *c = NULL;
    struct cohort_row row;
    bool got;
    REQUIRE_OK(cohort_open(path, test_path("duck"), &c, &err), err);
    for (;;) {
        REQUIRE_OK(cohort_next(c, &got, &row, &err), err);
        if (!got)
            return;
        look(p, phi_reveal(row.request.mrn));
        look(p, phi_reveal(row.request.accession_number));
    }
}

static void test_demo_make__every_needle_is_really_planted(void)
{
    struct demo d;
    make("demo", N, &d);
    size_t n = 0;
    while (d.needles[n] != NULL)
        n++;
    CHECK(n > 100);
    struct planting p = { d.needles, calloc(n, sizeof *p.seen) };
    REQUIRE(p.seen != NULL);
    char hospital[4096];
    (void)snprintf(hospital, sizeof hospital, "%s/hospital", d.dir);
    walk(hospital, "", 0, look_into, &p);
    look_into_cohort(&p, d.omop_dir); /* its parquet is compressed */
    for (size_t i = 0; i < n; i++) {
        test_row("%s", d.needles[i]);
        CHECK(p.seen[i]);
    }
    free(p.seen);
    demo_done(&d);
}

static void test_demo_make__expects_every_kind_of_end(void)
{
    struct demo d;
    size_t ends[STUDY_STATE_COUNT] = { 0 };
    make("demo", 30, &d); /* many: smaller pictures */
    for (size_t i = 0; i < d.n_studies; i++) {
        ends[d.studies[i].expect]++;
        CHECK_INT(d.studies[i].expect_instances > 0, d.studies[i].expect == STUDY_EXPORTED);
    }
    CHECK_INT(ends[STUDY_MISSING], 1);
    CHECK_INT(ends[STUDY_SKIPPED], 1);
    CHECK_INT(ends[STUDY_FAILED], 1);
    CHECK_INT(ends[STUDY_WITHHELD], 1);
    CHECK_INT(ends[STUDY_EXPORTED], 31 - 4);
    demo_done(&d);
}

int main(int argc, char **argv)
{
    static const struct test_case tests[] = {
        TEST(test_demo_make__the_same_call_makes_the_same_bytes),
        TEST(test_demo_make__refuses_what_is_not_new),
        TEST(test_demo_make__replaces_an_earlier_demo_and_nothing_else),
        TEST(test_demo_make__its_projects_load_and_compile),
        TEST(test_demo_make__its_cohorts_ask_for_each_study),
        TEST(test_demo_make__its_archive_is_dicom_but_for_what_shall_not_be),
        TEST(test_demo_make__every_needle_is_really_planted),
        TEST(test_demo_make__expects_every_kind_of_end),
    };
    return test_main(argc, argv, tests, ARRAY_LEN(tests));
}
