#include "deid_files.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <fts.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fs.h"
#include "dicom/frames.h"
#include "dicom/sniff.h"

/* One input file, as far as its header says. */
struct input {
    const char *path;
    struct str study, series, sop;       /* originals, in the list's arena */
    uint32_t frames;
    bool is_ambiguous; /* another file has its SOP Instance UID, and not its bytes */
};

struct job {
    struct site *site;
    const struct deid_files_options *o;
    struct deid_files_counts n;
    struct deid_report *report; /* NULL: none is wanted */
    struct site_project *project;
    struct arena list, instance;
    struct input *inputs;
    size_t n_inputs, cap;
};

static void skip(struct job *j, const char *path, enum study_reason why, const char *where)
{
    j->n.skipped_by[why]++;
    deid_report_left_out(j->report, why, where);
    if (j->o->skipped != NULL)
        j->o->skipped(j->o->ctx, path, why, where);
}

static int64_t all_skipped(const struct deid_files_counts *n)
{
    int64_t sum = 0;
    for (size_t i = 0; i < STUDY_REASON_COUNT; i++)
        sum += n->skipped_by[i];
    return sum;
}

/* --- what is there ------------------------------------------------------------------------------------------------- */

static bool keep_input(struct job *j, const struct input *in, struct pixl_error *err)
{
    if (j->n_inputs == j->cap) {
        size_t cap = j->cap ? 2 * j->cap : 1024;
        struct input *grown = realloc(j->inputs, cap * sizeof *grown);
        if (grown == NULL)
            return pixl_fail(err, PIXL_E_NOMEM, 0, "list of %zu files", cap);
        j->inputs = grown;
        j->cap = cap;
    }
    j->inputs[j->n_inputs++] = *in;
    return true;
}

/* The memory for one instance has a ceiling: whoever is above it is too large.  Any other lack of memory is the run's; within
 * OpenSSL it is INTERNAL. */
static bool is_of_the_run(const struct job *j, const struct pixl_error *e)
{
    return (e->code == PIXL_E_NOMEM && !j->instance.is_full) || e->code == PIXL_E_INTERNAL;
}

static enum study_reason reason_of(enum pixl_code code)
{
    switch (code) {
    case PIXL_E_UNSUPPORTED: return STUDY_WHY_UNSUPPORTED_SYNTAX;
    case PIXL_E_LIMIT:
    case PIXL_E_NOMEM:       return STUDY_WHY_TOO_LARGE;
    default:                 return STUDY_WHY_UNREADABLE_INSTANCE;
    }
}

/* The UIDs of one file, and how many frames it has.  *all: none is absent or empty. */
static bool take_uids(struct job *j, struct dicom_file *f, struct input *in, bool *all, struct pixl_error *err)
{
    const struct { uint32_t tag; struct str *out; } wanted[] = {
        { DICOM_STUDY_UID, &in->study }, { DICOM_SERIES_UID, &in->series }, { DICOM_SOP_INSTANCE_UID, &in->sop }
    };
    *all = true;
    for (size_t i = 0; i < ARRAY_LEN(wanted); i++) {
        struct str value = { 0 };
        bool found;
        if (!dicom_text(f, wanted[i].tag, &value, &found, err))
            return false;
        *wanted[i].out = arena_str(&j->list, found ? str_trim(value) : (struct str){ 0 });
        if (wanted[i].out->p == NULL)
            return pixl_fail(err, PIXL_E_NOMEM, 0, "list of files");
        *all = *all && wanted[i].out->n > 0;
    }
    return dicom_count_frames(f, &in->frames, err);
}

/* Fails as well when a UID is absent that the first part of the file does not show, and the rest cannot be read. */
static bool read_uids(struct job *j, const struct dicom_source *source, struct input *in, bool *all,
                      struct pixl_error *err)
{
    const struct dicom_limits limits = DICOM_LIMITS_DEFAULT;
    struct dicom_file f;
    if (!dicom_parse_until(source, &limits, DICOM_SERIES_UID, &j->instance, &f, err) ||
        !take_uids(j, &f, in, all, err))
        return false;
    /* One may stand further behind, where tags do not ascend. */
    return *all || (dicom_parse(source, &limits, &j->instance, &f, err) && take_uids(j, &f, in, all, err));
}

