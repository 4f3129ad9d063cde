/* report_check.h - may the text of a report leave?  It may not when it holds a trace of what the store knows of its
 * procedure: medical record numbers, accession numbers, study and series UIDs, as asked for and as found.
 *
 * De-identified reports were cleaned elsewhere, by people or programs that knew more than pixl does (names, dates of
 * birth); this is a second look with what pixl knows better.  It runs twice: when a report is loaded, so that a text
 * that may not leave is not even kept; and whenever tables are written, because a study that was found since, or a
 * further request, brings new numbers.  A cohort's own participant_id may stand in a report, as it is made to be seen;
 * one that equals a number above is looked for as that number.
 * Owns: its tables; no text.  Never: says what was found.  Threads: one. */
#ifndef PIXL_EXPORT_REPORT_CHECK_H
#define PIXL_EXPORT_REPORT_CHECK_H

#include "base/error.h"
#include "store/store.h"

struct report_check;

/* Given: report_check_free(). */
PIXL_MUST_CHECK bool report_check_new(struct report_check **out, struct pixl_error *err);
void report_check_free(struct report_check *c);
PIXL_DEFINE_CLEANUP(report_check, report_check_free)
#define report_check_auto PIXL_CLEANUP(report_check_freep) struct report_check

/* *is_clean false: withheld.  A text of so many different words that it cannot be checked is not clean. */
PIXL_MUST_CHECK bool report_check_text(struct report_check *c, const struct store_subject *of, struct str text,
                                       bool *is_clean, struct pixl_error *err);

#endif
