#include "extract.h"

#include <assert.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fs.h"
#include "base/hash.h"
#include "base/log.h"
#include "pipeline/spool.h"
#include "upload/anon_put.h"
#include "upload/zip.h"

/* A study's list of instances is some hundred bytes each: this is for a million of them. */
#define STUDY_ARENA_MAX    ((size_t)512 << 20)
#define INSTANCE_ARENA_MAX ((size_t)256 << 20)

void extract_init(struct extract *x, struct site *site, const atomic_bool *cancel)
{
    memset(x, 0, sizeof *x);
    x->site = site;
    x->cancel = cancel;
    arena_init(&x->study, STUDY_ARENA_MAX);
    arena_init(&x->instance, INSTANCE_ARENA_MAX);
}

void extract_done(struct extract *x)
{
    arena_done(&x->study);
    arena_done(&x->instance);
}

bool extract_must_end(const struct extract *x)
{
    return atomic_load(x->cancel) || (x->lease != NULL && !lease_holds(x->lease, x->epoch, clock_mono_us()));
}

/* One attempt under way. */
struct attempt {
    struct extract *x;
    const struct store_image *image;
    struct site_project *project;
    struct extract_result *r;
    struct deid_study *deid;
    struct zip *zip;
    int64_t study_bytes, zip_us;     /* zip_us: spent on writing the zip */
    bool has_core;                   /* it went through the gate */
    char places[STUDY_REASON_COUNT][DEID_WHERE_SIZE]; /* in the first instance that was left out for it; "": none */
};

/* One instance to be read, with the names that its entry in the zip will have. */
struct todo {
    struct archive_instance *from;
    char series[DICOM_UID_MAX + 1], sop[DICOM_UID_MAX + 1];
};

/* Ends the attempt with an outcome that is no error; false, so that callers can return it. */
static bool ended(struct attempt *a, enum study_outcome outcome, enum study_reason reason)
{
    a->r->outcome = outcome;
    a->r->reason = reason;
    return false;
}

static bool failed(struct attempt *a, enum extract_stage stage, enum study_reason reason)
{
    a->r->stage = stage;
    (void)snprintf(a->r->detail, sizeof a->r->detail, "%s", pixl_code_name(a->r->error.code));
    return ended(a, study_outcome_of(a->r->error.code), reason);
}

/* An error that concerns one file says nothing of the archive: it counts an attempt.  A full disk is that of the archive's index. */
static bool archive_failed(struct attempt *a)
{
    switch (a->r->error.code) {
    case PIXL_E_CORRUPT:
        (void)failed(a, EXTRACT_ARCHIVE, STUDY_WHY_CHANGED_WHILE_READ);
        return ended(a, STUDY_OUT_RETRY, STUDY_WHY_CHANGED_WHILE_READ);
    case PIXL_E_DENIED:
        (void)failed(a, EXTRACT_ARCHIVE, STUDY_WHY_ARCHIVE_ERROR);
        return ended(a, STUDY_OUT_RETRY, STUDY_WHY_ARCHIVE_ERROR);
    case PIXL_E_NO_SPACE:
        return failed(a, EXTRACT_SPOOL, STUDY_WHY_SPOOL_ERROR);
    default:
        return failed(a, EXTRACT_ARCHIVE, STUDY_WHY_ARCHIVE_ERROR);
    }
}

/* The store is busy or its disk is full: nothing that this study did. */
static bool store_failed(struct attempt *a)
{
    (void)failed(a, EXTRACT_SPOOL, STUDY_WHY_SPOOL_ERROR);
    return a->r->error.code == PIXL_E_BUSY ? ended(a, STUDY_OUT_UNAVAILABLE, STUDY_WHY_SPOOL_ERROR) : false;
}

/* A project that cannot be used fails its studies; what may pass by itself does not. */
static bool project_failed(struct attempt *a, enum extract_stage stage)
{
    enum pixl_code code = a->r->error.code;
    bool for_good = code == PIXL_E_INVALID || code == PIXL_E_NOT_FOUND || code == PIXL_E_UNSUPPORTED || code == PIXL_E_EXISTS;
    (void)failed(a, stage, STUDY_WHY_CONFIGURATION);
    return for_good ? ended(a, STUDY_OUT_FAILED, STUDY_WHY_CONFIGURATION) : false;
}

