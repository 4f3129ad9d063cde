/* Bytes as a file of the tz database: whatever stands in it, an offset is within a day, and a failure leaves it alone.
 * The first bytes are the local time. */
#include "study/tz_offset.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool ok)
{
    if (!ok)
        abort();
}

static void ask(struct str tzif, const struct iso_time *t)
{
    for (int fold = 0; fold <= 1; fold++) {
        struct pixl_error err = { 0 };
        int offset_s = 1 << 30;
        bool ok = tz_offset(tzif, t, fold == 1, &offset_s, &err);
        require(ok ? err.code == PIXL_OK && abs(offset_s) < 86400 : err.code == PIXL_E_CORRUPT && offset_s == 1 << 30);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    enum { HEAD = 6 };
    if (size < HEAD)
        return 0;
    const struct iso_time t = { .year = 1 + (data[0] << 8 | data[1]) % 9999,
                                .month = 1 + data[2] % 12,
                                .day = 1 + data[3] % 28,
                                .hour = data[4] % 24,
                                .minute = data[5] % 60 };
    ask((struct str){ (const char *)data + HEAD, size - HEAD }, &t);
    return 0;
}
