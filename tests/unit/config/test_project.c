#include "config/project_internal.h"
#include "test.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/fs.h"

/* tests/cases/config/<case>/ is a folder of project configurations, laid over common/, with one *.yaml at its top;
 * `expected` is "ok" or every problem of it, the first one first. */
#define CASES PIXL_SOURCE_DIR "/tests/cases/config"

static void copy_tree(const char *from, const char *to)
{
    DIR *d = opendir(from);
    REQUIRE(d != NULL);
    (void)mkdir(to, 0700);
    for (struct dirent *e; (e = readdir(d)) != NULL; ) {
        char a[1200], b[1200];
        struct pixl_error err = { 0 };
        if (e->d_name[0] == '.')
            continue;
        (void)snprintf(a, sizeof a, "%s/%s", from, e->d_name);
        (void)snprintf(b, sizeof b, "%s/%s", to, e->d_name);
        if (fs_is_dir(a))
            copy_tree(a, b);
        else
            REQUIRE_OK(fs_copy_file(a, b, "t", 0600, NULL, NULL, &err), err);
    }
    (void)closedir(d);
}

/* Lays a case out under test_dir()/<case> and finds its project file. */
static const char *lay_out(const char *name, char path[2048])
{
    char from[1024];
    const char *to = test_path(name);
    (void)snprintf(from, sizeof from, "%s/%s", CASES, name);
    copy_tree(CASES "/common", to);
    copy_tree(from, to);
    DIR *d = opendir(to);
    REQUIRE(d != NULL);
    path[0] = '\0';
    for (struct dirent *e; (e = readdir(d)) != NULL; )
        if (strstr(e->d_name, ".yaml") != NULL)
            (void)snprintf(path, 2048, "%s/%s", to, e->d_name);
    (void)closedir(d);
    REQUIRE(path[0] != '\0');
    return to;
}

static struct project *load_case(const char *name)
{
    char path[2048];
    struct pixl_error err = { 0 };
    struct project *p = NULL;
    (void)lay_out(name, path);
    test_row("%s", name);
    REQUIRE_OK(project_load_file(path, &p, &err), err);
    return p;
}

static void add_line(void *ctx, const char *problem)
{
    (void)buf_addf(ctx, "%s\n", problem);
}

static void check_case(const char *name)
{
    char path[2048], expected_path[1200];
    struct pixl_error err = { 0 };
    struct arena a;
    struct str expected, first, rest;
    struct project *p = NULL;
    arena_init(&a, 1024 * 1024);
    buf_auto told;
    buf_init(&told, 1024 * 1024);
    test_row("%s", name);
    (void)lay_out(name, path);
    (void)snprintf(expected_path, sizeof expected_path, "%s/%s/expected", CASES, name);
    REQUIRE_OK(fs_read_whole(&a, expected_path, 65536, &expected, &err), err);
    (void)str_split(expected, '\n', &first, &rest);
    bool good = str_eq(first, STR("ok"));

    CHECK(project_check_file(path, add_line, &told) == good);
    CHECK_STR(buf_str(&told), good ? "" : expected.p);
    bool loaded = project_load_file(path, &p, &err);
    CHECK(loaded == good && (p != NULL) == good);
    if (!loaded) {
        CHECK_INT(err.code, PIXL_E_INVALID);
        char text[600];
        (void)snprintf(text, sizeof text, "%.*s", STR_ARG(first));
        CHECK_STR(str_of(err.msg), text);
    }
    project_free(p);
    arena_done(&a);
}

static void test_project__every_case_is_as_expected(void)
{
    size_t n = 0;
    DIR *d = opendir(CASES);
    REQUIRE(d != NULL);
    for (struct dirent *e; (e = readdir(d)) != NULL; )
        if (e->d_name[0] != '.' && strcmp(e->d_name, "common") != 0) {
            check_case(e->d_name);
            n++;
        }
    (void)closedir(d);
    test_row("%s", "");
    CHECK(n >= 60);
}

/* ---- what is loaded ---- */

static bool has_text(const char *const *list, size_t n, const char *text)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(list[i], text) == 0)
            return true;
    return false;
}

static const struct project_tag_rule *find_rule(const struct project_tag_rule *rules, size_t n, unsigned group,
                                                unsigned element)
{
    for (size_t i = 0; i < n; i++)
        if (rules[i].group == group && rules[i].element == element)
            return &rules[i];
    return NULL;
}

