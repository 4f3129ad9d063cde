/* The tables, as numbered migrations: the version is PRAGMA user_version, and a migration, once released, is never
 * edited.
 *
 *   extract ──< extract_time ──< request >──< request_image >──< image ──< image_event
 *                         └──< report                                 └──< instance_skipped
 *
 * extract and image have the columns of the system that pixl replaces under their names; what we call participant_id
 * is its pseudo_patient_id, and dates are whole numbers (yyyymmdd; microseconds since 1970), 0 or '' where not known.
 *
 * A key hash (key_hash.h) stands for a row's key in a unique index of 8-byte numbers, which is much smaller and faster
 * than one of texts.  When two keys share a hash the second lies at hash + 1, and so on: rows are never deleted and
 * keys never change, so that a search ends at the first number that is free.  A request's hash stands behind its time
 * and procedure, which are part of its key: the one index serves who looks for a request and who looks for a procedure.
 *
 * What a claim looks for lies in two partial indexes, one for each state that waits for work, holding only rows that
 * are due (not_before_us = 0) in the order in which they are claimed; rows that wait for a time lie in a third one,
 * from which a claim first takes those whose time has come.  A claim thus never passes over rows it cannot take. */
#include "store_sqlite.h"

#include <stdio.h>

#include "study/state.h"

/* CASE, as IN with more than two values builds a table of its own for each row that is written. */
#define X(symbol, name, text, end) " WHEN '" name "' THEN 1"
#define IS_STATE(column) "CASE " column STUDY_STATES(X) " ELSE 0 END"
#define IS_STATE_OR_NULL(column) column " IS NULL OR " IS_STATE(column)

