/* The OMOP ES kind: a summary, and three parquet tables that are joined in DuckDB.
 *
 *   older     public/PROCEDURE_OCCURRENCE.parquet
 *             private/PERSON_LINKS.parquet, private/PROCEDURE_OCCURRENCE_LINKS.parquet
 *   newer     public/omop/PROCEDURE_OCCURRENCE.parquet, private as before
 *   batched   folders of parquet files: public/omop/procedure_occurrence, private/person_links,
 *             private/procedure_occurrence_links
 *
 * Tables are named to DuckDB by /proc/self/fd/<folder>/<file>: no character of the extract's own path can act as a
 * wildcard, and the folder looked at is the folder read. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/duck.h"
#include "base/fs.h"
#include "base/hash.h"
#include "base/json_tree.h"
#include "base/slug.h"
#include "cohort_internal.h"

enum {
    ARENA_BYTES = 16 << 20,
    SUMMARY_BYTES_MAX = 4 << 20,
    SUMMARY_ITEMS_MAX = 100000,
    SUMMARY_TREE_BYTES = 64 << 20,
    PARTS_MAX = 10000,
    DUCK_MIB = 512,
    SQL_BYTES_MAX = 8 << 20
};

enum table { PERSON, PROCEDURE, LINKS, TABLE_COUNT };
static const char *const file_names[TABLE_COUNT] = {
    "PERSON_LINKS.parquet", "PROCEDURE_OCCURRENCE.parquet", "PROCEDURE_OCCURRENCE_LINKS.parquet",
};
static const char *const batch_dirs[TABLE_COUNT] = {
    "private/person_links", "public/omop/procedure_occurrence", "private/procedure_occurrence_links",
};

/* What a column is read as; how it is named in the join. */
enum kind { ID, TEXT, DAY };
enum column { PERSON_ID, MRN, OCC_PERSON_ID, OCC_ID, OCC_DATE, LINK_ID, ACCESSION, STUDY_UID, COL_COUNT };
static const struct {
    enum table table;
    const char *name;
    enum kind kind;
    bool is_optional;
} columns[COL_COUNT] = {
    [PERSON_ID] = { PERSON, "person_id", ID, false },
    [MRN] = { PERSON, "PrimaryMrn", TEXT, false },
    [OCC_PERSON_ID] = { PROCEDURE, "person_id", ID, false },
    [OCC_ID] = { PROCEDURE, "procedure_occurrence_id", ID, false },
    [OCC_DATE] = { PROCEDURE, "procedure_date", DAY, false },
    [LINK_ID] = { LINKS, "procedure_occurrence_id", ID, false },
    [ACCESSION] = { LINKS, "AccessionNumber", TEXT, false },
    [STUDY_UID] = { LINKS, "StudyUid_X", TEXT, true },
};

struct table_files {
    const char *dir;             /* below the extract */
    const char **names;          /* in dir, sorted */
    size_t n;
    int fd;                      /* of dir */
    const char *sql;             /* read_parquet(...) */
};

struct cohort_omop {
    struct cohort base;
    int dir_fd;
    struct table_files tables[TABLE_COUNT];
    bool is_real[COL_COUNT];     /* ids: stored as floating point */
    bool is_null[COL_COUNT];     /* absent, or without any value and thus of no type */
    struct duck *duck;
    struct duck_rows *rows;
    uint64_t row;
};

static bool fail_memory(struct pixl_error *err)
{
    return pixl_fail(err, PIXL_E_NOMEM, 0, "read an OMOP ES extract");
}

/* --- layout ----------------------------------------------------------------------------------------------------- */

static bool is_dir_at(int fd, const char *name)
{
    struct stat st;
    return fstatat(fd, name, &st, 0) == 0 && S_ISDIR(st.st_mode);
}

static bool is_there_at(int fd, const char *name)
{
    struct stat st;
    return fstatat(fd, name, &st, 0) == 0;
}

