/* deid.h - removes identity from the instances of one study, by one project's rules.  Plan, check, and only then emit.
 *
 * Allow-list first: what no rule names is gone, at every depth, file meta and preamble included; then the named operations; then
 * the residue check over everything that would be written.  It fails closed: what is in doubt is skipped with a reason.
 * Where the project has image operations, no pixel outside of the ultrasound regions passes (regions.c).
 *   policy   a project's rules compiled to one lookup            immutable, any thread
 *   study    identity, needles, pseudonyms of one study          one thread
 *   instance parsed file -> verdict and plan                      in the caller's arena
 * Owns: policies and studies.  Never: does I/O; emits a value that no rule kept; names a value in an error, reason or place.
 * Source: DICOM PS3.15 Annex E (2024e+), Table E.1-1. */
#ifndef PIXL_DEID_DEID_H
#define PIXL_DEID_DEID_H

#include "base/arena.h"
#include "base/error.h"
#include "base/phi.h"
#include "config/project.h"
#include "deid/pseudonym.h"
#include "dicom/file.h"
#include "dicom/plan.h"
#include "study/state.h"

struct deid_policy;
/* Compiles; refuses what could not be applied (INVALID with the rule's file and line): secure-hash on an element whose VR is neither LO nor SH,
 * replace_UID on one that is not UI, pixels kept that an image operation does not clean.  Borrows p, which must outlive it. */
PIXL_MUST_CHECK bool deid_policy_new(const struct project *p, struct deid_policy **out, struct pixl_error *err);
/* What a project may do, and its owner should know: a patient's name kept, nothing allowed through.  One say() for each. */
void deid_policy_warn(const struct project *p, void (*say)(void *ctx, const char *warning), void *ctx);
void deid_policy_free(struct deid_policy *p);
PIXL_DEFINE_CLEANUP(deid_policy, deid_policy_free)
/* Do the compiled rules satisfy the basic application confidentiality profile (113100)? */
bool deid_policy_is_basic_profile(const struct deid_policy *p);

struct deid_study_args {
    const struct deid_policy *policy;
    const struct pseudonyms *pseudonyms;
    struct phi_text mrn;             /* PatientID of every instance must equal it (trimmed); not empty, or every patient is taken (`pixl deid` only) */
    struct phi_text accession_number;/* a needle; may be empty */
    struct phi_text study_uid;       /* as found; every instance must have it; empty: each instance's own is used (`pixl deid` only) */
    struct phi_text series_uids;     /* wanted, joined by '\'; empty: all */
    struct str participant_id;       /* replaces the hash of the MRN; may be empty */
    struct str pseudo_study_uid;     /* adopted; empty: computed */
    struct report *report; /* borrowed: counts what is done to each element (deid/report.h); NULL: nobody does */
};
struct deid_study;
PIXL_MUST_CHECK bool deid_study_new(const struct deid_study_args *args, struct deid_study **out, struct pixl_error *err);
void deid_study_free(struct deid_study *s);
PIXL_DEFINE_CLEANUP(deid_study, deid_study_free)
/* The pseudo study UID ("" while study_uid is not known) and the pseudonym of the patient. */
const char *deid_study_uid(const struct deid_study *s);
const char *deid_study_patient(const struct deid_study *s);

/* Tells, before any instance, how many instances a series has in the archive (min_instances_per_series): distinct SOP Instance UIDs before
 * any filter, one of several frames counts them. */
PIXL_MUST_CHECK bool deid_study_expect_series(struct deid_study *s, struct phi_text series_uid, uint64_t n_instances,
                                              struct pixl_error *err);
/* May this series be left out without reading any of it?  *why: not requested, too few instances; NONE: read it. */
void deid_study_series_wanted(const struct deid_study *s, struct phi_text series_uid, enum study_reason *why);

enum deid_verdict {
    DEID_EMIT,                       /* plan holds what may be written */
    DEID_FILTERED,                   /* left out by the project's rules: modality, manufacturer, series ... */
    DEID_REFUSED,                    /* in doubt: left out because it cannot be de-identified safely (why) */
    DEID_MISMATCH,                   /* another patient or study: the study must fail */
    DEID_RESIDUE,                    /* identity was left: the study must be withheld (where) */
};
enum { DEID_WHERE_SIZE = 96 };
struct deid_result {
    enum deid_verdict verdict;
    enum study_reason why;
    char where[DEID_WHERE_SIZE];     /* tag path, "(0040,A730)[3].(0040,A160)"; "" when there is none */
    char series_uid[DICOM_UID_MAX + 1], sop_uid[DICOM_UID_MAX + 1];      /* pseudonyms, of DEID_EMIT */
    bool pixels_compressed; /* encapsulated or deflated: not worth deflating */
    struct dicom_plan plan; /* of DEID_EMIT, in the arena given; its ranges are of f->source */
    const uint8_t *actions; /* of DEID_EMIT with a report: enum report_action of each element, in the arena given */
};
/* f was parsed by dicom_parse() with this arena.  A later instance may bring a needle that an earlier one holds: then the verdict is
 * DEID_RESIDUE with the earlier place, also where the later instance is filtered, refused or cannot be decided.
 * Fails: NOMEM, IO, CORRUPT (file shrank), LIMIT; the instance is then not decided. */
PIXL_MUST_CHECK bool deid_instance(struct deid_study *s, struct dicom_file *f, struct arena *arena, struct deid_result *out, struct pixl_error *err);

/* Was identity found in any instance so far?  To be asked once more before a study is given away. */
bool deid_study_has_residue(const struct deid_study *s);

/* Pseudonym of an instance before it is read, so that instances can be taken in the order of their pseudonyms. */
PIXL_MUST_CHECK bool deid_study_pseudo_uid(const struct deid_study *s, struct phi_text uid, char out[DICOM_UID_MAX + 1], struct pixl_error *err);

#endif
