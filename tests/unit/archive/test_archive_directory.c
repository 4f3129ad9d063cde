#include "archive/archive.h"

#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <linux/capability.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "archive/archive_backend.h"
#include "base/fs.h"
#include "base/sqlite_db.h"
#include "dicom_build.h"
#include "test.h"

#define MRN "CANARY-MRN-7"
#define ACCESSION "CANARY-ACC-9"
#define STUDY "1.2.826.0.1.999.1"

static struct pixl_error err;

struct instance {
    const char *mrn, *accession, *study, *series, *sop;
};
static const struct instance one = { MRN, ACCESSION, STUDY, STUDY ".1", STUDY ".1.1" };

static void build(struct dcm *d, const struct instance *i)
{
    dcm_begin_syntax(d, DCM_EXPLICIT_LE, DCM_CT_IMAGE_STORAGE, i->sop);
    dcm_text(d, DICOM_SOP_INSTANCE_UID, DICOM_VR_UI, i->sop);
    dcm_text(d, DICOM_ACCESSION_NUMBER, DICOM_VR_SH, i->accession);
    dcm_text(d, DICOM_PATIENT_NAME, DICOM_VR_PN, "CANARY^NAME");
    dcm_text(d, DICOM_PATIENT_ID, DICOM_VR_LO, i->mrn);
    dcm_text(d, DICOM_STUDY_UID, DICOM_VR_UI, i->study);
    dcm_text(d, DICOM_SERIES_UID, DICOM_VR_UI, i->series);
    dcm_pixels_native(d, 512);
}

static void save(const char *path, const struct instance *i)
{
    struct dcm d;
    build(&d, i);
    dcm_save(&d, path);
    dcm_done(&d);
}

/* Instance number n of the study, at archive/<name>. */
static void save_as(const char *name, int n)
{
    char sop[80], path[512];
    (void)snprintf(sop, sizeof sop, STUDY ".1.%d", n);
    (void)snprintf(path, sizeof path, "%s/archive/%s", test_dir(), name);
    struct instance i = one;
    i.sop = sop;
    save(path, &i);
}

static void make_root(void)
{
    REQUIRE(mkdir(test_path("archive"), 0700) == 0);
}

static bool open_it(struct archive **a)
{
    char url[600];
    (void)snprintf(url, sizeof url, "directory:%s/archive", test_dir());
    return archive_open(&(struct archive_options){ .url = url, .state_dir = test_path("state") }, a, &err);
}

static struct archive_directory_counts refresh(struct archive *a)
{
    CHECK_OK(archive_refresh(a, NULL, NULL, &err), err);
    return archive_directory_counts(a);
}

static size_t count_instances(struct archive *a, const char *study)
{
    struct arena arena;
    arena_init(&arena, 16 << 20);
    struct archive_instance *list = NULL;
    size_t n = 9999;
    CHECK_OK(archive_list(a, phi_text(str_of(study)), &arena, &list, &n, &err), err);
    arena_done(&arena);
    return n;
}

/* Opens the only instance of the study; its descriptor or -1, with err set. */
static int open_only(struct archive *a)
{
    struct arena arena;
    arena_init(&arena, 16 << 20);
    struct archive_instance *list = NULL;
    size_t n = 0;
    int fd = -1;
    REQUIRE_OK(archive_list(a, phi_text(STR(STUDY)), &arena, &list, &n, &err), err);
    REQUIRE(n == 1);
    if (!archive_open_instance(a, &list[0], &fd, &err))
        CHECK(fd == -1);
    arena_done(&arena);
    return fd;
}

static void check_fails(int fd, enum pixl_code want)
{
    CHECK(fd < 0);
    CHECK_INT(err.code, want);
    CHECK(strstr(err.msg, "CANARY") == NULL && strstr(err.msg, "999") == NULL && strstr(err.msg, test_dir()) == NULL);
    pixl_error_clear(&err);
    if (fd >= 0)
        (void)close(fd);
}

/* root may read everything: give that up. */
static void give_up_root(void)
{
    struct __user_cap_header_struct h = { .version = _LINUX_CAPABILITY_VERSION_3 };
    struct __user_cap_data_struct d[2] = { 0 };
    REQUIRE(syscall(SYS_capset, &h, d) == 0);
}

