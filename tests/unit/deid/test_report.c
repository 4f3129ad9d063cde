#include "deid/report.h"

#include <stdlib.h>

#include "deid_rig.h"

static const struct project_tag_rule rules[] = {
    RULE(0x0008, 0x0005, KEEP),        RULE(0x0008, 0x0016, KEEP),        RULE(0x0008, 0x0018, REPLACE_UID),
    RULE(0x0008, 0x0050, EMPTY),       RULE(0x0008, 0x0060, KEEP),        RULE(0x0008, 0x0080, DELETE),
    RULE(0x0008, 0x1110, KEEP),        RULE(0x0008, 0x1140, KEEP),        RULE(0x0008, 0x1150, KEEP),
    RULE(0x0008, 0x1155, REPLACE_UID), RULE(0x0010, 0x0010, REPLACE),     RULE(0x0010, 0x0020, SECURE_HASH),
    RULE(0x0010, 0x0040, KEEP),        RULE(0x0019, 0x1001, KEEP),        RULE_OF("ACME RULED", 0x0021, 0x02, DELETE),
    RULE(0x0020, 0x000D, REPLACE_UID), RULE(0x0020, 0x000E, REPLACE_UID), RULE(0x7FE0, 0x0010, KEEP),
};

static void reference(struct dcm *d)
{
    dcm_item_begin(d, false);
    dcm_text(d, 0x00081150, DICOM_VR_UI, DCM_CT_IMAGE_STORAGE);
    dcm_text(d, 0x00081155, DICOM_VR_UI, "1.2.3.4.55");
    dcm_item_end(d);
}

/* Something of everything that can be done. */
static void instance(struct dcm *d, const char *patient_name)
{
    dcm_begin(d, true);
    dcm_u32(d, 0x00080000, 99);
    dcm_text(d, DICOM_SOP_CLASS_UID, DICOM_VR_UI, DCM_CT_IMAGE_STORAGE);
    dcm_text(d, DICOM_SOP_INSTANCE_UID, DICOM_VR_UI, RIG_SOP);
    dcm_text(d, DICOM_ACCESSION_NUMBER, DICOM_VR_SH, "ACC-99-1");
    dcm_text(d, DICOM_MODALITY, DICOM_VR_CS, "CT");
    dcm_text(d, DICOM_MANUFACTURER, DICOM_VR_LO, "ACME");
    dcm_text(d, 0x00080080, DICOM_VR_LO, "A Hospital");
    dcm_seq_begin(d, 0x00081110, false); /* kept, and all in it: unchanged */
    dcm_item_begin(d, false);
    dcm_text(d, 0x00081150, DICOM_VR_UI, DCM_CT_IMAGE_STORAGE);
    dcm_item_end(d);
    dcm_seq_end(d);
    dcm_seq_begin(d, 0x00081115, true); /* no rule: gone with all in it */
    reference(d);
    reference(d);
    dcm_seq_end(d);
    dcm_seq_begin(d, 0x00081140, true);
    reference(d);
    reference(d);
    reference(d);
    dcm_seq_end(d);
    dcm_text(d, DICOM_PATIENT_NAME, DICOM_VR_PN, patient_name);
    dcm_text(d, DICOM_PATIENT_ID, DICOM_VR_LO, RIG_MRN);
    dcm_text(d, 0x00100040, DICOM_VR_CS, "F");
    dcm_text(d, 0x00100040, DICOM_VR_CS, "M");
    dcm_text(d, DICOM_PATIENT_IDENTITY_REMOVED, DICOM_VR_CS, "NO");
    dcm_text(d, 0x00190010, DICOM_VR_LO, "ACME KEPT");
    dcm_text(d, 0x00191001, DICOM_VR_LO, "words");
    dcm_text(d, 0x00191002, DICOM_VR_LO, "more words");
    dcm_text(d, 0x00191102, DICOM_VR_LO, "without a creator");
    rig_uids(d);
    dcm_text(d, 0x00210010, DICOM_VR_LO, "Zimmermann");
    dcm_text(d, 0x00210011, DICOM_VR_LO, "ACME RULED");
    dcm_text(d, 0x00211001, DICOM_VR_LO, "words");
    dcm_text(d, 0x00211102, DICOM_VR_LO, "words");
    dcm_pixels_native(d, 64);
}

