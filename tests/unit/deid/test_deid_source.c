/* Instances in files: errors while one is read, and files that change under the reader. */
#include "deid/deid.h"

#include <fcntl.h>
#include <unistd.h>

#include "deid_rig.h"

static const struct project_tag_rule rules[] = {
    RULE(0x0008, 0x0016, KEEP), RULE(0x0008, 0x0018, REPLACE_UID), RULE(0x0008, 0x0060, KEEP),
    RULE(0x0008, 0x1140, KEEP), RULE(0x0010, 0x0010, REPLACE), RULE(0x0010, 0x0020, SECURE_HASH),
    RULE(0x0019, 0x1001, KEEP), RULE(0x0020, 0x000D, REPLACE_UID), RULE(0x0020, 0x000E, REPLACE_UID),
    RULE(0x0020, 0x4000, KEEP), RULE(0x7FE0, 0x0010, KEEP),
};

static int file_of(struct str bytes)
{
    int fd = open("instance.dcm", O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    REQUIRE(fd >= 0 && write(fd, bytes.p, bytes.n) == (ssize_t)bytes.n);
    return fd;
}

static bool run_fd(struct rig *r, int fd, struct dicom_source *source, struct pixl_error *err)
{
    arena_reset(&r->in_arena);
    REQUIRE_OK(dicom_source_fd(fd, source, err), *err);
    REQUIRE_OK(dicom_parse(source, &DICOM_LIMITS_DEFAULT, &r->in_arena, &r->in, err), *err);
    return deid_instance(r->study, &r->in, &r->in_arena, &r->res, err);
}

/* An instance whose private value is too long to be searched. */
static void too_long(struct dcm *d, const char *operator_name)
{
    static const size_t n = ((size_t)16 << 20) + 2;
    char *zeros = calloc(1, n);
    REQUIRE(zeros != NULL);
    rig_begin(d, true);
    if (operator_name != NULL)
        dcm_text(d, 0x00081070, DICOM_VR_PN, operator_name);
    rig_patient(d);
    dcm_text(d, 0x00190010, DICOM_VR_LO, "ACME");
    dcm_bytes(d, 0x00191001, DICOM_VR_OB, zeros, n);
    rig_uids(d);
    free(zeros);
}

static void test_source__an_error_does_not_lose_what_was_found(void)
{
    rig_auto r;
    rig_init(&r, rules, ARRAY_LEN(rules));
    rig_start(&r);
    struct dcm d;
    rig_begin(&d, true);
    rig_patient(&d);
    rig_uids(&d);
    dcm_text(&d, 0x00204000, DICOM_VR_LT, "done by ottokar");
    CHECK_INT(rig_run(&r, dcm_str(&d)), DEID_EMIT);
    CHECK(!deid_study_has_residue(r.study));
    dcm_done(&d);
    for (int says_name = 0; says_name < 2; says_name++) {
        struct pixl_error err = { 0 };
        struct dicom_source source;
        too_long(&d, says_name ? "Smith^Ottokar" : NULL);
        int fd = file_of(dcm_str(&d));
        CHECK_INT(run_fd(&r, fd, &source, &err), says_name);
        CHECK_INT(err.code, says_name ? PIXL_OK : PIXL_E_LIMIT);
        CHECK_INT(deid_study_has_residue(r.study), says_name);
        if (says_name) {
            CHECK_INT(r.res.verdict, DEID_RESIDUE);
            CHECK_STR(str_of(r.res.where), "(0020,4000)");
        }
        (void)close(fd);
        dcm_done(&d);
    }
}

int main(int argc, char **argv)
{
    static const struct test_case tests[] = {
        TEST(test_source__an_error_does_not_lose_what_was_found),
    };
    return test_main(argc, argv, tests, ARRAY_LEN(tests));
}
