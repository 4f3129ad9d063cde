/* What the de-identifier writes is coded as what it read: byte order, headers, sequences within sequences. */
#include "deid_rig.h"

#define USUAL                                                                                     \
    RULE(0x0008, 0x0060, KEEP), RULE(0x0010, 0x0010, REPLACE), RULE(0x0010, 0x0020, SECURE_HASH), \
        RULE(0x0028, 0x0010, KEEP), RULE(0x0040, 0xA730, KEEP), RULE(0x0040, 0xA160, KEEP),       \
        RULE(0x0009, 0x1010, KEEP), RULE(0x7FE0, 0x0010, KEEP)
static const struct project_tag_rule rules[] = { USUAL };

static const char *const syntaxes[] = { DCM_IMPLICIT_LE, DCM_EXPLICIT_LE, DCM_EXPLICIT_BE, DCM_DEFLATED_LE };

static void add_item(struct dcm *d, bool is_undefined)
{
    dcm_item_begin(d, is_undefined);
    dcm_text(d, 0x00080060, DICOM_VR_CS, "MR");
    dcm_text(d, 0x00100010, DICOM_VR_PN, "Nobody^Else");
    dcm_text(d, 0x0040A160, DICOM_VR_UT, "kept text");
}

/* A private sequence written as UN around an ordinary one, and an ordinary one around that; bit n of undefined: the n-th
 * length from outside is. */
static void build(struct dcm *d, const char *syntax, unsigned undefined)
{
    rig_begin_syntax(d, syntax);
    dcm_text(d, 0x00090010, DICOM_VR_LO, "ACME 1.1");
    dcm_un_begin(d, 0x00091010, DICOM_VR_UN, true);
    add_item(d, undefined & 1);
    dcm_seq_begin(d, 0x0040A730, undefined & 2);
    add_item(d, undefined & 4);
    dcm_item_end(d);
    dcm_seq_end(d);
    dcm_item_end(d);
    dcm_un_end(d);
    rig_patient(d);
    rig_uids(d);
    dcm_u16(d, 0x00280010, 0x0102);
    dcm_seq_begin(d, 0x0040A730, undefined & 8);
    add_item(d, undefined & 16);
    dcm_item_end(d);
    dcm_seq_end(d);
    if (strcmp(syntax, DCM_JPEG_BASELINE) == 0)
        dcm_pixels_encapsulated(d, 2, 64);
    else
        dcm_pixels_native(d, 8);
    if (strcmp(syntax, DCM_DEFLATED_LE) == 0)
        dcm_deflate(d);
}

static void test_deid_codings__headers_and_lengths_are_those_of_the_syntax(void)
{
    for (size_t i = 0; i < ARRAY_LEN(syntaxes); i++)
        for (unsigned undefined = 0; undefined < 32; undefined++) {
            test_row("%s undefined %02x", syntaxes[i], undefined);
            rig_auto r;
            rig_init(&r, rules, ARRAY_LEN(rules));
            rig_start(&r);
            struct dcm d;
            build(&d, syntaxes[i], undefined);
            REQUIRE(rig_run(&r, dcm_str(&d)) == DEID_EMIT);
            CHECK_STR(str_of(r.out.syntax->uid), syntaxes[i]);
            CHECK_STR(TEXT(&r, 0x00080060), "CT");
            CHECK_INT(TEXT(&r, DICOM_PATIENT_ID).n, 64);
            CHECK_STR(TEXT(&r, 0x00091010, 0x00100010), "ANONYMIZED");
            CHECK_STR(TEXT(&r, 0x00091010, 0x0040A160), "kept text");
            CHECK_STR(TEXT(&r, 0x00091010, 0x0040A730, 0x00100010), "ANONYMIZED");
            CHECK_STR(TEXT(&r, 0x0040A730, 0x00100010), "ANONYMIZED");
            CHECK_STR(TEXT(&r, 0x0040A730, 0x0040A160), "kept text");
            CHECK_STR(TEXT(&r, DICOM_PATIENT_IDENTITY_REMOVED), "YES");
            CHECK_STR(VALUE(&r, 0x00280010), r.out.syntax->is_big_endian ? "\1\2" : "\2\1");
            CHECK_INT(VALUE(&r, DICOM_PIXEL_DATA).n, 8);
            int64_t was = dicom_find(&r.in, DICOM_NO_PARENT, 0x0040A730),
                    is = dicom_find(&r.out, DICOM_NO_PARENT, 0x0040A730);
            CHECK_INT(r.in.elements[was].flags, r.out.elements[is].flags);
            CHECK_INT(r.bytes.n % 2, 0);
            CHECK_INT(r.res.pixels_compressed, r.out.syntax->is_deflated);
            dcm_done(&d);
        }
}

