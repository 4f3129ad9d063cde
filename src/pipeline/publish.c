#include "publish.h"

#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fs.h"
#include "base/log.h"
#include "base/slug.h"
#include "cohort/cohort.h"
#include "cohort/reports.h"
#include "export/report_load.h"
#include "study/iso_time.h"

enum { LOCK_WAIT_S = 60, LOCK_POLL_MS = 100 };

/* Held while one extract is copied, or written and delivered: tables of two moments never meet, here or at the destination. */
static bool take_lock(struct site *s, int *fd, struct pixl_error *err)
{
    const int64_t until = clock_mono_us() + INT64_C(1000000) * LOCK_WAIT_S;
    buf_auto path;
    buf_init(&path, 8192);
    if (!buf_addf(&path, "%s/publish.lock", site_settings(s)->state_dir))
        return pixl_fail(err, PIXL_E_NOMEM, 0, "lock of the tables");
    while (!fs_lock(buf_cstr(&path), fd, err)) {
        if (err->code != PIXL_E_BUSY || clock_mono_us() >= until)
            return pixl_wrap(err, err->code == PIXL_E_BUSY ? "another pixl writes the tables" : "lock of the tables");
        pixl_error_clear(err);
        (void)poll(NULL, 0, LOCK_POLL_MS);
    }
    return true;
}

/* Brings the files of one extract to the destination; what is there already and equal is left as it is.  Reports that may
 * not leave any more go first. */
static bool deliver_files(struct site_project *p, const char *root, struct publish_extract *e, struct arena *a, struct pixl_error *err)
{
    struct export_file *files;
    size_t n;
    if (e->counts.reports == 0 && !upload_withdraw_table(p->tables, e->time_slug, EXPORT_REPORTS_REMOTE, err))
        return pixl_wrap(err, "%s", EXPORT_REPORTS_REMOTE);
    if (!export_list_files(root, e->project, e->time_slug, a, &files, &n, err))
        return false;
    for (size_t i = 0; i < n; i++) {
        if (!upload_table(p->tables, e->time_slug, files[i].path, files[i].remote, err))
            return pixl_wrap(err, "%s", files[i].remote);
        e->files++;
    }
    return true;
}

static bool write_and_deliver(struct site *s, struct str project, struct str extract_time, struct arena *a, struct publish_extract *e)
{
    const struct settings *set = site_settings(s);
    struct site_project *p;
    if (!export_write_tables(site_store(s), set->export_root_dir, project, extract_time, e->time_slug, set->temp_dir,
                             &e->counts, &e->error))
        return false;
    buf_auto dir;
    buf_init(&dir, 8192);
    (void)buf_addf(&dir, "%s/%.*s/all_extracts/%.*s", set->export_root_dir, STR_ARG(project), STR_ARG(e->time_slug));
    e->dir = dir.failed ? NULL : arena_cstr(a, buf_cstr(&dir));
    if (e->dir == NULL)
        return pixl_fail(&e->error, PIXL_E_NOMEM, 0, "extract folder");
    if (!site_project(s, project, true, &p, &e->error))
        return false;
    if (upload_caps(p->tables) & UPLOAD_CAP_KEEPS)
        return true;
    e->place = arena_cstr(a, upload_place(p->tables));
    return site_destination_ready(s, p, &e->error) && deliver_files(p, set->export_root_dir, e, a, &e->error);
}

/* Where the hospital's EHR system leaves reports beside the store, they are loaded as by `pixl reports load`. */
static bool load_ehr_reports(struct site *s, struct str project, struct pixl_error *err)
{
    const char *url = site_settings(s)->store_url;
    reports_auto *table = NULL;
    struct report_load_counts n;
    bool there = false;
    if (!str_is_prefix(str_of(url), STR("postgresql:")))
        return true;
    if (!reports_open_table(url, project, &there, &table, err))
        return false;
    const struct report_load_options o = { .reader = table,
                                           .temp_dir = site_settings(s)->temp_dir,
                                           .now_us = clock_wall_us() };
    if (!there)
        return true;
    if (!report_load(site_store(s), &o, &n, err))
        return pixl_wrap(err, "reports of the EHR system");
    log_event(n.refused + n.withheld > 0 ? LOG_WARN : LOG_INFO, "reports.loaded",
              "project=%.*s rows=%lld new=%lld replaced=%lld withheld=%lld never_asked=%lld refused=%lld",
              STR_ARG(project), (long long)n.rows, (long long)n.added, (long long)n.replaced, (long long)n.withheld,
              (long long)n.never_asked, (long long)n.refused);
    return true;
}

