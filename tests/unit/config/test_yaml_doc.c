#include "config/yaml_doc.h"
#include "test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct yaml_node *parse(struct arena *a, struct str text, struct problems *ps)
{
    arena_init(a, 64 * 1024 * 1024);
    return yaml_doc_parse(a, "f", text, ps);
}

struct scalar_row {
    const char *yaml, *text, *problem;       /* either */
};

static void test_yaml_doc__texts_are_what_they_look_like(void)
{
    static const struct scalar_row rows[] = {
        { "CT",              "CT",           NULL },
        { "'no'",            "no",           NULL },
        { "\"12\"",          "12",           NULL },
        { "1.2.840.10008",   "1.2.840.10008", NULL },
        { "3d flair",        "3d flair",     NULL },
        { "1-2",             "1-2",          NULL },
        { "e5",              "e5",           NULL },
        { "0xg",             "0xg",          NULL },
        { "nobody",          "nobody",       NULL },
        { "'null'",          "null",         NULL },
        { "|\n  block\n",    NULL, "f:1:1: v holds a control character or a line break" },
        { "\"a\\0b\"",       NULL, "f:1:1: v holds a control character or a line break" },
        { "''",              NULL, "f:1:1: v is empty" },
        { "'  '",            NULL, "f:1:1: v is empty" },
        { "[a]",             NULL, "f:1:1: v must be a text, not a list" },
        { "a: b",            NULL, "f:1:1: v must be a text, not a map" },
        { "no",              NULL, "f:1:1: v: unquoted no is a truth value in YAML 1.1; put it in quotes when the "
                                    "text is meant" },
        { "Yes",             NULL, "unquoted Yes is a truth value" },
        { "ON",              NULL, "unquoted ON is a truth value" },
        { "off",             NULL, "unquoted off is a truth value" },
        { "true",            NULL, "unquoted true is a truth value" },
        { "y",               NULL, "unquoted y is a truth value" },
        { "~",               NULL, "unquoted ~ is null" },
        { "Null",            NULL, "unquoted Null is null" },
        { "12",              NULL, "unquoted 12 is a number;" },
        { "-5",              NULL, "unquoted -5 is a number;" },
        { "012",             NULL, "unquoted 012 is an octal number in YAML 1.1" },
        { "0o12",            NULL, "unquoted 0o12 is an octal number to some readers of YAML and a text to others" },
        { "0x10",            NULL, "unquoted 0x10 is a hexadecimal number" },
        { "0b11",            NULL, "unquoted 0b11 is a binary number" },
        { "1_000",           NULL, "unquoted 1_000 is a number in YAML 1.1" },
        { "1e3",             NULL, "unquoted 1e3 is a number to some readers of YAML and a text to others" },
        { "1.5",             NULL, "unquoted 1.5 is a fraction" },
        { ".5",              NULL, "unquoted .5 is a fraction" },
        { "-.inf",           NULL, "unquoted -.inf is a special number" },
        { ".NaN",            NULL, "unquoted .NaN is a special number" },
        { "12:30",           NULL, "unquoted 12:30 is a number of base 60 in YAML 1.1" },
        { "12:30:45.5",      NULL, "unquoted 12:30:45.5 is a number of base 60" },
        { "2020-01-31",      NULL, "unquoted 2020-01-31 is a date" },
        { "2020-01-31T10:00:00Z", NULL, "is a date" },
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        test_row("%s", rows[i].yaml);
        struct arena a;
        struct problems ps = { 0 };
        struct str got = STR("untouched");
        struct yaml_node *node = parse(&a, str_of(rows[i].yaml), &ps);
        REQUIRE(node != NULL);
        bool ok = yaml_take_text(node, "v", &got, &ps);
        CHECK(ok == (rows[i].text != NULL));
        CHECK_STR(got, rows[i].text ? rows[i].text : "untouched");
        if (rows[i].problem && strstr(ps.first.msg, rows[i].problem) == NULL)
            CHECK_STR(str_of(ps.first.msg), rows[i].problem);
        arena_done(&a);
    }
}

