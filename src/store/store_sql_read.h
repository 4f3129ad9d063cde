/* store_sql_read.h - an image row as the outside sees it; for the files of store_sql.h only. */
#ifndef PIXL_STORE_STORE_SQL_READ_H
#define PIXL_STORE_STORE_SQL_READ_H

#include "store/store_sql.h"

/* With its texts in the arena.  *got false: there is no such row. */
PIXL_MUST_CHECK bool store_sql_read_image(struct store_sql *s, int64_t id, struct arena *a, bool *got,
                                          struct store_image *out, struct pixl_error *err);

#endif
