#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <string.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/fs.h"
#include "test.h"

static int fd = -1;

static void start(enum log_level level)
{
    fd = open(test_path("log"), O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    REQUIRE(fd >= 0);
    log_setup(level, fd);
}

/* All that was logged, and what stands behind the time of its only line. */
static struct str logged(void)
{
    static char text[1 << 20];
    ssize_t n = pread(fd, text, sizeof text, 0);
    REQUIRE(n >= 0);
    return (struct str){ text, (size_t)n };
}

static struct str only_line(void)
{
    struct str s = logged(), rest, line;
    REQUIRE(s.n > 28 && s.p[s.n - 1] == '\n' && memchr(s.p, '\n', s.n) == s.p + s.n - 1);
    (void)str_split((struct str){ s.p, s.n - 1 }, ' ', &rest, &line);
    return line;
}

static void test_log__a_line_has_time_level_event_and_pairs(void)
{
    start(LOG_INFO);
    errno = EBADF;
    log_event(LOG_WARN, "study.exported", "image=%d project=%s", 4711, "p");
    CHECK_INT(errno, EBADF);
    CHECK_STR(only_line(), "warn study.exported image=4711 project=p");
    struct str all = logged();
    CHECK(all.p[4] == '-' && all.p[10] == 'T' && all.p[19] == '.' && all.p[26] == 'Z');
}

static void test_log__below_the_level_nothing_is_written(void)
{
    start(LOG_WARN);
    log_event(LOG_INFO, "a.b", "x=%d", 1);
    log_event(LOG_DEBUG, "a.b", "x=%d", 1);
    CHECK_INT(logged().n, 0);
    log_setup(LOG_OFF, fd);
    log_event(LOG_ERROR, "a.b", "x=%d", 1);
    CHECK_INT(logged().n, 0);
}

static void test_log__no_value_forges_a_line(void)
{
    static const struct { const char *name, *value, *want; } rows[] = {
        { "line feed", "a\n2026 info forged", "info e v=a?2026 info forged" },
        { "carriage return", "a\rb", "info e v=a?b" },
        { "escape and delete", "\x1b[2J\x7f", "info e v=?[2J?" },
        { "C1 control", "a\xC2\x9B" "b", "info e v=a??b" },
        { "line separator", "a\xE2\x80\xA8" "b", "info e v=a???b" },
        { "letters stay", "Cr\xC3\xA8me \xE2\x80\x94", "info e v=Cr\xC3\xA8me \xE2\x80\x94" },
        { "half a character at the end", "a\xC2", "info e v=a\xC2" },
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        test_row("%s", rows[i].name);
        start(LOG_INFO);
        REQUIRE(ftruncate(fd, 0) == 0);
        log_event(LOG_INFO, "e", "v=%s", rows[i].value);
        CHECK_STR(only_line(), rows[i].want);
        (void)close(fd);
    }
}

static void test_log__long_lines_are_cut_between_characters(void)
{
    char big[5000];
    start(LOG_INFO);
    for (size_t shift = 0; shift < 2; shift++) {
        REQUIRE(ftruncate(fd, 0) == 0);
        memset(big, 'x', shift);
        for (size_t i = shift; i + 1 < sizeof big; i += 2) {
            big[i] = (char)0xC3;
            big[i + 1] = (char)0xA9;
        }
        big[sizeof big - 2 + shift] = '\0';
        log_event(LOG_INFO, "e", "v=%s", big);
        struct str s = logged();
        CHECK(s.n <= 2001 && s.n >= 1999 && s.p[s.n - 1] == '\n' && str_is_utf8(s));
    }
}

static void test_log__a_log_that_cannot_be_written_stops_nothing(void)
{
    log_setup(LOG_INFO, -1);
    log_event(LOG_INFO, "e", "v=%d", 1);
    CHECK(true);
}

static void *write_many(void *arg)
{
    for (int i = 0; i < 500; i++)
        log_event(LOG_INFO, "t", "who=%s pad=%s end=1", (const char *)arg,
                  "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx");
    return NULL;
}

static void test_log__lines_of_threads_are_never_torn(void)
{
    static char who[4][2] = { "a", "b", "c", "d" };
    pthread_t t[4];
    start(LOG_INFO);
    for (size_t i = 0; i < 4; i++)
        REQUIRE(pthread_create(&t[i], NULL, write_many, who[i]) == 0);
    for (size_t i = 0; i < 4; i++)
        REQUIRE(pthread_join(t[i], NULL) == 0);
    struct str rest = logged(), line;
    int n = 0;
    while (str_split(rest, '\n', &line, &rest)) {
        n++;
        CHECK(line.n > 50 && str_eq((struct str){ line.p + line.n - 6, 6 }, STR(" end=1")));
    }
    CHECK_INT(n, 2000);
}

static void test_log__levels_are_parsed_in_any_case(void)
{
    static const struct { const char *text; bool ok; enum log_level want;
    } rows[] = {
        { "debug", true, LOG_DEBUG },
        { "INFO", true, LOG_INFO },
        { "Warn", true, LOG_WARN },
        { "WARNING", true, LOG_WARN },
        { "error", true, LOG_ERROR },
        { "off", true, LOG_OFF },
        { "", false, 0 },
        { "loud", false, 0 },
        { "infos", false, 0 },
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        test_row("'%s'", rows[i].text);
        enum log_level got = LOG_OFF;
        CHECK(log_level_parse(str_of(rows[i].text), &got) == rows[i].ok);
        CHECK(got == (rows[i].ok ? rows[i].want : LOG_OFF));
    }
}

int main(int argc, char **argv)
{
    static const struct test_case tests[] = {
        TEST(test_log__a_line_has_time_level_event_and_pairs),
        TEST(test_log__below_the_level_nothing_is_written),
        TEST(test_log__no_value_forges_a_line),
        TEST(test_log__long_lines_are_cut_between_characters),
        TEST(test_log__a_log_that_cannot_be_written_stops_nothing),
        TEST(test_log__lines_of_threads_are_never_torn),
        TEST(test_log__levels_are_parsed_in_any_case),
    };
    return test_main(argc, argv, tests, ARRAY_LEN(tests));
}
