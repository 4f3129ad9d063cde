#include "config/env_sources.h"
#include "config/new_project.h"
#include "config/project_internal.h"
#include "config/settings.h"
#include "fault.h"
#include "test.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/fs.h"

static void write_file(const char *name, const char *text)
{
    struct pixl_error err = { 0 };
    REQUIRE_OK(fs_write_whole(test_path(name), str_of(text), 0600, &err), err);
}

static void lay_out_project(void)
{
    REQUIRE(mkdir(test_path("tag-operations"), 0700) == 0 && mkdir(test_path("image-operations"), 0700) == 0);
    write_file("study-one.yaml", "project: {name: Study One, azure_kv_alias: a, modalities: [CT, MR]}\n"
               "series_filters: [localizer]\n"
               "allowed_manufacturers: [{regex: ^ge, exclude_series_numbers: [1, 2]}, {regex: siemens|philips}]\n"
               "tag_operation_files: {base: [a.yaml, b.yaml], manufacturer_overrides: [o.yaml]}\n"
               "image_operation_files: {deid_recipes: [us.yaml]}\n"
               "destination: {dicom: directory, parquet: none, directory: /srv/in}\n");
    write_file("tag-operations/a.yaml", "- {group: 0x0010, element: 0x0020, op: secure-hash, name: Patient ID}\n");
    write_file("tag-operations/b.yaml", "- {group: 0x0019, element: 0x10, op: keep, private_creator: \"A\"}\n");
    write_file("tag-operations/o.yaml", "- {manufacturer: ^ge, tags: [{group: 0x0019, element: 0x100C, op: keep}]}\n");
    write_file("image-operations/us.yaml", "keep: SequenceOfUltrasoundRegions\n");
}

static void test_project_load__every_allocation_may_fail(void)
{
    lay_out_project();
    long n = 0;
    for (;; n++) {
        struct pixl_error err = { 0 };
        struct project *p = NULL;
        test_row("allocation %ld", n);
        fault_alloc_after(n);
        bool ok = project_load(test_dir(), STR("study-one"), &p, &err);
        bool reached = fault_alloc_stop();
        CHECK(ok == (p != NULL));
        project_free(p);
        if (!reached) {
            CHECK_OK(ok, err);
            break;
        }
        if (!ok && !CHECK_INT(err.code, PIXL_E_NOMEM))
            printf("    %s\n", err.msg);
    }
    printf("    %ld allocations\n", n);
    CHECK(n > 10);
}

static void test_project_load__not_found_survives_every_failure(void)
{
    lay_out_project();
    for (long n = 0; ; n++) {
        struct pixl_error err = { 0 };
        struct project *p = NULL;
        test_row("allocation %ld", n);
        fault_alloc_after(n);
        bool ok = project_load(test_dir(), STR("study-two"), &p, &err);
        bool reached = fault_alloc_stop();
        CHECK(!ok && p == NULL && (err.code == PIXL_E_NOMEM || err.code == PIXL_E_NOT_FOUND));
        if (!reached) {
            CHECK_INT(err.code, PIXL_E_NOT_FOUND);
            CHECK(n > 0);
            break;
        }
    }
}

static void count_file(void *ctx, const char *path, bool is_new)
{
    (void)path;
    *(size_t *)ctx += is_new;
}

/* A failure may leave files behind, but whole ones: the folder may not have been synced. */
static void test_new_project__every_allocation_may_fail(void)
{
    const struct new_project new = {
        .project = STR("Study One"), .name = STR("one"), .modalities = STR("us"), .directory = "/srv/in"
    };
    long n = 0;
    for (;; n++) {
        struct pixl_error err = { 0 };
        struct project *p = NULL;
        size_t written = 0;
        test_row("allocation %ld", n);
        fault_alloc_after(n);
        bool ok = new_project_write(test_dir(), &new, count_file, &written, &err);
        bool reached = fault_alloc_stop();
        if (!reached) {
            CHECK_OK(ok, err);
            REQUIRE_OK(project_load(test_dir(), STR("study-one"), &p, &err), err);
            project_free(p);
            break;
        }
        CHECK(!ok && err.code == PIXL_E_NOMEM);
        pixl_error_clear(&err);
        if (fs_exists(test_path("study-one.yaml"))) {
            REQUIRE_OK(project_load(test_dir(), STR("study-one"), &p, &err), err);
            project_free(p);
        }
        REQUIRE_OK(fs_remove(test_path("study-one.yaml"), &err), err);
    }
    CHECK(n > 10);
}

