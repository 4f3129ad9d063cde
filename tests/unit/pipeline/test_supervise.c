#include "pipeline/supervise.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

#include "test.h"

/* What a made-up work does: crashes so often, by that signal, then ends with that code.  Lives are counted in a file. */
struct script {
    int crashes, signal, code;
};
static int told_crashes, told_again;

static void said(int signal, int again)
{
    (void)signal;
    told_crashes++;
    told_again += again;
}

static int lives(bool add)
{
    int fd = open(test_path("lives"), O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (add && write(fd, "x", 1) != 1)
        abort();
    int n = (int)lseek(fd, 0, SEEK_END);
    (void)close(fd);
    return n;
}

static int play(void *ctx)
{
    const struct script *s = ctx;
    if (lives(true) <= s->crashes) {
        (void)signal(s->signal, SIG_DFL);        /* a sanitizer has its own idea of some */
        (void)raise(s->signal);
    }
    return s->code;
}

static void test_supervise__gives_back_what_the_work_returns(void)
{
    struct script s = { .code = 3 };
    CHECK_INT(supervise(play, &s, 5, said), 3);
    CHECK_INT(lives(false), 1);
    CHECK_INT(told_crashes, 0);
}

static void test_supervise__starts_crashed_work_again(void)
{
    static const int signals[] = { SIGSEGV, SIGABRT, SIGKILL, SIGBUS };
    for (size_t i = 0; i < ARRAY_LEN(signals); i++) {
        struct script s = { .crashes = 2, .signal = signals[i], .code = 1 };
        test_row("signal %d", signals[i]);
        (void)unlink(test_path("lives"));
        told_crashes = told_again = 0;
        CHECK_INT(supervise(play, &s, 5, said), 1);
        CHECK_INT(lives(false), 3);
        CHECK(told_crashes == 2 && told_again == 2);
    }
}

static void test_supervise__gives_up_after_so_many_crashes(void)
{
    struct script s = { .crashes = 100, .signal = SIGABRT };
    CHECK_INT(supervise(play, &s, 3, said), EX_SOFTWARE);
    CHECK_INT(lives(false), 4);
    CHECK(told_crashes == 4 && told_again == 3);
}

/* Ends only when it is told to, by a signal that it takes as `work` does. */
static int until_told(void *ctx)
{
    sigset_t wanted;
    (void)ctx;
    (void)sigemptyset(&wanted);
    (void)sigaddset(&wanted, SIGINT);
    (void)sigaddset(&wanted, SIGTERM);
    (void)sigprocmask(SIG_BLOCK, &wanted, NULL);
    (void)lives(true);
    return sigwaitinfo(&wanted, NULL) == SIGTERM ? 42 : 43;
}

/* Runs the supervisor in a process of its own, so that it can be sent signals. */
static pid_t supervised(void)
{
    (void)fflush(NULL);
    pid_t pid = fork();
    if (pid == 0)
        _exit(supervise(until_told, NULL, 5, said));
    while (lives(false) == 0)
        (void)usleep(1000);
    return pid;
}

static void test_supervise__hands_signals_on(void)
{
    int status;
    pid_t pid = supervised();
    CHECK(kill(pid, SIGTERM) == 0);
    REQUIRE(waitpid(pid, &status, 0) == pid);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 42);
    CHECK_INT(lives(false), 1);
}

static void test_supervise__takes_its_work_with_it_when_it_is_killed(void)
{
    int status, ends[2];
    REQUIRE(pipe(ends) == 0);                    /* the work inherits an end: it closes when the last holder is gone */
    pid_t pid = supervised();
    (void)close(ends[1]);
    CHECK(kill(pid, SIGKILL) == 0);
    REQUIRE(waitpid(pid, &status, 0) == pid);
    char c;
    CHECK_INT(read(ends[0], &c, 1), 0);
    CHECK_INT(lives(false), 1);
}

int main(int argc, char **argv)
{
    static const struct test_case tests[] = {
        TEST(test_supervise__gives_back_what_the_work_returns),
        TEST(test_supervise__starts_crashed_work_again),
        TEST(test_supervise__gives_up_after_so_many_crashes),
        TEST(test_supervise__hands_signals_on),
        TEST(test_supervise__takes_its_work_with_it_when_it_is_killed),
    };
    return test_main(argc, argv, tests, ARRAY_LEN(tests));
}
