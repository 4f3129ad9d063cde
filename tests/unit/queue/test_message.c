/* Every folder of tests/cases/queue: `body`, a message, and in `expected` what comes of it: the same in our form, and
 * whether a body of its own form would be written byte for byte as it was; or an error.  PIXL_WRITE_EXPECTED=1 writes
 * the files anew, to be read before they are committed. */
#include "queue/message.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>

#include "base/fs.h"
#include "test.h"

static struct pixl_error err;

static bool decode(struct str body, struct arena *a, struct study_request *out, struct pixl_error *e)
{
    return message_decode(phi_text(body), &MESSAGE_LIMITS_DEFAULT, a, out, e);
}

static void encode(const struct study_request *r, enum message_form form, struct buf *out)
{
    buf_clear(out);
    REQUIRE_OK(message_encode(r, form, out, &err), err);
}

/* --- cases ------------------------------------------------------------------------------------------------------ */

static void describe(struct str body, struct buf *got)
{
    struct arena a;
    struct study_request r = { .priority = 99 };
    struct pixl_error e = { 0 };
    buf_auto text;
    buf_init(&text, 1 << 20);
    arena_init(&a, 1 << 20);
    if (!decode(body, &a, &r, &e)) {
        CHECK_INT(r.priority, 99);
        CHECK(strstr(e.msg, "CANARY") == NULL && strstr(e.msg, "98765") == NULL && strstr(e.msg, "London") == NULL);
        (void)buf_addf(got, "%s: %s\n", pixl_code_name(e.code), e.msg);
        arena_done(&a);
        return;
    }
    encode(&r, MESSAGE_JSON, &text);
    (void)buf_addf(got, "%s\n", buf_cstr(&text));
    bool is_pickled = memmem(body.p, body.n, "py/object", 9) != NULL;
    encode(&r, is_pickled ? MESSAGE_JSONPICKLE : MESSAGE_JSON, &text);
    (void)buf_addf(got, "%s\n", str_eq(buf_str(&text), body) ? "written the same" : "written otherwise");
    arena_done(&a);
}

static void check_case(const char *dir)
{
    struct arena a;
    struct str body = { 0 }, want = { 0 };
    char path[1200];
    buf_auto got;
    arena_init(&a, 1 << 20);
    buf_init(&got, 1 << 20);
    (void)snprintf(path, sizeof path, "%s/body", dir);
    REQUIRE_OK(fs_read_whole(&a, path, 1 << 19, &body, &err), err);
    describe(body, &got);
    (void)snprintf(path, sizeof path, "%s/expected", dir);
    if (getenv("PIXL_WRITE_EXPECTED"))
        REQUIRE_OK(fs_write_whole(path, buf_str(&got), 0644, &err), err);
    REQUIRE_OK(fs_read_whole(&a, path, 1 << 19, &want, &err), err);
    CHECK_STR(buf_str(&got), want.p);
    arena_done(&a);
}

static void test_message__cases(void)
{
    const char *root = PIXL_SOURCE_DIR "/tests/cases/queue";
    struct dirent **names = NULL;
    int n = scandir(root, &names, NULL, alphasort), seen = 0;
    for (int i = 0; i < n; i++) {
        if (names[i]->d_name[0] != '.') {
            char dir[1024];
            (void)snprintf(dir, sizeof dir, "%s/%s", root, names[i]->d_name);
            test_row("%s", names[i]->d_name);
            check_case(dir);
            seen++;
        }
        free(names[i]);
    }
    free(names);
    CHECK(seen >= 100);
}

/* --- there and back ---------------------------------------------------------------------------------------------- */

static const struct study_request usual = {
    .project = { "lung-study", 10 },
    .mrn = { { "MRN 1", 5 } },
    .accession_number = { { "A", 1 } },
    .study_uid = { { "1.2.3", 5 } },
    .series_uids = { { "1.2.3\\1.2.4", 11 } },
    .study_date = 20200523,
    .procedure_occurrence_id = 4,
    .extract_time = { "2023-12-07T14:08:58", 19 },
    .priority = 1,
};

static void check_same(const struct study_request *a, const struct study_request *b)
{
    CHECK(str_eq(a->project, b->project));
    CHECK(phi_eq(a->mrn, b->mrn) && phi_eq(a->accession_number, b->accession_number));
    CHECK(phi_eq(a->study_uid, b->study_uid) && phi_eq(a->series_uids, b->series_uids));
    CHECK_INT(a->study_date, b->study_date);
    CHECK_INT(a->procedure_occurrence_id, b->procedure_occurrence_id);
    CHECK(str_eq(a->extract_time, b->extract_time));
}

