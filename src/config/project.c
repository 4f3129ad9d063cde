#include "project.h"

#include <assert.h>
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fs.h"
#include "base/slug.h"
#include "base/upper.h"
#include "modality.h"
#include "nearest.h"
#include "project_internal.h"

enum {
    ARENA_BYTES_MAX = 64 * 1024 * 1024,
    SCRATCH_BYTES_MAX = 256 * 1024 * 1024,
    MIN_INSTANCES_DEFAULT = 2,
    MODALITY_BYTES_MAX = 16,            /* value representation CS */
};

struct project_pattern {
    struct project_pattern *next;
    struct pattern *pattern;
};

/* ---- helpers of both halves ---- */

const char *project_keep(struct project_loader *l, struct str s)
{
    const char *p = arena_str(l->arena, s).p;
    if (p == NULL)
        (void)problem_nomem(l->ps);
    return p;
}

struct pattern *project_compile(struct project_loader *l, const struct yaml_node *node, const char *what,
                                struct str text)
{
    struct pixl_error err = { 0 };
    struct project_pattern *link = arena_alloc(l->arena, sizeof *link);
    if (link == NULL) {
        (void)problem_nomem(l->ps);
        return NULL;
    }
    if (!pattern_new(text, &link->pattern, &err)) {
        (void)problem_of(l->ps, err.code, node->at, "%s: %s", what, err.msg);
        return NULL;
    }
    link->next = l->in->patterns;
    l->in->patterns = link;
    return link->pattern;
}

const struct yaml_node *project_require(struct project_loader *l, const struct yaml_node *map, const char *what,
                                        const char *key)
{
    const struct yaml_node *node = yaml_find(map, key);
    if (node == NULL)
        (void)problem_at(l->ps, map->at, "%s%s%s is missing", what, what[0] ? "." : "", key);
    return node;
}

/* A list of texts as the project keeps them. */
static bool take_texts(struct project_loader *l, const struct yaml_node *list, const char *what,
                       const char *const **out, size_t *n_out)
{
    if (!yaml_check_list(list, what, l->ps))
        return false;
    const char **texts = arena_calloc(l->arena, list->n, sizeof *texts);
    if (texts == NULL)
        return problem_nomem(l->ps);
    size_t n = 0;
    bool ok = true;
    for (const struct yaml_node *item = list->first; item != NULL; item = item->next) {
        struct str s;
        if (!yaml_take_text(item, what, &s, l->ps)) {
            ok = false;
            continue;
        }
        texts[n] = project_keep(l, s);
        if (texts[n++] == NULL)
            return false;
    }
    *out = texts;
    *n_out = n;
    return ok;
}

/* ---- project ---- */

static struct str stem_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    struct str name = str_of(slash ? slash + 1 : path);
    return (struct str){ name.p, name.n - (sizeof ".yaml" - 1) };
}

static bool take_slug(struct project_loader *l, const struct yaml_node *name, const struct yaml_node *slug_node)
{
    struct project *p = &l->in->pub;
    struct str slug, stem = stem_of(p->path);
    struct pixl_error err = { 0 };
    const struct yaml_node *from = slug_node ? slug_node : name;
    if (slug_node != NULL) {
        if (!yaml_take_text(slug_node, "project.slug", &slug, l->ps))
            return false;
        if (!slug_is_valid(slug))
            return problem_at(l->ps, slug_node->at, "project.slug: '%s' is no slug (small letters, digits, single '-')",
                              problem_show(slug).text);
    } else if (!slug_make(l->arena, str_of(p->name), &slug, &err)) {
        if (err.code == PIXL_E_NOMEM)
            return problem_nomem(l->ps);
        return problem_at(l->ps, name->at, "project.name: %s; give a project.slug", err.msg);
    }
    if (!str_eq(slug, stem))
        return problem_at(l->ps, from->at, "%s is '%s', but the file is %.*s.yaml",
                          slug_node ? "project.slug" : "the slug of project.name", problem_show(slug).text,
                          STR_ARG(stem));
    p->slug = arena_str(l->arena, slug);
    p->secrets_prefix = p->slug;
    return p->slug.p != NULL || problem_nomem(l->ps);
}

static bool take_alias(struct project_loader *l, const struct yaml_node *node)
{
    struct str s;
    if (!yaml_take_path(node, "project.azure_kv_alias", &s, l->ps))
        return false;
    for (size_t i = 0; i < s.n; i++)
        if (!isalnum((unsigned char)s.p[i]) && s.p[i] != '-')
            return problem_at(l->ps, node->at,
                              "project.azure_kv_alias: names of secrets hold letters, digits and '-' only");
    l->in->pub.secrets_prefix = arena_str(l->arena, s);
    return l->in->pub.secrets_prefix.p != NULL || problem_nomem(l->ps);
}

