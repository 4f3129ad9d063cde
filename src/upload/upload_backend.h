/* upload_backend.h - what a destination must provide; for this room and its tests only.  All slots required but two. */
#ifndef PIXL_UPLOAD_UPLOAD_BACKEND_H
#define PIXL_UPLOAD_UPLOAD_BACKEND_H

#include "upload/upload.h"

struct upload_ops {
    enum project_destination word;
    unsigned caps;
    bool (*open)(const struct project *p, const struct upload_options *o, struct upload **out, struct pixl_error *err);
    const char *(*place)(const struct upload *u);
    bool (*check)(struct upload *u, struct pixl_error *err);
    bool (*check_key)(struct upload *u, struct str check_value, struct pixl_error *err);
    void (*expect_marker)(struct upload *u); /* or NULL */
    bool (*look_at_key)(struct upload *u, struct str check_value, bool *is_marked, struct pixl_error *err); /* or NULL */
    bool (*study)(struct upload *u, const struct upload_study *z, struct pixl_error *err);
    bool (*table)(struct upload *u, struct str time_slug, const char *path, const char *remote, struct pixl_error *err);
    bool (*withdraw_table)(struct upload *u, struct str time_slug, const char *remote, struct pixl_error *err);
    void (*close)(struct upload *u);
};
struct upload { const struct upload_ops *ops; };         /* first member of every backend */

extern const struct upload_ops upload_directory, upload_ftps, upload_dicomweb, upload_none;

#endif
