/* EXPECT: format string is not a string literal|format not a string literal */
#include "base/error.h"
bool wrong(const char *text, struct pixl_error *err);
bool wrong(const char *text, struct pixl_error *err) { return pixl_fail(err, PIXL_E_IO, 0, text); }
