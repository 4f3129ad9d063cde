/* deid_report_html.c - the report as one page: no script, nothing loaded from elsewhere, for screen and paper. */
#include "deid_report_internal.h"

#include <stdio.h>

static const char head[] =
    "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
    "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n"
    "<meta name=\"viewport\" content=\"width=device-width\">\n"
    "<title>De-identification report</title>\n<style>\n"
    ":root { color-scheme: light dark; --ink: #1c2530; --soft: #5b6673; --line: #d9dee4; --page: #fff; --band: "
    "#f4f6f8;\n"
    "  --kept: #1a6b3c; --made: #8a5300; --gone: #9c2b2b; }\n"
    "@media (prefers-color-scheme: dark) { :root { --ink: #e3e8ee; --soft: #98a4b3; --line: #343d48; --page: #14191f;\n"
    "  --band: #1c232b; --kept: #6fcf97; --made: #e0a95c; --gone: #ef8a8a; } }\n"
    "* { box-sizing: border-box; }\n"
    "body { margin: 0 auto; max-width: 72rem; padding: 2rem 1.5rem 4rem; background: var(--page); color: var(--ink);\n"
    "  font: 15px/1.5 system-ui, sans-serif; }\n"
    "h1 { font-size: 1.6rem; margin: 0 0 .2rem; } h2 { font-size: 1.15rem; margin: 2.4rem 0 .5rem; }\n"
    "p { margin: .3rem 0 .8rem; max-width: 60rem; } .soft { color: var(--soft); }\n"
    "dl { display: grid; grid-template-columns: repeat(auto-fill, minmax(10.5rem, 1fr)); gap: .6rem; margin: 1.2rem 0; "
    "}\n"
    "dl div { border: 1px solid var(--line); border-radius: 6px; padding: .5rem .8rem; }\n"
    "dt { color: var(--soft); font-size: .85rem; } dd { margin: 0; font-size: 1.25rem; font-variant-numeric: "
    "tabular-nums; }\n"
    ".wide { overflow-x: auto; }\n"
    "table { border-collapse: collapse; width: 100%; font-size: .87rem; }\n"
    "th, td { text-align: left; vertical-align: top; padding: .28rem .7rem .28rem 0; border-bottom: 1px solid "
    "var(--line); }\n"
    "th { color: var(--soft); font-weight: 600; } tbody tr:nth-child(even) { background: var(--band); }\n"
    "td:first-child, th:first-child { padding-left: .5rem; }\n"
    ".n { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }\n"
    ".tag { font-family: ui-monospace, monospace; font-size: .82rem; white-space: nowrap; }\n"
    ".value { font-family: ui-monospace, monospace; font-size: .82rem; overflow-wrap: anywhere; white-space: pre-wrap; "
    "}\n"
    ".kept, .made, .gone { white-space: nowrap; }\n"
    ".kept { color: var(--kept); } .made { color: var(--made); } .gone { color: var(--gone); }\n"
    "@media print { :root { --ink: #000; --soft: #444; --line: #bbb; --page: #fff; --band: #fff; --kept: #000;\n"
    "  --made: #000; --gone: #000; } body { max-width: none; padding: 0; font-size: 9.5pt; } thead { display: "
    "table-header-group; }\n"
    "  tr { break-inside: avoid; } .wide { overflow: visible; } }\n"
    "</style>\n</head>\n<body>\n";

/* Text as text: nothing in it is markup. */
static void put_text(struct buf *b, const char *s)
{
    for (; *s != '\0'; s++)
        switch (*s) {
        case '&': (void)buf_add_cstr(b, "&amp;"); break;
        case '<': (void)buf_add_cstr(b, "&lt;"); break;
        case '>': (void)buf_add_cstr(b, "&gt;"); break;
        case '"': (void)buf_add_cstr(b, "&quot;"); break;
        case '\'': (void)buf_add_cstr(b, "&#39;"); break;
        default: (void)buf_add_char(b, *s);
        }
}

static void put_cell(struct buf *b, const char *class, const char *text)
{
    (void)buf_addf(b, "<td%s%s%s>", class ? " class=\"" : "", class ? class : "", class ? "\"" : "");
    put_text(b, text);
    (void)buf_add_cstr(b, "</td>");
}

static void put_number(struct buf *b, uint64_t n)
{
    (void)buf_addf(b, "<td class=\"n\">%llu</td>", (unsigned long long)n);
}

static void begin_table(struct buf *b, const char *id, const char *headings)
{
    (void)buf_addf(b, "<div class=\"wide\"><table id=\"%s\">\n<thead><tr>%s</tr></thead>\n<tbody>\n", id, headings);
}

static void end_table(struct buf *b)
{
    (void)buf_add_cstr(b, "</tbody>\n</table></div>\n");
}

static const char *class_of(enum report_action a)
{
    return a == REPORT_KEPT ? "kept" : report_action_removes(a) || a == REPORT_META ? "gone" : "made";
}

