/* Mutated instances: whatever is emitted parses again, its structure holds, and no planted marker is in it: the number
 * nowhere before the pixels, the name in no text at any depth, read in the character set that holds there, and in no
 * field of private bytes.  Where the policy cleans pixels, there were regions, and each byte of the pixels is what it
 * was or zero. */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "deid/deid.h"
#include "dicom/charset.h"
#include "dicom_check.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The patients of the corpus (tests/fuzz/make-corpus): what nothing written may hold as a word. */
static const char mrn[] = "MRN-4711-08";
static const char *const names[] = { "Zimmermann", "M\xC3\xBCllerhausen", "\xE5\xB1\xB1\xE5\xB4\x8E\xE9\x88\xB4",
                                     "\xD0\xBA\xD1\x80\xD0\xBE\xD0\xB2\xD0\xB7\xD1\x83\xD0\xB1\xD1\x80" };

#define RULE(g, e, what) { .group = (g), .element = (e), .op = PROJECT_OP_##what }
static const struct project_tag_rule rules[] = {
    RULE(0x0008, 0x0016, KEEP),        RULE(0x0008, 0x0018, REPLACE_UID), RULE(0x0008, 0x0060, KEEP),
    RULE(0x0008, 0x103E, KEEP),        RULE(0x0008, 0x1140, KEEP),        RULE(0x0008, 0x1155, REPLACE_UID),
    RULE(0x0009, 0x1001, KEEP),        RULE(0x0009, 0x1002, KEEP),        RULE(0x0010, 0x0010, REPLACE),
    RULE(0x0010, 0x0020, SECURE_HASH), RULE(0x0018, 0x0050, EMPTY),       RULE(0x0020, 0x000D, REPLACE_UID),
    RULE(0x0020, 0x000E, REPLACE_UID), RULE(0x0020, 0x4000, KEEP),        RULE(0x0040, 0xA730, KEEP),
    RULE(0x0040, 0xA160, KEEP),        RULE(0x0040, 0xA043, REPLACE),     RULE(0x7FE0, 0x0010, KEEP),
};

struct world {
    struct project project;
    struct project_manufacturer any;
    struct deid_policy *policy;
    struct pseudonyms *names;
};

static struct world *make_world(bool cleans_pixels)
{
    static const char *const recipes[] = { "us.yaml" };
    static const char *const modalities[] = { "CT", "" };
    struct pixl_error err = { 0 };
    struct secret key = { 0 }, salt = { 0 };
    struct world *w = calloc(1, sizeof *w);
    struct pattern *any = NULL;
    bool ok = w != NULL && secret_set(&key, STR("k"), &err) && secret_set(&salt, STR("s"), &err) &&
              pseudonyms_new(&key, &salt, STR(""), STR("p"), &w->names, &err) && pattern_new(STR(""), &any, &err);
    assert(ok);
    secret_done(&key);
    secret_done(&salt);
    w->any.pattern = any;
    w->project = (struct project){ .base_rules = rules,
                                   .n_base_rules = ARRAY_LEN(rules),
                                   .modalities = modalities,
                                   .n_modalities = ARRAY_LEN(modalities),
                                   .manufacturers = &w->any,
                                   .n_manufacturers = 1,
                                   .deid_recipes = recipes,
                                   .n_deid_recipes = cleans_pixels };
    ok = deid_policy_new(&w->project, &w->policy, &err);
    assert(ok);
    return w;
}

/* Letters and digits; what lies beyond ASCII is a letter in some character set. */
static bool is_word_char(char c)
{
    return ((c | 32) >= 'a' && (c | 32) <= 'z') || (c >= '0' && c <= '9') || (unsigned char)c >= 0x80;
}

/* As a word, outside pixels: the check lets pass what only contains it. */
static bool holds_word(const char *p, size_t n, const char *word)
{
    size_t k = strlen(word);
    for (const char *at = p; (at = memmem(at, n - (size_t)(at - p), word, k)) != NULL; at++) {
        bool before = at > p && is_word_char(at[-1]);
        bool behind = at + k < p + n && is_word_char(at[k]);
        if (!before && !behind)
            return true;
    }
    return false;
}

static void check_pixels(struct dicom_file *f, struct dicom_file *g)
{
    struct pixl_error err = { 0 };
    struct str was, now;
    int64_t from = dicom_find(f, DICOM_NO_PARENT, DICOM_PIXEL_DATA);
    int64_t to = dicom_find(g, DICOM_NO_PARENT, DICOM_PIXEL_DATA);
    assert(dicom_find(f, DICOM_NO_PARENT, DICOM_ULTRASOUND_REGIONS) >= 0 && from >= 0 && to >= 0);
    bool ok = dicom_value(f, (uint32_t)from, &was, &err) && dicom_value(g, (uint32_t)to, &now, &err);
    assert(ok && was.n == now.n && was.n > 0);
    for (size_t i = 0; i < was.n; i++)
        assert(now.p[i] == 0 || now.p[i] == was.p[i]);
}

/* The character set at each depth while elements are gone through in file order. */
struct sets {
    struct dicom_charset at[64];
};

