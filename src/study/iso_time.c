#include "iso_time.h"

#include <stdio.h>
#include <string.h>

enum { DAY_S = 86400 };

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* Exactly n digits off the front of *s. */
static bool take_number(struct str *s, size_t n, int *out)
{
    if (s->n < n)
        return false;
    int v = 0;
    for (size_t i = 0; i < n; i++) {
        if (!is_digit(s->p[i]))
            return false;
        v = v * 10 + (s->p[i] - '0');
    }
    *s = (struct str){ s->p + n, s->n - n };
    *out = v;
    return true;
}

static bool take_char(struct str *s, char c)
{
    if (s->n == 0 || s->p[0] != c)
        return false;
    *s = (struct str){ s->p + 1, s->n - 1 };
    return true;
}

static bool is_leap(int year)
{
    return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
}

bool iso_time_is_day(int year, int month, int day)
{
    static const int days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
    if (year < 1 || year > 9999 || month < 1 || month > 12)
        return false;
    return day >= 1 && day <= days[month - 1] + (month == 2 && is_leap(year) ? 1 : 0);
}

/* ".123", at least one digit. */
static bool take_fraction(struct str *s, int *microsecond)
{
    int v = 0, digits = 0;
    for (; s->n > 0 && is_digit(s->p[0]); *s = (struct str){ s->p + 1, s->n - 1 })
        if (digits++ < 6)
            v = v * 10 + (s->p[0] - '0');
    if (digits == 0 || digits > 9)
        return false;
    for (; digits < 6; digits++)
        v *= 10;
    *microsecond = v;
    return true;
}

static bool take_clock(struct str *s, struct iso_time *t)
{
    if (!take_number(s, 2, &t->hour) || !take_char(s, ':') || !take_number(s, 2, &t->minute))
        return false;
    if (take_char(s, ':') &&
        (!take_number(s, 2, &t->second) || (take_char(s, '.') && !take_fraction(s, &t->microsecond))))
        return false;
    return t->hour < 24 && t->minute < 60 && t->second < 60;
}

static bool set_offset(struct iso_time *t, int sign, int h, int m, int s)
{
    t->has_offset = true;
    t->offset_s = sign * (h * 3600 + m * 60 + s);
    return h < 24 && m < 60 && s < 60;
}

static bool take_offset(struct str *s, struct iso_time *t)
{
    if (s->n == 0)
        return true;
    if (take_char(s, 'Z') || take_char(s, 'z'))
        return set_offset(t, 1, 0, 0, 0);
    int sign = s->p[0] == '-' ? -1 : 1, h, m = 0, sec = 0;
    if (!take_char(s, '+') && !take_char(s, '-'))
        return false;
    if (!take_number(s, 2, &h))
        return false;
    if (take_char(s, ':')) {
        if (!take_number(s, 2, &m) || (take_char(s, ':') && !take_number(s, 2, &sec)))
            return false;
    } else if (s->n > 0 && !take_number(s, 2, &m)) {
        return false;
    }
    return set_offset(t, sign, h, m, sec);
}

bool iso_time_parse(struct str text, struct iso_time *out)
{
    struct iso_time t = { 0 };
    struct str s = text;
    if (!take_number(&s, 4, &t.year) || !take_char(&s, '-') || !take_number(&s, 2, &t.month) || !take_char(&s, '-') ||
        !take_number(&s, 2, &t.day) || !iso_time_is_day(t.year, t.month, t.day))
        return false;
    if (s.n > 0) {
        if (!take_char(&s, 'T') && !take_char(&s, ' '))
            return false;
        if (!take_clock(&s, &t) || !take_offset(&s, &t) || s.n > 0)
            return false;
    }
    *out = t;
    return true;
}

