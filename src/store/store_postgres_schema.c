/* The tables in PostgreSQL, as numbered migrations: the version is in pixl_version, and a migration, once released, is
 * never edited.  store_sqlite_schema.c says what the tables mean.
 *
 * extract and image are the tables of the system that pixl replaces, with its columns as it makes them (down to the
 * names of sequences and keys), whether it made them or we.  It may go on writing into them:
 *   - our columns have defaults; a row that it inserts is `adopted`, or `exported` when it says so
 *   - our rules are partial and hold for our rows alone, those with a key_hash or a found_uid
 *   - exported_at is its word: a trigger lets our state follow when somebody else sets or clears it
 *   - study_date may be NULL in our rows, as a cohort need not say it
 * Its older versions are brought up to its newest first, as its own migrations would; rows of its first ones, which lie
 * in a schema of another name, are copied, since there it could not go on writing anyway. */
#include "store_postgres.h"

#include "study/state.h"

#define X(symbol, name, text, end) ", '" name "'"
#define IS_STATE(column)           column " IN ('queued'" STUDY_STATES(X) ")"
#define NOW_US                     "(extract(epoch FROM clock_timestamp()) * 1000000)::bigint"

/* Tables that the older system's first versions made in this schema become those of its newest.  d947cc715eb1 is the
 * name of the last of its migrations; their order: bcaef54e2bfe, cb5ee12a6e20, 83dcb3812628, d947cc715eb1. */
static const char older_columns[] =
    "DO $$ BEGIN"
    " IF EXISTS (SELECT FROM information_schema.columns WHERE table_schema = 'pixl_pipeline' AND table_name = 'image'"
    "   AND column_name = 'hashed_identifier') THEN"
    "   ALTER TABLE pixl_pipeline.image RENAME hashed_identifier TO pseudo_study_uid;"
    " END IF;"
    " IF EXISTS (SELECT FROM pg_catalog.pg_tables WHERE schemaname = 'pixl_pipeline' AND tablename = 'image') THEN"
    "   ALTER TABLE pixl_pipeline.image ADD COLUMN IF NOT EXISTS study_uid VARCHAR,"
    "     ADD COLUMN IF NOT EXISTS pseudo_patient_id VARCHAR(255);"
    " END IF;"
    " IF EXISTS (SELECT FROM pg_catalog.pg_tables WHERE schemaname = 'pixl_pipeline'"
    "   AND tablename = 'alembic_version') THEN"
    "   UPDATE pixl_pipeline.alembic_version SET version_num = 'd947cc715eb1'"
    "   WHERE version_num IN ('bcaef54e2bfe', 'cb5ee12a6e20', '83dcb3812628');"
    " END IF;"
    "END $$";

