/* decide.c - for each element of an instance: drop it, keep it as it is, give it another value.
 *
 * The allow-list is walked at every level with the same scheme.  Group lengths go, private data lives and dies with its
 * creator, what describes pixels stays with them.  Nothing is written here. */
#include <string.h>

#include "base/hash.h"
#include "deid/action.h"
#include "deid/profile.h"
#include "study_internal.h"

/* Whose operation holds for elements inside a sequence that is replaced or emptied, where their own rule keeps them. */
enum inherited { INHERIT_NOTHING, INHERIT_REPLACE, INHERIT_EMPTY };

/* One data set: main or an item. */
struct level {
    uint32_t item;                           /* DICOM_NO_PARENT: the main data set */
    enum inherited inherited;
    uint16_t group;                          /* of creators */
    bool has_creators;
    uint32_t creators[256];                  /* of blocks 10..FF of that group: index + 1; 0: none */
    int keeps_pixels;                        /* -1: not looked yet */
};

static bool decide_level(struct instance *in, uint32_t item, uint32_t first, uint32_t end, enum inherited inherited,
                         bool *changed, uint64_t *bytes, struct pixl_error *err);

/* Drops, for another reason than that no rule names it. */
static bool drop(struct instance *in, uint32_t i, enum report_action action)
{
    in->decisions[i].did = (uint8_t)action;
    return true;
}

static bool keeps_pixels(const struct instance *in, struct level *lv)
{
    static const uint32_t tags[] = { DICOM_PIXEL_DATA, DICOM_FLOAT_PIXEL_DATA, DICOM_DOUBLE_PIXEL_DATA };
    for (size_t i = 0; lv->keeps_pixels < 0 && i < ARRAY_LEN(tags); i++) {
        const struct scheme_entry *e = scheme_find(in->scheme, tags[i]);
        if (e != NULL && e->op == PROJECT_OP_KEEP && dicom_find(in->f, lv->item, tags[i]) >= 0)
            lv->keeps_pixels = 1;
    }
    if (lv->keeps_pixels < 0)
        lv->keeps_pixels = 0;
    return lv->keeps_pixels == 1;
}

static bool set_value(struct instance *in, uint32_t i, enum dicom_vr vr, struct str value, enum report_action action)
{
    struct dicom_coding coding = dicom_coding_at(in->f, i);
    if (coding.is_explicit && !dicom_vr_has_long_header(vr) && value.n > 0xFFFE)
        return instance_refuse(in, STUDY_WHY_UNSUPPORTED_VALUE, i);
    in->decisions[i] = (struct decision){
        .what = DECISION_VALUE, .vr = (uint8_t)vr, .did = (uint8_t)action, .value = value,
        .bytes = dicom_header_bytes(coding, vr) + (uint64_t)value.n + (value.n & 1),
    };
    return true;
}

static bool set_uid(struct instance *in, uint32_t i, const char *text, struct pixl_error *err)
{
    struct str copy = arena_str(in->arena, str_of(text));
    return copy.p != NULL ? set_value(in, i, DICOM_VR_UI, copy, REPORT_UID_MAPPED)
                          : pixl_fail(err, PIXL_E_NOMEM, 0, "value of an element");
}

enum { VALUES_MAX = 65536 };

/* Each value of a list through one(); the results joined by '\'. */
static bool map_values(struct instance *in, uint32_t i, enum dicom_vr vr, struct str text,
                       bool (*one)(struct instance *in, struct str value, char out[DICOM_UID_MAX + 1],
                                   struct pixl_error *err),
                       struct pixl_error *err)
{
    size_t n_values = 1;
    for (size_t k = 0; k < text.n; k++)
        n_values += text.p[k] == '\\';
    if (n_values > VALUES_MAX)
        return instance_refuse(in, STUDY_WHY_UNSUPPORTED_VALUE, i);
    char *out = arena_calloc(in->arena, n_values, DICOM_UID_MAX + 1);
    if (out == NULL)
        return pixl_fail(err, PIXL_E_NOMEM, 0, "list of %zu values", n_values);
    struct str value, result = { out, 0 };
    bool more = true;
    while (more) {
        char mapped[DICOM_UID_MAX + 1] = "";
        more = str_split(text, '\\', &value, &text);
        value = str_trim(dicom_uid_trim(value));
        if (value.n > 0 && !one(in, value, mapped, err))
            return false;
        const struct str one_mapped = str_of(mapped);
        memcpy(out + result.n, one_mapped.p, one_mapped.n);
        result.n += one_mapped.n;
        if (more)
            out[result.n++] = '\\';
    }
    return set_value(in, i, vr, result, vr == DICOM_VR_UI ? REPORT_UID_MAPPED : REPORT_HASHED);
}

