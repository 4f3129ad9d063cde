#include "pipeline/metrics.h"

#include <pthread.h>
#include <sys/wait.h>

#include "pipeline/tokens.h"
#include "site_rig.h"

static struct store *open_store(void)
{
    struct store *s = NULL;
    struct pixl_error err = { 0 };
    char url[1100];
    (void)snprintf(url, sizeof url, "sqlite:%s", test_path("t.db"));
    REQUIRE_OK(store_open(url, &s, &err), err);
    return s;
}

/* A line of the text, whole. */
static bool has(const struct buf *text, const char *line)
{
    struct str rest = buf_str(text), head;
    for (bool more = true; more;) {
        more = str_split(rest, '\n', &head, &rest);
        if (str_eq(head, str_of(line)))
            return true;
    }
    fprintf(stderr, "    no line '%s'\n", line);
    return false;
}

static void render(struct metrics *m, struct store *s, struct buf *out)
{
    struct pixl_error err = { 0 };
    buf_clear(out);
    REQUIRE_OK(metrics_render(m, s, out, &err), err);
}

static void test_metrics__counts_what_it_is_told(void)
{
    struct pixl_error err = { 0 };
    store_auto *s = open_store();
    struct metrics *m;
    buf_auto out;
    buf_init(&out, 1 << 20);
    REQUIRE_OK(metrics_new(&m, &err), err);
    metrics_add_time(m, METRICS_FIND, 1000);         /* a bound belongs to its bucket */
    metrics_add_time(m, METRICS_FIND, 1001);
    metrics_add_time(m, METRICS_FIND, 7200000000);
    metrics_add_bytes(m, METRICS_BYTES_DELIVERED, 12);
    metrics_add_bytes(m, METRICS_BYTES_DELIVERED, -5);
    metrics_add_in_flight(m, METRICS_RETRIEVING, 2);
    metrics_add_in_flight(m, METRICS_RETRIEVING, -1);
    metrics_add_move(m, STR("b"), STUDY_EXPORTED);
    metrics_add_move(m, STR("a"), STUDY_FAILED);
    metrics_add_move(m, STR("b"), STUDY_EXPORTED);
    metrics_add_instances(m, STR("b"), 40, 2);
    metrics_set_breaker(m, "archive", true);
    metrics_set_breaker(m, "spool", true);
    metrics_set_breaker(m, "archive", false);
    metrics_set_queue(m, 0, "imaging-primary", 7);
    metrics_set_queue(m, 1, "imaging-secondary", -1);
    REQUIRE_OK(tokens_set_rate(s, "vna", 2.5, 0, &err), err);
    static const char *const lines[] = {
        "pixl_step_seconds_bucket{step=\"find\",le=\"0.001\"} 1",
        "pixl_step_seconds_bucket{step=\"find\",le=\"0.005\"} 2",
        "pixl_step_seconds_bucket{step=\"find\",le=\"1800\"} 2",
        "pixl_step_seconds_bucket{step=\"find\",le=\"+Inf\"} 3",
        "pixl_step_seconds_sum{step=\"find\"} 7200.002001",
        "pixl_step_seconds_count{step=\"find\"} 3",
        "pixl_step_seconds_count{step=\"deliver\"} 0",
        "pixl_bytes_total{what=\"delivered\"} 12",
        "pixl_queue_messages{queue=\"imaging-primary\"} 7",
        "pixl_studies_in_flight{work=\"retrieve\"} 1",
        "pixl_study_moves_total{project=\"b\",state=\"exported\"} 2",
        "pixl_study_moves_total{project=\"a\",state=\"failed\"} 1",
        "pixl_instances_total{project=\"b\",result=\"delivered\"} 40",
        "pixl_instances_total{project=\"b\",result=\"skipped\"} 2",
        "pixl_breaker_open{what=\"archive\"} 0",
        "pixl_breaker_open{what=\"spool\"} 1",
        "pixl_rate_per_second{archive=\"vna\"} 2.5",
        "pixl_tokens{archive=\"vna\"} 5.000",
    };
    render(m, s, &out);
    for (size_t i = 0; i < ARRAY_LEN(lines); i++)
        CHECK(has(&out, lines[i]));
    metrics_free(m);
}

