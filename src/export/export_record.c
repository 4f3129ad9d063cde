/* ".delivered" in an extract's folder: of what its tables were made when they were delivered, with ".source" as it was
 * then, since public files may come after the tables. */
#include "export.h"

#include "base/fs.h"
#include "export_internal.h"

enum { RECORD_BYTES_MAX = 16 * 1024 };

static bool fail_memory(struct pixl_error *err)
{
    return pixl_fail(err, PIXL_E_NOMEM, 0, "record of an extract");
}

/* What cannot be read is none. */
static bool read_text(struct arena *a, const char *path, struct str *out, struct pixl_error *err)
{
    if (path == NULL)
        return fail_memory(err);
    if (fs_read_whole(a, path, RECORD_BYTES_MAX, out, err))
        return true;
    if (err->code == PIXL_E_NOMEM)
        return false;
    pixl_error_clear(err);
    *out = (struct str){ 0 };
    return true;
}

static bool complete(struct arena *a, const char *dir, struct str record, struct buf *out, struct pixl_error *err)
{
    struct str source;
    return read_text(a, fs_path(a, dir, ".source"), &source, err) &&
           (buf_addf(out, "%.*s\nsource %.*s\n", STR_ARG(record), STR_ARG(str_trim(source))) || fail_memory(err));
}

static bool write_in(struct arena *a, const char *dir, struct str record, struct pixl_error *err)
{
    const char *path = fs_path(a, dir, ".delivered");
    buf_auto whole;
    buf_init(&whole, 2 * RECORD_BYTES_MAX);
    if (path == NULL)
        return fail_memory(err);
    return complete(a, dir, record, &whole, err) &&
           (fs_write_whole(path, buf_str(&whole), EXPORT_FILE_MODE, err) || pixl_wrap(err, "export: '.delivered'"));
}

static bool compare_in(struct arena *a, const char *dir, struct str record, bool *is_same, struct pixl_error *err)
{
    const char *linker = fs_path3(a, dir, "radiology", "IMAGE_LINKER.parquet"),
               *outcomes = fs_path3(a, dir, "radiology", "OUTCOMES.parquet");
    struct str there;
    buf_auto whole;
    buf_init(&whole, 2 * RECORD_BYTES_MAX);
    if (linker == NULL || outcomes == NULL)
        return fail_memory(err);
    if (!complete(a, dir, record, &whole, err) || !read_text(a, fs_path(a, dir, ".delivered"), &there, err))
        return false;
    *is_same = str_eq(there, buf_str(&whole)) && fs_exists(linker) && fs_exists(outcomes);
    return true;
}

bool export_write_record(const char *root, struct str slug, struct str time_slug, struct str record,
                         struct pixl_error *err)
{
    struct arena a;
    char *dir = NULL;
    arena_init(&a, 1 << 20);
    bool ok = export_find_extract_dir(&a, root, slug, time_slug, &dir, err) && write_in(&a, dir, record, err);
    arena_done(&a);
    return ok;
}

bool export_compare_record(const char *root, struct str slug, struct str time_slug, struct str record, bool *is_same,
                           struct pixl_error *err)
{
    struct arena a;
    char *dir = NULL;
    bool same = false;
    arena_init(&a, 1 << 20);
    bool ok = export_find_extract_dir(&a, root, slug, time_slug, &dir, err) && compare_in(&a, dir, record, &same, err);
    arena_done(&a);
    if (!ok && err->code == PIXL_E_NOT_FOUND) {
        pixl_error_clear(err); /* the folder is not there */
        ok = true;
    }
    if (ok)
        *is_same = same;
    return ok;
}
