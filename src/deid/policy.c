#include "policy.h"

#include <stdio.h>
#include <stdlib.h>

#include "deid/profile.h"

/* What an element is that is somebody's name, number, day of birth or address and nothing else; NULL: it is none. */
static const char *tells_of(uint32_t tag)
{
    static const uint32_t contacts[] = { 0x00101040 /* address */, 0x00102154 /* telephone */, 0x00102155 /* telecom */ };
    const struct dicom_dict_entry *entry = dicom_dict_find(tag);
    unsigned identity = scheme_identity_of(tag);
    for (size_t i = 0; i < ARRAY_LEN(contacts); i++)
        if (contacts[i] == tag)
            return "it tells where the patient is found";
    if (identity & IDENTITY_DATE)
        return "it is the patient's day of birth";
    if (identity & IDENTITY_PATIENT)
        return "it names the patient";
    if (identity & IDENTITY_IDS)
        return "it is a number by which the hospital knows the patient or the study";
    return entry != NULL && entry->vr == DICOM_VR_PN ? "it names a person" : NULL;
}

static void warn_of_rules(const struct project_tag_rule *rules, size_t n, void (*say)(void *ctx, const char *warning),
                          void *ctx)
{
    for (size_t i = 0; i < n; i++) {
        const struct project_tag_rule *r = &rules[i];
        const char *what = r->op == PROJECT_OP_KEEP ? tells_of(DICOM_TAG(r->group, r->element)) : NULL;
        char text[256];
        if (what == NULL)
            continue;
        (void)snprintf(text, sizeof text, "%s:%d: warning: (%04X,%04X) keep: %s, and will be delivered as it is",
                       r->file ? r->file : "?", r->line, r->group, r->element, what);
        say(ctx, text);
    }
}

void deid_policy_warn(const struct project *p, void (*say)(void *ctx, const char *warning), void *ctx)
{
    warn_of_rules(p->base_rules, p->n_base_rules, say, ctx);
    for (size_t i = 0; i < p->n_overrides; i++)
        warn_of_rules(p->overrides[i].rules, p->overrides[i].n_rules, say, ctx);
    if (p->n_manufacturers == 0) {
        char text[256];
        (void)snprintf(text, sizeof text, "%s.yaml: warning: allowed_manufacturers is absent: no instance of any maker will "
                       "pass (regex: \".*\" allows all)", p->slug.n ? p->slug.p : "project");
        say(ctx, text);
    }
}

/* Rules that no data set could satisfy are refused now, not at the first instance. */
static bool check_rule(const struct project_tag_rule *r, bool cleans_pixels, struct pixl_error *err)
{
    const uint32_t tag = DICOM_TAG(r->group, r->element);
    const char *why = NULL;
    bool is_private = dicom_tag_is_private(tag);
    enum dicom_vr vr = DICOM_VR_NONE;
    if (!is_private && dicom_dict_find(tag) != NULL)
        vr = dicom_dict_vr(tag);
    bool maps = r->op == PROJECT_OP_REPLACE_UID || r->op == PROJECT_OP_DELETE_OR_EMPTY_OR_REPLACE_UID;
    if (r->private_creator != NULL && !is_private)
        why = "private_creator stands at an element of an even group";
    else if (r->group < 0x0008 && r->op != PROJECT_OP_DELETE)
        why = "file meta and command elements are made afresh, none is kept or changed";
    else if (r->op == PROJECT_OP_SECURE_HASH && vr != DICOM_VR_NONE && vr != DICOM_VR_LO && vr != DICOM_VR_SH)
        why = "secure-hash needs an element of VR LO or SH";
    else if (r->op == PROJECT_OP_REPLACE_UID && vr != DICOM_VR_NONE && vr != DICOM_VR_UI)
        why = "replace_UID needs an element of VR UI";
    else if (tag == DICOM_SPECIFIC_CHARACTER_SET && r->op != PROJECT_OP_KEEP)
        why = "the character set of what is kept must be kept";
    else if ((tag == DICOM_SOP_INSTANCE_UID || tag == DICOM_STUDY_UID || tag == DICOM_SERIES_UID) && !maps &&
             !scheme_op_replaces(r->op))
        why = "the study, series and SOP instance UIDs are always replaced by pseudonyms: only replace_UID can stand "
              "here";
    else if (dicom_tag_is_private_creator(tag) && r->private_creator == NULL && r->op != PROJECT_OP_KEEP &&
             r->op != PROJECT_OP_DELETE)
        why = "a private creator can only be kept or deleted";
    else if (cleans_pixels && r->op == PROJECT_OP_KEEP && tag != DICOM_PIXEL_DATA && deid_holds_pixels(tag))
        why =
            "image operations clean Pixel Data (7FE0,0010) alone, and these pixels would pass as they are: let a later "
            "file delete them";
    if (why == NULL)
        return true;
    return pixl_fail(err, PIXL_E_INVALID, 0, "%s:%d: (%04X,%04X) %s: %s", r->file ? r->file : "?", r->line, r->group,
                     r->element, project_tag_op_name(r->op), why);
}

static bool check_rules(const struct project_tag_rule *rules, size_t n, bool cleans_pixels, struct pixl_error *err)
{
    for (size_t i = 0; i < n; i++)
        if (!check_rule(&rules[i], cleans_pixels, err))
            return false;
    return true;
}

