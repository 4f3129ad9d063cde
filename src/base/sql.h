/* sql.h - one way to speak to either database: statements with bound parameters, rows, transactions.
 *
 * What differs between the databases is the text of some statements; each driver (sqlite_db.h, pg_db.h) takes its own.
 * Parameters are written ?1, ?2, ... for both.
 * Owns: the driver owns connection and statements.
 * Never: passes on a server's or library's texts, which quote values: errors hold codes, names of constraints and our
 *        own words.
 * Threads: one struct sql belongs to one thread at a time. */
#ifndef PIXL_BASE_SQL_H
#define PIXL_BASE_SQL_H

#include <stdint.h>

#include "error.h"
#include "str.h"

/* The text of one statement for each database; texts are literals, which outlive every connection.
 * is_long: its rows are read piece by piece, and other statements may run between them. */
struct sql_text {
    const char *sqlite, *postgres;
    bool is_long;
};
#define SQL(text)               ((struct sql_text){ text, text, false })
#define SQL_LONG(text)          ((struct sql_text){ text, text, true })
#define SQL_EACH(lite, pg)      ((struct sql_text){ lite, pg, false })
#define SQL_EACH_LONG(lite, pg) ((struct sql_text){ lite, pg, true })

struct sql_ops;
struct sql_array;
/* First members of what the drivers have. */
struct sql {
    const struct sql_ops *ops;
};
struct sql_stmt {
    const struct sql_ops *ops;
};

/* What transactions that run side by side may see and change. */
enum sql_begin {
    SQL_BEGIN_WRITE,    /* SQLite: the one writer.  PostgreSQL: read committed; rows are locked one by one. */
    SQL_BEGIN_SNAPSHOT, /* reads only, all from one moment */
};

struct sql_ops {
    bool (*exec)(struct sql *db, struct sql_text text, struct pixl_error *err);
    bool (*begin)(struct sql *db, enum sql_begin how, struct pixl_error *err);
    bool (*commit)(struct sql *db, struct pixl_error *err);
    void (*rollback)(struct sql *db);
    int64_t (*changes)(struct sql *db);
    int64_t (*last_id)(struct sql *db); /* NULL: it knows none */
    bool (*prepare)(struct sql *db, struct sql_text text, struct sql_stmt **out, struct pixl_error *err);
    void (*bind_i64)(struct sql_stmt *s, int i, int64_t v);
    void (*bind_double)(struct sql_stmt *s, int i, double v);
    void (*bind_str)(struct sql_stmt *s, int i, struct str v);
    void (*bind_array)(struct sql_stmt *s, int i, const struct sql_array *a); /* NULL: it has none */
    bool (*step)(struct sql_stmt *s, bool *row, struct pixl_error *err);
    bool (*run)(struct sql_stmt *s, struct pixl_error *err);
    bool (*run_later)(struct sql_stmt *s, struct pixl_error *err);
    void (*reset)(struct sql_stmt *s);
    int64_t (*col_i64)(struct sql_stmt *s, int i);
    double (*col_double)(struct sql_stmt *s, int i);
    struct str (*col_str)(struct sql_stmt *s, int i);
    bool (*col_is_null)(struct sql_stmt *s, int i);
};

/* One or more statements without parameters or results; a database whose text is NULL has nothing to do. */
PIXL_MUST_CHECK bool sql_exec(struct sql *db, struct sql_text text, struct pixl_error *err);

/* begin ... commit.  After a failed step the caller rolls back; rollback cannot fail, and needs no begin. */
PIXL_MUST_CHECK bool sql_begin(struct sql *db, enum sql_begin how, struct pixl_error *err);
PIXL_MUST_CHECK bool sql_commit(struct sql *db, struct pixl_error *err);
void sql_rollback(struct sql *db);
int64_t sql_changes(struct sql *db); /* rows changed by the last statement that ran to its end */
int64_t sql_last_id(struct sql *db); /* SQLite only: the number that it gave to the last row that was inserted */

/* A statement, prepared once per connection and text and kept.  It comes reset, with no parameters bound (they are
 * NULL); *out is borrowed from db until it closes. */
PIXL_MUST_CHECK bool sql_prepare(struct sql *db, struct sql_text text, struct sql_stmt **out, struct pixl_error *err);
/* Parameters count from 1.  Text is bound by reference and must live until the next reset or step to the end. */
void sql_bind_i64(struct sql_stmt *s, int i, int64_t v);
void sql_bind_double(struct sql_stmt *s, int i, double v);
void sql_bind_str(struct sql_stmt *s, int i, struct str v);
void sql_bind_array(struct sql_stmt *s, int i, const struct sql_array *a); /* PostgreSQL only; by reference */
/* Next row: *row says whether there is one.
 * Fails: UNAVAILABLE (connection lost), BUSY, NO_SPACE, IO, CORRUPT, EXISTS (a unique rule), DENIED. */
PIXL_MUST_CHECK bool sql_step(struct sql_stmt *s, bool *row, struct pixl_error *err);
/* Runs a statement that gives no rows, and resets it. */
PIXL_MUST_CHECK bool sql_run(struct sql_stmt *s, struct pixl_error *err);
/* The same inside a transaction, where nobody waits for how it ends: a failure is told by a later call, at the latest
 * by the commit.  Bound texts are copied. */
PIXL_MUST_CHECK bool sql_run_later(struct sql_stmt *s, struct pixl_error *err);
void sql_reset(struct sql_stmt *s);
/* Columns count from 0; text is borrowed until the next step or reset.  Truth values are 0 and 1. */
int64_t sql_col_i64(struct sql_stmt *s, int i);
double sql_col_double(struct sql_stmt *s, int i);
struct str sql_col_str(struct sql_stmt *s, int i);
bool sql_col_is_null(struct sql_stmt *s, int i);

/* A statement that was not stepped to its end may hold a snapshot open: this one is reset when its scope ends. */
static inline void sql_stmt_resetp(struct sql_stmt **s)
{
    if (*s)
        sql_reset(*s);
}
#define sql_stmt_auto PIXL_CLEANUP(sql_stmt_resetp) struct sql_stmt

#endif
