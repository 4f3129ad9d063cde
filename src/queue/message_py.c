/* Python's dates and times in JSON.  A value is compared with what jsonpickle writes, part by part: what has one key
 * more, another length or another name is refused, and nothing is made of a name. */
#include "message_internal.h"

#include <string.h>

#include "base/tz_file.h"
#include "study/tz_offset.h"

enum { DATE_BYTES = 4, TIME_BYTES = 10, DAY_S = 86400 };
enum { FOLD = 0x80 }; /* beside the month: the second of two times that a clock shows alike (PEP 495) */

/* --- what a value is made of ---------------------------------------------------------------------------------- */

static bool is_text(const struct json_node *v)
{
    return json_node_is(v, JSON_NODE_TEXT);
}

struct str py_class(const struct json_node *value)
{
    return json_node_text(json_node_member(value, "py/object"));
}

/* The only member of an object, when it has that name; else NULL. */
static const struct json_node *only(const struct json_node *v, const char *name)
{
    return json_node_members(v) == 1 ? json_node_member(v, name) : NULL;
}

static bool is_named(const struct json_node *v, const char *key, const char *name)
{
    return str_eq(json_node_text(only(v, key)), str_of(name));
}

static bool malformed(struct pixl_error *err)
{
    return pixl_fail(err, PIXL_E_INVALID, 0, "not a date or time as jsonpickle writes one");
}

static bool unknown_type(struct pixl_error *err)
{
    return pixl_fail(err, PIXL_E_UNSUPPORTED, 0, "a Python type other than date and time");
}

/* {"py/reduce": [maker, {"py/tuple": arguments}]}: NULL when it is something else. */
static const struct json_node *reduced(const struct json_node *v, const struct json_node **arguments)
{
    const struct json_node *parts = only(v, "py/reduce");
    *arguments = only(json_node_item(parts, 1), "py/tuple");
    return json_node_items(parts) == 2 && json_node_is(*arguments, JSON_NODE_LIST) ? json_node_item(parts, 0) : NULL;
}

static bool whole_number(const struct json_node *v, int64_t least, int64_t most, int64_t *out)
{
    if (!json_node_is(v, JSON_NODE_INTEGER) || v->integer < least || v->integer > most)
        return false;
    *out = v->integer;
    return true;
}

/* --- objects that were seen ----------------------------------------------------------------------------------- */

/* Room for one more; its index, SIZE_MAX when a value nests what none of ours does. */
static size_t begin_object(struct py_objects *seen, enum py_kind kind)
{
    if (seen->n == PY_OBJECTS_MAX)
        return SIZE_MAX;
    seen->at[seen->n].kind = kind;
    return seen->n++;
}

/* {"py/id": number of an object of that kind}.  One that is still being read has another kind than what it holds. */
static bool seen_before(const struct py_objects *seen, const struct json_node *v, enum py_kind kind, size_t *out)
{
    int64_t n;
    if (!whole_number(only(v, "py/id"), 1, (int64_t)seen->n - 1, &n) || seen->at[n].kind != kind)
        return false;
    *out = (size_t)n;
    return true;
}

/* --- base64 ---------------------------------------------------------------------------------------------------- */

static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

static bool read_base64(struct str s, uint8_t *out, size_t n)
{
    size_t full = (n * 8 + 5) / 6; /* digits; the rest is padding */
    if (s.n != (n + 2) / 3 * 4)
        return false;
    uint32_t bits = 0;
    for (size_t i = 0, have = 0, at = 0; i < s.n; i++) {
        const char *d = i < full && s.p[i] != '\0' ? strchr(digits, s.p[i]) : NULL;
        if (i >= full ? s.p[i] != '=' : d == NULL)
            return false;
        if (i >= full)
            continue;
        bits = bits << 6 | (uint32_t)(d - digits);
        have += 6;
        if (have >= 8) {
            have -= 8;
            out[at++] = (uint8_t)(bits >> have);
            bits &= (1u << have) - 1;
        }
    }
    return bits == 0; /* what is left over of the last digit */
}

static void write_base64(struct buf *out, const uint8_t *p, size_t n)
{
    for (size_t i = 0; i < n; i += 3) {
        uint32_t v = (uint32_t)p[i] << 16 | (i + 1 < n ? (uint32_t)p[i + 1] << 8 : 0) | (i + 2 < n ? p[i + 2] : 0u);
        for (size_t k = 0; k < 4; k++)
            (void)buf_add_char(out, i + k <= n ? digits[v >> (18 - 6 * k) & 63] : '=');
    }
}

/* --- time zones ------------------------------------------------------------------------------------------------ */

