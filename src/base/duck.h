/* duck.h - the one adapter for DuckDB, which reads and writes parquet: loaded when first wanted (dlopen).
 *
 * Owns: the library handle, one in-memory database and connection per struct duck.
 * Never: passes on DuckDB's texts (they quote lines and values); loads extensions from anywhere.
 * Threads: one struct duck belongs to one thread; two on that of DuckDB itself. */
#ifndef PIXL_BASE_DUCK_H
#define PIXL_BASE_DUCK_H

#include <stdint.h>

#include "arena.h"
#include "error.h"
#include "str.h"

struct duck;
struct duck_rows;

/* Is the library there, and of the right version?  Fails: UNSUPPORTED. */
PIXL_MUST_CHECK bool duck_load(struct pixl_error *err);
/* Looks for libduckdb.so in $PIXL_DUCKDB_LIB, beside the program (../lib/pixl, ../third/duckdb), then in the system's paths.
 * temp_dir: where DuckDB may spill (made when missing, 0700), in a folder of its own: two that share one overwrite each other's
 * pages.  What a killed process left there is removed.  memory_mib: its ceiling.
 * Fails: UNSUPPORTED when the library is not there or has another version than 1.4. */
PIXL_MUST_CHECK bool duck_open(const char *temp_dir, int memory_mib, struct duck **out, struct pixl_error *err);
void duck_close(struct duck *d);
PIXL_DEFINE_CLEANUP(duck, duck_close)
#define duck_auto PIXL_CLEANUP(duck_freep) struct duck

enum duck_type { DUCK_NULL, DUCK_I64, DUCK_DOUBLE, DUCK_STR };
/* A parameter or a result value.  Dates and timestamps come as their ISO text when the query casts them to VARCHAR. */
struct duck_value {
    enum duck_type type;
    int64_t i64;
    double real;
    struct str str;              /* in results: borrowed until the next duck_rows_next() */
};

/* Runs one statement with parameters $1..$n and no result wanted. */
PIXL_MUST_CHECK bool duck_run(struct duck *d, const char *sql, const struct duck_value *params, size_t n,
                              struct pixl_error *err);
/* Runs a query whose rows are then streamed, chunk by chunk.  Given: duck_rows_free(). */
PIXL_MUST_CHECK bool duck_query(struct duck *d, const char *sql, const struct duck_value *params, size_t n,
                                struct duck_rows **out, struct pixl_error *err);
size_t duck_rows_columns(const struct duck_rows *r);
const char *duck_rows_name(const struct duck_rows *r, size_t column);
/* The next row into out[columns]; *got is false after the last.  Integer types of any width and BOOLEAN come as I64,
 * FLOAT/DOUBLE/DECIMAL as DOUBLE, VARCHAR and BLOB as STR; another type is UNSUPPORTED (cast it in the query). */
PIXL_MUST_CHECK bool duck_rows_next(struct duck_rows *r, struct duck_value *out, bool *got, struct pixl_error *err);
void duck_rows_free(struct duck_rows *r);
PIXL_DEFINE_CLEANUP(duck_rows, duck_rows_free)
#define duck_rows_auto PIXL_CLEANUP(duck_rows_freep) struct duck_rows

/* Rows into a table that duck_run() made: duck_append() a row at a time, then duck_append_end(). */
struct duck_appender;
PIXL_MUST_CHECK bool duck_append_begin(struct duck *d, const char *table, struct duck_appender **out, struct pixl_error *err);
PIXL_MUST_CHECK bool duck_append(struct duck_appender *a, const struct duck_value *row, size_t n, struct pixl_error *err);
PIXL_MUST_CHECK bool duck_append_end(struct duck_appender *a, struct pixl_error *err);    /* frees it, also on failure */

/* 'text' with quotes doubled, for the few places (COPY ... TO) where DuckDB takes no parameter; NULL: no memory. */
const char *duck_quote(struct arena *a, struct str text);

#endif
