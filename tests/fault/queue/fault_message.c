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

static void sweep(const char *what, bool (*run)(struct pixl_error *))
{
    for (long n = 0;; n++) {
        struct pixl_error err = { 0 };
        test_row("%s, allocation %ld", what, n);
        fault_alloc_after(n);
        bool ok = run(&err), reached = fault_alloc_stop();
        if (!reached) {
            CHECK_OK(ok, err);
            CHECK(n >= 2);
            return;
        }
        CHECK(strstr(err.msg, "CANARY") == NULL);
        CHECK_FAILS(ok, err, PIXL_E_NOMEM);
    }
}

/* A zone by name is looked up in a file. */
static bool read_zone(struct pixl_error *err)
{
    static const char body[] =
        "{\"py/object\": \"core.patient_queue.message.Message\", \"mrn\": \"CANARY\", \"accession_number\": \"A\", "
        "\"study_date\": null, \"procedure_occurrence_id\": 4, \"project_name\": \"lung\", "
        "\"extract_generated_timestamp\": "
        "{\"py/object\": \"datetime.datetime\", \"__reduce__\": [{\"py/type\": \"datetime.datetime\"}, "
        "[\"B+cHAQ4IOgAAAA==\", {\"py/reduce\": [{\"py/function\": \"zoneinfo.ZoneInfo._unpickle\"}, "
        "{\"py/tuple\": [\"Europe/London\", 1]}]}]]}}";
    struct arena a;
    struct study_request r = { .priority = 99 };
    arena_init(&a, 1 << 16);
    bool ok = message_decode(phi_text(str_of(body)), &MESSAGE_LIMITS_DEFAULT, &a, &r, err);
    CHECK(ok ? str_eq(r.extract_time, STR("2023-07-01T14:08:58+01:00")) : r.priority == 99);
    arena_done(&a);
    return ok;
}

static bool json(struct pixl_error *err)
{
    return there_and_back(MESSAGE_JSON, err);
}

static bool jsonpickle(struct pixl_error *err)
{
    return there_and_back(MESSAGE_JSONPICKLE, err);
}

static void test_fault__every_allocation_may_fail(void)
{
    sweep("ours", json);
    sweep("jsonpickle", jsonpickle);
    sweep("a zone by name", read_zone);
}

int main(int argc, char **argv)
{
    static const struct test_case tests[] = { TEST(test_fault__every_allocation_may_fail) };
    return test_main(argc, argv, tests, ARRAY_LEN(tests));
}
