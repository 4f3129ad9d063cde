#include "dicom/mask.h"

#include <stdlib.h>
#include <string.h>

#include "test.h"

/* What must come out: every byte is asked for its pixel, and every pixel whether a rectangle holds it. */
static bool stays(uint32_t rows, uint32_t columns, uint32_t pixel_bytes, const struct dicom_rect *rects, size_t n,
                  uint64_t at)
{
    uint64_t pixel = at / pixel_bytes % ((uint64_t)rows * columns);
    uint64_t x = pixel % columns, y = pixel / columns;
    for (size_t i = 0; i < n; i++)
        if (x >= rects[i].x0 && x <= rects[i].x1 && y >= rects[i].y0 && y <= rects[i].y1)
            return true;
    return false;
}

enum { GUARD = 16, BYTES_MAX = 64 * 1024 };

/* Applies the mask to n_planes in pieces of step bytes, among guards that must not change; byte i was a(i), never 0. */
static bool is_masked(const struct dicom_mask *m, uint32_t rows, uint32_t columns, uint32_t pixel_bytes,
                      const struct dicom_rect *rects, size_t n_rects, uint32_t n_planes, size_t step)
{
    static uint8_t bytes[BYTES_MAX + 2 * GUARD];
    const size_t n = (size_t)rows * columns * pixel_bytes * n_planes;
    REQUIRE(n <= BYTES_MAX);
    for (size_t i = 0; i < n + 2 * GUARD; i++)
        bytes[i] = (uint8_t)(i % 255 + 1);
    for (size_t at = 0; at < n; at += step)
        dicom_mask_apply(m, at, bytes + GUARD + at, n - at < step ? n - at : step);
    for (size_t i = 0; i < n + 2 * GUARD; i++) {
        bool is_kept = i < GUARD || i >= GUARD + n || stays(rows, columns, pixel_bytes, rects, n_rects, i - GUARD);
        if (bytes[i] != (is_kept ? i % 255 + 1 : 0))
            return false;
    }
    return true;
}

static void test_mask__keeps_what_the_rectangles_hold(void)
{
    static const struct {
        const char *name;
        size_t n;
        struct dicom_rect rects[5];
    } rows[] = {
        { "one inside", 1, { { 2, 1, 5, 3 } } },
        { "one pixel", 1, { { 4, 2, 4, 2 } } },
        { "first pixel", 1, { { 0, 0, 0, 0 } } },
        { "last row and column", 1, { { 5, 3, 8, 6 } } },
        { "all of it", 1, { { 0, 0, 8, 6 } } },
        { "whole rows", 1, { { 0, 2, 8, 4 } } },
        { "whole columns", 1, { { 3, 0, 4, 6 } } },
        { "side by side", 2, { { 0, 1, 3, 4 }, { 4, 1, 8, 4 } } },
        { "one above the other", 2, { { 2, 0, 6, 2 }, { 2, 3, 6, 5 } } },
        { "one pixel between", 2, { { 0, 1, 2, 4 }, { 4, 1, 8, 4 } } },
        { "overlapping", 2, { { 1, 1, 5, 4 }, { 4, 3, 7, 6 } } },
        { "one in another", 2, { { 0, 0, 8, 6 }, { 3, 2, 4, 4 } } },
        { "one in another, the small one first", 2, { { 3, 2, 4, 4 }, { 1, 1, 7, 5 } } },
        { "twice the same", 2, { { 3, 2, 4, 4 }, { 3, 2, 4, 4 } } },
        { "corners touch", 2, { { 1, 1, 3, 2 }, { 4, 3, 6, 5 } } },
        { "from the right to the left", 3, { { 7, 0, 8, 1 }, { 3, 0, 4, 6 }, { 0, 5, 1, 6 } } },
        { "a comb", 5, { { 0, 0, 0, 5 }, { 2, 0, 2, 5 }, { 4, 0, 4, 5 }, { 6, 0, 6, 5 }, { 0, 6, 8, 6 } } },
    };
    static const uint32_t pixel_bytes[] = { 1, 2, 3, 6 };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        for (size_t b = 0; b < ARRAY_LEN(pixel_bytes); b++) {
            test_row("%s, %u bytes", rows[i].name, pixel_bytes[b]);
            struct pixl_error err = { 0 };
            struct arena a;
            struct dicom_mask *m;
            arena_init(&a, 1 << 20);
            REQUIRE_OK(dicom_mask_new(&a, 7, 9, pixel_bytes[b], rows[i].rects, rows[i].n, &m, &err), err);
            CHECK_INT(m->plane_bytes, 63 * pixel_bytes[b]);
            static const size_t steps[] = { 1, 2, 5, 7, 63, 64, 100000 };
            for (size_t s = 0; s < ARRAY_LEN(steps); s++)
                CHECK(is_masked(m, 7, 9, pixel_bytes[b], rows[i].rects, rows[i].n, 3, steps[s]));
            arena_done(&a);
        }
}