/* The archive that the row is to be asked of; the primary one when there is no other. */
static struct archive *archive_of(const struct attempt *a)
{
    struct archive *archive = site_archive(a->x->site, a->image->archive);
    return archive != NULL ? archive : site_archive(a->x->site, 0);
}

/* --- which instances -------------------------------------------------------------------------------------------- */

/* Finds the study and makes the row stand for it.  *uid: the study as the archive has it. */
static bool find_study(struct attempt *a, struct phi_text *uid)
{
    struct extract *x = a->x;
    if (!phi_is_empty(a->image->found_uid)) {
        *uid = a->image->found_uid;
        return true;
    }
    const struct archive_query q = { a->image->study_uid, a->image->mrn, a->image->accession_number };
    struct phi_text *uids;
    size_t n;
    const int64_t began_us = clock_mono_us();
    if (!archive_find(archive_of(a), &q, &x->study, &uids, &n, &a->r->error))
        return archive_failed(a);
    metrics_add_time(site_metrics(x->site), METRICS_FIND, clock_mono_us() - began_us);
    if (n == 0)
        return ended(a, STUDY_OUT_MISSING, STUDY_WHY_NOT_IN_ARCHIVE);
    int64_t mine;
    if (!store_resolve(site_store(x->site), a->image->id, a->image->fence, uids, n, clock_wall_us(), &mine, &a->r->error))
        return store_failed(a);
    if (mine < 0)
        return ended(a, STUDY_OUT_LOST, STUDY_WHY_SAME_STUDY);
    *uid = uids[mine];
    return true;
}

static int by_sop(const void *left, const void *right)
{
    const struct archive_instance *l = left, *r = right;
    int c = str_cmp(phi_reveal(l->sop_uid), phi_reveal(r->sop_uid));
    return c ? c : str_cmp(phi_reveal(l->series_uid), phi_reveal(r->series_uid));
}

static int by_series(const void *left, const void *right)
{
    const struct archive_instance *l = left, *r = right;
    int c = str_cmp(phi_reveal(l->series_uid), phi_reveal(r->series_uid));
    return c ? c : by_sop(left, right);
}

static int by_pseudonym(const void *left, const void *right)
{
    const struct todo *l = left, *r = right;
    int c = strcmp(l->series, r->series);
    return c ? c : strcmp(l->sop, r->sop);
}

static bool is_complete(const struct archive_instance *i)
{
    return !phi_is_empty(i->series_uid) && !phi_is_empty(i->sop_uid);
}

static void skip(struct attempt *a, enum study_reason why, int64_t n)
{
    a->r->skipped += n;
    a->r->skipped_by[why] += n;
}

static void skip_verdict(struct attempt *a, const struct deid_result *d)
{
    if (a->r->skipped_by[d->why] == 0)
        memcpy(a->places[d->why], d->where, sizeof a->places[d->why]);
    skip(a, d->why, 1);
}

static bool same_bytes(struct attempt *a, const struct archive_instance *l, const struct archive_instance *r, bool *same)
{
    static const size_t block = 256 * 1024;
    if (l->size_bytes != r->size_bytes || l->size_bytes == ARCHIVE_SIZE_UNKNOWN) {
        *same = false;
        return true;
    }
    struct archive *archive = archive_of(a);
    int lfd = -1, rfd = -1;
    char *p = malloc(2 * block);
    bool ok = p != NULL || pixl_fail(&a->r->error, PIXL_E_NOMEM, 0, "comparing instances");
    ok = ok && archive_open_instance(archive, l, &lfd, &a->r->error) && archive_open_instance(archive, r, &rfd, &a->r->error);
    *same = true;
    for (uint64_t at = 0; ok && *same && at < l->size_bytes; at += block) {
        size_t n = l->size_bytes - at < block ? (size_t)(l->size_bytes - at) : block;
        ok = fs_pread_all(lfd, p, n, at, &a->r->error) && fs_pread_all(rfd, p + block, n, at, &a->r->error);
        *same = ok && memcmp(p, p + block, n) == 0;
    }
    free(p);
    if (lfd >= 0)
        (void)close(lfd);
    if (rfd >= 0)
        (void)close(rfd);
    return ok || archive_failed(a);
}

