/* bench_deflate.c LEVEL THREADS FOLDER - libdeflate alone on the files of a folder, held in memory: MB/s of input. */
#include <fcntl.h>
#include <fts.h>
#include <libdeflate.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/fs.h"

enum { FILES_MAX = 10000, THREADS_MAX = 16 };

static struct str files[FILES_MAX];
static size_t n_files;
static atomic_size_t next_file, compressed;
static int level;

static void *compress(void *arg)
{
    (void)arg;
    struct libdeflate_compressor *c = libdeflate_alloc_compressor(level);
    size_t cap = libdeflate_deflate_compress_bound(c, (size_t)64 << 20);
    char *out = malloc(cap);
    for (size_t i; c && out && (i = atomic_fetch_add(&next_file, 1)) < n_files; )
        atomic_fetch_add(&compressed, libdeflate_deflate_compress(c, files[i].p, files[i].n, out, cap));
    free(out);
    libdeflate_free_compressor(c);
    return NULL;
}

static size_t load(struct arena *a, char *folder)
{
    char *const roots[] = { folder, NULL };
    FTS *fts = fts_open(roots, FTS_PHYSICAL | FTS_NOCHDIR, NULL);
    struct pixl_error err = { 0 };
    size_t bytes = 0;
    for (FTSENT *e; fts && (e = fts_read(fts)) != NULL && n_files < FILES_MAX; )
        if (e->fts_info == FTS_F) {
            if (!fs_read_whole(a, e->fts_accpath, (size_t)64 << 20, &files[n_files], &err))
                return 0;
            bytes += files[n_files++].n;
        }
    if (fts)
        (void)fts_close(fts);
    return bytes;
}

int main(int argc, char **argv)
{
    int64_t wanted_level, threads;
    pthread_t t[THREADS_MAX];
    struct arena a;
    if (argc != 4 || !str_to_i64(str_of(argv[1]), &wanted_level) || !str_to_i64(str_of(argv[2]), &threads) || threads < 1 || threads > THREADS_MAX)
        return 2;
    level = (int)wanted_level;
    arena_init(&a, (size_t)8 << 30);
    size_t bytes = load(&a, argv[3]);
    int64_t began = clock_mono_us();
    for (int64_t i = 0; i < threads; i++)
        if (pthread_create(&t[i], NULL, compress, NULL) != 0)
            return 1;
    for (int64_t i = 0; i < threads; i++)
        (void)pthread_join(t[i], NULL);
    double s = (double)(clock_mono_us() - began) / 1e6;
    printf("%.1f MB/s, down to %.0f %%\n", (double)bytes / s / 1e6, 100.0 * (double)compressed / (double)bytes);
    arena_done(&a);
    return bytes == 0;
}