bool cohort_check_parquet(int fd, const char *name, struct pixl_error *err)
{
    struct stat st;
    char head[4] = "", tail[4] = "";
    if (fstat(fd, &st) != 0)
        return pixl_fail_errno(err, errno, "%s", name);
    if (!S_ISREG(st.st_mode))
        return pixl_fail(err, PIXL_E_INVALID, 0, "%s: not a regular file", name);
    if (st.st_size == 0)
        return pixl_fail(err, PIXL_E_CORRUPT, 0, "%s: the file is empty", name);
    bool has_ends = st.st_size >= 12 && pread(fd, head, 4, 0) == 4 && pread(fd, tail, 4, st.st_size - 4) == 4;
    if (!has_ends || memcmp(head, "PAR1", 4) != 0)
        return pixl_fail(err, PIXL_E_CORRUPT, 0, "%s: this is no parquet file", name);
    if (memcmp(tail, "PAR1", 4) != 0)
        return pixl_fail(err, PIXL_E_CORRUPT, 0, "%s: the parquet file is cut short", name);
    return true;
}

static bool check_parquet(const struct table_files *t, const char *name, struct pixl_error *err)
{
    char shown[512];
    (void)snprintf(shown, sizeof shown, "%s/%s", t->dir, name);
    int fd = openat(t->fd, name, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (fd < 0)
        return pixl_fail_errno(err, errno, "%s", shown);
    bool ok = cohort_check_parquet(fd, shown, err);
    (void)close(fd);
    return ok;
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* One entry of a batched table's folder.  Hidden names and those with '_' in front are nobody's data (_SUCCESS). */
static bool take_part(struct cohort_omop *c, struct table_files *t, const char *name, struct pixl_error *err)
{
    if (name[0] == '.' || name[0] == '_')
        return true;
    struct str s = str_of(name);
    bool is_parquet = s.n > 8 && str_eq((struct str){ s.p + s.n - 8, 8 }, STR(".parquet"));
    if (!is_parquet || strpbrk(name, "*?[]\\") != NULL)
        return pixl_fail(err, PIXL_E_INVALID, 0, "%s: holds something else than parquet files", t->dir);
    if (t->n == PARTS_MAX)
        return pixl_fail(err, PIXL_E_LIMIT, 0, "%s: more than %d files", t->dir, PARTS_MAX);
    t->names[t->n] = arena_cstr(&c->base.arena, name);
    return t->names[t->n++] != NULL || fail_memory(err);
}

static bool list_parts(struct cohort_omop *c, struct table_files *t, struct pixl_error *err)
{
    t->names = arena_calloc(&c->base.arena, PARTS_MAX, sizeof *t->names);
    if (t->names == NULL)
        return fail_memory(err);
    int fd = openat(t->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
    if (dir == NULL) {
        int e = errno;
        if (fd >= 0)
            (void)close(fd);
        return pixl_fail_errno(err, e, "%s", t->dir);
    }
    bool ok = true;
    while (ok) {
        errno = 0;
        struct dirent *e = readdir(dir);
        if (e == NULL) {
            ok = errno == 0 || pixl_fail_errno(err, errno, "%s", t->dir);
            break;
        }
        ok = take_part(c, t, e->d_name, err);
    }
    (void)closedir(dir);
    if (ok && t->n == 0)
        ok = pixl_fail(err, PIXL_E_NOT_FOUND, 0, "%s: holds no parquet file", t->dir);
    if (ok)
        qsort(t->names, t->n, sizeof *t->names, compare_names);
    return ok;
}

static bool open_table(struct cohort_omop *c, enum table table, const char *dir, bool is_batched,
                       struct pixl_error *err)
{
    struct table_files *t = &c->tables[table];
    t->dir = dir;
    t->fd = openat(c->dir_fd, dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (t->fd < 0)
        return pixl_fail_errno(err, errno, "%s", dir);
    if (is_batched) {
        if (!list_parts(c, t, err))
            return false;
    } else {
        t->names = arena_calloc(&c->base.arena, 1, sizeof *t->names);
        if (t->names == NULL)
            return fail_memory(err);
        t->names[0] = file_names[table];
        t->n = 1;
    }
    for (size_t i = 0; i < t->n; i++)
        if (!check_parquet(t, t->names[i], err))
            return false;
    return true;
}

static bool find_tables(struct cohort_omop *c, struct pixl_error *err)
{
    static const char *const needed[] = { "public", "private" };
    for (size_t i = 0; i < ARRAY_LEN(needed); i++)
        if (!is_dir_at(c->dir_fd, needed[i]))
            return pixl_fail(err, PIXL_E_NOT_FOUND, 0, "%s must exist and be a directory", needed[i]);
    bool is_batched = true;
    for (size_t i = 0; i < TABLE_COUNT; i++)
        is_batched = is_batched && is_dir_at(c->dir_fd, batch_dirs[i]);
    if (is_batched) {
        for (size_t i = 0; i < TABLE_COUNT; i++)
            if (!open_table(c, (enum table)i, batch_dirs[i], true, err))
                return false;
        return true;
    }
    bool older = is_there_at(c->dir_fd, "public/PROCEDURE_OCCURRENCE.parquet");
    bool newer = is_there_at(c->dir_fd, "public/omop/PROCEDURE_OCCURRENCE.parquet");
    if (older && newer)
        return pixl_fail(err, PIXL_E_INVALID, 0,
                         "PROCEDURE_OCCURRENCE.parquet is there twice, in public and in public/omop");
    if (!older && !newer)
        return pixl_fail(err, PIXL_E_NOT_FOUND, 0, "%s/PROCEDURE_OCCURRENCE.parquet is not there",
                         is_dir_at(c->dir_fd, "public/omop") ? "public/omop" : "public");
    return open_table(c, PERSON, "private", false, err) &&
           open_table(c, PROCEDURE, newer ? "public/omop" : "public", false, err) &&
           open_table(c, LINKS, "private", false, err);
}

/* --- summary and fingerprint ------------------------------------------------------------------------------------ */

/* The tree has an arena of its own: what outlives it is copied. */
static bool read_summary(struct cohort_omop *c, struct str text, struct pixl_error *err)
{
    arena_auto tree;
    arena_init(&tree, SUMMARY_TREE_BYTES);
    const struct json_node *root = NULL;
    if (!json_tree_read(&tree, text, JSON_TREE_DEPTH_MAX, SUMMARY_ITEMS_MAX, &root, err)) {
        if (err->code == PIXL_E_CORRUPT) /* somebody wrote it by hand: no damage */
            err->code = PIXL_E_INVALID;
        return pixl_wrap(err, "extract_summary.json");
    }
    const struct json_node *name = json_node_member(json_node_member(root, "settings"), "cdm_source_name");
    const struct json_node *time = json_node_member(root, "datetime");
    if (!json_node_is(name, JSON_NODE_TEXT))
        return pixl_fail(err, PIXL_E_INVALID, 0,
                         "extract_summary.json: 'settings.cdm_source_name' is missing or no text");
    if (!json_node_is(time, JSON_NODE_TEXT))
        return pixl_fail(err, PIXL_E_INVALID, 0, "extract_summary.json: 'datetime' is missing or no text");
    struct iso_time t;
    if (!iso_time_parse(json_node_text(time), &t))
        return pixl_fail(err, PIXL_E_INVALID, 0, "extract_summary.json: 'datetime' is not an ISO 8601 time");
    char iso[ISO_TIME_SIZE];
    iso_time_format(&t, iso);
    c->base.extract_time = arena_str(&c->base.arena, str_of(iso));
    if (c->base.extract_time.p == NULL)
        return fail_memory(err);
    return slug_make(&c->base.arena, json_node_text(name), &c->base.project, err) ||
           pixl_wrap(err, "extract_summary.json: 'settings.cdm_source_name'");
}

static bool add_text(struct hash_sha256 *h, const char *s, struct pixl_error *err)
{
    return hash_sha256_add(h, s, strlen(s) + 1, err);
}

/* Name, size and digest of each file of a table, through the folder's descriptor. */
static bool add_table(struct cohort_omop *c, struct hash_sha256 *h, const struct table_files *t, struct pixl_error *err)
{
    for (size_t i = 0; i < t->n; i++) {
        char dir[64], size[32];
        uint8_t digest[HASH_SHA256_BYTES];
        uint64_t bytes = 0;
        (void)snprintf(dir, sizeof dir, "/proc/self/fd/%d", t->fd);
        const char *path = fs_path(&c->base.arena, dir, t->names[i]);
        if (path == NULL)
            return fail_memory(err);
        if (!fs_digest(path, digest, &bytes, err))
            return pixl_wrap(err, "%s/%s", t->dir, t->names[i]);
        (void)snprintf(size, sizeof size, "%llu", (unsigned long long)bytes);
        if (!add_text(h, t->dir, err) || !add_text(h, t->names[i], err) || !add_text(h, size, err) ||
            !hash_sha256_add(h, digest, sizeof digest, err))
            return false;
    }
    return true;
}

static bool make_fingerprint(struct cohort_omop *c, struct str summary, struct pixl_error *err)
{
    hash_sha256_auto *h = NULL;
    if (!hash_sha256_new(&h, err) || !hash_sha256_add(h, summary.p, summary.n, err))
        return false;
    for (size_t i = 0; i < TABLE_COUNT; i++)
        if (!add_table(c, h, &c->tables[i], err))
            return false;
    uint8_t sum[HASH_SHA256_BYTES];
    if (!hash_sha256_end(h, sum, err))
        return false;
    char *hex = arena_alloc(&c->base.arena, 2 * sizeof sum + 1);
    if (hex == NULL)
        return fail_memory(err);
    hash_hex(sum, sizeof sum, hex);
    c->base.fingerprint = str_of(hex);
    return true;
}

/* --- columns ---------------------------------------------------------------------------------------------------- */

/* "read_parquet(['/proc/self/fd/5/part-0.parquet', ...], ...)" of n files from the first on; NULL: no memory. */
static const char *name_files(struct cohort_omop *c, const struct table_files *t, size_t first, size_t n)
{
    buf_auto sql = { 0 };
    buf_init(&sql, SQL_BYTES_MAX);
    (void)buf_add_cstr(&sql, "read_parquet([");
    for (size_t i = first; i < first + n; i++) {
        char dir[64];
        (void)snprintf(dir, sizeof dir, "/proc/self/fd/%d", t->fd);
        const char *path = fs_path(&c->base.arena, dir, t->names[i]);
        const char *quoted = path != NULL ? duck_quote(&c->base.arena, str_of(path)) : NULL;
        if (quoted == NULL)
            return NULL;
        (void)buf_addf(&sql, "%s%s", i > first ? ", " : "", quoted);
    }
    (void)buf_add_cstr(&sql, "], hive_partitioning=false, union_by_name=true)");
    return sql.failed ? NULL : arena_cstr(&c->base.arena, buf_cstr(&sql));
}

/* One file of a table while its columns are looked at. */
struct part {
    const struct table_files *t;
    const char *name;            /* in t->dir */
    const char *sql;
};

/* Whatever DuckDB says of a file, with the file's name. */
static bool fail_part(const struct part *p, struct pixl_error *err)
{
    if (err->code == PIXL_E_CORRUPT || err->code == PIXL_E_INTERNAL) {
        pixl_error_clear(err);
        return pixl_fail(err, PIXL_E_CORRUPT, 0, "%s/%s: the parquet data is damaged", p->t->dir, p->name);
    }
    return pixl_wrap(err, "%s/%s", p->t->dir, p->name);
}

static bool is_one_of(struct str type, const char *const *names, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (str_eq(type, str_of(names[i])))
            return true;
    return false;
}

bool cohort_is_real_type(struct str type)
{
    static const char *const names[] = { "FLOAT", "DOUBLE" };
    return is_one_of(type, names, ARRAY_LEN(names));
}

bool cohort_is_whole_type(struct str type)
{
    static const char *const names[] = { "TINYINT",  "SMALLINT",  "INTEGER",  "BIGINT",
                                         "UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT" };
    return is_one_of(type, names, ARRAY_LEN(names));
}

static bool fits(enum kind kind, struct str type)
{
    static const char *const days[] = { "DATE",         "TIMESTAMP",    "TIMESTAMP_S",
                                        "TIMESTAMP_MS", "TIMESTAMP_NS", "TIMESTAMP WITH TIME ZONE" };
    switch (kind) {
    case ID: return cohort_is_whole_type(type) || cohort_is_real_type(type);
    case TEXT: return str_eq(type, STR("VARCHAR"));
    case DAY: return is_one_of(type, days, ARRAY_LEN(days));
    }
    return false;
}

/* A column without a single value is written with whatever type the writer pleases. */
static bool has_values(struct cohort_omop *c, const struct part *p, enum column col, bool *out, struct pixl_error *err)
{
    buf_auto sql = { 0 };
    buf_init(&sql, SQL_BYTES_MAX);
    if (!buf_addf(&sql, "SELECT count(\"%s\") FROM %s", columns[col].name, p->sql))
        return fail_memory(err);
    duck_rows_auto *rows = NULL;
    struct duck_value v = { 0 };
    bool got = false;
    if (!duck_query(c->duck, buf_cstr(&sql), NULL, 0, &rows, err) || !duck_rows_next(rows, &v, &got, err))
        return fail_part(p, err);
    *out = !got || v.i64 != 0;
    return true;
}

static bool check_column(struct cohort_omop *c, const struct part *p, enum column col, struct str type,
                         struct pixl_error *err)
{
    static const char *const wanted[] = { [ID] = "whole numbers are", [TEXT] = "text is", [DAY] = "a date is" };
    if (fits(columns[col].kind, type)) {
        c->is_null[col] = false;
        c->is_real[col] = c->is_real[col] || cohort_is_real_type(type);
        return true;
    }
    bool any = true;
    if (!has_values(c, p, col, &any, err))
        return false;
    return !any || pixl_fail(err, PIXL_E_INVALID, 0, "%s/%s: column '%s' has the wrong type: %s expected", p->t->dir,
                             p->name, columns[col].name, wanted[columns[col].kind]);
}

static bool fail_missing(const struct part *p, enum column missing, struct pixl_error *err)
{
    char list[160] = "";
    size_t n = 0;
    for (size_t i = 0; i < COL_COUNT && n < sizeof list; i++)
        if (columns[i].table == columns[missing].table && !columns[i].is_optional)
            n += (size_t)snprintf(list + n, sizeof list - n, "%s'%s'", n ? ", " : "", columns[i].name);
    return pixl_fail(
        err, PIXL_E_INVALID, 0,
        "%s/%s: Export specification files are expected to have at least [%s] as column names; '%s' is missing",
        p->t->dir, p->name, list, columns[missing].name);
}

/* One row of DESCRIBE, kept until all were read: only then may the table be asked again. */
static bool note_type(struct arena *a, enum table table, const struct duck_value *v, struct str types[COL_COUNT],
                      struct pixl_error *err)
{
    for (size_t i = 0; i < COL_COUNT; i++)
        if (columns[i].table == table && str_eq(v[0].str, str_of(columns[i].name))) {
            types[i] = arena_str(a, v[1].str);
            if (types[i].p == NULL)
                return fail_memory(err);
        }
    return true;
}

static bool read_types(struct cohort_omop *c, enum table table, const struct part *p, struct str types[COL_COUNT],
                       struct pixl_error *err)
{
    buf_auto sql = { 0 };
    buf_init(&sql, SQL_BYTES_MAX);
    if (!buf_addf(&sql, "SELECT column_name, column_type FROM (DESCRIBE SELECT * FROM %s)", p->sql))
        return fail_memory(err);
    duck_rows_auto *rows = NULL;
    if (!duck_query(c->duck, buf_cstr(&sql), NULL, 0, &rows, err))
        return fail_part(p, err);
    struct duck_value v[2];
    for (bool got = true; got;) {
        if (!duck_rows_next(rows, v, &got, err))
            return fail_part(p, err);
        if (got && v[0].type == DUCK_STR && v[1].type == DUCK_STR && !note_type(&c->base.arena, table, v, types, err))
            return false;
    }
    return true;
}

static bool check_part(struct cohort_omop *c, enum table table, const struct part *p, struct pixl_error *err)
{
    struct str types[COL_COUNT] = { { 0 } };
    if (!read_types(c, table, p, types, err))
        return false;
    for (size_t i = 0; i < COL_COUNT; i++) {
        if (columns[i].table != table)
            continue;
        if (types[i].p == NULL && !columns[i].is_optional)
            return fail_missing(p, (enum column)i, err);
        if (types[i].p != NULL && !check_column(c, p, (enum column)i, types[i], err))
            return false;
    }
    return true;
}

/* Each file by itself: joined with the others it would be cast to their types, and what it lacks would be NULL. */
static bool check_table(struct cohort_omop *c, enum table table, struct pixl_error *err)
{
    struct table_files *t = &c->tables[table];
    for (size_t i = 0; i < COL_COUNT; i++)
        if (columns[i].table == table)
            c->is_null[i] = true;
    for (size_t i = 0; i < t->n; i++) {
        struct part p = { t, t->names[i], name_files(c, t, i, 1) };
        if (p.sql == NULL)
            return fail_memory(err);
        if (!check_part(c, table, &p, err))
            return false;
    }
    t->sql = name_files(c, t, 0, t->n);
    return t->sql != NULL || fail_memory(err);
}

/* --- the join --------------------------------------------------------------------------------------------------- */

/* The expression of one column; ids that meet in a join are of one type. */
static void add_expression(const struct cohort_omop *c, struct buf *sql, enum column col, bool as_real)
{
    const char *name = columns[col].name;
    if (c->is_null[col])
        (void)buf_addf(sql, "CAST(NULL AS %s)", columns[col].kind == ID ? (as_real ? "DOUBLE" : "BIGINT") :
                       columns[col].kind == TEXT ? "VARCHAR" : "BIGINT");
    else if (columns[col].kind == ID)
        (void)buf_addf(sql, "CAST(\"%s\" AS %s)", name, as_real ? "DOUBLE" : "BIGINT");
    else if (columns[col].kind == TEXT)
        (void)buf_addf(sql, "\"%s\"", name);
    else
        (void)buf_addf(sql, "CAST(year(\"%s\") * 10000 + month(\"%s\") * 100 + day(\"%s\") AS BIGINT)", name, name,
                       name);
}

/* Result: procedure, mrn, accession, study UID, first date, largest person id.  A procedure that stands there with two
 * dates, or linked twice alike, is one row. */
static bool add_join(const struct cohort_omop *c, struct buf *sql)
{
    bool real_person = c->is_real[PERSON_ID] || c->is_real[OCC_PERSON_ID];
    bool real_id = c->is_real[OCC_ID] || c->is_real[LINK_ID];
    (void)buf_add_cstr(sql, "WITH p AS (SELECT ");
    add_expression(c, sql, PERSON_ID, real_person);
    (void)buf_add_cstr(sql, " AS person, ");
    add_expression(c, sql, MRN, false);
    (void)buf_addf(sql, " AS mrn FROM %s), o AS (SELECT ", c->tables[PERSON].sql);
    add_expression(c, sql, OCC_PERSON_ID, real_person);
    (void)buf_add_cstr(sql, " AS person, ");
    add_expression(c, sql, OCC_ID, real_id);
    (void)buf_add_cstr(sql, " AS id, ");
    add_expression(c, sql, OCC_DATE, false);
    (void)buf_addf(sql, " AS day FROM %s), l AS (SELECT ", c->tables[PROCEDURE].sql);
    add_expression(c, sql, LINK_ID, real_id);
    (void)buf_add_cstr(sql, " AS id, ");
    add_expression(c, sql, ACCESSION, false);
    (void)buf_add_cstr(sql, " AS accession, ");
    add_expression(c, sql, STUDY_UID, false);
    (void)buf_addf(sql, " AS uid FROM %s) ", c->tables[LINKS].sql);
    (void)buf_add_cstr(sql, "SELECT o.id, p.mrn, l.accession, l.uid, min(o.day) AS day, max(abs(p.person)) "
                            "FROM p JOIN o ON o.person = p.person JOIN l ON l.id = o.id GROUP BY 1, 2, 3, 4 "
                            "ORDER BY day NULLS LAST, 1, 2 NULLS LAST, 3 NULLS LAST, 4 NULLS LAST");
    return !sql->failed;
}

static bool start_join(struct cohort_omop *c, const char *temp_dir, struct pixl_error *err)
{
    if (!duck_open(temp_dir, DUCK_MIB, &c->duck, err) || !duck_run(c->duck, "SET TimeZone = 'UTC'", NULL, 0, err))
        return false;
    for (size_t i = 0; i < TABLE_COUNT; i++)
        if (!check_table(c, (enum table)i, err))
            return false;
    buf_auto sql = { 0 };
    buf_init(&sql, SQL_BYTES_MAX);
    if (!add_join(c, &sql))
        return fail_memory(err);
    if (duck_query(c->duck, buf_cstr(&sql), NULL, 0, &c->rows, err))
        return true;
    return pixl_wrap(err, "join the tables of the extract");
}

static struct str text_of(const struct duck_value *v)
{
    return v->type == DUCK_STR ? cohort_trim(v->str) : (struct str){ NULL, 0 };
}

/* Beyond 2^53 neighbouring numbers share a floating point value, and rows of two patients would be joined. */
bool cohort_read_id(const struct duck_value *v, int64_t *out)
{
    if (v->type == DUCK_I64)
        *out = v->i64;
    if (v->type != DUCK_DOUBLE)
        return v->type == DUCK_I64;
    if (!(v->real >= -9007199254740992.0 && v->real <= 9007199254740992.0))
        return false;
    *out = (int64_t)v->real;
    return (double)*out == v->real;
}

static bool read_day(const struct duck_value *v, int32_t *out)
{
    if (v->type == DUCK_NULL)
        return true;
    if (v->i64 < 10101 || v->i64 > 99991231)
        return false;
    *out = (int32_t)v->i64;
    return true;
}

static bool omop_next(struct cohort *base, bool *got, struct cohort_row *row, struct pixl_error *err)
{
    struct cohort_omop *c = (struct cohort_omop *)base;
    struct duck_value v[6];
    if (!duck_rows_next(c->rows, v, got, err))
        return pixl_wrap(err, "join the tables of the extract");
    if (!*got)
        return true;
    row->line = ++c->row;
    int64_t person = 0;
    struct study_request *q = &row->request;
    q->priority = 1;
    q->project = base->project;
    q->extract_time = base->extract_time;
    q->mrn = phi_text(text_of(&v[1]));
    q->accession_number = phi_text(text_of(&v[2]));
    q->study_uid = phi_text(text_of(&v[3]));
    if (!cohort_read_id(&v[0], &q->procedure_occurrence_id))
        cohort_refuse(row, "procedure_occurrence_id: not a whole number");
    else if (!cohort_read_id(&v[5], &person))
        cohort_refuse(row, "person_id: not a whole number");
    else if (!read_day(&v[4], &q->study_date))
        cohort_refuse(row, "procedure_date: not within the years 1 to 9999");
    else if (phi_is_empty(q->mrn))
        cohort_refuse(row, "no PrimaryMrn");
    else if (phi_is_empty(q->accession_number) && phi_is_empty(q->study_uid))
        cohort_refuse(row, "no accession number and no study UID");
    else
        cohort_check_row(row);
    return true;
}

static void omop_close(struct cohort *base)
{
    struct cohort_omop *c = (struct cohort_omop *)base;
    duck_rows_free(c->rows);
    duck_close(c->duck);
    for (size_t i = 0; i < TABLE_COUNT; i++)
        if (c->tables[i].fd >= 0)
            (void)close(c->tables[i].fd);
    if (c->dir_fd >= 0)
        (void)close(c->dir_fd);
    arena_done(&base->arena);
    free(c);
}

static const struct cohort_ops omop_ops = { COHORT_OMOP, omop_next, omop_close };

/* The summary, by way of the folder's descriptor as all else. */
static bool load_summary(struct cohort_omop *c, struct str *out, struct pixl_error *err)
{
    char path[96];
    (void)snprintf(path, sizeof path, "/proc/self/fd/%d/extract_summary.json", c->dir_fd);
    return fs_read_whole(&c->base.arena, path, SUMMARY_BYTES_MAX, out, err) ||
           pixl_wrap(err, "%sextract_summary.json", err->code == PIXL_E_NOT_FOUND ? "this folder is no OMOP ES extract: " : "");
}

bool cohort_omop_open(const char *path, const char *temp_dir, struct cohort **out, struct pixl_error *err)
{
    struct cohort_omop *c = calloc(1, sizeof *c);
    if (c == NULL)
        return fail_memory(err);
    cohort_auto *base = &c->base;
    base->ops = &omop_ops;
    arena_init(&base->arena, ARENA_BYTES);
    for (size_t i = 0; i < TABLE_COUNT; i++)
        c->tables[i].fd = -1;
    c->dir_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (c->dir_fd < 0)
        return pixl_fail_errno(err, errno, "folder of the extract");
    base->public_dir = fs_path(&base->arena, path, "public");
    if (base->public_dir == NULL)
        return fail_memory(err);
    struct str summary;
    if (!load_summary(c, &summary, err) || !read_summary(c, summary, err) || !find_tables(c, err) ||
        !make_fingerprint(c, summary, err) || !start_join(c, temp_dir, err))
        return false;
    *out = PIXL_STEAL(&base);
    return true;
}