/* CORE-CFG-01, -07, -08 */
static void test_project__a_configuration_of_the_older_system_loads(void)
{
    project_auto *p = load_case("ok-older-omop-extract");
    CHECK_STR(str_of(p->name), "test-extract-uclh-omop-cdm");
    CHECK_STR(p->slug, "test-extract-uclh-omop-cdm");
    CHECK_STR(p->secrets_prefix, "test");
    CHECK_INT(p->n_modalities, 2);
    CHECK(has_text(p->modalities, 2, "DX") && has_text(p->modalities, 2, "CR"));
    CHECK_INT(p->dicom_destination, PROJECT_TO_FTPS);
    CHECK_INT(p->parquet_destination, PROJECT_TO_FTPS);
    CHECK_INT(p->n_manufacturers, 0);           /* the key is absent: nobody */
    CHECK_INT(p->min_instances_per_series, 2);
    CHECK_INT(p->n_base_rules, 147);
    CHECK_INT(p->n_overrides, 2);
    const struct project_tag_rule *r = find_rule(p->base_rules, p->n_base_rules, 0x0010, 0x0020);
    REQUIRE(r != NULL);
    CHECK_INT(r->op, PROJECT_OP_SECURE_HASH);
    CHECK_STR(str_of(r->file), "test-extract-uclh-omop-cdm.yaml");
    r = find_rule(p->base_rules, p->n_base_rules, 0x0008, 0x0018);
    CHECK(r != NULL && r->op == PROJECT_OP_REPLACE_UID);
    bool matches = false;
    struct pixl_error err = { 0 };
    CHECK_OK(pattern_search(p->overrides[0].manufacturer, STR("Philips Medical Systems"), &matches, &err), err);
    CHECK(matches);
    CHECK_INT(p->overrides[0].n_rules, 4);
    CHECK_STR(str_of(p->overrides[1].manufacturer_text), "Siemens");
}

/* CORE-CFG-02, -09 */
static void test_project__a_minimal_configuration_has_defaults(void)
{
    project_auto *p = load_case("ok-minimal");
    CHECK_STR(p->slug, "study-one");
    CHECK_STR(p->secrets_prefix, "study-one");
    CHECK_INT(p->n_series_filters, 0);
    CHECK_INT(p->n_overrides, 0);
    CHECK_INT(p->n_deid_recipes, 0);
    CHECK_INT(p->n_manufacturers, 0);
    CHECK_INT(p->min_instances_per_series, 2);
    CHECK_INT(p->on_instance_error, PROJECT_ON_ERROR_DEFAULT);
    CHECK(!p->passes_burned_in);
    CHECK_INT(p->dicom_destination, PROJECT_TO_NONE);
    CHECK(p->destination_directory == NULL);
    CHECK_INT(p->n_base_rules, 5);
    CHECK_STR(str_of(p->base_rules[0].name), "Patient ID");
    CHECK_INT(p->base_rules[0].line, 2);
    CHECK(p->base_rules[4].name == NULL);
}

static void test_project__ftps_is_set_or_has_defaults(void)
{
    static const struct {
        const char *name;
        bool set;
        int64_t connections;
    } rows[] = {
        { "ok-ftps", true, 2 },
        { "ok-ftps-by-default", false, 4 },
        { "ok-minimal", false, 4 },
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        project_auto *p = load_case(rows[i].name);
        test_row("%s", rows[i].name);
        CHECK(p->ftps.is_explicit == rows[i].set && p->ftps.allows_tls13 == rows[i].set &&
              p->ftps.trusts_replies == rows[i].set);
        CHECK_INT(p->ftps.max_connections, rows[i].connections);
        if (CHECK((p->ftps.ca_file != NULL) == rows[i].set) && rows[i].set)
            CHECK(strstr(p->ftps.ca_file, "/certificates/safe-haven.pem") != NULL);
    }
}