/* Tells the de-identifier how large each series is, before anything is left out. */
static bool expect_series(struct attempt *a, struct archive_instance *list, size_t n)
{
    qsort(list, n, sizeof *list, by_series);
    for (size_t i = 0, next; i < n; i = next) {
        uint64_t size = 0;
        uint32_t frames = 0; /* of the instance that ends before next; of twins the most */
        for (next = i; next < n && phi_eq(list[i].series_uid, list[next].series_uid); next++) {
            bool is_twin =
                next > i && !phi_is_empty(list[next].sop_uid) && phi_eq(list[next].sop_uid, list[next - 1].sop_uid);
            if (!is_twin) {
                size += frames;
                frames = 0;
            }
            frames = list[next].frames > frames ? list[next].frames : frames;
        }
        if (!phi_is_empty(list[i].series_uid) &&
            !deid_study_expect_series(a->deid, list[i].series_uid, size + frames, &a->r->error))
            return failed(a, EXTRACT_DEIDENTIFY, STUDY_WHY_DEIDENTIFY_ERROR);
    }
    return true;
}

/* The same SOP Instance UID twice: equal bytes count once, else no one can say which is right, and all are left out.
 * Compacts the list; *n shrinks.  The list comes back sorted by SOP UID. */
static bool drop_duplicates(struct attempt *a, struct archive_instance *list, size_t *n)
{
    qsort(list, *n, sizeof *list, by_sop);
    size_t kept = 0;
    for (size_t i = 0, next; i < *n; i = next) {
        bool all_same = true;
        for (next = i + 1; next < *n && phi_eq(list[i].sop_uid, list[next].sop_uid); next++) {
            bool same = true;
            if (all_same && !same_bytes(a, &list[i], &list[next], &same))
                return false;
            all_same = all_same && same;
        }
        /* Files too damaged to tell their UID are not duplicates of each other: each fails by itself. */
        if (phi_is_empty(list[i].sop_uid))
            next = i + 1;
        else if (!all_same) {
            a->r->found += (int64_t)(next - i);
            skip(a, STUDY_WHY_DUPLICATE_INSTANCE, (int64_t)(next - i));
            continue;
        }
        list[kept++] = list[i];
    }
    a->r->found += (int64_t)kept;
    *n = kept;
    return true;
}

/* Leaves out the series that the project does not want, unread. */
static bool choose_series(struct attempt *a, struct archive_instance *list, size_t n, struct todo *todo, size_t *n_todo)
{
    qsort(list, n, sizeof *list, by_series);
    *n_todo = 0;
    for (size_t i = 0, next; i < n; i = next) {
        for (next = i + 1; next < n && phi_eq(list[i].series_uid, list[next].series_uid); next++)
            ;
        enum study_reason why = STUDY_WHY_NONE;
        if (!phi_is_empty(list[i].series_uid))
            deid_study_series_wanted(a->deid, list[i].series_uid, &why);
        if (why != STUDY_WHY_NONE) {
            skip(a, why, (int64_t)(next - i));
            continue;
        }
        for (size_t k = i; k < next; k++) {
            struct todo *t = &todo[(*n_todo)++];
            t->from = &list[k];
            if (!is_complete(&list[k]))
                continue;                   /* damaged: first in line, fails when it is read */
            if (!deid_study_pseudo_uid(a->deid, list[k].series_uid, t->series, &a->r->error) ||
                !deid_study_pseudo_uid(a->deid, list[k].sop_uid, t->sop, &a->r->error))
                return failed(a, EXTRACT_DEIDENTIFY, STUDY_WHY_DEIDENTIFY_ERROR);
        }
    }
    qsort(todo, *n_todo, sizeof *todo, by_pseudonym);
    return true;
}

