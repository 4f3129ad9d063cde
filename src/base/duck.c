/* DuckDB's C interface by dlopen: 65 MB that a worker never needs to load.
 *
 * Its error texts quote lines and values of what it reads.  Here they are looked at for "no space" and "permission",
 * which DuckDB does not tell apart by type, and end here; our texts are made from the type alone. */
#include "duck.h"

#include <assert.h>
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <duckdb.h>

#include "fs.h"
#include "hash.h"

/* Every function used; what is not in this list does not exist for pixl. */
#define DUCK_FUNCTIONS(X)                                                                                   \
    X(library_version) X(create_config) X(set_config) X(destroy_config) X(open_ext) X(close) X(connect)     \
    X(disconnect) X(free) X(query) X(destroy_result) X(result_error) X(result_error_type)                   \
    X(prepare) X(destroy_prepare) X(bind_int64) X(bind_double) X(bind_varchar_length) X(bind_null)          \
    X(execute_prepared_streaming) X(fetch_chunk) X(column_count)                                            \
    X(column_name) X(column_type) X(column_logical_type) X(decimal_internal_type) X(decimal_scale)          \
    X(destroy_logical_type) X(data_chunk_get_size) X(data_chunk_get_vector) X(destroy_data_chunk)           \
    X(vector_get_data) X(vector_get_validity) X(appender_create) X(append_int64) X(append_double)           \
    X(append_varchar_length) X(append_null) X(appender_end_row) X(appender_close) X(appender_destroy)       \
    X(appender_error_data) X(error_data_error_type) X(error_data_message) X(destroy_error_data)

enum { PATH_BYTES = 4096, MEMORY_MIB_MIN = 32 };

struct api {
#define X(name) __typeof__(duckdb_##name) *name;
    DUCK_FUNCTIONS(X)
#undef X
};

enum load_state { NOT_FOUND, WRONG_VERSION, INCOMPLETE, LOADED };

/* Written by load_once() alone, constant afterwards; the library stays until the process ends. */
static pthread_once_t load_control = PTHREAD_ONCE_INIT;
static struct api api;
static enum load_state load_state;

struct duck {
    duckdb_database db;
    duckdb_connection con;
    char spill[PATH_BYTES]; /* its folder; "" when there is none */
    int spill_fd;           /* holds the lock that says that the folder is in use */
};

/* How a cell of one column becomes a duck_value. */
struct column {
    duckdb_type type;            /* of DECIMAL: the integer that holds it */
    bool is_decimal;
    uint8_t scale;
    void *data;                  /* of the present chunk */
    uint64_t *validity;          /* NULL: all there */
};

struct duck_rows {
    duckdb_prepared_statement statement;
    duckdb_result result;
    bool has_result, ended;
    duckdb_data_chunk chunk;
    idx_t n_in_chunk, next;
    size_t n_columns;
    struct column *columns;
};

struct duck_appender {
    duckdb_appender appender;
};

/* --- the library ------------------------------------------------------------------------------------------------ */

static void *open_beside_program(void)
{
    static const char *const places[] = { "../lib/pixl", "../third/duckdb", "../../third/duckdb", "../../../third/duckdb" };
    char program[PATH_BYTES], path[PATH_BYTES + 64];
    ssize_t n = readlink("/proc/self/exe", program, sizeof program - 1);
    if (n <= 0 || (size_t)n >= sizeof program - 1)
        return NULL;
    program[n] = '\0';
    char *slash = strrchr(program, '/');
    if (slash == NULL)
        return NULL;
    *slash = '\0';
    for (size_t i = 0; i < ARRAY_LEN(places); i++) {
        (void)snprintf(path, sizeof path, "%s/%s/libduckdb.so", program, places[i]);
        void *lib = dlopen(path, RTLD_NOW | RTLD_LOCAL);
        if (lib != NULL)
            return lib;
    }
    return NULL;
}