/* Reads the UIDs of one file.  What is no DICOM is counted and passed over. */
static bool look_at(struct job *j, const char *path, struct pixl_error *err)
{
    struct dicom_source source;
    struct input in = { 0 };
    struct pixl_error e = { 0 }, ignored = { 0 };
    bool all = false, is_dicom = true;
    j->n.files++;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0) {
        skip(j, path, STUDY_WHY_UNREADABLE_INSTANCE, "");
        return true;
    }
    arena_reset(&j->instance);
    bool read = dicom_source_fd(fd, &source, &e) && read_uids(j, &source, &in, &all, &e);
    if (!(read && all) && (e.code == PIXL_OK || e.code == PIXL_E_CORRUPT) && in.study.n == 0 &&
        !dicom_sniff(&source, &is_dicom, &ignored))
        is_dicom = true;
    (void)close(fd);
    if (!read && is_of_the_run(j, &e)) {
        *err = e;
        return false;
    }
    if (!is_dicom) {
        j->n.not_dicom++;
        return true;
    }
    if (!read || !all) {
        skip(j, path, read ? STUDY_WHY_MISSING_ATTRIBUTE : reason_of(e.code), "");
        return true;
    }
    in.path = arena_cstr(&j->list, path);
    if (in.path == NULL)
        return pixl_fail(err, PIXL_E_NOMEM, 0, "list of files");
    return keep_input(j, &in, err);
}

static bool list_inputs(struct job *j, struct pixl_error *err)
{
    char *const roots[] = { arena_cstr(&j->list, j->o->in), NULL };
    FTS *fts = roots[0] != NULL ? fts_open(roots, FTS_PHYSICAL | FTS_NOCHDIR | FTS_COMFOLLOW, NULL) : NULL;
    if (fts == NULL)
        return pixl_fail_errno(err, errno, "input");
    bool ok = true;
    for (FTSENT *e; ok && (errno = 0, e = fts_read(fts)) != NULL; ) {
        if (e->fts_info == FTS_F)
            ok = look_at(j, e->fts_accpath, err);
        else if (e->fts_level == FTS_ROOTLEVEL && (e->fts_info == FTS_NS || e->fts_info == FTS_DNR || e->fts_info == FTS_ERR))
            ok = pixl_fail_errno(err, e->fts_errno ? e->fts_errno : EIO, "input %s", j->o->in);
        else if (e->fts_info == FTS_DNR || e->fts_info == FTS_ERR || e->fts_info == FTS_NS) {
            j->n.files++;
            skip(j, e->fts_accpath, STUDY_WHY_UNREADABLE_INSTANCE, "");
        }
    }
    int e = errno;
    (void)fts_close(fts);
    return ok && e != 0 ? pixl_fail_errno(err, e, "input") : ok;
}

static int by_study(const void *left, const void *right)
{
    const struct input *l = left, *r = right;
    int c = str_cmp(l->study, r->study);
    if (c == 0)
        c = str_cmp(l->series, r->series);
    if (c == 0)
        c = str_cmp(l->sop, r->sop);
    return c ? c : strcmp(l->path, r->path);
}

/* --- one study ------------------------------------------------------------------------------------------------------- */

struct group {
    struct job *j;
    struct deid_study *deid;
    const struct input *first;
    size_t n;
    char part[8192];                     /* <out>/.<pseudo study>.part: renamed when the whole study passed */
    char path[8192 + 2 * DICOM_UID_MAX + 16]; /* of the instance that was written last */
    char last_series[DICOM_UID_MAX + 1]; /* folder that was made last */
    bool withheld;
    int64_t written, bytes, copies;
    int64_t skipped_before; /* all reasons, when it began */
};