/* Brings near what will be opened.  A study of which not all arrives is not delivered. */
static bool fetch(struct attempt *a, struct phi_text uid, const struct todo *todo, size_t n)
{
    struct archive_fetched got;
    struct archive_instance **wanted = arena_calloc(&a->x->study, n, sizeof *wanted);
    if (wanted == NULL) {
        pixl_fail(&a->r->error, PIXL_E_NOMEM, 0, "list of %zu instances", n);
        return failed(a, EXTRACT_DEIDENTIFY, STUDY_WHY_DEIDENTIFY_ERROR);
    }
    for (size_t i = 0; i < n; i++)
        wanted[i] = todo[i].from;
    if (!archive_fetch(archive_of(a), uid, wanted, n, a->x->cancel, &got, &a->r->error))
        return archive_failed(a);
    if (got.there == n)
        return true;
    pixl_fail(&a->r->error, PIXL_E_IO, 0, "archive: of %zu instances %zu arrived%s%s", n, got.there,
              got.note[0] ? ": " : "", got.note);
    a->r->stage = EXTRACT_ARCHIVE;
    (void)snprintf(a->r->detail, sizeof a->r->detail, "listed %zu, arrived %zu", n, got.there);
    return ended(a, STUDY_OUT_RETRY, STUDY_WHY_INCOMPLETE);
}

/* --- one instance ------------------------------------------------------------------------------------------------ */

enum study_reason extract_reason_of_parse(enum pixl_code code)
{
    switch (code) {
    case PIXL_E_UNSUPPORTED: return STUDY_WHY_UNSUPPORTED_SYNTAX;
    case PIXL_E_LIMIT:       return STUDY_WHY_TOO_LARGE;
    default:                 return STUDY_WHY_UNREADABLE_INSTANCE;
    }
}

/* An instance that cannot be read fails the study, unless the project delivers what is left. */
static bool unreadable(struct attempt *a)
{
    enum pixl_code code = a->r->error.code;
    if (code != PIXL_E_CORRUPT && code != PIXL_E_UNSUPPORTED && code != PIXL_E_LIMIT)
        return failed(a, EXTRACT_DEIDENTIFY, STUDY_WHY_DEIDENTIFY_ERROR);
    enum study_reason why = extract_reason_of_parse(code);
    if (a->project->project->on_instance_error != PROJECT_ON_ERROR_DELIVER) {
        (void)failed(a, EXTRACT_DEIDENTIFY, why);
        return ended(a, STUDY_OUT_FAILED, why);
    }
    skip(a, why, 1);
    pixl_error_clear(&a->r->error);
    return true;
}

/* source: the archive's file, which f was read from. */
static bool write_entry(struct attempt *a, const struct deid_result *d, const struct dicom_file *f,
                        const struct dicom_source *source)
{
    char name[3 * (DICOM_UID_MAX + 1) + 8];
    (void)snprintf(name, sizeof name, "%s/%s/%s.dcm", a->r->pseudo_study_uid, d->series_uid, d->sop_uid);
    const int64_t began_us = clock_mono_us();
    bool ok = zip_add(a->zip, name, &d->plan, &f->source, d->pixels_compressed, &a->r->error) &&
              dicom_source_unchanged(source, &a->r->error);
    a->zip_us += clock_mono_us() - began_us;
    if (!ok) {
        if (a->r->error.code == PIXL_E_CORRUPT) {       /* the source changed under us: look again later */
            (void)failed(a, EXTRACT_ARCHIVE, STUDY_WHY_CHANGED_WHILE_READ);
            return ended(a, STUDY_OUT_RETRY, STUDY_WHY_CHANGED_WHILE_READ);
        }
        return failed(a, EXTRACT_SPOOL, STUDY_WHY_SPOOL_ERROR);
    }
    a->r->delivered++;
    return true;
}