static bool map_uid(struct instance *in, struct str uid, char out[DICOM_UID_MAX + 1], struct pixl_error *err)
{
    return study_map_uid(in->study, uid, out, err) && residue_add_uid(in->study->residue, uid, err);
}

static bool map_uids(struct instance *in, uint32_t i, struct pixl_error *err)
{
    struct str text;
    in->at = i;
    return dicom_value(in->f, i, &text, err) && map_values(in, i, DICOM_VR_UI, text, map_uid, err);
}

/* The patient's own id gives the patient's pseudonym wherever it stands; other ids their own. */
static bool hash_long(struct instance *in, struct str value, char out[DICOM_UID_MAX + 1], struct pixl_error *err)
{
    if (in->text[TOP_PATIENT].n > 0 && str_eq(value, in->text[TOP_PATIENT])) {
        memcpy(out, in->patient, strlen(in->patient) + 1);
        return true;
    }
    return pseudonyms_text(in->study->pseudonyms, phi_text(value), 64, out, err);
}

static bool hash_short(struct instance *in, struct str value, char out[DICOM_UID_MAX + 1], struct pixl_error *err)
{
    return pseudonyms_text(in->study->pseudonyms, phi_text(value), 16, out, err);
}

/* The character set that holds for an element: its item's, or the nearest around it that names one. */
static bool charset_of(struct instance *in, uint32_t i, struct dicom_charset *set, struct pixl_error *err)
{
    uint32_t item = in->f->elements[i].parent;
    while (item != DICOM_NO_PARENT) {
        int64_t at = dicom_find(in->f, item, DICOM_SPECIFIC_CHARACTER_SET);
        struct str value;
        if (at >= 0) {
            if (!dicom_value(in->f, (uint32_t)at, &value, err))
                return false;
            *set = dicom_charset_parse(value);
            return true;
        }
        item = in->f->elements[in->f->elements[item].parent].parent;
    }
    *set = dicom_charset_parse(in->text[TOP_CHARSET]);
    return true;
}

/* Can nobody tell what is in a value, nor a reader of the output?  A sequence that is not written as one, whose items
 * cannot be seen; what the standard wants to be text and is written as something else; numbers that are not whole, as the
 * VR or the dictionary has them.  A character set is known by CS, or nothing that it governs is. */
static bool is_opaque(const struct dicom_element *e, enum dicom_vr vr, enum dicom_vr dict_vr)
{
    if (vr == DICOM_VR_SQ || dict_vr == DICOM_VR_SQ)
        return true;
    if (e->tag == DICOM_SPECIFIC_CHARACTER_SET)
        return vr != DICOM_VR_CS;
    if (dicom_vr_is_text(vr))
        return false;
    unsigned n = dicom_vr_number_bytes(vr);
    if (n == 0)
        n = dicom_vr_number_bytes(dict_vr);
    return dicom_vr_is_text(dict_vr) || (n != 0 && (e->value_bytes & (n - 1)) != 0);
}

static bool keep(struct instance *in, uint32_t i, const struct scheme_entry *rule)
{
    const struct dicom_element *e = &in->f->elements[i];
    enum dicom_vr vr = instance_vr(e), dict_vr = rule ? (enum dicom_vr)rule->dict_vr : dicom_dict_vr(e->tag);
    if (e->value_bytes > 0 && is_opaque(e, vr, dict_vr))
        return instance_refuse(in, STUDY_WHY_UNSUPPORTED_VALUE, i);
    in->decisions[i] = (struct decision){
        .what = DECISION_KEEP, .vr = (uint8_t)vr, .dict_vr = (uint8_t)dict_vr, .exempt = rule ? rule->exempt : 0
    };
    if (e->value_bytes == 0)
        return true;
    in->options |= (rule ? rule->options : 0u) | (dicom_tag_is_private(e->tag) ? PROFILE_PRIVATE : 0u);
    in->dates_kept = in->dates_kept || vr == DICOM_VR_DA || vr == DICOM_VR_DT;
    return true;
}

/* A value that an operation has nothing for; an empty one hides nothing, whatever it is called. */
static bool refuse_value(struct instance *in, uint32_t i)
{
    return in->f->elements[i].value_bytes == 0 ? keep(in, i, NULL)
                                               : instance_refuse(in, STUDY_WHY_UNSUPPORTED_VALUE, i);
}