/* *changed: the input is not what was checked any more, and nothing is left of it in the output. */
static bool write_instance(struct group *g, const struct deid_result *d, const struct dicom_file *f,
                           const struct dicom_source *source, bool *changed, struct pixl_error *err)
{
    if (strcmp(g->last_series, d->series_uid) != 0) {
        (void)snprintf(g->path, sizeof g->path, "%s/%s", g->part, d->series_uid);
        if (!fs_make_dirs(g->path, 0750, err))
            return pixl_wrap(err, "output");
        memcpy(g->last_series, d->series_uid, sizeof g->last_series);
    }
    (void)snprintf(g->path, sizeof g->path, "%s/%s/%s.dcm", g->part, d->series_uid, d->sop_uid);
    int fd = open(g->path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0640);
    if (fd < 0)
        return pixl_fail_errno(err, errno, "output file");
    struct pixl_error e = { 0 };
    bool ok = dicom_plan_write_fd(&d->plan, &f->source, fd, &e) && dicom_source_unchanged(source, &e);
    if (close(fd) != 0 && ok)
        ok = pixl_fail_errno(&e, errno, "output file");
    *changed = !ok && e.code == PIXL_E_CORRUPT;
    if (*changed)
        return unlink(g->path) == 0 || pixl_fail_errno(err, errno, "output file");
    if (!ok) {
        *err = e;
        return false;
    }
    g->written++;
    g->bytes += (int64_t)d->plan.size_bytes;
    return true;
}

/* An input that cannot be read or decided is skipped; only output and memory are errors of the whole. */
static bool deidentify(struct group *g, const struct input *in, struct pixl_error *err)
{
    const struct dicom_limits limits = DICOM_LIMITS_DEFAULT;
    struct job *j = g->j;
    struct dicom_source source;
    struct dicom_file f;
    struct deid_result d;
    struct pixl_error e = { 0 };
    bool ok = true;
    int fd = open(in->path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0) {
        skip(j, in->path, STUDY_WHY_UNREADABLE_INSTANCE, "");
        return true;
    }
    arena_reset(&j->instance);
    if (!dicom_source_fd(fd, &source, &e) || !dicom_parse(&source, &limits, &j->instance, &f, &e) ||
        !deid_instance(g->deid, &f, &j->instance, &d, &e)) {
        ok = !is_of_the_run(j, &e);
        if (ok)
            skip(j, in->path, reason_of(e.code), "");
        else
            *err = e;
    } else if (d.verdict == DEID_EMIT) {
        bool changed = false;
        ok = write_instance(g, &d, &f, &source, &changed, err);
        if (ok && changed)
            skip(j, in->path, STUDY_WHY_CHANGED_WHILE_READ, "");
        else if (ok && j->report != NULL)
            ok = deid_report_instance(j->report, fd, &f, d.actions, g->path, err);
    } else {
        g->withheld = g->withheld || d.verdict == DEID_RESIDUE;
        skip(j, in->path, d.verdict == DEID_MISMATCH ? STUDY_WHY_IDENTITY_MISMATCH : d.why, d.where);
    }
    (void)close(fd);
    return ok;
}

/* *same: false also when one of them cannot be read.  Fails: NOMEM, INTERNAL, UNSUPPORTED: what is no fault of theirs. */
static bool same_file(const struct input *l, const struct input *r, bool *same, struct pixl_error *err)
{
    uint8_t ld[32], rd[32];
    uint64_t ln, rn;
    struct pixl_error e = { 0 };
    bool read = fs_digest(l->path, ld, &ln, &e) && fs_digest(r->path, rd, &rn, &e);
    if (e.code == PIXL_E_NOMEM || e.code == PIXL_E_INTERNAL || e.code == PIXL_E_UNSUPPORTED) {
        *err = e;
        return false;
    }
    *same = read && ln == rn && memcmp(ld, rd, sizeof ld) == 0;
    return true;
}

static int by_sop(const void *left, const void *right)
{
    const struct input *l = left, *r = right;
    int c = str_cmp(l->sop, r->sop);
    return c ? c : by_study(left, right);
}

/* The same SOP Instance UID again, in whatever series: equal bytes are done once, else no one can say which is right, and all of them are
 * left out. */
