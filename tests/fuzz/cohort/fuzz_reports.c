/* Bytes as a CSV of reports: every row may be stored, or is refused with a reason. */
#include "cohort/reports.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/slug.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool ok)
{
    if (!ok)
        abort();
}

static void check_row(const struct reports *f, const struct reports_row *row)
{
    require(row->line > 1);
    require(row->refused == (row->why[0] != '\0'));
    if (row->refused) {
        require(row->text.n == 0 && row->image_identifier.n == 0);
        return;
    }
    require(str_is_utf8(row->text) && row->text.n <= REPORTS_TEXT_BYTES_MAX);
    require(row->text.n == 0 || memchr(row->text.p, '\0', row->text.n) == NULL);
    require(!reports_has_project(f) || slug_is_valid(row->project));
    require(!reports_has_time(f) || row->extract_time.year >= 1);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char dir[] = "/tmp/fuzz-reports-XXXXXX", path[64], target[64];
    int fd = memfd_create("reports", MFD_CLOEXEC);
    require(fd >= 0 && write(fd, data, size) == (ssize_t)size && mkdtemp(dir) != NULL);
    (void)snprintf(target, sizeof target, "/proc/self/fd/%d", fd);
    (void)snprintf(path, sizeof path, "%s/r.csv", dir); /* a name tells the kind */
    require(symlink(target, path) == 0);
    struct pixl_error err = { 0 };
    reports_auto *f = NULL;
    bool ok = reports_open(path, dir, &f, &err);
    require(unlink(path) == 0 && rmdir(dir) == 0);
    for (bool got = true; ok && got;) {
        struct reports_row row;
        ok = reports_next(f, &got, &row, &err);
        if (ok && got)
            check_row(f, &row);
    }
    require(ok == (err.code == PIXL_OK) && ok == (err.msg[0] == '\0'));
    (void)close(fd);
    return 0;
}
