#include "python_server.h"

#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "python.h"
#include "test.h"

void python_server_start(struct python_server *s, const char *script, char *ready, size_t size)
{
    const char *argv[] = { NULL, script, NULL };
    char line[1024] = "";
    int in = -1, out = -1;
    s->pid = python_start(argv, &in, &out);
    s->to = fdopen(in, "w");
    s->from = fdopen(out, "r");
    if (s->pid < 0 || s->to == NULL || s->from == NULL || fgets(line, sizeof line, s->from) == NULL || strncmp(line, "ready ", 6) != 0) {
        printf("%s could not be started\n0 passed, 1 failed, 0 skipped\n", script);
        exit(1);
    }
    line[strcspn(line, "\n")] = '\0';
    (void)snprintf(ready, size, "%s", line + 6);
}

const char *python_server_ask(struct python_server *s, const char *command)
{
    static unsigned number;
    static char got[1024];
    char start[32];
    number = (unsigned)getpid() * 1000 + (number + 1) % 1000;
    fprintf(s->to, "%u %s\n", number, command);
    (void)fflush(s->to);
    size_t n = (size_t)snprintf(start, sizeof start, "%u ", number);
    do {
        REQUIRE(fgets(got, sizeof got, s->from) != NULL);
    } while (strncmp(got, start, n) != 0);   /* what a test that was killed did not read */
    got[strcspn(got, "\n")] = '\0';
    return got + n;
}

void python_server_stop(struct python_server *s)
{
    int status;
    (void)fclose(s->to);
    (void)waitpid(s->pid, &status, 0);
    (void)fclose(s->from);
}
