#include "pipeline/rounds.h"

#include "pipeline/tokens.h"
#include "site_rig.h"

/* Others at work: what they do when progress is told for the n-th time. */
struct others {
    struct site_rig *rig;
    int looks, cancel_at;
    enum study_outcome outcome[8]; /* of each study that is claimed, in turn */
    enum study_reason reason[8];
    int claimed;
    atomic_bool cancel;
    int most_rounds;
};

static void work_a_little(void *ctx, const struct rounds_progress *p)
{
    struct others *o = ctx;
    struct store_image image;
    o->most_rounds = p->round;
    CHECK(p->open >= 0 && p->exported >= 0);
    if (++o->looks == o->cancel_at)
        atomic_store(&o->cancel, true);
    if (p->pause_s >= 0 || o->cancel_at > 0)
        return;
    while (rig_claim(o->rig, STORE_WORK_RETRIEVE, &image)) {
        const struct extract_result r = { .outcome = o->outcome[o->claimed], .reason = o->reason[o->claimed] };
        o->claimed++;
        (void)rig_settle(o->rig, &image, &r);
    }
}

static void begin(struct site_rig *r)
{
    rig_folders("");
    rig_save(&(struct rig_file){ .name = "a.dcm" });
    rig_open(r, NULL);
    rig_populate(r, "1,MRN5501,ACC5501,rig,2024-01-02T03:04:05Z,2024-01-01,1.2.3.1,,\n2,MRN5502,ACC5502,rig,2024-01-"
                    "02T03:04:05Z,2024-01-02,1.2.3.2,,\n");
}

static enum rounds_end wait_for(struct others *o, int rounds, struct rounds_progress *last)
{
    struct pixl_error err = { 0 };
    const struct str project = STR("rig");
    const struct rounds_options options = { .projects = &project,
                                            .n_projects = 1,
                                            .rounds = rounds,
                                            .pause_us = 1000,
                                            .progress = work_a_little,
                                            .ctx = o,
                                            .cancel = &o->cancel };
    enum rounds_end end = ROUNDS_DONE;
    REQUIRE_OK(rounds_wait(o->rig->site, &options, &end, last, &err), err);
    return end;
}

static void test_rounds__end(void)
{
    static const struct {
        const char *name;
        int rounds;
        enum study_outcome outcome[8];
        enum study_reason reason[8];
        enum rounds_end end;
        int claimed;
    } rows[] = {
        { "nothing failed",
          5,
          { STUDY_OUT_SKIPPED, STUDY_OUT_SKIPPED },
          { STUDY_WHY_MODALITY, STUDY_WHY_MODALITY },
          ROUNDS_DONE,
          2 },
        { "what does not pass is not tried",
          5,
          { STUDY_OUT_FAILED, STUDY_OUT_WITHHELD },
          { STUDY_WHY_IDENTITY_MISMATCH, STUDY_WHY_RESIDUE },
          ROUNDS_DONE,
          2 },
        { "missing, then there",
          5,
          { STUDY_OUT_MISSING, STUDY_OUT_SKIPPED, STUDY_OUT_SKIPPED },
          { STUDY_WHY_NOT_IN_ARCHIVE, STUDY_WHY_MODALITY, STUDY_WHY_MODALITY },
          ROUNDS_DONE,
          3 },
        { "a round that brings nothing is the last",
          5,
          { STUDY_OUT_MISSING, STUDY_OUT_SKIPPED, STUDY_OUT_MISSING, STUDY_OUT_MISSING },
          { STUDY_WHY_NOT_IN_ARCHIVE, STUDY_WHY_MODALITY, STUDY_WHY_NOT_IN_ARCHIVE, STUDY_WHY_NOT_IN_ARCHIVE },
          ROUNDS_UNCHANGED,
          3 },
        { "none asked for",
          0,
          { STUDY_OUT_MISSING, STUDY_OUT_FAILED },
          { STUDY_WHY_NOT_IN_ARCHIVE, STUDY_WHY_ARCHIVE_ERROR },
          ROUNDS_USED_UP,
          2 },
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct site_rig r;
        struct others o = { .rig = &r };
        struct rounds_progress last;
        struct pixl_error err = { 0 };
        test_row("%s", rows[i].name);
        memcpy(o.outcome, rows[i].outcome, sizeof o.outcome);
        memcpy(o.reason, rows[i].reason, sizeof o.reason);
        begin(&r);
        CHECK_INT(wait_for(&o, rows[i].rounds, &last), rows[i].end);
        CHECK_INT(o.claimed, rows[i].claimed);
        CHECK_INT(last.open, 0);
        rig_close(&r);
        REQUIRE_OK(fs_remove_tree(test_path("state"), &err) && fs_remove_tree(test_path("haven"), &err), err);
    }
}

static void test_rounds__are_given_up(void)
{
    struct site_rig r;
    struct rounds_progress last;
    struct pixl_error err = { 0 };
    begin(&r);
    struct others o = { .rig = &r, .cancel_at = 2 };
    CHECK_INT(wait_for(&o, 5, &last), ROUNDS_CANCELLED);
    CHECK_INT(last.open, 2);
    REQUIRE_OK(tokens_set_rate(site_store(r.site), "vna", 0, 0, &err), err);
    o = (struct others){ .rig = &r, .cancel_at = 100 };
    CHECK_INT(wait_for(&o, 5, &last), ROUNDS_STANDS_STILL);
    CHECK_INT(o.looks, 1);
    rig_close(&r);
}

int main(int argc, char **argv)
{
    static const struct test_case tests[] = { TEST(test_rounds__end), TEST(test_rounds__are_given_up) };
    return test_main(argc, argv, tests, ARRAY_LEN(tests));
}
