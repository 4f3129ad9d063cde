/* The SQLite store: its file. */
#include "store_sqlite.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fs.h"
#include "store/store_sql.h"

enum { BUSY_MS = 10 * 1000, BATCH_ROWS = 50000 };

struct store_sqlite {
    struct store_sql sql;
    struct sqlite_db *db;
    char *lock_path; /* of the dispatcher's lock */
    int lock_fd;     /* -1: not held */
};

/* The file holds identities.  A new one is made 0600, and SQLite gives its own files the same mode; one that somebody
 * copied here with a wider mode is narrowed before anything is read. */
static bool narrow_mode(const char *path, struct pixl_error *err)
{
    static const char *const suffix[] = { "", "-wal", "-shm" };
    for (size_t i = 0; i < ARRAY_LEN(suffix); i++) {
        buf_auto name;
        buf_init(&name, 8192);
        (void)buf_add_cstr(&name, path);
        if (!buf_add_cstr(&name, suffix[i]))
            return pixl_fail(err, name.n < 8000 ? PIXL_E_NOMEM : PIXL_E_INVALID, 0, "store: file name");
        struct stat st;
        if (stat(buf_cstr(&name), &st) != 0)
            continue;                           /* not there yet; opening tells what else is wrong */
        if (S_ISREG(st.st_mode) && (st.st_mode & 077) != 0 && chmod(buf_cstr(&name), 0600) != 0)
            return pixl_fail_errno(err, errno, "store: make the file readable to its owner only");
    }
    return true;
}

static void sqlite_close(struct store_session *s)
{
    assert(s->ops == &store_sqlite_ops);
    struct store_sqlite *me = (struct store_sqlite *)s;
    sqlite_db_close(me->db);
    if (me->lock_fd >= 0)
        (void)close(me->lock_fd);
    free(me->lock_path);
    free(me);
}

static bool sqlite_open(const char *path, struct store_session **out, struct pixl_error *err)
{
    if (path[0] == '\0')
        return pixl_fail(err, PIXL_E_INVALID, 0, "store: \"sqlite:\" must be followed by a file name");
    sqlite_db_auto *db = NULL;
    bool ok = strcmp(path, STORE_SQLITE_IN_MEMORY) == 0
                  ? sqlite_db_open_in_memory(&db, err)
                  : narrow_mode(path, err) && sqlite_db_open(path, BUSY_MS, &db, err);
    if (!ok || !store_sqlite_migrate(db, err))
        return false;
    struct store_sqlite *s = calloc(1, sizeof *s);
    if (s == NULL)
        return pixl_fail(err, PIXL_E_NOMEM, 0, "store");
    size_t n = strlen(path) + sizeof "-dispatch";
    s->lock_path = malloc(n);
    if (s->lock_path == NULL) {
        free(s);
        return pixl_fail(err, PIXL_E_NOMEM, 0, "store");
    }
    (void)snprintf(s->lock_path, n, "%s-dispatch", path);
    s->lock_fd = -1;
    s->db = PIXL_STEAL(&db);
    s->sql = (struct store_sql){ .base.ops = &store_sqlite_ops, .db = sqlite_db_sql(s->db), .batch_rows = BATCH_ROWS };
    *out = &s->sql.base;
    return true;
}

static bool sqlite_look(const char *path, struct store_look *out, struct pixl_error *err)
{
    sqlite_db_auto *db = NULL;
    struct store_look l = { 0 };
    if (!sqlite_db_open_to_look(path, BUSY_MS, &db, err) || !store_sqlite_version(db, &l.version, &l.newest, err))
        return false;
    *out = l;
    return true;
}

static bool sqlite_dispatch_lock(struct store_session *s, bool *got, struct pixl_error *err)
{
    struct store_sqlite *me = (struct store_sqlite *)s;
    *got = me->lock_fd < 0 && fs_lock(me->lock_path, &me->lock_fd, err);
    if (err->code == PIXL_E_BUSY)
        pixl_error_clear(err);
    return err->code == PIXL_OK;
}

static bool sqlite_dispatch_holds(struct store_session *s, bool *holds, struct pixl_error *err)
{
    (void)err;
    *holds = ((struct store_sqlite *)s)->lock_fd >= 0;
    return true;
}

const struct store_ops store_sqlite_ops = { .scheme = "sqlite",
                                            .sessions = 1,
                                            .open = sqlite_open,
                                            .look = sqlite_look,
                                            .close = sqlite_close,
                                            .dispatch_lock = sqlite_dispatch_lock,
                                            .dispatch_holds = sqlite_dispatch_holds,
                                            STORE_SQL_SLOTS };
