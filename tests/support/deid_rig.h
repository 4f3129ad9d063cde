/* deid_rig.h - a project, a study and one instance at a time through the de-identifier, for tests of it.
 * The test fills in rules and, when it wants, other fields of `project` and `args` between rig_init() and rig_start().
 * Owns: what rig_done() frees.  Ends the test when something that must work does not. */
#ifndef PIXL_TEST_DEID_RIG_H
#define PIXL_TEST_DEID_RIG_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "deid/deid.h"
#include "dicom_build.h"
#include "dicom_check.h"
#include "test.h"

#define RULE(g, e, what)                                                                              \
    {                                                                                                 \
        .group = (g), .element = (e), .op = PROJECT_OP_##what, .file = "rules.yaml", .line = __LINE__ \
    }
#define RULE_OF(creator, g, e, what)                                                                               \
    {                                                                                                              \
        .group = (g), .element = (e), .op = PROJECT_OP_##what, .private_creator = (creator), .file = "rules.yaml", \
        .line = __LINE__                                                                                           \
    }

#define RIG_MRN   "MRN-4711-08"
#define RIG_STUDY "1.2.826.0.1.9.1"
#define RIG_SERIES "1.2.826.0.1.9.1.1"
#define RIG_SOP   "1.2.826.0.1.9.1.1.1"

struct rig {
    struct project project;
    struct project_manufacturer everybody;
    struct deid_study_args args;
    struct pseudonyms *pseudonyms;
    struct deid_policy *policy;
    struct deid_study *study;
    struct arena in_arena, out_arena;
    struct dicom_file in, out;
    struct buf bytes;            /* of what was emitted */
    struct deid_result res;
};

/* Given: pattern_free(). */
static inline struct pattern *rig_pattern(const char *text)
{
    struct pixl_error err = { 0 };
    struct pattern *p = NULL;
    REQUIRE_OK(pattern_new(str_of(text), &p, &err), err);
    return p;
}

static inline void rig_init(struct rig *r, const struct project_tag_rule *rules, size_t n)
{
    static const char *const modalities[] = { "CT", "MR" };
    struct pixl_error err = { 0 };
    secret_auto key = { 0 };
    secret_auto salt = { 0 };
    *r = (struct rig){ 0 };
    REQUIRE_OK(secret_set(&key, STR("test-key"), &err), err);
    REQUIRE_OK(secret_set(&salt, STR("a161577b49a9235a"), &err), err);
    REQUIRE_OK(pseudonyms_new(&key, &salt, STR("pixl_salt"), STR("rig"), &r->pseudonyms, &err), err);
    r->everybody = (struct project_manufacturer){ .pattern = rig_pattern(".*"), .text = ".*" };
    r->project = (struct project){
        .path = "rig.yaml",
        .name = "rig",
        .slug = STR("rig"),
        .modalities = modalities,
        .n_modalities = ARRAY_LEN(modalities),
        .min_instances_per_series = 2,
        .manufacturers = &r->everybody,
        .n_manufacturers = 1,
        .base_rules = rules,
        .n_base_rules = n,
    };
    r->args = (struct deid_study_args){ .mrn = phi_text(STR(RIG_MRN)), .study_uid = phi_text(STR(RIG_STUDY)) };
    arena_init(&r->in_arena, 256u << 20);
    arena_init(&r->out_arena, 256u << 20);
    buf_init(&r->bytes, 256u << 20);
}

static inline void rig_start(struct rig *r)
{
    struct pixl_error err = { 0 };
    REQUIRE_OK(deid_policy_new(&r->project, &r->policy, &err), err);
    r->args.policy = r->policy;
    r->args.pseudonyms = r->pseudonyms;
    REQUIRE_OK(deid_study_new(&r->args, &r->study, &err), err);
}

static inline void rig_done(struct rig *r)
{
    deid_study_free(r->study);
    deid_policy_free(r->policy);
    pseudonyms_free(r->pseudonyms);
    struct pattern *any = r->everybody.pattern;
    pattern_free(any);
    arena_done(&r->in_arena);
    arena_done(&r->out_arena);
    buf_done(&r->bytes);
}
#define rig_auto PIXL_CLEANUP(rig_done) struct rig