static void test_open__url_is_checked(void)
{
    static const struct { const char *url; enum pixl_code want; } rows[] = {
        { "", PIXL_E_INVALID },
        { "directory", PIXL_E_INVALID },
        { "directory:", PIXL_E_INVALID },
        { "directory:relative/path", PIXL_E_INVALID },
        { "ftp:/x", PIXL_E_INVALID },
        { "orthanc:user:hunter2@host:8042", PIXL_E_INVALID },
        { "directory:/proc/self/there/is/no/such/place", PIXL_E_UNAVAILABLE },
        { "directory:/proc/self/status", PIXL_E_UNAVAILABLE },
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        test_row("%s", rows[i].url);
        struct archive *a = NULL;
        CHECK(!archive_open(&(struct archive_options){ .url = rows[i].url, .state_dir = test_path("s") }, &a, &err) && !a);
        CHECK(strstr(err.msg, "hunter2") == NULL);
        CHECK_INT(err.code, rows[i].want);
        pixl_error_clear(&err);
    }
}

static void test_open__index_is_private_and_named_by_the_root(void)
{
    make_root();
    archive_auto *a = NULL;
    REQUIRE_OK(open_it(&a), err);
    CHECK_STR(str_of(archive_name(a)), "directory");
    CHECK(archive_caps(a) == ARCHIVE_CAP_LOCAL);
    char cmd[1200];
    (void)snprintf(cmd, sizeof cmd, "cd '%s/state' && ls archive-????????????????.db >/dev/null && "
                   "test \"$(stat -c %%a archive-????????????????.db)\" = 600 && test \"$(stat -c %%a .)\" = 700", test_dir());
    FILE *p = popen(cmd, "r");
    CHECK(p != NULL && pclose(p) == 0);
}

/* 60 folders, longer together than any path that the system takes. */
static void save_deep(void)
{
    char name[256];
    memset(name, 'd', 200);
    name[200] = '\0';
    int at = open(test_path("archive"), O_RDONLY | O_DIRECTORY);
    for (int i = 0; i < 60; i++) {
        REQUIRE(mkdirat(at, name, 0700) == 0);
        int next = openat(at, name, O_RDONLY | O_DIRECTORY);
        REQUIRE(next >= 0);
        (void)close(at);
        at = next;
    }
    save(test_path("deep"), &one);
    int from = open(test_path("deep"), O_RDONLY), to = openat(at, "leaf", O_WRONLY | O_CREAT, 0600);
    REQUIRE(from >= 0 && to >= 0);
    CHECK_OK(fs_copy_range(from, 0, (uint64_t)lseek(from, 0, SEEK_END), to, &err), err);
    (void)close(from);
    (void)close(to);
    (void)close(at);
}

