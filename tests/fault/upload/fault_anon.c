#include "anon_said.h"
#include "fault.h"

/* Listing, in which every allocation of ours fails once: an error, and nothing half. */
static void test_anon__each_allocation_of_a_listing_fails_once(void)
{
    long n;
    anon_says_all();
    struct anon *a = anon_said_open();
    for (n = 0; n < 5000; n++) {
        struct pixl_error err = { 0 };
        struct anon_study study = { .n = 77 };
        struct arena arena;
        bool got = true;
        test_row("allocation %ld", n);
        arena_init(&arena, 1 << 24);
        fault_alloc_after(n);
        bool ok = anon_find(a, STR("0a"), &arena, NULL, &got, &study, &err);
        bool reached = fault_alloc_stop();
        CHECK(ok ? got && study.n == 3 : reached && err.code == PIXL_E_NOMEM && study.n == 77 && got);
        arena_done(&arena);
        if (!reached)
            break;
    }
    CHECK(n > 10 && n < 5000);
    anon_close(a);
}

int main(int argc, char **argv)
{
    static const struct test_case tests[] = { TEST(test_anon__each_allocation_of_a_listing_fails_once) };
    http_peer_start();
    int rc = test_main(argc, argv, tests, ARRAY_LEN(tests));
    http_peer_stop();
    return rc;
}