static bool mark_ambiguous(struct input *first, size_t n, struct pixl_error *err)
{
    qsort(first, n, sizeof *first, by_sop);
    for (size_t i = 0, next; i < n; i = next) {
        bool all_same = true;
        for (next = i + 1; next < n && str_eq(first[next].sop, first[i].sop); next++)
            if (all_same && !same_file(&first[i], &first[next], &all_same, err))
                return false;
        for (size_t k = i; k < next; k++)
            first[k].is_ambiguous = !all_same;
    }
    qsort(first, n, sizeof *first, by_study);
    return true;
}

/* How many files there are of the instance at i: neighbours, as the same bytes name the same series. */
static size_t count_copies(const struct group *g, size_t i)
{
    size_t k = i + 1;
    while (k < g->n && str_eq(g->first[k].sop, g->first[i].sop) && str_eq(g->first[k].series, g->first[i].series))
        k++;
    return k - i;
}

static bool expect_series(struct group *g, struct pixl_error *err)
{
    for (size_t i = 0, next; i < g->n; i = next) {
        uint64_t size = 0;
        uint32_t frames = 0; /* of the instance that ends before next; of twins the most */
        for (next = i; next < g->n && str_eq(g->first[next].series, g->first[i].series); next++) {
            if (next > i && !str_eq(g->first[next].sop, g->first[next - 1].sop)) {
                size += frames;
                frames = 0;
            }
            frames = g->first[next].frames > frames ? g->first[next].frames : frames;
        }
        if (!deid_study_expect_series(g->deid, phi_text(g->first[i].series), size + frames, err))
            return false;
    }
    return true;
}

static bool each_instance(struct group *g, struct pixl_error *err)
{
    for (size_t i = 0, n_same; i < g->n && !g->withheld; i += n_same) {
        if (g->j->o->progress != NULL)
            g->j->o->progress(g->j->o->ctx, (int64_t)(&g->first[i] - g->j->inputs), (int64_t)g->j->n_inputs);
        n_same = count_copies(g, i);
        if (g->first[i].is_ambiguous) {
            for (size_t k = 0; k < n_same; k++)
                skip(g->j, g->first[i + k].path, STUDY_WHY_DUPLICATE_INSTANCE, "");
            continue;
        }
        g->copies += (int64_t)n_same - 1;
        if (!deidentify(g, &g->first[i], err))
            return false;
    }
    return true;
}

/* Makes the finished study visible under its name, all at once.  An older result of the same study is replaced. */
static bool finish(struct group *g, struct pixl_error *err)
{
    char final[sizeof g->part + DICOM_UID_MAX];
    g->withheld = g->withheld || deid_study_has_residue(g->deid);
    (void)snprintf(final, sizeof final, "%s/%s", g->j->o->out, deid_study_uid(g->deid));
    /* An older result goes in any case: it is replaced, or what it holds would be held back now. */
    if (!fs_remove_tree(final, err))
        return pixl_wrap(err, "output");
    deid_report_end_study(g->j->report, !g->withheld);
    if (g->withheld) {
        g->j->n.withheld_studies++;
        g->j->n.held_back += (int64_t)g->n - (all_skipped(&g->j->n) - g->skipped_before);
        return fs_remove_tree(g->part, err);
    }
    g->j->n.copies += g->copies;
    if (g->written == 0)
        return fs_remove_tree(g->part, err);
    if (rename(g->part, final) != 0)
        return pixl_fail_errno(err, errno, "output folder");
    g->j->n.written += g->written;
    g->j->n.bytes += g->bytes;
    g->j->n.written_studies++;
    return true;
}

