/* count.h - the word that goes with a number.
 * Owns: nothing.  Threads: any. */
#ifndef PIXL_BASE_COUNT_H
#define PIXL_BASE_COUNT_H

#include <stdint.h>

/* "row" or "rows", "row asks" or "rows ask". */
static inline const char *count_word(int64_t n, const char *one, const char *many)
{
    return n == 1 ? one : many;
}

#endif
