/* Addresses by addresses: each found under its own, none lost as the table grows. */
#include "base/ptr_map.h"

#include "test.h"

static struct pixl_error err;

static void test_ptr_map__one_of_zeroes_is_empty(void)
{
    struct ptr_map m = { 0 };
    size_t at = 0;
    CHECK(ptr_map_get(&m, "a") == NULL && ptr_map_next(&m, &at) == NULL);
    ptr_map_done(&m);
}

static void test_ptr_map__each_is_found_while_it_grows(void)
{
    enum { N = 1000 };
    static char keys[2 * N];
    static int values[N];
    struct ptr_map m = { 0 };
    for (int i = 0; i < N; i++) {
        CHECK(ptr_map_get(&m, &keys[2 * i]) == NULL);
        REQUIRE_OK(ptr_map_put(&m, &keys[2 * i], &values[i], &err), err);
        for (int k = 0; k <= i; k += 1 + i / 16)
            CHECK(ptr_map_get(&m, &keys[2 * k]) == &values[k] && ptr_map_get(&m, &keys[2 * k + 1]) == NULL);
    }
    CHECK_INT(m.n, N);
    int *v;
    for (size_t at = 0; (v = ptr_map_next(&m, &at)) != NULL;)
        ++*v;
    for (int i = 0; i < N; i++)
        CHECK_INT(values[i], 1); /* each once */
    ptr_map_done(&m);
    CHECK(ptr_map_get(&m, &keys[0]) == NULL);
}

int main(int argc, char **argv)
{
    static const struct test_case tests[] = {
        TEST(test_ptr_map__one_of_zeroes_is_empty),
        TEST(test_ptr_map__each_is_found_while_it_grows),
    };
    return test_main(argc, argv, tests, ARRAY_LEN(tests));
}