static bool hash_value(struct instance *in, uint32_t i, struct pixl_error *err)
{
    const struct dicom_element *e = &in->f->elements[i];
    enum dicom_vr vr = instance_vr(e);
    if (vr != DICOM_VR_LO && vr != DICOM_VR_SH)
        return refuse_value(in, i);
    struct dicom_charset set;
    struct str text;
    return charset_of(in, i, &set, err) && instance_text(in, i, &set, &text, err) &&
           map_values(in, i, vr, text, vr == DICOM_VR_LO ? hash_long : hash_short, err);
}

static bool zeros(struct instance *in, uint32_t i, enum dicom_vr vr, struct pixl_error *err)
{
    const struct dicom_element *e = &in->f->elements[i];
    if ((e->flags & DICOM_IS_ENCAPSULATED) || e->value_bytes > in->f->limits.max_value_bytes)
        return instance_refuse(in, STUDY_WHY_UNSUPPORTED_VALUE, i);
    const char *p = arena_alloc(in->arena, (size_t)e->value_bytes);
    return p != NULL ? set_value(in, i, vr, (struct str){ p, (size_t)e->value_bytes }, REPORT_REPLACED)
                     : pixl_fail(err, PIXL_E_NOMEM, 0, "value of an element");
}

static bool replace_or_empty(struct instance *in, uint32_t i, bool replaces, struct pixl_error *err)
{
    const struct dicom_element *e = &in->f->elements[i];
    enum dicom_vr vr = instance_vr(e);
    struct str value;
    if (e->flags & DICOM_IS_ENCAPSULATED)
        return instance_refuse(in, STUDY_WHY_UNSUPPORTED_VALUE, i);
    switch (replaces ? action_replace(vr, &value) : action_empty(vr, &value)) {
    case ACTION_VALUE:    return set_value(in, i, vr, value, value.n > 0 ? REPORT_REPLACED : REPORT_EMPTIED);
    case ACTION_ZEROS:    return zeros(in, i, vr, err);
    case ACTION_MAP_UIDS: return map_uids(in, i, err);
    case ACTION_NONE:     break;
    }
    return refuse_value(in, i); /* a sequence that could not be read as one */
}

static bool decide_sequence(struct instance *in, uint32_t i, enum inherited inherited, struct pixl_error *err)
{
    const struct dicom_element *e = &in->f->elements[i];
    bool changed = false;
    uint64_t content = 0;
    for (uint32_t k = i + 1; k < e->end; k = in->f->elements[k].end) {
        const struct dicom_element *item = &in->f->elements[k];
        struct decision *d = &in->decisions[k];
        bool item_changed = false;
        uint64_t bytes = 0;
        if (!decide_level(in, k, k + 1, item->end, inherited, &item_changed, &bytes, err))
            return false;
        item_changed = item_changed || (item->flags & DICOM_IS_UNORDERED); /* it is written sorted */
        bytes += (item->value_offset - item->offset) + (item->flags & DICOM_IS_UNDEFINED ? 8 : 0);
        *d = (struct decision){ .what = item_changed ? DECISION_CHANGED : DECISION_KEEP, .bytes = bytes };
        changed = changed || item_changed;
        content += bytes;
    }
    if (content >= DICOM_UNDEFINED_LENGTH)
        return instance_refuse(in, STUDY_WHY_UNSUPPORTED_VALUE, i);
    content += (e->value_offset - e->offset) + (e->flags & DICOM_IS_UNDEFINED ? 8 : 0);
    in->decisions[i] = (struct decision){ .what = changed ? DECISION_CHANGED : DECISION_KEEP, .bytes = content };
    return true;
}

/* The reference sets a date to a constant when it is to be deleted, because its DICOM library does; here it goes: what
 * a rule deletes is not in the output. */
static bool apply(struct instance *in, uint32_t i, const struct scheme_entry *rule, enum inherited inherited,
                  struct pixl_error *err)
{
    const struct dicom_element *e = &in->f->elements[i];
    enum project_tag_op op = (enum project_tag_op)rule->op;
    bool replaces = scheme_op_replaces(op), empties = scheme_op_empties(op);
    if (op == PROJECT_OP_DELETE)
        return drop(in, i, REPORT_BY_RULE);
    if (e->flags & DICOM_IS_SEQUENCE) {
        bool is_empty = e->end == i + 1;
        if (!is_empty && (op == PROJECT_OP_SECURE_HASH || op == PROJECT_OP_REPLACE_UID))
            return instance_refuse(in, STUDY_WHY_UNSUPPORTED_VALUE, i);
        if (op != PROJECT_OP_KEEP)
            inherited = replaces ? INHERIT_REPLACE : INHERIT_EMPTY;
        return decide_sequence(in, i, inherited, err);
    }
    if (op == PROJECT_OP_KEEP && inherited == INHERIT_NOTHING)
        return keep(in, i, rule);
    if (op == PROJECT_OP_KEEP) {
        replaces = inherited == INHERIT_REPLACE;
        empties = !replaces;
    }
    if (replaces || empties)
        return replace_or_empty(in, i, replaces, err);
    if (op == PROJECT_OP_SECURE_HASH)
        return hash_value(in, i, err);
    if (instance_vr(e) == DICOM_VR_UI)
        return map_uids(in, i, err);
    if (op == PROJECT_OP_REPLACE_UID)
        return refuse_value(in, i);
    return replace_or_empty(in, i, false, err);                      /* delete_or_empty_or_replace_UID */
}

