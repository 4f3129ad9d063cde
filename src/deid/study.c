/* study.c - what one study's instances share: caches of checked values and mapped UIDs, places, character sets. */
#include "study_internal.h"

#include <stdlib.h>

#include "base/hash.h"

bool instance_refuse(struct instance *in, enum study_reason why, uint32_t at)
{
    in->is_refused = true;
    in->why = why;
    in->at = at;
    return false;
}

/* Which item of its sequence an item is. */
static uint32_t item_number(const struct dicom_file *f, uint32_t item, struct item_counts *counts)
{
    const uint32_t sequence = f->elements[item].parent, depth = f->elements[item].depth;
    uint32_t n = 0, i = sequence + 1;
    bool counted = counts != NULL && depth <= DEID_DEPTH_MAX;
    if (counted && counts->at[depth].sequence == sequence && counts->at[depth].item != 0 &&
        counts->at[depth].item <= item) {
        i = counts->at[depth].item;
        n = counts->at[depth].n;
    }
    for (; i < item; i = f->elements[i].end)
        n++;
    if (counted) {
        counts->at[depth].sequence = sequence;
        counts->at[depth].item = item;
        counts->at[depth].n = n;
    }
    return n;
}

void instance_place(const struct dicom_file *f, uint32_t index, struct item_counts *counts, char out[DEID_WHERE_SIZE])
{
    /* Written from the end: where it does not fit, the innermost tags are the ones worth having. */
    size_t at = DEID_WHERE_SIZE - 1;
    char text[DEID_WHERE_SIZE] = "";
    bool is_cut = false;
    for (uint32_t i = index; i != DICOM_NO_PARENT && !is_cut; i = f->elements[i].parent) {
        const struct dicom_element *e = &f->elements[i];
        char one[32];
        int n = e->flags & DICOM_IS_ITEM
            ? snprintf(one, sizeof one, "[%u]%s", (unsigned)item_number(f, i, counts), i == index ? "" : ".")
            : snprintf(one, sizeof one, "(%04X,%04X)", DICOM_GROUP(e->tag), DICOM_ELEMENT_OF(e->tag));
        is_cut = (size_t)n + 3 > at;
        if (is_cut)
            (void)snprintf(one, sizeof one, "...");
        n = is_cut ? 3 : n;
        at -= (size_t)n;
        memcpy(text + at, one, (size_t)n);
    }
    memcpy(out, text + at, DEID_WHERE_SIZE - at);
}

enum dicom_vr instance_vr(const struct dicom_element *e)
{
    if (e->vr != DICOM_VR_UN || dicom_tag_is_private(e->tag) || dicom_dict_find(e->tag) == NULL)
        return (enum dicom_vr)e->vr;
    return dicom_dict_vr(e->tag);
}

static uint64_t number_of_text(struct str text)
{
    uint64_t n;
    text = str_trim(dicom_uid_trim(text));
    if (text.n > 0 && text.p[0] == '+')
        text = (struct str){ text.p + 1, text.n - 1 };
    return str_to_u64(text, &n) ? n : INSTANCE_NO_NUMBER;
}

bool instance_number(struct instance *in, uint32_t index, uint64_t otherwise, uint64_t *out, struct pixl_error *err)
{
    const struct dicom_element *e = &in->f->elements[index];
    enum dicom_vr vr = instance_vr(e);
    struct str value = { 0 };
    *out = otherwise;
    if (e->value_bytes == 0)
        return true;
    *out = INSTANCE_NO_NUMBER;
    if (e->flags & DICOM_IS_SEQUENCE)
        return true;
    if (!dicom_value(in->f, index, &value, err))
        return false;
    if (dicom_vr_is_text(vr)) {
        *out = number_of_text(value);
        return true;
    }
    if (dicom_vr_number_bytes(vr) == 0)
        vr = dicom_dict_vr(e->tag);
    const bool is_integer = vr == DICOM_VR_US || vr == DICOM_VR_SS || vr == DICOM_VR_UL || vr == DICOM_VR_SL;
    const bool is_big_endian = dicom_coding_at(in->f, index).is_big_endian;
    if (!is_integer || value.n != dicom_vr_number_bytes(vr) ||
        (is_big_endian && (e->vr == DICOM_VR_UN || e->vr == DICOM_VR_OB)))
        return true;
    *out = 0;
    for (size_t k = 0; k < value.n; k++)
        *out = *out << 8 | (uint8_t)value.p[is_big_endian ? k : value.n - 1 - k];
    return true;
}