static const char *const version_1[] = {
    "CREATE TABLE extract ("
    " extract_id INTEGER PRIMARY KEY,"
    " slug TEXT NOT NULL UNIQUE CHECK (slug <> '')"
    ") STRICT",

    "CREATE TABLE extract_time ("
    " extract_time_id INTEGER PRIMARY KEY,"
    " extract_id INTEGER NOT NULL REFERENCES extract,"
    " extract_time TEXT NOT NULL,"
    " UNIQUE (extract_id, extract_time)"
    ") STRICT",

    "CREATE TABLE image ("
    " image_id INTEGER PRIMARY KEY,"
    " extract_id INTEGER NOT NULL REFERENCES extract,"
    " key_hash INTEGER UNIQUE,"
    " state TEXT NOT NULL DEFAULT 'queued' CHECK (" IS_STATE("state") "),"
    " failed_from TEXT CHECK (" IS_STATE_OR_NULL("failed_from") "),"
    " reason TEXT NOT NULL DEFAULT '',"
    " detail TEXT NOT NULL DEFAULT '',"
    " priority INTEGER NOT NULL CHECK (priority BETWEEN 1 AND 5),"
    " study_date INTEGER NOT NULL,"
    " attempts INTEGER NOT NULL DEFAULT 0,"
    " crashes INTEGER NOT NULL DEFAULT 0,"
    " fence INTEGER NOT NULL DEFAULT 0,"
    " owner TEXT NOT NULL DEFAULT '' CHECK (length(owner) <= 64),"
    " lease_until_us INTEGER NOT NULL DEFAULT 0,"
    " not_before_us INTEGER NOT NULL DEFAULT 0,"
    " series_version INTEGER NOT NULL DEFAULT 0,"
    " zip_bytes INTEGER NOT NULL DEFAULT 0,"
    " instances_found INTEGER NOT NULL DEFAULT 0,"
    " instances_delivered INTEGER NOT NULL DEFAULT 0,"
    " instances_skipped INTEGER NOT NULL DEFAULT 0,"
    " created_us INTEGER NOT NULL,"
    " updated_us INTEGER NOT NULL,"
    " exported_at INTEGER NOT NULL DEFAULT 0,"
    " merged_into INTEGER REFERENCES image,"
    " mrn TEXT NOT NULL CHECK (mrn <> ''),"
    " accession_number TEXT NOT NULL,"
    " study_uid TEXT NOT NULL,"
    " found_uid TEXT NOT NULL,"
    " series_uids TEXT NOT NULL,"
    " pseudo_patient_id TEXT NOT NULL,"
    " pseudo_study_uid TEXT NOT NULL DEFAULT '',"
    " zip_digest TEXT NOT NULL DEFAULT '',"
    " CHECK (accession_number <> '' OR study_uid <> ''),"
    " CHECK (key_hash IS NOT NULL OR found_uid <> '' OR merged_into IS NOT NULL),"
    " CHECK ((state IN ('retrieving', 'delivering')) = (owner <> '')),"
    " CHECK ((state IN ('retrieving', 'delivering')) = (lease_until_us <> 0)),"
    " CHECK ((state = 'exported') <= (exported_at <> 0)),"
    " CHECK (merged_into IS NULL OR state = 'skipped')"
    ") STRICT",
    "CREATE UNIQUE INDEX image_found ON image (extract_id, found_uid) WHERE found_uid <> ''",
    "CREATE UNIQUE INDEX image_pseudo ON image (pseudo_study_uid) WHERE pseudo_study_uid <> ''",
    "CREATE INDEX image_queued ON image (extract_id, (crashes > 0), priority DESC, study_date)"
    " WHERE state = 'queued' AND not_before_us = 0",
    "CREATE INDEX image_deidentified ON image (extract_id, (crashes > 0), priority DESC, study_date)"
    " WHERE state = 'deidentified' AND not_before_us = 0",
    "CREATE INDEX image_waiting ON image (state, not_before_us) WHERE not_before_us > 0",
    "CREATE INDEX image_claimed ON image (owner) WHERE owner <> ''",

    "CREATE TABLE request ("
    " request_id INTEGER PRIMARY KEY,"
    " extract_time_id INTEGER NOT NULL REFERENCES extract_time,"
    " key_hash INTEGER NOT NULL UNIQUE,"
    " procedure_occurrence_id INTEGER NOT NULL,"
    " study_date INTEGER NOT NULL,"
    " priority INTEGER NOT NULL,"
    " created_us INTEGER NOT NULL,"
    " mrn TEXT NOT NULL,"
    " accession_number TEXT NOT NULL,"
    " study_uid TEXT NOT NULL,"
    " series_uids TEXT NOT NULL,"
    " participant_id TEXT NOT NULL"
    ") STRICT",

    "CREATE TABLE request_image ("
    " request_id INTEGER NOT NULL REFERENCES request,"
    " image_id INTEGER NOT NULL REFERENCES image,"
    " PRIMARY KEY (request_id, image_id)"
    ") STRICT, WITHOUT ROWID",
    "CREATE INDEX request_image_by_image ON request_image (image_id)",

    "CREATE TABLE image_event ("
    " image_id INTEGER NOT NULL REFERENCES image,"
    " event_no INTEGER NOT NULL,"
    " at_us INTEGER NOT NULL,"
    " from_state TEXT CHECK (" IS_STATE_OR_NULL("from_state") "),"
    " to_state TEXT NOT NULL CHECK (" IS_STATE("to_state") "),"
    " fence INTEGER NOT NULL,"
    " attempt INTEGER NOT NULL,"
    " reason TEXT NOT NULL DEFAULT '',"
    " detail TEXT NOT NULL DEFAULT '',"
    " owner TEXT NOT NULL DEFAULT '',"
    " PRIMARY KEY (image_id, event_no),"
    " CHECK ((event_no = 1) = (from_state IS NULL))"
    ") STRICT, WITHOUT ROWID",

    "CREATE TABLE bucket ("
    " name TEXT PRIMARY KEY,"
    " rate_per_s REAL NOT NULL,"
    " capacity REAL NOT NULL,"
    " tokens REAL NOT NULL,"
    " at_us INTEGER NOT NULL"
    ") STRICT, WITHOUT ROWID",

    "CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID",
    NULL
};
#undef X

/* Why an image's last attempt left instances out: instances_skipped of image, by reason. */
static const char *const version_2[] = { "CREATE TABLE instance_skipped ("
                                         " image_id INTEGER NOT NULL REFERENCES image,"
                                         " reason TEXT NOT NULL CHECK (reason <> ''),"
                                         " instances INTEGER NOT NULL CHECK (instances > 0),"
                                         " PRIMARY KEY (image_id, reason)"
                                         ") STRICT, WITHOUT ROWID",
                                         NULL };