/* A sequence written as a value of defined length is gone through like any other, and its length is the new one. */
static void test_deid_codings__hidden_sequences_go_by_the_rules(void)
{
    for (size_t i = 0; i < ARRAY_LEN(syntaxes); i++) {
        test_row("%s", syntaxes[i]);
        rig_auto r;
        rig_init(&r, rules, ARRAY_LEN(rules));
        rig_start(&r);
        struct dcm d;
        rig_begin_syntax(&d, syntaxes[i]);
        dcm_text(&d, 0x00090010, DICOM_VR_LO, "ACME 1.1");
        dcm_un_begin(&d, 0x00091010, DICOM_VR_UN, false);
        add_item(&d, false);
        dcm_text(&d, 0x00880904, DICOM_VR_LO, "dropped");
        dcm_item_end(&d);
        dcm_un_end(&d);
        rig_patient(&d);
        rig_uids(&d);
        dcm_un_begin(&d, 0x0040A730, DICOM_VR_UN, false);
        add_item(&d, true);
        dcm_item_end(&d);
        dcm_un_end(&d);
        if (i == 3)
            dcm_deflate(&d);
        REQUIRE(rig_run(&r, dcm_str(&d)) == DEID_EMIT);
        CHECK_STR(TEXT(&r, 0x00091010, 0x00080060), "MR");
        CHECK_STR(TEXT(&r, 0x00091010, 0x00100010), "ANONYMIZED");
        CHECK_STR(TEXT(&r, 0x00091010, 0x0040A160), "kept text");
        CHECK_STR(TEXT(&r, 0x0040A730, 0x00100010), "ANONYMIZED");
        CHECK(memmem(r.out.source.bytes, r.out.source.size_bytes, "Nobody", 6) == NULL);
        CHECK(memmem(r.out.source.bytes, r.out.source.size_bytes, "dropped", 7) == NULL);
        int64_t at = dicom_find(&r.out, DICOM_NO_PARENT, 0x00091010);
        CHECK((r.out.elements[at].flags & DICOM_IS_HIDDEN) != 0);
        dcm_done(&d);
    }
}

/* An element whose VR is none is judged by its tag, passes byte for byte when it is kept, and has a VR when it is not. */
static void test_deid_codings__strange_vrs(void)
{
    static const struct project_tag_rule strange[] = { USUAL, RULE(0x0008, 0x103E, KEEP), RULE(0x0018, 0x0015, KEEP),
                                                       RULE(0x0018, 0x1030, EMPTY) };
    rig_auto r;
    rig_init(&r, strange, ARRAY_LEN(strange));
    rig_start(&r);
    struct dcm d;
    rig_begin(&d, true);
    dcm_text(&d, DICOM_PATIENT_NAME, DICOM_VR_PN, "Zimmermann^Aloysia^Q");
    dcm_raw(&d, "\x10\0\x20\0lo\x0C\0MRN-4711-08 ", 20);
    dcm_raw(&d, "\x18\0\x15\0??\4\0HEAD", 12);
    dcm_raw(&d, "\x18\0\x30\x10UK\0\0\4\0\0\0head", 16);
    rig_uids(&d);
    REQUIRE(rig_run(&r, dcm_str(&d)) == DEID_EMIT);
    CHECK_INT(TEXT(&r, DICOM_PATIENT_ID).n, 64);
    CHECK_STR(TEXT(&r, 0x00180015), "HEAD");
    CHECK_STR(TEXT(&r, 0x00181030), "");
    CHECK(memmem(r.bytes.p, r.bytes.n, "\x18\0\x15\0??\4\0HEAD", 12) != NULL);
    CHECK(memmem(r.bytes.p, r.bytes.n, "\x18\0\x30\x10LO\0\0", 8) != NULL);
    dcm_done(&d);
    rig_begin(&d, true);
    dcm_raw(&d, "\x08\0\x3E\x10??\x0A\0Zimmermann", 18); /* searched by its tag's VR, whatever is written */
    rig_patient(&d);
    rig_uids(&d);
    CHECK(rig_run(&r, dcm_str(&d)) == DEID_RESIDUE);
    dcm_done(&d);
}

