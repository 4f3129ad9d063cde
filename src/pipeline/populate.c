#include "populate.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/fs.h"
#include "base/log.h"
#include "base/slug.h"
#include "cohort/cohort.h"
#include "pipeline/procedures.h"
#include "pipeline/publish.h"

/* The projects that a cohort names, each looked at once. */
struct named_project {
    struct str slug;
    bool is_there; /* there is a file of it: what else stands in such a cell may be a patient's */
    bool usable;
    char why[160];
    struct populate_counts n;
    struct str *times; /* of its extracts that the store knows, sorted */
    bool *is_named;    /* ... and the cohort names */
    size_t n_times;
};
struct named_projects {
    struct arena arena;
    struct named_project *p;
    size_t n, cap;
    struct procedures procedures, participants;
    struct populate_counts nobodys;      /* rows that were refused before they named one that is there */
    bool said_unknown;
};

static struct named_project *find(struct named_projects *all, struct str slug)
{
    for (size_t i = 0; i < all->n; i++)
        if (str_eq(all->p[i].slug, slug))
            return &all->p[i];
    return NULL;
}

static bool add(struct named_projects *all, struct str slug, bool is_there, struct store *store, struct pixl_error *err)
{
    struct named_project added = { .is_there = is_there };
    if (all->n == all->cap) {
        size_t cap = all->cap ? 2 * all->cap : 8;
        struct named_project *p = arena_calloc(&all->arena, cap, sizeof *p);
        if (p == NULL)
            return pixl_fail(err, PIXL_E_NOMEM, 0, "projects of the cohort");
        if (all->n > 0)
            memcpy(p, all->p, all->n * sizeof *p);
        all->p = p;
        all->cap = cap;
    }
    added.slug = arena_str(&all->arena, slug);
    if (added.slug.p == NULL)
        return pixl_fail(err, PIXL_E_NOMEM, 0, "projects of the cohort");
    if (!store_extract_times(store, slug, &all->arena, &added.times, &added.n_times, err))
        return false;
    added.is_named = arena_calloc(&all->arena, added.n_times + 1, sizeof *added.is_named);
    if (added.is_named == NULL)
        return pixl_fail(err, PIXL_E_NOMEM, 0, "projects of the cohort");
    all->p[all->n++] = added;
    return true;
}

static int compare_str(const void *a, const void *b)
{
    return str_cmp(*(const struct str *)a, *(const struct str *)b);
}

static void name_time(struct named_project *p, struct str time)
{
    const struct str *known = p->n_times > 0 ? bsearch(&time, p->times, p->n_times, sizeof time, compare_str) : NULL;
    if (known != NULL)
        p->is_named[known - p->times] = true;
}

/* A cohort that asks for nothing is a mistake, made where it was written: nothing is changed for it. */
static bool fail_empty(enum cohort_kind kind, struct pixl_error *err)
{
    return pixl_fail(err, PIXL_E_INVALID, 0, "it asks for no study: %s", kind == COHORT_CSV
                     ? "there is no row below its header"
                     : "no imaging procedure of its public tables has both a person and a study in its private links");
}

/* What an extract names itself is shown whether there is a file of it or not. */
static bool name_project(struct site *s, struct named_projects *all, struct str project, struct str time, bool is_omop,
                         struct pixl_error *err)
{
    const char *dir = site_settings(s)->project_configs_dir;
    if (find(all, project) == NULL &&
        !add(all, project, is_omop || project_is_there(dir, project), site_store(s), err))
        return false;
    name_time(find(all, project), time);
    return true;
}

/* First pass: which projects are there?  (Keys are made ready before the store is held for the second.) */
static bool collect_projects(struct site *s, struct cohort *c, struct named_projects *all, struct pixl_error *err)
{
    struct cohort_row row;
    bool empty, got;
    if (!cohort_is_empty(c, &empty, err))
        return false;
    if (empty)
        return fail_empty(cohort_kind(c), err);
    if (cohort_kind(c) == COHORT_OMOP)
        return name_project(s, all, cohort_project(c), cohort_extract_time(c), true, err);
    while (cohort_next(c, &got, &row, err) && got)
        if (!row.refused && !name_project(s, all, row.request.project, row.request.extract_time, false, err))
            return false;
    return err->code == PIXL_OK;
}

