#include "csv.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { INPUT_BYTES = 64 * 1024 };

enum where {
    CELL_START,
    IN_TEXT,                     /* of an unquoted cell */
    IN_QUOTES,
    AFTER_QUOTE,                 /* it closed the cell, or is the first of two */
    AFTER_CR,
};

struct csv {
    struct csv_source source;
    int fd; /* of csv_open(); -1 */
    char input[INPUT_BYTES];
    size_t at, end;
    bool started, ended;
    uint64_t line;               /* of input[at] */
    uint64_t quote_line;         /* where the open quote stands */
    struct buf text;             /* of all cells of this record */
    size_t *cell_ends;           /* in text */
    struct str *cells;
    size_t n_cells, cells_cap;
    bool quoted;                 /* the record has a quoted cell: it is no empty line */
};

bool csv_new(struct csv_source source, struct csv **out, struct pixl_error *err)
{
    struct csv *c = calloc(1, sizeof *c);
    if (c == NULL)
        return pixl_fail(err, PIXL_E_NOMEM, 0, "read a CSV");
    c->source = source;
    c->fd = -1;
    c->line = 1;
    buf_init(&c->text, CSV_RECORD_BYTES_MAX);
    *out = c;
    return true;
}

static bool read_file(void *ctx, char *p, size_t max, size_t *n, struct pixl_error *err)
{
    const struct csv *c = ctx;
    ssize_t got;
    do
        got = read(c->fd, p, max);
    while (got < 0 && errno == EINTR);
    if (got < 0)
        return pixl_fail_errno(err, errno, "read");
    *n = (size_t)got;
    return true;
}

bool csv_open(const char *path, struct csv **out, struct pixl_error *err)
{
    csv_auto *c = NULL;
    if (!csv_new((struct csv_source){ 0 }, &c, err))
        return false;
    c->source = (struct csv_source){ read_file, c };
    c->fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    struct stat st;
    if (c->fd < 0 || fstat(c->fd, &st) != 0)
        return pixl_fail_errno(err, errno, "open");
    if (!S_ISREG(st.st_mode))
        return pixl_fail(err, PIXL_E_INVALID, 0, "not a regular file");
    *out = PIXL_STEAL(&c);
    return true;
}

void csv_free(struct csv *c)
{
    if (c == NULL)
        return;
    if (c->fd >= 0)
        (void)close(c->fd);
    buf_done(&c->text);
    free(c->cell_ends);
    free(c->cells);
    free(c);
}

static bool fail_line(struct pixl_error *err, enum pixl_code code, uint64_t line, const char *what)
{
    return pixl_fail(err, code, 0, "line %llu: %s", (unsigned long long)line, what);
}

/* More input behind what is there; *c->ended when there is none. */
static bool fill(struct csv *c, struct pixl_error *err)
{
    if (c->at == c->end)
        c->at = c->end = 0;
    size_t n = 0;
    if (!c->source.read(c->source.ctx, c->input + c->end, sizeof c->input - c->end, &n, err))
        return false;
    c->end += n;
    c->ended = n == 0;
    return true;
}

/* The byte order mark, which a source may deliver in pieces. */
static bool start(struct csv *c, struct pixl_error *err)
{
    while (c->end < 3 && !c->ended)
        if (!fill(c, err))
            return false;
    c->started = true;
    if (c->end >= 2 && (memcmp(c->input, "\xFF\xFE", 2) == 0 || memcmp(c->input, "\xFE\xFF", 2) == 0))
        return fail_line(err, PIXL_E_UNSUPPORTED, 1, "the text is UTF-16; save it as \"CSV UTF-8\"");
    if (c->end >= 3 && memcmp(c->input, "PK\x03", 3) == 0)
        return fail_line(err, PIXL_E_UNSUPPORTED, 1,
                         "this is a zip or a spreadsheet, no text; save it as \"CSV UTF-8\"");
    if (c->end >= 3 && memcmp(c->input, "\xEF\xBB\xBF", 3) == 0)
        c->at = 3;
    return true;
}

static bool grow_cells(struct csv *c)
{
    size_t cap = c->cells_cap ? c->cells_cap * 2 : 16;
    size_t *ends = realloc(c->cell_ends, cap * sizeof *ends);
    if (ends == NULL)
        return false;
    c->cell_ends = ends;
    struct str *cells = realloc(c->cells, cap * sizeof *cells);
    if (cells == NULL)
        return false;
    c->cells = cells;
    c->cells_cap = cap;
    return true;
}

static bool end_cell(struct csv *c, uint64_t line, struct pixl_error *err)
{
    if (c->n_cells == CSV_CELLS_MAX)
        return pixl_fail(err, PIXL_E_LIMIT, 0, "line %llu: a record of more than %d cells", (unsigned long long)line,
                         CSV_CELLS_MAX);
    if (c->n_cells == c->cells_cap && !grow_cells(c))
        return fail_line(err, PIXL_E_NOMEM, line, "cells of a record");
    c->cell_ends[c->n_cells++] = c->text.n;
    return true;
}

