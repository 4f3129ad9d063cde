/* Every allocation of reading and planning fails once: a clean error, nothing leaked, outs untouched. */
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "dicom/deflate.h"
#include "dicom_build.h"
#include "dicom_check.h"
#include "fault.h"
#include "test.h"

static bool read_and_plan(const struct dicom_source *s, struct dicom_file *f, int out, struct pixl_error *err)
{
    struct arena a;
    struct dicom_plan p;
    struct str v;
    arena_init(&a, 64 << 20);
    dicom_plan_init(&p, &a);
    bool ok = dicom_parse(s, &DICOM_LIMITS_DEFAULT, &a, f, err);
    for (uint32_t i = 0; ok && i < f->n_elements; i++)
        ok = dicom_value(f, i, &v, err);
    ok = ok && dicom_plan_meta(&p, STR("1.2"), STR("1.2.3"), STR(DCM_EXPLICIT_LE), err) && dcm_plan_again(f, &p, err) &&
         dicom_plan_deflate(&p, 100, &f->source, err) && dicom_plan_write_fd(&p, &f->source, out, err);
    arena_done(&a);
    return ok;
}

static void sweep(const char *syntax)
{
    struct dcm d;
    dcm_begin_syntax(&d, syntax, DCM_CT_IMAGE_STORAGE, "1.2.3.4");
    dcm_text(&d, DICOM_MODALITY, DICOM_VR_CS, "CT");
    dcm_seq_begin(&d, 0x00081140, true);
    for (int i = 0; i < 300; i++) {             /* the element list and the list of pieces grow */
        dcm_item_begin(&d, true);
        dcm_fill(&d, 0x00091010, DICOM_VR_OB, (size_t)(20 + (i % 12) * 1000));
        if (i == 100) /* this item is sorted, and the data set */
            dcm_text(&d, DICOM_MODALITY, DICOM_VR_CS, "CT");
        dcm_item_end(&d);
    }
    dcm_seq_end(&d);
    dcm_pixels_native(&d, 100 * 1000);
    dcm_text(&d, DICOM_PATIENT_ID, DICOM_VR_LO, "4711");
    if (strcmp(syntax, DCM_DEFLATED_LE) == 0)
        dcm_deflate(&d);
    dcm_save(&d, test_path("in"));
    int in = open(test_path("in"), O_RDONLY | O_CLOEXEC), out = open("/dev/null", O_WRONLY | O_CLOEXEC);
    REQUIRE(in >= 0 && out >= 0);
    struct pixl_error err = { 0 };
    struct dicom_source s;
    REQUIRE_OK(dicom_source_fd(in, &s, &err), err);
    long n = 0;
    for (;; n++) {
        struct dicom_file f = { .n_elements = 4711 };
        fault_alloc_after(n);
        bool ok = read_and_plan(&s, &f, out, &err);
        bool reached = fault_alloc_stop();
        test_row("%s, allocation %ld", syntax, n);
        if (!reached) {
            CHECK(ok);
            break;
        }
        CHECK_FAILS(ok, err, PIXL_E_NOMEM);
        CHECK(f.n_elements == 4711 || f.n_elements > 600);
    }
    CHECK(n > 10);
    (void)close(in);
    (void)close(out);
    dcm_done(&d);
}

static void test_fault_file__every_allocation_may_fail(void)
{
    sweep(DCM_EXPLICIT_LE);
    sweep(DCM_DEFLATED_LE);
}

int main(int argc, char **argv)
{
    static const struct test_case tests[] = { TEST(test_fault_file__every_allocation_may_fail) };
    return test_main(argc, argv, tests, ARRAY_LEN(tests));
}
