#include "store/store.h"

#include "store_helper.h"

/* One report in a load of its own; text NULL: none. */
static enum store_report_put put_in(struct store *s, const char *time, int64_t procedure, const char *text, bool dry)
{
    struct pixl_error err = { 0 };
    struct store_report_load *l = NULL;
    enum store_report_put what = STORE_REPORT_TWICE;
    bool got = false, is_withheld = text != NULL && strcmp(text, "WITHHELD") == 0;
    const struct store_report r = { .procedure_occurrence_id = procedure,
                                    .text = str_of(is_withheld ? NULL : text),
                                    .is_withheld = is_withheld };
    REQUIRE_OK(store_reports_begin(s, dry, &l, &err), err);
    CHECK_OK(store_reports_enter(l, STR("p"), str_of(time), &got, &err), err);
    if (got)
        CHECK_OK(store_reports_put(l, &r, T0, &what, &err), err);
    REQUIRE_OK(store_reports_end(l, &err), err);
    REQUIRE(got);
    return what;
}

static enum store_report_put put(struct store *s, int64_t procedure, const char *text)
{
    return put_in(s, TIME_1, procedure, text, false);
}

static bool skip_outcome(void *ctx, const struct store_outcome *o)
{
    (void)ctx;
    (void)o;
    return true;
}

/* "procedure:text>uid,uid " */
static bool add_report(void *ctx, const struct store_report *r, const struct store_subject *of)
{
    struct buf *b = ctx;
    CHECK(!r->is_withheld || r->text.n == 0);
    bool ok = buf_addf(b, "%lld:%.*s>", (long long)r->procedure_occurrence_id,
                       STR_ARG(r->is_withheld ? STR("WITHHELD") : r->text));
    for (size_t i = 0; i < of->n_delivered; i++)
        ok = ok && buf_addf(b, "%s%.*s", i ? "," : "", STR_ARG(of->delivered[i]));
    return ok && buf_addf(b, " ");
}

static void check_reports(struct store *s, const char *time, const char *want)
{
    struct pixl_error err = { 0 };
    buf_auto b;
    buf_init(&b, 1 << 16);
    const struct store_extract_reader reader = { skip_outcome, add_report, &b };
    CHECK_OK(store_read_extract(s, STR("p"), str_of(time), &reader, &err), err);
    CHECK_STR(buf_str(&b), want);
}

static struct store_subject subject_of(struct store *s, const char *project, int64_t procedure)
{
    struct pixl_error err = { 0 };
    struct store_report_load *l = NULL;
    struct store_subject of = { .request = -1 };
    bool got;
    REQUIRE_OK(store_reports_begin(s, true, &l, &err), err);
    CHECK_OK(store_reports_enter(l, str_of(project), STR(TIME_1), &got, &err), err);
    if (got)
        CHECK_OK(store_reports_subject(l, procedure, test_arena(), &of, &err), err);
    REQUIRE_OK(store_reports_end(l, &err), err);
    return of;
}

static bool knows(const struct store_subject *of, enum store_needle_kind kind, const char *text)
{
    for (size_t i = 0; i < of->n_needles; i++)
        if (of->needles[i].kind == kind && str_eq(phi_reveal(of->needles[i].text), str_of(text)))
            return true;
    return false;
}

static void test_reports__are_put_replaced_and_taken_away(void)
{
    static const struct {
        int64_t procedure;
        const char *text;
        enum store_report_put what;
        const char *then;
    } rows[] = {
        { 1, "one", STORE_REPORT_NEW, "1:one> " },
        { 2, "two", STORE_REPORT_NEW, "1:one> 2:two> " },
        { 1, "one", STORE_REPORT_SAME, "1:one> 2:two> " },
        { 1, "other", STORE_REPORT_REPLACED, "1:other> 2:two> " },
        { 2, "WITHHELD", STORE_REPORT_REPLACED, "1:other> 2:WITHHELD> " },
        { 2, "WITHHELD", STORE_REPORT_SAME, "1:other> 2:WITHHELD> " },
        { 2, "two", STORE_REPORT_REPLACED, "1:other> 2:two> " },
        { 1, NULL, STORE_REPORT_TAKEN_AWAY, "2:two> " },
        { 1, NULL, STORE_REPORT_NONE, "2:two> " },
        { 2, NULL, STORE_REPORT_TAKEN_AWAY, "" },
    };
    struct store *s = open_store();
    add(s, (struct ask){ .mrn = "1", .accession = "A", .procedure = 1 });
    add(s, (struct ask){ .mrn = "1", .accession = "B", .procedure = 2 });
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        test_row("%zu", i);
        CHECK_INT(put_in(s, TIME_1, rows[i].procedure, rows[i].text, true), rows[i].what);
        check_reports(s, TIME_1, i ? rows[i - 1].then : ""); /* a dry load tells, and changes nothing */
        CHECK_INT(put(s, rows[i].procedure, rows[i].text), rows[i].what);
        check_reports(s, TIME_1, rows[i].then);
    }
    store_close(s);
}

