/* Instances in files: errors while one is read, and files that change under the reader. */
#include "deid/deid.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
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
    int fd = open(test_path("instance.dcm"), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
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

/* Kept elements of every kind, before, across and behind the end of the parser's first block. */
static void kept_all_over(struct dcm *d, const char *comment)
{
    static const char zeros[40000];
    rig_begin(d, true);
    dcm_seq_begin(d, 0x00081140, true);
    for (int i = 0; i < 400; i++) {
        dcm_item_begin(d, i % 2);
        dcm_text(d, 0x00081150, DICOM_VR_UI, "1.2.840.10008.5.1.4.1.1.2");
        dcm_text(d, 0x00204000, DICOM_VR_LT, comment);
        dcm_item_end(d);
    }
    dcm_seq_end(d);
    rig_patient(d);
    dcm_text(d, 0x00190010, DICOM_VR_LO, "ACME");
    dcm_bytes(d, 0x00191001, DICOM_VR_OB, zeros, sizeof zeros);
    rig_uids(d);
    dcm_text(d, 0x00204000, DICOM_VR_LT, comment);
    dcm_pixels_native(d, 100000);
}

static bool holds(struct str text, struct str word)
{
    for (size_t i = 0; i + word.n <= text.n; i++)
        if (memcmp(text.p + i, word.p, word.n) == 0)
            return true;
    return false;
}

static void test_source__what_was_checked_is_what_is_written(void)
{
    static const struct project_tag_rule more[] = {
        RULE(0x0008, 0x0016, KEEP), RULE(0x0008, 0x0018, REPLACE_UID), RULE(0x0008, 0x1140, KEEP),
        RULE(0x0008, 0x1150, KEEP), RULE(0x0010, 0x0010, REPLACE), RULE(0x0010, 0x0020, SECURE_HASH),
        RULE(0x0019, 0x1001, KEEP), RULE(0x0020, 0x000D, REPLACE_UID), RULE(0x0020, 0x000E, REPLACE_UID),
        RULE(0x0020, 0x4000, KEEP), RULE(0x7FE0, 0x0010, KEEP),
    };
    static const struct { const char *name; bool rewritten; } rows[] = { { "as it was", false }, { "rewritten", true } };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        test_row("%s", rows[i].name);
        struct pixl_error err = { 0 };
        struct dicom_source source;
        struct dcm before, after;
        rig_auto r;
        rig_init(&r, more, ARRAY_LEN(more));
        rig_start(&r);
        kept_all_over(&before, "nothing that tells a name");
        kept_all_over(&after, "by Zimmermann^Aloysia^Q..");
        REQUIRE(dcm_size(&before) == dcm_size(&after));
        CHECK_INT(rig_run(&r, dcm_str(&before)), DEID_EMIT);
        struct buf expected;
        buf_init(&expected, 1u << 20);
        REQUIRE(buf_add(&expected, r.bytes.p, r.bytes.n));
        int fd = file_of(dcm_str(&before));
        REQUIRE_OK(run_fd(&r, fd, &source, &err), err);
        REQUIRE(r.res.verdict == DEID_EMIT);
        if (rows[i].rewritten) {
            (void)usleep(20000);         /* a tick of the file system's clock */
            REQUIRE(pwrite(fd, dcm_bytes_of(&after), dcm_size(&after), 0) == (ssize_t)dcm_size(&after));
        }
        buf_clear(&r.bytes);
        REQUIRE_OK(dcm_plan_collect(&r.res.plan, &source, &r.bytes, &err), err);
        CHECK(!holds((struct str){ r.bytes.p, r.bytes.n }, STR("Zimmermann")));
        CHECK(str_eq((struct str){ r.bytes.p, r.bytes.n }, (struct str){ expected.p, expected.n }));
        CHECK_INT(dicom_source_unchanged(&source, &err), !rows[i].rewritten);
        CHECK_INT(err.code, rows[i].rewritten ? PIXL_E_CORRUPT : PIXL_OK);
        buf_done(&expected);
        (void)close(fd);
        dcm_done(&before);
        dcm_done(&after);
    }
}

struct shrinker {
    int fd;
    off_t size;
    atomic_bool is_over;
    const char *bytes;
};