/* Without its series or SOP UID an instance is no better than one that cannot be read. */
static bool fails_study(const struct attempt *a, const struct todo *t)
{
    const enum project_on_instance_error how = a->project->project->on_instance_error;
    return how == PROJECT_ON_ERROR_FAIL || (how == PROJECT_ON_ERROR_DEFAULT && !is_complete(t->from));
}

static bool take_verdict(struct attempt *a, const struct todo *t, const struct deid_result *d, const struct dicom_file *f,
                         const struct dicom_source *source)
{
    switch (d->verdict) {
    case DEID_EMIT: return write_entry(a, d, f, source);
    case DEID_FILTERED: skip_verdict(a, d); return true;
    case DEID_REFUSED:
        if (fails_study(a, t)) {
            memcpy(a->r->detail, d->where, sizeof a->r->detail);
            return ended(a, STUDY_OUT_FAILED, d->why);
        }
        skip_verdict(a, d);
        return true;
    case DEID_MISMATCH:
        return ended(a, STUDY_OUT_FAILED, STUDY_WHY_IDENTITY_MISMATCH);
    case DEID_RESIDUE:
        memcpy(a->r->detail, d->where, sizeof a->r->detail);
        return ended(a, STUDY_OUT_WITHHELD, STUDY_WHY_RESIDUE);
    }
    assert(false && "a verdict that is none");
    return false;
}

static bool deidentify_fd(struct attempt *a, const struct todo *t, int fd)
{
    const struct dicom_limits limits = DICOM_LIMITS_DEFAULT;
    struct dicom_source source;
    struct dicom_file file;
    struct deid_result d;
    if (!dicom_source_fd(fd, &source, &a->r->error))
        return archive_failed(a);
    a->study_bytes += (int64_t)source.size_bytes;
    if (a->study_bytes > site_settings(a->x->site)->max_study_gib << 30)
        return ended(a, STUDY_OUT_FAILED, STUDY_WHY_TOO_LARGE);
    if (!dicom_parse(&source, &limits, &a->x->instance, &file, &a->r->error) ||
        !deid_instance(a->deid, &file, &a->x->instance, &d, &a->r->error))
        return unreadable(a);
    /* What the archive said it would be must be what it is: entries are in the order of their pseudonyms. */
    if (d.verdict == DEID_EMIT && (strcmp(d.sop_uid, t->sop) != 0 || strcmp(d.series_uid, t->series) != 0))
        return ended(a, STUDY_OUT_RETRY, STUDY_WHY_CHANGED_WHILE_READ);
    return take_verdict(a, t, &d, &file, &source);
}

static bool deidentify_one(struct attempt *a, const struct todo *t)
{
    if (extract_must_end(a->x))
        return ended(a, STUDY_OUT_CANCELLED, STUDY_WHY_STOPPED);
    int fd;
    arena_reset(&a->x->instance);
    if (!archive_open_instance(archive_of(a), t->from, &fd, &a->r->error))
        return a->r->error.code == PIXL_E_LIMIT ? ended(a, STUDY_OUT_FAILED, STUDY_WHY_TOO_LARGE) : archive_failed(a);
    bool ok = deidentify_fd(a, t, fd);
    (void)close(fd);
    return ok;
}

/* --- the study ----------------------------------------------------------------------------------------------------- */

/* The reason of the most instances among those that are rules, or are none.  NONE: there is none; where two rules are equal,
 * no single one. */
static enum study_reason most_of(const struct extract_result *r, bool rules)
{
    enum study_reason why = STUDY_WHY_NONE;
    int64_t most = 0;
    for (size_t i = 0; i < STUDY_REASON_COUNT; i++) {
        if (study_reason_is_rule((enum study_reason)i) != rules || r->skipped_by[i] == 0)
            continue;
        if (r->skipped_by[i] > most)
            why = (enum study_reason)i;
        else if (r->skipped_by[i] == most && rules)
            why = STUDY_WHY_NO_INSTANCES_LEFT;
        most = r->skipped_by[i] > most ? r->skipped_by[i] : most;
    }
    return why;
}

/* Nothing is left.  Skipped are only studies of which nothing was wanted: where an instance was left out for another reason, nobody knows
 * whether it was. */
