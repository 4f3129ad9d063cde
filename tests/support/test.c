#include "test.h"

#include <ftw.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { EXIT_FAILED = 1, EXIT_SKIPPED = 77 };

unsigned test_timeout_s = 120;

static int failures;
static char row[256];
static char dir[512];

const char *test_dir(void) { return dir; }

const char *test_path(const char *name)
{
    static char ring[16][1024];
    static unsigned next;
    char *p = ring[next++ % ARRAY_LEN(ring)];
    (void)snprintf(p, sizeof ring[0], "%s/%s", dir, name);
    return p;
}

void test_row(const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(row, sizeof row, fmt, ap);
    va_end(ap);
}

static void failed_at(const char *file, int line)
{
    failures++;
    const char *base = strrchr(file, '/');
    printf("    %s:%d: ", base ? base + 1 : file, line);
    if (row[0])
        printf("[%s] ", row);
}

bool test_check(bool ok, const char *file, int line, const char *what)
{
    if (!ok) {
        failed_at(file, line);
        printf("%s\n", what);
    }
    return ok;
}

bool test_ok(bool ok, struct pixl_error *err, const char *file, int line, const char *what)
{
    if (!ok) {
        failed_at(file, line);
        printf("%s: [%s] %s\n", what, pixl_code_name(err->code), err->msg);
        pixl_error_clear(err);
    }
    return ok;
}

bool test_fails(bool ok, struct pixl_error *err, enum pixl_code want, const char *file, int line, const char *what)
{
    bool good = !ok && err->code == want && err->msg[0] != '\0';
    if (!good) {
        failed_at(file, line);
        printf("%s: wanted failure '%s', got %s '%s' %s\n", what, pixl_code_name(want),
               ok ? "success" : "failure", pixl_code_name(err->code), err->msg);
    }
    pixl_error_clear(err);
    return good;
}

bool test_str(struct str got, const char *want, const char *file, int line, const char *what)
{
    bool ok = str_eq(got, str_of(want));
    if (!ok) {
        failed_at(file, line);
        printf("%s: got '%.*s', wanted '%s'\n", what, STR_ARG(got), want);
    }
    return ok;
}

bool test_int(long long got, long long want, const char *file, int line, const char *what)
{
    if (got != want) {
        failed_at(file, line);
        printf("%s: got %lld, wanted %lld\n", what, got, want);
    }
    return got == want;
}

void test_end(void)
{
    (void)fflush(NULL);
    exit(failures ? EXIT_FAILED : 0);       /* exit: the leak checker runs */
}

void test_skip(const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    printf("    skipped: ");
    vprintf(fmt, ap);
    printf("\n");
    va_end(ap);
    (void)fflush(NULL);
    exit(EXIT_SKIPPED);
}

static int remove_one(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
    (void)ftw;
    if (flag == FTW_D || flag == FTW_DNR)
        (void)chmod(path, 0700);
    (void)st;
    return 0;
}

static int unlink_one(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
    (void)st; (void)flag; (void)ftw;
    return remove(path);
}

static void remove_dir(void)
{
    (void)nftw(dir, remove_one, 16, FTW_PHYS);          /* a test may have taken its own rights away */
    (void)nftw(dir, unlink_one, 16, FTW_DEPTH | FTW_PHYS);
}

static int run_one(const struct test_case *t)
{
    const char *tmp = getenv("TMPDIR");
    (void)snprintf(dir, sizeof dir, "%s/pixl-test-XXXXXX", tmp && *tmp ? tmp : "/tmp");
    if (mkdtemp(dir) == NULL) {
        perror("mkdtemp");
        return EXIT_FAILED;
    }
    (void)fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        (void)alarm(test_timeout_s);
        failures = 0;
        t->run();
        test_end();
    }
    int status = 0;
    if (pid < 0 || waitpid(pid, &status, 0) != pid) {
        perror("fork");
        status = EXIT_FAILED << 8;
    }
    if (WIFSIGNALED(status))
        printf("    ended by signal %d (%s)\n", WTERMSIG(status), strsignal(WTERMSIG(status)));
    remove_dir();
    return WIFEXITED(status) ? WEXITSTATUS(status) : EXIT_FAILED;
}

static bool is_wanted(const char *name, int argc, char **argv)
{
    for (int i = 1; i < argc; i++)
        if (strstr(name, argv[i]))
            return true;
    return argc < 2;
}

int test_main(int argc, char **argv, const struct test_case *tests, size_t n)
{
    size_t passed = 0, failed = 0, skipped = 0;
    for (size_t i = 0; i < n; i++) {
        if (!is_wanted(tests[i].name, argc, argv))
            continue;
        int rc = run_one(&tests[i]);
        const char *word = rc == 0 ? "ok" : rc == EXIT_SKIPPED ? "skip" : "FAIL";
        printf("%-5s %s\n", word, tests[i].name);
        *(rc == 0 ? &passed : rc == EXIT_SKIPPED ? &skipped : &failed) += 1;
    }
    printf("%zu passed, %zu failed, %zu skipped\n", passed, failed, skipped);
    return failed != 0;
}