static void test_refresh__finds_odd_names_at_any_depth(void)
{
    make_root();
    static const char *const names[] = {
        "plain.dcm", "no-suffix", "new\nline", "not\xff\xfeutf8", " blanks ", ".hidden", "-rf", "quote'\";--", "%s%n",
        "ends.jpg", "x*?[", "back\\slash",
    };
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        save_as(names[i], (int)i + 2);
    save_deep();
    archive_auto *a = NULL;
    REQUIRE_OK(open_it(&a), err);
    struct archive_directory_counts c = refresh(a);
    CHECK_INT(c.dicom, ARRAY_LEN(names) + 1);
    CHECK_INT(count_instances(a, STUDY), ARRAY_LEN(names) + 1);
    CHECK_INT(c.unreadable + c.folders_unreadable, 0);
    struct arena arena;
    arena_init(&arena, 1 << 20);
    struct archive_instance *list;
    size_t n;
    REQUIRE_OK(archive_list(a, phi_text(STR(STUDY)), &arena, &list, &n, &err), err);
    for (size_t i = 0; i < n; i++) {
        int fd = -1;
        char head[132];
        test_row("%zu", i);
        if (CHECK_OK(archive_open_instance(a, &list[i], &fd, &err), err)) {
            CHECK(read(fd, head, sizeof head) == sizeof head && memcmp(head + 128, "DICM", 4) == 0);
            struct stat st;
            CHECK(fstat(fd, &st) == 0 && (uint64_t)st.st_size == list[i].size_bytes);
            CHECK((fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0);
            (void)close(fd);
        }
    }
    arena_done(&arena);
    CHECK_INT(refresh(a).read, 0);
    CHECK_OK(fs_remove_tree(test_path("archive"), &err), err);      /* whose paths are too long for others */
}

static void test_refresh__follows_no_links(void)
{
    make_root();
    save(test_path("outside"), &one);
    REQUIRE(mkdir(test_path("elsewhere"), 0700) == 0);
    save(test_path("elsewhere/in-there"), &one);
    save_as("real", 1);
    REQUIRE(symlink(test_path("outside"), test_path("archive/to-file")) == 0);
    REQUIRE(symlink("real", test_path("archive/to-real")) == 0);
    REQUIRE(symlink(test_path("elsewhere"), test_path("archive/to-folder")) == 0);
    REQUIRE(symlink(".", test_path("archive/round")) == 0);
    REQUIRE(mkfifo(test_path("archive/pipe"), 0600) == 0);
    archive_auto *a = NULL;
    REQUIRE_OK(open_it(&a), err);
    struct archive_directory_counts c = refresh(a);
    CHECK_INT(c.links, 4);
    CHECK_INT(c.looked_at, 1);
    CHECK_INT(count_instances(a, STUDY), 1);
}

static void test_refresh__reads_only_what_changed(void)
{
    make_root();
    REQUIRE(mkdir(test_path("archive/sub"), 0700) == 0);
    save_as("one", 1);
    save_as("sub/two", 2);
    CHECK_OK(fs_write_whole(test_path("archive/readme.txt"), STR("no DICOM"), 0600, &err), err);
    CHECK_OK(fs_write_whole(test_path("archive/empty"), STR(""), 0600, &err), err);
    archive_auto *a = NULL;
    REQUIRE_OK(open_it(&a), err);
    struct archive_directory_counts c = refresh(a);
    CHECK_INT(c.looked_at, 4);
    CHECK_INT(c.read, 4);
    CHECK_INT(c.dicom, 2);
    c = refresh(a);
    CHECK_INT(c.looked_at, 4);
    CHECK_INT(c.read, 0);
    CHECK_INT(c.dicom, 2);

    save_as("sub/three", 3);
    CHECK_INT(refresh(a).read, 1);
    CHECK_INT(count_instances(a, STUDY), 3);

    /* Another study under the same name. */
    struct instance other = one;
    other.study = "1.2.3.4";
    REQUIRE(unlink(test_path("archive/one")) == 0);
    save(test_path("archive/one"), &other);
    CHECK_INT(refresh(a).read, 1);
    CHECK_INT(count_instances(a, STUDY), 2);
    CHECK_INT(count_instances(a, "1.2.3.4"), 1);

    REQUIRE(unlink(test_path("archive/sub/two")) == 0);
    c = refresh(a);
    CHECK_INT(c.read, 0);
    CHECK_INT(c.dicom, 2);
    CHECK_INT(count_instances(a, STUDY), 1);

    /* What a run before this one learnt is still there. */
    archive_close(PIXL_STEAL(&a));
    REQUIRE_OK(open_it(&a), err);
    CHECK_INT(count_instances(a, STUDY), 1);
    CHECK_INT(refresh(a).read, 0);
}

static void test_refresh__goes_on_past_what_it_may_not_read(void)
{
    make_root();
    REQUIRE(mkdir(test_path("archive/closed"), 0700) == 0);
    REQUIRE(mkdir(test_path("archive/blind"), 0700) == 0);
    save_as("open", 1);
    save_as("secret", 2);
    save_as("closed/in-there", 3);
    save_as("blind/in-there", 4);
    save_as("new-secret", 5);
    give_up_root();
    REQUIRE(chmod(test_path("archive/new-secret"), 0) == 0);
    archive_auto *a = NULL;
    REQUIRE_OK(open_it(&a), err);
    struct archive_directory_counts c = refresh(a);
    CHECK_INT(c.dicom, 4);
    CHECK_INT(c.unreadable, 1);

    /* Known ones that are closed and, in one case, changed: the study must not shrink. */
    save_as("secret", 2);
    REQUIRE(utimensat(AT_FDCWD, test_path("archive/secret"), (struct timespec[]){ { 5, 0 }, { 5, 0 } }, 0) == 0);
    REQUIRE(chmod(test_path("archive/secret"), 0) == 0);
    REQUIRE(chmod(test_path("archive/closed"), 0) == 0);
    REQUIRE(chmod(test_path("archive/blind"), 0400) == 0);       /* its names can be listed, no more */
    c = refresh(a);
    CHECK_INT(c.dicom, 1);
    CHECK_INT(c.unreadable, 3);
    CHECK_INT(c.folders_unreadable, 1);
    CHECK_INT(archive_health(a).unreadable, 4);  /* files and folders */
    CHECK_INT(count_instances(a, STUDY), 4);

    REQUIRE(chmod(test_path("archive/secret"), 0600) == 0);
    REQUIRE(chmod(test_path("archive/closed"), 0700) == 0);
    REQUIRE(chmod(test_path("archive/blind"), 0700) == 0);
    REQUIRE(chmod(test_path("archive/new-secret"), 0600) == 0);
    c = refresh(a);
    CHECK_INT(c.dicom, 5);
    CHECK_INT(c.read, 2);
    CHECK_INT(c.unreadable + c.folders_unreadable, 0);
    CHECK_INT(count_instances(a, STUDY), 5);

    REQUIRE(chmod(test_path("archive"), 0) == 0);
    CHECK_FAILS(archive_refresh(a, NULL, NULL, &err), err, PIXL_E_UNAVAILABLE);
    REQUIRE(chmod(test_path("archive"), 0700) == 0);
    CHECK_INT(count_instances(a, STUDY), 5);
}

static void test_refresh__empty_root_looks_unmounted(void)
{
    make_root();
    archive_auto *a = NULL;
    REQUIRE_OK(open_it(&a), err);
    CHECK_INT(refresh(a).looked_at, 0);          /* nothing was known: an empty archive is one */
    save_as("one", 1);
    (void)refresh(a);
    REQUIRE(rename(test_path("archive"), test_path("share")) == 0);
    CHECK_FAILS(archive_refresh(a, NULL, NULL, &err), err, PIXL_E_UNAVAILABLE);
    check_fails(open_only(a), PIXL_E_UNAVAILABLE);
    make_root();
    CHECK_FAILS(archive_refresh(a, NULL, NULL, &err), err, PIXL_E_UNAVAILABLE);
    check_fails(open_only(a), PIXL_E_UNAVAILABLE);
    REQUIRE(rmdir(test_path("archive")) == 0);
    REQUIRE(rename(test_path("share"), test_path("archive")) == 0);
    CHECK_INT(refresh(a).read, 0);
    int fd = open_only(a);
    CHECK(fd >= 0);
    (void)close(fd);
}

struct heard { uint64_t calls, last; bool go_on; };

static bool hear(void *ctx, uint64_t looked_at, uint64_t dicom)
{
    struct heard *h = ctx;
    h->calls++;
    h->last = looked_at;
    CHECK(dicom <= looked_at);
    return h->go_on;
}

static void test_refresh__can_be_cancelled_and_goes_on_from_there(void)
{
    make_root();
    char name[32];
    for (int i = 0; i < 1500; i++) {
        (void)snprintf(name, sizeof name, "%d", i);
        save_as(name, i);
    }
    archive_auto *a = NULL;
    REQUIRE_OK(open_it(&a), err);
    struct heard h = { .go_on = false };
    CHECK_FAILS(archive_refresh(a, hear, &h, &err), err, PIXL_E_CANCELLED);
    CHECK_INT(h.calls, 1);
    CHECK_INT(archive_directory_counts(a).read, 1024);
    h.go_on = true;
    CHECK_OK(archive_refresh(a, hear, &h, &err), err);
    CHECK_INT(archive_directory_counts(a).read, 1500 - 1024);
    CHECK_INT(h.last, 1500);
    CHECK_INT(count_instances(a, STUDY), 1500);
}

static void save_cut(const char *name, int n, size_t keep)
{
    char sop[80];
    (void)snprintf(sop, sizeof sop, STUDY ".1.%d", n);
    struct instance i = one;
    i.sop = sop;
    struct dcm d;
    build(&d, &i);
    REQUIRE(keep <= dcm_size(&d));
    char path[64];
    (void)snprintf(path, sizeof path, "archive/%s", name);
    CHECK_OK(fs_write_whole(test_path(path), (struct str){ dcm_bytes_of(&d), keep }, 0600, &err), err);
    dcm_done(&d);
}

/* Where the element begins in the built instance. */
static size_t place_of(uint32_t tag)
{
    struct dcm d;
    build(&d, &one);
    const uint8_t want[4] = { (uint8_t)(tag >> 16), (uint8_t)(tag >> 24), (uint8_t)tag, (uint8_t)(tag >> 8) };
    const uint8_t *p = memmem(dcm_bytes_of(&d), dcm_size(&d), want, 4);
    REQUIRE(p != NULL);
    size_t at = (size_t)(p - (const uint8_t *)dcm_bytes_of(&d));
    dcm_done(&d);
    return at;
}

static void test_refresh__damaged_files_stay_in_their_study(void)
{
    make_root();
    save_as("whole", 1);
    save_cut("half-the-pixels", 2, place_of(DICOM_PIXEL_DATA) + 100);
    save_cut("breaks-in-series", 3, place_of(DICOM_SERIES_UID) + 9);
    save_cut("breaks-before-study", 4, place_of(DICOM_STUDY_UID) + 3);
    save_cut("magic-only", 5, 132);
    save_cut("preamble-only", 6, 128);
    struct dcm d;
    dcm_begin_syntax(&d, DCM_EXPLICIT_LE, "1.2.840.10008.1.3.10", "1.2.3.99");     /* DICOMDIR */
    dcm_text(&d, 0x00041130, DICOM_VR_CS, "DISC");
    dcm_save(&d, test_path("archive/DICOMDIR"));
    dcm_done(&d);
    archive_auto *a = NULL;
    REQUIRE_OK(open_it(&a), err);
    struct archive_directory_counts c = refresh(a);
    CHECK_INT(c.looked_at, 7);
    CHECK_INT(c.dicom, 2);
    CHECK_INT(c.damaged, 3);                     /* those cut before the study UID are counted, too */
    CHECK_INT(c.other, 2);                       /* preamble-only, DICOMDIR */
    CHECK(archive_health(a).damaged == 3 && archive_health(a).other == 2);
    CHECK_INT(count_instances(a, STUDY), 3);
    c = refresh(a);                              /* known from the index */
    CHECK(c.read == 0 && c.damaged == 3 && c.other == 2);
}

static void find_row(struct archive *a, const char *uid, const char *mrn, const char *accession, const char *want)
{
    struct arena arena;
    arena_init(&arena, 1 << 20);
    struct archive_query q = { phi_text(str_of(uid)), phi_text(str_of(mrn)), phi_text(str_of(accession)) };
    struct phi_text *uids = NULL;
    size_t n = 99;
    bool ok = archive_find(a, &q, &arena, &uids, &n, &err);
    if (want == NULL) {
        CHECK(uids == NULL && n == 99);
        CHECK_FAILS(ok, err, PIXL_E_INVALID);
    } else if (CHECK_OK(ok, err)) {
        char got[400] = "";
        for (size_t i = 0; i < n; i++) {
            struct str s = phi_reveal(uids[i]);
            size_t used = strlen(got);
            (void)snprintf(got + used, sizeof got - used, "%s%.*s", i ? " " : "", STR_ARG(s));
        }
        CHECK_STR(str_of(got), want);
    }
    arena_done(&arena);
}

static void test_find__by_uid_then_by_mrn_and_accession(void)
{
    static const struct instance files[] = {
        { MRN, "A1", "1.1", "1.1.1", "1.1.1.1" },
        { MRN, "A1", "1.1", "1.1.1", "1.1.1.2" },
        { MRN, "A2", "1.2", "1.2.1", "1.2.1.1" },
        { MRN, "A3", "1.3", "1.3.1", "1.3.1.1" },
        { MRN, "A3", "1.4", "1.4.1", "1.4.1.1" },
        { "other", "A1", "1.5", "1.5.1", "1.5.1.1" },
        { "  padded ", " A6 ", "1.6", "1.6.1", "1.6.1.1" },
        { "", "A7", "1.7", "1.7.1", "1.7.1.1" },
        { MRN, "", "1.8", "1.8.1", "1.8.1.1" },
        { MRN, "A9", "", "1.9.1", "1.9.1.1" },
        { MRN, "A11", "1.11", "1.11.1", "" },
        { MRN "*", "A?", "1.10", "1.10.1", "1.10.1.1" },
    };
    static const struct { const char *name, *uid, *mrn, *accession, *want; } rows[] = {
        { "by UID", "1.1", "", "", "1.1" },
        { "UID with blanks", " 1.1 \r\n", "", "", "1.1" },
        { "UID counts first", "1.2", MRN, "A1", "1.2" },
        { "UID of another patient is still that study", "1.5", MRN, "A1", "1.5" },
        { "UID unknown, falls back", "9.9", MRN, "A2", "1.2" },
        { "UID unknown, no accession number: nothing", "9.9", MRN, "", "" },
        { "UID unknown, no MRN: nothing", "9.9", "", "A1", "" },
        { "UID unknown, MRN of blanks: nothing", "9.9", "  ", "A1", "" },
        { "MRN and accession number", "", MRN, "A1", "1.1" },
        { "two studies of one accession number", "", MRN, "A3", "1.3 1.4" },
        { "the other patient's", "", "other", "A1", "1.5" },
        { "nobody's", "", "other", "A2", "" },
        { "blanks on both sides", "", "padded", "A6", "1.6" },
        { "blanks in the question", "", "\t" MRN " ", " A2", "1.2" },
        { "case counts", "", "OTHER", "A1", "" },
        { "wildcards are letters", "", "*", "*", "" },
        { "wildcards are letters, found as such", "", MRN "*", "A?", "1.10" },
        { "part of an MRN", "", "CANARY", "A1", "" },
        { "a file without study UID is nobody's", "", MRN, "A9", "" },
        { "a file without SOP UID is its study's", "", MRN, "A11", "1.11" },
        { "no key at all", "", "", "", NULL },
        { "blanks only", " ", "\t", "\n", NULL },
        { "MRN alone would be all of the patient's", "", MRN, "", NULL },
        { "MRN and blanks", "", MRN, "  ", NULL },
        { "accession number alone", "", "", "A1", NULL },
        { "MRN of blanks would be everybody's", "", "   ", "A7", NULL },
    };
    make_root();
    for (size_t i = 0; i < ARRAY_LEN(files); i++) {
        char name[32];
        (void)snprintf(name, sizeof name, "archive/%zu", i);
        save(test_path(name), &files[i]);
    }
    archive_auto *a = NULL;
    REQUIRE_OK(open_it(&a), err);
    (void)refresh(a);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        test_row("%s", rows[i].name);
        find_row(a, rows[i].uid, rows[i].mrn, rows[i].accession, rows[i].want);
    }
}