/* Of two creators of one block nobody knows whose data it is. */
static bool is_disputed(const struct instance *in, uint32_t i)
{
    const uint32_t next = in->f->elements[i].end;
    return next < in->f->n_elements && in->f->elements[next].tag == in->f->elements[i].tag &&
           (in->f->elements[next].flags & DICOM_IS_DUPLICATE);
}

/* A creator element waits, dropped, until data of its block is kept; a rule may keep it by itself, or delete its
 * block. */
static bool decide_creator(struct instance *in, struct level *lv, uint32_t i)
{
    const struct dicom_element *e = &in->f->elements[i];
    const struct scheme_entry *rule = scheme_find(in->scheme, e->tag);
    if (rule != NULL && rule->op == PROJECT_OP_DELETE)
        return drop(in, i, REPORT_BY_RULE);
    if (e->value_bytes == 0 || (e->flags & DICOM_IS_SEQUENCE) || is_disputed(in, i))
        return true;
    lv->creators[e->tag & 0xFF] = i + 1;
    return rule == NULL || keep(in, i, rule);
}

static bool decide_private(struct instance *in, struct level *lv, uint32_t i, struct pixl_error *err)
{
    const struct dicom_element *e = &in->f->elements[i];
    if (!lv->has_creators || lv->group != DICOM_GROUP(e->tag)) {
        memset(lv->creators, 0, sizeof lv->creators);
        lv->group = DICOM_GROUP(e->tag);
        lv->has_creators = true;
    }
    if (dicom_tag_is_private_creator(e->tag))
        return decide_creator(in, lv, i);
    uint32_t block = DICOM_ELEMENT_OF(e->tag) >> 8;
    uint32_t creator = block >= 0x10 ? lv->creators[block] : 0;
    if (creator == 0)
        return drop(in, i, REPORT_NO_CREATOR);
    creator--;
    const struct scheme_entry *rule;
    if (in->scheme->n_creators == 0) {
        rule = scheme_find(in->scheme, e->tag);
    } else {
        struct str name;
        if (!dicom_value(in->f, creator, &name, err))
            return false;
        rule = scheme_find_private(in->scheme, e->tag, str_trim(dicom_uid_trim(name)));
    }
    if (rule == NULL)
        return true;
    if (!apply(in, i, rule, lv->inherited, err))
        return false;
    return in->decisions[i].what == DECISION_DROP || in->decisions[creator].what != DECISION_DROP ||
           keep(in, creator, NULL);
}

/* Written anew from what was really done: never the source's. */
static bool is_marker(uint32_t tag)
{
    return tag == DICOM_PATIENT_IDENTITY_REMOVED || tag == DICOM_DEIDENTIFICATION_METHOD ||
           tag == DICOM_DEIDENTIFICATION_METHOD_CODES || tag == DICOM_LONGITUDINAL_TEMPORAL_MODIFIED;
}

/* Elements of the main data set that do not go by the scheme alone. */
static bool decide_special(struct instance *in, uint32_t i, bool *done, struct pixl_error *err)
{
    *done = true;
    switch (in->f->elements[i].tag) {
    case DICOM_STUDY_UID:        return set_uid(in, i, in->study_uid, err);
    case DICOM_SERIES_UID:       return set_uid(in, i, in->series_uid, err);
    case DICOM_SOP_INSTANCE_UID: return set_uid(in, i, in->sop_uid, err);
    default:
        *done = is_marker(in->f->elements[i].tag);
        return !*done || drop(in, i, REPORT_OLD_MARKER);
    }
}

/* An overlay without data of its own is one of the bits of the pixels that no sample uses (PS3.3 section C.9.2, retired
 * there): it stays with them, whatever becomes of its attributes. */