/* Modality (0008,0060) is compared letter by letter, so that what cannot stand there is a mistake here. */
static bool check_modality(struct project_loader *l, const struct yaml_node *item)
{
    struct str s;
    if (!yaml_take_text(item, "project.modalities", &s, l->ps))
        return false;
    bool good = s.n <= MODALITY_BYTES_MAX && s.p[0] != ' ' && s.p[s.n - 1] != ' ';
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        good = good && (isupper(c) || isdigit(c) || c == '_' || c == ' ');
    }
    return good || problem_at(l->ps, item->at, "project.modalities: '%s' can never match; a modality has up to %d "
                              "capitals, digits, '_' or blanks", problem_show(s).text, MODALITY_BYTES_MAX);
}

static bool take_modalities(struct project_loader *l, const struct yaml_node *list)
{
    if (!yaml_check_list(list, "project.modalities", l->ps))
        return false;
    if (list->n == 0)
        return problem_at(l->ps, list->at, "project.modalities: at least one is needed");
    bool ok = true;
    int *lines = arena_calloc(l->arena, list->n, sizeof *lines);
    size_t n = 0;
    if (lines == NULL)
        return problem_nomem(l->ps);
    for (const struct yaml_node *item = list->first; item != NULL; item = item->next) {
        ok = check_modality(l, item) && ok;
        lines[n++] = item->at.line;
    }
    l->in->pub.modality_lines = lines;
    return ok && take_texts(l, list, "project.modalities", &l->in->pub.modalities, &l->in->pub.n_modalities);
}

void project_warn(const struct project *p, void (*say)(void *ctx, const char *warning), void *ctx)
{
    const char *slash = strrchr(p->path, '/');
    for (size_t i = 0; i < p->n_modalities; i++) {
        const struct str word = str_of(p->modalities[i]);
        char text[400];
        if (modality_is_defined(word))
            continue;
        (void)snprintf(text, sizeof text,
                       "%.100s:%d: warning: project.modalities: %.20s is no modality that DICOM defines%s",
                       slash != NULL ? slash + 1 : p->path, p->modality_lines[i], word.p, modality_hint(word).text);
        say(ctx, text);
    }
}

static bool take_project(struct project_loader *l, const struct yaml_node *section)
{
    static const char *const keys[] = { "name", "azure_kv_alias", "modalities", "slug" };
    bool ok = yaml_check_map(section, "project", keys, ARRAY_LEN(keys), l->ps);
    if (section->kind != YAML_MAP)
        return false;
    const struct yaml_node *name = project_require(l, section, "project", "name"),
                           *modalities = project_require(l, section, "project", "modalities"),
                           *alias = yaml_find(section, "azure_kv_alias");
    struct str text;
    if (name != NULL && yaml_take_text(name, "project.name", &text, l->ps)) {
        l->in->pub.name = project_keep(l, text);
        ok = l->in->pub.name != NULL && take_slug(l, name, yaml_find(section, "slug")) && ok;
    } else {
        ok = false;
    }
    if (alias != NULL && !yaml_is_null(alias))
        ok = take_alias(l, alias) && ok;
    return modalities != NULL && take_modalities(l, modalities) && ok;
}

/* ---- what is left out ---- */

static bool take_series_filters(struct project_loader *l, const struct yaml_node *list)
{
    struct project *p = &l->in->pub;
    if (yaml_is_null(list))
        return true;
    if (!take_texts(l, list, "series_filters", &p->series_filters, &p->n_series_filters))
        return false;
    const char **filters = arena_calloc(l->arena, p->n_series_filters, sizeof *filters);
    if (filters == NULL)
        return problem_nomem(l->ps);
    for (size_t i = 0; i < p->n_series_filters; i++) {
        struct pixl_error err = { 0 };
        struct str upper;
        if (!upper_make(l->arena, str_of(p->series_filters[i]), &upper, &err))
            return problem_nomem(l->ps);
        filters[i] = upper.p;
    }
    p->series_filters = filters;
    return true;
}

static bool take_min_instances(struct project_loader *l, const struct yaml_node *node)
{
    if (yaml_is_null(node))
        return problem_at(l->ps, node->at, "min_instances_per_series: null is no number; write 0 for no limit, "
                          "or leave the key out for %d", MIN_INSTANCES_DEFAULT);
    return yaml_take_int(node, "min_instances_per_series", 0, 1000000, &l->in->pub.min_instances_per_series, l->ps);
}