static bool add_text(struct csv *c, const char *p, size_t n, uint64_t line, struct pixl_error *err)
{
    if (n > CSV_RECORD_BYTES_MAX - c->text.n)
        return pixl_fail(err, PIXL_E_LIMIT, 0, "line %llu: a record of more than %d bytes", (unsigned long long)line,
                         CSV_RECORD_BYTES_MAX);
    return buf_add(&c->text, p, n) || fail_line(err, PIXL_E_NOMEM, line, "text of a record");
}

/* How much of the input, from at on, is plain text of a cell; counts line ends inside of quotes. */
static size_t plain_span(struct csv *c, bool in_quotes)
{
    const char *p = c->input + c->at;
    size_t n = c->end - c->at, i = 0;
    if (in_quotes) {
        for (; i < n && p[i] != '"' && p[i] != '\0'; i++)
            c->line += p[i] == '\n';
    } else {
        while (i < n && p[i] != '"' && p[i] != '\0' && p[i] != ',' && p[i] != '\r' && p[i] != '\n')
            i++;
    }
    return i;
}

/* Fails for a byte that cannot stand where it does. */
static bool fail_byte(struct csv *c, char byte, enum where where, struct pixl_error *err)
{
    if (byte == '\0')
        return fail_line(err, PIXL_E_CORRUPT, c->line,
                         "a NUL byte: this is no UTF-8 text (UTF-16 must be saved as \"CSV UTF-8\")");
    if (where == AFTER_CR)
        return fail_line(err, PIXL_E_CORRUPT, c->line,
                         "a carriage return without line feed; lines end with LF or CRLF");
    if (where == AFTER_QUOTE)
        return fail_line(err, PIXL_E_CORRUPT, c->line,
                         "text behind a closing quote; a quote inside of quotes is doubled");
    return fail_line(err, PIXL_E_CORRUPT, c->line, "a quote inside of a cell that does not begin with one");
}

/* One byte that is no plain text.  *done: it ended the record. */
static bool take_mark(struct csv *c, uint64_t line, enum where *where, bool *done, struct pixl_error *err)
{
    char byte = c->input[c->at++];
    if (*where == IN_QUOTES && byte == '"') {
        *where = AFTER_QUOTE;
        return true;
    }
    if (*where == AFTER_QUOTE && byte == '"') {
        *where = IN_QUOTES;
        return add_text(c, "\"", 1, line, err);
    }
    if (*where == CELL_START && byte == '"') {
        c->quoted = true;
        c->quote_line = c->line;
        *where = IN_QUOTES;
        return true;
    }
    if (byte == '\n' && *where != IN_QUOTES) {
        c->line++;
        *done = true;
        return end_cell(c, line, err);
    }
    if (*where == AFTER_CR || *where == IN_QUOTES || (byte != ',' && byte != '\r'))
        return fail_byte(c, byte, *where, err);
    if (byte == '\r') {
        *where = AFTER_CR;
        return true;
    }
    *where = CELL_START;
    return end_cell(c, line, err);
}

/* The file ends in the middle of a record. */
static bool end_at_eof(struct csv *c, uint64_t line, enum where where, struct pixl_error *err)
{
    if (where == IN_QUOTES)
        return fail_line(err, PIXL_E_CORRUPT, c->quote_line, "the quote that opens here is never closed");
    if (where == AFTER_CR)
        return fail_byte(c, '\r', where, err);
    return end_cell(c, line, err);
}

/* One record or empty line into text and cell_ends; *got false: the end. */
static bool take_record(struct csv *c, bool *got, uint64_t line, struct pixl_error *err)
{
    enum where where = CELL_START;
    bool done = false, any = false;
    while (!done) {
        if (c->at == c->end) {
            if (!c->ended && !fill(c, err))
                return false;
            if (c->ended)
                break;
        }
        any = true;
        size_t n = where == AFTER_QUOTE || where == AFTER_CR ? 0 : plain_span(c, where == IN_QUOTES);
        if (n > 0) {
            if (!add_text(c, c->input + c->at, n, line, err))
                return false;
            c->at += n;
            where = where == CELL_START ? IN_TEXT : where;
        } else if (!take_mark(c, line, &where, &done, err)) {
            return false;
        }
    }
    *got = any;
    return done || !any || end_at_eof(c, line, where, err);
}

bool csv_next(struct csv *c, bool *got, struct csv_record *out, struct pixl_error *err)
{
    if (!c->started && !start(c, err))
        return false;
    uint64_t line;
    bool any = true;
    do {
        buf_clear(&c->text);
        c->n_cells = 0;
        c->quoted = false;
        line = c->line;
        if (!take_record(c, &any, line, err))
            return false;
    } while (any && c->n_cells == 1 && c->text.n == 0 && !c->quoted);
    if (any) {
        struct csv_record r = { .cells = c->cells, .n = c->n_cells, .line = line };
        const char *p = buf_cstr(&c->text);
        for (size_t i = 0, from = 0; i < c->n_cells; from = c->cell_ends[i++]) {
            c->cells[i] = (struct str){ p + from, c->cell_ends[i] - from };
            if (r.not_utf8 == 0 && !str_is_utf8(c->cells[i]))
                r.not_utf8 = i + 1;
        }
        *out = r;
    }
    *got = any;
    return true;
}