static void test_metrics__a_label_keeps_its_place(void)
{
    struct pixl_error err = { 0 };
    store_auto *s = open_store();
    struct metrics *m;
    buf_auto out;
    buf_init(&out, 1 << 20);
    REQUIRE_OK(metrics_new(&m, &err), err);
    metrics_add_move(m, STR("a\"b\\c\nd"), STUDY_KEPT);
    render(m, s, &out);
    CHECK(has(&out, "pixl_study_moves_total{project=\"a\\\"b\\\\c\\nd\",state=\"kept\"} 1"));
    metrics_free(m);
}

/* As Prometheus' own client for Python reads it: name{labels} value, a line each. */
static void test_metrics__another_parser_reads_it(void)
{
    static const char program[] =
        "import sys\n"
        "from prometheus_client.parser import text_string_to_metric_families\n"
        "from prometheus_client.openmetrics import parser\n"
        "seen = {}\n"
        "for f in text_string_to_metric_families(open(sys.argv[1], encoding='utf-8').read()):\n"
        "    assert f.documentation and f.type != 'unknown' and f.name not in seen, f\n"
        "    seen[f.name] = f\n"
        "    last = {}\n"
        "    for s in f.samples:\n"
        "        key = (s.name, tuple(sorted(s.labels.items())))\n"
        "        assert key not in last, key\n"
        "        last[key] = s.value\n"
        "moves = {tuple(sorted(s.labels.items())): s.value for s in seen['pixl_study_moves'].samples}\n"
        "assert moves == {(('project', 'q\"\\\\\\n'), ('state', 'kept')): 1.0, (('project', 'rig'), ('state', 'exported')): 3.0}, moves\n"
        "h = seen['pixl_step_seconds']\n"
        "assert h.type == 'histogram'\n"
        "for step in 'find', 'retrieve', 'deidentify', 'zip', 'deliver':\n"
        "    b = [(float(s.labels['le']), s.value) for s in h.samples if s.name.endswith('_bucket') and s.labels['step'] == step]\n"
        "    n = [s.value for s in h.samples if s.name.endswith('_count') and s.labels['step'] == step]\n"
        "    assert b == sorted(b) and [v for _, v in b] == sorted(v for _, v in b) and b[-1] == (float('inf'), n[0]), b\n"
        "assert [s.value for s in seen['pixl_tokens'].samples] == [5.0]\n"
        "assert seen['pixl_breaker_open'].type == 'gauge' and seen['pixl_bytes'].type == 'counter'\n"
        "assert 1.7e9 < seen['process_start_time_seconds'].samples[0].value < 1e10\n";
    struct pixl_error err = { 0 };
    store_auto *s = open_store();
    struct metrics *m;
    buf_auto out;
    buf_init(&out, 1 << 20);
    REQUIRE_OK(metrics_new(&m, &err), err);
    REQUIRE_OK(tokens_set_rate(s, "directory", 7, 0, &err), err);
    metrics_add_move(m, STR("q\"\\\n"), STUDY_KEPT);
    for (int i = 0; i < 3; i++)
        metrics_add_move(m, STR("rig"), STUDY_EXPORTED);
    for (int64_t us = 100; us < 5000000000; us *= 3)
        metrics_add_time(m, METRICS_ZIP, us);
    metrics_set_breaker(m, "archive", true);
    render(m, s, &out);
    REQUIRE_OK(fs_write_whole(test_path("metrics.txt"), buf_str(&out), 0600, &err), err);
    REQUIRE_OK(fs_write_whole(test_path("read.py"), str_of(program), 0600, &err), err);
    pid_t child = fork();
    if (child == 0) {
        (void)execl("/usr/bin/python3", "python3", test_path("read.py"), test_path("metrics.txt"), (char *)NULL);
        _exit(127);
    }
    int status = -1;
    REQUIRE(child > 0 && waitpid(child, &status, 0) == child);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    metrics_free(m);
}

enum { THREADS = 4, ROUNDS = 2000 };
static void *hammer(void *arg)
{
    struct metrics *m = arg;
    char slug[16];
    for (int i = 0; i < ROUNDS; i++) {
        (void)snprintf(slug, sizeof slug, "p%d", i % 7);
        metrics_add_move(m, str_of(slug), STUDY_EXPORTED);
        metrics_add_time(m, METRICS_DELIVER, i);
        metrics_add_in_flight(m, METRICS_DELIVERING, i % 2 ? -1 : 1);
        metrics_set_breaker(m, slug, i % 3 == 0);
    }
    return NULL;
}

