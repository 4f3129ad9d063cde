/* bench_ftps CA_FILE SECRETS_FILE ZIP N: delivers ZIP N times, each under another name, by one destination that is kept open, as a run does;
 * the first one connects.  The project is "bench".  Prints the seconds of each. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/fs.h"
#include "upload/upload.h"

static int say(const struct pixl_error *err)
{
    fprintf(stderr, "bench_ftps: %s\n", err->msg);
    return 1;
}

int main(int argc, char **argv)
{
    struct pixl_error err = { 0 };
    int64_t n;
    char url[4096], uid[64];
    if (argc != 5 || !str_to_i64(str_of(argv[4]), &n))
        return 2;
    (void)signal(SIGPIPE, SIG_IGN);
    (void)snprintf(url, sizeof url, "file:%s", argv[2]);
    struct project p = { .name = "bench",
                         .slug = STR("bench"),
                         .secrets_prefix = STR("bench"),
                         .dicom_destination = PROJECT_TO_FTPS,
                         .parquet_destination = PROJECT_TO_FTPS,
                         .ftps = { .ca_file = argv[1], .max_connections = 1 } };
    secrets_auto *secrets = NULL;
    upload_auto *u = NULL;
    struct upload_study z = { .zip_path = argv[3], .pseudo_study_uid = uid, .fence = 2 };
    if (!secrets_open(url, NULL, &secrets, &err) || !fs_digest(z.zip_path, z.digest, &z.size_bytes, &err))
        return say(&err);
    struct upload_options o = { .secrets = secrets, .writer = "bench" };
    if (!upload_open(&p, false, &o, &u, &err))
        return say(&err);
    for (int64_t i = 0; i < n; i++) {
        (void)snprintf(uid, sizeof uid, "2.25.%lld", (long long)clock_wall_us());
        int64_t began = clock_mono_us();
        if (!upload_study(u, &z, &err))
            return say(&err);
        printf("%.6f\n", (double)(clock_mono_us() - began) / 1e6);
    }
    return 0;
}
