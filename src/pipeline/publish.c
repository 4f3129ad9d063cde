#include "publish.h"

#include <stdio.h>
#include <string.h>

#include "base/fs.h"
#include "base/log.h"
#include "cohort/cohort.h"

/* Brings the files of one extract to the destination; what is there already and equal is left as it is. */
static bool deliver_files(struct site_project *p, const char *root, struct publish_extract *e, struct arena *a, struct pixl_error *err)
{
    struct export_file *files;
    size_t n;
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
    e->project = project;
    if (!cohort_time_slug(a, extract_time, &e->time_slug, &e->error) ||
        !export_write_tables(site_store(s), set->export_root_dir, project, extract_time, e->time_slug, set->temp_dir, &e->counts, &e->error))
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

static void publish_one(struct site *s, struct str project, struct str extract_time, struct arena *a, struct publish_extract *e)
{
    e->delivered = write_and_deliver(s, project, extract_time, a, e);
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

bool publish_extracts(struct site *s, const struct str *projects, size_t n, struct arena *a, struct publish_extract **out, size_t *n_out,
                      struct pixl_error *err)
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
            publish_one(s, projects[i], times[k], a, &list[filled++]);
    }
    *out = list;
    *n_out = filled;
    return true;
}