static bool read_delta(struct py_objects *seen, const struct json_node *v, int64_t *seconds, struct pixl_error *err)
{
    size_t before;
    if (seen_before(seen, v, PY_KIND_DELTA, &before)) {
        *seconds = seen->at[before].zone.seconds;
        return true;
    }
    const struct json_node *args, *maker = reduced(v, &args);
    int64_t days, rest, micros;
    size_t me = begin_object(seen, PY_KIND_DELTA);
    if (me == SIZE_MAX || !is_named(maker, "py/type", "datetime.timedelta") || json_node_items(args) != 3 ||
        !whole_number(json_node_item(args, 0), -1, 0, &days) ||
        !whole_number(json_node_item(args, 1), 0, DAY_S - 1, &rest) ||
        !whole_number(json_node_item(args, 2), 0, 0, &micros))
        return malformed(err);
    *seconds = seen->at[me].zone.seconds = days * DAY_S + rest;
    return true;
}

static bool is_utc(struct str zone)
{
    static const char *const names[] = { "UTC", "Etc/UTC", "GMT", "Etc/GMT", "Etc/UCT", "UCT", "Zulu", "Etc/Zulu" };
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (str_eq(zone, str_of(names[i])))
            return true;
    return false;
}

static bool read_name(const struct json_node *name, struct py_zone *out, struct pixl_error *err)
{
    if (!is_text(name))
        return malformed(err);
    if (!is_utc(json_node_text(name)))
        out->name = json_node_text(name);
    return json_node_text(name).n > 0 || malformed(err);
}

static bool read_timezone(struct py_objects *seen, const struct json_node *args, struct py_zone *out,
                          struct pixl_error *err)
{
    size_t n = json_node_items(args);
    if (n < 1 || n > 2 || (n == 2 && !is_text(json_node_item(args, 1))))
        return malformed(err);
    return read_delta(seen, json_node_item(args, 0), &out->seconds, err);
}

static bool read_zoneinfo(const struct json_node *args, struct py_zone *out, struct pixl_error *err)
{
    int64_t from_cache;
    if (json_node_items(args) != 2 || !whole_number(json_node_item(args, 1), 0, 1, &from_cache))
        return malformed(err);
    return read_name(json_node_item(args, 0), out, err);
}

/* pytz: a zone with its offset from UTC, of daylight saving and its short name; or one that has but one offset. */
static bool read_pytz(const struct json_node *args, struct py_zone *out, struct pixl_error *err)
{
    int64_t saving;
    if (json_node_items(args) == 1)
        return read_name(json_node_item(args, 0), out, err);
    if (json_node_items(args) != 4 || !is_text(json_node_item(args, 0)) ||
        !whole_number(json_node_item(args, 1), 1 - DAY_S, DAY_S - 1, &out->seconds) ||
        !whole_number(json_node_item(args, 2), 1 - DAY_S, DAY_S - 1, &saving) || !is_text(json_node_item(args, 3)))
        return malformed(err);
    return true;
}

static bool read_pytz_minutes(const struct json_node *args, struct py_zone *out, struct pixl_error *err)
{
    int64_t minutes;
    if (json_node_items(args) != 1 || !whole_number(json_node_item(args, 0), 1 - DAY_S / 60, DAY_S / 60 - 1, &minutes))
        return malformed(err);
    out->seconds = minutes * 60;
    return true;
}

static bool read_pytz_utc(const struct json_node *args, struct py_zone *out, struct pixl_error *err)
{
    out->seconds = 0;
    return json_node_items(args) == 0 || malformed(err);
}

/* What makes a zone other than datetime.timezone, and how its arguments are read. */
static const struct {
    const char *function;
    bool (*read)(const struct json_node *, struct py_zone *, struct pixl_error *);
} makers[] = {
    { "zoneinfo.ZoneInfo._unpickle", read_zoneinfo },
    { "builtins.ZoneInfo._unpickle", read_zoneinfo }, /* jsonpickle 3 */
    { "pytz._UTC", read_pytz_utc },
    { "pytz._p", read_pytz },
    { "pytz.FixedOffset", read_pytz_minutes },
};

static bool read_zone_of(struct py_objects *seen, const struct json_node *v, struct py_zone *out,
                         struct pixl_error *err)
{
    const struct json_node *args, *maker = reduced(v, &args);
    if (maker == NULL)
        return malformed(err);
    if (is_named(maker, "py/type", "datetime.timezone"))
        return read_timezone(seen, args, out, err);
    for (size_t i = 0; i < ARRAY_LEN(makers); i++)
        if (is_named(maker, "py/function", makers[i].function))
            return makers[i].read(args, out, err);
    return unknown_type(err);
}

static bool read_zone(struct py_objects *seen, const struct json_node *v, struct py_zone *out, struct pixl_error *err)
{
    size_t before, me;
    if (seen_before(seen, v, PY_KIND_ZONE, &before)) {
        *out = seen->at[before].zone;
        return true;
    }
    me = begin_object(seen, PY_KIND_ZONE);
    if (me == SIZE_MAX)
        return malformed(err);
    if (!read_zone_of(seen, v, out, err))
        return false;
    seen->at[me].zone = *out;
    return out->seconds > -DAY_S || malformed(err);
}

