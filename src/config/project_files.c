#include "project_internal.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/fs.h"

/* A pipe or a device under a project's name would hang the reader or never end. */
static bool read_from_disk(void *ctx, struct arena *a, const char *path, struct str *out, struct pixl_error *err)
{
    (void)ctx;
    struct stat st;
    if (stat(path, &st) != 0)
        return pixl_fail_errno(err, errno, "reading");
    if (!S_ISREG(st.st_mode))
        return pixl_fail(err, PIXL_E_INVALID, 0, "%s",
                         S_ISDIR(st.st_mode) ? "is a folder, not a file" : "is not a regular file");
    return fs_read_whole(a, path, YAML_DOC_BYTES_MAX, out, err);
}

const struct project_files project_files_on_disk = { NULL, read_from_disk };

static bool has_dotdot(struct str path)
{
    bool more = true;
    while (more) {
        struct str part;
        more = str_split(path, '/', &part, &path);
        if (str_eq(part, STR("..")))
            return true;
    }
    return false;
}

bool project_locate(struct project_loader *l, const struct yaml_node *node, const char *what, const char *folder,
                    struct project_file *out)
{
    struct str name;
    if (!yaml_take_path(node, what, &name, l->ps))
        return false;
    if (has_dotdot(name))
        return problem_at(l->ps, node->at, "%s: '..' may not stand in a path; files lie under %s", what, folder);
    if (name.p[name.n - 1] == '/')
        return problem_at(l->ps, node->at, "%s: a file is wanted, not a folder", what);
    const char *text = project_keep(l, name);
    if (text == NULL)
        return false;
    bool absolute = text[0] == '/';
    out->named_at = node->at;
    out->shown = absolute ? text : fs_path(l->arena, folder, text);
    out->path = absolute ? text : fs_path3(l->arena, l->dir, folder, text);
    return (out->shown != NULL && out->path != NULL) || problem_nomem(l->ps);
}

static bool tell_unreadable(struct project_loader *l, const struct project_file *file,
                            const struct project_file *alternative, const struct pixl_error *err)
{
    switch (err->code) {
    case PIXL_E_NOMEM:
        return problem_nomem(l->ps);
    case PIXL_E_NOT_FOUND:
        if (alternative != NULL && strcmp(alternative->path, file->path) != 0)
            return problem_at(l->ps, file->named_at, "there is no file %s, nor %s", file->shown, alternative->shown);
        return problem_at(l->ps, file->named_at, "there is no file %s", file->shown);
    case PIXL_E_LIMIT:
        return problem_at(l->ps, file->named_at, "%s is larger than %d bytes", file->shown, YAML_DOC_BYTES_MAX);
    case PIXL_E_INVALID:
        return problem_at(l->ps, file->named_at, "%s %s", file->shown, err->msg);
    default:
        return problem_of(l->ps, err->code, file->named_at, "%s cannot be read: %s", file->shown,
                          pixl_code_text(err->code));
    }
}

bool project_read_named(struct project_loader *l, struct project_file *file, const struct project_file *alternative,
                        struct arena *a, struct str *out)
{
    struct pixl_error err = { 0 };
    if (l->files->read(l->files->ctx, a, file->path, out, &err))
        return true;
    if (err.code == PIXL_E_NOT_FOUND && alternative != NULL) {
        struct pixl_error again = { 0 };
        if (l->files->read(l->files->ctx, a, alternative->path, out, &again)) {
            *file = *alternative;
            return true;
        }
        if (again.code != PIXL_E_NOT_FOUND)
            return tell_unreadable(l, alternative, NULL, &again);
    }
    return tell_unreadable(l, file, alternative, &err);
}
