#include "project_internal.h"

#include <assert.h>
#include <string.h>

#include "nearest.h"

enum {
    FILES_MAX = 64,
    CREATOR_BYTES_MAX = 64,             /* value representation LO */
    ENOUGH_PROBLEMS = 1000,
};

struct rule_list {
    struct project_tag_rule *rules;
    size_t n;
};

const char *project_tag_op_name(enum project_tag_op op)
{
    static const char *const names[PROJECT_OP_COUNT] = {
#define X(symbol, name) [PROJECT_OP_##symbol] = name,
        PROJECT_TAG_OPS(X)
#undef X
    };
    assert(op < PROJECT_OP_COUNT);
    return names[op];
}

/* ---- a set of rules by the element that they speak of ---- */

struct rule_table {
    size_t *slots;                      /* index + 1 into rules; 0: free */
    size_t mask;
    struct project_tag_rule *rules;
};

static uint16_t element_key(const struct project_tag_rule *r)
{
    return r->private_creator ? r->element & 0xFF : r->element;     /* the block is the creator's affair */
}

static bool is_same_element(const struct project_tag_rule *a, const struct project_tag_rule *b)
{
    return a->group == b->group && element_key(a) == element_key(b) &&
           str_eq(str_of(a->private_creator), str_of(b->private_creator));
}

static size_t rule_hash(const struct project_tag_rule *r)
{
    uint64_t h = 1469598103934665603u ^ ((uint64_t)r->group << 16 | element_key(r));
    h *= 1099511628211u;
    for (const char *p = r->private_creator; p != NULL && *p != '\0'; p++)
        h = (h ^ (unsigned char)*p) * 1099511628211u;
    return (size_t)(h ^ h >> 32);
}

/* Room for n rules that will stand in rules[]. */
static bool table_init(struct rule_table *t, struct arena *a, struct project_tag_rule *rules, size_t n)
{
    size_t cap = 16;
    while (cap < 2 * n)
        cap *= 2;
    *t = (struct rule_table){ arena_calloc(a, cap, sizeof *t->slots), cap - 1, rules };
    return t->slots != NULL;
}

/* The index of the rule for the same element, or, when there is none, new_index, which is entered. */
static size_t table_enter(struct rule_table *t, const struct project_tag_rule *r, size_t new_index)
{
    size_t i = rule_hash(r) & t->mask;
    while (t->slots[i] != 0) {
        if (is_same_element(&t->rules[t->slots[i] - 1], r))
            return t->slots[i] - 1;
        i = (i + 1) & t->mask;
    }
    t->slots[i] = new_index + 1;
    return new_index;
}

/* ---- one rule ---- */

static bool take_op(struct project_loader *l, const struct yaml_node *node, enum project_tag_op *out)
{
    struct str word;
    if (!yaml_take_text(node, "op", &word, l->ps))
        return false;
    struct nearest near = nearest_to(word);
    for (unsigned op = 0; op < PROJECT_OP_COUNT; op++) {
        const char *name = project_tag_op_name((enum project_tag_op)op);
        if (str_eq(word, str_of(name))) {
            *out = (enum project_tag_op)op;
            return true;
        }
        nearest_offer(&near, name);
    }
    if (str_eq(word, STR("regexp")) || str_eq(word, STR("replace_with_value")))
        return problem_at(l->ps, node->at, "op: '%.*s' needs options that a tag operation file cannot give; "
                          "use replace, empty or delete", STR_ARG(word));
    return problem_at(l->ps, node->at, "op: unknown operation '%s'%s", problem_show(word).text,
                      nearest_hint(&near).text);
}

static bool take_creator(struct project_loader *l, const struct yaml_node *node, struct project_tag_rule *r)
{
    struct str s;
    if (!yaml_take_text(node, "private_creator", &s, l->ps))
        return false;
    s = str_trim(s);
    if (s.n > CREATOR_BYTES_MAX || memchr(s.p, '\\', s.n) != NULL)
        return problem_at(l->ps, node->at, "private_creator: at most %d characters and no backslash",
                          CREATOR_BYTES_MAX);
    if (r->group % 2 == 0 || r->group < 0x0009 || r->group == 0xFFFF)
        return problem_at(l->ps, node->at, "private_creator: group 0x%04X is not private (odd, from 0x0009)", r->group);
    if (r->element > 0xFF && r->element < 0x1000)
        return problem_at(l->ps, node->at, "private_creator: element 0x%04X lies in no private block; "
                          "write 0x00 to 0xFF, or 0x1000 to 0xFFFF of which the last two digits count", r->element);
    r->private_creator = project_keep(l, s);
    return r->private_creator != NULL;
}

