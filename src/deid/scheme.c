#include "scheme.h"

#include <stdlib.h>
#include <string.h>

#include "deid/profile.h"
#include "dicom/tag.h"

/* UIDs of what is the patient's: objects, frames of reference, what was observed or given.  Not those of classes, codes
 * and devices, which many share. */
static bool is_patients_uid(uint32_t tag)
{
    switch (tag) {
    case 0x00080017: /* Acquisition */
    case 0x00080019: /* Pyramid */
    case 0x00080058: /* Failed SOP Instance UID List */
    case 0x00081155: /* Referenced SOP Instance */
    case 0x00081167: /* Multi-frame Source SOP Instance */
    case 0x00083010: /* Irradiation Event */
    case 0x00083012: /* Radiopharmaceutical Administration Event */
    case DICOM_SOP_INSTANCE_UID:
    case DICOM_STUDY_UID:
    case DICOM_SERIES_UID:
    case 0x00200052: /* Frame of Reference */
    case 0x00200200: /* Synchronization Frame of Reference */
    case 0x00200242: /* SOP Instance of Concatenation Source */
    case 0x00209161: /* Concatenation */
    case 0x00400554: /* Specimen */
    case 0x0040A124: /* UID, of a content item */
    case 0x0040A171: /* Observation */
    case 0x0040A402: /* Observation Subject */
    case 0x00620021: /* Tracking */
    case 0x00640003: /* Source Frame of Reference */
    case 0x30060024: /* Referenced Frame of Reference */
    case 0x300600C2: /* Related Frame of Reference */ return true;
    default: return false;
    }
}

unsigned scheme_identity_of(uint32_t tag)
{
    switch (tag) {
    case DICOM_PATIENT_ID: case DICOM_OTHER_PATIENT_IDS:
        return IDENTITY_MRN;
    case DICOM_ACCESSION_NUMBER:
        return IDENTITY_ACCESSION;
    case 0x00200010:             /* Study ID */
        return IDENTITY_STUDY_ID;
    case 0x00380010:             /* Admission ID */
    case 0x00101090:             /* Medical Record Locator */
    case 0x00100033:             /* Patient's Birth Date in Alternative Calendar */
    case 0x00102154:             /* Patient's Telephone Numbers */
    case 0x00120040:             /* Clinical Trial Subject ID */
    case 0x00120042:             /* Clinical Trial Subject Reading ID */
    case 0x00380060:             /* Service Episode ID */
    case 0x00402016:             /* Placer Order Number */
    case 0x00402017:             /* Filler Order Number */
    case 0x00400009:             /* Scheduled Procedure Step ID */
    case 0x00400253:             /* Performed Procedure Step ID */
    case 0x00401001: /* Requested Procedure ID */ return IDENTITY_ID;
    case DICOM_PATIENT_NAME: case DICOM_OTHER_PATIENT_NAMES: case DICOM_PATIENT_BIRTH_NAME:
    case 0x00101060:             /* Patient's Mother's Birth Name */
        return IDENTITY_PATIENT;
    case DICOM_PATIENT_BIRTH_DATE:
        return IDENTITY_DATE;
    default: return is_patients_uid(tag) ? IDENTITY_UID : 0;
    }
}

/* When something was done to the patient: where a rule keeps that, it is kept on the day of birth too. */
static bool is_event_date(uint32_t tag)
{
    switch (tag) {
    case DICOM_STUDY_DATE:
    case 0x00080021:             /* Series Date */
    case 0x00080022:             /* Acquisition Date */
    case 0x00080023:             /* Content Date */
    case 0x0008002A:             /* Acquisition DateTime */
        return true;
    default:
        return false;
    }
}

bool scheme_op_replaces(enum project_tag_op op)
{
    return op == PROJECT_OP_REPLACE || op == PROJECT_OP_EMPTY_OR_REPLACE || op == PROJECT_OP_DELETE_OR_REPLACE ||
           op == PROJECT_OP_DELETE_OR_EMPTY_OR_REPLACE;
}

bool scheme_op_empties(enum project_tag_op op)
{
    return op == PROJECT_OP_EMPTY || op == PROJECT_OP_DELETE_OR_EMPTY;
}

bool scheme_goes_with_pixels(uint32_t tag)
{
    switch (tag) {
    case 0x00280002: case 0x00280004: case DICOM_PLANAR_CONFIGURATION: case DICOM_NUMBER_OF_FRAMES:
    case 0x00280010: case 0x00280011: case 0x00280100: case 0x00280101: case 0x00280102: case 0x00280103:
    case DICOM_EXTENDED_OFFSET_TABLE: case DICOM_EXTENDED_OFFSET_LENGTHS:
        return true;
    default:
        return false;
    }
}

