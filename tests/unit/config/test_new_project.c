#include "config/new_project.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fs.h"
#include "config/project.h"
#include "config/shipped.h"
#include "test.h"

struct said {
    char text[4096];
    size_t n_new, n_kept;
};

static void say(void *ctx, const char *path, bool is_new)
{
    struct said *s = ctx;
    (void)snprintf(s->text, sizeof s->text, "%s", path);
    *(is_new ? &s->n_new : &s->n_kept) += 1;
}

static struct str read_file(struct arena *a, const char *name)
{
    struct pixl_error err = { 0 };
    struct str out = { 0 };
    REQUIRE_OK(fs_read_whole(a, test_path(name), 1 << 20, &out, &err), err);
    return out;
}

static bool holds(struct str text, const char *part)
{
    return text.n > 0 && memmem(text.p, text.n, part, strlen(part)) != NULL;
}

static void test_shipped__files_are_those_of_the_source(void)
{
    struct arena a;
    size_t n;
    const struct shipped_file *files = shipped_files(&n);
    CHECK(n >= 11);
    arena_init(&a, 4 << 20);
    for (size_t i = 0; i < n; i++) {
        char path[4096];
        struct str text;
        struct pixl_error err = { 0 };
        test_row("%s", files[i].path);
        (void)snprintf(path, sizeof path, "%s/policies/%s", PIXL_SOURCE_DIR, files[i].path);
        REQUIRE_OK(fs_read_whole(&a, path, 1 << 20, &text, &err), err);
        CHECK(str_eq(text, files[i].text));
        CHECK(shipped_find(files[i].path) == &files[i]);
    }
    CHECK(shipped_find("tag-operations/no.yaml") == NULL);
    arena_done(&a);
}

static void test_new_project__every_modality_loads(void)
{
    size_t n;
    const struct shipped_modality *all = shipped_modalities(&n);
    for (size_t i = 0; i < n; i++) {
        struct pixl_error err = { 0 };
        struct said s = { .n_new = 0 };
        project_auto *p = NULL;
        char slug[64];
        test_row("%s", all[i].name);
        (void)snprintf(slug, sizeof slug, "of-%s", all[i].name);
        const struct new_project new = { .project = str_of(slug),
                                         .modalities = str_of(all[i].name),
                                         .directory = "/srv" };
        REQUIRE_OK(new_project_write(test_path("c"), &new, say, &s, &err), err);
        REQUIRE_OK(project_load(test_path("c"), str_of(slug), &p, &err), err);
        CHECK(strstr(s.text, slug) != NULL && s.n_new >= 2);
        CHECK_INT(p->min_instances_per_series, all[i].min_instances);
        CHECK_INT(p->n_deid_recipes, all[i].recipe != NULL);
        CHECK_INT(p->n_manufacturers, 1);
        CHECK_STR(str_of(p->destination_directory), "/srv");
        struct str code, rest = str_of(all[i].codes);
        for (size_t k = 0; k < p->n_modalities; k++) {
            (void)str_split(rest, ' ', &code, &rest);
            CHECK(str_eq(str_of(p->modalities[k]), code));
        }
        CHECK_INT(rest.n, 0);
    }
}

static void test_new_project__words_are_lists_codes_and_both(void)
{
    struct pixl_error err = { 0 };
    struct said s = { .n_new = 0 };
    struct arena a;
    project_auto *p = NULL;
    const struct new_project new = { .project = STR("Two Things"), .modalities = STR("DX, CT,MR,mr-diffusion,DX") };
    REQUIRE_OK(new_project_write(test_dir(), &new, say, &s, &err), err);
    REQUIRE_OK(project_load(test_dir(), STR("two-things"), &p, &err), err);
    CHECK_INT(p->n_modalities, 3);
    CHECK_STR(str_of(p->modalities[0]), "DX");
    CHECK_STR(str_of(p->modalities[2]), "MR");
    CHECK_INT(p->min_instances_per_series, 1);
    CHECK_STR(str_of(p->name), "Two Things");
    CHECK_INT(p->dicom_destination, PROJECT_TO_NONE);
    arena_init(&a, 1 << 20);
    struct str text = read_file(&a, "two-things.yaml");
    CHECK(holds(
        text, "    - base.yaml\n    - xray.yaml\n    - ct.yaml\n    - mr.yaml\n    - mr-diffusion.yaml\n    # - desc"));
    CHECK(holds(text, "  # slug: 'two-things'\n"));
    CHECK(fs_exists(test_path("tag-operations/descriptions.yaml")) &&
          fs_exists(test_path("tag-operations/patient.yaml")));
    arena_done(&a);
}

