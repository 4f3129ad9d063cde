/* archive_brought.h - which instances pixl itself had sent to an Orthanc, so that nothing else is ever deleted there (SQLite, in the state).
 *
 * An instance is asked for (it is not there, a transfer begins), then brought (it was seen there since), then forgotten (deleted).
 * The first is written before the transfer, so that what comes while pixl is killed or stopped is known as its own later: also when
 * in the end somebody else brought it.  Of studies that are never delivered, entries stay.
 * Owns: its file, brought-<16 hex digits of the place's SHA-256>.db, mode 0600.  Never: deletes anything itself.  Threads: any. */
#ifndef PIXL_ARCHIVE_ARCHIVE_BROUGHT_H
#define PIXL_ARCHIVE_ARCHIVE_BROUGHT_H

#include "archive/archive.h"

struct archive_brought;

PIXL_MUST_CHECK bool archive_brought_open(const char *state_dir, const char *place, struct archive_brought **out,
                                          struct pixl_error *err);
void archive_brought_close(struct archive_brought *b);

/* Before a transfer: those of these instances of a study that are not near yet are asked for now. */
PIXL_MUST_CHECK bool archive_brought_ask(struct archive_brought *b, struct phi_text study_uid,
                                         struct archive_instance *const *list, size_t n, struct pixl_error *err);
/* Those that are near are there: which of them was asked for is noted as brought, also when who asked was killed since. */
PIXL_MUST_CHECK bool archive_brought_came(struct archive_brought *b, struct phi_text study_uid,
                                          struct archive_instance *const *list, size_t n, struct pixl_error *err);

/* Any one instance of the study that was asked for and never seen to come; *got false when there is none. */
enum { ARCHIVE_BROUGHT_UID_SIZE = 65 };
PIXL_MUST_CHECK bool archive_brought_next_asked(struct archive_brought *b, struct phi_text study_uid, bool *got,
                                                char sop_uid[ARCHIVE_BROUGHT_UID_SIZE], struct pixl_error *err);
PIXL_MUST_CHECK bool archive_brought_forget_asked(struct archive_brought *b, struct phi_text study_uid,
                                                  struct phi_text sop_uid, struct pixl_error *err);
/* Any one instance of the study that is noted; *got false when there is none. */
PIXL_MUST_CHECK bool archive_brought_next(struct archive_brought *b, struct phi_text study_uid, bool *got,
                                          uint8_t id[20], struct pixl_error *err);
PIXL_MUST_CHECK bool archive_brought_forget(struct archive_brought *b, const uint8_t id[20], struct pixl_error *err);

#endif
