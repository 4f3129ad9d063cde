/* archive_backend.h - what an archive must provide; for this room and its tests only.  All slots required but one. */
#ifndef PIXL_ARCHIVE_ARCHIVE_BACKEND_H
#define PIXL_ARCHIVE_ARCHIVE_BACKEND_H

#include "archive/archive.h"

struct archive_ops {
    unsigned caps;
    bool (*open)(const struct archive_options *o, struct archive **out, struct pixl_error *err);
    bool (*try_it)(const struct archive_options *o, enum archive_trial *out,
                   struct pixl_error *err); /* NULL: open, then archive_ask() */
    bool (*refresh)(struct archive *a, bool (*say)(void *, uint64_t, uint64_t), void *ctx, struct pixl_error *err);
    struct archive_health (*health)(struct archive *a);
    bool (*find)(struct archive *a, const struct archive_query *q, struct arena *arena, struct phi_text **uids, size_t *n, struct pixl_error *err);
    bool (*list)(struct archive *a, struct phi_text study_uid, struct arena *arena, struct archive_instance **out, size_t *n, struct pixl_error *err);
    bool (*fetch)(struct archive *a, struct phi_text study_uid, struct archive_instance *const *wanted, size_t n,
                  const atomic_bool *cancel, struct archive_fetched *out, struct pixl_error *err);
    bool (*release)(struct archive *a, struct phi_text study_uid, struct pixl_error *err);
    bool (*open_instance)(struct archive *a, const struct archive_instance *i, int *fd, struct pixl_error *err);
    void (*close)(struct archive *a);
};
struct archive { /* first member of every backend */
    const struct archive_ops *ops;
    char name[32];
};

extern const struct archive_ops archive_directory, archive_orthanc;

/* Refreshes, and looks for a study that cannot exist. */
PIXL_MUST_CHECK bool archive_ask(struct archive *a, enum archive_trial *out, struct pixl_error *err);
/* archive_try() of a folder. */
PIXL_MUST_CHECK bool archive_directory_try(const struct archive_options *o, enum archive_trial *out,
                                           struct pixl_error *err);

/* What the last refresh of a directory archive met. */
struct archive_directory_counts {
    uint64_t looked_at;              /* files */
    uint64_t read;                   /* of them opened: new, changed, or unreadable the last time */
    uint64_t dicom, damaged, other;  /* by enum archive_identity_kind: INSTANCE, DAMAGED, STRANGER */
    uint64_t unreadable;             /* permission, I/O error, a path too long */
    uint64_t folders_unreadable;     /* what was known of them is kept */
    uint64_t links;                  /* not followed */
};
struct archive_directory_counts archive_directory_counts(struct archive *a);

#endif