static void test_yaml_doc__numbers_are_what_they_look_like(void)
{
    static const struct { const char *yaml; long long value; const char *problem; } rows[] = {
        { "0",        0,      NULL },
        { "16",       16,     NULL },
        { "-3",       -3,     NULL },
        { "0x0010",   16,     NULL },
        { "0XfF",     255,    NULL },
        { "0x7FFFFFFFFFFFFFF", 0x7FFFFFFFFFFFFFF, "f:1:1: v: 0x7FFFFFFFFFFFFFF is outside -10 to 65535" },
        { "65536",    0,      "f:1:1: v: 65536 is outside -10 to 65535" },
        { "-11",      0,      "outside" },
        { "99999999999999999999", 0, "a plain whole number is wanted" },
        { "0x11111111111111111111", 0, "is a hexadecimal number; a plain whole number is wanted" },
        { "0x",       0,      "'0x' is not a whole number" },
        { "'5'",      0,      "f:1:1: v: quoted '5' is a text; a whole number stands without quotes" },
        { "0010",     0,      "f:1:1: v: 0010 has leading zeros, which YAML 1.1 reads as octal or as a text; "
                              "write 0x0010 if it is hexadecimal, 10 if decimal" },
        { "0018",     0,      "write 0x0018 if it is hexadecimal, 18 if decimal" },
        { "0000",     0,      "write 0x0000 if it is hexadecimal, 0 if decimal" },
        { "-012",     0,      "is an octal number in YAML 1.1; a plain whole number is wanted" },
        { "0o12",     0,      "is an octal number to some" },
        { "1_000",    0,      "1_000 is a number in YAML 1.1; a plain whole number is wanted" },
        { "1e3",      0,      "1e3 is a number to some" },
        { "12:30",    0,      "12:30 is a number of base 60" },
        { "5.0",      0,      "5.0 is a fraction" },
        { "+5",       0,      "a plain whole number is wanted" },
        { "yes",      0,      "yes is a truth value" },
        { "~",        0,      "~ is null" },
        { "0x001G",   0,      "'0x001G' is not a whole number" },
        { "ten",      0,      "'ten' is not a whole number" },
        { "[1]",      0,      "v must be a whole number, not a list" },
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        test_row("%s", rows[i].yaml);
        struct arena a;
        struct problems ps = { 0 };
        int64_t got = 4711;
        struct yaml_node *node = parse(&a, str_of(rows[i].yaml), &ps);
        REQUIRE(node != NULL);
        bool ok = yaml_take_int(node, "v", -10, 65535, &got, &ps);
        CHECK(ok == (rows[i].problem == NULL));
        CHECK_INT(got, ok ? rows[i].value : 4711);
        if (rows[i].problem && strstr(ps.first.msg, rows[i].problem) == NULL)
            CHECK_STR(str_of(ps.first.msg), rows[i].problem);
        arena_done(&a);
    }
}

static void test_yaml_doc__places_count_from_one(void)
{
    struct arena a;
    struct problems ps = { 0 };
    struct yaml_node *root = parse(&a, STR("\xEF\xBB\xBF# c\nproject:\n  name: x\n  list:\n    - a\n"
                                            "    - {k: \"v\"}\n"), &ps);
    REQUIRE(root != NULL && root->kind == YAML_MAP && root->n == 1);
    const struct yaml_node *project = yaml_find(root, "project");
    REQUIRE(project != NULL);
    const struct yaml_node *name = yaml_find(project, "name"), *list = yaml_find(project, "list");
    REQUIRE(name != NULL && list != NULL && list->n == 2);
    CHECK_INT(name->at.line, 3);
    CHECK_INT(name->at.column, 9);
    CHECK_INT(name->key_at.column, 3);
    CHECK_INT(list->last->first->at.line, 6);
    CHECK_STR(list->last->first->text, "v");
    CHECK(!list->last->first->plain);
    CHECK(yaml_find(project, "nothing") == NULL);
    CHECK_INT(ps.n, 0);
    arena_done(&a);
}

