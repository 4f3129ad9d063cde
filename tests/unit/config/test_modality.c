#include "config/modality.h"
#include "config/project.h"
#include "config/shipped.h"
#include "test.h"

#include <string.h>

#include "base/fs.h"

static void test_modality__known_words_and_near_ones(void)
{
    static const struct {
        const char *word;
        bool is_defined;
        const char *hint;
    } rows[] = {
        { "CT", true, "" },
        { "RTSTRUCT", true, "" },
        { "XAPROTOCOL", true, "" },
        { "CD", true, "" },
        { "MS", true, "" },
        { "CTX", false, "CT" },
        { "MRI", false, "MR" },
        { "XCT", false, "CT" },
        { "RTSTRUC", false, "RTSTRUCT" },
        { "RTDOSES", false, "RTDOSE" },
        { "ULTRASOUND", false, NULL },
        { "XYZ9", false, NULL },
        { "", false, NULL },
        { "ct", false, "CT" },
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        char hint[64] = "";
        test_row("%s", rows[i].word);
        CHECK(modality_is_defined(str_of(rows[i].word)) == rows[i].is_defined);
        if (rows[i].hint != NULL)
            (void)snprintf(hint, sizeof hint, "; did you mean %s?", rows[i].hint);
        if (!rows[i].is_defined)
            CHECK_STR(str_of(modality_hint(str_of(rows[i].word)).text), hint);
    }
}

static void test_modality__what_is_shipped_is_defined(void)
{
    size_t n;
    const struct shipped_modality *all = shipped_modalities(&n);
    for (size_t i = 0; i < n; i++) {
        struct str rest = str_of(all[i].codes), code;
        for (bool more = true; more;) {
            more = str_split(rest, ' ', &code, &rest);
            test_row("%.*s", STR_ARG(code));
            CHECK(modality_is_defined(code));
        }
    }
}

struct told {
    int n;
    char text[2][300];
};

static void note(void *ctx, const char *warning)
{
    struct told *t = ctx;
    if (t->n < 2)
        (void)snprintf(t->text[t->n], sizeof t->text[0], "%s", warning);
    t->n++;
}

static void test_project_warn__names_the_line(void)
{
    struct pixl_error err = { 0 };
    project_auto *p = NULL;
    struct told told = { 0 };
    REQUIRE_OK(fs_make_dirs(test_path("tag-operations"), 0700, &err), err);
    REQUIRE_OK(fs_write_whole(test_path("tag-operations/base.yaml"),
                              STR("- {group: 0x0008, element: 0x0060, op: keep}\n"), 0600, &err),
               err);
    REQUIRE_OK(fs_write_whole(test_path("study.yaml"),
                              STR("project:\n  name: Study\n  modalities:\n    - CT\n    - CTX\n    - QQQQ\n"
                                  "    - EC\ntag_operation_files: {base: [base.yaml], manufacturer_overrides: null}\n"
                                  "destination: {dicom: none, parquet: none}\n"),
                              0600, &err),
               err);
    REQUIRE_OK(project_load_file(test_path("study.yaml"), &p, &err), err);
    project_warn(p, note, &told);
    CHECK_INT(told.n, 2);
    CHECK_STR(str_of(told.text[0]),
              "study.yaml:5: warning: project.modalities: CTX is no modality that DICOM defines; did you mean CT?");
    CHECK_STR(str_of(told.text[1]),
              "study.yaml:6: warning: project.modalities: QQQQ is no modality that DICOM defines");
}

int main(int argc, char **argv)
{
    static const struct test_case tests[] = {
        TEST(test_modality__known_words_and_near_ones),
        TEST(test_modality__what_is_shipped_is_defined),
        TEST(test_project_warn__names_the_line),
    };
    return test_main(argc, argv, tests, ARRAY_LEN(tests));
}
