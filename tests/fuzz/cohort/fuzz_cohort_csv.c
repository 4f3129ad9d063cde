/* Bytes as a cohort: every row is a request that may be stored or is refused with a reason. */
#include "cohort/cohort_internal.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool ok)
{
    if (!ok)
        abort();
}

static void check_row(const struct cohort_row *row)
{
    struct pixl_error err = { 0 };
    struct iso_time t;
    require(row->line > 1);
    if (row->refused) {
        require(row->why[0] != '\0' && phi_is_empty(row->request.mrn));
        return;
    }
    require(study_request_check(&row->request, &err));
    require(iso_time_parse(row->request.extract_time, &t) && t.has_offset && t.offset_s == 0);
    int32_t d = row->request.study_date;
    require(d == 0 || iso_time_is_day(d / 10000, d / 100 % 100, d % 100));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char path[64];
    int fd = memfd_create("cohort.csv", MFD_CLOEXEC);
    require(fd >= 0 && write(fd, data, size) == (ssize_t)size);
    (void)snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    struct pixl_error err = { 0 };
    cohort_auto *c = NULL;
    bool ok = cohort_csv_open(path, &c, &err);
    for (bool got = true; ok && got;) {
        struct cohort_row row;
        ok = cohort_next(c, &got, &row, &err);
        if (ok && got)
            check_row(&row);
    }
    require(ok == (err.code == PIXL_OK) && ok == (err.msg[0] == '\0'));
    (void)close(fd);
    return 0;
}