static void test_list__tells_uids_and_size_and_lists_twins(void)
{
    make_root();
    save_as("a", 1);
    save_as("b", 1);
    archive_auto *a = NULL;
    REQUIRE_OK(open_it(&a), err);
    (void)refresh(a);
    struct arena arena;
    arena_init(&arena, 1 << 20);
    struct archive_instance *list = NULL;
    size_t n = 0;
    REQUIRE_OK(archive_list(a, phi_text(STR(" " STUDY)), &arena, &list, &n, &err), err);
    REQUIRE(n == 2);
    struct stat st;
    REQUIRE(stat(test_path("archive/a"), &st) == 0);
    for (size_t i = 0; i < n; i++) {
        CHECK_STR(phi_reveal(list[i].series_uid), STUDY ".1");
        CHECK_STR(phi_reveal(list[i].sop_uid), STUDY ".1.1");
        CHECK_INT(list[i].size_bytes, st.st_size);
    }
    CHECK(list[0].handle != list[1].handle);
    CHECK_INT(count_instances(a, "1.2.3.4.5"), 0);
    size_t untouched = 77;
    CHECK_FAILS(archive_list(a, phi_text(STR("  ")), &arena, &list, &untouched, &err), err, PIXL_E_INVALID);
    CHECK_INT(untouched, 77);
    arena_done(&arena);
}

