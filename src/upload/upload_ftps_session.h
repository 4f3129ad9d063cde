/* upload_ftps_session.h - a conversation with an FTPS server, over libcurl; for the ftps destination only.
 *
 * A session holds at most one control connection, kept over calls and opened anew when the server has closed it.  Certificate and host name
 * are verified, and nothing goes over a connection without TLS.  A call ends when nothing has moved for the server's timeout.
 * Owns: its connection.  Never: passes on what a server or libcurl says in words, shows the address or the login; repeats a call.
 * Threads: a session belongs to one thread at a time; a server is shared.  The process ignores SIGPIPE. */
#ifndef PIXL_UPLOAD_UPLOAD_FTPS_SESSION_H
#define PIXL_UPLOAD_UPLOAD_FTPS_SESSION_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/hash.h"
#include "base/secret.h"
#include "base/str.h"

struct ftps_server {
    char *root;                   /* "ftps://host:port/", "ftp://..." for explicit TLS; folders follow */
    struct secret user, password; /* ended by a NUL, which counts */
    const char *ca_file;          /* PEM, the only CAs trusted; NULL: those of the system */
    const char *secrets_prefix;   /* names the secrets in messages */
    bool allows_tls13;
    int64_t timeout_us;
    atomic_bool one_file_each; /* it has refused a second data connection: each file gets a new control connection */
};

struct ftps_session;
PIXL_MUST_CHECK bool ftps_session_new(struct ftps_server *server, struct ftps_session **out, struct pixl_error *err);
void ftps_session_free(struct ftps_session *s);

/* What the last call that failed failed of. */
bool ftps_was_cut(const struct ftps_session *s);       /* the connection: a new one may do better */
bool ftps_had_no_folder(const struct ftps_session *s); /* the folder is not there, or is not for us */
bool ftps_was_kept_out(const struct ftps_session *s);  /* nobody there, another certificate, the login refused */

const struct ftps_server *ftps_server_of(const struct ftps_session *s);
/* Ends the connection without a word: the next call opens a new one, which enters its folder by its name. */
void ftps_hang_up(struct ftps_session *s);

/* Folders are paths from where the login leads, "a/b", names without control characters. */
struct ftps_folder {
    const char *path;
    bool make; /* what is missing of it */
};

enum { FTPS_COMMANDS_MAX = 8, FTPS_REPLY_BYTES = 256 };
struct ftps_reply {
    int code;                    /* 3 digits */
    char text[FTPS_REPLY_BYTES]; /* behind the code, cut; never shown */
};
/* Sends n commands in the folder and takes the answer of each, whatever it is.  extra_us: added to the timeout, for a server that must read
 * a file before it answers.
 * Fails: UNAVAILABLE, DENIED (login, certificate, folder), NO_SPACE, INVALID (CA file), NOMEM.  The same below. */
PIXL_MUST_CHECK bool ftps_ask(struct ftps_session *s, struct ftps_folder folder, const char *const *commands, size_t n,
                              int64_t extra_us, struct ftps_reply *replies, struct pixl_error *err);

/* What the server says it can do (FEAT): each line goes to note(), the last one apart. */
PIXL_MUST_CHECK bool ftps_features(struct ftps_session *s, struct ftps_folder folder,
                                   void (*note)(void *ctx, struct str line), void *ctx, struct pixl_error *err);

/* A file that is sent, and hashed once from its beginning to its end however often sending begins again. */
struct ftps_source {
    int fd; /* borrowed */
    uint64_t size_bytes;
    uint64_t sent_bytes;      /* out: as far as it was ever handed to libcurl */
    struct hash_sha256 *hash; /* of the first sent_bytes; borrowed; NULL: not hashed */
};
/* Stores source under name; from_byte > 0: appends what follows there.
 * Fails: also CORRUPT (the file is shorter than it was), IO (it cannot be read). */
PIXL_MUST_CHECK bool ftps_put(struct ftps_session *s, struct ftps_folder folder, const char *name,
                              struct ftps_source *source, uint64_t from_byte, struct pixl_error *err);

/* Reads a file (name NULL: the names in the folder, a line each), n bytes at a time; take() returns false to stop reading, which is no
 * failure.  *got: false when there is no such file, or it is not for us. */
PIXL_MUST_CHECK bool ftps_get(struct ftps_session *s, struct ftps_folder folder, const char *name,
                              bool (*take)(void *ctx, const char *p, size_t n), void *ctx, bool *got,
                              struct pixl_error *err);

#endif
