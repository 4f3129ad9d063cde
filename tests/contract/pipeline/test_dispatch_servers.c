/* The dispatcher and who follows its hints beside a real RabbitMQ and a real PostgreSQL, while one after the other breaks.
 * What every test ends with: each row was hinted at least once, none is without a hint, none was forgotten. */
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <sys/wait.h>

#include "../../unit/store/store_helper.h"
#include "hint_rig.h"
#include "pipeline/work.h"
#include "rabbit.h"
#include "tcp_proxy.h"

enum { ROWS = 3000 };

static struct tcp_proxy *cable;
static struct hint_route route;
static const atomic_bool never = false;

static void postgres_do(const char *what)
{
    char path[] = PIXL_SOURCE_DIR "/tests/support/with-postgres", word[16];
    (void)snprintf(word, sizeof word, "%s", what);
    char *argv[] = { path, word, NULL };
    pid_t pid;
    int status = -1;
    REQUIRE(posix_spawn(&pid, path, NULL, NULL, argv, environ) == 0);
    REQUIRE(waitpid(pid, &status, 0) == pid && status == 0);
}

/* A queue and a cable of this test's own. */
static void set_route(const char *parameters)
{
    static char name[64], other[64];
    cable = tcp_proxy_start("127.0.0.1", rabbit.port);
    (void)snprintf(name, sizeof name, "hints-%ld", (long)getpid());
    (void)snprintf(other, sizeof other, "hints-2-%ld", (long)getpid());
    static char url[256];
    (void)snprintf(url, sizeof url, "%s", rabbit_url("127.0.0.1", tcp_proxy_port(cable), parameters));
    route = (struct hint_route){ .url = url, .queues = { name, other }, .sweep_us = 2000000 };
}

static void ask_for(struct store *s, int from, int n)
{
    struct pixl_error err = { 0 };
    struct store_populate *p = NULL;
    REQUIRE_OK(store_populate_begin(s, false, &p, &err), err);
    for (int i = from; i < from + n; i++) {
        char accession[16];
        (void)snprintf(accession, sizeof accession, "A%d", i);
        struct ask a = { .mrn = "1", .accession = accession, .procedure = i, .priority = 1 + i % 5 };
        struct study_request r = request_of(&a);
        enum store_added what;
        REQUIRE_OK(store_populate_add(p, &r, T0, &what, NULL, &err), err);
    }
    REQUIRE_OK(store_populate_end(p, &err), err);
}

static int64_t without_hint(struct store *s)
{
    struct pixl_error err = { 0 };
    int64_t n = 0;
    REQUIRE_OK(store_each_unhinted(s, clock_wall_us(), NULL, 0, 100000, count_one, &n, &err), err);
    return n;
}

static struct queue *open_queue(void)
{
    struct pixl_error err = { 0 };
    struct queue *q = NULL;
    const struct queue_wait w = queue_wait_ms(30000, NULL);
    REQUIRE_OK(queue_open(str_of(rabbit_url("127.0.0.1", rabbit.port, "")), NULL, &w, &q, &err), err);
    return q;
}

/* Takes all messages away: how many different studies of 0..n-1 they name. */
static int take_all(int n)
{
    struct pixl_error err = { 0 };
    struct queue *q = open_queue();
    const struct queue_wait w = queue_wait_ms(30000, NULL);
    bool *seen = calloc((size_t)n, sizeof *seen), got = true;
    struct arena a;
    int different = 0;
    REQUIRE(seen != NULL);
    arena_init(&a, 1 << 20);
    REQUIRE_OK(queue_consume_start(q, route.queues[0], 500, &w, &err), err);
    while (got) {
        struct queue_delivery d;
        struct study_request r;
        const struct queue_wait soon = queue_wait_ms(1500, NULL);
        REQUIRE_OK(queue_take(q, &soon, &got, &d, &err), err);
        if (!got)
            break;
        REQUIRE_OK(message_decode(d.body, &MESSAGE_LIMITS_DEFAULT, &a, &r, &err), err);
        REQUIRE(r.procedure_occurrence_id >= 0 && r.procedure_occurrence_id < n);
        different += !seen[r.procedure_occurrence_id];
        seen[r.procedure_occurrence_id] = true;
        REQUIRE_OK(queue_settle(q, d.tag, QUEUE_ACK, NULL, &w, &err), err);
        arena_reset(&a);
    }
    arena_done(&a);
    free(seen);
    queue_close(q);
    return different;
}

/* --- a dispatcher on a thread, or in a process of its own ------------------------------------------------------- */

struct runner {
    struct store *store;
    struct dispatch *d;
    atomic_bool stop;
    pthread_t thread;
};

static void *run(void *arg)
{
    struct runner *r = arg;
    dispatch_run(r->d, &r->stop);
    return NULL;
}