static void test_new_project__names_and_slugs(void)
{
    static const struct {
        const char *project, *name, *slug, *is_called;
    } rows[] = {
        { "lung-study", "", "lung-study", "lung-study" },
        { " Lung Study ", "", "lung-study", "Lung Study" },
        { "lung-study", "Lung  Study!", "lung-study", "Lung  Study!" },
        { "lung", "The study of O'Hara: \"lungs\" #1", "lung", "The study of O'Hara: \"lungs\" #1" },
        { "kyoto", "\xE4\xBA\xAC\xE9\x83\xBD", "kyoto", "\xE4\xBA\xAC\xE9\x83\xBD" },
        { "123", "", "123", "123" },
        { "no", "1e3", "no", "1e3" },
        { "Z\xC3\xBCrich", "", "zurich", "Z\xC3\xBCrich" },
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct pixl_error err = { 0 };
        struct said s = { .n_new = 0 };
        char dir[32];
        project_auto *p = NULL;
        test_row("'%s' '%s'", rows[i].project, rows[i].name);
        (void)snprintf(dir, sizeof dir, "%zu", i);
        const struct new_project new = { .project = str_of(rows[i].project),
                                         .name = str_of(rows[i].name),
                                         .modalities = STR("CT"),
                                         .directory = "/a 'b' \xC3\xA9: # dir" };
        REQUIRE_OK(new_project_write(test_path(dir), &new, say, &s, &err), err);
        REQUIRE_OK(project_load(test_path(dir), str_of(rows[i].slug), &p, &err), err);
        CHECK_STR(str_of(p->name), rows[i].is_called);
        CHECK_STR(str_of(p->destination_directory), "/a 'b' \xC3\xA9: # dir");
    }
}

static void test_new_project__what_is_refused_leaves_nothing(void)
{
    static const struct {
        const char *project, *name, *modalities, *directory, *says;
    } rows[] = {
        { "x", NULL, "XA", NULL, "'XA'" },
        { "x", NULL, "mr-difusion", NULL, "did you mean mr-diffusion" },
        { "x", NULL, "", NULL, "''" },
        { "x", NULL, "CT,", NULL, "''" },
        { "x", NULL, "us,CT", NULL, "stands alone" },
        { "x", NULL, "MR,US", NULL, "stands alone" },
        { " ", NULL, "CT", NULL, "1 to 200 bytes" },
        { "a\nb", NULL, "CT", NULL, "control" },
        { "x",
          "a\xE2\x80\xA8"
          "b",
          "CT", NULL, "control" },
        { "x",
          "a\xC2\x85"
          "b",
          "CT", NULL, "control" },
        { "x", "\xFF", "CT", NULL, "UTF-8" },
        { "\xE4\xBA\xAC\xE9\x83\xBD", NULL, "CT", NULL, "--name" },
        { "!?", NULL, "CT", NULL, "--name" },
        { "x", NULL, "CT", "srv", "absolute" },
        { "x", NULL, "CT", "/a\nb", "absolute" },
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct pixl_error err = { 0 };
        struct said s = { .n_new = 0 };
        const struct new_project new = { .project = str_of(rows[i].project),
                                         .name = str_of(rows[i].name),
                                         .modalities = str_of(rows[i].modalities),
                                         .directory = rows[i].directory };
        test_row("row %zu", i);
        CHECK(!new_project_write(test_path("c"), &new, say, &s, &err));
        CHECK_INT(err.code, PIXL_E_INVALID);
        if (!CHECK(strstr(err.msg, rows[i].says) != NULL))
            printf("    %s\n", err.msg);
        CHECK(s.n_new == 0 && !fs_exists(test_path("c")));
    }
}

