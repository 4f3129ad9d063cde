#include "upload_common.h"

#include <stdio.h>
#include <string.h>

void upload_study_suffix(const char *writer, int64_t fence, char out[UPLOAD_SUFFIX_SIZE])
{
    (void)snprintf(out, UPLOAD_SUFFIX_SIZE, "%.*s.%lld", UPLOAD_WRITER_MAX, writer, (long long)fence);
}

/* Takes prefix off s. */
static bool take(struct str *s, struct str prefix)
{
    if (!str_is_prefix(*s, prefix))
        return false;
    *s = (struct str){ s->p + prefix.n, s->n - prefix.n };
    return true;
}

int64_t upload_part_fence(const char *file, const char *final, const char *writer)
{
    const struct str end = STR(".part");
    struct str s = str_of(file);
    int64_t fence;
    if (!take(&s, STR(".")) || !take(&s, str_of(final)) || !take(&s, STR(".")) || !take(&s, str_of(writer)) ||
        !take(&s, STR(".")) || s.n <= end.n || memcmp(s.p + s.n - end.n, end.p, end.n) != 0)
        return -1;
    return str_to_i64((struct str){ s.p, s.n - end.n }, &fence) && fence >= 0 ? fence : -1;
}

bool upload_marker_add(struct buf *out, struct str check_value)
{
    (void)buf_add_str(out, check_value);
    return buf_add_cstr(out, "\n# pixl: which hashing key the pseudonyms in this folder were made with. "
                             "Neither change nor remove it.\n");
}

bool upload_marker_agrees(struct str text, struct str check_value, struct pixl_error *err)
{
    struct str first, rest;
    (void)str_split(text, '\n', &first, &rest);
    return str_eq(str_trim(first), check_value) ||
           pixl_fail(err, PIXL_E_EXISTS, 0,
                     "destination: what was delivered there before was made under another hashing key "
                     "(" UPLOAD_MARKER " in the project's folder): its pseudonyms would not agree. Restore that key, or "
                     "give the project another destination");
}