/* Does op do to an attribute what its row of Table E.1-1 asks?  entry NULL: no rule names it, so it is removed.
 * Stricter than the table where that depends on the IOD: Z, D and U of a standard attribute must be named. */
static bool satisfies(const struct profile_row *row, const struct scheme_entry *entry, bool maps_references)
{
    enum project_tag_op op = entry ? (enum project_tag_op)entry->op : PROJECT_OP_DELETE;
    bool removes = op == PROJECT_OP_DELETE;
    bool replaces = scheme_op_replaces(op) || op == PROJECT_OP_SECURE_HASH;
    bool maps = op == PROJECT_OP_REPLACE_UID || op == PROJECT_OP_DELETE_OR_EMPTY_OR_REPLACE_UID;
    bool empties = scheme_op_empties(op);
    switch ((enum profile_action)row->action) {
    case PROFILE_X:   return removes;
    case PROFILE_Z:   return replaces || empties || (removes && !row->is_standard);
    case PROFILE_D:   return replaces || (removes && !row->is_standard);
    case PROFILE_ZD:  return replaces || empties || (removes && !row->is_standard);
    case PROFILE_U:   return maps || replaces || (removes && !row->is_standard);
    case PROFILE_XZ:  return removes || replaces || empties;
    case PROFILE_XD:  return removes || replaces;
    case PROFILE_XZD: return removes || replaces || empties;
    case PROFILE_XZU: return removes || replaces || empties || (op == PROJECT_OP_KEEP && maps_references);
    }
    return false;
}

static bool rule_is_basic(uint32_t tag, const struct scheme_entry *e, bool maps_references)
{
    const struct profile_row *row = profile_find(tag);
    return row == NULL || satisfies(row, e, maps_references);
}

static bool maps_references(const struct scheme *s)
{
    const struct scheme_entry *e = scheme_find(s, 0x00081155);      /* Referenced SOP Instance UID */
    return e == NULL || e->op != PROJECT_OP_KEEP;
}

/* Rows of the table against the base scheme, every rule against its row (repeating and odd groups have no one tag),
 * and the rules of every override alone: each may or may not be applied. */
static bool scheme_is_basic(const struct project *p, const struct scheme *s)
{
    bool maps = maps_references(s);
    size_t n;
    const struct profile_row *rows = profile_rows(&n);
    for (size_t i = 0; i < n; i++) {
        if (rows[i].mask != 0xFFFFFFFFu || DICOM_GROUP(rows[i].tag) < 0x0008)
            continue; /* groups 0002 and below never pass; the SOP instance in the meta is mapped */
        if (rows[i].tag == DICOM_SOP_INSTANCE_UID || rows[i].tag == DICOM_STUDY_UID || rows[i].tag == DICOM_SERIES_UID)
            continue;                       /* always mapped */
        if (!satisfies(&rows[i], scheme_find(s, rows[i].tag), maps))
            return false;
    }
    for (uint32_t i = 0; i <= s->mask; i++)
        if (s->slots[i].tag != 0 && !rule_is_basic(s->slots[i].tag, &s->slots[i], maps))
            return false;
    for (size_t i = 0; i < s->n_creators; i++)
        if (s->creators[i].entry.op != PROJECT_OP_DELETE)
            return false;
    for (size_t i = 0; i < p->n_overrides; i++)
        for (size_t j = 0; j < p->overrides[i].n_rules; j++) {
            const struct project_tag_rule *r = &p->overrides[i].rules[j];
            struct scheme_entry e = { .tag = DICOM_TAG(r->group, r->element), .op = (uint8_t)r->op };
            if (!rule_is_basic(e.tag, &e, maps) || (e.tag == 0x00081155 && r->op == PROJECT_OP_KEEP))
                return false;
        }
    return true;
}

bool deid_policy_new(const struct project *p, struct deid_policy **out, struct pixl_error *err)
{
    const bool cleans_pixels = p->n_deid_recipes > 0;
    if (!check_rules(p->base_rules, p->n_base_rules, cleans_pixels, err))
        return false;
    for (size_t i = 0; i < p->n_overrides; i++)
        if (!check_rules(p->overrides[i].rules, p->overrides[i].n_rules, cleans_pixels, err))
            return false;
    PIXL_CLEANUP(deid_policy_freep) struct deid_policy *d = calloc(1, sizeof *d);
    if (d == NULL)
        return pixl_fail(err, PIXL_E_NOMEM, 0, "policy");
    d->project = p;
    d->cleans_pixels = cleans_pixels;
    if (!scheme_new(p, NULL, &d->base, err))
        return false;
    const struct scheme_entry *pixels = scheme_find(d->base, DICOM_PIXEL_DATA);
    if (cleans_pixels && (pixels == NULL || pixels->op != PROJECT_OP_KEEP))
        return pixl_fail(
            err, PIXL_E_INVALID, 0,
            "%s: image_operation_files: no rule keeps Pixel Data (7FE0,0010), so that there is nothing to clean",
            p->path ? p->path : "project");
    d->is_basic_profile = scheme_is_basic(p, d->base);
    *out = PIXL_STEAL(&d);
    return true;
}

void deid_policy_free(struct deid_policy *p)
{
    if (p == NULL)
        return;
    scheme_free(p->base);
    free(p);
}

bool deid_policy_is_basic_profile(const struct deid_policy *p)
{
    return p->is_basic_profile;
}