/* Reports by procedure, and requests by the same: what is known of a report's patient is asked for each report.  A text
 * that is withheld is not kept. */
static const char *const version_3[] = {
    "CREATE TABLE report ("
    " report_id INTEGER PRIMARY KEY,"
    " extract_time_id INTEGER NOT NULL REFERENCES extract_time,"
    " procedure_occurrence_id INTEGER NOT NULL,"
    " loaded_us INTEGER NOT NULL,"
    " is_withheld INTEGER NOT NULL CHECK (is_withheld IN (0, 1)),"
    " image_identifier TEXT NOT NULL,"
    " xray_report TEXT NOT NULL,"
    " UNIQUE (extract_time_id, procedure_occurrence_id),"
    " CHECK ((is_withheld = 1) = (xray_report = ''))"
    ") STRICT",
    "CREATE INDEX request_procedure ON request (extract_time_id, procedure_occurrence_id)", NULL
};

/* Which archive is asked, and which machine has the zip: a claim passes over neither's rows. */
static const char *const version_4[] = {
    "ALTER TABLE image ADD COLUMN archive INTEGER NOT NULL DEFAULT 0 CHECK (archive IN (0, 1))",
    "ALTER TABLE image ADD COLUMN spool TEXT NOT NULL DEFAULT '' CHECK (length(spool) <= 64)",
    "DROP INDEX image_queued",
    "DROP INDEX image_deidentified",
    "CREATE INDEX image_queued ON image (extract_id, archive, (crashes > 0), priority DESC, study_date)"
    " WHERE state = 'queued' AND not_before_us = 0",
    "CREATE INDEX image_deidentified ON image (extract_id, spool, (crashes > 0), priority DESC, study_date)"
    " WHERE state = 'deidentified' AND not_before_us = 0",
    "UPDATE bucket SET name = 'primary' WHERE name = 'directory'",
    NULL
};

/* When the hint of a row was last confirmed by the broker (store.h); the index holds the rows that wait for one. */
static const char *const version_5[] = { "ALTER TABLE image ADD COLUMN hinted_us INTEGER NOT NULL DEFAULT 0",
                                         "CREATE INDEX image_unhinted ON image (priority DESC, study_date, image_id)"
                                         " WHERE state = 'queued' AND crashes = 0 AND hinted_us = 0",
                                         NULL };

/* One index of requests instead of two, each of which takes a new row to a place of its own.  The rule that key_hash is
 * unique by itself goes with its table only. */
static const char *const version_6[] = {
    "CREATE TABLE request_6 ("
    " request_id INTEGER PRIMARY KEY,"
    " extract_time_id INTEGER NOT NULL REFERENCES extract_time,"
    " key_hash INTEGER NOT NULL,"
    " procedure_occurrence_id INTEGER NOT NULL,"
    " study_date INTEGER NOT NULL,"
    " priority INTEGER NOT NULL,"
    " created_us INTEGER NOT NULL,"
    " mrn TEXT NOT NULL,"
    " accession_number TEXT NOT NULL,"
    " study_uid TEXT NOT NULL,"
    " series_uids TEXT NOT NULL,"
    " participant_id TEXT NOT NULL"
    ") STRICT",
    "INSERT INTO request_6 SELECT request_id, extract_time_id, key_hash, procedure_occurrence_id, study_date, priority,"
    " created_us, mrn, accession_number, study_uid, series_uids, participant_id FROM request ORDER BY request_id",
    "DROP TABLE request",
    "ALTER TABLE request_6 RENAME TO request",
    "CREATE UNIQUE INDEX request_key ON request (extract_time_id, procedure_occurrence_id, key_hash)",
    NULL
};

/* No broker stands beside a file (pipeline/dispatch.h) but those of tests: who populates pays nothing for hints.  A hint
 * is of one fence; rows stay when theirs is over, and the next hint of the image takes their place. */
static const char *const version_7[] = {
    "CREATE TABLE hinted ("
    " image_id INTEGER PRIMARY KEY REFERENCES image,"
    " fence INTEGER NOT NULL,"
    " hinted_us INTEGER NOT NULL"
    ") STRICT",
    "INSERT INTO hinted SELECT image_id, fence, hinted_us FROM image WHERE state = 'queued' AND hinted_us > 0",
    "DROP INDEX image_unhinted", "ALTER TABLE image DROP COLUMN hinted_us", NULL
};

