/* Reading what others put into Orthanc anon; what it answers that a real one does not. */
#include "upload/anon.h"

#include <unistd.h>

#include "anon_said.h"

static struct pixl_error err;

struct asked {
    struct anon *anon;
    struct arena arena;
    struct anon_study study;
    bool got;
};

static void asked_init(struct asked *a)
{
    *a = (struct asked){ 0 };
    anon_says_all();
    a->anon = anon_said_open();
    arena_init(&a->arena, 64u << 20);
}

static void asked_done(struct asked *a)
{
    anon_close(a->anon);
    arena_done(&a->arena);
}
#define asked_auto PIXL_CLEANUP(asked_done) struct asked

static bool find(struct asked *a, const char *id)
{
    arena_reset(&a->arena);
    return anon_find(a->anon, str_of(id), &a->arena, NULL, &a->got, &a->study, &err);
}

static void test_anon__lists_a_study_in_the_order_of_its_uids(void)
{
    asked_auto a;
    asked_init(&a);
    REQUIRE_OK(find(&a, "0a"), err);
    REQUIRE(a.got && a.study.n == 3);
    CHECK_STR(a.study.uid, "2.25.1");
    static const char *const want[][3] = { { "0f", "2.25.2", "2.25.21" },
                                           { "0d", "2.25.3", "2.25.31" },
                                           { "0e", "2.25.3", "2.25.32" } };
    for (size_t i = 0; i < ARRAY_LEN(want); i++) {
        CHECK_STR(str_of(a.study.instances[i].id), want[i][0]);
        CHECK_STR(a.study.instances[i].series_uid, want[i][1]);
        CHECK_STR(a.study.instances[i].sop_uid, want[i][2]);
    }
}

static void test_anon__what_is_no_id_or_not_there_is_not_got(void)
{
    static const char *const ids[] = {
        "0b",
        "",
        "../studies/0a",
        "0a/series",
        "0A",
        "0a?expand",
        "0a 0b",
        "%30a",
        "0a\n0",
        "0a0a0a0a-0a0a0a0a-0a0a0a0a-0a0a0a0a-0a0a0a0a-0a0a0a0a-0a0a0a0a-0a0a0a0a",
    };
    asked_auto a;
    asked_init(&a);
    for (size_t i = 0; i < ARRAY_LEN(ids); i++) {
        test_row("'%s'", ids[i]);
        CHECK_OK(find(&a, ids[i]), err);
        CHECK(!a.got);
    }
    orthanc_says("GET_studies_0a_series", 200, "[]"); /* deleted between two looks */
    CHECK_OK(find(&a, "0a"), err);
    CHECK(!a.got);
    orthanc_says("GET_studies_0a_series", 404, "{}");
    CHECK_OK(find(&a, "0a"), err);
    CHECK(!a.got);
}

static void test_anon__answers_that_are_none(void)
{
    static const struct {
        const char *call;
        int status;
        const char *body;
        enum pixl_code code;
    } rows[] = {
        { "GET_studies_0a", 401, "Patient Doe^Jane", PIXL_E_DENIED },
        { "GET_studies_0a", 500, "Patient Doe^Jane", PIXL_E_UNAVAILABLE },
        { "GET_studies_0a", 200, "<html>Doe^Jane", PIXL_E_UNAVAILABLE },
        { "GET_studies_0a", 200, "[]", PIXL_E_UNAVAILABLE },
        { "GET_studies_0a", 200, "{\"MainDicomTags\":{\"StudyInstanceUID\":\"Doe^Jane\"}}", PIXL_E_CORRUPT },
        { "GET_studies_0a_series", 503, "Patient Doe^Jane", PIXL_E_UNAVAILABLE },
        { "GET_studies_0a_series", 200, "[{}]", PIXL_E_UNAVAILABLE },
        { "GET_studies_0a_series", 200, "{}", PIXL_E_UNAVAILABLE },
        { "GET_studies_0a_series", 200, "[" ANON_SERIES("../Doe^Jane", "2.25.3") "]", PIXL_E_UNAVAILABLE },
        { "GET_studies_0a_series", 200, "[" ANON_SERIES("0b", "../Doe^Jane") "]", PIXL_E_CORRUPT },
        { "GET_series_0b_instances", 200, "[" ANON_INSTANCE("0d", "") "]", PIXL_E_CORRUPT },
        { "GET_series_0b_instances", 200, "[" ANON_INSTANCE("", "2.25.31") "]", PIXL_E_UNAVAILABLE },
        { "GET_series_0b_instances", 200, "[", PIXL_E_UNAVAILABLE },
        { "GET_series_0b_instances", 200, "{\"Error\":\"Doe^Jane\"}", PIXL_E_UNAVAILABLE },
        { "GET_series_0b_instances", 200, "null", PIXL_E_UNAVAILABLE },
        { "GET_series_0b_instances", 404, "{}", PIXL_E_UNAVAILABLE },
        { "GET_series_0b_instances", 403, "Patient Doe^Jane", PIXL_E_DENIED },
    };
    asked_auto a;
    asked_init(&a);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        test_row("%s: %d %s", rows[i].call, rows[i].status, rows[i].body);
        anon_says_all();
        orthanc_says(rows[i].call, rows[i].status, rows[i].body);
        CHECK(!find(&a, "0a"));
        CHECK_INT(err.code, rows[i].code);
        CHECK(strstr(err.msg, "Doe") == NULL && strstr(err.msg, "0a") == NULL);
        pixl_error_clear(&err);
    }
}

