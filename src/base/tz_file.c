#include "tz_file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fs.h"

enum { PATH_SIZE = 512 };

static bool is_name(struct str name)
{
    static const char chars[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+-_/";
    if (name.n == 0 || name.n > TZ_NAME_MAX || name.p[0] == '/' || name.p[name.n - 1] == '/')
        return false;
    for (size_t i = 0; i < name.n; i++)
        if (name.p[i] == '\0' || strchr(chars, name.p[i]) == NULL || (name.p[i] == '/' && name.p[i + 1] == '/'))
            return false;
    return true;
}

static bool path_of(struct str name, char path[PATH_SIZE])
{
    const char *dir = getenv("TZDIR");
    if (dir == NULL || dir[0] == '\0')
        dir = "/usr/share/zoneinfo";
    int n = is_name(name) ? snprintf(path, PATH_SIZE, "%s/%.*s", dir, STR_ARG(name)) : -1;
    return n > 0 && n < PATH_SIZE;
}

bool tz_file_is_there(struct str name)
{
    char path[PATH_SIZE];
    return path_of(name, path) && access(path, R_OK) == 0;
}

bool tz_file_read(struct arena *a, struct str name, struct str *out, struct pixl_error *err)
{
    char path[PATH_SIZE];
    if (!path_of(name, path))
        return pixl_fail(err, PIXL_E_NOT_FOUND, 0, "not the name of a time zone");
    return fs_read_whole(a, path, TZ_FILE_MAX, out, err) || pixl_wrap(err, "time zone");
}