static void there_and_back(const struct study_request *r)
{
    static const enum message_form forms[] = { MESSAGE_JSON, MESSAGE_JSONPICKLE };
    buf_auto text;
    struct arena a;
    buf_init(&text, 1 << 20);
    arena_init(&a, 1 << 20);
    for (size_t i = 0; i < ARRAY_LEN(forms); i++) {
        struct study_request back = { 0 };
        encode(r, forms[i], &text);
        for (size_t k = 0; k < text.n; k++)
            CHECK(text.p[k] >= 0x20 && text.p[k] < 0x7F);
        REQUIRE_OK(decode(buf_str(&text), &a, &back, &err), err);
        check_same(&back, r);
        CHECK_INT(back.priority, 1);
        CHECK_INT(back.participant_id.n, 0);
    }
    arena_done(&a);
}

static void test_message__requests_go_there_and_back(void)
{
    static const char *const times[] = {
        "2023-12-07T14:08:58",          "0001-01-01T00:00:00",       "9999-12-31T23:59:59.999999",
        "2024-02-29T12:00:00.000001",   "2023-01-01T00:01:00+00:00", "2024-06-30T23:59:59.123456+01:00",
        "2024-06-30T00:00:00-05:30",    "2024-06-30T00:00:00+23:59", "2024-06-30T00:00:00-23:59:59",
        "2024-06-30T00:00:00-00:00:01",
    };
    static const char *const mrns[] = {
        "1", "\"\\/", "M\"R\u00c9N", "\u4e2d\u6587", "\U0001F600\U0010FFFF", "\u07ff\u0800\uffff", "</script>", "~",
    };
    static const int64_t procedures[] = { 0, -1, INT64_MAX, INT64_MIN };
    static const int32_t dates[] = { 0, 10101, 99991231, 20240229 };
    for (size_t i = 0; i < ARRAY_LEN(times); i++) {
        test_row("%s", times[i]);
        struct study_request r = usual;
        r.extract_time = str_of(times[i]);
        there_and_back(&r);
    }
    for (size_t i = 0; i < ARRAY_LEN(mrns); i++) {
        test_row("mrn %zu", i);
        struct study_request r = usual;
        r.mrn = phi_text(str_of(mrns[i]));
        there_and_back(&r);
    }
    for (size_t i = 0; i < ARRAY_LEN(procedures); i++) {
        test_row("numbers %zu", i);
        struct study_request r = usual;
        r.procedure_occurrence_id = procedures[i];
        r.study_date = dates[i];
        r.study_uid = i % 2 ? phi_text((struct str){ 0 }) : r.study_uid;
        r.accession_number = i % 2 ? r.accession_number : phi_text((struct str){ 0 });
        r.series_uids = phi_text((struct str){ 0 });
        there_and_back(&r);
    }
}

/* What people write as times comes out as one text, so that one extract has one time. */
static void test_encode__times_are_written_in_one_way(void)
{
    static const struct {
        const char *in, *want;
    } rows[] = {
        { "2023-12-07T14:08:58Z", "2023-12-07T14:08:58+00:00" },
        { "2023-12-07 14:08", "2023-12-07T14:08:00" },
        { "2023-12-07", "2023-12-07T00:00:00" },
        { "2023-12-07T14:08:58.5+0100", "2023-12-07T14:08:58.500000+01:00" },
    };
    struct arena a;
    arena_init(&a, 1 << 20);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct study_request r = usual, back = { 0 };
        buf_auto text;
        buf_init(&text, 1 << 16);
        r.extract_time = str_of(rows[i].in);
        encode(&r, i % 2 ? MESSAGE_JSON : MESSAGE_JSONPICKLE, &text);
        REQUIRE_OK(decode(buf_str(&text), &a, &back, &err), err);
        CHECK_STR(back.extract_time, rows[i].want);
    }
    arena_done(&a);
}

/* --- refusals ---------------------------------------------------------------------------------------------------- */

static void test_encode__refuses_what_is_no_request_and_leaves_the_buffer(void)
{
    struct study_request rows[6];
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        rows[i] = usual;
    rows[0].mrn = phi_text((struct str){ 0 });
    rows[1].study_date = 20200230;
    rows[2].study_date = -20200523;
    rows[3].extract_time = STR("CANARY");
    rows[4].extract_time = (struct str){ 0 };
    rows[5].project = STR("Not A Slug");
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        buf_auto text;
        buf_init(&text, 1 << 16);
        REQUIRE(buf_add_cstr(&text, "before"));
        test_row("%zu", i);
        bool ok = message_encode(&rows[i], MESSAGE_JSONPICKLE, &text, &err);
        CHECK(strstr(err.msg, "message: ") == err.msg && strstr(err.msg, "CANARY") == NULL);
        CHECK_FAILS(ok, err, PIXL_E_INVALID);
        CHECK_STR(buf_str(&text), "before");
    }
}