static void test_project__a_full_configuration_is_all_there(void)
{
    project_auto *p = load_case("ok-full");
    CHECK_STR(p->secrets_prefix, "shared-alias");
    CHECK_INT(p->n_modalities, 3);
    CHECK_INT(p->n_series_filters, 3);
    CHECK_STR(str_of(p->series_filters[0]), "LOCALIZER");
    CHECK_STR(str_of(p->series_filters[1]), "3D");
    CHECK_INT(p->min_instances_per_series, 6);
    CHECK_INT(p->n_manufacturers, 2);
    CHECK_INT(p->manufacturers[0].n_exclude, 3);
    CHECK_INT(p->manufacturers[0].exclude_series_numbers[1], -1);
    CHECK_STR(str_of(p->manufacturers[1].text), ".*");
    CHECK_INT(p->manufacturers[1].n_exclude, 0);
    CHECK_INT(p->on_instance_error, PROJECT_ON_ERROR_DELIVER);
    CHECK(p->passes_burned_in);
    CHECK_INT(p->dicom_destination, PROJECT_TO_DIRECTORY);
    CHECK_STR(str_of(p->destination_directory), "/srv/data safe haven/in");
    REQUIRE(p->n_deid_recipes == 1);
    CHECK(fs_exists(p->deid_recipes[0]));
    CHECK_INT(p->n_overrides, 3);
    CHECK_STR(str_of(p->overrides[0].rules[0].file), "mri.yaml");
    CHECK_STR(str_of(p->overrides[2].rules[0].file), "overrides.yaml");
}

static void test_project__a_later_base_file_wins_and_keeps_the_place(void)
{
    project_auto *p = load_case("ok-full");
    CHECK_INT(p->n_base_rules, 7);              /* 5 and 3, one of them the same element */
    const struct project_tag_rule *name = &p->base_rules[1];
    CHECK_INT(name->group, 0x0010);
    CHECK_INT(name->element, 0x0010);
    CHECK_INT(name->op, PROJECT_OP_DELETE);
    CHECK_STR(str_of(name->file), "second.yaml");
    CHECK_INT(name->line, 1);
    CHECK_STR(str_of(p->base_rules[6].private_creator), "Philips MR Imaging DD 002");
}

/* CORE-CFG-11: the upper-case word stands in the upper-case description, or not. */
static void test_project__series_filters_are_upper_case_and_never_empty(void)
{
    project_auto *p = load_case("ok-hearing-health");
    CHECK_INT(p->n_series_filters, 11);
    CHECK(has_text(p->series_filters, p->n_series_filters, "MIP"));
    for (size_t i = 0; i < p->n_series_filters; i++)
        CHECK(p->series_filters[i][0] != '\0');
}

static void test_project__series_filters_are_upper_case_beyond_ascii(void)
{
    project_auto *p = load_case("ok-filters-beyond-ascii");
    CHECK_INT(p->n_series_filters, 3);
    CHECK(has_text(p->series_filters, p->n_series_filters, "R\u00d6NTGEN"));
    CHECK(has_text(p->series_filters, p->n_series_filters, "GR\u00d6SSE"));
    CHECK(has_text(p->series_filters, p->n_series_filters,
                   "\u041b\u041e\u041a\u0410\u041b\u0410\u0419\u0417\u0415\u0420"));
}

/* CORE-CFG-12, -13 */
static void test_project__manufacturers_are_searched_and_name_series(void)
{
    project_auto *p = load_case("ok-hearing-health");
    static const struct { const char *maker; size_t entry; bool matches; } rows[] = {
        { "GE MEDICAL SYSTEMS", 0, true }, { "not GE MEDICAL SYSTEMS", 0, false }, { "SIEMENS Healthineers", 2, true },
        { "Canon", 2, false }, { "Canon", 3, true },
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        bool matches = !rows[i].matches;
        struct pixl_error err = { 0 };
        test_row("%s", rows[i].maker);
        CHECK_OK(pattern_search(p->manufacturers[rows[i].entry].pattern, str_of(rows[i].maker), &matches, &err), err);
        CHECK(matches == rows[i].matches);
    }
    CHECK_INT(p->manufacturers[0].n_exclude, 9);
    CHECK_INT(p->manufacturers[0].exclude_series_numbers[8], 1151418);
    CHECK_INT(p->manufacturers[1].n_exclude, 0);
    CHECK_INT(p->manufacturers[2].n_exclude, 0);
    CHECK_INT(p->manufacturers[3].exclude_series_numbers[0], 9000);
}

/* ---- finding projects ---- */

