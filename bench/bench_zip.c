/* bench_zip.c - one thread writes the zip of 200 made-up CT slices of 0.5 MB, from files to a synced file; beside it a
 * copy of the same files into one synced file, and libdeflate alone on the same bytes in memory.  Rows as bench/run's. */
#include <fcntl.h>
#include <libdeflate.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fs.h"
#include "upload/zip.h"

enum { FILES = 200, SIDE = 512, FILE_BYTES = SIDE * SIDE * 2, ROUNDS = 5 };

static struct pixl_error err;
static char dir[256];

static void need(bool ok)
{
    if (ok)
        return;
    (void)fprintf(stderr, "bench_zip: %s\n", err.code ? err.msg : "the system refused");
    exit(1);
}

static const char *path_of(int i)
{
    static char path[300];
    (void)snprintf(path, sizeof path, "%s/%d", dir, i);
    return path;
}

/* An ellipse with noise, 12 of 16 bits, as a scanner's slices are: they deflate to about half. */
static void make_slice(uint16_t *px, int shift)
{
    uint64_t x = 88172645463325252u + (uint64_t)shift;
    for (int i = 0; i < SIDE * SIDE; i++) {
        double dx = (i % SIDE - 256) / 200.0, dy = ((i / SIDE + shift) % SIDE - 256) / 150.0;
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        px[i] = (uint16_t)(dx * dx + dy * dy < 1 ? 1000 + (x >> 20) % 64 : (x >> 20) % 16);
    }
}

static double now_s(void)
{
    return (double)clock_mono_us() / 1e6;
}

static double write_zip(int level)
{
    uint8_t digest[32];
    uint64_t size;
    struct zip *z = NULL;
    struct arena arena;
    char name[64];
    arena_init(&arena, 1 << 20);
    double began = now_s();
    need(zip_new(path_of(FILES), "1", level, &z, &err));
    for (int i = 0; i < FILES; i++) {
        int fd = open(path_of(i), O_RDONLY | O_CLOEXEC);
        struct dicom_source source;
        struct dicom_plan plan;
        dicom_plan_init(&plan, &arena);
        need(fd >= 0 && dicom_source_fd(fd, &source, &err) && dicom_plan_range(&plan, 0, source.size_bytes, &err));
        (void)snprintf(name, sizeof name, "2.25.1/2.25.2/%d.dcm", i);
        need(zip_add(z, name, &plan, &source, false, &err));
        (void)close(fd);
        arena_reset(&arena);
    }
    need(zip_commit(z, &size, digest, &err));
    arena_done(&arena);
    return now_s() - began;
}

static double copy_files(int unused)
{
    (void)unused;
    double began = now_s();
    int out = open(path_of(FILES), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    for (int i = 0; i < FILES; i++) {
        int fd = open(path_of(i), O_RDONLY | O_CLOEXEC);
        need(fd >= 0 && out >= 0 && fs_copy_range(fd, 0, FILE_BYTES, out, &err));
        (void)close(fd);
    }
    need(fsync(out) == 0 && close(out) == 0);
    return now_s() - began;
}

static double deflate_only(int level)
{
    uint8_t *in = malloc(FILE_BYTES), *out = malloc(FILE_BYTES);
    struct libdeflate_compressor *c = libdeflate_alloc_compressor(level);
    need(in != NULL && out != NULL && c != NULL);
    double took = 0;
    for (int i = 0; i < FILES; i++) {
        int fd = open(path_of(i), O_RDONLY | O_CLOEXEC);
        need(fd >= 0 && fs_pread_all(fd, in, FILE_BYTES, 0, &err));
        (void)close(fd);
        double began = now_s();
        need(libdeflate_deflate_compress(c, in, FILE_BYTES, out, FILE_BYTES) > 0);
        took += now_s() - began;
    }
    libdeflate_free_compressor(c);
    free(in);
    free(out);
    return took;
}

/* MB/s, the best of some rounds. */
static double best(double (*f)(int level), int level)
{
    double least = 1e9;
    for (int i = 0; i < ROUNDS; i++) {
        double s = f(level);
        least = s < least ? s : least;
        (void)unlink(path_of(FILES));
    }
    return FILES * (double)FILE_BYTES / 1e6 / least;
}

static void row(const char *what, double ours, const char *what_other, double other)
{
    char mine[32], theirs[64];
    (void)snprintf(mine, sizeof mine, "%.0f MB/s", ours);
    (void)snprintf(theirs, sizeof theirs, "%s %.0f MB/s", what_other, other);
    printf("%-52s %16s %30s %8.2f\n", what, mine, theirs, ours / other);
}

int main(void)
{
    static uint16_t slice[SIDE * SIDE];
    const char *tmp = getenv("TMPDIR");
    (void)snprintf(dir, sizeof dir, "%s/pixl-bench-XXXXXX", tmp && *tmp ? tmp : "/tmp");
    need(mkdtemp(dir) != NULL);
    for (int i = 0; i < FILES; i++) {
        make_slice(slice, i);
        need(fs_write_whole(path_of(i), (struct str){ (const char *)slice, FILE_BYTES }, 0600, &err));
    }
    row("zip of 200 slices, level 0, one thread", best(write_zip, 0), "copy of the files", best(copy_files, 0));
    row("zip of 200 slices, level 1, one thread", best(write_zip, 1), "libdeflate alone", best(deflate_only, 1));
    row("zip of 200 slices, level 6, one thread", best(write_zip, 6), "libdeflate alone", best(deflate_only, 6));
    need(fs_remove_tree(dir, &err));
    return 0;
}
