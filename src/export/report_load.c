#include "report_load.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "base/arena.h"
#include "cohort/reports.h"
#include "config/nearest.h"
#include "report_check.h"
#include "study/iso_time.h"

enum { ARENA_BYTES = 64 << 20, SUBJECT_BYTES = 64 << 20, PROGRESS_ROWS = 10000 };

/* What may be chosen from, read before the load begins. */
struct extract {
    struct str time; /* as the store has it */
    struct iso_time parsed;
    int64_t at_us;
};
struct project {
    struct str slug;
    struct extract *extracts;
    size_t n;
};

struct loading {
    const struct report_load_options *o;
    struct store_report_load *into;
    struct report_check *check;
    struct arena arena, row_arena;
    struct project *projects;
    size_t n_projects;
    const struct project *only; /* when the file has no column for it */
    struct iso_time wanted;     /* of --extract */
    bool has_project, has_time; /* columns */
    const struct extract *entered;
    struct report_load_counts counts;
};

static bool fail_memory(struct pixl_error *err)
{
    return pixl_fail(err, PIXL_E_NOMEM, 0, "load reports");
}

/* --- which extract ---------------------------------------------------------------------------------------------- */

static bool list_extracts(struct store *s, struct loading *l, struct project *p, struct pixl_error *err)
{
    struct str *times;
    if (!store_extract_times(s, p->slug, &l->arena, &times, &p->n, err))
        return false;
    p->extracts = arena_calloc(&l->arena, p->n, sizeof *p->extracts);
    if (p->extracts == NULL)
        return fail_memory(err);
    size_t n = 0;
    for (size_t i = 0; i < p->n; i++) {
        struct extract *e = &p->extracts[n];
        e->time = times[i];
        if (!iso_time_parse(times[i], &e->parsed))
            continue;
        e->at_us = iso_time_to_us(&e->parsed);
        n++;
    }
    p->n = n;
    return true;
}

static bool list_projects(struct store *s, struct loading *l, struct pixl_error *err)
{
    struct str *slugs;
    if (!store_projects(s, &l->arena, &slugs, &l->n_projects, err))
        return false;
    l->projects = arena_calloc(&l->arena, l->n_projects, sizeof *l->projects);
    if (l->projects == NULL)
        return fail_memory(err);
    for (size_t i = 0; i < l->n_projects; i++) {
        l->projects[i].slug = slugs[i];
        if (!list_extracts(s, l, &l->projects[i], err))
            return false;
    }
    return true;
}

static const struct project *find_project(const struct loading *l, struct str slug)
{
    for (size_t i = 0; i < l->n_projects; i++)
        if (str_eq(l->projects[i].slug, slug))
            return &l->projects[i];
    return NULL;
}

/* The one of that instant; of two, the one that says an offset as the wanted time does. */
static const struct extract *find_extract(const struct project *p, const struct iso_time *t)
{
    const struct extract *found = NULL;
    int64_t at_us = iso_time_to_us(t);
    for (size_t i = 0; i < p->n; i++)
        if (p->extracts[i].at_us == at_us && (found == NULL || p->extracts[i].parsed.has_offset == t->has_offset))
            found = &p->extracts[i];
    return found;
}

static const struct extract *newest_extract(const struct project *p)
{
    const struct extract *newest = NULL;
    for (size_t i = 0; i < p->n; i++)
        if (newest == NULL || p->extracts[i].at_us > newest->at_us)
            newest = &p->extracts[i];
    return newest;
}

static bool choose_project(struct loading *l, struct pixl_error *err)
{
    struct str slug = l->o->project;
    if (l->has_project && slug.n > 0)
        return pixl_fail(err, PIXL_E_INVALID, 0, "the file has a column project_name: --project cannot be given too");
    if (l->has_project)
        return true;
    if (slug.n == 0 && l->n_projects != 1)
        return pixl_fail(err, l->n_projects == 0 ? PIXL_E_NOT_FOUND : PIXL_E_INVALID, 0,
                         l->n_projects == 0 ? "nothing was asked for yet: populate the cohort first"
                                            : "which project? give --project SLUG, or a column project_name");
    l->only = slug.n == 0 ? &l->projects[0] : find_project(l, slug);
    if (l->only != NULL)
        return true;
    struct nearest near = nearest_to(slug);
    assert(l->n_projects == 0 || l->projects != NULL);
    for (size_t i = 0; i < l->n_projects; i++)
        nearest_offer(&near, l->projects[i].slug.p);
    return pixl_fail(err, PIXL_E_NOT_FOUND, 0, "nothing was asked for in a project '%.*s'%s", STR_ARG(slug),
                     nearest_hint(&near).text);
}

static bool choose_time(struct loading *l, struct pixl_error *err)
{
    if (l->o->extract_time.n == 0)
        return true;
    if (l->has_time)
        return pixl_fail(err, PIXL_E_INVALID, 0,
                         "the file has a column extract_datetime: --extract cannot be given too");
    if (!iso_time_parse(l->o->extract_time, &l->wanted))
        return pixl_fail(err, PIXL_E_INVALID, 0, "--extract takes a time like 2023-12-07T14:08:58");
    if (l->only != NULL && find_extract(l->only, &l->wanted) == NULL)
        return pixl_fail(err, PIXL_E_NOT_FOUND, 0, "project '%.*s' has no extract of that time",
                         STR_ARG(l->only->slug));
    return true;
}

/* *got false: nothing was asked for there. */
static bool enter_extract(struct loading *l, const struct reports_row *row, bool *got, struct pixl_error *err)
{
    const struct project *p = l->only != NULL ? l->only : find_project(l, row->project);
    const struct extract *e = p == NULL                  ? NULL
                              : l->has_time              ? find_extract(p, &row->extract_time)
                              : l->o->extract_time.n > 0 ? find_extract(p, &l->wanted)
                                                         : newest_extract(p);
    *got = e != NULL;
    if (e == NULL || e == l->entered)
        return true;
    l->entered = e;
    return store_reports_enter(l->into, p->slug, e->time, got, err);
}

