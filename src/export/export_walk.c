#include "export_internal.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/fs.h"

enum { DEPTH_MAX = 64, ENTRIES_MAX = 1000000 };

static bool add_entry(struct arena *a, struct export_tree *tree, const char *path, bool is_dir, struct pixl_error *err)
{
    if (tree->n == ENTRIES_MAX)
        return pixl_fail(err, PIXL_E_LIMIT, 0, "a folder of more than %d files", ENTRIES_MAX);
    struct export_entry *entries = arena_grow(a, tree->entries, tree->n, &tree->cap, sizeof *entries);
    if (entries == NULL)
        return pixl_fail(err, PIXL_E_NOMEM, 0, "list a folder");
    tree->entries = entries;
    tree->entries[tree->n++] = (struct export_entry){ path, is_dir };
    return true;
}

static void dir_closep(DIR **d)
{
    if (*d != NULL)
        (void)closedir(*d);
}

static bool walk(struct arena *a, const char *dir, const char *below, int depth, struct export_tree *tree,
                 struct pixl_error *err);

static bool take_entry(struct arena *a, const char *dir, const char *below, const char *name, int depth,
                       struct export_tree *tree, struct pixl_error *err)
{
    char *full = fs_path(a, dir, name);
    char *path = *below != '\0' ? fs_path(a, below, name) : arena_cstr(a, name);
    if (full == NULL || path == NULL)
        return pixl_fail(err, PIXL_E_NOMEM, 0, "list a folder");
    struct stat st;
    if (lstat(full, &st) != 0)
        return pixl_fail_errno(err, errno, "%s", path);
    if (S_ISDIR(st.st_mode))
        return add_entry(a, tree, path, true, err) && walk(a, full, path, depth + 1, tree, err);
    if (!S_ISREG(st.st_mode) && !tree->take_links)
        return pixl_fail(err, PIXL_E_INVALID, 0, "%s: a link, or neither a file nor a folder: not followed", path);
    return add_entry(a, tree, path, false, err);
}

static bool walk(struct arena *a, const char *dir, const char *below, int depth, struct export_tree *tree,
                 struct pixl_error *err)
{
    if (depth > DEPTH_MAX)
        return pixl_fail(err, PIXL_E_LIMIT, 0, "folders more than %d levels deep", DEPTH_MAX);
    PIXL_CLEANUP(dir_closep) DIR *d = opendir(dir);
    if (d == NULL)
        return pixl_fail_errno(err, errno, "open folder '%s'", below);
    for (;;) {
        errno = 0;
        struct dirent *e = readdir(d);
        if (e == NULL)
            return errno == 0 || pixl_fail_errno(err, errno, "list folder '%s'", below);
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
            continue;
        if (!take_entry(a, dir, below, e->d_name, depth, tree, err))
            return false;
    }
}

static int compare_paths(const void *a, const void *b)
{
    return strcmp(((const struct export_entry *)a)->path, ((const struct export_entry *)b)->path);
}

bool export_walk(struct arena *a, const char *dir, struct export_tree *tree, struct pixl_error *err)
{
    if (!walk(a, dir, "", 0, tree, err))
        return false;
    if (tree->n > 1)
        qsort(tree->entries, tree->n, sizeof *tree->entries, compare_paths);
    return true;
}