static bool take_rule(struct project_loader *l, const struct yaml_node *item, const char *file,
                      struct project_tag_rule *r)
{
    static const char *const keys[] = { "group", "element", "op", "name", "private_creator" };
    if (!yaml_check_map(item, "tag", keys, ARRAY_LEN(keys), l->ps))
        return false;
    const struct yaml_node *group = yaml_find(item, "group"), *element = yaml_find(item, "element"),
                           *op = yaml_find(item, "op"), *name = yaml_find(item, "name"),
                           *creator = yaml_find(item, "private_creator");
    if (group == NULL || element == NULL)
        return problem_at(l->ps, item->at, "Tag must have 'group' and 'element' keys.");
    if (op == NULL)
        return problem_at(l->ps, item->at, "a tag must have an 'op' key");
    int64_t g = 0, e = 0;
    bool ok = yaml_take_int(group, "group", 0, 0xFFFF, &g, l->ps);
    ok = yaml_take_int(element, "element", 0, 0xFFFF, &e, l->ps) && ok;
    r->group = (uint16_t)g;
    r->element = (uint16_t)e;
    r->file = file;
    r->line = item->at.line;
    ok = take_op(l, op, &r->op) && ok;
    struct str text;
    if (name != NULL && !yaml_is_null(name)) {
        bool named = yaml_take_text(name, "name", &text, l->ps);
        r->name = named ? project_keep(l, text) : NULL;
        ok = r->name != NULL && ok;
    }
    if (creator != NULL && ok)
        ok = take_creator(l, creator, r);
    return ok;
}

static bool is_enough(const struct project_loader *l)
{
    return l->ps->n >= ENOUGH_PROBLEMS;
}

/* A list of tags; a tag twice in it is a mistake, as one of the two would not count. */
static bool take_rules(struct project_loader *l, const struct yaml_node *list, const char *file,
                       struct rule_list *out)
{
    struct rule_list got = { arena_calloc(l->arena, list->n, sizeof *got.rules), 0 };
    struct rule_table table;
    if (got.rules == NULL || !table_init(&table, &l->scratch, got.rules, list->n))
        return problem_nomem(l->ps);
    bool ok = true;
    for (const struct yaml_node *item = list->first; item != NULL && !is_enough(l); item = item->next) {
        struct project_tag_rule r = { 0 };
        if (!take_rule(l, item, file, &r)) {
            ok = false;
            continue;
        }
        size_t at = table_enter(&table, &r, got.n);
        if (at < got.n)
            ok = problem_at(l->ps, item->at, "tag (%04X,%04X) stands in line %d of this file already", r.group,
                            r.element, got.rules[at].line);
        else
            got.rules[got.n++] = r;
    }
    if (ok)
        *out = got;
    return ok;
}

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

/* ---- base files ---- */

static bool read_base_file(struct project_loader *l, struct project_file *file, struct rule_list *out)
{
    struct str text;
    if (!project_read_named(l, file, NULL, &l->scratch, &text))
        return false;
    const struct yaml_node *list = yaml_doc_parse(&l->scratch, file->shown, text, l->ps);
    if (list == NULL || !yaml_check_list(list, "a tag operations file", l->ps))
        return false;
    if (list->n == 0)
        return problem_at(l->ps, list->at, "there is no tag in this list");
    return take_rules(l, list, base_name(file->shown), out);
}

/* All lists as one: a later file wins but keeps the place where the element first stood. */
static bool merge_base(struct project_loader *l, const struct rule_list *lists, size_t n_lists)
{
    size_t total = 0, n = 0;
    for (size_t i = 0; i < n_lists; i++)
        total += lists[i].n;
    struct project_tag_rule *merged = arena_calloc(l->arena, total, sizeof *merged);
    struct rule_table table;
    if (merged == NULL || !table_init(&table, &l->scratch, merged, total))
        return problem_nomem(l->ps);
    for (size_t i = 0; i < n_lists; i++)
        for (size_t j = 0; j < lists[i].n; j++) {
            size_t at = table_enter(&table, &lists[i].rules[j], n);
            merged[at] = lists[i].rules[j];
            n += at == n;
        }
    l->in->pub.base_rules = merged;
    l->in->pub.n_base_rules = n;
    return true;
}

static bool is_listed_before(const struct project_file *files, size_t n, const char *path)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(files[i].path, path) == 0)
            return true;
    return false;
}

static bool read_base(struct project_loader *l, const struct yaml_node *list)
{
    struct project_file files[FILES_MAX];
    struct rule_list rules[FILES_MAX] = { 0 };
    if (!yaml_check_list(list, "tag_operation_files.base", l->ps))
        return false;
    if (list->n == 0)
        return problem_at(l->ps, list->at, "There should be at least 1 tag operations file");
    if (list->n > FILES_MAX)
        return problem_at(l->ps, list->at, "tag_operation_files.base: more than %d files", FILES_MAX);
    bool ok = true;
    size_t n = 0;
    for (const struct yaml_node *item = list->first; item != NULL; item = item->next) {
        if (!project_locate(l, item, "tag_operation_files.base", "tag-operations", &files[n])) {
            ok = false;
        } else if (is_listed_before(files, n, files[n].path)) {
            ok = problem_at(l->ps, item->at, "tag_operation_files.base: %s is listed twice", files[n].shown);
        } else {
            ok = read_base_file(l, &files[n], &rules[n]) && ok;
            n++;
        }
    }
    return ok && merge_base(l, rules, n);
}