static bool check_overlay(struct instance *in, struct level *lv, uint32_t i, struct pixl_error *err)
{
    enum { OVERLAY_BITS_ALLOCATED = 0x0100, OVERLAY_BIT_POSITION = 0x0102, OVERLAY_DATA = 0x3000 };
    const uint32_t tag = in->f->elements[i].tag, element = DICOM_ELEMENT_OF(tag);
    const uint64_t usual = element == OVERLAY_BITS_ALLOCATED ? 1 : 0;
    uint64_t n;
    if ((tag & 0xFF010000u) != 0x60000000u || (element != OVERLAY_BITS_ALLOCATED && element != OVERLAY_BIT_POSITION) ||
        !keeps_pixels(in, lv))
        return true;
    if (!instance_number(in, i, usual, &n, err))
        return false;
    const int64_t data = n != usual ? dicom_find(in->f, lv->item, (tag & 0xFFFF0000u) | OVERLAY_DATA) : -1;
    return n == usual || (data >= 0 && in->f->elements[data].value_bytes > 0) ||
           instance_refuse(in, STUDY_WHY_OVERLAY_IN_PIXELS, i);
}

static bool decide_element(struct instance *in, struct level *lv, uint32_t i, struct pixl_error *err)
{
    const struct dicom_element *e = &in->f->elements[i];
    if (DICOM_ELEMENT_OF(e->tag) == 0)
        return drop(in, i, REPORT_GROUP_LENGTH);
    if (e->flags & DICOM_IS_DUPLICATE)
        return drop(in, i, REPORT_DUPLICATE);
    if (DICOM_GROUP(e->tag) < 0x0008)
        return true;
    if (!check_overlay(in, lv, i, err))
        return false;
    if (dicom_tag_is_private(e->tag))
        return decide_private(in, lv, i, err);
    if (e->tag == DICOM_SPECIFIC_CHARACTER_SET)
        return keep(in, i, NULL);
    bool done = false;
    if (lv->item == DICOM_NO_PARENT && !decide_special(in, i, &done, err))
        return false;
    if (done)
        return true;
    const struct scheme_entry *rule = scheme_find(in->scheme, e->tag);
    if (scheme_goes_with_pixels(e->tag) && (rule == NULL || rule->op != PROJECT_OP_KEEP) && keeps_pixels(in, lv))
        return rule == NULL && lv->inherited == INHERIT_NOTHING ? keep(in, i, NULL)
                                                               : instance_refuse(in, STUDY_WHY_UNSUPPORTED_VALUE, i);
    return rule == NULL || apply(in, i, rule, lv->inherited, err);
}

static bool decide_level(struct instance *in, uint32_t item, uint32_t first, uint32_t end, enum inherited inherited,
                         bool *changed, uint64_t *bytes, struct pixl_error *err)
{
    struct level lv;
    lv.item = item;
    lv.inherited = inherited;
    lv.has_creators = false;
    lv.keeps_pixels = -1;
    for (uint32_t i = first; i < end; i = in->f->elements[i].end)
        if (!decide_element(in, &lv, i, err))
            return false;
    /* Creators are decided by what follows them, so sizes are summed last. */
    bool any = false;
    uint64_t sum = 0;
    for (uint32_t i = first; i < end; i = in->f->elements[i].end) {
        const struct dicom_element *e = &in->f->elements[i];
        struct decision *d = &in->decisions[i];
        if (d->what == DECISION_KEEP)
            sum += e->next_offset - e->offset;
        else
            sum += d->bytes;
        any = any || d->what != DECISION_KEEP;
    }
    *changed = any;
    *bytes = sum;
    return true;
}

bool deid_decide(struct instance *in, struct pixl_error *err)
{
    bool changed;
    uint64_t bytes;
    return decide_level(in, DICOM_NO_PARENT, in->f->meta_end, in->f->n_elements, INHERIT_NOTHING, &changed, &bytes,
                        err);
}

bool deid_keep_all(struct instance *in, struct pixl_error *err)
{
    const struct dicom_file *f = in->f;
    in->decisions = arena_calloc(in->arena, f->n_elements, sizeof *in->decisions);
    if (in->decisions == NULL)
        return pixl_fail(err, PIXL_E_NOMEM, 0, "decisions for %u elements", (unsigned)f->n_elements);
    for (uint32_t i = f->meta_end; i < f->n_elements; i++) {
        if (f->elements[i].flags & (DICOM_IS_ITEM | DICOM_IS_SEQUENCE))
            in->decisions[i].what = DECISION_KEEP;
        else if (!keep(in, i, NULL))
            return false;
    }
    return true;
}
