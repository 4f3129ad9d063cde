#include "work_internal.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

extern char **environ;

static bool start(const char *program, const struct store_image *image, pid_t *pid, struct pixl_error *err)
{
    char number[32], fence[32], parent[32];
    (void)snprintf(number, sizeof number, "%lld", (long long)image->id);
    (void)snprintf(fence, sizeof fence, "%lld", (long long)image->fence);
    (void)snprintf(parent, sizeof parent, "%ld", (long)getpid());
    char name[] = "pixl", command[] = "work-one";
    char *argv[] = { name, command, number, fence, parent, NULL };
    posix_spawnattr_t attr;
    sigset_t none;
    int rc = posix_spawnattr_init(&attr);
    if (rc == 0) {
        /* A group of its own: Ctrl-C at the terminal is the parent's to understand. */
        (void)sigemptyset(&none);
        (void)posix_spawnattr_setsigmask(&attr, &none);
        (void)posix_spawnattr_setpgroup(&attr, 0);
        (void)posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETPGROUP);
        rc = posix_spawn(pid, program, NULL, &attr, argv, environ);
        (void)posix_spawnattr_destroy(&attr);
    }
    return rc == 0 || pixl_fail_errno(err, rc, "starting a child for image %lld", (long long)image->id);
}

/* Waits for the child; kills it when told to give up.  *killed: it was us. */
static int wait_for(pid_t pid, const struct extract *x, bool *killed)
{
    int fd = (int)syscall(SYS_pidfd_open, pid, 0);
    *killed = false;
    for (;;) {
        struct pollfd p = { .fd = fd, .events = POLLIN };
        (void)poll(fd >= 0 ? &p : NULL, fd >= 0 ? 1 : 0, 200);
        int status;
        pid_t got = waitpid(pid, &status, WNOHANG);
        if (got == pid || (got < 0 && errno != EINTR)) {
            if (fd >= 0)
                (void)close(fd);
            return got == pid ? status : -1;
        }
        if (!*killed && extract_must_end(x)) {
            *killed = true;
            (void)kill(pid, SIGKILL);
        }
    }
}

bool work_in_child(const char *program, const struct store_image *image, const struct extract *x, struct extract_result *r,
                   struct pixl_error *err)
{
    pid_t pid;
    bool killed;
    *r = (struct extract_result){ .outcome = STUDY_OUT_RETRY, .stage = EXTRACT_DEIDENTIFY, .reason = STUDY_WHY_DEIDENTIFY_ERROR };
    if (!start(program, image, &pid, err))
        return false;
    int status = wait_for(pid, x, &killed);
    if (killed) {
        r->outcome = STUDY_OUT_CANCELLED;
        r->reason = STUDY_WHY_STOPPED;
    } else if (status >= 0 && WIFSIGNALED(status)) {
        r->outcome = STUDY_OUT_FAILED;
        r->reason = STUDY_WHY_CRASHED;
        (void)snprintf(r->detail, sizeof r->detail, "signal %d", WTERMSIG(status));
    } else if (status >= 0 && WEXITSTATUS(status) == EX_TEMPFAIL) {      /* it could not even begin */
        r->outcome = STUDY_OUT_UNAVAILABLE;
        r->stage = EXTRACT_SPOOL;
        pixl_fail(&r->error, PIXL_E_UNAVAILABLE, 0, "the archive or the state directory cannot be used just now");
    } else {
        (void)snprintf(r->detail, sizeof r->detail, "child ended with %d", status >= 0 ? WEXITSTATUS(status) : -1);
    }
    return true;
}