static void test_metrics__loses_nothing_between_threads(void)
{
    struct pixl_error err = { 0 };
    store_auto *s = open_store();
    struct metrics *m;
    pthread_t t[THREADS];
    char line[100];
    buf_auto out;
    buf_init(&out, 1 << 20);
    REQUIRE_OK(metrics_new(&m, &err), err);
    for (size_t i = 0; i < THREADS; i++)
        REQUIRE(pthread_create(&t[i], NULL, hammer, m) == 0);
    for (int i = 0; i < 20; i++)
        render(m, s, &out);
    for (size_t i = 0; i < THREADS; i++)
        (void)pthread_join(t[i], NULL);
    render(m, s, &out);
    (void)snprintf(line, sizeof line, "pixl_step_seconds_count{step=\"deliver\"} %d", THREADS * ROUNDS);
    CHECK(has(&out, line));
    CHECK(has(&out, "pixl_studies_in_flight{work=\"deliver\"} 0"));
    for (int p = 0, n; p < 7; p++) {
        n = THREADS * (ROUNDS / 7 + (p < ROUNDS % 7));
        (void)snprintf(line, sizeof line, "pixl_study_moves_total{project=\"p%d\",state=\"exported\"} %d", p, n);
        CHECK(has(&out, line));
    }
    metrics_free(m);
}

/* A study taken through the pipeline is counted where it goes, and named nowhere. */
static void test_metrics__of_a_study(void)
{
    struct site_rig r;
    struct store_image image;
    struct extract_result result;
    buf_auto out;
    buf_init(&out, 1 << 20);
    rig_folders("");
    rig_save(&(struct rig_file){ .name = "a.dcm" });
    rig_open(&r, NULL);
    rig_populate(&r, "1,MRN5501,ACC5501,rig,2024-01-02T03:04:05Z,2024-01-01,1.2.3.1,,\n2,MRN5502,ACC5502,rig,2024-01-02T03:04:05Z,2024-01-01,1.2.3.2,,\n");
    while (rig_claim(&r, STORE_WORK_RETRIEVE, &image)) {
        extract_study(&r.x, &image, &result);
        (void)rig_settle(&r, &image, &result);
    }
    REQUIRE(rig_claim(&r, STORE_WORK_DELIVER, &image));
    extract_deliver(&r.x, &image, &result);
    (void)rig_settle(&r, &image, &result);
    static const char *const lines[] = {
        "pixl_studies{project=\"rig\",state=\"exported\"} 1",
        "pixl_studies{project=\"rig\",state=\"missing\"} 1",
        "pixl_studies{project=\"rig\",state=\"queued\"} 0",
        "pixl_study_moves_total{project=\"rig\",state=\"deidentified\"} 1",
        "pixl_study_moves_total{project=\"rig\",state=\"exported\"} 1",
        "pixl_study_moves_total{project=\"rig\",state=\"missing\"} 1",
        "pixl_instances_total{project=\"rig\",result=\"delivered\"} 1",
        "pixl_step_seconds_count{step=\"find\"} 2",
        "pixl_step_seconds_count{step=\"deidentify\"} 1",
        "pixl_step_seconds_count{step=\"zip\"} 1",
        "pixl_step_seconds_count{step=\"deliver\"} 1",
        "pixl_studies_in_flight{work=\"retrieve\"} 0",
        "pixl_studies_in_flight{work=\"deliver\"} 0",
    };
    render(site_metrics(r.site), site_store(r.site), &out);
    for (size_t i = 0; i < ARRAY_LEN(lines); i++)
        CHECK(has(&out, lines[i]));
    static const char *const no_lines[] = { "{what=\"read\"} 0", "{what=\"zipped\"} 0", "{what=\"delivered\"} 0" };
    for (size_t i = 0; i < ARRAY_LEN(no_lines); i++)
        CHECK(strstr(buf_cstr(&out), no_lines[i]) == NULL);
    CHECK(strstr(buf_cstr(&out), "MRN5501") == NULL && strstr(buf_cstr(&out), "1.2.3.1") == NULL);
    rig_close(&r);
}

int main(int argc, char **argv)
{
    static const struct test_case tests[] = {
        TEST(test_metrics__counts_what_it_is_told), TEST(test_metrics__a_label_keeps_its_place),
        TEST(test_metrics__another_parser_reads_it), TEST(test_metrics__loses_nothing_between_threads),
        TEST(test_metrics__of_a_study),
    };
    return test_main(argc, argv, tests, ARRAY_LEN(tests));
}
