#include "archive_index.h"

#include <assert.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fs.h"
#include "base/sqlite_db.h"

enum { BUSY_MS = 30000, PATH_BYTES_MAX = 4096 };

struct archive_index {
    pthread_mutex_t lock;                /* guards db, its statements included */
    struct sqlite_db *db;
};

static void lock(struct archive_index *ix)
{
    int rc = pthread_mutex_lock(&ix->lock);
    assert(rc == 0);
}

static void unlock(struct archive_index *ix)
{
    int rc = pthread_mutex_unlock(&ix->lock);
    assert(rc == 0);
}

static bool fail_memory(struct pixl_error *err)
{
    return pixl_fail(err, PIXL_E_NOMEM, 0, "archive index");
}

static bool read_version(struct sqlite_db *db, int64_t *version, struct pixl_error *err)
{
    struct sqlite_stmt *s = NULL;
    bool row = false;
    if (!sqlite_db_prepare(db, "PRAGMA user_version", &s, err) || !sqlite_step(s, &row, err))
        return false;
    *version = row ? sqlite_col_i64(s, 0) : 0;
    sqlite_reset(s);
    return true;
}

/* The two ways to find a study, and nothing for the strangers, which may be many. */
static const char schema[] = "DROP TABLE IF EXISTS files;"
                             "CREATE TABLE files("
                             "  id INTEGER PRIMARY KEY AUTOINCREMENT,"
                             "  path TEXT NOT NULL UNIQUE,"
                             "  size_bytes INTEGER NOT NULL, mtime_ns INTEGER NOT NULL, inode INTEGER NOT NULL,"
                             "  kind INTEGER NOT NULL,"
                             "  patient_id TEXT NOT NULL, accession_number TEXT NOT NULL, study_uid TEXT NOT NULL,"
                             "  series_uid TEXT NOT NULL, sop_uid TEXT NOT NULL,"
                             "  frames INTEGER NOT NULL);"
                             "CREATE INDEX files_study ON files(study_uid) WHERE study_uid <> '';"
                             "CREATE INDEX files_patient ON files(patient_id, accession_number) WHERE study_uid <> '';"
                             "PRAGMA user_version = 3;";

static bool set_up(struct sqlite_db *db, struct pixl_error *err)
{
    int64_t version = 0;
    if (!sqlite_db_begin(db, err))
        return false;
    bool ok = read_version(db, &version, err) && (version == 3 || sqlite_db_exec(db, schema, err)) &&
              sqlite_db_commit(db, err);
    if (!ok)
        sqlite_db_rollback(db);
    return ok;
}

static bool open_db(const char *path, struct sqlite_db **out, struct pixl_error *err)
{
    sqlite_db_auto *db = NULL;
    if (!sqlite_db_open(path, BUSY_MS, &db, err) || !set_up(db, err))
        return false;
    *out = PIXL_STEAL(&db);
    return true;
}

static bool remove_db(const char *path, struct pixl_error *err)
{
    static const char *const ends[] = { "-wal", "-shm", "" };
    for (size_t i = 0; i < ARRAY_LEN(ends); i++) {
        char name[PATH_BYTES_MAX];
        int n = snprintf(name, sizeof name, "%s%s", path, ends[i]);
        if (n < 0 || (size_t)n >= sizeof name)
            return pixl_fail(err, PIXL_E_INVALID, 0, "archive index: its path is too long");
        if (!fs_remove(name, err))
            return false;
    }
    return true;
}

bool archive_index_open(const char *path, struct archive_index **out, struct pixl_error *err)
{
    struct pixl_error e = { 0 };
    struct archive_index *ix = calloc(1, sizeof *ix);
    if (ix == NULL)
        return fail_memory(err);
    bool ok = open_db(path, &ix->db, &e);
    if (!ok && e.code == PIXL_E_CORRUPT) {
        pixl_error_clear(&e);
        ok = remove_db(path, &e) && open_db(path, &ix->db, &e);
    }
    if (ok && pthread_mutex_init(&ix->lock, NULL) != 0)
        ok = fail_memory(&e);
    if (!ok) {
        sqlite_db_close(ix->db);
        free(ix);
        *err = e;
        return pixl_wrap(err, "archive index");
    }
    *out = ix;
    return true;
}

void archive_index_close(struct archive_index *ix)
{
    if (ix == NULL)
        return;
    sqlite_db_close(ix->db);
    (void)pthread_mutex_destroy(&ix->lock);
    free(ix);
}