/* What the store has of the cohort's extracts, as a cohort that was corrected is populated into them again. */
struct extract_told {
    struct procedures *procedures;
    struct str project, time;
    struct pixl_error *err;
};

static void note_stored(void *ctx, int64_t procedure_occurrence_id, struct phi_text mrn)
{
    struct extract_told *t = ctx;
    bool differs;
    if (t->err->code == PIXL_OK)
        (void)!procedures_note(t->procedures, t->project, t->time, procedure_occurrence_id, mrn, &differs, t->err);
}

static bool collect_procedures(struct site *s, struct named_projects *all, struct pixl_error *err)
{
    for (size_t i = 0; i < all->n; i++)
        for (size_t k = 0; k < all->p[i].n_times; k++) {
            struct pixl_error e = { 0 };
            struct extract_told t = { &all->procedures, all->p[i].slug, all->p[i].times[k], &e };
            if (!all->p[i].usable || !all->p[i].is_named[k])
                continue;
            if (!store_each_procedure(site_store(s), t.project, t.time, note_stored, &t, err))
                return false;
            if (e.code != PIXL_OK) {
                *err = e;
                return false;
            }
        }
    return true;
}

/* In a CSV whose columns are mixed up, names and numbers of patients stand where a project should: what is no project's
 * name is not shown, and told once. */
static void say_unusable(struct site *s, struct named_projects *all, struct named_project *p, struct pixl_error *err)
{
    const char *dir = site_settings(s)->project_configs_dir;
    if (!p->is_there && fs_is_dir(dir)) {
        pixl_error_clear(err);
        (void)pixl_fail(err, PIXL_E_NOT_FOUND, 0, "there is no project of this name in %s%s", dir,
                        project_hint(dir, p->slug).text);
    }
    (void)snprintf(p->why, sizeof p->why, "project_name: %.*s", (int)sizeof p->why - 16, err->msg);
    if (p->is_there || !all->said_unknown)
        log_event(LOG_ERROR, "project.unusable", "project=%.*s error=%s", STR_ARG(p->is_there ? p->slug : STR("-")),
                  err->msg);
    all->said_unknown = all->said_unknown || !p->is_there;
    pixl_error_clear(err);
}

/* Loads a project; one that cannot be used refuses its rows, an error of keys, store or memory ends it all. */
static bool check_project(struct site *s, struct named_projects *all, struct named_project *p, bool dry_run,
                          struct pixl_error *err)
{
    struct project *config = NULL;
    p->usable = project_load(site_settings(s)->project_configs_dir, p->slug, &config, err);
    if (!p->usable && err->code == PIXL_E_NOMEM)
        return pixl_wrap(err, "a project of the cohort");
    if (!p->usable) {
        say_unusable(s, all, p, err);
        return true;
    }
    project_free(config);
    struct site_project *ignored;
    return dry_run || site_project(s, p->slug, true, &ignored, err);
}

static void count(struct populate_counts *n, enum store_added what, const struct store_met *met)
{
    switch (what) {
    case STORE_ADDED_IMAGE:   n->new_studies++; n->new_requests++; break;
    case STORE_ADDED_REQUEST: n->new_requests++; break;
    case STORE_KNOWN:         n->known++; break;
    case STORE_REVIVED:       n->revived++; break;
    case STORE_TOO_LATE:      n->too_late++; break;
    case STORE_TOO_MANY_SERIES: break;
    }
    n->delivered += met->is_delivered;
    n->participant_differs += met->participant_differs;
}

