/* harvest.c - takes from an instance what must not be left of it: names, ids, birth date, UIDs.
 *
 * Every PN of the file counts, at any depth and also where its element is dropped: what a technician typed into a kept
 * description is what stands in a dropped name.  Ids, dates and UIDs count by the meaning of their tag. */
#include "study_internal.h"

/* Procedures and their steps are often numbered from 1, or named as what is done ("BRAIN"). */
static bool may_be_nobodys(uint32_t tag)
{
    return tag == 0x00400009 || tag == 0x00400253 || tag == 0x00401001;
}

static bool is_long_number(struct str s)
{
    enum { NUMBER_MIN = 6 };
    size_t n_digits = 0;
    s = str_trim(s);
    for (size_t i = 0; i < s.n; i++)
        n_digits += s.p[i] >= '0' && s.p[i] <= '9';
    return n_digits > 0 && (n_digits < s.n || n_digits >= NUMBER_MIN);
}

static bool add_values(struct deid_study *s, uint32_t tag, struct str text, enum identity kind, struct pixl_error *err)
{
    struct str one;
    bool more = true;
    while (more) {
        more = str_split(text, '\\', &one, &text);
        if (kind == IDENTITY_UID
                ? !residue_add_uid(s->residue, str_trim(one), err)
                : (!may_be_nobodys(tag) || is_long_number(one)) && !residue_add_id(s->residue, one, kind, err))
            return false;
    }
    return true;
}

static bool harvest_one(struct instance *in, uint32_t i, unsigned kind, const struct dicom_charset *set,
                        struct pixl_error *err)
{
    struct deid_study *s = in->study;
    const struct dicom_element *e = &in->f->elements[i];
    struct str raw, text;
    if (!dicom_value(in->f, i, &raw, err))
        return false;
    uint64_t key = study_value_key(s, (uint64_t)e->tag << 32 | UINT32_MAX, set, raw);
    if (study_has_seen(s, key))
        return true;
    bool is_clean;
    if (!instance_decode(in, i, set, &text, &is_clean, err))
        return false;
    bool ok = true;
    if (kind & (IDENTITY_IDS | IDENTITY_UID))
        ok = add_values(s, e->tag, is_clean ? text : raw, (enum identity)kind, err);
    else if (kind == IDENTITY_DATE)
        ok = residue_add_birth_date(s->residue, text, err);
    else
        ok = residue_add_name(s->residue, text, (enum identity)kind, err) &&
             (!instance_is_raw_too(raw, text, is_clean) || residue_add_name(s->residue, raw, (enum identity)kind, err));
    if (ok)
        study_remember(s, key);
    return ok;
}

/* By the tag's meaning, whatever VR is written. */
static unsigned kind_of(const struct dicom_element *e)
{
    if (e->vr == DICOM_VR_PN || DICOM_GROUP(e->tag) <= 0x0040 || instance_vr(e) == DICOM_VR_UI) {
        unsigned kind = scheme_identity_of(e->tag);
        if (kind != 0)
            return kind;
    }
    if (e->vr == DICOM_VR_PN)
        return IDENTITY_PERSON;
    switch (DICOM_GROUP(e->tag)) {
    case 0x0018: case 0x0020: case 0x0028: case 0x7FE0:
        return 0;                            /* most of an image; no names of people are in them */
    default:
        return dicom_dict_vr(e->tag) == DICOM_VR_PN ? IDENTITY_PERSON : 0;
    }
}

bool deid_harvest(struct instance *in, struct pixl_error *err)
{
    struct deid_study *s = in->study;
    const struct dicom_file *f = in->f;
    if (!residue_add_uid(s->residue, in->text[TOP_STUDY], err) ||
        !residue_add_uid(s->residue, in->text[TOP_SERIES], err) || !residue_add_uid(s->residue, in->text[TOP_SOP], err))
        return false;
    struct charset_stack sets;
    charset_stack_init(&sets);
    for (uint32_t i = f->meta_end; i < f->n_elements; i++) {
        const struct dicom_element *e = &f->elements[i];
        if (!charset_stack_see(&sets, in, i, err))
            return false;
        if (e->value_bytes == 0 || (e->flags & (DICOM_IS_ITEM | DICOM_IS_SEQUENCE)) || dicom_tag_is_private(e->tag))
            continue;
        unsigned kind = kind_of(e);
        if (kind != 0 && !harvest_one(in, i, kind, charset_stack_top(&sets, e), err))
            return false;
    }
    return true;
}
