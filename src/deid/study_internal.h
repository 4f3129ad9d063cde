/* study_internal.h - what deciding one instance shares: the study's memory and the decisions under construction.
 *
 * An instance goes through five steps, each in a file of its own:
 *   harvest.c   what must not be left: needles from the file
 *   decide.c    for each element: drop, keep as it is, another value, or (sequences) changed inside
 *   regions.c   which pixels stay, where the project cleans them
 *   check.c     the residue check over what is kept as it is
 *   emit.c      the plan: new meta, ranges of the source, changed parts, markers
 * Internal convention: a step that returns false has either set *err or, when the instance itself is at fault, noted a
 * refusal (instance_refuse). */
#ifndef PIXL_DEID_STUDY_INTERNAL_H
#define PIXL_DEID_STUDY_INTERNAL_H

#include "deid/policy.h"
#include "deid/report.h"
#include "deid/residue.h"
#include "deid/scheme.h"
#include "dicom/charset.h"
#include "dicom/mask.h"

enum { DEID_CACHE = 8192, DEID_UID_CACHE = 512, DEID_SCHEMES = 8, DEID_DEPTH_MAX = 64 };

struct deid_series {
    struct str uid;
    uint64_t n_instances;
};
struct deid_uid_slot { size_t n; char from[DICOM_UID_MAX], to[DICOM_UID_MAX + 1]; };
/* The scheme for one text of Manufacturer; own: NULL when no override holds and the policy's is used. */
struct deid_scheme_slot { struct str manufacturer; struct scheme *own; bool is_used; };

struct deid_study {
    const struct deid_policy *policy;
    const struct pseudonyms *pseudonyms;
    struct arena arena;                      /* texts of the arguments, series */
    struct arena scratch;                    /* one piece of bytes, decoded */
    struct str mrn, accession, study_uid, series_uids, participant;
    bool is_adopted;
    char uid[DICOM_UID_MAX + 1];
    char patient[PSEUDONYM_TEXT_MAX + 1];
    struct deid_series *series; size_t n_series, cap_series;
    struct deid_scheme_slot schemes[DEID_SCHEMES]; unsigned next_scheme;
    struct residue *residue;
    struct report *report; /* NULL: nobody counts */
    uint64_t cache_keys[8]; /* random */
    unsigned cache_generation;
    uint64_t *cache;                         /* hashes of values that were checked or harvested already; DEID_CACHE */
    struct deid_uid_slot *uids;              /* DEID_UID_CACHE, by a hash of the UID */
    uint64_t open_study, open_patient;       /* keys of those seen last, where none is given (see open_study) */
    bool has_residue;                        /* an instance was DEID_RESIDUE */
};

enum decision_what { DECISION_DROP, DECISION_KEEP, DECISION_VALUE, DECISION_CHANGED };
struct decision {
    uint8_t what, vr, exempt;
    uint8_t dict_vr;                         /* of KEEP: the dictionary's; UN when it has none */
    uint8_t did; /* enum report_action of VALUE, and of DROP when it is not for want of a rule */
    uint64_t bytes;                          /* of the whole element in the output; of KEEP: not set */
    struct str value;                        /* of VALUE, not padded */
};

/* Elements of the main data set that are asked for by name. */
#define TOP_ELEMENTS(X)                      \
    X(CHARSET, DICOM_SPECIFIC_CHARACTER_SET) \
    X(SOP_CLASS, DICOM_SOP_CLASS_UID)        \
    X(SOP, DICOM_SOP_INSTANCE_UID)           \
    X(MODALITY, DICOM_MODALITY)              \
    X(MANUFACTURER, DICOM_MANUFACTURER)      \
    X(DESCRIPTION, DICOM_SERIES_DESCRIPTION) \
    X(PATIENT, DICOM_PATIENT_ID)             \
    X(STUDY, DICOM_STUDY_UID)                \
    X(SERIES, DICOM_SERIES_UID)              \
    X(NUMBER, DICOM_SERIES_NUMBER)           \
    X(BURNED_IN, DICOM_BURNED_IN_ANNOTATION) \
    X(IMAGE_TYPE, DICOM_IMAGE_TYPE)          \
    X(CONVERSION, DICOM_CONVERSION_TYPE)     \
    X(PIXELS, DICOM_PIXEL_DATA)
enum top_element {
#define X(symbol, tag) TOP_##symbol,
    TOP_ELEMENTS(X)
#undef X
    TOP_COUNT
};

struct instance {
    struct deid_study *study;
    struct dicom_file *f;
    struct arena *arena;
    const struct scheme *scheme;
    struct decision *decisions;              /* one for each element of f */
    int64_t top[TOP_COUNT];                  /* index, or -1 */
    struct str text[TOP_COUNT];              /* trimmed, UTF-8; of PIXELS: not read */
    char study_uid[DICOM_UID_MAX + 1], series_uid[DICOM_UID_MAX + 1], sop_uid[DICOM_UID_MAX + 1];
    const char *patient;                     /* pseudonym; "" when there is no PatientID */
    unsigned options;                        /* enum profile_option: what was really retained */
    bool dates_kept;
    const struct dicom_mask *mask;           /* of Pixel Data without its padding byte; NULL: kept as it is */
    uint64_t masked_bytes;
    bool is_refused;
    enum study_reason why;
    uint32_t at;                             /* element of the refusal; DICOM_NO_PARENT: none */
};