/* Parses, de-identifies, and parses what came out. */
static inline enum deid_verdict rig_run(struct rig *r, struct str bytes)
{
    struct pixl_error err = { 0 };
    arena_reset(&r->in_arena);
    arena_reset(&r->out_arena);
    buf_clear(&r->bytes);
    const struct dicom_source source = dicom_source_bytes(bytes.p, bytes.n);
    REQUIRE_OK(dicom_parse(&source, &DICOM_LIMITS_DEFAULT, &r->in_arena, &r->in, &err), err);
    REQUIRE_OK(deid_instance(r->study, &r->in, &r->in_arena, &r->res, &err), err);
    if (r->res.verdict != DEID_EMIT)
        return r->res.verdict;
    REQUIRE_OK(dcm_plan_collect(&r->res.plan, &r->in.source, &r->bytes, &err), err);
    CHECK_INT(r->bytes.n, r->res.plan.size_bytes);
    const struct dicom_source again = dicom_source_bytes(r->bytes.p, r->bytes.n);
    REQUIRE_OK(dicom_parse(&again, &DICOM_LIMITS_DEFAULT, &r->out_arena, &r->out, &err), err);
    const char *wrong = dcm_check_structure(&r->out);
    if (wrong != NULL)
        fprintf(stderr, "    structure: %s\n", wrong);
    CHECK(wrong == NULL);
    return DEID_EMIT;
}

/* The elements that every instance must have; before: called to add elements of a lower tag than the ones that
 * follow. */
static inline void rig_begin_syntax(struct dcm *d, const char *transfer_syntax)
{
    dcm_begin_syntax(d, transfer_syntax, DCM_CT_IMAGE_STORAGE, RIG_SOP);
    dcm_text(d, DICOM_SOP_CLASS_UID, DICOM_VR_UI, DCM_CT_IMAGE_STORAGE);
    dcm_text(d, DICOM_SOP_INSTANCE_UID, DICOM_VR_UI, RIG_SOP);
    dcm_text(d, DICOM_MODALITY, DICOM_VR_CS, "CT");
    dcm_text(d, DICOM_MANUFACTURER, DICOM_VR_LO, "ACME");
}
static inline void rig_begin(struct dcm *d, bool is_explicit)
{
    rig_begin_syntax(d, is_explicit ? DCM_EXPLICIT_LE : DCM_IMPLICIT_LE);
}
static inline void rig_patient(struct dcm *d)
{
    dcm_text(d, DICOM_PATIENT_NAME, DICOM_VR_PN, "Zimmermann^Aloysia^Q");
    dcm_text(d, DICOM_PATIENT_ID, DICOM_VR_LO, RIG_MRN);
    dcm_text(d, DICOM_PATIENT_BIRTH_DATE, DICOM_VR_DA, "19700131");
}
static inline void rig_uids(struct dcm *d)
{
    dcm_text(d, DICOM_STUDY_UID, DICOM_VR_UI, RIG_STUDY);
    dcm_text(d, DICOM_SERIES_UID, DICOM_VR_UI, RIG_SERIES);
}

/* The same instance with letters in the two bytes that a long header has to spare, at every depth.  *n: how many headers
 * have.  Given: free(). */
static inline char *rig_fill_reserved(const struct dcm *d, size_t *n)
{
    struct pixl_error err = { 0 };
    struct arena a;
    struct dicom_file f;
    char *copy = malloc(dcm_size(d));
    REQUIRE(copy != NULL);
    memcpy(copy, dcm_bytes_of(d), dcm_size(d));
    arena_init(&a, 64u << 20);
    const struct dicom_source source = dicom_source_bytes(copy, dcm_size(d));
    REQUIRE_OK(dicom_parse(&source, &DICOM_LIMITS_DEFAULT, &a, &f, &err), err);
    *n = 0;
    for (uint32_t i = 0; i < f.n_elements; i++)
        if (f.elements[i].value_offset - f.elements[i].offset == 12) {
            memcpy(copy + f.elements[i].offset + 6, "ZQ", 2);
            ++*n;
        }
    arena_done(&a);
    return copy;
}

/* A value of what came out, found by the path of tags (0: end); "<none>" when it is absent. Items are always the
 * first. */
static inline struct str rig_value(struct rig *r, const uint32_t *path)
{
    uint32_t item = DICOM_NO_PARENT;
    for (;; path++) {
        int64_t i = dicom_find(&r->out, item, *path);
        if (i < 0)
            return STR("<none>");
        const struct dicom_element *e = &r->out.elements[i];
        if (path[1] == 0) {
            struct pixl_error err = { 0 };
            struct str v;
            if (e->flags & DICOM_IS_SEQUENCE)
                return STR("<sequence>");
            REQUIRE_OK(dicom_value(&r->out, (uint32_t)i, &v, &err), err);
            return v;
        }
        if (e->end == (uint32_t)i + 1)
            return STR("<no item>");
        item = (uint32_t)i + 1;
    }
}
#define VALUE(r, ...) rig_value((r), (const uint32_t[]){ __VA_ARGS__, 0 })
#define TEXT(r, ...) str_trim(dicom_uid_trim(VALUE(r, __VA_ARGS__)))

#endif
