/* Each allocation of what the demo is made of and judged by fails once: a clean NOMEM, no leak, outs untouched. */
#include "demo/demo.h"

#include <stdlib.h>
#include <string.h>

#include "base/fs.h"
#include "demo/hospital.h"
#include "demo/policies.h"
#include "demo/search.h"
#include "upload/zip_read.h"
#include "fault.h"
#include "test.h"
#include "upload/zip.h"

#define ARENA_MAX ((size_t)64 << 20)

/* Runs operation() with allocation 0, 1, 2 ... failing until none fails any more; `least` of them must be reached. */
static void sweep(const char *name, bool (*operation)(struct pixl_error *err), long least)
{
    for (long n = 0;; n++) {
        struct pixl_error err = { 0 };
        test_row("%s, allocation %ld", name, n);
        fault_alloc_after(n);
        bool ok = operation(&err), reached = fault_alloc_stop();
        if (!reached) {
            CHECK_OK(ok, err);
            CHECK(n >= least);
            return;
        }
        CHECK(ok ? err.code == PIXL_OK : err.code == PIXL_E_NOMEM);
        pixl_error_clear(&err);
        REQUIRE_OK(fs_remove_tree(test_path("configs"), &err), err); /* projects that are there are not replaced */
    }
}

static bool make_images(struct pixl_error *err)
{
    static const enum image_kind kinds[] = { IMAGE_CT, IMAGE_XRAY, IMAGE_MR, IMAGE_REPORT };
    struct arena people, a;
    struct person p;
    bool ok = true;
    arena_init(&people, ARENA_MAX);
    arena_init(&a, ARENA_MAX);
    if (!person_make(&people, 2, &p))
        ok = pixl_fail(err, PIXL_E_NOMEM, 0, "person");
    for (size_t i = 0; ok && i < 2 * ARRAY_LEN(kinds); i++) {
        const struct image image = { .kind = kinds[i / 2],
                                     .person = &p,
                                     .accession_number = "QX26000001",
                                     .study_date = "20260901",
                                     .study = 1,
                                     .series = 1,
                                     .instance = 1,
                                     .n_instances = 2,
                                     .size = 32,
                                     .study_description = "S",
                                     .series_description = "T",
                                     .is_second_vendor = i % 2 };
        struct dicom_plan plan = { 0 };
        uint8_t pixels[HASH_SHA256_BYTES] = { 0 };
        static const uint8_t zeroes[HASH_SHA256_BYTES];
        arena_reset(&a);
        ok = images_make(&a, &image, &plan, pixels, err);
        CHECK(ok || memcmp(pixels, zeroes, sizeof zeroes) == 0);
    }
    arena_done(&a);
    arena_done(&people);
    return ok;
}

static bool plan_and_write(struct pixl_error *err)
{
    struct arena a;
    struct hospital h = { 0 };
    struct needles l = { .arena = &a };
    const char *const *texts = NULL;
    arena_init(&a, ARENA_MAX);
    bool ok = hospital_plan(&a, 9, &h, err);
    CHECK(ok || h.studies == NULL);
    ok = ok && hospital_write_csv(&h, test_path("cohort.csv"), err) &&
         policies_write(test_path("configs"), "/safe'haven", err);
    if (ok) {
        hospital_add_needles(&h, &l);
        ok = needles_finish(&l, &texts, err);
        CHECK(ok == (texts != NULL));
    }
    arena_done(&a);
    return ok;
}

static bool look(struct pixl_error *err)
{
    static const char *const texts[] = { "Thistlewick", "QX26001417", NULL };
    search_auto *s = NULL;
    zip_read_auto *z = NULL;
    struct str bytes;
    if (!search_new(texts, &s, err) || !zip_read_open(test_path("w.zip"), &z, err)) {
        CHECK(s == NULL || z == NULL);
        return false;
    }
    for (size_t i = 0; i < zip_read_count(z); i++) {
        if (!zip_read_bytes(z, zip_read_entry(z, i), &bytes, err))
            return false;
        CHECK(search_find(s, bytes, NULL) != NULL);
    }
    return true;
}

static void test_demo__making_survives_want_of_memory(void)
{
    sweep("images", make_images, 3);
    sweep("plan, cohort and rules", plan_and_write, 3);
}

static void test_demo__looking_survives_want_of_memory(void)
{
    struct pixl_error err = { 0 };
    struct arena a;
    struct dicom_plan plan;
    const struct dicom_source none = dicom_source_bytes("", 0);
    uint64_t size;
    uint8_t digest[32];
    zip_auto *w = NULL;
    arena_init(&a, ARENA_MAX);
    dicom_plan_init(&plan, &a);
    REQUIRE_OK(dicom_plan_bytes(&plan, "it is Thistlewick, Thistlewick, Thistlewick", 43, &err), err);
    REQUIRE_OK(zip_new(test_path("w.zip"), "1", 6, &w, &err), err);
    REQUIRE_OK(zip_add(w, "deflated", &plan, &none, false, &err), err);
    REQUIRE_OK(zip_add(w, "stored", &plan, &none, true, &err), err);
    REQUIRE_OK(zip_commit(PIXL_STEAL(&w), &size, digest, &err), err);
    arena_done(&a);
    sweep("zip and search", look, 8);
}

int main(int argc, char **argv)
{
    static const struct test_case tests[] = {
        TEST(test_demo__making_survives_want_of_memory),
        TEST(test_demo__looking_survives_want_of_memory),
    };
    return test_main(argc, argv, tests, ARRAY_LEN(tests));
}