static const char *const version_1[] = {
    "CREATE TABLE IF NOT EXISTS extract ("
    " extract_id SERIAL PRIMARY KEY,"
    " slug VARCHAR NOT NULL)",

    "CREATE TABLE IF NOT EXISTS image ("
    " image_id SERIAL PRIMARY KEY,"
    " accession_number VARCHAR NOT NULL,"
    " study_date DATE NOT NULL,"
    " mrn VARCHAR NOT NULL,"
    " pseudo_study_uid VARCHAR,"
    " exported_at TIMESTAMP WITH TIME ZONE,"
    " extract_id INTEGER NOT NULL REFERENCES extract,"
    " study_uid VARCHAR,"
    " pseudo_patient_id VARCHAR(255))",

    /* The first versions kept their tables in schema `pipeline`; that one stays as it is. */
    "DO $$ BEGIN"
    " IF EXISTS (SELECT FROM information_schema.columns WHERE table_schema = 'pipeline' AND table_name = 'image'"
    "   AND column_name = 'hashed_identifier') AND NOT EXISTS (SELECT FROM extract) THEN"
    "   INSERT INTO extract (extract_id, slug) SELECT extract_id, slug FROM pipeline.extract;"
    "   INSERT INTO image (image_id, accession_number, study_date, mrn, pseudo_study_uid, exported_at, extract_id)"
    "   SELECT image_id, accession_number, study_date, mrn, hashed_identifier, exported_at, extract_id"
    "   FROM pipeline.image;"
    "   PERFORM setval(pg_get_serial_sequence('extract', 'extract_id'), max(extract_id)) FROM extract;"
    "   PERFORM setval(pg_get_serial_sequence('image', 'image_id'), max(image_id)) FROM image;"
    " END IF;"
    "END $$",

    /* They named studies by hashes, which are no UIDs: what was exported keeps its name, what was not gets another. */
    "UPDATE image SET pseudo_study_uid = NULL WHERE exported_at IS NULL AND pseudo_study_uid !~ '^[0-9.]+$'",

    /* A project that stands twice is one: what was exported under the second row must not be sent again. */
    "UPDATE image SET extract_id = first.extract_id FROM extract AS own,"
    " (SELECT slug, min(extract_id) AS extract_id FROM extract GROUP BY slug) AS first"
    " WHERE own.extract_id = image.extract_id AND first.slug = own.slug AND own.extract_id <> first.extract_id",

    "ALTER TABLE image"
    " ALTER study_date DROP NOT NULL,"
    " ADD key_hash BIGINT,"
    " ADD state TEXT NOT NULL DEFAULT 'adopted' CHECK (" IS_STATE(
        "state") "),"
                 " ADD failed_from TEXT CHECK (" IS_STATE(
                     "failed_from") "),"
                                    " ADD reason TEXT NOT NULL DEFAULT '',"
                                    " ADD detail TEXT NOT NULL DEFAULT '',"
                                    " ADD priority INTEGER NOT NULL DEFAULT 1 CHECK (priority BETWEEN 1 AND 5),"
                                    " ADD attempts INTEGER NOT NULL DEFAULT 0,"
                                    " ADD crashes INTEGER NOT NULL DEFAULT 0,"
                                    " ADD fence BIGINT NOT NULL DEFAULT 0,"
                                    " ADD owner TEXT NOT NULL DEFAULT '' CHECK (length(owner) <= 64),"
                                    " ADD lease_until_us BIGINT NOT NULL DEFAULT 0,"
                                    " ADD not_before_us BIGINT NOT NULL DEFAULT 0,"
                                    " ADD series_version BIGINT NOT NULL DEFAULT 0,"
                                    " ADD zip_bytes BIGINT NOT NULL DEFAULT 0,"
                                    " ADD instances_found BIGINT NOT NULL DEFAULT 0,"
                                    " ADD instances_delivered BIGINT NOT NULL DEFAULT 0,"
                                    " ADD instances_skipped BIGINT NOT NULL DEFAULT 0,"
                                    " ADD created_us BIGINT NOT NULL DEFAULT 0,"
                                    " ADD updated_us BIGINT NOT NULL DEFAULT 0,"
                                    " ADD merged_into INTEGER REFERENCES image,"
                                    " ADD found_uid TEXT NOT NULL DEFAULT '',"
                                    " ADD series_uids TEXT NOT NULL DEFAULT '',"
                                    " ADD zip_digest TEXT NOT NULL DEFAULT ''",

    "UPDATE image SET state = 'exported' WHERE exported_at IS NOT NULL",

    "ALTER TABLE image"
    " ALTER created_us SET DEFAULT " NOW_US ","
    " ALTER updated_us SET DEFAULT " NOW_US ","
    " ADD CONSTRAINT image_claim CHECK ((state IN ('retrieving', 'delivering')) = (owner <> '')),"
    " ADD CONSTRAINT image_lease CHECK ((state IN ('retrieving', 'delivering')) = (lease_until_us <> 0)),"
    " ADD CONSTRAINT image_exported CHECK ((state = 'exported') = (exported_at IS NOT NULL)),"
    " ADD CONSTRAINT image_merged CHECK (merged_into IS NULL OR state IN ('skipped', 'exported'))",

    "CREATE UNIQUE INDEX image_key ON image (key_hash) WHERE key_hash IS NOT NULL",
    "CREATE UNIQUE INDEX image_found ON image (extract_id, found_uid) WHERE found_uid <> ''",
    "CREATE UNIQUE INDEX image_pseudo ON image (pseudo_study_uid)"
    " WHERE pseudo_study_uid <> '' AND (key_hash IS NOT NULL OR found_uid <> '')",
    "CREATE INDEX image_queued ON image (extract_id, (crashes > 0), priority DESC, study_date NULLS FIRST, image_id)"
    " WHERE state = 'queued' AND not_before_us = 0",
    "CREATE INDEX image_deidentified ON image (extract_id, (crashes > 0), priority DESC, study_date NULLS FIRST, "
    "image_id)"
    " WHERE state = 'deidentified' AND not_before_us = 0",
    "CREATE INDEX image_waiting ON image (state, not_before_us) WHERE not_before_us > 0",
    "CREATE INDEX image_claimed ON image (owner) WHERE owner <> ''",
    "CREATE INDEX image_foreign_number ON image (extract_id, mrn, accession_number)"
    " WHERE key_hash IS NULL AND found_uid = ''",
    "CREATE INDEX image_foreign_uid ON image (extract_id, study_uid) WHERE key_hash IS NULL AND found_uid = ''",

    "CREATE TABLE extract_time ("
    " extract_time_id BIGSERIAL PRIMARY KEY,"
    " extract_id INTEGER NOT NULL REFERENCES extract,"
    " extract_time TEXT COLLATE \"C\" NOT NULL,"
    " UNIQUE (extract_id, extract_time))",

    "CREATE TABLE request ("
    " request_id BIGSERIAL PRIMARY KEY,"
    " extract_time_id BIGINT NOT NULL REFERENCES extract_time,"
    " key_hash BIGINT NOT NULL UNIQUE,"
    " procedure_occurrence_id BIGINT NOT NULL,"
    " study_date INTEGER NOT NULL,"
    " priority INTEGER NOT NULL,"
    " created_us BIGINT NOT NULL,"
    " mrn TEXT NOT NULL,"
    " accession_number TEXT NOT NULL,"
    " study_uid TEXT NOT NULL,"
    " series_uids TEXT NOT NULL,"
    " participant_id TEXT NOT NULL)",
    "CREATE INDEX request_procedure ON request (extract_time_id, procedure_occurrence_id)",

    "CREATE TABLE request_image ("
    " request_id BIGINT NOT NULL REFERENCES request,"
    " image_id INTEGER NOT NULL REFERENCES image,"
    " PRIMARY KEY (request_id, image_id))",
    "CREATE INDEX request_image_by_image ON request_image (image_id)",

    "CREATE TABLE image_event ("
    " image_id INTEGER NOT NULL REFERENCES image,"
    " event_no INTEGER NOT NULL,"
    " at_us BIGINT NOT NULL,"
    " from_state TEXT CHECK (" IS_STATE("from_state") "),"
                                                      " to_state TEXT NOT NULL CHECK (" IS_STATE(
                                                          "to_state") "),"
                                                                      " fence BIGINT NOT NULL,"
                                                                      " attempt INTEGER NOT NULL,"
                                                                      " reason TEXT NOT NULL DEFAULT '',"
                                                                      " detail TEXT NOT NULL DEFAULT '',"
                                                                      " owner TEXT NOT NULL DEFAULT '',"
                                                                      " PRIMARY KEY (image_id, event_no),"
                                                                      " CHECK ((event_no = 1) = (from_state IS NULL)))",
    "INSERT INTO image_event (image_id, event_no, at_us, to_state, fence, attempt)"
    " SELECT image_id, 1, " NOW_US ", state, 0, 0 FROM image",

    "CREATE TABLE instance_skipped ("
    " image_id INTEGER NOT NULL REFERENCES image,"
    " reason TEXT NOT NULL CHECK (reason <> ''),"
    " instances BIGINT NOT NULL CHECK (instances > 0),"
    " PRIMARY KEY (image_id, reason))",

    "CREATE TABLE report ("
    " report_id BIGSERIAL PRIMARY KEY,"
    " extract_time_id BIGINT NOT NULL REFERENCES extract_time,"
    " procedure_occurrence_id BIGINT NOT NULL,"
    " loaded_us BIGINT NOT NULL,"
    " is_withheld INTEGER NOT NULL CHECK (is_withheld IN (0, 1)),"
    " image_identifier TEXT NOT NULL,"
    " xray_report TEXT NOT NULL,"
    " UNIQUE (extract_time_id, procedure_occurrence_id),"
    " CHECK ((is_withheld = 1) = (xray_report = '')))",

    /* NaN is larger than every other number. */
    "CREATE TABLE bucket ("
    " name TEXT PRIMARY KEY,"
    " rate_per_s DOUBLE PRECISION NOT NULL CHECK (rate_per_s < 'NaN'),"
    " capacity DOUBLE PRECISION NOT NULL CHECK (capacity < 'NaN'),"
    " tokens DOUBLE PRECISION NOT NULL CHECK (tokens < 'NaN'),"
    " at_us BIGINT NOT NULL)",

    "CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL)",

    /* Our own changes set state and exported_at together, and meet no trigger. */
    "CREATE FUNCTION pixl_image_arrives() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
    "   NEW.state := 'exported';"
    "   RETURN NEW;"
    " END $$",
    "CREATE TRIGGER pixl_image_arrives BEFORE INSERT ON image FOR EACH ROW"
    " WHEN (NEW.exported_at IS NOT NULL AND NEW.state <> 'exported') EXECUTE FUNCTION pixl_image_arrives()",
    "CREATE FUNCTION pixl_image_arrived() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
    "   INSERT INTO pixl_pipeline.image_event (image_id, event_no, at_us, to_state, fence, attempt)"
    "   VALUES (NEW.image_id, 1, NEW.created_us, NEW.state, 0, 0);"
    "   RETURN NULL;"
    " END $$",
    "CREATE TRIGGER pixl_image_arrived AFTER INSERT ON image FOR EACH ROW"
    " WHEN (NEW.state IN ('adopted', 'exported')) EXECUTE FUNCTION pixl_image_arrived()",
    "CREATE FUNCTION pixl_image_follows() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
    "   NEW.state := CASE WHEN NEW.exported_at IS NULL THEN 'adopted' ELSE 'exported' END;"
    "   NEW.failed_from := NULL; NEW.reason := ''; NEW.detail := ''; NEW.owner := '';"
    "   NEW.lease_until_us := 0; NEW.not_before_us := 0;"
    "   NEW.fence := OLD.fence + 1;"
    "   NEW.updated_us := " NOW_US ";"
    "   INSERT INTO pixl_pipeline.image_event (image_id, event_no, at_us, from_state, to_state, fence, attempt)"
    "   SELECT NEW.image_id, 1 + max(event_no), NEW.updated_us, OLD.state, NEW.state, NEW.fence, NEW.attempts"
    "   FROM pixl_pipeline.image_event WHERE image_id = NEW.image_id;"
    "   RETURN NEW;"
    " END $$",
    "CREATE TRIGGER pixl_image_follows BEFORE UPDATE OF exported_at ON image FOR EACH ROW"
    " WHEN ((NEW.exported_at IS NOT NULL) <> (NEW.state = 'exported')) EXECUTE FUNCTION pixl_image_follows()",

    "CREATE TABLE pixl_version (version INTEGER NOT NULL)", "INSERT INTO pixl_version VALUES (0)", NULL
};
#undef X

