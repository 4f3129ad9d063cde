/* Bytes as a .env file. */
#include "config/dotenv.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena a;
    arena_init(&a, 64 * 1024 * 1024);
    const struct dotenv_line *lines = NULL;
    size_t n = 0;
    struct pixl_error err = { 0 };
    bool ok = dotenv_parse(&a, ".env", (struct str){ (const char *)data, size }, &lines, &n, &err);
    if (ok != (err.code == PIXL_OK))
        abort();
    for (size_t i = 0; ok && i < n; i++)
        if (lines[i].name[0] == '\0' || lines[i].value == NULL || lines[i].line < 1)
            abort();
    arena_done(&a);
    return 0;
}