/* Of what the tables are made, and where they go; read before they are: what comes after it makes another one. */
static bool make_record(struct site *s, struct str project, struct str extract_time, struct buf *out,
                        struct pixl_error *err)
{
    struct store_extract_mark m;
    struct site_project *p;
    if (!site_project(s, project, true, &p, err) || !store_mark_extract(site_store(s), project, extract_time, &m, err))
        return false;
    return buf_addf(out, "pixl " PIXL_VERSION " %lld %lld %lld %lld %lld %lld\nplace %s", (long long)m.rows,
                    (long long)m.moved_us, (long long)m.moved_sum, (long long)m.reports, (long long)m.loaded_us,
                    (long long)m.loaded_sum,
                    upload_caps(p->tables) & UPLOAD_CAP_KEEPS ? "" : upload_place(p->tables)) ||
           pixl_fail(err, PIXL_E_NOMEM, 0, "record of an extract");
}

static bool is_unchanged(struct site *s, const struct publish_extract *e, struct str record)
{
    struct pixl_error ignored = { 0 };
    bool is_same;
    return export_compare_record(site_settings(s)->export_root_dir, e->project, e->time_slug, record, &is_same,
                                 &ignored) &&
           is_same;
}

/* Without a record the next run does it all again. */
static void keep_record(struct site *s, const struct publish_extract *e, struct str record)
{
    struct pixl_error err = { 0 };
    if (!export_write_record(site_settings(s)->export_root_dir, e->project, e->time_slug, record, &err))
        log_event(LOG_WARN, "tables.not_recorded", "project=%.*s extract=%.*s code=%s error=%s", STR_ARG(e->project),
                  STR_ARG(e->time_slug), pixl_code_name(err.code), err.msg);
}

static bool publish_locked(struct site *s, struct str extract_time, bool only_changed, struct arena *a,
                           struct publish_extract *e)
{
    struct pixl_error none = { 0 };
    buf_auto record;
    buf_init(&record, 8192);
    if (!load_ehr_reports(s, e->project, &e->error))
        return false;
    const bool has_record = make_record(s, e->project, extract_time, &record, &none); /* why not, writing will tell */
    e->unchanged = only_changed && has_record && is_unchanged(s, e, buf_str(&record));
    if (e->unchanged)
        return true;
    if (!write_and_deliver(s, e->project, extract_time, a, e))
        return false;
    if (has_record)
        keep_record(s, e, buf_str(&record));
    return true;
}

static void publish_one(struct site *s, struct str project, struct str extract_time, bool only_changed, struct arena *a,
                        struct publish_extract *e)
{
    int lock = -1;
    e->project = project;
    e->delivered = cohort_time_slug(a, extract_time, &e->time_slug, &e->error) && take_lock(s, &lock, &e->error) &&
                   publish_locked(s, extract_time, only_changed, a, e);
    if (lock >= 0)
        (void)close(lock);
    if (e->counts.reports_withheld > 0)
        log_event(LOG_WARN, "reports.withheld", "project=%.*s extract=%.*s n=%lld", STR_ARG(project),
                  STR_ARG(e->time_slug), (long long)e->counts.reports_withheld);
    if (!e->delivered)
        log_event(LOG_WARN, "tables.not_delivered", "project=%.*s extract=%.*s code=%s error=%s", STR_ARG(project), STR_ARG(e->time_slug),
                  pixl_code_name(e->error.code), e->error.msg);
}

static bool count_extracts(struct site *s, const struct str *projects, size_t n, struct arena *a, size_t *total, struct pixl_error *err)
{
    *total = 0;
    for (size_t i = 0; i < n; i++) {
        struct str *times;
        size_t n_times;
        if (!store_extract_times(site_store(s), projects[i], a, &times, &n_times, err))
            return false;
        *total += n_times;
    }
    return true;
}

bool publish_extracts(struct site *s, const struct str *projects, size_t n, bool only_changed, struct arena *a,
                      struct publish_extract **out, size_t *n_out, struct pixl_error *err)
{
    struct str *all = NULL;
    size_t total, filled = 0;
    if (n == 0) {
        if (!store_projects(site_store(s), a, &all, &n, err))
            return false;
        projects = all;
    }
    if (!count_extracts(s, projects, n, a, &total, err))
        return false;
    struct publish_extract *list = arena_calloc(a, total ? total : 1, sizeof *list);
    if (list == NULL)
        return pixl_fail(err, PIXL_E_NOMEM, 0, "list of extracts");
    for (size_t i = 0; i < n; i++) {
        struct str *times;
        size_t n_times;
        if (!store_extract_times(site_store(s), projects[i], a, &times, &n_times, err))
            return false;
        for (size_t k = 0; k < n_times && filled < total; k++)
            publish_one(s, projects[i], times[k], only_changed, a, &list[filled++]);
    }
    *out = list;
    *n_out = filled;
    return true;
}

