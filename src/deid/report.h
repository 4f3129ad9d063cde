/* report.h - what was done to the elements of the instances that were written, counted per attribute and action.
 *
 * deid_instance() counts into the report of its study.  What it counted lasts when the caller says that the instance
 * was written, and counts as delivered when he says that the study was:
 *
 *   deid_instance() -> instance -> report_written() -> study -> report_end_study(true) -> total
 *                      the next deid_instance() forgets         false forgets
 *
 * Every element of the source is in exactly one action but MARKER, which counts the elements that were added.
 * Owns: its table, made at once and bounded: elements of attributes that do not fit are summed up in one row.
 * Never: allocates or fails while it counts; holds a value.  The one text that it holds is the creator of private data,
 * where that is written or a rule names it.
 * Threads: one report belongs to one thread. */
#ifndef PIXL_DEID_REPORT_H
#define PIXL_DEID_REPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "dicom/tag.h"

/* Symbol, stable name, what a person is told. */
#define REPORT_ACTIONS(X)                                                                                            \
    X(KEPT, "kept", "written as it was")                                                                             \
    X(CHANGED, "changed-inside", "sequence kept, elements inside it removed or changed")                             \
    X(UID_MAPPED, "uid-mapped", "UIDs replaced by their pseudonyms (the standard's own UIDs stay)")                  \
    X(HASHED, "hashed", "replaced by a keyed hash")                                                                  \
    X(REPLACED, "replaced", "replaced by a constant")                                                                \
    X(EMPTIED, "emptied", "left empty")                                                                              \
    X(CLEANED, "pixels-cleaned", "pixels outside of the ultrasound regions set to zero")                             \
    X(NO_RULE, "removed-no-rule", "removed: no rule names it")                                                       \
    X(BY_RULE, "removed-by-rule", "removed: a rule says so")                                                         \
    X(WITH_SEQUENCE, "removed-with-sequence", "removed with the sequence that it was in")                            \
    X(NO_CREATOR, "removed-without-creator", "removed: private, and its creator is absent or was removed by a rule") \
    X(GROUP_LENGTH, "removed-group-length", "removed: a group length, which is retired")                             \
    X(DUPLICATE, "removed-duplicate", "removed: the same tag stands before it, and that one counts")                 \
    X(OLD_MARKER, "removed-marker", "removed: an older statement of de-identification")                              \
    X(META, "file-meta", "file meta: none is passed on, what is needed is made anew")                                \
    X(MARKER, "marker", "added: states what was done")
enum report_action {
#define X(symbol, name, text) REPORT_##symbol,
    REPORT_ACTIONS(X)
#undef X
        REPORT_ACTION_COUNT
};
const char *report_action_name(enum report_action a);
const char *report_action_text(enum report_action a);
bool report_action_removes(enum report_action a);

enum { REPORT_ROWS_MAX = 4096, REPORT_CREATOR_MAX = 64, REPORT_METHODS_MAX = 16, REPORT_TAG_SIZE = 12 };

enum report_tag_kind {
    REPORT_TAG,          /* tag is the element's */
    REPORT_TAG_OF_BLOCK, /* private data: the block is left out, "(0029,xx10)" */
    REPORT_TAG_CREATOR,  /* private creators, "(0029,00xx)" */
};
struct report_row {
    uint32_t tag;
    uint8_t vr, kind; /* enum dicom_vr, as the source has it; enum report_tag_kind */
    uint8_t n_creator;
    char creator[REPORT_CREATOR_MAX]; /* as in the file; empty: none, or one that is not to be shown */
    uint64_t n[REPORT_ACTION_COUNT];  /* elements of delivered instances */
    uint64_t study_[REPORT_ACTION_COUNT];
    uint32_t instance_[REPORT_ACTION_COUNT];
};
/* "(0010,0010)", "(0029,xx10)" */
void report_tag_text(const struct report_row *row, char out[REPORT_TAG_SIZE]);

/* A code of (0012,0064) and how many delivered instances have it.  Texts are constants. */
struct report_method {
    const char *code, *meaning;
    uint64_t n, study_;
    bool instance_;
};

struct report;
/* Fails: NOMEM, INTERNAL (no randomness). */
PIXL_MUST_CHECK bool report_new(struct report **out, struct pixl_error *err);
void report_free(struct report *r);
PIXL_DEFINE_CLEANUP(report, report_free)

/* The instance that deid_instance() gave last with DEID_EMIT was written. */
void report_written(struct report *r);
/* The study is at its end: what was written of it is delivered, or taken away again. */
void report_end_study(struct report *r, bool is_delivered);

/* Delivered instances. */
uint64_t report_instances(const struct report *r);
/* Rows sorted by tag, creator and VR, borrowed until the next call; *rest: all that did not fit.  Nothing may be
 * counted afterwards. */
const struct report_row *report_rows(struct report *r, size_t *n, const struct report_row **rest);
/* In order of their codes; only those that delivered instances have. */
size_t report_methods(const struct report *r, const struct report_method *out[REPORT_METHODS_MAX]);

/* For deid_instance(): the instance before was not written after all; an element is added; a code of (0012,0064). */
void report_forget(struct report *r);
void report_marker(struct report *r, uint32_t tag, enum dicom_vr vr);
void report_method(struct report *r, const char *code, const char *meaning);

#endif
