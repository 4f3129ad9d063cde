#include "python.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

pid_t python_start(const char **argv, int *in, int *out)
{
    char script[1024];
    (void)snprintf(script, sizeof script, "%s/tests/support/%s", PIXL_SOURCE_DIR, argv[1]);
    argv[0] = "python3";
    argv[1] = script;
    int feed[2], answer[2];
    if (pipe2(feed, O_CLOEXEC) != 0 || pipe2(answer, O_CLOEXEC) != 0)
        return -1;
    pid_t pid = fork();
    if (pid == 0) {
        (void)dup2(feed[0], 0);
        (void)dup2(answer[1], 1);
        (void)setenv("PYTHONDONTWRITEBYTECODE", "1", 1);
        (void)unsetenv("LD_PRELOAD");
        union {
            const char **p;
            char *const *exec;
        } args = { argv };
        (void)execv("/usr/bin/python3", args.exec);
        _exit(127);
    }
    (void)close(feed[0]);
    (void)close(answer[1]);
    *in = feed[1];
    *out = answer[0];
    return pid;
}
