/* The lists that come with pixl, rule by rule, against the dictionary and PS3.15 Table E.1-1. */
#include "config/shipped.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fs.h"
#include "config/new_project.h"
#include "config/project.h"
#include "deid/policy.h"
#include "deid/profile.h"
#include "dicom/tag.h"
#include "test.h"

/* What is kept although the basic profile would not have it so, and why it may.  Complete: a test says so both ways. */
static const struct exception {
    const char *list;
    uint32_t tag;
    const char *why;
} exceptions[] = {
    { "descriptions.yaml", 0x00081030, "which study is which; the residue check reads it" },
    { "descriptions.yaml", 0x0008103E, "which series is which; the residue check reads it" },
    { "descriptions.yaml", 0x00180010, "which contrast medium; the residue check reads it" },
    { "patient.yaml", 0x00100040, "sex: option 113108" },
    { "patient.yaml", 0x00101010, "age: option 113108" },
    { "patient.yaml", 0x00101020, "size: option 113108" },
    { "patient.yaml", 0x00101030, "weight: option 113108" },
    { "pet.yaml", 0x00080031, "decay of the tracer: a time of day, no date" },
    { "pet.yaml", 0x00080032, "decay of the tracer: a time of day, no date" },
    { "pet.yaml", 0x00181072, "decay of the tracer: a time of day, no date" },
    { "pet.yaml", 0x00100040, "uptake by lean mass: option 113108" },
    { "pet.yaml", 0x00101020, "uptake by surface: option 113108" },
    { "pet.yaml", 0x00101030, "uptake by weight: option 113108" },
    { "rt.yaml", 0x30060026, "which organ a contour is; the residue check reads it" },
};

/* UIDs that name a class or a vocabulary of the standard, not something of a patient's. */
static bool names_no_instance(uint32_t tag)
{
    return tag == 0x00080016 || tag == 0x00081150 || tag == 0x0008010C || tag == 0x00080117;
}

/* A project of these lists alone (of tag-operations/), joined by ", ". */
static void load(const char *lists, struct project **out)
{
    struct pixl_error err = { 0 };
    size_t n;
    const struct shipped_file *files = shipped_files(&n);
    buf_auto b;
    REQUIRE_OK(fs_make_dirs(test_path("tag-operations"), 0700, &err), err);
    REQUIRE_OK(fs_make_dirs(test_path("image-operations"), 0700, &err), err);
    for (size_t i = 0; i < n; i++)
        REQUIRE_OK(fs_write_whole(test_path(files[i].path), files[i].text, 0600, &err), err);
    buf_init(&b, 4096);
    (void)buf_addf(&b,
                   "project: {name: p, modalities: [CT]}\ntag_operation_files: {base: [%s]}\n"
                   "destination: {dicom: none, parquet: none}\n",
                   lists);
    REQUIRE_OK(fs_write_whole(test_path("p.yaml"), buf_str(&b), 0600, &err), err);
    REQUIRE_OK(project_load(test_dir(), STR("p"), out, &err), err);
}

/* Calls each() for every rule of every list. */
static void each_rule(void (*each)(const char *list, struct str text, const struct project_tag_rule *r, void *ctx),
                      void *ctx)
{
    size_t n, rules = 0;
    const struct shipped_file *files = shipped_files(&n);
    for (size_t i = 0; i < n; i++) {
        project_auto *p = NULL;
        const char *slash = strchr(files[i].path, '/');
        if (strncmp(files[i].path, "tag-operations/", 15) != 0)
            continue;
        load(slash + 1, &p);
        for (size_t k = 0; k < p->n_base_rules; k++) {
            const struct project_tag_rule *r = &p->base_rules[k];
            test_row("%s:%d (%04X,%04X)", r->file, r->line, r->group, r->element);
            each(slash + 1, files[i].text, r, ctx);
            rules++;
        }
    }
    CHECK(rules > 1000);
}

static struct str line_of(struct str text, int line)
{
    struct str one = { 0 };
    for (int i = 0; i < line; i++)
        (void)str_split(text, '\n', &one, &text);
    return one;
}

static uint32_t tag_of(const struct project_tag_rule *r)
{
    return DICOM_TAG(r->group, r->element);
}

static void check_name(const char *list, struct str text, const struct project_tag_rule *r, void *ctx)
{
    (void)list;
    (void)text;
    (void)ctx;
    if (r->private_creator != NULL) {
        CHECK(r->op == PROJECT_OP_KEEP && r->name != NULL);
        return;
    }
    CHECK(!dicom_tag_is_private(tag_of(r)));
    const struct dicom_dict_entry *d = dicom_dict_find(tag_of(r));
    if (CHECK(d != NULL))
        CHECK_STR(str_of(r->name), d->keyword);
}

static void test_shipped__names_are_the_dictionarys(void)
{
    each_rule(check_name, NULL);
}

