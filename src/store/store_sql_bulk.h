/* store_sql_bulk.h - new studies of a populate go to a server many at once: image, first event, request and their link.
 *
 * For requests of which it is known that they meet nothing.  What is not sent yet is seen by no statement.
 * Owns: the rows that are not sent yet.
 * Never: numbers rows itself: the statement that makes them takes their numbers.
 * Threads: that of the populate. */
#ifndef PIXL_STORE_STORE_SQL_BULK_H
#define PIXL_STORE_STORE_SQL_BULK_H

#include "base/sql_array.h"
#include "store/store_sql.h"

enum { STORE_BULK_COLUMNS = 11 };

struct store_bulk {
    struct store_sql *s;                 /* borrowed; a far one */
    int64_t extract_id, extract_time_id; /* of all rows */
    size_t n;
    struct sql_array columns[STORE_BULK_COLUMNS];
};

struct store_bulk_row {
    int64_t extract_id, extract_time_id;
    uint64_t image_hash, request_hash;
    const struct study_request *r;
    struct str series; /* r's, as a set (series.h) */
    int64_t now_us;
};

/* In place; allocates nothing yet. */
void store_bulk_init(struct store_bulk *b, struct store_sql *s);
void store_bulk_done(struct store_bulk *b);
/* Inside a transaction, as is sending: sends when there are many, and waits for no answer.  A failure may be an earlier
 * row's.  Fails: NOMEM, or as sql_run_later(). */
PIXL_MUST_CHECK bool store_bulk_add(struct store_bulk *b, const struct store_bulk_row *row, struct pixl_error *err);
PIXL_MUST_CHECK bool store_bulk_send(struct store_bulk *b, struct pixl_error *err);

#endif