struct refused_row {
    const char *name, *problem;
    struct str text;
};

static void test_yaml_doc__what_no_configuration_needs_is_refused(void)
{
    const struct refused_row rows[] = {
        { "empty",          "f: there is nothing in this file",           STR("") },
        { "comment only",   "f: there is nothing in this file",           STR("# nothing\n") },
        { "two documents",  "f:3:1: only one document in a file",         STR("a: 1\n---\nb: 1\n") },
        { "anchor",         "f:1:4: anchors and aliases",                 STR("a: &x 1\n") },
        { "alias",          "f:1:4: anchors and aliases",                 STR("a: *x\n") },
        { "anchored list",  "f:1:4: anchors and aliases",                 STR("a: &x [1]\n") },
        { "tag",            "f:1:4: tags (!) are not taken",              STR("a: !!str 12\n") },
        { "python object",  "f:1:1: tags (!) are not taken",              STR("!!python/object:os.system {a: b}\n") },
        { "duplicate key",  "f:3:1: 'a' is given twice",                  STR("a: 1\nb: 2\na: {x: [1, 2]}\n") },
        { "key is a list",  "f:1:1: a key must be a word",                STR("[a, b]: 1\n") },
        { "key is a list, long form", "f:1:3: a key must be a word",      STR("? [a, b]\n: 1\n") },
        { "tab",            "f:2:1: not YAML: found character that cannot start any token", STR("a:\n\tb: 1\n") },
        { "not closed",     "f:2:1: not YAML: did not find expected ',' or ']'", STR("a: [1\n") },
        { "two colons",     "f:1:5: not YAML: mapping values are not allowed in this context", STR("a: b: c\n") },
        { "NUL",            "f:2:3: a NUL byte: this is no text file in UTF-8", STR("a: 1\nb:\0 2\n") },
        { "UTF-16",         "f: is no text file in UTF-8",                STR("\xFF\xFE" "a:b") },
        { "UTF-16 no mark", "f:1:2: a NUL byte",                          STR("a\0:\0 \0b\0") },
        { "Latin-1",        "f: is no text file in UTF-8",                STR("name: M\xFCller\n") },
        { "bell",           "f:2:4: control characters are not allowed",  STR("\xC3\xA9: 1\nb: \a\n") },
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        test_row("%s", rows[i].name);
        struct arena a;
        struct problems ps = { 0 };
        (void)parse(&a, rows[i].text, &ps);
        CHECK_INT(ps.n, 1);
        CHECK_INT(ps.first.code, PIXL_E_INVALID);
        if (strstr(ps.first.msg, rows[i].problem) != ps.first.msg)
            CHECK_STR(str_of(ps.first.msg), rows[i].problem);
        arena_done(&a);
    }
}

/* head, then unit n times, then tail */
static struct str repeated(const char *head, const char *unit, size_t n, const char *tail)
{
    struct buf b;
    buf_init(&b, 64 * 1024 * 1024);
    (void)buf_add_cstr(&b, head);
    for (size_t i = 0; i < n; i++)
        (void)buf_add_cstr(&b, unit);
    (void)buf_add_cstr(&b, tail);
    REQUIRE(!b.failed);
    return buf_str(&b);
}