static const struct expected {
    const char *tag, *creator;
    enum report_action action;
    uint64_t n;
} expected[] = {
    { "(0002,0002)", "", REPORT_META, 1 },
    { "(0008,0000)", "", REPORT_GROUP_LENGTH, 1 },
    { "(0008,0016)", "", REPORT_KEPT, 1 },
    { "(0008,0018)", "", REPORT_UID_MAPPED, 1 },
    { "(0008,0050)", "", REPORT_EMPTIED, 1 },
    { "(0008,0060)", "", REPORT_KEPT, 1 },
    { "(0008,0070)", "", REPORT_NO_RULE, 1 },
    { "(0008,0080)", "", REPORT_BY_RULE, 1 },
    { "(0008,0100)", "", REPORT_MARKER, 2 },
    { "(0008,0102)", "", REPORT_MARKER, 2 },
    { "(0008,0104)", "", REPORT_MARKER, 2 },
    { "(0008,1110)", "", REPORT_KEPT, 1 },
    { "(0008,1115)", "", REPORT_NO_RULE, 1 },
    { "(0008,1140)", "", REPORT_CHANGED, 1 },
    { "(0008,1150)", "", REPORT_KEPT, 4 },
    { "(0008,1150)", "", REPORT_WITH_SEQUENCE, 2 },
    { "(0008,1155)", "", REPORT_UID_MAPPED, 3 },
    { "(0008,1155)", "", REPORT_WITH_SEQUENCE, 2 },
    { "(0010,0010)", "", REPORT_REPLACED, 1 },
    { "(0010,0020)", "", REPORT_HASHED, 1 },
    { "(0010,0040)", "", REPORT_KEPT, 1 },
    { "(0010,0040)", "", REPORT_DUPLICATE, 1 },
    { "(0012,0062)", "", REPORT_OLD_MARKER, 1 },
    { "(0012,0062)", "", REPORT_MARKER, 1 },
    { "(0012,0063)", "", REPORT_MARKER, 1 },
    { "(0012,0064)", "", REPORT_MARKER, 1 },
    { "(0019,00xx)", "ACME KEPT", REPORT_KEPT, 1 },
    { "(0019,xx01)", "ACME KEPT", REPORT_KEPT, 1 },
    { "(0019,xx02)", "ACME KEPT", REPORT_NO_RULE, 1 },
    { "(0019,1102)", "", REPORT_NO_CREATOR, 1 },
    { "(0020,000D)", "", REPORT_UID_MAPPED, 1 },
    { "(0020,000E)", "", REPORT_UID_MAPPED, 1 },
    { "(0021,00xx)", "", REPORT_NO_RULE, 1 }, /* what it says is nobody's business */
    { "(0021,xx01)", "", REPORT_NO_RULE, 1 },
    { "(0021,00xx)", "ACME RULED", REPORT_NO_RULE, 1 },
    { "(0021,xx02)", "ACME RULED", REPORT_BY_RULE, 1 },
    { "(0028,0303)", "", REPORT_MARKER, 1 },
    { "(7FE0,0010)", "", REPORT_KEPT, 1 },
};

static uint64_t number_of(struct report *r, const char *tag, const char *creator, enum report_action a)
{
    size_t n;
    uint64_t sum = 0;
    const struct report_row *rest, *rows = report_rows(r, &n, &rest);
    for (size_t i = 0; i < n; i++) {
        char text[REPORT_TAG_SIZE];
        report_tag_text(&rows[i], text);
        if (strcmp(text, tag) == 0 && str_eq((struct str){ rows[i].creator, rows[i].n_creator }, str_of(creator)))
            sum += rows[i].n[a];
    }
    return sum;
}

static void totals(struct report *r, uint64_t n[REPORT_ACTION_COUNT])
{
    size_t n_rows;
    const struct report_row *rest, *rows = report_rows(r, &n_rows, &rest);
    for (size_t a = 0; a < REPORT_ACTION_COUNT; a++) {
        n[a] = rest->n[a];
        for (size_t i = 0; i < n_rows; i++)
            n[a] += rows[i].n[a];
    }
}

static uint64_t sum(const uint64_t n[REPORT_ACTION_COUNT])
{
    uint64_t all = 0;
    for (size_t a = 0; a < REPORT_ACTION_COUNT; a++)
        all += n[a];
    return all;
}

static uint64_t elements(const struct dicom_file *f, uint32_t from)
{
    uint64_t n = 0;
    for (uint32_t i = from; i < f->n_elements; i++)
        n += (f->elements[i].flags & DICOM_IS_ITEM) == 0;
    return n;
}

