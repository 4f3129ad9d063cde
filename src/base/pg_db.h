/* pg_db.h - the one adapter for PostgreSQL's libpq: connecting, statements, our errors for its codes.
 *
 * Values are always bound, never part of a statement's text: a server that logs statements logs none.
 * A lost connection ends what was running (UNAVAILABLE); the next call outside a transaction connects anew.
 * Owns: the connection, its prepared statements, a copy of the address (wiped).
 * Never: passes on what the server says but SQLSTATE and the name of a constraint: its texts quote values.
 * Threads: one pg_db belongs to one thread at a time. */
#ifndef PIXL_BASE_PG_DB_H
#define PIXL_BASE_PG_DB_H

#include "error.h"
#include "sql.h"

struct pg_db;

struct pg_options {
    const char *url;   /* "postgresql://user:password@host:port/database?sslmode=verify-full", as libpq has it */
    const char *setup; /* a literal: statements without parameters for each new connection; NULL: none */
    int connect_ms;    /* for reaching one server; connect_timeout in the URL goes before it */
    int statement_ms, lock_ms; /* a statement that takes longer: UNAVAILABLE; that waits longer for a lock: BUSY */
};

/* Fails: INVALID (the URL, without quoting it), UNAVAILABLE, DENIED, NOT_FOUND (no such database). */
PIXL_MUST_CHECK bool pg_db_open(const struct pg_options *o, struct pg_db **out, struct pixl_error *err);
void pg_db_close(struct pg_db *db);
PIXL_DEFINE_CLEANUP(pg_db, pg_db_close)
#define pg_db_auto PIXL_CLEANUP(pg_db_freep) struct pg_db

/* The connection as sql.h speaks to it; borrowed. */
struct sql *pg_db_sql(struct pg_db *db);

#endif
