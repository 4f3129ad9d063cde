#include "base/error.h"

#include <errno.h>
#include <string.h>

#include "test.h"

static void test_error__every_code_has_its_own_name_and_text(void)
{
    for (int i = 0; i < PIXL_CODE_COUNT; i++) {
        test_row("code %d", i);
        CHECK(strlen(pixl_code_name((enum pixl_code)i)) > 0 && strlen(pixl_code_text((enum pixl_code)i)) > 0);
        for (int k = 0; k < i; k++)
            CHECK(strcmp(pixl_code_name((enum pixl_code)i), pixl_code_name((enum pixl_code)k)) != 0);
    }
    CHECK(pixl_code_name(PIXL_CODE_COUNT) != NULL && pixl_code_text((enum pixl_code)999) != NULL);
}

static void test_error__wrapping_puts_the_context_before_the_cause(void)
{
    struct pixl_error err = { 0 };
    CHECK(!pixl_fail(&err, PIXL_E_UNAVAILABLE, 503, "answer %d", 503));
    CHECK(!pixl_wrap(&err, "archive %s", "main"));
    CHECK_STR(str_of(err.msg), "archive main: answer 503");
    CHECK(err.code == PIXL_E_UNAVAILABLE && err.sys == 503);
    pixl_error_clear(&err);
    CHECK(err.code == PIXL_OK && err.sys == 0 && err.msg[0] == '\0');
}

static void test_error__a_long_message_is_cut_and_ended(void)
{
    struct pixl_error err = { 0 };
    char big[2000];
    memset(big, 'x', sizeof big - 1);
    big[sizeof big - 1] = '\0';
    CHECK(!pixl_fail(&err, PIXL_E_IO, 5, "%s", big));
    CHECK_INT(strlen(err.msg), sizeof err.msg - 1);
    CHECK(!pixl_wrap(&err, "outer"));
    CHECK_INT(strlen(err.msg), sizeof err.msg - 1);
    CHECK(strncmp(err.msg, "outer: xxx", 10) == 0 && err.sys == 5);
    CHECK(!pixl_wrap(&err, "%s", big));
    CHECK_INT(strlen(err.msg), sizeof err.msg - 1);
    pixl_error_clear(&err);
    CHECK(!pixl_fail_errno(&err, ENOENT, "%s", big));
    CHECK_INT(strlen(err.msg), sizeof err.msg - 1);
}

static void test_error__errno_leads_to_a_code_that_a_caller_acts_on(void)
{
    static const struct { int e; enum pixl_code want;
    } rows[] = {
        { ENOENT, PIXL_E_NOT_FOUND }, { ENOTDIR, PIXL_E_NOT_FOUND }, { EACCES, PIXL_E_DENIED },
        { EPERM, PIXL_E_DENIED },     { EROFS, PIXL_E_DENIED },      { ENOSPC, PIXL_E_NO_SPACE },
        { EDQUOT, PIXL_E_NO_SPACE },  { ENOMEM, PIXL_E_NOMEM },      { EEXIST, PIXL_E_EXISTS },
        { EIO, PIXL_E_IO },           { EMFILE, PIXL_E_IO },
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        test_row("errno %d", rows[i].e);
        struct pixl_error err = { 0 };
        CHECK(!pixl_fail_errno(&err, rows[i].e, "open"));
        CHECK(err.code == rows[i].want && err.sys == rows[i].e);
        CHECK(strncmp(err.msg, "open: ", 6) == 0 && strlen(err.msg) > 6);
    }
}

int main(int argc, char **argv)
{
    static const struct test_case tests[] = {
        TEST(test_error__every_code_has_its_own_name_and_text),
        TEST(test_error__wrapping_puts_the_context_before_the_cause),
        TEST(test_error__a_long_message_is_cut_and_ended),
        TEST(test_error__errno_leads_to_a_code_that_a_caller_acts_on),
    };
    return test_main(argc, argv, tests, ARRAY_LEN(tests));
}