/* A name that was set is meant: when it does not lead to a library there is no looking elsewhere. */
static void *open_library(void)
{
    const char *set = getenv("PIXL_DUCKDB_LIB");
    if (set != NULL && *set != '\0')
        return dlopen(set, RTLD_NOW | RTLD_LOCAL);
    void *lib = open_beside_program();
    return lib != NULL ? lib : dlopen("libduckdb.so", RTLD_NOW | RTLD_LOCAL);
}

/* A data pointer from dlsym() into a function pointer, which ISO C cannot cast. */
static bool find_function(void *lib, const char *name, void *function, size_t size)
{
    void *p = dlsym(lib, name);
    assert(size == sizeof p);
    memcpy(function, &p, sizeof p);
    return p != NULL;
}

static void load_once(void)
{
    void *lib = open_library();
    if (lib == NULL)
        return;
    load_state = INCOMPLETE;
#define X(name) if (!find_function(lib, "duckdb_" #name, (void *)&api.name, sizeof api.name)) return;
    DUCK_FUNCTIONS(X)
#undef X
    load_state = str_is_prefix(str_of(api.library_version()), STR("v1.4.")) ? LOADED : WRONG_VERSION;
}

bool duck_load(struct pixl_error *err)
{
    if (pthread_once(&load_control, load_once) != 0)
        return pixl_fail(err, PIXL_E_INTERNAL, 0, "load DuckDB");
    switch (load_state) {
    case LOADED:
        return true;
    case WRONG_VERSION:
        return pixl_fail(err, PIXL_E_UNSUPPORTED, 0, "libduckdb.so has another version than 1.4");
    case INCOMPLETE:
        return pixl_fail(err, PIXL_E_UNSUPPORTED, 0, "libduckdb.so lacks functions of version 1.4");
    case NOT_FOUND:
        break;
    }
    return pixl_fail(err, PIXL_E_UNSUPPORTED, 0,
                     "parquet needs DuckDB: libduckdb.so was not found ($PIXL_DUCKDB_LIB names it)");
}

/* --- errors ----------------------------------------------------------------------------------------------------- */

static bool mentions(const char *text, const char *word)
{
    return text != NULL && strcasestr(text, word) != NULL;
}

/* type and text as DuckDB gives them; the text is looked at and not passed on. */
static bool fail_duck(struct pixl_error *err, duckdb_error_type type, const char *text, const char *what)
{
    int sys = (int)type;
    switch (type) {
    case DUCKDB_ERROR_IO:
        if (mentions(text, "No space left") || mentions(text, "Disk quota exceeded"))
            return pixl_fail(err, PIXL_E_NO_SPACE, sys, "%s: no space left", what);
        if (mentions(text, "Permission denied") || mentions(text, "Read-only file system"))
            return pixl_fail(err, PIXL_E_DENIED, sys, "%s: permission denied", what);
        return pixl_fail(err, PIXL_E_IO, sys, "%s: input or output failed", what);
    case DUCKDB_ERROR_PERMISSION:
        return pixl_fail(err, PIXL_E_DENIED, sys, "%s: permission denied", what);
    case DUCKDB_ERROR_OUT_OF_MEMORY:
        return pixl_fail(err, PIXL_E_NOMEM, sys, "%s: DuckDB's memory is used up", what);
    case DUCKDB_ERROR_INTERRUPT:
        return pixl_fail(err, PIXL_E_CANCELLED, sys, "%s: interrupted", what);
    case DUCKDB_ERROR_NOT_IMPLEMENTED:
        return pixl_fail(err, PIXL_E_UNSUPPORTED, sys, "%s: DuckDB does not support this", what);
    case DUCKDB_ERROR_CONVERSION:
    case DUCKDB_ERROR_OUT_OF_RANGE:
    case DUCKDB_ERROR_MISMATCH_TYPE:
    case DUCKDB_ERROR_CONSTRAINT:
        return pixl_fail(err, PIXL_E_INVALID, sys, "%s: a value does not fit the type that is wanted", what);
    case DUCKDB_ERROR_INVALID_INPUT:
    case DUCKDB_ERROR_SERIALIZATION:
    case DUCKDB_ERROR_INVALID:
        return pixl_fail(err, PIXL_E_CORRUPT, sys, "%s: the data cannot be read (damaged, or no parquet)", what);
    default:
        return pixl_fail(err, PIXL_E_INTERNAL, sys, "%s: DuckDB failed with error type %d", what, sys);
    }
}