static void test_reports__one_load_puts_a_procedure_once(void)
{
    for (int dry = 0; dry < 2; dry++) {
        test_row("dry %d", dry);
        struct pixl_error err = { 0 };
        struct store *s = open_store();
        add(s, (struct ask){ .mrn = "1", .accession = "A", .procedure = 1 });
        add(s, (struct ask){ .mrn = "1", .accession = "A", .procedure = 1, .time = "2024-01-01" });
        for (int load = 0; load < 2; load++) {
            struct store_report_load *l = NULL;
            struct store_report r = { .procedure_occurrence_id = 1, .text = STR("text") };
            enum store_report_put what;
            bool got;
            REQUIRE_OK(store_reports_begin(s, dry, &l, &err), err);
            for (int row = 0; row < 3; row++) {
                CHECK_OK(store_reports_enter(l, STR("p"), row == 1 ? STR("2024-01-01") : STR(TIME_1), &got, &err), err);
                CHECK_OK(store_reports_put(l, &r, T0, &what, &err), err);
                CHECK_INT(what, row == 2 ? STORE_REPORT_TWICE : load && !dry ? STORE_REPORT_SAME : STORE_REPORT_NEW);
            }
            CHECK_OK(store_reports_enter(l, STR("p"), STR("2031-01-01"), &got, &err), err);
            CHECK(!got);
            CHECK_OK(store_reports_enter(l, STR("q"), STR(TIME_1), &got, &err), err);
            CHECK(!got);
            REQUIRE_OK(store_reports_end(l, &err), err);
        }
        check_reports(s, TIME_1, dry ? "" : "1:text> ");
        store_close(s);
    }
}

static void test_reports__of_two_extracts_do_not_meet(void)
{
    struct store *s = open_store();
    add(s, (struct ask){ .mrn = "1", .accession = "A", .procedure = 1 });
    add(s, (struct ask){ .mrn = "1", .accession = "A", .procedure = 1, .time = "2024-01-01T00:00:00" });
    put(s, 1, "first");
    put_in(s, "2024-01-01T00:00:00", 1, "second", false);
    check_reports(s, TIME_1, "1:first> ");
    check_reports(s, "2024-01-01T00:00:00", "1:second> ");
    check_reports(s, "2025-01-01T00:00:00", "");
    store_close(s);
}

static void test_reports__go_with_what_was_delivered(void)
{
    struct store *s = open_store();
    add(s, (struct ask){ .mrn = "1", .uid = "1.2", .series = "1.5", .procedure = 10 });
    put(s, 10, "a\nb");
    check_reports(s, TIME_1, "10:a\nb> ");
    bring(s, 1, STUDY_DELIVERING);
    check_reports(s, TIME_1, "10:a\nb> ");
    move_to(s, 1, STUDY_EXPORTED);
    check_reports(s, TIME_1, "10:a\nb>2.25.1 ");
    add(s, (struct ask){ .mrn = "1", .uid = "1.2", .series = "1.5", .procedure = 11 }); /* in time, and too late */
    CHECK_INT(add(s, (struct ask){ .mrn = "1", .uid = "1.2", .series = "1.6", .procedure = 12 }), STORE_TOO_LATE);
    put(s, 12, "late");
    put(s, 11, "other");
    check_reports(s, TIME_1, "10:a\nb>2.25.1 11:other>2.25.1 12:late> ");
    add(s, (struct ask){ .mrn = "1", .uid = "1.7", .procedure = 10 }); /* a second study of one procedure */
    bring(s, 2, STUDY_KEPT);
    check_reports(s, TIME_1, "10:a\nb>2.25.1,2.25.2 11:other>2.25.1 12:late> ");
    add(s, (struct ask){ .mrn = "1", .uid = "1.8", .procedure = 13 });
    put(s, 13, "of a study that is withheld");
    bring(s, 3, STUDY_WITHHELD);
    check_reports(s, TIME_1, "10:a\nb>2.25.1,2.25.2 11:other>2.25.1 12:late> 13:of a study that is withheld> ");
    store_close(s);
}