/* --- tags without order, and twice --- */

/* Writes the instance that every test has, elements from the last to the first. */
static void build_backwards(struct dcm *d, const char *syntax)
{
    dcm_begin_syntax(d, syntax, DCM_CT_IMAGE_STORAGE, RIG_SOP);
    dcm_pixels_native(d, 8);
    dcm_seq_begin(d, 0x0040A730, true);
    dcm_item_begin(d, false);
    dcm_text(d, 0x0040A160, DICOM_VR_UT, "kept text");
    dcm_text(d, 0x00080060, DICOM_VR_CS, "MR");
    dcm_text(d, 0x0040A160, DICOM_VR_UT, "another text, twice");
    dcm_item_end(d);
    dcm_seq_end(d);
    dcm_text(d, DICOM_SERIES_UID, DICOM_VR_UI, RIG_SERIES);
    dcm_text(d, DICOM_STUDY_UID, DICOM_VR_UI, RIG_STUDY);
    dcm_text(d, DICOM_PATIENT_ID, DICOM_VR_LO, RIG_MRN);
    dcm_text(d, DICOM_PATIENT_NAME, DICOM_VR_PN, "Zimmermann^Aloysia^Q");
    dcm_text(d, DICOM_MANUFACTURER, DICOM_VR_LO, "ACME");
    dcm_text(d, DICOM_MODALITY, DICOM_VR_CS, "CT");
    dcm_text(d, DICOM_SOP_INSTANCE_UID, DICOM_VR_UI, RIG_SOP);
    dcm_text(d, DICOM_SOP_CLASS_UID, DICOM_VR_UI, DCM_CT_IMAGE_STORAGE);
}

static void test_deid_codings__what_is_written_is_in_order(void)
{
    for (size_t i = 0; i < ARRAY_LEN(syntaxes); i++) {
        test_row("%s", syntaxes[i]);
        rig_auto r;
        rig_init(&r, rules, ARRAY_LEN(rules));
        rig_start(&r);
        struct dcm d;
        build_backwards(&d, syntaxes[i]);
        if (i == 3)
            dcm_deflate(&d);
        REQUIRE(rig_run(&r, dcm_str(&d)) == DEID_EMIT);
        uint64_t offset = 0;
        for (uint32_t k = 0; k < r.out.n_elements; k++) {
            CHECK((r.out.elements[k].flags & (DICOM_IS_DUPLICATE | DICOM_IS_UNORDERED)) == 0);
            CHECK(r.out.elements[k].offset >= offset);
            offset = r.out.elements[k].offset;
        }
        CHECK_STR(TEXT(&r, 0x0040A730, 0x0040A160), "kept text");
        CHECK_STR(TEXT(&r, 0x0040A730, 0x00080060), "MR");
        CHECK(memmem(r.out.source.bytes, r.out.source.size_bytes, "another", 7) == NULL);
        CHECK_INT(VALUE(&r, DICOM_PIXEL_DATA).n, 8);
        dcm_done(&d);
    }
}

