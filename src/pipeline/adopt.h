/* adopt.h - brings a study that lies de-identified in Orthanc anon to its destination: put there by others, as by the
 * Python anonymiser, or by pixl.
 *
 *   Orthanc anon  >  row with its pseudo StudyInstanceUID  >  claim  >  each instance inspected, into the spool  >  delivery
 *
 * Only a study that Orthanc calls stable is taken: it goes out once, and what came later would be left behind.
 * The claim is the store's, as for every retrieval, and delivery is the lane's (work.h), so that whoever asks, and how
 * many at once, the study goes out once.  An instance in which the row's identity is found (deid/inspect.h) withholds the
 * study; one that is another's, or cannot be judged, fails it.  What breaks off leaves a row that is queued: it may be
 * asked for again, and a pixl that retrieves takes it from the archive.  Who asks names the row, as `pixl retry` does: one
 * that is adopted, held, missing or has failed is taken back to work; one that is withheld or skipped is refused.
 * Owns: nothing after it returned but the finished zip in the spool.  Memory does not grow with an instance, and with a
 * study by some hundred bytes an instance.
 * Never: applies the project's rules again; deletes in Orthanc anon.  Threads: any number at once. */
#ifndef PIXL_PIPELINE_ADOPT_H
#define PIXL_PIPELINE_ADOPT_H

#include <stdatomic.h>

#include "pipeline/site.h"

struct adopt_order {
    struct str study_id;       /* the study's id in Orthanc anon */
    struct str project;        /* its name or slug; empty: as the study's private tag (000D,1001) of creator "UCLH PIXL"
                                  says, else as its row */
    const atomic_bool *cancel; /* gives up; NULL: never */
    int64_t wait_us;           /* how long to wait: for the last instances to come, for another who has the study, for
                                  the delivery */
};
/* true: it arrived (or is kept, where the project has no destination), by this call or while it waited.  *image: number of
 * the row, 0 as long as none was found; set also on failure.  Messages may hold the project's name, nothing else that was given.
 * Fails: NOT_FOUND (no such study, row or project), EXISTS (delivered before), PRIVACY (withheld), CORRUPT (failed or
 * skipped: the message says why), BUSY, UNAVAILABLE (Orthanc anon, the store, the destination: the row is as it was, queued,
 * or in the spool, from where it goes out by itself), CANCELLED, INVALID (ORTHANC_ANON_URL; the project's name or
 * configuration), LIMIT, NO_SPACE, IO, NOMEM. */
PIXL_MUST_CHECK bool adopt_study(struct site *s, const struct adopt_order *o, int64_t *image, struct pixl_error *err);

#endif
