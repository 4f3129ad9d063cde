/* python.h - programs of tests/support in Python, started by C tests. */
#ifndef PIXL_TEST_PYTHON_H
#define PIXL_TEST_PYTHON_H

#include <sys/types.h>

/* Starts python3 on tests/support/<argv[1]>; argv[0] is set here, NULL is its end.  -1 when that fails.
 *   *in, *out   the write end of its standard input, the read end of its output; CLOEXEC */
pid_t python_start(const char **argv, int *in, int *out);

#endif