static bool fail_result(struct pixl_error *err, duckdb_result *r, const char *what)
{
    return fail_duck(err, api.result_error_type(r), api.result_error(r), what);
}

/* --- where it spills -------------------------------------------------------------------------------------------- */

#define SPILL_PREFIX "duckdb-"

/* The folder, locked; -1 when it is another's, or was removed between its making and its locking.
 * is_own: one that we just made; on a file system without such locks (NFS) it is ours without, and nobody removes it. */
static int lock_spill(const char *path, bool is_own)
{
    struct stat st;
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return -1;
    bool is_locked = flock(fd, LOCK_EX | LOCK_NB) == 0 || (is_own && errno != EWOULDBLOCK);
    if (is_locked && fstat(fd, &st) == 0 && st.st_nlink > 0 && st.st_uid == geteuid())
        return fd;
    (void)close(fd);
    return -1;
}

/* What is locked by nobody was left by a process that was killed.  Best effort. */
static void remove_stale_spills(const char *temp_dir)
{
    DIR *dir = opendir(temp_dir);
    if (dir == NULL)
        return;
    for (struct dirent *e; (e = readdir(dir)) != NULL;) {
        char path[PATH_BYTES];
        int n = snprintf(path, sizeof path, "%s/%s", temp_dir, e->d_name);
        if (strncmp(e->d_name, SPILL_PREFIX, strlen(SPILL_PREFIX)) != 0 || n < 0 || (size_t)n >= sizeof path)
            continue;
        int fd = lock_spill(path, false);
        struct pixl_error ignored = { 0 };
        if (fd >= 0 && !fs_remove_tree(path, &ignored))
            pixl_error_clear(&ignored);
        if (fd >= 0)
            (void)close(fd);
    }
    (void)closedir(dir);
}

static bool make_spill(struct duck *d, const char *temp_dir, struct pixl_error *err)
{
    enum { TRIES = 20 };
    if (!fs_make_dirs(temp_dir, 0700, err))
        return pixl_wrap(err, "folder for DuckDB's temporary files");
    remove_stale_spills(temp_dir);
    for (int i = 0; i < TRIES; i++) {
        uint8_t random[8];
        char hex[17], path[PATH_BYTES];
        if (!hash_random(random, sizeof random, err))
            return false;
        hash_hex(random, sizeof random, hex);
        int n = snprintf(path, sizeof path, "%s/" SPILL_PREFIX "%s", temp_dir, hex);
        if (n < 0 || (size_t)n >= sizeof path)
            return pixl_fail(err, PIXL_E_INVALID, 0, "folder for DuckDB's temporary files: its name is too long");
        if (mkdir(path, 0700) != 0)
            return pixl_fail_errno(err, errno, "folder for DuckDB's temporary files");
        d->spill_fd = lock_spill(path, true);
        if (d->spill_fd >= 0) {
            (void)memcpy(d->spill, path, sizeof path);
            return true;
        }
    }
    return pixl_fail(err, PIXL_E_IO, 0, "folder for DuckDB's temporary files: it cannot be locked");
}

static void remove_spill(struct duck *d)
{
    struct pixl_error ignored = { 0 };
    if (d->spill_fd < 0)
        return;
    if (!fs_remove_tree(d->spill, &ignored))
        pixl_error_clear(&ignored);
    (void)close(d->spill_fd);
}

/* --- a database ------------------------------------------------------------------------------------------------- */