static void save_with_frames(const char *path, const char *class, const char *frames)
{
    struct dcm d;
    dcm_begin_syntax(&d, DCM_EXPLICIT_LE, class, one.sop);
    dcm_text(&d, DICOM_SOP_CLASS_UID, DICOM_VR_UI, class);
    dcm_text(&d, DICOM_SOP_INSTANCE_UID, DICOM_VR_UI, one.sop);
    dcm_text(&d, DICOM_STUDY_UID, DICOM_VR_UI, one.study);
    dcm_text(&d, DICOM_SERIES_UID, DICOM_VR_UI, one.series);
    dcm_text(&d, DICOM_NUMBER_OF_FRAMES, DICOM_VR_IS, frames);
    dcm_pixels_native(&d, 512);
    dcm_save(&d, path);
    dcm_done(&d);
}
static void test_list__tells_frames(void)
{
    static const struct { const char *class, *frames; uint32_t want; } rows[] = {
        { DCM_CT_IMAGE_STORAGE ".1", "12", 12 },
        { DCM_CT_IMAGE_STORAGE ".1", "13", 13 },
        { DCM_CT_IMAGE_STORAGE, "12", 1 },
        { DCM_CT_IMAGE_STORAGE ".1", "none", 1 },
        { DCM_CT_IMAGE_STORAGE ".1", "2147483647", 1000000 },
    };
    make_root();
    archive_auto *a = NULL;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct arena arena;
        struct archive_instance *list = NULL;
        size_t n = 0;
        test_row("%zu", i);
        (void)unlink(test_path("archive/one"));
        save_with_frames(test_path("archive/one"), rows[i].class, rows[i].frames);
        if (i == 0)
            REQUIRE_OK(open_it(&a), err);
        (void)refresh(a);
        arena_init(&arena, 1 << 20);
        REQUIRE_OK(archive_list(a, phi_text(STR(STUDY)), &arena, &list, &n, &err), err);
        REQUIRE(n == 1);
        CHECK_INT(list[0].frames, rows[i].want);
        arena_done(&arena);
    }
}

