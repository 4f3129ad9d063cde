/* tidy.h - included first by clang-tidy only (tools/lint): the functions that set an error return false, always.
 * Without it the analyzer follows paths on which a failed call seems to have succeeded. */
#include "base/error.h"
#include "config/problems.h"
#define pixl_fail(...) (pixl_fail(__VA_ARGS__), false)
#define pixl_wrap(...) (pixl_wrap(__VA_ARGS__), false)
#define pixl_fail_errno(...) (pixl_fail_errno(__VA_ARGS__), false)
#define problem_at(...) (problem_at(__VA_ARGS__), false)
#define problem_of(...) (problem_of(__VA_ARGS__), false)
#define problem_nomem(...) (problem_nomem(__VA_ARGS__), false)