bool archive_index_extent(struct archive_index *ix, int64_t *n_files, int64_t *max_id, struct pixl_error *err)
{
    struct sqlite_stmt *s = NULL;
    bool row = false;
    lock(ix);
    bool ok = sqlite_db_prepare(ix->db, "SELECT (SELECT count(*) FROM files), (SELECT coalesce(max(seq), 0) FROM "
                                "sqlite_sequence WHERE name = 'files')", &s, err) && sqlite_step(s, &row, err);
    if (ok) {
        assert(row);
        *n_files = sqlite_col_i64(s, 0);
        *max_id = sqlite_col_i64(s, 1);
        sqlite_reset(s);
    }
    unlock(ix);
    return ok;
}

/* Columns 0 to 4: id, size_bytes, mtime_ns, inode, kind. */
static struct archive_index_file read_facts(struct sqlite_stmt *s)
{
    return (struct archive_index_file){ .id = sqlite_col_i64(s, 0), .size_bytes = (uint64_t)sqlite_col_i64(s, 1),
                                .mtime_ns = sqlite_col_i64(s, 2), .inode = (uint64_t)sqlite_col_i64(s, 3),
                                .who.kind = (enum archive_identity_kind)sqlite_col_i64(s, 4) };
}

bool archive_index_look(struct archive_index *ix, struct str path, struct archive_index_file *out,
                        struct pixl_error *err)
{
    struct sqlite_stmt *s = NULL;
    bool row = false;
    lock(ix);
    bool ok = sqlite_db_prepare(ix->db, "SELECT id, size_bytes, mtime_ns, inode, kind FROM files WHERE path = ?1", &s,
                                err);
    if (ok) {
        sqlite_bind_str(s, 1, path);
        ok = sqlite_step(s, &row, err);
    }
    if (ok) {
        *out = row ? read_facts(s) : (struct archive_index_file){ 0 };
        sqlite_reset(s);
    }
    unlock(ix);
    return ok;
}

/* A column's text in the arena. */
static bool copy_col(struct sqlite_stmt *s, int col, struct arena *arena, struct phi_text *out, struct pixl_error *err)
{
    struct str text = arena_str(arena, sqlite_col_str(s, col));
    if (text.p == NULL)
        return fail_memory(err);
    *out = phi_text(text);
    return true;
}

static bool get_locked(struct archive_index *ix, int64_t id, struct arena *arena, struct archive_index_file *out,
                       struct pixl_error *err)
{
    struct sqlite_stmt *s = NULL;
    bool row = false;
    if (!sqlite_db_prepare(ix->db,
                           "SELECT id, size_bytes, mtime_ns, inode, kind, path, patient_id, accession_number, "
                           "study_uid, series_uid, sop_uid, frames FROM files WHERE id = ?1",
                           &s, err))
        return false;
    sqlite_bind_i64(s, 1, id);
    if (!sqlite_step(s, &row, err))
        return false;
    struct archive_index_file f = { 0 };
    bool ok = true;
    if (row) {
        f = read_facts(s);
        ok = copy_col(s, 5, arena, &f.path, err) && copy_col(s, 6, arena, &f.who.patient_id, err) &&
             copy_col(s, 7, arena, &f.who.accession_number, err) && copy_col(s, 8, arena, &f.who.study_uid, err) &&
             copy_col(s, 9, arena, &f.who.series_uid, err) && copy_col(s, 10, arena, &f.who.sop_uid, err);
        f.who.frames = (uint32_t)sqlite_col_i64(s, 11);
    }
    sqlite_reset(s);
    if (ok)
        *out = f;
    return ok;
}

bool archive_index_get(struct archive_index *ix, int64_t id, struct arena *arena, struct archive_index_file *out,
                       struct pixl_error *err)
{
    lock(ix);
    bool ok = get_locked(ix, id, arena, out, err);
    unlock(ix);
    return ok;
}