static void test_open_instance__sees_what_changed_since(void)
{
    make_root();
    REQUIRE(mkdir(test_path("archive/sub"), 0700) == 0);
    save_as("sub/one", 1);
    archive_auto *a = NULL;
    REQUIRE_OK(open_it(&a), err);
    (void)refresh(a);

    test_row("touched only");
    REQUIRE(utimensat(AT_FDCWD, test_path("archive/sub/one"), (struct timespec[]){ { 5, 0 }, { 5, 0 } }, 0) == 0);
    int fd = open_only(a);
    CHECK(fd >= 0 && lseek(fd, 0, SEEK_CUR) == 0);
    (void)close(fd);
    CHECK_INT(refresh(a).read, 0);               /* the index has learnt it */

    test_row("another patient's by now");
    struct instance other = one;
    other.mrn = "CANARY-OTHER";
    save(test_path("archive/sub/one"), &other);
    check_fails(open_only(a), PIXL_E_CORRUPT);

    test_row("no DICOM any more");
    CHECK_OK(fs_write_whole(test_path("archive/sub/one"), STR("gone"), 0600, &err), err);
    check_fails(open_only(a), PIXL_E_CORRUPT);

    test_row("a link to the very same bytes");
    save(test_path("outside"), &one);
    REQUIRE(unlink(test_path("archive/sub/one")) == 0);
    REQUIRE(symlink(test_path("outside"), test_path("archive/sub/one")) == 0);
    check_fails(open_only(a), PIXL_E_NOT_FOUND);

    test_row("its folder a link that leads out");
    REQUIRE(unlink(test_path("archive/sub/one")) == 0);
    REQUIRE(rmdir(test_path("archive/sub")) == 0);
    REQUIRE(mkdir(test_path("elsewhere"), 0700) == 0);
    save(test_path("elsewhere/one"), &one);
    REQUIRE(symlink(test_path("elsewhere"), test_path("archive/sub")) == 0);
    check_fails(open_only(a), PIXL_E_NOT_FOUND);

    test_row("a pipe, which would never end");
    REQUIRE(unlink(test_path("archive/sub")) == 0);
    REQUIRE(mkdir(test_path("archive/sub"), 0700) == 0);
    REQUIRE(mkfifo(test_path("archive/sub/one"), 0600) == 0);
    check_fails(open_only(a), PIXL_E_NOT_FOUND);

    test_row("closed");
    REQUIRE(unlink(test_path("archive/sub/one")) == 0);
    save_as("sub/one", 1);
    give_up_root();
    REQUIRE(chmod(test_path("archive/sub/one"), 0) == 0);
    check_fails(open_only(a), PIXL_E_DENIED);

    test_row("gone");
    REQUIRE(unlink(test_path("archive/sub/one")) == 0);
    check_fails(open_only(a), PIXL_E_NOT_FOUND);
}

