/* phantom.h - pixels of things that look like a body: ellipses and noise, in whole numbers, so that every machine
 * draws the same.
 * Owns: nothing.  Threads: any. */
#ifndef PIXL_DEMO_PHANTOM_H
#define PIXL_DEMO_PHANTOM_H

#include <stddef.h>
#include <stdint.h>

/* 16 bits per pixel, little endian, size * size of them, 0..4095.
 *   chest_ct    stored value = Hounsfield unit + 1024; slice 0..n-1 from the top
 *   chest_xray  bones bright
 *   head_mr     slice 0..n-1 from below */
void phantom_chest_ct(uint8_t *pixels, unsigned size, unsigned slice, unsigned n, uint64_t seed);
void phantom_chest_xray(uint8_t *pixels, unsigned size, uint64_t seed);
void phantom_head_mr(uint8_t *pixels, unsigned size, unsigned slice, unsigned n, uint64_t seed);

/* The next number of a sequence that the seed decides (splitmix64). */
uint64_t phantom_random(uint64_t *state);

#endif
