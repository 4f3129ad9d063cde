#include "tz_offset.h"

#include "base/attr.h"

enum { DAY_S = 86400, HEADER_BYTES = 44, TYPE_BYTES = 6, TYPES_MAX = 256, RULE_HOURS_MAX = 167, STD_HOURS_MAX = 24 };

struct question {
    int64_t local_s; /* of the local clock, since it showed 1970-01-01 00:00 */
    int year;
    bool fold;
};

static bool is_offset(int64_t s)
{
    return s > -DAY_S && s < DAY_S;
}

/* What the clock shows when the offset that it is put to at utc_s begins to count.  Put forward, it skips times, put back,
 * it shows some twice. */
static int64_t shown_at(const struct question *q, int64_t utc_s, int64_t from_s, int64_t to_s)
{
    return utc_s + (q->fold == (from_s < to_s) ? from_s : to_s);
}

/* --- bytes ----------------------------------------------------------------------------------------------------- */

static bool take(struct str *s, uint64_t n, struct str *out)
{
    if (n > s->n)
        return false;
    *out = (struct str){ s->p, (size_t)n };
    *s = (struct str){ s->p + n, s->n - (size_t)n };
    return true;
}

static uint64_t bits_at(const char *p, size_t n)
{
    uint64_t v = 0;
    for (size_t i = 0; i < n; i++)
        v = v << 8 | (uint8_t)p[i];
    return v;
}

static int64_t number_at(const char *p, size_t n)
{
    uint64_t v = bits_at(p, n);
    return n == 4 ? (int64_t)(int32_t)(uint32_t)v : (int64_t)v;
}

/* --- changes that are listed ----------------------------------------------------------------------------------- */

/* +--------+-----------------+--------------------------------------------+--------------+-------+----------+----------+
 * | header | times of change | type of each: its index                    | types        | names | leap     | standard |
 * | 44     | n * 4 or 8      | n * 1                                      | n * (4, 1, 1)|       | seconds  | UT       |
 * +--------+-----------------+--------------------------------------------+--------------+-------+----------+----------+
 * Numbers are big-endian; a type begins with its offset.  From version 2 on the block comes again, with times of 8 bytes,
 * and behind it the footer: a line that tells what comes after the last change. */
struct block {
    char version;
    size_t time_bytes, n;
    struct str times, indexes, types;
};

static bool take_block(struct str *s, size_t time_bytes, struct block *out)
{
    enum { UT, STANDARD, LEAPS, TIMES, TYPES, CHARS, COUNTS };
    struct str header, rest;
    uint64_t n[COUNTS];
    if (!take(s, HEADER_BYTES, &header) || !str_is_prefix(header, STR("TZif")))
        return false;
    for (size_t i = 0; i < COUNTS; i++)
        n[i] = bits_at(header.p + 20 + 4 * i, 4);
    struct block b = { .version = header.p[4], .time_bytes = time_bytes, .n = (size_t)n[TIMES] };
    if (n[TYPES] < 1 || n[TYPES] > TYPES_MAX || !take(s, n[TIMES] * time_bytes, &b.times) ||
        !take(s, n[TIMES], &b.indexes) || !take(s, n[TYPES] * TYPE_BYTES, &b.types) ||
        !take(s, n[CHARS] + n[LEAPS] * (time_bytes + 4) + n[STANDARD] + n[UT], &rest))
        return false;
    *out = b;
    return true;
}

static bool type_offset(const struct block *b, size_t type, int64_t *out)
{
    if (type >= b->types.n / TYPE_BYTES)
        return false;
    *out = number_at(b->types.p + type * TYPE_BYTES, 4);
    return is_offset(*out);
}

/* *is_after: all changes are past; in the second of the last one it counts still itself, as for Python. */
static bool listed_offset(const struct block *b, const struct question *q, int64_t *out, bool *is_after)
{
    const int64_t far = (int64_t)1 << 59; /* no date is beyond */
    int64_t before, found, last = -far - 1;
    if (!type_offset(b, 0, &before))
        return false;
    found = before;
    *is_after = true;
    for (size_t i = 0; i < b->n; i++) {
        int64_t at = number_at(b->times.p + i * b->time_bytes, b->time_bytes), then;
        if (at <= last || at > far || !type_offset(b, (uint8_t)b->indexes.p[i], &then))
            return false;
        int64_t shown = shown_at(q, at, before, then);
        found = shown <= q->local_s ? then : found;
        *is_after = shown < q->local_s;
        before = then;
        last = at;
    }
    *out = found;
    return true;
}

/* --- the footer: TZ as POSIX has it ---------------------------------------------------------------------------- */

/* "Mm.w.d" is a weekday (0: Sunday) of a month's week (5: the last), "Jn" a day 1 to 365 that leaves out a 29 February,
 * "n" one from 0 to 365.  Behind '/' stands the time of the clock before it is put. */
struct rule {
    enum rule_kind { RULE_WEEKDAY, RULE_DAY, RULE_DAY_FROM_0 } kind;
    int month, week, day;
    int64_t time_s;
};

struct footer {
    bool has_saving;
    int64_t standard_s, saving_s; /* offsets */
    struct rule begin, end;       /* of saving */
};

static bool take_char(struct str *s, char c)
{
    struct str head;
    return s->n > 0 && s->p[0] == c && take(s, 1, &head);
}

static bool take_int(struct str *s, int least, int most, int *out)
{
    int v = 0;
    size_t n = 0;
    for (; n < s->n && n < 3 && s->p[n] >= '0' && s->p[n] <= '9'; n++)
        v = v * 10 + (s->p[n] - '0');
    struct str digits;
    *out = v;
    return n > 0 && take(s, n, &digits) && v >= least && v <= most;
}