static bool put_one(struct archive_index *ix, struct archive_index_file *f, struct pixl_error *err)
{
    struct sqlite_stmt *s = NULL;
    bool row = false;
    if (!sqlite_db_prepare(ix->db,
                           "INSERT INTO files(path, size_bytes, mtime_ns, inode, kind, patient_id, accession_number, "
                           "study_uid, series_uid, sop_uid, frames) "
                           "VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11) "
                           "ON CONFLICT(path) DO UPDATE SET size_bytes = excluded.size_bytes, "
                           "mtime_ns = excluded.mtime_ns, inode = excluded.inode, kind = excluded.kind, "
                           "patient_id = excluded.patient_id, accession_number = excluded.accession_number, "
                           "study_uid = excluded.study_uid, series_uid = excluded.series_uid, "
                           "sop_uid = excluded.sop_uid, frames = excluded.frames RETURNING id",
                           &s, err))
        return false;
    sqlite_bind_str(s, 1, phi_reveal(f->path));
    sqlite_bind_i64(s, 2, (int64_t)f->size_bytes);
    sqlite_bind_i64(s, 3, f->mtime_ns);
    sqlite_bind_i64(s, 4, (int64_t)f->inode);
    sqlite_bind_i64(s, 5, f->who.kind);
    sqlite_bind_str(s, 6, phi_reveal(f->who.patient_id));
    sqlite_bind_str(s, 7, phi_reveal(f->who.accession_number));
    sqlite_bind_str(s, 8, phi_reveal(f->who.study_uid));
    sqlite_bind_str(s, 9, phi_reveal(f->who.series_uid));
    sqlite_bind_str(s, 10, phi_reveal(f->who.sop_uid));
    sqlite_bind_i64(s, 11, f->who.frames);
    if (!sqlite_step(s, &row, err))
        return false;
    assert(row);
    f->id = sqlite_col_i64(s, 0);
    sqlite_reset(s);
    return true;
}

bool archive_index_put(struct archive_index *ix, struct archive_index_file *files, size_t n, struct pixl_error *err)
{
    lock(ix);
    bool ok = sqlite_db_begin(ix->db, err);
    if (ok) {
        for (size_t i = 0; ok && i < n; i++)
            ok = put_one(ix, &files[i], err);
        ok = ok && sqlite_db_commit(ix->db, err);
        if (!ok)
            sqlite_db_rollback(ix->db);
    }
    unlock(ix);
    return ok;
}

/* Runs a statement with one number for each of ids, in one transaction. */
static bool run_each(struct archive_index *ix, const char *sql, const int64_t *ids, size_t n, struct pixl_error *err)
{
    struct sqlite_stmt *s = NULL;
    lock(ix);
    bool ok = sqlite_db_begin(ix->db, err);
    if (ok) {
        for (size_t i = 0; ok && i < n; i++) {
            ok = sqlite_db_prepare(ix->db, sql, &s, err);
            if (ok) {
                sqlite_bind_i64(s, 1, ids[i]);
                ok = sqlite_run(s, err);
            }
        }
        ok = ok && sqlite_db_commit(ix->db, err);
        if (!ok)
            sqlite_db_rollback(ix->db);
    }
    unlock(ix);
    return ok;
}

bool archive_index_doubt(struct archive_index *ix, int64_t id, struct pixl_error *err)
{
    return run_each(ix, "UPDATE files SET mtime_ns = -1 WHERE id = ?1", &id, 1, err);
}

bool archive_index_drop(struct archive_index *ix, const int64_t *ids, size_t n, struct pixl_error *err)
{
    return run_each(ix, "DELETE FROM files WHERE id = ?1", ids, n, err);
}

/* "folder/" up to, but without, "folder0": '0' is the byte behind '/'. */
bool archive_index_each_below(struct archive_index *ix, struct str folder,
                              bool (*fn)(void *ctx, int64_t id, struct pixl_error *err), void *ctx,
                              struct pixl_error *err)
{
    assert(folder.n == 0 || folder.p[folder.n - 1] == '/');
    struct sqlite_stmt *s = NULL;
    struct buf end;
    buf_init(&end, folder.n + 1);
    if (folder.n > 0 && (!buf_add(&end, folder.p, folder.n - 1) || !buf_add_char(&end, '0'))) {
        buf_done(&end);
        return fail_memory(err);
    }
    lock(ix);
    bool ok = folder.n == 0 ? sqlite_db_prepare(ix->db, "SELECT id FROM files", &s, err)
            : sqlite_db_prepare(ix->db, "SELECT id FROM files WHERE path >= ?1 AND path < ?2", &s, err);
    if (ok && folder.n > 0) {
        sqlite_bind_str(s, 1, folder);
        sqlite_bind_str(s, 2, buf_str(&end));
    }
    for (bool row = true; ok; ) {
        ok = sqlite_step(s, &row, err);
        if (!ok || !row)
            break;
        ok = fn(ctx, sqlite_col_i64(s, 0), err);
    }
    if (s != NULL)
        sqlite_reset(s);
    unlock(ix);
    buf_done(&end);
    return ok;
}