static void run_begin(struct runner *r, struct store *s)
{
    struct pixl_error err = { 0 };
    log_setup(LOG_OFF, 2);
    memset(r, 0, sizeof *r);
    r->store = s;
    REQUIRE_OK(dispatch_new(s, &route, &r->d, &err), err);
    REQUIRE(pthread_create(&r->thread, NULL, run, r) == 0);
}

static void run_end(struct runner *r)
{
    atomic_store(&r->stop, true);
    CHECK(pthread_join(r->thread, NULL) == 0);
    dispatch_free(r->d);
}

/* Ends with the test's own timeout, not by itself. */
static void wait_all_hinted(struct store *s)
{
    while (without_hint(s) > 0)
        usleep(50000);
}

static pid_t run_in_process(void)
{
    pid_t child = fork();
    REQUIRE(child >= 0);
    if (child > 0)
        return child;
    struct pixl_error err = { 0 };
    struct store *s = NULL;
    struct dispatch *d = NULL;
    log_setup(LOG_OFF, 2);
    if (!store_open(store_url(true), &s, &err) || !dispatch_new(s, &route, &d, &err))
        _exit(1);
    dispatch_run(d, &never);
    _exit(0);
}

static void kill_process(pid_t p)
{
    CHECK(kill(p, SIGKILL) == 0 && waitpid(p, NULL, 0) == p);
}

/* --- tests ------------------------------------------------------------------------------------------------------ */

static void test_servers__every_row_is_hinted(void)
{
    set_route("");
    struct store *s = open_store();
    struct runner r;
    ask_for(s, 0, ROWS);
    run_begin(&r, s);
    wait_all_hinted(s);
    run_end(&r);
    CHECK_INT(take_all(ROWS), ROWS);
    store_close(s);
}

static void test_servers__killed_between_publish_and_confirm(void)
{
    set_route("");
    struct store *s = open_store();
    ask_for(s, 0, ROWS);
    for (int i = 0; i < 12; i++) {
        pid_t p = run_in_process();
        usleep(20000 + (unsigned)i * 15000);
        kill_process(p);
    }
    struct runner r;
    run_begin(&r, s);
    wait_all_hinted(s);
    run_end(&r);
    CHECK_INT(take_all(ROWS), ROWS);
    store_close(s);
}

static void test_servers__the_broker_dies_while_rows_come_in(void)
{
    set_route("");
    struct store *s = open_store();
    struct runner r;
    run_begin(&r, s);
    ask_for(s, 0, ROWS / 3);
    rabbit_do("kill");
    ask_for(s, ROWS / 3, ROWS / 3);
    rabbit_do("start");
    ask_for(s, ROWS / 3 * 2, ROWS / 3);
    wait_all_hinted(s);
    usleep(4500000); /* two sweeps: what the broker lost with a queue that was new is given again */
    wait_all_hinted(s);
    run_end(&r);
    CHECK_INT(take_all(ROWS), ROWS);
    store_close(s);
}

/* RabbitMQ loses a queue that it was just asked to make, with what it confirmed. */
static void test_servers__the_broker_dies_right_after_the_first_hints(void)
{
    for (int i = 0; i < 3; i++) {
        set_route("");
        struct store *s = open_store();
        struct runner r;
        ask_for(s, 0, 20);
        run_begin(&r, s);
        while (without_hint(s) > 0)
            usleep(500);
        rabbit_do("kill");
        rabbit_do("start");
        while (!dispatch_state(r.d).is_connected)
            usleep(50000);
        usleep(4500000);
        wait_all_hinted(s);
        run_end(&r);
        CHECK_INT(take_all(20), 20);
        store_close(s);
    }
}

static void test_servers__the_cable_is_cut_and_stalled(void)
{
    set_route("?heartbeat=2");
    struct store *s = open_store();
    struct runner r;
    run_begin(&r, s);
    for (int i = 0; i < 6; i++) {
        ask_for(s, i * (ROWS / 6), ROWS / 6);
        usleep(30000);
        if (i % 2 == 0) {
            tcp_proxy_cut(cable);
        } else {
            tcp_proxy_stall(cable, 1);
            usleep(5000000);
            tcp_proxy_stall(cable, 0);
        }
    }
    wait_all_hinted(s);
    run_end(&r);
    CHECK_INT(take_all(ROWS), ROWS);
    store_close(s);
}

static void test_servers__a_disk_alarm_is_waited_for(void)
{
    set_route("");
    struct store *s = open_store();
    struct runner r;
    run_begin(&r, s);
    ask_for(s, 0, 10);
    wait_all_hinted(s);
    rabbit_do("ctl set_disk_free_limit 100000GB");
    ask_for(s, 10, 200);
    usleep(3000000);
    CHECK(without_hint(s) > 0);
    CHECK(dispatch_state(r.d).leads);
    rabbit_do("ctl set_disk_free_limit 50MB");
    wait_all_hinted(s);
    run_end(&r);
    CHECK_INT(take_all(210), 210);
    store_close(s);
}