/* Zones begin with a capital letter; among the others is the one of this machine, which is not the sender's. */
static bool set_offset(const struct py_objects *seen, const struct py_zone *z, bool fold, struct iso_time *t,
                       struct pixl_error *err)
{
    struct str file;
    struct pixl_error e = { 0 };
    t->offset_s = (int)z->seconds;
    if (z->name.n == 0)
        return true;
    if (z->name.p[0] >= 'A' && z->name.p[0] <= 'Z' && tz_file_read(seen->arena, z->name, &file, &e) &&
        tz_offset(file, t, fold, &t->offset_s, &e))
        return true;
    return pixl_fail(err, e.code == PIXL_E_NOMEM ? PIXL_E_NOMEM : PIXL_E_NOT_FOUND, 0,
                     "a time zone that the tz database of this system does not have");
}

/* --- dates and times ------------------------------------------------------------------------------------------- */

static bool set_day(const uint8_t *p, struct iso_time *t)
{
    t->year = p[0] << 8 | p[1];
    t->month = p[2] & ~FOLD;
    t->day = p[3];
    return iso_time_is_day(t->year, t->month, t->day);
}

static bool set_clock(const uint8_t *p, struct iso_time *t)
{
    t->hour = p[4];
    t->minute = p[5];
    t->second = p[6];
    t->microsecond = p[7] << 16 | p[8] << 8 | p[9];
    return t->hour < 24 && t->minute < 60 && t->second < 60 && t->microsecond < 1000000;
}

static bool read_parts(struct py_objects *seen, const struct json_node *args, bool is_date, struct iso_time *t,
                       struct pixl_error *err)
{
    uint8_t p[TIME_BYTES];
    struct py_zone zone = { 0 };
    size_t n = json_node_items(args);
    if (n < 1 || n > (is_date ? 1 : 2) ||
        !read_base64(json_node_text(json_node_item(args, 0)), p, is_date ? DATE_BYTES : TIME_BYTES) || !set_day(p, t) ||
        (is_date ? (p[2] & FOLD) != 0 : !set_clock(p, t)))
        return malformed(err);
    t->has_offset = n == 2;
    return n == 1 || (read_zone(seen, json_node_item(args, 1), &zone, err) &&
                      set_offset(seen, &zone, (p[2] & FOLD) != 0, t, err));
}

bool py_read_time(struct py_objects *seen, const struct json_node *value, struct iso_time *out, struct pixl_error *err)
{
    size_t before;
    if (seen_before(seen, value, PY_KIND_TIME, &before)) {
        *out = seen->at[before].time;
        return true;
    }
    struct str class = py_class(value);
    bool is_date = str_eq(class, STR("datetime.date"));
    if (class.n > 0 && !is_date && !str_eq(class, STR("datetime.datetime")))
        return unknown_type(err);
    const struct json_node *parts = json_node_member(value, "__reduce__"), *args = json_node_item(parts, 1);
    size_t me = begin_object(seen, PY_KIND_TIME);
    struct iso_time t = { 0 };
    if (me == SIZE_MAX || class.n == 0 || json_node_members(value) != 2 || json_node_items(parts) != 2 ||
        !str_eq(json_node_text(only(json_node_item(parts, 0), "py/type")), class) ||
        !json_node_is(args, JSON_NODE_LIST))
        return malformed(err);
    if (!read_parts(seen, args, is_date, &t, err))
        return false;
    *out = seen->at[me].time = t;
    return true;
}

static void write_begin(struct buf *out, const char *class)
{
    (void)buf_addf(out, "{\"py/object\": \"%s\", \"__reduce__\": [{\"py/type\": \"%s\"}, [\"", class, class);
}

void py_write_date(struct buf *out, int year, int month, int day)
{
    const uint8_t p[DATE_BYTES] = { (uint8_t)(year >> 8), (uint8_t)year, (uint8_t)month, (uint8_t)day };
    write_begin(out, "datetime.date");
    write_base64(out, p, sizeof p);
    (void)buf_add_cstr(out, "\"]]}");
}

void py_write_time(struct buf *out, const struct iso_time *t)
{
    const uint8_t p[TIME_BYTES] = {
        (uint8_t)(t->year >> 8),
        (uint8_t)t->year,
        (uint8_t)t->month,
        (uint8_t)t->day,
        (uint8_t)t->hour,
        (uint8_t)t->minute,
        (uint8_t)t->second,
        (uint8_t)(t->microsecond >> 16),
        (uint8_t)(t->microsecond >> 8),
        (uint8_t)t->microsecond,
    };
    write_begin(out, "datetime.datetime");
    write_base64(out, p, sizeof p);
    (void)buf_add_char(out, '"');
    if (t->has_offset) {
        int days = t->offset_s < 0 ? -1 : 0; /* Python keeps the seconds positive */
        (void)buf_addf(out,
                       ", {\"py/reduce\": [{\"py/type\": \"datetime.timezone\"}, {\"py/tuple\": [{\"py/reduce\": "
                       "[{\"py/type\": \"datetime.timedelta\"}, {\"py/tuple\": [%d, %d, 0]}]}]}]}",
                       days, t->offset_s - days * DAY_S);
    }
    (void)buf_add_cstr(out, "]]}");
}
