#include "profile.h"

#include "base/attr.h"

#define PROFILE_ROW(tag, mask, action, is_standard, options) { tag, mask, PROFILE_##action, is_standard, options },
static const struct profile_row rows[] = {
#include "profile_table.inc"
};

const struct profile_row *profile_rows(size_t *n)
{
    *n = ARRAY_LEN(rows);
    return rows;
}

/* Linear: asked once for each rule when a policy is compiled, never for an element. */
const struct profile_row *profile_find(uint32_t tag)
{
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        if ((tag & rows[i].mask) == rows[i].tag)
            return &rows[i];
    return NULL;
}
