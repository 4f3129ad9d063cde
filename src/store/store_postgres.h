/* store_postgres.h - the PostgreSQL store's own; for its files only. */
#ifndef PIXL_STORE_STORE_POSTGRES_H
#define PIXL_STORE_STORE_POSTGRES_H

#include "base/pg_db.h"

/* Brings schema pixl_pipeline to the newest version, each migration in a transaction of its own; several processes may
 * do so at once.  Tables of the system that pixl replaces are adopted where they are.
 * Fails: UNSUPPORTED (made by a newer pixl; that system's tables, but not its newest; another program's). */
PIXL_MUST_CHECK bool store_postgres_migrate(struct sql *db, struct pixl_error *err);
/* Changes nothing; server_us: the server's wall clock.  Fails: as store_postgres_migrate(), DENIED (the user may not
 * make the schema). */
PIXL_MUST_CHECK bool store_postgres_version(struct sql *db, int64_t *version, int64_t *newest, int64_t *server_us,
                                            struct pixl_error *err);
/* Has another program's table of images, which the first migration would take over? */
PIXL_MUST_CHECK bool store_postgres_has_others(struct sql *db, bool *has, struct pixl_error *err);

#endif