/* Statement by statement, ended by NULL; migrations[v] leads from version v to v + 1. */
static const char *const *const migrations[] = { version_1, version_2, version_3, version_4, version_5, version_6,
                                                   version_7 };
enum { NEWEST = ARRAY_LEN(migrations), APPLICATION_ID = 0x5069786c };   /* "Pixl" */

static bool read_number(struct sqlite_db *db, const char *sql, int64_t *out, struct pixl_error *err)
{
    struct sqlite_stmt *q = NULL;
    bool row;
    if (!sqlite_db_prepare(db, sql, &q, err) || !sqlite_step(q, &row, err))
        return false;
    *out = row ? sqlite_col_i64(q, 0) : 0;
    sqlite_reset(q);
    return true;
}

/* Refuses another program's database instead of putting tables into it.  Inside a transaction. */
static bool check_version(struct sqlite_db *db, int64_t *version, struct pixl_error *err)
{
    int64_t v, id, tables;
    if (!read_number(db, "PRAGMA user_version", &v, err) || !read_number(db, "PRAGMA application_id", &id, err) ||
        !read_number(db, "SELECT count(*) FROM sqlite_schema", &tables, err))
        return false;
    if (tables > 0 ? id != APPLICATION_ID || v < 1 : v != 0)
        return pixl_fail(err, PIXL_E_CORRUPT, 0, "store: the file is not a database of pixl");
    if (v > NEWEST)
        return pixl_fail(err, PIXL_E_UNSUPPORTED, 0, "store: made by a newer pixl (version %lld; this one knows %d)",
                         (long long)v, (int)NEWEST);
    *version = v;
    return true;
}

static bool run_migration(struct sqlite_db *db, int version, struct pixl_error *err)
{
    for (const char *const *sql = migrations[version]; *sql != NULL; sql++)
        if (!sqlite_db_exec(db, *sql, err))
            return false;
    char mark[96];
    (void)snprintf(mark, sizeof mark, "PRAGMA user_version = %d; PRAGMA application_id = %d", version + 1,
                   (int)APPLICATION_ID);
    return sqlite_db_exec(db, mark, err);
}

static bool run_migrations(struct sqlite_db *db, struct pixl_error *err)
{
    int64_t version = 0;
    if (!check_version(db, &version, err))
        return false;
    for (int v = (int)version; v < NEWEST; v++)
        if (!run_migration(db, v, err))
            return pixl_wrap(err, "store: migration to version %d", v + 1);
    return true;
}

/* A table that is made anew goes while rows of others refer to it: whether they still do is asked at the end. */
static bool migrate_unbound(struct sqlite_db *db, struct pixl_error *err)
{
    int64_t torn = 0;
    if (!sqlite_db_begin(db, err) || !run_migrations(db, err) ||
        !read_number(db, "SELECT count(*) FROM pragma_foreign_key_check", &torn, err))
        return false;
    if (torn > 0)
        return pixl_fail(err, PIXL_E_CORRUPT, 0, "store: %lld rows refer to others that are not there",
                         (long long)torn);
    return sqlite_db_commit(db, err);
}

bool store_sqlite_migrate(struct sqlite_db *db, struct pixl_error *err)
{
    int64_t version, id;
    if (!read_number(db, "PRAGMA user_version", &version, err) || !read_number(db, "PRAGMA application_id", &id, err))
        return false;
    if (version == NEWEST && id == APPLICATION_ID)
        return true;                            /* the usual case takes no lock */
    if (!sqlite_db_exec(db, "PRAGMA foreign_keys = OFF", err))
        return false;
    bool ok = migrate_unbound(db, err);
    if (!ok)
        sqlite_db_rollback(db);
    return ok && sqlite_db_exec(db, "PRAGMA foreign_keys = ON", err); /* without them nobody works: it is closed */
}

bool store_sqlite_version(struct sqlite_db *db, int64_t *version, int64_t *newest, struct pixl_error *err)
{
    if (!check_version(db, version, err))
        return false;
    *newest = NEWEST;
    return true;
}
