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
    const struct str text = { (const char *)data, size };
    bool ok = dotenv_parse(&a, ".env", text, NULL, &lines, &n, &err);
    if (ok != (err.code == PIXL_OK))
        abort();
    /* With all problems told the right lines are the same, and there are problems when the first one would have failed. */
    struct problems wrong = { 0 };
    struct pixl_error other = { 0 };
    const struct dotenv_line *all = NULL;
    size_t n_all = 0;
    bool told = dotenv_parse(&a, ".env", text, &wrong, &all, &n_all, &other);
    if (ok != (told && wrong.n == 0) || (ok && n_all != n))
        abort();
    for (size_t i = 0; ok && i < n; i++)
        if (lines[i].name[0] == '\0' || lines[i].value == NULL || lines[i].line < 1)
            abort();
    arena_done(&a);
    return 0;
}
