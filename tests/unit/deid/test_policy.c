#include "deid/policy.h"

#include <string.h>

#include "deid/profile.h"
#include "deid_rig.h"

static void test_policy__refuses_rules_that_cannot_be_applied(void)
{
    static const struct { struct project_tag_rule rule; const char *says; } rows[] = {
        { RULE(0x0008, 0x0060, SECURE_HASH), "LO or SH" },
        { RULE(0x0010, 0x0010, SECURE_HASH), "LO or SH" },
        { RULE(0x0010, 0x0020, SECURE_HASH), NULL },
        { RULE(0x0008, 0x0050, SECURE_HASH), NULL },
        { RULE(0x0019, 0x1001, SECURE_HASH), NULL },
        { RULE(0x0010, 0x0020, REPLACE_UID), "VR UI" },
        { RULE(0x0019, 0x1001, REPLACE_UID), NULL },
        { RULE(0x0002, 0x0016, KEEP), "made afresh" },
        { RULE(0x0008, 0x0005, DELETE), "character set" },
        { RULE(0x0008, 0x0018, KEEP), "pseudonyms" },
        { RULE(0x0020, 0x000D, DELETE), "pseudonyms" },
        { RULE(0x0020, 0x000E, REPLACE), NULL },
        { RULE(0x0019, 0x0010, REPLACE), "kept or deleted" },
        { RULE_OF("X", 0x0018, 0x01, KEEP), "even group" },
        { RULE_OF("X", 0x0019, 0x1010, REPLACE), NULL },
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        for (int in_override = 0; in_override < 2; in_override++) {
            test_row("row %zu%s", i, in_override ? " as an override" : "");
            struct project_override o = { .rules = &rows[i].rule, .n_rules = 1 };
            struct project p = { .base_rules = &rows[i].rule,
                                 .n_base_rules = !in_override,
                                 .overrides = &o,
                                 .n_overrides = (size_t)in_override };
            struct pixl_error err = { 0 };
            struct deid_policy *d = NULL;
            bool ok = deid_policy_new(&p, &d, &err);
            CHECK_INT(ok, rows[i].says == NULL);
            if (!ok)
                CHECK(err.code == PIXL_E_INVALID && strstr(err.msg, rows[i].says) && strstr(err.msg, "rules.yaml:"));
            deid_policy_free(d);
        }
}

static const struct project_tag_rule pixels_kept = RULE(0x7FE0, 0x0010, KEEP);

/* With a recipe for pixels, pixels are kept, and none that it does not clean. */
static void test_policy__a_recipe_wants_pixels_that_it_cleans(void)
{
    static const char *const recipes[] = { "us.recipe" };
    static const struct {
        struct project_tag_rule more;
        const char *says;
    } rows[] = {
        { RULE(0x7FE0, 0x0010, KEEP), NULL },
        { RULE(0x7FE0, 0x0010, DELETE), "no rule keeps Pixel Data" },
        { RULE(0x7FE0, 0x0010, REPLACE), "no rule keeps Pixel Data" },
        { RULE(0x7FE0, 0x0001, KEEP), NULL },
        { RULE(0x7FE0, 0x0008, KEEP), "(7FE0,0008) keep: image operations clean" },
        { RULE(0x7FE0, 0x0009, KEEP), "(7FE0,0009) keep: image operations clean" },
        { RULE(0x6000, 0x3000, KEEP), "(6000,3000) keep: image operations clean" },
        { RULE(0x601E, 0x3000, KEEP), "(601E,3000) keep: image operations clean" },
        { RULE(0x6000, 0x3000, DELETE), NULL },
        { RULE(0x6000, 0x3000, REPLACE), NULL },
        { RULE(0x6000, 0x0010, KEEP), NULL },
        { RULE(0x7F00, 0x0010, KEEP), "(7F00,0010) keep: image operations clean" },
        { RULE_OF("ACME MOVIE", 0x7FE1, 0x10, KEEP), "(7FE1,0010) keep: image operations clean" },
        { RULE_OF("ACME MOVIE", 0x0019, 0x10, KEEP), NULL },
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        for (int in_override = 0; in_override < 2; in_override++) {
            test_row("%zu, override %d", i, in_override);
            bool is_pixels = rows[i].more.group == 0x7FE0 && rows[i].more.element == 0x0010;
            if (in_override && is_pixels)
                continue; /* for one maker: its instances are refused */
            const struct project_tag_rule rules[] = { is_pixels ? rows[i].more : pixels_kept, rows[i].more };
            struct project_override o = { .rules = &rows[i].more, .n_rules = 1 };
            struct project p = { .base_rules = rules,
                                 .n_base_rules = in_override ? 1 : 2,
                                 .overrides = &o,
                                 .n_overrides = (size_t)in_override,
                                 .deid_recipes = recipes,
                                 .n_deid_recipes = 1 };
            struct pixl_error err = { 0 };
            struct deid_policy *d = NULL;
            if (!CHECK_INT(deid_policy_new(&p, &d, &err), rows[i].says == NULL))
                printf("    %s\n", err.msg);
            if (d == NULL)
                CHECK(err.code == PIXL_E_INVALID && strstr(err.msg, rows[i].says) != NULL);
            deid_policy_free(d);
            p.n_deid_recipes = 0; /* without it all of them are somebody's business */
            d = NULL;
            pixl_error_clear(&err);
            CHECK_OK(deid_policy_new(&p, &d, &err), err);
            deid_policy_free(d);
        }
}

/* A project that does just what the table asks; how: 0 the strictest, else row `broken` is kept. */
static size_t profile_rules(struct project_tag_rule *rules, size_t cap, uint32_t kept)
{
    size_t n_rows, n = 0;
    const struct profile_row *rows = profile_rows(&n_rows);
    for (size_t i = 0; i < n_rows; i++) {
        if (rows[i].mask != 0xFFFFFFFFu || DICOM_GROUP(rows[i].tag) < 8 || n == cap)
            continue;
        enum project_tag_op op = PROJECT_OP_DELETE;
        if (rows[i].action == PROFILE_Z || rows[i].action == PROFILE_D || rows[i].action == PROFILE_ZD)
            op = PROJECT_OP_REPLACE;
        if (rows[i].action == PROFILE_U)
            op = dicom_dict_vr(rows[i].tag) == DICOM_VR_UI ? PROJECT_OP_REPLACE_UID : PROJECT_OP_REPLACE;
        if (rows[i].tag == kept)
            op = PROJECT_OP_KEEP;
        rules[n++] = (struct project_tag_rule){ .group = DICOM_GROUP(rows[i].tag),
                                                .element = DICOM_ELEMENT_OF(rows[i].tag),
                                                .op = op };
    }
    return n;
}

static bool is_basic(const struct project *p)
{
    struct pixl_error err = { 0 };
    struct deid_policy *d = NULL;
    REQUIRE_OK(deid_policy_new(p, &d, &err), err);
    bool basic = deid_policy_is_basic_profile(d);
    deid_policy_free(d);
    return basic;
}

static void test_policy__the_table_itself_satisfies_the_basic_profile(void)
{
    static struct project_tag_rule rules[1024];
    struct project p = { .base_rules = rules, .n_base_rules = profile_rules(rules, ARRAY_LEN(rules) - 1, 0) };
    CHECK(p.n_base_rules > 600);
    CHECK(is_basic(&p));
}

static void test_policy__one_retained_attribute_breaks_the_basic_profile(void)
{
    static struct project_tag_rule rules[1024];
    size_t n_rows, checked = 0;
    const struct profile_row *rows = profile_rows(&n_rows);
    for (size_t i = 0; i < n_rows; i++) {
        uint32_t tag = rows[i].tag;
        if (rows[i].mask != 0xFFFFFFFFu || DICOM_GROUP(tag) < 8 || rows[i].action == PROFILE_XZU ||
            tag == DICOM_STUDY_UID || tag == DICOM_SERIES_UID || tag == DICOM_SOP_INSTANCE_UID)
            continue;
        struct project p = { .base_rules = rules, .n_base_rules = profile_rules(rules, ARRAY_LEN(rules) - 1, tag) };
        test_row("(%04X,%04X)", DICOM_GROUP(tag), DICOM_ELEMENT_OF(tag));
        CHECK(!is_basic(&p));
        checked++;
    }
    CHECK(checked > 600);
}

static void test_policy__private_overlay_and_overrides_count_too(void)
{
    static struct project_tag_rule rules[1024];
    static const struct project_tag_rule rows[] = {
        RULE(0x6002, 0x3000, KEEP),          RULE(0x5000, 0x0005, KEEP), RULE(0x0019, 0x1001, KEEP),
        RULE_OF("X", 0x0019, 0x01, REPLACE), RULE(0x0010, 0x1010, KEEP),
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        for (int in_override = 0; in_override < 2; in_override++) {
            test_row("(%04X,%04X) %d", rows[i].group, rows[i].element, in_override);
            size_t n = profile_rules(rules, ARRAY_LEN(rules) - 1, 0);
            if (!in_override)
                rules[n++] = rows[i];
            struct project_override o = { .rules = &rows[i], .n_rules = 1 };
            struct project p = {
                .base_rules = rules, .n_base_rules = n, .overrides = &o, .n_overrides = (size_t)in_override
            };
            CHECK(!is_basic(&p));
        }
}

static void test_policy__the_basic_profile_is_marked(void)
{
    static struct project_tag_rule rules[1024];
    rig_auto r;
    rig_init(&r, rules, profile_rules(rules, ARRAY_LEN(rules) - 1, 0));
    rig_start(&r);
    struct dcm d;
    rig_begin(&d, true);
    rig_patient(&d);
    rig_uids(&d);
    REQUIRE(rig_run(&r, dcm_str(&d)) == DEID_EMIT);
    CHECK_STR(TEXT(&r, DICOM_DEIDENTIFICATION_METHOD_CODES, 0x00080100), "113100");
    CHECK_STR(TEXT(&r, DICOM_DEIDENTIFICATION_METHOD_CODES, 0x00080102), "DCM");
    dcm_done(&d);
}

int main(int argc, char **argv)
{
    static const struct test_case tests[] = {
        TEST(test_policy__refuses_rules_that_cannot_be_applied),
        TEST(test_policy__a_recipe_wants_pixels_that_it_cleans),
        TEST(test_policy__the_table_itself_satisfies_the_basic_profile),
        TEST(test_policy__one_retained_attribute_breaks_the_basic_profile),
        TEST(test_policy__private_overlay_and_overrides_count_too),
        TEST(test_policy__the_basic_profile_is_marked),
    };
    return test_main(argc, argv, tests, ARRAY_LEN(tests));
}
