/* Each allocation of taking a study from Orthanc anon fails once: the row can be asked for again, and what lies in the spool
 * under its final name is whole. */
#include "adopt_rig.h"
#include "fault.h"

static struct pixl_error err;

/* As before: queued, due, no attempt counted. */
static void back(struct site_rig *r)
{
    struct store_image image = rig_image(r, 1);
    int64_t n;
    const int64_t id = 1;
    REQUIRE(image.state == STUDY_QUEUED || image.state == STUDY_DEIDENTIFIED || image.state == STUDY_FAILED);
    if (image.state == STUDY_DEIDENTIFIED)
        adopt_move(r, &image, STUDY_QUEUED, 0);
    else if (image.state == STUDY_FAILED)
        REQUIRE_OK(store_retry(site_store(r->site), NULL, &id, 1, 1000, &n, &err), err);
    else if (image.not_before_us > 0) {
        REQUIRE(rig_claim(r, STORE_WORK_RETRIEVE, &image));
        adopt_move(r, &image, STUDY_QUEUED, 0);
    }
    REQUIRE_OK(fs_remove(test_path("state/spool/rig/" ADOPT_UID ".zip"), &err), err);
}

static void test_adopt__each_allocation_fails_once(void)
{
    struct site_rig r;
    char names[4][256];
    size_t hidden;
    long n;
    adopt_open(&r);
    for (n = 0; n < 5000; n++) {
        struct pixl_error e = { 0 };
        test_row("allocation %ld", n);
        fault_alloc_after(n);
        bool ok = adopt_ask(&r, n % 2 ? "rig" : "", NULL, &e); /* by its row, too: the first instance is read twice */
        bool reached = fault_alloc_stop();
        CHECK(!ok);
        if (!reached)
            CHECK_INT(e.code, PIXL_E_BUSY);
        const struct store_image image = rig_image(&r, 1);
        if (image.state == STUDY_DEIDENTIFIED)
            CHECK_INT(adopt_zip_names(names, ARRAY_LEN(names)), 2);
        (void)rig_count("state/spool/rig", &hidden);
        CHECK_INT(hidden, 0);
        (void)rig_count("state/tmp", &hidden);
        CHECK_INT(hidden, 0);
        arena_reset(&r.arena);
        back(&r);
        if (!reached && n % 2 == 0)
            break;
    }
    CHECK(n > 40 && n < 5000);
    CHECK_FAILS(adopt_ask(&r, "rig", NULL, &err), err, PIXL_E_BUSY);
    CHECK_INT(rig_image(&r, 1).state, STUDY_DEIDENTIFIED);
    rig_close(&r);
}

int main(int argc, char **argv)
{
    static const struct test_case tests[] = { TEST(test_adopt__each_allocation_fails_once) };
    test_timeout_s = 600;
    http_peer_start();
    int rc = test_main(argc, argv, tests, ARRAY_LEN(tests));
    http_peer_stop();
    return rc;
}
