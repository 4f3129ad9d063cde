/* What becomes of a row whose study lies in Orthanc anon; with a real one: system/test_adopt.py. */
#include <pthread.h>
#include <unistd.h>

#include "adopt_rig.h"

static struct pixl_error err;

static void test_adopt__goes_into_the_spool_and_out_once(void)
{
    struct site_rig r;
    struct store_image image;
    struct extract_result result;
    char names[4][256];
    size_t hidden;
    adopt_open(&r);
    CHECK_FAILS(adopt_ask(&r, "Rig", NULL, &err), err, PIXL_E_BUSY);
    image = rig_image(&r, 1);
    CHECK_INT(image.state, STUDY_DEIDENTIFIED);
    CHECK_INT(image.instances_found, 2);
    CHECK_INT(image.instances_delivered, 2);
    REQUIRE(adopt_zip_names(names, ARRAY_LEN(names)) == 2);
    CHECK_STR(str_of(names[0]), ADOPT_UID "/2.25.3/2.25.31.dcm");
    CHECK_STR(str_of(names[1]), ADOPT_UID "/2.25.3/2.25.32.dcm");
    const int64_t fence = image.fence;
    CHECK_FAILS(adopt_ask(&r, "", NULL, &err), err, PIXL_E_BUSY); /* it waits there; nothing is made again */
    CHECK_INT(rig_image(&r, 1).fence, fence);
    REQUIRE(rig_claim(&r, STORE_WORK_DELIVER, &image));
    CHECK_FAILS(adopt_ask(&r, "rig", NULL, &err), err, PIXL_E_BUSY);
    extract_deliver(&r.x, &image, &result);
    CHECK_INT(rig_settle(&r, &image, &result).state, STUDY_EXPORTED);
    CHECK_INT(rig_count("haven/rig", &hidden), 1);
    CHECK(!adopt_ask(&r, "rig", NULL, &err));
    CHECK_INT(err.code, PIXL_E_EXISTS);
    CHECK_STR(str_of(err.msg), "Image already exported");
    pixl_error_clear(&err);
    rig_close(&r);
}

static void test_adopt__what_is_not_known_changes_nothing(void)
{
    struct site_rig r;
    atomic_bool cancel = true;
    adopt_open(&r);
    CHECK_FAILS(adopt_ask(&r, "another", NULL, &err), err, PIXL_E_NOT_FOUND);
    CHECK_FAILS(adopt_ask(&r, "---", NULL, &err), err, PIXL_E_NOT_FOUND);
    CHECK_FAILS(adopt_ask(&r, "rig", &cancel, &err), err, PIXL_E_CANCELLED);
    orthanc_says("GET_studies_0a", 200, "{\"ID\":\"0a\",\"MainDicomTags\":{\"StudyInstanceUID\":\"1.2.3.1\"}}");
    CHECK_FAILS(adopt_ask(&r, "rig", NULL, &err), err, PIXL_E_NOT_FOUND); /* the original UID finds no row */
    orthanc_says("GET_studies_0a", 404, "");
    CHECK_FAILS(adopt_ask(&r, "rig", NULL, &err), err, PIXL_E_NOT_FOUND);
    CHECK_INT(rig_image(&r, 1).state, STUDY_QUEUED);
    CHECK_INT(rig_image(&r, 1).fence, 1);
    rig_close(&r);
}

static void test_adopt__one_sop_uid_in_two_series_is_refused(void)
{
    struct site_rig r;
    size_t hidden;
    adopt_open(&r);
    orthanc_says("GET_studies_0a_series", 200, "[" ANON_SERIES("0b", "2.25.3") "," ANON_SERIES("0c", "2.25.2") "]");
    orthanc_says("GET_series_0c_instances", 200, "[" ANON_INSTANCE("0f", "2.25.31") "]");
    adopt_says_instance("GET_instances_0f_file", "2.25.2", "2.25.31", NULL);
    CHECK_FAILS(adopt_ask(&r, "rig", NULL, &err), err, PIXL_E_CORRUPT);
    CHECK_INT(rig_image(&r, 1).state, STUDY_FAILED);
    CHECK_INT(rig_image(&r, 1).reason, STUDY_WHY_DUPLICATE_INSTANCE);
    CHECK(rig_count("state/spool/rig", &hidden) == 0 && hidden == 0);
    rig_close(&r);
}

