/* postgres_helper.h - for tests of the PostgreSQL store: what another program does in its database. */
#ifndef PIXL_TESTS_POSTGRES_HELPER_H
#define PIXL_TESTS_POSTGRES_HELPER_H

#include <pthread.h>

#include "store_helper.h"

static inline struct pg_db *open_raw(void)
{
    struct pixl_error err = { 0 };
    struct pg_db *db = NULL;
    struct pg_options o = { .url = store_url(true),
                            .setup = "SET search_path = pixl_pipeline",
                            .connect_ms = 10000,
                            .statement_ms = 60000,
                            .lock_ms = 10000 };
    REQUIRE_OK(pg_db_open(&o, &db, &err), err);
    return db;
}

static inline void raw(const char *sql)
{
    struct pixl_error err = { 0 };
    pg_db_auto *db = open_raw();
    REQUIRE_OK(sql_exec(pg_db_sql(db), SQL(sql), &err), err);
}

/* The first column of all rows, joined by newlines. */
static inline struct str raw_text(const char *sql)
{
    static struct buf b;
    struct pixl_error err = { 0 };
    pg_db_auto *db = open_raw();
    struct sql_stmt *q = NULL;
    buf_done(&b);
    buf_init(&b, 1 << 20);
    REQUIRE_OK(sql_prepare(pg_db_sql(db), SQL(sql), &q, &err), err);
    for (bool row = true; row;) {
        REQUIRE_OK(sql_step(q, &row, &err), err);
        if (row)
            (void)(buf_add_str(&b, sql_col_str(q, 0)) && buf_add_char(&b, '\n'));
    }
    return buf_str(&b);
}

/* For each queued row that is no suspect there is one of the same facts, and no other. */
static inline void check_hints(void)
{
    CHECK_STR(raw_text("SELECT image_id FROM (SELECT image_id, archive, priority, study_date, fence, not_before_us"
                       " FROM image WHERE state = 'queued' AND crashes = 0) i FULL JOIN hint h USING (image_id)"
                       " WHERE (i.archive, i.priority, i.study_date, i.fence, i.not_before_us) IS DISTINCT FROM"
                       " (h.archive, h.priority, h.study_date, h.fence, h.not_before_us)"),
              "");
}

static inline void check_whole(void)
{
    check_hints();
    static const char *const none[] = {
        "SELECT image_id FROM image i WHERE NOT EXISTS (SELECT FROM request_image l WHERE l.image_id = i.image_id)",
        "SELECT request_id FROM request r WHERE NOT EXISTS (SELECT FROM request_image l WHERE l.request_id = "
        "r.request_id)",
        "SELECT image_id FROM image i WHERE (SELECT to_state FROM image_event e WHERE e.image_id = i.image_id"
        " ORDER BY event_no DESC LIMIT 1) IS DISTINCT FROM i.state",
    };
    for (size_t i = 0; i < ARRAY_LEN(none); i++) {
        test_row("%s", none[i]);
        CHECK_STR(raw_text(none[i]), "");
    }
    test_row("the end");
}

/* Somebody has changed every row of "TABLE SET ...", and commits it a second later. */
static inline void *change_slowly(void *set)
{
    char sql[256];
    (void)snprintf(sql, sizeof sql, "DO $$ BEGIN UPDATE %s; PERFORM pg_sleep(1); END $$", (const char *)set);
    raw(sql);
    return NULL;
}

static inline pthread_t changes_slowly(char *set)
{
    pthread_t t;
    REQUIRE(pthread_create(&t, NULL, change_slowly, set) == 0);
    while (raw_text("SELECT pid FROM pg_stat_activity WHERE wait_event = 'PgSleep'").n == 0)
        (void)usleep(10000);
    return t;
}

/* "TABLE SET ..." of who claims every row. */
#define NEXT_OWNER \
    "image SET owner = 'next', state = 'retrieving', fence = fence + 1, lease_until_us = 9000000000000000"

#endif