static bool is_plain_ascii(struct str s)
{
    for (size_t i = 0; i < s.n; i++)
        if ((unsigned char)s.p[i] >= 0x80 || s.p[i] == 0x1B)
            return false;
    return true;
}

bool instance_decode(struct instance *in, uint32_t index, const struct dicom_charset *set, struct str *out, bool *clean,
                     struct pixl_error *err)
{
    struct str raw;
    if (!dicom_value(in->f, index, &raw, err))
        return false;
    if (is_plain_ascii(raw) && dicom_charset_is_ascii_compatible(set)) {
        *out = raw;
        *clean = true;
        return true;
    }
    return dicom_charset_decode(set, instance_vr(&in->f->elements[index]), in->arena, raw, out, clean, err);
}

/* Two bytes are one ideograph behind "ESC $ B" and its like.  A value or word that ends there was not written so: it has
 * no blank, and must return to ASCII before its end (PS3.5 section 6.1.2.5.3). */
static bool is_ascii_under_escape(struct str raw)
{
    const char *escape = raw.n > 0 ? memchr(raw.p, 0x1B, raw.n) : NULL;
    static const char double_byte[4] = "@AB("; /* without a NUL */
    bool is_double = false;
    for (size_t i = escape != NULL ? (size_t)(escape - raw.p) : raw.n; i < raw.n; i++) {
        if (raw.p[i] == 0x1B)
            is_double =
                raw.n - i > 2 && raw.p[i + 1] == '$' && memchr(double_byte, raw.p[i + 2], sizeof double_byte) != NULL;
        else if (is_double && (unsigned char)raw.p[i] <= ' ')
            return true;
    }
    return is_double;
}

bool instance_is_raw_too(struct str raw, struct str text, bool is_clean)
{
    bool is_ascii = true;
    for (size_t i = 0; i < raw.n; i++)
        is_ascii = is_ascii && (unsigned char)raw.p[i] < 0x80;
    return text.p != raw.p && (!is_clean || (!is_ascii && str_is_utf8(raw)) || is_ascii_under_escape(raw));
}

bool instance_text(struct instance *in, uint32_t index, const struct dicom_charset *set, struct str *out,
                   struct pixl_error *err)
{
    struct str raw, text;
    bool clean;
    if (!dicom_value(in->f, index, &raw, err) || !instance_decode(in, index, set, &text, &clean, err))
        return false;
    *out = clean ? text : raw;
    return true;
}

void charset_stack_init(struct charset_stack *c)
{
    c->at[0] = dicom_charset_parse((struct str){ 0 });
}

/* Elements of an item stand one deeper than the sequence; each item starts with what holds around it. */
bool charset_stack_see(struct charset_stack *c, struct instance *in, uint32_t index, struct pixl_error *err)
{
    const struct dicom_element *e = &in->f->elements[index];
    if ((e->flags & DICOM_IS_ITEM) && e->depth > 0)
        c->at[e->depth] = c->at[e->depth - 1];
    struct str value;
    if (e->tag != DICOM_SPECIFIC_CHARACTER_SET || (e->flags & DICOM_IS_DUPLICATE))
        return true;
    if (!dicom_value(in->f, index, &value, err))
        return false;
    c->at[e->depth] = dicom_charset_parse(value);
    return true;
}

