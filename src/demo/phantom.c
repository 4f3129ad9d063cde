#include "phantom.h"

#include <stdbool.h>

#include "base/attr.h"

/* In units of 1/1000 of the image's size; what is drawn later lies on top. */
struct ellipse {
    int x, y, rx, ry;
    int value;
};

uint64_t phantom_random(uint64_t *state)
{
    uint64_t z = *state += 0x9E3779B97F4A7C15u;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return z ^ (z >> 31);
}

/* An ellipse in pixels. */
struct shape {
    int64_t x, y, rx, ry;
    int value;
};

static bool holds(const struct shape *s, int64_t x, int64_t y)
{
    int64_t dx = (x - s->x) * s->ry, dy = (y - s->y) * s->rx, r = s->rx * s->ry;
    return dx * dx + dy * dy <= r * r;
}

enum { SHAPES_MAX = 24 };

static void draw(uint8_t *pixels, unsigned size, const struct ellipse *e, size_t n, int background, int noise,
                 uint64_t seed)
{
    struct shape shapes[SHAPES_MAX];
    uint64_t state = seed, bits = 0;
    for (size_t i = 0; i < n; i++) {
        int64_t s = size;
        shapes[i] = (struct shape){ e[i].x * s / 1000, e[i].y * s / 1000, 1 + e[i].rx * s / 1000,
                                    1 + e[i].ry * s / 1000, e[i].value };
    }
    for (unsigned y = 0, at = 0; y < size; y++)
        for (unsigned x = 0; x < size; x++, at++) {
            int v = background;
            for (size_t i = n; i-- > 0;)
                if (holds(&shapes[i], x, y)) {
                    v = shapes[i].value;
                    break;
                }
            bits = at % 8 ? bits >> 8 : phantom_random(&state);
            v += (int)(bits & 0xFF) * noise / 256 - noise / 2;
            v = v < 0 ? 0 : v > 4095 ? 4095 : v;
            pixels[2 * at] = (uint8_t)(v & 0xFF);
            pixels[2 * at + 1] = (uint8_t)(v >> 8);
        }
}

/* 0 at the ends, 1000 in the middle: what grows and shrinks along the body. */
static int bulge(unsigned slice, unsigned n)
{
    int t = n > 1 ? (int)(slice * 2000 / (n - 1)) - 1000 : 0;
    return 1000 - t * t / 1000;
}

void phantom_chest_ct(uint8_t *pixels, unsigned size, unsigned slice, unsigned n, uint64_t seed)
{
    int b = bulge(slice, n), lung = 60 + b * 90 / 1000, heart = b * 85 / 1000;
    const struct ellipse body[] = {
        { 500, 500, 430, 310, 1024 + 40 },
        { 500, 500, 405, 285, 1024 - 90 },
        { 500, 500, 385, 265, 1024 + 45 },
        { 330, 480, lung, 2 * lung - 40, 1024 - 820 },
        { 670, 480, lung, 2 * lung - 40, 1024 - 820 },
        { 540, 440, heart, heart - heart / 5, 1024 + 60 },
        { 500, 690, 48, 42, 1024 + 420 },
        { 500, 640, 20, 18, 1024 + 15 },
        { 500, 745, 12, 36, 1024 + 500 },
        { 500, 250, 34, 14, 1024 + 350 },
        { 455, 610, 18, 18, 1024 + 120 },
    };
    draw(pixels, size, body, ARRAY_LEN(body), 24, 60, seed);
}

void phantom_chest_xray(uint8_t *pixels, unsigned size, uint64_t seed)
{
    struct ellipse body[SHAPES_MAX] = {
        { 500, 620, 470, 560, 2300 }, { 310, 470, 165, 330, 900 }, { 690, 470, 165, 330, 900 },
        { 560, 610, 150, 170, 2600 }, { 500, 500, 42, 520, 2900 },
    };
    size_t n = 5;
    for (int rib = 0; rib < 6; rib++) {
        body[n++] = (struct ellipse){ 310, 230 + rib * 85, 170, 11, 1500 };
        body[n++] = (struct ellipse){ 690, 230 + rib * 85, 170, 11, 1500 };
    }
    draw(pixels, size, body, n, 120, 90, seed);
}

void phantom_head_mr(uint8_t *pixels, unsigned size, unsigned slice, unsigned n, uint64_t seed)
{
    int b = bulge(slice, n), grow = 500 + b / 2, in = b * 60 / 1000;
    const struct ellipse head[] = {
        { 500, 500, 360 * grow / 1000, 440 * grow / 1000, 1400 },
        { 500, 500, 335 * grow / 1000, 412 * grow / 1000, 150 },
        { 500, 500, 315 * grow / 1000, 390 * grow / 1000, 800 },
        { 500, 500, 270 * grow / 1000, 340 * grow / 1000, 1050 },
        { 460, 470, in / 2, in, 320 },
        { 540, 470, in / 2, in, 320 },
        { 500, 700, 50 + in, 30 + in, 900 },
    };
    draw(pixels, size, head, ARRAY_LEN(head), 12, 40, seed);
}