static bool set_options(duckdb_config config, const char *temp_dir, int memory_mib, struct pixl_error *err)
{
    char memory[32];
    (void)snprintf(memory, sizeof memory, "%dMiB", memory_mib > MEMORY_MIB_MIN ? memory_mib : MEMORY_MIB_MIN);
    const struct { const char *name, *value; } options[] = {
        { "threads", "2" },
        { "memory_limit", memory },
        { "temp_directory", temp_dir },
        { "autoinstall_known_extensions", "false" },
        { "autoload_known_extensions", "false" },
        { "allow_unsigned_extensions", "false" },
        { "allow_community_extensions", "false" },
        { "allow_persistent_secrets", "false" },
        { "extension_directory", temp_dir },     /* not below the home folder of whoever runs this */
    };
    for (size_t i = 0; i < ARRAY_LEN(options); i++)
        if (api.set_config(config, options[i].name, options[i].value) != DuckDBSuccess)
            return pixl_fail(err, PIXL_E_UNSUPPORTED, 0, "DuckDB does not take its setting %s", options[i].name);
    return true;
}

bool duck_open(const char *temp_dir, int memory_mib, struct duck **out, struct pixl_error *err)
{
    if (!duck_load(err))
        return false;
    duck_auto *d = calloc(1, sizeof *d);
    if (d == NULL)
        return pixl_fail(err, PIXL_E_NOMEM, 0, "open DuckDB");
    d->spill_fd = -1;
    if (!make_spill(d, temp_dir, err))
        return false;
    duckdb_config config = NULL;
    if (api.create_config(&config) != DuckDBSuccess)
        return pixl_fail(err, PIXL_E_NOMEM, 0, "open DuckDB");
    if (!set_options(config, d->spill, memory_mib, err)) {
        api.destroy_config(&config);
        return false;
    }
    char *text = NULL;
    duckdb_state opened = api.open_ext(NULL, &d->db, config, &text);
    api.free(text);
    api.destroy_config(&config);
    if (opened != DuckDBSuccess || api.connect(d->db, &d->con) != DuckDBSuccess)
        return pixl_fail(err, PIXL_E_INTERNAL, 0, "open DuckDB");
    *out = PIXL_STEAL(&d);
    return true;
}

void duck_close(struct duck *d)
{
    if (d == NULL)
        return;
    if (d->con != NULL)
        api.disconnect(&d->con);
    if (d->db != NULL)
        api.close(&d->db);
    remove_spill(d);
    free(d);
}

/* --- queries ---------------------------------------------------------------------------------------------------- */

/* DuckDB gives no error type for a statement that it will not prepare: the same statement run gives it. */
static bool fail_prepare(struct duck *d, const char *sql, size_t n, struct pixl_error *err)
{
    if (n > 0)
        return pixl_fail(err, PIXL_E_INTERNAL, 0, "prepare a statement: DuckDB does not accept it");
    duckdb_result r = { 0 };
    if (api.query(d->con, sql, &r) == DuckDBSuccess)
        (void)pixl_fail(err, PIXL_E_INTERNAL, 0, "prepare a statement: DuckDB does not accept it");
    else
        (void)fail_result(err, &r, "run a statement");
    api.destroy_result(&r);
    return false;
}

static bool bind_params(duckdb_prepared_statement s, const struct duck_value *params, size_t n, struct pixl_error *err)
{
    for (size_t i = 0; i < n; i++) {
        const struct duck_value *v = &params[i];
        duckdb_state bound = DuckDBError;
        switch (v->type) {
        case DUCK_NULL: bound = api.bind_null(s, i + 1); break;
        case DUCK_I64: bound = api.bind_int64(s, i + 1, v->i64); break;
        case DUCK_DOUBLE: bound = api.bind_double(s, i + 1, v->real); break;
        case DUCK_STR: bound = api.bind_varchar_length(s, i + 1, v->str.n ? v->str.p : "", v->str.n); break;
        }
        if (bound != DuckDBSuccess)
            return pixl_fail(err, PIXL_E_INVALID, 0, "parameter %zu of a statement was not taken", i + 1);
    }
    return true;
}

static bool describe_columns(struct duck_rows *r, struct pixl_error *err)
{
    r->n_columns = (size_t)api.column_count(&r->result);
    r->columns = calloc(r->n_columns + 1, sizeof *r->columns);
    if (r->columns == NULL)
        return pixl_fail(err, PIXL_E_NOMEM, 0, "columns of a result");
    for (size_t i = 0; i < r->n_columns; i++) {
        struct column *c = &r->columns[i];
        c->type = api.column_type(&r->result, i);
        if (c->type != DUCKDB_TYPE_DECIMAL)
            continue;
        duckdb_logical_type t = api.column_logical_type(&r->result, i);
        c->is_decimal = true;
        c->type = api.decimal_internal_type(t);
        c->scale = api.decimal_scale(t);
        api.destroy_logical_type(&t);
    }
    return true;
}