const struct dicom_charset *charset_stack_top(const struct charset_stack *c, const struct dicom_element *e)
{
    return &c->at[e->depth];
}

static uint64_t mix(uint64_t a, uint64_t b)
{
    __extension__ unsigned __int128 m = (unsigned __int128)a * b;
    return (uint64_t)m ^ (uint64_t)(m >> 64);
}

static uint64_t word_at(const char *p)
{
    uint64_t word;
    memcpy(&word, p, sizeof word);
    return word;
}

/* Four lanes, so that the multiplications of a long value do not wait for each other.  Who makes up a value knows neither
 * factor of any of them. */
static uint64_t hash_bytes(const struct deid_study *s, uint64_t salt, struct str bytes)
{
    enum { BLOCK = 64 };
    const uint64_t *const key = s->cache_keys;
    uint64_t a = mix(salt ^ key[4], bytes.n ^ key[5]), b = key[5], c = key[6], d = key[7];
    char end[BLOCK] = { 0 };
    if (bytes.n % BLOCK > 0)
        memcpy(end, bytes.p + (bytes.n - bytes.n % BLOCK), bytes.n % BLOCK);
    const char *p = bytes.n < BLOCK ? end : bytes.p;
    for (size_t left = bytes.n / BLOCK + 1; left > 0; p = --left == 1 ? end : p + BLOCK) {
        a = mix(word_at(p) ^ key[0], word_at(p + 8) ^ a);
        b = mix(word_at(p + 16) ^ key[1], word_at(p + 24) ^ b);
        c = mix(word_at(p + 32) ^ key[2], word_at(p + 40) ^ c);
        d = mix(word_at(p + 48) ^ key[3], word_at(p + 56) ^ d);
    }
    return mix(mix(a, b) ^ key[6], mix(c, d) ^ key[7]);
}

uint64_t study_value_key(const struct deid_study *s, uint64_t salt, const struct dicom_charset *set, struct str bytes)
{
    uint64_t terms = set->n;
    for (unsigned i = 0; i < set->n && i < sizeof set->terms; i++)
        terms = terms * 257 + set->terms[i];
    return hash_bytes(s, mix(terms ^ s->cache_keys[6], salt ^ s->cache_keys[7]), bytes) | 1;
}

bool study_has_seen(struct deid_study *s, uint64_t key)
{
    if (s->cache_generation != residue_generation(s->residue)) {
        memset(s->cache, 0, DEID_CACHE * sizeof *s->cache);
        s->cache_generation = residue_generation(s->residue);
    }
    return s->cache[(key >> 1) % DEID_CACHE] == key;
}

void study_remember(struct deid_study *s, uint64_t key)
{
    s->cache[(key >> 1) % DEID_CACHE] = key;
}

static void copy_text(char *out, struct str s)
{
    memcpy(out, s.p, s.n);
    out[s.n] = '\0';
}

bool study_map_uid(struct deid_study *s, struct str uid, char out[DICOM_UID_MAX + 1],
                   struct pixl_error *err)
{
    if (dicom_uid_is_standard(uid)) {
        copy_text(out, uid);
        return true;
    }
    if (s->study_uid.n > 0 && str_eq(uid, s->study_uid)) {
        copy_text(out, str_of(s->uid));
        return true;
    }

    struct deid_uid_slot *slot = NULL;
    if (uid.n <= sizeof slot->from) {
        slot = &s->uids[hash_bytes(s, 0, uid) % DEID_UID_CACHE];
        if (slot->n == uid.n && memcmp(slot->from, uid.p, uid.n) == 0) {
            copy_text(out, str_of(slot->to));
            return true;
        }
    }
    if (!pseudonyms_uid(s->pseudonyms, phi_text(uid), out, err))
        return false;
    if (slot != NULL) {
        slot->n = uid.n;
        memcpy(slot->from, uid.p, uid.n);
        copy_text(slot->to, str_of(out));
    }
    return true;
}
