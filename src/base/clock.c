#include "clock.h"

#include <assert.h>
#include <stdio.h>
#include <time.h>

static int64_t read_us(clockid_t id)
{
    struct timespec t;
    int rc = clock_gettime(id, &t);
    assert(rc == 0);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

int64_t clock_mono_us(void) { return read_us(CLOCK_MONOTONIC); }
int64_t clock_wall_us(void) { return read_us(CLOCK_REALTIME); }

void clock_iso(int64_t wall_us, char out[CLOCK_ISO_SIZE])
{
    time_t s = (time_t)(wall_us / 1000000);
    struct tm tm;
    struct tm *ok = gmtime_r(&s, &tm);
    assert(wall_us >= 0 && ok != NULL && tm.tm_year <= 9999 - 1900);
    /* The masks keep the compiler sure of the widths. */
    (void)snprintf(out, CLOCK_ISO_SIZE, "%04u-%02u-%02uT%02u:%02u:%02u.%06uZ",
                   (unsigned)(tm.tm_year + 1900) % 10000, (unsigned)(tm.tm_mon + 1) % 100,
                   (unsigned)tm.tm_mday % 100, (unsigned)tm.tm_hour % 100, (unsigned)tm.tm_min % 100,
                   (unsigned)tm.tm_sec % 100, (unsigned)(wall_us % 1000000));
}
