/* The public part of an extract, copied file by file: each is there whole or as it was, and what the source has no
 * more goes last.  A staging copy of the whole tree was not taken: it doubles the space, and `latest` moves only after
 * the last file anyway. */
#include "export.h"

#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fs.h"
#include "export_internal.h"

enum { SOURCE_BYTES_MAX = 4096 };

static bool fail_memory(struct pixl_error *err)
{
    return pixl_fail(err, PIXL_E_NOMEM, 0, "copy an extract");
}

/* Who made this folder: ".source" holds the fingerprint.  A tree without one is somebody else's. */
static bool claim_folder(struct arena *a, const char *dir, struct str source, struct pixl_error *err)
{
    char *path = fs_path(a, dir, ".source"), *tree = fs_path(a, dir, "omop");
    if (path == NULL || tree == NULL)
        return fail_memory(err);
    struct pixl_error why = { 0 };
    struct str there = { 0 };
    if (fs_read_whole(a, path, SOURCE_BYTES_MAX, &there, &why)) {
        if (str_eq(str_trim(there), source))
            return true;
        return pixl_fail(err, PIXL_E_EXISTS, 0,
                         "export: an extract of the same time but with other content is there already");
    }
    if (why.code != PIXL_E_NOT_FOUND) {
        *err = why;
        return pixl_wrap(err, "export: '.source'");
    }
    if (fs_exists(tree))
        return pixl_fail(err, PIXL_E_EXISTS, 0,
                         "export: an extract of the same time is there already, and its source is not known");
    return fs_write_whole(path, source, EXPORT_FILE_MODE, err) || pixl_wrap(err, "export: '.source'");
}

static bool is_below(const char *path, const char *dir)
{
    size_t n = strlen(dir);
    return strncmp(path, dir, n) == 0 && (path[n] == '/' || path[n] == '\0' || strcmp(dir, "/") == 0);
}

/* The real path of what is there of path, from the root on. */
static bool resolve_existing(struct arena *a, const char *path, char out[PATH_MAX], struct pixl_error *err)
{
    char *p = arena_cstr(a, path);
    if (p == NULL)
        return fail_memory(err);
    while (realpath(p, out) == NULL) {
        char *slash = strrchr(p, '/');
        if (errno != ENOENT)
            return pixl_fail_errno(err, errno, "export: export folder");
        if (slash == NULL)
            p = arena_cstr(a, strcmp(p, ".") != 0 ? "." : "/");
        else
            slash[slash == p ? 1 : 0] = '\0';
        if (p == NULL)
            return fail_memory(err);
    }
    return true;
}

/* A target inside of the source would be copied into itself, a source inside of the target removed as stale.  Looked at
 * before a folder is made: inside of the source it would stay there. */
static bool check_apart(struct arena *a, const char *public_dir, const char *root, struct str slug,
                        struct str time_slug, struct pixl_error *err)
{
    char from[PATH_MAX], to[PATH_MAX];
    buf_auto target = { 0 };
    buf_init(&target, PATH_MAX);
    if (!buf_addf(&target, "%s/%.*s/all_extracts/%.*s", root, STR_ARG(slug), STR_ARG(time_slug)))
        return fail_memory(err);
    if (realpath(public_dir, from) == NULL)
        return pixl_fail_errno(err, errno, "export: public folder of the extract");
    if (!resolve_existing(a, buf_cstr(&target), to, err))
        return false;
    /* A target that is not there yet cannot hold the source. */
    if (is_below(to, from) || (fs_is_dir(buf_cstr(&target)) && is_below(from, to)))
        return pixl_fail(err, PIXL_E_INVALID, 0,
                         "export: the export folder and the extract's public folder lie in each other");
    return true;
}