static void test_new_project__what_is_there_stays(void)
{
    struct pixl_error err = { 0 };
    struct said s = { .n_new = 0 };
    struct arena a;
    struct new_project new = { .project = STR("one"), .modalities = STR("CT") };
    arena_init(&a, 8 << 20);
    REQUIRE_OK(new_project_write(test_dir(), &new, say, &s, &err), err);
    CHECK(s.n_new == 5 && s.n_kept == 0);
    struct str one = read_file(&a, "one.yaml");

    s = (struct said){ .n_new = 0 };
    CHECK_FAILS(new_project_write(test_dir(), &new, say, &s, &err), err, PIXL_E_EXISTS);
    CHECK(s.n_new == 0 && s.n_kept == 0 && str_eq(read_file(&a, "one.yaml"), one));

    new.project = STR("two");
    REQUIRE_OK(new_project_write(test_dir(), &new, say, &s, &err), err);
    CHECK(s.n_new == 1 && s.n_kept == 4);

    /* A list that somebody changed: nothing at all is written, and the message names it. */
    new.project = STR("three");
    new.modalities = STR("MR,CT");
    REQUIRE_OK(fs_write_whole(test_path("tag-operations/ct.yaml"), STR("mine"), 0600, &err), err);
    s = (struct said){ .n_new = 0 };
    CHECK(!new_project_write(test_dir(), &new, say, &s, &err));
    CHECK(err.code == PIXL_E_EXISTS && strstr(err.msg, "tag-operations/ct.yaml") != NULL && s.n_new == 0);
    pixl_error_clear(&err);
    CHECK_STR(read_file(&a, "tag-operations/ct.yaml"), "mine");
    CHECK(!fs_exists(test_path("three.yaml")) && !fs_exists(test_path("tag-operations/mr.yaml")));

    /* A link that leads nowhere is a name that is taken. */
    new.modalities = STR("MR");
    REQUIRE(symlink("nowhere", test_path("three.yaml")) == 0);
    CHECK_FAILS(new_project_write(test_dir(), &new, say, &s, &err), err, PIXL_E_EXISTS);
    arena_done(&a);
}

static void test_new_project__callers_may_choose(void)
{
    struct pixl_error err = { 0 };
    struct said s = { .n_new = 0 };
    project_auto *p = NULL;
    struct arena a;
    const struct new_project new = {
        .project = STR("p"), .modalities = STR("CT"), .extra_lists = "descriptions.yaml", .manufacturers = "^acme ^it's"
    };
    REQUIRE_OK(new_project_write(test_dir(), &new, say, &s, &err), err);
    REQUIRE_OK(project_load(test_dir(), STR("p"), &p, &err), err);
    CHECK_INT(p->n_manufacturers, 2);
    CHECK_STR(str_of(p->manufacturers[1].text), "^it's");
    arena_init(&a, 1 << 20);
    struct str text = read_file(&a, "p.yaml");
    CHECK(holds(text, "    - descriptions.yaml\n    # - patient.yaml"));
    arena_done(&a);
}

int main(int argc, char **argv)
{
    static const struct test_case tests[] = {
        TEST(test_shipped__files_are_those_of_the_source),
        TEST(test_new_project__every_modality_loads),
        TEST(test_new_project__words_are_lists_codes_and_both),
        TEST(test_new_project__names_and_slugs),
        TEST(test_new_project__what_is_refused_leaves_nothing),
        TEST(test_new_project__what_is_there_stays),
        TEST(test_new_project__callers_may_choose),
    };
    return test_main(argc, argv, tests, ARRAY_LEN(tests));
}
