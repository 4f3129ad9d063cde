#include "pattern.h"

#include <assert.h>
#include <stdint.h>
#include <stdlib.h>

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

/* A pattern comes from a configuration file and a subject from a header of an image; neither may buy more than a
 * moment.  A manufacturer's name is 64 characters and an honest search of it takes some hundred steps. */
enum {
    PATTERN_BYTES_MAX = 4096,
    SUBJECT_BYTES_MAX = 64 * 1024,
    PARENS_MAX = 50,
    MATCH_STEPS_MAX = 200 * 1000,
    MATCH_DEPTH_MAX = 2000,
    MATCH_HEAP_KIB_MAX = 4096,
};

struct pattern {
    pcre2_general_context *memory;
    pcre2_match_context *limits;
    pcre2_code *code;
};

/* PCRE2's memory passes through here so that the tests' allocation faults reach it. */
static void *take(size_t n, void *ctx)
{
    (void)ctx;
    return malloc(n);
}

static void give_back(void *p, void *ctx)
{
    (void)ctx;
    free(p);
}

void pattern_free(struct pattern *p)
{
    if (p == NULL)
        return;
    pcre2_code_free(p->code);
    pcre2_match_context_free(p->limits);
    pcre2_general_context_free(p->memory);
    free(p);
}

static bool make_contexts(struct pattern *p)
{
    p->memory = pcre2_general_context_create(take, give_back, NULL);
    if (p->memory == NULL)
        return false;
    p->limits = pcre2_match_context_create(p->memory);
    if (p->limits == NULL)
        return false;
    (void)pcre2_set_match_limit(p->limits, MATCH_STEPS_MAX);
    (void)pcre2_set_depth_limit(p->limits, MATCH_DEPTH_MAX);
    (void)pcre2_set_heap_limit(p->limits, MATCH_HEAP_KIB_MAX);
    return true;
}

static bool compile(struct pattern *p, struct str text, struct pixl_error *err)
{
    pcre2_compile_context *ctx = pcre2_compile_context_create(p->memory);
    if (ctx == NULL)
        return pixl_fail(err, PIXL_E_NOMEM, 0, "regular expression: out of memory");
    (void)pcre2_set_max_pattern_length(ctx, PATTERN_BYTES_MAX);
    (void)pcre2_set_parens_nest_limit(ctx, PARENS_MAX);
    int code = 0;
    PCRE2_SIZE offset = 0;
    /* UCP: \w and \d know every script, as in Python. */
    p->code = pcre2_compile((PCRE2_SPTR)(text.n ? text.p : ""), text.n,
                            PCRE2_UTF | PCRE2_UCP | PCRE2_CASELESS | PCRE2_NEVER_BACKSLASH_C, &code, &offset, ctx);
    pcre2_compile_context_free(ctx);
    if (p->code != NULL)
        return true;
    if (code == PCRE2_ERROR_HEAP_FAILED)
        return pixl_fail(err, PIXL_E_NOMEM, 0, "regular expression: out of memory");
    char why[160] = "not understood";
    (void)pcre2_get_error_message(code, (PCRE2_UCHAR *)why, sizeof why);
    return pixl_fail(err, PIXL_E_INVALID, code, "regular expression: %s, at offset %zu", why, (size_t)offset);
}

bool pattern_new(struct str text, struct pattern **out, struct pixl_error *err)
{
    struct pattern *p = calloc(1, sizeof *p);
    if (p == NULL || !make_contexts(p)) {
        pattern_free(p);
        return pixl_fail(err, PIXL_E_NOMEM, 0, "regular expression: out of memory");
    }
    if (!compile(p, text, err)) {
        pattern_free(p);
        return false;
    }
    *out = p;
    return true;
}

static bool add_latin1(struct buf *b, struct str s)
{
    for (size_t i = 0; i < s.n; i++) {
        unsigned c = (unsigned char)s.p[i];
        if (c < 0x80) {
            (void)buf_add_char(b, (char)c);
        } else {
            (void)buf_add_char(b, (char)(0xC0 | c >> 6));
            (void)buf_add_char(b, (char)(0x80 | (c & 0x3F)));
        }
    }
    return !b->failed;
}

static bool search_utf8(const struct pattern *p, struct str s, bool *matches, struct pixl_error *err)
{
    pcre2_match_data *md = pcre2_match_data_create(1, p->memory);
    if (md == NULL)
        return pixl_fail(err, PIXL_E_NOMEM, 0, "searching: out of memory");
    int rc = pcre2_match(p->code, (PCRE2_SPTR)(s.n ? s.p : ""), s.n, 0, 0, md, p->limits);
    pcre2_match_data_free(md);
    switch (rc) {
    case PCRE2_ERROR_NOMATCH:
        *matches = false;
        return true;
    case PCRE2_ERROR_NOMEMORY:
        return pixl_fail(err, PIXL_E_NOMEM, 0, "searching: out of memory");
    case PCRE2_ERROR_MATCHLIMIT: case PCRE2_ERROR_DEPTHLIMIT: case PCRE2_ERROR_HEAPLIMIT: case PCRE2_ERROR_RECURSELOOP:
        return pixl_fail(err, PIXL_E_LIMIT, rc, "searching for a regular expression took too many steps");
    default:
        if (rc < 0)
            return pixl_fail(err, PIXL_E_INTERNAL, rc, "searching for a regular expression failed with code %d", rc);
        *matches = true;        /* 0: more groups than the match data holds, which is a match */
        return true;
    }
}

bool pattern_search(const struct pattern *p, struct str s, bool *matches, struct pixl_error *err)
{
    assert(p != NULL);
    if (s.n > SUBJECT_BYTES_MAX)
        return pixl_fail(err, PIXL_E_LIMIT, 0, "a text of %zu bytes is too long to be searched", s.n);
    if (str_is_utf8(s))
        return search_utf8(p, s, matches, err);
    buf_auto b;
    buf_init(&b, 2 * (size_t)SUBJECT_BYTES_MAX);
    if (!add_latin1(&b, s))
        return pixl_fail(err, PIXL_E_NOMEM, 0, "searching: out of memory");
    return search_utf8(p, buf_str(&b), matches, err);
}
