/* Mutated instances that others are said to have de-identified: whatever passes parses again, its structure holds, the
 * row's number is a word in none of its values but samples, and what came out passes again as it is. */
#include <assert.h>
#include <string.h>

#include "deid/inspect.h"
#include "dicom_check.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char mrn[] = "MRN-4711-08";

static struct deid_inspection *inspection(void)
{
    const struct phi_text uids[] = { phi_text(STR("1.2.3.4.5.7")) };
    const struct deid_inspection_args args = {
        .mrn = phi_text(str_of(mrn)), .original_uids = uids, .n_original_uids = 1, .pseudo_study_uid = STR("1.2.3.4")
    };
    struct pixl_error err = { 0 };
    struct deid_inspection *s = NULL;
    bool ok = deid_inspection_new(&args, &s, &err);
    assert(ok);
    return s;
}

/* Letters and digits; what lies beyond ASCII is a letter in some character set. */
static bool is_word_char(char c)
{
    return ((c | 32) >= 'a' && (c | 32) <= 'z') || (c >= '0' && c <= '9') || (unsigned char)c >= 0x80;
}

static bool holds_word(struct str s, const char *word)
{
    const size_t k = strlen(word);
    for (const char *at = s.p; (at = memmem(at, s.n - (size_t)(at - s.p), word, k)) != NULL; at++)
        if ((at == s.p || !is_word_char(at[-1])) && (at + k == s.p + s.n || !is_word_char(at[k])))
            return true;
    return false;
}

/* Pixels, overlays, curves and waveforms. */
static bool is_samples(uint32_t tag)
{
    const uint32_t group = DICOM_GROUP(tag);
    return group == 0x7FE0 || group == 0x5400 || (group & 0xFF00) == 0x5000 || (group & 0xFF00) == 0x6000;
}

static void check_values(struct dicom_file *g)
{
    struct pixl_error err = { 0 };
    for (uint32_t i = g->meta_end; i < g->n_elements; i++) {
        const struct dicom_element *e = &g->elements[i];
        struct str v;
        if ((e->flags & (DICOM_IS_ITEM | DICOM_IS_SEQUENCE)) == 0 && !is_samples(e->tag) && dicom_value(g, i, &v, &err))
            assert(!holds_word(v, mrn));
    }
}

/* What came out of an instance; passes: once more through all of it. */
static void run(struct str bytes, int passes)
{
    struct pixl_error err = { 0 };
    struct arena arena;
    struct dicom_file f;
    struct deid_result res = { .verdict = DEID_REFUSED };
    PIXL_CLEANUP(deid_inspection_freep) struct deid_inspection *s = inspection();
    const struct dicom_source source = dicom_source_bytes(bytes.p, bytes.n);
    arena_init(&arena, 256u << 20);
    bool parsed = dicom_parse(&source, &DICOM_LIMITS_DEFAULT, &arena, &f, &err);
    bool ok = parsed && deid_inspect(s, &f, &arena, &res, &err);
    assert(ok ? res.verdict != DEID_FILTERED : err.code != PIXL_OK && err.code != PIXL_E_INTERNAL);
    if (passes > 0)
        assert(ok && res.verdict == DEID_EMIT && dcm_check_structure(&f) == NULL && !f.has_reserved);
    if (passes > 0)
        check_values(&f);
    if (ok && res.verdict == DEID_EMIT && passes == 0) {
        struct buf out;
        buf_init(&out, 64u << 20);
        ok = dcm_plan_collect(&res.plan, &f.source, &out, &err);
        assert(ok && out.n == res.plan.size_bytes);
        run(buf_str(&out), 1);
        buf_done(&out);
    }
    arena_done(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    run((struct str){ (const char *)data, size }, 0);
    return 0;
}