static void put_summary(struct buf *b, const struct report_view *v)
{
    const struct deid_files_counts *n = v->counts;
    const struct {
        const char *what;
        int64_t n;
    } facts[] = {
        { "Files looked at", n->files },
        { "Instances written", n->written },
        { "Left out", v->left_out },
        { "In withheld studies", n->held_back },
        { "Identical copies", n->copies },
        { "No DICOM", n->not_dicom },
        { "Studies", n->studies },
        { "Studies written", n->written_studies },
        { "Studies withheld", n->withheld_studies },
        { "Bytes written", n->bytes },
    };
    (void)buf_add_cstr(b, "<h1>De-identification report</h1>\n<p class=\"soft\">Project ");
    put_text(b, v->name);
    (void)buf_add_cstr(b, " (");
    put_text(b, v->slug);
    (void)buf_add_cstr(b, "), pixl ");
    put_text(b, v->version);
    (void)buf_addf(b, ", begun %.10s %.8s UTC, took %.1f s</p>\n<dl>\n", v->began, v->began + 11, v->seconds);
    for (size_t i = 0; i < ARRAY_LEN(facts); i++)
        (void)buf_addf(b, "<div><dt>%s</dt><dd>%lld</dd></div>\n", facts[i].what, (long long)facts[i].n);
    (void)buf_add_cstr(b,
                       "</dl>\n<p class=\"soft\">This page names no input file and shows no value that was removed or "
                       "changed. Of a withheld study it does not say what was found, or where.</p>\n");
}

static void put_policy(struct buf *b, const struct report_view *v)
{
    (void)buf_addf(
        b,
        "<h2>Policy</h2>\n<p>The rules %s the Basic Application Confidentiality Profile (DICOM PS3.15). Rules from: ",
        v->is_basic_profile ? "satisfy" : "do <strong>not</strong> satisfy");
    for (size_t i = 0; i < v->n_files; i++) {
        (void)buf_add_cstr(b, i > 0 ? ", " : "");
        put_text(b, v->files[i]);
    }
    (void)buf_add_cstr(b, ". What no rule names is removed.</p>\n");
    if (v->n_methods == 0)
        return;
    begin_table(b, "methods", "<th>Code</th><th>De-identification method stated</th><th class=\"n\">Instances</th>");
    for (size_t i = 0; i < v->n_methods; i++) {
        (void)buf_add_cstr(b, "<tr>");
        put_cell(b, "tag", v->methods[i]->code);
        put_cell(b, NULL, v->methods[i]->meaning);
        put_number(b, v->methods[i]->n);
        (void)buf_add_cstr(b, "</tr>\n");
    }
    end_table(b);
}

static void put_totals(struct buf *b, const struct report_view *v)
{
    (void)buf_add_cstr(
        b, "<h2>What was done</h2>\n<p>Elements of all instances that were written, nested ones included.</p>\n");
    begin_table(b, "actions", "<th>Action</th><th>Meaning</th><th class=\"n\">Elements</th>");
    for (size_t a = 0; a < REPORT_ACTION_COUNT; a++) {
        (void)buf_add_cstr(b, "<tr>");
        put_cell(b, class_of((enum report_action)a), report_action_name((enum report_action)a));
        put_cell(b, NULL, report_action_text((enum report_action)a));
        put_number(b, v->totals[a]);
        (void)buf_add_cstr(b, "</tr>\n");
    }
    end_table(b);
}

static void put_attribute(struct buf *b, const struct report_row *row, const char *tag, const char *name,
                          const char *vr)
{
    for (size_t a = 0; a < REPORT_ACTION_COUNT; a++) {
        if (row->n[a] == 0)
            continue;
        (void)buf_add_cstr(b, "<tr>");
        put_cell(b, "tag", tag);
        put_cell(b, NULL, name);
        put_cell(b, "tag", vr);
        put_cell(b, class_of((enum report_action)a), report_action_name((enum report_action)a));
        put_number(b, row->n[a]);
        (void)buf_add_cstr(b, "</tr>\n");
    }
}

static void put_attributes(struct buf *b, const struct report_view *v)
{
    (void)buf_add_cstr(
        b, "<h2>Attributes</h2>\n<p>A creator of private data is named where it was written or stands in a rule; "
           "any other is a value that was removed.</p>\n");
    begin_table(b, "attributes",
                "<th>Tag</th><th>Attribute, or creator of private data</th><th>VR</th><th>Action</th>"
                "<th class=\"n\">Elements</th>");
    for (size_t i = 0; i < v->n_rows; i++) {
        const struct report_row *row = &v->rows[i];
        char tag[REPORT_TAG_SIZE];
        report_tag_text(row, tag);
        put_attribute(b, row, tag, row->n_creator > 0 ? v->creators[i] : report_keyword(row->tag),
                      dicom_vr_name((enum dicom_vr)row->vr));
    }
    put_attribute(b, v->rest, "others", "attributes beyond those that this report can list", "");
    end_table(b);
}

