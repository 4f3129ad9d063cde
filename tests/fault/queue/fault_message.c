/* Each allocation fails in turn while messages are written and read. */
#include "queue/message.h"

#include <string.h>

#include "fault.h"
#include "test.h"

static const struct study_request request = {
    .project = { "lung-study", 10 },
    .mrn = { { "CANARY \xc3\x89", 9 } },
    .accession_number = { { "A", 1 } },
    .series_uids = { { "1.2.3\\1.2.4", 11 } },
    .study_date = 20200523,
    .procedure_occurrence_id = 4,
    .extract_time = { "2023-12-07T14:08:58-01:00", 25 },
    .priority = 1,
};

static bool there_and_back(enum message_form form, struct pixl_error *err)
{
    struct arena a;
    struct study_request back = { .priority = 99 };
    buf_auto text;
    buf_init(&text, 1 << 16);
    arena_init(&a, 1 << 16);
    bool ok = message_encode(&request, form, &text, err);
    CHECK(ok || text.n == 0);
    ok = ok && message_decode(phi_text(buf_str(&text)), &MESSAGE_LIMITS_DEFAULT, &a, &back, err);
    CHECK(ok ? phi_eq(back.mrn, request.mrn) && str_eq(back.extract_time, request.extract_time) : back.priority == 99);
    arena_done(&a);
    return ok;
}

static void sweep(enum message_form form)
{
    for (long n = 0;; n++) {
        struct pixl_error err = { 0 };
        test_row("form %d, allocation %ld", (int)form, n);
        fault_alloc_after(n);
        bool ok = there_and_back(form, &err), reached = fault_alloc_stop();
        if (!reached) {
            CHECK_OK(ok, err);
            CHECK(n >= 2);
            return;
        }
        CHECK(strstr(err.msg, "CANARY") == NULL);
        CHECK_FAILS(ok, err, PIXL_E_NOMEM);
    }
}

static void test_fault__every_allocation_may_fail(void)
{
    sweep(MESSAGE_JSON);
    sweep(MESSAGE_JSONPICKLE);
}

int main(int argc, char **argv)
{
    static const struct test_case tests[] = { TEST(test_fault__every_allocation_may_fail) };
    return test_main(argc, argv, tests, ARRAY_LEN(tests));
}