/* "CET", or "<+0530>": three at least. */
static bool take_name(struct str *s)
{
    size_t n = 0;
    bool is_quoted = take_char(s, '<');
    for (; n < s->n; n++) {
        char c = s->p[n], lower = (char)(c | 0x20);
        if (!(lower >= 'a' && lower <= 'z') && !(is_quoted && ((c >= '0' && c <= '9') || c == '+' || c == '-')))
            break;
    }
    struct str name;
    return n >= 3 && take(s, n, &name) && (!is_quoted || take_char(s, '>'));
}

/* [+-]hh[:mm[:ss]] */
static bool take_span(struct str *s, int hours_max, int64_t *out)
{
    int64_t sign = take_char(s, '-') ? -1 : 1;
    int h, m = 0, sec = 0;
    if (sign > 0)
        (void)take_char(s, '+');
    if (!take_int(s, 0, hours_max, &h) ||
        (take_char(s, ':') && (!take_int(s, 0, 59, &m) || (take_char(s, ':') && !take_int(s, 0, 59, &sec)))))
        return false;
    *out = sign * ((h * 60 + m) * 60 + sec);
    return true;
}

static bool take_rule(struct str *s, struct rule *r)
{
    *r = (struct rule){ .kind = RULE_DAY_FROM_0, .time_s = 2 * 3600 };
    if (take_char(s, 'M'))
        r->kind = RULE_WEEKDAY;
    else if (take_char(s, 'J'))
        r->kind = RULE_DAY;
    if (r->kind == RULE_WEEKDAY &&
        (!take_int(s, 1, 12, &r->month) || !take_char(s, '.') || !take_int(s, 1, 5, &r->week) || !take_char(s, '.')))
        return false;
    static const int least[] = { 0, 1, 0 }, most[] = { 6, 365, 365 };
    return take_int(s, least[r->kind], most[r->kind], &r->day) &&
           (!take_char(s, '/') || take_span(s, RULE_HOURS_MAX, &r->time_s));
}

/* Offsets in it are west of UTC. */
static bool read_footer(struct str text, struct footer *f)
{
    int64_t west;
    struct str s = text;
    if (!take_name(&s) || !take_span(&s, STD_HOURS_MAX, &west) || !is_offset(west))
        return false;
    *f = (struct footer){ .standard_s = -west, .has_saving = s.n > 0 };
    if (!f->has_saving)
        return true;
    if (!take_name(&s) || s.n == 0)
        return false;
    west -= 3600;
    if (s.p[0] != ',' && !take_span(&s, STD_HOURS_MAX, &west))
        return false;
    f->saving_s = -west;
    return is_offset(west) && take_char(&s, ',') && take_rule(&s, &f->begin) && take_char(&s, ',') &&
           take_rule(&s, &f->end) && s.n == 0;
}

static int64_t rule_day(const struct rule *r, int year)
{
    const int64_t first = iso_time_day_number(year, 1, 1);
    if (r->kind == RULE_DAY_FROM_0)
        return first + r->day;
    if (r->kind == RULE_DAY)
        return first + r->day - (r->day < 60 || iso_time_day_number(year, 3, 1) - first == 59);
    const int64_t month = iso_time_day_number(year, r->month, 1);
    const int64_t next = iso_time_day_number(r->month < 12 ? year : year + 1, r->month % 12 + 1, 1);
    const int64_t weekday = ((month + 4) % 7 + 7) % 7; /* 1970 began on a Thursday */
    int64_t day = month + (r->day - weekday + 7) % 7 + 7 * (r->week - 1);
    return day < next ? day : day - 7;
}

/* The latest of the changes that may have been: with their hours they reach into the years beside their own. */
static int64_t footer_offset(const struct footer *f, const struct question *q)
{
    int64_t found = f->standard_s, latest = INT64_MIN;
    for (int year = q->year - 2; f->has_saving && year <= q->year + 1; year++) {
        for (int ends = 0; ends <= 1; ends++) {
            const struct rule *r = ends ? &f->end : &f->begin;
            int64_t from = ends ? f->saving_s : f->standard_s, to = ends ? f->standard_s : f->saving_s;
            int64_t at = rule_day(r, year) * DAY_S + r->time_s - from;
            if (at < latest || shown_at(q, at, from, to) > q->local_s)
                continue;
            latest = at;
            found = to;
        }
    }
    return found;
}

static bool take_footer(struct str *s, struct str *line)
{
    size_t n = 0;
    if (!take_char(s, '\n'))
        return false;
    while (n < s->n && s->p[n] != '\n')
        n++;
    return take(s, n, line) && take_char(s, '\n');
}

bool tz_offset(struct str tzif, const struct iso_time *local, bool fold, int *offset_s, struct pixl_error *err)
{
    const struct question q = { .local_s = iso_time_day_number(local->year, local->month, local->day) * DAY_S +
                                           local->hour * 3600 + local->minute * 60 + local->second,
                                .year = local->year,
                                .fold = fold };
    struct block b;
    struct str s = tzif, line = { 0 };
    struct footer f;
    int64_t found;
    bool is_after, ok = take_block(&s, 4, &b);
    if (ok && b.version != '\0')
        ok = take_block(&s, 8, &b) && take_footer(&s, &line) && (line.n == 0 || read_footer(line, &f));
    if (!ok || s.n > 0 || !listed_offset(&b, &q, &found, &is_after))
        return pixl_fail(err, PIXL_E_CORRUPT, 0, "a file of the tz database is damaged");
    *offset_s = (int)(is_after && line.n > 0 ? footer_offset(&f, &q) : found);
    return true;
}
