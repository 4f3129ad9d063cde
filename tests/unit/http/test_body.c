#include "http/body.h"

#include <math.h>
#include <stdio.h>

#include "test.h"

struct asked {
    struct arena a;
    struct http_server_answer an;
    const struct json_node *object;
};

static void ask(struct asked *q, struct str body, bool is_json)
{
    static const atomic_bool never = false;
    const struct http_server_request rq = { .body = body, .is_json = is_json, .stopping = &never };
    arena_init(&q->a, 1 << 20);
    q->an = (struct http_server_answer){ .status = 200 };
    buf_init(&q->an.body, 1 << 20);
    q->object = body_object(&rq, &q->a, &q->an);
}

static void done(struct asked *q)
{
    arena_done(&q->a);
    buf_done(&q->an.body);
}

#define INVALID(type, loc, msg, input) \
    "{\"detail\":[{\"type\":\"" type "\",\"loc\":[\"body\"" loc "],\"msg\":\"" msg "\",\"input\":" input "}]}"
#define NO_JSON(at, where)                                          \
    "{\"detail\":[{\"type\":\"json_invalid\",\"loc\":[\"body\"," at \
    "],\"msg\":\"JSON decode error\",\"input\":{},\"ctx\":{\"error\":\"" where "\"}}]}"
#define NO_OBJECT "Input should be a valid dictionary or object to extract fields from"

static void test_body__a_rate_is_read_or_refused(void)
{
    static const struct {
        const char *body;
        double rate; /* NAN: refused with: */
        const char *answer;
    } rows[] = {
        { "{\"rate\":2.5}", 2.5, NULL },
        { "{\"rate\":0}", 0, NULL },
        { " { \"other\" : [ 1 , 2 ] , \"rate\" : \"2.50\" } ", 2.5, NULL },
        { "{\"rate\":\" 3 \"}", 3, NULL },
        { "{\"rate\":\"+3\"}", 3, NULL },
        { "{\"rate\":-1}", -1, NULL },
        { "{\"rate\":1e-05}", 1e-05, NULL },
        { "{}", NAN, INVALID("missing", ",\"rate\"", "Field required", "{}") },
        { "{\"Rate\":1.5,\"l\":[true,null,{\"a\":\"b\\n\"}]}", NAN,
          INVALID("missing", ",\"rate\"", "Field required", "{\"Rate\":1.5,\"l\":[true,null,{\"a\":\"b\\n\"}]}") },
        { "{\"rate\":\"abc\"}", NAN,
          INVALID("float_parsing", ",\"rate\"", "Input should be a valid number, unable to parse string as a number",
                  "\"abc\"") },
        { "{\"rate\":\"z\\u00fcgig\\t\\u0001\"}", NAN,
          INVALID("float_parsing", ",\"rate\"", "Input should be a valid number, unable to parse string as a number",
                  "\"z\303\274gig\\t\\u0001\"") },
        { "{\"rate\":\"\"}", NAN,
          INVALID("float_parsing", ",\"rate\"", "Input should be a valid number, unable to parse string as a number",
                  "\"\"") },
        { "{\"rate\":\"--1\"}", NAN,
          INVALID("float_parsing", ",\"rate\"", "Input should be a valid number, unable to parse string as a number",
                  "\"--1\"") },
        { "{\"rate\":null}", NAN, INVALID("float_type", ",\"rate\"", "Input should be a valid number", "null") },
        { "{\"rate\":true}", NAN, INVALID("float_type", ",\"rate\"", "Input should be a valid number", "true") },
        { "{\"rate\":[1]}", NAN, INVALID("float_type", ",\"rate\"", "Input should be a valid number", "[1]") },
        { "{\"rate\":\"NaN\"}", NAN,
          INVALID("finite_number", ",\"rate\"", "Input should be a finite number", "\"NaN\"") },
        { "{\"rate\":\"-Infinity\"}", NAN,
          INVALID("finite_number", ",\"rate\"", "Input should be a finite number", "\"-Infinity\"") },
        { "{\"rate\":NaN}", NAN, NO_JSON("8", "not JSON: line 1 column 9") },
        { "{\"rate\":1e999}", NAN, NO_JSON("0", "too large or too deep") },
        { "{\"rate\":1,\"rate\":2}", NAN, NO_JSON("0", "a member is there twice") },
        { "{\n \"rate\": 1,\n \"secret-mrn\": x}", NAN, NO_JSON("29", "not JSON: line 3 column 16") },
        { "{\"rate\":1", NAN, NO_JSON("9", "not JSON: line 1 column 10") },
        { "", NAN, INVALID("missing", "", "Field required", "null") },
        { "[1]", NAN, INVALID("model_attributes_type", "", NO_OBJECT, "[1]") },
        { "\"rate\"", NAN, INVALID("model_attributes_type", "", NO_OBJECT, "\"rate\"") },
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct asked q;
        double rate = -99;
        test_row("%s", rows[i].body);
        ask(&q, str_of(rows[i].body), true);
        bool ok = q.object != NULL && body_double(q.object, "rate", &rate, &q.an);
        CHECK(ok == !isnan(rows[i].rate));
        CHECK(ok ? rate == rows[i].rate : rate == -99);
        CHECK_STR(buf_str(&q.an.body), ok ? "" : rows[i].answer);
        CHECK_INT(q.an.status, ok ? 200 : 422);
        done(&q);
    }
    struct asked q;
    ask(&q, STR("{\"rate\":1}"), false); /* what a page's form could send */
    CHECK(q.object == NULL);
    CHECK_STR(buf_str(&q.an.body), INVALID("model_attributes_type", "", NO_OBJECT, "null"));
    done(&q);
}

