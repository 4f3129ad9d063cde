/* make-parquet OUT SELECT TEMP   writes what a SELECT of DuckDB gives as a parquet file: for tests that need parquet made
 * by others than pixl. */
#include <stdio.h>

#include "base/duck.h"

int main(int argc, char **argv)
{
    struct pixl_error err = { 0 };
    struct arena a;
    duck_auto *d = NULL;
    if (argc != 4) {
        (void)fprintf(stderr, "usage: make-parquet OUT SELECT TEMP\n");
        return 2;
    }
    arena_init(&a, 1 << 20);
    buf_auto sql;
    buf_init(&sql, 1 << 20);
    const char *quoted = duck_quote(&a, str_of(argv[1]));
    bool ok = quoted != NULL && buf_addf(&sql, "COPY (%s) TO %s (FORMAT parquet)", argv[2], quoted) &&
              duck_open(argv[3], 512, &d, &err) && duck_run(d, "SET TimeZone = 'UTC'", NULL, 0, &err) &&
              duck_run(d, buf_cstr(&sql), NULL, 0, &err);
    if (!ok)
        (void)fprintf(stderr, "make-parquet: %s\n", err.msg);
    arena_done(&a);
    return ok ? 0 : 1;
}