/* The procedure is said, as its number is in the tables too; never a patient. */
static bool look_at_patient(const struct populate_options *o, struct named_projects *all, const struct cohort_row *row,
                            struct populate_counts *n, struct pixl_error *err)
{
    const struct study_request *r = &row->request;
    char what[160];
    bool differs;
    if (r->participant_id.n > 0) {
        if (!procedures_note_participant(&all->participants, r->project, r->participant_id, r->mrn, &differs, err))
            return false;
        n->participant_shared += differs;
        if (differs && o->warned != NULL)
            o->warned(o->ctx, row->line, "its participant_id came with another MRN before: is it the same person?");
    }
    if (!procedures_note(&all->procedures, r->project, r->extract_time, r->procedure_occurrence_id, r->mrn, &differs,
                         err))
        return false;
    n->patient_differs += differs;
    if (!differs || o->warned == NULL)
        return true;
    (void)snprintf(what, sizeof what, "procedure %lld came with another patient before, in the same extract",
                   (long long)r->procedure_occurrence_id);
    o->warned(o->ctx, row->line, what);
    return true;
}

static void add_counts(struct populate_counts *sum, const struct populate_counts *n)
{
    sum->rows += n->rows;
    sum->refused += n->refused;
    sum->new_studies += n->new_studies;
    sum->new_requests += n->new_requests;
    sum->known += n->known;
    sum->revived += n->revived;
    sum->too_late += n->too_late;
    sum->delivered += n->delivered;
    sum->participant_differs += n->participant_differs;
    sum->patient_differs += n->patient_differs;
    sum->participant_shared += n->participant_shared;
}

static void refuse(const struct populate_options *o, struct populate_counts *n, uint64_t line, const char *why)
{
    n->refused++;
    if (o->refused != NULL)
        o->refused(o->ctx, line, why);
}

/* A row of a project that can be used. */
static bool add_row(const struct populate_options *o, const struct cohort_row *row, struct named_projects *all,
                    struct store_populate *into, struct populate_counts *n, struct pixl_error *err)
{
    struct study_request r = row->request;
    enum store_added what;
    struct store_met met;
    r.priority = o->priority;
    if (!store_populate_add(into, &r, clock_wall_us(), &what, &met, err))
        return pixl_wrap(err, "row at line %llu", (unsigned long long)row->line);
    if (what == STORE_TOO_MANY_SERIES) {
        refuse(o, n, row->line, "series_uid: with it more series of one study would be asked for than a study can have");
        return true;
    }
    count(n, what, &met);
    if (what == STORE_TOO_LATE && o->refused != NULL)
        o->refused(o->ctx, row->line, "series_uid: the study is delivered already without these series; OUTCOMES says so");
    return look_at_patient(o, all, row, n, err);
}

/* A title stands where a slug is wanted: the project that has it, when there is a file of that name. */
static void hint_project(struct site *s, struct cohort_row *row)
{
    struct arena a;
    struct str slug;
    struct pixl_error ignored = { 0 };
    char path[4096];
    arena_init(&a, 64 * 1024);
    if (row->no_slug.n > 0 && slug_make(&a, row->no_slug, &slug, &ignored) &&
        snprintf(path, sizeof path, "%s/%.*s.yaml", site_settings(s)->project_configs_dir, STR_ARG(slug)) <
            (int)sizeof path &&
        fs_exists(path)) {
        const size_t n = strlen(row->why);
        (void)snprintf(row->why + n, sizeof row->why - n, "; did you mean %.*s?", STR_ARG(slug));
    }
    arena_done(&a);
}

static bool add_rows(struct site *s, const struct populate_options *o, struct cohort *c, struct named_projects *all,
                     struct store_populate *into, struct populate_counts *n, struct pixl_error *err)
{
    struct cohort_row row;
    bool got = false;
    for (int64_t rows = 0; cohort_next(c, &got, &row, err) && got;) {
        if (o->progress != NULL && ++rows % 10000 == 0)
            o->progress(o->ctx, rows);
        struct named_project *p = row.refused ? NULL : find(all, row.request.project);
        struct populate_counts *of = p != NULL && p->is_there ? &p->n : &all->nobodys;
        of->rows++;
        if (row.refused)
            hint_project(s, &row);
        if (p == NULL || !p->usable)
            refuse(o, of, row.line, row.refused ? row.why : p != NULL ? p->why : "project_name: appeared while the file was read");
        else if (!add_row(o, &row, all, into, of, err))
            return false;
    }
    if (err->code != PIXL_OK)
        return false;
    *n = all->nobodys;
    for (size_t i = 0; i < all->n; i++)
        add_counts(n, &all->p[i].n);
    return true;
}

