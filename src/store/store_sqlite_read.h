/* store_sqlite_read.h - an image row as the outside sees it; for the SQLite store only. */
#ifndef PIXL_STORE_STORE_SQLITE_READ_H
#define PIXL_STORE_STORE_SQLITE_READ_H

#include "store/store_sqlite.h"

/* With its texts in the arena.  *got false: there is no such row. */
PIXL_MUST_CHECK bool store_sqlite_read_image(struct store_sqlite *s, int64_t id, struct arena *a, bool *got,
                                             struct store_image *out, struct pixl_error *err);

#endif
