#include "supervise.h"

#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/attr.h"

/* Never returns: the child's life. */
PIXL_NORETURN static void live(int (*work)(void *ctx), void *ctx, pid_t parent, const sigset_t *signals_before)
{
    (void)setpgid(0, 0);
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    (void)sigprocmask(SIG_SETMASK, signals_before, NULL);
    if (getppid() != parent)
        _exit(EX_TEMPFAIL);                  /* it died before the line above */
    exit(work(ctx));
}

/* Waits for the child, handing signals on.  *told: it was told to stop. */
static int wait_for(pid_t child, const sigset_t *signals, bool *told)
{
    for (;;) {
        int status;
        pid_t got = waitpid(child, &status, WNOHANG);
        if (got == child)
            return status;
        int signal = sigwaitinfo(signals, NULL);
        if (signal == SIGINT || signal == SIGTERM) {
            *told = true;
            (void)kill(child, signal);
        }
    }
}

int supervise(int (*work)(void *ctx), void *ctx, int restarts_max, void (*said)(int signal, int again))
{
    sigset_t signals, before;
    bool told = false;
    int result = EX_SOFTWARE;
    (void)sigemptyset(&signals);
    (void)sigaddset(&signals, SIGINT);
    (void)sigaddset(&signals, SIGTERM);
    (void)sigaddset(&signals, SIGCHLD);
    (void)sigprocmask(SIG_BLOCK, &signals, &before);
    for (int life = 0; life <= restarts_max; life++) {
        const pid_t self = getpid();
        (void)fflush(NULL);                  /* what is buffered is written once, not by both */
        pid_t child = fork();
        if (child == 0)
            live(work, ctx, self, &before);
        if (child < 0)
            break;
        int status = wait_for(child, &signals, &told);
        if (WIFEXITED(status)) {
            result = WEXITSTATUS(status);
            break;
        }
        if (told) {
            result = EX_TEMPFAIL;
            break;
        }
        said(WTERMSIG(status), life < restarts_max);
    }
    (void)sigprocmask(SIG_SETMASK, &before, NULL);
    return result;
}
