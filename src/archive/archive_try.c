/* Whether a folder can be worked from, found out without its index: read until there is a first DICOM file. */
#include <errno.h>
#include <fcntl.h>
#include <fts.h>
#include <unistd.h>

#include "archive_backend.h"
#include "archive_identity.h"

enum { HEADER_BYTES_MAX = 64 << 20 };

static bool fail_folder(struct pixl_error *err, int e)
{
    return pixl_fail(err, e == ENOMEM ? PIXL_E_NOMEM : PIXL_E_UNAVAILABLE, e, "archive: its folder %s",
                     e == EACCES || e == EPERM ? "cannot be opened: permission denied"
                     : e == ENOENT             ? "is not there: is its path right, is the share mounted?"
                     : e == ENOTDIR            ? "is no folder: is its path right, is the share mounted?"
                                               : "cannot be opened; is the share mounted?");
}

static bool is_instance(const FTSENT *e, struct arena *header, bool *out, struct pixl_error *err)
{
    struct archive_identity who;
    int fd = open(e->fts_accpath, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    *out = false;
    if (fd < 0)
        return true;                     /* a run counts what it may not read */
    bool ok = archive_identity_read(fd, header, &who, err);
    *out = ok && who.kind == ARCHIVE_IDENTITY_INSTANCE;
    (void)close(fd);
    return ok;
}

static bool walk(FTS *tree, struct arena *header, enum archive_trial *out, struct pixl_error *err)
{
    for (FTSENT *e; (errno = 0, e = fts_read(tree)) != NULL;) {
        bool found = false;
        if (e->fts_level == FTS_ROOTLEVEL && e->fts_info != FTS_D && e->fts_info != FTS_DP)
            return fail_folder(err, e->fts_info == FTS_F || e->fts_info == FTS_SL ? ENOTDIR : e->fts_errno);
        if (e->fts_info == FTS_F && !is_instance(e, header, &found, err))
            return false;
        if (found) {
            *out = ARCHIVE_ANSWERS;
            return true;
        }
    }
    if (errno != 0)
        return pixl_fail(err, errno == ENOMEM ? PIXL_E_NOMEM : PIXL_E_UNAVAILABLE, errno, "archive: list a folder");
    *out = ARCHIVE_HOLDS_NOTHING;
    return true;
}

bool archive_directory_try(const struct archive_options *o, enum archive_trial *out, struct pixl_error *err)
{
    const char *root = o->url + strlen("directory:");
    struct arena header;
    if (root[0] != '/')
        return pixl_fail(err, PIXL_E_INVALID, 0, "archive: directory: must be followed by an absolute path");
    char *path = realpath(root, NULL);
    if (path == NULL)
        return fail_folder(err, errno);
    FTS *tree = fts_open((char *[]){ path, NULL }, FTS_PHYSICAL | FTS_NOCHDIR, NULL);
    bool ok = tree != NULL || fail_folder(err, errno);
    arena_init(&header, HEADER_BYTES_MAX);
    ok = ok && walk(tree, &header, out, err);
    arena_done(&header);
    if (tree != NULL)
        (void)fts_close(tree);
    free(path);
    return ok;
}
