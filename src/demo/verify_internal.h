/* verify_internal.h - what verify.c (the store against what must be), verify_zips.c and verify_files.c (what lies
 * in folders) share. */
#ifndef PIXL_DEMO_VERIFY_INTERNAL_H
#define PIXL_DEMO_VERIFY_INTERNAL_H

#include "base/duck.h"
#include "demo.h"
#include "search.h"

/* One request as the store has it. */
struct found {
    const char *project;
    const char *time_slug;
    int64_t procedure;
    enum study_state state;
    enum study_reason reason;
    const char *uid; /* pseudo study UID; "" when nothing was delivered */
    int64_t instances_delivered;
    const struct demo_study *study; /* what it must be; NULL: nobody knows it */
    bool in_outcomes, in_linker;    /* seen in the tables */
};
struct extract_time {
    const char *project, *slug;
};

struct judge {
    const struct demo *d;
    struct site *site;
    void (*say)(void *ctx, const char *difference);
    void *ctx;
    bool right;
    struct arena arena, instance; /* for the whole judgement, for one file */
    struct search *search;
    struct duck *duck;
    struct found *found; /* sorted by project and procedure */
    size_t n_found, cap_found;
    struct extract_time times[8];
    size_t n_times;
};

PIXL_PRINTF(2, 3)
void judge_differs(struct judge *j, const char *fmt, ...);
/* The first request of that project and procedure, or NULL. */
struct found *judge_find(const struct judge *j, const char *project, int64_t procedure);
/* The first delivered request of that project and pseudo study UID, or NULL. */
const struct found *judge_find_uid(const struct judge *j, const char *project, struct str uid);
/* Was it delivered, as the store says? */
bool judge_is_delivered(const struct found *f);
/* Does text hold a planted identity?  where names it for the difference. */
void judge_search(struct judge *j, struct str text, const char *where);

/* Calls each() for every entry of a folder, "." and ".." excepted, sorted by name. */
PIXL_MUST_CHECK bool judge_each_name(struct judge *j, const char *dir,
                                     bool (*each)(struct judge *j, const char *dir, const char *name, void *ctx,
                                                  struct pixl_error *err),
                                     void *ctx, struct pixl_error *err);

PIXL_MUST_CHECK bool judge_zips(struct judge *j, struct pixl_error *err);
PIXL_MUST_CHECK bool judge_files(struct judge *j, struct pixl_error *err);

#endif
