#include "archive_brought.h"

#include <assert.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fs.h"
#include "base/hash.h"
#include "base/sqlite_db.h"

enum { BUSY_MS = 30000, PATH_BYTES_MAX = 64 * 1024, ID_BYTES = 20 };

struct archive_brought {
    pthread_mutex_t lock; /* guards db, its statements included */
    struct sqlite_db *db;
};

static const char schema[] =
    "CREATE TABLE IF NOT EXISTS brought(id TEXT PRIMARY KEY, study_uid TEXT NOT NULL) WITHOUT ROWID;"
    "CREATE INDEX IF NOT EXISTS brought_study ON brought(study_uid);"
    "CREATE TABLE IF NOT EXISTS asked(study_uid TEXT, sop_uid TEXT, PRIMARY KEY(study_uid, sop_uid)) WITHOUT ROWID;";

static bool fail_damaged(struct pixl_error *err)
{
    return pixl_fail(err, PIXL_E_CORRUPT, 0, "the list of what was brought to Orthanc is damaged");
}

static bool open_file(struct archive_brought *b, const char *state_dir, const char *place, struct pixl_error *err)
{
    hash_sha256_auto *h = NULL;
    uint8_t digest[HASH_SHA256_BYTES];
    char hex[17], name[64];
    if (!hash_sha256_new(&h, err) || !hash_sha256_add(h, place, strlen(place), err) || !hash_sha256_end(h, digest, err))
        return false;
    hash_hex(digest, 8, hex);
    (void)snprintf(name, sizeof name, "brought-%s.db", hex);
    struct arena a;
    arena_init(&a, PATH_BYTES_MAX);
    const char *path = fs_path(&a, state_dir, name);
    bool ok = path != NULL || pixl_fail(err, PIXL_E_NOMEM, 0, "archive");
    ok = ok && fs_make_dirs(state_dir, 0700, err) && sqlite_db_open(path, BUSY_MS, &b->db, err) &&
         sqlite_db_exec(b->db, schema, err);
    arena_done(&a);
    return ok;
}

bool archive_brought_open(const char *state_dir, const char *place, struct archive_brought **out,
                          struct pixl_error *err)
{
    struct archive_brought *b = calloc(1, sizeof *b);
    if (b == NULL)
        return pixl_fail(err, PIXL_E_NOMEM, 0, "archive");
    int rc = pthread_mutex_init(&b->lock, NULL);
    assert(rc == 0);
    if (!open_file(b, state_dir, place, err)) {
        archive_brought_close(b);
        return false;
    }
    *out = b;
    return true;
}

void archive_brought_close(struct archive_brought *b)
{
    if (b == NULL)
        return;
    sqlite_db_close(b->db);
    (void)pthread_mutex_destroy(&b->lock);
    free(b);
}

static bool ask_one(struct archive_brought *b, struct str study_uid, const struct archive_instance *i,
                    struct pixl_error *err)
{
    struct sqlite_stmt *s = NULL;
    if (archive_instance_is_near(i))
        return true;
    if (!sqlite_db_prepare(b->db, "INSERT OR IGNORE INTO asked(study_uid, sop_uid) VALUES(?1, ?2)", &s, err))
        return false;
    sqlite_bind_str(s, 1, study_uid);
    sqlite_bind_str(s, 2, phi_reveal(i->sop_uid));
    return sqlite_run(s, err);
}

static bool delete_asked(struct archive_brought *b, struct str study_uid, struct str sop_uid, struct pixl_error *err)
{
    struct sqlite_stmt *s = NULL;
    if (!sqlite_db_prepare(b->db, "DELETE FROM asked WHERE study_uid = ?1 AND sop_uid = ?2", &s, err))
        return false;
    sqlite_bind_str(s, 1, study_uid);
    sqlite_bind_str(s, 2, sop_uid);
    return sqlite_run(s, err);
}

static bool came_one(struct archive_brought *b, struct str study_uid, const struct archive_instance *i,
                     struct pixl_error *err)
{
    char hex[2 * ID_BYTES + 1];
    struct sqlite_stmt *s = NULL;
    if (!archive_instance_is_near(i))
        return true;
    if (!delete_asked(b, study_uid, phi_reveal(i->sop_uid), err))
        return false;
    if (sqlite_db_changes(b->db) == 0) /* not ours */
        return true;
    if (!sqlite_db_prepare(b->db, "INSERT OR REPLACE INTO brought(id, study_uid) VALUES(?1, ?2)", &s, err))
        return false;
    hash_hex(i->remote, ID_BYTES, hex);
    sqlite_bind_str(s, 1, str_of(hex));
    sqlite_bind_str(s, 2, study_uid);
    return sqlite_run(s, err);
}

