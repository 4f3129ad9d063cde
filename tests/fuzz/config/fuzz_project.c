/* Bytes as a project file, and as each of the files that a good project names.  Whatever they hold: a project that
 * keeps its promises, or a problem with a text. */
#include "config/project_internal.h"

#include <stdlib.h>
#include <string.h>

struct input {
    struct str project, base, overrides, recipe;
};

static bool read_input(void *ctx, struct arena *a, const char *path, struct str *out, struct pixl_error *err)
{
    const struct input *in = ctx;
    bool is_project = strcmp(path, "/c/study-one.yaml") == 0, is_base = strcmp(path, "/c/tag-operations/x.yaml") == 0;
    bool is_recipe = strcmp(path, "/c/image-operations/r.deid") == 0;
    *out = arena_str(a, is_project ? in->project : is_base ? in->base : is_recipe ? in->recipe : in->overrides);
    return out->p != NULL || pixl_fail(err, PIXL_E_NOMEM, 0, "out of memory");
}

static void require(bool ok)
{
    if (!ok)
        abort();
}

static void check_rules(const struct project_tag_rule *rules, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        require(rules[i].op < PROJECT_OP_COUNT && rules[i].file != NULL && rules[i].line > 0);
        require(rules[i].private_creator == NULL || rules[i].group % 2 == 1);
    }
}

static void check_project(const struct project *p)
{
    require(p->n_modalities > 0 && p->n_base_rules > 0 && str_eq(p->slug, STR("study-one")));
    require(p->secrets_prefix.n > 0 && p->min_instances_per_series >= 0);
    for (size_t i = 0; i < p->n_series_filters; i++)
        require(p->series_filters[i][0] != '\0');
    for (size_t i = 0; i < p->n_manufacturers; i++)
        require(p->manufacturers[i].pattern != NULL);
    check_rules(p->base_rules, p->n_base_rules);
    for (size_t i = 0; i < p->n_overrides; i++) {
        bool matches = false;
        struct pixl_error err = { 0 };
        bool ok = pattern_search(p->overrides[i].manufacturer, STR("GE MEDICAL SYSTEMS"), &matches, &err);
        require(ok == (err.code == PIXL_OK) && p->overrides[i].n_rules > 0);
        check_rules(p->overrides[i].rules, p->overrides[i].n_rules);
    }
}

static void run(struct input *in)
{
    struct project_files files = { in, read_input };
    struct problems ps = { 0 };
    struct pixl_error err = { 0 };
    project_auto *p = project_read(&files, "/c/study-one.yaml", &ps);
    require((p != NULL) == problems_none(&ps, &err));
    require((p != NULL) == (err.msg[0] == '\0'));
    if (p != NULL)
        check_project(p);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct str bytes = { (const char *)data, size }, base = STR("- {group: 0x0010, element: 0x0020, op: keep}\n"),
        project = STR("project: {name: Study One, modalities: [CT]}\n"
                      "tag_operation_files: {base: [x.yaml], manufacturer_overrides: o.yaml}\n"
                      "image_operation_files: {deid_recipes: [r.deid]}\n"
                      "destination: {dicom: none, parquet: none}\n"),
        overrides = STR("- {manufacturer: ^ge, tags: [{group: 0x0019, element: 0x100C, op: keep}]}\n"),
        recipe = STR("keep: SequenceOfUltrasoundRegions\n");
    run(&(struct input){ bytes, base, overrides, recipe });
    run(&(struct input){ project, bytes, overrides, recipe });
    run(&(struct input){ project, base, bytes, recipe });
    run(&(struct input){ project, base, overrides, bytes });
    return 0;
}