/* --- rows ------------------------------------------------------------------------------------------------------- */

static void tell(const struct loading *l, uint64_t line, const char *what)
{
    if (l->o->tell != NULL)
        l->o->tell(l->o->ctx, line, what);
}

static void refuse(struct loading *l, uint64_t line, const char *why)
{
    char what[200];
    (void)snprintf(what, sizeof what, "row refused: %s", why);
    l->counts.refused++;
    tell(l, line, what);
}

static void count(struct loading *l, const struct reports_row *row, int64_t request, bool is_withheld,
                  enum store_report_put what)
{
    char text[160];
    if (what == STORE_REPORT_TWICE) {
        refuse(l, row->line, "procedure_occurrence_id: an earlier row of this file has it too");
        return;
    }
    if (is_withheld) {
        l->counts.withheld++;
        (void)snprintf(text, sizeof text, "report withheld: procedure %lld (request %lld): it holds an identity",
                       (long long)row->procedure_occurrence_id, (long long)request);
        tell(l, row->line, text);
        return;
    }
    switch (what) {
    case STORE_REPORT_NEW: l->counts.added++; break;
    case STORE_REPORT_REPLACED: l->counts.replaced++; break;
    case STORE_REPORT_SAME: l->counts.same++; break;
    case STORE_REPORT_TAKEN_AWAY: l->counts.taken_away++; break;
    case STORE_REPORT_NONE: l->counts.without_text++; break;
    case STORE_REPORT_TWICE: break;
    }
}

/* A procedure is one patient's: under two MRNs it is a mistake of the cohort, or a patient whose records were merged. */
static void warn_of_patients(struct loading *l, const struct reports_row *row, const struct store_subject *of)
{
    char text[160];
    size_t mrns = 0;
    for (size_t i = 0; i < of->n_needles; i++)
        mrns += of->needles[i].kind == STORE_NEEDLE_MRN;
    if (mrns < 2)
        return;
    l->counts.several_patients++;
    (void)snprintf(text, sizeof text, "procedure %lld (request %lld) is asked for under %zu MRNs: its report goes with the studies of each",
                   (long long)row->procedure_occurrence_id, (long long)of->request, mrns);
    tell(l, row->line, text);
}

static bool load_row(struct loading *l, const struct reports_row *row, struct pixl_error *err)
{
    struct store_subject of = { .request = 0 };
    bool got = false, is_clean = true;
    if (row->refused) {
        refuse(l, row->line, row->why);
        return true;
    }
    arena_reset(&l->row_arena);
    if (!enter_extract(l, row, &got, err) ||
        (got && !store_reports_subject(l->into, row->procedure_occurrence_id, &l->row_arena, &of, err)))
        return false;
    if (of.request == 0) {
        l->counts.never_asked++;
        tell(l, row->line, "not loaded: its procedure was never asked for in this extract");
        return true;
    }
    if (row->text.n > 0 && !report_check_text(l->check, &of, row->text, &is_clean, err))
        return false;
    const struct store_report r = {
        .procedure_occurrence_id = row->procedure_occurrence_id,
        .image_identifier = row->image_identifier,
        .text = is_clean ? row->text : (struct str){ 0 },
        .is_withheld = !is_clean,
    };
    enum store_report_put what;
    if (!store_reports_put(l->into, &r, l->o->now_us, &what, err))
        return false;
    count(l, row, of.request, !is_clean, what);
    if (row->text.n > 0 && is_clean && what != STORE_REPORT_TWICE)
        warn_of_patients(l, row, &of);
    return true;
}

static bool load_rows(struct loading *l, struct reports *f, struct pixl_error *err)
{
    struct reports_row row;
    for (bool got = true;;) {
        if (!reports_next(f, &got, &row, err))
            return false;
        if (!got)
            return true;
        if (!load_row(l, &row, err))
            return pixl_wrap(err, "row at line %llu", (unsigned long long)row.line);
        if (++l->counts.rows % PROGRESS_ROWS == 0 && l->o->progress != NULL)
            l->o->progress(l->o->ctx, l->counts.rows);
    }
}

static bool load(struct store *s, struct loading *l, struct pixl_error *err)
{
    reports_auto *opened = NULL;
    report_check_auto *check = NULL;
    if ((l->o->path != NULL && !reports_open(l->o->path, l->o->temp_dir, &opened, err)) ||
        !report_check_new(&check, err))
        return false;
    struct reports *f = opened != NULL ? opened : l->o->reader;
    l->check = check;
    l->has_project = reports_has_project(f);
    l->has_time = reports_has_time(f);
    if (!list_projects(s, l, err) || !choose_project(l, err) || !choose_time(l, err) ||
        !store_reports_begin(s, l->o->dry_run, &l->into, err))
        return false;
    bool ok = load_rows(l, f, err);
    struct pixl_error at_end = { 0 };
    bool ended = store_reports_end(l->into, &at_end);
    if (ok && !ended)
        *err = at_end;
    return ok && ended;
}

bool report_load(struct store *s, const struct report_load_options *o, struct report_load_counts *out,
                 struct pixl_error *err)
{
    struct loading l = { .o = o };
    arena_init(&l.arena, ARENA_BYTES);
    arena_init(&l.row_arena, SUBJECT_BYTES);
    bool ok = load(s, &l, err);
    arena_done(&l.arena);
    arena_done(&l.row_arena);
    if (ok)
        *out = l.counts;
    return ok;
}
