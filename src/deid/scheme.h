/* scheme.h - tag rules as one lookup: the base rules of a project with the overrides that apply to a manufacturer.
 * Owns: its tables.  Never: looks at an element's value.  Threads: immutable after scheme_new(). */
#ifndef PIXL_DEID_SCHEME_H
#define PIXL_DEID_SCHEME_H

#include "base/error.h"
#include "base/str.h"
#include "config/project.h"

/* What a value can be a trace of; also what an element is exempt from, because its rule keeps that very identity. */
enum identity {
    IDENTITY_ID = 1u << 0,      /* ids that have no kind of their own here */
    IDENTITY_PATIENT = 1u << 1, /* names of the patient */
    IDENTITY_PERSON = 1u << 2,  /* names of other people */
    IDENTITY_DATE = 1u << 3,    /* birth date */
    IDENTITY_UID = 1u << 4,     /* of the patient's objects and frames of reference, and whatever was mapped */
    IDENTITY_MRN = 1u << 5,     /* patient ids */
    IDENTITY_ACCESSION = 1u << 6,
    IDENTITY_STUDY_ID = 1u << 7,
    IDENTITY_IDS = IDENTITY_ID | IDENTITY_MRN | IDENTITY_ACCESSION | IDENTITY_STUDY_ID,
    IDENTITY_ALL = 255,
};
/* The kind of identity that an element of this tag holds at any depth, by the standard's meaning; 0: none. */
unsigned scheme_identity_of(uint32_t tag);

struct scheme_entry {
    uint32_t tag;                    /* 0: an empty slot */
    uint8_t op;                      /* enum project_tag_op */
    uint8_t exempt;                  /* enum identity: what the residue check does not look for in its value */
    uint8_t options;                 /* enum profile_option that retain it, when op keeps it */
    uint8_t dict_vr;                 /* the dictionary's; DICOM_VR_UN when it has none */
};
struct scheme_creator_rule { uint16_t group; uint8_t low; struct str creator; struct scheme_entry entry; };

struct scheme {
    struct scheme_entry *slots;      /* open addressing, a power of two, at most half full */
    uint32_t mask;
    struct scheme_creator_rule *creators;
    size_t n_creators;
};

/* applies[i]: does override i of the project hold?  NULL: none does.  Texts are borrowed from p.
 * Given: scheme_free().  Fails: NOMEM. */
PIXL_MUST_CHECK bool scheme_new(const struct project *p, const bool *applies, struct scheme **out,
                                struct pixl_error *err);
void scheme_free(struct scheme *s);
PIXL_DEFINE_CLEANUP(scheme, scheme_free)

/* The rule for a tag by its literal number; NULL: no rule names it. */
const struct scheme_entry *scheme_find(const struct scheme *s, uint32_t tag);
/* The rule for a private element whose block is reserved by creator; a rule by number holds when none is by creator. */
const struct scheme_entry *scheme_find_private(const struct scheme *s, uint32_t tag, struct str creator);

/* Replacing and emptying families of operations. */
bool scheme_op_replaces(enum project_tag_op op);
bool scheme_op_empties(enum project_tag_op op);

/* Must this element stay when the pixels of its data set stay?  (PS3.3 section C.7.6.3, PS3.5 section A.4) */
bool scheme_goes_with_pixels(uint32_t tag);

#endif