static bool nothing_left(struct attempt *a)
{
    const enum study_reason fault = most_of(a->r, false), rule = most_of(a->r, true);
    const enum study_reason why = fault != STUDY_WHY_NONE  ? fault
                                  : rule != STUDY_WHY_NONE ? rule
                                                           : STUDY_WHY_NO_INSTANCES_LEFT;
    memcpy(a->r->detail, a->places[why], sizeof a->r->detail);
    return ended(a, fault != STUDY_WHY_NONE ? STUDY_OUT_FAILED : STUDY_OUT_SKIPPED, why);
}

static bool commit_zip(struct attempt *a)
{
    if (deid_study_has_residue(a->deid))
        return ended(a, STUDY_OUT_WITHHELD, STUDY_WHY_RESIDUE);
    if (a->r->delivered == 0)
        return nothing_left(a);
    if (extract_must_end(a->x))
        return ended(a, STUDY_OUT_CANCELLED, STUDY_WHY_STOPPED);
    uint64_t size;
    uint8_t digest[HASH_SHA256_BYTES];
    const int64_t began_us = clock_mono_us();
    if (!zip_commit(PIXL_STEAL(&a->zip), &size, digest, &a->r->error))
        return failed(a, EXTRACT_SPOOL, STUDY_WHY_SPOOL_ERROR);
    a->zip_us += clock_mono_us() - began_us;
    a->r->zip_bytes = (int64_t)size;
    hash_hex(digest, sizeof digest, a->r->zip_digest);
    a->r->outcome = STUDY_OUT_DEIDENTIFIED;
    a->r->reason = STUDY_WHY_NONE;
    return true;
}

static bool begin(struct attempt *a, struct phi_text uid)
{
    const struct store_image *i = a->image;
    const struct deid_study_args args = {
        .policy = a->project->policy, .pseudonyms = a->project->pseudonyms,
        .mrn = i->mrn, .accession_number = i->accession_number, .study_uid = uid, .series_uids = i->series_uids,
        .participant_id = i->participant_id, .pseudo_study_uid = i->pseudo_study_uid,
    };
    if (!deid_study_new(&args, &a->deid, &a->r->error))
        return failed(a, EXTRACT_DEIDENTIFY, STUDY_WHY_DEIDENTIFY_ERROR);
    (void)snprintf(a->r->pseudo_study_uid, sizeof a->r->pseudo_study_uid, "%s", deid_study_uid(a->deid));
    return true;
}

static bool begin_zip(struct attempt *a)
{
    const char *path;
    char fence[32];
    (void)snprintf(fence, sizeof fence, "%lld", (long long)a->image->fence);
    if (!spool_path(a->x->site, a->image->project, a->r->pseudo_study_uid, &a->x->study, &path, &a->r->error) ||
        !zip_new(path, fence, (int)site_settings(a->x->site)->deflate_level, &a->zip, &a->r->error))
        return failed(a, EXTRACT_SPOOL, STUDY_WHY_SPOOL_ERROR);
    return true;
}

/* Until here others waited for the archive too; what follows needs a core. */
static bool take_core(struct attempt *a)
{
    struct gate *g = a->x->cores;
    while (g != NULL && !a->has_core) {
        a->has_core = gate_enter(g, clock_mono_us() + 200 * 1000);
        if (!a->has_core && extract_must_end(a->x))
            return ended(a, STUDY_OUT_CANCELLED, STUDY_WHY_STOPPED);
    }
    return true;
}

static bool deidentify_all(struct attempt *a, const struct todo *todo, size_t n)
{
    const int64_t began_us = clock_mono_us();
    for (size_t i = 0; i < n; i++)
        if (!deidentify_one(a, &todo[i]))
            return false;
    metrics_add_time(site_metrics(a->x->site), METRICS_DEIDENTIFY, clock_mono_us() - began_us - a->zip_us);
    return true;
}