static bool take_series_numbers(struct project_loader *l, const struct yaml_node *list,
                                struct project_manufacturer *out)
{
    if (yaml_is_null(list))
        return true;
    if (!yaml_check_list(list, "exclude_series_numbers", l->ps))
        return false;
    int64_t *numbers = arena_calloc(l->arena, list->n, sizeof *numbers);
    if (numbers == NULL)
        return problem_nomem(l->ps);
    size_t n = 0;
    bool ok = true;
    for (const struct yaml_node *item = list->first; item != NULL; item = item->next)
        ok = yaml_take_int(item, "exclude_series_numbers", INT32_MIN, INT32_MAX, &numbers[n++], l->ps) && ok;
    out->exclude_series_numbers = numbers;
    out->n_exclude = n;
    return ok;
}

static bool take_manufacturer(struct project_loader *l, const struct yaml_node *item, struct project_manufacturer *out)
{
    static const char *const keys[] = { "regex", "exclude_series_numbers" };
    bool ok = yaml_check_map(item, "allowed_manufacturers", keys, ARRAY_LEN(keys), l->ps);
    if (item->kind != YAML_MAP)
        return false;
    const struct yaml_node *regex = project_require(l, item, "allowed_manufacturers", "regex"),
                           *numbers = yaml_find(item, "exclude_series_numbers");
    struct str text;
    if (regex == NULL || !yaml_take_text(regex, "allowed_manufacturers.regex", &text, l->ps))
        return false;
    out->pattern = project_compile(l, regex, "allowed_manufacturers.regex", text);
    out->text = project_keep(l, text);
    ok = out->pattern != NULL && out->text != NULL && ok;
    return (numbers == NULL || take_series_numbers(l, numbers, out)) && ok;
}

static bool take_manufacturers(struct project_loader *l, const struct yaml_node *list)
{
    struct project *p = &l->in->pub;
    if (yaml_is_null(list))
        return problem_at(l->ps, list->at, "allowed_manufacturers: null is no list; write - regex: '.*' for everybody, "
                          "or leave the key out for nobody");
    if (!yaml_check_list(list, "allowed_manufacturers", l->ps))
        return false;
    struct project_manufacturer *all = arena_calloc(l->arena, list->n, sizeof *all);
    if (all == NULL)
        return problem_nomem(l->ps);
    bool ok = true;
    size_t n = 0;
    for (const struct yaml_node *item = list->first; item != NULL; item = item->next)
        ok = take_manufacturer(l, item, &all[n++]) && ok;
    p->manufacturers = all;
    p->n_manufacturers = n;
    return ok;
}

/* ---- image operations ---- */

static bool take_recipe(struct project_loader *l, const struct yaml_node *item, const char **out)
{
    static const char must[] = "SequenceOfUltrasoundRegions";
    struct project_file file;
    struct str text;
    if (!project_locate(l, item, "image_operation_files.deid_recipes", "image-operations", &file) ||
        !project_read_named(l, &file, NULL, &l->scratch, &text))
        return false;
    if (text.n == 0 || memmem(text.p, text.n, must, sizeof must - 1) == NULL)
        return problem_at(l->ps, item->at, "%s: Recipe must contain %s DICOM tag.", file.shown, must);
    *out = file.path;
    return recipe_check(text, file.shown, l->ps);
}

static bool take_image_operations(struct project_loader *l, const struct yaml_node *section)
{
    static const char *const keys[] = { "deid_recipes" };
    struct project *p = &l->in->pub;
    bool ok = yaml_check_map(section, "image_operation_files", keys, ARRAY_LEN(keys), l->ps);
    if (section->kind != YAML_MAP)
        return false;
    const struct yaml_node *list = project_require(l, section, "image_operation_files", "deid_recipes");
    if (list == NULL)
        return false;
    if (yaml_is_null(list))
        return ok;
    if (!yaml_check_list(list, "image_operation_files.deid_recipes", l->ps))
        return false;
    const char **paths = arena_calloc(l->arena, list->n, sizeof *paths);
    if (paths == NULL)
        return problem_nomem(l->ps);
    size_t n = 0;
    for (const struct yaml_node *item = list->first; item != NULL; item = item->next)
        ok = take_recipe(l, item, &paths[n++]) && ok;
    p->deid_recipes = paths;
    p->n_deid_recipes = n;
    return ok;
}