/* Cuts the file to all lengths, from long to short, and writes it again. */
static void *shrink(void *ctx)
{
    struct shrinker *s = ctx;
    for (off_t n = s->size; !atomic_load(&s->is_over); n = n > 200 ? n - 97 : s->size) {
        if (ftruncate(s->fd, n) != 0 || pwrite(s->fd, s->bytes, (size_t)s->size, 0) != (ssize_t)s->size)
            break;
    }
    return NULL;
}

/* A file that another thread cuts and writes again all the while, of every coding: a clean error or a plan that writes what
 * it says it writes, and nothing is mapped that could vanish. */
static void test_source__a_file_may_shrink_at_any_moment(void)
{
    static const char *const syntaxes[] = { DCM_EXPLICIT_LE, DCM_EXPLICIT_BE, DCM_DEFLATED_LE };
    enum { ROUNDS = 400 };
    for (size_t i = 0; i < ARRAY_LEN(syntaxes); i++) {
        test_row("%s", syntaxes[i]);
        rig_auto r;
        rig_init(&r, rules, ARRAY_LEN(rules));
        rig_start(&r);
        struct dcm d;
        rig_begin_syntax(&d, syntaxes[i]);
        rig_patient(&d);
        rig_uids(&d);
        dcm_fill(&d, 0x00291010, DICOM_VR_OB, 50000);
        dcm_pixels_native(&d, 200000);
        if (i == 2)
            dcm_deflate(&d);
        int fd = file_of(dcm_str(&d)), null = open("/dev/null", O_WRONLY | O_CLOEXEC);
        REQUIRE(null >= 0);
        struct shrinker s = { .fd = fd, .size = (off_t)dcm_size(&d), .bytes = dcm_bytes_of(&d) };
        pthread_t thread;
        REQUIRE(pthread_create(&thread, NULL, shrink, &s) == 0);
        for (int round = 0; round < ROUNDS; round++) {
            struct pixl_error err = { 0 };
            struct dicom_source source;
            arena_reset(&r.in_arena);
            bool ok = dicom_source_fd(fd, &source, &err) &&
                      dicom_parse(&source, &DICOM_LIMITS_DEFAULT, &r.in_arena, &r.in, &err) &&
                      deid_instance(r.study, &r.in, &r.in_arena, &r.res, &err);
            if (ok && r.res.verdict == DEID_EMIT)
                ok = dicom_plan_write_fd(&r.res.plan, &r.in.source, null, &err);
            CHECK(ok || err.code == PIXL_E_CORRUPT);
        }
        atomic_store(&s.is_over, true);
        REQUIRE(pthread_join(thread, NULL) == 0);
        (void)close(fd);
        (void)close(null);
        dcm_done(&d);
    }
}

/* Read in pieces, so that headers and values lie apart. */
static void test_source__reserved_bytes_of_a_file_are_zero(void)
{
    struct pixl_error err = { 0 };
    struct dicom_source source;
    struct dcm d;
    size_t n;
    rig_auto r;
    rig_init(&r, rules, ARRAY_LEN(rules));
    rig_start(&r);
    kept_all_over(&d, "nothing that tells a name");
    CHECK_INT(rig_run(&r, dcm_str(&d)), DEID_EMIT);
    struct buf expected;
    buf_init(&expected, 1u << 20);
    REQUIRE(buf_add(&expected, r.bytes.p, r.bytes.n));
    char *filled = rig_fill_reserved(&d, &n);
    int fd = file_of((struct str){ filled, dcm_size(&d) });
    REQUIRE_OK(run_fd(&r, fd, &source, &err), err);
    REQUIRE(n >= 3 && r.res.verdict == DEID_EMIT);
    buf_clear(&r.bytes);
    REQUIRE_OK(dcm_plan_collect(&r.res.plan, &source, &r.bytes, &err), err);
    CHECK(str_eq(buf_str(&r.bytes), buf_str(&expected)));
    (void)close(fd);
    free(filled);
    buf_done(&expected);
    dcm_done(&d);
}

int main(int argc, char **argv)
{
    static const struct test_case tests[] = {
        TEST(test_source__an_error_does_not_lose_what_was_found),
        TEST(test_source__what_was_checked_is_what_is_written),
        TEST(test_source__reserved_bytes_of_a_file_are_zero),
        TEST(test_source__a_file_may_shrink_at_any_moment),
    };
    return test_main(argc, argv, tests, ARRAY_LEN(tests));
}