static void test_settings_load__every_allocation_may_fail(void)
{
    write_file(".env", "PIXL_WORKERS=3\nexport LOG_LEVEL='debug'\nOTHER=\"x\"\n");
    const char *env[] = { "PIXL_STORE_URL=sqlite:$PIXL_STATE_DIR/a.db", "LOCAL_SALT_VALUE=s", NULL };
    const char *over[] = { "--rate PIXL_RATE=5", "PIXL_ARCHIVE_URL=orthanc+http://u:p@h/?token=t", NULL };
    long n = 0;
    for (;; n++) {
        struct settings s = { .workers = 4711 };
        struct pixl_error err = { 0 };
        test_row("allocation %ld", n);
        fault_alloc_after(n);
        bool ok = settings_load(env, test_path(".env"), over, &s, &err);
        bool reached = fault_alloc_stop();
        if (ok) {
            CHECK_INT(s.workers, 3);
            settings_done(&s);
        } else {
            CHECK_INT(s.workers, 4711);
            CHECK_INT(err.code, PIXL_E_NOMEM);
        }
        if (!reached) {
            CHECK_OK(ok, err);
            break;
        }
    }
    printf("    %ld allocations\n", n);
    CHECK(n > 10);
}

static void test_env_look_for__every_allocation_may_fail(void)
{
    write_file("sample", "PIXL_WORKERS=3\nOTHER=\n");
    write_file(".env", "OTHER=x\n");
    static const char *const env[] = { "PIXL_WORKERS=1", NULL };
    long n = 0;
    for (;; n++) {
        struct arena a;
        struct env_listed *list = NULL;
        struct env_sources s = { .env = env };
        struct pixl_error err = { 0 };
        size_t n_listed = 0;
        test_row("allocation %ld", n);
        fault_alloc_after(n);
        arena_init(&a, 1 << 20);
        bool ok = env_read_dotenv(&a, test_path(".env"), NULL, &s, &err) &&
                  env_look_for(&s, test_path("sample"), &a, &list, &n_listed, &err);
        bool reached = fault_alloc_stop();
        CHECK(ok == (list != NULL));
        if (!ok)
            CHECK_INT(err.code, PIXL_E_NOMEM);
        arena_done(&a);
        if (!reached) {
            CHECK(ok && n_listed == 2);
            break;
        }
    }
    CHECK(n >= 1);
}

static void test_pattern__every_allocation_may_fail(void)
{
    long n = 0;
    for (;; n++) {
        struct pattern *p = NULL;
        struct pixl_error err = { 0 };
        bool matches = false;
        test_row("allocation %ld", n);
        fault_alloc_after(n);
        bool ok = pattern_new(STR("^(m\xC3\xBCller|ge)+"), &p, &err) &&
                  pattern_search(p, STR("M\xDCLLER"), &matches, &err);
        bool reached = fault_alloc_stop();
        if (!ok)
            CHECK_INT(err.code, PIXL_E_NOMEM);
        pattern_free(p);
        if (!reached) {
            CHECK(ok && matches);
            break;
        }
    }
    CHECK(n >= 6);
}

int main(int argc, char **argv)
{
    static const struct test_case tests[] = {
        TEST(test_project_load__every_allocation_may_fail),
        TEST(test_project_load__not_found_survives_every_failure),
        TEST(test_new_project__every_allocation_may_fail),
        TEST(test_settings_load__every_allocation_may_fail),
        TEST(test_env_look_for__every_allocation_may_fail),
        TEST(test_pattern__every_allocation_may_fail),
    };
    return test_main(argc, argv, tests, ARRAY_LEN(tests));
}
