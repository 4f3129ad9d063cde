/* python_server.h - a server in Python (tests/support) beside a test program: obeys lines on its standard input, "NUMBER COMMAND", each answered
 * by "NUMBER ANSWER"; ends with that input, also when the program is killed. */
#ifndef PIXL_TEST_PYTHON_SERVER_H
#define PIXL_TEST_PYTHON_SERVER_H

#include <stdio.h>
#include <sys/types.h>

struct python_server {
    FILE *to, *from;
    pid_t pid;
};

/* *ready: the words behind "ready" in its first line.  Ends the program when there is none. */
void python_server_start(struct python_server *s, const char *script, char *ready, size_t size);
/* The answer, in a static buffer.  Ends the test when there is none. */
const char *python_server_ask(struct python_server *s, const char *command);
void python_server_stop(struct python_server *s);

#endif