/* Which archive is asked, and which machine has the zip: a claim passes over neither's rows. */
static const char *const version_2[] = {
    "ALTER TABLE image"
    " ADD archive INTEGER NOT NULL DEFAULT 0 CHECK (archive IN (0, 1)),"
    " ADD spool TEXT COLLATE \"C\" NOT NULL DEFAULT '' CHECK (length(spool) <= 64)",
    "DROP INDEX image_queued",
    "DROP INDEX image_deidentified",
    "CREATE INDEX image_queued ON image"
    " (extract_id, archive, (crashes > 0), priority DESC, study_date NULLS FIRST, image_id)"
    " WHERE state = 'queued' AND not_before_us = 0",
    "CREATE INDEX image_deidentified ON image"
    " (extract_id, spool, (crashes > 0), priority DESC, study_date NULLS FIRST, image_id)"
    " WHERE state = 'deidentified' AND not_before_us = 0",
    "UPDATE bucket SET name = 'primary' WHERE name = 'directory'",
    NULL
};

static const char *const version_3[] = {
    "ALTER TABLE image ADD hinted_us BIGINT NOT NULL DEFAULT 0",
    "CREATE INDEX image_unhinted ON image (priority DESC, study_date NULLS FIRST, image_id)"
    " WHERE state = 'queued' AND crashes = 0 AND hinted_us = 0",
    NULL
};

