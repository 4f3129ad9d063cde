/* What a file of the archive is taken for: nothing that means to be DICOM is passed over as a stranger. */
#include "archive/archive_identity.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/fs.h"
#include "dicom_build.h"
#include "test.h"

#define STUDY  "1.2.3"
#define SERIES "1.2.3.1"
#define SOP    "1.2.3.1.1"

enum coding { EXPLICIT, IMPLICIT, BIG };

/* An instance of one coding, with or without preamble and meta; NULL: without that element. */
struct sample {
    enum coding coding;
    bool is_bare, is_reversed;
    const char *study, *series, *sop, *class;
};

static void build(struct dcm *d, const struct sample *s)
{
    static const char *const syntaxes[] = { DCM_EXPLICIT_LE, DCM_IMPLICIT_LE, DCM_EXPLICIT_BE };
    const char *class = s->class ? s->class : DCM_CT_IMAGE_STORAGE;
    const struct { uint32_t tag; enum dicom_vr vr; const char *text; } elements[] = {
        { DICOM_SOP_CLASS_UID, DICOM_VR_UI, class },  { DICOM_SOP_INSTANCE_UID, DICOM_VR_UI, s->sop },
        { DICOM_PATIENT_ID, DICOM_VR_LO, "4711" },    { DICOM_STUDY_UID, DICOM_VR_UI, s->study },
        { DICOM_SERIES_UID, DICOM_VR_UI, s->series }, { 0x00204000, DICOM_VR_LT, "a comment" },
    };
    if (!s->is_bare)
        dcm_begin_syntax(d, syntaxes[s->coding], class, SOP);
    else if (s->coding == BIG)
        dcm_begin_bare_big_endian(d);
    else
        dcm_begin_bare(d, s->coding == EXPLICIT);
    for (size_t i = 0; i < ARRAY_LEN(elements); i++) {
        size_t at = s->is_reversed ? ARRAY_LEN(elements) - 1 - i : i;
        if (elements[at].text != NULL)
            dcm_text(d, elements[at].tag, elements[at].vr, elements[at].text);
    }
}

static struct archive_identity read_bytes(struct str bytes, struct arena *arena)
{
    struct pixl_error err = { 0 };
    struct archive_identity who = { 0 };
    int fd = memfd_create("file", MFD_CLOEXEC);
    REQUIRE(fd >= 0);
    REQUIRE_OK(fs_write_all(fd, bytes.p, bytes.n, &err), err);
    REQUIRE_OK(archive_identity_read(fd, arena, &who, &err), err);
    (void)close(fd);
    return who;
}

static void check(struct str bytes, enum archive_identity_kind kind, const char *study)
{
    struct arena arena;
    arena_init(&arena, 16 << 20);
    struct archive_identity who = read_bytes(bytes, &arena);
    CHECK_INT(who.kind, kind);
    CHECK_STR(phi_reveal(who.study_uid), study);
    CHECK(kind == ARCHIVE_IDENTITY_INSTANCE || who.frames == 0);
    arena_done(&arena);
}

static void test_identity__an_absent_or_empty_uid(void)
{
    static const struct { const char *name; struct sample s; enum archive_identity_kind kind; const char *study; } rows[] = {
        { "whole", { .study = STUDY, .series = SERIES, .sop = SOP }, ARCHIVE_IDENTITY_INSTANCE, STUDY },
        { "no SOP", { .study = STUDY, .series = SERIES }, ARCHIVE_IDENTITY_DAMAGED, STUDY },
        { "empty SOP", { .study = STUDY, .series = SERIES, .sop = "" }, ARCHIVE_IDENTITY_DAMAGED, STUDY },
        { "no series", { .study = STUDY, .sop = SOP }, ARCHIVE_IDENTITY_DAMAGED, STUDY },
        { "empty series", { .study = STUDY, .series = " ", .sop = SOP }, ARCHIVE_IDENTITY_DAMAGED, STUDY },
        { "no study", { .series = SERIES, .sop = SOP }, ARCHIVE_IDENTITY_DAMAGED, "" },
        { "empty study", { .study = "", .series = SERIES, .sop = SOP }, ARCHIVE_IDENTITY_DAMAGED, "" },
        { "a directory", { .class = "1.2.840.10008.1.3.10" }, ARCHIVE_IDENTITY_STRANGER, "" },
        { "a hanging protocol", { .sop = SOP, .class = "1.2.840.10008.5.1.4.38.1" }, ARCHIVE_IDENTITY_STRANGER, "" },
        { "one that names a study", { .study = STUDY, .class = "1.2.840.10008.5.1.4.38.1" }, ARCHIVE_IDENTITY_DAMAGED, STUDY },
    };
    for (int coding = EXPLICIT; coding <= BIG; coding++)
        for (int is_bare = 0; is_bare < 2; is_bare++)
            for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
                struct dcm d;
                struct sample s = rows[i].s;
                s.coding = (enum coding)coding;
                s.is_bare = is_bare;
                test_row("%s, coding %d, bare %d", rows[i].name, coding, is_bare);
                build(&d, &s);
                check(dcm_str(&d), rows[i].kind, rows[i].study);
                dcm_done(&d);
            }
}

