/* bench_populate_store [ROWS] [FOLDER]   how fast requests go into a store on disk, and what that costs in memory.
 * Three kinds of rows, as cohorts have them: MRN + accession number, and every fourth one a second request for a study.
 * */
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/str.h"
#include "store/store.h"

static void fail(const struct pixl_error *err)
{
    (void)fprintf(stderr, "bench_populate_store: %s\n", err->msg);
    exit(1);
}

static double seconds_since(int64_t start_us)
{
    return (double)(clock_mono_us() - start_us) / 1e6;
}

/* Of this process: what another program on the machine does shows in the time, not here. */
static double cpu_seconds(void)
{
    struct rusage u;
    if (getrusage(RUSAGE_SELF, &u) != 0)
        return 0;
    return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) + (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}

static long peak_kib(void)
{
    struct rusage u;
    return getrusage(RUSAGE_SELF, &u) == 0 ? u.ru_maxrss : 0;
}

static void populate(struct store *s, int64_t rows, const char *name)
{
    struct pixl_error err = { 0 };
    struct store_populate *p = NULL;
    int64_t start = clock_mono_us();
    double cpu = cpu_seconds();
    if (!store_populate_begin(s, false, &p, &err))
        fail(&err);
    for (int64_t i = 0; i < rows; i++) {
        char mrn[32], accession[32];
        int64_t study = i % 4 == 3 ? i - 1 : i;
        (void)snprintf(mrn, sizeof mrn, "%08lld", (long long)(study / 3));
        (void)snprintf(accession, sizeof accession, "RRV%09lld", (long long)study);
        struct study_request r = { .project = STR("bench-project"), .mrn = phi_text(str_of(mrn)),
            .accession_number = phi_text(str_of(accession)), .study_date = 20100101 + (int32_t)(i * 7919 % 100000),
            .procedure_occurrence_id = i + 1, .extract_time = STR("2023-12-07T14:08:58"), .priority = 1 };
        enum store_added what;
        if (!store_populate_add(p, &r, clock_wall_us(), &what, NULL, &err))
            fail(&err);
    }
    if (!store_populate_end(p, &err))
        fail(&err);
    double t = seconds_since(start);
    printf("%-22s %9lld rows %8.2f s %9.0f rows/s   %.2f s of CPU   peak RSS %ld MiB\n", name, (long long)rows, t,
           (double)rows / t, cpu_seconds() - cpu, peak_kib() / 1024);
}

static void claims(struct store *s, int64_t n)
{
    struct pixl_error err = { 0 };
    struct arena a;
    arena_init(&a, 1 << 20);
    int64_t start = clock_mono_us();
    for (int64_t i = 0; i < n; i++) {
        struct store_claim c = {
            .work = STORE_WORK_RETRIEVE, .owner = "bench", .now_us = clock_wall_us(), .lease_us = 60000000
        };
        struct store_image image;
        bool got = false;
        if (!store_claim_next(s, &c, &a, &got, &image, &err))
            fail(&err);
        if (!got)
            break;
        struct store_move m = STORE_MOVE_NONE;
        m.image = image.id;
        m.fence = image.fence;
        m.to = STUDY_MISSING;
        m.reason = STUDY_WHY_NOT_IN_ARCHIVE;
        m.now_us = c.now_us;
        if (!store_move(s, &m, NULL, &err))
            fail(&err);
        arena_reset(&a);
    }
    double t = seconds_since(start);
    printf("%-22s %9lld rows %8.2f s %9.0f rows/s\n", "claim and move", (long long)n, t, (double)n / t);
    arena_done(&a);
}

static void count(struct store *s)
{
    struct pixl_error err = { 0 };
    struct store_counts c;
    int64_t start = clock_mono_us();
    if (!store_count(s, (struct str){ 0 }, &c, &err))
        fail(&err);
    printf("%-22s %9lld rows %8.3f s\n", "count", (long long)c.requests, seconds_since(start));
}

int main(int argc, char **argv)
{
    int64_t rows = 1000000;
    if (argc > 1 && (!str_to_i64(str_of(argv[1]), &rows) || rows < 1)) {
        (void)fprintf(stderr, "usage: bench_populate_store [ROWS] [FOLDER]\n");
        return 2;
    }
    char dir[512], url[600], path[600];
    (void)snprintf(dir, sizeof dir, "%s/pixl-bench-XXXXXX", argc > 2 ? argv[2] : "/tmp");
    if (mkdtemp(dir) == NULL) {
        perror("bench_populate_store: folder");
        return 1;
    }
    (void)snprintf(url, sizeof url, "sqlite:%s/pixl.db", dir);
    (void)snprintf(path, sizeof path, "%s/pixl.db", dir);
    struct pixl_error err = { 0 };
    struct store *s = NULL;
    if (!store_open(url, &s, &err))
        fail(&err);
    populate(s, rows, "populate, new");
    populate(s, rows, "populate, again");
    claims(s, 2000);
    count(s);
    store_close(s);
    struct stat st;
    if (stat(path, &st) == 0)
        printf("%-22s %9lld MiB\n", "file", (long long)st.st_size / 1048576);
    (void)unlink(path);
    (void)rmdir(dir);
    return 0;
}
