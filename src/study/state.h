/* state.h - the life of a study: its states, the allowed moves, what an outcome leads to, and why.
 *
 * Owns: the tables that every other room asks.  Never: does I/O.
 * Threads: any; all constant. */
#ifndef PIXL_STUDY_STATE_H
#define PIXL_STUDY_STATE_H

#include "base/error.h"
#include "base/str.h"

/* Symbol, stored name, what a person is told, E: an end / O: open. */
#define STUDY_STATES(X)                                                                        \
    X(QUEUED,       "queued",       "waits to be taken from the archive",                  O)  \
    X(RETRIEVING,   "retrieving",   "is being taken from the archive and de-identified",   O)  \
    X(DEIDENTIFIED, "deidentified", "lies de-identified in the spool, to be delivered",    O)  \
    X(DELIVERING,   "delivering",   "is being delivered",                                  O)  \
    X(EXPORTED,     "exported",     "arrived at its destination",                          E)  \
    X(KEPT,         "kept",         "is de-identified; the project has no destination",    E)  \
    X(MISSING,      "missing",      "is in no archive",                                    E)  \
    X(SKIPPED,      "skipped",      "has nothing left after the project's rules",          E)  \
    X(FAILED,       "failed",       "could not be done; `pixl retry` tries again",         E)  \
    X(WITHHELD,     "withheld",     "would have revealed an identity; its zip was deleted", E) \
    X(HELD,         "held",         "was purged from a queue; populate or retry names it", E)  \
    X(ADOPTED,      "adopted",      "was there before pixl; populate or retry names it",   E)

enum study_state {
#define X(symbol, name, text, end) STUDY_##symbol,
    STUDY_STATES(X)
#undef X
    STUDY_STATE_COUNT
};

const char *study_state_name(enum study_state s);        /* "queued" */
const char *study_state_text(enum study_state s);        /* for a person */
bool study_state_parse(struct str name, enum study_state *out);
bool study_state_is_end(enum study_state s);

/* May a row go from one state to another?  The one table, in state.c; a move to the same state is not one. */
bool study_can_move(enum study_state from, enum study_state to);

/* Where `pixl retry` (or a populate that names the row) takes a row: for failed, back to where it failed when a checked
 * zip lies in the spool (failed_from is delivering), else to queued.  false: rows in this state are not retried. */
bool study_retry_target(enum study_state state, enum study_state failed_from, enum study_state *target);

/* What happens to a study after one attempt.  Not the same as why: see enum study_reason. */
enum study_outcome {
    STUDY_OUT_DEIDENTIFIED,      /* its zip lies checked in the spool */
    STUDY_OUT_EXPORTED,
    STUDY_OUT_KEPT,
    STUDY_OUT_MISSING,
    STUDY_OUT_SKIPPED,
    STUDY_OUT_WITHHELD,
    STUDY_OUT_FAILED,            /* at once: trying again would end the same way */
    STUDY_OUT_RETRY,             /* counts an attempt; failed when they are used up */
    STUDY_OUT_UNAVAILABLE,       /* opens the breaker; counts nothing */
    STUDY_OUT_LOST,              /* the claim is another's: change nothing */
    STUDY_OUT_CANCELLED,         /* given back as it was; counts nothing */
};
/* The one way from an error of an archive, the de-identifier, the spool or a destination to an outcome. */
enum study_outcome study_outcome_of(enum pixl_code code);

/* Why, from a closed vocabulary: stored, shown, counted, delivered in OUTCOMES.parquet.  Never holds a value.
 * Symbol, stored name, what a person is told; S: a study of which it leaves nothing is skipped, as nobody wanted what was there / F: has
 * failed. */
