#include "cohort.h"

#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "cohort_internal.h"

bool cohort_open(const char *path, const char *temp_dir, struct cohort **out, struct pixl_error *err)
{
    struct stat st;
    const char *name = cohort_base_name(path);
    if (stat(path, &st) != 0)
        return pixl_fail_errno(err, errno, "cohort %s", name);
    if (S_ISDIR(st.st_mode))
        return cohort_omop_open(path, temp_dir, out, err);
    struct str s = str_of(path);
    bool is_csv = s.n >= 4 && str_eq_nocase((struct str){ s.p + s.n - 4, 4 }, STR(".csv"));
    if (!S_ISREG(st.st_mode) || !is_csv)
        return pixl_fail(err, PIXL_E_INVALID, 0,
                         "cohort %s: neither a file named .csv nor a folder with an OMOP ES extract", name);
    return cohort_csv_open(path, out, err);
}

enum cohort_kind cohort_kind(const struct cohort *c)
{
    return c->ops->kind;
}

static bool read_next(struct cohort *c, bool *got, struct cohort_row *out, struct pixl_error *err)
{
    if (c->failure.code != PIXL_OK) {
        *err = c->failure;
        return false;
    }
    struct cohort_row row = { 0 };
    bool more = false;
    bool ok = c->ops->next(c, &more, &row, err);
    assert(ok == (err->code == PIXL_OK));
    if (!ok) {
        c->failure = *err;
        return false;
    }
    if (more)
        *out = row;
    *got = more;
    return true;
}

bool cohort_next(struct cohort *c, bool *got, struct cohort_row *out, struct pixl_error *err)
{
    if (!c->is_held)
        return read_next(c, got, out, err);
    c->is_held = false;
    *out = c->held;
    *got = true;
    return true;
}

bool cohort_is_empty(struct cohort *c, bool *empty, struct pixl_error *err)
{
    assert(!c->is_held);
    if (!read_next(c, &c->is_held, &c->held, err))
        return false;
    *empty = !c->is_held;
    return true;
}

struct str cohort_project(const struct cohort *c)
{
    return c->project;
}

struct str cohort_extract_time(const struct cohort *c)
{
    return c->extract_time;
}

const char *cohort_public_dir(const struct cohort *c)
{
    return c->public_dir;
}

struct str cohort_fingerprint(const struct cohort *c)
{
    return c->fingerprint;
}

void cohort_close(struct cohort *c)
{
    if (c != NULL)
        c->ops->close(c);
}

bool cohort_time_slug(struct arena *a, struct str extract_time, struct str *out, struct pixl_error *err)
{
    struct iso_time t;
    char text[ISO_TIME_SIZE];
    if (!iso_time_parse(extract_time, &t))
        return pixl_fail(err, PIXL_E_INVALID, 0, "the time of the extract is no ISO 8601 time");
    iso_time_slug(&t, text);
    struct str slug = arena_str(a, str_of(text));
    if (slug.p == NULL)
        return pixl_fail(err, PIXL_E_NOMEM, 0, "name of an extract's folder");
    *out = slug;
    return true;
}

const char *cohort_base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash != NULL && slash[1] != '\0' ? slash + 1 : path;
}

/* Bytes of the white space character at p, 0 when there is none; n >= 1 bytes are there. */
static size_t blank_at(const char *p, size_t n)
{
    unsigned char c = (unsigned char)p[0];
    if (c == ' ' || (c >= 0x09 && c <= 0x0D) || (c >= 0x1C && c <= 0x1F))
        return 1;
    if (n >= 2 && (memcmp(p, "\xC2\x85", 2) == 0 || memcmp(p, "\xC2\xA0", 2) == 0))
        return 2;
    if (n < 3)
        return 0;
    static const char others[][4] = { "\xE1\x9A\x80", "\xE2\x80\xA8", "\xE2\x80\xA9",
                                      "\xE2\x80\xAF", "\xE2\x81\x9F", "\xE3\x80\x80" };
    for (size_t i = 0; i < ARRAY_LEN(others); i++)
        if (memcmp(p, others[i], 3) == 0)
            return 3;
    return memcmp(p, "\xE2\x80", 2) == 0 && (unsigned char)p[2] >= 0x80 && (unsigned char)p[2] <= 0x8A ? 3 : 0;
}

struct str cohort_trim(struct str s)
{
    for (size_t n; s.n > 0 && (n = blank_at(s.p, s.n)) > 0;)
        s = (struct str){ s.p + n, s.n - n };
    for (size_t n = 1; s.n > 0 && n != 0;) {
        n = 0;
        for (size_t k = 1; k <= 3 && k <= s.n && n == 0; k++)
            n = blank_at(s.p + s.n - k, k) == k ? k : 0;
        s.n -= n;
    }
    return s;
}

#define SLUG_RULE "(a-z and 0-9, joined by single '-', like lung-study)"

const char *cohort_why_no_slug(struct str cell)
{
    return cell.n == 0 ? "project_name: empty; the slug of a project is wanted " SLUG_RULE
                       : "project_name: not a slug " SLUG_RULE;
}

void cohort_refuse(struct cohort_row *row, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(row->why, sizeof row->why, fmt, ap);
    va_end(ap);
    row->refused = true;
    row->request = (struct study_request){ 0 };
}

void cohort_check_row(struct cohort_row *row)
{
    struct pixl_error err = { 0 };
    if (!study_request_check(&row->request, &err))
        cohort_refuse(row, "%s", err.msg);
}
