#include "slug.h"

bool slug_is_valid(struct str s)
{
    bool dash = true;                           /* none at the beginning */
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        if (c == '-' ? dash : !((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9')))
            return false;
        dash = c == '-';
    }
    return !dash;
}