#define STUDY_REASONS(X)                                                                                            \
    X(NONE, "", "", F)                                                                                              \
    X(NOT_IN_ARCHIVE, "not-in-archive", "no archive has this study", F)                                             \
    X(NOT_IN_PRIMARY, "not-in-primary", "the primary archive does not have it; the secondary one is asked", F)      \
    X(IDENTITY_MISMATCH, "identity-mismatch", "an instance names another patient or study than was asked for", F)   \
    X(UNREADABLE_INSTANCE, "unreadable-instance", "an instance cannot be read as DICOM", F)                         \
    X(UNSUPPORTED_SYNTAX, "unsupported-syntax", "an instance has a transfer syntax that pixl does not read", F)     \
    X(CHANGED_WHILE_READ, "changed-while-read", "a file changed while it was read", F)                              \
    X(TOO_LARGE, "too-large", "a limit of size, count or depth was exceeded", F)                                    \
    X(NO_INSTANCES_LEFT, "no-instances-left", "the project's rules left no instance", S)                            \
    X(SERIES_NOT_REQUESTED, "series-not-requested", "the cohort asks for other series of this study", S)            \
    X(TOO_FEW_INSTANCES, "too-few-instances", "the series has fewer instances than the project wants", S)           \
    X(MODALITY, "modality", "the modality is not one of the project's", S)                                          \
    X(MANUFACTURER, "manufacturer", "the manufacturer is not one that the project allows", S)                       \
    X(NO_MANUFACTURER, "no-manufacturer", "no manufacturer is named, so that none is known to be allowed", S)       \
    X(SERIES_DESCRIPTION, "series-description", "the series description is filtered out by the project", S)         \
    X(SERIES_NUMBER, "series-number", "the series number is excluded for this manufacturer", S)                     \
    X(DUPLICATE_INSTANCE, "duplicate-instance", "two instances share a SOP Instance UID and differ", F)             \
    X(MISSING_ATTRIBUTE, "missing-attribute",                                                                       \
      "an attribute is absent without which the instance cannot be de-identified", F)                               \
    X(UNSUPPORTED_VALUE, "unsupported-value", "an element cannot be judged, or not changed as its rule says", F)    \
    X(PIXELS_NOT_CLEANED, "pixels-not-cleaned", "the project cleans pixels, and these cannot be cleaned", S)        \
    X(BURNED_IN, "burned-in",                                                                                       \
      "Burned In Annotation is something else than NO, or absent from a picture of a screen, film or document", S)  \
    X(OVERLAY_IN_PIXELS, "overlay-in-pixels", "an overlay lies in bits of the pixels that no sample uses", S)       \
    X(RESIDUE, "residue", "a trace of the patient's identity was left", F)                                          \
    X(SAME_STUDY, "same-study", "another row stands for the same study and delivers it", S)                         \
    X(DELIVERED_BEFORE, "delivered-before", "the study was delivered before these of its series were asked for", S) \
    X(INCOMPLETE, "incomplete", "not all instances that the archive lists could be brought from it", F)             \
    X(ARCHIVE_ERROR, "archive-error", "the archive failed for this study", F)                                       \
    X(DEIDENTIFY_ERROR, "deidentify-error", "de-identification failed", F)                                          \
    X(SPOOL_ERROR, "spool-error", "the zip could not be written or read back", F)                                   \
    X(DELIVERY_ERROR, "delivery-error", "the destination failed for this study", F)                                 \
    X(CONFIGURATION, "configuration", "the project's configuration cannot be used", F)                              \
    X(CRASHED, "crashed", "pixl crashed on this study alone", F)                                                    \
    X(UNAVAILABLE, "unavailable", "the archive or destination could not be reached; it will be tried again", F)     \
    X(LEASE_LOST, "lease-lost", "the worker that had it ended; it goes on", F)                                      \
    X(STOPPED, "stopped", "given back because pixl was stopped; it goes on", F)

enum study_reason {
#define X(symbol, name, text, end) STUDY_WHY_##symbol,
    STUDY_REASONS(X)
#undef X
    STUDY_REASON_COUNT
};
const char *study_reason_name(enum study_reason r);      /* "not-in-archive" */
const char *study_reason_text(enum study_reason r);
/* Does a study end as skipped, and not as failed, when this left nothing of it: a rule of the project or of the cohort? */
bool study_reason_is_rule(enum study_reason r);
bool study_reason_parse(struct str name, enum study_reason *out);

#endif