static void test_servers__the_database_dies(void)
{
    set_route("");
    struct store *s = open_store();
    struct runner r;
    ask_for(s, 0, ROWS);
    run_begin(&r, s);
    usleep(30000);
    postgres_do("--kill");
    usleep(1500000);
    CHECK(!dispatch_state(r.d).leads);
    postgres_do("--start");
    while (!dispatch_state(r.d).leads)
        usleep(50000);
    wait_all_hinted(s);
    run_end(&r);
    CHECK_INT(take_all(ROWS), ROWS);
    store_close(s);
}

static void test_servers__another_takes_over_when_the_leader_is_killed(void)
{
    set_route("");
    struct store *s = open_store();
    pid_t first = run_in_process();
    ask_for(s, 0, 10);
    wait_all_hinted(s); /* the first leads */
    struct runner second;
    run_begin(&second, s);
    usleep(1500000);
    CHECK(!dispatch_state(second.d).leads);
    ask_for(s, 10, 500);
    kill_process(first);
    ask_for(s, 510, 500);
    wait_all_hinted(s);
    CHECK(dispatch_state(second.d).leads);
    run_end(&second);
    CHECK_INT(take_all(1010), 1010);
    store_close(s);
}

/* --- what the Python system publishes --------------------------------------------------------------------------- */

static void python_messages(const char *kind)
{
    struct site_rig site;
    struct hint_rig r = { .claims = 0 };
    struct pixl_error err = { 0 };
    enum hints_took what = HINTS_NOTHING;
    char setting[1300];
    set_route("");
    store_close(open_store());
    (void)snprintf(setting, sizeof setting, "PIXL_STORE_URL=%s", store_url(true));
    rig_folders("");
    rig_open(&site, setting);
    r.site = site;
    REQUIRE_OK(hints_new(site.site, &route, &r.hints, &err), err);
    char dead_name[80];
    (void)snprintf(dead_name, sizeof dead_name, "%s.dead", route.queues[0]);
    (void)rabbit_peer("declare", route.queues[0], kind, NULL);
    (void)rabbit_peer("publish", route.queues[0], strcmp(kind, "quorum") == 0 ? "0" : "4", PY_MESSAGE("rig"), NULL);
    (void)rabbit_peer("publish", route.queues[0], "0", "nonsense", NULL);
    int claimed = 0, buried = 0;
    for (int i = 0; i < 200 && claimed + buried < 2; i++) {
        REQUIRE_OK(hints_take(r.hints, 1, claim_row, &r, 300, &never, &what, &err), err);
        claimed += what == HINTS_CLAIMED;
        buried += what == HINTS_BURIED;
    }
    CHECK_INT(claimed, 1);
    CHECK_INT(buried, 1);
    CHECK_STR(phi_reveal(rig_image(&r.site, 1).mrn), "987654321");
    CHECK_INT(rig_image(&r.site, 1).state, STUDY_RETRIEVING);
    const char *dead = rabbit_peer("get", dead_name, NULL);
    CHECK(strstr(dead, "x-pixl-reason=not-json") != NULL);
    hints_free(r.hints);
    rig_close(&r.site);
}

static void test_servers__messages_of_python_from_a_classic_queue(void)
{
    python_messages("classic");
}

static void test_servers__messages_of_python_from_a_quorum_queue(void)
{
    python_messages("quorum");
}

/* --- whole work, by three processes ------------------------------------------------------------------------------ */

enum { STUDIES = 60, WORKERS = 3 };

static void open_worker(struct site_rig *r, unsigned how)
{
    char setting[1300];
    (void)snprintf(setting, sizeof setting, "PIXL_STORE_URL=%s", store_url(true));
    rig_open_as(r, setting, how);
    r->settings.lease_s = 10;
    r->settings.queue_url = route.url;
    r->settings.queue_name = route.queues[0];
    r->settings.queue_secondary = route.queues[1];
    r->settings.sweep_s = 2;
}

static pid_t work_in_process(void)
{
    pid_t child = fork();
    REQUIRE(child >= 0);
    if (child > 0)
        return child;
    struct site_rig r;
    struct pixl_error err = { 0 };
    enum work_end end;
    const struct work_options o = { .stays = true, .patience_us = 600000000 };
    open_worker(&r, SITE_SERVES);
    bool ok = work_run(r.site, &o, &end, &err);
    if (!ok)
        (void)fprintf(stderr, "    worker: %s\n", err.msg);
    rig_close(&r);
    _exit(ok ? 0 : 1);
}

