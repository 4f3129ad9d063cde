/* upload_ftps_deliver.h - one file into one folder of an FTPS server, whole or not at all under its final name.
 *
 * look     the same size and SHA-256 under the final name is done: the server's own digest where it offers XSHA256 or HASH (FEAT), else the
 *          file is read back; what may not be read is sent anew
 * send     to ".<final>.<suffix>.part"; what a cut connection has left is gone on with (SIZE, APPE), as long as each try brings it further.
 *          Only what this call has sent itself: bytes of an earlier one, or of another claim, are overwritten
 * check    SIZE, and the server's digest where there is one; a drop box that shows nothing is believed (verify: reply)
 * rename   over what is there; where the server does not replace, that goes first
 * Owns: nothing.  Threads: as the session's. */
#ifndef PIXL_UPLOAD_UPLOAD_FTPS_DELIVER_H
#define PIXL_UPLOAD_UPLOAD_FTPS_DELIVER_H

#include "upload_ftps_session.h"

enum ftps_digest { FTPS_DIGEST_NOT_ASKED, FTPS_DIGEST_NONE, FTPS_DIGEST_XSHA256, FTPS_DIGEST_HASH };

struct ftps_delivery {
    struct ftps_session *session;
    struct ftps_folder folder;
    const char *final, *suffix; /* names; see upload_common.h */
    int fd; /* what is sent; -1: it cannot be had, which is an error only when it is not there yet */
    uint64_t size_bytes;
    const uint8_t *digest; /* of what must come out */
    bool trusts_replies;
    const char *marker;        /* a file of the folder that must be there; NULL: none */
    const char *writer;        /* whose parts of earlier claims than fence are removed */
    int64_t fence;             /* -1: there are none */
    const atomic_bool *cancel; /* what was cut is not gone on with; NULL: never */
    atomic_int *digest_by;     /* enum ftps_digest, of this server */
};
/* Fails: as the session's calls; CANCELLED, CORRUPT (what is sent is not what it was), EXISTS (what is there may be neither read nor
 * replaced). */
PIXL_MUST_CHECK bool ftps_deliver(const struct ftps_delivery *d, struct pixl_error *err);

/* The size of a file as an answer to SIZE tells it.  *is_there false: there is none, or it is not shown.  Fails: UNAVAILABLE. */
PIXL_MUST_CHECK bool ftps_read_size(const struct ftps_reply *r, bool *is_there, uint64_t *size_bytes,
                                    struct pixl_error *err);
/* final may be replaced.  was_there: final was seen. */
PIXL_MUST_CHECK bool ftps_rename(struct ftps_session *s, struct ftps_folder folder, const char *part, const char *final,
                                 bool was_there, struct pixl_error *err);
/* Best effort. */
void ftps_remove(struct ftps_session *s, struct ftps_folder folder, const char *name);
/* A file without a name that holds data; -1 when it cannot be made. */
int ftps_memory_file(struct str data);

#endif