static uint32_t slot_of(uint32_t tag)
{
    return (tag * 2654435769u) >> 7;
}

/* What follows from keeping an element: the needles that its own value is, and the profile's options that it uses. */
static struct scheme_entry entry_of(uint32_t tag, enum project_tag_op op)
{
    struct scheme_entry e = { .tag = tag, .op = (uint8_t)op, .dict_vr = (uint8_t)dicom_dict_vr(tag) };
    if (op != PROJECT_OP_KEEP)
        return e;
    const struct dicom_dict_entry *d = dicom_dict_find(tag);
    const struct profile_row *row = profile_find(tag);
    unsigned exempt = scheme_identity_of(tag);
    if (d != NULL && d->vr == DICOM_VR_PN && exempt == 0)
        exempt = IDENTITY_PERSON;
    else if (exempt == IDENTITY_PATIENT)
        exempt |= IDENTITY_PERSON; /* what stands there is the patient's name, whoever else bears it */
    if (d != NULL && d->vr == DICOM_VR_UI && row != NULL)
        exempt |= IDENTITY_UID;
    if (is_event_date(tag))
        exempt |= IDENTITY_DATE;
    e.exempt = (uint8_t)exempt;
    e.options = row != NULL && !dicom_tag_is_private(tag) ? row->options : 0;
    return e;
}

static void put(struct scheme *s, const struct project_tag_rule *r)
{
    if (r->private_creator != NULL) {
        struct scheme_creator_rule new = {
            .group = r->group, .low = (uint8_t)r->element, .creator = str_of(r->private_creator),
            .entry = entry_of(DICOM_TAG(r->group, r->element & 0xFF), r->op),
        };
        new.entry.dict_vr = DICOM_VR_UN;         /* its tag here is not the element's, which looks like a creator's */
        size_t i = 0;
        while (i < s->n_creators && !(s->creators[i].group == new.group && s->creators[i].low == new.low &&
                                      str_eq(s->creators[i].creator, new.creator)))
            i++;
        s->creators[i] = new;
        if (i == s->n_creators)
            s->n_creators++;
        return;
    }
    uint32_t tag = DICOM_TAG(r->group, r->element);
    uint32_t i = slot_of(tag) & s->mask;
    while (s->slots[i].tag != 0 && s->slots[i].tag != tag)
        i = (i + 1) & s->mask;
    s->slots[i] = entry_of(tag, r->op);
}

bool scheme_new(const struct project *p, const bool *applies, struct scheme **out, struct pixl_error *err)
{
    size_t n = p->n_base_rules;
    for (size_t i = 0; applies != NULL && i < p->n_overrides; i++)
        n += applies[i] ? p->overrides[i].n_rules : 0;
    size_t n_slots = 64;
    while (n_slots < 2 * n + 2)
        n_slots *= 2;
    PIXL_CLEANUP(scheme_freep) struct scheme *s = calloc(1, sizeof *s);
    if (s == NULL || (s->slots = calloc(n_slots, sizeof *s->slots)) == NULL ||
        (s->creators = calloc(n + 1, sizeof *s->creators)) == NULL)
        return pixl_fail(err, PIXL_E_NOMEM, 0, "tag scheme of %zu rules", n);
    s->mask = (uint32_t)n_slots - 1;
    for (size_t i = 0; i < p->n_base_rules; i++)
        put(s, &p->base_rules[i]);
    for (size_t i = 0; applies != NULL && i < p->n_overrides; i++)
        for (size_t j = 0; applies[i] && j < p->overrides[i].n_rules; j++)
            put(s, &p->overrides[i].rules[j]);
    *out = PIXL_STEAL(&s);
    return true;
}

void scheme_free(struct scheme *s)
{
    if (s == NULL)
        return;
    free(s->slots);
    free(s->creators);
    free(s);
}

const struct scheme_entry *scheme_find(const struct scheme *s, uint32_t tag)
{
    uint32_t i = slot_of(tag) & s->mask;
    while (s->slots[i].tag != tag) {
        if (s->slots[i].tag == 0)
            return NULL;
        i = (i + 1) & s->mask;
    }
    return &s->slots[i];
}

const struct scheme_entry *scheme_find_private(const struct scheme *s, uint32_t tag, struct str creator)
{
    for (size_t i = 0; i < s->n_creators; i++) {
        const struct scheme_creator_rule *r = &s->creators[i];
        if (r->group == DICOM_GROUP(tag) && r->low == (uint8_t)tag && str_eq(r->creator, creator))
            return &r->entry;
    }
    return scheme_find(s, tag);
}
