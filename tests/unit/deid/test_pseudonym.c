#include "deid/pseudonym.h"

#include <string.h>

#include "test.h"

static struct pseudonyms *make(const char *key, const char *salt, const char *local, const char *project)
{
    struct pixl_error err = { 0 };
    secret_auto k = { 0 };
    secret_auto s = { 0 };
    struct pseudonyms *p = NULL;
    REQUIRE_OK(secret_set(&k, str_of(key), &err), err);
    REQUIRE_OK(secret_set(&s, str_of(salt), &err), err);
    REQUIRE_OK(pseudonyms_new(&k, &s, str_of(local), str_of(project), &p, &err), err);
    return p;
}

#define pseudonyms_auto PIXL_CLEANUP(pseudonyms_freep) struct pseudonyms

static void test_pseudonym__text_is_what_the_python_hasher_gives(void)
{
    struct pixl_error err = { 0 };
    pseudonyms_auto *p = make("test-key", "a161577b49a9235a", "pixl_salt", "any");
    char out[PSEUDONYM_TEXT_MAX + 1];
    REQUIRE_OK(pseudonyms_text(p, phi_text(STR("test")), 64, out, &err), err);
    CHECK_STR(str_of(out), "cc8ab6f3e63235b45f3d00cbc4873efac59bf15cec4bdffd461882d57dfc010f");
    REQUIRE_OK(pseudonyms_text(p, phi_text(STR("test")), 16, out, &err), err);
    CHECK_STR(str_of(out), "b721eef65328a79c");
}

static void test_pseudonym__what_has_none_is_refused(void)
{
    struct pixl_error err = { 0 };
    pseudonyms_auto *p = make("k", "s", "", "p");
    char text[PSEUDONYM_TEXT_MAX + 1], uid[DICOM_UID_MAX + 1];
    CHECK_FAILS(pseudonyms_text(p, phi_text(STR("")), 64, text, &err), err, PIXL_E_INVALID);
    CHECK_FAILS(pseudonyms_text(p, phi_text(STR("x")), 32, text, &err), err, PIXL_E_INVALID);
    CHECK_FAILS(pseudonyms_uid(p, phi_text(STR("")), uid, &err), err, PIXL_E_INVALID);
    CHECK_FAILS(pseudonyms_uid(p, phi_text(STR("1.2.840.10008.1.2")), uid, &err), err, PIXL_E_INVALID);
    secret_auto k = { 0 };
    secret_auto empty = { 0 };
    struct pseudonyms *none = NULL;
    REQUIRE_OK(secret_set(&k, STR("k"), &err), err);
    REQUIRE_OK(secret_set(&empty, STR(""), &err), err);
    CHECK_FAILS(pseudonyms_new(&k, &empty, STR(""), STR("p"), &none, &err), err, PIXL_E_INVALID);
    CHECK_FAILS(pseudonyms_new(&empty, &k, STR(""), STR("p"), &none, &err), err, PIXL_E_INVALID);
    CHECK(none == NULL);
}

static void test_pseudonym__uids_agree_within_a_project_and_nowhere_else(void)
{
    struct pixl_error err = { 0 };
    char first[DICOM_UID_MAX + 1], out[DICOM_UID_MAX + 1];
    pseudonyms_auto *p = make("k", "s", "", "p");
    REQUIRE_OK(pseudonyms_uid(p, phi_text(STR("1.2.3")), first, &err), err);
    CHECK(strncmp(first, "2.25.", 5) == 0 && dicom_uid_is_plausible(str_of(first)));
    static const struct { const char *name, *key, *salt, *project, *uid; bool same; } rows[] = {
        { "the same again", "k", "s", "p", "1.2.3", true },
        { "another key", "k2", "s", "p", "1.2.3", false },
        { "another salt", "k", "s2", "p", "1.2.3", false },
        { "another project", "k", "s", "p2", "1.2.3", false },
        { "another UID", "k", "s", "p", "1.2.4", false },
        { "parts that join alike", "k", "s1", "p", ".2.3", false },
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        test_row("%s", rows[i].name);
        pseudonyms_auto *q = make(rows[i].key, rows[i].salt, "", rows[i].project);
        REQUIRE_OK(pseudonyms_uid(q, phi_text(str_of(rows[i].uid)), out, &err), err);
        CHECK_INT(strcmp(first, out) == 0, rows[i].same);
    }
}

static void test_pseudonym__key_check_tells_keys_apart(void)
{
    struct pixl_error err = { 0 };
    secret_auto a = { 0 };
    secret_auto b = { 0 };
    REQUIRE_OK(secret_set(&a, STR("key a"), &err), err);
    REQUIRE_OK(secret_set(&b, STR("key b"), &err), err);
    char one[17], again[17], other[17];
    REQUIRE_OK(pseudonyms_key_check(&a, one, &err), err);
    REQUIRE_OK(pseudonyms_key_check(&a, again, &err), err);
    REQUIRE_OK(pseudonyms_key_check(&b, other, &err), err);
    CHECK_STR(str_of(one), again);
    CHECK(strlen(one) == 16 && strcmp(one, other) != 0);
}

int main(int argc, char **argv)
{
    static const struct test_case tests[] = {
        TEST(test_pseudonym__text_is_what_the_python_hasher_gives),
        TEST(test_pseudonym__what_has_none_is_refused),
        TEST(test_pseudonym__uids_agree_within_a_project_and_nowhere_else),
        TEST(test_pseudonym__key_check_tells_keys_apart),
    };
    return test_main(argc, argv, tests, ARRAY_LEN(tests));
}