static void test_subject__is_all_that_is_known_of_a_procedure(void)
{
    struct pixl_error err = { 0 };
    struct store *s = open_store();
    add(s, (struct ask){ .mrn = "MRN1", .accession = "ACC1", .series = "1.5\\1.6", .procedure = 1 });
    add(s, (struct ask){ .mrn = "MRN1", .accession = "ACC2", .uid = "1.2.9", .procedure = 2 });
    add(s, (struct ask){ .project = "q", .mrn = "MRN3", .accession = "ACC3", .procedure = 3 });
    struct store_subject of = subject_of(s, "p", 1);
    CHECK_INT(of.request, 1);
    CHECK_INT(of.n_delivered, 0);
    CHECK(knows(&of, STORE_NEEDLE_MRN, "MRN1") && knows(&of, STORE_NEEDLE_ACCESSION, "ACC1"));
    CHECK(knows(&of, STORE_NEEDLE_UID, "1.5") && knows(&of, STORE_NEEDLE_UID, "1.6"));
    CHECK(!knows(&of, STORE_NEEDLE_ACCESSION, "ACC2") && !knows(&of, STORE_NEEDLE_UID, "1.2.9"));
    /* The archive finds the study of the second by the first one's numbers: they are one now. */
    struct store_image m = claim(s);
    struct phi_text uids[] = { phi_text(STR("1.2.9")), phi_text(STR("1.2.10")) };
    int64_t mine;
    CHECK_INT(m.id, 1);
    CHECK_OK(store_resolve(s, 1, m.fence, uids, 2, T0, &mine, &err), err);
    of = subject_of(s, "p", 1);
    CHECK(knows(&of, STORE_NEEDLE_ACCESSION, "ACC1") && knows(&of, STORE_NEEDLE_ACCESSION, "ACC2"));
    CHECK(knows(&of, STORE_NEEDLE_UID, "1.2.9") && knows(&of, STORE_NEEDLE_UID, "1.2.10"));
    for (size_t i = 0; i < of.n_needles; i++)
        CHECK(!phi_is_empty(of.needles[i].text) && !str_eq(phi_reveal(of.needles[i].text), STR("MRN3")));
    of = subject_of(s, "p", 2);
    CHECK_INT(of.request, 2);
    CHECK(knows(&of, STORE_NEEDLE_ACCESSION, "ACC1"));
    CHECK_INT(subject_of(s, "p", 3).request, 0); /* asked for by another project */
    CHECK_INT(subject_of(s, "p", 3).n_needles, 0);
    CHECK_INT(subject_of(s, "q", 3).request, 3);
    store_close(s);
}

static bool stop_at_first(void *ctx, const struct store_report *r, const struct store_subject *of)
{
    (void)r;
    (void)of;
    ++*(int *)ctx;
    return false;
}

static void test_read_extract__ends_when_its_caller_says_so(void)
{
    struct pixl_error err = { 0 };
    struct store *s = open_store();
    add(s, (struct ask){ .mrn = "1", .accession = "A", .procedure = 1 });
    add(s, (struct ask){ .mrn = "1", .accession = "A", .procedure = 2 });
    put(s, 1, "one");
    put(s, 2, "two");
    int n = 0;
    const struct store_extract_reader reader = { skip_outcome, stop_at_first, &n };
    CHECK_FAILS(store_read_extract(s, STR("p"), STR(TIME_1), &reader, &err), err, PIXL_E_CANCELLED);
    CHECK_INT(n, 1);
    put(s, 1, "the store goes on");
    check_reports(s, TIME_1, "1:the store goes on> 2:two> ");
    store_close(s);
}

