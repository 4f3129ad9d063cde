/* sqlite_db.h - the one adapter for SQLite: opening, statements, our errors for its codes.
 *
 * Owns: the connection and its prepared statements.
 * Never: lets SQLite put what it sorts or sets aside into a file; passes on SQLite's texts (they can quote values): errors hold result codes and our own words.
 * Threads: one sqlite_db belongs to one thread at a time; who shares it locks around it. */
#ifndef PIXL_BASE_SQLITE_DB_H
#define PIXL_BASE_SQLITE_DB_H

#include <stdint.h>

#include "error.h"
#include "sql.h"
#include "str.h"

struct sqlite_db;
struct sqlite_stmt;

/* Opens or makes the database file at path (mode 0600, folder must exist), WAL, synchronous FULL, foreign keys on, busy
 * timeout busy_ms.  Fails: UNSUPPORTED on a network file system; CORRUPT; BUSY; NO_SPACE; DENIED. */
PIXL_MUST_CHECK bool sqlite_db_open(const char *path, int busy_ms, struct sqlite_db **out, struct pixl_error *err);
/* Opens one that is there to read in it: makes no file, changes no mode of it, refuses to write.  Fails: NOT_FOUND, and
 * as sqlite_db_open(). */
PIXL_MUST_CHECK bool sqlite_db_open_to_look(const char *path, int busy_ms, struct sqlite_db **out,
                                            struct pixl_error *err);
/* A new database in memory, which ends with its closing and never reaches a disk. */
PIXL_MUST_CHECK bool sqlite_db_open_in_memory(struct sqlite_db **out, struct pixl_error *err);
void sqlite_db_close(struct sqlite_db *db);
PIXL_DEFINE_CLEANUP(sqlite_db, sqlite_db_close)
#define sqlite_db_auto PIXL_CLEANUP(sqlite_db_freep) struct sqlite_db

/* One or more statements without parameters or results. */
PIXL_MUST_CHECK bool sqlite_db_exec(struct sqlite_db *db, const char *sql, struct pixl_error *err);

/* BEGIN IMMEDIATE ... COMMIT.  After a failed step the caller rolls back; rollback cannot fail. */
PIXL_MUST_CHECK bool sqlite_db_begin(struct sqlite_db *db, struct pixl_error *err);
PIXL_MUST_CHECK bool sqlite_db_commit(struct sqlite_db *db, struct pixl_error *err);
void sqlite_db_rollback(struct sqlite_db *db);
int64_t sqlite_db_changes(struct sqlite_db *db);          /* rows changed by the last statement */
int64_t sqlite_db_last_id(struct sqlite_db *db);

/* A statement, prepared once per connection and text and kept; sql must be a string that outlives db (a literal).
 * It comes reset, with no parameters bound; *out is borrowed from db. */
PIXL_MUST_CHECK bool sqlite_db_prepare(struct sqlite_db *db, const char *sql, struct sqlite_stmt **out,
                                       struct pixl_error *err);
/* Parameters count from 1.  Text is bound by reference and must live until the next reset or step to the end. */
void sqlite_bind_i64(struct sqlite_stmt *s, int i, int64_t v);
void sqlite_bind_double(struct sqlite_stmt *s, int i, double v);
void sqlite_bind_str(struct sqlite_stmt *s, int i, struct str v);
void sqlite_bind_null(struct sqlite_stmt *s, int i);
/* Next row: *row says whether there is one.  Fails: BUSY, NO_SPACE, IO, CORRUPT, EXISTS (a constraint). */
PIXL_MUST_CHECK bool sqlite_step(struct sqlite_stmt *s, bool *row, struct pixl_error *err);
/* Runs a statement that gives no rows, and resets it. */
PIXL_MUST_CHECK bool sqlite_run(struct sqlite_stmt *s, struct pixl_error *err);
void sqlite_reset(struct sqlite_stmt *s);
/* Columns count from 0; text is borrowed until the next step or reset. */
int64_t sqlite_col_i64(struct sqlite_stmt *s, int i);
double sqlite_col_double(struct sqlite_stmt *s, int i);
struct str sqlite_col_str(struct sqlite_stmt *s, int i);
bool sqlite_col_is_null(struct sqlite_stmt *s, int i);

/* The same connection as sql.h speaks to it; borrowed. */
struct sql *sqlite_db_sql(struct sqlite_db *db);

#endif