static void see_set(struct sets *sets, struct dicom_file *f, uint32_t i)
{
    struct pixl_error err = { 0 };
    const struct dicom_element *e = &f->elements[i];
    struct str v;
    if ((e->flags & DICOM_IS_ITEM) && e->depth > 0)
        sets->at[e->depth] = sets->at[e->depth - 1];
    if (e->tag == DICOM_SPECIFIC_CHARACTER_SET && dicom_value(f, i, &v, &err))
        sets->at[e->depth] = dicom_charset_parse(v);
}

/* Text that can be read for sure: what a doubtful one holds depends on who reads it. */
static bool text_of(struct dicom_file *f, uint32_t i, const struct dicom_charset *set, struct str *out)
{
    struct pixl_error err = { 0 };
    struct str v;
    bool clean = false;
    const enum dicom_vr vr = (enum dicom_vr)f->elements[i].vr;
    return dicom_value(f, i, &v, &err) && dicom_charset_decode(set, vr, f->arena, v, out, &clean, &err) && clean;
}

/* Which of names the patient has; NULL: none. */
static const char *patient_of(struct dicom_file *f)
{
    struct sets sets = { .at = { dicom_charset_parse((struct str){ 0 }) } };
    for (uint32_t i = f->meta_end; i < f->n_elements; i = f->elements[i].end) {
        struct str v;
        see_set(&sets, f, i);
        if (f->elements[i].tag != DICOM_PATIENT_NAME || !text_of(f, i, &sets.at[0], &v))
            continue;
        for (size_t k = 0; k < ARRAY_LEN(names); k++)
            if (str_is_prefix(v, str_of(names[k])) && v.n > strlen(names[k]) && v.p[strlen(names[k])] == '^')
                return names[k];
    }
    return NULL;
}

/* A field between NULs in bytes of unknown meaning. */
static bool holds_field(struct str v, const char *word)
{
    size_t k = strlen(word);
    for (size_t i = 0; i + k < v.n; i++)
        if ((i == 0 || v.p[i - 1] == '\0') && memcmp(v.p + i, word, k) == 0 && v.p[i + k] == '\0')
            return true;
    return false;
}

static void check_values(struct dicom_file *g, const char *name)
{
    struct pixl_error err = { 0 };
    struct sets sets = { .at = { dicom_charset_parse((struct str){ 0 }) } };
    for (uint32_t i = g->meta_end; i < g->n_elements; i++) {
        struct str v;
        const struct dicom_element *e = &g->elements[i];
        see_set(&sets, g, i);
        if ((e->flags & (DICOM_IS_ITEM | DICOM_IS_SEQUENCE)) || e->value_bytes == 0)
            continue;
        if (dicom_vr_has_charset((enum dicom_vr)e->vr))
            assert(!text_of(g, i, &sets.at[e->depth], &v) || !holds_word(v.p, v.n, name));
        else if (dicom_tag_is_private(e->tag) && dicom_value(g, i, &v, &err))
            assert(!holds_field(v, name));
    }
}

static void check_output(const struct deid_result *res, struct dicom_file *f, const char *name, bool cleans_pixels)
{
    struct pixl_error err = { 0 };
    struct buf out;
    buf_init(&out, 64u << 20);
    bool ok = dcm_plan_collect(&res->plan, &f->source, &out, &err);
    assert(ok && out.n == res->plan.size_bytes);
    struct arena arena;
    arena_init(&arena, 64u << 20);
    const struct dicom_source again = dicom_source_bytes(out.p, out.n);
    struct dicom_file g;
    ok = dicom_parse(&again, &DICOM_LIMITS_DEFAULT, &arena, &g, &err);
    assert(ok && dcm_check_structure(&g) == NULL && !g.has_reserved);
    if (cleans_pixels)
        check_pixels(f, &g);
    int64_t pixels = dicom_find(&g, DICOM_NO_PARENT, DICOM_PIXEL_DATA);
    const char *bytes = (const char *)g.source.bytes; /* of a deflated data set, inflated */
    size_t header = pixels < 0 ? (size_t)g.source.size_bytes : (size_t)g.elements[pixels].offset;
    assert(name == NULL || !holds_word(bytes, header, mrn));
    if (name != NULL)
        check_values(&g, name);
    arena_done(&arena);
    buf_done(&out);
}

static void run(const struct world *w, const uint8_t *data, size_t size)
{
    struct pixl_error err = { 0 };
    struct arena arena;
    arena_init(&arena, 256u << 20);
    const struct dicom_source source = dicom_source_bytes(data, size);
    struct dicom_file f;
    struct deid_study *study = NULL;
    const struct deid_study_args args = { .policy = w->policy, .pseudonyms = w->names, .mrn = phi_text(str_of(mrn)) };
    if (dicom_parse(&source, &DICOM_LIMITS_DEFAULT, &arena, &f, &err)) {
        bool ok = deid_study_new(&args, &study, &err);
        assert(ok);
        struct deid_result res;
        if (deid_instance(study, &f, &arena, &res, &err)) {
            if (res.verdict == DEID_EMIT)
                check_output(&res, &f, patient_of(&f), w->project.n_deid_recipes > 0);
        } else {
            assert(err.code != PIXL_OK && err.code != PIXL_E_INTERNAL);
        }
    }
    deid_study_free(study);
    arena_done(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct world *worlds[2];
    for (int i = 0; i < 2; i++) {
        if (worlds[i] == NULL)
            worlds[i] = make_world(i > 0);
        run(worlds[i], data, size);
    }
    return 0;
}