static void says_stable(const char *word)
{
    char text[128];
    (void)snprintf(text, sizeof text,
                   "{\"ID\":\"0a\",\"IsStable\":%s,\"MainDicomTags\":{\"StudyInstanceUID\":\"" ADOPT_UID "\"}}", word);
    orthanc_says("GET_studies_0a", 200, text);
}

static void *become_stable(void *arg)
{
    (void)arg;
    (void)usleep(300000);
    says_stable("true");
    return NULL;
}

static void test_adopt__waits_until_no_more_instances_come(void)
{
    struct site_rig r;
    pthread_t t;
    int64_t image = 0;
    adopt_open(&r);
    says_stable("false");
    CHECK_FAILS(adopt_ask(&r, "rig", NULL, &err), err, PIXL_E_BUSY);
    CHECK_INT(rig_image(&r, 1).state, STUDY_QUEUED);
    CHECK_INT(rig_image(&r, 1).fence, 1);
    atomic_bool cancel = true;
    struct adopt_order o = { .study_id = STR("0a"), .cancel = &cancel, .wait_us = 60000000 };
    CHECK_FAILS(adopt_study(r.site, &o, &image, &err), err, PIXL_E_CANCELLED);
    o.cancel = NULL;
    o.wait_us = 2000000;
    REQUIRE(pthread_create(&t, NULL, become_stable, NULL) == 0);
    CHECK_FAILS(adopt_study(r.site, &o, &image, &err), err, PIXL_E_BUSY);
    (void)pthread_join(t, NULL);
    CHECK_INT(image, 1);
    CHECK_INT(rig_image(&r, 1).state, STUDY_DEIDENTIFIED);
    rig_close(&r);
}

static void test_adopt__each_way_to_fail(void)
{
    static const struct {
        const char *what;
        const char *series, *sop, *comment;
        const char *said; /* in the place of the instance's file */
        int status;
        enum pixl_code code;
        enum study_state state;
        enum study_reason why;
    } rows[] = {
        { "identity", "2.25.3", "2.25.32", "of MRN5501", NULL, 0, PIXL_E_PRIVACY, STUDY_WITHHELD, STUDY_WHY_RESIDUE },
        { "another instance", "2.25.3", "2.25.39", NULL, NULL, 0, PIXL_E_BUSY, STUDY_QUEUED,
          STUDY_WHY_CHANGED_WHILE_READ },
        { "another series", "2.25.9", "2.25.32", NULL, NULL, 0, PIXL_E_BUSY, STUDY_QUEUED,
          STUDY_WHY_CHANGED_WHILE_READ },
        { "no DICOM", NULL, NULL, NULL, "MRN5501", 200, PIXL_E_CORRUPT, STUDY_FAILED, STUDY_WHY_UNREADABLE_INSTANCE },
        { "gone", NULL, NULL, NULL, "MRN5501", 404, PIXL_E_UNAVAILABLE, STUDY_QUEUED, STUDY_WHY_CHANGED_WHILE_READ },
        { "out of order", NULL, NULL, NULL, "MRN5501", 500, PIXL_E_UNAVAILABLE, STUDY_QUEUED, STUDY_WHY_UNAVAILABLE },
        { "refused", NULL, NULL, NULL, "MRN5501", 401, PIXL_E_UNAVAILABLE, STUDY_QUEUED, STUDY_WHY_UNAVAILABLE },
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct site_rig r;
        size_t hidden;
        test_row("%s", rows[i].what);
        adopt_open(&r);
        if (rows[i].said != NULL)
            orthanc_says("GET_instances_0e_file", rows[i].status, rows[i].said);
        else
            adopt_says_instance("GET_instances_0e_file", rows[i].series, rows[i].sop, rows[i].comment);
        CHECK(!adopt_ask(&r, "rig", NULL, &err));
        CHECK_INT(err.code, rows[i].code);
        CHECK(strstr(err.msg, "MRN") == NULL && strstr(err.msg, "ACC") == NULL);
        pixl_error_clear(&err);
        const struct store_image image = rig_image(&r, 1);
        CHECK_INT(image.state, rows[i].state);
        CHECK_INT(image.reason, rows[i].why);
        CHECK(rig_count("state/spool/rig", &hidden) == 0 && hidden == 0);
        CHECK(rig_count("state/tmp", &hidden) == 0 && hidden == 0);
        rig_close(&r);
        REQUIRE_OK(fs_remove_tree(test_path("state"), &err), err);
        REQUIRE_OK(fs_remove_tree(test_path("haven"), &err), err);
    }
}

