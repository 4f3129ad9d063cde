/* store_sqlite.h - the SQLite store's own; for its files only. */
#ifndef PIXL_STORE_STORE_SQLITE_H
#define PIXL_STORE_STORE_SQLITE_H

#include "base/sqlite_db.h"

/* Stands for a file name where the store is to be in memory: no address can name it. */
#define STORE_SQLITE_IN_MEMORY ":memory:"

/* Brings the database to the newest version; several processes may do so at once. */
PIXL_MUST_CHECK bool store_sqlite_migrate(struct sqlite_db *db, struct pixl_error *err);
/* Changes nothing.  Fails: CORRUPT (another program's), UNSUPPORTED (made by a newer pixl). */
PIXL_MUST_CHECK bool store_sqlite_version(struct sqlite_db *db, int64_t *version, int64_t *newest,
                                          struct pixl_error *err);

#endif