static void test_project_load__finds_by_slug_and_names_the_nearest(void)
{
    char path[2048];
    struct pixl_error err = { 0 };
    struct project *p = NULL;
    const char *dir = lay_out("ok-minimal", path);
    REQUIRE_OK(project_load(dir, STR("study-one"), &p, &err), err);
    CHECK_STR(p->slug, "study-one");
    CHECK_STR(str_of(p->path), path);
    project_free(PIXL_STEAL(&p));
    CHECK(!project_load(dir, STR("study-on"), &p, &err));
    CHECK(strstr(err.msg, "there is no project study-on in ") == err.msg);
    CHECK(strstr(err.msg, "; did you mean study-one?") != NULL);
    CHECK_FAILS(false, err, PIXL_E_NOT_FOUND);
    CHECK(!project_load(dir, STR("something-else"), &p, &err));
    CHECK(strstr(err.msg, "did you mean") == NULL);
    CHECK_FAILS(false, err, PIXL_E_NOT_FOUND);
    CHECK_FAILS(project_load(test_path("no such folder"), STR("study-one"), &p, &err), err, PIXL_E_NOT_FOUND);
    static const char *const no_slugs[] = { "", "../study-one", "Study-One", "study--one", "study-one/", "a\nb" };
    for (size_t i = 0; i < ARRAY_LEN(no_slugs); i++) {
        test_row("%s", no_slugs[i]);
        CHECK_FAILS(project_load(dir, str_of(no_slugs[i]), &p, &err), err, PIXL_E_INVALID);
    }
    CHECK(p == NULL);
}

static void test_project_load__a_configuration_may_be_in_the_working_folder(void)
{
    char path[2048];
    struct pixl_error err = { 0 };
    const char *dir = lay_out("ok-minimal", path);
    REQUIRE(chdir(dir) == 0);
    struct project *p = NULL;
    CHECK_OK(project_load_file("study-one.yaml", &p, &err), err);
    project_free(p);
    p = NULL;
    CHECK_FAILS(project_load_file("study-one.yml", &p, &err), err, PIXL_E_INVALID);
    CHECK_FAILS(project_load_file(".yaml", &p, &err), err, PIXL_E_INVALID);
    CHECK_FAILS(project_load_file("", &p, &err), err, PIXL_E_INVALID);
    CHECK_FAILS(project_load_file("absent.yaml", &p, &err), err, PIXL_E_NOT_FOUND);
    CHECK(p == NULL);
}

static void test_project_load__an_absolute_path_may_be_named(void)
{
    char path[2048];
    struct pixl_error err = { 0 };
    const char *dir = lay_out("ok-minimal", path);
    buf_auto b;
    buf_init(&b, 65536);
    (void)buf_addf(&b, "project: {name: Study One, modalities: [CT]}\n"
                   "tag_operation_files: {base: [%s/tag-operations/base.yaml], manufacturer_overrides: "
                   "[%s/tag-operations/overrides.yaml]}\ndestination: {dicom: none, parquet: none}\n", dir, dir);
    REQUIRE_OK(fs_write_whole(path, buf_str(&b), 0600, &err), err);
    struct project *p = NULL;
    REQUIRE_OK(project_load_file(path, &p, &err), err);
    CHECK_INT(p->n_base_rules, 5);
    CHECK_INT(p->n_overrides, 2);
    CHECK_STR(str_of(p->base_rules[0].file), "base.yaml");
    project_free(p);
}

static void test_project_load__a_name_without_a_slug_asks_for_one(void)
{
    static const char *const names[] = { "\"---\"", "\"\xE5\xBD\xB1\xE5\xB8\xAB\"" };
    char path[2048];
    (void)lay_out("ok-minimal", path);
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        test_row("%s", names[i]);
        struct pixl_error err = { 0 };
        struct project *p = NULL;
        char text[512];
        (void)snprintf(text, sizeof text, "project: {name: %s, modalities: [CT]}\n"
                       "tag_operation_files: {base: [base.yaml]}\ndestination: {dicom: none, parquet: none}\n",
                       names[i]);
        REQUIRE_OK(fs_write_whole(path, str_of(text), 0600, &err), err);
        CHECK(!project_load_file(path, &p, &err));
        CHECK(strstr(err.msg, "study-one.yaml:1:17: project.name: ") == err.msg);
        CHECK(strstr(err.msg, "; give a project.slug") != NULL);
        CHECK_FAILS(false, err, PIXL_E_INVALID);
    }
}

