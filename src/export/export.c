#include "export.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/slug.h"
#include "study/iso_time.h"
#include "export_internal.h"

enum { LINK_BYTES = 512 };

static bool fail_memory(struct pixl_error *err)
{
    return pixl_fail(err, PIXL_E_NOMEM, 0, "export");
}

/* Both become names of folders: nothing else than a slug may. */
static bool check_slugs(struct str slug, struct str time_slug, struct pixl_error *err)
{
    struct iso_time t;
    if (!slug_is_valid(slug))
        return pixl_fail(err, PIXL_E_INVALID, 0, "export: the project's name for folders is no slug");
    if (!slug_is_valid(time_slug) || !iso_time_parse_slug(time_slug, &t))
        return pixl_fail(err, PIXL_E_INVALID, 0, "export: the extract's name for folders is no time");
    return true;
}

bool export_make_dir(struct arena *a, const char *dir, const char *name, char **out, struct pixl_error *err)
{
    struct stat st;
    char *path = fs_path(a, dir, name);
    if (path == NULL)
        return fail_memory(err);
    if (lstat(path, &st) == 0 && !S_ISDIR(st.st_mode))
        return pixl_fail(err, PIXL_E_INVALID, 0, "export: '%s' is a link or a file where a folder is expected", name);
    if (!fs_make_dirs(path, EXPORT_DIR_MODE, err))
        return pixl_wrap(err, "export: folder '%s'", name);
    *out = path;
    return true;
}

bool export_make_extract_dir(struct arena *a, const char *root, struct str slug, struct str time_slug, char **out,
                             struct pixl_error *err)
{
    char *dir = NULL;
    if (!check_slugs(slug, time_slug, err))
        return false;
    struct str s = arena_str(a, slug), t = arena_str(a, time_slug);
    if (s.p == NULL || t.p == NULL)
        return fail_memory(err);
    if (!fs_make_dirs(root, EXPORT_DIR_MODE, err))
        return pixl_wrap(err, "export: root folder");
    if (!export_make_dir(a, root, s.p, &dir, err) || !export_make_dir(a, dir, "all_extracts", &dir, err))
        return false;
    return export_make_dir(a, dir, t.p, out, err);
}

bool export_find_extract_dir(struct arena *a, const char *root, struct str slug, struct str time_slug, char **out,
                             struct pixl_error *err)
{
    if (!check_slugs(slug, time_slug, err))
        return false;
    struct str s = arena_str(a, slug), t = arena_str(a, time_slug);
    char *dir = s.p != NULL ? fs_path3(a, root, s.p, "all_extracts") : NULL;
    char *path = dir != NULL && t.p != NULL ? fs_path(a, dir, t.p) : NULL;
    if (path == NULL)
        return fail_memory(err);
    if (!fs_is_dir(path))
        return pixl_fail(err, PIXL_E_NOT_FOUND, 0, "export: there is no extract '%s'", t.p);
    *out = path;
    return true;
}

/* The time that `latest` leads to; false when it leads to no extract that is there. */
static bool read_latest(struct arena *a, const char *project_dir, const char *link, struct iso_time *t,
                        struct str *name)
{
    char target[LINK_BYTES];
    ssize_t n = readlink(link, target, sizeof target);
    if (n <= 0 || (size_t)n >= sizeof target)
        return false;
    target[n] = '\0';
    const char *slash = strrchr(target, '/');
    struct str last = arena_str(a, str_of(slash != NULL ? slash + 1 : target));
    char *dir = last.p != NULL ? fs_path3(a, project_dir, "all_extracts", last.p) : NULL;
    if (dir == NULL || !fs_is_dir(dir))
        return false;
    *name = last;
    return iso_time_parse_slug(last, t);
}

/* Only the last part of the present link counts: an absolute one of the program before this one is understood too. */
bool export_move_latest(struct arena *a, const char *root, struct str slug, struct str time_slug,
                        struct pixl_error *err)
{
    struct iso_time mine, other;
    struct str name = { 0 }, s = arena_str(a, slug), t = arena_str(a, time_slug);
    char *project = s.p != NULL ? fs_path(a, root, s.p) : NULL;
    char *link = project != NULL ? fs_path(a, project, "latest") : NULL;
    char *target = t.p != NULL ? fs_path(a, "all_extracts", t.p) : NULL;
    if (link == NULL || target == NULL)
        return fail_memory(err);
    if (!iso_time_parse_slug(time_slug, &mine))
        return pixl_fail(err, PIXL_E_INVALID, 0, "export: the extract's name for folders is no time");
    if (read_latest(a, project, link, &other, &name) && !str_eq(name, time_slug)) {
        int64_t there = iso_time_to_us(&other), here = iso_time_to_us(&mine);
        if (there > here || (there == here && str_cmp(name, time_slug) > 0))
            return true;
    }
    return fs_replace_link(link, target, err) || pixl_wrap(err, "export: 'latest'");
}

static bool is_hidden(const char *path)
{
    return path[0] == '.' || strstr(path, "/.") != NULL;
}

bool export_list_files(const char *root, struct str slug, struct str time_slug, struct arena *a,
                       struct export_file **out, size_t *n, struct pixl_error *err)
{
    char *dir = NULL;
    struct export_tree tree = { 0 };
    if (!export_find_extract_dir(a, root, slug, time_slug, &dir, err) || !export_walk(a, dir, &tree, err))
        return false;
    struct export_file *files = arena_calloc(a, tree.n, sizeof *files);
    if (files == NULL)
        return fail_memory(err);
    size_t count = 0;
    for (size_t i = 0; i < tree.n; i++) {
        struct str path = str_of(tree.entries[i].path), end = STR(".parquet");
        bool is_below = str_is_prefix(path, STR("omop/public/")) || str_is_prefix(path, STR("radiology/"));
        if (tree.entries[i].is_dir || !is_below || is_hidden(path.p) || path.n < end.n ||
            !str_eq((struct str){ path.p + path.n - end.n, end.n }, end))
            continue;
        files[count] = (struct export_file){ fs_path(a, dir, path.p), path.p };
        if (files[count++].path == NULL)
            return fail_memory(err);
    }
    *out = files;
    *n = count;
    return true;
}