static bool take_on_error(struct project_loader *l, const struct yaml_node *node)
{
    static const char *const words[] = { "fail", "deliver" };
    struct str word;
    if (!yaml_take_text(node, "on_instance_error", &word, l->ps))
        return false;
    if (!str_eq(word, STR("fail")) && !str_eq(word, STR("deliver")))
        return problem_at(l->ps, node->at, "on_instance_error: '%s' is neither fail nor deliver%s",
                          problem_show(word).text, nearest_hint_of(word, words, ARRAY_LEN(words)).text);
    l->in->pub.on_instance_error = str_eq(word, STR("fail")) ? PROJECT_ON_ERROR_FAIL : PROJECT_ON_ERROR_DELIVER;
    return true;
}

static bool take_burned_in(struct project_loader *l, const struct yaml_node *node)
{
    static const char *const words[] = { "refuse", "deliver" };
    struct str word;
    if (!yaml_take_text(node, "burned_in_annotation", &word, l->ps))
        return false;
    l->in->pub.passes_burned_in = str_eq(word, STR("deliver"));
    return l->in->pub.passes_burned_in || str_eq(word, STR("refuse")) ||
           problem_at(l->ps, node->at, "burned_in_annotation: '%s' is neither refuse nor deliver%s",
                      problem_show(word).text, nearest_hint_of(word, words, ARRAY_LEN(words)).text);
}

/* ---- the whole ---- */

struct section {
    const char *key;
    bool required;
    bool (*take)(struct project_loader *l, const struct yaml_node *node);
};

static const struct section sections[] = {
    { "project", true, take_project },
    { "series_filters", false, take_series_filters },
    { "min_instances_per_series", false, take_min_instances },
    { "allowed_manufacturers", false, take_manufacturers },
    { "tag_operation_files", true, tag_files_read },
    { "image_operation_files", false, take_image_operations },
    { "destination", true, destination_read },
    { "on_instance_error", false, take_on_error },
    { "burned_in_annotation", false, take_burned_in },
};

static void take_sections(struct project_loader *l, const struct yaml_node *root)
{
    const char *keys[ARRAY_LEN(sections)];
    for (size_t i = 0; i < ARRAY_LEN(sections); i++)
        keys[i] = sections[i].key;
    (void)yaml_check_map(root, "the project file", keys, ARRAY_LEN(keys), l->ps);
    if (root->kind != YAML_MAP)
        return;
    for (size_t i = 0; i < ARRAY_LEN(sections); i++) {
        const struct yaml_node *node = yaml_find(root, sections[i].key);
        size_t before = l->ps->n;
        if (node == NULL && sections[i].required)
            (void)problem_at(l->ps, root->at, "%s is missing", sections[i].key);
        else if (node != NULL && !sections[i].take(l, node))
            assert(l->ps->n > before);          /* nobody fails without telling */
    }
}

static bool take_path(struct project_loader *l, const char *path, const char **shown)
{
    const char *slash = strrchr(path, '/');
    struct str name = str_of(slash ? slash + 1 : path), ext = STR(".yaml");
    if (name.n <= ext.n || !str_eq((struct str){ name.p + name.n - ext.n, ext.n }, ext))
        return problem_at(l->ps, (struct place){ 0 }, "a project file is called <slug>.yaml");
    struct str dir = slash == NULL ? STR(".") : slash == path ? STR("/") : (struct str){ path, (size_t)(slash - path) };
    l->in->pub.path = project_keep(l, str_of(path));
    l->dir = project_keep(l, dir);
    if (l->in->pub.path == NULL || l->dir == NULL)
        return false;
    *shown = l->in->pub.path + (name.p - path);
    return true;
}

static void read_root(struct project_loader *l, const char *path)
{
    const char *shown = NULL;
    struct str text;
    struct pixl_error err = { 0 };
    if (!take_path(l, path, &shown))
        return;
    if (!l->files->read(l->files->ctx, &l->scratch, path, &text, &err)) {
        struct place at = { .file = shown };
        if (err.code == PIXL_E_NOMEM)
            (void)problem_nomem(l->ps);
        else if (err.code == PIXL_E_NOT_FOUND)
            (void)problem_of(l->ps, err.code, at, "there is no such project file in %s", l->dir);
        else if (err.code == PIXL_E_LIMIT)
            (void)problem_of(l->ps, err.code, at, "larger than %d bytes", YAML_DOC_BYTES_MAX);
        else if (err.code == PIXL_E_INVALID)
            (void)problem_at(l->ps, at, "%s", err.msg);
        else
            (void)problem_of(l->ps, err.code, at, "cannot be read: %s", pixl_code_text(err.code));
        return;
    }
    const struct yaml_node *root = yaml_doc_parse(&l->scratch, shown, text, l->ps);
    if (root != NULL)
        take_sections(l, root);
}

