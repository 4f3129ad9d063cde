#include "message.h"

#include <math.h>
#include <string.h>

#include "base/slug.h"
#include "message_internal.h"

/* --- writing --------------------------------------------------------------------------------------------------- */

static void write_field(struct buf *out, const char *name, struct str text)
{
    (void)buf_addf(out, "\"%s\": ", name);
    (void)json_add_text(out, text);
    (void)buf_add_cstr(out, ", ");
}

static void write_date(struct buf *out, int32_t date, enum message_form form)
{
    int year = date / 10000, month = date / 100 % 100, day = date % 100;
    if (date == 0)
        (void)buf_add_cstr(out, "null");
    else if (form == MESSAGE_JSON)
        (void)buf_addf(out, "\"%04d-%02d-%02d\"", year, month, day);
    else
        py_write_date(out, year, month, day);
}

static void write_time(struct buf *out, const struct iso_time *t, enum message_form form)
{
    char text[ISO_TIME_SIZE];
    if (form == MESSAGE_JSONPICKLE) {
        py_write_time(out, t);
        return;
    }
    iso_time_format(t, text);
    (void)json_add_text(out, str_of(text));
}

bool message_encode(const struct study_request *r, enum message_form form, struct buf *out, struct pixl_error *err)
{
    struct iso_time t;
    size_t before = out->n;
    if (!study_request_check(r, err))
        return pixl_wrap(err, "message");
    if (r->study_date != 0 && !iso_time_is_day(r->study_date / 10000, r->study_date / 100 % 100, r->study_date % 100))
        return pixl_fail(err, PIXL_E_INVALID, 0, "message: study_date: no such day");
    if (!iso_time_parse(r->extract_time, &t))
        return pixl_fail(err, PIXL_E_INVALID, 0, "message: extract_generated_timestamp: not a time");
    (void)buf_add_char(out, '{');
    if (form == MESSAGE_JSONPICKLE)
        (void)buf_add_cstr(out, "\"py/object\": \"" PY_MESSAGE "\", ");
    write_field(out, "mrn", phi_reveal(r->mrn));
    write_field(out, "accession_number", phi_reveal(r->accession_number));
    write_field(out, "study_uid", phi_reveal(r->study_uid));
    write_field(out, "series_uid", phi_reveal(r->series_uids));
    (void)buf_add_cstr(out, "\"study_date\": ");
    write_date(out, r->study_date, form);
    (void)buf_addf(out, ", \"procedure_occurrence_id\": %lld, ", (long long)r->procedure_occurrence_id);
    write_field(out, "project_name", r->project);
    (void)buf_add_cstr(out, "\"extract_generated_timestamp\": ");
    write_time(out, &t, form);
    if (buf_add_char(out, '}'))
        return true;
    out->failed = false; /* what was there before is whole */
    out->n = before;
    if (out->p != NULL)
        out->p[before] = '\0';
    return pixl_fail(err, PIXL_E_NOMEM, 0, "message: no memory, or no room for it");
}

/* --- reading --------------------------------------------------------------------------------------------------- */

struct reading {
    struct arena *arena;
    bool is_pickled;
    struct py_objects seen;
    struct study_request r;
};

static bool refuse(const char *field, const char *why, struct pixl_error *err)
{
    return pixl_fail(err, PIXL_E_INVALID, 0, "%s: %s", field, why);
}

/* null is the empty text. */
static bool take_text(const char *field, const struct json_node *v, struct str *out, struct pixl_error *err)
{
    *out = (struct str){ 0 };
    if (v->kind != JSON_NODE_TEXT && v->kind != JSON_NODE_NULL)
        return refuse(field, "not a text", err);
    *out = str_trim(v->text);
    return true;
}

static bool take_phi(const char *field, const struct json_node *v, struct phi_text *out, struct pixl_error *err)
{
    struct str s;
    if (!take_text(field, v, &s, err))
        return false;
    *out = phi_text(s);
    return true;
}

static bool take_time(struct reading *m, const char *field, const struct json_node *v, struct iso_time *out,
                      struct pixl_error *err)
{
    if (v->kind == JSON_NODE_TEXT)
        return iso_time_parse(v->text, out) || refuse(field, "not a date or time", err);
    if (v->kind != JSON_NODE_OBJECT || !m->is_pickled)
        return refuse(field, v->kind == JSON_NODE_NULL ? "missing" : "not a date or time", err);
    return py_read_time(&m->seen, v, out, err) || pixl_wrap(err, "%s", field);
}

static bool take_mrn(struct reading *m, const char *field, const struct json_node *v, struct pixl_error *err)
{
    return take_phi(field, v, &m->r.mrn, err);
}

static bool take_accession(struct reading *m, const char *field, const struct json_node *v, struct pixl_error *err)
{
    return take_phi(field, v, &m->r.accession_number, err);
}

static bool take_study_uid(struct reading *m, const char *field, const struct json_node *v, struct pixl_error *err)
{
    return take_phi(field, v, &m->r.study_uid, err);
}

static bool take_series(struct reading *m, const char *field, const struct json_node *v, struct pixl_error *err)
{
    return take_phi(field, v, &m->r.series_uids, err);
}