/* What the dispatcher needs of the rows that are queued and no suspects, for each of them one: image is wide and has many
 * indexes, all of which a hint noted there would write anew.  Triggers keep it, so that no row that is queued, by whatever
 * statement, goes without.  Neither table's rows refer to the other's. */
static const char *const version_4[] = {
    "CREATE TABLE hint ("
    " image_id INTEGER PRIMARY KEY,"
    " archive INTEGER NOT NULL,"
    " priority INTEGER NOT NULL,"
    " study_date DATE,"
    " fence BIGINT NOT NULL,"
    " not_before_us BIGINT NOT NULL,"
    " hinted_us BIGINT NOT NULL DEFAULT 0)",
    "INSERT INTO hint SELECT image_id, archive, priority, study_date, fence, not_before_us, hinted_us"
    " FROM image WHERE state = 'queued' AND crashes = 0",
    "CREATE INDEX hint_wanted ON hint (priority DESC, study_date NULLS FIRST, image_id) WHERE hinted_us = 0",
    "DROP INDEX image_unhinted",
    "ALTER TABLE image DROP hinted_us",

    "CREATE FUNCTION pixl_images_queued() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
    "   INSERT INTO pixl_pipeline.hint (image_id, archive, priority, study_date, fence, not_before_us)"
    "   SELECT image_id, archive, priority, study_date, fence, not_before_us"
    "   FROM arrived WHERE state = 'queued' AND crashes = 0;"
    "   RETURN NULL;"
    " END $$",
    "CREATE TRIGGER pixl_images_queued AFTER INSERT ON image REFERENCING NEW TABLE AS arrived"
    " FOR EACH STATEMENT EXECUTE FUNCTION pixl_images_queued()",
    "CREATE FUNCTION pixl_image_moves() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
    "   IF NEW.state <> 'queued' OR NEW.crashes > 0 THEN"
    "     DELETE FROM pixl_pipeline.hint WHERE image_id = NEW.image_id;"
    "   ELSE"
    "     INSERT INTO pixl_pipeline.hint AS h (image_id, archive, priority, study_date, fence, not_before_us)"
    "     VALUES (NEW.image_id, NEW.archive, NEW.priority, NEW.study_date, NEW.fence, NEW.not_before_us)"
    "     ON CONFLICT (image_id) DO UPDATE SET archive = NEW.archive, priority = NEW.priority,"
    "       study_date = NEW.study_date, fence = NEW.fence, not_before_us = NEW.not_before_us,"
    "       hinted_us = CASE WHEN h.fence = NEW.fence THEN h.hinted_us ELSE 0 END;"
    "   END IF;"
    "   RETURN NULL;"
    " END $$",
    "CREATE TRIGGER pixl_image_moves AFTER UPDATE ON image FOR EACH ROW"
    " WHEN (OLD.state = 'queued' OR NEW.state = 'queued') EXECUTE FUNCTION pixl_image_moves()",
    NULL
};