static void test_open_instance__dropped_from_the_index_is_not_found(void)
{
    make_root();
    save_as("one", 1);
    save_as("two", 2);
    archive_auto *a = NULL;
    REQUIRE_OK(open_it(&a), err);
    (void)refresh(a);
    struct arena arena;
    arena_init(&arena, 1 << 20);
    struct archive_instance *list;
    size_t n;
    REQUIRE_OK(archive_list(a, phi_text(STR(STUDY)), &arena, &list, &n, &err), err);
    REQUIRE(unlink(test_path("archive/one")) == 0 && unlink(test_path("archive/two")) == 0);
    save_as("three", 3);
    (void)refresh(a);
    /* An old handle means an old file and never the new one. */
    for (size_t i = 0; i < n; i++) {
        int fd = -1;
        (void)!archive_open_instance(a, &list[i], &fd, &err);
        check_fails(fd, PIXL_E_NOT_FOUND);
    }
    arena_done(&arena);
}

static void spoil_index(const char *how)
{
    char cmd[1200];
    (void)snprintf(cmd, sizeof cmd, "cd '%s/state' && rm -f *-wal *-shm && for f in archive-*.db; do %s; done", test_dir(), how);
    FILE *p = popen(cmd, "r");
    REQUIRE(p != NULL && pclose(p) == 0);
}

static void test_open__a_spoilt_index_is_made_anew(void)
{
    static const char *const ways[] = {
        "echo this is no database, however long one looks at it > $f",
        "head -c 100 /dev/zero | tr '\\\\0' x | dd of=$f conv=notrunc bs=1 2>/dev/null",
    };
    make_root();
    save_as("one", 1);
    for (size_t i = 0; i < ARRAY_LEN(ways); i++) {
        test_row("%s", ways[i]);
        archive_auto *a = NULL;
        REQUIRE_OK(open_it(&a), err);
        (void)refresh(a);
        archive_close(PIXL_STEAL(&a));
        spoil_index(ways[i]);
        REQUIRE_OK(open_it(&a), err);
        CHECK_INT(refresh(a).read, 1);
        CHECK_INT(count_instances(a, STUDY), 1);
    }
}