/* Cut anywhere, with or without its preamble, or with other bytes for "DICM": never a stranger while eight bytes of an element are left. */
static void test_identity__a_cut_file_is_never_a_stranger(void)
{
    for (int coding = EXPLICIT; coding <= BIG; coding++)
        for (int how = 0; how < 3; how++) {
            const struct sample s = { (enum coding)coding, how == 1, false, STUDY, SERIES, SOP, NULL };
            const size_t first = how == 1 ? 8 : how == 2 ? 140 : 132;
            struct dcm d;
            struct arena arena;
            size_t n_with_study = 0;
            build(&d, &s);
            char *bytes = malloc(dcm_size(&d));
            REQUIRE(bytes != NULL);
            memcpy(bytes, dcm_bytes_of(&d), dcm_size(&d));
            if (how == 2)
                memset(bytes + 128, 0, 4);
            arena_init(&arena, 16 << 20);
            for (size_t n = 0; n < dcm_size(&d); n++) {
                test_row("coding %d, %s, %zu bytes", coding, how == 1 ? "bare" : how == 2 ? "no magic" : "whole", n);
                struct archive_identity who = read_bytes((struct str){ bytes, n }, &arena);
                CHECK_INT(who.kind == ARCHIVE_IDENTITY_STRANGER, n < first);
                n_with_study += !phi_is_empty(who.study_uid);
            }
            CHECK_INT(n_with_study > 0, how != 2);   /* what stands behind no magic is not read */
            free(bytes);
            arena_done(&arena);
            dcm_done(&d);
        }
}

static void test_identity__an_unordered_file_that_breaks(void)
{
    struct dcm d;
    const struct sample whole = { EXPLICIT, false, true, STUDY, SERIES, SOP, NULL };
    build(&d, &whole);
    check(dcm_str(&d), ARCHIVE_IDENTITY_INSTANCE, STUDY);
    check((struct str){ dcm_bytes_of(&d), dcm_size(&d) - 40 }, ARCHIVE_IDENTITY_DAMAGED, "");
    dcm_done(&d);
    /* In order until the series UID; what should have come first stands behind. */
    dcm_begin_syntax(&d, DCM_EXPLICIT_LE, DCM_CT_IMAGE_STORAGE, SOP);
    dcm_text(&d, DICOM_PATIENT_ID, DICOM_VR_LO, "4711");
    dcm_text(&d, DICOM_STUDY_UID, DICOM_VR_UI, STUDY);
    dcm_text(&d, DICOM_SERIES_UID, DICOM_VR_UI, SERIES);
    dcm_text(&d, DICOM_SOP_INSTANCE_UID, DICOM_VR_UI, SOP);
    check(dcm_str(&d), ARCHIVE_IDENTITY_INSTANCE, STUDY);
    check((struct str){ dcm_bytes_of(&d), dcm_size(&d) - 4 }, ARCHIVE_IDENTITY_DAMAGED, STUDY);
    dcm_done(&d);
}

static void test_identity__what_is_no_dicom_is_a_stranger(void)
{
    static char zeros[4096];
    static const struct { const char *name; struct str bytes; } rows[] = {
        { "nothing", { "", 0 } },
        { "text", { "a text that somebody left, long enough to be read as eight bytes and more", 73 } },
        { "zeros", { zeros, sizeof zeros } },
        { "a picture", { "\xFF\xD8\xFF\xE0\0\x10JFIF\0\1\1\0\0\1", 16 } },
        { "a zip", { "PK\3\4\x14\0\0\0\x08\0", 10 } },
        { "a group 0008 of no such element", { "\x08\0\xFE\xCA\x04\0\0\0abcd", 12 } },
        { "a first value of a megabyte", { "\x08\0\x05\0\0\0\x10\0", 8 } },
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        test_row("%s", rows[i].name);
        check(rows[i].bytes, ARCHIVE_IDENTITY_STRANGER, "");
    }
}

int main(int argc, char **argv)
{
    static const struct test_case tests[] = {
        TEST(test_identity__an_absent_or_empty_uid),
        TEST(test_identity__a_cut_file_is_never_a_stranger),
        TEST(test_identity__an_unordered_file_that_breaks),
        TEST(test_identity__what_is_no_dicom_is_a_stranger),
    };
    return test_main(argc, argv, tests, ARRAY_LEN(tests));
}
