#include <unistd.h>

#include "fault.h"
#include "orthanc_said.h"

/* Everything that an attempt asks; of two instances one is there, and the other does not come. */
static bool use(struct pixl_error *err)
{
    archive_auto *a = NULL;
    struct arena arena;
    struct phi_text *uids;
    struct archive_instance *list = NULL;
    struct archive_fetched got;
    size_t n_uids, n = 0;
    int fd = -1;
    arena_init(&arena, 1 << 20);
    const struct archive_query q = { .study_uid = phi_text(STR("1.2")),
                                     .mrn = phi_text(STR("MRN")),
                                     .accession_number = phi_text(STR("ACC")) };
    bool ok = orthanc_open_said(true, &a, err) && archive_refresh(a, NULL, NULL, err) &&
              archive_find(a, &q, &arena, &uids, &n_uids, err) && archive_list(a, uids[0], &arena, &list, &n, err);
    if (ok) {
        struct archive_instance *wanted[2] = { &list[0], &list[1] };
        CHECK_INT(n, 2);
        ok = archive_fetch(a, uids[0], wanted, n, NULL, &got, err) && CHECK_INT(got.there, 1) &&
             archive_open_instance(a, &list[0], &fd, err) && archive_release(a, uids[0], err);
    }
    if (fd >= 0)
        (void)close(fd);
    arena_done(&arena);
    return ok;
}

static void test_orthanc__survives_every_allocation_failure(void)
{
    orthanc_says_all();
    orthanc_says("GET_series_e1_instances", 200, "[" ORTHANC_RAW_INSTANCE(ORTHANC_ID_A, "1.2.1.1") "]");
    orthanc_says("GET_jobs_f1", 200, "{\"State\":\"Success\"}");
    long n = 0;
    for (;; n++) {
        struct pixl_error err = { 0 };
        test_row("allocation %ld", n);
        fault_alloc_after(n);
        bool ok = use(&err);
        if (!fault_alloc_stop()) {
            CHECK_OK(ok, err);
            break;
        }
        if (!ok) /* what only tidies up may fail in silence */
            CHECK_FAILS(ok, err, PIXL_E_NOMEM);
    }
    CHECK(n > 60);
}

int main(int argc, char **argv)
{
    static const struct test_case tests[] = { TEST(test_orthanc__survives_every_allocation_failure) };
    http_peer_start();
    int rc = test_main(argc, argv, tests, ARRAY_LEN(tests));
    http_peer_stop();
    return rc;
}