static void start(struct rig *r, struct report **report)
{
    struct pixl_error err = { 0 };
    rig_init(r, rules, ARRAY_LEN(rules));
    REQUIRE_OK(report_new(report, &err), err);
    r->args.report = *report;
    rig_start(r);
}

/* k times the same instance, written and delivered. */
static void test_report__counts_are_exact(void)
{
    enum { TIMES = 3 };
    rig_auto r;
    PIXL_CLEANUP(report_freep) struct report *report = NULL;
    struct dcm d;
    uint64_t in = 0, out = 0, n[REPORT_ACTION_COUNT];
    instance(&d, "Zimmermann^Aloysia");
    start(&r, &report);
    for (int i = 0; i < TIMES; i++) {
        REQUIRE(rig_run(&r, dcm_str(&d)) == DEID_EMIT);
        report_written(report);
        in += elements(&r.in, 0);
        out += elements(&r.out, r.out.meta_end);
        REQUIRE(r.res.actions != NULL);
    }
    report_end_study(report, true);
    CHECK_INT(report_instances(report), TIMES);
    totals(report, n);
    for (size_t i = 0; i < ARRAY_LEN(expected); i++) {
        const struct expected *e = &expected[i];
        test_row("%s %s %s", e->tag, e->creator, report_action_name(e->action));
        CHECK_INT(number_of(report, e->tag, e->creator, e->action), e->n * TIMES);
    }
    test_row("sums");
    uint64_t listed = 0, gone = n[REPORT_META];
    for (size_t i = 0; i < ARRAY_LEN(expected); i++)
        listed += expected[i].n * TIMES;
    for (size_t a = 0; a < REPORT_ACTION_COUNT; a++)
        gone += report_action_removes((enum report_action)a) ? n[a] : 0;
    CHECK_INT(sum(n), listed + n[REPORT_META] - TIMES); /* every row is expected, but those of the meta */
    CHECK_INT(sum(n) - n[REPORT_MARKER], in);
    CHECK_INT(sum(n) - gone, out);
    const struct report_method *methods[REPORT_METHODS_MAX];
    CHECK_INT(report_methods(report, methods), 2); /* characteristics: the sex; private: the words */
    CHECK_STR(str_of(methods[0]->code), "113108");
    CHECK_STR(str_of(methods[1]->code), "113111");
    CHECK_INT(methods[1]->n, TIMES);
    dcm_done(&d);
}

static void test_report__actions_of_elements_are_told_in_their_order(void)
{
    rig_auto r;
    PIXL_CLEANUP(report_freep) struct report *report = NULL;
    struct dcm d;
    instance(&d, "Zimmermann^Aloysia");
    start(&r, &report);
    REQUIRE(rig_run(&r, dcm_str(&d)) == DEID_EMIT);
    for (uint32_t i = 0; i < r.in.n_elements; i++) {
        const uint32_t tag = r.in.elements[i].tag;
        if (tag == DICOM_PATIENT_NAME)
            CHECK_INT(r.res.actions[i], REPORT_REPLACED);
        if (tag == 0x00081115)
            for (uint32_t k = i + 1; k < r.in.elements[i].end; k++)
                CHECK(report_action_removes((enum report_action)r.res.actions[k]));
    }
    dcm_done(&d);
}

static void test_report__nobody_counts_unless_asked(void)
{
    rig_auto r;
    struct dcm d;
    instance(&d, "Zimmermann^Aloysia");
    rig_init(&r, rules, ARRAY_LEN(rules));
    rig_start(&r);
    REQUIRE(rig_run(&r, dcm_str(&d)) == DEID_EMIT);
    CHECK(r.res.actions == NULL);
    dcm_done(&d);
}