static void test_encode__a_ceiling_leaves_the_buffer(void)
{
    buf_auto text;
    size_t max;
    for (max = 6;; max++) {
        buf_init(&text, max);
        REQUIRE(buf_add_cstr(&text, "before"));
        if (message_encode(&usual, MESSAGE_JSONPICKLE, &text, &err))
            break;
        CHECK_INT(err.code, PIXL_E_NOMEM);
        CHECK_STR(buf_str(&text), "before");
        CHECK(!text.failed && strlen(buf_cstr(&text)) == 6);
        pixl_error_clear(&err);
        buf_done(&text);
        REQUIRE(max < 1000);
    }
    CHECK_INT(text.n, max);
}

static void test_decode__limits_are_the_callers(void)
{
    struct arena a;
    struct study_request r = { .priority = 99 };
    buf_auto text;
    buf_init(&text, 1 << 20);
    arena_init(&a, 1 << 20);
    struct study_request with_zone = usual;
    with_zone.extract_time = STR("2023-12-07T14:08:58+01:00");
    encode(&with_zone, MESSAGE_JSONPICKLE, &text);
    const struct phi_text body = phi_text(buf_str(&text));
    struct message_limits l = { text.n, 12 };
    CHECK_OK(message_decode(body, &l, &a, &r, &err), err);
    r.priority = 99;
    l.max_depth = 11;
    CHECK_FAILS(message_decode(body, &l, &a, &r, &err), err, PIXL_E_LIMIT);
    l = (struct message_limits){ text.n - 1, 12 };
    CHECK_FAILS(message_decode(body, &l, &a, &r, &err), err, PIXL_E_LIMIT);
    CHECK_INT(r.priority, 99);
    buf_clear(&text);
    for (size_t i = 0; i < 70000; i++)
        (void)buf_add_char(&text, '[');
    CHECK_FAILS(decode(buf_str(&text), &a, &r, &err), err, PIXL_E_LIMIT);
    text.n = 60000;
    CHECK_FAILS(decode(buf_str(&text), &a, &r, &err), err, PIXL_E_LIMIT);
    CHECK_FAILS(decode((struct str){ 0 }, &a, &r, &err), err, PIXL_E_CORRUPT);
    arena_done(&a);

    arena_init(&a, 64);
    encode(&usual, MESSAGE_JSON, &text);
    CHECK_FAILS(decode(buf_str(&text), &a, &r, &err), err, PIXL_E_NOMEM);
    arena_done(&a);
}

/* Every body cut short, and with each byte replaced, is read or refused, and a refusal tells nothing of it. */
static void test_decode__damage_is_refused_or_read(void)
{
    struct arena a;
    buf_auto text;
    size_t read = 0, refused = 0;
    buf_init(&text, 1 << 20);
    struct study_request r = usual;
    r.mrn = phi_text(STR("CANARY"));
    r.extract_time = STR("2023-12-07T14:08:58-01:00");
    encode(&r, MESSAGE_JSONPICKLE, &text);
    arena_init(&a, 1 << 20);
    for (size_t i = 0; i < text.n; i++) {
        struct study_request got;
        CHECK(!decode((struct str){ text.p, i }, &a, &got, &err));
        pixl_error_clear(&err);
        static const char bytes[] = "\"{}[],:0x\\\x80\xff";
        const char was = text.p[i];
        for (size_t k = 0; k < sizeof bytes; k++) {
            text.p[i] = bytes[k];
            bool ok = decode(buf_str(&text), &a, &got, &err);
            CHECK(ok || strstr(err.msg, "CANAR") == NULL);
            read += ok;
            refused += !ok;
            pixl_error_clear(&err);
            arena_reset(&a);
        }
        text.p[i] = was;
    }
    CHECK(read > 100 && refused > 1000);
    arena_done(&a);
}

int main(int argc, char **argv)
{
    static const struct test_case tests[] = {
        TEST(test_message__cases),
        TEST(test_message__requests_go_there_and_back),
        TEST(test_encode__times_are_written_in_one_way),
        TEST(test_encode__refuses_what_is_no_request_and_leaves_the_buffer),
        TEST(test_encode__a_ceiling_leaves_the_buffer),
        TEST(test_decode__limits_are_the_callers),
        TEST(test_decode__damage_is_refused_or_read),
    };
    return test_main(argc, argv, tests, ARRAY_LEN(tests));
}