/* One transaction for all of a study. */
static bool
for_each(struct archive_brought *b, struct phi_text study_uid, struct archive_instance *const *list, size_t n,
         bool (*one)(struct archive_brought *, struct str, const struct archive_instance *, struct pixl_error *),
         struct pixl_error *err)
{
    (void)pthread_mutex_lock(&b->lock);
    bool ok = sqlite_db_begin(b->db, err);
    if (ok) {
        for (size_t i = 0; ok && i < n; i++)
            ok = one(b, phi_reveal(study_uid), list[i], err);
        ok = ok && sqlite_db_commit(b->db, err);
        if (!ok)
            sqlite_db_rollback(b->db);
    }
    (void)pthread_mutex_unlock(&b->lock);
    return ok;
}

bool archive_brought_ask(struct archive_brought *b, struct phi_text study_uid, struct archive_instance *const *list,
                         size_t n, struct pixl_error *err)
{
    return for_each(b, study_uid, list, n, ask_one, err);
}

bool archive_brought_came(struct archive_brought *b, struct phi_text study_uid, struct archive_instance *const *list,
                          size_t n, struct pixl_error *err)
{
    char sop_uid[ARCHIVE_BROUGHT_UID_SIZE];
    bool any;
    if (!archive_brought_next_asked(b, study_uid, &any, sop_uid, err))
        return false;
    return !any || for_each(b, study_uid, list, n, came_one, err);
}

bool archive_brought_next_asked(struct archive_brought *b, struct phi_text study_uid, bool *got,
                                char sop_uid[ARCHIVE_BROUGHT_UID_SIZE], struct pixl_error *err)
{
    struct sqlite_stmt *s = NULL;
    bool row = false;
    (void)pthread_mutex_lock(&b->lock);
    bool ok = sqlite_db_prepare(b->db, "SELECT sop_uid FROM asked WHERE study_uid = ?1 LIMIT 1", &s, err);
    if (ok) {
        sqlite_bind_str(s, 1, phi_reveal(study_uid));
        ok = sqlite_step(s, &row, err);
        struct str uid = ok && row ? sqlite_col_str(s, 0) : (struct str){ 0 };
        if (uid.n >= ARCHIVE_BROUGHT_UID_SIZE)
            ok = fail_damaged(err);
        else if (uid.n > 0)
            memcpy(sop_uid, uid.p, uid.n);
        sop_uid[ok ? uid.n : 0] = '\0';
        sqlite_reset(s);
    }
    (void)pthread_mutex_unlock(&b->lock);
    if (ok)
        *got = row;
    return ok;
}

bool archive_brought_forget_asked(struct archive_brought *b, struct phi_text study_uid, struct phi_text sop_uid,
                                  struct pixl_error *err)
{
    (void)pthread_mutex_lock(&b->lock);
    bool ok = delete_asked(b, phi_reveal(study_uid), phi_reveal(sop_uid), err);
    (void)pthread_mutex_unlock(&b->lock);
    return ok;
}

static bool from_hex(struct str hex, uint8_t id[20])
{
    static const char digits[16] = "0123456789abcdef"; /* without a NUL */
    for (size_t i = 0; i < 2 * ID_BYTES; i++) {
        const char *at = hex.n == 2 * ID_BYTES ? memchr(digits, hex.p[i], sizeof digits) : NULL;
        if (at == NULL)
            return false;
        id[i / 2] = (uint8_t)(id[i / 2] << 4 | (at - digits));
    }
    return true;
}

bool archive_brought_next(struct archive_brought *b, struct phi_text study_uid, bool *got, uint8_t id[20],
                          struct pixl_error *err)
{
    struct sqlite_stmt *s = NULL;
    bool row = false;
    (void)pthread_mutex_lock(&b->lock);
    bool ok = sqlite_db_prepare(b->db, "SELECT id FROM brought WHERE study_uid = ?1 LIMIT 1", &s, err);
    if (ok) {
        sqlite_bind_str(s, 1, phi_reveal(study_uid));
        ok = sqlite_step(s, &row, err);
        if (ok && row && !from_hex(sqlite_col_str(s, 0), id))
            ok = fail_damaged(err);
        sqlite_reset(s);
    }
    (void)pthread_mutex_unlock(&b->lock);
    if (ok)
        *got = row;
    return ok;
}

bool archive_brought_forget(struct archive_brought *b, const uint8_t id[20], struct pixl_error *err)
{
    char hex[2 * ID_BYTES + 1];
    struct sqlite_stmt *s = NULL;
    hash_hex(id, ID_BYTES, hex);
    (void)pthread_mutex_lock(&b->lock);
    bool ok = sqlite_db_prepare(b->db, "DELETE FROM brought WHERE id = ?1", &s, err);
    if (ok) {
        sqlite_bind_str(s, 1, str_of(hex));
        ok = sqlite_run(s, err);
    }
    (void)pthread_mutex_unlock(&b->lock);
    return ok;
}