/* ---- files that are none ---- */

static void test_project_load__hostile_files_are_refused(void)
{
    static char zeros[5000], large[10 * 1024 * 1024];
    memset(large, '#', sizeof large);
    const struct { const char *name; struct str text; enum pixl_code code; const char *problem; } rows[] = {
        { "NULs",     { zeros, sizeof zeros },            PIXL_E_INVALID, "study-one.yaml:1:1: a NUL byte" },
        { "junk",     STR("\x89PNG\r\n\x1a\n\xFF\xFE"),   PIXL_E_INVALID, "study-one.yaml: is no text file in UTF-8" },
        { "UTF-16",   STR("\xFF\xFEp\0r\0"),              PIXL_E_INVALID, "study-one.yaml:1:" },
        { "10 MB",    { large, sizeof large },            PIXL_E_LIMIT,   "study-one.yaml: larger than 1048576 bytes" },
        { "a bomb",   STR("a: &a [x,x]\nb: &b [*a,*a]\n"), PIXL_E_INVALID, "study-one.yaml:1:4: anchors and aliases" },
        { "deep",     STR("[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[["), PIXL_E_LIMIT, "study-one.yaml:1:33: nested deeper" },
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        test_row("%s", rows[i].name);
        struct pixl_error err = { 0 };
        struct project *p = NULL;
        REQUIRE_OK(fs_write_whole(test_path("study-one.yaml"), rows[i].text, 0600, &err), err);
        CHECK(!project_load_file(test_path("study-one.yaml"), &p, &err));
        if (strstr(err.msg, rows[i].problem) != err.msg)
            CHECK_STR(str_of(err.msg), rows[i].problem);
        CHECK_FAILS(false, err, rows[i].code);
        CHECK(p == NULL);
    }
}

static void test_project_load__what_is_no_file_is_refused(void)
{
    struct pixl_error err = { 0 };
    struct project *p = NULL;
    REQUIRE(mkdir(test_path("folder.yaml"), 0700) == 0);
    CHECK(!project_load_file(test_path("folder.yaml"), &p, &err));
    CHECK_STR(str_of(err.msg), "folder.yaml: is a folder, not a file");
    CHECK_FAILS(false, err, PIXL_E_INVALID);
    REQUIRE(mkfifo(test_path("pipe.yaml"), 0600) == 0);         /* would wait for a writer */
    CHECK(!project_load_file(test_path("pipe.yaml"), &p, &err));
    CHECK_STR(str_of(err.msg), "pipe.yaml: is not a regular file");
    CHECK_FAILS(false, err, PIXL_E_INVALID);
    REQUIRE(symlink("loop.yaml", test_path("loop.yaml")) == 0);
    CHECK(!project_load_file(test_path("loop.yaml"), &p, &err));
    CHECK_STR(str_of(err.msg), "loop.yaml: cannot be read: local input or output failed");
    CHECK_FAILS(false, err, PIXL_E_IO);
}

/* A reader that refuses what the row says; root may read any file, so that mode 0 proves nothing. */
struct refusing {
    const char *part;
    enum pixl_code code;
};

static bool refuse(void *ctx, struct arena *a, const char *path, struct str *out, struct pixl_error *err)
{
    const struct refusing *r = ctx;
    if (strstr(path, r->part) != NULL)
        return pixl_fail(err, r->code, 0, "refused");
    return project_files_on_disk.read(NULL, a, path, out, err);
}

