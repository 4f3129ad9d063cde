#include "body.h"

#include <math.h>
#include <stdio.h>

enum { DEPTH_MAX = 32, ITEMS_MAX = 10000, OK = 200, BAD = 422, NUMBER_SIZE = 40 };

/* --- writing --------------------------------------------------------------------------------------------------------- */

/* The shortest digits that read back as v, as "d.ddde+xx". */
static void shortest(double v, char out[NUMBER_SIZE])
{
    for (int digits = 0; digits < 17; digits++) {
        (void)snprintf(out, NUMBER_SIZE, "%.*e", digits, v);
        if (strtod(out, NULL) == v)
            return;
    }
}

bool body_add_double(struct buf *b, double v)
{
    char text[NUMBER_SIZE], fixed[2 * NUMBER_SIZE];
    if (!isfinite(v))
        return buf_add_cstr(b, isnan(v) ? "nan" : v < 0 ? "-inf" : "inf");
    shortest(v, text);
    const char *e = strchr(text, 'e');
    const long exponent = strtol(e + 1, NULL, 10);
    if (exponent < -4 || exponent >= 16)
        return buf_add_cstr(b, text);
    const char *point = memchr(text, '.', (size_t)(e - text));
    const int digits = point != NULL ? (int)(e - point) - 1 : 0;
    int behind = digits - (int)exponent;
    (void)snprintf(fixed, sizeof fixed, "%.*f", behind < 1 ? 1 : behind, v);
    return buf_add_cstr(b, fixed);
}

/* As Python's json.dumps(ensure_ascii=False) writes it. */
static void add_text(struct buf *b, struct str s)
{
    static const char escaped[] = "\"\\\n\r\t\b\f", by[] = "\"\\nrtbf";
    (void)buf_add_char(b, '"');
    for (size_t i = 0; i < s.n; i++) {
        const char c = s.p[i], *at = c != '\0' ? strchr(escaped, c) : NULL;
        if (at != NULL)
            (void)buf_addf(b, "\\%c", by[at - escaped]);
        else if ((unsigned char)c < 0x20)
            (void)buf_addf(b, "\\u%04x", (unsigned)c);
        else
            (void)buf_add_char(b, c);
    }
    (void)buf_add_char(b, '"');
}

static void add_value(struct buf *b, const struct json_node *v)
{
    switch (v->kind) {
    case JSON_NODE_NULL: (void)buf_add_cstr(b, "null"); break;
    case JSON_NODE_BOOL: (void)buf_add_cstr(b, v->integer ? "true" : "false"); break;
    case JSON_NODE_INTEGER: (void)buf_addf(b, "%lld", (long long)v->integer); break;
    case JSON_NODE_REAL: (void)body_add_double(b, v->real); break;
    case JSON_NODE_TEXT: add_text(b, v->text); break;
    case JSON_NODE_LIST:
    case JSON_NODE_OBJECT:
        (void)buf_add_char(b, v->kind == JSON_NODE_LIST ? '[' : '{');
        for (const struct json_node *i = v->first; i != NULL; i = i->next) {
            if (v->kind == JSON_NODE_OBJECT) {
                add_text(b, i->name);
                (void)buf_add_char(b, ':');
            }
            add_value(b, i);
            if (i->next != NULL)
                (void)buf_add_char(b, ',');
        }
        (void)buf_add_char(b, v->kind == JSON_NODE_LIST ? ']' : '}');
        break;
    }
}

void body_detail(struct http_server_answer *an, int status, const char *text)
{
    buf_clear(&an->body);
    an->status = status;
    (void)buf_add_cstr(&an->body, "{\"detail\":");
    add_text(&an->body, str_of(text));
    (void)buf_add_char(&an->body, '}');
}

void body_error(struct http_server_answer *an, const struct pixl_error *err)
{
    switch (err->code) {
    case PIXL_E_NOT_FOUND: body_detail(an, 404, err->msg); break;
    case PIXL_E_EXISTS: body_detail(an, 409, err->msg); break;
    case PIXL_E_INVALID: body_detail(an, 400, err->msg); break;
    case PIXL_E_BUSY:
    case PIXL_E_UNAVAILABLE:
    case PIXL_E_CANCELLED: body_detail(an, 503, err->msg); break;
    default: body_detail(an, 500, err->msg); break;
    }
}

/* One error of a 422; name: of the member, NULL: the body itself; input: NULL is shown as null. */
static void add_invalid(struct http_server_answer *an, const char *type, const char *name, const char *msg,
                        const struct json_node *input)
{
    struct buf *b = &an->body;
    an->status = BAD;
    (void)buf_addf(b, "{\"detail\":[{\"type\":\"%s\",\"loc\":[\"body\"", type);
    if (name != NULL)
        (void)buf_addf(b, ",\"%s\"", name);
    (void)buf_addf(b, "],\"msg\":\"%s\",\"input\":", msg);
    if (input != NULL)
        add_value(b, input);
    else
        (void)buf_add_cstr(b, "null");
    (void)buf_add_cstr(b, "}]}");
}

