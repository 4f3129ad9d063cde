#include "store_sql_bulk.h"

#include <assert.h>

enum {
    ROWS_AT_ONCE = 500, /* the server works on them while the next are read */
    BYTES_AT_ONCE = 1 << 20,
};

enum column {
    IMAGE_HASH,
    REQUEST_HASH,
    PROCEDURE,
    STUDY_DATE,
    PRIORITY,
    NOW_US,
    MRN,
    ACCESSION_NUMBER,
    STUDY_UID,
    SERIES_UIDS,
    PARTICIPANT,
    N_COLUMNS
};
static_assert((int)N_COLUMNS == (int)STORE_BULK_COLUMNS, "");

void store_bulk_init(struct store_bulk *b, struct store_sql *s)
{
    *b = (struct store_bulk){ .s = s };
    for (int c = 0; c < N_COLUMNS; c++)
        sql_array_init(&b->columns[c], c < MRN ? SQL_ELEMENT_I64 : SQL_ELEMENT_STR);
}

void store_bulk_done(struct store_bulk *b)
{
    for (int c = 0; c < N_COLUMNS; c++)
        sql_array_done(&b->columns[c]);
}

static void clear(struct store_bulk *b)
{
    b->n = 0;
    for (int c = 0; c < N_COLUMNS; c++)
        sql_array_clear(&b->columns[c]);
}

/* One statement, so that the columns go over the wire once. */
#define INSERT_ALL                                                                                                     \
    "WITH n AS MATERIALIZED (SELECT"                                                                                   \
    " nextval((SELECT pg_get_serial_sequence('image', 'image_id')::regclass)) AS image_id,"                            \
    " nextval((SELECT pg_get_serial_sequence('request', 'request_id')::regclass)) AS request_id, u.*"                  \
    " FROM unnest(?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13) AS u (image_hash, request_hash, procedure_id,"       \
    " day, priority, now_us, mrn, accession_number, study_uid, series_uids, participant_id)),"                         \
    " i AS (INSERT INTO image (extract_id, state, key_hash, priority, study_date, created_us, updated_us, mrn,"        \
    " accession_number, study_uid, series_uids, pseudo_patient_id, image_id) SELECT ?1, 'queued', image_hash,"         \
    " priority, " STORE_PG_TO_DAY(                                                                                     \
        "day") ", now_us, now_us, mrn, accession_number, nullif(study_uid, ''),"                                       \
               " series_uids, nullif(participant_id, ''), image_id FROM n),"                                           \
               " e AS (INSERT INTO image_event (image_id, event_no, at_us, to_state, fence, attempt)"                  \
               " SELECT image_id, 1, now_us, 'queued', 0, 0 FROM n),"                                                  \
               " r AS (INSERT INTO request (extract_time_id, key_hash, procedure_occurrence_id, study_date, priority," \
               " created_us, mrn, accession_number, study_uid, series_uids, participant_id, request_id)"               \
               " SELECT ?2, request_hash, procedure_id, day, priority, now_us, mrn, accession_number, study_uid, "     \
               "series_uids,"                                                                                          \
               " participant_id, request_id FROM n)"                                                                   \
               " INSERT INTO request_image (request_id, image_id) SELECT request_id, image_id FROM n"

bool store_bulk_send(struct store_bulk *b, struct pixl_error *err)
{
    sql_stmt_auto *q = NULL;
    if (b->n == 0)
        return true;
    if (!sql_prepare(b->s->db, SQL_EACH(NULL, INSERT_ALL), &q, err))
        return false;
    sql_bind_i64(q, 1, b->extract_id);
    sql_bind_i64(q, 2, b->extract_time_id);
    for (int c = 0; c < N_COLUMNS; c++)
        sql_bind_array(q, 3 + c, &b->columns[c]);
    if (!sql_run_later(q, err))
        return false;
    clear(b);
    return true;
}

static bool add_columns(struct sql_array *to, const struct store_bulk_row *row)
{
    const struct study_request *r = row->r;
    return sql_array_add_i64(&to[IMAGE_HASH], (int64_t)row->image_hash) &&
           sql_array_add_i64(&to[REQUEST_HASH], (int64_t)row->request_hash) &&
           sql_array_add_i64(&to[PROCEDURE], r->procedure_occurrence_id) &&
           sql_array_add_i64(&to[STUDY_DATE], r->study_date) && sql_array_add_i64(&to[PRIORITY], r->priority) &&
           sql_array_add_i64(&to[NOW_US], row->now_us) && sql_array_add_str(&to[MRN], phi_reveal(r->mrn)) &&
           sql_array_add_str(&to[ACCESSION_NUMBER], phi_reveal(r->accession_number)) &&
           sql_array_add_str(&to[STUDY_UID], phi_reveal(r->study_uid)) &&
           sql_array_add_str(&to[SERIES_UIDS], row->series) && sql_array_add_str(&to[PARTICIPANT], r->participant_id);
}

bool store_bulk_add(struct store_bulk *b, const struct store_bulk_row *row, struct pixl_error *err)
{
    size_t bytes = 0;
    if (b->n > 0 && (b->extract_id != row->extract_id || b->extract_time_id != row->extract_time_id) &&
        !store_bulk_send(b, err))
        return false;
    b->extract_id = row->extract_id;
    b->extract_time_id = row->extract_time_id;
    if (!add_columns(b->columns, row)) {
        clear(b);
        return pixl_fail(err, PIXL_E_NOMEM, 0, "store: populate");
    }
    b->n++;
    for (int c = 0; c < N_COLUMNS; c++)
        bytes += sql_array_bytes(&b->columns[c]).n;
    return (b->n < ROWS_AT_ONCE && bytes < BYTES_AT_ONCE) || store_bulk_send(b, err);
}