static void test_deid_codings__a_second_identity_is_refused(void)
{
    static const struct {
        uint32_t tag;
        enum dicom_vr vr;
        const char *same, *other;
    } rows[] = {
        { DICOM_SOP_CLASS_UID, DICOM_VR_UI, DCM_CT_IMAGE_STORAGE, "1.2.840.10008.5.1.4.1.1.4" },
        { DICOM_SOP_INSTANCE_UID, DICOM_VR_UI, RIG_SOP, "1.2.826.0.1.9.1.1.2" },
        { DICOM_MODALITY, DICOM_VR_CS, "CT", "MR" },
        { DICOM_MANUFACTURER, DICOM_VR_LO, "ACME", "" },
        { DICOM_PATIENT_ID, DICOM_VR_LO, RIG_MRN " ", "MRN-4712-08" },
        { DICOM_STUDY_UID, DICOM_VR_UI, RIG_STUDY, RIG_SERIES },
        { DICOM_SERIES_UID, DICOM_VR_UI, RIG_SERIES, "1.2.3" },
        { DICOM_SPECIFIC_CHARACTER_SET, DICOM_VR_CS, "ISO_IR 100", "ISO_IR 144" },
        { DICOM_SERIES_DESCRIPTION, DICOM_VR_LO, "localizer", "axial" },
        { DICOM_SERIES_NUMBER, DICOM_VR_IS, "3", "4" },
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        for (int differs = 0; differs < 2; differs++) {
            char where[DEID_WHERE_SIZE];
            (void)snprintf(where, sizeof where, "(%04X,%04X)", DICOM_GROUP(rows[i].tag), DICOM_ELEMENT_OF(rows[i].tag));
            test_row("%s %s", where, differs ? "differs" : "is the same");
            rig_auto r;
            rig_init(&r, rules, ARRAY_LEN(rules));
            rig_start(&r);
            struct dcm d;
            rig_begin(&d, true);
            rig_patient(&d);
            rig_uids(&d);
            dcm_text(&d, rows[i].tag, rows[i].vr, rows[i].same);
            dcm_text(&d, rows[i].tag, rows[i].vr, differs ? rows[i].other : rows[i].same);
            CHECK_INT(rig_run(&r, dcm_str(&d)), differs ? DEID_REFUSED : DEID_EMIT);
            CHECK_INT(r.res.why, differs ? STUDY_WHY_UNSUPPORTED_VALUE : STUDY_WHY_NONE);
            CHECK_STR(str_of(r.res.where), differs ? where : "");
            dcm_done(&d);
        }
}

/* Pixels are not compared, and a sequence is no value to compare. */
static void test_deid_codings__a_second_image_is_refused(void)
{
    for (int is_sequence = 0; is_sequence < 2; is_sequence++) {
        rig_auto r;
        rig_init(&r, rules, ARRAY_LEN(rules));
        rig_start(&r);
        struct dcm d;
        rig_begin(&d, true);
        rig_patient(&d);
        rig_uids(&d);
        dcm_pixels_native(&d, 8);
        if (is_sequence) {
            dcm_seq_begin(&d, DICOM_PATIENT_ID, true);
            dcm_seq_end(&d);
        } else {
            dcm_pixels_native(&d, 8);
        }
        CHECK_INT(rig_run(&r, dcm_str(&d)), DEID_REFUSED);
        CHECK_STR(str_of(r.res.where), is_sequence ? "(0010,0020)" : "(7FE0,0010)");
        dcm_done(&d);
    }
}

/* A patient who is not the one asked for is that, whatever else the instance says. */
static void test_deid_codings__another_patient_comes_first(void)
{
    rig_auto r;
    rig_init(&r, rules, ARRAY_LEN(rules));
    rig_start(&r);
    struct dcm d;
    rig_begin(&d, true);
    dcm_text(&d, DICOM_PATIENT_ID, DICOM_VR_LO, "MRN-4712-08");
    dcm_text(&d, DICOM_PATIENT_ID, DICOM_VR_LO, RIG_MRN);
    rig_uids(&d);
    CHECK_INT(rig_run(&r, dcm_str(&d)), DEID_MISMATCH);
    dcm_done(&d);
}

/* The copies of a name that are not written are names all the same. */
static void test_deid_codings__every_copy_of_a_name_is_searched_for(void)
{
    static const char *const texts[] = { "for Zimmermann", "for Kirchgessner", "for somebody" };
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        test_row("%s", texts[i]);
        rig_auto r;
        rig_init(&r, rules, ARRAY_LEN(rules));
        rig_start(&r);
        struct dcm d;
        rig_begin(&d, true);
        rig_patient(&d);
        dcm_text(&d, DICOM_PATIENT_NAME, DICOM_VR_PN, "Kirchgessner^Aloysia");
        rig_uids(&d);
        dcm_seq_begin(&d, 0x0040A730, false);
        dcm_item_begin(&d, false);
        dcm_text(&d, 0x0040A160, DICOM_VR_UT, texts[i]);
        dcm_item_end(&d);
        dcm_seq_end(&d);
        CHECK_INT(rig_run(&r, dcm_str(&d)), i < 2 ? DEID_RESIDUE : DEID_EMIT);
        CHECK(i < 2 || memmem(r.bytes.p, r.bytes.n, "Kirchgessner", 12) == NULL);
        dcm_done(&d);
    }
}