/* ---- overrides ---- */

static bool take_override(struct project_loader *l, const struct yaml_node *item, const char *file,
                          struct project_override *out)
{
    static const char *const keys[] = { "manufacturer", "tags" };
    if (!yaml_check_map(item, "override", keys, ARRAY_LEN(keys), l->ps))
        return false;
    const struct yaml_node *manufacturer = yaml_find(item, "manufacturer"), *tags = yaml_find(item, "tags");
    if (manufacturer == NULL || tags == NULL)
        return problem_at(l->ps, item->at, "Manufacturer overrides must have 'manufacturer' and 'tags' keys.");
    struct str text;
    bool ok = yaml_take_text(manufacturer, "manufacturer", &text, l->ps);
    if (ok) {
        out->manufacturer = project_compile(l, manufacturer, "manufacturer", text);
        out->manufacturer_text = project_keep(l, text);
        ok = out->manufacturer != NULL && out->manufacturer_text != NULL;
    }
    struct rule_list rules = { 0 };
    ok = yaml_check_list(tags, "tags", l->ps) && take_rules(l, tags, file, &rules) && ok;
    if (ok && rules.n == 0)
        ok = problem_at(l->ps, tags->at, "tags: there is no tag in this list");
    out->rules = rules.rules;
    out->n_rules = rules.n;
    return ok;
}

/* Appends the entries of one file to the project's. */
static bool take_overrides(struct project_loader *l, const struct yaml_node *list, const char *file)
{
    struct project *p = &l->in->pub;
    size_t n = p->n_overrides;
    struct project_override *all = arena_calloc(l->arena, n + list->n, sizeof *all);
    if (all == NULL)
        return problem_nomem(l->ps);
    for (size_t i = 0; i < n; i++)
        all[i] = p->overrides[i];
    bool ok = true;
    for (const struct yaml_node *item = list->first; item != NULL && !is_enough(l); item = item->next)
        ok = take_override(l, item, file, &all[n++]) && ok;
    p->overrides = all;
    p->n_overrides = n;
    return ok;
}

static bool read_override_file(struct project_loader *l, const struct yaml_node *node)
{
    static const char what[] = "tag_operation_files.manufacturer_overrides";
    struct project_file file, second;
    struct str text;
    /* A base file and an override file of one name (mri.yaml) are usual, so the overrides' own folder goes first. */
    if (!project_locate(l, node, what, "tag-operations/manufacturer-overrides", &file) ||
        !project_locate(l, node, what, "tag-operations", &second) ||
        !project_read_named(l, &file, &second, &l->scratch, &text))
        return false;
    const struct yaml_node *list = yaml_doc_parse(&l->scratch, file.shown, text, l->ps);
    return list != NULL && yaml_check_list(list, "a manufacturer overrides file", l->ps) &&
           take_overrides(l, list, base_name(file.shown));
}

/* One file, a list of files, or nothing: both forms are in use. */
static bool read_overrides(struct project_loader *l, const struct yaml_node *node)
{
    if (node == NULL || yaml_is_null(node))
        return true;
    if (node->kind != YAML_LIST)
        return read_override_file(l, node);
    if (node->n > FILES_MAX)
        return problem_at(l->ps, node->at, "tag_operation_files.manufacturer_overrides: more than %d files", FILES_MAX);
    bool ok = true;
    for (const struct yaml_node *item = node->first; item != NULL; item = item->next) {
        bool twice = false;
        for (const struct yaml_node *c = node->first; c != item; c = c->next)
            twice = twice || (c->kind == YAML_SCALAR && item->kind == YAML_SCALAR && str_eq(c->text, item->text));
        if (twice)
            ok = problem_at(l->ps, item->at, "tag_operation_files.manufacturer_overrides: %s is listed twice",
                            problem_show(item->text).text);
        else
            ok = read_override_file(l, item) && ok;
    }
    return ok;
}

bool tag_files_read(struct project_loader *l, const struct yaml_node *section)
{
    static const char *const keys[] = { "base", "manufacturer_overrides" };
    bool ok = yaml_check_map(section, "tag_operation_files", keys, ARRAY_LEN(keys), l->ps);
    if (section->kind != YAML_MAP)
        return false;
    const struct yaml_node *base = yaml_find(section, "base");
    if (base == NULL)
        ok = problem_at(l->ps, section->at, "tag_operation_files.base is missing");
    else
        ok = read_base(l, base) && ok;
    return read_overrides(l, yaml_find(section, "manufacturer_overrides")) && ok;
}
