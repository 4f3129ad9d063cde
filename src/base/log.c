#include "log.h"

#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "clock.h"

enum { LINE_MAX_BYTES = 2000 };

/* The one piece of state: set by main before threads start, so that every room that logs need not be handed it. */
static atomic_int min_level = LOG_INFO;
static atomic_int out_fd = 2;

void log_setup(enum log_level level, int fd)
{
    atomic_store(&min_level, (int)level);
    atomic_store(&out_fd, fd);
}

static const char *const level_name[] = {
    [LOG_DEBUG] = "debug", [LOG_INFO] = "info", [LOG_WARN] = "warn", [LOG_ERROR] = "error", [LOG_OFF] = "off",
};

bool log_level_parse(struct str s, enum log_level *out)
{
    for (size_t i = 0; i < ARRAY_LEN(level_name); i++)
        if (str_eq_nocase(s, str_of(level_name[i]))) {
            *out = (enum log_level)i;
            return true;
        }
    if (!str_eq_nocase(s, STR("warning")))
        return false;
    *out = LOG_WARN;
    return true;
}

/* '?' for whatever a terminal or a log reader would take for more than text: C0 and C1 controls, DEL, and Unicode's
 * own line breaks. */
static void defuse(char *line, size_t n)
{
    unsigned char *p = (unsigned char *)line;
    for (size_t i = 0; i < n; i++) {
        bool is_c1 = p[i] == 0xC2 && i + 1 < n && p[i + 1] >= 0x80 && p[i + 1] <= 0x9F;
        bool is_break = p[i] == 0xE2 && i + 2 < n && p[i + 1] == 0x80 && (p[i + 2] == 0xA8 || p[i + 2] == 0xA9);
        size_t bad = is_break ? 3 : is_c1 ? 2 : p[i] < 0x20 || p[i] == 0x7F ? 1 : 0;
        if (bad > 0) {
            memset(p + i, '?', bad);
            i += bad - 1;
        }
    }
}

/* The length after a character that was cut in two is dropped from the end. */
static size_t whole_characters(const char *line, size_t n)
{
    size_t i = n;
    while (i > 0 && n - i < 4 && ((unsigned char)line[i - 1] & 0xC0) == 0x80)
        i--;
    if (i == 0 || (unsigned char)line[i - 1] < 0xC0)
        return n;
    unsigned char lead = (unsigned char)line[i - 1];
    size_t wants = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : 2;
    return n - (i - 1) < wants ? i - 1 : n;
}

void log_event(enum log_level level, const char *event, const char *fmt, ...)
{
    assert(level < LOG_OFF);
    if ((int)level < atomic_load_explicit(&min_level, memory_order_relaxed))
        return;
    int saved = errno;
    char line[LINE_MAX_BYTES + 2], now[CLOCK_ISO_SIZE];
    clock_iso(clock_wall_us(), now);
    int head = snprintf(line, sizeof line - 1, "%s %s %s ", now, level_name[level], event);
    size_t n = head < 0 ? 0 : (size_t)head;
    if (n < LINE_MAX_BYTES) {
        va_list ap;
        va_start(ap, fmt);
        int more = vsnprintf(line + n, sizeof line - 1 - n, fmt, ap);
        va_end(ap);
        n += more < 0 ? 0 : (size_t)more;
    }
    if (n > LINE_MAX_BYTES)
        n = whole_characters(line, LINE_MAX_BYTES);
    defuse(line, n);
    line[n] = '\n';
    /* One write, so that lines of threads and processes do not mix; a log that cannot be written stops nothing. */
    while (write(atomic_load_explicit(&out_fd, memory_order_relaxed), line, n + 1) < 0 && errno == EINTR)
        ;
    errno = saved;
}