/* Rows that are populated refer to what the same statement makes: looking each of them up, and locking it, took as long as
 * all else.  What stays is the other half of the rule: a row that others refer to is not taken away. */
static const char *const version_5[] = {
    "ALTER TABLE request DROP CONSTRAINT request_extract_time_id_fkey",
    "ALTER TABLE request_image DROP CONSTRAINT request_image_request_id_fkey",
    "ALTER TABLE request_image DROP CONSTRAINT request_image_image_id_fkey",
    "ALTER TABLE image_event DROP CONSTRAINT image_event_image_id_fkey",
    "ALTER TABLE image DROP CONSTRAINT image_merged_into_fkey",
    "CREATE FUNCTION pixl_row_goes() RETURNS trigger LANGUAGE plpgsql AS $$ DECLARE is_needed BOOLEAN; BEGIN"
    "   IF TG_TABLE_NAME = 'extract_time' THEN"
    "     is_needed := EXISTS (SELECT FROM pixl_pipeline.request WHERE extract_time_id = OLD.extract_time_id);"
    "   ELSIF TG_TABLE_NAME = 'request' THEN"
    "     is_needed := EXISTS (SELECT FROM pixl_pipeline.request_image WHERE request_id = OLD.request_id);"
    "   ELSE"
    "     is_needed := EXISTS (SELECT FROM pixl_pipeline.request_image WHERE image_id = OLD.image_id)"
    "       OR EXISTS (SELECT FROM pixl_pipeline.image_event WHERE image_id = OLD.image_id)"
    "       OR EXISTS (SELECT FROM pixl_pipeline.image WHERE merged_into = OLD.image_id);"
    "     DELETE FROM pixl_pipeline.hint WHERE image_id = OLD.image_id;"
    "   END IF;"
    "   IF is_needed THEN"
    "     RAISE foreign_key_violation USING MESSAGE = 'a row of ' || TG_TABLE_NAME || ' is still referred to';"
    "   END IF;"
    "   RETURN NULL;"
    " END $$",
    "CREATE TRIGGER pixl_row_goes AFTER DELETE OR UPDATE OF extract_time_id ON extract_time"
    " FOR EACH ROW EXECUTE FUNCTION pixl_row_goes()",
    "CREATE TRIGGER pixl_row_goes AFTER DELETE OR UPDATE OF request_id ON request"
    " FOR EACH ROW EXECUTE FUNCTION pixl_row_goes()",
    "CREATE TRIGGER pixl_row_goes AFTER DELETE OR UPDATE OF image_id ON image"
    " FOR EACH ROW EXECUTE FUNCTION pixl_row_goes()",
    NULL
};

