/* csv.h - comma separated text as RFC 4180 has it, read strictly and as a stream.
 *
 *   record = cell *("," cell) (LF | CRLF)      the last one may end with the file; an empty line is no record
 *   cell   = text without quote, comma, CR, LF   |   '"' text with quotes doubled '"'
 * UTF-8, with or without byte order mark.  Whatever is not so ends the reading with the number of its line: a strayed
 * quote makes the meaning of all that follows doubtful.
 * Owns: its buffers, and the file that it opened.  Never: guesses a dialect; shows the content of a cell.
 * Threads: one reader belongs to one thread. */
#ifndef PIXL_COHORT_CSV_H
#define PIXL_COHORT_CSV_H

#include <stdint.h>

#include "base/error.h"
#include "base/str.h"

enum { CSV_RECORD_BYTES_MAX = 1 << 20, CSV_CELLS_MAX = 1000 };

struct csv;

/* Where the bytes come from: up to max of them into p; *n 0 is the end. */
struct csv_source {
    bool (*read)(void *ctx, char *p, size_t max, size_t *n, struct pixl_error *err);
    void *ctx;
};

struct csv_record {
    const struct str *cells;     /* borrowed until the next call, without their quotes; never NULL text */
    size_t n;
    uint64_t line;               /* physical, from 1, where the record starts */
    size_t not_utf8;             /* number (from 1) of the first cell that is not UTF-8; 0: all are */
};

PIXL_MUST_CHECK bool csv_new(struct csv_source source, struct csv **out, struct pixl_error *err);
/* Of a regular file.  Fails: as open(2); INVALID. */
PIXL_MUST_CHECK bool csv_open(const char *path, struct csv **out, struct pixl_error *err);
void csv_free(struct csv *c);
PIXL_DEFINE_CLEANUP(csv, csv_free)
#define csv_auto PIXL_CLEANUP(csv_freep) struct csv

/* *got: false at the end.  Fails with "line N: ...": CORRUPT (quotes, NUL, a lone CR), UNSUPPORTED (UTF-16, a zip),
 * LIMIT (a record of more than CSV_RECORD_BYTES_MAX bytes or CSV_CELLS_MAX cells), and as the source does.
 * After a failure: only csv_free(). */
PIXL_MUST_CHECK bool csv_next(struct csv *c, bool *got, struct csv_record *out, struct pixl_error *err);

#endif
