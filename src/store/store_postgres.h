/* store_postgres.h - the PostgreSQL store's own; for its files only. */
#ifndef PIXL_STORE_STORE_POSTGRES_H
#define PIXL_STORE_STORE_POSTGRES_H

#include "base/pg_db.h"

/* Brings schema pixl_pipeline to the newest version, each migration in a transaction of its own; several processes may
 * do so at once.  Tables of the system that pixl replaces are adopted where they are.
 * Fails: UNSUPPORTED (made by a newer pixl; that system's tables, but not its newest; another program's). */
PIXL_MUST_CHECK bool store_postgres_migrate(struct sql *db, struct pixl_error *err);

#endif