static bool attempt_study(struct attempt *a)
{
    struct extract *x = a->x;
    struct phi_text uid;
    struct archive_instance *list;
    size_t n, n_todo;
    if (!site_project(x->site, a->image->project, false, &a->project, &a->r->error))
        return project_failed(a, EXTRACT_DEIDENTIFY);
    if (!find_study(a, &uid))
        return false;
    const int64_t began_us = clock_mono_us();
    if (!archive_list(archive_of(a), uid, &x->study, &list, &n, &a->r->error))
        return archive_failed(a);
    metrics_add_time(site_metrics(x->site), METRICS_RETRIEVE, clock_mono_us() - began_us);
    if (n == 0)
        return ended(a, STUDY_OUT_MISSING, STUDY_WHY_NOT_IN_ARCHIVE);
    if (!take_core(a))
        return false;
    struct todo *todo = arena_calloc(&x->study, n, sizeof *todo);
    if (todo == NULL) {
        pixl_fail(&a->r->error, PIXL_E_NOMEM, 0, "list of %zu instances", n);
        return failed(a, EXTRACT_DEIDENTIFY, STUDY_WHY_DEIDENTIFY_ERROR);
    }
    if (!begin(a, uid) || !expect_series(a, list, n) || !drop_duplicates(a, list, &n) ||
        !choose_series(a, list, n, todo, &n_todo))
        return false;
    if (n_todo > 0 && (!fetch(a, uid, todo, n_todo) || !begin_zip(a)))
        return false;
    return deidentify_all(a, todo, n_todo) && commit_zip(a);
}

void extract_study(struct extract *x, const struct store_image *image, struct extract_result *out)
{
    *out = (struct extract_result){ .outcome = STUDY_OUT_RETRY, .stage = EXTRACT_ARCHIVE };
    arena_reset(&x->study);
    struct attempt a = { .x = x, .image = image, .r = out };
    struct metrics *m = site_metrics(x->site);
    metrics_add_in_flight(m, METRICS_RETRIEVING, 1);
    (void)attempt_study(&a);
    if (a.has_core)
        gate_leave(x->cores);
    metrics_add_in_flight(m, METRICS_RETRIEVING, -1);
    metrics_add_bytes(m, METRICS_BYTES_READ, a.study_bytes);
    if (out->outcome == STUDY_OUT_DEIDENTIFIED)
        metrics_add_time(m, METRICS_ZIP, a.zip_us);
    deid_study_free(a.deid);
    zip_abandon(a.zip);
}

/* --- delivery ---------------------------------------------------------------------------------------------------------- */

static bool hex_to_digest(struct str hex, uint8_t out[HASH_SHA256_BYTES])
{
    if (hex.n != 2 * HASH_SHA256_BYTES)
        return false;
    for (size_t i = 0; i < HASH_SHA256_BYTES; i++) {
        unsigned byte = 0;
        for (size_t k = 0; k < 2; k++) {
            const char *digits = "0123456789abcdef", *at = strchr(digits, hex.p[2 * i + k]);
            if (at == NULL || *at == '\0')
                return false;
            byte = byte * 16 + (unsigned)(at - digits);
        }
        out[i] = (uint8_t)byte;
    }
    return true;
}

/* The zip is gone or damaged: the archive must be asked again. */
static void spool_lost(struct attempt *a)
{
    a->r->stage = EXTRACT_SPOOL;
    a->r->zip_lost = true;
    (void)ended(a, STUDY_OUT_RETRY, STUDY_WHY_SPOOL_ERROR);
}

/* What stays in the archive's cache only takes room there: no reason to deliver again. */
static void release(struct attempt *a)
{
    struct archive *archive = archive_of(a);
    struct pixl_error err = { 0 };
    if (archive != NULL && !phi_is_empty(a->image->found_uid) && !archive_release(archive, a->image->found_uid, &err))
        log_event(LOG_WARN, "archive.not_released", "image=%lld error=%s", (long long)a->image->id, err.msg);
}