bool duck_query(struct duck *d, const char *sql, const struct duck_value *params, size_t n, struct duck_rows **out,
                struct pixl_error *err)
{
    duck_rows_auto *r = calloc(1, sizeof *r);
    if (r == NULL)
        return pixl_fail(err, PIXL_E_NOMEM, 0, "run a query");
    if (api.prepare(d->con, sql, &r->statement) != DuckDBSuccess)
        return fail_prepare(d, sql, n, err);
    if (!bind_params(r->statement, params, n, err))
        return false;
    /* Not by way of a pending result: that one hides the type of what fails while parameters are bound. */
    duckdb_state ran = api.execute_prepared_streaming(r->statement, &r->result);
    r->has_result = true;
    if (ran != DuckDBSuccess)
        return fail_result(err, &r->result, "run a query");
    if (!describe_columns(r, err))
        return false;
    *out = PIXL_STEAL(&r);
    return true;
}

size_t duck_rows_columns(const struct duck_rows *r)
{
    return r->n_columns;
}

const char *duck_rows_name(const struct duck_rows *r, size_t column)
{
    assert(column < r->n_columns);
    duckdb_result result = r->result;        /* a handle by value; the call takes it without const */
    return api.column_name(&result, column);
}

static bool is_known_type(duckdb_type t)
{
    switch (t) {
    case DUCKDB_TYPE_BOOLEAN: case DUCKDB_TYPE_TINYINT: case DUCKDB_TYPE_SMALLINT: case DUCKDB_TYPE_INTEGER:
    case DUCKDB_TYPE_BIGINT: case DUCKDB_TYPE_UTINYINT: case DUCKDB_TYPE_USMALLINT: case DUCKDB_TYPE_UINTEGER:
    case DUCKDB_TYPE_UBIGINT: case DUCKDB_TYPE_HUGEINT: case DUCKDB_TYPE_UHUGEINT: case DUCKDB_TYPE_FLOAT:
    case DUCKDB_TYPE_DOUBLE: case DUCKDB_TYPE_VARCHAR: case DUCKDB_TYPE_BLOB: case DUCKDB_TYPE_SQLNULL:
        return true;
    default:
        return false;
    }
}

/* *got: false at the end.  NULL from DuckDB stands for the end and for a failure alike: the result tells which. */
static bool next_chunk(struct duck_rows *r, bool *got, struct pixl_error *err)
{
    if (r->chunk != NULL)
        api.destroy_data_chunk(&r->chunk);
    r->next = r->n_in_chunk = 0;
    if (!r->ended)
        r->chunk = api.fetch_chunk(r->result);
    if (r->chunk != NULL)
        r->n_in_chunk = api.data_chunk_get_size(r->chunk);
    if (r->n_in_chunk == 0) {
        r->ended = true;
        if (api.result_error_type(&r->result) != DUCKDB_ERROR_INVALID || api.result_error(&r->result) != NULL)
            return fail_result(err, &r->result, "read the rows of a query");
        *got = false;
        return true;
    }
    for (size_t i = 0; i < r->n_columns; i++) {
        struct column *c = &r->columns[i];
        if (!is_known_type(c->type))
            return pixl_fail(err, PIXL_E_UNSUPPORTED, 0, "column %zu of a result: type not read by pixl", i + 1);
        duckdb_vector v = api.data_chunk_get_vector(r->chunk, i);
        c->data = api.vector_get_data(v);
        c->validity = api.vector_get_validity(v);
    }
    *got = true;
    return true;
}

