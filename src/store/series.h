/* series.h - the set of series that a request or an image asks for, as text: UIDs sorted, each once, joined by '\'.
 * The empty text asks for all series and is thus the widest set.
 * Owns: nothing; results go into the caller's buf, which says by `failed` that memory ran out.  Threads: any. */
#ifndef PIXL_STORE_SERIES_H
#define PIXL_STORE_SERIES_H

#include "base/str.h"

enum { STORE_SERIES_MAX = 1024 * 1024 };         /* ceiling for such a buf: some 16,000 series */

/* out becomes the set that s names, in any order and more than once, in the form above.
 * false: no memory or over the ceiling of out. */
bool series_form(struct str s, struct buf *out);
/* out becomes the set of what a and b, both in the form above, name together; empty when one of them asks for all.
 * false: as series_form(). */
bool series_union(struct str a, struct str b, struct buf *out);
/* Does have hold all that want asks for?  Both in the form above. */
bool series_covers(struct str have, struct str want);

#endif
