/* sweep_rig.h - two studies that are asked for, one of three files and one of one, and what is there when all faults are over, for
 * sweeps that make one thing fail after the other. */
#ifndef PIXL_TEST_SWEEP_RIG_H
#define PIXL_TEST_SWEEP_RIG_H

#include "pipeline/spool.h"
#include "site_rig.h"

#define SWEEP_ROWS                                                      \
    "1,MRN5501,ACC5501,rig,2023-12-07T14:08:58Z,2020-05-23,1.2.3.1,,\n" \
    "2,MRN5501,ACC5502,rig,2023-12-07T14:08:58Z,2020-05-23,,,\n"

static struct pixl_error err;

static inline void sweep_make_archive(void)
{
    rig_folders("");
    rig_save(&(struct rig_file){ .name = "a", .sop = "1.2.3.1.1.1" });
    rig_save(&(struct rig_file){ .name = "b", .sop = "1.2.3.1.1.2" });
    rig_save(&(struct rig_file){ .name = "b-again", .sop = "1.2.3.1.1.2" }); /* compared byte by byte */
    rig_save(&(struct rig_file){
        .name = "c", .study = "1.2.3.2", .series = "1.2.3.2.1", .sop = "1.2.3.2.1.1", .accession = "ACC5502" });
}

/* What lies under a final name is whole; nothing is left beside it. */
static inline void sweep_check_zips(const char *folder, size_t want)
{
    size_t hidden, n = rig_count(folder, &hidden);
    CHECK_INT(hidden, 0);
    CHECK_INT(n, want);
    DIR *d = opendir(test_path(folder));
    for (const struct dirent *e; d != NULL && (e = readdir(d)) != NULL;) {
        char names[8][256], path[600];
        if (e->d_name[0] == '.')
            continue;
        (void)snprintf(path, sizeof path, "%s/%s/%s", test_dir(), folder, e->d_name);
        size_t entries = rig_zip_names(path, names, ARRAY_LEN(names));
        CHECK(entries == 1 || entries == 2);
    }
    if (d != NULL)
        (void)closedir(d);
}

/* Works off what is left, without faults: both studies arrive, once each. */
static inline void sweep_finish(struct site_rig *r)
{
    struct store_image image;
    struct extract_result result;
    struct store_counts n;
    while (rig_claim(r, STORE_WORK_RETRIEVE, &image)) {
        extract_study(&r->x, &image, &result);
        (void)rig_settle(r, &image, &result);
    }
    while (rig_claim(r, STORE_WORK_DELIVER, &image)) {
        extract_deliver(&r->x, &image, &result);
        (void)rig_settle(r, &image, &result);
    }
    /* What could not be tidied away for want of memory goes when the next run begins. */
    int64_t bytes = -1;
    REQUIRE_OK(spool_sweep(r->site, &bytes, &err), err);
    CHECK_INT(bytes, 0);
    REQUIRE_OK(store_count(site_store(r->site), STR(""), &n, &err), err);
    CHECK_INT(n.by_state[STUDY_EXPORTED], 2);
    for (size_t i = 0; i < STUDY_STATE_COUNT; i++)
        CHECK(i == STUDY_EXPORTED || n.by_state[i] == 0);
    CHECK_INT(n.requests, 2);
    sweep_check_zips("haven/rig", 2);
    sweep_check_zips("state/spool/rig", 0);
}

static inline void sweep_clear(void)
{
    REQUIRE_OK(fs_remove_tree(test_path("state"), &err), err);
    REQUIRE_OK(fs_remove_tree(test_path("haven/rig"), &err), err);
    REQUIRE_OK(fs_make_dirs(test_path("state"), 0700, &err), err);
}

/* A row whose claim was recovered is a suspect: one that ordinary claims leave alone, until it has arrived. */
static inline void sweep_work_off_suspects(struct site_rig *r)
{
    static const enum store_work works[] = { STORE_WORK_RETRIEVE, STORE_WORK_DELIVER };
    for (size_t i = 0; i < ARRAY_LEN(works); i++) {
        const struct store_claim c = { .work = works[i],
                                       .owner = site_owner(r->site),
                                       .now_us = INT64_MAX / 2,
                                       .lease_us = 1000000,
                                       .suspects = true,
                                       .spool = str_of(site_spool(r->site)) };
        struct store_image image;
        struct extract_result result;
        for (bool got = true; got;) {
            REQUIRE_OK(store_claim_next(site_store(r->site), &c, &r->arena, &got, &image, &err), err);
            if (!got)
                break;
            bool retrieves = works[i] == STORE_WORK_RETRIEVE;
            (retrieves ? extract_study : extract_deliver)(&r->x, &image, &result);
            CHECK_INT(rig_settle(r, &image, &result).state, retrieves ? STUDY_DEIDENTIFIED : STUDY_EXPORTED);
        }
    }
}

#endif