/* No person, day or bytes of unknown meaning is kept; UIDs are mapped; a text that is kept says why in its line. */
static void check_kept(const char *list, struct str text, const struct project_tag_rule *r, void *ctx)
{
    const struct dicom_dict_entry *d = dicom_dict_find(tag_of(r));
    (void)list;
    (void)ctx;
    if (r->op != PROJECT_OP_KEEP || d == NULL || tag_of(r) == DICOM_PIXEL_DATA)
        return;
    switch (d->vr) {
    case DICOM_VR_PN:
    case DICOM_VR_DA:
    case DICOM_VR_DT:
    case DICOM_VR_OB:
    case DICOM_VR_UN:
    case DICOM_VR_ST:
    case DICOM_VR_LT:
    case DICOM_VR_UT:
    case DICOM_VR_AE: CHECK(r->op != PROJECT_OP_KEEP); break;
    case DICOM_VR_UI: CHECK(names_no_instance(tag_of(r))); break;
    case DICOM_VR_LO:
    case DICOM_VR_SH:
    case DICOM_VR_UC:
    case DICOM_VR_UR:
    case DICOM_VR_TM:
    case DICOM_VR_AS: {
        struct str line = line_of(text, r->line);
        CHECK(memmem(line.p, line.n, "}  # ", 5) != NULL);
        break;
    }
    default: break;
    }
}

static void test_shipped__what_is_kept_is_no_person_no_day_no_instance(void)
{
    each_rule(check_kept, NULL);
}

static bool is_against_profile(const struct project_tag_rule *r)
{
    const struct profile_row *row = profile_find(tag_of(r));
    return r->op == PROJECT_OP_KEEP && r->private_creator == NULL && row != NULL &&
           row->action != PROFILE_XZU; /* may stay, as base.yaml maps the UIDs inside */
}

static void check_exception(const char *list, struct str text, const struct project_tag_rule *r, void *ctx)
{
    bool *used = ctx, is_listed = false;
    (void)text;
    if (!is_against_profile(r))
        return;
    for (size_t i = 0; i < ARRAY_LEN(exceptions); i++)
        if (exceptions[i].tag == tag_of(r) && strcmp(exceptions[i].list, list) == 0)
            is_listed = used[i] = true;
    CHECK(is_listed);
}

static void test_shipped__every_exception_from_the_profile_is_named(void)
{
    bool used[ARRAY_LEN(exceptions)] = { false };
    each_rule(check_exception, used);
    for (size_t i = 0; i < ARRAY_LEN(exceptions); i++) {
        test_row("%s %08X: %s", exceptions[i].list, (unsigned)exceptions[i].tag, exceptions[i].why);
        CHECK(used[i]);
    }
}

static void test_shipped__which_lists_satisfy_the_basic_profile(void)
{
    static const struct {
        const char *lists;
        bool is_basic;
    } rows[] = {
        { "base.yaml", true },
        { "base.yaml, ct.yaml", true },
        { "base.yaml, mr.yaml", true },
        { "base.yaml, xray.yaml", true },
        { "base.yaml, us.yaml", true },
        { "base.yaml, ct.yaml, mr.yaml, xray.yaml, us.yaml", true },
        { "base.yaml, mr.yaml, mr-diffusion.yaml", false }, /* private data */
        { "base.yaml, pet.yaml", false },
        { "base.yaml, rt.yaml", false },
        { "base.yaml, ct.yaml, descriptions.yaml", false },
        { "base.yaml, ct.yaml, patient.yaml", false },
        { "ct.yaml", false }, /* nothing names what must be replaced */
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        project_auto *p = NULL;
        struct deid_policy *policy = NULL;
        struct pixl_error err = { 0 };
        test_row("%s", rows[i].lists);
        load(rows[i].lists, &p);
        REQUIRE_OK(deid_policy_new(p, &policy, &err), err);
        CHECK_INT(deid_policy_is_basic_profile(policy), rows[i].is_basic);
        deid_policy_free(policy);
    }
}

/* Whoever switches patient.yaml on gets what it says, and nothing is a warning. */
static void note(void *ctx, const char *warning)
{
    size_t *n = ctx;
    *n += strstr(warning, "names the patient") != NULL;
}

static void test_shipped__no_list_names_the_patient(void)
{
    size_t n = 0, warnings = 0;
    const struct shipped_file *files = shipped_files(&n);
    for (size_t i = 0; i < n; i++) {
        project_auto *p = NULL;
        if (strncmp(files[i].path, "tag-operations/", 15) != 0)
            continue;
        load(files[i].path + 15, &p);
        deid_policy_warn(p, note, &warnings);
    }
    CHECK_INT(warnings, 0);
}

int main(int argc, char **argv)
{
    static const struct test_case tests[] = {
        TEST(test_shipped__names_are_the_dictionarys),
        TEST(test_shipped__what_is_kept_is_no_person_no_day_no_instance),
        TEST(test_shipped__every_exception_from_the_profile_is_named),
        TEST(test_shipped__which_lists_satisfy_the_basic_profile),
        TEST(test_shipped__no_list_names_the_patient),
    };
    return test_main(argc, argv, tests, ARRAY_LEN(tests));
}