/* Whole numbers of any width; false: outside of int64. */
static bool read_integer(const struct column *c, idx_t row, int64_t *out)
{
    switch (c->type) {
    case DUCKDB_TYPE_BOOLEAN: *out = ((const bool *)c->data)[row]; return true;
    case DUCKDB_TYPE_TINYINT: *out = (int)((const int8_t *)c->data)[row]; return true;
    case DUCKDB_TYPE_SMALLINT: *out = ((const int16_t *)c->data)[row]; return true;
    case DUCKDB_TYPE_INTEGER: *out = ((const int32_t *)c->data)[row]; return true;
    case DUCKDB_TYPE_BIGINT: *out = ((const int64_t *)c->data)[row]; return true;
    case DUCKDB_TYPE_UTINYINT: *out = ((const uint8_t *)c->data)[row]; return true;
    case DUCKDB_TYPE_USMALLINT: *out = ((const uint16_t *)c->data)[row]; return true;
    case DUCKDB_TYPE_UINTEGER: *out = ((const uint32_t *)c->data)[row]; return true;
    case DUCKDB_TYPE_UBIGINT: {
        uint64_t u = ((const uint64_t *)c->data)[row];
        *out = (int64_t)(u & INT64_MAX);
        return u <= INT64_MAX;
    }
    case DUCKDB_TYPE_HUGEINT: {
        const duckdb_hugeint *h = &((const duckdb_hugeint *)c->data)[row];
        if (h->upper != (h->lower > INT64_MAX ? -1 : 0))
            return false;
        memcpy(out, &h->lower, sizeof *out);
        return true;
    }
    case DUCKDB_TYPE_UHUGEINT: {
        const duckdb_uhugeint *h = &((const duckdb_uhugeint *)c->data)[row];
        *out = (int64_t)(h->lower & INT64_MAX);
        return h->upper == 0 && h->lower <= INT64_MAX;
    }
    default: return false;
    }
}

static double read_decimal(const struct column *c, idx_t row)
{
    int64_t i = 0;
    double x;
    if (read_integer(c, row, &i)) {
        x = (double)i;
    } else {
        const duckdb_hugeint *h = &((const duckdb_hugeint *)c->data)[row];
        x = (double)h->upper * 18446744073709551616.0 + (double)h->lower;
    }
    double unit = 1.0;
    for (unsigned digit = 0; digit < c->scale; digit++)
        unit *= 10.0;
    return x / unit;
}

static bool read_cell(const struct column *c, idx_t row, struct duck_value *out, struct pixl_error *err)
{
    *out = (struct duck_value){ .type = DUCK_NULL };
    if (c->type == DUCKDB_TYPE_SQLNULL || (c->validity != NULL && !(c->validity[row / 64] >> (row % 64) & 1)))
        return true;
    if (c->is_decimal) {
        out->type = DUCK_DOUBLE;
        out->real = read_decimal(c, row);
        return true;
    }
    switch (c->type) {
    case DUCKDB_TYPE_FLOAT:
    case DUCKDB_TYPE_DOUBLE:
        out->type = DUCK_DOUBLE;
        out->real = c->type == DUCKDB_TYPE_FLOAT ? (double)((const float *)c->data)[row]
                                                 : ((const double *)c->data)[row];
        return true;
    case DUCKDB_TYPE_VARCHAR:
    case DUCKDB_TYPE_BLOB: {
        const duckdb_string_t *s = &((const duckdb_string_t *)c->data)[row];
        uint32_t n = s->value.inlined.length;
        bool inlined = n <= sizeof s->value.inlined.inlined;
        out->type = DUCK_STR;
        out->str = (struct str){ inlined ? s->value.inlined.inlined : s->value.pointer.ptr, n };
        return true;
    }
    default:
        out->type = DUCK_I64;
        return read_integer(c, row, &out->i64) ||
               pixl_fail(err, PIXL_E_INVALID, 0, "a whole number of a result is beyond 64 bits");
    }
}

