/* bench_hints.c - a cohort into PostgreSQL with a hint of each row through RabbitMQ, beside the bare confirmed publish of the
 * same messages; and claims per second.
 *   with-postgres bench_hints hints PORT ROWS   prints "hints POPULATED_AND_HINTED_S POPULATED_S BARE_S"; the last is the
 *                                               mean of one before and one after
 *   [with-postgres] bench_hints claims ROWS     prints "claims STORE THREADS PER_S" for 1, 4 and 16 threads
 * The server of with-postgres is told to sync, as one in a hospital does. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/pg_db.h"
#include "pipeline/dispatch.h"

static _Noreturn void fail(const char *what)
{
    (void)fprintf(stderr, "bench_hints: %s\n", what);
    exit(1);
}

static void need(bool ok, const struct pixl_error *err)
{
    if (!ok)
        fail(err->msg);
}

static double seconds_since(int64_t start_us)
{
    return (double)(clock_mono_us() - start_us) / 1e6;
}

static const char *project = "test-extract-uclh-omop-cdm";

static struct study_request request_of(int64_t i, char mrn[32], char accession[32], char uid[65])
{
    (void)snprintf(mrn, 32, "%08lld", (long long)(i / 3));
    (void)snprintf(accession, 32, "RRV%09lld", (long long)i);
    (void)snprintf(uid, 65, "1.3.6.1.4.1.14519.5.2.1.99.1071.%032lld", (long long)i);
    return (struct study_request){ .project = str_of(project),
                                   .mrn = phi_text(str_of(mrn)),
                                   .accession_number = phi_text(str_of(accession)),
                                   .study_uid = phi_text(str_of(uid)),
                                   .study_date = 20200101 + (int32_t)(i % 28),
                                   .procedure_occurrence_id = i + 1,
                                   .extract_time = STR("2023-12-07T14:08:58"),
                                   .priority = 1 };
}

static void populate(struct store *s, int64_t rows)
{
    struct pixl_error err = { 0 };
    struct store_populate *p = NULL;
    need(store_populate_begin(s, false, &p, &err), &err);
    for (int64_t i = 0; i < rows; i++) {
        char mrn[32], accession[32], uid[65];
        struct study_request r = request_of(i, mrn, accession, uid);
        enum store_added what;
        need(store_populate_add(p, &r, clock_wall_us(), &what, NULL, &err), &err);
    }
    need(store_populate_end(p, &err), &err);
}

/* --- the bare publish -------------------------------------------------------------------------------------------- */

static int64_t confirmed_of(struct queue *q)
{
    struct queue_result r;
    int64_t n = 0;
    for (; queue_confirmed(q, &r); n++)
        if (r.fate != QUEUE_CONFIRMED)
            fail("not confirmed");
    return n;
}

static double bare(const char *url, int64_t rows)
{
    struct pixl_error err = { 0 };
    struct queue *q = NULL;
    const struct queue_wait w = queue_wait_ms(600000, NULL);
    uint64_t purged;
    buf_auto body;
    buf_init(&body, QUEUE_BODY_MAX);
    need(queue_open(str_of(url), NULL, &w, &q, &err) && queue_declare(q, "bare", &w, &err), &err);
    int64_t start = clock_mono_us(), n = 0;
    for (int64_t i = 0; i < rows; i++) {
        char mrn[32], accession[32], uid[65];
        struct study_request r = request_of(i, mrn, accession, uid);
        buf_clear(&body);
        need(message_encode(&r, MESSAGE_JSON, &body, &err), &err);
        const struct queue_message m = { "bare", phi_text(buf_str(&body)), 1, (uint64_t)i };
        need(queue_publish(q, &m, &w, &err), &err);
        n += confirmed_of(q);
    }
    need(queue_flush(q, &w, &err), &err);
    if (n + confirmed_of(q) != rows)
        fail("a confirm is missing");
    double t = seconds_since(start);
    need(queue_purge(q, "bare", &w, &purged, &err), &err);
    queue_close(q);
    return t;
}

/* --- PostgreSQL --------------------------------------------------------------------------------------------------- */

static const char *postgres_url(void)
{
    static char url[600];
    static const char *const texts[] = { "DROP SCHEMA IF EXISTS pixl_pipeline CASCADE", "ALTER SYSTEM SET fsync = on",
                                         "ALTER SYSTEM SET full_page_writes = on",
                                         "ALTER SYSTEM SET max_wal_size = '4GB'", "SELECT pg_reload_conf()" };
    const char *dir = getenv("TEST_POSTGRES");
    struct pixl_error err = { 0 };
    if (dir == NULL)
        return NULL;
    (void)snprintf(url, sizeof url, "postgresql:///postgres?host=%s/sock&user=pixl", dir);
    const struct pg_options o = { .url = url, .connect_ms = 10000, .statement_ms = 60000, .lock_ms = 10000 };
    pg_db_auto *db = NULL;
    need(pg_db_open(&o, &db, &err), &err);
    for (size_t i = 0; i < ARRAY_LEN(texts); i++)
        need(sql_exec(pg_db_sql(db), SQL(texts[i]), &err), &err);
    return url;
}

