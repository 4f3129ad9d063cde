/* What a populate tells of the studies that it meets, of any backend. */
#include "store/series.h"
#include "store_helper.h"

static void test_populate__delivered_studies_are_told(void)
{
    const struct ask first = { .mrn = "1", .uid = "1.2", .series = "1.5" }, again = { .mrn = "1", .uid = "1.2", .series = "1.5", .procedure = 2 };
    const struct ask wider = { .mrn = "1", .uid = "1.2", .series = "1.6", .procedure = 3 };
    struct store *s = open_store();
    struct store_met met = { .is_delivered = true };
    CHECK_INT(add_met(s, first, false, &met), STORE_ADDED_IMAGE);
    CHECK(!met.is_delivered);
    bring(s, 1, STUDY_DELIVERING);
    add_met(s, again, true, &met);
    CHECK(!met.is_delivered);                    /* not yet */
    move_to(s, 1, STUDY_EXPORTED);
    CHECK_INT(add_met(s, first, false, &met), STORE_KNOWN);
    CHECK(met.is_delivered);
    CHECK_INT(add_met(s, again, false, &met), STORE_ADDED_REQUEST);
    CHECK(met.is_delivered);
    CHECK_INT(add_met(s, wider, false, &met), STORE_TOO_LATE);
    CHECK(!met.is_delivered);
    store_close(s);
}

/* A study of more series than there is room for: the row that is too many is not stored, and the others go on. */
static void test_populate__more_series_than_a_study_can_have(void)
{
    struct pixl_error err = { 0 };
    struct store *s = open_store();
    struct store_populate *p = NULL;
    size_t n_added = 0, n_refused = 0;
    buf_auto b;
    buf_init(&b, STORE_SERIES_MAX);
    REQUIRE_OK(store_populate_begin(s, false, &p, &err), err);
    for (int row = 0; row < 12; row++) {
        buf_clear(&b);
        for (int i = 0; i < 2000; i++)
            (void)buf_addf(&b, "%s1.2.840.99999.%040d.%d.%d", i ? "\\" : "", 7, row, i);
        const struct ask a = { .mrn = "1", .uid = "1.2", .series = buf_cstr(&b), .procedure = row };
        struct study_request r = request_of(&a);
        enum store_added what;
        REQUIRE_OK(store_populate_add(p, &r, T0, &what, NULL, &err), err);
        n_added += what == STORE_ADDED_IMAGE || what == STORE_ADDED_REQUEST;
        n_refused += what == STORE_TOO_MANY_SERIES;
    }
    const struct ask other = { .mrn = "2", .accession = "A" };
    struct study_request r = request_of(&other);
    enum store_added what;
    CHECK_OK(store_populate_add(p, &r, T0, &what, NULL, &err), err);
    CHECK_INT(what, STORE_ADDED_IMAGE);
    REQUIRE_OK(store_populate_end(p, &err), err);
    CHECK(n_added >= 7 && n_refused >= 1 && n_added + n_refused == 12);
    CHECK_INT(count_of(s).requests, n_added + 1);
    store_close(s);
}

static enum store_added add_to(struct store_populate *p, struct ask a)
{
    struct pixl_error err = { 0 };
    struct study_request r = request_of(&a);
    enum store_added what = STORE_KNOWN;
    REQUIRE_OK(store_populate_add(p, &r, T0, &what, NULL, &err), err);
    return what;
}

/* Rows that repeat those of a moment ago are told as if these had long been stored, and nothing is stored twice. */
static void test_populate__repeats_among_new_rows_are_told(void)
{
    struct pixl_error err = { 0 };
    struct store *s = open_store();
    struct store_populate *p = NULL;
    REQUIRE_OK(store_populate_begin(s, false, &p, &err), err);
    for (int i = 0; i < 700; i++) {
        char accession[24];
        (void)snprintf(accession, sizeof accession, "it's {%d}\"", i);
        struct ask a = { .mrn = "1", .accession = accession, .procedure = i };
        test_row("row %d", i);
        CHECK_INT(add_to(p, a), STORE_ADDED_IMAGE);
        if (i % 100 == 7) {
            CHECK_INT(add_to(p, a), STORE_KNOWN);
            a.procedure = 10000 + i;
            CHECK_INT(add_to(p, a), STORE_ADDED_REQUEST);
        }
    }
    test_row("all");
    REQUIRE_OK(store_populate_end(p, &err), err);
    CHECK_INT(images_in(s), 700);
    struct store_image first = image_of(s, 1);
    CHECK_STR(phi_reveal(first.accession_number), "it's {0}\"");
    CHECK_STR(str_of(events(s, 1)), "queued()");
    store_close(s);
}

int main(int argc, char **argv)
{
    static const struct test_case tests[] = {
        TEST(test_populate__delivered_studies_are_told),
        TEST(test_populate__more_series_than_a_study_can_have),
        TEST(test_populate__repeats_among_new_rows_are_told),
    };
    return test_main(argc, argv, tests, ARRAY_LEN(tests));
}