/* Statement by statement, ended by NULL; migrations[v] leads from version v to v + 1. */
static const char *const *const migrations[] = { version_1, version_2, version_3, version_4, version_5 };
enum { NEWEST = ARRAY_LEN(migrations) };

static bool read_number(struct sql *db, struct sql_text text, int64_t *out, struct pixl_error *err)
{
    sql_stmt_auto *q = NULL;
    bool row;
    if (!sql_prepare(db, text, &q, err) || !sql_step(q, &row, err))
        return false;
    *out = row ? sql_col_i64(q, 0) : 0;
    return true;
}

static bool read_version(struct sql *db, int64_t *version, struct pixl_error *err)
{
    int64_t is_there;
    /* Not to_regclass(): it may not see what another process has committed since the transaction began. */
    if (!read_number(db,
                     SQL("SELECT count(*) FROM pg_catalog.pg_tables WHERE schemaname = 'pixl_pipeline'"
                         " AND tablename = 'pixl_version'"),
                     &is_there, err))
        return false;
    if (is_there)
        return read_number(db, SQL("SELECT version FROM pixl_pipeline.pixl_version"), version, err);
    *version = 0;
    return true;
}

/* Before the first migration: nothing is there, or the newest tables of the system that pixl replaces. */
static bool check_tables(struct sql *db, struct pixl_error *err)
{
    int64_t n_tables, n_columns;
    if (!read_number(db,
                     SQL("SELECT count(*) FROM pg_catalog.pg_tables WHERE schemaname = 'pixl_pipeline'"
                         " AND tablename <> 'alembic_version'"),
                     &n_tables, err) ||
        !read_number(db,
                     SQL("SELECT count(*) FROM information_schema.columns WHERE table_schema = 'pixl_pipeline' AND"
                         " (table_name, column_name, data_type) IN (('extract', 'extract_id', 'integer'),"
                         " ('extract', 'slug', 'character varying'), ('image', 'image_id', 'integer'),"
                         " ('image', 'accession_number', 'character varying'), ('image', 'study_date', 'date'),"
                         " ('image', 'mrn', 'character varying'), ('image', 'study_uid', 'character varying'),"
                         " ('image', 'pseudo_study_uid', 'character varying'),"
                         " ('image', 'exported_at', 'timestamp with time zone'), ('image', 'extract_id', 'integer'),"
                         " ('image', 'pseudo_patient_id', 'character varying'))"),
                     &n_columns, err))
        return false;
    return n_tables == 0 || (n_tables == 2 && n_columns == 11) ||
           pixl_fail(err, PIXL_E_UNSUPPORTED, 0,
                     "store: schema pixl_pipeline holds tables that pixl does not know; it needs a schema of that name "
                     "that is empty, or as the Python system left it");
}