static bool study(struct job *j, struct input *first, size_t n, struct pixl_error *err)
{
    if (!mark_ambiguous(first, n, err))
        return false;
    struct group g = { .j = j, .first = first, .n = n, .skipped_before = all_skipped(&j->n) };
    const struct deid_study_args args = {
        .policy = j->project->policy,
        .pseudonyms = j->project->pseudonyms,
        .study_uid = phi_text(first->study),
        .report = deid_report_counts(j->report),
    };
    if (!deid_study_new(&args, &g.deid, err))
        return false;
    j->n.studies++;
    int len = snprintf(g.part, sizeof g.part, "%s/.%s.part", j->o->out, deid_study_uid(g.deid));
    bool ok = (len > 0 && (size_t)len < sizeof g.part - 2 * DICOM_UID_MAX) || pixl_fail(err, PIXL_E_LIMIT, 0, "output path is too long");
    ok = ok && fs_remove_tree(g.part, err) && expect_series(&g, err) && each_instance(&g, err) && finish(&g, err);
    struct pixl_error e = { 0 };
    if (!ok && len > 0 && !fs_remove_tree(g.part, &e)) /* nobody has checked it to its end */
        (void)pixl_wrap(err, "%s is left", g.part);
    deid_study_free(g.deid);
    return ok;
}

/* The folder itself, or the nearest above it that is there: given, NULL when it cannot be told. */
static char *nearest_existing(const char *path)
{
    char *left = strdup(path), *real = NULL;
    while (left != NULL && (real = realpath(left, NULL)) == NULL && errno == ENOENT) {
        char *slash = strrchr(left, '/');
        if (slash == NULL) {
            real = realpath(".", NULL);
            break;
        }
        slash[slash == left] = '\0';         /* of "/new" the root is left */
    }
    free(left);
    return real;
}

/* What is written inside the input would be read as input by the next call.  Asked before the output is made, too. */
static bool check_apart(const char *in, const char *out, const char *what, struct pixl_error *err)
{
    char *a = realpath(in, NULL), *b = nearest_existing(out);
    size_t n = a != NULL ? strlen(a) : 0;
    const bool is_known = b != NULL;
    bool inside = a != NULL && b != NULL && strncmp(a, b, n) == 0 && (b[n] == '/' || b[n] == '\0' || n == 1);
    free(a);
    free(b);
    if (!is_known)
        return pixl_fail(err, PIXL_E_IO, 0, "where %s would lie cannot be told", what);
    return !inside || pixl_fail(err, PIXL_E_INVALID, 0, "%s lies inside the input", what);
}

/* All that can be wrong with the places, before work begins. */
static bool prepare(struct job *j, struct pixl_error *err)
{
    const struct deid_files_options *o = j->o;
    static const char output[] = "the output folder";
    return check_apart(o->in, o->out, output, err) &&
           (o->report == NULL ||
            (deid_report_check(o->report, err) && check_apart(o->in, o->report->path, "the report", err))) &&
           site_project(j->site, o->project, false, &j->project, err) && fs_make_dirs(o->out, 0750, err) &&
           check_apart(o->in, o->out, output, err) &&
           (o->report == NULL || deid_report_open(o->report, &j->report, err));
}

static bool each_study(struct job *j, struct pixl_error *err)
{
    if (j->n_inputs > 0)
        qsort(j->inputs, j->n_inputs, sizeof *j->inputs, by_study);
    for (size_t i = 0, next; i < j->n_inputs; i = next) {
        for (next = i + 1; next < j->n_inputs && str_eq(j->inputs[next].study, j->inputs[i].study); next++)
            ;
        if (!study(j, &j->inputs[i], next - i, err))
            return false;
    }
    return true;
}

static bool finish_report(struct job *j, struct pixl_error *err)
{
    const struct deid_report_facts facts = { j->project->project, deid_policy_is_basic_profile(j->project->policy),
                                             &j->n };
    return j->report == NULL || deid_report_finish(j->report, &facts, err);
}

bool deid_files(struct site *s, const struct deid_files_options *o, struct deid_files_counts *counts, struct pixl_error *err)
{
    struct job j = { .site = s, .o = o };
    arena_init(&j.list, (size_t)1 << 30);
    arena_init(&j.instance, (size_t)256 << 20);
    bool ok = prepare(&j, err) && list_inputs(&j, err) && each_study(&j, err) && finish_report(&j, err);
    free(j.inputs);
    arena_done(&j.list);
    arena_done(&j.instance);
    deid_report_free(j.report);
    if (ok)
        *counts = j.n;
    return ok;
}
