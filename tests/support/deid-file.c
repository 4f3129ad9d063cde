/* deid-file PROJECT_YAML   de-identifies files with the rules of a project, their own patient and study taken as given.
 * Each line of the standard input names one, IN tab OUT; an empty line ends a study: what was seen before is forgotten.
 * Prints a line for each: "emit", or "filtered REASON", "refused REASON WHERE", "mismatch", "residue WHERE",
 * "unreadable CODE TEXT"; exit 0 when that was done.  The key is fixed: for tests alone. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "config/project.h"
#include "deid/deid.h"

static int fail(const struct pixl_error *err)
{
    fprintf(stderr, "deid-file: %s\n", err->msg);
    return 2;
}

static bool write_out(const struct deid_result *res, const struct dicom_source *source, const char *path,
                      struct pixl_error *err)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0)
        return pixl_fail_errno(err, errno, "%s", path);
    bool ok = dicom_plan_write_fd(&res->plan, source, fd, err);
    if (close(fd) != 0 && ok)
        ok = pixl_fail_errno(err, errno, "%s", path);
    return ok;
}

static void say(const struct deid_result *res)
{
    static const char *const verdicts[] = { "emit", "filtered", "refused", "mismatch", "residue" };
    printf("%s %s %s\n", verdicts[res->verdict], study_reason_name(res->why), res->where);
}

struct world {
    struct deid_study_args args;
    struct deid_study *study;
    struct arena arena;
};

static bool one_file(struct world *w, const char *in, const char *out, struct pixl_error *err)
{
    if (w->study == NULL && !deid_study_new(&w->args, &w->study, err))
        return false;
    int fd = open(in, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return pixl_fail_errno(err, errno, "%s", in);
    arena_reset(&w->arena);
    struct dicom_source source;
    struct dicom_file file;
    struct deid_result res;
    bool ok = dicom_source_fd(fd, &source, err);
    if (ok && !dicom_parse(&source, &DICOM_LIMITS_DEFAULT, &w->arena, &file, err)) {
        printf("unreadable %s %s\n", pixl_code_name(err->code), err->msg);
        pixl_error_clear(err);
    } else if (ok) {
        ok = deid_instance(w->study, &file, &w->arena, &res, err);
        ok = ok && (res.verdict != DEID_EMIT || write_out(&res, &file.source, out, err));
        if (ok)
            say(&res);
    }
    (void)close(fd);
    return ok;
}

static bool each_line(struct world *w, struct pixl_error *err)
{
    char line[2 * PATH_MAX];
    while (fgets(line, sizeof line, stdin) != NULL) {
        line[strcspn(line, "\n")] = '\0';
        char *tab = strchr(line, '\t');
        if (line[0] == '\0') {
            deid_study_freep(&w->study);
            w->study = NULL;
            continue;
        }
        if (tab == NULL)
            return pixl_fail(err, PIXL_E_INVALID, 0, "a line without a tab");
        *tab = '\0';
        if (!one_file(w, line, tab + 1, err))
            return pixl_wrap(err, "%s", line);
    }
    return true;
}

static bool run(const struct project *project, struct pixl_error *err)
{
    secret_auto key = { 0 };
    secret_auto salt = { 0 };
    PIXL_CLEANUP(pseudonyms_freep) struct pseudonyms *names = NULL;
    PIXL_CLEANUP(deid_policy_freep) struct deid_policy *policy = NULL;
    if (!secret_set(&key, STR("test-key"), err) || !secret_set(&salt, STR("a161577b49a9235a"), err) ||
        !pseudonyms_new(&key, &salt, STR("pixl_salt"), project->slug, &names, err) ||
        !deid_policy_new(project, &policy, err))
        return false;
    struct world w = { .args = { .policy = policy, .pseudonyms = names } };
    arena_init(&w.arena, 512u << 20);
    bool ok = each_line(&w, err);
    deid_study_free(w.study);
    arena_done(&w.arena);
    return ok;
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        fprintf(stderr, "usage: deid-file PROJECT_YAML < LINES\n");
        return 2;
    }
    struct pixl_error err = { 0 };
    project_auto *project = NULL;
    if (!project_load_file(argv[1], &project, &err))
        return fail(&err);
    return run(project, &err) ? 0 : fail(&err);
}
