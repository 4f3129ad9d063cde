#include "anon_put.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fs.h"

enum { INSTANCE_US = 60 * 1000000 };

bool anon_put_scratch(const char *zip_path, int *fd, struct pixl_error *err)
{
    char folder[4096];
    const char *slash = strrchr(zip_path, '/');
    int n = snprintf(folder, sizeof folder, "%.*s", slash ? (int)(slash - zip_path) + 1 : 1, slash ? zip_path : ".");
    if (n < 0 || (size_t)n >= sizeof folder)
        return pixl_fail(err, PIXL_E_INVALID, 0, "file to deliver: its path is too long");
    return fs_open_nameless(folder, fd, err) || pixl_wrap(err, "scratch file of a delivery");
}

bool anon_put_entry(struct anon *a, struct zip_read *zip, const struct zip_read_entry *entry, int scratch,
                    int64_t deadline_us, char id[ANON_ID_SIZE], struct pixl_error *err)
{
    if (ftruncate(scratch, 0) != 0 || lseek(scratch, 0, SEEK_SET) != 0)
        return pixl_fail_errno(err, errno, "scratch file of a delivery");
    if (!zip_read_to(zip, entry, scratch, err))
        return pixl_wrap(err, "file to deliver");
    return anon_store(a, scratch, entry->size_bytes, deadline_us, id, err);
}

bool anon_put_study(const struct settings *settings, const char *zip_path, const atomic_bool *cancel,
                    struct pixl_error *err)
{
    const int64_t until_us = clock_mono_us() + settings->dicomweb_timeout_s * 1000000;
    anon_auto *a = NULL;
    zip_read_auto *zip = NULL;
    char id[ANON_ID_SIZE];
    int scratch = -1;
    if (!anon_open(settings, &a, err) || !zip_read_open(zip_path, &zip, err) ||
        !anon_put_scratch(zip_path, &scratch, err))
        return false;
    bool ok = true;
    for (size_t i = 0; ok && i < zip_read_count(zip); i++) {
        const int64_t most_us = clock_mono_us() + INSTANCE_US, deadline_us = most_us < until_us ? most_us : until_us;
        ok = cancel == NULL || !atomic_load(cancel) || pixl_fail(err, PIXL_E_CANCELLED, 0, "told to stop");
        ok = ok && anon_put_entry(a, zip, zip_read_entry(zip, i), scratch, deadline_us, id, err);
    }
    (void)close(scratch);
    return ok;
}