static void test_report__only_what_was_written_and_delivered_counts(void)
{
    rig_auto r;
    PIXL_CLEANUP(report_freep) struct report *report = NULL;
    struct dcm d, other, refused;
    uint64_t n[REPORT_ACTION_COUNT];
    instance(&d, "Zimmermann^Aloysia");
    instance(&other, "Zimmermann^Aloysia");
    dcm_text(&other, 0x7FE10010, DICOM_VR_LO, "SOMEBODY"); /* a row that d has not */
    rig_begin(&refused, true);
    rig_patient(&refused);
    start(&r, &report);
    REQUIRE(rig_run(&r, dcm_str(&other)) == DEID_EMIT); /* could not be written */
    REQUIRE(rig_run(&r, dcm_str(&d)) == DEID_EMIT);
    report_written(report);
    REQUIRE(rig_run(&r, dcm_str(&other)) == DEID_EMIT); /* written last, and not told so: the study ends */
    report_end_study(report, true);
    const uint64_t one = elements(&r.in, 0) - 1; /* other's, but for its last */

    REQUIRE(rig_run(&r, dcm_str(&other)) == DEID_EMIT); /* a study that is withheld */
    report_written(report);
    REQUIRE(rig_run(&r, dcm_str(&d)) == DEID_EMIT);
    report_written(report);
    report_end_study(report, false);

    REQUIRE(rig_run(&r, dcm_str(&d)) == DEID_EMIT); /* an instance is refused after one that was not written */
    REQUIRE(rig_run(&r, dcm_str(&refused)) != DEID_EMIT);
    report_end_study(report, true);
    CHECK_INT(report_instances(report), 1);
    totals(report, n);
    CHECK_INT(sum(n) - n[REPORT_MARKER], one);
    CHECK_INT(number_of(report, "(7FE1,00xx)", "", REPORT_NO_RULE), 0);
    const struct report_row *rest;
    size_t n_rows;
    const struct report_row *rows = report_rows(report, &n_rows, &rest);
    for (size_t i = 0; i < n_rows; i++) {
        test_row("row %zu", i);
        CHECK(sum(rows[i].n) > 0); /* none is left of what does not count */
        CHECK(i == 0 || rows[i].tag >= rows[i - 1].tag);
    }
    const struct report_method *methods[REPORT_METHODS_MAX];
    REQUIRE(report_methods(report, methods) > 0);
    CHECK_INT(methods[0]->n, 1);
    dcm_done(&d);
    dcm_done(&other);
    dcm_done(&refused);
}

static void many(struct dcm *d, uint32_t n)
{
    rig_begin(d, true);
    rig_patient(d);
    rig_uids(d);
    for (uint32_t i = 0; i < n; i++)
        dcm_text(d, 0x00290000u + (i / 0xE000 << 17) + 0x2000 + i % 0xE000, DICOM_VR_LO, "x");
    dcm_pixels_native(d, 64);
}

static void test_report__rows_are_bounded_and_sums_exact(void)
{
    enum { MANY = 100000 };
    rig_auto r;
    PIXL_CLEANUP(report_freep) struct report *report = NULL;
    struct dcm d, small;
    uint64_t n[REPORT_ACTION_COUNT];
    many(&d, MANY);
    many(&small, 5);
    start(&r, &report);
    REQUIRE(rig_run(&r, dcm_str(&d)) == DEID_EMIT);
    report_written(report);
    report_end_study(report, false); /* a withheld study takes no row from others */
    REQUIRE(rig_run(&r, dcm_str(&small)) == DEID_EMIT);
    report_written(report);
    report_end_study(report, true);
    for (int i = 0; i < 2; i++) {
        REQUIRE(rig_run(&r, dcm_str(&d)) == DEID_EMIT);
        report_written(report);
    }
    report_end_study(report, true);
    const struct report_row *rest;
    size_t n_rows;
    const struct report_row *rows = report_rows(report, &n_rows, &rest);
    uint64_t listed = 0;
    for (size_t i = 0; i < n_rows; i++)
        listed += rows[i].n[REPORT_NO_CREATOR];
    totals(report, n);
    CHECK_INT(n_rows, REPORT_ROWS_MAX);
    CHECK_INT(n[REPORT_NO_CREATOR], 5 + 2 * MANY);
    CHECK_INT(rest->n[REPORT_NO_CREATOR], 5 + 2 * MANY - listed);
    CHECK(rest->n[REPORT_NO_CREATOR] > MANY);
    CHECK_INT(number_of(report, "(0029,2000)", "", REPORT_NO_CREATOR), 3);
    dcm_done(&d);
    dcm_done(&small);
}

int main(int argc, char **argv)
{
    static const struct test_case tests[] = {
        TEST(test_report__counts_are_exact),
        TEST(test_report__actions_of_elements_are_told_in_their_order),
        TEST(test_report__nobody_counts_unless_asked),
        TEST(test_report__only_what_was_written_and_delivered_counts),
        TEST(test_report__rows_are_bounded_and_sums_exact),
    };
    return test_main(argc, argv, tests, ARRAY_LEN(tests));
}
