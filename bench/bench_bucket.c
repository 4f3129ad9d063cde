/* bench_bucket.c - tokens taken per second from the shared token bucket, with one thread and with two.
 * Time goes on by a microsecond a call and the rate lets nearly every call have its token; only those count. */
#include <pthread.h>
#include <stdio.h>

#include "base/clock.h"
#include "ratelimit/bucket.h"

enum { TAKES = 20000000, THREADS_MAX = 2 };

static struct bucket_shared bucket;

static void *take(void *arg)
{
    int64_t wait_us, taken = 0;
    for (int i = 0; i < TAKES; i++)
        taken += bucket_shared_take(&bucket, i, &wait_us);
    *(int64_t *)arg = taken;
    return NULL;
}

int main(void)
{
    struct pixl_error err = { 0 };
    for (int n = 1; n <= THREADS_MAX; n++) {
        pthread_t t[THREADS_MAX];
        int64_t taken[THREADS_MAX] = { 0 }, sum = 0;
        if (!bucket_shared_init(&bucket, 2e6 * n, 1000, 0, &err))
            return 1;
        int64_t began = clock_mono_us();
        for (int i = 0; i < n; i++)
            if (pthread_create(&t[i], NULL, take, &taken[i]) != 0)
                return 1;
        for (int i = 0; i < n; i++)
            (void)pthread_join(t[i], NULL);
        double s = (double)(clock_mono_us() - began) / 1e6;
        for (int i = 0; i < n; i++)
            sum += taken[i];
        printf("bucket_takes_per_s threads=%d %.1f M\n", n, (double)sum / s / 1e6);
    }
    return 0;
}
