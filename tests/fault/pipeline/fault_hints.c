/* Each allocation of giving a hint, following it, burying and reading again fails once: every row is claimed exactly once
 * in the end, and nothing that means nothing is lost. */
#include "fault.h"
#include "hint_rig.h"
#include "pipeline/dead.h"

static void add_row(struct hint_rig *r, long n)
{
    char row[160];
    (void)snprintf(row, sizeof row, "%ld,MRN5501,A%ld,rig,2024-01-01T00:00:00Z,2024-01-01,,,\n", n, n);
    rig_populate(&r->site, row);
}

/* As far as memory lasts. */
static void with_faults(struct hint_rig *r, struct queue *q)
{
    static const atomic_bool never = false;
    struct pixl_error err = { 0 };
    enum hints_took what;
    struct dead_retried retried;
    dispatch_turn(r->dispatch, 0, &never);
    for (int i = 0; i < 3; i++)
        if (!hints_take(r->hints, 1, claim_row, r, 20, &never, &what, &err))
            CHECK_FAILS(false, err, PIXL_E_NOMEM);
    if (!dead_retry(r->site.site, q, &r->route, &retried, &err))
        CHECK_FAILS(false, err, PIXL_E_NOMEM);
}

static void finish(struct hint_rig *r, int claims)
{
    give_queue(r);
    hints_use(r->hints, share(r));
    after_pause(r);
    for (int i = 0; i < 200 && (unhinted(r) > 0 || r->claims < claims || depth(r) > 0); i++) {
        turn(r);
        (void)follow(r, 1);
    }
    (void)follow(r, 0);
    CHECK_INT(r->claims, claims);
    CHECK_INT(depth(r), 0);
}

static void test_hints__survive_each_failed_allocation(void)
{
    struct hint_rig r;
    long n = 0;
    hint_rig_open(&r, "PIXL_SWEEP_S=300");
    turn(&r);
    for (bool reached = true; reached; n++) {
        test_row("allocation %ld", n);
        add_row(&r, n);
        say(&r, "nonsense", 1);
        struct queue *q = share(&r);
        fault_alloc_after(n);
        with_faults(&r, q);
        reached = fault_alloc_stop();
        queue_close(q);
        finish(&r, (int)n + 1);
        CHECK(depth_of(&r, QUEUE ".dead") >= n + 1);
    }
    CHECK(n > 10);
    printf("    %ld allocations\n", n);
    hint_rig_close(&r);
}

int main(int argc, char **argv)
{
    static const struct test_case tests[] = { TEST(test_hints__survive_each_failed_allocation) };
    test_timeout_s = 600;
    return test_main(argc, argv, tests, ARRAY_LEN(tests));
}