/* Years that begin in March make the leap day the last one. */
int64_t iso_time_day_number(int year, int month, int day)
{
    int64_t y = month <= 2 ? year - 1 : year;
    int64_t era = (y >= 0 ? y : y - 399) / 400, of_era = y - era * 400;
    int64_t of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

static void day_of(int64_t days, struct iso_time *t)
{
    int64_t z = days + 719468, era = (z >= 0 ? z : z - 146096) / 146097, of_era = z - era * 146097;
    int64_t y = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
    int64_t of_year = of_era - (365 * y + y / 4 - y / 100), m = (5 * of_year + 2) / 153;
    t->day = (int)(of_year - (153 * m + 2) / 5 + 1);
    t->month = (int)(m < 10 ? m + 3 : m - 9);
    t->year = (int)(y + era * 400 + (t->month <= 2 ? 1 : 0));
}

static int64_t seconds_of(const struct iso_time *t)
{
    return iso_time_day_number(t->year, t->month, t->day) * DAY_S + t->hour * 3600 + t->minute * 60 + t->second -
           t->offset_s;
}

int64_t iso_time_to_us(const struct iso_time *t)
{
    return seconds_of(t) * 1000000 + t->microsecond;
}

struct iso_time iso_time_to_utc(const struct iso_time *t)
{
    int64_t s = seconds_of(t), days = s / DAY_S, rest = s % DAY_S;
    if (rest < 0) {
        rest += DAY_S;
        days--;
    }
    struct iso_time u = { .has_offset = true, .microsecond = t->microsecond };
    day_of(days, &u);
    u.hour = (int)(rest / 3600);
    u.minute = (int)(rest / 60 % 60);
    u.second = (int)(rest % 60);
    return u;
}

/* Both texts are made of the same parts; only the marks between them differ. */
static void format_time(const struct iso_time *t, bool slug, char out[ISO_TIME_SIZE])
{
    const char *colon = slug ? "-" : ":";
    int at = snprintf(out, ISO_TIME_SIZE, "%04d-%02d-%02d%s%02d%s%02d%s%02d", t->year % 10000, t->month, t->day,
                      slug ? "t" : "T", t->hour, colon, t->minute, colon, t->second);
    if (t->microsecond != 0)
        at += snprintf(out + at, ISO_TIME_SIZE - (size_t)at, "%s%06d", slug ? "-" : ".", t->microsecond);
    if (!t->has_offset)
        return;
    int east = t->offset_s < 0 ? -t->offset_s : t->offset_s;
    const char *sign = t->offset_s < 0 ? (slug ? "-minus-" : "-") : (slug ? "-" : "+");
    at += snprintf(out + at, ISO_TIME_SIZE - (size_t)at, "%s%02d%s%02d", sign, east / 3600 % 24, colon, east / 60 % 60);
    if (east % 60 != 0)
        (void)snprintf(out + at, ISO_TIME_SIZE - (size_t)at, "%s%02d", colon, east % 60);
}

void iso_time_format(const struct iso_time *t, char out[ISO_TIME_SIZE])
{
    format_time(t, false, out);
}

void iso_time_slug(const struct iso_time *t, char out[ISO_TIME_SIZE])
{
    format_time(t, true, out);
}

static size_t count_digits(struct str s)
{
    size_t n = 0;
    while (n < s.n && is_digit(s.p[n]))
        n++;
    return n;
}

static bool take_word(struct str *s, struct str word)
{
    if (!str_is_prefix(*s, word))
        return false;
    *s = (struct str){ s->p + word.n, s->n - word.n };
    return true;
}

bool iso_time_parse_slug(struct str slug, struct iso_time *out)
{
    struct iso_time t = { 0 };
    struct str s = slug;
    if (!take_number(&s, 4, &t.year) || !take_char(&s, '-') || !take_number(&s, 2, &t.month) || !take_char(&s, '-') ||
        !take_number(&s, 2, &t.day) || !iso_time_is_day(t.year, t.month, t.day) || !take_char(&s, 't') ||
        !take_number(&s, 2, &t.hour) || !take_char(&s, '-') || !take_number(&s, 2, &t.minute) || !take_char(&s, '-') ||
        !take_number(&s, 2, &t.second) || t.hour > 23 || t.minute > 59 || t.second > 59)
        return false;
    if (s.n >= 7 && s.p[0] == '-' && count_digits((struct str){ s.p + 1, s.n - 1 }) == 6 &&
        (!take_char(&s, '-') || !take_number(&s, 6, &t.microsecond)))
        return false;
    if (s.n > 0) {
        int sign = take_word(&s, STR("-minus-")) ? -1 : take_char(&s, '-') ? 1 : 0, h, m, sec = 0;
        if (sign == 0 || !take_number(&s, 2, &h) || !take_char(&s, '-') || !take_number(&s, 2, &m) ||
            (s.n > 0 && (!take_char(&s, '-') || !take_number(&s, 2, &sec))) || s.n > 0 ||
            !set_offset(&t, sign, h, m, sec))
            return false;
    }
    *out = t;
    return true;
}