static bool second_pass(struct site *s, const struct populate_options *o, struct cohort *c, struct named_projects *all,
                        struct populate_counts *n, struct pixl_error *err)
{
    struct store_populate *into = NULL;
    /* They go into the export tree before its studies are asked for: a resumed cohort finds them there. */
    if (!o->dry_run && cohort_kind(c) == COHORT_OMOP && all->p[0].usable && !publish_public_files(s, c, err))
        return pixl_wrap(err, "public files of the extract");
    if (!store_populate_begin(site_store(s), o->dry_run, &into, err))
        return false;
    bool ok = add_rows(s, o, c, all, into, n, err);
    struct pixl_error end = { 0 };
    bool ended = store_populate_end(into, &end);
    if (ok && !ended)
        *err = end;
    return ok && ended;
}

static bool is_any_usable(const struct named_projects *all)
{
    for (size_t i = 0; i < all->n; i++)
        if (all->p[i].usable)
            return true;
    return all->n == 0;
}

/* The whole way from the cohort to the store; counts by project stay in `all`.  An extract's tables are joined once: its
 * first pass reads no more than its summary and whether there is a row. */
static bool read_twice(struct site *s, const struct populate_options *o, struct named_projects *all,
                       struct populate_counts *n, struct pixl_error *err)
{
    const char *temp_dir = site_settings(s)->temp_dir;
    cohort_auto *c = NULL;
    if (!cohort_open(o->path, temp_dir, &c, err) || !collect_projects(s, c, all, err))
        return false;
    for (size_t i = 0; i < all->n; i++)
        if (!check_project(s, all, &all->p[i], o->dry_run, err))
            return false;
    if (!is_any_usable(all))
        return pixl_fail(err, PIXL_E_INVALID, 0, "no project of it can be used: %.*s%s%s",
                         STR_ARG(all->p[0].is_there ? all->p[0].slug : STR("")), all->p[0].is_there ? ": " : "",
                         all->p[0].why);
    if (!collect_procedures(s, all, err))
        return false;
    if (cohort_kind(c) == COHORT_CSV) {
        cohort_close(PIXL_STEAL(&c));
        if (!cohort_open(o->path, temp_dir, &c, err))
            return false;
    }
    return second_pass(s, o, c, all, n, err);
}

bool populate_cohort(struct site *s, const struct populate_options *o, struct populate_counts *counts, struct pixl_error *err)
{
    struct named_projects all = { 0 };
    struct populate_counts n = { 0 };
    arena_init(&all.arena, 16 << 20);
    bool ok = read_twice(s, o, &all, &n, err);
    procedures_done(&all.procedures);
    procedures_done(&all.participants);
    if (ok && !o->dry_run)
        log_event(
            LOG_INFO, "cohort.populated",
            "rows=%lld refused=%lld new_studies=%lld new_requests=%lld known=%lld revived=%lld patient_differs=%lld "
            "participant_shared=%lld",
            (long long)n.rows, (long long)n.refused, (long long)n.new_studies, (long long)n.new_requests,
            (long long)n.known, (long long)n.revived, (long long)n.patient_differs, (long long)n.participant_shared);
    for (size_t i = 0; ok && o->project != NULL && i < all.n; i++)
        if (all.p[i].is_there)
            o->project(o->ctx, all.p[i].slug, &all.p[i].n);
    if (ok && o->project != NULL && all.nobodys.rows > 0)
        o->project(o->ctx, STR(""), &all.nobodys);
    arena_done(&all.arena);
    if (ok)
        *counts = n;
    return ok;
}