/* Of a block that two creators claim nothing is kept. */
static void test_deid_codings__a_disputed_block_is_dropped(void)
{
    static const struct project_tag_rule private_rules[] = { USUAL, RULE_OF("ACME A", 0x0009, 0x01, KEEP) };
    for (int is_disputed = 0; is_disputed < 2; is_disputed++) {
        test_row("disputed %d", is_disputed);
        rig_auto r;
        rig_init(&r, private_rules, ARRAY_LEN(private_rules));
        rig_start(&r);
        struct dcm d;
        rig_begin(&d, true);
        dcm_text(&d, 0x00090010, DICOM_VR_LO, "ACME A");
        if (is_disputed)
            dcm_text(&d, 0x00090010, DICOM_VR_LO, "ACME B");
        dcm_text(&d, 0x00091001, DICOM_VR_LO, "private");
        rig_patient(&d);
        rig_uids(&d);
        REQUIRE(rig_run(&r, dcm_str(&d)) == DEID_EMIT);
        CHECK_STR(TEXT(&r, 0x00091001), is_disputed ? "<none>" : "private");
        dcm_done(&d);
    }
}

/* --- encapsulated pixel data --- */

static void add_fragment(struct dcm *d, const char *bytes, size_t n)
{
    dcm_mark(d, DICOM_TAG_ITEM, (uint32_t)n);
    dcm_raw(d, bytes, n);
}
static void begin_fragments(struct dcm *d, const char *table, size_t n)
{
    dcm_header(d, DICOM_PIXEL_DATA, DICOM_VR_OB, DICOM_UNDEFINED_LENGTH);
    add_fragment(d, table, n);
}
static void end_fragments(struct dcm *d)
{
    dcm_mark(d, DICOM_TAG_SEQUENCE_END, 0);
}

static void px_empty_table(struct dcm *d)
{
    begin_fragments(d, "", 0);
    add_fragment(d, "\xFF\xD8\xFF\xD9", 4);
    end_fragments(d);
}
static void px_table(struct dcm *d)
{
    begin_fragments(d, "\0\0\0\0\x0C\0\0\0", 8);
    add_fragment(d, "abcd", 4);
    add_fragment(d, "efghij", 6);
    end_fragments(d);
}
static void px_extended_table(struct dcm *d)
{
    dcm_bytes(d, DICOM_EXTENDED_OFFSET_TABLE, DICOM_VR_OV, "\0\0\0\0\0\0\0\0\x0C\0\0\0\0\0\0\0", 16);
    dcm_bytes(d, DICOM_EXTENDED_OFFSET_LENGTHS, DICOM_VR_OV, "\4\0\0\0\0\0\0\0\6\0\0\0\0\0\0\0", 16);
    begin_fragments(d, "", 0);
    add_fragment(d, "abcd", 4);
    add_fragment(d, "efghij", 6);
    end_fragments(d);
}
static void px_empty_fragments(struct dcm *d)
{
    begin_fragments(d, "", 0);
    add_fragment(d, "", 0);
    add_fragment(d, "abcd", 4);
    add_fragment(d, "", 0);
    end_fragments(d);
}
static void px_odd_fragment(struct dcm *d)
{
    begin_fragments(d, "", 0);
    add_fragment(d, "abc", 3);
    end_fragments(d);
}
static void px_table_alone(struct dcm *d)
{
    begin_fragments(d, "", 0);
    end_fragments(d);
}

/* The bytes of a whole element, header and delimiter included. */
static struct str element_bytes(const struct dicom_file *f, uint32_t tag)
{
    int64_t i = dicom_find(f, DICOM_NO_PARENT, tag);
    if (i < 0)
        return STR("<none>");
    const struct dicom_element *e = &f->elements[i];
    return (struct str){ (const char *)f->source.bytes + e->offset, (size_t)(e->next_offset - e->offset) };
}