static uint32_t dice(uint32_t n)
{
    static uint32_t x = 4711;
    x = x * 1664525u + 1013904223u;
    return (x >> 8) % n;
}

static void test_mask__any_rectangles_in_any_image(void)
{
    for (int round = 0; round < 2000; round++) {
        struct dicom_rect rects[DICOM_MASK_RECTS_MAX];
        uint32_t rows = 1 + dice(40), columns = 1 + dice(40), pixel_bytes = 1 + dice(6), n_planes = 1 + dice(4);
        size_t n = 1 + dice(round % 10 == 0 ? DICOM_MASK_RECTS_MAX : 4);
        for (size_t i = 0; i < n; i++) {
            rects[i].x0 = dice(columns);
            rects[i].y0 = dice(rows);
            rects[i].x1 = rects[i].x0 + dice(columns - rects[i].x0);
            rects[i].y1 = rects[i].y0 + dice(rows - rects[i].y0);
        }
        struct pixl_error err = { 0 };
        struct arena a;
        struct dicom_mask *m;
        arena_init(&a, 1 << 20);
        REQUIRE_OK(dicom_mask_new(&a, rows, columns, pixel_bytes, rects, n, &m, &err), err);
        test_row("round %d", round);
        CHECK(is_masked(m, rows, columns, pixel_bytes, rects, n, n_planes, 1 + dice(5000)));
        arena_done(&a);
    }
}

/* 4711 frames of the largest image there is: the mask is as small as that of one, and begins anywhere at once. */
static void test_mask__does_not_grow_with_the_image(void)
{
    static const struct dicom_rect rects[] = { { 100, 200, 65534, 65534 }, { 0, 0, 10, 10 } };
    struct pixl_error err = { 0 };
    struct arena a;
    struct dicom_mask *m;
    arena_init(&a, 16 << 10);
    REQUIRE_OK(dicom_mask_new(&a, 65535, 65535, 6, rects, ARRAY_LEN(rects), &m, &err), err);
    CHECK_INT(m->row_bytes, 65535 * 6);
    CHECK_INT(m->plane_bytes, 65535ll * 65535 * 6);
    uint8_t around[12];
    memset(around, 1, sizeof around);
    const uint64_t in_row_200 = 4711 * m->plane_bytes + 200 * m->row_bytes;
    dicom_mask_apply(m, in_row_200 + 99 * 6, around, sizeof around);
    CHECK(memcmp(around, "\0\0\0\0\0\0\1\1\1\1\1\1", 12) == 0);
    memset(around, 1, sizeof around);
    dicom_mask_apply(m, 4711 * m->plane_bytes - 6, around, sizeof around);     /* last pixel, and the first one after it */
    CHECK(memcmp(around, "\1\1\1\1\1\1\1\1\1\1\1\1", 12) == 0);
    arena_done(&a);
}

static void test_mask__no_memory_is_told(void)
{
    static const struct dicom_rect rect = { 0, 0, 1, 1 };
    struct pixl_error err = { 0 };
    struct arena a;
    struct dicom_mask *m = NULL;
    arena_init(&a, 1);
    CHECK_FAILS(dicom_mask_new(&a, 2, 2, 1, &rect, 1, &m, &err), err, PIXL_E_NOMEM);
    CHECK(m == NULL);
    arena_done(&a);
}

int main(int argc, char **argv)
{
    static const struct test_case tests[] = {
        TEST(test_mask__keeps_what_the_rectangles_hold),
        TEST(test_mask__any_rectangles_in_any_image),
        TEST(test_mask__does_not_grow_with_the_image),
        TEST(test_mask__no_memory_is_told),
    };
    return test_main(argc, argv, tests, ARRAY_LEN(tests));
}
