#include "base/json_tree.h"

#include <math.h>
#include <string.h>

#include "test.h"

enum { ITEMS = 64 };
static struct pixl_error err;

/* The tree as text: kinds and values, so that a row can say what it wants. */
static void show(const struct json_node *v, struct buf *b)
{
    switch (v->kind) {
    case JSON_NODE_NULL: (void)buf_add_cstr(b, "null"); break;
    case JSON_NODE_BOOL: (void)buf_add_cstr(b, "bool"); break;
    case JSON_NODE_INTEGER: (void)buf_addf(b, "%lld", (long long)v->integer); break;
    case JSON_NODE_REAL: (void)buf_addf(b, "%.17gr", v->real); break;
    case JSON_NODE_TEXT: (void)buf_addf(b, "'%.*s'", STR_ARG(v->text)); break;
    case JSON_NODE_LIST:
    case JSON_NODE_OBJECT:
        (void)buf_add_char(b, v->kind == JSON_NODE_LIST ? '[' : '{');
        for (const struct json_node *m = v->first; m != NULL; m = m->next) {
            if (v->kind == JSON_NODE_OBJECT)
                (void)buf_addf(b, "%.*s=", STR_ARG(m->name));
            show(m, b);
            (void)buf_add_char(b, ';');
        }
        (void)buf_add_char(b, v->kind == JSON_NODE_LIST ? ']' : '}');
    }
}

static void test_json_tree__what_is_json_is_read(void)
{
    static const struct {
        const char *in, *want;
    } rows[] = {
        { "null", "null" },
        { " \t\r\n true ", "bool" },
        { "false", "bool" },
        { "0", "0" },
        { "-0", "0" },
        { "-17", "-17" },
        { "9223372036854775807", "9223372036854775807" },
        { "-9223372036854775808", "-9223372036854775808" },
        { "9223372036854775808", "9.2233720368547758e+18r" },
        { "1.5", "1.5r" },
        { "1e2", "100r" },
        { "1E+2", "100r" },
        { "-1.0e-1", "-0.10000000000000001r" },
        { "\"\"", "''" },
        { "\"a\\\"\\\\\\/\\b\\f\\n\\r\\t\"", "'a\"\\/\b\f\n\r\t'" },
        { "\"\\u0041\\u00e9\\u4e2d\\uD83D\\ude00\"", "'A\u00e9\u4e2d\U0001F600'" },
        { "\"\u00e9\u4e2d\U0001F600\x7f\"", "'\u00e9\u4e2d\U0001F600\x7f'" },
        { "\"\\\\\"", "'\\'" },
        { "[]", "[]" },
        { "[ ]", "[]" },
        { "[1,2 , [3]]", "[1;2;[3;];]" },
        { "{}", "{}" },
        { "{\"a\":1 , \"\" : {\"a\":[]}}", "{a=1;={a=[];};}" },
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct arena a;
        const struct json_node *v = NULL;
        buf_auto b;
        test_row("%s", rows[i].in);
        arena_init(&a, 1 << 20);
        buf_init(&b, 1 << 16);
        REQUIRE_OK(json_tree_read(&a, str_of(rows[i].in), 4, ITEMS, &v, &err), err);
        show(v, &b);
        CHECK_STR(buf_str(&b), rows[i].want);
        arena_done(&a);
    }
}

static const struct {
    const char *in;
    enum pixl_code code;
} refused[] = {

    { "", PIXL_E_CORRUPT },
    { " ", PIXL_E_CORRUPT },
    { "nul", PIXL_E_CORRUPT },
    { "nulll", PIXL_E_CORRUPT },
    { "True", PIXL_E_CORRUPT },
    { "NaN", PIXL_E_CORRUPT },
    { "Infinity", PIXL_E_CORRUPT },
    { "-Infinity", PIXL_E_CORRUPT },
    { "-", PIXL_E_CORRUPT },
    { "+1", PIXL_E_CORRUPT },
    { "01", PIXL_E_CORRUPT },
    { "-01", PIXL_E_CORRUPT },
    { "1.", PIXL_E_CORRUPT },
    { ".5", PIXL_E_CORRUPT },
    { "1e", PIXL_E_CORRUPT },
    { "1e+", PIXL_E_CORRUPT },
    { "0x10", PIXL_E_CORRUPT },
    { "1 2", PIXL_E_CORRUPT },
    { "1e999", PIXL_E_LIMIT },
    { "1111111111111111111111111111111111111111111111111111111111111111111", PIXL_E_LIMIT },
    { "\"", PIXL_E_CORRUPT },
    { "\"a", PIXL_E_CORRUPT },
    { "\"\\", PIXL_E_CORRUPT },
    { "\"\\\"", PIXL_E_CORRUPT },
    { "\"\\x41\"", PIXL_E_CORRUPT },
    { "\"\\u12\"", PIXL_E_CORRUPT },
    { "\"\\u12g4\"", PIXL_E_CORRUPT },
    { "\"\\u0000\"", PIXL_E_CORRUPT },
    { "\"\\ud800\"", PIXL_E_CORRUPT },
    { "\"\\ud800\\u0041\"", PIXL_E_CORRUPT },
    { "\"\\udc00\"", PIXL_E_CORRUPT },
    { "\"\\ud83d\\ud83d\"", PIXL_E_CORRUPT },
    { "\"a\nb\"", PIXL_E_CORRUPT },
    { "\"a\x01\"", PIXL_E_CORRUPT },
    { "\"\xff\"", PIXL_E_CORRUPT },
    { "\"\xc0\x80\"", PIXL_E_CORRUPT },
    { "\"\xed\xa0\x80\"", PIXL_E_CORRUPT },
    { "'a'", PIXL_E_CORRUPT },
    { "[", PIXL_E_CORRUPT },
    { "[1", PIXL_E_CORRUPT },
    { "[1,", PIXL_E_CORRUPT },
    { "[1,]", PIXL_E_CORRUPT },
    { "[,1]", PIXL_E_CORRUPT },
    { "[1 2]", PIXL_E_CORRUPT },
    { "[1}", PIXL_E_CORRUPT },
    { "]", PIXL_E_CORRUPT },
    { "{", PIXL_E_CORRUPT },
    { "{\"a\"", PIXL_E_CORRUPT },
    { "{\"a\":", PIXL_E_CORRUPT },
    { "{\"a\":1,}", PIXL_E_CORRUPT },
    { "{a:1}", PIXL_E_CORRUPT },
    { "{\"a\" 1}", PIXL_E_CORRUPT },
    { "{1:1}", PIXL_E_CORRUPT },
    { "{\"a\":1]", PIXL_E_CORRUPT },
    { "// c\n1", PIXL_E_CORRUPT },
    { "{\"a\":1,\"a\":2}", PIXL_E_INVALID },
    { "{\"a\":1,\"\\u0061\":2}", PIXL_E_INVALID },
    { "[[[[[]]]]]", PIXL_E_LIMIT },
    { "[[[[{}]]]]", PIXL_E_LIMIT },
};