static void put_left_out(struct buf *b, const struct report_view *v)
{
    const struct deid_report *r = v->report;
    (void)buf_add_cstr(b, "<h2>Left out</h2>\n");
    if (v->left_out == 0) {
        (void)buf_add_cstr(b, "<p>Nothing.</p>\n");
        return;
    }
    begin_table(b, "reasons", "<th>Reason</th><th>Meaning</th><th class=\"n\">Instances</th>");
    for (size_t i = 0; i < STUDY_REASON_COUNT; i++) {
        if (v->counts->skipped_by[i] == 0)
            continue;
        (void)buf_add_cstr(b, "<tr>");
        put_cell(b, NULL, study_reason_name((enum study_reason)i));
        put_cell(b, NULL, study_reason_text((enum study_reason)i));
        put_number(b, (uint64_t)v->counts->skipped_by[i]);
        (void)buf_add_cstr(b, "</tr>\n");
    }
    end_table(b);
    (void)buf_add_cstr(
        b, "<h2>Left out, one by one</h2>\n<p>Numbered as the command named them on its terminal, where their "
           "files are told; a file's name may be a patient's.</p>\n");
    begin_table(b, "left-out", "<th>Number</th><th>Reason</th><th>Place</th>");
    for (size_t i = 0; i < r->n_left_out; i++) {
        (void)buf_addf(b, "<tr><td class=\"tag\">%zu</td>", i + 1);
        put_cell(b, NULL, study_reason_name(r->left_out[i].why));
        put_cell(b, "tag", r->left_out[i].where);
        (void)buf_add_cstr(b, "</tr>\n");
    }
    end_table(b);
    if (r->n_left_out_unlisted > 0)
        (void)buf_addf(b, "<p>%llu more are not listed.</p>\n", (unsigned long long)r->n_left_out_unlisted);
}

/* A value that may be shown, or how long it was. */
static void put_value(struct buf *b, bool is_there, const char *text, uint64_t bytes)
{
    char length[40];
    if (!is_there) {
        put_cell(b, NULL, "");
        return;
    }
    if (text != NULL && text[0] != '\0') {
        put_cell(b, "value", text);
        return;
    }
    (void)snprintf(length, sizeof length, "%llu byte%s", (unsigned long long)bytes, bytes == 1 ? "" : "s");
    put_cell(b, "soft", bytes == 0 ? "empty" : length);
}

static void put_element(struct buf *b, const struct sample_row *row)
{
    char tag[REPORT_TAG_SIZE];
    report_tag_text(&(struct report_row){ .tag = row->tag }, tag);
    const double indent = 0.5 + 1.1 * row->depth;
    if (row->is_item) {
        (void)buf_addf(b, "<tr><td class=\"soft\" colspan=\"6\" style=\"padding-left:%.1frem\">item %u</td></tr>\n",
                       indent, (unsigned)row->item + 1);
        return;
    }
    (void)buf_addf(b, "<tr><td class=\"tag\" style=\"padding-left:%.1frem\">%s</td>", indent, tag);
    put_cell(b, NULL, report_keyword(row->tag));
    put_cell(b, "tag", dicom_vr_name(row->vr));
    put_value(b, row->is_before, sample_is_same(row) ? row->after : NULL, row->before_bytes);
    put_value(b, row->is_after, row->after, row->after_bytes);
    put_cell(b, class_of(row->action), report_action_name(row->action));
    (void)buf_add_cstr(b, "</tr>\n");
}

static void put_instance(struct buf *b, const struct report_view *v)
{
    const struct sample *s = &v->report->sample;
    (void)buf_add_cstr(b, "<h2>One instance, before and after</h2>\n");
    if (v->report->sample_number == 0) {
        (void)buf_add_cstr(b, "<p>The instance that was asked for, or any, was not written.</p>\n");
        return;
    }
    (void)buf_addf(b,
                   "<p>Instance %llu of those that were written. Before shows a value only where it was written as it "
                   "was; else its "
                   "length.</p>\n",
                   (unsigned long long)v->report->sample_number);
    begin_table(b, "instance", "<th>Tag</th><th>Attribute</th><th>VR</th><th>Before</th><th>After</th><th>Action</th>");
    for (size_t i = 0; i < s->n; i++)
        put_element(b, &s->rows[i]);
    end_table(b);
    if (s->n_unlisted > 0)
        (void)buf_addf(b, "<p>%llu more elements are not listed.</p>\n", (unsigned long long)s->n_unlisted);
}

bool report_write_html(const struct report_view *v, struct buf *out)
{
    (void)buf_add_cstr(out, head);
    put_summary(out, v);
    put_policy(out, v);
    put_totals(out, v);
    put_attributes(out, v);
    put_left_out(out, v);
    put_instance(out, v);
    return buf_add_cstr(out, "</body>\n</html>\n");
}