static void test_yaml_doc__size_count_and_depth_have_limits(void)
{
    const struct { const char *name; struct str text; const char *problem; } rows[] = {
        { "31 deep is fine",  repeated("", "[", 32, "x]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]"), NULL },
        { "33 deep",          repeated("", "[", 33, "x"), "f:1:33: nested deeper than 32 levels" },
        { "a million deep",   repeated("", "[", 1000 * 1000, ""), "nested deeper than 32 levels" },
        { "deep maps",        repeated("", "{a: ", 1000, ""), "nested deeper than 32 levels" },
        { "99,999 values",    repeated("", "- 1\n", 99999, ""), NULL },
        { "100,001 values",   repeated("", "- 1\n", 100000, ""), "f:100000:3: more than 100000 values in one file" },
        { "10 MB",            repeated("", "# 345678\n", 1200 * 1000, ""), "f: larger than 1048576 bytes" },
        { "one long line",    repeated("a: ", "x", 1000 * 1000, ""), NULL },
        { "quotes",           repeated("", "\"", 100 * 1000, ""), "f:1:3: not YAML" },
        { "question marks",   repeated("", "? ", 100 * 1000, ""), "a key must be a word" },
        { "dashes",           repeated("", "- ", 100 * 1000, ""), "nested deeper than 32 levels" },
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        test_row("%s", rows[i].name);
        struct arena a;
        struct problems ps = { 0 };
        struct yaml_node *node = parse(&a, rows[i].text, &ps);
        CHECK((node != NULL) == (rows[i].problem == NULL));
        if (rows[i].problem && strstr(ps.first.msg, rows[i].problem) == NULL)
            CHECK_STR(str_of(ps.first.msg), rows[i].problem);
        arena_done(&a);
        free((void *)(uintptr_t)rows[i].text.p);
    }
}

static void test_yaml_doc__a_map_has_few_keys(void)
{
    struct buf b;
    buf_init(&b, 1024 * 1024);
    for (int i = 0; i < 257; i++)
        (void)buf_addf(&b, "k%d: 1\n", i);
    struct arena a;
    struct problems ps = { 0 };
    CHECK(parse(&a, buf_str(&b), &ps) == NULL);
    CHECK_STR(str_of(ps.first.msg), "f:257:1: more than 256 keys in one map");
    CHECK_INT(ps.first.code, PIXL_E_LIMIT);
    arena_done(&a);
    buf_done(&b);
}

static void test_yaml_doc__a_bomb_of_aliases_does_not_go_off(void)
{
    struct arena a;
    struct problems ps = { 0 };
    CHECK(parse(&a, STR("a: &a [x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a]\n"
                        "c: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b]\nd: &d [*c,*c,*c,*c,*c,*c,*c,*c,*c]\n"), &ps) == NULL);
    CHECK_INT(ps.n, 1);
    CHECK(a.used_bytes < 64 * 1024);
    arena_done(&a);
}

static void test_yaml_doc__an_arena_that_is_full_is_out_of_memory(void)
{
    struct arena a;
    struct problems ps = { 0 };
    arena_init(&a, 500);
    CHECK(yaml_doc_parse(&a, "f", STR("[a, b, c, d, e, f, g, h]"), &ps) == NULL);
    CHECK_INT(ps.first.code, PIXL_E_NOMEM);
    arena_done(&a);
}

static void test_yaml_doc__unknown_keys_name_the_nearest(void)
{
    static const char *const keys[] = { "group", "element", "op" };
    struct arena a;
    struct problems ps = { 0 };
    struct yaml_node *node = parse(&a, STR("gruop: 1\nelement: 2\n<<: 3\n"), &ps);
    REQUIRE(node != NULL);
    CHECK(!yaml_check_map(node, "tag", keys, ARRAY_LEN(keys), &ps));
    CHECK_INT(ps.n, 2);
    CHECK_STR(str_of(ps.first.msg), "f:1:1: tag: unknown key 'gruop'; did you mean group?");
    arena_done(&a);
}

int main(int argc, char **argv)
{
    static const struct test_case tests[] = {
        TEST(test_yaml_doc__texts_are_what_they_look_like),
        TEST(test_yaml_doc__numbers_are_what_they_look_like),
        TEST(test_yaml_doc__places_count_from_one),
        TEST(test_yaml_doc__what_no_configuration_needs_is_refused),
        TEST(test_yaml_doc__size_count_and_depth_have_limits),
        TEST(test_yaml_doc__a_map_has_few_keys),
        TEST(test_yaml_doc__a_bomb_of_aliases_does_not_go_off),
        TEST(test_yaml_doc__an_arena_that_is_full_is_out_of_memory),
        TEST(test_yaml_doc__unknown_keys_name_the_nearest),
    };
    return test_main(argc, argv, tests, ARRAY_LEN(tests));
}
