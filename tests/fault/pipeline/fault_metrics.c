#include <stdio.h>

#include "fault.h"
#include "pipeline/metrics.h"
#include "pipeline/tokens.h"
#include "test.h"

static bool count_and_render(struct store *s, struct buf *out, struct pixl_error *err)
{
    struct metrics *m = NULL;
    if (!metrics_new(&m, err))
        return false;
    metrics_add_move(m, STR("one"), STUDY_EXPORTED);
    metrics_add_instances(m, STR("two"), 4, 2);
    metrics_set_breaker(m, "archive", true);
    metrics_add_time(m, METRICS_ZIP, 1000);
    bool ok = metrics_render(m, s, out, err);
    metrics_free(m);
    return ok;
}

static void test_fault_metrics__are_whole_or_none(void)
{
    struct pixl_error err = { 0 };
    struct store *s = NULL;
    char url[1100];
    long n = 0;
    (void)snprintf(url, sizeof url, "sqlite:%s", test_path("t.db"));
    REQUIRE_OK(store_open(url, &s, &err), err);
    REQUIRE_OK(tokens_set_rate(s, "vna", 2, 0, &err), err);
    for (;; n++) {
        buf_auto out;
        buf_init(&out, 1 << 20);
        fault_alloc_after(n);
        bool ok = count_and_render(s, &out, &err);
        bool reached = fault_alloc_stop();
        CHECK(!ok || (!out.failed && str_is_prefix(buf_str(&out), STR("# HELP"))));
        if (!reached) {
            CHECK(ok && strstr(buf_cstr(&out), "project=\"one\"") != NULL && strstr(buf_cstr(&out), "project=\"two\"") != NULL);
            break;
        }
        CHECK(ok || err.code == PIXL_E_NOMEM);
        pixl_error_clear(&err);
    }
    CHECK(n > 10);
    store_close(s);
}

int main(int argc, char **argv)
{
    static const struct test_case tests[] = { TEST(test_fault_metrics__are_whole_or_none) };
    return test_main(argc, argv, tests, ARRAY_LEN(tests));
}