struct shared { struct archive *a; atomic_int failures; };

static void *use_it(void *ctx)
{
    struct shared *s = ctx;
    for (int i = 0; i < 20; i++) {
        struct pixl_error e = { 0 };
        struct arena arena;
        arena_init(&arena, 1 << 20);
        struct archive_query q = { .mrn = phi_text(STR(MRN)), .accession_number = phi_text(STR(ACCESSION)) };
        struct phi_text *uids = NULL;
        struct archive_instance *list = NULL;
        size_t n = 0, n_list = 0;
        int fd = -1;
        if ((i % 5 == 0 && !archive_refresh(s->a, NULL, NULL, &e)) || !archive_find(s->a, &q, &arena, &uids, &n, &e) ||
            n != 1 || !archive_list(s->a, uids[0], &arena, &list, &n_list, &e) || n_list != 20 ||
            !archive_open_instance(s->a, &list[i], &fd, &e))
            atomic_fetch_add(&s->failures, 1);
        if (fd >= 0)
            (void)close(fd);
        arena_done(&arena);
    }
    return NULL;
}

/* An index of a pixl that did not know of frames. */
static void test_open__an_older_index_is_made_anew(void)
{
    make_root();
    save_as("one", 1);
    archive_auto *a = NULL;
    REQUIRE_OK(open_it(&a), err);
    (void)refresh(a);
    archive_close(PIXL_STEAL(&a));
    glob_t found;
    char pattern[600];
    (void)snprintf(pattern, sizeof pattern, "%s/state/archive-*.db", test_dir());
    REQUIRE(glob(pattern, 0, NULL, &found) == 0 && found.gl_pathc == 1);
    sqlite_db_auto *db = NULL;
    REQUIRE_OK(sqlite_db_open(found.gl_pathv[0], 1000, &db, &err), err);
    REQUIRE_OK(sqlite_db_exec(db, "UPDATE files SET kind = 0, study_uid = ''; PRAGMA user_version = 2", &err), err);
    sqlite_db_close(PIXL_STEAL(&db));
    globfree(&found);
    REQUIRE_OK(open_it(&a), err);
    CHECK_INT(refresh(a).read, 1);
    CHECK_INT(count_instances(a, STUDY), 1);
}

static void test_archive__many_threads_at_once(void)
{
    make_root();
    char name[32];
    for (int i = 0; i < 20; i++) {
        (void)snprintf(name, sizeof name, "%d", i);
        save_as(name, i);
    }
    archive_auto *a = NULL;
    REQUIRE_OK(open_it(&a), err);
    (void)refresh(a);
    struct shared s = { .a = a };
    pthread_t t[4];
    for (size_t i = 0; i < ARRAY_LEN(t); i++)
        REQUIRE(pthread_create(&t[i], NULL, use_it, &s) == 0);
    for (size_t i = 0; i < ARRAY_LEN(t); i++)
        (void)pthread_join(t[i], NULL);
    CHECK_INT(atomic_load(&s.failures), 0);
}

int main(int argc, char **argv)
{
    static const struct test_case tests[] = {
        TEST(test_open__url_is_checked),
        TEST(test_open__index_is_private_and_named_by_the_root),
        TEST(test_open__a_spoilt_index_is_made_anew),
        TEST(test_open__an_older_index_is_made_anew),
        TEST(test_refresh__finds_odd_names_at_any_depth),
        TEST(test_refresh__follows_no_links),
        TEST(test_refresh__reads_only_what_changed),
        TEST(test_refresh__goes_on_past_what_it_may_not_read),
        TEST(test_refresh__empty_root_looks_unmounted),
        TEST(test_refresh__can_be_cancelled_and_goes_on_from_there),
        TEST(test_refresh__damaged_files_stay_in_their_study),
        TEST(test_find__by_uid_then_by_mrn_and_accession),
        TEST(test_list__tells_uids_and_size_and_lists_twins),
        TEST(test_list__tells_frames),
        TEST(test_open_instance__sees_what_changed_since),
        TEST(test_open_instance__dropped_from_the_index_is_not_found),
        TEST(test_archive__many_threads_at_once),
    };
    return test_main(argc, argv, tests, ARRAY_LEN(tests));
}