static void make_cohort(void)
{
    struct site_rig r;
    buf_auto rows;
    buf_init(&rows, 65536);
    rig_folders("");
    for (int i = 0; i < STUDIES; i++) {
        char name[16], study[32], series[32], sop[32], accession[16];
        (void)snprintf(name, sizeof name, "f%d", i);
        (void)snprintf(study, sizeof study, "1.2.3.%d", i + 1);
        (void)snprintf(series, sizeof series, "1.2.3.%d.1", i + 1);
        (void)snprintf(sop, sizeof sop, "1.2.3.%d.1.1", i + 1);
        (void)snprintf(accession, sizeof accession, "ACC%d", i);
        rig_save(&(struct rig_file){
            .name = name, .study = study, .series = series, .sop = sop, .accession = accession, .pixels = 200000 });
        (void)buf_addf(&rows, "%d,MRN5501,%s,rig,2024-01-01T00:00:00Z,2024-01-01,,,\n", i, accession);
    }
    open_worker(&r, SITE_WORKS);
    rig_populate(&r, buf_cstr(&rows));
    rig_close(&r);
}

static int64_t delivered(struct store *s)
{
    struct store_counts n = count_of(s);
    return n.by_state[STUDY_EXPORTED];
}

static void test_servers__one_worker_of_three_is_killed(void)
{
    set_route("");
    struct store *s = open_store();
    make_cohort();
    pid_t workers[WORKERS];
    for (int i = 0; i < WORKERS; i++) {
        workers[i] = work_in_process();
        usleep(300000);
    }
    while (delivered(s) == 0)
        usleep(2000);
    kill_process(workers[0]); /* it leads, and has studies in hand */
    while (delivered(s) < STUDIES)
        usleep(100000);
    for (int i = 1; i < WORKERS; i++) {
        int status = -1;
        CHECK(kill(workers[i], SIGTERM) == 0 && waitpid(workers[i], &status, 0) == workers[i]);
        CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    }
    CHECK_INT(images_in(s), STUDIES);
    CHECK_INT(delivered(s), STUDIES);
    size_t hidden, n = rig_count("haven", &hidden);
    if (n == 1) { /* a folder of the project */
        DIR *d = opendir(test_path("haven"));
        for (const struct dirent *e; d != NULL && (e = readdir(d)) != NULL;)
            if (e->d_name[0] != '.') {
                char below[300];
                (void)snprintf(below, sizeof below, "haven/%s", e->d_name);
                n = rig_count(below, &hidden);
            }
        (void)closedir(d);
    }
    CHECK_INT(n, STUDIES);
    CHECK_INT(hidden, 0);
    CHECK_INT(without_hint(s), 0);
    store_close(s);
}

/* What is in hand waits for the database longer than its lease: no row stays claimed by a service that does not work on it. */
static void test_servers__the_database_is_away_for_longer_than_a_lease(void)
{
    set_route("");
    struct store *s = open_store();
    struct pixl_error err = { 0 };
    int status = -1;
    make_cohort();
    pid_t worker = work_in_process();
    while (delivered(s) == 0)
        usleep(2000);
    store_close(s);
    postgres_do("--kill");
    usleep(11000000);
    postgres_do("--start");
    REQUIRE_OK(store_open(store_url(true), &s, &err), err);
    for (int i = 0; i < 600 && delivered(s) < STUDIES; i++)
        usleep(100000);
    CHECK_INT(delivered(s), STUDIES);
    CHECK(kill(worker, SIGTERM) == 0 && waitpid(worker, &status, 0) == worker);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    store_close(s);
}

int main(int argc, char **argv)
{
    static const struct test_case tests[] = {
        TEST(test_servers__every_row_is_hinted),
        TEST(test_servers__killed_between_publish_and_confirm),
        TEST(test_servers__the_broker_dies_while_rows_come_in),
        TEST(test_servers__the_broker_dies_right_after_the_first_hints),
        TEST(test_servers__the_cable_is_cut_and_stalled),
        TEST(test_servers__a_disk_alarm_is_waited_for),
        TEST(test_servers__the_database_dies),
        TEST(test_servers__another_takes_over_when_the_leader_is_killed),
        TEST(test_servers__messages_of_python_from_a_classic_queue),
        TEST(test_servers__messages_of_python_from_a_quorum_queue),
        TEST(test_servers__one_worker_of_three_is_killed),
        TEST(test_servers__the_database_is_away_for_longer_than_a_lease),
    };
    test_timeout_s = 300; /* none waits for so long but one that failed */
    rabbit_start();
    int rc = test_main(argc, argv, tests, ARRAY_LEN(tests));
    rabbit_stop();
    return rc;
}