bool archive_index_has_study(struct archive_index *ix, struct phi_text study_uid, bool *found, struct pixl_error *err)
{
    struct sqlite_stmt *s = NULL;
    bool row = false;
    lock(ix);
    bool ok = sqlite_db_prepare(ix->db, "SELECT study_uid FROM files WHERE study_uid = ?1 AND study_uid <> '' LIMIT 1",
                                &s, err);
    if (ok) {
        sqlite_bind_str(s, 1, phi_reveal(study_uid));
        ok = sqlite_step(s, &row, err);
    }
    if (ok) {
        *found = row && str_eq(sqlite_col_str(s, 0), phi_reveal(study_uid));
        sqlite_reset(s);
    }
    unlock(ix);
    return ok;
}

static bool find_locked(struct archive_index *ix, struct phi_text patient_id, struct phi_text accession_number,
                        struct arena *arena,
                        struct phi_text **uids, size_t *n, struct pixl_error *err)
{
    struct sqlite_stmt *s = NULL;
    struct phi_text *list = NULL;
    size_t got = 0, room = 0;
    if (!sqlite_db_prepare(ix->db,
                           "SELECT DISTINCT study_uid, patient_id, accession_number FROM files WHERE patient_id = ?1 "
                           "AND accession_number = ?2 AND study_uid <> '' ORDER BY study_uid", &s, err))
        return false;
    sqlite_bind_str(s, 1, phi_reveal(patient_id));
    sqlite_bind_str(s, 2, phi_reveal(accession_number));
    for (bool row = true; ; ) {
        if (!sqlite_step(s, &row, err))
            return false;
        if (!row)
            break;
        if (!str_eq(sqlite_col_str(s, 1), phi_reveal(patient_id)) ||
            !str_eq(sqlite_col_str(s, 2), phi_reveal(accession_number)))
            continue;
        list = arena_grow(arena, list, got, &room, sizeof *list);
        if (!(list != NULL ? copy_col(s, 0, arena, &list[got], err) : fail_memory(err))) {
            sqlite_reset(s);
            return false;
        }
        got++;
    }
    *uids = list;
    *n = got;
    return true;
}

bool archive_index_find_studies(struct archive_index *ix, struct phi_text patient_id,
                                struct phi_text accession_number, struct arena *arena,
                        struct phi_text **uids, size_t *n, struct pixl_error *err)
{
    lock(ix);
    bool ok = find_locked(ix, patient_id, accession_number, arena, uids, n, err);
    unlock(ix);
    return ok;
}

static bool list_locked(struct archive_index *ix, struct phi_text study_uid, struct arena *arena,
                        struct archive_instance **out,
                        size_t *n, struct pixl_error *err)
{
    struct sqlite_stmt *s = NULL;
    struct archive_instance *list = NULL;
    size_t got = 0, room = 0;
    if (!sqlite_db_prepare(ix->db,
                           "SELECT id, size_bytes, series_uid, sop_uid, frames FROM files WHERE study_uid = ?1 AND "
                           "study_uid <> ''",
                           &s, err))
        return false;
    sqlite_bind_str(s, 1, phi_reveal(study_uid));
    for (bool row = true; ; ) {
        if (!sqlite_step(s, &row, err))
            return false;
        if (!row)
            break;
        list = arena_grow(arena, list, got, &room, sizeof *list);
        struct archive_instance *i = list != NULL ? &list[got] : NULL;
        if (!(i != NULL ? copy_col(s, 2, arena, &i->series_uid, err) && copy_col(s, 3, arena, &i->sop_uid, err)
                        : fail_memory(err))) {
            sqlite_reset(s);
            return false;
        }
        i->handle = sqlite_col_i64(s, 0);
        i->size_bytes = (uint64_t)sqlite_col_i64(s, 1);
        i->frames = sqlite_col_i64(s, 4) > 1 ? (uint32_t)sqlite_col_i64(s, 4) : 1;
        got++;
    }
    *out = list;
    *n = got;
    return true;
}

bool archive_index_list_study(struct archive_index *ix, struct phi_text study_uid, struct arena *arena,
                              struct archive_instance **out,
                      size_t *n, struct pixl_error *err)
{
    lock(ix);
    bool ok = list_locked(ix, study_uid, arena, out, n, err);
    unlock(ix);
    return ok;
}