static void test_body__texts(void)
{
    static const struct {
        const char *body;
        bool must_be;
        const char *text, *answer;
    } rows[] = {
        { "{\"t\":\"a b\"}", true, "a b", NULL },
        { "{}", false, "", NULL },
        { "{\"t\":null}", false, "", NULL },
        { "{\"t\":null}", true, NULL, INVALID("string_type", ",\"t\"", "Input should be a valid string", "null") },
        { "{\"t\":7}", false, NULL, INVALID("string_type", ",\"t\"", "Input should be a valid string", "7") },
        { "{\"t\":\"\"}", false, NULL,
          INVALID("string_too_short", ",\"t\"", "String should have at least 1 character", "\"\"") },
        { "{\"u\":1}", true, NULL, INVALID("missing", ",\"t\"", "Field required", "{\"u\":1}") },
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct asked q;
        struct str text = STR("untouched");
        test_row("%s %d", rows[i].body, rows[i].must_be);
        ask(&q, str_of(rows[i].body), true);
        REQUIRE(q.object != NULL);
        bool ok = body_text(q.object, "t", rows[i].must_be, &text, &q.an);
        CHECK(ok == (rows[i].text != NULL));
        if (ok)
            CHECK_STR(text, rows[i].text);
        CHECK_STR(buf_str(&q.an.body), ok ? "" : rows[i].answer);
        done(&q);
    }
}

/* As repr() of Python prints it. */
static void test_body__numbers_as_python_has_them(void)
{
    static const struct {
        double v;
        const char *text;
    } rows[] = {
        { 0, "0.0" },
        { -1, "-1.0" },
        { 2.5, "2.5" },
        { 0.1, "0.1" },
        { 100, "100.0" },
        { 1e15, "1000000000000000.0" },
        { 1e16, "1e+16" },
        { 1.5e300, "1.5e+300" },
        { 0.0001, "0.0001" },
        { 0.00001, "1e-05" },
        { 1.0 / 3, "0.3333333333333333" },
        { -12.75, "-12.75" },
        { 123456.789, "123456.789" },
        { 5e-324, "5e-324" },
        { 9007199254740992.0, "9007199254740992.0" },
        { 1e22, "1e+22" },
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        buf_auto b;
        buf_init(&b, 100);
        CHECK(body_add_double(&b, rows[i].v));
        CHECK_STR(buf_str(&b), rows[i].text);
    }
}

static void test_body__errors_become_statuses(void)
{
    static const struct {
        enum pixl_code code;
        int status;
    } rows[] = {
        { PIXL_E_NOT_FOUND, 404 },   { PIXL_E_EXISTS, 409 },    { PIXL_E_INVALID, 400 }, { PIXL_E_BUSY, 503 },
        { PIXL_E_UNAVAILABLE, 503 }, { PIXL_E_CANCELLED, 503 }, { PIXL_E_NOMEM, 500 },   { PIXL_E_INTERNAL, 500 },
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct pixl_error err = { 0 };
        struct http_server_answer an = { .status = 200 };
        buf_init(&an.body, 1000);
        (void)buf_add_cstr(&an.body, "half an answer");
        (void)pixl_fail(&err, rows[i].code, 0, "so \"it\" is");
        body_error(&an, &err);
        CHECK_INT(an.status, rows[i].status);
        CHECK_STR(buf_str(&an.body), "{\"detail\":\"so \\\"it\\\" is\"}");
        buf_done(&an.body);
    }
}

int main(int argc, char **argv)
{
    static const struct test_case tests[] = {
        TEST(test_body__a_rate_is_read_or_refused),
        TEST(test_body__texts),
        TEST(test_body__numbers_as_python_has_them),
        TEST(test_body__errors_become_statuses),
    };
    return test_main(argc, argv, tests, ARRAY_LEN(tests));
}