static void test_deid_codings__fragments_and_their_tables_pass_as_they_are(void)
{
    static const struct {
        const char *name;
        void (*add)(struct dcm *d);
    } rows[] = {
        { "empty table", px_empty_table },       { "table", px_table },
        { "extended table", px_extended_table }, { "empty fragments", px_empty_fragments },
        { "odd fragment", px_odd_fragment },     { "table alone", px_table_alone },
    };
    static const char *const encapsulated[] = {
        DCM_JPEG_BASELINE,         "1.2.840.10008.1.2.1.98",  "1.2.840.10008.1.2.4.70",
        "1.2.840.10008.1.2.4.80",  "1.2.840.10008.1.2.4.90",  "1.2.840.10008.1.2.4.107",
        "1.2.840.10008.1.2.4.112", "1.2.840.10008.1.2.4.201", "1.2.840.10008.1.2.8.1",
    };
    static const uint32_t tags[] = { DICOM_EXTENDED_OFFSET_TABLE, DICOM_EXTENDED_OFFSET_LENGTHS, DICOM_PIXEL_DATA };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        for (size_t s = 0; s < ARRAY_LEN(encapsulated); s++) {
            test_row("%s, %s", rows[i].name, encapsulated[s]);
            rig_auto r;
            rig_init(&r, rules, ARRAY_LEN(rules));
            rig_start(&r);
            struct dcm d;
            rig_begin_syntax(&d, encapsulated[s]);
            rig_patient(&d);
            rig_uids(&d);
            rows[i].add(&d);
            REQUIRE(rig_run(&r, dcm_str(&d)) == DEID_EMIT);
            CHECK_STR(str_of(r.out.syntax->uid), encapsulated[s]);
            for (size_t t = 0; t < ARRAY_LEN(tags); t++)
                CHECK(str_eq(element_bytes(&r.in, tags[t]), element_bytes(&r.out, tags[t])));
            CHECK(r.res.pixels_compressed);
            dcm_done(&d);
        }
}

/* What stands behind the samples is searched in every byte order, and by the first of two numbers. */
static void test_deid_codings__where_an_image_ends_is_read_in_its_byte_order(void)
{
    static const struct project_tag_rule kept[] = { USUAL, RULE(0x0028, 0x0011, KEEP), RULE(0x0028, 0x0100, KEEP) };
    for (size_t i = 0; i < ARRAY_LEN(syntaxes); i++)
        for (int is_twice = 0; is_twice < 2; is_twice++)
            for (uint16_t columns = 1; columns <= 256; columns += 255) {
                test_row("%s, %d columns, twice %d", syntaxes[i], columns, is_twice);
                rig_auto r;
                rig_init(&r, kept, ARRAY_LEN(kept));
                rig_start(&r);
                struct dcm d;
                char pixels[256 + 16] = { 0 };
                memset(pixels, 0x7F, sizeof pixels);
                memcpy(pixels + columns, " Zimmermann ", 12);
                rig_begin_syntax(&d, syntaxes[i]);
                rig_patient(&d);
                rig_uids(&d);
                dcm_u16(&d, 0x00280010, 1);
                dcm_u16(&d, 0x00280011, columns);
                if (is_twice)
                    dcm_u16(&d, 0x00280011, 512);
                dcm_u16(&d, 0x00280100, 8);
                dcm_bytes(&d, DICOM_PIXEL_DATA, DICOM_VR_OW, pixels, columns + 13u);
                if (i == 3)
                    dcm_deflate(&d);
                CHECK_INT(rig_run(&r, dcm_str(&d)), DEID_RESIDUE);
                CHECK_STR(str_of(r.res.where), "(7FE0,0010)");
                dcm_done(&d);
            }
}

/* --- what is kept is kept byte for byte --- */

