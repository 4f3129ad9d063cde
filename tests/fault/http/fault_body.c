#include "fault.h"
#include "http/body.h"
#include "test.h"

/* Reads a body; what is wrong, or memory, is answered. */
static bool ask(struct str body, struct http_server_answer *an)
{
    static const atomic_bool never = false;
    const struct http_server_request rq = { .body = body, .is_json = true, .stopping = &never };
    struct arena a;
    double rate;
    struct str text;
    arena_init(&a, 1 << 20);
    const struct json_node *object = body_object(&rq, &a, an);
    bool ok =
        object != NULL && body_double(object, "rate", &rate, an) && body_text(object, "archive", false, &text, an);
    arena_done(&a);
    return ok;
}

static void test_fault_body__memory_is_no_fault_of_the_client(void)
{
    static const char *const bodies[] = { "{\"rate\":\"2.5\",\"archive\":\"vna\"}", "{\"rate\":[\"x\",{\"y\":1.5}]}",
                                          "{\"rate\":" };
    for (size_t i = 0; i < ARRAY_LEN(bodies); i++) {
        long n = 0;
        test_row("%s", bodies[i]);
        for (;; n++) {
            struct http_server_answer an = { .status = 200 };
            buf_init(&an.body, 1 << 20);
            fault_alloc_after(n);
            bool ok = ask(str_of(bodies[i]), &an);
            bool reached = fault_alloc_stop();
            CHECK(ok ? an.body.n == 0 && an.status == 200 : an.body.failed || an.status == 500 || an.status == 422);
            CHECK(an.status != 422 || i > 0);
            buf_done(&an.body);
            if (!reached)
                break;
        }
        CHECK(n >= 1);
    }
}

int main(int argc, char **argv)
{
    static const struct test_case tests[] = { TEST(test_fault_body__memory_is_no_fault_of_the_client) };
    return test_main(argc, argv, tests, ARRAY_LEN(tests));
}
