#include "base/arena.h"

#include <stdalign.h>
#include <stdint.h>
#include <string.h>

#include "test.h"

static void test_arena__objects_are_zeroed_aligned_and_apart(void)
{
    struct arena a;
    arena_init(&a, 1 << 20);
    char *p[200];
    for (size_t i = 0; i < ARRAY_LEN(p); i++) {
        p[i] = arena_alloc(&a, i);
        REQUIRE(p[i] != NULL);
        CHECK((uintptr_t)p[i] % alignof(max_align_t) == 0);
        for (size_t k = 0; k < i; k++)
            CHECK(p[i][k] == 0);
        memset(p[i], (int)i, i);
    }
    for (size_t i = 0; i < ARRAY_LEN(p); i++)
        for (size_t k = 0; k < i; k++)
            CHECK((unsigned char)p[i][k] == (unsigned char)i);
    CHECK(p[0] != p[1]);
    arena_done(&a);
}

static void test_arena__the_ceiling_holds_for_any_mix_of_sizes(void)
{
    static const size_t sizes[] = { 1, 15, 16, 100, 1000, 5000, 16384, 20000 };
    static const size_t ceilings[] = { 1, 31, 32, 48, 100, 4096, 16384, 16416, 50000, 100000 };
    for (size_t c = 0; c < ARRAY_LEN(ceilings); c++) {
        test_row("ceiling %zu", ceilings[c]);
        struct arena a;
        arena_init(&a, ceilings[c]);
        for (size_t i = 0; i < 5000; i++) {
            (void)arena_alloc(&a, sizes[i * 7 % ARRAY_LEN(sizes)]);
            CHECK(a.used_bytes <= a.max_bytes);
        }
        CHECK(arena_alloc(&a, ceilings[c]) == NULL);
        arena_reset(&a);
        CHECK(a.used_bytes <= a.max_bytes);
        arena_done(&a);
        CHECK_INT(a.used_bytes, 0);
    }
}

static void test_arena__most_of_a_small_ceiling_can_be_used(void)
{
    struct arena a;
    arena_init(&a, 4096);
    CHECK(arena_alloc(&a, 4000) != NULL && !a.is_full);
    CHECK(arena_alloc(&a, 4000) == NULL && a.is_full);
    arena_reset(&a);
    CHECK(!a.is_full && arena_alloc(&a, 4000) != NULL);
    arena_done(&a);
}

static void test_arena__sizes_that_overflow_are_refused(void)
{
    struct arena a;
    arena_init(&a, SIZE_MAX);
    CHECK(arena_alloc(&a, SIZE_MAX) == NULL);
    CHECK(arena_alloc(&a, SIZE_MAX - 20) == NULL);
#ifndef PIXL_SANITIZED                           /* AddressSanitizer ends a program that asks malloc for so much */
    CHECK(arena_alloc(&a, SIZE_MAX / 2) == NULL);
#endif
    CHECK(arena_calloc(&a, SIZE_MAX / 8, 16) == NULL);
    CHECK(arena_str(&a, (struct str){ "x", SIZE_MAX }).p == NULL);
    CHECK(arena_calloc(&a, 0, SIZE_MAX) != NULL);
    CHECK(arena_calloc(&a, 3, 5) != NULL);
    arena_done(&a);
}

static void test_arena__a_reset_one_can_be_filled_again(void)
{
    struct arena a;
    arena_init(&a, 100000);
    for (int round = 0; round < 50; round++) {
        size_t n = 0;
        for (char *p; (p = arena_alloc(&a, 900)) != NULL; n++) {
            CHECK(p[0] == 0 && p[899] == 0);
            memset(p, 0xFF, 900);
        }
        CHECK(n > 90);
        arena_reset(&a);
    }
    arena_done(&a);
}

static void test_arena__texts_are_copied_with_a_nul(void)
{
    struct arena a, tiny;
    arena_init(&a, 4096);
    arena_init(&tiny, 2);
    struct str s = arena_str(&a, (struct str){ "abc", 2 }), none = arena_str(&a, (struct str){ 0 });
    CHECK(s.n == 2 && memcmp(s.p, "ab", 3) == 0);
    CHECK(none.p != NULL && none.n == 0 && none.p[0] == '\0');
    CHECK_STR(str_of(arena_cstr(&a, "xyz")), "xyz");
    CHECK_STR(str_of(arena_printf(&a, "%s-%03d", "xyz", 7)), "xyz-007");
    CHECK(arena_str(&tiny, STR("abc")).p == NULL && arena_cstr(&tiny, "abc") == NULL);
    CHECK(arena_printf(&tiny, "%d", 10) == NULL);
    arena_done(&a);
}

static void test_arena__lists_grow_and_keep_what_they_hold(void)
{
    struct arena a;
    size_t n = 0, room = 0;
    int64_t *list = NULL;
    arena_init(&a, 4096);
    for (int64_t *wider; (wider = arena_grow(&a, list, n, &room, sizeof *list)) != NULL; n++) {
        CHECK((wider == list) == (n % 16 != 0 || (n & (n - 1)) != 0));
        CHECK(room > n && wider[n] == 0 && wider[room - 1] == 0);
        list = wider;
        list[n] = (int64_t)n + 1;
    }
    CHECK(n == room && n >= 128); /* the next would be beyond the ceiling */
    for (size_t i = 0; i < n; i++)
        CHECK_INT(list[i], i + 1);
    room = n = SIZE_MAX / 2;
    CHECK(arena_grow(&a, list, n, &room, sizeof *list) == NULL && room == SIZE_MAX / 2);
    arena_done(&a);
}

int main(int argc, char **argv)
{
    static const struct test_case tests[] = {
        TEST(test_arena__objects_are_zeroed_aligned_and_apart),
        TEST(test_arena__the_ceiling_holds_for_any_mix_of_sizes),
        TEST(test_arena__most_of_a_small_ceiling_can_be_used),
        TEST(test_arena__sizes_that_overflow_are_refused),
        TEST(test_arena__a_reset_one_can_be_filled_again),
        TEST(test_arena__texts_are_copied_with_a_nul),
        TEST(test_arena__lists_grow_and_keep_what_they_hold),
    };
    return test_main(argc, argv, tests, ARRAY_LEN(tests));
}