static void hints(const char *port, int64_t rows)
{
    struct pixl_error err = { 0 };
    struct store *s = NULL;
    struct dispatch *d = NULL;
    char url[128];
    (void)snprintf(url, sizeof url, "amqp://guest:guest@127.0.0.1:%s/%%2f", port);
    const struct hint_route route = {
        .url = url, .queues = { "hints", "hints-2" }, .sweep_us = 3600 * INT64_C(1000000), .silence_us = 10 * 1000000
    };
    double bare_s = bare(url, rows);
    const char *postgres = postgres_url();
    if (postgres == NULL)
        fail("hints: wants with-postgres");
    need(store_open(postgres, &s, &err), &err);
    project = "first";
    populate(s, 1); /* the tables are there, the connections made */
    project = "test-extract-uclh-omop-cdm";
    need(dispatch_new(s, &route, &d, &err) && dispatch_start(d, &err), &err);
    dispatch_drain(d);
    int64_t start = clock_mono_us();
    populate(s, rows);
    double populated_s = seconds_since(start);
    dispatch_drain(d);
    double hinted_s = seconds_since(start);
    if (dispatch_state(d).hinted < rows)
        fail("a row was not hinted");
    dispatch_free(d);
    store_close(s);
    bare_s = (bare_s + bare(url, rows)) / 2;
    printf("hints %.2f %.2f %.2f\n", hinted_s, populated_s, bare_s);
}

/* --- claims ------------------------------------------------------------------------------------------------------- */

struct claimer {
    struct store *s;
    char name[24];
    int64_t n;
};

static void *claim_rows(void *arg)
{
    struct claimer *c = arg;
    struct arena a;
    arena_init(&a, 1 << 20);
    for (int64_t i = 0; i < c->n; i++) {
        struct pixl_error err = { 0 };
        struct store_image image;
        bool got = false;
        const struct store_claim claim = { .work = STORE_WORK_RETRIEVE,
                                           .owner = c->name,
                                           .now_us = clock_wall_us(),
                                           .lease_us = 3600 * INT64_C(1000000) };
        need(store_claim_next(c->s, &claim, &a, &got, &image, &err), &err);
        if (!got)
            fail("nothing is left to claim");
        arena_reset(&a);
    }
    arena_done(&a);
    return NULL;
}

static void claims(int64_t rows)
{
    static const int threads[] = { 1, 4, 16 };
    char dir[] = "/tmp/pixl-bench-XXXXXX", lite[128];
    struct pixl_error err = { 0 };
    struct store *s = NULL;
    const char *url = postgres_url(), *name = url != NULL ? "postgresql" : "sqlite";
    if (url == NULL) {
        if (mkdtemp(dir) == NULL)
            fail("folder");
        (void)snprintf(lite, sizeof lite, "sqlite:%s/pixl.db", dir);
        url = lite;
    }
    need(store_open(url, &s, &err), &err);
    populate(s, rows);
    for (size_t t = 0; t < ARRAY_LEN(threads); t++) {
        struct claimer c[16];
        pthread_t id[16];
        const int64_t each = rows / 4 / threads[t];
        int64_t start = clock_mono_us();
        for (int i = 0; i < threads[t]; i++) {
            c[i] = (struct claimer){ .s = s, .n = each };
            (void)snprintf(c[i].name, sizeof c[i].name, "claimer-%d", i);
            if (pthread_create(&id[i], NULL, claim_rows, &c[i]) != 0)
                fail("thread");
        }
        for (int i = 0; i < threads[t]; i++)
            (void)pthread_join(id[i], NULL);
        printf("claims %s %d %.0f\n", name, threads[t], (double)(each * threads[t]) / seconds_since(start));
    }
    store_close(s);
}

int main(int argc, char **argv)
{
    int64_t rows = 0;
    log_setup(LOG_WARN, 2);
    if (argc == 4 && strcmp(argv[1], "hints") == 0 && str_to_i64(str_of(argv[3]), &rows) && rows > 0)
        hints(argv[2], rows);
    else if (argc == 3 && strcmp(argv[1], "claims") == 0 && str_to_i64(str_of(argv[2]), &rows) && rows >= 64)
        claims(rows);
    else
        fail("usage: hints PORT ROWS | claims ROWS");
    return 0;
}
