/* Bodies of requests: whatever comes, it is an object or an answer, and the answer is UTF-8 that can be read as JSON again. */
#include <stdlib.h>

#include "http/body.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void check_answer(const struct http_server_answer *an)
{
    struct arena a;
    const struct json_node *v;
    struct pixl_error err = { 0 };
    arena_init(&a, 64 << 20);
    if (an->body.failed || an->status < 400 ||
        (!json_tree_read(&a, buf_str(&an->body), JSON_TREE_DEPTH_MAX, 100000, &v, &err) && err.code != PIXL_E_NOMEM))
        abort();
    arena_done(&a);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static const atomic_bool never = false;
    const struct http_server_request rq = { .body = { (const char *)data, n }, .is_json = true, .stopping = &never };
    struct http_server_answer an = { .status = 200 };
    struct arena a;
    double rate = 0;
    struct str text;
    arena_init(&a, 16 << 20);
    buf_init(&an.body, 64 << 20);
    const struct json_node *object = body_object(&rq, &a, &an);
    if (object == NULL || !body_double(object, "rate", &rate, &an) || !body_text(object, "archive", false, &text, &an))
        check_answer(&an);
    else if (an.body.n != 0 || rate - rate != 0)
        abort();
    buf_done(&an.body);
    arena_done(&a);
    return 0;
}
