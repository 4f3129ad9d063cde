/* clock_step.c - the clock that people set, under a test's control.  Preloaded, it adds to CLOCK_REALTIME the microseconds
 * that stand in the file CLOCK_STEP_FILE (8 bytes), at any time anew; a monotonic clock goes on as it does. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static const _Atomic int64_t *step_us;

__attribute__((constructor)) static void begin(void)
{
    const char *path = getenv("CLOCK_STEP_FILE");
    int fd = path != NULL ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    void *at = fd >= 0 ? mmap(NULL, sizeof *step_us, PROT_READ, MAP_SHARED, fd, 0) : MAP_FAILED;
    if (at == MAP_FAILED) {
        (void)fputs("clock_step: CLOCK_STEP_FILE cannot be read\n", stderr);
        _exit(70);
    }
    (void)close(fd);
    step_us = at;
}

static int64_t now_us(void)
{
    struct timespec t;
    (void)syscall(SYS_clock_gettime, CLOCK_REALTIME, &t);
    return t.tv_sec * INT64_C(1000000) + t.tv_nsec / 1000 + (step_us != NULL ? *step_us : 0);
}

int clock_gettime(clockid_t clock, struct timespec *t)
{
    if (clock != CLOCK_REALTIME)
        return (int)syscall(SYS_clock_gettime, clock, t);
    int64_t us = now_us();
    *t = (struct timespec){ .tv_sec = us / 1000000, .tv_nsec = us % 1000000 * 1000 };
    return 0;
}

int gettimeofday(struct timeval *restrict t, void *restrict zone)
{
    (void)zone;
    int64_t us = now_us();
    *t = (struct timeval){ .tv_sec = us / 1000000, .tv_usec = us % 1000000 };
    return 0;
}

time_t time(time_t *out)
{
    time_t s = now_us() / 1000000;
    if (out != NULL)
        *out = s;
    return s;
}