/* Whoever looks after it later than a crash or two is told to leave it. */
static void test_adopt__a_study_that_crashes_again_and_again_fails(void)
{
    struct site_rig r;
    struct store_image image;
    adopt_open(&r);
    for (int i = 0; i < 3; i++) {
        const struct store_claim c = {
            .work = STORE_WORK_RETRIEVE, .owner = "another", .now_us = INT64_MAX / 2, .lease_us = 1, .suspects = i > 0
        };
        bool got;
        int64_t n;
        REQUIRE_OK(store_claim_image(site_store(r.site), &c, 1, &r.arena, &got, &image, &err), err);
        REQUIRE(got);
        REQUIRE_OK(store_recover_claims(site_store(r.site), site_owner(r.site), "another", 1000, &n, &err), err);
        CHECK_INT(n, 1);
    }
    CHECK_FAILS(adopt_ask(&r, "rig", NULL, &err), err, PIXL_E_CORRUPT);
    CHECK_INT(rig_image(&r, 1).state, STUDY_FAILED);
    CHECK_INT(rig_image(&r, 1).reason, STUDY_WHY_CRASHED);
    CHECK_FAILS(adopt_ask(&r, "rig", NULL, &err), err, PIXL_E_BUSY); /* who asks again wants it tried again */
    CHECK_INT(rig_image(&r, 1).state, STUDY_DEIDENTIFIED);
    rig_close(&r);
}

/* While the destination is away the spool grows, up to its quota. */
static void test_adopt__a_destination_that_is_away(void)
{
    static const struct pixl_error away = { .code = PIXL_E_UNAVAILABLE, .msg = "it is away" };
    struct site_rig r;
    struct site_project *p;
    bool is_probe;
    adopt_open(&r);
    rig_populate(&r, ADOPT_ROW "2,MRN5502,ACC5502,rig,2023-12-07T14:08:58Z,2020-05-24,1.2.3.2,,\n");
    REQUIRE_OK(site_project(r.site, STR("rig"), true, &p, &err), err);
    REQUIRE(breaker_allows(&p->breaker, clock_mono_us(), &is_probe));
    CHECK(breaker_report(&p->breaker, is_probe, false, &away, clock_mono_us()));
    r.settings.spool_max_mib = 1;
    const struct store_claim c = {
        .work = STORE_WORK_RETRIEVE, .owner = site_owner(r.site), .now_us = 1000, .lease_us = 1000
    };
    struct store_image other;
    bool got;
    REQUIRE_OK(store_claim_image(site_store(r.site), &c, 2, &r.arena, &got, &other, &err), err);
    REQUIRE(got);
    struct store_move m = STORE_MOVE_NONE;
    m.image = 2;
    m.fence = other.fence;
    m.to = STUDY_DEIDENTIFIED;
    m.zip_bytes = 1 << 20;
    m.now_us = 1000;
    REQUIRE_OK(store_move(site_store(r.site), &m, NULL, &err), err);
    CHECK(!adopt_ask(&r, "rig", NULL, &err));
    CHECK(err.code == PIXL_E_UNAVAILABLE && strstr(err.msg, "PIXL_SPOOL_MAX") != NULL);
    pixl_error_clear(&err);
    CHECK_INT(rig_image(&r, 1).state, STUDY_QUEUED);
    r.settings.spool_max_mib = 100;
    const struct adopt_order o = { .study_id = STR("0a"), .wait_us = 60000000 };
    int64_t image = 0;
    CHECK(!adopt_study(r.site, &o, &image, &err));
    CHECK_INT(image, 1);
    CHECK(err.code == PIXL_E_UNAVAILABLE && strstr(err.msg, "goes out by itself: it is away") != NULL);
    pixl_error_clear(&err);
    CHECK_INT(rig_image(&r, 1).state, STUDY_DEIDENTIFIED);
    rig_close(&r);
}

int main(int argc, char **argv)
{
    static const struct test_case tests[] = {
        TEST(test_adopt__goes_into_the_spool_and_out_once),
        TEST(test_adopt__what_is_not_known_changes_nothing),
        TEST(test_adopt__waits_until_no_more_instances_come),
        TEST(test_adopt__each_way_to_fail),
        TEST(test_adopt__one_sop_uid_in_two_series_is_refused),
        TEST(test_adopt__a_study_that_crashes_again_and_again_fails),
        TEST(test_adopt__a_destination_that_is_away),
    };
    http_peer_start();
    int rc = test_main(argc, argv, tests, ARRAY_LEN(tests));
    http_peer_stop();
    return rc;
}
