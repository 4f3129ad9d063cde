/* extract.h - one attempt at one study: find, list, read, de-identify, zip into the spool; and one attempt to deliver.
 *
 * Both take a claimed row and return what became of the attempt; the caller (work.h) decides about retries and breakers and makes the
 * move.  What the archive holds is read instance by instance: memory does not grow with the study but for its list of UIDs.
 * Owns: nothing after it returned but the finished zip in the spool.  Never: changes the row's state, waits, retries.
 * Threads: any number at once, each with its own struct extract. */
#ifndef PIXL_PIPELINE_EXTRACT_H
#define PIXL_PIPELINE_EXTRACT_H

#include <stdatomic.h>

#include "base/arena.h"
#include "pipeline/gate.h"
#include "pipeline/lease.h"
#include "pipeline/site.h"
#include "store/store.h"

/* Whose trouble an error is: it tells which breaker opens. */
enum extract_stage { EXTRACT_ARCHIVE, EXTRACT_DEIDENTIFY, EXTRACT_SPOOL, EXTRACT_DELIVER };

struct extract_result {
    enum study_outcome outcome;
    enum study_reason reason;
    enum extract_stage stage;        /* where it ended, when it did not succeed */
    struct pixl_error error;         /* why, for RETRY, UNAVAILABLE and some FAILED; clean else */
    char detail[DEID_WHERE_SIZE];    /* place of a residue, or the error code's name */
    char pseudo_study_uid[DICOM_UID_MAX + 1];
    char zip_digest[65];
    int64_t zip_bytes, found, delivered, skipped;
    int64_t skipped_by[STUDY_REASON_COUNT];
    bool zip_lost;                   /* a delivery found its zip gone or damaged: the archive must be asked again */
};

/* Memory of one worker, used again for each study. */
struct extract {
    struct site *site;
    const atomic_bool *cancel;       /* give up between two instances */
    const struct lease *lease;       /* NULL: the claim is ours for ever */
    unsigned epoch;                  /* of the lease, when the row was claimed */
    struct gate *cores;              /* passed once the study has come from the archive; NULL: none */
    struct arena study, instance;
};
/* Told to give up, or the row may be another's by now: nothing of it may be written under a final name. */
bool extract_must_end(const struct extract *x);
/* Why an instance that could not be parsed or judged is left out. */
enum study_reason extract_reason_of_parse(enum pixl_code code);
void extract_init(struct extract *x, struct site *site, const atomic_bool *cancel);
void extract_done(struct extract *x);

/* image: claimed as retrieving.  Succeeds with DEIDENTIFIED: the zip lies checked in the spool. */
void extract_study(struct extract *x, const struct store_image *image, struct extract_result *out);
/* image: claimed as delivering.  EXPORTED, KEPT, or what went wrong. */
void extract_deliver(struct extract *x, const struct store_image *image, struct extract_result *out);

#endif