static void test_json_tree__what_is_not_is_refused(void)
{
    for (size_t i = 0; i < ARRAY_LEN(refused); i++) {
        struct arena a;
        const struct json_node *v = NULL;
        test_row("%zu %s", i, refused[i].in);
        arena_init(&a, 1 << 20);
        CHECK_FAILS(json_tree_read(&a, str_of(refused[i].in), 4, ITEMS, &v, &err), err, refused[i].code);
        CHECK(v == NULL);
        arena_done(&a);
    }
}

static void test_json_tree__items_have_a_limit(void)
{
    struct arena a;
    const struct json_node *v = NULL;
    buf_auto b;
    arena_init(&a, 1 << 20);
    buf_init(&b, 1 << 16);
    for (int i = 0; i < ITEMS; i++)
        (void)buf_addf(&b, "%c%d", i ? ',' : '[', i);
    (void)buf_add_char(&b, ']');
    REQUIRE_OK(json_tree_read(&a, buf_str(&b), 4, ITEMS, &v, &err), err);
    CHECK_INT(json_node_items(v), ITEMS);
    CHECK_INT(json_node_item(v, 63)->integer, 63);
    CHECK(json_node_item(v, 64) == NULL && json_node_member(v, "a") == NULL && json_node_members(v) == 0 &&
          json_node_text(v).n == 0);
    CHECK(json_node_item(NULL, 0) == NULL && json_node_items(NULL) == 0 && !json_node_is(NULL, JSON_NODE_NULL));
    b.n--;
    (void)buf_add_cstr(&b, ",64]");
    CHECK_FAILS(json_tree_read(&a, buf_str(&b), 4, ITEMS, &v, &err), err, PIXL_E_LIMIT);
    arena_done(&a);
    arena_init(&a, 16);
    CHECK_FAILS(json_tree_read(&a, STR("[]"), 4, ITEMS, &v, &err), err, PIXL_E_NOMEM);
    arena_done(&a);
}

static void test_json_tree__members_have_a_limit_of_their_own(void)
{
    struct arena a;
    const struct json_node *v = NULL;
    buf_auto b;
    buf_init(&b, 1 << 16);
    for (int i = 0; i <= JSON_TREE_MEMBERS_MAX; i++)
        (void)buf_addf(&b, "%c\"%d\":%s", i ? ',' : '{', i, i % 2 ? "true" : "false");
    (void)buf_add_char(&b, '}');
    arena_init(&a, 1 << 20);
    CHECK_FAILS(json_tree_read(&a, buf_str(&b), 4, 100000, &v, &err), err, PIXL_E_LIMIT);
    CHECK(v == NULL);
    REQUIRE_OK(json_tree_read(&a, STR("[true,false]"), 1, 2, &v, &err), err);
    CHECK(json_node_item(v, 0)->integer == 1 && json_node_item(v, 1)->integer == 0);
    arena_done(&a);
}

static void test_json_tree__what_is_written_is_read(void)
{
    static const char *const rows[] = { "", "plain", "\"\\/\b\n\x1F\x7F", "caf\xC3\xA9 \xF0\x9F\x98\x80 \xE2\x82\xAC" };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct arena a;
        const struct json_node *v = NULL;
        buf_auto b;
        test_row("%zu", i);
        buf_init(&b, 1000);
        arena_init(&a, 1 << 20);
        REQUIRE(json_add_text(&b, str_of(rows[i])));
        for (size_t k = 0; k < b.n; k++)
            CHECK(b.p[k] >= 0x20 && b.p[k] < 0x7F);
        REQUIRE_OK(json_tree_read(&a, buf_str(&b), 1, 1, &v, &err), err);
        CHECK_STR(json_node_text(v), rows[i]);
        arena_done(&a);
    }
}

int main(int argc, char **argv)
{
    static const struct test_case tests[] = {
        TEST(test_json_tree__what_is_json_is_read),
        TEST(test_json_tree__what_is_not_is_refused),
        TEST(test_json_tree__items_have_a_limit),
        TEST(test_json_tree__members_have_a_limit_of_their_own),
        TEST(test_json_tree__what_is_written_is_read),
    };
    return test_main(argc, argv, tests, ARRAY_LEN(tests));
}