static bool take_study_date(struct reading *m, const char *field, const struct json_node *v, struct pixl_error *err)
{
    struct iso_time t;
    if (v->kind == JSON_NODE_NULL)
        return true;
    if (!take_time(m, field, v, &t, err))
        return false;
    m->r.study_date = t.year * 10000 + t.month * 100 + t.day;
    return true;
}

/* A table with empty cells makes its numbers real ones, a CSV makes texts of them. */
static bool take_procedure(struct reading *m, const char *field, const struct json_node *v, struct pixl_error *err)
{
    const double exact = 9007199254740992.0; /* up to here every whole number has a double of its own */
    int64_t *out = &m->r.procedure_occurrence_id;
    if (v->kind == JSON_NODE_INTEGER) {
        *out = v->integer;
        return true;
    }
    if (v->kind == JSON_NODE_TEXT)
        return str_to_i64(v->text, out) || refuse(field, "not a whole number", err);
    double d = v->real;
    if (v->kind != JSON_NODE_REAL || fabs(d) > exact || trunc(d) < d || trunc(d) > d)
        return refuse(field, v->kind == JSON_NODE_NULL ? "missing" : "not a whole number", err);
    *out = (int64_t)d;
    return true;
}

static bool take_project(struct reading *m, const char *field, const struct json_node *v, struct pixl_error *err)
{
    struct str name;
    struct pixl_error e = { 0 };
    if (!take_text(field, v, &name, err))
        return false;
    if (name.n == 0)
        return refuse(field, "missing", err);
    if (slug_make(m->arena, name, &m->r.project, &e))
        return true;
    return e.code == PIXL_E_NOMEM ? pixl_fail(err, e.code, 0, "%s", field) : refuse(field, "gives no slug", err);
}

static bool take_extract_time(struct reading *m, const char *field, const struct json_node *v, struct pixl_error *err)
{
    struct iso_time t;
    char text[ISO_TIME_SIZE];
    if (!take_time(m, field, v, &t, err))
        return false;
    iso_time_format(&t, text);
    m->r.extract_time = arena_str(m->arena, str_of(text));
    return m->r.extract_time.p != NULL || pixl_fail(err, PIXL_E_NOMEM, 0, "%s", field);
}

static const struct field {
    const char *name;
    bool is_optional; /* the first age had none */
    bool (*take)(struct reading *m, const char *field, const struct json_node *v, struct pixl_error *err);
} fields[] = {
    { "mrn", false, take_mrn },
    { "accession_number", false, take_accession },
    { "study_uid", true, take_study_uid },
    { "series_uid", true, take_series },
    { "study_date", false, take_study_date },
    { "procedure_occurrence_id", false, take_procedure },
    { "project_name", false, take_project },
    { "extract_generated_timestamp", false, take_extract_time },
};

static const struct field *find_field(struct str name)
{
    for (size_t i = 0; i < ARRAY_LEN(fields); i++)
        if (str_eq(str_of(fields[i].name), name))
            return &fields[i];
    return NULL;
}

/* In the order in which they stand, as jsonpickle counts objects. */
static bool read_fields(struct reading *m, const struct json_node *root, struct pixl_error *err)
{
    for (const struct json_node *v = root->first; v != NULL; v = v->next) {
        if (m->is_pickled && str_eq(v->name, STR("py/object")))
            continue;
        const struct field *f = find_field(v->name);
        if (f == NULL)
            return pixl_fail(err, PIXL_E_INVALID, 0, "a field that a message does not have");
        if (!f->take(m, f->name, v, err))
            return false;
    }
    for (size_t i = 0; i < ARRAY_LEN(fields); i++)
        if (!fields[i].is_optional && json_node_member(root, fields[i].name) == NULL)
            return refuse(fields[i].name, "missing", err);
    return true;
}

static bool read_message(struct reading *m, const struct json_node *root, struct pixl_error *err)
{
    if (root->kind != JSON_NODE_OBJECT)
        return pixl_fail(err, PIXL_E_INVALID, 0, "not an object");
    m->is_pickled = json_node_member(root, "py/object") != NULL;
    if (m->is_pickled && !str_eq(py_class(root), STR(PY_MESSAGE)))
        return pixl_fail(err, PIXL_E_UNSUPPORTED, 0, "a Python object other than Message");
    m->seen.at[0].kind = PY_KIND_MESSAGE;
    m->seen.n = 1;
    return read_fields(m, root, err) && study_request_check(&m->r, err);
}

bool message_decode(struct phi_text body, const struct message_limits *limits, struct arena *a,
                    struct study_request *out, struct pixl_error *err)
{
    struct str s = phi_reveal(body);
    struct reading m = { .arena = a, .seen.arena = a, .r = { .priority = 1 } };
    const struct json_node *root;
    if (s.n > limits->max_bytes)
        return pixl_fail(err, PIXL_E_LIMIT, 0, "message: longer than %zu bytes", limits->max_bytes);
    if (!json_tree_read(a, s, limits->max_depth, MESSAGE_ITEMS_MAX, &root, err) || !read_message(&m, root, err))
        return pixl_wrap(err, "message");
    *out = m.r;
    return true;
}