static void test_project_read__a_file_that_cannot_be_read_is_named_where_it_is_named(void)
{
    static const struct { struct refusing what; const char *problem; enum pixl_code code; } rows[] = {
        { { "study-one.yaml", PIXL_E_DENIED }, "study-one.yaml: cannot be read: permission denied", PIXL_E_DENIED },
        { { "base.yaml", PIXL_E_DENIED },
          "study-one.yaml:5:10: tag-operations/base.yaml cannot be read: permission denied", PIXL_E_DENIED },
        { { "base.yaml", PIXL_E_LIMIT }, "study-one.yaml:5:10: tag-operations/base.yaml is larger than 1048576 bytes",
          PIXL_E_INVALID },
        { { "base.yaml", PIXL_E_NOMEM }, "configuration: out of memory", PIXL_E_NOMEM },
        { { "manufacturer-overrides/mri.yaml", PIXL_E_NOT_FOUND },
          "study-one.yaml:6:27: there is no file tag-operations/manufacturer-overrides/mri.yaml, nor "
          "tag-operations/mri.yaml", PIXL_E_INVALID },
        { { "manufacturer-overrides/mri.yaml", PIXL_E_DENIED },
          "study-one.yaml:6:27: tag-operations/manufacturer-overrides/mri.yaml cannot be read: permission denied",
          PIXL_E_DENIED },
    };
    char path[2048];
    (void)lay_out("ok-overrides-in-their-own-folder", path);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        test_row("%s", rows[i].problem);
        struct refusing what = rows[i].what;
        struct project_files files = { &what, refuse };
        struct problems ps = { 0 };
        struct pixl_error err = { 0 };
        CHECK(project_read(&files, path, &ps) == NULL);
        CHECK(!problems_none(&ps, &err));
        CHECK_STR(str_of(err.msg), rows[i].problem);
        CHECK_FAILS(false, err, rows[i].code);
    }
}

static void test_project__names_of_operations_and_destinations(void)
{
    CHECK_STR(str_of(project_tag_op_name(PROJECT_OP_DELETE_OR_EMPTY_OR_REPLACE_UID)), "delete_or_empty_or_replace_UID");
    CHECK_STR(str_of(project_destination_name(PROJECT_TO_DICOMWEB)), "dicomweb");
    for (unsigned op = 0; op < PROJECT_OP_COUNT; op++)
        CHECK(project_tag_op_name((enum project_tag_op)op) != NULL);
}

/* Ten thousand rules, each file's repeating the other's: merged in a moment, in order. */
static void test_project__large_schemes_are_merged(void)
{
    char path[2048];
    struct pixl_error err = { 0 };
    const char *dir = lay_out("ok-full", path);
    static const char *const names[] = { "base.yaml", "second.yaml" };
    for (size_t f = 0; f < 2; f++) {
        struct buf b;
        char file[2048];
        buf_init(&b, 1024 * 1024);
        for (unsigned i = 0; i < 10000; i++)
            (void)buf_addf(&b, "- {group: %u, element: %u, op: %s}\n", 0x10u + 2 * (i / 256), f ? 9999 - i : i,
                           f ? "keep" : "delete");
        (void)snprintf(file, sizeof file, "%s/tag-operations/%s", dir, names[f]);
        REQUIRE_OK(fs_write_whole(file, buf_str(&b), 0600, &err), err);
        buf_done(&b);
    }
    struct project *p = NULL;
    REQUIRE_OK(project_load_file(path, &p, &err), err);
    CHECK(p->n_base_rules > 10000 && p->n_base_rules <= 20000);
    for (size_t i = 0; i < 10000; i++)
        if (!CHECK(p->base_rules[i].element == i))
            break;
    project_free(p);
}

int main(int argc, char **argv)
{
    static const struct test_case tests[] = {
        TEST(test_project__every_case_is_as_expected),
        TEST(test_project__a_configuration_of_the_older_system_loads),
        TEST(test_project__a_minimal_configuration_has_defaults),
        TEST(test_project__ftps_is_set_or_has_defaults),
        TEST(test_project__a_full_configuration_is_all_there),
        TEST(test_project__a_later_base_file_wins_and_keeps_the_place),
        TEST(test_project__series_filters_are_upper_case_and_never_empty),
        TEST(test_project__series_filters_are_upper_case_beyond_ascii),
        TEST(test_project__manufacturers_are_searched_and_name_series),
        TEST(test_project_load__finds_by_slug_and_names_the_nearest),
        TEST(test_project_load__a_configuration_may_be_in_the_working_folder),
        TEST(test_project_load__an_absolute_path_may_be_named),
        TEST(test_project_load__a_name_without_a_slug_asks_for_one),
        TEST(test_project_load__hostile_files_are_refused),
        TEST(test_project_load__what_is_no_file_is_refused),
        TEST(test_project_read__a_file_that_cannot_be_read_is_named_where_it_is_named),
        TEST(test_project__names_of_operations_and_destinations),
        TEST(test_project__large_schemes_are_merged),
    };
    return test_main(argc, argv, tests, ARRAY_LEN(tests));
}
