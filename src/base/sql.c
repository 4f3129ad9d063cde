#include "sql.h"

#include <assert.h>

bool sql_exec(struct sql *db, struct sql_text text, struct pixl_error *err)
{
    return db->ops->exec(db, text, err);
}

bool sql_begin(struct sql *db, enum sql_begin how, struct pixl_error *err)
{
    return db->ops->begin(db, how, err);
}

bool sql_commit(struct sql *db, struct pixl_error *err)
{
    return db->ops->commit(db, err);
}

void sql_rollback(struct sql *db)
{
    db->ops->rollback(db);
}

int64_t sql_changes(struct sql *db)
{
    return db->ops->changes(db);
}

int64_t sql_last_id(struct sql *db)
{
    assert(db->ops->last_id != NULL);
    return db->ops->last_id(db);
}

bool sql_prepare(struct sql *db, struct sql_text text, struct sql_stmt **out, struct pixl_error *err)
{
    return db->ops->prepare(db, text, out, err);
}

void sql_bind_i64(struct sql_stmt *s, int i, int64_t v)
{
    s->ops->bind_i64(s, i, v);
}

void sql_bind_double(struct sql_stmt *s, int i, double v)
{
    s->ops->bind_double(s, i, v);
}

void sql_bind_str(struct sql_stmt *s, int i, struct str v)
{
    s->ops->bind_str(s, i, v);
}

void sql_bind_array(struct sql_stmt *s, int i, const struct sql_array *a)
{
    assert(s->ops->bind_array != NULL);
    s->ops->bind_array(s, i, a);
}

bool sql_step(struct sql_stmt *s, bool *row, struct pixl_error *err)
{
    return s->ops->step(s, row, err);
}

bool sql_run(struct sql_stmt *s, struct pixl_error *err)
{
    return s->ops->run(s, err);
}

bool sql_run_later(struct sql_stmt *s, struct pixl_error *err)
{
    return s->ops->run_later(s, err);
}

void sql_reset(struct sql_stmt *s)
{
    s->ops->reset(s);
}

int64_t sql_col_i64(struct sql_stmt *s, int i)
{
    return s->ops->col_i64(s, i);
}

double sql_col_double(struct sql_stmt *s, int i)
{
    return s->ops->col_double(s, i);
}

struct str sql_col_str(struct sql_stmt *s, int i)
{
    return s->ops->col_str(s, i);
}

bool sql_col_is_null(struct sql_stmt *s, int i)
{
    return s->ops->col_is_null(s, i);
}