static bool fetch(struct asked *a, const char *id, int fd, uint64_t max, const atomic_bool *cancel)
{
    return anon_fetch(a->anon, id, fd, max, clock_mono_us() + 5000000, cancel, &a->got, &err);
}

static void test_anon__an_instance_goes_into_a_file(void)
{
    asked_auto a;
    asked_init(&a);
    char back[6] = "";
    int fd;
    REQUIRE_OK(fs_open_nameless(test_path("tmp"), &fd, &err), err);
    REQUIRE_OK(fetch(&a, "0d", fd, 5, NULL), err);
    CHECK(a.got && lseek(fd, 0, SEEK_END) == 5);
    REQUIRE_OK(fs_pread_all(fd, back, 5, 0, &err), err);
    CHECK_STR(str_of(back), "DICOM");
    CHECK_FAILS(fetch(&a, "0d", fd, 4, NULL), err, PIXL_E_LIMIT);
    CHECK_OK(fetch(&a, "0e", fd, 100, NULL), err);
    CHECK(!a.got);
    CHECK_FAILS(fetch(&a, "0f", fd, 100, NULL), err, PIXL_E_UNAVAILABLE);
    (void)close(fd);
}

static bool knows(const void *but, struct str sop_uid)
{
    return !str_eq(sop_uid, str_of(but));
}

/* Orthanc refuses to delete: forgetting fails exactly when it tries to. */
static void test_anon__forgets_a_study_of_which_it_knows_all(void)
{
    static const struct {
        const char *name, *but, *found;
        bool deletes;
    } rows[] = {
        { "all", "2.25.99", "[{\"Type\":\"Study\",\"ID\":\"0a\"}]", true },
        { "one came since", "2.25.31", "[{\"Type\":\"Study\",\"ID\":\"0a\"}]", false },
        { "one came since, in another series", "2.25.21", "[{\"Type\":\"Study\",\"ID\":\"0a\"}]", false },
        { "another study of that UID", "2.25.31",
          "[{\"Type\":\"Study\",\"ID\":\"0a\"},{\"Type\":\"Study\",\"ID\":\"0c\"}]", true },
        { "no study", "2.25.99", "[{\"Type\":\"Instance\",\"ID\":\"0a\"}]", false },
        { "not there", "2.25.99", "[]", false },
    };
    asked_auto a;
    asked_init(&a);
    orthanc_says("GET_studies_0c", 200, "{\"ID\":\"0c\",\"MainDicomTags\":{\"StudyInstanceUID\":\"2.25.1\"}}");
    orthanc_says("GET_studies_0c_series", 200, "[" ANON_SERIES("0c", "2.25.2") "]");
    orthanc_says("DELETE_studies_0a", 500, "");
    orthanc_says("DELETE_studies_0c", 500, "");
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        test_row("%s", rows[i].name);
        orthanc_says("POST_tools_lookup", 200, rows[i].found);
        const bool ok = anon_forget(a.anon, "2.25.1", knows, rows[i].but, clock_mono_us() + 5000000, &err);
        CHECK(ok == !rows[i].deletes);
        CHECK_INT(err.code, rows[i].deletes ? PIXL_E_UNAVAILABLE : PIXL_OK);
        pixl_error_clear(&err);
    }
}

/* An Orthanc that never answers is not waited for. */
static void test_anon__gives_up_when_told_to(void)
{
    static const atomic_bool cancelled = true;
    char url[64];
    asked_auto a;
    asked_init(&a);
    anon_close(a.anon);
    (void)snprintf(url, sizeof url, "http://127.0.0.1:%d/never", http_peer.port);
    const struct settings settings = { .anon_url = url };
    REQUIRE_OK(anon_open(&settings, &a.anon, &err), err);
    CHECK_FAILS(anon_find(a.anon, STR("0a"), &a.arena, &cancelled, &a.got, &a.study, &err), err, PIXL_E_CANCELLED);
    CHECK_FAILS(fetch(&a, "0d", -1, 100, &cancelled), err, PIXL_E_CANCELLED);
}

int main(int argc, char **argv)
{
    static const struct test_case tests[] = {
        TEST(test_anon__lists_a_study_in_the_order_of_its_uids),
        TEST(test_anon__what_is_no_id_or_not_there_is_not_got),
        TEST(test_anon__answers_that_are_none),
        TEST(test_anon__an_instance_goes_into_a_file),
        TEST(test_anon__forgets_a_study_of_which_it_knows_all),
        TEST(test_anon__gives_up_when_told_to),
    };
    http_peer_start();
    int rc = test_main(argc, argv, tests, ARRAY_LEN(tests));
    http_peer_stop();
    return rc;
}