bool duck_rows_next(struct duck_rows *r, struct duck_value *out, bool *got, struct pixl_error *err)
{
    bool more = true;
    if (r->next >= r->n_in_chunk && !next_chunk(r, &more, err))
        return false;
    if (more) {
        struct duck_value v;
        for (size_t pass = 0; pass < 2; pass++)      /* outs stay untouched when a cell fails */
            for (size_t i = 0; i < r->n_columns; i++) {
                if (!read_cell(&r->columns[i], r->next, &v, err))
                    return false;
                if (pass == 1)
                    out[i] = v;
            }
        r->next++;
    }
    *got = more;
    return true;
}

void duck_rows_free(struct duck_rows *r)
{
    if (r == NULL)
        return;
    if (r->chunk != NULL)
        api.destroy_data_chunk(&r->chunk);
    if (r->has_result)
        api.destroy_result(&r->result);
    if (r->statement != NULL)
        api.destroy_prepare(&r->statement);
    free(r->columns);
    free(r);
}

bool duck_run(struct duck *d, const char *sql, const struct duck_value *params, size_t n, struct pixl_error *err)
{
    duck_rows_auto *r = NULL;
    if (!duck_query(d, sql, params, n, &r, err))
        return false;
    assert(r != NULL);
    bool got = true;                         /* a statement is done only when its (short) result was taken */
    while (got)
        if (!next_chunk(r, &got, err))
            return false;
    return true;
}

/* --- appending -------------------------------------------------------------------------------------------------- */

static bool fail_appender(struct pixl_error *err, duckdb_appender a, const char *what)
{
    duckdb_error_data e = api.appender_error_data(a);
    (void)fail_duck(err, e != NULL ? api.error_data_error_type(e) : DUCKDB_ERROR_INTERNAL,
                    e != NULL ? api.error_data_message(e) : NULL, what);
    if (e != NULL)
        api.destroy_error_data(&e);
    return false;
}

bool duck_append_begin(struct duck *d, const char *table, struct duck_appender **out, struct pixl_error *err)
{
    struct duck_appender *a = calloc(1, sizeof *a);
    if (a == NULL)
        return pixl_fail(err, PIXL_E_NOMEM, 0, "append rows");
    if (api.appender_create(d->con, NULL, table, &a->appender) != DuckDBSuccess) {
        (void)api.appender_destroy(&a->appender);
        free(a);
        return pixl_fail(err, PIXL_E_INTERNAL, 0, "append rows: no such table");
    }
    *out = a;
    return true;
}

bool duck_append(struct duck_appender *a, const struct duck_value *row, size_t n, struct pixl_error *err)
{
    for (size_t i = 0; i < n; i++) {
        const struct duck_value *v = &row[i];
        duckdb_state done = DuckDBError;
        switch (v->type) {
        case DUCK_NULL: done = api.append_null(a->appender); break;
        case DUCK_I64: done = api.append_int64(a->appender, v->i64); break;
        case DUCK_DOUBLE: done = api.append_double(a->appender, v->real); break;
        case DUCK_STR: done = api.append_varchar_length(a->appender, v->str.n ? v->str.p : "", v->str.n); break;
        }
        if (done != DuckDBSuccess)
            return fail_appender(err, a->appender, "append a value");
    }
    if (api.appender_end_row(a->appender) != DuckDBSuccess)
        return fail_appender(err, a->appender, "append a row");
    return true;
}

bool duck_append_end(struct duck_appender *a, struct pixl_error *err)
{
    bool ok = api.appender_close(a->appender) == DuckDBSuccess || fail_appender(err, a->appender, "append rows");
    (void)api.appender_destroy(&a->appender);
    free(a);
    return ok;
}

const char *duck_quote(struct arena *a, struct str text)
{
    assert(memchr(text.n ? text.p : "", '\0', text.n) == NULL);      /* it would end the statement */
    size_t quotes = 0;
    for (size_t i = 0; i < text.n; i++)
        quotes += text.p[i] == '\'';
    char *p = arena_alloc(a, text.n + quotes + 3), *at = p;
    if (p == NULL)
        return NULL;
    *at++ = '\'';
    for (size_t i = 0; i < text.n; i++) {
        if (text.p[i] == '\'')
            *at++ = '\'';
        *at++ = text.p[i];
    }
    *at++ = '\'';
    *at = '\0';
    return p;
}
