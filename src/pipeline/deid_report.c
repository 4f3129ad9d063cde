#include "deid_report.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "deid_report_internal.h"

enum { REPORT_BYTES_MAX = 256 << 20, TEXTS_MAX = 64 << 20 };

static bool ends_in(const char *path, const char *ending)
{
    size_t n = strlen(path), m = strlen(ending);
    return n > m && strcmp(path + n - m, ending) == 0 && path[n - m - 1] != '/';
}

/* *number: 0 when a file is named. */
static bool wanted_instance(const char *text, uint64_t *number, struct stat *st, struct pixl_error *err)
{
    uint64_t n = 1;
    if (text == NULL || str_to_u64(str_of(text), &n)) {
        *number = n;
        return n > 0 || pixl_fail(err, PIXL_E_INVALID, 0, "--report-instance: instances are counted from 1");
    }
    *number = 0;
    if (stat(text, st) != 0 || !S_ISREG(st->st_mode))
        return pixl_fail(err, PIXL_E_INVALID, 0, "--report-instance: no number, and no file of this name");
    return true;
}

bool deid_report_check(const struct deid_report_options *o, struct pixl_error *err)
{
    uint64_t number;
    struct stat st;
    if (!ends_in(o->path, ".html") && !ends_in(o->path, ".json"))
        return pixl_fail(err, PIXL_E_INVALID, 0, "--report: the name must end in .html or .json");
    return wanted_instance(o->instance, &number, &st, err);
}

bool deid_report_open(const struct deid_report_options *o, struct deid_report **out, struct pixl_error *err)
{
    char suffix[32];
    struct stat st = { 0 };
    if (!deid_report_check(o, err))
        return false;
    PIXL_CLEANUP(deid_report_freep) struct deid_report *r = calloc(1, sizeof *r);
    if (r == NULL)
        return pixl_fail(err, PIXL_E_NOMEM, 0, "report");
    r->o = o;
    r->file = FS_NEW_FILE_NONE;
    r->is_html = ends_in(o->path, ".html");
    r->began_wall_us = clock_wall_us();
    r->began_us = clock_mono_us();
    arena_init(&r->texts, TEXTS_MAX);
    sample_init(&r->sample);
    (void)snprintf(suffix, sizeof suffix, "%ld", (long)getpid());
    if (fs_is_dir(o->path))
        return pixl_fail(err, PIXL_E_INVALID, 0, "--report: a folder has this name");
    if (!wanted_instance(o->instance, &r->wanted_number, &st, err) || !report_new(&r->counts, err))
        return false;
    if (!fs_new_file_open(&r->file, o->path, suffix, 0640, err))
        return pixl_wrap(err, "report");
    r->wanted_device = st.st_dev;
    r->wanted_inode = st.st_ino;
    *out = PIXL_STEAL(&r);
    return true;
}

void deid_report_free(struct deid_report *r)
{
    if (r == NULL)
        return;
    fs_new_file_abandon(&r->file);
    report_free(r->counts);
    arena_done(&r->texts);
    sample_done(&r->sample);
    free(r->left_out);
    free(r);
}

struct report *deid_report_counts(struct deid_report *r)
{
    return r != NULL ? r->counts : NULL;
}

/* What there is no room for is counted all the same. */
void deid_report_left_out(struct deid_report *r, enum study_reason why, const char *where)
{
    if (r == NULL)
        return;
    if (r->n_left_out == r->cap_left_out && r->cap_left_out < LEFT_OUT_MAX) {
        size_t cap = r->cap_left_out ? 2 * r->cap_left_out : 64;
        cap = cap < LEFT_OUT_MAX ? cap : LEFT_OUT_MAX;
        struct left_out *grown = realloc(r->left_out, cap * sizeof *grown);
        if (grown != NULL) {
            r->left_out = grown;
            r->cap_left_out = cap;
        }
    }
    if (r->n_left_out == r->cap_left_out || r->n_left_out_unlisted > 0) { /* numbers follow each other */
        r->n_left_out_unlisted++;
        return;
    }
    struct left_out *l = &r->left_out[r->n_left_out++];
    *l = (struct left_out){ .why = why };
    if (why != STUDY_WHY_RESIDUE)
        (void)snprintf(l->where, sizeof l->where, "%s", where);
}

