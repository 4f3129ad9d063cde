/* archive_brought.h - which instances pixl itself had sent to an Orthanc, so that nothing else is ever deleted there (SQLite, in the state).
 * Owns: its file, brought-<16 hex digits of the place's SHA-256>.db, mode 0600.  Never: deletes anything itself.  Threads: any. */
#ifndef PIXL_ARCHIVE_ARCHIVE_BROUGHT_H
#define PIXL_ARCHIVE_ARCHIVE_BROUGHT_H

#include "archive/archive.h"

struct archive_brought;

PIXL_MUST_CHECK bool archive_brought_open(const char *state_dir, const char *place, struct archive_brought **out,
                                          struct pixl_error *err);
void archive_brought_close(struct archive_brought *b);

/* Notes one instance of a study; twice is fine. */
PIXL_MUST_CHECK bool archive_brought_add(struct archive_brought *b, struct phi_text study_uid, const uint8_t id[20],
                                         struct pixl_error *err);
/* Any one instance of the study that is noted; *got false when there is none. */
PIXL_MUST_CHECK bool archive_brought_next(struct archive_brought *b, struct phi_text study_uid, bool *got,
                                          uint8_t id[20], struct pixl_error *err);
PIXL_MUST_CHECK bool archive_brought_forget(struct archive_brought *b, const uint8_t id[20], struct pixl_error *err);

#endif
