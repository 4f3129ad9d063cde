/* What others do to the store between two transactions of a populate.  A populate asks its own memory while it is alone
 * in a project; it must see that it no longer is.  The linker's --wrap lets the test act when one transaction is
 * committed and the next not yet begun. */
#include "store_helper.h"

#include "store/store_sql.h"

enum { BATCH = 10 };

static struct store *s, *other;
static void (*act)(void); /* once, when a transaction of a populate is to begin and none is open */
static bool is_acting;

bool __real_store_sql_begin(struct store_sql *sql, enum store_lock lock, struct pixl_error *err);
bool __wrap_store_sql_begin(struct store_sql *sql, enum store_lock lock, struct pixl_error *err);
bool __wrap_store_sql_begin(struct store_sql *sql, enum store_lock lock, struct pixl_error *err)
{
    void (*now)(void) = act;
    if (!is_acting) {
        sql->batch_rows = BATCH;
        act = NULL;
        is_acting = true;
        if (now != NULL)
            now();
        is_acting = false;
    }
    return __real_store_sql_begin(sql, lock, err);
}

static enum store_added add_to(struct store_populate *p, struct ask a)
{
    struct pixl_error err = { 0 };
    struct study_request r = request_of(&a);
    enum store_added what = STORE_KNOWN;
    REQUIRE_OK(store_populate_add(p, &r, T0, &what, NULL, &err), err);
    return what;
}

/* A populate of a project of its own after one whole transaction, in the middle of which (of the way to the next)
 * `what_others_do` was done. */
static struct store_populate *begin_beside(void (*what_others_do)(void))
{
    struct pixl_error err = { 0 };
    struct store_populate *p = NULL;
    s = open_store();
    REQUIRE_OK(store_open(store_url(true), &other, &err), err);
    REQUIRE_OK(store_populate_begin(s, false, &p, &err), err);
    for (int i = 0; i < BATCH; i++) {
        char accession[16];
        (void)snprintf(accession, sizeof accession, "A%d", i);
        if (i == BATCH - 1)
            act = what_others_do;
        CHECK_INT(add_to(p, (struct ask){ .mrn = "1", .accession = accession, .procedure = i }), STORE_ADDED_IMAGE);
    }
    CHECK(act == NULL);
    return p;
}

static void end_beside(struct store_populate *p, int64_t images)
{
    struct pixl_error err = { 0 };
    REQUIRE_OK(store_populate_end(p, &err), err);
    CHECK_INT(images_in(s), images);
    store_close(s);
    store_close(other);
}

static void populate_too(void)
{
    CHECK_INT(add(other, (struct ask){ .mrn = "2", .accession = "B", .procedure = 70 }), STORE_ADDED_IMAGE);
}

static void test_beside__another_populates_study_is_met(void)
{
    struct store_populate *p = begin_beside(populate_too);
    CHECK_INT(add_to(p, (struct ask){ .mrn = "2", .accession = "B", .procedure = 70 }), STORE_KNOWN);
    CHECK_INT(add_to(p, (struct ask){ .mrn = "2", .accession = "B", .procedure = 71 }), STORE_ADDED_REQUEST);
    CHECK_INT(add_to(p, (struct ask){ .mrn = "1", .accession = "A3", .procedure = 3 }), STORE_KNOWN);
    CHECK_INT(add_to(p, (struct ask){ .mrn = "1", .accession = "C", .procedure = 72 }), STORE_ADDED_IMAGE);
    end_beside(p, BATCH + 2);
}

/* Further requests for a study that is there: no new study tells of them. */
static void ask_too(void)
{
    CHECK_INT(add(other, (struct ask){ .mrn = "1", .accession = "A4", .procedure = 70 }), STORE_ADDED_REQUEST);
}

static void test_beside__another_populates_request_is_met(void)
{
    struct store_populate *p = begin_beside(ask_too);
    CHECK_INT(add_to(p, (struct ask){ .mrn = "1", .accession = "A4", .procedure = 70 }), STORE_KNOWN);
    CHECK_INT(add_to(p, (struct ask){ .mrn = "1", .accession = "A4", .procedure = 71 }), STORE_ADDED_REQUEST);
    end_beside(p, BATCH);
}

static void find(const char *first, const char *second)
{
    struct pixl_error err = { 0 };
    const struct phi_text uids[] = { phi_text(str_of(first)), phi_text(str_of(second)) };
    struct store_image m = claim(other);
    int64_t mine = -1;
    CHECK_INT(m.id, 1);
    REQUIRE_OK(store_resolve(other, m.id, m.fence, uids, second != NULL ? 2 : 1, T0, &mine, &err), err);
    CHECK_INT(mine, 0);
}

static void find_one(void)
{
    find("1.9", NULL);
}

static void test_beside__what_the_archive_showed_is_met(void)
{
    struct store_populate *p = begin_beside(find_one);
    CHECK_INT(add_to(p, (struct ask){ .mrn = "1", .accession = "A0", .uid = "1.9", .procedure = 70 }),
              STORE_ADDED_REQUEST);
    end_beside(p, BATCH);
}

static void find_two(void)
{
    find("1.8", "1.9");
}

/* One key, two studies: who asks in these words later asks for both. */
static void test_beside__a_key_of_several_studies_is_met(void)
{
    struct pixl_error err = { 0 };
    int64_t *ids = NULL;
    size_t n = 0;
    const struct ask a = { .mrn = "1", .accession = "A0", .procedure = 70 };
    const struct study_request r = request_of(&a);
    struct store_populate *p = begin_beside(find_two);
    CHECK_INT(add_to(p, a), STORE_ADDED_REQUEST);
    REQUIRE_OK(store_populate_end(p, &err), err);
    REQUIRE_OK(store_find_asked(s, &r, test_arena(), &ids, &n, &err), err);
    CHECK_INT(n, 2);
    CHECK_INT(images_in(s), BATCH + 1);
    store_close(s);
    store_close(other);
}

int main(int argc, char **argv)
{
    static const struct test_case tests[] = {
        TEST(test_beside__another_populates_study_is_met),
        TEST(test_beside__another_populates_request_is_met),
        TEST(test_beside__what_the_archive_showed_is_met),
        TEST(test_beside__a_key_of_several_studies_is_met),
    };
    return test_main(argc, argv, tests, ARRAY_LEN(tests));
}