/* Odd lengths, more or fewer pixels than rows and columns say, group lengths anywhere. */
static void test_deid_codings__kept_elements_pass_byte_for_byte(void)
{
    static const struct project_tag_rule kept[] = { USUAL, RULE(0x0018, 0x0015, KEEP), RULE(0x0042, 0x0011, KEEP),
                                                    RULE(0x0028, 0x0011, KEEP) };
    static const size_t pixel_bytes[] = { 0, 7, 131072, 524288 };
    static const uint32_t tags[] = { 0x00180015, 0x00280010, 0x00280011, 0x0040A730, 0x00420011, DICOM_PIXEL_DATA };
    for (size_t i = 0; i < ARRAY_LEN(pixel_bytes); i++)
        for (int is_big_endian = 0; is_big_endian < 2; is_big_endian++) {
            test_row("%zu bytes of pixels, big endian %d", pixel_bytes[i], is_big_endian);
            rig_auto r;
            rig_init(&r, kept, ARRAY_LEN(kept));
            rig_start(&r);
            struct dcm d;
            rig_begin_syntax(&d, is_big_endian ? DCM_EXPLICIT_BE : DCM_EXPLICIT_LE);
            rig_patient(&d);
            dcm_u32(&d, 0x00180000, 4);
            dcm_header(&d, 0x00180015, DICOM_VR_CS, 3);
            dcm_raw(&d, "HIP", 3);
            rig_uids(&d);
            dcm_u16(&d, 0x00280010, 256);
            dcm_u16(&d, 0x00280011, 256);
            dcm_u32(&d, 0x00100000, 4);
            dcm_seq_begin(&d, 0x0040A730, false);
            dcm_item_begin(&d, true);
            dcm_header(&d, 0x0040A160, DICOM_VR_UT, 5);
            dcm_raw(&d, "words", 5);
            dcm_item_end(&d);
            dcm_seq_end(&d);
            dcm_raw(&d, is_big_endian ? "\0\x42\0\x11OB\0\0\0\0\0\2\1\2" : "\x42\0\x11\0OB\0\0\2\0\0\0\1\2", 14);
            dcm_pixels_native(&d, pixel_bytes[i]);
            REQUIRE(rig_run(&r, dcm_str(&d)) == DEID_EMIT);
            for (size_t t = 0; t < ARRAY_LEN(tags); t++) {
                CHECK(dicom_find(&r.out, DICOM_NO_PARENT, tags[t]) > 0);
                CHECK(str_eq(element_bytes(&r.in, tags[t]), element_bytes(&r.out, tags[t])));
            }
            dcm_done(&d);
        }
}

/* Section 7.1.2 of PS3.5 has two bytes of long headers reserved: what stands there passes by nobody's rule. */
static void test_deid_codings__reserved_bytes_are_zero_at_every_depth(void)
{
    static const struct project_tag_rule whole[] = { RULE(0x0008, 0x0060, KEEP), RULE(0x0040, 0xA730, KEEP),
                                                     RULE(0x0009, 0x1010, KEEP), RULE(0x7FE0, 0x0010, KEEP) };
    static const char *const explicit_ones[] = { DCM_EXPLICIT_LE, DCM_EXPLICIT_BE, DCM_JPEG_BASELINE };
    for (size_t i = 0; i < ARRAY_LEN(explicit_ones); i++)
        for (unsigned undefined = 0; undefined < 32; undefined++) {
            test_row("%s undefined %02x", explicit_ones[i], undefined);
            rig_auto r;
            rig_init(&r, undefined % 3 ? rules : whole, undefined % 3 ? ARRAY_LEN(rules) : ARRAY_LEN(whole));
            rig_start(&r);
            struct dcm d;
            size_t n;
            build(&d, explicit_ones[i], undefined);
            REQUIRE(rig_run(&r, dcm_str(&d)) == DEID_EMIT);
            struct buf expected;
            buf_init(&expected, 1u << 20);
            REQUIRE(buf_add(&expected, r.bytes.p, r.bytes.n));
            char *filled = rig_fill_reserved(&d, &n);
            CHECK(n >= 4);
            REQUIRE(rig_run(&r, (struct str){ filled, dcm_size(&d) }) == DEID_EMIT);
            CHECK(str_eq(buf_str(&r.bytes), buf_str(&expected)));
            free(filled);
            buf_done(&expected);
            dcm_done(&d);
        }
}

int main(int argc, char **argv)
{
    static const struct test_case tests[] = {
        TEST(test_deid_codings__headers_and_lengths_are_those_of_the_syntax),
        TEST(test_deid_codings__hidden_sequences_go_by_the_rules),
        TEST(test_deid_codings__strange_vrs),
        TEST(test_deid_codings__what_is_written_is_in_order),
        TEST(test_deid_codings__a_second_identity_is_refused),
        TEST(test_deid_codings__a_second_image_is_refused),
        TEST(test_deid_codings__another_patient_comes_first),
        TEST(test_deid_codings__every_copy_of_a_name_is_searched_for),
        TEST(test_deid_codings__a_disputed_block_is_dropped),
        TEST(test_deid_codings__fragments_and_their_tables_pass_as_they_are),
        TEST(test_deid_codings__where_an_image_ends_is_read_in_its_byte_order),
        TEST(test_deid_codings__kept_elements_pass_byte_for_byte),
        TEST(test_deid_codings__reserved_bytes_are_zero_at_every_depth),
    };
    return test_main(argc, argv, tests, ARRAY_LEN(tests));
}
