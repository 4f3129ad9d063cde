/* deid_report_json.c - the report as JSON; docs/deid-report.md names its fields, which stand in this order. */
#include <jansson.h>

#include "deid_report_internal.h"

enum { FORMAT_VERSION = 1 };

/* jansson gives NULL when there is no memory; adding NULL fails, and so does adding to it. */
struct maker {
    bool ok;
};

static void put(struct maker *m, json_t *object, const char *key, json_t *value)
{
    m->ok = json_object_set_new(object, key, value) == 0 && m->ok;
}

static void add(struct maker *m, json_t *array, json_t *value)
{
    m->ok = json_array_append_new(array, value) == 0 && m->ok;
}

static json_t *integer(uint64_t n)
{
    return json_integer((json_int_t)n);
}

static json_t *project(struct maker *m, const struct report_view *v)
{
    json_t *o = json_object(), *files = json_array();
    put(m, o, "slug", json_string(v->slug));
    put(m, o, "name", json_string(v->name));
    for (size_t i = 0; i < v->n_files; i++)
        add(m, files, json_string(v->files[i]));
    put(m, o, "rule_files", files);
    put(m, o, "basic_profile", json_boolean(v->is_basic_profile));
    return o;
}

static json_t *counts(struct maker *m, const struct report_view *v)
{
    const struct deid_files_counts *n = v->counts;
    json_t *o = json_object(), *why = json_object();
    const struct {
        const char *key;
        int64_t n;
    } rows[] = {
        { "files", n->files },
        { "not_dicom", n->not_dicom },
        { "written", n->written },
        { "bytes", n->bytes },
        { "left_out", v->left_out },
        { "copies", n->copies },
        { "in_withheld_studies", n->held_back },
        { "studies", n->studies },
        { "studies_written", n->written_studies },
        { "studies_withheld", n->withheld_studies },
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        put(m, o, rows[i].key, json_integer(rows[i].n));
    for (size_t i = 0; i < STUDY_REASON_COUNT; i++)
        if (n->skipped_by[i] > 0)
            put(m, why, study_reason_name((enum study_reason)i), json_integer(n->skipped_by[i]));
    put(m, o, "left_out_by", why);
    return o;
}

static json_t *methods(struct maker *m, const struct report_view *v)
{
    json_t *array = json_array();
    for (size_t i = 0; i < v->n_methods; i++) {
        json_t *o = json_object();
        put(m, o, "code", json_string(v->methods[i]->code));
        put(m, o, "meaning", json_string(v->methods[i]->meaning));
        put(m, o, "instances", integer(v->methods[i]->n));
        add(m, array, o);
    }
    return array;
}

static json_t *actions(struct maker *m, const uint64_t n[REPORT_ACTION_COUNT], bool with_zeros)
{
    json_t *o = json_object();
    for (size_t a = 0; a < REPORT_ACTION_COUNT; a++)
        if (n[a] > 0 || with_zeros)
            put(m, o, report_action_name((enum report_action)a), integer(n[a]));
    return o;
}

static json_t *attributes(struct maker *m, const struct report_view *v)
{
    json_t *array = json_array();
    for (size_t i = 0; i < v->n_rows; i++) {
        const struct report_row *row = &v->rows[i];
        char tag[REPORT_TAG_SIZE];
        json_t *o = json_object();
        report_tag_text(row, tag);
        put(m, o, "tag", json_string(tag));
        put(m, o, "creator", json_string(v->creators[i]));
        put(m, o, "keyword", json_string(report_keyword(row->tag)));
        put(m, o, "vr", json_string(dicom_vr_name((enum dicom_vr)row->vr)));
        put(m, o, "actions", actions(m, row->n, false));
        add(m, array, o);
    }
    return array;
}

static json_t *left_out(struct maker *m, const struct report_view *v)
{
    json_t *array = json_array();
    for (size_t i = 0; i < v->report->n_left_out; i++) {
        const struct left_out *l = &v->report->left_out[i];
        json_t *o = json_object();
        put(m, o, "number", integer(i + 1));
        put(m, o, "reason", json_string(study_reason_name(l->why)));
        put(m, o, "place", json_string(l->where));
        add(m, array, o);
    }
    return array;
}

static json_t *text_or_null(const char *text)
{
    return text != NULL ? json_string(text) : json_null();
}

static json_t *element(struct maker *m, const struct sample_row *row)
{
    json_t *o = json_object();
    char tag[REPORT_TAG_SIZE];
    report_tag_text(&(struct report_row){ .tag = row->tag }, tag);
    put(m, o, "path", json_string(row->path));
    put(m, o, "tag", json_string(tag));
    put(m, o, "keyword", json_string(report_keyword(row->tag)));
    put(m, o, "vr", json_string(dicom_vr_name(row->vr)));
    put(m, o, "action", json_string(report_action_name(row->action)));
    put(m, o, "before_bytes", row->is_before ? integer(row->before_bytes) : json_null());
    put(m, o, "before", text_or_null(sample_is_same(row) ? row->after : NULL));
    put(m, o, "after_bytes", row->is_after ? integer(row->after_bytes) : json_null());
    put(m, o, "after", text_or_null(row->after));
    return o;
}

static json_t *instance(struct maker *m, const struct report_view *v)
{
    const struct sample *s = &v->report->sample;
    if (v->report->sample_number == 0)
        return json_null();
    json_t *o = json_object(), *elements = json_array();
    put(m, o, "number", integer(v->report->sample_number));
    for (size_t i = 0; i < s->n; i++)
        if (!s->rows[i].is_item)
            add(m, elements, element(m, &s->rows[i]));
    put(m, o, "elements", elements);
    put(m, o, "elements_not_listed", integer(s->n_unlisted));
    return o;
}

static json_t *document(struct maker *m, const struct report_view *v)
{
    json_t *o = json_object();
    put(m, o, "format", json_string("pixl-deid-report"));
    put(m, o, "format_version", json_integer(FORMAT_VERSION));
    put(m, o, "pixl", json_string(v->version));
    put(m, o, "began", json_string(v->began));
    put(m, o, "seconds", json_real(v->seconds));
    put(m, o, "project", project(m, v));
    put(m, o, "counts", counts(m, v));
    put(m, o, "methods", methods(m, v));
    put(m, o, "actions", actions(m, v->totals, true));
    put(m, o, "attributes", attributes(m, v));
    put(m, o, "other_attributes", actions(m, v->rest->n, false));
    put(m, o, "left_out", left_out(m, v));
    put(m, o, "left_out_not_listed", integer(v->report->n_left_out_unlisted));
    put(m, o, "instance", instance(m, v));
    return o;
}

static int into_buf(const char *bytes, size_t n, void *buf)
{
    return buf_add(buf, bytes, n) ? 0 : -1;
}

bool report_write_json(const struct report_view *v, struct buf *out)
{
    struct maker m = { true };
    json_t *o = document(&m, v);
    bool ok = m.ok && json_dump_callback(o, into_buf, out, JSON_INDENT(1) | JSON_REAL_PRECISION(6)) == 0 &&
              buf_add_char(out, '\n');
    json_decref(o);
    return ok;
}