static bool make_schema(struct sql *db, struct pixl_error *err)
{
    int64_t is_there;
    if (!read_number(db, SQL("SELECT count(*) FROM pg_catalog.pg_namespace WHERE nspname = 'pixl_pipeline'"), &is_there,
                     err))
        return false;
    return is_there || sql_exec(db, SQL("CREATE SCHEMA pixl_pipeline"), err);
}

static bool run_migration(struct sql *db, int64_t version, struct pixl_error *err)
{
    if (version == 0 && (!make_schema(db, err) || !sql_exec(db, SQL(older_columns), err) || !check_tables(db, err)))
        return false;
    for (const char *const *sql = migrations[version]; *sql != NULL; sql++)
        if (!sql_exec(db, SQL(*sql), err))
            return false;
    return sql_exec(db, SQL("UPDATE pixl_version SET version = version + 1"), err);
}

/* One migration, unless another process was first.  *version: what there is then. */
static bool migrate_once(struct sql *db, int64_t *version, struct pixl_error *err)
{
    if (!sql_exec(db, SQL("SELECT pg_advisory_xact_lock(8101822002)"), err) || !read_version(db, version, err))
        return false;
    if (*version >= NEWEST)
        return true;
    if (!run_migration(db, *version, err))
        return pixl_wrap(err, "store: migration to version %d", (int)*version + 1);
    ++*version;
    return true;
}

static bool check_known(int64_t version, struct pixl_error *err)
{
    return version <= NEWEST ||
           pixl_fail(err, PIXL_E_UNSUPPORTED, 0, "store: made by a newer pixl (version %d; this one knows %d)",
                     (int)version, (int)NEWEST);
}

bool store_postgres_migrate(struct sql *db, struct pixl_error *err)
{
    int64_t version;
    if (!read_version(db, &version, err))
        return false;
    while (version < NEWEST) {
        if (!sql_begin(db, SQL_BEGIN_WRITE, err) || !migrate_once(db, &version, err) || !sql_commit(db, err)) {
            sql_rollback(db);
            return false;
        }
    }
    return check_known(version, err);
}

/* Before the first migration: may this user make what it makes? */
static bool check_rights(struct sql *db, struct pixl_error *err)
{
    int64_t may;
    if (!read_number(db,
                     SQL("SELECT CASE WHEN EXISTS (SELECT FROM pg_catalog.pg_namespace WHERE nspname = 'pixl_pipeline')"
                         " THEN has_schema_privilege('pixl_pipeline', 'CREATE')"
                         " ELSE has_database_privilege(current_database(), 'CREATE') END"),
                     &may, err))
        return false;
    return may || pixl_fail(err, PIXL_E_DENIED, 0, "store: its user may not make the schema pixl_pipeline, or tables in it");
}

bool store_postgres_has_others(struct sql *db, bool *has, struct pixl_error *err)
{
    int64_t n;
    if (!read_number(
            db,
            SQL("SELECT count(*) FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace s ON s.oid = c.relnamespace"
                " WHERE s.nspname IN ('pixl_pipeline', 'pipeline') AND c.relname = 'image' AND c.relkind = 'r'"),
            &n, err))
        return false;
    *has = n > 0;
    return true;
}

bool store_postgres_version(struct sql *db, int64_t *version, int64_t *newest, int64_t *server_us,
                            struct pixl_error *err)
{
    if (!read_version(db, version, err) || !check_known(*version, err) ||
        !read_number(db, SQL("SELECT " NOW_US), server_us, err))
        return false;
    *newest = NEWEST;
    return *version > 0 || check_rights(db, err);
}
