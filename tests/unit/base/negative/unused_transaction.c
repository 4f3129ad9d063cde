/* EXPECT: unused|ignoring return value */
#include "base/sqlite_db.h"
void wrong(struct sqlite_db *db, struct pixl_error *err);
void wrong(struct sqlite_db *db, struct pixl_error *err) { sqlite_db_commit(db, err); }