struct project *project_read(const struct project_files *files, const char *path, struct problems *ps)
{
    struct project_internal *in = calloc(1, sizeof *in);
    if (in == NULL) {
        (void)problem_nomem(ps);
        return NULL;
    }
    arena_init(&in->arena, ARENA_BYTES_MAX);
    in->pub.internal_ = in;
    in->pub.min_instances_per_series = MIN_INSTANCES_DEFAULT;
    struct project_loader l = { .files = files, .in = in, .arena = &in->arena, .ps = ps };
    arena_init(&l.scratch, SCRATCH_BYTES_MAX);
    size_t before = ps->n;
    read_root(&l, path);
    arena_done(&l.scratch);
    if (ps->n == before)
        return &in->pub;
    project_free(&in->pub);
    return NULL;
}

void project_free(struct project *p)
{
    if (p == NULL)
        return;
    struct project_internal *in = p->internal_;
    for (struct project_pattern *link = in->patterns; link != NULL; link = link->next)
        pattern_free(link->pattern);
    arena_done(&in->arena);
    free(in);
}

bool project_load_file(const char *path, struct project **out, struct pixl_error *err)
{
    struct problems ps = { 0 };
    struct project *p = project_read(&project_files_on_disk, path, &ps);
    if (p == NULL)
        return problems_none(&ps, err);
    *out = p;
    return true;
}

bool project_check_file(const char *path, void (*say)(void *ctx, const char *problem), void *ctx)
{
    struct problems ps = { .say = say, .ctx = ctx };
    project_auto *p = project_read(&project_files_on_disk, path, &ps);
    return p != NULL;
}

/* The slug of a project's file by its name; n == 0: it is none. */
static struct str slug_of_file(const char *file)
{
    struct str name = str_of(file), ext = STR(".yaml");
    if (name.n <= ext.n || !str_eq((struct str){ name.p + name.n - ext.n, ext.n }, ext))
        return (struct str){ 0 };
    struct str stem = { name.p, name.n - ext.n };
    return slug_is_valid(stem) ? stem : (struct str){ 0 };
}

bool project_any(const char *configs_dir)
{
    bool any = false;
    DIR *d = opendir(configs_dir);
    for (struct dirent *e; d != NULL && !any && (e = readdir(d)) != NULL; )
        any = slug_of_file(e->d_name).n > 0;
    if (d != NULL)
        (void)closedir(d);
    return any;
}

struct nearest_text project_hint(const char *configs_dir, struct str slug)
{
    struct arena a;
    arena_init(&a, 1024 * 1024);
    struct nearest near = nearest_to(slug);
    DIR *d = opendir(configs_dir);
    for (struct dirent *e; d != NULL && (e = readdir(d)) != NULL; ) {
        struct str stem = slug_of_file(e->d_name);
        if (stem.n > 0 && (stem = arena_str(&a, stem)).p != NULL)
            nearest_offer(&near, stem.p);
    }
    if (d != NULL)
        (void)closedir(d);
    const struct nearest_text hint = nearest_hint(&near);
    arena_done(&a);
    return hint;
}

bool project_is_there(const char *configs_dir, struct str slug)
{
    buf_auto path;
    buf_init(&path, 64 * 1024);
    return slug_is_valid(slug) && buf_addf(&path, "%s/%.*s.yaml", configs_dir, STR_ARG(slug)) &&
           fs_exists(buf_cstr(&path));
}

bool project_load(const char *configs_dir, struct str slug, struct project **out, struct pixl_error *err)
{
    if (!slug_is_valid(slug))
        return pixl_fail(err, PIXL_E_INVALID, 0,
                         "'%s' is not the name of a project (small letters, digits, single '-')",
                         problem_show(slug).text);
    buf_auto path;
    buf_init(&path, 64 * 1024);
    bool ok = buf_addf(&path, "%s/%.*s.yaml", configs_dir, STR_ARG(slug));
    if (!ok)
        (void)pixl_fail(err, PIXL_E_NOMEM, 0, "project: out of memory");
    else if (!fs_is_dir(configs_dir))
        ok = pixl_fail(err, PIXL_E_NOT_FOUND, 0, "there is no folder %s for project files (PROJECT_CONFIGS_DIR)",
                       configs_dir);
    else if (!fs_exists(buf_cstr(&path)))
        ok = pixl_fail(err, PIXL_E_NOT_FOUND, 0, "there is no project %s in %s%s", problem_show(slug).text, configs_dir,
                       project_hint(configs_dir, slug).text);
    else
        ok = project_load_file(buf_cstr(&path), out, err);
    return ok;
}