static bool is_real_dir(const char *path)
{
    struct stat st;
    return lstat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

static bool copy_entry(struct arena *a, const char *public_dir, const char *target, const struct export_entry *e,
                       const char *suffix, struct pixl_error *err)
{
    char *from = fs_path(a, public_dir, e->path), *to = fs_path(a, target, e->path);
    if (from == NULL || to == NULL)
        return fail_memory(err);
    if (e->is_dir) {
        if (fs_exists(to) && !is_real_dir(to) && !fs_remove(to, err))       /* a file or link had this name */
            return pixl_wrap(err, "export: '%s'", e->path);
        return fs_make_dirs(to, EXPORT_DIR_MODE, err) || pixl_wrap(err, "export: '%s'", e->path);
    }
    if (is_real_dir(to) && !fs_remove_tree(to, err))
        return pixl_wrap(err, "export: '%s'", e->path);
    return fs_copy_file(from, to, suffix, EXPORT_FILE_MODE, NULL, NULL, err) || pixl_wrap(err, "export: '%s'", e->path);
}

static int compare_path(const void *key, const void *entry)
{
    return strcmp(key, ((const struct export_entry *)entry)->path);
}

static bool is_in(const struct export_tree *tree, const char *path)
{
    return tree->n > 0 && bsearch(path, tree->entries, tree->n, sizeof *tree->entries, compare_path) != NULL;
}

/* From the last to the first, so that folders come after what they hold. */
static bool remove_stale(struct arena *a, const char *target, const struct export_tree *source, struct pixl_error *err)
{
    struct export_tree there = { .take_links = true };
    if (!export_walk(a, target, &there, err))
        return false;
    for (size_t i = there.n; i-- > 0;) {
        const char *path = there.entries[i].path;
        if (is_in(source, path))
            continue;
        char *full = fs_path(a, target, path);
        if (full == NULL)
            return fail_memory(err);
        if (!fs_remove_tree(full, err))
            return pixl_wrap(err, "export: '%s'", path);
    }
    return true;
}

/* PERSON_LINKS.parquet, or a folder PERSON_LINKS: in an extract only private tables have such names, those that lead to
 * the hospital's numbers. */
static bool is_link_table(const char *path)
{
    const char *slash = strrchr(path, '/'), *name = slash != NULL ? slash + 1 : path, *at = strcasestr(name, "_links");
    return at != NULL && (at[6] == '.' || at[6] == '\0');
}

static bool check_public(const struct export_tree *tree, struct pixl_error *err)
{
    for (size_t i = 0; i < tree->n; i++)
        if (is_link_table(tree->entries[i].path))
            return pixl_fail(err, PIXL_E_PRIVACY, 0,
                             "export: the extract's public folder holds a private table, %s: nothing of it is copied",
                             tree->entries[i].path);
    return true;
}

static bool copy_all(struct arena *a, const char *root, struct str slug, struct str time_slug, const char *public_dir,
                     struct str source, const char *temp_dir, struct pixl_error *err)
{
    struct export_tree tree = { 0 };
    char *dir = NULL, *omop = NULL, *target = NULL, suffix[32];
    /* The source is looked at before anything is made: a wrong path leaves no trace. */
    if (!fs_is_dir(public_dir))
        return pixl_fail(err, PIXL_E_NOT_FOUND, 0, "export: the extract has no public folder");
    if (!export_walk(a, public_dir, &tree, err))
        return pixl_wrap(err, "export: public folder of the extract");
    if (!check_public(&tree, err) || !export_check_columns(a, public_dir, &tree, temp_dir, err) ||
        !check_apart(a, public_dir, root, slug, time_slug, err) ||
        !export_make_extract_dir(a, root, slug, time_slug, &dir, err) || !claim_folder(a, dir, source, err) ||
        !export_make_dir(a, dir, "omop", &omop, err) || !export_make_dir(a, omop, "public", &target, err))
        return false;
    (void)snprintf(suffix, sizeof suffix, "%ld", (long)getpid());
    for (size_t i = 0; i < tree.n; i++)
        if (!copy_entry(a, public_dir, target, &tree.entries[i], suffix, err))
            return false;
    return remove_stale(a, target, &tree, err) && export_move_latest(a, root, slug, time_slug, err);
}

bool export_copy_public(const char *root, struct str slug, struct str time_slug, const char *public_dir,
                        struct str source, const char *temp_dir, struct pixl_error *err)
{
    assert(source.n > 0 && source.n < SOURCE_BYTES_MAX);
    struct arena a;
    arena_init(&a, EXPORT_ARENA_BYTES);
    bool ok = copy_all(&a, root, slug, time_slug, public_dir, source, temp_dir, err);
    arena_done(&a);
    return ok;
}
