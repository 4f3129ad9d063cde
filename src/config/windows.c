#include "windows.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/tz_file.h"

enum { DAY_S = 24 * 3600, LOOK_AHEAD_S = 9 * DAY_S };

/* --- reading -------------------------------------------------------------------------------------------------- */

struct reader {
    struct str text;
    size_t at;
};

static bool wrong(const struct reader *r, const char *what, struct pixl_error *err)
{
    return pixl_fail(err, PIXL_E_INVALID, 0, "at character %zu: %s", r->at + 1, what);
}

static void skip_blanks(struct reader *r)
{
    while (r->at < r->text.n && (r->text.p[r->at] == ' ' || r->text.p[r->at] == '\t'))
        r->at++;
}

static bool take(struct reader *r, char c)
{
    bool is_there = r->at < r->text.n && r->text.p[r->at] == c;
    r->at += is_there;
    return is_there;
}

static bool take_day(struct reader *r, int *day, struct pixl_error *err)
{
    static const char names[] = "sunmontuewedthufrisat";
    for (int i = 0; i < 7 && r->text.n - r->at >= 3; i++)
        if (str_eq_nocase((struct str){ r->text.p + r->at, 3 }, (struct str){ names + 3 * i, 3 })) {
            r->at += 3;
            *day = i;
            return true;
        }
    return wrong(r, "a day is wanted: mon, tue, wed, thu, fri, sat or sun", err);
}

static bool take_days(struct reader *r, unsigned *days, struct pixl_error *err)
{
    *days = 0;
    do {
        int first, last;
        if (!take_day(r, &first, err))
            return false;
        last = first;
        if (take(r, '-') && !take_day(r, &last, err))
            return false;
        for (int d = first;; d = (d + 1) % 7) {
            *days |= 1u << d;
            if (d == last)
                break;
        }
    } while (take(r, ','));
    return true;
}

/* Two digits. */
static bool take_two(struct reader *r, int most, int *out)
{
    if (r->text.n - r->at < 2)
        return false;
    const char *p = r->text.p + r->at;
    if (p[0] < '0' || p[0] > '9' || p[1] < '0' || p[1] > '9')
        return false;
    *out = (p[0] - '0') * 10 + (p[1] - '0');
    r->at += 2;
    return *out <= most;
}

static bool take_time(struct reader *r, int *out, struct pixl_error *err)
{
    int hours, minutes, seconds = 0;
    if (!take_two(r, 24, &hours) || !take(r, ':') || !take_two(r, 59, &minutes) ||
        (take(r, ':') && !take_two(r, 59, &seconds)) || (hours == 24 && minutes + seconds > 0))
        return wrong(r, "a time from 00:00 to 24:00 is wanted", err);
    *out = (hours * 60 + minutes) * 60 + seconds;
    return true;
}

static bool take_rate(struct reader *r, double *rate, struct pixl_error *err)
{
    size_t from = r->at;
    while (r->at < r->text.n && r->text.p[r->at] != ';')
        r->at++;
    struct str number = str_trim((struct str){ r->text.p + from, r->at - from });
    if (str_to_double(number, rate) && *rate > 0 && *rate <= 10000)
        return true;
    r->at = from;
    return wrong(r, "a rate above 0 and up to 10000 studies/s is wanted", err);
}

static bool take_window(struct reader *r, struct windows *out, struct pixl_error *err)
{
    const size_t first = out->n;
    struct window w = { .rate_per_s = -1 };
    skip_blanks(r);
    if (!take_days(r, &w.days, err))
        return false;
    if (!take(r, ' '))
        return wrong(r, "a blank and times are wanted behind the days", err);
    do {
        skip_blanks(r);
        if (!take_time(r, &w.from_s, err))
            return false;
        if (!take(r, '-'))
            return wrong(r, "'-' and a second time are wanted", err);
        if (!take_time(r, &w.to_s, err))
            return false;
        if (w.to_s <= w.from_s)
            return wrong(r, "ends before it begins (over midnight: 20:00-24:00,00:00-08:00)", err);
        if (out->n == WINDOWS_MAX)
            return wrong(r, "too many windows", err);
        out->list[out->n++] = w;
        skip_blanks(r);
    } while (take(r, ','));
    if (take(r, '@') && !take_rate(r, &w.rate_per_s, err))
        return false;
    for (size_t i = first; i < out->n; i++)
        out->list[i].rate_per_s = w.rate_per_s;
    return true;
}

bool windows_parse(struct str text, struct windows *out, struct pixl_error *err)
{
    struct reader r = { .text = text };
    struct windows w = { .n = 0 };
    do {
        if (!take_window(&r, &w, err))
            return false;
    } while (take(&r, ';'));
    if (r.at != text.n)
        return wrong(&r, "',', '@', ';' or the end is wanted", err);
    *out = w;
    return true;
}

/* --- asking --------------------------------------------------------------------------------------------------- */

static struct tm local(int64_t wall_us)
{
    struct tm tm = { 0 };
    time_t t = (time_t)(wall_us / 1000000);
    (void)localtime_r(&t, &tm);
    return tm;
}

bool windows_open(const struct windows *w, int64_t wall_us, double *rate_per_s)
{
    double most = -1;
    bool open = w->n == 0, all_say = true;
    const struct tm tm = local(wall_us);
    const int at_s = (tm.tm_hour * 60 + tm.tm_min) * 60 + tm.tm_sec;
    for (size_t i = 0; i < w->n; i++) {
        const struct window *one = &w->list[i];
        if (!(one->days >> tm.tm_wday & 1) || at_s < one->from_s || at_s >= one->to_s)
            continue;
        open = true;
        all_say = all_say && one->rate_per_s >= 0;
        most = one->rate_per_s > most ? one->rate_per_s : most;
    }
    if (rate_per_s != NULL)
        *rate_per_s = open && all_say ? most : -1;
    return open;
}

/* Minute by minute, as only the zone's own tables know what a clock shows; then back to the second. */
int64_t windows_opens_us(const struct windows *w, int64_t wall_us)
{
    const int64_t now_s = wall_us / 1000000;
    if (windows_open(w, wall_us, NULL))
        return wall_us;
    for (int64_t s = now_s - now_s % 60 + 60; s <= now_s + LOOK_AHEAD_S; s += 60) {
        if (!windows_open(w, s * 1000000, NULL))
            continue;
        while (s - 1 > now_s && windows_open(w, (s - 1) * 1000000, NULL))
            s--;
        return s * 1000000;
    }
    return INT64_MAX;
}

void windows_time(int64_t wall_us, char out[WINDOWS_TIME_SIZE])
{
    static const char *const days[] = { "Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat" };
    const struct tm tm = local(wall_us);
    (void)snprintf(out, WINDOWS_TIME_SIZE, "%s %02u:%02u", days[tm.tm_wday], (unsigned)tm.tm_hour % 100u,
                   (unsigned)tm.tm_min % 100u);
}

bool windows_is_zone(const char *tz)
{
    if (tz == NULL || tz[0] == '\0' || strcmp(tz, "UTC") == 0 || strpbrk(tz, "0123456789:") != NULL)
        return true; /* the system's own; or a rule of POSIX, which is not looked up */
    return tz_file_is_there(str_of(tz));
}