/* For people to look at.  That it failed is said, and one that does not answer holds up nothing but who finds that out. */
static void show(struct attempt *a, const char *zip_path)
{
    const struct settings *set = site_settings(a->x->site);
    struct breaker *view = site_view(a->x->site);
    struct pixl_error err = { 0 };
    bool is_probe;
    if (!set->anon_view || a->project->project->dicom_destination == PROJECT_TO_DICOMWEB)
        return;
    if (breaker_allows(view, clock_mono_us(), &is_probe)) {
        bool ok = anon_put_study(set, zip_path, a->x->cancel, &err);
        (void)breaker_report(view, is_probe, ok, &err, clock_mono_us());
    } else {
        (void)pixl_fail(&err, PIXL_E_UNAVAILABLE, 0, "it was out of order a moment ago");
    }
    if (err.code != PIXL_OK)
        log_event(LOG_WARN, "anon.not_shown", "image=%lld error=%s", (long long)a->image->id, err.msg);
}

static void deliver(struct attempt *a)
{
    struct extract *x = a->x;
    const char *path;
    struct upload_study z = {
        .fence = a->image->fence,
        .size_bytes = (uint64_t)a->image->zip_bytes,
        .cancel = x->cancel,
    };
    if (!spool_path(x->site, a->image->project, a->r->pseudo_study_uid, &x->study, &path, &a->r->error)) {
        (void)failed(a, EXTRACT_SPOOL, STUDY_WHY_SPOOL_ERROR);
        return;
    }
    if (!hex_to_digest(a->image->zip_digest, z.digest)) {
        spool_lost(a);
        return;
    }
    z.zip_path = path;
    z.pseudo_study_uid = a->r->pseudo_study_uid;
    if (!fs_exists(path)) {
        spool_lost(a);
        return;
    }
    if (extract_must_end(x)) {
        (void)ended(a, STUDY_OUT_CANCELLED, STUDY_WHY_STOPPED);
    } else if (upload_caps(a->project->images) & UPLOAD_CAP_KEEPS) {
        show(a, path);
        release(a);
        (void)ended(a, STUDY_OUT_KEPT, STUDY_WHY_NONE);
    } else if (upload_study(a->project->images, &z, &a->r->error)) {
        show(a, path);
        release(a);
        (void)ended(a, STUDY_OUT_EXPORTED, STUDY_WHY_NONE);
    } else if (a->r->error.code == PIXL_E_CORRUPT) {
        spool_lost(a);
    } else if (a->r->error.code == PIXL_E_CANCELLED) {
        pixl_error_clear(&a->r->error);
        (void)ended(a, STUDY_OUT_CANCELLED, STUDY_WHY_STOPPED);
    } else {
        (void)failed(a, EXTRACT_DELIVER, STUDY_WHY_DELIVERY_ERROR);
    }
}

void extract_deliver(struct extract *x, const struct store_image *image, struct extract_result *out)
{
    *out = (struct extract_result){ .outcome = STUDY_OUT_RETRY, .stage = EXTRACT_DELIVER };
    arena_reset(&x->study);
    struct attempt a = { .x = x, .image = image, .r = out };
    const int64_t began_us = clock_mono_us();
    metrics_add_in_flight(site_metrics(x->site), METRICS_DELIVERING, 1);
    (void)snprintf(out->pseudo_study_uid, sizeof out->pseudo_study_uid, "%.*s", STR_ARG(image->pseudo_study_uid));
    if (!site_project(x->site, image->project, true, &a.project, &out->error))
        (void)project_failed(&a, EXTRACT_DELIVER);
    else if (!site_destination_ready(x->site, a.project, &out->error))
        /* Another key's marker is no fault of this study: nothing goes there until somebody has mended it. */
        (void)(failed(&a, EXTRACT_DELIVER, STUDY_WHY_DELIVERY_ERROR),
               out->error.code == PIXL_E_EXISTS && ended(&a, STUDY_OUT_UNAVAILABLE, STUDY_WHY_DELIVERY_ERROR));
    else
        deliver(&a);
    metrics_add_in_flight(site_metrics(x->site), METRICS_DELIVERING, -1);
    if (out->outcome == STUDY_OUT_EXPORTED)
        metrics_add_time(site_metrics(x->site), METRICS_DELIVER, clock_mono_us() - began_us);
}