static bool is_asked_for(struct site *s, struct str project, struct str extract_time, struct arena *a, bool *out,
                         struct pixl_error *err)
{
    struct str *times;
    size_t n;
    if (!store_extract_times(site_store(s), project, a, &times, &n, err))
        return false;
    *out = false;
    for (size_t i = 0; i < n; i++)
        *out = *out || str_eq(times[i], extract_time);
    return true;
}

/* The folder's own texts end with it. */
static bool enter_folder(struct site *s, const struct cohort *c, struct str wanted, struct arena *a,
                         struct str *project, struct str *extract_time, struct pixl_error *err)
{
    bool is_there;
    *project = arena_str(a, cohort_project(c));
    *extract_time = arena_str(a, cohort_extract_time(c));
    if (project->p == NULL || extract_time->p == NULL)
        return pixl_fail(err, PIXL_E_NOMEM, 0, "extract");
    if (wanted.n > 0 && !str_eq(wanted, *project))
        return pixl_fail(err, PIXL_E_INVALID, 0, "the extract is of project '%.*s'", STR_ARG(*project));
    if (!is_asked_for(s, *project, *extract_time, a, &is_there, err))
        return false;
    return is_there || pixl_fail(err, PIXL_E_NOT_FOUND, 0,
                                 "no study was asked for in the extract of %.*s of project '%.*s': populate it first",
                                 STR_ARG(*extract_time), STR_ARG(*project));
}

/* The extract time of the store that means the same instant, written the same way: an offset may be written as Z. */
static bool find_time(struct site *s, struct str project, struct str wanted, struct arena *a, struct str *out,
                      struct pixl_error *err)
{
    struct str *times;
    size_t n;
    struct iso_time want, have;
    if (!iso_time_parse(wanted, &want))
        return pixl_fail(err, PIXL_E_INVALID, 0, "extract_datetime is no ISO 8601 time");
    if (!store_extract_times(site_store(s), project, a, &times, &n, err))
        return false;
    for (size_t i = 0; i < n; i++)
        if (iso_time_parse(times[i], &have) && have.has_offset == want.has_offset &&
            iso_time_to_us(&have) == iso_time_to_us(&want)) {
            *out = times[i];
            return true;
        }
    return pixl_fail(err, PIXL_E_NOT_FOUND, 0, "no study was asked for in such an extract of that project");
}

bool publish_extract_at(struct site *s, struct str project, struct str extract_time, struct arena *a,
                        struct publish_extract *out, struct pixl_error *err)
{
    struct publish_extract e = { .delivered = false };
    struct str slug, time;
    if (!slug_make(a, project, &slug, err) || !find_time(s, slug, extract_time, a, &time, err))
        return false;
    publish_one(s, slug, time, false, a, &e);
    *out = e;
    return true;
}

bool publish_public_files(struct site *s, const struct cohort *c, struct pixl_error *err)
{
    struct arena a;
    struct str slug;
    int lock = -1;
    arena_init(&a, 1 << 20);
    bool ok = cohort_time_slug(&a, cohort_extract_time(c), &slug, err) && take_lock(s, &lock, err) &&
              export_copy_public(site_settings(s)->export_root_dir, cohort_project(c), slug, cohort_public_dir(c),
                                 cohort_fingerprint(c), site_settings(s)->temp_dir, err);
    if (lock >= 0)
        (void)close(lock);
    arena_done(&a);
    return ok;
}

bool publish_folder(struct site *s, const char *folder, struct str project, struct arena *a,
                    struct publish_extract *out, struct pixl_error *err)
{
    cohort_auto *c = NULL;
    struct publish_extract e = { .delivered = false };
    struct str slug, extract_time;
    if (!fs_is_dir(folder))
        return pixl_fail(err, PIXL_E_INVALID, 0,
                         "%s is no folder of an OMOP ES extract (for the cohort of a CSV give --project SLUG)", folder);
    if (!cohort_open(folder, site_settings(s)->temp_dir, &c, err) ||
        !enter_folder(s, c, project, a, &slug, &extract_time, err) || !publish_public_files(s, c, err))
        return false;
    cohort_close(PIXL_STEAL(&c));
    publish_one(s, slug, extract_time, false, a, &e);
    *out = e;
    return true;
}
