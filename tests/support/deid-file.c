/* deid-file IN PROJECT_YAML OUT   de-identifies one file with the rules of a project, its own patient and study taken
 * as given.
 * Prints "emit", or "filtered REASON", "refused REASON WHERE", "mismatch", "residue WHERE", "unreadable CODE"; exit 0
 * when that was printed.  The key is fixed: for tests alone. */
#include <errno.h>
#include <fcntl.h>
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

static bool run(const char *const *args, const struct project *project, struct pixl_error *err)
{
    secret_auto key = { 0 };
    secret_auto salt = { 0 };
    PIXL_CLEANUP(pseudonyms_freep) struct pseudonyms *names = NULL;
    PIXL_CLEANUP(deid_policy_freep) struct deid_policy *policy = NULL;
    PIXL_CLEANUP(deid_study_freep) struct deid_study *study = NULL;
    if (!secret_set(&key, STR("test-key"), err) || !secret_set(&salt, STR("a161577b49a9235a"), err) ||
        !pseudonyms_new(&key, &salt, STR("pixl_salt"), project->slug, &names, err) ||
        !deid_policy_new(project, &policy, err))
        return false;
    const struct deid_study_args study_args = { .policy = policy, .pseudonyms = names };
    if (!deid_study_new(&study_args, &study, err))
        return false;
    int fd = open(args[0], O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return pixl_fail_errno(err, errno, "%s", args[0]);
    struct arena arena;
    arena_init(&arena, 512u << 20);
    struct dicom_source source;
    struct dicom_file file;
    struct deid_result res;
    bool ok = dicom_source_fd(fd, &source, err);
    if (ok && !dicom_parse(&source, &DICOM_LIMITS_DEFAULT, &arena, &file, err)) {
        printf("unreadable %s %s\n", pixl_code_name(err->code), err->msg);
        pixl_error_clear(err);
    } else if (ok) {
        ok = deid_instance(study, &file, &arena, &res, err);
        ok = ok && (res.verdict != DEID_EMIT || write_out(&res, &file.source, args[2], err));
        if (ok)
            say(&res);
    }
    (void)close(fd);
    arena_done(&arena);
    return ok;
}

int main(int argc, char **argv)
{
    if (argc != 4) {
        fprintf(stderr, "usage: deid-file IN PROJECT_YAML OUT\n");
        return 2;
    }
    struct pixl_error err = { 0 };
    project_auto *project = NULL;
    if (!project_load_file(argv[2], &project, &err))
        return fail(&err);
    const char *const args[] = { argv[1], argv[2], argv[3] };
    return run(args, project, &err) ? 0 : fail(&err);
}