static bool is_wanted(const struct deid_report *r, int fd)
{
    struct stat st;
    if (r->sample_number != 0)
        return false;
    if (r->wanted_number != 0)
        return r->n_written + r->n_in_study == r->wanted_number;
    return fstat(fd, &st) == 0 && st.st_dev == r->wanted_device && st.st_ino == r->wanted_inode;
}

bool deid_report_instance(struct deid_report *r, int fd, const struct dicom_file *f, const uint8_t *actions,
                          const char *path, struct pixl_error *err)
{
    r->n_in_study++;
    if (is_wanted(r, fd)) {
        if (!sample_take(&r->sample, f, actions, path, err))
            return pixl_wrap(err, "report");
        r->sample_number = r->n_written + r->n_in_study;
        r->is_sample_of_study = true;
    }
    report_written(r->counts);
    return true;
}

void deid_report_end_study(struct deid_report *r, bool is_delivered)
{
    if (r == NULL)
        return;
    report_end_study(r->counts, is_delivered);
    if (is_delivered) {
        r->n_written += r->n_in_study;
    } else if (r->is_sample_of_study) {
        sample_done(&r->sample);
        sample_init(&r->sample);
        r->sample_number = 0;
    }
    r->n_in_study = 0;
    r->is_sample_of_study = false;
}

/* --- the end --- */

const char *report_keyword(uint32_t tag)
{
    const struct dicom_dict_entry *d = dicom_dict_find(tag);
    return d != NULL ? d->keyword : "";
}

static uint32_t take_char(struct str *s, bool is_utf8)
{
    const unsigned char *p = (const unsigned char *)s->p;
    size_t n = !is_utf8 || p[0] < 0x80 ? 1 : p[0] < 0xE0 ? 2 : p[0] < 0xF0 ? 3 : 4;
    uint32_t c = n == 1 ? p[0] : p[0] & (0x7Fu >> n);
    for (size_t i = 1; i < n; i++)
        c = c << 6 | (p[i] & 0x3F);
    s->p += n;
    s->n -= n;
    return is_utf8 || c < 0x80 ? c : 0xFFFD;
}

static bool changes_its_surroundings(uint32_t c)
{
    return (c >= 0x80 && c < 0xA0) || c == 0xAD || c == 0x61C || (c >= 0x200B && c <= 0x200F) ||
           (c >= 0x2028 && c <= 0x202E) || (c >= 0x2060 && c <= 0x206F) || c == 0xFEFF || (c & 0xFFFE) == 0xFFFE ||
           (c >= 0xFDD0 && c <= 0xFDEF) || (c >= 0xE0000 && c <= 0xE0FFF);
}

static void put_char(struct buf *b, uint32_t c)
{
    if (c < 0x20)
        c += 0x2400; /* the pictures of control characters */
    else if (c == 0x7F)
        c = 0x2421;
    else if (changes_its_surroundings(c))
        c = 0xFFFD;
    if (c < 0x80) {
        (void)buf_add_char(b, (char)c);
        return;
    }
    const unsigned n = c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
    (void)buf_add_char(b, (char)((0xF00u >> n & 0xFF) | c >> 6 * (n - 1)));
    for (unsigned i = n - 1; i-- > 0;)
        (void)buf_add_char(b, (char)(0x80 | (c >> 6 * i & 0x3F)));
}

