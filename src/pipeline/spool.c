#include "spool.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/fs.h"
#include "base/log.h"

bool spool_path(struct site *s, struct str slug, const char *pseudo_study_uid, struct arena *a, const char **out, struct pixl_error *err)
{
    buf_auto b;
    buf_init(&b, 4096);
    (void)buf_addf(&b, "%s/spool/%.*s", site_settings(s)->state_dir, STR_ARG(slug));
    if (b.failed)
        return pixl_fail(err, PIXL_E_NOMEM, 0, "spool path");
    if (!fs_make_dirs(buf_cstr(&b), 0700, err))
        return pixl_wrap(err, "spool");
    (void)buf_addf(&b, "/%s.zip", pseudo_study_uid);
    char *path = b.failed ? NULL : arena_cstr(a, buf_cstr(&b));
    if (path == NULL)
        return pixl_fail(err, PIXL_E_NOMEM, 0, "spool path");
    *out = path;
    return true;
}

/* The zips that rows wait for, by pseudo study UID, sorted. */
struct wanted {
    const char *spool;                       /* this one's name */
    struct arena arena;
    struct str *uids;
    size_t n, cap;
    int64_t bytes;
    bool no_memory;
};

static bool add_wanted(void *ctx, const struct store_image *image)
{
    struct wanted *w = ctx;
    if (image->spool.n > 0 && !str_eq(image->spool, str_of(w->spool)))
        return true;                         /* another machine has its zip */
    if (w->n == w->cap) {
        size_t cap = w->cap ? 2 * w->cap : 256;
        struct str *grown = realloc(w->uids, cap * sizeof *grown);
        if (grown == NULL)
            return !(w->no_memory = true);
        w->uids = grown;
        w->cap = cap;
    }
    w->uids[w->n] = arena_str(&w->arena, image->pseudo_study_uid);
    w->no_memory = w->uids[w->n].p == NULL;
    w->n++;
    if (image->state != STUDY_KEPT)
        w->bytes += image->zip_bytes;
    return !w->no_memory;
}

static int by_text(const void *l, const void *r)
{
    return str_cmp(*(const struct str *)l, *(const struct str *)r);
}

static bool is_wanted(const struct wanted *w, const char *name)
{
    struct str uid = str_of(name);
    if (uid.n < 4 || memcmp(uid.p + uid.n - 4, ".zip", 4) != 0)
        return false;
    uid.n -= 4;
    return w->n > 0 && bsearch(&uid, w->uids, w->n, sizeof uid, by_text) != NULL;
}

/* One pass over the spool, and which of its files go. */
struct sweep {
    bool (*goes)(const struct sweep *s, const char *path, const char *name);
    const struct wanted *wanted;
    int64_t before_us;                       /* delivered zips that were kept since then have been kept for long enough */
};

#define DELIVERED ".delivered.zip"

static bool is_delivered(const char *name)
{
    size_t n = strlen(name), end = sizeof DELIVERED - 1;
    return n > end && strcmp(name + n - end, DELIVERED) == 0;
}

static bool was_kept_long(const struct sweep *s, const char *path, const char *name)
{
    struct stat st;
    return is_delivered(name) && stat(path, &st) == 0 && (int64_t)st.st_mtime * 1000000 <= s->before_us;
}

static bool is_of_no_use(const struct sweep *s, const char *path, const char *name)
{
    return is_delivered(name) ? was_kept_long(s, path, name) : !is_wanted(s->wanted, name);
}

static bool sweep_project(const char *dir, const struct sweep *s, struct pixl_error *err)
{
    DIR *d = opendir(dir);
    if (d == NULL)
        return pixl_fail_errno(err, errno, "spool");
    struct arena a;
    arena_init(&a, 1 << 20);
    bool ok = true;
    int64_t removed = 0;
    for (struct dirent *e; ok && (e = readdir(d)) != NULL; ) {
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
            continue;
        arena_reset(&a);
        char *path = fs_path(&a, dir, e->d_name);
        if (path != NULL && (fs_is_dir(path) || !s->goes(s, path, e->d_name)))
            continue;                        /* a folder is not ours */
        ok = path != NULL ? fs_remove(path, err) : pixl_fail(err, PIXL_E_NOMEM, 0, "spool");
        removed += ok;
    }
    arena_done(&a);
    (void)closedir(d);
    if (removed > 0)
        log_event(LOG_INFO, "spool.swept", "files=%lld", (long long)removed);
    return ok;
}

static bool sweep_in(const char *root, struct arena *a, const struct sweep *s, struct pixl_error *err)
{
    DIR *d = opendir(root);
    if (d == NULL)
        return errno == ENOENT || pixl_fail_errno(err, errno, "spool");
    bool ok = true;
    for (struct dirent *e; ok && (e = readdir(d)) != NULL; ) {
        char *dir = e->d_name[0] != '.' ? fs_path(a, root, e->d_name) : NULL;
        if (dir != NULL && fs_is_dir(dir))
            ok = sweep_project(dir, s, err);
    }
    (void)closedir(d);
    return ok;
}

static bool sweep(struct site *site, const struct sweep *s, struct pixl_error *err)
{
    struct arena a;
    arena_init(&a, 1 << 20);
    const char *root = fs_path(&a, site_settings(site)->state_dir, "spool");
    bool ok = root != NULL ? sweep_in(root, &a, s, err) : pixl_fail(err, PIXL_E_NOMEM, 0, "spool");
    arena_done(&a);
    return ok;
}

static int64_t kept_before_us(struct site *s, int64_t now_us)
{
    return now_us - site_settings(s)->spool_keep_s * 1000000;
}

bool spool_keep(const char *path, struct pixl_error *err)
{
    buf_auto b;
    size_t n = strlen(path) - strlen(".zip");
    buf_init(&b, 8192);
    if (!buf_addf(&b, "%.*s" DELIVERED, (int)n, path))
        return pixl_fail(err, PIXL_E_NOMEM, 0, "spool path");
    if (rename(path, buf_cstr(&b)) != 0)
        return errno == ENOENT || pixl_fail_errno(err, errno, "spool");
    return utimensat(AT_FDCWD, buf_cstr(&b), NULL, 0) == 0 || pixl_fail_errno(err, errno, "spool");
}

bool spool_expire(struct site *s, int64_t now_us, struct pixl_error *err)
{
    const struct sweep kept = { .goes = was_kept_long, .before_us = kept_before_us(s, now_us) };
    return sweep(s, &kept, err);
}

bool spool_sweep(struct site *s, int64_t *zip_bytes, struct pixl_error *err)
{
    const struct store_filter f = { .states = 1u << STUDY_DEIDENTIFIED | 1u << STUDY_DELIVERING | 1u << STUDY_KEPT | 1u << STUDY_FAILED |
                                              1u << STUDY_HELD };
    struct wanted w = { .spool = site_spool(s) };
    arena_init(&w.arena, (size_t)1 << 30);
    bool ok = store_each_image(site_store(s), &f, add_wanted, &w, err);
    if (w.no_memory) {
        pixl_error_clear(err);
        ok = pixl_fail(err, PIXL_E_NOMEM, 0, "spool");
    }
    if (ok && w.n > 0)
        qsort(w.uids, w.n, sizeof *w.uids, by_text);
    const struct sweep all = { .goes = is_of_no_use, .wanted = &w, .before_us = kept_before_us(s, clock_wall_us()) };
    ok = ok && sweep(s, &all, err);
    if (ok)
        *zip_bytes = w.bytes;
    free(w.uids);
    arena_done(&w.arena);
    return ok;
}
