#include "spool.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

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
    struct arena arena;
    struct str *uids;
    size_t n, cap;
    int64_t bytes;
    bool no_memory;
};

static bool add_wanted(void *ctx, const struct store_image *image)
{
    struct wanted *w = ctx;
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

static bool sweep_project(const char *dir, const struct wanted *w, struct pixl_error *err)
{
    DIR *d = opendir(dir);
    if (d == NULL)
        return pixl_fail_errno(err, errno, "spool");
    struct arena a;
    arena_init(&a, 1 << 20);
    bool ok = true;
    int64_t removed = 0;
    for (struct dirent *e; ok && (e = readdir(d)) != NULL; ) {
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0 || is_wanted(w, e->d_name))
            continue;
        arena_reset(&a);
        char *path = fs_path(&a, dir, e->d_name);
        if (path != NULL && fs_is_dir(path))
            continue;                        /* not ours */
        ok = path != NULL ? fs_remove(path, err) : pixl_fail(err, PIXL_E_NOMEM, 0, "spool");
        removed += ok;
    }
    arena_done(&a);
    (void)closedir(d);
    if (removed > 0)
        log_event(LOG_INFO, "spool.swept", "files=%lld", (long long)removed);
    return ok;
}

static bool sweep(const char *root, const struct wanted *w, struct pixl_error *err)
{
    struct arena a;
    DIR *d = opendir(root);
    if (d == NULL)
        return errno == ENOENT || pixl_fail_errno(err, errno, "spool");
    arena_init(&a, 1 << 20);
    bool ok = true;
    for (struct dirent *e; ok && (e = readdir(d)) != NULL; ) {
        arena_reset(&a);
        char *dir = e->d_name[0] != '.' ? fs_path(&a, root, e->d_name) : NULL;
        if (dir != NULL && fs_is_dir(dir))
            ok = sweep_project(dir, w, err);
    }
    arena_done(&a);
    (void)closedir(d);
    return ok;
}

bool spool_sweep(struct site *s, int64_t *zip_bytes, struct pixl_error *err)
{
    const struct store_filter f = { .states = 1u << STUDY_DEIDENTIFIED | 1u << STUDY_DELIVERING | 1u << STUDY_KEPT | 1u << STUDY_FAILED |
                                              1u << STUDY_HELD };
    struct wanted w = { 0 };
    arena_init(&w.arena, (size_t)1 << 30);
    bool ok = store_each_image(site_store(s), &f, add_wanted, &w, err);
    if (w.no_memory) {
        pixl_error_clear(err);
        ok = pixl_fail(err, PIXL_E_NOMEM, 0, "spool");
    }
    char *root = ok ? fs_path(&w.arena, site_settings(s)->state_dir, "spool") : NULL;
    if (ok && root == NULL)
        ok = pixl_fail(err, PIXL_E_NOMEM, 0, "spool");
    if (ok && w.n > 0)
        qsort(w.uids, w.n, sizeof *w.uids, by_text);
    ok = ok && sweep(root, &w, err);
    if (ok)
        *zip_bytes = w.bytes;
    free(w.uids);
    arena_done(&w.arena);
    return ok;
}