/* --- reading ----------------------------------------------------------------------------------------------------------- */

static void no_json(struct http_server_answer *an, struct str body, const struct pixl_error *err)
{
    if (err->code == PIXL_E_NOMEM) {
        body_detail(an, 500, "out of memory");
        return;
    }
    unsigned line = 1, column = 1;
    const size_t at = err->sys <= 0 ? 0 : (size_t)err->sys < body.n ? (size_t)err->sys : body.n;
    for (size_t i = 0; i < at; i++) {
        column = body.p[i] == '\n' ? 1 : column + 1;
        line += body.p[i] == '\n';
    }
    an->status = BAD;
    (void)buf_addf(
        &an->body,
        "{\"detail\":[{\"type\":\"json_invalid\",\"loc\":[\"body\",%zu],\"msg\":\"JSON decode error\",\"input\":{},"
        "\"ctx\":{\"error\":\"",
        at);
    if (err->code == PIXL_E_CORRUPT)
        (void)buf_addf(&an->body, "not JSON: line %u column %u", line, column);
    else
        (void)buf_add_cstr(&an->body,
                           err->code == PIXL_E_INVALID ? "a member is there twice" : "too large or too deep");
    (void)buf_add_cstr(&an->body, "\"}}]}");
}

const struct json_node *body_object(const struct http_server_request *rq, struct arena *a,
                                    struct http_server_answer *an)
{
    const struct json_node *v;
    struct pixl_error err = { 0 };
    if (str_trim(rq->body).n == 0) {
        add_invalid(an, "missing", NULL, "Field required", NULL);
        return NULL;
    }
    if (!rq->is_json) {
        add_invalid(an, "model_attributes_type", NULL,
                    "Input should be a valid dictionary or object to extract fields from", NULL);
        return NULL;
    }
    if (!json_tree_read(a, rq->body, DEPTH_MAX, ITEMS_MAX, &v, &err)) {
        no_json(an, rq->body, &err);
        return NULL;
    }
    if (v->kind != JSON_NODE_OBJECT) {
        add_invalid(an, "model_attributes_type", NULL,
                    "Input should be a valid dictionary or object to extract fields from", v);
        return NULL;
    }
    return v;
}

bool body_double(const struct json_node *object, const char *name, double *out, struct http_server_answer *an)
{
    const struct json_node *v = json_node_member(object, name);
    double d = 0;
    if (v == NULL) {
        add_invalid(an, "missing", name, "Field required", object);
        return false;
    }
    switch (v->kind) {
    case JSON_NODE_INTEGER: d = (double)v->integer; break;
    case JSON_NODE_REAL: d = v->real; break;
    case JSON_NODE_TEXT: {
        static const char *const not_finite[] = { "nan", "inf", "infinity" };
        struct str t = str_trim(v->text);
        if (str_to_double(t, &d))
            break;
        if (t.n > 0 && (*t.p == '-' || *t.p == '+'))
            t = (struct str){ t.p + 1, t.n - 1 };
        if (str_to_double(t, &d) && v->text.p[0] == '+')
            break;
        for (size_t i = 0; i < ARRAY_LEN(not_finite); i++)
            if (str_eq_nocase(t, str_of(not_finite[i]))) {
                add_invalid(an, "finite_number", name, "Input should be a finite number", v);
                return false;
            }
        add_invalid(an, "float_parsing", name, "Input should be a valid number, unable to parse string as a number", v);
        return false;
    }
    default: add_invalid(an, "float_type", name, "Input should be a valid number", v); return false;
    }
    if (!isfinite(d)) {
        add_invalid(an, "finite_number", name, "Input should be a finite number", NULL);
        return false;
    }
    *out = d;
    return true;
}

bool body_text(const struct json_node *object, const char *name, bool must_be, struct str *out,
               struct http_server_answer *an)
{
    const struct json_node *v = json_node_member(object, name);
    if (v == NULL || (!must_be && v->kind == JSON_NODE_NULL)) {
        *out = (struct str){ 0 };
        if (must_be)
            add_invalid(an, "missing", name, "Field required", object);
        return !must_be;
    }
    if (v->kind != JSON_NODE_TEXT) {
        add_invalid(an, "string_type", name, "Input should be a valid string", v);
        return false;
    }
    if (v->text.n == 0) {
        add_invalid(an, "string_too_short", name, "String should have at least 1 character", v);
        return false;
    }
    *out = v->text;
    return true;
}