const char *report_clean(struct arena *a, struct str s, size_t max)
{
    buf_auto b;
    buf_init(&b, 4 * max + 8);
    const bool is_utf8 = str_is_utf8(s);
    for (size_t n = 0; s.n > 0 && n < max; n++)
        put_char(&b, take_char(&s, is_utf8));
    if (s.n > 0)
        (void)buf_add_cstr(&b, "\xE2\x80\xA6"); /* an ellipsis */
    return b.failed ? NULL : arena_cstr(a, buf_cstr(&b));
}

static bool add_file(struct report_view *v, struct arena *a, const char *file)
{
    for (size_t i = 0; i < v->n_files; i++)
        if (strcmp(v->files[i], file) == 0)
            return true;
    const char *shown = report_clean(a, str_of(file), SAMPLE_TEXT_MAX);
    for (size_t i = 0; shown != NULL && i < v->n_files; i++)
        if (strcmp(v->files[i], shown) == 0)
            return true;
    if (v->n_files < RULE_FILES_MAX)
        v->files[v->n_files++] = shown;
    return shown != NULL;
}

static bool add_files(struct report_view *v, struct arena *a, const struct project *p)
{
    bool ok = true;
    for (size_t i = 0; ok && i < p->n_base_rules; i++)
        ok = p->base_rules[i].file == NULL || add_file(v, a, p->base_rules[i].file);
    for (size_t o = 0; ok && o < p->n_overrides; o++)
        for (size_t i = 0; ok && i < p->overrides[o].n_rules; i++)
            ok = p->overrides[o].rules[i].file == NULL || add_file(v, a, p->overrides[o].rules[i].file);
    return ok;
}

static bool add_rows(struct report_view *v, struct deid_report *r)
{
    v->rows = report_rows(r->counts, &v->n_rows, &v->rest);
    v->creators = arena_calloc(&r->texts, v->n_rows, sizeof *v->creators);
    for (size_t i = 0; v->creators != NULL && i < v->n_rows; i++) {
        v->creators[i] =
            report_clean(&r->texts, (struct str){ v->rows[i].creator, v->rows[i].n_creator }, SAMPLE_TEXT_MAX);
        if (v->creators[i] == NULL)
            return false;
        for (size_t a = 0; a < REPORT_ACTION_COUNT; a++)
            v->totals[a] += v->rows[i].n[a];
    }
    for (size_t a = 0; a < REPORT_ACTION_COUNT; a++)
        v->totals[a] += v->rest->n[a];
    v->n_methods = report_methods(r->counts, v->methods);
    return v->creators != NULL;
}

static bool view(struct deid_report *r, const struct deid_report_facts *facts, struct report_view *v)
{
    *v = (struct report_view){
        .version = r->o->version,
        .name = report_clean(&r->texts, str_of(facts->project->name), SAMPLE_TEXT_MAX),
        .slug = report_clean(&r->texts, facts->project->slug, SAMPLE_TEXT_MAX),
        .seconds = (double)(clock_mono_us() - r->began_us) / 1e6,
        .is_basic_profile = facts->is_basic_profile,
        .counts = facts->counts,
        .report = r,
    };
    clock_iso(r->began_wall_us, v->began);
    for (size_t i = 0; i < STUDY_REASON_COUNT; i++)
        v->left_out += facts->counts->skipped_by[i];
    return v->name != NULL && v->slug != NULL && add_files(v, &r->texts, facts->project) && add_rows(v, r);
}

bool deid_report_finish(struct deid_report *r, const struct deid_report_facts *facts, struct pixl_error *err)
{
    struct report_view v;
    buf_auto text;
    buf_init(&text, REPORT_BYTES_MAX);
    if (!view(r, facts, &v) || !(r->is_html ? report_write_html(&v, &text) : report_write_json(&v, &text)))
        return pixl_fail(err, PIXL_E_NOMEM, 0, "report");
    if (!fs_write_all(r->file.fd, text.p, text.n, err) || !fs_new_file_commit(&r->file, err))
        return pixl_wrap(err, "report");
    return true;
}