struct meanwhile {
    struct store *other;
    struct buf b;
};

/* What another connection commits between the two parts is not seen. */
static bool commit_meanwhile(void *ctx, const struct store_outcome *o)
{
    struct meanwhile *m = ctx;
    CHECK_INT(o->state, STUDY_DELIVERING);
    move_to(m->other, 1, STUDY_EXPORTED);
    put(m->other, 1, "changed");
    return true;
}

static bool add_report_meanwhile(void *ctx, const struct store_report *r, const struct store_subject *of)
{
    struct meanwhile *m = ctx;
    return add_report(&m->b, r, of);
}

static void test_read_extract__is_of_one_moment(void)
{
    struct pixl_error err = { 0 };
    struct meanwhile m = { .other = open_store() };
    struct store *s = NULL;
    buf_init(&m.b, 1 << 16);
    add(m.other, (struct ask){ .mrn = "1", .accession = "A", .procedure = 1 });
    put(m.other, 1, "before");
    bring(m.other, 1, STUDY_DELIVERING);
    REQUIRE_OK(store_open(store_url(true), &s, &err), err);
    const struct store_extract_reader reader = { commit_meanwhile, add_report_meanwhile, &m };
    CHECK_OK(store_read_extract(s, STR("p"), STR(TIME_1), &reader, &err), err);
    CHECK_STR(buf_str(&m.b), "1:before> ");
    check_reports(s, TIME_1, "1:changed>2.25.1 ");
    buf_done(&m.b);
    store_close(s);
    store_close(m.other);
}

static void test_reports__many_go_in_by_several_transactions(void)
{
    enum { N = 12000 };
    struct pixl_error err = { 0 };
    struct store *s = open_store();
    struct store_populate *p = NULL;
    struct store_report_load *l = NULL;
    REQUIRE_OK(store_populate_begin(s, false, &p, &err), err);
    for (int i = 1; i <= N; i++) {
        struct ask a = { .mrn = "1", .accession = "A", .procedure = i };
        struct study_request r = request_of(&a);
        enum store_added what;
        REQUIRE_OK(store_populate_add(p, &r, T0, &what, NULL, &err), err);
    }
    REQUIRE_OK(store_populate_end(p, &err), err);
    bool got;
    REQUIRE_OK(store_reports_begin(s, false, &l, &err), err);
    REQUIRE_OK(store_reports_enter(l, STR("p"), STR(TIME_1), &got, &err), err);
    for (int i = 1; i <= N; i++) {
        const struct store_report r = { .procedure_occurrence_id = i, .text = STR("normal") };
        enum store_report_put what;
        REQUIRE_OK(store_reports_put(l, &r, T0, &what, &err), err);
        REQUIRE(what == STORE_REPORT_NEW);
    }
    REQUIRE_OK(store_reports_end(l, &err), err);
    int n = 0;
    const struct store_extract_reader reader = { skip_outcome, stop_at_first, &n };
    CHECK_FAILS(store_read_extract(s, STR("p"), STR(TIME_1), &reader, &err), err, PIXL_E_CANCELLED);
    CHECK_INT(n, 1);
    CHECK_INT(put(s, N, "normal"), STORE_REPORT_SAME);
    store_close(s);
}

int main(int argc, char **argv)
{
    static const struct test_case tests[] = {
        TEST(test_reports__are_put_replaced_and_taken_away),
        TEST(test_reports__one_load_puts_a_procedure_once),
        TEST(test_reports__of_two_extracts_do_not_meet),
        TEST(test_reports__go_with_what_was_delivered),
        TEST(test_subject__is_all_that_is_known_of_a_procedure),
        TEST(test_read_extract__ends_when_its_caller_says_so),
        TEST(test_read_extract__is_of_one_moment),
        TEST(test_reports__many_go_in_by_several_transactions),
    };
    return test_main(argc, argv, tests, ARRAY_LEN(tests));
}