/* Notes why this instance is left out; returns false. */
bool instance_refuse(struct instance *in, enum study_reason why, uint32_t at);
/* Fills top and text.  What is refused is noted only: another patient's instance is one first of all. */
PIXL_MUST_CHECK bool instance_find_top(struct instance *in, struct pixl_error *err);
/* Which item was counted last in the sequence open at each depth, so that places asked for in file order cost no
 * counting from the start. */
struct item_counts { struct { uint32_t sequence, item, n; } at[DEID_DEPTH_MAX + 1]; };
/* "(0040,A730)[3].(0040,A160)", items from 0, as dcmodify writes paths.  counts: zeroed before the first, or NULL. */
void instance_place(const struct dicom_file *f, uint32_t index, struct item_counts *counts, char out[DEID_WHERE_SIZE]);
/* The VR that a value has: the one written, or for UN the dictionary's (PS3.5 section 6.2.2). */
enum dicom_vr instance_vr(const struct dicom_element *e);
/* The number of an element of VR US, SS, UL, SL or of text, as it is written; otherwise: when it is empty;
 * INSTANCE_NO_NUMBER: when it is not just one, or nobody says of which byte order.  Fails: as dicom_value. */
#define INSTANCE_NO_NUMBER UINT64_MAX
PIXL_MUST_CHECK bool instance_number(struct instance *in, uint32_t index, uint64_t otherwise, uint64_t *out,
                                     struct pixl_error *err);
/* The text of a value as UTF-8; *clean and what cannot be decoded: as dicom_charset_decode().  Fails: as dicom_value. */
PIXL_MUST_CHECK bool instance_decode(struct instance *in, uint32_t index, const struct dicom_charset *set,
                                     struct str *out, bool *clean, struct pixl_error *err);
/* Is raw, which gave text, to be compared as it is too?  When there are doubts, or it is UTF-8 whatever was said, or
 * a set of two bytes was called for and not left again. */
bool instance_is_raw_too(struct str raw, struct str text, bool is_clean);
/* As instance_decode(); a value that cannot be decoded comes back as it is. */
PIXL_MUST_CHECK bool instance_text(struct instance *in, uint32_t index, const struct dicom_charset *set,
                                   struct str *out, struct pixl_error *err);

/* The character set that holds at each depth while elements are gone through in file order. */
struct charset_stack { struct dicom_charset at[DEID_DEPTH_MAX + 1]; };
void charset_stack_init(struct charset_stack *c);
/* To be called for every element, before its text is read. */
PIXL_MUST_CHECK bool charset_stack_see(struct charset_stack *c, struct instance *in, uint32_t index,
                                       struct pixl_error *err);
const struct dicom_charset *charset_stack_top(const struct charset_stack *c, const struct dicom_element *e);

/* Was this very value seen before, since the last hit?  Remembers it otherwise when told so.  salt: what it was seen as,
 * since the same bytes are searched for more in one element than in another. */
uint64_t study_value_key(const struct deid_study *s, uint64_t salt, const struct dicom_charset *set, struct str bytes);
bool study_has_seen(struct deid_study *s, uint64_t key);
void study_remember(struct deid_study *s, uint64_t key);
/* uid: trimmed, not empty.  The standard's own come back as they are. */
PIXL_MUST_CHECK bool study_map_uid(struct deid_study *s, struct str uid, char out[DICOM_UID_MAX + 1],
                                   struct pixl_error *err);

PIXL_MUST_CHECK bool deid_harvest(struct instance *in, struct pixl_error *err);
PIXL_MUST_CHECK bool deid_decide(struct instance *in, struct pixl_error *err);
/* Instead: everything is kept as it is, by no rule, so that nothing may be left in it.  Makes decisions. */
PIXL_MUST_CHECK bool deid_keep_all(struct instance *in, struct pixl_error *err);
/* Sets mask when the policy cleans pixels; what cannot be cleaned is refused. */
PIXL_MUST_CHECK bool deid_regions(struct instance *in, struct pixl_error *err);
PIXL_MUST_CHECK bool deid_check(struct instance *in, struct pixl_error *err);
PIXL_MUST_CHECK bool deid_emit(struct instance *in, struct dicom_plan *plan, struct pixl_error *err);
/* One element as it is, with all that is in it. */
PIXL_MUST_CHECK bool deid_emit_kept(const struct instance *in, uint32_t i, struct dicom_plan *plan,
                                    struct pixl_error *err);
/* What is told of an instance that was done with, or was not (ok: false): res, but a hit whatever else became of it,
 * an error too: its needle may be one that an instance which was given away holds, and no later instance would ask for
 * it again.  Fails: as it did. */
PIXL_MUST_CHECK bool deid_conclude(struct instance *in, bool ok, const struct deid_result *res, struct deid_result *out,
                                   struct pixl_error *err);

/* Counts what was decided about every element of an instance that will be emitted, into the study's report.
 * *actions: enum report_action of each, in the instance's arena.  Fails: NOMEM. */
PIXL_MUST_CHECK bool deid_count(struct instance *in, const uint8_t **actions, struct pixl_error *err);

#endif
