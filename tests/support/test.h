/* test.h - what a C test program needs: checks, a process and a folder for each test, the closing line.
 *
 *   static void test_slug__empty_is_refused(void) { ... CHECK(...); }
 *   int main(int argc, char **argv)
 *   {
 *       static const struct test_case tests[] = { TEST(test_slug__empty_is_refused), };
 *       return test_main(argc, argv, tests, ARRAY_LEN(tests));
 *   }
 *
 * Each test runs in a child process with a fresh temporary folder (test_dir()), removed afterwards.  A test that ends
 * by a signal, or runs longer than test_timeout_s, has failed.  `program NAME...` runs only tests whose name contains a NAME. */
#ifndef PIXL_TEST_H
#define PIXL_TEST_H

#include <stdbool.h>
#include <stddef.h>

#include "base/attr.h"
#include "base/error.h"
#include "base/str.h"

struct test_case {
    const char *name;
    void (*run)(void);
};
#define TEST(fn) { #fn, fn }

int test_main(int argc, char **argv, const struct test_case *tests, size_t n);

/* The folder of this test; exists, empty, mode 0700. */
const char *test_dir(void);
/* test_dir()/name in a static ring of 16 buffers. */
const char *test_path(const char *name);

extern unsigned test_timeout_s;          /* 120; main may set it before test_main() */

/* CHECK notes a failure and goes on; REQUIRE ends the test there. */
#define CHECK(cond) test_check((cond), __FILE__, __LINE__, #cond)
#define REQUIRE(cond) do { if (!test_check((cond), __FILE__, __LINE__, #cond)) test_end(); } while (0)
/* A call that takes &err must succeed; prints the error when not. */
#define CHECK_OK(call, err) test_ok((call), &(err), __FILE__, __LINE__, #call)
#define REQUIRE_OK(call, err) do { if (!test_ok((call), &(err), __FILE__, __LINE__, #call)) test_end(); } while (0)
/* A call must fail with that code; err is cleared afterwards. */
#define CHECK_FAILS(call, err, want) test_fails((call), &(err), (want), __FILE__, __LINE__, #call)
#define CHECK_STR(got, want) test_str((got), (want), __FILE__, __LINE__, #got)
#define CHECK_INT(got, want) test_int((long long)(got), (long long)(want), __FILE__, __LINE__, #got)
/* Names the row of a table: printed with each failure until the next call. */
PIXL_PRINTF(1, 2) void test_row(const char *fmt, ...);
/* Ends this test as skipped; the reason is printed and counted. */
PIXL_PRINTF(1, 2) PIXL_NORETURN void test_skip(const char *fmt, ...);

bool test_check(bool ok, const char *file, int line, const char *what);
bool test_ok(bool ok, struct pixl_error *err, const char *file, int line, const char *what);
bool test_fails(bool ok, struct pixl_error *err, enum pixl_code want, const char *file, int line, const char *what);
bool test_str(struct str got, const char *want, const char *file, int line, const char *what);
bool test_int(long long got, long long want, const char *file, int line, const char *what);
PIXL_NORETURN void test_end(void);

#endif
